# Every target works from a clean clone: the first one that needs it makes .venv and installs opcov with its pinned
# development set. `make PYTHON=python3.12 ...` chooses the interpreter that .venv is made from.

PYTHON ?= python3
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
CAPTURE := $(VENV)/installed-capture
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install run test test-thunder check static readme fixtures bench fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

install: $(INSTALLED) ## make .venv and install opcov with its pinned development set

run: $(INSTALLED) ## run the main job on fixtures/gm: leaves all_ops.py and coverage/*.csv, prints the summary
	$(BIN)/python -m opcov fixtures/gm --out all_ops.py --csv coverage/

test: $(INSTALLED) ## run the tests; PYTEST_ARGS="-k placement" narrows them
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The tests that hold opcov against Thunder. Those that need what one version answered are skipped under another.
VERSION ?= 0.2.6
THUNDER = $(VENV)/thunder-$(VERSION)
FIDELITY := tests/registries tests/test_placement.py tests/test_corpus_gm.py tests/test_check.py \
	tests/reports/test_all_ops.py tests/loaders/test_graphnet.py tests/loaders/test_folder.py \
	tests/loaders/test_export.py tests/loaders/test_scripts.py
test-thunder: $(THUNDER)/installed ## run the tests that ask Thunder with another release of it: VERSION=0.2.5
	PYTHONPATH="$(CURDIR)/$(THUNDER)$${PYTHONPATH:+:$$PYTHONPATH}" $(BIN)/python -m pytest $(FIDELITY) $(PYTEST_ARGS)

check: static test ## run style, types, layers and the tests

static: $(INSTALLED) ## run style, types and layers, without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

readme: $(INSTALLED) ## write the text of --help into README.md
	COLUMNS=80 $(BIN)/python -m opcov --help > $(VENV)/help.txt
	awk 'NR == FNR { help = help $$0 "\n"; next } \
		/^<!-- \/help -->$$/ { inside = 0 } \
		!inside { print } \
		/^<!-- help -->$$/ { inside = 1; printf "```text\n%s```\n", help }' $(VENV)/help.txt README.md > $(VENV)/README.md
	cp $(VENV)/README.md README.md

fixtures: $(CAPTURE) ## capture fixtures/gm anew from tiny random models
	$(BIN)/python fixtures/make_gm.py
	$(BIN)/python fixtures/make_graphnet.py
	$(BIN)/python fixtures/make_forms.py

CORPUS ?= fixtures/gm
bench: $(INSTALLED) ## time a cold scan against the bare imports; CORPUS=gm/ chooses what is scanned
	$(BIN)/python benchmarks/cold.py $(CORPUS)

MUTATIONS ?= 200000
fuzz: $(INSTALLED) ## read, judge and place 200,000 mutated fixtures; MUTATIONS=5000 tries fewer
	$(BIN)/python tests/fuzz.py --count $(MUTATIONS)

clean: ## remove everything that the other targets made, .venv included
	rm -rf $(VENV) all_ops.py coverage fuzz-failures .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find opcov tests fixtures -name __pycache__ -type d -prune -exec rm -rf {} +

# `python -m venv` may run again over an unfinished .venv, so an interrupted installation heals itself.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "opcov needs Python 3.10 to 3.13, and $(PYTHON) is not; choose one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

# Beside .venv's own lightning-thunder, which it precedes on PYTHONPATH; torch stays. A half-filled folder has no stamp.
$(VENV)/thunder-%/installed: $(INSTALLED)
	rm -rf $(@D)
	$(PIP) install --quiet --no-deps --target $(@D) lightning-thunder==$*
	@touch $@

$(CAPTURE): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,capture]"
	@touch $@
