//! Route Monitoring: the rest of a message in, the peer, its UPDATE and, in version 4, the TLVs about each of its
//! NLRI out. Never looks inside the UPDATE.

use crate::bgp::capability::CapabilityValue;
use crate::bgp::{self, AsWidth, MessageType, Session, Update};
use crate::bmp::indexed::{IndexedTlv, IndexedTlvs, TlvValue};
use crate::bmp::peer_header::PeerHeader;
use crate::bmp::profile::{Meaning, Profile};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// The bit of an index that names a group.
const GROUP: u16 = 0x8000;

/// Routes of one peer in one view (RFC 7854 section 4.6, draft-ietf-grow-bmp-tlv-21 section 5.2).
#[derive(Debug, Clone, Copy)]
pub struct RouteMonitoring<'a> {
    /// Whose routes these are, in which view.
    pub peer: PeerHeader,
    /// Version of the message: its UPDATE stands by itself in 3 and in a TLV in 4.
    pub version: u8,
    /// Everything behind the per-peer header.
    pub body: Cursor<'a>,
}

impl<'a> RouteMonitoring<'a> {
    pub(crate) fn parse(mut body: Cursor<'a>, version: u8) -> Result<Self, Malformed> {
        Ok(Self { peer: PeerHeader::parse(&mut body)?, version, body })
    }

    /// The BGP message of version 3, and how many octets stand behind it where none should.
    ///
    /// # Errors
    /// What is wrong with the BGP header.
    pub fn message(&self) -> Result<(bgp::Message<'a>, usize), Malformed> {
        let mut body = self.body;
        let message = bgp::Message::parse(&mut body)?;
        Ok((message, body.remaining()))
    }

    /// The UPDATE, of version 4 under the profile it seems to be written by. An UPDATE with inner defects is still
    /// one: it tells what it is worth.
    ///
    /// # Errors
    /// What is wrong with the BGP header; `bad_message_type`; in version 4 what [`RouteMonitoring::tagged`] says.
    pub fn update(&self) -> Result<Update<'a>, Malformed> {
        if self.version >= 4 {
            return self.tagged(None).map(|tagged| tagged.update);
        }
        update(&mut { self.body })
    }

    /// Version 4: the UPDATE and the TLVs about it, under a profile or the one the message seems to be written by.
    ///
    /// # Errors
    /// `missing_message` if no TLV holds an UPDATE; what is wrong with its BGP header.
    pub fn tagged(&self, profile: Option<Profile>) -> Result<Tagged<'a>, Malformed> {
        let profile = profile.unwrap_or_else(|| Profile::detect(self.body));
        let mut body = self.body;
        if profile == Profile::Draft06 {
            let update = update(&mut body)?;
            return Ok(Tagged { profile, update, tlvs: IndexedTlvs::new(body) });
        }
        let tlvs = IndexedTlvs::new(body);
        let is_message = |tlv: &IndexedTlv<'_>| profile.meaning(tlv) == Meaning::BgpMessage;
        let message = { tlvs }.flatten().find(is_message);
        let message = message.ok_or_else(|| body.malformed(Reason::MissingMessage, body.remaining()))?;
        let update = update(&mut Cursor::with_base(message.value, message.offset))?;
        Ok(Tagged { profile, update, tlvs })
    }
}

fn update<'a>(cursor: &mut Cursor<'a>) -> Result<Update<'a>, Malformed> {
    Ok(Update::parse(bgp::Message::parse_as(cursor, MessageType::Update)?.body))
}

/// An UPDATE with the TLVs about its NLRI.
#[derive(Debug, Clone, Copy)]
pub struct Tagged<'a> {
    /// The profile it was read under.
    pub profile: Profile,
    /// The UPDATE.
    pub update: Update<'a>,
    tlvs: IndexedTlvs<'a>,
}

impl<'a> Tagged<'a> {
    /// Every TLV in order, also the one that holds the UPDATE; a malformed one ends them.
    #[must_use]
    pub const fn tlvs(&self) -> IndexedTlvs<'a> {
        self.tlvs
    }

    /// What a TLV is.
    #[must_use]
    pub const fn meaning(&self, tlv: &IndexedTlv<'_>) -> Meaning {
        self.profile.meaning(tlv)
    }

    /// The TLVs that speak of one NLRI: those of the whole message, its own, and those of its groups. `nlri` counts
    /// from 1 over the fields in the order of the message, as [`Update::routes`] and their entries come.
    ///
    /// Only for an UPDATE whose NLRI all read: after a defect the count is unknown, and nothing may be matched.
    pub fn about(&self, nlri: u16) -> impl Iterator<Item = IndexedTlv<'a>> + use<'a> {
        let this = *self;
        this.tlvs.flatten().filter(move |tlv| {
            let is_about = match tlv.index {
                0 => true,
                index if this.profile != Profile::Draft06 && tlv.is_group() => this.is_member(index, nlri),
                index => index == nlri,
            };
            is_about && !matches!(this.meaning(tlv), Meaning::BgpMessage | Meaning::Group)
        })
    }

    /// The rules for reading the UPDATE: those its own TLVs give, else `agreed`, which the OPENs gave. TLVs that speak
    /// of families alone leave the width of AS numbers as agreed: the per-peer header has a flag of its own for it.
    #[must_use]
    pub fn session(&self, agreed: Session) -> Session {
        let capabilities = || {
            self.tlvs.flatten().filter_map(|tlv| match tlv.value(self.meaning(&tlv)) {
                TlvValue::Capability(capability) => Some(capability.value()),
                TlvValue::Group(_)
                | TlvValue::Name(_)
                | TlvValue::Sequence(_)
                | TlvValue::Timestamp { .. }
                | TlvValue::PathStatus(_)
                | TlvValue::Raw(_) => None,
            })
        };
        if capabilities().next().is_none() {
            return agreed;
        }
        let mut session =
            Session { as_width: agreed.as_width, external: agreed.external, ..Session::FOUR_OCTET };
        for value in capabilities() {
            if let CapabilityValue::FourOctetAs(_) = value {
                session.as_width = AsWidth::Four;
            }
            if let CapabilityValue::AddPath(tuples) = value {
                let tuples = tuples.filter(|tuple| tuple.sends() || tuple.receives());
                tuples.for_each(|tuple| session.add_path.insert(tuple.family));
            }
            if let CapabilityValue::MultipleLabels(tuples) = value {
                let tuples = tuples.filter(|tuple| tuple.count > 1);
                tuples.for_each(|tuple| session.multiple_labels.insert(tuple.family));
            }
        }
        session
    }

    /// Whether a Group TLV puts `nlri` into the group that `index` names. A group that is said to be in another is in
    /// none.
    fn is_member(&self, index: u16, nlri: u16) -> bool {
        if nlri & GROUP != 0 {
            return false;
        }
        let groups = self.tlvs.flatten().filter(|tlv| tlv.index == index);
        groups.filter_map(|tlv| self.members(&tlv)).flatten().any(|member| member == nlri)
    }

    fn members(&self, tlv: &IndexedTlv<'a>) -> Option<crate::bmp::indexed::Members<'a>> {
        let TlvValue::Group(members) = tlv.value(self.meaning(tlv)) else { return None };
        Some(members)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// What a router in the field sends (numbers before revision 20): two prefixes in a group, a table's name, the
    /// UPDATE, a path status for the first prefix.
    fn body(update: &[u8]) -> Vec<u8> {
        let length = u16::try_from(update.len()).unwrap().to_be_bytes();
        [
            &[0; 42][..],
            &[0, 2, 0, 4, 0x80, 0x01, 0, 1, 0, 2], // Group 0x8001: NLRI 1 and 2
            &[0, 3, 0, 6, 0, 0, b'g', b'l', b'o', b'b', b'a', b'l'],
            &[0, 4],
            &length,
            &[0, 0],
            update,
            &[0, 5, 0, 4, 0, 1, 0, 0, 0, 0x8a],    // status of NLRI 1
            &[0, 5, 0, 4, 0x80, 1, 0, 0, 0, 0x10], // status of the group
        ]
        .concat()
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
        [&[0xff; 16][..], &length, &[2], body].concat()
    }

    #[test]
    fn the_update_stands_in_its_tlv_and_the_others_speak_of_its_nlri() {
        let octets = body(&message(&[0, 0, 0, 0, 8, 10, 8, 11, 8, 12]));
        let monitoring = RouteMonitoring::parse(Cursor::new(&octets), 4).unwrap();
        let tagged = monitoring.tagged(None).unwrap();
        assert_eq!((tagged.profile, tagged.update.nlri.rest().len()), (Profile::Pre20, 6));
        let about = |nlri| tagged.about(nlri).map(|tlv| tlv.kind).collect::<Vec<_>>();
        assert_eq!((about(1), about(2), about(3)), ([3, 5, 5].to_vec(), [3, 5].to_vec(), [3].to_vec()));
        assert_eq!(monitoring.update().unwrap().nlri.rest().len(), 6);
        assert!(monitoring.tagged(Some(Profile::Draft20)).is_err());
    }

    #[test]
    fn the_oldest_revision_has_the_update_first_and_no_groups() {
        let octets = [&[0; 42][..], &message(&[0, 0, 0, 0, 8, 10]), &[0, 5, 0, 4, 0, 1, 0, 0, 0, 2]].concat();
        let monitoring = RouteMonitoring::parse(Cursor::new(&octets), 4).unwrap();
        let tagged = monitoring.tagged(None).unwrap();
        assert_eq!(
            (tagged.profile, tagged.about(1).count(), tagged.about(2).count()),
            (Profile::Draft06, 1, 0)
        );
    }

    #[test]
    fn capabilities_in_the_message_go_before_the_opens() {
        let update = message(&[0, 0, 0, 0]);
        let length = u16::try_from(update.len()).unwrap().to_be_bytes();
        let stateless = [0, 3, 0, 6, 0, 0, 69, 4, 0, 1, 1, 1]; // ADD-PATH for IPv4 unicast
        let octets = [&[0; 42][..], &stateless, &[0, 4], &length, &[0, 0], &update].concat();
        let monitoring = RouteMonitoring::parse(Cursor::new(&octets), 4).unwrap();
        let session = monitoring.tagged(None).unwrap().session(Session::FOUR_OCTET);
        assert!(session.add_path.contains(bgp::Family::IPV4_UNICAST));
        assert_eq!(session.as_width, AsWidth::Four);
        let two = Session { as_width: AsWidth::Two, ..Session::FOUR_OCTET };
        assert_eq!(monitoring.tagged(None).unwrap().session(two).as_width, AsWidth::Two);
    }
}
