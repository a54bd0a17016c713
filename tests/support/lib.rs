//! What the suites stand on: backends that misbehave to order, a client that
//! sees every byte, and the real processes around them.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up is to fail"
)]

pub mod backend;
pub mod client;
pub mod nginx;
pub mod noise;
pub mod port;
pub mod process;
pub mod scene;
pub mod script;
pub mod tls;
pub mod websocket;
pub mod wire;

use std::time::Duration;

/// `tests/guests/faulty`: the policy, which traps and spins on request.
pub const FAULTY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/faulty.wasm"));

/// `tests/guests/handler`: no balancer, but a `wasi:http/handler` that traps and
/// spins on request.
pub const HANDLER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/handler.wasm"));

/// `tests/guests/pure`: the whole core, on its own.
pub const PURE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pure.wasm"));

/// How long anything may take that is expected to happen. Generous: machines
/// that run tests are busy.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for what is expected to happen.
///
/// # Panics
/// It did not, within [`PATIENCE`].
pub async fn within<F: Future>(expected: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {} s: {expected}", PATIENCE.as_secs()),
    }
}

/// Waits until what is expected shows, for what can only be asked again and again.
///
/// # Panics
/// It did not, within [`PATIENCE`].
pub async fn until(expected: &str, mut shows: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !shows().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(expected, asking).await;
}
