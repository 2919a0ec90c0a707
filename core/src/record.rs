//! What is durable, and how it is written. The engine asks for [`Write`]s; [`Write::encode`] turns each
//! into bytes for the store, and the `decode` functions read them back.
//!
//! Keys are ordered so that a scan of a table is a scan in the order of acceptance (`Seq`), of expiry
//! (`Bucket`) or of names. Every value begins with a format byte, so that a later version can tell.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Body, Envelope, EventId, Failure, Fingerprint, KvKey, Name, Seq, TenantId, Time};

/// The format of the values below. Readers accept this one only; a new one comes with a migration.
pub const FORMAT: u8 = 2;

/// What one outcome may write, bytes: well within what any store takes in one transaction.
pub const OUTCOME_BYTES_MAX: u64 = 32 << 20;

/// The largest body, key-value value or result, bytes: well within what any store takes as one value.
pub const BODY_BYTES_MAX: u64 = 15 << 20;

/// Beyond any sequence and any bucket that there can be: a key with a greater one is damaged, and adding to
/// one never overflows.
pub(crate) const SEQ_MAX: u64 = 1 << 62;
pub(crate) const BUCKET_MAX: u64 = 1 << 40;

/// A table of the lane. The store has one for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `Seq` → [`Waiting`]: the index of what waits or runs, small, scanned at open.
    State,
    /// `Seq` → [`Envelope`].
    Events,
    /// `Seq` → the body's bytes.
    Bodies,
    /// (`Seq`, number) → [`FailedAttempt`].
    History,
    /// `Seq` → [`Dead`].
    Dead,
    /// (tenant, namespace, key) → value, with a version kept by the store.
    KeyValue,
    /// (`Bucket`, event id) → [`Settled`].
    Settled,
    /// (`Bucket`, tenant) → how many settled records the tenant has in the bucket.
    Counters,
    /// Names the moment up to which the lane has seen time.
    Meta,
}

/// Settled records expire together, by the bucket of their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(pub u64);

/// An accepted event that is not over: exactly what the engine's index keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waiting {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it waits.
    pub queue: Name,
    /// Its body, bytes.
    pub body_bytes: u32,
    /// Runs begun, those not counted that something else than the function cut off.
    pub attempt: u16,
    /// The engine, by its incarnation, that began a run which has not ended.
    pub running: Option<u64>,
    /// How often in a row the process ended while it ran.
    pub crashes: u8,
    /// Runs that a stale read made void, since the last that was not.
    pub conflicts: u8,
    /// Failed runs noted in its history, those before a redrive too.
    pub notes: u16,
    /// When it was accepted.
    pub accepted: Time,
    /// When it may run.
    pub not_before: Time,
    /// Whether its outcome is remembered: it has an idempotency key, or its caller wants the result.
    pub remember: Option<Fingerprint>,
}

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Which run, from 1.
    pub attempt: u16,
    /// When it ended.
    pub at: Time,
    /// Why.
    pub failure: Failure,
}

/// An event that no further run will be tried for. Its envelope, body and history stay.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dead {
    /// What it was.
    pub event: Waiting,
    /// When it died.
    pub at: Time,
    /// Of what.
    pub failure: Failure,
}

/// How a remembered event ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settled {
    /// Whose it was.
    pub tenant: TenantId,
    /// What was asked, to tell a repetition from a reuse of the key.
    pub fingerprint: Fingerprint,
    /// When it ended.
    pub at: Time,
    /// Its result, or what it died of.
    pub verdict: Result<Body, Failure>,
}

/// A durable change that the engine asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Write {
    /// An event is accepted.
    Accept {
        /// Its place.
        seq: Seq,
        /// Its index entry.
        waiting: Waiting,
        /// Its envelope.
        envelope: Box<Envelope>,
        /// Its bytes.
        body: Body,
    },
    /// The index entry changes: an attempt begins, or the next is put off.
    Update {
        /// Its place.
        seq: Seq,
        /// The entry as it is now.
        waiting: Waiting,
    },
    /// A run failed.
    Note {
        /// Its place.
        seq: Seq,
        /// Counts the notes of an event, redriven or not.
        number: u16,
        /// What happened.
        failed: FailedAttempt,
    },
    /// An event is over: nothing of it stays.
    Remove {
        /// Its place.
        seq: Seq,
        /// Whether it has a history. Most have none, and need not be searched for one.
        noted: bool,
    },
    /// An event goes to the dead letters; envelope, body and history stay.
    Bury {
        /// Its place.
        seq: Seq,
        /// Its record there.
        dead: Dead,
    },
    /// A dead letter is put back where it came from.
    Revive {
        /// Its place.
        seq: Seq,
        /// Its new index entry.
        waiting: Waiting,
    },
    /// A dead letter is thrown away.
    Discard {
        /// Its place.
        seq: Seq,
    },
    /// An outcome is remembered.
    Remember {
        /// When it is forgotten.
        bucket: Bucket,
        /// Of which event.
        id: EventId,
        /// How it ended.
        settled: Settled,
        /// How many the tenant now has in the bucket.
        count: u64,
    },
    /// A bucket has expired.
    Forget {
        /// Which.
        bucket: Bucket,
    },
    /// A key-value write.
    Kv {
        /// Whose.
        tenant: TenantId,
        /// Which key.
        key: KvKey,
        /// The value; `None` deletes.
        value: Option<Body>,
    },
}

/// A [`Write`] as bytes for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    /// Sets a key.
    Put(Table, Vec<u8>, Body),
    /// Removes a key.
    Delete(Table, Vec<u8>),
    /// Removes every key that starts so.
    DeletePrefix(Table, Vec<u8>),
}

/// A record that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It was written by another version.
    #[error("a record has format {found}, this version reads {FORMAT}")]
    Format {
        /// The format byte.
        found: u8,
    },
    /// It is not what this version writes.
    #[error("a record is damaged: {0}")]
    Damaged(String),
}

impl Write {
    /// The bytes, table by table.
    pub fn encode(&self) -> Vec<Encoded> {
        use Table::{Bodies, Counters, Dead, Events, History, KeyValue, Settled, State};
        match self {
            Write::Accept { seq, waiting, envelope, body } => vec![
                Encoded::Put(State, key_of(*seq), encode(waiting)),
                Encoded::Put(Events, key_of(*seq), encode(envelope)),
                Encoded::Put(Bodies, key_of(*seq), body.clone()),
            ],
            Write::Update { seq, waiting } => vec![Encoded::Put(State, key_of(*seq), encode(waiting))],
            Write::Note { seq, number, failed } => {
                vec![Encoded::Put(History, history_key(*seq, *number), encode(failed))]
            }
            Write::Remove { seq, noted } => {
                let mut encoded = vec![
                    Encoded::Delete(State, key_of(*seq)),
                    Encoded::Delete(Events, key_of(*seq)),
                    Encoded::Delete(Bodies, key_of(*seq)),
                ];
                encoded.extend(noted.then(|| Encoded::DeletePrefix(History, key_of(*seq))));
                encoded
            }
            Write::Bury { seq, dead } => {
                vec![Encoded::Delete(State, key_of(*seq)), Encoded::Put(Dead, key_of(*seq), encode(dead))]
            }
            Write::Revive { seq, waiting } => {
                vec![Encoded::Delete(Dead, key_of(*seq)), Encoded::Put(State, key_of(*seq), encode(waiting))]
            }
            Write::Discard { seq } => vec![
                Encoded::Delete(Dead, key_of(*seq)),
                Encoded::Delete(Events, key_of(*seq)),
                Encoded::Delete(Bodies, key_of(*seq)),
                Encoded::DeletePrefix(History, key_of(*seq)),
            ],
            Write::Remember { bucket, id, settled, count } => vec![
                Encoded::Put(Settled, settled_key(*bucket, *id), encode(settled)),
                Encoded::Put(Counters, counter_key(*bucket, settled.tenant), encode(count)),
            ],
            Write::Forget { bucket } => vec![
                Encoded::DeletePrefix(Settled, bucket.0.to_be_bytes().to_vec()),
                Encoded::DeletePrefix(Counters, bucket.0.to_be_bytes().to_vec()),
            ],
            Write::Kv { tenant, key, value: Some(value) } => {
                vec![Encoded::Put(KeyValue, kv_key(*tenant, key), value.clone())]
            }
            Write::Kv { tenant, key, value: None } => vec![Encoded::Delete(KeyValue, kv_key(*tenant, key))],
        }
    }
}

/// The key of an event's records.
pub fn key_of(seq: Seq) -> Vec<u8> {
    seq.0.to_be_bytes().to_vec()
}

/// Reads [`key_of`] back; `None` where it is no such key.
pub fn seq_of(key: &[u8]) -> Option<Seq> {
    let seq = u64::from_be_bytes(key.get(..8)?.try_into().ok()?);
    (seq <= SEQ_MAX).then_some(Seq(seq))
}

fn history_key(seq: Seq, number: u16) -> Vec<u8> {
    let mut key = key_of(seq);
    key.extend(number.to_be_bytes());
    key
}

/// The key of a settled record.
pub fn settled_key(bucket: Bucket, id: EventId) -> Vec<u8> {
    let mut key = bucket.0.to_be_bytes().to_vec();
    key.extend(id.0);
    key
}

fn counter_key(bucket: Bucket, tenant: TenantId) -> Vec<u8> {
    let mut key = bucket.0.to_be_bytes().to_vec();
    key.extend(tenant.0.to_be_bytes());
    key
}

/// Reads a counter's key back; `None` where it is no such key.
pub fn parse_counter_key(key: &[u8]) -> Option<(Bucket, TenantId)> {
    let (bucket, tenant) = key.split_at_checked(8)?;
    let bucket = u64::from_be_bytes(bucket.try_into().ok()?);
    let tenant = TenantId(u32::from_be_bytes(tenant.try_into().ok()?));
    (bucket <= BUCKET_MAX).then_some((Bucket(bucket), tenant))
}

/// What every key of one tenant's namespace starts with.
pub fn kv_prefix(tenant: TenantId, namespace: &Name) -> Vec<u8> {
    let mut key = tenant.0.to_be_bytes().to_vec();
    key.extend(namespace.as_bytes());
    key.push(0); // outside a name's alphabet, so that no namespace is the start of another
    key
}

/// The key of a key-value record.
pub fn kv_key(tenant: TenantId, key: &KvKey) -> Vec<u8> {
    let mut bytes = kv_prefix(tenant, &key.namespace);
    bytes.extend(key.key.as_bytes());
    bytes
}

/// A record's bytes.
pub fn encode<T: Serialize>(record: &T) -> Body {
    let bytes = postcard::to_extend(record, vec![FORMAT]);
    debug_assert!(bytes.is_ok(), "our own types serialise");
    Body::from(bytes.unwrap_or_default())
}

/// Reads a record's bytes.
///
/// # Errors
/// Where they are of another format, or damaged.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => {
            postcard::from_bytes(rest).map_err(|error| RecordError::Damaged(error.to_string()))
        }
        Some((&found, _)) => Err(RecordError::Format { found }),
        None => Err(RecordError::Damaged("it is empty".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_one_beyond_all_sequences_is_none() {
        assert_eq!(seq_of(&key_of(Seq(SEQ_MAX))), Some(Seq(SEQ_MAX)));
        assert_eq!(seq_of(&key_of(Seq(u64::MAX))), None);
        assert_eq!(seq_of(b"short"), None);
        let (bucket, tenant) = (Bucket(BUCKET_MAX), TenantId(7));
        assert_eq!(parse_counter_key(&counter_key(bucket, tenant)), Some((bucket, tenant)));
        assert_eq!(parse_counter_key(&counter_key(Bucket(u64::MAX), tenant)), None);
        assert_eq!(parse_counter_key(&[0; 13]), None);
    }
}
