//! Edits to the fields of a message, as the door has them.

use memchr::memchr_iter;

use crate::lines;

/// Edits, read once and carried out as often as needed.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    text: Vec<u8>,
    /// Those that take out what there is.
    removed: Vec<Edit>,
    /// The lengths of their names, a bit each: most fields have another, and are not
    /// looked at further.
    lengths: u64,
    /// Those that add what is not taken out again.
    added: Vec<Edit>,
}

/// Field lines, and what is done to them on their way out: nothing is copied
/// before it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edited<'a> {
    lines: &'a [u8],
    edits: &'a Edits,
}

impl<'a> Edited<'a> {
    /// The fields, in order.
    pub(crate) fn each(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.edits.each(self.lines)
    }

    /// The value of the first field of this name, which is one of lower case.
    pub(crate) fn find(self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.each();
        let found = fields.find(|(other, _)| *other == name.as_bytes());
        found.map(|(_, value)| value)
    }

    /// The lines that they become.
    pub(crate) fn lines(self) -> Vec<u8> {
        let mut lines = Vec::with_capacity(self.lines.len() + self.edits.text.len());
        for (name, value) in self.each() {
            lines.extend_from_slice(name);
            lines.push(b':');
            lines.extend_from_slice(value);
            lines.push(b'\n');
        }
        lines
    }
}

/// Room for the edits of each kind that an ordinary message has.
const USUAL: usize = 8;

/// Where the parts of an edit are.
#[derive(Clone, Copy, Debug)]
struct Edit {
    kind: Kind,
    start: usize,
    /// Behind the name.
    colon: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Remove,
    Set,
    Append,
}

/// No edits.
pub(crate) static NONE: Edits = Edits {
    text: Vec::new(),
    removed: Vec::new(),
    lengths: 0,
    added: Vec::new(),
};

impl Edits {
    /// Reads packed lines. What is no edit is left out: the component is ours,
    /// but its bytes are input all the same.
    pub(crate) fn read(text: Vec<u8>) -> Self {
        let mut removed = Vec::with_capacity(USUAL);
        let mut added = Vec::<Edit>::with_capacity(USUAL);
        let (mut lengths, mut start) = (0, 0);
        for end in memchr_iter(b'\n', &text) {
            if let Some(edit) = edit(&text, start, end) {
                if edit.kind != Kind::Append {
                    // What comes later takes what was added before.
                    added.retain(|before| before.name(&text) != edit.name(&text));
                    lengths |= bit(edit.colon - edit.start);
                    removed.push(edit);
                }
                if edit.kind != Kind::Remove {
                    added.push(edit);
                }
            }
            start = end + 1;
        }
        Self {
            text,
            removed,
            lengths,
            added,
        }
    }

    /// These, and more behind them.
    pub(crate) fn and(&self, more: &[u8]) -> Self {
        Self::read([&self.text, more].concat())
    }

    /// How many bytes they take.
    pub(crate) fn room(&self) -> usize {
        let edits = self.removed.capacity() + self.added.capacity();
        self.text.capacity() + edits * size_of::<Edit>()
    }

    /// What these field lines become. The fields that stay keep their order, those
    /// that are set or appended follow; pseudo-header fields go.
    fn each<'a>(&'a self, lines: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let stays = |&(name, _): &(&[u8], &[u8])| {
            let may_go = self.lengths & bit(name.len()) != 0;
            !(may_go && self.removed.iter().any(|it| it.name(&self.text) == name))
        };
        let added = self.added.iter();
        let added = added.map(|it| (it.name(&self.text), &self.text[it.colon + 1..it.end]));
        lines::each(lines).filter(stays).chain(added)
    }

    /// These lines with these edits.
    pub(crate) const fn of<'a>(&'a self, lines: &'a [u8]) -> Edited<'a> {
        Edited { lines, edits: self }
    }
}

impl Edit {
    fn name<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start..self.colon]
    }
}

/// One of 64 bits for a length.
pub(crate) const fn bit(length: usize) -> u64 {
    1 << (length % 64)
}

/// The edit of the line from start to end.
fn edit(text: &[u8], start: usize, end: usize) -> Option<Edit> {
    let (&kind, line) = text[start..end].split_first()?;
    let start = start + 1;
    let length = lines::name_length(line);
    let (kind, is_whole) = match kind {
        b'-' => (Kind::Remove, length == line.len()),
        b'=' => (Kind::Set, line.get(length) == Some(&b':')),
        b'+' => (Kind::Append, line.get(length) == Some(&b':')),
        _ => return None,
    };
    let value = line.get(length + 1..).unwrap_or_default();
    let is_edit = is_whole && length > 0 && lines::is_value(value);
    is_edit.then_some(Edit {
        kind,
        start,
        colon: start + length,
        end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of some fields.
    fn edited(fields: &[u8], edits: &[u8]) -> String {
        let fields = Edits::read(edits.to_vec()).of(fields).lines();
        String::from_utf8_lossy(&fields).into_owned()
    }

    #[test]
    fn edits_leave_the_order_of_the_rest() {
        assert_eq!(
            edited(
                b":path:/\na:1\nb:2\nc:3\nd:4\ne:5\n",
                b"-b\n=c:changed\n+a:6\n+z:7\n"
            ),
            "a:1\nd:4\ne:5\nc:changed\na:6\nz:7\n"
        );
    }

    #[test]
    fn setting_replaces_every_field_of_the_name() {
        assert_eq!(edited(b"a:1\na:2\nb:3\n", b"=a:9\n"), "b:3\na:9\n");
        assert_eq!(edited(b"a:1\n", b"=a:2\n=a:3\n+a:4\n"), "a:3\na:4\n");
    }

    #[test]
    fn a_removal_takes_what_was_added_before_it_and_not_after() {
        assert_eq!(
            edited(b"a:1\nb:2\n", b"+a:3\n-a\n+a:4\n=c:5\n-c\n"),
            "b:2\na:4\n"
        );
    }

    #[test]
    fn what_is_no_edit_is_left_out() {
        assert_eq!(
            edited(b"a:1\n", b"\n?\n=\n=a\n?a:2\n+bad name:1\n+b:\x01\n-\n-a"),
            "a:1\n"
        );
    }
}
