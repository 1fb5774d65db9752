#!/usr/bin/env bash
# Fuzzes every target for SECONDS in all (60 when left out): first the corpus and seeded mutations, then libFuzzer. What fails is kept
# in fuzz/failed/. LUOPAN_FUZZ_TARGET names one target alone; with `--short` only the first part runs, as `make test` does.
set -euo pipefail
cd "$(dirname "$0")/.."

short=0
if [ "${1:-}" = --short ]; then
  short=1
  shift
fi
seconds="${1:-60}"
builds="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"

CARGO_TARGET_DIR="$builds" cargo test --quiet --release --locked --manifest-path fuzz/Cargo.toml -- --nocapture
if [ "$short" = 1 ]; then
  exit 0
fi

if ! command -v c++ >/dev/null; then
  printf 'SKIPPED: libFuzzer: there is no C++ compiler (c++)\n' >&2
  exit 0
fi
# What `cargo fuzz run --sanitizer none` gives to the compiler; all of it is stable. A target is named so that build scripts go without.
host="$(rustc -vV | sed -n 's/^host: //p')"
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1'
RUSTFLAGS="$flags" CARGO_TARGET_DIR="$builds/cov" \
  cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml --features libfuzzer --bin libfuzzer --target "$host"
program="$builds/cov/$host/release/libfuzzer"

mkdir -p fuzz/failed
found=0
targets=(fuzz/corpus/*/)
each=$((seconds / ${#targets[@]}))
if [ -n "${LUOPAN_FUZZ_TARGET:-}" ]; then
  each="$seconds"
fi
for folder in "${targets[@]}"; do
  name="$(basename "$folder")"
  if [ -n "${LUOPAN_FUZZ_TARGET:-}" ] && [ "$LUOPAN_FUZZ_TARGET" != "$name" ]; then
    continue
  fi
  # New inputs are kept with the builds; what is worth keeping for good is minimised into fuzz/corpus by hand (fuzz/README.md).
  grown="$builds/corpus/$name"
  mkdir -p "$grown"
  printf '%s: %s s\n' "$name" "$each"
  log="$builds/$name.log"
  if ! LUOPAN_FUZZ_TARGET="$name" "$program" "$grown" "$folder" \
    -max_total_time="$((each > 0 ? each : 1))" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="fuzz/failed/$name-" -print_final_stats=1 >"$log" 2>&1; then
    printf 'FAILED: %s\n' "$name" >&2
    grep -E 'panicked|bytes were held|ERROR|Test unit written|SUMMARY' "$log" | head -n 12 >&2 || true
    tail -n 5 "$log" >&2
    found=1
  fi
  grep -E 'stat::number_of_executed_units|stat::new_units_added' "$log" || true
done
exit "$found"
