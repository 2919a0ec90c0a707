//! Runs under faults: what was tried, what broke, and how to see it again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Runs under faults, one for each seed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FaultsResult {
    /// The first seed; the others follow it.
    pub seed_first: u64,
    /// Seeds that ran.
    pub seeds_run: u64,
    /// Seeds that were asked for.
    pub seeds_asked: u64,
    /// Seeds of failures before, that ran again first.
    pub regressions_run: u64,
    /// Faults that were injected, by kind: `crash`, `duplicate`, `late`, `slow dependency`, `store stall`.
    pub injected: BTreeMap<String, u64>,
    /// Invariants and assertions that were checked.
    pub checks: Vec<FaultCheck>,
    /// What broke, by seed; at most [`ENTRIES_MAX`](super::ENTRIES_MAX).
    pub failures: Vec<FaultFailure>,
    /// Seeds with which something broke.
    pub seeds_failed: u64,
}

/// Something that must hold whatever fails.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FaultCheck {
    /// The invariant's name, or the assertion in its author's words.
    pub what: String,
    /// An `[[assert]]` states it; else it is an invariant of the engine.
    pub stated: bool,
    /// Seeds with which it broke.
    pub seeds_failed: u64,
}

/// What broke with one seed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FaultFailure {
    /// The seed: the same build fails the same way with it.
    pub seed: u64,
    /// The check that broke, as in [`FaultCheck::what`].
    pub broken: String,
    /// What was found.
    pub detail: String,
    /// When, seconds after the beginning.
    pub at_s: f64,
    /// The shortest schedule of faults that still breaks it.
    pub schedule: Vec<FaultStep>,
    /// How many faults the schedule had before it was shortened.
    pub schedule_before: u64,
    /// How long the traffic of that run lasts, seconds.
    pub duration_s: f64,
    /// Its factor of the stated traffic.
    pub load_factor: f64,
    /// The event that broke it; empty where it is not one event.
    pub event: String,
    /// Its way, at most [`ENTRIES_MAX`](super::ENTRIES_MAX) steps: the last ones.
    pub trace: Vec<TraceStep>,
    /// How to see it again: the command's arguments.
    pub again: String,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FaultStep {
    /// When, seconds after the beginning.
    pub at_s: f64,
    /// What: `crash`, `duplicate delivery`, `statement takes 30 s`.
    pub what: String,
    /// Of what; empty for the platform.
    pub of: String,
    /// For how long, seconds; zero for a moment.
    pub for_s: f64,
}

/// One step of an event's way.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TraceStep {
    /// When, seconds after the beginning.
    pub at_s: f64,
    /// Where: a function, node or dependency.
    pub place: String,
    /// What happened.
    pub what: String,
}
