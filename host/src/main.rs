//! `edgelb`: the command line over `edgelb_host`.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes some sixty small allocations; libc's cost it a tenth more
/// (docs/performance.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
