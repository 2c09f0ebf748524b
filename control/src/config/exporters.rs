//! `[exporters]`: what names a flow session, and what exporters do not say themselves.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Allowed, ConfigError, refuse};

/// `[exporters]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exporters {
    /// What names a flow session besides domain and version.
    pub identity: Identity,
    /// Sampling rates of routers that do not tell theirs.
    pub sampling: Vec<Sampling>,
    /// Exporters whose telemetry is taken; empty: everybody's.
    pub allow: Vec<Allowed>,
}

/// `exporters.identity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The source address: source ports may vary.
    #[default]
    Address,
    /// The source port too.
    AddressAndPort,
}

/// `[[exporters.sampling]]`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// The router's address.
    pub router: IpAddr,
    /// One packet of how many it observes.
    pub rate: f64,
}

impl Exporters {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (n, sampling) in self.sampling.iter().enumerate() {
            if !(1.0..=4_294_967_295.0).contains(&sampling.rate) {
                let key = format!("exporters.sampling[{n}].rate");
                return Err(refuse(key, sampling.rate, "1 to 4294967295"));
            }
        }
        Ok(())
    }
}
