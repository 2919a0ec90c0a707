//! What a FIFO queue was sent of late: the same id within the window is not delivered again.

use std::collections::{BTreeSet, VecDeque};

use flyball_core::{Span, Time};

/// Ids that are known at most: the oldest are forgotten before their time.
const IDS_MAX: usize = 1_000_000;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Sent {
    window: Span,
    ids: BTreeSet<u64>,
    /// In the order in which they came.
    order: VecDeque<(Time, u64)>,
}

impl Sent {
    pub(super) fn new(window: Span) -> Sent {
        Sent { window, ids: BTreeSet::new(), order: VecDeque::new() }
    }

    /// Whether the id was not sent within the window; then it is known from now on.
    pub(super) fn is_new(&mut self, now: Time, id: u64) -> bool {
        while let Some(&(at, first)) = self.order.front()
            && (now.since(at) >= self.window || self.order.len() >= IDS_MAX)
        {
            self.order.pop_front();
            self.ids.remove(&first);
        }
        let new = self.ids.insert(id);
        if new {
            self.order.push_back((now, id));
        }
        new
    }
}
