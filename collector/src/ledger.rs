//! The ledgers of a collector: what came in, and every way it ended.
//!
//! `in` is counted where a unit is first seen (a message when its header is read, a set when its header is
//! read, a record when its octets are cut off a set); an end is counted where the unit ends. Neither is
//! computed from the other, so the two sides can be held against each other.

use dataplane_common::ledger;

use crate::schema::Side;

pub use dataplane_common::ledger::PacketEnd;

ledger! {
    /// How a message ended: an IPFIX message, a NetFlow v9 or v5 packet, an sFlow datagram, a BMP message, a UDP-notif
    /// datagram (a whole notification or a segment of one).
    pub MessageEnd counts "messages" {
        /// Read to its end.
        Decoded = "decoded",
        /// Its header or framing is damaged; nothing of it was used.
        Malformed = "malformed",
        /// Read up to a damaged part; what stood before was used.
        Partial = "partial",
        /// A version that no session speaks.
        UnknownVersion = "unknown_version",
        /// A message type that no session speaks; skipped by its length.
        UnknownType = "unknown_type",
        /// Needs a Peer Up that was never seen.
        NoPeer = "no_peer",
        /// More sessions than the limit allows.
        TooManySessions = "too_many_sessions",
        /// More peers than the limit allows.
        TooManyPeers = "too_many_peers",
        /// Its stream ended in the middle of it.
        CutOff = "cut_off",
        /// Longer than the limit allows.
        TooLong = "too_long",
        /// A segment that had no room to wait for the others.
        NoRoom = "no_room",
        /// The outlet had no room for its row.
        OutletFull = "outlet_full",
        /// Seen before: a copy of a message already decoded.
        Duplicate = "duplicate",
        /// Under way when its worker panicked; the worker starts again empty.
        WorkerPanic = "worker_panic",
    }
}

ledger! {
    /// How a set (IPFIX), flowset (NetFlow v9) or the record block of a v5 packet ended. sFlow and UDP-notif have none:
    /// their samples and notifications are records that stand in the message itself.
    pub SetEnd counts "sets" {
        /// Every record of it was handled.
        Decoded = "decoded",
        /// Damaged; earlier sets of the message were used.
        Malformed = "malformed",
        /// Templates of this set were refused in part or whole.
        Refused = "refused",
        /// Waits for its template (an end only while it waits: it moves on when the wait is over).
        Waiting = "waiting",
        /// Its template did not come in time.
        NoTemplate = "no_template",
        /// Its template did not come and there was no room to wait.
        WaitingFull = "waiting_full",
        /// A set id that is reserved.
        ReservedId = "reserved_id",
        /// A withdrawal over UDP, which RFC 7011 8.1 forbids.
        WithdrawalRefused = "withdrawal_refused",
        /// Under way when its worker panicked; the worker starts again empty.
        WorkerPanic = "worker_panic",
    }
}

ledger! {
    /// How a record ended: a flow, an options record, a route, a sample, a notification, or the row of a message.
    pub RecordEnd counts "records" {
        /// Became a row of a batch.
        Row = "row",
        /// The outlet had no batch for it.
        OutletFull = "outlet_full",
        /// Its octets contradict its template or its own lengths.
        Malformed = "malformed",
        /// No sink wants records of this kind.
        NotWanted = "not_wanted",
        /// An error row beyond those that a second may have.
        RateLimited = "rate_limited",
        /// Waits for the rest of its segments (an end only while it waits: it moves on when the wait is over).
        Waiting = "waiting",
        /// The rest of its segments did not come in time.
        Incomplete = "incomplete",
        /// It waited for segments and made room for newer ones.
        Evicted = "evicted",
        /// Its segments are more than the limit allows.
        TooLong = "too_long",
        /// Under way when its worker panicked; the worker starts again empty.
        WorkerPanic = "worker_panic",
    }
}

ledger! {
    /// How one side of the join of a flow ended.
    pub JoinEnd counts "sides" {
        /// A route was found.
        Found = "found",
        /// The record has no usable address on this side.
        NoAddress = "noAddress",
        /// The router has no BMP session.
        NoSession = "noSession",
        /// Its initial dump has not ended.
        DumpRunning = "dumpRunning",
        /// The flow's VRF is not in the RIB.
        NoVrf = "noVrf",
        /// No route covers the address.
        NoRoute = "noRoute",
    }
}

ledger! {
    /// What befell the tables of the sessions over UDP. Outside the ledgers: these are occurrences, not units.
    pub FlowEvent counts "events" {
        /// A flow session made room for a newer one.
        ExporterEvicted = "exporter_evicted",
        /// An exporter counts anew: it was started again.
        ExporterRestarted = "exporter_restarted",
        /// A template came again with other fields.
        TemplateChanged = "template_changed",
        /// A template made room for newer ones.
        TemplateEvicted = "template_evicted",
        /// A template was not sent again within its lifetime.
        TemplateExpired = "template_expired",
        /// A template has more fields than the limit allows.
        TemplateTooLong = "template_too_long",
        /// A template that others have too got a plan of its own, for want of room.
        PlanNotShared = "plan_not_shared",
        /// A sampler, interface or VRF told by options was not kept, for want of room.
        OptionsEntryRefused = "options_entry_refused",
        /// An sFlow agent made room for a newer one.
        AgentEvicted = "agent_evicted",
        /// A source of an sFlow agent is not accounted for, for want of room; once for each of its samples.
        SourceRefused = "source_refused",
        /// A sample that the sequence numbers of its source show as lost, with its datagram or without.
        SampleLost = "sample_lost",
        /// A UDP-notif publisher made room for a newer one.
        PublisherEvicted = "publisher_evicted",
    }
}

ledger! {
    /// What a session speaks.
    pub Protocol counts "protocols" {
        /// IPFIX, RFC 7011.
        Ipfix = "ipfix",
        /// NetFlow v9, RFC 3954.
        Netflow9 = "netflow9",
        /// NetFlow v5.
        Netflow5 = "netflow5",
        /// sFlow v5.
        Sflow = "sflow",
        /// BMP, RFC 7854.
        Bmp = "bmp",
        /// UDP-notif.
        UdpNotif = "udp-notif",
    }
}

ledger! {
    /// What a row is: the value of `kind` in every line of output.
    pub Kind counts "kinds" {
        /// A flow record.
        Flow = "flow",
        /// A record described by an options template.
        Options = "options",
        /// One NLRI of a route monitoring message.
        Route = "route",
        /// BMP Initiation.
        Initiation = "initiation",
        /// BMP Termination.
        Termination = "termination",
        /// BMP Peer Up.
        PeerUp = "peerUp",
        /// BMP Peer Down.
        PeerDown = "peerDown",
        /// BMP Statistics Report.
        Stats = "stats",
        /// BMP Route Mirroring.
        Mirror = "mirror",
        /// A BMP session opened or ended.
        Session = "session",
        /// Rows of a session that a sink lost.
        Gap = "gap",
        /// Begin or end of a dump of a router's RIB.
        Dump = "dump",
        /// A malformed unit.
        Error = "error",
        /// A flow sample of sFlow.
        Sample = "sample",
        /// A counter sample of sFlow.
        Counters = "counters",
        /// A UDP-notif message.
        Notification = "notification",
        /// Answer to a query: an exporter.
        Exporter = "exporter",
        /// Answer to a query: a template.
        Template = "template",
        /// Answer to a query: a BMP peer.
        Peer = "peer",
    }
}

ledger! {
    /// What a route row did to the RIB.
    pub RouteAction counts "routes" {
        /// Announced, new or replacing.
        Announce = "announce",
        /// Withdrawn.
        Withdraw = "withdraw",
        /// End-of-RIB of a family.
        EndOfRib = "endOfRib",
    }
}

ledger! {
    /// What a route announced or withdrawn did to the RIB: why a row may have no counterpart in the join.
    pub RibEnd counts "routes" {
        /// Announced: a path more.
        Stored = "stored",
        /// Announced: in the place of the path that was there.
        Replaced = "replaced",
        /// Withdrawn: a path less.
        Withdrawn = "withdrawn",
        /// Withdrawn, but not there.
        Absent = "absent",
        /// Of a family that traffic is not looked up in.
        FamilyNotKept = "family_not_kept",
        /// More paths than the limit allows.
        TooManyPaths = "too_many_paths",
        /// More tables (VRFs, RDs) than the limit allows.
        TooManyTables = "too_many_tables",
        /// More octets of attributes than the limit allows.
        TooManyAttributes = "too_many_attributes",
    }
}

/// The counters of one collector, written by its worker alone and copied to the counters page on the tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledgers {
    /// Packets by end; a collector counts only the ends of packets that were given to it.
    pub packets: [u64; PacketEnd::COUNT],
    /// Messages seen, by protocol.
    pub messages_in: [u64; Protocol::COUNT],
    /// Messages by protocol and end.
    pub messages: [[u64; MessageEnd::COUNT]; Protocol::COUNT],
    /// Sets seen, by protocol.
    pub sets_in: [u64; Protocol::COUNT],
    /// Sets by protocol and end.
    pub sets: [[u64; SetEnd::COUNT]; Protocol::COUNT],
    /// Records seen, by kind.
    pub records_in: [u64; Kind::COUNT],
    /// Records by kind and end.
    pub records: [[u64; RecordEnd::COUNT]; Kind::COUNT],
    /// Join results by side (0 destination, 1 source) and end.
    pub joins: [[u64; JoinEnd::COUNT]; 2],
    /// Routes by action.
    pub routes: [u64; RouteAction::COUNT],
    /// Occurrences in the tables of flow sessions.
    pub flow_events: [u64; FlowEvent::COUNT],
    /// Routes announced and withdrawn by what they did to the RIB.
    pub rib: [u64; RibEnd::COUNT],
    /// Units lost on the way by the sequence numbers of the exporters, by protocol. Nobody can count these exactly.
    pub sequence_lost: [u64; Protocol::COUNT],
}

impl Default for Ledgers {
    /// All 0. Written out, because `core` has no default for arrays as long as the list of ends.
    fn default() -> Self {
        Self {
            packets: [0; PacketEnd::COUNT],
            messages_in: Default::default(),
            messages: Default::default(),
            sets_in: Default::default(),
            sets: Default::default(),
            records_in: Default::default(),
            records: Default::default(),
            joins: Default::default(),
            routes: Default::default(),
            flow_events: Default::default(),
            rib: Default::default(),
            sequence_lost: Default::default(),
        }
    }
}

impl Ledgers {
    /// Counts a packet's end.
    pub fn packet(&mut self, end: PacketEnd) {
        add(&mut self.packets, end.index(), 1);
    }

    /// Counts a message when its header is first read.
    pub fn message_in(&mut self, protocol: Protocol) {
        add(&mut self.messages_in, protocol.index(), 1);
    }

    /// Counts a message's end.
    pub fn message(&mut self, protocol: Protocol, end: MessageEnd) {
        if let Some(ends) = self.messages.get_mut(protocol.index()) {
            add(ends, end.index(), 1);
        }
    }

    /// Counts a set when its header is first read.
    pub fn set_in(&mut self, protocol: Protocol) {
        add(&mut self.sets_in, protocol.index(), 1);
    }

    /// Counts a set's end.
    pub fn set(&mut self, protocol: Protocol, end: SetEnd) {
        if let Some(ends) = self.sets.get_mut(protocol.index()) {
            add(ends, end.index(), 1);
        }
    }

    /// Takes a set's end back: it waited, and now ends in another way.
    pub fn set_moved(&mut self, protocol: Protocol, from: SetEnd, to: SetEnd) {
        if let Some(ends) = self.sets.get_mut(protocol.index()) {
            if let Some(count) = ends.get_mut(from.index()) {
                *count = count.saturating_sub(1);
            }
            add(ends, to.index(), 1);
        }
    }

    /// Counts records when they are cut off their set or message.
    pub fn records_in(&mut self, kind: Kind, n: u64) {
        add(&mut self.records_in, kind.index(), n);
    }

    /// Counts the end of `n` records.
    pub fn records(&mut self, kind: Kind, end: RecordEnd, n: u64) {
        if let Some(ends) = self.records.get_mut(kind.index()) {
            add(ends, end.index(), n);
        }
    }

    /// Gives an end to what was begun and has none: only right when the worker panicked over it.
    pub fn panicked(&mut self) {
        fn settle<const N: usize>(seen: &[u64], ends: &mut [[u64; N]], end: usize) {
            for (seen, ends) in seen.iter().zip(ends) {
                let open = seen.saturating_sub(ends.iter().sum());
                add(ends, end, open);
            }
        }
        settle(&self.messages_in, &mut self.messages, MessageEnd::WorkerPanic.index());
        settle(&self.sets_in, &mut self.sets, SetEnd::WorkerPanic.index());
        settle(&self.records_in, &mut self.records, RecordEnd::WorkerPanic.index());
    }

    /// Takes a record's end back: it waited, and now ends in another way.
    pub fn record_moved(&mut self, kind: Kind, from: RecordEnd, to: RecordEnd) {
        if let Some(ends) = self.records.get_mut(kind.index()) {
            if let Some(count) = ends.get_mut(from.index()) {
                *count = count.saturating_sub(1);
            }
            add(ends, to.index(), 1);
        }
    }

    /// Counts an occurrence in the tables of a session.
    pub fn flow_event(&mut self, event: FlowEvent) {
        self.flow_events(event, 1);
    }

    /// Counts `n` occurrences in the tables of a session.
    pub fn flow_events(&mut self, event: FlowEvent, n: u64) {
        add(&mut self.flow_events, event.index(), n);
    }

    /// Counts units that an exporter's sequence numbers show as lost.
    pub fn lost(&mut self, protocol: Protocol, n: u64) {
        add(&mut self.sequence_lost, protocol.index(), n);
    }

    /// Counts the results of one side of the join.
    pub fn join(&mut self, side: Side, end: JoinEnd, n: u64) {
        if let Some(ends) = self.joins.get_mut(side as usize) {
            add(ends, end.index(), n);
        }
    }

    /// Counts a row of the routes table by its action.
    pub fn route(&mut self, action: RouteAction) {
        add(&mut self.routes, action.index(), 1);
    }

    /// Counts what an announced or withdrawn route did to the RIB.
    pub fn rib(&mut self, end: RibEnd) {
        add(&mut self.rib, end.index(), 1);
    }

    /// Units by which the four ledgers do not balance: 0 in a correct program at rest.
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        fn differ<const N: usize>(seen: &[u64], ends: &[[u64; N]]) -> u64 {
            seen.iter().zip(ends).map(|(seen, ends)| seen.abs_diff(ends.iter().sum())).sum()
        }
        differ(&self.messages_in, &self.messages)
            + differ(&self.sets_in, &self.sets)
            + differ(&self.records_in, &self.records)
    }
}

fn add(counters: &mut [u64], index: usize, n: u64) {
    if let Some(count) = counters.get_mut(index) {
        *count = count.wrapping_add(n);
    }
}
