//! What the store could never take is refused before the engine hears of it: a commit that fails ends the
//! engine, so one tenant's outcome that can't be committed would stop everybody, again with each attempt.

use flyball_core::{Attributes, Failure, FailureKind, Outcome, Refusal, model::Shared};
use flyball_store::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// What one commit may hold. A group gathers 8 MiB and takes one more, and the store takes 64 MiB.
const COMMIT_BYTES_MAX: u64 = 48 << 20;
/// Around a body in its record: attributes, the response's status and the like.
const RECORD_BYTES: u64 = 4 << 10;
/// One step of a lineage.
const HOP_BYTES: u64 = 128;
/// A key-value key has the tenant and the namespace before it.
const KEY_PREFIX_BYTES: usize = 4 + flyball_core::NAME_BYTES_MAX + 1;

/// Whether an event from outside fits the store, with a copy for each queue that it goes to.
pub(super) fn refuse_event(
    application: &Shared,
    target: &str,
    attributes: &Attributes,
    body_bytes: usize,
) -> Option<Refusal> {
    let bytes = body_bytes as u64;
    let copies = copies(application, target, attributes);
    let max = value_max().min((COMMIT_BYTES_MAX / copies.max(1)).saturating_sub(RECORD_BYTES));
    (bytes > max).then_some(Refusal::TooLarge { max, bytes })
}

/// Why an outcome can't be committed, if it can't.
pub(super) fn refuse_outcome(application: &Shared, outcome: &Outcome) -> Option<Failure> {
    let mut total = 0_u64;
    let mut largest = 0;
    for result in &outcome.results {
        if let Ok(body) = &result.verdict {
            largest = largest.max(body.len() as u64);
            total += body.len() as u64 + RECORD_BYTES;
        }
        for emit in &result.emits {
            let bytes = emit.body.len() as u64;
            let hops = emit.envelope.lineage.hops.len() as u64;
            let copies = copies(application, &emit.envelope.target, &emit.envelope.attributes);
            largest = largest.max(bytes);
            total = total.saturating_add((bytes + RECORD_BYTES + hops * HOP_BYTES).saturating_mul(copies));
        }
    }
    for write in &outcome.writes {
        let bytes = write.value.as_ref().map_or(0, |value| value.len() as u64);
        largest = largest.max(bytes);
        total += bytes + KEY_BYTES_MAX as u64;
        if write.key.key.len() + KEY_PREFIX_BYTES > KEY_BYTES_MAX {
            let most = KEY_BYTES_MAX - KEY_PREFIX_BYTES;
            let message = format!("a key has {} bytes; the store takes {most}", write.key.key.len());
            return Some(Failure::new(FailureKind::LimitExceeded, message));
        }
    }
    let message = if largest > value_max() {
        format!("a result, value or event has {largest} bytes; the store takes {} of one", value_max())
    } else if total > COMMIT_BYTES_MAX {
        format!(
            "result, writes and emitted events (a copy for each subscriber) have {total} bytes together; \
             one outcome has {COMMIT_BYTES_MAX} at most: emit in several steps, or put bodies into blobs"
        )
    } else {
        return None;
    };
    Some(Failure::new(FailureKind::LimitExceeded, message))
}

const fn value_max() -> u64 {
    VALUE_BYTES_MAX as u64 - RECORD_BYTES
}

fn copies(application: &Shared, target: &str, attributes: &Attributes) -> u64 {
    application.route_event(target, attributes).map_or(0, |queues| queues.len() as u64)
}
