# Two commands do everything on a machine that has only Python 3.11 or newer: `make demo` and `make test`.
# The environment is made in .venv by the first of them; a second run finds it there.

BIN := .venv/bin
JOBS ?= 4

.PHONY: help demo test soak mutants lint bench bench-peers lock lock-peers clean

help:
	@echo "make demo    a provider that keeps changing, a sync, and a consumer that prints every change"
	@echo "make test    linters, types, the floors of the architecture, and the whole test suite"
	@echo "make soak    the tests that take minutes each: long outages, kills, plays of the laws"
	@echo "make lint    the first three of the tests"
	@echo "make bench   the benchmarks, with their goals (QUICK=1: small ones)"
	@echo "make bench-peers  the same work done by others, side by side (QUICK=1: small; ARGS=\"--series NAME\" goes on where it was cut off)"
	@echo "make lock    renew the lock files from pyproject.toml"
	@echo "make clean   take away what make and the tests have made"

demo: .venv/.run-ready
	@$(BIN)/headrace demo

# The linters do not hide the tests: both run, and the exit code is bad when either is.
# Pictures of the console's pages are left in .artifacts/pages.
test: .venv/.dev-ready
	@tools/browser
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	HEADRACE_TEST_SCREENSHOTS=.artifacts/pages $(BIN)/pytest -n $(JOBS) || status=1; \
	exit $$status

# What takes minutes each and is no part of `make test`.
soak: .venv/.dev-ready
	HEADRACE_SOAK=1 $(BIN)/pytest -m soak

# Breaks the stream, and what the complaints are about, on purpose, and tells whether a test notices.
mutants: .venv/.dev-ready
	@status=0; \
	$(BIN)/python tests/stream/mutants.py || status=1; \
	$(BIN)/python tests/complaints/mutants.py || status=1; \
	exit $$status

lint: .venv/.dev-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev-ready
	@$(BIN)/python -m bench $(if $(QUICK),--quick)

# The peers stand in environments of their own under .bench, which this makes from the lock files beside them.
bench-peers: .venv/.dev-ready
	@$(BIN)/python -m bench.peers $(if $(QUICK),--quick) $(ARGS)

.venv/.run-ready: requirements.lock pyproject.toml tools/environment
	@tools/environment requirements.lock
	@touch $@

.venv/.dev-ready: requirements-dev.lock requirements.lock pyproject.toml tools/environment
	@tools/environment requirements-dev.lock
	@touch $@ .venv/.run-ready

# uv resolves for every system and Python at once; pip installs what it found.
COMPILE = .lock/bin/uv pip compile pyproject.toml --quiet --universal --generate-hashes --custom-compile-command "make lock"

lock:
	@python3 -m venv .lock && .lock/bin/python -m pip install --quiet uv
	@$(COMPILE) --upgrade --group build --output-file requirements.lock
	@$(COMPILE) --upgrade --group dev --constraints requirements.lock --output-file requirements-dev.lock
	@rm -rf .lock

lock-peers:
	@python3 -m venv .lock && .lock/bin/python -m pip install --quiet uv
	@for peer in airbyte dlt singer; do \
	  .lock/bin/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --upgrade --generate-hashes \
	    --custom-compile-command "make lock-peers" \
	    --output-file bench/peers/environments/$$peer/requirements.lock bench/peers/environments/$$peer/requirements.in \
	  || exit 1; \
	done
	@cd bench/peers/environments/sync_engine && npm update --package-lock-only --omit=optional --loglevel=error
	@rm -rf .lock

clean:
	rm -rf .venv .lock .demo .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis .artifacts
