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
.PHONY: help install run test check static readme fixtures bench fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "make %-10s %s\n", $$1, $$2 }'

install: $(INSTALLED) ## make .venv and install opcov with its pinned development set

run: $(INSTALLED) ## run the main job on fixtures/gm: leaves all_ops.py and coverage/*.csv, prints the summary
	$(BIN)/python -m opcov fixtures/gm --out all_ops.py --csv coverage/

test: $(INSTALLED) ## run the tests; PYTEST_ARGS="-k placement" narrows them
	$(BIN)/python -m pytest $(PYTEST_ARGS)

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

$(CAPTURE): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,capture]"
	@touch $@
