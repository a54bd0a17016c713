//! The platform around an isolate: what it lets in and out, and what it answers
//! when a limit is exceeded.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::limits::{Limit, Preset};
use super::trace::{Entry, Isolate};
use super::world::World;
use crate::body::{Body, BodyError};
use crate::metering::{Account, Exceeded};
use crate::refusal;

/// One request, as its platform sees it.
#[derive(Clone)]
pub(crate) struct Invocation {
    pub(crate) world: Arc<World>,
    pub(crate) request: u64,
}

impl Invocation {
    /// The answer to a request that gets to no isolate.
    pub(crate) fn refuse<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let limit = self.world.limits.exceeded_by_request(request)?;
        Some(self.exceed(limit, None))
    }

    /// What an isolate answers, or what is answered for it; whoever holds the
    /// account tells what the instance took too much of.
    pub(crate) async fn run(
        self,
        isolate: Isolate,
        account: Arc<Account>,
        answering: impl Future<Output = Response<Body>>,
    ) -> Response<Body> {
        let limits = &self.world.limits;
        let deadline = limits.wall_time.map(|time| Instant::now() + time);
        let answered = match deadline {
            None => Ok(answering.await),
            Some(deadline) => timeout_at(deadline, answering).await,
        };
        let Ok(response) = answered else {
            return self.exceed(Limit::WallTime, Some(isolate));
        };
        if let Some(exceeded) = response.extensions().get::<Exceeded>() {
            account.exceed(*exceeded);
            return answer(limits.preset, (*exceeded).into());
        }
        if let Some(limit) = limits.exceeded_by_response(response.headers()) {
            return self.exceed(limit, Some(isolate));
        }
        match deadline {
            Some(deadline) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                response.map(|body| {
                    Body::new(Timed {
                        body,
                        deadline: Box::pin(sleep_until(deadline)),
                        invocation: self,
                        isolate,
                    })
                })
            }
            Some(_) | None => response,
        }
    }

    fn exceed(&self, limit: Limit, isolate: Option<Isolate>) -> Response<Body> {
        self.note(limit, isolate);
        answer(self.world.limits.preset, limit)
    }

    pub(super) fn note(&self, limit: Limit, isolate: Option<Isolate>) {
        self.world.note(Entry::Exceeded {
            at: self.world.millis(),
            isolate,
            request: Some(self.request),
            limit: limit.name(),
        });
    }
}

/// What a platform answers in the place of an isolate.
pub(super) fn answer(platform: Preset, limit: Limit) -> Response<Body> {
    let (status, error) = match limit {
        Limit::CpuTime | Limit::Memory => (StatusCode::BAD_GATEWAY, "proxy_internal_error"),
        Limit::Subrequests => (StatusCode::BAD_GATEWAY, "http_request_denied"),
        Limit::WallTime => (StatusCode::GATEWAY_TIMEOUT, "http_response_timeout"),
        Limit::UrlSize => (StatusCode::URI_TOO_LONG, "http_request_error"),
        Limit::RequestHeaderSize => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "http_request_error",
        ),
        Limit::ResponseHeaderSize => (StatusCode::BAD_GATEWAY, "http_response_header_section_size"),
    };
    match platform {
        Preset::None => refusal::answer(status, error),
        Preset::CloudflareFree | Preset::CloudflarePaid => cloudflare(limit, status),
        // What the guest fails at is a 500 without a body there.
        Preset::Spin if status.is_server_error() && limit != Limit::WallTime => {
            bare(StatusCode::INTERNAL_SERVER_ERROR, Body::empty())
        }
        Preset::Spin => bare(status, Body::empty()),
    }
}

/// Cloudflare's error codes, as clients get them that are no browsers.
///
/// What an isolate exceeds is error 1102
/// (<https://developers.cloudflare.com/workers/observability/errors/#error-pages-generated-by-workers>)
/// with status 503; fields of a response that are too large are error 520
/// (<https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-520/>).
/// A URL that is too long gives 414
/// (<https://developers.cloudflare.com/support/troubleshooting/http-status-codes/4xx-client-error/error-414/>).
/// For the fields of a request nothing is documented: they are answered by the
/// status that is meant for them
/// (<https://www.rfc-editor.org/rfc/rfc6585#section-5>).
fn cloudflare(limit: Limit, status: StatusCode) -> Response<Body> {
    let (status, code) = match limit {
        Limit::CpuTime | Limit::Memory => (StatusCode::SERVICE_UNAVAILABLE, 1102),
        Limit::ResponseHeaderSize => match StatusCode::from_u16(520) {
            Ok(unknown) => (unknown, 520),
            Err(_) => (status, status.as_u16()),
        },
        Limit::Subrequests | Limit::WallTime | Limit::UrlSize | Limit::RequestHeaderSize => {
            (status, status.as_u16())
        }
    };
    let mut response = bare(status, Body::from(format!("error code: {code}")));
    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

fn bare(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

impl From<Exceeded> for Limit {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::CpuTime => Self::CpuTime,
            Exceeded::Memory => Self::Memory,
        }
    }
}

/// The body of an answer, which breaks off when the request's time is over.
struct Timed {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    invocation: Invocation,
    isolate: Isolate,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_ready() || this.deadline.as_mut().poll(cx).is_pending() {
            return polled;
        }
        // What feeds it stops, too.
        this.body = Body::empty();
        let (invocation, isolate) = (&this.invocation, this.isolate);
        invocation.note(Limit::WallTime, Some(isolate));
        Poll::Ready(Some(Err("the request exceeded its time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
