//! Sentences of the RFCs that oblige a receiver, and what became of each: a test beside the sentence, or a refusal
//! with its reason. `cargo test -p collector --test citations -- --nocapture` prints them all.
//!
//! ```text
//! //= RFC 7011 section 8        where it stands
//! //# The Collecting Process..  its words, to the letter
//! #[test] fn ..                 proves it; or //~ and why it is refused
//! ```
#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]
#![allow(clippy::print_stdout, reason = "the table is what the test is run for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

// What this collector does otherwise than the sentence says, and why.
//
//= RFC 7011 section 9.1
//# If the Collecting Process receives a malformed IPFIX Message, it MUST discard the IPFIX Message and SHOULD log
//# the error.
//~ What stands before the damage is whole and is used; the damaged set is counted, told as an error, and the rest of
//~ the message is discarded. Throwing good records away would lose more than it protects.
//
//= RFC 7011 section 9.1
//# On the other hand, the Collecting Process SHOULD stop processing IPFIX Messages from clearly malfunctioning
//# Exporting Processes (e.g., those from which the last few IPFIX Messages have been malformed).
//~ Over UDP anybody can send malformed messages in the name of a router: that would let them silence it. Error rows
//~ are limited instead.
//
//= RFC 7011 section 6.1.6
//# Collecting Processes SHOULD detect and ignore IPFIX Messages containing ill-formed UTF-8 string values for
//# Information Elements.
//~ A bad name must not cost the counters beside it: ill-formed sequences are printed as U+FFFD.
//
//= RFC 7011 section 8
//# Collecting Process MUST NOT use Templates from one Transport Session to decode Data Sets in a subsequent Transport
//# Session.
//~ Over UDP there is no session to end. Routers change their source ports and go on; identity = "address_and_port"
//~ follows the sentence where that is wanted.
//
//= RFC 7011 section 10.1
//# SCTP [RFC4960] using the Partially Reliable SCTP (PR-SCTP) extension as specified in [RFC3758] MUST be implemented
//# by all compliant implementations.
//~ No router at hand exports over SCTP.

/// Where a sentence stands, its words, and what became of it.
#[derive(Debug)]
struct Citation {
    section: String,
    sentence: String,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    Proved(String),
    Refused(String),
    Neither(String),
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The citations of one file. Several may stand over one test.
fn citations(path: &Path, text: &str) -> Vec<Citation> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let words = |from: usize, mark: &str| {
        let block = lines.get(from..).unwrap_or_default().iter().map_while(|line| line.strip_prefix(mark));
        block.map(str::trim).collect::<Vec<_>>()
    };
    let starts = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("//= ")?)));
    starts
        .map(|(at, section)| {
            let sentence = words(at + 1, "//#");
            let behind = at + 1 + sentence.len();
            let refusal = words(behind, "//~").join(" ");
            let code = lines.iter().skip(behind).find(|line| !line.starts_with("//"));
            let name = lines.iter().skip(behind).find_map(|line| line.strip_prefix("fn ")?.split('(').next());
            let file = path.file_name().unwrap().to_string_lossy();
            let fate = match (refusal.is_empty(), code, name) {
                (false, ..) => Fate::Refused(refusal),
                (true, Some(&"#[test]"), Some(name)) => Fate::Proved(format!("{file}: {name}")),
                (true, ..) => Fate::Neither(format!("{}:{}", path.display(), at + 1)),
            };
            Citation { section: section.trim().to_owned(), sentence: sentence.join(" "), fate }
        })
        .collect()
}

#[test]
fn every_sentence_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["wire/src", "wire/tests", "collector/src", "collector/tests"] {
        sources(&root.join(folder), &mut files);
    }
    let mut by_section: BTreeMap<String, Vec<Citation>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for citation in citations(&file, &text) {
            by_section.entry(citation.section.clone()).or_default().push(citation);
        }
    }
    let (mut proved, mut refused) = (0, 0);
    for (section, citations) in &by_section {
        for Citation { sentence, fate, .. } in citations {
            let words = ["MUST", "SHOULD", "SHALL"];
            assert!(words.iter().any(|word| sentence.contains(word)), "{section}: {sentence}");
            match fate {
                Fate::Proved(test) => {
                    println!("proved   {section}: {sentence}\n         by {test}");
                    proved += 1;
                }
                Fate::Refused(reason) => {
                    println!("refused  {section}: {sentence}\n         because: {reason}");
                    refused += 1;
                }
                Fate::Neither(place) => panic!("{place}: {section} has neither a test nor a reason"),
            }
        }
    }
    println!("{proved} proved, {refused} refused");
    assert!(proved >= 14 && refused >= 5, "{proved} {refused}");
}
