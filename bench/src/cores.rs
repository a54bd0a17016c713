//! Who runs where.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Processor cores, split: the proxy under test has its own, so that neither
/// the load nor the backends take time from it.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    /// Those of the proxy; the last ones.
    proxy: CpuSet,
    /// Those of the load and the backends; the others.
    rest: CpuSet,
    /// Whether they differ.
    pub(crate) split: bool,
}

impl Cores {
    /// All that this thread may run on, for everybody. To be asked before
    /// anybody [enters](Self::enter).
    pub(crate) fn shared() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        Ok(Self {
            proxy: all,
            rest: all,
            split: false,
        })
    }

    /// Gives the proxy a core a thread of those that are shared, if that leaves
    /// one for the rest.
    pub(crate) fn split(self, threads: usize) -> Self {
        let all = self.proxy;
        let numbers: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&it| all.is_set(it)).collect();
        if numbers.len() <= threads {
            return self;
        }
        let (mut proxy, mut rest) = (CpuSet::new(), CpuSet::new());
        for (index, &number) in numbers.iter().enumerate() {
            if index < numbers.len() - threads {
                rest.set(number);
            } else {
                proxy.set(number);
            }
        }
        Self {
            proxy,
            rest,
            split: true,
        }
    }

    /// Confines this thread, and what it starts, to the cores of the rest.
    pub(crate) fn enter(&self) -> io::Result<()> {
        sched_setaffinity(None, &self.rest).map_err(Into::into)
    }

    /// Starts something on the cores of the proxy: children inherit where they run.
    pub(crate) fn on_proxy<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        sched_setaffinity(None, &self.proxy)?;
        let started = start();
        self.enter()?;
        started
    }
}
