//! Context of a row of the messages table: what the octets of the wire alone do not say.
//!
//! Written by sessions without allocating, read by output/json. The octets column holds, by kind:
//! `Options` the record; `Sample` and `Counters` the sample without its format and length; `Notification` the body,
//! put together from its segments; the BMP kinds the whole BMP message with its common header; `Error` the damaged unit
//! (its first octets); `Session`, `Gap`, `Dump` and the answers nothing.

use serde::{Deserialize, Serialize};
use wire::bgp::Verdict;

use crate::Turn;
use crate::batch::Batch;
use crate::ledger::{Kind, Ledgers, Protocol, RecordEnd};
use crate::schema::{RecordField, TableId};

/// What a row of the messages table means, beside its kind and its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Context<'a> {
    /// An options record.
    Options {
        /// IPFIX observation domain or v9 source id.
        observation_domain_id: u32,
        /// Its options template.
        template_id: u16,
        /// 10 or 9.
        version: u8,
        /// Export time, unix nanoseconds.
        export_time_ns: u64,
        /// The options template (`flow::template::TemplateOctets`).
        template: &'a [u8],
    },
    /// A BMP message, its octets beside.
    Bmp {
        /// Session id.
        session: u64,
        /// Line number within the session.
        sequence: u64,
        /// Whether AS numbers in a mirrored or quoted UPDATE have 4 octets.
        four_octet_as: bool,
    },
    /// A BMP session opened or ended.
    Session {
        /// Session id.
        session: u64,
        /// Line number within the session.
        sequence: u64,
        /// The router's TCP port.
        port: u16,
        /// `open`, `closed`, `stale` or `expired`.
        state: &'a str,
        /// Why, for all but `open`; empty: none.
        reason: &'a str,
    },
    /// Rows of a session that could not be handed out.
    Gap {
        /// Session id.
        session: u64,
        /// First line lost.
        first: u64,
        /// Last line lost.
        last: u64,
    },
    /// Begin or end of a dump of a router's routes.
    Dump {
        /// Session id.
        session: u64,
        /// Line number within the session.
        sequence: u64,
        /// Whether this is the end.
        end: bool,
    },
    /// A malformed unit.
    Error {
        /// Protocol's name.
        protocol: &'a str,
        /// Reason in snake case.
        reason: &'a str,
        /// Octet offset of the fault within the message.
        offset: u32,
        /// Octets concerned.
        length: u32,
        /// What the unit as a whole is worth, of an UPDATE (RFC 7606); empty of anything else.
        verdict: &'a str,
    },
    /// Answer: an exporter or BMP session, as JSON text made outside the hot path.
    Answer {
        /// One JSON object.
        json: &'a str,
    },
    /// A sample of sFlow, its octets beside.
    Sflow {
        /// The agent's address, IPv4 as IPv4-mapped; `None`: the agent does not know it.
        agent: Option<[u8; 16]>,
        /// The part of the agent that numbers its datagrams.
        sub_agent: u32,
        /// What the sample is, as on the wire: enterprise and format.
        format: u32,
    },
    /// A UDP-notif message, its body beside.
    Notification(#[serde(borrow)] Notification<'a>),
}

/// What a row of a UDP-notif message says beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification<'a> {
    /// Which process of the node published it.
    pub publisher_id: u32,
    /// Number of the message.
    pub message_id: u32,
    /// 1, or 0 for the legacy header.
    pub version: u8,
    /// Whether the media code is private to publisher and receiver.
    pub is_private: bool,
    /// The media code.
    pub code: u8,
    /// Datagrams that it came in.
    pub segments: u32,
    /// Messages of this publisher that were missing before it when it came.
    pub sequence_lost: u32,
    /// The options of its first segment as on the wire.
    pub options: &'a [u8],
}

/// Octets of a damaged unit that an error row keeps.
const MAX_ERROR_OCTETS: usize = 256;

/// Writes one row of the messages table and says how the record ended; the caller counts it, in and out.
pub(crate) fn write_row(turn: &mut Turn<'_>, kind: Kind, context: &Context<'_>, octets: &[u8]) -> RecordEnd {
    write_row_with(turn, kind, context, octets, |_, _| {})
}

/// The same with more columns: `more` writes those of this row.
pub(crate) fn write_row_with(
    turn: &mut Turn<'_>,
    kind: Kind,
    context: &Context<'_>,
    octets: &[u8],
    more: impl FnOnce(&mut Batch, &mut Ledgers),
) -> RecordEnd {
    if turn.settings.kinds & (1 << kind.index()) == 0 {
        return RecordEnd::NotWanted;
    }
    let Some(batch) = turn.out.batch(TableId::Messages) else { return RecordEnd::OutletFull };
    let schema = std::sync::Arc::clone(&batch.schema);
    for (at, column) in schema.columns.iter().enumerate() {
        let crate::schema::Origin::Record(field) = column.origin else { continue };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other fields are of other tables or BMP's")]
        match field {
            RecordField::Exporter => batch.push_sixteen(at, turn.exporter),
            RecordField::ReceiveTime => batch.push_integer(at, turn.now.unix_ns),
            RecordField::Frame if turn.now.frame > 0 => batch.push_integer(at, turn.now.frame),
            RecordField::Kind => batch.push_integer(at, kind as u64),
            RecordField::Context => batch.push_context(at, context),
            RecordField::Octets => batch.push_octets(at, octets),
            _ => {}
        }
    }
    more(batch, turn.ledgers);
    batch.finish_rows(1);
    RecordEnd::Row
}

/// Writes and counts the row of a malformed unit; `octets` are those of the unit.
pub(crate) fn write_error(
    turn: &mut Turn<'_>,
    protocol: Protocol,
    malformed: wire::Malformed,
    octets: &[u8],
) {
    write_fault(turn, protocol, malformed.reason.name(), [malformed.offset, malformed.length], octets);
}

/// Writes and counts the row of a Route Monitoring message whose UPDATE is damaged, with the verdict on it as a whole.
pub(crate) fn write_verdict(
    turn: &mut Turn<'_>,
    malformed: wire::Malformed,
    verdict: Option<Verdict>,
    octets: &[u8],
) {
    let context = Context::Error {
        protocol: Protocol::Bmp.name(),
        reason: malformed.reason.name(),
        offset: malformed.offset,
        length: malformed.length,
        verdict: verdict.map_or("", Verdict::name),
    };
    write_told(turn, &context, octets);
}

/// Writes and counts the row of a unit that reads, but that an operator must hear of. `place` is its offset and
/// length in octets.
pub(crate) fn write_fault(
    turn: &mut Turn<'_>,
    protocol: Protocol,
    reason: &'static str,
    [offset, length]: [u32; 2],
    octets: &[u8],
) {
    let context = Context::Error { protocol: protocol.name(), reason, offset, length, verdict: "" };
    write_told(turn, &context, octets);
}

fn write_told(turn: &mut Turn<'_>, context: &Context<'_>, octets: &[u8]) {
    turn.ledgers.records_in(Kind::Error, 1);
    let octets = octets.get(..MAX_ERROR_OCTETS).unwrap_or(octets);
    let most = turn.settings.max_error_rows_per_second;
    let end = match turn.out.allows_error(turn.now.monotonic_ns, most) {
        true => write_row(turn, Kind::Error, context, octets),
        false => RecordEnd::RateLimited,
    };
    turn.ledgers.records(Kind::Error, end, 1);
}

struct Tail<'a>(&'a mut Vec<u8>);

impl Extend<u8> for Tail<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, octets: I) {
        self.0.extend(octets);
    }
}

impl<'a> Context<'a> {
    /// Appends the context's octets. Allocates only if `to` has to grow.
    pub fn write(&self, to: &mut Vec<u8>) {
        let written = postcard::to_extend(self, Tail(to));
        debug_assert!(written.is_ok(), "a context always has a postcard form");
    }

    /// Reads a context back. `None` if the octets are not one.
    #[must_use]
    pub fn read(octets: &'a [u8]) -> Option<Self> {
        postcard::from_bytes(octets).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_contexts_read_back() {
        let context = Context::Options {
            observation_domain_id: 33_312,
            template_id: 313,
            version: 10,
            export_time_ns: 1_700_000_000_000_000_000,
            template: &[0, 1, 2],
        };
        let mut octets = vec![0xFF];
        context.write(&mut octets);
        assert_eq!(Context::read(&octets[1..]), Some(context));
        assert_eq!(Context::read(&octets[1..3]), None);
    }
}
