//! Rows that tell of something that went wrong or of the session itself -> their lines.

use collector::message::Context;

use super::text::Json;

/// Octets of a damaged unit that are printed.
const MAX_PRINTED: usize = 256;

/// Writes what an error row says besides the common keys.
pub(super) fn error(json: &mut Json<'_>, context: &Context<'_>, octets: &[u8]) {
    let Context::Error { protocol, reason, offset, length, verdict } = context else { return };
    json.key("reason").string(reason);
    json.key("protocol").string(protocol);
    json.key("offset").unsigned((*offset).into());
    json.key("length").unsigned((*length).into());
    if !verdict.is_empty() {
        json.key("verdict").string(verdict);
    }
    if !octets.is_empty() {
        json.key("octets").hex("", octets.get(..MAX_PRINTED).unwrap_or(octets));
    }
}

/// Writes what the rows of a session's life say besides the common keys.
pub(super) fn session(json: &mut Json<'_>, context: &Context<'_>) {
    match *context {
        Context::Session { session, sequence, port, state, reason } => {
            json.key("session").unsigned(session);
            json.key("seq").unsigned(sequence);
            json.key("port").unsigned(port.into());
            json.key("state").string(state);
            if !reason.is_empty() {
                json.key("reason").string(reason);
            }
        }
        Context::Gap { session, first, last } => {
            json.key("session").unsigned(session);
            json.key("firstSeq").unsigned(first);
            json.key("lastSeq").unsigned(last);
        }
        Context::Dump { session, sequence, end } => {
            json.key("session").unsigned(session);
            json.key("seq").unsigned(sequence);
            json.key("state").string(if end { "end" } else { "begin" });
        }
        Context::Options { .. }
        | Context::Bmp { .. }
        | Context::Error { .. }
        | Context::Answer { .. }
        | Context::Sflow { .. }
        | Context::Notification(_) => {}
    }
}
