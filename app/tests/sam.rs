//! What AWS SAM's resources become, and that AWS's own translator makes the same.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use flyball_app::{
    document::{Files, Piece, Reference, Span, Tree, Value},
    import::{Input, Options, Problem, Stack, Stacks, import, stacks},
};

fn input(name: &str, text: &str) -> Vec<Input> {
    vec![Input { name: name.to_string(), text: text.to_string() }]
}

/// A template's stack, with what is wrong with it.
fn read(name: &str, text: &str) -> (Files, Option<Stack>, Vec<Problem>) {
    let Stacks { files, stacks, problems, .. } = stacks(input(name, text), &Options::default(), &|_| None);
    (files, stacks.into_iter().next(), problems)
}

/// The templates beside this file.
fn templates() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sam");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    files
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
fn shown(tree: &Tree) -> String {
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
    let files = templates();
    assert!(!files.is_empty());
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (files, stack, problems) = read(&name, &fs::read_to_string(&path).unwrap());
        let stack = stack.unwrap_or_else(|| panic!("{name}: {problems:?}"));
        insta::with_settings!({
            omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "sam/lowered",
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
    let started = Instant::now();
    let (_, stack, problems) = read("t.yaml", &many(2_000, "{}"));
    assert!(problems.is_empty(), "{problems:?}");
    let stack = stack.unwrap();
    // Per function: itself, role, two permissions of routes, one of the bucket, one mapping. And what all
    // share.
    assert_eq!(stack.resources.len(), 2 + 2_000 * 6 + 5);
    // A quadratic step would take minutes; a debug build on a busy machine takes a few seconds.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// Lines left out or replaced: whatever a template says, it is read.
#[test]
fn no_damage_to_a_template_is_too_much() {
    let mut read_at_all = 0;
    for path in templates() {
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

/// How many of each type; our own marker of connectors is none of AWS's.
fn types(stack: &Stack) -> BTreeMap<&str, usize> {
    let mut types = BTreeMap::new();
    for resource in stack.resources.iter().filter(|of| of.resource_type != "Flyball::Connector") {
        *types.entry(resource.resource_type.as_str()).or_insert(0) += 1;
    }
    types
}

/// An id without the hash that AWS puts behind those of versions, deployments, layers and domains.
fn plain(id: &str) -> &str {
    let hash = |id: &str| id.len() == 10 && id.chars().all(|letter| matches!(letter, '0'..='9' | 'a'..='f'));
    match id.len().checked_sub(10).and_then(|at| id.split_at_checked(at)) {
        Some((before, behind)) if hash(behind) => before,
        _ => id,
    }
}

/// Nodes and edges as texts with all their settings, but for the ids of what makes an edge: some have a hash.
fn graph(name: &str, text: &str) -> BTreeSet<String> {
    let design = import(input(name, text), &Options::default(), &|_| None).design.to_string();
    let lines = design.lines().filter(|line| !line.is_empty() && !line.starts_with("not known"));
    lines.map(without_ids).collect()
}

/// Edges of access without what is known of them: that a connector declares them, AWS's output does not say.
fn without_evidence(graph: BTreeSet<String>) -> BTreeSet<String> {
    let plain = |line: String| match line.split_once(" --access") {
        Some((from, rest)) => {
            let to = rest.split_once("--> ").map_or(rest, |(_, to)| to);
            format!("{from} --access--> {}", to.split(' ').next().unwrap_or_default())
        }
        None => line,
    };
    graph.into_iter().map(plain).collect()
}

fn without_ids(line: &str) -> String {
    // A cluster that is not among the files is called after its mapping, or after what that was made for.
    let line = match (line.split_once(" ("), line.split_once(") --")) {
        (Some((before, _)), Some((_, behind))) => format!("{before} --{behind}"),
        (Some((before, _)), None) if line.starts_with("external") => before.to_string(),
        _ => line.to_string(),
    };
    let words: Vec<&str> = line.split(' ').map(plain).collect();
    let line = words.join(" ");
    let Some((head, settings)) = line.split_once(" [") else { return line };
    let settings = settings.trim_end_matches(']').split(", ").filter(|setting| !setting.starts_with("by "));
    // Keys of AWS's output are in the order of the alphabet.
    let sorted = |setting: &str| {
        let mut words: Vec<&str> = setting.split(' ').collect();
        words.sort_unstable();
        words.join(" ")
    };
    let settings: Vec<String> = settings.map(sorted).collect();
    if settings.is_empty() { head.to_string() } else { format!("{head} [{}]", settings.join(", ")) }
}

fn differences<T: Ord + std::fmt::Debug>(ours: &BTreeSet<T>, theirs: &BTreeSet<T>) -> String {
    let only =
        |a: &BTreeSet<T>, b: &BTreeSet<T>| a.difference(b).map(|it| format!("{it:?}")).collect::<Vec<_>>();
    format!("only ours {:?}, only AWS's {:?}", only(ours, theirs), only(theirs, ours))
}

/// AWS's translator as an oracle: its own inputs with the outputs that it makes of them.
///
/// `FLYBALL_SAM_TRANSLATOR=…/serverless-application-model/tests/translator cargo test -p flyball-app
/// translator -- --ignored --nocapture`. The repository is not among our files; without it the test says
/// that it did nothing.
///
/// For each input that the translator takes, the types of resources that we make are counted against those
/// of its output, and the graphs that are drawn of both are compared: nodes and edges with their settings.
/// What differs, and why:
///
/// - `function_with_function_url_config_with_intrinsics`: `AuthType` is a parameter whose default is `NONE`.
///   The translator does not look at it and makes no permissions; we do.
/// - `connector_dependson_replace`, `connector_esm_dependson`: roles that the template names and does not
///   have. A policy for them is made there and not here.
/// - `connector_hardcoded_props`, `connector_hardcoded_rolename`: what their connectors declare, AWS's
///   output does not say, and its grants go to roles that no function of the template has.
/// - `function_with_event_dest_conditional`: the translator writes a condition that is none (`Condition` in
///   `Condition`), for a queue of a function that does not exist.
/// - `function_with_deployment_preference_multiple_combinations_conditions_without_passthrough`: its groups
///   have no condition there, though their functions have one, which does not hold.
/// - Eleven with events of `DocumentDB` or `SelfManagedKafka`: for these the translator grants what a
///   network needs on everything. That nobody wrote; it is left out, so that no wide grant is found where
///   none can be mended.
/// - `s3_with_condition`: the translator puts a condition around a notification whose function has one. Here
///   the function itself has it.
#[test]
#[ignore = "needs a checkout of aws/serverless-application-model, named by FLYBALL_SAM_TRANSLATOR"]
fn translator() {
    let Ok(folder) = env::var("FLYBALL_SAM_TRANSLATOR") else {
        println!("NOTHING WAS COMPARED: FLYBALL_SAM_TRANSLATOR names no `tests/translator`");
        return;
    };
    let folder = Path::new(&folder);
    let mut inputs: Vec<_> =
        fs::read_dir(folder.join("input")).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    let (mut taken, mut same_types, mut same_graphs, mut refused) = (0, 0, 0, 0);
    for path in inputs {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // Whatever it is, nothing panics.
        let text = fs::read_to_string(&path).unwrap();
        let (_, ours, _) = read("template.yaml", &text);
        let output = fs::read_to_string(folder.join(format!("output/{name}.json"))).unwrap_or_default();
        if !output.contains("\"Resources\"") || output.contains("\"errorMessage\"") {
            refused += 1;
            continue;
        }
        taken += 1;
        let (_, theirs, _) = read("template.json", &output);
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            println!("{name}: could not be read");
            continue;
        };
        let (a, b) = (types(&ours), types(&theirs));
        if a == b {
            same_types += 1;
        } else {
            println!("{name}: types: {}", differences(&a.into_iter().collect(), &b.into_iter().collect()));
        }
        let (mut a, mut b) = (graph("template.yaml", &text), graph("template.json", &output));
        if a.iter().any(|line| line.contains(", declared-->")) {
            (a, b) = (without_evidence(a), without_evidence(b));
        }
        if a == b {
            same_graphs += 1;
        } else {
            println!("{name}: graphs: {}", differences(&a, &b));
        }
    }
    println!("{taken} inputs that AWS takes: types agree in {same_types}, graphs in {same_graphs}");
    println!("{refused} inputs that AWS refuses: read without a panic");
    assert!(same_types * 100 >= taken * 95 && same_graphs * 100 >= taken * 95);
}
