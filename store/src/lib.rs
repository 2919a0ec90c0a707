//! Durable state and blobs behind one trait, [`Store`]. What it promises:
//!
//! - **Durable before visible.** When [`Store::commit`] or [`Store::put_blob`] returns `Ok`, the data
//!   survives a kill and a power cut (as far as the disk keeps the promise of fsync). Reads see only
//!   committed data.
//! - **All or nothing.** A group of batches is one durable transaction. A batch whose [`Check`]s fail is left
//!   out as a whole and answers [`CommitResult::Conflict`]; the others in its group still apply.
//! - **An error promises nothing.** After an `Err` from `commit` the group may be there or not, wholly. The
//!   caller throws away what it holds in memory and opens again.
//! - **One writer.** Commits are serialised; a second process on the same directory is refused. Reads run
//!   concurrently with the writer, each on one snapshot which it gives up before it returns.
//! - **Numbers never come back.** Each applied batch gets the next batch number and each open the next
//!   [`Store::incarnation`]; both are durable, only grow and are never reset.
//! - **Bounded.** Keys, values, groups, pages and blobs have limits; past one the answer is
//!   [`StoreError::TooLarge`], before anything is written.
//!
//! Keys and values are bytes: typed records are encoded by the caller. Methods block, so callers put them on
//! threads of their own. Backends: [`memory::Memory`] for tests and simulation, [`embedded::Embedded`] (LMDB
//! and files) for one machine. [`faulty::Faulty`] wraps either and injects failures. Every backend passes the
//! suite in `conformance`.
//!
//! Blobs lie apart from the tables and no transaction spans both: put the blob before committing the record
//! that refers to it, and delete it after committing the record's end. A crash between the two leaves a blob
//! without a record, never a record without its blob; [`Store::list_blobs`] finds such leftovers. Putting and
//! deleting the same blob at the same time is the caller's race to avoid.

mod blobs;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod embedded;
mod error;
pub mod faulty;
pub mod memory;

use std::fmt;

pub use bytes::Bytes;

pub use error::StoreError;

/// The longest key and prefix, in bytes. A key has at least one byte; an empty prefix covers a whole table.
pub const KEY_BYTES_MAX: usize = 511;
/// The longest value in a table, in bytes. Larger bodies are blobs.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// The most bytes of keys and values in the group given to one [`Store::commit`].
pub const GROUP_BYTES_MAX: usize = 64 << 20;
/// The most rows that one [`Store::scan`] or [`Store::list_blobs`] returns, whatever the caller asks for.
pub const PAGE_ROWS_MAX: usize = 10_000;
/// The most bytes that one [`Store::scan`] returns, whatever the caller asks for; the first row always fits.
pub const PAGE_BYTES_MAX: usize = 64 << 20;
/// The largest blob, in bytes. A blob is read and written as a whole.
pub const BLOB_BYTES_MAX: usize = 64 << 20;

/// The tables of a lane: a fixed set, each with its own key space, ordered by bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The engine's own state, such as its last snapshot.
    State,
    /// Event records, without bodies.
    Events,
    /// Bodies below the inline limit.
    Bodies,
    /// What happened to an event, hop by hop.
    History,
    /// Dead letters.
    Dead,
    /// Key-value data of functions: the one versioned table, see [`Write::PutVersioned`].
    KeyValue,
    /// Settled ids in expiry buckets.
    Settled,
    /// Counters, such as usage.
    Counters,
    /// Tenants and their credentials.
    Tenants,
    /// Facts about the lane itself.
    Meta,
}

impl Table {
    /// Every table, in the order of the enum.
    pub const ALL: [Table; 10] = [
        Table::State,
        Table::Events,
        Table::Bodies,
        Table::History,
        Table::Dead,
        Table::KeyValue,
        Table::Settled,
        Table::Counters,
        Table::Tenants,
        Table::Meta,
    ];

    /// The table's name: part of the on-disk format, so a name never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Table::State => "state",
            Table::Events => "events",
            Table::Bodies => "bodies",
            Table::History => "history",
            Table::Dead => "dead",
            Table::KeyValue => "key_value",
            Table::Settled => "settled",
            Table::Counters => "counters",
            Table::Tenants => "tenants",
            Table::Meta => "meta",
        }
    }

    /// Whether each value carries the number of the batch that wrote it.
    pub const fn versioned(self) -> bool {
        matches!(self, Table::KeyValue)
    }
}

/// One change. The writes of a batch apply in order: a later one sees the earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key of an unversioned table.
    Put {
        /// Any table but a versioned one.
        table: Table,
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: Bytes,
    },
    /// Sets a key of a versioned table; its version becomes the number of this batch.
    PutVersioned {
        /// A versioned table: [`Table::KeyValue`].
        table: Table,
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: Bytes,
    },
    /// Removes a key; one that is absent is no error.
    Delete {
        /// Any table.
        table: Table,
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
    },
    /// Removes every key that starts with `prefix`. The time it holds the writer grows with the rows removed:
    /// for a great many, scan and delete in pages instead.
    DeletePrefix {
        /// Any table.
        table: Table,
        /// 0 to [`KEY_BYTES_MAX`] bytes; empty clears the table.
        prefix: Vec<u8>,
    },
}

/// A condition of a batch: the key still has the version that the caller read. It sees the earlier batches of
/// its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// A versioned table: [`Table::KeyValue`].
    pub table: Table,
    /// 1 to [`KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// The number of the batch that wrote the value; 0 when the key must be absent.
    pub version: u64,
}

/// Writes that apply together, if every check holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Conditions, all of them evaluated before the first write.
    pub checks: Vec<Check>,
    /// Changes, in order.
    pub writes: Vec<Write>,
}

/// What became of one batch of a group whose commit succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitResult {
    /// Every write is durable.
    Committed {
        /// The batch's number, which is also the version of what it wrote to versioned tables.
        batch: u64,
    },
    /// A check failed and nothing of the batch was applied: read again and build another.
    Conflict,
}

/// Which rows [`Store::scan`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// The table to read.
    pub table: Table,
    /// Only keys that start with this; empty for the whole table. At most [`KEY_BYTES_MAX`] bytes.
    pub prefix: &'a [u8],
    /// Only keys above this one: the last key of the page before.
    pub after: Option<&'a [u8]>,
    /// At least 1; values above [`PAGE_ROWS_MAX`] count as that.
    pub rows_max: usize,
    /// Of keys and values together; the first row is returned even if it is larger. Values above
    /// [`PAGE_BYTES_MAX`] count as that.
    pub bytes_max: usize,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The whole key, prefix included.
    pub key: Vec<u8>,
    /// The value as it was put.
    pub value: Bytes,
    /// The number of the batch that wrote it; 0 in an unversioned table.
    pub version: u64,
}

/// Rows in ascending order of key bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether a limit cut the page short: go on with `after` the last key.
    pub more: bool,
}

/// A blob's name: the BLAKE3 hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// A hash that was stored earlier.
    pub const fn from_bytes(bytes: [u8; 32]) -> Hash {
        Hash(bytes)
    }

    fn from_hex(text: &str) -> Option<Hash> {
        blake3::Hash::from_hex(text).ok().map(|hash| Hash(*hash.as_bytes()))
    }

    /// The 32 bytes, to store in a record.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How much more can be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of what, for people.
    pub of: String,
    /// Bytes that are free there.
    pub free_bytes: u64,
    /// Bytes that there are, free or not.
    pub total_bytes: u64,
}

/// The durable state of one lane. The module's documentation says what every backend promises.
pub trait Store: Send + Sync {
    /// How often this store has been opened, from 1: no two openings have the same number.
    fn incarnation(&self) -> u64;

    /// Applies a group of batches in order, as one durable transaction; one result for each batch.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] and [`StoreError::Invalid`] before anything is written; [`StoreError::Full`],
    /// [`StoreError::Damaged`] and [`StoreError::Io`] with nothing known about whether the group is durable.
    fn commit(&self, group: &[Batch]) -> Result<Vec<CommitResult>, StoreError>;

    /// The value of a key and its version: the batch that wrote it, or 0 in an unversioned table.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`]; [`StoreError::TooLarge`], [`StoreError::Invalid`] for a
    /// key that cannot exist.
    fn get_versioned(&self, table: Table, key: &[u8]) -> Result<Option<(u64, Bytes)>, StoreError>;

    /// The value of a key.
    ///
    /// # Errors
    /// As [`Store::get_versioned`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_versioned(table, key)?.map(|(_, value)| value))
    }

    /// One page of rows, all from the same snapshot; the next page may be from a later one.
    ///
    /// # Errors
    /// As [`Store::get_versioned`]; [`StoreError::Invalid`] when `rows_max` is 0.
    fn scan(&self, scan: &Scan<'_>) -> Result<Page, StoreError>;

    /// How many rows a table has, without reading them.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    fn count(&self, table: Table) -> Result<u64, StoreError>;

    /// How much more can be stored, where that is least. Without bounds unless the backend says otherwise.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Damaged`].
    fn room(&self) -> Result<Room, StoreError> {
        Ok(Room { of: "memory".to_owned(), free_bytes: u64::MAX, total_bytes: u64::MAX })
    }

    /// Stores a tenant's bytes durably under their hash. Putting the same bytes again does nothing but make
    /// sure of them.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`BLOB_BYTES_MAX`]; [`StoreError::Full`], [`StoreError::Io`]: put
    /// again.
    fn put_blob(&self, tenant: u32, bytes: &[u8]) -> Result<Hash, StoreError>;

    /// A tenant's blob, verified against its hash. Another tenant's equal bytes are not found.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the stored bytes are not the ones that were put; [`StoreError::Io`].
    fn get_blob(&self, tenant: u32, hash: &Hash) -> Result<Option<Bytes>, StoreError>;

    /// Removes a tenant's blob; one that is absent is no error. After a crash it may be there again.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn delete_blob(&self, tenant: u32, hash: &Hash) -> Result<(), StoreError>;

    /// A tenant's blobs in ascending order, above `after`, at most `rows_max` (and [`PAGE_ROWS_MAX`]).
    /// Fewer than that means that there are no more.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Invalid`] when `rows_max` is 0.
    fn list_blobs(&self, tenant: u32, after: Option<&Hash>, rows_max: usize)
    -> Result<Vec<Hash>, StoreError>;
}

/// Refuses what no backend accepts, before anything is written; otherwise says how many bytes it is.
fn validate_group(group: &[Batch]) -> Result<usize, StoreError> {
    let mut group_bytes = 0;
    for batch in group {
        for check in &batch.checks {
            validate_key(&check.key)?;
            validate_versioned(check.table, true, "a check")?;
            group_bytes += check.key.len();
        }
        for write in &batch.writes {
            group_bytes += validate_write(write)?;
        }
    }
    limit("a group's keys and values, in bytes", GROUP_BYTES_MAX, group_bytes)?;
    Ok(group_bytes)
}

/// Refuses a write that no backend accepts; otherwise says how many bytes it counts for.
fn validate_write(write: &Write) -> Result<usize, StoreError> {
    let (table, key, value, versioned) = match write {
        Write::Put { table, key, value } => (*table, key, value, false),
        Write::PutVersioned { table, key, value } => (*table, key, value, true),
        Write::Delete { key, .. } => return validate_key(key).map(|()| key.len()),
        Write::DeletePrefix { prefix, .. } => return validate_prefix(prefix).map(|()| prefix.len()),
    };
    validate_key(key)?;
    validate_versioned(table, versioned, if versioned { "PutVersioned" } else { "Put" })?;
    limit("a value, in bytes", VALUE_BYTES_MAX, value.len())?;
    Ok(key.len() + value.len())
}

fn validate_versioned(table: Table, versioned: bool, what: &str) -> Result<(), StoreError> {
    if table.versioned() == versioned {
        return Ok(());
    }
    let kind = if versioned { "a versioned table" } else { "an unversioned table" };
    Err(StoreError::Invalid { what: format!("{what} on table {}: it needs {kind}", table.name()) })
}

fn validate_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(StoreError::Invalid { what: "an empty key: a key has at least one byte".to_owned() });
    }
    limit("a key, in bytes", KEY_BYTES_MAX, key.len())
}

fn validate_prefix(prefix: &[u8]) -> Result<(), StoreError> {
    limit("a prefix, in bytes", KEY_BYTES_MAX, prefix.len())
}

fn validate_rows_max(rows_max: usize) -> Result<(), StoreError> {
    if rows_max == 0 {
        return Err(StoreError::Invalid { what: "rows_max of 0: a page has at least one row".to_owned() });
    }
    Ok(())
}

fn limit(what: &'static str, limit: usize, value: usize) -> Result<(), StoreError> {
    if value <= limit { Ok(()) } else { Err(StoreError::TooLarge { what, limit, value }) }
}

impl Scan<'_> {
    fn validate(&self) -> Result<(), StoreError> {
        validate_rows_max(self.rows_max)?;
        validate_prefix(self.prefix)?;
        self.after.map_or(Ok(()), validate_key)
    }

    /// Where to begin: at the prefix, or after a key that is already past it.
    fn start(&self) -> std::ops::Bound<&[u8]> {
        match self.after {
            Some(after) if after >= self.prefix => std::ops::Bound::Excluded(after),
            _ => std::ops::Bound::Included(self.prefix),
        }
    }

    /// Adds a row if the page has room for it; otherwise notes that there is more and answers false.
    fn add(&self, page: &mut Page, bytes: &mut usize, key: &[u8], version: u64, value: &[u8]) -> bool {
        *bytes += key.len() + value.len();
        let rows_full = page.rows.len() >= self.rows_max.min(PAGE_ROWS_MAX);
        if rows_full || (!page.rows.is_empty() && *bytes > self.bytes_max.min(PAGE_BYTES_MAX)) {
            page.more = true;
            return false;
        }
        let value = Bytes::copy_from_slice(value);
        page.rows.push(Row { key: key.to_vec(), value, version });
        true
    }
}
