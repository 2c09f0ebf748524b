#!/usr/bin/env bash
# Makes the captures of collector/tests/captures anew: `capture.sh DIR` (root). The lab's real exporters run against
# plain sockets in the collector namespace while tcpdump listens there; a capture holds one exporter and protocol.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$PATH:/usr/sbin:/sbin
to=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)
name=cap$$
work=$(mktemp -d)
chmod 755 "$work"
trap 'status=$?; trap - EXIT; "$here/exporters.sh" stop $name "$work" || true; "$here/lab.sh" down $name; rm -rf "$work"; exit $status' EXIT

"$here/lab.sh" up $name
col() { ip netns exec "mr-$name-col" "$@"; }

dumps=()
dump() { # FILE DEVICE FILTER
    col tcpdump -i "$2" -U -s 0 --immediate-mode -Z root -w "$work/$1.pcap" "$3" 2>"$work/$1.dump" &
    dumps+=($!)
}
dump frr-bmp-ipv4 c1 "tcp port 11019"
dump gobgp-bmp-ipv4 c2 "tcp port 11019"
dump frr-bmp-ipv6 c3 "tcp port 11019"
dump softflowd-ipfix-ipv4 c1 "udp port 4739"
dump softflowd-netflow9-ipv4 c2 "udp port 2055"
dump softflowd-ipfix-ipv6 c3 "udp port 4739"
sleep 1

# Whatever comes is taken and thrown away; a Termination of a stopping daemon is still seen.
col python3 - <<'END' &
import asyncio, socket
async def take(reader, writer):
    while await reader.read(65536):
        pass
    writer.close()
async def main():
    sinks = []
    for port in (4739, 2055):
        sink = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sink.bind(("::", port))
        sinks.append(sink)
    server = await asyncio.start_server(take, None, 11019)
    async with server:
        await asyncio.sleep(60)
asyncio.run(main())
END
sleep 1
KEEP_RECEIVED=no ROUTES=${ROUTES:-40} "$here/exporters.sh" start $name "$work"
ip netns exec mr-$name-far "$here/hosts.py" answer 198.51.100.10,203.0.113.10,2001:db8:ffff::10,2001:db8:eeee::10 >"$work/far" &
sleep 0.5
hosts=()
for n in 1 2; do
    ip netns exec mr-$name-h$n "$here/hosts.py" send 198.51.100.10,203.0.113.10 --flows 40 --rate 200 --packets 900 --seed $n >"$work/h$n" &
    hosts+=($!)
done
ip netns exec mr-$name-h3 "$here/hosts.py" send 2001:db8:ffff::10,2001:db8:eeee::10 --flows 40 --rate 200 --packets 900 --seed 3 >"$work/h3" &
hosts+=($!)
wait "${hosts[@]}"
"$here/exporters.sh" flush $name "$work"
sleep 3
"$here/exporters.sh" stop $name "$work"
sleep 0.5
kill "${dumps[@]}"
wait "${dumps[@]}" || true
for file in "$work"/*.pcap; do cp "$file" "$to/"; done
for n in 1 2 3; do echo "h$n $(cat "$work/h$n")"; done
