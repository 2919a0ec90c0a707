//! What happened, in bounded memory: counters, histograms, a journal of events for `trace`, and what
//! functions log. It hears [`Note`]s; nothing depends on it.

mod histogram;
mod journal;
mod logs;
mod prometheus;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use flyball_core::{EventId, Name, Note, Span, TenantId, Time, invocation::LogLevel};

pub use histogram::Histogram;
pub use journal::{EventTrace, RunTrace, Verdict};
pub use logs::{LINES_PER_TENANT_MAX, LogLine};
pub use prometheus::Exposition;

use crate::lane::locked;
use journal::Journal;
use logs::Logs;

/// Tenants that have a dwell histogram of their own; later ones share one.
const TENANT_HISTOGRAMS_MAX: usize = 1_000;

/// What is counted of one function.
#[derive(Debug, Clone, Default)]
pub struct FunctionFigures {
    /// Invocations ended.
    pub invocations: u64,
    /// Events and calls that succeeded.
    pub done: u64,
    /// Events that found a stale read.
    pub conflicts: u64,
    /// From ready to started.
    pub dwell: Histogram,
    /// Processor time and host waiting of an invocation.
    pub run: Histogram,
    /// The most memory of any invocation, bytes.
    pub memory_bytes_peak: u64,
    /// Microsecond × 64 KiB page, over all invocations.
    pub cost: u64,
}

/// What is counted of one tenant.
#[derive(Debug, Clone, Default)]
pub struct TenantFigures {
    /// Events accepted.
    pub accepted: u64,
    /// Events and calls started.
    pub started: u64,
    /// Events and calls that succeeded.
    pub done: u64,
    /// Runs that failed and were tried again.
    pub retried: u64,
    /// Events that died, and calls that failed.
    pub dead: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests that found their key known.
    pub duplicates: u64,
    /// Starts that had waited for a limit.
    pub throttled: u64,
    /// Microsecond × 64 KiB page, over all invocations.
    pub cost: u64,
    /// From ready to started.
    pub dwell: Option<Box<Histogram>>,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Figures {
    /// By function.
    pub functions: BTreeMap<Name, FunctionFigures>,
    /// By tenant.
    pub tenants: HashMap<TenantId, TenantFigures>,
    /// Dwell of tenants beyond those that have a histogram of their own.
    pub others_dwell: Histogram,
    /// Refusals, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Failures of runs, by code.
    pub failed: BTreeMap<&'static str, u64>,
    /// Starts that had waited for a limit, by what it limits.
    pub throttled: BTreeMap<String, u64>,
    /// Events that found no rule or subscriber.
    pub unrouted: u64,
    /// Groups committed.
    pub groups: u64,
    /// Batches in them.
    pub batches: u64,
    histograms: usize,
}

/// See the module's text.
#[derive(Debug)]
pub struct Telemetry {
    figures: Mutex<Figures>,
    journal: Mutex<Journal>,
    logs: Mutex<Logs>,
}

impl Telemetry {
    /// With nothing counted. Traces are of the last `traced_events_max` events.
    pub fn new(traced_events_max: u32) -> Telemetry {
        Telemetry {
            figures: Mutex::default(),
            journal: Mutex::new(Journal::new(traced_events_max)),
            logs: Mutex::default(),
        }
    }

    /// Hears of what has happened.
    pub(crate) fn note<'a>(&self, notes: impl Iterator<Item = &'a Note> + Clone, now: Time) {
        // Most steps have none or few; the locks are taken once for all of them.
        let mut notes = notes.peekable();
        if notes.peek().is_none() {
            return;
        }
        let mut figures = locked(&self.figures);
        notes.clone().for_each(|note| figures.note(note));
        drop(figures);
        let mut journal = locked(&self.journal);
        notes.for_each(|note| journal.note(note, now));
    }

    /// A group was committed.
    pub(crate) fn committed(&self, batches: usize) {
        let mut figures = locked(&self.figures);
        figures.groups += 1;
        figures.batches += batches as u64;
    }

    /// A function has logged.
    pub(crate) fn log(
        &self,
        at: Time,
        tenant: TenantId,
        function: Name,
        event: EventId,
        level: LogLevel,
        message: String,
    ) {
        tracing::debug!(target: "flyball::function", tenant = tenant.0, %function, %event, ?level, message);
        locked(&self.logs).add(at, tenant, function, event, level, message);
    }

    /// Looks at what is counted.
    pub fn figures<T>(&self, look: impl FnOnce(&Figures) -> T) -> T {
        look(&locked(&self.figures))
    }

    /// Every event that is remembered of the flow that `id` belongs to, oldest first, if `tenant` is its.
    pub fn trace(&self, id: EventId) -> Vec<EventTrace> {
        locked(&self.journal).trace(id)
    }

    /// Log lines after the cursor, oldest first, `limit` at most; of one tenant, and of one function where
    /// it is named.
    pub fn logs(&self, tenant: TenantId, function: Option<&str>, after: u64, limit: usize) -> Vec<LogLine> {
        locked(&self.logs).after(tenant, function, after, limit)
    }
}

impl Figures {
    fn function(&mut self, name: &Name) -> &mut FunctionFigures {
        self.functions.entry(name.clone()).or_default()
    }

    fn tenant(&mut self, tenant: TenantId) -> &mut TenantFigures {
        // Bounded by the number of tenants: every note's tenant is registered.
        self.tenants.entry(tenant).or_default()
    }

    fn dwelt(&mut self, tenant: TenantId, dwell: Span) {
        let room = self.histograms < TENANT_HISTOGRAMS_MAX;
        let figures = self.tenants.entry(tenant).or_default();
        match &mut figures.dwell {
            Some(own) => own.add(dwell.0),
            None if room => {
                self.histograms += 1;
                figures.dwell.insert(Box::default()).add(dwell.0);
            }
            None => self.others_dwell.add(dwell.0),
        }
    }

    fn note(&mut self, note: &Note) {
        match note {
            Note::Accepted { tenant, .. } => self.tenant(*tenant).accepted += 1,
            Note::Started { tenant, function, dwell, waited_for, .. } => {
                self.function(function).dwell.add(dwell.0);
                self.dwelt(*tenant, *dwell);
                let figures = self.tenant(*tenant);
                figures.started += 1;
                if let Some(limit) = waited_for {
                    figures.throttled += 1;
                    // By level only: names of tenants would be too many.
                    *self.throttled.entry(prometheus::level_name(&limit.level).to_string()).or_default() += 1;
                }
            }
            Note::Done { tenant, function, .. } => {
                self.function(function).done += 1;
                self.tenant(*tenant).done += 1;
            }
            Note::Retrying { tenant, failure, .. } => {
                *self.failed.entry(failure.kind.code()).or_default() += 1;
                self.tenant(*tenant).retried += 1;
            }
            Note::Dead { tenant, failure, .. } => {
                *self.failed.entry(failure.kind.code()).or_default() += 1;
                self.tenant(*tenant).dead += 1;
            }
            Note::Duplicate { tenant, .. } => self.tenant(*tenant).duplicates += 1,
            Note::Conflict { function, .. } => self.function(function).conflicts += 1,
            Note::Refused { tenant, refusal } => {
                *self.refused.entry(refusal.code()).or_default() += 1;
                self.tenant(*tenant).refused += 1;
            }
            Note::Unrouted { .. } => self.unrouted += 1,
            Note::Ended { tenant, function, usage, .. } => {
                let cost = usage.cost();
                let figures = self.function(function);
                figures.invocations += 1;
                figures.run.add(usage.busy.0 + usage.waiting.0);
                figures.memory_bytes_peak = figures.memory_bytes_peak.max(usage.memory_bytes_peak);
                figures.cost = figures.cost.saturating_add(cost);
                let figures = self.tenant(*tenant);
                figures.cost = figures.cost.saturating_add(cost);
            }
        }
    }
}
