//! Links, addresses, VLANs, bonds, bridges and VRFs come, change and go by the thousand: afterwards the maps hold what
//! the kernel's state asks for, no event was missed, and a comparison finds nothing to mend.
//!
//! Needs root, and fails without. Each test runs itself again in a network namespace of its own. Kinds of devices that
//! the kernel lacks are left out by name; in the machine of `vagrant/vm.sh` all of them must be there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "says which kinds the kernel lacks, and how much was done")]

use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use control::config::Config;
use control::ebpf::{LoadSettings, Programs};
use control::kernel::Follower;
use control::kernel::dump;
use control::kernel::follow::Compared;
use control::mirror;
use control::neighbours::{Act, Kept, plan};
use control::reconcile::{Tables, desired};
use dataplane_common::map::forward::{NextHop, NextHopUse};
use dataplane_common::octets_of;
use tokio::time::timeout;

const PORTS: u64 = 6;
/// Kinds of devices beside veth and bridge, and how one is made.
const KINDS: [(&str, &str); 3] = [
    ("vlan", "link add link p0 name probe type vlan id 9"),
    ("bond", "link add probe type bond"),
    ("vrf", "link add probe type vrf table 9"),
];

/// Whether this is the machine of `vagrant/vm.sh`, which is emulated and slow.
fn in_machine() -> bool {
    std::path::Path::new("/program").exists()
}

/// Runs this test again in a new network namespace; `true` in that second run.
fn in_own_namespace(test: &str) -> bool {
    lab::namespace::in_own_namespace(test).unwrap()
}

/// Runs lines by `ip` or `bridge`; what the kernel refuses is refused. Some mistakes end the program, so it is given a
/// few lines at a time.
fn batch(program: &str, lines: &str) {
    let lines: Vec<&str> = lines.lines().collect();
    lines.chunks(if in_machine() { 15 } else { 5 }).for_each(|lines| few(program, &lines.join("\n")));
}

fn few(program: &str, lines: &str) {
    let mut child = Command::new(program)
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait().unwrap();
}

fn can(line: &str) -> bool {
    let made = Command::new("ip").args(line.split(' ')).stderr(Stdio::null()).status().unwrap().success();
    batch("ip", "link del probe\n");
    made
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

/// Somewhere else for a device to go; ended when dropped.
struct Elsewhere(Child);

impl Elsewhere {
    fn new() -> Self {
        let child = Command::new("unshare").args(["--net", "--", "sleep", "120"]).spawn().unwrap();
        // Until it has left our namespace a device would stay where it is.
        let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = format!("/proc/{}/ns/net", child.id());
        let until = Instant::now() + Duration::from_secs(5);
        while std::fs::read_link(&theirs).unwrap() == ours {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One random operation of `ip`.
fn link_operation(random: &mut Random, kinds: &[&str], elsewhere: u32) -> String {
    let port = format!("p{}", random.below(PORTS));
    let address = format!("198.51.100.{}/32", random.below(200));
    let id = random.below(6) + 10;
    match random.below(if kinds.is_empty() { 13 } else { 22 }) {
        0 | 1 => format!("link set {port} {}", random.of(&["up", "up", "down"])),
        2 => format!("link set {port} address 02:00:00:00:01:{:02x}", random.below(200)),
        3 => format!("link set {port} mtu {}", 1_280 + random.below(2_000)),
        4 => format!("addr add {address} dev {port}"),
        5 => format!("addr del {address} dev {port}"),
        6 => format!("addr add 2001:db8::{:x}/128 dev {port} nodad", random.below(2_000)),
        7 | 8 => format!("link set {port} {}", random.of(&["master br0", "master br1", "nomaster"])),
        9 => format!("link del {port}"),
        10 => {
            let n = &port[1..];
            format!(
                "link del q{n}\nlink del r{n}\nlink add {port} type veth peer name q{n}\nlink set q{n} up\n\
                 link set {port} up"
            )
        }
        11 => match random.below(3) {
            0 => format!("link set {port} netns {elsewhere}"),
            1 => format!("link set {port} name r{}", &port[1..]),
            _ => format!("link set r{} name {port}", &port[1..]),
        },
        12 => format!("link set br1 type bridge vlan_filtering {}", random.below(2)),
        13 | 14 => format!("link add link {port} name {port}.{id} type vlan id {id}"),
        15 => format!("link add link bond0 name b.{id} type vlan proto 802.1ad id {id}"),
        16 => format!("link add link {port}.{id} name {port}.{id}.7 type vlan id 7"),
        17 => format!("link del {port}.{id}"),
        18 => format!("link set {port} down\nlink set {port} master bond{}", random.below(2)),
        19 => format!("link set bond1 type bond xmit_hash_policy {}", random.of(&["layer2", "layer3+4"])),
        20 => format!("link set {port}.{id} {}", random.of(&["up", "down", "master blue", "nomaster"])),
        _ => format!("link set {port} {}", random.of(&["master blue", "nomaster"])),
    }
}

/// One random operation of `bridge`.
fn bridge_operation(random: &mut Random) -> String {
    let port = format!("p{}", random.below(PORTS));
    let (id, station) = (random.below(6) + 10, random.below(250));
    match random.below(6) {
        0 | 1 => format!("fdb add 02:aa:00:00:00:{station:02x} dev {port} master static"),
        2 => format!("fdb add 02:aa:00:00:00:{station:02x} dev {port} master static vlan {id}"),
        3 => format!("fdb del 02:aa:00:00:00:{station:02x} dev {port} master"),
        4 => {
            let how = random.of(&["", "pvid untagged", "untagged"]);
            format!("vlan add dev {port} vid {id}-{} {how}", id + random.below(4))
        }
        _ => match random.below(2) {
            0 => format!("vlan del dev {port} vid {id}"),
            _ => format!("vlan add dev br1 vid {id} self"),
        },
    }
}

fn config() -> Config {
    let ports: Vec<String> = (0..PORTS).map(|port| format!("\"p{port}\"")).collect();
    let text = format!(
        "devices = [{}]\n[forward]\nenabled = true\n[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n",
        ports.join(", ")
    );
    Config::parse(&text).unwrap()
}

/// Maps that follow.
struct Maps {
    programs: Programs,
    config: Config,
    held: Tables,
    steps: usize,
}

impl Maps {
    fn new() -> Self {
        let config = config();
        let settings = LoadSettings { forward: config.forward.blocks(), ..LoadSettings::new([7; 16], 2_048) };
        let programs = Programs::load(&settings).expect("load (root is needed)");
        Self { programs, config, held: Tables::default(), steps: 0 }
    }

    fn follow(&mut self, follower: &Follower) {
        let wanted = desired(follower.state(), &self.config);
        for step in self.held.steps_to(&wanted) {
            // A member whose device has gone meanwhile is refused; its event is on the way.
            if mirror::write(&mut self.programs.tables, &step).is_ok() {
                self.held.apply(&step);
            }
            self.steps += 1;
        }
    }

    /// The kernel's state is what events said, and the maps are what it asks for.
    fn assert_equal(&mut self, follower: &mut Follower) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let compared = follower.compare().unwrap();
            match compared {
                Compared::Equal => break,
                Compared::Replaced(difference) => panic!("an event was missed: {difference}"),
                Compared::Moving => {}
            }
            assert!(Instant::now() < until, "the kernel does not come to rest");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.follow(follower);
        let wanted = desired(follower.state(), &self.config);
        let actual = mirror::read(&self.programs.tables, &self.held).unwrap();
        assert_eq!(actual.steps_to(&wanted), [], "maps differ from the kernel");
        assert_eq!(actual.forward.left_out, 0);
    }
}

fn prepare() {
    let mut lines = String::from("link set lo up\n");
    for port in 0..PORTS {
        lines += &format!(
            "link add p{port} type veth peer name q{port}\nlink set q{port} up\nlink set p{port} up\n"
        );
    }
    lines += "link add br0 type bridge\nlink add br1 type bridge vlan_filtering 1\nlink set br0 up\nlink set br1 up\n";
    batch("ip", &lines);
    // Half of the ports send what is redirected to them.
    for port in (0..PORTS).step_by(2) {
        let set = Command::new("ethtool").args(["-K", &format!("q{port}"), "gro", "on"]).status();
        assert!(set.unwrap().success());
    }
}

/// Which of the other kinds there are, with a few of them made.
fn kinds() -> Vec<&'static str> {
    let kinds: Vec<&str> = KINDS.iter().filter(|(_, line)| can(line)).map(|(kind, _)| *kind).collect();
    println!("kinds of devices besides veth and bridge: {kinds:?}");
    assert!(!in_machine() || kinds.len() == KINDS.len(), "the virtual machine has them all");
    if kinds.contains(&"bond") {
        few("ip", "link del bond0\n");
        batch(
            "ip",
            "link add bond0 type bond mode active-backup miimon 20\n\
             link add bond1 type bond mode balance-xor miimon 20\nlink set bond0 up\nlink set bond1 up\n",
        );
    }
    if kinds.contains(&"vrf") {
        batch("ip", "link add blue type vrf table 100\nlink set blue up\n");
    }
    kinds
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn churn_leaves_the_maps_equal_to_the_kernel() {
    if !in_own_namespace("churn_leaves_the_maps_equal_to_the_kernel") {
        return;
    }
    prepare();
    let kinds = kinds();
    let elsewhere = Elsewhere::new();
    let pid = elsewhere.0.id();
    // In the machine each operation takes some tenths of a second.
    let rounds = if in_machine() { 2 } else { 40 };
    runtime().block_on(async {
        let mut follower = Follower::start().unwrap();
        let mut maps = Maps::new();
        maps.follow(&follower);
        let churn = std::thread::spawn(move || {
            let mut random = Random(0x9e37_79b9_7f4a_7c15);
            for _ in 0..rounds {
                let links: String =
                    (0..120).map(|_| link_operation(&mut random, &kinds, pid) + "\n").collect();
                batch("ip", &links);
                let stations: String = (0..60).map(|_| bridge_operation(&mut random) + "\n").collect();
                batch("bridge", &stations);
            }
        });
        while !churn.is_finished() {
            if timeout(Duration::from_millis(20), follower.changed())
                .await
                .is_ok_and(|changed| changed.is_ok())
            {
                maps.follow(&follower);
            }
        }
        churn.join().unwrap();
        let until = Instant::now() + Duration::from_secs(15);
        while timeout(Duration::from_millis(500), follower.changed()).await.is_ok() {
            maps.follow(&follower);
            assert!(Instant::now() < until, "the kernel does not come to rest");
        }
        maps.assert_equal(&mut follower);
        println!("{} operations, {} steps, {} dumps", rounds * 180, maps.steps, follower.dumps());
        assert!(maps.steps > rounds * 10, "{} steps", maps.steps);
    });
}

#[test]
fn lost_events_are_made_up_for_by_a_dump() {
    if !in_own_namespace("lost_events_are_made_up_for_by_a_dump") {
        return;
    }
    prepare();
    let elsewhere = Elsewhere::new();
    runtime().block_on(async {
        let mut follower = Follower::with_room(4_096).unwrap();
        let mut maps = Maps::new();
        maps.follow(&follower);
        for round in 1..=if in_machine() { 2 } else { 5 } {
            // Nobody reads meanwhile.
            let mut random = Random(round);
            let links: String =
                (0..60).map(|_| link_operation(&mut random, &[], elsewhere.0.id()) + "\n").collect();
            let addresses = (0..100).map(|n| format!("addr add 2001:db8:{round}::{n}/128 dev lo nodad\n"));
            batch("ip", &links);
            few("ip", &addresses.collect::<String>());
            while timeout(Duration::from_millis(200), follower.changed()).await.is_ok() {
                maps.follow(&follower);
            }
            println!("round {round}: {} dumps", follower.dumps());
            maps.assert_equal(&mut follower);
            assert!(follower.dumps() > round, "round {round}: no event was lost");
        }
    });
}

#[test]
fn a_hand_on_our_maps_is_found_and_mended() {
    if !in_own_namespace("a_hand_on_our_maps_is_found_and_mended") {
        return;
    }
    prepare();
    runtime().block_on(async {
        let follower = Follower::start().unwrap();
        let mut maps = Maps::new();
        maps.follow(&follower);
        let (arrival, _) = maps.held.forward.ingress.first_key_value().unwrap();
        let (device, egress) = maps.held.forward.egress.last_key_value().unwrap();
        let forwarding = &mut maps.programs.tables.forwarding;
        forwarding.ingress.remove(arrival).unwrap();
        forwarding.egress.set(device, &control_egress(egress.mtu + 1)).unwrap();
        forwarding.ports.remove(arrival.port).unwrap();
        maps.programs.tables.local_addresses.insert("203.0.113.1".parse().unwrap()).unwrap();
        let found = mirror::read(&maps.programs.tables, &maps.held).unwrap().steps_to(&maps.held);
        assert_eq!(found.len(), 4, "{found:?}");
        for step in &found {
            mirror::write(&mut maps.programs.tables, step).unwrap();
        }
        let actual = mirror::read(&maps.programs.tables, &maps.held).unwrap();
        assert_eq!(actual.steps_to(&maps.held), []);
    });
}

fn control_egress(mtu: u32) -> dataplane_common::map::forward::Egress {
    dataplane_common::map::forward::Egress { mtu, ..Default::default() }
}

fn carry_out(kept: &mut Kept, acts: &[Act]) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, kernel, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        kept.carry_out(&kernel, acts).await
    })
}

#[test]
fn a_next_hop_in_use_is_managed_by_the_kernel_and_let_go_when_idle() {
    if !in_own_namespace("a_next_hop_in_use_is_managed_by_the_kernel_and_let_go_when_idle") {
        return;
    }
    prepare();
    batch(
        "ip",
        "addr add 192.0.2.1/24 dev p0\nneigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev p0 nud permanent\n",
    );
    let kernel = dump::once().unwrap();
    let device = kernel.index("p0").unwrap();
    let hop = |last: u8| NextHop { device, address: octets_of(IpAddr::from([192, 0, 2, last])) };
    let uses =
        |used_ns| [7, 9].map(|last| (hop(last), NextHopUse { used_ns, missing_ns: 0 })).into_iter().collect();
    let (now, idle) = (100_000_000_000, 10_000_000_000);
    let mut kept = Kept::default();
    let acts = plan(&uses(now), &kept, &kernel, now, idle);
    let key = |last: u8| (device, IpAddr::from([192, 0, 2, last]));
    assert_eq!(acts, [Act::Keep(key(7))], "what somebody has configured is left alone");
    assert_eq!(carry_out(&mut kept, &acts), 0);
    let kernel = dump::once().unwrap();
    let neighbour = kernel.neighbours[&key(7)];
    assert!(neighbour.managed && neighbour.extern_learned, "{neighbour:?}");
    assert_eq!(plan(&uses(now), &kept, &kernel, now, idle), []);
    // Nobody uses it any more.
    let acts = plan(&uses(now - 2 * idle), &kept, &kernel, now, idle);
    assert!(acts.contains(&Act::Release(key(7))) && !acts.contains(&Act::Release(key(9))), "{acts:?}");
    assert_eq!(carry_out(&mut kept, &acts), 0);
    assert!(kept.is_empty());
    let kernel = dump::once().unwrap();
    assert!(kernel.neighbours.get(&key(7)).is_none_or(|neighbour| !neighbour.managed));
    assert!(kernel.neighbours[&key(9)].is_configured());
}
