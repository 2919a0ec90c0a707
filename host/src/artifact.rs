//! Compiled components on disk: compiled once, mapped ever after.
//!
//! An entry is `<key>.cwasm` with its checksum in `<key>.sum`. The key is a hash of the component, of
//! Wasmtime's version and of every setting that is baked into the code, so that no entry is ever wrong,
//! only unused. An entry whose checksum does not hold (a crash while it was written, a broken disk) is
//! compiled again. The directory belongs to this process's user alone: whoever can write there can run
//! native code here.

use std::{
    fs::{self, File},
    hash::{Hash, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use wasmtime::{Engine, component::Component};

/// Counted up when what an entry is made of changes.
const FORMAT: &[u8] = b"flyball artifact 1";

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    bytes_max: u64,
    /// Keeps the names of files being written apart.
    written: AtomicU64,
}

/// How a component came to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Compiled just now.
    Compiled,
    /// Mapped from the cache.
    Cached,
}

impl Cache {
    /// Opens a directory, which is made if it is missing. Entries beyond `bytes_max` are removed, oldest
    /// first, when another is added.
    pub(crate) fn open(directory: &Path, bytes_max: u64) -> io::Result<Cache> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
        Ok(Cache { directory: directory.to_owned(), bytes_max, written: AtomicU64::new(0) })
    }

    /// The component of these bytes, from the cache if it is there and whole.
    pub(crate) fn component(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<(Component, Source)> {
        let key = key(engine, bytes);
        let path = self.directory.join(format!("{key}.cwasm"));
        if self.holds(&key, &path) {
            match map(engine, &path) {
                Ok(component) => return Ok((component, Source::Cached)),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a cached artifact can't be mapped");
                }
            }
        }
        let component = Component::from_binary(engine, bytes)?;
        let artifact = component.serialize()?;
        if let Err(error) = self.store(&key, &artifact) {
            // The next start compiles again; this one goes on with what it has.
            tracing::warn!(directory = %self.directory.display(), %error, "an artifact can't be cached");
            return Ok((component, Source::Compiled));
        }
        // The mapped one instead of the one in anonymous memory: its pages are the page cache's.
        Ok((map(engine, &path).unwrap_or(component), Source::Compiled))
    }

    /// Whether the entry is there and is what was written.
    fn holds(&self, key: &str, path: &Path) -> bool {
        let Ok(expected) = fs::read_to_string(self.checksum(key)) else { return false };
        match checksum_of(path) {
            Ok(found) if found == expected => true,
            Ok(_) => {
                tracing::warn!(path = %path.display(), "a cached artifact is damaged; compiling it again");
                false
            }
            Err(_) => false,
        }
    }

    fn checksum(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{key}.sum"))
    }

    fn store(&self, key: &str, artifact: &[u8]) -> io::Result<()> {
        self.make_room(artifact.len() as u64)?;
        // The artifact first: a checksum without it, or an older one, only means compiling again.
        self.write(&self.directory.join(format!("{key}.cwasm")), artifact)?;
        let checksum = blake3::hash(artifact).to_hex();
        self.write(&self.checksum(key), checksum.as_bytes())
    }

    /// Writes a file whole or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let partial = self.directory.join(format!("{}-{number}.partial", std::process::id()));
        fs::write(&partial, bytes)?;
        fs::rename(&partial, path).inspect_err(|_| drop(fs::remove_file(&partial)))
    }

    /// Removes the oldest entries until `bytes` more fit. A mapped file stays mapped when removed.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // One that vanished meanwhile takes no room.
            let Ok(meta) = entry.metadata() else { continue };
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push((modified, entry.path(), meta.len()));
        }
        entries.sort();
        let mut total = entries.iter().map(|(_, _, bytes)| *bytes).fold(bytes, u64::saturating_add);
        for (_, path, bytes) in entries {
            if total <= self.bytes_max {
                break;
            }
            fs::remove_file(&path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            total = total.saturating_sub(bytes);
        }
        Ok(())
    }
}

/// Maps an artifact that [`Cache::store`] wrote.
#[expect(
    unsafe_code,
    reason = "the artifact is our own: its checksum was compared, and nobody else writes there"
)]
fn map(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file was written by `Cache::store` from `Component::serialize`, for this very version
    // and configuration (both are in its name), into a directory of our own; it is replaced by renaming
    // and never written in place, so the mapping can't change.
    unsafe { Component::deserialize_file(engine, path) }
}

fn checksum_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The name of the entry for these bytes under this engine.
fn key(engine: &Engine, bytes: &[u8]) -> String {
    let mut hasher = Blake3(blake3::Hasher::new());
    hasher.0.update(FORMAT);
    // Version, target and settings.
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.update(blake3::hash(bytes).as_bytes());
    hasher.0.finalize().to_hex().to_string()
}

/// Collects what a type hashes. (The usual hasher's 64 bits would be few for a name.)
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut low = [0; 8];
        self.0.finalize_xof().fill(&mut low);
        u64::from_le_bytes(low)
    }
}
