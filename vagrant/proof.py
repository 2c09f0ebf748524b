"""What the demonstration proved: evidence of several parties, compared. Each proof is one line, pass or fail.

The parties: the kernels of the hosts (packets sent), a recorder on the routers' side of the wire (what was exported),
the kernel of the collector (XDP attachment, socket counters), Millrace's counters, and the files that it wrote.
"""

import collections
import json

from rows import json_rows, parquet_rows

FILLER_PORT = 9
# What each router learned from its neighbour for the destination that all hosts send to. FRR's post-policy view, which
# the join prefers, has the router's own AS in front.
PATHS = {
    "10.71.1.1": ("198.51.100.10", [65001, 64500, 65010, 65100], ["65010:1"]),
    "10.71.2.1": ("198.51.100.10", [64500, 65020, 65021, 65100], ["65020:2", "65020:77"]),
    "fd71:3::1": ("2001:db8:ffff::10", [65003, 64500, 65030, 65100], ["65030:3"]),
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

    def by(self, name, label, **wanted):
        """A counter by one of its labels, zeros left out."""
        found = collections.Counter()
        for labels, value in self.metrics.get(name, []):
            if all(labels.get(key) == text for key, text in wanted.items()):
                found[labels.get(label)] += int(value)
        return {key: value for key, value in found.items() if value}

    def path(self):
        """Datagrams through the rings and through kernel sockets, and how many slots got any. The kernel's counts: of
        the programs by row and slot, of the namespace's UDP. What came while no dataplane ran, and no ring was there
        to take it, is a cost of the kill."""
        if self.mode == "socket":
            return 0, self.kernel, len(self.by("millrace_selected_packets_total", "slot"))
        steered = self.by("millrace_steered_packets_total", "slot")
        return sum(steered.values()), self.kernel - self.caught, len(steered)

    def dropped(self):
        """Every named drop, whatever ledger it is in."""
        found = collections.Counter()
        ledgers = [self.totals["packets"], *self.totals["records"].values(), *self.totals["sinks"].values()]
        for ends in ledgers:
            for end, count in ends.items():
                if end not in ("delivered", "row", "written", "not_wanted"):
                    found[end] += count
        return dict(found)


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


def ledger_differences(e, truth):
    """Each side counted by another party; a difference is a unit without an explanation."""
    totals, sinks = e.totals, e.totals["sinks"]
    exported = sum(counts["udp"] for counts in e.recorded.values())
    differences = {
        "packets: datagrams on the wire = sum of their ends": exported - sum(totals["packets"].values()),
        "rows: made by the workers = read back from the JSON files + lost at the kill":
            totals["rows"] - sum(e.rows.values()) - sinks["json"].get("lost_in_crash", 0),
        "rows: made by the workers = read back from the Parquet files + kinds it does not want + lost at the kill":
            totals["rows"] - sum(e.parquet.values())
            - sum(count for end, count in sinks["parquet"].items() if end != "written"),
        "Millrace's own chain (XDP, rings, sockets, messages, sets, records, sinks)": totals["unexplained"],
    }
    if not totals["packets"].get("lost_in_crash"):
        cut = sum(totals["records"].get("flow", {}).values())
        differences["records: flows on the wire = flows that the workers cut off their sets"] = len(truth) - cut
    return differences


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
    again = [exporter for exporter in PATHS if any(
        row["exporter"] == exporter and row["receiveTime"] > e.killed_at and "miss" not in row["join"]["destination"]
        for row in e.flows)]
    joined = sum("miss" not in row["join"]["destination"] for row in e.flows)
    misses = collections.Counter(
        row["join"]["destination"]["miss"] for row in e.flows if "miss" in row["join"]["destination"]
    )
    prove(
        f"kill -9 of the dataplane: the next one at work after {e.gap_s:.2f} s; kernel sockets caught {e.caught} datagrams",
        e.gap_s < 2,
    )
    prove(f"after it the flows of {', '.join(again)} were joined again", len(again) == len(PATHS))
    named = {
        "datagrams": e.totals["packets"].get("lost_in_crash", 0),
        "rows": e.totals["sinks"]["json"].get("lost_in_crash", 0),
    }
    prove(f"it cost {len(lost)} flow records; named by the counters: {named}", not lost or any(named.values()))
    differences = ledger_differences(e, truth)
    for ledger, difference in differences.items():
        prove(f"{ledger}: difference {difference}", difference == 0)
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
    prove(
        f"Parquet holds {e.parquet.get('flow', 0)} flows and {e.parquet.get('route', 0)} routes; "
        f"{e.totals['sinks']['parquet'].get('lost_in_crash', 0)} rows stood in files whose end the kill took",
        e.parquet.get("flow") and e.parquet.get("route") and not e.headless,
    )
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
            "path": {"xsk": xsk, "kernel": kernel}, "workersUsed": workers, "caughtWhileDown": e.caught,
        }),
        flush=True,
    )
    return 0 if all(proofs) and unexplained == 0 else 1
