//! The keeper: starts control and dataplane, joins them by a pair of sockets, starts again whichever ends, and
//! holds the descriptors that must outlive both.
//!
//! ```text
//!            keeper  holds: configuration text, lock, UDP sockets, listeners, counters page
//!   Word,Keep /   \ standard input
//!       control === dataplane
//!           Order, Report
//! ```
//! It reads no configuration, no packet and no file. Both ends of the pair stay open here, so one process can
//! die and come back without the other noticing more than silence.

pub mod message;
mod remains;
pub mod channel;
pub mod privilege;
pub mod control;
pub mod dataplane;
mod asynchronous;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use asynchronous::AsyncChannel;
use channel::{Channel, ChannelError, Received};
use message::{Keep, Word};

/// Lets large tables have huge pages where the kernel gives them on request (`madvise` or `always` in
/// /sys/kernel/mm/transparent_hugepage/enabled): a look-up reads one place of hundreds of megabytes. Asked for once, of
/// the C library (2.35 and later; others pass over it), so that whoever allocates need not know.
pub const HUGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// Descriptors that control may leave here.
const MAX_KEPT: usize = 65_536;
/// Pause before a process that lived shorter than [`SETTLED`] is started again, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A process that lived this long did not fail at once.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a stop may take before processes are killed.
const STOP_PATIENCE: Duration = Duration::from_millis(4_500);

/// Runs until SIGTERM, SIGINT, or until the first control process says that it cannot begin. Returns the exit
/// status for the shell.
///
/// # Errors
/// When no process can be started.
pub fn run(config: &Path, log: Option<&str>, confirm: Option<u32>) -> anyhow::Result<u8> {
    // Every stream is a descriptor, on its way in up to three processes; they inherit this. What the kernel does not
    // grant is missed only by whoever has that many.
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut keeper = Keeper::new(config, log, confirm)?;
        keeper.run().await
    })
}

/// One a running Millrace.
struct Keeper {
    config: PathBuf,
    log: Option<String>,
    /// Seconds after which control takes its programs off unless somebody confirms.
    confirm: Option<u32>,
    kept: BTreeMap<String, OwnedFd>,
    control: Option<AsyncChannel>,
    control_child: Option<Child>,
    dataplane: Option<Dataplane>,
    /// Dataplane processes started so far.
    generation: u32,
    /// Control has said [`Keep::Ready`] at least once.
    ready: bool,
    /// Told to read the configuration again while there was no control process.
    reload_due: bool,
    restart_max: Duration,
    control_pause: Pause,
    dataplane_pause: Pause,
    stopping: Option<Instant>,
    /// Control has taken everything down, with this exit status.
    stopped: Option<u8>,
}

struct Dataplane {
    child: Child,
    /// Control's end of the pair.
    end: OwnedFd,
    running: bool,
}

/// When a process is started again.
struct Pause {
    next: Duration,
    started: Instant,
    due: Option<Instant>,
}

impl Pause {
    fn new() -> Self {
        Self { next: Duration::ZERO, started: Instant::now(), due: None }
    }

    fn started(&mut self) {
        self.started = Instant::now();
        self.due = None;
    }

    fn ended(&mut self, most: Duration) {
        if self.started.elapsed() >= SETTLED {
            self.next = Duration::ZERO;
        }
        self.due = Some(Instant::now() + self.next);
        self.next = (self.next * 2).clamp(FIRST_PAUSE, most.max(FIRST_PAUSE));
    }
}

/// What the keeper can wake up for.
enum Woken {
    Said(Result<Received<Keep>, ChannelError>),
    ControlEnded(ExitStatus),
    DataplaneEnded(ExitStatus),
    Due,
    Terminate,
    Reload,
}

impl Keeper {
    fn new(config: &Path, log: Option<&str>, confirm: Option<u32>) -> anyhow::Result<Self> {
        let config = std::path::absolute(config).with_context(|| config.display().to_string())?;
        Ok(Self {
            config,
            log: log.map(str::to_owned),
            confirm,
            kept: BTreeMap::new(),
            control: None,
            control_child: None,
            dataplane: None,
            generation: 0,
            ready: false,
            reload_due: false,
            restart_max: SETTLED,
            control_pause: Pause::new(),
            dataplane_pause: Pause::new(),
            stopping: None,
            stopped: None,
        })
    }

    async fn run(&mut self) -> anyhow::Result<u8> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        self.start_control()?;
        loop {
            let due = self.due();
            let woken = tokio::select! {
                biased;
                said = said(self.control.as_ref()) => Woken::Said(said),
                status = ended(self.control_child.as_mut()) => Woken::ControlEnded(status),
                status = ended(self.dataplane.as_mut().map(|plane| &mut plane.child)) => Woken::DataplaneEnded(status),
                _ = terminate.recv() => Woken::Terminate,
                _ = interrupt.recv() => Woken::Terminate,
                _ = hangup.recv() => Woken::Reload,
                () = sleep_until(due.unwrap_or_else(far)), if due.is_some() => Woken::Due,
            };
            if let Some(status) = self.act(woken)? {
                // Who waits for the keeper finds nothing of it left; a dying process takes a moment for its rings.
                if let Some(dataplane) = &mut self.dataplane {
                    let _ = tokio::time::timeout(Duration::from_secs(1), dataplane.child.wait()).await;
                }
                return Ok(status);
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        [self.control_pause.due, self.dataplane_pause.due, self.stopping].into_iter().flatten().min()
    }

    /// Returns the exit status once everything is over.
    fn act(&mut self, woken: Woken) -> anyhow::Result<Option<u8>> {
        match woken {
            Woken::Said(Ok(received)) => self.obey(received)?,
            // Its exit follows; a process that talks nonsense is made to go.
            Woken::Said(Err(error)) => {
                self.control = None;
                if !matches!(error, ChannelError::Closed) {
                    tracing::error!("control process: {error}");
                    if let Some(child) = &mut self.control_child {
                        child.start_kill()?;
                    }
                }
            }
            Woken::ControlEnded(status) => {
                (self.control, self.control_child) = (None, None);
                if self.stopped.is_some() || !self.ready {
                    self.kill_dataplane();
                    return Ok(Some(self.stopped.unwrap_or_else(|| code(status))));
                }
                tracing::error!("the control process ended ({status}); packets flow on, starting it again");
                self.control_pause.ended(self.restart_max);
            }
            Woken::DataplaneEnded(status) => self.dataplane_ended(status)?,
            Woken::Terminate => self.stop(),
            Woken::Reload if self.control.is_none() => self.reload_due = true,
            Woken::Reload => self.say(&Word::Reload, &[]),
            Woken::Due => return self.overdue(),
        }
        Ok(None)
    }

    fn overdue(&mut self) -> anyhow::Result<Option<u8>> {
        let now = Instant::now();
        if self.stopping.is_some_and(|until| until <= now) {
            tracing::error!("the processes did not stop in time: killing them");
            self.kill_dataplane();
            if let Some(child) = &mut self.control_child {
                child.start_kill()?;
            }
            return Ok(Some(1));
        }
        if self.control_pause.due.is_some_and(|due| due <= now) {
            self.start_control()?;
        }
        if self.dataplane_pause.due.is_some_and(|due| due <= now) {
            self.start_dataplane()?;
        }
        Ok(None)
    }

    fn obey(&mut self, received: Received<Keep>) -> anyhow::Result<()> {
        match received.message {
            Keep::Hold { name } => {
                let room = self.kept.len() < MAX_KEPT || self.kept.contains_key(&name);
                if let (true, Some(descriptor)) = (room, received.descriptors.into_iter().next()) {
                    self.kept.insert(name, descriptor);
                }
            }
            Keep::Forget { name } => drop(self.kept.remove(&name)),
            Keep::Ready { restart_max_ms } => {
                self.ready = true;
                self.restart_max = Duration::from_millis(restart_max_ms);
                if self.dataplane.is_none() && self.dataplane_pause.due.is_none() && self.stopping.is_none() {
                    self.start_dataplane()?;
                }
            }
            Keep::Running => {
                if let Some(dataplane) = &mut self.dataplane {
                    dataplane.running = true;
                }
            }
            Keep::Kill => self.kill_dataplane(),
            Keep::Stop => self.stop(),
            Keep::Stopped { status } => self.stopped = Some(status),
        }
        Ok(())
    }

    fn start_control(&mut self) -> anyhow::Result<()> {
        let again = self.ready;
        // What it said to the one before is lost with that one.
        if self.dataplane.as_ref().is_some_and(|dataplane| !dataplane.running) {
            self.kill_dataplane();
        }
        let (ours, theirs) = Channel::pair()?;
        let mut command = self.command("control");
        command.arg("--config").arg(&self.config).stdin(Stdio::from(theirs));
        if let Some(seconds) = self.confirm {
            command.args(["--confirm", &seconds.to_string()]);
        }
        let child = command.spawn().context("cannot start the control process")?;
        self.control_child = Some(child);
        self.control = Some(AsyncChannel::new(Channel::new(ours)?)?);
        self.control_pause.started();
        let kept = std::mem::take(&mut self.kept);
        for (name, descriptor) in &kept {
            self.say(&Word::Kept { name: name.clone() }, &[descriptor.as_fd()]);
        }
        self.kept = kept;
        self.say(&Word::Begin { again }, &[]);
        self.introduce();
        if std::mem::take(&mut self.reload_due) {
            self.say(&Word::Reload, &[]);
        }
        if self.stopping.is_some() {
            self.say(&Word::Stop, &[]);
        }
        Ok(())
    }

    fn start_dataplane(&mut self) -> anyhow::Result<()> {
        let (ours, theirs) = Channel::pair()?;
        let mut command = self.command("dataplane");
        command.stdin(Stdio::from(theirs));
        // Whoever set tunables of their own knows better.
        if std::env::var_os(HUGE_PAGES.0).is_none() {
            command.env(HUGE_PAGES.0, HUGE_PAGES.1);
        }
        let child = command.spawn().context("cannot start the dataplane process")?;
        self.dataplane = Some(Dataplane { child, end: ours, running: false });
        self.dataplane_pause.started();
        self.generation += 1;
        self.introduce();
        Ok(())
    }

    /// Gives control its end of the pair.
    fn introduce(&self) {
        let Some(dataplane) = &self.dataplane else { return };
        let pid = dataplane.child.id().unwrap_or(0);
        let word = Word::Dataplane { pid, generation: self.generation, running: dataplane.running };
        self.say(&word, &[dataplane.end.as_fd()]);
    }

    fn command(&self, role: &str) -> Command {
        // The running binary, also when its file has been replaced.
        let mut command = Command::new("/proc/self/exe");
        command.arg(role);
        if let Some(log) = &self.log {
            command.args(["--log", log]);
        }
        // A Ctrl-C on the terminal is the keeper's alone: it stops the others in order.
        command.process_group(0).kill_on_drop(true);
        command
    }

    fn dataplane_ended(&mut self, status: ExitStatus) -> anyhow::Result<()> {
        self.dataplane = None;
        self.say(&Word::Ended { how: status.to_string() }, &[]);
        if self.stopping.is_none() && self.stopped.is_none() {
            if status.success() {
                tracing::info!("the dataplane process ended as it was told, starting the next one");
                return self.start_dataplane();
            }
            tracing::error!("the dataplane process ended ({status}), starting it again");
            self.dataplane_pause.ended(self.restart_max);
            if self.dataplane_pause.due.is_some_and(|due| due <= Instant::now()) {
                self.start_dataplane()?;
            }
        }
        Ok(())
    }

    fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(Instant::now() + STOP_PATIENCE);
            self.dataplane_pause.due = None;
            self.say(&Word::Stop, &[]);
        }
    }

    fn kill_dataplane(&self) {
        let pid = self.dataplane.as_ref().and_then(|dataplane| dataplane.child.id());
        if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // Gone already: what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// A control process that is gone hears it again when it begins.
    fn say(&self, word: &Word, descriptors: &[std::os::fd::BorrowedFd<'_>]) {
        if let Some(control) = &self.control
            && let Err(error) = control.send(word, descriptors)
        {
            tracing::debug!("control process does not hear: {error}");
        }
    }
}

async fn said(control: Option<&AsyncChannel>) -> Result<Received<Keep>, ChannelError> {
    match control {
        Some(control) => control.receive().await,
        None => std::future::pending().await,
    }
}

async fn ended(child: Option<&mut Child>) -> ExitStatus {
    match child {
        Some(child) => match child.wait().await {
            Ok(status) => status,
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
