//! One running instance of the policy component.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use super::bindings::{Guest, Policy, PolicyPre};
use super::ticker::Ticker;
use crate::error::ComponentError;

/// How much processor time one call may take. The decision takes microseconds;
/// a call that takes this long will not end, and blocks its thread.
const CPU_BUDGET: Duration = Duration::from_millis(10);
/// How much memory one instance may take.
const MEMORY_LIMIT: usize = 128 << 20;

/// A compiled policy component and the environment its instances see.
pub(crate) struct Blueprint {
    engine: Engine,
    pre: PolicyPre<Host>,
    environment: Arc<Vec<(String, String)>>,
    ticker: Arc<Ticker>,
}

/// What an instance's host functions see.
pub(crate) struct Host {
    environment: Arc<Vec<(String, String)>>,
    limits: StoreLimits,
    /// Processor time of this thread when the call in progress was first found running.
    first_seen: Option<Duration>,
}

impl Blueprint {
    /// Compiles the component.
    pub(crate) fn new(
        bytes: &[u8],
        environment: Vec<(String, String)>,
    ) -> Result<Self, ComponentError> {
        let mut config = wasmtime::Config::new();
        // Nothing in this component suspends, and without the machinery for it a call costs half.
        config.concurrency_support(false);
        config.wasm_component_model_async(false);
        config.epoch_interruption(true);
        let engine = Engine::new(&config).map_err(ComponentError::Engine)?;
        let component = Component::new(&engine, bytes).map_err(ComponentError::Compile)?;
        let mut linker = Linker::new(&engine);
        add_environment(&mut linker).map_err(ComponentError::Link)?;
        // The rest is what std links but a decision never calls: to call it is a trap.
        linker
            .define_unknown_imports_as_traps(&component)
            .map_err(ComponentError::Link)?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(ComponentError::Link)?;
        let pre = PolicyPre::new(pre).map_err(|error| ComponentError::Export {
            export: "edgelb:balancer/exchange@0.1.0",
            error,
        })?;
        Ok(Self {
            ticker: Arc::new(Ticker::start(&engine).map_err(ComponentError::Engine)?),
            engine,
            pre,
            environment: Arc::new(environment),
        })
    }

    /// A new instance, knowing nothing.
    pub(crate) fn instantiate(&self) -> wasmtime::Result<Instance> {
        let host = Host {
            environment: Arc::clone(&self.environment),
            limits: StoreLimitsBuilder::new().memory_size(MEMORY_LIMIT).build(),
            first_seen: None,
        };
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limits);
        let ticker = Arc::clone(&self.ticker);
        store.epoch_deadline_callback(move |mut context| {
            ticker.wake();
            let now = thread_time();
            let first_seen = *context.data_mut().first_seen.get_or_insert(now);
            if now.saturating_sub(first_seen) < CPU_BUDGET {
                // The thread may have been waiting for a processor, not the guest spinning.
                Ok(UpdateDeadline::Continue(1))
            } else {
                Err(wasmtime::Error::msg("the call exceeded its processor time"))
            }
        });
        store.set_epoch_deadline(2);
        let policy = self.pre.instantiate(&mut store)?;
        Ok(Instance {
            store,
            policy,
            ticker: Arc::clone(&self.ticker),
        })
    }
}

/// A running instance.
pub(crate) struct Instance {
    store: Store<Host>,
    policy: Policy,
    ticker: Arc<Ticker>,
}

impl Instance {
    /// Makes one call. An error is a trap: the instance is not to be used again.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&Guest, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        self.ticker.wake();
        self.store.data_mut().first_seen = None;
        self.store.set_epoch_deadline(2);
        call(self.policy.edgelb_balancer_exchange(), &mut self.store)
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}

/// `wasi:cli/environment`, the one import a decision uses.
fn add_environment(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("wasi:cli/environment@0.2.6")?;
    instance.func_wrap("get-environment", |store, ()| {
        Ok((store.data().environment.to_vec(),))
    })?;
    instance.func_wrap("get-arguments", |_, ()| Ok((Vec::<String>::new(),)))?;
    instance.func_wrap("initial-cwd", |_, ()| Ok((None::<String>,)))
}
