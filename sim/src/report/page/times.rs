//! Figures over time: at the stated traffic and, beside it, just past the load line, by the same scale.

use std::fmt::Write as _;

use super::{
    super::{
        markup::escaped,
        numbers::{factor, finite},
    },
    axis::{Axis, Of},
    plot::{Line, Mark, Plot, Rule},
};
use crate::result::{RunResult, Series};

/// Lines of one plot at most, so that each can be told from the others.
const LINES_MAX: usize = 4;

/// A figure: what it shows of a run.
struct Topic {
    title: &'static str,
    about: &'static str,
    of: Of,
    /// By decades: what is usual and what is terrible are far apart.
    decades: bool,
    lines: fn(&RunResult) -> Vec<(String, Series)>,
    /// So many of them are always drawn, in their order; of the others those with the greatest peaks.
    pinned: usize,
    rules: fn(&RunResult) -> Vec<Rule>,
    /// Said instead, where all is zero.
    nothing: &'static str,
}

const TOPICS: &[Topic] = &[
    Topic {
        title: "Arrivals and goodput",
        about: "Events per second that come in, what callers make of them by trying again, and those that end well.",
        of: Of::PerSecond,
        decades: false,
        lines: traffic,
        pinned: 4,
        rules: |_| Vec::new(),
        nothing: "nothing came in",
    },
    Topic {
        title: "Concurrency against its limits",
        about: "The most that ran at once. A dashed line is a limit.",
        of: Of::Count,
        decades: false,
        lines: concurrency,
        pinned: 1,
        rules: caps,
        nothing: "nothing ran",
    },
    Topic {
        title: "Answers",
        about: "How long good answers took: 99 of 100 took less. Each step upwards is ten times as long.",
        of: Of::Millis,
        decades: true,
        lines: answers,
        pinned: 0,
        rules: |_| Vec::new(),
        nothing: "nobody waited for an answer",
    },
    Topic {
        title: "Dwell",
        about: "Time waiting before a run: half, 95 and 99 of 100 wait less. Each step upwards is ten times as long.",
        of: Of::Millis,
        decades: true,
        lines: dwell,
        pinned: 3,
        rules: |_| Vec::new(),
        nothing: "nothing waited before a run",
    },
    Topic {
        title: "Dwell by tenant",
        about: "99 of 100 events of the quieter half of the tenants, of the one in the middle and of the loudest wait \
                less. Each step upwards is ten times as long.",
        of: Of::Millis,
        decades: true,
        lines: |run| run.tenants.groups.iter().map(|one| (group(one), one.dwell_p99_ms.clone())).collect(),
        pinned: 3,
        rules: |_| Vec::new(),
        nothing: "no tenant waited, or all send alike",
    },
    Topic {
        title: "Traffic by tenant",
        about: "Events per second of the quieter half of the tenants together, of the one in the middle and of the \
                loudest.",
        of: Of::PerSecond,
        decades: false,
        lines: |run| run.tenants.groups.iter().map(|one| (group(one), one.arrivals_per_s.clone())).collect(),
        pinned: 3,
        rules: |_| Vec::new(),
        nothing: "all tenants send alike",
    },
    Topic {
        title: "Throttles",
        about: "Invocations per second that a limit refused.",
        of: Of::PerSecond,
        decades: false,
        lines: throttles,
        pinned: 0,
        rules: |_| Vec::new(),
        nothing: "nothing was throttled",
    },
    Topic {
        title: "Backlog",
        about: "Messages that wait or are in flight.",
        of: Of::Count,
        decades: false,
        lines: |run| {
            let nodes = run.nodes.iter().map(|one| (one.name.clone(), one.times.backlog.clone()));
            nodes.collect()
        },
        pinned: 0,
        rules: |_| Vec::new(),
        nothing: "nothing waited in a queue",
    },
    Topic {
        title: "Connections",
        about: "Connections to what functions depend on, idle ones too. A dashed line is the limit.",
        of: Of::Count,
        decades: false,
        lines: |run| {
            let all = run.dependencies.iter().map(|one| (one.name.clone(), one.times.connections.clone()));
            all.collect()
        },
        pinned: 0,
        rules: connections,
        nothing: "no connection was open",
    },
    Topic {
        title: "Calls to dependencies",
        about: "How long calls took, waiting included: 99 of 100 took less.",
        of: Of::Millis,
        decades: true,
        lines: |run| {
            let all = run.dependencies.iter().map(|one| (one.name.clone(), one.times.latency_p99_ms.clone()));
            all.collect()
        },
        pinned: 0,
        rules: |_| Vec::new(),
        nothing: "nothing was called",
    },
    Topic {
        title: "Age of the oldest",
        about: "How long the oldest message has been in its queue.",
        of: Of::Time,
        decades: false,
        lines: |run| {
            let nodes = run.nodes.iter().map(|one| (one.name.clone(), one.times.oldest_age_s.clone()));
            nodes.collect()
        },
        pinned: 0,
        rules: |_| Vec::new(),
        nothing: "no message stayed in a queue",
    },
    Topic {
        title: "Cold starts",
        about: "New environments per second.",
        of: Of::PerSecond,
        decades: false,
        lines: |run| vec![("cold starts".into(), run.platform.times.cold_starts_per_s.clone())],
        pinned: 1,
        rules: |_| Vec::new(),
        nothing: "no environment was new",
    },
    Topic {
        title: "Cost",
        about: "US dollars an hour, at list prices.",
        of: Of::Usd,
        decades: false,
        lines: |run| vec![("per hour".into(), run.platform.times.cost_usd_per_h.clone())],
        pinned: 1,
        rules: |_| Vec::new(),
        nothing: "nothing has a price",
    },
];

/// All figures of one run, or of two side by side.
pub(super) fn figures(runs: &[(&str, &RunResult)]) -> String {
    let mut out = String::new();
    let mut nothing = Vec::new();
    for topic in TOPICS {
        match figure(topic, runs) {
            Some(figure) => out.push_str(&figure),
            None => nothing.push(topic.nothing),
        }
    }
    if runs.len() == 1 && !out.is_empty() {
        out = format!("<div class=\"grid\">{out}</div>");
    }
    if !nothing.is_empty() {
        let _ = write!(
            out,
            "<p class=\"aside\">Not drawn, because there is nothing to see: {}.</p>",
            nothing.join("; ")
        );
    }
    out
}

fn figure(topic: &Topic, runs: &[(&str, &RunResult)]) -> Option<String> {
    let all: Vec<Vec<(String, Series)>> = runs.iter().map(|(_, run)| (topic.lines)(run)).collect();
    let labels = chosen(topic, &all);
    let shown = |lines: &[(String, Series)]| -> Vec<(usize, String, Series)> {
        let of = |label: &String| lines.iter().find(|(name, _)| name == label).cloned();
        labels
            .iter()
            .enumerate()
            .filter_map(|(look, label)| of(label).map(|(name, series)| (look, name, series)))
            .collect()
    };
    let all: Vec<Vec<(usize, String, Series)>> = all.iter().map(|lines| shown(lines)).collect();
    let values = || all.iter().flatten().flat_map(|(.., series)| series.iter().copied()).map(finite);
    let greatest = values().fold(0.0_f64, f64::max);
    if greatest <= 0.0 {
        return None;
    }
    let rules: Vec<Vec<Rule>> = runs.iter().map(|(_, run)| (topic.rules)(run)).collect();
    // A limit far above would press the lines to the ground: the table of limits has it.
    let limit =
        rules.iter().flatten().map(|rule| rule.y).filter(|y| *y <= greatest * 3.0).fold(0.0, f64::max);
    let y = if topic.decades {
        Axis::decades(topic.of, values())
    } else {
        Axis::linear(topic.of, greatest.max(limit))
    };
    let mut out =
        format!("<figure><figcaption><h3>{}</h3><p>{}</p></figcaption>", topic.title, escaped(topic.about));
    if runs.len() > 1 {
        out.push_str("<div class=\"grid\">");
    }
    for (((title, run), lines), rules) in runs.iter().zip(all).zip(rules) {
        let plot = Plot {
            about: format!("{}, {title}. {}", topic.title, topic.about),
            x: Axis::until(Of::Time, run.about.simulated_s),
            y,
            lines: lines.into_iter().map(|(look, label, series)| line(run, look, label, &series)).collect(),
            rules,
            marks: first_broken(run),
            x_head: "after",
        };
        let head = if runs.len() > 1 { format!("<h4>{}</h4>", escaped(title)) } else { String::new() };
        let _ = write!(out, "<div class=\"panel\">{head}{}</div>", plot.drawn());
    }
    if runs.len() > 1 {
        out.push_str("</div>");
    }
    out.push_str("</figure>");
    Some(out)
}

/// Which lines are drawn, by their names: the same in each run, so that each keeps its look.
fn chosen(topic: &Topic, runs: &[Vec<(String, Series)>]) -> Vec<String> {
    let mut peaks: Vec<(String, f64)> = Vec::new();
    for (label, series) in runs.iter().flatten() {
        let peak = series.iter().copied().map(finite).fold(0.0, f64::max);
        match peaks.iter_mut().find(|(name, _)| name == label) {
            Some((_, most)) => *most = most.max(peak),
            None => peaks.push((label.clone(), peak)),
        }
    }
    let ranked = peaks.split_off(topic.pinned.min(peaks.len()));
    let mut ranked: Vec<(String, f64)> = ranked.into_iter().filter(|(_, peak)| *peak > 0.0).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    peaks.into_iter().chain(ranked).take(LINES_MAX).map(|(label, _)| label).collect()
}

fn line(run: &RunResult, look: usize, label: String, series: &[f64]) -> Line {
    let mut points = Vec::with_capacity(series.len());
    let mut x = run.slot_s / 2.0;
    for value in series.iter().take(crate::result::SLOTS_MAX) {
        points.push((finite(x), finite(*value)));
        x += run.slot_s;
    }
    Line { label, points, look, dots: false }
}

/// Where the first promise broke.
fn first_broken(run: &RunResult) -> Vec<Mark> {
    let broken = run.broken().find_map(|promise| promise.broken.as_ref());
    let mark = |at_s| Mark { label: "promise breaks".into(), x: at_s, class: "wall" };
    broken.map(|broken| mark(broken.at_s)).into_iter().collect()
}

fn traffic(run: &RunResult) -> Vec<(String, Series)> {
    let sum = |of: fn(&crate::result::SourceTimes) -> &Series| {
        let mut sum: Series = Vec::new();
        for source in &run.sources {
            add(&mut sum, of(&source.times));
        }
        sum
    };
    let mut lines = vec![
        ("come in".to_string(), sum(|times| &times.arrivals_per_s)),
        ("end well".into(), sum(|times| &times.answered_per_s)),
    ];
    if run.sources.iter().any(|source| source.retries > 0) {
        lines.push(("with retries".into(), sum(|times| &times.requests_per_s)));
    }
    let errors = sum(|times| &times.errors_per_s);
    if errors.iter().any(|value| *value > 0.0) {
        lines.push(("errors".into(), errors));
    }
    lines
}

fn add(sum: &mut Series, more: &[f64]) {
    if sum.len() < more.len() {
        sum.resize(more.len(), 0.0);
    }
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += finite(*more);
    }
}

fn concurrency(run: &RunResult) -> Vec<(String, Series)> {
    let functions = run.functions.iter().map(|one| (one.name.clone(), one.times.concurrency.clone()));
    let all = ("all functions".to_string(), run.platform.times.concurrency.clone());
    std::iter::once(all).chain(functions).collect()
}

/// The platform's limit, and caps of functions that came near to theirs.
fn caps(run: &RunResult) -> Vec<Rule> {
    let platform = run.platform.concurrency_max.map(|y| Rule { label: "limit of all".into(), y });
    let near = run.functions.iter().filter_map(|function| {
        let y = function.concurrency_max.filter(|max| function.concurrency_peak >= max * 0.8)?;
        Some(Rule { label: format!("cap {}", function.name), y })
    });
    platform.into_iter().chain(near).take(LINES_MAX).collect()
}

fn answers(run: &RunResult) -> Vec<(String, Series)> {
    let sources = run.sources.iter().filter(|source| source.synchronous);
    sources.map(|source| (source.name.clone(), source.times.latency_p99_ms.clone())).collect()
}

fn dwell(run: &RunResult) -> Vec<(String, Series)> {
    let times = &run.platform.times;
    vec![
        ("half".into(), times.dwell_p50_ms.clone()),
        ("95 of 100".into(), times.dwell_p95_ms.clone()),
        ("99 of 100".into(), times.dwell_p99_ms.clone()),
    ]
}

fn throttles(run: &RunResult) -> Vec<(String, Series)> {
    let functions = run.functions.iter().map(|one| (one.name.clone(), one.times.throttled_per_s.clone()));
    functions.collect()
}

fn connections(run: &RunResult) -> Vec<Rule> {
    run.dependencies
        .iter()
        .filter_map(|one| Some(Rule { label: format!("max {}", one.name), y: one.connections_max? }))
        .take(LINES_MAX)
        .collect()
}

/// Tenants of a kind, in a word; the one tenant by its name too.
fn group(group: &crate::result::TenantGroup) -> String {
    if group.name.is_empty() { group.group.clone() } else { format!("{} {}", group.group, group.name) }
}

/// What a run is called beside another.
pub(super) fn title(run: &RunResult, past: bool) -> String {
    let load = factor(run.about.load_factor);
    if past { format!("At {load}, just past the line") } else { format!("At {load}, as stated") }
}
