//! Two connections joined after a 101 (RFC 9110 section 7.8).

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::{Instant, sleep_until};

use super::line::Line;
use crate::tunnel::Tunnel;

const BUFFER: usize = 64 << 10;

/// Passes bytes both ways until both directions ended, or neither had a byte
/// for `idle`. A half that closes is closed on the other side; the other half
/// goes on. The line counts what goes to the client.
pub(super) async fn join(client: Tunnel, backend: Tunnel, idle: Duration, line: Option<Box<Line>>) {
    let (Ok(client), Ok(mut backend)) = tokio::join!(client.open(), backend.open()) else {
        return;
    };
    let last = Arc::new(Mutex::new(Instant::now()));
    let mut client = Watched {
        io: client,
        last: Arc::clone(&last),
        line,
    };
    // Every byte of either direction passes the client's side.
    let copy = copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER, BUFFER);
    let mut copy = pin!(copy);
    loop {
        let deadline = *last.lock().unwrap_or_else(PoisonError::into_inner) + idle;
        tokio::select! {
            // An error is a reset: dropping both sides passes it on.
            _ = copy.as_mut() => return,
            () = sleep_until(deadline) => {
                let last = *last.lock().unwrap_or_else(PoisonError::into_inner);
                if last + idle <= Instant::now() {
                    return;
                }
            }
        }
    }
}

/// The client's side: notes when a byte last passed, and how many went out.
struct Watched<T> {
    io: T,
    last: Arc<Mutex<Instant>>,
    line: Option<Box<Line>>,
}

impl<T> Watched<T> {
    fn note<R>(&self, poll: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if poll.is_ready() {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        poll
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.io).poll_read(cx, buffer);
        this.note(poll)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.io).poll_write(cx, bytes);
        if let (Poll::Ready(Ok(written)), Some(line)) = (&poll, &mut this.line) {
            line.count(bytes.get(..*written).unwrap_or_default());
        }
        this.note(poll)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
