//! A way to start the balancer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use edgelb_tests::client;
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::Running;

use crate::failure;
use crate::runtimes;

/// A runtime, and how it is told what to do.
pub(crate) struct Runtime {
    /// What it is called, in the matrix and on the command line.
    pub(crate) name: &'static str,
    /// What is run, for whoever reads the matrix.
    pub(crate) about: &'static str,
    /// How the balancer learns who its clients are.
    pub(crate) clients: Clients,
    /// What it does with a configuration that the balancer refuses.
    pub(crate) refusal: Refusal,
    /// Whether registries provide it, so that it can be had wherever tests run.
    pub(crate) is_provided: bool,
    /// What is missing to run it, if anything, and how to get it.
    pub(crate) missing: fn() -> Option<String>,
    /// The program with this environment for the balancer.
    pub(crate) program: fn(&Environment) -> Program,
}

/// See [`Runtime::clients`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// By their connections.
    ByConnection,
    /// By a field that the platform's edge sets, whose part the suite plays.
    ByField(&'static str),
    /// Not at all.
    Unknown,
}

/// See [`Runtime::refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not start.
    ToStart,
    /// It answers every request with an error.
    OfRequests,
}

/// The balancer's variables.
pub(crate) type Environment = Vec<(String, String)>;

/// A runtime about to start.
pub(crate) struct Program {
    pub(crate) command: Command,
    /// What it reads, kept as long as it runs.
    pub(crate) files: Directory,
    /// What precedes its address in the line that tells it.
    pub(crate) address: &'static str,
    /// What is in the line that says it is ready; the same one unless it is not.
    pub(crate) ready: &'static str,
    /// Whether it has processes of its own, which it ends when asked to end.
    pub(crate) is_parent: bool,
}

/// A balancer on a runtime, ready.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    pub(crate) process: Running,
    _files: Directory,
}

impl Runtime {
    /// The runtime of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        runtimes::ALL.iter().find(|runtime| runtime.name == name)
    }

    /// Starts the balancer, and sees that it answers.
    ///
    /// # Panics
    /// It does not.
    pub(crate) async fn start(&self, environment: &Environment) -> Balancer {
        failure::answered(false);
        let balancer = self.launch(environment).await;
        let health = client::get(balancer.address, "/.well-known/edgelb/health").await;
        assert_eq!(health.status(), 200, "{health:?}");
        failure::answered(true);
        balancer
    }

    /// Starts the balancer, whatever it may answer.
    ///
    /// # Panics
    /// It does not get ready.
    pub(crate) async fn launch(&self, environment: &Environment) -> Balancer {
        let program = (self.program)(environment);
        let (address, ready) = (program.address, program.ready);
        let mut balancer = program.spawn();
        balancer.process.either(|line| line.contains(ready)).await;
        let line = balancer.process.either(|line| line.contains(address)).await;
        let told = line.split(address).nth(1).unwrap_or_default();
        let end = told.find(|at: char| !matches!(at, '0'..='9' | '.' | ':'));
        let told = &told[..end.unwrap_or(told.len())];
        balancer.address = told.parse().expect("an address");
        balancer
    }

    /// Starts what is not to get ready.
    pub(crate) fn try_start(&self, environment: &Environment) -> Running {
        (self.program)(environment).spawn().process
    }
}

impl Program {
    fn spawn(self) -> Balancer {
        let name = PathBuf::from(self.command.get_program());
        let process = Running::spawn(self.command);
        let process = process.unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        Balancer {
            address: SocketAddr::from(([0; 4], 0)),
            process: if self.is_parent {
                process.ended_by_asking()
            } else {
                process
            },
            _files: self.files,
        }
    }
}
