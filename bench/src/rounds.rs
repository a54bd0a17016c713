//! Turns, taken in rounds, and what came of them.

use crate::statistics::median;

/// The figures of several that were measured in turns: one each a round, in
/// the order of the rounds.
pub(crate) struct Rounds<K, F>(Vec<(K, Vec<F>)>);

/// Ratios of the same rounds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Gives each its turn in every round. Nobody always comes after the same one.
///
/// # Errors
/// Those of a turn.
pub(crate) async fn alternate<K: Copy + PartialEq, R, F>(
    rounds: u32,
    mut contestants: Vec<(K, R)>,
    turn: impl AsyncFn(u32, K, &R) -> anyhow::Result<F>,
) -> anyhow::Result<Rounds<K, F>> {
    let mut all: Vec<(K, Vec<F>)> = contestants
        .iter()
        .map(|(key, _)| (*key, Vec::new()))
        .collect();
    for round in 1..=rounds {
        for (key, contestant) in &contestants {
            let figures = turn(round, *key, contestant).await?;
            if let Some((_, kept)) = all.iter_mut().find(|(other, _)| other == key) {
                kept.push(figures);
            }
        }
        contestants.rotate_left(1);
    }
    Ok(Rounds(all))
}

impl<K: Copy + PartialEq, F> Rounds<K, F> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &[F])> + '_ {
        self.0.iter().map(|(key, figures)| (*key, &figures[..]))
    }

    /// The median of a figure; `None` of who did not take part.
    pub(crate) fn median(&self, key: K, figure: impl Fn(&F) -> f64) -> Option<f64> {
        Some(median(self.of(key)?.iter().map(figure)))
    }

    /// The greatest of a figure; `None` of who did not take part.
    pub(crate) fn most(&self, key: K, figure: impl Fn(&F) -> f64) -> Option<f64> {
        self.of(key)?.iter().map(figure).reduce(f64::max)
    }

    /// One's figure divided by the other's in each round; `None` where one
    /// did not take part.
    pub(crate) fn ratio(&self, one: K, other: K, figure: impl Fn(&F) -> f64) -> Option<Ratio> {
        let pairs = self.of(one)?.iter().zip(self.of(other)?);
        let ratios: Vec<f64> = pairs
            .map(|(one, other)| figure(one) / figure(other))
            .collect();
        Some(Ratio {
            median: median(ratios.iter().copied()),
            least: ratios.iter().copied().reduce(f64::min)?,
            most: ratios.iter().copied().reduce(f64::max)?,
        })
    }

    fn of(&self, key: K) -> Option<&[F]> {
        let mut all = self.iter();
        all.find_map(|(it, figures)| (it == key && !figures.is_empty()).then_some(figures))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn ratios_are_those_of_the_same_rounds() {
        let contestants = vec![('a', 1.0), ('b', 10.0)];
        let rounds = alternate(3, contestants, async |round, _, factor: &f64| {
            Ok(factor * f64::from(round))
        });
        let rounds = rounds.await.unwrap();
        let ratio = rounds.ratio('b', 'a', |it| *it).unwrap();
        assert_eq!((ratio.least, ratio.median, ratio.most), (10.0, 10.0, 10.0));
        assert_eq!(rounds.median('a', |it| *it), Some(2.0));
        assert_eq!(rounds.most('b', |it| *it), Some(30.0));
        assert_eq!(rounds.median('c', |it| *it), None);
    }

    #[tokio::test]
    async fn nobody_always_comes_first() {
        let order = std::cell::RefCell::new(String::new());
        alternate(
            3,
            vec![('a', ()), ('b', ()), ('c', ())],
            async |_, key, ()| {
                order.borrow_mut().push(key);
                Ok(())
            },
        )
        .await
        .unwrap();
        assert_eq!(order.into_inner(), "abcbcacab");
    }
}
