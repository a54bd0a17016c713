//! Cookies as clients send them
//! (<https://www.rfc-editor.org/rfc/rfc6265#section-4.2>).

use alloc::vec::Vec;

use crate::bytes::{find, same};

/// A cookie in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie<'a> {
    pub(crate) value: &'a [u8],
    /// The cookies before it.
    before: &'a [u8],
    /// Those behind it, from their semicolon.
    after: &'a [u8],
}

impl<'a> Cookie<'a> {
    /// The first of this name.
    pub(crate) fn find(field: &'a [u8], name: &str) -> Option<Self> {
        let mut start = 0;
        while let Some(rest) = field.get(start..) {
            let end = start + find(b';', rest);
            if let Some(value) = value(&field[start..end], name) {
                return Some(Self {
                    value,
                    before: field[..start].trim_ascii_start(),
                    after: &field[end..],
                });
            }
            start = end + 1;
        }
        None
    }

    /// The field without it, in two parts.
    pub(crate) fn rest(self) -> [&'a [u8]; 2] {
        match self.before {
            [before @ .., b';'] if !before.is_empty() => [before, self.after],
            _ => {
                let after = self.after.strip_prefix(b";").unwrap_or_default();
                [&[], after.trim_ascii_start()]
            }
        }
    }

    /// Whether another of the name follows it.
    pub(crate) fn is_repeated(self, name: &str) -> bool {
        Self::find(self.after, name).is_some()
    }
}

/// The field without the cookies of this name, the others byte for byte; `None`
/// if there were none.
pub(crate) fn without(field: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut rest = Vec::with_capacity(field.len());
    let mut found = false;
    for pair in field.split(|&byte| byte == b';') {
        if value(pair, name).is_some() {
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

/// The value of a cookie, if it is of this name.
fn value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (named, value) = pair.trim_ascii_start().split_at_checked(name.len())?;
    let value = value.strip_prefix(b"=")?;
    same(named, name.as_bytes()).then(|| value.trim_ascii_end())
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
            let found = Cookie::find(field.as_bytes(), "lb");
            let found = found.map(|cookie| cookie.value);
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
            let cookie = Cookie::find(field.as_bytes(), "lb");
            if let Some(cookie) = cookie.filter(|cookie| !cookie.is_repeated("lb")) {
                assert_eq!(Some(cookie.rest().concat()), rest, "{field}");
            }
        }
    }
}
