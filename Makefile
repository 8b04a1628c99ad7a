# What people run. Each target installs what it needs first; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One target folder for every checkout of this user: the media stack is large and compiled once.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/oriel/target
CARGO := cargo
BIN := $(CARGO_TARGET_DIR)/release
# What the end-to-end tests and benchmarks run.
PROGRAMS := ORIEL=$(BIN)/oriel ORIEL_LAB=$(BIN)/oriel-lab ORIEL_PYTHON=$(CARGO_TARGET_DIR)/venv/bin/python

.PHONY: help setup setup-test setup-interop web checkout build demo test check fmt rust-test web-check e2e test-interop bench-latency bench-fanout fuzz

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## install what building needs
	@scripts/setup.sh build

setup-test: ## install what testing needs
	@scripts/setup.sh test

web: setup ## build the site
	cd web && npm run --silent build

build: web checkout ## build the server in release
	$(CARGO) build --release --locked --bin oriel

demo: build ## a server with a synthetic broadcaster, live at once
	$(BIN)/oriel demo

test: setup-test check rust-test e2e ## all checks and tests

# Cargo tells checkouts that share a target folder apart by time alone, and would run the other one's older build.
checkout:
	@mkdir -p $(CARGO_TARGET_DIR)
	@[ "$$(cat $(CARGO_TARGET_DIR)/checkout 2>/dev/null)" = "$(CURDIR)" ] || find crates -name '*.rs' -exec touch {} +
	@echo "$(CURDIR)" >$(CARGO_TARGET_DIR)/checkout

check: setup-test web checkout ## format, lints and the web's checks
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	cd web && npm run --silent check

fmt: ## format the Rust code
	$(CARGO) fmt --all

rust-test: setup-test web checkout ## unit and integration tests in Rust, with real ffmpeg
	$(CARGO) test --release --locked --workspace

e2e: setup-test web checkout ## end-to-end tests: the real binary, ffmpeg and Chromium
	$(CARGO) test --release --locked --workspace --no-run --quiet
	cd tests && $(PROGRAMS) npx playwright test

setup-interop:
	@scripts/setup.sh interop

test-interop: setup-interop web checkout ## every publisher with every player, into docs/design/interop.md
	$(CARGO) test --release --locked --workspace --no-run --quiet
	cd tests && $(PROGRAMS) npx playwright test --config interop/playwright.config.ts

bench-latency: setup-test web checkout ## delay from glass to glass on each rung
	$(CARGO) test --release --locked --workspace --no-run --quiet
	cd tests && $(PROGRAMS) npx playwright test --config bench/playwright.config.ts

bench-fanout: setup-test web checkout ## what a viewer costs, beside a floor that only writes
	$(CARGO) test --release --locked --workspace --no-run --quiet
	$(BIN)/oriel-lab fanout --server $(BIN)/oriel

fuzz: ## feed every parser of foreign bytes with anything, each for SECONDS (60)
	fuzz/run.sh $(or $(SECONDS),60)
