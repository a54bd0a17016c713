//! Field lines in one block of bytes: `name:value\n` each (RFC 9110 section 5).

use alloc::vec::Vec;

use crate::bytes::{find, same};
use crate::lists::is;

/// A borrowed block of field lines.
///
/// Lines that have no colon or an empty name are skipped: a block is input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Views a block.
    pub const fn new(block: &'a [u8]) -> Self {
        Self(block)
    }

    /// Names and values, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.lines()
            .filter_map(|(name, value)| Some((str::from_utf8(name).ok()?, value)))
    }

    /// The same, names unchecked: what is looked at on every request.
    pub(crate) fn lines(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self;
        core::iter::from_fn(move || rest.next())
    }

    /// The values of a field, in order; names compare without regard to case.
    pub fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self;
        core::iter::from_fn(move || rest.next_named(name))
    }

    /// Takes the first line if it is this pseudo-header field, by its name with the
    /// colon before it, and its value is text
    /// (<https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1>). To all else such
    /// lines are none.
    pub fn take_pseudo(&mut self, name: &str) -> Option<&'a str> {
        let (named, rest) = self.0.split_at_checked(name.len())?;
        let rest = rest
            .strip_prefix(b":")
            .filter(|_| same(named, name.as_bytes()))?;
        let (value, rest) = rest.split_at(find(b'\n', rest));
        let value = str::from_utf8(value).ok()?;
        self.0 = rest.get(1..).unwrap_or_default();
        Some(value)
    }

    /// Takes the first line.
    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        while !self.0.is_empty() {
            let (line, rest) = self.0.split_at(find(b'\n', self.0));
            self.0 = rest.get(1..).unwrap_or_default();
            let (name, value) = line.split_at(find(b':', line));
            if let ([_, ..], [_, value @ ..]) = (name, value) {
                return Some((name, value));
            }
        }
        None
    }

    /// Takes the lines up to the first of this name.
    #[inline(never)]
    fn next_named(&mut self, name: &str) -> Option<&'a [u8]> {
        loop {
            let (field, value) = self.next()?;
            if is(field, name) {
                return Some(value);
            }
        }
    }
}

/// An owned block of field lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldLines(Vec<u8>);

impl FieldLines {
    /// An empty block.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a line. Line feeds, which no field can contain, are left out.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b':');
        push_line(&mut self.0, value.as_ref());
    }

    /// A view of it.
    pub fn fields(&self) -> Fields<'_> {
        Fields::new(&self.0)
    }

    /// The block.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Appends a text, and the line feed that ends it. Those within it, which no field
/// can contain, are left out.
pub(crate) fn push_line(block: &mut Vec<u8>, text: &[u8]) {
    if find(b'\n', text) == text.len() {
        block.extend_from_slice(text);
    } else {
        block.extend(text.iter().filter(|&&byte| byte != b'\n'));
    }
    block.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_field_is_passed_over() {
        let block = b"a:1\n\nb\n:2\n\xff:3\nB:\nA: 4:5 \nlast:6";
        let found: Vec<_> = Fields::new(block).iter().collect();
        let expected: [(&str, &[u8]); 4] =
            [("a", b"1"), ("B", b""), ("A", b" 4:5 "), ("last", b"6")];
        assert_eq!(found, expected);
        let values: Vec<_> = Fields::new(block).values("a").collect();
        assert_eq!(values, [&b"1"[..], b" 4:5 "]);
    }

    #[test]
    fn pseudo_header_fields_come_first_and_in_order() {
        let mut fields = Fields::new(b":method:GET\n:path:/a:b\n:status:\n:path:\xff\nx::path:1\n");
        assert_eq!(fields.take_pseudo(":authority"), None);
        assert_eq!(fields.take_pseudo(":path"), None);
        assert_eq!(fields.take_pseudo(":method"), Some("GET"));
        assert_eq!(fields.take_pseudo(":path"), Some("/a:b"));
        assert_eq!(fields.take_pseudo(":status"), Some(""));
        assert_eq!(fields.take_pseudo(":path"), None, "no text");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("x", &b":path:1"[..])]);
        assert_eq!(Fields::new(b":path:/").take_pseudo(":path"), Some("/"));
    }

    #[test]
    fn lines_are_one_line_each() {
        let mut lines = FieldLines::new();
        lines.push("a", "1\n2");
        assert_eq!(
            lines.fields().iter().collect::<Vec<_>>(),
            [("a", &b"12"[..])]
        );
    }
}
