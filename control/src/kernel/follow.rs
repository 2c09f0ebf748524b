//! Events of the kernel -> the state as it is now.

use futures_util::StreamExt;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};

use super::{Event, KernelError, KernelState, dump};

type Events = futures_channel::mpsc::UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// The state, kept current. One a control process.
#[derive(Debug)]
pub struct Follower {
    handle: Handle,
    events: Events,
    state: KernelState,
    /// Events were lost and the state has not been read anew since.
    lost: bool,
    dumps: u64,
}

impl Follower {
    /// Subscribes, then dumps: what changes in between is an event that comes after the dump.
    ///
    /// # Errors
    /// When no netlink socket can be opened or the dump fails.
    pub async fn start() -> Result<Self, KernelError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, handle, events) = new_multicast_connection(&groups).map_err(KernelError::Open)?;
        tokio::spawn(connection);
        let state = dump::dump(&handle).await?;
        Ok(Self { handle, events, state, lost: false, dumps: 1 })
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &KernelState {
        &self.state
    }

    /// How often the whole state was read.
    #[must_use]
    pub const fn dumps(&self) -> u64 {
        self.dumps
    }

    /// Waits until the state has changed: every event that is there is taken before it returns, and a loss of
    /// events is answered by a new dump. May be dropped at any time without losing an event.
    ///
    /// # Errors
    /// When the netlink socket closed or a dump failed.
    pub async fn changed(&mut self) -> Result<(), KernelError> {
        while !self.lost {
            let (message, _) = self.events.next().await.ok_or(KernelError::Closed)?;
            let mut changed = self.take(&message);
            while let Ok((message, _)) = self.events.try_recv() {
                changed |= self.take(&message);
            }
            if changed && !self.lost {
                return Ok(());
            }
        }
        tracing::warn!("the kernel dropped netlink events: reading links and addresses anew");
        self.state = dump::dump(&self.handle).await?;
        self.lost = false;
        self.dumps += 1;
        Ok(())
    }

    fn take(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
        let event = self.state.apply(&message.payload);
        self.lost |= event == Event::Lost;
        event == Event::Changed
    }
}
