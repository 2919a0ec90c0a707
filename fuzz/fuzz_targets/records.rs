//! What is durable: arbitrary bytes as every record and key, arbitrary records as what an engine is restored
//! from, and arbitrary batches against a model of the store. What is asserted is in docs/fuzzing.md.
#![no_main]

#[path = "records/bytes.rs"]
mod bytes;
#[path = "records/restore.rs"]
mod restore;
#[path = "records/store.rs"]
mod store;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    match which % 3 {
        0 => bytes::check(rest),
        1 => restore::check(rest),
        _ => store::check(rest),
    }
});
