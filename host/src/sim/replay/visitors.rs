//! The clients of a recording, while a run goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use tokio::task::JoinSet;

use super::super::dice;
use super::super::location::Site;
use super::super::talk::{all, blank, conclude, origin, reap, receive};
use super::super::trace::{Client, End, Exchange, Outcome};
use super::super::world::{REQUEST_ID, World};
use super::casting::{Cast, session};
use super::outcome;

/// Makes the requests of a recording, each when it was made.
pub(crate) struct Visitors {
    world: Arc<World>,
    sites: Arc<[Site]>,
    cast: Arc<Cast>,
    /// Of each browser: its session, and the backend that this is with.
    jars: Vec<Mutex<Option<(String, usize)>>>,
}

impl Visitors {
    pub(crate) fn new(world: Arc<World>, sites: Arc<[Site]>, cast: Arc<Cast>) -> Self {
        let jars = (0..cast.browsers()).map(|browser| Mutex::new(cast.session(browser)));
        Self {
            world,
            sites,
            jars: jars.collect(),
            cast,
        }
    }

    /// Over when the last request is answered.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        for (index, exchange) in self.cast.recording.exchanges.iter().enumerate() {
            let at = Duration::from_millis(exchange.at);
            // Less than it was built with, where a shorter one is tried.
            if at >= self.world.scenario.duration {
                break;
            }
            self.world.until(at).await;
            let visitors = Arc::clone(&self);
            under_way.spawn(async move { visitors.visit(index).await });
            reap(&mut under_way);
        }
        all(&mut under_way).await;
    }

    /// One request, from its making to its end.
    async fn visit(&self, index: usize) {
        let Some(exchange) = self.cast.recording.exchanges.get(index) else {
            return;
        };
        let group = self.world.scenario.clients.len();
        let id = self.world.recorded_id(index);
        let number = self.cast.composer.client(exchange);
        let mut dice = self.world.dice.of(super::RECORDED, index as u64);
        // Each client reaches one location, for good.
        let mut place = (self.world.dice).of("recorded place", u64::from(number));
        let location = dice::below(&mut place, self.sites.len());
        let jar = self.cast.browsers.of.get(index);
        let jar = jar.and_then(|browser| self.jars.get(*browser));
        let (Some(site), Some(jar)) = (self.sites.get(location), jar) else {
            return;
        };
        let lock = || jar.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever came with one brings it back; others had none to bring.
        let held = lock().clone().filter(|_| exchange.session.is_some());
        let (cookie, home) = held.unzip();
        let Some(mut request) = self.cast.request(index, cookie.as_deref()) else {
            return;
        };
        let fields = request.headers_mut();
        fields.insert(REQUEST_ID, HeaderValue::from(id));
        let repeatable = fields.contains_key("idempotency-key");
        let method = request.method().clone();
        let client = Client { group, number };
        let now = self.world.millis();
        self.world.open(Exchange {
            repeatable,
            ..blank(id, now, location, Some(client), method, home)
        });
        let after_head = exchange.ended - exchange.head.unwrap_or(0).min(exchange.ended);
        let talk = async {
            let Ok(response) = site.fetch(id, request, &mut dice).await else {
                return End::Broken;
            };
            if let Some(session) = session(&response, &self.cast.session_cookie)
                && let Some(home) = origin(&self.world, response.headers())
            {
                *lock() = Some((session, home));
            }
            let hold = Duration::from_millis(after_head);
            receive(&self.world, id, response, hold).await
        };
        // Whose upload failed is told so by the host: it never was all there.
        let last = exchange.attempts.last().map(outcome);
        let gives_up = exchange.end == End::Left || last == Some(Outcome::Cancelled);
        let end = if gives_up {
            let patience = Duration::from_millis(exchange.ended);
            let talk = std::pin::pin!(talk);
            (tokio::time::timeout(patience, talk).await).unwrap_or(End::Left)
        } else {
            talk.await
        };
        conclude(&self.world, id, end);
    }
}
