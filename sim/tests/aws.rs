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
