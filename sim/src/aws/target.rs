//! What a topic, a bus or a schedule hands on, and what it does when it is not taken.

use flyball_core::Span;

use super::pipe::Leg;
use crate::message::{Ask, Message, NodeNo};

/// Where copies go.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetPolicy {
    /// The node: a queue, a function's asynchronous queue, another topic or bus, a stream, a state machine.
    pub to: NodeNo,
    /// How likely an event is meant for it, 0 to 1: filters and patterns are not evaluated, so that this is
    /// stated or an assumption.
    pub share: f64,
    /// What it does when a copy is not taken.
    pub retry: RetryPolicy,
    /// It has dead letters: where, if that is simulated. `None`: what is given up is lost.
    pub dead: Option<Option<NodeNo>>,
}

/// When a copy that was not taken is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Amazon SNS to queues and functions: 3 times at once, 2 times after 1 s, 10 times after 1 s to 20 s,
    /// then every 20 s. Rows `topic.attempts_max` and `topic.retry_max`; between 1 s and 20 s it grows by
    /// equal factors (assumption).
    Topic {
        /// Attempts in all. Those above 65,535 (15 days) are not counted.
        attempts_max: u32,
    },
    /// Amazon EventBridge: 1 s, then twice as long each time, at most 8 minutes: the wait at which the
    /// documented 185 retries and 24 hours fit together (assumption).
    Bus {
        /// Retries. `MaximumRetryAttempts`, else row `bus.retries_default`.
        retries_max: u32,
        /// How long after the first attempt. `MaximumEventAgeInSeconds`, else row `bus.age_default`.
        age_max: Span,
    },
}

/// From 1 s to 20 s in ten steps of equal factors, milliseconds.
const TOPIC_WAITS_MS: [u64; 10] = [1_000, 1_395, 1_946, 2_714, 3_786, 5_281, 7_368, 10_278, 14_337, 20_000];
/// A bus's longest wait, seconds.
const BUS_WAIT_MAX_S: u64 = 480;

impl RetryPolicy {
    /// The wait before the next attempt, after so many that failed. `None`: there is none.
    pub(crate) fn wait(self, failed: u32) -> Option<Span> {
        match self {
            RetryPolicy::Topic { attempts_max } => (failed < attempts_max).then(|| topic_wait(failed)),
            RetryPolicy::Bus { retries_max, age_max } => {
                let passed: u64 = (1..failed).map(bus_wait_s).fold(0, u64::saturating_add);
                let age = Span::from_secs(passed.saturating_add(bus_wait_s(failed)));
                (failed <= retries_max && age <= age_max).then(|| Span::from_secs(bus_wait_s(failed)))
            }
        }
    }
}

fn topic_wait(failed: u32) -> Span {
    match failed {
        0..=3 => Span::ZERO,
        4..=5 => Span::from_secs(1),
        _ => {
            let step = (failed as usize).saturating_sub(6);
            Span::from_millis(TOPIC_WAITS_MS.get(step).copied().unwrap_or(20_000))
        }
    }
}

fn bus_wait_s(failed: u32) -> u64 {
    1_u64.checked_shl(failed.saturating_sub(1)).map_or(BUS_WAIT_MAX_S, |wait| wait.min(BUS_WAIT_MAX_S))
}

/// A number from 0 to below 1 that follows from a message and a salt.
fn drawn(message: &Message, salt: u64) -> f64 {
    // The upper 53 bits.
    (message.spread(salt) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Whether a message passes the filter before what a mapping does, at each of its deliveries alike.
pub(crate) fn passes(share: f64, before: &[Leg], message: &Message) -> bool {
    let salt = match before.first() {
        Some(Leg::Invoke(function)) => u64::from(function.0),
        Some(Leg::Deliver { to, .. }) => 1 << 32 | u64::from(to.0),
        None => 0,
    };
    share >= 1.0 || drawn(message, FILTERS | salt) < share
}

/// Keeps filters' draws apart from those of targets.
const FILTERS: u64 = 0xF1 << 56;

impl TargetPolicy {
    /// Whether a message is meant for it. `salt` differs between those that decide independently.
    pub(crate) fn wants(&self, message: &Message, salt: u64) -> bool {
        drawn(message, salt) < self.share
    }

    /// A copy was not taken: it is sent again after a while, or given up. The copy itself counts its
    /// attempts.
    pub(crate) fn refused(&self, message: Message, asks: &mut Vec<Ask>) {
        let failed = message.receives.saturating_add(1);
        let again = Message { receives: failed, ..message };
        match self.retry.wait(u32::from(failed)).filter(|_| failed < u16::MAX) {
            Some(delay) => asks.push(Ask::Deliver { to: self.to, message: again, delay }),
            None => match self.dead {
                Some(to) => asks.push(Ask::Dead { message, to, why: "attempts" }),
                None => asks.push(Ask::Dropped { message, why: "attempts" }),
            },
        }
    }
}
