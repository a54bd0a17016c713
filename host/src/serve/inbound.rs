//! What comes from a client: read by the connection between requests, and by the
//! body of a request within it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::net::tcp::OwnedReadHalf;

use super::interim::Interim;
use crate::body::{Body, BodyError};
use crate::http1::{self, Decoded, Decoder, Input, Malformed, RequestHead, Truncated};

/// The reading side of a connection.
#[derive(Clone)]
pub(super) struct Inbound(Arc<Mutex<State>>);

struct State {
    reader: OwnedReadHalf,
    input: Input,
    /// Of the request under way.
    decoder: Decoder,
    /// The client waits for a word before it sends its body
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>), and it is to get
    /// that once the body is wanted.
    waits: bool,
    promised: bool,
    interim: Arc<Interim>,
    /// Counts requests: a body is of one.
    request: u64,
    /// Somebody has the body.
    taken: bool,
    /// The client ended, or broke, within it.
    gone: bool,
    /// Whom to tell when that ends.
    waker: Option<Waker>,
}

/// What comes in place of a request.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// No more: the client closed, or broke off.
    End,
    Malformed(Malformed),
}

impl Inbound {
    pub(super) fn new(reader: OwnedReadHalf, interim: Arc<Interim>) -> Self {
        Self(Arc::new(Mutex::new(State {
            reader,
            input: Input::new(),
            decoder: Decoder::new(http1::Framing::Length(0)),
            waits: false,
            promised: false,
            interim,
            request: 0,
            taken: false,
            gone: false,
            waker: None,
        })))
    }

    /// Whether nothing of a request has come.
    pub(super) fn is_silent(&self) -> bool {
        self.lock().input.is_empty()
    }

    /// The head of the next request.
    pub(super) fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<RequestHead, NoRequest>> {
        let state = &mut *self.lock();
        loop {
            match state.input.head(http1::request) {
                Ok(Some(head)) => {
                    state.decoder = Decoder::new(head.framing);
                    state.waits = head.expects_continue;
                    state.promised = head.expects_continue;
                    state.request += 1;
                    state.taken = false;
                    return Poll::Ready(Ok(head));
                }
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Err(NoRequest::Malformed(malformed))),
            }
            if state.input.is_empty() {
                // While there is nothing to read, no room is held for it.
                state.input.rest();
                if ready!(state.reader.as_ref().poll_read_ready(cx)).is_err() {
                    return Poll::Ready(Err(NoRequest::End));
                }
            }
            match ready!(state.input.poll_fill(cx, &mut state.reader)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(Err(NoRequest::End)),
            }
        }
    }

    /// The body of the request whose head came last.
    pub(super) fn body(&self) -> Body {
        let mut state = self.lock();
        if state.decoder.is_done() {
            return Body::empty();
        }
        state.taken = true;
        let request = state.request;
        drop(state);
        Body::watched(Received {
            inbound: self.clone(),
            request,
        })
    }

    /// The final response begins: a client that still waits is not told to go on.
    pub(super) fn answered(&self) {
        self.lock().promised = false;
    }

    /// Ready when the client is gone. While its request comes in that shows there.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.lock();
        if state.gone {
            return Poll::Ready(());
        }
        if state.taken && !state.decoder.is_done() {
            state.wake(cx);
            return Poll::Pending;
        }
        // What else the client sends has its turn later, and is not read without end.
        while state.input.has_room() {
            match ready!(state.input.poll_fill(cx, &mut state.reader)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Whether another request may follow this one, as far as can be told now: none
    /// of it is left that nobody will read.
    pub(super) fn may_go_on(&self) -> bool {
        let mut state = self.lock();
        state.taken || state.pass_over()
    }

    /// Ready when nobody reads of the request any more. Whether another may follow
    /// it: it was read to its end.
    pub(super) fn poll_over(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let state = &mut *self.lock();
        if state.taken && !state.decoder.is_done() {
            state.wake(cx);
            return Poll::Pending;
        }
        Poll::Ready(state.pass_over())
    }

    /// Reads what comes, and lets it go. Ready when no more does.
    pub(super) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.lock();
        while let Ok(true) = ready!(state.input.poll_fill(cx, &mut state.reader)) {
            state.input.bytes().clear();
        }
        Poll::Ready(())
    }

    /// The reading side, and what was read already, for another protocol. `None`
    /// while a body is read.
    pub(super) fn into_parts(self) -> Option<(Bytes, OwnedReadHalf)> {
        let state = Arc::into_inner(self.0)?;
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some((state.input.take().freeze(), state.reader))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Passes over what is here already of a body that nobody wants. Whether that was
    /// all of it.
    fn pass_over(&mut self) -> bool {
        while !self.decoder.is_done() && !self.waits {
            match self.decoder.decode(self.input.bytes()) {
                Ok(Decoded::Data(_)) => {}
                Ok(Decoded::Trailers(_) | Decoded::End | Decoded::Wanting) | Err(_) => break,
            }
        }
        self.decoder.is_done()
    }

    /// Tells whoever waits for the end of the body.
    fn tell(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A request's body on its way in.
struct Received {
    inbound: Inbound,
    request: u64,
}

impl Received {
    /// The state, while it is this request's.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.inbound.lock()).filter(|state| state.request == self.request)
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(mut state) = self.state() else {
            return Poll::Ready(None);
        };
        let state = &mut *state;
        if std::mem::take(&mut state.promised) {
            state.waits = false;
            state.interim.go_on();
        }
        let decoded = ready!(
            state
                .input
                .poll_body(cx, &mut state.reader, &mut state.decoder)
        );
        if let Err(error) = &decoded {
            // Who sends what is no body is there to be told so.
            state.gone = error.is::<Truncated>() || error.is::<io::Error>();
        }
        if state.decoder.is_done() || state.gone {
            state.tell();
        }
        Poll::Ready(match decoded? {
            Decoded::Data(data) => Some(Ok(Frame::data(data))),
            Decoded::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Decoded::End | Decoded::Wanting => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.state().is_none_or(|state| state.decoder.is_done())
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.state().map_or(Some(0), |state| state.decoder.left());
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(mut state) = self.state() {
            state.taken = false;
            state.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::future::poll_fn;

    use http_body_util::BodyExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn connected() -> (TcpStream, Inbound) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (reader, writer) = accepted.unwrap().0.into_split();
        writer.forget();
        (client.unwrap(), Inbound::new(reader, Interim::new()))
    }

    #[tokio::test]
    async fn a_client_that_leaves_behind_part_of_a_request_is_gone() {
        let (mut client, inbound) = connected().await;
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write_all(get.as_bytes()).await.unwrap();
        poll_fn(|cx| inbound.poll_head(cx)).await.unwrap();
        let gone = tokio::spawn({
            let inbound = inbound.clone();
            async move { poll_fn(|cx| inbound.poll_gone(cx)).await }
        });
        client.write_all(b"GET").await.unwrap();
        while inbound.is_silent() {
            tokio::task::yield_now().await;
        }
        drop(client);
        gone.await.unwrap();
    }

    #[tokio::test]
    async fn the_body_of_a_request_takes_nothing_of_the_next() {
        let (mut client, inbound) = connected().await;
        let post = |content: &str| {
            let length = content.len();
            format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{content}")
        };
        let both = post("first") + &post("second");
        client.write_all(both.as_bytes()).await.unwrap();
        poll_fn(|cx| inbound.poll_head(cx)).await.unwrap();
        let mut stale = inbound.body();
        stale.frame().await.unwrap().unwrap();
        assert!(poll_fn(|cx| inbound.poll_over(cx)).await);

        poll_fn(|cx| inbound.poll_head(cx)).await.unwrap();
        let body = inbound.body();
        assert!(stale.frame().await.is_none());
        drop(stale);
        assert!(inbound.lock().taken);
        assert_eq!(body.bytes().await.unwrap(), "second");
    }
}
