//! A test for each documented behaviour, named after it.

use super::*;
use crate::aws::script::*;

/// Takes nothing before a time.
#[derive(Debug)]
struct Closed {
    until: Time,
    asked: Vec<Time>,
}

impl Part for Closed {
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>) {
        self.asked.push(now);
        if now < self.until {
            asks.push(Ask::Refused { message, why: "rate" });
        } else {
            asks.push(Ask::Done { message });
        }
    }
    fn wake(&mut self, _: Time, _: u64, _: &mut Vec<Ask>) {}
    fn answered(&mut self, _: Time, _: u64, _: Verdict, _: &mut Vec<Ask>) {}
    fn waiting(&self) -> u64 {
        self.asked.len() as u64
    }
    fn in_flight(&self) -> u64 {
        0
    }
}

fn to(node: u32, share: f64) -> TargetPolicy {
    let profile = Profile::built_in("aws").unwrap();
    let all = TopicPolicy::subscriber(&profile, &Subscription::default(), NodeNo(node), share, None);
    TargetPolicy { share, ..all }
}

fn topic(subscribers: Vec<TargetPolicy>) -> Script {
    Script::new(Topic::new(TopicPolicy { subscribers }), succeeds(1))
}

#[test]
fn every_subscriber_has_a_copy_with_an_id_of_its_own() {
    let mut script = topic(vec![to(1, 1.0), to(2, 1.0), to(3, 1.0)]);
    script.send(at_s(0), message(1, 5));
    script.run_until(at_s(0));
    let mut ids: Vec<u64> = script.delivered.iter().map(|(_, _, copy)| copy.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), script.ended("done")), (3, 1));
    assert!(
        script.delivered.iter().all(|(_, _, copy)| copy.root == 1 && copy.tenant == message(1, 5).tenant)
    );
}

#[test]
fn a_filter_lets_its_share_pass_independently_of_others() {
    let mut script = topic(vec![to(1, 0.25), to(2, 0.25)]);
    script.send_many(at_s(0), 0, 10_000);
    script.run_until(at_s(0));
    let of = |node: u32| script.delivered.iter().filter(|(_, to, _)| *to == NodeNo(node)).count();
    assert!((2_300..2_700).contains(&of(1)) && (2_300..2_700).contains(&of(2)), "{} {}", of(1), of(2));
    let roots = |node: u32| {
        let to_it = script.delivered.iter().filter(move |(_, to, _)| *to == NodeNo(node));
        to_it.map(|(_, _, copy)| copy.root).collect::<std::collections::BTreeSet<u64>>()
    };
    let both = roots(1).intersection(&roots(2)).count();
    assert!((500..750).contains(&both), "{both}");
}

#[test]
fn what_is_not_taken_is_sent_3_times_at_once_2_times_after_1_s_10_times_up_to_20_s_then_every_20_s() {
    let mut script = topic(vec![to(1, 1.0)]);
    script.add_part(NodeNo(1), Closed { until: at_s(1_000_000), asked: Vec::new() });
    script.send(at_s(0), message(1, 0));
    // The first attempt and three at once.
    for (second, attempts) in [(0, 4), (1, 5), (2, 6), (70, 15), (71, 16), (91, 17), (111, 18)] {
        script.run_until(at_s(second));
        assert_eq!(script.parts[&NodeNo(1)].waiting(), attempts, "after {second} s");
    }
}

#[test]
fn after_the_last_attempt_it_is_discarded_unless_there_are_dead_letters() {
    let retry = RetryPolicy::Topic { attempts_max: 6 };
    for (dead, how) in [(None, "dropped: attempts"), (Some(Some(NodeNo(9))), "dead: attempts")] {
        let mut script = topic(vec![TargetPolicy { retry, dead, ..to(1, 1.0) }]);
        script.add_part(NodeNo(1), Closed { until: at_s(1_000_000), asked: Vec::new() });
        script.send(at_s(0), message(1, 0));
        script.run_until(at_s(1_000));
        assert_eq!((script.parts[&NodeNo(1)].waiting(), script.ended(how)), (6, 1));
    }
    let profile = Profile::built_in("aws").unwrap();
    let default = TopicPolicy::subscriber(&profile, &Subscription::default(), NodeNo(1), 0.5, None);
    assert_eq!((default.retry, default.share), (RetryPolicy::Topic { attempts_max: 100_015 }, 0.5));
}

#[test]
fn a_copy_is_taken_once_its_receiver_takes_again() {
    let mut script = topic(vec![to(1, 1.0)]);
    script.add_part(NodeNo(1), Closed { until: at_s(30), asked: Vec::new() });
    script.send_many(at_s(0), 0, 10);
    script.run_until(at_s(100));
    assert_eq!(script.ends.iter().filter(|end| end.node == NodeNo(1) && end.how == "done").count(), 10);
}
