//! Route Monitoring: one UPDATE of a peer in, a row for each NLRI and changes of the RIB out. Keeps every route
//! that reads; what does not is told by the caller as one error.

use wire::Malformed;
use wire::bgp::attribute::code;
use wire::bgp::{Action, Family, FamilySet, Nlri, Prefix, Routes, Session as Rules, Update, Verdict};
use wire::bmp::{PeerHeader, RibView, Tagged};

use super::Shared;
use super::canonical::{self, For};
use super::lines::Lines;
use super::peer::Peer;
use super::row::{self, Entry, RouteRow};
use crate::Turn;
use crate::ledger::{Kind, RibEnd, RouteAction};
use crate::rib::attributes::Stamp;
use crate::rib::{InternedId, Rib, RibLimits, Route};

/// Octets of the per-peer header without its timestamp.
const PEER_OCTETS: usize = 34;

/// What all rows of one message have in common.
pub(crate) struct Message<'a> {
    pub(crate) session: u64,
    pub(crate) version: u8,
    pub(crate) header: PeerHeader,
    /// The first octets of the per-peer header, as sent.
    pub(crate) peer_octets: &'a [u8],
    pub(crate) limits: RibLimits,
}

impl<'a> Message<'a> {
    pub(crate) fn new(
        session: u64,
        version: u8,
        header: PeerHeader,
        octets: &'a [u8],
        limits: RibLimits,
    ) -> Self {
        let from = wire::bmp::HEADER_LENGTH;
        let peer_octets = octets.get(from..from + PEER_OCTETS).unwrap_or_default();
        Self { session, version, header, peer_octets, limits }
    }
}

/// Attributes for the rows of one field.
enum Attributes {
    /// Withdrawn routes have none.
    None,
    /// In the RIB.
    Kept(InternedId),
    /// In the scratch octets of [`Shared`]: the RIB does not keep the family, or is full.
    Loose(Stamp),
}

/// Everything that the routes of one message need.
pub(crate) struct Work<'s, 'a, 't, 'u> {
    pub(crate) message: &'s Message<'a>,
    /// Version 4: TLVs that may say how the UPDATE reads.
    pub(crate) tagged: Option<&'s Tagged<'a>>,
    pub(crate) peer: &'s mut Peer,
    /// The NLRI that the TLVs are matched with, counted from 1; `None`: the count is unknown, and only those of the
    /// whole message are (draft-ietf-grow-bmp-tlv-21 section 4.3).
    pub(crate) ordinal: Option<u16>,
    /// The rows of the session.
    pub(crate) lines: &'s mut Lines,
    pub(crate) rib: &'s mut Rib,
    pub(crate) shared: &'s mut Shared,
    pub(crate) turn: &'t mut Turn<'u>,
}

impl Work<'_, '_, '_, '_> {
    /// Takes the UPDATE. Returns its first defect, and what RFC 7606 has for it as a whole.
    pub(crate) fn update(&mut self, update: &Update<'_>) -> Option<(Malformed, Option<Verdict>)> {
        let header = &self.message.header;
        if let Some(family) = update.end_of_rib() {
            self.rib.dump(self.peer.rib, header.rib_view(), family, true, self.turn.now.monotonic_ns);
            self.row(RouteAction::EndOfRib, family, None, &[], &mut Attributes::None);
            return None;
        }
        let agreed = self.peer.rules(header);
        let mut rules = self.tagged.map_or(agreed, |tagged| tagged.session(agreed));
        if let Some(width) = rules.plausible_as_width(update) {
            rules.as_width = width;
        }
        self.ordinal = self.tagged.and_then(|_| reads_whole(update, &rules).then_some(0));
        let mut defect = update.damage;
        let mut announces = false;
        for routes in update.routes() {
            match routes {
                Ok(routes) => {
                    announces |= routes.action == Action::Announce;
                    let broken = self.routes(update, &routes, &rules);
                    defect = defect.or(broken);
                }
                Err(finding) => defect = defect.or(Some(finding.malformed)),
            }
        }
        // Attributes that are in no row: of them only what is wrong is of interest (RFC 7606 section 5.2).
        let is_idle = !announces && update.attributes().flatten().any(|other| other.code != code::MP_UNREACH);
        if defect.is_none() && !is_idle {
            return None;
        }
        let findings = update.findings(&rules);
        let first = || findings.iter().next().map(|finding| finding.malformed);
        defect.or_else(first).map(|defect| (defect, findings.strongest()))
    }

    fn routes(&mut self, update: &Update<'_>, routes: &Routes<'_>, rules: &Rules) -> Option<Malformed> {
        let family = routes.family;
        let rules = &plausible_add_path(routes, *rules);
        let is_kept = is_kept(family);
        if is_kept {
            let view = self.message.header.rib_view();
            self.rib.dump(self.peer.rib, view, family, false, self.turn.now.monotonic_ns);
        }
        let (mut attributes, mut defect) = match routes.action {
            Action::Withdraw => (Attributes::None, None),
            Action::Announce => self.attributes(update, routes, rules, is_kept),
        };
        for entry in routes.entries(rules) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(malformed) => {
                    defect = defect.or(Some(malformed));
                    break;
                }
            };
            self.peer.routes = self.peer.routes.saturating_add(1);
            let action = match routes.action {
                Action::Announce => RouteAction::Announce,
                Action::Withdraw => RouteAction::Withdraw,
            };
            let end = self.change(family, entry.path_id, &entry.nlri, routes.action, &attributes);
            self.turn.ledgers.rib(end);
            self.ordinal = self.ordinal.and_then(|ordinal| ordinal.checked_add(1));
            self.row(action, family, entry.path_id, entry.octets, &mut attributes);
        }
        if let Attributes::Kept(id) = attributes {
            self.rib.release(id);
        }
        defect
    }

    /// The canonical attributes of announced routes, in the RIB if it keeps their family and has room; and where
    /// they end before their field does.
    fn attributes(
        &mut self,
        update: &Update<'_>,
        routes: &Routes<'_>,
        rules: &Rules,
        keep: bool,
    ) -> (Attributes, Option<Malformed>) {
        let to = &mut self.shared.attributes;
        to.clear();
        let of = if routes.attribute.is_some() { For::Multiprotocol(routes.family) } else { For::Field };
        let defect = canonical::write(update, rules.as_width, of, to);
        let kept = if keep { self.rib.intern(to, &self.message.limits).ok() } else { None };
        (kept.map_or_else(|| Attributes::Loose(Stamp::default()), Attributes::Kept), defect)
    }

    fn change(
        &mut self,
        family: Family,
        path_id: Option<u32>,
        nlri: &Nlri<'_>,
        action: Action,
        attributes: &Attributes,
    ) -> RibEnd {
        let Some(Kept { prefix, rd, labels }) = kept(family, nlri) else { return RibEnd::FamilyNotKept };
        let view: RibView = self.message.header.rib_view();
        let labels = labels.as_flattened();
        let route = Route { peer: self.peer.rib, view, family, prefix, rd, path_id, labels };
        match (action, attributes) {
            (Action::Withdraw, _) => self.rib.withdraw(&route),
            (Action::Announce, Attributes::Kept(id)) => self.rib.announce(&route, *id, &self.message.limits),
            (Action::Announce, Attributes::None | Attributes::Loose(_)) => {
                // What was there before is not true any more either.
                self.rib.withdraw(&route);
                RibEnd::TooManyAttributes
            }
        }
    }

    fn row(
        &mut self,
        action: RouteAction,
        family: Family,
        path_id: Option<u32>,
        nlri: &[u8],
        attributes: &mut Attributes,
    ) {
        let turn = &mut *self.turn;
        turn.ledgers.route(action);
        turn.ledgers.records_in(Kind::Route, 1);
        if !row::is_wanted(turn, Kind::Route) {
            turn.ledgers.records(Kind::Route, crate::ledger::RecordEnd::NotWanted, 1);
            return;
        }
        let sequence = self.lines.next();
        self.shared.tlvs.clear();
        if let Some(tagged) = self.tagged {
            tlvs(tagged, self.ordinal, &mut self.shared.tlvs);
        }
        let message = self.message;
        if self.peer.stamp_flags != message.header.flags {
            self.peer.stamp_flags = message.header.flags;
            self.peer.stamp = Stamp::default();
        }
        let mut kept = Stamp::default();
        let attributes_entry = match attributes {
            Attributes::None => None,
            Attributes::Loose(stamp) => Some(Entry { octets: &self.shared.attributes, stamp }),
            Attributes::Kept(id) => {
                kept = self.rib.attributes().stamp(*id);
                Some(Entry {
                    octets: self.rib.attributes().octets(*id).unwrap_or_default(),
                    stamp: &mut kept,
                })
            }
        };
        let timestamp = message.header.timestamp();
        let end = row::route(
            &self.shared.columns,
            turn,
            RouteRow {
                version: message.version,
                session: message.session,
                sequence,
                peer: Entry { octets: message.peer_octets, stamp: &mut self.peer.stamp },
                peer_timestamp: timestamp
                    .map(|(seconds, micros)| u64::from(seconds) * 1_000_000_000 + u64::from(micros) * 1_000),
                action,
                family,
                path_id,
                tlvs: &self.shared.tlvs,
                nlri,
                attributes: attributes_entry,
            },
        );
        self.lines.ended(sequence, end);
        if let Attributes::Kept(id) = attributes {
            self.rib.attributes_mut().set_stamp(*id, kept);
        }
    }
}

/// Whether every NLRI of the UPDATE reads, so that their numbers are known.
fn reads_whole(update: &Update<'_>, rules: &Rules) -> bool {
    update.damage.is_none()
        && update.routes().all(|routes| {
            routes.is_ok_and(|routes| {
                routes.entries(&plausible_add_path(&routes, *rules)).all(|entry| entry.is_ok())
            })
        })
}

/// The profile's number and the TLVs about an NLRI; nothing where there are none.
fn tlvs(tagged: &Tagged<'_>, ordinal: Option<u16>, to: &mut Vec<u8>) {
    for tlv in tagged.about(ordinal.unwrap_or(0)) {
        if to.is_empty() {
            to.push(tagged.profile as u8);
        }
        tlv.write(to);
    }
}

/// Families in whose routes traffic is looked up.
fn is_kept(family: Family) -> bool {
    matches!(
        family,
        Family::IPV4_UNICAST
            | Family::IPV6_UNICAST
            | Family::IPV4_LABELED
            | Family::IPV6_LABELED
            | Family::IPV4_VPN
            | Family::IPV6_VPN
    )
}

/// What the RIB keeps of an NLRI.
struct Kept<'a> {
    prefix: Prefix,
    rd: Option<[u8; 8]>,
    labels: &'a [[u8; 3]],
}

fn kept<'a>(family: Family, nlri: &Nlri<'a>) -> Option<Kept<'a>> {
    let prefix = *nlri.prefix().filter(|_| is_kept(family))?;
    Some(if let Nlri::Labeled(labeled) = nlri {
        Kept { prefix, rd: None, labels: labeled.labels.entries() }
    } else if let Nlri::Vpn(vpn) = nlri {
        Kept { prefix, rd: Some(vpn.distinguisher.0), labels: vpn.labels.entries() }
    } else {
        Kept { prefix, rd: None, labels: &[] }
    })
}

/// The rules under which the NLRI read whole: those agreed on, or with path identifiers the other way round where
/// only that does. Routers are known to send path identifiers that no Peer Up announced (GoBGP's Loc-RIB): then
/// the four octets of a small one read as several default routes.
fn plausible_add_path(routes: &Routes<'_>, rules: Rules) -> Rules {
    let has = rules.add_path.contains(routes.family);
    let (mut is_whole, mut defaults) = (true, 0);
    for entry in routes.entries(&rules) {
        is_whole &= entry.is_ok();
        defaults += u32::from(entry.is_ok_and(|entry| entry.octets == [0]));
    }
    if is_whole && (has || defaults < 2) {
        return rules;
    }
    let this: FamilySet = [routes.family].into_iter().collect();
    let bits = if has { rules.add_path.bits() & !this.bits() } else { rules.add_path.bits() | this.bits() };
    let other = Rules { add_path: FamilySet::from_bits(bits), ..rules };
    if routes.entries(&other).all(|entry| entry.is_ok()) { other } else { rules }
}
