//! A world around the engine that does nothing but answer: commits become durable in order, runs end.
//!
//! It works in rounds: what it answers next is prepared, then the engine alone is timed, kind by kind, then
//! the effects are turned into the next answers.

use std::{
    collections::{BTreeMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    time::Instant,
};

use flyball_core::{
    Answer, Body, CallerId, Commit, CommitResult, Effect, Emit, Engine, Envelope, EventId, EventResult,
    Failure, FailureKind, Hop, Input, KvKey, KvWrite, Lineage, Name, Note, Outcome, Read, Settings, Span,
    Start, TenantId, Time, Usage, Work, record::Write,
};

use crate::{
    load::{self, Numbers},
    record::Tape,
};

/// Inputs of one round: as many as a driver may have ready at once.
const ROUND: usize = 64;

/// Kinds of input, in the order of an event's life.
pub const KINDS: [&str; 6] =
    ["an event arrives", "a call arrives", "accepted", "attempt durable", "run ends", "outcome durable"];

/// Steps and nanoseconds by kind.
pub type Tally = [(u64, u64); KINDS.len()];

pub struct World {
    pub engine: Engine,
    now: Time,
    /// How long a step is in virtual time.
    tick: Span,
    pending: VecDeque<(usize, Input)>,
    /// What a tenant has outstanding, and should have.
    outstanding: Vec<u32>,
    depth: u32,
    callers: u64,
    numbers: Numbers,
    effects: Vec<Effect>,
    /// Over all effects, where asked for.
    pub digest: Option<DefaultHasher>,
    /// What is recorded, where asked for.
    pub tape: Option<Tape>,
    pub tally: Tally,
    pub started: u64,
    pub waited: BTreeMap<String, u64>,
    pub refused: u64,
}

impl World {
    /// `tenants` tenants, each with `depth` events or calls outstanding all the time.
    pub fn new(tenants: u32, depth: u32) -> World {
        let settings = Settings { lane: 1, incarnation: 1, process: 1, seed: 7 };
        let mut world = World {
            engine: Engine::new(load::application(), settings),
            now: Time(1_700_000_000_000_000),
            tick: Span(1),
            pending: VecDeque::new(),
            outstanding: vec![0; tenants as usize],
            depth,
            callers: 0,
            numbers: Numbers(1),
            effects: Vec::new(),
            digest: None,
            tape: None,
            tally: Tally::default(),
            started: 0,
            waited: BTreeMap::new(),
            refused: 0,
        };
        for tenant in load::tenants(tenants) {
            world.engine.step(world.now, tenant, &mut world.effects);
        }
        world.engine.step(world.now, Input::Opened, &mut world.effects);
        for _ in 0..depth {
            for tenant in 0..tenants {
                world.more(TenantId(tenant));
            }
        }
        world
    }

    /// So many steps, or a round more; the nanoseconds that each took in the engine. Where others had the
    /// processor meanwhile, their share is taken off.
    pub fn run(&mut self, steps: u64) -> f64 {
        let (began, on_processor) = (Instant::now(), processor_nanos());
        let (mut done, mut nanos) = (0, 0);
        let mut round = Vec::with_capacity(ROUND);
        while done < steps {
            round.extend(self.pending.drain(..ROUND.min(self.pending.len())));
            if round.is_empty() {
                self.now =
                    self.now.max(self.engine.next_deadline().expect("what waits, waits for something"));
                round.push((0, Input::Tick));
            }
            done += round.len() as u64;
            nanos += self.round(&mut round);
            let mut effects = std::mem::take(&mut self.effects);
            for effect in effects.drain(..) {
                self.react(effect);
            }
            self.effects = effects;
        }
        let all = began.elapsed().as_nanos() as f64;
        let own = processor_nanos().zip(on_processor).map_or(all, |(now, then)| (now - then) as f64);
        nanos as f64 / done as f64 * (own / all).min(1.0)
    }

    fn round(&mut self, round: &mut Vec<(usize, Input)>) -> u64 {
        round.sort_by_key(|(kind, _)| *kind);
        let mut inputs = round.drain(..).peekable();
        let mut total = 0;
        while let Some(&(kind, _)) = inputs.peek() {
            let mut count = 0;
            let began = Instant::now();
            while let Some((_, input)) = inputs.next_if(|(next, _)| *next == kind) {
                self.now = self.now.after(self.tick);
                let (copy, before) = (self.tape.is_some().then(|| input.clone()), self.effects.len());
                self.engine.step(self.now, input, &mut self.effects);
                if let (Some(tape), Some(input)) = (&mut self.tape, copy) {
                    tape.take(self.now, input, &self.effects[before..]);
                }
                count += 1;
            }
            let nanos = began.elapsed().as_nanos() as u64;
            if let Some(tape) = &mut self.tape {
                tape.write();
            }
            total += nanos;
            self.tally[kind].0 += count;
            self.tally[kind].1 += nanos;
        }
        total
    }

    /// A tenant has less outstanding than it should: it sends something.
    fn more(&mut self, tenant: TenantId) {
        let outstanding = &mut self.outstanding[tenant.0 as usize];
        if *outstanding >= self.depth {
            return;
        }
        *outstanding += 1;
        self.callers += 1;
        let caller = CallerId(self.callers << 32 | u64::from(tenant.0));
        let input = load::arrival(caller, tenant, self.engine.settled_mark(), &mut self.numbers);
        self.pending.push_back((usize::from(matches!(input, Input::Call(_))), input));
    }

    fn less(&mut self, tenant: TenantId) {
        self.outstanding[tenant.0 as usize] -= 1;
        self.more(tenant);
    }

    fn react(&mut self, effect: Effect) {
        if let Some(digest) = &mut self.digest {
            effect.hash(digest);
        }
        match effect {
            Effect::Commit(commit) => {
                let input = Input::Committed(commit.batch, self.commit_result(&commit));
                self.pending.push_back((kind_of(&commit.writes), input));
            }
            Effect::Start(start) => {
                let outcome = self.outcome(&start);
                self.pending.push_back((4, Input::Finished(start.invocation, outcome)));
            }
            Effect::Answer(caller, answer) => {
                let tenant = TenantId(caller.0 as u32);
                match answer {
                    // Its copies were counted by their own notes.
                    Answer::Accepted { .. } => self.less(tenant),
                    Answer::Refused(_) | Answer::LookAgain => {
                        self.refused += 1;
                        self.less(tenant);
                    }
                    Answer::Done { .. } | Answer::Failed { .. } => {}
                }
            }
            Effect::Note(Note::Accepted { tenant, .. }) => self.outstanding[tenant.0 as usize] += 1,
            Effect::Note(Note::Done { tenant, .. } | Note::Dead { tenant, .. }) => self.less(tenant),
            Effect::Note(Note::Started { waited_for, .. }) => {
                self.started += 1;
                if let Some(limit) = waited_for {
                    let text = limit.to_string();
                    let kind = text.split_whitespace().filter(|w| !w.contains('-')).collect::<Vec<_>>();
                    *self.waited.entry(kind.join(" ")).or_default() += 1;
                }
            }
            Effect::Note(_) | Effect::Stop(_) => {}
        }
    }

    /// One in a hundred that had read something read what is stale.
    fn commit_result(&mut self, commit: &Commit) -> CommitResult {
        let stale = !commit.checks.is_empty() && self.numbers.percent(1);
        if stale { CommitResult::Conflict } else { CommitResult::Done }
    }

    /// One run in twenty fails, one in ten writes a key that it has read; checkouts and thumbnails emit.
    fn outcome(&mut self, start: &Start) -> Outcome {
        let fails = self.numbers.percent(5);
        let counts = !fails && self.numbers.percent(10);
        let events: Vec<(EventId, Time)> = match &start.work {
            Work::Call { id, accepted, .. } => vec![(*id, *accepted)],
            Work::Events(events) => events.iter().map(|e| (e.id, self.now)).collect(),
        };
        let results = events.into_iter().map(|(id, time)| self.result(start, id, time, fails));
        let results = results.collect();
        let key = || KvKey { namespace: start.function.clone(), key: "counters/total".into() };
        let value = Some(Body::from(&[0_u8; 8][..]));
        let busy = Span(500 + self.numbers.below(4_500));
        Outcome {
            results,
            reads: if counts { vec![Read { key: key(), version: 3 }] } else { Vec::new() },
            writes: if counts { vec![KvWrite { key: key(), value }] } else { Vec::new() },
            usage: Usage { busy, waiting: Span::ZERO, memory_bytes_peak: 2 << 20 },
        }
    }

    fn result(&mut self, start: &Start, id: EventId, time: Time, fails: bool) -> EventResult {
        if fails {
            let failure =
                Failure::new(FailureKind::Trap, "wasm trap: wasm `unreachable` instruction executed");
            return EventResult { verdict: Err(failure), emits: Vec::new() };
        }
        let target = match start.function.as_str() {
            "checkout" if self.numbers.percent(30) => Some("order-events"),
            "thumbnail-render" if self.numbers.percent(50) => Some("index-updates"),
            _ => None,
        };
        let emit = |target| Emit {
            envelope: Envelope {
                id: id.emitted(0),
                tenant: start.tenant,
                target: load::name(target),
                attributes: load::attributes(&mut self.numbers),
                time,
                lineage: lineage(id, &start.function, time),
            },
            body: Body::from(&br#"{"order":1234567}"#[..]),
            delay: Span::ZERO,
        };
        let emits = target.into_iter().map(emit).collect();
        EventResult { verdict: Ok(Body::from(&b"{}"[..])), emits }
    }

    /// Inputs that the world will give next.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// A hash over every effect since `digest` was set: two versions of the engine can be compared by it.
    pub fn fingerprint(&self) -> u64 {
        self.digest.as_ref().map_or(0, Hasher::finish)
    }
}

fn lineage(root: EventId, function: &Name, time: Time) -> Lineage {
    Lineage { root, hops: vec![Hop { event: root, function: function.clone(), time }] }
}

/// How long this thread has had a processor; `None` where the system does not say.
fn processor_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// What a commit is for.
fn kind_of(writes: &[Write]) -> usize {
    let over =
        |write: &Write| matches!(write, Write::Remove { .. } | Write::Note { .. } | Write::Bury { .. });
    let kv = |write: &Write| matches!(write, Write::Kv { .. });
    if writes.iter().any(|write| over(write) || kv(write)) {
        5
    } else if writes.iter().any(|write| matches!(write, Write::Accept { .. })) {
        2
    } else {
        3
    }
}
