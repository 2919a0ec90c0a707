//! SARIF 2.1.0, for code scanning.

use serde_json::{Map, Value, json};

use super::{Report, text::evidence};
use crate::{
    check::{Finding, Fix, Level},
    document::{Files, Span},
    import::Problem,
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Under what name fingerprints stand; a new way to make them takes a new one.
const FINGERPRINT: &str = "flyballFinding/v1";

/// The report as a SARIF 2.1.0 log of one run. Columns count characters.
pub fn sarif(report: &Report<'_>) -> Value {
    let files = &report.design.files;
    let indices: std::collections::BTreeMap<&str, usize> =
        report.rules.iter().enumerate().map(|(index, about)| (about.code, index)).collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| result(finding, indices.get(finding.code).copied(), report))
        .collect();
    let rules: Vec<Value> = report
        .rules
        .iter()
        .map(|about| {
            json!({
                "id": about.code,
                "name": pascal_case(about.title),
                "shortDescription": { "text": about.title },
                "fullDescription": { "text": first_paragraph(about.page, about.title) },
                "help": { "text": about.page, "markdown": about.page },
                "defaultConfiguration": { "level": level_of(severity_level(about.severity)) },
                "properties": { "tags": ["serverless", "limits"] },
            })
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "flyball",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
                "properties": { "rulesVersion": report.rules_version, "profile": report.profile },
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": report.files_read > 0,
                "toolExecutionNotifications":
                    report.problems.iter().map(|problem| notification(problem, files)).collect::<Vec<_>>(),
            }],
            "results": results,
        }],
    })
}

fn result(finding: &Finding, rule: Option<usize>, report: &Report<'_>) -> Value {
    let files = &report.design.files;
    let mut result = Map::new();
    let mut put = |key: &str, value: Value| result.insert(key.into(), value);
    put("ruleId", json!(finding.code));
    if let Some(index) = rule {
        put("ruleIndex", json!(index));
    }
    put("level", json!(level_of(finding.level)));
    put("message", json!({ "text": sentences(&finding.message, &finding.help) }));
    let mut location = physical(finding.span, files);
    location.insert("logicalLocations".into(), json!([logical(finding)]));
    put("locations", json!([location]));
    let related: Vec<Value> = finding
        .related
        .iter()
        .enumerate()
        .map(|(id, (place, what))| {
            json!({
                "id": id,
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(&place.file) },
                    "region": { "startLine": place.line, "startColumn": place.column },
                },
                "message": { "text": what },
            })
        })
        .collect();
    if !related.is_empty() {
        put("relatedLocations", json!(related));
    }
    put("partialFingerprints", json!({ FINGERPRINT: finding.fingerprint }));
    if let Some(reason) = &finding.suppressed {
        put("suppressions", json!([{ "kind": "inSource", "justification": reason }]));
    }
    if report.against.is_some() {
        put("baselineState", json!("new"));
    }
    if let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.edits.is_empty()) {
        put("fixes", json!([of_fix(fix, files)]));
    }
    put(
        "properties",
        json!({
            "evidence": evidence(finding.evidence),
            "path": finding.path,
            "limit": finding.limit,
            "value": finding.value,
            "assumed": finding.assumed,
        }),
    );
    Value::Object(result)
}

/// Where in the text.
fn physical(span: Span, files: &Files) -> Map<String, Value> {
    let mut location = Map::new();
    location.insert(
        "physicalLocation".into(),
        json!({
            "artifactLocation": { "uri": uri(files.name(span.file)) },
            "region": region(span, files),
        }),
    );
    location
}

fn region(span: Span, files: &Files) -> Value {
    let start = files.place(span);
    let end = files.place(Span { start: span.end.max(span.start), ..span });
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

/// Where in the design: the resource, by its construct where it has one.
fn logical(finding: &Finding) -> Value {
    let whole = finding.construct_path.as_deref().unwrap_or(&finding.resource);
    json!({ "name": finding.resource, "fullyQualifiedName": whole, "kind": "resource" })
}

fn of_fix(fix: &Fix, files: &Files) -> Value {
    let mut changes: std::collections::BTreeMap<&str, Vec<Value>> = std::collections::BTreeMap::new();
    for (span, text) in &fix.edits {
        let replacement = json!({
            "deletedRegion": region(*span, files),
            "insertedContent": { "text": text },
        });
        changes.entry(files.name(span.file)).or_default().push(replacement);
    }
    let changes: Vec<Value> = changes
        .into_iter()
        .map(|(file, replacements)| {
            json!({ "artifactLocation": { "uri": uri(file) }, "replacements": replacements })
        })
        .collect();
    json!({ "description": { "text": fix.title }, "artifactChanges": changes })
}

fn notification(problem: &Problem, files: &Files) -> Value {
    json!({
        "descriptor": { "id": problem.code },
        "level": "warning",
        "message": { "text": sentences(&problem.message, &problem.help) },
        "locations": [physical(problem.span, files)],
    })
}

const fn severity_level(severity: crate::check::Severity) -> Level {
    match severity {
        crate::check::Severity::Advice => Level::Advice,
        crate::check::Severity::Warning => Level::Warning,
        crate::check::Severity::Error => Level::Error,
    }
}

/// SARIF has no advice: it is a note there.
const fn level_of(level: Level) -> &'static str {
    match level {
        Level::Advice | Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// What is said and what to do, in one text.
fn sentences(message: &str, help: &str) -> String {
    let ended = message.trim_end().ends_with(['.', '!', '?']);
    format!("{}{} {help}", message.trim_end(), if ended { "" } else { "." })
}

/// A path as a URI reference: what may not stand in one is escaped.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (index, byte) in path.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'@');
        // A colon in the first segment would make what is before it a scheme.
        let colon = byte == b':' && index > 0 && path.get(..index).is_some_and(|start| start.contains('/'));
        if plain || colon {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `payload narrowing along a path` as `PayloadNarrowingAlongAPath`.
fn pascal_case(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
        })
        .collect()
}

/// The first paragraph of a page under its title.
fn first_paragraph(page: &str, title: &str) -> String {
    let paragraph: Vec<&str> = page
        .lines()
        .skip_while(|line| line.starts_with('#') || line.trim().is_empty())
        .take_while(|line| !line.trim().is_empty())
        .collect();
    if paragraph.is_empty() { title.to_string() } else { paragraph.join(" ") }
}
