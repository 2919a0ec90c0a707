//! EventBridge Pipes: what comes of a source goes through an enrichment to a target, batch by batch.
//!
//! A pipe reads its source as Lambda's event source mappings do, and each leg of its way is one that such a mapping
//! could have alone: so it is a mapping with several legs. A batch is over at the source when its last leg is.

use flyball_core::Span;

use super::target::{RetryPolicy, TargetPolicy};
use crate::message::{Ask, FunctionNo, Message, NodeNo};

/// What is done with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// A function is invoked with it, and awaited.
    Invoke(FunctionNo),
    /// It is handed to a node that is not awaited. `together`: as one message, as executions and asynchronous
    /// invocations take it; else each message by itself.
    Deliver {
        /// Which node.
        to: NodeNo,
        /// As one message.
        together: bool,
    },
}

impl Leg {
    /// The function that is invoked.
    pub(crate) fn function(self) -> Option<FunctionNo> {
        match self {
            Leg::Invoke(function) => Some(function),
            Leg::Deliver { .. } => None,
        }
    }
}

/// Keeps the ids of a pipe's copies apart from others.
const COPIES: u64 = 0xF2 << 56;

/// Hands a batch to a node.
pub(super) fn deliver(batch: &[Message], to: NodeNo, together: bool, asks: &mut Vec<Ask>) {
    // What counts a chain's invocations is taken not to travel through a pipe, as it does not through a bus.
    let copy = |message: &Message| Message { hops: 0, ..message.copy(COPIES | u64::from(to.0)) };
    if !together {
        asks.extend(batch.iter().map(|message| Ask::Deliver {
            to,
            message: copy(message),
            delay: Span::ZERO,
        }));
        return;
    }
    let Some(first) = batch.first() else { return };
    let (items, bytes) = batch.iter().fold((0_u32, 0_u32), |(items, bytes), message| {
        (items.saturating_add(message.items), bytes.saturating_add(message.bytes))
    });
    asks.push(Ask::Deliver { to, message: Message { items, bytes, ..copy(first) }, delay: Span::ZERO });
}

/// A target did not take what it was handed: it is asked again, as a bus does it. How often a pipe does is an
/// assumption; here its source knows nothing of it any more.
pub(super) fn refused<'a>(
    mut legs: impl Iterator<Item = &'a Leg>,
    by: NodeNo,
    message: Message,
    asks: &mut Vec<Ask>,
) {
    if !legs.any(|leg| matches!(leg, Leg::Deliver { to, .. } if *to == by)) {
        asks.push(Ask::Dropped { message, why: "refused" });
        return;
    }
    let retry = RetryPolicy::Bus { retries_max: RETRIES_MAX, age_max: AGE_MAX };
    TargetPolicy { to: by, share: 1.0, retry, dead: None }.refused(message, asks);
}

/// As a bus's target, where nothing is stated.
const RETRIES_MAX: u32 = 185;
const AGE_MAX: Span = Span::from_secs(86_400);
