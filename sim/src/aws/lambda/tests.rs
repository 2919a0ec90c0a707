//! A test for each documented behaviour, named after it.

use super::*;
use crate::aws::script::at_s;

fn policy() -> LambdaPolicy {
    LambdaPolicy::of(&Profile::built_in("aws").unwrap(), &design::Function::default())
}

/// How many are added, where so many are wanted.
fn added(scaling: &mut Scaling, now: Time, wanted: u32) -> u32 {
    let mut added = 0;
    while added < wanted && scaling.may_add(now) {
        scaling.add(now);
        added += 1;
    }
    added
}

#[test]
fn a_function_adds_1_000_environments_in_10_seconds_refilled_continuously() {
    let mut scaling = Scaling::new(&policy());
    assert_eq!(added(&mut scaling, at_s(0), 5_000), 1_000);
    assert_eq!(added(&mut scaling, at_s(1), 5_000), 100);
    assert_eq!(added(&mut scaling, at_s(1), 5_000), 0);
    let by_10_s: u32 = (2..=10).map(|second| added(&mut scaling, at_s(second), 5_000)).sum();
    assert_eq!(by_10_s, 900);
}

#[test]
fn what_is_not_added_is_not_accrued() {
    let mut scaling = Scaling::new(&policy());
    assert_eq!(added(&mut scaling, at_s(100_000), 5_000), 1_000);
}

#[test]
fn init_beyond_10_seconds_runs_again_within_the_first_invocation() {
    let policy = policy();
    assert_eq!(policy.init(Span::from_secs(10)), (Span::from_secs(10), Span::ZERO));
    assert_eq!(policy.init(Span::from_secs(12)), (Span::from_secs(10), Span::from_secs(12)));
}

#[test]
fn recursion_is_stopped_after_16_invocations_unless_it_is_allowed() {
    let policy = policy();
    assert_eq!((policy.stops(15), policy.stops(16)), (false, true));
    let allowed = design::Function { recursion_allowed: true, ..design::Function::default() };
    assert!(!LambdaPolicy::of(&Profile::built_in("aws").unwrap(), &allowed).stops(u16::MAX));
}
