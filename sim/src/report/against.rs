//! One simulation against another: what moved, by how much, and because of what.

use std::collections::BTreeMap;

use super::{
    answer::{how_met, limit_words},
    numbers::{factor, finite, millis, plain, rate, usd, with_unit},
};
use crate::result::{LimitRef, LineVerdict, LoadLineResult, Percentiles, RunResult, Scope, Simulation, Wall};

/// A load line that moves by less is the same: the search's own bracket is about as wide. Percent.
const SAME_PERCENT: f64 = 3.0;
/// A cost or a time that moves by less is not told, percent.
const TOLD_PERCENT: f64 = 10.0;
/// Changes of one kind that are told; more are counted.
const CHANGES_MAX: usize = 8;

/// Whether it became better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The load line is higher, or a promise holds that did not.
    Better,
    /// Neither.
    Same,
    /// The load line is lower, or a promise broke that held.
    Worse,
}

/// What a comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The whole in a word.
    pub verdict: Verdict,
    /// The whole in a sentence: `load line 4.1× → 1.3×, because …`.
    pub headline: String,
    /// What else moved, a sentence each.
    pub changes: Vec<String>,
    /// What makes the two hard to compare, a sentence each.
    pub doubts: Vec<String>,
}

/// Compares: `base` is what `other` is called.
pub fn compare(base: &str, other: &Simulation, simulation: &Simulation) -> Comparison {
    let mut comparison = match (&other.load_line, &simulation.load_line) {
        (Some(before), Some(after)) => lines((before, after), (other, simulation)),
        _ => Comparison {
            verdict: Verdict::Same,
            headline: String::new(),
            changes: Vec::new(),
            doubts: Vec::new(),
        },
    };
    let stated = stated(other, simulation);
    if let (Some(before), Some(after)) = (&other.run, &simulation.run) {
        runs(base, (before, after), stated, &mut comparison);
    }
    faults(other, simulation, &mut comparison);
    assumptions(other, simulation, &mut comparison);
    if comparison.headline.is_empty() {
        comparison.headline = match comparison.verdict {
            Verdict::Better => format!("better than {base}"),
            Verdict::Same => format!("no worse than {base}"),
            Verdict::Worse => format!("worse than {base}"),
        };
        if let Some(first) = comparison.changes.first() {
            comparison.headline.push_str(&format!(": {first}"));
            comparison.changes.remove(0);
        }
    }
    comparison
}

/// A load line as a number, and whether it is only a bound from below.
fn position(line: &LoadLineResult) -> Option<(f64, bool)> {
    match line.verdict {
        LineVerdict::Found { holds_at, .. } => Some((holds_at, false)),
        LineVerdict::NeverBreaks { tried_up_to } => Some((tried_up_to, true)),
        LineVerdict::BreaksAtZero { .. } => Some((0.0, false)),
        LineVerdict::Between { .. } | LineVerdict::Undecided => None,
    }
}

fn lines(
    (before, after): (&LoadLineResult, &LoadLineResult),
    (other, simulation): (&Simulation, &Simulation),
) -> Comparison {
    let mut doubts = Vec::new();
    let (Some((old, old_open)), Some((new, new_open))) = (position(before), position(after)) else {
        doubts.push("one of the searches was broken off: the load lines are not compared".into());
        return Comparison { verdict: Verdict::Same, headline: String::new(), changes: Vec::new(), doubts };
    };
    // What counts is what comes in: a factor of other traffic is another load.
    let (old_per_s, new_per_s) = (old * finite(before.base_per_s), new * finite(after.base_per_s));
    let same_base = moved(before.base_per_s, after.base_per_s) < SAME_PERCENT;
    if !same_base {
        doubts.push(format!(
            "the stated traffic differs ({} and {}): load lines are compared by events per second",
            rate(before.base_per_s),
            rate(after.base_per_s)
        ));
    }
    let change = moved(old_per_s, new_per_s);
    let verdict = match () {
        () if old_open && new_open => Verdict::Same,
        () if new_open => Verdict::Better,
        () if old_open => Verdict::Worse,
        () if change < SAME_PERCENT => Verdict::Same,
        () if new_per_s > old_per_s => Verdict::Better,
        () => Verdict::Worse,
    };
    let open = |load: f64, open: bool| {
        if open { format!("above {}", factor(load)) } else { factor(load) }
    };
    let mut headline = format!("load line {} → {}", open(old, old_open), open(new, new_open));
    if !same_base {
        headline.push_str(&format!(" ({} → {})", rate(old_per_s), rate(new_per_s)));
    }
    if verdict == Verdict::Same {
        headline.push_str(", unchanged");
    } else {
        let (old, new) = (
            Side { wall: before.wall.as_ref(), of: other },
            Side { wall: after.wall.as_ref(), of: simulation },
        );
        match why(old, new) {
            Some(why) => headline.push_str(&format!(", because {why}")),
            None => headline.push_str(", for no reason that the two results show"),
        }
    }
    Comparison { verdict, headline, changes: Vec::new(), doubts }
}

/// One of the two that are compared.
#[derive(Clone, Copy)]
struct Side<'a> {
    wall: Option<&'a Wall>,
    of: &'a Simulation,
}

impl<'a> Side<'a> {
    fn run(self) -> Option<&'a RunResult> {
        self.of.run.as_ref()
    }
}

/// What stands behind another load line: what differs between the two where one of them breaks; else what breaks.
fn why(before: Side<'_>, after: Side<'_>) -> Option<String> {
    // Of runs at different loads times and work differ by that alone.
    let load = |side: Side<'_>| side.run().map_or(0.0, |run| run.about.load_factor);
    let alike = moved(load(before), load(after)) == 0.0;
    // Times follow from what is stated, and from waiting: alone they are a reason only where nothing says what was
    // stated.
    let says = !before.of.stated.is_empty() && !after.of.stated.is_empty();
    let cause = other_limit(before, after)
        .or_else(|| other_stated(before, after))
        .or_else(|| other_time(before, after).filter(|_| alike && !says))
        .or_else(|| other_work(before, after).filter(|_| alike))
        .or_else(|| other_promise(before, after));
    let (old, new) = match (before.wall, after.wall) {
        (None, None) => return cause,
        (None, Some(new)) => {
            let new = format!("{} now", wall_words(new));
            return Some(cause.map_or(new.clone(), |cause| format!("{cause}: {new}")));
        }
        (Some(old), None) => return cause.or_else(|| Some(format!("{} no longer", wall_words(old)))),
        (Some(old), Some(new)) => (old, new),
    };
    let same = match (&old.because, &new.because) {
        (Some(old), Some(new)) => same_limit(old, new),
        (None, None) => old.promise == new.promise,
        _ => false,
    };
    match (cause, same) {
        (Some(cause), true) => Some(cause),
        (Some(cause), false) => {
            Some(format!("{cause}; {} first, where it was {}", wall_words(new), subject(old)))
        }
        (None, true) => None,
        (None, false) => Some(format!("{} first, where it was {}", wall_words(new), subject(old))),
    }
}

/// Another value of the limit that is met now, or of the one that was met before.
fn other_limit(before: Side<'_>, after: Side<'_>) -> Option<String> {
    let of = |side: Side<'_>, limit: &LimitRef| {
        let own = side.wall.and_then(|wall| wall.because.as_ref()).filter(|own| same_limit(own, limit));
        let found = side.run().and_then(|run| run.limits.iter().find(|one| same_limit(&one.limit, limit)));
        own.or(found.map(|one| &one.limit)).map(|limit| limit.value)
    };
    let met = [after.wall, before.wall].into_iter().flatten().filter_map(|wall| wall.because.as_ref());
    met.into_iter().find_map(|limit| {
        let (old, new) = (of(before, limit)?, of(after, limit)?);
        (old != new).then(|| {
            let (words, new) = (limit_words(limit), with_unit(new, &limit.unit));
            format!("{words} is {new} where it was {}", plain(old))
        })
    })
}

/// Something that is stated otherwise, on the way to the wall before all else.
fn other_stated(before: Side<'_>, after: Side<'_>) -> Option<String> {
    let ways = [after.wall, before.wall];
    let on_way = |key: &str| {
        let mut path = ways.into_iter().flatten().flat_map(|wall| &wall.path);
        path.any(|step| key.split_once('.').is_some_and(|(_, rest)| rest.starts_with(&format!("{step}."))))
    };
    let mut stated = stated(before.of, after.of);
    // How much comes in makes no other line: it is a factor of that.
    stated.retain(|(key, _)| !key.ends_with(".peak_per_s"));
    stated.sort_by_key(|(key, _)| !on_way(key));
    stated.into_iter().next().map(|(_, words)| words)
}

/// Something on the way to the wall takes another time: a dependency, or a function by itself.
fn other_time(before: Side<'_>, after: Side<'_>) -> Option<String> {
    let (old, new) = (before.run()?, after.run()?);
    let on_way = |name: &str| {
        let ways = [after.wall, before.wall];
        ways.into_iter().flatten().any(|wall| wall.path.iter().any(|step| step == name))
    };
    let told = |name: &str, was: f64, is: f64| {
        let differs = was > 0.0 && moved(was, is) >= TOLD_PERCENT && on_way(name);
        differs.then(|| format!("{name} takes {} at p50 where it took {}", millis(is), millis(was)))
    };
    let dependencies = new.dependencies.iter().find_map(|one| {
        let was = old.dependencies.iter().find(|was| was.name == one.name)?;
        told(&one.name, was.latency.p50_ms, one.latency.p50_ms)
    });
    dependencies.or_else(|| {
        new.functions.iter().find_map(|one| {
            let was = old.functions.iter().find(|was| was.name == one.name)?;
            told(&one.name, was.duration.p50_ms, one.duration.p50_ms)
        })
    })
}

/// An event makes more work, or less.
fn other_work(before: Side<'_>, after: Side<'_>) -> Option<String> {
    let (old, new) = (before.run()?.platform.runs_per_event, after.run()?.platform.runs_per_event);
    let differs = old > 0.0 && moved(old, new) >= TOLD_PERCENT;
    differs.then(|| format!("an event makes {} runs where it made {}", plain(new), plain(old)))
}

/// Something else is promised.
fn other_promise(before: Side<'_>, after: Side<'_>) -> Option<String> {
    let (old, new) = (before.run()?, after.wall?);
    let held = old.promises.iter().any(|promise| promise.promise == new.promise);
    (!held).then(|| format!("it is promised now: {}", new.promise))
}

fn wall_words(wall: &Wall) -> String {
    match &wall.because {
        Some(limit) => {
            format!("{} ({}) {}", limit_words(limit), with_unit(limit.value, &limit.unit), how_met(limit))
        }
        None => format!("{} breaks without a limit being met", wall.promise),
    }
}

fn subject(wall: &Wall) -> String {
    wall.because.as_ref().map_or_else(|| wall.promise.clone(), limit_words)
}

fn same_limit(a: &LimitRef, b: &LimitRef) -> bool {
    (&a.name, a.scope, &a.of) == (&b.name, b.scope, &b.of)
}

/// What the two traffic files state differently: keys, and words for it.
fn stated(before: &Simulation, after: &Simulation) -> Vec<(String, String)> {
    if before.stated.is_empty() || after.stated.is_empty() {
        // An older document does not say.
        return Vec::new();
    }
    let changed = after.stated.iter().filter_map(|(key, new)| {
        let words = match before.stated.get(key) {
            Some(old) if old == new => return None,
            Some(old) => format!("{key} is {new} where it was {old}"),
            None => format!("{key} is {new} where it was not stated"),
        };
        Some((key.clone(), words))
    });
    let gone = before.stated.iter().filter(|(key, _)| !after.stated.contains_key(*key));
    let gone = gone.map(|(key, old)| (key.clone(), format!("{key} is not stated where it was {old}")));
    changed.chain(gone).collect()
}

/// Whether a limit is what a key of the traffic file states.
fn is_limit(key: &str, limit: &LimitRef) -> bool {
    let own = match limit.name.as_str() {
        "connections" => "connections_max",
        other => other,
    };
    limit.scope == Scope::Dependency && key == format!("dependency.{}.{own}", limit.of)
}

fn runs(
    base: &str,
    (before, after): (&RunResult, &RunResult),
    mut stated: Vec<(String, String)>,
    comparison: &mut Comparison,
) {
    let (old, new) = (&before.about, &after.about);
    if old.platform != new.platform {
        let words = format!("{base} is of {}, this is of {}", old.platform, new.platform);
        comparison.doubts.push(words);
    }
    if old.seed != new.seed {
        comparison.doubts.push(format!("the seeds differ: {} and {}", old.seed, new.seed));
    }
    if moved(old.load_factor, new.load_factor) > 0.0 || moved(old.duration_s, new.duration_s) > 0.0 {
        comparison.doubts.push("load or duration differ: costs and times are of different runs".into());
    }
    promises(before, after, comparison);
    let changes = &mut comparison.changes;
    // First what was stated otherwise, then what was measured.
    stated.retain(|(key, _)| !after.limits.iter().any(|one| is_limit(key, &one.limit)));
    changes.extend(bounded(limits(before, after)));
    changes.extend(bounded(stated.into_iter().map(|(_, words)| words).collect()));
    let (old, new) = (before.cost.usd_per_month, after.cost.usd_per_month);
    if moved(old, new) >= TOLD_PERCENT {
        changes.push(format!("cost per month {} → {}", usd(old), usd(new)));
    }
    let functions: BTreeMap<&str, &Percentiles> =
        before.functions.iter().map(|one| (one.name.as_str(), &one.duration)).collect();
    let times = after.functions.iter().filter_map(|one| {
        let (old, new) = slower(functions.get(one.name.as_str())?, &one.duration)?;
        Some(format!("{} takes {new} at p99 where it took {old}", one.name))
    });
    changes.extend(bounded(times.collect()));
    let sources: BTreeMap<&str, &Percentiles> =
        before.sources.iter().map(|one| (one.name.as_str(), &one.latency)).collect();
    let answers = after.sources.iter().filter_map(|one| {
        let (old, new) = slower(sources.get(one.name.as_str())?, &one.latency)?;
        Some(format!("{} answers in {new} at p99 where it took {old}", one.name))
    });
    changes.extend(bounded(answers.collect()));
}

/// Two p99s in words, where they differ by more than chance: three standard deviations of what is log-normal with a p99
/// of six times its median.
fn slower(old: &Percentiles, new: &Percentiles) -> Option<(String, String)> {
    let chance = 1_200.0 / (old.count.min(new.count) as f64).sqrt();
    let told = moved(old.p99_ms, new.p99_ms) >= TOLD_PERCENT.max(chance);
    told.then(|| (millis(old.p99_ms), millis(new.p99_ms)))
}

/// Promises that broke and held, and those that only one side has.
fn promises(before: &RunResult, after: &RunResult, comparison: &mut Comparison) {
    let old: BTreeMap<&str, bool> =
        before.promises.iter().map(|one| (one.promise.as_str(), one.holds())).collect();
    let mut lost = Vec::new();
    let mut won = Vec::new();
    for promise in &after.promises {
        let value = with_unit(promise.value, &promise.unit);
        match (old.get(promise.promise.as_str()), promise.holds()) {
            (Some(true), false) => lost.push(format!("broken now: {} ({value})", promise.promise)),
            (None, false) => lost.push(format!("new, and broken: {} ({value})", promise.promise)),
            (Some(false), true) => won.push(format!("holds now: {} ({value})", promise.promise)),
            _ => {}
        }
    }
    if !lost.is_empty() {
        comparison.verdict = Verdict::Worse;
    } else if !won.is_empty() && comparison.verdict == Verdict::Same {
        comparison.verdict = Verdict::Better;
    }
    comparison.changes.extend(bounded(lost));
    comparison.changes.extend(bounded(won));
}

/// Limits with another value.
fn limits(before: &RunResult, after: &RunResult) -> Vec<String> {
    fn key(limit: &LimitRef) -> (Scope, &str, &str) {
        (limit.scope, &limit.of, &limit.name)
    }
    let old: BTreeMap<_, f64> = before.limits.iter().map(|one| (key(&one.limit), one.limit.value)).collect();
    let changed = after.limits.iter().filter_map(|one| {
        let limit = &one.limit;
        let was = *old.get(&key(limit))?;
        let told = was != limit.value;
        told.then(|| {
            format!(
                "{} is {} where it was {}",
                limit_words(limit),
                with_unit(limit.value, &limit.unit),
                plain(was)
            )
        })
    });
    changed.collect()
}

fn faults(before: &Simulation, after: &Simulation, comparison: &mut Comparison) {
    let (Some(old), Some(new)) = (&before.faults, &after.faults) else { return };
    let held: BTreeMap<&str, bool> =
        old.checks.iter().map(|check| (check.what.as_str(), check.seeds_failed == 0)).collect();
    let lost: Vec<String> = new
        .checks
        .iter()
        .filter(|check| check.seeds_failed > 0 && held.get(check.what.as_str()) != Some(&false))
        .map(|check| format!("broken under faults now: {}", check.what))
        .collect();
    if !lost.is_empty() {
        comparison.verdict = Verdict::Worse;
    }
    comparison.changes.extend(bounded(lost));
}

/// What was assumed otherwise: a line that moved by that has not moved by the design.
fn assumptions(before: &Simulation, after: &Simulation, comparison: &mut Comparison) {
    let old: BTreeMap<&str, &str> =
        before.assumptions.iter().map(|one| (one.what.as_str(), one.value.as_str())).collect();
    let changed = after.assumptions.iter().filter_map(|one| match old.get(one.what.as_str()) {
        Some(was) if *was != one.value => {
            Some(format!("another assumption: {} is {} where it was {was}", one.what, one.value))
        }
        _ => None,
    });
    comparison.doubts.extend(bounded(changed.collect()));
}

fn bounded(mut changes: Vec<String>) -> Vec<String> {
    if let Some(more @ 1..) = changes.len().checked_sub(CHANGES_MAX) {
        changes.truncate(CHANGES_MAX);
        changes.push(format!("and {more} more of these"));
    }
    changes
}

/// By how much one number differs from another, percent of the first.
fn moved(old: f64, new: f64) -> f64 {
    let (old, new) = (finite(old), finite(new));
    match (new - old).abs() {
        0.0 => 0.0,
        difference if old == 0.0 => difference.signum() * 100.0,
        difference => difference / old.abs() * 100.0,
    }
}
