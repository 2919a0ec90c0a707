//! What is behind a broken promise: a limit on the way of what is hit, the patience of who waits, an error rate that is
//! stated; or none of these, and what most of the trouble is.

use std::collections::BTreeSet;

use flyball_app::workload::Measure;
use flyball_core::FailureKind;

use super::limits;
use crate::{
    plan::{
        Entrance, Plan,
        program::{Callee, OpAct},
    },
    result::{DependencyResult, FunctionResult, Hit, LimitRef, LimitResult, NodeResult, RunResult, Scope},
    used::CameBack,
    world::{SourceTally, Tally, Trouble, failure_name},
};

/// A dependency whose servers are so busy over a whole slot is what its callers wait for, percent.
const SATURATED_PERCENT: f64 = 98.0;
/// The same where slots of its callers refuse meanwhile: over a tenth of the time.
const AT_WORK_PERCENT: f64 = 95.0;

/// What is behind a broken promise.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Cause {
    /// The limit, if it is one.
    pub limit: Option<LimitRef>,
    /// Else what most of the trouble is, in words. Empty: nothing is known of it.
    pub reason: String,
}

impl Cause {
    fn limit(limit: &LimitRef) -> Cause {
        Cause { limit: Some(limit.clone()), reason: String::new() }
    }
}

/// What is behind a promise that broke at that moment. `hit`: whom it hits most.
pub(super) fn behind(
    (plan, tally, run): (&Plan, &Tally, &RunResult),
    measure: Measure,
    hit: Option<&Hit>,
    at_s: f64,
) -> Cause {
    // What traffic costs no limit makes.
    let Some(hit) = hit.filter(|_| measure != Measure::CostPerMonth) else { return Cause::default() };
    let way = Way::of(plan, hit);
    let limits = way.limits(plan, tally, run);
    let seen = Seen { plan, tally, run, way, limits, at_s };
    match seen.trouble(measure, hit) {
        Some(What::Patience(limit, count)) => seen.slow(count).map_or(Cause::limit(&limit), Cause::limit),
        Some(What::Intake) => seen.intake(&hit.name).unwrap_or_else(|| seen.met(measure, hit)),
        Some(What::Failures) => seen.failures().unwrap_or_else(|| seen.met(measure, hit)),
        Some(What::Late) => {
            let late = format!("work on messages of {} lasts longer than their visibility timeout", hit.name);
            seen.slow(0).map_or(Cause { limit: None, reason: late }, Cause::limit)
        }
        None => seen.met(measure, hit),
    }
}

/// What most of the trouble is.
enum What {
    /// Somebody did not wait for so long, so often.
    Patience(LimitRef, u64),
    /// A node did not take in so much.
    Intake,
    /// Runs that failed.
    Failures,
    /// Work that lasts longer than its message is hidden.
    Late,
}

/// All that lies on the way of what is hit: who works on it, and what they ask and wait for.
struct Way {
    functions: BTreeSet<String>,
    /// What is hit, and what it hands on to.
    nodes: BTreeSet<String>,
    gateway: Option<LimitRef>,
    /// What is hit; of a source, the node that it enters.
    name: String,
}

impl Way {
    fn of(plan: &Plan, hit: &Hit) -> Way {
        let mut way =
            Way { functions: BTreeSet::new(), nodes: BTreeSet::new(), gateway: None, name: hit.name.clone() };
        match hit.scope {
            Scope::Node => way.enter(plan, &hit.name),
            Scope::Entrance => {
                way.functions.extend(plan.called_by(&hit.name));
                let source = plan.sources.iter().find(|source| source.label == hit.name);
                match source.map(|source| &source.entrance) {
                    Some(Entrance::Call { gateway, .. }) => {
                        way.gateway = gateway.as_ref().map(crate::plan::Gateway::limit);
                    }
                    Some(Entrance::Send { target, .. }) => way.enter(plan, target),
                    Some(Entrance::Node(node)) => {
                        let label = plan.nodes.get(node.0 as usize).map(|node| node.label.clone());
                        // What it waits for is what waits there.
                        way.name = label.unwrap_or_default();
                        way.enter(plan, &way.name.clone());
                    }
                    None => {}
                }
            }
            _ => {
                way.functions.insert(hit.name.clone());
            }
        }
        way.called(plan);
        way
    }

    /// A node with who takes from it, and the nodes that it hands on to by itself.
    fn enter(&mut self, plan: &Plan, node: &str) {
        let is_function = |name: &str| plan.functions.iter().any(|function| function.label == name);
        let mut waiting = vec![node.to_string()];
        while let Some(node) = waiting.pop() {
            self.functions.extend(plan.readers(&node));
            let further = plan.ways.next(&node).filter(|next| !is_function(next));
            waiting.extend(further.filter(|next| !self.nodes.contains(*next)).map(str::to_string));
            self.nodes.insert(node);
        }
    }

    /// The functions that those on the way call, and wait for.
    fn called(&mut self, plan: &Plan) {
        let mut waiting: Vec<String> = self.functions.iter().cloned().collect();
        while let Some(name) = waiting.pop() {
            let Some(function) = plan.functions.iter().find(|function| function.label == name) else {
                continue;
            };
            for op in function.program.ops() {
                if let OpAct::Call(call) = &op.act
                    && let Callee::Function(to) = call.to
                    && let Some(to) = plan.functions.get(to.0 as usize)
                    && self.functions.insert(to.label.clone())
                {
                    waiting.push(to.label.clone());
                }
            }
        }
    }

    /// The limits on it, the nearest first. Of those that all share, only what they refused on this way counts.
    fn limits(&self, plan: &Plan, tally: &Tally, run: &RunResult) -> Vec<LimitResult> {
        let own = |limit: &LimitResult| {
            let of = &limit.limit.of;
            match limit.limit.scope {
                Scope::Platform | Scope::Tenant | Scope::Store => true,
                Scope::Function => self.functions.contains(of),
                Scope::FunctionTenant => self.functions.iter().any(|function| of.starts_with(function)),
                // What a further node has by itself, such as its readers, makes nothing wait here.
                Scope::Node => *of == self.name || (self.nodes.contains(of) && limit.refused > 0),
                Scope::Entrance => false,
                Scope::Dependency => {
                    let found = run.dependencies.iter().find(|dependency| dependency.name == *of);
                    found.is_some_and(|one| {
                        one.name == self.name || one.callers.iter().any(|name| self.functions.contains(name))
                    })
                }
            }
        };
        let mut limits: Vec<LimitResult> = run.limits.iter().filter(|limit| own(limit)).cloned().collect();
        for limit in limits.iter_mut().filter(|limit| limit.limit.scope == Scope::Platform) {
            let named = tally
                .limits
                .iter()
                .find(|status| limits::reference(plan, &status.name, status.max) == limit.limit);
            let Some(named) = named else { continue };
            let key = named.name.to_string();
            let here = plan.functions.iter().zip(&tally.functions);
            let here = here.filter(|(function, _)| self.functions.contains(&function.label));
            limit.refused = here.filter_map(|(_, books)| books.throttled.get(&key)).sum();
        }
        limits
    }
}

/// What is looked at.
struct Seen<'a> {
    plan: &'a Plan,
    tally: &'a Tally,
    run: &'a RunResult,
    way: Way,
    limits: Vec<LimitResult>,
    at_s: f64,
}

impl Seen<'_> {
    /// What most of the trouble is of whom the promise hits. `None`: nothing special.
    fn trouble(&self, measure: Measure, hit: &Hit) -> Option<What> {
        match (measure, hit.scope) {
            (Measure::ErrorsPercent, Scope::Entrance) => {
                let (trouble, count) = self.commonest(&hit.name)?;
                match trouble {
                    Trouble::ClientTimeout => Some(What::Patience(self.patience(&hit.name)?, count)),
                    Trouble::GatewayTimeout => Some(What::Patience(self.way.gateway.clone()?, count)),
                    Trouble::Failed(FailureKind::Timeout) => Some(What::Patience(self.timeout()?, count)),
                    Trouble::Failed(_) => Some(What::Failures),
                    Trouble::Throttled | Trouble::Refused(_) => None,
                }
            }
            (Measure::Dropped | Measure::DeadLetters, Scope::Node) => {
                let (number, node) = self.node(&hit.name)?;
                let why = reasons(node).map(|(why, _)| why);
                let came_back = self.tally.used.get(number).map(|(_, came_back)| *came_back);
                let CameBack { failed, throttled, late } = came_back.unwrap_or_default();
                match why {
                    Some("rate" | "bytes") => Some(What::Intake),
                    Some("retention" | "age") => None,
                    _ if came_back.is_none() => Some(What::Failures),
                    _ if late > failed.max(throttled) => Some(What::Late),
                    _ if failed > throttled => Some(What::Failures),
                    // Streams and asynchronous invocations keep no count: they lose no attempt by a throttle.
                    _ if failed + throttled == 0 && why == Some("attempts") => {
                        (!self.plan.readers(&hit.name).is_empty()).then_some(What::Failures)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// A node's place among the run's, and what was measured there.
    fn node(&self, name: &str) -> Option<(usize, &NodeResult)> {
        let number = self.tally.nodes.iter().position(|books| books.label == name)?;
        Some((number, self.run.nodes.iter().find(|node| node.name == name)?))
    }

    fn books(&self, source: &str) -> Option<(&crate::plan::SourcePlan, &SourceTally)> {
        self.plan.sources.iter().zip(&self.tally.sources).find(|(plan, _)| plan.label == source)
    }

    /// Why most tries of a source came to nothing.
    fn commonest(&self, source: &str) -> Option<(Trouble, u64)> {
        let (_, books) = self.books(source)?;
        let most = books.troubles.iter().max_by_key(|(_, count)| **count)?;
        Some((*most.0, *most.1))
    }

    /// How long callers wait.
    fn patience(&self, source: &str) -> Option<LimitRef> {
        let (plan, _) = self.books(source)?;
        let value = plan.source.client.timeout?.0 as f64 / 1e6;
        let (name, of, unit) = ("patience".into(), source.into(), "s".into());
        Some(LimitRef { name, scope: Scope::Entrance, of, value, unit })
    }

    fn is_full(limit: &LimitResult) -> bool {
        match limit.limit.scope {
            // Rates are full for moments without anybody noticing it.
            Scope::Node if limit.limit.unit.ends_with("/s") => limit.refused + limit.delayed > 0,
            _ => limit.peak >= limit.limit.value && limit.limit.value > 0.0,
        }
    }

    fn full(&self) -> impl Iterator<Item = &LimitResult> {
        self.limits.iter().filter(|limit| Self::is_full(limit))
    }

    fn dependency(&self, limit: &LimitResult) -> Option<&DependencyResult> {
        let found = self.run.dependencies.iter().find(|one| one.name == limit.limit.of);
        found.filter(|_| limit.limit.scope == Scope::Dependency)
    }

    /// A dependency that was at work all the time.
    fn waited_for(&self) -> Option<&LimitResult> {
        let busy = |one: &DependencyResult| busy_percent(self.run, one, self.at_s) >= AT_WORK_PERCENT;
        self.full().find(|limit| self.dependency(limit).is_some_and(busy))
    }

    fn saturated(&self) -> Option<&LimitResult> {
        let full = |one: &DependencyResult| one.utilisation_peak_percent >= SATURATED_PERCENT;
        self.full().find(|limit| self.dependency(limit).is_some_and(full))
    }

    /// The limit that refused most.
    fn refusing(&self, counts: impl Fn(&LimitResult) -> bool) -> Option<&LimitResult> {
        let refusing = self.limits.iter().filter(|limit| limit.refused > 0 && counts(limit));
        let refusing = refusing.max_by_key(|limit| limit.refused);
        match (refusing, self.waited_for()) {
            // Slots that are full of runs which wait for a dependency refuse because of it.
            (Some(slots), Some(behind)) if slots.limit.name == "concurrency" => Some(behind),
            (refusing, _) => refusing,
        }
    }

    /// What makes answers slow: what is waited for, or what refuses or puts off at least half as often as somebody lost
    /// patience.
    fn slow(&self, count: u64) -> Option<&LimitRef> {
        let often = |limit: &LimitResult| limit.refused.saturating_mul(2) >= count.max(1);
        let waits = |limit: &&LimitResult| count > 0 && limit.delayed.saturating_mul(2) >= count;
        let found = self.waited_for().or_else(|| self.refusing(|limit| count > 0 && often(limit)));
        let found = found.or_else(|| self.saturated()).or_else(|| self.full().find(waits));
        found.map(|limit| &limit.limit)
    }

    /// What a node does not take in.
    fn intake(&self, node: &str) -> Option<Cause> {
        let own =
            self.limits.iter().filter(|limit| limit.limit.scope == Scope::Node && limit.limit.of == node);
        own.filter(|limit| limit.refused > 0)
            .max_by_key(|limit| limit.refused)
            .map(|limit| Cause::limit(&limit.limit))
    }

    /// What fails the runs of those on the way: an error rate, or a dependency that does not take on what they ask.
    fn failures(&self) -> Option<Cause> {
        if let Some(rate) = self.error_rate() {
            return Some(Cause::limit(&rate));
        }
        let of_dependency = |limit: &LimitResult| limit.limit.scope == Scope::Dependency;
        let found = self.refusing(of_dependency).or_else(|| self.waited_for()).or_else(|| self.saturated());
        if let Some(found) = found {
            return Some(Cause::limit(&found.limit));
        }
        if let Some(timeout) = self.timeout() {
            return Some(Cause::limit(&timeout));
        }
        let reason = self.runs_that_fail()?;
        Some(Cause { limit: None, reason })
    }

    fn functions(&self) -> impl Iterator<Item = &FunctionResult> {
        self.run.functions.iter().filter(|function| self.way.functions.contains(&function.name))
    }

    /// The function whose runs fail most, where most of that is as the traffic file states it.
    fn error_rate(&self) -> Option<LimitRef> {
        let mut found: Option<(u64, LimitRef)> = None;
        for (plan, books) in self.plan.functions.iter().zip(&self.tally.functions) {
            let failed = books.failed.values().sum::<u64>() + books.partly;
            let expected = plan.error_rate * books.runs as f64;
            // A batch of which single items fail does so more often.
            let as_stated = plan.error_rate > 0.0 && (books.partly > 0 || expected * 2.0 >= failed as f64);
            let most = found.as_ref().is_none_or(|(most, _)| failed > *most);
            if failed > 0 && as_stated && most && self.way.functions.contains(&plan.label) {
                let (name, unit) = ("error rate".into(), "percent".into());
                let (of, value) = (plan.label.clone(), crate::result::figure(plan.error_rate * 100.0));
                found = Some((failed, LimitRef { name, scope: Scope::Function, of, value, unit }));
            }
        }
        let most = self.functions().map(|one| one.failed.values().sum::<u64>()).max().unwrap_or(0);
        found.filter(|(failed, _)| failed.saturating_mul(2) >= most).map(|(_, limit)| limit)
    }

    /// The timeout of the function on the way that it ends most runs of, where it is what mostly fails them.
    fn timeout(&self) -> Option<LimitRef> {
        let ended = |f: &&FunctionResult| f.timeouts * 2 > f.failed.values().sum::<u64>();
        self.functions().filter(ended).max_by_key(|f| f.timeouts).map(|f| LimitRef {
            name: "timeout".into(),
            scope: Scope::Function,
            of: f.name.clone(),
            value: f.timeout_s,
            unit: "s".into(),
        })
    }

    /// The limit that is most likely behind it: the one that refused most, unless that is of slots which are full of
    /// runs that wait for a dependency; else that of a dependency that was at work all the time; else one of the node
    /// or of a function that was full; else a dependency that had no room; else whatever was full, or made wait; else
    /// the timeout that most runs end by.
    fn met(&self, measure: Measure, hit: &Hit) -> Cause {
        let entered = self.node(&hit.name).map_or(0, |(_, node)| node.entered);
        // For its own pollers and shards a message waits without being refused.
        let own = |limit: &&LimitResult| {
            limit.limit.scope == Scope::Node
                && limit.delayed > 0
                && limit.delayed.saturating_mul(limits::WAITED_ONE_OF) >= entered
        };
        let waits = self.limits.iter().filter(own).max_by_key(|limit| limit.delayed);
        let refusing = self.refusing(|_| true);
        let found = match (refusing, waits) {
            (Some(refusing), Some(waits)) if waits.delayed > refusing.refused => {
                self.waited_for().or(Some(waits))
            }
            (Some(refusing), _) => Some(refusing),
            (None, waits) => self.saturated().or(waits),
        };
        let scoped = |scope: Scope| move |limit: &&LimitResult| limit.limit.scope == scope;
        let found = found
            .or_else(|| self.full().find(scoped(Scope::Function)))
            .or_else(|| self.full().find(scoped(Scope::Dependency)))
            .or_else(|| self.full().find(|limit| limit.limit.scope != Scope::Node || limit.refused > 0))
            .or_else(|| {
                let delayed = self.limits.iter().filter(|limit| limit.delayed > 0);
                let delayed = delayed.filter(|limit| limit.limit.scope != Scope::Node);
                delayed.max_by_key(|limit| limit.delayed)
            });
        if let Some(found) = found {
            return Cause::limit(&found.limit);
        }
        if let Some(limit) = self.timeout().or_else(|| self.error_rate()) {
            return Cause::limit(&limit);
        }
        Cause { limit: None, reason: self.reason(measure, hit) }
    }

    /// What most of the trouble is, in words.
    fn reason(&self, measure: Measure, hit: &Hit) -> String {
        match (measure, hit.scope) {
            (Measure::RunsPerEvent, _) => String::new(),
            (Measure::ErrorsPercent, Scope::Entrance) => {
                let Some((trouble, count)) = self.commonest(&hit.name) else { return String::new() };
                format!("most errors of {} are: {} ({count})", hit.name, trouble.name())
            }
            (Measure::Dropped | Measure::DeadLetters, Scope::Node) => {
                let why = self.node(&hit.name).and_then(|(_, node)| reasons(node));
                let why =
                    why.map(|(why, count)| format!("most events of {} end by: {why} ({count})", hit.name));
                [why, self.runs_that_fail()].into_iter().flatten().collect::<Vec<_>>().join("; ")
            }
            _ => self.runs_that_fail().unwrap_or_default(),
        }
    }

    /// Why most runs fail of the function on the way that fails most.
    fn runs_that_fail(&self) -> Option<String> {
        let function = self.functions().max_by_key(|one| one.failed.values().sum::<u64>())?;
        let (kind, count) = function.failed.iter().max_by_key(|(_, count)| **count)?;
        let kind = if kind == failure_name(FailureKind::Retry) { "an error" } else { kind };
        Some(format!("{count} of {} runs of {} fail by: {kind}", function.runs, function.name))
    }
}

/// Why most of a node's events were lost or went to dead letters.
fn reasons(node: &NodeResult) -> Option<(&str, u64)> {
    let all = node.dead_letters.iter().chain(&node.dropped);
    all.max_by_key(|(_, count)| **count).map(|(why, count)| (why.as_str(), *count))
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
