//! Runtimes whose time passes only when nobody has anything to do.

use std::future::Future;

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::time::Instant;

use super::run::SimulationError;

/// Runs on a paused tokio runtime, on a thread of its own: one that runs a
/// runtime already cannot run another.
pub(super) fn in_virtual_time<T: Send, F: Future<Output = T>>(
    start: impl FnOnce() -> F + Send,
) -> Result<T, SimulationError> {
    let run = || -> Result<T, SimulationError> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(SimulationError::Runtime)?;
        Ok(runtime.block_on(async { start().await }))
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(run);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether this thread's runtime is one in which time passes only when nobody
/// has anything to do.
pub(super) fn is_virtual() -> bool {
    let flavor = Handle::current().runtime_flavor();
    let before = (Instant::now(), std::time::Instant::now());
    while before.1.elapsed().is_zero() {
        std::hint::spin_loop();
    }
    flavor == RuntimeFlavor::CurrentThread && before.0 == Instant::now()
}
