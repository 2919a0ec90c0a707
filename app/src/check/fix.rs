//! Changes of the files that mend findings, by bytes, so that comments and formatting stay.
//!
//! - [`mend`]: makes the changes of some findings, those that overlap left out.
//! - `edit`: how a rule writes a change: a number in the place of another, a key beside another, a key removed.

mod edit;

use std::collections::BTreeMap;

pub use edit::{beside, number, without};

use super::Finding;
use crate::document::{FileId, Files, Span};

/// Which changes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Those that can't change what the application does.
    Safe,
    /// Those that can, too.
    All,
}

/// What came of mending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mended {
    /// Files that change, with their new text.
    pub files: Vec<(FileId, String)>,
    /// The changes that are made: the finding's index and the change's title.
    pub made: Vec<(usize, String)>,
    /// The changes that are not: the finding's index and why.
    pub refused: Vec<(usize, &'static str)>,
}

/// The accepted edits of a file, by where they begin.
type Edits = BTreeMap<u32, (u32, String)>;

/// Makes the changes that `which` wants of findings that no comment lets be. A change that overlaps one before
/// it is refused as a whole; one that is the same as another is made once.
pub fn mend(files: &Files, findings: &[Finding], which: Mend) -> Mended {
    let mut mended = Mended::default();
    let mut accepted: BTreeMap<FileId, Edits> = BTreeMap::new();
    for (index, finding) in findings.iter().enumerate() {
        let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.edits.is_empty()) else { continue };
        if finding.suppressed.is_some() || (which == Mend::Safe && !fix.safe) {
            continue;
        }
        match accept(files, &accepted, &fix.edits) {
            Ok(edits) => {
                for (span, text) in edits {
                    accepted.entry(span.file).or_default().insert(span.start, (span.end, text));
                }
                mended.made.push((index, fix.title.clone()));
            }
            Err(why) => mended.refused.push((index, why)),
        }
    }
    for (file, edits) in accepted {
        let text = apply(files.text(file), &edits);
        if text != files.text(file) {
            mended.files.push((file, text));
        }
    }
    mended
}

/// Those of a change's edits that are not made already.
fn accept(
    files: &Files,
    accepted: &BTreeMap<FileId, Edits>,
    edits: &[(Span, String)],
) -> Result<Vec<(Span, String)>, &'static str> {
    let mut own: BTreeMap<FileId, Edits> = BTreeMap::new();
    let mut new = Vec::new();
    for (span, text) in edits {
        if span.start > span.end
            || files.text(span.file).get(span.start as usize..span.end as usize).is_none()
        {
            return Err("its place is not in the file");
        }
        let before = accepted.get(&span.file).and_then(|edits| edits.get(&span.start));
        if before.is_some_and(|(end, other)| *end == span.end && other == text) {
            continue;
        }
        let others = [accepted.get(&span.file), own.get(&span.file)];
        if others.into_iter().flatten().any(|edits| overlaps(edits, *span)) {
            return Err("it overlaps another change; run again after that one");
        }
        own.entry(span.file).or_default().insert(span.start, (span.end, text.clone()));
        new.push((*span, text.clone()));
    }
    Ok(new)
}

/// Whether bytes of a span are taken; two that begin at the same byte overlap too: which came first would show.
fn overlaps(edits: &Edits, span: Span) -> bool {
    let before = edits.range(..=span.start).next_back();
    let after = edits.range(span.start..).next();
    before.is_some_and(|(start, (end, _))| *end > span.start || *start == span.start)
        || after.is_some_and(|(start, _)| *start < span.end)
}

fn apply(text: &str, edits: &Edits) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, (end, new)) in edits {
        out.push_str(text.get(at..*start as usize).unwrap_or(""));
        out.push_str(new);
        at = *end as usize;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}

#[cfg(test)]
mod tests;
