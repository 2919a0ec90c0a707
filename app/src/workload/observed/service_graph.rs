//! X-Ray: `aws xray get-service-graph`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Observed, json};
use crate::Diagnostics;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    services: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    reference_id: i64,
    #[serde(default)]
    name: String,
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(default)]
    edges: Vec<Edge>,
    #[serde(default)]
    summary_statistics: Statistics,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Edge {
    reference_id: i64,
    #[serde(default)]
    summary_statistics: Statistics,
    #[serde(default)]
    response_time_histogram: Vec<Bar>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Statistics {
    #[serde(default)]
    total_count: u64,
    /// Seconds.
    #[serde(default)]
    total_response_time: f64,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "PascalCase")]
struct Bar {
    /// Seconds.
    value: f64,
    count: u64,
}

/// A function, and what it calls.
#[derive(Debug)]
pub(super) struct Seen {
    /// Its deployed name.
    pub name: String,
    /// Its runs.
    pub runs: u64,
    /// What one took on average, with its calls, seconds.
    pub mean_s: f64,
    /// By the callee's name.
    pub calls: BTreeMap<String, Calls>,
}

/// Calls of one function to one callee.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Its kind, such as `AWS::DynamoDB::Table`.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// What all of them took, seconds.
    pub total_s: f64,
    /// Seconds and how many took that, ascending.
    pub bars: Vec<(f64, u64)>,
}

impl Calls {
    /// Nobody waits for what it does with what it is sent.
    pub fn is_emit(&self) -> bool {
        ["AWS::SQS", "AWS::SNS", "AWS::Events", "AWS::Kinesis"].iter().any(|kind| self.kind.starts_with(kind))
    }

    /// It is another function.
    pub fn is_function(&self) -> bool {
        self.kind.starts_with("AWS::Lambda")
    }
}

impl Observed {
    /// Takes an answer of `aws xray get-service-graph`.
    ///
    /// # Errors
    /// Where it is none, was cut off, or has a time below zero.
    pub fn service_graph(&mut self, file: &str, text: &str) -> Result<(), Diagnostics> {
        let what = "it is what `aws xray get-service-graph` answers";
        for Answer { services } in json::answers(file, text, what)? {
            let by_id: BTreeMap<i64, &Service> =
                services.iter().map(|service| (service.reference_id, service)).collect();
            let functions = services.iter().filter(|service| service.kind == "AWS::Lambda::Function");
            for function in functions {
                let mut calls: BTreeMap<String, Calls> = BTreeMap::new();
                for edge in &function.edges {
                    let Some(callee) = by_id.get(&edge.reference_id) else { continue };
                    let bars = &edge.response_time_histogram;
                    let times =
                        bars.iter().map(|bar| bar.value).chain([edge.summary_statistics.total_response_time]);
                    if let Some(wrong) = times.into_iter().find(|time| !(0.0..=1e9).contains(time)) {
                        let message = format!("{} has a time of {wrong} s", callee.name);
                        return Err(json::wrong(file, "", (1, 1), &message, what));
                    }
                    let seen = calls.entry(callee.name.clone()).or_default();
                    seen.kind.clone_from(&callee.kind);
                    seen.count = seen.count.saturating_add(edge.summary_statistics.total_count);
                    seen.total_s += edge.summary_statistics.total_response_time;
                    seen.bars.extend(bars.iter().map(|bar| (bar.value, bar.count)));
                    seen.bars.sort_by(|a, b| a.0.total_cmp(&b.0));
                }
                let Statistics { total_count, total_response_time } = function.summary_statistics;
                #[expect(clippy::cast_precision_loss, reason = "a mean")]
                let mean_s = total_response_time / total_count.max(1) as f64;
                self.services.push(Seen { name: function.name.clone(), runs: total_count, mean_s, calls });
            }
            self.files.push(format!("{file}: {} services of X-Ray", services.len()));
        }
        Ok(())
    }

    /// Whether X-Ray saw the function of this logical id called by another.
    pub(super) fn is_called(&self, logical: &str) -> bool {
        let mut calls = self.services.iter().flat_map(|seen| &seen.calls);
        calls.any(|(callee, calls)| calls.is_function() && self.logical(callee) == logical)
    }
}
