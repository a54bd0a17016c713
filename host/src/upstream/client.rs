//! HTTP/1.1 to real backends, with connections kept alive.

use std::sync::{Arc, Mutex, PoisonError};

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, Request, StatusCode};
use tokio::time::Instant;

use super::connect::Connector;
use super::connection::Connection;
use super::download::Download;
use super::pool::{Lease, Origin, Origins};
use super::upload::Upload;
use super::{
    Answer, Cause, Fault, Interim, InterimSink, Outgoing, SendError, Timeouts, Trust, Upstream,
};
use crate::body::Body;
use crate::edits;
use crate::http1::{self, Decoder, ResponseHead};
use crate::lines;
use crate::message::PackedResponse;
use crate::tunnel::Tunnel;

/// A client with a pool of its own. Threads do not share one: a connection
/// stays on the thread whose event loop it is registered with.
pub struct Client {
    connector: Connector,
    origins: Mutex<Origins>,
}

impl Client {
    /// A client with an empty pool.
    pub fn new(trust: Trust) -> Self {
        Self {
            connector: Connector::new(trust),
            origins: Mutex::default(),
        }
    }

    /// Where connections of this name go; `None` if that is no name.
    pub(super) fn origin(&self, scheme: &Scheme, authority: &Authority) -> Option<Arc<Origin>> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.find(scheme, authority)
    }

    /// Performs an attempt at an origin.
    pub(super) async fn exchange(
        &self,
        origin: &Arc<Origin>,
        request: Outgoing<'_>,
        interim: Option<&InterimSink>,
        timeouts: Timeouts,
    ) -> Result<PackedResponse, SendError> {
        let method = request.method;
        let head = http1::Request {
            method,
            target: request.target.as_str(),
            host: origin.host.as_bytes(),
            fields: request.fields,
        };
        let mut upload = Upload::new(request.body, |out, body| head.write(out, body));
        loop {
            let mut now = Instant::now();
            let mut lease = match origin.kept(now).await {
                Some(lease) => lease,
                None => {
                    let (scheme, authority) = (&origin.scheme, &origin.authority);
                    let streams = self.connector.connect(scheme, authority, timeouts.connect);
                    // What it takes is not held for requests that need none.
                    let connection = Connection::new(Box::pin(streams).await?);
                    now = Instant::now();
                    origin.lease(connection)
                }
            };
            let connection = lease.connection();
            let served = connection.has_served();
            let error = match connection
                .exchange(&mut upload, method, interim, timeouts, now)
                .await
            {
                Ok(head) => return receive(head, lease, upload, timeouts),
                Err(error) => error,
            };
            // What TLS wrote before it failed cannot be told.
            let unsent = upload.is_unsent() && origin.scheme != Scheme::HTTPS;
            if !unsent || error.fault == Fault::Client {
                if error.fault == Fault::StaleConnection {
                    // Its likes were closed with it: the next is to be a fresh one.
                    origin.clear();
                }
                return Err(error);
            }
            // The pool's connection was gone before a byte was written: nobody's failure.
            if !served {
                return Err(SendError::not_sent(error.cause));
            }
        }
    }
}

/// The response behind a head.
fn receive(
    head: ResponseHead,
    mut lease: Lease,
    upload: Upload,
    timeouts: Timeouts,
) -> Result<PackedResponse, SendError> {
    let body = if head.status == StatusCode::SWITCHING_PROTOCOLS {
        let (reader, writer, mut input) = lease.into_connection().into_parts();
        let writer = writer
            .filter(|_| upload.is_done())
            .ok_or(SendError::maybe_sent(Cause::HttpProtocolError))?;
        Body::tunnel(Tunnel::joined(input.take().freeze(), reader, writer))
    } else {
        // A response may come before all of the request is sent, and does not end that.
        let rest = (!upload.is_done()).then(|| lease.connection().take_writer());
        let rest = rest.flatten();
        let rest = rest.map(|writer| tokio::spawn(upload.finish(writer, timeouts.idle)));
        Download::start(Decoder::new(head.framing), lease, timeouts.idle, rest)
    };
    Ok(PackedResponse {
        status: head.status,
        reason: head.reason,
        lines: head.lines,
        edits: None,
        body,
        extensions: Extensions::new(),
    })
}

impl Upstream for Client {
    fn send(self: Arc<Self>, request: Request<Body>, timeouts: Timeouts) -> Answer {
        Box::pin(async move {
            let uri = request.uri();
            let origin = match (uri.scheme(), uri.authority()) {
                (Some(scheme), Some(authority)) => self.origin(scheme, authority),
                (_, _) => None,
            };
            let origin = origin.ok_or(SendError::not_sent(Cause::DestinationNotFound))?;
            let target = uri.path_and_query().cloned();
            let (parts, body) = request.into_parts();
            let fields = lines::pack(&parts.headers);
            let interim: Option<&Interim> = parts.extensions.get();
            let outgoing = Outgoing {
                method: &parts.method,
                target: target.unwrap_or_else(|| PathAndQuery::from_static("/")),
                fields: edits::NONE.of(&fields),
                body,
                extensions: Extensions::new(),
            };
            let interim = interim.map(|Interim(sink)| sink);
            let response = self.exchange(&origin, outgoing, interim, timeouts);
            Ok(response.await?.into())
        })
    }
}
