//! UPDATE: a message body in, withdrawn routes, attributes and announced routes out. Nothing that reads is lost for
//! something that does not: what stands whole before a defect is given, the defect is told.

use crate::bgp::attribute::{Attribute, Attributes, code};
use crate::bgp::multiprotocol::{MpReach, MpUnreach};
use crate::bgp::verdict::{Finding, Findings, Judge, Verdict};
use crate::bgp::{Entries, Entry, Family, NextHop, Session};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// An UPDATE (RFC 4271 section 4.3).
///
/// ```text
/// | Withdrawn Length 2 | Withdrawn Routes | Total Attribute Length 2 | Path Attributes | NLRI |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// Withdrawn IPv4 unicast NLRI.
    pub withdrawn: Cursor<'a>,
    /// Path attributes; to the end of the message where their length overruns it.
    pub attributes: Cursor<'a>,
    /// Announced IPv4 unicast NLRI.
    pub nlri: Cursor<'a>,
    /// A length field that overruns the message: RFC 7606 demands a reset.
    pub damage: Option<Malformed>,
}

impl<'a> Update<'a> {
    /// Reads the body of an UPDATE. Never fails: see `damage`.
    #[must_use]
    pub fn parse(body: Cursor<'a>) -> Self {
        let nothing = Cursor::with_base(&[], body.offset());
        let mut update = Self { withdrawn: nothing, attributes: nothing, nlri: nothing, damage: None };
        let mut cursor = body;
        match field(&mut cursor) {
            Ok(withdrawn) => update.withdrawn = withdrawn,
            Err(malformed) => return Self { damage: Some(malformed), ..update },
        }
        match field(&mut cursor) {
            Ok(attributes) => Self { attributes, nlri: cursor, ..update },
            Err(malformed) => {
                // The length is wrong, the attributes behind it may still read one by one.
                let attributes = cursor.skip(2).map_or(nothing, |()| cursor);
                Self { attributes, damage: Some(malformed), ..update }
            }
        }
    }

    /// The attributes as sent, without reading their values.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes)
    }

    /// The attributes read and judged.
    #[must_use]
    pub const fn judge(&self, session: &Session) -> Judge<'a> {
        Judge::new(self, session)
    }

    /// Every field that names routes, in the order of the message: withdrawn ones, the multiprotocol attributes as
    /// they come, announced ones. Empty fields are left out.
    pub fn routes(&self) -> impl Iterator<Item = Result<Routes<'a>, Finding>> + use<'a> {
        self.routes_with(true)
    }

    /// The same; `in_attributes`: whether there may be routes in attributes.
    pub(crate) fn routes_with(
        &self,
        in_attributes: bool,
    ) -> impl Iterator<Item = Result<Routes<'a>, Finding>> + use<'a> {
        let field = |action, nlri: Cursor<'a>| {
            let next_hop = NextHop::Absent;
            let routes = Routes { action, family: Family::IPV4_UNICAST, next_hop, attribute: None, nlri };
            (!nlri.is_empty()).then_some(Ok(routes))
        };
        let searched = if in_attributes { self.attributes } else { Cursor::new(&[]) };
        let mut multiprotocol = Attributes::new(searched);
        field(Action::Withdraw, self.withdrawn)
            .into_iter()
            .chain(core::iter::from_fn(move || {
                multiprotocol.by_ref().flatten().find_map(|attribute| multiprotocol_routes(&attribute))
            }))
            .chain(field(Action::Announce, self.nlri))
    }

    /// The family whose table ends here (RFC 4724 section 2): an UPDATE with nothing in it, or with nothing but an
    /// empty `MP_UNREACH_NLRI`.
    #[must_use]
    pub fn end_of_rib(&self) -> Option<Family> {
        if self.damage.is_some() || !self.withdrawn.is_empty() || !self.nlri.is_empty() {
            return None;
        }
        let mut attributes = self.attributes();
        let Some(only) = attributes.next() else { return Some(Family::IPV4_UNICAST) };
        let unreach = only.ok().filter(|only| only.code == code::MP_UNREACH)?;
        let unreach = MpUnreach::parse(unreach.value).ok()?;
        (attributes.next().is_none() && unreach.nlri.is_empty()).then_some(unreach.family)
    }

    /// Every defect of the UPDATE: of its fields, its attributes and its NLRI.
    #[must_use]
    pub fn findings(&self, session: &Session) -> Findings {
        let mut findings = Findings::default();
        if let Some(malformed) = self.damage {
            findings.push(Finding { attribute: None, verdict: Verdict::Reset, malformed });
        }
        let mut judge = self.judge(session);
        findings.extend(judge.by_ref().filter_map(|judged| judged.finding));
        findings.extend(judge.finish(self));
        for routes in self.routes().flatten() {
            let defect = |entry: Result<Entry<'_>, _>| entry.and_then(|entry| entry.nlri.check()).err();
            findings.extend(routes.entries(session).filter_map(defect).map(|bad| routes.finding(bad)));
        }
        // Attributes without routes of theirs may hide NLRI that went unread (RFC 7606 section 5.2).
        if findings.strongest() == Some(Verdict::Withdraw)
            && !self.routes().flatten().any(|routes| routes.action == Action::Announce)
            && self.attributes().flatten().any(|attribute| attribute.code != code::MP_UNREACH)
        {
            findings.raise(Verdict::Reset);
        }
        findings
    }
}

/// Routes of one field.
#[derive(Debug, Clone, Copy)]
pub struct Routes<'a> {
    /// Whether they come or go.
    pub action: Action,
    /// Their family.
    pub family: Family,
    /// Next hop of a multiprotocol announcement. Routes of the message's own field have theirs in `NEXT_HOP`.
    pub next_hop: NextHop<'a>,
    /// Code of the attribute they stand in; nothing for the message's own fields.
    pub attribute: Option<u8>,
    /// Their NLRI.
    pub nlri: Cursor<'a>,
}

impl<'a> Routes<'a> {
    /// The routes one by one.
    #[must_use]
    pub fn entries(&self, session: &Session) -> Entries<'a> {
        Entries::new(self.nlri, self.family, session, self.action == Action::Withdraw)
    }

    /// The verdict on NLRI that do not read (RFC 7606 section 5.3): a reset, of the family where it has its own
    /// attribute.
    #[must_use]
    pub const fn finding(&self, malformed: Malformed) -> Finding {
        Finding { attribute: self.attribute, verdict: Verdict::Reset, malformed }
    }
}

/// Whether routes come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// They come, or change.
    Announce,
    /// They go.
    Withdraw,
}

impl Action {
    /// The name that records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Withdraw => "withdraw",
        }
    }
}

/// A field behind its own 2-octet length. An overrun consumes nothing and is told at the length.
fn field<'a>(cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, Malformed> {
    let place = *cursor;
    let mut ahead = place;
    let length = usize::from(ahead.u16()?);
    let field = ahead.split(length).map_err(|_| place.malformed(Reason::BadLength, 2))?;
    *cursor = ahead;
    Ok(field)
}

fn multiprotocol_routes<'a>(attribute: &Attribute<'a>) -> Option<Result<Routes<'a>, Finding>> {
    let routes = match attribute.code {
        code::MP_REACH => MpReach::parse(attribute.value).map(|reach| Routes {
            action: Action::Announce,
            family: reach.family,
            next_hop: reach.next_hop,
            attribute: Some(code::MP_REACH),
            nlri: reach.nlri,
        }),
        code::MP_UNREACH => MpUnreach::parse(attribute.value).map(|unreach| Routes {
            action: Action::Withdraw,
            family: unreach.family,
            next_hop: NextHop::Absent,
            attribute: Some(code::MP_UNREACH),
            nlri: unreach.nlri,
        }),
        _ => return None,
    };
    match routes {
        Ok(routes) if routes.nlri.is_empty() => None,
        Ok(routes) => Some(Ok(routes)),
        Err(malformed) => {
            Some(Err(Finding { attribute: Some(attribute.code), verdict: Verdict::Reset, malformed }))
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const MIXED: [u8; 45] = [
        0, 2, 8, 10, // withdrawn 10.0.0.0/8
        0, 31, // attributes
        0x40, 1, 1, 0, // ORIGIN
        0x80, 15, 5, 0, 2, 1, 8, 0x20, // MP_UNREACH IPv6 2000::/8
        0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8, // AS_PATH 65000
        0x40, 3, 4, 192, 0, 2, 1, // NEXT_HOP
        0x40, 6, 0, // ATOMIC_AGGREGATE
        24, 192, 0, 2, // 192.0.2.0/24
        16, 10, 1, // 10.1.0.0/16
        0, // 0.0.0.0/0
    ];

    #[test]
    fn routes_come_in_the_order_of_the_message() {
        let update = Update::parse(Cursor::new(&MIXED));
        let routes: Vec<_> = update.routes().map(Result::unwrap).collect();
        let fields: Vec<_> = routes.iter().map(|r| (r.action, r.family, r.attribute)).collect();
        assert_eq!(
            fields,
            [
                (Action::Withdraw, Family::IPV4_UNICAST, None),
                (Action::Withdraw, Family::IPV6_UNICAST, Some(15)),
                (Action::Announce, Family::IPV4_UNICAST, None),
            ]
        );
        assert_eq!(routes[2].entries(&Session::FOUR_OCTET).count(), 3);
        assert_eq!(update.findings(&Session::FOUR_OCTET).count(), 0);
        assert_eq!(update.end_of_rib(), None);
    }

    //= RFC 4724 section 4
    //# The End-of-RIB marker MUST be sent by a BGP speaker to its peer once it completes the initial routing
    //# update (including the case when there is no update to send) for an address family after the BGP
    //# session is established.
    #[test]
    fn an_empty_update_ends_a_table() {
        let end_of_rib = |octets: &[u8]| Update::parse(Cursor::new(octets)).end_of_rib();
        assert_eq!(end_of_rib(&[0, 0, 0, 0]), Some(Family::IPV4_UNICAST));
        assert_eq!(end_of_rib(&[0, 0, 0, 6, 0x80, 15, 3, 0, 25, 70]), Some(Family::EVPN));
        assert_eq!(end_of_rib(&[0, 0, 0, 8, 0x80, 15, 5, 0, 2, 1, 8, 0x20]), None);
        assert_eq!(end_of_rib(&[0, 0]), None);
    }

    #[test]
    fn what_is_whole_before_a_bad_length_is_given() {
        let mut octets = MIXED;
        octets[5] = 200; // attributes overrun the message
        let update = Update::parse(Cursor::new(&octets));
        assert_eq!(update.damage.unwrap(), Malformed::new(Reason::BadLength, 4, 2));
        assert_eq!(update.withdrawn.rest(), [8, 10]);
        assert_eq!(update.routes().flatten().count(), 2);
        assert_eq!(update.findings(&Session::FOUR_OCTET).strongest(), Some(Verdict::Reset));
        octets[1] = 200; // so do withdrawn routes
        let update = Update::parse(Cursor::new(&octets));
        assert_eq!((update.routes().count(), update.damage.unwrap().offset), (0, 0));
    }

    #[test]
    fn bad_nlri_is_a_finding_and_costs_nothing_before_it() {
        let mut octets = MIXED;
        octets[41] = 200; // length of the second prefix
        let update = Update::parse(Cursor::new(&octets));
        let findings = update.findings(&Session::FOUR_OCTET);
        let finding = findings.iter().next().unwrap();
        assert_eq!((finding.attribute, finding.verdict), (None, Verdict::Reset));
        assert_eq!((finding.malformed.reason, finding.malformed.offset), (Reason::BadPrefixLength, 41));
        let announced = update.routes().flatten().last().unwrap();
        assert_eq!(announced.entries(&Session::FOUR_OCTET).flatten().count(), 1);
    }
}
