//! Bodies on their way through the guest, which sees of them only handles.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

use super::ticket::Ticket;
use crate::body::{Body, BodyError};
use crate::patience::ClientSilent;
use crate::tunnel::Tunnel;
use crate::upstream::BodyTimeout;

/// Why a body broke off, in WASI's words.
pub(super) fn code(error: BodyError) -> Error {
    if error.is::<BodyTimeout>() {
        Error::ConnectionReadTimeout
    } else {
        Error::HttpResponseIncomplete
    }
}

/// The client's body on its way to the guest.
pub(super) struct Inbound {
    body: Body,
    ticket: Arc<Ticket>,
}

impl Inbound {
    pub(super) fn new(body: Body, ticket: Arc<Ticket>) -> Self {
        Self { body, ticket }
    }
}

impl HttpBody for Inbound {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let arrived = matches!(frame, Poll::Ready(None | Some(Ok(_))));
        this.ticket.await_client(!arrived);
        if let Poll::Ready(Some(Err(error))) = &frame {
            this.ticket.body_failed(if error.is::<ClientSilent>() {
                StatusCode::REQUEST_TIMEOUT
            } else {
                StatusCode::BAD_REQUEST
            });
        }
        frame.map_err(code)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request body that the guest gives, read up to where it shows whether
/// there is any: without one there is still the promise of trailers, and a GET
/// must not be framed for a body that never comes.
pub(super) async fn peek(mut body: Body) -> Body {
    match body.frame().await {
        None => Body::empty(),
        Some(first) => {
            let first = stream::once(ready(first));
            Body::new(StreamBody::new(first.chain(BodyStream::new(body))))
        }
    }
}

/// What the guest is told of how its response fared. A client that goes away
/// is no failure.
pub(super) fn report() -> (Broken, impl Future<Output = Result<(), Error>> + Send) {
    let (broken, report) = oneshot::channel();
    let ended = report.map(|report| match report {
        Ok(error) => Err(error),
        Err(_) => Ok(()),
    });
    (Broken(broken), ended)
}

/// Tells the guest that a body broke.
pub(super) struct Broken(oneshot::Sender<Error>);

/// Whether an instance was lost.
#[derive(Default)]
pub(super) struct Fate(AtomicBool);

impl Fate {
    /// It is lost. To be said before what it owns is dropped.
    pub(super) fn lose(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_lost(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A response body on its way to the client: it breaks if its author is lost,
/// the instance that writes it. The host's own bodies have none.
pub(super) fn watch(
    body: WasiBody,
    broken: Broken,
    author: Option<Arc<Fate>>,
    ticket: Arc<Ticket>,
) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(Watched {
        body,
        broken: Some(broken),
        author,
        _ticket: ticket,
    })
}

struct Watched {
    body: WasiBody,
    broken: Option<Broken>,
    author: Option<Arc<Fate>>,
    /// What the guest sends until the end it sends for this request.
    _ticket: Arc<Ticket>,
}

impl Watched {
    /// Whether an end is none of the guest's making.
    fn is_cut_off(&self) -> bool {
        // Where the length was told, what has come may be the whole of it.
        self.body.size_hint().exact() != Some(0)
            && self.author.as_ref().is_some_and(|author| author.is_lost())
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            // To `wasmtime-wasi-http` an author that is gone has said all.
            Poll::Ready(None) if this.is_cut_off() => {
                this.author = None;
                Poll::Ready(Some(Err(Error::HttpResponseIncomplete)))
            }
            Poll::Ready(Some(Err(_))) => {
                if let Some(Broken(broken)) = this.broken.take() {
                    // The guest may not want to know.
                    let _ = broken.send(Error::HttpResponseIncomplete);
                }
                frame
            }
            Poll::Ready(_) | Poll::Pending => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.is_cut_off() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a 101: a claim to the connection, in the hands of the guest.
struct Claim {
    connection: Option<Tunnel>,
    ticket: Arc<Ticket>,
}

/// Gives the guest a claim to a connection that switched protocols.
pub(super) fn claim(connection: Tunnel, ticket: Arc<Ticket>) -> WasiBody {
    let claim = Claim {
        connection: Some(connection),
        ticket,
    };
    claim.boxed_unsync()
}

/// Takes the connection back, if the body is still the claim to one.
///
/// A body that comes back from the guest is wrapped, and cannot be asked what
/// it is. But a claim, when it is read, leaves its connection with the ticket;
/// so what is there after one read is this body's connection and no other.
pub(super) fn redeem(body: Body, ticket: &Ticket) -> Option<Tunnel> {
    drop(ticket.take());
    let mut body = body;
    let _ = body.frame().now_or_never();
    ticket.take()
}

impl HttpBody for Claim {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Some(connection) = this.connection.take() {
            this.ticket.leave(connection);
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }
}
