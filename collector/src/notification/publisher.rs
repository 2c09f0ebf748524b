//! The publishers of one router: the numbering of their messages and the messages that wait for segments. Bounded
//! in number and octets; what rested longest makes room.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use wire::udp_notif::{Datagram, Segment};

use super::Shared;
use super::assembly::{Added, Assembly};
use crate::Turn;
use crate::flow::waiting::WorkerWaiting;
use crate::ledger::{FlowEvent, Kind, Ledgers, Protocol, RecordEnd};
use crate::sequence::{Order, Sequence};
use crate::settings::Settings;

/// For so long, ns, a segment of a message that is whole is taken for a copy and not for the start of another
/// message with the same number.
const COPIES_NS: u64 = 1_000_000_000;
/// So many messages that have ended are remembered.
const MAX_ENDED: usize = 16;

/// Which publisher sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Source address, IPv4 as IPv4-mapped. A router may have several.
    pub(super) address: [u8; 16],
    pub(super) publisher_id: u32,
}

/// One publisher.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Publisher {
    sequence: Sequence,
    /// In the order in which their first segments came.
    waiting: Vec<Assembly>,
    /// Segmented messages that are whole or were too long, the newest last.
    ended: VecDeque<Ended>,
    last_seen_ns: u64,
    last_seen_unix_ns: u64,
    messages: u64,
    /// What `waiting` costs.
    #[serde(skip)]
    held: Held,
}

/// Octets that a publisher's segments take, counted at the worker too.
#[derive(Debug, Default)]
struct Held {
    octets: usize,
    worker: Option<Arc<WorkerWaiting>>,
}

impl Held {
    fn add(&mut self, octets: usize, worker: &Arc<WorkerWaiting>) {
        self.octets += octets;
        self.worker.get_or_insert_with(|| Arc::clone(worker)).add(octets);
    }

    fn remove(&mut self, octets: usize) {
        self.octets -= octets;
        if let Some(worker) = &self.worker {
            worker.remove(octets);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.remove(self.octets);
    }
}

/// A copy, as it is made to be saved, is not counted.
impl Clone for Held {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A segmented message of which nothing is expected any more.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Ended {
    message_id: u32,
    end: End,
    /// When, monotonic ns.
    at_ns: u64,
}

/// How a segmented message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    Whole,
    TooLong,
    NoRoom,
}

/// What a publisher looks like from outside: part of the answer to `show exporters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherState {
    /// Source address, IPv4 as IPv4-mapped.
    #[serde(skip)]
    pub address: [u8; 16],
    /// Which process of the node publishes.
    pub publisher_id: u32,
    /// Messages begun.
    pub messages: u64,
    /// Messages lost on the way, whole.
    pub sequence_lost: u64,
    /// Messages that wait for segments.
    pub messages_waiting: usize,
    /// Arrival of its last datagram, unix ns.
    #[serde(skip)]
    pub last_seen_unix_ns: u64,
}

impl Publisher {
    /// Takes notice of the first datagram of a message. Returns how many messages are missing before it.
    pub(super) fn begins(&mut self, message_id: u32, turn: &mut Turn<'_>) -> u32 {
        let ahead = self.sequence.ahead(message_id);
        let order = self.sequence.seen(message_id, Some(1), turn.now.monotonic_ns);
        if order == Order::Restart {
            turn.ledgers.flow_event(FlowEvent::ExporterRestarted);
        }
        turn.ledgers.lost(Protocol::UdpNotif, self.sequence.newly_lost());
        self.messages += 1;
        if order == Order::Gap { ahead } else { 0 }
    }

    /// Takes a segment of a message of several.
    pub(super) fn segment(
        &mut self,
        datagram: &Datagram<'_>,
        segment: Segment,
        worker: &Arc<WorkerWaiting>,
        turn: &mut Turn<'_>,
    ) -> Added {
        let (now_ns, id) = (turn.now.monotonic_ns, datagram.message_id);
        let known = self.waiting.iter().find(|assembly| assembly.message_id == id);
        match known {
            Some(known) if known.has(segment) => return Added::Duplicate,
            Some(known) if !known.fits(datagram, segment) => return Added::Mismatch,
            Some(_) => {}
            None => {
                match self.ended(id, turn) {
                    Some(End::Whole) => return Added::Duplicate,
                    Some(End::TooLong) => return Added::TooLong,
                    Some(End::NoRoom) => return Added::NoRoom,
                    None => {}
                }
                let sequence_lost = self.begins(id, turn);
                turn.ledgers.records_in(Kind::Notification, 1);
                turn.ledgers.records(Kind::Notification, RecordEnd::Waiting, 1);
                let assembly = Assembly::new(datagram, sequence_lost, now_ns);
                self.held.add(assembly.cost(), worker);
                self.waiting.push(assembly);
            }
        }
        if let Err(end) = self.make_room(id, Assembly::cost_of(datagram), worker, turn) {
            self.end(id, end, now_ns);
            return if end == End::NoRoom { Added::NoRoom } else { Added::TooLong };
        }
        let Some(at) = self.waiting.iter().position(|assembly| assembly.message_id == id) else {
            return Added::TooLong;
        };
        if let Some(assembly) = self.waiting.get_mut(at) {
            assembly.add(datagram, segment);
            self.held.add(Assembly::cost_of(datagram), worker);
            if !assembly.is_whole() {
                return Added::Waits;
            }
        }
        let assembly = self.waiting.remove(at);
        self.held.remove(assembly.cost());
        self.end(id, End::Whole, now_ns);
        Added::Whole(assembly)
    }

    /// How a message has ended, if it did so just now.
    fn ended(&self, message_id: u32, turn: &Turn<'_>) -> Option<End> {
        let ended = self.ended.iter().rfind(|ended| ended.message_id == message_id)?;
        let kept_ns = if ended.end == End::Whole { COPIES_NS } else { turn.settings.max_segment_wait_ns };
        (turn.now.monotonic_ns.saturating_sub(ended.at_ns) < kept_ns).then_some(ended.end)
    }

    fn end(&mut self, message_id: u32, end: End, at_ns: u64) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { message_id, end, at_ns });
    }

    /// Gives the oldest messages up until there is room for `cost` more octets of message `id`; that one itself
    /// goes last, and then how it ended is the error.
    fn make_room(
        &mut self,
        id: u32,
        cost: usize,
        worker: &WorkerWaiting,
        turn: &mut Turn<'_>,
    ) -> Result<(), End> {
        let settings = turn.settings;
        loop {
            let is_long = self.held.octets + cost > settings.max_segment_octets_per_publisher;
            let is_full = worker.octets() + cost > settings.max_waiting_octets_per_worker;
            let are_many = self.waiting.len() > settings.max_segmented_messages_per_publisher.max(1);
            if !is_long && !is_full && !are_many {
                return Ok(());
            }
            if let Some(oldest) = self.waiting.iter().position(|assembly| assembly.message_id != id) {
                self.give_up(oldest, RecordEnd::Evicted, turn.ledgers);
                continue;
            }
            let (end, record) =
                if is_long { (End::TooLong, RecordEnd::TooLong) } else { (End::NoRoom, RecordEnd::Evicted) };
            if !self.waiting.is_empty() {
                self.give_up(0, record, turn.ledgers);
            }
            return Err(end);
        }
    }

    fn give_up(&mut self, at: usize, end: RecordEnd, ledgers: &mut Ledgers) {
        let assembly = self.waiting.remove(at);
        self.held.remove(assembly.cost());
        ledgers.record_moved(Kind::Notification, RecordEnd::Waiting, end);
    }

    /// Settles the gaps that are old enough.
    fn settle(&mut self, now_ns: u64, ledgers: &mut Ledgers) {
        self.sequence.tick(now_ns);
        ledgers.lost(Protocol::UdpNotif, self.sequence.newly_lost());
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        let now_ns = turn.now.monotonic_ns;
        self.settle(now_ns, turn.ledgers);
        while let Some(first) = self.waiting.first()
            && now_ns.saturating_sub(first.since_ns) >= turn.settings.max_segment_wait_ns
        {
            self.give_up(0, RecordEnd::Incomplete, turn.ledgers);
        }
    }

    /// When a tick would do something, monotonic ns.
    pub(super) fn due_ns(&self, settings: &Settings) -> Option<u64> {
        let waiting = self.waiting.first();
        let waiting = waiting.map(|first| first.since_ns.saturating_add(settings.max_segment_wait_ns));
        [self.sequence.due_ns(), waiting].into_iter().flatten().min()
    }
}

/// The publishers of one router.
#[derive(Debug, Default)]
pub(super) struct Publishers {
    by_key: HashMap<Key, Box<Publisher>>,
}

impl Publishers {
    /// The publisher of a key, made if need be; the one that rested longest goes when there are too many.
    pub(super) fn publisher(&mut self, key: Key, turn: &mut Turn<'_>) -> &mut Publisher {
        let max = turn.settings.max_publishers_per_router.max(1);
        if self.by_key.len() >= max && !self.by_key.contains_key(&key) {
            let oldest =
                self.by_key.iter().min_by_key(|(_, publisher)| publisher.last_seen_ns).map(|(key, _)| *key);
            if let Some(publisher) = oldest.and_then(|key| self.by_key.remove(&key)) {
                turn.ledgers.flow_event(FlowEvent::PublisherEvicted);
                for _ in &publisher.waiting {
                    turn.ledgers.record_moved(Kind::Notification, RecordEnd::Waiting, RecordEnd::Evicted);
                }
            }
        }
        let publisher = self.by_key.entry(key).or_default();
        publisher.last_seen_ns = turn.now.monotonic_ns;
        publisher.last_seen_unix_ns = turn.now.unix_ns;
        publisher
    }

    /// Lets time pass for all. Returns when a tick would do something again.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) -> Option<u64> {
        self.by_key.values_mut().for_each(|publisher| publisher.tick(turn));
        self.due_ns(turn.settings)
    }

    /// Takes every open gap of all for a loss.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        self.by_key.values_mut().for_each(|publisher| publisher.settle(u64::MAX, turn.ledgers));
    }

    /// When a tick would do something.
    pub(super) fn due_ns(&self, settings: &Settings) -> Option<u64> {
        self.by_key.values().filter_map(|publisher| publisher.due_ns(settings)).min()
    }

    /// All publishers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Publisher)> {
        self.by_key.iter().map(|(key, publisher)| (key, &**publisher))
    }

    /// Puts a publisher that was saved into the table. Messages that wait are counted into the ledger of their new
    /// owner; those that do not fit end there.
    pub(super) fn insert(
        &mut self,
        key: Key,
        mut publisher: Publisher,
        shared: &Shared,
        settings: &Settings,
        ledgers: &mut Ledgers,
    ) {
        publisher.held.add(publisher.waiting.iter().map(Assembly::cost).sum(), &shared.waiting);
        publisher.ended.truncate(MAX_ENDED);
        let waiting = publisher.waiting.len() as u64;
        ledgers.records_in(Kind::Notification, waiting);
        ledgers.records(Kind::Notification, RecordEnd::Waiting, waiting);
        while publisher.held.octets > settings.max_segment_octets_per_publisher
            || !publisher.waiting.is_empty()
                && shared.waiting.octets() > settings.max_waiting_octets_per_worker
            || publisher.waiting.len() > settings.max_segmented_messages_per_publisher
        {
            publisher.give_up(0, RecordEnd::Evicted, ledgers);
        }
        self.by_key.insert(key, Box::new(publisher));
    }

    /// All publishers as answers tell them, in the order of their keys.
    pub(super) fn states(&self) -> Vec<PublisherState> {
        let mut publishers: Vec<_> = self.iter().collect();
        publishers.sort_unstable_by_key(|(key, _)| **key);
        let state = |(key, publisher): (&Key, &Publisher)| PublisherState {
            address: key.address,
            publisher_id: key.publisher_id,
            messages: publisher.messages,
            sequence_lost: publisher.sequence.lost(),
            messages_waiting: publisher.waiting.len(),
            last_seen_unix_ns: publisher.last_seen_unix_ns,
        };
        publishers.into_iter().map(state).collect()
    }
}
