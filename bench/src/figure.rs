//! Runs of several sides in turn -> medians, ratios, spread, and one row for each peer.

use serde_json::{Value, json};

/// A side that we are measured beside: its name, and one run of it.
pub type Peer<'a> = (&'static str, Box<dyn FnMut() -> f64 + 'a>);

/// One figure: our runs, and those of each peer, interleaved.
#[derive(Clone, Debug)]
pub struct Figure {
    name: &'static str,
    unit: &'static str,
    ours: Vec<f64>,
    peers: Vec<(&'static str, Vec<f64>)>,
}

impl Figure {
    /// Runs all sides in turn, `runs` times each, after one run of each that does not count.
    pub fn measure(
        name: &'static str,
        unit: &'static str,
        runs: usize,
        mut ours: impl FnMut() -> f64,
        peers: &mut [Peer<'_>],
    ) -> Self {
        let named = peers.iter().map(|(peer, _)| (*peer, Vec::new())).collect();
        let mut figure = Self { name, unit, ours: Vec::new(), peers: named };
        for run in 0..=runs {
            let value = ours();
            if run > 0 {
                figure.ours.push(value);
            }
            for ((_, values), (_, peer)) in figure.peers.iter_mut().zip(&mut *peers) {
                let value = peer();
                if run > 0 {
                    values.push(value);
                }
            }
        }
        figure
    }

    /// The rows of `results/latest.json`, one for each peer. `spread` is (largest - smallest) / median of our runs.
    pub fn to_json(&self) -> impl Iterator<Item = Value> + '_ {
        let ours = median(&self.ours);
        self.peers.iter().map(move |(peer_name, values)| {
            let peer = median(values);
            json!({
                "name": self.name, "unit": self.unit, "ours": ours, "peer": peer, "peer_name": peer_name,
                "ratio": ours / peer, "runs": self.ours.len(), "spread": spread(&self.ours),
            })
        })
    }

    /// Lines of the printed table.
    pub fn to_lines(&self) -> impl Iterator<Item = String> + '_ {
        let ours = median(&self.ours);
        self.peers.iter().map(move |(peer_name, values)| {
            let peer = median(values);
            format!(
                "{:<28} {ours:>14.0} {peer:>14.0} {:>7.2} {:>6.0} %  {} ({})",
                self.name,
                ours / peer,
                spread(&self.ours) * 100.0,
                peer_name,
                self.unit
            )
        })
    }
}

/// (Largest - smallest) / median.
#[must_use]
pub fn spread(values: &[f64]) -> f64 {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    (most - least) / median(values)
}

/// The middle one.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_does_not_count() {
        let mut given = [100.0, 1.0, 3.0, 2.0].into_iter();
        let mut peers: [Peer<'_>; 2] = [("a", Box::new(|| 4.0)), ("b", Box::new(|| 1.0))];
        let figure = Figure::measure("n", "u", 3, || given.next().unwrap(), &mut peers);
        let rows: Vec<_> = figure.to_json().collect();
        assert_eq!(
            (&rows[0]["ours"], &rows[0]["ratio"], &rows[0]["spread"]),
            (&2.0.into(), &0.5.into(), &1.0.into())
        );
        assert_eq!((&rows[1]["peer_name"], &rows[1]["ratio"]), (&"b".into(), &2.0.into()));
    }
}
