//! The figures as Prometheus text. Labels are functions, codes and levels, and for limits the first few
//! tenants: never anything whose number has no bound.

use std::fmt::Write;

use flyball_core::{Counts, Level, LimitStatus};

use super::{Figures, Histogram};
use crate::lane::Recording;

/// Bounds of exposed histograms, µs: powers of two, where the histogram is exact.
const BOUNDS: [u64; 10] =
    [255, 1_023, 4_095, 16_383, 65_535, 262_143, 1_048_575, 4_194_303, 16_777_215, 67_108_863];

/// A page of metrics in the making.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// The finished text.
    pub fn finish(self) -> String {
        self.0
    }

    /// Says what the following samples are.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        self.line(format_args!("{name}{labels} {value}"));
    }

    /// The engine's counts.
    pub fn counts(&mut self, counts: &Counts) {
        let totals = [
            ("flyball_events_accepted_total", "Events accepted.", counts.accepted),
            ("flyball_events_done_total", "Events that succeeded.", counts.done),
            ("flyball_runs_retried_total", "Runs that failed and were tried again.", counts.retried),
            ("flyball_calls_total", "Synchronous calls without a key.", counts.calls),
            ("flyball_duplicates_total", "Requests that found their key known.", counts.duplicates),
            ("flyball_conflicts_total", "Outcomes that met a stale read.", counts.conflicts),
            ("flyball_refused_total", "Requests refused.", counts.refused),
            ("flyball_hop_limit_stopped_total", "Events stopped by the hop budget.", counts.stopped),
        ];
        for (name, help, value) in totals {
            self.family(name, "counter", help);
            self.sample(name, "", value);
        }
        let gauges = [
            ("flyball_events_waiting", "Events that wait.", counts.waiting),
            ("flyball_events_running", "Events in an invocation.", counts.running),
            ("flyball_events_settling", "Events whose outcome is being committed.", counts.settling),
            ("flyball_dead_letters", "Dead letters there are.", counts.dead),
            ("flyball_invocations_running", "Invocations running.", counts.invocations),
            ("flyball_calls_waiting", "Calls that wait for a slot.", counts.waiting_calls),
        ];
        for (name, help, value) in gauges {
            self.family(name, "gauge", help);
            self.sample(name, "", value);
        }
    }

    /// Records that could not be read when the lane was opened.
    pub fn damaged(&mut self, records: u64) {
        let help = "Records that could not be read when the store was opened.";
        self.family("flyball_damaged_records", "gauge", help);
        self.sample("flyball_damaged_records", "", records);
    }

    /// How the recording stands, where there is one: `serve --record`.
    pub fn recording(&mut self, recording: Option<Recording>) {
        let Some(recording) = recording else { return };
        let help = "Whether the recording is in this state: on, or why it has ended.";
        self.family("flyball_recording", "gauge", help);
        for state in Recording::STATES {
            let is = u64::from(state == recording.state);
            self.sample("flyball_recording", &format!("{{state=\"{state}\"}}"), is);
        }
        self.family("flyball_recording_log_bytes", "gauge", "What is written of the recording's log.");
        self.sample("flyball_recording_log_bytes", "", recording.log_bytes);
    }

    /// What telemetry has counted.
    pub fn figures(&mut self, figures: &Figures) {
        let by_code = |codes: &std::collections::BTreeMap<&'static str, u64>| {
            codes.iter().map(|(code, n)| (format!("{{code=\"{code}\"}}"), *n)).collect::<Vec<_>>()
        };
        let levels = figures.throttled.iter().map(|(level, n)| (format!("{{level=\"{level}\"}}"), *n));
        let families = [
            ("flyball_refusals_total", "Requests refused, by code.", by_code(&figures.refused)),
            ("flyball_failures_total", "Runs that failed, by code.", by_code(&figures.failed)),
            (
                "flyball_throttled_total",
                "Starts that had waited for a limit, by its level.",
                levels.collect(),
            ),
            (
                "flyball_unrouted_total",
                "Events without a rule or subscriber.",
                vec![(String::new(), figures.unrouted)],
            ),
            (
                "flyball_commit_groups_total",
                "Transactions of the store.",
                vec![(String::new(), figures.groups)],
            ),
            ("flyball_commit_batches_total", "Batches in them.", vec![(String::new(), figures.batches)]),
        ];
        for (name, help, samples) in families {
            self.family(name, "counter", help);
            for (labels, value) in samples {
                self.sample(name, &labels, value);
            }
        }
        self.functions(figures);
    }

    fn functions(&mut self, figures: &Figures) {
        self.family("flyball_invocations_total", "counter", "Invocations ended, by function.");
        for (name, function) in &figures.functions {
            self.sample(
                "flyball_invocations_total",
                &format!("{{function=\"{name}\"}}"),
                function.invocations,
            );
        }
        self.family("flyball_memory_bytes_peak", "gauge", "The most memory of any invocation.");
        for (name, function) in &figures.functions {
            self.sample(
                "flyball_memory_bytes_peak",
                &format!("{{function=\"{name}\"}}"),
                function.memory_bytes_peak,
            );
        }
        self.family("flyball_dwell_seconds", "histogram", "From ready to started, by function.");
        for (name, function) in &figures.functions {
            self.histogram("flyball_dwell_seconds", name, &function.dwell);
        }
        self.family("flyball_run_seconds", "histogram", "Processor time and host waiting, by function.");
        for (name, function) in &figures.functions {
            self.histogram("flyball_run_seconds", name, &function.run);
        }
    }

    fn histogram(&mut self, name: &str, function: &str, histogram: &Histogram) {
        for bound in BOUNDS {
            let (seconds, micros) = ((bound + 1) / 1_000_000, (bound + 1) % 1_000_000);
            let labels = format!("{{function=\"{function}\",le=\"{seconds}.{micros:06}\"}}");
            self.sample(&format!("{name}_bucket"), &labels, histogram.at_most(bound));
        }
        let labels = format!("{{function=\"{function}\",le=\"+Inf\"}}");
        self.sample(&format!("{name}_bucket"), &labels, histogram.count());
        let sum = histogram.sum();
        let labels = format!("{{function=\"{function}\"}}");
        self.line(format_args!("{name}_sum{labels} {}.{:06}", sum / 1_000_000, sum % 1_000_000));
        self.sample(&format!("{name}_count"), &labels, histogram.count());
    }

    /// Limits with what stands against them.
    pub fn limits(&mut self, limits: &[LimitStatus]) {
        let families = [
            ("flyball_limit_max", "The limit.", (|l| l.max) as fn(&LimitStatus) -> u64),
            ("flyball_limit_now", "What stands against it.", |l| l.now),
            ("flyball_limit_peak", "The most that stood against it.", |l| l.peak),
        ];
        for (name, help, value) in families {
            self.family(name, "gauge", help);
            for limit in limits {
                self.sample(name, &format!("{{limit=\"{}\"}}", limit.name), value(limit));
            }
        }
    }
}

/// A level without the names in it.
pub(super) fn level_name(level: &Level) -> &'static str {
    match level {
        Level::Platform => "platform",
        Level::LongFunctions => "long-functions",
        Level::Tenant(_) => "tenant",
        Level::Function(_) => "function",
        Level::FunctionTenant(..) => "function-tenant",
        Level::Queue(_) => "queue",
    }
}
