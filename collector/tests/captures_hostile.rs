//! Captures of real exporters with every octet of every packet damaged once, and every packet cut everywhere: no
//! panic, and every unit has one end.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::path::PathBuf;

use collector::batch::{BatchLimits, WorkerId};
use collector::capture::{Capture, Packet, player::Player};
use collector::outlet::Outlet;
use collector::schema::{Interest, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Drain};

struct Stage {
    collector: Collector,
    out: Outlet,
    drain: Drain,
    player: Player,
    played: u64,
}

impl Stage {
    fn new() -> Self {
        let interest = Interest { kinds: u32::MAX, whole_records: true, elements: Vec::new(), join: true };
        let schemas = schemas(&interest);
        let (out, drain) = Outlet::new(WorkerId(0), &schemas, 4, BatchLimits { rows: 256, octets: 1 << 18 });
        let ports = (0..=u16::MAX).map(|port| (port, PortProtocol::Any)).collect();
        let settings = Settings { ports, bmp_resync: true, bmp_assume_peers: true, ..Settings::default() };
        let collector = Collector::new(settings, schemas);
        Self { collector, out, drain, player: Player::new(&[]), played: 0 }
    }

    fn play(&mut self, packet: Packet<'_>, octets: &[u8]) {
        self.player.packet(Packet { octets, ..packet }, &mut self.collector, &mut self.out);
        self.out.publish();
        while self.drain.take().is_some() {}
        self.played += 1;
    }

    fn balance(&self) {
        assert_eq!(self.collector.ledgers().unexplained(), 0);
    }
}

/// Plays every packet of every capture; `each` gets a stage for the whole capture and the packet.
fn captures(mut each: impl FnMut(&mut Stage, Packet<'_>)) -> u64 {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        let mut stage = Stage::new();
        let mut capture = Capture::open(Box::new(std::fs::File::open(path).unwrap())).unwrap();
        while capture.next(|packet| each(&mut stage, packet)).unwrap() {
            stage.balance();
        }
        stage.balance();
        played += stage.played;
    }
    played
}

#[test]
fn every_octet_of_every_packet_wrong_once() {
    let played = captures(|stage, packet| {
        for at in 0..packet.octets.len() {
            let mut damaged = packet.octets.to_vec();
            damaged[at] ^= 1 << (at % 8);
            stage.play(packet, &damaged);
        }
        stage.play(packet, packet.octets);
    });
    assert!(played > 60_000, "{played}");
}

#[test]
fn every_packet_cut_everywhere() {
    let played = captures(|stage, packet| {
        for length in (0..packet.octets.len()).step_by(3) {
            stage.play(packet, &packet.octets[..length]);
        }
        stage.play(packet, packet.octets);
    });
    assert!(played > 20_000, "{played}");
}
