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
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::bindings::{self, Tail};
    use super::super::plan::Ordinary;
    use super::*;
    use crate::edits::Edits;

    fn lines(method: &str, target: &str, fields: &str) -> Vec<u8> {
        format!(":method:{method}\n:authority:a\n:path:{target}\n{fields}").into_bytes()
    }

    fn plan(until: Option<u64>) -> Arc<Plan> {
        plan_for(until.map(|until| Reuse { until, path: 0 }))
    }

    fn plan_for(reuse: Option<Reuse>) -> Arc<Plan> {
        let ordinary = bindings::Ordinary {
            edits: 0,
            session: None,
            tail: Tail {
                backend: 1,
                began: 0,
            },
            reuse,
        };
        Arc::new(Plan {
            backend: 1,
            edits: Edits::read(Vec::new()),
            keep: 0,
            tunnel: false,
            client: None,
            ordinary: Ordinary::read(ordinary, &[Arc::default()]),
        })
    }

    #[test]
    fn a_plan_is_one_for_requests_that_differ_in_the_target_alone() {
        let mut reusable = Reusable::default();
        let fields = "host:a\ncookie::path:/b\n";
        let kept = "host:a\nrange:0\ncookie::path:/b\n";
        reusable.keep(None, lines("GET", "/a", kept), plan(Some(10)));
        let table = [
            ("GET", "/a", fields, 9, true),
            ("GET", "/", fields, 9, true),
            ("GET", "/longer?than=before", fields, 9, true),
            ("GET", "/a", fields, 10, false),
            ("HEAD", "/a", fields, 9, false),
            ("GET", "/a", "host:a\n", 9, false),
            ("GET", "/a", "host:a\ncookie::path:/bc\n", 9, false),
            ("GET", "/a", "host:b\ncookie::path:/b\n", 9, false),
            ("GET", "/.well-known/edgelb/health", fields, 9, false),
            ("GET", "*", fields, 9, false),
            ("GET", "a", fields, 9, false),
            ("GET", "", fields, 9, false),
            ("GET", "/\u{7f}", fields, 9, false),
            ("GET", "/ ", fields, 9, false),
            ("GET", "/\n:path:/", fields, 9, false),
            (
                "GET",
                "/a",
                "range:1\nhost:a\naccept:2\ncookie::path:/b\n",
                9,
                true,
            ),
            ("GET", "/a", "host:a\nrange:0\ncookie::path:/b\n", 9, true),
            ("GET", "/a", "host:a\ncookie::path:/b\nx:1\ny:2\n", 9, true),
            ("GET", "/a", "host:a\ncookie::path:/b\nx_y:1\n", 9, false),
            ("GET", "/a", "host:a\ncookie::path:/b\nin-a:1\n", 9, false),
            ("GET", "/a", "in-:1\nhost:a\ncookie::path:/b\n", 9, false),
            ("GET", "/a", "in:1\nhost:a\ncookie::path:/b\n", 9, true),
            ("GET", "/a", "host:a\nhost:a\ncookie::path:/b\n", 9, false),
            ("GET", "/a", "host:a\nrange:0\n", 9, false),
            ("GET", "/a", "", 9, false),
            ("GET", "/a", "cookie::path:/b\nhost:a\n", 9, false),
        ];
        let relevant = Relevant::new(&["host", "cookie", "in-*"].map(str::to_owned));
        for (method, target, fields, now, expected) in table {
            let found = reusable.find(None, &lines(method, target, fields), now, &relevant);
            assert_eq!(found.is_some(), expected, "{method} {target} {fields}");
        }
    }

    #[test]
    fn a_plan_is_one_for_the_same_peer() {
        let mut reusable = Reusable::default();
        let lines = lines("GET", "/", "");
        let peers = [
            None,
            Some([192, 0, 2, 1].into()),
            Some([192, 0, 2, 2].into()),
        ];
        for (kept, asked) in peers
            .into_iter()
            .flat_map(|one| peers.map(|other| (one, other)))
        {
            reusable.keep(kept, lines.clone(), plan(Some(1)));
            let found = reusable.find(asked, &lines, 0, &Relevant::default());
            assert_eq!(found.is_some(), kept == asked);
        }
    }

    /// A connection may lie idle for long, and there may be many.
    #[test]
    fn what_takes_much_room_is_not_kept() {
        let mut reusable = Reusable::default();
        let edits = "-connection\n".to_owned() + &"-a\n".repeat(1_000);
        let mut long = Arc::into_inner(plan(Some(1))).unwrap();
        long.edits = Edits::read(edits.into_bytes());
        let long = Arc::new(long);
        reusable.keep(None, lines("GET", "/", "a:1\n"), long);
        assert!(reusable.0.is_none());
    }

    #[test]
    fn a_part_of_the_path_may_have_to_be_the_same() {
        let mut reusable = Reusable::default();
        let reuse = Reuse { until: 1, path: 10 };
        reusable.keep(
            None,
            lines("GET", "/stremio/u/x", ""),
            plan_for(Some(reuse)),
        );
        for (target, expected) in [
            ("/stremio/u/x", true),
            ("/stremio/u/y/z?a", true),
            ("/stremio/u", true),
            ("/stremio/u?a", true),
            ("/stremio/uu", false),
            ("/stremio/v/x", false),
            ("/stremio/", false),
            ("/", false),
        ] {
            let found = reusable.find(None, &lines("GET", target, ""), 0, &Relevant::default());
            assert_eq!(found.is_some(), expected, "{target}");
        }
        // Nobody has so long a part.
        let reuse = Reuse { until: 1, path: 3 };
        let mut reusable = Reusable::default();
        reusable.keep(None, lines("GET", "/", ""), plan_for(Some(reuse)));
        assert!(reusable.0.is_none());
    }

    #[test]
    fn an_authority_that_looks_like_a_target_is_none() {
        let lines = |authority| format!(":method:GET\n:authority:{authority}\n:path:/\n");
        let mut reusable = Reusable::default();
        reusable.keep(None, lines("a:path:/b").into_bytes(), plan(Some(1)));
        let finds = |authority| {
            let lines = lines(authority).into_bytes();
            reusable
                .find(None, &lines, 0, &Relevant::default())
                .is_some()
        };
        assert!(finds("a:path:/b"));
        assert!(!finds("a:path:/c"));
    }

    #[test]
    fn a_plan_is_kept_if_it_may_be() {
        let find = |reusable: &Reusable| {
            let lines = lines("GET", "/", "a:1\n");
            reusable
                .find(None, &lines, 0, &Relevant::default())
                .is_some()
        };
        let mut reusable = Reusable::default();
        reusable.keep(None, lines("GET", "/", "a:1\n"), plan(None));
        assert!(!find(&reusable));
        reusable.keep(
            None,
            lines("GET", "/", &"a:1\n".repeat(MOST / 4)),
            plan(Some(1)),
        );
        assert!(!find(&reusable));
        reusable.keep(None, lines("GET", "/", "a:1\n"), plan(Some(1)));
        assert!(find(&reusable));
        // What may not be does not take the place of what may.
        reusable.keep(None, lines("GET", "/", "a:2\n"), plan(None));
        assert!(find(&reusable));
    }
}
