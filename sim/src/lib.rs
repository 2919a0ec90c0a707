//! The application under stated traffic, in virtual time, on the engine that `serve` runs.
//!
//! Pure: no clock, no I/O; randomness comes from the seed. The same build and the same seed give the same bytes.
//!
//! - `plan`: design, profile and workload become what is simulated, with every assumption listed.
//! - `world`: the discrete-event world around `core::Engine`: callers, runs, environments, dependencies, the store.
//! - `aws`: AWS's services as actors. - `dependency`: databases and services under load.
//! - `random`, `lasting`, `arrivals`: what is drawn. - `measure`: what is counted.
//! - `result`: what a simulation says. `report`: how it is said.

pub mod arrivals;
pub mod aws;
mod conclude;
pub mod cost;
pub mod dependency;
pub mod faults;
pub mod guests;
pub mod lasting;
pub mod line;
pub mod measure;
pub mod message;
mod parking;
pub mod plan;
pub mod random;
pub mod report;
pub mod result;
pub mod used;
mod world;

use flyball_core::Time;

use plan::{Plan, Problem};
use result::{RunResult, Simulation};

/// One run of a plan: the stated traffic `load` times, from a seed. `halt` is asked now and then, with the virtual
/// time; where it says so the run ends and says what is known so far.
///
/// # Errors
/// Where the traffic is beyond a limit.
pub fn run(
    plan: &Plan,
    seed: u64,
    load: f64,
    halt: &mut dyn FnMut(Time) -> bool,
) -> Result<RunResult, Problem> {
    let setting = world::Setting { seed, load, happenings_max: world::HAPPENINGS_MAX };
    let tally = world::World::new(plan, setting)?.run(halt);
    Ok(conclude::conclude(plan, setting, &tally))
}

/// As [`run`], with somebody who runs the functions that are not modelled.
///
/// # Errors
/// Where the traffic is beyond a limit.
pub fn run_with(
    plan: &Plan,
    seed: u64,
    load: f64,
    guests: &mut dyn guests::Guests,
    halt: &mut dyn FnMut(Time) -> bool,
) -> Result<RunResult, Problem> {
    let setting = world::Setting { seed, load, happenings_max: world::HAPPENINGS_MAX };
    let tally = world::World::new(plan, setting)?.with_guests(guests).run(halt);
    Ok(conclude::conclude(plan, setting, &tally))
}

/// What is asked of a simulation.
#[derive(Debug, Clone)]
pub struct Question {
    /// The seed.
    pub seed: u64,
    /// Factor of the stated traffic.
    pub load: f64,
    /// The load line too, searched for like this.
    pub line: Option<line::Search>,
}

/// What somebody who waits is told, and asked whether it is to go on.
pub trait Watch: Sync {
    /// A run is under way: virtual time and the time that it will take. `true`: end here.
    fn run(&mut self, now_s: f64, of_s: f64) -> bool;
    /// A load line is searched for: so many runs have been made. `true`: end here.
    fn search(&self, runs: u64) -> bool;
}

/// Everything that is asked, in one document.
///
/// # Errors
/// Where the traffic is beyond a limit.
pub fn simulate(plan: &Plan, question: &Question, watch: &mut dyn Watch) -> Result<Simulation, Problem> {
    simulate_with(plan, question, None, &line::InTurn, watch)
}

/// As [`simulate`], with somebody who runs the functions that the plan says are real, and with hands for the search:
/// the answer does not depend on them. A load line is searched for with models alone.
///
/// # Errors
/// Where the traffic is beyond a limit.
pub fn simulate_with(
    plan: &Plan,
    question: &Question,
    guests: Option<&mut dyn guests::Guests>,
    hands: &dyn line::Hands,
    watch: &mut dyn Watch,
) -> Result<Simulation, Problem> {
    let of_s = plan.duration.0 as f64 / 1e6;
    let mut halt = |now: Time| watch.run(now.since(world::BEGINNING).0 as f64 / 1e6, of_s);
    let run = match guests {
        Some(guests) => run_with(plan, question.seed, question.load, guests, &mut halt)?,
        None => run(plan, question.seed, question.load, &mut halt)?,
    };
    let searches = run.about.ended != result::Ended::Interrupted && !run.saw_nothing();
    let load_line = match &question.line {
        Some(search) if searches => Some(line::load_line(plan, search, hands, &|runs| watch.search(runs))?),
        _ => None,
    };
    let mut assumptions = conclude::assumptions(plan);
    assumptions.extend(load_line.as_ref().and_then(|line| line.part).map(conclude::part));
    Ok(Simulation {
        version: result::VERSION,
        flyball: env!("CARGO_PKG_VERSION").into(),
        application: plan.name.clone(),
        run: Some(run),
        load_line,
        faults: None,
        assumptions,
        unmodelled: plan.unmodelled.clone(),
        stated: plan.stated.clone(),
    })
}
