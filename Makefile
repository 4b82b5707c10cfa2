# Everything runs in .venv, made on first use from the pinned requirements.lock; no root rights.
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all

.PHONY: help demo test test-all lint format schema lock clean

help:
	@echo "make demo      run the demo campaign (about ten minutes on two cores)"
	@echo "make test      run the tests"
	@echo "make test-all  run the tests with the slow ones"
	@echo "make lint      check style, types, workflow"
	@echo "make clean     remove .venv; results stay"
	@echo "make schema    write the JSON schema, the settings page and envs/ from their sources"

# the stamp makes the set-up run again when the pins change, and only then
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "phonsmith needs Python 3.11 or newer; choose one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "no venv module: install your system's python3-venv package" >&2; exit 1; }
	@echo "installing the pinned packages into .venv (once; some minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: .venv/.ready
	@$(BIN)/snakemake --profile profiles/local --cores $(CORES) --config 'campaigns=["si-demo"]'

test: .venv/.ready
	@$(BIN)/python -m pytest -m "not slow"

test-all: .venv/.ready
	@$(BIN)/python -m pytest

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --profile profiles/local --lint

format: .venv/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

schema: .venv/.ready
	$(BIN)/python -m phonsmith.schema

# pins of the packages that are installed now, here and in envs/; local build tags such as +cpu are left out
lock: .venv/.ready
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock
	$(BIN)/python -m phonsmith.schema

# results stay, and so does .snakemake, which knows with what settings they were made
clean:
	rm -rf .venv
