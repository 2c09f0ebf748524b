//! Flow sessions of one router: IPFIX, NetFlow v9 and v5 messages become rows of flows and options.

use std::net::SocketAddr;

use crate::Turn;
use crate::ledger::PacketEnd;
use crate::outlet::Schemas;
use crate::rib::Rib;
use crate::settings::{PortProtocol, Settings};

/// What all flow sessions of a worker share: plans of equal templates, scratch space. One a worker.
#[derive(Debug)]
pub struct Shared {}

impl Shared {
    /// Prepares for rows of these schemas.
    #[must_use]
    pub fn new(_schemas: &Schemas, _settings: &Settings) -> Self {
        Self {}
    }
}

/// The flow sessions of one router.
#[derive(Debug, Default)]
pub struct Sessions {}

impl Sessions {
    /// Takes one datagram. Returns how the packet ended.
    pub(crate) fn message(
        &mut self,
        _shared: &mut Shared,
        _rib: &mut Rib,
        _port: PortProtocol,
        _from: SocketAddr,
        _payload: &[u8],
        _turn: &mut Turn<'_>,
    ) -> PacketEnd {
        PacketEnd::UnknownProtocol
    }

    /// Expires templates and waiting data. Returns the next monotonic ns at which there is something to do.
    pub(crate) fn tick(&mut self, _turn: &mut Turn<'_>) -> Option<u64> {
        None
    }
}
