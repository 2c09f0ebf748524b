//! What this instance has in the kernel: programs, their tables, the devices they run on, groups of sockets.
//!
//! In: configuration, sockets, kernel state. Out: entries of maps, rows, attachments. Decides nothing about
//! routers or workers; without programs (no privilege) every call does nothing.

mod devices;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use dataplane_common::map::SlotState;

use super::StartError;
use super::reception::Reception;
use crate::config::{Alias, Config, Mode};
use crate::ebpf::attach::Attached;
use crate::ebpf::lost::LostFrames;
use crate::ebpf::{EbpfError, LoadSettings, Programs, TableLimits};
use crate::kernel::KernelState;
use crate::mirror;
use crate::nic::setup::Setup;
use crate::process::dataplane::ring_settings;
use crate::process::privilege;
use crate::reconcile::{Device, Step, Tables};
use crate::sockets::Socket;
use crate::steering;

/// One RX queue with rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RingRow {
    /// Name of the device.
    pub(crate) device: String,
    /// RX queue, from 0.
    pub(crate) queue: u32,
    /// Its row in the maps.
    pub(crate) row: u32,
    /// Generic mode.
    pub(crate) generic: bool,
    /// The only worker with a ring there.
    pub(crate) only: Option<u16>,
}

/// One a control process.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) programs: Option<Programs>,
    /// What the maps hold.
    pub(crate) held: Tables,
    /// Entries of forwarding that a map did not take.
    pub(crate) refused: u64,
    /// Devices that run the program.
    pub(crate) attached: BTreeMap<String, Attached>,
    /// No program comes to a device any more, whatever the configuration says.
    pub(crate) withheld: bool,
    /// What cards were set to.
    pub(super) setup: Setup,
    /// What these devices have received since.
    pub(crate) reception: Reception,
    pub(crate) rings: Vec<RingRow>,
    /// Rows of queues that are no more: what was counted there still counts.
    pub(crate) past: Vec<RingRow>,
    /// Row of each listener's group, by its position in the configuration.
    pub(crate) socket_rows: Vec<u32>,
}

impl Plane {
    /// Loads the programs, or explains why it goes without.
    ///
    /// # Errors
    /// When the mode or several workers need programs that cannot be loaded.
    pub(crate) fn load(config: &Config, key: [u8; 16]) -> Result<Self, StartError> {
        let plane = |programs| Self {
            programs,
            held: Tables::default(),
            refused: 0,
            attached: BTreeMap::new(),
            withheld: false,
            setup: Setup::open(&config.state_dir),
            reception: Reception::default(),
            rings: Vec::new(),
            past: Vec::new(),
            socket_rows: Vec::new(),
        };
        let loaded = if privilege::may(privilege::LOAD) {
            Programs::load(&load_settings(config, key)).map_err(|error| (false, error.to_string()))
        } else {
            Err((
                true,
                "CAP_BPF and CAP_NET_ADMIN are missing (run as root, or give the capabilities)".into(),
            ))
        };
        match (loaded, config.mode) {
            (Ok(mut programs), _) => {
                for (point, why) in programs.watch_losses() {
                    tracing::info!("frames lost after their verdict are not counted by {point}: {why}");
                }
                Ok(plane(Some(programs)))
            }
            (Err((unprivileged, why)), Mode::Native | Mode::Generic) => {
                let line = format!("mode {}: {why}", config.mode.name());
                Err(if unprivileged { StartError::Privilege(line) } else { StartError::Host(line) })
            }
            (Err((_, why)), Mode::Auto | Mode::Socket) => {
                if config.mode == Mode::Auto && !config.devices.is_empty() {
                    tracing::warn!("no XDP, kernel sockets instead: {why}");
                } else {
                    tracing::warn!("no eBPF programs: {why}");
                }
                Ok(plane(None))
            }
        }
    }

    /// How many workers can run: without programs nothing keeps a router on one of several.
    pub(crate) fn workers(&self, config: &Config) -> usize {
        if self.programs.is_some() || config.workers.len() == 1 {
            return config.workers.len();
        }
        tracing::warn!(
            "one worker instead of {}: without eBPF the kernel would spread one router over all of them",
            config.workers.len()
        );
        1
    }

    /// Gives every socket that `is_new` its entry; the others have theirs. Row of each listener's group.
    pub(crate) fn serve(
        &mut self,
        config: &Config,
        sockets: &[Socket],
        is_new: impl Fn(&Socket) -> bool,
    ) -> Result<Vec<u32>, EbpfError> {
        let Some(programs) = &mut self.programs else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for (position, listen) in config.listen.iter().enumerate() {
            let protocol = if listen.protocol.is_stream() { 6 } else { 17 };
            let row = programs.tables.sockets.row(protocol, SocketAddr::new(listen.address, listen.port))?;
            rows.push(row);
            let group = sockets.iter().filter(|socket| usize::from(socket.listen) == position);
            for (n, socket) in group.enumerate() {
                if n == 0 {
                    programs.attach_reuseport(&socket.descriptor)?;
                }
                if is_new(socket) {
                    programs.tables.sockets.insert(row, u32::from(socket.worker), &socket.descriptor)?;
                }
            }
        }
        Ok(rows)
    }

    /// Writes aliases, addresses and ports whole, whatever the maps held before.
    pub(crate) fn fill(&mut self, config: &Config, wanted: &Tables) -> Result<(), EbpfError> {
        self.alias(config)?;
        let Some(programs) = &mut self.programs else { return Ok(()) };
        programs.tables.local_addresses.replace(&wanted.local_addresses)?;
        programs.tables.ports.replace(&wanted.ports)?;
        // What an earlier process of this instance left: steps lead from it to what is wanted. Whose members they were
        // is not known any more, so they are added again.
        let held = &mut self.held;
        *held = mirror::read(&programs.tables, held)?;
        held.local_addresses.clone_from(&wanted.local_addresses);
        held.ports.clone_from(&wanted.ports);
        Ok(())
    }

    /// Writes the aliases whole.
    pub(crate) fn alias(&mut self, config: &Config) -> Result<(), EbpfError> {
        let Some(programs) = &mut self.programs else { return Ok(()) };
        let (hosts, networks): (Vec<&Alias>, Vec<&Alias>) =
            config.steering.alias.iter().partition(|alias| alias.address.is_host());
        let hosts = hosts.iter().map(|alias| (alias.address.address, alias.router)).collect();
        let networks = networks
            .iter()
            .map(|alias| ((alias.address.address, alias.address.bits), alias.router))
            .collect();
        programs.tables.aliases.replace(&hosts)?;
        programs.tables.aliases.replace_prefixes(&networks)?;
        Ok(())
    }

    /// Takes the steps from what the maps hold to `wanted`. Returns whether a device came or went.
    pub(crate) fn reconcile(
        &mut self,
        config: &Config,
        wanted: &Tables,
        kernel: &KernelState,
    ) -> Result<bool, EbpfError> {
        let devices_change = self.held.devices != wanted.devices;
        let indexes = wanted.devices.values().map(|device| device.index);
        let before = devices_change.then(|| Reception::before(indexes, || self.frames_seen()));
        let taken = self.held.steps_to(wanted).iter().try_for_each(|step| match self.take(config, step) {
            Ok(()) => {
                self.held.apply(step);
                Ok(())
            }
            Err(error) if step.is_forwarding() => {
                self.refused += 1;
                tracing::warn!("frames go up the stack: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        });
        self.held.forward.left_out = wanted.forward.left_out;
        if let Some(before) = before {
            self.reception = Reception::opened(&before, self.attached.values(), kernel);
        }
        taken.map(|()| devices_change)
    }

    /// Every frame that the program has ended.
    pub(crate) fn frames_seen(&self) -> u64 {
        let ends = self.programs.as_ref().and_then(|programs| programs.tables.counters.frame_ends().ok());
        ends.map_or(0, |ends| ends.iter().sum())
    }

    pub(super) fn take(&mut self, config: &Config, step: &Step) -> Result<(), EbpfError> {
        if let Step::Gone(device, Device { index, .. }) = step {
            tracing::warn!("device {device} (index {index}) is gone");
            self.attached.remove(device);
        }
        if let Step::Attach(device, _) = step {
            return if self.withheld { Ok(()) } else { self.attach(config, device) };
        }
        let Some(programs) = &mut self.programs else { return Ok(()) };
        mirror::write(&mut programs.tables, step)
    }

    /// Frames of (row, worker) go to an AF_XDP socket, which is bound already.
    pub(crate) fn insert_ring(
        &mut self,
        row: u32,
        worker: u16,
        socket: BorrowedFd<'_>,
    ) -> Result<(), EbpfError> {
        let Some(programs) = &mut self.programs else { return Ok(()) };
        programs.tables.rings.insert(row, u32::from(worker), socket.as_fd())
    }

    /// Takes rings out of the map: their frames come to kernel sockets from now on. Afterwards nothing is on its way
    /// to a ring any more.
    pub(crate) fn remove_rings(&mut self, rings: impl Iterator<Item = (u32, u16)>) -> Result<(), EbpfError> {
        let Some(programs) = &mut self.programs else { return Ok(()) };
        for (row, worker) in rings {
            programs.tables.rings.remove(row, u32::from(worker))?;
        }
        // Waits for a grace period, thus for every program that still saw the entries and the flush behind it
        // (kernel/sched/membarrier.c). Where nohz_full refuses it, frames in flight are counted as lost.
        let _ = rustix::thread::membarrier(rustix::thread::MembarrierCommand::Global);
        Ok(())
    }

    /// Switches traffic on ([`SlotState::Millrace`]) or off ([`SlotState::Empty`]).
    pub(crate) fn steer(
        &mut self,
        config: &Config,
        workers: usize,
        state: SlotState,
    ) -> Result<(), EbpfError> {
        let Some(programs) = &mut self.programs else { return Ok(()) };
        let table = steering::table(config.slots(), u32::try_from(workers).unwrap_or(0), state);
        if *programs.tables.steering.current() == table {
            return Ok(());
        }
        programs.tables.steering.install(&table)
    }

    /// Frames that were lost after the program had ended them.
    pub(crate) fn losses(&self) -> Vec<LostFrames> {
        let is_ours = |index: u32| self.attached.values().any(|attached| attached.index == index);
        let losses = self.programs.as_ref().and_then(|programs| programs.losses(is_ours).ok());
        losses.unwrap_or_default()
    }

    /// Takes everything of this instance out of the kernel.
    pub(crate) fn remove(&mut self) -> Result<(), EbpfError> {
        let removed = self.programs.take().map_or(Ok(()), Programs::unpin);
        self.setup.restore();
        removed
    }
}

pub(super) fn load_settings(config: &Config, key: [u8; 16]) -> LoadSettings {
    let limits = &config.limits;
    LoadSettings {
        drop_empty_udp: config.steering.drop_empty_udp,
        aliases: config.steering.alias.iter().any(|alias| alias.address.is_host()),
        alias_prefixes: config.steering.alias.iter().any(|alias| !alias.address.is_host()),
        limits: TableLimits {
            local_addresses: limits.max_local_addresses,
            aliases: limits.max_aliases,
            ring_rows: limits.max_ring_rows,
            socket_rows: limits.max_socket_rows,
            routers_seen: limits.max_routers_seen,
            devices: limits.max_forward_devices,
            forward_ports: limits.max_forward_ports,
            stations: limits.max_stations,
            next_hops: limits.max_next_hops,
            port_ends: limits.max_port_ends,
            rules: limits.max_rules,
            exporters: limits.max_allowed_exporters,
            policers: limits.max_policers,
            source_buckets: limits.max_policed_sources,
            ..TableLimits::default()
        },
        forward: config.forward.blocks(),
        rules: config.rule_blocks(),
        pins: Some(config.process.pins(&config.state_dir)),
        ..LoadSettings::new(key, ring_settings(config, false).frame_room_bytes())
    }
}
