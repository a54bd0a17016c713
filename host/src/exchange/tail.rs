//! A forwarded response body: if it breaks, the policy is told.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Driver;
use super::bindings::{BodyEnd, Tail};
use crate::body::{Body, BodyError};

/// The body, and who answers for it.
pub(super) struct TailBody {
    body: Body,
    driver: Arc<Driver>,
    tail: Tail,
}

impl TailBody {
    /// Watches a body, unless it is here already.
    pub(super) fn watch(body: Body, driver: &Arc<Driver>, tail: Tail) -> Body {
        if body.is_here() {
            return body;
        }
        Body::watched(Self {
            body,
            driver: Arc::clone(driver),
            tail,
        })
    }
}

impl HttpBody for TailBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = &frame {
            this.driver.finish(this.tail, BodyEnd::Broken);
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
