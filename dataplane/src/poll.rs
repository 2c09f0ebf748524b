//! The one place where a worker waits: every socket of it in one epoll set, and a bell that others can ring.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

/// What became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// A ring has frames; it is looked at every turn anyway.
    Ring,
    /// The bell was rung.
    Bell,
    /// The UDP socket with this number.
    Datagrams(u32),
    /// The listener with this number.
    Listener(u32),
    /// The stream with this name.
    Stream(u64),
}

impl Ready {
    /// The kind in the upper octet; numbers and names stay below 2^56.
    const fn key(self) -> u64 {
        match self {
            Self::Ring => 0,
            Self::Bell => 1 << 56,
            Self::Datagrams(n) => 2 << 56 | n as u64,
            Self::Listener(n) => 3 << 56 | n as u64,
            Self::Stream(name) => 4 << 56 | name & NAME,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "numbers were u32 when the key was made")]
    const fn from_key(key: u64) -> Option<Self> {
        match key >> 56 {
            0 => Some(Self::Ring),
            1 => Some(Self::Bell),
            2 => Some(Self::Datagrams(key as u32)),
            3 => Some(Self::Listener(key as u32)),
            4 => Some(Self::Stream(key & NAME)),
            _ => None,
        }
    }
}

const NAME: u64 = (1 << 56) - 1;

/// Wakes a worker out of its sleep.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Rings; a worker that is awake hears it at its next look.
    pub(crate) fn ring(&self) {
        // Full counter: it has been rung already.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

/// One a worker.
#[derive(Debug)]
pub(crate) struct Poll {
    set: OwnedFd,
    bell: Bell,
}

/// Sockets reported by one look; what does not fit comes with the next one.
const EVENTS: usize = 64;

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = Bell(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
        let poll = Self { set, bell };
        poll.add(&*poll.bell.0, Ready::Bell)?;
        Ok(poll)
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Level-triggered: what is not read is reported again.
    pub(crate) fn add(&self, socket: impl AsFd, ready: Ready) -> io::Result<()> {
        Ok(epoll::add(&self.set, socket, EventData::new_u64(ready.key()), EventFlags::IN)?)
    }

    /// Whether a socket is to be reported.
    pub(crate) fn heed(&self, socket: impl AsFd, ready: Ready, heed: bool) -> io::Result<()> {
        let flags = if heed { EventFlags::IN } else { EventFlags::empty() };
        Ok(epoll::modify(&self.set, socket, EventData::new_u64(ready.key()), flags)?)
    }

    /// Waits up to `timeout_ns` (0: only looks) and reports what is ready. The bell is silent afterwards.
    pub(crate) fn wait(&self, timeout_ns: u64, mut each: impl FnMut(Ready)) {
        // Whole milliseconds, rounded up, for kernels without epoll_pwait2.
        let timeout_ms = timeout_ns.div_ceil(1_000_000).min(60_000);
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout_ms / 1000).unwrap_or(0),
            tv_nsec: i64::try_from(timeout_ms % 1000 * 1_000_000).unwrap_or(0),
        };
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
        // Only a signal can end it otherwise; the turn goes on either way.
        let Ok(found) = epoll::wait(&self.set, &mut events, Some(&timeout)) else { return };
        for event in events.iter().take(found) {
            let data = event.data;
            match Ready::from_key(data.u64()) {
                Some(Ready::Bell) => {
                    let _ = rustix::io::read(&*self.bell.0, &mut [0; 8]);
                    each(Ready::Bell);
                }
                Some(ready) => each(ready),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        for ready in
            [Ready::Ring, Ready::Bell, Ready::Datagrams(7), Ready::Listener(u32::MAX), Ready::Stream(NAME)]
        {
            assert_eq!(Ready::from_key(ready.key()), Some(ready));
        }
        assert_eq!(Ready::from_key(u64::MAX), None);
    }

    #[test]
    fn the_bell_ends_a_sleep_once() {
        let poll = Poll::new().unwrap();
        let bell = poll.bell();
        bell.ring();
        bell.ring();
        let mut heard = Vec::new();
        poll.wait(60_000_000_000, |ready| heard.push(ready));
        poll.wait(0, |ready| heard.push(ready));
        assert_eq!(heard, [Ready::Bell]);
    }
}
