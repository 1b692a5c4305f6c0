# `make help` lists what there is. Everything works for root and for an ordinary user.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Which lock the environment was installed from; written last, so that an interrupted set-up is done again.
INSTALLED := $(VENV)/installed-from
# One more than the cores of a small machine: some tests wait for leases and processes.
JOBS ?= 3
# Compiled code is kept: else each of the processes that a demo or the tests start compiles the whole house anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-reset simulate test stages lint format lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## the virtual environment, from the hashed lock files; does nothing when it is up to date
	@{ cmp -s requirements-dev.txt $(INSTALLED) && $(BIN)/python -c ""; } 2>/dev/null || $(MAKE) installation

.PHONY: installation
installation:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Nostro needs Python 3.11 or newer: install it, or name it with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) venv-package
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing from requirements-dev.txt"
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements-dev.txt
	@cp requirements-dev.txt $(INSTALLED)

.PHONY: venv-package
venv-package:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Python's venv is missing: install it first (Debian: sudo apt-get install python3-venv)."; exit 1; fi
	@echo "Installing python3-venv"
	@(apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv) >/dev/null

demo: setup ## everything on this machine, until Ctrl-C; PORT= moves it
	@$(BIN)/python -m portal.demo

demo-reset: setup ## forget the demo's data, logins and keys
	@$(BIN)/python -m portal.demo --reset

simulate: setup ## play customers and traders on the running demo; ARGS= goes to flask simulate
	@$(BIN)/flask --app wsgi:app simulate $(ARGS)

# What takes minutes because it starts whole processes is apart, so that what a change broke is known soon.
APART := stages or browser
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test: setup ## the suite on real servers, in its own processes; ARGS= goes to pytest
	@$(PYTEST) -m "not faults and not ($(APART))" $(ARGS)

stages: setup ## the tests that start the house as it ships, the demo, nginx or a browser; ARGS= goes to pytest
	@$(PYTEST) -m "not faults and ($(APART))" $(ARGS)

# Small disks are mounted where nobody else sees them, which takes root.
PRIVATE = $(shell unshare -m true 2>/dev/null && echo env MOUNTS_ARE_PRIVATE=1 unshare -m)
.PHONY: faults soak
faults: setup ## break the running house in every way of docs/faults.md; under 30 minutes; ARGS= goes to pytest
	@$(PRIVATE) $(BIN)/python -m pytest tests/faults -m "faults or not faults" $(ARGS)

soak: setup ## the running house under random faults for MINUTES= of SEED=; memory of each process at the end
	@$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: bench
bench: setup ## measure us and the yardsticks; writes bench/results/; ARGS= goes to it
	@$(BIN)/python -m bench $(ARGS)

lint: setup ## ruff, mypy --strict, import rules, templates
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/djlint templates examples --lint --quiet

format: setup ## format Python
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: setup ## requirements*.in -> requirements*.txt with hashes
	@for name in requirements requirements-dev; do \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 \
	    --no-header --no-emit-index-url $$name.in -o $$name.txt; done

.PHONY: catalogue
catalogue: setup ## what the migrations make -> portal/core/schema/catalogue.json, which the proof compares with
	@$(BIN)/python -m tests.make_catalogue

.PHONY: translations screens
translations: setup ## collect the pages' words, merge them into the catalogue, compile it
	@$(BIN)/pybabel -q extract -F portal/translations/babel.cfg -k _l --no-location --omit-header \
	  -o portal/translations/messages.pot .
	@$(BIN)/pybabel -q update -N --ignore-obsolete -w 110 -i portal/translations/messages.pot -d portal/translations
	@$(BIN)/pybabel -q compile -d portal/translations

.PHONY: styles
styles: setup ## of the framework's style sheet what our pages use -> static/vendor/
	@$(BIN)/python -m styles

screens: setup ## take the README's pictures from a demo that runs; PORT= says where
	@$(BIN)/python docs/screens/make_screens.py --port $(or $(PORT),8000)
