//! Beginnings that are written ahead.
//!
//! A run starts only after its attempt is durable, and while that is being written it holds a slot in which
//! nothing runs. So what is likely to be next is written as begun before its slot is free: an event that comes
//! where nothing of its flow waits, together with its acceptance; and the first ones of the flow that is next,
//! while a run of its function has the slot. Which of them starts, and when, is decided as ever: an event that
//! was not written ahead is written then.
//!
//! Should the process end, all that is written as begun is charged with a crash, for any of it may have run.
//! That is why there are [`AHEAD_MAX`] at most, and nobody is among them who was charged before, or waits for a turn.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Effects, Engine, Event, Fate, Item, Phase, State, Then,
    fair::{Flow, FunctionIx},
    slab::Ix,
    turns::OVERTAKEN_MAX,
};
use crate::{
    BatchNo, InvocationId, Span,
    record::{Waiting, Write},
};

/// Events that are written as begun and do not run.
const AHEAD_MAX: usize = 64;

/// Of one flow, counted from its head.
const OF_ONE_FLOW: usize = 16;

/// Which events are written as begun before they run.
#[derive(Debug, Default, Hash)]
pub(super) struct Ahead {
    /// With an acceptance that is under way.
    arriving: BTreeSet<Ix<Event>>,
    /// In a commit of their own that is under way, and in which.
    writing: BTreeMap<Ix<Event>, BatchNo>,
    durable: BTreeSet<Ix<Event>>,
    /// Runs that wait for such a commit, or for another that is under way. Whatever is written of their events later
    /// comes after it.
    awaited: BTreeMap<BatchNo, Vec<InvocationId>>,
}

/// Whether an event that begins is written as begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// Not yet.
    No,
    /// In a commit that is under way.
    Writing(BatchNo),
    /// Durably.
    Durable,
}

impl Ahead {
    fn room(&self) -> usize {
        AHEAD_MAX.saturating_sub(self.arriving.len() + self.writing.len() + self.durable.len())
    }

    fn has(&self, event: Ix<Event>) -> bool {
        self.writing.contains_key(&event) || self.durable.contains(&event)
    }

    /// The event begins, or is over.
    pub(super) fn take(&mut self, event: Ix<Event>) -> Begun {
        if self.durable.remove(&event) {
            return Begun::Durable;
        }
        self.arriving.remove(&event);
        self.writing.remove(&event).map_or(Begun::No, Begun::Writing)
    }

    /// An event whose run is void waits again, and its record says that it has begun. Whether there is room for it.
    pub(super) fn keep(&mut self, event: Ix<Event>) -> bool {
        self.room() > 0 && self.durable.insert(event)
    }

    /// This run starts when those commits are made; how many they are.
    pub(super) fn wait(&mut self, run: InvocationId, batches: BTreeSet<BatchNo>) -> u32 {
        for batch in &batches {
            self.awaited.entry(*batch).or_default().push(run);
        }
        batches.len() as u32 // bounded by `AHEAD_MAX`, and one
    }

    /// All of them, for `invariant`.
    pub(super) fn all(&self) -> impl Iterator<Item = Ix<Event>> {
        self.arriving.iter().chain(self.writing.keys()).chain(&self.durable).copied()
    }
}

impl Engine {
    /// The record of an event that arrives: as begun, where it will run soon.
    pub(super) fn arriving_record(&mut self, event: Ix<Event>) -> Waiting {
        let waiting = self.waiting_record(event);
        if !self.is_next_of_its_flow(event) {
            return waiting;
        }
        self.ahead.arriving.insert(event);
        self.begun(waiting)
    }

    fn is_next_of_its_flow(&self, event: Ix<Event>) -> bool {
        let e = &self.events[event];
        let queue = &self.queues[e.queue];
        let at_once = e.ready <= self.now && queue.delivery.batch_window == Span::ZERO;
        if !at_once || self.phase != Phase::Running || self.ahead.room() == 0 {
            return false;
        }
        let Some(flow) = self.scheduler.flow(queue.function, e.tenant) else { return true };
        let flow = &self.scheduler.flows[flow];
        flow.ready.len() < queue.delivery.batch_max as usize && !flow.is_parked()
    }

    fn begun(&self, mut waiting: Waiting) -> Waiting {
        waiting.attempt = waiting.attempt.saturating_add(1);
        waiting.running = Some(self.settings.incarnation);
        waiting
    }

    /// The acceptance of an event is durable. Whether it may be released: it must not stay written as begun where
    /// nothing starts any more.
    pub(super) fn arrived(&mut self, event: Ix<Event>, effects: &mut Effects) {
        if self.ahead.arriving.remove(&event) {
            if self.phase != Phase::Running {
                return self.settle_alone(event, Fate::Again, effects);
            }
            self.ahead.durable.insert(event);
        }
        self.release(event);
    }

    /// A run of this function has just started, so others may wait for its slot: the first of them are written
    /// as begun. Many at once, or each run would bring a commit of its own.
    pub(super) fn write_ahead(&mut self, function: FunctionIx, effects: &mut Effects) {
        let Some(flow) = self.scheduler.next_of(function) else { return };
        let chosen = self.to_write_ahead(flow);
        if chosen.is_empty() {
            return;
        }
        let mut writes = Vec::with_capacity(chosen.len());
        for event in &chosen {
            let waiting = self.begun(self.waiting_record(*event));
            writes.push(Write::Update { seq: self.events[*event].seq, waiting });
        }
        let batch = self.commit(writes, Then::Ahead(chosen.clone()), effects);
        self.ahead.writing.extend(chosen.into_iter().map(|event| (event, batch)));
    }

    fn to_write_ahead(&self, flow: Ix<Flow>) -> Vec<Ix<Event>> {
        let first = self.scheduler.flows[flow].ready.iter().take(OF_ONE_FLOW);
        let first: Vec<_> = first
            .filter_map(|item| match item {
                Item::Event(event) => Some(*event),
                Item::Call(_) => None,
            })
            .collect();
        let written = first.iter().filter(|event| self.ahead.has(**event)).count();
        if written >= OF_ONE_FLOW / 2 {
            return Vec::new();
        }
        let clean = |event: &Ix<Event>| {
            let e = &self.events[*event];
            e.crashes == 0 && e.conflicts < OVERTAKEN_MAX && !self.ahead.has(*event)
        };
        first.into_iter().filter(clean).take(self.ahead.room()).collect()
    }

    /// What was written as begun is durable; some of it was to begin meanwhile, and now does.
    pub(super) fn written_ahead(&mut self, batch: BatchNo, events: Vec<Ix<Event>>) {
        for event in events {
            if self.ahead.writing.get(&event) == Some(&batch) {
                self.ahead.writing.remove(&event);
                self.ahead.durable.insert(event);
            }
        }
    }

    /// A commit is over. Some runs may have waited for it.
    pub(super) fn over_for_those_who_wait(&mut self, batch: BatchNo, effects: &mut Effects) {
        for invocation in self.ahead.awaited.remove(&batch).unwrap_or_default() {
            self.written(invocation, effects);
        }
    }

    /// One of the commits that a run waits for is made: it starts after the last.
    pub(super) fn written(&mut self, invocation: InvocationId, effects: &mut Effects) {
        let Some(running) = self.invocations.get_mut(&invocation) else { return };
        running.awaits = running.awaits.saturating_sub(1);
        if running.awaits == 0 {
            self.started(invocation, effects);
        }
    }

    /// Nothing starts any more: what is written as begun and did not begin is written as waiting again.
    pub(super) fn take_back_ahead(&mut self, effects: &mut Effects) {
        let mut ready: Vec<_> =
            self.ahead.all().filter(|event| self.events[*event].state == State::Ready).collect();
        // The oldest comes last, and so to the head.
        ready.sort_unstable_by_key(|event| std::cmp::Reverse(self.events[*event].seq));
        for event in ready {
            self.ahead.take(event);
            let e = &self.events[event];
            let flow = self.flow(self.queues[e.queue].function, e.tenant);
            self.scheduler.flows[flow].ready.retain(|item| *item != Item::Event(event));
            self.flow_changed(flow);
            self.settle_alone(event, Fate::Again, effects);
        }
    }

    /// For `invariant`: more is written as begun than may be, or something that does not wait.
    pub(crate) fn ahead_wrongly(&self) -> Option<String> {
        let count = self.ahead.all().count();
        if count > AHEAD_MAX {
            return Some(format!("{count} are written as begun ahead; {AHEAD_MAX} at most"));
        }
        self.ahead.all().find_map(|event| {
            let state = self.events.get(event).map(|e| (e.state, e.crashes));
            let waits = matches!(state, Some((State::Ready | State::Accepting, 0)));
            (!waits).then(|| format!("{event:?} is written as begun ahead and is {state:?}"))
        })
    }
}
