# Two commands for a newcomer: `make run` and `make test`. Everything is installed into .venv, from locked files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-again test-quick test-quick-again chaos chaos-simulated prove prove-again talks check e2e \
	e2e-again bench bench-pairs lock format clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

install: $(STAMP) ## make the virtual environment

LOCKS := config/build.lock config/requirements.lock config/requirements-dev.lock
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(STAMP): setup.cfg pyproject.toml $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit("fsacd needs Python 3.11 or later; name one with PYTHON=python3.x") if sys.version_info < (3, 11) else None'
	@echo "Installing into $(VENV); this takes about a minute."
	$(PYTHON) -m venv $(VENV)
	@# First what builds, because pip would fetch it without hashes; fsacd itself last, because pip hashes no directory.
	$(PIP) --require-hashes --requirement config/build.lock
	$(PIP) --require-hashes --no-build-isolation --requirement config/requirements-dev.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

run: $(STAMP) ## run fsacd against a simulated FreeSWITCH, with synthetic callers and agents
	@$(BIN)/fsacd demo

test: $(STAMP) ## run every test that needs no FreeSWITCH, in parts at the same time
	$(BIN)/python -m tests.parts test

test-again: $(STAMP) ## run once more those of them that failed
	$(BIN)/python -m tests.parts test --again

test-quick: $(STAMP) ## run the quicker half of them: what another Python may answer otherwise
	$(BIN)/python -m tests.parts quick

test-quick-again: $(STAMP) ## run once more those of them that failed
	$(BIN)/python -m tests.parts quick --again

chaos: $(STAMP) ## run random faults on a real FreeSWITCH (on PATH or FREESWITCH_PREFIX): make chaos SEED=1 N=20
	$(BIN)/python -m tests.chaos.real $(addprefix --seed ,$(SEED)) --schedules $(or $(N),20)

chaos-simulated: $(STAMP) ## the same on the simulated one, many times faster: make chaos-simulated SEED=1 N=200
	$(BIN)/python -m tests.chaos $(addprefix --seed ,$(SEED)) --schedules $(or $(N),50)

prove: $(STAMP) ## run the long series of tests/prove, chaos with fresh seeds among them; N=2: that many of each
	$(BIN)/python -m tests.prove $(N)

talks: $(STAMP) ## lead talks through every shape on a real FreeSWITCH, each party dying at each step: make talks N=50
	$(BIN)/python -m tests.prove.talks.series $(N)
	$(BIN)/python -m tests.prove.talks.hour $(N)

prove-again: $(STAMP) ## run once more those of them that were wrong
	$(BIN)/python -m tests.prove --again $(N)

check: $(STAMP) ## run the linters, the type checker and the layer contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg --no-cache

e2e: $(STAMP) ## run the tests on a real FreeSWITCH (on PATH or FREESWITCH_PREFIX) with SIPp, in parts at the same time
	$(BIN)/python -m tests.parts e2e

e2e-again: $(STAMP) ## run once more those of them that failed
	$(BIN)/python -m tests.parts e2e --again

bench: $(STAMP) ## measure: ratios within one run
	$(BIN)/python -m tests.bench.link
	$(BIN)/python -m tests.bench.engine
	$(BIN)/python -m tests.bench.looks
	$(BIN)/python -m tests.bench.onlookers
	$(BIN)/python -m tests.bench.reloads
	$(BIN)/python -m tests.bench.journal
	$(BIN)/python -m tests.bench.switch
	$(BIN)/python -m tests.bench.outage

bench-pairs: $(STAMP) ## measure against another revision on the wire, in pairs: make bench-pairs BASE=main
	@test -n "$(BASE)" || { echo "BASE names the revision to compare with: make bench-pairs BASE=main"; exit 2; }
	$(BIN)/python -m tests.bench.pairs $(BASE)

# Pins stay as they are where they still fit: `make lock UPGRADE=--upgrade` takes the newest of all, UPGRADE='-P rich' one.
# No address of an index may stand in a lock: who installs has one of their own.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)

lock: ## lock the dependencies anew, with the hashes of all their files: make lock UPGRADE=--upgrade
	@test -x $(BIN)/uv || { echo "make install comes first"; exit 1; }
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])' \
		| $(COMPILE) --output-file config/build.lock -
	$(COMPILE) --constraint config/build.lock --output-file config/requirements.lock setup.cfg
	$(COMPILE) --constraint config/build.lock --constraint config/requirements.lock --extra embedded --extra dev \
		--output-file config/requirements-dev.lock setup.cfg

format: $(STAMP) ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove what make made
	rm -rf $(VENV) .venv-* .run .mypy_cache .ruff_cache .pytest_cache .hypothesis build fsacd.egg-info
