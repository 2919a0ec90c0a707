//! What was known before, so that only what is new is said.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Finding, Level};

/// The version of the baseline file.
const VERSION: u64 = 1;

/// Findings that are known: how many there are of each fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    known: BTreeMap<String, usize>,
}

/// Findings beside a baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Those that the baseline does not have, in their order; with those that a comment lets be, which never
    /// count.
    pub new: Vec<Finding>,
    /// How many the baseline has too.
    pub known: usize,
    /// How many only the baseline has.
    pub gone: usize,
}

impl Baseline {
    /// What is found now is known from now on. What a comment lets be is not in it: without its comment it is new.
    pub fn of(findings: &[Finding]) -> Baseline {
        let mut baseline = Baseline::default();
        for finding in findings.iter().filter(|finding| finding.suppressed.is_none()) {
            *baseline.known.entry(finding.fingerprint.clone()).or_default() += 1;
        }
        baseline
    }

    /// Reads a baseline file, or a report that `--format json` printed.
    ///
    /// # Errors
    /// Where the text is neither: what is missing in it.
    pub fn read(text: &str) -> Result<Baseline, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        match document.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => return Err(format!("it has version {other}; this reads version {VERSION}")),
            None => return Err("it has no \"version\": it is no baseline and no report".into()),
        }
        let findings = document.get("findings").and_then(Value::as_array);
        let findings = findings.ok_or("it has no \"findings\": it is no baseline and no report")?;
        let mut baseline = Baseline::default();
        for (index, finding) in findings.iter().enumerate() {
            if finding.get("suppressed").is_some_and(|reason| !reason.is_null()) {
                continue;
            }
            let fingerprint = finding.get("fingerprint").and_then(Value::as_str);
            let fingerprint = fingerprint.ok_or_else(|| format!("finding {index} has no \"fingerprint\""))?;
            *baseline.known.entry(fingerprint.into()).or_default() += 1;
        }
        Ok(baseline)
    }

    /// Takes away what is known.
    pub fn compare(&self, findings: Vec<Finding>) -> Compared {
        let mut left = self.known.clone();
        let mut known = 0;
        let mut new = Vec::new();
        for finding in findings {
            let one = left.get_mut(&finding.fingerprint).filter(|count| **count > 0);
            let is_known = one.is_some();
            if let Some(count) = one {
                *count -= 1;
            }
            if finding.suppressed.is_some() || !is_known {
                new.push(finding);
            } else {
                known += 1;
            }
        }
        Compared { new, known, gone: left.values().sum() }
    }
}

/// The findings as a baseline file: sorted, a few words with each, so that a change of it reads well in review.
/// Advice is in it too where it was asked for.
pub fn baseline_file(findings: &[Finding]) -> String {
    let mut entries: Vec<(&str, &str, &str, Level)> = findings
        .iter()
        .filter(|finding| finding.suppressed.is_none())
        .map(|finding| (finding.code, finding.resource.as_str(), finding.fingerprint.as_str(), finding.level))
        .collect();
    entries.sort_unstable();
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(code, resource, fingerprint, level)| {
            json!({ "code": code, "level": level, "resource": resource, "fingerprint": fingerprint })
        })
        .collect();
    format!("{:#}\n", json!({ "version": VERSION, "findings": entries }))
}

#[cfg(test)]
mod tests;
