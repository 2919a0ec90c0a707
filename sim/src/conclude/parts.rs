//! Sources, functions, nodes and dependencies.

use flyball_core::FailureKind;

use super::{last, mean, most, peak, rate, ratio, seconds, share};
use crate::{
    dependency::Counts,
    plan::{
        Entrance, FunctionPlan, Plan, Platform,
        program::{Callee, OpAct},
    },
    result::{
        DependencyResult, DependencyTimes, FunctionResult, FunctionTimes, Leak, NodeResult, NodeTimes,
        Percentiles, SourceResult, SourceTimes, figure,
    },
    world::{DependencyTally, FunctionTally, NodeTally, SourceTally, Tally, failure_name},
};

pub(super) fn sources(plan: &Plan, tally: &Tally) -> Vec<SourceResult> {
    let simulated = seconds(tally.now);
    let one = |(source, books): (&crate::plan::SourcePlan, &SourceTally)| {
        let arrivals_per_s = rate(&books.arrivals_over);
        SourceResult {
            name: source.label.clone(),
            to: plan.ways.entered_by(&source.label).unwrap_or_default().to_string(),
            synchronous: source.entrance.waits(),
            scaled: source.source.scaled,
            arrivals: books.arrivals,
            arrivals_mean_per_s: if simulated > 0.0 {
                figure(books.arrivals as f64 / simulated)
            } else {
                0.0
            },
            arrivals_peak_per_s: arrivals_per_s.iter().copied().fold(0.0, f64::max),
            requests: books.requests,
            retries: books.retries,
            retries_let_be: books.let_be,
            answered: books.answered,
            failed: books.failed,
            errors: books.troubles.iter().map(|(trouble, count)| (trouble.name(), *count)).collect(),
            refused: books.refused.clone(),
            timeouts: books.timeouts,
            // Where nobody waits there is nothing to wait for.
            latency: match source.entrance {
                Entrance::Node(_) => Percentiles::default(),
                Entrance::Call { .. } | Entrance::Send { .. } => books.latency.percentiles(),
            },
            times: SourceTimes {
                arrivals_per_s,
                requests_per_s: rate(&books.requests_over),
                answered_per_s: rate(&books.answered_over),
                errors_per_s: rate(&books.errors_over),
                latency_p99_ms: share(&books.latency_over, 0.99),
            },
        }
    };
    plan.sources.iter().zip(&tally.sources).map(one).collect()
}

pub(super) fn functions(plan: &Plan, tally: &Tally) -> Vec<FunctionResult> {
    plan.functions.iter().zip(&tally.functions).map(|(f, books)| function(plan, tally, f, books)).collect()
}

fn function(plan: &Plan, tally: &Tally, function: &FunctionPlan, books: &FunctionTally) -> FunctionResult {
    let (concurrency_peak, concurrency_peak_at_s) = peak(&books.concurrency);
    let limits = plan.application.functions.get(function.name.as_str()).map(|f| f.limits.concurrency);
    let billed_s = books.billed_micros as f64 / 1e6;
    FunctionResult {
        name: function.label.clone(),
        memory_mb: figure(function.memory_mb),
        timeout_s: figure(function.timeout.0 as f64 / 1e6),
        runs: books.runs,
        succeeded: books.succeeded,
        events: books.items,
        attempts_mean: ratio(books.runs, books.succeeded + books.partly),
        attempts_peak: books.attempts_peak,
        failed: books.failed.iter().map(|(kind, count)| (failure_name(*kind).to_string(), *count)).collect(),
        throttled: books.throttled.clone(),
        timeouts: books.failed.get(&FailureKind::Timeout).copied().unwrap_or(0),
        orphans: books.orphans,
        cold_starts: books.cold_starts,
        init: books.init.percentiles(),
        duration: books.duration.percentiles(),
        dwell: books.dwell.percentiles(),
        concurrency_peak,
        concurrency_peak_at_s,
        concurrency_mean: mean(&books.concurrency),
        concurrency_max: limits.filter(|l| l.cap < u32::MAX).map(|l| f64::from(l.cap)),
        concurrency_guarantee: limits.filter(|l| l.guarantee > 0).map(|l| f64::from(l.guarantee)),
        billed_s: figure(billed_s),
        billed_gb_s: figure(billed_s * function.memory_mb / 1_024.0),
        memory_peak_mb: (plan.platform == Platform::Aws).then(|| figure(books.memory_peak_mb)),
        leak: leak(tally, function, books),
        times: FunctionTimes {
            concurrency: most(&books.concurrency),
            environments: most(&books.environments),
            runs_per_s: rate(&books.runs_over),
            failed_per_s: rate(&books.failed_over),
            throttled_per_s: rate(&books.throttled_over),
            cold_starts_per_s: rate(&books.cold_over),
            dwell_p50_ms: share(&books.dwell_over, 0.50),
            dwell_p99_ms: share(&books.dwell_over, 0.99),
        },
    }
}

/// How long an environment lives until what its runs leave behind fills its memory.
fn leak(tally: &Tally, function: &FunctionPlan, books: &FunctionTally) -> Option<Leak> {
    if function.leak_mb <= 0.0 {
        return None;
    }
    let runs = ((function.memory_mb - function.used_mb) / function.leak_mb).max(0.0);
    let environments = mean(&books.environments).max(1.0);
    let per_s = books.runs as f64 / seconds(tally.now).max(1e-6) / environments;
    Some(Leak {
        mb_per_run: figure(function.leak_mb),
        out_of_memory_after_s: if per_s > 0.0 { figure(runs / per_s) } else { 0.0 },
        out_of_memory_after_runs: figure(runs),
        out_of_memory: books.failed.get(&FailureKind::OutOfMemory).copied().unwrap_or(0),
        recycled: books.recycled,
    })
}

pub(super) fn nodes(plan: &Plan, tally: &Tally) -> Vec<NodeResult> {
    let one = |(number, books): (usize, &NodeTally)| {
        let (backlog_peak, backlog_peak_at_s) = peak(&books.backlog_over);
        let left = rate(&books.left_over);
        let pace =
            left.iter().skip(left.len() / 2).sum::<f64>() / (left.len() - left.len() / 2).max(1) as f64;
        let entered = rate(&books.entered_over);
        let comes =
            entered.iter().skip(entered.len() / 2).sum::<f64>() / (left.len() - left.len() / 2).max(1) as f64;
        let shrinks = pace - comes;
        NodeResult {
            name: books.label.clone(),
            kind: plan.nodes.get(number).map_or("queue", |node| node.kind_name()).into(),
            entered: books.entered,
            left: books.left,
            receives: books.receives,
            receives_mean: ratio(books.receives, books.left + books.dead.values().sum::<u64>()),
            handled_again: books.handled_again,
            backlog_end: books.backlog,
            backlog_peak: backlog_peak as u64,
            backlog_peak_at_s,
            drained_after_s: match books.backlog {
                0 => Some(0.0),
                backlog => (shrinks > 0.0).then(|| figure(backlog as f64 / shrinks)),
            },
            oldest_age_peak_s: peak(&books.oldest_over).0,
            dead_letters: books.dead.clone(),
            dead_letters_to: plan.dead_letters_of(number),
            dropped: books.dropped.clone(),
            to_end: books.to_end.percentiles(),
            times: NodeTimes {
                backlog: last(&books.backlog_over),
                entered_per_s: entered,
                left_per_s: left,
                oldest_age_s: last(&books.oldest_over),
                dead_letters_per_s: rate(&books.dead_over),
            },
        }
    };
    // A function's inbox is there whether or not anybody sends to it.
    let idle = |books: &NodeTally| books.label.starts_with('@') && books.entered == 0;
    tally.nodes.iter().enumerate().filter(|(_, books)| !idle(books)).map(one).collect()
}

/// Calls whose work was taken on.
pub(super) fn taken_on(counts: &Counts) -> u64 {
    let not =
        counts.refused_full + counts.refused_connection + counts.refused_out_of_order + counts.duplicates;
    counts.asked.saturating_sub(not)
}

/// How much of a dependency's servers was at work in each slot, percent.
fn utilisation(books: &DependencyTally, servers: Option<f64>) -> Vec<f64> {
    let Some(servers) = servers else { return Vec::new() };
    books.in_service.iter().map(|(_, slot)| figure(slot.mean().min(servers) * 100.0 / servers)).collect()
}

pub(super) fn dependencies(plan: &Plan, tally: &Tally) -> Vec<DependencyResult> {
    let arrivals: u64 = tally.sources.iter().map(|source| source.arrivals).sum();
    let one = |((name, stated), books): (
        &(flyball_core::Name, flyball_app::workload::Dependency),
        &DependencyTally,
    )| {
        let (connections_peak, connections_peak_at_s) = peak(&books.connections);
        let servers = stated.servers.map(f64::from);
        let counts = &books.counts;
        let refused = [("connections", counts.refused_connection), ("waiting", counts.refused_full)];
        let in_service = mean(&books.in_service);
        DependencyResult {
            name: name.to_string(),
            callers: callers(plan, name),
            calls: counts.asked,
            answered: books.answered,
            refused: refused.into_iter().filter(|(_, n)| *n > 0).map(|(n, c)| (n.to_string(), c)).collect(),
            failed: counts.failed,
            broken_off: counts.broken_off,
            orphans: counts.orphans,
            orphans_s: figure(counts.orphaned_micros as f64 / 1e6),
            duplicates: counts.duplicates,
            executions_per_event: ratio(taken_on(counts), arrivals),
            connections_max: stated.connections_max.map(f64::from),
            connections_peak,
            connections_peak_at_s,
            servers,
            in_service_peak: peak(&books.in_service).0,
            waiting_peak: peak(&books.waiting).0,
            utilisation_percent: servers.map_or(0.0, |n| figure(in_service * 100.0 / n)).min(100.0),
            utilisation_peak_percent: servers
                .map_or(0.0, |n| utilisation(books, Some(n)).into_iter().fold(0.0, f64::max)),
            latency: books.latency.percentiles(),
            times: DependencyTimes {
                connections: most(&books.connections),
                in_service: most(&books.in_service),
                waiting: most(&books.waiting),
                utilisation_percent: utilisation(books, servers),
                latency_p99_ms: share(&books.latency_over, 0.99),
            },
        }
    };
    plan.dependencies.iter().zip(&tally.dependencies).map(one).collect()
}

/// The functions that call a dependency, by name.
fn callers(plan: &Plan, name: &flyball_core::Name) -> Vec<String> {
    let called = plan.dependencies.iter().position(|(known, _)| known == name);
    let calls = |function: &&FunctionPlan| {
        function.program.ops().any(|op| match &op.act {
            OpAct::Call(call) => matches!(call.to, Callee::Dependency(to) if Some(to.0 as usize) == called),
            _ => false,
        })
    };
    plan.functions.iter().filter(calls).map(|function| function.label.clone()).collect()
}
