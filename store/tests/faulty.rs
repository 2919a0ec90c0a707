//! Each fault does what it says, once or until it is lifted.

use std::thread;

use flyball_store::conformance::{batch, page, put};
use flyball_store::faulty::Faulty;
use flyball_store::memory::Memory;
use flyball_store::{Batch, Store, StoreError, Table};

fn one(key: &[u8]) -> [Batch; 1] {
    [batch([put(Table::Events, key, b"value")])]
}

#[test]
fn a_failed_commit_may_or_may_not_be_there() {
    let store = Faulty::new(Memory::new());
    store.fail_next_commit();
    assert!(matches!(store.commit(&one(b"a")), Err(StoreError::Io { .. })));
    assert_eq!(store.count(Table::Events).unwrap(), 0);
    store.fail_after_next_commit();
    assert!(matches!(store.commit(&one(b"a")), Err(StoreError::Io { .. })));
    assert_eq!(store.count(Table::Events).unwrap(), 1);
    store.commit(&one(b"b")).unwrap();
}

#[test]
fn a_stalled_commit_waits_and_readers_do_not() {
    let store = Faulty::new(Memory::new());
    let stall = store.stall_next_commit();
    thread::scope(|scope| {
        let commit = scope.spawn(|| store.commit(&one(b"a")));
        stall.wait_until_stalled();
        assert_eq!(store.count(Table::Events).unwrap(), 0);
        stall.release();
        commit.join().unwrap().unwrap();
    });
    assert_eq!(store.count(Table::Events).unwrap(), 1);
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let store = Faulty::new(Memory::new());
    store.set_disk_full(true);
    assert!(matches!(store.commit(&one(b"a")), Err(StoreError::Full { .. })));
    assert!(matches!(store.put_blob(1, b"blob"), Err(StoreError::Full { .. })));
    store.set_disk_full(false);
    store.commit(&one(b"a")).unwrap();
    store.put_blob(1, b"blob").unwrap();
}

#[test]
fn a_damaged_record_reads_as_other_bytes() {
    let store = Faulty::new(Memory::new());
    store.commit(&[one(b"a"), one(b"b")].concat()).unwrap();
    store.damage(Table::Events, b"a");
    let damaged = store.get(Table::Events, b"a").unwrap().unwrap();
    assert_ne!(damaged, &b"value"[..]);
    assert_eq!(page(&store, Table::Events, b"").rows[0].value, damaged);
    assert_eq!(store.get(Table::Events, b"b").unwrap().unwrap(), &b"value"[..]);
    assert_eq!(store.inner().get(Table::Events, b"a").unwrap().unwrap(), &b"value"[..]);
}

#[test]
fn a_short_record_lacks_its_end_and_an_unreadable_one_is_an_error_until_it_is_repaired() {
    let store = Faulty::new(Memory::new());
    store.commit(&[one(b"a"), one(b"b")].concat()).unwrap();
    store.shorten(Table::Events, b"a");
    store.make_unreadable(Table::Events, b"b");
    assert_eq!(store.get(Table::Events, b"a").unwrap().unwrap(), &b"valu"[..]);
    assert!(matches!(store.get(Table::Events, b"b"), Err(StoreError::Io { .. })));
    store.repair(Table::Events, b"b");
    assert_eq!(store.get(Table::Events, b"b").unwrap().unwrap(), &b"value"[..]);
}
