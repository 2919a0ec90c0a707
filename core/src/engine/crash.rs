//! Runs that were cut off, and events that may have ended the process.
//!
//! A run that is cut off is no attempt: its event returns to its queue, and nothing of it starts again
//! before that is durable. Where the process itself ended, each event that ran or was written ahead as begun
//! (`ahead`) is charged with a crash, because any of them may have been the cause. A run that ends by itself,
//! however it ends, clears its event.
//!
//! Who is one crash short of `crashes_max` is a **suspect**. Suspects run one at a time over the whole lane
//! and never in a batch, so that the next crash names one of them. All others run as ever: after a crash that
//! nobody here caused there is nothing to wait for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Effects, Engine, Event, Fate, Item, Settling, State, Then, fair::Flow, fair::FunctionIx, fair::TenantIx,
    slab::Ix,
};
use crate::{Failure, FailureKind, Seq, Usage, record::Dead};

/// Suspects whose turn has come.
#[derive(Debug, Default, Hash)]
pub(super) struct Suspects {
    /// The one that runs, or whose outcome is not durable yet.
    runs: Option<Ix<Event>>,
    /// Those that wait for its end.
    held: BTreeSet<(Seq, Ix<Event>)>,
}

impl Suspects {
    /// This one starts.
    pub(super) fn begin(&mut self, event: Ix<Event>) {
        debug_assert!(self.runs.is_none(), "one at a time");
        self.runs = Some(event);
    }

    /// An event's run has ended; whether it was the suspect's.
    pub(super) fn end(&mut self, event: Ix<Event>) -> bool {
        self.runs.take_if(|runs| *runs == event).is_some()
    }

    pub(super) fn held(&self) -> impl Iterator<Item = Ix<Event>> {
        self.held.iter().map(|(_, event)| *event)
    }
}

impl Event {
    /// Whether the next crash during its run would be its last.
    pub(super) fn suspect(&self, crashes_max: u8) -> bool {
        self.crashes > 0 && self.crashes.saturating_add(1) >= crashes_max
    }
}

impl Engine {
    /// What was cut off returns to its queue: durably, and then to the head of its flow, the oldest first.
    pub(super) fn return_cut_off(&mut self, cut_off: BTreeMap<Ix<Event>, bool>, effects: &mut Effects) {
        let mut cut_off: Vec<_> =
            cut_off.into_iter().map(|(event, crash)| (self.events[event].seq, event, crash)).collect();
        cut_off.sort_unstable();
        for (_, event, crash) in cut_off.into_iter().rev() {
            let e = &mut self.events[event];
            e.attempt = e.attempt.saturating_sub(1);
            let fate = if crash { self.crashed(event) } else { Fate::Again };
            self.settle_alone(event, fate, effects);
        }
    }

    fn crashed(&mut self, event: Ix<Event>) -> Fate {
        let max = self.application.limits.crashes_max;
        let e = &mut self.events[event];
        e.crashes = e.crashes.saturating_add(1);
        let crashes = e.crashes;
        let found = format!("the platform's process ended while this ran, {crashes} times in a row");
        if crashes < max {
            let message = format!("{found}; it is tried again, and put aside at crashes_max, {max}");
            Fate::Crashed { failure: Failure::new(FailureKind::Crashed, message) }
        } else {
            let message =
                format!("{found}; crashes_max is {max}. Find out why, in the server's log, before a redrive");
            Fate::Dead { failure: Failure::new(FailureKind::Crashed, message) }
        }
    }

    /// What ended the process before is given one run, and alone.
    pub(super) fn crashes_of_redriven(&self, dead: &Dead) -> u8 {
        match dead.failure.kind {
            FailureKind::Crashed => self.application.limits.crashes_max.saturating_sub(1),
            _ => 0,
        }
    }

    /// Takes a suspect out of its flow where another has not ended, so that what is behind it may go first.
    pub(super) fn hold_suspect(&mut self, flow: Ix<Flow>) -> bool {
        let Some(&Item::Event(event)) = self.scheduler.flows[flow].ready.front() else { return false };
        let crashes_max = self.application.limits.crashes_max;
        if self.suspects.runs.is_none() || !self.events[event].suspect(crashes_max) {
            return false;
        }
        self.scheduler.flows[flow].ready.pop_front();
        let e = &mut self.events[event];
        e.state = State::Held;
        self.suspects.held.insert((e.seq, event));
        self.flow_changed(flow);
        true
    }

    /// The first suspect of each flow may try again. Not only the first of all: its flow may be at a limit.
    pub(super) fn release_held(&mut self) {
        let mut flows: BTreeSet<(FunctionIx, TenantIx)> = BTreeSet::new();
        let firsts: Vec<_> = self
            .suspects
            .held
            .iter()
            .filter(|(_, event)| {
                let e = &self.events[*event];
                flows.insert((self.queues[e.queue].function, e.tenant))
            })
            .copied()
            .collect();
        for (seq, event) in firsts.into_iter().rev() {
            self.suspects.held.remove(&(seq, event));
            let e = &mut self.events[event];
            e.state = State::Ready;
            let (queue, tenant) = (e.queue, e.tenant);
            let flow = self.flow(self.queues[queue].function, tenant);
            self.enqueue(flow, Item::Event(event), true);
        }
    }

    /// The process ends in good order. What still runs returns to its queue, and nobody is charged.
    pub(super) fn close(&mut self, effects: &mut Effects) {
        self.drain(effects);
        let invocations: Vec<_> = self.invocations.iter().map(|(_, entry)| entry.key).collect();
        for invocation in invocations {
            let Some(running) = self.invocations.remove(&invocation) else { continue };
            self.ends_no_more(invocation, &running);
            self.give_back(invocation, &running, Usage::default(), effects);
            let (function, tenant) = (running.function, running.tenant);
            let fates: super::Fates = running.items.into_iter().map(|item| (item, Fate::Again)).collect();
            for (item, _) in &fates {
                if let Item::Event(event) = item {
                    let e = &mut self.events[*event];
                    e.attempt = e.attempt.saturating_sub(1);
                }
            }
            self.turns.run_over(invocation);
            let mut settling = Settling::of(function, tenant, fates);
            settling.turn = self.turns.since(tenant, invocation).map(|_| invocation);
            let mut writes = Vec::new();
            self.write_fates(&settling, &mut writes);
            if writes.is_empty() {
                self.settled(settling, effects);
            } else {
                self.commit(writes, Then::Settle(Box::new(settling)), effects);
            }
        }
    }

    /// For `invariant`: suspects that run together, or beside others in a batch.
    pub(crate) fn suspects_together(&self) -> Option<String> {
        let max = self.application.limits.crashes_max;
        let suspect = |item: &Item| match item {
            Item::Event(event) => self.events[*event].suspect(max).then_some(*event),
            Item::Call(_) => None,
        };
        let running = self.invocations.values().filter(|r| r.items.iter().any(|i| suspect(i).is_some()));
        let running: Vec<_> = running.map(|r| &r.items).collect();
        let alone = running.iter().all(|items| items.len() == 1);
        let known = running.iter().flat_map(|items| items.iter()).all(|i| suspect(i) == self.suspects.runs);
        // Who is held while none runs is behind another of its flow.
        let behind = |event: Ix<Event>| {
            let e = &self.events[event];
            let key = (self.queues[e.queue].function, e.tenant);
            self.scheduler.flows.iter().any(|(_, flow)| {
                (flow.function, flow.tenant) == key && flow.ready.iter().any(|i| suspect(i).is_some())
            })
        };
        let stuck = self.suspects.runs.is_none() && !self.suspects.held().all(behind);
        (running.len() > 1 || !alone || !known || stuck)
            .then(|| format!("suspects run in {running:?}, {:?}", self.suspects))
    }
}
