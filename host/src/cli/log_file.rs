//! The way of logs and recordings to a file or standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use super::report;

/// A file that is appended to, and can be opened anew under way.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    what: &'static str,
    path: PathBuf,
    file: Arc<Mutex<File>>,
    /// What a file that is opened anew begins with.
    header: Arc<OnceLock<String>>,
}

impl LogFile {
    /// Opens the file, or creates it.
    pub(super) fn open(what: &'static str, path: &Path) -> io::Result<Self> {
        Ok(Self {
            what,
            path: path.to_owned(),
            file: Arc::new(Mutex::new(append_to(path)?)),
            header: Arc::default(),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on a file that is opened anew begins with this.
    pub(super) fn begin_with(&self, header: String) {
        // It is said once.
        let _ = self.header.set(header);
    }

    /// Opens the file of this name, whoever may have moved the one before.
    fn reopen(&self) -> io::Result<()> {
        let mut file = append_to(&self.path)?;
        if let Some(header) = self.header.get() {
            file.write_all(header.as_bytes())?;
        }
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Whether these are names of one file, or of one pipe. Terminals and the like
/// are many writers' by nature.
pub(super) fn is_one(path: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        let shared = metadata.file_type().is_char_device();
        (!shared).then(|| (metadata.dev(), metadata.ino()))
    };
    let (path, other) = (identity(path), identity(other));
    path.is_some() && path == other
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells of errors, the first of each streak.
pub(super) struct Watched<W> {
    what: &'static str,
    sink: W,
    failing: bool,
}

impl<W: Write> Watched<W> {
    /// Of what, as it is told.
    pub(super) fn new(what: &'static str, sink: W) -> Self {
        Self {
            what,
            sink,
            failing: false,
        }
    }

    fn note<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        match &done {
            Ok(_) => self.failing = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted || self.failing => {}
            Err(error) => {
                self.failing = true;
                let what = self.what;
                report::line(format_args!("{what} cannot be written: {error}"));
            }
        }
        done
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.sink.write(bytes);
        self.note(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// From now on SIGHUP opens these files anew, if there are any, and does nothing
/// else: who rotates logs moves the file first and signals then.
pub(super) fn reopen_on_hangup(files: Vec<LogFile>) -> io::Result<()> {
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut hangups = {
        let _entered = event_loop.enter();
        signal(SignalKind::hangup())?
    };
    let reopen = async move {
        while hangups.recv().await.is_some() {
            for file in &files {
                if let Err(error) = file.reopen() {
                    let (what, path) = (file.what, file.path.display());
                    report::line(format_args!(
                        "{what} `{path}` cannot be opened anew: {error}"
                    ));
                }
            }
        }
    };
    thread::Builder::new()
        .name("edgelb-hangup".to_owned())
        .spawn(move || event_loop.block_on(reopen))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails as often as is said, then takes everything.
    struct Full(u32);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(1) {
                Some(left) => {
                    self.0 = left;
                    Err(io::ErrorKind::StorageFull.into())
                }
                None => Ok(bytes.len()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_streak_of_errors_ends_with_a_success() {
        let mut sink = Watched::new("the log", Full(2));
        let failing: Vec<_> = (0..4)
            .map(|_| {
                let written = sink.write(b"a line").is_ok();
                assert_eq!(written, !sink.failing);
                sink.failing
            })
            .collect();
        assert_eq!(failing, [true, true, false, false]);
    }
}
