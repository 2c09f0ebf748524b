//! BMP sessions of one router: octets of streams become changes of the RIB and rows of routes and messages.

use std::net::SocketAddr;

use crate::Turn;
use crate::input::{StreamEnd, StreamId};
use crate::rib::Rib;

/// The BMP sessions of one router.
#[derive(Debug, Default)]
pub struct Sessions {}

impl Sessions {
    /// A stream has begun.
    pub(crate) fn opened(
        &mut self,
        _stream: StreamId,
        _from: SocketAddr,
        _rib: &mut Rib,
        _turn: &mut Turn<'_>,
    ) {
    }

    /// Takes the whole messages at the front of `octets`. Returns the octets consumed.
    pub(crate) fn received(
        &mut self,
        _stream: StreamId,
        octets: &[u8],
        _rib: &mut Rib,
        _turn: &mut Turn<'_>,
    ) -> usize {
        octets.len()
    }

    /// A stream has ended.
    pub(crate) fn closed(
        &mut self,
        _stream: StreamId,
        _end: StreamEnd,
        _rib: &mut Rib,
        _turn: &mut Turn<'_>,
    ) {
    }

    /// Expires stale routes, frees a slice of dead ones. Returns the next monotonic ns with something to do.
    pub(crate) fn tick(&mut self, _rib: &mut Rib, _turn: &mut Turn<'_>) -> Option<u64> {
        None
    }
}
