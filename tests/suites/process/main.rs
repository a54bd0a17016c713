//! The real process on real sockets.
//!
//! What holds by either door is tested by both: `both_doors!` makes two tests
//! of each function it is given.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access_log;
mod bad_requests;
mod cache;
mod clients;
mod command_line;
mod demo;
mod failures;
mod keep_alive;
mod load;
mod messages;
mod recording;
mod reports;
mod reuse;
mod shutdown;
mod sim;
mod stage;
mod startup;
mod terminator;
mod tls;
mod transfers;
mod uploads;
mod websocket;

/// Declares `async fn(Door)` as tests, one for each door.
macro_rules! both_doors {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use crate::stage::Door;

            #[tokio::test]
            async fn exchange() {
                super::$test(Door::Exchange).await;
            }

            #[tokio::test]
            async fn wasi_http() {
                super::$test(Door::WasiHttp).await;
            }
        }
    )+};
}
pub(crate) use both_doors;
