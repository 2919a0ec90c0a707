//! Failure injection: a store that fails when it is told to, exactly then, without clocks or chance.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Batch, Bytes, CommitResult, Hash, Page, Room, Scan, Store, StoreError, Table};

/// A store around another; it does what the inner one does until a fault is set.
pub struct Faulty<S> {
    inner: S,
    faults: Mutex<Faults>,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Faults {
    before: bool,
    after: bool,
    full: bool,
    room: Option<Room>,
    damaged: BTreeMap<(Table, Vec<u8>), Damage>,
}

/// What is wrong with a value that is read.
#[derive(Clone, Copy)]
enum Damage {
    Inverted,
    Short,
    Unreadable,
}

/// A commit that is held back; dropping it releases the commit too.
pub struct Stall(Arc<Gate>);

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum GateState {
    #[default]
    Open,
    Closed,
    Waiting,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: GateState) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    fn wait_while(&self, condition: impl Fn(GateState) -> bool) {
        let state = self.changed.wait_while(self.lock(), |state| condition(*state));
        drop(state.unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes the commit that the gate was closed for through it.
    fn pass(&self) {
        let mut state = self.lock();
        if *state == GateState::Closed {
            *state = GateState::Waiting;
            self.changed.notify_all();
            drop(state);
            self.wait_while(|state| state == GateState::Waiting);
        }
    }
}

impl Stall {
    /// Blocks until a commit is being held back.
    pub fn wait_until_stalled(&self) {
        self.0.wait_while(|state| state != GateState::Waiting);
    }

    /// Lets the commit go on.
    pub fn release(self) {}
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.0.set(GateState::Open);
    }
}

impl<S: Store> Faulty<S> {
    /// Wraps a store, without any fault.
    pub fn new(inner: S) -> Faulty<S> {
        Faulty { inner, faults: Mutex::default(), gate: Arc::default() }
    }

    /// The store inside, without faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The next commit answers [`StoreError::Io`] and nothing of it is applied.
    pub fn fail_next_commit(&self) {
        self.faults().before = true;
    }

    /// The next commit is applied durably, and answers [`StoreError::Io`] all the same.
    pub fn fail_after_next_commit(&self) {
        self.faults().after = true;
    }

    /// The next commit blocks before it applies anything, until the stall is released. One stall at a time.
    #[must_use = "dropping the stall releases it"]
    pub fn stall_next_commit(&self) -> Stall {
        self.gate.set(GateState::Closed);
        Stall(Arc::clone(&self.gate))
    }

    /// While set, commits and new blobs answer [`StoreError::Full`]; reads and deleting blobs go on.
    pub fn set_disk_full(&self, full: bool) {
        self.faults().full = full;
    }

    /// What [`Store::room`] answers; `None` for what the inner store says.
    pub fn set_room(&self, room: Option<Room>) {
        self.faults().room = room;
    }

    /// From now on this key's value, if there is one, is read with its last byte inverted (an empty one as
    /// the byte 0xff).
    pub fn damage(&self, table: Table, key: &[u8]) {
        self.faults().damaged.insert((table, key.to_vec()), Damage::Inverted);
    }

    /// From now on this key's value, if there is one, is read without its last byte, as after a write that
    /// was cut short.
    pub fn shorten(&self, table: Table, key: &[u8]) {
        self.faults().damaged.insert((table, key.to_vec()), Damage::Short);
    }

    /// From now on a look-up of this key answers [`StoreError::Io`]; scans see the value.
    pub fn make_unreadable(&self, table: Table, key: &[u8]) {
        self.faults().damaged.insert((table, key.to_vec()), Damage::Unreadable);
    }

    /// The value of this key is read as it was put again.
    pub fn repair(&self, table: Table, key: &[u8]) {
        self.faults().damaged.remove(&(table, key.to_vec()));
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, table: Table, key: &[u8], value: Bytes) -> Bytes {
        let damage = match self.damage_of(table, key) {
            None | Some(Damage::Unreadable) => return value,
            Some(damage) => damage,
        };
        let mut damaged = value.to_vec();
        let last = damaged.pop().unwrap_or(0);
        if matches!(damage, Damage::Inverted) {
            damaged.push(!last);
        }
        damaged.into()
    }

    fn damage_of(&self, table: Table, key: &[u8]) -> Option<Damage> {
        self.faults().damaged.get(&(table, key.to_vec())).copied()
    }

    fn check_room(&self) -> Result<(), StoreError> {
        if self.faults().full { Err(StoreError::disk_full(Path::new("(injected)"))) } else { Ok(()) }
    }
}

fn injected() -> StoreError {
    StoreError::io("write the tables", Path::new("(injected)"), io::Error::other("injected failure"))
}

impl<S: Store> Store for Faulty<S> {
    fn incarnation(&self) -> u64 {
        self.inner.incarnation()
    }

    fn commit(&self, group: &[Batch]) -> Result<Vec<CommitResult>, StoreError> {
        self.gate.pass();
        if std::mem::take(&mut self.faults().before) {
            return Err(injected());
        }
        self.check_room()?;
        let results = self.inner.commit(group)?;
        if std::mem::take(&mut self.faults().after) {
            return Err(injected());
        }
        Ok(results)
    }

    fn get_versioned(&self, table: Table, key: &[u8]) -> Result<Option<(u64, Bytes)>, StoreError> {
        if matches!(self.damage_of(table, key), Some(Damage::Unreadable)) {
            let error = io::Error::other("injected failure");
            return Err(StoreError::io("read the tables", Path::new("(injected)"), error));
        }
        let found = self.inner.get_versioned(table, key)?;
        Ok(found.map(|(version, value)| (version, self.read(table, key, value))))
    }

    fn scan(&self, scan: &Scan<'_>) -> Result<Page, StoreError> {
        let mut page = self.inner.scan(scan)?;
        for row in &mut page.rows {
            row.value = self.read(scan.table, &row.key, std::mem::take(&mut row.value));
        }
        Ok(page)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.inner.count(table)
    }

    fn room(&self) -> Result<Room, StoreError> {
        let set = self.faults().room.clone();
        set.map_or_else(|| self.inner.room(), Ok)
    }

    fn put_blob(&self, tenant: u32, bytes: &[u8]) -> Result<Hash, StoreError> {
        self.check_room()?;
        self.inner.put_blob(tenant, bytes)
    }

    fn get_blob(&self, tenant: u32, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        self.inner.get_blob(tenant, hash)
    }

    fn delete_blob(&self, tenant: u32, hash: &Hash) -> Result<(), StoreError> {
        self.inner.delete_blob(tenant, hash)
    }

    fn list_blobs(
        &self,
        tenant: u32,
        after: Option<&Hash>,
        rows_max: usize,
    ) -> Result<Vec<Hash>, StoreError> {
        self.inner.list_blobs(tenant, after, rows_max)
    }
}
