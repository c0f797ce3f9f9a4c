# Two commands matter: `make demo` (a certified classifier and its report in about a minute) and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
# The tests start python hundreds of times: what it compiled once is kept, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE
# torch first and pinned: an open request can bring a build of several gigabytes for a GPU that is not there.
TORCH ?= torch==2.13.0

.PHONY: demo test test-slow check bench clean

.venv/.app: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[app]"
	touch $@

.venv/.dev: .venv/.app
	$(BIN)/python -m pip install --quiet "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[app,attacks,data,export,imaging,transport]"
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

demo: .venv/.app
	OMP_NUM_THREADS= $(BIN)/taut train digits

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/codespell
	$(BIN)/pyright

test: check
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not compile" --jaxtyping-packages=taut,beartype.beartype
	$(BIN)/python -m pytest -n auto -m "compile and not slow" tests

test-slow: .venv/.dev
	$(BIN)/python -m pytest -m slow tests

bench: .venv/.app
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet "$(TORCH)" "pip>=25.1"
	.venv-bench/bin/python -m pip install --quiet --editable ".[app]"
	.venv-bench/bin/python -m pip install --quiet --no-deps --group peers
	.venv-bench/bin/taut bench all

clean:
	rm -rf .venv .venv-bench build
