//! RFC 7606: the defects of an UPDATE in, what a BGP speaker would have to do about each out. A station does none
//! of it: it records the verdict and keeps every route that reads.

mod judge;

pub use judge::{Judge, Judged};

use crate::malformed::Malformed;

/// What RFC 7606 demands of a BGP speaker, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The attribute counts as not there.
    Discard,
    /// All routes of the UPDATE count as withdrawn.
    Withdraw,
    /// The session, or the family, is to be reset: what was meant cannot be told.
    Reset,
}

impl Verdict {
    /// Every verdict, the mildest first.
    pub const ALL: [Self; 3] = [Self::Discard, Self::Withdraw, Self::Reset];

    /// The name that records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Withdraw => "withdraw",
            Self::Reset => "reset",
        }
    }
}

/// One defect of an UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Code of the attribute at fault; nothing where the message's own fields are.
    pub attribute: Option<u8>,
    /// What it is worth.
    pub verdict: Verdict,
    /// What is wrong, and where.
    pub malformed: Malformed,
}

/// Defects kept of one UPDATE; further ones only count.
pub const MAX_FINDINGS: usize = 16;

/// The defects of one UPDATE, in the order met.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    kept: [Option<Finding>; MAX_FINDINGS],
    count: usize,
    strongest: Option<Verdict>,
}

impl Findings {
    /// Adds a defect.
    pub fn push(&mut self, finding: Finding) {
        if let Some(place) = self.kept.get_mut(self.count) {
            *place = Some(finding);
        }
        self.count = self.count.saturating_add(1);
        self.strongest = self.strongest.max(Some(finding.verdict));
    }

    /// The defects, the first [`MAX_FINDINGS`] of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.kept.iter().flatten()
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Raises the verdict on the UPDATE as a whole.
    pub(crate) fn raise(&mut self, verdict: Verdict) {
        self.strongest = self.strongest.max(Some(verdict));
    }

    /// The verdict on the UPDATE as a whole: the strongest one (RFC 7606 section 3 (h)), or a stronger one that all
    /// together ask for (section 5.2).
    #[must_use]
    pub const fn strongest(&self) -> Option<Verdict> {
        self.strongest
    }
}

impl Extend<Finding> for Findings {
    fn extend<I: IntoIterator<Item = Finding>>(&mut self, findings: I) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}
