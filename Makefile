# One entry for everything: `make help`. Needs Python 3.11 or newer (with venv), make, and a package index.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := mts_stream producers tests

# Tests run in WORKERS processes; each of them starts its own Kafka and ClickHouse on free ports.
WORKERS ?= 2
ARGS ?=

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

.PHONY: demo
demo: install ## The whole dataflow on this machine; Ctrl-C ends it (ARGS="--duration 60 --pairs 5")
	$(BIN)/mts-stream demo $(ARGS)

.PHONY: test
test: install chromium ## Every test, on real Kafka, ClickHouse engine, sockets and browser; coverage floor 90 %
	@rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long" --cov --cov-report=term \
	  --durations=10 $(ARGS)

.PHONY: long
long: install ## The tests that `make test` leaves out: whole demos, kills and disks of which it has shorter ones (5 min)
	$(BIN)/python -m pytest -n $(WORKERS) -m long $(ARGS)

.PHONY: conformance
conformance: install ## Books against the venues' own under every fault and 200 seeds of mixed ones, models, a million damaged frames
	CONFORMANCE_SEEDS=$${CONFORMANCE_SEEDS:-200} CONFORMANCE_EXAMPLES=$${CONFORMANCE_EXAMPLES:-20000} \
	FUZZ_FRAMES=$${FUZZ_FRAMES:-1000000} \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist load tests/simulation tests/conformance \
	  tests/domain/test_book_model.py tests/producers/test_book_model.py tests/exchanges/test_fuzz.py $(ARGS)

.PHONY: chaos
chaos: install ## Workers, sink, Kafka and ClickHouse killed, frozen and joined: the same results, and each one row (SEEDS=5)
	CHAOS_SEEDS=$${SEEDS:-5} CHAOS_DISTURBANCES=$${DISTURBANCES:-6} \
	CHAOS_BACKLOG_MIB=1024 CHAOS_HELD_S=20 CHAOS_FETCH_RECORDS_MAX=1000 \
	  $(BIN)/python -m pytest tests/chaos -p no:cacheprovider -s $(ARGS)

.PHONY: lint
lint: install ## Style, types and layers
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: install ## Put the code into its form
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: bench
bench: install peers ## The job in nine engines, the whole worker, the store: figures with bars (75 min; ARGS="--quick": 20)
	$(BIN)/python -m tests.benchmarks.same_job $(ARGS)
	$(BIN)/python -m tests.benchmarks.product $(ARGS)
	$(BIN)/python -m tests.benchmarks.store $(ARGS)

.PHONY: measure
measure: install ## Measure our parts one by one, beside others (ARGS="-k engine" for some)
	$(BIN)/python -m pytest tests/benchmarks -p no:cacheprovider -s -o "python_files=bench_*.py" $(ARGS)

PEERS := build/peers
STREAMS := build/kafka-streams/same-job.jar

.PHONY: peers
peers: install $(PEERS)/.installed $(STREAMS) ## Install the engines that `make race` compares with, in an environment of their own

$(PEERS)/.installed: tests/benchmarks/same_job/peers/requirements.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(STREAMS): tests/benchmarks/kafka_streams/pom.xml $(wildcard tests/benchmarks/kafka_streams/src/main/java/samejob/*.java)
	@if command -v mvn >/dev/null && command -v javac >/dev/null; then mvn -q -B -f $< package && touch $@; \
	else echo "make: no mvn or no javac found (Debian: maven, default-jdk-headless); kafka_streams is left out" >&2; fi

.PHONY: load
load: install ## 800 books, 8,000 and 40,000 records/s into a real broker: nothing lost, order kept (5 min)
	$(BIN)/python -m pytest tests/load -p no:cacheprovider -s -o "python_files=load_*.py" $(ARGS)

# mutmut's own dependencies stay out of .venv, whose versions come first.
MUTMUT := $(BIN)/python -c 'import sys; sys.path.append("build/mutation"); from mutmut.__main__ import cli; cli()'

.PHONY: mutation
mutation: install ## Make the economics wrong in every way: which mutants do the tests see (ten minutes; docs/mutation.md)
	@test -d build/mutation/mutmut || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-warn-conflicts --target build/mutation "mutmut==3.8.1"
	CONFORMANCE_EXAMPLES=25 $(MUTMUT) run $(ARGS)
	@$(MUTMUT) results && $(MUTMUT) export-cicd-stats
	@$(BIN)/python -c 'import json, sys; s = json.load(open("mutants/mutmut-cicd-stats.json")); \
	  seen, total = s["killed"] + s["timeout"], s["total"]; print(f"{seen} of {total} mutants seen: {seen / total:.1%}"); \
	  sys.exit(seen < 0.95 * total)'

.PHONY: install
install: $(STAMP) ## Make .venv with exactly what requirements.lock names

KERNEL_SOURCES := $(wildcard mts_stream/*/*.pyx mts_stream/*/*.pxd mts_stream/domain/*.py)

$(STAMP): requirements.lock pyproject.toml setup.py $(KERNEL_SOURCES)
	@if [ -z "$(PYTHON)" ]; then \
	  echo "make: no Python 3.11 or newer with venv found; install one (Debian: apt-get install python3-venv) or say PYTHON=/path/to/python3" >&2; \
	  exit 1; fi
	@test -x $(BIN)/python || { echo "Making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing $$(grep -c == requirements.lock) packages; the first time takes a minute or two"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python setup.py --quiet build_ext --inplace --parallel 2 2>&1 | grep '^mts-stream:' >&2 || true
	@touch $(STAMP)

.PHONY: chromium
chromium: ## Find a headless browser for the page's tests, or install Debian's where this user may
	@if command -v chromium chromium-browser google-chrome chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing chromium for the page's tests"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null </dev/null \
	    || echo "make: chromium could not be installed; the page's tests in a browser will be skipped" >&2; \
	else \
	  echo "make: no chromium found and no right to install one; the page's tests in a browser will be skipped" >&2; \
	fi

.PHONY: lock
lock: ## Resolve pyproject.toml anew into requirements.lock, newest versions
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check "setuptools>=77" Cython
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable ".[local,dev]"
	{ sed -n '/^#/p' requirements.lock; \
	  build/lock/bin/python -m pip freeze --all --exclude pip --exclude wheel --exclude-editable; } > build/requirements.lock
	mv build/requirements.lock requirements.lock
	rm -rf build/lock

.PHONY: clean
clean: ## Remove everything that make made, also .venv
	rm -rf $(VENV) build dist mutants htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .mts *.egg-info
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
