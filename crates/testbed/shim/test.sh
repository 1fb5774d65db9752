#!/bin/bash
# Proves the power-loss shim on its own: what was synced stays, what was not goes, and a writer that lies is caught.
# Needs cc and bash. LUOPAN_POWERLOSS_KILLS: rounds of the random-kill part (default 10).
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/powerloss.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0 checks=0
cc -shared -fPIC -O2 -Wall -Wextra -Werror -o "$work/powerloss.so" "$here/powerloss.c" -ldl -lpthread || exit 1
cc -O2 -Wall -Wextra -Werror -o "$work/apply" "$here/powerloss-apply.c" || exit 1
cc -O2 -o "$work/try" "$here/try.c" -lpthread || exit 1

# run NAME CREATE: start the program in an empty root and kill it once it is ready (or after $delay seconds)
run() {
    rm -rf "$work/watched" "$work/journal" && mkdir "$work/watched"
    : > "$work/acks"
    (cd "$work/watched" && exec env LUOPAN_POWERLOSS_ROOT="$work/watched" LUOPAN_POWERLOSS_JOURNAL="$work/journal" \
        LUOPAN_POWERLOSS_CREATE="$2" LD_PRELOAD="$work/powerloss.so" "$work/try" "$1") > "$work/acks" 2> "$work/err" &
    local pid=$!
    if [ -n "${delay:-}" ]; then sleep "$delay"; else
        for _ in $(seq 200); do grep -q ready "$work/acks" && break; kill -0 $pid 2>/dev/null || break; sleep 0.05; done
    fi
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    return 0
} 2>/dev/null
apply() { timeout 60 "$work/apply" "$@" "$work/journal" > "$work/report" || { echo "FAIL apply $*: $(cat "$work/report")"; failed=1; }; }
content() { checks=$((checks + 1)); [ "$(cat "$work/watched/$1" 2>/dev/null)" = "$2" ] || { echo "FAIL $1: expected '$2', found '$(cat "$work/watched/$1" 2>&1)'"; failed=1; }; }
there() { checks=$((checks + 1)); [ -e "$work/watched/$1" ] || { echo "FAIL $1 is missing"; failed=1; }; }
absent() { checks=$((checks + 1)); [ ! -e "$work/watched/$1" ] || { echo "FAIL $1 should be gone"; failed=1; }; }

run files strict
content appended "durable;lost"
apply
content appended "durable;"
content overwritten "0123456789"
content truncated "long content"
content raw "raw"
content synced "all of it"
content dsync "kept"
there stdio
content stdio ""

run names strict
there b2
apply
content a2 a; absent a
content b b; absent b2
content victim victim; content new new
there doomed; there gone; there kept/x
absent fresh; absent alone; absent index-shm
run names with-file
apply
there fresh; content alone alone

run mmap strict
checks=$((checks + 1))
grep -q "shared writable mapping" "$work/err" || { echo "FAIL a shared writable mapping was let through"; failed=1; }

# missing N: acknowledged records that are not in the log
missing() {
    tr '\000' '\n' < "$work/watched/log" > "$work/log.lines" # holes between records; a torn record stays short
    awk -v log_file="$work/log.lines" '
        BEGIN { while ((getline line < log_file) > 0) if (length(line) == 63) { split(line, f, " "); have[f[1] + 0, f[2] + 0] = 1 } }
        NF == 2 && !(($1 + 0, $2 + 0) in have) { n++ }
        END { print n + 0 }' <(head -c -1 "$work/acks" | sed '$d')
}
caught=0 acked=0
for round in $(seq "${LUOPAN_POWERLOSS_KILLS:-10}"); do
    for mode in drop-all keep-prefix keep-random; do
        delay=0.$((RANDOM % 4 + 1))$((RANDOM % 10)) run threads strict
        apply --mode $mode --seed "$round"
        checks=$((checks + 1)) acked=$((acked + $(wc -l < "$work/acks")))
        m=$(missing); [ "$m" = 0 ] || { echo "FAIL $mode, round $round: $m acknowledged records lost"; failed=1; }
    done
    delay=0.2 run broken strict
    echo >> "$work/acks"; echo end >> "$work/acks" # the last line counts here: it was acknowledged before its fsync
    checks=$((checks + 1)) # the kill alone proves nothing: the page cache still has everything
    [ "$(missing)" = 0 ] || { echo "FAIL records were missing before the power loss was applied"; failed=1; }
    apply
    [ "$(missing)" -gt 0 ] && caught=$((caught + 1))
done
unset delay
checks=$((checks + 1))
[ $caught -gt 0 ] || { echo "FAIL a writer that acknowledges before fsync was never caught"; failed=1; }
[ $acked -gt 1000 ] || { echo "FAIL only $acked records were acknowledged: nothing was put to the test"; failed=1; }
echo "powerloss shim: $checks checks, $acked records acknowledged by the honest writer, broken writer caught in $caught rounds, $([ $failed = 0 ] && echo passed || echo FAILED)"
exit $failed
