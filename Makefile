# One door to everything. Nothing is needed but python3.11 or newer and make; with Rust at hand the compiled core is
# built as well (`make CARGO=` goes without).
.DEFAULT_GOAL := help
.PHONY: help setup native demo test check check-native faults soak bench bench-core capacity fmt lock schemas

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
CARGO ?= $(shell command -v cargo 2>/dev/null)
CORE := $(wildcard native/*.toml native/*.lock native/*.pyi) $(shell find native/src -name '*.rs')
CORE_BUILT := .venv/.core-built
CORE_STAMP := $(if $(CARGO),$(CORE_BUILT),.venv/.core-left-out)
DEMO ?=
TEST ?=
FAULTS ?=
BENCH ?=
MINUTES ?= 30

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) $(CORE_STAMP) ## Make .venv with everything that the lock file names, and the compiled core

$(STAMP): requirements.lock pyproject.toml deploy/install
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; install one or say make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once, and again when requirements.lock changes)"
	@deploy/install $(CURDIR)/$(BIN)/python requirements.lock editable
	@touch $(STAMP)

$(CORE_BUILT): $(STAMP) $(CORE)
	@echo "building the compiled core (some minutes at first)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --force-reinstall ./native || \
		{ echo "error: the compiled core does not build, see above; make CARGO= goes on without it, in pure Python"; exit 1; }
	@touch $@

# A core that was built here from sources that have changed since is worse than none.
.venv/.core-left-out: $(STAMP) $(CORE)
	@echo "no cargo: the worker runs in pure Python; for the compiled core install Rust (rustup), or the wheel journey-stream-native"
	@if [ -e $(CORE_BUILT) ] && [ -n "$$(find $(CORE) -newer $(CORE_BUILT))" ]; then \
		$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes journey-stream-native; rm $(CORE_BUILT); fi
	@touch $@

native: setup ## Build the wheel of the compiled core into dist/, for machines without Rust
	@test -n "$(CARGO)" || { echo "error: no cargo found; install Rust, for instance by rustup"; exit 1; }
	@$(BIN)/maturin build --quiet --release --manifest-path native/Cargo.toml --interpreter $(BIN)/python --out dist
	@ls dist/journey_stream_native-*.whl

demo: setup ## Show it all: a real Kafka, a simulated shop, journeys as they happen (DEMO="--days 100")
	@$(BIN)/journey-stream demo $(DEMO)

test: setup ## Run every test, two at a time, those of the worker on a real Kafka (TEST="tests/engine -x")
	@$(BIN)/python -m pytest -n 2 $(TEST)

check: setup check-native ## What CI and pre-commit hold the code to: style, types, architecture, schemas
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell
	@$(BIN)/journey-stream lint --strict
	@$(BIN)/journey-stream schema --check schemas
	@$(BIN)/python -m journey_stream.settings_reference --check docs/configuration.md
	@$(BIN)/python -m examples.clock.draw --check docs/clock.svg
	@$(BIN)/python -m benchmarks.peers.page --check
	@$(BIN)/python -m benchmarks.capacity.page --check docs/capacity.md

check-native: ## The same for the compiled core, where cargo is at hand
ifneq ($(CARGO),)
	@cd native && $(CARGO) fmt --check
	@cd native && $(CARGO) clippy --quiet --locked --all-targets -- -D warnings
else
	@echo "no cargo: the compiled core was not checked"
endif

bench: setup ## The worker beside Kafka Streams, Quix Streams, plain Faust, a bare loop (BENCH="--repeats 1")
	@$(BIN)/python -m benchmarks $(BENCH)

bench-core: setup ## What one event costs without a broker, by stage; fails when it has become slower
	@$(BIN)/python -m benchmarks.core

capacity: setup ## Measure what things cost on this machine, which should be idle; write docs/capacity.md
	@$(BIN)/python -m benchmarks.capacity.measure
	@$(BIN)/python -m benchmarks.capacity.page docs/capacity.md

faults: setup ## Kill, pause, restart workers and brokers under load; nothing lost, wrong, twice (FAULTS="kill-9")
	@$(BIN)/python -m tests.faults $(FAULTS)

soak: setup ## A worker at full speed for half an hour: memory stays flat (MINUTES=30)
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

fmt: setup ## Put code into shape
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
ifneq ($(CARGO),)
	@cd native && $(CARGO) fmt
endif

schemas: setup ## Write what is generated: schemas/, docs/configuration.md, pictures, figures
	@$(BIN)/journey-stream schema schemas
	@$(BIN)/python -m journey_stream.settings_reference docs/configuration.md
	@$(BIN)/python -m examples.clock.draw docs/clock.svg
	@$(BIN)/python -m benchmarks.peers.page
	@$(BIN)/python -m benchmarks.capacity.page docs/capacity.md
	@$(BIN)/journey-stream diagram --format svg -o docs/diagrams relationship lifecycle brand buyer-value four-cycles

lock: ## Write the lock files anew (needs uv; see docs/decisions)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --all-extras --group dev pyproject.toml -o requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --extra speed --group build -c requirements.lock pyproject.toml -o deploy/requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --group native -c requirements.lock -o deploy/native.lock
