//! Tells the tenant's address of new findings. At least once: the `Idempotency-Key` is the same at every attempt.

pub mod address;
#[cfg(target_family = "wasm")]
mod component;
