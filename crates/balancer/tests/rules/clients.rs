//! Who a request is said to come from.

use std::net::IpAddr;

use edgelb_balancer::{
    Balancer, BodySize, Fields, Ledger, Policy, RequestHead, Scheme, Seed, Step, Timestamp,
};

use crate::scenario::backend;

#[test]
fn the_client_is_told_where_the_peer_is_another() {
    let chain = "x-forwarded-for:203.0.113.9, 198.51.100.7\n";
    let platform = "platform-ip:198.51.100.7\n";
    let table = [
        ("192.0.2.1", "", None),
        ("192.0.2.1", chain, None),
        ("10.0.0.1", "", None),
        ("10.0.0.1", chain, Some("198.51.100.7")),
        ("::ffff:10.0.0.1", chain, Some("198.51.100.7")),
        (
            "10.0.0.1",
            "x-forwarded-for:::ffff:198.51.100.7\n",
            Some("198.51.100.7"),
        ),
        ("::ffff:10.0.0.1", "x-forwarded-for:10.0.0.1\n", None),
        ("192.0.2.1", platform, Some("198.51.100.7")),
        ("198.51.100.7", platform, None),
        ("", platform, None),
        ("", "", None),
    ];
    let policy = Policy {
        backends: vec![backend("A")],
        client_ip_header: Some("platform-ip".to_owned()),
        trusted_proxies: vec![
            edgelb_balancer::Network::new([10, 0, 0, 0].into(), 8).expect("a block"),
        ],
        ..Policy::default()
    };
    let mut ledger = Ledger::new(&policy);
    let balancer = Balancer::new(policy).expect("the policy works");
    let now = Timestamp::from_millis(0);
    for (peer, fields, expected) in table {
        let head = RequestHead {
            method: "GET",
            scheme: Scheme::Http,
            authority: "lb.example",
            target: "/",
            peer: peer.parse().ok(),
            body: BodySize::None,
            fields: Fields::new(fields.as_bytes()),
        };
        let Step::Send { attempt, then } = balancer.begin(&head, &mut ledger, now, Seed(0)) else {
            panic!("a plain request is sent");
        };
        let expected: Option<IpAddr> = expected.map(|it| it.parse().expect("an address"));
        assert_eq!(attempt.client, expected, "{peer} {fields}");
        then.abandon(&mut ledger, now);
    }
}
