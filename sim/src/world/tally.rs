//! What is counted while the world runs. `conclude` makes a result of it. - `nodes`: of parts and of queues.

mod nodes;

use std::collections::BTreeMap;

use flyball_core::{Engine, FailureKind, LimitName, LimitStatus, Name, Span, Time};

use super::{
    BEGINNING,
    gateway::TurnedAway,
    looks::{Groups, Look},
    store::Store,
};
use crate::{
    dependency::{Answer, Counts, Dependency},
    measure::{GaugeSeries, Histogram, Series},
    message::{FunctionNo, Part, TenantNo, Throttle, Verdict},
    plan::{DependencyNo, Plan},
    result::{Ended, SLOTS_MAX},
    used::{CameBack, Used},
};

/// Messages are paid for by chunks of so many bytes: rows `chunk_bytes` of the prices.
pub(crate) const CHUNK_BYTES: u32 = 65_536;

/// Why a try came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    ClientTimeout,
    GatewayTimeout,
    Throttled,
    Failed(FailureKind),
    Refused(&'static str),
}

impl Trouble {
    pub(super) fn of(verdict: &Verdict) -> Trouble {
        match verdict {
            Verdict::Failed(kind) => Trouble::Failed(*kind),
            Verdict::Throttled(_) => Trouble::Throttled,
            Verdict::Refused(code) => Trouble::Refused(code),
            Verdict::Done | Verdict::Partly(_) => Trouble::Failed(FailureKind::InvalidResponse),
        }
    }

    /// As a result names it.
    pub(crate) fn name(self) -> String {
        match self {
            Trouble::ClientTimeout => "caller gave up".into(),
            Trouble::GatewayTimeout => "gateway timeout".into(),
            Trouble::Throttled => "throttled".into(),
            Trouble::Failed(kind) => failure_name(kind).into(),
            Trouble::Refused(code) => code.into(),
        }
    }
}

/// A kind of failure in words.
pub(crate) fn failure_name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Retry => "error",
        FailureKind::Permanent => "permanent error",
        FailureKind::Trap => "trap",
        FailureKind::Timeout => "timeout",
        FailureKind::OutOfMemory => "out of memory",
        FailureKind::InvalidResponse => "invalid response",
        FailureKind::NotStarted => "not started",
        FailureKind::Lost => "lost",
        FailureKind::NotRun => "not run",
        FailureKind::LimitExceeded => "limit exceeded",
        FailureKind::Conflict => "conflict",
        FailureKind::HopLimit => "hop limit",
        FailureKind::NoQueue => "no queue",
        FailureKind::Crashed => "crashed",
    }
}

/// A source's books.
#[derive(Debug)]
pub(crate) struct SourceTally {
    pub arrivals: u64,
    pub requests: u64,
    pub retries: u64,
    pub answered: u64,
    pub failed: u64,
    pub timeouts: u64,
    /// Tries that a limit refused, by the limit's name.
    pub refused: BTreeMap<String, u64>,
    /// What the gateway did not let in.
    pub turned_away: TurnedAway,
    /// Retries that the budget let be.
    pub let_be: u64,
    /// At the end: requests still open that are younger than the slowest answer.
    pub open_lately: u64,
    pub troubles: BTreeMap<Trouble, u64>,
    /// Added up when the run is over.
    pub latency: Histogram,
    pub arrivals_over: Series<u64>,
    pub requests_over: Series<u64>,
    pub answered_over: Series<u64>,
    pub errors_over: Series<u64>,
    pub latency_over: Series<Histogram>,
    /// When a gateway first gave up.
    pub first_gateway: Option<Time>,
    /// When the first request got no good answer in the end.
    pub first_failed: Option<Time>,
}

/// A function's books.
#[derive(Debug)]
pub(crate) struct FunctionTally {
    pub runs: u64,
    pub succeeded: u64,
    pub items: u64,
    pub failed: BTreeMap<FailureKind, u64>,
    pub partly: u64,
    pub throttled: BTreeMap<String, u64>,
    /// Starts that a limit put off: how many, and when the first was.
    pub waited_for: BTreeMap<LimitName, (u64, Time)>,
    pub cold_starts: u64,
    /// Environments that were replaced because of their age.
    pub recycled: u64,
    pub init: Histogram,
    pub duration: Histogram,
    pub billed_micros: u64,
    /// Of that, what runs took that failed, or that were for nobody.
    pub wasted_micros: u64,
    /// Runs in provisioned environments, and what is billed of them.
    pub provisioned_runs: u64,
    pub provisioned_micros: u64,
    pub attempts_peak: u64,
    /// Runs that ended well, for nobody.
    pub orphans: u64,
    pub memory_peak_mb: f64,
    /// Added up when the run is over.
    pub dwell: Histogram,
    pub dwell_over: Series<Histogram>,
    pub running: u32,
    pub concurrency: GaugeSeries,
    pub environments: GaugeSeries,
    pub runs_over: Series<u64>,
    pub failed_over: Series<u64>,
    pub throttled_over: Series<u64>,
    pub cold_over: Series<u64>,
    pub first_throttled: Option<Time>,
}

/// The books of a queue, or of another node.
#[derive(Debug)]
pub(crate) struct NodeTally {
    pub label: String,
    pub parking: bool,
    pub entered: u64,
    /// What came in, in chunks of [`CHUNK_BYTES`].
    pub entered_chunks: u64,
    pub entered_bytes: u64,
    pub left: u64,
    pub backlog: u64,
    /// Deliveries of messages that are over, and how many of these were delivered more than once.
    pub receives: u64,
    pub handled_again: u64,
    /// The age of the oldest, seconds, as it was looked at.
    pub oldest_over: GaugeSeries,
    pub dead: BTreeMap<String, u64>,
    pub dropped: BTreeMap<String, u64>,
    pub backlog_over: GaugeSeries,
    pub entered_over: Series<u64>,
    pub left_over: Series<u64>,
    pub dead_over: Series<u64>,
    /// From the event's arrival at its source to its being over here.
    pub to_end: Histogram,
    pub first_dead: Option<Time>,
    pub first_dropped: Option<Time>,
}

/// A dependency's books that it does not keep itself.
#[derive(Debug)]
pub(crate) struct DependencyTally {
    /// The dependency's own.
    pub counts: Counts,
    /// Callers that got a good answer.
    pub answered: u64,
    pub connections: GaugeSeries,
    pub in_service: GaugeSeries,
    pub waiting: GaugeSeries,
    /// Added up when the run is over.
    pub latency: Histogram,
    pub latency_over: Series<Histogram>,
    pub first_refused: Option<Time>,
    /// Calls that waited for a server.
    pub waited: u64,
}

/// A tenant's books: there may be many.
#[derive(Debug, Default, Clone)]
pub(crate) struct TenantTally {
    pub arrivals: u64,
    pub throttled: u64,
    pub errors: u64,
    pub dead: u64,
    pub runs_micros: u64,
    pub dwell: Histogram,
}

/// All books.
#[derive(Debug)]
pub(crate) struct Tally {
    pub now: Time,
    pub steps: u64,
    pub happenings: u64,
    pub sources: Vec<SourceTally>,
    pub functions: Vec<FunctionTally>,
    pub nodes: Vec<NodeTally>,
    /// Queues of the engine are nodes after those of the plan.
    pub queues: BTreeMap<Name, usize>,
    pub dependencies: Vec<DependencyTally>,
    pub tenants: Vec<TenantTally>,
    pub running: u32,
    pub concurrency: GaugeSeries,
    pub throttled_over: Series<u64>,
    /// Added up when the run is over.
    pub dwell: Histogram,
    pub dwell_over: Series<Histogram>,
    pub limits: Vec<LimitStatus>,
    /// Of each of the plan's nodes: what it used of its limits, and what came back to it.
    pub used: Vec<(Vec<Used>, CameBack)>,
    pub commits: u64,
    pub groups: u64,
    /// How long the store was at work.
    pub store_micros: u64,
    pub ended: Ended,
    /// What was seen at the end of each slot.
    pub looks: Vec<Look>,
    pub groups_of_tenants: Groups,
}

/// What is paid for of a run. Lambda bills by the millisecond, INIT too.
fn billed(lasted: Span, init: Option<Span>) -> u64 {
    lasted.0.saturating_add(init.map_or(0, |init| init.0)).div_ceil(1_000).saturating_mul(1_000)
}

impl NodeTally {
    /// A message is over that was delivered so often; 0 where that is not counted.
    fn delivered(&mut self, receives: u16) {
        self.receives += u64::from(receives.max(1));
        self.handled_again += u64::from(receives > 1);
    }
}

/// How series of this run are made.
#[derive(Debug, Clone, Copy)]
struct Over {
    duration: Span,
}

impl Over {
    fn series<T: crate::measure::Slot>(self) -> Series<T> {
        Series::for_run(BEGINNING, self.duration, SLOTS_MAX)
    }

    fn gauge(self) -> GaugeSeries {
        GaugeSeries::for_run(BEGINNING, self.duration, SLOTS_MAX)
    }

    fn node(self, label: String, parking: bool) -> NodeTally {
        NodeTally {
            label,
            parking,
            entered: 0,
            entered_chunks: 0,
            entered_bytes: 0,
            left: 0,
            backlog: 0,
            receives: 0,
            handled_again: 0,
            oldest_over: self.gauge(),
            dead: BTreeMap::new(),
            dropped: BTreeMap::new(),
            backlog_over: self.gauge(),
            entered_over: self.series(),
            left_over: self.series(),
            dead_over: self.series(),
            to_end: Histogram::new(),
            first_dead: None,
            first_dropped: None,
        }
    }

    fn dependency(self) -> DependencyTally {
        DependencyTally {
            counts: Counts::default(),
            answered: 0,
            connections: self.gauge(),
            in_service: self.gauge(),
            waiting: self.gauge(),
            latency: Histogram::new(),
            latency_over: self.series(),
            first_refused: None,
            waited: 0,
        }
    }

    fn source(self) -> SourceTally {
        SourceTally {
            arrivals: 0,
            requests: 0,
            retries: 0,
            answered: 0,
            failed: 0,
            timeouts: 0,
            refused: BTreeMap::new(),
            turned_away: TurnedAway::default(),
            let_be: 0,
            open_lately: 0,
            troubles: BTreeMap::new(),
            latency: Histogram::new(),
            arrivals_over: self.series(),
            requests_over: self.series(),
            answered_over: self.series(),
            errors_over: self.series(),
            latency_over: self.series(),
            first_gateway: None,
            first_failed: None,
        }
    }

    fn function(self) -> FunctionTally {
        FunctionTally {
            runs: 0,
            succeeded: 0,
            items: 0,
            failed: BTreeMap::new(),
            partly: 0,
            throttled: BTreeMap::new(),
            waited_for: BTreeMap::new(),
            cold_starts: 0,
            recycled: 0,
            init: Histogram::new(),
            duration: Histogram::new(),
            billed_micros: 0,
            provisioned_runs: 0,
            provisioned_micros: 0,
            wasted_micros: 0,
            attempts_peak: 0,
            orphans: 0,
            memory_peak_mb: 0.0,
            dwell: Histogram::new(),
            dwell_over: self.series(),
            running: 0,
            concurrency: self.gauge(),
            environments: self.gauge(),
            runs_over: self.series(),
            failed_over: self.series(),
            throttled_over: self.series(),
            cold_over: self.series(),
            first_throttled: None,
        }
    }
}

impl Tally {
    pub(super) fn new(plan: &Plan) -> Tally {
        let over = Over { duration: plan.duration };
        let mut nodes: Vec<NodeTally> =
            plan.nodes.iter().map(|node| over.node(node.label.clone(), node.is_parking())).collect();
        let mut queues = BTreeMap::new();
        if plan.platform == crate::plan::Platform::Flyball {
            for name in plan.application.all_queues().into_keys() {
                nodes.push(over.node(name.to_string(), false));
                queues.insert(name, nodes.len() - 1);
            }
        }
        Tally {
            now: BEGINNING,
            steps: 0,
            happenings: 0,
            sources: plan.sources.iter().map(|_| over.source()).collect(),
            functions: plan.functions.iter().map(|_| over.function()).collect(),
            nodes,
            queues,
            dependencies: plan.dependencies.iter().map(|_| over.dependency()).collect(),
            tenants: vec![TenantTally::default(); plan.tenants.len()],
            running: 0,
            concurrency: over.gauge(),
            throttled_over: over.series(),
            dwell: Histogram::new(),
            dwell_over: over.series(),
            limits: Vec::new(),
            used: Vec::new(),
            commits: 0,
            groups: 0,
            store_micros: 0,
            ended: Ended::Complete,
            looks: Vec::new(),
            groups_of_tenants: Groups::new(plan),
        }
    }

    fn tenant(&mut self, tenant: TenantNo) -> Option<&mut TenantTally> {
        self.tenants.get_mut(tenant.0 as usize)
    }

    pub(super) fn arrival(&mut self, now: Time, source: u32, tenant: TenantNo) {
        if let Some(books) = self.sources.get_mut(source as usize) {
            books.arrivals += 1;
            books.arrivals_over.update(now, |slot| *slot += 1);
        }
        if let Some(books) = self.tenant(tenant) {
            books.arrivals += 1;
        }
        self.groups_of_tenants.arrival(now, tenant);
    }

    /// A try of a client.
    pub(super) fn attempt(&mut self, now: Time, source: u32, tries: u32) {
        if let Some(books) = self.sources.get_mut(source as usize) {
            books.requests += 1;
            books.retries += u64::from(tries > 1);
            books.requests_over.update(now, |slot| *slot += 1);
        }
    }

    /// A message was handed over; nobody waits for more.
    pub(super) fn accepted(&mut self, now: Time, source: u32) {
        self.attempt(now, source, 1);
        self.answered(now, source, Span::ZERO);
    }

    pub(super) fn answered(&mut self, now: Time, source: u32, took: Span) {
        if let Some(books) = self.sources.get_mut(source as usize) {
            books.answered += 1;
            books.answered_over.update(now, |slot| *slot += 1);
            books.latency_over.update(now, |slot| slot.record(took));
        }
    }

    pub(super) fn try_failed(&mut self, now: Time, source: u32, trouble: Trouble) {
        if let Some(books) = self.sources.get_mut(source as usize) {
            *books.troubles.entry(trouble).or_insert(0) += 1;
            books.timeouts += u64::from(trouble == Trouble::ClientTimeout);
            if trouble == Trouble::GatewayTimeout {
                books.first_gateway.get_or_insert(now);
            }
            books.errors_over.update(now, |slot| *slot += 1);
        }
    }

    pub(super) fn failed(&mut self, now: Time, source: u32, tenant: TenantNo, _trouble: Trouble) {
        if let Some(books) = self.sources.get_mut(source as usize) {
            books.failed += 1;
            books.first_failed.get_or_insert(now);
        }
        if let Some(books) = self.tenant(tenant) {
            books.errors += 1;
        }
    }

    /// A try was refused by a limit.
    pub(super) fn refused(&mut self, source: u32, limit: &Throttle) {
        if let Some(books) = self.sources.get_mut(source as usize) {
            *books.refused.entry(limit.to_string()).or_insert(0) += 1;
        }
    }

    pub(super) fn throttled(&mut self, now: Time, function: FunctionNo, tenant: TenantNo, limit: &Throttle) {
        if let Some(books) = self.functions.get_mut(function.0 as usize) {
            *books.throttled.entry(limit.to_string()).or_insert(0) += 1;
            books.throttled_over.update(now, |slot| *slot += 1);
            books.first_throttled.get_or_insert(now);
        }
        self.throttled_over.update(now, |slot| *slot += 1);
        if let Some(books) = self.tenant(tenant) {
            books.throttled += 1;
        }
    }

    /// An event or call begins to run.
    pub(super) fn started_item(
        &mut self,
        now: Time,
        (function, tenant): (FunctionNo, TenantNo),
        dwell: Span,
        attempt: u16,
        waited_for: Option<&LimitName>,
    ) {
        if let Some(books) = self.functions.get_mut(function.0 as usize) {
            books.dwell_over.update(now, |slot| slot.record(dwell));
            books.attempts_peak = books.attempts_peak.max(u64::from(attempt));
            if let Some(limit) = waited_for {
                match books.waited_for.get_mut(limit) {
                    Some((count, _)) => *count += 1,
                    None => {
                        books.waited_for.insert(limit.clone(), (1, now));
                    }
                }
            }
        }
        self.tenant_waited(now, tenant, dwell);
    }

    pub(super) fn tenant_waited(&mut self, now: Time, tenant: TenantNo, dwell: Span) {
        if let Some(books) = self.tenant(tenant) {
            books.dwell.record(dwell);
        }
        self.groups_of_tenants.started(now, tenant, dwell);
    }

    pub(super) fn run_began(&mut self, now: Time, function: FunctionNo, items: usize, cold: Option<Span>) {
        self.running += 1;
        self.concurrency.set(now, f64::from(self.running));
        let Some(books) = self.functions.get_mut(function.0 as usize) else { return };
        books.runs += 1;
        books.items += items as u64;
        books.running += 1;
        books.concurrency.set(now, f64::from(books.running));
        books.runs_over.update(now, |slot| *slot += 1);
        if let Some(init) = cold {
            books.cold_starts += 1;
            books.init.record(init);
            books.cold_over.update(now, |slot| *slot += 1);
        }
    }

    pub(super) fn run_ended(
        &mut self,
        now: Time,
        function: FunctionNo,
        tenant: TenantNo,
        lasted: Span,
        init: Option<Span>,
        verdict: &Verdict,
    ) {
        self.running = self.running.saturating_sub(1);
        self.concurrency.set(now, f64::from(self.running));
        if let Some(books) = self.tenant(tenant) {
            books.runs_micros = books.runs_micros.saturating_add(lasted.0);
        }
        let Some(books) = self.functions.get_mut(function.0 as usize) else { return };
        books.running = books.running.saturating_sub(1);
        books.concurrency.set(now, f64::from(books.running));
        books.duration.record(lasted);
        let billed = billed(lasted, init);
        books.billed_micros = books.billed_micros.saturating_add(billed);
        match verdict {
            Verdict::Done => books.succeeded += 1,
            Verdict::Partly(_) => books.partly += 1,
            Verdict::Failed(kind) => {
                *books.failed.entry(*kind).or_insert(0) += 1;
                books.failed_over.update(now, |slot| *slot += 1);
                books.wasted_micros = books.wasted_micros.saturating_add(billed);
            }
            Verdict::Throttled(_) | Verdict::Refused(_) => {}
        }
    }

    /// How old the oldest messages are: of parts, and of the engine's queues.
    pub(super) fn oldest(&mut self, at: Time, parts: &[Option<Time>], queues: &BTreeMap<&Name, Time>) {
        let age = |came: Option<Time>| came.map_or(0.0, |came| at.since(came).0 as f64 / 1e6);
        // Of the slot that ends there.
        let within = Time(at.0.saturating_sub(1));
        for (books, came) in self.nodes.iter_mut().zip(parts) {
            books.oldest_over.set(within, age(*came));
        }
        for (name, place) in &self.queues {
            if let Some(books) = self.nodes.get_mut(*place) {
                books.oldest_over.set(within, age(queues.get(name).copied()));
            }
        }
    }

    /// A run ended well, and nobody waits for it.
    pub(super) fn run_wasted(&mut self, function: FunctionNo, lasted: Span, init: Option<Span>) {
        if let Some(books) = self.functions.get_mut(function.0 as usize) {
            books.orphans += 1;
            books.wasted_micros = books.wasted_micros.saturating_add(billed(lasted, init));
        }
    }

    pub(super) fn recycled(&mut self, function: FunctionNo) {
        if let Some(books) = self.functions.get_mut(function.0 as usize) {
            books.recycled += 1;
        }
    }

    /// A run has ended that is billed as one of provisioned concurrency. It counts as a run too.
    pub(super) fn ran_provisioned(&mut self, function: FunctionNo, lasted: Span) {
        if let Some(books) = self.functions.get_mut(function.0 as usize) {
            books.provisioned_runs += 1;
            let billed = lasted.0.div_ceil(1_000) * 1_000;
            books.provisioned_micros = books.provisioned_micros.saturating_add(billed);
        }
    }

    pub(super) fn environments(&mut self, now: Time, function: FunctionNo, living: u32) {
        if let Some(books) = self.functions.get_mut(function.0 as usize) {
            books.environments.set(now, f64::from(living));
        }
    }

    /// How a dependency stands: connections, calls in work, calls waiting.
    pub(super) fn dependency(&mut self, now: Time, dependency: DependencyNo, stands: (u32, u32, u32)) {
        if let Some(books) = self.dependencies.get_mut(dependency.0 as usize) {
            books.connections.set(now, f64::from(stands.0));
            books.in_service.set(now, f64::from(stands.1));
            books.waiting.set(now, f64::from(stands.2));
        }
    }

    pub(super) fn dependency_answered(
        &mut self,
        now: Time,
        dependency: DependencyNo,
        took: Span,
        answer: Answer,
    ) {
        if let Some(books) = self.dependencies.get_mut(dependency.0 as usize) {
            books.answered += u64::from(matches!(answer, Answer::Done | Answer::Duplicate));
            books.latency_over.update(now, |slot| slot.record(took));
        }
    }

    /// A call waits for a server.
    pub(super) fn dependency_waits(&mut self, dependency: DependencyNo) {
        if let Some(books) = self.dependencies.get_mut(dependency.0 as usize) {
            books.waited += 1;
        }
    }

    pub(super) fn dependency_refused(&mut self, now: Time, dependency: DependencyNo) {
        if let Some(books) = self.dependencies.get_mut(dependency.0 as usize) {
            books.first_refused.get_or_insert(now);
        }
    }

    /// An environment got no connections.
    pub(super) fn no_connection(&mut self, now: Time, dependency: DependencyNo) {
        self.dependency_refused(now, dependency);
    }

    /// The nodes' books are closed; what can be asked of the engine is asked.
    pub(super) fn finish(
        &mut self,
        now: Time,
        engine: &Engine,
        parts: &[Box<dyn Part>],
        dependencies: &[Dependency],
        store: &Store,
    ) {
        self.now = now;
        self.limits = engine.limits(0);
        self.used = parts.iter().map(|part| (part.used(), part.came_back())).collect();
        (self.commits, self.groups, self.store_micros) = (store.commits, store.groups, store.busy_micros);
        for (node, part) in self.nodes.iter_mut().zip(parts) {
            node.backlog = part.waiting() + part.in_flight();
        }
        for (books, dependency) in self.dependencies.iter_mut().zip(dependencies) {
            books.counts = dependency.counts();
        }
        self.close(now);
    }

    fn close(&mut self, now: Time) {
        self.concurrency.close(now);
        self.throttled_over.close(now);
        self.dwell_over.close(now);
        self.groups_of_tenants.close(now);
        for source in &mut self.sources {
            source.arrivals_over.close(now);
            source.requests_over.close(now);
            source.answered_over.close(now);
            source.errors_over.close(now);
            source.latency_over.close(now);
        }
        for function in &mut self.functions {
            function.concurrency.close(now);
            function.environments.close(now);
            function.runs_over.close(now);
            function.failed_over.close(now);
            function.throttled_over.close(now);
            function.cold_over.close(now);
            function.dwell_over.close(now);
        }
        for node in &mut self.nodes {
            node.backlog_over.close(now);
            node.oldest_over.close(now);
            node.entered_over.close(now);
            node.left_over.close(now);
            node.dead_over.close(now);
        }
        for dependency in &mut self.dependencies {
            dependency.connections.close(now);
            dependency.in_service.close(now);
            dependency.waiting.close(now);
            dependency.latency_over.close(now);
        }
        self.add_up();
    }

    /// What was counted once, by slot, for the whole of it too.
    fn add_up(&mut self) {
        for function in &mut self.functions {
            function.dwell = function.dwell_over.total();
            self.dwell.merge(&function.dwell);
            self.dwell_over.add(&function.dwell_over);
        }
        for source in &mut self.sources {
            source.latency = source.latency_over.total();
        }
        for dependency in &mut self.dependencies {
            dependency.latency = dependency.latency_over.total();
        }
    }
}
