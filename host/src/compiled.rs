//! A component, compiled for an engine of its own.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use crate::error::ComponentError;
use crate::metering::Metering;
use crate::ticker::Ticker;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    pub(crate) component: Component,
    /// Of an engine that measures by epochs, which can tick as long as a clone lives.
    pub(crate) ticker: Option<Arc<Ticker>>,
}

/// Where an embedded component stays once it is compiled: tests build many
/// edges over the same one, and compiling is nearly all that takes.
pub(crate) struct Embedded {
    bytes: &'static [u8],
    by_epochs: Mutex<Option<Compiled>>,
    by_fuel: Mutex<Option<Compiled>>,
}

impl Compiled {
    /// Compiles.
    ///
    /// # Errors
    /// There is no engine on this machine, or the bytes are no component.
    pub(crate) fn new(
        mut config: Config,
        metering: Metering,
        bytes: &[u8],
    ) -> Result<Self, ComponentError> {
        if !bytes.starts_with(b"\0asm") {
            let error = wasmtime::Error::msg("it does not begin as WebAssembly does");
            return Err(ComponentError::Compile(error));
        }
        metering.configure(&mut config);
        let engine = Engine::new(&config).map_err(ComponentError::Engine)?;
        let component = Component::new(&engine, bytes).map_err(ComponentError::Compile)?;
        let ticker = match metering {
            Metering::Epochs => {
                let ticker = Ticker::start(&engine).map_err(ComponentError::Engine)?;
                Some(Arc::new(ticker))
            }
            Metering::Fuel(_) => None,
        };
        Ok(Self {
            engine,
            component,
            ticker,
        })
    }
}

impl Embedded {
    /// Not compiled yet.
    pub(crate) const fn new(bytes: &'static [u8]) -> Self {
        Self {
            bytes,
            by_epochs: Mutex::new(None),
            by_fuel: Mutex::new(None),
        }
    }

    /// Compiles these bytes, unless they are the embedded ones and were
    /// compiled before. The configuration must always be the same; how it is
    /// measured, and so the engine, may differ.
    ///
    /// # Errors
    /// Those of [`Compiled::new`].
    pub(crate) fn or_compile(
        &self,
        config: Config,
        metering: Metering,
        bytes: &[u8],
    ) -> Result<Compiled, ComponentError> {
        if bytes != self.bytes {
            return Compiled::new(config, metering, bytes);
        }
        let slot = match metering {
            Metering::Epochs => &self.by_epochs,
            Metering::Fuel(_) => &self.by_fuel,
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = &*slot {
            return Ok(compiled.clone());
        }
        let compiled = Compiled::new(config, metering, bytes)?;
        *slot = Some(compiled.clone());
        Ok(compiled)
    }
}
