//! The tables that a recorded kernel makes (`tests/recorded/README.md` says what it had).

use dataplane_common::map::forward::{
    Arrival, EGRESS_UP, Egress, EgressKind, INGRESS_BRIDGED, INGRESS_INACTIVE_LEG, INGRESS_UP, Ingress,
    POLICY_FIRST, POLICY_LAYER34, Station, VlanTag,
};

use super::{Config, Forward, KernelState, Step, Tables, desired};
use crate::kernel::dump::recorded;

const NO_TAG: VlanTag = VlanTag { ether_type: 0, id: 0 };

const fn customer(id: u16) -> VlanTag {
    VlanTag { ether_type: 0x8100, id }
}

const fn service(id: u16) -> VlanTag {
    VlanTag { ether_type: 0x88a8, id }
}

fn kernel() -> KernelState {
    let mut kernel = recorded(&[
        include_bytes!("../../tests/recorded/links.bin"),
        include_bytes!("../../tests/recorded/vlans.bin"),
        include_bytes!("../../tests/recorded/stations.bin"),
    ]);
    kernel.transmits = kernel.links.keys().map(|index| (*index, true)).collect();
    kernel
}

fn config(limits: &str) -> Config {
    let text = format!(
        "devices = [\"p0\", \"p1\", \"p2\", \"p3\", \"p4\", \"p5\", \"p6\", \"p7\"]\n[forward]\nenabled = true\n\
         [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n{limits}"
    );
    Config::parse(&text).unwrap()
}

struct Seen {
    kernel: KernelState,
    forward: Forward,
}

fn seen() -> Seen {
    let kernel = kernel();
    let forward = desired(&kernel, &config("")).forward;
    Seen { kernel, forward }
}

impl Seen {
    fn index(&self, name: &str) -> u32 {
        self.kernel.index(name).unwrap()
    }

    fn arrival(&self, port: &str, outer: VlanTag, inner: VlanTag) -> Option<Ingress> {
        self.forward.ingress.get(&Arrival { port: self.index(port), outer, inner }).copied()
    }

    fn departure(&self, device: &str) -> Option<Egress> {
        self.forward.egress.get(&self.index(device)).copied()
    }
}

#[test]
fn tags_on_a_port_are_its_vlans() {
    let seen = seen();
    let device = |outer, inner| seen.arrival("p0", outer, inner).map(|ingress| ingress.device);
    assert_eq!(device(NO_TAG, NO_TAG), Some(seen.index("p0")));
    assert_eq!(device(customer(10), NO_TAG), Some(seen.index("p0.10")));
    assert_eq!(device(service(20), NO_TAG), Some(seen.index("p0.20")));
    assert_eq!(device(service(20), customer(30)), Some(seen.index("p0.20.30")));
    assert_eq!(device(customer(20), NO_TAG), None, "another EtherType is another VLAN");
    assert_eq!(device(customer(11), NO_TAG), None);
    let vrf = seen.arrival("p0", customer(10), NO_TAG).unwrap();
    assert_eq!((vrf.table, vrf.flags, vrf.mac), (100, INGRESS_UP, [2, 0, 0, 0, 0, 0]));
    assert_eq!(seen.arrival("p0", NO_TAG, NO_TAG).unwrap().table, 0);
}

#[test]
fn packets_leave_through_vlans_with_their_tags() {
    let seen = seen();
    let plain = seen.departure("p0.10").unwrap();
    assert_eq!((plain.kind, plain.outer, plain.inner), (EgressKind::Port as u8, customer(10), NO_TAG));
    assert_eq!((plain.leg_count, plain.legs[0], plain.flags), (1, seen.index("p0"), EGRESS_UP));
    let double = seen.departure("p0.20.30").unwrap();
    assert_eq!((double.outer, double.inner), (service(20), customer(30)));
    assert_eq!(seen.departure("q0"), None, "it is no port of ours");
    assert_eq!(seen.departure("blue"), None);
}

#[test]
fn bonds_have_their_usable_legs_and_an_inactive_leg_is_told() {
    let seen = seen();
    let backup = seen.departure("bond0").unwrap();
    assert_eq!((backup.kind, backup.policy), (EgressKind::Bond as u8, POLICY_FIRST));
    assert_eq!((backup.leg_count, backup.legs[0]), (1, seen.index("p2")));
    let xor = seen.departure("bond1.7").unwrap();
    assert_eq!((xor.policy, xor.outer, xor.leg_count), (POLICY_LAYER34, customer(7), 1));
    assert_eq!(xor.legs[0], seen.index("p4"), "p5 has no carrier");
    let active = seen.arrival("p2", NO_TAG, NO_TAG).unwrap();
    assert_eq!((active.device, active.flags), (seen.index("bond0"), INGRESS_UP));
    assert_eq!(seen.arrival("p3", NO_TAG, NO_TAG).unwrap().flags, INGRESS_INACTIVE_LEG, "and it is down");
    assert_eq!(seen.arrival("p4", customer(7), NO_TAG).unwrap().device, seen.index("bond1.7"));
}

#[test]
fn a_bridge_that_knows_vlans_files_frames_under_them() {
    let seen = seen();
    let (bridge, bridged) = (seen.index("br0"), INGRESS_UP | INGRESS_BRIDGED);
    let untagged = seen.arrival("p6", NO_TAG, NO_TAG).unwrap();
    assert_eq!((untagged.bridge_vlan, untagged.device, untagged.flags), (1, bridge, bridged));
    assert_eq!((untagged.bridge, untagged.bridge_port), (bridge, seen.index("p6")));
    let tagged = seen.arrival("p6", customer(40), NO_TAG).unwrap();
    assert_eq!((tagged.bridge_vlan, tagged.device), (40, seen.index("br0.40")));
    let other = seen.arrival("p6", customer(41), NO_TAG).unwrap();
    assert_eq!((other.bridge_vlan, other.device, other.flags), (41, 0, bridged), "nobody here receives it");
    assert_eq!(seen.arrival("p7", NO_TAG, NO_TAG).unwrap().device, seen.index("br0.40"), "its PVID is 40");
    assert_eq!(seen.arrival("p6", customer(43), NO_TAG), None);
    let out = |device: &str| seen.departure(device).map(|egress| (egress.bridge, egress.bridge_vlan));
    assert_eq!((out("br0"), out("br0.40")), (Some((bridge, 1)), Some((bridge, 40))));
}

#[test]
fn stations_live_behind_ports_with_or_without_a_tag() {
    let seen = seen();
    let station =
        |last: u8, vlan: u16| Station { bridge: seen.index("br0"), vlan, mac: [2, 0xaa, 0, 0, 0, last] };
    let learned = |last, vlan| {
        let learned = seen.forward.stations.get(&station(last, vlan))?;
        Some((learned.port, learned.tag))
    };
    assert_eq!(learned(1, 41), Some((seen.index("p6"), customer(41))));
    assert_eq!(learned(2, 40), Some((seen.index("p7"), NO_TAG)));
    assert_eq!(learned(2, 41), None);
    // Addresses of the bridge and its ports go up.
    assert!(seen.forward.stations.keys().all(|station| station.mac[1] != 0), "{:?}", seen.forward.stations);
}

#[test]
fn a_step_never_needs_a_later_one() {
    let wanted = desired(&kernel(), &config(""));
    for (from, to) in [(Tables::default(), wanted.clone()), (wanted, Tables::default())] {
        let mut now = from.clone();
        for step in from.steps_to(&to) {
            now.apply(&step);
            let forward = &now.forward;
            if matches!(step, Step::Attach(..)) {
                assert_eq!(
                    forward.ingress, to.forward.ingress,
                    "a device runs the program before its tables"
                );
            }
            let legs = forward.egress.values().flat_map(|egress| &egress.legs[..egress.leg_count as usize]);
            assert!(legs.into_iter().all(|leg| forward.members.contains_key(leg)), "{step:?}");
            assert!(forward.stations.values().all(|learned| forward.egress.contains_key(&learned.port)));
        }
        assert_eq!(now, to);
    }
}

#[test]
fn a_device_made_anew_under_its_old_index_is_a_member_anew() {
    let mut kernel = kernel();
    let before = desired(&kernel, &config(""));
    let index = kernel.index("p0").unwrap();
    kernel.generations.insert(index, 77);
    let after = desired(&kernel, &config(""));
    let steps = before.steps_to(&after);
    assert!(steps.contains(&Step::AddMember(index, 77)), "{steps:?}");
    assert!(steps.iter().any(|step| matches!(step, Step::Attach(name, _) if name == "p0")));
}

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    let all = desired(&kernel(), &config("")).forward;
    let few = desired(&kernel(), &config("[limits]\nmax_forward_devices = 3\n")).forward;
    assert_eq!((few.ingress.len(), few.egress.len()), (3, 3));
    assert_eq!(few.left_out, all.ingress.len() - 3 + all.egress.len() - 3);
    assert_eq!(all.left_out, 0);
}
