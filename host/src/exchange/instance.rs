//! One running instance of the policy component.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::bindings::{EffectiveConfiguration, Guest, Policy, PolicyPre};
use crate::compiled::{Compiled, Compiler, Embedded};
use crate::error::ComponentError;
use crate::memory::MemoryLimit;
use crate::metering::{Grant, Meter, Spent};
use crate::ticker::Ticker;

/// The export that makes a component a policy.
const EXPORT: &str = "edgelb:balancer/exchange@0.1.0";
/// How much processor time one call may take. The decision takes microseconds;
/// a call that takes this long will not end, and blocks its thread.
const CPU_BUDGET: Duration = Duration::from_millis(10);
/// The same before there is traffic to block, where slow machines take their time.
const START_BUDGET: Duration = Duration::from_secs(2);

static EMBEDDED: Embedded = Embedded::new(edgelb_artifacts::BALANCER);

/// A compiled policy component and the environment its instances see.
pub(crate) struct Blueprint {
    engine: Engine,
    pre: PolicyPre<Host>,
    environment: Arc<Vec<(String, String)>>,
    grant: Grant,
    ticker: Option<Arc<Ticker>>,
}

/// What an instance's host functions see.
pub(crate) struct Host {
    environment: Arc<Vec<(String, String)>>,
    memory: MemoryLimit,
}

impl Blueprint {
    /// Compiles the component.
    pub(crate) fn new(
        bytes: &[u8],
        environment: Vec<(String, String)>,
        compiler: &Compiler,
    ) -> Result<Self, ComponentError> {
        let metering = compiler.metering;
        let mut config = wasmtime::Config::new();
        // Nothing in this component suspends, and without the machinery for it a call costs half.
        config.concurrency_support(false);
        config.wasm_component_model_async(false);
        let Compiled {
            engine,
            component,
            ticker,
        } = EMBEDDED
            .or_compile(config, compiler, bytes)
            .map_err(|error| of_another_kind(bytes).unwrap_or(error))?;
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
            export: EXPORT,
            error,
        })?;
        Ok(Self {
            engine,
            pre,
            grant: metering.grant(),
            ticker,
            environment: Arc::new(environment),
        })
    }

    /// What the component makes of the environment: its effective configuration,
    /// or all its errors.
    pub(crate) fn configuration(
        &self,
    ) -> wasmtime::Result<Result<EffectiveConfiguration, Vec<String>>> {
        Ok(self.start()?.1)
    }

    /// A new instance, knowing nothing but its environment.
    pub(super) fn instantiate(&self) -> wasmtime::Result<Instance> {
        Ok(self.start()?.0)
    }

    /// A large environment takes a while to read: not within a request's budget.
    fn start(&self) -> wasmtime::Result<(Instance, Result<EffectiveConfiguration, Vec<String>>)> {
        let host = Host {
            environment: Arc::clone(&self.environment),
            memory: MemoryLimit::new(self.grant),
        };
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.memory);
        let meter = Meter::attach(&mut store, self.ticker.as_ref(), START_BUDGET)?;
        let policy = self.pre.instantiate(&mut store)?;
        let mut instance = Instance {
            store,
            policy,
            meter,
        };
        let configuration = instance.call(&Spent::default(), |guest, store| {
            guest.call_configuration(store)
        })?;
        instance.meter.allow(CPU_BUDGET, self.grant);
        Ok((instance, configuration))
    }
}

/// A running instance.
pub(crate) struct Instance {
    store: Store<Host>,
    policy: Policy,
    meter: Meter,
}

impl Instance {
    /// Makes one call, for a request that has spent so much. An error is a
    /// trap: the instance is not to be used again.
    pub(crate) fn call<T>(
        &mut self,
        spent: &Spent,
        call: impl FnOnce(&Guest, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let guest = self.policy.edgelb_balancer_exchange();
        (self.meter).turn(&mut self.store, spent, |store| call(guest, store))
    }
}

/// What speaks `wasi:http` does not even parse where nothing suspends; that it
/// is a component all the same, but not a policy, is what there is to say.
fn of_another_kind(bytes: &[u8]) -> Option<ComponentError> {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).ok()?;
    let component = Component::new(&engine, bytes).ok()?;
    let ty = component.component_type();
    let names: Vec<_> = ty.exports(&engine).map(|(name, _)| name).collect();
    Some(ComponentError::Export {
        export: EXPORT,
        error: wasmtime::Error::msg(format!("it exports `{}`", names.join("`, `"))),
    })
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
