//! REPORT lines of AWS Lambda: as rows of Logs Insights, as events of the log, or as plain text.

use flyball_core::Span;
use serde::Deserialize;

use super::{Observed, Runs, json};
use crate::{Diagnostics, file::quoted};

/// Runs of one function that are kept; more are counted only by the metrics.
const RUNS_MAX: usize = 1_000_000;

/// Logs Insights counts memory in millions of bytes for each mebibyte of the REPORT line.
const INSIGHTS_BYTES_PER_MB: f64 = 1e6;

/// `aws logs get-query-results`, `aws logs filter-log-events`, or one line of a log in JSON.
#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<Vec<Field>>>,
    events: Option<Vec<Event>>,
    #[serde(default)]
    status: String,
    #[serde(rename = "type", default)]
    kind: String,
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Field {
    field: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Record {
    metrics: Option<RecordMetrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordMetrics {
    duration_ms: f64,
    init_duration_ms: Option<f64>,
    #[serde(rename = "maxMemoryUsedMB")]
    max_memory_used_mb: Option<f64>,
}

/// One run.
#[derive(Debug, Default, PartialEq)]
struct Report {
    duration_ms: Option<f64>,
    init_ms: Option<f64>,
    memory_mb: Option<f64>,
}

impl Observed {
    /// Takes REPORT lines: the answer of `aws logs get-query-results` or `aws logs filter-log-events`, or lines of a
    /// log as they are. `function` says whose they are, where the file does not.
    ///
    /// # Errors
    /// Where there is no REPORT in it, or nothing says whose they are.
    pub fn logs(&mut self, file: &str, function: Option<&str>, text: &str) -> Result<(), Diagnostics> {
        let what = "it is what `aws logs get-query-results` or `aws logs filter-log-events` answers, or a log's lines";
        json::fits(file, text)?;
        let mut found: Vec<(Option<String>, Report)> = Vec::new();
        if text.trim_start().starts_with('{') {
            for answer in json::answers::<Answer>(file, text, what)? {
                if matches!(
                    answer.status.as_str(),
                    "Running" | "Scheduled" | "Failed" | "Cancelled" | "Timeout"
                ) {
                    let message = format!("the query was {} when it was asked", quoted(&answer.status));
                    return Err(json::wrong(file, text, (1, 1), &message, "ask again once it is Complete"));
                }
                answer.reports(&mut found);
            }
        } else {
            found.extend(text.lines().filter_map(report).map(|report| (None, report)));
        }
        if found.is_empty() {
            let message = "there is no REPORT in it";
            return Err(json::wrong(file, text, (1, 1), message, what));
        }
        let many = found.len();
        for (own, report) in found {
            let Some(name) = function.map(str::to_string).or(own) else {
                let message = "nothing says of which function these runs are";
                return Err(json::wrong(file, text, (1, 1), message, "write --logs FUNCTION=FILE"));
            };
            self.runs.entry(name).or_default().add(&report);
        }
        self.files.push(format!("{file}: {many} runs from logs"));
        Ok(())
    }
}

impl Answer {
    fn reports(self, found: &mut Vec<(Option<String>, Report)>) {
        for row in self.results.into_iter().flatten() {
            let value = |name: &str| row.iter().find(|one| one.field == name).map(|one| one.value.as_str());
            let number = |name: &str| value(name).and_then(|value| value.parse::<f64>().ok()).filter(good);
            let report = Report {
                duration_ms: number("@duration"),
                init_ms: number("@initDuration"),
                memory_mb: number("@maxMemoryUsed").map(|bytes| bytes / INSIGHTS_BYTES_PER_MB),
            };
            let report = if report == Report::default() {
                value("@message").and_then(report_of)
            } else {
                Some(report)
            };
            // `account:/aws/lambda/NAME`.
            let name = value("@log").and_then(|log| log.rsplit_once("/aws/lambda/")).map(|(_, name)| name);
            found.extend(report.map(|report| (name.map(str::to_string), report)));
        }
        for event in self.events.into_iter().flatten() {
            found.extend(report_of(&event.message).map(|report| (None, report)));
        }
        if self.kind == "platform.report" {
            let metrics = self.record.and_then(|record| record.metrics);
            found.extend(metrics.map(|metrics| (None, metrics.report())));
        }
    }
}

impl RecordMetrics {
    fn report(&self) -> Report {
        Report {
            duration_ms: Some(self.duration_ms).filter(good),
            init_ms: self.init_duration_ms.filter(good),
            memory_mb: self.max_memory_used_mb.filter(good),
        }
    }
}

impl Runs {
    fn add(&mut self, report: &Report) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1e12")]
        let span = |millis: f64| Span((millis * 1_000.0).round() as u64);
        if self.durations.len() < RUNS_MAX {
            self.durations.extend(report.duration_ms.map(span));
            self.inits.extend(report.init_ms.map(span));
        }
        self.memory_mb_max = report.memory_mb.map_or(self.memory_mb_max, |mb| self.memory_mb_max.max(mb));
    }
}

fn good(number: &f64) -> bool {
    (0.0..=1e9).contains(number)
}

/// A line of text, or one of a log in JSON.
fn report_of(line: &str) -> Option<Report> {
    match line.trim_start().starts_with('{') {
        true => {
            let answer: Answer = serde_json::from_str(line).ok()?;
            (answer.kind == "platform.report").then_some(answer.record?.metrics?.report())
        }
        false => report(line),
    }
}

/// `REPORT RequestId: …  Duration: 12.34 ms  Billed Duration: 13 ms  Memory Size: 128 MB  Max Memory Used: 69 MB  Init
/// Duration: 146.14 ms`.
fn report(line: &str) -> Option<Report> {
    let (_, rest) = line.split_once("REPORT RequestId:")?;
    let after = |name: &str| {
        // `Duration` is also the end of other names.
        let at = rest.match_indices(name).map(|(at, _)| at).find(|at| {
            let before = rest.get(..*at).unwrap_or_default().trim_end();
            !["Billed", "Init", "Restore"].iter().any(|word| before.ends_with(word))
                || name.starts_with("Init")
        })?;
        let value = rest.get(at + name.len()..)?.trim_start();
        let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
        value.get(..end)?.parse::<f64>().ok().filter(good)
    };
    let found = Report {
        duration_ms: Some(after("Duration:")?),
        init_ms: after("Init Duration:"),
        memory_mb: after("Max Memory Used:"),
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_lines_are_read() {
        let line = "REPORT RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3\tDuration: 12.34 ms\tBilled Duration: 100 \
                    ms Memory Size: 128 MB\tMax Memory Used: 18 MB\tInit Duration: 146.5 ms\t";
        let told = Report { duration_ms: Some(12.34), init_ms: Some(146.5), memory_mb: Some(18.0) };
        assert_eq!(report(line), Some(told));
        let tail = "2026-11-25T10:00:00 2026/11/25/[$LATEST]ab REPORT RequestId: 1 \
                    Billed Duration: 3 ms Duration: 2 ms";
        assert_eq!(report(tail).and_then(|report| report.duration_ms), Some(2.0));
        for other in ["", "START RequestId: 1", "REPORT RequestId: 1", "REPORT RequestId: 1 Duration: -5 ms"]
        {
            assert_eq!(report(other), None, "{other}");
        }
    }
}
