//! FIFO queues.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::message::TenantNo;

fn policy() -> QueuePolicy {
    let queue = design::Queue { fifo: true, ..design::Queue::default() };
    QueuePolicy::of(&aws(), &queue, Some((&Setting::Default, Some(NodeNo(1)))))
}

fn pollers() -> PollersPolicy {
    PollersPolicy::of(&aws(), &EventSource::default(), FUNCTION, true)
}

fn ids(script: &Script) -> Vec<Vec<u64>> {
    script.runs.iter().map(|run| run.batch.iter().map(|message| message.id).collect()).collect()
}

/// Whenever a message is handed out, all that were sent before it in its group have ended or are in the same
/// batch.
fn assert_in_order(script: &Script) {
    let ends: BTreeMap<u64, Time> = script.ends.iter().map(|end| (end.message.id, end.at)).collect();
    let mut sent: BTreeMap<TenantNo, BTreeSet<u64>> = BTreeMap::new();
    for message in script.runs.iter().flat_map(|run| &run.batch) {
        sent.entry(message.tenant).or_default().insert(message.id);
    }
    for run in &script.runs {
        let mut before: BTreeSet<u64> = BTreeSet::new();
        for message in &run.batch {
            let earlier = sent[&message.tenant].range(..message.id);
            for id in earlier.filter(|id| !before.contains(id)) {
                assert!(ends[id] <= run.at, "{} was begun while {id} had not ended", message.id);
            }
            before.insert(message.id);
        }
    }
}

#[test]
fn a_group_has_one_batch_in_flight_and_stays_in_order() {
    let mut script = standard(policy(), pollers(), succeeds(1_000));
    script.send_many(at_s(0), 0, 25);
    script.run_until(at_s(100));
    assert_eq!(script.running_peak, 1);
    assert_eq!(ids(&script).concat(), (0..25).collect::<Vec<_>>());
    assert!(script.runs.iter().all(|run| run.batch.len() <= 10));
    assert_eq!(script.ended("done"), 25);
}

#[test]
fn concurrency_is_at_most_the_number_of_groups() {
    let mut script = standard(policy(), pollers(), succeeds(1_000));
    for id in 0..280 {
        script.send(at_s(0), message(id, u32::try_from(id % 7).unwrap()));
    }
    script.run_until(at_s(100));
    assert_eq!(script.running_peak, 7);
    assert_eq!(script.ended("done"), 280);
    assert_in_order(&script);
}

#[test]
fn maximum_concurrency_holds_for_fifo_queues_too() {
    let bounded = PollersPolicy { max: 3, ..pollers() };
    let mut script = standard(policy(), bounded, succeeds(1_000));
    for id in 0..200 {
        script.send(at_s(0), message(id, u32::try_from(id % 20).unwrap()));
    }
    script.run_until(at_s(300));
    assert_eq!((script.running_peak, script.ended("done")), (3, 200));
}

#[test]
fn a_throttled_group_stays_blocked_until_visibility_ends() {
    let mut script = standard(policy(), pollers(), succeeds(100));
    script.concurrency_max = 0;
    script.send_many(at_s(0), 0, 3);
    script.run_until(at_s(29));
    // The first alone; those behind it wait for it.
    assert_eq!((script.part().in_flight(), script.part().waiting()), (1, 2));
    script.concurrency_max = 1;
    script.run_until(at_s(40));
    assert_eq!(ids(&script), [[0, 1, 2]]);
    assert_eq!(script.runs[0].batch[0].receives, 2);
}

#[test]
fn a_failed_message_blocks_its_group_and_no_other_until_the_dead_letters() {
    let poison = |_: Time, batch: &[Message]| {
        let failed = batch.iter().any(|message| message.id == 0);
        (Span::from_millis(100), if failed { Verdict::Failed(FailureKind::Trap) } else { Verdict::Done })
    };
    let mut script = standard(policy(), pollers(), Box::new(poison));
    script.send(at_s(0), message(0, 1));
    script.send(at_s(1), message(1, 1));
    script.send(at_s(1), message(2, 2));
    script.run_until(at_s(299));
    assert_eq!(script.ended("done"), 1);
    script.run_until(at_s(600));
    // The second was received with the first from the second delivery on: it is left over when the first is
    // dead.
    assert_eq!((script.ended("dead: receives"), script.ended("done")), (1, 2));
    assert_in_order(&script);
}

#[test]
fn after_the_first_failure_a_partial_batch_comes_back_from_there() {
    let third = |now: Time, batch: &[Message]| {
        let failed = batch.iter().position(|message| message.id == 3 && now < at_s(20));
        (Span::from_millis(100), Verdict::Partly(failed.into_iter().collect()))
    };
    let partial = PollersPolicy { partial_failures: true, max: 1, ..pollers() };
    let mut script = standard(policy(), partial, Box::new(third));
    script.send_many(at_s(0), 0, 8);
    script.run_until(at_s(100));
    assert_eq!(ids(&script), [vec![0], vec![1, 2, 3, 4, 5, 6, 7], vec![3, 4, 5, 6, 7]]);
    assert_eq!(script.ended("done"), 8);
}

#[test]
fn more_than_300_sends_a_second_are_refused() {
    let mut script = standard(policy(), pollers(), succeeds(10));
    script.send_many(at_s(5), 0, 301);
    script.run_until(at_s(5));
    assert_eq!(script.ended("refused: rate"), 1);
    script.send_many(at_s(6), 400, 300);
    script.run_until(at_s(20));
    assert_eq!((script.ended("refused: rate"), script.ended("done")), (1, 600));
}

#[test]
fn high_throughput_takes_70_000_a_second() {
    let queue = design::Queue { fifo: true, high_throughput: setting(true), ..design::Queue::default() };
    assert_eq!(QueuePolicy::of(&aws(), &queue, None).fifo.unwrap().sends_per_s, 70_000);
}

#[test]
fn at_most_300_receives_a_second() {
    let fast = FifoPolicy { sends_per_s: 9_000, receives_per_s: 300, dedup_window: Span::from_secs(300) };
    let fast = QueuePolicy { fifo: Some(fast), ..policy() };
    let mut script = standard(fast, PollersPolicy { batch_max: 1, ..pollers() }, succeeds(1));
    for id in 0..900 {
        script.send(at_s(0), message(id, u32::try_from(id).unwrap()));
    }
    // The bucket is full at first.
    script.run_until(at_s(1));
    assert_eq!(script.runs.len(), 600);
    script.run_until(at_s(2));
    assert_eq!(script.runs.len(), 900);
}

#[test]
fn a_message_that_was_sent_within_5_minutes_is_taken_and_not_delivered() {
    let mut script = standard(policy(), pollers(), succeeds(100));
    for second in [0, 1, 299] {
        script.send(at_s(second), message(1, 0));
    }
    script.send(at_s(2), message(2, 0));
    script.run_until(at_s(299));
    assert_eq!(ids(&script), [[1], [2]]);
    assert_eq!(script.ended("done"), 4, "its sender is told that it was sent");
    // The window is that of the message that was delivered.
    script.send(at_s(300), message(1, 0));
    script.run_until(at_s(400));
    assert_eq!(ids(&script), [[1], [2], [1]]);
}
