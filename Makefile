# Everything one does with Backdesk, by name. Needs only make and Python 3.11 or newer; `make` alone lists the targets.

VENV := .venv
BIN := $(VENV)/bin
PYTHONS ?= python3.14 python3.13 python3.12 python3.11 python3
POSTGRES_15 := $(wildcard /usr/lib/postgresql/15/bin)

# Processes that test side by side, each with files of tests and a server of its own: `make test WORKERS=2`; 0 is none.
WORKERS ?= 0
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo test test-18 test-15 lint bench lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: $(VENV)/installed ## Make .venv with exactly what requirements.lock names; again only when that changes

$(VENV)/installed: requirements.lock pyproject.toml
	@for python in $(PYTHONS); do \
		"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Backdesk needs Python 3.11 or newer with its venv module, and found none of: $(PYTHONS)." >&2; \
		echo "On Debian or Ubuntu: apt install python3-venv. Elsewhere: make PYTHONS=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	$(BIN)/python -c '' 2>/dev/null || { echo "Making $(VENV) with $$python"; "$$python" -m venv --clear $(VENV); }
	@echo "Installing what requirements.lock names"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## Start a made-up support desk on http://127.0.0.1:8000
	$(BIN)/backdesk demo

test: lint test-18 test-15 ## Lint, then all tests, on PostgreSQL 18 and on an installed 15

test-18: install ## All tests, on the PostgreSQL 18 that pip installed
	$(PYTEST)

test-15: install ## All tests but the browser's and the slow ones, on /usr/lib/postgresql/15 where that exists
	$(if $(POSTGRES_15),BACKDESK_PG_BINDIR=$(POSTGRES_15) $(PYTEST) -m "not browser and not slow",\
	@echo "PostgreSQL 15 is not installed here, so the second round of tests was left out.")

lint: install ## Style, import contracts, types, plugins and migrations, fastest first
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/alembic upgrade head --sql >$(VENV)/migrations.sql && $(BIN)/squawk $(VENV)/migrations.sql
	@echo "Checking plugins, and migrations against models, on a server that is made for it and thrown away"
	@unset DATABASE_URL DATABASE_OWNER_URL; export BACKDESK_DATA_DIR="$$(mktemp -d)" && chmod 711 "$$BACKDESK_DATA_DIR"; \
	trap '$(BIN)/backdesk db stop && rm -rf "$$BACKDESK_DATA_DIR"' EXIT; \
	$(BIN)/backdesk db upgrade && $(BIN)/backdesk check && $(BIN)/backdesk db check

bench: install ## Measure what README claims
	$(BIN)/python -m benchmarks

lock: install ## Resolve pyproject.toml into requirements.lock; UPGRADE=--upgrade also takes newer releases
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet -o requirements.lock $(UPGRADE)
