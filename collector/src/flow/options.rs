//! Options records of one exporter in; what they tell about its flows out: sampling, names of interfaces and
//! VRFs, route distinguishers, boot time. Bounded; an entry once known is only replaced, never grown.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use wire::element::NETFLOW9_SCOPE_PEN;

use super::announced::Describes;
use super::place::{Place, Records};
use super::plan::Found;
use super::sampling::Rate;
use crate::batch::Batch;

/// Longer names are not kept: interface and VRF names have at most 255 octets (RFC 2863, RFC 4265).
const MAX_NAME_OCTETS: usize = 255;

/// Where the records of an options template tell what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    selector: Option<Place>,
    rate: Option<Rate>,
    interface: Option<Place>,
    interface_name: Option<Place>,
    vrf: Option<Place>,
    vrf_name: Option<Place>,
    distinguisher: Option<Place>,
    boot: Option<Place>,
    /// Names and types of elements.
    pub(crate) describes: Option<Describes>,
}

impl Told {
    /// What records of a template tell.
    pub(crate) fn of(found: &Found<'_>) -> Self {
        // Scope type 2 of NetFlow v9 is an interface.
        let scope = || found.first_of(NETFLOW9_SCOPE_PEN, 2);
        Self {
            selector: found.first(302).or_else(|| found.first(48)),
            rate: Rate::of(found),
            interface: found.first(10).or_else(|| found.first(14)).or_else(scope),
            interface_name: found.first(82).or_else(|| found.first(83)),
            vrf: found.first(234).or_else(|| found.first(235)),
            vrf_name: found.first(236),
            distinguisher: found.first(90).filter(|place| place.length() == Some(8)),
            boot: found.first(160),
            describes: Describes::of(found),
        }
    }
}

/// What the options of one exporter have told so far. Most exporters send none: then there is nothing but a word.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Known", into = "Known")]
pub(crate) struct Options(Option<Box<Known>>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    /// Rates of samplers (elements 48 and 302).
    samplers: HashMap<u64, f64>,
    /// The rate of an exporter that has one sampler and does not name it.
    rate: Option<f64>,
    interfaces: HashMap<u32, Named>,
    /// Rates of interfaces.
    rates: HashMap<u32, f64>,
    vrfs: HashMap<u32, Named>,
    distinguishers: HashMap<u32, [u8; 8]>,
    /// Element 160, unix ms; 0: not told.
    boot_ms: u64,
}

/// A name, and where it stands in the dictionaries of the open batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Named {
    name: Box<[u8]>,
    /// Number of the batch and key in it, for the ingress and the egress column.
    #[serde(skip)]
    choices: [(u64, i32); 2],
}

impl From<Known> for Options {
    fn from(known: Known) -> Self {
        let is_empty = known.len() == 0 && known.rate.is_none() && known.boot_ms == 0;
        Self((!is_empty).then(|| Box::new(known)))
    }
}

impl From<Options> for Known {
    fn from(options: Options) -> Self {
        options.0.map_or_else(Self::default, |known| *known)
    }
}

impl Options {
    /// Takes an options record. False if something that it tells had to be left out: the tables hold `max`
    /// entries already.
    pub(crate) fn learn(&mut self, told: &Told, records: &Records<'_>, row: usize, max: usize) -> bool {
        self.0.get_or_insert_default().learn(told, records, row, max)
    }

    /// Whether nothing was told.
    pub(crate) const fn are_none(&self) -> bool {
        self.0.is_none()
    }

    /// The rate of an exporter with one sampler.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.0.as_ref()?.rate
    }

    /// Whether rates depend on the record.
    pub(crate) fn has_samplers(&self) -> bool {
        self.0.as_ref().is_some_and(|known| !known.samplers.is_empty() || !known.rates.is_empty())
    }

    /// The rate of a sampler.
    pub(crate) fn sampler(&self, selector: Option<u64>) -> Option<f64> {
        self.0.as_ref()?.samplers.get(&selector?).copied()
    }

    /// The rate of an interface.
    pub(crate) fn interface_rate(&self, interface: Option<u64>) -> Option<f64> {
        self.0.as_ref()?.rates.get(&u32::try_from(interface?).ok()?).copied()
    }

    /// The boot time of the exporter, unix ms; 0: not told.
    pub(crate) fn boot_ms(&self) -> u64 {
        self.0.as_ref().map_or(0, |known| known.boot_ms)
    }

    /// The route distinguisher of a VRF.
    pub(crate) fn distinguisher(&self, vrf: u32) -> Option<[u8; 8]> {
        self.0.as_ref()?.distinguishers.get(&vrf).copied()
    }

    /// The name of a VRF, without the zeros that may fill its field.
    pub(crate) fn vrf_name(&self, vrf: u32) -> Option<&str> {
        let name = std::str::from_utf8(&self.0.as_ref()?.vrfs.get(&vrf)?.name).ok()?;
        Some(name.trim_end_matches('\0'))
    }

    /// Whether there are names for some column of [`Options::fill_names`].
    pub(crate) fn has_any_names(&self) -> bool {
        self.0.as_ref().is_some_and(|known| !known.interfaces.is_empty() || !known.vrfs.is_empty())
    }

    /// Whether there are names for the column `which` of [`Options::fill_names`].
    pub(crate) fn has_names(&self, which: usize) -> bool {
        let is_any = |known: &Known| !if which < 2 { &known.interfaces } else { &known.vrfs }.is_empty();
        self.0.as_deref().is_some_and(is_any)
    }

    /// Appends a column of names to the batch: `ids` are the interfaces or VRFs of its next rows. `which` is the
    /// column's number in the order ingress and egress interface, ingress and egress VRF.
    pub(crate) fn fill_names(&mut self, which: usize, ids: &[u64], batch: &mut Batch, column: usize) {
        let Some(known) = &mut self.0 else { return };
        let names = if which < 2 { &mut known.interfaces } else { &mut known.vrfs };
        for id in ids {
            let named = u32::try_from(*id).ok().and_then(|id| names.get_mut(&id));
            match named.and_then(|named| named.choice(which % 2, batch, column)) {
                Some(key) => batch.push_choice(column, key),
                None => batch.push_absent(column),
            }
        }
    }
}

impl Known {
    fn learn(&mut self, told: &Told, records: &Records<'_>, row: usize, max: usize) -> bool {
        let number = |place: Option<Place>| records.number(place?, row);
        let index = |place| number(place).and_then(|number| u32::try_from(number).ok());
        let name = |place: Option<Place>| place.map(|place| trimmed(records.value(place, row)));
        let has_room = self.len() < max;
        let mut is_kept = true;
        if let Some(rate) = told.rate.and_then(|rate| rate.read(records, row)) {
            match (number(told.selector), index(told.interface)) {
                (Some(selector), _) => is_kept &= put(&mut self.samplers, selector, rate, has_room),
                (None, Some(interface)) => is_kept &= put(&mut self.rates, interface, rate, has_room),
                (None, None) => self.rate = Some(rate),
            }
        }
        if let (Some(interface), Some(name)) = (index(told.interface), name(told.interface_name)) {
            is_kept &= call(&mut self.interfaces, interface, name, has_room);
        }
        if let Some(vrf) = index(told.vrf) {
            if let Some(name) = name(told.vrf_name) {
                is_kept &= call(&mut self.vrfs, vrf, name, has_room);
            }
            let distinguisher =
                told.distinguisher.and_then(|place| records.value(place, row).try_into().ok());
            if let Some(distinguisher) = distinguisher {
                is_kept &= put(&mut self.distinguishers, vrf, distinguisher, has_room);
            }
        }
        if let Some(boot_ms) = number(told.boot) {
            self.boot_ms = boot_ms;
        }
        is_kept
    }

    fn len(&self) -> usize {
        self.samplers.len()
            + self.interfaces.len()
            + self.rates.len()
            + self.vrfs.len()
            + self.distinguishers.len()
    }
}

impl Named {
    fn choice(&mut self, which: usize, batch: &mut Batch, column: usize) -> Option<i32> {
        let choice = self.choices.get_mut(which)?;
        if choice.0 != batch.sequence {
            let key = batch.add_choice(column, |to| to.extend_from_slice(&self.name))?;
            *choice = (batch.sequence, key);
        }
        Some(choice.1)
    }
}

fn put<K: std::hash::Hash + Eq, V>(table: &mut HashMap<K, V>, key: K, value: V, has_room: bool) -> bool {
    if let Some(known) = table.get_mut(&key) {
        *known = value;
    } else if has_room {
        table.insert(key, value);
    } else {
        return false;
    }
    true
}

fn call(table: &mut HashMap<u32, Named>, key: u32, name: &[u8], has_room: bool) -> bool {
    if name.is_empty() || table.get(&key).is_some_and(|known| *known.name == *name) {
        return true;
    }
    if name.len() > MAX_NAME_OCTETS {
        return false;
    }
    put(table, key, Named { name: name.into(), choices: [(0, 0); 2] }, has_room)
}

/// Without trailing NULs, as exporters pad names in fields of fixed length.
fn trimmed(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    octets.get(..end).unwrap_or_default()
}
