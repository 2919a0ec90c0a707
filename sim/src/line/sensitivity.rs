//! Which assumptions the line rests on.

use super::{Bracket, RATIO_COARSE, Start, Trial, WIDTH_COARSE, rung_of};
use crate::{
    plan::{Plan, Problem},
    result::{Sensitivity, WallSide, figure},
};

/// Assumptions that are tried at most: those of the busiest functions come first in a plan.
const TRIED_MAX: usize = 12;
/// How many are told.
const TOLD: usize = 3;
/// How much less and more is tried.
const SHARE: f64 = 0.3;

/// A value that is turned: which assumption, and by which factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    assumption: usize,
    factor: f64,
}

/// What is tried: each assumption that can be turned, both ways.
pub(super) fn turns(plan: &Plan) -> Vec<Turn> {
    let assumptions = plan.assumptions.iter().enumerate().filter(|(_, a)| a.knob.is_some());
    let both = |(assumption, _)| [1.0 - SHARE, 1.0 + SHARE].map(|factor| Turn { assumption, factor });
    assumptions.take(TRIED_MAX).flat_map(both).collect()
}

/// The assumptions that move the line most, by what came of their turns.
pub(super) fn sensitive(plan: &Plan, holds: f64, sides: &[(Turn, WallSide)]) -> Vec<Sensitivity> {
    let mut found: Vec<(f64, Sensitivity)> = Vec::new();
    for pair in sides.windows(2) {
        let [(less_by, less), (more_by, more)] = pair else { continue };
        let Some(assumption) = plan.assumptions.get(less_by.assumption) else { continue };
        if less_by.assumption != more_by.assumption {
            continue;
        }
        let moves = |side: &WallSide| (side.holds_at / holds).max(holds / side.holds_at.max(1e-9));
        let sensitivity = Sensitivity {
            what: assumption.what.clone(),
            value: assumption.value.clone(),
            key: assumption.key.clone().unwrap_or_default(),
            less: less.clone(),
            more: more.clone(),
        };
        found.push((moves(less).max(moves(more)), sensitivity));
    }
    // What moves it less than the search can see moves nothing.
    found.retain(|(moves, _)| *moves > RATIO_COARSE);
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(TOLD).map(|(_, sensitivity)| sensitivity).collect()
}

/// The line with another value of an assumption. `None`: broken off.
pub(super) fn side(
    trial: &Trial<'_>,
    seed: u64,
    turn: Turn,
    holds: f64,
) -> Result<Option<(Turn, WallSide)>, Problem> {
    let Some((plan, value)) = trial.plan.with_assumption_scaled(turn.assumption, turn.factor) else {
        return Ok(Some((turn, WallSide { holds_at: figure(holds), ..WallSide::default() })));
    };
    let mut because = String::new();
    let start = Start::at(rung_of(holds), WIDTH_COARSE);
    let found = trial.search((&plan, seed), start, WIDTH_COARSE, &mut |_, run| {
        let broken = run.broken().next();
        if let Some(limit) = broken.and_then(|promise| promise.broken.as_ref()?.because.as_ref()) {
            because = [limit.of.as_str(), limit.name.as_str()].join(" ").trim().to_string();
        }
    })?;
    Ok(found.map(|bracket| {
        let holds_at = match bracket {
            Bracket::Between { holds, .. } => holds,
            Bracket::Never { tried } => tried,
            Bracket::Zero { .. } => 0.0,
        };
        (turn, WallSide { value, holds_at: figure(holds_at), because })
    }))
}
