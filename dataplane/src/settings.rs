//! What control may tell a ring and a worker: plain numbers with their units and limits.

/// Frames and datagrams that one source gives at most before the next source has its turn.
pub const BATCH: usize = 64;

/// How frames get from the driver into the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copy {
    /// Without a copy where the driver can, else with one.
    #[default]
    Auto,
    /// Always with a copy: what generic mode needs.
    Always,
    /// Without a copy, or not at all.
    Never,
}

/// One RX queue's memory and rings. The same for all queues of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSettings {
    /// Octets of a frame's room in memory, 2048 or 4096; the kernel keeps 256 of them.
    pub frame_size_bytes: u32,
    /// Entries of each worker's receive ring, a power of two.
    pub ring_frames: u32,
    /// Frames beyond those that the receive rings of all workers can hold.
    pub spare_frames: u32,
    /// With or without a copy.
    pub copy: Copy,
    /// Ask for huge pages; without any free, ordinary ones are taken and a notice says so.
    pub huge_pages: bool,
    /// How long to try again while the queue is still busy with a socket that was just closed, ms.
    pub rebind_ms: u32,
}

impl Default for RingSettings {
    fn default() -> Self {
        Self {
            frame_size_bytes: 2048,
            ring_frames: 2048,
            spare_frames: 2048,
            copy: Copy::Auto,
            huge_pages: true,
            rebind_ms: 2000,
        }
    }
}

/// Octets of a huge page. Memory of whole huge pages only: libxdp's `munmap` of less fails and leaks it.
pub const HUGE_PAGE_BYTES: u32 = 2 << 20;

/// Octets at the front of each frame that the kernel keeps (`XDP_PACKET_HEADROOM`).
pub const HEADROOM_BYTES: u32 = 256;

impl RingSettings {
    /// Octets of the longest frame that a ring takes; XDP passes longer ones to the stack.
    #[must_use]
    pub const fn frame_room_bytes(&self) -> u32 {
        self.frame_size_bytes.saturating_sub(HEADROOM_BYTES)
    }

    /// Frames of one queue's memory for `sockets` workers: enough that a worker which stands still with a full
    /// ring and a full batch leaves the others theirs, rounded up to whole huge pages.
    #[must_use]
    pub const fn frames(&self, sockets: u32) -> u32 {
        let held = self.ring_frames.saturating_add(BATCH as u32);
        let wanted = held.saturating_mul(sockets).saturating_add(self.spare_frames);
        let page = HUGE_PAGE_BYTES / self.frame_size_bytes;
        wanted.next_multiple_of(page)
    }

    /// Whether the numbers can work at all.
    ///
    /// # Errors
    /// The name of the setting that cannot.
    pub const fn check(&self) -> Result<(), &'static str> {
        if self.frame_size_bytes != 2048 && self.frame_size_bytes != 4096 {
            return Err("frame_size_bytes");
        }
        if !self.ring_frames.is_power_of_two()
            || self.ring_frames < BATCH as u32
            || self.ring_frames > 1 << 20
        {
            return Err("ring_frames");
        }
        if self.spare_frames < BATCH as u32 || self.spare_frames > 1 << 20 {
            return Err("spare_frames");
        }
        Ok(())
    }
}

/// How a worker turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// While rings are busy, sockets and streams are looked at every so many turns.
    pub turns_per_poll: u32,
    /// Time between ticks (expiry, counters, inbox), ns.
    pub tick_ns: u64,
    /// Time after which an open batch with rows is handed on, ns.
    pub publish_ns: u64,
    /// Longest sleep of an idle worker, ns.
    pub idle_ns: u64,
    /// `SO_RCVBUF` of each UDP socket, octets (the kernel doubles it).
    pub socket_buffer_bytes: usize,
    /// `SO_RCVBUF` of each stream, octets.
    pub stream_socket_buffer_bytes: usize,
    /// Undecoded octets kept for one stream; not less than the longest message the collector takes.
    pub stream_buffer_bytes: usize,
    /// Octets read from one stream before the next source has its turn.
    pub stream_budget_bytes: usize,
    /// Streams of one worker; more are accepted and closed at once, and counted.
    pub max_streams: usize,
    /// TCP keepalive: idle time before the first probe, and between probes, s.
    pub keepalive_s: u32,
    /// TCP keepalive: probes without an answer before the stream has timed out.
    pub keepalive_probes: u32,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        const MILLISECOND: u64 = 1_000_000;
        Self {
            turns_per_poll: 8,
            tick_ns: 10 * MILLISECOND,
            publish_ns: 100 * MILLISECOND,
            idle_ns: 1000 * MILLISECOND,
            socket_buffer_bytes: 32 << 20,
            stream_socket_buffer_bytes: 4 << 20,
            stream_buffer_bytes: 2 << 20,
            stream_budget_bytes: 256 << 10,
            max_streams: 1024,
            keepalive_s: 20,
            keepalive_probes: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_whole_huge_pages_and_outlasts_a_stalled_worker() {
        for frame_size_bytes in [2048, 4096] {
            for sockets in 1..=64 {
                let settings = RingSettings { frame_size_bytes, ..RingSettings::default() };
                let frames = settings.frames(sockets);
                assert_eq!((frames * frame_size_bytes) % HUGE_PAGE_BYTES, 0);
                assert!(frames > sockets * (settings.ring_frames + BATCH as u32));
            }
        }
    }

    #[test]
    fn what_cannot_work_is_named() {
        let settings = RingSettings::default();
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(RingSettings { ring_frames: 1000, ..settings }.check(), Err("ring_frames"));
        assert_eq!(RingSettings { frame_size_bytes: 1500, ..settings }.check(), Err("frame_size_bytes"));
        assert_eq!(RingSettings { spare_frames: 0, ..settings }.check(), Err("spare_frames"));
    }
}
