//! Who the client is, and what backends are told of it.

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{ENOUGH, Stage, by, client_address};

scenarios!("Identity":
    clients_are_known_by_their_addresses,
    what_a_client_says_of_itself_is_not_believed,
    the_platform_is_believed_by_its_last_word,
    addresses_are_brought_into_one_form,
    a_subscriber_is_known_by_its_network,
    a_trusted_proxy_is_believed_and_continued,
    the_way_is_written_down,
    the_host_asked_for_is_told,
);

/// One backend, whoever the client is.
const ALONE: [(&str, &str); 2] = [("BACKEND_B", ""), ("BACKEND_C", "")];

/// The field of a platform that is told of in no other way.
const FIELD: (&str, &str) = ("CLIENT_IP_HEADER", "x-client-address");

/// The values that lies have in common.
const LIE: &str = "203.0.113.66";

/// What clients may say of themselves. Underscores and hyphens are one to many
/// a backend.
fn lies() -> String {
    let lies = [
        "x-forwarded-for: 203.0.113.66",
        "x-forwarded-proto: https",
        "x-forwarded-host: 203.0.113.66",
        "forwarded: for=203.0.113.66;proto=https",
        "x_forwarded_for: 203.0.113.66",
        "x_forwarded-for: 203.0.113.66",
        "x_forwarded_proto: https",
        "spin-path-info: /203.0.113.66",
        "edgelb-peer: 203.0.113.66",
    ];
    lies.map(|lie| format!("{lie}\r\n")).concat()
}

async fn clients_are_known_by_their_addresses(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &ALONE).await;
    for number in [1, 9] {
        stage.get_as(number, "/", &lies()).await;
        let address = client_address(runtime, number).to_string();
        let head = stage.last().head;
        assert_eq!(head.field("x-forwarded-for"), Some(&*address));
        let forwarded = head.field("forwarded").unwrap();
        assert!(
            forwarded.starts_with(&format!("for={address};")),
            "{forwarded}"
        );
    }
}

/// <https://www.rfc-editor.org/rfc/rfc7239#section-8.1>
async fn what_a_client_says_of_itself_is_not_believed(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.ask("GET", "/", &lies()).await;
    let head = stage.last().head;
    assert_eq!(head.field("x-forwarded-proto"), Some("http"));
    let forwarded = head.field("forwarded").unwrap();
    assert!(forwarded.ends_with("proto=http"), "{forwarded}");
    assert!(!format!("{head:?}").contains(LIE), "{head:?}");
    assert!(!format!("{head:?}").contains('_'), "{head:?}");
}

async fn the_platform_is_believed_by_its_last_word(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[FIELD]).await;
    let fields = "x-client-address: 203.0.113.66\r\nx-client-address: 198.51.100.9\r\n";
    stage.ask("GET", "/", fields).await;
    let head = stage.last().head;
    assert_eq!(head.field("x-forwarded-for"), Some("198.51.100.9"));
}

async fn addresses_are_brought_into_one_form(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[FIELD, ALONE[0], ALONE[1]]).await;
    for (told, address, forwarded) in [
        ("198.51.100.9:4711", "198.51.100.9", "for=198.51.100.9"),
        ("::ffff:198.51.100.9", "198.51.100.9", "for=198.51.100.9"),
        ("[2001:DB8::7]:80", "2001:db8::7", "for=\"[2001:db8::7]\""),
    ] {
        stage
            .ask("GET", "/", &format!("x-client-address: {told}\r\n"))
            .await;
        let head = stage.last().head;
        assert_eq!(head.field("x-forwarded-for"), Some(address), "{told}");
        let found = head.field("forwarded").unwrap();
        assert!(found.starts_with(forwarded), "{told}: {found}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc6177#section-2>
async fn a_subscriber_is_known_by_its_network(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[FIELD]).await;
    let home = async |address: String| {
        by(&stage
            .ask("GET", "/", &format!("x-client-address: {address}\r\n"))
            .await)
    };
    let mut used = std::collections::BTreeSet::new();
    for network in 0..ENOUGH {
        let first = home(format!("2001:db8:0:{network}::1")).await;
        let second = home(format!("2001:db8:0:{network}:ffff::2")).await;
        assert_eq!(first, second, "2001:db8:0:{network}::/64");
        used.insert(first);
    }
    assert_eq!(used.len(), 3, "networks are told apart");
}

async fn a_trusted_proxy_is_believed_and_continued(runtime: &'static Runtime) {
    let trusted = [("TRUSTED_PROXIES", "127.0.0.0/8, 198.51.100.0/24")];
    let stage = Stage::new(runtime, &trusted).await;
    let fields = "x-forwarded-for: 203.0.113.66, 203.0.113.7\r\nx-forwarded-proto: https\r\n\
                  x-forwarded-host: other.test\r\n";
    let response = stage.get_as(3, "/", fields).await;
    let proxy = client_address(runtime, 3);
    let head = stage.last().head;
    let chain = format!("203.0.113.66, 203.0.113.7, {proxy}");
    assert_eq!(head.field("x-forwarded-for"), Some(&*chain));
    assert_eq!(head.field("x-forwarded-proto"), Some("https"));
    assert_eq!(head.field("x-forwarded-host"), Some("other.test"));
    // https://www.rfc-editor.org/rfc/rfc6265#section-4.1.2.5
    let cookie = response.head.field("set-cookie").unwrap();
    assert!(cookie.contains("; Secure"), "{cookie}");
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3> and
/// <https://www.rfc-editor.org/rfc/rfc8586#section-2>
async fn the_way_is_written_down(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage
        .ask("GET", "/", "via: 1.0 outer\r\ncdn-loop: other\r\n")
        .await;
    let fields = stage.last().head.fields;
    assert_eq!(fields.all("via").join(", "), "1.0 outer, 1.1 edgelb");
    assert_eq!(fields.all("cdn-loop").join(", "), "other, edgelb");
    assert_eq!(fields.all("x-forwarded-proto"), ["http"]);
}

/// <https://www.rfc-editor.org/rfc/rfc7239#section-5.3>
async fn the_host_asked_for_is_told(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.get("/").await;
    let head = stage.last().head;
    assert_eq!(head.field("x-forwarded-host"), Some("service.test"));
    let forwarded = head.field("forwarded").unwrap();
    assert!(forwarded.contains("host=service.test"), "{forwarded}");
}
