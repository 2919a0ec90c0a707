//! A test for each documented behaviour, named after it.

mod fifo;
mod random;

use flyball_app::{design::EventSource, profile::Profile};
use flyball_core::{FailureKind, Span};

use super::*;
use crate::aws::script::*;

fn aws() -> Profile {
    Profile::built_in("aws").unwrap()
}

fn policy() -> QueuePolicy {
    QueuePolicy::of(&aws(), &design::Queue::default(), None)
}

fn redrive(receives_max: u32) -> QueuePolicy {
    QueuePolicy { redrive: Some(Redrive { receives_max, to: Some(NodeNo(1)) }), ..policy() }
}

fn pollers() -> PollersPolicy {
    PollersPolicy::of(&aws(), &EventSource::default(), FUNCTION, false)
}

fn standard(policy: QueuePolicy, pollers: PollersPolicy, function: Function) -> Script {
    let mut script = Script::new(Queue::new(policy, [pollers]), function);
    let parking = QueuePolicy { redrive: None, fifo: None, delay: Span::ZERO, ..policy };
    script.add_part(NodeNo(1), Queue::new(parking, []));
    script
}

fn starts(script: &Script) -> Vec<u64> {
    script.runs.iter().map(|run| run.at.as_millis()).collect()
}

#[test]
fn a_message_that_is_handled_is_deleted() {
    let mut script = standard(policy(), pollers(), succeeds(100));
    script.send_many(at_s(0), 0, 3);
    script.run_until(at_s(1_000));
    assert_eq!(script.ended("done"), 3);
    assert_eq!((script.part().waiting(), script.part().in_flight()), (0, 0));
    assert_eq!(script.part().oldest(), None);
}

#[test]
fn an_arrival_wakes_an_idle_poller_and_idle_pollers_cost_nothing() {
    let mut script = standard(policy(), pollers(), succeeds(100));
    script.send(at_s(5), message(1, 0));
    script.run_until(at_s(100_000));
    assert_eq!(starts(&script), [5_000]);
    // The arrival, the answer, and the one timer at the end of the visibility timeout.
    assert!(script.steps <= 4, "{}", script.steps);
}

#[test]
fn a_failed_batch_comes_back_when_visibility_ends() {
    let mut script = standard(policy(), pollers(), fails(1_000));
    script.send_many(at_s(0), 0, 1);
    script.run_until(at_s(100));
    assert_eq!(starts(&script), [0, 30_000, 60_000, 90_000]);
    assert_eq!(script.runs[3].batch[0].receives, 4);
}

#[test]
fn after_max_receives_a_message_goes_to_the_dead_letters_at_the_next_receive() {
    let mut script = standard(redrive(3), pollers(), fails(1_000));
    script.send(at_s(0), message(7, 0));
    script.run_until(at_s(89));
    assert_eq!(script.ended("dead: receives"), 0);
    script.run_until(at_s(91));
    assert_eq!(script.runs.len(), 3);
    assert_eq!(script.ended("dead: receives"), 1);
    assert_eq!(script.parts[&NodeNo(1)].waiting(), 1);
}

#[test]
fn a_message_without_takers_is_dropped_when_retention_ends() {
    let short = QueuePolicy { retention: Span::from_secs(60), ..policy() };
    let mut script = Script::new(Queue::new(short, []), succeeds(1));
    script.send(at_s(0), message(1, 0));
    script.send(at_s(30), message(2, 0));
    script.run_until(at_s(60));
    assert_eq!((script.ended("dropped: retention"), script.part().waiting()), (1, 1));
    script.run_until(at_s(90));
    assert_eq!((script.ended("dropped: retention"), script.part().waiting()), (2, 0));
}

#[test]
fn a_message_in_flight_when_retention_ends_is_dropped_when_it_would_come_back() {
    let short = QueuePolicy { retention: Span::from_secs(20), ..policy() };
    let mut script = standard(short, pollers(), fails(1_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(29));
    assert_eq!(script.ends.len(), 0);
    script.run_until(at_s(30));
    assert_eq!(script.ended("dropped: retention"), 1);
}

#[test]
fn a_delayed_message_is_received_when_its_delay_ends() {
    let slow = QueuePolicy { delay: Span::from_secs(45), ..policy() };
    let mut script = standard(slow, pollers(), succeeds(100));
    script.send(at_s(1), message(1, 0));
    script.run_until(at_s(45));
    assert_eq!(script.part().waiting(), 1);
    script.run_until(at_s(100));
    assert_eq!(starts(&script), [46_000]);
}

#[test]
fn work_longer_than_visibility_is_done_twice_and_the_old_receipt_deletes_nothing() {
    let mut script = standard(policy(), pollers(), succeeds(40_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(69));
    assert_eq!(starts(&script), [0, 30_000, 60_000]);
    // The first run ended at 40 s; its receipt was no longer the newest.
    assert_eq!(script.ended("done"), 0);
    let once_long = move |now: Time, _: &[Message]| {
        let millis = if now < at_s(30) { 35_000 } else { 1 };
        (Span::from_millis(millis), Verdict::Done)
    };
    let mut script = standard(policy(), pollers(), Box::new(once_long));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(1_000));
    assert_eq!((script.runs.len(), script.ended("done")), (2, 1));
}

#[test]
fn a_receipt_deletes_a_message_that_has_come_back_and_was_not_received_again() {
    let mut one = pollers();
    one.max = 1;
    let mut script = standard(policy(), one, succeeds(40_000));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(1_000));
    assert_eq!((script.runs.len(), script.ended("done")), (1, 1));
}

#[test]
fn in_flight_messages_are_limited_to_120_000() {
    assert_eq!(policy().in_flight_max, 120_000);
    let few = QueuePolicy { in_flight_max: 7, delay: Span::from_secs(1), ..policy() };
    let mut script = standard(few, pollers(), succeeds(1_000));
    script.send_many(at_s(0), 0, 20);
    script.run_until(at_s(1));
    assert_eq!((script.part().in_flight(), script.part().waiting()), (7, 13));
    script.run_until(at_s(10));
    assert_eq!(script.ended("done"), 20);
}

#[test]
fn a_batch_goes_when_it_is_full() {
    let batched = PollersPolicy { batch_max: 4, window: Span::from_secs(300), ..pollers() };
    let long = QueuePolicy { visibility: Span::from_secs(600), ..policy() };
    let mut script = standard(long, batched, succeeds(10));
    for id in 0..4 {
        script.send(at_s(id), message(id, 0));
    }
    script.run_until(at_s(1_000));
    assert_eq!(starts(&script), [3_000]);
    assert_eq!(script.runs[0].batch.len(), 4);
}

#[test]
fn a_batch_goes_when_its_window_ends() {
    let batched = PollersPolicy { batch_max: 100, window: Span::from_secs(20), ..pollers() };
    let mut script = standard(policy(), batched, succeeds(10));
    for id in 0..5 {
        script.send(at_s(10 + id), message(id, 0));
    }
    script.run_until(at_s(1_000));
    assert_eq!(starts(&script), [30_000]);
    assert_eq!((script.runs[0].batch.len(), script.ended("done")), (5, 5));
}

#[test]
fn a_batch_goes_at_6_megabytes() {
    let batched = PollersPolicy { batch_max: 10_000, window: Span::from_secs(20), ..pollers() };
    assert_eq!(batched.batch_bytes_max, 6 * 1_048_576);
    let mut script = standard(policy(), batched, succeeds(10));
    for id in 0..10 {
        script.send(at_s(1), Message { bytes: 1_048_576, ..message(id, 0) });
    }
    script.run_until(at_s(100));
    let sizes: Vec<usize> = script.runs.iter().map(|run| run.batch.len()).collect();
    assert_eq!((sizes, starts(&script)), (vec![6, 4], vec![1_000, 21_000]));
}

#[test]
fn without_a_window_a_batch_has_at_most_10_messages_and_goes_at_once() {
    let wide = EventSource { batch_max: setting(500), ..EventSource::default() };
    let unwindowed = PollersPolicy::of(&aws(), &wide, FUNCTION, false);
    let mut script = standard(policy(), unwindowed, succeeds(10));
    script.send_many(at_s(1), 0, 25);
    script.run_until(at_s(100));
    let sizes: Vec<usize> = script.runs.iter().map(|run| run.batch.len()).collect();
    // Five pollers are idle: the first five messages find one each, the rest waits for them.
    assert_eq!(sizes, [1, 1, 1, 1, 1, 10, 10]);
}

#[test]
fn concurrent_batches_begin_at_5_grow_by_300_a_minute_and_end_at_1_250() {
    let mut one = pollers();
    one.batch_max = 1;
    let long = QueuePolicy { visibility: Span::from_secs(40_000), ..policy() };
    let mut script = standard(long, one, succeeds(10_000_000));
    script.send_many(at_s(0), 0, 2_000);
    for (second, running) in [(0, 5), (60, 305), (120, 605), (240, 1_205), (249, 1_250), (3_600, 1_250)] {
        script.run_until(at_s(second));
        assert_eq!(script.running, running, "after {second} s");
    }
}

#[test]
fn an_idle_mapping_falls_back_to_5() {
    let mut one = pollers();
    one.batch_max = 1;
    let mut script = standard(policy(), one, succeeds(5_000));
    script.send_many(at_s(0), 0, 1_000);
    script.run_until(at_s(600));
    assert!(script.running_peak > 100, "{}", script.running_peak);
    assert_eq!(script.ended("done"), 1_000);
    script.send_many(at_s(600), 1_000, 100);
    script.run_until(at_s(600));
    assert_eq!(script.running, 5);
}

#[test]
fn provisioned_pollers_have_ten_batches_each_and_grow_by_1_000_a_minute() {
    let source = EventSource { provisioned_pollers: true, ..EventSource::default() };
    let provisioned = PollersPolicy { batch_max: 1, ..PollersPolicy::of(&aws(), &source, FUNCTION, false) };
    let long = QueuePolicy { visibility: Span::from_secs(40_000), ..policy() };
    let mut script = standard(long, provisioned, succeeds(10_000_000));
    script.send_many(at_s(0), 0, 3_000);
    script.run_until(at_s(0));
    assert_eq!(script.running, 20);
    script.run_until(at_s(60));
    assert_eq!(script.running, 1_020);
    script.run_until(at_s(600));
    assert_eq!(script.running, 2_000);
}

#[test]
fn maximum_concurrency_is_never_passed_and_nothing_is_throttled() {
    let source = EventSource { concurrency_max: setting(8), ..EventSource::default() };
    let bounded = PollersPolicy::of(&aws(), &source, FUNCTION, false);
    let mut script = standard(redrive(2), bounded, succeeds(2_000));
    script.concurrency_max = 8;
    script.send_many(at_s(0), 0, 3_000);
    script.run_until(at_s(3_600));
    assert_eq!((script.running_peak, script.throttles), (8, 0));
    assert_eq!((script.ended("done"), script.ended("dead: receives")), (3_000, 0));
}

#[test]
fn a_healthy_function_reaches_its_dead_letters_by_throttling_alone() {
    let mut script = standard(redrive(3), pollers(), succeeds(20_000));
    script.concurrency_max = 1;
    script.send_many(at_s(0), 0, 500);
    script.run_until(at_s(3_600));
    let (done, dead) = (script.ended("done"), script.ended("dead: receives"));
    assert_eq!(done + dead, 500);
    assert!(dead > 50, "{dead} of 500 in the dead letters");
    assert_eq!(script.parts[&NodeNo(1)].waiting(), dead as u64);
    // The same function with MaximumConcurrency at its reservation loses none.
    let bounded = PollersPolicy { max: 1, start: 1, ..pollers() };
    let mut script = standard(redrive(3), bounded, succeeds(20_000));
    script.concurrency_max = 1;
    script.send_many(at_s(0), 0, 500);
    script.run_until(at_s(3_600));
    assert_eq!((script.ended("done"), script.ended("dead: receives")), (500, 0));
}

#[test]
fn a_throttled_batch_is_tried_again_until_its_visibility_ends_and_then_comes_back() {
    let mut script = standard(policy(), pollers(), succeeds(100));
    script.concurrency_max = 0;
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(29));
    // At 0, 1, 3, 7 and 15 s: one delivery.
    assert_eq!((script.throttles, script.part().in_flight()), (5, 1));
    script.run_until(at_s(31));
    script.concurrency_max = 1;
    script.run_until(at_s(40));
    assert_eq!(script.runs[0].batch[0].receives, 2);
}

#[test]
fn partial_failures_bring_back_only_what_failed() {
    let half = |_: Time, batch: &[Message]| {
        let failed = (0..batch.len()).filter(|at| batch[*at].id % 2 == 1).collect();
        (Span::from_millis(100), Verdict::Partly(failed))
    };
    let partial = PollersPolicy { partial_failures: true, ..pollers() };
    let mut script = standard(redrive(2), partial, Box::new(half));
    script.send_many(at_s(0), 0, 100);
    script.run_until(at_s(300));
    assert_eq!((script.ended("done"), script.ended("dead: receives")), (50, 50));
    assert!(script.ends.iter().all(|end| (end.how == "done") == (end.message.id % 2 == 0)));
}

#[test]
fn without_report_batch_item_failures_a_partial_answer_is_a_success() {
    let all_failed =
        |_: Time, batch: &[Message]| (Span::from_millis(100), Verdict::Partly((0..batch.len()).collect()));
    let mut script = standard(redrive(2), pollers(), Box::new(all_failed));
    script.send_many(at_s(0), 0, 20);
    script.run_until(at_s(300));
    assert_eq!(script.ended("done"), 20);
}

#[test]
fn pollers_back_off_on_errors_but_not_under_partial_failures() {
    let peak_of = |partial_failures| {
        let errors = PollersPolicy { batch_max: 1, partial_failures, ..pollers() };
        let mut script = standard(policy(), errors, fails(20_000));
        script.send_many(at_s(0), 0, 2_000);
        script.run_until(at_s(300));
        script.running_peak
    };
    assert!(peak_of(true) > 4 * peak_of(false), "{} {}", peak_of(true), peak_of(false));
}

#[test]
fn a_recursion_stop_is_retried_until_max_receives() {
    let stopped = |_: Time, _: &[Message]| (Span::ZERO, Verdict::Failed(FailureKind::HopLimit));
    let mut script = standard(redrive(2), pollers(), Box::new(stopped));
    script.send(at_s(0), message(1, 0));
    script.run_until(at_s(61));
    assert_eq!((starts(&script), script.ended("dead: receives")), (vec![0, 30_000], 1));
}

#[test]
fn mappings_of_one_queue_share_it() {
    let mut script = Script::new(Queue::new(policy(), [pollers(), pollers()]), succeeds(10_000));
    script.send_many(at_s(0), 0, 10);
    script.run_until(at_s(0));
    assert_eq!(script.running, 10);
}

#[test]
fn what_a_filter_keeps_out_is_deleted_and_reaches_no_function() {
    let filtered = PollersPolicy { share: 0.25, ..pollers() };
    let mut script = standard(policy(), filtered.clone(), succeeds(100));
    script.send_many(at_s(0), 0, 10_000);
    script.run_until(at_s(10_000));
    let invoked: usize = script.runs.iter().map(|run| run.batch.len()).sum();
    assert!((2_300..2_700).contains(&invoked), "{invoked} of 10,000 pass");
    assert_eq!((script.ended("done"), script.part().waiting()), (10_000, 0));
    // A message passes at each of its deliveries or at none.
    let mut failing = standard(redrive(3), filtered, fails(100));
    failing.send_many(at_s(0), 0, 1_000);
    failing.run_until(at_s(10_000));
    let dead = failing.ended("dead: receives");
    assert!((200..300).contains(&dead) && dead + failing.ended("done") == 1_000, "{dead} are dead letters");
}
