//! The scheduler's counters, counted again from what they stand for. For `invariant` only.

use std::collections::BTreeMap;

use super::{Blocker, CLASSES, Charge, Class, Flow, FunctionIx, Ix, Place, Scheduler, TenantIx};

/// What really runs, as the engine's invocations say: (flow, function, tenant, charge).
pub(crate) type Runs = Vec<Run>;

type Run = (Ix<Flow>, FunctionIx, TenantIx, Charge);

impl Scheduler {
    /// Running never exceeds a cap, at any level.
    pub(crate) fn over_cap(&self) -> Option<String> {
        let over = |what: String, gate: &super::Gate| {
            let over = gate.running > gate.cap;
            over.then(|| format!("{what}: {} running, the cap is {}", gate.running, gate.cap))
        };
        let flows = self.flows.iter();
        over("platform".into(), &self.platform)
            .or_else(|| {
                self.functions.iter().enumerate().find_map(|(i, f)| over(format!("function {i}"), &f.gate))
            })
            .or_else(|| flows.into_iter().find_map(|(ix, f)| over(format!("flow {ix:?}"), &f.gate)))
            .or_else(|| {
                (self.long_running > self.long_cap)
                    .then(|| format!("long functions: {} running, cap {}", self.long_running, self.long_cap))
            })
    }

    /// Every counter is what the runs add up to, and what is guaranteed is not lent.
    pub(crate) fn miscounted(&self, runs: &Runs) -> Option<String> {
        let count = |wanted: &dyn Fn(&Run) -> bool| runs.iter().filter(|run| wanted(run)).count() as u32;
        let wrong = |what: String, is: u32, should: u32| {
            (is != should).then(|| format!("{what} counts {is}, there are {should}"))
        };
        let shared = count(&|run| run.3 == Charge::Shared);
        let all = wrong("platform".into(), self.platform.running, runs.len() as u32)
            .or_else(|| wrong("shared".into(), self.shared_running, shared))
            .or_else(|| (shared > self.shared_cap()).then(|| format!("{shared} shared runs use guarantees")));
        if all.is_some() {
            return all;
        }
        let mut held_by_tenant: BTreeMap<TenantIx, u32> = BTreeMap::new();
        let mut held_by_function: BTreeMap<FunctionIx, u32> = BTreeMap::new();
        for (ix, flow) in self.flows.iter() {
            let charged = count(&|run| run.0 == ix && run.3 == Charge::Flow);
            let wrong = wrong(format!("flow {ix:?}"), flow.gate.running, count(&|run| run.0 == ix))
                .or_else(|| wrong(format!("flow {ix:?} guarantee"), flow.charged, charged));
            if wrong.is_some() {
                return wrong;
            }
            let held = flow.gate.guarantee.saturating_sub(flow.charged);
            *held_by_tenant.entry(flow.tenant).or_default() += held;
            *held_by_function.entry(flow.function).or_default() += held;
        }
        for index in 0..self.tenants.len() as u32 {
            let ix = TenantIx(index);
            let share = &self.tenants[ix];
            let charged = count(&|run| run.2 == ix && matches!(run.3, Charge::Flow | Charge::Tenant));
            let held = held_by_tenant.get(&ix).copied().unwrap_or(0);
            let found = wrong(format!("tenant {index}"), share.gate.running, count(&|run| run.2 == ix))
                .or_else(|| wrong(format!("tenant {index} guarantee"), share.charged, charged))
                .or_else(|| wrong(format!("tenant {index} held"), share.held, held))
                .or_else(|| {
                    (share.charged + share.held > share.gate.guarantee)
                        .then(|| format!("tenant {index}: its flows' guarantees were lent"))
                });
            if found.is_some() {
                return found;
            }
        }
        (0..self.functions.len() as u32).find_map(|index| {
            let ix = FunctionIx(index);
            let share = &self.functions[ix];
            let held = held_by_function.get(&ix).copied().unwrap_or(0);
            let charged = count(&|run| run.1 == ix && run.3 == Charge::Function);
            wrong(format!("function {index}"), share.gate.running, count(&|run| run.1 == ix))
                .or_else(|| wrong(format!("function {index} guarantee"), share.charged, charged))
                .or_else(|| wrong(format!("function {index} held"), share.held, held))
        })
    }

    /// No flow that could start is left waiting, judged flow by flow without the heaps.
    pub(crate) fn idle_work(&self) -> Option<String> {
        if self.platform.full() || self.platform.rate_ready() > self.now {
            return None;
        }
        let shared = self.shared_running < self.shared_cap();
        self.flows.iter().find_map(|(ix, flow)| {
            let may = self.may_start(flow) && (shared || self.charge_of(ix) != Charge::Shared);
            may.then(|| format!("flow {ix:?} could start but waits as {:?}", flow.place))
        })
    }

    fn may_start(&self, flow: &Flow) -> bool {
        let tenant = &self.tenants[flow.tenant];
        let function = &self.functions[flow.function];
        let owed = flow.charged < flow.gate.guarantee;
        let room = |gate: &super::Gate, held: u32| gate.room() > if owed { 0 } else { held };
        !flow.ready.is_empty()
            && !flow.gate.full()
            && room(&tenant.gate, tenant.held)
            && room(&function.gate, function.held)
            && (!function.long || self.long_running < self.long_cap)
            && !function.blocked_downstream
            && [flow.hold_until, flow.gate.rate_ready(), tenant.gate.rate_ready(), function.gate.rate_ready()]
                .into_iter()
                .all(|at| at <= self.now)
    }

    /// Every flow is in the heap that its place names, and in no other.
    pub(crate) fn misplaced(&self) -> Option<String> {
        self.flows.iter().find_map(|(ix, flow)| {
            let function = &self.functions[flow.function];
            let stands = |class: &Class| function.heap(*class).iter().any(|stand| *stand == flow.stand(ix));
            let heaps: Vec<_> = CLASSES.into_iter().filter(stands).collect();
            let fits = match flow.place {
                Place::Heap(class) => heaps == [class],
                Place::Idle | Place::Parked(_) => heaps.is_empty(),
            };
            let idle = flow.ready.is_empty() == (flow.place == Place::Idle);
            let parked_for_batch =
                flow.place == Place::Parked(Blocker::Batch) && flow.hold_until == crate::Time(0);
            (!fits || !idle || parked_for_batch)
                .then(|| format!("flow {ix:?} is {:?}, in {heaps:?}", flow.place))
        })
    }
}
