//! Where rows of figures go: `results/latest.json`, and a file of the day that says machine and commit too.
//!
//! In: figures, each measured by its program. Out: files. Measures nothing.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

/// What all programs that measure are asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Results {
    /// Only figures whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the rows go.
    #[arg(long, default_value = "bench/results/latest.json")]
    results: PathBuf,
    /// Today; the rows go to `DATE.json` beside the results too, with the machine.
    #[arg(long)]
    date: Option<String>,
    /// The commit that was built.
    #[arg(long, default_value = "unknown")]
    commit: String,
}

impl Results {
    /// Measures the figures that are asked for, in their order: their rows.
    ///
    /// # Errors
    /// What one of them said.
    pub fn measure_all<M: Copy>(
        &self,
        figures: &[(&'static str, M)],
        mut measure: impl FnMut(&'static str, M) -> anyhow::Result<Vec<Value>>,
    ) -> anyhow::Result<Vec<Value>> {
        let mut rows = Vec::new();
        for (name, how) in figures.iter().filter(|(name, _)| name.contains(&self.only)) {
            rows.extend(measure(name, *how)?);
        }
        Ok(rows)
    }

    /// Measures as [`Self::measure_all`], prints every row as a JSON line as soon as it is there, and puts all of them
    /// into the files as [`Self::merge`].
    ///
    /// # Errors
    /// What a figure said, or a file.
    #[expect(clippy::print_stdout, reason = "rows are what the programs tell")]
    pub fn print_all<M: Copy>(
        &self,
        figures: &[(&'static str, M)],
        mut measure: impl FnMut(&'static str, M) -> anyhow::Result<Vec<Value>>,
    ) -> anyhow::Result<()> {
        let rows = self.measure_all(figures, |name, how| {
            let rows = measure(name, how)?;
            rows.iter().for_each(|row| println!("{row}"));
            Ok(rows)
        })?;
        self.merge(rows)
    }

    /// Puts rows into the files, in the place of those of the same names. In a file of another commit they say theirs.
    ///
    /// # Errors
    /// A file cannot be read as rows, or not be written.
    pub fn merge(&self, fresh: Vec<Value>) -> anyhow::Result<()> {
        let rows = read(&self.results)?.unwrap_or_else(|| json!([]));
        write(&self.results, &merged(rows, &fresh))?;
        let Some(path) = self.dated() else { return Ok(()) };
        let mut file = read(&path)?.unwrap_or_else(|| self.machine());
        let is_of_another = file["commit"] != self.commit.as_str();
        let with_commit = |mut row: Value| {
            if is_of_another {
                row["commit"] = self.commit.as_str().into();
            }
            row
        };
        let fresh: Vec<Value> = fresh.into_iter().map(with_commit).collect();
        file["figures"] = merged(file["figures"].take(), &fresh);
        write(&path, &file)
    }

    /// Writes the files anew; the file of the day says `more` about its rows. If only some figures were asked for, the
    /// others stay, as in [`Self::merge`].
    ///
    /// # Errors
    /// They cannot be written.
    pub fn begin(&self, rows: Vec<Value>, more: &[(&str, Value)]) -> anyhow::Result<()> {
        if !self.only.is_empty() {
            return self.merge(rows);
        }
        let rows = Value::from(rows);
        write(&self.results, &rows)?;
        let Some(path) = self.dated() else { return Ok(()) };
        let mut file = self.machine();
        for (key, value) in more {
            file[*key] = value.clone();
        }
        file["figures"] = rows;
        write(&path, &file)
    }

    fn dated(&self) -> Option<PathBuf> {
        self.date.as_ref().map(|date| self.results.with_file_name(format!("{date}.json")))
    }

    fn machine(&self) -> Value {
        json!({"date": self.date, "commit": self.commit, "cpu": cpu_model(), "kernel": kernel(), "figures": []})
    }
}

fn merged(rows: Value, fresh: &[Value]) -> Value {
    let Value::Array(mut rows) = rows else { return Value::from(fresh) };
    rows.retain(|row| !fresh.iter().any(|fresh| fresh["name"] == row["name"]));
    rows.extend_from_slice(fresh);
    rows.into()
}

/// `None`: there is no such file.
fn read(path: &Path) -> anyhow::Result<Option<Value>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn write(path: &Path, value: &Value) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let text = serde_json::to_string_pretty(value)? + "\n";
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model).to_owned()
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_the_place_of_those_of_their_names() {
        let directory = std::env::temp_dir().join(format!("mr-results-{}", std::process::id()));
        let results = |commit: &str, only: &str| Results {
            only: only.into(),
            results: directory.join("latest.json"),
            date: Some("2000-01-01".into()),
            commit: commit.into(),
        };
        let row = |name: &str, ours: u32| json!({"name": name, "ours": ours});
        let all = vec![row("a", 1), row("b", 1), row("b", 2)];
        results("one", "").begin(all, &[("octets", 7.into())]).unwrap();
        let figures = [("a", 10), ("b", 20), ("ab", 30)];
        let some = results("two", "b");
        let fresh = some.measure_all(&figures, |name, ours| Ok(vec![row(name, ours)])).unwrap();
        some.begin(fresh, &[]).unwrap();
        let expected = json!([row("a", 1), row("b", 20), row("ab", 30)]);
        assert_eq!(read(&directory.join("latest.json")).unwrap(), Some(expected));
        let dated = read(&directory.join("2000-01-01.json")).unwrap().unwrap();
        assert_eq!((&dated["commit"], &dated["octets"]), (&"one".into(), &7.into()));
        let commits: Vec<_> = dated["figures"].as_array().unwrap().iter().map(|row| &row["commit"]).collect();
        assert_eq!(commits, [&Value::Null, &"two".into(), &"two".into()]);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
