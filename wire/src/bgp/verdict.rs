//! RFC 7606: the defects of an UPDATE in, what a BGP speaker would have to do about each out. A station does none
//! of it: it records the verdict and keeps every route that reads.

use crate::bgp::attribute::{Attribute, Attributes, OPTIONAL, TRANSITIVE, Value, code};
use crate::bgp::{Routes, Session, Update};
use crate::malformed::{Malformed, Reason};

/// What RFC 7606 demands of a BGP speaker, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The attribute counts as not there.
    Discard,
    /// All routes of the UPDATE count as withdrawn.
    Withdraw,
    /// The session, or the family, is to be reset: what was meant cannot be told.
    Reset,
}

impl Verdict {
    /// Every verdict, the mildest first.
    pub const ALL: [Self; 3] = [Self::Discard, Self::Withdraw, Self::Reset];

    /// The name that records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Withdraw => "withdraw",
            Self::Reset => "reset",
        }
    }
}

/// One defect of an UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Code of the attribute at fault; nothing where the message's own fields are.
    pub attribute: Option<u8>,
    /// What it is worth.
    pub verdict: Verdict,
    /// What is wrong, and where.
    pub malformed: Malformed,
}

/// Defects kept of one UPDATE; further ones only count.
pub const MAX_FINDINGS: usize = 16;

/// The defects of one UPDATE, in the order met.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    kept: [Option<Finding>; MAX_FINDINGS],
    count: usize,
    strongest: Option<Verdict>,
}

impl Findings {
    /// Adds a defect.
    pub fn push(&mut self, finding: Finding) {
        if let Some(place) = self.kept.get_mut(self.count) {
            *place = Some(finding);
        }
        self.count = self.count.saturating_add(1);
        self.strongest = self.strongest.max(Some(finding.verdict));
    }

    /// The defects, the first [`MAX_FINDINGS`] of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.kept.iter().flatten()
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Raises the verdict on the UPDATE as a whole.
    pub(crate) fn raise(&mut self, verdict: Verdict) {
        self.strongest = self.strongest.max(Some(verdict));
    }

    /// The verdict on the UPDATE as a whole: the strongest one (RFC 7606 section 3 (h)), or a stronger one that all
    /// together ask for (section 5.2).
    #[must_use]
    pub const fn strongest(&self) -> Option<Verdict> {
        self.strongest
    }
}

impl Extend<Finding> for Findings {
    fn extend<I: IntoIterator<Item = Finding>>(&mut self, findings: I) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}

/// An attribute with its value and the verdict on it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The attribute as sent.
    pub attribute: Attribute<'a>,
    /// Its value; [`Value::Other`] with its octets where that is malformed.
    pub value: Value<'a>,
    /// Its defect, if it has one.
    pub finding: Option<Finding>,
}

/// Iterator over the attributes of an UPDATE, each read and judged in one pass.
#[derive(Debug, Clone)]
pub struct Judge<'a> {
    attributes: Attributes<'a>,
    session: Session,
    seen: [u64; 4],
    damage: Option<Malformed>,
}

impl<'a> Judge<'a> {
    /// Attributes of `update` under the rules of `session`.
    #[must_use]
    pub const fn new(update: &Update<'a>, session: &Session) -> Self {
        Self { attributes: Attributes::new(update.attributes), session: *session, seen: [0; 4], damage: None }
    }

    /// The defects that no single attribute has, to be asked for behind the last one: an attribute that overruns
    /// the field (RFC 7606 section 4) and well-known attributes that are missing (section 3 (d)).
    pub fn finish(&self, update: &Update<'a>) -> impl Iterator<Item = Finding> + use<'a> {
        let has_nlri = !update.nlri.is_empty();
        let announces = has_nlri || self.has_seen(code::MP_REACH);
        let missing = |code, needed: bool| {
            (needed && !self.has_seen(code)).then(|| Finding {
                attribute: Some(code),
                verdict: Verdict::Withdraw,
                malformed: update.attributes.malformed(Reason::MissingAttribute, 0),
            })
        };
        let damage =
            self.damage.map(|malformed| Finding { attribute: None, verdict: Verdict::Withdraw, malformed });
        let missing = [
            missing(code::ORIGIN, announces),
            missing(code::AS_PATH, announces),
            missing(code::NEXT_HOP, has_nlri),
        ];
        damage.into_iter().chain(missing.into_iter().flatten())
    }

    /// Hands each attribute left to `take`, from where its value is read.
    ///
    /// The same as a loop over the iterator, but what `take` does on a value stands behind the reading of just that
    /// value, which is then neither copied nor told apart from others again.
    #[inline]
    pub fn each(&mut self, mut take: impl FnMut(Judged<'a>)) {
        while let Some(attribute) = self.attribute() {
            let (is_repeated, is_odd) = self.weigh(&attribute);
            let condemned = attribute.read(self.session.as_width, |value| match value {
                Ok(value) if !is_odd => {
                    take(Judged { attribute, value, finding: None });
                    None
                }
                value => Some(self.condemn(attribute, value, is_repeated)),
            });
            if let Some(condemned) = condemned {
                take(condemned);
            }
        }
    }

    /// [`Update::routes`] behind the last attribute: nothing is searched where no attribute was seen that names
    /// routes.
    pub fn routes(&self, update: &Update<'a>) -> impl Iterator<Item = Result<Routes<'a>, Finding>> + use<'a> {
        update.routes_with(self.has_seen(code::MP_REACH) || self.has_seen(code::MP_UNREACH))
    }

    /// Notes an attribute: whether it was there before, and whether that or anything but its value is a defect.
    #[inline]
    fn weigh(&mut self, attribute: &Attribute<'_>) -> (bool, bool) {
        let is_repeated = self.see(attribute.code);
        let is_odd = is_repeated
            || has_conflicting_flags(attribute.flags, attribute.code)
            || (self.session.external == Some(true) && is_internal(attribute.code));
        (is_repeated, is_odd)
    }

    /// The next attribute; one that cannot be told from the rest of the field is damage.
    #[inline]
    fn attribute(&mut self) -> Option<Attribute<'a>> {
        match self.attributes.next()? {
            Ok(attribute) => Some(attribute),
            Err(malformed) => {
                self.damage = Some(malformed);
                None
            }
        }
    }

    #[cold]
    fn condemn(
        &self,
        attribute: Attribute<'a>,
        value: Result<Value<'a>, Malformed>,
        is_repeated: bool,
    ) -> Judged<'a> {
        let code = attribute.code;
        let oddity = |reason| attribute.value.malformed(reason, attribute.value.remaining());
        let (verdict, malformed) = match value {
            _ if is_repeated => (on_repetition(code), oddity(Reason::DuplicateAttribute)),
            Err(malformed) => (self.on_defect(code), malformed),
            Ok(_) if has_conflicting_flags(attribute.flags, code) => {
                (on_flags(code), oddity(Reason::BadAttributeFlags))
            }
            Ok(_) => (Verdict::Discard, oddity(Reason::InternalAttribute)),
        };
        let finding = Some(Finding { attribute: Some(code), verdict, malformed });
        Judged { attribute, value: value.unwrap_or(Value::Other(attribute.value.rest())), finding }
    }

    /// What a malformed value is worth (RFC 7606 section 7, and the RFC of each later attribute).
    const fn on_defect(&self, code: u8) -> Verdict {
        match code {
            code::ATOMIC_AGGREGATE
            | code::AGGREGATOR
            | code::AS4_PATH
            | code::AS4_AGGREGATOR
            | code::AIGP
            | code::PREFIX_SID
            | code::BGP_LS
            | code::BFD_DISCRIMINATOR => Verdict::Discard,
            code::MP_REACH | code::MP_UNREACH => Verdict::Reset,
            _ if is_internal(code) && matches!(self.session.external, Some(true)) => Verdict::Discard,
            _ => Verdict::Withdraw,
        }
    }

    /// Notes a code; whether it was there before.
    fn see(&mut self, code: u8) -> bool {
        let before = self.has_seen(code);
        if let Some(word) = self.seen.get_mut(usize::from(code >> 6)) {
            *word |= 1 << (code & 63);
        }
        before
    }

    fn has_seen(&self, code: u8) -> bool {
        self.seen.get(usize::from(code >> 6)).is_some_and(|word| word & 1 << (code & 63) != 0)
    }
}

impl<'a> Iterator for Judge<'a> {
    type Item = Judged<'a>;

    fn next(&mut self) -> Option<Judged<'a>> {
        let attribute = self.attribute()?;
        let (is_repeated, is_odd) = self.weigh(&attribute);
        Some(match attribute.value(self.session.as_width) {
            Ok(value) if !is_odd => Judged { attribute, value, finding: None },
            value => self.condemn(attribute, value, is_repeated),
        })
    }
}

/// A second attribute of one code (RFC 7606 section 3 (g)).
const fn on_repetition(code: u8) -> Verdict {
    match code {
        code::MP_REACH | code::MP_UNREACH => Verdict::Reset,
        _ => Verdict::Discard,
    }
}

/// Flags that are not those of the definition: of the NLRI's attributes they leave nothing to rely on (RFC 7606
/// section 5.3), nor of a well-known attribute that nobody knows (RFC 4271 section 6.3); AIGP has its own rule
/// (RFC 7311 section 3.2).
const fn on_flags(code: u8) -> Verdict {
    match code {
        code::MP_REACH | code::MP_UNREACH => Verdict::Reset,
        code::AIGP => Verdict::Discard,
        _ if defined_flags(code) == ANY_FLAGS => Verdict::Reset,
        _ => Verdict::Withdraw,
    }
}

/// Attributes that mean nothing from another AS (RFC 7606 sections 7.5, 7.9, 7.10).
const fn is_internal(code: u8) -> bool {
    matches!(code, code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST)
}

/// Whether the Optional and Transitive bits are not those of the code's definition (RFC 7606 section 3 (c)). An
/// attribute without one must at least be optional.
fn has_conflicting_flags(flags: u8, code: u8) -> bool {
    match DEFINED_FLAGS.get(usize::from(code)) {
        Some(defined) if *defined != ANY_FLAGS => flags & (OPTIONAL | TRANSITIVE) != *defined,
        _ => flags & OPTIONAL == 0,
    }
}

/// No definition to hold the flags to.
const ANY_FLAGS: u8 = 0xff;

/// Optional and Transitive bits by attribute code.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static DEFINED_FLAGS: [u8; 129] = {
    let mut flags = [ANY_FLAGS; 129];
    let mut code = 0;
    while code < 129 {
        flags[code as usize] = defined_flags(code);
        code += 1;
    }
    flags
};

const fn defined_flags(code: u8) -> u8 {
    match code {
        code::ORIGIN | code::AS_PATH | code::NEXT_HOP | code::LOCAL_PREF | code::ATOMIC_AGGREGATE => {
            TRANSITIVE
        }
        code::AGGREGATOR
        | code::COMMUNITIES
        | code::EXTENDED_COMMUNITIES
        | code::AS4_PATH
        | code::AS4_AGGREGATOR
        | code::PMSI_TUNNEL
        | code::TUNNEL_ENCAPSULATION
        | code::IPV6_EXTENDED_COMMUNITIES
        | code::PE_DISTINGUISHER_LABELS
        | code::LARGE_COMMUNITIES
        | code::ONLY_TO_CUSTOMER
        | code::D_PATH
        | code::SFP
        | code::BFD_DISCRIMINATOR
        | code::PREFIX_SID
        | code::ATTR_SET => OPTIONAL | TRANSITIVE,
        code::MULTI_EXIT_DISC
        | code::ORIGINATOR_ID
        | code::CLUSTER_LIST
        | code::MP_REACH
        | code::MP_UNREACH
        | code::TRAFFIC_ENGINEERING
        | code::AIGP
        | code::BGP_LS
        | code::BGPSEC_PATH => OPTIONAL,
        _ => ANY_FLAGS,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::cursor::Cursor;
    use std::vec::Vec;

    /// An UPDATE with these attributes and 192.0.2.0/24 as NLRI.
    fn update_body(attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        [&[0, 0], &length[..], attributes, &[24, 192, 0, 2]].concat()
    }

    fn found(attributes: &[u8], session: &Session) -> Vec<(Option<u8>, Verdict, Reason)> {
        let body = update_body(attributes);
        let findings = Update::parse(Cursor::new(&body)).findings(session);
        findings.iter().map(|found| (found.attribute, found.verdict, found.malformed.reason)).collect()
    }

    const ORIGIN: [u8; 4] = [0x40, 1, 1, 0];
    const AS_PATH: [u8; 9] = [0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8];
    const NEXT_HOP: [u8; 7] = [0x40, 3, 4, 192, 0, 2, 1];

    fn with(attribute: &[u8]) -> Vec<u8> {
        [&ORIGIN[..], &AS_PATH, &NEXT_HOP, attribute].concat()
    }

    #[test]
    fn a_sound_update_has_no_findings() {
        assert_eq!(found(&with(&[]), &Session::FOUR_OCTET), []);
        assert_eq!(found(&with(&[0xc0, 200, 1, 0]), &Session::FOUR_OCTET), []);
    }

    //= RFC 7606 section 3 (g)
    //# If the MP_REACH_NLRI attribute or the MP_UNREACH_NLRI [RFC4760] attribute appears more than once in
    //# the UPDATE message, then a NOTIFICATION message MUST be sent with the Error Subcode "Malformed
    //# Attribute List".
    //= RFC 7606 section 3 (g)
    //# If any other attribute (whether recognized or unrecognized) appears more than once in an UPDATE
    //# message, then all the occurrences of the attribute other than the first one SHALL be discarded and the
    //# UPDATE message will continue to be processed.
    #[test]
    fn repetitions_are_discarded_or_reset() {
        let twice = with(&ORIGIN);
        let expected = [(Some(1), Verdict::Discard, Reason::DuplicateAttribute)];
        assert_eq!(found(&twice, &Session::FOUR_OCTET), expected);
        let unreach = [0x80, 15, 3, 0, 2, 1, 0x80, 15, 3, 0, 2, 1];
        let expected = [(Some(15), Verdict::Reset, Reason::DuplicateAttribute)];
        assert_eq!(found(&with(&unreach), &Session::FOUR_OCTET), expected);
    }

    //= RFC 7606 section 3 (d)
    //# If any of the well-known mandatory attributes are not present in an UPDATE message, then
    //# "treat-as-withdraw" MUST be used.
    #[test]
    fn missing_attributes_withdraw() {
        let missing = |code| (Some(code), Verdict::Withdraw, Reason::MissingAttribute);
        assert_eq!(found(&[], &Session::FOUR_OCTET), [missing(1), missing(2), missing(3)]);
        assert_eq!(
            found(&[ORIGIN, [0x40, 3, 0, 0]].concat()[..4], &Session::FOUR_OCTET),
            [missing(2), missing(3)]
        );
    }

    //= RFC 7606 section 3 (c)
    //# If the value of either the Optional or Transitive bits in the Attribute Flags is in conflict with
    //# their specified values, then the attribute MUST be treated as malformed and the "treat-as-withdraw"
    //# approach used, unless the specification for the attribute mandates different handling for incorrect
    //# Attribute Flags.
    #[test]
    fn conflicting_flags_withdraw() {
        let expected = [(Some(8), Verdict::Withdraw, Reason::BadAttributeFlags)];
        assert_eq!(found(&with(&[0x80, 8, 4, 0, 0, 0, 1]), &Session::FOUR_OCTET), expected);
        assert_eq!(found(&with(&[0xe0, 8, 4, 0, 0, 0, 1]), &Session::FOUR_OCTET), []);
    }

    //= RFC 8654 section 3
    //# Peers that wish to use the BGP Extended Message Capability MUST support error handling for BGP UPDATE
    //# messages per [RFC7606].
    #[test]
    fn each_defect_has_its_verdict() {
        for (attribute, verdict, reason) in [
            (&[0x40, 6, 1, 0][..], Verdict::Discard, Reason::BadLength),
            (&[0xc0, 7, 1, 0], Verdict::Discard, Reason::BadLength),
            (&[0xc0, 8, 3, 0, 0, 0], Verdict::Withdraw, Reason::BadLength),
            (&[0x80, 9, 1, 0], Verdict::Withdraw, Reason::BadLength),
            (&[0x80, 15, 2, 0, 1], Verdict::Reset, Reason::Truncated),
            (&[0x80, 14, 5, 0, 2, 1, 4, 0], Verdict::Reset, Reason::Truncated),
            (&[0xc0, 32, 4, 0, 0, 0, 1], Verdict::Withdraw, Reason::BadLength),
        ] {
            let expected = [(Some(attribute[1]), verdict, reason)];
            assert_eq!(found(&with(attribute), &Session::FOUR_OCTET), expected);
        }
    }

    /// RFC 7606 section 7.5 and, for routers that reflect routes, 7.9 and 7.10.
    //= RFC 4271 section 5.1.5
    //# If it is contained in an UPDATE message that is received from an external peer, then this attribute
    //# MUST be ignored by the receiving speaker, except in the case of BGP Confederations [RFC3065].
    #[test]
    fn internal_attributes_from_outside_are_discarded() {
        let external = Session { external: Some(true), ..Session::FOUR_OCTET };
        let attribute = [0x40, 5, 4, 0, 0, 0, 100];
        let expected = [(Some(5), Verdict::Discard, Reason::InternalAttribute)];
        assert_eq!(found(&with(&attribute), &external), expected);
        assert_eq!(found(&with(&attribute), &Session::FOUR_OCTET), []);
        assert_eq!(found(&with(&[0x40, 5, 1, 0]), &external)[0].1, Verdict::Discard);
    }

    /// RFC 7606 section 4: the total attribute length is what the NLRI are found by.
    //= RFC 7606 section 4
    //# In either of these cases, an error condition exists and the "treat-as-withdraw" approach MUST be used
    //# (unless some other, more severe error is encountered dictating a stronger approach), and the Total
    //# Attribute Length MUST be relied upon to enable the beginning of the NLRI field to be located.
    #[test]
    fn an_overrunning_attribute_withdraws_and_the_nlri_is_found() {
        let body = update_body(&with(&[0xc0, 8, 200, 0, 0, 0, 1]));
        let update = Update::parse(Cursor::new(&body));
        let findings = update.findings(&Session::FOUR_OCTET);
        assert_eq!(findings.strongest(), Some(Verdict::Withdraw));
        assert_eq!(findings.iter().next().unwrap().attribute, None);
        assert_eq!(update.nlri.rest(), [24, 192, 0, 2]);
    }

    #[test]
    fn findings_beyond_the_limit_only_count() {
        let many: Vec<u8> = (0..40).flat_map(|_| ORIGIN).collect();
        let body = update_body(&with(&many));
        let findings = Update::parse(Cursor::new(&body)).findings(&Session::FOUR_OCTET);
        assert_eq!((findings.count(), findings.iter().count()), (40, MAX_FINDINGS));
    }
}
