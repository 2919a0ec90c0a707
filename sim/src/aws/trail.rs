//! CloudTrail: what it logs goes into files, and each file into a bucket.

#[cfg(test)]
mod tests;

use flyball_core::{Span, Time};

use crate::message::{Ask, Message, NodeNo, Part, Verdict};

/// How long a trail gathers before it writes a file. Assumption: about five minutes, after the AWS CloudTrail user
/// guide, how-cloudtrail-works; a file each time, however much was logged.
const GATHERS: Span = Span::from_secs(300);
/// What one event takes in a file. Assumption.
const EVENT_BYTES: u32 = 1_024;

/// The numbers of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailPolicy {
    /// How long it gathers from the first event on.
    pub gathers: Span,
    /// The buckets that its files go to, where they are simulated.
    pub to: Vec<NodeNo>,
}

impl TrailPolicy {
    /// A trail that writes there.
    pub fn of(to: Vec<NodeNo>) -> TrailPolicy {
        TrailPolicy { gathers: GATHERS, to }
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Trail {
    policy: TrailPolicy,
    /// What goes into the next file, with when the first came.
    gathered: Vec<Message>,
    since: Option<Time>,
}

impl Trail {
    /// A trail.
    pub fn new(policy: TrailPolicy) -> Trail {
        Trail { policy, gathered: Vec::new(), since: None }
    }
}

impl Part for Trail {
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>) {
        if self.gathered.is_empty() {
            self.since = Some(now);
            asks.push(Ask::Wake { at: now.after(self.policy.gathers), token: 0 });
        }
        self.gathered.push(message);
    }

    fn wake(&mut self, _now: Time, _token: u64, asks: &mut Vec<Ask>) {
        self.since = None;
        let gathered = std::mem::take(&mut self.gathered);
        let Some(first) = gathered.first() else { return };
        let events = u32::try_from(gathered.len()).unwrap_or(u32::MAX);
        for (to, place) in self.policy.to.iter().zip(1..) {
            let file = Message { bytes: EVENT_BYTES.saturating_mul(events), items: 1, ..first.copy(place) };
            asks.push(Ask::Deliver { to: *to, message: file, delay: Span::ZERO });
        }
        asks.extend(gathered.into_iter().map(|message| Ask::Done { message }));
    }

    fn answered(&mut self, _now: Time, _token: u64, _verdict: Verdict, _asks: &mut Vec<Ask>) {}

    fn waiting(&self) -> u64 {
        self.gathered.len() as u64
    }

    fn in_flight(&self) -> u64 {
        0
    }

    fn oldest(&self) -> Option<Time> {
        self.since
    }
}
