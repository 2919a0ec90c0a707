//! One run: the whole, the platform, tenants and cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DependencyResult, FunctionResult, LimitRef, LimitResult, NodeResult, Percentiles, PromiseResult, Scope,
    Series, SourceResult,
};

/// One run of the application under one traffic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunResult {
    /// What was simulated.
    pub about: About,
    /// The length of a slot of every [`Series`], seconds.
    pub slot_s: f64,
    /// Where traffic comes in, by name.
    pub sources: Vec<SourceResult>,
    /// Functions, by name.
    pub functions: Vec<FunctionResult>,
    /// Queues, topics, buses, streams and asynchronous queues, by name.
    pub nodes: Vec<NodeResult>,
    /// Databases and services, by name.
    pub dependencies: Vec<DependencyResult>,
    /// What all functions share.
    pub platform: PlatformResult,
    /// Tenants against one another.
    pub tenants: TenantsResult,
    /// Limits that the run could have met, the nearest first.
    pub limits: Vec<LimitResult>,
    /// What it costs.
    pub cost: CostResult,
    /// Promises: those that broke first, in the order in which they broke.
    pub promises: Vec<PromiseResult>,
}

impl RunResult {
    /// Promises that broke, in the order in which they broke.
    pub fn broken(&self) -> impl Iterator<Item = &PromiseResult> {
        self.promises.iter().filter(|promise| !promise.holds())
    }

    /// Whether all of it was simulated, and no event came in.
    pub fn saw_nothing(&self) -> bool {
        let none = self.about.arrivals == 0 && self.platform.invocations == 0;
        none && self.about.ended == Ended::Complete
    }
}

/// What was simulated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct About {
    /// The application's name.
    pub application: String,
    /// `flyball` or `aws`: whose behaviour.
    pub platform: String,
    /// The profile of limits.
    pub profile: String,
    /// The profile's date.
    pub profile_date: String,
    /// The traffic file, as the user wrote it; empty where there was none.
    pub traffic: String,
    /// The seed.
    pub seed: u64,
    /// The traffic as a multiple of what is stated.
    pub load_factor: f64,
    /// How much time was to be simulated, seconds.
    pub duration_s: f64,
    /// How much time was simulated, seconds: less where the run was broken off.
    pub simulated_s: f64,
    /// Why it ended.
    pub ended: Ended,
    /// Tenants.
    pub tenants: u64,
    /// Steps of the engine; zero where the platform is a model.
    pub engine_steps: u64,
    /// Events that came in from all sources, first tries only.
    pub arrivals: u64,
    /// What was handled in the simulated world: arrivals, starts, ends, timers.
    pub events_simulated: u64,
    /// The invariants were checked after every step.
    pub invariants_checked: bool,
}

/// Why a run ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Its time was over.
    #[default]
    Complete,
    /// Somebody broke it off: the figures are of what was simulated until then.
    Interrupted,
    /// It reached the bound on simulated events, so that it ends at all.
    EventsMax,
    /// More was waiting than the simulation keeps in memory.
    WaitingMax,
}

/// What all functions share.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlatformResult {
    /// Concurrency at most, environments or slots. `None`: no such limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<f64>,
    /// The most that ran at once.
    pub concurrency_peak: f64,
    /// When, seconds after the beginning.
    pub concurrency_peak_at_s: f64,
    /// Runs of functions.
    pub invocations: u64,
    /// Events that runs had in hand, for each that came in: at every hop, and at each try.
    pub runs_per_event: f64,
    /// Invocations that a limit refused; each refusal counts, also that of one event again.
    pub throttled: u64,
    /// New environments.
    pub cold_starts: u64,
    /// Time waiting before a run, over all functions.
    pub dwell: Percentiles,
    /// Flyball's own store, where it is simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreResult>,
    /// Over time.
    pub times: PlatformTimes,
}

/// Over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlatformTimes {
    /// The most that ran at once within each slot.
    pub concurrency: Series,
    /// The most environments that lived at once within each slot, idle ones too.
    pub environments: Series,
    /// Throttles, per second.
    pub throttled_per_s: Series,
    /// New environments, per second.
    pub cold_starts_per_s: Series,
    /// Time waiting before a run: half wait less, milliseconds.
    pub dwell_p50_ms: Series,
    /// 95 of 100 wait less, milliseconds.
    pub dwell_p95_ms: Series,
    /// 99 of 100 wait less, milliseconds.
    pub dwell_p99_ms: Series,
    /// What it costs, US dollars an hour.
    pub cost_usd_per_h: Series,
}

/// Flyball's own store.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StoreResult {
    /// Group commits.
    pub commits: u64,
    /// Records in one, the mean.
    pub records_per_commit: f64,
    /// How much of the time it was at work, percent.
    pub utilisation_percent: f64,
}

/// Tenants against one another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TenantsResult {
    /// Tenants of which anything came.
    pub active: u64,
    /// The p99 of the dwell of each tenant, over tenants: the best, the median and the worst, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell_p99_best: Option<NamedValue>,
    /// The tenant in the middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell_p99_median: Option<NamedValue>,
    /// The worst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell_p99_worst: Option<NamedValue>,
    /// The same over tenants, from 0 to 100 percent in at most 101 steps, milliseconds.
    pub dwell_p99_over_tenants_ms: Vec<Quantile>,
    /// Single tenants: the loudest, the worst off, the quietest and one from the middle, by load, the loudest first.
    /// At most [`TENANTS_SHOWN_MAX`](super::TENANTS_SHOWN_MAX).
    pub shown: Vec<TenantResult>,
    /// Three groups over time: `quiet`, `median`, `loud`. None where all tenants are stated to send alike.
    pub groups: Vec<TenantGroup>,
    /// Who starves whom, the worst first.
    pub starved: Vec<Starvation>,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NamedValue {
    /// Whose.
    pub name: String,
    /// In the unit that the field which holds this says.
    pub value: f64,
}

/// A point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Quantile {
    /// So many of a hundred have less.
    pub percent: f64,
    /// In the unit that the field which holds this says.
    pub value: f64,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TenantResult {
    /// Its name.
    pub name: String,
    /// Events that came in.
    pub arrivals: u64,
    /// Its share of all arrivals, percent.
    pub arrivals_percent: f64,
    /// Throttles of its invocations.
    pub throttled: u64,
    /// Its share of all throttles, percent.
    pub throttled_percent: f64,
    /// Answers that were errors, refusals or came too late.
    pub errors: u64,
    /// Its events in dead letters, or lost.
    pub dead_letters: u64,
    /// Time waiting before a run.
    pub dwell: Percentiles,
    /// What it costs, US dollars a month.
    pub cost_usd_per_month: f64,
}

/// Tenants of a kind over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TenantGroup {
    /// `quiet`: the half with the least traffic as stated. `median`: the tenant in the middle. `loud`: the one with
    /// the most.
    pub group: String,
    /// How many tenants it is.
    pub tenants: u64,
    /// The tenant, where it is one.
    pub name: String,
    /// Time waiting before a run: 99 of 100 wait less, milliseconds.
    pub dwell_p99_ms: Series,
    /// Arrivals, per second.
    pub arrivals_per_s: Series,
}

/// One takes what others need: at least half of a limit, while others are refused by it, or wait for it for longer
/// than their own runs take.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Starvation {
    /// Who takes: a tenant, function or source.
    pub by: String,
    /// What it is.
    pub by_scope: Scope,
    /// Its share of what was used of the limit once it held others up, percent.
    pub share_percent: f64,
    /// Who goes without: the worst first, at most 10.
    pub whom: Vec<String>,
    /// What they are.
    pub whom_scope: Scope,
    /// How many go without in all.
    pub whom_count: u64,
    /// The limit they share.
    pub limit: LimitRef,
    /// Refusals of those who go without.
    pub throttled: u64,
    /// The worst p99 dwell among them, milliseconds.
    pub dwell_p99_ms: f64,
}

/// What a run costs: list prices, without free tiers, taxes and discounts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CostResult {
    /// A month of 730 hours of this traffic, US dollars.
    pub usd_per_month: f64,
    /// One event that came in, US dollars; zero where none came.
    pub usd_per_event: f64,
    /// The part of it that went into runs that failed, whose caller had gone before they ended, or whose messages had
    /// been delivered again by then: their GB-seconds, requests and logs, US dollars a month.
    pub wasted_usd_per_month: f64,
    /// By service, the dearest first.
    pub services: Vec<ServiceCost>,
    /// The ten dearest tenants.
    pub tenants_top: Vec<TenantCost>,
    /// The tenant in the middle, US dollars a month.
    pub tenant_median_usd_per_month: f64,
    /// What is in the design and has no price here.
    pub unpriced: Vec<String>,
}

/// What one service costs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceCost {
    /// `Lambda`, `SQS`; a dependency's name.
    pub service: String,
    /// What is paid for: `GB-seconds`, `requests`.
    pub what: String,
    /// How much of it in a month.
    pub units_per_month: f64,
    /// The price of one, US dollars.
    pub usd_per_unit: f64,
    /// US dollars a month.
    pub usd_per_month: f64,
    /// Where the price is from.
    pub source: String,
    /// When it was so.
    pub date: String,
    /// How well it is known.
    pub basis: super::Basis,
}

/// What one tenant costs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TenantCost {
    /// Its name.
    pub name: String,
    /// US dollars a month.
    pub usd_per_month: f64,
    /// Its share of all, percent.
    pub share_percent: f64,
}
