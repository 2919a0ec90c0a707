//! The embedded store: LMDB for the tables, files for the blobs, one directory, nothing to install.
//!
//! ```text
//! DIR/lock        locked while a process has the store open; holds its id
//! DIR/format      the format's number; checked before anything else is read
//! DIR/tables/     LMDB: a database for each table, one of our own for the numbers that never come back, and those of
//!                 embedded/packs.rs
//! DIR/blobs/      see blobs.rs
//! ```

mod packs;

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use heed::types::Bytes as Raw;
use heed::{CommitOrAbort, Env, EnvOpenOptions, MdbError, RoTxn, RwTxn, WithoutTls};

use self::packs::{Packing, Packs, Way};
use crate::blobs::{Blobs, create_dir, replace_file, sync_dir};
use crate::{
    Batch, Bytes, Check, CommitResult, Hash, Page, Room, Scan, Store, StoreError, Table, Write,
    validate_group, validate_key,
};

/// The on-disk format that this version reads and writes.
pub const FORMAT: u32 = 2;

/// Our own database; no table has this name.
const NUMBERS: &str = "numbers";
const BATCH: &[u8] = b"batch";
const INCARNATION: &[u8] = b"incarnation";
const VERSION_BYTES: usize = size_of::<u64>();
/// Around the values of a group, at most in practice.
const WRITE_BESIDES_BYTES: u64 = 4 << 20;

type Rows = heed::Database<'static, Raw, Raw>;

/// How to open an embedded store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most bytes that the tables may take on disk. Only address space is reserved, so make it generous.
    /// Rounded up to 1 MiB. Default: 64 GiB.
    pub map_bytes_max: usize,
    /// The most reads at one moment; one more is an error. Default: 1,024.
    pub readers_max: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { map_bytes_max: 64 << 30, readers_max: 1024 }
    }
}

/// A store in one directory of this machine.
pub struct Embedded {
    // Fields drop in this order: the lock goes last, when nothing is open any more.
    env: Env<WithoutTls>,
    tables: [Rows; Table::ALL.len()],
    numbers: Rows,
    packs: Packs,
    blobs: Blobs,
    incarnation: u64,
    tables_dir: PathBuf,
    map_bytes_max: usize,
    _lock: File,
}

impl Embedded {
    /// Opens the store in `dir`, which is created (mode 0700) if it is absent, and counts the incarnation up.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Format`], [`StoreError::Damaged`] (also when `dir` holds
    /// something else), [`StoreError::Full`], [`StoreError::Io`].
    pub fn open(dir: &Path, options: Options) -> Result<Embedded, StoreError> {
        create_dir(dir)?;
        let lock = take_lock(dir)?;
        check_format(dir)?;
        let tables_dir = dir.join("tables");
        create_dir(&tables_dir)?;
        let blobs = Blobs::open(dir.join("blobs"))?;
        let map_bytes_max = options.map_bytes_max.max(1).next_multiple_of(1 << 20);
        let fail = |error| tables_error("open the tables", &tables_dir, map_bytes_max, error);
        let mut builder = EnvOpenOptions::new().read_txn_without_tls();
        builder
            .map_size(map_bytes_max)
            .max_readers(options.readers_max)
            .max_dbs(Table::ALL.len() as u32 + 1 + packs::DATABASES.len() as u32);
        #[expect(
            unsafe_code,
            reason = "LMDB maps a file that must not change under it: only LMDB writes below this directory, \
                      and the exclusive lock that we hold keeps a second open out, in this process or another"
        )]
        let env = unsafe { builder.open(&tables_dir) }.map_err(fail)?;
        let (tables, numbers, packs) = open_databases(&env).map_err(fail)?;
        let mut store = Embedded {
            env,
            tables,
            numbers,
            packs,
            blobs,
            incarnation: 0,
            tables_dir,
            map_bytes_max,
            _lock: lock,
        };
        store.incarnation = store.count_incarnation()?;
        [&store.tables_dir, dir]
            .into_iter()
            .chain(dir.parent().filter(|dir| dir.is_dir()))
            .try_for_each(sync_dir)?;
        Ok(store)
    }

    fn count_incarnation(&self) -> Result<u64, StoreError> {
        let fail = |error| self.error("count the incarnation up", error);
        let mut txn = self.env.write_txn().map_err(fail)?;
        let incarnation = self.number(&txn, INCARNATION)? + 1;
        self.numbers.put(&mut txn, INCARNATION, &incarnation.to_be_bytes()).map_err(fail)?;
        txn.commit().map_err(fail)?;
        Ok(incarnation)
    }

    /// A number of ours; 0 until it is first written.
    fn number(&self, txn: &RoTxn<'_, heed::AnyTls>, key: &[u8]) -> Result<u64, StoreError> {
        match self.numbers.get(txn, key).map_err(|error| self.error("read the tables", error))? {
            None => Ok(0),
            Some(bytes) => bytes.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Damaged {
                what: format!("a number of {} bytes", bytes.len()),
                place: format!("{}, {NUMBERS}, {}", self.tables_dir.display(), key.escape_ascii()),
            }),
        }
    }

    fn rows(&self, table: Table) -> Rows {
        #[expect(clippy::indexing_slicing, reason = "opening checks that every table is at its own index")]
        self.tables[table as usize]
    }

    fn error(&self, what: &'static str, error: heed::Error) -> StoreError {
        tables_error(what, &self.tables_dir, self.map_bytes_max, error)
    }

    /// What the tables take, and what their file has that they do not: both bytes.
    fn used(&self) -> Result<(u64, u64), StoreError> {
        let fail = |error| self.error("read the tables", error);
        let txn = self.env.read_txn().map_err(fail)?;
        let (mut pages, mut page_bytes) = (0, 0);
        for rows in self.tables.iter().chain([&self.numbers]).chain(self.packs.databases()) {
            let stat = rows.stat(&txn).map_err(fail)?;
            pages += (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64;
            page_bytes = u64::from(stat.page_size);
        }
        let file = (self.env.info().last_page_number as u64 + 1) * page_bytes;
        let used = pages * page_bytes;
        Ok((used, file.saturating_sub(used)))
    }

    /// The file system's free bytes and all there are.
    fn disk(&self) -> Result<(u64, u64), StoreError> {
        let found = rustix::fs::statvfs(&self.tables_dir)
            .map_err(|error| StoreError::io("ask for free space", &self.tables_dir, error.into()))?;
        Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
    }

    /// LMDB calls a write that the disk had no room for the end of an I/O error, where a part of it fitted.
    fn write_error(&self, error: heed::Error, bytes: usize) -> StoreError {
        let error = self.error("write the tables", error);
        let input_output = |error: &StoreError| match error {
            StoreError::Io { source, .. } => {
                source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
            }
            _ => false,
        };
        // What is written besides the values: pages of the trees, each written anew.
        let needed = bytes as u64 + WRITE_BESIDES_BYTES;
        match self.disk() {
            Ok((free, _)) if input_output(&error) && free < needed => StoreError::disk_full(&self.tables_dir),
            _ => error,
        }
    }

    /// Takes a stored value apart into its version and what the caller put.
    fn decode<'t>(
        &self,
        txn: &'t RoTxn<'_, heed::AnyTls>,
        table: Table,
        key: &[u8],
        stored: &'t [u8],
    ) -> Result<(u64, &'t [u8]), StoreError> {
        let found = if table == Table::Bodies {
            let body =
                self.packs.body(txn, key, stored).map_err(|error| self.error("read the tables", error))?;
            body.map(|body| (0, body))
        } else if table.versioned() {
            let found = stored.split_first_chunk::<VERSION_BYTES>();
            found.map(|(version, value)| (u64::from_be_bytes(*version), value))
        } else {
            Some((0, stored))
        };
        found.ok_or_else(|| StoreError::Damaged {
            what: format!("a value of {} bytes that is none of this table's", stored.len()),
            place: format!("{}, {}, {}", self.tables_dir.display(), table.name(), key.escape_ascii()),
        })
    }

    fn holds(&self, txn: &RwTxn<'_>, check: &Check) -> Result<bool, StoreError> {
        let stored = self.rows(check.table).get(txn, &check.key);
        let version = match stored.map_err(|error| self.error("read the tables", error))? {
            Some(stored) => self.decode(txn, check.table, &check.key, stored)?.0,
            None => 0,
        };
        Ok(version == check.version)
    }

    /// One transaction with all of a group whose values have so many bytes.
    fn commit_by(&self, group: &[Batch], bytes: usize, way: Way) -> Result<Vec<CommitResult>, StoreError> {
        let fail = |error| self.write_error(error, bytes);
        // Whatever fails from here on drops the transaction, which undoes all of it.
        let mut txn = self.env.write_txn().map_err(fail)?;
        let last = self.number(&txn, BATCH)?;
        let mut number = last;
        let mut bodies = self.packs.packing(group, last + 1, way);
        let mut results = Vec::with_capacity(group.len());
        for batch in group {
            let mut holds = true;
            for check in &batch.checks {
                holds = holds && self.holds(&txn, check)?;
            }
            if !holds {
                results.push(CommitResult::Conflict);
                continue;
            }
            number += 1;
            for write in &batch.writes {
                self.apply(&mut txn, write, number, &mut bodies).map_err(fail)?;
            }
            results.push(CommitResult::Committed { batch: number });
        }
        if number > last {
            bodies.finish(&mut txn).map_err(fail)?;
            self.numbers.put(&mut txn, BATCH, &number.to_be_bytes()).map_err(fail)?;
            txn.commit().map_err(fail)?;
        }
        Ok(results)
    }

    fn apply(
        &self,
        txn: &mut RwTxn<'_>,
        write: &Write,
        batch: u64,
        bodies: &mut Packing<'_>,
    ) -> Result<(), heed::Error> {
        match write {
            Write::Put { table: Table::Bodies, key, value } => bodies.put(txn, key, value),
            Write::Delete { table: Table::Bodies, key } => bodies.delete(txn, key),
            Write::DeletePrefix { table: Table::Bodies, prefix } => bodies.delete_prefix(txn, prefix),
            Write::Put { table, key, value } => self.rows(*table).put(txn, key, value),
            Write::PutVersioned { table, key, value } => {
                let stored = [&batch.to_be_bytes(), &value[..]].concat();
                self.rows(*table).put(txn, key, &stored)
            }
            Write::Delete { table, key } => self.rows(*table).delete(txn, key).map(drop),
            Write::DeletePrefix { table, prefix } if prefix.is_empty() => self.rows(*table).clear(txn),
            Write::DeletePrefix { table, prefix } => {
                let end = prefix_end(prefix);
                let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let range: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(prefix), end);
                self.rows(*table).delete_range(txn, &range).map(drop)
            }
        }
    }
}

impl Store for Embedded {
    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn commit(&self, group: &[Batch]) -> Result<Vec<CommitResult>, StoreError> {
        let bytes = validate_group(group)?;
        match self.commit_by(group, bytes, Way::Packs) {
            // Scattered free pages are room for the tree, where a pack needs some that lie side by side.
            Err(StoreError::Full { .. }) => self.commit_by(group, bytes, Way::Tree),
            done => done,
        }
    }

    fn get_versioned(&self, table: Table, key: &[u8]) -> Result<Option<(u64, Bytes)>, StoreError> {
        validate_key(key)?;
        let fail = |error| self.error("read the tables", error);
        let txn = self.env.read_txn().map_err(fail)?;
        let Some(stored) = self.rows(table).get(&txn, key).map_err(fail)? else { return Ok(None) };
        let (version, value) = self.decode(&txn, table, key, stored)?;
        Ok(Some((version, Bytes::copy_from_slice(value))))
    }

    fn scan(&self, scan: &Scan<'_>) -> Result<Page, StoreError> {
        scan.validate()?;
        let fail = |error| self.error("read the tables", error);
        let txn = self.env.read_txn().map_err(fail)?;
        // LMDB has no empty key, so that an empty prefix means no lower bound.
        let start = match scan.start() {
            Bound::Included([]) => Bound::Unbounded,
            start => start,
        };
        let (mut page, mut bytes) = (Page::default(), 0);
        for row in self.rows(scan.table).range(&txn, &(start, Bound::Unbounded)).map_err(fail)? {
            let (key, stored) = row.map_err(fail)?;
            if !key.starts_with(scan.prefix) {
                break;
            }
            let (version, value) = self.decode(&txn, scan.table, key, stored)?;
            if !scan.add(&mut page, &mut bytes, key, version, value) {
                break;
            }
        }
        Ok(page)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        let fail = |error| self.error("read the tables", error);
        let txn = self.env.read_txn().map_err(fail)?;
        self.rows(table).len(&txn).map_err(fail)
    }

    fn room(&self) -> Result<Room, StoreError> {
        let (used, unused) = self.used()?;
        let (free, total) = self.disk()?;
        let map = self.map_bytes_max as u64;
        // Pages of the file that hold nothing any more are written again before it grows.
        let disk =
            Room { of: self.tables_dir.display().to_string(), free_bytes: free + unused, total_bytes: total };
        let of = format!("the tables in {} (map_bytes_max)", self.tables_dir.display());
        let map = Room { of, free_bytes: map.saturating_sub(used), total_bytes: map };
        Ok(if map.free_bytes < disk.free_bytes { map } else { disk })
    }

    fn put_blob(&self, tenant: u32, bytes: &[u8]) -> Result<Hash, StoreError> {
        self.blobs.put(tenant, bytes)
    }

    fn get_blob(&self, tenant: u32, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        self.blobs.get(tenant, hash)
    }

    fn delete_blob(&self, tenant: u32, hash: &Hash) -> Result<(), StoreError> {
        self.blobs.delete(tenant, hash)
    }

    fn list_blobs(
        &self,
        tenant: u32,
        after: Option<&Hash>,
        rows_max: usize,
    ) -> Result<Vec<Hash>, StoreError> {
        self.blobs.list(tenant, after, rows_max)
    }
}

/// The least key above every key with this prefix; none if the prefix is all 0xff.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

fn take_lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let fail = |error| StoreError::io("take the lock", &path, error);
    let open = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut lock = open.map_err(fail)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Without its id the message is only less helpful.
            let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Locked { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(fail)?;
    writeln!(lock, "{}", std::process::id()).map_err(fail)?;
    Ok(lock)
}

/// Refuses another format; marks a new directory with ours.
fn check_format(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join("format");
    let damaged =
        |what: &str| StoreError::Damaged { what: what.to_owned(), place: path.display().to_string() };
    match fs::read(&path) {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            match text.trim().parse() {
                Ok(FORMAT) => Ok(()),
                Ok(found) => Err(StoreError::Format { found, supported: FORMAT }),
                Err(_) => Err(damaged("the format's number")),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let fail = |error| StoreError::io("list the directory", dir, error);
            for entry in fs::read_dir(dir).map_err(fail)? {
                let name = entry.map_err(fail)?.file_name();
                if name != "lock" && name != "format.unfinished" {
                    return Err(damaged("a directory that is not empty and has no format's number"));
                }
            }
            replace_file(&path, format!("{FORMAT}\n").as_bytes())
        }
        Err(error) => Err(StoreError::io("read the format's number", &path, error)),
    }
}

fn open_databases(env: &Env<WithoutTls>) -> Result<([Rows; Table::ALL.len()], Rows, Packs), heed::Error> {
    // Rows are found by the enum's value, so that `ALL` must list the tables in the enum's order.
    debug_assert!(Table::ALL.iter().enumerate().all(|(index, table)| *table as usize == index));
    let txn = env.write_txn()?;
    let databases = env.create_databases_and_commit(txn, |opener, txn| {
        let mut create = |name: &str| opener.create_database::<Raw, Raw>(txn, Some(name));
        let numbers = create(NUMBERS)?;
        let mut tables = [numbers; Table::ALL.len()];
        for (rows, table) in tables.iter_mut().zip(Table::ALL) {
            *rows = create(table.name())?;
        }
        let [packs, live] = packs::DATABASES;
        let packs = [create(packs)?, create(live)?];
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit((tables, numbers, packs)))
    })?;
    // The closure above never aborts.
    let (tables, numbers, packs) = databases.commit().ok_or(heed::Error::Mdb(MdbError::Problem))?;
    #[expect(clippy::indexing_slicing, reason = "the line above checks that every table is at its own index")]
    let bodies = tables[Table::Bodies as usize];
    Ok((tables, numbers, Packs::new(bodies, packs)))
}

fn tables_error(what: &'static str, dir: &Path, map_bytes_max: usize, error: heed::Error) -> StoreError {
    let damaged = |error: &dyn std::fmt::Display| StoreError::Damaged {
        what: format!("the database ({error})"),
        place: dir.display().to_string(),
    };
    match error {
        heed::Error::Io(error) => StoreError::io(what, dir, error),
        heed::Error::Mdb(MdbError::MapFull) => StoreError::Full {
            what: format!("the tables in {} (map_bytes_max is {map_bytes_max})", dir.display()),
            help: "raise map_bytes_max or delete data, then open again".to_owned(),
        },
        heed::Error::Mdb(
            error @ (MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::Invalid
            | MdbError::VersionMismatch),
        ) => damaged(&error),
        error => {
            StoreError::Io { what, path: dir.to_owned(), source: std::io::Error::other(error.to_string()) }
        }
    }
}
