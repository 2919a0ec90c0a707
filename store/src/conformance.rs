//! What every backend must do. A backend's tests call [`run`] with a way to get a new, empty store.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test suite: a panic is how it says that a backend does not conform"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{
    BLOB_BYTES_MAX, Batch, Bytes, Check, CommitResult, GROUP_BYTES_MAX, Hash, KEY_BYTES_MAX, Page, Scan,
    Store, StoreError, Table, VALUE_BYTES_MAX, Write,
};

/// Runs every case, each on stores of its own.
///
/// # Panics
/// When the backend does not conform.
pub fn run<S: Store + 'static>(new: &dyn Fn() -> S) {
    tables_are_apart(&new());
    writes_apply_in_order(&new());
    checks_guard_a_batch(&new());
    checks_see_earlier_batches(&new());
    versions_only_grow(&new());
    pages_end_where_the_limits_say(&new());
    prefixes_of_0xff(&new());
    limits_refuse_before_writing(&new());
    misuse_is_refused_before_writing(&new());
    blobs_belong_to_a_tenant(&new());
    blobs_are_listed_in_pages(&new());
    readers_see_whole_groups(Arc::new(new()));
    agrees_with_a_model(new);
}

/// A put, into whichever kind of table.
pub fn put(table: Table, key: &[u8], value: &[u8]) -> Write {
    let (key, value) = (key.to_vec(), Bytes::copy_from_slice(value));
    if table.versioned() {
        Write::PutVersioned { table, key, value }
    } else {
        Write::Put { table, key, value }
    }
}

/// A batch without checks.
pub fn batch(writes: impl IntoIterator<Item = Write>) -> Batch {
    Batch { checks: Vec::new(), writes: writes.into_iter().collect() }
}

/// Every row below a prefix, up to the limits of a page.
pub fn page(store: &dyn Store, table: Table, prefix: &[u8]) -> Page {
    store.scan(&Scan { table, prefix, after: None, rows_max: usize::MAX, bytes_max: usize::MAX }).unwrap()
}

fn checked(key: &[u8], version: u64, value: &[u8]) -> Batch {
    let table = Table::KeyValue;
    Batch { checks: vec![Check { table, key: key.to_vec(), version }], writes: vec![put(table, key, value)] }
}

fn keys(page: &Page) -> Vec<&[u8]> {
    page.rows.iter().map(|row| &row.key[..]).collect()
}

fn committed(result: CommitResult) -> u64 {
    match result {
        CommitResult::Committed { batch } => batch,
        CommitResult::Conflict => unreachable!("a batch that should apply had a conflict"),
    }
}

fn tables_are_apart(store: &dyn Store) {
    let writes = Table::ALL.map(|table| put(table, b"key", table.name().as_bytes()));
    store.commit(&[batch(writes)]).unwrap();
    for table in Table::ALL {
        assert_eq!(store.get(table, b"key").unwrap().unwrap(), table.name().as_bytes());
        assert_eq!(store.get(table, b"ke").unwrap(), None);
        assert_eq!(store.count(table).unwrap(), 1);
    }
    store.commit(&[batch([Write::Delete { table: Table::Events, key: b"key".to_vec() }])]).unwrap();
    for table in Table::ALL {
        assert_eq!(store.count(table).unwrap(), u64::from(table != Table::Events));
    }
}

fn writes_apply_in_order(store: &dyn Store) {
    let clear = |prefix: &[u8]| Write::DeletePrefix { table: Table::Events, prefix: prefix.to_vec() };
    let delete = |key: &[u8]| Write::Delete { table: Table::Events, key: key.to_vec() };
    let first = batch([put(Table::Events, b"a1", b"old"), put(Table::Events, b"b1", b""), delete(b"absent")]);
    let second = batch([
        clear(b"a"),
        put(Table::Events, b"a1", b"new"),
        put(Table::Events, b"a2", b"x"),
        delete(b"a2"),
    ]);
    store.commit(&[first, second]).unwrap();
    assert_eq!(keys(&page(store, Table::Events, b"")), [b"a1", b"b1"]);
    assert_eq!(store.get(Table::Events, b"a1").unwrap().unwrap(), &b"new"[..]);
    assert_eq!(store.get(Table::Events, b"b1").unwrap().unwrap(), &b""[..]);
    store.commit(&[batch([clear(b"")])]).unwrap();
    assert_eq!(store.count(Table::Events).unwrap(), 0);
    assert_eq!(store.commit(&[]).unwrap(), []);
}

fn checks_guard_a_batch(store: &dyn Store) {
    let first = committed(store.commit(&[checked(b"k", 0, b"one")]).unwrap()[0]);
    assert_eq!(
        store.get_versioned(Table::KeyValue, b"k").unwrap(),
        Some((first, Bytes::from_static(b"one")))
    );
    let mut stale = checked(b"k", 0, b"two");
    stale.writes.push(put(Table::Events, b"side", b"effect"));
    let mut half = checked(b"k", first, b"three");
    half.checks.push(Check { table: Table::KeyValue, key: b"other".to_vec(), version: 9 });
    let beside = batch([put(Table::Events, b"beside", b"applies")]);
    let results = store.commit(&[stale, half, beside]).unwrap();
    assert_eq!(results[..2], [CommitResult::Conflict; 2]);
    assert!(committed(results[2]) > first);
    assert_eq!(store.get(Table::KeyValue, b"k").unwrap().unwrap(), &b"one"[..]);
    assert_eq!(keys(&page(store, Table::Events, b"")), [b"beside"]);
}

fn checks_see_earlier_batches(store: &dyn Store) {
    let results = store.commit(&[checked(b"k", 0, b"one"), checked(b"k", 0, b"two")]).unwrap();
    let first = committed(results[0]);
    assert_eq!(results[1], CommitResult::Conflict);
    let delete = batch([Write::DeletePrefix { table: Table::KeyValue, prefix: b"k".to_vec() }]);
    let results = store.commit(&[delete, checked(b"k", first, b"three"), checked(b"k", 0, b"four")]).unwrap();
    assert_eq!(results[1], CommitResult::Conflict);
    let row = &page(store, Table::KeyValue, b"").rows[0];
    assert_eq!((row.version, &row.value[..]), (committed(results[2]), &b"four"[..]));
}

fn versions_only_grow(store: &dyn Store) {
    let mut last = 0;
    for _ in 0..3 {
        // Deleted and put again, a key gets no version that it ever had.
        let delete = batch([Write::Delete { table: Table::KeyValue, key: b"k".to_vec() }]);
        for result in store.commit(&[batch([put(Table::KeyValue, b"k", b"same")]), delete]).unwrap() {
            assert!(committed(result) > last);
            last = committed(result);
        }
    }
    assert!(store.incarnation() >= 1);
}

fn pages_end_where_the_limits_say(store: &dyn Store) {
    let names: Vec<[u8; 2]> = (0..10).map(|n| [b'p', n]).collect();
    let around = [put(Table::Bodies, b"o", b"12345678"), put(Table::Bodies, b"q", b"12345678")];
    let writes = names.iter().map(|key| put(Table::Bodies, key, b"12345678"));
    store.commit(&[batch(writes.chain(around))]).unwrap();
    let scan = |after: Option<&[u8]>, rows_max, bytes_max| {
        store.scan(&Scan { table: Table::Bodies, prefix: b"p", after, rows_max, bytes_max }).unwrap()
    };
    let all = scan(None, 10, 100);
    assert_eq!((keys(&all), all.more), (names.iter().map(|key| &key[..]).collect(), false));
    let by_rows = scan(Some(&names[1]), 3, 100);
    assert_eq!((keys(&by_rows), by_rows.more), (names[2..5].iter().map(|key| &key[..]).collect(), true));
    // Ten bytes a row: three fit into 39, and the first is returned into whatever room there is.
    assert_eq!(scan(None, 10, 39).rows.len(), 3);
    let one = scan(None, 10, 0);
    assert_eq!((one.rows.len(), one.more), (1, true));
    assert_eq!(scan(Some(&names[9]), 10, 100), Page::default());
    assert_eq!(scan(Some(b"a"), 10, 100), all);
    assert_eq!(scan(Some(b"z"), 10, 100), Page::default());
    let whole = Scan { table: Table::Bodies, prefix: b"", after: Some(b"p"), rows_max: 1, bytes_max: 100 };
    assert_eq!(keys(&store.scan(&whole).unwrap()), [&names[0]]);
}

fn prefixes_of_0xff(store: &dyn Store) {
    let put_all = [&[0xfe][..], &[0xfe, 0xff], &[0xfe, 0xff, 1], &[0xff], &[0xff, 0xff], &[0xff, 0xff, 7]];
    store.commit(&[batch(put_all.map(|key| put(Table::Dead, key, b"")))]).unwrap();
    let clear = |prefix: &[u8]| batch([Write::DeletePrefix { table: Table::Dead, prefix: prefix.to_vec() }]);
    store.commit(&[clear(&[0xfe, 0xff])]).unwrap();
    assert_eq!(keys(&page(store, Table::Dead, b"")), [put_all[0], put_all[3], put_all[4], put_all[5]]);
    store.commit(&[clear(&[0xff, 0xff])]).unwrap();
    assert_eq!(keys(&page(store, Table::Dead, b"")), [put_all[0], put_all[3]]);
}

fn limits_refuse_before_writing(store: &dyn Store) {
    let longest = vec![b'k'; KEY_BYTES_MAX];
    store
        .commit(&[batch([put(Table::State, &longest, b"v"), put(Table::KeyValue, &longest, b"v")])])
        .unwrap();
    assert_eq!(store.get(Table::KeyValue, &longest).unwrap().unwrap(), &b"v"[..]);
    assert_eq!(keys(&page(store, Table::State, &longest)), [longest]);
    let long = vec![b'k'; KEY_BYTES_MAX + 1];
    let largest = Bytes::from(vec![0; VALUE_BYTES_MAX]);
    let large = vec![0; VALUE_BYTES_MAX + 1];
    let values = GROUP_BYTES_MAX / VALUE_BYTES_MAX;
    let many =
        (0..values).map(|n| Write::Put { table: Table::State, key: vec![n as u8], value: largest.clone() });
    for (writes, limit) in [
        (vec![put(Table::State, &long, b"")], KEY_BYTES_MAX),
        (vec![Write::Delete { table: Table::State, key: long.clone() }], KEY_BYTES_MAX),
        (vec![Write::DeletePrefix { table: Table::State, prefix: long.clone() }], KEY_BYTES_MAX),
        (vec![put(Table::State, b"v", &large)], VALUE_BYTES_MAX),
        (many.collect(), GROUP_BYTES_MAX),
    ] {
        let error = store.commit(&[batch([put(Table::Meta, b"before", b"")]), batch(writes)]).unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { limit: found, .. } if found == limit), "{error}");
    }
    assert!(matches!(store.get(Table::State, &long), Err(StoreError::TooLarge { .. })));
    let blob = store.put_blob(1, &vec![0; BLOB_BYTES_MAX + 1]);
    assert!(matches!(blob, Err(StoreError::TooLarge { limit: BLOB_BYTES_MAX, .. })));
    assert_eq!(store.count(Table::Meta).unwrap(), 0);
}

fn misuse_is_refused_before_writing(store: &dyn Store) {
    let (key, value) = (b"k".to_vec(), Bytes::new());
    let check = Check { table: Table::Events, key: key.clone(), version: 0 };
    for wrong in [
        batch([put(Table::Events, b"", b"v")]),
        batch([Write::Put { table: Table::KeyValue, key: key.clone(), value: value.clone() }]),
        batch([Write::PutVersioned { table: Table::Events, key, value }]),
        Batch { checks: vec![check], writes: Vec::new() },
    ] {
        let error = store.commit(&[batch([put(Table::Meta, b"before", b"")]), wrong]).unwrap_err();
        assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    }
    let nothing = Scan { table: Table::Meta, prefix: b"", after: None, rows_max: 0, bytes_max: 1 };
    assert!(matches!(store.scan(&nothing), Err(StoreError::Invalid { .. })));
    assert!(matches!(store.list_blobs(1, None, 0), Err(StoreError::Invalid { .. })));
    assert!(matches!(store.get(Table::Meta, b""), Err(StoreError::Invalid { .. })));
    assert_eq!(store.count(Table::Meta).unwrap(), 0);
}

fn blobs_belong_to_a_tenant(store: &dyn Store) {
    let bytes = b"the same bytes of two tenants";
    let hash = store.put_blob(1, bytes).unwrap();
    assert_eq!(hash, Hash::of(bytes));
    assert_eq!(store.put_blob(1, bytes).unwrap(), hash);
    assert_eq!(store.get_blob(2, &hash).unwrap(), None);
    store.put_blob(2, bytes).unwrap();
    store.delete_blob(1, &hash).unwrap();
    store.delete_blob(1, &hash).unwrap();
    assert_eq!(store.get_blob(1, &hash).unwrap(), None);
    assert_eq!(store.get_blob(2, &hash).unwrap().unwrap(), &bytes[..]);
    let empty = store.put_blob(u32::MAX, b"").unwrap();
    assert_eq!(store.get_blob(u32::MAX, &empty).unwrap().unwrap(), &b""[..]);
}

fn blobs_are_listed_in_pages(store: &dyn Store) {
    let mut hashes: Vec<Hash> = (0..40_u8).map(|n| store.put_blob(7, &[n]).unwrap()).collect();
    store.put_blob(8, b"another tenant's").unwrap();
    hashes.sort();
    let mut listed = Vec::new();
    loop {
        let page = store.list_blobs(7, listed.last(), 7).unwrap();
        listed.extend(&page);
        if page.len() < 7 {
            break;
        }
    }
    assert_eq!(listed, hashes);
    assert_eq!(store.list_blobs(9, None, 7).unwrap(), []);
    assert_eq!(store.list_blobs(7, Some(&Hash::from_bytes([0xff; 32])), 7).unwrap(), []);
}

/// A reader beside the writer sees all of a group or nothing, and never goes back.
fn readers_see_whole_groups(store: Arc<dyn Store>) {
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        thread::spawn(move || {
            let mut last = Bytes::new();
            loop {
                let finished = done.load(Ordering::Acquire);
                let rows = page(&*store, Table::Counters, b"").rows;
                if let [first, second] = &rows[..] {
                    assert_eq!(first.value, second.value);
                    assert!(first.value >= last);
                    last = first.value.clone();
                } else {
                    assert!(rows.is_empty());
                }
                if finished {
                    return last;
                }
            }
        })
    };
    for n in 1..=100_u8 {
        store.commit(&[b"a", b"b"].map(|key| batch([put(Table::Counters, key, &[n])]))).unwrap();
    }
    done.store(true, Ordering::Release);
    assert_eq!(reader.join().unwrap(), &[100][..]);
}

type Model = BTreeMap<(Table, Vec<u8>), (u64, Vec<u8>)>;

/// A check is drawn as a key and whether it asks for the true version; a write as (kind, table, key, value).
type Drawn = (Vec<(Vec<u8>, bool)>, Vec<(u8, Table, Vec<u8>, u8)>);

/// Random groups do to the store what they do to a map, and pages add up to the whole.
fn agrees_with_a_model<S: Store>(new: &dyn Fn() -> S) {
    // Few and short keys of extreme bytes, so that keys meet and prefixes nest.
    let byte = || prop::sample::select(vec![0, 1, b'a', 0xfe, 0xff]);
    let key = || prop::collection::vec(byte(), 1..4);
    let table = prop::sample::select(vec![Table::Events, Table::Bodies, Table::KeyValue, Table::KeyValue]);
    let checks = prop::collection::vec((key(), prop::bool::weighted(0.8)), 0..3);
    let writes = prop::collection::vec((0..8_u8, table, key(), any::<u8>()), 0..6);
    let groups = prop::collection::vec(prop::collection::vec((checks, writes), 0..5), 1..8);
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&(groups, 1..5_usize), |(groups, rows_max)| {
        let (store, mut model, mut last) = (new(), Model::new(), 0);
        for drawn in groups {
            let mut expected = Vec::new();
            let group: Vec<Batch> = drawn
                .into_iter()
                .map(|drawn| {
                    let (batch, result) = model_batch(&mut model, &mut last, drawn);
                    expected.push(result);
                    batch
                })
                .collect();
            prop_assert_eq!(store.commit(&group).unwrap(), expected);
            for table in [Table::Events, Table::Bodies, Table::KeyValue] {
                for prefix in [&[][..], &[0], &[0xff], &[0xff, 0xff], b"a"] {
                    prop_assert_eq!(
                        scan_all(&store, table, prefix, rows_max),
                        model_scan(&model, table, prefix)
                    );
                }
                let count = model_scan(&model, table, b"").len() as u64;
                prop_assert_eq!(store.count(table).unwrap(), count);
            }
        }
        Ok(())
    });
    assert!(result.is_ok(), "the store and the model disagree: {}", result.unwrap_err());
}

/// Builds a batch, applies it to the model and says what the store must answer.
fn model_batch(model: &mut Model, last: &mut u64, (checks, writes): Drawn) -> (Batch, CommitResult) {
    let table = Table::KeyValue;
    let mut holds = true;
    let checks = checks.into_iter().map(|(key, truly)| {
        let version = model.get(&(table, key.clone())).map_or(0, |(version, _)| *version);
        holds = holds && truly;
        Check { table, key, version: if truly { version } else { version + 1 } }
    });
    let checks = checks.collect();
    let writes: Vec<Write> = writes
        .into_iter()
        .map(|(kind, table, key, value)| match kind {
            0 => Write::DeletePrefix { table, prefix: key },
            1 | 2 => Write::Delete { table, key },
            // Of sizes that a backend may keep in one way or another.
            _ if table == Table::Bodies => put(table, &key, &vec![value; usize::from(value) * 24]),
            _ => put(table, &key, &[value]),
        })
        .collect();
    let batch = Batch { checks, writes };
    if !holds {
        return (batch, CommitResult::Conflict);
    }
    *last += 1;
    for write in batch.writes.iter().cloned() {
        match write {
            Write::Put { table, key, value } => drop(model.insert((table, key), (0, value.to_vec()))),
            Write::PutVersioned { table, key, value } => {
                drop(model.insert((table, key), (*last, value.to_vec())))
            }
            Write::Delete { table, key } => drop(model.remove(&(table, key))),
            Write::DeletePrefix { table, prefix } => {
                model.retain(|(of, key), _| *of != table || !key.starts_with(&prefix));
            }
        }
    }
    (batch, CommitResult::Committed { batch: *last })
}

fn model_scan(model: &Model, table: Table, prefix: &[u8]) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    let rows = model.iter().filter(|((of, key), _)| *of == table && key.starts_with(prefix));
    rows.map(|((_, key), (version, value))| (key.clone(), *version, value.clone())).collect()
}

fn scan_all(store: &dyn Store, table: Table, prefix: &[u8], rows_max: usize) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    let mut rows: Vec<(Vec<u8>, u64, Vec<u8>)> = Vec::new();
    loop {
        let after = rows.last().map(|(key, _, _)| &key[..]);
        let page = store.scan(&Scan { table, prefix, after, rows_max, bytes_max: usize::MAX }).unwrap();
        rows.extend(page.rows.into_iter().map(|row| (row.key, row.version, row.value.to_vec())));
        if !page.more {
            return rows;
        }
    }
}
