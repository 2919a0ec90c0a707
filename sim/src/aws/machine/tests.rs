//! A test for each documented behaviour, named after it.

use flyball_core::FailureKind;

use super::*;
use crate::aws::script::*;

fn aws() -> Profile {
    Profile::built_in("aws").unwrap()
}

fn task() -> StepPolicy {
    StepPolicy::of(&aws(), &Task::default(), Act::Invoke(FUNCTION))
}

fn retried(errors: &[&str]) -> StepPolicy {
    let errors = errors.iter().map(ToString::to_string).collect();
    let retry = design::Retry { errors, ..design::Retry::default() };
    StepPolicy::of(&aws(), &Task { retries: vec![retry], ..Task::default() }, Act::Invoke(FUNCTION))
}

fn script(steps: Vec<StepPolicy>, function: Function) -> Script {
    let machine = MachinePolicy::of(&aws(), &design::Machine::default(), steps);
    Script::new(Machine::new(machine), function)
}

fn starts_s(script: &Script) -> Vec<u64> {
    script.runs.iter().map(|run| run.at.as_millis() / 1_000).collect()
}

#[test]
fn steps_follow_one_another() {
    let wait = StepPolicy { act: Act::Wait(Span::from_secs(30)), ..task() };
    let deliver = StepPolicy { act: Act::Deliver(NodeNo(5)), ..task() };
    let mut script = script(vec![task(), wait, task(), deliver], succeeds(2_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(100));
    assert_eq!((starts_s(&script), script.ended("done")), (vec![0, 32], 1));
    assert_eq!((script.delivered.len(), script.delivered[0].0), (1, at_s(34)));
}

#[test]
fn a_map_has_so_many_items_at_once() {
    let map = |concurrency, distributed| {
        let map_concurrency = Some(concurrency);
        let task = Task { map_concurrency, distributed, ..Task::default() };
        StepPolicy::of(&aws(), &task, Act::Invoke(FUNCTION))
    };
    let unbounded = design::Setting::Default;
    for (step, at_once) in
        [(map(setting(5), false), 5), (map(unbounded.clone(), false), 40), (map(unbounded, true), 100)]
    {
        let mut script = script(vec![step, task()], succeeds(1_000));
        script.send(at_s(0), Message { items: 100, ..message(1, 0) });
        script.run_until(at_s(1_000));
        assert_eq!((script.running_peak, script.runs.len(), script.ended("done")), (at_once, 101, 1));
    }
}

#[test]
fn a_retrier_tries_3_times_after_1_2_and_4_seconds() {
    let mut script = script(vec![retried(&["States.ALL"])], fails(0));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(100));
    assert_eq!((starts_s(&script), script.ended("dropped: attempts")), (vec![0, 1, 3, 7], 1));
}

#[test]
fn a_retrier_matches_only_its_errors() {
    let throttles = retried(&["Lambda.ServiceException", "Lambda.TooManyRequestsException"]);
    let mut failing = script(vec![throttles.clone()], fails(0));
    failing.send(at_s(0), message(1, 0));
    failing.run_until(at_s(100));
    assert_eq!((failing.runs.len(), failing.ended("dropped: attempts")), (1, 1));
    let mut throttled = script(vec![throttles], succeeds(10));
    throttled.concurrency_max = 0;
    throttled.send(at_s(0), message(1, 0));
    throttled.run_until(at_s(2));
    throttled.concurrency_max = 1;
    throttled.run_until(at_s(100));
    assert_eq!((throttled.throttles, throttled.ended("done")), (2, 1));
}

#[test]
fn a_caught_failure_goes_on_with_the_next_step() {
    let caught = StepPolicy { catches: true, ..task() };
    let mut script = script(vec![caught.clone(), caught], fails(1_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(100));
    assert_eq!((script.runs.len(), script.ended("done")), (2, 1));
}

#[test]
fn a_task_that_times_out_leaves_its_function_running() {
    let task = Task { timeout_s: setting(5), ..Task::default() };
    let short = StepPolicy::of(&aws(), &task, Act::Invoke(FUNCTION));
    let mut script = script(vec![short], succeeds(60_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(6));
    assert_eq!((script.ended("dropped: attempts"), script.running), (1, 1));
    script.run_until(at_s(100));
    assert_eq!((script.ends.len(), script.running), (1, 0));
}

#[test]
fn an_express_execution_ends_after_5_minutes() {
    let express = design::Machine { express: setting(true), ..design::Machine::default() };
    let wait = StepPolicy { act: Act::Wait(Span::from_secs(400)), ..task() };
    let policy = MachinePolicy::of(&aws(), &express, vec![wait]);
    assert_eq!((policy.starts_per_s, policy.starts_burst), (6_000, 6_000));
    let mut script = Script::new(Machine::new(policy), succeeds(1));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(300));
    assert_eq!(script.ended("dropped: timeout"), 1);
}

#[test]
fn starts_come_from_a_bucket_of_1_300_that_300_a_second_fill() {
    let mut script = script(Vec::new(), succeeds(1));
    script.send_many(at_s(5), 0, 2_000);
    script.run_until(at_s(5));
    assert_eq!((script.ended("done"), script.ended("refused: rate")), (1_300, 700));
    script.send_many(at_s(6), 5_000, 1_000);
    script.run_until(at_s(6));
    assert_eq!(script.ended("done"), 1_600);
}

#[test]
fn a_start_with_a_name_that_is_taken_is_answered_and_starts_nothing() {
    let policy = MachinePolicy::of(&aws(), &design::Machine::default(), vec![task()]);
    for (named, runs) in [(false, 3), (true, 1)] {
        let mut script = Script::new(Machine::new(MachinePolicy { named, ..policy.clone() }), succeeds(10));
        for second in 0..3 {
            script.send(at_s(second), message(1, 0));
        }
        script.run_until(at_s(10));
        assert_eq!((script.runs.len(), script.ended("done")), (runs, 3));
    }
}

#[test]
fn a_failed_item_ends_its_execution_and_no_other() {
    let one_in_ten = |_: Time, batch: &[Message]| {
        let failed = batch[0].tenant.0 == 3;
        let verdict = if failed { Verdict::Failed(FailureKind::Trap) } else { Verdict::Done };
        (Span::from_millis(100), verdict)
    };
    let map = StepPolicy { map: Some(4), ..task() };
    let mut script = script(vec![map], Box::new(one_in_ten));
    for id in 0..50 {
        script.send(at_s(id), Message { items: 7, ..message(id, u32::try_from(id % 10).unwrap()) });
    }
    script.run_until(at_s(1_000));
    assert_eq!((script.ended("done"), script.ended("dropped: attempts")), (45, 5));
    assert_eq!(script.part().in_flight(), 0);
}

#[test]
fn an_execution_whose_history_would_pass_25_000_entries_fails() {
    // Started, a map of four entries, and seven for each item: 3,570 items have 24,995 entries.
    let map = StepPolicy { map: Some(40), ..task() };
    let distributed = StepPolicy { distributed: true, map: Some(10_000), ..task() };
    for (step, items, how) in
        [(map.clone(), 3_570, "done"), (map.clone(), 3_571, "dropped: history"), (distributed, 9_000, "done")]
    {
        let mut script = script(vec![step], succeeds(10));
        script.send(at_s(0), Message { items, ..message(1, 0) });
        script.run_until(at_s(100));
        assert_eq!(script.ended(how), 1, "{items} items: {:?}", script.ends);
        assert_eq!(script.part().in_flight(), 0);
    }
    // The last entry may be that of the success: 4,999 tasks of five each, the start, and three of two waits.
    let wait = StepPolicy { act: Act::Wait(Span::from_millis(1)), ..task() };
    let full = |waits: usize| [vec![task(); 4_999], vec![wait.clone(); waits]].concat();
    for (waits, how) in [(1, "done"), (2, "dropped: history")] {
        let mut script = script(full(waits), succeeds(1));
        script.send(at_s(0), message(1, 0));
        script.run_until(at_s(1_000));
        assert_eq!(script.ended(how), 1, "{waits} waits: {:?}", script.ends);
    }
}

#[test]
fn each_try_of_a_task_is_in_the_history() {
    let mut tried = retried(&["States.ALL"]);
    tried.retriers[0] = Retrier { retries_max: 9_000, interval: Span::ZERO, ..tried.retriers[0] };
    let mut script = script(vec![tried], fails(1));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(1_000));
    // The start, the state's two, and three for each try.
    assert_eq!((script.runs.len(), script.ended("dropped: history")), (8_332, 1));
}

#[test]
fn express_executions_have_no_history() {
    let express = design::Machine { express: setting(true), ..design::Machine::default() };
    let map = StepPolicy { map: Some(40), ..task() };
    let mut script = Script::new(Machine::new(MachinePolicy::of(&aws(), &express, vec![map])), succeeds(10));
    script.send(at_s(0), Message { items: 9_000, ..message(1, 0) });
    script.run_until(at_s(100));
    assert_eq!(script.ended("done"), 1);
}

#[test]
fn a_start_with_more_than_256_kibibytes_is_refused() {
    let mut script = script(vec![task()], succeeds(10));
    script.send(at_s(0), Message { bytes: 262_144, ..message(1, 0) });
    script.send(at_s(0), Message { bytes: 262_145, ..message(2, 0) });
    script.run_until(at_s(1));
    assert_eq!((script.ended("done"), script.ended("refused: bytes")), (1, 1));
}
