//! What goes to a client: given up when the client no longer takes it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, Sleep, sleep_until};

use super::inbound::Inbound;
use super::line::Line;
use crate::body::{Body, BodyError};
use crate::http1::{self, Encoder, Output, To};
use crate::message::PackedResponse;
use crate::sim::End;

/// The writing side of a connection.
pub(super) struct Outbound {
    writer: OwnedWriteHalf,
    out: Output,
    stall: Stall,
}

/// How long the client has been taking nothing.
struct Stall {
    patience: Duration,
    stalled: bool,
    /// Set when the client first stalls, which most never do.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The client closed before all of its response was sent.
#[derive(Debug, thiserror::Error)]
#[error("the client is gone")]
struct Gone;

/// A response on its way.
struct Sending<'a> {
    /// The rest of it.
    body: Option<Body>,
    /// Why there is no more, if that is not its end.
    failed: Option<BodyError>,
    encoder: Encoder,
    to: To,
    line: Option<&'a mut Line>,
}

impl Outbound {
    /// `patience` is how long the client may take nothing of a response.
    pub(super) fn new(writer: OwnedWriteHalf, patience: Duration) -> Self {
        Self {
            writer,
            out: Output::default(),
            stall: Stall {
                patience,
                stalled: false,
                timer: None,
            },
        }
    }

    /// Where what goes before the final response is written.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        self.out.head()
    }

    /// Writes what there is. That it cannot be written shows by
    /// [`Inbound::poll_gone`], or by the response.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let before = self.out.len();
        let written = self.out.poll_write(cx, &mut self.writer);
        self.stall.watch(cx, written, self.out.len() < before)
    }

    /// Sends a response to its end, the line told of it. Answers whether another may
    /// follow it on this connection.
    ///
    /// # Errors
    /// The client is gone, or takes nothing any more; or the body broke off, and the
    /// connection must, too, so that the client sees it.
    pub(super) async fn send(
        &mut self,
        response: PackedResponse,
        to: To,
        persistent: bool,
        line: Option<&mut Line>,
        inbound: &Inbound,
    ) -> Result<bool, BodyError> {
        let head = http1::Response {
            status: response.status,
            reason: response.reason.as_deref(),
            fields: response.fields(),
            to,
            persistent,
        };
        let encoder = head.write(self.out.head(), &response.body);
        let mut sending = Sending {
            // Where there can be none, none is sent.
            body: Some(response.body).filter(|_| !encoder.is_done()),
            failed: None,
            encoder,
            to,
            line,
        };
        if sending.body.is_none() {
            sending.ended(End::Whole);
        }
        let sent = poll_fn(|cx| self.poll_send(cx, &mut sending, inbound)).await;
        if sent.is_err() && encoder == Encoder::Close {
            // The end of the connection would look like that of the body.
            let socket = SockRef::from(self.writer.as_ref());
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        sent.map(|()| persistent && encoder != Encoder::Close)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending<'_>,
        inbound: &Inbound,
    ) -> Poll<Result<(), BodyError>> {
        loop {
            let content = sending.poll_content(cx, &mut self.out);
            let written = self.poll_flush(cx)?;
            if written.is_pending() || content.is_pending() {
                // Who sends nothing may still be there; who closed is not.
                ready!(inbound.poll_gone(cx));
                return Poll::Ready(Err(Box::new(Gone)));
            }
            if sending.body.is_none() {
                return Poll::Ready(sending.failed.take().map_or(Ok(()), Err));
            }
        }
    }

    /// Nothing is to be written for a while.
    pub(super) fn rest(&mut self) {
        self.out.rest();
    }

    /// Says that nothing more comes.
    pub(super) async fn shutdown(&mut self) {
        let _ = self.writer.shutdown().await;
    }

    pub(super) fn into_writer(self) -> OwnedWriteHalf {
        self.writer
    }
}

impl Sending<'_> {
    /// Takes content while there is room for it.
    fn poll_content(&mut self, cx: &mut Context<'_>, out: &mut Output) -> Poll<()> {
        while let Some(body) = self.body.as_mut().filter(|_| out.has_room()) {
            let frame = ready!(Pin::new(&mut *body).poll_frame(cx)).transpose();
            let is_last = body.is_end_stream();
            match frame.and_then(|frame| self.write(out, frame, is_last)) {
                Ok(true) => {}
                Ok(false) => {
                    self.body = None;
                    self.ended(End::Whole);
                }
                Err(error) => {
                    self.body = None;
                    self.failed = Some(error);
                    self.ended(End::Broken);
                }
            }
        }
        Poll::Ready(())
    }

    /// Writes a frame, or the end. Answers whether there is more to come.
    fn write(
        &mut self,
        out: &mut Output,
        frame: Option<Frame<Bytes>>,
        is_last: bool,
    ) -> Result<bool, BodyError> {
        let trailers = match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                if let Some(line) = &mut self.line {
                    line.count(&data);
                }
                self.encoder.data(out, data)?;
                if !is_last && !self.encoder.is_done() {
                    return Ok(true);
                }
                None
            }
            Some(Err(frame)) => frame.into_trailers().ok().filter(|_| self.to.trailers),
            None => None,
        };
        self.encoder.end(out, trailers.as_ref())?;
        Ok(false)
    }

    fn ended(&mut self, end: End) {
        if let Some(line) = &mut self.line {
            line.ended(end);
        }
    }
}

impl Stall {
    /// A write that cannot go on fails when its time is over.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<()>>,
        took_some: bool,
    ) -> Poll<io::Result<()>> {
        if write.is_ready() || took_some {
            self.stalled = false;
        }
        if write.is_ready() {
            return write;
        }
        let deadline = Instant::now() + self.patience;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !self.stalled {
            self.stalled = true;
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
