use proptest::prelude::*;

use super::*;
use crate::{
    check::{Fix, Level},
    design::Evidence,
    document::Place,
};

fn finding(fix: Fix) -> Finding {
    Finding {
        code: "FB0001",
        level: Level::Warning,
        message: String::new(),
        help: String::new(),
        place: Place { file: String::new(), line: 1, column: 1 },
        resource: String::new(),
        construct_path: None,
        path: Vec::new(),
        limit: None,
        value: None,
        evidence: Evidence::Wired,
        assumed: Vec::new(),
        related: Vec::new(),
        fingerprint: String::new(),
        suppressed: None,
        span: Span { file: FileId(0), start: 0, end: 0 },
        fix: Some(fix),
    }
}

fn file(text: &str) -> (Files, FileId) {
    let mut files = Files::default();
    let id = files.add("template", text.into());
    (files, id)
}

/// The place of `part`, which the text has once.
fn place(text: &str, file: FileId, part: &str) -> Span {
    let start = text.find(part).unwrap();
    assert_eq!(text.matches(part).count(), 1, "{part}");
    Span { file, start: u32::try_from(start).unwrap(), end: u32::try_from(start + part.len()).unwrap() }
}

fn applied(text: &str, edit: Option<(Span, String)>) -> Option<String> {
    let (span, new) = edit?;
    let mut out = text.to_string();
    out.replace_range(span.start as usize..span.end as usize, &new);
    Some(out)
}

#[test]
fn a_number_takes_the_place_of_its_like_alone() {
    for (text, part, expected) in [
        ("VisibilityTimeout: 30 # s\n", "30", Some("VisibilityTimeout: 360 # s\n")),
        ("VisibilityTimeout: \"30\"\n", "\"30\"", Some("VisibilityTimeout: \"360\"\n")),
        ("VisibilityTimeout: !Ref Wait\n", "!Ref Wait", None),
        ("VisibilityTimeout: 31\n", "31", None),
    ] {
        let (files, id) = file(text);
        let edit = number(&files, place(text, id, part), 30, 360);
        assert_eq!(applied(text, edit).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_key_is_added_as_its_neighbour_is_written() {
    let window = [("MaximumBatchingWindowInSeconds", "1"), ("maximumBatchingWindow", "1")];
    for (text, expected) in [
        (
            "      BatchSize: 100 # many\n      Queue: q\n",
            Some("      BatchSize: 100 # many\n      MaximumBatchingWindowInSeconds: 1\n      Queue: q\n"),
        ),
        ("BatchSize: 100", Some("BatchSize: 100\nMaximumBatchingWindowInSeconds: 1")),
        (
            "a: 1\r\nBatchSize: 100\r\n",
            Some("a: 1\r\nBatchSize: 100\r\nMaximumBatchingWindowInSeconds: 1\r\n"),
        ),
        (
            "  - batchSize: 100\n    arn: a\n",
            Some("  - batchSize: 100\n    maximumBatchingWindow: 1\n    arn: a\n"),
        ),
        (
            "{\n  \"BatchSize\": 100,\n  \"Queue\": \"q\"\n}",
            Some("{\n  \"BatchSize\": 100,\n  \"MaximumBatchingWindowInSeconds\": 1,\n  \"Queue\": \"q\"\n}"),
        ),
        ("{\"BatchSize\":100}", Some("{\"BatchSize\":100,\"MaximumBatchingWindowInSeconds\": 1}")),
        ("Properties: {BatchSize: 100, Queue: q}\n", None),
    ] {
        let (files, id) = file(text);
        let edit = beside(&files, place(text, id, "100"), window);
        assert_eq!(applied(text, edit).as_deref(), expected, "{text}");
    }
}

#[test]
fn an_entry_is_removed_with_what_it_leaves_empty() {
    for (text, part, expected) in [
        (
            "P:\n  A: 1\n  Dead:\n    Type: SQS\n    # why\n    Arn: a\n\n  B: 2\n",
            "Arn: a",
            Some("P:\n  A: 1\n\n  B: 2\n"),
        ),
        ("P:\n  A: 1\n  Dead: !GetAtt Q.Arn # x\n", "Q.Arn", Some("P:\n  A: 1\n")),
        (
            "P:\n  A: 1\n  E:\n    C:\n      Dead:\n        T: a\n  B: 2\n",
            "T: a",
            Some("P:\n  A: 1\n  B: 2\n"),
        ),
        ("P:\n  A: 1\n  Dead:\n  - x\n  - y\n  B: 2\n", "y", Some("P:\n  A: 1\n  B: 2\n")),
        ("P:\n  A: 1\n  Dead: {T: SQS, Arn: a}\n", "a}", Some("P:\n  A: 1\n")),
        ("P:\n  A: {Dead: {T: a}}\n", "T: a", None),
        ("- Dead:\n    T: a\n", "T: a", None),
        ("Dead:\n  B: 1\nC:\n  D: 2\n", "2", None),
        (r#"{"A": 1, "Dead": {"T": "a"}, "B": 2}"#, "\"a", Some(r#"{"A": 1, "B": 2}"#)),
        (r#"{"Dead": {"T": [1, "}", {"x": null}]}, "B": 2}"#, "null", Some(r#"{"B": 2}"#)),
        (r#"{"A": 1, "E": {"Dead": {"T": "a"}}}"#, "\"a", Some(r#"{"A": 1}"#)),
        (r#"{"A": 1, "E": [{"Dead": true}]}"#, "true", None),
        (r#"{"A": 1, "Dead": 12}"#, "12", Some(r#"{"A": 1}"#)),
        (r#"{"A": 1, "Dea": 12}"#, "12", None),
    ] {
        let (files, id) = file(text);
        let edit = without(&files, place(text, id, part), &["Dead"]);
        assert_eq!(applied(text, edit).as_deref(), expected, "{text}");
    }
}

#[test]
fn overlapping_changes_are_refused_and_the_same_one_is_made_once() {
    let (files, id) = file("0123456789");
    let at = |start, end| Span { file: id, start, end };
    let fix = |safe, edits: &[(u32, u32, &str)]| {
        let edits = edits.iter().map(|(start, end, text)| (at(*start, *end), (*text).into())).collect();
        finding(Fix { title: String::new(), safe, edits })
    };
    let findings = [
        fix(true, &[(2, 4, "ab")]),
        fix(true, &[(2, 4, "ab")]),
        fix(true, &[(3, 5, "x")]),
        fix(true, &[(4, 4, "-"), (8, 9, "")]),
        fix(true, &[(0, 1, "z"), (0, 0, "y")]),
        fix(false, &[(6, 7, "!")]),
        fix(true, &[(9, 99, "")]),
    ];
    let mended = mend(&files, &findings, Mend::Safe);
    assert_eq!(mended.files, [(id, "01ab-45679".into())]);
    assert_eq!(mended.made.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(mended.refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2, 4, 6]);
    assert_eq!(mend(&files, &findings, Mend::All).files, [(id, "01ab-45!79".into())]);
}

proptest! {
    /// Whatever rules ask for, each byte is replaced once at most and the others stay in their order.
    #[test]
    fn what_is_not_replaced_stays(
        text in "[a-z é\n]{0,40}",
        asked in prop::collection::vec((0_u32..45, 0_u32..6, "[A-Z]{0,3}"), 0..8),
    ) {
        let (files, id) = file(&text);
        let findings: Vec<Finding> = asked
            .iter()
            .map(|(start, length, new)| {
                let span = Span { file: id, start: *start, end: start + length };
                finding(Fix { title: String::new(), safe: true, edits: vec![(span, new.clone())] })
            })
            .collect();
        let mended = mend(&files, &findings, Mend::Safe);
        let out = mended.files.first().map_or(text.as_str(), |(_, text)| text);
        let kept: String = out.chars().filter(|c| !c.is_ascii_uppercase()).collect();
        let replaced: usize = {
            let made = mended.made.iter().map(|(at, _)| &asked[*at]);
            let mut spans: Vec<(u32, u32)> = made.map(|(start, length, _)| (*start, start + length)).collect();
            spans.sort_unstable();
            spans.dedup();
            spans.iter().map(|(start, end)| (end - start) as usize).sum()
        };
        prop_assert_eq!(kept.len() + replaced, text.len());
        prop_assert_eq!(mended.made.len() + mended.refused.len(), asked.len());
    }

    #[test]
    fn no_text_and_no_place_breaks_an_edit(text in "[ -:{}\"#A\n]{0,60}", start in 0_u32..70, length in 0_u32..20) {
        let (files, id) = file(&text);
        let span = Span { file: id, start, end: start + length };
        let edits = [
            number(&files, span, 1, 2),
            beside(&files, span, [("A", "1"), ("a", "1")]),
            without(&files, span, &["A", "B"]),
        ];
        for (span, _) in edits.into_iter().flatten() {
            prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
        }
    }
}
