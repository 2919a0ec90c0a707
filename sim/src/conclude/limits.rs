//! Limits with their headroom, and which of them is behind a trouble.

use flyball_core::{Level, LimitName, LimitStatus, Limited};

use super::seconds;
use crate::{
    plan::{Plan, Platform},
    result::{Basis, DependencyResult, FunctionResult, LimitRef, LimitResult, RunResult, Scope, figure},
    world::Tally,
};

/// A dependency whose servers are so busy over a whole slot is what its callers wait for, percent.
const SATURATED_PERCENT: f64 = 98.0;
/// The same where slots of its callers refuse meanwhile: over a tenth of the time.
const AT_WORK_PERCENT: f64 = 95.0;

/// Limits of the engine and of dependencies, the nearest first.
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

/// The limit that is most likely behind a trouble, which hits these functions from that moment on: the one that refused
/// most, unless that is of slots which are full of runs that wait for a dependency; else that of a dependency of theirs
/// that was at work all the time; else one of theirs that was full; else a dependency that had no room; else whatever
/// was full; else the timeout of one of them whose runs mostly fail by it.
pub(super) fn behind(run: &RunResult, functions: &[String], at_s: f64) -> Option<LimitRef> {
    let limits = &run.limits;
    let full = |limit: &&LimitResult| limit.peak >= limit.limit.value && limit.limit.value > 0.0;
    let theirs =
        |limit: &&LimitResult| functions.iter().any(|function| limit.limit.of.starts_with(function.as_str()));
    let dependency = |limit: &&LimitResult| limit.limit.scope == Scope::Dependency;
    let called = |limit: &&LimitResult| {
        let found = run.dependencies.iter().find(|d| d.name == limit.limit.of);
        found.filter(|d| dependency(limit) && d.callers.iter().any(|caller| functions.contains(caller)))
    };
    let at_work =
        |limit: &&LimitResult| called(limit).is_some_and(|d| busy_percent(run, d, at_s) >= AT_WORK_PERCENT);
    let saturated =
        |limit: &&LimitResult| called(limit).is_some_and(|d| d.utilisation_peak_percent >= SATURATED_PERCENT);
    let waited_for = limits.iter().filter(full).find(at_work);
    let refusing = limits.iter().filter(|limit| limit.refused > 0).max_by_key(|limit| limit.refused);
    // Slots that are full of runs which wait for a dependency refuse because of it.
    let refusing = match (refusing, waited_for) {
        (Some(slots), Some(behind)) if slots.limit.name == "concurrency" => Some(behind),
        (refusing, _) => refusing,
    };
    let found = refusing
        .or_else(|| limits.iter().filter(full).find(saturated))
        .or_else(|| limits.iter().filter(full).find(theirs))
        .or_else(|| limits.iter().filter(full).find(dependency))
        .or_else(|| limits.iter().find(full))
        .or_else(|| limits.iter().filter(|limit| limit.delayed > 0).max_by_key(|limit| limit.delayed));
    found.map(|limit| limit.limit.clone()).or_else(|| timeout(run, functions))
}

/// The timeout of the function among these that it ends most runs of, where it is what mostly fails them.
fn timeout(run: &RunResult, functions: &[String]) -> Option<LimitRef> {
    let ended = |f: &&FunctionResult| f.timeouts * 2 > f.failed.values().sum::<u64>();
    let theirs = run.functions.iter().filter(|f| functions.contains(&f.name)).filter(ended);
    theirs.max_by_key(|f| f.timeouts).map(|f| LimitRef {
        name: "timeout".into(),
        scope: Scope::Function,
        of: f.name.clone(),
        value: f.timeout_s,
        unit: "s".into(),
    })
}

/// How much of a dependency's servers was at work from a moment on, over a tenth of the time, percent.
fn busy_percent(run: &RunResult, dependency: &DependencyResult, at_s: f64) -> f64 {
    let slots = &dependency.times.utilisation_percent;
    let first = (at_s / run.slot_s.max(1e-9)) as usize;
    let first = first.min(slots.len().saturating_sub(1));
    let watched = (slots.len() / 10).max(1);
    let looked: Vec<f64> = slots.iter().skip(first).take(watched).copied().collect();
    looked.iter().sum::<f64>() / looked.len().max(1) as f64
}
