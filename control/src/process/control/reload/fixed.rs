//! Two configurations -> whether a reload can lead from one to the other, and whom it concerns.

use std::net::IpAddr;

use crate::config::{Alias, Config};
use crate::sockets::only_v6;

/// Names of fields, and whether a comparison holds for each.
macro_rules! compare {
    ($old:expr, $holds:tt, $new:expr; $($name:ident),+) => {
        [$((stringify!($name), $old.$name $holds $new.$name)),+]
    };
}

/// One line when something differs that only a start can change.
pub(super) fn check(old: &Config, new: &Config) -> Result<(), String> {
    let same = [
        ("mode", old.mode == new.mode),
        ("devices", old.devices == new.devices),
        ("state_dir", old.state_dir == new.state_dir),
        ("control_socket", old.control_socket == new.control_socket),
        ("metrics.listen", old.metrics.listen == new.metrics.listen),
        ("steering.hash_key", old.steering.hash_key == new.steering.hash_key),
        ("steering.drop_empty_udp", old.steering.drop_empty_udp == new.steering.drop_empty_udp),
        // What no alias needs is left out of the program when it is loaded.
        ("steering.alias", has(old, host) >= has(new, host) && has(old, network) >= has(new, network)),
        ("process.pin_dir", old.process.pin_dir == new.process.pin_dir),
        ("nic", old.nic == new.nic),
        ("forward", old.forward == new.forward),
        // As with aliases.
        ("acl", old.rule_blocks() == new.rule_blocks()),
    ];
    if let Some((key, _)) = same.iter().find(|(_, same)| !same) {
        return Err(format!("key `{key}`: only a start can change it"));
    }
    // What maps, frames and the counters page are as large as.
    let sizes = compare!(old.limits, ==, new.limits; frame_size_bytes, max_ring_rows, max_socket_rows,
        max_local_addresses, max_aliases, max_routers_seen, max_forward_devices, max_forward_ports, max_stations,
        max_next_hops, max_port_ends, max_rules, max_allowed_exporters, max_policers, max_policed_sources);
    if let Some((key, _)) = sizes.iter().find(|(_, same)| !same) {
        return Err(format!("key `limits.{key}`: only a start can change it"));
    }
    // A saved router that holds more than the limits would not be taken, and its sessions would end.
    let raised = compare!(old.limits, <=, new.limits; max_routers, max_bmp_sessions_per_router, max_peers_per_session,
        max_tables_per_router, max_paths_per_router, max_attribute_octets_per_router, max_streams_per_worker);
    if let Some((key, _)) = raised.iter().find(|(_, raised)| !raised) {
        return Err(format!("key `limits.{key}`: only a start can lower it"));
    }
    // More of them take routers from the others alone, so nothing comes to a worker that still has its old routers.
    let more =
        [("workers", old.workers.len() <= new.workers.len()), ("steering.slots", old.slots() <= new.slots())];
    if let Some((key, _)) = more.iter().find(|(_, more)| !more) {
        return Err(format!("key `{key}`: only a start can make them fewer"));
    }
    for listen in &new.listen {
        if old.listen.contains(listen) && only_v6(old, listen) != only_v6(new, listen) {
            let IpAddr::V6(address) = listen.address else { continue };
            return Err(format!(
                "key `listen`: [{address}]:{} is open already, only a start can part it from 0.0.0.0",
                listen.port
            ));
        }
    }
    Ok(())
}

/// Whether anything differs that workers or sinks know of.
pub(super) fn concerns_dataplane(old: &Config, new: &Config) -> bool {
    let mut same = old.clone();
    same.process.restart_max_ms = new.process.restart_max_ms;
    same.bmp.listen_backlog = new.bmp.listen_backlog;
    same.acl.clone_from(&new.acl);
    same.policer.clone_from(&new.policer);
    same.exporters.allow.clone_from(&new.exporters.allow);
    same != *new
}

fn has(config: &Config, kind: fn(&Alias) -> bool) -> bool {
    config.steering.alias.iter().any(kind)
}

const fn host(alias: &Alias) -> bool {
    alias.address.is_host()
}

const fn network(alias: &Alias) -> bool {
    !alias.address.is_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "workers = [0]\n[[listen]]\nprotocol = \"bmp\"\naddress = \"::\"\nport = 11019\n";

    fn config(text: &str) -> Config {
        Config::parse(text).unwrap()
    }

    fn refused(change: impl Fn(&mut Config)) -> Option<String> {
        let (old, mut new) = (config(BASE), config(BASE));
        change(&mut new);
        check(&old, &new).err()
    }

    #[test]
    fn what_stands_fast_is_named() {
        let key = |line: Option<String>| line.unwrap().split('`').nth(1).unwrap().to_owned();
        assert_eq!(key(refused(|new| new.workers.clear())), "workers");
        assert_eq!(key(refused(|new| new.mode = crate::config::Mode::Socket)), "mode");
        assert_eq!(key(refused(|new| new.devices.push("eth0".into()))), "devices");
        assert_eq!(key(refused(|new| new.limits.max_routers = 5)), "limits.max_routers");
        let alias = "[[steering.alias]]\naddress = \"192.0.2.1\"\nrouter = \"192.0.2.9\"\n";
        let alias = config(&format!("{BASE}{alias}")).steering.alias;
        assert_eq!(key(refused(|new| new.steering.alias.clone_from(&alias))), "steering.alias");
        let v4 = "[[listen]]\nprotocol = \"bmp\"\naddress = \"0.0.0.0\"\nport = 11019\n";
        assert!(check(&config(BASE), &config(&format!("{BASE}{v4}"))).unwrap_err().contains("[::]:11019"));
        assert_eq!(refused(|new| new.limits.max_routers = 1_000_000), None);
        assert_eq!(refused(|new| new.workers = vec![7, 8]), None);
    }

    #[test]
    fn what_control_does_alone_concerns_nobody_else() {
        let (old, mut new) = (config(BASE), config(BASE));
        new.process.restart_max_ms = 500;
        new.bmp.listen_backlog = 9;
        assert!(!concerns_dataplane(&old, &new));
        new.bmp.stale_routes_s = 1;
        assert!(concerns_dataplane(&old, &new));
    }
}
