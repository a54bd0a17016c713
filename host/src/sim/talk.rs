//! What is noted of an exchange as a client sees it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::task::{JoinError, JoinSet};

use super::backend::BACKEND;
use super::trace::{Client, End, Exchange};
use super::world::World;
use crate::body::Body;

/// Waits for all of them. Who panics takes the run along: nothing of it could
/// be believed.
pub(crate) async fn all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        follow(ended);
    }
}

/// Lets go of those that have ended, so that they take no memory.
pub(crate) fn reap(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.try_join_next() {
        follow(ended);
    }
}

fn follow(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// A request as it is recorded before anything has come of it.
pub(crate) fn blank(
    id: u64,
    now: u64,
    location: usize,
    client: Option<Client>,
    method: Method,
    session: Option<usize>,
) -> Exchange {
    Exchange {
        id,
        begun: now,
        location,
        isolate: None,
        client,
        method,
        repeatable: false,
        session,
        attempts: Vec::with_capacity(1),
        status: None,
        answered: now,
        end: End::Left,
        ended: now,
        bytes: 0,
        by: None,
    }
}

/// Reads an answer to its end.
pub(super) async fn receive(
    world: &World,
    id: u64,
    response: Response<Body>,
    hold: Duration,
) -> End {
    let (parts, mut body) = response.into_parts();
    head(world, id, parts.status, &parts.headers);
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        let Ok(tunnel) = body.into_tunnel() else {
            return End::Broken;
        };
        let Ok(mut connection) = tunnel.open().await else {
            return End::TunnelBroken;
        };
        let read = connection.read_u8();
        return match tokio::time::timeout(hold, read).await {
            Ok(_) => End::TunnelBroken,
            Err(_) => End::Tunnel,
        };
    }
    loop {
        match body.frame().await {
            None => return End::Whole,
            Some(Err(_)) => return End::Broken,
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                world.update(id, |exchange| exchange.bytes += length);
            }
        }
    }
}

/// An answer begins.
pub(crate) fn head(world: &World, id: u64, status: StatusCode, fields: &HeaderMap) {
    let by = origin(world, fields);
    let now = world.millis();
    world.update(id, |exchange| {
        exchange.status = Some(status.as_u16());
        exchange.answered = now;
        exchange.by = by;
    });
}

/// It is over.
pub(crate) fn conclude(world: &World, id: u64, end: End) {
    let now = world.millis();
    world.close(id, |exchange| {
        exchange.end = end;
        exchange.ended = now;
        if exchange.status.is_none() {
            exchange.answered = now;
        }
    });
}

/// The backend that an answer says it is from.
pub(super) fn origin(world: &World, fields: &HeaderMap) -> Option<usize> {
    let name = fields.get(BACKEND)?.to_str().ok()?;
    (world.scenario.backends.iter()).position(|backend| backend.name == name)
}
