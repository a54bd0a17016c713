//! The component in a world without sockets: backends that are closures, and
//! time that passes when the test says so.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use edgelb_host::{Body, Cause, Door, Edge, EdgeBuilder, EdgeError, Peer, SendError};
use http::{Request, Response, request};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::Semaphore;

use crate::client::HOST;

/// The address that requests come from unless the test says otherwise.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// An edge over backends `A`, `B` and `C`, at `http://a.test` and so on.
pub struct Scene {
    /// The edge.
    pub edge: Edge,
    /// Its backends, in order of their names.
    pub backends: Vec<Actor>,
}

/// A backend without a socket. Answers 200 unless told otherwise.
#[derive(Clone)]
pub struct Actor(Arc<State>);

struct State {
    name: &'static str,
    script: Mutex<Script>,
    received: Mutex<Vec<Request<Bytes>>>,
    attempts: Mutex<usize>,
}

type Script = Arc<dyn Fn(&request::Parts) -> Act + Send + Sync>;

/// What an [`Actor`] does with a request.
pub enum Act {
    /// Reads the body, then answers.
    Answer(Response<Body>),
    /// Reads the body, then answers when the gate lets it.
    Gated(Gate, Response<Body>),
    /// Reads the body, then brings nothing.
    Fail(Cause),
    /// Is not reached at all.
    Unreachable(Cause),
    /// Reads the body and says nothing, ever.
    Silence,
}

/// Holds answers back until they are let through, one by one.
#[derive(Clone, Debug)]
pub struct Gate {
    arrived: Arc<Semaphore>,
    passages: Arc<Semaphore>,
}

/// A response, whole.
pub type Whole = Response<Bytes>;

impl Scene {
    /// With these variables beside the backends', or in their place.
    ///
    /// # Panics
    /// The component refuses them.
    pub fn new(door: Door, environment: &[(&str, &str)]) -> Self {
        Self::build(door, environment, |edge| edge).unwrap()
    }

    /// The same, with more to say about the edge.
    ///
    /// # Errors
    /// The component refuses its environment, or is refused itself.
    pub fn build(
        door: Door,
        environment: &[(&str, &str)],
        more: impl FnOnce(EdgeBuilder) -> EdgeBuilder,
    ) -> Result<Self, EdgeError> {
        let mut edge = Edge::builder().door(door).seed(1);
        let backends = ["a", "b", "c"].map(Actor::new);
        for actor in &backends {
            let actor = actor.clone();
            let authority = format!("{}.test", actor.name());
            let variable = format!("BACKEND_{}", actor.name().to_ascii_uppercase());
            if !environment.iter().any(|(name, _)| *name == variable) {
                edge = edge.env(variable, format!("http://{authority}"));
            }
            edge = edge.backend(&authority, move |request| actor.clone().answer(request));
        }
        for (name, value) in environment {
            edge = edge.env(*name, *value);
        }
        Ok(Self {
            edge: more(edge).build()?,
            backends: backends.into(),
        })
    }

    /// Another isolate of the same edge, over the same backends.
    pub fn another(&self) -> Self {
        Self {
            edge: self.edge.another().unwrap(),
            backends: self.backends.clone(),
        }
    }

    /// Answers a request, whole.
    pub async fn send(&self, request: Request<Body>) -> Whole {
        self.try_send(request).await.unwrap()
    }

    /// The same, unless the body breaks off.
    ///
    /// # Errors
    /// What the body broke off with.
    pub async fn try_send(&self, request: Request<Body>) -> Result<Whole, edgelb_host::BodyError> {
        whole(self.edge.fetch(request).await).await
    }

    /// A GET by the usual client.
    pub async fn get(&self, target: &str) -> Whole {
        self.send(get(target)).await
    }

    /// The backend that the usual client is sent to while all are well.
    pub async fn home(&self) -> Actor {
        let response = self.get("/").await;
        self.backend(by(&response)).clone()
    }

    /// The backend of this name.
    pub fn backend(&self, name: &str) -> &Actor {
        self.backends
            .iter()
            .find(|backend| backend.name() == name)
            .unwrap()
    }

    /// All backends are well again, and short ejections are over.
    pub async fn heal(&self) {
        self.all(|_| ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        self.get("/").await;
    }

    /// Waits until nobody has anything left to do: virtual time does not pass
    /// before that.
    pub async fn quiet(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// All backends do this from now on.
    pub fn all(&self, script: impl Fn(&request::Parts) -> Act + Send + Sync + Clone + 'static) {
        for backend in &self.backends {
            backend.script(script.clone());
        }
    }

    /// How many attempts there were at all backends together.
    pub fn attempts(&self) -> usize {
        self.backends.iter().map(Actor::attempts).sum()
    }
}

impl Actor {
    fn new(name: &'static str) -> Self {
        Self(Arc::new(State {
            name,
            script: Mutex::new(Arc::new(|_| ok())),
            received: Mutex::default(),
            attempts: Mutex::default(),
        }))
    }

    /// Its name, in lower case.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// From now on it does this.
    pub fn script(&self, script: impl Fn(&request::Parts) -> Act + Send + Sync + 'static) {
        *lock(&self.0.script) = Arc::new(script);
    }

    /// How many attempts were made at it, whether they reached it or not.
    pub fn attempts(&self) -> usize {
        *lock(&self.0.attempts)
    }

    /// The requests that it received whole, in order.
    pub fn received(&self) -> Vec<Request<Bytes>> {
        lock(&self.0.received).clone()
    }

    /// The last request that it received whole.
    pub fn last(&self) -> Request<Bytes> {
        self.received().pop().unwrap()
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        *lock(&self.0.attempts) += 1;
        let (parts, body) = request.into_parts();
        let script = Arc::clone(&lock(&self.0.script));
        let act = script(&parts);
        if let Act::Unreachable(cause) = act {
            return Err(SendError::not_sent(cause));
        }
        let broken = SendError::maybe_sent(Cause::ConnectionReadTimeout);
        let body = body.bytes().await.map_err(|_| broken)?;
        lock(&self.0.received).push(Request::from_parts(parts, body));
        let mut response = match act {
            Act::Answer(response) => response,
            Act::Gated(gate, response) => {
                gate.pass().await;
                response
            }
            Act::Silence => std::future::pending().await,
            Act::Fail(cause) | Act::Unreachable(cause) => {
                return Err(SendError::maybe_sent(cause));
            }
        };
        let name = http::HeaderValue::from_static(self.0.name);
        response.headers_mut().insert(BY, name);
        Ok(response)
    }
}

impl Gate {
    /// A closed one.
    pub fn closed() -> Self {
        Self {
            arrived: Arc::new(Semaphore::new(0)),
            passages: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until so many more stand before it.
    pub async fn arrivals(&self, count: u32) {
        self.arrived.acquire_many(count).await.unwrap().forget();
    }

    /// Lets so many through.
    pub fn open(&self, passages: usize) {
        self.passages.add_permits(passages);
    }

    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.passages.acquire().await.unwrap().forget();
    }
}

/// Says which backend a response is from.
const BY: &str = "x-by";

/// The name of the backend that a response is from.
///
/// # Panics
/// It is from none.
pub fn by<B>(response: &Response<B>) -> &str {
    response.headers().get(BY).unwrap().to_str().unwrap()
}

/// A 200.
pub fn ok() -> Act {
    status(200)
}

/// A response with this status.
pub fn status(status: u16) -> Act {
    answer(status, &[], "")
}

/// A response.
pub fn answer(status: u16, fields: &[(&str, &str)], body: &'static str) -> Act {
    Act::Answer(response(status, fields, body))
}

/// A response for [`Act::Gated`] and the like.
pub fn response(status: u16, fields: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// All of a response.
///
/// # Errors
/// What its body broke off with.
pub async fn whole(response: Response<Body>) -> Result<Whole, edgelb_host::BodyError> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// A GET by the usual client.
pub fn get(target: &str) -> Request<Body> {
    ask("GET", target, &[], "")
}

/// A request by the usual client.
pub fn ask(
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    from(CLIENT, method, target, fields, body)
}

/// A request by any client.
pub fn from(
    client: IpAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .extension(Peer(client));
    if !fields.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", HOST);
    }
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let body = body.into();
    match body.size_hint().exact() {
        // As a server would have seen it framed.
        Some(length) if length > 0 => request = request.header("content-length", length),
        Some(_) | None => {}
    }
    request.body(body).unwrap()
}

/// The values of a field, in order.
pub fn values<'a>(headers: &'a http::HeaderMap, name: &str) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
