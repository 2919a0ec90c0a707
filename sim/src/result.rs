//! What a simulation says, as data: for the report, for JSON, for a comparison with another.
//!
//! - [`Simulation`]: all of one call of `simulate`. - [`RunResult`]: one run at one load.
//! - [`LoadLineResult`]: the search for the load at which a promise breaks. - [`FaultsResult`]: runs under faults.
//! - [`LimitResult`], [`PromiseResult`], [`Assumption`]: what all of them speak of.
//!
//! Units are in the names. Every number is finite. Lists have a fixed order and a stated bound; the same build, input
//! and seed give the same bytes.

mod faults;
mod line;
mod parts;
mod run;

pub use faults::{FaultCheck, FaultFailure, FaultStep, FaultsResult, TraceStep};
pub use line::{
    BaseRate, CurvePoint, Figures, LineVerdict, LoadLineResult, PartResult, Raising, Recovery, Sensitivity,
    Wall, WallSide,
};
pub use parts::{
    DependencyResult, DependencyTimes, FunctionResult, FunctionTimes, Leak, NodeResult, NodeTimes,
    SourceResult, SourceTimes,
};
pub use run::{
    About, CostResult, Ended, NamedValue, PlatformResult, PlatformTimes, Quantile, RunResult, ServiceCost,
    Starvation, StoreResult, TenantCost, TenantGroup, TenantResult, TenantsResult,
};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Values over time: one for each slot of [`RunResult::slot_s`], the same number in every series of a run, at most
/// [`SLOTS_MAX`]. Empty where nothing was measured.
pub type Series = Vec<f64>;

/// Slots of a series at most.
pub const SLOTS_MAX: usize = 240;
/// Tenants of which single figures are kept, at most.
pub const TENANTS_SHOWN_MAX: usize = 50;
/// Entries of every other list that grows with the traffic (broken events, traces), at most.
pub const ENTRIES_MAX: usize = 100;

/// The version of the document: it grows by keys, and this number only where one changes its meaning.
pub const VERSION: u32 = 1;

/// Everything that one call of `simulate` found. This is what `--format json` prints and what `--against` reads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "flyball simulate")]
pub struct Simulation {
    /// The version of this document.
    pub version: u32,
    /// The version of Flyball.
    pub flyball: String,
    /// The application, as in [`About::application`].
    pub application: String,
    /// The traffic as stated, at its own load. With a load line: its first seed at the factor 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunResult>,
    /// The load line, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_line: Option<LoadLineResult>,
    /// Runs under faults, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<FaultsResult>,
    /// What was taken for true though no file states it, the weightiest first.
    pub assumptions: Vec<Assumption>,
    /// Parts of the design that take no part in the simulation.
    pub unmodelled: Vec<Unmodelled>,
    /// What the traffic file states, in words, by its keys; values that are the default's are not among it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stated: BTreeMap<String, String>,
}

/// Percentiles of a duration or a wait.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Percentiles {
    /// How many were measured. Zero: all others are zero and mean nothing.
    pub count: u64,
    /// The mean, milliseconds.
    pub mean_ms: f64,
    /// Half take less, milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 take less, milliseconds.
    pub p95_ms: f64,
    /// 99 of 100 take less, milliseconds.
    pub p99_ms: f64,
    /// The longest, milliseconds.
    pub max_ms: f64,
}

/// How well a number is known.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The user's files state it.
    Stated,
    /// The very limit that `serve` enforces.
    Exact,
    /// Measured against `serve` on one machine.
    Calibrated,
    /// A published value with its source and date.
    Sourced,
    /// A published value that could not be verified.
    Unverified,
    /// Nobody states it: assumed.
    #[default]
    Assumed,
}

/// Where a limit stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The platform or account: everything shares it.
    #[default]
    Platform,
    /// One function.
    Function,
    /// One tenant, or each.
    Tenant,
    /// One function for one tenant.
    FunctionTenant,
    /// A queue, topic, bus, stream or an asynchronous queue.
    Node,
    /// A route, an API or another entrance.
    Entrance,
    /// A database or another service.
    Dependency,
    /// The store.
    Store,
}

/// A limit by its name, where it stands and its value: how other parts of a result point to one.
#[derive(Debug, Clone, PartialEq, PartialOrd, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LimitRef {
    /// In words: `concurrency`, `connections`, `messages in flight`, `timeout`.
    pub name: String,
    /// Where it stands.
    pub scope: Scope,
    /// The function, node, dependency or tenant; empty for the platform.
    pub of: String,
    /// Its value, in `unit`.
    pub value: f64,
    /// `environments`, `connections`, `requests/s`, `s`, `MB`, `bytes`, `messages`; empty for a bare number.
    pub unit: String,
}

/// A limit and how near the run came to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LimitResult {
    /// Which.
    #[serde(flatten)]
    pub limit: LimitRef,
    /// How well the value is known.
    pub basis: Basis,
    /// Where the value is from: a document with its date, or the file that states it.
    pub source: String,
    /// When the source said so: `2026-11`, or empty.
    pub date: String,
    /// It can be raised: by the file, or by asking the provider.
    pub raisable: bool,
    /// How it is raised: a key of the application file, a quota's name. Empty where it can't be.
    pub raised_by: String,
    /// The most that was used of it, in its unit.
    pub peak: f64,
    /// When that was, seconds after the beginning. `None`: not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_at_s: Option<f64>,
    /// What was left at the peak, percent of the value; 0 where it was met.
    pub headroom_percent: f64,
    /// When it was first met, seconds after the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_reached_s: Option<f64>,
    /// How often it refused something.
    pub refused: u64,
    /// How often it made something wait.
    pub delayed: u64,
}

/// A promise and whether it held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PromiseResult {
    /// In words, with the bound: `errors of api at most 0.1 %`, `dead letters at most 0`.
    pub promise: String,
    /// Of what: a source, function, queue or dependency; empty for everything.
    pub of: String,
    /// What is measured, as the traffic file writes it: `errors_percent`.
    pub measure: String,
    /// The measure's unit: `percent`, `ms`, `events`, `USD`; empty for a bare number.
    pub unit: String,
    /// An `[[expect]]` states it; else it is a default promise.
    pub stated: bool,
    /// What must not be passed, in `unit`.
    pub max: f64,
    /// What was measured, in `unit`.
    pub value: f64,
    /// Where it broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
}

impl PromiseResult {
    /// Whether it held.
    pub const fn holds(&self) -> bool {
        self.broken.is_none()
    }
}

/// How a promise broke.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Broken {
    /// When, seconds after the beginning.
    pub at_s: f64,
    /// What is behind it: a limit, the `patience` of callers, the `integration timeout` of a gateway or the stated
    /// `error rate` of a function. `None`: none that is counted was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<LimitRef>,
    /// Where none is behind it: what most of the trouble is, in words. Empty where nothing is known of it.
    pub reason: String,
    /// Who held most of that limit from then on, over a tenth of the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Holder>,
    /// The way there, from the source on: names of sources, of the design's nodes and of dependencies. The limit is met
    /// at its last. Empty where no way leads there.
    pub path: Vec<String>,
    /// Whom it hits, the worst first: at most [`ENTRIES_MAX`].
    pub hits: Vec<Hit>,
    /// Tenants that it hits.
    pub tenants_hit: u64,
}

/// Who uses most of a limit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Holder {
    /// A function, tenant or source.
    pub name: String,
    /// What it is.
    pub scope: Scope,
    /// Its share of what was used, percent.
    pub share_percent: f64,
}

/// Whom a broken promise hits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hit {
    /// A tenant, source, function or queue.
    pub name: String,
    /// What it is.
    pub scope: Scope,
    /// What was measured of it, in the promise's unit.
    pub value: f64,
}

/// Something taken for true that no file states.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Assumption {
    /// What it is of: `INIT of every function`, `timeout of callers of api`.
    pub what: String,
    /// The value, in words with its unit: `400 ms`, `none`.
    pub value: String,
    /// Why this value: a source, or that nothing was known.
    pub why: String,
    /// How well it is known: assumed, or unverified.
    pub basis: Basis,
    /// The key by which the user can state it: `function.NAME.init`. Empty where it can't be stated.
    pub key: String,
    /// A read-only command or document that would tell. Empty where there is none.
    pub ask: String,
}

/// A part of the design that takes no part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Unmodelled {
    /// The node or edge.
    pub name: String,
    /// What it is: `state machine`, `table`.
    pub kind: String,
    /// What that means for the answer.
    pub what: String,
}

/// A number with four significant digits: more are noise, and only make a document long. What is not finite is zero.
pub fn figure(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = libm::floor(libm::log10(value.abs()));
    let scale = libm::pow(10.0, 3.0 - digits);
    if !scale.is_finite() || scale == 0.0 {
        return value;
    }
    // Above one thousand whole numbers stay whole: a division would bring a fraction back.
    if scale < 1.0 {
        let unit = libm::round(1.0 / scale);
        return libm::round(value / unit) * unit;
    }
    libm::round(value * scale) / scale
}
