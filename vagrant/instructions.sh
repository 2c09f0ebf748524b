#!/usr/bin/env bash
# Counts the instructions of the hot functions under callgrind and compares them with bench/instructions.txt: more than
# the tolerance above it fails. Instructions are the same on every run, time is not. `--write` writes the file anew.
# Needs target/release/hot (bench.sh builds it).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
baseline=bench/instructions.txt
tolerance_percent=5
counted=$(mktemp)
trap 'rm -f "$counted"' EXIT

# count NAME: instructions for each unit of one function's input.
count() {
    local units total
    units=$(valgrind --tool=callgrind --callgrind-out-file="$counted" --toggle-collect='*counted*' \
        --collect-atstart=no target/release/hot "$1" 2>/dev/null)
    total=$(sed -n 's/^\(summary\|totals\): //p' "$counted" | head -1)
    echo $((total / units))
}

functions=(ipfix_decode_datagram ipfix_join_datagram bmp_walk_message rib_lookup rib_lookup6 rib_update_message)
if [ "${1:-}" = --write ]; then
    for name in "${functions[@]}"; do echo "$name $(count "$name")"; done >"$baseline.tmp"
    mv "$baseline.tmp" "$baseline"
    cat "$baseline"
    exit
fi

status=0
printf '%-28s %10s %10s %9s\n' instructions now baseline tolerance
for name in "${functions[@]}"; do
    now=$(count "$name")
    before=$(sed -n "s/^$name //p" "$baseline")
    printf '%-28s %10s %10s %8s%%\n' "$name" "$now" "$before" "$tolerance_percent"
    if [ -z "$before" ] || [ $((now * 100)) -gt $((before * (100 + tolerance_percent))) ]; then
        echo "$name: more instructions than the baseline allows; if that is meant: vagrant/instructions.sh --write" >&2
        status=1
    fi
done
exit $status
