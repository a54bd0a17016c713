//! A request on its way up: who is keeping whom waiting?

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::stream::Writer;
use crate::body::{Body, BodyError};
use crate::http1::{Content, Encoder, Output};

/// A request, as far as it is not sent yet.
pub(super) struct Upload {
    out: Output,
    content: Content,
    /// Whether all of it is with the backend, or on the way there.
    sent: bool,
    /// Whether a byte of it was written.
    begun: bool,
    /// Whether the backend is to wait for the client.
    awaits_client: bool,
    /// When the backend was given something last.
    gave: Option<Instant>,
}

/// Why a request cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("the client's request body ended early: {0}")]
    Client(BodyError),
    #[error(transparent)]
    Backend(#[from] io::Error),
}

impl Upload {
    /// Sends what `write` writes, and a body framed as that says.
    pub(super) fn new(body: Body, write: impl FnOnce(&mut Vec<u8>, &Body) -> Encoder) -> Self {
        let mut out = Output::default();
        let encoder = write(out.head(), &body);
        Self {
            out,
            content: Content::new(body, encoder, true),
            sent: false,
            begun: false,
            awaits_client: false,
            gave: None,
        }
    }

    pub(super) const fn is_unsent(&self) -> bool {
        !self.begun
    }

    pub(super) const fn is_done(&self) -> bool {
        self.sent
    }

    /// Until when to wait for a response; `None`: no longer. The backend's time
    /// runs from the last byte it was given, and not while the client is
    /// waited for, whose body has a timeout of its own.
    pub(super) fn patience(&self, now: Instant, first_byte: Duration) -> Option<Instant> {
        let since = if self.awaits_client { now } else { self.gave? };
        let until = since + first_byte;
        (until > now).then_some(until)
    }

    /// Sends what can be sent; ready when that was all.
    pub(super) fn poll<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            let content = self.content.poll(cx, &mut self.out, |_| {
                self.gave = Some(Instant::now());
            });
            self.awaits_client = content.is_pending();
            if let Some(error) = self.content.failure() {
                return Poll::Ready(Err(UploadError::Client(error)));
            }
            let written = self.out.poll_write(cx, writer);
            self.begun |= self.out.has_begun() || matches!(written, Poll::Ready(Ok(())));
            // A backend that takes no more waits for nobody.
            self.awaits_client &= !matches!(written, Poll::Ready(Err(_)));
            ready!(written)?;
            // What TLS has of it yet is not sent.
            ready!(Pin::new(&mut *writer).poll_flush(cx))?;
            if self.content.is_over() {
                self.sent = true;
                return Poll::Ready(Ok(()));
            }
            ready!(content);
        }
    }

    /// Sends the rest, unless neither takes part for so long. What did not go whole
    /// ends the connection.
    pub(super) async fn finish(mut self, mut writer: Writer, idle: Duration) -> Option<Writer> {
        let mut timer = pin!(sleep(idle));
        let sent = poll_fn(|cx| {
            let before = self.out.len();
            let sent = self.poll(cx, &mut writer).map(|sent| sent.is_ok());
            // The client has a timeout of its own.
            if self.awaits_client || self.out.len() != before {
                timer.as_mut().reset(Instant::now() + idle);
            }
            match sent {
                Poll::Ready(sent) => Poll::Ready(sent),
                Poll::Pending => timer.as_mut().poll(cx).map(|()| false),
            }
        })
        .await;
        if !sent {
            let _ = timeout(idle, writer.shutdown()).await;
        }
        sent.then_some(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes all there is, and keeps it until it may let go.
    struct Keeping {
        taken: Vec<u8>,
        lets_go: bool,
    }

    impl AsyncWrite for Keeping {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.taken.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.lets_go {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What the socket does not take TLS keeps.
    #[test]
    fn a_request_is_not_sent_while_the_writer_keeps_some_of_it() {
        let mut upload = Upload::new(Body::from("content"), |out, _| {
            out.extend_from_slice(b"head ");
            Encoder::Length(7)
        });
        let mut writer = Keeping {
            taken: Vec::new(),
            lets_go: false,
        };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(upload.is_unsent());
        assert!(upload.poll(&mut cx, &mut writer).is_pending());
        assert_eq!(writer.taken, b"head content");
        assert!(!upload.is_done() && !upload.is_unsent());
        writer.lets_go = true;
        assert!(upload.poll(&mut cx, &mut writer).is_ready());
        assert!(upload.is_done());
    }
}
