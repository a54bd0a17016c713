//! For which requests a plan is one.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

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

/// Short fields, of which some matter, and which often begin alike.
fn fields() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["a", "b", "bb", "in", "in-", "in-a", "x_y", "range"][..]);
    let value = prop::sample::select(&["", "1", "12345678", "123456789", "a:1", "=\u{ff}"][..]);
    let line = (name, value).prop_map(|(name, value)| format!("{name}:{value}\n"));
    prop::collection::vec(line, 0..6).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn two_heads_are_the_same_if_what_matters_of_them_is(one in fields(), other in fields()) {
        let relevant = Relevant::new(&["a", "bb", "in-*"].map(str::to_owned));
        let matters = |line: &&str| {
            let name = line.split_once(':').unwrap().0;
            ["a", "bb"].contains(&name) || name.starts_with("in-") || name.contains('_')
        };
        let same = one.lines().filter(matters).eq(other.lines().filter(matters));
        prop_assert_eq!(relevant.same(one.as_bytes(), other.as_bytes()), same);
    }
}
