//! One router in a network namespace of its own: devices, routes and neighbours of the kernel, the program with
//! the device table that says the same, and frames that meet it by `BPF_PROG_TEST_RUN`.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use control::ebpf::attach::device_index;
use control::ebpf::{Forward, LoadSettings, Programs};
use dataplane_common::PacketEnd;
use dataplane_common::map::forward::{
    Arrival, EGRESS_UP, Egress, EgressKind, INGRESS_UP, Ingress, MAX_LEGS, VlanTag,
};
use lab::frame::Frame;

pub(crate) const DROP: u32 = 1;
pub(crate) const PASS: u32 = 2;
pub(crate) const REDIRECT: u32 = 4;
/// Loopback, where test runs take place: the port of every arrival here.
pub(crate) const LOOPBACK: u32 = 1;
/// The sender, who is behind `in0`.
pub(crate) const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 0x01];
pub(crate) const IN0: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
pub(crate) const OUT0: [u8; 6] = [2, 0, 0, 0, 0, 0x20];
/// The next hop, behind `out0`.
pub(crate) const NEXT: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

/// Customer and service tag.
pub(crate) const TAG: u16 = 0x8100;
pub(crate) const SERVICE: u16 = 0x88a8;
/// Tags of a frame, the outer first.
pub(crate) type Tags = &'static [(u16, u16)];
pub(crate) const SHAPES: [Tags; 4] = [&[], &[(TAG, 10)], &[(SERVICE, 20)], &[(SERVICE, 5), (TAG, 10)]];

/// Runs this test again in a new network namespace; `true` in that second run.
pub(crate) fn in_own_namespace(test: &str) -> bool {
    let inside = lab::namespace::in_own_namespace(test).unwrap();
    if inside {
        run("ip link set lo up");
    }
    inside
}

/// Runs a command whose words no blank separates within.
pub(crate) fn run(command: &str) {
    let output = said(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A command, whether it succeeds or not.
pub(crate) fn said(command: &str) -> std::process::Output {
    let mut words = command.split_whitespace();
    Command::new(words.next().unwrap()).args(words).output().unwrap_or_else(|e| panic!("{command}: {e}"))
}

pub(crate) fn sysctl(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Devices, addresses and routes of the router. The next hop is known; nobody answers behind the veths.
pub(crate) fn router() {
    for (device, mac) in [("in0", IN0), ("out0", OUT0), ("trunk0", OUT0), ("trunk1", OUT0)] {
        let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
        run(&format!("ip link add {device} address {mac} type veth peer name {device}p"));
        run(&format!("ip link set {device} up"));
        run(&format!("ip link set {device}p up"));
    }
    sysctl("ipv4/ip_forward", "1");
    sysctl("ipv6/conf/all/forwarding", "1");
    for (device, net) in [("in0", 1), ("out0", 2)] {
        run(&format!("ip addr add 10.{net}.0.1/24 dev {device}"));
        run(&format!("ip addr add fd0{net}::1/64 dev {device} nodad"));
    }
    for (next, net) in [("10.2.0.2", "10."), ("fd02::2", "fd0")] {
        run(&format!("ip neigh add {next} lladdr 02:00:00:00:00:99 dev out0 nud permanent"));
        let (of, bits) = if net == "10." { ("0.0.0", 16) } else { ("::", 64) };
        let prefix = |third: u8| {
            if net == "10." { format!("10.{third}.0.0/{bits}") } else { format!("fd0{third}{of}/{bits}") }
        };
        run(&format!("ip route add {} via {next}", prefix(3)));
        run(&format!("ip route add blackhole {}", prefix(4)));
        run(&format!("ip route add unreachable {}", prefix(5)));
        run(&format!("ip route add prohibit {}", prefix(6)));
        run(&format!("ip route add {} via {next} mtu lock 1300", prefix(7)));
        run(&format!("ip route add {} via {next} table 77", prefix(9)));
    }
}

pub(crate) struct Rig {
    pub(crate) programs: Programs,
    pub(crate) in0: u32,
    pub(crate) out0: u32,
}

impl Rig {
    /// The router's program: frames arrive untagged on `in0` and leave untagged through `out0`.
    pub(crate) fn new(forward: Forward) -> Self {
        Self::with(LoadSettings { forward: Some(forward), ..LoadSettings::new([3; 16], 2_048) })
    }

    /// The same under other settings.
    pub(crate) fn with(settings: LoadSettings) -> Self {
        let programs = Programs::load(&settings).expect("load (root is needed)");
        let index = |name: &str| device_index(name).unwrap();
        let mut rig = Self { programs, in0: index("in0"), out0: index("out0") };
        rig.arrives(&[], rig.ingress());
        rig.leaves(rig.out0, &[], &[rig.out0]);
        for port in ["out0", "trunk0", "trunk1"] {
            rig.programs.tables.forwarding.ports.insert(index(port)).unwrap();
        }
        rig
    }

    /// What `in0` is to a frame.
    pub(crate) fn ingress(&self) -> Ingress {
        Ingress { flags: INGRESS_UP, device: self.in0, mac: IN0, ..Ingress::default() }
    }

    pub(crate) fn arrives(&mut self, tags: Tags, ingress: Ingress) {
        let [outer, inner] = two(tags);
        let arrival = Arrival { port: LOOPBACK, outer, inner };
        self.programs.tables.forwarding.ingress.set(&arrival, &ingress).unwrap();
    }

    /// What leaves through `device` does so with `tags`, through one of `legs`.
    pub(crate) fn leaves(&mut self, device: u32, tags: Tags, legs: &[u32]) {
        self.programs.tables.forwarding.egress.set(&device, &egress(tags, legs)).unwrap();
    }

    /// Runs a frame and holds verdict, octets and counters against what must come.
    pub(crate) fn meets(&mut self, name: &str, frame: &[u8], end: PacketEnd, out: Option<&[u8]>) {
        let before = self.programs.tables.counters.frame_ends().unwrap();
        let run = self.programs.run_frame(frame, 1).unwrap();
        let after = self.programs.tables.counters.frame_ends().unwrap();
        let counted = PacketEnd::ALL.iter().filter(|end| after[end.index()] != before[end.index()]);
        let counted: Vec<_> = counted.map(|end| end.name()).collect();
        assert_eq!(counted, [end.name()], "{name}");
        let verdict = if [PacketEnd::Forwarded, PacketEnd::Bridged].contains(&end) {
            REDIRECT
        } else if [PacketEnd::Blackhole, PacketEnd::InactiveLeg].contains(&end) {
            DROP
        } else {
            PASS
        };
        assert_eq!(run.verdict, verdict, "{name}");
        assert_eq!(hex(&run.frame), hex(out.unwrap_or(frame)), "{name}");
    }
}

pub(crate) fn egress(tags: Tags, legs: &[u32]) -> Egress {
    let [outer, inner] = two(tags);
    let mut all = [0; MAX_LEGS];
    all[..legs.len()].copy_from_slice(legs);
    Egress {
        kind: EgressKind::Port as u8,
        flags: EGRESS_UP,
        outer,
        inner,
        mtu: 1_500,
        leg_count: u32::try_from(legs.len()).unwrap(),
        legs: all,
        ..Egress::default()
    }
}

fn two(tags: Tags) -> [VlanTag; 2] {
    let tag =
        |nth: usize| tags.get(nth).map_or(VlanTag::default(), |&(ether_type, id)| VlanTag { ether_type, id });
    [tag(0), tag(1)]
}

/// Octets as text, which a failed comparison prints readably.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// An address of the network `third` of both families.
pub(crate) fn address(v6: bool, third: u8, host: u8) -> IpAddr {
    if v6 {
        IpAddr::from([0xfd00 + u16::from(third), 0, 0, 0, 0, 0, 0, host.into()])
    } else {
        IpAddr::from([10, third, 0, host])
    }
}

/// A datagram from behind `in0` to the router's MAC address, its payload not aligned to anything.
pub(crate) fn datagram(to: IpAddr, tags: Tags) -> Frame {
    sized(to, tags, 45)
}

pub(crate) fn sized(to: IpAddr, tags: Tags, payload: usize) -> Frame {
    let from = SocketAddr::new(address(to.is_ipv6(), 1, 9), 40_000);
    let payload: Vec<u8> = (0..payload).map(|n| n as u8).collect();
    tagged(Frame::udp(from, SocketAddr::new(to, 53), &payload).macs(SENDER, IN0), tags)
}

pub(crate) fn tagged(frame: Frame, tags: Tags) -> Frame {
    tags.iter().fold(
        frame,
        |frame, &(kind, id)| {
            if kind == SERVICE { frame.provider_tag(id) } else { frame.tag(id) }
        },
    )
}
