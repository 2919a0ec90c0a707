//! Bytes that are, or are not, a record or a key of one.

use std::fmt::Debug;

use flyball_core::{
    Body, EventId, KvKey, Name, Seq, TenantId, Time,
    record::{
        self, Bucket, Dead, Encoded, FORMAT, FailedAttempt, RecordError, Settled, Table, Waiting, Write,
    },
};
use serde::{Serialize, de::DeserializeOwned};

pub fn check(bytes: &[u8]) {
    one::<Waiting>(bytes);
    one::<FailedAttempt>(bytes);
    one::<Dead>(bytes);
    one::<Settled>(bytes);
    one::<Time>(bytes);
    one::<u64>(bytes);
    keys(bytes);
    key_value(bytes);
}

/// Read or refused; what is read is written and read as the same.
fn one<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    match record::decode::<T>(bytes) {
        Ok(read) => {
            let written = record::encode(&read);
            assert!(written.len() <= bytes.len(), "a record grew");
            assert_eq!(record::decode::<T>(&written).as_ref(), Ok(&read));
        }
        Err(RecordError::Format { found }) => assert_eq!(bytes.first(), Some(&found)),
        Err(RecordError::Damaged(why)) => {
            assert!(bytes.first().is_none_or(|first| *first == FORMAT) && why.len() < 200, "{why}");
        }
    }
}

fn keys(bytes: &[u8]) {
    if let Some(seq) = record::seq_of(bytes) {
        assert!(bytes.starts_with(&record::key_of(seq)));
        let next = Seq(seq.0.saturating_add(1));
        assert!(record::key_of(seq) <= record::key_of(next), "keys are in the order of acceptance");
    } else {
        assert!(bytes.len() < 8 || bytes[0] >= 0x40, "a key was not read");
    }
    if let Some((bucket, tenant)) = record::parse_counter_key(bytes) {
        let settled = Settled {
            tenant,
            fingerprint: flyball_core::Fingerprint(0),
            at: Time(0),
            verdict: Ok(Body::default()),
        };
        let write = Write::Remember { bucket, id: EventId([0; 16]), settled, count: 1 };
        let counter = write.encode().into_iter().find_map(|encoded| match encoded {
            Encoded::Put(Table::Counters, key, _) => Some(key),
            _ => None,
        });
        assert_eq!(counter.as_deref(), Some(bytes), "a counter's key reads as it was written");
        let settled = record::settled_key(bucket, EventId([7; 16]));
        assert!(settled.starts_with(&bucket.0.to_be_bytes()) && settled.len() == 24);
        let forget = Write::Forget { bucket: Bucket(bucket.0) }.encode();
        assert!(forget.iter().all(|encoded| matches!(encoded, Encoded::DeletePrefix(_, p) if p.len() == 8)));
    }
}

/// No tenant's and no namespace's keys lie among another's.
fn key_value(bytes: &[u8]) {
    let Some((tenants, text)) = bytes.split_at_checked(2) else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some((namespace, key)) = text.split_once('/') else { return };
    let Some((other, key)) = key.split_once('/') else { return };
    let (Ok(namespace), Ok(other)) = (Name::new(namespace), Name::new(other)) else { return };
    let [a, b] = [tenants[0], tenants[1]].map(|byte| TenantId(u32::from(byte) << (byte % 24)));
    let full = record::kv_key(a, &KvKey { namespace: namespace.clone(), key: key.to_string() });
    assert!(full.starts_with(&record::kv_prefix(a, &namespace)) && full.ends_with(key.as_bytes()));
    let foreign = record::kv_prefix(b, &other);
    assert_eq!(full.starts_with(&foreign), a == b && namespace == other, "a prefix covers another's key");
}
