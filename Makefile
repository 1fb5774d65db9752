# The commands of the repository. Everything is built with one optimised profile (docs/decisions/0001-one-profile.md), outside
# the checkout unless CARGO_TARGET_DIR says otherwise.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/luopan/target
# Real data for tests and measurements; never part of this repository.
export LUOPAN_DATASETS ?= $(abspath $(CURDIR)/../shared/data)

.PHONY: help demo test bench lint deny

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: ## Build luopan and watch the loop learn on 20,000 simulated customers
	cargo build --release --locked -p luopan-server --bin luopan
	"$(CARGO_TARGET_DIR)/release/luopan" demo $(DEMO)

test: ## Run every test, the documentation's examples and the wasm conformance run
	bash scripts/test.sh

bench: ## Run every measurement (or one: BENCH=intake) and write bench/results and the table in bench/README.md
	cargo run --quiet --release --locked -p xtask -- bench $(BENCH)

lint: ## Check the format, clippy with warnings denied, and licences and advisories where cargo-deny is installed
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --release --locked -- -D warnings
	@if cargo deny --version >/dev/null 2>&1 || [ "$(LUOPAN_LINT_DENY)" = 1 ]; then \
		$(MAKE) --no-print-directory deny; \
	else \
		echo 'SKIPPED: cargo deny is not installed (make deny installs it and checks deny.toml)' >&2; \
	fi

deny: ## Check licences, advisories, bans and sources of all dependencies, installing cargo-deny if need be
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
	cargo deny --workspace --locked check
