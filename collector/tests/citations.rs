//! Sentences of the RFCs that oblige a receiver, and what became of each. `wire/conformance/*.txt` lists them: where a
//! sentence stands, its words, and behind `~` why it is not followed, if it is not. Beside the test that proves it:
//!
//! ```text
//! //= RFC 7011 section 8        where it stands
//! //# The Collecting Process..  its words, to the letter
//! #[test] fn ..
//! ```
//!
//! `cargo test -p collector --test citations -- --nocapture` prints the list with tests and reasons. It fails where a
//! sentence has neither or both, and where a test cites what is not listed.
#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]
#![allow(clippy::print_stdout, reason = "the table is what the test is run for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a sentence stands, and its words.
type Sentence = (String, String);

/// What became of a sentence.
#[derive(Debug, Default)]
struct Fate {
    /// Why it is not followed; empty where it is.
    refused: String,
    /// The tests that prove it.
    tests: Vec<String>,
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
}

/// The sentences of one list. Blank lines part them; `#` starts a remark.
fn listed(text: &str) -> Vec<(Sentence, Fate)> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let blocks = lines.split(|line| line.is_empty()).filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let (section, rest) = block.split_first().unwrap();
            let (reason, words): (Vec<&str>, Vec<&str>) = rest.iter().partition(|line| line.starts_with('~'));
            let reason: Vec<&str> = reason.iter().map(|line| line.trim_start_matches('~').trim()).collect();
            let fate = Fate { refused: reason.join(" "), tests: Vec::new() };
            (((*section).to_owned(), words.join(" ")), fate)
        })
        .collect()
}

/// The sentences cited in one file, each with the test below it. Several may stand over one test.
fn cited(path: &Path, text: &str) -> Vec<(Sentence, String)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let starts = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("//= ")?)));
    starts
        .map(|(at, section)| {
            let words = lines[at + 1..].iter().map_while(|line| line.strip_prefix("//#"));
            let words: Vec<&str> = words.map(str::trim).collect();
            let mut below = lines[at + 1..].iter().skip_while(|line| line.starts_with("//"));
            let place = format!("{}:{}", path.display(), at + 1);
            assert_eq!(below.next(), Some(&"#[test]"), "{place}: no test below the citation");
            let name = below.find_map(|line| line.strip_prefix("fn ")?.split('(').next()).unwrap();
            let file = path.file_stem().unwrap().to_string_lossy();
            ((section.trim().to_owned(), words.join(" ")), format!("{file}: {name}"))
        })
        .collect()
}

#[test]
fn every_sentence_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut lists, mut sources) = (Vec::new(), Vec::new());
    files(&root.join("wire/conformance"), "txt", &mut lists);
    for folder in ["wire/src", "wire/tests", "collector/src", "collector/tests"] {
        files(&root.join(folder), "rs", &mut sources);
    }
    let mut order = Vec::new();
    let mut fates: BTreeMap<Sentence, Fate> = BTreeMap::new();
    for list in lists {
        for (sentence, fate) in listed(&std::fs::read_to_string(&list).unwrap()) {
            let words = sentence.1.to_lowercase();
            let obliges = ["must", "should", "shall"].iter().any(|word| words.contains(word));
            assert!(obliges && sentence.0.contains(" section "), "{sentence:?}");
            order.push(sentence.clone());
            assert!(fates.insert(sentence.clone(), fate).is_none(), "listed twice: {sentence:?}");
        }
    }
    for source in sources {
        for (sentence, test) in cited(&source, &std::fs::read_to_string(&source).unwrap()) {
            let Some(fate) = fates.get_mut(&sentence) else {
                panic!("{test} cites what is not listed: {sentence:?}")
            };
            fate.tests.push(test);
        }
    }
    let mut refused = 0;
    for sentence in &order {
        let Fate { refused: reason, tests } = &fates[sentence];
        let (section, words) = sentence;
        assert_ne!(reason.is_empty(), tests.is_empty(), "neither or both: {section}: {words}");
        if tests.is_empty() {
            println!("refused  {section}: {words}\n         because: {reason}");
            refused += 1;
        } else {
            println!("proved   {section}: {words}\n         by {}", tests.join(", "));
        }
    }
    println!("{} proved, {refused} refused", order.len() - refused);
    assert!(order.len() >= 200, "{}", order.len());
}
