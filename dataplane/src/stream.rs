//! BMP over the kernel's TCP: listeners and accepted sockets -> `Opened`, `Received`, `Closed`.
//!
//! Each stream has one bounded buffer. The collector decodes in it and says how much it consumed; the rest
//! stays and is there again, with more behind it. A stream is read at most once a look, up to a budget, so one
//! router's table dump holds nobody else up; what is not read stays in the kernel, whose window holds the router.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use collector::{CLOSE_STREAM, Input, StreamEnd, StreamId, sixteen};
use rustix::io::Errno;
use rustix::net::{SocketFlags, sockopt};

use crate::datagram::{canonical, enlarge};
use crate::poll::{Poll, Ready};
use crate::settings::WorkerSettings;

/// Streams that one look accepts from one listener.
const ACCEPTS: usize = 16;

/// Where the worker's number begins in the name of a stream.
const WORKER_SHIFT: u32 = 40;

/// All listeners and streams of one worker.
#[derive(Debug)]
pub(crate) struct Streams {
    listeners: Vec<Listener>,
    streams: HashMap<u64, Stream>,
    ready_listeners: Vec<u32>,
    ready_streams: Vec<u64>,
    next_name: u64,
    pub(crate) counts: StreamCounts,
}

#[derive(Debug)]
struct Listener {
    socket: OwnedFd,
    to: SocketAddr,
    /// Not listened to until the next tick: this process has no descriptor left.
    resting: bool,
}

#[derive(Debug)]
struct Stream {
    socket: OwnedFd,
    from: SocketAddr,
    to: SocketAddr,
    octets: Box<[u8]>,
    start: usize,
    end: usize,
}

/// A stream on its way from one worker to another, or kept while no worker runs.
#[derive(Debug)]
pub struct HandedStream {
    /// Its name, which the saved router knows it by and which it keeps.
    pub name: StreamId,
    /// Address of the router whose session it is: what saved router it belongs to.
    pub router: [u8; 16],
    /// The accepted socket.
    pub socket: OwnedFd,
    /// The router's end.
    pub from: SocketAddr,
    /// Our end.
    pub to: SocketAddr,
    /// Octets read and not consumed.
    pub rest: Vec<u8>,
}

/// What happened to streams so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Accepted. One that is adopted was counted by the worker that accepted it.
    pub opened: u64,
    /// Ended, however.
    pub closed: u64,
    /// Accepted and closed at once: more than `max_streams`.
    pub refused: u64,
    /// Octets read.
    pub octets: u64,
}

/// What one look at a stream led to.
enum Look {
    Goes,
    Ends(StreamEnd),
}

impl Streams {
    /// Names of streams carry the worker's number in their upper bits, and `named` is how many any worker before has
    /// given out: wherever streams move to, no two ever meet under one name.
    pub(crate) fn new(worker: u16, named: u64) -> Self {
        Self {
            listeners: Vec::new(),
            streams: HashMap::new(),
            ready_listeners: Vec::new(),
            ready_streams: Vec::new(),
            next_name: u64::from(worker) << WORKER_SHIFT | (named + 1) & ((1 << WORKER_SHIFT) - 1),
            counts: StreamCounts::default(),
        }
    }

    /// Takes a listening socket over.
    pub(crate) fn listen(&mut self, socket: OwnedFd, poll: &Poll) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let to = canonical(SocketAddr::try_from(rustix::net::getsockname(&socket)?)?);
        let number = u32::try_from(self.listeners.len()).unwrap_or(u32::MAX);
        poll.add(&socket, Ready::Listener(number))?;
        // Connections that moved here from another listener come without an event: look once.
        self.ready_listeners.push(number);
        self.listeners.push(Listener { socket, to, resting: false });
        Ok(())
    }

    /// Takes a stream over whose session the collector has already: no `Opened`, its rest first.
    pub(crate) fn adopt(
        &mut self,
        stream: HandedStream,
        poll: &Poll,
        settings: &WorkerSettings,
        each: &mut impl FnMut(Input<'_>) -> usize,
    ) -> io::Result<()> {
        let HandedStream { name: StreamId(name), socket, from, to, rest, .. } = stream;
        rustix::io::ioctl_fionbio(&socket, true)?;
        poll.add(&socket, Ready::Stream(name))?;
        let mut octets = vec![0; settings.stream_buffer_bytes.max(rest.len())].into_boxed_slice();
        if let Some(front) = octets.get_mut(..rest.len()) {
            front.copy_from_slice(&rest);
        }
        let mut stream = Stream { socket, from, to, octets, start: 0, end: rest.len() };
        let look = stream.give(name, each);
        self.streams.insert(name, stream);
        self.settle(name, look, each);
        Ok(())
    }

    fn open_stream(
        &mut self,
        socket: OwnedFd,
        (from, to): (SocketAddr, SocketAddr),
        poll: &Poll,
        settings: &WorkerSettings,
        each: &mut impl FnMut(Input<'_>) -> usize,
    ) -> io::Result<()> {
        let name = self.next_name;
        poll.add(&socket, Ready::Stream(name))?;
        self.next_name += 1;
        self.counts.opened += 1;
        let octets = vec![0; settings.stream_buffer_bytes].into_boxed_slice();
        self.streams.insert(name, Stream { socket, from, to, octets, start: 0, end: 0 });
        if each(Input::Opened { stream: StreamId(name), from, to }) == CLOSE_STREAM {
            self.settle(name, Look::Ends(StreamEnd::Closed), each);
        }
        Ok(())
    }

    pub(crate) fn listener_ready(&mut self, number: u32) {
        if !self.ready_listeners.contains(&number) {
            self.ready_listeners.push(number);
        }
    }

    pub(crate) fn stream_ready(&mut self, name: u64) {
        if self.streams.contains_key(&name) {
            self.ready_streams.push(name);
        }
    }

    /// Names given out, by this worker or before it.
    pub(crate) const fn named(&self) -> u64 {
        (self.next_name & ((1 << WORKER_SHIFT) - 1)).saturating_sub(1)
    }

    /// Streams open now.
    pub(crate) fn open(&self) -> usize {
        self.streams.len()
    }

    /// Reads every stream that the last look found ready, once. Returns how many inputs it gave.
    pub(crate) fn receive(
        &mut self,
        poll: &Poll,
        settings: &WorkerSettings,
        mut each: impl FnMut(Input<'_>) -> usize,
    ) -> u32 {
        let mut given = 0;
        let mut counted = |input: Input<'_>| {
            given += 1;
            each(input)
        };
        while let Some(number) = self.ready_listeners.pop() {
            self.accept(number, poll, settings, &mut counted);
        }
        while let Some(name) = self.ready_streams.pop() {
            let Some(stream) = self.streams.get_mut(&name) else { continue };
            let look = stream.look(name, settings, &mut self.counts.octets, &mut counted);
            self.settle(name, look, &mut counted);
        }
        given
    }

    /// Listeners that rested are heeded again.
    pub(crate) fn tick(&mut self, poll: &Poll) {
        for (listener, number) in self.listeners.iter_mut().zip(0..).filter(|(listener, _)| listener.resting)
        {
            listener.resting = poll.heed(&listener.socket, Ready::Listener(number), true).is_err();
        }
    }

    /// Closes every stream without telling a collector: it has panicked and knows none of them.
    pub(crate) fn forget(&mut self) {
        self.counts.closed += self.streams.len() as u64;
        self.streams.clear();
        self.ready_streams.clear();
    }

    /// Closes every stream and tells the collector.
    pub(crate) fn close(&mut self, each: &mut impl FnMut(Input<'_>) -> usize) {
        let names: Vec<u64> = self.streams.keys().copied().collect();
        for name in names {
            self.settle(name, Look::Ends(StreamEnd::Closed), each);
        }
    }

    /// Gives every stream away, open, with its rest; the collector that served them is not told. `router_of` knows
    /// whose they are.
    pub(crate) fn hand_over(
        &mut self,
        router_of: impl Fn(StreamId) -> Option<[u8; 16]>,
    ) -> Vec<HandedStream> {
        self.ready_streams.clear();
        let mut handed: Vec<(u64, Stream)> = self.streams.drain().collect();
        handed.sort_by_key(|(name, _)| *name);
        handed
            .into_iter()
            .map(|(name, stream)| HandedStream {
                name: StreamId(name),
                router: router_of(StreamId(name)).unwrap_or_else(|| sixteen(stream.from.ip())),
                rest: stream.rest().to_vec(),
                socket: stream.socket,
                from: stream.from,
                to: stream.to,
            })
            .collect()
    }

    fn accept(
        &mut self,
        number: u32,
        poll: &Poll,
        settings: &WorkerSettings,
        each: &mut impl FnMut(Input<'_>) -> usize,
    ) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get_mut(number as usize) else { return };
            let (socket, from) = match rustix::net::acceptfrom_with(
                &listener.socket,
                SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            ) {
                Ok((socket, Some(from))) => (socket, from),
                // The router is gone again, or a signal came: the next one.
                Ok((_, None)) | Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    // No descriptor or no memory left: it would be reported again at once, so it rests.
                    listener.resting = poll.heed(&listener.socket, Ready::Listener(number), false).is_ok();
                    return;
                }
            };
            let to = listener.to;
            if self.streams.len() >= settings.max_streams {
                self.counts.refused += 1;
                continue;
            }
            let Ok(from) = SocketAddr::try_from(from).map(canonical) else { continue };
            // Our own end by its address, not the wildcard it listens on.
            let to = rustix::net::getsockname(&socket).and_then(SocketAddr::try_from).map_or(to, canonical);
            keep_alive(&socket, settings);
            enlarge(&socket, settings.stream_socket_buffer_bytes);
            if self.open_stream(socket, (from, to), poll, settings, each).is_err() {
                self.counts.refused += 1;
            }
        }
        // There may be more; they are reported again.
    }

    fn settle(&mut self, name: u64, look: Look, each: &mut impl FnMut(Input<'_>) -> usize) {
        let Look::Ends(end) = look else { return };
        // Closing takes the socket out of the epoll set.
        if self.streams.remove(&name).is_some() {
            self.counts.closed += 1;
            each(Input::Closed { stream: StreamId(name), end });
        }
    }
}

impl Stream {
    fn rest(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }

    fn look(
        &mut self,
        name: u64,
        settings: &WorkerSettings,
        octets: &mut u64,
        each: &mut impl FnMut(Input<'_>) -> usize,
    ) -> Look {
        let room = self.octets.len() - self.end;
        if self.start > 0 && room < settings.stream_budget_bytes.min(self.octets.len() / 2) {
            self.octets.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let until = self.octets.len().min(self.end + settings.stream_budget_bytes.max(1));
        let room = self.octets.get_mut(self.end..until).unwrap_or_default();
        if room.is_empty() {
            // A message longer than the buffer that the collector waits for: it will never be whole.
            return Look::Ends(StreamEnd::Closed);
        }
        match rustix::io::read(&self.socket, room) {
            Ok(0) => Look::Ends(StreamEnd::Fin),
            Ok(read) => {
                self.end += read;
                *octets += read as u64;
                self.give(name, each)
            }
            Err(Errno::AGAIN | Errno::INTR) => Look::Goes,
            Err(Errno::TIMEDOUT) => Look::Ends(StreamEnd::Timeout),
            Err(_) => Look::Ends(StreamEnd::Reset),
        }
    }

    /// Gives the octets until the collector waits for more of them.
    fn give(&mut self, name: u64, each: &mut impl FnMut(Input<'_>) -> usize) -> Look {
        while self.start < self.end {
            let consumed = each(Input::Received { stream: StreamId(name), octets: self.rest() });
            if consumed == CLOSE_STREAM {
                return Look::Ends(StreamEnd::Closed);
            }
            if consumed == 0 {
                return Look::Goes;
            }
            self.start = self.end.min(self.start + consumed);
        }
        (self.start, self.end) = (0, 0);
        Look::Goes
    }
}

/// A router that is gone without a word is noticed after `keepalive_s * (1 + keepalive_probes)` seconds.
fn keep_alive(socket: impl AsFd, settings: &WorkerSettings) {
    let socket = socket.as_fd();
    let interval = Duration::from_secs(u64::from(settings.keepalive_s.max(1)));
    // A stack that refuses one of these still carries the stream.
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepidle(socket, interval);
    let _ = sockopt::set_tcp_keepintvl(socket, interval);
    let _ = sockopt::set_tcp_keepcnt(socket, settings.keepalive_probes.max(1));
}

#[cfg(test)]
mod tests;
