//! Writes what was observed as a traffic file and as a profile, each value with where it came from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use flyball_core::{Name, Span};

use super::{Metric, Observed, Points, Runs, metrics::moment, service_graph::Seen};
use crate::workload::{PER_SECOND_MAX, file::in_words};

/// A day, seconds: what is shorter says nothing of how a day goes.
const DAY_S: i64 = 86_400;
/// Percentiles that are written of many measured values.
const PERCENTS: [u8; 8] = [0, 25, 50, 75, 90, 95, 99, 100];

/// The profile of the account.
pub(super) fn profile(observed: &Observed) -> Option<String> {
    if observed.quotas.is_empty() {
        return None;
    }
    let mut out = String::from(
        "# The account's limits, written by `flyball import`. All others are those of the profile aws.\n\
         base = \"aws\"\n\n[limits]\n",
    );
    for seen in &observed.quotas {
        let source = quoted(&cleaned(&seen.source));
        line(
            &mut out,
            format_args!("{:?} = {{ value = {}, source = {source} }}", seen.limit.key(), plain(seen.value)),
        );
    }
    Some(out)
}

/// The traffic file.
pub(super) fn traffic(observed: &Observed) -> String {
    let mut out = String::from(
        "# What was observed, as a traffic file, written by `flyball import`. Each value has its origin beside it.\n\
         # What was not observed is left out; a simulation lists what it assumes in its place.\n",
    );
    for file in &observed.files {
        line(&mut out, format_args!("#   {}", cleaned(file)));
    }
    let functions = functions(observed);
    for (logical, deployed) in &functions {
        source(&mut out, observed, logical, deployed);
    }
    others(&mut out, observed);
    let mut dependencies: BTreeMap<String, Asked> = BTreeMap::new();
    for (logical, deployed) in &functions {
        function(&mut out, observed, (logical, deployed), &mut dependencies);
    }
    for (name, asked) in &dependencies {
        dependency(&mut out, name, asked);
    }
    out
}

/// Functions by logical id, with the names under which they were seen.
fn functions(observed: &Observed) -> BTreeMap<String, BTreeSet<String>> {
    let metrics =
        observed.metrics.keys().filter(|metric| metric.service == "lambda").map(|metric| &metric.name);
    let services = observed.services.iter().map(|seen| &seen.name);
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for deployed in metrics.chain(observed.runs.keys()).chain(services) {
        let logical = observed.logical(deployed);
        // A name that a traffic file can't have.
        if (1..=256).contains(&logical.len()) {
            all.entry(logical.to_string()).or_default().insert(deployed.clone());
        }
    }
    all
}

/// Counts of one metric over time.
struct Counted {
    total: f64,
    peak: f64,
    peak_at: i64,
    period_s: f64,
    periods: i64,
    /// From the first period's beginning to the last one's end.
    length_s: i64,
}

impl Counted {
    fn per_s(&self) -> f64 {
        self.peak / self.period_s
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds of a year or so")]
    fn mean_per_s(&self) -> f64 {
        self.total / self.length_s.max(1) as f64
    }
}

fn points<'o>(
    observed: &'o Observed,
    (service, metric, statistic): Key<'_>,
    name: &str,
) -> Option<&'o Points> {
    let [service, metric, statistic] = [service, metric, statistic].map(str::to_string);
    observed.metrics.get(&Metric { service, name: name.to_string(), metric, statistic })
}

/// Service, metric, statistic.
type Key<'a> = (&'a str, &'a str, &'a str);

fn of<'o>(observed: &'o Observed, key: Key<'_>, names: &BTreeSet<String>) -> Option<&'o Points> {
    names.iter().find_map(|name| points(observed, key, name)).filter(|points| !points.values.is_empty())
}

fn counted(points: &Points) -> Option<Counted> {
    let (first, last) = (points.values.keys().next()?, points.values.keys().next_back()?);
    let (peak_at, peak) = points.values.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)))?;
    let length_s = last - first + points.period_s;
    #[expect(clippy::cast_precision_loss, reason = "at most a day")]
    let period_s = points.period_s as f64;
    Some(Counted {
        total: points.values.values().sum(),
        peak: *peak,
        peak_at: *peak_at,
        period_s,
        periods: length_s / points.period_s.max(1),
        length_s,
    })
}

/// `[traffic.NAME]`, for a function that nothing of what was seen calls.
fn source(out: &mut String, observed: &Observed, logical: &str, deployed: &BTreeSet<String>) {
    let invocations = of(observed, ("lambda", "Invocations", "Sum"), deployed).and_then(counted);
    let Some(invocations) = invocations.filter(|seen| plain(seen.per_s()) != "0") else { return };
    if observed.is_called(logical) {
        line(
            out,
            format_args!(
                "\n# {} is called by another function: it is no source of traffic.",
                cleaned(logical)
            ),
        );
        return;
    }
    if invocations.per_s() > f64::from(PER_SECOND_MAX) {
        let rate = plain(invocations.per_s());
        line(out, format_args!("\n# {} had {rate} a second: more than is simulated.", cleaned(logical)));
        return;
    }
    line(out, format_args!("\n[traffic.{}]", key(&named(logical))));
    if named(logical) != logical {
        line(out, format_args!("to = {}", quoted(logical)));
    }
    line(
        out,
        format_args!(
            "# AWS/Lambda Invocations: {} in {} s from {}, the most of {} periods.\n# Remove this table where its \
             events come from another part of the application; where they come in\n# batches there are more events \
             than invocations.",
            plain(invocations.peak),
            plain(invocations.period_s),
            moment(invocations.peak_at),
            invocations.periods
        ),
    );
    line(out, format_args!("peak_per_s = {}", plain(invocations.per_s())));
    let ratio = invocations.per_s() / invocations.mean_per_s();
    let about = format!(
        "the mean is {} a second over {}",
        plain(invocations.mean_per_s()),
        length(invocations.length_s)
    );
    match invocations.length_s >= DAY_S && (1.0..=1_000.0).contains(&ratio) {
        true => line(out, format_args!("peak_to_mean = {}  # {about}", plain(ratio))),
        false => line(out, format_args!("# Flat: {about}, which says nothing of a whole day.")),
    }
}

/// Seconds as a file would have them.
fn length(seconds: i64) -> String {
    in_words(Span::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Queues and gateways: places where traffic may come in instead.
fn others(out: &mut String, observed: &Observed) {
    for (metric, points) in &observed.metrics {
        let what = match (metric.service.as_str(), metric.metric.as_str(), metric.statistic.as_str()) {
            ("sqs", "NumberOfMessagesSent", "Sum") => "AWS/SQS NumberOfMessagesSent",
            ("apigateway", "Count", "Sum") => "AWS/ApiGateway Count",
            ("sqs", "ApproximateNumberOfMessagesVisible", "Maximum") => {
                if let Some(seen) = counted(points) {
                    let name = cleaned(observed.logical(&metric.name));
                    line(out, format_args!("\n# {name} had up to {} messages waiting.", plain(seen.peak)));
                }
                continue;
            }
            _ => continue,
        };
        let Some(seen) = counted(points).filter(|seen| plain(seen.per_s()) != "0") else { continue };
        let name = cleaned(observed.logical(&metric.name));
        line(
            out,
            format_args!(
                "\n# Where these come from outside, let them in here, and remove the function behind:\n\
                 # [traffic.{}]\n# peak_per_s = {}  # {what}, from {}",
                key(&named(&name)),
                plain(seen.per_s()),
                moment(seen.peak_at)
            ),
        );
    }
}

/// What all functions' calls of one dependency took: seconds and how many.
#[derive(Default)]
struct Asked {
    seen_as: String,
    kind: String,
    count: u64,
    total_s: f64,
    bars: Vec<(f64, u64)>,
}

/// `[function.NAME]`.
fn function(
    out: &mut String,
    observed: &Observed,
    (logical, deployed): (&str, &BTreeSet<String>),
    dependencies: &mut BTreeMap<String, Asked>,
) {
    line(out, format_args!("\n[function.{}]", key(logical)));
    let seen = observed.services.iter().find(|seen| deployed.contains(&seen.name) && seen.runs > 0);
    let runs = deployed.iter().find_map(|name| observed.runs.get(name));
    let own = seen.map_or(1.0, own_share);
    if let Some((text, from)) = duration(observed, deployed, runs, own) {
        line(
            out,
            format_args!(
                "# {from}{}",
                if own < 1.0 { "; of it the share that is not spent in calls" } else { "" }
            ),
        );
        line(out, format_args!("duration = {text}"));
    }
    if let Some(runs) = runs {
        if let Some(text) = lasting(&runs.inits, 1.0) {
            line(out, format_args!("init = {text}  # {} cold starts in the log", runs.inits.len()));
        }
        if runs.memory_mb_max >= 1.0 {
            line(
                out,
                format_args!("memory = \"{}MiB\"  # the most in the log", plain(runs.memory_mb_max.ceil())),
            );
        }
    }
    rates(out, observed, deployed);
    if let Some(seen) = seen.filter(|seen| !seen.calls.is_empty()) {
        steps(out, observed, seen, dependencies);
    }
}

/// Errors, and what is only worth knowing.
fn rates(out: &mut String, observed: &Observed, deployed: &BTreeSet<String>) {
    let total =
        |metric| of(observed, ("lambda", metric, "Sum"), deployed).and_then(counted).map(|seen| seen.total);
    let invocations = total("Invocations").unwrap_or(0.0);
    if let Some(errors) = total("Errors").filter(|errors| *errors > 0.0 && invocations > 0.0) {
        let rate = plain((errors / invocations).min(1.0));
        line(out, format_args!("error_rate = {rate}  # AWS/Lambda Errors by Invocations"));
    }
    if let Some(throttles) = total("Throttles").filter(|throttles| *throttles > 0.0) {
        line(out, format_args!("# It was throttled {} times.", plain(throttles)));
    }
    let concurrency = of(observed, ("lambda", "ConcurrentExecutions", "Maximum"), deployed).and_then(counted);
    if let Some(seen) = concurrency {
        let (peak, at) = (plain(seen.peak), moment(seen.peak_at));
        line(
            out,
            format_args!("# Its concurrency was up to {peak}, at {at}: compare it with what is simulated."),
        );
    }
}

/// The share of a run that is not spent waiting for calls.
fn own_share(seen: &Seen) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let runs = seen.runs.max(1) as f64;
    let waited: f64 = seen.calls.values().filter(|calls| !calls.is_emit()).map(|calls| calls.total_s).sum();
    match seen.mean_s > 0.0 {
        true => (1.0 - waited / runs / seen.mean_s).clamp(0.0, 1.0),
        false => 1.0,
    }
}

/// What a run takes, and where that is from.
fn duration(
    observed: &Observed,
    deployed: &BTreeSet<String>,
    runs: Option<&Runs>,
    own: f64,
) -> Option<(String, String)> {
    if let Some(runs) = runs
        && let Some(text) = lasting(&runs.durations, own)
    {
        return Some((text, format!("{} runs in the log", runs.durations.len())));
    }
    let weights = of(observed, ("lambda", "Invocations", "Sum"), deployed);
    let mean = |statistic| {
        let points = of(observed, ("lambda", "Duration", statistic), deployed)?;
        let weight = |at| weights.map_or(1.0, |weights| weights.values.get(at).copied().unwrap_or(0.0));
        let sum: f64 = points.values.iter().map(|(at, value)| weight(at) * value).sum();
        let all: f64 = points.values.keys().map(weight).sum();
        (all > 0.0).then(|| span_of_ms(sum / all * own))
    };
    let (p50, p99) = (mean("p50")?, mean("p99")?);
    let text = match p50.0 {
        0 => format!("{:?}", in_words(p99)),
        _ => format!("{{ p50 = {:?}, p99 = {:?} }}", in_words(p50), in_words(p99.max(p50))),
    };
    let from = "AWS/Lambda Duration: the periods' p50 and p99, their means by invocations".to_string();
    Some((text, from))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1e12")]
fn span_of_ms(millis: f64) -> Span {
    rounded(Span((millis.clamp(0.0, 1e9) * 1_000.0).round() as u64))
}

/// Three places are more than was measured.
fn rounded(span: Span) -> Span {
    let mut unit = 1;
    while span.0 / unit >= 1_000 && unit < 10_000 {
        unit *= 10;
    }
    Span((span.0 + unit / 2) / unit * unit)
}

/// Measured values as a file has them. `None`: there are none.
fn lasting(values: &[Span], share: f64) -> Option<String> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "at most 1e12")]
    let shared = |span: Span| span_of_ms(span.0 as f64 / 1_000.0 * share);
    let at = |percent: u8| {
        let rank = (sorted.len() * usize::from(percent)).div_ceil(100).max(1) - 1;
        sorted.get(rank).copied().map(shared)
    };
    let (first, last) = (at(0)?, at(100)?);
    if first == last {
        return Some(format!("{:?}", in_words(first)));
    }
    // Of a few values the highest percentiles are all the largest.
    let told = |percent: &&u8| **percent == 100 || sorted.len() * usize::from(100 - **percent) >= 100;
    let all = PERCENTS.iter().filter(told).filter_map(|percent| Some((*percent, at(*percent)?)));
    Some(quantiles(all))
}

fn quantiles(all: impl Iterator<Item = (u8, Span)>) -> String {
    let all: Vec<String> = all.map(|(percent, span)| format!("[{percent}, {:?}]", in_words(span))).collect();
    format!("{{ quantiles = [{}] }}", all.join(", "))
}

/// `steps`, from what X-Ray saw the function call.
fn steps(out: &mut String, observed: &Observed, seen: &Seen, dependencies: &mut BTreeMap<String, Asked>) {
    line(
        out,
        format_args!(
            "# X-Ray: {} runs, {} s on average. The order of the steps is not known.",
            seen.runs,
            plain(seen.mean_s)
        ),
    );
    line(out, format_args!("steps = ["));
    for (callee, calls) in &seen.calls {
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = calls.count as f64 / seen.runs.max(1) as f64;
        let chance = plain(ratio);
        if callee.is_empty() || calls.count == 0 || chance == "0" {
            continue;
        }
        let logical = observed.logical(callee);
        let to = if calls.is_emit() || calls.is_function() { cut(logical) } else { named(logical) };
        let (verb, many) = if calls.is_emit() { ("emit", "count") } else { ("call", "times") };
        let times = ratio.round().clamp(1.0, 10_000.0);
        let how_often = match ratio < 1.0 {
            true => format!(", chance = {chance}"),
            false if times > 1.0 => format!(", {many} = {}", plain(times)),
            false => String::new(),
        };
        let kind = cleaned(&calls.kind);
        line(out, format_args!("  {{ {verb} = {}{how_often} }},  # {kind}: {chance} a run", quoted(&to)));
        if verb == "call" && !calls.is_function() {
            let asked = dependencies.entry(to).or_default();
            asked.seen_as = cleaned(callee);
            asked.kind = kind;
            asked.count = asked.count.saturating_add(calls.count);
            asked.total_s += calls.total_s;
            asked.bars.extend(&calls.bars);
        }
    }
    line(out, format_args!("]"));
}

/// `[dependency.NAME]`.
fn dependency(out: &mut String, name: &str, asked: &Asked) {
    let mut bars = asked.bars.clone();
    bars.retain(|bar| bar.1 > 0);
    bars.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: u64 = bars.iter().map(|bar| bar.1).fold(0, u64::saturating_add);
    let at = |percent: u8| {
        let rank = (u128::from(all) * u128::from(percent)).div_ceil(100).max(1);
        let mut before = 0_u128;
        let bar = bars.iter().find(|bar| {
            before += u128::from(bar.1);
            before >= rank
        });
        bar.map(|bar| span_of_ms(bar.0 * 1_000.0))
    };
    line(
        out,
        format_args!(
            "\n[dependency.{}]\n# X-Ray: {} ({}), {} calls.\n# That is what they took under the load that there was; \
             alone one may take less.\n# X-Ray knows nothing of `servers` and `connections_max`: add them.",
            key(name),
            asked.seen_as,
            asked.kind,
            asked.count
        ),
    );
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let mean = span_of_ms(asked.total_s / asked.count.max(1) as f64 * 1_000.0);
    let service = match (at(0), at(100)) {
        (Some(first), Some(last)) if first != last => {
            quantiles(PERCENTS.iter().filter_map(|percent| Some((*percent, at(*percent)?))))
        }
        (Some(first), _) => format!("{:?}", in_words(first)),
        _ => format!("{:?}", in_words(mean)),
    };
    line(out, format_args!("service = {service}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(out, "{text}");
}

/// At most six places, without zeros at the end.
fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// A text for a comment.
fn cleaned(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(300).collect()
}

/// A text as TOML has it, on one line.
fn quoted(text: &str) -> String {
    // As JSON has it, but for one character that TOML takes for a control character too.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A key as TOML has it.
fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { text.to_string() } else { quoted(text) }
}

/// A name that a traffic file can have, for one that it can't.
fn named(text: &str) -> String {
    if Name::new(text).is_ok() {
        return text.to_string();
    }
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let kept: String = text.chars().map(fits).collect();
    let kept: String = kept.trim_start_matches(['.', '_', '-']).chars().take(64).collect();
    if kept.is_empty() { "unnamed".into() } else { kept }
}

/// A name of a node, as long as one may be.
fn cut(text: &str) -> String {
    let mut end = text.len().min(256);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_string()
}
