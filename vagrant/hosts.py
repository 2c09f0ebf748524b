#!/usr/bin/env python3
"""The hosts of the lab: UDP with exact counts at both ends, standard library only.

    hosts.py send ADDRESS[,ADDRESS..]    in a host's namespace: until TERM, or --packets N
    hosts.py answer ADDRESS[,ADDRESS..]  in the far namespace: port 7000 echoes, port 9000 only takes
    hosts.py fill ADDRESS                in a host's namespace: 2,000 packets to port 9, which nobody counts

`send` and `answer` print one JSON line at its end: what its sockets counted, and what the kernel of this namespace counted
(UDP datagrams out and in, from /proc/net/snmp and snmp6). Never longer than `--seconds`.
"""

import argparse
import json
import random
import selectors
import signal
import socket
import sys
import time

ECHO, TAKE, DISCARD = 7000, 9000, 9
running = True


def stop(_signal, _frame):
    global running
    running = False


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def kernel():
    """UDP datagrams of this namespace, out and in, as its kernel counted them."""
    out = received = 0
    with open("/proc/net/snmp", encoding="ascii") as lines:
        rows = [line.split() for line in lines if line.startswith("Udp:")]
        counters = dict(zip(rows[0][1:], map(int, rows[1][1:])))
        out += counters["OutDatagrams"]
        received += counters["InDatagrams"] + counters["RcvbufErrors"]
    with open("/proc/net/snmp6", encoding="ascii") as lines:
        counters = {name: int(value) for name, value in (line.split() for line in lines)}
        out += counters["Udp6OutDatagrams"]
        received += counters["Udp6InDatagrams"] + counters["Udp6RcvbufErrors"]
    return {"out": out, "in": received}


def send(options):
    """Many short flows: each of `--flows` sockets has its own source port, and is replaced now and then."""
    rng = random.Random(options.seed)
    sockets, sent, received, turn = [], 0, 0, 0
    for number in range(options.flows):
        to = options.addresses[number % len(options.addresses)]
        one = socket.socket(family(to), socket.SOCK_DGRAM)
        one.setblocking(False)
        sockets.append((one, (to, ECHO if number % 4 == 0 else TAKE)))
    began = time.monotonic()
    while running and time.monotonic() - began < options.seconds:
        due = int((time.monotonic() - began) * options.rate) + 1
        due = min(due, options.packets) if options.packets else due
        while sent < due:
            one, to = sockets[turn % len(sockets)]
            turn += 1
            one.sendto(b"m" * rng.randrange(10, 1200), to)
            sent += 1
            received += drain(one)
        if options.packets and sent >= options.packets:
            break
        time.sleep(0.005)
    time.sleep(options.linger)
    received += sum(drain(one) for one, _ in sockets)
    return {"sent": sent, "received": received, "kernel": kernel()}


def fill(options):
    one = socket.socket(family(options.addresses[0]), socket.SOCK_DGRAM)
    for _ in range(2000):
        try:
            one.sendto(b"f" * 200, (options.addresses[0], DISCARD))
        except ConnectionRefusedError:
            pass
        time.sleep(0.0002)
    return {}


def drain(one):
    """Takes every waiting answer."""
    count = 0
    while True:
        try:
            one.recv(2048)
        except BlockingIOError:
            return count
        count += 1


def answer(options):
    sent = received = 0
    waiting = selectors.DefaultSelector()
    for address in options.addresses:
        for port in (ECHO, TAKE):
            one = socket.socket(family(address), socket.SOCK_DGRAM)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            one.bind((address, port))
            one.setblocking(False)
            waiting.register(one, selectors.EVENT_READ, port)
    print("ready", flush=True)
    began = time.monotonic()
    while running and time.monotonic() - began < options.seconds:
        for key, _ in waiting.select(timeout=0.2):
            try:
                while True:
                    octets, peer = key.fileobj.recvfrom(2048)
                    received += 1
                    if key.data == ECHO:
                        key.fileobj.sendto(octets, peer)
                        sent += 1
            except BlockingIOError:
                pass
    return {"sent": sent, "received": received, "kernel": kernel()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=("send", "answer", "fill"))
    parser.add_argument("addresses", type=lambda text: text.split(","))
    parser.add_argument("--rate", type=int, default=400, help="packets a second")
    parser.add_argument("--packets", type=int, default=0, help="stop after so many (0: go on)")
    parser.add_argument("--flows", type=int, default=100, help="source ports in use")
    parser.add_argument("--seconds", type=float, default=120, help="never longer than this")
    parser.add_argument("--linger", type=float, default=0.5, help="seconds to wait for the last answers")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    result = {"send": send, "answer": answer, "fill": fill}[options.role](options)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    sys.exit(main())
