//! What the contenders have in common: a directory, three backends, cores.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::backend::Backend;
use crate::cores::Cores;
use crate::process::{Process, free_address};

/// How many backends there are.
const BACKENDS: usize = 3;

/// Where contenders are started.
pub(crate) struct Stage {
    pub(crate) backends: [SocketAddr; BACKENDS],
    pub(crate) cores: Cores,
    /// How many connections a proxy must be able to hold on each side.
    pub(crate) connections: usize,
    /// How long a backend that failed is left alone; `None`: what a proxy does
    /// by itself, or 30 s.
    pub(crate) down_time: Option<Duration>,
    directory: Directory,
}

/// A directory of this run; dropping it removes it.
struct Directory(PathBuf);

impl Stage {
    /// For proxies that hold so many connections on each side.
    pub(crate) fn set(cores: Cores, connections: usize) -> anyhow::Result<Self> {
        cores.enter()?;
        let mut backends = [SocketAddr::from(([127, 0, 0, 1], 0)); BACKENDS];
        for backend in &mut backends {
            *backend = free_address()?;
        }
        Ok(Self {
            backends,
            cores,
            connections,
            down_time: None,
            directory: Directory::create()?,
        })
    }

    /// Starts the backends that cost the least: nginx. One program serves them
    /// all: what it costs is the same for every contender.
    pub(crate) fn nginx(&self) -> anyhow::Result<Process> {
        let directory = &self.directory.0;
        let config = directory.join("backends.conf");
        let preamble = nginx_preamble(directory, "backends", 1, self.connections);
        fs::write(&config, configuration(&preamble, &self.backends))?;
        let mut program = Process::start(
            "backends",
            &mut nginx(directory, &config),
            &directory.join("backends.stderr"),
        )?;
        for &backend in &self.backends {
            program.accepts(backend)?;
        }
        Ok(program)
    }

    /// Starts backends of our own, which tell what they got and take long bodies.
    pub(crate) fn own(&self) -> anyhow::Result<Vec<Backend>> {
        let backends = self.backends.iter();
        Ok(backends
            .map(|&address| Backend::start(address))
            .collect::<Result<_, _>>()?)
    }

    /// A file or directory of this run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.0.join(name)
    }
}

impl Directory {
    fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("edgelb-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// nginx with a configuration, in the foreground.
pub(crate) fn nginx(directory: &Path, config: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(config);
    command
}

/// What every nginx configuration of ours begins with. The paths are of this
/// run, so that no rights to the system's are needed.
pub(crate) fn nginx_preamble(
    directory: &Path,
    name: &str,
    workers: usize,
    connections: usize,
) -> String {
    // Those of both sides.
    let connections = 2 * connections + 64;
    let directory = directory.display();
    format!(
        "daemon off;
worker_processes {workers};
pid {directory}/{name}.pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {directory}/{name}-body;
    proxy_temp_path {directory}/{name}-proxy;
    fastcgi_temp_path {directory}/{name}-fastcgi;
    uwsgi_temp_path {directory}/{name}-uwsgi;
    scgi_temp_path {directory}/{name}-scgi;
    # Measured is not how often connections are made anew.
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
"
    )
}

/// Backends that answer at once, and tell at `/seen` what arrived.
fn configuration(preamble: &str, backends: &[SocketAddr]) -> String {
    let listen: String = backends
        .iter()
        .map(|backend| format!("        listen {backend} backlog=1024;\n"))
        .collect();
    format!(
        r#"{preamble}
    access_log off;
    server {{
{listen}
        location / {{
            default_type application/json;
            return 200 '{{"ok":true}}\n';
        }}
        location = /seen {{
            default_type text/plain;
            return 200 "port: $server_port
x-forwarded-for: $http_x_forwarded_for
x-forwarded-proto: $http_x_forwarded_proto
x-forwarded-host: $http_x_forwarded_host
forwarded: $http_forwarded
via: $http_via
cdn-loop: $http_cdn_loop
cookie: $http_cookie
x-hop: $http_x_hop
";
        }}
    }}
}}
"#
    )
}
