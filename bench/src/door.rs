//! The policy component, called as the host calls it: each call lowered into
//! the instance and its answer lifted out of it.

use anyhow::{Context as _, bail};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use bindings::{
    Arrival, BodySize, IpAddress, Outcome, Policy, RequestHead, ResponseHead, Scheme, Step, Turn,
};

mod bindings {
    //! What `worker-wasm/wit` says, as Rust.
    wasmtime::component::bindgen!({
        path: "../worker-wasm/wit",
        world: "policy",
        ownership: Borrowing { duplicate_if_necessary: true },
    });

    pub(crate) use exports::edgelb::balancer::exchange::*;
}

/// When everything happens: milliseconds since the Unix epoch.
pub const NOW: u64 = 1_700_000_000_000;

/// The head of a browser's request, as the door takes it.
pub const REQUEST: &str = ":method:GET\n:authority:lb.example\n:path:/stream/movie/tt0111161.json\n\
    host:lb.example\nuser-agent:Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\n\
    accept:text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\n\
    accept-language:en-GB,en;q=0.5\naccept-encoding:gzip, deflate, br\nconnection:keep-alive\n";

/// The fields of the response to it.
pub const RESPONSE: &str = "server:nginx/1.22.1\ndate:Sun, 22 Nov 2026 11:40:19 GMT\n\
    content-type:text/plain\ncontent-length:4\nconnection:keep-alive\n";

/// An id that no exchange has.
const NOBODYS: u64 = 0;

/// What the component reads its configuration from.
pub type Environment = Vec<(String, String)>;

/// So many backends, and sessions that every instance knows.
#[must_use]
pub fn environment(backends: usize) -> Environment {
    let backends = (1..=backends).map(|number| {
        let name = format!("BACKEND_{number}");
        (name, format!("http://backend-{number}.example"))
    });
    let secret = ("SESSION_COOKIE_SECRET", "0123456789abcdef0123");
    let secret = (secret.0.to_owned(), secret.1.to_owned());
    backends.chain([secret]).collect()
}

/// Whether what the guest does is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metered {
    /// It can be ended, as where it serves.
    No,
    /// In fuel.
    Yes,
}

/// A running instance.
pub struct Door {
    store: Store<Environment>,
    policy: Policy,
    /// The exchange that ended last without a `settle`.
    over: u64,
}

impl Door {
    /// Compiles the component, and starts it with this environment.
    ///
    /// # Errors
    /// It is no policy component.
    pub fn open(
        component: &[u8],
        environment: Environment,
        metered: Metered,
    ) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false);
        config.wasm_component_model_async(false);
        config.epoch_interruption(metered == Metered::No);
        config.consume_fuel(metered == Metered::Yes);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, component)?;
        let mut linker = Linker::<Environment>::new(&engine);
        linker
            .instance("wasi:cli/environment@0.2.6")?
            .func_wrap("get-environment", |store, ()| Ok((store.data().clone(),)))?;
        linker.define_unknown_imports_as_traps(&component)?;
        let mut store = Store::new(&engine, environment);
        match metered {
            Metered::Yes => store.set_fuel(u64::MAX)?,
            Metered::No => store.set_epoch_deadline(1),
        }
        let policy = Policy::instantiate(&mut store, &component, &linker)?;
        Ok(Self {
            store,
            policy,
            over: NOBODYS,
        })
    }

    /// The request of a client that has been here before: it carries its session.
    ///
    /// # Errors
    /// A trap.
    pub fn request_with_session(&mut self) -> anyhow::Result<String> {
        let edits = self.pair(REQUEST.as_bytes())?;
        let edits = String::from_utf8_lossy(&edits);
        let session = edits
            .split_once("set-cookie:")
            .and_then(|(_, cookie)| cookie.split(';').next())
            .context("no session is set")?;
        Ok(format!("{REQUEST}cookie:a=1; {session}; b=2\n"))
    }

    /// All that a request with an ordinary response takes: a `begin`, and a
    /// `settle` where the response's edits were not said before.
    ///
    /// # Errors
    /// A trap.
    #[inline(never)]
    pub fn decide(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let begun = self.begin(request)?;
        match begun.turn {
            Turn::Send(attempt) if attempt.ordinary.is_some() => self.over = begun.exchange,
            Turn::Send(_) => drop(self.settle(begun.exchange)?),
            turn @ (Turn::Forward(_) | Turn::Reply(_)) => bail!("sent, not {turn:?}"),
        }
        Ok(())
    }

    /// A `begin` and a `settle`; answers the edits to the response.
    ///
    /// # Errors
    /// A trap.
    pub fn pair(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        let begun = self.begin(request)?;
        match self.settle(begun.exchange)? {
            Turn::Forward(forward) => Ok(forward.edits),
            turn @ (Turn::Send(_) | Turn::Reply(_)) => bail!("forwarded, not {turn:?}"),
        }
    }

    /// A `settle` of an exchange that nobody knows: it crosses as others do, and
    /// decides nothing.
    ///
    /// # Errors
    /// A trap.
    pub fn cross(&mut self) -> anyhow::Result<()> {
        self.settle(NOBODYS).map(drop)
    }

    #[inline(never)]
    fn begin(&mut self, request: &[u8]) -> anyhow::Result<Step> {
        let head = RequestHead {
            scheme: Scheme::Http,
            peer: Some(IpAddress::Ipv4(0x7f00_0001)),
            body: BodySize::None,
            fields: request,
        };
        let over = std::mem::replace(&mut self.over, NOBODYS);
        let guest = self.policy.edgelb_balancer_exchange();
        Ok(guest.call_begin(&mut self.store, head, NOW, 7, over)?)
    }

    fn settle(&mut self, exchange: u64) -> anyhow::Result<Turn> {
        let head = ResponseHead {
            status: 200,
            body: BodySize::Known(4),
            fields: RESPONSE.as_bytes(),
        };
        let outcome = Outcome::Head(Arrival {
            head,
            replayable: true,
        });
        let guest = self.policy.edgelb_balancer_exchange();
        let step = guest.call_settle(&mut self.store, exchange, outcome, NOW)?;
        Ok(step.turn)
    }

    /// The fuel that is left; none is used where nothing is metered.
    pub fn fuel(&self) -> u64 {
        self.store.get_fuel().unwrap_or_default()
    }
}
