//! A compiled component, ready to be instantiated.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};

use super::charge;
use super::fields::{PEER_FIELD, PEER_VARIABLE};
use super::guest::{Guest, World};
use super::outgoing;
use crate::compiled::{Compiled, Compiler, Embedded};
use crate::error::ComponentError;
use crate::metering::{Exceeded, Grant, Meter};
use crate::ticker::Ticker;

/// The export that makes a component a handler of requests.
const EXPORT: &str = "wasi:http/handler@0.3";

/// How much processor time the guest may take before it gives its thread back.
/// Any component may be run, so it is generous; but as long as it runs, the
/// others on its thread wait.
const CPU_BUDGET: Duration = Duration::from_millis(50);

static EMBEDDED: Embedded = Embedded::new(edgelb_artifacts::EDGELB);

/// A compiled component and the environment its instances see.
pub(crate) struct Blueprint {
    engine: Engine,
    pre: ServicePre<Guest>,
    environment: Vec<(String, String)>,
    grant: Grant,
    ticker: Option<Arc<Ticker>>,
}

/// A running instance.
pub(super) struct Instance {
    pub(super) store: Store<Guest>,
    pub(super) service: Service,
    pub(super) meter: Meter,
}

impl Instance {
    /// A trap ended it: answers what that was. If somebody took too much, that is
    /// the request for which the guest was at work.
    pub(super) fn lose(self, trap: wasmtime::Error) -> wasmtime::Error {
        let trap = self.meter.explain(trap);
        let guest = self.store.data();
        guest.fate.lose();
        if let Some(exceeded) = trap.downcast_ref::<Exceeded>()
            && let Some(account) = guest.charges.last()
        {
            account.exceed(*exceeded);
        }
        trap
    }
}

impl Blueprint {
    /// Compiles the component.
    ///
    /// # Errors
    /// It is no component, does not export [`EXPORT`], or imports what is not
    /// provided: WASI 0.2 and 0.3, and `wasi:http` 0.3.
    pub(crate) fn new(
        bytes: &[u8],
        mut environment: Vec<(String, String)>,
        compiler: &Compiler,
    ) -> Result<Self, ComponentError> {
        let metering = compiler.metering;
        let mut config = wasmtime::Config::new();
        config.wasm_component_model_async(true);
        let Compiled {
            engine,
            component,
            ticker,
        } = EMBEDDED.or_compile(config, compiler, bytes)?;
        // First of all: a component of another kind may import what only its kind does.
        check_export(&component)?;
        let pre = linker(&engine)
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(ComponentError::Link)?;
        let pre = ServicePre::new(pre).map_err(|error| ComponentError::Export {
            export: EXPORT,
            error,
        })?;
        environment.retain(|(name, _)| name != PEER_VARIABLE);
        environment.push((PEER_VARIABLE.to_owned(), PEER_FIELD.as_str().to_owned()));
        Ok(Self {
            engine,
            pre,
            environment,
            grant: metering.grant(),
            ticker,
        })
    }

    /// A new instance in this world.
    pub(super) async fn instantiate(&self, world: &Arc<World>) -> wasmtime::Result<Instance> {
        let guest = world.guest(&self.environment, self.grant);
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.memory);
        let mut meter = Meter::attach(&mut store, self.ticker.as_ref(), CPU_BUDGET)?;
        if let Meter::Epochs(meter) = &meter {
            meter.turn();
        }
        // What a platform grants, it grants requests; to start is none.
        let started = self.pre.instantiate_async(&mut store).await;
        let service = started.map_err(|trap| meter.explain(trap))?;
        meter.allow(CPU_BUDGET, self.grant);
        if let Meter::Fuel(meter) = &meter {
            charge::attach(&mut store, meter.granted);
        }
        Ok(Instance {
            store,
            service,
            meter,
        })
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    // Rust's std is on WASI 0.2 still.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    outgoing::add_to_linker(&mut linker)?;
    Ok(linker)
}

fn check_export(component: &Component) -> Result<(), ComponentError> {
    let ty = component.component_type();
    let exports: Vec<_> = ty
        .exports(component.engine())
        .map(|(name, _)| name)
        .collect();
    if exports.iter().any(|name| name.starts_with(EXPORT)) {
        return Ok(());
    }
    let error = match &*exports {
        [] => wasmtime::Error::msg("it exports nothing"),
        exports => wasmtime::Error::msg(format!("it exports `{}`", exports.join("`, `"))),
    };
    Err(ComponentError::Export {
        export: EXPORT,
        error,
    })
}
