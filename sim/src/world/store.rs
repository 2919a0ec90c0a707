//! Flyball's store as a model: commits in groups, and the records of what waits.
//!
//! Commits that come while a group is on its way to the disk go together in the next. What was not durable at a
//! crash is lost.

use std::collections::{BTreeMap, VecDeque};

use flyball_core::{
    BatchNo, Body, Commit, CommitResult, Envelope, EventId, Failure, FailureKind, Input, KvKey, Lineage,
    Name, Outcome, Seq, Span, Start, StartedEvent, TenantId, Usage, Work,
    invocation::{GuestCall, Invocation},
    record::{Waiting, Write},
};

use super::{
    Happening, World,
    data::{Blobs, Values},
    run::Emission,
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
    /// Batches that were made durable: a value's version is the batch that wrote it.
    batches: u64,
    /// Bodies by their length: what is in them is of no account.
    bodies: BTreeMap<u32, Body>,
    nothing: Body,
    pub(crate) commits: u64,
    pub(crate) groups: u64,
}

/// What is durable of an event.
#[derive(Debug)]
struct Record {
    waiting: Waiting,
    envelope: Box<Envelope>,
    body: Body,
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
            batches: 0,
            bodies: BTreeMap::new(),
            nothing: super::run::nothing(),
            commits: 0,
            groups: 0,
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
            born: lineage.hops.first().map_or(record.envelope.time, |hop| hop.time),
            bytes: record.waiting.body_bytes,
            items: 1,
            hops: u16::try_from(lineage.hop_count()).unwrap_or(u16::MAX),
            receives: event.attempt,
        }
    }

    /// The outcome of a run that emits: what it may emit is decided where guests' calls are.
    pub(super) fn outcome(
        &mut self,
        plan: &Plan,
        start: &Start,
        emits: &[(usize, Emission)],
        failed: &[usize],
        failure: Option<Failure>,
        usage: Usage,
    ) -> Outcome {
        let nothing = Outcome { results: Vec::new(), reads: Vec::new(), writes: Vec::new(), usage };
        let invocation = Invocation::new(plan.application.clone(), &start.function, start.tenant);
        let Some(mut invocation) = invocation else { return nothing };
        let envelopes = self.envelopes(start);
        let events = envelopes.len();
        for (place, envelope) in envelopes.into_iter().enumerate() {
            let kind = envelope.attributes.kind.clone();
            invocation.begin(envelope);
            let verdict = match &failure {
                Some(failure) => Err(failure.clone()),
                None if failed.contains(&place) => Err(Failure::new(FailureKind::Retry, "")),
                None => Ok(self.nothing.clone()),
            };
            if verdict.is_ok() {
                for (_, emission) in emits.iter().filter(|(of, _)| *of == place) {
                    for _ in 0..emission.count {
                        let bytes = u32::try_from(emission.bytes).unwrap_or(u32::MAX);
                        let body = self.bodies.entry(bytes);
                        let body = body.or_insert_with(|| Body::from(vec![0; bytes as usize])).clone();
                        let call = GuestCall::Emit {
                            target: emission.target.clone(),
                            kind: kind.clone(),
                            subject: None,
                            content_type: "application/octet-stream".into(),
                            delay: emission.delay,
                            body,
                        };
                        invocation.call(call);
                    }
                }
            }
            invocation.end(verdict);
        }
        invocation.finish(events, usage)
    }

    /// What a run works on, one for each of its events.
    fn envelopes(&self, start: &Start) -> Vec<Envelope> {
        match &start.work {
            Work::Events(events) => {
                let envelope =
                    |event: &StartedEvent| Some(Envelope::clone(&self.records.get(&event.seq)?.envelope));
                events.iter().filter_map(envelope).collect()
            }
            Work::Call { id, accepted, .. } => vec![Envelope {
                id: *id,
                tenant: start.tenant,
                target: Name::inbox_of(&start.function),
                attributes: crate::plan::request_attributes(),
                time: *accepted,
                lineage: Lineage::edge(*id),
            }],
        }
    }

    /// What is durable of a started event.
    pub(super) fn event(&self, seq: Seq) -> Option<(&Envelope, &Body)> {
        self.records.get(&seq).map(|record| (&*record.envelope, &record.body))
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
        Some(self.latency.draw(&mut self.random))
    }
}

/// An id as a number that is unlike that of any other event.
fn number(id: EventId) -> u64 {
    id.spread(0)
}

impl World<'_> {
    pub(super) fn commit(&mut self, commit: Commit) {
        self.store.commits += 1;
        self.store.open.push_back(commit);
        self.begin_group();
    }

    fn begin_group(&mut self) {
        if let Some(latency) = self.store.take() {
            self.after(latency, Happening::Durable);
        }
    }

    /// A group is durable.
    pub(super) fn durable(&mut self) {
        self.store.busy = false;
        let mut group = std::mem::take(&mut self.store.group);
        let mut done: Vec<(BatchNo, CommitResult)> = Vec::with_capacity(group.len());
        for commit in group.drain(..) {
            // Those before it in the group count: each is checked in its turn.
            if self.store.is_stale(&commit.checks) {
                done.push((commit.batch, CommitResult::Conflict));
                continue;
            }
            done.push((commit.batch, CommitResult::Done));
            self.store.batches += 1;
            for write in commit.writes {
                self.write(write);
            }
        }
        self.store.group = group;
        for (batch, result) in done {
            self.step(Input::Committed(batch, result));
        }
        self.begin_group();
    }

    fn write(&mut self, write: Write) {
        let now = self.now;
        match write {
            Write::Accept { seq, waiting, envelope, body } => {
                self.tally.queue_in(now, &waiting.queue);
                self.store.records.insert(seq, Record { waiting, envelope, body });
            }
            Write::Update { seq, waiting } => {
                if let Some(record) = self.store.records.get_mut(&seq) {
                    record.waiting = waiting;
                }
            }
            Write::Remove { seq, .. } => {
                if let Some(record) = self.store.records.remove(&seq) {
                    let (queue, accepted) = (&record.waiting.queue, record.waiting.accepted);
                    self.tally.queue_done(now, queue, now.since(accepted));
                }
            }
            Write::Bury { seq, dead } => {
                self.store.records.remove(&seq);
                let tenant = TenantNo(dead.event.tenant.0.saturating_sub(1));
                self.tally.queue_dead(now, &dead.event.queue, tenant, dead.failure.kind);
            }
            Write::Kv { tenant, key, value } => {
                let version = self.store.batches;
                match value {
                    Some(value) => drop(self.store.values.insert((tenant, key), (value, version))),
                    None => drop(self.store.values.remove(&(tenant, key))),
                }
            }
            // Nothing in here redrives or remembers.
            Write::Note { .. }
            | Write::Revive { .. }
            | Write::Discard { .. }
            | Write::Remember { .. }
            | Write::Forget { .. } => {}
        }
    }
}
