//! A client's connection, as hyper sees it: with interim responses slipped in,
//! and given up when the client no longer reads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::interim::Interim;

pub(super) struct ClientIo {
    stream: TcpStream,
    interim: Arc<Interim>,
    stall: Stall,
}

/// How long the client has been taking nothing.
struct Stall {
    patience: Duration,
    stalled: bool,
    /// Set when the client first stalls, which most never do.
    timer: Option<Pin<Box<Sleep>>>,
}

impl ClientIo {
    /// `patience` is how long the client may take nothing of a response.
    pub(super) fn new(stream: TcpStream, interim: Arc<Interim>, patience: Duration) -> Self {
        Self {
            stream,
            interim,
            stall: Stall {
                patience,
                stalled: false,
                timer: None,
            },
        }
    }
}

impl Stall {
    /// A write that cannot go on fails when its time is over.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = false;
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

impl AsyncRead for ClientIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = match this.interim.poll_write_to(&mut this.stream, cx)? {
            Poll::Ready(_) => {
                this.interim.begin();
                Pin::new(&mut this.stream).poll_write_vectored(cx, slices)
            }
            Poll::Pending => Poll::Pending,
        };
        this.stall.watch(cx, write)
    }

    /// hyper comes here whenever it was woken and has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.interim.poll_write_to(&mut this.stream, cx) {
            // To have nothing to write is no sign of life.
            Poll::Ready(written) => this.stall.stalled &= !written?,
            Poll::Pending => return this.stall.watch(cx, Poll::Pending),
        }
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.interim.finish(cx.waker());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
