//! The one suite, against every backend of this crate.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic fails the test")]

use flyball_store::conformance;
use flyball_store::embedded::{Embedded, Options};
use flyball_store::faulty::Faulty;
use flyball_store::memory::Memory;
use tempfile::TempDir;

/// New stores below one directory, each in its own.
fn new_embedded(dir: &TempDir) -> Embedded {
    let path = tempfile::tempdir_in(dir.path()).unwrap().keep();
    Embedded::open(&path.join("store"), Options::default()).unwrap()
}

#[test]
fn memory() {
    conformance::run(&Memory::new);
}

#[test]
fn embedded() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run(&|| new_embedded(&dir));
}

#[test]
fn faulty_without_faults() {
    conformance::run(&|| Faulty::new(Memory::new()));
}
