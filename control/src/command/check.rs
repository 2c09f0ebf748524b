//! `millrace check`: the configuration against this host; touches nothing.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{DEFAULT_CONFIG, Failure};
use crate::config::{Config, Mode};
use crate::host;
use crate::kernel::{KernelState, Link, Shape, dump};
use crate::nic::{Nic, plan};
use crate::process::{dataplane, privilege};
use crate::reconcile::desired;

/// Check a configuration against this host and print the plan. Touches nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace check --config /etc/millrace/millrace.toml
  millrace check --config new.toml && cp new.toml /etc/millrace/millrace.toml")]
pub struct Check {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// What was found: lines of the plan, and problems with the command that mends each.
#[derive(Default)]
struct Plan {
    lines: String,
    problems: usize,
}

impl Plan {
    fn say(&mut self, line: impl std::fmt::Display) {
        // A String takes everything.
        let _ = writeln!(self.lines, "{line}");
    }

    fn problem(&mut self, what: impl std::fmt::Display, mend: impl std::fmt::Display) {
        self.problems += 1;
        self.say(format_args!("  problem: {what}\n    mend: {mend}"));
    }
}

impl Check {
    /// Runs the verb. Problems that keep nothing from running are printed, not failed on.
    ///
    /// # Errors
    /// Status 1: the first key that cannot work here.
    pub fn run(&self) -> Result<(), Failure> {
        let (config, _) = Config::read(&self.config).map_err(Failure::input)?;
        host::fits(&config).map_err(Failure::input)?;
        let mut plan = Plan::default();
        plan.say(format_args!("configuration {}: legal", self.config.display()));
        plan.say(format_args!("mode {}", config.mode.name()));
        for (slot, core) in config.workers.iter().enumerate() {
            plan.say(format_args!("worker {slot}: core {core}, slot {slot} of {}", config.slots()));
        }
        let kernel = dump::once().map_err(Failure::input)?;
        for name in &config.devices {
            let Some(nic) = Nic::read_as(name, kernel.kind(name)) else { continue };
            device(&mut plan, &config, &kernel, &nic);
        }
        for listen in &config.listen {
            let transport = if listen.protocol.is_stream() { "TCP" } else { "UDP" };
            let address = std::net::SocketAddr::new(listen.address, listen.port);
            plan.say(format_args!("listen {} on {transport} {address}", listen.protocol.name()));
        }
        if !config.acl.is_empty() {
            plan.say(format_args!(
                "{} rule(s) for packets, {} policer(s)",
                config.acl.len(),
                config.policer.len()
            ));
        }
        if !config.exporters.allow.is_empty() {
            let allowed = config.exporters.allow.len();
            plan.say(format_args!("telemetry of {allowed} network(s) or address(es) only"));
        }
        for (sink, name) in config.sink.iter().zip(dataplane::sinks::names(&config)) {
            plan.say(format_args!("sink {name}: {}", sink.path.display()));
        }
        host(&mut plan, &config);
        plan.say(match plan.problems {
            0 => "no problems".to_owned(),
            n => format!("{n} problem(s)"),
        });
        // Whoever read it has seen enough.
        let _ = std::io::stdout().write_all(plan.lines.as_bytes());
        Ok(())
    }
}

fn device(plan: &mut Plan, config: &Config, kernel: &KernelState, nic: &Nic) {
    let name = &nic.name;
    let driver = nic.driver.as_deref().unwrap_or("none (virtual)");
    plan.say(format_args!(
        "device {name}: index {}, driver {driver}, {} RX queue(s), MTU {}, {}",
        nic.index,
        nic.rx_queues,
        nic.mtu,
        if nic.up { "up" } else { "down" }
    ));
    if !nic.up {
        plan.problem("it is down", format_args!("ip link set dev {name} up"));
    }
    match (config.mode, nic.native()) {
        (Mode::Socket, _) => plan.say("  kernel sockets, no XDP"),
        (Mode::Generic, _) => plan.say("  XDP in generic mode"),
        (Mode::Native | Mode::Auto, Some(driver)) => {
            plan.say("  XDP in native mode");
            if nic.mtu > driver.xdp_mtu {
                let what =
                    format!("driver {} takes a native program up to MTU {}", driver.name, driver.xdp_mtu);
                plan.problem(
                    what,
                    format_args!("ip link set dev {name} mtu {}, or mode = \"generic\"", driver.xdp_mtu),
                );
            }
            if driver.resets_link {
                plan.say("  attaching the program takes the link down for some seconds");
            }
        }
        (Mode::Native, None) => {
            plan.problem(
                format_args!("driver {driver} is not known to take native XDP"),
                "mode = \"auto\" or \"generic\"",
            );
        }
        (Mode::Auto, None) => {
            plan.say(format_args!("  XDP in generic mode: driver {driver} is not known to take it natively"))
        }
    }
    let room = dataplane::ring_settings(config, false).frame_room_bytes();
    // Ethernet and two tags.
    let longest = nic.mtu.saturating_add(22);
    if config.mode != Mode::Socket && longest > room {
        plan.say(format_args!(
            "  frames over {room} octets go through the kernel's stack (limits.frame_size_bytes)"
        ));
    }
    let rings = nic.rx_queues.saturating_mul(u32::try_from(config.workers.len()).unwrap_or(0));
    if config.mode != Mode::Socket {
        plan.say(format_args!("  {rings} ring(s), one a queue and worker"));
    }
    for line in plan::plan(&config.nic, config.rule_sources().len(), name, nic.index) {
        plan.say(format_args!("  {line}"));
    }
    if config.forward_devices().any(|device| device == name) && config.forwards() {
        forwarding(plan, config, kernel, nic);
    }
    if carries_default_route(name) {
        plan.say("  it carries the default route: what is not telemetry passes on to the kernel");
    }
    if let Some(client) = ssh_client_over(kernel, nic.index) {
        plan.say(format_args!("  it carries this SSH session from {client}: try with a way back at hand"));
    }
}

/// What forwarding would do with frames on a device, and what keeps it from it.
fn forwarding(plan: &mut Plan, config: &Config, kernel: &KernelState, nic: &Nic) {
    let name = &nic.name;
    let tables = desired(kernel, config).forward;
    let arrivals = tables.ingress.keys().filter(|arrival| arrival.port == nic.index).count();
    let departures = tables.egress.values().filter(|egress| egress.legs.contains(&nic.index)).count();
    plan.say(format_args!(
        "  it forwards: {arrivals} way(s) to arrive (itself, VLANs), {departures} device(s) to leave through"
    ));
    let link = kernel.links.get(&nic.index);
    if link.is_some_and(|link| !matches!(link.shape, Shape::Plain)) {
        let what = format!("{name} is a {}, not a port", nic.driver.as_deref().unwrap_or("device"));
        plan.problem(
            what,
            "name the ports under it: legs of the bond, ports of the bridge, what the VLAN lies on",
        );
    } else if arrivals == 0 {
        let master = link.and_then(|link| kernel.links.get(&link.master?)).map(|master| master.name.as_str());
        plan.say(format_args!(
            "  nothing arrives to be forwarded: {}",
            master.map_or_else(
                || "its addresses are unknown".to_owned(),
                |master| format!("it belongs to {master}")
            )
        ));
    }
    for (family, key) in [("IPv4", "net/ipv4/conf"), ("IPv6", "net/ipv6/conf")] {
        if sysctl(&format!("{key}/{name}/forwarding")) == Some(0) {
            let path = key.replace('/', ".");
            plan.say(format_args!(
                "  {family} takes the stack: forwarding is off (sysctl -w {path}.{name}.forwarding=1)"
            ));
        }
    }
    if config.forward.vlans && kernel.links.values().any(|link| is_vlan_on(link, nic.index)) {
        plan.say("  cards that strip tags hide VLANs from XDP: nic.rx_vlan_off = true");
    }
    transmits(plan, config, kernel, nic);
}

/// Whether the device sends what XDP redirects to it.
fn transmits(plan: &mut Plan, config: &Config, kernel: &KernelState, nic: &Nic) {
    let is_veth = nic.driver.as_deref() == Some("veth");
    // Other drivers say so only once a program is attached.
    let later = !is_veth && nic.native().is_some_and(|driver| driver.transmits);
    let assumed = config.forward.assume_transmit.contains(&nic.name);
    plan.say(match kernel.transmits.get(&nic.index) {
        _ if config.mode == Mode::Generic => {
            "  in generic mode frames leave through it by way of the stack's queue"
        }
        Some(true) => "  it sends what XDP redirects to it",
        _ if later => "  once the program is attached it sends what XDP redirects to it",
        None if assumed => "  it is assumed to send what XDP redirects to it (forward.assume_transmit)",
        Some(false) => "  it does not send what XDP redirects to it: frames for it go up the stack",
        None => {
            "  whether it sends what XDP redirects to it nobody says: frames for it go up the stack \
             (forward.assume_transmit)"
        }
    });
    if is_veth && kernel.transmits.get(&nic.index) != Some(&true) {
        plan.say("  a veth does while its other end runs XDP or GRO (ethtool -K PEER gro on)");
    }
}

fn is_vlan_on(link: &Link, index: u32) -> bool {
    link.lower == Some(index) && matches!(link.shape, Shape::Vlan { .. })
}

fn host(plan: &mut Plan, config: &Config) {
    if !privilege::may(privilege::LOAD) {
        let what = "CAP_BPF and CAP_NET_ADMIN are missing here";
        match config.mode {
            Mode::Native | Mode::Generic => plan.problem(what, "run as root"),
            Mode::Auto | Mode::Socket => plan.say(format_args!("{what}: kernel sockets, one worker")),
        }
    }
    let most = sysctl("net/core/rmem_max").unwrap_or(0);
    let wanted = config.limits.socket_buffer_bytes as u64;
    if most < wanted && !privilege::may(rustix::thread::CapabilitySet::NET_ADMIN) {
        plan.problem(
            format_args!("net.core.rmem_max is {most}, below limits.socket_buffer_bytes"),
            format_args!("sysctl -w net.core.rmem_max={wanted}"),
        );
    }
    if config.mode != Mode::Socket && config.process.huge_pages && sysctl("vm/nr_hugepages") == Some(0) {
        plan.say("no huge pages: rings take ordinary ones (sysctl -w vm.nr_hugepages=64)");
    }
    for sink in &config.sink {
        let directory = existing(&sink.path);
        if directory.is_file() {
            plan.problem(format_args!("sink path {} is a file", directory.display()), "name a directory");
        }
    }
}

/// The nearest directory above `path` that is there.
fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// `/proc/net/route` and `/proc/net/ipv6_route`: a route of length 0 over this device.
fn carries_default_route(device: &str) -> bool {
    let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v4 = v4.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let v6 = v6.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    v4.into_iter().any(|line| line.first() == Some(&device) && line.get(7) == Some(&"00000000"))
        || v6.into_iter().any(|line| line.last() == Some(&device) && line.get(1) == Some(&"00"))
}

/// The client of this SSH session, if its packets come over the device of this index.
fn ssh_client_over(kernel: &KernelState, index: u32) -> Option<IpAddr> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    // Client address and port, server address and port.
    let mut words = connection.split_whitespace();
    let client: IpAddr = words.next()?.parse().ok()?;
    let server: IpAddr = words.nth(1)?.parse().ok()?;
    kernel.addresses.contains(&(index, server)).then_some(client)
}
