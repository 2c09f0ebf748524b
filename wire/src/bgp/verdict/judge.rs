//! The attributes of an UPDATE in, each read and judged in one pass, out: what its RFC calls malformed, and which
//! verdict RFC 7606 or that RFC has for it.

use super::{Finding, Verdict};
use crate::bgp::attribute::{Attribute, Attributes, OPTIONAL, TRANSITIVE, Value, code};
use crate::bgp::{Routes, Session, Update};
use crate::malformed::{Malformed, Reason};

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
        let missing = |code, needed: bool| (needed && !self.has_seen(code)).then_some(code);
        let missing = [
            missing(code::ORIGIN, announces),
            missing(code::AS_PATH, announces),
            missing(code::NEXT_HOP, has_nlri),
        ];
        let malformed = update.attributes.malformed(Reason::MissingAttribute, 0);
        let missing = missing.into_iter().flatten().map(move |code| Finding {
            attribute: Some(code),
            verdict: Verdict::Withdraw,
            malformed,
        });
        let damage =
            self.damage.map(|malformed| Finding { attribute: None, verdict: Verdict::Withdraw, malformed });
        damage.into_iter().chain(missing)
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
