# Everything a newcomer needs: `make setup`, `make paper`, `make test`.
PYTHON ?= python3
VENV := .venv
UV := $(shell command -v uv 2>/dev/null || echo .venv-uv/bin/uv)
BIN := $(VENV)/bin
STAMP := $(VENV)/.grinder-setup

.DEFAULT_GOAL := help
.PHONY: help setup paper test lint types imports wheels plugins-from-wheels downstream new-plugin smoke docs browser bench ci clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

setup: $(STAMP)  ## the project's own .venv with every member and tool

.venv-uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "grinder needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'

$(STAMP): $(if $(findstring .venv-uv,$(UV)),.venv-uv/bin/uv) uv.lock pyproject.toml $(wildcard */pyproject.toml */*/pyproject.toml)
	$(UV) sync --quiet --locked --all-packages --all-groups --compile-bytecode
	@touch $(STAMP)

paper: setup  ## the main job: a paper run on the embedded market, evidence in runs/paper
	$(BIN)/grinder run --profile paper --out runs/paper

test: setup  ## the whole test suite
	$(BIN)/pytest -q -n 2 --dist loadfile

lint: setup  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## mypy --strict on every member
	$(BIN)/mypy core/src policies/src exchanges/*/src plugins/*/src

imports: setup  ## import contracts
	$(BIN)/lint-imports

wheels: setup  ## build every member's wheel into dist/
	rm -rf dist
	$(UV) build --quiet --all-packages --no-sources --wheel --out-dir dist

plugins-from-wheels: wheels  ## each plugin's tests in a clean environment that holds only wheels
	UV=$(UV) tests/packaging/plugins_from_wheels.sh

downstream: wheels  ## the out-of-tree plugin, built and installed beside the wheels
	UV=$(UV) tests/packaging/downstream.sh

new-plugin: wheels  ## a package from grinder plugins new: built, tested, checked and blocking orders, from wheels only
	UV=$(UV) tests/packaging/new_plugin.sh

smoke: wheels  ## a short run from the wheels on every other Python found
	UV=$(UV) tests/packaging/smoke.sh

docs: setup  ## the documentation site, warnings are errors
	$(BIN)/sphinx-build -q -n -W --keep-going docs docs/_build/html

browser:  ## Debian's Chromium for the tests of pages, where it can be installed
	tests/packaging/browser.sh

bench: setup  ## benchmarks: one JSON line per target
	UV=$(UV) $(BIN)/python tests/bench/bench.py

ci: browser test lint types imports docs plugins-from-wheels downstream new-plugin smoke  ## what .ci/run calls

clean:  ## remove environments and what was built
	rm -rf .venv .venv-uv .venv-peers dist docs/_build
