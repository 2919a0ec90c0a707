//! For a terminal: problems, then findings by path, then what was not resolved, then a summary.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Counts, Report,
    chain::draw,
    style::{Paint, Style, printable, shortened},
};
use crate::{
    check::{Finding, Level, Quantity, words},
    design::Evidence,
    document::Files,
    import::Problem,
};

/// Unresolved things that are shown; more are counted.
const UNRESOLVED_MAX: usize = 5;
/// Columns of a file's name beside something unresolved.
const UNRESOLVED_FILE_WIDTH: usize = 32;
/// Findings of one rule that are said with their fix and why; of more the place is shown.
const IN_FULL_MAX: usize = 5;
/// Places beside that of a finding that are shown; more are counted.
const RELATED_MAX: usize = 4;
/// Problems that are shown; more are counted.
const PROBLEMS_MAX: usize = 20;
/// Resources that a line of advice names; more are counted.
const ADVICE_NAMES_MAX: usize = 4;
/// Columns of a file's line that are shown of it.
const SNIPPET_WIDTH: usize = 72;

/// The report for people, wrapped to the style's width.
pub fn text(report: &Report<'_>, style: Style) -> String {
    let mut out = String::new();
    for problem in report.problems.iter().take(PROBLEMS_MAX) {
        out.push_str(&of_problem(problem, &report.design.files, style));
        out.push('\n');
    }
    if let Some(more @ 1..) = report.problems.len().checked_sub(PROBLEMS_MAX) {
        out.push_str(&style.labelled(
            0,
            "",
            Paint::Aside,
            &format!("{more} more of these; --format json has all"),
        ));
        out.push('\n');
    }
    let mut said: BTreeMap<&str, usize> = BTreeMap::new();
    for (heading, findings) in groups(report, style) {
        out.push_str(&heading);
        for finding in findings {
            let before = said.entry(finding.code).or_default();
            *before += 1;
            // Who has read a rule's fix five times knows it.
            out.push_str(&of_finding(finding, *before <= IN_FULL_MAX, style));
        }
        out.push('\n');
    }
    let advice = advice(report, style);
    if !advice.is_empty() {
        out.push_str(&advice);
        out.push('\n');
    }
    let unresolved = unresolved(report, style);
    if !unresolved.is_empty() {
        out.push_str(&unresolved);
        out.push('\n');
    }
    out.push_str(&summary(report, style));
    out
}

/// Findings with the same steps: what is drawn above them, which differs by what counts on the way.
#[derive(Default)]
struct Way<'a> {
    drawn: Vec<(String, Vec<&'a Finding>)>,
}

impl Way<'_> {
    fn worst(&self) -> Option<Level> {
        self.drawn.iter().filter_map(|(_, findings)| worst(findings)).max()
    }
}

fn worst(findings: &[&Finding]) -> Option<Level> {
    findings.iter().map(|finding| finding.level).max()
}

/// Findings by what is drawn above them; the worst group first, and ways with the same steps side by side.
fn groups<'a>(report: &Report<'a>, style: Style) -> Vec<(String, Vec<&'a Finding>)> {
    let mut ways: Vec<Way<'_>> = Vec::new();
    let mut index: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
    for finding in report.walls() {
        let names: Vec<&str> = if finding.path.is_empty() {
            vec![finding.resource.as_str()]
        } else {
            finding.path.iter().map(|hop| hop.name.as_str()).collect()
        };
        let at = *index.entry(names).or_insert(ways.len());
        if at == ways.len() {
            ways.push(Way::default());
        }
        let Some(way) = ways.get_mut(at) else { continue };
        let heading = heading(finding, style);
        match way.drawn.iter_mut().find(|(other, _)| *other == heading) {
            Some((_, findings)) => findings.push(finding),
            None => way.drawn.push((heading, vec![finding])),
        }
    }
    for way in &mut ways {
        way.drawn.iter_mut().for_each(|(_, findings)| findings.sort_by_key(|finding| Reverse(finding.level)));
        way.drawn.sort_by_key(|(_, findings)| Reverse(worst(findings)));
    }
    ways.sort_by_key(|way| Reverse(way.worst()));
    ways.into_iter().flat_map(|way| way.drawn).collect()
}

/// The drawn way, or the resource by its most telling name.
fn heading(finding: &Finding, style: Style) -> String {
    if finding.path.is_empty() {
        let name = finding.construct_path.as_deref().unwrap_or(&finding.resource);
        return format!("{}\n", style.paint(Paint::Heading, &printable(name)));
    }
    draw(&finding.path, style).join("\n") + "\n"
}

/// A finding; without its fix and why where that was said often enough.
fn of_finding(finding: &Finding, in_full: bool, style: Style) -> String {
    let place = &finding.place;
    let mut about = format!("{}:{}:{}", place.file, place.line, place.column);
    let shown = !finding.path.is_empty();
    if shown && finding.path.iter().all(|hop| hop.name != finding.resource) {
        about.push_str(&format!(" {}", finding.resource));
    }
    // At a single resource nothing leads anywhere: what the file states needs no other evidence.
    if shown || finding.evidence != Evidence::Wired {
        about.push_str(&format!(" ({})", evidence(finding.evidence)));
    }
    let label = format!("{} {}", finding.level.as_str(), finding.code);
    let mut out = style.labelled(2, &label, paint(finding.level), &about);
    if !in_full {
        return out;
    }
    out.push_str(&style.labelled(4, "fix:", Paint::Fix, &finding.help));
    out.push_str(&style.labelled(4, "why:", Paint::Aside, &finding.message));
    for quantity in [&finding.limit, &finding.value].into_iter().flatten() {
        if !quantity.source.is_empty() {
            let said = format!("{}, {}; {}", amount(quantity), quantity.of, quantity.source);
            out.push_str(&style.labelled(4, "number:", Paint::Aside, &said));
        }
    }
    for assumed in &finding.assumed {
        out.push_str(&style.labelled(4, "assumed:", Paint::Aside, assumed));
    }
    for (place, what) in finding.related.iter().take(RELATED_MAX) {
        let also = format!("{}:{}:{}: {what}", place.file, place.line, place.column);
        out.push_str(&style.labelled(4, "also:", Paint::Aside, &also));
    }
    if let Some(more @ 1..) = finding.related.len().checked_sub(RELATED_MAX) {
        let said = format!("{more} more places; --format json has all");
        out.push_str(&style.labelled(4, "also:", Paint::Aside, &said));
    }
    out
}

/// Advice: a line for each rule and file.
fn advice(report: &Report<'_>, style: Style) -> String {
    let mut lines: BTreeMap<(&str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in report.findings {
        if finding.suppressed.is_none() && finding.level == Level::Advice {
            lines.entry((finding.code, &finding.place.file)).or_default().push(finding);
        }
    }
    let mut out = String::new();
    for ((code, file), findings) in lines {
        let Some(first) = findings.first() else { continue };
        let said = match findings.as_slice() {
            [one] => format!("{file}:{}: {}; {}", one.place.line, one.message, one.help),
            many => {
                let names: Vec<&str> =
                    many.iter().take(ADVICE_NAMES_MAX).map(|finding| finding.resource.as_str()).collect();
                let more = many.len() - names.len();
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{file}: {}{more}: {}", names.join(", "), first.help)
            }
        };
        out.push_str(&style.labelled(0, &format!("advice {code}"), Paint::Aside, &said));
    }
    out
}

fn unresolved(report: &Report<'_>, style: Style) -> String {
    let all = &report.design.unresolved;
    if all.is_empty() {
        return String::new();
    }
    let head = format!("Not resolved ({}); nothing is said of what depends on it:", all.len());
    let mut out = style.labelled(0, "", Paint::Aside, &head);
    for one in all.iter().take(UNRESOLVED_MAX) {
        let place = report.design.files.place(one.span);
        let resource = one.resource.as_ref().map_or(String::new(), |name| format!(" {name}:"));
        let file = shortened(&place.file, UNRESOLVED_FILE_WIDTH, style);
        let line = format!("{file}:{}:{}:{resource} {}", place.line, place.column, one.what);
        out.push_str(&style.labelled(2, "-", Paint::Aside, &line));
    }
    if let Some(more @ 1..) = all.len().checked_sub(UNRESOLVED_MAX) {
        out.push_str(&style.labelled(
            2,
            "",
            Paint::Aside,
            &format!("and {more} more; --format json has all"),
        ));
    }
    out
}

fn summary(report: &Report<'_>, style: Style) -> String {
    let counts = Counts::of(report.findings);
    let levels = [
        (counts.errors, "error", Paint::Error),
        (counts.warnings, "warning", Paint::Warning),
        (counts.notes, "note", Paint::Note),
    ];
    let found: Vec<String> = levels
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, word, _)| counted(*count, word))
        .collect();
    let paint = levels.iter().find(|(count, ..)| *count > 0).map_or(Paint::Fix, |(.., paint)| *paint);
    // Of what could not be read nothing is known, and that is no good news.
    if report.files_read == 0 && found.is_empty() {
        return "Nothing could be read, so nothing was looked for.\n".to_string();
    }
    let found = if found.is_empty() { "No walls found".into() } else { found.join(", ") };
    let edges = report.design.edges().count();
    let looked = format!(
        "in {} and {} of {}, by the limits of {}.",
        counted(report.design.functions().count(), "function"),
        counted(edges, "edge"),
        counted(report.files_read, "file"),
        report.profile
    );
    let mut out = style.flowing(&found, paint, &looked);
    let mut apart = Vec::new();
    if let Some(against) = report.against {
        let gone = if against.gone > 0 { format!(", {} gone since", against.gone) } else { String::new() };
        apart.push(format!("New since {}; {} known there{gone}.", against.base, against.known));
    }
    if counts.suppressed > 0 {
        apart.push(format!("{} let be by a comment.", counts.suppressed));
    }
    let codes: BTreeSet<&str> = report.walls().map(|finding| finding.code).collect();
    if let Some(code) = codes.first() {
        apart.push(format!("More of a rule: flyball explain {code}"));
    }
    if !apart.is_empty() {
        out.push_str(&style.labelled(0, "", Paint::Aside, &apart.join(" ")));
    }
    out
}

/// What is wrong with a file, with the line where.
fn of_problem(problem: &Problem, files: &Files, style: Style) -> String {
    let place = files.place(problem.span);
    let label = format!("{}[{}]:", "problem", problem.code);
    let mut out = style.labelled(0, &label, Paint::Warning, &problem.message);
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    out.push_str(&printable(&format!("{margin}--> {}:{}:{}", place.file, place.line, place.column)));
    out.push('\n');
    let line = printable(&files.line(problem.span.file, place.line).replace('\t', " "));
    // Of a long line its part around the place.
    let skipped = (place.column - 1).saturating_sub(SNIPPET_WIDTH / 2);
    let skipped = if line.chars().count() <= SNIPPET_WIDTH { 0 } else { skipped };
    let part: String = line.chars().skip(skipped).take(SNIPPET_WIDTH).collect();
    if !part.trim().is_empty() {
        let caret = " ".repeat(place.column - 1 - skipped);
        out.push_str(&format!("{number} | {part}\n{margin} | {caret}^\n"));
    }
    out.push_str(&style.labelled(margin.len() + 1, "= help:", Paint::Fix, &problem.help));
    out
}

fn paint(level: Level) -> Paint {
    match level {
        Level::Error => Paint::Error,
        Level::Warning => Paint::Warning,
        Level::Note => Paint::Note,
        Level::Advice => Paint::Aside,
    }
}

/// The word for how an edge is known.
pub(super) const fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Granted => "granted",
        Evidence::Observed => "observed",
        Evidence::Named => "named",
        Evidence::Declared => "declared",
        Evidence::Wired => "wired",
    }
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

/// A quantity as people read it: `256 KiB`, `1,000 environments`, `29 s`.
fn amount(quantity: &Quantity) -> String {
    match (quantity.number, quantity.unit) {
        (number, unit) if !number.is_finite() => format!("endless {unit}").trim_end().to_string(),
        (number, "bytes") => words::bytes(number),
        (number, "s") => words::seconds(number),
        (number, "ms") if number >= 1_000.0 => words::seconds(number / 1_000.0),
        (number, unit) => format!("{} {unit}", words::decimal(number)).trim_end().to_string(),
    }
}
