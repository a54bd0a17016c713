//! How many connections a process can have.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but connections: event loops, logs, files read
/// by libraries.
const OTHERS: u64 = 64;

/// Raises the number of descriptors that this process may have open to the most
/// that it is allowed. A process that does without is only served less.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// As many clients as there are descriptors for, each with a backend.
pub(super) fn connections() -> NonZeroUsize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let pairs = usize::try_from(descriptors.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX);
    NonZeroUsize::new(pairs).unwrap_or(NonZeroUsize::MIN)
}
