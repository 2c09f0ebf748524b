//! How packets reach workers: the mode and the listeners.

use std::net::IpAddr;

use collector::settings::PortProtocol;
use serde::Deserialize;

/// `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Native, else generic, else kernel sockets, each with a warning.
    #[default]
    Auto,
    /// XDP in the driver.
    Native,
    /// XDP in the kernel's stack, for any driver.
    Generic,
    /// Kernel sockets only.
    Socket,
}

impl Mode {
    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Socket => "socket",
        }
    }
}

/// `listen.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// IPFIX over UDP.
    Ipfix,
    /// NetFlow v5, v9 and IPFIX over UDP.
    Netflow,
    /// sFlow v5 over UDP.
    Sflow,
    /// BMP over TCP.
    Bmp,
    /// UDP-notif.
    UdpNotif,
}

impl Protocol {
    /// Whether it is carried by TCP.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Bmp)
    }

    /// The collector's word for it.
    #[must_use]
    pub const fn speaks(self) -> PortProtocol {
        match self {
            Self::Ipfix => PortProtocol::Ipfix,
            Self::Netflow => PortProtocol::Netflow,
            Self::Sflow => PortProtocol::Sflow,
            Self::Bmp => PortProtocol::Bmp,
            Self::UdpNotif => PortProtocol::UdpNotif,
        }
    }

    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipfix => "ipfix",
            Self::Netflow => "netflow",
            Self::Sflow => "sflow",
            Self::Bmp => "bmp",
            Self::UdpNotif => "udp-notif",
        }
    }
}

/// `[[listen]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Local address; `::` takes IPv6 and, unless `0.0.0.0` listens on the same port, IPv4.
    pub address: IpAddr,
    /// Local port.
    pub port: u16,
}
