//! Events of the kernel -> the state as it is now.

use std::io;

use netlink_sys::{
    AsyncSocket as _, AsyncSocketExt as _, Socket, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE,
};

use super::transmit::Watch;
use super::{Event, KernelError, KernelState, dump, socket};

/// `ENOBUFS`: the kernel had to drop events.
const NO_BUFFERS: i32 = 105;
/// `RTMGRP_LINK`, `RTMGRP_NEIGH`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR` of `linux/rtnetlink.h`.
const GROUPS: u32 = 0x1 | 0x4 | 0x10 | 0x100;
/// Octets of events that may wait; the kernel caps it at `net.core.rmem_max`.
const WAITING_OCTETS: usize = 4 << 20;
/// Datagrams that are read before the tables are brought up to date.
const BATCH: u32 = 4096;

/// The state, kept current. One a control process.
pub struct Follower {
    socket: TokioSocket,
    /// What drivers say of themselves, which rtnetlink does not tell.
    watch: Watch,
    state: KernelState,
    /// Events were lost and the state has not been read anew since.
    lost: bool,
    dumps: u64,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("lost", &self.lost)
            .field("dumps", &self.dumps)
            .finish_non_exhaustive()
    }
}

/// What a comparison with the kernel found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The state is the kernel's.
    Equal,
    /// It was not, though no event was lost, and has been replaced: one thing that was different.
    Replaced(String),
    /// The kernel changes faster than it can be compared.
    Moving,
}

impl Follower {
    /// Subscribes, then dumps: what changes in between is an event that comes after the dump.
    ///
    /// # Errors
    /// When no netlink socket can be opened or the dump fails.
    pub fn start() -> Result<Self, KernelError> {
        Self::with_room(WAITING_OCTETS)
    }

    /// As [`Follower::start`], with room for so many octets of events.
    ///
    /// # Errors
    /// As [`Follower::start`].
    pub fn with_room(octets: usize) -> Result<Self, KernelError> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE).map_err(KernelError::Open)?;
        let inner: &mut Socket = socket.socket_mut();
        inner.set_rx_buf_sz(u32::try_from(octets).unwrap_or(u32::MAX)).map_err(KernelError::Open)?;
        inner.bind(&SocketAddr::new(0, GROUPS)).map_err(KernelError::Open)?;
        let watch = Watch::start(octets).map_err(KernelError::Open)?;
        let state = dump::once()?;
        let mut follower = Self { socket, watch, state: KernelState::default(), lost: false, dumps: 1 };
        follower.replace(state);
        Ok(follower)
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &KernelState {
        &self.state
    }

    /// How often the whole state was read because it had to be.
    #[must_use]
    pub const fn dumps(&self) -> u64 {
        self.dumps
    }

    /// Waits until the state has changed: the events that are there are taken before it returns, and a loss of events
    /// is answered by a new dump. May be dropped at any time without losing an event.
    ///
    /// # Errors
    /// When the netlink socket fails or a dump fails.
    pub async fn changed(&mut self) -> Result<(), KernelError> {
        while !self.lost {
            let mut changed = tokio::select! {
                received = self.socket.recv_from_full() => self.take(received)?,
                received = self.watch.receive() => self.hear(received)?,
            };
            changed |= self.drain()? > 0;
            if !self.lost && self.state.vlans_unknown {
                dump::vlans(&mut self.state)?;
            }
            if changed && !self.lost {
                self.watch.refresh(&self.state.links, &mut self.state.transmits)?;
                return Ok(());
            }
        }
        tracing::warn!("the kernel dropped netlink events: reading its state anew");
        self.read_anew()
    }

    fn read_anew(&mut self) -> Result<(), KernelError> {
        let state = dump::once()?;
        self.replace(state);
        self.lost = false;
        self.dumps += 1;
        Ok(())
    }

    fn replace(&mut self, mut state: KernelState) {
        state.descend_from(&self.state);
        self.state = state;
    }

    /// Holds the state against a fresh dump. What has come meanwhile is taken first; if something comes even then,
    /// the next look will tell.
    ///
    /// # Errors
    /// As [`Follower::changed`].
    pub fn compare(&mut self) -> Result<Compared, KernelError> {
        for _ in 0..3 {
            self.drain()?;
            let fresh = dump::once()?;
            let moved = self.drain()?;
            if self.lost {
                self.read_anew()?;
                return Ok(Compared::Moving);
            }
            if self.state.vlans_unknown {
                dump::vlans(&mut self.state)?;
            }
            self.watch.refresh(&self.state.links, &mut self.state.transmits)?;
            let Some(difference) = self.state.difference(&fresh) else { return Ok(Compared::Equal) };
            if moved == 0 {
                self.replace(fresh);
                return Ok(Compared::Replaced(difference));
            }
        }
        Ok(Compared::Moving)
    }

    /// Takes the events that are there; how many of them changed something.
    fn drain(&mut self) -> Result<u32, KernelError> {
        let mut changes = 0;
        for _ in 0..BATCH {
            match self.socket.socket_ref().recv_from_full() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                received => changes += u32::from(self.take(received)?),
            }
        }
        for _ in 0..BATCH {
            match self.watch.try_receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                received => changes += u32::from(self.hear(received)?),
            }
        }
        Ok(changes)
    }

    /// One datagram of what drivers say; whether a device began or ceased to send.
    fn hear(&mut self, received: io::Result<Vec<u8>>) -> Result<bool, KernelError> {
        match received {
            Ok(octets) => Ok(self.watch.take(&octets, &mut self.state.transmits)),
            Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => {
                self.lost = true;
                Ok(false)
            }
            Err(error) => Err(KernelError::Open(error)),
        }
    }

    /// One datagram of events; whether the state has changed.
    fn take(&mut self, received: io::Result<(Vec<u8>, SocketAddr)>) -> Result<bool, KernelError> {
        let octets = match received {
            Ok((octets, _)) => octets,
            Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => {
                self.lost = true;
                return Ok(false);
            }
            Err(error) => return Err(KernelError::Open(error)),
        };
        let mut changed = false;
        for message in socket::messages(&octets).flatten() {
            let event = self.state.apply(&message.payload);
            self.lost |= event == Event::Lost;
            changed |= event == Event::Changed;
        }
        Ok(changed)
    }
}
