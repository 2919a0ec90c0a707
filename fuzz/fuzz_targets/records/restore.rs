//! An engine made of records that decode, whatever they say: invariants hold at each step (debug builds check
//! them), each run is of the tenant that the record names, and the engine comes to rest.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use arbitrary::{Arbitrary, Unstructured};
use flyball_core::{
    BatchNo, Body, Call, CallerId, CommitResult, Effect, Engine, EventId, EventResult, Failure, FailureKind,
    Fingerprint, Input, InvocationId, KvKey, KvWrite, Name, Outcome, Read, Seq, Settings, Span, Tenant,
    TenantId, Time, Usage, Work, invariant,
    model::Checked,
    record::{self, Bucket, Dead, Waiting, Write},
};

static APPLICATION: LazyLock<Arc<Checked>> = LazyLock::new(|| {
    let text = r#"
        [application]
        name = "a"
        [limits]
        concurrency = { cap = 3 }
        [tenant.t1]
        concurrency = { cap = 2, guarantee = 1 }
        [function.f]
        component = "f.wasm"
        concurrency = { cap = 2 }
        [function.g]
        component = "g.wasm"
        per_tenant.concurrency = { cap = 1 }
        [queue.q]
        function = "f"
        batch_max = 3
        [queue.r]
        function = "g"
        rate = 1
    "#;
    let text = text.replace("        rate = 1\n", "");
    Arc::new(flyball_app::read("flyball.toml", &text).expect("a good file").application)
});

#[derive(Arbitrary, Debug, Clone)]
struct AnyWaiting {
    id: u8,
    tenant: u8,
    queue: u8,
    body_bytes: u32,
    attempt: u16,
    running: Option<u8>,
    crashes: u8,
    conflicts: u8,
    notes: u16,
    accepted: u64,
    not_before: u64,
    remember: Option<u64>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Tick(u32),
    Far(u64),
    Commit { which: u8, conflict: bool },
    Finish { which: u8, verdict: u8, writes: bool },
    Call { tenant: u8, g: bool },
    Redrive(u8),
    Discard(u8),
    Drain,
}

/// An engine with what a driver knows of it.
struct Lane {
    engine: Engine,
    now: Time,
    /// What is asked for and not durable, and whether it may meet a stale read.
    commits: BTreeMap<BatchNo, (bool, Vec<Write>)>,
    dead: BTreeMap<Seq, Dead>,
    runs: BTreeMap<InvocationId, usize>,
    /// Whose each record is.
    tenants: BTreeMap<Seq, TenantId>,
    callers: u64,
}

pub fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok((records, counts, dead)) = history(&mut u) else { return };
    let settings = Settings { lane: 1, incarnation: 3, process: 2, seed: 1 };
    let mut lane = Lane {
        engine: Engine::new(APPLICATION.clone(), settings),
        now: Time(1),
        commits: BTreeMap::new(),
        dead,
        runs: BTreeMap::new(),
        tenants: BTreeMap::new(),
        callers: 0,
    };
    for number in 1..=3 {
        let name = Name::new(&format!("t{number}")).expect("a name");
        let limits = APPLICATION.limits_of(&name).clone();
        lane.step(Input::SetTenant(Tenant { id: TenantId(number), name, limits, enabled: number != 3 }));
    }
    for (seq, waiting) in records {
        lane.tenants.insert(seq, waiting.tenant);
        lane.step(Input::Restore(seq, waiting));
    }
    for (bucket, tenant, count) in counts {
        lane.step(Input::RestoreCount(bucket, tenant, count));
    }
    let greatest = lane.dead.keys().next_back().copied().unwrap_or(Seq(0));
    lane.step(Input::RestoreDead(lane.dead.len() as u64, greatest));
    lane.step(Input::Opened);
    while let Ok(op) = Op::arbitrary(&mut u) {
        lane.apply(op);
        if u.is_empty() {
            break;
        }
    }
    lane.rest();
}

type History = (BTreeMap<Seq, Waiting>, Vec<(Bucket, TenantId, u64)>, BTreeMap<Seq, Dead>);

fn history(u: &mut Unstructured<'_>) -> arbitrary::Result<History> {
    let mut records = BTreeMap::new();
    for _ in 0..u.int_in_range(0..=12)? {
        let seq = if bool::arbitrary(u)? { u64::from(u8::arbitrary(u)?) } else { u64::arbitrary(u)? };
        // As the driver does: a key that is none is damage, and the lane is not opened.
        let Some(seq) = record::seq_of(&record::key_of(Seq(seq))) else { continue };
        records.insert(seq, waiting(AnyWaiting::arbitrary(u)?));
    }
    let mut counts = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let key: [u8; 12] = u.arbitrary()?;
        if let Some((bucket, tenant)) = record::parse_counter_key(&key) {
            counts.push((bucket, tenant, u64::arbitrary(u)?));
        }
    }
    let mut dead = BTreeMap::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let Some(seq) = record::seq_of(&u.arbitrary::<[u8; 8]>()?) else { continue };
        // A record is moved from the one table to the other in one commit.
        if !records.contains_key(&seq) {
            dead.insert(seq, dead_of(waiting(AnyWaiting::arbitrary(u)?)));
        }
    }
    Ok((records, counts, dead))
}

fn waiting(any: AnyWaiting) -> Waiting {
    let queue = ["q", "r", "@f", "@g", "gone", "@gone"][usize::from(any.queue % 6)];
    Waiting {
        id: EventId([any.id; 16]),
        tenant: TenantId(u32::from(any.tenant % 5)),
        queue: Name::stored(queue).expect("a name"),
        body_bytes: any.body_bytes,
        attempt: any.attempt,
        // Of a process before this one, of an engine before this one, or of nobody.
        running: any.running.map(|by| u64::from(by % 3)),
        crashes: any.crashes,
        conflicts: any.conflicts,
        notes: any.notes,
        accepted: Time(any.accepted),
        not_before: Time(any.not_before),
        remember: any.remember.map(Fingerprint),
    }
}

impl Lane {
    fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.engine.step(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Commit(commit) => {
                    let asked = (!commit.checks.is_empty(), commit.writes);
                    assert!(self.commits.insert(commit.batch, asked).is_none(), "a number twice");
                }
                Effect::Start(start) => {
                    let events = match &start.work {
                        Work::Call { .. } => 1,
                        Work::Events(events) => {
                            for event in events {
                                let of = self.tenants.get(&event.seq);
                                assert_eq!(of, Some(&start.tenant), "a run of another tenant's event");
                            }
                            events.len()
                        }
                    };
                    assert!(events > 0 && self.runs.insert(start.invocation, events).is_none());
                }
                Effect::Stop(_) | Effect::Answer(..) | Effect::Note(_) => {}
            }
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Tick(ms) => {
                self.now = self.now.after(Span::from_millis(u64::from(ms)));
                self.step(Input::Tick);
            }
            Op::Far(at) => {
                self.now = self.now.max(Time(at));
                self.step(Input::Tick);
            }
            Op::Commit { which, conflict } => {
                if let Some(&batch) = pick(self.commits.keys(), which) {
                    self.commit(batch, conflict);
                }
            }
            Op::Finish { which, verdict, writes } => {
                if let Some(&run) = pick(self.runs.keys(), which) {
                    self.finish(run, verdict, writes);
                }
            }
            Op::Call { tenant, g } => {
                let function = Name::new(if g { "g" } else { "f" }).expect("a name");
                let (caller, tenant) = (self.caller(), TenantId(u32::from(tenant % 4)));
                self.step(Input::Call(Call { caller, tenant, function, key: None }));
            }
            Op::Redrive(which) => {
                if let Some((seq, dead)) = pick(self.dead.iter(), which).map(|(s, d)| (*s, d.clone())) {
                    let caller = self.caller();
                    self.tenants.insert(seq, dead.event.tenant);
                    self.step(Input::Redrive(caller, seq, Box::new(dead)));
                }
            }
            Op::Discard(which) => {
                if let Some((seq, dead)) = pick(self.dead.iter(), which).map(|(s, d)| (*s, d.clone())) {
                    let caller = self.caller();
                    self.step(Input::Discard(caller, seq, Box::new(dead)));
                }
            }
            Op::Drain => self.step(Input::Drain),
        }
    }

    fn caller(&mut self) -> CallerId {
        self.callers += 1;
        CallerId(self.callers)
    }

    /// A commit returns; the store's table of dead letters follows it.
    fn commit(&mut self, batch: BatchNo, conflict: bool) {
        let Some((checked, writes)) = self.commits.remove(&batch) else { return };
        if conflict && checked {
            return self.step(Input::Committed(batch, CommitResult::Conflict));
        }
        for write in writes {
            match write {
                Write::Bury { seq, dead } => drop(self.dead.insert(seq, dead)),
                Write::Revive { seq, .. } | Write::Discard { seq } => drop(self.dead.remove(&seq)),
                _ => {}
            }
        }
        self.step(Input::Committed(batch, CommitResult::Done));
    }

    fn finish(&mut self, run: InvocationId, verdict: u8, write: bool) {
        let Some(events) = self.runs.remove(&run) else { return };
        let kind = FailureKind::ALL[usize::from(verdict) % FailureKind::ALL.len()];
        let result = |_| {
            let failed = Err(Failure::new(kind, "no"));
            let verdict = if verdict < 128 { Ok(Body::default()) } else { failed };
            EventResult { verdict, emits: Vec::new() }
        };
        let results = (0..events).map(result).collect();
        let key = KvKey { namespace: Name::new("n").expect("a name"), key: "k".into() };
        let reads = if write { vec![Read { key: key.clone(), version: 1 }] } else { Vec::new() };
        let writes = if write { vec![KvWrite { key, value: None }] } else { Vec::new() };
        let outcome = Outcome { results, reads, writes, usage: Usage::default() };
        self.step(Input::Finished(run, outcome));
    }

    /// Everything is committed and every run succeeds: what may run before the end of time does.
    fn rest(&mut self) {
        for _ in 0..20_000 {
            if let Some(&batch) = self.commits.keys().next() {
                self.commit(batch, false);
            } else if let Some(&run) = self.runs.keys().next() {
                self.finish(run, 0, false);
            } else if let Some(at) = self.engine.next_deadline() {
                self.now = self.now.max(at);
                self.step(Input::Tick);
            } else {
                break;
            }
        }
        invariant::check(&self.engine).expect("at rest");
        let counts = self.engine.counts();
        assert_eq!((counts.running, counts.settling, counts.invocations), (0, 0, 0), "{counts:?}");
    }
}

fn dead_of(event: Waiting) -> Dead {
    Dead { event, at: Time(1), failure: Failure::new(FailureKind::Permanent, "no") }
}

fn pick<T>(mut all: impl ExactSizeIterator<Item = T>, which: u8) -> Option<T> {
    let count = all.len().max(1);
    all.nth(usize::from(which) % count)
}
