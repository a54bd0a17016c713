//! Who competes, and how each is started.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::process::{Process, free_address};
use crate::stage::{Stage, nginx, nginx_preamble};

/// Signs session cookies, where the contender does.
const SECRET: &str = "of no consequence";

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
    /// `edgelb serve --door wasi-http`
    EdgelbWasiHttp,
}

/// A contender, accepting connections.
pub(crate) struct Running {
    pub(crate) contender: Contender,
    pub(crate) addresses: Vec<SocketAddr>,
    /// None for [`Contender::Direct`].
    pub(crate) process: Option<Process>,
    access_log: PathBuf,
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
            Self::EdgelbWasiHttp => "edgelb_wasi_http",
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
            Self::EdgelbWasiHttp => "edgelb, wasi:http door",
        }
    }

    /// What it calls itself in `Via`; `None` without a proxy.
    pub(crate) fn pseudonym(self) -> Option<&'static str> {
        match self {
            Self::Direct => None,
            Self::Nginx => Some("nginx"),
            Self::Haproxy => Some("haproxy"),
            Self::Native | Self::Edgelb | Self::EdgelbWasiHttp => Some("edgelb"),
        }
    }

    /// What it says of its version; `None` if it does not.
    pub(crate) fn version(self) -> Option<String> {
        let (program, argument) = match self {
            Self::Direct | Self::Native => return None,
            Self::Nginx => (PathBuf::from("nginx"), "-v"),
            Self::Haproxy => (PathBuf::from("haproxy"), "-v"),
            Self::Edgelb | Self::EdgelbWasiHttp => (edgelb().ok()?, "--version"),
        };
        let output = Command::new(program).arg(argument).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Some(said.lines().next()?.trim().to_owned())
    }

    /// Starts it.
    pub(crate) fn start(self, stage: &Stage) -> anyhow::Result<Running> {
        let access_log = stage.path(&format!("{}.log", self.name()));
        let address = free_address()?;
        let command = match self {
            Self::Direct => None,
            Self::Nginx => Some(nginx_proxy(stage, address, &access_log)?),
            Self::Haproxy => Some(haproxy(stage, address, &access_log)?),
            Self::Native => Some(native(stage, address, &access_log)?),
            Self::Edgelb => Some(serve(stage, address, &access_log, "exchange")?),
            Self::EdgelbWasiHttp => Some(serve(stage, address, &access_log, "wasi-http")?),
        };
        let Some(mut command) = command else {
            return Ok(Running {
                contender: self,
                addresses: stage.backends.to_vec(),
                process: None,
                access_log,
            });
        };
        let output = stage.path(&format!("{}.stderr", self.name()));
        let mut process = stage
            .cores
            .on_proxy(|| Process::start(self.name(), &mut command, &output))
            .with_context(|| format!("`{}` does not start", self.name()))?;
        process.accepts(address)?;
        Ok(Running {
            contender: self,
            addresses: vec![address],
            process: Some(process),
            access_log,
        })
    }
}

impl Running {
    /// Empties the access log: all append, so that none has to reopen it, and
    /// what was written need not reach the disk.
    ///
    /// # Errors
    /// There is nothing in it.
    pub(crate) fn empty_log(&self) -> anyhow::Result<()> {
        if self.process.is_some() {
            let file = File::options().write(true).open(&self.access_log)?;
            if file.metadata()?.len() == 0 {
                bail!("the access log is empty");
            }
            file.set_len(0)?;
        }
        Ok(())
    }
}

/// The edgelb to measure: `EDGELB_BIN`, else the one built beside this program.
fn edgelb() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("EDGELB_BIN") {
        return Ok(path.into());
    }
    let path = std::env::current_exe()?.with_file_name("edgelb");
    if !path.is_file() {
        bail!(
            "there is no `{}`: `cargo build --release` builds it, or EDGELB_BIN says where it is",
            path.display()
        );
    }
    Ok(path)
}

fn serve(
    stage: &Stage,
    address: SocketAddr,
    access_log: &Path,
    door: &str,
) -> anyhow::Result<Command> {
    let mut command = Command::new(edgelb()?);
    command
        .env_clear()
        .env("SESSION_COOKIE_SECRET", SECRET)
        .args(["serve", "--listen", &address.to_string(), "--door", door])
        .args(["--threads", &stage.threads.to_string()])
        .arg("--access-log")
        .arg(access_log)
        .stdout(Stdio::null());
    for (name, backend) in ["BACKEND_A", "BACKEND_B", "BACKEND_C"]
        .iter()
        .zip(&stage.backends)
    {
        command.env(name, format!("http://{backend}"));
    }
    Ok(command)
}

fn native(stage: &Stage, address: SocketAddr, access_log: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["native", "--listen", &address.to_string()])
        .args(["--threads", &stage.threads.to_string()])
        .args(["--secret", SECRET])
        .arg("--access-log")
        .arg(access_log)
        .stdout(Stdio::null());
    for backend in &stage.backends {
        command.args(["--backend", &backend.to_string()]);
    }
    Ok(command)
}

fn nginx_proxy(stage: &Stage, address: SocketAddr, access_log: &Path) -> anyhow::Result<Command> {
    let directory = stage.path(".");
    let config = stage.path("nginx.conf");
    let servers: String = stage
        .backends
        .iter()
        .map(|backend| format!("        server {backend} max_fails=1 fail_timeout=30s;\n"))
        .collect();
    let text = format!(
        r#"{preamble}
    log_format lines '$time_iso8601 $remote_addr "$request_method $http_host $request_uri" $status $body_bytes_sent $request_time $upstream_addr';
    access_log {access_log} lines buffer=64k flush=1s;
    map $cookie_edgelb $session {{
        "" "edgelb=$request_id; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax";
    }}
    map $cookie_edgelb $caching {{
        "" private;
    }}
    upstream backends {{
        hash $remote_addr consistent;
{servers}
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 30s;
    }}
    server {{
        listen {address} backlog=1024;
        location / {{
            proxy_pass http://backends;
            proxy_http_version 1.1;
            proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
            proxy_next_upstream_tries 4;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header Forwarded "for=$remote_addr;host=$http_host;proto=$scheme";
            proxy_set_header Via "1.1 nginx";
            proxy_set_header CDN-Loop nginx;
            add_header Via "1.1 nginx";
            add_header Set-Cookie $session;
            add_header Cache-Control $caching;
        }}
    }}
}}
"#,
        preamble = nginx_preamble(&directory, "nginx", stage.threads, stage.connections),
        access_log = access_log.display(),
    );
    fs::write(&config, text)?;
    let mut command = nginx(&directory, &config);
    command.stdout(Stdio::null());
    Ok(command)
}

/// HAProxy appends to no file itself, but its standard output may be one.
fn haproxy(stage: &Stage, address: SocketAddr, access_log: &Path) -> anyhow::Result<Command> {
    let config = stage.path("haproxy.cfg");
    let servers: String = stage
        .backends
        .iter()
        .enumerate()
        .map(|(index, backend)| format!("    server s{index} {backend}\n"))
        .collect();
    let text = format!(
        r#"global
    nbthread {threads}
    maxconn {connections}
    log stdout format raw local0

defaults
    mode http
    log global
    log-format '%t %ci "%HM %[capture.req.hdr(0)] %HU" %ST %B %Ta %s %rc'
    option http-keep-alive
    option redispatch
    retries 3
    retry-on conn-failure empty-response response-timeout 500 502 503 504
    timeout connect 5s
    timeout client 75s
    timeout server 30s

frontend clients
    bind {address} backlog 1024
    capture request header Host len 64
    default_backend backends

backend backends
    balance source
    hash-type consistent
    http-reuse always
    dynamic-cookie-key "{SECRET}"
    cookie edgelb insert indirect nocache httponly dynamic attr SameSite=Lax attr Max-Age=86400
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    http-request set-header Forwarded for=%[src];host=%[req.hdr(Host)];proto=http
    http-request add-header Via "1.1 haproxy"
    http-request add-header CDN-Loop haproxy
    http-response add-header Via "1.1 haproxy"
{servers}"#,
        threads = stage.threads,
        connections = stage.connections,
    );
    fs::write(&config, text)?;
    let mut command = Command::new("haproxy");
    let log = File::options().create(true).append(true).open(access_log)?;
    command.arg("-db").arg("-f").arg(&config).stdout(log);
    Ok(command)
}
