//! Where functions run: environments that are kept, used again, and removed when idle or old.

use std::collections::VecDeque;

use flyball_core::{Span, Time};

use super::{Happening, World};
use crate::{
    aws::{
        lambda::{LambdaPolicy, Scaling},
        rate::Bucket,
    },
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
    provisioned: Option<Provisioned>,
}

/// An environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment {
    /// Unlike any other.
    pub number: u64,
    born: Time,
    idle_since: Time,
    pub runs: u32,
    /// It is kept whether there is work or not.
    pub provisioned: bool,
}

impl Environment {
    fn new(number: u64, now: Time, provisioned: bool) -> Environment {
        Environment { number, born: now, idle_since: now, runs: 0, provisioned }
    }
}

/// Provisioned concurrency: environments that are there from the beginning and stay. What finds none of them idle
/// runs in one that is made on demand.
#[derive(Debug)]
struct Provisioned {
    idle: VecDeque<Environment>,
    /// Requests a second that they take.
    requests: Bucket,
}

impl Provisioned {
    fn new(count: u32, policy: Option<LambdaPolicy>, next: &mut u64) -> Provisioned {
        let first = *next + 1;
        *next += u64::from(count);
        let idle = (first..=*next).map(|number| Environment::new(number, super::BEGINNING, true));
        let each = policy.map_or(u64::from(u32::MAX), |policy| u64::from(policy.requests_per_environment));
        let requests = u64::from(count).saturating_mul(each);
        Provisioned { idle: idle.collect(), requests: Bucket::new(requests, requests) }
    }

    fn has_room(&mut self, now: Time) -> bool {
        !self.idle.is_empty() && self.requests.ready(now, 1) <= now
    }

    fn take(&mut self, now: Time) -> Option<Environment> {
        if self.idle.is_empty() || !self.requests.take(now, 1) {
            return None;
        }
        self.idle.pop_back()
    }
}

/// Where a run runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub environment: Environment,
    /// It is new: INIT comes first, and takes so long.
    pub init: Option<Span>,
    /// INIT was broken off: the run begins with it, from its beginning, and that takes so long.
    pub again: Span,
}

impl Placed {
    fn warm(environment: Environment) -> Placed {
        Placed { environment, init: None, again: Span::ZERO }
    }
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
            provisioned: None,
        };
        let mut next = 0;
        let kept = |(mut of, plan): (Function, &FunctionPlan)| {
            if plan.provisioned > 0 {
                of.provisioned = Some(Provisioned::new(plan.provisioned, plan.lambda, &mut next));
                of.living = plan.provisioned;
            }
            of
        };
        Environments {
            of: plan.functions.iter().map(function).zip(&plan.functions).map(kept).collect(),
            idle_max: plan.idle_max,
            age_max: plan.age_max,
            random: Random::of(seed, "environments"),
            next,
        }
    }

    /// Which limit, other than those of the engine, is in the way of an invocation.
    pub(crate) fn refuses(&mut self, function: FunctionNo, now: Time) -> Option<Throttle> {
        let of = self.of.get_mut(function.0 as usize)?;
        if of.provisioned.as_mut().is_some_and(|kept| kept.has_room(now)) {
            return None;
        }
        let (_, scaling) = of.lambda.as_mut().filter(|_| of.idle.is_empty())?;
        (!scaling.may_add(now)).then_some(Throttle::Scaling(function))
    }

    /// An environment for a run.
    fn place(&mut self, function: FunctionNo, now: Time) -> Option<Placed> {
        let of = self.of.get_mut(function.0 as usize)?;
        if let Some(environment) = of.provisioned.as_mut().and_then(|kept| kept.take(now)) {
            return Some(Placed::warm(environment));
        }
        if let Some(environment) = of.idle.pop_back() {
            return Some(Placed::warm(environment));
        }
        of.living += 1;
        self.next += 1;
        let drawn = of.init.draw(&mut self.random);
        let (mut init, mut again) = (drawn, Span::ZERO);
        if let Some((policy, scaling)) = &mut of.lambda {
            scaling.add(now);
            (init, again) = policy.init(drawn);
        }
        let environment = Environment::new(self.next, now, false);
        Some(Placed { environment, init: Some(init), again })
    }

    /// Those that are kept from the beginning, by function.
    fn provisioned(&self) -> Vec<(FunctionNo, Vec<Environment>)> {
        let kept = |(of, number): (&Function, u32)| {
            let kept = of.provisioned.as_ref()?;
            Some((FunctionNo(number), kept.idle.iter().copied().collect()))
        };
        self.of.iter().zip(0..).filter_map(kept).collect()
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

    /// Those that are provisioned are there from the beginning, with their connections.
    pub(super) fn open_environments(&mut self) {
        for (function, kept) in self.environments.provisioned() {
            if self.environments.connects(function) {
                for environment in &kept {
                    self.connect(function, environment.number);
                }
            }
            self.tally.environments(self.now, function, self.environments.living(function));
        }
    }

    /// A run has ended in good order: its environment may be used again.
    pub(super) fn release(&mut self, function: FunctionNo, mut environment: Environment) {
        let (now, idle_max) = (self.now, self.environments.idle_max);
        let old = now.since(environment.born) >= self.environments.age_max;
        let Some(of) = self.environments.of.get_mut(function.0 as usize) else { return };
        if let Some(kept) = of.provisioned.as_mut().filter(|_| environment.provisioned && !old) {
            environment.runs += 1;
            kept.idle.push_back(environment);
            return;
        }
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
        let (mut living, connects) = (of.living, of.connects);
        if connects {
            self.disconnect(function, environment.number);
        }
        if environment.provisioned {
            living = self.provision_again(function);
        }
        self.tally.environments(self.now, function, living);
    }

    /// Another takes the place of one that is gone, at once: how long AWS takes for it is not known.
    fn provision_again(&mut self, function: FunctionNo) -> u32 {
        self.environments.next += 1;
        let environment = Environment::new(self.environments.next, self.now, true);
        let Some(of) = self.environments.of.get_mut(function.0 as usize) else { return 0 };
        of.living += 1;
        if let Some(kept) = &mut of.provisioned {
            kept.idle.push_front(environment);
        }
        let (living, connects) = (of.living, of.connects);
        if connects {
            self.connect(function, environment.number);
        }
        living
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
