//! Tenants against one another.

use super::{percent, rate, share};
use flyball_app::workload::Tenants;

use crate::{
    measure::Histogram,
    plan::Plan,
    result::{NamedValue, Quantile, TENANTS_SHOWN_MAX, TenantGroup, TenantResult, TenantsResult, figure},
    world::{Group, Tally, TenantTally},
};

/// Steps of the distribution over tenants.
const STEPS: usize = 100;

pub(super) fn tenants(plan: &Plan, tally: &Tally) -> TenantsResult {
    let mut active: Vec<(usize, f64)> = tally
        .tenants
        .iter()
        .enumerate()
        .filter_map(|(number, books)| Some((number, books.dwell.quantile(0.99)?.0 as f64 / 1e3)))
        .collect();
    active.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let named = |found: Option<&(usize, f64)>| {
        found.map(|(number, value)| NamedValue { name: name(plan, *number), value: figure(*value) })
    };
    let over = |step: usize| {
        let at = (active.len().saturating_sub(1)) * step / STEPS;
        let value = active.get(at).map_or(0.0, |(_, value)| figure(*value));
        Quantile { percent: step as f64 * 100.0 / STEPS as f64, value }
    };
    TenantsResult {
        active: tally.tenants.iter().filter(|books| books.arrivals > 0).count() as u64,
        dwell_p99_best: named(active.first()),
        dwell_p99_median: named(active.get(active.len() / 2)),
        dwell_p99_worst: named(active.last()),
        dwell_p99_over_tenants_ms: if active.len() > 1 {
            (0..=STEPS).map(over).collect()
        } else {
            Vec::new()
        },
        shown: shown(plan, tally),
        groups: tally.groups_of_tenants.all.iter().map(|group| groups(plan, group)).collect(),
        // Who starves whom is said by limits.
        starved: Vec::new(),
    }
}

/// What 99 of 100 events of a source's tenants wait at most, milliseconds. `None`: there is no such source.
pub(super) fn dwell_p99_ms(plan: &Plan, tally: &Tally, source: &str) -> Option<f64> {
    let source = plan.sources.iter().find(|plan| plan.label == source)?;
    let count = match &source.source.tenants {
        Tenants::One(_) => 1,
        Tenants::Many { count, .. } => *count as usize,
    };
    let mut all = Histogram::default();
    for books in tally.tenants.iter().skip(source.first_tenant.0 as usize).take(count) {
        all.merge(&books.dwell);
    }
    Some(all.percentiles().p99_ms)
}

fn groups(plan: &Plan, group: &Group) -> TenantGroup {
    let one = match group.tenants.as_slice() {
        [one] => name(plan, one.0 as usize),
        _ => String::new(),
    };
    TenantGroup {
        group: group.name.into(),
        tenants: group.tenants.len() as u64,
        name: one,
        dwell_p99_ms: share(&group.dwell_over, 0.99),
        arrivals_per_s: rate(&group.arrivals_over),
    }
}

fn name(plan: &Plan, number: usize) -> String {
    plan.tenants.get(number).map(ToString::to_string).unwrap_or_default()
}

/// The loudest, then the worst off, then those at the quiet end.
fn shown(plan: &Plan, tally: &Tally) -> Vec<TenantResult> {
    let arrivals: u64 = tally.tenants.iter().map(|books| books.arrivals).sum();
    let throttled: u64 = tally.tenants.iter().map(|books| books.throttled).sum();
    let mut by_load: Vec<usize> =
        (0..tally.tenants.len()).filter(|n| has_any(tally.tenants.get(*n))).collect();
    by_load.sort_by_key(|n| std::cmp::Reverse(tally.tenants.get(*n).map_or(0, |books| books.arrivals)));
    let mut by_trouble = by_load.clone();
    by_trouble.sort_by_key(|n| std::cmp::Reverse(tally.tenants.get(*n).map_or((0, 0), trouble)));
    let third = TENANTS_SHOWN_MAX / 3;
    let quiet = by_load.iter().rev().take(third);
    let middle = by_load.get(by_load.len() / 2);
    let mut chosen: Vec<usize> = by_load
        .iter()
        .take(third)
        .chain(by_trouble.iter().take(third))
        .chain(middle)
        .chain(quiet)
        .copied()
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.sort_by_key(|n| (std::cmp::Reverse(tally.tenants.get(*n).map_or(0, |books| books.arrivals)), *n));
    let one = |number: usize| {
        let books = tally.tenants.get(number)?;
        Some(TenantResult {
            name: name(plan, number),
            arrivals: books.arrivals,
            arrivals_percent: figure(percent(books.arrivals, arrivals)),
            throttled: books.throttled,
            throttled_percent: figure(percent(books.throttled, throttled)),
            errors: books.errors,
            dead_letters: books.dead,
            dwell: books.dwell.percentiles(),
            cost_usd_per_month: 0.0,
        })
    };
    chosen.into_iter().filter_map(one).collect()
}

fn has_any(books: Option<&TenantTally>) -> bool {
    books.is_some_and(|books| books.arrivals > 0)
}

fn trouble(books: &TenantTally) -> (u64, u64) {
    (books.errors + books.dead + books.throttled, books.dwell.quantile(0.99).map_or(0, |span| span.0))
}
