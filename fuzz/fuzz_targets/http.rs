//! A connection's bytes through the HTTP library and the gateway's own parsing: route, tenant, keys, headers
//! for the function, stored requests and responses. What is asserted is in docs/fuzzing.md.
//!
//! The gateway's files are compiled in from where they are, without the crate around them: that one brings
//! Wasmtime, which says nothing here and takes long to build with instrumentation.
#![no_main]

#[path = "../../server/src/gateway"]
#[allow(dead_code, reason = "the files as they are, not all of them used")]
mod gateway {
    pub mod head;
    pub mod refuse;
    pub mod request;
    pub mod router;

    use http::{HeaderName, HeaderValue, Response, StatusCode, header};
    pub use refuse::GatewayError;

    pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

    pub struct GatewayLimits {
        pub uri_bytes_max: usize,
        pub headers_max: usize,
    }

    pub fn json(status: StatusCode, body: &serde_json::Value) -> Response<bytes::Bytes> {
        let mut response = Response::new(bytes::Bytes::from(format!("{body}\n")));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    #[path = "../../../fuzz/fuzz_targets/http/service.rs"]
    pub mod service;
}

#[path = "../../host/src/wire.rs"]
#[allow(dead_code, reason = "the file as it is, not all of it used")]
mod wire;

mod lane {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wall_clock() -> flyball_core::Time {
        flyball_core::Time(1_000_000)
    }
}

mod platform {
    use crate::tenants::{Identity, Tenants};

    /// What the gateway's parsing asks of the platform.
    pub struct Platform {
        pub tenants: Tenants,
    }

    impl Platform {
        pub fn tenant_by_key(&self, key: &str) -> Option<Identity> {
            self.tenants.by_key(key)
        }

        pub fn tenant_by_name(&self, name: &str) -> Option<Identity> {
            self.tenants.by_name(name)
        }
    }
}

#[path = "../../server/src/tenants.rs"]
#[allow(dead_code, reason = "the file as it is")]
mod tenants;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gateway::service::check(data));
