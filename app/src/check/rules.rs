//! Our rules, a module for each kind of wall.

mod advice;
mod batches;
mod chain;
mod consumers;
mod cycles;
mod databases;
mod dead_letters;
mod delivery;
mod gateway;
mod logging;
mod machine;
mod machines;
mod networks;
mod payload;
mod pool;
mod questions;
mod quotas;
mod retries;
mod runtimes;
mod schedules;
mod tenancy;
mod visibility;
mod warm;

use super::{Found, Look, Severity};

/// The newest version of the rules. A rule is run where the version asked for is at least its own, so that a
/// pipeline that pins a version never breaks by an upgrade.
pub const RULES_VERSION: u32 = 1;

/// What a rule is about.
#[derive(Debug)]
pub struct About {
    /// `FB0001`. Never used again for another wall.
    pub code: &'static str,
    /// The wall in a few words.
    pub title: &'static str,
    /// How bad it is at most.
    pub severity: Severity,
    /// The version of the rules that it came with.
    pub since: u32,
    /// Its page, as in `docs/rules/`.
    pub page: &'static str,
}

/// A rule: looks at a design and says where it meets a wall.
///
/// It reads what it is handed and nothing else, so that the same design gives the same findings.
pub trait Rule: Sync {
    /// What it is about.
    fn about(&self) -> &'static About;

    /// Adds a finding to `found` for each wall. What is not known is no finding.
    fn check(&self, look: &Look<'_>, found: &mut Found<'_>);
}

/// All our rules, by code.
pub fn ours() -> Vec<&'static dyn Rule> {
    vec![
        &payload::Narrowing,
        &payload::BatchBytes,
        &gateway::BelowFunction,
        &chain::Chain,
        &machine::NoTimeout,
        &machine::Express,
        &visibility::BelowTimeout,
        &visibility::BelowSixTimes,
        &dead_letters::Missing,
        &dead_letters::Ignored,
        &dead_letters::Expiring,
        &dead_letters::Unread,
        &retries::Retries,
        &cycles::Cycles,
        &pool::Reservations,
        &pool::Starving,
        &consumers::Scaling,
        &pool::FanOut,
        &consumers::Consumers,
        &consumers::Filters,
        &delivery::Policy,
        &delivery::Fifo,
        &batches::Window,
        &batches::Fill,
        &batches::Partial,
        &delivery::Groups,
        &warm::Unused,
        &schedules::Overlap,
        &databases::Storm,
        &consumers::Readers,
        &batches::Poison,
        &networks::NoWayOut,
        &networks::ThroughNat,
        &logging::Bodies,
        &warm::ColdReads,
        &machines::Joins,
        &tenancy::Isolation,
        &runtimes::Deprecated,
        &quotas::Quotas,
        &advice::Retention,
        &advice::Tracing,
        &advice::Alarms,
        &advice::Budgets,
        &advice::Throttling,
        &advice::WideGrants,
        &questions::Repeated,
        &questions::Growing,
        &questions::Memory,
        &questions::Tenant,
    ]
}
