//! What a real function reads of the store: key-value data with versions, and blobs.

use std::collections::BTreeMap;

use flyball_core::{
    Body, KvKey, TenantId,
    invocation::{HostCall, HostReply},
};

/// Committed values with their versions.
pub(crate) type Values = BTreeMap<(TenantId, KvKey), (Body, u64)>;
/// Blobs by their hashes.
pub(crate) type Blobs = BTreeMap<(TenantId, [u8; 32]), Body>;

/// Answers what a function asks of the store. Secrets and log lines are not the store's.
pub(crate) fn answer(values: &Values, blobs: &mut Blobs, call: HostCall) -> HostReply {
    match call {
        HostCall::KvRead(tenant, key) => match values.get(&(tenant, key)) {
            Some((value, version)) => HostReply::Value(Some(value.clone()), *version),
            None => HostReply::Value(None, 0),
        },
        HostCall::KvScan { tenant, namespace, prefix, after, limit } => {
            let from = match &after {
                Some(after) if *after > prefix => after.clone(),
                _ => prefix.clone(),
            };
            let from = (tenant, KvKey { namespace: namespace.clone(), key: from });
            let within = |(of, key): &(TenantId, KvKey)| {
                *of == tenant && key.namespace == namespace && key.key.starts_with(&prefix)
            };
            let keys = values.range(from..).take_while(|(key, _)| within(key));
            let later = keys.filter(|((_, key), _)| after.as_ref().is_none_or(|after| key.key > *after));
            let found = later.take(limit as usize);
            HostReply::Keys(found.map(|((_, key), (_, version))| (key.key.clone(), *version)).collect())
        }
        HostCall::BlobWrite(tenant, body) => {
            let hash = *blake3::hash(&body).as_bytes();
            blobs.insert((tenant, hash), body);
            HostReply::Stored(hash)
        }
        HostCall::BlobRead(tenant, hash) => HostReply::Found(blobs.get(&(tenant, hash)).cloned()),
        HostCall::SecretRead(..) => HostReply::Found(None),
        HostCall::Log { .. } => HostReply::Done,
    }
}

#[cfg(test)]
mod tests {
    use flyball_core::Name;

    use super::*;

    fn key(text: &str) -> KvKey {
        KvKey { namespace: Name::new("n").unwrap(), key: text.into() }
    }

    fn scan(prefix: &str, after: Option<&str>, limit: u32) -> HostCall {
        let (namespace, after) = (Name::new("n").unwrap(), after.map(String::from));
        HostCall::KvScan { tenant: TenantId(1), namespace, prefix: prefix.into(), after, limit }
    }

    #[test]
    fn a_listing_has_the_tenants_own_keys_after_the_one_named() {
        let mut values = Values::new();
        for name in ["a", "ba", "bb", "bc", "c"] {
            for tenant in [TenantId(1), TenantId(2)] {
                values.insert((tenant, key(name)), (Body::default(), 7));
            }
        }
        let list = |call| match answer(&values, &mut Blobs::new(), call) {
            HostReply::Keys(keys) => keys.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(list(scan("b", None, 9)), ["ba", "bb", "bc"]);
        assert_eq!(list(scan("b", Some("ba"), 1)), ["bb"]);
        assert_eq!(list(scan("", Some("bc"), 9)), ["c"]);
        assert!(list(scan("d", None, 9)).is_empty());
    }

    #[test]
    fn what_is_not_there_has_version_zero_and_a_blob_is_its_tenants() {
        let (one, two) = (TenantId(1), TenantId(2));
        let values = Values::from([((one, key("a")), (Body::from(vec![1]), 7))]);
        let mut blobs = Blobs::new();
        let mut ask = |call| answer(&values, &mut blobs, call);
        assert_eq!(ask(HostCall::KvRead(one, key("a"))), HostReply::Value(Some(Body::from(vec![1])), 7));
        assert_eq!(ask(HostCall::KvRead(two, key("a"))), HostReply::Value(None, 0));
        let HostReply::Stored(hash) = ask(HostCall::BlobWrite(one, Body::from(vec![5]))) else { panic!() };
        assert_eq!(ask(HostCall::BlobRead(one, hash)), HostReply::Found(Some(Body::from(vec![5]))));
        assert_eq!(ask(HostCall::BlobRead(two, hash)), HostReply::Found(None));
    }
}
