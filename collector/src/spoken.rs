//! A port's protocol and the first octets of a datagram in; which kind of session it is for out.

use wire::netflow::Version;
use wire::sflow::is_sflow;
use wire::udp_notif::is_udp_notif;

use crate::settings::PortProtocol;

/// Kinds of sessions over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// IPFIX, NetFlow v9 or v5, as the port allows.
    Flow,
    /// sFlow v5.
    Sflow,
    /// UDP-notif.
    UdpNotif,
}

impl Spoken {
    /// What a datagram is. Where the port leaves it open, the first octets tell: the versions of NetFlow and IPFIX
    /// have 16 bits, that of sFlow 32, and the header of UDP-notif gives the datagram's own length.
    pub(crate) fn of(port: PortProtocol, payload: &[u8]) -> Option<Self> {
        match port {
            PortProtocol::Ipfix | PortProtocol::Netflow => Some(Self::Flow),
            PortProtocol::Sflow => Some(Self::Sflow),
            PortProtocol::UdpNotif => Some(Self::UdpNotif),
            PortProtocol::Any if is_sflow(payload) => Some(Self::Sflow),
            PortProtocol::Any if Version::of(payload).is_some() => Some(Self::Flow),
            PortProtocol::Any if is_udp_notif(payload) => Some(Self::UdpNotif),
            PortProtocol::Any | PortProtocol::Bmp => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::emit::{ipfix, netflow, sflow, udp_notif};
    use wire::sflow::Address;

    #[test]
    fn first_octets_tell_where_the_port_does_not() {
        let header = |media| udp_notif::Header { media, publisher_id: 1, message_id: 2 };
        let mut legacy = udp_notif::datagram(&header(1), &[], b"{}");
        legacy[0] = 0x01;
        for (payload, spoken) in [
            (ipfix::Message::new(0, 0, 0).finish(), Some(Spoken::Flow)),
            (netflow::Packet::new(0, 0, 0, 0).finish(), Some(Spoken::Flow)),
            (netflow::packet_v5(&netflow::HeaderV5::default(), &[]), Some(Spoken::Flow)),
            (sflow::Datagram::new(Address::Ipv4([192, 0, 2, 1]), 0, 0, 0).finish(), Some(Spoken::Sflow)),
            (udp_notif::datagram(&header(3), &[], &[0xa0]), Some(Spoken::UdpNotif)),
            (legacy, Some(Spoken::UdpNotif)),
            // A query of DNS, one of NTP, and nothing.
            (b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x00\x00\x01\x00\x01".to_vec(), None),
            ([&[0x23, 0, 6, 0xec][..], &[0; 44]].concat(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(Spoken::of(PortProtocol::Any, &payload), spoken, "{payload:02x?}");
        }
    }
}
