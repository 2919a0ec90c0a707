//! The engine against a naive model: whatever happens, in whatever order, its promises hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod crashes;
mod journal;
mod turns;
mod world;

use crashes::one_attempt;
use flyball_core::{
    Answer, CommitResult, FailureKind, Input, Refusal, Seq, Span, TenantId,
    model::{Destination, Rate, TenantLimits},
};
use proptest::prelude::*;
use world::{Do, World, application, delivery, function, limits, name};

/// Something that happens.
#[derive(Debug, Clone)]
enum Act {
    Send { tenant: u32, target: usize, key: Option<u8> },
    Call { tenant: u32, function: usize, key: Option<u8> },
    Commit { which: usize },
    Finish { which: usize, deed: Do },
    Advance { millis: u64 },
    Abandon { which: u64 },
    Redrive,
    Discard,
    Crash,
    Reopen,
    Close,
    Killer { tenant: u32, target: usize },
}

fn deed() -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => (0..3_u8).prop_map(|emits| Do::Succeed { emits }),
        3 => Just(Do::Count),
        2 => Just(Do::Fail(FailureKind::Trap)),
        1 => Just(Do::Fail(FailureKind::Permanent)),
        1 => Just(Do::Fail(FailureKind::NotRun)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..6_u32, 0..3_usize, prop::option::weighted(0.3, 0..4_u8))
            .prop_map(|(tenant, target, key)| Act::Send { tenant, target, key }),
        3 => (0..6_u32, 0..3_usize, prop::option::weighted(0.4, 0..3_u8))
            .prop_map(|(tenant, function, key)| Act::Call { tenant, function, key }),
        9 => any::<usize>().prop_map(|which| Act::Commit { which }),
        9 => (any::<usize>(), deed()).prop_map(|(which, deed)| Act::Finish { which, deed }),
        3 => (0..20_000_u64).prop_map(|millis| Act::Advance { millis }),
        1 => (0..40_u64).prop_map(|which| Act::Abandon { which }),
        1 => Just(Act::Redrive),
        1 => Just(Act::Discard),
    ]
}

/// Anything at all.
fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        40 => act(),
        1 => Just(Act::Crash),
        1 => Just(Act::Reopen),
        1 => Just(Act::Close),
        1 => (0..6_u32, 0..3_usize).prop_map(|(tenant, target)| Act::Killer { tenant, target }),
    ]
}

fn perform(world: &mut World, act: Act) {
    let targets = ["first", "second", "news"];
    let functions = ["first", "second", "third"];
    match act {
        Act::Send { tenant, target, key } => {
            let key = key.map(|k| format!("k{k}"));
            world.send(tenant, targets[target], key.as_deref());
        }
        Act::Call { tenant, function, key } => {
            let key = key.map(|k| format!("k{k}"));
            world.call(tenant, functions[function], key.as_deref().map(|k| (k, "request")));
        }
        Act::Commit { which } if !world.commits.is_empty() => {
            let batch = *world.commits.keys().nth(which % world.commits.len()).unwrap();
            world.commit(batch);
        }
        Act::Finish { which, deed } if !world.starts.is_empty() => {
            let invocation = *world.starts.keys().nth(which % world.starts.len()).unwrap();
            world.finish(invocation, &deed);
        }
        Act::Advance { millis } => world.advance(Span::from_millis(millis)),
        Act::Abandon { which } => world.step(Input::Abandon(flyball_core::CallerId(which))),
        Act::Redrive | Act::Discard => {
            let Some((seq, dead)) = world.store.dead.first_key_value().map(|(s, d)| (*s, d.clone())) else {
                return;
            };
            let caller = world.caller();
            world.step(match act {
                Act::Redrive => Input::Redrive(caller, seq, Box::new(dead)),
                _ => Input::Discard(caller, seq, Box::new(dead)),
            });
        }
        Act::Crash => world.crash(),
        Act::Reopen => world.reopen(),
        Act::Close => world.close(),
        Act::Killer { tenant, target } => drop(world.send_killer(tenant, targets[target])),
        Act::Commit { .. } | Act::Finish { .. } => {}
    }
}

/// What must be true when all is over.
fn settle_the_books(world: &mut World) {
    world.run_out();
    let counts = world.engine.counts();
    assert_eq!((counts.waiting, counts.running, counts.settling, counts.invocations), (0, 0, 0, 0));
    // I8: an outcome commits once.
    for (id, times) in &world.books.done {
        assert_eq!(*times, 1, "{id} was done {times} times");
    }
    for (tenant, counted) in &world.books.counted {
        let kv = world.store.kv.iter().find(|((t, _), _)| t == tenant).unwrap();
        let value = u64::from_be_bytes(kv.1.0.to_vec().try_into().unwrap());
        assert_eq!(value, *counted, "every committed increment of {tenant:?} counts, none twice");
    }
    world.replay();
    world.log.replays_exactly(world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sends, calls, commits, outcomes, crashes and time in any order: invariants hold after every step,
    /// everything promised comes to an end, once, and the same inputs give the same effects.
    #[test]
    fn promises_hold_in_any_order(cap in 4..12_u32, acts in prop::collection::vec(any_act(), 1..160)) {
        let mut world = World::new(application(cap));
        for act in acts {
            perform(&mut world, act);
        }
        let promised = world.books.promised.clone();
        settle_the_books(&mut world);
        for id in promised {
            let dead = world.store.dead.values().any(|d| d.event.id == id);
            let settled = world.store.settled.keys().any(|(_, settled)| *settled == id);
            // A topic's event lives on in its copies; a discarded letter is gone because it was told to.
            let copies = ["@third", "second"].map(|s| id.copy_for(s));
            let over = |id| world.books.done.contains_key(id) || world.store.dead.values().any(|d| d.event.id == *id);
            let discarded = world.engine.counts().discarded > 0 || world.incarnation > 1;
            prop_assert!(
                dead || settled || over(&id) || copies.iter().all(over) || discarded,
                "{id} was accepted and is nowhere"
            );
        }
    }
}

#[test]
fn an_event_is_visible_only_when_it_is_durable() {
    let mut world = World::new(application(5));
    let caller = world.send(0, "first", None);
    assert!(world.answers.is_empty() && world.starts.is_empty());
    world.commit_all();
    assert!(matches!(world.answers[&caller], Answer::Accepted { duplicate: false, .. }));
    assert_eq!(world.starts.len(), 1);
}

#[test]
fn a_failure_is_tried_again_and_then_dead_with_its_history() {
    let mut world = World::new(application(5));
    world.send(0, "first", None);
    for attempt in 1..=3 {
        world.commit_all();
        let (invocation, start) = world.starts.first_key_value().map(|(i, s)| (*i, s.clone())).unwrap();
        let flyball_core::Work::Events(events) = start.work else { panic!("an event") };
        assert_eq!(events[0].attempt, attempt);
        world.finish(invocation, &Do::Fail(FailureKind::Trap));
        world.commit_all();
        assert!(world.starts.is_empty(), "it waits before it is tried again");
        world.advance(Span::from_secs(3));
    }
    assert_eq!(world.store.dead.len(), 1);
    let dead = world.store.dead.values().next().unwrap();
    assert_eq!((dead.event.attempt, dead.event.notes, dead.failure.kind), (3, 3, FailureKind::Trap));
}

#[test]
fn a_key_gives_the_recorded_answer_and_refuses_another_request() {
    let mut world = World::new(application(5));
    let first = world.call(0, "first", Some(("key", "one")));
    let during = world.call(0, "first", Some(("key", "one")));
    assert_eq!(world.answers[&during], Answer::Refused(Refusal::KeyInFlight));
    world.run_out();
    assert!(matches!(&world.answers[&first], Answer::Done { replayed: false, .. }));
    let again = world.call(0, "first", Some(("key", "one")));
    assert!(
        matches!(&world.answers[&again], Answer::Done { replayed: true, body, .. } if &body[..] == b"result")
    );
    let other = world.call(0, "first", Some(("key", "two")));
    assert_eq!(world.answers[&other], Answer::Refused(Refusal::KeyReused));
    // Another tenant's key of the same text is another key.
    let foreign = world.call(1, "first", Some(("key", "two")));
    world.run_out();
    assert!(matches!(&world.answers[&foreign], Answer::Done { replayed: false, .. }));
}

#[test]
fn a_look_up_that_raced_with_a_commit_is_noticed() {
    let mut world = World::new(application(5));
    world.call(0, "first", Some(("key", "one")));
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    let stale = world.keyed(TenantId(0), "first", "key", "one");
    world.finish(invocation, &Do::Succeed { emits: 0 });
    world.commit_all();
    let caller = world.caller();
    let key = flyball_core::KeyedCall {
        keyed: stale,
        attributes: world::attributes(),
        body: flyball_core::Body::default(),
    };
    let call =
        flyball_core::Call { caller, tenant: TenantId(0), function: name("first"), key: Some(Box::new(key)) };
    world.step(Input::Call(call));
    assert_eq!(world.answers[&caller], Answer::LookAgain);
}

#[test]
fn a_key_is_forgotten_after_its_retention_and_not_before() {
    let mut world = World::new(application(5));
    world.call(0, "first", Some(("key", "one")));
    world.run_out();
    world.advance(Span::from_secs(23 * 3_600));
    let again = world.call(0, "first", Some(("key", "one")));
    assert!(matches!(&world.answers[&again], Answer::Done { replayed: true, .. }));
    world.advance(Span::from_secs(3 * 3_600));
    world.commit_all();
    assert!(world.store.settled.is_empty() && world.store.counts.is_empty());
    let new = world.call(0, "first", Some(("key", "one")));
    world.run_out();
    assert!(matches!(&world.answers[&new], Answer::Done { replayed: false, .. }));
}

#[test]
fn a_stale_read_runs_again_and_spends_no_attempt() {
    let mut world = World::new(application(5));
    world.send(0, "first", None);
    world.send(0, "first", None);
    world.commit_all();
    let runs: Vec<_> = world.starts.keys().copied().collect();
    let outcomes: Vec<_> = runs.iter().map(|i| world.outcome(*i, &Do::Count)).collect();
    for (invocation, outcome) in runs.iter().zip(outcomes) {
        world.report(*invocation, outcome);
    }
    let batches: Vec<_> = world.commits.keys().copied().collect();
    assert_eq!(world.commit(batches[0]), CommitResult::Done);
    assert_eq!(world.commit(batches[1]), CommitResult::Conflict);
    world.commit_all();
    let (again, start) = world.starts.first_key_value().map(|(i, s)| (*i, s.clone())).unwrap();
    let flyball_core::Work::Events(events) = start.work else { panic!("an event") };
    assert_eq!(events[0].attempt, 1);
    world.finish(again, &Do::Count);
    world.commit_all();
    assert_eq!(world.books.counted[&TenantId(0)], 2);
}

#[test]
fn a_call_waits_its_time_and_is_refused_with_the_limits_name() {
    let mut app = application(5);
    app.functions.get_mut("first").unwrap().limits = limits(1, 0);
    let mut world = World::new(app);
    let runs = world.call(0, "first", None);
    let waits = world.call(1, "first", None);
    assert!(!world.answers.contains_key(&waits));
    world.advance(Span::from_secs(5));
    let Answer::Refused(refusal) = &world.answers[&waits] else { panic!("it waited long enough") };
    assert_eq!(refusal.to_string(), "throttled by function first concurrency; try again in 1 s");
    assert!(!world.answers.contains_key(&runs));
}

#[test]
fn a_run_past_its_deadline_is_stopped_and_a_silent_worker_is_given_up() {
    let mut world = World::new(application(5));
    world.send(0, "first", None);
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.advance(Span::from_millis(9_999));
    assert!(world.stops.is_empty());
    world.advance(Span::from_millis(1));
    assert!(world.stops.contains(&invocation));
    world.advance(Span::from_secs(30)); // its visibility timeout
    world.commit_all();
    assert_eq!(world.engine.counts().retried, 1);
    let outcome = world.outcome(invocation, &Do::Count);
    let before = world.store.batches;
    world.report(invocation, outcome);
    world.commit_all();
    assert_eq!(world.store.batches, before, "what it says later is stale");
}

#[test]
fn emitted_events_appear_with_the_outcome_and_are_the_same_after_a_crash() {
    let mut world = World::new(application(5));
    world.send(0, "first", None);
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Succeed { emits: 2 });
    let ids = |world: &World| {
        let accepts = world.commits.values().flat_map(|c| &c.writes).filter_map(|w| match w {
            flyball_core::record::Write::Accept { envelope, .. } => Some(envelope.id),
            _ => None,
        });
        accepts.collect::<Vec<_>>()
    };
    let before = ids(&world);
    assert_eq!(before.len(), 3, "one to the queue, and a copy for each of the topic's two subscribers");
    world.crash();
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Succeed { emits: 2 });
    assert_eq!(ids(&world), before);
    world.run_out();
}

#[test]
fn a_circle_ends_at_its_hop_budget_with_the_whole_chain() {
    let mut app = application(5);
    app.limits.hops_max = 4;
    app.functions.get_mut("second").unwrap().grants.emit.insert(name("first"));
    app.topics.get_mut("news").unwrap().subscribers = vec![Destination::Queue(name("first"))];
    let mut world = World::new(app);
    world.send(0, "first", None);
    for _ in 0..20 {
        world.commit_all();
        let Some(invocation) = world.starts.keys().next().copied() else { break };
        world.finish(invocation, &Do::Succeed { emits: 1 });
    }
    let (seq, dead) = world.store.dead.first_key_value().unwrap();
    assert_eq!(dead.failure.kind, FailureKind::HopLimit);
    assert_eq!(world.store.events[seq].0.lineage.hops.len(), 5);
    assert_eq!(world.engine.counts().stopped, 1);
}

#[test]
fn a_redriven_letter_runs_where_it_came_from_with_new_attempts() {
    let mut world = World::new(application(5));
    world.send(0, "first", None);
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Fail(FailureKind::Permanent));
    world.commit_all();
    let (seq, dead): (Seq, _) = world.store.dead.first_key_value().map(|(s, d)| (*s, d.clone())).unwrap();
    let (one, two) = (world.caller(), world.caller());
    world.step(Input::Redrive(one, seq, Box::new(dead.clone())));
    world.step(Input::Redrive(two, seq, Box::new(dead)));
    assert!(matches!(&world.answers[&two], Answer::Refused(Refusal::Invalid { .. })));
    world.commit_all();
    assert!(matches!(&world.answers[&one], Answer::Accepted { .. }));
    assert_eq!(world.starts.len(), 1);
    world.run_out();
    assert_eq!(world.engine.counts().dead, 0);
}

#[test]
fn a_guarantee_is_kept_free_while_others_flood() {
    let mut world = World::new(application(8)); // t1 is guaranteed 2, `second` 1
    for _ in 0..20 {
        world.send(0, "first", None);
        world.send(2, "first", None);
    }
    world.commit_all();
    let running =
        |world: &World, tenant| world.starts.values().filter(|s| s.tenant == TenantId(tenant)).count();
    assert_eq!(running(&world, 0) + running(&world, 2), 5);
    for _ in 0..4 {
        world.send(1, "first", None);
    }
    world.commit_all();
    assert_eq!(running(&world, 1), 2, "its guarantee, at once");
    world.run_out();
}

#[test]
fn what_waits_is_bounded_and_the_bound_is_named() {
    let mut app = application(4);
    app.tenant_defaults.waiting_events_max = 3;
    app.queues.get_mut("first").unwrap().delivery.waiting_max = 5;
    let mut world = World::new(app);
    let sent: Vec<_> = (0..4).map(|_| world.send(0, "first", None)).collect();
    world.commit_all();
    let Answer::Refused(refusal) = &world.answers[&sent[3]] else { panic!("the fourth is too many") };
    assert_eq!(
        refusal.to_string(),
        "as many wait as may: tenant t0 waiting events is 3; try again when some are done"
    );
    let sent: Vec<_> = (0..3).map(|_| world.send(2, "first", None)).collect();
    let Answer::Refused(refusal) = &world.answers[&sent[2]] else { panic!("the queue is full") };
    assert_eq!(refusal.code(), "FE1002");
    world.run_out();
}

#[test]
fn a_full_queue_stops_those_who_fill_it_and_not_for_ever() {
    let mut app = application(5);
    app.queues.get_mut("second").unwrap().delivery.waiting_max = 2;
    let mut world = World::new(app);
    world.send(0, "second", None);
    world.send(0, "second", None);
    world.send(0, "first", None);
    world.commit_all();
    assert!(world.starts.values().all(|s| s.function.as_str() == "second"));
    world.run_out();
    assert_eq!(world.engine.counts().done, 3);
}

#[test]
fn a_rate_is_kept_to_the_microsecond() {
    let mut app = application(100);
    app.tenant_defaults.limits = limits(100, 0);
    app.functions.get_mut("first").unwrap().limits.rate = Some(Rate { per_second: 10, burst: 2 });
    let mut world = World::new(app);
    for _ in 0..5 {
        world.send(0, "first", None);
    }
    world.commit_all();
    assert_eq!(world.starts.len(), 2);
    for running in 3..=5 {
        world.advance(Span(99_999));
        world.commit_all();
        assert_eq!(world.starts.len(), running - 1);
        world.advance(Span(1));
        world.commit_all();
        assert_eq!(world.starts.len(), running);
    }
}

#[test]
fn a_batch_fills_or_its_window_ends() {
    let mut app = application(5);
    app.queues.get_mut("second").unwrap().delivery.batch_window = Span::from_millis(50);
    let mut world = World::new(app);
    for _ in 0..7 {
        world.send(0, "second", None);
    }
    world.commit_all();
    let sizes = |world: &World| {
        let sizes = world.starts.values().map(|s| match &s.work {
            flyball_core::Work::Events(events) => events.len(),
            flyball_core::Work::Call { .. } => 0,
        });
        sizes.collect::<Vec<_>>()
    };
    assert_eq!(sizes(&world), [5]);
    world.advance(Span::from_millis(50));
    world.commit_all();
    assert_eq!(sizes(&world), [5, 2]);
}

#[test]
fn draining_starts_nothing_and_keeps_what_is_accepted() {
    let mut world = World::new(application(4));
    for _ in 0..6 {
        world.send(0, "first", None);
    }
    world.commit_all();
    let running = world.starts.len();
    world.step(Input::Drain);
    let refused = world.send(0, "first", None);
    assert_eq!(world.answers[&refused], Answer::Refused(Refusal::Unavailable));
    for invocation in world.starts.keys().copied().collect::<Vec<_>>() {
        world.finish(invocation, &Do::Succeed { emits: 0 });
    }
    world.commit_all();
    assert!(world.starts.is_empty() && world.engine.is_idle());
    assert_eq!(world.store.waiting.len(), 6 - running);
    world.crash();
    world.run_out();
    assert_eq!(world.engine.counts().done, (6 - running) as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// One event ends the process whenever its run would end. It is put aside after `crashes_max` crashes,
    /// with a line for each in its history; everything else is done, though one attempt is all it has.
    #[test]
    fn the_guilty_is_put_aside_and_the_innocent_are_done(
        cap in 4..12_u32,
        crashes_max in 2..5_u8,
        acts in prop::collection::vec(act(), 1..120),
        at in 0..120_usize,
        killer in (0..6_u32, 0..2_usize),
        ends in prop::collection::vec(any::<usize>(), 1..8),
    ) {
        let mut app = one_attempt(cap);
        app.limits.crashes_max = crashes_max;
        app.functions.values_mut().for_each(|f| f.inbox.attempts_max = 1);
        let mut world = World::new(app);
        let at = at % acts.len();
        for (index, act) in acts.into_iter().enumerate() {
            if index == at {
                world.send_killer(killer.0, ["first", "second"][killer.1]);
            }
            // Nothing fails but by the killer.
            let act = match act {
                Act::Finish { which, deed: Do::Fail(_) } => Act::Finish { which, deed: Do::Succeed { emits: 1 } },
                Act::Redrive | Act::Discard => continue,
                // Nor by time.
                Act::Advance { millis } => Act::Advance { millis: millis % 20 },
                other => other,
            };
            perform(&mut world, act);
        }
        // The rest ends in an order that is not its beginning's.
        for turn in 0.. {
            world.commit_all();
            if world.starts.is_empty() { break }
            let which = ends[turn % ends.len()] % world.starts.len();
            let invocation = *world.starts.keys().nth(which).unwrap();
            world.finish(invocation, &Do::Succeed { emits: 0 });
        }
        settle_the_books(&mut world);
        let refused = world.store.dead.is_empty() && world.crashes == 0;
        if !refused {
            prop_assert_eq!(world.crashes, u32::from(crashes_max));
            prop_assert_eq!(world.store.dead.len(), 1);
            let (seq, dead) = world.store.dead.first_key_value().unwrap();
            prop_assert_eq!(dead.failure.kind, FailureKind::Crashed);
            prop_assert_eq!(dead.event.crashes, crashes_max);
            let history: Vec<_> = world.store.history.range((*seq, 0)..(Seq(seq.0 + 1), 0)).collect();
            prop_assert!(history.len() == usize::from(crashes_max), "{:?}", history);
            prop_assert!(history.iter().all(|(_, note)| note.failure.kind == FailureKind::Crashed));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// I9: with every other tenant's queue full, a newcomer waits no longer than
    /// ⌈active tenants / slots⌉ × the longest run.
    #[test]
    fn a_newcomer_waits_within_the_bound(
        slots in 1..6_u32,
        others in 1..5_u32,
        backlog in 1..30_usize,
        runs in prop::collection::vec(1..10_u64, 1..8),
        weights in prop::collection::vec(1..1_000_u32, 6),
    ) {
        let mut app = application(slots);
        app.functions.clear();
        app.functions.insert(name("first"), function("first", limits(u32::MAX, 0), &[]));
        app.queues.retain(|_, q| q.name.as_str() == "first");
        app.queues.get_mut("first").unwrap().delivery = delivery(1);
        app.topics.clear();
        app.tenants.clear();
        for (index, weight) in weights.iter().enumerate() {
            let limits = TenantLimits { weight: *weight, ..TenantLimits::default() };
            app.tenants.insert(name(&format!("t{index}")), limits);
        }
        let mut world = World::new(app);
        let longest = Span::from_secs(*runs.iter().max().unwrap());
        for _ in 0..backlog {
            for tenant in 1..=others {
                world.send(tenant, "first", None);
            }
        }
        let mut ends: Vec<(flyball_core::Time, flyball_core::InvocationId, u64)> = Vec::new();
        let mut arrived = false;
        for turn in 0..400_usize {
            world.commit_all();
            for invocation in world.starts.keys().copied().collect::<Vec<_>>() {
                if !ends.iter().any(|(_, i, _)| *i == invocation) {
                    let secs = runs[turn % runs.len()];
                    ends.push((world.now.after(Span::from_secs(secs)), invocation, secs));
                }
            }
            if turn == backlog && !arrived {
                arrived = true;
                world.send(0, "first", None);
                world.commit_all();
                continue;
            }
            ends.sort();
            if ends.is_empty() { break }
            let (at, invocation, secs) = ends.remove(0);
            world.now = at;
            let mut outcome = world.outcome(invocation, &Do::Succeed { emits: 0 });
            outcome.usage = world::usage(secs * 1_000_000);
            world.report(invocation, outcome);
        }
        if let Some(waited) = world.books.dwell_max.get(&TenantId(0)) {
            let bound = u64::from((others + 1).div_ceil(slots)) * longest.0;
            prop_assert!(waited.0 <= bound, "waited {} ms, the bound is {} ms", waited.as_millis(), bound / 1_000);
        }
    }
}

#[test]
fn a_call_that_may_not_wait_starts_at_once_or_is_refused() {
    let mut application = application(8);
    application.limits.call_wait_max = Span::ZERO;
    let mut world = World::new(application);
    let [first, _, third] = [1, 1, 1].map(|tenant| world.call(tenant, "second", None));
    assert_eq!(world.starts.len(), 2);
    let Some(Answer::Refused(Refusal::Throttled { limit, .. })) = world.answers.get(&third) else {
        panic!("{:?}", world.answers)
    };
    assert_eq!(limit.to_string(), "function second for tenant t1 concurrency");
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Succeed { emits: 0 });
    world.commit_all();
    assert!(matches!(world.answers.get(&first), Some(Answer::Done { .. })), "{:?}", world.answers);
    let fourth = world.call(1, "second", None);
    assert_eq!(world.answers.get(&fourth), None, "it runs");
    world.replay();
}
