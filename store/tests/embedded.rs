//! What only the embedded store does: reopening, the lock, the format, damage and a full map.
#![expect(clippy::panic, reason = "helpers of tests: a panic fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use flyball_store::conformance::{batch, page, put};
use flyball_store::embedded::{Embedded, FORMAT, Options};
use flyball_store::{CommitResult, Store, StoreError, Table, Write};

fn version(result: CommitResult) -> u64 {
    match result {
        CommitResult::Committed { batch } => batch,
        CommitResult::Conflict => panic!("conflict"),
    }
}

#[test]
fn reopening_finds_everything_and_counts_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data");
    let mut last = 0;
    let mut blob = None;
    for incarnation in 1..=3 {
        let store = Embedded::open(&dir, Options::default()).unwrap();
        assert_eq!(store.incarnation(), incarnation);
        if let Some(hash) = blob {
            assert_eq!(store.get_blob(3, &hash).unwrap().unwrap(), &b"blob"[..]);
            let (found, value) = store.get_versioned(Table::KeyValue, b"k").unwrap().unwrap();
            assert_eq!((found, &value[..]), (last, &b"v"[..]));
        }
        blob = Some(store.put_blob(3, b"blob").unwrap());
        let next = version(store.commit(&[batch([put(Table::KeyValue, b"k", b"v")])]).unwrap()[0]);
        assert!(next > last);
        last = next;
    }
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_second_open_is_refused_and_names_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    let error = Embedded::open(dir.path(), Options::default()).err().unwrap();
    assert!(
        matches!(&error, StoreError::Locked { pid: Some(pid), .. } if *pid == std::process::id()),
        "{error}"
    );
    drop(store);
    Embedded::open(dir.path(), Options::default()).unwrap();
}

#[test]
fn other_formats_and_other_directories_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("photo.jpg"), b"not ours").unwrap();
    let open = || Embedded::open(dir.path(), Options::default());
    assert!(matches!(open(), Err(StoreError::Damaged { .. })));
    fs::remove_file(dir.path().join("photo.jpg")).unwrap();
    drop(open().unwrap());
    fs::write(dir.path().join("format"), b"7\n").unwrap();
    assert!(matches!(open(), Err(StoreError::Format { found: 7, supported: FORMAT })));
    fs::write(dir.path().join("format"), b"seven").unwrap();
    assert!(matches!(open(), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_damaged_blob_is_an_error_until_it_is_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    let hash = store.put_blob(5, b"as it was").unwrap();
    let name = hash.to_string();
    let path = dir.path().join("blobs/5").join(&name[..2]).join(&name);
    fs::write(&path, b"as it wAs").unwrap();
    let error = store.get_blob(5, &hash).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { place, .. } if place.ends_with(&name)), "{error}");
    store.put_blob(5, b"as it was").unwrap();
    assert_eq!(store.get_blob(5, &hash).unwrap().unwrap(), &b"as it was"[..]);
}

#[test]
fn a_damaged_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    drop(Embedded::open(dir.path(), Options::default()).unwrap());
    fs::write(dir.path().join("tables/data.mdb"), [0x5a; 65536]).unwrap();
    let error = Embedded::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_full_map_applies_nothing_and_a_larger_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { map_bytes_max: 1 << 20, ..Options::default() };
    let store = Embedded::open(dir.path(), small).unwrap();
    let group = [batch([put(Table::Meta, b"first", b"")]), batch([put(Table::Bodies, b"b", &[1; 2 << 20])])];
    let error = store.commit(&group).unwrap_err();
    assert!(matches!(&error, StoreError::Full { help, .. } if help.contains("map_bytes_max")), "{error}");
    assert_eq!(page(&store, Table::Meta, b"").rows, []);
    drop(store);
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    store.commit(&group).unwrap();
    store.commit(&[batch([Write::Delete { table: Table::Meta, key: b"first".to_vec() }])]).unwrap();
    assert_eq!(store.count(Table::Bodies).unwrap(), 1);
}
