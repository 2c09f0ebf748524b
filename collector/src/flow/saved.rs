//! Flow sessions of a router as a value that can be stored and moved, and back.

use serde::{Deserialize, Serialize};

use super::announced::Announced;
use super::exporter::{Exporter, Key};
use super::options::Options;
use super::waiting::WaitingSet;
use super::{Sessions, Shared};
use crate::ledger::{Ledgers, SetEnd};
use crate::sequence::Sequence;
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
    announced: Announced,
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
            announced: exporter.knowledge.announced.clone(),
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
                let is_kept = exporter.waiting.push(set, shared.waiting_bound(settings));
                ledgers.set(protocol, if is_kept { SetEnd::Waiting } else { SetEnd::WaitingFull });
            }
            exporter.knowledge.options = one.options;
            exporter.knowledge.announced = one.announced.restored(settings.max_options_entries_per_exporter);
            exporter.sequence = one.sequence;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchLimits, WorkerId};
    use crate::input::Now;
    use crate::ledger::{Kind, PacketEnd, Protocol, RecordEnd};
    use crate::outlet::{Drain, Outlet};
    use crate::rib::Rib;
    use crate::schema::{Interest, RecordField, TableId, schemas};
    use crate::settings::PortProtocol;
    use crate::{Turn, sixteen};
    use wire::emit::ipfix::Message;
    use wire::ipfix::template::{Field, VARIABLE_LENGTH};

    /// A flow: its octets, sampling rate and the name of its ingress interface.
    type Flow = (Vec<u8>, Option<u64>, Option<Vec<u8>>);

    struct Worker {
        shared: Shared,
        sessions: Sessions,
        settings: Settings,
        ledgers: Ledgers,
        outlet: Outlet,
        drain: Drain,
    }

    impl Worker {
        fn new() -> Self {
            let interest = Interest { kinds: u32::MAX, whole_records: true, elements: vec![], join: false };
            let schemas = schemas(&interest);
            let limits = BatchLimits { rows: 16, octets: 1 << 16 };
            let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 4, limits);
            let settings = Settings::default();
            let shared = Shared::new(&schemas, &settings);
            let (sessions, ledgers) = (Sessions::default(), Ledgers::default());
            Self { shared, sessions, settings, ledgers, outlet, drain }
        }

        fn feed(&mut self, payload: &[u8]) {
            let from: std::net::SocketAddr = "192.0.2.1:4739".parse().unwrap();
            let mut turn = Turn {
                now: Now { monotonic_ns: 5, unix_ns: 6, frame: 0 },
                settings: &self.settings,
                exporter: sixteen(from.ip()),
                ledgers: &mut self.ledgers,
                out: &mut self.outlet,
            };
            let port = PortProtocol::Ipfix;
            let end =
                self.sessions.message(&mut self.shared, &mut Rib::default(), port, from, payload, &mut turn);
            assert_eq!(end, PacketEnd::Delivered);
            assert_eq!(self.ledgers.unexplained(), 0);
        }

        fn flows(&mut self) -> Vec<Flow> {
            self.outlet.publish();
            let mut flows = Vec::new();
            for lease in std::iter::from_fn(|| self.drain.take()) {
                if lease.schema.table != TableId::Flows {
                    continue;
                }
                let [record, rate, name] =
                    [RecordField::Record, RecordField::SamplingRate, RecordField::IngressInterfaceName]
                        .map(|field| lease.schema.field(field).unwrap());
                for row in 0..lease.rows as usize {
                    let is_present = |column| lease.is_present(column, u32::try_from(row).unwrap());
                    flows.push((
                        lease.values[record].octets(row).unwrap().to_vec(),
                        is_present(rate).then(|| lease.values[rate].integer(row).unwrap()),
                        is_present(name).then(|| lease.values[name].octets(row).unwrap().to_vec()),
                    ));
                }
            }
            flows
        }
    }

    #[test]
    fn a_restored_router_goes_on_where_it_was() {
        let flow = [Field::iana(8, 4), Field::iana(10, 4), Field::iana(82, VARIABLE_LENGTH)];
        let late = [Field::iana(12, 4)];
        let sampler = [Field::iana(149, 4), Field::iana(34, 4)];
        let interface = [Field::iana(10, 4), Field::iana(82, VARIABLE_LENGTH)];
        let mut first = Message::new(1_750_000_000, 100, 7);
        first
            .template(256, &flow)
            .options_template(258, 1, &sampler)
            .options_template(259, 1, &interface)
            .data(258, &sampler, &[&[&[0, 0, 0, 7], &[0, 0, 0, 50]]])
            .data(259, &interface, &[&[&[0, 0, 0, 3], b"eth3"]])
            .data(257, &late, &[&[&[9; 4]]]);
        let mut second = Message::new(1_750_000_001, 103, 7);
        second.data(256, &flow, &[&[&[1; 4], &[0, 0, 0, 3], b"x"]]).template(257, &late).data(
            257,
            &late,
            &[&[&[8; 4]]],
        );

        let (mut here, mut there) = (Worker::new(), Worker::new());
        let (first, second) = (first.finish(), second.finish());
        here.feed(&first);
        let octets = postcard::to_allocvec(&here.sessions.save()).unwrap();
        let saved = postcard::from_bytes(&octets).unwrap();
        there.sessions = Sessions::restore(saved, &mut there.shared, &there.settings, &mut there.ledgers);
        assert_eq!(there.ledgers.unexplained(), 0);
        assert_eq!(there.ledgers.sets[Protocol::Ipfix.index()][SetEnd::Waiting.index()], 1);
        for worker in [&mut here, &mut there] {
            worker.feed(&second);
            assert_eq!(worker.ledgers.sets[Protocol::Ipfix.index()][SetEnd::Waiting.index()], 0);
            assert_eq!(worker.ledgers.records[Kind::Flow.index()][RecordEnd::Row.index()], 3);
            assert_eq!(worker.sessions.exporters()[0].sequence_lost, 0);
            assert_eq!(worker.sessions.exporters()[0].messages, 2);
        }
        let flows = there.flows();
        assert_eq!(flows, here.flows());
        let rate = Some(50_f64.to_bits());
        let record = [1, 1, 1, 1, 0, 0, 0, 3, 1, b'x'].to_vec();
        assert_eq!(flows[0], (record, rate, Some(b"eth3".to_vec())));
        assert_eq!(flows[1], ([9; 4].to_vec(), rate, None));
    }

    #[test]
    fn limits_hold_for_restored_routers_too() {
        let mut here = Worker::new();
        for domain in 0..5 {
            let mut message = Message::new(1_750_000_000, 0, domain);
            message.template(256, &[Field::iana(8, 4)]).raw(300, &[0; 8], 1);
            here.feed(&message.finish());
        }
        let mut there = Worker::new();
        there.settings.max_exporters_per_router = 3;
        there.settings.max_waiting_octets_per_exporter = 10;
        let saved = here.sessions.save();
        there.sessions = Sessions::restore(saved, &mut there.shared, &there.settings, &mut there.ledgers);
        assert_eq!(there.sessions.exporters().len(), 3);
        assert_eq!(there.sessions.templates().len(), 3);
        assert_eq!(there.ledgers.sets[Protocol::Ipfix.index()][SetEnd::WaitingFull.index()], 3);
        assert_eq!(there.ledgers.unexplained(), 0);
    }
}
