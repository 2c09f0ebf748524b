//! Attribute codes (IANA "BGP Path Attributes"): the number of an attribute in, its name and the flags of its
//! definition out. Codes that are not here keep their octets: the deprecated ones, which no router sends (11-13, 19-21,
//! 28, 30, 31), and 39, 41 and 42, whose drafts still change.
#![expect(missing_docs, reason = "the registry's names say it")]

pub const ORIGIN: u8 = 1;
pub const AS_PATH: u8 = 2;
pub const NEXT_HOP: u8 = 3;
pub const MULTI_EXIT_DISC: u8 = 4;
pub const LOCAL_PREF: u8 = 5;
pub const ATOMIC_AGGREGATE: u8 = 6;
pub const AGGREGATOR: u8 = 7;
pub const COMMUNITIES: u8 = 8;
pub const ORIGINATOR_ID: u8 = 9;
pub const CLUSTER_LIST: u8 = 10;
pub const MP_REACH: u8 = 14;
pub const MP_UNREACH: u8 = 15;
pub const EXTENDED_COMMUNITIES: u8 = 16;
pub const AS4_PATH: u8 = 17;
pub const AS4_AGGREGATOR: u8 = 18;
pub const PMSI_TUNNEL: u8 = 22;
pub const TUNNEL_ENCAPSULATION: u8 = 23;
pub const TRAFFIC_ENGINEERING: u8 = 24;
pub const IPV6_EXTENDED_COMMUNITIES: u8 = 25;
pub const AIGP: u8 = 26;
pub const PE_DISTINGUISHER_LABELS: u8 = 27;
pub const BGP_LS: u8 = 29;
pub const LARGE_COMMUNITIES: u8 = 32;
pub const BGPSEC_PATH: u8 = 33;
pub const ONLY_TO_CUSTOMER: u8 = 35;
pub const D_PATH: u8 = 36;
pub const SFP: u8 = 37;
pub const BFD_DISCRIMINATOR: u8 = 38;
pub const PREFIX_SID: u8 = 40;
pub const ATTR_SET: u8 = 128;

/// Attribute codes by name.
#[must_use]
pub const fn attribute_name(code: u8) -> Option<&'static str> {
    Some(match code {
        ORIGIN => "ORIGIN",
        AS_PATH => "AS_PATH",
        NEXT_HOP => "NEXT_HOP",
        MULTI_EXIT_DISC => "MULTI_EXIT_DISC",
        LOCAL_PREF => "LOCAL_PREF",
        ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
        AGGREGATOR => "AGGREGATOR",
        COMMUNITIES => "COMMUNITIES",
        ORIGINATOR_ID => "ORIGINATOR_ID",
        CLUSTER_LIST => "CLUSTER_LIST",
        MP_REACH => "MP_REACH_NLRI",
        MP_UNREACH => "MP_UNREACH_NLRI",
        EXTENDED_COMMUNITIES => "EXTENDED_COMMUNITIES",
        AS4_PATH => "AS4_PATH",
        AS4_AGGREGATOR => "AS4_AGGREGATOR",
        PMSI_TUNNEL => "PMSI_TUNNEL",
        TUNNEL_ENCAPSULATION => "TUNNEL_ENCAPSULATION",
        TRAFFIC_ENGINEERING => "TRAFFIC_ENGINEERING",
        IPV6_EXTENDED_COMMUNITIES => "IPV6_EXTENDED_COMMUNITIES",
        AIGP => "AIGP",
        PE_DISTINGUISHER_LABELS => "PE_DISTINGUISHER_LABELS",
        BGP_LS => "BGP-LS",
        LARGE_COMMUNITIES => "LARGE_COMMUNITY",
        BGPSEC_PATH => "BGPsec_PATH",
        ONLY_TO_CUSTOMER => "OTC",
        D_PATH => "D-PATH",
        SFP => "SFP",
        BFD_DISCRIMINATOR => "BFD_DISCRIMINATOR",
        PREFIX_SID => "PREFIX_SID",
        ATTR_SET => "ATTR_SET",
        _ => return None,
    })
}
