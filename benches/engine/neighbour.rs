//! The noisy neighbour, in the engine alone and in virtual time: 200 tenants share 50 slots; 199 offer half
//! of what the slots can do, one floods.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use flyball_benches::quantile;
use flyball_core::{
    Body, CallerId, CommitResult, Effect, Engine, EventResult, Input, Note, Outcome, Send, Settings, Span,
    Start, Tenant, TenantId, Time, Usage, Work,
    model::{Application, Limits, PlatformLimits, TenantLimits},
};

use crate::load::{self, Numbers};

const TENANTS: u32 = 200;
const NOISY: TenantId = TenantId(0);
const SLOTS: u32 = 50;
/// A run takes between half of this and one and a half.
const RUN: Span = Span(10_000);
/// A group of commits.
const COMMIT: Span = Span(500);
const LASTS: Span = Span::from_secs(60);

/// The 99th percentile over the quiet tenants' events, milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Quiet {
    /// From ready to started.
    pub dwell: f64,
    /// From sent to done.
    pub response: f64,
    /// Events of the noisy one that were done.
    pub noisy_done: u64,
}

/// A run in which the first tenant sends `flood` times what a quiet one does, on average.
pub fn run(flood: u32) -> Quiet {
    let mut world = World::new();
    let capacity = u64::from(SLOTS) * 1_000_000 / RUN.0;
    let interval = 2_000_000 * u64::from(TENANTS - 1) / capacity;
    for tenant in 0..TENANTS {
        let every = if TenantId(tenant) == NOISY { interval / u64::from(flood) } else { interval };
        world.arrivals(TenantId(tenant), every);
    }
    world.run_out()
}

struct World {
    engine: Engine,
    /// What happens when; ties in the order in which they were planned.
    plan: BinaryHeap<Reverse<(Time, u64)>>,
    inputs: BTreeMap<u64, Input>,
    planned: u64,
    now: Time,
    began: Time,
    numbers: Numbers,
    accepted: BTreeMap<flyball_core::EventId, Time>,
    dwells: Vec<f64>,
    responses: Vec<f64>,
    noisy_done: u64,
}

impl World {
    fn new() -> World {
        let function = load::function("work", Limits::default(), Limits::default(), Span::from_secs(10), &[]);
        let queue = load::queue("work", "work", 1, Span::ZERO);
        let application = Application {
            name: load::name("shared"),
            functions: [(function.name.clone(), function)].into(),
            queues: [(queue.name.clone(), queue)].into(),
            topics: BTreeMap::new(),
            buses: BTreeMap::new(),
            routes: Vec::new(),
            limits: PlatformLimits {
                limits: load::cap(SLOTS),
                long_concurrency_max: SLOTS,
                ..PlatformLimits::default()
            },
            tenant_defaults: TenantLimits::default(),
            tenants: BTreeMap::new(),
        };
        let application = Arc::new(application.check().expect("this application holds together"));
        let now = Time(1_700_000_000_000_000);
        let mut engine = Engine::new(application, Settings { lane: 1, incarnation: 1, process: 1, seed: 7 });
        let mut effects = Vec::new();
        for id in 0..TENANTS {
            let name = load::name(&format!("customer-{id:03}"));
            let tenant = Tenant { id: TenantId(id), name, limits: TenantLimits::default(), enabled: true };
            engine.step(now, Input::SetTenant(tenant), &mut effects);
        }
        engine.step(now, Input::Opened, &mut effects);
        World {
            engine,
            plan: BinaryHeap::new(),
            inputs: BTreeMap::new(),
            planned: 0,
            now,
            began: now,
            numbers: Numbers(5),
            accepted: BTreeMap::new(),
            dwells: Vec::new(),
            responses: Vec::new(),
            noisy_done: 0,
        }
    }

    fn plan(&mut self, at: Time, input: Input) {
        self.planned += 1;
        self.inputs.insert(self.planned, input);
        self.plan.push(Reverse((at, self.planned)));
    }

    /// Arrivals without memory (Poisson), on average this many microseconds apart.
    fn arrivals(&mut self, tenant: TenantId, every: u64) {
        let mut at = self.now;
        loop {
            let uniform = (self.numbers.next() >> 11) as f64 / (1_u64 << 53) as f64;
            at = at.after(Span((-(1.0 - uniform).ln() * every as f64) as u64));
            if at > self.began.after(LASTS) {
                return;
            }
            let send = Send {
                caller: CallerId(u64::from(tenant.0)),
                tenant,
                target: "work".into(),
                attributes: load::attributes(&mut self.numbers),
                body: Body::default(),
                delay: Span::ZERO,
                key: None,
                want_result: false,
            };
            self.plan(at, Input::Send(Box::new(send)));
        }
    }

    fn run_out(mut self) -> Quiet {
        let mut effects = Vec::new();
        while let Some(Reverse((at, number))) = self.plan.pop() {
            if at > self.began.after(LASTS) {
                break;
            }
            self.now = at;
            let Some(input) = self.inputs.remove(&number) else { continue };
            self.engine.step(at, input, &mut effects);
            for effect in effects.drain(..) {
                self.react(effect);
            }
        }
        Quiet {
            dwell: quantile(&mut self.dwells, 0.99),
            response: quantile(&mut self.responses, 0.99),
            noisy_done: self.noisy_done,
        }
    }

    fn react(&mut self, effect: Effect) {
        match effect {
            Effect::Commit(commit) => {
                let input = Input::Committed(commit.batch, CommitResult::Done);
                self.plan(self.now.after(COMMIT), input);
            }
            Effect::Start(start) => self.start(&start),
            Effect::Note(Note::Accepted { id, .. }) => drop(self.accepted.insert(id, self.now)),
            Effect::Note(Note::Started { tenant, dwell, .. }) if tenant != NOISY => {
                self.dwells.push(dwell.0 as f64 / 1_000.0);
            }
            Effect::Note(Note::Done { id, tenant, .. }) => {
                let since = self.accepted.remove(&id).unwrap_or(self.now);
                if tenant == NOISY {
                    self.noisy_done += 1;
                } else {
                    self.responses.push(self.now.since(since).0 as f64 / 1_000.0);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, start: &Start) {
        let busy = Span(RUN.0 / 2 + self.numbers.below(RUN.0));
        let Work::Events(events) = &start.work else { return };
        let done = EventResult { verdict: Ok(Body::default()), emits: Vec::new() };
        let results = vec![done; events.len()];
        let usage = Usage { busy, waiting: Span::ZERO, memory_bytes_peak: 1 << 20 };
        let outcome = Outcome { results, reads: Vec::new(), writes: Vec::new(), usage };
        self.plan(self.now.after(busy), Input::Finished(start.invocation, outcome));
    }
}
