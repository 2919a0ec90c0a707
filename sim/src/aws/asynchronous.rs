//! A function's own queue for asynchronous invocations: accepted at once, run when there is room, tried
//! again.

#[cfg(test)]
mod tests;

use std::{cmp::Reverse, collections::BinaryHeap};

use flyball_app::{
    design,
    profile::{Limit, Profile},
};
use flyball_core::{FailureKind, Span, Time};

use super::rows;
use crate::message::{Ask, FunctionNo, Message, NodeNo, Part, Verdict};

/// The numbers of an asynchronous queue.
#[derive(Debug, Clone, PartialEq)]
pub struct AsynchronousPolicy {
    /// The function.
    pub function: FunctionNo,
    /// Runs of one event that may fail. One more than `MaximumRetryAttempts`, else than row
    /// `lambda.async_retries_default`.
    pub attempts_max: u32,
    /// The wait before the second run; twice as long before the third. Row `lambda.async_retry_wait`.
    pub retry_wait: Span,
    /// How long an event may wait to be run. `MaximumEventAgeInSeconds`, else row `lambda.async_age_default`.
    pub age_max: Span,
    /// The wait after the first throttle; twice as long each time (AWS Lambda developer guide,
    /// invocation-async-error-handling: from 1 s). That a long queue makes it longer is not modelled: no
    /// numbers.
    pub throttle_wait: Span,
    /// The wait after a throttle at most (there: 5 minutes).
    pub throttle_wait_max: Span,
    /// Where events go that were handled: `OnSuccess`.
    pub on_success: Option<NodeNo>,
    /// Where events go that were not: `OnFailure`, or a dead-letter queue, or both.
    pub on_failure: Vec<NodeNo>,
    /// Such events are kept somewhere, be it out of sight.
    pub kept: bool,
}

impl AsynchronousPolicy {
    /// What the design states, and AWS's defaults. Destinations are the edges' business.
    pub fn of(profile: &Profile, function: &design::Function, number: FunctionNo) -> AsynchronousPolicy {
        let retries = rows::count(profile, Limit::LambdaAsyncRetriesDefault, 2);
        let age = rows::seconds(profile, Limit::LambdaAsyncAgeDefault, 21_600);
        AsynchronousPolicy {
            function: number,
            attempts_max: rows::stated_count(&function.async_retries_max, retries).saturating_add(1),
            retry_wait: rows::seconds(profile, Limit::LambdaAsyncRetryWait, 60),
            age_max: rows::stated_seconds(&function.async_age_max_s, age),
            throttle_wait: Span::from_secs(1),
            throttle_wait_max: Span::from_secs(300),
            on_success: None,
            on_failure: Vec::new(),
            kept: function.dead_letters.stated() == Some(&true),
        }
    }
}

#[derive(Debug)]
struct Event {
    message: Message,
    came: Time,
    /// In a row.
    throttles: u8,
}

/// See the module's text.
#[derive(Debug)]
pub struct Asynchronous {
    policy: AsynchronousPolicy,
    events: Vec<Option<Event>>,
    free: Vec<u32>,
    /// Events that wait: when they are due, in the order in which they began to wait.
    due: BinaryHeap<Reverse<(Time, u64, u32)>>,
    sequence: u64,
    /// The earliest wake that is under way.
    armed: Option<Time>,
}

impl Asynchronous {
    /// An empty queue.
    pub fn new(policy: AsynchronousPolicy) -> Asynchronous {
        let (events, free) = (Vec::new(), Vec::new());
        Asynchronous { policy, events, free, due: BinaryHeap::new(), sequence: 0, armed: None }
    }

    fn event_mut(&mut self, place: u32) -> Option<&mut Event> {
        self.events.get_mut(place as usize)?.as_mut()
    }

    fn take(&mut self, place: u32) -> Option<Event> {
        let event = self.events.get_mut(place as usize)?.take();
        self.free.extend(event.as_ref().map(|_| place));
        event
    }

    fn run(&mut self, place: u32, asks: &mut Vec<Ask>) {
        let function = self.policy.function;
        if let Some(event) = self.event_mut(place) {
            event.message.receives = event.message.receives.saturating_add(1);
            asks.push(Ask::Invoke { function, batch: vec![event.message], token: u64::from(place) });
        }
    }

    fn wait(&mut self, place: u32, now: Time, span: Span) {
        let Some(event) = self.events.get(place as usize).and_then(Option::as_ref) else { return };
        // Where it would be too old by then, it is given up when it is.
        let at = now.after(span).min(event.came.after(self.policy.age_max)).max(now);
        self.sequence += 1;
        self.due.push(Reverse((at, self.sequence, place)));
    }

    fn give_up(&mut self, place: u32, why: &'static str, asks: &mut Vec<Ask>) {
        let Some(Event { message, .. }) = self.take(place) else { return };
        let mut places = self.policy.on_failure.iter();
        match places.next() {
            Some(to) => asks.push(Ask::Dead { message, to: Some(*to), why }),
            None if self.policy.kept => asks.push(Ask::Dead { message, to: None, why }),
            None => asks.push(Ask::Dropped { message, why }),
        }
        for (to, place) in places.zip(2..) {
            asks.push(Ask::Deliver { to: *to, message: message.copy(place), delay: Span::ZERO });
        }
    }

    fn failed(&mut self, place: u32, kind: FailureKind, now: Time, asks: &mut Vec<Ask>) {
        let (attempts_max, wait) = (self.policy.attempts_max, self.policy.retry_wait.0);
        let Some(event) = self.event_mut(place) else { return };
        event.throttles = 0;
        let runs = u32::from(event.message.receives);
        if kind == FailureKind::HopLimit {
            // What recursion stops is not tried again.
            self.give_up(place, "hops", asks);
        } else if runs >= attempts_max {
            self.give_up(place, "attempts", asks);
        } else {
            self.wait(place, now, Span(wait.saturating_mul(1 << runs.saturating_sub(1).min(32))));
        }
    }

    fn throttled(&mut self, place: u32, now: Time) {
        let (first, most) = (self.policy.throttle_wait.0, self.policy.throttle_wait_max.0);
        let Some(event) = self.event_mut(place) else { return };
        // It was not run.
        event.message.receives = event.message.receives.saturating_sub(1);
        let wait = first.saturating_mul(1 << event.throttles.min(32)).min(most);
        event.throttles = event.throttles.saturating_add(1);
        self.wait(place, now, Span(wait));
    }

    fn succeeded(&mut self, place: u32, asks: &mut Vec<Ask>) {
        let Some(Event { message, .. }) = self.take(place) else { return };
        if let Some(to) = self.policy.on_success {
            asks.push(Ask::Deliver { to, message: message.copy(1), delay: Span::ZERO });
        }
        asks.push(Ask::Done { message });
    }

    fn arm(&mut self, asks: &mut Vec<Ask>) {
        let Some(Reverse((at, ..))) = self.due.peek() else { return };
        if self.armed.is_none_or(|armed| *at < armed) {
            asks.push(Ask::Wake { at: *at, token: 0 });
            self.armed = Some(*at);
        }
    }
}

impl Part for Asynchronous {
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>) {
        let event = Event { message: Message { receives: 0, ..message }, came: now, throttles: 0 };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.events.push(None);
                u32::try_from(self.events.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(slot) = self.events.get_mut(place as usize) {
            *slot = Some(event);
        }
        self.run(place, asks);
    }

    fn wake(&mut self, now: Time, _token: u64, asks: &mut Vec<Ask>) {
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        while let Some(Reverse((at, _, place))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            let too_old = now.0.checked_sub(self.policy.age_max.0);
            let old = |event: &mut Event| too_old.is_some_and(|before| event.came.0 <= before);
            if self.event_mut(place).is_some_and(old) {
                self.give_up(place, "age", asks);
            } else {
                self.run(place, asks);
            }
        }
        self.arm(asks);
    }

    fn answered(&mut self, now: Time, token: u64, verdict: Verdict, asks: &mut Vec<Ask>) {
        let Ok(place) = u32::try_from(token) else { return };
        match verdict {
            Verdict::Throttled(_) | Verdict::Refused(_) => self.throttled(place, now),
            Verdict::Failed(kind) => self.failed(place, kind, now, asks),
            // There is one event in it, and nobody reads which of them failed.
            Verdict::Done | Verdict::Partly(_) => self.succeeded(place, asks),
        }
        self.arm(asks);
    }

    fn waiting(&self) -> u64 {
        self.due.len() as u64
    }

    fn in_flight(&self) -> u64 {
        (self.events.len() - self.free.len() - self.due.len()) as u64
    }
}
