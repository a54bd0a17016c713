//! No input, however malformed, panics; and none gets more than it should.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use edgelb_balancer::{
    AffinityKey, Arrival, Balancer, BodySize, Edits, Fields, Ledger, Network, Outcome, Policy,
    RequestHead, ResponseHead, Scheme, Seed, Step, Timestamp,
};
use proptest::prelude::*;

use crate::driver::backend;

const NAMES: &[&str] = &[
    "host",
    "connection",
    "upgrade",
    "te",
    "cookie",
    "via",
    "cdn-loop",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "X_Forwarded_For",
    "x-real-ip",
    "authorization",
    "idempotency-key",
    "sec-websocket-key",
    "platform-ip",
    "cache-control",
    "retry-after",
    "cdn-cache-control",
    "transfer-encoding",
    "content-length",
    "",
];

const VALUES: &[&str] = &[
    "upgrade",
    "websocket",
    "host, close, \"",
    "edgelb=1",
    "edgelb=10123456789abcdef0123456789",
    "a=1; edgelb=; =;;",
    "1.1 edgelb, 1.1 x",
    "edgelb;x=\"",
    "Bearer token",
    "Bearer",
    "\\\"",
    "10.0.0.1, [::1]:x, ,",
    "https,",
    "private=\"x",
    "99999999999999999999",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 31 Feb 9999 25:61:61 GMT",
    "[::ffff:1.2.3.4%25x]:1",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(VALUES).prop_map(str::to_owned),
        ".{0,20}",
        "[a-z0-9:./@%\\[\\]-]{0,20}",
    ]
}

fn fields() -> impl Strategy<Value = Vec<u8>> {
    let line =
        (prop::sample::select(NAMES), text()).prop_map(|(name, value)| format!("{name}:{value}\n"));
    let garbage = prop::collection::vec(any::<u8>(), 0..40);
    let piece = prop_oneof![4 => line.prop_map(String::into_bytes), 1 => garbage];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn balancer(key: AffinityKey) -> Balancer {
    Balancer::new(Policy {
        backends: vec![backend("A", 1, false), backend("B", 2, false)],
        affinity_key: key,
        client_ip_header: Some("platform-ip".to_owned()),
        trusted_proxies: vec![Network::new([10, 0, 0, 0].into(), 8).unwrap()],
        session_cookie_secret: Some("secret".to_owned()),
        status_token: Some("token".to_owned()),
        ..Policy::default()
    })
    .unwrap()
}

fn key() -> impl Strategy<Value = AffinityKey> {
    prop_oneof![
        Just(AffinityKey::Ip),
        (1..4_u8).prop_map(|count| AffinityKey::Path(count.try_into().unwrap())),
        Just(AffinityKey::Header("Cookie".to_owned())),
        Just(AffinityKey::Cookie("a".to_owned())),
        Just(AffinityKey::None),
    ]
}

/// Every edit is one line, as callers take it to be.
fn is_well_formed(edits: &Edits) -> bool {
    let bytes = edits.as_bytes();
    let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    lines == edits.iter().count() && bytes.last().is_none_or(|&byte| byte == b'\n')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nothing_panics(
        key in key(),
        method in prop_oneof![Just("GET".to_owned()), text()],
        authority in prop_oneof![Just("lb.example".to_owned()), text()],
        target in prop_oneof![text().prop_map(|text| format!("/{text}")), text()],
        peer in prop_oneof![
            Just(Some(IpAddr::from([10, 0, 0, 1]))),
            any::<Option<u32>>().prop_map(|bits| bits.map(|bits| Ipv4Addr::from(bits).into())),
            any::<u128>().prop_map(|bits| Some(Ipv6Addr::from(bits).into())),
        ],
        request in fields(),
        responses in prop::collection::vec((any::<u16>(), fields()), 3),
        times in prop::array::uniform3(any::<u64>()),
    ) {
        let balancer = balancer(key);
        let mut ledger = Ledger::new(balancer.policy());
        let head = RequestHead {
            method: &method,
            scheme: Scheme::Https,
            authority: &authority,
            target: &target,
            peer,
            body: BodySize::Unknown,
            fields: Fields::new(&request),
        };
        let now = Timestamp::from_millis(times[0]);
        let mut step = balancer.begin(&head, &mut ledger, now, Seed(0));
        for ((status, fields), time) in responses.iter().zip(times) {
            let now = Timestamp::from_millis(time);
            let outcome = Outcome::Head(Arrival {
                head: ResponseHead {
                    status: status % 700,
                    body: BodySize::Unknown,
                    fields: Fields::new(fields),
                },
                replayable: true,
            });
            if let Step::Forward { edits, .. } = balancer.settle_unknown(outcome, now) {
                prop_assert!(is_well_formed(&edits));
            }
            step = match step {
                Step::Send { attempt, then } => {
                    prop_assert!(is_well_formed(&attempt.edits));
                    then.deadline();
                    then.settle(outcome, &mut ledger, now)
                }
                Step::Forward { edits, .. } => {
                    prop_assert!(is_well_formed(&edits));
                    break;
                }
                Step::Reply(reply) => {
                    let text = String::from_utf8(reply.fields.into_bytes()).unwrap();
                    prop_assert!(!text.contains('\r'), "{}", text);
                    break;
                }
            };
        }
    }
}
