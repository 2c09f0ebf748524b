//! Rules of a card that send the UDP of one source address to one receive queue: read, added and removed by the program
//! `ethtool`.
//!
//! In: what is to go where, and what an earlier hand has left. Out: which rules go and which come. A rule is known by what
//! it says, never by its number, so it is found again after a kill; rules of another form are not looked at.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use super::program;

/// Receive queue of each source address.
pub(super) type Queues = BTreeMap<IpAddr, u32>;

/// A rule of the one form that is made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The card's number for it.
    id: u32,
    source: IpAddr,
    queue: u32,
}

/// What leads from the rules that are there to the wanted ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Numbers of rules of ours that nobody wants any more.
    pub(super) remove: Vec<u32>,
    pub(super) add: Queues,
}

/// The rules of a device that have this form.
///
/// # Errors
/// What the program says: mostly that the driver has no rules.
pub(super) fn read(device: &str) -> io::Result<Vec<Rule>> {
    program::read(&["-n", device]).map(|text| rules(&text))
}

/// Adds a rule.
///
/// # Errors
/// As [`read`]; also when the card has no room.
pub(super) fn add(device: &str, source: IpAddr, queue: u32) -> io::Result<()> {
    let (source_ip, queue) = (source.to_string(), queue.to_string());
    program::change(&words(device, source.is_ipv4(), &source_ip, &queue))
}

/// Removes a rule.
///
/// # Errors
/// As [`read`].
pub(super) fn remove(device: &str, id: u32) -> io::Result<()> {
    program::change(&["-N", device, "delete", &id.to_string()])
}

/// The way from the rules that are `there` to `wanted`, where `ours` have been added before. A rule of somebody else that
/// says what is wanted is left to him.
pub(super) fn change(there: &[Rule], ours: &Queues, wanted: &Queues) -> Change {
    let says = |rule: &&Rule, queues: &Queues| queues.get(&rule.source) == Some(&rule.queue);
    let remove = there.iter().filter(|rule| says(rule, ours) && !says(rule, wanted)).map(|rule| rule.id);
    let is_there = |source, queue| there.iter().any(|rule| (rule.source, rule.queue) == (source, queue));
    let add = wanted.iter().filter(|&(source, queue)| !is_there(*source, *queue));
    Change { remove: remove.collect(), add: add.map(|(source, queue)| (*source, *queue)).collect() }
}

fn words<'a>(device: &'a str, v4: bool, source: &'a str, queue: &'a str) -> [&'a str; 8] {
    ["-N", device, "flow-type", if v4 { "udp4" } else { "udp6" }, "src-ip", source, "action", queue]
}

/// Rules in what `ethtool -n` prints: a paragraph each, with masks whose zeros count.
fn rules(text: &str) -> Vec<Rule> {
    text.split("Filter: ").skip(1).filter_map(rule).collect()
}

fn rule(text: &str) -> Option<Rule> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let id = lines.next()?.parse().ok()?;
    let (mut source, mut queue) = (None, None);
    for line in lines {
        let (field, value) = line.split_once(": ")?;
        let masked = || value.split_once(" mask: ");
        let any = |width: &str| masked().is_some_and(|(_, mask)| mask == width);
        let holds = match field {
            "Rule Type" => value == "UDP over IPv4" || value == "UDP over IPv6",
            "Src IP addr" => {
                let (address, mask) = masked()?;
                source = address.parse::<IpAddr>().ok();
                mask.parse::<IpAddr>().is_ok_and(|mask| mask.is_unspecified())
            }
            "Dest IP addr" => any("255.255.255.255") || any("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            "TOS" | "Traffic Class" => any("0xff"),
            "Src port" | "Dest port" => any("0xffff"),
            "Action" => {
                queue = value.strip_prefix("Direct to queue ").and_then(|queue| queue.parse().ok());
                true
            }
            _ => false,
        };
        if !holds {
            return None;
        }
    }
    Some(Rule { id, source: source?, queue: queue? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ethtool 6.1 prints of three rules of this form, and of others that differ from it in one field each.
    const PRINTED: &str = "4 RX rings available\nTotal 7 rules\n\n";

    fn printed(id: u32, kind: &str, source: &str, dest: &str, port: &str, action: &str) -> String {
        let tos = if kind.ends_with('4') { "TOS" } else { "Traffic Class" };
        format!(
            "Filter: {id}\n\tRule Type: {kind}\n\tSrc IP addr: {source}\n\tDest IP addr: {dest}\n\t{tos}: 0x0 mask: \
             0xff\n\tSrc port: 0 mask: 0xffff\n\tDest port: {port}\n\tAction: {action}\n\n"
        )
    }

    #[test]
    fn rules_of_this_form_are_read_and_no_others() {
        let (v4, v6) = ("UDP over IPv4", "UDP over IPv6");
        let (to4, to6) =
            ("0.0.0.0 mask: 255.255.255.255", ":: mask: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        let (host4, host6, port) = ("192.0.2.1 mask: 0.0.0.0", "2001:db8::1 mask: ::", "0 mask: 0xffff");
        let to = |queue: u32| format!("Direct to queue {queue}");
        let text = [
            PRINTED.to_owned(),
            printed(1023, v4, host4, to4, port, &to(2)),
            printed(7, v6, host6, to6, port, &to(0)),
            printed(8, "TCP over IPv4", host4, to4, port, &to(2)),
            printed(9, v4, "192.0.2.0 mask: 0.0.0.255", to4, port, &to(2)),
            printed(10, v4, host4, "10.0.0.1 mask: 0.0.0.0", port, &to(2)),
            printed(11, v4, host4, to4, "4739 mask: 0x0", &to(2)),
            printed(12, v4, host4, to4, port, "Drop"),
            printed(13, v4, host4, to4, port, &to(2)).replace("\tAction", "\tVLAN: 0x5 mask: 0x0\n\tAction"),
            printed(14, v4, host4, to4, port, &to(2)).replace("\tAction", "\tRSS Context ID: 1\n\tAction"),
        ]
        .concat();
        let rule = |id, source: &str, queue| Rule { id, source: source.parse().unwrap(), queue };
        assert_eq!(rules(&text), [rule(1023, "192.0.2.1", 2), rule(7, "2001:db8::1", 0)]);
        assert_eq!(rules(PRINTED), []);
    }

    #[test]
    fn words_are_those_of_the_program() {
        let line = |v4, source| words("eth0", v4, source, "3").join(" ");
        assert_eq!(line(true, "192.0.2.1"), "-N eth0 flow-type udp4 src-ip 192.0.2.1 action 3");
        assert_eq!(line(false, "2001:db8::1"), "-N eth0 flow-type udp6 src-ip 2001:db8::1 action 3");
    }

    #[test]
    fn the_program_understands_the_words() {
        // Loopback has no rules: the answer is the kernel's and not that the words are wrong.
        for source in ["192.0.2.1", "2001:db8::1"] {
            let said = add("lo", source.parse().unwrap(), 3).unwrap_err().to_string();
            assert!(said.contains("Operation not supported"), "{said}");
        }
        for said in [remove("lo", 5).unwrap_err().to_string(), read("lo").unwrap_err().to_string()] {
            assert!(said.contains("Operation not"), "{said}");
        }
    }

    #[test]
    fn ours_come_and_go_and_others_stay() {
        let at = |host: u8| IpAddr::from([192, 0, 2, host]);
        let rule = |id, host, queue| Rule { id, source: at(host), queue };
        let queues =
            |all: &[(u8, u32)]| all.iter().map(|&(host, queue)| (at(host), queue)).collect::<Queues>();
        // 1: ours and wanted. 2: ours on another queue now. 3: ours, wanted no more. 4: somebody's, as wanted.
        // 5: somebody's, another queue than wanted. 6: to be ours, but the kill came first. 7: new.
        let there = [rule(11, 1, 1), rule(12, 2, 1), rule(13, 3, 1), rule(14, 4, 1), rule(15, 5, 1)];
        let ours = queues(&[(1, 1), (2, 1), (3, 1), (6, 1)]);
        let wanted = queues(&[(1, 1), (2, 0), (4, 1), (5, 0), (6, 1), (7, 1)]);
        let change = change(&there, &ours, &wanted);
        assert_eq!(change.remove, [12, 13]);
        assert_eq!(change.add, queues(&[(2, 0), (5, 0), (6, 1), (7, 1)]));
        // The stop: all of ours go.
        assert_eq!(super::change(&there, &ours, &Queues::new()).remove, [11, 12, 13]);
    }
}
