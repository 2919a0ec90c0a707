//! From a failure to the shortest that still fails: fewer faults, a shorter run, less traffic.

use flyball_core::{Span, Time};

use super::{Case, Cast, same};
use crate::{
    faults::schedule::Fault,
    plan::Problem,
    result::{FaultFailure, figure},
    world::{BEGINNING, Broken},
};

/// Runs at most for one failure: then it is told as short as it is.
pub(crate) const RUNS_MAX: u32 = 100;
/// Runs that are kept for making the run shorter and the traffic less.
const RUNS_KEPT: u32 = 12;

struct Shrink<'a, 'h, 'g> {
    case: Case<'a>,
    broken: Broken,
    runs: u32,
    halted: bool,
    guests: &'h mut Cast<'g>,
    halt: &'h mut dyn FnMut(Time) -> bool,
}

/// The failure, made small, with the way of the event that broke it. The same case gives the same.
pub(super) fn shrink(
    case: &Case<'_>,
    broken: Broken,
    guests: &mut Cast<'_>,
    halt: &mut dyn FnMut(Time) -> bool,
) -> Result<FaultFailure, Problem> {
    let before = case.schedule.len() as u64;
    let mut schedule = case.schedule.to_vec();
    let mut shrink = Shrink { case: *case, broken, runs: 0, halted: false, guests, halt };
    shrink.fewer(&mut schedule)?;
    shrink.shorter(&schedule)?;
    shrink.less(&schedule)?;
    // Less traffic may need fewer faults.
    shrink.fewer(&mut schedule)?;
    let Shrink { case: smallest, broken, guests, halt, .. } = shrink;
    let last = Case { schedule: &schedule, ..smallest };
    // Once more, and now its way is written down.
    let watched = broken.request.unwrap_or(0);
    let outcome = last.run(Some(watched), guests, halt)?;
    let broken = outcome.broken.unwrap_or(broken);
    Ok(FaultFailure {
        seed: case.seed,
        broken: broken.what,
        detail: broken.detail,
        at_s: seconds(broken.at.since(BEGINNING)),
        schedule: schedule.iter().map(|fault| fault.told(case.plan)).collect(),
        schedule_before: before,
        duration_s: seconds(last.duration),
        load_factor: figure(last.load),
        event: broken.request.map_or(String::new(), |request| format!("request {request}")),
        trace: outcome.trace,
        again: format!("flyball simulate --seeds 1 --seed {}", case.seed),
    })
}

fn seconds(span: Span) -> f64 {
    figure(span.0 as f64 / 1e6)
}

impl Shrink<'_, '_, '_> {
    /// Whether it still fails in the same way; then that is the case from now on.
    fn fails(&mut self, schedule: &[Fault], duration: Span, load: f64) -> Result<bool, Problem> {
        if self.runs >= RUNS_MAX || self.halted {
            return Ok(false);
        }
        self.runs += 1;
        let case = Case { schedule, duration, load, ..self.case };
        let outcome = case.run(None, self.guests, self.halt)?;
        self.halted = outcome.interrupted && outcome.broken.is_none() && (self.halt)(outcome.ended);
        let fails = same(&outcome.broken, &self.broken.what);
        if let (true, Some(broken)) = (fails, outcome.broken) {
            self.broken = broken;
            (self.case.duration, self.case.load) = (duration, load);
        }
        Ok(fails)
    }

    /// Faults are left out, in halves first and then one by one.
    fn fewer(&mut self, schedule: &mut Vec<Fault>) -> Result<(), Problem> {
        let (duration, load) = (self.case.duration, self.case.load);
        let mut size = schedule.len();
        while size > 0 && self.runs + RUNS_KEPT < RUNS_MAX {
            let mut at = 0;
            while at < schedule.len() {
                let mut without = schedule.clone();
                without.drain(at..(at + size).min(schedule.len()));
                if self.fails(&without, duration, load)? {
                    *schedule = without;
                } else {
                    at += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        Ok(())
    }

    /// The traffic stops earlier.
    fn shorter(&mut self, schedule: &[Fault]) -> Result<(), Problem> {
        let load = self.case.load;
        // What breaks at once needs no traffic after it.
        let broke = self.broken.at.since(BEGINNING);
        let enough = Span(broke.0.saturating_add(1_000_000)).max(Span::from_secs(1));
        if enough < self.case.duration {
            self.fails(schedule, enough, load)?;
        }
        for _ in 0..5 {
            let half = Span((self.case.duration.0 / 2).max(1));
            if !self.fails(schedule, half, load)? {
                break;
            }
        }
        Ok(())
    }

    /// There is less of it.
    fn less(&mut self, schedule: &[Fault]) -> Result<(), Problem> {
        let duration = self.case.duration;
        for factor in [0.1, 0.5, 0.5] {
            let load = self.case.load * factor;
            self.fails(schedule, duration, load)?;
        }
        Ok(())
    }
}
