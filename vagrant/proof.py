"""What the demonstration proved: evidence of several parties, compared. Each proof is one line, pass or fail.

The parties: the kernels of the hosts (packets sent), a recorder on the routers' side of the wire (what was exported),
the kernel of the collector (XDP attachment, socket counters), Millrace's counters, and the files that it wrote.
"""

import collections
import json

from rows import json_rows, parquet_rows

FILLER_PORT = 9
# What each router learned from its neighbour for the destination that all hosts send to.
PATHS = {
    "10.71.1.1": ("198.51.100.10", [64500, 65010, 65100], ["65010:1"]),
    "10.71.2.1": ("198.51.100.10", [64500, 65020, 65021, 65100], ["65020:2", "65020:77"]),
    "fd71:3::1": ("2001:db8:ffff::10", [64500, 65030, 65100], ["65030:3"]),
}


class Evidence:
    """Filled by the run, judged at its end."""

    def __init__(self, mode, routers):
        self.mode, self.routers = mode, routers
        self.millrace = None

    def read(self, out):
        """The files, once everything has stopped."""
        rows, self.torn = json_rows(out)
        self.parquet, self.headless = parquet_rows(out)
        self.rows = collections.Counter(row["kind"] for row in rows)
        self.flows = [row for row in rows if row["kind"] == "flow"]
        self.routes = [row for row in rows if row["kind"] == "route"]

    def sum(self, name, **wanted):
        """A counter of /metrics, summed over the samples whose labels are as wanted."""
        return int(sum(
            value for labels, value in self.metrics.get(name, [])
            if all(labels.get(key) == text for key, text in wanted.items())
        ))

    def by(self, name, label, **wanted):
        """A counter by one of its labels, zeros left out."""
        found = collections.Counter()
        for labels, value in self.metrics.get(name, []):
            if all(labels.get(key) == text for key, text in wanted.items()):
                found[labels.get(label)] += int(value)
        return {key: value for key, value in found.items() if value}

    def path(self):
        """Datagrams through the rings and through kernel sockets, and how many slots got any: the kernel's counts."""
        kernel = self.kernel[0]
        steered = self.by("millrace_steered_packets_total", "slot")
        if self.mode == "socket":
            steered = self.by("millrace_selected_packets_total", "slot")
            return 0, kernel, len(steered)
        return sum(steered.values()), kernel, len(steered)

    def dropped(self):
        """Every named drop, whatever ledger it is in."""
        return dict(self.by("millrace_packets_total", "end"))


def ports(row):
    fields = row["fields"]
    return fields.get("sourceTransportPort"), fields.get("destinationTransportPort")


def packets(rows):
    """Packets in flow rows; the filler that pushes softflowd's capture block out counts for nobody."""
    return sum(row["fields"]["packetDeltaCount"] for row in rows if FILLER_PORT not in ports(row))


def identity(row):
    return row["exporter"], row.get("exportTime"), json.dumps(row["fields"], sort_keys=True)


def missing(truth, rows):
    """Records that were exported and stand in no file; and rows that nobody exported."""
    exported = collections.Counter(map(identity, truth))
    written = collections.Counter(map(identity, rows))
    lost = exported - written
    return [row for row in truth if take(lost, identity(row))], sum((written - exported).values())


def take(counter, key):
    if counter[key] > 0:
        counter[key] -= 1
        return True
    return False


def ledger_differences(e, lost):
    """The four ledgers, each side counted by another party; a difference is a unit without an explanation."""
    exported = sum(counts["udp"] for counts in e.recorded.values())
    packet_ends = e.by("millrace_packets_total", "end")
    taken = sum(count for end, count in packet_ends.items() if end in DATAGRAM_ENDS)
    written = e.sum("millrace_sink_records_total", sink="json", end="written")
    return {
        "packets (exported on the wire = ended in a worker, a ring or a socket)": exported - taken,
        "flow records (exported = rows read back + lost)": sum(map(len, e.truth.values())) - len(e.flows) - len(lost),
        "rows (written by the sink = read back from its files)": written - sum(e.rows.values()),
    }


# Ends of a telemetry datagram outside the XDP program; everything else in the ledger is a verdict on the way.
DATAGRAM_ENDS = {
    "delivered", "ring_full", "no_frame", "ring_dropped", "socket_full", "bad_ip_checksum", "bad_udp_length",
    "bad_udp_checksum", "unknown_protocol", "too_many_routers", "worker_panic", "truncated",
}


def judge(e, say):
    """Prints every proof and the JSON line; the exit status."""
    proofs = []

    def prove(text, holds):
        proofs.append(bool(holds))
        print(f"{'pass' if holds else 'FAIL'}  {text}", flush=True)

    sent = [host["kernel"]["out"] for host in e.hosts]
    offered = sum(sent) + e.far["kernel"]["out"]
    prove(
        f"three hosts sent {sum(sent)} packets, {e.far['kernel']['in']} arrived beyond the routers, "
        f"{e.far['kernel']['out']} came back (the kernels of both ends)",
        sent == [host["sent"] for host in e.hosts] and e.far["kernel"]["in"] == sum(sent),
    )
    truth = [row for rows in e.truth.values() for row in rows]
    prove(
        f"the exporters' datagrams, recorded on the wire, hold {packets(truth)} of {offered} packets",
        packets(truth) == offered and not any(counts["missed"] for counts in e.recorded.values()),
    )
    lost, invented = missing(truth, e.flows)
    accounted = packets(e.flows) + packets(lost)
    prove(
        f"{packets(e.flows)} of {offered} packets stand in the files' flows, {packets(lost)} in {len(lost)} records that "
        f"the kill cost; {invented} rows nobody exported",
        accounted == offered and invented == 0,
    )
    for exporter, (destination, path, communities) in PATHS.items():
        found = [
            row["join"]["destination"] for row in e.flows
            if row["exporter"] == exporter and destination in (
                row["fields"].get("destinationIPv4Address"), row["fields"].get("destinationIPv6Address"))
        ]
        hits = [join for join in found if "miss" not in join]
        own = [join for join in hits if join["asPath"] == path and sorted(join["communities"]) == sorted(communities)]
        prove(
            f"{exporter}: {len(own)} of {len(hits)} joined flows to {destination} carry its own path "
            f"{' '.join(map(str, path))}",
            hits and len(own) == len(hits),
        )
    joined = sum("miss" not in row["join"]["destination"] for row in e.flows)
    misses = collections.Counter(
        row["join"]["destination"]["miss"] for row in e.flows if "miss" in row["join"]["destination"]
    )
    prove(
        f"kill -9 of the dataplane: the next one at work after {e.gap_s and round(e.gap_s, 2)} s",
        e.gap_s is not None and e.gap_s < 2,
    )
    differences = ledger_differences(e, lost)
    for ledger, difference in differences.items():
        prove(f"ledger {ledger}: difference {difference}", difference == 0)
    xsk, kernel, workers = e.path()
    if e.mode == "socket":
        prove(f"no XDP on the devices ({e.attached}); {kernel} datagrams through kernel sockets", e.attached == "none" and kernel)
    else:
        prove(
            f"the kernel says XDP is attached in {e.attached} mode, before the kill and after it ({e.attached_again})",
            e.attached == e.mode == e.attached_again,
        )
        prove(f"{xsk} datagrams through the rings, {kernel} through kernel sockets", xsk and xsk >= 99 * (xsk + kernel) / 100)
    prove(f"{workers} workers delivered", workers >= 2)
    same = {kind: e.parquet.get(kind, 0) - e.rows.get(kind, 0) for kind in ("flow", "route")}
    prove(f"Parquet holds the rows that JSON holds (difference {same}, {e.headless} files without footer)", not any(same.values()))
    prove(
        f"TERM stopped it in {e.stop_s:.1f} s with status {e.status}; left behind: {', '.join(e.left) or 'nothing'}",
        e.stop_s < 5 and e.status == 0 and not e.left,
    )
    prove(
        f"{len(e.flows)} flows, {len(e.routes)} routes, {joined} joined, not joined: {dict(misses)}",
        e.flows and e.routes and joined,
    )
    unexplained = sum(map(abs, differences.values())) + abs(offered - accounted) + invented
    dropped = e.dropped()
    print(
        json.dumps({
            "mode": e.mode, "exporters": len({row["exporter"] for row in e.flows}), "flows": len(e.flows),
            "routes": len(e.routes), "joined": joined, "notJoined": dict(misses), "offeredPackets": offered,
            "accountedPackets": accounted, "dropped": dropped, "unexplained": unexplained, "attached": e.attached,
            "path": {"xsk": xsk, "kernel": kernel}, "workersUsed": workers,
        }),
        flush=True,
    )
    return 0 if all(proofs) and unexplained == 0 else 1
