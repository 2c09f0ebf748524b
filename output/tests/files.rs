//! What a sink says it has written is what can be read back from its complete files.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use collector::Now;
use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::Kind;
use collector::message::Context;
use collector::outlet::{Drain, Outlet};
use collector::schema::{Interest, RecordField, TableId, schemas};
use output::distribute::{Distribution, Named};
use output::file::Rotation;
use output::lines::JsonFiles;
use output::parquet::ParquetFiles;
use output::sink::{Sink, SinkEnd, SinkLedger};
use parquet::file::reader::{FileReader, SerializedFileReader};

/// A directory of this test alone, gone afterwards also when the test fails.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("millrace-{name}-{}", std::process::id())))
    }

    fn rotation(&self, max_disk_bytes: u64) -> Rotation {
        Rotation { path: self.0.clone(), rotate_s: 60, max_disk_bytes }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A worker's outlet with `errors` error rows and `sessions` session rows handed on.
fn filled(interest: &Interest, errors: u64, sessions: u64) -> (Outlet, Drain) {
    let schemas = schemas(interest);
    let (mut outlet, drain) =
        Outlet::new(WorkerId(3), &schemas, 64, BatchLimits { rows: 16, octets: 1 << 20 });
    let schema = &schemas[TableId::Messages.index()];
    let at = |field| schema.field(field).unwrap();
    let mut row = |kind: Kind, context: Context<'_>| {
        let mut octets = Vec::new();
        context.write(&mut octets);
        let batch = outlet.batch(TableId::Messages).unwrap();
        batch.push_sixteen(at(RecordField::Exporter), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1]);
        batch.push_integer(at(RecordField::ReceiveTime), 1_700_000_000_000_000_000);
        batch.push_integer(at(RecordField::Kind), kind as u64);
        batch.push_octets(at(RecordField::Context), &octets);
        batch.finish_rows(1);
    };
    for n in 0..errors {
        let offset = u32::try_from(n).unwrap();
        let (protocol, reason) = ("ipfix", "truncated");
        row(Kind::Error, Context::Error { protocol, reason, offset, length: 4, verdict: "" });
    }
    for n in 0..sessions {
        row(Kind::Session, Context::Session { session: 1, sequence: n, port: 1, state: "open", reason: "" });
    }
    outlet.publish();
    (outlet, drain)
}

#[test]
fn lines_counted_are_lines_in_complete_files() {
    let directory = Directory::new("json");
    let sink = JsonFiles::new(directory.rotation(0), 1 << Kind::Error.index(), false).unwrap();
    let (_outlet, drain) = filled(&sink.wants(), 100, 20);
    let sinks: Vec<Named> = vec![("json".into(), Box::new(sink), SinkLedger::default())];
    let distribution = Distribution::start(vec![drain], sinks, 64).unwrap();
    let ledgers = distribution.ledgers();
    distribution.finish();

    let names = directory.names();
    assert!(names.iter().all(|name| name.starts_with("error-") && name.ends_with("Z-w3.jsonl")), "{names:?}");
    let mut lines = 0;
    for name in names {
        for line in fs::read_to_string(directory.0.join(name)).unwrap().lines() {
            let value: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            assert_eq!(value["kind"], "error");
            assert_eq!(value["exporter"], "192.0.2.1");
            lines += 1;
        }
    }
    let (_, ledger) = &ledgers[0];
    assert_eq!(ledger.ends()[SinkEnd::Written.index()], lines);
    assert_eq!(ledger.ends()[SinkEnd::NotWanted.index()], 20);
    assert_eq!((lines, ledger.offered()), (100, 120));
}

#[test]
fn parquet_rows_counted_are_rows_in_complete_files() {
    let directory = Directory::new("parquet");
    let mut sink: Box<dyn Sink> =
        Box::new(ParquetFiles::new(directory.rotation(0), u32::MAX, true, vec![(0, 8), (0, 1)]).unwrap());
    let (_outlet, drain) = filled(&sink.wants(), 40, 2);
    let ledger = SinkLedger::default();
    while let Some(lease) = drain.take() {
        sink.write(&lease, &ledger).unwrap();
    }
    let held = ledger.ends()[SinkEnd::Held.index()];
    assert_eq!(ledger.ends()[SinkEnd::Written.index()], 0);
    sink.finish(&ledger).unwrap();
    let ends = ledger.ends();
    assert_eq!((ends[SinkEnd::Written.index()], ends[SinkEnd::Held.index()]), (held, 0));
    let names = directory.names();
    let rows: i64 = names
        .iter()
        .map(|name| {
            let file = fs::File::open(directory.0.join(name)).unwrap();
            SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows()
        })
        .sum();
    assert_eq!((held, rows, names.len()), (42, 42, 2), "{names:?}");
}

#[test]
fn the_oldest_complete_files_make_room() {
    let directory = Directory::new("room");
    let mut sink: Box<dyn Sink> =
        Box::new(JsonFiles::new(directory.rotation(3_000), u32::MAX, false).unwrap());
    fs::write(directory.0.join("notes.jsonl"), vec![b' '; 9_000]).unwrap();
    let ledger = SinkLedger::default();
    for minute in 1..=4 {
        let (_outlet, drain) = filled(&sink.wants(), 16, 0);
        while let Some(lease) = drain.take() {
            sink.write(&lease, &ledger).unwrap();
        }
        sink.tick(Now { unix_ns: minute * 60_000_000_000, ..Now::default() }, &ledger).unwrap();
    }
    sink.finish(&ledger).unwrap();
    let names = directory.names();
    let total: u64 = names
        .iter()
        .filter(|name| name.starts_with("error-"))
        .map(|name| fs::metadata(directory.0.join(name)).unwrap().len())
        .sum();
    assert!(total > 0 && total <= 3_000, "{names:?}");
    assert!(names.contains(&"notes.jsonl".to_owned()), "a file that is not the sink's own stays");
}

#[test]
fn what_a_killed_process_left_is_finished_by_the_next() {
    let directory = Directory::new("left");
    let ledger = SinkLedger::default();
    let mut killed: Box<dyn Sink> = Box::new(JsonFiles::new(directory.rotation(0), u32::MAX, false).unwrap());
    let (_outlet, drain) = filled(&killed.wants(), 16, 0);
    while let Some(lease) = drain.take() {
        killed.write(&lease, &ledger).unwrap();
    }
    let open = directory.names();
    assert!(matches!(open.as_slice(), [name] if name.ends_with(".jsonl.tmp")), "{open:?}");

    // While it lives, its files are its own.
    drop(JsonFiles::new(directory.rotation(0), u32::MAX, false).unwrap());
    assert_eq!(directory.names(), open);

    // Forgotten without being finished, with a line cut off in the middle; and files in which nothing can be read.
    drop(killed);
    let path = directory.0.join(&open[0]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"{\"kind\":\"err"].concat()).unwrap();
    fs::write(directory.0.join("flow-20260102T030405Z-w0.jsonl.tmp"), "{\"kind\":").unwrap();
    fs::write(directory.0.join("flow-20260102T030405Z-w0.parquet.tmp"), [0; 4096]).unwrap();
    fs::write(directory.0.join("notes.tmp"), "mine").unwrap();
    drop(JsonFiles::new(directory.rotation(0), u32::MAX, false).unwrap());
    drop(ParquetFiles::new(directory.rotation(0), u32::MAX, false, Vec::new()).unwrap());
    let complete = open[0].trim_end_matches(".tmp");
    assert_eq!(directory.names(), [complete, "notes.tmp"]);
    assert_eq!(fs::read(directory.0.join(complete)).unwrap(), whole);
}
