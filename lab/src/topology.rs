//! A topology of network namespaces for as long as a value lives: `vagrant/lab.sh` makes it and takes it down.
//!
//! In: which shape, how many queues. Out: names of namespaces, commands that run inside, a thread that enters one.
//! It never touches the host's own network.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The namespaces of one lab; gone when this is dropped. Any number may stand at once.
#[derive(Debug)]
pub struct Topology {
    name: String,
}

impl Topology {
    /// Three routers (`r1` to `r3`) with a host each (`h1` to `h3`), `far` behind them and `col` for Millrace with
    /// the devices `c1` to `c3`. Every veth end has `queues` queues.
    ///
    /// # Errors
    /// What `lab.sh` printed, most often that root is needed.
    pub fn routers(queues: u32) -> io::Result<Self> {
        Self::raise("up", queues)
    }

    /// Two namespaces, `a` (10.73.0.1, fd73::1) and `b` (10.73.0.2, fd73::2), joined by one veth pair whose ends
    /// are both named `eth0`.
    ///
    /// # Errors
    /// What `lab.sh` printed, most often that root is needed.
    pub fn pair(queues: u32) -> io::Result<Self> {
        Self::raise("pair", queues)
    }

    fn raise(shape: &str, queues: u32) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}x{nth}", std::process::id());
        run(Command::new(script("lab.sh")).args([shape, &name, &queues.to_string()]))?;
        Ok(Self { name })
    }

    /// The name that all its namespaces carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full name of one namespace, as `ip netns` knows it.
    #[must_use]
    pub fn namespace(&self, who: &str) -> String {
        format!("mr-{}-{who}", self.name)
    }

    /// Where the namespace can be opened.
    #[must_use]
    pub fn path(&self, who: &str) -> PathBuf {
        Path::new("/run/netns").join(self.namespace(who))
    }

    /// A command that will run inside, with the namespace's `/sys` and a BPF file system of its own that ends with
    /// it. What starts it becomes the program, so its process id is the program's.
    #[must_use]
    pub fn command(&self, who: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(script("lab.sh"));
        command.args(["exec", &self.name, who]).arg(program);
        command
    }

    /// Moves the calling thread into the namespace, for good: sockets that it opens from now on belong there.
    /// Threads that it starts later begin there too.
    ///
    /// # Errors
    /// When there is no such namespace or the caller is not root.
    pub fn enter(&self, who: &str) -> io::Result<()> {
        let namespace = File::open(self.path(who))?;
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new(script("lab.sh")).args(["down", &self.name])) {
            eprintln!("lab: {} could not be taken down: {error}", self.name);
        }
    }
}

/// A script of `vagrant/`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vagrant").join(name)
}

/// Runs to the end; on failure the error carries what was printed.
pub(crate) fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
