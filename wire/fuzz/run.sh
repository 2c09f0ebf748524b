#!/usr/bin/env bash
# Fuzzes each target for a time of the processor, and prints what came of it.
set -euo pipefail
if [ "${1:-}" = --help ] || [ $# -eq 0 ]; then
    cat <<'HELP'
usage: wire/fuzz/run.sh SECONDS [TARGET..]

Runs each target (default: all) until it has used SECONDS of processor time, niced (NICE=0: not). Corpora, finds and
logs stay in target/fuzz/TARGET and are taken up by the next run. Needs `rustup toolchain install nightly` and
`cargo install cargo-fuzz`.

  wire/fuzz/run.sh 60 flow bgp      a minute each
  wire/fuzz/run.sh 1800             half an hour each

Ends with one line a target: processor seconds, executions, edges covered, corpus, peak memory. A crash, an input
that takes over 10 ms, or more than 512 MB of memory ends the target and leaves the input in its folder.
HELP
    exit 0
fi
seconds=$1
shift
cd "$(dirname "$0")/../.."
targets=("$@")
if [ $# -eq 0 ]; then mapfile -t targets < <(sed -n 's/^name = "\(.*\)"/\1/p' wire/fuzz/Cargo.toml | grep -v '^wire-fuzz$'); fi
out=$PWD/target/fuzz
# Without a sanitizer: no unsafe code is compiled into what is fuzzed, and it is three times as fast.
(cd wire && cargo +nightly fuzz build -s none --target-dir "$out/build")
TIMEFORMAT='processor %U'
status=0
for target in "${targets[@]}"; do
    folder=$out/$target
    mkdir -p "$folder/corpus"
    used=$(awk '$1 == "processor" {n += $2} END {print int(n)}' "$folder/log" 2>/dev/null || echo 0)
    limit=$((used + seconds))
    while [ "$used" -lt "$limit" ]; do
        if ! { time nice -n "${NICE:-19}" "$out"/build/*/release/"$target" -max_total_time=60 -timeout=30 -rss_limit_mb=512 \
            -max_len=8192 -print_final_stats=1 -artifact_prefix="$folder/" "$folder/corpus" "wire/fuzz/seeds/$target"; } \
            >>"$folder/log" 2>&1; then
            echo "$target: a find, see $folder" >&2
            status=1
            break
        fi
        used=$(awk '$1 == "processor" {n += $2} END {print int(n)}' "$folder/log")
    done
    awk -v target="$target" '
        $1 == "processor" {seconds += $2}
        $1 == "stat::number_of_executed_units:" {executions += $2}
        $1 == "stat::peak_rss_mb:" && $2 > peak {peak = $2}
        {for (i = 1; i < NF; i++) {if ($i == "cov:") edges = $(i + 1); if ($i == "corp:") corpus = $(i + 1)}}
        END {printf "%s: %d s, %d executions, %d edges, corpus %s, peak %d MB\n", target, seconds, executions, edges, corpus, peak}
    ' "$folder/log"
done
exit $status
