//! The engine: one type with one door.
//!
//! ```text
//! Send ──► Accepting ──commit──► Ready ◄──────── Delayed ◄─┐
//!                                  │ a slot is free        │ retry
//!                              Starting ──commit──► Running ──Finished──► Settling ──commit──► over
//!                                                                              └──► dead letters
//! ```
//!
//! Durable before visible: every arrow that says `commit` waits for [`Input::Committed`]. There is no
//! undo: a commit that fails ends this engine, and another is made from the store.
//!
//! - `accept`: what arrives, and idempotency keys.
//! - `run`: starting what the scheduler picks, deadlines.
//! - `settle`: outcomes, retries, dead letters, emitted events.
//! - `crash`: runs that were cut off, and events that may have ended the process.
//! - `turns`: those that others overtake again and again.
//! - `fair`: who runs next. - `report`: what can be asked of the engine.

mod accept;
mod ahead;
mod audit;
mod crash;
mod fair;
mod gate;
mod heap;
mod ids;
mod io;
mod line;
pub(crate) mod lookup;
mod operate;
mod report;
mod ring;
mod run;
mod settle;
mod slab;
mod table;
mod timers;
mod turns;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
};

pub use io::*;
pub use report::{Counts, EventStatus};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{
    BatchNo, Body, CallerId, EdgeIds, EventId, Failure, Fingerprint, InvocationId, Name, Seq, Span, TenantId,
    Time,
    model::{Delivery, Limits, Shared},
    record::{Bucket, Waiting, Write},
};
use fair::{Charge, FunctionIx, Scheduler, TenantIx};
use ids::Ids;
use lookup::LookupMap;
use ring::Ring;
use slab::{Ix, Slab};
use table::{Entry, Table};
use timers::{Timer, Timers};

/// Results are forgotten by the hour.
const BUCKET: Span = Span::from_secs(3_600);

/// Settled keys kept in memory, so that a look-up that raced with a commit is noticed.
const RECENT_MAX: usize = 4_096;

/// How long after its deadline a run that says nothing is taken as lost.
const LOST_AFTER: Span = Span::from_secs(5);

/// What an engine is made with, besides the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// The lane's number: drawn at random when the lane is created, and kept.
    pub lane: u64,
    /// How often the lane has been opened; counted durably by the store.
    pub incarnation: u64,
    /// The least incarnation that is this process's own: a run that one before it began was cut off by the
    /// end of its process, one that a later one began by a commit that failed.
    pub process: u64,
    /// Salts the jitter of retries.
    pub seed: u64,
}

/// The engine of one lane. See the module's text; [`Engine::step`] is the door.
#[derive(Debug)]
pub struct Engine {
    application: Shared,
    settings: Settings,
    edge_ids: EdgeIds,
    phase: Phase,
    now: Time,
    next_seq: Seq,
    next_invocation: u64,

    scheduler: Scheduler,
    tenants: Vec<TenantEntry>,
    /// Their ids, apart: many a step needs no more of a tenant.
    tenant_ids: Vec<TenantId>,
    tenant_names: Vec<Name>,
    tenant_of: LookupMap<TenantId, TenantIx>,
    functions: Vec<Name>,
    terms: Vec<Terms>,
    function_of: BTreeMap<Name, FunctionIx>,
    queues: Vec<QueueEntry>,
    queue_of: BTreeMap<Name, QueueIx>,

    events: Slab<Event>,
    event_of: Ids<Event>,
    calls: Slab<PendingCall>,
    call_of: LookupMap<CallerId, Ix<PendingCall>>,
    /// Remembered events that are not over: what was asked, and who waits for the answer.
    remembering: BTreeMap<EventId, Remembering>,
    invocations: Table<InvocationId, Running>,
    /// By the number of the batch.
    commits: Ring<Then>,
    /// When delayed events become ready. There may be many, and none is ever taken back.
    delays: BinaryHeap<Reverse<(Time, Ix<Event>)>>,
    timers: Timers,
    /// Within a step: calls that came in it, and wait from its end on or are refused.
    fresh: Vec<Ix<PendingCall>>,

    /// Settled records, by bucket and tenant.
    remembered: BTreeMap<Bucket, BTreeMap<TenantIx, u64>>,
    settled_mark: u64,
    recent: VecDeque<(u64, EventId)>,
    recent_of: BTreeMap<EventId, u64>,
    /// While opening: events whose queue is gone.
    orphans: BTreeMap<Ix<Event>, Name>,
    /// While opening: events whose run was cut off, and whether by the end of the process.
    cut_off: BTreeMap<Ix<Event>, bool>,
    suspects: crash::Suspects,
    turns: turns::Turns,
    ahead: ahead::Ahead,
    /// While opening: it is to take no new work.
    drain_at_open: bool,
    /// Dead letters whose removal is being committed.
    discarding: BTreeSet<Seq>,
    totals: Totals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Opening,
    Running,
    Draining,
}

/// A queue's place in the engine's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct QueueIx(u32);

/// What of a tenant is looked at all the time: a line of the processor's cache, see the test below.
#[derive(Debug, Hash)]
#[repr(align(64))]
struct TenantEntry {
    enabled: bool,
    waiting: u64,
    waiting_max: u64,
    waiting_calls: u32,
    waiting_calls_max: u32,
    /// Remembered, and about to be.
    remembered: u64,
    remembered_max: u64,
    peak_waiting: u64,
}

/// What a function's runs are bound to.
#[derive(Debug)]
struct Terms {
    timeout: Span,
    /// For each single tenant, unless `some_differ`.
    per_tenant: Limits,
    /// Some tenants have limits of their own, by name.
    some_differ: bool,
}

#[derive(Debug, Hash)]
struct QueueEntry {
    name: Name,
    function: FunctionIx,
    delivery: Delivery,
    waiting: u64,
    peak: u64,
    /// Functions that may emit here and are stopped while it is full.
    producers: Vec<FunctionIx>,
}

/// The index entry of an event that is not over. Small, and of one size: bodies are in the store. There may
/// be millions: it is a line of the processor's cache, see the test below.
#[derive(Debug, Hash)]
#[repr(align(64))]
struct Event {
    id: EventId,
    seq: Seq,
    tenant: TenantIx,
    queue: QueueIx,
    body_bytes: u32,
    attempt: u16,
    notes: u16,
    conflicts: u8,
    crashes: u8,
    remember: bool,
    state: State,
    accepted: Time,
    /// When it may run, or since when it could have.
    ready: Time,
}

/// Where an event is. Exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    /// Its acceptance, or its revival, is being committed.
    Accepting,
    /// A timer will make it ready.
    Delayed,
    /// In its flow.
    Ready,
    /// A suspect whose turn has come while another has not ended; or one that contends while another has the turn.
    Held,
    /// In an invocation.
    Running(Ix<Entry<InvocationId, Running>>),
    /// Its outcome is being committed.
    Settling,
}

/// An item of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Item {
    Event(Ix<Event>),
    Call(Ix<PendingCall>),
}

/// A synchronous call that nothing was written for.
#[derive(Debug, Hash)]
struct PendingCall {
    caller: CallerId,
    id: EventId,
    tenant: TenantIx,
    function: FunctionIx,
    accepted: Time,
    conflicts: u8,
    /// Refused at that time, if it still waits.
    wait_until: Time,
    gone: bool,
    waits: bool,
    /// It has a timer, because it waits for longer than a step.
    timed: bool,
}

#[derive(Debug, Hash)]
struct Remembering {
    fingerprint: Fingerprint,
    caller: Option<CallerId>,
}

/// What an invocation works on. A call is one item, and needs no memory of its own.
type Items = SmallVec<[Item; 3]>;

/// What becomes of each.
type Fates = SmallVec<[(Item, Fate); 1]>;

/// An invocation from its start to [`Input::Finished`].
#[derive(Debug, Hash)]
struct Running {
    function: FunctionIx,
    tenant: TenantIx,
    flow: Ix<fair::Flow>,
    charge: Charge,
    estimate: u64,
    items: Items,
    /// Commits that it waits for before it starts.
    awaits: u32,
    ends: Ends,
}

/// What ends a run that does not end by itself.
#[derive(Debug, Clone, Copy, Hash)]
enum Ends {
    /// Nothing yet: it has not started.
    NotStarted,
    /// Its deadline.
    Deadline,
    /// It is taken as lost then.
    Lost(Time),
}

/// What to do when a commit is durable.
#[derive(Debug, Hash)]
enum Then {
    Accept { caller: CallerId, id: EventId, events: Vec<Ix<Event>> },
    AcceptCall { event: Ix<Event> },
    Start(InvocationId),
    Ahead(Vec<Ix<Event>>),
    Settle(Box<Settling>),
    Revive { caller: CallerId, event: Ix<Event> },
    Discard { caller: CallerId, id: EventId, seq: Seq },
    Forget(Bucket),
}

/// An outcome on its way into the store.
#[derive(Debug, Hash)]
struct Settling {
    function: FunctionIx,
    tenant: TenantIx,
    fates: Fates,
    emitted: Vec<Emitted>,
    /// Emitted events that were stopped at once: dead when this commits.
    stopped: Vec<(EventId, Failure)>,
    /// Its run, if that had the turn of its tenant: then the turn is over with this.
    turn: Option<InvocationId>,
    /// Of those that contend, what they have read, where that is known; and since when they contend, where they were
    /// overtaken in their turn.
    read: Option<turns::Keys>,
    since: Option<u64>,
}

/// An emitted event on its way into the store, and where it comes from.
#[derive(Debug, Clone, Copy, Hash)]
struct Emitted {
    event: Ix<Event>,
    cause: Option<EventId>,
    root: EventId,
}

#[derive(Debug, Clone, Hash)]
enum Fate {
    Done {
        body: Body,
        emitted: u32,
    },
    Retry {
        at: Time,
        failure: Failure,
    },
    Dead {
        failure: Failure,
    },
    /// A keyed call failed with its caller listening: it is told, the key is free again.
    Told {
        failure: Failure,
    },
    /// Its turn did not come, or it was cut off; no attempt is spent.
    Again,
    /// The process ended while it ran; no attempt is spent.
    Crashed {
        failure: Failure,
    },
}

#[derive(Debug, Default, Hash)]
struct Totals {
    accepted: u64,
    done: u64,
    dead: u64,
    discarded: u64,
    calls: u64,
    retried: u64,
    duplicates: u64,
    conflicts: u64,
    refused: u64,
    stopped: u64,
    accepting: u64,
    peak_waiting: u64,
    waiting_calls: u32,
    peak_waiting_calls: u32,
}

/// What a step is given to work with besides the engine.
type Effects = Vec<Effect>;

impl Engine {
    /// An engine with nothing in it. It takes [`Input::SetTenant`] and `Restore…` until
    /// [`Input::Opened`]; before that it refuses work.
    pub fn new(application: Shared, settings: Settings) -> Engine {
        let limits = &application.limits;
        let mut engine = Engine {
            scheduler: Scheduler::new(limits.limits, limits.long_concurrency_max),
            settings,
            edge_ids: EdgeIds::of(settings.lane, settings.incarnation),
            phase: Phase::Opening,
            now: Time(0),
            next_seq: Seq(1),
            next_invocation: 1,
            tenants: Vec::new(),
            tenant_ids: Vec::new(),
            tenant_names: Vec::new(),
            tenant_of: LookupMap::new(),
            functions: Vec::new(),
            terms: Vec::new(),
            function_of: BTreeMap::new(),
            queues: Vec::new(),
            queue_of: BTreeMap::new(),
            events: Slab::new(),
            event_of: Ids::new(settings.lane),
            calls: Slab::new(),
            call_of: LookupMap::new(),
            remembering: BTreeMap::new(),
            invocations: Table::new(),
            commits: Ring::starting_at(1),
            delays: BinaryHeap::new(),
            timers: Timers::default(),
            fresh: Vec::new(),
            remembered: BTreeMap::new(),
            settled_mark: 0,
            recent: VecDeque::new(),
            recent_of: BTreeMap::new(),
            orphans: BTreeMap::new(),
            cut_off: BTreeMap::new(),
            suspects: crash::Suspects::default(),
            turns: turns::Turns::default(),
            ahead: ahead::Ahead::default(),
            drain_at_open: false,
            discarding: BTreeSet::new(),
            totals: Totals::default(),
            application,
        };
        engine.declare();
        engine
    }

    /// Tells the engine what happened at `now`, and appends what is to be done to `effects`. `now` may
    /// not be before an earlier one; a clock that went back counts as having stood still.
    pub fn step(&mut self, now: Time, input: Input, effects: &mut Effects) {
        self.now = self.now.max(now);
        self.scheduler.advance(self.now);
        match input {
            Input::SetTenant(tenant) => self.set_tenant(tenant),
            Input::Restore(seq, waiting) => self.restore(seq, &waiting),
            Input::RestoreCount(bucket, tenant, count) => self.restore_count(bucket, tenant, count),
            Input::RestoreDead(count, greatest) => {
                self.totals.dead += count;
                self.totals.accepted += count;
                self.next_seq = self.next_seq.max(Seq(greatest.0 + 1));
            }
            Input::Opened => self.opened(effects),
            Input::Send(send) => self.send(*send, effects),
            Input::Call(call) => self.call(call, effects),
            Input::Abandon(caller) => self.abandon(caller),
            Input::Committed(batch, result) => self.committed(batch, result, effects),
            Input::Finished(invocation, outcome) => self.finished(invocation, outcome, effects),
            Input::Redrive(caller, seq, dead) => self.redrive(caller, seq, *dead, effects),
            Input::Discard(caller, seq, dead) => self.discard(caller, seq, &dead, effects),
            Input::Drain => self.drain(effects),
            Input::Close => self.close(effects),
            Input::Tick => {}
        }
        self.fire_timers(effects);
        self.start_ready(effects);
        self.leave_waiting(effects);
        crate::invariant::check_step(self);
    }

    /// When to step with [`Input::Tick`] though nothing else happens.
    pub fn next_deadline(&self) -> Option<Time> {
        let never = Time(u64::MAX);
        let timer = self.timers.first().unwrap_or(never);
        let delay = self.delays.peek().map_or(never, |Reverse((at, _))| *at);
        let next = timer.min(delay).min(self.scheduler.next_wake().unwrap_or(never));
        (next < never).then_some(next)
    }

    /// Functions and queues get their places, in the order of their names.
    fn declare(&mut self) {
        let application = self.application.clone();
        for function in application.functions.values() {
            let long = function.timeout > application.limits.long_timeout;
            let ix = self.scheduler.add_function(function.limits, long);
            self.functions.push(function.name.clone());
            self.terms.push(Terms {
                timeout: function.timeout,
                per_tenant: function.per_tenant,
                some_differ: !function.for_tenants.is_empty(),
            });
            self.function_of.insert(function.name.clone(), ix);
        }
        let queues = application.all_queues();
        for queue in queues.values() {
            let Some(&function) = self.function_of.get(&queue.function) else { continue };
            self.queue_of.insert(queue.name.clone(), QueueIx(self.queues.len() as u32));
            self.queues.push(QueueEntry {
                name: queue.name.clone(),
                function,
                delivery: queue.delivery.clone(),
                waiting: 0,
                peak: 0,
                producers: Vec::new(),
            });
        }
        self.declare_producers();
    }

    /// Who is stopped while a queue is full: every function that may emit to it, unless the events in the
    /// queue lead back to that function. There, stopping it would keep the queue full for ever, and the
    /// hop budget bounds the circle instead.
    fn declare_producers(&mut self) {
        let application = self.application.clone();
        let queues = application.all_queues();
        let reach = |function: &Name| -> BTreeSet<Name> {
            let mut targets = BTreeSet::new();
            let granted = application.functions.get(function).map(|f| &f.grants.emit);
            for target in granted.into_iter().flatten() {
                if queues.contains_key(target) {
                    targets.insert(target.clone());
                }
                let topic = application.topics.get(target).map(|t| &t.subscribers);
                targets.extend(topic.into_iter().flatten().map(crate::model::Destination::queue));
                let bus = application.buses.get(target).map(|b| &b.rules);
                targets.extend(bus.into_iter().flat_map(|rules| rules.values()).map(|r| r.to.queue()));
            }
            targets
        };
        for function in application.functions.keys() {
            for target in reach(function) {
                let mut seen = BTreeSet::new();
                let mut open = vec![target.clone()];
                while let Some(queue) = open.pop() {
                    if let Some(queue) = queues.get(&queue)
                        && seen.insert(queue.function.clone())
                    {
                        open.extend(reach(&queue.function));
                    }
                }
                let Some(&producer) = self.function_of.get(function) else { continue };
                if !seen.contains(function)
                    && let Some(&queue) = self.queue_of.get(&target)
                {
                    self.queues[queue].producers.push(producer);
                }
            }
        }
    }

    fn commit(&mut self, writes: Vec<Write>, then: Then, effects: &mut Effects) -> BatchNo {
        self.commit_if(Vec::new(), writes, then, effects)
    }

    fn commit_if(
        &mut self,
        checks: Vec<(TenantId, crate::KvKey, u64)>,
        writes: Vec<Write>,
        then: Then,
        effects: &mut Effects,
    ) -> BatchNo {
        let batch = BatchNo(self.commits.push(then));
        effects.push(Effect::Commit(Commit { batch, checks, writes }));
        batch
    }

    fn waiting_record(&self, event: Ix<Event>) -> Waiting {
        let e = &self.events[event];
        let remembering = if e.remember { self.remembering.get(&e.id) } else { None };
        Waiting {
            id: e.id,
            tenant: self.tenant_ids[e.tenant],
            queue: self.queues[e.queue].name.clone(),
            body_bytes: e.body_bytes,
            attempt: e.attempt,
            running: matches!(e.state, State::Running(_)).then_some(self.settings.incarnation),
            crashes: e.crashes,
            conflicts: e.conflicts,
            notes: e.notes,
            accepted: e.accepted,
            not_before: e.ready,
            remember: remembering.map(|r| r.fingerprint),
        }
    }

    fn take_seq(&mut self) -> Seq {
        let seq = self.next_seq;
        self.next_seq = Seq(seq.0 + 1);
        seq
    }

    fn fire_timers(&mut self, effects: &mut Effects) {
        loop {
            let next = self.timers.first();
            let due = |at: Time| at <= self.now && next.is_none_or(|next| at <= next);
            if let Some(&Reverse((at, event))) = self.delays.peek()
                && due(at)
            {
                self.delays.pop();
                if self.events.get(event).is_some_and(|e| e.state == State::Delayed && e.ready <= at) {
                    self.make_ready(event);
                }
                continue;
            }
            if next.is_none_or(|next| next > self.now) {
                return;
            }
            let invocations = &self.invocations;
            let timer = self.timers.pop_first(|invocation| invocations.get(&invocation).is_some());
            let Some(timer) = timer else { return };
            match timer {
                Timer::CallWait(call) => self.call_waited(call, effects),
                Timer::KeyedWait(id) => self.keyed_waited(id, effects),
                Timer::Deadline(invocation) => self.deadline(invocation, effects),
                Timer::Lost(invocation) => self.lost(invocation, effects),
                Timer::Turn(tenant) => self.turn_ends(tenant),
                Timer::Forget(bucket) => {
                    self.commit(vec![Write::Forget { bucket }], Then::Forget(bucket), effects);
                }
            }
        }
    }

    fn committed(&mut self, batch: BatchNo, result: CommitResult, effects: &mut Effects) {
        // A commit that this engine did not ask for belongs to one before it.
        let Some(then) = self.commits.remove(batch.0) else { return };
        match (then, result) {
            (Then::Settle(settling), CommitResult::Done) => self.settled(*settling, effects),
            (Then::Settle(settling), CommitResult::Conflict) => self.conflicted(*settling, 0, effects),
            (Then::Accept { caller, id, events }, _) => self.accepted(caller, id, events, effects),
            (Then::AcceptCall { event }, _) => self.entered(event, effects),
            (Then::Start(invocation), _) => self.written(invocation, effects),
            (Then::Ahead(events), _) => self.written_ahead(batch, events),
            (Then::Revive { caller, event }, _) => {
                let id = self.events[event].id;
                self.totals.dead = self.totals.dead.saturating_sub(1);
                self.totals.accepting -= 1;
                self.release(event);
                effects.push(Effect::Answer(caller, Answer::Accepted { id, duplicate: false }));
            }
            (Then::Discard { caller, id, seq }, _) => {
                self.discarding.remove(&seq);
                self.totals.dead = self.totals.dead.saturating_sub(1);
                self.totals.discarded += 1;
                effects.push(Effect::Answer(caller, Answer::Accepted { id, duplicate: false }));
            }
            (Then::Forget(bucket), _) => {
                for (tenant, count) in self.remembered.remove(&bucket).unwrap_or_default() {
                    let entry = &mut self.tenants[tenant];
                    entry.remembered = entry.remembered.saturating_sub(count);
                }
            }
        }
        self.over_for_those_who_wait(batch, effects);
    }
}

macro_rules! index {
    ($ix:ty, $entry:ty) => {
        // Tenants and queues are added and never removed; their indices are made where they are added.
        impl std::ops::Index<$ix> for Vec<$entry> {
            type Output = $entry;
            fn index(&self, ix: $ix) -> &$entry {
                &self.as_slice()[ix.0 as usize]
            }
        }
        impl std::ops::IndexMut<$ix> for Vec<$entry> {
            fn index_mut(&mut self, ix: $ix) -> &mut $entry {
                &mut self.as_mut_slice()[ix.0 as usize]
            }
        }
    };
}
index!(TenantIx, TenantEntry);
index!(TenantIx, TenantId);
index!(TenantIx, Name);
index!(FunctionIx, Terms);
index!(FunctionIx, Name);
index!(QueueIx, QueueEntry);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_many_steps_look_at_are_a_line_of_the_cache_or_two() {
        assert_eq!(size_of::<Option<Event>>(), 64);
        assert_eq!(size_of::<TenantEntry>(), 64);
        assert_eq!(size_of::<Option<fair::Flow>>(), 128);
        assert_eq!(size_of::<fair::TenantShare>(), 128);
        assert_eq!(size_of::<Item>(), 5);
    }
}
