//! One client connection: requests are read, and answered one after the other.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Extensions, Method, StatusCode, Version};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::access_log::AccessLog;
use super::inbound::{Inbound, NoRequest};
use super::interim::Interim;
use super::line::Line;
use super::outbound::Outbound;
use super::record::Recorder;
use super::tunnel;
use crate::edge::Edge;
use crate::exchange;
use crate::http1::{Malformed, RequestHead, To};
use crate::message::{PackedRequest, PackedResponse};
use crate::progress::Progress;
use crate::refusal;
use crate::tunnel::Tunnel;
use crate::upstream::InterimSink;

/// How long a client may take to send a head, and how long its connection may
/// lie idle before one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may go on sending what nobody wants, once it was answered; and
/// how long the rest of a head may take once shutdown began.
const LINGER: Duration = Duration::from_secs(2);

/// What the connections of a thread share.
pub(super) struct Context {
    pub(super) edge: Arc<Edge>,
    pub(super) access_log: Option<AccessLog>,
    pub(super) recorder: Option<Recorder>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// What a connection and its tunnel hold as long as either lasts: its place among
/// those that there may be at a time, and what shutdown waits for.
pub(super) type Place = (Option<OwnedSemaphorePermit>, mpsc::Sender<()>);

/// Serves a connection of this peer until it closes.
pub(super) async fn serve(stream: TcpStream, peer: IpAddr, place: Place, context: Arc<Context>) {
    let _place = place;
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let interim = Interim::new();
    let mut connection = Connection {
        inbound: Inbound::new(reader, Arc::clone(&interim)),
        outbound: Outbound::new(writer, context.edge.timeouts().idle),
        sink: interim.sink(),
        interim,
        peer,
        reusable: exchange::Reusable::default(),
        context: Arc::clone(&context),
    };
    let mut stopped = context.stopped.clone();
    let mut stopped = pin!(stopped.wait_for(|stopped| *stopped));
    let mut stopping = false;
    let mut timer = pin!(sleep_until(Instant::now() + HEAD_TIMEOUT));
    loop {
        let mut deadline = Instant::now() + HEAD_TIMEOUT;
        let head = poll_fn(|cx| {
            if let Poll::Ready(head) = connection.inbound.poll_head(cx) {
                return Poll::Ready(head);
            }
            if !stopping && stopped.as_mut().poll(cx).is_ready() {
                stopping = true;
                // A head that has begun to come is no request yet, and may never be.
                deadline = Instant::now() + LINGER;
                timer.as_mut().reset(deadline);
            }
            if stopping && connection.inbound.is_silent() {
                return Poll::Ready(Err(NoRequest::End));
            }
            connection.outbound.rest();
            poll_deadline(timer.as_mut(), deadline, cx).map(|()| Err(NoRequest::End))
        })
        .await;
        let next = match head {
            // What a request takes is not held as long as the connection lasts.
            Ok(head) => Box::pin(connection.respond(head)).await,
            Err(NoRequest::End) => return,
            Err(NoRequest::Malformed(malformed)) => connection.refuse(malformed).await,
        };
        match next {
            Next::Request => {}
            Next::Close => return,
            Next::Linger => break,
            Next::Tunnel(tunnel, line) => {
                let idle = context.edge.timeouts().idle;
                let Connection {
                    inbound, outbound, ..
                } = connection;
                if let Some((read, reader)) = inbound.into_parts() {
                    let client = Tunnel::joined(read, reader, outbound.into_writer());
                    Box::pin(tunnel::join(client, tunnel, idle, line)).await;
                }
                return;
            }
        }
    }
    // A close while bytes come that nobody reads would take the response with it
    // (https://www.rfc-editor.org/rfc/rfc9112#section-9.6).
    connection.outbound.shutdown().await;
    let _ = timeout(LINGER, poll_fn(|cx| connection.inbound.poll_discard(cx))).await;
}

/// Ready at the deadline. The timer, which may have been set for an earlier one,
/// is put off only when that has come.
fn poll_deadline(
    mut timer: Pin<&mut Sleep>,
    deadline: Instant,
    cx: &mut std::task::Context<'_>,
) -> Poll<()> {
    while timer.as_mut().poll(cx).is_ready() {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline);
    }
    Poll::Pending
}

struct Connection {
    inbound: Inbound,
    outbound: Outbound,
    interim: Arc<Interim>,
    sink: InterimSink,
    peer: IpAddr,
    /// What was decided for a request, and is so for others.
    reusable: exchange::Reusable,
    context: Arc<Context>,
}

/// What follows a request.
enum Next {
    /// Another one may.
    Request,
    Close,
    /// The end, once the client has stopped sending.
    Linger,
    /// Another protocol.
    Tunnel(Tunnel, Option<Box<Line>>),
}

impl Connection {
    async fn respond(&mut self, head: RequestHead) -> Next {
        let to = To {
            head: head.method == Method::HEAD,
            version: head.version,
            trailers: head.takes_trailers,
        };
        self.interim.clear();
        let mut persistent = head.persistent;
        let mut line = Line::begin(&self.context, &head, self.peer);
        let answer = self.answer(head, line.as_mut()).await;
        let Some(mut response) = answer else {
            // The client is gone.
            return Next::Close;
        };
        if let Some(line) = &mut line {
            line.answered(&response);
        }
        self.inbound.answered();
        self.interim.clear();
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            let body = std::mem::take(&mut response.body);
            let sent = self.outbound.send(response, to, true, None, &self.inbound);
            return match (sent.await, body.into_tunnel()) {
                (Ok(_), Ok(tunnel)) => {
                    if let Some(line) = &mut line {
                        line.tunnelled();
                    }
                    Next::Tunnel(tunnel, line.map(Box::new))
                }
                (Ok(_) | Err(_), _) => Next::Close,
            };
        }
        persistent &= !*self.context.stopped.borrow() && self.inbound.may_go_on();
        let sent = self
            .outbound
            .send(response, to, persistent, line.as_mut(), &self.inbound)
            .await;
        drop(line);
        match sent {
            Err(_) => Next::Close,
            Ok(persists) => {
                let over = poll_fn(|cx| self.inbound.poll_over(cx)).await;
                match (over, persists) {
                    (true, true) => Next::Request,
                    (true, false) if self.inbound.is_silent() => Next::Close,
                    (_, _) => Next::Linger,
                }
            }
        }
    }

    /// The response to a request; `None` if the client left before there was one.
    async fn answer(
        &mut self,
        head: RequestHead,
        line: Option<&mut Line>,
    ) -> Option<PackedResponse> {
        // An HTTP/1.1 request without a Host field must be answered with 400
        // (https://www.rfc-editor.org/rfc/rfc9112#section-3.2), whatever its target.
        if head.version == Version::HTTP_11 && !head.has_host {
            return Some(refusal::client(StatusCode::BAD_REQUEST).into());
        }
        let from = exchange::Client {
            peer: Some(self.peer),
            // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
            interim: (head.version >= Version::HTTP_11).then(|| Arc::clone(&self.sink)),
        };
        let body = self.inbound.body();
        let untold = Progress::default();
        let (body, progress) = match line {
            Some(line) => (line.watch(body), line.progress()),
            None => (body, &untold),
        };
        let request = PackedRequest {
            method: head.method,
            uri: head.uri,
            version: head.version,
            lines: head.lines,
            body,
            extensions: Extensions::new(),
        };
        let edge = &self.context.edge;
        let mut answer = pin!(edge.answer(request, from, &mut self.reusable, progress));
        poll_fn(|cx| {
            let answered = answer.as_mut().poll(cx);
            // What was too much before may have room once the rest has gone.
            loop {
                let more = self.interim.take(cx, self.outbound.head());
                if let Poll::Ready(response) = answered {
                    return Poll::Ready(Some(response));
                }
                match self.outbound.poll_flush(cx) {
                    Poll::Ready(Ok(())) if more => {}
                    Poll::Ready(Ok(())) | Poll::Pending => break,
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                }
            }
            self.inbound.poll_gone(cx).map(|()| None)
        })
        .await
    }

    /// Answers what is no request. There is no saying where the next would begin.
    async fn refuse(&mut self, malformed: Malformed) -> Next {
        let status = match malformed {
            Malformed::Syntax => StatusCode::BAD_REQUEST,
            Malformed::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Malformed::TargetTooLong => StatusCode::URI_TOO_LONG,
            Malformed::Coding => StatusCode::NOT_IMPLEMENTED,
        };
        let to = To {
            head: false,
            version: Version::HTTP_11,
            trailers: false,
        };
        let response = refusal::client(status).into();
        let sent = self.outbound.send(response, to, false, None, &self.inbound);
        match sent.await {
            Ok(_) => Next::Linger,
            Err(_) => Next::Close,
        }
    }
}
