//! What the policy costs by its door, for the request of a client with a session and
//! an ordinary response to it: each call lowered into the instance and lifted out of
//! it, whatever carries the request out left aside.
//!
//! ```console
//! $ cargo build --release -p edgelb-bench --example decision
//! $ target/release/examples/decision target/components/balancer.wasm 100000
//! $ valgrind --tool=callgrind --toggle-collect='*::decide' \
//!       target/release/examples/decision target/components/balancer.wasm 1000
//! ```
//!
//! It says the time of one; valgrind the instructions of all, which do not depend
//! on what else the machine does. `pair` in place of `decide` settles the exchange, too.
//! With `fuel` behind COUNT it says what the policy's own code takes, in units of
//! wasmtime's fuel, about one a WebAssembly instruction.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::time::Instant;
use std::{env, fs};

use anyhow::{Context as _, bail};
use edgelb_bench::door::{Door, Metered, environment};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().collect();
    let (file, count, metered) = match &arguments[..] {
        [_, file, count] => (file, count, Metered::No),
        [_, file, count, fuel] if fuel == "fuel" => (file, count, Metered::Yes),
        _ => bail!("usage: decision COMPONENT COUNT [fuel]"),
    };
    let count: u32 = count.parse().context("COUNT is no number")?;
    let component = fs::read(file).with_context(|| format!("cannot read `{file}`"))?;
    let mut door = Door::open(&component, environment(2), metered)?;
    let request = door.request_with_session()?;
    // The session proves genuine once.
    door.decide(request.as_bytes())?;

    let full = door.fuel();
    let begun = Instant::now();
    for _ in 0..count {
        door.decide(request.as_bytes())?;
    }
    match metered {
        Metered::No => println!("{:?} each", begun.elapsed() / count.max(1)),
        Metered::Yes => {
            let taken = (full - door.fuel()) / u64::from(count.max(1));
            println!("{taken} units of fuel each");
        }
    }
    Ok(())
}
