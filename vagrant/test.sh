#!/usr/bin/env bash
# Everything that must pass before a change lands: format, lints, tests, and the tests that need root and a kernel.
# Prints each step and what it ran; the last line is `N passed, N failed`. Nothing is skipped: what cannot run fails.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# shellcheck source=vagrant/env.sh
. "$here/env.sh"
export CARGO_PROFILE_DEV_DEBUG=${CARGO_PROFILE_DEV_DEBUG:-0} CARGO_PROFILE_TEST_DEBUG=${CARGO_PROFILE_TEST_DEBUG:-0}

"$here/provision.sh" test || exit 1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
failures=()

# step NAME CMD..: a step without tests of its own counts as one. Tests that run themselves again in a namespace
# (all others filtered out) count once.
step() {
    local name=$1 status good bad
    shift
    echo "== $name: $*"
    "$@" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    good=$(sed -n 's/^test result: .* \([0-9]*\) passed;.*; 0 filtered out.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    bad=$(sed -n 's/^test result: .* \([0-9]*\) failed;.*; 0 filtered out.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    if [ "$status" -eq 0 ] && [ "$good" -eq 0 ]; then good=1; fi
    passed=$((passed + good)) failed=$((failed + bad))
    [ "$status" -eq 0 ] || failures+=("$name")
}

# One selection of packages and features for every step, so that nothing is built twice. The eBPF crate is built for
# its own target by control's build script.
all=(--workspace --exclude dataplane-ebpf --features "control/root,lab/root,bench/root")

# in_vm TEST [ONLY]: a test binary under the oldest kernel, or those of its tests whose names hold ONLY.
in_vm() {
    local program
    program=$(cargo test -q "${all[@]}" --test "$1" --no-run --message-format=json |
        sed -n "s/.*\"kind\":\[\"test\"\].*\"name\":\"$1\".*\"executable\":\"\([^\"]*\)\".*/\1/p" | tail -1)
    "$here/vm.sh" "$program" --test-threads=1 "${@:2}"
}

# Test binaries are built as the user and run as root.
if [ "$(id -u)" != 0 ]; then export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E"; fi

step format cargo fmt --all --check
step lints cargo clippy "${all[@]}" --all-targets -- -D warnings
# Every test but root_*, then those one after the other.
plain=$(cargo metadata --no-deps --format-version 1 | /usr/bin/python3 -c '
import json, sys
targets = [target for package in json.load(sys.stdin)["packages"] for target in package["targets"]]
tests = {target["name"] for target in targets if target["kind"] == ["test"]}
print(*("--test=" + name for name in sorted(tests) if not name.startswith("root_")))')
# shellcheck disable=SC2086
step tests cargo test "${all[@]}" --no-fail-fast --lib --bins $plain
step examples cargo test "${all[@]}" --no-fail-fast --doc
# Bounded: a test that waits for ever is a failure with a name.
step "tests with root" timeout --kill-after=30 2400 cargo test "${all[@]}" --no-fail-fast --test 'root_*' -- --test-threads=1

# demos MODE..: the lab end to end in each mode, all at the same time.
demos() {
    local mode pids=() status=0 as=()
    [ "$(id -u)" = 0 ] || as=(sudo)
    for mode in "$@"; do
        "${as[@]}" /usr/bin/python3 "$here/demo.py" --mode "$mode" --binary target/debug/millrace --out "target/demo-$mode" \
            --owner "$(id -u):$(id -g)" &
        pids+=($!)
    done
    for mode in "${pids[@]}"; do wait "$mode" || status=1; done
    return $status
}

step "the lab in native mode" demos native
step "the lab in generic and in socket mode, side by side" demos generic socket
step "verdicts on kernel 6.1 (virtual machine)" in_vm root_verdicts
step "socket steering on kernel 6.1 (virtual machine)" in_vm root_steering
step "attachment and pins on kernel 6.1 (virtual machine)" in_vm root_attach
step "VLANs, bonds and VRFs in the maps on kernel 6.1 (virtual machine)" in_vm root_devices
VM_SECONDS=600 step "5,000 operations on them on kernel 6.1 (virtual machine)" in_vm root_churn
step "forwarding on kernel 6.1 (virtual machine)" in_vm root_forward
step "ways out over several ports on kernel 6.1 (virtual machine)" in_vm root_forward_ports
step "the program of a dump on kernel 6.1 (virtual machine)" in_vm root_dump a_program
step "legs of bonds beside the bonding driver on kernel 6.1 (virtual machine)" in_vm root_bond
VM_CARD=1 step "a card that hashes on kernel 6.1 (virtual machine)" in_vm root_card
step "rules and rates on kernel 6.1 (virtual machine)" in_vm root_rules
step "VLAN, bond and VRF devices on kernel 6.1 (virtual machine)" in_vm root_forward_live the_kernels_own

echo
for name in "${failures[@]}"; do echo "failed: $name"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
