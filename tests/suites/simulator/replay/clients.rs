//! Clients: who they are, and where they go.

use edgelb_host::Door;
use edgelb_host::sim::{Run, Simulation};
use serde_json::{Value, json};

use super::{answered, recording, run, with};

/// Where the first attempt of each request went.
fn homes(run: &Run) -> Vec<String> {
    let mut exchanges: Vec<_> = run.trace.exchanges().collect();
    exchanges.sort_by_key(|it| it.begun);
    let firsts = exchanges.iter().map(|it| it.attempts[0].backend.unwrap());
    firsts
        .map(|it| run.trace.names.backends[it].clone())
        .collect()
}

#[test]
fn clients_go_where_they_went_whatever_they_are_told_apart_by() {
    let identity = |index: usize| format!("hash{index}");
    type Say = fn(String) -> Value;
    let table: [(&str, Say); 4] = [
        ("ip", |it| json!({"client": it})),
        (
            "path:2",
            |it| json!({"target": "/stremio/*/x?a=*", "hidden": [it, "q"]}),
        ),
        (
            "header:x-user",
            |it| json!({"fields": [{"name": "x-user", "hash": it}]}),
        ),
        ("cookie:uid", |it| json!({"cookies": {"uid": it, "x": "y"}})),
    ];
    for (affinity, say) in table {
        for door in [Door::Exchange, Door::WasiHttp] {
            let exchanges = (0..40).map(|index| {
                // Neither by turns nor all the same.
                let home = if index * 7 % 5 < 2 { "A" } else { "B" };
                with(answered(index as u64 * 100, home), say(identity(index)))
            });
            let expected: Vec<_> = (0..40)
                .map(|index| if index * 7 % 5 < 2 { "A" } else { "B" })
                .collect();
            let run = run(recording(&[("AFFINITY_KEY", affinity)], exchanges), door);
            assert_eq!(homes(&run), expected, "{affinity}, {door:?}");
        }
    }
}

#[test]
fn clients_behind_a_proxy_are_who_they_were() {
    let environments: [&[(&str, &str)]; 3] = [
        &[
            ("TRUSTED_PROXIES", "10.0.0.0/8"),
            ("HTTPS_REDIRECT", "true"),
        ],
        &[("CLIENT_IP_HEADER", "cf-connecting-ip")],
        &[
            ("CLIENT_IP_HEADER", "cf-connecting-ip"),
            ("TRUSTED_PROXIES", "10.0.0.0/8"),
            ("HTTPS_REDIRECT", "true"),
        ],
    ];
    for environment in environments {
        let exchanges = (0..20).map(|index| {
            let home = if index % 3 == 0 { "A" } else { "B" };
            let more = json!({
                "client": format!("client{index}"), "proxied": true,
                "fields": [
                    {"name": "x-forwarded-for", "hash": "x"},
                    {"name": "x-forwarded-proto", "value": "https"},
                    {"name": "cf-connecting-ip", "hash": "y"},
                ],
            });
            with(answered(index * 100, home), more)
        });
        let run = run(recording(environment, exchanges), Door::Exchange);
        let expected: Vec<_> = (0..20)
            .map(|index| if index % 3 == 0 { "A" } else { "B" })
            .collect();
        assert_eq!(homes(&run), expected, "{environment:?}");
    }
}

#[test]
fn sessions_are_with_the_backends_that_they_were_with() {
    // Two browsers behind one address, each with a session from before.
    let exchanges = (0..20).map(|index| {
        let (session, home) = if index % 2 == 0 {
            ("s1", "A")
        } else {
            ("s2", "B")
        };
        with(answered(index * 100, home), json!({"session": session}))
    });
    let secret = [("SESSION_COOKIE_SECRET", "sixteen bytes or more")];
    let run = run(recording(&secret, exchanges), Door::Exchange);
    let expected: Vec<_> = (0..20)
        .map(|index| if index % 2 == 0 { "A" } else { "B" })
        .collect();
    assert_eq!(homes(&run), expected);
    assert_eq!((run.summary.sessions, run.summary.kept), (20, 20));
}

#[test]
fn what_a_scenario_changes_counts_for_who_a_client_is() {
    let table: [(&[(&str, &str)], Value); 3] = [
        (
            &[("AFFINITY_KEY", "header:x-user")],
            json!({"fields": [{"name": "x-user", "hash": "NAME"}]}),
        ),
        (
            &[("CLIENT_IP_HEADER", "x-real-ip")],
            json!({"client": "NAME", "proxied": true}),
        ),
        (
            &[("SESSION_COOKIE_NAME", "other")],
            json!({"session": "NAME"}),
        ),
    ];
    for (environment, identity) in table {
        let home = |index: u64| if index * 7 % 5 < 2 { "A" } else { "B" };
        let exchanges = (0..20).map(|index| {
            let identity = identity.to_string().replace("NAME", &format!("it{index}"));
            with(
                answered(index * 100, home(index)),
                serde_json::from_str(&identity).unwrap(),
            )
        });
        let mut builder = Simulation::replay(recording(
            &[("SESSION_COOKIE_SECRET", "sixteen bytes or more")],
            exchanges,
        ));
        for (name, value) in environment {
            builder = builder.env(*name, *value);
        }
        let run = builder.build().unwrap().run().unwrap();
        assert_eq!(run.violations, []);
        let expected: Vec<_> = (0..20).map(home).collect();
        assert_eq!(homes(&run), expected, "{environment:?}");
    }
}
