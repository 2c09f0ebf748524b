//! `PROTOCOL:ADDRESS` and files of bare UDP payload -> the inputs of one exporter.

use std::net::{IpAddr, SocketAddr};

use crate::settings::PortProtocol;

/// Whose payload it is, and what it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// What the payload speaks.
    pub protocol: PortProtocol,
    /// Where it is said to come from.
    pub from: SocketAddr,
    /// The port it is said to arrive at.
    pub port: u16,
}

impl std::str::FromStr for Source {
    type Err = String;

    /// The first colon separates, so IPv6 addresses need no brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        let (protocol, address) =
            text.split_once(':').ok_or("write PROTOCOL:ADDRESS, for example ipfix:192.0.2.1")?;
        let (protocol, port) = match protocol {
            "ipfix" => (PortProtocol::Ipfix, 4739),
            "netflow9" | "netflow5" => (PortProtocol::Netflow, 2055),
            "sflow" => (PortProtocol::Sflow, 6343),
            "udp-notif" => (PortProtocol::UdpNotif, 10_003),
            "bmp" => (PortProtocol::Bmp, 1790),
            other => {
                return Err(format!("{other}: not one of ipfix, netflow9, netflow5, sflow, udp-notif, bmp"));
            }
        };
        let address: IpAddr = address.parse().map_err(|_| format!("{address}: not an IP address"))?;
        Ok(Self { protocol, from: SocketAddr::new(address, port), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_separates() {
        let source: Source = "ipfix:2001:db8::1".parse().unwrap();
        assert_eq!(source.from.ip(), "2001:db8::1".parse::<IpAddr>().unwrap());
        assert!("netflow:192.0.2.1".parse::<Source>().is_err());
        assert!("ipfix".parse::<Source>().is_err());
    }
}
