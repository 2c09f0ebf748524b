//! What the encoders write is what the views read: templates, options, variable lengths, enterprise elements,
//! padding, record counts, for IPFIX, NetFlow v9 and v5.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::emit::{ipfix as emit_ipfix, netflow as emit_netflow};
use wire::ipfix::Message;
use wire::ipfix::data::Records;
use wire::ipfix::template::{Definition, Field, Template, Templates, VARIABLE_LENGTH};
use wire::netflow::{v5, v9};
use wire::set::{Set, SetKind};

/// A template's fields and records of it; at least one field has octets.
fn table(enterprises: bool) -> impl Strategy<Value = (Vec<Field>, Vec<Vec<Vec<u8>>>)> {
    let length = if enterprises {
        prop_oneof![4 => 0_u16..40, 1 => Just(VARIABLE_LENGTH)].boxed()
    } else {
        (0_u16..40).boxed()
    };
    let pen =
        if enterprises { prop_oneof![3 => Just(0_u32), 1 => 1_u32..].boxed() } else { Just(0_u32).boxed() };
    let id = if enterprises { (1_u16..0x8000).boxed() } else { (1_u16..).boxed() };
    let field = (pen, id, length).prop_map(|(pen, id, length)| Field { pen, id, length });
    (field.clone(), vec(field, 0..12)).prop_flat_map(|(first, others)| {
        let mut fields = others;
        fields.push(Field { length: first.length.max(1), ..first });
        let record: Vec<_> = fields
            .iter()
            .map(|field| match field.length {
                VARIABLE_LENGTH => {
                    prop_oneof![8 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 250..300)].boxed()
                }
                length => vec(any::<u8>(), usize::from(length)).boxed(),
            })
            .collect();
        (Just(fields), vec(record, 0..5))
    })
}

/// Runs `write` over the records as the encoders take them.
fn with_slices<R>(records: &[Vec<Vec<u8>>], write: impl FnOnce(&[&[&[u8]]]) -> R) -> R {
    let values: Vec<Vec<&[u8]>> =
        records.iter().map(|record| record.iter().map(Vec::as_slice).collect()).collect();
    let records: Vec<&[&[u8]]> = values.iter().map(Vec::as_slice).collect();
    write(&records)
}

fn read(fields: &[Field], set: &Set<'_>) -> Vec<Vec<Vec<u8>>> {
    let records = Records::new(fields, set.body).map(Result::unwrap);
    records.map(|record| record.fields().map(|field| field.octets.to_vec()).collect()).collect()
}

fn only(mut templates: Templates<'_>) -> Template<'_> {
    let Some(Ok(Definition::Template(template))) = templates.next() else { panic!("a template") };
    assert!(templates.next().is_none());
    template
}

fn fields_of(template: &Template<'_>) -> Vec<Field> {
    template.fields().map(|specifier| specifier.field).collect()
}

proptest! {
    #[test]
    fn ipfix((fields, records) in table(true), scope in 0_u16..3, domain: u32, sequence: u32) {
        let scope = scope.min(u16::try_from(fields.len()).unwrap());
        let mut message = emit_ipfix::Message::new(1, sequence, domain);
        match scope {
            0 => message.template(300, &fields),
            scope => message.options_template(300, scope, &fields),
        };
        with_slices(&records, |records| { message.data(300, &fields, records); });
        prop_assert_eq!(message.records() as usize, records.len());
        let octets = message.finish();

        let message = Message::parse(&octets).unwrap();
        prop_assert_eq!((message.observation_domain_id, message.sequence), (domain, sequence));
        prop_assert_eq!(usize::from(message.length), octets.len());
        let sets: Vec<_> = message.sets().map(Result::unwrap).collect();
        prop_assert_eq!(sets.len(), 2);
        let template = only(Templates::new(&sets[0]));
        prop_assert_eq!((template.id, template.options, template.scope_count), (300, scope > 0, scope));
        prop_assert_eq!(fields_of(&template), fields.clone());
        prop_assert_eq!(sets[1].kind, SetKind::Data(300));
        prop_assert_eq!(read(&fields, &sets[1]), records);
    }

    // RFC 7011 section 3.3.1: padding is shorter than any record, so it is never read as one.
    #[test]
    fn ipfix_padding((fields, records) in table(true).prop_filter("records longer than padding", |(fields, _)| {
        fields.iter().map(|field| field.minimum_length()).sum::<usize>() > 3
    })) {
        let mut message = emit_ipfix::Message::new(1, 0, 0);
        with_slices(&records, |records| { message.data(300, &fields, records).pad(); });
        let octets = message.finish();
        prop_assert_eq!(octets.len() % 4, 0);
        let set = Message::parse(&octets).unwrap().sets().next().unwrap().unwrap();
        prop_assert_eq!(read(&fields, &set), records);
    }

    #[test]
    fn netflow9((fields, records) in table(false), scope in 0_usize..3) {
        let scope = scope.min(fields.len());
        let mut packet = emit_netflow::Packet::new(1, 2, 3, 4);
        packet.template(256, &fields);
        packet.options_template(257, &fields[..scope], &fields[scope..]);
        with_slices(&records, |records| { packet.data(256, &fields, records); });
        let octets = packet.finish();

        let packet = v9::Packet::parse(&octets).unwrap();
        prop_assert_eq!(usize::from(packet.count), 2 + records.len());
        let sets: Vec<_> = packet.sets().map(Result::unwrap).collect();
        prop_assert_eq!(sets.len(), 3);
        prop_assert_eq!(fields_of(&only(v9::templates(&sets[0]))), fields.clone());
        let options = only(v9::templates(&sets[1]));
        prop_assert_eq!(usize::from(options.scope_count), scope);
        for (specifier, field) in options.fields().zip(&fields) {
            prop_assert_eq!((specifier.field.id, specifier.field.length), (field.id, field.length));
        }
        let found = read(&fields, &sets[2]);
        // Flowsets are padded to 4 octets, which records shorter than the padding cannot be told from.
        prop_assert_eq!(&found[..records.len()], &records[..]);
        let shortest: usize = fields.iter().map(|field| field.minimum_length()).sum();
        prop_assert!(found.len() == records.len() || shortest < 4);
    }

    #[test]
    fn netflow5(source: [u8; 4], packets: u32, sampling: u16, count in 1_usize..31) {
        let header = emit_netflow::HeaderV5 { sampling, sequence: 7, ..Default::default() };
        let record = emit_netflow::RecordV5 { source, packets, destination_as: 65_001, ..Default::default() };
        let octets = emit_netflow::packet_v5(&header, &vec![record; count]);
        let packet = v5::Packet::parse(&octets).unwrap();
        prop_assert_eq!(u16::from(packet.sampling_mode) << 14 | packet.sampling_interval, sampling);
        prop_assert_eq!((usize::from(packet.count), packet.complete()), (count, Ok(())));
        let records: Vec<_> = packet.records().map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), count);
        for record in records {
            let value = |id| record.fields().find(|field| field.field.id == id).unwrap().octets;
            prop_assert_eq!(value(8), source);
            prop_assert_eq!(value(2), packets.to_be_bytes());
            prop_assert_eq!(value(17), 65_001_u16.to_be_bytes());
        }
    }
}
