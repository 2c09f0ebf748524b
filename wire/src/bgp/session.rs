//! What two BGP speakers agreed on that changes how an UPDATE reads: both OPENs in, AS width, ADD-PATH and label
//! stacks out. Only [`Session::plausible_as_width`] looks at an UPDATE's octets, and it says so.

use crate::bgp::{AsPath, AsWidth, Attributes, FamilySet, Open, Update};
/// The reading rules of one view of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Width of AS numbers in `AS_PATH` and AGGREGATOR.
    pub as_width: AsWidth,
    /// Families whose NLRI carry path identifiers.
    pub add_path: FamilySet,
    /// Families whose prefixes may carry several labels (RFC 8277); one label where it is not in.
    pub multiple_labels: FamilySet,
    /// Whether the peers are of different AS, where that is known. Some RFC 7606 verdicts hang on it.
    pub external: Option<bool>,
}

impl Default for Session {
    fn default() -> Self {
        Self::FOUR_OCTET
    }
}

impl Session {
    /// 4-octet AS numbers and nothing else: what a station assumes that missed the Peer Up.
    pub const FOUR_OCTET: Self = Self {
        as_width: AsWidth::Four,
        add_path: FamilySet::EMPTY,
        multiple_labels: FamilySet::EMPTY,
        external: None,
    };

    /// The rules that two speakers agreed on, for routes that go from `sender` to `receiver`.
    ///
    /// Path identifiers go one way (RFC 7911 section 4): the sender must send and the receiver receive them.
    #[must_use]
    pub fn negotiated(sender: &Open<'_>, receiver: &Open<'_>) -> Self {
        let sends: FamilySet = sender.add_path().filter(|t| t.sends()).map(|t| t.family).collect();
        let receives: FamilySet = receiver.add_path().filter(|t| t.receives()).map(|t| t.family).collect();
        let both_wide = sender.four_octet_as().is_some() && receiver.four_octet_as().is_some();
        Self {
            as_width: if both_wide { AsWidth::Four } else { AsWidth::Two },
            add_path: sends.intersection(receives),
            multiple_labels: sender.multiple_labels().intersection(receiver.multiple_labels()),
            external: Some(sender.autonomous_system() != receiver.autonomous_system()),
        }
    }

    /// The rules of a Loc-RIB: its OPEN is made up by the router and speaks for itself (RFC 9069 section 5.2); AS
    /// numbers always have 4 octets.
    #[must_use]
    pub fn of_loc_rib(open: &Open<'_>) -> Self {
        Self {
            add_path: open.add_path().filter(|t| t.sends() || t.receives()).map(|t| t.family).collect(),
            multiple_labels: open.multiple_labels(),
            ..Self::FOUR_OCTET
        }
    }

    /// These rules together with those of a further Peer Up of the same Loc-RIB, whose families add up
    /// (RFC 9069 section 6.1.1).
    #[must_use]
    pub const fn merged(self, other: Self) -> Self {
        Self {
            as_width: self.as_width,
            add_path: self.add_path.union(other.add_path),
            multiple_labels: self.multiple_labels.union(other.multiple_labels),
            external: self.external,
        }
    }

    /// The AS width under which the UPDATE's `AS_PATH` reads whole: these rules' own if it does, the other if only
    /// that does. `None` where neither does; the own one without an `AS_PATH` or with an empty one.
    ///
    /// For peers that lie: a router that shows 4-octet paths of a session agreed on 2, or sets flag A wrongly.
    #[must_use]
    pub fn plausible_as_width(&self, update: &Update<'_>) -> Option<AsWidth> {
        let Some(path) = Attributes::new(update.attributes).flatten().find(|attribute| attribute.code == 2)
        else {
            return Some(self.as_width);
        };
        [self.as_width, self.as_width.other()]
            .into_iter()
            .find(|width| AsPath::parse(path.value, *width).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::Family;
    use crate::cursor::Cursor;

    /// An OPEN with a 4-octet AS and ADD-PATH modes for IPv4 and IPv6 unicast.
    const fn open(ipv4_mode: u8, ipv6_mode: u8) -> [u8; 28] {
        [
            4, 0xfd, 0xe8, 0, 180, 10, 0, 0, 1, 18, // fixed part
            2, 16, // capabilities, 16 octets
            65, 4, 0, 0, 0xfd, 0xe8, // 4-octet AS 65000
            69, 8, 0, 1, 1, ipv4_mode, 0, 2, 1, ipv6_mode, // ADD-PATH
        ]
    }

    //= RFC 6793 section 4.1
    //# A BGP speaker that advertises such a capability to a particular peer, and receives from that peer the
    //# advertisement of such a capability, MUST encode AS numbers as four-octet entities in both the AS_PATH
    //# attribute and the AGGREGATOR attribute in the updates it sends to the peer and MUST assume that these
    //# attributes in the updates received from the peer encode AS numbers as four-octet entities.
    //= RFC 7911 section 5
    //# The peer SHALL act accordingly in processing an UPDATE message related to a particular <AFI, SAFI>.
    #[test]
    fn path_identifiers_go_from_sender_to_receiver() {
        let (local, remote) = (open(1, 2), open(2, 3));
        let local = Open::parse(Cursor::new(&local)).unwrap();
        let remote = Open::parse(Cursor::new(&remote)).unwrap();
        let inbound = Session::negotiated(&remote, &local);
        assert!(inbound.add_path.contains(Family::IPV4_UNICAST));
        assert!(!inbound.add_path.contains(Family::IPV6_UNICAST));
        let outbound = Session::negotiated(&local, &remote);
        assert!(!outbound.add_path.contains(Family::IPV4_UNICAST));
        assert!(outbound.add_path.contains(Family::IPV6_UNICAST));
        assert_eq!((inbound.as_width, inbound.external), (AsWidth::Four, Some(false)));
    }

    //= RFC 6793 section 4.1
    //# A BGP speaker that advertises such a capability to a particular peer, and receives from that peer the
    //# advertisement of such a capability, MUST encode AS numbers as four-octet entities in both the AS_PATH
    //# attribute and the AGGREGATOR attribute in the updates it sends to the peer and MUST assume that these
    //# attributes in the updates received from the peer encode AS numbers as four-octet entities.
    #[test]
    fn a_speaker_without_four_octets_narrows_the_paths() {
        let wide = open(0, 0);
        let narrow = [4, 0, 7, 0, 180, 10, 0, 0, 2, 0];
        let wide = Open::parse(Cursor::new(&wide)).unwrap();
        let narrow = Open::parse(Cursor::new(&narrow)).unwrap();
        let session = Session::negotiated(&narrow, &wide);
        assert_eq!((session.as_width, session.external), (AsWidth::Two, Some(true)));
    }

    #[test]
    fn a_path_that_lies_about_its_width_is_found_out() {
        let octets = [
            0, 0, 0, 9, // withdrawn, attributes
            0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8, // AS_PATH: sequence 65000 in 4 octets
        ];
        let update = Update::parse(Cursor::new(&octets));
        let agreed = Session { as_width: AsWidth::Two, ..Session::FOUR_OCTET };
        assert_eq!(agreed.plausible_as_width(&update), Some(AsWidth::Four));
        assert_eq!(Session::FOUR_OCTET.plausible_as_width(&update), Some(AsWidth::Four));
        let mut broken = octets;
        broken[7] = 9; // a segment type that no width has
        assert_eq!(agreed.plausible_as_width(&Update::parse(Cursor::new(&broken))), None);
    }
}
