//! SNS: a topic hands a copy to each subscriber that wants it.

#[cfg(test)]
mod tests;

use flyball_app::{
    design::Subscription,
    profile::{Limit, Profile},
};
use flyball_core::{Span, Time};

use super::{
    rows,
    target::{RetryPolicy, TargetPolicy},
};
use crate::message::{Ask, Message, NodeNo, Part, Verdict};

/// The numbers of a topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicPolicy {
    /// Its subscribers: queues, and functions by their asynchronous queues.
    pub subscribers: Vec<TargetPolicy>,
}

impl TopicPolicy {
    /// A subscriber as the design states it; `share` of the messages passes its filter. `dead`:
    /// its dead letters, where they are simulated.
    pub fn subscriber(
        profile: &Profile,
        subscription: &Subscription,
        to: NodeNo,
        share: f64,
        dead: Option<NodeNo>,
    ) -> TargetPolicy {
        let attempts_max = rows::count(profile, Limit::TopicAttemptsMax, 100_015);
        let kept = subscription.redrive.stated() == Some(&true) || dead.is_some();
        TargetPolicy { to, share, retry: RetryPolicy::Topic { attempts_max }, dead: kept.then_some(dead) }
    }
}

/// See the module's text. Nothing waits here: what it costs to hand on is not modelled, no numbers.
#[derive(Debug)]
pub struct Topic {
    policy: TopicPolicy,
}

impl Topic {
    /// A topic.
    pub fn new(policy: TopicPolicy) -> Topic {
        Topic { policy }
    }
}

impl Part for Topic {
    fn arrive(&mut self, _now: Time, message: Message, asks: &mut Vec<Ask>) {
        for (subscriber, place) in self.policy.subscribers.iter().zip(1..) {
            if subscriber.wants(&message, place) {
                let copy = message.copy(place);
                asks.push(Ask::Deliver { to: subscriber.to, message: copy, delay: Span::ZERO });
            }
        }
        asks.push(Ask::Done { message });
    }

    fn wake(&mut self, _now: Time, _token: u64, _asks: &mut Vec<Ask>) {}

    fn answered(&mut self, _now: Time, _token: u64, _verdict: Verdict, _asks: &mut Vec<Ask>) {}

    fn refused(&mut self, _now: Time, by: NodeNo, message: Message, asks: &mut Vec<Ask>) {
        match self.policy.subscribers.iter().find(|subscriber| subscriber.to == by) {
            Some(subscriber) => subscriber.refused(message, asks),
            None => asks.push(Ask::Dropped { message, why: "refused" }),
        }
    }

    fn waiting(&self) -> u64 {
        0
    }

    fn in_flight(&self) -> u64 {
        0
    }
}
