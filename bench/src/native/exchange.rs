//! One request: admitted, sent to a backend, to another if that fails, answered.

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, request};
use http_body::Body as _;
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;

use super::choice::{Affinity, Choice, Tried};
use super::fields;
use super::log::{Line, Log};
use super::pool::{Download, Failure, Lease, Pool, Upload};
use super::session::Sessions;

const MAX_RETRIES: u32 = 3;

/// What the connections of a thread share.
pub(super) struct Worker {
    pub(super) choice: Choice,
    pub(super) pool: Pool,
    pub(super) sessions: Sessions,
    pub(super) log: Log,
}

/// Who is at the other end of a connection.
pub(super) struct Client {
    pub(super) ip: IpAddr,
    pub(super) address: HeaderValue,
    affinity: Affinity,
}

impl Client {
    pub(super) fn new(ip: IpAddr) -> Self {
        #[expect(clippy::expect_used, reason = "addresses are visible ASCII")]
        let address = HeaderValue::try_from(ip.to_string()).expect("a field value");
        Self {
            ip,
            address,
            affinity: Affinity::of(ip),
        }
    }
}

/// A backend's response, or our own.
pub(super) type Reply = Response<Either<Download, Full<Bytes>>>;

/// Answers a request.
pub(super) async fn respond(
    request: Request<Incoming>,
    client: &Client,
    worker: &Rc<Worker>,
) -> Reply {
    let mut line = Line::begin(&worker.log, &request, client.ip);
    let (mut parts, body) = request.into_parts();
    let Some(host) = fields::host(&parts.headers) else {
        return plain(StatusCode::BAD_REQUEST, line);
    };
    if parts.method == Method::CONNECT {
        return plain(StatusCode::NOT_IMPLEMENTED, line);
    }
    if parts.method == Method::TRACE {
        return plain(StatusCode::METHOD_NOT_ALLOWED, line);
    }
    if fields::is_loop(&parts.headers) {
        return plain(StatusCode::LOOP_DETECTED, line);
    }

    let session = worker.sessions.take(&mut parts.headers);
    fields::to_backend(&mut parts.headers, &host, client);
    let sticky = session.as_ref().map(|session| session.backend);
    let exchange = Exchange {
        parts,
        client,
        worker,
        sticky: sticky.filter(|&backend| worker.choice.admits(backend)),
    };
    let Some(answer) = exchange.run(body, &mut line.attempts).await else {
        return plain(StatusCode::BAD_GATEWAY, line);
    };

    let (mut head, body) = answer.response.into_parts();
    let settled = session.is_some_and(|it| it.backend == answer.backend && !it.aging);
    let cookie = (!settled)
        .then(|| worker.sessions.issue(answer.backend))
        .flatten();
    fields::to_client(&mut head.headers, cookie);
    line.status = head.status.as_u16();
    line.backend = Some(answer.backend);
    let download = Download::new(body, answer.lease, answer.backend, worker.clone(), line);
    Response::from_parts(head, Either::Left(download))
}

struct Exchange<'a> {
    parts: request::Parts,
    client: &'a Client,
    worker: &'a Worker,
    sticky: Option<usize>,
}

struct Answer {
    response: Response<Incoming>,
    lease: Lease,
    backend: usize,
}

impl Exchange<'_> {
    async fn run(&self, body: Incoming, attempts: &mut u32) -> Option<Answer> {
        let choice = &self.worker.choice;
        let bodyless = body.is_end_stream();
        let repeatable = bodyless && self.is_idempotent();
        let mut upload = if bodyless {
            Either::Right(Empty::new())
        } else {
            Either::Left(body)
        };
        let mut tried = Tried::default();
        let mut backend = self
            .sticky
            .or_else(|| choice.pick(self.client.affinity, tried))?;
        loop {
            *attempts += 1;
            tried.add(backend);
            let next = |again: bool| {
                (again && *attempts <= MAX_RETRIES)
                    .then(|| choice.pick(self.client.affinity, tried))
                    .flatten()
            };
            match self.worker.pool.send(backend, self.request(upload)).await {
                Ok((response, lease)) => {
                    if !is_failure(response.status()) {
                        choice.succeeded(backend);
                        return Some(Answer {
                            response,
                            lease,
                            backend,
                        });
                    }
                    choice.failed(backend);
                    let Some(other) = next(repeatable) else {
                        return Some(Answer {
                            response,
                            lease,
                            backend,
                        });
                    };
                    backend = other;
                    upload = Either::Right(Empty::new());
                }
                Err(Failure(unsent)) => {
                    choice.failed(backend);
                    backend = next(repeatable || unsent.is_some())?;
                    upload =
                        unsent.map_or(Either::Right(Empty::new()), |unsent| unsent.into_body());
                }
            }
        }
    }

    fn request(&self, upload: Upload) -> Request<Upload> {
        let mut request = Request::new(upload);
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = match self.parts.uri.path_and_query() {
            Some(target) => Uri::from(target.clone()),
            None => Uri::default(),
        };
        *request.headers_mut() = self.parts.headers.clone();
        request
    }

    fn is_idempotent(&self) -> bool {
        self.parts.method.is_idempotent() || self.parts.headers.contains_key("idempotency-key")
    }
}

fn is_failure(status: StatusCode) -> bool {
    status.is_server_error()
        && status != StatusCode::NOT_IMPLEMENTED
        && status != StatusCode::HTTP_VERSION_NOT_SUPPORTED
}

fn plain(status: StatusCode, mut line: Line) -> Reply {
    line.status = status.as_u16();
    let text = status.canonical_reason().unwrap_or("error");
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
