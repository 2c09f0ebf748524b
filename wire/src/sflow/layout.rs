//! The structures of sflow.org as data: the names of the specification and the shape of each item, in order.

use crate::sflow::Format;
use crate::sflow::record::Kind;

/// A record's items: name and shape.
pub(crate) type Layout = &'static [(&'static str, Shape)];

/// How an item stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    U32,
    U64,
    Float,
    Ipv4,
    Ipv6,
    /// A type, then 0, 4 or 16 octets.
    Address,
    /// 6 octets and 2 of padding.
    Mac,
    /// A length, then text.
    Text,
    /// A length, then octets.
    Opaque,
    /// So many octets.
    Fixed(usize),
    /// A count, then words.
    Numbers,
    /// A count, then segments.
    AsPath,
}

use Shape::{Address, AsPath, Fixed, Float, Ipv4, Ipv6, Mac, Numbers, Opaque, Text, U32, U64};

/// The layout of a format, if it is one of those below.
pub(crate) fn of(kind: Kind, format: Format) -> Option<Layout> {
    let table = match kind {
        Kind::Flow => FLOW,
        Kind::Counters => COUNTERS,
    };
    if format.enterprise != 0 {
        return None;
    }
    let at = table.binary_search_by_key(&format.number, |(number, _)| *number).ok()?;
    table.get(at).map(|(_, layout)| *layout)
}

/// The first octets of a packet (sFlow version 5, sampled_header).
pub(crate) const RAW_HEADER: Layout =
    &[("protocol", U32), ("frame_length", U32), ("stripped", U32), ("header", Opaque)];

/// Records of flow samples, by format: sFlow version 5; Host Structures; Port NAT; tunnel and drop structures.
const FLOW: &[(u16, Layout)] = &[
    (1, RAW_HEADER),
    (2, SAMPLED_ETHERNET),
    (3, SAMPLED_IPV4),
    (4, SAMPLED_IPV6),
    (1001, &[("src_vlan", U32), ("src_priority", U32), ("dst_vlan", U32), ("dst_priority", U32)]),
    (1002, &[("nexthop", Address), ("src_mask_len", U32), ("dst_mask_len", U32)]),
    (
        1003,
        &[
            ("nexthop", Address),
            ("as", U32),
            ("src_as", U32),
            ("src_peer_as", U32),
            ("dst_as_path", AsPath),
            ("communities", Numbers),
            ("localpref", U32),
        ],
    ),
    (1004, &[("src_charset", U32), ("src_user", Text), ("dst_charset", U32), ("dst_user", Text)]),
    (1005, &[("direction", U32), ("url", Text), ("host", Text)]),
    (1006, &[("nexthop", Address), ("in_stack", Numbers), ("out_stack", Numbers)]),
    (1007, &[("src_address", Address), ("dst_address", Address)]),
    (1008, &[("tunnel_lsp_name", Text), ("tunnel_id", U32), ("tunnel_cos", U32)]),
    (1009, &[("vc_instance_name", Text), ("vll_vc_id", U32), ("vc_label_cos", U32)]),
    (1010, &[("mplsFTNDescr", Text), ("mplsFTNMask", U32)]),
    (1011, &[("mplsFecAddrPrefixLength", U32)]),
    (1012, &[("stack", Numbers)]),
    (1020, &[("src_port", U32), ("dst_port", U32)]),
    (1021, SAMPLED_ETHERNET),
    (1022, SAMPLED_ETHERNET),
    (1023, SAMPLED_IPV4),
    (1024, SAMPLED_IPV4),
    (1025, SAMPLED_IPV6),
    (1026, SAMPLED_IPV6),
    (1027, &[("inner_header_offset", U32)]),
    (1028, &[("inner_header_offset", U32)]),
    (1029, &[("vni", U32)]),
    (1030, &[("vni", U32)]),
    (1036, &[("queue", U32)]),
    (1037, &[("number", U32), ("name", Text), ("direction", U32)]),
    (1038, &[("symbol", Text)]),
    (
        2100,
        &[
            ("protocol", U32),
            ("local_ip", Ipv4),
            ("remote_ip", Ipv4),
            ("local_port", U32),
            ("remote_port", U32),
        ],
    ),
    (
        2101,
        &[
            ("protocol", U32),
            ("local_ip", Ipv6),
            ("remote_ip", Ipv6),
            ("local_port", U32),
            ("remote_port", U32),
        ],
    ),
];

/// sampled_ethernet; extended_L2_tunnel_egress and _ingress hold one.
const SAMPLED_ETHERNET: Layout = &[("length", U32), ("src_mac", Mac), ("dst_mac", Mac), ("type", U32)];

/// sampled_ipv4; extended_ipv4_tunnel_egress and _ingress hold one.
const SAMPLED_IPV4: Layout = &[
    ("length", U32),
    ("protocol", U32),
    ("src_ip", Ipv4),
    ("dst_ip", Ipv4),
    ("src_port", U32),
    ("dst_port", U32),
    ("tcp_flags", U32),
    ("tos", U32),
];

/// sampled_ipv6; extended_ipv6_tunnel_egress and _ingress hold one.
const SAMPLED_IPV6: Layout = &[
    ("length", U32),
    ("protocol", U32),
    ("src_ip", Ipv6),
    ("dst_ip", Ipv6),
    ("src_port", U32),
    ("dst_port", U32),
    ("tcp_flags", U32),
    ("priority", U32),
];

/// Records of counter samples, by format: sFlow version 5; LAG; Host Structures.
const COUNTERS: &[(u16, Layout)] = &[
    (
        1,
        &[
            ("ifIndex", U32),
            ("ifType", U32),
            ("ifSpeed", U64),
            ("ifDirection", U32),
            ("ifStatus", U32),
            ("ifInOctets", U64),
            ("ifInUcastPkts", U32),
            ("ifInMulticastPkts", U32),
            ("ifInBroadcastPkts", U32),
            ("ifInDiscards", U32),
            ("ifInErrors", U32),
            ("ifInUnknownProtos", U32),
            ("ifOutOctets", U64),
            ("ifOutUcastPkts", U32),
            ("ifOutMulticastPkts", U32),
            ("ifOutBroadcastPkts", U32),
            ("ifOutDiscards", U32),
            ("ifOutErrors", U32),
            ("ifPromiscuousMode", U32),
        ],
    ),
    (
        2,
        &[
            ("dot3StatsAlignmentErrors", U32),
            ("dot3StatsFCSErrors", U32),
            ("dot3StatsSingleCollisionFrames", U32),
            ("dot3StatsMultipleCollisionFrames", U32),
            ("dot3StatsSQETestErrors", U32),
            ("dot3StatsDeferredTransmissions", U32),
            ("dot3StatsLateCollisions", U32),
            ("dot3StatsExcessiveCollisions", U32),
            ("dot3StatsInternalMacTransmitErrors", U32),
            ("dot3StatsCarrierSenseErrors", U32),
            ("dot3StatsFrameTooLongs", U32),
            ("dot3StatsInternalMacReceiveErrors", U32),
            ("dot3StatsSymbolErrors", U32),
        ],
    ),
    (
        3,
        &[
            ("dot5StatsLineErrors", U32),
            ("dot5StatsBurstErrors", U32),
            ("dot5StatsACErrors", U32),
            ("dot5StatsAbortTransErrors", U32),
            ("dot5StatsInternalErrors", U32),
            ("dot5StatsLostFrameErrors", U32),
            ("dot5StatsReceiveCongestions", U32),
            ("dot5StatsFrameCopiedErrors", U32),
            ("dot5StatsTokenErrors", U32),
            ("dot5StatsSoftErrors", U32),
            ("dot5StatsHardErrors", U32),
            ("dot5StatsSignalLoss", U32),
            ("dot5StatsTransmitBeacons", U32),
            ("dot5StatsRecoverys", U32),
            ("dot5StatsLobeWires", U32),
            ("dot5StatsRemoves", U32),
            ("dot5StatsSingles", U32),
            ("dot5StatsFreqErrors", U32),
        ],
    ),
    (
        4,
        &[
            ("dot12InHighPriorityFrames", U32),
            ("dot12InHighPriorityOctets", U64),
            ("dot12InNormPriorityFrames", U32),
            ("dot12InNormPriorityOctets", U64),
            ("dot12InIPMErrors", U32),
            ("dot12InOversizeFrameErrors", U32),
            ("dot12InDataErrors", U32),
            ("dot12InNullAddressedFrames", U32),
            ("dot12OutHighPriorityFrames", U32),
            ("dot12OutHighPriorityOctets", U64),
            ("dot12TransitionIntoTrainings", U32),
            ("dot12HCInHighPriorityOctets", U64),
            ("dot12HCInNormPriorityOctets", U64),
            ("dot12HCOutHighPriorityOctets", U64),
        ],
    ),
    (
        5,
        &[
            ("vlan_id", U32),
            ("octets", U64),
            ("ucastPkts", U32),
            ("multicastPkts", U32),
            ("broadcastPkts", U32),
            ("discards", U32),
        ],
    ),
    (
        7,
        &[
            ("dot3adAggPortActorSystemID", Mac),
            ("dot3adAggPortPartnerOperSystemID", Mac),
            ("dot3adAggPortAttachedAggID", U32),
            ("dot3adAggPortState", Fixed(4)),
            ("dot3adAggPortStatsLACPDUsRx", U32),
            ("dot3adAggPortStatsMarkerPDUsRx", U32),
            ("dot3adAggPortStatsMarkerResponsePDUsRx", U32),
            ("dot3adAggPortStatsUnknownRx", U32),
            ("dot3adAggPortStatsIllegalRx", U32),
            ("dot3adAggPortStatsLACPDUsTx", U32),
            ("dot3adAggPortStatsMarkerPDUsTx", U32),
            ("dot3adAggPortStatsMarkerResponsePDUsTx", U32),
        ],
    ),
    (1001, &[("5s_cpu", U32), ("1m_cpu", U32), ("5m_cpu", U32), ("total_memory", U64), ("free_memory", U64)]),
    (1004, &[("of_dpid", U64), ("of_port", U32)]),
    (1005, &[("portName", Text)]),
    (
        2000,
        &[
            ("hostname", Text),
            ("uuid", Fixed(16)),
            ("machine_type", U32),
            ("os_name", U32),
            ("os_release", Text),
        ],
    ),
    (2002, &[("container_type", U32), ("container_index", U32)]),
    (
        2003,
        &[
            ("load_one", Float),
            ("load_five", Float),
            ("load_fifteen", Float),
            ("proc_run", U32),
            ("proc_total", U32),
            ("cpu_num", U32),
            ("cpu_speed", U32),
            ("uptime", U32),
            ("cpu_user", U32),
            ("cpu_nice", U32),
            ("cpu_system", U32),
            ("cpu_idle", U32),
            ("cpu_wio", U32),
            ("cpu_intr", U32),
            ("cpu_sintr", U32),
            ("interrupts", U32),
            ("contexts", U32),
        ],
    ),
    (
        2004,
        &[
            ("mem_total", U64),
            ("mem_free", U64),
            ("mem_shared", U64),
            ("mem_buffers", U64),
            ("mem_cached", U64),
            ("swap_total", U64),
            ("swap_free", U64),
            ("page_in", U32),
            ("page_out", U32),
            ("swap_in", U32),
            ("swap_out", U32),
        ],
    ),
    (
        2005,
        &[
            ("disk_total", U64),
            ("disk_free", U64),
            ("part_max_used", U32),
            ("reads", U32),
            ("bytes_read", U64),
            ("read_time", U32),
            ("writes", U32),
            ("bytes_written", U64),
            ("write_time", U32),
        ],
    ),
    (
        2006,
        &[
            ("bytes_in", U64),
            ("pkts_in", U32),
            ("errs_in", U32),
            ("drops_in", U32),
            ("bytes_out", U64),
            ("packets_out", U32),
            ("errs_out", U32),
            ("drops_out", U32),
        ],
    ),
    (2100, &[("mhz", U32), ("cpus", U32), ("memory", U64), ("memory_free", U64), ("num_domains", U32)]),
    (2101, &[("state", U32), ("cpuTime", U32), ("nrVirtCpu", U32)]),
    (2102, &[("memory", U64), ("maxMemory", U64)]),
    (
        2103,
        &[
            ("capacity", U64),
            ("allocation", U64),
            ("available", U64),
            ("rd_req", U32),
            ("rd_bytes", U64),
            ("wr_req", U32),
            ("wr_bytes", U64),
            ("errs", U32),
        ],
    ),
    (
        2104,
        &[
            ("rx_bytes", U64),
            ("rx_packets", U32),
            ("rx_errs", U32),
            ("rx_drops", U32),
            ("tx_bytes", U64),
            ("tx_packets", U32),
            ("tx_errs", U32),
            ("tx_drops", U32),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::{COUNTERS, FLOW};

    #[test]
    fn tables_are_sorted_for_the_search() {
        for table in [FLOW, COUNTERS] {
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
