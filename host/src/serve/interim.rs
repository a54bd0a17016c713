//! Interim responses towards the client (RFC 9110 section 15.2).
//!
//! "A proxy MUST forward 1xx responses": hyper's server writes none but 100,
//! so they are slipped into the connection below it. Between the request head
//! read and the final head written hyper has nothing to write: that is where
//! they go, and only there.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

use crate::exchange::InterimSink;

/// How many bytes of them may wait.
const WAITING: usize = 64 << 10;

/// Fields that go no further (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>),
/// and the one that has no meaning here.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Interim responses waiting for a connection.
#[derive(Default)]
pub(super) struct Interim(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    /// hyper has handed over bytes it has not flushed: a response is unfinished.
    unfinished: bool,
    waker: Option<Waker>,
}

impl Interim {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes interim responses for the connection.
    pub(super) fn sink(self: &Arc<Self>) -> InterimSink {
        let this = Arc::clone(self);
        Arc::new(move |status, headers| this.push(status, headers))
    }

    fn push(&self, status: StatusCode, headers: &HeaderMap) {
        // 100 answers an expectation on each hop for itself; 101 is final here.
        if matches!(
            status,
            StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS
        ) {
            return;
        }
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.unfinished || queue.bytes.len() > WAITING {
            // A client that does not read can do without the hint.
            return;
        }
        let reason = status.canonical_reason().unwrap_or("Interim");
        let head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str());
        queue.bytes.extend_from_slice(head.as_bytes());
        for (name, value) in headers {
            if HOP_BY_HOP.contains(&name.as_str()) || is_named_by_connection(name, headers) {
                continue;
            }
            queue.bytes.extend_from_slice(name.as_str().as_bytes());
            queue.bytes.extend_from_slice(b": ");
            queue.bytes.extend_from_slice(value.as_bytes());
            queue.bytes.extend_from_slice(b"\r\n");
        }
        queue.bytes.extend_from_slice(b"\r\n");
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }

    /// Writes what waits, unless hyper is in the middle of a response. Answers
    /// whether there was any.
    pub(super) fn poll_write_to(
        &self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let any = !queue.bytes.is_empty();
        while !queue.bytes.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &queue.bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            queue.bytes.drain(..written);
        }
        Poll::Ready(Ok(any))
    }

    /// hyper began to write a response.
    pub(super) fn begin(&self) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.unfinished = true;
    }

    /// hyper has written all it had, and is to be woken when there is more here.
    pub(super) fn finish(&self, waker: &Waker) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.unfinished = false;
        match &mut queue.waker {
            Some(current) => current.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }
}

fn is_named_by_connection(name: &HeaderName, headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value.as_bytes().split(|&byte| byte == b',').any(|option| {
            option
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    })
}
