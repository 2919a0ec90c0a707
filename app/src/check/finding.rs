//! What a rule says, and how much it counts.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{About, Look};
use crate::{
    design::{EdgeId, Evidence, NodeId},
    document::{Place, Span},
};

/// How bad the wall is, whoever meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good practice; off unless asked for.
    Advice,
    /// A wall under the stated traffic, or under one fault.
    Warning,
    /// The deployment is rejected, or it is broken at any traffic.
    Error,
}

/// How much a finding counts: the lower of its rule's severity and of what its evidence allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Good practice; off unless asked for.
    Advice,
    /// Rests on a grant alone, or on an assumed value: shown, and never fails a pipeline.
    Note,
    /// A wall under the stated traffic, or under one fault.
    Warning,
    /// The deployment is rejected, or it is broken at any traffic.
    Error,
}

impl Level {
    fn of(severity: Severity, evidence: Evidence, assumed: bool) -> Level {
        let by_severity = match severity {
            Severity::Advice => return Level::Advice,
            Severity::Warning => Level::Warning,
            Severity::Error => Level::Error,
        };
        let by_evidence = match evidence {
            Evidence::Wired | Evidence::Declared => Level::Error,
            Evidence::Named | Evidence::Observed => Level::Warning,
            Evidence::Granted => Level::Note,
        };
        let by_assumption = if assumed { Level::Note } else { Level::Error };
        by_severity.min(by_evidence).min(by_assumption)
    }

    /// The word people see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Advice => "advice",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// A number with its unit, and what it is of.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Quantity {
    /// What it is of: "the timeout of Charge".
    pub of: String,
    /// The number; infinite, and `null` in JSON: without end.
    #[serde(serialize_with = "whole_without_point")]
    #[schemars(with = "Option<f64>")]
    pub number: f64,
    /// `s`, `ms`, `bytes`, `environments`, `messages/s`, `attempts`; empty for a bare number.
    pub unit: &'static str,
    /// Where the value is from: a row of the profile, with its date. Empty for what a file states.
    pub source: String,
}

/// `29`, not `29.0`: what a file states as a whole number is one in what we print.
#[expect(clippy::cast_possible_truncation, reason = "checked to have no fraction and to fit")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn whole_without_point<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

/// A step of the way on which a wall stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Hop {
    /// The node's name.
    pub name: String,
    /// What it is, in a word: "function", "queue".
    pub kind: &'static str,
    /// Its limit that counts here, in words: "1 MiB", "30 s"; empty where it has none.
    pub limit: String,
    /// How the step before leads here; `None` for the first.
    pub evidence: Option<Evidence>,
    /// Whether the wall stands at this hop.
    pub wall: bool,
}

/// What one finding says. [`report::json`](crate::report::json) is its form for programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule's code.
    pub code: &'static str,
    /// How much it counts.
    pub level: Level,
    /// What will happen, with the value and the limit, in one sentence.
    pub message: String,
    /// What to do, in one sentence that begins with a verb.
    pub help: String,
    /// Where.
    pub place: Place,
    /// The logical id of the resource.
    pub resource: String,
    /// `aws:cdk:path`.
    pub construct_path: Option<String>,
    /// The way on which the wall stands; empty where it stands at one resource.
    pub path: Vec<Hop>,
    /// The limit that is met.
    pub limit: Option<Quantity>,
    /// The value that meets it.
    pub value: Option<Quantity>,
    /// The weakest evidence on the way.
    pub evidence: Evidence,
    /// What the finding rests on that no file states, as sentences.
    pub assumed: Vec<String>,
    /// Other places that belong to it, with what is there.
    pub related: Vec<(Place, String)>,
    /// Stays the same while lines move: a hash of code, resource and path.
    pub fingerprint: String,
    /// Why the author lets it be, where a comment says so.
    pub suppressed: Option<String>,
    /// Where, in bytes.
    pub span: Span,
    /// A change that would mend it.
    pub fix: Option<Fix>,
}

/// A change of the files that mends a finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// In one line.
    pub title: String,
    /// Whether it can't change what the application does.
    pub safe: bool,
    /// Text that takes the place of spans.
    pub edits: Vec<(Span, String)>,
}

/// A finding in the making.
#[derive(Debug, Clone)]
#[must_use = "a draft is nothing until it is added"]
pub struct Draft {
    node: NodeId,
    span: Span,
    severity: Option<Severity>,
    message: String,
    help: String,
    edges: Vec<EdgeId>,
    path: Vec<Hop>,
    limit: Option<Quantity>,
    value: Option<Quantity>,
    assumed: Vec<String>,
    related: Vec<(Span, String)>,
    fix: Option<Fix>,
}

impl Draft {
    /// A finding at a node; `span` is the setting or the edge that is wrong.
    pub fn new(node: NodeId, span: Span, message: String, help: String) -> Draft {
        Draft {
            node,
            span,
            severity: None,
            message,
            help,
            edges: Vec::new(),
            path: Vec::new(),
            limit: None,
            value: None,
            assumed: Vec::new(),
            related: Vec::new(),
            fix: None,
        }
    }

    /// Less bad than the rule's severity says; never worse.
    pub fn at_most(mut self, severity: Severity) -> Draft {
        self.severity = Some(severity);
        self
    }

    /// The edges that it rests on: the weakest bounds its level.
    pub fn rests_on(mut self, edges: impl IntoIterator<Item = EdgeId>) -> Draft {
        self.edges.extend(edges);
        self
    }

    /// The way on which the wall stands.
    pub fn path(mut self, path: Vec<Hop>) -> Draft {
        self.path = path;
        self
    }

    /// The limit that is met, and the value that meets it.
    pub fn meets(mut self, limit: Quantity, value: Quantity) -> Draft {
        self.limit = Some(limit);
        self.value = Some(value);
        self
    }

    /// Rests on something that no file states: such a finding never fails a pipeline.
    pub fn assuming(mut self, what: impl Into<String>) -> Draft {
        self.assumed.push(what.into());
        self
    }

    /// Another place that belongs to it.
    pub fn related(mut self, span: Span, what: impl Into<String>) -> Draft {
        self.related.push((span, what.into()));
        self
    }

    /// What would mend it.
    pub fn fix(mut self, fix: Fix) -> Draft {
        self.fix = Some(fix);
        self
    }
}

/// Takes what rules find.
#[derive(Debug)]
pub struct Found<'a> {
    look: Look<'a>,
    about: Option<&'static About>,
    findings: Vec<Finding>,
    seen: BTreeSet<(String, u32, u32)>,
}

impl<'a> Found<'a> {
    pub(super) fn new(look: &Look<'a>) -> Found<'a> {
        Found { look: *look, about: None, findings: Vec::new(), seen: BTreeSet::new() }
    }

    pub(super) fn of(&mut self, about: &'static About) {
        self.about = Some(about);
    }

    /// Takes a finding. A second one of the same rule with the same fingerprint at the same place is dropped.
    pub fn add(&mut self, draft: Draft) {
        let Some(about) = self.about else { return };
        let design = self.look.design;
        let node = design.node(draft.node);
        let weakest = draft.edges.iter().map(|edge| design.edge(*edge).evidence).min();
        let evidence = weakest.unwrap_or(Evidence::Wired);
        let severity = draft.severity.unwrap_or(about.severity).min(about.severity);
        let fingerprint = fingerprint(about.code, &node.name, &draft.path);
        if !self.seen.insert((fingerprint.clone(), draft.span.file.0, draft.span.start)) {
            return;
        }
        let allowed = node.allowed.iter().find(|(code, _)| code == "*" || code == about.code);
        let files = &design.files;
        self.findings.push(Finding {
            code: about.code,
            level: Level::of(severity, evidence, !draft.assumed.is_empty()),
            message: draft.message,
            help: draft.help,
            place: files.place(draft.span),
            resource: node.name.clone(),
            construct_path: node.construct_path.clone(),
            path: draft.path,
            limit: draft.limit,
            value: draft.value,
            evidence,
            assumed: draft.assumed,
            related: draft.related.into_iter().map(|(span, what)| (files.place(span), what)).collect(),
            fingerprint,
            suppressed: allowed.map(|(_, reason)| reason.clone()),
            span: draft.span,
            fix: draft.fix,
        });
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
        self.findings
    }
}

/// 64 bits of FNV-1a over what names a finding: no file, no line, so that it stays when text moves.
fn fingerprint(code: &str, resource: &str, path: &[Hop]) -> String {
    let names = path.iter().map(|hop| hop.name.as_str());
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in [code, resource].into_iter().chain(names) {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}
