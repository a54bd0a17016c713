//! How the exchange door reaches backends: by its own connections, with the fields
//! as they are, or by whatever takes the place of connections.

use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, Method, Request, Uri};

use super::pool::Origin;
use super::{Cause, Client, Interim, InterimSink, SendError, Timeouts, Upstream};
use crate::body::Body;
use crate::edits::Edited;
use crate::lines;
use crate::message::PackedResponse;

/// Whoever performs attempts.
#[derive(Clone)]
pub(crate) enum Backends {
    Real(Arc<Client>),
    Given(Arc<dyn Upstream>),
}

/// A request to be sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: PathAndQuery,
    /// As they are to be sent, but for framing and `Host`.
    pub(crate) fields: Edited<'a>,
    pub(crate) body: Body,
    pub(crate) extensions: Extensions,
}

/// A backend, found once.
pub(crate) struct Destination {
    scheme: Scheme,
    authority: Authority,
    origin: Option<Arc<Origin>>,
}

impl Backends {
    pub(crate) fn destination(&self, scheme: Scheme, authority: Authority) -> Destination {
        let origin = match self {
            Self::Real(client) => client.origin(&scheme, &authority),
            Self::Given(_) => None,
        };
        Destination {
            scheme,
            authority,
            origin,
        }
    }

    /// Performs an attempt. To drop the future cancels it.
    pub(crate) async fn send(
        &self,
        to: &Destination,
        request: Outgoing<'_>,
        interim: Option<&InterimSink>,
        timeouts: Timeouts,
    ) -> Result<PackedResponse, SendError> {
        match (self, &to.origin) {
            (Self::Real(client), Some(origin)) => {
                client.exchange(origin, request, interim, timeouts).await
            }
            (Self::Real(_), None) => Err(SendError::not_sent(Cause::DestinationNotFound)),
            (Self::Given(upstream), _) => {
                let request = absolute(to, request, interim)?;
                Ok(Arc::clone(upstream).send(request, timeouts).await?.into())
            }
        }
    }

    /// The same, by messages of `http`.
    pub(crate) fn upstream(self) -> Arc<dyn Upstream> {
        match self {
            Self::Real(client) => client,
            Self::Given(upstream) => upstream,
        }
    }
}

fn absolute(
    to: &Destination,
    outgoing: Outgoing<'_>,
    interim: Option<&InterimSink>,
) -> Result<Request<Body>, SendError> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(to.scheme.clone());
    uri.authority = Some(to.authority.clone());
    uri.path_and_query = Some(outgoing.target);
    let mut request = Request::new(outgoing.body);
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() =
        Uri::from_parts(uri).map_err(|_| SendError::not_sent(Cause::ConfigurationError))?;
    *request.headers_mut() = lines::unpack(&outgoing.fields.lines());
    *request.extensions_mut() = outgoing.extensions;
    if let Some(sink) = interim {
        request.extensions_mut().insert(Interim(Arc::clone(sink)));
    }
    Ok(request)
}
