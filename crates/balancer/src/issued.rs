//! Session cookies that were issued last.

use alloc::string::String;
use alloc::vec::Vec;

/// The value issued last with each backend. A cookie is dated to the second, so that all
/// of one second and backend are the same: it takes one MAC, however many are issued. Like
/// all that a ledger remembers it is of one policy, and of its secret.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issued(Vec<Option<(u64, String)>>);

impl Issued {
    /// The value of a backend and second, made if it is not the last one's.
    pub(crate) fn value(
        &mut self,
        backend: usize,
        second: u64,
        make: impl FnOnce() -> Option<String>,
    ) -> Option<&str> {
        let last = self.0.get(backend).and_then(Option::as_ref);
        if last.is_none_or(|(of, _)| *of != second) {
            let value = make()?;
            if self.0.len() <= backend {
                self.0.resize(backend + 1, None);
            }
            self.0[backend] = Some((second, value));
        }
        let last = self.0.get(backend)?.as_ref();
        last.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_last_ones_is_not_made_again() {
        let mut issued = Issued::default();
        let mut made = 0;
        for (backend, second, expected) in [
            (1, 5, "1 5"),
            (1, 5, "1 5"),
            (0, 5, "0 5"),
            (1, 6, "1 6"),
            (1, 5, "1 5"),
            (0, 5, "0 5"),
        ] {
            let value = issued.value(backend, second, || {
                made += 1;
                Some(format!("{backend} {second}"))
            });
            assert_eq!(value, Some(expected));
        }
        assert_eq!(made, 4);
        assert_eq!(issued.value(7, 5, || None), None);
    }
}
