//! Templates with random changes: nothing panics, every place is in a file, what is said is bounded.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{fs, path::Path};

use flyball_app::import::{Input, Options, PROBLEMS_MAX, import};
use proptest::prelude::*;

/// The longest message or help, bytes: each quotes a bounded part of the file.
const TEXT_BYTES_MAX: usize = 2_048;

/// The texts of the folders of tests that hold templates.
fn texts() -> Vec<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut folders = vec![tests.join("templates"), tests.join("wire"), tests.join("terraform")];
    let (mut texts, mut at) = (Vec::new(), 0);
    while let Some(folder) = folders.get(at).cloned() {
        at += 1;
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "json" || e == "template") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

/// Words that mean something to one of the readers.
const WORDS: [&str; 48] = [
    "!Ref ",
    "!Sub '${A}'",
    "!GetAtt A.Arn",
    "!If [A, ",
    "!ImportValue ",
    "{Ref: ",
    "Fn::Sub: ",
    "Fn::ForEach::X: ",
    "Fn::Transform: ",
    "AWS::NoValue",
    "AWS::Region",
    "AWS::Serverless::Function",
    "AWS::SQS::Queue",
    "AWS::CloudFormation::Stack",
    "TemplateURL: a.yaml",
    "Condition: ",
    "Conditions:\n",
    "Parameters:\n",
    "Resources:\n",
    "Outputs:\n",
    "Events:\n",
    "Properties:\n",
    "Transform: AWS::Serverless-2016-10-31\n",
    "Globals:\n",
    "DefinitionUri: a.json",
    "*",
    "${",
    "}",
    "[",
    "]",
    "{",
    "null",
    "-1",
    "99999999999999999999",
    "''",
    "arn:aws:sqs:",
    "# flyball: allow FB0007",
    "<<: *a",
    "&a ",
    "Version",
    "Role: ",
    "\n",
    "\n  ",
    "\n      ",
    "é",
    "\t",
    "\u{feff}",
    "{{resolve:ssm:x}}",
];

#[derive(Debug, Clone)]
enum Change {
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, usize),
    Replace(usize, usize),
}

fn boundary(text: &str, at: usize) -> usize {
    (0..=at % (text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn changed(mut text: String, change: &Change) -> String {
    let range = |text: &str, at: usize, length: usize| {
        let start = boundary(text, at);
        let end = (start..=(start + length).min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        start..end.unwrap_or(start)
    };
    match *change {
        Change::Remove(at, length) => {
            let range = range(&text, at, length);
            text.replace_range(range, "");
        }
        Change::Repeat(at, length) => {
            let range = range(&text, at, length * 20);
            let part = text[range.clone()].to_string();
            text.insert_str(range.end, &part);
        }
        Change::Insert(at, word) => {
            let word = WORDS.get(word % WORDS.len()).copied().unwrap_or_default();
            text.insert_str(boundary(&text, at), word);
        }
        // A word of the text in the place of another.
        Change::Replace(at, from) => {
            let word = |text: &str, at: usize| {
                let start = boundary(text, at);
                let rest = &text[start..];
                let skipped = rest.len() - rest.trim_start().len();
                let length = rest.trim_start().find([' ', '\n', ',', ']', '}']).unwrap_or(0);
                start + skipped..start + skipped + length
            };
            let other = text[word(&text, from)].to_string();
            let place = word(&text, at);
            text.replace_range(place, &other);
        }
    }
    text
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), 0..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<usize>(), 0..40_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (any::<usize>(), any::<usize>()).prop_map(|(at, word)| Change::Insert(at, word)),
        (any::<usize>(), any::<usize>()).prop_map(|(at, from)| Change::Replace(at, from)),
    ]
}

fn holds(name: &str, text: &str, other: &str) -> Result<(), TestCaseError> {
    let input = Input { name: name.to_string(), text: text.to_string() };
    let local = |name: &str| (!name.contains("missing")).then(|| other.to_string());
    let read = import(vec![input], &Options::default(), &local);
    prop_assert!(read.problems.len() <= PROBLEMS_MAX);
    for problem in &read.problems {
        let place = read.design.files.place(problem.span);
        prop_assert!(place.line >= 1 && place.column >= 1, "{problem:?}");
        for part in [&problem.message, &problem.help] {
            prop_assert!(!part.is_empty() && part.len() <= TEXT_BYTES_MAX, "{problem:?}");
            prop_assert!(!part.contains(char::is_control), "{problem:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("FLYBALL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Default::default()
    })]

    #[test]
    fn no_change_of_a_template_is_a_panic(
        which in any::<usize>(),
        other in any::<usize>(),
        changes in proptest::collection::vec(change(), 0..8),
        json in any::<bool>(),
    ) {
        let texts = texts();
        let text = changes.iter().fold(texts[which % texts.len()].clone(), changed);
        let name = if json { "t.json" } else { "t.yaml" };
        holds(name, &text, &texts[other % texts.len()])?;
    }
}
