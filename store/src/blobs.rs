//! Blobs as files: `DIR/<tenant>/<first 2 hex digits>/<hash>`, written beside and renamed into place.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{BLOB_BYTES_MAX, Bytes, Hash, PAGE_ROWS_MAX, StoreError, limit, validate_rows_max};

pub(crate) struct Blobs {
    dir: PathBuf,
    written: AtomicU64,
}

impl Blobs {
    /// Opens the directory and removes what writes left half done.
    pub(crate) fn open(dir: PathBuf) -> Result<Blobs, StoreError> {
        create_dir(&dir)?;
        let blobs = Blobs { dir, written: AtomicU64::new(0) };
        let unfinished = blobs.unfinished();
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &unfinished, error));
            }
            _ => create_dir(&unfinished)?,
        }
        sync_dir(&blobs.dir)?;
        Ok(blobs)
    }

    /// Where files are until they are whole. Tenants are numbers, so none has this name.
    fn unfinished(&self) -> PathBuf {
        self.dir.join("unfinished")
    }

    fn path(&self, tenant: u32, hash: &Hash) -> PathBuf {
        let name = hash.to_string();
        let shard: String = name.chars().take(2).collect();
        self.dir.join(tenant.to_string()).join(shard).join(name)
    }

    pub(crate) fn put(&self, tenant: u32, bytes: &[u8]) -> Result<Hash, StoreError> {
        limit("a blob, in bytes", BLOB_BYTES_MAX, bytes.len())?;
        let hash = Hash::of(bytes);
        let path = self.path(tenant, &hash);
        // A damaged file is replaced by the good bytes that are at hand.
        let there = matches!(self.get(tenant, &hash), Ok(Some(_)));
        let mut dirs: Vec<&Path> = path.ancestors().skip(1).take(3).collect();
        if !there {
            dirs.iter().rev().try_for_each(|dir| create_dir(dir))?;
            let number = self.written.fetch_add(1, Ordering::Relaxed);
            let unfinished = self.unfinished().join(number.to_string());
            if let Err(error) = write_file(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &path)) {
                // The first error is the one to report; what stays behind goes at the next open.
                let _ = fs::remove_file(&unfinished);
                return Err(StoreError::io("write a blob", &path, error));
            }
        }
        // All three, even when the file was there: a put that was killed may have synced none of them. An
        // unchanged directory costs next to nothing.
        dirs.drain(..).try_for_each(sync_dir)?;
        Ok(hash)
    }

    pub(crate) fn get(&self, tenant: u32, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(tenant, hash);
        let damaged = |what: String| StoreError::Damaged { what, place: path.display().to_string() };
        let file_bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read a blob", &path, error)),
        };
        if file_bytes > BLOB_BYTES_MAX as u64 {
            return Err(damaged(format!("a blob file of {file_bytes} bytes (limit {BLOB_BYTES_MAX})")));
        }
        match fs::read(&path) {
            Ok(bytes) if Hash::of(&bytes) == *hash => Ok(Some(bytes.into())),
            Ok(bytes) => {
                Err(damaged(format!("a blob of tenant {tenant} whose bytes hash to {}", Hash::of(&bytes))))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read a blob", &path, error)),
        }
    }

    pub(crate) fn delete(&self, tenant: u32, hash: &Hash) -> Result<(), StoreError> {
        let path = self.path(tenant, hash);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::io("delete a blob", &path, error))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn list(
        &self,
        tenant: u32,
        after: Option<&Hash>,
        rows_max: usize,
    ) -> Result<Vec<Hash>, StoreError> {
        validate_rows_max(rows_max)?;
        let rows_max = rows_max.min(PAGE_ROWS_MAX);
        let first_shard = after.map_or(0, |after| after.as_bytes()[0]);
        let mut hashes = Vec::new();
        for shard in first_shard..=u8::MAX {
            let dir = self.dir.join(tenant.to_string()).join(format!("{shard:02x}"));
            let names = match file_names(&dir) {
                Ok(names) => names,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::io("list blobs", &dir, error)),
            };
            // Files that are not named like a hash are not ours.
            let mut found: Vec<Hash> = names.iter().filter_map(|name| Hash::from_hex(name)).collect();
            found.retain(|hash| after.is_none_or(|after| hash > after));
            found.sort_unstable();
            hashes.extend(found.into_iter().take(rows_max - hashes.len()));
            if hashes.len() == rows_max {
                break;
            }
        }
        Ok(hashes)
    }
}

fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(dir)?;
    entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes a small file durably as a whole, or not at all.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let unfinished = path.with_extension("unfinished");
    let result = match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => write_file(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path)),
    };
    result.map_err(|error| StoreError::io("write", path, error))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Creates a directory that only its owner may enter; one that exists stays as it is.
pub(crate) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(error) => Err(StoreError::io("create the directory", dir, error)),
    }
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let sync = File::open(dir).and_then(|file| file.sync_all());
    sync.map_err(|error| StoreError::io("sync the directory", dir, error))
}
