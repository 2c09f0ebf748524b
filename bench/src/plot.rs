//! Rows of results -> one picture (SVG) a figure: a bar for us, one for each peer, one for each size where it grows.

use serde_json::Value;
use svg::Document;
use svg::node::element::{Rectangle, Text};

/// What a row may be measured at. A bar is named after those in which it differs from the first one.
const PARAMETERS: [&str; 6] = ["block", "exporters", "templates", "routes", "octets", "workers"];

const WIDTH: f64 = 900.0;
/// Left of the bars: their names.
const NAMES: f64 = 420.0;
/// Right of the bars: their values.
const VALUES: f64 = 110.0;
const TITLE: f64 = 40.0;
const LINE: f64 = 26.0;

/// One bar.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    name: String,
    value: f64,
    ours: bool,
}

/// The pictures of all figures in `rows` (of `results/latest.json`), with the figures' names.
#[must_use]
pub fn pictures(rows: &[Value]) -> Vec<(String, Document)> {
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    names.dedup();
    let figure = |name: &str| {
        let of: Vec<&Value> = rows.iter().filter(|row| row["name"] == name).collect();
        let unit = of.first().and_then(|row| row["unit"].as_str()).unwrap_or_default();
        (name.to_owned(), picture(name, unit, &bars(&of)))
    };
    names.into_iter().map(figure).collect()
}

/// Ours once for each set of parameters, and every peer.
fn bars(rows: &[&Value]) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let named = |row: &Value, name: &str| {
        let text = row[name].as_str().map(str::to_owned);
        text.or_else(|| row[name].as_u64().map(|value| format!("{} {name}", grouped(value))))
    };
    for row in rows {
        let all = PARAMETERS.iter().filter_map(|name| Some((*name, named(row, name)?)));
        let all: Vec<(&str, String)> = all.collect();
        let differs =
            |(name, _): &&(&str, String)| rows.first().is_some_and(|first| first[*name] != row[*name]);
        let different: Vec<&str> = all.iter().filter(differs).map(|(_, text)| text.as_str()).collect();
        let at = if different.is_empty() {
            all.iter().map(|(_, text)| text.as_str()).collect()
        } else {
            different
        };
        let ours = if at.is_empty() { "Millrace".to_owned() } else { at.join(", ") };
        // A row of growth is held against the smallest of its own.
        let peer = row["peer_name"].as_str().filter(|_| at.is_empty());
        let both = [(Some(ours.as_str()), "ours"), (peer, "peer")];
        for (name, side) in both {
            let (Some(name), Some(value)) = (name, row[side].as_f64()) else { continue };
            let bar = Bar { name: name.to_owned(), value, ours: side == "ours" };
            if !bars.contains(&bar) {
                bars.push(bar);
            }
        }
    }
    bars
}

fn picture(name: &str, unit: &str, bars: &[Bar]) -> Document {
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = TITLE + LINE * bars.len() as f64 + 10.0;
    let text = |x: f64, y: f64, anchor: &str, words: String| {
        Text::new(words).set("x", x).set("y", y).set("text-anchor", anchor).set("fill", "#222")
    };
    let better = if unit.contains("/s") { "more" } else { "less" };
    let document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "sans-serif")
        .set("font-size", 13)
        .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "#fff"))
        .add(
            text(10.0, 22.0, "start", format!("{name} [{unit}], {better} is better"))
                .set("font-weight", "bold"),
        );
    bars.iter().enumerate().fold(document, |document, (nth, bar)| {
        let top = TITLE + LINE * nth as f64;
        let length = (WIDTH - NAMES - VALUES) * bar.value / most;
        let shape = Rectangle::new().set("x", NAMES).set("y", top).set("height", LINE - 8.0);
        let colour = if bar.ours { "#1f6feb" } else { "#b0b7c3" };
        document
            .add(text(NAMES - 8.0, top + 14.0, "end", bar.name.clone()))
            .add(shape.set("width", length.max(1.0)).set("fill", colour))
            .add(text(NAMES + length + 6.0, top + 14.0, "start", short(bar.value)))
    })
}

/// Three digits and a prefix of the SI.
fn short(value: f64) -> String {
    let (value, prefix) = match value {
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let digits = if value >= 100.0 || value == 0.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{prefix}")
}

/// Digits in groups of three.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_side_has_one_bar() {
        let rows = [
            json!({"name": "a", "unit": "x/s", "ours": 3e6, "peer": 1e6, "peer_name": "p"}),
            json!({"name": "a", "unit": "x/s", "ours": 3e6, "peer": 2e6, "peer_name": "q"}),
            json!({"name": "b", "unit": "ns", "ours": 7.0, "peer": 7.0, "peer_name": "x", "exporters": 10, "workers": 1}),
            json!({"name": "b", "unit": "ns", "ours": 9.0, "peer": 7.0, "peer_name": "x", "exporters": 10_000, "workers": 1}),
        ];
        let names = |of: &[Value]| -> Vec<String> {
            bars(&of.iter().collect::<Vec<_>>()).into_iter().map(|bar| bar.name).collect()
        };
        assert_eq!(names(&rows[..2]), ["Millrace", "p", "q"]);
        assert_eq!(names(&rows[2..]), ["10 exporters, 1 workers", "10,000 exporters"]);
        let pictures = pictures(&rows);
        assert_eq!(pictures.len(), 2);
        let text = pictures[0].1.to_string();
        assert!(text.contains("3.00 M") && text.contains("more is better"), "{text}");
    }

    #[test]
    fn values_have_three_digits() {
        let given = [0.0, 0.17, 8.8, 589.0, 23_501.0, 23_501_908.0];
        assert_eq!(given.map(short), ["0", "0.17", "8.80", "589", "23.5 k", "23.5 M"]);
    }
}
