# `make run` and `make test` need only Python 3.10 to 3.13, git and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test test-jax test-slow bench lint format types docs readme clean

run: $(VENV)/installed
	$(BIN)/dlrecipes run slot_filling

# Tests spend most of their time tracing graphs in one thread: two processes take half the time.
test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Layers, models and losses on the JAX backend. JAX spends most of the time compiling, so its compiled
# functions are cached for the next run.
test-jax: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test,jax]'
	KERAS_BACKEND=jax JAX_COMPILATION_CACHE_DIR=$(abspath $(VENV))/jax-cache \
	    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 \
	    $(BIN)/python -m pytest -n 2 --dist worksteal \
	    tests/layers tests/models tests/losses tests/conformance

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

# Compares speed with Keras and PyTorch; nothing else should run on the machine.
bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python benchmarks/recurrent.py
	$(BIN)/python benchmarks/recipes.py
	$(BIN)/python benchmarks/loops.py
	$(BIN)/python benchmarks/classification.py
	$(BIN)/python -m tools.readme

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/installed
	$(BIN)/mypy

# The documentation site, in build/docs. It needs no network once its packages are installed. Sphinx
# misses new API pages in an incremental build. The course's scripts run only if they have changed:
# `make clean` deletes their pages.
docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	rm -rf build/docs docs/api
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/docs
	@echo "The site is in build/docs/index.html."

# Generated text: the tables of the recipes' READMEs (from config.py and results.csv), docs/library.md
# (from docstrings) and docs/speed.md (from benchmarks/*.csv).
readme: $(VENV)/installed
	$(BIN)/python -m tools.readme

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; (3, 10) <= sys.version_info < (3, 14) or sys.exit("Expected Python 3.10 to 3.13; set PYTHON=python3.11, for example.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/api docs/auto_course *.egg-info .pytest_cache .ruff_cache .mypy_cache
