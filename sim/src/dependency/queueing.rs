//! Long runs against the closed forms of queueing theory.

use std::{cmp::Reverse, collections::BinaryHeap};

use flyball_app::workload::{Growth, Lasting};

use super::*;
use crate::{dependency::tests::stated, lasting::Sampler, measure::TimeWeighted};

/// What a long run comes to.
struct Seen {
    /// From being asked to the answer, seconds: the mean.
    sojourn: f64,
    /// Of all calls.
    refused: f64,
    /// In work: the mean over time.
    busy: f64,
}

/// Calls at a rate, independent of one another, each with a caller that waits for ever.
fn run(stated: &workload::Dependency, per_second: f64, calls: u64, seed: u64) -> Seen {
    let mut arrivals = Random::of(seed, "arrivals");
    let mut dependency = Dependency::new(stated, Random::of(seed, "dependency"));
    let mut wakes: BinaryHeap<Reverse<Time>> = BinaryHeap::new();
    let mut asked: BTreeMap<CallNo, Time> = BTreeMap::new();
    let mut busy = TimeWeighted::new(Time(0), 0.0);
    let (mut effects, mut answered, mut sojourn, mut next, mut number) =
        (Effects::default(), 0u64, 0u64, 0.0, 0);
    let mut now = Time(0);
    while number < calls {
        let arrival = Time((next * 1e6) as u64);
        if let Some(Reverse(at)) = wakes.peek().copied()
            && at <= arrival
        {
            wakes.pop();
            now = at;
            dependency.wake(now, &mut effects);
        } else {
            now = arrival;
            next += arrivals.exponential_unit() / per_second;
            number += 1;
            let call = CallNo(number);
            let asking = Asking { call, environment: None, key: None };
            if !matches!(dependency.call(now, asking, &mut effects), Asked::Refused(_)) {
                asked.insert(call, now);
            }
        }
        for (call, _) in effects.told.drain(..) {
            answered += 1;
            sojourn += now.since(asked.remove(&call).unwrap()).0;
        }
        wakes.extend(effects.wake.take().map(Reverse));
        busy.set(now, f64::from(dependency.in_work()));
    }
    assert!(wakes.len() < 10_000, "{} wakes", wakes.len());
    Seen {
        sojourn: sojourn as f64 / answered as f64 / 1e6,
        refused: dependency.counts().refused_full as f64 / calls as f64,
        busy: busy.mean(now),
    }
}

const MEAN: f64 = 0.1;

fn exponential(servers: u32) -> workload::Dependency {
    workload::Dependency {
        servers: Some(servers),
        service: Lasting::Exponential { mean: Span::from_millis(100) },
        ..stated()
    }
}

fn assert_near(what: &str, got: f64, theory: f64) {
    let off = got / theory - 1.0;
    assert!(off.abs() < 0.02, "{what}: {got}, by theory {theory}: {:.1} % off", off * 100.0);
}

/// The likelihood that all of `c` servers are busy when nothing waits: Erlang's loss formula.
fn erlang_b(servers: u32, load: f64) -> f64 {
    (1..=servers).fold(1.0, |b, n| load * b / (f64::from(n) + load * b))
}

/// The likelihood that a call waits: Erlang's delay formula.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let (b, c) = (erlang_b(servers, load), f64::from(servers));
    b / (1.0 - load / c * (1.0 - b))
}

#[test]
fn calls_wait_as_long_as_erlang_says() {
    // Servers, load on all of them; calls: the more the longer the queue's memory.
    for (servers, load, calls) in [(1, 0.7, 600_000), (4, 3.0, 400_000), (20, 18.0, 600_000)] {
        let seen = run(&exponential(servers), load / MEAN, calls, 1);
        let wait = erlang_c(servers, load) * MEAN / (f64::from(servers) - load);
        assert_near(&format!("M/M/{servers} at {load}"), seen.sojourn, MEAN + wait);
        assert_near("busy servers", seen.busy, load);
    }
}

#[test]
fn calls_are_lost_as_often_as_erlang_says() {
    for (servers, load) in [(1, 0.5), (5, 5.0), (30, 25.0)] {
        let loss = workload::Dependency { waiting_max: Some(0), ..exponential(servers) };
        let seen = run(&loss, load / MEAN, 500_000, 2);
        assert_near(&format!("M/M/{servers}/{servers} at {load}"), seen.refused, erlang_b(servers, load));
        assert_near("sojourn", seen.sojourn, MEAN);
    }
}

/// Sharing one server, the mean depends on the mean work alone, however the work is spread.
#[test]
fn sharing_one_server_takes_as_long_as_theory_says_whatever_the_spread() {
    let ms = Span::from_millis;
    let services = [
        Lasting::Constant(ms(100)),
        Lasting::Exponential { mean: ms(100) },
        Lasting::Measured([vec![ms(50); 9], vec![ms(550)]].concat()),
    ];
    for service in services {
        assert_eq!(Sampler::new(&service).mean(), ms(100));
        let shared = workload::Dependency { sharing: true, service: service.clone(), ..exponential(1) };
        let seen = run(&shared, 0.7 / MEAN, 600_000, 3);
        assert_near(&format!("M/G/1-PS, {service:?}"), seen.sojourn, MEAN / (1.0 - 0.7));
    }
}

/// With exponential work a shared queue is as long as one that waits in order.
#[test]
fn sharing_several_servers_takes_as_long_as_waiting_for_them() {
    let shared = workload::Dependency { sharing: true, ..exponential(4) };
    let seen = run(&shared, 3.0 / MEAN, 400_000, 4);
    assert_near("M/M/4-PS", seen.sojourn, MEAN + erlang_c(4, 3.0) * MEAN / (4.0 - 3.0));
}

/// A contention of 1 is one server that is shared.
#[test]
fn the_law_with_nothing_but_contention_is_one_server() {
    let growth = Growth::Scalability { contention: 1.0, coherency: 0.0 };
    let by_law = workload::Dependency { servers: None, growth, ..exponential(1) };
    let seen = run(&by_law, 0.7 / MEAN, 600_000, 3);
    assert_near("contention 1", seen.sojourn, MEAN / (1.0 - 0.7));
}
