# The commands of the repository. Everything is built with one optimised profile (docs/decisions/0001-one-profile.md), outside
# the checkout unless CARGO_TARGET_DIR says otherwise.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/luopan/target
# Real data for tests and measurements; never part of this repository.
export LUOPAN_DATASETS ?= $(abspath $(CURDIR)/../shared/data)

.PHONY: help demo test fuzz bench lint deny advisories

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 24

demo: ## Build luopan and watch the loop learn on 20,000 simulated customers and 9,000 funds
	cargo build --release --locked -p luopan-server --bin luopan
	"$(CARGO_TARGET_DIR)/release/luopan" demo $(DEMO)

test: ## Run every test, the documentation's examples and the wasm conformance run
	bash scripts/test.sh

fuzz: ## Fuzz everything that is read from outside or from stores, for a minute (or SECONDS=N)
	bash scripts/fuzz.sh $(or $(SECONDS),60)

bench: ## Run every measurement (or one: BENCH=intake) and write bench/results and the table in bench/README.md
	cargo run --quiet --release --locked -p xtask -- bench $(BENCH)

lint: ## Check the format, clippy with warnings denied, and dependencies where cargo-deny is installed (LUOPAN_LINT_DENY=1 installs it)
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --release --locked -- -D warnings
	@if [ "$(LUOPAN_LINT_DENY)" = 1 ] || cargo deny --version >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory deny; \
	else \
		echo 'SKIPPED: licences, bans and sources of dependencies: cargo-deny is not installed (make deny installs it)' >&2; \
	fi

deny: ## Check licences, bans and sources of all dependencies against deny.toml
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
	cargo deny --workspace --locked check licenses bans sources

# Apart from `deny`: the answer depends on the day, and the database is fetched from its home.
advisories: ## Check all dependencies against today's advisory database (needs the network)
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
	cargo deny --workspace --locked check advisories
