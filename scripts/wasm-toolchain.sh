#!/usr/bin/env bash
# Finds a compiler for wasm32-unknown-unknown, installing one where it can, and prints one word: rustup, debian or none.
# It never touches the ordinary compiler. With LUOPAN_REQUIRE_ALL=1 "none" is a failure; what it tried goes to stderr.
set -euo pipefail

target=wasm32-unknown-unknown
say() { printf 'wasm toolchain: %s\n' "$*" >&2; }
answer() { printf '%s\n' "$1"; exit 0; }

rustup_has_target() { command -v rustup >/dev/null && rustup target list --installed 2>/dev/null | grep -qx "$target"; }

# Debian's rustc-web is newer than Debian's rustc and comes with its sources; cargo builds std from them.
debian_packages=(rustc-web cargo-web rust-web-src lld-22)
debian_is_ready() {
  [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && command -v wasm-ld-22 >/dev/null &&
    dpkg-query -W -f '${Status}\n' "${debian_packages[@]}" 2>/dev/null | grep -cx 'install ok installed' | grep -qx "${#debian_packages[@]}"
}

rustup_has_target && answer rustup
debian_is_ready && answer debian

tried=()
if ! command -v rustup >/dev/null; then
  tried+=("there is no rustup")
elif [ "${RUSTUP_AUTO_INSTALL:-1}" = 0 ]; then
  tried+=("rustup is told to install nothing (RUSTUP_AUTO_INSTALL=0)")
else
  say "adding $target with rustup"
  if timeout 300 rustup target add "$target" >&2 && rustup_has_target; then answer rustup; fi
  tried+=("'rustup target add $target' failed")
fi

if ! command -v apt-get >/dev/null; then
  tried+=("this is not Debian")
elif [ "$(id -u)" != 0 ]; then
  tried+=("only root can run 'apt-get install ${debian_packages[*]}'")
else
  say "installing ${debian_packages[*]} with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -qy --no-install-recommends "${debian_packages[@]}"; } >&2 || true
  if debian_is_ready; then answer debian; fi
  tried+=("'apt-get install ${debian_packages[*]}' failed")
fi

printf -v why '%s; ' "${tried[@]}"
if [ "${LUOPAN_REQUIRE_ALL:-0}" = 1 ]; then
  say "FAILED: no compiler for $target: ${why%; }"
  exit 1
fi
say "SKIPPED: the wasm build and the conformance run under Node: ${why%; }"
answer none
