//! What was counted becomes what is said.
//!
//! - `parts`: sources, functions, nodes, dependencies. - `limits`: limits with headroom. - `behind`: what is behind a
//!   broken promise. - `gateway`: the rate of all APIs.
//! - `cost`: what it costs. - `tenants`: tenants against one another. - `holders`: who holds a limit, who starves whom.
//! - `promises`: which held, since when not, because of what, and whom that hits.

mod behind;
mod cost;
mod gateway;
mod holders;
mod limits;
mod parts;
mod promises;
mod tenants;

use flyball_core::Time;

use crate::{
    measure::{GaugeSeries, Histogram, Series},
    plan::{Assumption, Knob, Plan, Platform},
    result::{self, About, PlatformResult, PlatformTimes, RunResult, StoreResult, figure},
    world::{BEGINNING, Setting, Tally},
};

/// What a run says.
pub(crate) fn conclude(plan: &Plan, setting: Setting, tally: &Tally) -> RunResult {
    let mut run = RunResult {
        about: about(plan, setting, tally),
        slot_s: figure(tally.throttled_over.slot().0 as f64 / 1e6),
        sources: parts::sources(plan, tally),
        functions: parts::functions(plan, tally),
        nodes: parts::nodes(plan, tally),
        dependencies: parts::dependencies(plan, tally),
        platform: platform(plan, tally),
        tenants: tenants::tenants(plan, tally),
        limits: limits::limits(plan, tally),
        ..RunResult::default()
    };
    cost::price(plan, tally, &mut run);
    run.tenants.starved = holders::starved(plan, tally, &run);
    run.promises = promises::promises(plan, tally, &run);
    run
}

/// What would tell an assumed value: a read-only command.
fn ask(plan: &Plan, knob: Option<Knob>) -> &'static str {
    match (plan.platform, knob) {
        (Platform::Aws, Some(Knob::Duration(_) | Knob::Init(_))) => {
            "flyball import, from what CloudWatch has: flyball import --print-commands"
        }
        (Platform::Flyball, Some(Knob::Duration(_) | Knob::Commit)) => "flyball serve, at /metrics",
        _ => "",
    }
}

/// That the busiest part of the traffic stands for all of it.
pub(crate) fn part(part: result::PartResult) -> result::Assumption {
    let times = |load: f64| {
        let digits = if load >= 10.0 { 0 } else { 1 };
        format!("{load:.digits$}×")
    };
    let minutes = |seconds: f64| match seconds {
        // Whole hours.
        long if long >= 7_200.0 && long % 3_600.0 == 0.0 => format!("{:.0} h", long / 3_600.0),
        short => format!("{:.0} min", short / 60.0),
    };
    result::Assumption {
        what: format!("traffic of loads from {} on, in the search", times(part.from_load)),
        value: format!("the busiest part of {}, {} or more", minutes(part.of_s), minutes(part.lasts_s)),
        why: "a run of all of it would take too long".into(),
        basis: result::Basis::Assumed,
        key: "duration".into(),
        ask: String::new(),
    }
}

/// What a plan takes for true.
pub(crate) fn assumptions(plan: &Plan) -> Vec<result::Assumption> {
    let said = |assumption: &Assumption| result::Assumption {
        what: assumption.what.clone(),
        value: assumption.value.clone(),
        why: assumption.why.clone(),
        basis: result::Basis::Assumed,
        key: assumption.key.clone().unwrap_or_default(),
        ask: ask(plan, assumption.knob).into(),
    };
    plan.assumptions.iter().map(said).chain(cost::assumptions(plan)).collect()
}

fn about(plan: &Plan, setting: Setting, tally: &Tally) -> About {
    let platform = match plan.platform {
        Platform::Aws => "aws",
        Platform::Flyball => "flyball",
    };
    About {
        application: plan.name.clone(),
        platform: platform.into(),
        profile: plan.profile.clone(),
        profile_date: plan.profile_date.clone(),
        traffic: plan.traffic.clone(),
        seed: setting.seed,
        load_factor: figure(setting.load),
        duration_s: figure(plan.duration.0 as f64 / 1e6),
        simulated_s: figure(seconds(tally.now)),
        ended: tally.ended,
        tenants: plan.tenants.len() as u64,
        engine_steps: tally.steps,
        arrivals: tally.sources.iter().map(|source| source.arrivals).sum(),
        events_simulated: tally.happenings,
        invariants_checked: cfg!(debug_assertions),
    }
}

fn platform(plan: &Plan, tally: &Tally) -> PlatformResult {
    let (peak, at) = peak(&tally.concurrency);
    let functions = &tally.functions;
    let environments: Vec<Vec<f64>> = functions.iter().map(|f| most(&f.environments)).collect();
    let store = (plan.platform == Platform::Flyball).then(|| StoreResult {
        commits: tally.groups,
        records_per_commit: ratio(tally.commits, tally.groups),
        utilisation_percent: figure(tally.store_micros as f64 * 1e-4 / seconds(tally.now).max(1e-6))
            .min(100.0),
    });
    PlatformResult {
        concurrency_max: Some(f64::from(plan.application.limits.limits.concurrency.cap)),
        concurrency_peak: peak,
        concurrency_peak_at_s: at,
        invocations: functions.iter().map(|f| f.runs).sum(),
        runs_per_event: ratio(
            functions.iter().map(|f| f.items).sum(),
            tally.sources.iter().map(|source| source.arrivals).sum(),
        ),
        throttled: functions.iter().flat_map(|f| f.throttled.values()).sum(),
        cold_starts: functions.iter().map(|f| f.cold_starts).sum(),
        dwell: tally.dwell.percentiles(),
        store,
        times: PlatformTimes {
            concurrency: most(&tally.concurrency),
            environments: added(&environments),
            throttled_per_s: rate(&tally.throttled_over),
            cold_starts_per_s: added(&functions.iter().map(|f| rate(&f.cold_over)).collect::<Vec<_>>()),
            dwell_p50_ms: share(&tally.dwell_over, 0.50),
            dwell_p95_ms: share(&tally.dwell_over, 0.95),
            dwell_p99_ms: share(&tally.dwell_over, 0.99),
            cost_usd_per_h: Vec::new(),
        },
    }
}

/// Seconds since the beginning.
fn seconds(at: Time) -> f64 {
    at.since(BEGINNING).0 as f64 / 1e6
}

/// One of so many, or zero.
fn ratio(of: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { figure(of as f64 / by as f64) }
}

/// Percent of all, or zero.
fn percent(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 * 100.0 / all as f64 }
}

/// The most of a gauge, and when.
fn peak(gauge: &GaugeSeries) -> (f64, f64) {
    let mut found = (0.0, 0.0);
    for (at, slot) in gauge.iter() {
        if slot.max > found.0 {
            found = (slot.max, figure(seconds(at)));
        }
    }
    found
}

/// The most within each slot.
fn most(gauge: &GaugeSeries) -> Vec<f64> {
    gauge.iter().map(|(_, slot)| figure(slot.max)).collect()
}

/// The value at the end of each slot.
fn last(gauge: &GaugeSeries) -> Vec<f64> {
    gauge.iter().map(|(_, slot)| figure(slot.last)).collect()
}

/// The mean over all slots.
fn mean(gauge: &GaugeSeries) -> f64 {
    let (sum, count) = gauge.iter().fold((0.0, 0_u32), |(sum, n), (_, slot)| (sum + slot.mean(), n + 1));
    if count == 0 { 0.0 } else { figure(sum / f64::from(count)) }
}

/// Things per second in each slot.
fn rate(series: &Series<u64>) -> Vec<f64> {
    let slot_s = series.slot().0 as f64 / 1e6;
    series.iter().map(|(_, count)| figure(*count as f64 / slot_s)).collect()
}

/// What this share of each slot's durations do not pass, milliseconds.
fn share(series: &Series<Histogram>, share: f64) -> Vec<f64> {
    let millis = |histogram: &Histogram| histogram.quantile(share).map_or(0.0, |s| s.0 as f64 / 1e3);
    series.iter().map(|(_, histogram)| figure(millis(histogram))).collect()
}

/// Series added up slot by slot.
fn added(all: &[Vec<f64>]) -> Vec<f64> {
    let slots = all.iter().map(Vec::len).max().unwrap_or(0);
    let at = |slot: usize| all.iter().filter_map(|series| series.get(slot)).sum::<f64>();
    (0..slots).map(|slot| figure(at(slot))).collect()
}
