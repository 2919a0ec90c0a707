//! A test for each documented behaviour, named after it.

use flyball_app::profile::Profile;
use proptest::prelude::*;

use super::*;
use crate::aws::script::*;

fn policy() -> AsynchronousPolicy {
    let profile = Profile::built_in("aws").unwrap();
    let kept = AsynchronousPolicy::of(&profile, &design::Function::default(), FUNCTION);
    AsynchronousPolicy { on_failure: vec![NodeNo(1)], ..kept }
}

fn script(policy: AsynchronousPolicy, function: Function) -> Script {
    Script::new(Asynchronous::new(policy), function)
}

fn starts_s(script: &Script) -> Vec<u64> {
    script.runs.iter().map(|run| run.at.as_millis() / 1_000).collect()
}

#[test]
fn a_failed_event_is_run_again_after_1_minute_and_2_more() {
    let mut script = script(policy(), fails(1_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(10_000));
    assert_eq!(starts_s(&script), [0, 61, 182]);
    assert_eq!((script.ended("dead: attempts"), script.delivered.len()), (1, 1));
}

#[test]
fn maximum_retry_attempts_is_0_to_2() {
    let profile = Profile::built_in("aws").unwrap();
    let none = design::Function { async_retries_max: setting(0), ..design::Function::default() };
    let mut script = script(AsynchronousPolicy::of(&profile, &none, FUNCTION), fails(1_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(10_000));
    assert_eq!((script.runs.len(), script.ended("dropped: attempts")), (1, 1));
}

#[test]
fn a_throttled_event_waits_from_1_second_to_5_minutes_and_loses_no_attempt() {
    let mut script = script(policy(), succeeds(1_000));
    script.concurrency_max = 0;
    script.send(at_s(0), message(1, 0));
    // 0, 1, 3, 7, 15, 31, 63, 127, 255, 511, then every 300 s.
    for (second, throttles) in [(0, 1), (1, 2), (3, 3), (7, 4), (511, 10), (811, 11), (1_111, 12)] {
        script.run_until(at_s(second));
        assert_eq!(script.throttles, throttles, "after {second} s");
    }
    script.concurrency_max = 1;
    script.run_until(at_s(2_000));
    assert_eq!((script.ended("done"), script.runs[0].batch[0].receives), (1, 1));
}

#[test]
fn an_event_that_was_throttled_for_6_hours_is_given_up_unsent() {
    let mut script = script(policy(), succeeds(1_000));
    script.concurrency_max = 0;
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(21_599));
    assert_eq!(script.part().waiting(), 1);
    script.run_until(at_s(21_600));
    assert_eq!((script.ended("dead: age"), script.part().waiting(), script.runs.len()), (1, 0, 0));
}

#[test]
fn without_a_place_for_failures_the_event_is_lost() {
    let mut script = script(AsynchronousPolicy { on_failure: vec![], ..policy() }, fails(10));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(1_000));
    assert_eq!(script.ended("dropped: attempts"), 1);
}

#[test]
fn on_success_hands_a_copy_on() {
    let on_success = Some(NodeNo(7));
    let mut script = script(AsynchronousPolicy { on_success, ..policy() }, succeeds(10));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(1));
    let (_, node, copy) = script.delivered[0];
    assert_eq!((node, copy.root, script.ended("done")), (NodeNo(7), 1, 1));
    assert_ne!(copy.id, 1);
}

#[test]
fn both_a_destination_and_a_dead_letter_queue_have_what_failed() {
    let on_failure = vec![NodeNo(7), NodeNo(8)];
    let mut script = script(AsynchronousPolicy { on_failure, ..policy() }, fails(10));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(1_000));
    let nodes: Vec<NodeNo> = script.delivered.iter().map(|(_, node, _)| *node).collect();
    assert_eq!((nodes, script.ended("dead: attempts")), (vec![NodeNo(7), NodeNo(8)], 1));
}

#[test]
fn a_recursion_stop_goes_to_the_dead_letters_at_once() {
    let stopped = |_: Time, _: &[Message]| (Span::ZERO, Verdict::Failed(FailureKind::HopLimit));
    let mut script = script(policy(), Box::new(stopped));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(1_000));
    assert_eq!((script.runs.len(), script.ended("dead: hops")), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_event_ends_exactly_once(
        arrivals in prop::collection::vec(0..500_000_u64, 1..80),
        concurrency_max in 0..5_usize,
        attempts_max in 1..4_u32,
        age_s in 60..2_000_u64,
        seed: u64,
    ) {
        let limits = AsynchronousPolicy { attempts_max, age_max: Span::from_secs(age_s), ..policy() };
        let mut draws = 0;
        let function = move |_: Time, _: &[Message]| {
            draws += 1;
            let draw = crate::message::spread(seed ^ draws);
            let verdict = if draw & 1 == 1 { Verdict::Done } else { Verdict::Failed(FailureKind::Trap) };
            (Span::from_millis(draw >> 48), verdict)
        };
        let mut script = script(limits, Box::new(function));
        script.concurrency_max = concurrency_max;
        for (id, millis) in arrivals.iter().enumerate() {
            script.send(Time(0).after(Span::from_millis(*millis)), message(id as u64, 0));
        }
        for second in (0..600).step_by(30) {
            script.run_until(at_s(second));
            let arrived = arrivals.iter().filter(|millis| **millis <= second * 1_000).count();
            let here = script.part().waiting() + script.part().in_flight();
            prop_assert_eq!(script.ends.len() + usize::try_from(here).unwrap(), arrived);
        }
        script.run_until(at_s(100_000));
        let mut ended: Vec<u64> = script.ends.iter().map(|end| end.message.id).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..arrivals.len() as u64).collect::<Vec<_>>());
        prop_assert!(script.runs.iter().all(|run| u32::from(run.batch[0].receives) <= attempts_max));
    }
}
