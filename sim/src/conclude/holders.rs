//! Who holds a limit, and who goes without.
//!
//! Who held what is known from looks, one for each slot of time; who was refused or put off by which limit is counted.

use std::collections::BTreeMap;

use flyball_core::{LimitName, Time};

use super::{limits, seconds};
use crate::{
    message::{FunctionNo, TenantNo},
    plan::{DependencyNo, Plan},
    result::{FunctionResult, Holder, LimitRef, RunResult, Scope, Starvation, figure},
    world::{BEGINNING, Look, Tally},
};

/// Looks are counted from the trouble's beginning on, over this share of the time.
const WATCHED: f64 = 0.1;
/// A tenant that holds so much is the holder, whatever function runs for it, percent.
const MOST_PERCENT: f64 = 50.0;
/// Those who are starved by one that are told.
const TOLD_MAX: usize = 10;

/// Who holds how much, in counts of looks.
#[derive(Default)]
struct Shares {
    functions: BTreeMap<FunctionNo, f64>,
    tenants: BTreeMap<TenantNo, f64>,
    all: f64,
}

impl Shares {
    fn add(&mut self, function: FunctionNo, tenant: TenantNo, count: u32) {
        let count = f64::from(count);
        *self.functions.entry(function).or_insert(0.0) += count;
        *self.tenants.entry(tenant).or_insert(0.0) += count;
        self.all += count;
    }

    fn percent(&self, of: f64) -> f64 {
        if self.all > 0.0 { figure(of * 100.0 / self.all) } else { 0.0 }
    }

    /// The function with the greatest share, with that share.
    fn function(&self) -> Option<(FunctionNo, f64)> {
        let (function, most) = self.functions.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)))?;
        Some((*function, self.percent(*most)))
    }

    /// The tenant with the greatest share, with that share.
    fn tenant(&self) -> Option<(TenantNo, f64)> {
        let (tenant, most) = self.tenants.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)))?;
        Some((*tenant, self.percent(*most)))
    }
}

/// Who holds most of a limit from that moment on. `None`: nobody else could hold it.
pub(super) fn held_by(plan: &Plan, tally: &Tally, limit: &LimitRef, from: Time) -> Option<Holder> {
    let shares = shares(plan, tally, limit, from)?;
    let own = matches!(limit.scope, Scope::Function | Scope::FunctionTenant);
    let one_caller = limit.scope == Scope::Dependency && shares.functions.len() < 2;
    let function = shares.function().filter(|_| !own && !one_caller && plan.functions.len() > 1);
    let tenant = shares.tenant().filter(|_| limit.scope != Scope::Tenant && plan.tenants.len() > 1);
    let by_tenant = tenant.filter(|(_, share)| *share >= MOST_PERCENT || function.is_none());
    match (by_tenant, function) {
        (Some((tenant, share_percent)), _) => Some(Holder {
            name: plan.tenants.get(tenant.0 as usize)?.to_string(),
            scope: Scope::Tenant,
            share_percent,
        }),
        (None, Some((function, share_percent))) => {
            Some(Holder { name: label(plan, function)?, scope: Scope::Function, share_percent })
        }
        (None, None) => None,
    }
}

fn label(plan: &Plan, function: FunctionNo) -> Option<String> {
    plan.functions.get(function.0 as usize).map(|function| function.label.clone())
}

/// Looks from a moment on, over a part of the time; the last one where there is none after it.
fn looks<'t>(plan: &Plan, tally: &'t Tally, from: Time) -> impl Iterator<Item = &'t Look> {
    let last = tally.looks.last().map_or(BEGINNING, |look| look.at);
    let from = from.min(last);
    let until = seconds(from) + plan.duration.0 as f64 / 1e6 * WATCHED;
    let first = tally.looks.iter().find(|look| look.at >= from).map(|look| look.at);
    tally
        .looks
        .iter()
        .filter(move |look| look.at >= from && (seconds(look.at) <= until || Some(look.at) == first))
}

fn shares(plan: &Plan, tally: &Tally, limit: &LimitRef, from: Time) -> Option<Shares> {
    let mut shares = Shares::default();
    let function_of = |name: &str| plan.functions.iter().position(|function| function.label == name);
    match (limit.scope, limit.name.as_str()) {
        (Scope::Platform, "concurrency") => {
            for ((function, tenant), count) in looks(plan, tally, from).flat_map(|look| &look.running) {
                shares.add(*function, *tenant, *count);
            }
        }
        (Scope::Function, "concurrency" | "rate") => {
            let own = function_of(&limit.of)?;
            for ((function, tenant), count) in looks(plan, tally, from).flat_map(|look| &look.running) {
                if function.0 as usize == own {
                    shares.add(*function, *tenant, *count);
                }
            }
        }
        (Scope::Tenant, "concurrency") => {
            let own = plan.tenants.iter().position(|tenant| tenant.as_str() == limit.of)?;
            for ((function, tenant), count) in looks(plan, tally, from).flat_map(|look| &look.running) {
                if tenant.0 as usize == own {
                    shares.add(*function, *tenant, *count);
                }
            }
        }
        (Scope::Dependency, _) => {
            let own = plan.dependencies.iter().position(|(name, _)| name.as_str() == limit.of)?;
            let own = DependencyNo(u32::try_from(own).ok()?);
            for ((to, function, tenant), count) in looks(plan, tally, from).flat_map(|look| &look.asking) {
                if *to == own {
                    shares.add(*function, *tenant, *count);
                }
            }
        }
        _ => return None,
    }
    (shares.all > 0.0).then_some(shares)
}

/// Who starves whom, the worst first: one holds at least half of a limit, while others are refused by it, or wait for
/// it for longer than their runs take.
pub(super) fn starved(plan: &Plan, tally: &Tally, run: &RunResult) -> Vec<Starvation> {
    let mut found = Vec::new();
    for status in &tally.limits {
        let limit = limits::reference(plan, &status.name, status.max);
        if !matches!(limit.scope, Scope::Platform | Scope::Function) || limit.name != "concurrency" {
            continue;
        }
        let Some(from) = first_held_up(tally, &status.name) else { continue };
        let Some(shares) = shares(plan, tally, &limit, from) else { continue };
        found.extend(of_functions(plan, tally, run, (&status.name, &limit), &shares));
        found.extend(of_tenants(plan, tally, run, &limit, &shares));
    }
    found.sort_by(|a: &Starvation, b| {
        let harm = |one: &Starvation| (one.throttled, one.whom_count);
        harm(b).cmp(&harm(a)).then(b.dwell_p99_ms.total_cmp(&a.dwell_p99_ms))
    });
    found.truncate(TOLD_MAX);
    found
}

/// When the limit refused or put off something for the first time.
fn first_held_up(tally: &Tally, limit: &LimitName) -> Option<Time> {
    let key = limit.to_string();
    let refused = tally.functions.iter().filter(|books| books.throttled.contains_key(&key));
    let refused = refused.filter_map(|books| books.first_throttled);
    let waited = tally.functions.iter().filter_map(|books| books.waited_for.get(limit)).map(|(_, at)| *at);
    refused.chain(waited).min()
}

/// One function takes what others need.
fn of_functions(
    plan: &Plan,
    tally: &Tally,
    run: &RunResult,
    (name, limit): (&LimitName, &LimitRef),
    shares: &Shares,
) -> Option<Starvation> {
    let (by, share_percent) = shares.function().filter(|(_, share)| *share >= MOST_PERCENT)?;
    if limit.scope != Scope::Platform {
        return None;
    }
    let key = name.to_string();
    let mut without: Vec<(&FunctionResult, u64)> = Vec::new();
    for ((books, function), number) in tally.functions.iter().zip(&run.functions).zip(0_u32..) {
        let refused = books.throttled.get(&key).copied().unwrap_or(0);
        let waits = books.waited_for.contains_key(name) && function.dwell.p99_ms > function.duration.p99_ms;
        if number != by.0 && (refused > 0 || waits) {
            without.push((function, refused));
        }
    }
    without.sort_by(|a, b| b.1.cmp(&a.1).then(b.0.dwell.p99_ms.total_cmp(&a.0.dwell.p99_ms)));
    (!without.is_empty()).then_some(())?;
    Some(Starvation {
        by: label(plan, by)?,
        by_scope: Scope::Function,
        share_percent,
        whom: without.iter().take(TOLD_MAX).map(|(function, _)| function.name.clone()).collect(),
        whom_scope: Scope::Function,
        whom_count: without.len() as u64,
        limit: limit.clone(),
        throttled: without.iter().map(|(_, refused)| refused).sum(),
        dwell_p99_ms: without.iter().map(|(function, _)| function.dwell.p99_ms).fold(0.0, f64::max),
    })
}

/// One tenant takes what others need.
fn of_tenants(
    plan: &Plan,
    tally: &Tally,
    run: &RunResult,
    limit: &LimitRef,
    shares: &Shares,
) -> Option<Starvation> {
    let (by, share_percent) = shares.tenant().filter(|(_, share)| *share >= MOST_PERCENT)?;
    let longest = run.functions.iter().map(|function| function.duration.p99_ms).fold(0.0, f64::max);
    let mut without: Vec<(usize, u64, f64)> = Vec::new();
    let arrivals = tally.tenants.get(by.0 as usize).map_or(0, |books| books.arrivals);
    for (number, books) in tally.tenants.iter().enumerate() {
        let waits_ms = books.dwell.quantile(0.99).map_or(0.0, |span| span.0 as f64 / 1e3);
        let quieter = number != by.0 as usize && books.arrivals <= arrivals;
        if quieter && (books.throttled > 0 || waits_ms > longest) {
            without.push((number, books.throttled, waits_ms));
        }
    }
    without.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
    (!without.is_empty()).then_some(())?;
    let named = without.iter().take(TOLD_MAX).filter_map(|(number, ..)| plan.tenants.get(*number));
    Some(Starvation {
        by: plan.tenants.get(by.0 as usize)?.to_string(),
        by_scope: Scope::Tenant,
        share_percent,
        whom: named.map(ToString::to_string).collect(),
        whom_scope: Scope::Tenant,
        whom_count: without.len() as u64,
        limit: limit.clone(),
        throttled: without.iter().map(|(_, refused, _)| refused).sum(),
        dwell_p99_ms: figure(without.iter().map(|(.., waits_ms)| *waits_ms).fold(0.0, f64::max)),
    })
}
