//! Backends that answer as they did when they were recorded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER, SET_COOKIE, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::super::network::pass;
use super::super::trace::{End, Outcome};
use super::{Recording, outcome};
use crate::body::{Body, BodyError};
use crate::recording::Attempt;
use crate::upstream::{Cause, Delivery, SendError};

/// What every backend answered when.
pub(crate) struct Outcomes {
    recording: Arc<Recording>,
    /// Of each backend of the scenario, in the order of time.
    of_backend: Vec<Vec<Place>>,
}

/// An attempt in the recording, and when it was made.
#[derive(Clone, Copy)]
struct Place {
    at: u64,
    exchange: usize,
    attempt: usize,
}

/// What comes of an attempt, as it was recorded.
#[derive(Clone)]
pub(crate) struct Played {
    outcome: Outcome,
    took: Duration,
    retry_after: Option<HeaderValue>,
    set_cookies: Vec<HeaderValue>,
    length: u64,
    /// Whether the length was in the head.
    told: bool,
    transfer: Duration,
    broken: bool,
}

impl Outcomes {
    /// Of the backends of these names.
    pub(super) fn new<'a>(
        recording: Arc<Recording>,
        backends: impl Iterator<Item = &'a str>,
    ) -> Self {
        let of_backend = backends.map(|name| {
            let mut places = Vec::new();
            for (index, exchange) in recording.exchanges.iter().enumerate() {
                for (number, attempt) in exchange.attempts.iter().enumerate() {
                    // What the client did not wait for tells nothing to others.
                    if attempt.backend.as_deref() == Some(name)
                        && outcome(attempt) != Outcome::Cancelled
                    {
                        places.push(Place {
                            at: exchange.at + attempt.at,
                            exchange: index,
                            attempt: number,
                        });
                    }
                }
            }
            places.sort_by_key(|place| place.at);
            places
        });
        let of_backend = of_backend.collect();
        Self {
            recording,
            of_backend,
        }
    }

    /// What comes of sending a request to a backend now: what came of it when it
    /// was recorded; if it went elsewhere then, what came of the backend's attempt
    /// that was nearest in time. None for a backend that was never tried.
    ///
    /// `request` is the index in the recording, if it is of it.
    pub(crate) fn of(
        &self,
        request: Option<usize>,
        (backend, name): (usize, &str),
        now: u64,
    ) -> Option<Played> {
        let exchange = request.and_then(|it| Some((it, self.recording.exchanges.get(it)?)));
        if let Some((index, exchange)) = exchange {
            let mut attempts = exchange.attempts.iter();
            let same = attempts.position(|it| it.backend.as_deref() == Some(name));
            if let Some(number) = same {
                return self.played(index, number);
            }
        }
        let places = self.of_backend.get(backend)?;
        let later = places.partition_point(|place| place.at < now);
        let earlier = later.checked_sub(1).and_then(|it| places.get(it));
        let nearest = match (earlier, places.get(later)) {
            (Some(earlier), Some(later)) if now - earlier.at <= later.at - now => earlier,
            (_, Some(later)) => later,
            (Some(earlier), None) => earlier,
            (None, None) => return None,
        };
        self.played(nearest.exchange, nearest.attempt)
    }

    fn played(&self, exchange: usize, number: usize) -> Option<Played> {
        let exchange = self.recording.exchanges.get(exchange)?;
        let attempt = exchange.attempts.get(number)?;
        let last = number + 1 == exchange.attempts.len() && attempt.status == exchange.status;
        let took = attempt.ended.unwrap_or(exchange.ended);
        let mut played = Played {
            outcome: outcome(attempt),
            took: Duration::from_millis(took.saturating_sub(attempt.at)),
            retry_after: value(attempt.retry_after.as_deref()),
            set_cookies: cookies(attempt),
            length: attempt.content_length.unwrap_or(0),
            told: attempt.content_length.is_some(),
            transfer: Duration::ZERO,
            broken: false,
        };
        if last && exchange.method != "HEAD" {
            let head = exchange.head.unwrap_or(exchange.ended);
            let bytes = exchange.response.bytes;
            played.transfer = Duration::from_millis(exchange.ended.saturating_sub(head));
            played.broken = exchange.end == End::Broken;
            if exchange.end == End::Left {
                // It went on for longer than the client stayed.
                played.length = played.length.max(bytes);
                played.transfer += Duration::from_secs(1);
            } else {
                played.length = bytes;
            }
        }
        Some(played)
    }
}

fn value(text: Option<&str>) -> Option<HeaderValue> {
    text.and_then(|text| HeaderValue::from_str(text).ok())
}

/// Cookies whose values nobody knows any more.
fn cookies(attempt: &Attempt) -> Vec<HeaderValue> {
    let cookies = attempt.set_cookies.iter();
    cookies
        .filter_map(|name| HeaderValue::from_str(&format!("{name}=replayed")).ok())
        .collect()
}

impl Played {
    /// After how long, and why, none of the request was sent.
    pub(crate) fn refused(&self) -> Option<(Duration, SendError)> {
        match self.outcome {
            Outcome::Failed(cause, Delivery::NotSent) => {
                Some((self.took, SendError::not_sent(cause)))
            }
            Outcome::Failed(_, Delivery::MaybeSent)
            | Outcome::Status(_)
            | Outcome::Pending
            | Outcome::Cancelled => None,
        }
    }

    /// Answers a request that was sent.
    pub(crate) async fn answer(
        self,
        request: &Request<Bytes>,
    ) -> Result<Response<Body>, SendError> {
        let status = match self.outcome {
            Outcome::Status(status) => status,
            Outcome::Failed(cause, _) => {
                pass(self.took).await;
                return Err(SendError::maybe_sent(cause));
            }
            // It was silent for as long as anybody waited.
            Outcome::Pending | Outcome::Cancelled => return std::future::pending().await,
        };
        pass(self.took).await;
        let status = StatusCode::from_u16(status)
            .map_err(|_| SendError::maybe_sent(Cause::HttpProtocolError))?;
        // What came of another request, which may not have asked for a tunnel.
        let wants_tunnel = request.headers().contains_key(UPGRADE);
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        if wants_tunnel && (switches || status.is_success()) {
            return Ok(tunnel());
        }
        let status = if switches { StatusCode::OK } else { status };
        let bodiless = *request.method() == Method::HEAD
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let length = if bodiless {
            self.length
        } else {
            self.length.min(Filler::LONGEST)
        };
        let body = if bodiless || (length == 0 && !self.broken) {
            Body::empty()
        } else {
            Body::new(Filler::new(length, self.transfer, self.broken))
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let fields = response.headers_mut();
        if self.told && !self.broken {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(after) = self.retry_after {
            fields.insert(RETRY_AFTER, after);
        }
        for cookie in self.set_cookies {
            fields.append(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// A tunnel in which nothing happens until the client closes it.
fn tunnel() -> Response<Body> {
    let (near, far) = tokio::io::duplex(64);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(far);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let mut response = Response::new(Body::tunnel(near));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// A body of which only the length is known.
pub(super) struct Filler {
    left: u64,
    /// Bytes a step, and the time it takes.
    step: u64,
    interval: Duration,
    next: Option<Pin<Box<Sleep>>>,
    in_step: u64,
    broken: bool,
}

static FILLING: [u8; 1 << 16] = [b'.'; 1 << 16];

impl Filler {
    /// The most bytes that a body is played with: far more than is ever kept
    /// for a retry, and no more than fit into memory many times.
    pub(super) const LONGEST: u64 = 16 << 20;
    /// How many steps a body comes in.
    const STEPS: u32 = 10;

    pub(super) fn new(length: u64, transfer: Duration, broken: bool) -> Self {
        let interval = transfer / Self::STEPS;
        let next = (!interval.is_zero()).then(|| Box::pin(sleep_until(Instant::now() + interval)));
        let step = length.div_ceil(u64::from(Self::STEPS)).max(1);
        Self {
            left: length,
            step,
            interval,
            next,
            in_step: step,
            broken,
        }
    }
}

impl HttpBody for Filler {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.left == 0 {
            let broken = this.broken;
            this.broken = false;
            return Poll::Ready(broken.then(|| Err("the connection was reset".into())));
        }
        if let Some(next) = &mut this.next {
            ready!(next.as_mut().poll(cx));
        }
        let chunk = this.left.min(this.in_step).min(FILLING.len() as u64);
        this.left -= chunk;
        this.in_step -= chunk;
        if this.in_step == 0 {
            this.in_step = this.step;
            if let Some(next) = &mut this.next {
                let due = next.deadline() + this.interval;
                next.as_mut().reset(due);
            }
        }
        let chunk = usize::try_from(chunk).unwrap_or(FILLING.len());
        let data = FILLING.get(..chunk).unwrap_or_default();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && !self.broken
    }

    fn size_hint(&self) -> SizeHint {
        if self.broken {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.left)
        }
    }
}
