//! Runs of two sides -> medians, their ratio and their spread.

use serde_json::{Value, json};

/// One figure: ours and a peer's, run in turn.
#[derive(Clone, Debug)]
pub struct Figure {
    name: &'static str,
    unit: &'static str,
    peer_name: &'static str,
    ours: Vec<f64>,
    peer: Vec<f64>,
}

impl Figure {
    /// Runs both sides in turn, `runs` times each, after one run of each that does not count.
    pub fn measure(
        name: &'static str,
        unit: &'static str,
        peer_name: &'static str,
        runs: usize,
        mut ours: impl FnMut() -> f64,
        mut peer: impl FnMut() -> f64,
    ) -> Self {
        let mut figure = Self { name, unit, peer_name, ours: Vec::new(), peer: Vec::new() };
        for run in 0..=runs {
            let (a, b) = (ours(), peer());
            if run > 0 {
                figure.ours.push(a);
                figure.peer.push(b);
            }
        }
        figure
    }

    /// The row of `results/latest.json`. `spread` is (largest - smallest) / median of our runs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (ours, peer) = (median(&self.ours), median(&self.peer));
        json!({
            "name": self.name, "unit": self.unit, "ours": ours, "peer": peer, "peer_name": self.peer_name,
            "ratio": ours / peer, "runs": self.ours.len(), "spread": self.spread(),
        })
    }

    /// A line of the printed table.
    #[must_use]
    pub fn to_line(&self) -> String {
        let (ours, peer) = (median(&self.ours), median(&self.peer));
        format!(
            "{:<28} {ours:>14.0} {peer:>14.0} {:>7.2} {:>6.0} %  {} ({})",
            self.name,
            ours / peer,
            self.spread() * 100.0,
            self.peer_name,
            self.unit
        )
    }

    fn spread(&self) -> f64 {
        let least = self.ours.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.ours.iter().copied().fold(0.0, f64::max);
        (most - least) / median(&self.ours)
    }
}

fn median(values: &[f64]) -> f64 {
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
        let figure = Figure::measure("n", "u", "p", 3, || given.next().unwrap(), || 4.0);
        assert_eq!(figure.to_json()["ours"], 2.0);
        assert_eq!(figure.to_json()["ratio"], 0.5);
        assert_eq!(figure.to_json()["spread"], 1.0);
    }
}
