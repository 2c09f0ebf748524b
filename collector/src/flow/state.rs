//! What flow sessions look like from outside: answers to `show exporters` and `show templates`.

use serde::Serialize;

use super::Sessions;
use super::exporter::Key;
use super::template::TemplateOctets;

/// One flow session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExporterState {
    /// Its identity.
    #[serde(skip)]
    pub key: Key,
    /// IPFIX observation domain, v9 source id, v5 engine type and id.
    pub observation_domain_id: u32,
    /// 10, 9 or 5.
    pub version: u8,
    /// Templates known.
    pub templates: usize,
    /// Messages taken.
    pub messages: u64,
    /// Records read.
    pub records: u64,
    /// Units of its sequence numbers lost on the way.
    pub sequence_lost: u64,
    /// Data sets that wait for their template.
    pub sets_waiting: usize,
    /// Arrival of its last message, unix ns.
    #[serde(skip)]
    pub last_seen_unix_ns: u64,
    /// Export time less arrival of its last message, ns.
    pub clock_offset_ns: i64,
}

/// One template of a flow session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateState<'a> {
    /// The session.
    pub exporter: Key,
    /// Template id.
    pub id: u16,
    /// Its fields.
    pub template: TemplateOctets<'a>,
    /// When it was last learnt, monotonic ns.
    pub learnt_ns: u64,
}

impl Sessions {
    /// All flow sessions, in the order of their keys.
    #[must_use]
    pub fn exporters(&self) -> Vec<ExporterState> {
        let state = |(key, exporter): (&Key, &super::exporter::Exporter)| ExporterState {
            key: *key,
            observation_domain_id: key.domain,
            version: key.version,
            templates: exporter.templates.len(),
            messages: exporter.messages,
            records: exporter.records,
            sequence_lost: exporter.sequence.lost(),
            sets_waiting: exporter.waiting.len(),
            last_seen_unix_ns: exporter.last_seen_unix_ns,
            clock_offset_ns: exporter.clock_offset_ns,
        };
        let mut states: Vec<_> = self.exporters.iter().map(state).collect();
        states.sort_unstable_by_key(|state| state.key);
        states
    }

    /// All templates of all sessions, in the order of keys and ids.
    #[must_use]
    pub fn templates(&self) -> Vec<TemplateState<'_>> {
        let mut states: Vec<_> = self
            .exporters
            .iter()
            .flat_map(|(key, exporter)| {
                exporter.templates.iter().filter_map(|(id, octets, learnt_ns)| {
                    Some(TemplateState {
                        exporter: *key,
                        id,
                        template: TemplateOctets::read(octets)?,
                        learnt_ns,
                    })
                })
            })
            .collect();
        states.sort_unstable_by_key(|state| (state.exporter, state.id));
        states
    }
}
