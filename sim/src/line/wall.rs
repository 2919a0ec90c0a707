//! What breaks first, and what is behind it.

use flyball_core::Span;

use super::{
    Bracket, DOUBLE, Start, Trial, Trials, WIDTH_COARSE,
    recovery::{self, WayBack},
    rung_of,
    sensitivity::{self, Turn},
    side_by_side,
};
use crate::{
    aws::gateway::GatewayPolicy,
    plan::{Plan, Problem, Raised},
    result::{LimitRef, LineVerdict, LoadLineResult, Raising, RunResult, Scope, Wall, WallSide, figure},
};

impl Trials<'_> {
    /// Says what there is to say about the line that was found.
    pub(super) fn explain(&mut self, line: &mut LoadLineResult, thorough: bool) -> Result<(), Problem> {
        let (holds, breaks) = match line.verdict {
            LineVerdict::Found { holds_at, breaks_at, .. } => (holds_at, breaks_at),
            LineVerdict::BreaksAtZero { tried_down_to } => (0.0, tried_down_to),
            LineVerdict::Between { holds_at, breaks_at } if breaks_at > 0.0 => (holds_at, breaks_at),
            _ => {
                if let Some(last) = self.curve.iter().max_by(|a, b| a.load.total_cmp(&b.load)) {
                    line.headroom =
                        last.runs.values().next().map(|run| run.limits.clone()).unwrap_or_default();
                }
                return Ok(());
            }
        };
        let near = |load: f64, tried: &super::Tried| (tried.load - load).abs() <= load * 1e-3;
        if let Some(tried) = self.curve.iter().find(|tried| near(breaks, tried)) {
            let broken = tried.runs.values().filter(|run| run.broken().next().is_some());
            line.beyond = broken.clone().next().cloned().map(Box::new);
            line.wall = line.beyond.as_deref().and_then(|run| wall(run, breaks, line.base_per_s));
            if let Some(wall) = &mut line.wall {
                wall.seeds_broken = broken.count() as u64;
            }
        }
        if let Some(tried) = self.curve.iter().find(|tried| near(holds, tried)) {
            let mut limits = tried.runs.values().next().map(|run| run.limits.clone()).unwrap_or_default();
            let because = line.wall.as_ref().and_then(|wall| wall.because.clone());
            limits.retain(|limit| {
                because.as_ref().is_none_or(|b| b.name != limit.limit.name || b.of != limit.limit.of)
            });
            line.headroom = limits;
        }
        if !thorough || holds == 0.0 {
            return Ok(());
        }
        self.ask_around(line, (holds, breaks))
    }

    /// What else there is to ask about the line, all of it side by side.
    fn ask_around(&self, line: &mut LoadLineResult, (holds, breaks): (f64, f64)) -> Result<(), Problem> {
        /// A question, and its answer.
        enum Asked {
            WayBack,
            Raising,
            Turn(Turn),
        }
        enum Told {
            WayBack(WayBack),
            Raising(Option<Raising>),
            Turn(Option<(Turn, WallSide)>),
        }
        let (trial, before) = (self.trial, &*line);
        let seed = self.seeds.first().copied().unwrap_or(0);
        // The longest first.
        let turns = sensitivity::turns(trial.plan).into_iter().map(Asked::Turn);
        let asked: Vec<Asked> = [Asked::WayBack, Asked::Raising].into_iter().chain(turns).collect();
        let told = side_by_side(self.hands, &asked, |asked| match asked {
            Asked::WayBack => recovery::recovery(trial, seed, (holds, breaks)).map(Told::WayBack),
            Asked::Raising => raising(trial, seed, before, holds).map(Told::Raising),
            Asked::Turn(turn) => sensitivity::side(trial, seed, *turn, holds).map(Told::Turn),
        });
        let mut sides = Vec::new();
        for told in told {
            match told? {
                Told::WayBack(way) => {
                    line.recovery = way.recovery;
                    line.curve.extend(way.curve);
                }
                Told::Raising(raising) => line.raising = raising,
                Told::Turn(side) => sides.extend(side),
            }
        }
        line.assumptions_tried = sides.len() as u64 / 2;
        line.sensitive = sensitivity::sensitive(trial.plan, holds, &sides);
        Ok(())
    }
}

/// What twice as much of the wall's limit would bring.
fn raising(
    trial: &Trial<'_>,
    seed: u64,
    line: &LoadLineResult,
    holds: f64,
) -> Result<Option<Raising>, Problem> {
    let Some(limit) = line.wall.as_ref().and_then(|wall| wall.because.clone()) else { return Ok(None) };
    let Some(raised) = trial.plan.with_limit_raised(&limit) else { return Ok(None) };
    let plan = raised.plan;
    let mut last_broken = None;
    // Where nothing else is near, twice the limit is twice the line or a little more.
    let start = Start { rung: rung_of(holds) + DOUBLE, up: WIDTH_COARSE, down: DOUBLE };
    let found = trial.search((&plan, seed), start, WIDTH_COARSE, &mut |load, run| {
        if run.broken().next().is_some() {
            last_broken = Some((load, run));
        }
    })?;
    let (held, never) = match found {
        Some(Bracket::Between { holds, .. }) => (holds, false),
        Some(Bracket::Never { tried }) => (tried, true),
        Some(Bracket::Zero { .. }) | None => return Ok(None),
    };
    let next = last_broken.and_then(|(load, run)| wall(&run, load, line.base_per_s)).map(Box::new);
    let by = line.headroom.iter().chain(line.beyond.iter().flat_map(|run| &run.limits));
    let by = by.filter(|l| l.limit.name == limit.name && l.limit.of == limit.of).map(|l| l.raised_by.clone());
    Ok(Some(Raising {
        to: raised.to,
        by: if raised.by.is_empty() { by.into_iter().next().unwrap_or_default() } else { raised.by },
        limit: raised.limit,
        holds_at: figure(held),
        holds_at_per_s: figure(held * line.base_per_s),
        never_breaks: never,
        next,
    }))
}

/// What a run broke by.
pub(super) fn wall(run: &RunResult, load: f64, base_per_s: f64) -> Option<Wall> {
    let promise = run.broken().next()?;
    let broken = promise.broken.as_ref()?;
    let mut hits = broken.hits.clone();
    hits.truncate(10);
    Some(Wall {
        load_factor: figure(load),
        per_s: figure(load * base_per_s),
        promise: promise.promise.clone(),
        measure: promise.measure.clone(),
        unit: promise.unit.clone(),
        max: promise.max,
        value: promise.value,
        at_s: broken.at_s,
        because: broken.because.clone(),
        reason: broken.reason.clone(),
        held_by: broken.held_by.clone(),
        hits,
        tenants_hit: broken.tenants_hit,
        starvation: run.tenants.starved.first().cloned(),
        path: broken.path.clone(),
        seeds_broken: 0,
    })
}

impl Plan {
    /// The same plan with twice as much of a limit, or with what the setting that raises it brings. `None`: it is none
    /// that this plan has, or can't be raised.
    pub(super) fn with_limit_raised(&self, limit: &LimitRef) -> Option<Raised> {
        let plan = match limit.scope {
            Scope::Node => return self.with_node_raised(limit),
            Scope::Entrance => return self.with_gateway_raised(limit),
            _ => self.with_limit_doubled(limit)?,
        };
        Some(Raised { plan, limit: limit.clone(), to: limit.value * 2.0, by: String::new() })
    }

    fn with_limit_doubled(&self, limit: &LimitRef) -> Option<Plan> {
        let mut plan = self.clone();
        let mut application = (*plan.application).clone().into_application();
        let double = |value: &mut u32| *value = value.saturating_mul(2);
        match (limit.scope, limit.name.as_str()) {
            (Scope::Platform, "concurrency") => {
                double(&mut application.limits.limits.concurrency.cap);
                double(&mut application.limits.long_concurrency_max);
            }
            (Scope::Platform, "rate") => {
                plan.gateway = plan.gateway.map(GatewayPolicy::doubled);
                return Some(plan);
            }
            (Scope::Function, what) => {
                let name = plan.functions.iter().find(|f| f.label == limit.of)?.name.clone();
                let function = application.functions.get_mut(&name)?;
                match what {
                    "concurrency" => {
                        double(&mut function.limits.concurrency.cap);
                        double(&mut function.limits.concurrency.guarantee);
                    }
                    "rate" => {
                        let rate = function.limits.rate.as_mut()?;
                        double(&mut rate.per_second);
                        double(&mut rate.burst);
                    }
                    "timeout" => {
                        let planned = plan.functions.iter_mut().find(|f| f.label == limit.of)?;
                        planned.timeout = Span(planned.timeout.0.saturating_mul(2));
                        if let Some(lambda) = planned.lambda {
                            // The engine's own is far beyond: there the environment ends a run.
                            return (planned.timeout <= lambda.timeout_max).then_some(plan);
                        }
                        function.timeout = planned.timeout;
                    }
                    _ => return None,
                }
            }
            (Scope::Tenant, "concurrency") => {
                double(&mut application.tenant_defaults.limits.concurrency.cap);
                for tenant in application.tenants.values_mut() {
                    double(&mut tenant.limits.concurrency.cap);
                }
            }
            (Scope::Dependency, what) => {
                let (_, stated) = plan.dependencies.iter_mut().find(|(name, _)| name.as_str() == limit.of)?;
                match what {
                    "servers" => stated.servers.iter_mut().for_each(double),
                    "connections" => stated.connections_max.iter_mut().for_each(double),
                    _ => return None,
                }
                return Some(plan);
            }
            _ => return None,
        }
        plan.application = std::sync::Arc::new(application.check().ok()?);
        Some(plan)
    }
}
