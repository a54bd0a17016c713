//! Session cookies that were found genuine.
//!
//! To verify a MAC costs a third of a decision, and clients show the same cookie
//! with every request. So those that proved genuine are remembered, and known
//! again without their MAC being computed. It changes no answer: what is
//! remembered was verified, and is compared whole.

use alloc::vec;
use alloc::vec::Vec;

/// As many are remembered at once: 32 KiB of them. Of two that share a place the
/// later stays.
const PLACES: usize = 1_024;

/// What is signed and its MAC behind it, zeros behind both.
pub(crate) type Signed = [u8; 32];

/// The cookies remembered. It takes no memory before the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Genuine {
    places: Vec<Option<Signed>>,
}

impl Genuine {
    /// Whether this was found genuine before. Takes the same time wherever it
    /// differs from what is remembered, as the verification of a MAC must.
    pub(crate) fn knows(&self, signed: &Signed, mac: &[u8]) -> bool {
        let remembered = self.places.get(place(mac)).and_then(Option::as_ref);
        remembered.is_some_and(|remembered| {
            let pairs = words(remembered).into_iter().zip(words(signed));
            pairs.fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
        })
    }

    /// Remembers what was found genuine.
    pub(crate) fn remember(&mut self, signed: Signed, mac: &[u8]) {
        if self.places.is_empty() {
            self.places = vec![None; PLACES];
        }
        if let Some(place) = self.places.get_mut(place(mac)) {
            *place = Some(signed);
        }
    }
}

/// Where one is kept: a MAC is as good as random.
fn place(mac: &[u8]) -> usize {
    let number = mac
        .first_chunk()
        .map_or(0, |&bytes| u16::from_le_bytes(bytes));
    usize::from(number) % PLACES
}

fn words(signed: &Signed) -> [u64; 4] {
    let (chunks, _) = signed.as_chunks();
    core::array::from_fn(|index| u64::from_le_bytes(chunks[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_remembered_is_known() {
        let mut genuine = Genuine::default();
        let signed = core::array::from_fn(|index| index as u8);
        let mac = [7; 16];
        assert!(!genuine.knows(&signed, &mac));
        genuine.remember(signed, &mac);
        assert!(genuine.knows(&signed, &mac));
        for index in 0..signed.len() {
            let mut other = signed;
            other[index] ^= 0x80;
            assert!(!genuine.knows(&other, &mac), "at {index}");
        }
    }

    #[test]
    fn of_two_in_one_place_the_later_stays() {
        let mut genuine = Genuine::default();
        let (first, second) = ([1; 32], [2; 32]);
        genuine.remember(first, &[7; 16]);
        genuine.remember(second, &[7; 16]);
        assert!(!genuine.knows(&first, &[7; 16]));
        assert!(genuine.knows(&second, &[7; 16]));
    }
}
