//! A component, compiled for an engine of its own.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use crate::cache::Cache;
use crate::error::ComponentError;
use crate::metering::Metering;
use crate::ticker::Ticker;

/// How components become machine code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiler {
    /// By what their processor time is measured, which is compiled in.
    pub(crate) metering: Metering,
    /// Where machine code is kept for the next start, if anywhere.
    pub(crate) cache: Option<Cache>,
}

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

impl Compiler {
    /// Compiles, or takes what was compiled before.
    ///
    /// # Errors
    /// There is no engine on this machine, or the bytes are no component.
    fn compile(&self, mut config: Config, bytes: &[u8]) -> Result<Compiled, ComponentError> {
        if !bytes.starts_with(b"\0asm") {
            let error = wasmtime::Error::msg("it does not begin as WebAssembly does");
            return Err(ComponentError::Compile(error));
        }
        self.metering.configure(&mut config);
        let engine = Engine::new(&config).map_err(ComponentError::Engine)?;
        let cached = self.cache.as_ref().and_then(|it| it.load(&engine, bytes));
        let component = match cached {
            Some(component) => component,
            None => self.anew(&engine, bytes)?,
        };
        let ticker = match self.metering {
            Metering::Epochs => {
                let ticker = Ticker::start(&engine).map_err(ComponentError::Engine)?;
                Some(Arc::new(ticker))
            }
            Metering::Fuel(_) => None,
        };
        Ok(Compiled {
            engine,
            component,
            ticker,
        })
    }

    fn anew(&self, engine: &Engine, bytes: &[u8]) -> Result<Component, ComponentError> {
        let component = Component::new(engine, bytes).map_err(ComponentError::Compile)?;
        if let Some(cache) = &self.cache {
            // What cannot be kept is compiled again next time.
            let _ = cache.store(engine, bytes, &component);
        }
        Ok(component)
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
    /// There is no engine on this machine, or the bytes are no component.
    pub(crate) fn or_compile(
        &self,
        config: Config,
        compiler: &Compiler,
        bytes: &[u8],
    ) -> Result<Compiled, ComponentError> {
        if bytes != self.bytes {
            return compiler.compile(config, bytes);
        }
        let slot = match compiler.metering {
            Metering::Epochs => &self.by_epochs,
            Metering::Fuel(_) => &self.by_fuel,
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = &*slot {
            return Ok(compiled.clone());
        }
        let compiled = compiler.compile(config, bytes)?;
        *slot = Some(compiled.clone());
        Ok(compiled)
    }
}
