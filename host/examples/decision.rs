//! What the policy costs by its door: a `begin` and a `settle` of an ordinary
//! request, lowered into the instance and lifted out of it, whatever carries the
//! request out left aside.
//!
//! ```console
//! $ cargo build --release -p edgelb-host --example decision
//! $ target/release/examples/decision target/components/balancer.wasm 100000
//! $ valgrind --tool=callgrind --toggle-collect='*::pair' \
//!       target/release/examples/decision target/components/balancer.wasm 1000
//! ```
//!
//! It says the time of one; valgrind the instructions of all, which do not depend
//! on what else the machine does. `begin` in place of `pair` counts that half alone.
//! With `fuel` behind COUNT it says what the policy's own code takes, in units of
//! wasmtime's fuel, about one a WebAssembly instruction.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::env;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use bindings::{
    Arrival, BodySize, Guest, IpAddress, Outcome, Policy, RequestHead, ResponseHead, Scheme, Step,
    Turn,
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

const NOW: u64 = 1_700_000_000_000;

const REQUEST: &str = ":method:GET\n:authority:lb.example\n:path:/stream/movie/tt0111161.json\n\
    host:lb.example\nuser-agent:Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\n\
    accept:text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\n\
    accept-language:en-GB,en;q=0.5\naccept-encoding:gzip, deflate, br\nconnection:keep-alive\n";

const RESPONSE: &str = "server:nginx/1.22.1\ndate:Sun, 22 Nov 2026 11:40:19 GMT\n\
    content-type:text/plain\ncontent-length:4\nconnection:keep-alive\n";

/// What the component reads its configuration from.
type Environment = Vec<(String, String)>;

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().collect();
    let (file, count, metered) = match &arguments[..] {
        [_, file, count] => (file, count, false),
        [_, file, count, fuel] if fuel == "fuel" => (file, count, true),
        _ => bail!("usage: decision COMPONENT COUNT [fuel]"),
    };
    let count: u32 = count.parse().context("COUNT is no number")?;

    let mut config = Config::new();
    config.concurrency_support(false);
    config.wasm_component_model_async(false);
    config.epoch_interruption(!metered);
    config.consume_fuel(metered);
    let engine = Engine::new(&config)?;
    let component = Component::from_file(&engine, file)?;
    let mut linker = Linker::<Environment>::new(&engine);
    linker
        .instance("wasi:cli/environment@0.2.6")?
        .func_wrap("get-environment", |store, ()| Ok((store.data().clone(),)))?;
    linker.define_unknown_imports_as_traps(&component)?;
    let environment = [
        ("BACKEND_A", "http://127.0.0.1:9101"),
        ("BACKEND_B", "http://127.0.0.1:9102"),
        ("SESSION_COOKIE_SECRET", "0123456789abcdef0123"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut store = Store::new(&engine, environment.to_vec());
    if metered {
        store.set_fuel(u64::MAX)?;
    } else {
        store.set_epoch_deadline(1);
    }
    let policy = Policy::instantiate(&mut store, &component, &linker)?;
    let guest = policy.edgelb_balancer_exchange();

    // The first has no session, and gets one.
    let edits = pair(guest, &mut store, REQUEST.as_bytes())?;
    let edits = String::from_utf8_lossy(&edits);
    let session = edits
        .split_once("set-cookie:")
        .and_then(|(_, cookie)| cookie.split(';').next())
        .context("no session is set")?;
    let request = format!("{REQUEST}cookie:a=1; {session}; b=2\n");
    pair(guest, &mut store, request.as_bytes())?;

    let full = if metered { store.get_fuel()? } else { 0 };
    let begun = Instant::now();
    for _ in 0..count {
        pair(guest, &mut store, request.as_bytes())?;
    }
    if metered {
        let taken = full - store.get_fuel()?;
        println!("{} units of fuel each", taken / u64::from(count.max(1)));
    } else {
        println!("{:?} each", begun.elapsed() / count.max(1));
    }
    Ok(())
}

/// Answers the edits to the response.
#[inline(never)]
fn pair(guest: &Guest, store: &mut Store<Environment>, request: &[u8]) -> Result<Vec<u8>> {
    let begun = begin(guest, store, request)?;
    let head = ResponseHead {
        status: 200,
        body: BodySize::Known(4),
        fields: RESPONSE.as_bytes(),
    };
    let outcome = Outcome::Head(Arrival {
        head,
        replayable: true,
    });
    match guest.call_settle(store, begun.exchange, outcome, NOW)?.turn {
        Turn::Forward(forward) => Ok(forward.edits),
        turn @ (Turn::Send(_) | Turn::Reply(_)) => bail!("forwarded, not {turn:?}"),
    }
}

#[inline(never)]
fn begin(guest: &Guest, store: &mut Store<Environment>, request: &[u8]) -> Result<Step> {
    let head = RequestHead {
        scheme: Scheme::Http,
        peer: Some(IpAddress::Ipv4(0x7f00_0001)),
        body: BodySize::None,
        fields: request,
    };
    Ok(guest.call_begin(store, head, NOW, 7)?)
}
