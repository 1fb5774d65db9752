#!/usr/bin/env bash
# Holds a running server to its OpenAPI document with schemathesis: no 5xx, and answers of the statuses, types and shapes that the document
# tells. Bounded and deterministic. The first argument names the program `luopan`; it is built when left out.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.32.5
tool="${XDG_CACHE_HOME:-$HOME/.cache}/luopan/schemathesis-$version"
if [ ! -x "$tool/bin/schemathesis" ]; then
  printf 'installing schemathesis %s\n' "$version" >&2
  python3 -m venv "$tool"
  "$tool/bin/pip" install --quiet "schemathesis==$version" >&2
fi

luopan="${1:-}"
if [ -z "$luopan" ]; then
  cargo build --quiet --release --locked -p luopan-server --bin luopan
  luopan="${CARGO_TARGET_DIR:-$PWD/target}/release/luopan"
fi

folder="$(mktemp -d)"
server=
end() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap end EXIT
"$luopan" --data "$folder/data" scene apply crates/server/tests/shop >/dev/null
"$luopan" --data "$folder/data" serve --listen 127.0.0.1:0 >"$folder/said" 2>"$folder/log" &
server=$!
url=
for _ in $(seq 600); do
  url="$(sed -n 's/^listening on //p' "$folder/said")"
  [ -z "$url" ] || break
  kill -0 "$server" || { cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$url" ] || { printf 'the server does not listen\n' >&2; exit 1; }
key="$(cat "$folder/data/api-key")"

# Something to find under the names that the document gives as examples.
curl -sf -o "$folder/sent" "$url/v1/events?wait_ms=5000" -H "authorization: Bearer $key" -H 'content-type: application/json' \
  -d '[{"id":"1","customer":"customer-42","type":"visit"},{"id":"2","customer":"customer-42","type":"none"}]'

# Not asked: that every wrong input is refused as a whole (an input that does not fit goes to quarantine, with 200), and that every right
# one is taken (a customer, an item or a policy of a drawn name is not there).
cd "$folder"
"$tool/bin/schemathesis" --config-file /dev/null run "$url/openapi.json" \
  --header "Authorization: Bearer $key" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method,ignored_auth \
  --phases examples,coverage,fuzzing --max-examples "${LUOPAN_SCHEMATHESIS_EXAMPLES:-30}" --generation-deterministic \
  --workers 1 --request-timeout 60 --continue-on-failure --warnings off --no-color
if grep -n 'panicked' "$folder/log" >&2; then
  printf 'the server panicked\n' >&2
  exit 1
fi
