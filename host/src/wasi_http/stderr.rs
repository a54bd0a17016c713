//! The guest's standard error: lines, told as events.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::event::{Event, EventSink};

/// How long a line may become; the rest of it is another.
const LONGEST: usize = 16 << 10;

/// All streams of one instance write to the same lines.
#[derive(Clone)]
pub(super) struct Stderr(Arc<Lines>);

struct Lines {
    events: EventSink,
    line: Mutex<Vec<u8>>,
}

impl Stderr {
    pub(super) fn new(events: EventSink) -> Self {
        Self(Arc::new(Lines {
            events,
            line: Mutex::default(),
        }))
    }
}

impl Lines {
    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for &byte in bytes {
            if byte == b'\n' {
                self.tell(&mut line);
                continue;
            }
            if line.len() == LONGEST {
                self.tell(&mut line);
            }
            line.push(byte);
        }
    }

    fn tell(&self, line: &mut Vec<u8>) {
        let line = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
        (self.events)(&Event::Told { line });
    }
}

/// The instance is gone: what it did not end is told as it is.
impl Drop for Lines {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut line = std::mem::take(line);
        if !line.is_empty() {
            self.tell(&mut line);
        }
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_pieces_is_told_in_lines() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let stderr = Stderr::new(Arc::new(move |event| {
            if let Event::Told { line } = event {
                let mut lines = sink.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line.clone());
            }
        }));
        for piece in ["one\ntw", "o", "\n\nthree\n"] {
            stderr.0.take(piece.as_bytes());
        }
        stderr.0.take(&[b'x'; LONGEST]);
        stderr.0.take(b"\nlonger");
        stderr.0.take(&[b'y'; LONGEST]);
        drop(stderr);
        let lines = told.lock().unwrap_or_else(PoisonError::into_inner);
        let lengths: Vec<_> = lines.iter().map(String::len).collect();
        assert_eq!(lines[..4], ["one", "two", "", "three"]);
        assert_eq!(lengths[4..], [LONGEST, LONGEST, 6]);
    }
}
