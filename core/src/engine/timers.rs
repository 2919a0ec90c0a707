//! What happens at a moment of its own.
//!
//! Deadlines are many, one for each run, and hardly ever reached. Those of a function all lie as far ahead, so they
//! come in the order in which its runs began: a line for each function, whose first is always of a run that is not
//! over. What is over stays where it is in its line until it is first, or until half of the line is such.

use std::collections::{BTreeSet, VecDeque};

use super::{
    PendingCall,
    fair::{FunctionIx, TenantIx},
    heap::Heap,
    slab::Ix,
};
use crate::{EventId, InvocationId, Time, record::Bucket};

/// What happens then. In this order where it happens at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    CallWait(Ix<PendingCall>),
    KeyedWait(EventId),
    Deadline(InvocationId),
    Lost(InvocationId),
    Turn(TenantIx),
    Forget(Bucket),
}

/// See the module's text.
#[derive(Debug, Default, Hash)]
pub(super) struct Timers {
    /// All but deadlines.
    others: BTreeSet<(Time, Timer)>,
    /// By the number of the function.
    lines: Vec<Line>,
    /// The first of each line.
    firsts: Heap<(Time, FunctionIx)>,
}

#[derive(Debug, Default, Hash)]
struct Line {
    deadlines: VecDeque<(Time, InvocationId)>,
    /// How many of them are of runs that are over.
    over: usize,
}

/// Entries of runs that are over, at least, before a line is looked through for them.
const OVER_MIN: usize = 64;

impl Timers {
    pub(super) fn insert(&mut self, at: Time, timer: Timer) {
        debug_assert!(!matches!(timer, Timer::Deadline(_)), "deadlines have lines");
        self.others.insert((at, timer));
    }

    pub(super) fn remove(&mut self, at: Time, timer: Timer) {
        self.others.remove(&(at, timer));
    }

    /// A run began. Its deadline must not be before one of the same function that was told earlier.
    pub(super) fn began(&mut self, function: FunctionIx, invocation: InvocationId, deadline: Time) {
        let at = function.0 as usize;
        if self.lines.len() <= at {
            self.lines.resize_with(at + 1, Line::default);
        }
        let Some(line) = self.lines.get_mut(at) else { return };
        debug_assert!(line.deadlines.back().is_none_or(|(last, _)| *last <= deadline), "time goes on");
        if line.deadlines.is_empty() {
            self.firsts.insert((deadline, function));
        }
        line.deadlines.push_back((deadline, invocation));
    }

    /// A run is over before its deadline. `runs`: whether one is not.
    pub(super) fn over(
        &mut self,
        function: FunctionIx,
        invocation: InvocationId,
        runs: impl Fn(InvocationId) -> bool,
    ) {
        let Some(line) = self.lines.get_mut(function.0 as usize) else { return };
        if line.deadlines.front().is_some_and(|(_, first)| *first == invocation) {
            self.pop_first_of(function, runs);
            return;
        }
        line.over += 1;
        if line.over > OVER_MIN && line.over * 2 > line.deadlines.len() {
            line.deadlines.retain(|(_, invocation)| runs(*invocation));
            line.over = 0;
        }
    }

    /// When the next is due.
    pub(super) fn first(&self) -> Option<Time> {
        let other = self.others.first().map(|(at, _)| *at);
        let deadline = self.firsts.first().map(|(at, _)| *at);
        match (other, deadline) {
            (Some(other), Some(deadline)) => Some(other.min(deadline)),
            (other, deadline) => other.or(deadline),
        }
    }

    /// Takes the next, whenever it is due. `runs`: whether a run is not over.
    pub(super) fn pop_first(&mut self, runs: impl Fn(InvocationId) -> bool) -> Option<Timer> {
        let other = self.others.first().copied();
        if let Some((at, function)) = self.firsts.first().copied()
            && other.is_none_or(|other| (at, Timer::Deadline(InvocationId(0))) < other)
        {
            return self.pop_first_of(function, runs).map(Timer::Deadline);
        }
        self.others.pop_first().map(|(_, timer)| timer)
    }

    fn pop_first_of(
        &mut self,
        function: FunctionIx,
        runs: impl Fn(InvocationId) -> bool,
    ) -> Option<InvocationId> {
        let line = self.lines.get_mut(function.0 as usize)?;
        let (at, invocation) = line.deadlines.pop_front()?;
        self.firsts.remove(&(at, function));
        while let Some((at, next)) = line.deadlines.front().copied() {
            if runs(next) {
                self.firsts.insert((at, function));
                break;
            }
            line.deadlines.pop_front();
            line.over = line.over.saturating_sub(1);
        }
        Some(invocation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Begin(u32),
        End(usize),
        Lost(u64),
        Later(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0..3_u32).prop_map(Act::Begin),
            3 => (0..200_usize).prop_map(Act::End),
            1 => (0..40_u64).prop_map(Act::Lost),
            2 => (0..20_u64).prop_map(Act::Later),
        ]
    }

    proptest! {
        /// Against one sorted set that forgets at once.
        #[test]
        fn they_come_in_their_order_and_none_of_a_run_that_is_over(acts in prop::collection::vec(act(), 1..600)) {
            let lasts = [30_u64, 5, 90];
            let (mut timers, mut model) = (Timers::default(), BTreeSet::<(Time, Timer)>::new());
            let mut running: BTreeMap<InvocationId, (FunctionIx, Time)> = BTreeMap::new();
            let (mut now, mut next) = (0, 1);
            for act in acts {
                match act {
                    Act::Begin(function) => {
                        let (invocation, at) = (InvocationId(next), Time(now + lasts[function as usize]));
                        next += 1;
                        timers.began(FunctionIx(function), invocation, at);
                        model.insert((at, Timer::Deadline(invocation)));
                        running.insert(invocation, (FunctionIx(function), at));
                    }
                    Act::End(nth) => {
                        let Some((&invocation, &(function, at))) = running.iter().nth(nth) else { continue };
                        running.remove(&invocation);
                        timers.over(function, invocation, |id| running.contains_key(&id));
                        model.remove(&(at, Timer::Deadline(invocation)));
                    }
                    Act::Lost(after) => {
                        let timer = (Time(now + after), Timer::Lost(InvocationId(next)));
                        next += 1;
                        timers.insert(timer.0, timer.1);
                        model.insert(timer);
                    }
                    Act::Later(after) => {
                        now += after;
                        while model.first().is_some_and(|(at, _)| at.0 <= now) {
                            let due = model.first().map(|(at, _)| *at);
                            prop_assert_eq!(timers.first(), due);
                            let got = timers.pop_first(|id| running.contains_key(&id)).unwrap();
                            // Runs of two functions may end at one time: then by function, not by number.
                            prop_assert!(model.remove(&(due.unwrap(), got)), "{:?}", got);
                            if let Timer::Deadline(invocation) = got {
                                running.remove(&invocation);
                            }
                        }
                    }
                }
                prop_assert_eq!(timers.first(), model.first().map(|(at, _)| *at));
                let entries: usize = timers.lines.iter().map(|line| line.deadlines.len()).sum();
                prop_assert!(entries <= 2 * running.len() + 3 * (OVER_MIN + 1), "{} for {}", entries, running.len());
            }
        }
    }
}
