//! Plans that are used again: which is kept, and for which requests it is one.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use super::bindings::Reuse;
use super::plan::Plan;
use crate::edits::bit;

/// How many bytes a head and its edits may take, that are kept as long as a connection
/// is: three times what browsers send.
const MOST: usize = 8 << 10;

/// The last plan of a client's connection that is one for requests like its own, too
/// (`ordinary.reuse` in `worker-wasm/wit/exchange.wit`). Clients that keep a
/// connection mostly repeat all that matters; then the policy has nothing to decide.
#[derive(Default)]
pub(crate) struct Reusable(Option<Kept>);

struct Kept {
    /// Who sent the request without a body that it was made for, and the head of it.
    peer: Option<IpAddr>,
    lines: Vec<u8>,
    /// Where in there the target begins and ends.
    target: (usize, usize),
    reuse: Reuse,
    plan: Arc<Plan>,
}

impl Reusable {
    /// The plan for another request without a body, if it is one for this, too.
    pub(super) fn find(
        &self,
        peer: Option<IpAddr>,
        lines: &[u8],
        now: u64,
        relevant: &Relevant,
    ) -> Option<&Arc<Plan>> {
        let kept = self
            .0
            .as_ref()
            .filter(|kept| peer == kept.peer && now < kept.reuse.until)?;
        let (start, end) = kept.target;
        let rest = lines.strip_prefix(&kept.lines[..start])?;
        let (target, fields) = rest.split_at(memchr(b'\n', rest)?);
        let part = &kept.lines[start..end][..kept.reuse.path as usize];
        (is_usual(target) && begins(target, part) && relevant.same(fields, &kept.lines[end..]))
            .then_some(&kept.plan)
    }

    /// Keeps the plan for a request without a body if it says that it may be used again.
    pub(super) fn keep(&mut self, peer: Option<IpAddr>, lines: Vec<u8>, plan: Arc<Plan>) {
        // No value has a line feed in it.
        static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\n:path:"));
        let reuse = plan.ordinary.as_ref().and_then(|ordinary| ordinary.reuse);
        if let Some(reuse) = reuse
            && lines.capacity() + plan.room() <= MOST
            && let Some(name) = NAME.find(&lines)
            && let start = name + NAME.needle().len()
            && let Some(length) = memchr(b'\n', &lines[start..])
            && reuse.path as usize <= length
        {
            let target = (start, start + length);
            self.0 = Some(Kept {
                peer,
                lines,
                target,
                reuse,
                plan,
            });
        }
    }
}

/// The names of the fields that may change a plan.
#[derive(Default)]
pub(crate) struct Relevant {
    names: Vec<String>,
    /// Their lengths, a bit each.
    lengths: u64,
    /// What some begin with.
    beginnings: Vec<String>,
}

impl Relevant {
    pub(super) fn new(names: &[String]) -> Self {
        let mut relevant = Self::default();
        for name in names {
            if let Some(beginning) = name.strip_suffix('*') {
                relevant.beginnings.push(beginning.to_owned());
            } else {
                relevant.lengths |= bit(name.len());
                relevant.names.push(name.clone());
            }
        }
        relevant
    }

    /// Whether two lists of lines are the same but for fields that change no plan.
    fn same<'a>(&self, mut one: &'a [u8], mut other: &'a [u8]) -> bool {
        while one != other {
            (one, other) = from_difference(one, other);
            if let Some(rest) = self.without_first(one) {
                one = rest;
            } else if let Some(rest) = self.without_first(other) {
                other = rest;
            } else {
                return false;
            }
        }
        true
    }

    /// What follows the first line, if there is one and it changes no plan.
    fn without_first<'a>(&self, lines: &'a [u8]) -> Option<&'a [u8]> {
        let (line, rest) = lines.split_at(memchr(b'\n', lines)? + 1);
        let name = &line[..memchr(b':', line)?];
        (!self.has(name)).then_some(rest)
    }

    /// Whether a name is one of them; so is that of a pseudo-header field, which is cut
    /// off at the colon that it begins with.
    fn has(&self, name: &[u8]) -> bool {
        let is = |it: &String| it.as_bytes() == name;
        name.is_empty()
            || (self.lengths & bit(name.len()) != 0 && self.names.iter().any(is))
            || memchr(b'_', name).is_some()
            || (self.beginnings.iter()).any(|it| name.starts_with(it.as_bytes()))
    }
}

/// From the beginning of the first line that is different, of two that are.
fn from_difference<'a>(one: &'a [u8], other: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let (words, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    let pairs = words.iter().zip(others);
    let words = 8 * pairs.take_while(|(one, other)| one == other).count();
    let pairs = one[words..].iter().zip(&other[words..]);
    let same = words + pairs.take_while(|(one, other)| one == other).count();
    let line = memrchr(b'\n', &one[..same]).map_or(0, |end| end + 1);
    (&one[line..], &other[line..])
}

/// Whether a target begins with this part, which ends a segment unless it is nothing.
fn begins(target: &[u8], part: &[u8]) -> bool {
    (target.strip_prefix(part))
        .is_some_and(|rest| part.is_empty() || matches!(rest.first(), None | Some(b'/' | b'?')))
}

/// Whether a plan may be one for this target.
fn is_usual(target: &[u8]) -> bool {
    target.starts_with(b"/")
        && !target.starts_with(b"/.well-known/")
        // Looked at all of them, which goes for many at once.
        && (target.iter()).fold(true, |fine, &byte| fine & (byte > b' ') & (byte != 0x7f))
}

#[cfg(test)]
mod tests;
