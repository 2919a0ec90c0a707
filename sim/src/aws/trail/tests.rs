//! A test for each behaviour, named after it.

use super::*;
use crate::aws::{
    script::*,
    topic::{Topic, TopicPolicy},
};

#[test]
fn a_trail_writes_one_file_of_all_that_came_within_five_minutes() {
    let mut script = Script::new(Trail::new(TrailPolicy::of(vec![NodeNo(7)])), succeeds(1));
    script.send_many(at_s(10), 0, 40);
    script.send_many(at_s(200), 100, 2);
    script.send_many(at_s(400), 200, 3);
    script.run_until(at_s(3_600));
    let files: Vec<(Time, u32)> = script.delivered.iter().map(|(at, _, file)| (*at, file.bytes)).collect();
    assert_eq!(files, [(at_s(310), 42 * EVENT_BYTES), (at_s(700), 3 * EVENT_BYTES)]);
    assert_eq!(script.ended("done"), 45);
}

#[test]
fn a_trail_that_logs_its_own_files_never_ends() {
    let mut script = Script::new(Trail::new(TrailPolicy::of(vec![NodeNo(1)])), succeeds(1));
    let back = crate::aws::target::TargetPolicy {
        to: NODE,
        share: 1.0,
        retry: crate::aws::target::RetryPolicy::Topic { attempts_max: 1 },
        dead: None,
    };
    script.add_part(NodeNo(1), Topic::new(TopicPolicy { subscribers: vec![back] }));
    script.send_many(at_s(0), 0, 1);
    script.run_until(at_s(86_400));
    assert_eq!(script.ended("done"), 288, "a file each five minutes, whose event is in the next");
}
