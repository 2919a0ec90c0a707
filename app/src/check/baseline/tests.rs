use super::*;
use crate::{
    design::Evidence,
    document::{FileId, Place, Span},
};

fn finding(code: &'static str, fingerprint: &str, suppressed: bool) -> Finding {
    Finding {
        code,
        level: Level::Warning,
        message: String::new(),
        help: String::new(),
        place: Place { file: String::new(), line: 1, column: 1 },
        resource: "Queue".into(),
        construct_path: None,
        path: Vec::new(),
        limit: None,
        value: None,
        evidence: Evidence::Wired,
        assumed: Vec::new(),
        related: Vec::new(),
        fingerprint: fingerprint.into(),
        suppressed: suppressed.then(|| "on purpose".into()),
        span: Span { file: FileId(0), start: 0, end: 0 },
        fix: None,
    }
}

#[test]
fn what_a_baseline_file_has_is_known_and_the_rest_is_new() {
    let then = [finding("FB0001", "a", false), finding("FB0001", "a", false), finding("FB0007", "b", false)];
    let file = baseline_file(&then);
    let baseline = Baseline::read(&file).unwrap();
    assert_eq!(baseline, Baseline::of(&then));
    let all_known = baseline.compare(then.to_vec());
    assert_eq!((all_known.new.len(), all_known.known, all_known.gone), (0, 3, 0));
    // A third of the same fingerprint is new, and so is one that nobody saw.
    let now = [vec![finding("FB0009", "c", false)], then[..2].to_vec(), then[..1].to_vec()].concat();
    let compared = baseline.compare(now);
    let new: Vec<&str> = compared.new.iter().map(|finding| finding.fingerprint.as_str()).collect();
    assert_eq!((new, compared.known, compared.gone), (vec!["c", "a"], 2, 1));
}

#[test]
fn a_comment_that_goes_away_makes_its_finding_new() {
    let baseline = Baseline::read(&baseline_file(&[finding("FB0001", "a", true)])).unwrap();
    assert_eq!(baseline, Baseline::default());
    assert_eq!(baseline.compare(vec![finding("FB0001", "a", false)]).new.len(), 1);
    // And one that comes is neither known nor gone.
    let baseline = Baseline::of(&[finding("FB0001", "a", false)]);
    let compared = baseline.compare(vec![finding("FB0001", "a", true)]);
    assert_eq!((compared.new.len(), compared.known, compared.gone), (1, 0, 0));
}

#[test]
fn what_is_no_baseline_is_refused_with_the_reason() {
    for (text, why) in [
        ("", "not JSON"),
        ("Resources: {}", "not JSON"),
        ("{}", "no \"version\""),
        ("{\"version\": 2}", "version 2"),
        ("{\"version\": 1}", "no \"findings\""),
        ("{\"version\": 1, \"findings\": [{}]}", "finding 0"),
    ] {
        let said = Baseline::read(text).unwrap_err();
        assert!(said.contains(why), "{text}: {said}");
    }
}
