//! Records of flow samples, by format: sFlow version 5; Host Structures; Port NAT; tunnel and drop structures.

use super::Layout;
use super::RAW_HEADER;
use super::Shape::{Address, AsPath, Ipv4, Ipv6, Mac, Numbers, Text, U32};

/// Records of flow samples, by format: sFlow version 5; Host Structures; Port NAT; tunnel and drop structures.
pub(super) const FLOW: &[(u16, Layout)] = &[
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
