//! Which promises held; since when not, because of what, and whom that hits.

use flyball_app::workload::{Expect, Measure};
use flyball_core::Time;

use super::{limits, percent, seconds};
use crate::{
    plan::Plan,
    result::{Broken, ENTRIES_MAX, Hit, PromiseResult, RunResult, Scope, figure},
    world::{BEGINNING, NodeTally, Tally},
};

/// Growth of a backlog below this many messages is noise.
const GROWTH_MESSAGES_MIN: f64 = 20.0;

/// Promises where the traffic file states none: nothing is lost, nothing goes to dead letters, no backlog grows,
/// and callers get good answers.
fn defaults() -> Vec<Expect> {
    let promise = |measure, max| Expect { of: None, measure, max };
    vec![
        promise(Measure::Dropped, 0.0),
        promise(Measure::DeadLetters, 0.0),
        promise(Measure::BacklogGrowthPercent, 1.0),
        promise(Measure::ErrorsPercent, 0.1),
    ]
}

/// All promises, those that broke first at the front.
pub(super) fn promises(plan: &Plan, tally: &Tally, run: &RunResult) -> Vec<PromiseResult> {
    let judge = Judge { plan, tally, run };
    // A measure that the traffic file speaks of is no longer promised by itself.
    let spoken = |default: &Expect| plan.expects.iter().any(|expect| expect.measure == default.measure);
    let stated = plan.expects.iter().map(|expect| judge.one(expect, true));
    let defaults = defaults().into_iter().filter(|default| !spoken(default));
    let defaults: Vec<PromiseResult> = defaults.map(|expect| judge.one(&expect, false)).collect();
    let mut promises: Vec<PromiseResult> = stated.chain(defaults).collect();
    promises.sort_by(|a, b| at(a).total_cmp(&at(b)));
    promises
}

fn at(promise: &PromiseResult) -> f64 {
    promise.broken.as_ref().map_or(f64::INFINITY, |broken| broken.at_s)
}

struct Judge<'a> {
    plan: &'a Plan,
    tally: &'a Tally,
    run: &'a RunResult,
}

impl Judge<'_> {
    fn one(&self, expect: &Expect, stated: bool) -> PromiseResult {
        let of = expect.of.as_deref();
        let (value, first) = self.measured(expect.measure, of);
        let value = figure(value);
        let (words, unit) = words(expect.measure);
        let whom = of.map_or(String::new(), |of| format!(" of {of}"));
        PromiseResult {
            promise: format!("{words}{whom} at most {}{}", expect.max, spaced(unit)),
            of: of.unwrap_or_default().into(),
            measure: expect.measure.key().into(),
            unit: unit.into(),
            stated,
            max: expect.max,
            value,
            broken: (value > expect.max).then(|| self.broken(expect.measure, of, first)),
        }
    }

    fn broken(&self, measure: Measure, of: Option<&str>, first: Option<Time>) -> Broken {
        let hits = self.hits(measure, of);
        Broken {
            at_s: figure(seconds(first.unwrap_or(self.tally.now))),
            because: limits::behind(self.run, &self.readers(&hits)),
            held_by: None,
            tenants_hit: self.tally.tenants.iter().filter(|t| t.errors + t.dead > 0).count() as u64,
            hits,
        }
    }

    /// The functions that take from the nodes that are hit, or that are hit themselves.
    fn readers(&self, hits: &[Hit]) -> Vec<String> {
        let of = |hit: &Hit| match hit.scope {
            Scope::Node => self.plan.readers(&hit.name),
            Scope::Entrance => self.plan.called_by(&hit.name),
            _ => vec![hit.name.clone()],
        };
        hits.iter().take(1).flat_map(of).collect()
    }

    /// What was measured, and when it first went wrong.
    fn measured(&self, measure: Measure, of: Option<&str>) -> (f64, Option<Time>) {
        let is = |name: &str| of.is_none_or(|of| of == name);
        let run = self.run;
        let sources = || self.plan.sources.iter().zip(&self.tally.sources).filter(|(s, _)| is(&s.label));
        let nodes = || self.tally.nodes.iter().filter(|node| is(&node.label));
        match measure {
            Measure::LatencyP50 => {
                (most(run.sources.iter().filter(|s| is(&s.name)).map(|s| s.latency.p50_ms)), None)
            }
            Measure::LatencyP95 => {
                (most(run.sources.iter().filter(|s| is(&s.name)).map(|s| s.latency.p95_ms)), None)
            }
            Measure::LatencyP99 => {
                (most(run.sources.iter().filter(|s| is(&s.name)).map(|s| s.latency.p99_ms)), None)
            }
            Measure::DwellP99 => {
                (most(run.functions.iter().filter(|f| is(&f.name)).map(|f| f.dwell.p99_ms)), None)
            }
            Measure::ErrorsPercent => {
                let share = |(_, books): (_, &crate::world::SourceTally)| {
                    let over = books.answered + books.failed + self.unanswered(books);
                    percent(books.failed + self.unanswered(books), over)
                };
                let first = sources().filter_map(|(_, books)| books.first_failed).min();
                (most(sources().map(share)), first)
            }
            Measure::ThrottledPercent => {
                let share = |f: &crate::result::FunctionResult| {
                    let throttled: u64 = f.throttled.values().sum();
                    percent(throttled, throttled + f.runs)
                };
                let first = self.tally.functions.iter().filter_map(|f| f.first_throttled).min();
                (most(run.functions.iter().filter(|f| is(&f.name)).map(share)), first)
            }
            Measure::Dropped => {
                let dropped: u64 = nodes().flat_map(|node| node.dropped.values()).sum();
                (dropped as f64, nodes().filter_map(|node| node.first_dropped).min())
            }
            Measure::DeadLetters => {
                let dead: u64 = nodes().flat_map(|node| node.dead.values()).sum();
                (dead as f64, nodes().filter_map(|node| node.first_dead).min())
            }
            Measure::Backlog => {
                (nodes().filter(|node| !node.parking).map(|node| node.backlog as f64).sum(), None)
            }
            Measure::BacklogGrowthPercent => {
                let grown = nodes().filter(|node| !node.parking).map(growth);
                grown.fold((0.0, None), |worst, one| if one.0 > worst.0 { one } else { worst })
            }
            Measure::RunsPerEvent => (self.runs_per_event(of), None),
            Measure::CostPerMonth => (run.cost.usd_per_month, None),
        }
    }

    /// Requests that have waited for longer than any good answer took, and wait still, are as good as lost.
    fn unanswered(&self, books: &crate::world::SourceTally) -> u64 {
        books.arrivals.saturating_sub(books.answered + books.failed + books.open_lately)
    }

    fn runs_per_event(&self, of: Option<&str>) -> f64 {
        let arrivals: u64 = self.tally.sources.iter().map(|source| source.arrivals).sum();
        let arrivals = arrivals.max(1) as f64;
        let named = self.plan.dependencies.iter().zip(&self.tally.dependencies);
        if let Some((_, books)) = named.into_iter().find(|((name, _), _)| Some(name.as_str()) == of) {
            let counts = &books.counts;
            let refused = counts.refused_full + counts.refused_connection + counts.duplicates;
            return counts.asked.saturating_sub(refused) as f64 / arrivals;
        }
        let items = self.plan.functions.iter().zip(&self.tally.functions);
        items
            .filter(|(f, _)| of.is_none_or(|of| of == f.label))
            .map(|(_, books)| books.items as f64)
            .sum::<f64>()
            / arrivals
    }

    fn hits(&self, measure: Measure, of: Option<&str>) -> Vec<Hit> {
        let mut hits: Vec<Hit> = match measure {
            Measure::DeadLetters | Measure::Dropped | Measure::Backlog | Measure::BacklogGrowthPercent => {
                let count = |node: &NodeTally| match measure {
                    Measure::DeadLetters => node.dead.values().sum::<u64>() as f64,
                    Measure::Dropped => node.dropped.values().sum::<u64>() as f64,
                    _ => node.backlog as f64,
                };
                let hit = |node: &NodeTally| (node.label.clone(), count(node));
                self.tally
                    .nodes
                    .iter()
                    .map(hit)
                    .map(|(name, value)| Hit { name, scope: Scope::Node, value })
                    .collect()
            }
            Measure::ThrottledPercent | Measure::RunsPerEvent | Measure::DwellP99 => {
                let hit = |f: &crate::result::FunctionResult| Hit {
                    name: f.name.clone(),
                    scope: Scope::Function,
                    value: f.throttled.values().sum::<u64>() as f64,
                };
                self.run.functions.iter().map(hit).collect()
            }
            _ => {
                let hit = |s: &crate::result::SourceResult| Hit {
                    name: s.name.clone(),
                    scope: Scope::Entrance,
                    value: figure(percent(s.failed, s.answered + s.failed)),
                };
                self.run.sources.iter().map(hit).collect()
            }
        };
        hits.retain(|hit| hit.value > 0.0 && of.is_none_or(|of| of == hit.name));
        hits.sort_by(|a, b| b.value.total_cmp(&a.value));
        hits.truncate(ENTRIES_MAX);
        hits
    }
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// How much a backlog grew over the last half, percent of what came in meanwhile; and since when it has been above
/// what it was before.
fn growth(node: &NodeTally) -> (f64, Option<Time>) {
    let backlog: Vec<(Time, f64)> = node.backlog_over.iter().map(|(at, slot)| (at, slot.mean())).collect();
    let quarter = (backlog.len() / 4).max(1);
    let mean = |slots: &[(Time, f64)]| slots.iter().map(|(_, v)| v).sum::<f64>() / slots.len().max(1) as f64;
    let end = backlog.len().saturating_sub(quarter);
    let before = backlog.get(end.saturating_sub(quarter)..end).map_or(0.0, mean);
    let lately = backlog.get(end..).map_or(0.0, mean);
    let entered: u64 = node.entered_over.iter().map(|(_, n)| *n).skip(end).sum();
    let grown = lately - before;
    if grown < GROWTH_MESSAGES_MIN || entered == 0 {
        return (0.0, None);
    }
    let since = backlog.iter().rev().take_while(|(_, value)| *value > before / 2.0).last();
    (grown * 100.0 / entered as f64, since.map(|(at, _)| *at).or(Some(BEGINNING)))
}

/// A measure in words, with its unit.
fn words(measure: Measure) -> (&'static str, &'static str) {
    match measure {
        Measure::LatencyP50 => ("median latency", "ms"),
        Measure::LatencyP95 => ("p95 latency", "ms"),
        Measure::LatencyP99 => ("p99 latency", "ms"),
        Measure::DwellP99 => ("p99 dwell", "ms"),
        Measure::ErrorsPercent => ("errors", "percent"),
        Measure::ThrottledPercent => ("throttled invocations", "percent"),
        Measure::Dropped => ("events lost", "events"),
        Measure::DeadLetters => ("events in dead letters", "events"),
        Measure::Backlog => ("events waiting at the end", "events"),
        Measure::BacklogGrowthPercent => ("growth of the backlog", "percent"),
        Measure::RunsPerEvent => ("runs for each event", ""),
        Measure::CostPerMonth => ("cost a month", "USD"),
    }
}

fn spaced(unit: &str) -> String {
    match unit {
        "" => String::new(),
        "percent" => " %".into(),
        unit => format!(" {unit}"),
    }
}
