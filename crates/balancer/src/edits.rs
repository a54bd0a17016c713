//! What to do to the fields of a message, as data.

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

    /// Removes every field of this name.
    pub fn remove(&mut self, name: &str) {
        self.0.push(b'-');
        self.text(name.as_bytes());
        self.0.push(b'\n');
    }

    /// Replaces every field of this name by one.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.line(b'=', name, value.as_ref());
    }

    /// Appends a field.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) {
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
        self.0.push(kind);
        self.text(name.as_bytes());
        self.0.push(b':');
        self.text(value);
        self.0.push(b'\n');
    }

    /// Line feeds separate edits, and no field can contain one.
    fn text(&mut self, text: &[u8]) {
        self.0.extend(text.iter().filter(|&&byte| byte != b'\n'));
    }
}
