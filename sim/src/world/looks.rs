//! What is looked at once in each slot of time: who holds what, and how old the oldest messages are. To count it at
//! every step would cost more than it tells.
//!
//! - [`Look`]: one moment. - [`Groups`]: quiet tenants against loud ones, over all of the time.

use std::collections::BTreeMap;

use flyball_app::workload::{Tenants, Volume};
use flyball_core::{Span, Time};

use super::{BEGINNING, CallerKey, RunKey, World, invoke::Who, run::call_op};
use crate::{
    measure::{Histogram, Series},
    message::{FunctionNo, TenantNo},
    plan::{DependencyNo, Plan, program::Callee},
    result::SLOTS_MAX,
};

/// Calls and records that one look goes through at most: a part of many tells the shares as well.
const LOOKED_AT_MAX: usize = 20_000;

/// Who held what at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Look {
    /// The moment.
    pub at: Time,
    /// Runs under way.
    pub running: BTreeMap<(FunctionNo, TenantNo), u32>,
    /// Calls in work or waiting.
    pub asking: BTreeMap<(DependencyNo, FunctionNo, TenantNo), u32>,
}

/// From one look to the next: a slot of the series.
pub(super) fn apart(plan: &Plan) -> Span {
    Span(plan.duration.0.div_ceil(SLOTS_MAX as u64).max(1))
}

impl World<'_> {
    /// Looks, at the end of the slot that is over before `next` happens.
    pub(super) fn look(&mut self, next: Time) {
        let at = self.look_at;
        let apart = apart(self.plan);
        // Where nothing happened for some slots, one look tells them all.
        let slots = next.since(at).0 / apart.0 + 1;
        self.look_at = at.after(Span(apart.0.saturating_mul(slots)));
        let mut look = Look { at, ..Look::default() };
        for run in self.runs.values() {
            *look.running.entry((run.function, run.tenant)).or_insert(0) += 1;
        }
        for asker in self.calls.values().take(LOOKED_AT_MAX) {
            let Some((to, function, tenant)) = self.asked_of(asker.run, asker.wait.strand) else {
                continue;
            };
            *look.asking.entry((to, function, tenant)).or_insert(0) += 1;
        }
        self.tally.looks.push(look);
        let oldest: Vec<Option<Time>> = self.parts.iter().map(|part| part.oldest()).collect();
        self.tally.oldest(at, &oldest, &self.store.oldest(LOOKED_AT_MAX));
    }

    /// Which dependency a call asks, and for whom.
    fn asked_of(&self, run: RunKey, strand: u16) -> Option<(DependencyNo, FunctionNo, TenantNo)> {
        let run = self.runs.get(run)?;
        let to = match (&run.real, call_op(self.plan, run, strand).map(|op| op.to)) {
            (Some(real), _) => real.asked?,
            (None, Some(Callee::Dependency(to))) => to,
            (None, _) => return None,
        };
        Some((to, run.function, run.tenant))
    }

    /// Whether nobody waits any more for what a run is about to answer, or what it works on has been handed out again.
    pub(super) fn is_for_nobody(&self, caller: Option<CallerKey>) -> bool {
        // What is sent is taken on, whoever sent it.
        let Some(caller) = caller else { return false };
        match self.callers.get(caller).map(|caller| caller.who) {
            // The engine was told that it had gone.
            None => true,
            Some(Who::Request(key, tries)) => !self.requests.get(key).is_some_and(|r| r.waits_for(tries)),
            Some(Who::Step(run, wait)) => !self.runs.get(run).is_some_and(|run| run.waits_for(wait)),
            Some(Who::Part(part, token)) => {
                self.parts.get(part.0 as usize).is_some_and(|part| part.is_stale(token))
            }
            Some(Who::Nobody) => false,
        }
    }
}

/// Tenants of a kind, over time.
#[derive(Debug)]
pub(crate) struct Group {
    /// `quiet`, `median`, `loud`.
    pub name: &'static str,
    /// Its tenants.
    pub tenants: Vec<TenantNo>,
    pub dwell_over: Series<Histogram>,
    pub arrivals_over: Series<u64>,
}

/// Three kinds of tenants, by what they are stated to send: the quieter half, the one in the middle, the loudest.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub all: Vec<Group>,
    /// By tenant: its group. Empty where all are alike.
    of: Vec<u8>,
}

/// In no group.
const NONE: u8 = u8::MAX;
/// The loudest sends so many times as much as one of the quieter half, or there is nothing to tell apart.
const LOUDER: f64 = 2.0;

impl Groups {
    pub(super) fn new(plan: &Plan) -> Groups {
        let stated = stated(plan);
        let mut order: Vec<usize> = (0..stated.len()).filter(|n| share(&stated, *n) > 0.0).collect();
        order.sort_by(|a, b| share(&stated, *a).total_cmp(&share(&stated, *b)).then(b.cmp(a)));
        let half = order.len() / 2;
        let (Some(&loudest), Some(&middle), quiet) = (order.last(), order.get(half), order.get(..half))
        else {
            return Groups::default();
        };
        let quiet = quiet.unwrap_or_default();
        let mean = quiet.iter().map(|n| share(&stated, *n)).sum::<f64>() / quiet.len().max(1) as f64;
        if quiet.is_empty() || share(&stated, loudest) < mean * LOUDER {
            return Groups::default();
        }
        let mut of = vec![NONE; stated.len()];
        let mut all = Vec::new();
        let middle = Some(middle).filter(|middle| *middle != loudest);
        let kinds =
            [("quiet", quiet.to_vec()), ("median", middle.into_iter().collect()), ("loud", vec![loudest])];
        for (name, tenants) in kinds.into_iter().filter(|(_, tenants)| !tenants.is_empty()) {
            for tenant in &tenants {
                if let Some(group) = of.get_mut(*tenant) {
                    *group = u8::try_from(all.len()).unwrap_or(NONE);
                }
            }
            all.push(Group {
                name,
                tenants: tenants.iter().filter_map(|n| u32::try_from(*n).ok().map(TenantNo)).collect(),
                dwell_over: Series::for_run(BEGINNING, plan.duration, SLOTS_MAX),
                arrivals_over: Series::for_run(BEGINNING, plan.duration, SLOTS_MAX),
            });
        }
        Groups { all, of }
    }

    fn group(&mut self, tenant: TenantNo) -> Option<&mut Group> {
        let group = *self.of.get(tenant.0 as usize)?;
        self.all.get_mut(usize::from(group))
    }

    pub(super) fn arrival(&mut self, now: Time, tenant: TenantNo) {
        if let Some(group) = self.group(tenant) {
            group.arrivals_over.update(now, |slot| *slot += 1);
        }
    }

    pub(super) fn started(&mut self, now: Time, tenant: TenantNo, dwell: Span) {
        if let Some(group) = self.group(tenant) {
            group.dwell_over.update(now, |slot| slot.record(dwell));
        }
    }

    pub(super) fn close(&mut self, now: Time) {
        for group in &mut self.all {
            group.dwell_over.close(now);
            group.arrivals_over.close(now);
        }
    }
}

fn share(stated: &[f64], tenant: usize) -> f64 {
    stated.get(tenant).copied().unwrap_or(0.0)
}

/// About how many events each tenant is stated to send.
fn stated(plan: &Plan) -> Vec<f64> {
    let mut stated = vec![0.0; plan.tenants.len()];
    for source in &plan.sources {
        let of = &source.source;
        let until = of.until.unwrap_or(plan.window.ends()).min(plan.window.ends());
        let lasts = until.0.saturating_sub(of.from.max(plan.window.begins).0) as f64 / 1e6;
        let events = match &of.volume {
            Volume::PerSecond(per_s) => per_s * lasts,
            Volume::Users { count, .. } => f64::from(*count) * lasts,
            Volume::Trace(_) | Volume::Recorded(_) => lasts,
        };
        let events = of.events_max.map_or(events, |most| events.min(most as f64));
        let (count, zipf) = match &of.tenants {
            Tenants::One(_) => (1, 0.0),
            Tenants::Many { count, zipf } => (*count, *zipf),
        };
        let weight = |rank: u32| libm::pow(f64::from(rank), -zipf);
        let sum: f64 = (1..=count).map(weight).sum();
        let first = source.first_tenant.0 as usize;
        for (tenant, rank) in stated.iter_mut().skip(first).zip(1..=count) {
            *tenant += events * weight(rank) / sum.max(1e-300);
        }
    }
    stated
}
