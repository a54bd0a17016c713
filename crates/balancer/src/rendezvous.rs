//! Weighted rendezvous hashing.
//!
//! Every backend draws lots for every key, and the best draw has it: the order
//! of the draws is the order of failover. A draw depends on the key and on this
//! backend alone, so that a backend that goes takes only its own keys along.
//!
//! A draw is `-ln(u) / weight`, with `u` uniform over (0, 1) by hash: the
//! smallest of exponential draws is each one's with a probability proportional
//! to its rate (<https://datatracker.ietf.org/doc/draft-ietf-bess-weighted-hrw/>).
//! The output is frozen by `tests/golden/`: changing it moves clients away
//! from the backends that know them.

use crate::hash::{mix, siphash};
use crate::policy::{Backend, Weight};

/// The keys of the hashes. Nothing up the sleeve: ASCII of what they are for.
const AFFINITY: [u64; 2] = words(*b"edgelb: affinity");
const BACKEND: [u64; 2] = words(*b"edgelb: backend ");

/// An affinity key, hashed: what equal clients have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Affinity(u64);

impl Affinity {
    pub(crate) fn of(key: &[u8]) -> Self {
        Self(siphash(AFFINITY, key))
    }
}

/// The draw of a backend for a key; the smallest is the first choice.
pub(crate) fn draw(affinity: Affinity, backend: u64, weight: Weight) -> f64 {
    let hash = mix(affinity.0 ^ backend);
    neg_ln(uniform(hash)) / f64::from(weight.as_u16())
}

/// A stable name for a backend: of its name and origin, and of nothing that may
/// change while it remains the same backend.
pub(crate) fn backend_id(backend: &Backend) -> u64 {
    let text = [
        &backend.name,
        backend.origin.scheme.as_str(),
        &backend.origin.authority,
    ]
    .join("\0");
    siphash(BACKEND, text.as_bytes())
}

/// One of the 2^52 odd multiples of 2^-53, each exact.
fn uniform(hash: u64) -> f64 {
    let odd = (hash >> 12) * 2 + 1;
    odd as f64 / (1_u64 << 53) as f64
}

/// `-ln(u)` for `u` within (0, 1).
///
/// Made of nothing but IEEE 754 additions, multiplications and divisions, which
/// every target rounds alike; the `ln` of two libraries may differ in the last
/// bit. `u` is `m * 2^e` with `m` within (0.7, 1.42), and `ln(m)` is
/// `2 atanh(s)` with `s = (m - 1) / (m + 1)`, below 0.18: eight terms leave an
/// error below 2^-45.
fn neg_ln(u: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    const BIAS: u64 = 1023;
    const SQRT_2: u64 = core::f64::consts::SQRT_2.to_bits() & MANTISSA;
    let bits = u.to_bits();
    // At SQRT_2 and above the mantissa is halved, so that `m` is about one.
    let halved = u64::from(bits & MANTISSA > SQRT_2);
    let m = f64::from_bits((bits & MANTISSA) | ((BIAS - halved) << 52));
    let binades = (BIAS - halved - (bits >> 52)) as f64;
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut series = 0.0;
    for odd in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * square + 1.0 / odd;
    }
    binades * core::f64::consts::LN_2 - 2.0 * s * series
}

const fn words(text: [u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(text);
    [number as u64, (number >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "to compare with")]
    fn the_logarithm_is_one() {
        let mut word = 1;
        let inputs = (0..10_000).map(|_| {
            word = mix(word);
            uniform(word)
        });
        let ends = [uniform(0), uniform(u64::MAX), 0.5, 0.75, 0.25, 1.0 / 3.0];
        for u in inputs.chain(ends) {
            let (ours, theirs) = (neg_ln(u), -u.ln());
            assert!(ours > 0.0, "{u:e}");
            assert!(
                (ours / theirs - 1.0).abs() < 1e-12,
                "{u:e}: {ours} {theirs}"
            );
        }
    }

    #[test]
    fn equal_backends_are_told_apart_by_name_and_origin() {
        let backend = |name: &str, authority: &str| {
            backend_id(&Backend {
                name: name.to_owned(),
                origin: crate::policy::Origin {
                    scheme: crate::head::Scheme::Https,
                    authority: authority.to_owned(),
                },
                weight: Weight::ONE,
                drain: false,
            })
        };
        let ids = [backend("a", "x"), backend("b", "x"), backend("a", "y")];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}
