//! A counter sample of sFlow -> its line: the records under the names of the sFlow structures.

use wire::sflow::Structure;
use wire::sflow::record::Kind;
use wire::sflow::sample::Sample;

use super::Common;
use super::flow::Row;
use super::sample::{Of, head, records};
use super::text::Json;

/// Writes the line of a counter sample.
pub(super) fn counters(json: &mut Json<'_>, common: &Common, row: Row<'_>, of: Of, octets: &[u8]) {
    json.open();
    common.write(json, "counters", row);
    agent(json, common, row, of);
    let body = wire::cursor::Cursor::new(octets);
    if let Ok(sample @ Sample::Counters(counters)) = Sample::read(Structure { format: of.format, body }) {
        head(json, counters.sequence, counters.source);
        records(json, Kind::Counters, &sample);
    }
    json.close();
    json.end_line();
}

/// Writes who sampled: the agent where it differs from the exporter, and its part.
pub(super) fn agent(json: &mut Json<'_>, common: &Common, row: Row<'_>, of: Of) {
    let exporter = row.sixteen(common.exporter);
    if let Some(agent) = of.agent.filter(|agent| Some(*agent) != exporter) {
        json.key("agent").address(agent);
    }
    json.key("subAgent").unsigned(of.sub_agent.into());
}
