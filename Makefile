# `make help` explains every target.
PYTHON ?= python3
BIN := .venv/bin
# How many processes run the tests, each with one thread.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# `make test` runs the tests in four processes, each of which imports only what its own need: those of
# running machines, which mostly wait, those that fetch and load feeds, those of workers, and all others.
MACHINES := tests/e2e tests/faults
FEEDS := tests/etl/fetch tests/etl/load
WORK := tests/workers tests/etl/clean tests/etl/commands tests/etl/photos
TESTS := tests-of-machines tests-of-feeds tests-of-work other-tests
# Their files lie in memory where there is room: most of what a test waits for is a disk.
SCRATCH := $(shell [ -w /dev/shm ] && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 8000000 {print "/dev/shm"}')
ALONE = $(if $(SCRATCH),TMPDIR=$(SCRATCH)) OMP_NUM_THREADS=1 $(BIN)/pytest
# QUICK=1 measures less, and leaves the committed results as they are.
QUICK ?=
QUICK_RESULTS := build/bench
# Vectors in the index and the catalogue that `make bench` draws; a million take half an hour more.
ROWS ?= 200000
# How often `make faults` lets each fault happen, and what its tests leave.
ROUNDS ?= 3
FAULT_ROWS := build/faults.jsonl
# How long `make soak` kills processes under mixed load.
MINUTES ?= 30
# ONCE=1 ends the demo after its search.
ONCE ?=
# UPGRADE=1 locks the newest versions, where `make lock` keeps those that are locked.
UPGRADE ?=
# The version for `make release`; DRY=1 changes nothing.
VERSION ?=
DRY ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test $(TESTS) faults soak fuzz bench lint types contracts pytest coverage format deadcode lock audit release clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with everything installed (CPU only)
	@$(PYTHON) scripts/install.py

demo: setup ## Draw, seed, search and serve a sample catalogue (ONCE=1: end after the search)
	@$(BIN)/marketlens demo $(if $(ONCE),--once)

test: setup lint ## Linter, formatter check, types, import contracts and all tests
	@$(MAKE) --no-print-directory -j5 $(TESTS) types contracts

faults: setup ## Every fault ROUNDS=3 times on both databases, into docs/reliability.md; an hour
	rm -f $(FAULT_ROWS) && mkdir -p $(dir $(FAULT_ROWS))
	MARKETLENS_TEST_FAULTS=$(ROUNDS) MARKETLENS_TEST_FAULTS_TABLE=$(abspath $(FAULT_ROWS)) \
		MARKETLENS_TEST_KILLS=10 $(BIN)/pytest tests/faults tests/e2e/test_killed_seeds.py \
		tests/e2e/test_killed_events.py tests/e2e/test_adaptation.py \
		tests/e2e/test_backup.py tests/e2e/test_rolling.py
	$(BIN)/python scripts/fault_table.py $(FAULT_ROWS)

soak: setup ## MINUTES=30 of mixed load with a random kill every 20 s, with a plot; 10 of searches
	MARKETLENS_TEST_SOAK_MINUTES=$(MINUTES) $(BIN)/pytest -s tests/faults/test_mixed_load.py
	MARKETLENS_TEST_SOAK_S=600 $(BIN)/pytest -s tests/e2e/test_soak.py

fuzz: setup ## 500 made-up requests to every operation of the API, 10,000 damaged photos to decoders
	MARKETLENS_TEST_FUZZ=500 $(BIN)/pytest tests/e2e/test_openapi.py tests/models/photo_formats/test_fuzzing.py

bench: setup ## Figures of the whole and of its parts (QUICK=1: of the whole, in four minutes; ROWS=1000000)
	$(BIN)/python -m benchmarks.serving $(if $(QUICK),--quick --into $(QUICK_RESULTS))
ifeq ($(QUICK),)
	$(BIN)/python benchmarks/photo_cleaning.py
	$(BIN)/python benchmarks/feed_intake.py --products $(ROWS)
	$(BIN)/python -m benchmarks.index --rows $(ROWS) --compare
	$(BIN)/python -m benchmarks.adaptation --rows $(ROWS)
endif

lint: setup ## Linter and formatter check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Static types, strict
	$(BIN)/mypy

contracts: setup ## Who may import whom
	$(BIN)/lint-imports

tests-of-machines: setup
	$(ALONE) $(MACHINES)

tests-of-feeds: setup
	$(ALONE) $(FEEDS)

tests-of-work: setup
	$(ALONE) $(WORK)

other-tests: setup
	$(ALONE) tests $(patsubst %,--ignore %,$(MACHINES) $(FEEDS) $(WORK))

pytest: setup ## All tests, spread over WORKERS=2 processes
	$(PYTEST)

coverage: setup ## The same, and how much of the code they reach: a third slower
	$(PYTEST) --cov

format: setup ## Format the code and apply the fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python scripts/settings_table.py
	$(BIN)/python scripts/cli_reference.py
	$(BIN)/python scripts/metrics_reference.py
	$(BIN)/python scripts/dashboard.py
	$(BIN)/python scripts/licences.py

deadcode: setup ## Code that nothing in the product uses
	$(BIN)/vulture

lock: ## Lock the versions and hashes of what pyproject.toml names (UPGRADE=1: the newest)
	$(PYTHON) scripts/lock.py $(if $(UPGRADE),--upgrade)

audit: ## Known vulnerabilities of the versions that are locked
	@$(PYTHON) scripts/audit.py

release: setup ## Release VERSION=x.y.z after `make test` (DRY=1: only check that it can be)
	@$(BIN)/python scripts/release.py $(VERSION) $(if $(DRY),--dry-run)

clean: ## Remove .venv, caches and the data folder var/
	rm -rf .venv var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
