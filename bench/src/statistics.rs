//! Order statistics of small samples.

/// The value below which the given share of the sample lies (nearest rank);
/// zero for an empty sample.
pub(crate) fn quantile(sample: &mut [f64], share: f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let rank = (share * sample.len() as f64).ceil() as usize;
    sample.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// The middle of the sample; of an even number, the mean of the middle two.
pub(crate) fn median(sample: impl IntoIterator<Item = f64>) -> f64 {
    let mut sample: Vec<f64> = sample.into_iter().collect();
    sample.sort_by(f64::total_cmp);
    let middle = sample.len() / 2;
    match sample.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sample[middle],
        _ => f64::midpoint(sample[middle - 1], sample[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let mut sample: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut sample, 0.5), 50.0);
        assert_eq!(quantile(&mut sample, 0.99), 99.0);
        assert_eq!(quantile(&mut sample, 1.0), 100.0);
        assert_eq!(quantile(&mut [7.0], 0.01), 7.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }
}
