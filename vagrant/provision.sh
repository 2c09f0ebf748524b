#!/usr/bin/env bash
# Installs on Debian what a stage needs and nothing else: `provision.sh build|bench|demo|test`.
# Prints what is missing before it installs it; asks on a terminal unless YES=1; needs root or sudo for packages.
# No service of a new package is started or enabled. Once a stage is complete a second run is silent.
set -euo pipefail

stage=${1:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=vagrant/env.sh
. "$here/env.sh"

linker_version=0.13.0
llvm=22
# A C tool chain; clang and libelf for the AF_XDP library; rustc with its library source for the eBPF target.
build=(build-essential pkg-config m4 ca-certificates libelf-dev zlib1g-dev libzstd-dev
    clang-$llvm libclang-$llvm-dev llvm-$llvm-dev libpolly-$llvm-dev rustc-web rust-web-src)
# Namespaces, the exporters, and what drives them.
demo=(iproute2 ethtool procps softflowd frr gobgpd python3)
# Counts instructions; the live lab; collectors that we are measured beside.
bench=(valgrind iproute2 ethtool procps util-linux pmacct nfdump)
# Captures to compare with; a virtual machine for the oldest kernel.
test=(tcpdump tshark qemu-system-x86 busybox-static cpio kmod)

case $stage in
build) packages=("${build[@]}") ;;
bench) packages=("${build[@]}" "${bench[@]}") ;;
demo) packages=("${build[@]}" "${demo[@]}") ;;
test) packages=("${build[@]}" "${demo[@]}" "${test[@]}") ;;
*)
    echo "usage: $0 build|bench|demo|test" >&2
    exit 2
    ;;
esac

# The stamp names this machine too: a shared folder may carry it to another one.
stamp=$root/target/.millrace-setup-$stage
key=$(cat "$here/provision.sh" /etc/machine-id 2>/dev/null | sha256sum | cut -d' ' -f1)
if [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
    exit 0
fi

if ! command -v rustup >/dev/null || ! command -v cargo >/dev/null; then
    echo "millrace: rustup and cargo are needed (https://rustup.rs), neither may be missing from PATH" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null || ! grep -qsE '^(ID|ID_LIKE)=.*debian' /etc/os-release; then
    echo "millrace: this script installs on Debian 12 only; elsewhere install what these Debian packages hold:" >&2
    echo "  ${packages[*]}" >&2
    echo "  and: rustup toolchain install nightly --component rust-src; cargo install bpf-linker" >&2
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
# A nightly tool chain with its library source does as well as Debian's.
if rustup run nightly rustc --print sysroot >/dev/null 2>&1 &&
    [ -d "$(rustup run nightly rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
    kept=()
    for package in "${missing[@]}"; do
        case $package in rustc-web | rust-web-src) ;; *) kept+=("$package") ;; esac
    done
    missing=("${kept[@]}")
    link=0
else
    link=1
fi
toolchains=$(rustup toolchain list)
tools=()
command -v bpf-linker >/dev/null || tools+=("bpf-linker $linker_version")
if [ "$link" = 1 ] && ! grep -q '^debian\b' <<<"$toolchains"; then
    tools+=("a rustup link 'debian' to /usr")
fi

if [ ${#missing[@]} -gt 0 ] || [ ${#tools[@]} -gt 0 ]; then
    echo "millrace ($stage) needs what this machine lacks:"
    [ ${#missing[@]} -eq 0 ] || echo "  Debian packages: ${missing[*]}"
    [ ${#tools[@]} -eq 0 ] || printf '  for cargo: %s\n' "${tools[@]}"
    echo "  (no service of these packages will be started or enabled)"
    if [ -t 0 ] && [ "${YES:-}" != 1 ]; then
        read -r -p "Install them? [y/N] " answer
        case $answer in y | Y | yes) ;; *)
            echo "millrace: nothing installed" >&2
            exit 1
            ;;
        esac
    fi
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Every link by which a package makes a service start at boot.
boot_links() {
    find /etc/systemd/system /etc/rc[0-6S].d -name '*.service' -o -name '*.socket' -o -name 'S[0-9]*' 2>/dev/null | sort
}

policy=/usr/sbin/policy-rc.d
# Puts the machine's own policy back and takes new boot links away again, however the installation ended.
restore() {
    status=$?
    trap - EXIT INT TERM
    as_root rm -f "$policy"
    if [ -e "$kept_policy" ]; then as_root mv "$kept_policy" "$policy"; fi
    boot_links >"$work/after"
    comm -13 "$work/before" "$work/after" | while read -r fresh; do
        case $fresh in
        # Sysvinit keeps a disabled service as K; systemd forgets the link.
        /etc/rc*) as_root mv "$fresh" "$(dirname "$fresh")/K01${fresh##*/S[0-9][0-9]}" ;;
        *) as_root rm -f "$fresh" ;;
        esac
    done
    rm -rf "$work"
    exit "$status"
}

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "millrace: installing packages needs root or sudo" >&2
        exit 1
    fi
    (
        work=$(mktemp -d)
        kept_policy=$policy.millrace-kept
        boot_links >"$work/before"
        trap restore EXIT
        trap 'exit 130' INT TERM
        [ ! -e "$policy" ] || as_root mv "$policy" "$kept_policy"
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        as_root apt-get update -q -o DPkg::Lock::Timeout=300 || echo "millrace: apt-get update failed, going on with the lists at hand" >&2
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" </dev/null
    )
fi
if [ "$link" = 1 ] && ! grep -q '^debian\b' <<<"$toolchains"; then
    rustup toolchain link debian /usr
fi
if ! command -v bpf-linker >/dev/null; then
    # From a directory without a tool chain file: a released rustc builds it.
    (cd / && LLVM_PREFIX=/usr/lib/llvm-$llvm RUSTFLAGS="-L /usr/lib/llvm-$llvm/lib" \
        cargo install bpf-linker --version $linker_version --no-default-features --features llvm-$llvm)
fi

mkdir -p "$root/target"
echo "$key" >"$stamp"
