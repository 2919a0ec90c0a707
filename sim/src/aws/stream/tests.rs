//! A test for each documented behaviour, named after it.

use flyball_core::FailureKind;
use proptest::prelude::*;

use super::*;
use crate::aws::script::*;

fn aws() -> Profile {
    Profile::built_in("aws").unwrap()
}

fn reader() -> ReaderPolicy {
    let at_once = ReaderPolicy::of(&aws(), &EventSource::default(), FUNCTION, false, Some(NodeNo(1)));
    ReaderPolicy { poll: Span::ZERO, ..at_once }
}

fn stream(shards: u32, mappings: Vec<ReaderPolicy>, function: Function) -> Script {
    let policy = StreamPolicy::of(&aws(), &design::Stream::default(), shards, mappings);
    Script::new(Stream::new(policy), function)
}

fn ids(script: &Script) -> Vec<Vec<u64>> {
    script.runs.iter().map(|run| run.batch.iter().map(|message| message.id).collect()).collect()
}

/// Fails every batch that has this record in it.
fn poisoned(id: u64) -> Function {
    Box::new(move |_, batch| {
        let bad = batch.iter().any(|message| message.id == id);
        (Span::from_millis(10), if bad { Verdict::Failed(FailureKind::Trap) } else { Verdict::Done })
    })
}

#[test]
fn a_shard_has_one_batch_at_once_and_stays_in_order() {
    let mut script = stream(1, vec![reader()], succeeds(100));
    script.send_many(at_s(0), 0, 250);
    script.run_until(at_s(10));
    assert_eq!((script.running_peak, script.ended("done")), (1, 250));
    assert_eq!(ids(&script).concat(), (0..250).collect::<Vec<_>>());
    assert!(script.runs.iter().all(|run| run.batch.len() <= 100));
}

#[test]
fn concurrency_is_shards_times_parallelization() {
    let wide = ReaderPolicy { parallelization: 4, batch_max: 1, ..reader() };
    let mut script = stream(3, vec![wide], succeeds(1_000));
    for id in 0..600 {
        script.send(at_s(0), message(id, u32::try_from(id % 60).unwrap()));
    }
    script.run_until(at_s(1_000));
    assert_eq!((script.running_peak, script.ended("done")), (12, 600));
}

#[test]
fn a_failing_batch_blocks_its_shard_and_no_other() {
    let mut script = stream(16, vec![reader()], poisoned(0));
    for id in 0..200 {
        script.send(at_s(1 + id), message(id, u32::try_from(id % 20).unwrap()));
    }
    script.run_until(at_s(3_600));
    let blocked = script.part().waiting();
    assert!((10..100).contains(&blocked), "{blocked} records are blocked");
    assert_eq!(script.ended("done") as u64, 200 - blocked);
    assert_eq!(script.part().oldest(), Some(at_s(1)));
}

#[test]
fn a_blocked_record_ends_with_the_retention() {
    let mut script = stream(1, vec![reader()], poisoned(0));
    script.send(at_s(0), message(0, 0));
    script.send(at_s(1_000), message(1, 0));
    script.run_until(at_s(86_399));
    assert_eq!(script.ends.len(), 0);
    // The next try after that.
    script.run_until(at_s(86_500));
    assert_eq!((script.ended("dropped: retention"), script.ended("done")), (1, 1));
}

#[test]
fn maximum_retry_attempts_ends_a_batch_and_its_records_go_to_the_destination() {
    let source = EventSource { retries_max: setting(2), ..EventSource::default() };
    let twice = ReaderPolicy::of(&aws(), &source, FUNCTION, false, Some(NodeNo(1)));
    assert_eq!(twice.attempts_max, Some(3));
    let mut script = stream(1, vec![twice], poisoned(3));
    script.send_many(at_s(0), 0, 5);
    script.send_many(at_s(30), 10, 5);
    script.run_until(at_s(100));
    assert_eq!((script.ended("dead: attempts"), script.ended("done"), script.runs.len()), (5, 5, 4));
}

#[test]
fn maximum_record_age_gives_old_records_up() {
    let source = EventSource { age_max_s: setting(60), ..EventSource::default() };
    let aged = ReaderPolicy::of(&aws(), &source, FUNCTION, false, Some(NodeNo(1)));
    let mut script = stream(1, vec![aged], poisoned(0));
    script.send(at_s(0), message(0, 0));
    script.send(at_s(50), message(1, 0));
    script.run_until(at_s(200));
    assert_eq!((script.ended("dead: age"), script.ended("done")), (1, 1));
}

#[test]
fn bisect_finds_the_record_that_fails_and_the_others_pass() {
    let bisect = ReaderPolicy { bisect: true, attempts_max: Some(2), window: Span::from_secs(1), ..reader() };
    let mut script = stream(1, vec![bisect], poisoned(5));
    script.send_many(at_s(0), 0, 8);
    script.run_until(at_s(100));
    assert_eq!((script.ended("dead: attempts"), script.ended("done")), (1, 7));
    let sizes: Vec<usize> = ids(&script).iter().map(Vec::len).collect();
    assert_eq!(sizes, [8, 4, 4, 2, 1, 1, 1, 2]);
    assert_eq!(script.ends.iter().find(|end| end.how != "done").unwrap().message.id, 5);
}

#[test]
fn partial_failures_begin_again_at_the_first_record_that_failed() {
    let once = |now: Time, batch: &[Message]| {
        let at = batch.iter().position(|message| message.id == 3 && now < at_s(2));
        (Span::from_millis(10), Verdict::Partly(at.into_iter().collect()))
    };
    let partial = ReaderPolicy { partial_failures: true, window: Span::from_secs(1), ..reader() };
    let mut script = stream(1, vec![partial], Box::new(once));
    script.send_many(at_s(0), 0, 6);
    script.run_until(at_s(100));
    assert_eq!(ids(&script)[..2], [vec![0, 1, 2, 3, 4, 5], vec![3, 4, 5]]);
    assert_eq!(script.ended("done"), 6);
}

#[test]
fn a_throttled_batch_is_tried_again_and_spends_no_attempt() {
    let once = ReaderPolicy { attempts_max: Some(1), ..reader() };
    let mut script = stream(1, vec![once], succeeds(10));
    script.concurrency_max = 0;
    script.send(at_s(0), message(0, 0));
    script.run_until(at_s(1_000));
    assert!(script.throttles > 10);
    script.concurrency_max = 1;
    script.run_until(at_s(2_000));
    assert_eq!((script.ended("done"), script.runs[0].batch[0].receives), (1, 1));
}

#[test]
fn a_shard_takes_1_000_records_and_1_mebibyte_a_second_and_refuses_more() {
    let mut script = stream(1, vec![reader()], succeeds(10));
    script.send_many(at_s(5), 0, 1_010);
    script.run_until(at_s(5));
    assert_eq!(script.ended("refused: rate"), 10);
    for id in 2_000..2_005 {
        script.send(at_s(10), Message { bytes: 262_144, ..message(id, 0) });
    }
    script.run_until(at_s(20));
    assert_eq!((script.ended("refused: bytes"), script.ended("done")), (1, 1_004));
    let of_table = design::Stream { of_table: true, ..design::Stream::default() };
    assert_eq!(StreamPolicy::of(&aws(), &of_table, 1, Vec::new()).takes, None);
}

#[test]
fn a_batch_waits_for_its_window_unless_it_is_full() {
    let windowed = ReaderPolicy { window: Span::from_secs(30), batch_max: 4, ..reader() };
    let mut script = stream(1, vec![windowed], succeeds(10));
    for id in 0..5 {
        script.send(at_s(id), message(id, 0));
    }
    script.run_until(at_s(100));
    let at: Vec<u64> = script.runs.iter().map(|run| run.at.as_millis()).collect();
    // Full at 3 s; the fifth came at 4 s.
    assert_eq!((at, ids(&script)), (vec![3_000, 34_000], vec![vec![0, 1, 2, 3], vec![4]]));
}

#[test]
fn an_idle_shard_is_looked_at_once_a_second() {
    let polled = ReaderPolicy::of(&aws(), &EventSource::default(), FUNCTION, false, None);
    let mut script = stream(1, vec![polled], succeeds(10));
    for id in 0..10 {
        script.send(Time(0).after(Span::from_millis(id * 50)), message(id, 0));
    }
    script.run_until(at_s(10));
    assert_eq!(ids(&script), [(0..10).collect::<Vec<_>>()]);
}

#[test]
fn every_mapping_reads_every_record() {
    let mut script = stream(2, vec![reader(), reader()], succeeds(10));
    script.send_many(at_s(0), 0, 100);
    script.run_until(at_s(100));
    let roots: Vec<u64> = script.runs.iter().flat_map(|run| &run.batch).map(|message| message.root).collect();
    assert_eq!(roots.len(), 200);
    // A hundred are copied on, and each copy is handled.
    assert_eq!(script.ended("done"), 300);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_record_ends_exactly_once_and_in_order(
        arrivals in prop::collection::vec((0..300_000_u64, 0..6_u32), 1..120),
        (bisect, partial_failures, attempts_max) in (any::<bool>(), any::<bool>(), 1..4_u32),
        (parallelization, batch_max, window_s) in (1..4_u32, 1..20_u32, 0..10_u64),
        (concurrency_max, seed, age_s) in (0..6_usize, any::<u64>(), 20..400_u64),
    ) {
        let policy = ReaderPolicy {
            bisect, partial_failures, attempts_max: Some(attempts_max), parallelization, batch_max,
            window: Span::from_secs(window_s), age_max: Some(Span::from_secs(age_s)), ..reader()
        };
        let mut draws = 0;
        let function = move |_: Time, batch: &[Message]| {
            draws += 1;
            let draw = spread(seed ^ draws);
            let verdict = match draw % 4 {
                0 => Verdict::Failed(FailureKind::Trap),
                1 => Verdict::Partly(vec![(draw >> 8) as usize % (batch.len() + 1)]),
                _ => Verdict::Done,
            };
            (Span::from_millis((draw >> 8) % 3_000), verdict)
        };
        let mut script = stream(2, vec![policy], Box::new(function));
        script.concurrency_max = concurrency_max;
        let mut sorted = arrivals;
        sorted.sort_unstable();
        for (id, (millis, tenant)) in sorted.iter().enumerate() {
            script.send(Time(0).after(Span::from_millis(*millis)), message(id as u64, *tenant));
        }
        for second in (0..600).step_by(11) {
            script.run_until(at_s(second));
            let arrived = sorted.iter().filter(|(millis, _)| *millis <= second * 1_000).count();
            let here = script.part().waiting() + script.part().in_flight();
            prop_assert_eq!(script.ends.len() + usize::try_from(here).unwrap(), arrived);
        }
        script.run_until(at_s(100_000));
        let mut ended: Vec<u64> = script.ends.iter().map(|end| end.message.id).collect();
        for tenant in 0..6 {
            let of = script.ends.iter().map(|end| end.message).filter(|message| message.tenant.0 == tenant);
            let of: Vec<u64> = of.map(|message| message.id).collect();
            prop_assert!(of.is_sorted(), "{of:?}");
        }
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..sorted.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_mapping_goes_past_what_its_filter_keeps_out() {
    let filtered = ReaderPolicy { share: 0.25, ..reader() };
    let mut script = stream(1, vec![filtered], succeeds(10));
    for id in 0..4_000 {
        script.send(Time(id * 10_000), message(id, 0));
    }
    script.run_until(at_s(1_000));
    let invoked: usize = script.runs.iter().map(|run| run.batch.len()).sum();
    assert!((900..1_100).contains(&invoked), "{invoked} of 4,000 pass");
    assert_eq!((script.ended("done"), script.part().waiting()), (4_000, 0));
}
