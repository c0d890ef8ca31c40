# Two commands on a fresh machine with Python 3.11+, make and git: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCALE ?= S1
export AFTERSALE_HOME ?= $(CURDIR)/warehouse

.PHONY: demo test ui bench lint lock clean

demo: $(VENV)/.run-time
	$(BIN)/aftersale demo

ui: $(VENV)/.run-time
	$(BIN)/aftersale ui

# A worker a core; so that they don't fight over cores, each keeps to one thread of linear algebra. Files stay whole, as tests
# of a file share what was made for them, and in their order: whole runs first, small ones fill the end.
test: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.development
	$(BIN)/python -m tests.benchmarks --scale $(SCALE) $(BENCH)

# The environment is the lock, whole and verified by hash (so pip need not resolve), and the project itself, editable.
$(VENV)/.run-time: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.development: $(VENV)/.run-time requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	touch $@

# For maintainers; needs uv. The locks hold hashes and no addresses.
lock:
	printf 'hatchling\neditables\n' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml - -o requirements.lock
	printf 'hatchling\neditables\n' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra dev -c requirements.lock pyproject.toml - -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Renew what is made from the contracts.
.PHONY: dictionary
dictionary: $(VENV)/.run-time
	$(BIN)/python -m expectations.dictionary > docs/data_dictionary.md
