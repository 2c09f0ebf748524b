//! UDP-notif datagrams in: notifications, put together from segments in any order; what never completes is bounded
//! and counted.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/exporters.rs"]
mod exporters;

use collector::Settings;
use collector::batch::BatchLimits;
use collector::ledger::{FlowEvent, Kind, MessageEnd, Protocol, RecordEnd};
use collector::message::Context;
use collector::schema::{RecordField, TableId};
use exporters::{Rig, SECOND, field, integer, octets};
use proptest::prelude::*;
use wire::emit::udp_notif::{Header, datagram, datagrams};

const PORT: u16 = 10_003;
const LIMITS: BatchLimits = BatchLimits { rows: 64, octets: 1 << 20 };

fn rig(settings: Settings) -> Rig {
    Rig::new(&[], LIMITS, 8, settings)
}

fn header(message_id: u32) -> Header {
    Header { media: 1, publisher_id: 7, message_id }
}

fn segments(message_id: u32, body: &[u8], most: usize) -> Vec<Vec<u8>> {
    datagrams(&header(message_id), body, most)
}

/// Number, segments, messages lost before it, and body of each notification.
fn notifications(rig: &mut Rig) -> Vec<(u32, u32, u32, Vec<u8>)> {
    let rows = rig.rows(TableId::Messages);
    let rows =
        rows.iter().filter(|row| integer(row, field(RecordField::Kind)) == Some(Kind::Notification as u64));
    rows.map(|row| {
        let context = octets(row, field(RecordField::Context)).unwrap();
        let Some(Context::Notification(of)) = Context::read(&context) else { panic!() };
        (of.message_id, of.segments, of.sequence_lost, octets(row, field(RecordField::Octets)).unwrap())
    })
    .collect()
}

//= draft-ietf-netconf-udp-notif-22 section 4.1
//# The receiver SHOULD support the reception of unordered segments.
//= draft-ietf-netconf-udp-notif-22 section 4.1
//# If the receiver collects a segment more than once, the implementation SHOULD drop the duplicate segment.
//= draft-ietf-netconf-udp-notif-22 section 4.1
//# The receiver SHOULD wait for all the segments before starting the reassembly process.
//= draft-ietf-netconf-udp-notif-22 section 6
//# The Receivers MUST support accepting UDP-Notif Messages on the configured UDP port, but MAY be
//# configurable to listen on a different port.
#[test]
fn segments_in_any_order_and_twice_make_one_message() {
    let body: Vec<u8> = (0..=200).collect();
    let mut rig = rig(Settings::default());
    let parts = segments(1, &body, 50);
    assert_eq!(parts.len(), 5);
    for at in [4, 2, 2, 0, 3, 0, 1, 1] {
        rig.send(PORT, &parts[at]);
    }
    rig.send(PORT, &datagram(&header(2), &[], b"{}"));
    assert_eq!(notifications(&mut rig), [(1, 5, 0, body), (2, 1, 0, b"{}".to_vec())]);
    assert_eq!(rig.messages(Protocol::UdpNotif, MessageEnd::Decoded), 6);
    assert_eq!(rig.messages(Protocol::UdpNotif, MessageEnd::Duplicate), 3);
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Row), 2);
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 0);
}

//= draft-ietf-netconf-udp-notif-22 section 3.2
//# If Message Publisher ID unicity is not preserved through the collection domain, the source IP address of
//# the UDP datagram MUST be used in addition to the Message Publisher ID to identify the information source.
//= draft-ietf-netconf-udp-notif-22 section 3.2
//# The Message ID values SHOULD be incremented by one for successive messages originated with the same
//# Message Publisher ID, so that message loss can be detected at data collection.
//= draft-ietf-netconf-udp-notif-22 section 5.1
//# Applications SHOULD monitor packet losses and provide means to the user for retrieving information on such
//# losses.
#[test]
fn message_ids_tell_what_was_lost() {
    let mut rig = rig(Settings::default());
    rig.send(PORT, &datagram(&header(u32::MAX), &[], b"a"));
    rig.send(PORT, &datagram(&header(3), &[], b"b"));
    rig.send(PORT, &datagram(&header(1), &[], b"late"));
    let lost: Vec<_> = notifications(&mut rig).iter().map(|row| (row.0, row.2)).collect();
    assert_eq!(lost, [(u32::MAX, 0), (3, 3), (1, 0)]);
    // Another publisher of the same router, and the same publisher id of another router.
    rig.send(PORT, &datagram(&Header { publisher_id: 8, ..header(500) }, &[], b"c"));
    rig.send_from("192.0.2.77:1", PORT, &datagram(&header(900), &[], b"d"));
    rig.tick(2 * SECOND);
    assert_eq!(rig.lost(Protocol::UdpNotif), 2);
}

//= draft-ietf-netconf-udp-notif-22 section 4.1
//# The implementation of the receiver SHOULD provide an option to discard the received segments if, after
//# some time, one of the segments is still missing and the reassembly of the message is not possible.
//= draft-ietf-netconf-udp-notif-22 section 5.3
//# A receiver implementation SHOULD discard packets that were received but cannot be re-assembled as a
//# complete message within a given amount of time.
//= draft-ietf-netconf-udp-notif-22 section 5.3
//# This time SHOULD be configurable.
#[test]
fn what_never_completes_is_given_up_in_time() {
    let patient = Settings { max_segment_wait_ns: 60 * SECOND, ..Settings::default() };
    for (settings, seconds) in [(Settings::default(), 10), (patient, 60)] {
        let mut rig = rig(settings);
        let parts = segments(1, &[7; 300], 100);
        rig.send(PORT, &parts[0]);
        rig.send(PORT, &parts[1]);
        assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 1);
        rig.tick((seconds - 1) * SECOND);
        assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 1);
        rig.tick(SECOND);
        assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 0);
        assert_eq!(rig.records(Kind::Notification, RecordEnd::Incomplete), 1);
    }
}

//= draft-ietf-netconf-udp-notif-22 section 5.2
//# A receiver collecting segmented UDP-Notif messages SHOULD have a configurable parameter to discard segments
//# when they exceed a certain amount of segments.
#[test]
fn floods_are_bounded_and_counted() {
    let settings = Settings {
        max_publishers_per_router: 3,
        max_segmented_messages_per_publisher: 4,
        max_segment_octets_per_publisher: 4_000,
        ..Settings::default()
    };
    let mut rig = rig(settings);
    for message_id in 1..=10 {
        rig.send(PORT, &segments(message_id, &[1; 30], 20)[0]);
    }
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 4);
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Evicted), 6);
    // One message of more octets than all may have: the others go, then it.
    let long = segments(20, &[2; 8_000], 1_000);
    long.iter().for_each(|part| rig.send(PORT, part));
    assert_eq!(rig.records(Kind::Notification, RecordEnd::TooLong), 1);
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 0);
    assert_eq!(rig.messages(Protocol::UdpNotif, MessageEnd::TooLong), 5);
    // Publishers beyond the limit: those that rested longest go with what waits.
    for publisher_id in 100..200 {
        rig.now.monotonic_ns += 1;
        rig.send(PORT, &datagrams(&Header { publisher_id, ..header(1) }, &[3; 30], 20)[0]);
    }
    assert_eq!(rig.event(FlowEvent::PublisherEvicted), 98);
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 3);
    assert_eq!(notifications(&mut rig), []);
}

#[test]
fn all_publishers_of_a_worker_share_a_bound() {
    let settings = Settings { max_waiting_octets_per_worker: 3_000, ..Settings::default() };
    let mut rig = rig(settings);
    for router in 1..=20 {
        let from = format!("192.0.2.{router}:5000");
        rig.send_from(&from, PORT, &segments(1, &[1; 300], 200)[0]);
        rig.send_from(&from, PORT, &segments(1, &[1; 300], 200)[0]);
    }
    // Each takes 520 octets: five have room, the others are told so once and then by segment.
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 5);
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Evicted), 15);
    assert_eq!(rig.messages(Protocol::UdpNotif, MessageEnd::NoRoom), 30);
    rig.tick(20 * SECOND);
    assert_eq!(rig.records(Kind::Notification, RecordEnd::Incomplete), 5);
    // Room again, and what comes whole needs none.
    for part in segments(2, &[1; 300], 200) {
        rig.send_from("192.0.2.20:5000", PORT, &part);
    }
    assert_eq!(notifications(&mut rig).len(), 1);
}

#[test]
fn segments_that_contradict_each_other_are_refused() {
    let mut rig = rig(Settings::default());
    let parts = segments(1, &[7; 300], 100);
    rig.send(PORT, &parts[0]);
    rig.send(PORT, &parts[2]);
    // One behind the last, one in another encoding.
    rig.send(PORT, &segments(1, &[8; 500], 100)[3]);
    let mut other = parts[1].clone();
    other[0] = 0x23;
    rig.send(PORT, &other);
    assert_eq!(rig.messages(Protocol::UdpNotif, MessageEnd::Malformed), 2);
    rig.send(PORT, &parts[1]);
    assert_eq!(notifications(&mut rig), [(1, 3, 0, vec![7; 300])]);
    // Not a datagram of it at all, and one of another version.
    rig.send(PORT, &[0x21, 12, 0, 40, 0]);
    rig.send(PORT, &[0x61; 20]);
    assert_eq!(rig.messages(Protocol::UdpNotif, MessageEnd::Malformed), 3);
    assert_eq!(rig.messages(Protocol::UdpNotif, MessageEnd::UnknownVersion), 1);
}

#[test]
fn what_waits_moves_with_its_router() {
    let body = vec![5; 300];
    let parts = segments(9, &body, 100);
    let mut before = rig(Settings::default());
    before.send(PORT, &datagram(&header(8), &[], b"{}"));
    before.send(PORT, &parts[2]);
    let mut saved = Vec::new();
    let id = before.collector.routers().next().unwrap();
    before.collector.save(id, &mut saved);
    let mut after = rig(Settings::default());
    after.now = before.now;
    after.collector.restore(&saved).unwrap();
    assert_eq!(after.records(Kind::Notification, RecordEnd::Waiting), 1);
    after.send(PORT, &parts[0]);
    after.send(PORT, &parts[1]);
    after.send(PORT, &datagram(&header(10), &[], b"[]"));
    assert_eq!(notifications(&mut after), [(9, 3, 0, body), (10, 1, 0, b"[]".to_vec())]);
    // Where there is no room, it ends.
    let mut small = rig(Settings { max_segment_octets_per_publisher: 100, ..Settings::default() });
    small.collector.restore(&saved).unwrap();
    assert_eq!(small.records(Kind::Notification, RecordEnd::Evicted), 1);
    assert_eq!(small.collector.ledgers().unexplained(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Segments of several messages, shuffled, some sent twice: every message comes out once, as it was.
    #[test]
    fn shuffled_segments_come_out_as_they_went_in(
        lengths in proptest::collection::vec(0..400_usize, 1..8),
        order in proptest::collection::vec(any::<u32>(), 200),
        twice in proptest::collection::vec(any::<bool>(), 200),
    ) {
        let body = |id: usize, length: usize| (0..length).map(|at| (at * 7 + id) as u8).collect::<Vec<u8>>();
        let mut sent = Vec::new();
        for (id, &length) in lengths.iter().enumerate() {
            let id_on_wire = u32::try_from(id).unwrap();
            sent.extend(segments(id_on_wire, &body(id, length), 37));
        }
        // Only segments can be told from new messages when they come again: their header is longer than 12 octets.
        let copies: Vec<_> = sent.iter().zip(&twice).filter(|(part, twice)| **twice && part[1] > 12).map(|(part, _)| part.clone()).collect();
        sent.extend(copies);
        let mut keyed: Vec<_> = order.iter().copied().zip(sent).collect();
        keyed.sort();
        let mut rig = rig(Settings::default());
        keyed.iter().for_each(|(_, part)| rig.send(PORT, part));
        let mut rows: Vec<_> = notifications(&mut rig).into_iter().map(|row| (row.0, row.3)).collect();
        rows.sort();
        let expected: Vec<_> = (0..).zip(lengths.iter().enumerate().map(|(id, &length)| body(id, length))).collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn octets_cut_and_flipped_anywhere_balance(
        flips in proptest::collection::vec((0..24_usize, any::<u8>(), 0..4_usize), 1..12),
        cut in 0..30_usize,
    ) {
        let limits = BatchLimits { rows: 4, octets: 2_048 };
        let settings = Settings { max_segment_octets_per_publisher: 2_000, ..Settings::default() };
        let mut rig = Rig::new(&[], limits, 2, settings);
        let parts = segments(1, &[9; 400], 100);
        for (at, value, which) in flips {
            let mut part = parts[which].clone();
            part[at] = value;
            part.truncate(part.len() - cut);
            // The rig holds every ledger after each datagram.
            rig.send(PORT, &part);
            rig.tick(SECOND / 2);
        }
        rig.tick(60 * SECOND);
        prop_assert_eq!(rig.records(Kind::Notification, RecordEnd::Waiting), 0);
    }
}
