//! An edgelb over two backends.

use std::net::SocketAddr;

use edgelb_tests::backend::Backend;
use edgelb_tests::client::{self, Response};
use edgelb_tests::process::{Edgelb, Serving};
use edgelb_tests::script::Reply;
use edgelb_tests::within;

/// `--door`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Exchange,
    WasiHttp,
}

/// The scenery of most tests.
pub(crate) struct Stage {
    pub(crate) edgelb: Serving,
    pub(crate) backends: [Backend; 2],
}

impl Door {
    /// `edgelb serve` by this door.
    pub(crate) fn serve(self) -> Edgelb {
        Edgelb::serve().arg("--door").arg(match self {
            Self::Exchange => "exchange",
            Self::WasiHttp => "wasi-http",
        })
    }
}

impl Stage {
    /// The usual one.
    pub(crate) async fn new(door: Door) -> Self {
        Self::with(door.serve()).await
    }

    /// Backends that answer with their names, and an edgelb over them.
    pub(crate) async fn with(edgelb: Edgelb) -> Self {
        let backends = NAMES.map(|name| Backend::start(move |_| own(name)));
        let edgelb = edgelb
            .env("BACKEND_ONE", backends[0].url())
            .env("BACKEND_TWO", backends[1].url());
        Self {
            edgelb: edgelb.start().await,
            backends,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.edgelb.address
    }

    /// Both backends do this from now on.
    pub(crate) fn both(&self, reply: &Reply) {
        for backend in &self.backends {
            backend.always(reply.clone());
        }
    }

    /// Which backend requests go to while both are well. All of ours come from
    /// one address, so there is one.
    pub(crate) async fn home(&self) -> usize {
        let response = self.get("/").await;
        assert_eq!(response.status(), 200);
        by(&response)
    }

    /// The backend answers with its name again, and is back.
    pub(crate) async fn heal(&mut self, home: usize) {
        let name = NAMES[home];
        self.backends[home].script(move |_| own(name));
        self.backends[home].accept();
        let back = async {
            while by(&self.get("/").await) != home {
                tokio::task::yield_now().await;
            }
        };
        within("the backend is back", back).await;
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        client::get(self.address(), target).await
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, fields: &str) -> Response {
        client::ask(self.address(), method, target, fields).await
    }
}

const NAMES: [&str; 2] = ["one", "two"];

/// What backends say unless told otherwise. The connection is not kept, so
/// that what happens to the next request does not depend on the last.
fn own(name: &'static str) -> Reply {
    Reply::new(200, &[("x-by", name), ("connection", "close")], name).close()
}

/// Which backend a response is from.
pub(crate) fn by(response: &Response) -> usize {
    let name = response.head.field("x-by").unwrap();
    NAMES.iter().position(|other| *other == name).unwrap()
}
