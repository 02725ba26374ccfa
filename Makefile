# Everything here sets itself up: Python 3.11 or newer, make and git are enough.
#   make PYTHON=python3.12 …   another Python      TAGTRACE_VENV=/somewhere make …   another place than .venv
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
export TAGTRACE_VENV ?= $(CURDIR)/.venv
BIN := $(TAGTRACE_VENV)/bin
DEMO := build/demo
SERVICE := data/service
INSTALLED := build/installed
PYTEST_ARGS ?=
# Test files run side by side in so many processes.
TEST_PROCESSES ?= 2
# Nothing is downloaded or reported once the set-up is done, by no library.
export YOLO_OFFLINE := true
export YOLO_AUTOINSTALL := false
export HF_HUB_OFFLINE := 1

.PHONY: help setup setup-base setup-serve demo serve test check lint format installed types imports pytest slow peers notebooks pair lock lock-upgrade wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Set up .venv with everything (scoring, training, peers, tests)
	@$(PYTHON) tools/environment.py test

setup-serve: ## Set up .venv with what the service needs (no torch)
	@$(PYTHON) tools/environment.py serve

setup-base: ## Set up .venv with what scoring needs (no torch)
	@$(PYTHON) tools/environment.py base

demo: setup-base ## Score the sample photos and say where the report lies
	@rm -rf $(DEMO)
	@$(BIN)/tagtrace score datasets/sample/photos --shops datasets/sample/registry.csv --out $(DEMO)
	@test -s $(DEMO)/report.html
	@echo "The report: file://$(CURDIR)/$(DEMO)/report.html"

serve: setup-serve ## Run the service with sample reports, and say where the desk is and how to sign in
	@mkdir -p $(SERVICE)
	@test -e $(SERVICE)/city.db || \
	  $(BIN)/tagtrace sample --store $(SERVICE)/city.db --photos $(SERVICE)/photos --people $(SERVICE)/people.txt
	@$(BIN)/tagtrace db upgrade --store $(SERVICE)/city.db >/dev/null
	@echo "The review desk: http://127.0.0.1:8000/desk"
	@echo "Sign in with one of these names and passwords ($(SERVICE)/people.txt; only to try things out):"
	@cat $(SERVICE)/people.txt 2>/dev/null || echo "  add somebody: $(BIN)/tagtrace people add --help"
	@echo "The API: http://127.0.0.1:8000/openapi.json   (a key: on the page Keys of the desk, as admin)"
	@$(BIN)/tagtrace serve --store $(SERVICE)/city.db --photos $(SERVICE)/photos --development

test: setup ## Everything that has to pass: style, layers, types, tests
	@tools/system_packages.sh chromium postgresql
	@$(MAKE) --no-print-directory lint imports types pytest

check: lint imports types ## Style, layers and types, without the tests

lint: setup ## Style, and nothing committed that must not be
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/check_clean.py

format: setup ## Put the code into its style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A copy as the wheel installs it, so that a module missing from the package is noticed and nothing else is looked at.
installed: setup
	@$(BIN)/python tools/environment.py copy $(INSTALLED)

types: installed ## mypy --strict on the package as installed
	cd $(INSTALLED) && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p tagtrace

imports: installed ## The layers: imports run downwards, vendor libraries stay in their room
	cd $(INSTALLED) && PYTHONPATH=. $(BIN)/lint-imports --config $(CURDIR)/pyproject.toml --no-cache

pytest: setup ## The default tests, a file to each process; PYTEST_ARGS="-k name" for some of them
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

slow: setup ## The tests that take long
	$(BIN)/pytest -m slow $(PYTEST_ARGS)

peers: setup ## The tests that run other readers
	@tools/system_packages.sh tesseract-ocr tesseract-ocr-rus tesseract-ocr-kaz
	$(BIN)/pytest -m peers $(PYTEST_ARGS)

notebooks: setup ## Execute the notebooks, at the size that takes minutes
	@rm -rf build/notebooks
	TAGTRACE_NOTEBOOK=tiny TAGTRACE_NOTEBOOK_FOLDER=$(CURDIR)/build/notebooks OMP_NUM_THREADS=2 \
	  $(BIN)/pytest notebooks --nbmake --nbmake-timeout=900 --timeout=1200 --durations=0 $(PYTEST_ARGS)

pair: setup ## Write the notebooks (.ipynb) again from their pairs (.py)
	@$(BIN)/python tools/notebooks.py

lock: setup ## Write the locks again after a change of pyproject.toml
	$(BIN)/python tools/lock.py

lock-upgrade: setup ## Write the locks with the newest versions that pyproject.toml allows
	$(BIN)/python tools/lock.py --upgrade

wheel: setup ## Build the wheel into dist/
	@rm -rf build/lib
	$(BIN)/python -m build --wheel --no-isolation

clean: ## Remove everything that was made, .venv too
	rm -rf build dist runs *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf $(CURDIR)/.venv
