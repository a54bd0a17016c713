//! Programs under measurement: started, waited for, clocked, stopped.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to accept connections, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running program; dropping it stops it.
pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts a program; what it says on stderr goes to a file.
    ///
    /// # Errors
    /// It does not start; where it is not installed, how to install it.
    pub(crate) fn start(name: &str, command: &mut Command, output: &Path) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stderr(File::create(output)?)
            .spawn()
            .map_err(|error| {
                if error.kind() == io::ErrorKind::NotFound {
                    missing(name)
                } else {
                    error
                }
            })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            output: output.to_owned(),
        })
    }

    /// Waits until it accepts connections.
    ///
    /// # Errors
    /// It ended instead, or takes more than 10 s; with what it said.
    pub(crate) fn accepts(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let name = &self.name;
            let said = || fs::read_to_string(&self.output).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!("`{name}` ended at once ({status}):\n{}", said());
            }
            if begun.elapsed() > PATIENCE {
                bail!("`{name}` does not accept on `{address}`:\n{}", said());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The processor time it has used, with the processes it started.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        cpu_time(self.child.id())
    }

    /// Its resident memory, with that of the processes it started.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let family = family(self.child.id())?.into_iter();
        family.map(memory).try_fold(Memory::default(), |sum, it| {
            let it = it?;
            Ok(Memory {
                now: sum.now + it.now,
                peak: sum.peak + it.peak,
            })
        })
    }

    /// From here on, the peak of its memory is a new one.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        // https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
        const PEAK: &str = "5";
        for pid in family(self.child.id())? {
            fs::write(format!("/proc/{pid}/clear_refs"), PEAK)?;
        }
        Ok(())
    }
}

/// Resident memory, in bytes. Pages that processes share count for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM first: a program with children of its own must end them.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port on the loopback interface that is free now.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn missing(name: &str) -> io::Error {
    let hint = match name {
        "nginx" | "backends" => "nginx is not installed: apt-get install nginx-light",
        "haproxy" => "haproxy is not installed: apt-get install haproxy",
        _ => "the program does not exist",
    };
    io::Error::new(io::ErrorKind::NotFound, hint)
}

/// A process and its living descendants.
fn family(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut family = vec![pid];
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    for child in children.split_whitespace() {
        family.extend(self::family(child.parse()?)?);
    }
    Ok(family)
}

/// User and system time of a process and its living descendants.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let family = family(pid)?;
    let ticks = family.into_iter().map(own_ticks);
    let ticks: u64 = ticks.sum::<anyhow::Result<_>>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second()))
}

/// In how many ticks a second the kernel counts processor time.
pub(crate) fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// User and system time of a process and its threads, from `/proc`
/// (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
fn own_ticks(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    ticks(&stat).with_context(|| format!("`{path}` is malformed"))
}

/// From `/proc` (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    resident(&status).with_context(|| format!("`{path}` is malformed"))
}

/// The fields `utime` and `stime`, in clock ticks. The name before them may
/// contain anything but ends with the last parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

/// The fields `VmRSS` and `VmHWM`, in KiB.
fn resident(status: &str) -> Option<Memory> {
    let field = |wanted: &str| {
        let mut fields = status.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(name, _)| *name == wanted)?;
        let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib << 10)
    };
    Some(Memory {
        now: field("VmRSS")?,
        peak: field("VmHWM")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_whatever_the_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 8 7 6 120 34 5 6 20 0 1 0 99 1000";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn memory_is_that_which_is_resident() {
        let status = "Name:\ta\nVmPeak:\t  9 kB\nVmHWM:\t    3 kB\nVmRSS:\t    2 kB\n";
        let (now, peak) = (2 << 10, 3 << 10);
        assert_eq!(resident(status), Some(Memory { now, peak }));
        assert_eq!(resident("Name:\ta\n"), None);
    }
}
