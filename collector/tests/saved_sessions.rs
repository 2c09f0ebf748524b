//! A saved router with sFlow agents and UDP-notif publishers: octets that somebody changed are refused or read, and
//! never make it panic, lose a unit or hold more than the limits allow.

#[path = "kit/agents.rs"]
mod agents;
#[path = "kit/exporters.rs"]
mod exporters;

use agents::{counters, datagram, flow};
use collector::Settings;
use collector::batch::BatchLimits;
use exporters::{Rig, SECOND};
use wire::emit::udp_notif::{Header, datagrams};

const LIMITS: BatchLimits = BatchLimits { rows: 8, octets: 1 << 10 };

fn rig() -> Rig {
    let settings = Settings {
        max_agents_per_router: 4,
        max_sources_per_agent: 8,
        max_publishers_per_router: 4,
        max_segment_octets_per_publisher: 2_000,
        ..Settings::default()
    };
    Rig::new(&[], LIMITS, 2, settings)
}

fn feed(rig: &mut Rig, from: u32) {
    for number in [from, from + 3] {
        rig.send(6343, &datagram(number, vec![flow(number, [1; 4], [2; 4], 3), counters(number)]));
        let header = Header { media: 1, publisher_id: 7, message_id: number };
        let parts = datagrams(&header, &[b' '; 90], 40);
        rig.send(10_003, &parts[2]);
        rig.send(10_003, &parts[0]);
    }
    let whole = datagrams(&Header { media: 1, publisher_id: 8, message_id: from }, &[b' '; 60], 40);
    whole.iter().for_each(|part| rig.send(10_003, part));
}

#[test]
fn no_changed_octet_makes_it_panic() {
    let mut before = rig();
    feed(&mut before, 1);
    let mut saved = Vec::new();
    let id = before.collector.routers().next().unwrap();
    before.collector.save(id, &mut saved);
    let mut taken = 0;
    for at in 0..saved.len() {
        for change in [1 << (at % 8), 0xff, 0x80] {
            let mut flipped = saved.clone();
            flipped[at] ^= change;
            let mut after = rig();
            after.now = before.now;
            if after.collector.restore(&flipped).is_ok() {
                taken += 1;
                assert_eq!(after.collector.ledgers().unexplained(), 0, "octet {at}");
                feed(&mut after, 7);
                after.tick(3_600 * SECOND);
            }
        }
    }
    assert!(taken > 0);
    for cut in 0..saved.len() {
        assert!(rig().collector.restore(&saved[..cut]).is_err(), "cut at {cut}");
    }
}
