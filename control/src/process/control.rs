//! The control process: configuration, kernel state and eBPF in, running steering out.
//!
//! ```text
//! keeper: kept descriptors -> configuration -> programs, sockets, addresses, devices -> privileges given up
//!   -> Ready -> dataplane: Start, Serve.., Open.., Begin -> Ring.. into the map -> Running -> traffic on
//!   -> netlink events, reports, questions, until Stop -> traffic off, Drain, totals, everything removed
//! ```
//! It believes nothing that dataplane says: rows and workers are looked up, texts are cut, counts only shown.

pub(crate) mod plane;
mod dataplane;
mod reading;
mod reception;
mod audit;
pub(crate) mod fib;
pub mod explain;
pub mod dump;
mod confirm;
mod state;
mod exporters;
mod held;
mod places;
mod reload;
pub mod answers;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::dataplane::counters::Counters;
use dataplane_common::map::SlotState;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::asynchronous::AsyncChannel;
use super::channel::{Channel, ChannelError, Received};
use super::message::{Keep, Order, Word};
use super::privilege;
use crate::config::Config;
use crate::kernel::Follower;
use crate::process::dataplane::layout;
use crate::reconcile::desired;
use crate::sockets;
use crate::totals::{Base, SocketTotals};
use crate::{admin, metrics};
use answers::Question;
use dataplane::Dataplane;
use exporters::Exporters;
use held::Held;
use places::Places;
use plane::Plane;
use reload::Reloads;

/// Why control cannot begin; each is one line, and each has its exit status.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration or what it names on this host: status 1.
    #[error("{0}")]
    Host(String),
    /// A privilege is missing: status 4.
    #[error("{0}")]
    Privilege(String),
}

impl StartError {
    /// Exit status of the process.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Host(_) => 1,
            Self::Privilege(_) => 4,
        }
    }
}

/// Turns an error into its line.
fn host(error: impl std::fmt::Display) -> StartError {
    StartError::Host(error.to_string())
}

/// How long a dataplane process may take to drain.
const DRAIN_PATIENCE: Duration = Duration::from_millis(3_500);

/// Runs the process until the keeper stops it. The configuration is `path`, unless the keeper holds the text
/// that an earlier control process began with.
///
/// # Errors
/// One line: why it cannot begin.
pub fn run(path: &Path, confirm: Option<u32>) -> Result<(), StartError> {
    let channel = Channel::from_stdin().map_err(host)?;
    let (mut kept, again) = kept(&channel).map_err(host)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(host)?;
    runtime.block_on(async {
        let confirm = confirm::Confirm::new(confirm, &mut kept, again);
        let mut control = Control::begin(path, channel, kept, again, confirm.has_passed()).await?;
        control.await_confirmation(confirm);
        control.serve().await
    })
}

/// What the keeper hands back before [`Word::Begin`].
fn kept(channel: &Channel) -> Result<(BTreeMap<String, OwnedFd>, bool), ChannelError> {
    let mut kept = BTreeMap::new();
    loop {
        let Some(Received { message, descriptors }) = channel.receive::<Word>(None)? else { continue };
        match message {
            Word::Kept { name } => kept.extend(descriptors.into_iter().next().map(|fd| (name, fd))),
            Word::Begin { again } => return Ok((kept, again)),
            Word::Dataplane { .. } | Word::Ended { .. } | Word::Stop | Word::Reload => {}
        }
    }
}

/// The whole state of the process. One task changes it, so nothing is locked.
pub(crate) struct Control {
    /// The file that is read again when it is told so.
    path: PathBuf,
    pub(crate) config: Config,
    text: OwnedFd,
    pub(crate) key: [u8; 16],
    keeper: AsyncChannel,
    pub(crate) follower: Follower,
    /// Where changes to the kernel's tables are asked for.
    netlink: rtnetlink::Handle,
    pub(crate) plane: Plane,
    sockets: Vec<sockets::Socket>,
    places: Places,
    /// Workers that run; fewer than configured where nothing steers.
    pub(crate) workers: usize,
    page_file: OwnedFd,
    pub(crate) page: Counters,
    pub(crate) base: Base,
    pub(crate) dataplane: Dataplane,
    pub(crate) started: Instant,
    questions: mpsc::Receiver<Question>,
    stopping: Option<Instant>,
    /// Why the first dataplane process could not begin.
    failed: Option<String>,
    /// A process was killed and its frames are not settled yet.
    rings_unsettled: bool,
    /// A process was killed and its datagrams are not settled yet.
    sockets_unsettled: bool,
    last_sockets: Vec<SocketTotals>,
    /// What passed of each exporter, in processes that have ended and in this one.
    pub(crate) exporters: Exporters,
    /// What one dataplane process has left for the next.
    held: Held,
    pub(crate) reloads: Reloads,
    /// Comparisons of maps and kernel.
    pub(crate) audit: audit::Audit,
    /// When programs are taken off again unless somebody confirms.
    confirm: confirm::Confirm,
    /// Somebody looks at frames.
    dump: Option<dump::Looking>,
}

impl Control {
    async fn begin(
        path: &Path,
        channel: Channel,
        mut kept: BTreeMap<String, OwnedFd>,
        again: bool,
        withheld: bool,
    ) -> Result<Self, StartError> {
        let (mut config, text) = match kept.remove("config") {
            Some(text) => {
                let config = Config::parse(&super::dataplane::text_of(&text).map_err(host)?).map_err(host)?;
                (config, text)
            }
            None => {
                let (config, text) = Config::read(path).map_err(host)?;
                (config, sealed("config", text.as_bytes()).map_err(host)?)
            }
        };
        if !again {
            crate::host::fits(&config).map_err(StartError::Host)?;
        }
        let lock = match kept.remove("lock") {
            Some(lock) => lock,
            None => state::lock(&config.state_dir)?,
        };
        let key = state::hash_key(&config)?;
        let mut plane = Plane::load(&config, key)?;
        if withheld {
            plane.withhold(&config);
            plane.setup.restore();
        }
        let workers = plane.workers(&config);
        config.workers.truncate(workers);
        let base = match kept.remove("base") {
            Some(file) => reading::read_base(&file).unwrap_or_default(),
            None => Base::default(),
        };
        let page_file = match kept.remove("counters") {
            Some(page) => page,
            None => Counters::file(&layout(&config)).map_err(host)?,
        };
        let page = Counters::map(&page_file, layout(&config)).map_err(host)?;
        let held = Held::kept(&mut kept);
        let places = Places::kept(&mut kept, &config);
        let opened =
            sockets::open(&config, u16::try_from(workers).unwrap_or(u16::MAX), kept).map_err(host)?;
        // Those of an earlier control process have their entries.
        plane.socket_rows = plane.serve(&config, &opened, |_| !again).map_err(host)?;
        let follower = Follower::start().map_err(host)?;
        let (connection, netlink, _) = rtnetlink::new_connection().map_err(host)?;
        tokio::spawn(connection);
        let wanted = desired(follower.state(), &config);
        if !again {
            plane.steer(&config, workers, SlotState::Empty).map_err(host)?;
        }
        plane.fill(&config, &wanted).map_err(host)?;
        if let Err(error) = plane.reconcile(&config, &wanted, follower.state()) {
            if !again {
                plane.setup.restore();
            }
            return Err(host(error));
        }
        plane.open(&config).map_err(host)?;
        plane.place_sources(&config, key, workers);
        let (asked, questions) = mpsc::channel(64);
        metrics::serve(config.metrics.listen, asked.clone()).await.map_err(host)?;
        admin::serve(&config.control_socket, asked).map_err(host)?;
        privilege::keep_only(privilege::CONTROL, privilege::PROGRAMS).map_err(host)?;

        let mut control = Self {
            keeper: AsyncChannel::new(channel).map_err(host)?,
            path: path.to_owned(),
            config,
            text,
            key,
            follower,
            netlink,
            plane,
            sockets: opened,
            places,
            workers,
            page_file,
            page,
            base,
            dataplane: Dataplane::default(),
            started: Instant::now(),
            questions,
            stopping: None,
            failed: None,
            rings_unsettled: false,
            sockets_unsettled: false,
            last_sockets: Vec::new(),
            exporters: Exporters::default(),
            held,
            reloads: Reloads::default(),
            audit: audit::Audit::default(),
            confirm: confirm::Confirm::default(),
            dump: None,
        };
        if !again {
            control.base = control.baseline();
            control.hold("config", control.text.as_fd());
            control.hold("lock", lock.as_fd());
            control.hold("counters", control.page_file.as_fd());
            for socket in &control.sockets {
                control.hold(&socket.name(), socket.descriptor.as_fd());
            }
            control.hold_places();
        }
        let restart_max_ms = control.config.process.restart_max_ms;
        control.keeper.send(&Keep::Ready { restart_max_ms }, &[]).map_err(host)?;
        Ok(control)
    }

    /// The keeper lets go of a descriptor.
    fn forget(&self, name: String) {
        // Without a keeper nobody holds anything.
        let _ = self.keeper.send(&Keep::Forget { name }, &[]);
    }

    /// Leaves a descriptor with the keeper.
    fn hold(&self, name: &str, descriptor: std::os::fd::BorrowedFd<'_>) {
        if let Err(error) = self.keeper.send(&Keep::Hold { name: name.to_owned() }, &[descriptor]) {
            tracing::error!("the keeper does not hold {name}: {error}");
        }
    }

    async fn serve(&mut self) -> Result<(), StartError> {
        let mut second = interval(Duration::from_millis(250));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                word = self.keeper.receive::<Word>() => match word {
                    Ok(received) => self.hear(received),
                    Err(error) => {
                        // Nobody would start anything again: take it all down.
                        tracing::error!("the keeper is gone ({error}): stopping");
                        self.stop();
                    }
                },
                report = self.dataplane.receive() => self.report(report),
                changed = self.follower.changed() => {
                    changed.map_err(host)?;
                    self.reconcile();
                }
                Some(question) = self.questions.recv() => self.answer(question),
                () = dump::over(self.dump.as_ref()) => self.end_dump(),
                _ = second.tick() => {
                    self.settle();
                    self.detach_unconfirmed();
                    self.look_after().await;
                }
            }
            if self.stopping.is_some_and(|until| self.dataplane.is_gone() || Instant::now() >= until) {
                return self.end().await;
            }
        }
    }

    fn hear(&mut self, received: Received<Word>) {
        match received.message {
            Word::Dataplane { pid, generation, running } => {
                let Some(end) = received.descriptors.into_iter().next() else { return };
                if let Err(error) = self.introduce(end, pid, generation, running) {
                    tracing::error!("cannot start the dataplane process: {error}");
                }
            }
            Word::Ended { how } => self.dataplane_ended(&how),
            Word::Stop => self.stop(),
            Word::Reload => self.reload(),
            Word::Kept { .. } | Word::Begin { .. } => {}
        }
    }

    /// The kernel's links or addresses have changed: so do the maps.
    fn reconcile(&mut self) {
        let wanted = desired(self.follower.state(), &self.config);
        let devices_changed =
            self.plane.reconcile(&self.config, &wanted, self.follower.state()).unwrap_or_else(|error| {
                tracing::error!("the maps could not follow the kernel: {error}");
                false
            });
        if devices_changed && self.plane.programs.is_some() && self.stopping.is_none() {
            if let Err(error) = self.plane.open(&self.config) {
                tracing::error!("no rows for the rings: {error}");
            }
            self.plane.place_sources(&self.config, self.key, self.workers);
            // Rings are opened at the start of a dataplane process alone.
            tracing::info!("devices came or went: the dataplane process makes way for one with their rings");
            self.restart();
        }
    }

    /// Traffic off, then what still waits is taken.
    fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Instant::now() + DRAIN_PATIENCE);
        tracing::info!("stopping");
        self.end_dump();
        self.plane.detach();
        if let Err(error) = self.plane.steer(&self.config, self.workers, SlotState::Empty) {
            tracing::error!("cannot switch traffic off: {error}");
        }
        self.dataplane.drain(&Order::Drain);
    }

    async fn end(&mut self) -> Result<(), StartError> {
        self.settle_rings();
        let totals = self.totals();
        let line = answers::counters(&totals);
        self.audit.kept.release_all(&self.netlink).await;
        if let Err(error) = self.plane.remove() {
            tracing::error!("{error}");
        }
        // Gone already where there is none.
        let _ = fs::remove_file(&self.config.control_socket);
        let status = u8::from(self.failed.is_some());
        // Without a keeper nobody hears it.
        let _ = self.keeper.send(&Keep::Stopped { status }, &[]);
        match self.failed.take() {
            Some(line) => Err(StartError::Host(line)),
            None => {
                // Whoever started it may have closed the other end of the pipe.
                let _ = writeln!(std::io::stdout(), "{line}");
                Ok(())
            }
        }
    }
}

/// Octets as memory that nobody can change any more.
pub(super) fn sealed(name: &str, octets: &[u8]) -> std::io::Result<OwnedFd> {
    let descriptor = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = fs::File::from(descriptor);
    file.write_all(octets)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}
