//! One line a request.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::access_log::{AccessLog, LogFormat};
use super::connection::Context;
use super::entry::Entry;
use super::record::{Known, SharedSum, Take};
use super::redact::Redacted;
use crate::body::{Body, BodyError};
use crate::progress::Progress;
use crate::sim::End;

/// The status of a request whose client left before there was one.
const CLIENT_CLOSED: u16 = 499;

/// A line in the making, of the log, of a recording, or of both. It is written
/// when it is dropped: when the body or the tunnel has ended, or the client left.
pub(super) struct Line {
    log: Option<AccessLog>,
    take: Option<Take>,
    context: Arc<Context>,
    begun: Instant,
    peer: IpAddr,
    method: Method,
    host: Option<HeaderValue>,
    target: Option<PathAndQuery>,
    progress: Progress,
    status: u16,
    bytes: u64,
}

impl Line {
    /// Begins one, if there is a log or a recording.
    pub(super) fn begin<B>(
        context: &Arc<Context>,
        request: &Request<B>,
        peer: IpAddr,
    ) -> Option<Self> {
        let log = context.access_log.clone();
        let take = context.recorder.as_ref();
        let take = take.map(|recorder| recorder.take(request.headers()));
        if log.is_none() && take.is_none() {
            return None;
        }
        let progress = match &take {
            Some(take) => Progress::taped(take.tape()),
            None => Progress::default(),
        };
        Some(Self {
            log,
            take,
            context: Arc::clone(context),
            begun: Instant::now(),
            peer,
            method: request.method().clone(),
            host: request.headers().get(HOST).cloned(),
            target: request.uri().path_and_query().cloned(),
            progress,
            status: CLIENT_CLOSED,
            bytes: 0,
        })
    }

    /// To be kept up to date by whoever answers the request.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The request's body, watched if the exchange is recorded.
    pub(super) fn watch(&mut self, body: Body) -> Body {
        match &mut self.take {
            Some(take) if !body.is_end_stream() => Body::watched(Summed {
                body,
                sum: take.body(),
            }),
            Some(_) | None => body,
        }
    }

    /// The client is answered with a tunnel.
    pub(super) fn tunnelled<B>(&mut self, response: &Response<B>) {
        self.answered(response);
        self.ended(End::Tunnel);
    }

    fn answered<B>(&mut self, response: &Response<B>) {
        self.status = response.status().as_u16();
        if let Some(take) = &mut self.take {
            take.answered(response.headers());
        }
    }

    /// These bytes of the content went to the client.
    pub(super) fn count(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(take) = &mut self.take {
            take.feed(bytes);
        }
    }

    fn ended(&mut self, end: End) {
        if let Some(take) = &mut self.take {
            take.ended(end);
        }
    }

    /// Goes with the response to the end of its body.
    pub(super) fn finish(mut self, response: Response<Body>) -> Response<Counted> {
        self.answered(&response);
        if response.body().is_end_stream() {
            self.ended(End::Whole);
            return response.map(Counted::from);
        }
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|it| it.to_str().ok()?.parse().ok());
        response.map(|body| Counted {
            left: length.or_else(|| body.size_hint().exact()),
            body,
            line: Some(self),
        })
    }

    fn text(&self, format: LogFormat) -> String {
        let backend = self.progress.backend().and_then(|index| {
            let configuration = self.context.edge.configuration()?;
            Some(configuration.backends.get(index)?.name.as_str())
        });
        let host = self
            .host
            .as_ref()
            .map_or(b"-".as_slice(), HeaderValue::as_bytes);
        // What comes before is a name and a password.
        let host = host.rsplit(|&byte| byte == b'@').next().unwrap_or(host);
        let target = Redacted(self.target.as_ref().map_or("*", PathAndQuery::as_str));
        let entry = Entry {
            time: SystemTime::now(),
            client: self.progress.client().unwrap_or(self.peer),
            method: self.method.as_str(),
            host: &String::from_utf8_lossy(host),
            target,
            status: self.status,
            bytes: self.bytes,
            duration: self.begun.elapsed(),
            backend,
            attempts: self.progress.attempts(),
        };
        match format {
            LogFormat::Text => entry.text(),
            LogFormat::Json => entry.json(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            log.write(self.text(log.format));
        }
        if let Some(take) = &mut self.take {
            let client = self.progress.client();
            take.finish(&Known {
                client: client.unwrap_or(self.peer),
                proxied: client.is_some(),
                method: &self.method,
                target: self.target.as_ref().map_or("*", PathAndQuery::as_str),
                status: self.status,
            });
        }
    }
}

/// A body whose bytes are counted, if there is a line to be written of it.
pub(super) struct Counted {
    body: Body,
    /// How many bytes are to come, where that is known: whoever has them all
    /// does not ask for the end.
    left: Option<u64>,
    line: Option<Line>,
}

impl From<Body> for Counted {
    fn from(body: Body) -> Self {
        Self {
            body,
            left: None,
            line: None,
        }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let Some(line) = &mut this.line else {
            return frame;
        };
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    line.count(data);
                    let length = data.len() as u64;
                    this.left = this.left.map(|left| left.saturating_sub(length));
                }
                if this.body.is_end_stream() || this.left == Some(0) {
                    line.ended(End::Whole);
                }
            }
            Poll::Ready(Some(Err(_))) => line.ended(End::Broken),
            Poll::Ready(None) => line.ended(End::Whole),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request body that is summed up as it is read.
struct Summed {
    body: Body,
    sum: SharedSum,
}

impl HttpBody for Summed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let mut sum = this.sum.lock().unwrap_or_else(PoisonError::into_inner);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    sum.feed(data);
                }
                if this.body.is_end_stream() {
                    sum.end();
                }
            }
            Poll::Ready(None) => sum.end(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
