//! What a traffic file states reaches the answer, or is said to be in vain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod said_by;

use std::{fmt::Write as _, fs, path::PathBuf, sync::Arc};

use flyball_app::{
    import::{Input, Options, import},
    profile::Profile,
    workload,
};
use flyball_sim::{
    Question, faults,
    plan::{Plan, Problem},
    report::{Report, compare, junit, page},
    result::{RunResult, Simulation},
};
use said_by::Patient;

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn plan(name: &str, text: &str, traffic: &str) -> Result<Plan, Vec<Problem>> {
    let workload = workload::read("traffic.toml", traffic).unwrap_or_else(|wrong| panic!("{wrong}")).workload;
    if name.ends_with(".toml") {
        let application = flyball_app::read(name, text).unwrap_or_else(|wrong| panic!("{wrong}")).application;
        return Plan::flyball(&Arc::new(application), &workload);
    }
    let inputs = vec![Input { name: name.into(), text: text.into() }];
    let design = import(inputs, &Options::default(), &|_| None).design;
    Plan::aws("test", &design, &Profile::built_in("aws").unwrap(), &workload)
}

fn good(text: &str, traffic: &str) -> Plan {
    plan("template.yaml", text, traffic).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn run(plan: &Plan) -> RunResult {
    flyball_sim::run(plan, 1, 1.0, &mut |_| false).unwrap()
}

/// Assumptions that one key states, with their values.
fn assumed(plan: &Plan, key: &str) -> Vec<String> {
    let of = plan.assumptions.iter().filter(|one| one.key.as_deref() == Some(key));
    of.map(|one| format!("{}: {}", one.what, one.value)).collect()
}

/// A table that a function writes to, and another that is told of what changes there.
const RECORDS: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  \
    Records:\n    Type: AWS::Kinesis::Stream\n    Properties: {ShardCount: 1}\n  \
    Table:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      \
    AttributeDefinitions: [{AttributeName: PK, AttributeType: S}]\n      \
    KeySchema: [{AttributeName: PK, KeyType: HASH}]\n      BillingMode: PAY_PER_REQUEST\n      \
    StreamSpecification: {StreamViewType: NEW_IMAGE}\n  \
    Process:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      \
    Runtime: python3.13\n      \
    InlineCode: pass\n      Timeout: 30\n      \
    Policies:\n        - DynamoDBWritePolicy: {TableName: !Ref Table}\n      \
    Environment: {Variables: {TABLE: !Ref Table}}\n      \
    Events:\n        In:\n          Type: Kinesis\n          \
    Properties: {Stream: !GetAtt Records.Arn, BatchSize: 20, StartingPosition: LATEST}\n  \
    Listen:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      \
    Runtime: python3.13\n      \
    InlineCode: pass\n      Timeout: 30\n      POLICY\n      \
    Events:\n        Changes:\n          Type: DynamoDB\n          \
    Properties: {Stream: !GetAtt Table.StreamArn, BatchSize: 20, StartingPosition: LATEST}\n";

const RECORDED: &str = "duration = \"2m\"\n[traffic.records]\nto = \"Records\"\npeak_per_s = 50\n\
    [function.Process]\nduration = \"20ms\"\n[function.Listen]\nduration = \"20ms\"\n\
    [dependency.Table]\nservice = \"6ms\"\n";

#[test]
fn the_least_traffic_file_asks_its_database_with_its_step_and_without() {
    let least = file("docs/traffic-file.md");
    let least = least.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let step = least.lines().find(|line| line.starts_with("steps = ")).unwrap();
    assert!(
        plan_of_incident(least).unwrap().assumptions.iter().all(|one| !one.what.starts_with("calls of D"))
    );
    // The first minutes of a day have next to nothing. And without the step the design shows it.
    let least = &least.replace("peak_to_mean = 2.5\n", "").replace(step, "");
    let plan = good(
        &file("examples/incidents/2-connection-storm/template.yaml"),
        &format!("duration = \"5m\"\n{least}"),
    );
    assert_eq!(assumed(&plan, "function.Tiles.steps"), ["calls of Database by Tiles: 1 in each run"]);
    let run = run(&plan);
    let (database, tiles) = (&run.dependencies[0], &run.functions[0]);
    assert!(
        database.calls > 1_000 && tiles.runs - database.calls < 20,
        "{} calls, {} runs",
        database.calls,
        tiles.runs
    );
    assert_eq!(database.callers, ["Tiles"]);
    // Who states the steps, states them all.
    let none = least.replace("[function.Tiles]", "[function.Tiles]\nsteps = []");
    let problems = plan_of_incident(&none).unwrap_err();
    assert!(problems[0].what.contains("[dependency.Database]"), "{problems:?}");
    assert!(problems[0].help.contains("to the steps of Tiles"), "{problems:?}");
}

fn plan_of_incident(traffic: &str) -> Result<Plan, Vec<Problem>> {
    plan("template.yaml", &file("examples/incidents/2-connection-storm/template.yaml"), traffic)
}

#[test]
fn a_stated_table_is_asked_and_its_stream_has_its_share() {
    let plan = good(&RECORDS.replace("POLICY", "Tags: {a: b}"), RECORDED);
    let run = run(&plan);
    let of = |name: &str| run.functions.iter().find(|function| function.name == name).unwrap();
    let (process, listen) = (of("Process"), of("Listen"));
    assert!(
        process.runs - run.dependencies[0].calls < 3,
        "{} of {}",
        run.dependencies[0].calls,
        process.runs
    );
    assert!(process.runs > 100 && listen.runs > 100, "{} {}", process.runs, listen.runs);
    // Each record is a change, but for the last few.
    assert!(listen.events * 100 > process.events * 95, "{} of {}", listen.events, process.events);
    let said = assumed(&plan, "function.Process.steps");
    assert_eq!(
        said,
        [
            "calls of Table by Process: 1 in each run",
            "changes that Process makes in Table: 1 for each that comes"
        ]
    );
}

#[test]
fn who_is_told_of_a_tables_changes_makes_none_that_come_back() {
    let policy = "Policies:\n        - DynamoDBCrudPolicy: {TableName: !Ref Table}\n      \
                  Environment: {Variables: {TABLE: !Ref Table}}";
    let both = RECORDS.replace("DynamoDBWritePolicy", "DynamoDBCrudPolicy").replace("POLICY", policy);
    let plan = good(&both, RECORDED);
    let said = assumed(&plan, "function.Listen.steps");
    let none = "changes that Listen makes in Table: none that anybody is told of";
    assert_eq!(said, ["calls of Table by Listen: 1 in each run", none]);
    let run = run(&plan);
    let runs = |name: &str| run.functions.iter().find(|function| function.name == name).unwrap().runs;
    assert!(runs("Listen") <= runs("Process") * 2, "{} {}", runs("Listen"), runs("Process"));
}

const WEB: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  \
    Table:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      \
    AttributeDefinitions: [{AttributeName: PK, AttributeType: S}]\n      \
    KeySchema: [{AttributeName: PK, KeyType: HASH}]\n      BillingMode: PAY_PER_REQUEST\n  \
    Dead:\n    Type: AWS::SQS::Queue\n  \
    Jobs:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 180\n      \
    RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}\n  \
    Web:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: python3.13\n      \
    InlineCode: pass\n      Timeout: 10\n      Events:\n        Get:\n          Type: HttpApi\n          \
    Properties: {Path: /x, Method: GET}\n  \
    Work:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: python3.13\n      \
    InlineCode: pass\n      Timeout: 30\n      Events:\n        Jobs:\n          Type: SQS\n          \
    Properties: {Queue: !GetAtt Jobs.Arn, BatchSize: 1}\n";

const SERVED: &str = "duration = \"1m\"\n[traffic.api]\nto = \"GET /x\"\npeak_per_s = 2\n[traffic.Jobs]\n\
    peak_per_s = 2\n\
    [function.Web]\nsteps = [{ call = \"db\" }]\n[function.Work]\nduration = \"10ms\"\n[dependency.db]\n\
    service = \"6ms\"\n";

const SHOP: &str = "[application]\nname = \"shop\"\n[function.order]\ncomponent = \"a.wasm\"\n\
    [function.order.grants]\nemit = [\"paid\"]\nkv = { sums = \"read-write\" }\n\
    [function.ship]\ncomponent = \"b.wasm\"\n[[route]]\npath = \"/orders\"\nmethods = [\"POST\"]\n\
    function = \"order\"\n\
    [queue.paid]\nfunction = \"ship\"\n[topic.news]\nsubscribers = [{ function = \"ship\" }]\n";

const SHOPPING: &str = "duration = \"1m\"\n[traffic.orders]\nto = \"POST /orders\"\npeak_per_s = 5\n\
    [function.ship]\nsteps = [{ call = \"post\" }]\n[dependency.post]\nservice = \"5ms\"\n";

#[test]
fn what_is_stated_in_vain_is_an_error_with_its_place_and_what_is_meant() {
    let expect =
        |of: &str, measure: &str| format!("[[expect]]\nof = \"{of}\"\nmeasure = \"{measure}\"\nmax = 1\n");
    let assert =
        |of: &str, holds: &str| format!("[[assert]]\nwhat = \"x\"\nof = \"{of}\"\nholds = {holds}\n");
    let aws = [
        expect("apii", "errors_percent"),
        expect("GET /x", "errors_percent"),
        expect("Wep", "dwell_p99_ms"),
        expect("Web", "latency_p99_ms"),
        expect("db", "latency_p50_ms"),
        expect("Jobs", "latency_p95_ms"),
        expect("api", "throttled_percent"),
        expect("Jobs", "throttled_percent"),
        expect("api", "runs_per_event"),
        expect("Dead", "dead_letters"),
        expect("Table", "backlog_events"),
        expect("api", "cost_usd_per_month"),
        assert("nobody", "\"at-most-once\""),
        "[dependency.Tabel]\nservice = \"1ms\"\n".into(),
        "[dependency.other]\nservice = \"1ms\"\n".into(),
    ];
    let own = [
        expect("order", "backlog_growth_percent") + &expect("payd", "backlog_growth_percent"),
        assert("sums", "{ value_max = 1 }") + &assert("summs", "{ value_max = 1 }"),
        assert("ordr", "\"settled\""),
        "[dependency.Unused]\nservice = \"1ms\"\n".into(),
    ];
    let mut told = String::new();
    let of = |(name, text, traffic): (&str, &str, &str), wrong: &String| {
        plan(name, text, &format!("{traffic}{wrong}")).map(|_| ()).unwrap_err()
    };
    let aws = aws.iter().map(|wrong| (wrong, of(("template.yaml", WEB, SERVED), wrong)));
    let own = own.iter().map(|wrong| (wrong, of(("flyball.toml", SHOP, SHOPPING), wrong)));
    for (wrong, problems) in aws.chain(own) {
        let _ = writeln!(told, "--- {}", wrong.replace('\n', "; "));
        for problem in problems {
            let _ = writeln!(told, "{}\n  {}", problem.what, problem.help);
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn each_measure_can_be_of_what_it_measures() {
    let expect =
        |of: &str, measure: &str| format!("[[expect]]\nof = \"{of}\"\nmeasure = \"{measure}\"\nmax = 1\n");
    let all = [
        ("api", "latency_p99_ms"),
        ("api", "errors_percent"),
        ("Jobs", "errors_percent"),
        ("Web", "dwell_p99_ms"),
        ("Web", "throttled_percent"),
        ("Jobs", "dropped_events"),
        ("Jobs", "dead_letters"),
        ("Jobs", "backlog_events"),
        ("Jobs", "backlog_growth_percent"),
        ("Web", "runs_per_event"),
        ("db", "runs_per_event"),
    ];
    let expects: String = all.iter().map(|(of, measure)| expect(of, measure)).collect();
    good(WEB, &format!("{SERVED}{expects}"));
    // A function's own queue is the function's.
    let slow = SHOPPING.replace("POST /orders", "news").replace("\"5ms\"", "\"60s\"\nservers = 1");
    let shop = plan("flyball.toml", SHOP, &format!("{slow}{}", expect("ship", "backlog_events"))).unwrap();
    let run = run(&shop);
    let broken = run.broken().find(|promise| promise.measure == "backlog_events").unwrap();
    assert!(broken.value > 100.0 && broken.broken.as_ref().unwrap().hits.len() == 1, "{broken:?}");
}

impl faults::Watch for Patient {
    fn seed(&mut self, _ran: u64, _failed: u64) -> bool {
        false
    }
}

fn simulated(plan: &Plan) -> Simulation {
    let question = Question { seed: 1, load: 1.0, line: None };
    flyball_sim::simulate(plan, &question, &mut Patient).unwrap()
}

fn codewatch(change: (&str, &str)) -> Plan {
    let traffic =
        file("examples/codewatch/traffic.toml").replace("\"20m\"", "\"2m\"").replace(change.0, change.1);
    plan("flyball.toml", &file("examples/codewatch/flyball.toml"), &traffic).unwrap()
}

#[test]
fn defaults_that_bear_on_the_answer_are_assumptions() {
    let simulation = simulated(&codewatch(("", "")));
    let said: Vec<String> = simulation
        .assumptions
        .iter()
        .map(|one| format!("{}: {} [{}]", one.what, one.value, one.key))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    let stated = codewatch(("servers = 8", "servers = 8\ncancels = true\ncontention = 0.1\n"));
    assert!(!stated.assumptions.iter().any(|one| one.what.contains("Receiver")), "{:?}", stated.assumptions);
}

#[test]
fn a_comparison_tells_first_what_was_stated_otherwise() {
    let base = simulated(&codewatch(("", "")));
    let fewer = simulated(&codewatch(("servers = 8", "servers = 1")));
    let slower = simulated(&codewatch(("p50 = \"1ms\", p99 = \"6ms\"", "p50 = \"2ms\", p99 = \"30ms\"")));
    let told = |other: &Simulation| {
        let found = compare("base", &base, other);
        format!("{}\n{}", found.headline, found.changes.join("\n"))
    };
    insta::assert_snapshot!(format!("{}\n\n{}", told(&fewer), told(&slower)));
}

#[test]
fn runs_under_faults_have_the_applications_name() {
    let shop = plan("flyball.toml", SHOP, SHOPPING).unwrap();
    let seeds = faults::Seeds { first: 1, count: 1, regressions: Vec::new() };
    let simulation = faults::document(&shop, faults::run(&shop, None, &seeds, &mut Patient).unwrap());
    let report = Report { simulation: &simulation, design: None, against: None };
    assert!(junit(&report).contains("<testsuites name=\"flyball simulate shop\""), "{}", junit(&report));
    assert!(!page(&report).contains("The application"));
}
