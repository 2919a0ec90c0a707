//! What the store could never take is refused before the engine hears of it: a commit that fails ends the
//! engine. What outcomes may write is bounded by the engine itself.

use flyball_core::{
    Attributes, Refusal,
    model::Shared,
    record::{BODY_BYTES_MAX, OUTCOME_BYTES_MAX},
};

/// Around a body in its records: the attributes and the index entry.
const RECORD_BYTES: u64 = 4 << 10;

/// Whether an event from outside fits one commit, with a copy for each queue that it goes to.
pub(super) fn refuse_event(
    application: &Shared,
    target: &str,
    attributes: &Attributes,
    body_bytes: usize,
) -> Option<Refusal> {
    let bytes = body_bytes as u64;
    let copies = application.route_event(target, attributes).map_or(0, |queues| queues.len() as u64);
    let room = (OUTCOME_BYTES_MAX / copies.max(1)).saturating_sub(RECORD_BYTES);
    // A stored request has its head in its body, beyond what its own limit counts.
    let max = room.min(BODY_BYTES_MAX + (128 << 10));
    (bytes > max).then_some(Refusal::TooLarge { max, bytes })
}
