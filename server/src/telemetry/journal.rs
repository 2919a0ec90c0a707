//! What became of single events, for `flyball trace`: the most recent ones, in bounded memory.

use std::collections::{HashMap, VecDeque};

use flyball_core::{EventId, Failure, InvocationId, LimitName, Name, Note, Span, TenantId, Time};

/// Events remembered; the oldest are forgotten first.
const EVENTS_MAX: usize = 100_000;
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

#[derive(Debug, Default)]
pub(super) struct Journal {
    events: HashMap<EventId, EventTrace>,
    order: VecDeque<EventId>,
    flows: HashMap<EventId, VecDeque<EventId>>,
}

impl Journal {
    pub(super) fn note(&mut self, note: &Note, now: Time) {
        match note {
            Note::Accepted { id, tenant, queue, cause, root } => {
                let event = self.event(*id, *root, *tenant, now);
                event.queue = Some(queue.clone());
                event.cause = *cause;
            }
            Note::Started { id, tenant, function, invocation, attempt, dwell, waited_for } => {
                let accepted = Time(now.0.saturating_sub(dwell.0));
                let run = RunTrace {
                    function: function.clone(),
                    invocation: *invocation,
                    attempt: *attempt,
                    started: now,
                    dwell: *dwell,
                    waited_for: waited_for.clone(),
                    failed: None,
                };
                let event = self.event(*id, *id, *tenant, accepted);
                if event.runs.len() < RUNS_MAX {
                    event.runs.push(run);
                }
            }
            Note::Done { id, emitted, .. } => self.end(id, now, Verdict::Done(*emitted)),
            Note::Dead { id, failure, .. } => self.end(id, now, Verdict::Dead(failure.clone())),
            Note::Retrying { id, failure, at, .. } => {
                if let Some(run) = self.events.get_mut(id).and_then(|event| event.runs.last_mut()) {
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
        if let Some(event) = self.events.get_mut(id) {
            event.end = Some((now, verdict));
        }
    }

    fn event(&mut self, id: EventId, root: EventId, tenant: TenantId, accepted: Time) -> &mut EventTrace {
        if !self.events.contains_key(&id) {
            self.make_room();
            self.order.push_back(id);
            self.flows.entry(root).or_default().push_back(id);
        }
        self.events.entry(id).or_insert_with(|| EventTrace {
            id,
            root,
            cause: None,
            tenant,
            queue: None,
            accepted,
            runs: Vec::new(),
            end: None,
        })
    }

    fn make_room(&mut self) {
        while self.order.len() >= EVENTS_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            let Some(event) = self.events.remove(&oldest) else { continue };
            if let Some(flow) = self.flows.get_mut(&event.root) {
                // The oldest of all is the oldest of its flow.
                flow.pop_front();
                if flow.is_empty() {
                    self.flows.remove(&event.root);
                }
            }
        }
    }

    pub(super) fn trace(&self, id: EventId) -> Vec<EventTrace> {
        let root = self.events.get(&id).map_or(id, |event| event.root);
        let flow = self.flows.get(&root).into_iter().flatten().take(FLOW_MAX);
        flow.filter_map(|id| self.events.get(id).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(n: u32, root: EventId) -> Note {
        let queue = Name::new("q").unwrap();
        Note::Accepted { id: root.emitted(n), tenant: TenantId(1), queue, cause: Some(root), root }
    }

    #[test]
    fn a_flow_is_found_by_any_of_its_events_and_the_oldest_are_forgotten() {
        let mut journal = Journal::default();
        let root = EventId([1; 16]);
        journal.note(&accepted(0, root), Time(1));
        journal.note(&accepted(1, root), Time(2));
        assert_eq!(journal.trace(root.emitted(1)).len(), 2);
        assert_eq!(journal.trace(root).len(), 2);
        let flood = EventId([2; 16]);
        for n in 0..EVENTS_MAX as u32 {
            journal.note(&accepted(n, flood), Time(3));
        }
        assert_eq!(journal.trace(root).len(), 0);
        assert_eq!((journal.events.len(), journal.order.len()), (EVENTS_MAX, EVENTS_MAX));
    }
}
