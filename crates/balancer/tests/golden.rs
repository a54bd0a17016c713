//! The choice is frozen: another output would move clients away from the
//! backends that know them.
//!
//! `tests/golden/choice.txt` says which backends there are, and which keys; the
//! order of failover of each is in `tests/golden/choice.expected.txt`, which
//! `UPDATE_GOLDEN=1 cargo test -p edgelb-balancer --test golden` rewrites.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "goldens are files")]

use std::fmt::Write as _;
use std::path::Path;

use edgelb_balancer::{
    AffinityKey, Backend, Balancer, BodySize, Cause, Delivery, Failure, Fields, Ledger, Origin,
    Outcome, Policy, RequestHead, Scheme, Seed, Step, Timestamp, Weight,
};

#[test]
fn the_choice_is_what_it_was() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let input = std::fs::read_to_string(directory.join("choice.txt")).unwrap();
    let mut policy = Policy {
        max_retries: u32::MAX,
        ..Policy::default()
    };
    let mut output = String::new();
    for line in input.lines() {
        match *line.split(' ').collect::<Vec<_>>() {
            ["backend", name, scheme, authority, weight] => {
                policy
                    .backends
                    .push(backend(name, scheme, authority, weight));
            }
            ["ip", peer] => {
                policy.affinity_key = AffinityKey::Ip;
                writeln!(output, "{line}: {}", order(&policy, "/", peer)).unwrap();
            }
            ["path", target] => {
                policy.affinity_key = AffinityKey::Path(2.try_into().unwrap());
                writeln!(output, "{line}: {}", order(&policy, target, "")).unwrap();
            }
            _ => panic!("`{line}`; expected a backend, ip or path"),
        }
    }
    let expected = directory.join("choice.expected.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&expected, &output).unwrap();
    }
    assert_eq!(output, std::fs::read_to_string(expected).unwrap());
}

fn backend(name: &str, scheme: &str, authority: &str, weight: &str) -> Backend {
    Backend {
        name: name.to_owned(),
        origin: Origin {
            scheme: match scheme {
                "http" => Scheme::Http,
                _ => Scheme::Https,
            },
            authority: authority.to_owned(),
        },
        weight: Weight::new(weight.parse().unwrap()).unwrap(),
        drain: false,
    }
}

/// The names of the backends in the order in which they are tried.
fn order(policy: &Policy, target: &str, peer: &str) -> String {
    let balancer = Balancer::new(policy.clone()).unwrap();
    let mut ledger = Ledger::new(policy);
    let now = Timestamp::default();
    let head = RequestHead {
        method: "GET",
        scheme: Scheme::Http,
        authority: "lb.example",
        target,
        peer: peer.parse().ok(),
        body: BodySize::None,
        fields: Fields::default(),
    };
    let refused = Outcome::Failed(Failure {
        cause: Cause::ConnectionRefused,
        delivery: Delivery::NotSent,
        replayable: true,
    });
    let mut names = Vec::new();
    let mut step = balancer.begin(&head, &mut ledger, now, Seed(0));
    while let Step::Send { attempt, then } = step {
        names.push(policy.backends[attempt.backend].name.as_str());
        step = then.settle(refused, &mut ledger, now);
    }
    names.join(" ")
}
