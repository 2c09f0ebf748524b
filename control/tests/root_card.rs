//! A card whose driver hashes, `virtio_net` in the machine of `vagrant/vm.sh`: what it is set to, that it is set back also by a
//! process that has given its privileges up, and after a kill; and that it has no rules is said and stops nothing.
//!
//! Needs root, and fails without. No other machine's cards are touched.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use control::config::Nic as Wanted;
use control::nic::plan::plan;
use control::nic::setup::Setup;
use control::nic::{Nic, names};
use control::process::privilege;

const WANTED: Wanted = Wanted { queues: 0, rx_vlan_off: false, rss_by_source: true, ntuple_by_slot: true };

/// How the card spreads datagrams now, as the program says it.
fn fields(card: &str, kind: &str) -> String {
    let output = Command::new("ethtool").args(["-n", card, "rx-flow-hash", kind]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `act` on a thread that has what a control process keeps.
fn as_control(act: impl FnOnce() + Send) {
    std::thread::scope(|threads| {
        let unprivileged = threads.spawn(|| {
            privilege::keep_only(privilege::CONTROL, privilege::PROGRAMS).unwrap();
            act();
        });
        unprivileged.join().unwrap();
    });
}

#[test]
fn a_card_that_hashes_is_set_and_set_back() {
    if !Path::new("/program").exists() {
        println!("the cards of this host are left alone: vagrant/vm.sh has one");
        return;
    }
    let card = names().iter().filter_map(|name| Nic::read(name)).find(|nic| nic.native().is_some()).unwrap();
    assert_eq!(card.driver.as_deref(), Some("virtio_net"));
    let (name, index) = (card.name.as_str(), card.index);
    let before = ["udp4", "udp6"].map(|kind| fields(name, kind));
    assert!(before.iter().all(|text| text.contains("IP SA") && text.contains("L4 bytes")), "{before:?}");
    let state = std::env::temp_dir().join(format!("mr-card-{}", std::process::id()));
    std::fs::create_dir_all(&state).unwrap();
    let by_source = || {
        ["udp4", "udp6"].map(|kind| fields(name, kind)).iter().all(|text| {
            // This driver does not take the source address alone.
            text.contains("IP SA") && text.contains("IP DA") && !text.contains("L4 bytes")
        })
    };
    let lines = plan(&WANTED, 2, name, index).join("\n");
    assert!(lines.contains("udp4 is spread by sdfn"), "{lines}");
    assert!(lines.contains("its driver does not tell of rules"), "{lines}");

    as_control(|| {
        let mut setup = Setup::open(&state);
        setup.apply(&WANTED, name, index);
        assert!(by_source());
        let queues = [("192.0.2.1".parse().unwrap(), 0)].into();
        setup.rules(&queues, name, index);
        assert!(by_source());
        setup.restore();
    });
    assert_eq!(["udp4", "udp6"].map(|kind| fields(name, kind)), before);

    // What a killed process set is set back by the next one, whatever that one wants.
    as_control(|| Setup::open(&state).apply(&WANTED, name, index));
    assert!(by_source() && state.join("nic.json").exists());
    as_control(|| Setup::open(&state).apply(&Wanted::default(), name, index));
    assert_eq!(["udp4", "udp6"].map(|kind| fields(name, kind)), before);
    as_control(|| Setup::open(&state).restore());
    assert!(!state.join("nic.json").exists());
    std::fs::remove_dir_all(&state).unwrap();
}
