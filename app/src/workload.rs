//! A workload: what comes in, what functions do with it, what they depend on, what is expected.
//!
//! What no application file says and a simulation needs. Only what is known is stated; everything else is assumed,
//! and whoever assumes says so. Names are those of the design: a function's, queue's or entrance's logical id.
//!
//! - [`Workload`]: a whole file. - [`Source`]: traffic. - [`Behaviour`], [`Step`]: functions as steps.
//! - [`Dependency`]: databases and services. - [`Lasting`]: how long something takes. - [`Expect`]: promises.

pub mod faults;
mod file;
pub mod observed;
pub mod trace;

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::{Name, Span};

pub use file::{
    ACTS_PER_RUN_MAX, Assumed, DAYS_MAX, DEPENDENCIES_MAX, FILTERS_MAX, FUNCTIONS_MAX, ITEMS_MAX,
    MEASURED_MAX, PER_SECOND_MAX, POINTS_MAX, PROMISES_MAX, REPEATS_MAX, Read, SOURCES_MAX, STEPS_DEEP_MAX,
    STEPS_MAX, TENANTS_MAX, USERS_MAX, json_schema, read,
};

/// A traffic file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workload {
    /// How much time is simulated. `None`: an hour, or as long as the traces are. Traffic that has days and no traces:
    /// one of them.
    pub duration: Option<Span>,
    /// `[traffic.NAME]`.
    pub traffic: BTreeMap<Name, Source>,
    /// `[function.NAME]`, by the function's name.
    pub functions: BTreeMap<String, Behaviour>,
    /// `[dependency.NAME]`.
    pub dependencies: BTreeMap<Name, Dependency>,
    /// `[filter.FROM]`: which share of what comes from a node passes the filter or pattern before another, 0 to 1.
    pub filters: BTreeMap<String, BTreeMap<String, f64>>,
    /// `[environments]`: what is known of the platform that the functions run on.
    pub environments: Environments,
    /// `[store]`: what is known of Flyball's own store.
    pub store: Store,
    /// `[real]`: what functions that are run, not modelled, get to see.
    pub real: Real,
    /// `[[expect]]`. Empty: the default promises.
    pub expects: Vec<Expect>,
    /// `[[assert]]`: what must hold of outcomes and key-value data, whatever fails.
    pub asserts: Vec<Assert>,
    /// What the file leaves out and a value was taken for, in the order of the keys.
    pub assumed: Vec<Assumed>,
}

/// Traffic that comes in at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Where it comes in: a node of the design by its name, or a route (`GET /tiles`). `None`: the node that has the
    /// source's own name.
    pub to: Option<String>,
    /// How much.
    pub volume: Volume,
    /// How the rate changes over time: factors of the peak.
    pub shape: Shape,
    /// How arrivals lie within the rate.
    pub arrivals: Arrivals,
    /// When it begins, after the simulation's own beginning.
    pub from: Span,
    /// When it ends. `None`: with the simulation.
    pub until: Option<Span>,
    /// It ends after so many events. `None`: no such end.
    pub events_max: Option<u64>,
    /// Whose it is.
    pub tenants: Tenants,
    /// The size of one event, bytes.
    pub event_bytes: u64,
    /// Items in one event: functions may have steps for each.
    pub items: u32,
    /// Who sends, and what they do when no answer comes.
    pub client: Client,
    /// `false`: a load line leaves it as it is.
    pub scaled: bool,
    /// Each series of its trace is a function of its own: [`trace::application`]. Whoever reads the traffic file makes
    /// them.
    pub as_functions: bool,
}

/// How much traffic there is.
#[derive(Debug, Clone, PartialEq)]
pub enum Volume {
    /// Events a second at the peak, whether or not those before were answered.
    PerSecond(f64),
    /// Users that send, wait for the answer, think, and send again.
    Users {
        /// How many.
        count: u32,
        /// How long each thinks.
        think: Lasting,
    },
    /// Arrivals as somebody recorded them, in files that are not read yet: whoever reads the traffic file reads them
    /// by [`trace`] and puts [`Volume::Recorded`] in its place.
    Trace(TraceFiles),
    /// Arrivals as somebody recorded them.
    Recorded(Recorded),
}

/// Files of recorded arrivals, as a traffic file names them: relative to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFiles {
    /// What kind they are. `None`: told by the first line.
    pub format: Option<trace::Format>,
    /// Arrivals.
    pub arrivals: String,
    /// Durations of functions, where the format has a file of them.
    pub durations: Option<String>,
    /// Memory of applications, where the format has a file of it.
    pub memory: Option<String>,
}

/// A trace, as read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recorded {
    /// Such as `azure2019: 1,000 functions, 1,440 minutes`.
    pub what: String,
    /// Counts in slots of equal length, beginning at zero.
    pub slot: Span,
    /// Events in each slot, of each series.
    pub series: Vec<Series>,
}

/// One series of a trace: a function's, an application's or a tenant's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// What it is called.
    pub name: String,
    /// Events in each slot.
    pub counts: Vec<u32>,
    /// The moment of each, ascending, where the trace says; as many as `counts` add up to. Empty: only the counts are
    /// known.
    pub moments: Vec<Span>,
    /// What one takes, where the trace says.
    pub duration: Option<Lasting>,
    /// What a new environment takes before its first run, where the trace says.
    pub init: Option<Lasting>,
    /// The memory that it has, mebibytes, where the trace says.
    pub memory_mb: Option<f64>,
}

/// How the rate changes. Days and points go by the simulation's time, whenever the source begins; a ramp by the
/// source's own.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Shape {
    /// Not at all.
    #[default]
    Flat,
    /// A day: the peak at its middle, and the mean as far below as `peak_to_mean` says.
    Diurnal {
        /// 1 or more.
        peak_to_mean: f64,
        /// The length of the day. Default 24h.
        period: Span,
    },
    /// From one factor of the peak to another, in a straight line over the source's time.
    Ramp {
        /// At the beginning.
        from: f64,
        /// At the end.
        to: f64,
    },
    /// Points of time with the factor of the peak; straight lines between them, the last one stays.
    Points(Vec<(Span, f64)>),
}

/// How arrivals lie within the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Independent of one another.
    #[default]
    Poisson,
    /// At equal distances.
    Constant,
    /// So many at once; the bursts independent of one another.
    Bursts {
        /// Events in a burst; 1 or more.
        size: u32,
    },
}

/// Whose traffic it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Tenants {
    /// One tenant.
    One(Name),
    /// So many, `t1` to `tN`.
    Many {
        /// How many; 1 or more.
        count: u32,
        /// The exponent of Zipf's law: 0 for all alike, 1 for the second half as much as the first.
        zipf: f64,
    },
}

/// Who sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// It waits so long for an answer. `None`: for ever.
    pub timeout: Option<Span>,
    /// What it does when there is none, or an error.
    pub retry: Retry,
    /// Retries are at most this share of its first tries, percent, counted over the last ten seconds. `None`: no
    /// budget.
    pub retry_budget_percent: Option<f64>,
    /// Each event or call carries an idempotency key, the same at each try. Of Flyball; AWS's services take no
    /// notice.
    pub keyed: bool,
}

/// How often, and when, something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Retry {
    /// Tries after the first.
    pub times: u32,
    /// The wait before the first of them; it doubles each time.
    pub base: Span,
    /// The wait is never longer. Zero: as `base`.
    pub max: Span,
    /// Whether the wait is drawn from zero to what is said.
    pub jitter: bool,
}

/// What a function does and takes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Behaviour {
    /// What one run takes beyond its steps, or in all where there are none.
    pub duration: Option<Lasting>,
    /// What each item of a batch takes beyond that.
    pub per_item: Option<Lasting>,
    /// What a new environment takes before its first run.
    pub init: Option<Lasting>,
    /// The memory that a run uses, mebibytes.
    pub memory_mb: Option<f64>,
    /// The memory that each run leaves behind in its environment, mebibytes.
    pub leak_mb: f64,
    /// Runs (or items, where single failures are reported) that fail, 0 to 1.
    pub error_rate: f64,
    /// Steps, in their order. `None`: not stated; those that the design shows are assumed.
    pub steps: Option<Vec<Step>>,
}

/// A step of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// Once for each item of the batch, one after the other; else once for the run.
    pub per_item: bool,
    /// How likely it is done at all, 0 to 1.
    pub chance: f64,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Uses the processor, or sleeps.
    Compute(Lasting),
    /// Asks a dependency or another function, and waits.
    Call(Call),
    /// Sends events on: a queue, topic, bus, stream, bucket, or function (asynchronously).
    Emit(Emit),
    /// Steps that run side by side; all must end.
    Parallel(Vec<Step>),
    /// Adds one to a value of key-value data.
    Add(Add),
}

/// A call that is waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// A dependency, or a function.
    pub to: String,
    /// How many, one after the other.
    pub times: u32,
    /// The function waits so long. `None`: as long as it runs.
    pub timeout: Option<Span>,
    /// What it does when there is no answer, or an error.
    pub retry: Retry,
    /// Carries a key derived from the item, so that the second of two calls for one item is answered without work.
    pub keyed: bool,
    /// The run goes on though it failed; else the run (or the item) fails.
    pub optional: bool,
}

/// One more in a value of key-value data. On Flyball with the outcome, or not at all; on AWS at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// The namespace.
    pub to: Name,
    /// Which value.
    pub of: AddOf,
}

/// Which value of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddOf {
    /// The tenant's own.
    Tenant,
    /// That of the request which all of this came of.
    #[default]
    Request,
}

/// Events that are sent on.
#[derive(Debug, Clone, PartialEq)]
pub struct Emit {
    /// A node of the design.
    pub to: String,
    /// How many events.
    pub count: u32,
    /// The size of each, bytes. `None`: as large as what came.
    pub event_bytes: Option<u64>,
    /// How long each waits before it can be received.
    pub delay: Span,
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Lasting {
    /// Always the same.
    Constant(Span),
    /// Exponentially distributed.
    Exponential {
        /// Its mean.
        mean: Span,
    },
    /// Log-normally distributed, through two percentiles.
    Percentiles {
        /// Half take less.
        p50: Span,
        /// 99 of 100 take less; at least `p50`.
        p99: Span,
    },
    /// Percentiles (0 to 100, ascending) with their values; straight lines between them.
    Quantiles(Vec<(f64, Span)>),
    /// Values as measured: each is as likely.
    Measured(Vec<Span>),
}

/// A database or service that functions ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependency {
    /// How many it works on at once. `None`: on all.
    pub servers: Option<u32>,
    /// It works on all calls at once, and they share the servers: with more calls than servers each gets its part of
    /// a server, as the processors of a database do. Else those beyond the servers wait in their order.
    pub sharing: bool,
    /// Connections at most. `None`: no limit.
    pub connections_max: Option<u32>,
    /// Connections that each living environment holds, idle ones included. 0: none is held.
    pub pool: u32,
    /// What one call takes while nothing else is asked.
    pub service: Lasting,
    /// How that grows with what is worked on at once.
    pub growth: Growth,
    /// Calls beyond the servers, waiting or sharing; more are refused. `None`: no limit.
    pub waiting_max: Option<u32>,
    /// A call that has taken so long, waiting included, is broken off by the dependency itself.
    pub statement_timeout: Option<Span>,
    /// The work is broken off when the caller has gone.
    pub cancels: bool,
    /// It answers when the work has begun, not when it is over: jobs, workflows.
    pub answers_at_start: bool,
    /// Calls that fail, 0 to 1.
    pub error_rate: f64,
}

/// How the time of one call grows with concurrency.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Growth {
    /// Not at all.
    #[default]
    None,
    /// The universal scalability law: `1 + contention (n - 1) + coherency n (n - 1)` times the time alone.
    Scalability {
        /// Waiting for what only one can have, 0 to 1.
        contention: f64,
        /// Agreeing with one another.
        coherency: f64,
    },
    /// Concurrency (ascending) with the factor of the time alone; straight lines between them, the last one stays.
    Points(Vec<(u32, f64)>),
}

/// What is known of the platform's environments.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Environments {
    /// An environment that has been idle so long is removed. `None`: assumed.
    pub idle_max: Option<Span>,
    /// An environment is replaced at this age. `None`: assumed.
    pub age_max: Option<Span>,
    /// What INIT takes for functions that say nothing. `None`: assumed.
    pub init: Option<Lasting>,
}

/// What is known of Flyball's own store.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Store {
    /// What one group commit takes. `None`: assumed.
    pub commit: Option<Lasting>,
}

/// Instructions (units of fuel) of a real function that are one microsecond, where nothing says: `docs/performance.md`.
pub const FUEL_PER_US: u64 = 4_000;

/// What functions that are run, not modelled, get to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Real {
    /// Functions that are run though something is stated of them. Whoever runs them adds the others that it can run.
    pub functions: BTreeSet<String>,
    /// Instructions that are one microsecond. `None`: assumed.
    pub fuel_per_us: Option<u64>,
    /// Secrets, the same of every tenant.
    pub secrets: BTreeMap<String, String>,
    /// Dependencies by `HOST` or `HOST:PORT`.
    pub hosts: BTreeMap<String, String>,
    /// Dependencies that heed idempotency keys: the second request with one is answered without work.
    pub keyed: BTreeSet<String>,
    /// What the events of a source are, by the source's name.
    pub traffic: BTreeMap<Name, Sent>,
}

/// What a source sends. In texts, `{event}`, `{tenant}` and `{random}` stand for the event's number, the tenant's
/// name, and 64 hexadecimal digits that follow from the seed and the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Files, relative to the traffic file: each event is one of them. Empty: no body.
    pub bodies: Vec<String>,
    /// Of a route. Default `POST`.
    pub method: Option<String>,
    /// Of a route: path and query. Default: the route's own, with the tenant's name for `{tenant}`.
    pub path: Option<String>,
    /// Of a route.
    pub headers: BTreeMap<String, String>,
    /// CloudEvents `type`, of what is no route.
    pub kind: Option<String>,
    /// CloudEvents `datacontenttype`, of what is no route.
    pub content_type: Option<String>,
    /// The header that carries `sha256=` and the body's HMAC-SHA256.
    pub sign_header: Option<String>,
    /// The secret (of `secrets`) that it is made with.
    pub sign_secret: Option<String>,
}

/// A promise.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// Of what: a source, function, queue or dependency. `None`: of everything.
    pub of: Option<String>,
    /// What is measured.
    pub measure: Measure,
    /// It must not be more, in the measure's unit.
    pub max: f64,
    /// Where the file states it: `traffic.toml:7:1`. Empty: no file does.
    pub at: String,
}

/// What a promise is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Answers' time, milliseconds: half take less.
    LatencyP50,
    /// Answers' time, milliseconds: 95 of 100 take less.
    LatencyP95,
    /// Answers' time, milliseconds: 99 of 100 take less.
    LatencyP99,
    /// Time waiting before a run, milliseconds: 99 of 100 wait less.
    DwellP99,
    /// Synchronous requests that got no good answer, percent.
    ErrorsPercent,
    /// Invocations that were throttled, percent.
    ThrottledPercent,
    /// Events that were lost: expired, or deleted unsent.
    Dropped,
    /// Events in dead letters.
    DeadLetters,
    /// Events waiting at the end.
    Backlog,
    /// The backlog's growth over the last half, percent of what came in.
    BacklogGrowthPercent,
    /// Runs for each event of the source, or calls that a dependency took on.
    RunsPerEvent,
    /// US dollars a month.
    CostPerMonth,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 12] = [
        Measure::LatencyP50,
        Measure::LatencyP95,
        Measure::LatencyP99,
        Measure::DwellP99,
        Measure::ErrorsPercent,
        Measure::ThrottledPercent,
        Measure::Dropped,
        Measure::DeadLetters,
        Measure::Backlog,
        Measure::BacklogGrowthPercent,
        Measure::RunsPerEvent,
        Measure::CostPerMonth,
    ];

    /// Its name in a traffic file, with its unit.
    pub const fn key(self) -> &'static str {
        match self {
            Measure::LatencyP50 => "latency_p50_ms",
            Measure::LatencyP95 => "latency_p95_ms",
            Measure::LatencyP99 => "latency_p99_ms",
            Measure::DwellP99 => "dwell_p99_ms",
            Measure::ErrorsPercent => "errors_percent",
            Measure::ThrottledPercent => "throttled_percent",
            Measure::Dropped => "dropped_events",
            Measure::DeadLetters => "dead_letters",
            Measure::Backlog => "backlog_events",
            Measure::BacklogGrowthPercent => "backlog_growth_percent",
            Measure::RunsPerEvent => "runs_per_event",
            Measure::CostPerMonth => "cost_usd_per_month",
        }
    }
}

/// What must hold whatever fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Assert {
    /// In words.
    pub what: String,
    /// The function whose outcomes, or the namespace whose values, it is about.
    pub of: String,
    /// What must hold.
    pub holds: Holds,
    /// Where the file states it: `traffic.toml:7:1`. Empty: no file does.
    pub at: String,
}

/// What an [`Assert`] demands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Holds {
    /// Of each key (a function's event, a dependency's call), at most one took effect.
    AtMostOnce,
    /// Each accepted event is over at the end: done or in the dead letters.
    Settled,
    /// Each value of the namespace, read as a number, is at most this.
    ValueMax(f64),
}
