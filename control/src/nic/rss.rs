//! Which fields of a packet a card hashes to choose a receive queue, read and set by the program `ethtool`.
//!
//! In: a device and a kind of flow. Out: letters of `ethtool -N DEV rx-flow-hash KIND LETTERS`.

use std::io;

use super::program;

/// Kinds of flows that telemetry is.
pub(super) const KINDS: [&str; 2] = ["udp4", "udp6"];
/// What keeps a router on one queue, the best first: the source address alone; both addresses, where a driver leaves it
/// at that (`virtio_net`) and routers send to one address of this host.
pub(super) const BY_SOURCE: [&str; 2] = ["s", "sd"];

/// What `ethtool` writes for each letter (`unparse_rxfhashopts` of ethtool 6.1).
const FIELDS: [(&str, char); 7] = [
    ("L2DA", 'm'),
    ("VLAN tag", 'v'),
    ("L3 proto", 't'),
    ("IP SA", 's'),
    ("IP DA", 'd'),
    ("L4 bytes 0 & 1 [TCP/UDP src port]", 'f'),
    ("L4 bytes 2 & 3 [TCP/UDP dst port]", 'n'),
];

/// Fields of a kind of flow now.
///
/// # Errors
/// What the program says: mostly that the driver cannot.
pub(super) fn read(device: &str, kind: &str) -> io::Result<String> {
    let text = program::read(&["-n", device, "rx-flow-hash", kind])?;
    letters(&text).ok_or_else(|| io::Error::other(format!("ethtool says of {kind}: {}", text.trim())))
}

/// Sets the fields of a kind of flow.
///
/// # Errors
/// As [`read`].
pub(super) fn set(device: &str, kind: &str, fields: &str) -> io::Result<()> {
    program::change(&["-N", device, "rx-flow-hash", kind, fields])
}

/// Letters of the fields that the text lists; `None`: it lists none that can be set.
fn letters(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim);
    let found =
        lines.filter_map(|line| FIELDS.iter().find(|(field, _)| *field == line).map(|(_, letter)| letter));
    let letters: String = found.collect();
    (!letters.is_empty()).then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn fields_are_letters() {
        let text = "UDP over IPV4 flows use these fields for computing Hash flow key:\nIP SA\nIP DA\n\
                    L4 bytes 0 & 1 [TCP/UDP src port]\nL4 bytes 2 & 3 [TCP/UDP dst port]\n\n";
        assert_eq!(letters(text).as_deref(), Some("sdfn"));
        assert_eq!(
            letters("UDP over IPV6 flows use these fields for computing Hash flow key:\nIP SA\n"),
            Some("s".into())
        );
        assert_eq!(
            letters("UDP over IPV4 flows use these fields for computing Hash flow key:\nNone\n"),
            None
        );
    }
}
