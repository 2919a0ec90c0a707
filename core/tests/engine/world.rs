//! A naive world around the engine: a store that is a few maps, workers that do what they are told, and
//! books kept by hand. What the engine promises is checked against the books, not against the engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::Log;
use flyball_core::{
    Answer, Attributes, BatchNo, Body, Call, CallerId, Commit, CommitResult, Effect, Emit, Engine, Envelope,
    EventId, EventResult, Failure, FailureKind, Fingerprint, Input, InvocationId, Keyed, KeyedCall, KvKey,
    KvWrite, Name, Note, Outcome, Read, Send, Seq, Settings, Span, Start, Tenant, TenantId, Time, Usage,
    Work, invariant,
    model::{
        Application, Concurrency, Delivery, Destination, Function, Grants, Limits, PlatformLimits, Queue,
        Shared, TenantLimits, Topic,
    },
    record::{self, Bucket, Dead, FailedAttempt, Settled, Waiting, Write},
};

/// The body of an event whose run ends the process.
const KILLER: &[u8] = b"killer";

/// A name that is one.
pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Limits with this cap and guarantee.
pub fn limits(cap: u32, guarantee: u32) -> Limits {
    Limits { concurrency: Concurrency { cap, guarantee }, rate: None }
}

/// Delivers one by one, three attempts, short waits.
pub fn delivery(batch_max: u32) -> Delivery {
    Delivery {
        batch_max,
        batch_window: Span::ZERO,
        delay: Span::ZERO,
        visibility: Span::from_secs(40),
        attempts_max: 3,
        retry_base: Span::from_millis(100),
        retry_max: Span::from_secs(2),
        waiting_max: 10_000,
    }
}

/// A function with these limits.
pub fn function(text: &str, own: Limits, emit: &[&str]) -> Function {
    Function {
        name: name(text),
        component: format!("{text}.wasm"),
        timeout: Span::from_secs(10),
        memory_bytes_max: 64 << 20,
        limits: own,
        per_tenant: Limits::default(),
        for_tenants: BTreeMap::new(),
        grants: Grants { emit: emit.iter().map(|e| name(e)).collect(), ..Grants::default() },
        config: BTreeMap::new(),
        inbox: delivery(1),
    }
}

/// Two functions in a row, a topic with two subscribers, a platform of `cap` slots.
pub fn application(cap: u32) -> Application {
    let first = function("first", limits(u32::MAX, 0), &["second", "news"]);
    let mut second = function("second", limits(4, 1), &["news"]);
    second.per_tenant = limits(2, 0);
    let third = function("third", limits(u32::MAX, 0), &[]);
    let queue =
        |text: &str, f: &str, batch| Queue { name: name(text), function: name(f), delivery: delivery(batch) };
    let queues = [queue("first", "first", 1), queue("second", "second", 5)];
    let news = Topic {
        name: name("news"),
        subscribers: vec![Destination::Function(name("third")), Destination::Queue(name("second"))],
    };
    let platform =
        PlatformLimits { limits: limits(cap, 0), long_concurrency_max: cap, ..PlatformLimits::default() };
    Application {
        name: name("test"),
        functions: [first, second, third].into_iter().map(|f| (f.name.clone(), f)).collect(),
        queues: queues.into_iter().map(|q| (q.name.clone(), q)).collect(),
        topics: [(news.name.clone(), news)].into(),
        buses: BTreeMap::new(),
        routes: Vec::new(),
        limits: platform,
        tenant_defaults: TenantLimits { limits: limits(6, 0), ..TenantLimits::default() },
        tenants: [(
            name("t1"),
            TenantLimits { limits: limits(6, 2), weight: 200, ..TenantLimits::default() },
        )]
        .into(),
    }
}

/// What a worker is told to answer.
#[derive(Debug, Clone)]
pub enum Do {
    /// Succeed, emitting this many events to `second` and `news`.
    Succeed { emits: u8 },
    /// Read and write the tenant's counter.
    Count,
    /// Fail.
    Fail(FailureKind),
}

/// The world. `effects` of every step and all inputs are kept, for a replay.
pub struct World {
    pub application: Shared,
    pub engine: Engine,
    pub now: Time,
    pub incarnation: u64,
    /// The first incarnation of the process.
    pub process: u64,
    /// How often the process ended.
    pub crashes: u32,
    pub inputs: Vec<(Time, Input)>,
    /// What a recording would have written, of all engines.
    pub log: Log,
    pub effects: Vec<Effect>,
    pub answers: BTreeMap<CallerId, Answer>,
    pub starts: BTreeMap<InvocationId, Start>,
    pub stops: BTreeSet<InvocationId>,
    pub commits: BTreeMap<BatchNo, Commit>,
    pub store: Store,
    pub books: Books,
    next_caller: u64,
}

/// What is durable.
#[derive(Default, Clone)]
pub struct Store {
    pub waiting: BTreeMap<Seq, Waiting>,
    pub events: BTreeMap<Seq, (Envelope, Body)>,
    pub dead: BTreeMap<Seq, Dead>,
    pub history: BTreeMap<(Seq, u16), FailedAttempt>,
    pub settled: BTreeMap<(Bucket, EventId), Settled>,
    pub counts: BTreeMap<(Bucket, TenantId), u64>,
    pub kv: BTreeMap<(TenantId, KvKey), (Body, u64)>,
    pub batches: u64,
}

/// What the test knows by itself.
#[derive(Default)]
pub struct Books {
    /// Events that callers were told are accepted.
    pub promised: BTreeSet<EventId>,
    /// How often an event was removed as done.
    pub done: BTreeMap<EventId, u32>,
    /// Commits that counted, per tenant: what the counter must read.
    pub counted: BTreeMap<TenantId, u64>,
    /// Longest time from ready to start, per tenant.
    pub dwell_max: BTreeMap<TenantId, Span>,
}

impl World {
    pub fn new(application: Application) -> World {
        let application: Shared = std::sync::Arc::new(application.check().unwrap());
        let settings = Settings { lane: 0, incarnation: 1, process: 1, seed: 7 };
        let mut log = Log::of(&application);
        log.engine(settings);
        let mut world = World {
            engine: Engine::new(application.clone(), settings),
            application,
            now: Time(1_000_000_000),
            incarnation: 1,
            process: 1,
            crashes: 0,
            inputs: Vec::new(),
            log,
            effects: Vec::new(),
            answers: BTreeMap::new(),
            starts: BTreeMap::new(),
            stops: BTreeSet::new(),
            commits: BTreeMap::new(),
            store: Store::default(),
            books: Books::default(),
            next_caller: 1,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        for id in 0..6 {
            let name = name(&format!("t{id}"));
            let limits = self.application.limits_of(&name).clone();
            self.step(Input::SetTenant(Tenant { id: TenantId(id), name, limits, enabled: true }));
        }
        for (seq, waiting) in self.store.waiting.clone() {
            self.step(Input::Restore(seq, waiting));
        }
        for ((bucket, tenant), count) in self.store.counts.clone() {
            self.step(Input::RestoreCount(bucket, tenant, count));
        }
        let greatest = self.store.dead.keys().last().copied().unwrap_or(Seq(0));
        self.step(Input::RestoreDead(self.store.dead.len() as u64, greatest));
        self.step(Input::Opened);
    }

    /// The process ends: everything that is not durable is gone, and another takes over.
    pub fn crash(&mut self) {
        self.process = self.incarnation + 1;
        self.crashes += 1;
        self.reopen();
    }

    /// A commit failed: everything that is not durable is gone; another engine takes over.
    pub fn reopen(&mut self) {
        self.incarnation += 1;
        let settings = self.settings();
        self.engine = Engine::new(self.application.clone(), settings);
        self.log.engine(settings);
        self.commits.clear();
        self.starts.clear();
        self.stops.clear();
        self.answers.clear();
        self.inputs.clear();
        self.effects.clear();
        self.open();
    }

    fn settings(&self) -> Settings {
        Settings { lane: 0, incarnation: self.incarnation, process: self.process, seed: 7 }
    }

    /// The process ends in good order, and another takes over.
    pub fn close(&mut self) {
        self.step(Input::Close);
        self.commit_all();
        assert!(self.engine.is_idle() && self.store.waiting.values().all(|w| w.running.is_none()));
        self.process = self.incarnation + 1;
        self.reopen();
    }

    pub fn step(&mut self, input: Input) {
        self.inputs.push((self.now, input.clone()));
        let mut effects = Vec::new();
        self.engine.step(self.now, input.clone(), &mut effects);
        self.log.step(self.now, input, &effects);
        invariant::check(&self.engine).unwrap();
        for effect in &effects {
            match effect.clone() {
                Effect::Commit(commit) => drop(self.commits.insert(commit.batch, commit)),
                Effect::Start(start) => drop(self.starts.insert(start.invocation, start)),
                Effect::Stop(invocation) => drop(self.stops.insert(invocation)),
                Effect::Answer(caller, answer) => self.answered(caller, answer),
                Effect::Note(Note::Started { tenant, dwell, .. }) => {
                    let longest = self.books.dwell_max.entry(tenant).or_default();
                    *longest = dwell.max(*longest);
                }
                Effect::Note(_) => {}
            }
        }
        self.effects.extend(effects);
    }

    fn answered(&mut self, caller: CallerId, answer: Answer) {
        if let Answer::Accepted { id, .. } = &answer {
            self.books.promised.insert(*id);
        }
        let twice = self.answers.insert(caller, answer);
        assert!(twice.is_none(), "{caller:?} was answered twice, first {twice:?}");
    }

    pub fn caller(&mut self) -> CallerId {
        self.next_caller += 1;
        CallerId(self.next_caller)
    }

    /// Looks a key up as a driver does.
    pub fn keyed(&self, tenant: TenantId, target: &str, key: &str, request: &str) -> Keyed {
        let id = EventId::keyed(tenant, target, key);
        let mut buckets = self.engine.buckets(self.now).rev();
        Keyed {
            id,
            fingerprint: Fingerprint::of(&[request.as_bytes()]),
            as_of: self.engine.settled_mark(),
            found: buckets.find_map(|b| self.store.settled.get(&(Bucket(b), id)).cloned().map(Box::new)),
        }
    }

    pub fn send(&mut self, tenant: u32, target: &str, key: Option<&str>) -> CallerId {
        self.send_body(tenant, target, key, b"body")
    }

    /// Sends an event whose run ends the process.
    pub fn send_killer(&mut self, tenant: u32, target: &str) -> CallerId {
        self.send_body(tenant, target, None, KILLER)
    }

    fn send_body(&mut self, tenant: u32, target: &str, key: Option<&str>, body: &[u8]) -> CallerId {
        let caller = self.caller();
        let tenant = TenantId(tenant);
        let key = key.map(|key| self.keyed(tenant, target, key, "same"));
        self.step(Input::Send(Box::new(Send {
            caller,
            tenant,
            target: target.to_string(),
            attributes: attributes(),
            body: Body::from(body),
            delay: Span::ZERO,
            key,
            want_result: false,
        })));
        caller
    }

    pub fn call(&mut self, tenant: u32, function: &str, key: Option<(&str, &str)>) -> CallerId {
        let caller = self.caller();
        let tenant = TenantId(tenant);
        let key = key.map(|(key, request)| {
            let keyed = self.keyed(tenant, function, key, request);
            Box::new(KeyedCall { keyed, attributes: attributes(), body: Body::from(request.as_bytes()) })
        });
        self.step(Input::Call(Call { caller, tenant, function: name(function), key }));
        caller
    }

    /// The commit becomes durable, unless what it read is stale.
    pub fn commit(&mut self, batch: BatchNo) -> CommitResult {
        let commit = self.commits.remove(&batch).unwrap();
        let version =
            |store: &Store, tenant, key: &KvKey| store.kv.get(&(tenant, key.clone())).map_or(0, |v| v.1);
        let stale =
            commit.checks.iter().any(|(tenant, key, read)| version(&self.store, *tenant, key) != *read);
        let result = if stale { CommitResult::Conflict } else { CommitResult::Done };
        if !stale {
            self.store.batches += 1;
            for write in commit.writes {
                for encoded in write.encode() {
                    // What is written can be read back.
                    if let record::Encoded::Put(record::Table::State, _, bytes) = encoded {
                        record::decode::<Waiting>(&bytes).unwrap();
                    }
                }
                self.write(write);
            }
        }
        self.step(Input::Committed(batch, result));
        result
    }

    fn write(&mut self, write: Write) {
        let store = &mut self.store;
        match write {
            Write::Accept { seq, waiting, envelope, body } => {
                assert!(store.waiting.insert(seq, waiting).is_none(), "a sequence is used once");
                store.events.insert(seq, (*envelope, body));
            }
            Write::Update { seq, waiting } => drop(store.waiting.insert(seq, waiting).unwrap()),
            Write::Note { seq, number, failed } => {
                // A conflict may leave a gap, never two notes of one number.
                assert!(store.history.insert((seq, number), failed).is_none(), "a note is written once");
            }
            Write::Remove { seq, noted } => {
                let notes = store.history.len();
                store.history.retain(|(of, _), _| *of != seq);
                assert!(noted || store.history.len() == notes, "a history would stay behind");
                let waiting = store.waiting.remove(&seq).unwrap();
                store.events.remove(&seq).unwrap();
                // A keyed one counts by its settled record: without one its failure was told, its key is free.
                if waiting.remember.is_none() {
                    *self.books.done.entry(waiting.id).or_default() += 1;
                }
            }
            Write::Bury { seq, dead } => {
                store.waiting.remove(&seq).unwrap();
                store.dead.insert(seq, dead);
            }
            Write::Revive { seq, waiting } => {
                store.dead.remove(&seq).unwrap();
                store.waiting.insert(seq, waiting);
            }
            Write::Discard { seq } => {
                store.history.retain(|(of, _), _| *of != seq);
                store.dead.remove(&seq).unwrap();
                store.events.remove(&seq).unwrap();
            }
            Write::Remember { bucket, id, settled, count } => {
                if settled.verdict.is_ok() {
                    *self.books.done.entry(id).or_default() += 1;
                }
                store.counts.insert((bucket, settled.tenant), count);
                store.settled.insert((bucket, id), settled);
            }
            Write::Forget { bucket } => {
                store.settled.retain(|(b, _), _| *b != bucket);
                store.counts.retain(|(b, _), _| *b != bucket);
            }
            Write::Kv { tenant, key, value } => {
                let version = store.batches;
                *self.books.counted.entry(tenant).or_default() += 1;
                match value {
                    Some(value) => drop(store.kv.insert((tenant, key), (value, version))),
                    None => drop(store.kv.remove(&(tenant, key))),
                }
            }
        }
    }

    /// All commits that are asked for become durable, in order.
    pub fn commit_all(&mut self) {
        while let Some(batch) = self.commits.keys().next().copied() {
            self.commit(batch);
        }
    }

    /// What a worker would report that did this for each event.
    pub fn outcome(&self, invocation: InvocationId, deed: &Do) -> Outcome {
        let start = &self.starts[&invocation];
        let parents: Vec<Envelope> = match &start.work {
            Work::Call { id, accepted, .. } => vec![Envelope {
                id: *id,
                tenant: start.tenant,
                target: start.function.clone(),
                attributes: attributes(),
                time: *accepted,
                lineage: flyball_core::Lineage::edge(*id),
            }],
            // A worker that was given up may report on events that are long over.
            Work::Events(events) => {
                events.iter().filter_map(|e| self.store.events.get(&e.seq)).map(|e| e.0.clone()).collect()
            }
        };
        let mut outcome = Outcome { results: vec![], reads: vec![], writes: vec![], usage: usage(1_000) };
        for parent in &parents {
            assert_eq!(parent.tenant, start.tenant, "an invocation has one tenant's events");
            let verdict = match deed {
                Do::Fail(kind) => Err(Failure::new(*kind, "told to")),
                _ => Ok(Body::from(&b"result"[..])),
            };
            let emits = match deed {
                Do::Succeed { emits } => (0..u32::from(*emits)).map(|n| emit(parent, start, n)).collect(),
                _ => vec![],
            };
            outcome.results.push(EventResult { verdict, emits });
        }
        if matches!(deed, Do::Count) {
            let key = KvKey { namespace: name("counter"), key: "n".into() };
            let (value, version) = self
                .store
                .kv
                .get(&(start.tenant, key.clone()))
                .cloned()
                .unwrap_or((Body::from(vec![0; 8]), 0));
            let count = u64::from_be_bytes(value.to_vec().try_into().unwrap()) + 1;
            outcome.reads.push(Read { key: key.clone(), version });
            outcome.writes.push(KvWrite { key, value: Some(Body::from(count.to_be_bytes().to_vec())) });
        }
        outcome
    }

    /// Whether this run ends the process.
    pub fn kills(&self, invocation: InvocationId) -> bool {
        let Work::Events(events) = &self.starts[&invocation].work else { return false };
        events.iter().any(|e| self.store.events.get(&e.seq).is_some_and(|(_, body)| body[..] == *KILLER))
    }

    /// The run ends like this; a killer's ends the process.
    pub fn finish(&mut self, invocation: InvocationId, deed: &Do) {
        if self.kills(invocation) {
            return self.crash();
        }
        let outcome = self.outcome(invocation, deed);
        self.report(invocation, outcome);
    }

    pub fn report(&mut self, invocation: InvocationId, outcome: Outcome) {
        self.starts.remove(&invocation);
        self.step(Input::Finished(invocation, outcome));
    }

    pub fn advance(&mut self, span: Span) {
        self.now = self.now.after(span);
        self.step(Input::Tick);
    }

    /// Commits and finishes everything, moving time on as needed, until nothing is left to do.
    pub fn run_out(&mut self) {
        for _ in 0..10_000 {
            self.commit_all();
            if let Some(invocation) = self.starts.keys().next().copied() {
                self.finish(invocation, &Do::Succeed { emits: 0 });
                continue;
            }
            if self.commits.is_empty() && self.store.waiting.is_empty() {
                return;
            }
            let next = self.engine.next_deadline().expect("what waits, waits for something");
            self.now = self.now.max(next);
            self.step(Input::Tick);
        }
        panic!("it never comes to rest: {:?}", self.engine.counts());
    }

    /// Feeds another engine what this one was fed: the effects and the state must be the same.
    pub fn replay(&self) {
        let mut engine = Engine::new(self.application.clone(), self.settings());
        let mut effects = Vec::new();
        for (now, input) in &self.inputs {
            engine.step(*now, input.clone(), &mut effects);
        }
        assert!(effects == self.effects, "the same inputs gave other effects");
        assert_eq!(engine.digest(), self.engine.digest());
    }
}

pub fn usage(micros: u64) -> Usage {
    Usage { busy: Span(micros), waiting: Span::ZERO, memory_bytes_peak: 1 << 20 }
}

pub fn attributes() -> Attributes {
    Attributes {
        kind: "test".into(),
        source: "/test".into(),
        subject: None,
        content_type: "text/plain".into(),
    }
}

/// An event as the invocation's state machine would emit it.
pub fn emit(parent: &Envelope, start: &Start, ordinal: u32) -> Emit {
    let target =
        if start.function.as_str() == "first" && ordinal.is_multiple_of(2) { "second" } else { "news" };
    Emit {
        envelope: Envelope {
            id: parent.id.emitted(ordinal),
            tenant: parent.tenant,
            target: name(target),
            attributes: attributes(),
            time: parent.time,
            lineage: parent.lineage_through(&start.function),
        },
        body: Body::from(&b"emitted"[..]),
        delay: Span::ZERO,
    }
}
