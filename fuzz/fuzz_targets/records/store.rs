//! Arbitrary groups, look-ups and scans: the memory backend against a model written from the trait's text, and
//! the embedded one against the memory backend where a directory in memory is at hand.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use arbitrary::{Arbitrary, Unstructured};
use flyball_store::{
    Batch, Bytes, Check, CommitResult, KEY_BYTES_MAX, PAGE_ROWS_MAX, Scan, Store, StoreError, Table, Write,
    embedded::{Embedded, Options},
    memory::Memory,
};

/// One embedded store for all inputs: emptied before each. `None` where there is no directory in memory.
static EMBEDDED: LazyLock<Option<(Embedded, Directory)>> = LazyLock::new(|| {
    let base = Path::new("/dev/shm");
    let path = base.is_dir().then(|| base.join(format!("flyball-fuzz-{}", std::process::id())))?;
    let directory = Directory(path);
    let options = Options { map_bytes_max: 256 << 20, ..Options::default() };
    let store = Embedded::open(&directory.0, options).expect("a new store opens");
    Some((store, directory))
});

struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Arbitrary, Debug)]
enum Op {
    Commit(Vec<(Vec<(Key, u8, u8)>, Vec<AnyWrite>)>),
    Get(u8, Key),
    Scan { table: u8, prefix: Key, after: Option<Key>, rows: u16, bytes: u16 },
}

#[derive(Arbitrary, Debug)]
enum AnyWrite {
    Put(u8, Key, Vec<u8>),
    PutVersioned(u8, Key, Vec<u8>),
    Delete(u8, Key),
    DeletePrefix(u8, Key),
}

/// Short and often the same, now and then too long.
#[derive(Debug)]
struct Key(Vec<u8>);

impl<'a> Arbitrary<'a> for Key {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let length = match u8::arbitrary(u)? {
            byte @ 0..=249 => usize::from(byte % 5),
            250..=252 => KEY_BYTES_MAX,
            _ => KEY_BYTES_MAX + 1,
        };
        if length > 4 {
            return Ok(Key(vec![u8::arbitrary(u)? % 3; length]));
        }
        (0..length)
            .map(|_| Ok([0, 1, 2, 0xff][usize::from(u8::arbitrary(u)? % 4)]))
            .collect::<Result<_, _>>()
            .map(Key)
    }
}

type Rows = BTreeMap<(Table, Vec<u8>), (u64, Vec<u8>)>;

#[derive(Default)]
struct Model {
    rows: Rows,
    batch: u64,
}

fn table(byte: u8) -> Table {
    // Half of all writes meet in the versioned table.
    if byte >= 128 { Table::KeyValue } else { Table::ALL[usize::from(byte) % Table::ALL.len()] }
}

pub fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let (memory, mut model) = (Memory::new(), Model::default());
    let embedded = EMBEDDED.as_ref().map(|(store, _)| store);
    let mut first = None;
    if let Some(store) = embedded {
        let writes = Table::ALL.map(|table| Write::DeletePrefix { table, prefix: Vec::new() });
        let done = store.commit(&[Batch { checks: Vec::new(), writes: writes.to_vec() }]).expect("emptied");
        let [CommitResult::Committed { batch }] = done[..] else { unreachable!("no check, no conflict") };
        first = Some(batch);
    }
    for _ in 0..24 {
        let Ok(op) = Op::arbitrary(&mut u) else { break };
        match op {
            Op::Commit(group) => commit(group, &memory, &mut model, embedded.zip(first)),
            Op::Get(which, key) => get(table(which), &key.0, &memory, &model),
            Op::Scan { table: which, prefix, after, rows, bytes } => {
                let scan = Scan {
                    table: table(which),
                    prefix: &prefix.0,
                    after: after.as_ref().map(|key| key.0.as_slice()),
                    rows_max: usize::from(rows),
                    bytes_max: usize::from(bytes),
                };
                let found = memory.scan(&scan);
                scanned(&scan, &found, &model);
                if let Some(store) = embedded {
                    same(&scan, found, store.scan(&scan), first.unwrap_or(0));
                }
            }
        }
        if u.is_empty() {
            break;
        }
    }
    for table in Table::ALL {
        let rows = model.rows.keys().filter(|(of, _)| *of == table).count() as u64;
        assert_eq!(memory.count(table).expect("a count"), rows);
        assert!(embedded.is_none_or(|store| store.count(table).expect("a count") == rows));
    }
}

fn commit(
    group: Vec<(Vec<(Key, u8, u8)>, Vec<AnyWrite>)>,
    memory: &Memory,
    model: &mut Model,
    embedded: Option<(&Embedded, u64)>,
) {
    let batch = |shift: u64| {
        let checks = |(key, which, version): &(Key, u8, u8)| Check {
            table: if *which < 250 { Table::KeyValue } else { Table::Meta },
            key: key.0.clone(),
            version: if *version == 0 { 0 } else { u64::from(*version) + shift },
        };
        group
            .iter()
            .map(|(c, w)| Batch {
                checks: c.iter().map(checks).collect(),
                writes: w.iter().map(write).collect(),
            })
            .collect::<Vec<_>>()
    };
    let plain = batch(0);
    let result = memory.commit(&plain);
    match &result {
        Ok(results) => assert_eq!(results, &model.commit(&plain), "{plain:?}"),
        Err(error) => {
            let allowed = matches!(error, StoreError::TooLarge { .. } | StoreError::Invalid { .. });
            assert!(allowed && wrong(&plain), "{error} {plain:?}");
        }
    }
    if let Some((store, first)) = embedded {
        // Its numbers go on from input to input.
        let shifted = |result: &CommitResult| match result {
            CommitResult::Committed { batch } => CommitResult::Committed { batch: batch + first },
            CommitResult::Conflict => CommitResult::Conflict,
        };
        let own = store.commit(&batch(first));
        match (result, own) {
            (Ok(results), Ok(own)) => assert_eq!(results.iter().map(shifted).collect::<Vec<_>>(), own),
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
            (a, b) => panic!("memory says {a:?}, the embedded store {b:?}"),
        }
    }
}

fn write(any: &AnyWrite) -> Write {
    let value = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    match any {
        AnyWrite::Put(t, key, v) => Write::Put { table: table(*t), key: key.0.clone(), value: value(v) },
        AnyWrite::PutVersioned(t, key, v) => {
            Write::PutVersioned { table: table(*t), key: key.0.clone(), value: value(v) }
        }
        AnyWrite::Delete(t, key) => Write::Delete { table: table(*t), key: key.0.clone() },
        AnyWrite::DeletePrefix(t, key) => Write::DeletePrefix { table: table(*t), prefix: key.0.clone() },
    }
}

/// Whether the trait's text lets a backend refuse the group.
fn wrong(group: &[Batch]) -> bool {
    let key = |key: &[u8]| key.is_empty() || key.len() > KEY_BYTES_MAX;
    let check = |check: &Check| key(&check.key) || !check.table.versioned();
    let write = |write: &Write| match write {
        Write::Put { table, key: k, .. } => key(k) || table.versioned(),
        Write::PutVersioned { table, key: k, .. } => key(k) || !table.versioned(),
        Write::Delete { key: k, .. } => key(k),
        Write::DeletePrefix { prefix, .. } => prefix.len() > KEY_BYTES_MAX,
    };
    group.iter().any(|b| b.checks.iter().any(check) || b.writes.iter().any(write))
}

impl Model {
    fn commit(&mut self, group: &[Batch]) -> Vec<CommitResult> {
        assert!(!wrong(group), "a group that must be refused was taken: {group:?}");
        let one = |batch: &Batch| {
            let holds =
                |c: &Check| self.rows.get(&(c.table, c.key.clone())).map_or(0, |row| row.0) == c.version;
            if !batch.checks.iter().all(holds) {
                return CommitResult::Conflict;
            }
            self.batch += 1;
            for write in &batch.writes {
                match write {
                    Write::Put { table, key, value } => {
                        self.rows.insert((*table, key.clone()), (0, value.to_vec()));
                    }
                    Write::PutVersioned { table, key, value } => {
                        self.rows.insert((*table, key.clone()), (self.batch, value.to_vec()));
                    }
                    Write::Delete { table, key } => drop(self.rows.remove(&(*table, key.clone()))),
                    Write::DeletePrefix { table, prefix } => {
                        self.rows.retain(|(of, key), _| of != table || !key.starts_with(prefix));
                    }
                }
            }
            CommitResult::Committed { batch: self.batch }
        };
        group.iter().map(one).collect()
    }
}

fn get(table: Table, key: &[u8], memory: &Memory, model: &Model) {
    match memory.get_versioned(table, key) {
        Ok(found) => {
            let found = found.map(|(version, value)| (version, value.to_vec()));
            assert_eq!(found.as_ref(), model.rows.get(&(table, key.to_vec())));
        }
        Err(error) => assert!(key.is_empty() || key.len() > KEY_BYTES_MAX, "{error}"),
    }
}

fn scanned(scan: &Scan<'_>, found: &Result<flyball_store::Page, StoreError>, model: &Model) {
    let page = match found {
        Ok(page) => page,
        Err(error) => {
            let after = scan.after.is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX);
            assert!(after || scan.rows_max == 0 || scan.prefix.len() > KEY_BYTES_MAX, "{error}");
            return;
        }
    };
    let all: Vec<_> = model
        .rows
        .iter()
        .filter(|((table, key), _)| {
            *table == scan.table
                && key.starts_with(scan.prefix)
                && scan.after.is_none_or(|after| key.as_slice() > after)
        })
        .collect();
    assert!(page.rows.len() <= scan.rows_max.min(PAGE_ROWS_MAX) && page.rows.len() <= all.len());
    assert!(page.more == (page.rows.len() < all.len()), "{scan:?}");
    assert!(!page.rows.is_empty() || all.is_empty(), "the first row always fits");
    let bytes: usize = page.rows.iter().map(|row| row.key.len() + row.value.len()).sum();
    assert!(page.rows.len() == 1 || bytes <= scan.bytes_max, "{bytes} bytes, {scan:?}");
    for (row, ((_, key), (version, value))) in page.rows.iter().zip(all) {
        assert_eq!((&row.key, row.version, &row.value[..]), (key, *version, &value[..]));
    }
}

fn same(
    scan: &Scan<'_>,
    memory: Result<flyball_store::Page, StoreError>,
    embedded: Result<flyball_store::Page, StoreError>,
    first: u64,
) {
    match (memory, embedded) {
        (Ok(mut a), Ok(b)) => {
            for row in &mut a.rows {
                row.version += if row.version > 0 { first } else { 0 };
            }
            assert_eq!(a, b, "{scan:?}");
        }
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
        (a, b) => panic!("{scan:?}: memory says {a:?}, the embedded store {b:?}"),
    }
}
