//! Limits with their headroom.

use std::collections::BTreeMap;

use flyball_core::{Level, LimitName, LimitStatus, Limited};

use super::seconds;
use crate::{
    plan::{Entrance, Gateway, NodeLimit, Plan, Platform},
    result::{Basis, LimitRef, LimitResult, Scope, figure},
    used::Used,
    world::{SourceTally, Tally, Trouble},
};

/// Of what came to a node, so many waited for one of its limits: one of so many.
pub(super) const WAITED_ONE_OF: u64 = 10;

/// Limits of the engine, of nodes, gateways and dependencies, the nearest first.
pub(super) fn limits(plan: &Plan, tally: &Tally) -> Vec<LimitResult> {
    let mut limits: Vec<LimitResult> =
        tally.limits.iter().filter_map(|limit| own(plan, tally, limit)).collect();
    for ((name, stated), books) in plan.dependencies.iter().zip(&tally.dependencies) {
        let limit = |what: &str, unit: &str, value: f64| LimitRef {
            name: what.into(),
            scope: Scope::Dependency,
            of: name.to_string(),
            value,
            unit: unit.into(),
        };
        if let Some(most) = stated.connections_max {
            let (peak, at) = super::peak(&books.connections);
            let mut result = stated_limit(limit("connections", "connections", f64::from(most)), peak, at);
            result.refused = books.counts.refused_connection + books.counts.refused_environments;
            result.first_reached_s = books.first_refused.map(|at| figure(seconds(at)));
            limits.push(result);
        }
        if let Some(servers) = stated.servers {
            let (peak, at) = super::peak(&books.in_service);
            let mut result = stated_limit(limit("servers", "calls at once", f64::from(servers)), peak, at);
            result.refused = books.counts.refused_full;
            result.delayed = books.waited;
            limits.push(result);
        }
    }
    limits.extend(super::gateway::limit(plan, tally));
    limits.extend(of_nodes(plan, tally));
    limits.extend(of_gateways(plan, tally));
    limits.sort_by(|a, b| a.headroom_percent.total_cmp(&b.headroom_percent).then(b.refused.cmp(&a.refused)));
    limits
}

fn stated_limit(limit: LimitRef, peak: f64, peak_at_s: f64) -> LimitResult {
    LimitResult {
        headroom_percent: headroom(peak, limit.value),
        first_reached_s: (peak >= limit.value).then_some(peak_at_s),
        limit,
        basis: Basis::Stated,
        source: "the traffic file".into(),
        raisable: true,
        peak: figure(peak),
        peak_at_s: Some(peak_at_s),
        ..LimitResult::default()
    }
}

pub(super) fn headroom(peak: f64, value: f64) -> f64 {
    if value <= 0.0 { 0.0 } else { figure(((value - peak) * 100.0 / value).max(0.0)) }
}

/// A limit of the engine.
fn own(plan: &Plan, tally: &Tally, status: &LimitStatus) -> Option<LimitResult> {
    let limit = reference(plan, &status.name, status.max);
    if status.max >= u64::from(u32::MAX) || limit.scope == Scope::FunctionTenant {
        return None;
    }
    // Of the engine's own limits AWS has none but these.
    let of_aws = matches!(
        (&status.name.level, status.name.of),
        (Level::Platform | Level::Function(_), Limited::Concurrency) | (Level::Function(_), Limited::Rate)
    );
    if plan.platform == Platform::Aws && !of_aws {
        return None;
    }
    let key = status.name.to_string();
    let refused: u64 = tally.functions.iter().filter_map(|f| f.throttled.get(&key)).sum();
    let waits = || tally.functions.iter().filter_map(|f| f.waited_for.get(&status.name));
    let delayed = waits().map(|(count, _)| count).sum();
    let (peak, peak_at_s) = peak_of(plan, tally, status);
    let first = tally.functions.iter().filter(|f| f.throttled.contains_key(&key));
    let first = first.filter_map(|f| f.first_throttled).chain(waits().map(|(_, at)| *at)).min();
    let exact = plan.platform == Platform::Flyball;
    let account = !exact && limit.scope == Scope::Platform;
    Some(LimitResult {
        headroom_percent: if refused + delayed > 0 { 0.0 } else { headroom(peak, limit.value) },
        limit,
        basis: if exact { Basis::Exact } else { Basis::Sourced },
        source: if exact { "the application file, or its default".into() } else { plan.profile.clone() },
        date: plan.profile_date.clone(),
        raisable: true,
        raised_by: match (exact, account) {
            (true, _) => raised_by(&status.name.level, status.name.of),
            (false, true) => "Service Quotas: Concurrent executions".into(),
            (false, false) => "ReservedConcurrentExecutions".into(),
        },
        peak: figure(peak),
        peak_at_s,
        first_reached_s: first.map(|at| figure(seconds(at))),
        refused,
        delayed,
    })
}

/// The most that was used of a limit, and when, as far as that is kept.
fn peak_of(plan: &Plan, tally: &Tally, status: &LimitStatus) -> (f64, Option<f64>) {
    let of = |function: &flyball_core::Name| {
        let place = plan.functions.iter().position(|f| f.name == *function)?;
        tally.functions.get(place)
    };
    let peak = status.peak as f64;
    match (&status.name.level, status.name.of) {
        (Level::Platform, Limited::Concurrency) => (peak, Some(super::peak(&tally.concurrency).1)),
        (Level::Function(function), Limited::Concurrency) => {
            (peak, of(function).map(|books| super::peak(&books.concurrency).1))
        }
        // The engine keeps no peak of rates: what began in the busiest slot.
        (Level::Function(function), Limited::Rate) => {
            let rates = of(function).map(|books| super::rate(&books.runs_over)).unwrap_or_default();
            (rates.into_iter().fold(0.0, f64::max), None)
        }
        _ => (peak, None),
    }
}

/// The key of the application file.
fn raised_by(level: &Level, of: Limited) -> String {
    let what = match of {
        Limited::Concurrency => "concurrency.cap",
        Limited::Rate => "rate.per_second",
        Limited::WaitingEvents => "waiting_events_max",
        Limited::WaitingCalls => "waiting_calls_max",
        Limited::Remembered => "remembered_max",
    };
    match level {
        Level::Platform => format!("limits.{what}"),
        Level::LongFunctions => "limits.long_concurrency_max".into(),
        Level::Tenant(name) => format!("tenant.{name}.{what}"),
        Level::Function(name) => format!("function.{name}.{what}"),
        Level::FunctionTenant(name, _) => format!("function.{name}.per_tenant.{what}"),
        Level::Queue(name) => format!("queue.{name}.waiting_max"),
    }
}

/// A limit of the engine as a result names it.
pub(super) fn reference(plan: &Plan, name: &LimitName, value: u64) -> LimitRef {
    let label = |function: &flyball_core::Name| {
        let found = plan.functions.iter().find(|f| f.name == *function);
        found.map_or_else(|| function.to_string(), |f| f.label.clone())
    };
    let (scope, of) = match &name.level {
        Level::Platform => (Scope::Platform, String::new()),
        Level::LongFunctions => (Scope::Platform, "long functions".into()),
        Level::Tenant(tenant) => (Scope::Tenant, tenant.to_string()),
        Level::Function(function) => (Scope::Function, label(function)),
        Level::FunctionTenant(function, tenant) => {
            (Scope::FunctionTenant, format!("{} for {tenant}", label(function)))
        }
        Level::Queue(queue) => (Scope::Node, queue.to_string()),
    };
    let (what, unit) = match name.of {
        Limited::Concurrency if plan.platform == Platform::Aws => ("concurrency", "environments"),
        Limited::Concurrency => ("concurrency", "invocations"),
        Limited::Rate => ("rate", "requests/s"),
        Limited::WaitingEvents => ("waiting events", "events"),
        Limited::WaitingCalls => ("waiting calls", "calls"),
        Limited::Remembered => ("remembered results", "results"),
    };
    LimitRef { name: what.into(), scope, of, value: value as f64, unit: unit.into() }
}

/// Limits of nodes that AWS has, or that a template states.
fn of_nodes<'t>(plan: &'t Plan, tally: &'t Tally) -> impl Iterator<Item = LimitResult> + use<'t> {
    let of = |limit: &NodeLimit, used: &[Used]| used.iter().find(|used| used.of == limit.of).copied();
    let nodes = plan.nodes.iter().zip(&tally.used).zip(&tally.nodes);
    nodes.flat_map(move |((node, (used, _)), books)| {
        let limits = node.limits.iter();
        limits.filter_map(move |limit| Some(of_node(limit, &of(limit, used)?, books.entered)))
    })
}

/// A limit of a node that so much came to.
fn of_node(own: &NodeLimit, used: &Used, entered: u64) -> LimitResult {
    let value = own.limit.value;
    // A bucket that was full at first gives more than comes into it for a while.
    let peak = used.peak.min(value);
    // Where one shard alone is busy it is met for what comes to that; a few that wait at the beginning do not meet it.
    let waited = used.delayed > 0 && used.delayed.saturating_mul(WAITED_ONE_OF) >= entered;
    let met = used.refused > 0 || waited || peak >= value;
    LimitResult {
        limit: own.limit.clone(),
        basis: own.known.basis,
        source: own.known.source.clone(),
        date: own.known.date.clone(),
        raisable: own.raised_to.is_some(),
        raised_by: own.raised_by.clone(),
        peak: figure(peak),
        peak_at_s: Some(figure(seconds(used.peak_at))),
        headroom_percent: if met { 0.0 } else { headroom(peak, value) },
        first_reached_s: used.first.filter(|_| met).map(|at| figure(seconds(at))),
        refused: used.refused,
        delayed: used.delayed,
    }
}

/// How long gateways wait, each once for all sources that come in by it.
fn of_gateways(plan: &Plan, tally: &Tally) -> Vec<LimitResult> {
    let mut found: BTreeMap<(String, u64), (&Gateway, Vec<&SourceTally>)> = BTreeMap::new();
    for (source, books) in plan.sources.iter().zip(&tally.sources) {
        if let Entrance::Call { gateway: Some(gateway), .. } = &source.entrance {
            let of = (gateway.name.clone(), gateway.timeout.0);
            found.entry(of).or_insert_with(|| (gateway, Vec::new())).1.push(books);
        }
    }
    let one = |(gateway, books): (&Gateway, Vec<&SourceTally>)| {
        let limit = gateway.limit();
        let count = |books: &&SourceTally| books.troubles.get(&Trouble::GatewayTimeout).copied();
        let refused: u64 = books.iter().filter_map(count).sum();
        let longest = books.iter().map(|books| books.latency.max().0).max().unwrap_or(0);
        let peak = if refused > 0 { limit.value } else { (longest as f64 / 1e6).min(limit.value) };
        LimitResult {
            basis: gateway.known.basis,
            source: gateway.known.source.clone(),
            date: gateway.known.date.clone(),
            raisable: !gateway.raised_by.is_empty(),
            raised_by: gateway.raised_by.clone(),
            peak: figure(peak),
            headroom_percent: headroom(peak, limit.value),
            first_reached_s: books
                .iter()
                .filter_map(|books| books.first_gateway)
                .min()
                .map(|at| figure(seconds(at))),
            refused,
            limit,
            ..LimitResult::default()
        }
    };
    found.into_values().map(one).collect()
}
