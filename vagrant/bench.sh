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
cargo build --release -q -p bench --bins --features peers
target/release/bench --date "$(date -u +%F)" --commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" \
    "${options[@]}"
exec "$here/instructions.sh"
