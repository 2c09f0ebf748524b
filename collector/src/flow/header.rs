//! The headers of IPFIX messages, v9 and v5 packets in, what rows and times need of them out.

use serde::{Deserialize, Serialize};
use wire::ipfix;
use wire::netflow::{v5, v9};

use crate::ledger::Protocol;

const SECOND_NS: u64 = 1_000_000_000;

/// What the records of a message share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// 10, 9 or 5.
    pub(crate) version: u8,
    /// IPFIX observation domain, v9 source id, v5 engine type and id.
    pub(crate) domain: u32,
    /// When the message left the exporter, unix ns.
    pub(crate) export_ns: u64,
    /// Milliseconds since the exporter started, modulo 2^32; IPFIX does not tell.
    pub(crate) uptime_ms: Option<u32>,
    /// The sequence number.
    pub(crate) sequence: u32,
    /// One of so many packets, by the header of v5; 0: not told.
    pub(crate) sampling: u16,
}

impl Header {
    /// Of no message.
    pub(crate) const EMPTY: Self =
        Self { version: 0, domain: 0, export_ns: 0, uptime_ms: None, sequence: 0, sampling: 0 };

    /// Of an IPFIX message.
    pub(crate) fn ipfix(message: &ipfix::Message<'_>) -> Self {
        Self {
            version: 10,
            domain: message.observation_domain_id,
            export_ns: u64::from(message.export_time) * SECOND_NS,
            uptime_ms: None,
            sequence: message.sequence,
            sampling: 0,
        }
    }

    /// Of a NetFlow v9 packet.
    pub(crate) fn netflow9(packet: &v9::Packet<'_>) -> Self {
        Self {
            version: 9,
            domain: packet.source_id,
            export_ns: u64::from(packet.unix_seconds) * SECOND_NS,
            uptime_ms: Some(packet.sys_uptime_ms),
            sequence: packet.sequence,
            sampling: 0,
        }
    }

    /// Of a NetFlow v5 packet.
    pub(crate) fn netflow5(packet: &v5::Packet<'_>) -> Self {
        Self {
            version: 5,
            domain: u32::from(u16::from_be_bytes([packet.engine_type, packet.engine_id])),
            export_ns: u64::from(packet.unix_seconds) * SECOND_NS + u64::from(packet.nanoseconds),
            uptime_ms: Some(packet.sys_uptime_ms),
            sequence: packet.sequence,
            sampling: packet.sampling_interval,
        }
    }

    /// The protocol's place in the ledgers.
    pub(crate) const fn protocol(&self) -> Protocol {
        match self.version {
            5 => Protocol::Netflow5,
            9 => Protocol::Netflow9,
            _ => Protocol::Ipfix,
        }
    }
}
