//! What can go wrong before the first request.

/// Why a component cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// This machine cannot run one.
    #[error("the WebAssembly engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    /// The file cannot be read.
    #[error("component `{path}` cannot be read: {error}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The bytes are no component.
    #[error("not a WebAssembly component: {0:#}")]
    Compile(wasmtime::Error),
    /// It imports what this host does not have.
    #[error("the component needs what this host does not provide: {0:#}")]
    Link(wasmtime::Error),
    /// It lacks the export that the door needs.
    #[error("the component does not export `{export}`: {error:#}")]
    Export {
        /// What is missing.
        export: &'static str,
        /// How it is missing.
        error: wasmtime::Error,
    },
    /// It traps before it could decide anything.
    #[error("the component does not start: {0:#}")]
    Start(wasmtime::Error),
}

/// Why an [`Edge`](crate::Edge) cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// The component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component refuses its configuration: every error, one a line.
    #[error("invalid configuration:\n  {}", .0.join("\n  "))]
    Configuration(Vec<String>),
    /// Certificates that upstream connections are to be verified with.
    #[error("certificates: {0}")]
    Certificates(String),
}
