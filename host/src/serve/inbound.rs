//! What comes from a client: read by the connection between requests, and by the
//! body of a request within it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::net::tcp::OwnedReadHalf;

use crate::body::{Body, BodyError};
use crate::http1::{self, Decoded, Decoder, Input, Malformed, RequestHead};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

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
    /// Somebody has the body.
    taken: bool,
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
    pub(super) fn new(reader: OwnedReadHalf) -> Self {
        Self(Arc::new(Mutex::new(State {
            reader,
            input: Input::new(),
            decoder: Decoder::new(http1::Framing::Length(0)),
            waits: false,
            promised: false,
            taken: false,
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
        drop(state);
        Body::watched(Received(self.clone()))
    }

    /// The final response begins: a client that still waits is not told to go on.
    pub(super) fn answered(&self) {
        self.lock().promised = false;
    }

    /// Ready when the client is gone. While its request comes in that shows there.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.lock();
        if !state.decoder.is_done() {
            state.wake(cx);
            return Poll::Pending;
        }
        // What the client sends already is the next request, and read when its turn comes.
        if !state.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(state.input.poll_fill(cx, &mut state.reader)) {
            Ok(true) => Poll::Pending,
            Ok(false) | Err(_) => Poll::Ready(()),
        }
    }

    /// Ready when nobody reads of the request any more. Whether another may follow
    /// it: it was read to its end.
    pub(super) fn poll_over(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let state = &mut *self.lock();
        if state.taken && !state.decoder.is_done() {
            state.wake(cx);
            return Poll::Pending;
        }
        // Of a body that nobody wanted, what is here already is passed over.
        while !state.decoder.is_done() && !state.waits {
            match state.decoder.decode(state.input.bytes()) {
                Ok(Decoded::Data(_)) => {}
                Ok(Decoded::Trailers(_) | Decoded::End | Decoded::Wanting) | Err(_) => break,
            }
        }
        Poll::Ready(state.decoder.is_done())
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

    /// Tells whoever waits for the end of the body.
    fn tell(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The body is wanted: the client is told to go on.
    fn go_on(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.promised) {
            self.waits = false;
            // Nothing else is under way to the client yet, so there is room for it.
            let written = self.reader.as_ref().try_write(CONTINUE)?;
            if written < CONTINUE.len() {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

/// A request's body on its way in.
struct Received(Inbound);

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let state = &mut *self.0.lock();
        state.go_on()?;
        let decoded = ready!(
            state
                .input
                .poll_body(cx, &mut state.reader, &mut state.decoder)
        );
        if state.decoder.is_done() || decoded.is_err() {
            state.tell();
        }
        Poll::Ready(match decoded? {
            Decoded::Data(data) => Some(Ok(Frame::data(data))),
            Decoded::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Decoded::End | Decoded::Wanting => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.0.lock().decoder.left();
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.taken = false;
        state.tell();
    }
}
