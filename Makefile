# `make run` starts the daemon, `make shop` an example whose spans it gets. `make test` runs all checks, and all tests but those
# that take long; `make soak` runs those. `make audit` looks for known vulnerabilities. All set up .venv on first use.
PYTHON ?= python3
CONFIG ?= collector.yaml
VENV := .venv
BIN := $(VENV)/bin
# What running needs, and what working on it needs besides.
RUNTIME := $(VENV)/.installed-runtime
STAMP := $(VENV)/.installed
# With an empty CONSTRAINTS, the newest releases are taken.
CONSTRAINTS ?= --constraint constraints.txt
PIP := $(BIN)/pip install --quiet --disable-pip-version-check $(CONSTRAINTS)

# Tests start hundreds of processes, which would each compile our modules anew where an image says that none may keep them compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run shop test check kernels soak audit page environment
environment: $(STAMP)

$(RUNTIME): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "spanhouse needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 run"; exit 1; }
	@echo "spanhouse: making the environment in $(VENV) (first time only, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable '.[embedded,demo]'
	@touch $@

$(STAMP): $(RUNTIME) sdk/pyproject.toml examples/shop/pyproject.toml
	@echo "spanhouse: installing what checks, tests and the example need (first time only, a few minutes)"
	@$(PIP) --editable '.[dev]' --editable ./sdk --editable ./examples/shop
	@touch $@

# Kernels first, in a step of their own: the daemon would compile them while its page answers, and refuse spans meanwhile.
run: $(RUNTIME)
	@$(BIN)/python -m proto.warm
	@$(BIN)/spanhouse run -c $(CONFIG)

shop: $(STAMP)
	@$(BIN)/python -m shop

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Compiled once, and before the processes that run tests would each do it.
kernels: $(STAMP)
	@$(BIN)/python -m proto.warm

# Files in their order, and not those of many tests first: those of unit tests come last and are short, so that no process has a
# long one left when the others have ended.
test: $(STAMP)
	@$(MAKE) --no-print-directory --jobs=2 check kernels
	@$(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

soak: $(STAMP)
	@$(BIN)/pytest -q -n auto --maxprocesses 4 -m soak

audit: $(STAMP)
	@.ci/audit

# The page's bundle, from its sources and their lock file; needs Node 20 or newer.
WEB := collector/web
page: $(STAMP)
	@$(BIN)/python -m collector.api > $(WEB)/src/api/openapi.json
	@cd $(WEB) && npm ci --silent --no-audit --no-fund && npm run --silent types && npm run --silent check && npm run --silent build
