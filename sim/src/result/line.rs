//! The load line: what was tried, where it breaks, and what that rests on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Hit, Holder, LimitRef, LimitResult, RunResult, Starvation};

/// The search for the highest load at which no promise breaks. A load is a factor of the stated traffic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LoadLineResult {
    /// The answer.
    pub verdict: LineVerdict,
    /// The stated traffic at its peak: what the factor 1 means. Only sources that are scaled.
    pub base: Vec<BaseRate>,
    /// Their sum, events per second.
    pub base_per_s: f64,
    /// The promise that breaks first. `None`: none broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall: Option<Wall>,
    /// Whether it comes back once the load is taken back.
    pub recovery: Recovery,
    /// Every other limit at the load line, the nearest first.
    pub headroom: Vec<LimitResult>,
    /// What raising the wall's limit would bring. `None`: it can't be raised, or it was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raising: Option<Raising>,
    /// The assumptions that move the line most, the weightiest first; at most three.
    pub sensitive: Vec<Sensitivity>,
    /// Assumptions that were tried with less and more of them. Zero: none was.
    pub assumptions_tried: u64,
    /// Seeds that each load was tried with.
    pub seeds: Vec<u64>,
    /// Runs in all.
    pub runs: u64,
    /// Loads of which not all traffic was run, because that would have taken too long. `None`: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<PartResult>,
    /// Somebody broke it off before everything was asked: what is not told was not tried.
    pub broken_off: bool,
    /// Each load that was tried, once, ascending; those of the way back at the end.
    pub curve: Vec<CurvePoint>,
    /// The first seed just past the line: what breaking looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond: Option<Box<RunResult>>,
}

impl LoadLineResult {
    /// The limit that breaks first, as it is just beyond the line, and then every other one at the line.
    pub fn limits(&self) -> Vec<&LimitResult> {
        let because = self.wall.as_ref().and_then(|wall| wall.because.as_ref());
        let same = |one: &&LimitResult| {
            because.is_some_and(|b| {
                (&b.name, b.scope, &b.of) == (&one.limit.name, one.limit.scope, &one.limit.of)
            })
        };
        let beyond = self.beyond.iter().flat_map(|run| &run.limits);
        let wall = beyond.filter(|one| same(one)).take(1);
        wall.chain(self.headroom.iter().filter(|one| !same(one))).collect()
    }
}

/// Of high loads the search runs only the busiest part of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PartResult {
    /// From this load on.
    pub from_load: f64,
    /// The shortest part, seconds.
    pub lasts_s: f64,
    /// Of all that is stated, seconds.
    pub of_s: f64,
}

/// Where the line is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum LineVerdict {
    /// It lies between two loads.
    Found {
        /// The highest load at which every seed held.
        holds_at: f64,
        /// The lowest load at which some seed broke.
        breaks_at: f64,
        /// The lowest line among the seeds, each taken alone: where it breaks differs by chance between it and
        /// `seeds_high`.
        seeds_low: f64,
        /// The highest.
        seeds_high: f64,
    },
    /// Nothing broke.
    NeverBreaks {
        /// The highest load that was tried.
        tried_up_to: f64,
    },
    /// A promise is broken however low the load.
    BreaksAtZero {
        /// The lowest load that was tried.
        tried_down_to: f64,
    },
    /// The search was broken off: what is known so far.
    #[default]
    Undecided,
    /// The same, with a bracket.
    Between {
        /// The highest load at which every seed that ran held; zero where none did.
        holds_at: f64,
        /// The lowest load at which one broke. Zero: none did so far.
        breaks_at: f64,
    },
}

/// What the factor 1 means at one source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BaseRate {
    /// The source.
    pub source: String,
    /// Its peak, events per second.
    pub peak_per_s: f64,
}

/// What breaks first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Wall {
    /// The load at which it breaks.
    pub load_factor: f64,
    /// The same, events per second.
    pub per_s: f64,
    /// The promise, as in [`PromiseResult::promise`](super::PromiseResult::promise).
    pub promise: String,
    /// What is measured, as the traffic file writes it.
    pub measure: String,
    /// The measure's unit.
    pub unit: String,
    /// What must not be passed.
    pub max: f64,
    /// What it was.
    pub value: f64,
    /// When, seconds after the beginning.
    pub at_s: f64,
    /// What is behind it, as in [`Broken::because`](super::Broken::because). `None`: no limit that is counted was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<LimitRef>,
    /// Where none is behind it: what most of the trouble is, in words. Empty where nothing is known of it.
    pub reason: String,
    /// Who held most of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Holder>,
    /// Whom it hits, the worst first; at most ten.
    pub hits: Vec<Hit>,
    /// Tenants that it hits.
    pub tenants_hit: u64,
    /// Who starves whom, where it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starvation: Option<Starvation>,
    /// The way there, from the source on: names of sources, of the design's nodes and of dependencies. The limit is met
    /// at its last. Empty where no way leads there.
    pub path: Vec<String>,
    /// Of the seeds, how many broke by this.
    pub seeds_broken: u64,
}

/// Whether it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "recovers", rename_all = "kebab-case")]
pub enum Recovery {
    /// It was not tried: nothing broke, or the search was broken off.
    #[default]
    Untried,
    /// It can't be asked: traffic of users, of traces, and with `events_max` can't be taken back in the middle.
    Unasked,
    /// Once the load is back at this factor, within the time that is said.
    At {
        /// The highest load at which it comes back.
        load_factor: f64,
        /// How long that takes, seconds.
        after_s: f64,
    },
    /// It does not come back while the load stays above this.
    NotAbove {
        /// The lowest load at which it was seen not to come back.
        load_factor: f64,
        /// How long was waited for it, seconds.
        waited_s: f64,
    },
}

/// What raising the limit would bring.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Raising {
    /// Which, with its value now.
    pub limit: LimitRef,
    /// To which value.
    pub to: f64,
    /// How: a key of the application file, a quota's name.
    pub by: String,
    /// Where the line is then: the highest load that holds.
    pub holds_at: f64,
    /// The same, events per second.
    pub holds_at_per_s: f64,
    /// It held as far as was tried.
    pub never_breaks: bool,
    /// What breaks next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Box<Wall>>,
}

/// How much the line depends on an assumption.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sensitivity {
    /// What is assumed.
    pub what: String,
    /// The value, in words.
    pub value: String,
    /// The key by which it can be stated.
    pub key: String,
    /// With 30 % less of it.
    pub less: WallSide,
    /// With 30 % more of it.
    pub more: WallSide,
}

/// The line with another value of an assumption.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WallSide {
    /// The value, in words: `147 ms`.
    pub value: String,
    /// The highest load that holds.
    pub holds_at: f64,
    /// The limit that is met then, in words; empty where none is.
    pub because: String,
}

/// A load that was tried, over all seeds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CurvePoint {
    /// The factor.
    pub load_factor: f64,
    /// Arrivals, the mean, per second.
    pub arrivals_per_s: f64,
    /// Tried on the way back, after it had broken at a higher load.
    pub on_way_back: bool,
    /// Every promise held with every seed that it was tried with.
    pub holds: bool,
    /// Seeds that it was tried with: each seed searches for its own line.
    pub seeds_tried: u64,
    /// Of these, seeds with which one broke.
    pub seeds_broken: u64,
    /// Promises that broke, as in [`PromiseResult::promise`](super::PromiseResult::promise).
    pub broken: Vec<String>,
    /// What was measured: the median of each figure over the seeds.
    #[serde(flatten)]
    pub median: Figures,
    /// The least of each figure over the seeds.
    pub min: Figures,
    /// The greatest of each figure over the seeds.
    pub max: Figures,
}

/// What is told of a load that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Figures {
    /// Goodput, the mean, events per second.
    pub goodput_per_s: f64,
    /// Good answers, or runs where nobody waits: 99 of 100 took less, milliseconds.
    pub p99_ms: f64,
    /// Time waiting before a run: 99 of 100 wait less, milliseconds.
    pub dwell_p99_ms: f64,
    /// Synchronous requests without a good answer, percent.
    pub errors_percent: f64,
    /// Invocations that were throttled, percent.
    pub throttled_percent: f64,
    /// Events in dead letters.
    pub dead_letters: f64,
    /// Events that were lost.
    pub dropped: f64,
    /// Events waiting at the end.
    pub backlog_end: f64,
    /// US dollars a month.
    pub cost_usd_per_month: f64,
}
