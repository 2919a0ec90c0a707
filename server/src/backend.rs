//! What functions reach through the host: committed key-value data, blobs, secrets, logs. The tenant is
//! in each call, put there by the invocation's state machine; nothing here can name another.

use std::sync::Arc;

use flyball_core::{
    Body, Name, TenantId,
    invocation::{HostCall, HostReply},
    record,
};
use flyball_host::{Backend, BoxFuture};
use flyball_store::{Hash, Scan, Store, StoreError, Table};

use crate::{lane::wall_clock, telemetry::Telemetry, tenants::Tenants};

/// Bytes of rows that one listing of keys reads.
const LIST_BYTES_MAX: usize = 16 << 20;

/// Answers host calls from the lane's store.
#[derive(Clone)]
pub(crate) struct StoreBackend {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) telemetry: Arc<Telemetry>,
}

impl Backend for StoreBackend {
    fn call(&self, call: HostCall) -> BoxFuture<HostReply> {
        match call {
            // Files and fsync: on a thread that may block.
            HostCall::BlobWrite(..) | HostCall::BlobRead(..) => {
                let this = self.clone();
                let work = tokio::task::spawn_blocking(move || this.answer(call));
                Box::pin(async move {
                    work.await
                        .unwrap_or_else(|error| HostReply::Unavailable(format!("it broke off: {error}")))
                })
            }
            // A read of a mapped page or two.
            call => {
                let reply = self.answer(call);
                Box::pin(async move { reply })
            }
        }
    }

    fn log(&self, call: HostCall) {
        if let HostCall::Log { tenant, function, event, level, message } = call {
            self.telemetry.log(wall_clock(), tenant, function, event, level, message);
        }
    }
}

impl StoreBackend {
    fn answer(&self, call: HostCall) -> HostReply {
        self.try_answer(call).unwrap_or_else(|error| HostReply::Unavailable(error.to_string()))
    }

    fn try_answer(&self, call: HostCall) -> Result<HostReply, StoreError> {
        Ok(match call {
            HostCall::KvRead(tenant, key) => {
                match self.store.get_versioned(Table::KeyValue, &record::kv_key(tenant, &key))? {
                    Some((version, value)) => HostReply::Value(Some(Body::from(&value[..])), version),
                    None => HostReply::Value(None, 0),
                }
            }
            HostCall::KvScan { tenant, namespace, prefix, after, limit } => {
                self.keys(tenant, &namespace, &prefix, after.as_deref(), limit)?
            }
            HostCall::BlobWrite(tenant, body) => {
                HostReply::Stored(*self.store.put_blob(tenant.0, &body)?.as_bytes())
            }
            HostCall::BlobRead(tenant, hash) => {
                let found = self.store.get_blob(tenant.0, &Hash::from_bytes(hash))?;
                HostReply::Found(found.map(|bytes| Body::from(&bytes[..])))
            }
            HostCall::SecretRead(tenant, name) => {
                HostReply::Found(self.tenants.secret(tenant, &name).map(|bytes| Body::from(&bytes[..])))
            }
            log @ HostCall::Log { .. } => {
                self.log(log);
                HostReply::Done
            }
        })
    }

    fn keys(
        &self,
        tenant: TenantId,
        namespace: &Name,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<HostReply, StoreError> {
        let start = record::kv_prefix(tenant, namespace);
        let with = |text: &str| [&start[..], text.as_bytes()].concat();
        let (prefix, after) = (with(prefix), after.map(with));
        let rows_max = (limit as usize).clamp(1, flyball_store::PAGE_ROWS_MAX);
        let scan = Scan {
            table: Table::KeyValue,
            prefix: &prefix,
            after: after.as_deref(),
            rows_max,
            bytes_max: LIST_BYTES_MAX,
        };
        let page = self.store.scan(&scan)?;
        let key = |row: &flyball_store::Row| {
            let key = row.key.get(start.len()..)?;
            Some((String::from_utf8(key.to_vec()).ok()?, row.version))
        };
        Ok(HostReply::Keys(page.rows.iter().filter_map(key).collect()))
    }
}
