#!/usr/bin/env bash
# Runs one program as root in a virtual machine of Debian's 6.1 kernel, the oldest that Millrace supports, with the
# VLAN, bonding, bridge and VRF drivers that a host's kernel may lack: `vm.sh PROGRAM [ARGUMENT..]`.
# No image, no network: kernel and program lie in an initial RAM disk; up in seconds, also without KVM.
# The program's output is ours, so is its exit status. Never longer than VM_SECONDS (300).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=vagrant/env.sh
. "$here/env.sh"
cache=$here/../target/vm
modules=(veth 8021q bonding vrf dummy bridge sch_netem)
# With VM_CARD set there is a card, connected to nothing, whose driver hashes what it receives.
card=(-nic none)
if [ -n "${VM_CARD:-}" ]; then
    modules+=(virtio_pci virtio_net)
    card=(-netdev hubport,id=hub,hubid=0 -device virtio-net-pci,netdev=hub,mq=on,rss=on,hash=on)
fi
[ $# -ge 1 ] || {
    sed -n '3s/^# *//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

mkdir -p "$cache"
if [ ! -d "$cache/kernel/boot" ]; then
    image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-6\.1\.[^ ]*\)$/\1/p' | head -1)
    [ -n "$image" ] || {
        echo "vm: apt knows no 6.1 kernel (linux-image-cloud-amd64 of Debian 12)" >&2
        exit 1
    }
    rm -rf "$cache/part"
    mkdir "$cache/part"
    (cd "$cache/part" && apt-get download -q "$image" >/dev/null && dpkg -x ./*.deb . && rm ./*.deb)
    mv "$cache/part" "$cache/kernel"
    depmod -b "$cache/kernel" "$(ls "$cache/kernel/lib/modules")"
fi
kernel=$(ls "$cache/kernel/lib/modules")

disk=$(mktemp -d)
trap 'rm -rf "$disk"' EXIT
mkdir -p "$disk"/{bin,proc,sys,dev,tmp,run,modules,etc,root}
# A program and every library that it is linked with, at the places where its loader looks.
put() {
    local file
    install -D "$1" "$disk$2"
    # Nothing for a script or a static program.
    { ldd "$1" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r file; do
        [ -e "$disk$file" ] || install -D "$file" "$disk$file"
    done
}
put "$(command -v busybox)" /bin/busybox
put "$(command -v ip)" /usr/sbin/ip
put "$(command -v ethtool)" /usr/sbin/ethtool
put "$(command -v bridge)" /usr/sbin/bridge
put "$1" /program
load=""
for module in "${modules[@]}"; do
    while read -r _ file _; do
        name=$(basename "$file")
        case " $load " in *" $name "*) ;; *)
            cp "$file" "$disk/modules/"
            load="$load $name"
            ;;
        esac
    done < <(modprobe -d "$cache/kernel" -S "$kernel" --show-depends "$module" | grep '^insmod')
done
printf -v arguments '%q ' "${@:2}"
cat >"$disk/init" <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /usr/bin /sbin
/bin/busybox --install -s /bin
rm -f /bin/ip
export PATH=/usr/sbin:/bin HOME=/root TMPDIR=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
ulimit -l unlimited
for module in $load; do insmod /modules/\$module; done
ip link set lo up
cd /root
/program $arguments
echo "vm: status \$?"
poweroff -f
END
chmod +x "$disk/init"
(cd "$disk" && find . -print0 | cpio --null -o -H newc --quiet | gzip -1) >"$disk.cpio"
trap 'rm -rf "$disk" "$disk.cpio" "$disk.log"' EXIT

# tcg: a nested machine may offer KVM and hang in it. Its timer may come late on a busy host, which is no fault of the
# kernel's: it need not check.
timeout "${VM_SECONDS:-300}" qemu-system-x86_64 -accel tcg -cpu max -m 1536 -smp 2 -nographic "${card[@]}" -no-reboot \
    -kernel "$cache/kernel/boot/vmlinuz-$kernel" -initrd "$disk.cpio" -append "console=ttyS0 quiet panic=-1 no_timer_check" \
    </dev/null 2>&1 | tr -d '\r' | sed '1,/^Booting from ROM/d; s/^\x1bc\x1b\[?7l\x1b\[2J//' | tee "$disk.log" | grep -v '^vm: status ' || true
status=$(sed -n 's/^vm: status \([0-9]*\)$/\1/p' "$disk.log" | tail -1)
echo "vm: kernel $kernel, status ${status:-none (it did not come to an end)}"
exit "${status:-1}"
