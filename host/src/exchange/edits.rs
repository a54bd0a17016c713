//! Edits to the fields of a message, as the door's packed lines have them.

use bytes::Bytes;
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue, VIA};
use memchr::{memchr, memchr_iter};

use crate::headers;

/// Edits, read once and carried out as often as needed.
#[derive(Debug)]
pub(super) struct Edits {
    edits: Vec<Edit>,
    /// How many of them are no removals.
    additions: usize,
}

/// Room for the edits that an ordinary message has.
const USUAL: usize = 12;

#[derive(Debug)]
enum Edit {
    Remove(Bytes),
    Set(HeaderName, HeaderValue),
    Append(HeaderName, HeaderValue),
}

impl Edits {
    /// Reads packed lines. What is no edit is left out: the component is ours,
    /// but its bytes are input all the same.
    pub(super) fn read(lines: Vec<u8>) -> Self {
        let lines = Bytes::from(lines);
        let mut read = Self {
            edits: Vec::with_capacity(USUAL),
            additions: 0,
        };
        let mut start = 0;
        for end in memchr_iter(b'\n', &lines) {
            if let Some(edit) = edit(&lines, start, end) {
                read.additions += usize::from(!matches!(edit, Edit::Remove(_)));
                read.edits.push(edit);
            }
            start = end + 1;
        }
        read
    }

    /// Carries them out, in order. The fields that stay keep theirs.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        // First all removals at once, as the fields behind one have to be moved.
        let stays = |name: &HeaderName| !self.edits.iter().any(|edit| edit.removes(name));
        headers::retain(headers, stays, self.additions);

        let mut added = false;
        for edit in &self.edits {
            match edit {
                // It takes what was added before it, too.
                Edit::Remove(_) if added => {
                    headers::retain(headers, |name| !edit.removes(name), 0);
                }
                Edit::Remove(_) => {}
                Edit::Set(name, value) => {
                    headers.insert(name, value.clone());
                    added = true;
                }
                Edit::Append(name, value) => {
                    headers.append(name, value.clone());
                    added = true;
                }
            }
        }
    }
}

impl Edit {
    fn removes(&self, name: &HeaderName) -> bool {
        matches!(self, Self::Remove(gone) if gone == name.as_str().as_bytes())
    }
}

/// The edit of one line. The value of a field stays where it is.
fn edit(lines: &Bytes, start: usize, end: usize) -> Option<Edit> {
    let (&kind, line) = lines[start..end].split_first()?;
    let start = start + 1;
    if kind == b'-' {
        return Some(Edit::Remove(lines.slice(start..end)));
    }
    let colon = memchr(b':', line)?;
    let name = name(&line[..colon])?;
    let value = HeaderValue::from_maybe_shared(lines.slice(start + colon + 1..end)).ok()?;
    match kind {
        b'=' => Some(Edit::Set(name, value)),
        b'+' => Some(Edit::Append(name, value)),
        _ => None,
    }
}

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A name; those that are in every request without a search.
fn name(bytes: &[u8]) -> Option<HeaderName> {
    Some(match bytes {
        b"via" => VIA,
        b"forwarded" => FORWARDED,
        b"cdn-loop" => CDN_LOOP,
        b"x-forwarded-for" => X_FORWARDED_FOR,
        b"x-forwarded-host" => X_FORWARDED_HOST,
        b"x-forwarded-proto" => X_FORWARDED_PROTO,
        bytes => HeaderName::from_bytes(bytes).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::heads::{pack, unpack};

    /// What becomes of some fields.
    fn edited(fields: &[u8], edits: &[u8]) -> String {
        let mut headers = unpack(fields);
        Edits::read(edits.to_vec()).apply(&mut headers);
        String::from_utf8_lossy(&pack(&headers)).into_owned()
    }

    #[test]
    fn edits_leave_the_order_of_the_rest() {
        assert_eq!(
            edited(
                b"a:1\nb:2\nc:3\nd:4\ne:5\n",
                b"-b\n=c:changed\n+a:6\n+z:7\n"
            ),
            "a:1\na:6\nc:changed\nd:4\ne:5\nz:7\n"
        );
    }

    #[test]
    fn setting_replaces_every_field_of_the_name() {
        assert_eq!(edited(b"a:1\na:2\nb:3\n", b"=a:9\n"), "a:9\nb:3\n");
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
            edited(b"a:1\n", b"\n?\n=\n=a\n?a:2\n+bad name:1\n-\n-a"),
            "a:1\n"
        );
    }
}
