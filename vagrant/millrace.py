"""One `millrace run` inside the lab's collector namespace: started, asked, disturbed and stopped. Standard library only."""

import ctypes
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

DEVICES = ("c1", "c2", "c3")
METRICS = "http://127.0.0.1:9810"
CLONE_NEWNET = 0x40000000


def enter(path):
    """Moves this process into a network namespace; what it starts later begins there."""
    with open(path, "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")


def alive(pid):
    """Whether the process runs; one that has ended and that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


class Millrace:
    """In: a configuration. Out: counters and tables of the running process, and what the kernel says about it."""

    def __init__(self, binary, namespace, work, mode, out):
        self.binary, self.namespace, self.mode = os.path.abspath(binary), namespace, mode
        self.work = work
        self.config = os.path.join(work, "millrace.toml")
        self.log = os.path.join(work, "millrace.log")
        cores = sorted(os.sched_getaffinity(0))[:2]
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(
                f'''mode = "{mode}"
workers = {cores}
devices = {json.dumps(DEVICES)}
state_dir = "{work}/state"
control_socket = "{work}/control.sock"
[metrics]
listen = "127.0.0.1:9810"
[steering]
# Fixed, so that three routers do not all fall to one of the two workers by chance.
hash_key = "00000000000000000000000000000001"
[[listen]]
protocol = "ipfix"
address = "::"
port = 4739
[[listen]]
protocol = "netflow"
address = "::"
port = 2055
[[listen]]
protocol = "bmp"
address = "::"
port = 11019
[[sink]]
type = "json"
path = "{out}"
[[sink]]
type = "parquet"
path = "{out}"
kinds = ["flow", "route"]
'''
            )
        self.process, self.known, self.outcome = None, {}, None
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        enter(f"/run/netns/{namespace}")

    def inside(self, *command, **options):
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command], capture_output=True, text=True, check=False, **options
        )

    def start(self):
        with open(self.log, "wb") as log, open(f"{self.work}/totals", "wb") as totals:
            # ip gives it a /sys of its own: the shell adds a BPF file system and, at the end, says what is left there.
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, "sh", "-c",
                 'mount -t bpf bpf /sys/fs/bpf || exit; left=$1; shift; "$@"; status=$?; '
                 'find /sys/fs/bpf -mindepth 1 ! -name "*.debug" >"$left"; exit $status',
                 "sh", f"{self.work}/left", self.binary, "run", "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=totals, stderr=log,
            )
        self.wait_ready(20)

    def wait_ready(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"millrace ended with status {self.process.returncode}:\n{self.last_words()}")
            if self.get("/readyz") is not None:
                return
            time.sleep(0.05)
        raise RuntimeError(f"millrace was not ready after {seconds} s:\n{self.last_words()}")

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            return "".join(lines.readlines()[-12:])

    def get(self, path):
        """The body of a page, None when there is none (yet)."""
        try:
            with urllib.request.urlopen(METRICS + path, timeout=2) as page:
                return page.read().decode()
        except OSError:
            return None

    def metrics(self):
        """Every sample of /metrics by its name, as a list of (labels, value)."""
        samples = {}
        for line in (self.get("/metrics") or "").splitlines():
            parts = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
            if parts:
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', parts[2] or ""))
                samples.setdefault(parts[1], []).append((labels, float(parts[3])))
        return samples

    def show(self, what):
        answer = self.inside(self.binary, "show", what, "--json", "--config", self.config)
        try:
            return json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
        except (ValueError, KeyError):
            return []

    def parts(self):
        """Process ids of the keeper (`run`) and of its children by role, as the kernel lists them."""
        found, waiting = {}, [self.process.pid]
        while waiting:
            pid = waiting.pop()
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    waiting += [int(child) for child in file.read().split()]
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                    words = file.read().split("\0")
            except OSError:
                continue
            for role in ("run", "control", "dataplane"):
                if words[0] != "sh" and role in words[1:2]:
                    found[role] = pid
        return found

    def kill_dataplane(self):
        """SIGKILL to the dataplane process; how many seconds until another one is at work."""
        old = self.parts()["dataplane"]
        os.kill(old, signal.SIGKILL)
        began = time.monotonic()
        while time.monotonic() - began < 10:
            new = self.parts().get("dataplane")
            if new not in (None, old) and self.get("/readyz") is not None:
                return time.monotonic() - began
            time.sleep(0.02)
        raise RuntimeError(f"no dataplane came back within 10 s:\n{self.last_words()}")

    def attached(self):
        """How XDP sits on the devices by the kernel's word: native, generic or none; `mixed` if they differ."""
        links = json.loads(self.inside("ip", "-j", "link").stdout)
        # if_link.h: XDP_ATTACHED_NONE, _DRV, _SKB
        names = {0: "none", 1: "native", 2: "generic"}
        modes = {
            names.get(link.get("xdp", {}).get("mode", 0), "mixed") for link in links if link["ifname"] in DEVICES
        }
        return modes.pop() if len(modes) == 1 else "mixed"

    def kernel_datagrams(self):
        """UDP datagrams that sockets of the namespace took or had no room for, as its kernel counted."""
        snmp, snmp6 = (self.inside("cat", f"/proc/net/{name}").stdout for name in ("snmp", "snmp6"))
        rows = [line.split() for line in snmp.splitlines() if line.startswith("Udp:")]
        counters = dict(zip(rows[0][1:], map(int, rows[1][1:])))
        counters.update((name, int(value)) for name, value in (line.split() for line in snmp6.splitlines()))
        return sum(counters[name] for name in (
            "InDatagrams", "RcvbufErrors", "Udp6InDatagrams", "Udp6RcvbufErrors"))

    def totals(self):
        """What `run` printed at its end: all counters as one JSON object."""
        with open(f"{self.work}/totals", encoding="utf-8") as lines:
            return json.loads(lines.readlines()[-1])

    def decode(self, path):
        """The flow rows that an offline run makes of a capture."""
        lines = subprocess.run([self.binary, "decode", "--kind", "flow", path], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in lines.stdout.splitlines()]

    def left_behind(self):
        """What is still there after the stop: processes, programs on devices, pins."""
        left = [f"process {pid} ({role})" for role, pid in self.known.items() if alive(pid)]
        if self.attached() != "none":
            left.append("an XDP program")
        with open(f"{self.work}/left", encoding="utf-8") as pins:
            return left + [pin.strip() for pin in pins]

    def stop(self):
        """TERM, once; how many seconds it took and the exit status. KILL after 10 s."""
        if self.outcome is None and self.process is not None:
            self.known = self.parts()
            began = time.monotonic()
            if self.process.poll() is None:
                os.kill(self.known.get("run", self.process.pid), signal.SIGTERM)
                try:
                    self.process.wait(10)
                except subprocess.TimeoutExpired:
                    for pid in [*self.known.values(), self.process.pid]:
                        os.kill(pid, signal.SIGKILL)
                    self.process.wait(5)
            self.outcome = time.monotonic() - began, self.process.returncode
        return self.outcome

    def leave(self):
        """Back to the host's namespace, so that the lab's can be removed."""
        enter(f"/proc/self/fd/{self.home}")
