# Two commands do everything with only Python 3.10+, git and make: `make run`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test test-jax test-slow bench lint format types docs readme clean

run: $(VENV)/installed
	$(BIN)/dlrecipes run slot_filling

# Most of a test is one thread that traces graphs: two processes take half the time.
test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Layers, models and losses on another backend. JAX compiles each step, which takes most of the
# time; what it compiled is kept for the next run.
test-jax: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test,jax]'
	KERAS_BACKEND=jax JAX_COMPILATION_CACHE_DIR=$(abspath $(VENV))/jax-cache \
	    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 \
	    $(BIN)/python -m pytest \
	    tests/layers tests/models tests/losses tests/conformance

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

# Side by side with Keras and PyTorch; nothing else should run on the machine.
bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python benchmarks/recurrent.py
	$(BIN)/python benchmarks/loops.py
	$(BIN)/python -m tools.readme

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation site, in build/docs. It needs no network once its packages are installed.
docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/docs
	@echo "The site is in build/docs/index.html."

# The tables of the recipes' READMEs, from config.py and results.csv, and docs/library.md, from
# docstrings.
readme: $(VENV)/installed
	$(BIN)/python -m tools.readme

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/api *.egg-info .pytest_cache .ruff_cache .mypy_cache
