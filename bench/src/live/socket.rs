//! The kernel's own path: a bare `recvmmsg` reader, and the collectors of others as processes.
//!
//! What a socket took and what it lost is the kernel's count (`Udp` in /proc/net/snmp of the namespace); CPU time is
//! the process's own. So all receivers are judged alike, whatever they say of themselves.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::process::{Pid, Signal, kill_process};

use super::stage::{ADDRESS, Offer, Offered, PORT, Stage, done};

/// Receive buffer that everyone gets, octets.
const BUFFER: usize = 200 << 20;
/// Datagrams of one `recvmmsg`.
const BATCH: usize = 64;
/// How long a process may take to open its socket, or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a namespace's sockets did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    /// Datagrams that were put into a socket's buffer and read.
    pub datagrams: u64,
    /// Datagrams that found it full, or no socket.
    pub lost: u64,
    /// CPU time of the receiver, ns.
    pub cpu_ns: u64,
}

/// A collector of others, configured to do its best on one core.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its name in the results.
    pub name: &'static str,
    /// The program and its arguments; `BUFFER`, `CORE` and `DIR` are filled in.
    pub command: &'static str,
    /// A configuration file, as `DIR/conf`.
    pub config: &'static str,
}

/// Those that we are measured beside, as far as they are installed.
pub const PEERS: [Peer; 3] = [
    Peer {
        name: "nfacctd 1.7",
        command: "nfacctd -f DIR/conf",
        config: "daemonize: false\nnfacctd_ip: 10.73.0.1\nnfacctd_port: 4739\nnfacctd_pipe_size: BUFFER\n\
                 plugins: print\naggregate: proto\nprint_refresh_time: 600\nprint_output_file: DIR/out\n\
                 plugin_pipe_size: 400000000\nplugin_buffer_size: 400000\n",
    },
    Peer { name: "nfcapd 1.7", command: "nfcapd -b 10.73.0.1 -p 4739 -B BUFFER -w DIR -t 3600", config: "" },
    Peer {
        name: "goflow2 2",
        command: "goflow2 -listen netflow://10.73.0.1:4739?count=1&workers=1 -transport file \
                  -transport.file /dev/null -format bin",
        config: "",
    },
];

impl Peer {
    /// Whether its program can be run here.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        let program = self.command.split(' ').next().unwrap_or_default();
        let shell = format!("PATH=$PATH:/usr/sbin:$HOME/go/bin command -v {program}");
        Command::new("sh")
            .args(["-c", &shell])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Offers to a process of it on the receiver's core.
    ///
    /// # Errors
    /// It did not open its socket, or the generator failed.
    pub fn take(&self, stage: &Stage, offer: &Offer) -> anyhow::Result<(Offered, Taken)> {
        let directory = std::env::temp_dir().join(format!("mr-peer-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let fill = |text: &str| {
            text.replace("DIR", &directory.display().to_string()).replace("BUFFER", &BUFFER.to_string())
        };
        fs::write(directory.join("conf"), fill(self.config))?;
        let _limit = BufferLimit::raise()?;
        let shell = format!(
            "PATH=$PATH:/usr/sbin:$HOME/go/bin; export GOMAXPROCS=1; exec taskset -c {} {}",
            stage.receiver_core,
            fill(self.command).split(' ').map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
        );
        let mut command = stage.pair().command("a", "sh");
        command.args(["-c", &shell]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let result = listening(stage, &child).and_then(|()| {
            let (before, cpu) = (udp(stage)?, cpu_ns(child.id()));
            let offered = stage.offer(offer)?;
            std::thread::sleep(Duration::from_secs(1));
            let (after, cpu_after) = (udp(stage)?, cpu_ns(child.id()));
            Ok((
                offered,
                Taken {
                    datagrams: after.datagrams - before.datagrams,
                    lost: after.lost - before.lost,
                    cpu_ns: cpu_after - cpu,
                },
            ))
        });
        end(&mut child);
        fs::remove_dir_all(&directory)?;
        result.with_context(|| self.name)
    }
}

/// Offers to a loop of `recvmmsg` on the receiver's core that touches nothing but the length.
///
/// # Errors
/// Socket or generator failed.
pub fn bare(stage: &Stage, offer: &Offer) -> anyhow::Result<(Offered, Taken)> {
    let (ready, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let reading = threads.spawn(|| read(stage, &ready, &over));
        while !ready.load(Ordering::Acquire) && !reading.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = udp(stage)?;
        let offered = stage.offer(offer);
        over.store(true, Ordering::Release);
        let cpu_ns = reading.join().ok().context("the reader panicked")??;
        let after = udp(stage)?;
        let (datagrams, lost) = (after.datagrams - before.datagrams, after.lost - before.lost);
        Ok((offered?, Taken { datagrams, lost, cpu_ns }))
    })
}

fn read(stage: &Stage, ready: &AtomicBool, over: &AtomicBool) -> anyhow::Result<u64> {
    stage.pair().enter("a")?;
    let id = stage.receiver_core;
    ensure!(core_affinity::set_for_current(core_affinity::CoreId { id }), "cannot run on core {id}");
    let socket = UdpSocket::bind((ADDRESS, PORT))?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    let mut buffers = vec![[0_u8; 2_048]; BATCH];
    let mut headers: MultiHeaders<SockaddrIn> = MultiHeaders::preallocate(BATCH, None);
    let mut octets = 0;
    let began = crate::cpu::Cpu::start();
    ready.store(true, Ordering::Release);
    loop {
        let mut slices: Vec<_> =
            buffers.iter_mut().map(|buffer| [std::io::IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
            Ok(messages) => octets += messages.map(|message| message.bytes).sum::<usize>(),
            Err(nix::errno::Errno::EAGAIN) if over.load(Ordering::Acquire) => break,
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    std::hint::black_box(octets);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of one run")]
    Ok((began.seconds() * 1e9) as u64)
}

/// The namespace's UDP counters (RFC 4113): delivered, and lost for want of room or of a socket.
fn udp(stage: &Stage) -> anyhow::Result<Taken> {
    let text = done(stage.pair().command("a", "cat").arg("/proc/net/snmp"))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().context("no Udp")?, lines.next().context("no Udp")?);
    let number = |wanted: &str| {
        let mut both = names.split(' ').zip(values.split(' '));
        both.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse::<u64>().ok()).unwrap_or(0)
    };
    Ok(Taken { datagrams: number("InDatagrams"), lost: number("InErrors") + number("NoPorts"), cpu_ns: 0 })
}

/// CPU time of a process and of all that it started, ns.
pub(super) fn cpu_ns(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below: u64 = children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(cpu_ns).sum();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let own: u64 = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    own + below
}

fn listening(stage: &Stage, child: &Child) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = done(stage.pair().command("a", "cat").args(["/proc/net/udp", "/proc/net/udp6"]))?;
        if text.contains(&format!(":{PORT:04X} ")) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "process {} did not open port {PORT}", child.id());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The host's limit of receive buffers, raised for processes that ask for a large one; as it was on drop.
struct BufferLimit(String);

impl BufferLimit {
    const PATH: &str = "/proc/sys/net/core/rmem_max";

    fn raise() -> anyhow::Result<Self> {
        let before = fs::read_to_string(Self::PATH).context(Self::PATH)?;
        fs::write(Self::PATH, BUFFER.to_string()).context(Self::PATH)?;
        Ok(Self(before))
    }
}

impl Drop for BufferLimit {
    fn drop(&mut self) {
        // What could be written once can be written again.
        let _ = fs::write(Self::PATH, &self.0);
    }
}

/// INT, and KILL after a while: nfacctd does not heed TERM.
fn end(child: &mut Child) {
    let _ = kill_process(Pid::from_child(child), Signal::INT);
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}
