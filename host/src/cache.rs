//! Compiled components on disk, so that the next start need not compile.
//!
//! A file is named by what it is made of and for: the component's bytes, and
//! the engine (its version, settings and processor). It begins with the SHA-256
//! of the rest; one that does not match, or that the engine refuses, is as good
//! as none, and is written anew. Since what it holds is executed, it is only
//! believed if it lies in a directory that belongs to this process's user and
//! that nobody else may write to.

use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;
use std::{fs, process};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// How many files stay: those used last. An upgrade leaves the old ones behind.
const FILES: usize = 8;
const EXTENSION: &str = "cwasm";
const DIGEST: usize = 32;

/// A directory of compiled components.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// In this directory, which is made when it is needed.
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The component of these bytes, compiled for this engine if it is there.
    pub(crate) fn load(&self, engine: &Engine, bytes: &[u8]) -> Option<Component> {
        if !is_ours(&self.directory).ok()? {
            return None;
        }
        let path = self.path(engine, bytes);
        let file = fs::read(&path).ok()?;
        let (digest, compiled) = file.split_at_checked(DIGEST)?;
        if Sha256::digest(compiled)[..] != *digest {
            return None;
        }
        #[expect(
            unsafe_code,
            reason = "the only way not to compile; what is executed was written by this program, \
                      for this engine, where nobody else may write, and is whole"
        )]
        // SAFETY: these are the bytes of `Component::serialize`, as argued above.
        let component = unsafe { Component::deserialize(engine, compiled) }.ok()?;
        // For those who look for the files used last; nothing depends on it.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(component)
    }

    /// Keeps a component. In one piece: whoever reads finds all of it, or none.
    ///
    /// # Errors
    /// It cannot be written, or others could write there, too.
    pub(crate) fn store(
        &self,
        engine: &Engine,
        bytes: &[u8],
        component: &Component,
    ) -> io::Result<()> {
        let compiled = component.serialize().map_err(io::Error::other)?;
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        if !is_ours(&self.directory)? {
            let text = "the directory is not this user's alone to write to";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        // Two threads of one process may store the same component.
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        let path = self.path(engine, bytes);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("{}-{number}", process::id()));
        let written = write(&unfinished, &compiled).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        self.prune();
        Ok(())
    }

    fn path(&self, engine: &Engine, bytes: &[u8]) -> PathBuf {
        let mut key = Key(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut key);
        key.0.update(bytes);
        let name: String = key
            .0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.directory.join(name).with_extension(EXTENSION)
    }

    /// Removes the files used longest ago, whole or never finished.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let used = path.metadata().ok()?.modified().ok()?;
                // Nothing else in the directory is ours to remove.
                let stem = path.file_stem()?.as_encoded_bytes();
                let ours = stem.len() == 2 * DIGEST && stem.iter().all(u8::is_ascii_hexdigit);
                ours.then_some((used, path))
            })
            .collect();
        files.sort_by(|one, other| other.cmp(one));
        for (_, path) in files.into_iter().skip(FILES) {
            // If it is gone, somebody else was faster.
            let _ = fs::remove_file(path);
        }
    }
}

/// Where this user's programs keep what they can make anew: `edgelb` in
/// `$XDG_CACHE_HOME` or `~/.cache`
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>), or the
/// `$CACHE_DIRECTORY` of a service manager; none without a home.
pub fn usual_directory() -> Option<PathBuf> {
    let variable = |name: &str| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    let base = || {
        let home = || variable("HOME").map(|home| home.join(".cache"));
        variable("XDG_CACHE_HOME").or_else(home)
    };
    variable("CACHE_DIRECTORY").or_else(|| base().map(|base| base.join("edgelb")))
}

fn write(path: &Path, compiled: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(&Sha256::digest(compiled))?;
    file.write_all(compiled)
}

/// Whether a directory belongs to this user, who alone may write to it.
fn is_ours(directory: &Path) -> io::Result<bool> {
    let metadata = fs::metadata(directory)?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(metadata.is_dir() && ours && metadata.mode() & 0o022 == 0)
}

/// Hashes into a digest that is the same in each process.
struct Key(Sha256);

impl Hasher for Key {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Nobody asks: the digest is what is wanted.
        0
    }
}
