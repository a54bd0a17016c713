//! The common shapes of field values
//! (<https://www.rfc-editor.org/rfc/rfc9110#section-5.6>).

use crate::bytes::{TOKEN, is_in, same};

/// The elements of a comma-separated list, trimmed, without the empty ones.
/// A comma within a quoted string separates nothing.
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    core::iter::from_fn(move || {
        while !rest.is_empty() {
            let (element, after) = rest.split_at(end_of_element(rest));
            rest = after.get(1..).unwrap_or_default();
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    })
}

/// Where the comma is that ends the first element, or where the list ends.
#[inline(never)]
fn end_of_element(list: &[u8]) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    let ends = |&byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    };
    list.iter().position(ends).unwrap_or(list.len())
}

/// The part of an element before its parameters.
pub(crate) fn bare(element: &[u8]) -> &[u8] {
    element
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

/// Whether a text is a word, in any case. Out of line, as it is asked everywhere.
#[inline(never)]
pub(crate) fn is(text: &[u8], word: &str) -> bool {
    // Nearly all that is the same in any case is the same in this.
    text.len() == word.len()
        && (same(text, word.as_bytes()) || text.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether this is a token: what names and options are made of
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_in(TOKEN, byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_at_their_own_commas() {
        let table: [(&str, &[&str]); 6] = [
            ("", &[]),
            (" , ,", &[]),
            ("a", &["a"]),
            (" a ,b,\tc ", &["a", "b", "c"]),
            (r#"a="1,2", b"#, &[r#"a="1,2""#, "b"]),
            (r#"a="1\",2", b"#, &[r#"a="1\",2""#, "b"]),
        ];
        for (list, expected) in table {
            let found: Vec<_> = elements(list.as_bytes()).collect();
            let expected: Vec<_> = expected.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(found, expected, "{list}");
        }
    }

    #[test]
    fn parameters_are_left_off() {
        for (element, expected) in [("a", "a"), ("a;q=1", "a"), ("a ; b", "a"), (";", "")] {
            assert_eq!(bare(element.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn tokens_are_neither_empty_nor_spaced() {
        for token in ["a", "X-Y_z", "!#$%&'*+-.^_`|~09"] {
            assert!(is_token(token.as_bytes()), "{token}");
        }
        for other in ["", "a b", "a:b", "a\n", "\"a\"", "a;", "\u{e9}"] {
            assert!(!is_token(other.as_bytes()), "{other}");
        }
    }
}
