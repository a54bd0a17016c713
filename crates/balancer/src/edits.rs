//! What to do to the fields of a message, as data.

use alloc::vec::Vec;

use crate::bytes::find;
use crate::fields::push_line;

/// One edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Remove every field of this name.
    Remove(&'a str),
    /// Replace every field of this name by one.
    Set(&'a str, &'a [u8]),
    /// Append one field.
    Append(&'a str, &'a [u8]),
}

/// Edits in order, packed as they cross the component boundary: `-name`,
/// `=name:value` or `+name:value`, each followed by a line feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits(Vec<u8>);

impl Edits {
    /// No edits.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No edits, with room for this many bytes of them.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends other edits.
    pub(crate) fn extend(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// Appends edits as they are packed.
    pub(crate) fn packed(&mut self, edits: &'static str) {
        self.0.extend_from_slice(edits.as_bytes());
    }

    /// Removes every field of this name, however it came.
    pub fn remove(&mut self, name: &str) {
        self.0.push(b'-');
        let start = self.0.len();
        self.0.extend_from_slice(name.as_bytes());
        self.0[start..].make_ascii_lowercase();
        self.0.push(b'\n');
    }

    /// Replaces every field of this name, in lower case, by one.
    pub fn set(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        self.line(b'=', name, value.as_ref());
    }

    /// The same with a value in parts, each of them our own or read from a line, and
    /// so without a line feed.
    pub(crate) fn set_parts(&mut self, name: &'static str, value: &[&[u8]]) {
        self.name(b'=', name);
        for part in value.iter().filter(|part| !part.is_empty()) {
            debug_assert_eq!(find(b'\n', part), part.len());
            self.0.extend_from_slice(part);
        }
        self.0.push(b'\n');
    }

    /// Appends a field of this name, in lower case.
    pub fn append(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        self.line(b'+', name, value.as_ref());
    }

    /// The edits in order.
    pub fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        self.0.split(|&byte| byte == b'\n').filter_map(|line| {
            let (&kind, rest) = line.split_first()?;
            let (name, value) = match rest.iter().position(|&byte| byte == b':') {
                Some(colon) => (&rest[..colon], &rest[colon + 1..]),
                None => (rest, &[][..]),
            };
            let name = str::from_utf8(name).ok()?;
            Some(match kind {
                b'-' => Edit::Remove(name),
                b'=' => Edit::Set(name, value),
                _ => Edit::Append(name, value),
            })
        })
    }

    /// The packed form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The packed form.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn line(&mut self, kind: u8, name: &str, value: &[u8]) {
        self.name(kind, name);
        push_line(&mut self.0, value);
    }

    fn name(&mut self, kind: u8, name: &str) {
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b':');
    }
}

#[cfg(test)]
impl Edits {
    /// What becomes of some fields, one line each.
    pub(crate) fn applied(&self, fields: crate::fields::Fields<'_>) -> Vec<String> {
        let line = |name: &str, value: &[u8]| {
            let value = String::from_utf8_lossy(value).into_owned();
            (name.to_owned(), value)
        };
        let mut lines: Vec<_> = fields
            .iter()
            .map(|(name, value)| line(name, value))
            .collect();
        for edit in self.iter() {
            if let Edit::Remove(name) | Edit::Set(name, _) = edit {
                lines.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            }
            if let Edit::Set(name, value) | Edit::Append(name, value) = edit {
                lines.push(line(name, value));
            }
        }
        lines
            .into_iter()
            .map(|(name, value)| format!("{name}:{value}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_what_was_said() {
        let mut edits = Edits::new();
        edits.remove("A");
        edits.set("b", "1:2");
        edits.append("c-d", [0xff, b'\n', b'x']);
        assert_eq!(edits.as_bytes(), b"-a\n=b:1:2\n+c-d:\xffx\n");
        let read: Vec<_> = edits.iter().collect();
        let said = [
            Edit::Remove("a"),
            Edit::Set("b", b"1:2"),
            Edit::Append("c-d", b"\xffx"),
        ];
        assert_eq!(read, said);
    }
}
