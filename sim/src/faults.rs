//! The application under faults, from a seed: many runs, each with its own faults; what breaks is made small and told.
//!
//! - `schedule`: which fault comes when. - `shrink`: the shortest schedule that still breaks it.
//! - `regressions`: seeds that broke something, in a file that CI replays.
//!
//! A run goes on after its traffic has stopped until nothing is left to happen, so that everything has the time that
//! it needs. `core::invariant` is looked at after every step while at most 64 events wait or run, and beyond that as
//! much less often as there are more.

pub mod regressions;
pub(crate) mod schedule;
mod shrink;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use flyball_app::workload::faults::Faults;
use flyball_core::Time;

use crate::{
    arrivals::Window,
    guests::Guests,
    plan::{Plan, Problem, promised},
    result::{ENTRIES_MAX, FaultCheck, FaultFailure, FaultsResult, Simulation, figure},
    world::{BEGINNING, Broken, CHECKS, INVARIANTS, Outcome, Planted, Setting, World},
};
use schedule::Fault;

/// Happenings of one run under faults: then it ends and counts as not finished.
const HAPPENINGS_MAX: u64 = 20_000_000;

/// Which seeds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seeds {
    /// The first; the others follow it.
    pub first: u64,
    /// How many. Where `watch` says when it is enough, as many as it likes: `u64::MAX`.
    pub count: u64,
    /// Seeds with which something broke before: these run first.
    pub regressions: Vec<u64>,
}

/// What somebody who waits is told, and asked whether it is to go on.
pub trait Watch {
    /// So many seeds ran, and so many of them failed. `true`: end here, with what is known.
    fn seed(&mut self, ran: u64, failed: u64) -> bool;
    /// Within a run, now and then. `true`: end here.
    fn run(&mut self) -> bool {
        false
    }
}

/// Runs of a plan under faults, one for each seed. `faults`: what goes wrong; without, several faults of any kind that
/// makes sense are drawn for each seed.
///
/// # Errors
/// Faults and assertions that do not fit the plan, and traffic beyond a limit.
pub fn run(
    plan: &Plan,
    faults: Option<&Faults>,
    seeds: &Seeds,
    watch: &mut dyn Watch,
) -> Result<FaultsResult, Vec<Problem>> {
    run_planted(plan, faults, seeds, (Planted::Nothing, &mut None), watch)
}

/// As [`run`], with somebody who runs the functions that are not modelled. A failure is made small with them too.
///
/// # Errors
/// Faults and assertions that do not fit the plan, and traffic beyond a limit.
pub fn run_with(
    plan: &Plan,
    faults: Option<&Faults>,
    seeds: &Seeds,
    guests: &mut dyn Guests,
    watch: &mut dyn Watch,
) -> Result<FaultsResult, Vec<Problem>> {
    run_planted(plan, faults, seeds, (Planted::Nothing, &mut Some(guests)), watch)
}

pub(crate) fn run_planted(
    plan: &Plan,
    faults: Option<&Faults>,
    seeds: &Seeds,
    (planted, guests): (Planted, &mut Cast<'_>),
    watch: &mut dyn Watch,
) -> Result<FaultsResult, Vec<Problem>> {
    if let Some(faults) = faults {
        schedule::check(plan, faults)?;
    }
    let wrong = promised::asserts(plan, false);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut found = Found::new(plan, seeds);
    let regressions = seeds.regressions.iter().copied();
    let others = (0..seeds.count).map_while(|n| seeds.first.checked_add(n));
    for (number, seed) in regressions.chain(others).enumerate() {
        let schedule = schedule::schedule(plan, faults, seed);
        let case = Case { plan, seed, schedule: &schedule, duration: plan.duration, load: 1.0, planted };
        let outcome = case.run(None, guests, &mut |_| watch.run()).map_err(|problem| vec![problem])?;
        if outcome.interrupted && outcome.broken.is_none() {
            if found.interrupted(seed, outcome.ended, watch) {
                break;
            }
            continue;
        }
        found.ran(number < seeds.regressions.len(), &outcome);
        if let Some(broken) = outcome.broken {
            let failure = shrink::shrink(&case, broken, guests, &mut |_| watch.run());
            found.failed(failure.map_err(|problem| vec![problem])?);
        }
        if watch.seed(found.result.seeds_run, found.result.seeds_failed) {
            break;
        }
    }
    if seeds.count == u64::MAX {
        // As many as there was time for.
        found.result.seeds_asked = found.result.seeds_run;
    }
    Ok(found.result)
}

/// What was found, as a document of its own.
pub fn document(plan: &Plan, faults: FaultsResult) -> Simulation {
    Simulation {
        version: crate::result::VERSION,
        flyball: env!("CARGO_PKG_VERSION").into(),
        application: plan.name.clone(),
        faults: Some(faults),
        assumptions: crate::conclude::assumptions(plan),
        unmodelled: plan.unmodelled.clone(),
        stated: plan.stated.clone(),
        ..Simulation::default()
    }
}

/// Who runs real functions, if there are any.
pub(crate) type Cast<'g> = Option<&'g mut dyn Guests>;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    plan: &'a Plan,
    seed: u64,
    schedule: &'a [Fault],
    duration: flyball_core::Span,
    load: f64,
    planted: Planted,
}

impl Case<'_> {
    /// Runs it; `watched`: a request whose way is written down.
    fn run(
        &self,
        watched: Option<u64>,
        guests: &mut Cast<'_>,
        halt: &mut dyn FnMut(Time) -> bool,
    ) -> Result<Outcome, Problem> {
        let shorter;
        let plan = if self.duration == self.plan.duration {
            self.plan
        } else {
            shorter = self.plan.within(Window { lasts: self.duration, ..self.plan.window });
            &shorter
        };
        let setting = Setting { seed: self.seed, load: self.load, happenings_max: HAPPENINGS_MAX };
        let mut world = World::new(plan, setting)?;
        if let Some(guests) = guests {
            world = world.with_guests(&mut **guests);
        }
        let schedule = self.schedule.to_vec();
        Ok(world.under(schedule, self.seed, watched, self.planted).run_under_faults(halt))
    }
}

/// What was found so far.
struct Found {
    result: FaultsResult,
}

impl Found {
    fn new(plan: &Plan, seeds: &Seeds) -> Found {
        let own = INVARIANTS.iter().chain(&CHECKS).chain(&[ENDLESS]).map(|what| ((*what).to_string(), false));
        let stated = plan.asserts.iter().map(|assert| (assert.what.clone(), true));
        let checks = own.chain(stated).map(|(what, stated)| FaultCheck { what, stated, seeds_failed: 0 });
        Found {
            result: FaultsResult {
                seed_first: seeds.first,
                seeds_asked: seeds.count.saturating_add(seeds.regressions.len() as u64),
                checks: checks.collect(),
                ..FaultsResult::default()
            },
        }
    }

    fn ran(&mut self, regression: bool, outcome: &Outcome) {
        self.result.seeds_run += 1;
        self.result.regressions_run += u64::from(regression);
        add(&mut self.result.injected, &outcome.injected);
    }

    fn failed(&mut self, failure: FaultFailure) {
        self.result.seeds_failed += 1;
        if let Some(check) = self.result.checks.iter_mut().find(|check| check.what == failure.broken) {
            check.seeds_failed += 1;
        }
        if self.result.failures.len() < ENTRIES_MAX {
            self.result.failures.push(failure);
        }
    }

    /// A run that did not come to its end: because somebody said so (`true`), or because it never would have.
    fn interrupted(&mut self, seed: u64, at: Time, watch: &mut dyn Watch) -> bool {
        if watch.run() {
            return true;
        }
        self.result.seeds_run += 1;
        self.failed(FaultFailure {
            seed,
            broken: ENDLESS.into(),
            detail: format!("{HAPPENINGS_MAX} things happened, and more would have"),
            at_s: figure(at.since(BEGINNING).0 as f64 / 1e6),
            ..FaultFailure::default()
        });
        watch.seed(self.result.seeds_run, self.result.seeds_failed)
    }
}

/// What is said of a run that has no end.
const ENDLESS: &str = "a run comes to an end";

fn add(to: &mut BTreeMap<String, u64>, injected: &BTreeMap<&'static str, u64>) {
    for (kind, count) in injected {
        *to.entry((*kind).to_string()).or_insert(0) += count;
    }
}

/// The same as was broken before.
fn same(broken: &Option<Broken>, what: &str) -> bool {
    broken.as_ref().is_some_and(|broken| broken.what == what)
}
