//! The rate of requests that all APIs of an account take together.

use super::{limits::headroom, rate, seconds};
use crate::{
    plan::{Entrance, Plan},
    result::{Basis, LimitRef, LimitResult, Scope, figure},
    world::{SourceTally, Tally},
};

/// That limit, where anything comes in through an API. As of other rates, the most that was used of it is what came
/// in the busiest slot of time.
pub(super) fn limit(plan: &Plan, tally: &Tally) -> Option<LimitResult> {
    let policy = plan.gateway?;
    let metered = plan.sources.iter().zip(&tally.sources);
    let metered =
        metered.filter(|(source, _)| matches!(source.entrance, Entrance::Call { metered: true, .. }));
    let metered: Vec<&SourceTally> = metered.map(|(_, books)| books).collect();
    (!metered.is_empty()).then_some(())?;
    let mut per_s: Vec<f64> = Vec::new();
    for books in &metered {
        let requests = rate(&books.requests_over);
        per_s.resize(per_s.len().max(requests.len()), 0.0);
        per_s.iter_mut().zip(requests).for_each(|(sum, one)| *sum += one);
    }
    let value = f64::from(policy.requests_per_s);
    let peak = per_s.into_iter().fold(0.0, f64::max).min(value);
    let refused = metered.iter().map(|books| books.turned_away.count).sum();
    let first = metered.iter().filter_map(|books| books.turned_away.first).min();
    Some(LimitResult {
        headroom_percent: if refused > 0 { 0.0 } else { headroom(peak, value) },
        limit: LimitRef {
            name: "rate".into(),
            scope: Scope::Platform,
            of: "API Gateway".into(),
            value,
            unit: "requests/s".into(),
        },
        basis: Basis::Sourced,
        source: plan.profile.clone(),
        date: plan.profile_date.clone(),
        raisable: true,
        raised_by: "Service Quotas: Throttle rate".into(),
        peak: figure(peak),
        first_reached_s: first.map(|at| figure(seconds(at))),
        refused,
        ..LimitResult::default()
    })
}
