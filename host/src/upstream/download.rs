//! A response body on its way down: gives its connection back when it is done.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::pool::Lease;
use super::stream::Writer;
use crate::body::{Body, BodyError};
use crate::http1::{Decoded, Decoder};

/// The backend sent nothing for IDLE_TIMEOUT.
#[derive(Debug, thiserror::Error)]
#[error("no byte from the backend for {} ms", .0.as_millis())]
pub(crate) struct BodyTimeout(Duration);

/// Nothing more comes of a body that has broken off.
#[derive(Debug, thiserror::Error)]
#[error("the body broke off")]
struct Broken;

/// The body of a response from a pooled connection.
pub(super) struct Download {
    decoder: Decoder,
    /// The connection, until the body is read.
    lease: Option<Lease>,
    idle: Duration,
    waiting: bool,
    /// The rest of the request, if that was still being sent.
    upload: Option<JoinHandle<Option<Writer>>>,
}

impl Download {
    /// The body of a response that arrives by this connection. What is here
    /// already does not need it any longer.
    pub(super) fn start(
        decoder: Decoder,
        lease: Lease,
        idle: Duration,
        upload: Option<JoinHandle<Option<Writer>>>,
    ) -> Body {
        let mut this = Self {
            decoder,
            lease: Some(lease),
            idle,
            waiting: false,
            upload,
        };
        if this.decoder.is_done() {
            this.give_back();
            return Body::empty();
        }
        let lease = this.lease.as_mut();
        let whole = lease.and_then(|lease| lease.connection().whole_body(&mut this.decoder));
        if let Some(whole) = whole {
            this.give_back();
            return Body::from(whole);
        }
        Body::watched(this)
    }

    /// The response is whole. What is left of the request may go on by itself.
    fn give_back(&mut self) {
        let Some(mut lease) = self.lease.take() else {
            return;
        };
        // Until now it kept its direction open: an end would have been one of the request.
        let sent = self.upload.take().and_then(FutureExt::now_or_never);
        if let Some(Ok(Some(writer))) = sent {
            lease.connection().put_back(writer);
        }
        lease.give_back();
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(lease) = &mut this.lease else {
            let whole = this.decoder.is_done();
            return Poll::Ready((!whole).then(|| Err(Box::new(Broken) as BodyError)));
        };
        let decoded = match lease.connection().poll_body(cx, &mut this.decoder) {
            Poll::Ready(decoded) => decoded,
            Poll::Pending => {
                if !this.waiting {
                    this.waiting = true;
                    let until = Instant::now() + this.idle;
                    lease.connection().timer().reset(until);
                }
                ready!(lease.connection().timer().poll(cx));
                Err(BodyError::from(BodyTimeout(this.idle)))
            }
        };
        this.waiting = false;
        if this.decoder.is_done() {
            this.give_back();
        }
        Poll::Ready(match decoded {
            Ok(Decoded::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Decoded::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Decoded::End | Decoded::Wanting) => None,
            Err(error) => {
                this.lease = None;
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder
            .left()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
    }
}
