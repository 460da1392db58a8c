# Every command a developer needs. `make help` says what each does.
# `run` needs the servers only; `test` and the rest also install the tools.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup run test check fmt migration feature bench

help: ## Show this help.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.dev ## Prepare everything in .venv: dependencies, servers and tools.

run: .venv/.run ## Start the whole system on this machine; Ctrl-C stops it. ARGS="--port 9000" passes options.
	@$(BIN)/motovault up $(ARGS)

test: .venv/.dev ## Run every test on real servers, in parallel and random order. ARGS="-k fuel" passes options.
	@$(BIN)/pytest -n $(WORKERS) $(if $(ARGS),$(ARGS),--cov --cov-report=term:skip-covered)

check: .venv/.dev ## Check format, lint, types, import walls, migrations and generated files.
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports
	@$(BIN)/python scripts/check_migrations.py
	@$(BIN)/python scripts/generate.py --check
	@echo "All checks passed."

fmt: .venv/.dev ## Format the code, mend what lint can mend, rewrite generated files.
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .
	@$(BIN)/python scripts/generate.py

migration: .venv/.dev ## Make an empty migration: make migration NAME=add_tyre_sets
	@$(BIN)/python scripts/new_migration.py "$(NAME)"

feature: .venv/.dev ## Make a capsule with its denial tests: make feature NAME=tyres
	@$(BIN)/python scripts/new_feature.py "$(NAME)"

bench: .venv/.dev ## Measure CPU, latency, memory and start times beside a bare-framework yardstick.
	@$(BIN)/python -m benchmarks $(ARGS)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "MotoVaultPro needs Python 3.11 or later; name it: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }

.venv/.run: requirements/run.txt pyproject.toml | .venv/bin/python
	@echo "Preparing MotoVaultPro in .venv (once, about a minute) ..."
	@$(PIP) install --progress-bar on --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@echo "Preparing the development tools in .venv (once, about half a minute) ..."
	@$(PIP) install --progress-bar on --require-hashes -r requirements/dev.txt
	@touch $@
