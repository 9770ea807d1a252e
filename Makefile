# sosgate: what a person runs, in the order one needs it. `make` alone lists the targets.
# Nothing here reads the keyboard. Python 3.11 or newer is needed; everything else is fetched.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# nft and ip stand in sbin, which an ordinary user's PATH often lacks.
export PATH := $(PATH):/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# The tests start sosgate some hundred times: what is compiled once is kept.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# An ordinary user gets network namespaces of their own inside a user namespace.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,unshare --user --map-root-user --net --mount)
POLICIES = $(wildcard rules/start.yaml rules/examples/*.yaml)

stage = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

FUZZ_SECONDS ?= 10
SOAK_MESSAGES ?= 1000000
SOAK_POLICIES ?= 10000

.PHONY: help setup demo test check bench fuzz soak format docs lock clean system check-style check-types check-layers \
	check-tests check-rules check-docs

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## Create .venv with the locked packages and the sosgate command

demo: system $(INSTALLED) ## A blocked 911 call, the reason, the mended policy: real calls in namespaces of its own
	@$(AS_ROOT) $(BIN)/sosgate demo

test: system $(INSTALLED) check-tests ## Run every test

check: system $(INSTALLED) check-style check-types check-layers check-tests check-rules check-docs ## What CI runs: format, lint, types, layers, tests, rules, docs
	$(call stage,all checks passed)

bench: system $(INSTALLED) ## Measure the packet path, reading captures against tshark, lint, and media against plain routing
	@missed=0; \
	for table in packet_path reading lint; do $(BIN)/python -m tests.bench.$$table || missed=1; done; \
	$(AS_ROOT) $(BIN)/python -m tests.bench.media_path || missed=1; \
	exit $$missed

# Where atheris cannot be installed, mutations without coverage guidance take its place.
fuzz: $(INSTALLED) ## Fuzz every parser and the engine, FUZZ_SECONDS (10) each
	@test -d build/atheris || $(BIN)/python -m pip install --quiet --no-deps --require-hashes \
	  --target build/atheris --requirement tests/fuzz/requirements.txt || rm -rf build/atheris
	@PYTHONPATH=build/atheris $(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

soak: $(INSTALLED) ## SOAK_MESSAGES (1000000) mutated messages for one engine, SOAK_POLICIES (10000) random ones for lint
	@$(BIN)/python -m tests.fuzz.soak --messages $(SOAK_MESSAGES)
	@$(BIN)/python -m tests.fuzz.agreement --policies $(SOAK_POLICIES)

format: $(INSTALLED) ## Bring the code into the one format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## Write the generated pages and the JSON Schema again
	@$(BIN)/python -m firewall.cli.reference

lock: $(INSTALLED) ## Resolve requirements.lock again (needs uv)
	@{ sed -n '/^#/p' requirements.lock; \
	  uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	    --upgrade --quiet --no-header --no-annotate; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## Remove everything these targets made
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

check-style:
	$(call stage,format and style: ruff)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

check-types:
	$(call stage,types: mypy --strict)
	@$(BIN)/mypy

check-layers:
	$(call stage,layers: import-linter)
	@$(BIN)/lint-imports

# Two at a time what computes, and then, three at a time and file by file, what watches the clock and mostly waits.
check-tests:
	$(call stage,tests: pytest)
	@$(AS_ROOT) $(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not timed"
	$(call stage,tests that watch the clock: pytest)
	@$(AS_ROOT) $(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m timed \
	  $$(grep --recursive --files-with-matches --include='test_*.py' 'mark\.timed' tests)

check-rules:
	$(call stage,our own rules: sosgate lint)
	@$(BIN)/sosgate lint $(POLICIES)

check-docs:
	$(call stage,generated docs are up to date)
	@$(BIN)/python -m firewall.cli.reference --check

# The Python packages, exactly as locked, and sosgate itself from this folder.
$(INSTALLED): requirements.lock pyproject.toml
	@python=$$(.ci/find-python); \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "setup: creating $(VENV) with $$($$python --version)"; \
	  rm -rf $(VENV); "$$python" -m venv $(VENV); \
	fi
	@echo "setup: installing the locked packages"
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q firewall # as pip did the others
	@touch $@

# The tools of the testbed. Root gets them installed; anyone else is told the one line to run.
system:
	@.ci/system-packages
