//! Randomness that does not depend on what else was drawn.
//!
//! Each thing that chance decides draws from a sequence of its own, named by
//! what it is. So the same seed gives the same run whatever the machine, and
//! whoever takes one fault out of a scenario does not stir all the rest.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// One sequence for each name and number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of this name and number.
    pub(crate) fn of(self, name: &str, number: u64) -> Pcg64Mcg {
        Pcg64Mcg::seed_from_u64(self.seed(name, number))
    }

    /// 64 bits for somebody else's sequence.
    pub(crate) fn seed(self, name: &str, number: u64) -> u64 {
        let mut state = mix(self.0 ^ 0x9E37_79B9_7F4A_7C15);
        for byte in name.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        mix(state ^ number)
    }
}

/// From 0 to 1, the 1 left out; 53 bits of it.
pub(crate) fn unit(dice: &mut Pcg64Mcg) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = (dice.next_u64() >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

/// A whole number below `bound`, which is not zero.
pub(crate) fn below(dice: &mut Pcg64Mcg, bound: usize) -> usize {
    let product = u128::from(dice.next_u64()) * bound as u128;
    usize::try_from(product >> 64).unwrap_or_default()
}

/// The standard normal distribution, by Box and Muller. All of `libm`, for the
/// C libraries of this world do not agree in the last bit.
pub(crate) fn normal(dice: &mut Pcg64Mcg) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit(dice)));
    radius * libm::cos(std::f64::consts::TAU * unit(dice))
}

/// The time until what happens at random `rate` times a second happens next,
/// in seconds.
pub(crate) fn exponential(dice: &mut Pcg64Mcg, rate: f64) -> f64 {
    -libm::log(1.0 - unit(dice)) / rate
}

/// The finish of SplitMix64.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_frozen() {
        let mut dice = Dice::new(7).of("client", 3);
        let drawn: Vec<_> = (0..3).map(|_| below(&mut dice, 1000)).collect();
        let (unit, normal) = (unit(&mut dice), normal(&mut dice));
        assert_eq!(drawn, [149, 810, 767]);
        assert_eq!(
            format!("{unit} {normal}"),
            "0.11728913449235134 -1.444971261821571"
        );
    }

    #[test]
    fn shares_come_out_as_they_went_in() {
        let mut dice = Dice::new(1).of("share", 0);
        let hits = (0..10_000).filter(|_| unit(&mut dice) < 0.3).count();
        assert!((2_850..3_150).contains(&hits), "{hits}");
    }
}
