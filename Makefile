# On a fresh machine with Python 3.11–3.13 and make: `make demo` shows it, `make test` proves it.
# Set PYTHON to choose the interpreter that the virtual environment is made with.
PYTHON ?= python3
BIN := .venv/bin
# Some tests wait: for a database, a browser, or what another worker makes for all.
TOGETHER := -n $(shell $(PYTHON) -c 'import os; print(min((os.cpu_count() or 1) + 1, 4))') --dist=loadfile --no-loadscope-reorder
READY := .venv/.ready
COMPILED := .venv/.compiled

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full check audit lint format bench mlflow requirements handbook docs lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(COMPILED) ## Make .venv with the pinned packages

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "fraud needs Python 3.11 to 3.13; set PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing pinned packages into .venv (about two minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# As pip does with packages: every start of Python is shorter, also where it is told not to write bytecode itself.
$(COMPILED): $(READY) $(shell find src features -name '*.py')
	@$(BIN)/python -m compileall -q src features
	@touch $@

demo: $(COMPILED) ## Simulate a city, train, serve, score a claim, explain it
	@$(BIN)/fraud demo

test: $(COMPILED) ## Run the tests that finish within minutes
	@$(BIN)/python -m pytest $(TOGETHER)

test-full: $(COMPILED) ## Run every test, the long proofs too
	@$(BIN)/python -m pytest $(TOGETHER) -m "" --durations=20

check: lint audit test ## What CI runs

audit: $(READY) ## Pins, licences and known faults of what is installed, without a network
	@$(BIN)/python serving/audit.py

lint: $(READY) ## Style, types, layers, lock of the catalogue
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/fraud signals check

format: $(READY) ## Rewrite the code in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(COMPILED) ## Measure speed and detection
	@for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

mlflow: $(READY) ## Open the tracked runs in a browser
	@$(BIN)/mlflow server --backend-store-uri sqlite:///$(or $(wildcard var/mlflow.db),var/demo/mlflow.db) --host 127.0.0.1 --port 5000

requirements: $(READY) ## What is proven of docs/requirements.csv, and what is not
	@$(BIN)/python docs/requirements.py

docs: $(READY) ## Rewrite what is generated: catalogue.lock, HANDBOOK.md, docs/claims.md, var/handbook.html
	@$(BIN)/fraud signals lock
	@$(BIN)/python -m fraud.claims.describe > docs/claims.md
	@$(BIN)/fraud signals handbook --to var/handbook.html --found docs/detection.json

lock: $(READY) ## Resolve requirements.lock anew, for Python 3.11 to 3.13
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 \
		--no-header --quiet -o requirements.lock

clean: ## Remove everything that was made
	rm -rf .venv var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
