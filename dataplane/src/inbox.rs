//! Commands to a worker and its notices back: two bounded queues and the worker's bell. Read once a look.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use collector::saved::Refused;
use crossbeam_queue::ArrayQueue;

use crate::datagram::DatagramSocket;
use crate::poll::Bell;
use crate::worker::{Ask, Remains};

/// What a worker can be told while it turns.
#[derive(Debug)]
pub enum Command {
    /// A bound UDP socket: read it from now on.
    Datagrams(DatagramSocket),
    /// A listening TCP socket: accept from it from now on.
    Listener(OwnedFd),
    /// Routers and streams of another worker or of the one before: go on with them.
    Adopt(Box<Remains>),
    /// Answer a question, a slice at a time, beside the work.
    Ask(Box<Ask>),
    /// Say [`Notice::Drained`] once rings and sockets are empty and everything is handed on. Turns go on.
    Drain,
    /// Empty rings and sockets, hand everything on, end. Streams are closed, or come back from the handle, open
    /// and with their rest, beside all that is known of the routers.
    Stop {
        /// Leave the streams open and give everything back.
        hand_over: bool,
    },
}

/// What a worker says of itself. Facts only: control makes the sentences.
#[derive(Debug)]
pub enum Notice {
    /// It turns, on the core that was asked for, or where the kernel likes.
    Running {
        /// Whether it could be pinned.
        pinned: bool,
    },
    /// A panic was caught: the collector starts again empty, the streams are closed. Said once a second at most;
    /// the counters page counts every panic.
    Panicked,
    /// Everything that was in rings and sockets has been handed on.
    Drained,
    /// A saved router was not taken; its streams are closed.
    RouterRefused(Refused),
    /// A socket could not be taken over; it is closed.
    SocketRefused(std::io::Error),
}

/// Commands and notices that may wait.
const ROOM: usize = 256;

/// Control's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    commands: Arc<ArrayQueue<Command>>,
    notices: Arc<ArrayQueue<Notice>>,
    bell: Bell,
}

impl Inbox {
    /// Gives a command and wakes the worker.
    ///
    /// # Errors
    /// The command, if 256 wait already: the worker stands still.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.commands.push(command)?;
        self.bell.ring();
        Ok(())
    }

    /// The oldest notice not read yet.
    #[must_use]
    pub fn notice(&self) -> Option<Notice> {
        self.notices.pop()
    }
}

/// The worker's end. One a worker.
#[derive(Debug)]
pub(crate) struct Orders {
    commands: Arc<ArrayQueue<Command>>,
    notices: Arc<ArrayQueue<Notice>>,
    /// Notices that found their queue full.
    pub(crate) lost: u64,
}

impl Orders {
    pub(crate) fn next(&self) -> Option<Command> {
        self.commands.pop()
    }

    pub(crate) fn say(&mut self, notice: Notice) {
        if self.notices.push(notice).is_err() {
            self.lost += 1;
        }
    }
}

/// Both ends; `bell` wakes the worker.
pub(crate) fn pair(bell: Bell) -> (Inbox, Orders) {
    let commands = Arc::new(ArrayQueue::new(ROOM));
    let notices = Arc::new(ArrayQueue::new(ROOM));
    let inbox = Inbox { commands: Arc::clone(&commands), notices: Arc::clone(&notices), bell };
    (inbox, Orders { commands, notices, lost: 0 })
}
