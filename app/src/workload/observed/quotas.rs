//! Service Quotas: `aws service-quotas list-service-quotas`.

use serde::Deserialize;

use super::{Observed, json};
use crate::{Diagnostics, profile::Limit};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    quotas: Vec<Quota>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Quota {
    service_code: String,
    #[serde(default)]
    quota_code: String,
    quota_name: String,
    value: f64,
}

/// A quota that a profile has.
#[derive(Debug)]
pub(super) struct Seen {
    pub limit: Limit,
    pub value: f64,
    /// Such as `lambda L-B99A9384, Concurrent executions`.
    pub source: String,
}

/// Service, code, name as Service Quotas lists it, limit. Without a code the name alone decides.
const KNOWN: [(&str, &str, &str, Limit); 8] = [
    ("lambda", "L-B99A9384", "Concurrent executions", Limit::LambdaConcurrency),
    ("apigateway", "L-8A5B8E43", "Throttle rate", Limit::ApiRequestsPerS),
    ("apigateway", "L-CDF5615A", "Throttle burst rate", Limit::ApiBurst),
    ("events", "L-9B653E91", "PutEvents throttle limit in transactions per second", Limit::BusPutPerS),
    (
        "events",
        "L-5540C5E3",
        "Invocations throttle limit in transactions per second",
        Limit::BusInvocationsPerS,
    ),
    ("events", "L-244521F2", "Number of rules", Limit::BusRulesMax),
    ("events", "", "Targets per rule", Limit::BusTargetsMax),
    ("states", "", "StartExecution throttle token refill rate per second", Limit::MachineStartsPerS),
];

impl Observed {
    /// Takes answers of `aws service-quotas list-service-quotas`, of one service or of several one after the other.
    ///
    /// # Errors
    /// Where it is none, was cut off, or has a value below zero.
    pub fn quotas(&mut self, file: &str, text: &str) -> Result<(), Diagnostics> {
        let what = "it is what `aws service-quotas list-service-quotas` answers";
        let answers: Vec<Answer> = json::answers(file, text, what)?;
        let mut many = 0;
        for quota in answers.into_iter().flat_map(|answer| answer.quotas) {
            many += 1;
            let is = |(service, code, name, _): &&(&str, &str, &str, Limit)| {
                *service == quota.service_code && (*code == quota.quota_code || *name == quota.quota_name)
            };
            let Some((service, _, name, limit)) = KNOWN.iter().find(is) else { continue };
            if !(0.0..=1e15).contains(&quota.value) {
                let message = format!("{service}, {name} is {}", quota.value);
                return Err(json::wrong(file, "", (1, 1), &message, what));
            }
            let code = &quota.quota_code;
            let source = format!("Service Quotas: {service} {code}, {name}");
            self.quotas.retain(|seen| seen.limit != *limit);
            self.quotas.push(Seen { limit: *limit, value: quota.value, source });
        }
        self.files.push(format!("{file}: {many} quotas"));
        Ok(())
    }
}
