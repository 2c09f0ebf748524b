//! Rows -> files: one file a kind and worker, written as `.tmp`, completed by a rename, rotated by wall time,
//! the oldest complete files removed when the sink's share of the disk is used up.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use collector::Now;
use collector::batch::WorkerId;
use collector::ledger::Kind;
use collector::outlet::Lease;
use collector::schema::Interest;
use hashbrown::HashMap;

use crate::json::Encoder;
use crate::sink::{Sink, SinkEnd, SinkError, Written, kind_of};

/// Where files go and when they end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Directory, made if it is missing.
    pub path: PathBuf,
    /// Every so many seconds of wall time a file is completed, also without traffic.
    pub rotate_s: u64,
    /// Octets that complete files of this sink may take together; 0: no limit.
    pub max_disk_bytes: u64,
}

/// The files of one sink, by kind and worker. Generic over what is written into them.
#[derive(Debug)]
pub(crate) struct Files<W> {
    rotation: Rotation,
    extension: &'static str,
    open: HashMap<(Kind, WorkerId), Open<W>>,
    period: u64,
}

#[derive(Debug)]
pub(crate) struct Open<W> {
    pub(crate) writer: W,
    pub(crate) temporary: PathBuf,
    complete: PathBuf,
}

impl<W> Files<W> {
    /// Makes the directory. A temporary file that a killed predecessor left stays; its name is not used again.
    pub(crate) fn new(rotation: Rotation, extension: &'static str) -> Result<Self, SinkError> {
        fs::create_dir_all(&rotation.path).map_err(|source| file_error(&rotation.path, source))?;
        Ok(Self { rotation, extension, open: HashMap::new(), period: 0 })
    }

    /// The open file of a kind and worker, made with `make` if there is none.
    pub(crate) fn get(
        &mut self,
        kind: Kind,
        worker: WorkerId,
        make: impl FnOnce(File, &Path) -> Result<W, SinkError>,
    ) -> Result<&mut Open<W>, SinkError> {
        use hashbrown::hash_map::Entry;
        match self.open.entry((kind, worker)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let stem = format!("{}-{}-w{}", kind.name(), stamp(SystemTime::now()), worker.0);
                let (complete, temporary) = names(&self.rotation.path, &stem, self.extension);
                let file = File::create(&temporary).map_err(|source| file_error(&temporary, source))?;
                let writer = make(file, &temporary)?;
                Ok(entry.insert(Open { writer, temporary, complete }))
            }
        }
    }

    /// Completes every file when its time is over.
    pub(crate) fn tick(
        &mut self,
        now: Now,
        finish: impl FnMut(W, &Path) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let period = now.unix_ns / 1_000_000_000 / self.rotation.rotate_s.max(1);
        if period == self.period {
            return Ok(());
        }
        self.period = period;
        self.complete(finish)
    }

    /// Completes every open file: what `finish` leaves is renamed to its lasting name.
    pub(crate) fn complete(
        &mut self,
        mut finish: impl FnMut(W, &Path) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut first_error = None;
        for (_, open) in self.open.drain() {
            let done = finish(open.writer, &open.temporary).and_then(|()| {
                fs::rename(&open.temporary, &open.complete)
                    .map_err(|source| file_error(&open.complete, source))
            });
            first_error = first_error.or(done.err());
        }
        self.make_room()?;
        first_error.map_or(Ok(()), Err)
    }

    /// Removes the oldest complete files of this sink until the rest fits its share.
    fn make_room(&self) -> Result<(), SinkError> {
        if self.rotation.max_disk_bytes == 0 {
            return Ok(());
        }
        let mut files = Vec::new();
        let listing =
            fs::read_dir(&self.rotation.path).map_err(|source| file_error(&self.rotation.path, source))?;
        for entry in listing.flatten() {
            let path = entry.path();
            if let Ok(meta) = entry.metadata()
                && path.extension().is_some_and(|extension| extension == self.extension)
                && is_ours(&path)
            {
                files.push((meta.modified().unwrap_or(UNIX_EPOCH), meta.len(), path));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= self.rotation.max_disk_bytes {
                break;
            }
            fs::remove_file(&path).map_err(|source| file_error(&path, source))?;
            total -= length;
        }
        Ok(())
    }
}

/// Whether a file's name is one that this sink gives: `KIND-YYYYMMDDTHHMMSSZ-wN..`.
fn is_ours(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let Some((kind, rest)) = name.split_once('-') else { return false };
    Kind::ALL.iter().any(|known| known.name() == kind) && rest.len() > 18 && rest.get(16..18) == Some("-w")
}

/// A name that is free: two files of one second get a number.
fn names(directory: &Path, stem: &str, extension: &str) -> (PathBuf, PathBuf) {
    let mut number = 1_u32;
    loop {
        let suffix = if number == 1 { String::new() } else { format!(".{number}") };
        let complete = directory.join(format!("{stem}{suffix}.{extension}"));
        let temporary = directory.join(format!("{stem}{suffix}.{extension}.tmp"));
        if !complete.exists() && !temporary.exists() {
            return (complete, temporary);
        }
        number += 1;
    }
}

fn stamp(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

pub(crate) fn file_error(path: &Path, source: std::io::Error) -> SinkError {
    SinkError::File { path: path.to_owned(), source }
}

/// What rows that met an error ended as.
pub(crate) fn end_of(error: &SinkError) -> SinkEnd {
    match error {
        SinkError::File { source, .. }
            if matches!(
                source.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ) =>
        {
            SinkEnd::DiskFull
        }
        SinkError::File { .. } | SinkError::Parquet { .. } => SinkEnd::Failed,
    }
}

/// A file of whole lines: what could not be written whole is cut off again, so that a line counted is a line there.
#[derive(Debug)]
struct Lines {
    file: File,
    length: u64,
}

impl Lines {
    fn append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let Err(error) = self.file.write_all(lines) else {
            self.length += lines.len() as u64;
            return Ok(());
        };
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        Err(error)
    }
}

/// JSON lines in files.
#[derive(Debug)]
pub struct JsonFiles {
    files: Files<Lines>,
    kinds: u32,
    join: bool,
    encoder: Encoder,
    lines: HashMap<Kind, (Vec<u8>, u64)>,
}

impl JsonFiles {
    /// Writes the kinds of the mask `kinds` (one bit each at `Kind::index`); flows joined if `join`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(rotation: Rotation, kinds: u32, join: bool) -> Result<Self, SinkError> {
        let files = Files::new(rotation, "jsonl")?;
        Ok(Self { files, kinds, join, encoder: Encoder::default(), lines: HashMap::new() })
    }
}

impl Sink for JsonFiles {
    fn wants(&self) -> Interest {
        Interest { kinds: self.kinds, whole_records: true, elements: Vec::new(), join: self.join }
    }

    fn write(&mut self, batch: &Lease) -> Result<Written, SinkError> {
        let mut written = Written::default();
        for row in 0..batch.rows as usize {
            let Some(kind) = kind_of(batch, row).filter(|kind| self.kinds & (1 << kind.index()) != 0) else {
                written.add(SinkEnd::NotWanted, 1);
                continue;
            };
            let (lines, count) = self.lines.entry(kind).or_default();
            match self.encoder.line(batch, row, lines) {
                Some(_) => *count += 1,
                None => written.add(SinkEnd::Failed, 1),
            }
        }
        for (&kind, (lines, count)) in &mut self.lines {
            if *count == 0 {
                continue;
            }
            // Lines go to the file as one piece, so that a failure counts every one of them.
            let done = self.files.get(kind, batch.worker, |file, _| Ok(Lines { file, length: 0 })).and_then(
                |open| open.writer.append(lines).map_err(|source| file_error(&open.temporary, source)),
            );
            match done {
                Ok(()) => written.add(SinkEnd::Written, *count),
                Err(error) => {
                    tracing::error!("{error}: {count} records lost");
                    written.add(end_of(&error), *count);
                }
            }
            lines.clear();
            *count = 0;
        }
        Ok(written)
    }

    fn tick(&mut self, now: Now) -> Result<(), SinkError> {
        self.files.tick(now, finish_lines)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.files.complete(finish_lines)
    }
}

fn finish_lines(lines: Lines, path: &Path) -> Result<(), SinkError> {
    lines.file.sync_data().map_err(|source| file_error(path, source))
}
