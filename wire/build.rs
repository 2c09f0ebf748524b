//! `registry/*.csv` in, one Rust file of sorted static tables out: `iana.csv` as an array by element id, every
//! other file (its stem is the vendor's prefix) as one array sorted by (pen, id), and all names sorted. A row
//! that cannot be true stops the build with its file and line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// One row of a registry file.
struct Row {
    pen: u32,
    id: u16,
    name: String,
    data_type: String,
    semantics: String,
    units: String,
}

fn main() {
    let registry = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("registry");
    println!("cargo::rerun-if-changed={}", registry.display());
    let mut rows: BTreeMap<(u32, u16), Row> = BTreeMap::new();
    let mut names: BTreeMap<String, (u32, u16)> = BTreeMap::new();
    for path in files(&registry) {
        println!("cargo::rerun-if-changed={}", path.display());
        for (line, row) in read(&path) {
            let key = (row.pen, row.id);
            if let Some(earlier) = names.insert(row.name.clone(), key) {
                panic!("{line}: the name {} is taken by {earlier:?}", row.name);
            }
            if let Some(earlier) = rows.insert(key, row) {
                panic!("{line}: {key:?} is taken by {}", earlier.name);
            }
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("elements.rs");
    fs::write(&out, generate(&rows, &names)).expect("OUT_DIR takes a file");
}

fn files(registry: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(registry).expect("wire/registry is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    files
}

/// The rows of one file, each with "file:line" for messages. `iana.csv` has no `pen` column and its names have
/// no prefix; lines that start with `#` say where the facts are from.
fn read(path: &Path) -> Vec<(String, Row)> {
    let stem = path.file_stem().expect("a csv has a stem").to_str().expect("UTF-8").to_owned();
    let text = fs::read_to_string(path).expect("readable");
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    let header: Vec<&str> = lines.next().expect("a header line").1.split(',').collect();
    let rows = lines.map(|(number, line)| {
        let place = format!("{}:{}", path.display(), number + 1);
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        assert!(cells.len() == header.len(), "{place}: {} cells, not {}", cells.len(), header.len());
        let cell = |name: &str| header.iter().position(|title| *title == name).map(|at| cells[at]);
        let number = |name: &str| cell(name).map(|text| text.parse::<u32>().expect(&place));
        let name = cell("name").expect(&place);
        assert!(
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric()),
            "{place}: a name is letters and digits"
        );
        let row = Row {
            pen: number("pen").unwrap_or(0),
            id: u16::try_from(number("id").expect(&place)).expect(&place),
            name: if stem == "iana" { name.to_owned() } else { format!("{stem}:{name}") },
            data_type: variant(cell("dataType").expect(&place)),
            semantics: variant(cell("semantics").filter(|text| !text.is_empty()).unwrap_or("default")),
            units: match cell("units").unwrap_or("") {
                "" => "None".to_owned(),
                "4-octet words" => "FourOctetWords".to_owned(),
                units => variant(units),
            },
        };
        (place, row)
    });
    rows.collect()
}

/// `dateTimeSeconds` -> `DateTimeSeconds`; a word that is no variant fails to compile.
fn variant(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

fn generate(rows: &BTreeMap<(u32, u16), Row>, names: &BTreeMap<String, (u32, u16)>) -> String {
    // Ids from 32,768 on in PEN 0 exist only in NetFlow v9, which has no enterprise bit: they are searched for.
    let direct = |key: &(u32, u16)| key.0 == 0 && key.1 < 0x8000;
    let last = rows.keys().filter(|key| direct(key)).map(|key| key.1).max().expect("IANA elements");
    let mut text = String::new();
    let _ = writeln!(text, "static IANA: [Option<Element>; {}] = [", usize::from(last) + 1);
    for id in 0..=last {
        match rows.get(&(0, id)) {
            Some(row) => _ = writeln!(text, "    Some({}),", literal(row)),
            None => text.push_str("    None,\n"),
        }
    }
    let searched: Vec<&Row> = rows.iter().filter(|(key, _)| !direct(key)).map(|(_, row)| row).collect();
    let _ = writeln!(text, "];\nstatic SEARCHED: [Element; {}] = [", searched.len());
    for row in searched {
        let _ = writeln!(text, "    {},", literal(row));
    }
    let _ = writeln!(text, "];\nstatic NAMES: [(&str, u32, u16); {}] = [", names.len());
    for (name, (pen, id)) in names {
        let _ = writeln!(text, "    ({name:?}, {pen}, {id}),");
    }
    text.push_str("];\n");
    text
}

fn literal(row: &Row) -> String {
    format!(
        "Element {{ pen: {}, id: {}, name: {:?}, data_type: DataType::{}, semantics: Semantics::{}, units: Units::{} }}",
        row.pen, row.id, row.name, row.data_type, row.semantics, row.units
    )
}
