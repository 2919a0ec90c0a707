//! Where functions run: environments that are kept, used again, and removed when idle or old.

use std::collections::VecDeque;

use flyball_core::{Span, Time};

use super::{Happening, World};
use crate::{
    aws::lambda::{LambdaPolicy, Scaling},
    lasting::Sampler,
    message::{FunctionNo, Throttle},
    plan::{FunctionPlan, Plan},
    random::Random,
};

/// All environments.
#[derive(Debug)]
pub(crate) struct Environments {
    of: Vec<Function>,
    idle_max: Span,
    age_max: Span,
    random: Random,
    next: u64,
}

#[derive(Debug)]
struct Function {
    init: Sampler,
    reuse: bool,
    /// The one that was used last is at the back, and is used first.
    idle: VecDeque<Environment>,
    living: u32,
    /// A look at the idle ones is on the agenda.
    armed: bool,
    connects: bool,
    lambda: Option<(LambdaPolicy, Scaling)>,
}

/// An environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment {
    /// Unlike any other.
    pub number: u64,
    born: Time,
    idle_since: Time,
    pub runs: u32,
}

/// Where a run runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub environment: Environment,
    /// It is new: INIT comes first, and takes so long.
    pub init: Option<Span>,
}

impl Environments {
    pub(crate) fn new(plan: &Plan, seed: u64) -> Environments {
        let function = |function: &FunctionPlan| Function {
            init: Sampler::new(&function.init),
            reuse: function.reuse,
            idle: VecDeque::new(),
            living: 0,
            armed: false,
            connects: function.reuse && !function.connections.is_empty(),
            lambda: function.lambda.map(|policy| (policy, Scaling::new(&policy))),
        };
        Environments {
            of: plan.functions.iter().map(function).collect(),
            idle_max: plan.idle_max,
            age_max: plan.age_max,
            random: Random::of(seed, "environments"),
            next: 0,
        }
    }

    /// Which limit, other than those of the engine, is in the way of an invocation.
    pub(crate) fn refuses(&mut self, function: FunctionNo, now: Time) -> Option<Throttle> {
        let of = self.of.get_mut(function.0 as usize)?;
        let (_, scaling) = of.lambda.as_mut().filter(|_| of.idle.is_empty())?;
        (!scaling.may_add(now)).then_some(Throttle::Scaling(function))
    }

    /// An environment for a run.
    fn place(&mut self, function: FunctionNo, now: Time) -> Option<Placed> {
        let of = self.of.get_mut(function.0 as usize)?;
        if let Some(environment) = of.idle.pop_back() {
            return Some(Placed { environment, init: None });
        }
        of.living += 1;
        self.next += 1;
        let drawn = of.init.draw(&mut self.random);
        let mut init = drawn;
        if let Some((policy, scaling)) = &mut of.lambda {
            scaling.add(now);
            init = policy.init(drawn);
        }
        let environment = Environment { number: self.next, born: now, idle_since: now, runs: 0 };
        Some(Placed { environment, init: Some(init) })
    }

    fn connects(&self, function: FunctionNo) -> bool {
        self.of.get(function.0 as usize).is_some_and(|of| of.connects)
    }

    pub(crate) fn living(&self, function: FunctionNo) -> u32 {
        self.of.get(function.0 as usize).map_or(0, |of| of.living)
    }
}

impl World<'_> {
    /// An environment for a run, with its connections. `None`: there is no such function.
    pub(super) fn place(&mut self, function: FunctionNo) -> Option<Placed> {
        let placed = self.environments.place(function, self.now)?;
        if placed.init.is_some() {
            let living = self.environments.living(function);
            if self.environments.connects(function) {
                self.connect(function, placed.environment.number);
            }
            self.tally.environments(self.now, function, living);
        }
        Some(placed)
    }

    /// A run has ended in good order: its environment may be used again.
    pub(super) fn release(&mut self, function: FunctionNo, mut environment: Environment) {
        let (now, idle_max) = (self.now, self.environments.idle_max);
        let old = now.since(environment.born) >= self.environments.age_max;
        let Some(of) = self.environments.of.get_mut(function.0 as usize) else { return };
        if !of.reuse || old {
            if of.reuse {
                self.tally.recycled(function);
            }
            self.discard(function, environment);
            return;
        }
        environment.runs += 1;
        environment.idle_since = now;
        of.idle.push_back(environment);
        if !of.armed {
            of.armed = true;
            self.after(idle_max, Happening::Idle(function.0));
        }
    }

    /// An environment is gone, with its connections.
    pub(super) fn discard(&mut self, function: FunctionNo, environment: Environment) {
        let Some(of) = self.environments.of.get_mut(function.0 as usize) else { return };
        of.living = of.living.saturating_sub(1);
        let (living, connects) = (of.living, of.connects);
        if connects {
            self.disconnect(function, environment.number);
        }
        self.tally.environments(self.now, function, living);
    }

    /// Environments that have been idle for too long are removed.
    pub(super) fn idle(&mut self, function: u32) {
        let (now, idle_max) = (self.now, self.environments.idle_max);
        loop {
            let Some(of) = self.environments.of.get_mut(function as usize) else { return };
            let Some(first) = of.idle.front().copied() else {
                of.armed = false;
                return;
            };
            let due = first.idle_since.after(idle_max);
            if due > now {
                self.agenda.put(due, Happening::Idle(function));
                return;
            }
            of.idle.pop_front();
            self.discard(FunctionNo(function), first);
        }
    }
}
