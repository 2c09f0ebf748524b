#!/usr/bin/env python3
"""The demonstration: real exporters, Millrace, and what it proved. Called by demo.sh as root; standard library only.

Raises the lab, lets hosts send exactly counted packets through three routers, kills the dataplane with SIGKILL in
mid-run, stops, removes the lab, and compares what the hosts' kernels, a recorder on the routers' side of the wire,
Millrace's counters and its files say. The last line is one JSON object; status 0 only if every proof holds.
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from millrace import Millrace
from proof import Evidence, judge

HERE = os.path.dirname(os.path.abspath(__file__))
V4 = "198.51.100.10,203.0.113.10"
V6 = "2001:db8:ffff::10,2001:db8:eeee::10"
ROUTERS = {"r1": "10.71.1.1", "r2": "10.71.2.1", "r3": "fd71:3::1"}
TRAFFIC_S, KILL_AFTER_S, PACKETS_PER_S, FLOWS = 14, 7, 600, 600


def script(name, *arguments):
    subprocess.run([os.path.join(HERE, name), *arguments], check=True, stdin=subprocess.DEVNULL)


class Lab:
    """Namespaces, exporters, hosts and recorders; all gone after `down`."""

    def __init__(self, name, work):
        self.name, self.work, self.running = name, work, []

    def up(self):
        script("lab.sh", "up", self.name)

    def down(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        if os.path.exists(f"{self.work}/exporters"):
            script("exporters.sh", "stop", self.name, f"{self.work}/exporters")
        script("lab.sh", "down", self.name)

    def start(self, who, program, *arguments):
        process = subprocess.Popen(
            ["ip", "netns", "exec", f"mr-{self.name}-{who}", os.path.join(HERE, program), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        self.running.append(process)
        return process

    def ready(self, who, program, *arguments):
        """Starts what says `ready` once it is."""
        process = self.start(who, program, *arguments)
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{program} in {who} did not come up")
        return process

    def end(self, process):
        """TERM; the JSON line that it leaves."""
        process.send_signal(signal.SIGTERM)
        return self.counts(process)

    def counts(self, process):
        said = process.communicate(timeout=20)[0]
        self.running.remove(process)
        return json.loads(said.splitlines()[-1])


def say(text):
    print(f"demo: {text}", flush=True)


def watch(millrace, seconds, stop=lambda: False):
    """The live table, once a second."""
    last, until = {}, time.monotonic() + seconds
    while time.monotonic() < until and not stop():
        began = time.monotonic()
        for line in table(millrace, last, began):
            print(line, flush=True)
        time.sleep(max(0.0, min(1.0 - (time.monotonic() - began), until - time.monotonic())))


def table(millrace, last, now):
    """One block of lines; `last` keeps each exporter's flow count of the time before."""
    yield f"{'exporter':<12} {'worker':>6} {'flows':>8} {'flows/s':>8} {'routes':>7} {'joined':>7} {'misses':>7}"
    for item in millrace.show("exporters"):
        name, flows = item.get("exporter"), item.get("flows", 0)
        before, then = last.get(name, (flows, now - 1))
        last[name] = (flows, now)
        rate = max(0, flows - before) / max(0.001, now - then)
        joined, missed = item.get("joined", 0), item.get("notJoined", 0)
        share = f"{100 * joined / (joined + missed):.0f}%" if joined + missed else "-"
        yield (
            f"{name:<12} {item.get('worker', '-'):>6} {flows:>8} {rate:>8.0f} {item.get('routes', 0):>7} "
            f"{share:>7} {missed:>7}"
        )
    for item in millrace.show("counters"):
        drops = {end: count for end, count in item["packets"].items() if end != "delivered"}
        yield f"  through rings {item['path']['xsk']}, kernel sockets {item['path']['kernel']}, drops {drops or 0}"


def run(options, lab, evidence):
    work, out = lab.work, options.out
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    lab.up()
    say("lab is up: three routers, their hosts, the far side, the collector")
    recorders = {who: lab.ready(who, "recorder.py", "tel", f"{work}/{who}.pcap") for who in ROUTERS}
    millrace = Millrace(options.binary, f"mr-{lab.name}-col", work, options.mode, out)
    evidence.millrace = millrace
    millrace.start()
    say(f"millrace runs in {options.mode} mode on c1, c2 and c3")
    script("exporters.sh", "start", lab.name, f"{work}/exporters")
    say("FRR, GoBGP and softflowd run; every router holds its neighbour's routes")
    far = lab.ready("far", "hosts.py", "answer", f"{V4},{V6}")
    hosts = [
        lab.start(who, "hosts.py", "send", to, "--rate", str(PACKETS_PER_S), "--flows", str(FLOWS),
                  "--packets", str(PACKETS_PER_S * TRAFFIC_S), "--seed", who[1])
        for who, to in (("h1", V4), ("h2", V4), ("h3", V6))
    ]
    watch(millrace, KILL_AFTER_S)
    evidence.attached = millrace.attached()
    evidence.killed_at = datetime.datetime.now(datetime.UTC).isoformat()
    before = millrace.kernel_datagrams()
    evidence.gap_s = millrace.kill_dataplane()
    time.sleep(0.2)
    evidence.caught = millrace.kernel_datagrams() - before
    say(f"kill -9 of the dataplane; the next one was at work after {evidence.gap_s:.2f} s")
    script("exporters.sh", "refresh", lab.name, f"{work}/exporters")
    watch(millrace, 60, lambda: all(host.poll() is not None for host in hosts))
    evidence.hosts = [lab.counts(host) for host in hosts]
    evidence.far = lab.end(far)
    say("hosts are done; softflowd exports what its cache holds")
    script("exporters.sh", "flush", lab.name, f"{work}/exporters")
    watch(millrace, 3)
    evidence.recorded = {who: lab.end(recorder) for who, recorder in recorders.items()}
    time.sleep(0.5)
    evidence.metrics = millrace.metrics()
    evidence.kernel = millrace.kernel_datagrams()
    evidence.attached_again = millrace.attached()
    evidence.stop_s, evidence.status = millrace.stop()
    evidence.totals = millrace.totals()
    evidence.left = millrace.left_behind()
    evidence.truth = {who: millrace.decode(f"{work}/{who}.pcap") for who in ROUTERS}
    evidence.read(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("native", "generic", "socket"), required=True)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--owner", help="uid:gid that the files are given to")
    parser.add_argument("--keep", action="store_true", help="keep logs and captures, and say where")
    options = parser.parse_args()
    options.out = os.path.abspath(options.out)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = tempfile.mkdtemp(prefix="millrace-demo-")
    os.chmod(work, 0o755)
    lab = Lab(f"demo{os.getpid()}", work)
    evidence = Evidence(options.mode, ROUTERS)
    try:
        run(options, lab, evidence)
    except (RuntimeError, OSError, subprocess.CalledProcessError, KeyError) as error:
        say(f"failed: {error}")
        if evidence.millrace:
            print(evidence.millrace.last_words(), file=sys.stderr)
        return 1
    finally:
        if evidence.millrace:
            evidence.millrace.stop()
            evidence.millrace.leave()
        lab.down()
        if options.owner:
            subprocess.run(["chown", "-R", options.owner, options.out], check=False)
        if options.keep:
            say(f"logs and captures are in {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    return judge(evidence, say)


if __name__ == "__main__":
    sys.exit(main())
