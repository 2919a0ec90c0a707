//! What became of single events, for `flyball trace`: the most recent ones, in bounded memory.
//!
//! Entries lie in a ring and are used again. They are small: what most events have no more of than one run
//! that succeeded is in the entry itself, the rest is apart. Every call leaves one, and what it writes here
//! displaces in the processor's cache what the next call needs. Those of one flow are chained in the order in
//! which they came.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
};

use hashbrown::HashTable;

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

/// No event.
const NONE: Number = Number::MAX;

/// A function's or queue's place in the journal's table of names.
type NameNo = u32;

/// No name.
const NAMELESS: NameNo = NameNo::MAX;

/// What is remembered of an event.
#[derive(Debug)]
struct Entry {
    id: EventId,
    accepted: Time,
    /// Of the first run, if there was one: then `attempt` is not 0.
    started: Time,
    dwell: Span,
    invocation: InvocationId,
    ended: Time,
    /// The next of its flow.
    next: Number,
    more: Option<Box<More>>,
    tenant: TenantId,
    emitted: u32,
    queue: NameNo,
    function: NameNo,
    attempt: u16,
    over: bool,
}

/// What most events have nothing of.
#[derive(Debug)]
struct More {
    root: EventId,
    cause: Option<EventId>,
    /// Of a root that others descend from: the last of its flow.
    last: Number,
    waited_for: Option<LimitName>,
    /// Of the first run.
    failed: Option<(Failure, Time)>,
    later: Vec<RunTrace>,
    died_of: Option<Failure>,
}

impl Entry {
    fn root(&self) -> EventId {
        self.more.as_ref().map_or(self.id, |more| more.root)
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_with(|| {
            Box::new(More {
                root: self.id,
                cause: None,
                last: NONE,
                waited_for: None,
                failed: None,
                later: Vec::new(),
                died_of: None,
            })
        })
    }
}

/// The first and last of a flow.
#[derive(Debug, Clone, Copy)]
struct Flow {
    first: Number,
    last: Number,
}

/// Functions and queues by number; there are as many as the application has.
#[derive(Debug, Default)]
struct Names {
    names: Vec<Name>,
    numbers: BTreeMap<Name, NameNo>,
}

impl Names {
    fn number(&mut self, name: &Name) -> NameNo {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = NameNo::try_from(self.names.len()).unwrap_or(NAMELESS);
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }

    fn name(&self, number: NameNo) -> Option<Name> {
        self.names.get(number as usize).cloned()
    }
}

#[derive(Debug)]
pub(super) struct Journal {
    /// How many are remembered; the oldest are forgotten first.
    events_max: u64,
    ring: Vec<Entry>,
    /// The number of the next event.
    next: Number,
    names: Names,
    /// The slots of the ring, by the ids of what is in them.
    slots: HashTable<u32>,
    hasher: RandomState,
    /// Flows whose root is not remembered, or was not when they began. Those of others begin with their root,
    /// which most often is all of them.
    flows: HashMap<EventId, Flow>,
}

impl Journal {
    pub(super) fn new(events_max: u32) -> Journal {
        // One at least: the event that is being noted.
        let events_max = u64::from(events_max.max(1));
        Journal {
            events_max,
            ring: Vec::new(),
            next: 0,
            names: Names::default(),
            slots: HashTable::new(),
            hasher: RandomState::new(),
            flows: HashMap::new(),
        }
    }

    pub(super) fn note(&mut self, note: &Note, now: Time) {
        match note {
            Note::Accepted { id, tenant, queue, cause, root } => {
                let queue = self.names.number(queue);
                let event = self.event(*id, *root, *tenant, now);
                event.queue = queue;
                if cause.is_some() {
                    event.more().cause = *cause;
                }
            }
            Note::Started { .. } => self.started(note, now),
            Note::Done { id, emitted, .. } => {
                if let Some(event) = self.known(*id) {
                    (event.over, event.ended, event.emitted) = (true, now, *emitted);
                    // It may have been dead before, and put back.
                    if let Some(more) = &mut event.more {
                        more.died_of = None;
                    }
                }
            }
            Note::Dead { id, failure, .. } => {
                if let Some(event) = self.known(*id) {
                    (event.over, event.ended) = (true, now);
                    event.more().died_of = Some(failure.clone());
                }
            }
            Note::Retrying { id, failure, at, .. } => {
                let Some(event) = self.known(*id).filter(|event| event.attempt > 0) else { return };
                let more = event.more();
                let failed = Some((failure.clone(), *at));
                match more.later.last_mut() {
                    Some(run) => run.failed = failed,
                    None => more.failed = failed,
                }
            }
            Note::Duplicate { .. }
            | Note::Conflict { .. }
            | Note::Refused { .. }
            | Note::Unrouted { .. }
            | Note::Ended { .. } => {}
        }
    }

    fn started(&mut self, note: &Note, now: Time) {
        let Note::Started { id, tenant, function, invocation, attempt, dwell, waited_for } = note else {
            return;
        };
        let number = self.names.number(function);
        let event = self.event(*id, *id, *tenant, Time(now.0.saturating_sub(dwell.0)));
        if event.attempt == 0 {
            (event.function, event.attempt, event.invocation) = (number, *attempt, *invocation);
            (event.started, event.dwell) = (now, *dwell);
            if waited_for.is_some() {
                event.more().waited_for = waited_for.clone();
            }
            return;
        }
        let later = &mut event.more().later;
        if later.len() + 1 < RUNS_MAX {
            later.push(RunTrace {
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

    /// Where in the ring; it fits, `events_max` being a `u32` once.
    fn slot(&self, number: Number) -> usize {
        (number % self.events_max) as usize
    }

    /// The slot of the event of this id.
    fn slot_of(&self, id: EventId) -> Option<usize> {
        let is = |slot: &u32| self.ring.get(*slot as usize).is_some_and(|entry| entry.id == id);
        self.slots.find(self.hasher.hash_one(id), is).map(|slot| *slot as usize)
    }

    fn known(&mut self, id: EventId) -> Option<&mut Entry> {
        let slot = self.slot_of(id)?;
        self.ring.get_mut(slot)
    }

    fn event(&mut self, id: EventId, root: EventId, tenant: TenantId, accepted: Time) -> &mut Entry {
        let known = self.slot_of(id);
        let slot = known.unwrap_or_else(|| self.remember(id, root, tenant, accepted));
        // `remember` has just put it there, and what `slots` leads to is in the ring.
        #[expect(clippy::indexing_slicing, reason = "see above")]
        &mut self.ring[slot]
    }

    fn remember(&mut self, id: EventId, root: EventId, tenant: TenantId, accepted: Time) -> usize {
        let number = self.next;
        self.next += 1;
        let slot = self.slot(number);
        self.forget(slot);
        let mut entry = Entry {
            id,
            accepted,
            started: Time(0),
            dwell: Span::ZERO,
            invocation: InvocationId(0),
            ended: Time(0),
            next: NONE,
            more: None,
            tenant,
            emitted: 0,
            queue: NAMELESS,
            function: NAMELESS,
            attempt: 0,
            over: false,
        };
        if root != id {
            entry.more().root = root;
        }
        self.join(id, root, number);
        match self.ring.get_mut(slot) {
            Some(place) => *place = entry,
            None => self.ring.push(entry),
        }
        let (hasher, ring) = (&self.hasher, &self.ring);
        // What leads nowhere is not in the table.
        let hash_of = |slot: &u32| ring.get(*slot as usize).map_or(0, |entry| hasher.hash_one(entry.id));
        self.slots.insert_unique(hasher.hash_one(id), slot as u32, hash_of);
        slot
    }

    /// Puts a new event at the end of its flow.
    fn join(&mut self, id: EventId, root: EventId, number: Number) {
        let last = if let Some(flow) = self.flows.get_mut(&root) {
            std::mem::replace(&mut flow.last, number)
        } else if id == root {
            return;
        } else if let Some(slot) = self.slot_of(root)
            && let Some(head) = self.ring.get_mut(slot)
        {
            match std::mem::replace(&mut head.more().last, number) {
                NONE => {
                    head.next = number;
                    return;
                }
                last => last,
            }
        } else {
            self.flows.insert(root, Flow { first: number, last: number });
            return;
        };
        let slot = self.slot(last);
        if let Some(last) = self.ring.get_mut(slot) {
            last.next = number;
        }
    }

    /// Makes room in a slot that is taken: its event is the oldest of all, and so the first of its flow.
    fn forget(&mut self, slot: usize) {
        let Some(entry) = self.ring.get(slot) else { return };
        let (root, next) = (entry.root(), entry.next);
        let last = entry.more.as_ref().map_or(NONE, |more| more.last);
        let same = |found: &u32| *found as usize == slot;
        if let Ok(found) = self.slots.find_entry(self.hasher.hash_one(entry.id), same) {
            found.remove();
        }
        match (self.flows.get_mut(&root), next) {
            (Some(_), NONE) => drop(self.flows.remove(&root)),
            (Some(flow), next) => flow.first = next,
            (None, NONE) => {}
            // The root goes and others of its flow stay.
            (None, next) => drop(self.flows.insert(root, Flow { first: next, last })),
        }
    }

    pub(super) fn trace(&self, id: EventId) -> Vec<EventTrace> {
        let at = |slot: usize| self.ring.get(slot);
        let root = self.slot_of(id).and_then(at).map_or(id, Entry::root);
        let flow = self.flows.get(&root).map(|flow| self.slot(flow.first));
        let mut slot = flow.or_else(|| self.slot_of(root));
        let chain = std::iter::from_fn(|| {
            let entry = at(slot?)?;
            slot = (entry.next != NONE).then(|| self.slot(entry.next));
            Some(self.shown(entry))
        });
        chain.take(FLOW_MAX).collect()
    }

    fn shown(&self, entry: &Entry) -> EventTrace {
        let more = entry.more.as_deref();
        let first = (entry.attempt > 0).then(|| RunTrace {
            function: self.names.name(entry.function).unwrap_or_else(Name::unnamed),
            invocation: entry.invocation,
            attempt: entry.attempt,
            started: entry.started,
            dwell: entry.dwell,
            waited_for: more.and_then(|more| more.waited_for.clone()),
            failed: more.and_then(|more| more.failed.clone()),
        });
        let later = more.into_iter().flat_map(|more| more.later.iter().cloned());
        let died_of = more.and_then(|more| more.died_of.clone());
        let verdict = died_of.map_or(Verdict::Done(entry.emitted), Verdict::Dead);
        EventTrace {
            id: entry.id,
            root: entry.root(),
            cause: more.and_then(|more| more.cause),
            tenant: entry.tenant,
            queue: self.names.name(entry.queue),
            accepted: entry.accepted,
            runs: first.into_iter().chain(later).collect(),
            end: entry.over.then_some((entry.ended, verdict)),
        }
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
        assert_eq!((journal.ring.len(), journal.slots.len()), (EVENTS_MAX as usize, EVENTS_MAX as usize));
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

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 96, "{}", size_of::<Entry>());
    }

    /// What is noted of one flow, against what a test keeps by itself.
    #[test]
    fn everything_that_is_noted_is_shown() {
        let mut journal = Journal::new(100);
        let name = |text: &str| Name::new(text).unwrap();
        let (root, child) = (EventId([7; 16]), EventId([8; 16]));
        let (tenant, queue) = (TenantId(1), name("q"));
        let started = |id, attempt, waited_for| Note::Started {
            id,
            tenant,
            function: name("f"),
            invocation: InvocationId(u64::from(attempt)),
            attempt,
            dwell: Span(5),
            waited_for,
        };
        let limit = LimitName { level: flyball_core::Level::Platform, of: flyball_core::Limited::Rate };
        let failure = Failure::new(flyball_core::FailureKind::Retry, "later");
        let failed = Note::Retrying { id: child, tenant, failure: failure.clone(), at: Time(90) };
        journal.note(&started(root, 1, None), Time(20));
        let emitted = Note::Accepted { id: child, tenant, queue, cause: Some(root), root };
        journal.note(&emitted, Time(30));
        journal.note(&Note::Done { id: root, tenant, function: name("f"), emitted: 1 }, Time(31));
        journal.note(&started(child, 1, Some(limit.clone())), Time(40));
        journal.note(&failed, Time(50));
        journal.note(&started(child, 2, None), Time(60));
        journal.note(&failed, Time(70));
        journal.note(&Note::Dead { id: child, tenant, failure: failure.clone() }, Time(80));
        let traces = journal.trace(child);
        let [first, second] = &traces[..] else { panic!("{traces:?}") };
        assert_eq!((first.id, first.root, first.cause, first.accepted), (root, root, None, Time(15)));
        assert_eq!((first.queue.clone(), first.runs.len()), (None, 1));
        assert!(matches!(first.end, Some((Time(31), Verdict::Done(1)))), "{:?}", first.end);
        assert_eq!((second.id, second.root, second.cause), (child, root, Some(root)));
        assert_eq!((second.queue.clone(), second.accepted), (Some(name("q")), Time(30)));
        let [run, again] = &second.runs[..] else { panic!("{second:?}") };
        assert_eq!((run.attempt, run.waited_for.clone()), (1, Some(limit)));
        assert_eq!(run.failed, Some((failure.clone(), Time(90))));
        assert_eq!((again.attempt, again.waited_for.clone(), again.started), (2, None, Time(60)));
        assert_eq!(again.failed, Some((failure, Time(90))));
        assert!(matches!(second.end, Some((Time(80), Verdict::Dead(_)))), "{:?}", second.end);
        journal.note(&Note::Done { id: child, tenant, function: name("f"), emitted: 0 }, Time(99));
        let again = &journal.trace(child)[1];
        assert!(matches!(again.end, Some((Time(99), Verdict::Done(0)))), "{:?}", again.end);
    }
}
