//! Cookies as clients send them
//! (<https://www.rfc-editor.org/rfc/rfc6265#section-4.2>).

use alloc::vec::Vec;

use crate::fields::find;

/// The value of the first cookie of this name.
pub(crate) fn value<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pairs(field)
        .find(|pair| is_named(pair, name))
        .map(|pair| &pair.trim_ascii()[name.len() + 1..])
}

/// The field without the cookies of this name, the others byte for byte; `None`
/// if there were none.
pub(crate) fn without(field: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut found = false;
    let mut rest = Vec::with_capacity(field.len());
    for pair in pairs(field) {
        if is_named(pair, name) {
            found = true;
        } else if rest.is_empty() {
            rest.extend_from_slice(pair.trim_ascii_start());
        } else {
            rest.push(b';');
            rest.extend_from_slice(pair);
        }
    }
    found.then_some(rest)
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    core::iter::from_fn(move || {
        let (pair, after) = rest?.split_at(find(b';', rest?));
        rest = after.get(1..);
        Some(pair)
    })
}

fn is_named(pair: &[u8], name: &str) -> bool {
    pair.trim_ascii_start()
        .strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_name_is_found() {
        let table: [(&str, Option<&str>); 7] = [
            ("", None),
            ("lb=1", Some("1")),
            ("a=b; lb=1; lb=2", Some("1")),
            ("a=b;lb=x=y ", Some("x=y")),
            ("lbx=1; LB=2", None),
            ("a=lb=1", None),
            ("lb", None),
        ];
        for (field, expected) in table {
            let found = value(field.as_bytes(), "lb");
            assert_eq!(found, expected.map(str::as_bytes), "{field}");
        }
    }

    #[test]
    fn the_others_stay_as_they_are() {
        let table: [(&str, Option<&str>); 8] = [
            ("a=1; b=2", None),
            ("lb=1", Some("")),
            ("lb=1; a=1", Some("a=1")),
            ("a=1; lb=1", Some("a=1")),
            ("a=1; lb=1; b=2", Some("a=1; b=2")),
            ("a=1;lb=1;  b=\"2\" ;c", Some("a=1;  b=\"2\" ;c")),
            ("lb=1; lb=2", Some("")),
            ("a=lb=1", None),
        ];
        for (field, expected) in table {
            let rest = without(field.as_bytes(), "lb");
            assert_eq!(rest.as_deref(), expected.map(str::as_bytes), "{field}");
        }
    }
}
