//! `[join]`: flows joined with the routes of their router.

use std::net::IpAddr;

use collector::Settings;
use collector::settings::{JoinAddress, VrfDistinguisher, VrfName};
use serde::Deserialize;
use wire::bgp::RouteDistinguisher;

use super::{ConfigError, range, refuse, sixteen};

/// `[join]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Join {
    /// Whether flows are joined.
    pub enabled: bool,
    /// Which of several addresses of one side is looked up.
    pub address: Address,
    /// Route distinguishers of VRFs whose routers do not tell them.
    pub vrf: Vec<Vrf>,
}

/// `join.address`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// The last in template order: of a tunnel the inner one.
    #[default]
    Last,
    /// The first in template order: of a tunnel the outer one.
    First,
}

/// `[[join.vrf]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vrf {
    /// The router; absent: all.
    pub router: Option<IpAddr>,
    /// Its number in the records (elements 234 and 235).
    pub id: Option<u32>,
    /// Its name in the router's options.
    pub name: Option<String>,
    /// The route distinguisher, as text.
    pub rd: String,
}

impl Default for Join {
    fn default() -> Self {
        Self { enabled: true, address: Address::Last, vrf: Vec::new() }
    }
}

impl Join {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("join.vrf", "count", self.vrf.len() as u64, 0..=65_536)?;
        for (n, vrf) in self.vrf.iter().enumerate() {
            if vrf.rd.parse::<RouteDistinguisher>().is_err() {
                let legal = "65000:1, 192.0.2.1:1, 4200000000:1, 2:65000:1 or 0x and 16 hex digits";
                return Err(refuse(format!("join.vrf[{n}].rd"), &vrf.rd, legal));
            }
            if vrf.id.is_some() == vrf.name.is_some() {
                let said = if vrf.id.is_some() { "both" } else { "neither" };
                return Err(refuse(format!("join.vrf[{n}]"), said, "either id or name"));
            }
        }
        Ok(())
    }

    /// Writes what a collector is told of the join. Only for a table that was checked.
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.join = self.enabled;
        settings.join_address = match self.address {
            Address::Last => JoinAddress::Last,
            Address::First => JoinAddress::First,
        };
        settings.vrfs = self.vrf.iter().filter_map(Vrf::distinguisher).collect();
    }
}

impl Vrf {
    fn distinguisher(&self) -> Option<VrfDistinguisher> {
        let name = self.name.as_deref().map(|name| VrfName::Name(name.into()));
        Some(VrfDistinguisher {
            router: self.router.map(sixteen),
            vrf: self.id.map(VrfName::Id).or(name)?,
            rd: self.rd.parse::<RouteDistinguisher>().ok()?.0,
        })
    }
}
