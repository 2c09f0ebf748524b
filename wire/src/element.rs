//! Information elements: (enterprise number, id) in, name, type, semantics and units out, from tables made at
//! build time of `registry/*.csv`. Knows nothing of values or lengths on the wire, and never allocates.
//!
//! Three numberings share the key: IANA's elements (PEN 0), enterprises' elements, and NetFlow v9's field types,
//! which have no enterprise bit: ids from 32,768 on under PEN 0 exist only there. Reverse elements of RFC 5103
//! are their forward element seen from the other side, so they have no rows of their own.

mod data_type;

use core::fmt;

pub use data_type::{DataType, Semantics, Units};

include!(concat!(env!("OUT_DIR"), "/elements.rs"));

/// The private enterprise number that marks the reverse of an IANA element (RFC 5103 section 6.1).
pub const REVERSE_PEN: u32 = 29_305;

/// The key of NetFlow v9's scope types (1 system, 2 interface, 3 line card, 4 cache, 5 template; RFC 3954 section
/// 6.1) where elements have their enterprise number: scope types are a numbering of their own, and IANA keeps this
/// number reserved.
pub const NETFLOW9_SCOPE_PEN: u32 = u32::MAX;

/// CERT's number: its reverse elements are its own ids with [`CERT_REVERSE_BIT`] set.
const CERT_PEN: u32 = 6_871;
const CERT_REVERSE_BIT: u16 = 0x4000;

const CISCO_PEN: u32 = 9;
const NTOP_PEN: u32 = 35_632;
const NTOP_BASE: u16 = 57_472;

/// What is known of one information element (RFC 7012 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Private enterprise number; 0 for IANA's elements and NetFlow v9's field types.
    pub pen: u32,
    /// Element id without the enterprise bit (NetFlow v9: the whole field type).
    pub id: u16,
    /// IANA's name, or `vendor:name`.
    pub name: &'static str,
    /// Abstract type of its values.
    pub data_type: DataType,
    /// What the values mean to arithmetic.
    pub semantics: Semantics,
    /// What the values count.
    pub units: Units,
}

/// The element of `(pen, id)`; for a reverse element (RFC 5103) its forward element.
///
/// Constant time for IANA's elements, a binary search for the others.
#[must_use]
pub fn lookup(pen: u32, id: u16) -> Option<&'static Element> {
    let (pen, id) = forward(pen, id).unwrap_or((pen, id));
    if pen == 0
        && let Some(element) = IANA.get(usize::from(id))
    {
        return element.as_ref();
    }
    searched(pen, id).or_else(|| {
        let (pen, id) = enterprise_of(pen, id)?;
        searched(pen, id)
    })
}

fn searched(pen: u32, id: u16) -> Option<&'static Element> {
    let at = SEARCHED.binary_search_by_key(&(pen, id), |element| (element.pen, element.id)).ok()?;
    SEARCHED.get(at)
}

/// The enterprise's element that a NetFlow v9 field type stands for where it has no row: v9 has no enterprise bit,
/// so nProbe adds 57,472 to ntop's ids and Cisco sets the top bit of its own.
fn enterprise_of(pen: u32, id: u16) -> Option<(u32, u16)> {
    match (pen, id) {
        (0, NTOP_BASE..) => Some((NTOP_PEN, id - NTOP_BASE)),
        (0, 0x8000..) => Some((CISCO_PEN, id & 0x7fff)),
        _ => None,
    }
}

/// The forward element of a reverse one (RFC 5103 section 6.1); `None` if `(pen, id)` is not reversed.
#[must_use]
pub fn forward(pen: u32, id: u16) -> Option<(u32, u16)> {
    match pen {
        REVERSE_PEN => Some((0, id)),
        CERT_PEN if id & CERT_REVERSE_BIT != 0 => Some((CERT_PEN, id & !CERT_REVERSE_BIT)),
        _ => None,
    }
}

/// The reverse element of a forward one, where its enterprise has a way to say it.
#[must_use]
pub fn reverse(pen: u32, id: u16) -> Option<(u32, u16)> {
    match pen {
        0 if id < 0x8000 => Some((REVERSE_PEN, id)),
        CERT_PEN if id & CERT_REVERSE_BIT == 0 => Some((CERT_PEN, id | CERT_REVERSE_BIT)),
        _ => None,
    }
}

/// `(pen, id)` of a name as [`Name`] writes it: `octetDeltaCount`, `reverseOctetDeltaCount`, `vendor:name`,
/// `e<PEN>id<N>`.
#[must_use]
pub fn by_name(name: &str) -> Option<(u32, u16)> {
    let exact = |wanted: &str| {
        let at = NAMES.binary_search_by_key(&wanted, |(name, ..)| *name).ok()?;
        NAMES.get(at).map(|&(_, pen, id)| (pen, id))
    };
    exact(name).or_else(|| numbered(name)).or_else(|| {
        let (pen, id) = reversed_name(name)?;
        reverse(pen, id)
    })
}

/// `e<PEN>id<N>`.
fn numbered(name: &str) -> Option<(u32, u16)> {
    let (pen, id) = name.strip_prefix('e')?.split_once("id")?;
    Some((pen.parse().ok()?, id.parse().ok()?))
}

/// The forward element of `reverseOctetDeltaCount` or `vendor:reverseName`: found by comparing, because the
/// capital that the name gained has to be undone and nothing here allocates.
fn reversed_name(name: &str) -> Option<(u32, u16)> {
    let (vendor, local) = name.split_once(':').map_or(("", name), |(vendor, local)| (vendor, local));
    let (capital, rest) = local.strip_prefix("reverse")?.split_at_checked(1)?;
    if !capital.as_bytes().first()?.is_ascii_uppercase() {
        return None;
    }
    let same = |candidate: &str| {
        let (its_vendor, its_local) = candidate.split_once(':').unwrap_or(("", candidate));
        its_vendor == vendor
            && its_local
                .split_at_checked(1)
                .is_some_and(|(first, others)| first.eq_ignore_ascii_case(capital) && others == rest)
    };
    NAMES.iter().find(|(candidate, ..)| same(candidate)).map(|&(_, pen, id)| (pen, id))
}

/// Every element of the tables, IANA's first, then by (pen, id).
pub fn all() -> impl Iterator<Item = &'static Element> {
    IANA.iter().flatten().chain(SEARCHED.iter())
}

/// The name of an element as records write it; `Display` gives it without allocating.
///
/// IANA's name, `vendor:name`, `reverse` + Name for reverse elements, `e<PEN>id<N>` for unknown ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Private enterprise number.
    pub pen: u32,
    /// Element id.
    pub id: u16,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(element) = lookup(self.pen, self.id) else {
            return Unnamed(*self).fmt(f);
        };
        if forward(self.pen, self.id).is_none() {
            return f.write_str(element.name);
        }
        let local = match element.name.split_once(':') {
            Some((vendor, local)) => {
                write!(f, "{vendor}:")?;
                local
            }
            None => element.name,
        };
        f.write_str("reverse")?;
        let (first, rest) = local.split_at_checked(1).unwrap_or((local, ""));
        for letter in first.chars() {
            write!(f, "{}", letter.to_ascii_uppercase())?;
        }
        f.write_str(rest)
    }
}

/// `e<PEN>id<N>`: the key of an element that has no name, or of a value that its type does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unnamed(pub Name);

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}id{}", self.0.pen, self.0.id)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{DataType, Name, Semantics, Units, all, by_name, lookup};
    use std::string::ToString;

    #[test]
    fn iana_elements_have_their_registered_type() {
        let element = lookup(0, 1).unwrap();
        assert_eq!((element.name, element.data_type), ("octetDeltaCount", DataType::Unsigned64));
        assert_eq!((element.semantics, element.units), (Semantics::DeltaCounter, Units::Octets));
        assert_eq!(lookup(0, 291).unwrap().data_type, DataType::BasicList);
        assert_eq!(lookup(0, 0), None);
        assert_eq!(lookup(0, 0x7fff), None);
        assert_eq!(lookup(4_000_000_000, 1), None);
    }

    #[test]
    fn every_name_leads_back_to_its_element() {
        for element in all() {
            let key = (element.pen, element.id);
            assert_eq!(by_name(element.name), Some(key), "{}", element.name);
            assert_eq!(lookup(key.0, key.1), Some(element));
            assert_eq!(Name { pen: key.0, id: key.1 }.to_string(), element.name);
        }
    }

    // RFC 5103 section 6.1: the reverse element of (0, N) is (29305, N), its name "reverse" and the capitalised name.
    #[test]
    fn reverse_elements_are_their_forward_element_under_another_name() {
        let name = Name { pen: 29_305, id: 1 };
        assert_eq!(name.to_string(), "reverseOctetDeltaCount");
        assert_eq!(lookup(29_305, 1), lookup(0, 1));
        assert_eq!(by_name("reverseOctetDeltaCount"), Some((29_305, 1)));
        assert_eq!(by_name("reverseoctetDeltaCount"), None);
        assert_eq!(by_name("reverse"), None);
    }

    #[test]
    fn vendors_have_their_own_ways() {
        let name = |pen, id| Name { pen, id }.to_string();
        // NetFlow v9 without an enterprise bit: a row of its own, nProbe's base, Cisco's top bit.
        assert_eq!(name(0, 33_000), "cisco:ingressAclId");
        assert_eq!(name(0, 57_472 + 118), name(35_632, 118));
        assert_eq!(name(0, 0x8000 + 12_236), "cisco:clientIPv4Address");
        assert_eq!(name(0, 0x8000), "e0id32768");
        // CERT's reverse elements are its own ids with bit 14.
        assert_eq!(name(6_871, 14), "yaf:initialTCPFlags");
        assert_eq!(name(6_871, 0x4000 | 14), "yaf:reverseInitialTCPFlags");
        assert_eq!(by_name("yaf:reverseInitialTCPFlags"), Some((6_871, 0x4000 | 14)));
        assert_eq!(by_name("cisco:reverseConnectionId"), None);
    }

    #[test]
    fn unknown_elements_are_named_by_their_numbers() {
        let name = Name { pen: 4_000_000_000, id: 7 };
        assert_eq!(name.to_string(), "e4000000000id7");
        assert_eq!(by_name("e4000000000id7"), Some((4_000_000_000, 7)));
        assert_eq!(Name { pen: 29_305, id: 0x7fff }.to_string(), "e29305id32767");
        assert_eq!(by_name("e1idx"), None);
    }
}
