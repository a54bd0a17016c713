//! The component that ships, in the embedded host: no sockets, virtual time.
//!
//! What holds by either door is tested by both: `both_doors!` makes two tests
//! of each function it is given.
#![expect(clippy::unwrap_used, reason = "tests")]

mod admission;
mod affinity;
mod configuration;
mod faults;
mod forwarding;
mod handlers;
mod health;
mod isolates;
mod ordinary;
mod parity;
mod purity;
mod retry;
mod reuse;
mod session;

/// Declares `async fn(Door)` as tests, one for each door, in virtual time.
macro_rules! both_doors {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use edgelb_host::Door;

            #[tokio::test(start_paused = true)]
            async fn exchange() {
                super::$test(Door::Exchange).await;
            }

            #[tokio::test(start_paused = true)]
            async fn wasi_http() {
                super::$test(Door::WasiHttp).await;
            }
        }
    )+};
}
pub(crate) use both_doors;
