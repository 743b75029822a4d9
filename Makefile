# quickstart: install what a run needs, then look for a hidden signal and write the page.
# test:       install the developer tools too, then everything that must hold.
PYTHON ?= python3
BIN := .venv/bin
# Wheels only: nothing is compiled. torch first, pinned, so that nothing else pulls in another build of it.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary=:all: -c constraints.txt

.PHONY: quickstart test test-slow lint bench docs clean

.venv/.run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -e '.[hep]'
	touch $@

.venv/.dev: .venv/.run
	$(PIP) -e '.[hep,cluster,rivals,study,deploy,dev,docs]'
	touch $@

quickstart: .venv/.run
	$(BIN)/unseen run examples/quickstart.yaml

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

test-slow: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m slow

bench: .venv/.dev
	mkdir -p runs/bench
	for script in $(filter-out benchmarks/table.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script --out runs/bench/$$(basename $$script .py).json || exit 1; done

docs: .venv/.dev
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
