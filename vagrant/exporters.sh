#!/usr/bin/env bash
# Real exporters in a lab that `lab.sh up NAME` made; files, logs and process ids lie in DIR.
#
#   exporters.sh start NAME DIR   starts all daemons and returns once every BGP session holds its routes
#   exporters.sh flush NAME DIR   makes softflowd export what its cache still holds
#   exporters.sh refresh NAME DIR lets the neighbour announce everything again
#   exporters.sh stop NAME DIR    ends them by process id
#
#   r1  FRR bgpd, BMP pre- and post-policy      softflowd, IPFIX
#   r2  GoBGP, BMP of all its tables            softflowd, NetFlow v9
#   r3  FRR bgpd over IPv6, BMP over IPv6       softflowd, IPFIX over IPv6
#   far FRR bgpd, AS 64500: the neighbour of all three. It announces the same prefixes to each of them with
#       another AS path and another community, so only the right router's table gives the right answer.
#
# Destinations on the collector: UDP 4739 (IPFIX), UDP 2055 (NetFlow), TCP 11019 (BMP).
# ROUTES: how many prefixes are announced to each router besides the one that hosts send to (250; at most 4000).
# KEEP_RECEIVED=no: FRR keeps no table of what it received; its pre-policy view is then made of withdrawals.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$PATH:/usr/sbin:/sbin:/usr/lib/frr

routes=${ROUTES:-250}
far=("" 198.51.100.10 198.51.100.10 2001:db8:ffff::10)
verb=${1:-} name=${2:-} dir=${3:-}
[ -n "$dir" ] || {
    sed -n '4,7s/^# *//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# inside WHO LABEL CMD..: in the background, output to DIR/LABEL.log, process id to DIR/LABEL.run.
inside() {
    local who=$1 label=$2
    shift 2
    ip netns exec "mr-$name-$who" "$@" >"$dir/$label.log" 2>&1 </dev/null &
    echo $! >"$dir/$label.run"
}

bgpd() { # WHO
    mkdir -p "$dir/$1.vty"
    chown frr:frr "$dir/$1.vty" "$dir/$1.conf"
    inside "$1" "$1-bgpd" /usr/lib/frr/bgpd -M bmp --no_zebra -f "$dir/$1.conf" -i "$dir/$1.vty/pid" \
        --vty_socket "$dir/$1.vty" -u frr -g frr --log "stdout"
}

# frr_router WHO AS ID NEIGHBOUR FAMILY COLLECTOR
frr_router() {
    local received=""
    if [ "${KEEP_RECEIVED:-yes}" = yes ]; then received="  neighbor $4 soft-reconfiguration inbound"$'\n'; fi
    cat >"$dir/$1.conf" <<END
hostname $1
router bgp $2
 bgp router-id $3
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor $4 remote-as 64500
 neighbor $4 ebgp-multihop 4
 neighbor $4 timers connect 1
 address-family $5 unicast
  neighbor $4 activate
$received  neighbor $4 route-map prefer in
 exit-address-family
 bmp targets collector
  bmp connect $6 port 11019 min-retry 100 max-retry 500
  bmp monitor $5 unicast pre-policy
  bmp monitor $5 unicast post-policy
  bmp stats interval 2000
 exit
route-map prefer permit 10
 set local-preference 200
END
}

# The prefixes that hosts send to, and some hundred more so that a table is more than one entry.
prefixes() {
    echo 198.51.100.0/24
    local i
    for i in $(seq 0 $((routes - 1))); do echo "100.$((64 + i / 256)).$((i % 256)).0/24"; done
}
prefixes6() {
    echo 2001:db8:ffff::/48
    local i
    for i in $(seq 0 $((routes - 1))); do printf '2001:db8:%x::/48\n' $((4096 + i)); done
}

far_conf() {
    cat <<END
hostname far
router bgp 64500
 bgp router-id 198.51.100.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor 10.71.1.1 remote-as 65001
 neighbor 10.71.1.1 ebgp-multihop 4
 neighbor 10.71.1.1 advertisement-interval 0
 neighbor 10.71.2.1 remote-as 65002
 neighbor 10.71.2.1 ebgp-multihop 4
 neighbor 10.71.2.1 advertisement-interval 0
 neighbor fd71:3::1 remote-as 65003
 neighbor fd71:3::1 ebgp-multihop 4
 neighbor fd71:3::1 advertisement-interval 0
 address-family ipv4 unicast
$(prefixes | sed 's/^/  network /')
  neighbor 10.71.1.1 activate
  neighbor 10.71.1.1 route-map to-r1 out
  neighbor 10.71.2.1 activate
  neighbor 10.71.2.1 route-map to-r2 out
 exit-address-family
 address-family ipv6 unicast
$(prefixes6 | sed 's/^/  network /')
  neighbor fd71:3::1 activate
  neighbor fd71:3::1 route-map to-r3 out
 exit-address-family
route-map to-r1 permit 10
 set as-path prepend 65010 65100
 set community 65010:1
route-map to-r2 permit 10
 set as-path prepend 65020 65021 65100
 set community 65020:2 65020:77
 set large-community 65020:7:7
route-map to-r3 permit 10
 set as-path prepend 65030 65100
 set community 65030:3
END
}

gobgp_conf() {
    cat <<END
[global.config]
  as = 65002
  router-id = "10.71.2.1"
  local-address-list = ["10.71.2.1"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "198.51.100.1"
    peer-as = 64500
  [neighbors.timers.config]
    connect-retry = 1
  [neighbors.ebgp-multihop.config]
    enabled = true
    multihop-ttl = 4
[[bmp-servers]]
  [bmp-servers.config]
    address = "10.71.2.254"
    port = 11019
    route-monitoring-policy = "all"
    statistics-timeout = 15
END
}

# softflow ROUTER VERSION COLLECTOR: every UDP packet of the hosts, no other; exported after at most 3 s.
softflow() {
    inside "$1" "$1-softflowd" softflowd -i lan -v "$2" -n "$3" -d -6 -T full -B 8388608 \
        -t udp=2 -t maxlife=3 -t expint=1 -p "$dir/$1-softflowd.pid" -c "$dir/$1-softflowd.ctl" udp
}

# How many prefixes the neighbour has announced to this router, by its own word.
learned() {
    case $1 in
    r2) ip netns exec "mr-$name-r2" gobgp global rib summary 2>/dev/null | sed -n 's/.*Path: *\([0-9]*\).*/\1/p' ;;
    *) ip netns exec "mr-$name-$1" vtysh --vty_socket "$dir/$1.vty" -d bgpd -c 'show bgp summary json' 2>/dev/null |
        sed -n 's/.*"pfxRcd": *\([0-9]*\).*/\1/p' | head -1 ;;
    esac
}

ended() {
    local run
    for run in "$dir"/*.run; do
        if ! kill -0 "$(cat "$run")" 2>/dev/null; then
            echo "exporters: ${run%.run} ended at once:" >&2
            tail -5 "${run%.run}.log" >&2
            return 0
        fi
    done
    return 1
}

start() {
    mkdir -p "$dir"
    chmod 755 "$dir"
    far_conf >"$dir/far.conf"
    gobgp_conf >"$dir/r2.toml"
    frr_router r1 65001 10.71.1.1 198.51.100.1 ipv4 10.71.1.254
    frr_router r3 65003 10.71.3.1 2001:db8:ffff::1 ipv6 fd71:3::254
    trap 'status=$?; trap - EXIT; [ $status -eq 0 ] || stop; exit $status' EXIT
    bgpd far
    bgpd r1
    bgpd r3
    inside r2 r2-gobgpd gobgpd -f "$dir/r2.toml" --api-hosts 127.0.0.1:50051 --log-level info
    softflow r1 10 10.71.1.254:4739
    softflow r2 9 10.71.2.254:2055
    softflow r3 10 "[fd71:3::254]:4739"
    local want who try
    want=$(prefixes | wc -l)
    for who in r1 r2 r3; do
        for try in $(seq 1 100); do
            [ "$(learned $who)" != "$want" ] || continue 2
            if ended; then exit 1; fi
            sleep 0.2
        done
        echo "exporters: $who has learned '$(learned $who)' of $want prefixes after 20 s" >&2
        exit 1
    done
}

# softflowd's capture hands packets over in blocks of 256 KiB, at any rate: what the hosts have sent comes out only
# once more has come in. So the hosts fill a block with packets for port 9, which nobody counts, and then softflowd
# is told to export its cache.
flush() {
    local n hosts=()
    for n in 1 2 3; do
        ip netns exec "mr-$name-h$n" "$here/hosts.py" fill "${far[$n]}" >/dev/null &
        hosts+=($!)
    done
    wait "${hosts[@]}"
    sleep 1
    for n in 1 2 3; do softflowctl -c "$dir/r$n-softflowd.ctl" expire-all; done
}

# GoBGP notices that its BMP session is gone only when it has something to say: so the neighbour says it all again.
refresh() {
    local again
    for again in 1 2; do
        ip netns exec "mr-$name-far" vtysh --vty_socket "$dir/far.vty" -d bgpd -c 'clear bgp ipv4 unicast * soft out'
        sleep 0.3
    done
}

running() {
    local run
    for run in "$dir"/*.run; do
        if [ -e "$run" ] && kill -0 "$(cat "$run")" 2>/dev/null; then return 0; fi
    done
    return 1
}

# TERM to all; softflowd does not look up from an idle link, so KILL after two seconds.
stop() {
    local signal run try
    for signal in TERM KILL; do
        for run in "$dir"/*.run; do
            if [ -e "$run" ]; then kill -$signal "$(cat "$run")" 2>/dev/null || true; fi
        done
        for try in $(seq 1 20); do
            running || break
            sleep 0.1
        done
    done
    rm -f "$dir"/*.run
}

case $verb in
start | flush | refresh | stop) "$verb" ;;
*) exit 2 ;;
esac
