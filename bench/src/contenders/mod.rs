//! Who competes, and how each is started.

mod commands;

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::load::Varying;
use crate::process::{Memory, Process, free_address};
use crate::stage::Stage;
use commands::{Start, edgelb, wasmtime};

/// A way from the clients to the backends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Contender {
    /// No proxy: what load and backends are capable of.
    Direct,
    /// nginx
    Nginx,
    /// HAProxy
    Haproxy,
    /// The plain Rust proxy.
    Native,
    /// `edgelb serve`
    Edgelb,
    /// The same, for clients none of whose requests is like the one before.
    EdgelbDecided,
    /// `edgelb serve --door wasi-http`
    EdgelbWasiHttp,
    /// `wasmtime serve`, with the component of that door.
    Wasmtime,
}

/// A contender, accepting connections.
pub(crate) struct Running {
    pub(crate) addresses: Vec<SocketAddr>,
    process: Option<Process>,
    /// `wasmtime serve` has none.
    access_log: Option<PathBuf>,
}

impl Contender {
    /// The name in tables and in `bench.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Native => "native",
            Self::Edgelb => "edgelb",
            Self::EdgelbDecided => "edgelb_decided",
            Self::EdgelbWasiHttp => "edgelb_wasi_http",
            Self::Wasmtime => "wasmtime",
        }
    }

    /// What stands in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct, no proxy",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Native => "plain Rust (hyper), same edits",
            Self::Edgelb => "**edgelb**, exchange door",
            Self::EdgelbDecided => "the same, clients whose cookies change each time",
            Self::EdgelbWasiHttp => "edgelb, wasi:http door",
            Self::Wasmtime => "`wasmtime serve`, same component",
        }
    }

    /// What it calls itself in `Via`; `None` without a proxy.
    pub(crate) fn pseudonym(self) -> Option<&'static str> {
        match self {
            Self::Direct => None,
            Self::Nginx => Some("nginx"),
            Self::Haproxy => Some("haproxy"),
            Self::Native
            | Self::Edgelb
            | Self::EdgelbDecided
            | Self::EdgelbWasiHttp
            | Self::Wasmtime => Some("edgelb"),
        }
    }

    /// What its clients change from request to request.
    pub(crate) fn varying(self) -> Varying {
        match self {
            Self::EdgelbDecided => Varying::Cookie,
            Self::Direct
            | Self::Nginx
            | Self::Haproxy
            | Self::Native
            | Self::Edgelb
            | Self::EdgelbWasiHttp
            | Self::Wasmtime => Varying::Target,
        }
    }

    /// What it says of its version; `None` if it does not.
    pub(crate) fn version(self) -> Option<String> {
        let (program, argument) = match self {
            Self::Direct | Self::Native => return None,
            Self::Nginx => (PathBuf::from("nginx"), "-v"),
            Self::Haproxy => (PathBuf::from("haproxy"), "-v"),
            Self::Edgelb | Self::EdgelbDecided | Self::EdgelbWasiHttp => {
                (edgelb().ok()?, "--version")
            }
            Self::Wasmtime => (wasmtime(), "--version"),
        };
        let output = Command::new(program).arg(argument).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Some(said.lines().next()?.trim().to_owned())
    }

    /// Starts it, with so many threads or workers.
    pub(crate) fn start(self, stage: &Stage, threads: usize) -> anyhow::Result<Running> {
        let address = free_address()?;
        let file = |kind| stage.path(&format!("{}-{}.{kind}", self.name(), address.port()));
        let access_log = file("log");
        let start = Start {
            stage,
            address,
            threads,
            access_log: &access_log,
        };
        let command = match self {
            Self::Direct => None,
            Self::Nginx => Some(start.nginx()?),
            Self::Haproxy => Some(start.haproxy()?),
            Self::Native => Some(start.native()?),
            Self::Edgelb | Self::EdgelbDecided => Some(start.edgelb("exchange")?),
            Self::EdgelbWasiHttp => Some(start.edgelb("wasi-http")?),
            Self::Wasmtime => Some(start.wasmtime()?),
        };
        let Some(mut command) = command else {
            return Ok(Running {
                addresses: stage.backends.to_vec(),
                process: None,
                access_log: None,
            });
        };
        let output = file("stderr");
        let mut process = stage
            .cores
            .on_proxy(|| Process::start(self.name(), &mut command, &output))
            .with_context(|| format!("`{}` does not start", self.name()))?;
        process.accepts(address)?;
        Ok(Running {
            addresses: vec![address],
            process: Some(process),
            access_log: (self != Self::Wasmtime).then_some(access_log),
        })
    }
}

impl Running {
    /// Its resident memory; none without a proxy.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        match &self.process {
            Some(process) => process.memory(),
            None => Ok(Memory::default()),
        }
    }

    /// From here on, the peak of its memory is a new one.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        match &self.process {
            Some(process) => process.forget_peak(),
            None => Ok(()),
        }
    }

    /// The processor time it has used; nothing without a proxy.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        match &self.process {
            Some(process) => process.cpu_time(),
            None => Ok(Duration::ZERO),
        }
    }

    /// Empties the access log: all append, so that none has to reopen it, and
    /// what was written need not reach the disk.
    ///
    /// # Errors
    /// There is nothing in it.
    pub(crate) fn empty_log(&self) -> anyhow::Result<()> {
        if let Some(access_log) = &self.access_log {
            let file = File::options().write(true).open(access_log)?;
            if file.metadata()?.len() == 0 {
                bail!("the access log is empty");
            }
            file.set_len(0)?;
        }
        Ok(())
    }
}
