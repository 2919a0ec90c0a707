//! What templates become, and that AWS's own translator makes the same.

mod translator;

use std::{fmt::Write, fs, path::Path};

use crate::{
    document::{Files, Span},
    import::{Options, Problem, Stack, cloudformation, reading::Reading},
};

/// A template's stack, with what is wrong with it.
fn read(name: &str, text: &str) -> (Files, Option<Stack>, Vec<Problem>) {
    let options = Options::default();
    let mut reading = Reading::new(&options, &|_| None);
    let file = reading.files.add(name, text.to_string());
    let stack = reading.parse(file).and_then(|tree| {
        let stacks = cloudformation::stack(&tree, file, &mut reading);
        stacks.into_iter().next()
    });
    let Reading { files, problems, .. } = reading;
    (files, stack, problems)
}

/// The resources of a stack, each with its place, what it was made for and what it names.
fn listed(files: &Files, stack: &Stack, problems: &[Problem]) -> String {
    let mut text = String::new();
    let line = |span: Span| files.place(span).line;
    for resource in &stack.resources {
        let made_for = resource.made_for.as_ref().map(|of| format!(" for {of}")).unwrap_or_default();
        let (id, kind, line) = (&resource.id, &resource.resource_type, line(resource.span));
        writeln!(text, "{line:>3} {id}: {kind}{made_for}").unwrap();
        let properties = shown(&resource.properties);
        writeln!(text, "      {properties}").unwrap();
    }
    for (name, value) in &stack.exports {
        writeln!(text, "export {name}: {}", shown(value)).unwrap();
    }
    for problem in problems {
        writeln!(text, "{:>3} {}: {}", line(problem.span), problem.code, problem.message).unwrap();
    }
    text
}

/// A value on one line.
fn shown(tree: &crate::document::Tree) -> String {
    use crate::document::{Piece, Reference, Value};
    let reference = |of: &Reference| match &of.attribute {
        Some(attribute) => format!("<{}.{attribute}>", of.resource),
        None => format!("<{}>", of.resource),
    };
    match &tree.value {
        Value::Null => "null".to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| format!("{}: {}", entry.key, shown(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Pieces(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Reference(of) => reference(of),
                Piece::Unknown(_) => "?".to_string(),
            })
            .collect(),
        Value::Reference(of) => reference(of),
        Value::Unknown(unknown) => {
            format!("?({})", unknown.one_of.iter().map(shown).collect::<Vec<_>>().join(" | "))
        }
    }
}

#[test]
fn templates_become_what_awss_translator_makes_of_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sam");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    assert!(!files.is_empty());
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (files, stack, problems) = read(&name, &fs::read_to_string(&path).unwrap());
        let stack = stack.unwrap_or_else(|| panic!("{name}: {problems:?}"));
        insta::with_settings!({
            omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => folder.join("lowered"),
        }, {
            insta::assert_snapshot!(name, listed(&files, &stack, &problems));
        });
    }
}

/// A template with `count` functions, each with an event of every kind of hot path.
fn many(count: usize, globals: &str) -> String {
    let mut text = format!("Transform: AWS::Serverless-2016-10-31\nGlobals: {globals}\nResources:\n");
    text.push_str("  Q: {Type: AWS::SQS::Queue}\n  B: {Type: AWS::S3::Bucket}\n");
    for number in 0..count {
        writeln!(
            text,
            "  F{number}:\n    Type: AWS::Serverless::Function\n    Properties:\n      Events:\n        \
             A: {{Type: Api, Properties: {{Path: /{number}, Method: get}}}}\n        \
             H: {{Type: HttpApi, Properties: {{Path: /{number}, Method: get}}}}\n        \
             Q: {{Type: SQS, Properties: {{Queue: !GetAtt Q.Arn}}}}\n        \
             B: {{Type: S3, Properties: {{Bucket: !Ref B, Events: a}}}}"
        )
        .unwrap();
    }
    text
}

#[test]
fn globals_times_resources_are_bounded() {
    let variables: Vec<String> = (0..3_000).map(|number| format!("V{number}: x")).collect();
    let globals = format!("{{Function: {{Environment: {{Variables: {{{}}}}}}}}}", variables.join(", "));
    let (_, stack, problems) = read("t.yaml", &many(2_000, &globals));
    assert_eq!(problems.iter().filter(|problem| problem.message.contains("too large")).count(), 1);
    assert!(stack.unwrap().resources.len() > 2_000);
}

#[test]
fn twelve_thousand_resources_take_no_time_to_speak_of() {
    let started = std::time::Instant::now();
    let (_, stack, problems) = read("t.yaml", &many(2_000, "{}"));
    assert!(problems.is_empty(), "{problems:?}");
    let stack = stack.unwrap();
    // Per function: itself, role, two permissions of routes, one of the bucket, one mapping; and what all share.
    assert_eq!(stack.resources.len(), 2 + 2_000 * 6 + 5);
    // A quadratic step would take minutes; a debug build on a busy machine takes a few seconds.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// Lines left out or replaced: whatever a template says, it is read.
#[test]
fn no_damage_to_a_template_is_too_much() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sam");
    let mut read_at_all = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            for instead in [None, Some("[]"), Some("{}"), Some("!Ref AWS::StackName"), Some("-1")] {
                let mut lines = lines.clone();
                let line = match (instead, lines[at].split_once(':')) {
                    (Some(value), Some((key, _))) => format!("{key}: {value}"),
                    _ => String::new(),
                };
                lines[at] = &line;
                read_at_all += usize::from(read("t.yaml", &lines.join("\n")).1.is_some());
            }
        }
    }
    assert!(read_at_all > 500, "{read_at_all}");
}
