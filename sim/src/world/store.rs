//! Flyball's store as a model: commits in groups, and the records of what waits.
//!
//! Commits that come while a group is on its way to the disk go together in the next. What was not durable at a
//! crash is lost.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
};

use flyball_core::{
    BatchNo, Body, Commit, CommitResult, Envelope, EventId, Failure, FailureKind, Input, KvKey, Lineage,
    Name, Outcome, Seq, Span, Start, StartedEvent, TenantId, Time, Usage, Work,
    invocation::{GuestCall, HostReply, Invocation, Reply, Step},
    record::{Bucket, Dead, Settled, Waiting, Write},
};

use super::{
    Happening, Planted, World,
    data::{Blobs, Values},
    run::{Added, Emission},
};
use crate::{
    lasting::Sampler,
    message::{Message, TenantNo},
    plan::Plan,
    random::Random,
};

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    latency: Sampler,
    random: Random,
    /// Not yet on their way.
    open: VecDeque<Commit>,
    /// On their way.
    group: VecDeque<Commit>,
    busy: bool,
    records: BTreeMap<Seq, Record>,
    pub(super) values: Values,
    pub(super) blobs: Blobs,
    /// Dead letters, whole. Kept where something goes wrong: nobody looks at them elsewhere.
    dead: BTreeMap<Seq, (Dead, Record)>,
    settled: BTreeMap<(Bucket, EventId), Settled>,
    counters: BTreeMap<(Bucket, TenantId), u64>,
    /// Batches that were made durable: a value's version is the batch that wrote it.
    batches: u64,
    /// Bodies by their length: what is in them is of no account.
    bodies: BTreeMap<u32, Body>,
    nothing: Body,
    pub(crate) commits: u64,
    pub(crate) groups: u64,
    /// How long commits took that were under way.
    pub(crate) busy_micros: u64,
}

/// What is durable of an event.
#[derive(Debug)]
struct Record {
    waiting: Waiting,
    envelope: Box<Envelope>,
    body: Body,
    /// Failed runs that are noted.
    history: u16,
}

impl Record {
    /// When the event that it came of came in.
    fn born(&self) -> Time {
        self.envelope.lineage.hops.first().map_or(self.envelope.time, |hop| hop.time)
    }
}

/// What a run did.
pub(super) struct Did<'a> {
    pub emits: &'a [(usize, Emission)],
    pub adds: &'a [(usize, Added)],
    /// Places that failed.
    pub failed: &'a [usize],
    /// Of the whole.
    pub failure: Option<Failure>,
    pub usage: Usage,
}

/// A call's envelope, as a gateway makes it.
fn called(start: &Start, id: EventId, accepted: Time) -> Envelope {
    Envelope {
        id,
        tenant: start.tenant,
        target: Name::inbox_of(&start.function),
        attributes: crate::plan::request_attributes(),
        time: accepted,
        lineage: Lineage::edge(id),
    }
}

/// One more in a value: reads what the run read, and writes one more. `None`: it may not.
fn add(invocation: &mut Invocation, added: &Added) -> Option<KvKey> {
    let Added { namespace, key, value, version } = added;
    let get = GuestCall::KvGet { namespace: namespace.to_string(), key: key.clone() };
    let reply = match invocation.call(get) {
        Step::Host(_) => {
            let there = (*version > 0).then(|| encoded(*value));
            invocation.resume(HostReply::Value(there, *version))
        }
        Step::Reply(reply) => reply,
    };
    let Reply::Value(found) = reply else { return None };
    let value = Some(encoded(found.as_ref().map_or(0, decoded) + 1));
    let set = GuestCall::KvSet { namespace: namespace.to_string(), key: key.clone(), value };
    let key = KvKey { namespace: namespace.clone(), key: key.clone() };
    matches!(invocation.call(set), Step::Reply(Reply::Done)).then_some(key)
}

/// A number as a value.
fn encoded(value: u64) -> Body {
    Body::from(value.to_be_bytes().to_vec())
}

/// A value as a number: eight bytes of a step's, or the text that a real function wrote. Anything else is 0.
pub(super) fn decoded(body: &Body) -> u64 {
    let text = || std::str::from_utf8(body).ok()?.trim().parse().ok();
    let bytes = <[u8; 8]>::try_from(&body[..]).ok().map(u64::from_be_bytes);
    text().or(bytes).unwrap_or(0)
}

impl Store {
    pub(crate) fn new(plan: &Plan, seed: u64) -> Store {
        Store {
            latency: Sampler::new(&plan.commit),
            random: Random::of(seed, "store"),
            open: VecDeque::new(),
            group: VecDeque::new(),
            busy: false,
            records: BTreeMap::new(),
            values: Values::new(),
            blobs: Blobs::default(),
            dead: BTreeMap::new(),
            settled: BTreeMap::new(),
            counters: BTreeMap::new(),
            batches: 0,
            bodies: BTreeMap::new(),
            nothing: super::run::nothing(),
            commits: 0,
            groups: 0,
            busy_micros: 0,
        }
    }

    /// A body of this length.
    pub(super) fn body(&mut self, bytes: u32) -> Body {
        self.bodies.entry(bytes).or_insert_with(|| Body::from(vec![0; bytes as usize])).clone()
    }

    /// No body.
    pub(super) fn nothing(&self) -> Body {
        self.nothing.clone()
    }

    /// A started event as a message.
    pub(super) fn message(&self, event: StartedEvent) -> Message {
        let Some(record) = self.records.get(&event.seq) else { return Message::NONE };
        let lineage = &record.envelope.lineage;
        Message {
            id: number(event.id),
            root: number(lineage.root),
            tenant: TenantNo(record.waiting.tenant.0.saturating_sub(1)),
            born: record.born(),
            bytes: record.waiting.body_bytes,
            items: 1,
            hops: u16::try_from(lineage.hop_count()).unwrap_or(u16::MAX),
            receives: event.attempt,
        }
    }

    /// The outcome of a run that emits or writes: what it may is decided where guests' calls are. And the keys that
    /// each event wrote.
    pub(super) fn outcome(
        &mut self,
        plan: &Plan,
        start: &Start,
        did: Did<'_>,
    ) -> (Outcome, Vec<(EventId, Vec<KvKey>)>) {
        let nothing =
            Outcome { results: Vec::new(), reads: Vec::new(), writes: Vec::new(), usage: did.usage };
        let invocation = Invocation::new(plan.application.clone(), &start.function, start.tenant);
        let Some(mut invocation) = invocation else { return (nothing, Vec::new()) };
        let envelopes: Vec<Option<Envelope>> = match &start.work {
            Work::Call { id, accepted, .. } => vec![Some(called(start, *id, *accepted))],
            Work::Events(events) => events
                .iter()
                .map(|event| self.records.get(&event.seq).map(|record| Envelope::clone(&record.envelope)))
                .collect(),
        };
        let mut wrote = Vec::new();
        let count = envelopes.len();
        for (place, envelope) in envelopes.into_iter().enumerate() {
            let Some(envelope) = envelope else { continue };
            let (id, kind) = (envelope.id, envelope.attributes.kind.clone());
            invocation.begin(envelope);
            let verdict = match &did.failure {
                Some(failure) => Err(failure.clone()),
                None if did.failed.contains(&place) => Err(Failure::new(FailureKind::Retry, "")),
                None => Ok(self.nothing.clone()),
            };
            if verdict.is_ok() {
                for (_, emission) in did.emits.iter().filter(|(of, _)| *of == place) {
                    self.emit(&mut invocation, emission, &kind);
                }
                let adds = did.adds.iter().filter(|(of, _)| *of == place);
                let keys: Vec<KvKey> = adds.filter_map(|(_, added)| add(&mut invocation, added)).collect();
                if !keys.is_empty() {
                    wrote.push((id, keys));
                }
            }
            invocation.end(verdict);
        }
        (invocation.finish(count, did.usage), wrote)
    }

    fn emit(&mut self, invocation: &mut Invocation, emission: &Emission, kind: &str) {
        for _ in 0..emission.count {
            let body = self.body(u32::try_from(emission.bytes).unwrap_or(u32::MAX));
            invocation.call(GuestCall::Emit {
                target: emission.target.clone(),
                kind: kind.into(),
                subject: None,
                content_type: "application/octet-stream".into(),
                delay: emission.delay,
                body,
            });
        }
    }

    /// What was asked for and is not durable is lost. What was on its way is given back: it may have got there.
    pub(super) fn crash(&mut self) -> VecDeque<Commit> {
        self.open.clear();
        self.busy = false;
        std::mem::take(&mut self.group)
    }

    /// A bucket has expired.
    fn forget(&mut self, bucket: Bucket) {
        self.settled.retain(|(of, _), _| *of != bucket);
        self.counters.retain(|(of, _), _| *of != bucket);
    }

    /// The settled record of an id, the newest first.
    pub(super) fn settled(&self, buckets: RangeInclusive<u64>, id: EventId) -> Option<Box<Settled>> {
        buckets.rev().find_map(|bucket| self.settled.get(&(Bucket(bucket), id)).cloned().map(Box::new))
    }

    /// What is read at opening: events that are not over, in their order.
    pub(super) fn waiting(&self) -> Vec<(Seq, Waiting)> {
        self.records.iter().map(|(seq, record)| (*seq, record.waiting.clone())).collect()
    }

    /// What is read at opening: how many outcomes of whom are remembered in which bucket.
    pub(super) fn counters(&self) -> Vec<(Bucket, TenantId, u64)> {
        self.counters.iter().map(|((bucket, tenant), count)| (*bucket, *tenant, *count)).collect()
    }

    /// What is read at opening: dead letters, and the greatest place among them.
    pub(super) fn dead(&self) -> (u64, Seq) {
        (self.dead.len() as u64, self.dead.keys().last().copied().unwrap_or(Seq(0)))
    }

    /// Every dead letter.
    pub(super) fn dead_letters(&self) -> Vec<(Seq, Dead)> {
        self.dead.iter().map(|(seq, (dead, _))| (*seq, dead.clone())).collect()
    }

    /// The size of an event's body, where the event is here.
    pub(super) fn record(&self, event: StartedEvent) -> Option<u32> {
        let record = self.records.get(&event.seq).filter(|record| record.envelope.id == event.id)?;
        u32::try_from(record.body.len()).ok()
    }

    /// A value with its version; nothing is 0, of version 0.
    pub(super) fn value(&self, tenant: TenantId, key: &KvKey) -> (u64, u64) {
        let found = self.values.get(&(tenant, key.clone()));
        found.map_or((0, 0), |(value, version)| (decoded(value), *version))
    }

    /// Sets a value at once.
    pub(super) fn set_value(&mut self, tenant: TenantId, key: KvKey, value: u64) {
        self.batches += 1;
        self.values.insert((tenant, key), (encoded(value), self.batches));
    }

    /// All values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&(TenantId, KvKey), &Body)> {
        self.values.iter().map(|(key, (value, _))| (key, value))
    }

    /// Does what is planted.
    pub(super) fn plant(&mut self, planted: Planted) {
        match planted {
            Planted::Nothing => {}
            #[cfg(test)]
            Planted::LosesRecord => drop(self.records.pop_last()),
            #[cfg(test)]
            Planted::AppliesTwice => {}
            #[cfg(test)]
            Planted::LosesValue => drop(self.values.pop_last()),
        }
    }

    /// What is durable of a started event.
    pub(super) fn event(&self, seq: Seq) -> Option<(&Envelope, &Body)> {
        self.records.get(&seq).map(|record| (&*record.envelope, &record.body))
    }

    /// When the oldest event of each queue came, as far as it is among the first `looked_at`.
    pub(super) fn oldest(&self, looked_at: usize) -> BTreeMap<&Name, Time> {
        let mut oldest = BTreeMap::new();
        for record in self.records.values().take(looked_at) {
            oldest.entry(&record.waiting.queue).or_insert(record.waiting.accepted);
        }
        oldest
    }

    /// What is on its way to the disk.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Commit> {
        self.group.iter()
    }

    fn is_stale(&self, checks: &[(TenantId, KvKey, u64)]) -> bool {
        checks.iter().any(|(tenant, key, read)| {
            let version = self.values.get(&(*tenant, key.clone())).map_or(0, |(_, version)| *version);
            version != *read
        })
    }

    fn take(&mut self) -> Option<Span> {
        if self.busy || self.open.is_empty() {
            return None;
        }
        self.busy = true;
        self.groups += 1;
        std::mem::swap(&mut self.open, &mut self.group);
        let latency = self.latency.draw(&mut self.random);
        self.busy_micros = self.busy_micros.saturating_add(latency.0);
        Some(latency)
    }
}

/// An id as a number that is unlike that of any other event.
fn number(id: EventId) -> u64 {
    id.spread(0)
}

impl World<'_> {
    pub(super) fn commit(&mut self, commit: Commit) {
        self.store.commits += 1;
        if self.faults.is_some() {
            self.book_wanted(&commit);
        }
        self.store.open.push_back(commit);
        self.begin_group();
    }

    fn begin_group(&mut self) {
        if let Some(latency) = self.store.take() {
            let stalled = self.faults.as_ref().map_or(Span::ZERO, |f| f.stalled_until.since(self.now));
            let generation = self.generation;
            self.after(Span(latency.0.saturating_add(stalled.0)), Happening::Durable(generation));
        }
    }

    /// A group is durable, or its commit has failed.
    pub(super) fn durable(&mut self, generation: u32) {
        if generation != self.generation {
            // It was lost with its engine.
            return;
        }
        if let Some(written) = self.faults.as_mut().and_then(|faults| faults.fails.take()) {
            self.poison_lane(written);
            return;
        }
        self.store.busy = false;
        let mut group = std::mem::take(&mut self.store.group);
        let mut done: Vec<(BatchNo, CommitResult)> = Vec::with_capacity(group.len());
        for commit in group.drain(..) {
            let batch = commit.batch;
            done.push((batch, self.write_all(commit)));
        }
        self.store.group = group;
        for (batch, result) in done {
            self.step(Input::Committed(batch, result));
        }
        self.begin_group();
    }

    /// All of a commit, or nothing where what it had read is stale.
    pub(super) fn write_all(&mut self, commit: Commit) -> CommitResult {
        if !commit.checks.is_empty() && self.store.is_stale(&commit.checks) {
            return CommitResult::Conflict;
        }
        self.store.batches += 1;
        if self.faults.is_some() {
            self.book_commit(&commit);
        }
        for write in commit.writes {
            self.write(write);
        }
        CommitResult::Done
    }

    fn book_commit(&mut self, commit: &Commit) {
        let now = self.now;
        let Some(faults) = &mut self.faults else { return };
        let store = &self.store;
        // What a key remembers as a failure, or not at all, did not end well.
        let well = |id: EventId, seq: Seq| {
            let keyed = store.records.get(&seq).is_some_and(|record| record.waiting.remember.is_some());
            let remembered = commit.writes.iter().any(|write| {
                matches!(write, Write::Remember { id: of, settled, .. } if *of == id && settled.verdict.is_ok())
            });
            !keyed || remembered
        };
        let tenant = commit.writes.iter().find_map(|write| match write {
            Write::Kv { tenant, .. } => Some(*tenant),
            _ => None,
        });
        faults.books.batch_durable(commit.batch, tenant);
        for write in &commit.writes {
            match write {
                Write::Remove { seq, .. } => faults.books.durable(now, write, |id| well(id, *seq)),
                Write::Kv { tenant, key, value } => {
                    faults.books.value(now, *tenant, key, value.as_ref().map_or(0, decoded));
                }
                _ => faults.books.durable(now, write, |_| true),
            }
        }
    }

    pub(super) fn write(&mut self, write: Write) {
        let now = self.now;
        match write {
            Write::Accept { seq, waiting, envelope, body } => {
                self.tally.queue_in(now, &waiting.queue);
                self.store.records.insert(seq, Record { waiting, envelope, body, history: 0 });
            }
            Write::Update { seq, waiting } => {
                if let Some(record) = self.store.records.get_mut(&seq) {
                    record.waiting = waiting;
                }
            }
            Write::Remove { seq, .. } => {
                if let Some(record) = self.store.records.remove(&seq) {
                    let Waiting { queue, attempt, .. } = &record.waiting;
                    self.tally.queue_done(now, queue, record.born(), *attempt);
                }
            }
            Write::Bury { seq, dead } => {
                let record = self.store.records.remove(&seq);
                let tenant = TenantNo(dead.event.tenant.0.saturating_sub(1));
                self.tally.queue_dead(now, tenant, &dead);
                if let Some(record) = record.filter(|_| self.faults.is_some()) {
                    self.store.dead.insert(seq, (dead, record));
                }
            }
            Write::Note { seq, .. } => {
                if let Some(record) = self.store.records.get_mut(&seq) {
                    record.history += 1;
                }
            }
            Write::Remember { bucket, id, settled, count } => {
                self.store.counters.insert((bucket, settled.tenant), count);
                self.store.settled.insert((bucket, id), settled);
            }
            Write::Forget { bucket } => self.store.forget(bucket),
            Write::Kv { tenant, key, value } => {
                let version = self.store.batches;
                match value {
                    Some(value) => drop(self.store.values.insert((tenant, key), (value, version))),
                    None => drop(self.store.values.remove(&(tenant, key))),
                }
            }
            Write::Revive { seq, waiting } => {
                if let Some((_, record)) = self.store.dead.remove(&seq) {
                    self.tally.queue_in(now, &waiting.queue);
                    self.store.records.insert(seq, Record { waiting, ..record });
                }
            }
            Write::Discard { seq } => drop(self.store.dead.remove(&seq)),
        }
    }
}
