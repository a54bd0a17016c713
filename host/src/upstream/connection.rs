//! One connection to a backend: a request goes, a response comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::{Instant, Sleep};

use super::stream::{Reader, Writer};
use super::upload::{Upload, UploadError};
use super::{Cause, Fault, InterimSink, SendError, Timeouts};
use crate::body::BodyError;
use crate::http1::{self, Decoded, Decoder, Input, Malformed, ResponseHead};
use crate::lines;
use crate::patience::ClientSilent;

/// How long a connection is kept when the backend does not say. Below what
/// servers commonly keep (60 to 75 s), so that we close before they do.
pub(super) const KEEP: Duration = Duration::from_secs(30);

/// A connection, and what of it was read.
pub(super) struct Connection {
    reader: Reader,
    /// Gone while the rest of a request is sent whose response has begun.
    writer: Option<Writer>,
    input: Input,
    /// One timer a connection: to put a deadline off costs less than to set one.
    timer: Pin<Box<Sleep>>,
    /// How long it may lie idle, and since when it does.
    keep: Duration,
    since: Instant,
    served: bool,
    persistent: bool,
}

impl Connection {
    pub(super) fn new((reader, writer): (Reader, Writer)) -> Self {
        let now = Instant::now();
        Self {
            reader,
            writer: Some(writer),
            input: Input::new(),
            timer: Box::pin(tokio::time::sleep_until(now)),
            keep: KEEP,
            since: now,
            served: false,
            persistent: true,
        }
    }

    /// Whether it has carried a response before.
    pub(super) const fn has_served(&self) -> bool {
        self.served
    }

    /// Sends a request of this method, from now on, and waits for the head of the
    /// response, with the rest of the request perhaps yet to be sent.
    pub(super) async fn exchange(
        &mut self,
        upload: &mut Upload,
        method: &Method,
        interim: Option<&InterimSink>,
        timeouts: Timeouts,
        now: Instant,
    ) -> Result<ResponseHead, SendError> {
        let within = timeouts.first_byte;
        self.timer.as_mut().reset(now + within);
        let (mut answered, mut broken) = (false, false);
        let head = poll_fn(|cx| {
            if let Some(writer) = self.writer.as_mut().filter(|_| !broken)
                && !upload.is_done()
                && let Poll::Ready(Err(error)) = upload.poll(cx, writer)
            {
                match error {
                    UploadError::Client(error) => return Poll::Ready(Err(client_failed(&error))),
                    // Why it takes no more it may have said already.
                    UploadError::Backend(_) => broken = true,
                }
            }
            loop {
                match self.input.head(|bytes| http1::response(bytes, method)) {
                    Err(malformed) => return Poll::Ready(Err(not_http(malformed))),
                    Ok(Some(head)) if is_interim(head.status) => {
                        if let Some(interim) = interim {
                            interim(head.status, &lines::unpack(&head.lines));
                        }
                        continue;
                    }
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                }
                match self.input.poll_fill(cx, &mut self.reader) {
                    // What comes first is nearly always the response.
                    Poll::Ready(Ok(true)) if !answered => answered = true,
                    Poll::Ready(Ok(true)) => {
                        // Whatever comes that is none puts nothing off.
                        let now = Instant::now();
                        if now >= self.timer.deadline() {
                            match upload.patience(now, within) {
                                Some(later) => self.timer.as_mut().reset(later),
                                None => return Poll::Ready(Err(late())),
                            }
                        }
                    }
                    Poll::Ready(Ok(false) | Err(_)) => {
                        let mut error = SendError::maybe_sent(Cause::ConnectionTerminated);
                        if self.served && !answered {
                            error.fault = Fault::StaleConnection;
                        }
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending => break,
                }
            }
            while self.timer.as_mut().poll(cx).is_ready() {
                match upload.patience(Instant::now(), within) {
                    Some(later) => self.timer.as_mut().reset(later),
                    None => return Poll::Ready(Err(late())),
                }
            }
            Poll::Pending
        })
        .await?;
        self.persistent = head.persistent;
        let keep = head
            .keep
            .map(|keep| keep.saturating_sub(Duration::from_secs(1)));
        self.keep = keep.unwrap_or(KEEP).min(KEEP);
        Ok(head)
    }

    /// More of the response's body.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        decoder: &mut Decoder,
    ) -> Poll<Result<Decoded, BodyError>> {
        self.input.poll_body(cx, &mut self.reader, decoder)
    }

    /// The response's body, if all of it is here in one piece.
    pub(super) fn whole_body(&mut self, decoder: &mut Decoder) -> Option<bytes::Bytes> {
        self.input.whole_body(decoder)
    }

    /// The connection's one timer.
    pub(super) fn timer(&mut self) -> Pin<&mut Sleep> {
        self.timer.as_mut()
    }

    /// Gives away the direction to the backend, and with it the use for another request.
    pub(super) fn take_writer(&mut self) -> Option<Writer> {
        self.writer.take()
    }

    /// Takes the direction to the backend back.
    pub(super) fn put_back(&mut self, writer: Writer) {
        self.writer = Some(writer);
    }

    /// Both directions, and what was read behind the last response.
    pub(super) fn into_parts(self) -> (Reader, Option<Writer>, Input) {
        (self.reader, self.writer, self.input)
    }

    /// A response is over. Whether there may be another request: then it is idle
    /// from now on.
    pub(super) fn rest(&mut self, now: Instant) -> bool {
        self.input.rest();
        self.served = true;
        self.since = now;
        self.persistent && self.writer.is_some() && self.input.is_empty()
    }

    /// Whether it was idle too long.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.keep
    }

    /// Whether an idle connection is still open, and silent as it should be.
    pub(super) fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.input.poll_fill(cx, &mut self.reader).is_pending()
    }

    /// The same, for one that nobody waits for.
    pub(super) fn lies_quiet(&mut self) -> bool {
        let quiet = self.is_quiet(&mut Context::from_waker(Waker::noop()));
        self.input.rest();
        quiet
    }
}

/// Whether another response follows it
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-15.2>).
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

const fn late() -> SendError {
    SendError::maybe_sent(Cause::HttpResponseTimeout)
}

fn client_failed(error: &BodyError) -> SendError {
    let cause = if error.is::<ClientSilent>() {
        Cause::ConnectionReadTimeout
    } else {
        Cause::ConnectionTerminated
    };
    SendError {
        fault: Fault::Client,
        ..SendError::maybe_sent(cause)
    }
}

fn not_http(malformed: Malformed) -> SendError {
    SendError::maybe_sent(match malformed {
        Malformed::TooLarge => Cause::HttpResponseHeaderSectionSize,
        Malformed::Syntax | Malformed::TargetTooLong | Malformed::Coding => {
            Cause::HttpProtocolError
        }
    })
}
