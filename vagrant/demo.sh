#!/usr/bin/env bash
# `make demo`: installs what is missing, builds, then runs vagrant/demo.py as root. MODE=native|generic|socket.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# shellcheck source=vagrant/env.sh
. "$here/env.sh"

mode=${MODE:-native}
case $mode in native | generic | socket) ;; *)
    echo "demo: MODE is native, generic or socket, not '$mode'" >&2
    exit 2
    ;;
esac
"$here/provision.sh" demo
cargo build --release -p control --bin millrace
# Made here, so that it belongs to the caller.
mkdir -p out
run=(/usr/bin/python3 "$here/demo.py" --mode "$mode" --binary target/release/millrace --out "out/demo-$mode")
if [ "$(id -u)" = 0 ]; then exec "${run[@]}"; fi
sudo -v
exec sudo "${run[@]}" --owner "$(id -u):$(id -g)"
