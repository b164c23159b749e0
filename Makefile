# Two commands for a newcomer: `make run` and `make test`. Everything is installed into .venv, from locked files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-quick chaos chaos-simulated prove check e2e e2e-again bench bench-pairs lock format clean

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

# In three parts at the same time: they wait more than they compute, and take about as long.
HALF := tests/core tests/chaos tests/store tests/sim tests/journal
LINK := tests/esl tests/strategies tests/http tests/legs tests/test_gone_phones.py $(wildcard tests/test_cli_c*.py) \
	$(filter-out %_plugins.py,$(wildcard tests/test_daemon*.py))

test: $(STAMP) ## run every test that needs no FreeSWITCH
	@logs=$$(mktemp -d); \
	$(BIN)/python -m pytest -m 'not e2e' $(HALF) >$$logs/half 2>&1 & half=$$!; \
	$(BIN)/python -m pytest -m 'not e2e' $(LINK) >$$logs/link 2>&1 & link=$$!; \
	trap 'kill $$half $$link; rm -rf $$logs' INT TERM; \
	$(BIN)/python -m pytest -m 'not e2e' $(addprefix --ignore=,$(HALF) $(LINK)); failed=$$?; \
	for part in $$half $$link; do wait $$part || failed=1; done; \
	cat $$logs/half $$logs/link; rm -rf $$logs; \
	exit $$failed

test-quick: $(STAMP) ## run the quicker half of them: what another Python may answer otherwise
	$(BIN)/python -m pytest -m 'not e2e' $(addprefix --ignore=,$(HALF))

chaos: $(STAMP) ## run random faults on a real FreeSWITCH (on PATH or FREESWITCH_PREFIX): make chaos SEED=1 N=20
	$(BIN)/python -m tests.chaos.real $(addprefix --seed ,$(SEED)) --schedules $(or $(N),20)

chaos-simulated: $(STAMP) ## the same on the simulated one, many times faster: make chaos-simulated SEED=1 N=200
	$(BIN)/python -m tests.chaos $(addprefix --seed ,$(SEED)) --schedules $(or $(N),50)

prove: $(STAMP) ## run the long series of tests/prove, chaos with fresh seeds among them; N=2: that many of each
	$(BIN)/python -m tests.prove $(N)

check: $(STAMP) ## run the linters, the type checker and the layer contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg --no-cache

# Lanes at the same time, for the same reason; each has its own ports for sound, and its own memory of what failed.
LANE0 := $(wildcard tests/e2e/test_[a-k]*.py)
LANE1 := $(wildcard tests/e2e/test_[t-z]*.py tests/e2e/test_re*.py)
LANE2 := $(filter-out $(LANE0) $(LANE1),$(wildcard tests/e2e/test_*.py)) tests/chaos
lane = FSACD_E2E_LANE=$(1) $(BIN)/python -m pytest -m e2e -o cache_dir=.pytest_cache/lane$(1) $(2) $(LANE$(1))
AGAIN := --last-failed --last-failed-no-failures none

e2e: $(STAMP) ## run the tests on a real FreeSWITCH (on PATH or FREESWITCH_PREFIX) with SIPp
	@logs=$$(mktemp -d); \
	$(call lane,1,) >$$logs/1 2>&1 & first=$$!; \
	$(call lane,2,) >$$logs/2 2>&1 & second=$$!; \
	trap 'kill $$first $$second; rm -rf $$logs' INT TERM; \
	$(call lane,0,); failed=$$?; \
	for other in $$first $$second; do wait $$other || failed=1; done; \
	cat $$logs/1 $$logs/2; rm -rf $$logs; \
	exit $$failed

e2e-again: $(STAMP) ## run once more those of them that failed
	@# Where nothing failed pytest has nothing to run, and ends with 5.
	$(call lane,0,$(AGAIN)) || [ $$? = 5 ]
	$(call lane,1,$(AGAIN)) || [ $$? = 5 ]
	$(call lane,2,$(AGAIN)) || [ $$? = 5 ]

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
