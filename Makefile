# Every target works from a clean clone: the first one that needs it makes .venv and installs opcov with its pinned
# development set. `make PYTHON=python3.12 ...` chooses the interpreter that .venv is made from.

PYTHON ?= python3
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
BENCH := $(VENV)/installed-bench
BROWSER := $(VENV)/installed-browser
DOCS := $(VENV)/installed-docs
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install run test test-browser test-capture test-sglang test-thunder check static docs readme schema fixtures bench fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

install: $(INSTALLED) ## make .venv and install opcov with its pinned development set

run: $(INSTALLED) ## run the main job on fixtures/gm: leaves all_ops.py, coverage/*.csv and report/index.html
	$(BIN)/python -m opcov fixtures/gm --out all_ops.py --csv coverage/ --html report/

# A file's tests stay together: what they share is made once. Files keep their order, in which those that take longest come
# early, so that all processes end at about the same time. Of many cores four are enough. Nothing is timed.
PYTEST := $(BIN)/python -m pytest -p no:benchmark --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: $(INSTALLED) ## run the tests; PYTEST_ARGS="-k placement" narrows them, "-n 0" runs them in one process
	$(PYTEST) $(PYTEST_ARGS)

CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome) chromium)
test-browser: $(BROWSER) ## look at the HTML site in headless Chromium, which is installed where apt-get can
	OPCOV_CHROMIUM=$(CHROMIUM) $(PYTEST) tests/browser $(PYTEST_ARGS)

test-capture: $(INSTALLED) ## capture transformers models of all bundled families, three of them at true size: 10 minutes
	OPCOV_TEST_CAPTURE=1 $(BIN)/python -m pytest -s tests/capturing/test_huggingface_models.py $(PYTEST_ARGS)

SGLANG := $(VENV)/sglang
test-sglang: $(SGLANG)/installed ## capture models with a real SGLang on a CPU: 1 GB to install, 10 minutes to run
	OPCOV_SGLANG="$(CURDIR)/$(SGLANG)/bin/python" $(BIN)/python -m pytest tests/capturing/test_sglang_real.py $(PYTEST_ARGS)

# The tests that hold opcov against Thunder. Those that need what one version answered are skipped under another.
VERSION ?= 0.2.6
THUNDER = $(VENV)/thunder-$(VERSION)
FIDELITY := tests/registries tests/test_placement.py tests/test_corpus_gm.py tests/test_check.py \
	tests/reports/test_all_ops.py tests/loaders/test_graphnet.py tests/loaders/test_folder.py \
	tests/loaders/test_export.py tests/loaders/test_scripts.py
test-thunder: $(THUNDER)/installed ## run the tests that ask Thunder with another release of it: VERSION=0.2.5
	PYTHONPATH="$(CURDIR)/$(THUNDER)$${PYTHONPATH:+:$$PYTHONPATH}" $(PYTEST) $(FIDELITY) $(PYTEST_ARGS)

check: static test ## run style, types, layers and the tests

static: $(INSTALLED) ## run style, types and layers, without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DOCS) ## build the documentation: docs/_build/html/index.html
	rm -rf docs/_build
	$(BIN)/python -m sphinx -W --keep-going -n -q -d docs/_build/doctrees -b html docs docs/_build/html

readme: $(INSTALLED) ## write the text of --help into README.md
	COLUMNS=80 $(BIN)/python -m opcov --help > $(VENV)/help.txt
	awk 'NR == FNR { help = help $$0 "\n"; next } \
		/^<!-- \/help -->$$/ { inside = 0 } \
		!inside { print } \
		/^<!-- help -->$$/ { inside = 1; printf "```text\n%s```\n", help }' $(VENV)/help.txt README.md > $(VENV)/README.md
	cp $(VENV)/README.md README.md

schema: $(INSTALLED) ## write the schema of JSON documents, opcov/reports/opcov.schema.json, from their types
	$(BIN)/python -c 'from pathlib import Path; from opcov.reports.json_document import schema_text; \
		Path("opcov/reports/opcov.schema.json").write_text(schema_text(), encoding="utf-8")'

# What a run is meant to end with: 0 captured, 1 a failed one, which is a fixture too.
FIXTURES ?= fixtures/gm
OPCOV_CAPTURE := $(BIN)/python -m opcov capture
REPRODUCIBLE := --reproducible --verdicts
TINY := Qwen/Qwen3-MoE-tiny Qwen/Qwen3-Next-tiny openai/gpt-oss-tiny deepseek-ai/DeepSeek-V3-tiny \
	meta-llama/Llama-4-text-tiny mistralai/Mixtral-tiny microsoft/Phi-3-tiny
fixtures: $(INSTALLED) ## capture fixtures/gm anew from tiny random models; FIXTURES=DIR elsewhere
	for model in $(TINY); do \
		$(OPCOV_CAPTURE) hf fixtures/configurations/$$model --name $$model --out $(FIXTURES) \
			--prompt 6 --dtype float32 $(REPRODUCIBLE) || exit 1; done
	$(OPCOV_CAPTURE) script fixtures/vocabulary_parallel.py --out $(FIXTURES)/Qwen/Qwen3-tiny $(REPRODUCIBLE)
	$(OPCOV_CAPTURE) script fixtures/serving_blocks.py --out $(FIXTURES)/odd/serving-blocks $(REPRODUCIBLE)
	$(OPCOV_CAPTURE) script fixtures/stream_overlap.py --out $(FIXTURES)/odd/stream-overlap --stop-on-crash \
		$(REPRODUCIBLE); test $$? = 1
	$(OPCOV_CAPTURE) script fixtures/unknown_activation.py --out $(FIXTURES)/odd/unknown-activation $(REPRODUCIBLE); \
		test $$? = 1
	$(BIN)/python fixtures/make_graphnet.py
	$(BIN)/python fixtures/make_forms.py

CORPUS ?= fixtures/gm
BENCH_ARGS ?=
bench: $(BENCH) ## measure against baselines of the same run; CORPUS=gm/ BENCH_ARGS="-k warm --rounds 9"
	@mkdir -p benchmarks/results
	$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' -o python_functions='bench_*' -o pythonpath=benchmarks \
		--benchmark-json=benchmarks/results/latest.json --benchmark-columns=min,median,max,rounds --corpus $(CORPUS) $(BENCH_ARGS)

MUTATIONS ?= 200000
fuzz: $(INSTALLED) ## read, judge and place 200,000 mutated fixtures; MUTATIONS=5000 tries fewer
	$(BIN)/python tests/fuzz.py --count $(MUTATIONS)

clean: ## remove everything that the other targets made, .venv included
	rm -rf $(VENV) all_ops.py coverage report docs/_build fuzz-failures .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find opcov tests fixtures docs -name __pycache__ -type d -prune -exec rm -rf {} +

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

# SGLang asks for another torch and for what needs a GPU: it gets an environment that sees .venv, and nothing of that.
$(SGLANG)/installed: $(INSTALLED) tests/capturing/sglang-requirements.txt
	rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement tests/capturing/sglang-requirements.txt
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/opcov_environment.pth"
	@touch $@

$(BENCH): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,bench]"
	@touch $@

$(BROWSER): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,browser]"
	@command -v $(CHROMIUM) > /dev/null || { apt-get update -qq && apt-get install -qq --yes chromium > /dev/null; } || \
		{ echo "there is no Chromium, and apt-get cannot install it; name one: make test-browser CHROMIUM=/usr/bin/chrome" >&2; exit 2; }
	@touch $@

$(DOCS): $(INSTALLED)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "the documentation needs Python 3.11 or newer; choose one: make PYTHON=python3.12 docs" >&2; exit 2; }
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	@touch $@
