//! Backends over https.

use edgelb_tests::backend::Backend;
use edgelb_tests::client::{self, Client};
use edgelb_tests::nginx::Directory;
use edgelb_tests::noise::Noise;
use edgelb_tests::port::Port;
use edgelb_tests::script::Reply;
use edgelb_tests::tls::Authority;
use tokio::io::AsyncWriteExt as _;

use crate::stage::Door;

crate::both_doors!(
    a_backend_is_trusted_by_the_authority_given,
    bodies_pass_over_tls,
    strangers_are_not_trusted,
    https_where_there_is_none_is_a_protocol_error,
);

async fn a_backend_is_trusted_by_the_authority_given(door: Door) {
    let (directory, authority) = (Directory::new(), Authority::new());
    let backend = Backend::start_tls(&authority.issue("localhost"), |_| Reply::ok("safe"));
    let edgelb = door
        .serve()
        .arg("--upstream-ca")
        .arg(directory.write("ca.pem", authority.pem()))
        .env("BACKEND_A", backend.url())
        .start()
        .await;
    let mut client = Client::connect(edgelb.address).await;
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/", "").await.text(), "safe");
    }
    let received = backend.received();
    assert_eq!(received[0].head.field("host"), Some(&*backend.authority()));
    assert_eq!(received[0].head.field("x-forwarded-proto"), Some("http"));
}

async fn bodies_pass_over_tls(door: Door) {
    let (directory, authority) = (Directory::new(), Authority::new());
    let noise = Noise::new(5, 4 << 20);
    let body = noise.clone();
    let backend = Backend::start_tls(&authority.issue("localhost"), move |request| match request
        .head
        .method()
    {
        "PUT" => Reply::digest(),
        _ => Reply::noise(body.clone()),
    });
    let edgelb = door
        .serve()
        .arg("--upstream-ca")
        .arg(directory.write("ca.pem", authority.pem()))
        .env("BACKEND_A", backend.url())
        .start()
        .await;
    let mut client = Client::connect(edgelb.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (_, _, mut body) = client.response_head("GET").await;
    let digest = noise.clone().digest();
    assert_eq!(client.digest(&mut body).await, digest);
    let length = noise.length();
    client
        .send(format!(
            "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"
        ))
        .await;
    for piece in noise {
        client.send(&piece).await;
    }
    assert_eq!(client.response("PUT").await.text(), digest.sha256);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-4.3.4>
async fn strangers_are_not_trusted(door: Door) {
    let (directory, authority) = (Directory::new(), Authority::new());
    let ca = directory.write("ca.pem", authority.pem());
    let unknown = Authority::new().issue("localhost");
    let misnamed = authority.issue("elsewhere.test");
    for identity in [unknown, misnamed] {
        let backend = Backend::start_tls(&identity, |_| Reply::ok("trust me"));
        let edgelb = door
            .serve()
            .arg("--upstream-ca")
            .arg(&*ca)
            .env("BACKEND_A", backend.url())
            .start()
            .await;
        let response = client::get(edgelb.address, "/").await;
        // Nothing was sent to anybody: none is available.
        assert_eq!(response.status(), 503);
        assert_eq!(
            response.head.field("proxy-status"),
            Some("edgelb; error=tls_certificate_error")
        );
        assert_eq!(backend.seen().requests, 0);
    }
}

async fn https_where_there_is_none_is_a_protocol_error(door: Door) {
    // Whatever it is greeted with, it says this.
    let port = Port::reserve();
    let listener = port.listen();
    let speaking = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 plain words\r\n").await;
        }
    });
    let edgelb = door
        .serve()
        .env("BACKEND_A", format!("https://{}", port.address()))
        .start()
        .await;
    let response = client::get(edgelb.address, "/").await;
    let status = match door {
        Door::Exchange => 503,
        // A guest is not told whether it was the handshake.
        Door::WasiHttp => 502,
    };
    assert_eq!(response.status(), status);
    assert_eq!(
        response.head.field("proxy-status"),
        Some("edgelb; error=tls_protocol_error")
    );
    speaking.abort();
}
