#!/usr/bin/env bash
# `make bench`: builds for release, runs the measurements beside the peers, and counts the instructions of the hot
# functions. QUICK=1: a short form, within three minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# shellcheck source=vagrant/env.sh
. "$here/env.sh"
"$here/provision.sh" bench
options=()
if [ -n "${QUICK:-}" ]; then options=(--octets 16777216 --runs 5 --routers 16); fi
cargo build --release -p bench -p control --bins --features bench/peers
of=(--date "$(date -u +%F)" --commit "$(git describe --always --dirty 2>/dev/null || echo unknown)")
target/release/bench "${of[@]}" "${options[@]}"
growth=()
if [ -n "${QUICK:-}" ]; then growth=(--only pipeline --runs 3); fi
target/release/growth "${of[@]}" "${growth[@]}"

# The live figures need root; collectors of others are measured where they are installed.
live=() forward=()
if [ -n "${QUICK:-}" ]; then
    live=(--only pipeline --runs 2 --seconds 1)
    forward=(--only ns_per_frame --runs 2)
fi
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -E)
"${as_root[@]}" target/release/live "${of[@]}" "${live[@]}"
"${as_root[@]}" target/release/forward "${of[@]}" "${forward[@]}"
target/release/plot
exec "$here/instructions.sh"
