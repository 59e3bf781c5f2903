# Two commands: `make run` and `make test`. Everything they need, they install.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= .home
PORT ?= 8080
PYTEST := $(BIN)/python -m pytest

.PHONY: help run clean-demo test test-ceph setup setup-test lint types imports unit interop crash bench bench-full vendor lock clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

run: setup ## install what is missing, dock three sources of real recordings, keep serving until Ctrl-C
	@$(BIN)/liuhen demo --home $(HOME_DIR) --port $(PORT)

test: setup-test lint types imports ## install what is missing and run every check
	@$(PYTEST) -n 2 --dist worksteal -q

test-ceph: setup-test ## the S3 contract on a second real server (Ceph's gateway from Debian; installs it, needs root)
	@tools/system-packages.sh ceph
	@$(PYTEST) -n 0 -q -m ceph tests/ceph

setup: $(VENV)/.run-ready ## system packages, private .venv, locked dependencies

setup-test: $(VENV)/.test-ready .venv-interop/.ready

$(VENV)/.packages-run: tools/system-packages.sh
	@tools/system-packages.sh run
	@mkdir -p $(VENV) && touch $@

$(VENV)/.packages-test: tools/system-packages.sh
	@tools/system-packages.sh test
	@mkdir -p $(VENV) && touch $@

$(VENV)/.run-ready: $(VENV)/.packages-run requirements/run.txt requirements/demo.txt pyproject.toml
	@echo "Setting up the private Python environment in $(VENV)"
	@test -x $(BIN)/pip || python3 -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/run.txt -r requirements/demo.txt -r requirements/build.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test-ready: $(VENV)/.packages-test $(VENV)/.run-ready requirements/dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/run.txt -r requirements/dev.txt
	@touch $@

.venv-interop/.ready: requirements/interop.txt | $(VENV)/.packages-test
	@test -x .venv-interop/bin/pip || python3 -m venv .venv-interop
	@.venv-interop/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/interop.txt
	@touch $@

lint: ## style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .

types: ## static types
	@$(BIN)/mypy evidence chain_of_custody devices storage catalogue people flow media documents discs matters ingest access assurance retention cases api app

imports: ## the import order of docs/architecture.md
	@$(BIN)/lint-imports

bench: setup-test ## speed ratios against plain peers, in one run
	@$(BIN)/python benchmarks/run.py

bench-full: setup-test ## the same with the sizes of the plan
	@$(BIN)/python benchmarks/run.py --full

vendor: ## fetch the pages' third-party files again from npm and check their integrity
	@tools/vendor.sh

lock: ## recompute the locked dependencies (needs uv)
	@tools/lock.sh

clean-demo: ## remove the demonstration's home (its originals are immutable files, so plain rm refuses)
	@test ! -e $(HOME_DIR) || chattr -R -f -i $(HOME_DIR) || true
	@rm -rf $(HOME_DIR) $(HOME_DIR)-recorders

clean: ## remove what the targets made (not a home)
	@rm -rf $(VENV) .venv-interop build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
