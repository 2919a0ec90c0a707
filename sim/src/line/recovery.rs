//! To which load one must go back for it to recover: retries make that another one than the line.

use flyball_app::workload::{Shape, Volume};
use flyball_core::Span;

use super::{RATIO_COARSE, Trial};
use crate::{
    plan::{Plan, Problem},
    result::{CurvePoint, Figures, Recovery, RunResult, figure},
};

/// The load goes back after this share of the time.
const RELIEF_AT: f64 = 0.4;
/// Each load that is tried is so much of the one before, until it comes back.
const STEP: f64 = 0.65;
/// The lowest share of the line that is tried.
const LOWEST: f64 = 1.0 / 64.0;
/// Answers in the last tenth that may be bad, percent.
const ERRORS_PERCENT_MAX: f64 = 0.5;

/// The way back, and what was tried on it.
#[derive(Debug, Default)]
pub(super) struct WayBack {
    pub recovery: Recovery,
    pub curve: Vec<CurvePoint>,
}

/// Finds it: at the line itself first, then lower and lower, then between.
pub(super) fn recovery(
    trial: &Trial<'_>,
    seed: u64,
    (holds, breaks): (f64, f64),
) -> Result<WayBack, Problem> {
    // Well beyond the line, so that it is surely broken when the relief comes.
    let above = breaks * 1.2;
    let part = trial.horizon.plan(trial.plan, above);
    let whole = part.as_ref().unwrap_or(trial.plan);
    let waited_s = figure(whole.duration.0 as f64 / 1e6 * (1.0 - RELIEF_AT));
    let mut curve = Vec::new();
    if whole.with_relief(1.0).is_none() {
        return Ok(WayBack { recovery: Recovery::Unasked, curve });
    }
    let recovery = search(holds, waited_s, &mut |load| {
        let Some(plan) = whole.with_relief(load / above) else { return Ok(None) };
        let Some(run) = trial.as_it_is(&plan, seed, above)? else { return Ok(None) };
        let after_s = recovered(&run);
        curve.push(point(load, &run, after_s.is_some()));
        Ok(Some(after_s))
    })?;
    Ok(WayBack { recovery, curve })
}

/// The highest load at which it comes back. `comes_back`: after how many seconds, if it does; `None`: broken off.
fn search(
    holds: f64,
    waited_s: f64,
    comes_back: &mut dyn FnMut(f64) -> Result<Option<Option<f64>>, Problem>,
) -> Result<Recovery, Problem> {
    // It does not come back at this load, and does at that one.
    let (mut not, mut back): (Option<f64>, Option<(f64, f64)>) = (None, None);
    let mut load = holds;
    while let Some(after_s) = comes_back(load)? {
        match after_s {
            Some(after_s) => back = Some((load, after_s)),
            None => not = Some(load),
        }
        load = match (back, not) {
            // It comes back at the line itself, or what lies between is narrow.
            (Some(_), None) => break,
            (Some((back, _)), Some(not)) if not <= back * RATIO_COARSE => break,
            (Some((back, _)), Some(not)) => libm::sqrt(back * not),
            (None, _) => load * STEP,
        };
        if load < holds * LOWEST {
            let load_factor = figure(not.unwrap_or(load));
            return Ok(Recovery::NotAbove { load_factor, waited_s });
        }
    }
    Ok(back.map_or(Recovery::Untried, |(load, after_s)| Recovery::At { load_factor: figure(load), after_s }))
}

fn point(load: f64, run: &RunResult, holds: bool) -> CurvePoint {
    let lately = lately(run);
    CurvePoint {
        load_factor: figure(load),
        arrivals_per_s: came(run),
        on_way_back: true,
        holds,
        seeds_tried: 1,
        seeds_broken: u64::from(!holds),
        broken: Vec::new(),
        median: lately,
        min: lately,
        max: lately,
    }
}

/// The mean over the last quarter.
fn last(series: &[f64]) -> f64 {
    let slots = series.get(series.len() * 3 / 4..).unwrap_or_default();
    slots.iter().sum::<f64>() / slots.len().max(1) as f64
}

/// What came in over the last quarter of a run, events per second.
fn came(run: &RunResult) -> f64 {
    figure(run.sources.iter().map(|source| last(&source.times.arrivals_per_s)).sum())
}

/// What the last quarter of a run was like.
fn lately(run: &RunResult) -> Figures {
    let over = |of: &dyn Fn(&crate::result::SourceResult) -> f64| run.sources.iter().map(of).sum::<f64>();
    let (good, bad) = (over(&|s| last(&s.times.answered_per_s)), over(&|s| last(&s.times.errors_per_s)));
    let slowest =
        |of: &dyn Fn(&crate::result::SourceResult) -> f64| run.sources.iter().map(of).fold(0.0, f64::max);
    Figures {
        goodput_per_s: figure(good),
        errors_percent: if good + bad > 0.0 { figure(bad * 100.0 / (good + bad)) } else { 0.0 },
        p99_ms: figure(slowest(&|s| last(&s.times.latency_p99_ms))),
        dwell_p99_ms: figure(last(&run.platform.times.dwell_p99_ms)),
        backlog_end: run.nodes.iter().map(|node| node.backlog_end).sum::<u64>() as f64,
        ..Figures::default()
    }
}

/// How long after the relief good answers came again and backlogs were back. `None`: not by the end.
fn recovered(run: &RunResult) -> Option<f64> {
    let slots = run.sources.iter().map(|s| s.times.requests_per_s.len()).max().unwrap_or(0);
    let from = (slots as f64 * RELIEF_AT) as usize;
    let well = |slot: usize| {
        let at = |series: &[f64]| series.get(slot).copied().unwrap_or(0.0);
        let answered: f64 = run.sources.iter().map(|s| at(&s.times.answered_per_s)).sum();
        let errors: f64 = run.sources.iter().map(|s| at(&s.times.errors_per_s)).sum();
        let dead: f64 = run.nodes.iter().map(|n| at(&n.times.dead_letters_per_s)).sum();
        let drained = run.nodes.iter().filter(|n| n.left > 0).all(|n| {
            let before = n.times.backlog.iter().take(from).copied().fold(0.0, f64::max);
            at(&n.times.backlog) <= (before * 0.05).max(20.0)
        });
        let silent = answered + errors == 0.0;
        dead == 0.0 && drained && (silent || errors * 100.0 <= ERRORS_PERCENT_MAX * (answered + errors))
    };
    // Well from some slot on until the end.
    let bad = (from..slots).rev().find(|slot| !well(*slot));
    let first = bad.map_or(from, |slot| slot + 1);
    let enough = slots.saturating_sub(slots / 20).max(from);
    (first < enough).then(|| figure((first - from) as f64 * run.slot_s))
}

impl Plan {
    /// The same plan whose scaled traffic goes back to this share of itself after a while. `None`: its traffic can't
    /// be changed in time.
    fn with_relief(&self, share: f64) -> Option<Plan> {
        let mut plan = self.clone();
        let begins = self.window.begins;
        let at = Span(begins.0 + (self.duration.0 as f64 * RELIEF_AT) as u64);
        for source in plan.sources.iter_mut().filter(|source| source.source.scaled) {
            if !matches!(source.source.volume, Volume::PerSecond(_)) || source.source.events_max.is_some() {
                return None;
            }
            let before = match &source.source.shape {
                Shape::Flat => 1.0,
                // The peak: what is asked is whether it comes back from there.
                Shape::Diurnal { .. } => 1.0,
                Shape::Ramp { to, from } => from.max(*to),
                Shape::Points(points) => points.iter().map(|(_, factor)| *factor).fold(0.0, f64::max),
            };
            let points = vec![
                (Span::ZERO, before),
                (at, before),
                (Span(at.0 + 1), before * share),
                (self.window.ends(), before * share),
            ];
            source.source.shape = Shape::Points(points);
        }
        Some(plan)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn the_way_back_is_found_as_finely_as_what_is_asked_about_a_line() {
        for line in [9.0, 8.9, 7.2, 6.0, 5.9, 0.5] {
            let mut tried = 0;
            let found = search(9.1, 60.0, &mut |load| {
                tried += 1;
                Ok(Some((load <= line).then_some(5.0)))
            });
            let Recovery::At { load_factor, .. } = found.unwrap() else { panic!("{line}") };
            assert!(load_factor <= line && load_factor * RATIO_COARSE >= line, "{line}: {load_factor}");
            assert!(tried <= 12, "{line}: {tried} runs");
        }
        let found = search(9.1, 60.0, &mut |load| Ok(Some((load <= 9.1).then_some(0.0))));
        assert!(matches!(found, Ok(Recovery::At { load_factor, .. }) if load_factor == 9.1), "{found:?}");
        let found = search(9.1, 60.0, &mut |_| Ok(Some(None)));
        assert!(matches!(found, Ok(Recovery::NotAbove { .. })), "{found:?}");
        assert!(matches!(search(9.1, 60.0, &mut |_| Ok(None)), Ok(Recovery::Untried)));
    }
}
