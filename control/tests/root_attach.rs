//! The program on devices and what outlives the process: modes read back, replaced in one step, pinned maps taken
//! over, another's program respected, nothing left behind.
//!
//! Each test runs itself again in a network namespace of its own (`unshare --net`), with a pair of veth devices.
//! Pins carry the process id. Needs root, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use control::ebpf::attach::{attachment, device_index};
use control::ebpf::pins::Pins;
use control::ebpf::{Attachment, EbpfError, LoadSettings, Mode, Programs, TableLimits};
use dataplane_common::PacketEnd;

const KEY: [u8; 16] = [7; 16];
/// The device under test; its dot, as in VLAN devices, is what no pin's name may have.
const RIGHT: &str = "right.7";

/// Runs this test again in a new network namespace with the pair `left`, [`RIGHT`]; `true` in that second run.
fn in_own_namespace(test: &str) -> bool {
    let inside = lab::namespace::in_own_namespace(test).unwrap();
    if inside {
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", "left", "type", "veth", "peer", "name", RIGHT]);
        run("ip", &["link", "set", "left", "up"]);
        run("ip", &["link", "set", RIGHT, "up"]);
    }
    inside
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// A directory of pins that is gone when the test ends, however it ends.
struct PinDirectory(PathBuf);

impl PinDirectory {
    fn new(test: &str) -> Self {
        Self(PathBuf::from(format!("/sys/fs/bpf/millrace-test-{test}-{}", std::process::id())))
    }

    fn settings(&self) -> LoadSettings {
        LoadSettings { pins: Some(self.0.clone()), ..LoadSettings::new(KEY, 2_048) }
    }
}

impl Drop for PinDirectory {
    fn drop(&mut self) {
        if self.0.exists() {
            let _ = Pins::open(&self.0).map(Pins::remove);
        }
    }
}

#[test]
fn modes_are_read_back() {
    if !in_own_namespace("modes_are_read_back") {
        return;
    }
    let mut programs = Programs::load(&LoadSettings::new(KEY, 2_048)).unwrap();
    for (mode, expected) in [
        (Mode::Native, Attachment::Native),
        (Mode::Generic, Attachment::Generic),
        (Mode::Auto, Attachment::Generic), // stays: a second try in the driver would interrupt the traffic
        (Mode::Native, Attachment::Native),
        (Mode::Auto, Attachment::Native),
    ] {
        let attached = programs.attach(RIGHT, mode).unwrap();
        assert_eq!((attached.attachment, attached.why_not_native), (expected, None), "{mode:?}");
        assert_eq!(attachment(attached.index).unwrap().0, expected);
    }
    programs.detach(RIGHT).unwrap();
    assert_eq!(attachment(device_index(RIGHT).unwrap()).unwrap(), (Attachment::None, 0));

    // The loopback device's driver has no XDP.
    let refused = programs.attach("lo", Mode::Native).unwrap_err();
    assert!(matches!(refused, EbpfError::Refused { mode: "native", .. }), "{refused}");
    let fallback = programs.attach("lo", Mode::Auto).unwrap();
    assert_eq!(fallback.attachment, Attachment::Generic);
    assert!(fallback.why_not_native.is_some());
    let missing = programs.attach("middle", Mode::Auto).unwrap_err();
    assert_eq!(missing.to_string(), "no device middle in this network namespace");
    drop(programs);
    assert_eq!(attachment(1).unwrap(), (Attachment::None, 0), "without pins nothing stays");
}

#[test]
fn another_program_keeps_its_device() {
    if !in_own_namespace("another_program_keeps_its_device") {
        return;
    }
    let mut theirs = Programs::load(&LoadSettings::new(KEY, 2_048)).unwrap();
    let mut ours = Programs::load(&LoadSettings::new(KEY, 2_048)).unwrap();
    for (their_mode, our_mode) in
        [(Mode::Native, Mode::Native), (Mode::Generic, Mode::Auto), (Mode::Native, Mode::Generic)]
    {
        theirs.attach(RIGHT, their_mode).unwrap();
        let before = attachment(device_index(RIGHT).unwrap()).unwrap();
        let refused = ours.attach(RIGHT, our_mode).unwrap_err();
        let EbpfError::Occupied { device, name, id } = &refused else { panic!("{refused}") };
        assert_eq!((device.as_str(), name.as_str(), *id), (RIGHT, "millrace", before.1));
        assert_eq!(attachment(device_index(RIGHT).unwrap()).unwrap(), before);
        theirs.detach(RIGHT).unwrap();
    }
    assert_eq!(ours.attach(RIGHT, Mode::Native).unwrap().attachment, Attachment::Native);
}

#[test]
fn a_second_process_takes_over_without_a_gap() {
    if !in_own_namespace("a_second_process_takes_over_without_a_gap") {
        return;
    }
    let pins = PinDirectory::new("over");
    let address: IpAddr = [192, 0, 2, 1].into();
    let mut first = Programs::load(&pins.settings()).unwrap();
    first.tables.local_addresses.insert(address).unwrap();
    let row = first.tables.rings.row(device_index(RIGHT).unwrap(), 0).unwrap();
    let attached = first.attach(RIGHT, Mode::Native).unwrap();
    assert!(!attached.replaced);
    let program = attachment(attached.index).unwrap().1;
    drop(first);
    assert_eq!(attachment(attached.index).unwrap(), (Attachment::Native, program), "the pin holds it");

    let mut second = Programs::load(&pins.settings()).unwrap();
    assert_eq!(second.tables.local_addresses.list().unwrap(), [address].into());
    assert_eq!(second.tables.rings.row(attached.index, 0).unwrap(), row);
    let before: u64 = second.tables.counters.frame_ends().unwrap().iter().sum();
    let again = second.attach(RIGHT, Mode::Auto).unwrap();
    assert!(again.replaced);
    let replaced = attachment(attached.index).unwrap();
    assert_eq!(replaced.0, Attachment::Native);
    assert_ne!(replaced.1, program, "the new process's program runs");

    // Frames reach the new program, and count in the maps that the old one counted in.
    run("ip", &["addr", "add", "192.0.2.1/24", "dev", "left"]);
    run("ip", &["neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "left"]);
    let socket = std::net::UdpSocket::bind(("192.0.2.1", 0)).unwrap();
    for _ in 0..10 {
        socket.send_to(b"frame", ("192.0.2.2", 4739)).unwrap();
    }
    let ends = second.tables.counters.frame_ends().unwrap();
    assert!(ends[PacketEnd::NotTelemetry.index()] >= 10, "{ends:?}");
    assert!(ends.iter().sum::<u64>() >= before + 10);

    second.unpin().unwrap();
    assert!(!pins.0.exists());
    assert_eq!(attachment(attached.index).unwrap(), (Attachment::None, 0), "unpinned means detached");
}

#[test]
fn maps_of_another_size_are_not_taken_over() {
    let pins = PinDirectory::new("size");
    let address: IpAddr = [192, 0, 2, 1].into();
    let mut first = Programs::load(&pins.settings()).expect("load (root is needed)");
    first.tables.local_addresses.insert(address).unwrap();
    first.tables.aliases.insert([192, 0, 2, 9].into(), address).unwrap();
    let limits = TableLimits { local_addresses: 2, ..TableLimits::default() };
    let mut second = Programs::load(&LoadSettings { limits, ..pins.settings() }).unwrap();
    assert!(second.tables.local_addresses.list().unwrap().is_empty(), "another size: a new map");
    assert_eq!(first.tables.local_addresses.list().unwrap(), [address].into(), "the old one is its user's");

    let wanted: [IpAddr; 3] = [address, [192, 0, 2, 2].into(), [192, 0, 2, 3].into()];
    let full = second.tables.local_addresses.replace(&wanted.into()).unwrap_err();
    assert_eq!(full.to_string(), "eBPF map LOCAL_ADDRESSES is full: it holds 2");
    let changed = second.tables.local_addresses.replace(&[address].into()).unwrap();
    assert_eq!((changed.added, changed.removed), (0, 1));
    second.unpin().unwrap();
    assert!(!pins.0.exists());
}

#[test]
fn pins_need_a_bpf_file_system() {
    let directory = std::env::temp_dir().join(format!("millrace-not-bpf-{}", std::process::id()));
    let refused = Pins::open(&directory).unwrap_err();
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(refused.to_string().contains("not on a BPF file system"), "{refused}");
}
