# What this repository can do. `make` alone lists it. Needs make and Python 3.11 or later; the rest goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
# More than two cores' worth: most tests wait for sockets most of the time.
PYTEST_WORKERS ?= 3
export PYTHON

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev up test test-all lint format types imports coverage drill bench estimates prices lock debian clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '%-18s %s\n' "$$target" "$$text"; done

setup: ## Make .venv with the command tacho (nothing to do when it is up to date)
	@sh scripts/setup.sh runtime

setup-dev:
	@sh scripts/setup.sh dev

up: setup ## Set up, then run the product: proxy, exporter and embedded ClickHouse
	@exec $(BIN)/tacho up

test: lint coverage ## Set up, then run every check but the big ones (formatting, lint, types, imports, tests, coverage)

test-all: setup-dev debian ## What `make test` leaves out: tests that need Debian packages, downloads or minutes
	@$(BIN)/python -m pytest -q -m big $(PYTEST_FLAGS)

lint: setup-dev ## Formatting, lint, types and import contracts
	@$(BIN)/ruff format --check --quiet --output-format concise . || { echo "lint: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

format: setup-dev ## Format the code and fix what ruff can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

coverage: setup-dev ## Tests with branch coverage, and the gates on it
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) --dist worksteal --cov --cov-report=json --cov-report= $(PYTEST_FLAGS)
	@$(BIN)/python scripts/check_coverage.py .coverage.json

drill: setup-dev ## Kill drills alone: processes killed at random moments under load
	@$(BIN)/python -m pytest -m drill $(PYTEST_FLAGS)

bench: setup-dev ## Speed, memory and start-up against the promised figures (BENCH_FLAGS="--rounds 3" for a quick look)
	@sh scripts/bench.sh $(BENCH_FLAGS)

estimates: setup-dev ## How far estimates of tokens are from what providers counted, over recorded traffic (ESTIMATES_FLAGS="--wrong 20")
	@$(BIN)/python scripts/measure_estimates.py $(ESTIMATES_FLAGS)

prices: setup-dev ## Compile the price table from genai-prices
	@$(BIN)/python scripts/compile_prices.py

# uv does not read pip's configuration, so its index and certificates are passed on; none of it is written to the files.
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate
lock: setup-dev ## Write the lock files anew (LOCK_FLAGS=--upgrade for newer versions)
	@index=$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)}; \
	cert=$${PIP_CERT:-$$($(BIN)/python -m pip config get global.cert 2>/dev/null || true)}; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; fi; \
	if [ -n "$$cert" ]; then export SSL_CERT_FILE="$${SSL_CERT_FILE:-$$cert}"; fi; \
	set -e; \
	$(UV_COMPILE) $(LOCK_FLAGS) pyproject.toml --extra embedded --output-file requirements.lock; \
	$(UV_COMPILE) $(LOCK_FLAGS) pyproject.toml --extra embedded --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock; \
	$(UV_COMPILE) $(LOCK_FLAGS) --group pyproject.toml:build --constraint requirements-dev.lock \
		--output-file requirements-build.lock

# One package a line in tests/debian-packages.txt; installed only where missing.
debian:
	@missing=$$(sed 's/ *#.*//' tests/debian-packages.txt | while read -r package; do \
		[ -z "$$package" ] || dpkg -s "$$package" >/dev/null 2>&1 || printf '%s ' "$$package"; done); \
	if [ -n "$$missing" ]; then \
		command -v apt-get >/dev/null || { echo "test-all: install these by hand: $$missing" >&2; exit 1; }; \
		as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		echo "Installing $$missing"; \
		$$as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	fi

clean: ## Remove .venv and everything that tools leave behind (never .tacho, the data)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info .coverage .coverage.*
	@find proxy exporters dashboards tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} +
