//! Debian's nginx, as a backend or before edgelb: somebody else's HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;

use crate::port::Port;
use crate::until;

/// A running nginx.
pub struct Nginx {
    port: Port,
    directory: Directory,
    child: Option<Child>,
}

/// A directory of our own, removed when dropped.
pub struct Directory(PathBuf);

impl Nginx {
    /// Starts a backend that answers every path with its name.
    ///
    /// # Panics
    /// There is no nginx.
    pub async fn start(name: &str) -> Self {
        let server = |address| {
            format!("server {{ listen {address} reuseport; location / {{ return 200 {name}; }} }}")
        };
        Self::serving(server).await
    }

    /// Starts one with these directives for the address that it is to listen on.
    ///
    /// # Panics
    /// There is no nginx.
    pub async fn serving(directives: impl FnOnce(SocketAddr) -> String) -> Self {
        let port = Port::reserve();
        let directory = Directory::new();
        let config = config(&directives(port.address()));
        std::fs::write(directory.path().join("nginx.conf"), config).unwrap();
        let mut nginx = Self {
            port,
            directory,
            child: None,
        };
        nginx.launch().await;
        nginx
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The value of its variable.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Ends it with SIGKILL, connections and all.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it (again), and waits until it accepts.
    pub async fn launch(&mut self) {
        self.kill();
        let child = Command::new(program())
            .arg("-p")
            .arg(self.directory.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        self.child = Some(child.unwrap());
        let address = self.port.address();
        let accepts = async || TcpStream::connect(address).await.is_ok();
        until("nginx accepts connections", accepts).await;
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("edgelb-tests-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it; answers its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One process and no master, so that one SIGKILL is the end of it.
fn config(directives: &str) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {directives}
}}
"
    )
}

/// Debian puts it where only root's PATH leads.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("nginx"))
        .find(|program| program.is_file())
        .expect("nginx is missing; install it with `apt-get install nginx-light`")
}
