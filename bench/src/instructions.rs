//! How many instructions a decision and a whole request take, as callgrind
//! counts them: what else the machine does is not in them, so a guard can be
//! strict where times would have to be lax.
//!
//! What they took before is in a file of the repository. Where the host is
//! compiled without optimisation, it shows what is done more often; but the
//! component is always the shipped one, and what its own code takes of a
//! decision is counted apart, in fuel.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeFrom;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

use crate::load::Varying;
use crate::process::free_address;

/// By how much a count may grow: a part in twenty.
const TOLERANCE: f64 = 1.05;
/// Decisions and requests that are counted.
const COUNT: u32 = 1_000;
/// Requests before these: pools fill, buffers grow, what is lazy happens.
const WARM_UP: u32 = 100;
/// How long the proxy may take to start under valgrind, which compiles the
/// component fifty times as slowly.
const PATIENCE: Duration = Duration::from_secs(300);

/// Instructions each takes, by what they are of.
type Counts = BTreeMap<String, u64>;

/// What to count, and what to compare it with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What they took before, by profile.
    #[arg(long, value_name = "FILE", default_value = "bench/instructions.json")]
    baseline: PathBuf,
    /// Write what they take now to that file.
    #[arg(long)]
    write: bool,
}

/// Counts, and compares.
///
/// # Errors
/// Something takes over 5 % more than before, or over 5 % less, which is to be
/// kept; valgrind is not installed.
pub(crate) fn check(options: &Options) -> anyhow::Result<()> {
    let programs = std::env::current_exe()?;
    let programs = programs
        .parent()
        .context("the program is in no directory")?;
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let counts = Counts::from([
        ("policy".to_owned(), policy(programs)?),
        ("decision".to_owned(), decision(programs)?),
        ("request".to_owned(), request(programs, Varying::Cookie)?),
        ("repeated".to_owned(), request(programs, Varying::Target)?),
    ]);
    let mut baseline: BTreeMap<String, Counts> = match fs::read(&options.baseline) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("`{}` is malformed", options.baseline.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).context(options.baseline.display().to_string()),
    };
    if options.write {
        baseline.insert(profile.to_owned(), counts);
        let text = serde_json::to_string_pretty(&baseline)?;
        return Ok(fs::write(&options.baseline, text + "\n")?);
    }
    let before = baseline.get(profile).with_context(|| {
        let file = options.baseline.display();
        format!("`{file}` has nothing of the profile `{profile}`: --write it")
    })?;
    judge(&counts, before)
}

fn judge(counts: &Counts, before: &Counts) -> anyhow::Result<()> {
    let (mut grown, mut shrunk) = (Vec::new(), Vec::new());
    for (name, &count) in counts {
        let before = *before
            .get(name)
            .with_context(|| format!("the baseline has no `{name}`: --write it"))?;
        let ratio = count as f64 / before as f64;
        let line =
            format!("{name}: {count} instructions, {before} before, {ratio:.3} times as many");
        writeln!(std::io::stdout(), "{line}")?;
        if ratio > TOLERANCE {
            grown.push(line);
        } else if ratio < 1.0 / TOLERANCE {
            shrunk.push(line);
        }
    }
    let percent = (TOLERANCE - 1.0) * 100.0;
    if !grown.is_empty() {
        bail!(
            "over {percent:.0} % more than before; if it is worth that, run with --write:\n{}",
            grown.join("\n")
        );
    }
    // Else what was gained could be lost again, and nobody be told.
    if !shrunk.is_empty() {
        bail!(
            "over {percent:.0} % less than before; to keep that, run with --write:\n{}",
            shrunk.join("\n")
        );
    }
    Ok(())
}

/// Of the policy's own code, in all calls that an ordinary request takes: in
/// wasmtime's fuel, about one a WebAssembly instruction.
fn policy(programs: &Path) -> anyhow::Result<u64> {
    let output = Command::new(programs.join("examples/decision"))
        .arg(programs.join("../components/balancer.wasm"))
        .args([&COUNT.to_string(), "fuel"])
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let fuel = said
        .split_once(" units of fuel")
        .map(|(fuel, _)| fuel.parse());
    Ok(fuel.with_context(|| format!("the decision said `{said}`"))??)
}

/// Of all calls that an ordinary request takes, lowering and lifting included.
fn decision(programs: &Path) -> anyhow::Result<u64> {
    let program = programs.join("examples/decision");
    let component = programs.join("../components/balancer.wasm");
    let output = callgrind(&["--toggle-collect=*::decide"])
        .arg(program)
        .arg(component)
        .arg(COUNT.to_string())
        .output()
        .map_err(|_| missing())?;
    let said = String::from_utf8_lossy(&output.stderr);
    // One comes before those that it is asked for.
    collected(&said).map(|all| all / u64::from(COUNT + 1))
}

/// Of one request through `edgelb serve`, all of its threads: decided by itself, or a
/// repetition of the one before as far as it matters.
fn request(programs: &Path, varying: Varying) -> anyhow::Result<u64> {
    let directory =
        std::env::temp_dir().join(format!("edgelb-instructions-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let counted = count_requests(programs, &directory, varying);
    fs::remove_dir_all(&directory)?;
    counted
}

fn count_requests(programs: &Path, directory: &Path, varying: Varying) -> anyhow::Result<u64> {
    let backends = [backend()?, backend()?];
    let address = free_address()?;
    let mut command = callgrind(&["--instr-atstart=no"]);
    command
        .arg(programs.join("edgelb"))
        .args(["serve", "--threads", "1", "--listen"])
        .arg(address.to_string())
        .arg("--access-log")
        .arg(directory.join("access.log"))
        .env("BACKEND_A", format!("http://{}", backends[0]))
        .env("BACKEND_B", format!("http://{}", backends[1]))
        .env("SESSION_COOKIE_SECRET", "0123456789abcdef0123");
    let stderr = directory.join("stderr");
    let mut proxy = command
        .stderr(fs::File::create(&stderr)?)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|_| missing())?;
    let loaded = load(&mut proxy, address, varying);
    // SIGTERM: killed, valgrind would tell nothing.
    let stopped = Command::new("kill").arg(proxy.id().to_string()).status();
    if !stopped.as_ref().is_ok_and(ExitStatus::success) {
        proxy.kill()?;
    }
    let ended = proxy.wait();
    let said = fs::read_to_string(&stderr).unwrap_or_default();
    loaded.with_context(|| format!("edgelb under valgrind:\n{said}"))?;
    stopped?;
    ended?;
    collected(&said).map(|all| all / u64::from(COUNT))
}

/// One client, one connection, a session.
fn load(proxy: &mut Child, address: SocketAddr, varying: Varying) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(address) {
            break stream;
        }
        if proxy.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
            bail!("it does not accept connections");
        }
        thread::sleep(Duration::from_millis(50));
    };
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = ask(&mut stream, 0, "")?;
    let session = head
        .split_once("edgelb=")
        .and_then(|(_, rest)| rest.split(';').next())
        .context("no session is set")?;
    let fields = |number| {
        let seen = match varying {
            Varying::Target => 1_000,
            Varying::Cookie => number,
        };
        format!("cookie: a={seen}; edgelb={session}; b=2\r\n")
    };
    // Numbers of as many digits.
    let mut numbers = 1_000..;
    let mut ask_many = |count: u32, numbers: &mut RangeFrom<u32>| {
        for number in numbers.take(count as usize) {
            ask(&mut stream, number, &fields(number))?;
        }
        anyhow::Ok(())
    };
    ask_many(WARM_UP, &mut numbers)?;
    instrument(proxy, "on")?;
    ask_many(COUNT, &mut numbers)?;
    // The last line is written once others could have come.
    thread::sleep(Duration::from_millis(200));
    instrument(proxy, "off")
}

fn instrument(proxy: &Child, state: &str) -> anyhow::Result<()> {
    let output = Command::new("callgrind_control")
        .args(["-i", state])
        .arg(proxy.id().to_string())
        .output()
        .map_err(|_| missing())?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "callgrind_control: {}",
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Asks as a browser does; answers the head.
fn ask(stream: &mut TcpStream, number: u32, fields: &str) -> anyhow::Result<String> {
    let request = format!(
        "GET /stream/movie/tt{number:07}.json HTTP/1.1\r\nhost: lb.example\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
         accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         accept-language: en-GB,en;q=0.5\r\naccept-encoding: gzip, deflate, br\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    let mut chunk = [0; 4096];
    while !response.ends_with(BODY) {
        match stream.read(&mut chunk)? {
            0 => bail!("closed after {:?}", String::from_utf8_lossy(&response)),
            read => response.extend_from_slice(&chunk[..read]),
        }
    }
    let response = String::from_utf8(response)?;
    if response.starts_with("HTTP/1.1 200 ") {
        Ok(response)
    } else {
        bail!("answered {response:?}")
    }
}

const BODY: &[u8] = b"\r\n\r\nhello\n";

/// A backend that costs nothing that is counted.
fn backend() -> anyhow::Result<SocketAddr> {
    const RESPONSE: &[u8] =
        b"HTTP/1.1 200 OK\r\nserver: backend\r\ndate: Sun, 22 Nov 2026 11:40:19 GMT\r\n\
        content-type: text/plain\r\ncontent-length: 6\r\nconnection: keep-alive\r\n\r\nhello\n";
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let mut chunk = [0; 4096];
                // Heads come whole, one at a time.
                while stream.read(&mut chunk).is_ok_and(|read| read > 0) {
                    if stream.write_all(RESPONSE).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

fn callgrind(options: &[&str]) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(options);
    command
}

/// `Collected : 123` of what valgrind says at its end.
fn collected(said: &str) -> anyhow::Result<u64> {
    said.lines()
        .filter_map(|line| line.split_once("Collected :"))
        .find_map(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| anyhow!("valgrind counted nothing:\n{said}"))
}

fn missing() -> anyhow::Error {
    anyhow!("valgrind is not installed: apt-get install valgrind")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(decision: u64, request: u64) -> Counts {
        let counts = [("decision", decision), ("request", request)];
        counts.map(|(name, count)| (name.to_owned(), count)).into()
    }

    #[test]
    fn five_percent_more_is_what_may_be_and_no_more() {
        let before = counts(1_000, 2_000);
        assert!(judge(&counts(1_050, 2_100), &before).is_ok());
        assert!(judge(&counts(960, 2_000), &before).is_ok());
        let error = judge(&counts(500, 2_000), &before).map_err(|it| it.to_string());
        assert!(error.is_err_and(|error| error.contains("decision: 500")));
        let error = judge(&counts(1_000, 2_101), &before).map_err(|it| it.to_string());
        let error = error.err().unwrap_or_default();
        assert!(
            error.contains("request: 2101") && !error.contains("decision"),
            "{error}"
        );
        assert!(judge(&counts(1, 1), &Counts::new()).is_err());
    }

    #[test]
    fn the_count_is_what_valgrind_says_last() {
        let said = "==7== Events    : Ir\n==7== Collected : 162104164\n==7== \n";
        assert_eq!(collected(said).ok(), Some(162_104_164));
        assert!(collected("==7== Command: edgelb").is_err());
    }
}
