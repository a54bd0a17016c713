//! Session cookies that were found genuine.
//!
//! To verify a MAC costs a third of a decision, and clients show the same cookie
//! with every request. So those that proved genuine are remembered, and known
//! again without being read. It changes no answer: what is remembered was
//! verified, and is compared whole.

use alloc::vec;
use alloc::vec::Vec;

use crate::session::{Claim, SIGNED};

/// As many are remembered at once: 80 KiB of them. Of two that share a place the
/// later stays.
const PLACES: usize = 1_024;

/// A signed cookie's value.
type Value = [u8; SIGNED];

/// The cookies remembered. It takes no memory before the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Genuine {
    places: Vec<Option<(Value, Claim)>>,
}

impl Genuine {
    /// What is claimed by a value that was found genuine before. Takes the same
    /// time wherever it differs from what is remembered, as the verification of a
    /// MAC must.
    pub(crate) fn knows(&self, value: &[u8]) -> Option<Claim> {
        let value = value.try_into().ok()?;
        let (remembered, claim) = self.places.get(place(value))?.as_ref()?;
        let pairs = words(remembered).zip(words(value));
        let difference = pairs.fold(0, |difference, (one, other)| difference | (one ^ other));
        (difference == 0).then_some(*claim)
    }

    /// Remembers what was found genuine.
    pub(crate) fn remember(&mut self, value: &[u8], claim: Claim) {
        let Ok(value) = value.try_into() else { return };
        if self.places.is_empty() {
            self.places = vec![None; PLACES];
        }
        if let Some(place) = self.places.get_mut(place(value)) {
            *place = Some((*value, claim));
        }
    }
}

/// Where one is kept. Its end is the MAC's, which is as good as random.
fn place(value: &Value) -> usize {
    let end = value.last_chunk().map_or(0, |&end| u32::from_le_bytes(end));
    (end.wrapping_mul(0x9E37_79B1) >> 16) as usize % PLACES
}

/// All of a value, some of it twice.
fn words(value: &Value) -> impl Iterator<Item = u64> {
    let (words, _) = value.as_chunks();
    let words = words.iter().chain(value.last_chunk());
    words.map(|&word| u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const CLAIM: Claim = Claim {
        backend: 1,
        issued: Timestamp::from_millis(1_000),
    };

    #[test]
    fn only_what_was_remembered_is_known() {
        let mut genuine = Genuine::default();
        let value: Value = core::array::from_fn(|index| index as u8);
        assert_eq!(genuine.knows(&value), None);
        genuine.remember(&value, CLAIM);
        assert_eq!(genuine.knows(&value), Some(CLAIM));
        assert_eq!(genuine.knows(&value[1..]), None);
        for index in 0..value.len() {
            let mut other = value;
            other[index] ^= 0x80;
            assert_eq!(genuine.knows(&other), None, "at {index}");
        }
    }

    #[test]
    fn of_two_in_one_place_the_later_stays() {
        let mut genuine = Genuine::default();
        let (mut first, mut second) = ([7; SIGNED], [7; SIGNED]);
        (first[0], second[0]) = (1, 2);
        genuine.remember(&first, CLAIM);
        genuine.remember(&second, CLAIM);
        assert_eq!(genuine.knows(&first), None);
        assert_eq!(genuine.knows(&second), Some(CLAIM));
    }
}
