//! What passes through, and what does not.

use std::net::{IpAddr, Ipv4Addr};

use edgelb_host::{Body, Door};
use edgelb_tests::client::HOST;
use edgelb_tests::scene::{Act, CLIENT, Scene, answer, ask, by, from, get, response, values};
use http::HeaderMap;
use http_body_util::BodyExt as _;

crate::both_doors!(
    method_path_and_query_pass_byte_for_byte,
    end_to_end_fields_pass_in_order_and_hop_by_hop_fields_do_not,
    responses_pass_in_order_without_hop_by_hop_fields,
    a_stranger_is_not_believed_about_who_it_is,
    a_trusted_proxy_is_believed_and_continued,
    the_platform_is_believed_by_its_last_word,
    the_way_is_written_down,
    redirects_are_not_followed,
    statuses_without_a_body_pass,
    lengths_pass_without_their_bodies,
    no_body_is_not_given_a_length,
    bodies_pass_in_pieces,
    trailers_pass_both_ways,
);

/// The field that [`Scene`] adds to tell responses apart.
const BY: &str = "x-by";

/// The request the only backend asked has seen last.
async fn seen(scene: &Scene, request: http::Request<Body>) -> http::Request<bytes::Bytes> {
    let response = scene.send(request).await;
    scene.backend(by(&response)).last()
}

async fn method_path_and_query_pass_byte_for_byte(door: Door) {
    let scene = Scene::new(door, &[]);
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/a%2Fb//c/../d;p=1?x=%20&y=&z"),
        ("GET", "/?"),
        ("DELETE", "/%e2%82%ac?a=/?&b"),
        ("PROPFIND", "/dav/"),
    ] {
        let request = seen(&scene, ask(method, target, &[], "")).await;
        assert_eq!(request.method(), method);
        assert_eq!(request.uri().path_and_query().unwrap().as_str(), target);
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>
async fn end_to_end_fields_pass_in_order_and_hop_by_hop_fields_do_not(door: Door) {
    let scene = Scene::new(door, &[]);
    let fields = [
        ("x-one", "1"),
        ("accept-encoding", "br, gzip"),
        ("x-two", "2"),
        ("x-one", "3"),
        ("range", "bytes=0-9"),
        ("authorization", "Basic eA=="),
        ("connection", "x-named, keep-alive, close, te"),
        ("x-named", "for this hop"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("upgrade", "h2c"),
        ("x-three", ""),
    ];
    let request = seen(&scene, ask("GET", "/", &fields, "")).await;
    let headers = request.headers();
    assert_eq!(values(headers, "x-one"), ["1", "3"]);
    let order: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    let of = |name| order.iter().position(|other| *other == name);
    let kept = [
        "x-one",
        "accept-encoding",
        "x-two",
        "range",
        "authorization",
        "x-three",
    ];
    assert!(kept.map(of).is_sorted(), "{order:?}");
    assert!(kept.iter().all(|name| headers.contains_key(*name)));
    for gone in [
        "connection",
        "x-named",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
    ] {
        assert!(!headers.contains_key(gone), "{gone}: {headers:?}");
    }
}

async fn responses_pass_in_order_without_hop_by_hop_fields(door: Door) {
    let scene = Scene::new(door, &[("STICKY_SESSIONS", "false")]);
    scene.all(|_| {
        let fields = [
            ("etag", "\"1\""),
            ("link", "<a>; rel=preload"),
            ("content-encoding", "gzip"),
            ("link", "<b>; rel=preload"),
            ("connection", "x-named"),
            ("x-named", "for this hop"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("via", "1.1 inner"),
        ];
        answer(200, &fields, "\x1f\u{8}not really gzip")
    });
    let response = scene.get("/").await;
    let headers = response.headers();
    assert_eq!(
        values(headers, "link"),
        ["<a>; rel=preload", "<b>; rel=preload"]
    );
    assert_eq!(values(headers, "etag"), ["\"1\""]);
    assert_eq!(values(headers, "content-encoding"), ["gzip"]);
    assert_eq!(values(headers, "via"), ["1.1 inner", "1.1 edgelb"]);
    for gone in ["connection", "x-named", "keep-alive"] {
        assert!(!headers.contains_key(gone), "{gone}: {headers:?}");
    }
    assert_eq!(response.body(), "\x1f\u{8}not really gzip");
}

fn forwarded(headers: &HeaderMap) -> [Vec<&str>; 4] {
    [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
    ]
    .map(|name| values(headers, name))
}

const LIES: [(&str, &str); 8] = [
    ("x-forwarded-for", "203.0.113.66"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "evil.test"),
    ("forwarded", "for=203.0.113.66;proto=https"),
    ("x_forwarded_for", "203.0.113.66"),
    ("x_forwarded-for", "203.0.113.66"),
    ("spin-client-addr", "203.0.113.66:1"),
    ("edgelb-peer", "203.0.113.66"),
];

/// <https://www.rfc-editor.org/rfc/rfc7239#section-4>
async fn a_stranger_is_not_believed_about_who_it_is(door: Door) {
    let scene = Scene::new(door, &[("TRUSTED_PROXIES", "10.0.0.0/8")]);
    let request = seen(&scene, ask("GET", "/", &LIES, "")).await;
    assert_eq!(
        forwarded(request.headers()),
        [
            vec!["192.0.2.1"],
            vec!["http"],
            vec![HOST],
            vec!["for=192.0.2.1;host=service.test;proto=http"],
        ]
    );
    let seen = format!("{:?}", request.headers());
    assert!(!seen.contains("203.0.113.66"), "{seen}");

    let v6: IpAddr = "2001:db8::7".parse().unwrap();
    let request = from(v6, "GET", "/", &[], "");
    let response = scene.send(request).await;
    let request = scene.backend(by(&response)).last();
    assert_eq!(
        values(request.headers(), "forwarded"),
        [r#"for="[2001:db8::7]";host=service.test;proto=http"#]
    );
}

async fn a_trusted_proxy_is_believed_and_continued(door: Door) {
    let scene = Scene::new(door, &[("TRUSTED_PROXIES", "192.0.2.0/24")]);
    let request = seen(&scene, ask("GET", "/", &LIES, "")).await;
    assert_eq!(
        forwarded(request.headers()),
        [
            vec!["203.0.113.66, 192.0.2.1"],
            vec!["https"],
            vec!["evil.test"],
            vec!["for=203.0.113.66;proto=https, for=192.0.2.1;host=service.test;proto=http"],
        ]
    );
    // And the client is who the proxy says: its choice follows.
    let direct = Scene::new(door, &[]);
    for number in 0..20 {
        let client = Ipv4Addr::new(198, 51, 100, number);
        let told = [("x-forwarded-for", &*format!("203.0.113.66, {client}"))];
        let told = scene.send(from(CLIENT, "GET", "/", &told, "")).await;
        let seen = direct.send(from(client.into(), "GET", "/", &[], "")).await;
        assert_eq!(by(&told), by(&seen), "{client}");
    }
}

async fn the_platform_is_believed_by_its_last_word(door: Door) {
    let scene = Scene::new(door, &[("CLIENT_IP_HEADER", "cf-connecting-ip")]);
    let fields = [
        ("cf-connecting-ip", "203.0.113.66"),
        ("cf-connecting-ip", "198.51.100.9"),
    ];
    let request = seen(&scene, ask("GET", "/", &fields, "")).await;
    assert_eq!(
        values(request.headers(), "x-forwarded-for"),
        ["198.51.100.9"]
    );
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3> and
/// <https://www.rfc-editor.org/rfc/rfc8586#section-2>
async fn the_way_is_written_down(door: Door) {
    let scene = Scene::new(door, &[]);
    let fields = [("via", "1.0 outer"), ("cdn-loop", "other")];
    let request = seen(&scene, ask("GET", "/", &fields, "")).await;
    let via = values(request.headers(), "via").join(", ");
    assert_eq!(via, "1.0 outer, 1.1 edgelb");
    let cdn_loop = values(request.headers(), "cdn-loop").join(", ");
    assert_eq!(cdn_loop, "other, edgelb");
}

async fn redirects_are_not_followed(door: Door) {
    let scene = Scene::new(door, &[]);
    for code in [301, 302, 303, 307, 308] {
        scene.all(move |_| answer(code, &[("location", "http://b.test/next")], ""));
        let attempts = scene.attempts();
        let response = scene.get("/").await;
        assert_eq!(response.status().as_u16(), code);
        assert_eq!(
            values(response.headers(), "location"),
            ["http://b.test/next"]
        );
        assert_eq!(scene.attempts() - attempts, 1);
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.3.5> and
/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5>
async fn statuses_without_a_body_pass(door: Door) {
    let scene = Scene::new(door, &[]);
    for code in [204, 304] {
        scene.all(move |_| answer(code, &[("etag", "\"1\"")], ""));
        let response = scene.get("/").await;
        assert_eq!(response.status().as_u16(), code);
        assert_eq!(values(response.headers(), "etag"), ["\"1\""]);
        assert_eq!(response.body(), "");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-8.6>
async fn lengths_pass_without_their_bodies(door: Door) {
    let scene = Scene::new(door, &[]);
    scene.all(|_| answer(200, &[("content-length", "1234")], ""));
    let response = scene.send(ask("HEAD", "/", &[], "")).await;
    assert_eq!(values(response.headers(), "content-length"), ["1234"]);

    scene.all(|_| {
        let fields = [("content-range", "bytes 0-3/10"), ("content-length", "4")];
        answer(206, &fields, "part")
    });
    let response = scene.get("/").await;
    assert_eq!(response.status(), 206);
    assert_eq!(
        values(response.headers(), "content-range"),
        ["bytes 0-3/10"]
    );
    assert_eq!(response.body(), "part");
}

async fn no_body_is_not_given_a_length(door: Door) {
    let scene = Scene::new(door, &[]);
    for method in ["GET", "DELETE", "OPTIONS", "POST"] {
        for (fields, length) in [(&[][..], None), (&[("content-length", "0")], Some("0"))] {
            let received = seen(&scene, ask(method, "/", fields, "")).await;
            let lengths = values(received.headers(), "content-length");
            assert_eq!(lengths.first().copied(), length, "{method}");
        }
    }
}

async fn bodies_pass_in_pieces(door: Door) {
    let scene = Scene::new(door, &[]);
    let (feed, body) = pieces();
    let body = std::sync::Mutex::new(Some(body));
    let home = scene.home().await;
    home.script(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        Act::Answer(response(200, &[], body))
    });
    let mut response = scene.edge.fetch(get("/")).await;
    assert_eq!(response.headers()[BY], home.name());
    for piece in ["one", "two", "three"] {
        feed.send(piece).unwrap();
        // The piece before the next is fed: nothing waits for a fuller buffer.
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    drop(feed);
    assert!(response.body_mut().frame().await.is_none());
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-6.5>
async fn trailers_pass_both_ways(door: Door) {
    let scene = Scene::new(door, &[]);
    let trailers: HeaderMap = [(
        http::HeaderName::from_static("x-checksum"),
        http::HeaderValue::from_static("1"),
    )]
    .into_iter()
    .collect();
    let (given, expected) = (trailers.clone(), trailers.clone());
    scene.all(move |_| {
        let trailers = given.clone();
        let body = http_body_util::Full::from("body").with_trailers(async { Some(Ok(trailers)) });
        Act::Answer(response(200, &[], Body::new(body)))
    });
    let body = http_body_util::Full::from("up").with_trailers(async { Some(Ok(trailers)) });
    let response = scene
        .edge
        .fetch(ask("PUT", "/", &[], Body::new(body)))
        .await;
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&expected));
    assert_eq!(collected.to_bytes(), "body");
}

/// A body of pieces that arrive when they are sent.
fn pieces() -> (tokio::sync::mpsc::UnboundedSender<&'static str>, Body) {
    let (feed, mut pieces) = tokio::sync::mpsc::unbounded_channel();
    let stream = futures_util::stream::poll_fn(move |cx| {
        pieces.poll_recv(cx).map(|piece| {
            piece.map(|piece: &'static str| {
                Ok::<_, edgelb_host::BodyError>(hyper::body::Frame::data(piece.into()))
            })
        })
    });
    (feed, Body::new(http_body_util::StreamBody::new(stream)))
}
