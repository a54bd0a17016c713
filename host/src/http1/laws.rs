//! What is read of any bytes is what another implementation reads of them, or nothing:
//! two that read the same bytes as different messages are what requests are smuggled
//! through (<https://www.rfc-editor.org/rfc/rfc9112#section-11.2>). The other one is
//! hyper, to which the grammar of heads is the same; where messages end is its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod messages;

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::messages::{Text, bytes, one_request, one_response};
use super::*;
use crate::body::Body;
use crate::edits;
use crate::lines;

/// What is read of a message: what it begins with, its fields but those of framing, and
/// its content if that is whole.
type Message = (String, HeaderMap, Option<Vec<u8>>);

/// Lengths that are repeated stand once, and HTTP/1.0 has no upgrades.
fn beside_framing(mut fields: HeaderMap) -> HeaderMap {
    fields.remove(CONTENT_LENGTH);
    fields.remove(UPGRADE);
    fields
}

/// Bytes that arrive in pieces of a size.
struct Wire<'a> {
    input: Input,
    pieces: std::slice::Chunks<'a, u8>,
}

impl<'a> Wire<'a> {
    fn new(bytes: &'a [u8], size: usize) -> Self {
        Self {
            input: Input::new(),
            pieces: bytes.chunks(size),
        }
    }

    /// Whether more has come.
    fn fill(&mut self) -> bool {
        let piece = self.pieces.next();
        let bytes: &mut BytesMut = self.input.bytes();
        piece.map(|piece| bytes.extend_from_slice(piece)).is_some()
    }

    /// The next head; `None` at the end.
    fn head<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        loop {
            if let Some(head) = self.input.head(&parse)? {
                return Ok(Some(head));
            }
            if !self.fill() {
                return Ok(None);
            }
        }
    }

    /// The content of a body that is whole.
    fn body(&mut self, framing: Framing) -> Option<Vec<u8>> {
        let mut decoder = Decoder::new(framing);
        let mut content = Vec::new();
        while !decoder.is_done() {
            match decoder.decode(self.input.bytes()).ok()? {
                Decoded::Data(data) => content.extend_from_slice(&data),
                Decoded::Trailers(_) | Decoded::End => {}
                Decoded::Wanting if self.fill() => {}
                Decoded::Wanting => return decoder.close().then_some(content),
            }
        }
        Some(content)
    }
}

fn our_requests(bytes: &[u8], size: usize) -> Vec<Message> {
    let mut wire = Wire::new(bytes, size);
    let mut messages = Vec::new();
    while let Ok(Some(head)) = wire.head(request) {
        let content = wire.body(head.framing);
        let goes_on = content.is_some() && head.persistent;
        let start = format!("{} {}", head.method, head.uri);
        messages.push((start, beside_framing(lines::unpack(&head.lines)), content));
        if !goes_on {
            break;
        }
    }
    messages
}

/// The bytes that a request goes on as.
async fn passed_on(head: &RequestHead, content: Vec<u8>) -> Vec<u8> {
    let body = if head.framing == Framing::Chunked {
        let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(content)));
        Body::new(StreamBody::new(futures_util::stream::iter([frame])))
    } else {
        Body::from(content)
    };
    let request = super::Request {
        method: &head.method,
        target: head.uri.path_and_query().map_or("/", |it| it.as_str()),
        host: b"backend",
        fields: edits::NONE.of(&head.lines),
    };
    let mut output = Output::default();
    let encoder = request.write(output.head(), &body);
    let mut content = Content::new(body, encoder, true);
    let mut written = Vec::new();
    while !(content.is_over() && output.is_empty()) {
        poll_fn(|cx| content.poll(cx, &mut output, |_| {})).await;
        poll_fn(|cx| output.poll_write(cx, &mut written))
            .await
            .unwrap();
    }
    assert!(!content.has_failed());
    written
}

async fn hypers_requests(bytes: &[u8]) -> Vec<Message> {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let messages = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let messages = Arc::clone(&messages);
        async move {
            let start = format!("{} {}", request.method(), request.uri());
            let fields = beside_framing(request.headers().clone());
            let content = request.into_body().collect().await;
            let content = content.ok().map(|it| it.to_bytes().to_vec());
            messages.lock().unwrap().push((start, fields, content));
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let served = builder
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let talk = async {
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        let mut answers = Vec::new();
        let _ = client.read_to_end(&mut answers).await;
    };
    let _ = tokio::join!(served, talk);
    std::mem::take(&mut *messages.lock().unwrap())
}

/// The final response to a request of this method, and its content.
fn our_response(bytes: &[u8], method: &Method, size: usize) -> Option<Message> {
    let mut wire = Wire::new(bytes, size);
    loop {
        let head = wire.head(|bytes| response(bytes, method)).ok()??;
        if !matches!(head.status.as_u16(), 100 | 102..=199) {
            let fields = beside_framing(lines::unpack(&head.lines));
            return Some((head.status.to_string(), fields, wire.body(head.framing)));
        }
    }
}

async fn hypers_response(bytes: &[u8], method: &Method) -> Option<Message> {
    let (client, mut server) = tokio::io::duplex(1 << 16);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client))
        .await
        .ok()?;
    let request = Request::builder()
        .method(method)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let ask = async {
        let response = sender.send_request(request).await.ok()?;
        let start = response.status().to_string();
        let fields = beside_framing(response.headers().clone());
        let content = response.into_body().collect().await.ok();
        drop(sender);
        Some((start, fields, content.map(|it| it.to_bytes().to_vec())))
    };
    let answer = async {
        let mut head = [0; 1024];
        let _ = server.read(&mut head).await;
        let _ = server.write_all(bytes).await;
        let _ = server.shutdown().await;
    };
    let (response, _, ()) = tokio::join!(ask, connection, answer);
    response
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn requests_are_read_as_another_implementation_reads_them_or_not_at_all(
        Text(bytes) in bytes(prop::collection::vec(one_request(), 1..4).prop_map(|all| all.concat()), 0xff),
        size in 1..40_usize,
    ) {
        let ours = our_requests(&bytes, bytes.len());
        prop_assert_eq!(&our_requests(&bytes, size), &ours, "by {}", size);
        let hypers = block_on(hypers_requests(&bytes));
        for (index, (start, fields, content)) in ours.iter().enumerate() {
            let Some((its, theirs, other)) = hypers.get(index) else {
                return Err(TestCaseError::fail(format!("{ours:?} not {hypers:?}")));
            };
            prop_assert_eq!((start, fields), (its, theirs));
            prop_assert!(content.is_none() || content == other, "{:?} not {:?}", ours, hypers);
        }
    }

    #[test]
    fn what_goes_on_is_one_request_to_another_implementation(
        Text(bytes) in bytes(one_request(), 0xff),
    ) {
        let mut wire = Wire::new(&bytes, bytes.len());
        let Ok(Some(head)) = wire.head(request) else { return Ok(()) };
        let Some(content) = wire.body(head.framing) else { return Ok(()) };
        let written = block_on(passed_on(&head, content.clone()));
        let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
        let mut fields = beside_framing(lines::unpack(&head.lines));
        fields.insert(HOST, HeaderValue::from_static("backend"));
        fields.remove(TRANSFER_ENCODING);
        let mut read = block_on(hypers_requests(&written));
        for (_, fields, _) in &mut read {
            fields.remove(TRANSFER_ENCODING);
        }
        let expected = vec![(format!("{} {target}", head.method), fields, Some(content))];
        prop_assert_eq!(read, expected, "{:?}", Text(written));
    }

    #[test]
    fn responses_are_read_as_another_implementation_reads_them_or_not_at_all(
        // What codings are named by bytes beyond ASCII is not for hyper to say.
        Text(bytes) in bytes(prop::collection::vec(one_response(), 1..3).prop_map(|all| all.concat()), 0x7f),
        method in prop::sample::select(&[Method::GET, Method::HEAD, Method::POST][..]),
        size in 1..40_usize,
    ) {
        let ours = our_response(&bytes, &method, bytes.len());
        prop_assert_eq!(&our_response(&bytes, &method, size), &ours, "by {}", size);
        if let Some((.., Some(_))) = ours {
            prop_assert_eq!(block_on(hypers_response(&bytes, &method)), ours);
        }
    }
}

/// The laws above would hold of nothing, too.
#[test]
fn what_is_a_message_is_read_as_one() {
    let requests = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n\
         POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello\
         PUT /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
         GET /d HTTP/1.0\r\n\r\n";
    let read = our_requests(requests.as_bytes(), 7);
    let targets: Vec<_> = read.iter().map(|(start, ..)| start.as_str()).collect();
    assert_eq!(targets, ["GET /a", "POST /b", "PUT /c", "GET /d"]);
    assert_eq!(block_on(hypers_requests(requests.as_bytes())), read);
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
    ] {
        let read = our_response(response.as_bytes(), &Method::GET, 7);
        let (.., content) = read.unwrap();
        assert_eq!(content.as_deref(), Some(&b"hello"[..]), "{response:?}");
    }
}
