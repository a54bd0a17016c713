//! Connections that wait to be used again.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, Scheme};
use rustc_hash::FxBuildHasher;
use tokio::time::Instant;

use super::connection::{Connection, KEEP};

/// How many idle connections are kept to one origin.
const KEEP_MOST: usize = 256;
/// How often idle connections are looked after that nobody uses.
const SWEEP: Duration = Duration::from_secs(5);

/// All origins there were, by authority.
#[derive(Default)]
pub(super) struct Origins {
    http: HashMap<Box<str>, Arc<Origin>, FxBuildHasher>,
    https: HashMap<Box<str>, Arc<Origin>, FxBuildHasher>,
}

/// Where connections go, and those that wait to be used again.
pub(crate) struct Origin {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// The Host field of requests to it.
    pub(super) host: HeaderValue,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The least recently used come first, and are the first to be of no use.
    connections: VecDeque<Connection>,
    /// Whether somebody looks after them.
    swept: bool,
}

/// A connection, ours for one request and its response.
pub(super) struct Lease {
    origin: Arc<Origin>,
    connection: Connection,
}

impl Origins {
    /// The one of this name. `None` where that is no value of a `Host` field.
    pub(super) fn find(&mut self, scheme: &Scheme, authority: &Authority) -> Option<Arc<Origin>> {
        let origins = if *scheme == Scheme::HTTPS {
            &mut self.https
        } else {
            &mut self.http
        };
        if let Some(origin) = origins.get(authority.as_str()) {
            return Some(Arc::clone(origin));
        }
        let origin = Arc::new(Origin {
            scheme: scheme.clone(),
            host: HeaderValue::from_str(authority.as_str()).ok()?,
            idle: Mutex::default(),
            authority: authority.clone(),
        });
        origins.insert(origin.authority.as_str().into(), Arc::clone(&origin));
        Some(origin)
    }
}

impl Origin {
    /// A connection that waits, if one does that is of use.
    pub(super) async fn kept(self: &Arc<Self>, now: Instant) -> Option<Lease> {
        loop {
            let mut connection = lock(&self.idle).connections.pop_back()?;
            let usable = !connection.is_spent(now)
                && poll_fn(|cx| Poll::Ready(connection.is_quiet(cx))).await;
            if usable {
                return Some(self.lease(connection));
            }
        }
    }

    /// One of its connections, for one request.
    pub(super) fn lease(self: &Arc<Self>, connection: Connection) -> Lease {
        Lease {
            origin: Arc::clone(self),
            connection,
        }
    }

    /// Lets go of those that wait: the next is to be a fresh one.
    pub(super) fn clear(&self) {
        lock(&self.idle).connections.clear();
    }

    fn keep(self: &Arc<Self>, connection: Connection, now: Instant) {
        let mut idle = lock(&self.idle);
        let connections = &mut idle.connections;
        while connections.len() >= KEEP_MOST
            || connections.front().is_some_and(|it| it.is_spent(now))
        {
            connections.pop_front();
        }
        connections.push_back(connection);
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }
}

/// Closes what waits too long, or was closed by the backend, also where nobody
/// comes for it any more.
async fn sweep(origin: Weak<Origin>) {
    loop {
        tokio::time::sleep(SWEEP.min(KEEP)).await;
        let Some(origin) = origin.upgrade() else {
            return;
        };
        let (mut idle, now) = (lock(&origin.idle), Instant::now());
        idle.connections
            .retain_mut(|connection| !connection.is_spent(now) && connection.lies_quiet());
        if idle.connections.is_empty() {
            idle.swept = false;
            return;
        }
    }
}

impl Lease {
    /// Puts the connection among those that wait, if it can be used again.
    pub(super) fn give_back(mut self) {
        let now = Instant::now();
        if self.connection.rest(now) {
            self.origin.keep(self.connection, now);
        }
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
