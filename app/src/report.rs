//! Findings for people and programs.
//!
//! - [`text`]: for a terminal: grouped by path, the fix first.
//! - [`json`], described by [`json_schema`]; [`sarif`]: for programs.
//! - [`graph`]: the design as a drawing, with the walls marked.
//!
//! All are functions of a [`Report`]: the same report gives the same bytes.

mod chain;
mod graph;
mod json;
mod sarif;
mod style;
mod text;

pub use graph::{Drawing, graph};
pub use json::{json, json_schema};
pub use sarif::sarif;
pub use style::{Paint, Style, printable, shortened};
pub use text::text;

use crate::{
    check::{About, Finding, Level},
    design::Design,
    import::Problem,
};

/// All that is said of one run.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was looked at.
    pub design: &'a Design,
    /// What is wrong with the files.
    pub problems: &'a [Problem],
    /// What the rules found, suppressed findings and advice among it, in the order of the files.
    pub findings: &'a [Finding],
    /// The rules that ran.
    pub rules: &'a [&'static About],
    /// The version of the rules that was asked for.
    pub rules_version: u32,
    /// The name of the profile.
    pub profile: &'a str,
    /// How many files could be read.
    pub files_read: usize,
    /// What was left out, where findings were compared with a base.
    pub against: Option<&'a Against>,
}

/// What a comparison with a base left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// The base: a revision or a file, as the user wrote it.
    pub base: String,
    /// Findings that the base has too.
    pub known: usize,
    /// Findings that only the base has.
    pub gone: usize,
}

/// How many findings there are of each level; those that a comment lets be are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// At [`Level::Error`].
    pub errors: usize,
    /// At [`Level::Warning`].
    pub warnings: usize,
    /// At [`Level::Note`].
    pub notes: usize,
    /// At [`Level::Advice`].
    pub advice: usize,
    /// Of any level, with a reason to let them be.
    pub suppressed: usize,
}

impl Counts {
    /// Counts.
    pub fn of(findings: &[Finding]) -> Counts {
        let mut counts = Counts::default();
        for finding in findings {
            let count = match (&finding.suppressed, finding.level) {
                (Some(_), _) => &mut counts.suppressed,
                (None, Level::Error) => &mut counts.errors,
                (None, Level::Warning) => &mut counts.warnings,
                (None, Level::Note) => &mut counts.notes,
                (None, Level::Advice) => &mut counts.advice,
            };
            *count += 1;
        }
        counts
    }
}

impl<'a> Report<'a> {
    /// The findings that no comment lets be, but for advice.
    fn walls(&self) -> impl Iterator<Item = &'a Finding> + use<'a> {
        self.findings.iter().filter(|finding| finding.suppressed.is_none() && finding.level > Level::Advice)
    }
}

#[cfg(test)]
mod tests;
