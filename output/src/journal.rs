//! What a sink is about to do to a file, said in its ledger before it does it: so that, when the process is killed,
//! whoever holds the ledger's words can tell from the file whether it was done. In: a step, then its outcome. Out:
//! ends as exact as if the process had lived one moment longer. It never reads a row.
//!
//! ```text
//! begin(step) -> the file is changed -> counted -> step cleared
//!        \_________ killed in between: settle() looks at the file
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::file::{is_ours, temporary};
use crate::lines::newlines;
use crate::sink::{JOURNAL, SinkEnd, SinkLedger};

/// A step about to be done. Files are named by their lasting name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Whole lines will be appended to the temporary file, which has this many octets now.
    Append { file: &'a Path, length: u64 },
    /// The file with these held rows will get its end and its lasting name.
    Complete { file: &'a Path, rows: u64 },
}

const NAME_WORDS: usize = 12;
const STEP: usize = JOURNAL;
const AMOUNT: usize = JOURNAL + 1;
const WRITTEN: usize = JOURNAL + 2;
const NAME: usize = JOURNAL + 3;
/// Words of the journal: step, its amount, rows written before it, a file name.
pub(crate) const WORDS: usize = 3 + NAME_WORDS;

const NOTHING: u64 = 0;
const APPEND: u64 = 1;
const COMPLETE: u64 = 2;

impl SinkLedger {
    pub(crate) fn begin(&self, step: Step<'_>) {
        let (number, file, amount) = match step {
            Step::Append { file, length } => (APPEND, file, length),
            Step::Complete { file, rows } => (COMPLETE, file, rows),
        };
        let name = file.file_name().map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
        for (at, word) in (NAME..NAME + NAME_WORDS).enumerate() {
            let mut octets = [0; 8];
            let part = name.iter().skip(8 * at);
            octets.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            self.word(word).store(u64::from_le_bytes(octets), Ordering::Relaxed);
        }
        self.word(AMOUNT).store(amount, Ordering::Relaxed);
        self.word(WRITTEN).store(self.end(SinkEnd::Written).load(Ordering::Relaxed), Ordering::Relaxed);
        self.word(STEP).store(number, Ordering::Release);
    }

    /// The step is over and its rows are counted.
    pub(crate) fn done(&self) {
        self.word(STEP).store(NOTHING, Ordering::Release);
    }

    /// The process that wrote here is gone: a step that it had begun is counted as far as it was done, and what it
    /// held in files without an end is no end any more. Harmless when called again.
    ///
    /// # Errors
    /// The file of the step, in `directory`, cannot be read. Its rows then stay uncounted.
    pub fn settle(&self, directory: &Path) -> io::Result<()> {
        let amount = self.word(AMOUNT).load(Ordering::Relaxed);
        let done = match (self.word(STEP).load(Ordering::Acquire), self.name()) {
            (APPEND, Some(name)) => lines_from(&temporary(&directory.join(name)), amount).map(Some),
            (COMPLETE, Some(name)) => {
                let complete = directory.join(name);
                let whole = complete.exists() || crate::parquet::is_whole(&temporary(&complete));
                Ok(Some(if whole { amount } else { 0 }))
            }
            _ => Ok(None),
        };
        if let Ok(Some(rows)) = done {
            let before = self.word(WRITTEN).load(Ordering::Relaxed);
            self.end(SinkEnd::Written).store(before.wrapping_add(rows), Ordering::Relaxed);
        }
        self.end(SinkEnd::Held).store(0, Ordering::Relaxed);
        self.done();
        done.map(|_| ())
    }

    /// The file name of the journal, if it is one that sinks give.
    fn name(&self) -> Option<String> {
        let words = (NAME..NAME + NAME_WORDS).map(|at| self.word(at).load(Ordering::Relaxed));
        let octets: Vec<u8> = words.flat_map(u64::to_le_bytes).take_while(|octet| *octet != 0).collect();
        let name = String::from_utf8(octets).ok()?;
        (!name.contains('/') && is_ours(Path::new(&name))).then_some(name)
    }
}

/// Whole lines after so many octets.
fn lines_from(path: &Path, start: u64) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let (mut lines, mut piece) = (0, [0; 16 << 10]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(lines),
            n => lines += newlines(piece.get(..n).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_step_cut_off_by_a_kill_is_counted_as_far_as_it_was_done() {
        let directory = std::env::temp_dir().join(format!("millrace-journal-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("flow-20260102T030405Z-w0.jsonl");
        // Two lines stood there and were counted; of three more, two and a piece reached the file.
        fs::write(temporary(&file), "{}\n{}\n{\"a\":1}\n{}\n{\"b").unwrap();
        let ledger = SinkLedger::default();
        ledger.count(SinkEnd::Written, 2);
        ledger.begin(Step::Append { file: &file, length: 6 });
        ledger.settle(&directory).unwrap();
        assert_eq!(ledger.ends()[SinkEnd::Written.index()], 4);
        // Killed between counting and clearing: nothing is counted twice.
        ledger.begin(Step::Append { file: &file, length: 14 });
        ledger.count(SinkEnd::Written, 1);
        ledger.settle(&directory).unwrap();
        assert_eq!(ledger.ends()[SinkEnd::Written.index()], 5);
        ledger.settle(&directory).unwrap();
        assert_eq!(ledger.ends()[SinkEnd::Written.index()], 5);

        // A file that got its lasting name, and one that did not.
        let named = directory.join("route-20260102T030405Z-w1.parquet");
        fs::write(&named, "PAR1").unwrap();
        ledger.count(SinkEnd::Held, 30);
        ledger.begin(Step::Complete { file: &named, rows: 20 });
        ledger.settle(&directory).unwrap();
        assert_eq!(ledger.ends()[SinkEnd::Written.index()], 25);
        assert_eq!(ledger.ends()[SinkEnd::Held.index()], 0, "what was held elsewhere is gone");
        fs::remove_file(&named).unwrap();
        ledger.count(SinkEnd::Held, 20);
        ledger.begin(Step::Complete { file: &named, rows: 20 });
        ledger.settle(&directory).unwrap();
        assert_eq!(ledger.ends()[SinkEnd::Written.index()], 25);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_name_that_is_none_of_ours_is_not_opened() {
        let ledger = SinkLedger::default();
        ledger.begin(Step::Append { file: Path::new("passwd"), length: 0 });
        assert_eq!(ledger.name(), None);
    }
}
