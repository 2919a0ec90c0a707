//! A store in memory: nothing survives the process. For tests and for simulation.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    BLOB_BYTES_MAX, Batch, Bytes, Check, CommitResult, Hash, PAGE_ROWS_MAX, Page, Scan, Store, StoreError,
    Table, Write, limit, validate_group, validate_key, validate_rows_max,
};

/// A store that is gone when it is dropped.
#[derive(Default)]
pub struct Memory {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    batch: u64,
    rows: BTreeMap<Table, BTreeMap<Vec<u8>, (u64, Bytes)>>,
    blobs: BTreeMap<(u32, Hash), Bytes>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory::default()
    }

    // A panic under the lock can only be one of the allocator's; what is there then is still whole rows.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, check: &Check) -> bool {
        let found = self.rows.get(&check.table).and_then(|rows| rows.get(&check.key));
        found.map_or(0, |(version, _)| *version) == check.version
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Put { table, key, value } => {
                self.rows.entry(*table).or_default().insert(key.clone(), (0, value.clone()));
            }
            Write::PutVersioned { table, key, value } => {
                self.rows.entry(*table).or_default().insert(key.clone(), (self.batch, value.clone()));
            }
            Write::Delete { table, key } => {
                self.rows.entry(*table).or_default().remove(key);
            }
            Write::DeletePrefix { table, prefix } => {
                self.rows.entry(*table).or_default().retain(|key, _| !key.starts_with(prefix));
            }
        }
    }
}

impl Store for Memory {
    fn incarnation(&self) -> u64 {
        1
    }

    fn commit(&self, group: &[Batch]) -> Result<Vec<CommitResult>, StoreError> {
        validate_group(group)?;
        let mut state = self.write();
        let mut results = Vec::with_capacity(group.len());
        for batch in group {
            if !batch.checks.iter().all(|check| state.holds(check)) {
                results.push(CommitResult::Conflict);
                continue;
            }
            state.batch += 1;
            batch.writes.iter().for_each(|write| state.apply(write));
            results.push(CommitResult::Committed { batch: state.batch });
        }
        Ok(results)
    }

    fn get_versioned(&self, table: Table, key: &[u8]) -> Result<Option<(u64, Bytes)>, StoreError> {
        validate_key(key)?;
        Ok(self.read().rows.get(&table).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(&self, scan: &Scan<'_>) -> Result<Page, StoreError> {
        scan.validate()?;
        let (mut page, mut bytes) = (Page::default(), 0);
        let state = self.read();
        let Some(rows) = state.rows.get(&scan.table) else { return Ok(page) };
        for (key, (version, value)) in rows.range::<[u8], _>((scan.start(), Bound::Unbounded)) {
            if !key.starts_with(scan.prefix) || !scan.add(&mut page, &mut bytes, key, *version, value) {
                break;
            }
        }
        Ok(page)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        Ok(self.read().rows.get(&table).map_or(0, |rows| rows.len() as u64))
    }

    fn put_blob(&self, tenant: u32, bytes: &[u8]) -> Result<Hash, StoreError> {
        limit("a blob, in bytes", BLOB_BYTES_MAX, bytes.len())?;
        let hash = Hash::of(bytes);
        self.write().blobs.insert((tenant, hash), Bytes::copy_from_slice(bytes));
        Ok(hash)
    }

    fn get_blob(&self, tenant: u32, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        Ok(self.read().blobs.get(&(tenant, *hash)).cloned())
    }

    fn delete_blob(&self, tenant: u32, hash: &Hash) -> Result<(), StoreError> {
        self.write().blobs.remove(&(tenant, *hash));
        Ok(())
    }

    fn list_blobs(
        &self,
        tenant: u32,
        after: Option<&Hash>,
        rows_max: usize,
    ) -> Result<Vec<Hash>, StoreError> {
        validate_rows_max(rows_max)?;
        let start = match after {
            Some(after) => Bound::Excluded((tenant, *after)),
            None => Bound::Included((tenant, Hash::from_bytes([0; 32]))),
        };
        let end = Bound::Included((tenant, Hash::from_bytes([0xff; 32])));
        let state = self.read();
        let hashes = state.blobs.range((start, end)).map(|((_, hash), _)| *hash);
        Ok(hashes.take(rows_max.min(PAGE_ROWS_MAX)).collect())
    }
}
