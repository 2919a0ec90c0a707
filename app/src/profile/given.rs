//! What the user says of the account and of the traffic.

use std::collections::{BTreeMap, BTreeSet};

use crate::design::Design;

/// What no template says. Without it, rules that need it give one note or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// `[account] complete = true`: the files are all that the account has, so that sums over it mean something.
    pub account_complete: bool,
    /// The day for which is asked, such as `2026-11-23`: the caller has a clock. `None`: the day up to which the
    /// profile's sources were read.
    pub today: Option<String>,
    /// `[traffic.NAME]`: by the logical id of the node where the work comes in, or of a function.
    pub traffic: BTreeMap<String, Traffic>,
    /// `[database.NAME] connections_max`, `processors`: by logical id.
    pub databases: BTreeMap<String, DatabaseFacts>,
}

impl Given {
    /// The names of traffic and databases that nothing in a design has, each with its table: `traffic`, `database`.
    pub fn strangers(&self, design: &Design) -> Vec<(&'static str, String)> {
        let names: BTreeSet<&str> = design.nodes().map(|(_, node)| node.name.as_str()).collect();
        let traffic = self.traffic.keys().map(|name| ("traffic", name));
        let databases = self.databases.keys().map(|name| ("database", name));
        let strange = traffic.chain(databases).filter(|(_, name)| !names.contains(name.as_str()));
        strange.map(|(table, name)| (table, name.clone())).collect()
    }
}

/// Stated traffic of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Events or requests per second at the peak.
    pub peak_per_s: Option<f64>,
    /// What one invocation takes, milliseconds: the median.
    pub p50_ms: Option<f64>,
    /// What one invocation takes, milliseconds: 99 of 100 take at most this.
    pub p99_ms: Option<f64>,
    /// The size of one event, bytes.
    pub event_bytes: Option<f64>,
    /// Tenants that are active at once.
    pub tenants: Option<f64>,
}

/// What the user says of a database.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DatabaseFacts {
    /// Connections at most.
    pub connections_max: Option<f64>,
    /// Processors.
    pub processors: Option<f64>,
}
