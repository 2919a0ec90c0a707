//! Nothing is lost and nothing ends twice, whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A function whose durations and verdicts follow from numbers.
fn random(seed: u64) -> Function {
    let mut draws = 0;
    Box::new(move |_, batch| {
        draws += 1;
        let draw = crate::message::spread(seed ^ draws);
        let verdict = match draw % 5 {
            0 => Verdict::Failed(FailureKind::Trap),
            1 => Verdict::Partly((0..batch.len()).filter(|at| (draw >> (at % 32)) & 1 == 1).collect()),
            2 => Verdict::Partly(vec![0, 0, usize::MAX]),
            _ => Verdict::Done,
        };
        (Span::from_millis((draw >> 8) % 50_000), verdict)
    })
}

#[derive(Debug, Clone)]
struct Case {
    fifo: bool,
    partial_failures: bool,
    batch_max: u32,
    window_s: u64,
    delay_s: u64,
    retention_s: u64,
    receives_max: u32,
    in_flight_max: u64,
    concurrency_max: usize,
    mappings: usize,
    arrivals: Vec<(u64, u32)>,
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let policy = (any::<bool>(), any::<bool>(), 1..12_u32, 0..40_u64, 0..3_u64);
    let limits = (60..2_000_u64, 1..4_u32, 1..40_u64, 0..12_usize, 1..3_usize);
    let traffic = (prop::collection::vec((0..400_000_u64, 0..4_u32), 1..120), any::<u64>());
    (policy, limits, traffic).prop_map(|(policy, limits, (arrivals, seed))| Case {
        fifo: policy.0,
        partial_failures: policy.1,
        batch_max: policy.2,
        window_s: policy.3,
        delay_s: policy.4 * 7,
        retention_s: limits.0,
        receives_max: limits.1,
        in_flight_max: limits.2,
        concurrency_max: limits.3,
        mappings: limits.4,
        arrivals,
        seed,
    })
}

fn play(case: &Case) -> Script {
    let design = design::Queue { fifo: case.fifo, ..design::Queue::default() };
    let policy = QueuePolicy {
        delay: Span::from_secs(case.delay_s),
        retention: Span::from_secs(case.retention_s),
        redrive: Some(Redrive { receives_max: case.receives_max, to: Some(NodeNo(1)) }),
        in_flight_max: case.in_flight_max,
        ..QueuePolicy::of(&aws(), &design, None)
    };
    let pollers = PollersPolicy {
        batch_max: case.batch_max,
        window: Span::from_secs(if case.fifo { 0 } else { case.window_s }),
        partial_failures: case.partial_failures,
        ..PollersPolicy::of(&aws(), &EventSource::default(), FUNCTION, case.fifo)
    };
    let queue = Queue::new(policy, vec![pollers; case.mappings]);
    let mut script = Script::new(queue, random(case.seed));
    script.concurrency_max = case.concurrency_max;
    for (id, (millis, tenant)) in case.arrivals.iter().enumerate() {
        script.send(Time(0).after(Span::from_millis(*millis)), message(id as u64, *tenant));
    }
    script
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn every_message_ends_exactly_once(case in case()) {
        let mut script = play(&case);
        for second in (0..3_000).step_by(7) {
            script.run_until(at_s(second));
            let arrived = case.arrivals.iter().filter(|(millis, _)| *millis <= second * 1_000).count();
            let here = script.part().waiting() + script.part().in_flight();
            prop_assert_eq!(script.ends.len() + usize::try_from(here).unwrap(), arrived);
            prop_assert!(script.part().in_flight() <= case.in_flight_max);
        }
        script.run_until(at_s(10_000));
        let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
        for end in &script.ends {
            *ends.entry(end.message.id).or_default() += 1;
        }
        prop_assert_eq!(ends.len(), case.arrivals.len());
        prop_assert!(ends.values().all(|times| *times == 1));
        let most = script.runs.iter().flat_map(|run| &run.batch).map(|message| message.receives).max();
        prop_assert!(u32::from(most.unwrap_or(0)) <= case.receives_max);
    }

    #[test]
    fn the_same_history_gives_the_same_runs(case in case()) {
        let runs = || {
            let mut script = play(&case);
            script.run_until(at_s(10_000));
            (format!("{:?}", script.runs), format!("{:?}", script.ends))
        };
        prop_assert_eq!(runs(), runs());
    }
}
