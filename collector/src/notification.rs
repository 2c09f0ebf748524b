//! UDP-notif sessions of one router: datagrams become rows of notifications, put together where they came in
//! segments (draft-ietf-netconf-udp-notif-22; version 0 is the legacy header).
//!
//! ```text
//! datagram -> publisher (address, publisher id; bounded) -+-> whole ------------------------+-> row
//!                 |                                       +-> segment -> assembly (bounded) -+
//!                 +-> sequence of message ids
//! ```
//! A datagram is a message of the ledger, a notification is a record; there are no sets. Bodies are not decoded
//! here: their octets travel in the row and become text only where rows do. A whole datagram of a known publisher
//! allocates nothing; segments are kept until their message is whole, its time is over or there is no room.

mod assembly;
mod publisher;
mod saved;

use std::sync::Arc;

use wire::udp_notif::{Datagram, Segment};
use wire::{Malformed, Reason};

use crate::Turn;
use crate::flow::waiting::WorkerWaiting;
use crate::ledger::{Kind, MessageEnd, Protocol, RecordEnd};
use crate::message::{Context, Notification, write_error, write_row};

use assembly::Added;
use publisher::{Key, Publishers};

pub use publisher::PublisherState;
pub(crate) use saved::Saved;

/// What the UDP-notif sessions of a worker share. One a worker.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where the segments of a message are put together.
    body: Vec<u8>,
    /// What waits at the worker, data that waits for its template included.
    waiting: Arc<WorkerWaiting>,
}

impl Shared {
    /// Nothing is put together yet.
    pub(crate) fn new(waiting: &Arc<WorkerWaiting>) -> Self {
        Self { body: Vec::new(), waiting: Arc::clone(waiting) }
    }
}

/// The UDP-notif sessions of one router.
#[derive(Debug, Default)]
pub struct Sessions {
    publishers: Publishers,
    /// When a gap is settled or a wait is over, monotonic ns; `None`: nothing waits.
    due_ns: Option<u64>,
}

impl Sessions {
    /// Takes one datagram.
    pub(crate) fn message(&mut self, shared: &mut Shared, payload: &[u8], turn: &mut Turn<'_>) {
        turn.ledgers.message_in(Protocol::UdpNotif);
        let datagram = Datagram::parse(payload);
        let result = datagram.and_then(|datagram| {
            let segment = datagram.segment()?;
            self.datagram(&datagram, segment, shared, turn)
        });
        let end = result.unwrap_or_else(|malformed| {
            if malformed.reason == Reason::BadVersion {
                return MessageEnd::UnknownVersion;
            }
            write_error(turn, Protocol::UdpNotif, malformed, payload);
            MessageEnd::Malformed
        });
        turn.ledgers.message(Protocol::UdpNotif, end);
    }

    /// Settles gaps and gives up what waited too long. Returns the next monotonic ns at which there is something
    /// to do.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>) -> Option<u64> {
        if self.due_ns? <= turn.now.monotonic_ns {
            self.due_ns = self.publishers.tick(turn);
        }
        self.due_ns
    }

    /// Takes every open gap for a loss.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        self.publishers.settle(turn);
    }

    /// All publishers, in the order of their addresses and ids.
    #[must_use]
    pub fn publishers(&self) -> Vec<PublisherState> {
        self.publishers.states()
    }

    fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        segment: Option<Segment>,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) -> Result<MessageEnd, Malformed> {
        let key = Key { address: turn.exporter, publisher_id: datagram.publisher_id };
        let publisher = self.publishers.publisher(key, turn);
        let is_whole = matches!(segment, None | Some(Segment { number: 0, is_last: true }));
        let end = match segment.filter(|_| !is_whole) {
            None => {
                let sequence_lost = publisher.begins(datagram.message_id, turn);
                turn.ledgers.records_in(Kind::Notification, 1);
                let end = write(of(datagram, sequence_lost), datagram.payload.rest(), turn);
                turn.ledgers.records(Kind::Notification, end, 1);
                Ok(MessageEnd::Decoded)
            }
            Some(segment) => match publisher.segment(datagram, segment, &shared.waiting, turn) {
                Added::Waits => Ok(MessageEnd::Decoded),
                Added::Duplicate => Ok(MessageEnd::Duplicate),
                Added::TooLong => Ok(MessageEnd::TooLong),
                Added::NoRoom => Ok(MessageEnd::NoRoom),
                Added::Mismatch => {
                    let options = datagram.options().octets().len();
                    Err(Malformed::new(Reason::SegmentMismatch, wire::udp_notif::HEADER_LENGTH, options))
                }
                Added::Whole(assembly) => {
                    shared.body.clear();
                    assembly.put_together(&mut shared.body);
                    let end = write(assembly.row(), &shared.body, turn);
                    turn.ledgers.record_moved(Kind::Notification, RecordEnd::Waiting, end);
                    Ok(MessageEnd::Decoded)
                }
            },
        };
        let due_ns = publisher.due_ns(turn.settings);
        self.due_ns = [self.due_ns, due_ns].into_iter().flatten().min();
        end
    }
}

/// The row of a whole datagram.
fn of<'a>(datagram: &Datagram<'a>, sequence_lost: u32) -> Notification<'a> {
    Notification {
        publisher_id: datagram.publisher_id,
        message_id: datagram.message_id,
        version: datagram.version,
        is_private: datagram.is_private,
        code: datagram.code,
        segments: 1,
        sequence_lost,
        options: datagram.options().octets(),
    }
}

fn write(notification: Notification<'_>, body: &[u8], turn: &mut Turn<'_>) -> RecordEnd {
    write_row(turn, Kind::Notification, &Context::Notification(notification), body)
}
