use std::collections::BTreeSet;

use flyball_app::workload::{Growth, Lasting};
use proptest::prelude::*;

use super::*;

pub(super) fn stated() -> workload::Dependency {
    workload::Dependency {
        servers: Some(2),
        sharing: false,
        connections_max: None,
        pool: 0,
        service: Lasting::Constant(Span(100)),
        growth: Growth::None,
        waiting_max: None,
        statement_timeout: None,
        cancels: false,
        answers_at_start: false,
        error_rate: 0.0,
    }
}

/// A dependency with a clock that goes from wake to wake.
struct Driven {
    dependency: Dependency,
    effects: Effects,
    wakes: BTreeSet<Time>,
    told: Vec<(u64, u64, Answer)>,
}

impl Driven {
    fn new(stated: &workload::Dependency) -> Driven {
        let dependency = Dependency::new(stated, Random::of(1, "test"));
        Driven { dependency, effects: Effects::default(), wakes: BTreeSet::new(), told: Vec::new() }
    }

    fn until(&mut self, at: u64) {
        while let Some(wake) = self.wakes.first().copied().filter(|wake| wake.0 <= at) {
            self.wakes.remove(&wake);
            self.dependency.wake(wake, &mut self.effects);
            self.note(wake.0);
        }
    }

    fn ask(&mut self, at: u64, call: u64, environment: Option<u64>, key: Option<u64>) -> Asked {
        self.until(at);
        let asking = Asking { call: CallNo(call), environment: environment.map(EnvironmentNo), key };
        let asked = self.dependency.call(Time(at), asking, &mut self.effects);
        self.note(at);
        asked
    }

    fn call(&mut self, at: u64, call: u64) -> Asked {
        self.ask(at, call, None, None)
    }

    fn gone(&mut self, at: u64, call: u64) {
        self.until(at);
        self.dependency.gone(Time(at), CallNo(call), &mut self.effects);
        self.note(at);
    }

    fn note(&mut self, at: u64) {
        self.told.extend(self.effects.told.drain(..).map(|(call, answer)| (at, call.0, answer)));
        self.wakes.extend(self.effects.wake.take());
    }

    /// Everything that is told until the end.
    fn rest(&mut self) -> Vec<(u64, u64, Answer)> {
        self.until(u64::MAX - 1);
        std::mem::take(&mut self.told)
    }
}

use Answer::{BrokenOff, Done, Duplicate, Failed};

#[test]
fn beyond_its_servers_calls_wait_in_their_order() {
    let mut driven = Driven::new(&stated());
    let asked: Vec<Asked> = (1..=4).map(|call| driven.call(call, call)).collect();
    assert_eq!(asked, [Asked::Begun, Asked::Begun, Asked::Waiting, Asked::Waiting]);
    assert_eq!(driven.rest(), [(101, 1, Done), (102, 2, Done), (201, 3, Done), (202, 4, Done)]);
}

#[test]
fn where_so_many_wait_as_may_the_next_is_refused() {
    for sharing in [false, true] {
        let mut driven = Driven::new(&workload::Dependency { waiting_max: Some(1), sharing, ..stated() });
        (1..=3).for_each(|call| assert!(!matches!(driven.call(0, call), Asked::Refused(_))));
        assert_eq!(driven.call(0, 4), Asked::Refused(Refused::Full));
        assert_eq!(driven.dependency.counts().refused_full, 1);
        assert_eq!(driven.rest().len(), 3);
    }
}

#[test]
fn sharing_slows_all_that_are_in_work_and_those_that_stay_get_faster() {
    let mut driven = Driven::new(&workload::Dependency { servers: Some(1), sharing: true, ..stated() });
    driven.call(0, 1);
    driven.call(50, 2);
    // 1 has 50 left at half speed: until 150. Then 2 has 50 left, alone.
    assert_eq!(driven.rest(), [(150, 1, Done), (200, 2, Done)]);
}

#[test]
fn growth_slows_all_that_are_in_work() {
    let growth = Growth::Points(vec![(1, 1.0), (2, 4.0)]);
    let mut driven = Driven::new(&workload::Dependency { servers: None, growth, ..stated() });
    driven.call(0, 1);
    driven.call(50, 2);
    assert_eq!(driven.rest(), [(250, 1, Done), (300, 2, Done)]);
}

#[test]
fn work_goes_on_without_its_caller_unless_the_dependency_notices() {
    for cancels in [false, true] {
        let mut driven = Driven::new(&workload::Dependency { servers: Some(1), cancels, ..stated() });
        (1..=3).for_each(|call| assert!(!matches!(driven.call(0, call), Asked::Refused(_))));
        // One in work, one that waits.
        driven.gone(10, 1);
        driven.gone(10, 2);
        driven.gone(11, 2);
        let counts = driven.dependency.counts();
        if cancels {
            assert_eq!((counts.cancelled, counts.orphans, driven.dependency.orphans()), (2, 0, 0));
            assert_eq!(driven.rest(), [(110, 3, Done)]);
        } else {
            assert_eq!((counts.cancelled, counts.orphans, driven.dependency.orphans()), (0, 2, 2));
            assert_eq!(driven.rest(), [(300, 3, Done)]);
            assert_eq!(driven.dependency.counts().orphaned_micros, 200);
            assert_eq!((driven.dependency.counts().done, driven.dependency.orphans()), (3, 0));
        }
    }
}

#[test]
fn what_takes_too_long_is_broken_off_waiting_included() {
    let timeout = Some(Span(120));
    let mut driven =
        Driven::new(&workload::Dependency { servers: Some(1), statement_timeout: timeout, ..stated() });
    (1..=3).for_each(|call| assert!(!matches!(driven.call(call, call), Asked::Refused(_))));
    // 2 begins at 101 and 3 waits; 4 has the server when both are broken off.
    driven.call(60, 4);
    assert_eq!(
        driven.rest(),
        [(101, 1, Done), (122, 2, BrokenOff), (123, 3, BrokenOff), (180, 4, BrokenOff)]
    );
    assert_eq!(driven.dependency.counts().broken_off, 3);
}

#[test]
fn a_known_key_is_answered_without_work_until_its_call_fails() {
    let mut driven = Driven::new(&stated());
    assert_eq!(driven.ask(0, 1, None, Some(7)), Asked::Begun);
    assert_eq!(driven.ask(10, 2, None, Some(7)), Asked::Answered(Duplicate));
    assert_eq!(driven.ask(500, 3, None, Some(7)), Asked::Answered(Duplicate));
    assert_eq!(driven.ask(500, 4, None, Some(8)), Asked::Begun);
    assert_eq!(driven.rest(), [(100, 1, Done), (600, 4, Done)]);
    let mut failing = Driven::new(&workload::Dependency { error_rate: 1.0, ..stated() });
    failing.ask(0, 1, None, Some(7));
    assert_eq!(failing.ask(500, 2, None, Some(7)), Asked::Begun);
    assert_eq!(failing.rest(), [(100, 1, Failed), (600, 2, Failed)]);
}

#[test]
fn a_job_is_answered_when_it_begins_and_keeps_its_server_until_it_is_over() {
    let jobs = workload::Dependency { servers: Some(1), answers_at_start: true, ..stated() };
    let mut driven = Driven::new(&jobs);
    assert_eq!(driven.call(0, 1), Asked::Answered(Done));
    assert_eq!(driven.call(1, 2), Asked::Waiting);
    driven.gone(2, 1);
    assert_eq!(driven.rest(), [(100, 2, Done)]);
    let counts = driven.dependency.counts();
    assert_eq!((counts.done, counts.orphans), (2, 0));
    // What fails at its start keeps no server.
    let mut failing = Driven::new(&workload::Dependency { error_rate: 1.0, waiting_max: Some(0), ..jobs });
    assert_eq!(failing.call(0, 1), Asked::Answered(Failed));
    assert_eq!(failing.call(1, 2), Asked::Answered(Failed));
    assert_eq!((failing.rest(), failing.dependency.counts().failed), (vec![], 2));
}

#[test]
fn living_environments_hold_connections_and_so_does_work_whose_caller_is_gone() {
    let pooled = workload::Dependency { connections_max: Some(3), pool: 1, servers: None, ..stated() };
    let mut driven = Driven::new(&pooled);
    for environment in 1..=3 {
        driven.dependency.connect(EnvironmentNo(environment)).unwrap();
    }
    assert_eq!(driven.dependency.connect(EnvironmentNo(4)), Err(Refused::NoConnection));
    assert_eq!(driven.ask(0, 1, Some(1), None), Asked::Begun);
    // Without its connections an environment tries at each call.
    assert_eq!(driven.ask(0, 2, Some(4), None), Asked::Refused(Refused::NoConnection));
    // The environment dies; its query lives, on its connection.
    driven.gone(10, 1);
    driven.dependency.disconnect(EnvironmentNo(1));
    assert_eq!(driven.dependency.connections(), 3);
    assert_eq!(driven.ask(20, 3, Some(4), None), Asked::Refused(Refused::NoConnection));
    driven.until(100);
    assert_eq!(driven.dependency.connections(), 2);
    assert_eq!(driven.ask(110, 4, Some(4), None), Asked::Begun);
    // A caller that lives on needs a new connection beside the one on which its query goes on.
    driven.gone(120, 4);
    assert_eq!(driven.ask(130, 5, Some(4), None), Asked::Refused(Refused::NoConnection));
    driven.rest();
    assert_eq!(driven.ask(300, 6, Some(4), None), Asked::Begun);
    assert_eq!(driven.dependency.connections(), 3);
    let counts = driven.dependency.counts();
    assert_eq!((counts.refused_connection, counts.refused_environments), (3, 1));
}

/// Seconds, calls that got a good answer in the last minute. Calls at a rate, with a storm in the second minute;
/// callers go after 30 s and try again twice.
fn after_a_storm(database: &workload::Dependency) -> u64 {
    let mut driven = Driven::new(database);
    let (mut arrivals, mut queue) = (Random::of(9, "storm"), std::collections::BinaryHeap::new());
    let (mut next, mut number, mut waits, mut good) = (0u64, 0u64, BTreeMap::new(), 0);
    const END: u64 = 900_000_000;
    while next < END {
        queue.push(std::cmp::Reverse((next, 2u32, None)));
        let rate = if (60_000_000..120_000_000).contains(&next) { 200.0 } else { 25.0 };
        next += (arrivals.exponential_unit() / rate * 1e6) as u64;
    }
    while let Some(std::cmp::Reverse((at, left, call))) = queue.pop().filter(|next| next.0.0 < END) {
        driven.until(at);
        for (when, call, answer) in driven.told.drain(..) {
            let waited: Option<()> = waits.remove(&call);
            good += u64::from(waited.is_some() && answer == Done && when > END - 60_000_000);
        }
        if let Some(call) = call {
            if waits.remove(&call).is_none() {
                continue;
            }
            driven.gone(at, call);
            if left == 0 {
                continue;
            }
        }
        number += 1;
        let again = left.saturating_sub(u32::from(call.is_some()));
        if matches!(driven.call(at, number), Asked::Begun | Asked::Waiting) {
            waits.insert(number, ());
            queue.push(std::cmp::Reverse((at + 30_000_000, again, Some(number))));
        }
    }
    good
}

/// Two processors, queries of 60 ms: 33 a second. 25 a second are no trouble, until a storm has come.
#[test]
fn a_database_does_not_recover_from_a_storm_while_its_orphans_go_on() {
    let service = Lasting::Exponential { mean: Span::from_millis(60) };
    let database = workload::Dependency { sharing: true, service, ..stated() };
    let timeout = Some(Span::from_secs(20));
    let cases = [
        ("as it is", database.clone(), 0.0..0.3),
        (
            "queries end with their callers",
            workload::Dependency { cancels: true, ..database.clone() },
            0.9..1.1,
        ),
        (
            "queries are broken off before their callers go",
            workload::Dependency { statement_timeout: timeout, ..database.clone() },
            0.9..1.1,
        ),
        ("at most a hundred", workload::Dependency { waiting_max: Some(98), ..database }, 0.9..1.1),
    ];
    for (name, database, good) in cases {
        let share = after_a_storm(&database) as f64 / (60.0 * 25.0);
        assert!(good.contains(&share), "{name}: {share} of the calls in the last minute");
    }
}

proptest! {
    /// Whatever happens in whatever order, each call ends exactly once, and nothing is left at the end.
    #[test]
    fn each_call_ends_exactly_once(
        servers in prop::option::of(1u32..4),
        flags in prop::array::uniform3(any::<bool>()),
        waiting_max in prop::option::of(0u32..4),
        connections in prop::option::of(1u32..6),
        pool in 0u32..3,
        timeout in prop::option::of(1u64..300),
        error_rate in prop_oneof![Just(0.0), Just(0.5)],
        law in any::<bool>(),
        history in prop::collection::vec((0u8..8, 0u64..60, 0u64..12), 1..120),
    ) {
        let [sharing, cancels, answers_at_start] = flags;
        let growth = Growth::Scalability { contention: 0.2, coherency: 0.01 };
        let mut driven = Driven::new(&workload::Dependency {
            servers, sharing, cancels, answers_at_start, waiting_max, connections_max: connections, pool,
            statement_timeout: timeout.map(Span), error_rate,
            growth: if law { growth } else { Growth::None },
            service: Lasting::Exponential { mean: Span(80) },
        });
        let (mut now, mut asked) = (0, 0u64);
        let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
        let mut open: BTreeSet<u64> = BTreeSet::new();
        for (what, wait, which) in history {
            now += wait;
            match what {
                0 => drop(driven.dependency.connect(EnvironmentNo(which))),
                1 => driven.dependency.disconnect(EnvironmentNo(which)),
                2 | 3 => {
                    driven.until(now);
                    driven.told.drain(..).for_each(|(_, call, _)| {
                        *ends.entry(call).or_default() += 1;
                        open.remove(&call);
                    });
                    if let Some(call) = open.iter().nth(which as usize).copied() {
                        driven.gone(now, call);
                        *ends.entry(call).or_default() += 1;
                        open.remove(&call);
                    }
                }
                _ => {
                    asked += 1;
                    let key = (which % 2 == 0).then_some(which);
                    let environment = (what > 5).then_some(which);
                    match driven.ask(now, asked, environment, key) {
                        Asked::Begun | Asked::Waiting => drop(open.insert(asked)),
                        Asked::Answered(_) | Asked::Refused(_) => *ends.entry(asked).or_default() += 1,
                    }
                }
            }
            if let Some(most) = connections {
                prop_assert!(driven.dependency.connections() <= most);
            }
            if let (Some(servers), Some(most)) = (servers, waiting_max) {
                prop_assert!(driven.dependency.in_work() + driven.dependency.waiting() <= servers + most);
            }
        }
        for (_, call, _) in driven.rest() {
            *ends.entry(call).or_default() += 1;
        }
        prop_assert_eq!(ends.len() as u64, asked);
        prop_assert!(ends.values().all(|times| *times == 1), "{:?}", ends);
        let left = (driven.dependency.in_work(), driven.dependency.waiting(), driven.dependency.orphans());
        prop_assert_eq!(left, (0, 0, 0));
        let c = driven.dependency.counts();
        let refused = c.refused_full + c.refused_connection;
        let over = refused + c.duplicates + c.done + c.failed + c.broken_off + c.cancelled;
        prop_assert_eq!((c.asked, over), (asked, asked));
        (0..12).for_each(|environment| driven.dependency.disconnect(EnvironmentNo(environment)));
        prop_assert_eq!(driven.dependency.connections(), 0);
    }
}
