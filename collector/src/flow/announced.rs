//! Options records of one exporter in; the names and types that they give to enterprise elements out (RFC 5610).
//! Bounded; only elements that the registry does not know, so nothing that has a name loses it.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use wire::element::{DataType, lookup};

use super::place::{Place, Records};
use super::plan::Found;

/// Longer names are not kept.
const MAX_NAME_OCTETS: usize = 64;

/// Where the records of an options template describe elements (RFC 5610 section 3.9).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Describes {
    pen: Place,
    id: Place,
    data_type: Place,
    name: Place,
}

impl Describes {
    /// Of a template that describes elements with a name: privateEnterpriseNumber (346), informationElementId
    /// (303), informationElementDataType (339), informationElementName (341).
    pub(crate) fn of(found: &Found<'_>) -> Option<Self> {
        let [pen, id, data_type, name] = [346, 303, 339, 341].map(|id| found.first(id));
        Some(Self { pen: pen?, id: id?, data_type: data_type?, name: name? })
    }
}

/// What an exporter says of one element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// Code of its abstract data type.
    pub(crate) data_type: u8,
    /// Letters, digits and hyphens of ASCII.
    pub(crate) name: Box<[u8]>,
}

/// The elements that one exporter has described.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Announced {
    elements: HashMap<(u32, u16), Announcement>,
    /// Counts changes of the table: templates with such elements are explained anew after one.
    changes: u64,
}

impl Announced {
    /// Takes the description of an element, if it is one that can be used. False: the table holds `max` already.
    pub(crate) fn learn(&mut self, at: Describes, records: &Records<'_>, row: usize, max: usize) -> bool {
        let number = |place| records.number(place, row);
        let (Some(pen), Some(id), Some(data_type)) = (
            number(at.pen).and_then(|pen| u32::try_from(pen).ok()),
            number(at.id).and_then(|id| u16::try_from(id).ok()),
            number(at.data_type).and_then(|code| u8::try_from(code).ok()),
        ) else {
            return true;
        };
        // RFC 5610 section 3.3: the enterprise bit may stand in the id.
        let key = (pen, id & 0x7fff);
        let name = records.value(at.name, row);
        let name = name.get(..name.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1));
        let name = name.unwrap_or_default();
        if !is_usable(key, data_type, name) {
            return true;
        }
        let known = self.elements.get(&key);
        if known.is_some_and(|known| known.data_type == data_type && *known.name == *name) {
            return true;
        }
        if known.is_none() && self.elements.len() >= max {
            return false;
        }
        self.elements.insert(key, Announcement { data_type, name: name.into() });
        self.changes = self.changes.wrapping_add(1);
        true
    }

    /// What was saved, as far as it can be used and `max` allows: the octets may come from anyone.
    pub(crate) fn restored(mut self, max: usize) -> Self {
        let mut left = max;
        self.elements.retain(|key, known| {
            let is_kept = is_usable(*key, known.data_type, &known.name) && left > 0;
            left -= usize::from(is_kept);
            is_kept
        });
        self
    }

    /// What was said of an element.
    pub(crate) fn get(&self, pen: u32, id: u16) -> Option<&Announcement> {
        self.elements.get(&(pen, id))
    }

    /// Counts what was learnt so far.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }
}

/// Whether a description is of an element without a name, with a type that IANA has and a name that can be a key.
fn is_usable((pen, id): (u32, u16), data_type: u8, name: &[u8]) -> bool {
    // No underscore: `_2` is what the second field of an element has behind its name.
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    let begins_so = name.first().is_some_and(u8::is_ascii_alphabetic);
    let is_name = begins_so && name.len() <= MAX_NAME_OCTETS && name.iter().all(is_plain);
    is_name && pen != 0 && lookup(pen, id).is_none() && DataType::from_code(data_type).is_some()
}
