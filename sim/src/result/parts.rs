//! One run: each source, function, node and dependency.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Percentiles, Series};

/// Where traffic comes in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SourceResult {
    /// The source's name in the traffic file.
    pub name: String,
    /// The node of the design where it comes in: a gateway, function, queue, topic or bus.
    pub to: String,
    /// Callers wait for an answer; else they are told that the event was taken on.
    pub synchronous: bool,
    /// A load line scales it.
    pub scaled: bool,
    /// Events that came in, first tries only.
    pub arrivals: u64,
    /// The mean of the arrivals, per second.
    pub arrivals_mean_per_s: f64,
    /// The busiest slot, per second.
    pub arrivals_peak_per_s: f64,
    /// First tries and retries.
    pub requests: u64,
    /// Tries after the first.
    pub retries: u64,
    /// Retries that callers let be, because their budget was spent.
    pub retries_let_be: u64,
    /// Events whose caller got a good answer in time; where nobody waits, events that were taken on.
    pub answered: u64,
    /// Events whose caller got none in the end: after all retries.
    pub failed: u64,
    /// Tries that were answered by an error, by kind: `throttled`, `timeout`, `trap`.
    pub errors: BTreeMap<String, u64>,
    /// Tries that were refused at the door by a limit, by the limit's name.
    pub refused: BTreeMap<String, u64>,
    /// Tries that the caller gave up.
    pub timeouts: u64,
    /// From the first try to the good answer; zero where nobody waits for one.
    pub latency: Percentiles,
    /// Over time.
    pub times: SourceTimes,
}

/// Over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SourceTimes {
    /// First tries, per second.
    pub arrivals_per_s: Series,
    /// First tries and retries, per second.
    pub requests_per_s: Series,
    /// Goodput: good answers in time, per second.
    pub answered_per_s: Series,
    /// Errors, refusals and timeouts, per second.
    pub errors_per_s: Series,
    /// Good answers: 99 of 100 took less, milliseconds.
    pub latency_p99_ms: Series,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FunctionResult {
    /// Its name.
    pub name: String,
    /// Its memory, mebibytes.
    pub memory_mb: f64,
    /// Its timeout, seconds.
    pub timeout_s: f64,
    /// Runs.
    pub runs: u64,
    /// Runs that ended well.
    pub succeeded: u64,
    /// Events that its runs had in hand; one that is run for again counts again.
    pub events: u64,
    /// Runs for each that ended well, the mean.
    pub attempts_mean: f64,
    /// The most runs for one event or batch.
    pub attempts_peak: u64,
    /// Runs that failed, by kind: `timeout`, `out-of-memory`, `trap`, `retry`.
    pub failed: BTreeMap<String, u64>,
    /// Invocations that a limit refused, by the limit's name.
    pub throttled: BTreeMap<String, u64>,
    /// Runs stopped at the timeout.
    pub timeouts: u64,
    /// Runs for nobody: their caller had gone before they ended, or had been handed the same messages again.
    pub orphans: u64,
    /// New environments.
    pub cold_starts: u64,
    /// What INIT took.
    pub init: Percentiles,
    /// What runs took, INIT not counted.
    pub duration: Percentiles,
    /// Time waiting before a run.
    pub dwell: Percentiles,
    /// The most that ran at once.
    pub concurrency_peak: f64,
    /// When, seconds after the beginning.
    pub concurrency_peak_at_s: f64,
    /// The mean of what ran at once.
    pub concurrency_mean: f64,
    /// What may run at once: its own cap. `None`: only what all share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<f64>,
    /// What is kept free for it: a reservation or guarantee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_guarantee: Option<f64>,
    /// Time that is paid for, seconds.
    pub billed_s: f64,
    /// Time times memory that is paid for, gibibyte-seconds.
    pub billed_gb_s: f64,
    /// The most memory that an environment used, mebibytes. `None`: not stated, so not simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_mb: Option<f64>,
    /// What environments keep from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leak: Option<Leak>,
    /// Over time.
    pub times: FunctionTimes,
}

/// What an environment keeps from run to run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Leak {
    /// What each run leaves behind, mebibytes.
    pub mb_per_run: f64,
    /// How long an environment lives until it is out of memory, seconds, at the pace of this run.
    pub out_of_memory_after_s: f64,
    /// How many runs that is.
    pub out_of_memory_after_runs: f64,
    /// Environments that ended so.
    pub out_of_memory: u64,
    /// Environments that were replaced before that.
    pub recycled: u64,
}

/// Over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FunctionTimes {
    /// The most that ran at once within each slot.
    pub concurrency: Series,
    /// The most environments at once within each slot, idle ones too.
    pub environments: Series,
    /// Runs that began, per second.
    pub runs_per_s: Series,
    /// Runs that failed, per second.
    pub failed_per_s: Series,
    /// Throttles, per second.
    pub throttled_per_s: Series,
    /// New environments, per second.
    pub cold_starts_per_s: Series,
    /// Time waiting before a run: half wait less, milliseconds.
    pub dwell_p50_ms: Series,
    /// 99 of 100 wait less, milliseconds.
    pub dwell_p99_ms: Series,
}

/// A queue, topic, bus, rule, stream or asynchronous queue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NodeResult {
    /// Its name.
    pub name: String,
    /// `queue`, `FIFO queue`, `topic`, `bus`, `stream`, `asynchronous queue`.
    pub kind: String,
    /// Messages that came in.
    pub entered: u64,
    /// Messages that are over, in good order.
    pub left: u64,
    /// Deliveries of the messages that are over: handled, or in dead letters.
    pub receives: u64,
    /// Deliveries of one of these, the mean.
    pub receives_mean: f64,
    /// Of these, messages that were delivered more than once.
    pub handled_again: u64,
    /// Messages waiting or in flight, at the end.
    pub backlog_end: u64,
    /// The most.
    pub backlog_peak: u64,
    /// When, seconds after the beginning.
    pub backlog_peak_at_s: f64,
    /// How long the backlog at the end would take at the pace of the last half, seconds. `None`: it does not shrink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained_after_s: Option<f64>,
    /// The age of the oldest message, the most that was seen at the ends of slots, seconds.
    pub oldest_age_peak_s: f64,
    /// Messages that went to dead letters, by the reason: `receives`, `age`, `attempts`.
    pub dead_letters: BTreeMap<String, u64>,
    /// Where its dead letters go: a node of the design, or the platform's own. Empty: it has none.
    pub dead_letters_to: String,
    /// Messages that were lost, by the reason: `retention`, `age`, `attempts`.
    pub dropped: BTreeMap<String, u64>,
    /// From the event's arrival at its source until it was over here, in good order.
    pub to_end: Percentiles,
    /// Over time.
    pub times: NodeTimes,
}

/// Over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NodeTimes {
    /// Messages waiting or in flight, at the end of each slot.
    pub backlog: Series,
    /// Messages that came in, per second.
    pub entered_per_s: Series,
    /// Messages that were over, per second.
    pub left_per_s: Series,
    /// The age of the oldest, at the end of each slot, seconds.
    pub oldest_age_s: Series,
    /// To dead letters, per second.
    pub dead_letters_per_s: Series,
}

/// A database or service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DependencyResult {
    /// Its name.
    pub name: String,
    /// Functions that call it, by name.
    pub callers: Vec<String>,
    /// Calls that came.
    pub calls: u64,
    /// Calls that were answered well.
    pub answered: u64,
    /// Calls that were refused: no connection, or too many waiting, by the limit's name.
    pub refused: BTreeMap<String, u64>,
    /// Calls that it failed.
    pub failed: u64,
    /// Calls that it broke off at its own timeout.
    pub broken_off: u64,
    /// Calls that were answered without work, because their key was known.
    pub duplicates: u64,
    /// Calls whose caller had gone before they were over: work for nobody.
    pub orphans: u64,
    /// That work, seconds.
    pub orphans_s: f64,
    /// Calls whose work was taken on, for each event that came in anywhere.
    pub executions_per_event: f64,
    /// Connections at most. `None`: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<f64>,
    /// The most connections at once, idle ones too.
    pub connections_peak: f64,
    /// When, seconds after the beginning.
    pub connections_peak_at_s: f64,
    /// What it works on at once, at most. `None`: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<f64>,
    /// The most that it worked on at once.
    pub in_service_peak: f64,
    /// The most that waited for it at once.
    pub waiting_peak: f64,
    /// How much of its servers was at work, percent, over the whole run.
    pub utilisation_percent: f64,
    /// The same in the busiest slot.
    pub utilisation_peak_percent: f64,
    /// From the call to its end, waiting included.
    pub latency: Percentiles,
    /// Over time.
    pub times: DependencyTimes,
}

/// Over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DependencyTimes {
    /// The most connections within each slot.
    pub connections: Series,
    /// The most worked on at once within each slot.
    pub in_service: Series,
    /// The most waiting at once within each slot.
    pub waiting: Series,
    /// How much of its servers was at work, percent.
    pub utilisation_percent: Series,
    /// 99 of 100 calls took less, milliseconds.
    pub latency_p99_ms: Series,
}
