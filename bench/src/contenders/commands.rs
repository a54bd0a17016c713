//! The commands that start them, and their configurations.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::bail;
use rustix::process::{Resource, getrlimit};

use crate::stage::{Stage, nginx, nginx_preamble};

/// Signs session cookies, where the contender does.
const SECRET: &str = "of no consequence";

/// Where one is to start, and how.
pub(super) struct Start<'a> {
    pub(super) stage: &'a Stage,
    pub(super) address: SocketAddr,
    pub(super) threads: usize,
    pub(super) access_log: &'a Path,
}

impl Start<'_> {
    pub(super) fn edgelb(&self, door: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(edgelb()?);
        command
            .env_clear()
            .envs(of_ours(&["HOME", "XDG_CACHE_HOME"]))
            .envs(self.environment())
            .args(["serve", "--listen", &self.address.to_string()])
            .args(["--threads", &self.threads.to_string(), "--door", door])
            .arg("--access-log")
            .arg(self.access_log)
            .stdout(Stdio::null());
        let most = self.stage.connections;
        if !descriptors_suffice(most) {
            // It would leave a descriptor for a backend to each.
            command.args(["--max-connections", &most.to_string()]);
        }
        Ok(command)
    }

    /// With one thread a core that it may run on, and one instance.
    pub(super) fn wasmtime(&self) -> anyhow::Result<Command> {
        let component = edgelb()?.with_file_name("../components/edgelb.wasm");
        let mut command = Command::new(repository("deploy/wasmtime/serve"));
        command
            .env_clear()
            .envs(of_ours(&["PATH", "HOME"]))
            .envs(self.environment())
            .env("EDGELB_WASMTIME", wasmtime())
            .env("EDGELB_LISTEN", self.address.to_string())
            .env("EDGELB_COMPONENT", component)
            .stdout(Stdio::null());
        Ok(command)
    }

    /// What configures edgelb.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let backends = ["BACKEND_A", "BACKEND_B", "BACKEND_C"]
            .into_iter()
            .zip(&self.stage.backends)
            .map(|(name, backend)| (name, format!("http://{backend}")));
        let down_time = self.stage.down_time;
        let down_time = down_time.map(|it| ("BACKEND_DOWN_TIME", it.as_millis().to_string()));
        backends
            .chain([("SESSION_COOKIE_SECRET", SECRET.to_owned())])
            .chain(down_time)
            .collect()
    }

    pub(super) fn native(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["native", "--listen", &self.address.to_string()])
            .args(["--threads", &self.threads.to_string()])
            .args(["--secret", SECRET])
            .arg("--access-log")
            .arg(self.access_log)
            .stdout(Stdio::null());
        for backend in &self.stage.backends {
            command.args(["--backend", &backend.to_string()]);
        }
        Ok(command)
    }

    pub(super) fn nginx(&self) -> anyhow::Result<Command> {
        let directory = self.stage.path(".");
        let config = self.stage.path("nginx.conf");
        let down_time = self.stage.down_time.unwrap_or(Duration::from_secs(30));
        let down_time = down_time.as_secs();
        let servers: String = self
            .stage
            .backends
            .iter()
            .map(|backend| {
                format!("        server {backend} max_fails=1 fail_timeout={down_time}s;\n")
            })
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
            # Bodies are streamed here, too, not by way of files, and not 4 KiB at a time.
            client_max_body_size 0;
            client_body_buffer_size 64k;
            proxy_request_buffering off;
            proxy_buffers 16 64k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
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
            preamble = nginx_preamble(&directory, "nginx", self.threads, self.stage.connections),
            access_log = self.access_log.display(),
            address = self.address,
        );
        fs::write(&config, text)?;
        let mut command = nginx(&directory, &config);
        command.stdout(Stdio::null());
        Ok(command)
    }

    /// HAProxy appends to no file itself, but its standard output may be one.
    pub(super) fn haproxy(&self) -> anyhow::Result<Command> {
        let config = self.stage.path("haproxy.cfg");
        let servers: String = self
            .stage
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
            threads = self.threads,
            address = self.address,
            connections = self.stage.connections,
        );
        fs::write(&config, text)?;
        let mut command = Command::new("haproxy");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.access_log)?;
        command.arg("-db").arg("-f").arg(&config).stdout(log);
        Ok(command)
    }
}

/// The edgelb to measure: `EDGELB_BIN`, else the one built beside this program.
pub(super) fn edgelb() -> anyhow::Result<PathBuf> {
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

/// `EDGELB_WASMTIME`, else the pinned one.
pub(super) fn wasmtime() -> PathBuf {
    match std::env::var_os("EDGELB_WASMTIME") {
        Some(path) => path.into(),
        None => repository(".tools/bin/wasmtime"),
    }
}

/// Variables that are ours, too, where they are set.
fn of_ours(names: &[&'static str]) -> impl Iterator<Item = (&'static str, OsString)> {
    let names = names.iter();
    names.filter_map(|&name| Some((name, std::env::var_os(name)?)))
}

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Whether each of so many clients and its backend can have a descriptor, some
/// left over. Whoever is started here raises its limit as far as it may.
fn descriptors_suffice(clients: usize) -> bool {
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    2 * clients as u64 + 64 <= limit
}
