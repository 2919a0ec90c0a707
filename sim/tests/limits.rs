//! What is named as behind a broken promise: the limits of AWS's services, patience, and error rates that are stated.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod said_by;

use flyball_sim::{
    line::{InTurn, Search, load_line},
    report::{Report, text},
    result::{Basis, LimitResult, LoadLineResult, RunResult, Scope, Simulation},
};
use said_by::{plan, run};

fn line(template: &str, traffic: &str) -> LoadLineResult {
    let search = Search { seeds: vec![1], thorough: true };
    load_line(&plan(template, traffic), &search, &InTurn, &|_| false).unwrap()
}

/// The answer as a terminal has it, on one line.
fn said(simulation: &Simulation) -> String {
    let report = Report { simulation, design: None, against: None };
    let said = text(&report, Default::default());
    let answer = said.split("\n\n").next().unwrap_or_default();
    answer.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn of_run(run: &RunResult) -> String {
    said(&Simulation { run: Some(run.clone()), ..Simulation::default() })
}

fn of_line(line: LoadLineResult) -> String {
    said(&Simulation { load_line: Some(line), ..Simulation::default() })
}

fn limit<'a>(run: &'a RunResult, name: &str) -> &'a LimitResult {
    let found = run.limits.iter().find(|limit| limit.limit.name == name);
    found.unwrap_or_else(|| panic!("{name} is not among {:?}", run.limits))
}

fn tells(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
}

/// A queue of each kind, a state machine and a stream, each with a function.
const SERVICES: &str = "Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: python3.13, Handler: a.b, InlineCode: pass, Timeout: 10 } }
Resources:
  Plain: { Type: AWS::SQS::Queue, Properties: { VisibilityTimeout: 60 } }
  Capped:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        A:
          Type: SQS
          Properties: { Queue: !GetAtt Plain.Arn, BatchSize: 1, ScalingConfig: { MaximumConcurrency: 2 } }
  Fifo: { Type: AWS::SQS::Queue, Properties: { FifoQueue: true, VisibilityTimeout: 60 } }
  Ordered:
    Type: AWS::Serverless::Function
    Properties: { Events: { A: { Type: SQS, Properties: { Queue: !GetAtt Fifo.Arn } } } }
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: { StartAt: A, States: { A: { Type: Task, Resource: !GetAtt Task.Arn, End: true } } }
  Task: { Type: AWS::Serverless::Function, Properties: {} }
  Stream: { Type: AWS::Kinesis::Stream, Properties: { ShardCount: 1 } }
  Reader:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        A:
          Type: Kinesis
          Properties: { Stream: !GetAtt Stream.Arn, BatchSize: 10, StartingPosition: LATEST }
";

fn services(to: &str, per_s: u32) -> String {
    services_for("1m", to, per_s)
}

fn services_for(duration: &str, to: &str, per_s: u32) -> String {
    format!(
        "duration = \"{duration}\"\n[traffic.x]\nto = \"{to}\"\npeak_per_s = {per_s}\ntenants = 500\n\
         [function.Capped]\nduration = \"1s\"\n[function.Ordered]\nduration = \"50ms\"\n\
         [function.Task]\nduration = \"50ms\"\n[function.Reader]\nduration = \"50ms\"\n"
    )
}

#[test]
fn maximum_concurrency_is_a_limit_and_twice_as_much_is_tried() {
    let result = run(SERVICES, &services("Plain", 10));
    let own = limit(&result, "batches at once");
    assert_eq!((own.limit.scope, own.limit.of.as_str(), own.limit.value), (Scope::Node, "Plain", 2.0));
    assert_eq!((own.basis, own.raised_by.as_str()), (Basis::Stated, "ScalingConfig.MaximumConcurrency"));
    assert_eq!((own.peak, own.headroom_percent, own.refused), (2.0, 0.0, 0));
    assert!(own.delayed > 300 && own.first_reached_s.is_some(), "{own:?}");
    tells(
        &of_run(&result),
        &[
            "promises at 1.0×",
            ": batches at once of Plain are used up.",
            "because batches at once of Plain are used up: 2 batches",
        ],
    );
    let told = of_line(line(SERVICES, &services_for("30s", "Plain", 2)));
    tells(
        &told,
        &["change raise batches at once of Plain (ScalingConfig.MaximumConcurrency) from 2 to 4 batches"],
    );
}

#[test]
fn the_ceiling_of_a_mapping_is_a_limit_that_can_not_be_raised() {
    let open = SERVICES.replace(", ScalingConfig: { MaximumConcurrency: 2 }", "");
    let result = run(&open, &services("Plain", 10));
    let own = limit(&result, "batches at once");
    assert_eq!((own.limit.value, own.basis, own.raisable, own.delayed), (1_250.0, Basis::Sourced, false, 0));
    assert!(own.peak < 50.0 && own.headroom_percent > 90.0, "{own:?}");
}

#[test]
fn the_rate_of_a_fifo_queue_is_a_limit_and_high_throughput_raises_it() {
    let result = run(SERVICES, &services("Fifo", 600));
    let own = limit(&result, "sends");
    assert_eq!((own.limit.value, own.limit.unit.as_str(), own.basis), (300.0, "messages/s", Basis::Sourced));
    assert!(own.refused > 10_000 && own.peak == 300.0, "{own:?}");
    tells(&of_run(&result), &["because sends of Fifo are used up: 300 messages/s"]);
    assert!(own.raised_by.starts_with("FifoThroughputLimit: perMessageGroupId"), "{own:?}");
}

#[test]
fn starts_of_a_state_machine_are_a_limit() {
    let result = run(SERVICES, &services("Machine", 1_000));
    let own = limit(&result, "starts");
    assert_eq!((own.limit.value, own.peak), (300.0, 300.0));
    assert!(own.refused > 10_000 && own.raised_by.starts_with("Service Quotas"), "{own:?}");
    tells(&of_run(&result), &["because starts of Machine are used up: 300 executions/s"]);
}

#[test]
fn what_a_shard_takes_is_a_limit_and_more_shards_raise_it() {
    let result = run(SERVICES, &services("Stream", 1_500));
    let own = limit(&result, "records into a shard");
    assert_eq!((own.limit.value, own.raised_by.as_str()), (1_000.0, "ShardCount"));
    tells(&of_run(&result), &["because records into a shard of Stream are used up: 1,000 records/s"]);
    let wide = SERVICES.replace("BatchSize: 10, Starting", "BatchSize: 1000, Starting");
    let told = of_line(line(&wide, &services_for("20s", "Stream", 500)));
    tells(
        &told,
        &[
            "records into a shard of Stream are used up",
            "change raise shards of Stream (ShardCount) from 1 to 2:",
        ],
    );
}

#[test]
fn shards_times_parallelization_is_a_limit() {
    let result = run(SERVICES, &services("Stream", 300));
    let own = limit(&result, "batches at once");
    assert_eq!((own.limit.value, own.raised_by.as_str()), (1.0, "ParallelizationFactor"));
    tells(&of_run(&result), &["because batches at once of Stream are used up: 1 batch"]);
    let calm = run(SERVICES, &services("Stream", 50));
    let own = limit(&calm, "batches at once");
    assert!((20.0..99.9).contains(&own.headroom_percent), "one batch each second or so: {own:?}");
    assert_eq!(calm.broken().count(), 0);
    let told = of_line(line(SERVICES, &services_for("30s", "Stream", 100)));
    tells(&told, &["change raise batches at once of Stream (ParallelizationFactor) from 1 to 2 batches"]);
}

const BUS: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Events: { Type: AWS::Events::EventBus, Properties: { Name: events } }
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: a.b
      InlineCode: pass
      Events:
        A:
          Type: EventBridgeRule
          Properties: { EventBusName: !Ref Events, Pattern: { detail-type: [placed] } }
";

#[test]
fn events_put_on_a_bus_are_a_limit() {
    let traffic = "duration = \"5s\"\n[traffic.Events]\npeak_per_s = 15_000\n[function.Work]\n\
        duration = \"10ms\"\n";
    let result = run(BUS, traffic);
    assert_eq!(limit(&result, "puts").limit.value, 10_000.0);
    assert_eq!(limit(&result, "invocations").limit.value, 18_750.0);
    let lost = result.broken().find(|promise| promise.measure == "dropped_events");
    let lost = lost.unwrap_or_else(|| panic!("{:?} {:?}", result.promises, result.nodes[0].dropped));
    let because = lost.broken.as_ref().unwrap().because.as_ref().unwrap();
    assert_eq!((because.name.as_str(), because.of.as_str()), ("puts", "Events"));
}

/// A gateway, a function that hands on to a queue, and who reads from there with two at once.
const SHOP: &str = "Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: python3.13, Handler: a.b, InlineCode: pass } }
Resources:
  Api: { Type: AWS::Serverless::HttpApi }
  Slow:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 60
      Environment: { Variables: { Q: !Ref Jobs } }
      Policies: [{ SQSSendMessagePolicy: { QueueName: !GetAtt Jobs.QueueName } }]
      Events: { A: { Type: HttpApi, Properties: { ApiId: !Ref Api, Path: /x, Method: GET } } }
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3 }
  Dead: { Type: AWS::SQS::Queue }
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 10
      ReservedConcurrentExecutions: 2
      Events: { A: { Type: SQS, Properties: { Queue: !GetAtt Jobs.Arn, BatchSize: 10 } } }
";

fn calls(patience: &str, takes: &str) -> String {
    format!(
        "duration = \"5m\"\n[traffic.api]\nto = \"GET /x\"\npeak_per_s = 2\n[traffic.api.client]\n\
         timeout = \"{patience}\"\nretries = 3\nretry_budget_percent = 10\n[function.Slow]\n\
         duration = \"{takes}\"\nsteps = [{{ emit = \"Jobs\" }}]\n[function.Work]\nduration = \"1s\"\n"
    )
}

#[test]
fn callers_that_give_up_are_a_cause_and_a_queues_reader_is_not() {
    let result = run(SHOP, &calls("1s", "2s"));
    assert!(limit(&result, "concurrency").refused > 0, "the reader is throttled: {:?}", result.limits);
    let told = of_run(&result);
    tells(
        &told,
        &[
            ": the patience of callers of api ends before an answer comes.",
            "because the patience of callers of api ends before an answer comes: 1 s",
            "way api → Api → Slow",
        ],
    );
    assert!(!told.contains("Work"), "{told}");
    // What the function's own timeout ends comes later.
    tells(&of_run(&run(SHOP, &calls("10s", "90s"))), &["the patience of callers of api ends before"]);
    tells(&of_run(&run(SHOP, &calls("100s", "90s"))), &["integration timeout of Api ends before an answer"]);
}

#[test]
fn a_gateway_that_gives_up_is_a_limit() {
    let result = run(
        SHOP,
        &calls("100s", "1s").replace("steps = [", "steps = [{ compute = \"40s\", chance = 0.1 }, "),
    );
    let own = limit(&result, "integration timeout");
    assert_eq!((own.limit.scope, own.limit.of.as_str(), own.limit.value), (Scope::Entrance, "Api", 30.0));
    assert!(own.refused > 20 && !own.raisable && own.first_reached_s.is_some(), "{own:?}");
    tells(&of_run(&result), &["because integration timeout of Api ends before an answer comes: 30 s"]);
    let told = of_line(line(
        SHOP,
        &calls("100s", "1s").replace("duration = \"1s\"\nsteps", "duration = \"40s\"\nsteps"),
    ));
    assert!(!told.contains("change"), "an HTTP API's can't be raised: {told}");
    let calm = run(SHOP, &calls("100s", "15s"));
    let own = limit(&calm, "integration timeout");
    assert!((10.0..51.0).contains(&own.headroom_percent) && own.refused == 0, "{own:?}");
}

#[test]
fn dead_letters_of_a_stated_error_rate_are_no_throttles() {
    let traffic = "duration = \"20m\"\n[traffic.jobs]\nto = \"Jobs\"\npeak_per_s = 5\n[function.Work]\n\
        duration = \"1s\"\nper_item = \"10ms\"\nerror_rate = 0.2\n[[expect]]\nmeasure = \"dead_letters\"\nmax = 0\n";
    let result = run(SHOP, traffic);
    let lost = result.broken().find(|promise| promise.measure == "dead_letters").unwrap();
    let because = lost.broken.as_ref().unwrap().because.as_ref().unwrap();
    assert_eq!((because.name.as_str(), because.of.as_str(), because.value), ("error rate", "Work", 20.0));
    tells(&of_run(&result), &["error rate of Work fails its runs, as stated: 20 %"]);
}

#[test]
fn where_no_limit_was_met_the_commonest_trouble_is_told() {
    let failing = "duration = \"5m\"\n[traffic.api]\nto = \"GET /x\"\npeak_per_s = 2\n[function.Slow]\n\
        duration = \"10ms\"\nsteps = [{ call = \"db\" }]\n[dependency.db]\nservice = \"1ms\"\nerror_rate = 0.3\n";
    let result = run(SHOP, failing);
    tells(
        &of_run(&result),
        &["because no limit that is counted here was met: ", "runs of Slow fail by: an error"],
    );
}
