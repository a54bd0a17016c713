//! The real `edgelb`, and any other program, as a process.

use std::env;
use std::io::{self, BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::PATIENCE;

/// How long it may take to start. It compiles its component; built for
/// debugging, on a machine that runs tests, that is not a moment.
const START: Duration = Duration::from_secs(60);

/// A command line in the making: no argument, no environment.
#[derive(Default)]
pub struct Edgelb {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A running process. Killed when dropped; if the test is failing, what it
/// wrote is shown.
pub struct Running {
    child: Child,
    last: Signal,
    stdout: Output,
    stderr: Output,
}

/// A running `edgelb serve`.
pub struct Serving {
    /// The process.
    pub process: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

/// How a process ended, and what it wrote.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// What a process writes, gathered by a thread, so that it never waits for us.
struct Output {
    lines: watch::Receiver<Lines>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Lines {
    text: Vec<String>,
    ended: bool,
}

impl Edgelb {
    /// `edgelb COMMAND`.
    pub fn new(command: &str) -> Self {
        Self::default().arg(command)
    }

    /// `edgelb serve` on a free port of the loopback interface.
    pub fn serve() -> Self {
        Self::new("serve").arg("--listen").arg("127.0.0.1:0")
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<str>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments
            .into_iter()
            .fold(self, |this, argument| this.arg(argument.as_ref()))
    }

    /// One more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it, and waits until it accepts connections.
    ///
    /// # Panics
    /// It does not.
    pub async fn start(self) -> Serving {
        let mut process = self.spawn();
        let ready = |line: &str| line.starts_with("listening on ");
        let line = process.stderr.line_within(START, ready).await;
        let address = line.rsplit("http://").next().unwrap_or_default();
        let address = address.parse().expect("`listening on http://ADDR`");
        Serving { process, address }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// It does not end.
    pub async fn run(self) -> Ended {
        self.spawn().ended().await
    }

    fn spawn(self) -> Running {
        let program = program();
        let mut command = Command::new(&program);
        command
            .args(self.arguments)
            .env_clear()
            .envs(self.environment);
        Running::spawn(command).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; build it first with `cargo build -p edgelb-host`, \
                 or name another by EDGELB_BIN",
                program.display()
            )
        })
    }
}

/// The binary under test: `EDGELB_BIN`, else what cargo built beside this one.
pub fn program() -> PathBuf {
    env::var_os("EDGELB_BIN").map_or_else(
        || {
            let mut path = env::current_exe().unwrap();
            path.pop();
            path.set_file_name("edgelb");
            path
        },
        PathBuf::from,
    )
}

impl Running {
    /// Starts a program without input.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self {
            stdout: Output::read(child.stdout.take().unwrap()),
            stderr: Output::read(child.stderr.take().unwrap()),
            last: Signal::KILL,
            child,
        })
    }

    /// One that ends others of its own when it is asked to end, as it will be
    /// when this is dropped, in place of being killed.
    #[must_use]
    pub fn ended_by_asking(mut self) -> Self {
        self.last = Signal::TERM;
        self
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end.
    pub async fn ended(&mut self) -> Ended {
        let stdout = self.stdout.rest().await;
        let stderr = self.stderr.rest().await;
        Ended {
            status: self.child.wait().unwrap(),
            stdout,
            stderr,
        }
    }

    /// The first line of its standard output that is meant, past or to come.
    pub async fn stdout(&mut self, meant: impl Fn(&str) -> bool) -> String {
        self.stdout.line(meant).await
    }

    /// The same of its standard error.
    pub async fn stderr(&mut self, meant: impl Fn(&str) -> bool) -> String {
        self.stderr.line(meant).await
    }

    /// The first line of either that is meant, past or to come as long as it
    /// may take to start.
    ///
    /// # Panics
    /// There is none in that time, or before both have ended.
    pub async fn either(&mut self, meant: impl Fn(&str) -> bool) -> String {
        let line = async {
            tokio::select! {
                Some(line) = self.stdout.find(&meant) => Some(line),
                Some(line) = self.stderr.find(&meant) => Some(line),
                else => None,
            }
        };
        let line = timeout(START, line).await;
        line.ok().flatten().expect("the line, on either output")
    }

    /// What is on its standard output so far.
    pub fn stdout_so_far(&self) -> String {
        self.stdout.lines.borrow().text.join("\n")
    }

    /// What is on its standard error so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.lines.borrow().text.join("\n")
    }

    /// What is on both outputs so far.
    pub fn so_far(&self) -> String {
        self.stdout_so_far() + "\n" + &self.stderr_so_far()
    }

    /// Bytes of memory it holds (resident set); from now on the peak counts anew.
    pub fn resident(&self) -> u64 {
        let peak = format!("/proc/{}/clear_refs", self.child.id());
        // proc_pid_clear_refs(5): 5 resets the peak.
        std::fs::write(peak, "5").unwrap();
        self.memory("VmRSS:")
    }

    /// The most it has held since [`Self::resident`] was asked for.
    pub fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, figure: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure));
        let words = line.unwrap().split_whitespace();
        let kibibytes: u64 = words.rev().nth(1).unwrap().parse().unwrap();
        kibibytes << 10
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Serving {
    /// The first line of the access log that mentions this, past or to come.
    pub async fn logged(&mut self, mention: &str) -> String {
        self.process.stdout(|line| line.contains(mention)).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // How it ends when asked to is tested where that is the point.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(self.pid(), self.last);
        }
        let _ = self.child.wait();
        if thread::panicking() {
            self.stdout.show("stdout");
            self.stderr.show("stderr");
        }
    }
}

impl Output {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = watch::channel(Lines::default());
        let reader = thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                sender.send_modify(|lines| lines.text.push(line));
            }
            sender.send_modify(|lines| lines.ended = true);
        });
        Self {
            lines,
            reader: Some(reader),
        }
    }

    async fn line(&mut self, meant: impl Fn(&str) -> bool) -> String {
        self.line_within(PATIENCE, meant).await
    }

    async fn line_within(&mut self, patience: Duration, meant: impl Fn(&str) -> bool) -> String {
        timeout(patience, self.find(meant))
            .await
            .unwrap_or_else(|_| panic!("no such line within {} s", patience.as_secs()))
            .expect("the line before the output ended")
    }

    /// The line, unless the output ends without it.
    async fn find(&mut self, meant: impl Fn(&str) -> bool) -> Option<String> {
        let found = |lines: &Lines| lines.text.iter().find(|line| meant(line)).cloned();
        let settled = |lines: &Lines| lines.ended || found(lines).is_some();
        let lines = self.lines.wait_for(settled).await.ok()?;
        found(&lines)
    }

    async fn rest(&mut self) -> String {
        let ended = self.lines.wait_for(|lines| lines.ended);
        let lines = timeout(START, ended).await;
        let lines = lines.expect("the process ends").unwrap();
        lines.text.join("\n")
    }

    #[expect(
        clippy::print_stderr,
        reason = "read by whoever finds out why a test failed"
    )]
    fn show(&mut self, name: &str) {
        // The process is gone, so its pipes have ended.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        for line in &self.lines.borrow().text {
            eprintln!("[{name}] {line}");
        }
    }
}
