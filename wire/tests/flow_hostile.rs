//! Every emitted message cut at every octet and with every bit flipped is read to the end without a panic, every
//! error and every field lies inside the message, and what stands before a cut is not lost.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use wire::cursor::Cursor;
use wire::element::{Name, lookup};
use wire::emit::{ipfix as emit_ipfix, netflow as emit_netflow};
use wire::ipfix::Message;
use wire::ipfix::data::{Record, Records};
use wire::ipfix::template::{Definition, Field, Templates, VARIABLE_LENGTH};
use wire::list::{BasicList, SubTemplateList, SubTemplateMultiList};
use wire::malformed::Malformed;
use wire::netflow::{Version, v5, v9};
use wire::set::{Set, SetKind, Sets};
use wire::value::Value;

type Store = HashMap<u16, Vec<Field>>;

/// Everything found in a datagram; `MAX_DEPTH` lists deep.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    sets: usize,
    templates: usize,
    records: usize,
    fields: usize,
    errors: usize,
}

const MAX_DEPTH: u32 = 4;

struct Walk {
    length: usize,
    store: Store,
    found: Found,
}

impl Walk {
    fn over(octets: &[u8]) -> Found {
        let mut walk = Self { length: octets.len(), store: Store::new(), found: Found::default() };
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
        walk.found
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

/// One datagram of each shape, and what is in it.
fn datagrams() -> Vec<(Vec<u8>, Found)> {
    let flow = [Field::iana(8, 4), Field { pen: 29_305, id: 1, length: 8 }, Field::iana(82, VARIABLE_LENGTH)];
    let lists = [
        Field::iana(291, VARIABLE_LENGTH),
        Field::iana(292, VARIABLE_LENGTH),
        Field::iana(293, VARIABLE_LENGTH),
    ];
    let inner: &[u8] = &[192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 9, 2, b'e', b'0'];
    let sub_template = [&[3, 1, 0][..], inner].concat();
    let multi = [&[4, 1, 0, 0, 19][..], inner].concat();
    let mut message = emit_ipfix::Message::new(1, 2, 3);
    message
        .template(256, &flow)
        .template(257, &lists)
        .options_template(258, 1, &[Field::iana(149, 4), Field::iana(34, 4)])
        .data(256, &flow, &[&[&[192, 0, 2, 1], &[0; 8], b"eth0"], &[&[192, 0, 2, 2], &[1; 8], b""]])
        .data(257, &lists, &[&[&[3, 0, 10, 0, 4, 0, 0, 0, 1], &sub_template, &multi]])
        .data(258, &[Field::iana(149, 4), Field::iana(34, 4)], &[&[&[0, 0, 0, 3], &[0, 0, 0, 100]]])
        .withdrawal(256, false)
        .pad();
    let ipfix = Found { sets: 7, templates: 3, records: 2 + 1 + 2 + 1, fields: 6 + 3 + 6 + 2, errors: 0 };

    let mut packet = emit_netflow::Packet::new(1, 2, 3, 4);
    let fields = [Field::iana(8, 4), Field::iana(33_000, 12), Field::iana(1, 0)];
    packet.template(256, &fields).options_template(257, &[Field::iana(1, 4)], &[Field::iana(34, 2)]).data(
        256,
        &fields,
        &[&[&[1, 2, 3, 4], &[7; 12], &[]], &[&[1, 2, 3, 5], &[8; 12], &[]]],
    );
    let netflow9 = Found { sets: 3, templates: 2, records: 2, fields: 6, errors: 0 };

    let record = emit_netflow::RecordV5::default();
    let netflow5 = Found { records: 2, fields: 40, ..Found::default() };
    vec![
        (message.finish(), ipfix),
        (packet.finish(), netflow9),
        (emit_netflow::packet_v5(&emit_netflow::HeaderV5::default(), &[record; 2]), netflow5),
    ]
}

#[test]
fn whole_datagrams_are_read_whole() {
    for (octets, found) in datagrams() {
        assert_eq!(Walk::over(&octets), found);
    }
}

#[test]
fn cut_anywhere() {
    for (octets, whole) in datagrams() {
        let mut records = 0;
        for end in 0..octets.len() {
            let found = Walk::over(&octets[..end]);
            assert!(found.records >= records && found.sets <= whole.sets, "{end}: {found:?}");
            records = found.records;
            // NetFlow v9 has no length of its own: cut between flowsets it is a shorter packet.
            let has_length = Version::of(&octets[..end]).is_some_and(|version| version != Version::V9);
            assert!(found.errors > 0 || !has_length, "{end}: {found:?}");
        }
    }
}

#[test]
fn any_bit_flipped() {
    for (octets, _) in datagrams() {
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            Walk::over(&flipped);
        }
    }
}

proptest! {
    #[test]
    fn any_octets(octets in vec(any::<u8>(), 0..200), version in 0_u8..12) {
        let mut octets = octets;
        if let [high, low, ..] = octets.as_mut_slice() {
            (*high, *low) = (0, version);
        }
        Walk::over(&octets);
    }

    #[test]
    fn several_octets_overwritten(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        for (mut octets, _) in datagrams() {
            for (at, octet) in &changes {
                let at = at.index(octets.len());
                octets[at] = *octet;
            }
            Walk::over(&octets);
        }
    }
}
