//! What is wrong with a configuration, as one line: where, which key, which value, what is legal.

use std::path::PathBuf;

/// Why a configuration is refused. Its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The text is no TOML.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What the parser expected.
        reason: String,
    },
    /// A key that does not exist.
    #[error("line {line}: unknown key `{key}`{hint}")]
    Unknown {
        /// Line, from 1.
        line: usize,
        /// The key with its path.
        key: String,
        /// `, did you mean ..?`, or the keys that exist.
        hint: String,
    },
    /// A value of another type or form.
    #[error("line {line}: key `{key}`, value `{value}`: legal is {legal}")]
    Value {
        /// Line, from 1.
        line: usize,
        /// The key with its path.
        key: String,
        /// The value as written.
        value: String,
        /// What may stand there.
        legal: String,
    },
    /// A value outside its range, or keys that contradict each other.
    #[error("key `{key}`, value `{value}`: legal is {legal}")]
    Refused {
        /// The key with its path.
        key: String,
        /// The value.
        value: String,
        /// What may stand there.
        legal: String,
    },
}

impl ConfigError {
    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        Self::Syntax { line: line(text, error), reason: one_line(error.message()) }
    }

    pub(super) fn of(text: &str, error: &serde_path_to_error::Error<toml::de::Error>) -> Self {
        let inner = error.inner();
        let (line, message) = (line(text, inner), one_line(inner.message()));
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let value = inner.span().and_then(|span| text.get(span)).unwrap_or_default();
        let value = one_line(value.lines().next().unwrap_or_default());
        // serde's own words: "unknown field `a`, expected one of `b`, `c`", "unknown variant ..", "missing field".
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        if message.starts_with("unknown field") {
            let name = quoted.next().unwrap_or_default();
            let legal: Vec<String> = quoted.collect();
            let table = parent(&path, &name);
            let hint = match nearest(&name, &legal) {
                Some(near) => format!(", did you mean `{table}{near}`?"),
                None => format!("; legal here: {}", legal.join(", ")),
            };
            return Self::Unknown { line, key: format!("{table}{name}"), hint };
        }
        let legal = if message.starts_with("unknown variant") {
            format!("one of {}", quoted.skip(1).collect::<Vec<_>>().join(", "))
        } else if message.starts_with("missing field") {
            let name = quoted.next().unwrap_or_default();
            return Self::Value { line, key: path, value, legal: format!("a table with the key `{name}`") };
        } else {
            message.rsplit_once("expected ").map_or_else(|| message.clone(), |(_, legal)| legal.to_owned())
        };
        Self::Value { line, key: path, value, legal }
    }
}

/// `a.b.` for the path `a.b.name`, or for `a.b` when the path stops at the table.
fn parent(path: &str, name: &str) -> String {
    let table = match path.strip_suffix(name) {
        Some(table) if table.is_empty() || table.ends_with('.') => table.trim_end_matches('.'),
        _ => path,
    };
    if table.is_empty() { String::new() } else { format!("{table}.") }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start);
    text.get(..start).map_or(1, |before| before.matches('\n').count() + 1)
}

/// The word among `legal` that `word` was probably meant to be: at most two edits, or a third of its length.
#[must_use]
pub fn nearest<'a>(word: &str, legal: &'a [String]) -> Option<&'a str> {
    legal
        .iter()
        .map(|other| (edits(word, other), other.as_str()))
        .min()
        .filter(|(edits, _)| *edits <= (word.chars().count() / 3).max(2))
        .map(|(_, other)| other)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(x != *y)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!((edits("", "abc"), edits("abc", ""), edits("kitten", "sitting")), (3, 3, 3));
        assert_eq!((edits("workers", "workers"), edits("wokers", "workers")), (0, 1));
        let legal = ["workers".to_owned(), "devices".to_owned()];
        assert_eq!((nearest("device", &legal), nearest("mtu", &legal)), (Some("devices"), None));
    }
}
