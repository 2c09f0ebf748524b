//! Devices to be changed, and random operations of `ip` and `bridge` that change them.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use control::ebpf::attach::device_index;

pub(crate) const PORTS: u64 = 6;
/// Kinds of devices beside veth and bridge, and how one is made.
pub(crate) const KINDS: [(&str, &str); 3] = [
    ("vlan", "link add link p0 name probe type vlan id 9"),
    ("bond", "link add probe type bond"),
    ("vrf", "link add probe type vrf table 9"),
];

/// Whether this is the machine of `vagrant/vm.sh`, which is emulated and slow.
pub(crate) fn in_machine() -> bool {
    std::path::Path::new("/program").exists()
}

/// Runs this test again in a new network namespace; `true` in that second run.
pub(crate) fn in_own_namespace(test: &str) -> bool {
    lab::namespace::in_own_namespace(test).unwrap()
}

/// Runs lines by `ip` or `bridge`; what the kernel refuses is refused. Some mistakes end the program, so it is given a
/// few lines at a time.
pub(crate) fn batch(program: &str, lines: &str) {
    let lines: Vec<&str> = lines.lines().collect();
    lines.chunks(if in_machine() { 15 } else { 5 }).for_each(|lines| few(program, &lines.join("\n")));
}

pub(crate) fn few(program: &str, lines: &str) {
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

pub(crate) fn can(line: &str) -> bool {
    let made = Command::new("ip").args(line.split(' ')).stderr(Stdio::null()).status().unwrap().success();
    batch("ip", "link del probe\n");
    made
}

/// Numbers that look random and are the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    pub(crate) fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

/// Somewhere else for a device to go; ended when dropped.
pub(crate) struct Elsewhere(pub(crate) Child);

impl Elsewhere {
    pub(crate) fn new() -> Self {
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
pub(crate) fn link_operation(random: &mut Random, kinds: &[&str], elsewhere: u32) -> String {
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
pub(crate) fn bridge_operation(random: &mut Random) -> String {
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

pub(crate) fn prepare() {
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
pub(crate) fn kinds() -> Vec<&'static str> {
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

/// Every port is there again, and up.
pub(crate) fn revive() {
    let line = |port| match device_index(&format!("p{port}")) {
        Ok(_) => format!("link set p{port} up\n"),
        Err(_) => format!(
            "link del q{port}\nlink del r{port}\nlink add p{port} type veth peer name q{port}\nlink set q{port} up\n\
             link set p{port} up\n"
        ),
    };
    batch("ip", &(0..PORTS).map(line).collect::<String>());
}

/// One random operation of `ip` that changes addresses, neighbours, routes, or little of a link.
pub(crate) fn small_operation(random: &mut Random) -> String {
    let port = format!("p{}", random.below(PORTS));
    let (host, net) = (random.below(250), random.below(8));
    match random.below(16) {
        0..=2 => format!("addr add 198.51.100.{host}/32 dev {port}"),
        3 | 4 => format!("addr del 198.51.100.{host}/32 dev {port}"),
        5 => format!("addr add 2001:db8::{host:x}/128 dev {port} nodad"),
        6 => format!("addr del 2001:db8::{host:x}/128 dev {port}"),
        7 | 8 => format!("neigh replace 192.0.2.{host} lladdr 02:00:00:00:{net:02x}:{host:02x} dev {port}"),
        9 => format!("neigh replace 2001:db8:9::{host:x} lladdr 02:00:00:00:{net:02x}:{host:02x} dev {port}"),
        // `neigh del` ends the program where there is none.
        10 => format!("neigh flush to 192.0.2.{host} dev {port} nud permanent"),
        11 | 12 => format!("route replace 203.0.{host}.0/24 dev {port}"),
        13 => format!("route del 203.0.{host}.0/24"),
        14 => format!("link set {port} mtu {}", 1_280 + random.below(2_000)),
        _ => format!("link set {port} address 02:00:00:00:01:{host:02x}"),
    }
}

/// Runs lines by `ip` or `bridge`, all of them, and says how many the kernel took.
pub(crate) fn all(program: &str, lines: &[String]) -> usize {
    let mut child = Command::new(program)
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // The last line says that the program came so far: some mistakes would end it.
    let last = if program == "ip" { "link show lo\n" } else { "vlan show dev br0\n" };
    let text = lines.join("\n") + "\n" + last;
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.stdout.is_empty(), "{program} ended early: {said}");
    lines.len() - said.matches("Command failed").count()
}
