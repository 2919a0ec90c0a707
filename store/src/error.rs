//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store refused or failed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another open in this one, has the directory.
    #[error(
        "the data directory {} is in use by process {}: stop it, or give this process another directory",
        dir.display(),
        pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds it, if it has already written its id.
        pid: Option<u32>,
    },
    /// The data was written in another format.
    #[error(
        "the data has format {found} and this version reads format {supported}: use the version of flyball \
         that wrote it, or restore a backup of format {supported}"
    )]
    Format {
        /// The format of the data.
        found: u32,
        /// The format that this version reads and writes.
        supported: u32,
    },
    /// No room: on the disk, or in the map that bounds the database.
    #[error("no room for {what}: {help}")]
    Full {
        /// What was being written.
        what: String,
        /// What to do.
        help: String,
    },
    /// Stored data is not what was written.
    #[error("{what} is damaged, in {place}: check the disk, then restore this from a backup")]
    Damaged {
        /// What is damaged, and how.
        what: String,
        /// The file, or the table and key.
        place: String,
    },
    /// The operating system refused.
    #[error(
        "could not {what} in {}: {source}; check the disk and the permissions, then open again",
        path.display()
    )]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Above a fixed limit; nothing was written.
    #[error("{what}: the limit is {limit} and this has {value}; make it smaller or split it")]
    TooLarge {
        /// What is limited, with its unit.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// The value that was given.
        value: usize,
    },
    /// A request that no store accepts; nothing was written.
    #[error("invalid request to the store: {what}; correct the caller")]
    Invalid {
        /// What is wrong, and what would be right.
        what: String,
    },
}

impl StoreError {
    /// An I/O error on a path; a full disk or quota becomes [`StoreError::Full`].
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> StoreError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::disk_full(path),
            _ => StoreError::Io { what, path: path.to_owned(), source },
        }
    }

    pub(crate) fn disk_full(path: &Path) -> StoreError {
        StoreError::Full {
            what: path.display().to_string(),
            help: "the disk or its quota is full; free some space, then open again".to_owned(),
        }
    }
}
