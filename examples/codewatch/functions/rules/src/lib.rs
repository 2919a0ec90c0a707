//! Finds leaked secrets in text. Pure: text in, findings out.

use regex_lite::Regex;
use sha2::{Digest, Sha256};

pub mod check;
pub mod rules;

pub use rules::{RULES, Rule, Severity};

/// Findings in one text, at most; what is after them is not looked at.
pub const FINDINGS_MAX: usize = 100;
/// A line that contains this is skipped: the author says that it is no secret.
pub const ALLOW: &str = "codewatch:allow";
const EXCERPT_BEFORE_CHARACTERS: usize = 48;
const EXCERPT_AFTER_CHARACTERS: usize = 24;

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: &'static str,
    /// From 1; 0 where it is the file's name that was found.
    pub line: usize,
    /// What is around it, all secrets of the line redacted.
    pub excerpt: String,
    /// The same for the same secret in the same file, whatever line it moves to: 32 hexadecimal digits. The secret
    /// can't be had from it.
    pub fingerprint: String,
}

/// The secrets in a text that lies at `path`.
pub fn scan(path: &str, text: &str) -> Vec<Finding> {
    let lower = text.to_ascii_lowercase();
    let candidates: Vec<(&Rule, Regex)> = RULES
        .iter()
        .filter(|rule| rule.keywords.iter().any(|keyword| lower.contains(keyword)))
        .filter_map(|rule| Some((rule, Regex::new(rule.pattern).ok()?)))
        .collect();
    let mut findings = Vec::new();
    if candidates.is_empty() {
        return findings;
    }
    for (at, (line, lower)) in text.lines().zip(lower.lines()).enumerate() {
        if line.contains(ALLOW) {
            continue;
        }
        let hits = hits(&candidates, line, lower);
        for (rule, start, end) in &hits {
            findings.push(Finding {
                rule: rule.id,
                severity: rule.severity.name(),
                line: at + 1,
                excerpt: excerpt(line, &hits, *start),
                fingerprint: fingerprint(rule.id, path, &line[*start..*end]),
            });
            if findings.len() == FINDINGS_MAX {
                return findings;
            }
        }
    }
    findings
}

/// What a file's name alone says: that it holds credentials, or that a secret is in the name itself.
pub fn scan_path(path: &str) -> Vec<Finding> {
    let mut findings = scan(path, path);
    for finding in &mut findings {
        finding.line = 0;
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    // `.env` is a file, `.pem` an ending; a public key and an example are neither.
    let sensitive =
        rules::FILE_NAMES.iter().any(|ending| name.ends_with(ending)) && !name.contains("example");
    if sensitive && !name.contains("cacert") {
        findings.push(Finding {
            rule: rules::FILE_NAME_RULE,
            severity: Severity::Medium.name(),
            line: 0,
            excerpt: name,
            fingerprint: fingerprint(rules::FILE_NAME_RULE, path, ""),
        });
    }
    findings
}

type Hit<'a> = (&'a Rule, usize, usize);

/// By position in the line; of two that overlap the rule of higher priority has it.
fn hits<'a>(candidates: &'a [(&Rule, Regex)], line: &str, lower: &str) -> Vec<Hit<'a>> {
    let mut hits: Vec<Hit<'a>> = Vec::new();
    for (rule, pattern) in candidates {
        if !rule.keywords.iter().any(|keyword| lower.contains(keyword)) {
            continue;
        }
        for captures in pattern.captures_iter(line) {
            let Some(secret) = captures.get(1) else { continue };
            let taken = hits.iter().any(|(_, start, end)| secret.start() < *end && *start < secret.end());
            if !taken && (rule.holds)(secret.as_str()) {
                hits.push((rule, secret.start(), secret.end()));
            }
        }
    }
    hits.sort_by_key(|(_, start, _)| *start);
    hits
}

/// The line around the hit that starts at `start`, each secret as its first four characters and its length.
fn excerpt(line: &str, hits: &[Hit<'_>], start: usize) -> String {
    let (mut before, mut after) = (String::new(), String::new());
    let mut mask = String::new();
    let mut position = 0;
    for (_, from, to) in hits {
        let secret = &line[*from..*to];
        let head: String = secret.chars().take(4).collect();
        let masked = format!("{head}…({})", secret.chars().count());
        let plain = &line[position..*from];
        position = *to;
        if *from <= start {
            before.push_str(plain);
        } else {
            after.push_str(plain);
        }
        match from.cmp(&start) {
            std::cmp::Ordering::Less => before.push_str(&masked),
            std::cmp::Ordering::Equal => mask = masked,
            std::cmp::Ordering::Greater => after.push_str(&masked),
        }
    }
    after.push_str(&line[position..]);
    let skipped = before.chars().count().saturating_sub(EXCERPT_BEFORE_CHARACTERS);
    let before: String = before.chars().skip(skipped).collect();
    let after: String = after.chars().take(EXCERPT_AFTER_CHARACTERS).collect();
    format!("{}{mask}{}", before.trim_start(), after.trim_end())
}

fn fingerprint(rule: &str, path: &str, secret: &str) -> String {
    let mut hash = Sha256::new();
    for part in [rule, path, secret] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "lib_test.rs"]
mod tests;
