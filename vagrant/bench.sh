#!/usr/bin/env bash
# `make bench`: builds for release and runs the measurements. QUICK=1: a short form, within three minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# shellcheck source=vagrant/env.sh
. "$here/env.sh"
"$here/provision.sh" build
options=()
if [ -n "${QUICK:-}" ]; then options=(--octets 16777216 --runs 5 --routers 16); fi
cargo build --release -q -p bench --bins --features peers
exec target/release/bench "${options[@]}"
