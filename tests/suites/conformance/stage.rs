//! A balancer on some runtime, over three scripted backends.

use std::net::{Ipv4Addr, SocketAddr};

use edgelb_tests::backend::{Backend, Received};
use edgelb_tests::client::{Client, HOST, Response};
use edgelb_tests::script::Reply;
use edgelb_tests::within;

use crate::runtime::{Balancer, Clients, Environment, Runtime};

/// The scenery.
pub(crate) struct Stage {
    pub(crate) runtime: &'static Runtime,
    pub(crate) balancer: Balancer,
    pub(crate) backends: Vec<Backend>,
}

/// The names of the backends, in their order.
pub(crate) const NAMES: [&str; 3] = ["A", "B", "C"];

/// Enough choices of equals that each backend gets some. The backends' ports, and
/// so the choices, differ from run to run: that one of three gets none has odds of
/// 1 in 28 million.
pub(crate) const ENOUGH: u8 = 45;

/// Ejections that are over at once and attempts that are soon given up, so that
/// one stage does for many failures.
pub(crate) const FORGIVING: [(&str, &str); 4] = [
    ("BACKEND_DOWN_TIME", "1"),
    ("BACKEND_DOWN_TIME_MAX", "1"),
    ("CONNECT_TIMEOUT", "500"),
    ("FIRST_BYTE_TIMEOUT", "500"),
];

impl Stage {
    /// Backends that answer with their names, and a balancer with these
    /// settings over them. A setting of a backend is what follows its URL; an
    /// empty one leaves it out.
    pub(crate) async fn new(runtime: &'static Runtime, settings: &[(&str, &str)]) -> Self {
        let backends = NAMES.map(|name| Backend::start(move |_| own(name)));
        let environment = environment(&backends, settings);
        Self {
            runtime,
            balancer: runtime.start(&environment).await,
            backends: backends.into(),
        }
    }

    /// Another balancer with other settings over the same backends.
    pub(crate) async fn restart(&mut self, settings: &[(&str, &str)]) {
        let environment = environment(&self.backends, settings);
        self.balancer = self.runtime.start(&environment).await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.balancer.address
    }

    /// All backends do this from now on.
    pub(crate) fn all(&self, reply: &Reply) {
        for backend in &self.backends {
            backend.always(reply.clone());
        }
    }

    /// The backend answers with its name again.
    pub(crate) fn mend(&mut self, index: usize) {
        self.backends[index].script(move |_| own(NAMES[index]));
        self.backends[index].accept();
    }

    /// The same, and it is back.
    pub(crate) async fn heal(&mut self, home: usize) {
        self.mend(home);
        let back = async { while by(&self.get("/").await) != home {} };
        within("the backend is back", back).await;
    }

    /// Which backend requests of nobody in particular go to while all are well:
    /// they all have the same key.
    pub(crate) async fn home(&self) -> usize {
        let response = self.get("/").await;
        assert_eq!(response.status(), 200, "{response:?}");
        by(&response)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.ask("GET", target, "").await
    }

    /// A request without a body; `fields` are whole lines.
    pub(crate) async fn ask(&self, method: &str, target: &str, fields: &str) -> Response {
        self.client().await.ask(method, target, fields).await
    }

    /// A request with a body of known length.
    pub(crate) async fn send(&self, method: &str, fields: &str, body: &[u8]) -> Response {
        let mut client = self.client().await;
        let length = body.len();
        let head = format!(
            "{method} / HTTP/1.1\r\nhost: {HOST}\r\n{fields}content-length: {length}\r\n\r\n"
        );
        client.send(head).await;
        client.send(body).await;
        client.response(method).await
    }

    /// A GET by client so-and-so, told as the runtime tells it, if it does.
    pub(crate) async fn get_as(&self, number: u8, target: &str, fields: &str) -> Response {
        match self.runtime.clients {
            Clients::ByConnection | Clients::Unknown => {
                let source = Ipv4Addr::new(127, 0, 0, number);
                let mut client = Client::connect_from(source, self.address()).await;
                client.ask("GET", target, fields).await
            }
            Clients::ByField(name) => {
                let address = client_address(self.runtime, number);
                let fields = format!("{name}: {address}\r\n{fields}");
                self.ask("GET", target, &fields).await
            }
        }
    }

    /// How many requests reached backends.
    pub(crate) fn requests(&self) -> usize {
        self.backends
            .iter()
            .map(|backend| backend.seen().requests)
            .sum()
    }

    /// How many connections and requests this backend saw: a connection alone,
    /// too, is an attempt.
    pub(crate) fn attempts(&self, index: usize) -> usize {
        let seen = self.backends[index].seen();
        seen.connections.max(seen.requests)
    }

    /// The last request that reached the backend of all requests so far.
    pub(crate) fn last(&self) -> Received {
        let mut asked = self.backends.iter().filter(|it| it.seen().requests > 0);
        let backend = asked.next().expect("a backend was asked");
        assert!(asked.next().is_none(), "one backend was asked");
        backend.received().pop().unwrap()
    }

    /// What the balancer says of a backend; `token` opens the page.
    pub(crate) async fn status(&self, index: usize, token: &str) -> serde_json::Value {
        let fields = format!("authorization: Bearer {token}\r\n");
        let page = self.ask("GET", "/.well-known/edgelb/status", &fields).await;
        let mut page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        page["backends"][index].take()
    }
}

/// The address that client so-and-so has for the balancer.
pub(crate) fn client_address(runtime: &Runtime, number: u8) -> Ipv4Addr {
    match runtime.clients {
        Clients::ByConnection | Clients::Unknown => Ipv4Addr::new(127, 0, 0, number),
        Clients::ByField(_) => Ipv4Addr::new(198, 51, 100, number),
    }
}

/// The variables of a balancer over these backends.
pub(crate) fn environment(backends: &[Backend], settings: &[(&str, &str)]) -> Environment {
    let mut environment = Environment::new();
    for (name, backend) in NAMES.iter().zip(backends) {
        let variable = format!("BACKEND_{name}");
        let url = backend.url();
        let value = match settings.iter().find(|(name, _)| *name == variable) {
            Some((_, "")) => continue,
            Some((_, options)) => format!("{url}{options}"),
            None => url,
        };
        environment.push((variable, value));
    }
    for (name, value) in settings {
        if !environment.iter().any(|(other, _)| other == name) && !value.is_empty() {
            environment.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    environment
}

/// What backends say unless told otherwise. The connection is not kept, so
/// that what happens to the next request does not depend on the last.
pub(crate) fn own(name: &'static str) -> Reply {
    Reply::new(200, &[("x-by", name), ("connection", "close")], name).close()
}

/// Which backend a response is from.
pub(crate) fn by(response: &Response) -> usize {
    let name = response.head.field("x-by");
    let index = name.and_then(|name| NAMES.iter().position(|other| *other == name));
    index.unwrap_or_else(|| panic!("of no backend: {response:?}"))
}
