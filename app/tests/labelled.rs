//! Templates of others with the graph and the findings that a reader of them would draw by hand, with reasons, in
//! `labels.txt` of each folder: how much of the graph is found, and whether more is found than there is.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use flyball_app::{
    check::{self, Level, Look},
    import::{Input, Options, import},
    profile::{Given, Profile},
};

/// Of the edges that are found, those that are labelled.
const PRECISION_MIN: f64 = 0.99;
/// Of the edges that are labelled, those that are found.
const RECALL_MIN: f64 = 0.95;

/// How often each line stands there.
type Lines = BTreeMap<String, usize>;

fn folders() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/labelled");
    let mut folders: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// The edges and the findings that are labelled.
fn labels(folder: &Path) -> (Lines, Lines) {
    let (mut edges, mut findings) = (Lines::new(), Lines::new());
    for line in fs::read_to_string(folder.join("labels.txt")).unwrap().lines() {
        match line.strip_prefix("finding ") {
            Some(finding) => *findings.entry(finding.to_string()).or_default() += 1,
            None if line.starts_with('#') => {}
            None => *edges.entry(line.to_string()).or_default() += 1,
        }
    }
    (edges, findings)
}

/// The edges and the findings that are found.
fn found(folder: &Path) -> (Lines, Lines) {
    let file = ["template.yaml", "template.yml", "serverless.yml"].map(|name| folder.join(name));
    let file = file.iter().find(|file| file.exists()).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap().to_string();
    let input = Input { name, text: fs::read_to_string(file).unwrap() };
    let imported = import(vec![input], &Options::default(), &|_| None);
    let (profile, given) = (Profile::built_in("aws").unwrap(), Given::default());
    let look = Look { design: &imported.design, profile: &profile, given: &given };
    let mut findings = Lines::new();
    for finding in check::check(&look, &check::ours()) {
        if finding.level > Level::Advice {
            let line = format!("{} {} {}", finding.code, finding.level.as_str(), finding.resource);
            *findings.entry(line).or_default() += 1;
        }
    }
    let mut edges = Lines::new();
    for line in imported.design.to_string().lines().filter(|line| line.contains("-->")) {
        let (from, to) = line.split_once("--> ").unwrap();
        // Without its settings, and without the alias.
        let to = to.split([' ', ':']).next().unwrap();
        *edges.entry(format!("{from}--> {to}")).or_default() += 1;
    }
    (edges, findings)
}

/// Lines that are in both, and those of the first that the second lacks.
fn compare(of: &Lines, with: &Lines) -> (usize, Vec<String>) {
    let mut both = 0;
    let mut lacking = Vec::new();
    for (line, count) in of {
        let there = with.get(line).copied().unwrap_or(0);
        both += (*count).min(there);
        lacking.extend(std::iter::repeat_n(line.clone(), count.saturating_sub(there)));
    }
    (both, lacking)
}

#[test]
fn graphs_of_labelled_templates_are_found_and_nothing_else() {
    let (mut both, mut labelled, mut all, mut report) = (0, 0, 0, Vec::new());
    for folder in folders() {
        let (labels, found) = (labels(&folder).0, found(&folder).0);
        let (same, missed) = compare(&labels, &found);
        let (_, too_many) = compare(&found, &labels);
        both += same;
        labelled += labels.values().sum::<usize>();
        all += found.values().sum::<usize>();
        let name = folder.file_name().unwrap().to_str().unwrap().to_string();
        report.extend(missed.iter().map(|line| format!("{name}: missed {line}")));
        report.extend(too_many.iter().map(|line| format!("{name}: too many {line}")));
    }
    let (precision, recall) = (both as f64 / all as f64, both as f64 / labelled as f64);
    println!(
        "{labelled} edges labelled, {all} found: precision {precision:.3}, recall {recall:.3}\n{report:#?}"
    );
    assert!(precision >= PRECISION_MIN && recall >= RECALL_MIN, "{precision:.3} {recall:.3} {report:#?}");
}

#[test]
fn findings_of_labelled_templates_are_those_that_their_reader_would_act_on() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let (labels, found) = (labels(&folder).1, found(&folder).1);
        let name = folder.file_name().unwrap().to_str().unwrap().to_string();
        wrong.extend(compare(&labels, &found).1.iter().map(|line| format!("{name}: missed {line}")));
        wrong.extend(compare(&found, &labels).1.iter().map(|line| format!("{name}: too many {line}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
