//! For programs: one JSON document, described by a schema.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Counts, Report};
use crate::{
    check::{Finding, Hop, Level, Quantity},
    design::Evidence,
    document::Place,
};

/// The version of the document: it grows by keys, and this number only where one changes its meaning.
const VERSION: u32 = 1;

/// What `flyball check --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "flyball check")]
struct Document {
    /// The version of this document.
    version: u32,
    /// The version of Flyball.
    flyball: String,
    /// The version of the rules that ran.
    rules_version: u32,
    /// The name of the profile.
    profile: String,
    /// Counts.
    summary: Summary,
    /// The comparison with a base, where there was one: `findings` has only what is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Base>,
    /// What the rules found, in the order of the files.
    findings: Vec<Found>,
    /// What is wrong with the files.
    problems: Vec<Wrong>,
    /// What the files leave open: nothing is said of what depends on it.
    unresolved: Vec<Open>,
}

/// Counts. A suppressed finding counts as nothing else.
#[derive(Debug, Serialize, JsonSchema)]
struct Summary {
    errors: usize,
    warnings: usize,
    notes: usize,
    advice: usize,
    suppressed: usize,
    /// Files that could be read.
    files: usize,
    /// Functions of the design.
    functions: usize,
    /// Nodes of the design, functions among them.
    nodes: usize,
    /// Edges of the design.
    edges: usize,
}

/// A comparison.
#[derive(Debug, Serialize, JsonSchema)]
struct Base {
    /// The revision or file.
    base: String,
    /// Findings that the base has too; they are not here.
    known: usize,
    /// Findings that only the base has.
    gone: usize,
}

/// A finding.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// The rule, such as `FB0001`.
    code: String,
    level: Level,
    /// What will happen, with the value and the limit.
    message: String,
    /// What to do.
    help: String,
    /// Where.
    r#where: Where,
    /// The way on which the wall stands; empty where it stands at one resource.
    path: Vec<Hop>,
    /// The limit that is met.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Quantity>,
    /// The value that meets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Quantity>,
    /// The weakest evidence on the way.
    evidence: Evidence,
    /// What the finding rests on that no file states. Such a finding is a note at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assumed: Vec<String>,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Related>,
    /// Stays the same while lines move.
    fingerprint: String,
    /// Why a comment lets it be. Such a finding fails nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<String>,
    /// What `--fix` (where it is safe) or `--fix-unsafe` would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Mend>,
    /// The rule's page in the repository.
    page: String,
}

/// A place and what stands there.
#[derive(Debug, Serialize, JsonSchema)]
struct Where {
    file: String,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The logical id.
    resource: String,
    /// `aws:cdk:path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    construct_path: Option<String>,
}

/// Another place.
#[derive(Debug, Serialize, JsonSchema)]
struct Related {
    file: String,
    line: usize,
    column: usize,
    /// What is there.
    what: String,
}

/// A change that would mend a finding.
#[derive(Debug, Serialize, JsonSchema)]
struct Mend {
    title: String,
    /// Whether it can't change what the application does.
    safe: bool,
}

/// What is wrong with a file.
#[derive(Debug, Serialize, JsonSchema)]
struct Wrong {
    /// `FE3101` and following.
    code: String,
    message: String,
    help: String,
    file: String,
    line: usize,
    column: usize,
}

/// What a file leaves open.
#[derive(Debug, Serialize, JsonSchema)]
struct Open {
    /// The resource, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// What is not known, and why.
    what: String,
    file: String,
    line: usize,
    column: usize,
}

/// The JSON Schema of what [`json`] makes.
pub fn json_schema() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

/// The report as one JSON document; [`json_schema`] describes it.
pub fn json(report: &Report<'_>) -> Value {
    let counts = Counts::of(report.findings);
    let files = &report.design.files;
    let document = Document {
        version: VERSION,
        flyball: env!("CARGO_PKG_VERSION").into(),
        rules_version: report.rules_version,
        profile: report.profile.into(),
        summary: Summary {
            errors: counts.errors,
            warnings: counts.warnings,
            notes: counts.notes,
            advice: counts.advice,
            suppressed: counts.suppressed,
            files: report.files_read,
            functions: report.design.functions().count(),
            nodes: report.design.nodes().count(),
            edges: report.design.edges().count(),
        },
        against: report.against.map(|against| Base {
            base: against.base.clone(),
            known: against.known,
            gone: against.gone,
        }),
        findings: report.findings.iter().map(found).collect(),
        problems: report
            .problems
            .iter()
            .map(|problem| {
                let Place { file, line, column } = files.place(problem.span);
                let (message, help) = (problem.message.clone(), problem.help.clone());
                Wrong { code: problem.code.into(), message, help, file, line, column }
            })
            .collect(),
        unresolved: report
            .design
            .unresolved
            .iter()
            .map(|open| {
                let Place { file, line, column } = files.place(open.span);
                Open { resource: open.resource.clone(), what: open.what.clone(), file, line, column }
            })
            .collect(),
    };
    // Numbers and texts: nothing in it can fail to serialise.
    serde_json::to_value(document).unwrap_or_default()
}

fn found(finding: &Finding) -> Found {
    let place = &finding.place;
    Found {
        code: finding.code.into(),
        level: finding.level,
        message: finding.message.clone(),
        help: finding.help.clone(),
        r#where: Where {
            file: place.file.clone(),
            line: place.line,
            column: place.column,
            resource: finding.resource.clone(),
            construct_path: finding.construct_path.clone(),
        },
        path: finding.path.clone(),
        limit: finding.limit.clone(),
        value: finding.value.clone(),
        evidence: finding.evidence,
        assumed: finding.assumed.clone(),
        related: finding
            .related
            .iter()
            .map(|(place, what)| Related {
                file: place.file.clone(),
                line: place.line,
                column: place.column,
                what: what.clone(),
            })
            .collect(),
        fingerprint: finding.fingerprint.clone(),
        suppressed: finding.suppressed.clone(),
        fix: finding.fix.as_ref().map(|fix| Mend { title: fix.title.clone(), safe: fix.safe }),
        page: format!("docs/rules/{}.md", finding.code),
    }
}
