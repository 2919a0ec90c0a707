//! What became of single events, for `flyball trace`: the most recent ones, in bounded memory.
//!
//! Entries lie in a ring and are used again, so that remembering an event that had one run allocates
//! nothing. Those of one flow are chained in the order in which they came.

use std::collections::HashMap;

use flyball_core::{EventId, Failure, InvocationId, LimitName, Name, Note, Span, TenantId, Time};

/// Runs remembered of one event.
const RUNS_MAX: usize = 16;
/// Events shown of one flow.
const FLOW_MAX: usize = 1_000;

/// What became of one event.
#[derive(Debug, Clone)]
pub struct EventTrace {
    /// Which.
    pub id: EventId,
    /// Where its flow began.
    pub root: EventId,
    /// The event whose handling emitted it.
    pub cause: Option<EventId>,
    /// Whose.
    pub tenant: TenantId,
    /// Where it waited; `None` for a call.
    pub queue: Option<Name>,
    /// When it was accepted, or called.
    pub accepted: Time,
    /// Its runs, in order.
    pub runs: Vec<RunTrace>,
    /// How it ended, and when.
    pub end: Option<(Time, Verdict)>,
}

/// One run.
#[derive(Debug, Clone)]
pub struct RunTrace {
    /// The function.
    pub function: Name,
    /// The invocation.
    pub invocation: InvocationId,
    /// Which run, from 1.
    pub attempt: u16,
    /// When it started.
    pub started: Time,
    /// How long it had been ready.
    pub dwell: Span,
    /// The limit it waited for last.
    pub waited_for: Option<LimitName>,
    /// Why it failed, and when it is tried again.
    pub failed: Option<(Failure, Time)>,
}

/// How an event ended.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It succeeded and emitted this many.
    Done(u32),
    /// It died.
    Dead(Failure),
}

/// Counts the events remembered, from 0: the ring's slot is the remainder.
type Number = u64;

#[derive(Debug)]
struct Entry {
    trace: EventTrace,
    /// The next of its flow.
    next: Option<Number>,
    /// Of a root: the last of its flow.
    last: Number,
}

/// The first and last of a flow.
#[derive(Debug, Clone, Copy)]
struct Flow {
    first: Number,
    last: Number,
}

#[derive(Debug)]
pub(super) struct Journal {
    /// How many are remembered; the oldest are forgotten first.
    events_max: u64,
    ring: Vec<Entry>,
    /// The number of the next event.
    next: Number,
    numbers: HashMap<EventId, Number>,
    /// Flows whose root is not remembered, or was not when they began. Those of others begin with their root,
    /// which most often is all of them.
    flows: HashMap<EventId, Flow>,
}

impl Journal {
    pub(super) fn new(events_max: u32) -> Journal {
        // One at least: the event that is being noted.
        let events_max = u64::from(events_max.max(1));
        Journal { events_max, ring: Vec::new(), next: 0, numbers: HashMap::new(), flows: HashMap::new() }
    }

    pub(super) fn note(&mut self, note: &Note, now: Time) {
        match note {
            Note::Accepted { id, tenant, queue, cause, root } => {
                let event = self.event(*id, *root, *tenant, now);
                event.queue = Some(queue.clone());
                event.cause = *cause;
            }
            Note::Started { id, tenant, function, invocation, attempt, dwell, waited_for } => {
                let accepted = Time(now.0.saturating_sub(dwell.0));
                let event = self.event(*id, *id, *tenant, accepted);
                if event.runs.len() < RUNS_MAX {
                    event.runs.reserve_exact(1);
                    event.runs.push(RunTrace {
                        function: function.clone(),
                        invocation: *invocation,
                        attempt: *attempt,
                        started: now,
                        dwell: *dwell,
                        waited_for: waited_for.clone(),
                        failed: None,
                    });
                }
            }
            Note::Done { id, emitted, .. } => self.end(id, now, Verdict::Done(*emitted)),
            Note::Dead { id, failure, .. } => self.end(id, now, Verdict::Dead(failure.clone())),
            Note::Retrying { id, failure, at, .. } => {
                if let Some(run) = self.known(id).and_then(|event| event.runs.last_mut()) {
                    run.failed = Some((failure.clone(), *at));
                }
            }
            Note::Duplicate { .. }
            | Note::Conflict { .. }
            | Note::Refused { .. }
            | Note::Unrouted { .. }
            | Note::Ended { .. } => {}
        }
    }

    fn end(&mut self, id: &EventId, now: Time, verdict: Verdict) {
        if let Some(event) = self.known(id) {
            event.end = Some((now, verdict));
        }
    }

    /// Where in the ring; it fits, `events_max` being a `u32` once.
    fn slot(&self, number: Number) -> usize {
        (number % self.events_max) as usize
    }

    fn known(&mut self, id: &EventId) -> Option<&mut EventTrace> {
        let number = *self.numbers.get(id)?;
        let slot = self.slot(number);
        self.ring.get_mut(slot).map(|entry| &mut entry.trace)
    }

    fn event(&mut self, id: EventId, root: EventId, tenant: TenantId, accepted: Time) -> &mut EventTrace {
        let known = self.numbers.get(&id).copied();
        let number = known.unwrap_or_else(|| self.remember(id, root, tenant, accepted));
        let slot = self.slot(number);
        // `remember` has just put it there, and what `numbers` names is in the ring.
        #[expect(clippy::indexing_slicing, reason = "see above")]
        &mut self.ring[slot].trace
    }

    fn remember(&mut self, id: EventId, root: EventId, tenant: TenantId, accepted: Time) -> Number {
        let number = self.next;
        self.next += 1;
        let slot = self.slot(number);
        self.forget(slot);
        self.numbers.insert(id, number);
        self.join(id, root, number);
        let (cause, queue, end) = (None, None, None);
        match self.ring.get_mut(slot) {
            Some(entry) => {
                let mut runs = std::mem::take(&mut entry.trace.runs);
                runs.clear();
                runs.shrink_to(1);
                entry.trace = EventTrace { id, root, cause, tenant, queue, accepted, runs, end };
                (entry.next, entry.last) = (None, number);
            }
            None => {
                let runs = Vec::new();
                let trace = EventTrace { id, root, cause, tenant, queue, accepted, runs, end };
                self.ring.push(Entry { trace, next: None, last: number });
            }
        }
        number
    }

    /// Puts a new event at the end of its flow.
    fn join(&mut self, id: EventId, root: EventId, number: Number) {
        let last = if let Some(flow) = self.flows.get_mut(&root) {
            std::mem::replace(&mut flow.last, number)
        } else if id == root {
            return;
        } else if let Some(slot) = self.numbers.get(&root).map(|head| self.slot(*head))
            && let Some(head) = self.ring.get_mut(slot)
        {
            std::mem::replace(&mut head.last, number)
        } else {
            self.flows.insert(root, Flow { first: number, last: number });
            return;
        };
        let slot = self.slot(last);
        if let Some(last) = self.ring.get_mut(slot) {
            last.next = Some(number);
        }
    }

    /// Makes room in a slot that is taken: its event is the oldest of all, and so the first of its flow.
    fn forget(&mut self, slot: usize) {
        let Some(Entry { trace: EventTrace { id, root, .. }, next, last }) = self.ring.get(slot) else {
            return;
        };
        self.numbers.remove(id);
        match (self.flows.get_mut(root), *next) {
            (Some(flow), Some(next)) => flow.first = next,
            (Some(_), None) => drop(self.flows.remove(root)),
            // The root goes and others of its flow stay.
            (None, Some(next)) => drop(self.flows.insert(*root, Flow { first: next, last: *last })),
            (None, None) => {}
        }
    }

    pub(super) fn trace(&self, id: EventId) -> Vec<EventTrace> {
        let known = self.numbers.get(&id).and_then(|number| self.ring.get(self.slot(*number)));
        let root = known.map_or(id, |entry| entry.trace.root);
        let flow = self.flows.get(&root).map(|flow| flow.first);
        let mut number = flow.or_else(|| self.numbers.get(&root).copied());
        let chain = std::iter::from_fn(|| {
            let entry = self.ring.get(self.slot(number?))?;
            number = entry.next;
            Some(entry.trace.clone())
        });
        chain.take(FLOW_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS_MAX: u64 = 2_000;

    fn accepted(n: u32, root: EventId) -> Note {
        let queue = Name::new("q").unwrap();
        Note::Accepted { id: root.emitted(n), tenant: TenantId(1), queue, cause: Some(root), root }
    }

    #[test]
    fn a_flow_is_found_by_any_of_its_events_and_the_oldest_are_forgotten() {
        let mut journal = Journal::new(EVENTS_MAX as u32);
        let root = EventId([1; 16]);
        journal.note(&accepted(0, root), Time(1));
        journal.note(&accepted(1, root), Time(2));
        let ids = |traces: Vec<EventTrace>| traces.iter().map(|trace| trace.id).collect::<Vec<_>>();
        assert_eq!(ids(journal.trace(root.emitted(1))), [root.emitted(0), root.emitted(1)]);
        assert_eq!(journal.trace(root).len(), 2);
        let flood = EventId([2; 16]);
        for n in 0..EVENTS_MAX as u32 - 1 {
            journal.note(&accepted(n, flood), Time(3));
        }
        // Its first event had to go, the other is still found.
        assert_eq!(ids(journal.trace(root)), [root.emitted(1)]);
        journal.note(&accepted(u32::MAX, flood), Time(4));
        assert_eq!(journal.trace(root).len(), 0);
        assert_eq!(journal.trace(flood).len(), FLOW_MAX);
        assert_eq!((journal.ring.len(), journal.numbers.len()), (EVENTS_MAX as usize, EVENTS_MAX as usize));
        assert_eq!(journal.flows.len(), 1);
    }

    #[test]
    fn a_slot_that_is_used_again_keeps_nothing() {
        let mut journal = Journal::new(EVENTS_MAX as u32);
        let function = Name::new("f").unwrap();
        let started = |n: u32| Note::Started {
            id: EventId([3; 16]).emitted(n),
            tenant: TenantId(1),
            function: function.clone(),
            invocation: InvocationId(u64::from(n)),
            attempt: 1,
            dwell: Span::ZERO,
            waited_for: None,
        };
        for n in 0..=EVENTS_MAX as u32 {
            journal.note(&started(n), Time(1));
        }
        let last = &journal.trace(EventId([3; 16]).emitted(EVENTS_MAX as u32))[0];
        assert_eq!(last.runs.len(), 1);
        assert_eq!(last.runs[0].invocation, InvocationId(EVENTS_MAX));
        assert!(journal.trace(EventId([3; 16]).emitted(0)).is_empty());
    }
}
