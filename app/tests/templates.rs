//! What templates are read as: folders of small files, and their plain resources as text.
//!
//! A file stands for itself; a folder's files are one run. `# options: region=eu-west-1 stage=prod A=1` in the first
//! line gives options. What is not an input in a folder is there for files that name it: it lies in `local`.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use flyball_app::{
    check::{Look, check, ours},
    document::{Piece, Reference, Tree, Value},
    import::{Input, Options, Resource, Stacks, stacks},
    profile::{Given, Profile},
};

fn input(path: &Path) -> Input {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Input { name, text: fs::read_to_string(path).unwrap() }
}

fn inputs(folder: &Path) -> Vec<Input> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| input(path)).collect()
}

fn options(text: &str) -> Options {
    let mut options = Options::default();
    let line = text.lines().next().unwrap_or("").strip_prefix("# options:").unwrap_or("");
    for (name, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
        match name {
            "region" => options.region = Some(value.to_string()),
            "stage" => options.stage = Some(value.to_string()),
            _ => drop(options.parameters.insert(name.to_string(), value.to_string())),
        }
    }
    options
}

fn reference(reference: &Reference) -> String {
    let stack = reference.stack.as_ref().map(|stack| format!("{stack}/")).unwrap_or_default();
    let attribute = reference.attribute.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
    format!("<{stack}{}{attribute}>", reference.resource)
}

fn show(tree: &Tree) -> String {
    let all = |trees: &[Tree]| trees.iter().map(show).collect::<Vec<_>>().join(", ");
    match &tree.value {
        Value::Null => "null".into(),
        Value::Bool(is) => is.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", all(items)),
        Value::Map(entries) => {
            let inside = entries.iter().map(|entry| format!("{}: {}", entry.key, show(&entry.value)));
            format!("{{{}}}", inside.collect::<Vec<_>>().join(", "))
        }
        Value::Pieces(pieces) => {
            let pieces = pieces.iter().map(|piece| match piece {
                Piece::Literal(text) => format!("{text:?}"),
                Piece::Reference(of) => reference(of),
                Piece::Unknown(unknown) => format!("?({})", unknown.why),
            });
            pieces.collect::<Vec<_>>().join(" + ")
        }
        Value::Reference(of) => reference(of),
        Value::Unknown(unknown) if unknown.one_of.is_empty() => format!("?({})", unknown.why),
        Value::Unknown(unknown) => format!("?({}; one of {})", unknown.why, all(&unknown.one_of)),
    }
}

fn show_resource(out: &mut String, resource: &Resource) {
    let when = resource.conditional.as_ref().map(|name| format!(" if {name}")).unwrap_or_default();
    let _ = writeln!(out, "  {} {}{when}", resource.id, resource.resource_type);
    for (code, reason) in &resource.allowed {
        let _ = writeln!(out, "    allowed {code}: {reason}");
    }
    for entry in resource.properties.entries() {
        let _ = writeln!(out, "    {} = {}", entry.key, show(&entry.value));
    }
    if resource.properties.entries().is_empty() && !matches!(resource.properties.value, Value::Map(_)) {
        let _ = writeln!(out, "    {}", show(&resource.properties));
    }
}

fn show_all(read: &Stacks) -> String {
    let mut out = format!("{} read\n", read.read);
    for stack in &read.stacks {
        let _ = writeln!(out, "{}", stack.name);
        stack.resources.iter().for_each(|resource| show_resource(&mut out, resource));
        for (name, value) in &stack.exports {
            let _ = writeln!(out, "  export {name:?} = {}", show(value));
        }
        for (name, value) in &stack.outputs {
            let _ = writeln!(out, "  output {name} = {}", show(value));
        }
    }
    for problem in &read.problems {
        let place = read.files.place(problem.span);
        let at = format!("{}:{}:{}", place.file, place.line, place.column);
        let _ = writeln!(out, "{} {at}: {}; {}", problem.code, problem.message, problem.help);
    }
    out
}

#[test]
fn templates_are_resolved_to_plain_resources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let inputs = if path.is_dir() { inputs(&path) } else { vec![input(&path)] };
        let options = inputs
            .iter()
            .map(|input| options(&input.text))
            .find(|o| o.region.is_some() || o.stage.is_some() || !o.parameters.is_empty());
        let local = |name: &str| fs::read_to_string(path.join("local").join(name)).ok();
        let read = stacks(inputs, &options.unwrap_or_default(), &local);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("template_{name}"), show_all(&read));
        });
    }
}

/// Reads texts as files of one run, without local files.
fn read(files: &[(&str, String)]) -> Stacks {
    let inputs = files.iter().map(|(name, text)| Input { name: (*name).to_string(), text: text.clone() });
    stacks(inputs.collect(), &Options::default(), &|_| None)
}

fn codes(read: &Stacks) -> BTreeMap<&'static str, usize> {
    let mut codes = BTreeMap::new();
    read.problems.iter().for_each(|problem| *codes.entry(problem.code).or_default() += 1);
    codes
}

#[test]
fn functions_that_double_what_they_are_given_end() {
    // Each level writes the one inside twice.
    let mut value = "'0123456789012345678901234567890123456789'".to_string();
    for _ in 0..40 {
        value = format!("{{'Fn::Sub': ['${{a}}${{a}}', {{a: {value}}}]}}");
    }
    let text =
        format!("Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: {value}\n");
    let read = read(&[("t.yaml", text)]);
    assert_eq!(codes(&read), BTreeMap::from([("FE3111", 1)]));
    assert!(show_all(&read).contains("QueueName = ?(the text is too long)"));
}

#[test]
fn one_large_parameter_that_many_name_ends() {
    let mut text =
        format!("Parameters:\n  P:\n    Type: String\n    Default: {}\nResources:\n", "x".repeat(1 << 20));
    for at in 0..10_000 {
        let _ = writeln!(text, "  Q{at}: {{Type: 'AWS::SQS::Queue', Properties: {{QueueName: !Ref P}}}}");
    }
    let read = read(&[("t.yaml", text)]);
    assert_eq!(codes(&read), BTreeMap::from([("FE3111", 1)]));
    assert_eq!(read.stacks[0].resources.len(), 10_000);
}

#[test]
fn a_long_chain_of_conditions_ends_and_is_decided_in_order() {
    let chain = |forward: bool| {
        let mut text = "Conditions:\n".to_string();
        for at in 0..10_000_usize {
            let other = if forward { at + 1 } else { at.wrapping_sub(1) };
            let _ = match at {
                0 if !forward => writeln!(text, "  C0: !Equals [a, a]"),
                9_999 if forward => writeln!(text, "  C9999: !Equals [a, a]"),
                _ => writeln!(text, "  C{at}: !Not [!Condition C{other}]"),
            };
        }
        text + "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Condition: C9999\n"
    };
    let backward = read(&[("t.yaml", chain(false))]);
    assert!(backward.problems.is_empty());
    assert!(backward.stacks[0].resources.is_empty(), "9,999 times not");
    let forward = read(&[("t.yaml", chain(true))]);
    assert_eq!(forward.stacks[0].resources.len(), 1);
    assert!(forward.problems.iter().all(|problem| problem.code == "FE3107"));
}

#[test]
fn loops_in_loops_end() {
    let items = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let mut body = "'Q${a}': {Type: 'AWS::SQS::Queue'}".to_string();
    for variable in ["a", "b", "c", "d", "e"] {
        body = format!("'Fn::ForEach::{variable}': [{variable}, [{items}], {{{body}}}]");
    }
    let read = read(&[("t.yaml", format!("Transform: AWS::LanguageExtensions\nResources: {{{body}}}\n"))]);
    assert!(codes(&read).contains_key("FE3111"), "{:?}", codes(&read));
}

#[test]
fn control_characters_of_a_template_are_in_no_problem() {
    let name = format!("Bad\u{1b}[31m{}", "x".repeat(600));
    let text = format!(
        "Resources:\n  \"{}\": {{Type: 'AWS::SQS::Queue', Properties: [1]}}\n",
        name.replace('\u{1b}', "\\e")
    );
    let imported = flyball_app::import::import(
        vec![Input { name: "a.yaml".into(), text }],
        &Options::default(),
        &|_| None,
    );
    assert!(!imported.problems.is_empty());
    for problem in &imported.problems {
        assert!(!problem.message.contains(char::is_control));
    }
}

#[test]
fn stacks_that_nest_one_another_end() {
    let text = "Resources:\n".to_string()
        + &(0..10)
            .map(|n| {
                let next = (n + 1) % 10;
                format!(
                    "  S{n}: {{Type: 'AWS::CloudFormation::Stack', Properties: {{TemplateURL: a.yaml, \
                     Parameters: {{P: !GetAtt S{next}.Outputs.O}}}}}}\n"
                )
            })
            .collect::<String>()
        + "Outputs:\n  O: {Value: !GetAtt S0.Outputs.O}\n";
    let read = read(&[("a.yaml", text)]);
    assert!(codes(&read).contains_key("FE3111"));
    assert!(read.stacks.len() <= 201);
}

#[test]
fn exports_that_import_one_another_end() {
    let text = |own: &str, other: &str| {
        format!(
            "Resources:\n  Q: {{Type: 'AWS::SQS::Queue', Properties: {{QueueName: !ImportValue {own}}}}}\n\
             Outputs:\n  O: {{Value: !Sub ['${{x}}-${{x}}', {{x: !ImportValue {other}}}], Export: {{Name: {own}}}}}\n"
        )
    };
    let read = read(&[("a.yaml", text("a", "b")), ("b.yaml", text("b", "a"))]);
    assert!(show_all(&read).contains("without end"), "{}", show_all(&read).len());
}

/// Reads every file of a folder that the environment names, each for itself, and prints what is read of it.
#[test]
#[ignore = "for folders of others' templates: FLYBALL_TEMPLATES=folder"]
fn others_templates_are_read() {
    let folder = std::env::var("FLYBALL_TEMPLATES").unwrap_or_default();
    for input in inputs(Path::new(&folder)) {
        let read = stacks(vec![input], &Options::default(), &|_| None);
        println!("{}", show_all(&read));
    }
}

/// A template of many resources that name one another.
fn large(resources: usize) -> String {
    let mut text = "Parameters:\n  Stage: {Type: String, Default: dev}\n  Open: {Type: String}\n\
                    Conditions:\n  IsOpen: !Equals [!Ref Open, '']\nResources:\n"
        .to_string();
    for at in 0..resources / 5 {
        let _ = write!(
            text,
            "  Queue{at}:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: !Sub '${{Stage}}-q{at}'\n      \
             VisibilityTimeout: 180\n      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt Dead{at}.Arn\n        \
             maxReceiveCount: 5\n  Dead{at}:\n    Type: AWS::SQS::Queue\n    Properties: \
             {{MessageRetentionPeriod: !If [IsOpen, 100, 200]}}\n  Role{at}:\n    Type: AWS::IAM::Role\n    \
             Properties:\n      Policies:\n        - PolicyName: p\n          PolicyDocument:\n            \
             Statement:\n              - {{Effect: Allow, Action: 'sqs:SendMessage', Resource: !GetAtt \
             Queue{at}.Arn}}\n  Function{at}:\n    Type: AWS::Lambda::Function\n    \
             Properties:\n      Timeout: 30\n      Role: !GetAtt Role{at}.Arn\n      Environment: \
             {{Variables: {{QUEUE: !Ref Queue{at}, ARN: !Join [':', [arn, !Ref 'AWS::Partition', sqs, x]]}}}}\n  \
             Mapping{at}:\n    Type: AWS::Lambda::EventSourceMapping\n    Properties: \
             {{EventSourceArn: !GetAtt Queue{at}.Arn, FunctionName: !Ref Function{at}, BatchSize: 10}}\n"
        );
    }
    text
}

#[test]
#[ignore = "measures: run it with --release --nocapture"]
fn how_long_large_templates_take() {
    for resources in [500, 5_000, 10_000, 20_000] {
        let text = large(resources);
        let bytes = text.len();
        let inputs = || vec![Input { name: "t.yaml".to_string(), text: text.clone() }];
        let start = std::time::Instant::now();
        let read = stacks(inputs(), &Options::default(), &|_| None);
        let first = start.elapsed();
        assert_eq!(read.stacks[0].resources.len(), resources);
        let start = std::time::Instant::now();
        let imported = flyball_app::import::import(inputs(), &Options::default(), &|_| None);
        let (all, nodes) = (start.elapsed(), imported.design.nodes().count());
        let (profile, given) = (Profile::built_in("aws").unwrap(), Given::default());
        let look = Look { design: &imported.design, profile: &profile, given: &given };
        let start = std::time::Instant::now();
        let findings = check(&look, &ours()).len();
        let rules = start.elapsed();
        println!(
            "{resources} resources, {bytes} bytes: stacks {first:?}, with the graph ({nodes} nodes) {all:?}, rules \
             ({findings} findings) {rules:?}"
        );
    }
    let big = format!("a: {}\n", "x".repeat(50 << 20));
    let lines = "# a comment of some length\nkey: value\n".repeat(1 << 20);
    let bomb = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_string(), |mut text, at| {
        let _ = writeln!(text, "a{at}: &a{at} [{}]", vec![format!("*a{}", at - 1); 9].join(", "));
        text
    });
    let json = format!("{{\"Resources\": {{\"a\": \"{}\"}}}}", "x".repeat(50 << 20));
    let zeros = format!("[{}0]", "0,".repeat(25 << 20));
    let unclosed = "a:\n  b: [\n ]\n".repeat(100_000);
    for (name, text) in [
        ("a.yaml", big),
        ("b.yaml", lines),
        ("c.yaml", bomb),
        ("d.json", json),
        ("e.json", zeros),
        ("f.yaml", unclosed),
    ] {
        let bytes = text.len();
        let start = std::time::Instant::now();
        let read = read(&[(name, text)]);
        println!(
            "{name}, {bytes} bytes: {:?} {:?}",
            start.elapsed(),
            read.problems.first().map(|p| &p.message)
        );
    }
}
