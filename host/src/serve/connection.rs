//! One client connection.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::access_log::AccessLog;
use super::client_io::ClientIo;
use super::interim::Interim;
use super::line::{Counted, Line};
use super::record::Recorder;
use super::tunnel;
use crate::body::Body;
use crate::edge::Edge;
use crate::exchange::{self, InterimSink};
use crate::progress::Progress;
use crate::refusal;

/// How long a client may take to send a head, and how long its connection may
/// lie idle before one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// What the connections of a thread share.
pub(super) struct Context {
    pub(super) edge: Arc<Edge>,
    pub(super) access_log: Option<AccessLog>,
    pub(super) recorder: Option<Recorder>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Who is at the other end.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) peer: IpAddr,
    pub(super) place: Arc<Place>,
}

/// What a connection and its tunnel hold as long as either lasts: its place among
/// those that there may be at a time, and what shutdown waits for.
pub(super) type Place = (Option<OwnedSemaphorePermit>, mpsc::Sender<()>);

/// Serves a connection until it closes.
pub(super) async fn serve(stream: TcpStream, client: Client, context: Arc<Context>) {
    let _ = stream.set_nodelay(true);
    let patience = context.edge.timeouts().idle;
    let interim = Interim::new();
    let sink = interim.sink();
    let io = TokioIo::new(ClientIo::new(stream, interim, patience));
    let mut stopped = context.stopped.clone();
    let service = service_fn(move |request| {
        let context = Arc::clone(&context);
        let (client, sink) = (client.clone(), Arc::clone(&sink));
        // hyper keeps room for this as long as the connection lasts; boxed, it
        // takes room while there is a request.
        Box::pin(async move { Ok::<_, Infallible>(respond(request, client, sink, &context).await) })
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // How a connection ends is the client's business; malformed heads were answered.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn respond(
    mut request: Request<Incoming>,
    client: Client,
    sink: InterimSink,
    context: &Arc<Context>,
) -> Response<Counted> {
    let mut line = Line::begin(context, &request, client.peer);
    if lacks_host(&request) {
        let response = refusal::client(StatusCode::BAD_REQUEST);
        return match line {
            Some(line) => line.finish(response),
            None => response.map(Counted::from),
        };
    }
    let upgrade = request
        .headers()
        .contains_key(http::header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let from = exchange::Client {
        peer: Some(client.peer),
        // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
        interim: (request.version() >= Version::HTTP_11).then_some(sink),
    };
    let request = request.map(Body::from);
    let request = match &mut line {
        Some(line) => request.map(|body| line.watch(body)),
        None => request,
    };
    let untold = Progress::default();
    let progress = line.as_ref().map_or(&untold, Line::progress);
    let mut response = context.edge.answer(request, from, progress).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (parts, body) = response.into_parts();
        response = Response::from_parts(parts, Body::empty());
        if let (Ok(backend), Some(upgrade)) = (body.into_tunnel(), upgrade) {
            let idle = context.edge.timeouts().idle;
            let line = line.map(|mut line| {
                line.tunnelled(&response);
                line
            });
            tokio::spawn(async move {
                tunnel::join(upgrade.into(), backend, idle, line).await;
                drop(client.place);
            });
            return response.map(Counted::from);
        }
    }
    match line {
        Some(line) => line.finish(response),
        None => response.map(Counted::from),
    }
}

/// An HTTP/1.1 request without a Host field must be answered with 400
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-3.2>), whatever its target.
fn lacks_host(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11 && !request.headers().contains_key(http::header::HOST)
}
