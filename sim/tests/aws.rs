//! AWS's services end to end: from a template through the plan into the world.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use flyball_app::{
    import::{Input, Options, import},
    profile::Profile,
    workload,
};
use flyball_sim::{
    plan::Plan,
    result::{FunctionResult, NodeResult, RunResult},
};

fn run(template: &str, traffic: &str) -> RunResult {
    run_with(template, traffic, &Profile::built_in("aws").unwrap())
}

fn run_with(template: &str, traffic: &str, profile: &Profile) -> RunResult {
    let inputs = vec![Input { name: "template.yaml".into(), text: template.into() }];
    let imported = import(inputs, &Options::default(), &|_| None);
    let workload = workload::read("traffic.toml", traffic).unwrap_or_else(|wrong| panic!("{wrong}")).workload;
    let plan = Plan::aws("test", &imported.design, profile, &workload).unwrap_or_else(|p| panic!("{p:?}"));
    flyball_sim::run(&plan, 1, 1.0, &mut |_| false).unwrap()
}

fn node<'a>(result: &'a RunResult, name: &str) -> &'a NodeResult {
    result.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
}

fn function<'a>(result: &'a RunResult, name: &str) -> &'a FunctionResult {
    result.functions.iter().find(|function| function.name == name).unwrap()
}

const FUNCTION: &str = "
    Type: AWS::Serverless::Function
    Properties:
      Handler: main.handler
      Runtime: python3.13
      InlineCode: pass
      Timeout: 30
";

/// A template with a function for each of these: its name, and the rest of its properties.
fn template(functions: &[(&str, &str)], others: &str) -> String {
    let mut text = String::from("Transform: AWS::Serverless-2016-10-31\nResources:\n");
    text.push_str(others);
    for (name, properties) in functions {
        text.push_str(&format!("  {name}:{FUNCTION}{properties}"));
    }
    text
}

#[test]
fn a_topic_hands_a_copy_to_a_function_and_to_a_queue() {
    let others = "  Orders:
    Type: AWS::SNS::Topic
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
  ToJobs:
    Type: AWS::SNS::Subscription
    Properties:
      Protocol: sqs
      TopicArn: !Ref Orders
      Endpoint: !GetAtt Jobs.Arn
";
    let bill = "      Events:
        Orders:
          Type: SNS
          Properties:
            Topic: !Ref Orders
";
    let work = "      Events:
        Jobs:
          Type: SQS
          Properties:
            Queue: !GetAtt Jobs.Arn
            BatchSize: 1
";
    let text = template(&[("Bill", bill), ("Work", work)], others);
    let traffic = "duration = \"10m\"\n[traffic.Orders]\npeak_per_s = 10\nevents_max = 3_000\n\
        [function.Bill]\nduration = \"50ms\"\n[function.Work]\nduration = \"80ms\"\n";
    let result = run(&text, traffic);
    assert_eq!((node(&result, "Orders").entered, node(&result, "Orders").left), (3_000, 3_000));
    assert_eq!(node(&result, "Orders").kind, "topic");
    assert_eq!(node(&result, "Bill (asynchronous)").left, 3_000);
    assert_eq!(node(&result, "Jobs").left, 3_000);
    assert_eq!((function(&result, "Bill").succeeded, function(&result, "Work").succeeded), (3_000, 3_000));
}

#[test]
fn a_bus_a_stream_and_a_schedule_lead_to_their_functions() {
    let others = "  Events:
    Type: AWS::Events::EventBus
    Properties:
      Name: events
  Clicks:
    Type: AWS::Kinesis::Stream
    Properties:
      ShardCount: 2
";
    let on_event = "      Events:
        Placed:
          Type: EventBridgeRule
          Properties:
            EventBusName: !Ref Events
            Pattern:
              detail-type:
                - placed
";
    let on_click = "      Events:
        Clicks:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Clicks.Arn
            StartingPosition: LATEST
";
    let nightly = "      Events:
        Often:
          Type: Schedule
          Properties:
            Schedule: rate(1 minute)
";
    let text = template(&[("OnEvent", on_event), ("OnClick", on_click), ("Nightly", nightly)], others);
    let traffic = "duration = \"1h\"\n[traffic.Events]\npeak_per_s = 5\nevents_max = 1_000\n\
        [traffic.Clicks]\npeak_per_s = 50\nevents_max = 10_000\ntenants = 100\n\
        [function.OnEvent]\nduration = \"50ms\"\n[function.OnClick]\nduration = \"100ms\"\n\
        [function.Nightly]\nduration = \"1s\"\n";
    let result = run(&text, traffic);
    assert_eq!(function(&result, "OnEvent").succeeded, 1_000);
    assert_eq!(node(&result, "Clicks").left, 10_000);
    let clicks = function(&result, "OnClick");
    // About a second's records of a shard are one batch.
    assert!((300..2_000).contains(&clicks.runs) && clicks.concurrency_peak <= 2.0, "{}", clicks.runs);
    assert_eq!(function(&result, "Nightly").succeeded, 59);
}

/// A function that puts back on its queue what comes from there.
fn requeue(more: &str) -> RunResult {
    let others = "  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy:
        deadLetterTargetArn: !GetAtt Dead.Arn
        maxReceiveCount: 3
  Dead:
    Type: AWS::SQS::Queue
";
    let work = format!(
        "{more}      Events:
        Jobs:
          Type: SQS
          Properties:
            Queue: !GetAtt Jobs.Arn
            BatchSize: 1
"
    );
    let text = template(&[("Work", &work)], others);
    let traffic = "duration = \"1h\"\n[traffic.Jobs]\npeak_per_s = 1\nevents_max = 20\n\
        [function.Work]\nduration = \"1s\"\nsteps = [{ emit = \"Jobs\" }]\n";
    run(&text, traffic)
}

#[test]
fn a_loop_through_a_queue_is_stopped_after_16_invocations_and_ends_in_the_dead_letters() {
    let result = requeue("");
    assert_eq!(function(&result, "Work").runs, 16 * 20);
    assert_eq!(node(&result, "Jobs").dead_letters["receives"], 20);
    let allowed = requeue("      RecursiveLoop: Allow\n");
    assert!(function(&allowed, "Work").runs > 10_000, "{}", function(&allowed, "Work").runs);
}

#[test]
fn a_function_adds_at_most_1_000_environments_in_10_seconds() {
    let others = "  Orders:
    Type: AWS::SNS::Topic
";
    let bill = "      Events:
        Orders:
          Type: SNS
          Properties:
            Topic: !Ref Orders
";
    let text = template(&[("Bill", bill)], others);
    let traffic = "duration = \"10s\"\n[traffic.Orders]\npeak_per_s = 400\n\
        [function.Bill]\nduration = \"20s\"\ninit = \"100ms\"\n";
    let wide = "[limits]\n\"lambda.concurrency\" = { value = 20_000 }\n";
    let (profile, _) = Profile::with("profile.toml", wide).unwrap_or_else(|wrong| panic!("{wrong}"));
    let result = run_with(&text, traffic, &profile);
    let bill = function(&result, "Bill");
    // A thousand at once, and 100 a second from the beginning on.
    assert!((1_900.0..=2_000.0).contains(&bill.concurrency_peak), "{}", bill.concurrency_peak);
    assert!(bill.throttled.values().sum::<u64>() > 1_000, "{:?}", bill.throttled);
}

fn texts(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, text);
        } else {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_documentation_names_is_there() {
    let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    texts(&root.join("src/aws"), &mut tests);
    texts(&root.join("tests"), &mut tests);
    let page = std::fs::read_to_string(root.join("../docs/aws-model.md")).unwrap();
    let is_test =
        |word: &&str| word.contains('_') && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() > 60, "{} are named", named.len());
    for name in named {
        assert!(tests.contains(&format!("fn {name}(")), "{name} is not there");
    }
}

const FILTERED: &str = "      Events:
        Jobs:
          Type: SQS
          Properties:
            Queue: !GetAtt Jobs.Arn
            BatchSize: 1
            FilterCriteria:
              Filters:
                - Pattern: '{\"body\": {\"kind\": [\"big\"]}}'
";
const JOBS: &str = "  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
";
const SOME_JOBS: &str = "duration = \"10m\"\n[traffic.Jobs]\npeak_per_s = 10\nevents_max = 2_000\n\
    [function.Work]\nduration = \"50ms\"\n";

#[test]
fn a_filter_lets_the_share_pass_that_is_stated_and_the_rest_is_deleted_without_an_invocation() {
    let text = template(&[("Work", FILTERED)], JOBS);
    let all = run(&text, SOME_JOBS);
    assert_eq!(function(&all, "Work").succeeded, 2_000, "all of it where nothing is stated");
    let some = run(&text, &format!("{SOME_JOBS}[filter.Jobs]\nWork = 0.25\n"));
    let succeeded = function(&some, "Work").succeeded;
    assert!((420..580).contains(&succeeded), "{succeeded} of 2,000 pass");
    assert_eq!(node(&some, "Jobs").left, 2_000);
    let lambda = |result: &RunResult| {
        let lambda = result.cost.services.iter().filter(|service| service.service == "Lambda");
        lambda.map(|service| service.usd_per_month).sum::<f64>()
    };
    assert!(lambda(&some) < lambda(&all) * 0.3, "what is filtered is not billed as an invocation");
}

#[test]
fn a_filter_that_nothing_states_is_assumed_and_one_that_is_not_there_is_named() {
    let text = template(&[("Work", FILTERED)], JOBS);
    let plan = |traffic: &str| {
        let inputs = vec![Input { name: "template.yaml".into(), text: text.clone() }];
        let imported = import(inputs, &Options::default(), &|_| None);
        let workload = workload::read("traffic.toml", traffic).unwrap().workload;
        Plan::aws("test", &imported.design, &Profile::built_in("aws").unwrap(), &workload)
    };
    let assumed = plan(SOME_JOBS).unwrap().assumptions;
    let filter = assumed.iter().find(|assumed| assumed.key.as_deref() == Some("filter.Jobs.Work"));
    assert_eq!(filter.unwrap().value, "all");
    let problems = plan(&format!("{SOME_JOBS}[filter.Jobs]\nWrok = 0.25\n")).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["[filter.Jobs] Wrok: there is no filter or pattern from Jobs to Wrok; did you mean Jobs.Work?"]
    );
}

const WARM: &str = "      AutoPublishAlias: live
      ProvisionedConcurrencyConfig:
        ProvisionedConcurrentExecutions: 5
";

#[test]
fn provisioned_environments_never_begin_cold_and_what_they_do_not_take_runs_on_demand() {
    let traffic = |per_s: u32| {
        format!(
            "duration = \"10m\"\n[traffic.Work]\npeak_per_s = {per_s}\narrivals = \"constant\"\n\
             [function.Work]\nduration = \"500ms\"\ninit = \"2s\"\n"
        )
    };
    let text = template(&[("Work", WARM)], "");
    let within = run(&text, &traffic(8));
    assert_eq!(function(&within, "Work").cold_starts, 0, "four at once, of five that are kept");
    let beyond = run(&text, &traffic(40));
    let cold = function(&beyond, "Work").cold_starts;
    assert!((15..100).contains(&cold), "twenty at once: fifteen and more are made on demand: {cold}");
    assert_eq!(function(&beyond, "Work").failed, Default::default());
    let cost = |result: &RunResult, unit: &str| {
        let found = result.cost.services.iter().find(|service| service.what.contains(unit));
        found.map_or(0.0, |service| service.usd_per_month)
    };
    // Five environments of 128 MB for a month: 5 × 730 h × 3,600 s × 0.125 GB × 4.1667e-6 USD.
    let kept = cost(&within, "of provisioned concurrency");
    assert!((kept - 6.84).abs() < 0.01, "{kept}");
    assert_eq!(kept, cost(&beyond, "of provisioned concurrency"), "kept, whether it runs or not");
    assert!(cost(&within, "on provisioned concurrency") > 0.0);
}

#[test]
fn each_provisioned_environment_takes_10_requests_a_second() {
    let traffic = "duration = \"10m\"\n[traffic.Work]\npeak_per_s = 60\narrivals = \"constant\"\n\
        [function.Work]\nduration = \"10ms\"\ninit = \"100ms\"\n";
    let result = run(&template(&[("Work", WARM)], ""), traffic);
    assert!(function(&result, "Work").cold_starts > 0, "fifty a second are taken, with never two at once");
}

/// A queue, a pipe with a filter and an enrichment, and a target of its own kind.
fn piped(target: &str) -> String {
    let others = format!(
        "{JOBS}  Done:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
  Flow:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      RoleArn: arn:aws:iam::123456789012:role/flow
      Definition:
        StartAt: One
        States:
          One: {{ Type: Task, Resource: !GetAtt Work.Arn, End: true }}
  Pipe:
    Type: AWS::Pipes::Pipe
    Properties:
      RoleArn: arn:aws:iam::123456789012:role/pipe
      Source: !GetAtt Jobs.Arn
      SourceParameters:
        SqsQueueParameters: {{ BatchSize: 5 }}
        FilterCriteria:
          Filters:
            - Pattern: '{{\"body\": {{\"kind\": [\"big\"]}}}}'
      Enrichment: !GetAtt Enrich.Arn
      Target: {target}
"
    );
    let ends = "      Events:
        Done:
          Type: SQS
          Properties: { Queue: !GetAtt Done.Arn }
";
    template(&[("Enrich", ""), ("Work", ends)], &others)
}

const PIPED: &str = "duration = \"10m\"\n[traffic.Jobs]\npeak_per_s = 20\nevents_max = 4_000\n\
    [function.Enrich]\nduration = \"20ms\"\n[function.Work]\nduration = \"50ms\"\n[filter.Jobs]\nPipe = 0.5\n";

#[test]
fn a_pipe_filters_enriches_and_hands_on_to_its_target() {
    for target in ["!GetAtt Done.Arn", "!GetAtt Work.Arn", "!GetAtt Flow.Arn"] {
        let result = run(&piped(target), PIPED);
        let enriched = function(&result, "Enrich");
        assert!((1_850..2_150).contains(&enriched.events), "{target}: {} of 4,000 pass", enriched.events);
        assert_eq!(node(&result, "Jobs").left, 4_000, "{target}: the rest is deleted");
        let work = function(&result, "Work");
        match target {
            "!GetAtt Flow.Arn" => {
                assert_eq!(work.succeeded, enriched.succeeded, "an execution for each batch")
            }
            _ => assert_eq!(work.events, enriched.events, "{target}"),
        }
        let pipes = result.cost.services.iter().find(|service| service.what.contains("pipes"));
        let passed = pipes.unwrap().units_per_month / (730.0 * 6.0);
        assert!((1_900.0..2_100.0).contains(&passed), "{passed} are paid for, what is filtered is not");
    }
}

#[test]
fn what_a_pipes_enrichment_fails_comes_back_when_visibility_ends_and_reaches_no_target() {
    let failing = PIPED
        .replace("[function.Enrich]\n", "[function.Enrich]\nerror_rate = 1\n")
        .replace("events_max = 4_000", "events_max = 20");
    let result = run(&piped("!GetAtt Work.Arn"), &failing);
    let (enriched, work) = (function(&result, "Enrich"), function(&result, "Work"));
    assert_eq!((enriched.succeeded, work.runs), (0, 0));
    assert!(enriched.runs >= 10, "each comes back a minute later, for ten minutes: {} runs", enriched.runs);
}

#[test]
fn a_pipe_reads_a_stream_in_its_order_and_tries_a_failing_batch_again() {
    let others = "  Clicks:
    Type: AWS::Kinesis::Stream
    Properties: { ShardCount: 2 }
  Pipe:
    Type: AWS::Pipes::Pipe
    Properties:
      RoleArn: arn:aws:iam::123456789012:role/pipe
      Source: !GetAtt Clicks.Arn
      SourceParameters:
        KinesisStreamParameters: { StartingPosition: LATEST, BatchSize: 10, MaximumRetryAttempts: 100 }
      Enrichment: !GetAtt Enrich.Arn
      Target: !GetAtt Work.Arn
";
    let traffic = "duration = \"10m\"\n[traffic.Clicks]\npeak_per_s = 10\nevents_max = 2_000\ntenants = 20\n\
        [function.Enrich]\nduration = \"20ms\"\nerror_rate = 0.2\n[function.Work]\nduration = \"50ms\"\n";
    let result = run(&template(&[("Enrich", ""), ("Work", "")], others), traffic);
    let (enriched, work) = (function(&result, "Enrich"), function(&result, "Work"));
    assert_eq!((node(&result, "Clicks").left, work.events), (2_000, 2_000));
    assert!(enriched.runs > work.runs, "{} runs, some of which failed", enriched.runs);
}
