//! Edits to the fields of a message, as the door has them.

use memchr::memchr_iter;

use crate::lines;

/// Edits, read once and carried out as often as needed.
#[derive(Debug)]
pub(super) struct Edits {
    text: Vec<u8>,
    edits: Vec<Edit>,
    /// The lengths of the names that are removed, a bit each: most fields have
    /// another, and are not looked at further.
    lengths: u64,
}

/// Room for the edits that an ordinary message has.
const USUAL: usize = 12;

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

impl Edits {
    /// Reads packed lines. What is no edit is left out: the component is ours,
    /// but its bytes are input all the same.
    pub(super) fn read(text: Vec<u8>) -> Self {
        let mut edits = Vec::with_capacity(USUAL);
        let (mut lengths, mut start) = (0, 0);
        for end in memchr_iter(b'\n', &text) {
            if let Some(edit) = edit(&text, start, end) {
                if edit.kind != Kind::Append {
                    lengths |= bit(edit.colon - edit.start);
                }
                edits.push(edit);
            }
            start = end + 1;
        }
        Self {
            text,
            edits,
            lengths,
        }
    }

    /// What these field lines become. The fields that stay keep their order, those
    /// that are set or appended follow; pseudo-header fields go.
    pub(super) fn apply(&self, fields: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(fields.len() + self.text.len());
        for (name, value) in lines::each(fields) {
            if self.lengths & bit(name.len()) == 0 || !self.removes(&self.edits, name) {
                out.extend_from_slice(name);
                out.push(b':');
                out.extend_from_slice(value);
                out.push(b'\n');
            }
        }
        for (index, edit) in self.edits.iter().enumerate() {
            // What comes later takes what was added before.
            let later = self.edits.get(index + 1..).unwrap_or_default();
            if edit.kind != Kind::Remove && !self.removes(later, self.name(edit)) {
                out.extend_from_slice(&self.text[edit.start..=edit.end]);
            }
        }
        out
    }

    fn removes(&self, edits: &[Edit], name: &[u8]) -> bool {
        (edits.iter()).any(|edit| edit.kind != Kind::Append && self.name(edit) == name)
    }

    fn name(&self, edit: &Edit) -> &[u8] {
        &self.text[edit.start..edit.colon]
    }
}

const fn bit(length: usize) -> u64 {
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
        let fields = Edits::read(edits.to_vec()).apply(fields);
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
