//! The highest rate at which nothing is lost, found as RFC 2544 section 26.1 does: halve what is between a rate that
//! passed and one that did not.

/// Where the search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The highest rate that passed, as it was really offered; 0: none did.
    pub rate: f64,
    /// Nothing was lost at the highest rate that could be offered: the generator is the limit.
    pub bound_by_generator: bool,
}

/// Searches between `least` and `most`, to within `within` of the result (0.05: a twentieth). `offer` offers a rate
/// and says which rate was really offered and whether nothing was lost.
///
/// # Errors
/// What `offer` says.
pub fn lossless(
    least: f64,
    most: f64,
    within: f64,
    mut offer: impl FnMut(f64) -> anyhow::Result<(f64, bool)>,
) -> anyhow::Result<Found> {
    let (mut passed, mut low, mut high) = (0.0, least, most);
    let (rate, passes) = offer(most)?;
    if passes {
        return Ok(Found { rate, bound_by_generator: true });
    }
    while high - low > within * high {
        let middle = f64::midpoint(low, high);
        let (rate, passes) = offer(middle)?;
        if passes {
            (passed, low) = (rate, middle);
        } else {
            high = middle;
        }
    }
    Ok(Found { rate: passed, bound_by_generator: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_near_the_edge() {
        let found = lossless(0.0, 1_000.0, 0.01, |rate| Ok((rate, rate <= 613.0))).unwrap();
        assert!(!found.bound_by_generator && (600.0..=613.0).contains(&found.rate), "{found:?}");
        let found = lossless(0.0, 1_000.0, 0.01, |rate| Ok((rate.min(700.0), true))).unwrap();
        assert_eq!(found, Found { rate: 700.0, bound_by_generator: true });
        let found = lossless(100.0, 1_000.0, 0.05, |rate| Ok((rate, false))).unwrap();
        assert_eq!(found.rate, 0.0);
    }
}
