# make demo      cure a 30-layer sigmoid network on real digits, and prove it
# make test      format, lint, types, floors, tests, documentation
# make test-slow the tests that take more than a few seconds
# make lint      everything of `make test` but the tests
# make format    format the code and fix what ruff can fix
# make docs      run the commands of the documentation and write their output into it
# make bench     measure what a check costs, how often it is right, and how often a cure cures
# make clean     remove caches and builds; .venv stays
#
# Each of these sets up .venv first, unless it is newer than pyproject.toml and
# constraints.txt. Choose another interpreter with `make PYTHON=python3.12 demo`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COG := OMP_NUM_THREADS=1 $(BIN)/cog -I docs --verbosity=1
PAGES := $(wildcard *.md docs/*.md)

.PHONY: help demo test test-slow lint format docs bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("unvanish needs Python 3.11 or newer, and $(PYTHON) is %d.%d; try make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing (torch takes a minute or two the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/unvanish demo

test: lint
	@$(BIN)/python -m pytest -n auto -q

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -n auto -q -m slow

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python docs/_pages.py --check
	@$(BIN)/python docs/_lessons.py --check
	@$(COG) --check --diff --check-fail-msg='run: make docs' $(PAGES)

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(STAMP)
	@$(BIN)/python docs/_pages.py
	@$(BIN)/python docs/_lessons.py
	@$(BIN)/python docs/_picture.py
	@TRIALS=1 $(COG) -r $(PAGES)

bench: $(STAMP)
	@$(BIN)/python -m benchmarks.cost
	@$(BIN)/python -m benchmarks.budget
	@$(BIN)/python -m benchmarks.theory
	@$(BIN)/python -m benchmarks.starts
	@$(BIN)/python -m benchmarks.remedies
	@$(BIN)/python -m benchmarks.paths
	@$(BIN)/python -m benchmarks.very_deep
	@$(BIN)/python -m benchmarks.cures
	@$(BIN)/python -m benchmarks.cures_outside
	@$(BIN)/python -m benchmarks.drawn --count 100
	@$(BIN)/python -m benchmarks.identity
	@$(BIN)/python -m benchmarks.accuracy
	@$(BIN)/python -m benchmarks.runs
	@$(BIN)/python -m benchmarks.outside
	@$(BIN)/python -m benchmarks.peers

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
