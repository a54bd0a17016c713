//! What the guest sends: `wasi:http/client`, over the edge's own connections.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use wasmtime::AsContextMut as _;
use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::TrappableError;
use wasmtime_wasi_http::p3::bindings::http::client;
use wasmtime_wasi_http::p3::bindings::http::types::{self, ErrorCode};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttp, WasiHttpCtxView, WasiHttpView as _, p3,
};

use super::body;
use super::guest::{Guest, World};
use super::target;
use super::ticket::Ticket;
use crate::body::Body;
use crate::headers;
use crate::lines;
use crate::upstream::{Cause, Fault, Interim, SendError, Timeouts};

/// A response to come, as `wasi:http` wants it: with a future that would drive
/// the connection if the upstream did not do so itself.
pub(super) type Sending =
    Box<dyn Future<Output = Result<(Response<WasiBody>, Driver), Error>> + Send>;
type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// `wasi:http/client`, but for telling which request the guest is sending for.
struct Client;

/// `wasi:http` for guests: its types, and its client.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, WasiHttp>(linker, Guest::http)?;
    target::add_to_linker(linker)?;
    client::add_to_linker::<_, Client>(linker, Guest::http)
}

impl HasData for Client {
    type Data<'a> = WasiHttpCtxView<'a>;
}

impl client::HostWithStore<Guest> for Client {
    async fn send(
        store: &Accessor<Guest, Self>,
        request: Resource<p3::Request>,
    ) -> Result<Resource<p3::Response>, TrappableError<ErrorCode>> {
        store
            .with(|mut store| {
                let root = store.as_context_mut().async_call_stack()?.last();
                let guest = store.data_mut();
                guest.hooks.sender = root.and_then(|task| guest.tickets.get(&task)?.upgrade());
                wasmtime::error::Ok(())
            })
            .map_err(TrappableError::trap)?;
        // Calls the hook before it awaits anything, so the sender is still this one.
        let store = store.with_getter::<WasiHttp>(Guest::http);
        WasiHttp::send(&store, request).await
    }
}

/// One request to a backend.
pub(super) struct Attempt {
    world: Arc<World>,
    timeouts: Timeouts,
    /// The request it is sent for; none for what the guest does of its own.
    ticket: Option<Arc<Ticket>>,
}

impl Attempt {
    /// An attempt with the guest's timeouts, where it sets none with the edge's.
    pub(super) fn new(
        world: &Arc<World>,
        options: Option<RequestOptions>,
        ticket: Option<Arc<Ticket>>,
    ) -> Self {
        let default = world.timeouts;
        let options = options.unwrap_or_default();
        Self {
            world: Arc::clone(world),
            timeouts: Timeouts {
                connect: options.connect_timeout.unwrap_or(default.connect),
                first_byte: options.first_byte_timeout.unwrap_or(default.first_byte),
                idle: options.between_bytes_timeout.unwrap_or(default.idle),
            },
            ticket,
        }
    }

    /// Performs it, unless the client goes away. Of that the guest is told by
    /// an `HTTP-request-*` code, as of all that is the request's own fault.
    pub(super) async fn perform(
        self,
        request: Request<WasiBody>,
    ) -> Result<(Response<WasiBody>, Driver), Error> {
        let ticket = self.ticket.clone();
        let backend = self.world.backend(request.uri());
        let number = ticket.as_ref().map_or(0, |it| it.progress.attempt(backend));
        let exchange = pin!(self.exchange(request, number));
        let response = match &ticket {
            None => exchange.await,
            Some(ticket) => match select(pin!(ticket.cancelled()), exchange).await {
                Either::Left(((), _)) => Err(Error::HttpRequestDenied),
                Either::Right((response, _)) => response,
            },
        }?;
        Ok((response, Box::new(ready(Ok(())))))
    }

    async fn exchange(
        self,
        request: Request<WasiBody>,
        number: usize,
    ) -> Result<Response<WasiBody>, Error> {
        let mut request = request.map(Body::new);
        if may_lack_a_body(&request) {
            *request.body_mut() = body::peek(std::mem::take(request.body_mut())).await;
        }
        if self.ticket.as_ref().is_some_and(|it| it.told_no_body())
            && request.body().is_end_stream()
        {
            request.headers_mut().remove(CONTENT_LENGTH);
        }
        if let Some(tag) = self.ticket.as_ref().and_then(|it| it.tag()) {
            request.extensions_mut().insert(tag);
        }
        let upgrade = request.headers().contains_key(UPGRADE);
        let sent = self.send(request).await;
        if let Some(ticket) = &self.ticket {
            ticket.progress.settle(number, || match &sent {
                Ok(response) => Ok((response.status(), lines::pack(response.headers()))),
                Err(error) => Err(*error),
            });
        }
        let response = sent.map_err(|error| self.code(error))?;

        let (mut parts, body) = response.into_parts();
        headers::retain(
            &mut parts.headers,
            |name| !super::fields::is_hidden(name),
            0,
        );
        let body = if parts.status != StatusCode::SWITCHING_PROTOCOLS {
            body.map_err(body::code).boxed_unsync()
        } else if !upgrade {
            return Err(Error::HttpProtocolError);
        } else {
            match (body.into_tunnel(), self.ticket) {
                (Ok(connection), Some(ticket)) => body::claim(connection, ticket),
                (Ok(_), None) | (Err(_), _) => return Err(Error::HttpUpgradeFailed),
            }
        };
        Ok(Response::from_parts(parts, body))
    }

    /// Sends it; once more on a fresh connection if the one from the pool was
    /// closed under a request that may go again.
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        let again = (request.method().is_idempotent() && request.body().is_end_stream())
            .then(|| again(&request));
        let send = |mut request| {
            self.relay_interim(&mut request);
            Arc::clone(&self.world.upstream).send(request, self.timeouts)
        };
        match (send(request).await, again) {
            (Err(error), Some(again)) if error.fault == Fault::StaleConnection => send(again).await,
            (sent, _) => sent,
        }
    }

    /// Has interim responses relayed to the client, past the guest. What another
    /// than a backend says is for the guest alone.
    ///
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>
    fn relay_interim(&self, request: &mut Request<Body>) {
        if let Some(ticket) = &self.ticket
            && let Some(sink) = &ticket.interim
            && self.world.backend(request.uri()).is_some()
        {
            request.extensions_mut().insert(Interim(Arc::clone(sink)));
        }
    }

    /// A failure in WASI's words. One of the client's is noted, too.
    fn code(&self, error: SendError) -> Error {
        if error.fault != Fault::Client {
            return code(error.cause);
        }
        if let Some(ticket) = &self.ticket {
            ticket.body_failed(if error.cause == Cause::ConnectionReadTimeout {
                StatusCode::REQUEST_TIMEOUT
            } else {
                StatusCode::BAD_REQUEST
            });
        }
        Error::HttpRequestBodySize(None)
    }
}

/// The same request, whose body is empty.
fn again(request: &Request<Body>) -> Request<Body> {
    let mut again = Request::new(Body::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    *again.extensions_mut() = request.extensions().clone();
    again
}

/// Whether the request has a body shows only when it is read, and its method
/// makes it likely that it has none.
fn may_lack_a_body(request: &Request<Body>) -> bool {
    (request.method().is_safe() || *request.method() == Method::DELETE)
        && !request.body().is_end_stream()
        && !request.headers().contains_key(CONTENT_LENGTH)
}

fn code(cause: Cause) -> Error {
    match cause {
        Cause::DnsTimeout => Error::DnsTimeout,
        Cause::DnsError => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        Cause::DestinationNotFound => Error::DestinationNotFound,
        Cause::DestinationUnavailable => Error::DestinationUnavailable,
        Cause::DestinationIpProhibited => Error::DestinationIpProhibited,
        Cause::DestinationIpUnroutable => Error::DestinationIpUnroutable,
        Cause::ConnectionRefused => Error::ConnectionRefused,
        Cause::ConnectionTerminated => Error::ConnectionTerminated,
        Cause::ConnectionTimeout => Error::ConnectionTimeout,
        Cause::ConnectionReadTimeout => Error::ConnectionReadTimeout,
        Cause::ConnectionWriteTimeout => Error::ConnectionWriteTimeout,
        Cause::ConnectionLimitReached => Error::ConnectionLimitReached,
        Cause::TlsProtocolError => Error::TlsProtocolError,
        Cause::TlsCertificateError => Error::TlsCertificateError,
        Cause::TlsAlertReceived => Error::TlsAlertReceived {
            alert_id: None,
            alert_message: None,
        },
        Cause::HttpRequestDenied => Error::HttpRequestDenied,
        Cause::HttpResponseIncomplete => Error::HttpResponseIncomplete,
        Cause::HttpResponseHeaderSectionSize => Error::HttpResponseHeaderSectionSize(None),
        Cause::HttpResponseTimeout => Error::HttpResponseTimeout,
        Cause::HttpUpgradeFailed => Error::HttpUpgradeFailed,
        Cause::HttpProtocolError => Error::HttpProtocolError,
        Cause::LoopDetected => Error::LoopDetected,
        Cause::ConfigurationError => Error::ConfigurationError,
        Cause::InternalError => Error::InternalError(None),
    }
}
