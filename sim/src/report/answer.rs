//! The answer in sentences: the same in a terminal, on the page, in JUnit and in a comparison.

use flyball_app::workload::Measure;

use super::numbers::{
    count, counted, events, factor, finite, moment, percent, plain, rate, seconds, with_unit,
};
use crate::result::{
    Basis, Broken, Ended, FaultsResult, Hit, Holder, LimitRef, LimitResult, LineVerdict, LoadLineResult,
    PromiseResult, Raising, Recovery, RunResult, Scope, Sensitivity, Simulation, Starvation, Wall, WallSide,
};

/// Names in a list; more are counted.
const NAMES_MAX: usize = 3;
/// A tenant that holds less of a limit is one among many, percent.
const FEW_PERCENT: f64 = 10.0;

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Wall,
    Unknown,
}

/// The answer: one sentence, and what stands behind it.
pub(super) struct Answer {
    pub(super) tone: Tone,
    pub(super) headline: String,
    /// A label of one or two words, and a sentence.
    pub(super) facts: Vec<(&'static str, String)>,
}

/// The answer to what was asked.
pub(super) fn answer(simulation: &Simulation) -> Answer {
    let mut answer = match (&simulation.load_line, &simulation.run, &simulation.faults) {
        (Some(line), run, _) => of_line(line, run.as_ref()),
        (None, Some(run), None) => of_run(run),
        (None, Some(run), Some(faults)) if run.broken().next().is_some() => {
            let mut answer = of_run(run);
            answer.facts.push(("besides", of_faults(faults).headline));
            return answer;
        }
        (None, _, Some(faults)) => return of_faults(faults),
        (None, None, None) => {
            Answer { tone: Tone::Unknown, headline: "Nothing was simulated.".into(), facts: Vec::new() }
        }
    };
    if let Some(faults) = &simulation.faults {
        let under = of_faults(faults);
        if under.tone == Tone::Wall {
            answer.tone = Tone::Wall;
        }
        answer.facts.push(("besides", under.headline));
    }
    answer
}

fn of_line(line: &LoadLineResult, run: Option<&RunResult>) -> Answer {
    let name = application(run);
    let at = |load: f64| format!("{} ({})", factor(load), rate(load * finite(line.base_per_s)));
    let mut tone = Tone::Wall;
    let headline = match line.verdict {
        LineVerdict::Found { holds_at, breaks_at, .. } if holds_at < 1.0 => {
            format!("{name} does not hold its traffic: it breaks at {}{}.", at(breaks_at), first_limit(line))
        }
        LineVerdict::Found { breaks_at, .. } => {
            let events = events(breaks_at * finite(line.base_per_s));
            format!("{name} breaks at {} its traffic ({events}){}.", factor(breaks_at), first_limit(line))
        }
        LineVerdict::NeverBreaks { tried_up_to } => {
            tone = Tone::Good;
            format!("{name} holds as far as was tried: up to {}.", at(tried_up_to))
        }
        LineVerdict::BreaksAtZero { tried_down_to } => {
            format!("{name} breaks at any load, at {} too{}.", at(tried_down_to), first_limit(line))
        }
        LineVerdict::Between { holds_at, breaks_at } => {
            tone = Tone::Unknown;
            match (holds_at > 0.0, breaks_at > 0.0) {
                (true, true) => {
                    format!("Broken off: {name} holds at {} and breaks at {}.", at(holds_at), at(breaks_at))
                }
                (true, false) => format!("Broken off: {name} holds at {} so far.", at(holds_at)),
                _ => format!("Broken off: {name} breaks at {}; lower loads were not tried.", at(breaks_at)),
            }
        }
        LineVerdict::Undecided => {
            tone = Tone::Unknown;
            format!("Broken off before anything was known of the load line of {name}.")
        }
    };
    let mut facts = Vec::new();
    if line.broken_off && tone != Tone::Unknown {
        let words = "the search was ended before all was asked: what is not told here was not tried";
        facts.push(("broken off", words.into()));
    }
    if let (LineVerdict::NeverBreaks { .. }, Some(nearest)) = (line.verdict, line.headroom.first()) {
        facts.push(("nearest", nearest_words(nearest)));
    }
    if let Some(wall) = &line.wall {
        wall_facts(wall, run.map_or(0, |run| run.about.tenants), &mut facts);
    } else if let Some(first) = run.and_then(|run| run.broken().next()) {
        // Nothing is known of the line's own wall; what breaks at the stated load is the next best.
        broken_facts(first, run.map_or(0, |run| run.about.tenants), &mut facts);
    }
    if let Some(held) = held(line) {
        facts.push(("holds", held));
    }
    if let Some(back) = recovery(line.recovery) {
        facts.push(("recovers", back));
    }
    if let Some(raising) = &line.raising {
        match line.verdict {
            LineVerdict::Found { holds_at, .. } if !helps(raising, holds_at) => {
                facts.push(("no help", no_help_words(raising)));
            }
            _ => {
                facts.push(("change", raising_words(raising)));
                if let Some(next) = &raising.next {
                    facts.push(("next wall", next_words(next)));
                }
            }
        }
    } else if let (Some(wall), LineVerdict::Found { .. }) = (&line.wall, line.verdict)
        && let Some(limit) = wall.because.as_ref().filter(|limit| is_raisable(line, limit))
    {
        facts.push(("change", format!("what raising {} brings was not tried", limit_words(limit))));
    }
    Answer { tone, headline, facts }
}

/// Whether a limit can be raised at all.
fn is_raisable(line: &LoadLineResult, limit: &LimitRef) -> bool {
    let known = line.beyond.iter().flat_map(|run| &run.limits).chain(&line.headroom);
    known.into_iter().any(|one| one.raisable && one.limit == *limit)
}

/// What stops it, as the end of a sentence.
fn first_limit(line: &LoadLineResult) -> String {
    let Some(wall) = &line.wall else { return String::new() };
    match &wall.because {
        Some(limit) => format!(": {}", met(limit)),
        None => format!(": {} is broken ({})", wall.promise, with_unit(wall.value, &wall.unit)),
    }
}

/// To where it holds, and how sure that is.
fn held(line: &LoadLineResult) -> Option<String> {
    let LineVerdict::Found { holds_at, seeds_low, seeds_high, .. } = line.verdict else { return None };
    let seeds = line.seeds.len() as u64;
    let mut said = format!("up to {} ({})", factor(holds_at), rate(holds_at * finite(line.base_per_s)));
    if seeds > 1 && factor(seeds_low) != factor(seeds_high) {
        said.push_str(&format!(
            "; each of {} taken alone: {} to {}",
            counted(seeds, "seed"),
            factor(seeds_low),
            factor(seeds_high)
        ));
    } else if seeds > 1 {
        said.push_str(&format!(", with each of {}", counted(seeds, "seed")));
    }
    Some(said)
}

fn of_run(run: &RunResult) -> Answer {
    let about = &run.about;
    let load = format!("{} ({} on average)", factor(about.load_factor), rate(arrivals_per_s(run)));
    let promises = run.promises.len() as u64;
    let broken: Vec<&PromiseResult> = run.broken().collect();
    let name = application(Some(run));
    let mut facts = Vec::new();
    let ended = ended(about.ended, about.simulated_s);
    if let Some(ended) = &ended {
        facts.push(("broken off", ended.clone()));
    }
    if run.saw_nothing() {
        let headline =
            format!("No event came in within {}: nothing is known of {name}.", seconds(about.duration_s));
        facts.push(("change", "state more traffic, or a longer duration".into()));
        return Answer { tone: Tone::Unknown, headline, facts };
    }
    let Some(first) = broken.first() else {
        let (tone, headline) = match (promises, &ended) {
            (0, _) => (Tone::Unknown, format!("{name} was simulated at {load}; nothing was promised.")),
            (_, Some(_)) => (Tone::Unknown, format!("{name} at {load}: no promise broke so far.")),
            (_, None) => {
                let all =
                    if promises == 1 { "its promise".into() } else { format!("all {promises} promises") };
                (Tone::Good, format!("{name} keeps {all} at {load}."))
            }
        };
        if let Some(nearest) = run.limits.first() {
            facts.push(("nearest", nearest_words(nearest)));
        }
        return Answer { tone, headline, facts };
    };
    let headline = match broken.len() as u64 {
        1 if promises == 1 => format!("{name} breaks its promise at {load}."),
        number => {
            let because = first.broken.as_ref().and_then(|broken| broken.because.as_ref());
            let because = because.map_or(String::new(), |limit| format!(": {}", met(limit)));
            format!("{name} breaks {} of {} at {load}{because}.", count(number), counted(promises, "promise"))
        }
    };
    broken_facts(first, about.tenants, &mut facts);
    if let Some(starved) = run.tenants.starved.first() {
        facts.push(("starves", starvation(starved)));
    }
    Answer { tone: Tone::Wall, headline, facts }
}

/// Why the figures are of less than was asked for.
pub(super) fn ended(ended: Ended, simulated_s: f64) -> Option<String> {
    let why = match ended {
        Ended::Complete => return None,
        Ended::Interrupted => "it was interrupted",
        Ended::EventsMax => "it reached the bound on simulated events",
        Ended::WaitingMax => "more was waiting than the simulation keeps in memory",
    };
    Some(format!("{why}: all figures are of the first {}", seconds(simulated_s)))
}

fn of_faults(faults: &FaultsResult) -> Answer {
    let seeds = counted(faults.seeds_run, "seed");
    if let Some(first) = faults.failures.first() {
        let headline =
            format!("Under faults, {} of {seeds} break what must hold.", count(faults.seeds_failed));
        let steps = counted(first.schedule.len() as u64, "fault");
        let facts = vec![
            ("what", format!("{}: {}", first.broken, first.detail)),
            ("when", format!("seed {}, {} in, after {steps}", first.seed, moment(first.at_s))),
            ("again", first.again.clone()),
        ];
        return Answer { tone: Tone::Wall, headline, facts };
    }
    if faults.seeds_run < faults.seeds_asked || faults.seeds_run == 0 {
        let headline = format!(
            "Under faults, nothing broke so far: {} of {} ran.",
            count(faults.seeds_run),
            counted(faults.seeds_asked, "seed")
        );
        return Answer { tone: Tone::Unknown, headline, facts: Vec::new() };
    }
    let injected: u64 = faults.injected.values().sum();
    let headline = format!("Under faults, nothing broke: {seeds}, {}.", counted(injected, "fault"));
    Answer { tone: Tone::Good, headline, facts: Vec::new() }
}

/// What breaks, because of what, and whom it hits.
fn wall_facts(wall: &Wall, tenants: u64, facts: &mut Vec<(&'static str, String)>) {
    facts.push(("breaks", broken_words(&wall.promise, &wall.unit, (wall.value, wall.max), wall.at_s)));
    facts.push(("because", because_of_wall(wall)));
    facts.extend(way(&wall.path));
    if let Some(hits) = hits(&wall.hits, &wall.unit, wall.tenants_hit, tenants) {
        facts.push(("hits", hits));
    }
    if let Some(starved) = &wall.starvation {
        facts.push(("starves", starvation(starved)));
    }
}

fn broken_facts(promise: &PromiseResult, tenants: u64, facts: &mut Vec<(&'static str, String)>) {
    let Some(broken) = &promise.broken else { return };
    let words = broken_words(&promise.promise, &promise.unit, (promise.value, promise.max), broken.at_s);
    facts.push(("breaks", words));
    facts.push(("because", because_of(promise, broken)));
    facts.extend(way(&broken.path));
    if let Some(hits) = hits(&broken.hits, &promise.unit, broken.tenants_hit, tenants) {
        facts.push(("hits", hits));
    }
}

/// The way to where it breaks, from its source on.
fn way(path: &[String]) -> Option<(&'static str, String)> {
    (path.len() > 1).then(|| ("way", path.join(" → ")))
}

/// What was promised, and what it was.
fn broken_words(promise: &str, unit: &str, (value, max): (f64, f64), at_s: f64) -> String {
    let mut was = with_unit(value, unit);
    if was == with_unit(max, unit) {
        // Rounded they are the same.
        was = format!("{value} {unit}").trim_end().to_string();
    }
    format!("{promise}: it was {was}; first broken {} in", moment(at_s))
}

/// The same in a few words, for a table or a test's failure.
pub(super) fn failure(promise: &PromiseResult, broken: &Broken) -> String {
    let words = broken_words(&promise.promise, &promise.unit, (promise.value, promise.max), broken.at_s);
    format!("{words}; {}", because_of(promise, broken))
}

/// What is behind a broken promise.
pub(super) fn because_of(promise: &PromiseResult, broken: &Broken) -> String {
    because(&promise.measure, (broken.because.as_ref(), &broken.reason), broken.held_by.as_ref())
}

/// What is behind a wall.
pub(super) fn because_of_wall(wall: &Wall) -> String {
    because(&wall.measure, (wall.because.as_ref(), &wall.reason), wall.held_by.as_ref())
}

/// Which limit broke what was promised of a measure, and who holds it; or what most of the trouble is.
fn because(measure: &str, (limit, reason): (Option<&LimitRef>, &str), held_by: Option<&Holder>) -> String {
    let Some(limit) = limit else {
        let is = |one: Measure| measure == one.key();
        let reason = if is(Measure::RunsPerEvent) && reason.is_empty() {
            "work comes back: delivered again, tried again, or put back where it came from"
        } else {
            reason
        };
        let none = if is(Measure::CostPerMonth) {
            "no limit is behind what traffic costs"
        } else {
            "no limit that is counted here was met"
        };
        return if reason.is_empty() { none.into() } else { format!("{none}: {reason}") };
    };
    let mut said = format!("{}: {}", met(limit), with_unit(limit.value, &limit.unit));
    if let Some(holder) = held_by {
        let share = percent(holder.share_percent);
        let by = scoped(holder.scope, &holder.name);
        if holder.scope == Scope::Tenant && holder.share_percent < FEW_PERCENT {
            said.push_str(&format!("; no tenant holds more than {share} of it ({by})"));
        } else {
            said.push_str(&format!("; {share} of it is held by {by}"));
        }
    }
    said
}

/// That a limit is met.
fn met(limit: &LimitRef) -> String {
    format!("{} {}", limit_words(limit), how_met(limit))
}

/// What is said of a limit that is met.
pub(super) fn how_met(limit: &LimitRef) -> &'static str {
    let mut words = limit.name.split(' ');
    let several = [words.next(), words.next_back()].into_iter().flatten().any(|word| word.ends_with('s'));
    match limit.name.as_str() {
        "timeout" => "ends its runs",
        "patience" | "integration timeout" => "ends before an answer comes",
        "error rate" => "fails its runs, as stated",
        _ if several => "are used up",
        _ => "is used up",
    }
}

/// A limit in words: `the platform's concurrency`, `concurrency of scan`, `connections of db`.
pub(super) fn limit_words(limit: &LimitRef) -> String {
    match (limit.scope, limit.of.as_str()) {
        // AWS counts environments, for the account.
        (Scope::Platform, "") if limit.unit == "environments" => format!("the account's {}", limit.name),
        (Scope::Platform, "") => format!("the platform's {}", limit.name),
        (Scope::Store, "") => format!("the store's {}", limit.name),
        (_, "") => limit.name.clone(),
        (Scope::Entrance, of) if limit.name == "patience" => format!("the patience of callers of {of}"),
        (scope, of) => format!("{} of {}", limit.name, scoped(scope, of)),
    }
}

/// A name, with what it is where that is not plain from the design.
fn scoped(scope: Scope, name: &str) -> String {
    match (scope, name.strip_prefix('@')) {
        (Scope::Tenant, _) => format!("tenant {name}"),
        (Scope::Node, Some(function)) => format!("the inbox of {function}"),
        _ => name.to_string(),
    }
}

fn hits(hits: &[Hit], unit: &str, tenants_hit: u64, tenants: u64) -> Option<String> {
    // Where tenants are counted before, their names stand for themselves.
    let named = |hit: &Hit| match hit.scope {
        Scope::Tenant if tenants_hit > 0 => hit.name.clone(),
        scope => scoped(scope, &hit.name),
    };
    let worst: Vec<String> = hits
        .iter()
        .take(NAMES_MAX)
        .map(|hit| format!("{} ({})", named(hit), with_unit(hit.value, unit)))
        .collect();
    let some = (tenants > 1 && tenants_hit > 0).then(|| {
        let all = counted(tenants, "tenant");
        if tenants_hit == tenants { format!("all {all}") } else { format!("{} of {all}", count(tenants_hit)) }
    });
    match (some, worst.is_empty()) {
        (None, true) => None,
        (None, false) => Some(worst.join(", ")),
        (Some(some), true) => Some(some),
        (Some(some), false) => Some(format!("{some}; worst: {}", worst.join(", "))),
    }
}

/// Who starves whom.
pub(super) fn starvation(starved: &Starvation) -> String {
    let whom: Vec<&str> = starved.whom.iter().take(NAMES_MAX).map(String::as_str).collect();
    let kind = match (starved.whom_scope == Scope::Tenant, starved.whom_count) {
        (true, 1) => "tenant ",
        (true, _) => "tenants ",
        (false, _) => "",
    };
    let more = starved.whom_count.saturating_sub(whom.len() as u64);
    let more = if more > 0 { format!(" and {} more", count(more)) } else { String::new() };
    let one = starved.whom_count == 1;
    let without = if starved.throttled > 0 {
        let is = if one { "is" } else { "are" };
        let waits = if starved.dwell_p99_ms > 0.0 {
            let wait = if one { "waits" } else { "wait" };
            format!(", and {wait} {} at p99", super::numbers::millis(starved.dwell_p99_ms))
        } else {
            String::new()
        };
        format!("{is} refused {}{waits}", counted(starved.throttled, "time"))
    } else {
        let wait = if one { "waits" } else { "wait" };
        format!("{wait} for it ({} at p99)", super::numbers::millis(starved.dwell_p99_ms))
    };
    format!(
        "{} takes {} of {}; {kind}{}{more} {without}",
        scoped(starved.by_scope, &starved.by),
        percent(starved.share_percent),
        limit_words(&starved.limit),
        whom.join(", "),
    )
}

/// Whether it comes back, and where.
pub(super) fn recovery(recovery: Recovery) -> Option<String> {
    match recovery {
        Recovery::Untried => None,
        Recovery::Unasked => Some(
            "not asked: traffic of users, of traces or with events_max can't be taken back in the middle"
                .into(),
        ),
        Recovery::At { load_factor, after_s } => {
            Some(format!("once the load is back at {}, after {}", factor(load_factor), seconds(after_s)))
        }
        Recovery::NotAbove { load_factor, waited_s } => Some(format!(
            "not while the load stays above {}: it was watched for {}",
            factor(load_factor),
            seconds(waited_s)
        )),
    }
}

/// Whether the line is higher with the limit raised: by more than the search can err.
fn helps(raising: &Raising, holds_at: f64) -> bool {
    raising.never_breaks || raising.holds_at > holds_at * 1.15
}

/// Where more of a limit does not help, less of what asks for it does.
fn no_help_words(raising: &Raising) -> String {
    let instead = match (raising.limit.scope, raising.next.as_ref().and_then(|next| next.because.as_ref())) {
        (Scope::Dependency, _) => {
            ": bound what asks for it instead, such as the concurrency of its callers".to_string()
        }
        (_, Some(next)) if next.name != raising.limit.name || next.of != raising.limit.of => {
            format!(": then {}", met(next))
        }
        _ => String::new(),
    };
    format!(
        "twice as much of {} holds up to {} ({}) only{instead}",
        limit_words(&raising.limit),
        factor(raising.holds_at),
        rate(raising.holds_at_per_s),
    )
}

/// What raising the limit brings.
fn raising_words(raising: &Raising) -> String {
    let by = if raising.by.is_empty() { String::new() } else { format!(" ({})", raising.by) };
    let then = if raising.never_breaks { "it holds as far as was tried, up to" } else { "it holds up to" };
    format!(
        "raise {}{by} from {} to {}: {then} {} ({})",
        limit_words(&raising.limit),
        plain(raising.limit.value),
        with_unit(raising.to, &raising.limit.unit),
        factor(raising.holds_at),
        rate(raising.holds_at_per_s),
    )
}

/// What breaks next.
fn next_words(next: &Wall) -> String {
    let at = format!("at {} ({})", factor(next.load_factor), rate(next.per_s));
    match &next.because {
        Some(limit) => format!("{at}: {} ({})", limit_words(limit), with_unit(limit.value, &limit.unit)),
        None => format!("{at}: {}", next.promise),
    }
}

/// What the line becomes with another value of an assumption.
pub(super) fn sensitivity(one: &Sensitivity) -> String {
    let differ = one.less.because != one.more.because;
    let side = |word: &str, side: &WallSide| {
        let because =
            if differ && !side.because.is_empty() { format!(" ({})", side.because) } else { String::new() };
        let value = if side.value.is_empty() { word } else { side.value.as_str() };
        format!("{} with {value}{because}", factor(side.holds_at))
    };
    let (less, more) = (side("30 % less", &one.less), side("30 % more", &one.more));
    format!("{} ({}): {less}, {more}", one.what, one.value)
}

/// That no assumption moves the line, where some were tried.
pub(super) fn insensitive(line: &LoadLineResult) -> Option<String> {
    let tried = line.assumptions_tried;
    let nothing = tried > 0 && line.sensitive.is_empty();
    nothing.then(|| match tried {
        1 => "The one assumption that was tried, 30 % smaller and larger, does not move the line by 15 %.".into(),
        _ => format!(
            "None of the {} assumptions that were tried, each 30 % smaller and larger, moves the line by 15 %.",
            count(tried)
        ),
    })
}

/// The nearest limit of a run in which nothing broke.
fn nearest_words(limit: &LimitResult) -> String {
    format!(
        "{}: {} of {} at the peak, {} left",
        limit_words(&limit.limit),
        plain(limit.peak),
        with_unit(limit.limit.value, &limit.limit.unit),
        percent(limit.headroom_percent)
    )
}

/// How well a number is known, in a word.
pub(super) const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Stated => "stated",
        Basis::Exact => "exact",
        Basis::Calibrated => "calibrated",
        Basis::Sourced => "sourced",
        Basis::Unverified => "unverified",
        Basis::Assumed => "assumed",
    }
}

/// What kind of truth the figures are.
pub(super) fn fidelity(simulation: &Simulation) -> &'static str {
    let platform = simulation
        .run
        .as_ref()
        .or_else(|| simulation.load_line.as_ref().and_then(|line| line.beyond.as_deref()))
        .map_or("", |run| run.about.platform.as_str());
    if platform == "aws" {
        "AWS is a model with sources: its limits and schedules are published values with their dates, and what \
         could not be verified is marked. Durations, errors and dependencies are those of the traffic file, or \
         assumed. Nothing here was measured on AWS."
    } else {
        "Limits are exact: the engine that was simulated is the one that serves. Capacity is calibrated: what a \
         run, a start and a commit take is stated, measured on a machine, or assumed."
    }
}

/// The application's name, as a subject.
pub(super) fn application(run: Option<&RunResult>) -> String {
    named(run.map_or("", |run| run.about.application.as_str()))
}

/// The same of all that one call found: runs under faults alone have it too.
pub(super) fn application_of(simulation: &Simulation) -> String {
    match &simulation.run {
        Some(run) => application(Some(run)),
        None => named(&simulation.application),
    }
}

fn named(given: &str) -> String {
    // An application without a name has that of its file, or of its directory where every such file is called alike.
    let mut parts = given.trim_end_matches('/').rsplit('/').filter(|part| !matches!(*part, "" | "." | ".."));
    let Some(last) = parts.next() else { return "The application".into() };
    let alike = ["template.", "serverless.", "flyball.toml", "cdk.out"];
    let directory = parts.next().filter(|_| alike.iter().any(|name| last.starts_with(name)));
    directory.unwrap_or(last).to_string()
}

/// What comes in over all sources, the mean over the run: the busiest moment is one of chance.
pub(super) fn arrivals_per_s(run: &RunResult) -> f64 {
    run.sources.iter().map(|source| finite(source.arrivals_mean_per_s)).sum()
}
