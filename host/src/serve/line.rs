//! One line a request.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::access_log::{AccessLog, LogFormat};
use super::connection::Context;
use super::entry::Entry;
use super::record::{Known, SharedSum, Take};
use super::redact::Redacted;
use crate::body::{Body, BodyError};
use crate::http1::RequestHead;
use crate::lines;
use crate::message::PackedResponse;
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
    host: Option<Box<[u8]>>,
    target: Option<PathAndQuery>,
    progress: Progress,
    status: u16,
    bytes: u64,
}

impl Line {
    /// Begins one, if there is a log or a recording.
    pub(super) fn begin(context: &Arc<Context>, head: &RequestHead, peer: IpAddr) -> Option<Self> {
        let log = context.access_log.clone();
        let take = context.recorder.as_ref();
        let take = take.map(|recorder| recorder.take(&head.lines));
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
            method: head.method.clone(),
            host: lines::find(&head.lines, "host").map(Into::into),
            target: head.uri.path_and_query().cloned(),
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
    pub(super) fn tunnelled(&mut self) {
        self.ended(End::Tunnel);
    }

    /// The client is answered with this.
    pub(super) fn answered(&mut self, response: &PackedResponse) {
        self.status = response.status.as_u16();
        if let Some(take) = &mut self.take {
            take.answered(response.fields());
        }
    }

    /// These bytes of the content went to the client.
    pub(super) fn count(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(take) = &mut self.take {
            take.feed(bytes);
        }
    }

    /// So the response came to its end.
    pub(super) fn ended(&mut self, end: End) {
        if let Some(take) = &mut self.take {
            take.ended(end);
        }
    }

    fn text(&self, format: LogFormat) -> String {
        let backend = self.progress.backend().and_then(|index| {
            let configuration = self.context.edge.configuration()?;
            Some(configuration.backends.get(index)?.name.as_str())
        });
        let host = self.host.as_deref().unwrap_or(b"-");
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
