//! Which assumptions the line rests on.

use super::{Bracket, Trials, WIDTH_COARSE, bracket};
use crate::{
    plan::Problem,
    result::{Sensitivity, WallSide, figure},
};

/// Assumptions that are tried at most: those of the busiest functions come first in a plan.
const TRIED_MAX: usize = 12;
/// How many are told.
const TOLD: usize = 3;
/// How much less and more is tried.
const SHARE: f64 = 0.3;

/// The assumptions that move the line most.
pub(super) fn sensitive(trials: &mut Trials<'_, '_>, holds: f64) -> Result<Vec<Sensitivity>, Problem> {
    let mut found: Vec<(f64, Sensitivity)> = Vec::new();
    let assumptions = trials.plan.assumptions.iter().enumerate();
    let turned: Vec<usize> =
        assumptions.filter(|(_, a)| a.knob.is_some()).map(|(n, _)| n).take(TRIED_MAX).collect();
    for number in turned {
        let Some(less) = side(trials, number, 1.0 - SHARE, holds)? else { break };
        let Some(more) = side(trials, number, 1.0 + SHARE, holds)? else { break };
        let moves = (less.holds_at / holds).max(holds / less.holds_at.max(1e-9));
        let moves = moves.max(more.holds_at / holds).max(holds / more.holds_at.max(1e-9));
        let Some(assumption) = trials.plan.assumptions.get(number) else { continue };
        let sensitivity = Sensitivity {
            what: assumption.what.clone(),
            value: assumption.value.clone(),
            key: assumption.key.clone().unwrap_or_default(),
            less,
            more,
        };
        found.push((moves, sensitivity));
    }
    // What moves it less than the search can see moves nothing.
    found.retain(|(moves, _)| *moves > WIDTH_COARSE);
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(found.into_iter().take(TOLD).map(|(_, sensitivity)| sensitivity).collect())
}

/// The line with another value of an assumption.
fn side(
    trials: &mut Trials<'_, '_>,
    number: usize,
    factor: f64,
    holds: f64,
) -> Result<Option<WallSide>, Problem> {
    let Some((plan, value)) = trials.plan.with_assumption_scaled(number, factor) else {
        return Ok(Some(WallSide { holds_at: figure(holds), ..WallSide::default() }));
    };
    let seed = trials.seeds.first().copied().unwrap_or(0);
    let mut because = String::new();
    let found = bracket(holds, WIDTH_COARSE, WIDTH_COARSE, &mut |load| {
        let Some(run) = trials.one(&plan, seed, load)? else { return Ok(None) };
        let broken = run.broken().next();
        if let Some(limit) = broken.and_then(|promise| promise.broken.as_ref()?.because.as_ref()) {
            because = [limit.of.as_str(), limit.name.as_str()].join(" ").trim().to_string();
        }
        Ok(Some(broken.is_none()))
    })?;
    Ok(found.map(|bracket| {
        let holds_at = match bracket {
            Bracket::Between { holds, .. } => holds,
            Bracket::Never { tried } => tried,
            Bracket::Zero { .. } => 0.0,
        };
        WallSide { value, holds_at: figure(holds_at), because }
    }))
}
