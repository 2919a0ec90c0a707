//! Which promises held; since when not, because of what, and whom that hits.

use flyball_app::workload::{Expect, Measure};
use flyball_core::Time;

use super::{
    behind::{Cause, behind},
    holders, parts, percent, seconds, tenants,
};
use crate::{
    plan::{Plan, ways},
    result::{
        Broken, ENTRIES_MAX, FunctionResult, Hit, LimitRef, PromiseResult, RunResult, Scope, SourceResult,
        figure,
    },
    world::{BEGINNING, NodeTally, SourceTally, Tally},
};

/// Growth of a backlog below this many messages is noise.
const GROWTH_MESSAGES_MIN: f64 = 20.0;

/// Promises where the traffic file states none: nothing is lost, nothing goes to dead letters, no backlog grows,
/// and callers get good answers.
fn defaults() -> Vec<Expect> {
    let promise = |measure, max| Expect { of: None, measure, max, at: String::new() };
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
            promise: format!("{words}{whom} at most {}{}", expect.max, bound(expect.measure, unit)),
            of: of.unwrap_or_default().into(),
            measure: expect.measure.key().into(),
            unit: unit.into(),
            stated,
            max: expect.max,
            value,
            broken: (value > expect.max).then(|| self.broken(expect.measure, of, first, expect.max)),
        }
    }

    fn broken(&self, measure: Measure, of: Option<&str>, first: Option<Time>, max: f64) -> Broken {
        let at = first.unwrap_or(self.tally.now);
        let hits = self.hits(measure, of, max);
        let all = (self.plan, self.tally, self.run);
        let Cause { limit: because, reason } = behind(all, measure, hits.first(), seconds(at));
        let held_by = because.as_ref().and_then(|limit| holders::held_by(self.plan, self.tally, limit, at));
        Broken {
            at_s: figure(seconds(at)),
            path: self.path(because.as_ref(), hits.first()),
            because,
            reason,
            held_by,
            tenants_hit: self.tally.tenants.iter().filter(|t| t.errors + t.dead > 0).count() as u64,
            hits,
        }
    }

    /// What was measured, and when it first went wrong.
    fn measured(&self, measure: Measure, of: Option<&str>) -> (f64, Option<Time>) {
        let is = |name: &str| of.is_none_or(|of| of == name);
        let run = self.run;
        let sources = || self.plan.sources.iter().zip(&self.tally.sources).filter(|(s, _)| is(&s.label));
        // A function's own queue is named by the function, where nothing else has its name.
        let exact = self.tally.nodes.iter().any(|node| Some(node.label.as_str()) == of);
        let of_node = |node: &&NodeTally| is(&node.label) || !exact && is(ways::owner(&node.label));
        let nodes = || self.tally.nodes.iter().filter(of_node);
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
                let of_source = of.and_then(|of| tenants::dwell_p99_ms(self.plan, self.tally, of));
                let of_functions =
                    || most(run.functions.iter().filter(|f| is(&f.name)).map(|f| f.dwell.p99_ms));
                (of_source.unwrap_or_else(of_functions), None)
            }
            Measure::ErrorsPercent => {
                let share = |(_, books): (_, &SourceTally)| errors_percent(books);
                let first = sources().filter_map(|(_, books)| books.first_failed).min();
                (most(sources().map(share)), first)
            }
            Measure::ThrottledPercent => {
                let named = self.plan.functions.iter().zip(&self.tally.functions);
                let first = named.filter(|(f, _)| is(&f.label)).filter_map(|(_, f)| f.first_throttled).min();
                (most(run.functions.iter().filter(|f| is(&f.name)).map(throttled_percent)), first)
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

    fn runs_per_event(&self, of: Option<&str>) -> f64 {
        let arrivals: u64 = self.tally.sources.iter().map(|source| source.arrivals).sum();
        let arrivals = arrivals.max(1) as f64;
        let named = self.plan.dependencies.iter().zip(&self.tally.dependencies);
        if let Some((_, books)) = named.into_iter().find(|((name, _), _)| Some(name.as_str()) == of) {
            return parts::taken_on(&books.counts) as f64 / arrivals;
        }
        let items = self.plan.functions.iter().zip(&self.tally.functions);
        items
            .filter(|(f, _)| of.is_none_or(|of| of == f.label))
            .map(|(_, books)| books.items as f64)
            .sum::<f64>()
            / arrivals
    }

    /// Whom a broken promise hits, the worst first, each by what was measured of it alone.
    fn hits(&self, measure: Measure, of: Option<&str>, max: f64) -> Vec<Hit> {
        let (run, tally) = (self.run, self.tally);
        let (scope, values): (Scope, Vec<(&str, f64)>) = match measure {
            Measure::DeadLetters | Measure::Dropped | Measure::Backlog | Measure::BacklogGrowthPercent => {
                let count = |node: &NodeTally| match measure {
                    Measure::DeadLetters => node.dead.values().sum::<u64>() as f64,
                    Measure::Dropped => node.dropped.values().sum::<u64>() as f64,
                    Measure::Backlog => node.backlog as f64,
                    _ => growth(node).0,
                };
                let nodes = tally.nodes.iter().filter(|node| !node.parking);
                (Scope::Node, nodes.map(|node| (node.label.as_str(), count(node))).collect())
            }
            Measure::DwellP99 if run.sources.iter().any(|source| Some(source.name.as_str()) == of) => {
                let of = of.unwrap_or_default();
                let p99_ms = tenants::dwell_p99_ms(self.plan, tally, of).unwrap_or_default();
                (Scope::Entrance, vec![(of, p99_ms)])
            }
            Measure::ThrottledPercent | Measure::DwellP99 => {
                let value = |f: &FunctionResult| match measure {
                    Measure::DwellP99 => f.dwell.p99_ms,
                    _ => throttled_percent(f),
                };
                (Scope::Function, run.functions.iter().map(|f| (f.name.as_str(), value(f))).collect())
            }
            Measure::RunsPerEvent => {
                let named: Vec<&str> = match of {
                    Some(of) => vec![of],
                    None => run.functions.iter().map(|f| f.name.as_str()).collect(),
                };
                let is_function = |name: &str| run.functions.iter().any(|f| f.name == name);
                let scope = if named.iter().all(|name| is_function(name)) {
                    Scope::Function
                } else {
                    Scope::Dependency
                };
                (scope, named.into_iter().map(|name| (name, self.runs_per_event(Some(name)))).collect())
            }
            Measure::CostPerMonth => (Scope::Platform, Vec::new()),
            Measure::LatencyP50 | Measure::LatencyP95 | Measure::LatencyP99 | Measure::ErrorsPercent => {
                let sources = run.sources.iter().zip(&tally.sources);
                let value = |(s, books): (&SourceResult, &SourceTally)| match measure {
                    Measure::LatencyP50 => s.latency.p50_ms,
                    Measure::LatencyP95 => s.latency.p95_ms,
                    Measure::LatencyP99 => s.latency.p99_ms,
                    _ => errors_percent(books),
                };
                (Scope::Entrance, sources.map(|pair| (pair.0.name.as_str(), value(pair))).collect())
            }
        };
        // Of what is added up everything above zero counts; else whoever alone is beyond the bound.
        let adds_up = matches!(
            measure,
            Measure::DeadLetters | Measure::Dropped | Measure::Backlog | Measure::RunsPerEvent
        );
        let least = if adds_up { 0.0 } else { max };
        let hit = |(name, value): (&str, f64)| Hit { name: name.into(), scope, value: figure(value) };
        let mut hits: Vec<Hit> = values.into_iter().map(hit).collect();
        hits.retain(|hit| {
            hit.value > least && of.is_none_or(|of| of == hit.name || of == ways::owner(&hit.name))
        });
        hits.sort_by(|a, b| b.value.total_cmp(&a.value));
        hits.truncate(ENTRIES_MAX);
        hits
    }

    /// The way to where a limit is met, or to who is hit where there is no such place.
    fn path(&self, because: Option<&LimitRef>, hit: Option<&Hit>) -> Vec<String> {
        let own = |limit: &LimitRef| match limit.scope {
            Scope::Function | Scope::Dependency | Scope::Node => Some(ways::node(&limit.of).to_string()),
            Scope::FunctionTenant => limit.of.split(" for ").next().map(str::to_string),
            Scope::Platform | Scope::Tenant | Scope::Entrance | Scope::Store => None,
        };
        let from = hit.filter(|hit| hit.scope == Scope::Entrance).map(|hit| hit.name.as_str());
        let end = because.and_then(own).or_else(|| {
            let hit = hit?;
            match hit.scope {
                Scope::Entrance => self.plan.called_by(&hit.name).into_iter().next(),
                _ => Some(ways::node(&hit.name).to_string()),
            }
        });
        let Some(end) = end else { return Vec::new() };
        // From who is hit, else from the source that sends most.
        let mut sources: Vec<&SourceResult> = self.run.sources.iter().collect();
        sources
            .sort_by_key(|source| (Some(source.name.as_str()) != from, std::cmp::Reverse(source.arrivals)));
        let ways = sources.iter().filter_map(|source| self.plan.ways.way(&source.name, &end));
        ways.into_iter().next().unwrap_or_else(|| vec![end])
    }
}

/// Events without a good answer, percent. Requests that have waited for longer than any good answer took, and wait
/// still, are as good as lost.
fn errors_percent(books: &SourceTally) -> f64 {
    let unanswered = books.arrivals.saturating_sub(books.answered + books.failed + books.open_lately);
    percent(books.failed + unanswered, books.answered + books.failed + unanswered)
}

fn throttled_percent(function: &FunctionResult) -> f64 {
    let throttled: u64 = function.throttled.values().sum();
    percent(throttled, throttled + function.runs)
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

/// The unit of a bound, as it stands behind it.
fn bound(measure: Measure, unit: &str) -> String {
    match (measure, unit) {
        // Of what, the words before say.
        (_, "" | "events") => String::new(),
        (Measure::BacklogGrowthPercent, _) => " % of what comes in".into(),
        (_, "percent") => " %".into(),
        (_, unit) => format!(" {unit}"),
    }
}
