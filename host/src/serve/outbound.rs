//! What goes to a client: given up when the client no longer takes it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, Sleep, sleep_until};

use super::inbound::Inbound;
use super::line::Line;
use crate::body::BodyError;
use crate::http1::{self, Content, Encoder, Output, To};
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

    /// Writes what there is.
    ///
    /// # Errors
    /// The client is gone, or takes nothing any more.
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
        let mut content = Content::new(response.body, encoder, to.trailers);
        let mut line = line;
        let sent = poll_fn(|cx| self.poll_send(cx, &mut content, line.as_deref_mut(), inbound));
        let sent = sent.await;
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
        content: &mut Content,
        mut line: Option<&mut Line>,
        inbound: &Inbound,
    ) -> Poll<Result<(), BodyError>> {
        loop {
            let polled = content.poll(cx, &mut self.out, |data| {
                if let Some(line) = &mut line {
                    line.count(data);
                }
            });
            if let Some(line) = line.as_mut().filter(|_| content.is_over()) {
                line.ended(if content.has_failed() {
                    End::Broken
                } else {
                    End::Whole
                });
            }
            let written = self.poll_flush(cx)?;
            if written.is_pending() || polled.is_pending() {
                // Who sends nothing may still be there; who closed is not.
                ready!(inbound.poll_gone(cx));
                return Poll::Ready(Err(Box::new(Gone)));
            }
            if content.is_over() {
                return Poll::Ready(content.failure().map_or(Ok(()), Err));
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
