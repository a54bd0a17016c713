//! Who asks: when, for what, and what they make of the answers.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, SET_COOKIE, UPGRADE, USER_AGENT,
};
use http::{HeaderValue, Method, Request, Response, Uri};
use rand_pcg::Pcg64Mcg;
use tokio::task::JoinSet;

use super::dice;
use super::identity::Identity;
use super::location::Site;
use super::scenario::{Arrivals, Clients};
use super::talk::{all, blank, conclude, origin, reap, receive};
use super::trace::{Client, End};
use super::world::{REQUEST_ID, World};
use crate::body::Body;
use crate::edge::Peer;

const DAY: f64 = 86_400.0;

/// A group of clients while a run goes on.
pub(crate) struct Group {
    world: Arc<World>,
    sites: Arc<[Site]>,
    index: usize,
    identity: Identity,
    people: Vec<Mutex<Person>>,
}

/// What one of them remembers.
#[derive(Default)]
struct Person {
    cookies: Vec<Cookie>,
    /// The backend that the session is with.
    home: Option<usize>,
}

struct Cookie {
    name: String,
    value: String,
    /// When it is no longer sent.
    expires: Duration,
}

impl Group {
    pub(crate) fn new(world: Arc<World>, sites: Arc<[Site]>, index: usize) -> Self {
        let clients = world.scenario.clients.get(index);
        let count = clients.map_or(0, |clients| clients.count.get());
        Self {
            identity: Identity::of(clients.map_or("", |clients| &clients.name)),
            world,
            sites,
            index,
            people: (0..count).map(|_| Mutex::default()).collect(),
        }
    }

    /// Makes requests as long as the scenario says; over when the last is answered.
    pub(crate) async fn run(self: Arc<Self>) {
        let Some(clients) = self.world.scenario.clients.get(self.index) else {
            return;
        };
        let end = self.world.scenario.duration;
        let end = clients
            .lasting
            .map_or(end, |length| (clients.at + length).min(end));
        match clients.rate {
            Some(rate) => self.arrive(clients, rate, end).await,
            None => self.stay(end).await,
        }
    }

    /// Requests at a rate, whoever is still waiting.
    async fn arrive(self: &Arc<Self>, clients: &Clients, rate: f64, end: Duration) {
        let mut under_way = JoinSet::new();
        let mut dice = self.world.dice.of(&clients.name, u64::MAX);
        let swing = clients.daily_swing.value();
        let peak = rate * (1.0 + swing);
        let mut time = clients.at.as_secs_f64();
        let mut number = 0;
        loop {
            time += match clients.arrivals {
                Arrivals::Poisson => dice::exponential(&mut dice, peak),
                Arrivals::Constant => 1.0 / peak,
            };
            if time >= end.as_secs_f64() {
                break;
            }
            // Of those that come at the peak, the hour takes its share: thinning.
            if swing > 0.0 {
                let hour = 1.0 + swing * libm::sin(std::f64::consts::TAU * time / DAY);
                if dice::unit(&mut dice) * peak >= hour * rate {
                    continue;
                }
            }
            self.world.until(Duration::from_secs_f64(time)).await;
            let group = Arc::clone(self);
            under_way.spawn(async move { group.request(number, None).await });
            number += 1;
            reap(&mut under_way);
        }
        all(&mut under_way).await;
    }

    /// Each of them asks, thinks, and asks again.
    async fn stay(self: &Arc<Self>, end: Duration) {
        let mut under_way = JoinSet::new();
        for person in 0..self.people.len() {
            let group = Arc::clone(self);
            under_way.spawn(async move { group.converse(person, end).await });
        }
        all(&mut under_way).await;
    }

    async fn converse(&self, person: usize, end: Duration) {
        let Some(clients) = self.world.scenario.clients.get(self.index) else {
            return;
        };
        let Some(think) = clients.think else {
            return;
        };
        let number = self.people.len() as u64 + person as u64;
        let mut dice = self.world.dice.of(&clients.name, u64::MAX - number);
        // They do not all come at once.
        let mut next = clients.at + think.draw(&mut dice).mul_f64(dice::unit(&mut dice));
        let mut turn = 0;
        while next < end {
            self.world.until(next).await;
            let number = turn * self.people.len() as u64 + person as u64;
            self.request(number, Some(person)).await;
            next = self.world.now() + think.draw(&mut dice).max(Duration::from_millis(1));
            turn += 1;
        }
    }

    /// One request, from its making to its end.
    async fn request(&self, number: u64, person: Option<usize>) {
        let Some(clients) = self.world.scenario.clients.get(self.index) else {
            return;
        };
        let mut dice = self.world.dice.of(&clients.name, number);
        let drawn = dice::below(&mut dice, self.people.len());
        let person = person.unwrap_or(drawn);
        let id = self.identity.request(number);
        let client = Client {
            group: self.index,
            number: u32::try_from(person).unwrap_or(u32::MAX),
        };
        let site = self.site(clients, person);
        let Some(place) = self.sites.get(site) else {
            return;
        };
        let (request, session) = self.compose(clients, person, id, &mut dice);
        let method = request.method().clone();
        self.world.open(blank(
            id,
            self.world.millis(),
            site,
            Some(client),
            method,
            session,
        ));
        let answer = place.fetch(id, request, &mut dice);
        let answered = match clients.patience {
            None => Some(answer.await),
            Some(patience) => tokio::time::timeout(patience, answer).await.ok(),
        };
        let end = match answered {
            None => End::Left,
            Some(Err(_)) => End::Broken,
            Some(Ok(response)) => {
                self.remember(clients, person, &response);
                let hold = clients.hold.draw(&mut dice);
                receive(&self.world, id, response, hold).await
            }
        };
        conclude(&self.world, id, end);
    }

    fn site(&self, clients: &Clients, person: usize) -> usize {
        let locations = &self.world.scenario.locations;
        let named = clients.location.as_ref();
        let named = named.and_then(|name| locations.iter().position(|it| it.name == *name));
        named.unwrap_or_else(|| {
            let address = self.address(clients, person).to_bits();
            let mut dice = (self.world.dice).of("place", u64::from(address));
            dice::below(&mut dice, locations.len())
        })
    }

    fn address(&self, clients: &Clients, person: usize) -> Ipv4Addr {
        let person = person as u64;
        let number = (clients.addresses).map_or(person, |it| person % u64::from(it.get()));
        self.identity.address(number)
    }

    fn compose(
        &self,
        clients: &Clients,
        person: usize,
        id: u64,
        dice: &mut Pcg64Mcg,
    ) -> (Request<Body>, Option<usize>) {
        let method = method(clients, dice);
        let target = clients.path.replace("{client}", &person.to_string());
        let has_body = clients.body > 0
            && !matches!(
                method,
                Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE
            );
        let websocket = method == Method::GET && clients.websocket.hits(dice);
        let body = if has_body {
            Body::from(vec![b'.'; clients.body])
        } else {
            Body::empty()
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(target).unwrap_or_default();
        let address = self.address(clients, person);
        request.extensions_mut().insert(Peer(address.into()));
        let fields = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&self.world.scenario.host) {
            fields.insert(HOST, host);
        }
        fields.insert(USER_AGENT, HeaderValue::from_static("edgelb-sim"));
        fields.insert(ACCEPT, HeaderValue::from_static("*/*"));
        fields.insert(REQUEST_ID, HeaderValue::from(id));
        if has_body {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(clients.body));
        }
        if websocket {
            let handshake = [
                (CONNECTION, "Upgrade"),
                (UPGRADE, "websocket"),
                (http::header::SEC_WEBSOCKET_VERSION, "13"),
                // That of RFC 6455 section 1.3: any will do.
                (http::header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            ];
            for (name, value) in handshake {
                fields.insert(name, HeaderValue::from_static(value));
            }
        }
        let memory = self.people.get(person);
        let memory = memory.map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(mut memory) = memory else {
            return (request, None);
        };
        let now = self.world.now();
        memory.cookies.retain(|cookie| now < cookie.expires);
        if memory.cookies.is_empty() {
            return (request, None);
        }
        let cookies = memory.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        if let Ok(cookies) = HeaderValue::from_str(&cookies.join("; ")) {
            fields.insert(COOKIE, cookies);
        }
        (request, memory.home)
    }

    /// Keeps the cookies of an answer.
    fn remember(&self, clients: &Clients, person: usize, response: &Response<Body>) {
        if !clients.cookies || !response.headers().contains_key(SET_COOKIE) {
            return;
        }
        let Some(person) = self.people.get(person) else {
            return;
        };
        let mut person = person.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in response.headers().get_all(SET_COOKIE) {
            let Ok(cookie) = cookie.to_str() else {
                continue;
            };
            let pair = cookie.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            person.cookies.retain(|taken| taken.name != name);
            person.cookies.push(Cookie {
                name: name.to_owned(),
                value: value.to_owned(),
                expires: self.world.now() + lifetime(cookie),
            });
        }
        person.home = origin(&self.world, response.headers());
    }
}

/// How long a cookie is kept (RFC 6265 section 5.2.2): a second less than it
/// says, as its maker counts whole ones; one that does not say, for a year.
fn lifetime(cookie: &str) -> Duration {
    let attributes = cookie.split(';').skip(1);
    let max_age = attributes.filter_map(|attribute| {
        let (name, value) = attribute.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("max-age");
        named.then(|| value.trim().parse::<u64>().ok()).flatten()
    });
    let seconds = max_age.last().unwrap_or(365 * 24 * 3600);
    Duration::from_secs(seconds.min(365 * 24 * 3600).saturating_sub(1))
}

fn method(clients: &Clients, dice: &mut Pcg64Mcg) -> Method {
    let weights = clients.methods.values();
    let sum: usize = weights.map(|weight| *weight as usize).sum();
    let mut drawn = dice::below(dice, sum.max(1));
    for (name, weight) in &clients.methods {
        let weight = *weight as usize;
        if drawn < weight {
            return name.parse().unwrap_or_default();
        }
        drawn -= weight;
    }
    Method::GET
}
