//! A flow datagram read to the end by every view there is: what stands in for a session in hostile tests and under
//! the fuzzer. Panics if a place lies outside of the datagram.

use std::collections::HashMap;

use wire::cursor::Cursor;
use wire::element::{Name, lookup};
use wire::ipfix::Message;
use wire::ipfix::data::{Record, Records};
use wire::ipfix::information::TypeInformation;
use wire::ipfix::template::{Definition, Field, Templates};
use wire::list::{BasicList, SubTemplateList, SubTemplateMultiList};
use wire::malformed::Malformed;
use wire::netflow::{Version, v5, v9};
use wire::set::{Set, SetKind, Sets};
use wire::value::Value;

type Store = HashMap<u16, Vec<Field>>;

/// Everything found in a datagram.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) sets: usize,
    pub(crate) templates: usize,
    pub(crate) records: usize,
    pub(crate) fields: usize,
    pub(crate) errors: usize,
}

/// How deep lists are followed.
pub(crate) const MAX_DEPTH: u32 = 4;

/// A session without its clock and its limits: templates stay from datagram to datagram.
#[derive(Default)]
pub(crate) struct Walk {
    length: usize,
    store: Store,
    found: Found,
}

impl Walk {
    /// Reads one datagram by itself.
    pub(crate) fn over(octets: &[u8]) -> Found {
        let mut walk = Self::default();
        walk.read(octets);
        walk.found
    }

    /// Reads one more datagram.
    pub(crate) fn read(&mut self, octets: &[u8]) {
        let walk = self;
        walk.length = octets.len();
        match Version::of(octets) {
            Some(Version::Ipfix) => match Message::parse(octets) {
                Ok(message) => walk.sets(message.sets(), Templates::new),
                Err(malformed) => walk.error(malformed),
            },
            Some(Version::V9) => match v9::Packet::parse(octets) {
                Ok(packet) => walk.sets(packet.sets(), v9::templates),
                Err(malformed) => walk.error(malformed),
            },
            Some(Version::V5) => match v5::Packet::parse(octets) {
                Ok(packet) => {
                    walk.records(packet.records(), 0);
                    packet.complete().unwrap_or_else(|malformed| walk.error(malformed));
                }
                Err(malformed) => walk.error(malformed),
            },
            None => {}
        }
    }

    fn error(&mut self, malformed: Malformed) {
        assert!(malformed.offset as usize <= self.length, "{malformed} outside of {} octets", self.length);
        assert!(!malformed.reason.name().is_empty());
        self.found.errors += 1;
    }

    fn sets<'a>(&mut self, sets: Sets<'a>, templates: impl Fn(&Set<'a>) -> Templates<'a>) {
        for set in sets {
            match set {
                Ok(set) => {
                    self.found.sets += 1;
                    assert!(set.offset + set.length() <= self.length);
                    self.set(&set, templates(&set));
                }
                Err(malformed) => self.error(malformed),
            }
        }
    }

    fn set<'a>(&mut self, set: &Set<'a>, templates: Templates<'a>) {
        for definition in templates {
            match definition {
                Ok(Definition::Template(template)) => {
                    let fields: Vec<_> = template.fields().map(|specifier| specifier.field).collect();
                    assert_eq!(fields.len(), usize::from(template.field_count));
                    assert!(template.fields().all(|specifier| specifier.offset + 4 <= self.length));
                    self.store.insert(template.id, fields);
                    self.found.templates += 1;
                }
                Ok(Definition::Withdrawal(id)) => _ = self.store.remove(&id),
                Ok(Definition::WithdrawAll) => self.store.clear(),
                Err(malformed) => self.error(malformed),
            }
        }
        if let SetKind::Data(id) = set.kind
            && let Some(fields) = self.store.get(&id).cloned()
        {
            self.records(Records::new(&fields, set.body), 0);
        }
    }

    fn records(&mut self, records: Records<'_, '_>, depth: u32) {
        for record in records {
            match record {
                Ok(record) => {
                    self.found.records += 1;
                    self.record(record, depth);
                }
                Err(malformed) => self.error(malformed),
            }
        }
    }

    fn record(&mut self, record: Record<'_, '_>, depth: u32) {
        if let Some(information) = TypeInformation::of(&record) {
            assert!(information.id < 0x8000);
        }
        for field in record.fields() {
            self.found.fields += 1;
            assert!(field.offset + field.octets.len() <= self.length);
            let Name { pen, id } = Name { pen: field.field.pen, id: field.field.id };
            if let Some(element) = lookup(pen, id)
                && let Ok(value) = Value::decode(element.data_type, field.octets)
                && depth < MAX_DEPTH
            {
                self.list(value, Cursor::with_base(field.octets, field.offset), depth);
            }
        }
    }

    fn list(&mut self, value: Value<'_>, octets: Cursor<'_>, depth: u32) {
        let outcome = match value {
            Value::BasicList(_) => BasicList::parse(octets).and_then(|list| {
                list.values().try_for_each(|value| value.map(|value| assert!(value.offset() <= self.length)))
            }),
            Value::SubTemplateList(_) => SubTemplateList::parse(octets).map(|list| {
                if let Some(fields) = self.store.get(&list.template_id).cloned() {
                    self.records(Records::new(&fields, list.records), depth + 1);
                }
            }),
            Value::SubTemplateMultiList(_) => SubTemplateMultiList::parse(octets).and_then(|list| {
                list.groups().try_for_each(|group| {
                    let group = group?;
                    if let Some(fields) = self.store.get(&group.template_id).cloned() {
                        self.records(Records::new(&fields, group.records), depth + 1);
                    }
                    Ok(())
                })
            }),
            Value::Null
            | Value::Unsigned(_)
            | Value::Signed(_)
            | Value::Float32(_)
            | Value::Float64(_)
            | Value::Boolean(_)
            | Value::Mac(_)
            | Value::Ipv4(_)
            | Value::Ipv6(_)
            | Value::Time(_)
            | Value::String(_)
            | Value::Octets(_)
            | Value::Unsigned256(_) => Ok(()),
        };
        outcome.unwrap_or_else(|malformed| self.error(malformed));
    }
}
