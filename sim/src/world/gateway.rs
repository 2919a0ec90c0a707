//! Requests that API Gateway does not let in.

use flyball_core::Time;

use super::{
    World,
    invoke::{Caller, Who},
};
use crate::message::{FunctionNo, Message, Throttle, Verdict};

/// How many tries of a source were not let in, and when the first was not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TurnedAway {
    pub count: u64,
    pub first: Option<Time>,
}

impl World<'_> {
    /// Whether the gateway does not let a request in: then its client is told so, and no function hears of it.
    pub(super) fn turns_away(
        &mut self,
        who: Who,
        message: Message,
        source: u32,
        function: FunctionNo,
    ) -> bool {
        let now = self.now;
        if self.gateway.as_mut().is_none_or(|gateway| gateway.takes(now)) {
            return false;
        }
        if let Some(books) = self.tally.sources.get_mut(source as usize) {
            books.turned_away.count += 1;
            books.turned_away.first.get_or_insert(now);
        }
        self.tally.throttled_over.update(now, |slot| *slot += 1);
        if let Some(books) = self.tally.tenants.get_mut(message.tenant.0 as usize) {
            books.throttled += 1;
        }
        let (function, batch) = (Some(function), Vec::new());
        let caller = Caller { who, function, message, batch, copies: 0, verdict: None };
        self.tell(caller, Verdict::Throttled(Throttle::Gateway));
        true
    }
}
