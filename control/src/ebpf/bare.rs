//! What the programs are measured beside: the least that forwards or steers, attached or over a course of frames.
//!
//! In: heads of frames, devices, a ring. Out: nanoseconds a frame, frames dropped. Nothing of it is part of a running
//! Millrace.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd as _};

use aya::maps::{Array, DevMapHash, HashMap, Map, MapError, PerCpuArray, ProgramArray, XskMap};
use aya::programs::{ProgramError, ProgramFd, TestRun as _, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use dataplane_common::map::bare::{
    ALIKE_PROGRAM, BARE_PORTS, COURSE, COURSE_PROGRAM, Course, DROP_PROGRAM, DROPPED, FORWARD_PROGRAM,
    HEAD_LENGTH, HEADS, NEXT, NOTHING_PROGRAM, STEER_PROGRAM,
};
use dataplane_common::map::{
    LOCAL_ADDRESSES, PORT_UDP, PORTS, Port, Queue, RING_ROWS, RINGS, STEERING, SlotState, Steering,
};
use dataplane_common::octets_of;
use zerocopy::IntoBytes as _;

use super::attach::device_index;
use super::{EbpfError, Programs, xdp};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/millrace-bare-ebpf"));

/// What a course leads to, or a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// Nothing: what the course costs by itself.
    Nothing,
    /// `bpf_fib_lookup` and a redirect.
    Forward,
    /// A hash of the source and a redirect to its ring.
    Steer,
    /// The same, with the keyed hash and the time last seen of the real program.
    Alike,
    /// Every frame dropped and counted.
    Drop,
}

impl Least {
    const ALL: [Self; 5] = [Self::Nothing, Self::Forward, Self::Steer, Self::Alike, Self::Drop];

    const fn program(self) -> &'static str {
        match self {
            Self::Nothing => NOTHING_PROGRAM,
            Self::Forward => FORWARD_PROGRAM,
            Self::Steer => STEER_PROGRAM,
            Self::Alike => ALIKE_PROGRAM,
            Self::Drop => DROP_PROGRAM,
        }
    }
}

/// The bare programs, with maps of their own; off all devices when dropped.
pub struct Bare {
    ebpf: Ebpf,
}

impl std::fmt::Debug for Bare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bare").finish_non_exhaustive()
    }
}

impl Bare {
    /// Loads them, with a course over `heads`.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load(heads: &[[u8; HEAD_LENGTH]]) -> Result<Self, EbpfError> {
        let count = u32::try_from(heads.len()).unwrap_or(u32::MAX);
        let mut ebpf = EbpfLoader::new().map_max_entries(HEADS, count.max(1)).load(OBJECT)?;
        for name in Least::ALL.map(Least::program).into_iter().chain([COURSE_PROGRAM]) {
            program(&mut ebpf, name)?.load().map_err(|error| EbpfError::Program { name, error })?;
        }
        let mut bare = Self { ebpf };
        {
            let mut map: Array<_, [u8; HEAD_LENGTH]> = bare.map(HEADS)?;
            for (index, head) in (0..).zip(heads) {
                map.set(index, *head, 0).map_err(at(HEADS))?;
            }
        }
        let mut map: Array<_, [u8; size_of::<Course>()]> = bare.map(COURSE)?;
        let course: [u8; size_of::<Course>()] = zerocopy::transmute!(Course { next: 0, heads: count });
        map.set(0, course, 0).map_err(at(COURSE))?;
        Ok(bare)
    }

    /// Runs one of them on a device, in the driver.
    ///
    /// # Errors
    /// When the device is not there or runs another program.
    pub fn attach(&mut self, what: Least, device: &str) -> Result<(), EbpfError> {
        let name = what.program();
        let attached = program(&mut self.ebpf, name)?.attach(device, XdpMode::Driver);
        attached.map(drop).map_err(|error| EbpfError::Program { name, error })
    }

    /// Lets the forwarder send to a device.
    ///
    /// # Errors
    /// No such device, or no more room.
    pub fn port(&mut self, device: &str) -> Result<(), EbpfError> {
        let index = device_index(device)?;
        let mut map: DevMapHash<_> = self.map(BARE_PORTS)?;
        map.insert(index, index, None, 0).map_err(|_| EbpfError::Full { name: BARE_PORTS, limit: 16 })
    }

    /// Steers telemetry for `address` and `port` that queue 0 of `device` receives to one ring.
    ///
    /// # Errors
    /// When the kernel refuses one of them.
    pub fn ring(
        &mut self,
        address: IpAddr,
        port: u16,
        device: &str,
        socket: impl AsFd,
    ) -> Result<(), EbpfError> {
        let mut map: HashMap<_, [u8; 16], [u8; 4]> = self.map(LOCAL_ADDRESSES)?;
        map.insert(octets_of(address), [0; 4], 0).map_err(at(LOCAL_ADDRESSES))?;
        let mut map: Array<_, [u8; 4]> = self.map(PORTS)?;
        let taken = Port { transports: PORT_UDP, ..Port::default() };
        let taken: [u8; 4] = zerocopy::transmute!(taken);
        map.set(port.into(), taken, 0).map_err(at(PORTS))?;
        let mut table = Steering::EMPTY;
        table.states[0] = SlotState::Millrace as u8;
        let mut map: Array<_, [u8; size_of::<Steering>()]> = self.map(STEERING)?;
        let table: [u8; size_of::<Steering>()] = zerocopy::transmute!(table);
        map.set(0, table, 0).map_err(at(STEERING))?;
        let queue = Queue { device: device_index(device)?, queue: 0 };
        let queue: [u8; 8] = zerocopy::transmute!(queue);
        let mut map: HashMap<_, [u8; 8], u32> = self.map(RING_ROWS)?;
        map.insert(queue, 0, 0).map_err(at(RING_ROWS))?;
        let mut map: XskMap<_> = self.map(RINGS)?;
        map.set(0, socket.as_fd().as_raw_fd(), 0).map_err(at(RINGS))
    }

    /// Frames that were dropped.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn dropped(&self) -> Result<u64, EbpfError> {
        let map = self.ebpf.map(DROPPED).ok_or(EbpfError::Missing(DROPPED))?;
        let map: PerCpuArray<_, u64> = PerCpuArray::try_from(map).map_err(at(DROPPED))?;
        Ok(map.get(&0, 0).map_err(at(DROPPED))?.iter().sum())
    }

    /// Sends the frames of the course, `runs` of them, `length` octets each, through a bare program as if they came
    /// from `device`: mean nanoseconds of a frame, the course included, and the last verdict.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn time(
        &mut self,
        what: Least,
        device: &str,
        length: usize,
        runs: u32,
    ) -> Result<(u64, u32), EbpfError> {
        let name = what.program();
        let fd = descriptor(program(&mut self.ebpf, name)?, name)?;
        self.lead(&fd, device, length, runs)
    }

    /// The same through the real program.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn time_of(
        &mut self,
        programs: &mut Programs,
        device: &str,
        length: usize,
        runs: u32,
    ) -> Result<(u64, u32), EbpfError> {
        let fd = descriptor(xdp(&mut programs.ebpf)?, dataplane_common::map::XDP_PROGRAM)?;
        self.lead(&fd, device, length, runs)
    }

    fn lead(
        &mut self,
        to: &ProgramFd,
        device: &str,
        length: usize,
        runs: u32,
    ) -> Result<(u64, u32), EbpfError> {
        let mut map: ProgramArray<_> = self.map(NEXT)?;
        map.set(0, to, 0).map_err(at(NEXT))?;
        let frame = vec![0; length];
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [0, u32::try_from(length).unwrap_or(u32::MAX), 0, device_index(device)?, 0, 0];
        let options = TestRunOptions {
            data_in: Some(&frame),
            ctx_in: Some(context.as_bytes()),
            repeat: runs,
            ..TestRunOptions::new()
        };
        let error = |error| EbpfError::Program { name: COURSE_PROGRAM, error };
        let result = program(&mut self.ebpf, COURSE_PROGRAM)?.test_run(options).map_err(error)?;
        Ok((u64::try_from(result.duration.as_nanos()).unwrap_or(u64::MAX), result.return_value))
    }

    fn map<'a, T: TryFrom<&'a mut Map, Error = MapError>>(
        &'a mut self,
        name: &'static str,
    ) -> Result<T, EbpfError> {
        let map = self.ebpf.map_mut(name).ok_or(EbpfError::Missing(name))?;
        T::try_from(map).map_err(at(name))
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, EbpfError> {
    let program = ebpf.program_mut(name).ok_or(EbpfError::Missing(name))?;
    program.try_into().map_err(|error| EbpfError::Program { name, error })
}

fn descriptor(program: &Xdp, name: &'static str) -> Result<ProgramFd, EbpfError> {
    let at = |error| EbpfError::Program { name, error };
    program.fd().and_then(|fd| fd.try_clone().map_err(ProgramError::from)).map_err(at)
}

fn at(name: &'static str) -> impl Fn(MapError) -> EbpfError {
    move |error| EbpfError::Map { name, error }
}
