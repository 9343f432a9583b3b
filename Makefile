# Two commands do everything: `make demo` and `make test`. Each sets itself up in .venv first.

VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test lint types docs clean help

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 8

demo: $(VENV)/.demo  ## Learn how filters turn, train on upright digits, test on turned ones; result in runs/demo
	$(BIN)/orbitconv demo $(ARGS)

test: $(VENV)/.test  ## Run every test, with coverage
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term $(ARGS)

lint: $(VENV)/.lint  ## Check formatting and lint
	$(BIN)/ruff format --check src studies tests scripts
	$(BIN)/ruff check src studies tests scripts

types: $(VENV)/.lint  ## Check types
	$(BIN)/basedpyright

docs: $(VENV)/.docs  ## Build the pages into docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

clean:  ## Remove the environment and caches; results stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .coverage

$(VENV)/.demo: pyproject.toml scripts/setup.sh
	VENV="$(VENV)" sh scripts/setup.sh
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --group test
	touch $@

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group lint
	touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --group docs
	touch $@
