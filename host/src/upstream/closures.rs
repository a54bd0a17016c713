//! Backends that are closures: for tests, without a socket.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use http::{Request, Response};

use super::{Answer, Cause, SendError, Timeouts, Upstream};
use crate::body::Body;

type Handler = Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// What a backend closure may return.
pub trait IntoAnswer {
    /// As the outcome of an attempt.
    ///
    /// # Errors
    /// The attempt that brings no response.
    fn into_answer(self) -> Result<Response<Body>, SendError>;
}

impl<B: Into<Body>> IntoAnswer for Response<B> {
    fn into_answer(self) -> Result<Response<Body>, SendError> {
        Ok(self.map(Into::into))
    }
}

impl<B: Into<Body>> IntoAnswer for Result<Response<B>, SendError> {
    fn into_answer(self) -> Result<Response<Body>, SendError> {
        self.map(|response| response.map(Into::into))
    }
}

/// Closures by authority; whatever has none fails to resolve, or goes on to
/// real backends.
#[derive(Clone, Default)]
pub struct Closures {
    handlers: BTreeMap<String, Handler>,
    fallback: Option<Arc<dyn Upstream>>,
}

impl Closures {
    /// No backend yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers requests to this authority (`host` or `host:port`, as the
    /// backend's variable has it) with a closure.
    pub fn insert<F, R>(&mut self, authority: &str, backend: F)
    where
        F: Fn(Request<Body>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoAnswer> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| {
            let answer = backend(request);
            Box::pin(async move { answer.await.into_answer() })
        });
        self.handlers
            .insert(authority.to_ascii_lowercase(), handler);
    }

    /// Where requests go that no closure answers.
    pub fn or_else(&mut self, upstream: Arc<dyn Upstream>) {
        self.fallback = Some(upstream);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }
}

impl Upstream for Closures {
    fn send(self: Arc<Self>, request: Request<Body>, timeouts: Timeouts) -> Answer {
        let authority = request.uri().authority().map_or("", |it| it.as_str());
        if let Some(handler) = self.handlers.get(authority) {
            let answer = handler(request);
            return Box::pin(async move {
                tokio::time::timeout(timeouts.first_byte, answer)
                    .await
                    .unwrap_or(Err(SendError::maybe_sent(Cause::HttpResponseTimeout)))
            });
        }
        match &self.fallback {
            Some(upstream) => Arc::clone(upstream).send(request, timeouts),
            None => Box::pin(async { Err(SendError::not_sent(Cause::DnsError)) }),
        }
    }
}
