# `make course` and `make test` each set everything up first. `make help` lists the rest.
PYTHON ?= python3
SCALE  ?= smoke
BIN    := .venv/bin
READY  := .venv/.ready

# .ready names the folder it was made in: a virtual environment that was moved does not work.
$(shell test "$$(cat $(READY) 2>/dev/null)" = "$(CURDIR)" || rm -f $(READY))

.DEFAULT_GOAL := help
.PHONY: help setup course site test cluster lint format lab tables lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

# .ready is written last, so a set-up that was interrupted is never trusted: the next call starts afresh.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13; name one that is: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -f $@ || rm -rf .venv
	@rm -f $@
	@echo "Setting up .venv (7 GB, most of it PyTorch with CUDA: 2 to 10 minutes, once) ..."
	@test -d .venv || $(PYTHON) -m venv .venv || \
	  { echo "make: $(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; exit 2; }
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps -q -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps -q --no-build-isolation -e .
	@echo "$(CURDIR)" > $@

setup: $(READY) ## create .venv with the exact versions of requirements.lock

course: $(READY) ## run the course and build its site (SCALE=smoke; for small and full DATA=the folder of the data sets)
	@$(BIN)/gan-restore course --scale $(SCALE) $(if $(DATA),--data "$(DATA)")

site: $(READY) ## build the site of a finished course again (SCALE=smoke)
	@$(BIN)/gan-restore site --scale $(SCALE)

test: $(READY) ## run the tests and the examples in docstrings
	@$(BIN)/python -m pytest

cluster: $(READY) ## test the restoration of an archive on a Ray cluster of this machine (minutes)
	@CLUSTER=1 $(BIN)/python -m pytest tests/inference/test_cluster.py

lint: $(READY) ## check style, types and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo && $(BIN)/mypy

format: $(READY) ## correct style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lab: $(READY) ## open the notebooks in JupyterLab, with exercises to solve
	@$(BIN)/gan-restore exercises --out lab
	@$(BIN)/jupyter lab --notebook-dir=. lab/00_start_here.ipynb

tables: $(READY) ## write the tables in README.md and docs/ (RESULTS=folder of new results)
	@$(BIN)/python benchmarks/tables.py $(if $(RESULTS),"$(RESULTS)")

lock: $(READY) ## renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --all-extras \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml

clean: ## remove .venv and the run folders
	rm -rf .venv runs
