//! The page's tables: promises, limits, functions, queues, dependencies, cost, tenants, faults, assumptions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{
    super::{
        answer::{basis, fidelity, limit_words, starvation},
        markup::{cut, escaped},
        numbers::{count, float, millis, moment, percent, plain, rate, seconds, short, usd, with_unit},
    },
    Body,
    axis::{Axis, Of},
    plot::{Line, Plot},
    table::{Cell, Row, table},
    times,
};
use crate::result::{
    Assumption, Basis, CostResult, FaultsResult, LimitResult, RunResult, ServiceCost, Simulation,
    TenantsResult,
};

/// Assumptions on the page at most.
const ASSUMPTIONS_MAX: usize = 100;

/// What was promised and what is left: before the figures over time.
pub(super) fn before(body: &mut Body, simulation: &Simulation) {
    let past = past(simulation);
    if let Some(run) = &simulation.run {
        let about = if past.is_some() { as_stated(run) } else { String::new() };
        let more = past.map_or(String::new(), |run| folded(&times::title(run, true), &promises(run)));
        body.section("promises", "Promises", &about, &format!("{}{more}", promises(run)));
    }
    let (limits, about) = match (&simulation.load_line, &simulation.run) {
        (Some(line), _) if !line.headroom.is_empty() => (
            line.limits(),
            "The limit that breaks first, as it is just past the line; and how much of each other one is left at the \
             line, the nearest first.",
        ),
        (_, Some(run)) => {
            (run.limits.iter().collect(), "How much of each limit is left at its peak, the nearest first.")
        }
        _ => (Vec::new(), ""),
    };
    body.section("limits", "Limits", about, &of_limits(&limits));
}

/// Everything else.
pub(super) fn after(body: &mut Body, simulation: &Simulation) {
    let past = past(simulation);
    if let Some(run) = &simulation.run {
        let about = if past.is_some() { as_stated(run) } else { String::new() };
        let more = past.map_or(String::new(), |run| folded(&times::title(run, true), &work(run)));
        body.section(
            "parts",
            "Where work is done and where it waits",
            &about,
            &format!("{}{more}", work(run)),
        );
        let about =
            "A month of 730 hours of this traffic, at list prices, without free tiers, taxes and discounts.";
        body.section("cost", "Cost", about, &cost(&run.cost));
        if run.about.tenants > 1 {
            let about = if past.is_some() { as_stated(run) } else { String::new() };
            let more =
                past.map_or(String::new(), |run| folded(&times::title(run, true), &tenants(&run.tenants)));
            body.section("tenants", "Tenants", &about, &format!("{}{more}", tenants(&run.tenants)));
        }
    }
    if let Some(faults) = &simulation.faults {
        body.section("faults", "Under faults", "", &of_faults(faults));
    }
    let about = "No file states these. Each is a guess with a reason; what you state takes its place.";
    let (about, assumed) = match simulation.assumptions.as_slice() {
        [] if simulation.run.is_some() => {
            ("", "<p>Nothing that was simulated: your files state all of it.</p>".into())
        }
        stated => (about, assumptions(stated)),
    };
    body.section("assumed", "What is assumed", about, &assumed);
    let about = "Parts of the design that take no part in the simulation.";
    body.section("unmodelled", "What is not modelled", about, &unmodelled(simulation));
    body.section("sure", "How sure this is", "", &sure(simulation));
}

fn past(simulation: &Simulation) -> Option<&RunResult> {
    simulation.load_line.as_ref().and_then(|line| line.beyond.as_deref())
}

fn as_stated(run: &RunResult) -> String {
    format!("{}.", times::title(run, false))
}

fn folded(title: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("<details class=\"more\"><summary>{}</summary>{body}</details>", escaped(title))
}

fn name(name: &str) -> Cell {
    Cell::Name(name.to_string())
}

fn words(words: impl Into<String>) -> Cell {
    Cell::Words(words.into())
}

fn counts(value: u64) -> Cell {
    Cell::Number(count(value), float(value))
}

fn number(words: String, value: f64) -> Cell {
    Cell::Number(words, value)
}

fn sum(by: &BTreeMap<String, u64>) -> u64 {
    by.values().fold(0, |sum, number| sum.saturating_add(*number))
}

/// Why, with numbers: `12 by receives, 3 by age`.
fn reasons(by: &BTreeMap<String, u64>) -> String {
    let told: Vec<String> = by.iter().map(|(why, number)| format!("{} by {why}", count(*number))).collect();
    told.join(", ")
}

fn promises(run: &RunResult) -> String {
    let rows: Vec<Row> = run
        .promises
        .iter()
        .map(|promise| {
            let verdict = promise.broken.as_ref().map_or("holds".to_string(), |broken| {
                let limit = broken
                    .because
                    .as_ref()
                    .map_or(String::new(), |limit| format!(": {}", limit_words(limit)));
                format!("broken {} in{limit}", moment(broken.at_s))
            });
            Row(
                if promise.holds() { "" } else { "broken" },
                vec![
                    name(&promise.promise),
                    number(with_unit(promise.value, &promise.unit), promise.value),
                    words(verdict),
                    words(if promise.stated { "stated" } else { "default" }),
                ],
            )
        })
        .collect();
    table("Promises", &["promise", "was", "verdict", "from"], &rows)
}

fn of_limits(limits: &[&LimitResult]) -> String {
    let used = |one: &&LimitResult| one.peak > 0.0 || one.refused > 0 || one.delayed > 0;
    let idle: Vec<String> =
        limits.iter().copied().filter(|one| !used(one)).map(|one| limit_words(&one.limit)).collect();
    let rows: Vec<Row> = limits
        .iter()
        .copied()
        .filter(used)
        .map(|one| {
            let limit = &one.limit;
            let met = one.first_reached_s.map_or("–".to_string(), |at| format!("{} in", moment(at)));
            let source = match (one.source.is_empty(), one.date.is_empty()) {
                (true, _) => basis(one.basis).to_string(),
                (false, true) => format!("{}: {}", basis(one.basis), one.source),
                (false, false) => format!("{}: {}, {}", basis(one.basis), one.source, one.date),
            };
            Row(
                if one.first_reached_s.is_some() { "broken" } else { "" },
                vec![
                    name(&limit_words(limit)),
                    number(short(limit.value, &limit.unit), limit.value),
                    number(short(one.peak, &limit.unit), one.peak),
                    Cell::Bar(
                        format!("{} left", percent(one.headroom_percent)),
                        100.0 - one.headroom_percent,
                    ),
                    words(met),
                    counts(one.refused),
                    counts(one.delayed),
                    words(source),
                ],
            )
        })
        .collect();
    let heads = ["limit", "value", "peak", "used", "first met", "refused", "delayed", "known by"];
    let mut out = table("Limits with headroom", &heads, &rows);
    if !idle.is_empty() {
        let _ = write!(out, "<p class=\"aside\">Not used at all: {}.</p>", cut(&idle.join(", "), 1_000));
    }
    out
}

fn work(run: &RunResult) -> String {
    let mut out = String::new();
    for (title, table) in [
        ("Traffic", sources(run)),
        ("Functions", functions(run)),
        ("Queues", nodes(run)),
        ("Dependencies", dependencies(run)),
    ] {
        if !table.is_empty() {
            let _ = write!(out, "<h3>{title}</h3>{table}");
        }
    }
    out
}

fn sources(run: &RunResult) -> String {
    let rows: Vec<Row> = run
        .sources
        .iter()
        .map(|one| {
            let latency = one.latency;
            let took = |ms: f64| if latency.p99_ms > 0.0 { millis(ms) } else { "–".into() };
            Row(
                "",
                vec![
                    name(&one.name),
                    number(rate(one.arrivals_peak_per_s), one.arrivals_peak_per_s),
                    counts(one.arrivals),
                    counts(one.answered),
                    counts(one.failed),
                    counts(one.retries),
                    counts(sum(&one.refused)),
                    number(took(latency.p50_ms), latency.p50_ms),
                    number(took(latency.p99_ms), latency.p99_ms),
                ],
            )
        })
        .collect();
    let heads = ["source", "at peak", "events", "good answers", "failed", "retries", "refused", "p50", "p99"];
    table("Traffic", &heads, &rows)
}

fn functions(run: &RunResult) -> String {
    let rows: Vec<Row> = run
        .functions
        .iter()
        .map(|one| {
            let at_once = one.concurrency_max.map_or_else(
                || plain(one.concurrency_peak),
                |max| format!("{} of {}", plain(one.concurrency_peak), plain(max)),
            );
            let memory = match (&one.leak, one.memory_peak_mb) {
                (Some(leak), _) => format!("leaks: full after {}", seconds(leak.out_of_memory_after_s)),
                (None, Some(peak)) => format!("{} of {} MB", plain(peak), plain(one.memory_mb)),
                (None, None) => "not stated".into(),
            };
            Row(
                "",
                vec![
                    name(&one.name),
                    counts(one.runs),
                    number(plain(one.attempts_mean), one.attempts_mean),
                    counts(sum(&one.failed)),
                    counts(sum(&one.throttled)),
                    counts(one.cold_starts),
                    number(at_once, one.concurrency_peak),
                    number(millis(one.dwell.p99_ms), one.dwell.p99_ms),
                    number(millis(one.duration.p99_ms), one.duration.p99_ms),
                    number(plain(one.billed_gb_s), one.billed_gb_s),
                    words(memory),
                ],
            )
        })
        .collect();
    let heads = [
        "function",
        "runs",
        "for an event",
        "failed",
        "throttled",
        "cold starts",
        "at once",
        "waits p99",
        "takes p99",
        "GB-s",
        "memory",
    ];
    table("Functions", &heads, &rows)
}

fn nodes(run: &RunResult) -> String {
    let rows: Vec<Row> = run
        .nodes
        .iter()
        .map(|one| {
            let lost = [reasons(&one.dead_letters), reasons(&one.dropped)];
            let lost: Vec<&str> = lost.iter().map(String::as_str).filter(|words| !words.is_empty()).collect();
            let class = if lost.is_empty() { "" } else { "broken" };
            Row(
                class,
                vec![
                    name(&one.name),
                    words(&one.kind),
                    counts(one.entered),
                    counts(one.left),
                    counts(one.backlog_end),
                    counts(one.backlog_peak),
                    number(seconds(one.oldest_age_peak_s), one.oldest_age_peak_s),
                    number(plain(one.receives_mean), one.receives_mean),
                    number(millis(one.to_end.p99_ms), one.to_end.p99_ms),
                    counts(sum(&one.dead_letters)),
                    counts(sum(&one.dropped)),
                    words(lost.join("; ")),
                ],
            )
        })
        .collect();
    let heads = [
        "queue",
        "kind",
        "in",
        "out",
        "waiting at end",
        "most waiting",
        "oldest",
        "deliveries of one",
        "from arrival to end p99",
        "dead",
        "lost",
        "why",
    ];
    table("Queues", &heads, &rows)
}

fn dependencies(run: &RunResult) -> String {
    let rows: Vec<Row> = run
        .dependencies
        .iter()
        .map(|one| {
            let connections = one.connections_max.map_or_else(
                || plain(one.connections_peak),
                |max| format!("{} of {}", plain(one.connections_peak), plain(max)),
            );
            Row(
                "",
                vec![
                    name(&one.name),
                    counts(one.calls),
                    counts(one.answered),
                    counts(sum(&one.refused)),
                    counts(one.orphans),
                    number(connections, one.connections_peak),
                    number(plain(one.waiting_peak), one.waiting_peak),
                    Cell::Bar(percent(one.utilisation_peak_percent), one.utilisation_peak_percent),
                    number(millis(one.latency.p99_ms), one.latency.p99_ms),
                    number(plain(one.executions_per_event), one.executions_per_event),
                ],
            )
        })
        .collect();
    let heads = [
        "dependency",
        "calls",
        "answered",
        "refused",
        "for nobody",
        "connections",
        "most waiting",
        "busy at peak",
        "p99",
        "for each event",
    ];
    table("Dependencies", &heads, &rows)
}

fn cost(cost: &CostResult) -> String {
    if cost.services.is_empty() && cost.usd_per_month == 0.0 {
        return String::new();
    }
    let mut out = format!("<p class=\"figure\"><b>{}</b> a month", usd(cost.usd_per_month));
    if cost.usd_per_event > 0.0 {
        let _ = write!(out, ", {} an event", usd(cost.usd_per_event));
    }
    if cost.wasted_usd_per_month > 0.0 && cost.usd_per_month > 0.0 {
        let share = percent(cost.wasted_usd_per_month / cost.usd_per_month * 100.0);
        let _ = write!(out, "; {share} of it for runs that failed or were for nobody");
    }
    out.push_str(".</p>");
    let greatest = cost.services.iter().map(|one| one.usd_per_month).fold(0.0, f64::max);
    let rows: Vec<Row> = cost.services.iter().map(|one| service(one, greatest)).collect();
    out.push_str(&table(
        "Cost by service",
        &["service", "a month", "for", "price of one", "known by"],
        &rows,
    ));
    let mut rows: Vec<Row> = cost
        .tenants_top
        .iter()
        .map(|one| {
            Row(
                "",
                vec![
                    name(&one.name),
                    number(usd(one.usd_per_month), one.usd_per_month),
                    number(percent(one.share_percent), one.share_percent),
                ],
            )
        })
        .collect();
    if !rows.is_empty() {
        let median = cost.tenant_median_usd_per_month;
        rows.push(Row("sum", vec![name("the tenant in the middle"), number(usd(median), median), words("")]));
    }
    if !rows.is_empty() {
        let table = table("Dearest tenants", &["tenant", "a month", "share"], &rows);
        let _ = write!(out, "<h3>Dearest tenants</h3><div class=\"narrow\">{table}</div>");
    }
    if !cost.unpriced.is_empty() {
        let _ = write!(
            out,
            "<p class=\"aside\">Without a price here: {}.</p>",
            cut(&cost.unpriced.join(", "), 1_000)
        );
    }
    out
}

fn service(one: &ServiceCost, greatest: f64) -> Row {
    let share = if greatest > 0.0 { one.usd_per_month / greatest * 100.0 } else { 0.0 };
    let source = if one.source.is_empty() {
        basis(one.basis).to_string()
    } else {
        format!("{}: {}, {}", basis(one.basis), one.source, one.date)
    };
    Row(
        "",
        vec![
            name(&one.service),
            Cell::Bar(usd(one.usd_per_month), share),
            words(format!("{} {}", plain(one.units_per_month), one.what)),
            number(usd(one.usd_per_unit), one.usd_per_unit),
            words(source),
        ],
    )
}

fn tenants(tenants: &TenantsResult) -> String {
    let mut out = String::new();
    let spread: Vec<String> = [
        ("best", &tenants.dwell_p99_best),
        ("in the middle", &tenants.dwell_p99_median),
        ("worst", &tenants.dwell_p99_worst),
    ]
    .into_iter()
    .filter_map(|(word, one)| {
        one.as_ref().map(|one| format!("{} {word} ({})", millis(one.value), cut(&one.name, 60)))
    })
    .collect();
    let _ = write!(out, "<p class=\"figure\">{} tenants sent something", count(tenants.active));
    if !spread.is_empty() {
        let _ = write!(out, "; 99 of 100 of their events wait less than {}", spread.join(", "));
    }
    out.push_str(".</p>");
    if tenants.starved.is_empty() {
        out.push_str("<p>No tenant starves another.</p>");
    } else {
        out.push_str("<ul>");
        for starved in tenants.starved.iter().take(10) {
            let _ = write!(out, "<li>{}.</li>", cut(&starvation(starved), 400));
        }
        out.push_str("</ul>");
    }
    out.push_str(&quantiles(tenants));
    let rows: Vec<Row> = tenants
        .shown
        .iter()
        .map(|one| {
            Row(
                "",
                vec![
                    name(&one.name),
                    counts(one.arrivals),
                    number(percent(one.arrivals_percent), one.arrivals_percent),
                    number(percent(one.throttled_percent), one.throttled_percent),
                    counts(one.errors),
                    counts(one.dead_letters),
                    number(millis(one.dwell.p50_ms), one.dwell.p50_ms),
                    number(millis(one.dwell.p99_ms), one.dwell.p99_ms),
                    number(usd(one.cost_usd_per_month), one.cost_usd_per_month),
                ],
            )
        })
        .collect();
    let heads = [
        "tenant",
        "events",
        "of all",
        "of all throttles",
        "errors",
        "dead or lost",
        "waits p50",
        "waits p99",
        "a month",
    ];
    let table = table("Tenants: the loudest, the worst off, the quietest", &heads, &rows);
    if !table.is_empty() {
        let _ = write!(
            out,
            "<details class=\"more\"><summary>The loudest, the worst off and the quietest</summary>{table}</details>"
        );
    }
    out
}

fn quantiles(tenants: &TenantsResult) -> String {
    let points: Vec<(f64, f64)> =
        tenants.dwell_p99_over_tenants_ms.iter().map(|one| (one.percent, one.value)).collect();
    if points.len() < 2 || points.iter().all(|(_, y)| *y <= 0.0) {
        return String::new();
    }
    let plot = Plot {
        about: "The p99 dwell of each tenant, over tenants from the best to the worst.".into(),
        x: Axis::until(Of::Percent, 100.0),
        y: Axis::decades(Of::Millis, points.iter().map(|(_, y)| *y)),
        lines: vec![Line { label: "p99 dwell".into(), points, look: 0, dots: false }],
        rules: Vec::new(),
        marks: Vec::new(),
        x_head: "tenants",
    };
    format!(
        "<div class=\"grid\"><figure><figcaption><h3>Dwell over tenants</h3><p>So many percent of the tenants wait \
         less than this at p99.</p></figcaption><div class=\"panel\">{}</div></figure></div>",
        plot.drawn()
    )
}

fn of_faults(faults: &FaultsResult) -> String {
    let injected: Vec<String> = faults
        .injected
        .iter()
        .map(|(what, number)| format!("{} {}", count(*number), escaped(what)))
        .collect();
    let mut out = format!("<p class=\"figure\"><b>{}</b> seeds", count(faults.seeds_run));
    if !injected.is_empty() {
        let _ = write!(out, "; injected: {}", injected.join(", "));
    }
    out.push_str(".</p>");
    let rows: Vec<Row> = faults
        .checks
        .iter()
        .map(|check| {
            Row(
                if check.seeds_failed > 0 { "broken" } else { "" },
                vec![
                    name(&check.what),
                    words(if check.stated { "stated" } else { "invariant" }),
                    counts(check.seeds_failed),
                ],
            )
        })
        .collect();
    out.push_str(&table("What must hold under faults", &["must hold", "from", "seeds that broke it"], &rows));
    for failure in faults.failures.iter().take(3) {
        let _ = write!(
            out,
            "<details class=\"more\"><summary>Seed {}: {}</summary><p>{}. The shortest schedule that breaks it has {} \
             of {} faults:</p><ol class=\"steps\">",
            failure.seed,
            cut(&failure.broken, 200),
            cut(&failure.detail, 400),
            failure.schedule.len(),
            failure.schedule_before
        );
        for fault in failure.schedule.iter().take(50) {
            let _ = write!(
                out,
                "<li><b>{}</b> {} {}</li>",
                moment(fault.at_s),
                cut(&fault.what, 120),
                cut(&fault.of, 80)
            );
        }
        let _ = write!(out, "</ol><p>The way of event {}:</p><ol class=\"steps\">", cut(&failure.event, 120));
        for step in failure.trace.iter().take(100) {
            let _ = write!(
                out,
                "<li><b>{}</b> {}: {}</li>",
                moment(step.at_s),
                cut(&step.place, 80),
                cut(&step.what, 200)
            );
        }
        let _ = write!(out, "</ol><p>Again: <code>{}</code></p></details>", cut(&failure.again, 300));
    }
    out
}

fn assumptions(assumptions: &[Assumption]) -> String {
    let rows: Vec<Row> = assumptions
        .iter()
        .take(ASSUMPTIONS_MAX)
        .map(|one| {
            let key = if one.key.is_empty() { "can't be stated" } else { one.key.as_str() };
            let class = if one.basis == Basis::Unverified { "unverified" } else { "" };
            Row(class, vec![name(&one.what), words(&one.value), words(&one.why), words(key), words(&one.ask)])
        })
        .collect();
    table("Assumptions", &["of what", "assumed", "why", "state it as", "who would know"], &rows)
}

fn unmodelled(simulation: &Simulation) -> String {
    let rows: Vec<Row> = simulation
        .unmodelled
        .iter()
        .map(|one| Row("", vec![name(&one.name), words(&one.kind), words(&one.what)]))
        .collect();
    table("Not modelled", &["part", "kind", "what that means"], &rows)
}

fn sure(simulation: &Simulation) -> String {
    let words = [
        ("stated", "Your files say so."),
        (
            "exact",
            "The very limit that flyball serve enforces: the engine that was simulated is the one that serves.",
        ),
        ("calibrated", "Measured against flyball serve on one machine. It says nothing about AWS."),
        ("sourced", "A published value, with its document and date."),
        ("unverified", "A published value that could not be verified."),
        ("assumed", "Nobody says so. It is listed above."),
    ];
    let mut out = format!("<p>{}</p><dl class=\"basis\">", escaped(fidelity(simulation)));
    for (word, means) in words {
        let _ = write!(out, "<div><dt>{word}</dt><dd>{means}</dd></div>");
    }
    out + "</dl>"
}
