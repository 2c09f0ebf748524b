#!/usr/bin/env bash
# The only maker of network namespaces. Every name carries NAME (callers give their process id), nothing of the
# host's own network is touched, and `down` takes everything away again, also what a failed `up` left.
#
#   lab.sh up NAME [QUEUES]     three routers, their hosts, the far side and the collector
#   lab.sh pair NAME [QUEUES]   two namespaces, a and b, joined by one veth pair
#   lab.sh exec NAME WHO CMD..  runs CMD in one namespace, with that namespace's /sys and a BPF file system of its own
#   lab.sh show NAME            namespaces, devices, addresses
#   lab.sh down NAME            ends what runs in the namespaces and removes them
#   lab.sh keep                 `up` as "lab", left standing, and how to enter it
#
#      h1 --- eth0:lan [r1 10.71.1.1 ] tel:c1 --+
#      h2 --- eth0:lan [r2 10.71.2.1 ] tel:c2 --+-- [col]   cN: 10.71.N.254, fd71:3::254
#      h3 --- eth0:lan [r3 fd71:3::1 ] tel:c3 --+
#              each rN also wan:fN --- [far]: the destinations of the hosts, and the routers' BGP neighbour
#
# A router has ONE address, on `tel`, for flow export, BMP and BGP alike; its other links are unnumbered.
# Each veth end has QUEUES receive and transmit queues (2 unless told).
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

members=(col r1 r2 r3 far h1 h2 h3 a b)

usage() {
    sed -n '5,10s/^# *//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

ns() { echo "mr-$name-$1"; }

exists() { [ -e "/run/netns/$(ns "$1")" ]; }

add() {
    local who
    for who in "$@"; do
        if exists "$who"; then
            echo "lab: namespace $(ns "$who") exists already; 'lab.sh down $name' removes it" >&2
            exit 1
        fi
    done
    trap 'status=$?; trap - EXIT; [ $status -eq 0 ] || down; exit $status' EXIT
    for who in "$@"; do
        ip netns add "$(ns "$who")"
        # A new namespace may inherit the host's settings: say what the lab relies on.
        ip netns exec "$(ns "$who")" sysctl -q -w \
            net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
            net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
            net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
        ip -n "$(ns "$who")" link set lo up
    done
}

# wire WHO DEVICE WHO DEVICE: one veth pair, both ends up.
wire() {
    ip link add name "$2" netns "$(ns "$1")" numrxqueues "$queues" numtxqueues "$queues" type veth \
        peer name "$4" netns "$(ns "$3")" numrxqueues "$queues" numtxqueues "$queues"
    ip -n "$(ns "$1")" link set dev "$2" up
    ip -n "$(ns "$3")" link set dev "$4" up
}

# XDP reads the bytes as they are: checksums must be in them, tags in the frame, segments cut.
sender() {
    ip netns exec "$(ns "$1")" ethtool -K "$2" tx off tso off gso off txvlan off >/dev/null 2>&1
}

at() {
    local who=$1
    shift
    ip -n "$(ns "$who")" "$@"
}

up() {
    add col far r1 r2 r3 h1 h2 h3
    local n
    for n in 1 2 3; do
        wire col "c$n" "r$n" tel
        wire "r$n" lan "h$n" eth0
        wire "r$n" wan far "f$n"
        sender "r$n" tel
        sender "h$n" eth0
        sender far "f$n"
        ip netns exec "$(ns "r$n")" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    done
    at far addr add 198.51.100.1/32 dev lo
    at far addr add 198.51.100.10/32 dev lo
    at far addr add 203.0.113.10/32 dev lo
    for n in 1 2; do
        at col addr add "10.71.$n.254/24" dev "c$n"
        at "r$n" addr add "10.71.$n.1/24" dev tel
        at "h$n" addr add "10.$n.0.10/32" dev eth0
        at "h$n" route add default via "10.71.$n.1" dev eth0 onlink
        at "r$n" route add "10.$n.0.0/24" dev lan src "10.71.$n.1"
        at "r$n" route add 198.51.100.0/24 dev wan src "10.71.$n.1"
        at "r$n" route add 203.0.113.0/24 dev wan src "10.71.$n.1"
        at far route add "10.71.$n.1/32" dev "f$n" src 198.51.100.1
        at far route add "10.$n.0.0/24" via "10.71.$n.1" dev "f$n" onlink src 198.51.100.1
    done
    at col -6 addr add fd71:3::254/64 dev c3 nodad
    at r3 -6 addr add fd71:3::1/64 dev tel nodad
    # IPv6 answers for an address only on its own link, so the unnumbered links meet at link-local addresses.
    at r3 -6 addr add fe80::1/64 dev lan nodad
    at r3 -6 addr add fe80::1/64 dev wan nodad
    at h3 -6 addr add 2001:db8:3::10/64 dev eth0 nodad
    at h3 -6 route add default via fe80::1 dev eth0
    at far -6 addr add 2001:db8:ffff::1/64 dev f3 nodad
    at far -6 addr add 2001:db8:ffff::10/64 dev f3 nodad
    at far -6 addr add 2001:db8:eeee::10/64 dev f3 nodad
    at far -6 route add fd71:3::1/128 via fe80::1 dev f3 src 2001:db8:ffff::1
    at far -6 route add 2001:db8:3::/64 via fe80::1 dev f3
    at r3 -6 route add 2001:db8:3::/64 dev lan src fd71:3::1
    at r3 -6 route add 2001:db8:ffff::/64 dev wan src fd71:3::1
    at r3 -6 route add 2001:db8:eeee::/64 dev wan src fd71:3::1
}

pair() {
    add a b
    wire a eth0 b eth0
    sender a eth0
    sender b eth0
    at a addr add 10.73.0.1/24 dev eth0
    at b addr add 10.73.0.2/24 dev eth0
    at a -6 addr add fd73::1/64 dev eth0 nodad
    at b -6 addr add fd73::2/64 dev eth0 nodad
}

# TERM, a second's grace, KILL: for the processes inside our own namespaces only.
end_all() {
    local who pids signal try
    for signal in TERM KILL; do
        for try in 1 2 3 4 5 6 7 8 9 10; do
            pids=$(for who in "${members[@]}"; do if exists "$who"; then ip netns pids "$(ns "$who")"; fi; done)
            [ -n "$pids" ] || return 0
            # shellcheck disable=SC2086
            if [ "$try" = 1 ]; then kill -$signal $pids 2>/dev/null || true; fi
            sleep 0.1
        done
    done
}

down() {
    end_all
    local who
    for who in "${members[@]}"; do
        if exists "$who"; then ip netns del "$(ns "$who")"; fi
    done
}

show() {
    local who
    for who in "${members[@]}"; do
        if exists "$who"; then
            echo "$(ns "$who"):"
            at "$who" -br addr show | sed 's/^/    /'
        fi
    done
}

verb=${1:-}
if [ "$verb" = keep ]; then
    name=lab queues=2
    down
    up
    show
    echo "enter a namespace: sudo ip netns exec $(ns r1) bash; remove the lab: sudo vagrant/lab.sh down lab"
    exit 0
fi
[ $# -ge 2 ] || usage
name=$2
case $name in *[!a-z0-9]* | '')
    echo "lab: a name is made of small letters and digits" >&2
    exit 2
    ;;
esac
queues=${3:-2}
case $verb in
up | pair | down | show) "$verb" ;;
exec)
    [ $# -ge 4 ] || usage
    who=$3
    shift 3
    # ip gives the command a /sys of its own, without the BPF file system: a fresh one, for its life.
    exec ip netns exec "$(ns "$who")" sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' sh "$@"
    ;;
*) usage ;;
esac
