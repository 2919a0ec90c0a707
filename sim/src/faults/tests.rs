//! Planted errors are found, made small and told; without one, hundreds of seeds hold; the same seed gives the same.

use std::sync::Arc;

use flyball_app::workload::{self, faults};
use flyball_core::Time;

use super::*;
use crate::{plan::Plan, world::Planted};

mod real;

const SHOP: &str = include_str!("tests/shop.toml");
const TRAFFIC: &str = include_str!("tests/traffic.toml");

struct Quiet;

impl Watch for Quiet {
    fn seed(&mut self, _: u64, _: u64) -> bool {
        false
    }
}

fn planned(traffic: &str) -> Result<Plan, Vec<Problem>> {
    let application = Arc::new(flyball_app::read("flyball.toml", SHOP).unwrap().application);
    let workload = workload::read("traffic.toml", traffic).unwrap_or_else(|wrong| panic!("{wrong}")).workload;
    Plan::flyball(&application, &workload)
}

fn plan_of(traffic: &str) -> Plan {
    planned(traffic).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn seeds(first: u64, count: u64) -> Seeds {
    Seeds { first, count, regressions: Vec::new() }
}

fn stated(text: &str) -> Faults {
    faults::read("faults.toml", text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// As a person reads it.
fn told(result: &FaultsResult) -> String {
    let mut text = format!("{} of {} seeds failed\n", result.seeds_failed, result.seeds_run);
    for failure in &result.failures {
        text += &format!("seed {}: {}\n  {}\n", failure.seed, failure.broken, failure.detail);
        text += &format!(
            "  {} of {} faults, {} s of traffic, {} times as much\n",
            failure.schedule.len(),
            failure.schedule_before,
            failure.duration_s,
            failure.load_factor
        );
        for fault in &failure.schedule {
            text += &format!("    {} s  {} {} for {} s\n", fault.at_s, fault.what, fault.of, fault.for_s);
        }
        text += &format!("  {}\n", failure.event);
        for step in &failure.trace {
            text += &format!("    {} s  {}: {}\n", step.at_s, step.place, step.what);
        }
    }
    text
}

#[test]
fn hundreds_of_seeds_hold_and_every_kind_of_fault_was_there() {
    let plan = plan_of(TRAFFIC);
    let result = run(&plan, None, &seeds(1, 200), &mut Quiet).unwrap();
    assert_eq!(result.seeds_run, 200);
    assert_eq!(result.seeds_failed, 0, "{}", told(&result));
    let kinds: Vec<&str> = result.injected.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        [
            "clock jump",
            "crash",
            "duplicate",
            "failed commit",
            "failing dependency",
            "flood",
            "late",
            "partial failures",
            "poisoned event",
            "refusing dependency",
            "slow dependency",
            "store stall"
        ]
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let plan = plan_of(&TRAFFIC.replace("keyed = true", ""));
    let bytes = |seed| {
        let result = run(&plan, None, &seeds(seed, 4), &mut Quiet).unwrap();
        serde_json::to_string(&result).unwrap()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(5));
}

/// The first failure of a planted error, told.
fn planted(planted: Planted, faults: Option<&str>, traffic: &str) -> (FaultFailure, String) {
    let plan = plan_of(traffic);
    let stated = faults.map(stated);
    for seed in 1..100 {
        let result =
            run_planted(&plan, stated.as_ref(), &seeds(seed, 1), (planted, &mut None), &mut Quiet).unwrap();
        if let Some(failure) = result.failures.first() {
            return (failure.clone(), told(&result));
        }
    }
    panic!("no seed found it");
}

#[test]
fn a_store_that_loses_a_record_is_found() {
    let (failure, told) = planted(Planted::LosesRecord, None, TRAFFIC);
    // Either it never ends, or its client's next try is taken for another.
    assert!([CHECKS[0], CHECKS[2], "all orders are over"].contains(&&*failure.broken), "{told}");
    assert_eq!(failure.schedule.len(), 1, "one crash or failed commit is enough: {told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_store_that_makes_a_commit_twice_is_found() {
    let (failure, told) = planted(Planted::AppliesTwice, None, TRAFFIC);
    assert_eq!(failure.broken, CHECKS[0]);
    assert_eq!(failure.schedule.len(), 1, "{told}");
    assert!(failure.schedule[0].what.contains("not known"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_function_that_charges_twice_without_a_key_is_found() {
    let traffic = TRAFFIC.replace(", keyed = true }", " }");
    assert_ne!(traffic, TRAFFIC);
    let (failure, told) = planted(Planted::Nothing, None, &traffic);
    assert_eq!(failure.broken, "no order is charged twice");
    assert!(failure.schedule.len() <= 1, "{told}");
    assert!(
        failure.trace.iter().filter(|step| step.what.contains("has done the work")).count() == 2,
        "{told}"
    );
    insta::assert_snapshot!(told);
}

#[test]
fn a_request_without_a_key_is_taken_twice() {
    let traffic = TRAFFIC.replace("keyed = true\n", "");
    let faults = "[[fault]]\nkind = \"duplicates\"\nat = \"1s\"\nshare = 0.5\nlasts = \"20s\"\n";
    let (failure, told) = planted(Planted::Nothing, Some(faults), &traffic);
    assert!(["no order is charged twice", "one charge for each order"].contains(&&*failure.broken), "{told}");
}

#[test]
fn a_failure_can_be_run_again_by_its_seed_alone() {
    let traffic = TRAFFIC.replace(", keyed = true }", " }");
    let plan = plan_of(&traffic);
    let all = run(&plan, None, &seeds(1, 12), &mut Quiet).unwrap();
    let failure = all.failures.first().unwrap();
    let text = regressions::lines(&all, &[]);
    let known = regressions::read(&text).unwrap();
    assert_eq!(known.len() as u64, all.seeds_failed);
    let again = Seeds { first: 1, count: 0, regressions: vec![failure.seed] };
    let again = run(&plan, None, &again, &mut Quiet).unwrap();
    assert_eq!((again.regressions_run, again.seeds_run), (1, 1));
    assert_eq!(again.failures, std::slice::from_ref(failure));
    assert_eq!(regressions::lines(&all, &known), "");
}

#[test]
fn whoever_waits_can_end_it() {
    let plan = plan_of(&TRAFFIC.replace("error_rate = 0.02", "error_rate = 1.0"));
    struct Count(u64);
    impl Watch for Count {
        fn seed(&mut self, ran: u64, _: u64) -> bool {
            self.0 = ran;
            ran == 3
        }
    }
    let mut count = Count(0);
    let result = run(&plan, None, &seeds(1, u64::MAX), &mut count).unwrap();
    assert_eq!((count.0, result.seeds_run), (3, 3));
    assert_eq!(result.seeds_failed, 0, "what fails each time is put aside: {}", told(&result));
}

#[test]
fn what_does_not_fit_the_plan_is_said() {
    let wrong = |faults: &str, traffic: &str| {
        let plan = plan_of(traffic);
        let problems = run(&plan, Some(&stated(faults)), &seeds(1, 1), &mut Quiet).unwrap_err();
        problems.iter().map(|problem| format!("{problem}\n")).collect::<String>()
    };
    let mut text = String::new();
    text += &wrong("[[fault]]\nkind = \"slow\"\nof = \"bonk\"\nat = \"1s\"\n", TRAFFIC);
    text += &wrong("[[fault]]\nkind = \"leak\"\nat = \"1s\"\n", TRAFFIC);
    text += &wrong("[[fault]]\nkind = \"flood\"\ntenant = \"nobody\"\nmean = \"1s\"\n", TRAFFIC);
    // Without faults too.
    let asserted = planned(&TRAFFIC.replace("of = \"bank\"", "of = \"bonk\"")).unwrap_err();
    text += &asserted.iter().map(|problem| format!("{problem}\n")).collect::<String>();
    insta::assert_snapshot!(text);
}

#[test]
fn a_poisoned_event_is_put_aside_and_the_others_go_on() {
    let plan = plan_of(TRAFFIC);
    let faults = stated("[[fault]]\nkind = \"poison\"\nof = \"orders\"\nat = \"5s\"\n");
    let case = Case {
        plan: &plan,
        seed: 3,
        schedule: &schedule::schedule(&plan, Some(&faults), 3),
        duration: plan.duration,
        load: 1.0,
        planted: Planted::Nothing,
    };
    let outcome = case.run(Some(0), &mut None, &mut |_: Time| false).unwrap();
    assert_eq!(outcome.broken, None);
    let ended = outcome.trace.iter().filter(|step| step.what.contains("ends the process")).count();
    assert_eq!(ended, 3, "crashes_max is 3: {:?}", outcome.trace);
}

#[test]
fn a_file_of_seeds_is_read_and_what_is_wrong_in_it_is_said() {
    assert_eq!(regressions::read("# seeds\n\n 7  what broke\n7\n9\n").unwrap(), [7, 9]);
    let wrong = regressions::read("7\nseven\n").unwrap_err();
    assert_eq!(wrong.to_string(), "line 2: \"seven\" is no seed; a line is a number and then what broke");
    let many: String = (0..=regressions::LINES_MAX).map(|n| format!("{n}\n")).collect();
    assert_eq!(regressions::read(&many).unwrap_err().line, regressions::LINES_MAX + 1);
}

const JOBS: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Dead:
    Type: AWS::SQS::Queue
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3 }
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Handler: main.handler
      Runtime: python3.13
      InlineCode: pass
      Timeout: 10
      Events:
        Jobs:
          Type: SQS
          Properties: { Queue: !GetAtt Jobs.Arn, BatchSize: 5 }
";

const JOBS_TRAFFIC: &str = "duration = \"60s\"
[traffic.jobs]
to = \"Jobs\"
peak_per_s = 2
[function.Work]
duration = \"100ms\"
steps = [{ call = \"db\", per = \"item\" }]
[dependency.db]
service = \"20ms\"
[[assert]]
what = \"each job is done once\"
of = \"Work\"
holds = \"at-most-once\"
";

fn jobs(traffic: &str) -> Plan {
    use flyball_app::{
        import::{Input, Options, import},
        profile::Profile,
    };
    let inputs = vec![Input { name: "template.yaml".into(), text: JOBS.into() }];
    let imported = import(inputs, &Options::default(), &|_| None);
    let workload = workload::read("traffic.toml", traffic).unwrap_or_else(|wrong| panic!("{wrong}")).workload;
    Plan::aws("jobs", &imported.design, &Profile::built_in("aws").unwrap(), &workload).unwrap()
}

#[test]
fn on_aws_all_messages_end_and_a_duplicate_is_done_twice() {
    let (unasserted, _) = JOBS_TRAFFIC.split_once("[[assert]]").unwrap();
    let result = run(&jobs(unasserted), None, &seeds(1, 30), &mut Quiet).unwrap();
    assert_eq!(result.seeds_failed, 0, "{}", told(&result));
    assert!(result.injected.contains_key("poisoned event") && !result.injected.contains_key("crash"));
    let plan = jobs(JOBS_TRAFFIC);
    let faults = stated("[[fault]]\nkind = \"duplicates\"\nat = \"5s\"\nshare = 0.3\n");
    let result = run(&plan, Some(&faults), &seeds(1, 1), &mut Quiet).unwrap();
    assert_eq!(result.failures[0].broken, "each job is done once");
    let crash = stated("[[fault]]\nkind = \"crash\"\nat = \"5s\"\n");
    let problems = run(&plan, Some(&crash), &seeds(1, 1), &mut Quiet).unwrap_err();
    assert!(problems[0].what.contains("Flyball's own platform"));
}

/// Orders that all end in the dead letters, as `bank` is not there for a while.
const BANK_IS_GONE: &str = "[[fault]]\nkind = \"refusing\"\nof = \"bank\"\nat = \"0s\"\nlasts = \"60s\"\n";

/// What is left in the dead letters, and what went there, of one run.
fn dead(faults: &str) -> (Outcome, String) {
    let plan = plan_of(&TRAFFIC.replace("duration = \"15s\"", "duration = \"200s\""));
    let plan = Plan { sources: plan.sources.iter().cloned().map(short).collect(), ..plan };
    let faults = stated(&format!("{BANK_IS_GONE}{faults}"));
    let case = Case {
        plan: &plan,
        seed: 3,
        schedule: &schedule::schedule(&plan, Some(&faults), 3),
        duration: plan.duration,
        load: 1.0,
        planted: Planted::Nothing,
    };
    let outcome = case.run(Some(1), &mut None, &mut |_: Time| false).unwrap();
    let told = outcome.trace.iter().map(|step| format!("{}: {}\n", step.place, step.what)).collect();
    (outcome, told)
}

fn short(mut source: crate::plan::SourcePlan) -> crate::plan::SourcePlan {
    source.source.until = Some(flyball_core::Span::from_secs(10));
    source
}

#[test]
fn dead_letters_that_are_put_back_run_again_and_end_once_more() {
    let (left, told) = dead("");
    assert_eq!(left.broken, None, "{told}");
    assert!(told.contains("put aside") && !told.contains("done"), "{told}");
    // Put back while the bank is there again; twice, since of the second there is nothing left to put back.
    let again =
        "[[fault]]\nkind = \"redrive\"\nat = \"100s\"\n[[fault]]\nkind = \"redrive\"\nat = \"150s\"\n";
    let (redriven, told) = dead(again);
    assert_eq!(redriven.broken, None, "{told}");
    assert_eq!(redriven.injected["redrive"], 2);
    assert_eq!(told.matches("put back from the dead letters").count(), 1, "{told}");
    assert!(told.contains("outcome committed: done"), "{told}");
}

#[test]
fn dead_letters_that_are_thrown_away_are_gone_and_crashes_between_change_nothing() {
    let thrown =
        "[[fault]]\nkind = \"discard\"\nat = \"100s\"\n[[fault]]\nkind = \"redrive\"\nat = \"120s\"\n";
    let (discarded, told) = dead(thrown);
    assert_eq!(discarded.broken, None, "{told}");
    assert!(!told.contains("put back from the dead letters"), "nothing is left to put back: {told}");
    // What was put back and not durable is still a dead letter.
    let crash = "[[fault]]\nkind = \"redrive\"\nat = \"100s\"\n[[fault]]\nkind = \"crash\"\nat = \"100s\"\n\
        [[fault]]\nkind = \"redrive\"\nat = \"150s\"\n";
    let (crashed, told) = dead(crash);
    assert_eq!(crashed.broken, None, "{told}");
    assert!(told.contains("outcome committed: done"), "{told}");
}

#[test]
fn calls_with_a_key_run_once_through_duplicates_crashes_and_tries() {
    let keyed = TRAFFIC.replace("timeout = \"20s\"", "timeout = \"2s\"\nretries = 2\nkeyed = true")
        + "[[assert]]\nwhat = \"no order is taken twice\"\nof = \"order\"\nholds = \"at-most-once\"\n";
    let result = run(&plan_of(&keyed), None, &seeds(1, 40), &mut Quiet).unwrap();
    assert_eq!(result.seeds_failed, 0, "{}", told(&result));
    let unkeyed = keyed.replace("retries = 2\nkeyed = true", "retries = 2");
    let result = run(&plan_of(&unkeyed), None, &seeds(1, 40), &mut Quiet).unwrap();
    let broken = result.failures.iter().any(|failure| failure.broken == "no order is taken twice");
    assert!(broken, "without a key a duplicate is taken twice: {}", told(&result));
}

#[test]
fn each_item_of_an_event_has_a_key_of_its_own() {
    let takes_ms = |keyed: &str| {
        let traffic = TRAFFIC
            .replace("peak_per_s = 1\ntenants = 4", "peak_per_s = 1\ntenants = 4\nitems = 3")
            .replace("{ emit = \"notes\", per = \"item\" }", "{ call = \"bank\", per = \"item\"KEYED }")
            .replace("KEYED", keyed);
        let result = crate::run(&plan_of(&traffic), 1, 1.0, &mut |_| false).unwrap();
        result.functions.iter().find(|function| function.name == "order").unwrap().duration.p50_ms
    };
    let (with, without) = (takes_ms(", keyed = true"), takes_ms(""));
    assert!(
        without > 60.0 && (with / without - 1.0).abs() < 0.1,
        "no item is another's: {with} ms, {without} ms"
    );
}
