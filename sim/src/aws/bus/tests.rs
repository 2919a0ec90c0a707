//! A test for each documented behaviour, named after it.

use super::*;
use crate::aws::script::*;

fn aws() -> Profile {
    Profile::built_in("aws").unwrap()
}

fn to(node: u32) -> TargetPolicy {
    target(&aws(), &Target::default(), NodeNo(node), None)
}

fn bus(rules: Vec<RulePolicy>) -> Script {
    Script::new(Bus::new(BusPolicy::of(&aws(), rules)), succeeds(1))
}

#[test]
fn each_rule_that_matches_hands_the_event_to_all_its_targets() {
    let rules = vec![
        RulePolicy { share: 1.0, targets: vec![to(1), to(2)] },
        RulePolicy { share: 0.5, targets: vec![to(3), to(4)] },
    ];
    let mut script = bus(rules);
    script.send_many(at_s(0), 0, 2_000);
    script.run_until(at_s(10));
    let roots = |node: u32| {
        let to_it = script.delivered.iter().filter(move |(_, to, _)| *to == NodeNo(node));
        to_it.map(|(_, _, copy)| copy.root).collect::<std::collections::BTreeSet<u64>>()
    };
    assert_eq!((roots(1).len(), roots(2).len(), script.ended("done")), (2_000, 2_000, 2_000));
    assert!((900..1_100).contains(&roots(3).len()), "{}", roots(3).len());
    assert_eq!(roots(3), roots(4));
}

#[test]
fn above_18_750_invocations_a_second_events_are_delayed_and_not_lost() {
    let targets = (1..=5).map(to).collect();
    let mut script = bus(vec![RulePolicy { share: 1.0, targets }]);
    script.send_many(at_s(1), 0, 7_500);
    script.run_until(at_s(2));
    assert_eq!(script.delivered.len(), 18_751);
    script.run_until(at_s(3));
    assert_eq!(script.delivered.len(), 37_500);
}

#[test]
fn above_10_000_puts_a_second_events_are_refused() {
    let mut script = bus(Vec::new());
    script.send_many(at_s(1), 0, 10_010);
    script.run_until(at_s(1));
    assert_eq!((script.ended("done"), script.ended("refused: rate")), (10_000, 10));
}

#[test]
fn a_target_is_tried_185_times_again_within_24_hours() {
    let RetryPolicy::Bus { retries_max, age_max } = to(1).retry else { panic!("a bus's own policy") };
    assert_eq!((retries_max, age_max), (185, Span::from_secs(86_400)));
    let waits: Vec<u64> =
        (1..).map_while(|failed| to(1).retry.wait(failed)).map(|wait| wait.0 / 1_000_000).collect();
    assert_eq!((waits.len(), &waits[..4]), (185, &[1, 2, 4, 8][..]));
    assert!((80_000..=86_400).contains(&waits.iter().sum::<u64>()));
    let short = Target { age_max_s: setting(60), ..Target::default() };
    let policy = target(&aws(), &short, NodeNo(1), None).retry;
    // 1 + 2 + 4 + 8 + 16 s, and the next wait would end after 63 s.
    assert_eq!((1..).map_while(|failed| policy.wait(failed)).count(), 5);
}

#[test]
fn a_schedule_fires_at_its_interval() {
    let interval = Span::from_secs(300);
    let schedule =
        SchedulePolicy { interval, targets: vec![to(1)], tenant: TenantNo(0), event_bytes: 500, salt: 3 };
    let mut script = Script::new(Schedule::new(schedule), succeeds(1));
    script.begin();
    script.run_until(at_s(3_600));
    let at: Vec<u64> = script.delivered.iter().map(|(at, ..)| at.as_millis() / 1_000).collect();
    assert_eq!(at, (1..=12).map(|n| n * 300).collect::<Vec<_>>());
    let ids: std::collections::BTreeSet<u64> = script.delivered.iter().map(|(.., copy)| copy.id).collect();
    assert_eq!(ids.len(), 12);
}
