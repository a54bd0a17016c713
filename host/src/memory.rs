//! How much memory a guest may take.

use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

use crate::metering::{Exceeded, Grant};

/// How much one linear memory may take, where no platform says.
const MEMORY_LIMIT: usize = 128 << 20;

/// The limit of one instance's memory.
pub(crate) struct MemoryLimit {
    usual: StoreLimits,
    /// What the platform grants: all memories of the instance together.
    granted: Option<usize>,
    taken: usize,
}

impl MemoryLimit {
    /// What the platform grants, else the usual.
    pub(crate) fn new(grant: Grant) -> Self {
        let most = grant.memory.unwrap_or(MEMORY_LIMIT);
        Self {
            usual: StoreLimitsBuilder::new().memory_size(most).build(),
            granted: grant.memory,
            taken: 0,
        }
    }
}

impl ResourceLimiter for MemoryLimit {
    /// To grow beyond the usual limit fails, as it may in any runtime; to grow
    /// beyond a platform's is the end of the instance, whatever the guest would
    /// make of it.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let taken = self.taken.saturating_add(desired - current);
        if self.granted.is_some_and(|granted| taken > granted) {
            return Err(Exceeded::Memory.into());
        }
        let grows = self.usual.memory_growing(current, desired, maximum)?;
        if grows {
            self.taken = taken;
        }
        Ok(grows)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.usual.table_growing(current, desired, maximum)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;

    #[test]
    fn memories_count_together_against_what_a_platform_grants() {
        let mut limit = MemoryLimit::new(Grant {
            memory: Some(3 << 16),
            ..Grant::default()
        });
        assert!(limit.memory_growing(0, 1 << 16, None).unwrap());
        assert!(limit.memory_growing(0, 2 << 16, None).unwrap());
        let error = limit.memory_growing(1 << 16, 2 << 16, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Exceeded::Memory));
    }

    #[test]
    fn the_usual_limit_is_one_that_a_guest_may_live_with() {
        let mut limit = MemoryLimit::new(Grant::default());
        assert!(limit.memory_growing(0, MEMORY_LIMIT, None).unwrap());
        assert!(!limit.memory_growing(0, MEMORY_LIMIT + 1, None).unwrap());
    }
}
