//! What a team has of its running system, offline: exports of AWS's own tools become a traffic file and a profile.
//!
//! - `metrics`: CloudWatch, GetMetricData. - `logs`: REPORT lines, raw or as rows of Logs Insights.
//! - `service_graph`: X-Ray, GetServiceGraph. - `quotas`: Service Quotas, ListServiceQuotas.
//! - `names`: CloudFormation, ListStackResources: which deployed name is which logical id.
//! - `write`: the two files, each value with where it came from. - [`commands`]: how the exports are made.
//! - `edges`: what functions were seen to give work to, as edges of a design.
//!
//! Shapes are those of AWS's API model (botocore 1.43.11: `cloudwatch`, `logs`, `xray`, `service-quotas`,
//! `cloudformation`). A file may hold several answers one after the other.

mod commands;
mod edges;
mod json;
mod logs;
mod metrics;
mod names;
mod quotas;
mod service_graph;
mod write;

use std::collections::BTreeMap;

use flyball_core::Span;

use crate::{Diagnostics, workload::Read};

pub use commands::commands;
pub use edges::Connected;

/// The largest export, bytes.
pub const EXPORT_BYTES_MAX: usize = 64 << 20;

/// Exports, as far as they were read.
#[derive(Debug, Default)]
pub struct Observed {
    /// Deployed names and the logical ids that they stand for.
    names: BTreeMap<String, String>,
    /// What was counted, by what it is of.
    metrics: BTreeMap<Metric, Points>,
    runs: BTreeMap<String, Runs>,
    services: Vec<service_graph::Seen>,
    quotas: Vec<quotas::Seen>,
    /// The files, in the order in which they were read, and what each gave.
    files: Vec<String>,
    /// What was not taken, and why.
    notes: Vec<String>,
}

/// What a series of values is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Metric {
    /// `lambda`, `sqs` or `apigateway`.
    service: String,
    /// The function or queue, by its deployed name.
    name: String,
    /// Such as `Invocations`.
    metric: String,
    /// Such as `Sum` or `p99`.
    statistic: String,
}

/// Values over time.
#[derive(Debug, Default)]
struct Points {
    /// The length of one period, seconds.
    period_s: i64,
    /// By the second since the Unix epoch at which each period begins.
    values: BTreeMap<i64, f64>,
}

/// Single runs of one function, from its log.
#[derive(Debug, Default)]
struct Runs {
    durations: Vec<Span>,
    inits: Vec<Span>,
    memory_mb_max: f64,
}

/// A traffic file made of what was observed.
#[derive(Debug)]
pub struct Written {
    /// The file, each value with where it came from.
    pub text: String,
    /// What it is read to.
    pub read: Read,
}

impl Observed {
    /// What was not taken of the files, and why; for people.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether nothing was found that a traffic file could say.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.runs.is_empty() && self.services.is_empty()
    }

    /// The traffic file.
    ///
    /// # Errors
    /// Where nothing was observed that comes in: the file would be none.
    pub fn traffic(&self) -> Result<Written, Diagnostics> {
        let text = write::traffic(self);
        if !text.contains("\n[traffic.") {
            let message = "of no function invocations were observed: nothing would come in";
            let help =
                "add what `aws cloudwatch get-metric-data` answers: see `flyball import --print-commands`";
            return Err(json::wrong("traffic.toml", "", (1, 1), message, help));
        }
        let read = crate::workload::read("traffic.toml", &text)?;
        Ok(Written { text, read })
    }

    /// The profile of the account, for `--profile`. `None`: no quota was read that a profile has.
    pub fn profile(&self) -> Option<String> {
        write::profile(self)
    }

    /// The logical id of a deployed name, where it is known; else the name itself.
    fn logical<'a>(&'a self, deployed: &'a str) -> &'a str {
        // X-Ray knows queues by their addresses and topics by their ARNs.
        let last = deployed.rsplit(['/', ':']).next().unwrap_or(deployed);
        self.names.get(deployed).or_else(|| self.names.get(last)).map_or(deployed, String::as_str)
    }
}
