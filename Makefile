# Everything runs in .venv, made on first use from the pinned requirements.lock; no root rights.
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all

.PHONY: help demo test test-all test-dft test-slurm test-browser quantum-espresso slurm chromium pseudopotentials lint format schema lock docs clean

help:
	@echo "make demo      run the demo campaign (five to ten minutes on two cores)"
	@echo "make test      run the tests"
	@echo "make test-all  run the tests with the slow ones, without those of DFT codes, clusters and browsers"
	@echo "make test-dft  run the tests with Quantum ESPRESSO (fifteen minutes on two cores)"
	@echo "make test-slurm  run the tests with a private SLURM (as root; seven minutes on two cores)"
	@echo "make test-browser  run the tests of the report in Chromium (a minute)"
	@echo "make pseudopotentials   make the pseudopotentials of si-qe-small"
	@echo "make lint      check style, types, workflow"
	@echo "make docs      write the docs as a site: site/html/index.html (its tools are installed once)"
	@echo "make clean     remove .venv and .environments; results are kept"
	@echo "make schema    write the JSON schema, the settings page, envs/ and the table of docs/paper.md"

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
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not dft and not slurm and not browser"

test-all: .venv/.ready
	@$(BIN)/python -m pytest -m "not dft and not slurm and not browser"

test-dft: .venv/.ready quantum-espresso
	@$(BIN)/python -m pytest -m dft tests/dft

test-slurm: .venv/.ready slurm
	@$(BIN)/python -m pytest -m slurm tests/slurm

test-browser: .venv/.ready chromium
	@$(BIN)/python -m pytest -m browser tests/browser

chromium:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; \
	else echo "Chromium and its driver are required (Debian: chromium chromium-driver)" >&2; exit 1; fi

# the packages would start their services; the tests start their own daemons, and stop them
slurm:
	@command -v slurmctld >/dev/null && command -v munged >/dev/null && command -v mpirun >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  policy=/usr/sbin/policy-rc.d; made=; \
	  [ -e $$policy ] || { made=$$policy; printf '#!/bin/sh\nexit 101\n' > $$policy; chmod +x $$policy; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends slurm-wlm munge openmpi-bin >/dev/null; \
	  failed=$$?; rm -f $$made; exit $$failed; \
	else echo "SLURM and root rights are required (Debian: slurm-wlm munge openmpi-bin)" >&2; exit 1; fi

# name OpenBLAS: with the reference BLAS pw.x takes twice the time
QE_PACKAGES := quantum-espresso quantum-espresso-data openmpi-bin libopenblas0-pthread
quantum-espresso:
	@command -v pw.x >/dev/null && command -v ld1.x >/dev/null && command -v mpirun >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $(QE_PACKAGES) >/dev/null; \
	else echo "pw.x, ld1.x and mpirun are needed; install Quantum ESPRESSO (Debian: $(QE_PACKAGES))" >&2; exit 1; fi

# PBEsol from the recipe in the PBE file that Debian's quantum-espresso-data brings
PSEUDO_FROM ?= /usr/share/espresso/pseudo
PSEUDO_TO := config/pseudopotentials
pseudopotentials: $(PSEUDO_TO)/Si.pbesol-nl-rrkjus_psl.1.0.0.UPF

$(PSEUDO_TO)/Si.pbesol-nl-rrkjus_psl.1.0.0.UPF: | .venv/.ready
	@$(BIN)/python -m phonsmith.labels.espresso.pseudopotentials PBEsol \
	  $(PSEUDO_FROM)/Si.pbe-nl-rrkjus_psl.1.0.0.UPF $(PSEUDO_TO)

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
# the lint requires functions in a separate file; here a function used by one rule is above it
	@lints=$$($(BIN)/snakemake --profile profiles/local --lint 2>&1); \
	if ! echo "$$lints" | grep -qE '^(Lints for|Congratulations)' || \
	  echo "$$lints" | grep '^    \* ' | grep -v 'Mixed rules and functions'; \
	then echo "$$lints" >&2; exit 1; fi

format: .venv/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

schema: .venv/.ready
	$(BIN)/python -m phonsmith.campaign.schema
	$(BIN)/python -m phonsmith.paper.listing

# pins of the packages that are installed now, here and in envs/; local build tags such as +cpu are left out
lock: .venv/.ready
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock
	$(BIN)/python -m phonsmith.campaign.schema

# the tools have an environment of their own, since nothing else needs them
DOCS := site/tools
$(DOCS)/.ready: docs/requirements.txt
	@mkdir -p $(dir $(DOCS)) && $(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@touch $@

docs: $(DOCS)/.ready
	@$(DOCS)/bin/python docs/site.py site/pages
	@$(DOCS)/bin/zensical build --clean --strict
	@echo "open site/html/index.html"

# results are kept, and so is .snakemake, which records the settings they were made with
clean:
	rm -rf .venv .environments site
