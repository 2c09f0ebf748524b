#!/usr/bin/env python3
"""Records what a router really exported, on its own side of the wire: `recorder.py DEVICE FILE.pcap`, until TERM.

Keeps UDP to the telemetry ports and TCP of BMP, both directions; prints one JSON line with what it counted, and what
the kernel says that it missed. The answer to "what did the exporter send" must not come from the collector.
"""

import json
import select
import signal
import socket
import struct
import sys
import time

ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 3, 263, 6, 33
UDP_PORTS, TCP_PORT = (2055, 4739), 11019
running = True


def stop(_signal, _frame):
    global running
    running = False


def telemetry(frame):
    """'udp', 'bmp' or None; the lab's exporters send neither tags nor options, and no fragments."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        protocol, at = frame[23], 14 + (frame[14] & 15) * 4
    elif kind == b"\x86\xdd":
        protocol, at = frame[20], 54
    else:
        return None
    if len(frame) < at + 8:
        return None
    source, destination = struct.unpack_from("!HH", frame, at)
    if protocol == 17 and destination in UDP_PORTS:
        return "udp"
    if protocol == 6 and TCP_PORT in (source, destination):
        return "bmp"
    return None


def main():
    device, path = sys.argv[1:3]
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    tap.bind((device, ETH_P_ALL))
    tap.setblocking(False)
    counts = {"udp": 0, "bmp": 0}
    with open(path, "wb") as file:
        # pcap, nanoseconds, Ethernet
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        print("ready", flush=True)
        while running:
            select.select([tap], [], [], 0.2)
            while True:
                try:
                    frame = tap.recv(65535)
                except BlockingIOError:
                    break
                kind = telemetry(frame)
                if kind:
                    counts[kind] += 1
                    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
                    file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
    _, missed = struct.unpack("II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(json.dumps({**counts, "missed": missed}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
