//! Field lines in one block of bytes: `name:value\n` each (RFC 9110 section 5).

/// A borrowed block of field lines.
///
/// Lines that have no colon or an empty name are skipped: a block is input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Views a block.
    pub const fn new(block: &'a [u8]) -> Self {
        Self(block)
    }

    /// Names and values, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.0.split(|&byte| byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = str::from_utf8(&line[..colon]).ok()?;
            (!name.is_empty()).then_some((name, &line[colon + 1..]))
        })
    }

    /// The values of a field, in order; names compare without regard to case.
    pub fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
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
        self.0
            .extend(value.as_ref().iter().filter(|&&byte| byte != b'\n'));
        self.0.push(b'\n');
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
