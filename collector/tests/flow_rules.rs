//! What RFC 3954 and RFC 7011 oblige a collector to, where no other test shows it: template ids that mean nothing,
//! template sets anywhere, templates that expire, padding. The sentences stand in `wire/conformance/ipfix.txt`.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use collector::flow::template::TemplateOctets;
use collector::ledger::{Kind, MessageEnd, Protocol, RecordEnd, SetEnd};
use collector::message::Context;
use collector::schema::{Origin, RecordField, TableId};
use collector::settings::Settings;
use wire::element::REVERSE_PEN;
use wire::emit::{ipfix::Message, netflow};
use wire::ipfix::template::Field;

#[path = "kit/exporters.rs"]
mod exporters;

use collector::batch::BatchLimits;
use exporters::{EXPORT, Rig, SECOND, element, field, integer, octets};

const SOURCE: [Field; 1] = [Field::iana(8, 4)];
const DESTINATION: [Field; 2] = [Field::iana(4, 1), Field::iana(12, 4)];

fn packet(sequence: u32, source_id: u32, build: impl Fn(&mut netflow::Packet)) -> Vec<u8> {
    let mut packet = netflow::Packet::new(60_000, EXPORT, sequence, source_id);
    build(&mut packet);
    packet.finish()
}

/// Source and destination addresses of the flows since the last call.
fn addresses(rig: &mut Rig) -> Vec<(Option<u64>, Option<u64>)> {
    let rows = rig.rows(TableId::Flows);
    rows.iter().map(|row| (integer(row, element(8)), integer(row, element(12)))).collect()
}

fn expiring(lifetime_ns: u64) -> Rig {
    let settings = Settings { template_lifetime_ns: lifetime_ns, ..Settings::default() };
    Rig::new(&[(0, 8), (0, 12)], BatchLimits { rows: 64, octets: 1 << 20 }, 8, settings)
}

//= RFC 7011 section 3.4.1
//# As Exporting Processes are free to allocate Template IDs as they see fit, Collecting Processes MUST NOT
//# assume incremental Template IDs, or anything about the contents of a Template based on its Template ID
//# alone.
//= RFC 7011 section 3.4.2.2
//# As Exporting Processes are free to allocate Template IDs as they see fit, Collecting Processes MUST NOT
//# assume incremental Template IDs, or anything about the contents of an Options Template based on its
//# Template ID alone.
#[test]
fn template_ids_mean_nothing_but_their_template() {
    let options = [Field::iana(10, 4), Field::iana(34, 4)];
    for ids in [[65_535, 256, 1_000], [256, 65_535, 257], [700, 699, 698]] {
        let [one, two, three] = ids;
        let mut rig = Rig::with(&[(0, 8), (0, 12)]);
        let mut message = Message::new(EXPORT, 0, 7);
        message
            .template(one, &SOURCE)
            .options_template(two, 1, &options)
            .template(three, &DESTINATION)
            .data(three, &DESTINATION, &[&[&[6], &[3; 4]]])
            .data(two, &options, &[&[&[0, 0, 0, 9], &[0, 0, 0, 10]]])
            .data(one, &SOURCE, &[&[&[1; 4]]]);
        rig.send(4739, &message.finish());
        assert_eq!(rig.records(Kind::Options, RecordEnd::Row), 1, "{ids:?}");
        let rows = rig.rows(TableId::Flows);
        let ids: Vec<_> = rows.iter().map(|row| integer(row, field(RecordField::TemplateId))).collect();
        assert_eq!(ids, [Some(three.into()), Some(one.into())]);
        assert_eq!(integer(&rows[0], element(12)), Some(0x0303_0303));
        assert_eq!(integer(&rows[1], element(8)), Some(0x0101_0101));
    }
}

//= RFC 3954 section 5.2
//# Because an individual Template FlowSet MAY contain multiple Template Records, the Length value MUST be
//# used to determine the position of the next FlowSet record, which could be any type of FlowSet.
//= RFC 3954 section 7
//# As such, the NetFlow Collector MUST store the Template Record to interpret the corresponding Flow Data
//# Records that are received in subsequent data packets.
//= RFC 3954 section 9
//# A Collector device MUST NOT assume that the Data FlowSet and the associated Template FlowSet (or Options
//# Template FlowSet) are exported in the same Export Packet.
//= RFC 3954 section 9
//# The Collector MUST NOT assume that one and only one Template FlowSet is present in an Export Packet.
#[test]
fn template_flowsets_stand_anywhere_and_more_than_once() {
    let mut rig = Rig::with(&[(0, 8), (0, 12)]);
    rig.send(
        2055,
        &packet(1, 5, |packet| {
            packet.data(300, &SOURCE, &[&[&[9; 4]]]);
            packet.template(256, &SOURCE).data(256, &SOURCE, &[&[&[1; 4]]]);
            packet.template(257, &DESTINATION).template(300, &SOURCE);
            packet.data(257, &DESTINATION, &[&[&[6], &[2; 4]]]);
        }),
    );
    let mut read = addresses(&mut rig);
    read.sort_unstable();
    assert_eq!(read, [(None, Some(0x0202_0202)), (Some(0x0101_0101), None), (Some(0x0909_0909), None)]);
    rig.send(2055, &packet(2, 5, |packet| _ = packet.data(256, &SOURCE, &[&[&[4; 4]], &[&[5; 4]]])));
    assert_eq!(addresses(&mut rig), [(Some(0x0404_0404), None), (Some(0x0505_0505), None)]);
    assert_eq!(rig.messages(Protocol::Netflow9, MessageEnd::Decoded), 2);
}

//= RFC 3954 section 7
//# A NetFlow Collector that receives Export Packets from several Observation Domains from the same Exporter
//# MUST be aware that the uniqueness of the Template ID is not guaranteed across Observation Domains.
//= RFC 3954 section 7
//# If a Collector should receive a new definition for an already existing Template ID, it MUST discard the
//# previous template definition and use the new one.
//= RFC 3954 section 9
//# If the Collector receives a new Template Record (for example, in the case of an Exporter restart) it MUST
//# immediately override the existing Template Record.
#[test]
fn a_new_definition_counts_at_once_and_only_for_its_source() {
    let mut rig = Rig::with(&[(0, 8), (0, 12)]);
    rig.send(2055, &packet(1, 5, |packet| _ = packet.template(256, &SOURCE)));
    rig.send(2055, &packet(1, 6, |packet| _ = packet.template(256, &DESTINATION)));
    rig.send(2055, &packet(2, 5, |packet| _ = packet.data(256, &SOURCE, &[&[&[1; 4]]])));
    rig.send(2055, &packet(2, 6, |packet| _ = packet.data(256, &DESTINATION, &[&[&[6], &[2; 4]]])));
    assert_eq!(addresses(&mut rig), [(Some(0x0101_0101), None), (None, Some(0x0202_0202))]);
    rig.send(
        2055,
        &packet(3, 5, |packet| {
            packet.template(256, &DESTINATION).data(256, &DESTINATION, &[&[&[6], &[3; 4]]]);
        }),
    );
    assert_eq!(addresses(&mut rig), [(None, Some(0x0303_0303))]);
}

//= RFC 3954 section 9
//# The Collector MUST NOT attempt to decode the Flow or Options Data Records with an expired Template.
#[test]
fn an_expired_template_decodes_nothing() {
    let mut rig = expiring(10 * SECOND);
    rig.send(2055, &packet(1, 5, |packet| _ = packet.template(256, &SOURCE)));
    rig.tick(9 * SECOND);
    rig.send(2055, &packet(2, 5, |packet| _ = packet.data(256, &SOURCE, &[&[&[1; 4]]])));
    assert_eq!(addresses(&mut rig).len(), 1);
    rig.tick(2 * SECOND);
    rig.send(2055, &packet(3, 5, |packet| _ = packet.data(256, &SOURCE, &[&[&[2; 4]]])));
    assert!(addresses(&mut rig).is_empty());
    assert_eq!(rig.sets(Protocol::Netflow9, SetEnd::Waiting), 1);
}

//= RFC 3954 section 6.1
//# Thus, the Length value MUST be used to determine the position of the next FlowSet record, which could be
//# either a Template FlowSet or Data FlowSet.
//= RFC 3954 section 6.2
//# The Collector MUST use the FlowSet ID to map the appropriate type and length to any field values that
//# follow.
//= RFC 3954 section 9
//# Finally, note that the Collector MUST accept padding in the Data FlowSet and Options Template FlowSet,
//# which means for the Flow Data Records, the Options Data Records and the Template Records.
#[test]
fn padding_of_every_kind_of_flowset_is_accepted() {
    let mut rig = Rig::with(&[(0, 8), (0, 12)]);
    // 5 octets of a record and 3 of padding; scope and option of 5 octets and 3 of padding.
    rig.send(
        2055,
        &packet(1, 5, |packet| {
            packet.template(256, &DESTINATION);
            packet.options_template(257, &[Field::iana(1, 4)], &[Field::iana(4, 1)]);
            packet.raw(256, &[6, 1, 1, 1, 1, 0, 0, 0], 1).raw(257, &[0, 0, 0, 1, 6, 0, 0, 0], 1);
        }),
    );
    assert_eq!(addresses(&mut rig), [(None, Some(0x0101_0101))]);
    assert_eq!(rig.records(Kind::Options, RecordEnd::Row), 1);
    assert_eq!(rig.messages(Protocol::Netflow9, MessageEnd::Decoded), 1);
}

/// Options records, each with its scope, since the last call.
fn scopes(rig: &mut Rig) -> Vec<(u16, Vec<(u32, u16)>)> {
    rig.rows(TableId::Messages)
        .iter()
        .map(|row| {
            let context = octets(row, field(RecordField::Context)).unwrap();
            let Some(Context::Options { template, .. }) = Context::read(&context) else {
                panic!("{context:?}")
            };
            let template = TemplateOctets::read(template).unwrap();
            let scope = usize::from(template.scope_count);
            (template.scope_count, template.fields().take(scope).map(|field| (field.pen, field.id)).collect())
        })
        .collect()
}

//= RFC 7011 section 3.4.2.1
//# At a minimum, Collecting Processes SHOULD support as scope the observationDomainId, exportingProcessId,
//# meteringProcessId, templateId, lineCardId, exporterIPv4Address, exporterIPv6Address, and ingressInterface
//# Information Elements.
#[test]
fn scopes_of_every_kind_and_length_are_read() {
    // observationDomainId, exportingProcessId, meteringProcessId, templateId, lineCardId, exporterIPv4Address,
    // exporterIPv6Address, ingressInterface; and one of an enterprise.
    let scopes_of = [(149, 4), (144, 4), (143, 4), (145, 2), (141, 4), (130, 4), (131, 16), (10, 4)];
    let fields = scopes_of.map(|(id, length)| Field::iana(id, length));
    let own = Field { pen: 9, id: 1, length: 3 };
    for scope in fields.into_iter().chain([own]) {
        let mut rig = Rig::with(&[]);
        let value = vec![7; usize::from(scope.length)];
        let mut message = Message::new(EXPORT, 0, 7);
        message.options_template(300, 1, &[scope, Field::iana(41, 8)]);
        message.data(300, &[scope, Field::iana(41, 8)], &[&[&value, &[0, 0, 0, 0, 0, 0, 0, 9]]]);
        rig.send(4739, &message.finish());
        assert_eq!(scopes(&mut rig), [(1, vec![(scope.pen, scope.id)])]);
    }
    // NetFlow v9: scopes of odd lengths, several of them, and none at all.
    for lengths in [&[1][..], &[3], &[2, 5], &[0, 4], &[]] {
        let mut rig = Rig::with(&[]);
        let scope: Vec<Field> = (1..).zip(lengths).map(|(id, length)| Field::iana(id, *length)).collect();
        let option = [Field::iana(41, 3)];
        let octets = usize::from(lengths.iter().sum::<u16>()) + 3;
        rig.send(
            2055,
            &packet(1, 5, |packet| {
                packet.options_template(257, &scope, &option);
                // Two records and padding to four octets, of which there may be more than a record has.
                let padding = (4 - 2 * octets % 4) % 4;
                packet.raw(257, &vec![1; 2 * octets + padding], 2);
            }),
        );
        let read = scopes(&mut rig);
        assert_eq!(read.len(), 2, "{lengths:?}");
        assert_eq!(usize::from(read[0].0), lengths.len());
        assert_eq!(rig.messages(Protocol::Netflow9, MessageEnd::Decoded), 1);
    }
}

#[test]
fn flows_of_two_directions_are_one_record() {
    let forward = [Field::iana(8, 4), Field::iana(12, 4), Field::iana(1, 4)];
    let reverse = Field { pen: REVERSE_PEN, id: 1, length: 4 };
    let key = (REVERSE_PEN, 1);
    let read = |fields: &[Field], values: &[&[u8]]| {
        let mut rig = Rig::with(&[(0, 1), key]);
        let mut message = Message::new(EXPORT, 0, 7);
        message.template(256, fields).data(256, fields, &[values]);
        rig.send(4739, &message.finish());
        let rows = rig.rows(TableId::Flows);
        let back = Origin::Element { pen: REVERSE_PEN, id: 1, nth: 0 };
        rows.iter().map(|row| (integer(row, element(1)), integer(row, back))).collect::<Vec<_>>()
    };
    let both: Vec<Field> = forward.into_iter().chain([reverse]).collect();
    let addresses: [&[u8]; 2] = [&[10, 0, 0, 1], &[10, 0, 0, 2]];
    let values = [addresses[0], addresses[1], &[0, 0, 0, 5], &[0, 0, 0, 9]];
    assert_eq!(read(&both, &values), [(Some(5), Some(9))]);
    // One of the reverse direction alone, without a key: illegal, and shown as it was sent.
    assert_eq!(read(&[reverse], &[&[0, 0, 0, 9]]), [(None, Some(9))]);
}
