//! The files of a sink: one a kind and worker, written as `.tmp`, completed by a rename, rotated by wall time, the
//! oldest complete files removed when the sink's share of the disk is used up. What a killed process left unfinished
//! is finished by the next one, as far as it can be read.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use collector::Now;
use collector::batch::WorkerId;
use collector::ledger::Kind;
use hashbrown::HashMap;

use crate::sink::{SinkEnd, SinkError};

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
    pub(crate) names: Names,
}

/// The two names of a file.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) temporary: PathBuf,
    pub(crate) complete: PathBuf,
}

impl Names {
    /// Gives the file its lasting name.
    pub(crate) fn keep(&self) -> Result<(), SinkError> {
        fs::rename(&self.temporary, &self.complete).map_err(|source| file_error(&self.complete, source))
    }
}

impl<W> Files<W> {
    /// Makes the directory and finishes what a killed predecessor left there: `mend` cuts a file down to what can
    /// be read, and says whether anything can. A file that another process still writes is left alone.
    pub(crate) fn new(
        rotation: Rotation,
        extension: &'static str,
        mend: impl Fn(&mut File) -> io::Result<bool>,
    ) -> Result<Self, SinkError> {
        fs::create_dir_all(&rotation.path).map_err(|source| file_error(&rotation.path, source))?;
        let files = Self { rotation, extension, open: HashMap::new(), period: 0 };
        for path in files.listing()?.map(|entry| entry.path()) {
            let complete = path.with_extension("");
            let left = path.extension().is_some_and(|last| last == "tmp")
                && complete.extension().is_some_and(|last| last == extension)
                && is_ours(&complete);
            if left && let Err(error) = finish_left(&path, &complete, &mend) {
                tracing::warn!(
                    "{}: left by a process that ended early, cannot be finished: {error}",
                    path.display()
                );
            }
        }
        Ok(files)
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
                let names = free(&self.rotation.path, &stem, self.extension);
                let file = File::create(&names.temporary)
                    .and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from))
                    .map_err(|source| file_error(&names.temporary, source))?;
                let writer = make(file, &names.temporary)?;
                Ok(entry.insert(Open { writer, names }))
            }
        }
    }

    /// Gives up a file that cannot be written any more: it is removed, and its writer returned.
    pub(crate) fn give_up(&mut self, kind: Kind, worker: WorkerId) -> Option<W> {
        let open = self.open.remove(&(kind, worker))?;
        if let Err(error) = fs::remove_file(&open.names.temporary) {
            tracing::warn!("{}: {error}", open.names.temporary.display());
        }
        Some(open.writer)
    }

    /// Completes every file when its time is over.
    pub(crate) fn tick(
        &mut self,
        now: Now,
        close: impl FnMut(W, &Names) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let period = now.unix_ns / 1_000_000_000 / self.rotation.rotate_s.max(1);
        if period == self.period {
            return Ok(());
        }
        self.period = period;
        self.complete(close)
    }

    /// Completes every open file: `close` gives it its end and its lasting name.
    pub(crate) fn complete(
        &mut self,
        mut close: impl FnMut(W, &Names) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut first_error = None;
        for (_, open) in self.open.drain() {
            first_error = first_error.or(close(open.writer, &open.names).err());
        }
        self.make_room()?;
        first_error.map_or(Ok(()), Err)
    }

    fn listing(&self) -> Result<impl Iterator<Item = fs::DirEntry>, SinkError> {
        let listing = fs::read_dir(&self.rotation.path);
        Ok(listing.map_err(|source| file_error(&self.rotation.path, source))?.flatten())
    }

    /// Removes the oldest complete files of this sink until the rest fits its share.
    fn make_room(&self) -> Result<(), SinkError> {
        if self.rotation.max_disk_bytes == 0 {
            return Ok(());
        }
        let mut files = Vec::new();
        for entry in self.listing()? {
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
pub(crate) fn is_ours(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let Some((kind, rest)) = name.split_once('-') else { return false };
    Kind::ALL.iter().any(|known| known.name() == kind) && rest.len() > 18 && rest.get(16..18) == Some("-w")
}

/// Completes or removes one file that nobody writes any more.
fn finish_left(path: &Path, complete: &Path, mend: impl Fn(&mut File) -> io::Result<bool>) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    if let Err(error) = file.try_lock() {
        return match error {
            fs::TryLockError::WouldBlock => Ok(()),
            fs::TryLockError::Error(error) => Err(error),
        };
    }
    if mend(&mut file)? {
        file.sync_data()?;
        tracing::info!("{}: left by a process that ended early, finished", complete.display());
        fs::rename(path, complete)
    } else {
        tracing::warn!("{}: left by a process that ended early, unreadable: removed", path.display());
        fs::remove_file(path)
    }
}

/// The name that a file has until it is complete.
pub(crate) fn temporary(complete: &Path) -> PathBuf {
    let mut name = complete.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Names that are free: two files of one second get a number.
fn free(directory: &Path, stem: &str, extension: &str) -> Names {
    let mut number = 1_u32;
    loop {
        let suffix = if number == 1 { String::new() } else { format!(".{number}") };
        let complete = directory.join(format!("{stem}{suffix}.{extension}"));
        let temporary = temporary(&complete);
        if !complete.exists() && !temporary.exists() {
            return Names { temporary, complete };
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
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let full = error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        });
        if full {
            return SinkEnd::DiskFull;
        }
        cause = error.source();
    }
    SinkEnd::Failed
}
