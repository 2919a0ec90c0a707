//! Scans the files of a `codewatch.files` event, and emits one `codewatch.finding` for each file that has any.

pub mod batch;
#[cfg(target_family = "wasm")]
mod component;
