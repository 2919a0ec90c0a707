//! What `serverless.yml` files become: a snapshot of the graph for each folder in `serverless/`, and how wrong and
//! hostile files are met.
#![allow(clippy::unwrap_used, reason = "a test that can't read its files fails")]

use std::{fs, path::Path};

use flyball_app::import::{Imported, Input, Options, import};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serverless")
}

fn read(name: &str, options: &Options) -> Imported {
    let path = folder();
    let input = Input { name: name.into(), text: fs::read_to_string(path.join(name)).unwrap() };
    import(vec![input], options, &|name| fs::read_to_string(path.join(name)).ok())
}

fn shown(imported: &Imported) -> String {
    let files = &imported.design.files;
    let mut text = imported.design.to_string();
    for problem in &imported.problems {
        let place = files.place(problem.span);
        let (line, column) = (place.line, place.column);
        text.push_str(&format!("{} {}:{line}:{column} {}\n", problem.code, place.file, problem.message));
    }
    text
}

fn of_text(text: &str) -> Imported {
    let input = Input { name: "serverless.yml".into(), text: text.into() };
    import(vec![input], &Options::default(), &|_| None)
}

#[test]
fn graphs() {
    let cases = ["variables", "functions", "events", "plugins"].map(|name| format!("{name}/serverless.yml"));
    let others = ["resources/serverless.json", "compose/serverless-compose.yml"].map(String::from);
    insta::with_settings!({
        snapshot_path => "serverless",
        prepend_module_to_snapshot => false,
        omit_expression => true
    }, {
        for name in cases.iter().chain(&others) {
            let case = name.split('/').next().unwrap();
            insta::assert_snapshot!(case, shown(&read(name, &Options::default())));
        }
        let options = Options { stage: Some("prod".into()), region: Some("us-west-2".into()), ..Options::default() };
        insta::assert_snapshot!("variables_prod", shown(&read("variables/serverless.yml", &options)));
    });
}

#[test]
fn sections_of_another_type_than_they_should_have_end_no_reading() {
    let odd = [
        "5",
        "text",
        "[]",
        "[[]]",
        "{}",
        "null",
        "true",
        "[null, 5, {a: }]",
        "${self:}",
        "{a: ${self:functions}}",
    ];
    let places = [
        "service: @",
        "provider: @",
        "custom: @",
        "functions: @",
        "functions: {f: @}",
        "functions: {f: {handler: h, events: @}}",
        "functions: {f: {handler: h, events: [@]}}",
        "functions: {f: {handler: h, events: [{sqs: @}, {http: @}, {s3: @}, {sns: @}, {stream: @}, {schedule: @}]}}",
        "functions: {f: {handler: h, events: [{eventBridge: @}, {alb: @}, {iot: @}, {httpApi: @}, {websocket: @}]}}",
        "functions: {f: {handler: h, vpc: @, environment: @, destinations: @, onError: @, url: @, role: @}}",
        "resources: @",
        "resources: {Resources: @, Outputs: @, extensions: @, Conditions: @}",
        "plugins: @",
        "constructs: {q: {type: queue, worker: @}, w: {type: webhook, path: @}, d: @}",
        "stepFunctions: {stateMachines: {m: {definition: @, events: @}, n: @}}",
        "appSync: @",
        "provider: {name: aws, iam: @, httpApi: @, apiGateway: @, logs: @, stage: @, region: @, s3: @}",
        "params: @",
    ];
    for place in places {
        for value in odd {
            let text = format!("{}\nservice: s\nprovider: {{name: aws}}\n", place.replace('@', value));
            let other =
                format!("{}\nfunctions: {{g: {{handler: h}}}}\nprovider: {{}}\n", place.replace('@', value));
            for text in [text, other] {
                let imported = of_text(&text);
                assert!(imported.read <= 1, "{text}");
            }
        }
    }
}

/// A service with a section of variables and one function whose timeout asks for the first.
fn with_custom(custom: &str) -> String {
    let function = "functions: {f: {handler: h, timeout: '${self:custom.a0}'}}";
    format!("service: s\nprovider: {{name: aws, runtime: nodejs22.x}}\n{function}\ncustom:\n{custom}")
}

#[test]
fn variables_that_multiply_or_go_round_become_unknown() {
    let doubling: String =
        (0..60).map(|n| format!("  a{n}: '${{self:custom.a{0}}}${{self:custom.a{0}}}'\n", n + 1)).collect();
    let lists: String = (0..60)
        .map(|n| format!("  a{n}: ['${{self:custom.a{0}}}', '${{self:custom.a{0}}}']\n", n + 1))
        .collect();
    let round: String = (0..50)
        .map(|n| {
            format!("  a{n}: '${{self:custom.a{0}}}${{self:custom.a{1}}}'\n", (n + 1) % 50, (n + 7) % 50)
        })
        .collect();
    let nested = format!("  a0: '{}x{}'\n", "${self:custom.".repeat(5_000), "}".repeat(5_000));
    let itself = "  a0: ${self:}\n".to_string();
    let chain: String = (0..5_000).map(|n| format!("  a{n}: '${{self:custom.a{}}}'\n", n + 1)).collect();
    for custom in [
        format!("{doubling}  a60: xxxxxxxxxxxxxxxx\n"),
        format!("{lists}  a60: xxxxxxxxxxxxxxxx\n"),
        round,
        nested,
        itself,
        format!("{chain}  a5000: 5\n"),
    ] {
        let imported = of_text(&with_custom(&custom));
        let shown = imported.design.to_string();
        assert!(shown.contains("timeout s ?"), "{}", &shown[..shown.len().min(300)]);
    }
}

#[test]
fn what_a_plugin_writes_for_region_and_account_is_read() {
    let topic = "resources: {Resources: {Told: {Type: AWS::SNS::Topic, Properties: {TopicName: told}}}}";
    let event = "{sns: 'arn:aws:sns:#{AWS::Region}:#{AWS::AccountId}:told'}";
    let text = format!(
        "service: s\nprovider: {{name: aws}}\nplugins: [serverless-pseudo-parameters]\n\
         functions: {{hear: {{handler: h, events: [{event}]}}}}\n{topic}"
    );
    let shown = of_text(&text).design.to_string();
    assert!(shown.contains("Told --subscription, async, wired--> HearLambdaFunction"), "{shown}");
    let elsewhere = of_text(&text.replace("TopicName: told", "TopicName: other")).design.to_string();
    assert!(!elsewhere.contains('}'), "a topic of elsewhere has its name: {elsewhere}");
}

#[test]
fn four_times_the_functions_take_about_four_times_as_long() {
    let service = |functions: usize| {
        let functions: String = (0..functions)
            .map(|n| {
                let events = format!(
                    "[{{http: 'GET a/b{n}'}}, {{sqs: {{arn: !GetAtt Q{n}.Arn}}}}, {{schedule: rate(1 hour)}}]"
                );
                format!("  f{n}: {{handler: h, timeout: '${{self:custom.t}}', events: {events}}}\n")
            })
            .collect();
        format!("service: s\nprovider: {{name: aws}}\ncustom: {{t: 5}}\nfunctions:\n{functions}")
    };
    let timed = |functions: usize| {
        let text = service(functions);
        let begin = std::time::Instant::now();
        assert_eq!(of_text(&text).design.functions().count(), functions);
        begin.elapsed()
    };
    // Other work on the machine is not what is measured: one round of some that is not disturbed is enough.
    let rounds: Vec<_> = (0..5).map(|_| (timed(500), timed(2_000))).collect();
    // Four to five times on a quiet machine; sixteen times would be quadratic.
    assert!(rounds.iter().any(|(few, many)| *many < *few * 11), "500 and 2,000: {rounds:?}");
}
