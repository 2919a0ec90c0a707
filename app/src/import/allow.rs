//! Suppressions: `# flyball: allow FB0007 because the consumer is idempotent`, and `Metadata.flyball.allow`.

use super::reading::Reading;
use crate::document::{Entry, FileId, Files, Span, Tree};

/// What marks a comment for us.
const MARK: &str = "flyball:";

/// A comment of a file.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    /// From 1.
    line: usize,
    /// Nothing but a comment is in its line.
    alone: bool,
    span: Span,
    codes: Vec<String>,
    reason: String,
    used: bool,
}

/// Reasons by rule code of a resource: of the comments on its key's line and directly above, and of its metadata.
pub(super) fn of_resource(
    entry: &Entry,
    metadata: Option<&Tree>,
    reading: &mut Reading<'_>,
) -> Vec<(String, String)> {
    let mut allowed = at_key(entry.key_span, reading);
    let stated = metadata.and_then(|tree| tree.at(&["flyball", "allow"]));
    for one in stated.map(Tree::entries).unwrap_or_default() {
        match one.value.as_str().map(str::trim) {
            Some(reason) if !reason.is_empty() => allowed.push((one.key.clone(), reason.to_string())),
            _ => wrong(one.key_span, &format!("{} is allowed without a reason", short(&one.key)), reading),
        }
    }
    allowed
}

/// Reasons by rule code of the comments at a key.
pub(super) fn at_key(key: Span, reading: &mut Reading<'_>) -> Vec<(String, String)> {
    let mut allowed = Vec::new();
    let line = match reading.comments(key.file) {
        [] => return allowed,
        _ => reading.files.line_of(key),
    };
    let comments = reading.comments_mut(key.file);
    let mut take = |at: usize, comments: &mut [Comment]| {
        if let Some(comment) = comments.get_mut(at) {
            comment.used = true;
            allowed.extend(comment.codes.iter().map(|code| (code.clone(), comment.reason.clone())));
        }
    };
    // In the order of lines.
    let mut next = comments.partition_point(|comment| comment.line < line);
    if comments.get(next).is_some_and(|comment| comment.line == line) {
        take(next, comments);
    }
    let mut above = line;
    while let Some(before) = next.checked_sub(1) {
        above -= 1;
        if !comments.get(before).is_some_and(|comment| comment.line == above && comment.alone) {
            break;
        }
        take(before, comments);
        next = before;
    }
    allowed
}

/// The comments of a file that speak to us; those that say nothing are problems.
pub(super) fn comments(file: FileId, files: &Files) -> (Vec<Comment>, Vec<(Span, String)>) {
    let text = files.text(file);
    let (mut comments, mut wrong) = (Vec::new(), Vec::new());
    // A quick look: most files have none.
    if !text.contains(MARK) {
        return (comments, wrong);
    }
    let mut start = 0;
    for (index, line) in text.split('\n').enumerate() {
        let begin = start;
        start += line.len() + 1;
        let Some((at, said)) = mark(line) else { continue };
        let small = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let end = begin + line.trim_end().len();
        let span = Span { file, start: small(begin + at), end: small(end.max(begin + at)) };
        match said_of(said) {
            Ok((codes, reason)) => {
                let alone = line.trim_start().starts_with('#');
                comments.push(Comment { line: index + 1, alone, span, codes, reason, used: false });
            }
            Err(why) => wrong.push((span, why)),
        }
    }
    (comments, wrong)
}

/// Where a line's comment for us begins, and what it says.
fn mark(line: &str) -> Option<(usize, &str)> {
    line.match_indices('#').find_map(|(at, _)| {
        let before = line.get(..at)?;
        let rest = line.get(at + 1..)?.trim_start().strip_prefix(MARK)?;
        (before.is_empty() || before.ends_with(char::is_whitespace)).then_some((at, rest.trim()))
    })
}

fn said_of(said: &str) -> Result<(Vec<String>, String), String> {
    let Some(rest) = said.strip_prefix("allow").filter(|rest| rest.starts_with(char::is_whitespace)) else {
        return Err("this comment says something else than `allow CODE because REASON`".to_string());
    };
    let (codes, reason) = rest.split_once(" because").unwrap_or((rest, ""));
    let codes = codes.split([',', ' ', '\t']).filter(|code| !code.is_empty());
    let codes: Vec<String> = codes.map(str::to_string).collect();
    match codes.iter().find(|code| !is_code(code)) {
        _ if codes.is_empty() => Err("this comment allows nothing: it names no rule".to_string()),
        Some(code) => Err(format!("{} is no rule's code", short(code))),
        None if reason.trim().is_empty() => Err(format!("{} is allowed without a reason", codes.join(", "))),
        None => Ok((codes, reason.trim().to_string())),
    }
}

fn is_code(code: &str) -> bool {
    let digits = code.strip_prefix("FB").unwrap_or("");
    code == "*" || (digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn wrong(span: Span, message: &str, reading: &mut Reading<'_>) {
    let help =
        "write `# flyball: allow FB0007 because REASON`, or {FB0007: REASON} under Metadata.flyball.allow";
    reading.problem("FE3112", span, message.to_string(), help);
}

/// Notes what of the comments said nothing.
pub(super) fn report(said: Vec<(Span, String)>, reading: &mut Reading<'_>) {
    for (span, message) in said {
        wrong(span, &message, reading);
    }
}

/// The comments that stand at nothing that could be allowed.
pub(super) fn unused(comments: &[Comment]) -> Vec<(Span, String)> {
    let unused = comments.iter().filter(|comment| !comment.used);
    let message = "this comment stands at no resource: move it onto or directly above a resource's key";
    unused.map(|comment| (comment.span, message.to_string())).collect()
}
