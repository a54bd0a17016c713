//! A body on its way out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame};

use super::{Encoder, Output};
use crate::body::{Body, BodyError};

/// A body, and how it is framed.
pub(crate) struct Content {
    /// The rest of it; none once it is read to its end.
    body: Option<Body>,
    /// Why there is no more, if that is not its end.
    failed: Option<BodyError>,
    encoder: Encoder,
    /// Whether trailers may be sent.
    trailers: bool,
}

impl Content {
    /// Where none is to be sent, none is.
    pub(crate) fn new(body: Body, encoder: Encoder, trailers: bool) -> Self {
        Self {
            body: Some(body).filter(|_| !encoder.is_done()),
            failed: None,
            encoder,
            trailers,
        }
    }

    /// Whether no more of it comes.
    pub(crate) const fn is_over(&self) -> bool {
        self.body.is_none()
    }

    /// Whether that is because it broke off.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Why it broke off, if it did.
    pub(crate) fn failure(&mut self) -> Option<BodyError> {
        self.failed.take()
    }

    /// Writes what comes while there is room for it, and tells of each piece.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Output,
        mut told: impl FnMut(&[u8]),
    ) -> Poll<()> {
        while let Some(body) = self.body.as_mut().filter(|_| out.has_room()) {
            let frame = ready!(Pin::new(&mut *body).poll_frame(cx)).transpose();
            let is_last = body.is_end_stream();
            match frame.and_then(|frame| self.write(out, frame, is_last, &mut told)) {
                Ok(true) => {}
                Ok(false) => self.body = None,
                Err(error) => {
                    self.body = None;
                    self.failed = Some(error);
                }
            }
        }
        Poll::Ready(())
    }

    /// Writes a frame, or the end. Answers whether there is more to come.
    fn write(
        &mut self,
        out: &mut Output,
        frame: Option<Frame<Bytes>>,
        is_last: bool,
        told: &mut impl FnMut(&[u8]),
    ) -> Result<bool, BodyError> {
        let trailers = match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                told(&data);
                self.encoder.data(out, data)?;
                if !is_last && !self.encoder.is_done() {
                    return Ok(true);
                }
                None
            }
            Some(Err(frame)) => frame.into_trailers().ok().filter(|_| self.trailers),
            None => None,
        };
        self.encoder.end(out, trailers.as_ref())?;
        Ok(false)
    }
}
