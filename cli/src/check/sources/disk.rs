//! The disk.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
};

use flyball_app::document::DOCUMENT_BYTES_MAX;

use super::{Is, Refused, Sources};

/// Files as they are now.
pub(in super::super) struct Disk;

impl Sources for Disk {
    fn is(&self, path: &str) -> Option<Is> {
        let found = fs::metadata(path).ok()?;
        Some(if found.is_dir() { Is::Directory } else { Is::File })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Refused> {
        let file = File::open(path).map_err(|error| refused(&error))?;
        bounded(file)
    }

    fn list(&self, directory: &str) -> Vec<(String, Is)> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let mut listed: Vec<(String, Is)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let kind = entry.file_type().ok()?;
                let is = match (kind.is_dir(), kind.is_file()) {
                    (true, _) => Is::Directory,
                    (_, true) => Is::File,
                    // A link, a pipe, a device.
                    _ => return None,
                };
                Some((entry.file_name().into_string().ok()?, is))
            })
            .collect();
        listed.sort();
        listed
    }

    fn escapes(&self, root: &str, path: &str) -> bool {
        match (fs::canonicalize(root), fs::canonicalize(path)) {
            (Ok(root), Ok(path)) => !path.starts_with(Path::new(&root)),
            _ => true,
        }
    }
}

/// Standard input.
pub(super) fn standard_input() -> Result<Vec<u8>, Refused> {
    bounded(std::io::stdin().lock())
}

pub(super) fn bounded(from: impl Read) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX);
    from.take(limit + 1).read_to_end(&mut bytes).map_err(|error| refused(&error))?;
    if bytes.len() > DOCUMENT_BYTES_MAX { Err(Refused::TooLarge) } else { Ok(bytes) }
}

fn refused(error: &std::io::Error) -> Refused {
    match error.kind() {
        ErrorKind::NotFound => Refused::Missing,
        _ => Refused::Other(error.to_string()),
    }
}
