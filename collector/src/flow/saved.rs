//! Flow sessions of a router as a value that can be stored and moved, and back.

use serde::{Deserialize, Serialize};

use super::exporter::{Exporter, Key};
use super::options::Options;
use super::sequence::Sequence;
use super::waiting::WaitingSet;
use super::{Sessions, Shared};
use crate::ledger::{Ledgers, SetEnd};
use crate::settings::Settings;

/// The flow sessions of one router: templates, options, sequences, data that waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    exporters: Vec<SavedExporter>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedExporter {
    key: Key,
    /// Id, octets, when learnt.
    templates: Vec<(u16, Vec<u8>, u64)>,
    options: Options,
    sequence: Sequence,
    waiting: Vec<WaitingSet>,
    last_seen_ns: u64,
    last_seen_unix_ns: u64,
    clock_offset_ns: i64,
    messages: u64,
    records: u64,
}

impl Sessions {
    /// All that the sessions know.
    #[must_use]
    pub fn save(&self) -> Saved {
        let saved = |(key, exporter): (&Key, &Exporter)| SavedExporter {
            key: *key,
            templates: exporter.templates.iter().map(|(id, octets, at)| (id, octets.to_vec(), at)).collect(),
            options: exporter.knowledge.options.clone(),
            sequence: exporter.sequence.clone(),
            waiting: exporter.waiting.iter().cloned().collect(),
            last_seen_ns: exporter.last_seen_ns,
            last_seen_unix_ns: exporter.last_seen_unix_ns,
            clock_offset_ns: exporter.clock_offset_ns,
            messages: exporter.messages,
            records: exporter.records,
        };
        Saved { exporters: self.exporters.iter().map(saved).collect() }
    }

    /// Sessions that know what was saved, within the limits of these settings. Sets that wait are counted into
    /// the ledger of their new owner; what does not fit ends there.
    #[must_use]
    pub fn restore(saved: Saved, shared: &mut Shared, settings: &Settings, ledgers: &mut Ledgers) -> Self {
        let mut sessions = Self::default();
        for one in saved.exporters.into_iter().take(settings.max_exporters_per_router) {
            let mut exporter = Exporter::new(&one.key, settings);
            for (id, octets, learnt_ns) in one.templates.into_iter().take(settings.max_templates_per_exporter)
            {
                // Octets that are no template's come from a file that somebody changed: there is none then.
                let _ = exporter.templates.learn(id, &octets, &mut shared.plans, learnt_ns);
            }
            let protocol = one.key.protocol();
            for set in one.waiting {
                ledgers.set_in(protocol);
                let is_kept = exporter.waiting.push(set, settings.max_waiting_octets_per_exporter);
                ledgers.set(protocol, if is_kept { SetEnd::Waiting } else { SetEnd::WaitingFull });
            }
            exporter.knowledge.options = one.options;
            exporter.sequence = one.sequence;
            exporter.take_losses_as_counted();
            exporter.last_seen_ns = one.last_seen_ns;
            exporter.last_seen_unix_ns = one.last_seen_unix_ns;
            exporter.clock_offset_ns = one.clock_offset_ns;
            exporter.messages = one.messages;
            exporter.records = one.records;
            sessions.exporters.insert(one.key, exporter);
        }
        sessions.due_ns = sessions.exporters.iter().filter_map(|(_, one)| one.due_ns(settings)).min();
        sessions
    }
}
