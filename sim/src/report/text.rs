//! For a terminal: the answer, then what stands behind it, then what it rests on.

mod table;

use std::collections::BTreeMap;

use flyball_app::report::{Paint, Style, printable};

use super::{
    Report,
    against::{Comparison, Verdict, compare},
    answer::{Tone, answer, basis, ended, fidelity, insensitive, limit_words, sensitivity},
    numbers::{
        count, counted, factor, from_to, millis, moment, percent, plain, rate, seconds, short, usd, with_unit,
    },
};
use crate::result::{
    Assumption, CostResult, DependencyResult, FaultsResult, LimitResult, LoadLineResult, NodeResult,
    PlatformResult, RunResult, Simulation,
};
use table::Table;

/// Columns of the labels before the answer's facts.
const LABEL_WIDTH: usize = 11;
/// Assumptions that are shown; more are counted.
const ASSUMPTIONS_MAX: usize = 12;
/// Of a list that explains: shown; more are counted.
const LINES_MAX: usize = 6;

/// The report for people, wrapped to the style's width.
pub fn text(report: &Report<'_>, style: Style) -> String {
    let simulation = report.simulation;
    let answer = answer(simulation);
    let mut out = style.labelled(0, "", Paint::Heading, &answer.headline);
    if style.colour {
        out = style.paint(paint(answer.tone), out.trim_end()) + "\n";
    }
    for (label, words) in &answer.facts {
        let label = format!("{label:>LABEL_WIDTH$}");
        out.push_str(&style.labelled(0, &label, Paint::Aside, words));
    }
    out.push('\n');
    if let Some((base, other)) = report.against {
        out.push_str(&comparison(base, &compare(base, other, simulation), style));
    }
    if let Some(line) = &simulation.load_line {
        out.push_str(&load_line(line, style));
    }
    if let Some(run) = &simulation.run {
        out.push_str(&of_run(run, simulation.load_line.is_some(), style));
    }
    if let Some(faults) = &simulation.faults {
        out.push_str(&of_faults(faults, style));
    }
    out.push_str(&assumptions(&simulation.assumptions, style));
    out.push_str(&unmodelled(simulation, style));
    out.push_str(&footer(simulation, style));
    if style.ascii { out.replace('×', "x").replace('→', "->").replace('–', "-") } else { out }
}

const fn paint(tone: Tone) -> Paint {
    match tone {
        Tone::Good => Paint::Fix,
        Tone::Wall => Paint::Error,
        Tone::Unknown => Paint::Warning,
    }
}

fn comparison(base: &str, comparison: &Comparison, style: Style) -> String {
    let paint = match comparison.verdict {
        Verdict::Better => Paint::Fix,
        Verdict::Same => Paint::Heading,
        Verdict::Worse => Paint::Error,
    };
    let mut out = style.labelled(0, &printable(&format!("Against {base}:")), paint, &comparison.headline);
    for change in &comparison.changes {
        out.push_str(&style.labelled(2, "-", Paint::Aside, change));
    }
    for doubt in &comparison.doubts {
        out.push_str(&style.labelled(2, "mind:", Paint::Warning, doubt));
    }
    out.push('\n');
    out
}

fn load_line(line: &LoadLineResult, style: Style) -> String {
    let head = ["", "come in", "end well", "p99", "errors", "throttled", "dead", ""];
    let mut table = Table::new("Load", &head).words_last();
    for point in &line.curve {
        let seeds = match (point.seeds_broken, point.seeds_tried) {
            (0, _) | (_, 1) => String::new(),
            (broken, tried) if broken == tried => String::new(),
            (broken, tried) => format!(" {broken}/{tried}"),
        };
        let said = match (point.holds, point.on_way_back) {
            (true, false) => "holds".to_string(),
            (true, true) => "holds again".into(),
            (false, false) => format!("breaks{seeds}"),
            (false, true) => "still broken".into(),
        };
        let figures = &point.median;
        let cells = vec![
            factor(point.load_factor),
            rate(point.arrivals_per_s),
            rate(figures.goodput_per_s),
            from_to(millis, point.min.p99_ms, point.max.p99_ms),
            percent(figures.errors_percent),
            percent(figures.throttled_percent),
            plain(figures.dead_letters + figures.dropped),
            said,
        ];
        table.row(if point.holds { Paint::Aside } else { Paint::Warning }, cells);
    }
    let mut out = table.drawn(style);
    out.push_str(&limits("Limits at the line", &line.limits(), style));
    if let Some(words) = insensitive(line) {
        out.push_str(&style.labelled(0, "", Paint::Aside, &words));
        out.push('\n');
    }
    if !line.sensitive.is_empty() {
        out.push_str(&style.labelled(0, "", Paint::Aside, "The line rests most on these assumptions:"));
        for one in &line.sensitive {
            out.push_str(&style.labelled(2, "-", Paint::Aside, &sensitivity(one)));
        }
        out.push('\n');
    }
    out
}

/// One run; below a load line without what that has said.
fn of_run(run: &RunResult, below_line: bool, style: Style) -> String {
    let mut out = String::new();
    if below_line {
        let load = format!("At {}, as stated:", factor(run.about.load_factor));
        out.push_str(&style.labelled(0, "", Paint::Heading, &load));
        out.push('\n');
    }
    out.push_str(&promises(run, style));
    if !below_line {
        out.push_str(&limits("Limits", &run.limits.iter().collect::<Vec<_>>(), style));
    }
    out.push_str(&sources(run, style));
    out.push_str(&functions(run, style));
    out.push_str(&nodes(&run.nodes, style));
    out.push_str(&dependencies(&run.dependencies, style));
    out.push_str(&tenants(run, style));
    out.push_str(&cost(&run.cost, style));
    out
}

fn promises(run: &RunResult, style: Style) -> String {
    let mut table = Table::new("Promises", &["", "was", ""]).words_last();
    for promise in &run.promises {
        let said = promise
            .broken
            .as_ref()
            .map_or("holds".to_string(), |broken| format!("broken {} in", moment(broken.at_s)));
        let cells = vec![promise.promise.clone(), with_unit(promise.value, &promise.unit), said];
        table.row(if promise.holds() { Paint::Aside } else { Paint::Error }, cells);
    }
    table.drawn(style)
}

fn limits(title: &str, limits: &[&LimitResult], style: Style) -> String {
    let mut table = Table::new(title, &["", "limit", "peak", "left", "refused", "delayed", ""]).words_last();
    for one in limits.iter().copied().filter(|one| is_used(one)) {
        let limit = &one.limit;
        let met = one.first_reached_s.map(|at| format!("met {} in", moment(at)));
        let cells = vec![
            limit_words(limit),
            short(limit.value, &limit.unit),
            short(one.peak, &limit.unit),
            percent(one.headroom_percent),
            count(one.refused),
            count(one.delayed),
            met.unwrap_or_else(|| basis(one.basis).to_string()),
        ];
        table.row(if one.first_reached_s.is_some() { Paint::Warning } else { Paint::Aside }, cells);
    }
    table.drawn(style)
}

/// Whether there is something to tell of a limit.
fn is_used(limit: &LimitResult) -> bool {
    limit.peak > 0.0 || limit.refused > 0 || limit.delayed > 0
}

fn sources(run: &RunResult, style: Style) -> String {
    let head = ["", "events", "good", "failed", "retries", "refused", "p50", "p99"];
    let mut table = Table::new("Traffic", &head);
    for source in &run.sources {
        let took = |ms: f64| if source.latency.p99_ms > 0.0 { millis(ms) } else { "-".into() };
        let cells = vec![
            source.name.clone(),
            count(source.arrivals),
            count(source.answered),
            count(source.failed),
            count(source.retries),
            count(sum(&source.refused)),
            took(source.latency.p50_ms),
            took(source.latency.p99_ms),
        ];
        table.row(Paint::Aside, cells);
    }
    table.drawn(style)
}

fn functions(run: &RunResult, style: Style) -> String {
    let head = ["", "runs", "failed", "throttled", "cold", "at once", "waits p99", "takes p99"];
    let mut table = Table::new("Functions", &head);
    for function in &run.functions {
        let at_once = match function.concurrency_max {
            Some(max) => format!("{}/{}", plain(function.concurrency_peak), plain(max)),
            None => plain(function.concurrency_peak),
        };
        let cells = vec![
            function.name.clone(),
            count(function.runs),
            count(sum(&function.failed)),
            count(sum(&function.throttled)),
            count(function.cold_starts),
            at_once,
            millis(function.dwell.p99_ms),
            millis(function.duration.p99_ms),
        ];
        table.row(Paint::Aside, cells);
    }
    let mut out = table.drawn(style).trim_end_matches("\n\n").to_string();
    if !out.is_empty() {
        out.push('\n');
        let each = format!("{} for each event that came in, over all functions", runs(&run.platform));
        out.push_str(&style.labelled(2, "", Paint::Aside, &each));
    }
    for function in &run.functions {
        let Some(leak) = &function.leak else { continue };
        let words = format!(
            "leaks {} MB a run: out of memory after {} ({} runs); {} ended so",
            plain(leak.mb_per_run),
            seconds(leak.out_of_memory_after_s),
            plain(leak.out_of_memory_after_runs),
            counted(leak.out_of_memory, "environment")
        );
        out.push_str(&style.labelled(2, &printable(&function.name), Paint::Warning, &words));
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn nodes(nodes: &[NodeResult], style: Style) -> String {
    let head = ["", "in", "out", "p99 to end", "waiting", "peak", "oldest", "dead", "lost"];
    let mut table = Table::new("Queues", &head);
    for node in nodes {
        let cells = vec![
            node.name.clone(),
            count(node.entered),
            count(node.left),
            millis(node.to_end.p99_ms),
            count(node.backlog_end),
            count(node.backlog_peak),
            seconds(node.oldest_age_peak_s),
            count(sum(&node.dead_letters)),
            count(sum(&node.dropped)),
        ];
        let lost = sum(&node.dead_letters) + sum(&node.dropped) > 0;
        table.row(if lost { Paint::Warning } else { Paint::Aside }, cells);
    }
    let mut out = table.drawn(style).trim_end_matches("\n\n").to_string();
    if !out.is_empty() {
        out.push('\n');
    }
    for node in nodes {
        let told: Vec<String> = [("to dead letters", &node.dead_letters), ("lost", &node.dropped)]
            .into_iter()
            .flat_map(|(what, by)| {
                by.iter().map(move |(why, number)| format!("{} {what} by {why}", count(*number)))
            })
            .collect();
        if !told.is_empty() {
            out.push_str(&style.labelled(
                2,
                &printable(&format!("{}:", node.name)),
                Paint::Warning,
                &told.join(", "),
            ));
        }
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn dependencies(dependencies: &[DependencyResult], style: Style) -> String {
    let head = ["", "calls", "refused", "orphans", "connections", "busy", "at peak", "p99"];
    let mut table = Table::new("Dependencies", &head);
    for one in dependencies {
        let connections = match one.connections_max {
            Some(max) => format!("{}/{}", plain(one.connections_peak), plain(max)),
            None => plain(one.connections_peak),
        };
        let cells = vec![
            one.name.clone(),
            count(one.calls),
            count(sum(&one.refused)),
            count(one.orphans),
            connections,
            percent(one.utilisation_percent),
            percent(one.utilisation_peak_percent),
            millis(one.latency.p99_ms),
        ];
        table.row(Paint::Aside, cells);
    }
    table.drawn(style)
}

fn tenants(run: &RunResult, style: Style) -> String {
    let tenants = &run.tenants;
    if run.about.tenants < 2 {
        return String::new();
    }
    let spread: Vec<String> = [
        ("best", &tenants.dwell_p99_best),
        ("median", &tenants.dwell_p99_median),
        ("worst", &tenants.dwell_p99_worst),
    ]
    .into_iter()
    .filter_map(|(word, one)| {
        let one = one.as_ref()?;
        Some(format!("{word} {} ({})", millis(one.value), one.name))
    })
    .collect();
    let waited = tenants.dwell_p99_worst.as_ref().is_some_and(|worst| worst.value > 0.0);
    let waits = if waited { format!("p99 wait: {}", spread.join(", ")) } else { "nobody waited".into() };
    let words = format!(
        "{} of {} sent something; {waits}",
        count(tenants.active),
        counted(run.about.tenants, "tenant")
    );
    let mut out = style.labelled(0, "Tenants:", Paint::Heading, &words);
    for starved in tenants.starved.iter().take(LINES_MAX) {
        out.push_str(&style.labelled(2, "starved:", Paint::Warning, &super::answer::starvation(starved)));
    }
    out.push('\n');
    out
}

fn cost(cost: &CostResult, style: Style) -> String {
    let mut whole = format!("{} a month", usd(cost.usd_per_month));
    if cost.usd_per_event > 0.0 {
        whole.push_str(&format!(", {} an event", usd(cost.usd_per_event)));
    }
    if cost.wasted_usd_per_month > 0.0 && cost.usd_per_month > 0.0 {
        let share = cost.wasted_usd_per_month / cost.usd_per_month * 100.0;
        whole.push_str(&format!("; {} of it for runs that failed or were for nobody", percent(share)));
    }
    if cost.services.is_empty() && cost.usd_per_month == 0.0 {
        return String::new();
    }
    let mut out = style.labelled(0, "Cost:", Paint::Heading, &whole);
    for service in cost.services.iter().take(LINES_MAX) {
        let said = format!(
            "{} for {} {} of {}",
            usd(service.usd_per_month),
            plain(service.units_per_month),
            service.what,
            service.service
        );
        out.push_str(&style.labelled(2, "-", Paint::Aside, &said));
    }
    let top: Vec<String> = cost
        .tenants_top
        .iter()
        .take(3)
        .map(|tenant| format!("{} {}", tenant.name, usd(tenant.usd_per_month)))
        .collect();
    if top.len() > 1 {
        let said = format!(
            "dearest tenants: {}; the one in the middle {}",
            top.join(", "),
            usd(cost.tenant_median_usd_per_month)
        );
        out.push_str(&style.labelled(2, "-", Paint::Aside, &said));
    }
    if !cost.unpriced.is_empty() {
        let mut named: Vec<&str> = cost.unpriced.iter().take(LINES_MAX).map(String::as_str).collect();
        if cost.unpriced.len() > LINES_MAX {
            named.push("and more");
        }
        let said = format!("without a price here: {}", named.join(", "));
        out.push_str(&style.labelled(2, "-", Paint::Aside, &said));
    }
    out.push('\n');
    out
}

fn of_faults(faults: &FaultsResult, style: Style) -> String {
    let injected: Vec<String> =
        faults.injected.iter().map(|(what, number)| format!("{} {what}", count(*number))).collect();
    let mut words = counted(faults.seeds_run, "seed");
    if faults.regressions_run > 0 {
        words.push_str(&format!(", {} of them known to have failed", count(faults.regressions_run)));
    }
    if !injected.is_empty() {
        words.push_str(&format!("; injected: {}", injected.join(", ")));
    }
    let mut out = style.labelled(0, "Under faults:", Paint::Heading, &words);
    for check in &faults.checks {
        let (label, paint) =
            if check.seeds_failed == 0 { ("holds:", Paint::Fix) } else { ("broken:", Paint::Error) };
        let seeds = if check.seeds_failed == 0 {
            String::new()
        } else {
            format!(", with {}", counted(check.seeds_failed, "seed"))
        };
        out.push_str(&style.labelled(2, label, paint, &format!("{}{seeds}", check.what)));
    }
    if let Some(failure) = faults.failures.first() {
        let head = format!(
            "seed {}: {}; the shortest schedule, {} of {} faults:",
            failure.seed,
            failure.broken,
            failure.schedule.len(),
            failure.schedule_before
        );
        out.push_str(&style.labelled(0, "", Paint::Heading, &head));
        if !failure.detail.is_empty() {
            out.push_str(&style.labelled(2, "found:", Paint::Error, &failure.detail));
        }
        for fault in &failure.schedule {
            let lasting =
                if fault.for_s > 0.0 { format!(" for {}", seconds(fault.for_s)) } else { String::new() };
            let said = format!("{} {}{lasting}", fault.what, fault.of);
            out.push_str(&style.labelled(2, &format!("{:>8}", moment(fault.at_s)), Paint::Warning, &said));
        }
        if !failure.trace.is_empty() {
            let head = format!("the event that broke it: {}", failure.event);
            out.push_str(&style.labelled(0, "", Paint::Heading, &head));
        }
        for step in &failure.trace {
            let said = format!("{}: {}", step.place, step.what);
            out.push_str(&style.labelled(2, &format!("{:>8}", moment(step.at_s)), Paint::Aside, &said));
        }
        out.push_str(&style.labelled(0, "again:", Paint::Fix, &failure.again));
    }
    out.push('\n');
    out
}

fn assumptions(assumptions: &[Assumption], style: Style) -> String {
    if assumptions.is_empty() {
        let words = "nothing that was simulated; your files state all of it";
        return style.labelled(0, "Assumed:", Paint::Heading, words) + "\n";
    }
    let head = format!("Assumed ({}); what you state takes its place:", assumptions.len());
    let mut out = style.labelled(0, "", Paint::Heading, &head);
    for one in assumptions.iter().take(ASSUMPTIONS_MAX) {
        let key = if one.key.is_empty() { String::new() } else { format!("; state it as {}", one.key) };
        let said = format!("{}: {} ({}){key}", one.what, one.value, one.why);
        out.push_str(&style.labelled(2, "-", Paint::Aside, &said));
    }
    if let Some(more @ 1..) = assumptions.len().checked_sub(ASSUMPTIONS_MAX) {
        let more = format!("and {more} more; --format json has all");
        out.push_str(&style.labelled(2, "", Paint::Aside, &more));
    }
    out.push('\n');
    out
}

fn unmodelled(simulation: &Simulation, style: Style) -> String {
    if simulation.unmodelled.is_empty() {
        return String::new();
    }
    let head = format!("Not modelled ({}):", simulation.unmodelled.len());
    let mut out = style.labelled(0, "", Paint::Heading, &head);
    for one in simulation.unmodelled.iter().take(LINES_MAX) {
        let said = format!("{} ({}): {}", one.name, one.kind, one.what);
        out.push_str(&style.labelled(2, "-", Paint::Aside, &said));
    }
    if let Some(more @ 1..) = simulation.unmodelled.len().checked_sub(LINES_MAX) {
        let more = format!("and {more} more; --format json has all");
        out.push_str(&style.labelled(2, "", Paint::Aside, &more));
    }
    out.push('\n');
    out
}

fn footer(simulation: &Simulation, style: Style) -> String {
    let mut out = String::new();
    if let Some(run) = &simulation.run {
        let about = &run.about;
        let mut said = format!(
            "{} on {} by the limits of {}: {} of traffic, {}, seed {}",
            super::answer::application(Some(run)),
            about.platform,
            about.profile,
            seconds(about.simulated_s),
            counted(about.arrivals, "event"),
            about.seed
        );
        if let Some(line) = &simulation.load_line {
            said.push_str(&format!(
                "; {} with {}",
                counted(line.runs, "run"),
                counted(line.seeds.len() as u64, "seed")
            ));
        }
        said.push('.');
        if let Some(ended) = ended(about.ended, about.simulated_s) {
            said.push_str(&format!(" Broken off: {ended}."));
        }
        out.push_str(&style.labelled(0, "", Paint::Aside, &said));
    }
    out.push_str(&style.labelled(0, "", Paint::Aside, fidelity(simulation)));
    out
}

/// Runs for one event.
fn runs(platform: &PlatformResult) -> String {
    let runs = plain(platform.runs_per_event);
    if runs == "1" { "1 run".into() } else { format!("{runs} runs") }
}

fn sum(by: &BTreeMap<String, u64>) -> u64 {
    by.values().fold(0, |sum, number| sum.saturating_add(*number))
}
