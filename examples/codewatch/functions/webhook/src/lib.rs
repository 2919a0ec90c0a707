//! Takes GitHub's push webhook and emits what changed, in batches, to queue `files`.

pub mod batches;
#[cfg(target_family = "wasm")]
mod component;
pub mod signature;
