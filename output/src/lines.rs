//! Rows -> JSON lines in files. A line that is counted as written is a whole line in the file; of lines that a full
//! disk has no room for, those that still fit are written.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use collector::Now;
use collector::ledger::Kind;
use collector::outlet::Lease;
use collector::schema::Interest;
use hashbrown::HashMap;

use crate::file::{Files, Names, Open, Rotation, end_of, file_error};
use crate::journal::Step;
use crate::json::Encoder;
use crate::sink::{Sink, SinkEnd, SinkError, SinkLedger, kind_of};

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
        let files = Files::new(rotation, "jsonl", mend)?;
        Ok(Self { files, kinds, join, encoder: Encoder::default(), lines: HashMap::new() })
    }
}

impl Sink for JsonFiles {
    fn wants(&self) -> Interest {
        Interest { kinds: self.kinds, whole_records: true, elements: Vec::new(), join: self.join }
    }

    fn write(&mut self, batch: &Lease, ledger: &SinkLedger) -> Result<(), SinkError> {
        for row in 0..batch.rows as usize {
            let Some(kind) = kind_of(batch, row).filter(|kind| self.kinds & (1 << kind.index()) != 0) else {
                ledger.count(SinkEnd::NotWanted, 1);
                continue;
            };
            let (lines, count) = self.lines.entry(kind).or_default();
            match self.encoder.line(batch, row, lines) {
                Some(_) => *count += 1,
                None => ledger.count(SinkEnd::Failed, 1),
            }
        }
        let mut first_error = None;
        for (&kind, (lines, count)) in &mut self.lines {
            if *count == 0 {
                continue;
            }
            let open = self.files.get(kind, batch.worker, |file, _| Ok(Lines { file, length: 0 }));
            let (written, error) = match open {
                Ok(Open { writer, names }) => {
                    ledger.begin(Step::Append { file: &names.complete, length: writer.length });
                    let (written, error) = writer.append(lines);
                    (written.min(*count), error.map(|source| file_error(&names.temporary, source)))
                }
                Err(error) => (0, Some(error)),
            };
            ledger.count(SinkEnd::Written, written);
            ledger.count(error.as_ref().map_or(SinkEnd::Failed, end_of), *count - written);
            ledger.done();
            first_error = first_error.or(error);
            lines.clear();
            *count = 0;
        }
        first_error.map_or(Ok(()), Err)
    }

    fn tick(&mut self, now: Now, _ledger: &SinkLedger) -> Result<(), SinkError> {
        self.files.tick(now, close)
    }

    fn finish(&mut self, _ledger: &SinkLedger) -> Result<(), SinkError> {
        self.files.complete(close)
    }
}

fn close(lines: Lines, names: &Names) -> Result<(), SinkError> {
    lines.file.sync_data().map_err(|source| file_error(&names.temporary, source))?;
    names.keep()
}

/// A file of whole lines.
#[derive(Debug)]
struct Lines {
    file: File,
    length: u64,
}

impl Lines {
    /// Appends as many of the lines as there is room for: how many, and why not all. A part of a line is cut off again.
    fn append(&mut self, lines: &[u8]) -> (u64, Option<io::Error>) {
        let (mut rest, mut error) = (lines, None);
        while !rest.is_empty() && error.is_none() {
            match self.file.write(rest) {
                Ok(0) => error = Some(ErrorKind::WriteZero.into()),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(interrupted) if interrupted.kind() == ErrorKind::Interrupted => {}
                Err(other) => error = Some(other),
            }
        }
        let written = lines.get(..lines.len() - rest.len()).unwrap_or_default();
        let whole = written.iter().rposition(|&octet| octet == b'\n').map_or(0, |newline| newline + 1);
        let whole = written.get(..whole).unwrap_or_default();
        self.length += whole.len() as u64;
        if whole.len() < written.len() {
            let cut =
                self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            error = error.or(cut.err());
        }
        (newlines(whole), error)
    }
}

/// How many lines end in these octets.
pub(crate) fn newlines(octets: &[u8]) -> u64 {
    octets.iter().map(|&octet| u64::from(octet == b'\n')).sum()
}

/// Cuts off what follows the last whole line; false when there is none.
fn mend(file: &mut File) -> io::Result<bool> {
    let mut end = file.metadata()?.len();
    let mut piece = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(piece.len() as u64);
        let part = piece.get_mut(..usize::try_from(end - start).unwrap_or(0)).unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|octet| *octet == b'\n') {
            file.set_len(start + newline as u64 + 1)?;
            return Ok(true);
        }
        end = start;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

    use super::*;

    /// A file that has room for so many pages and no more.
    fn narrow(pages: u64) -> File {
        let file = memfd_create("lines", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, pages * 4096).unwrap();
        fcntl_add_seals(&file, SealFlags::GROW).unwrap();
        File::from(file)
    }

    #[test]
    fn lines_that_fit_are_written_and_none_is_torn() {
        let mut lines = Lines { file: narrow(2), length: 0 };
        let line = [&[b'x'; 99][..], b"\n"].concat();
        assert!(matches!(lines.append(&line.repeat(30)), (30, None)));
        // 8,192 octets hold 81 lines and a part of one.
        assert!(matches!(lines.append(&line.repeat(70)), (51, Some(_))));
        assert_eq!(lines.length, 8_100);
        // There is room for nothing but short ones now.
        lines.file = narrow(0);
        assert!(matches!(lines.append(&line), (0, Some(_))));
    }

    #[test]
    fn what_is_counted_is_there() {
        let mut lines = Lines { file: narrow(1), length: 0 };
        let (written, _) = lines.append(&b"{\"a\":1}\n".repeat(1_000));
        let mut text = String::new();
        lines.file.rewind().unwrap();
        lines.file.read_to_string(&mut text).unwrap();
        assert_eq!((text.lines().count() as u64, text.len() as u64), (written, lines.length));
        assert!(written > 400 && text.lines().all(|line| line == "{\"a\":1}"), "{written}");
    }
}
