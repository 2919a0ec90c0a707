//! The engine when the process ends, a commit fails, or all stops in good order: who is charged, who runs alone,
//! and what is written as begun before it runs.

use crate::world::{Do, World, application};
use flyball_core::{CommitResult, FailureKind, Input, Seq, model::Rate};

/// The events that run, by invocation.
fn running(world: &World) -> Vec<Vec<(Seq, u16)>> {
    let events = world.starts.values().map(|s| match &s.work {
        flyball_core::Work::Events(events) => events.iter().map(|e| (e.seq, e.attempt)).collect(),
        flyball_core::Work::Call { .. } => Vec::new(),
    });
    events.collect()
}

pub fn one_attempt(cap: u32) -> flyball_core::model::Application {
    let mut app = application(cap);
    app.queues.values_mut().for_each(|queue| queue.delivery.attempts_max = 1);
    app
}

#[test]
fn what_ends_the_process_each_time_is_put_aside_with_its_history_and_no_attempt_is_spent() {
    let mut world = World::new(one_attempt(5));
    world.send_killer(0, "first");
    for crash in 0..3 {
        assert!(world.store.dead.is_empty());
        world.commit_all();
        assert!(matches!(running(&world)[..], [ref run] if run[..] == [(Seq(2), 1)]), "crash {crash}");
        world.crash();
        assert!(world.starts.is_empty(), "not before its crash is durable");
    }
    world.commit_all();
    let (seq, dead) = world.store.dead.first_key_value().map(|(s, d)| (*s, d.clone())).unwrap();
    assert_eq!((dead.event.crashes, dead.event.notes, dead.event.attempt), (3, 3, 0));
    assert_eq!(
        dead.failure.to_string(),
        "FE2014 the platform's process ended while this ran, 3 times in a row; crashes_max is 3. Find out \
         why, in the server's log, before a redrive"
    );
    let history: Vec<_> = world.store.history.range((seq, 0)..).map(|(_, note)| note.attempt).collect();
    assert_eq!(history, [1, 1, 1]);
    let caller = world.caller();
    world.step(Input::Redrive(caller, seq, Box::new(dead)));
    world.commit_all();
    world.crash();
    world.commit_all();
    assert_eq!(world.store.dead.len(), 1, "a redrive gives it one run");
    assert_eq!(world.store.history.len(), 4);
}

#[test]
fn an_event_starts_when_its_acceptance_is_durable() {
    let mut world = World::new(one_attempt(5));
    world.send(0, "first", None);
    let batch = *world.commits.keys().next().unwrap();
    world.commit(batch);
    assert!(
        matches!(running(&world)[..], [ref run] if run[..] == [(Seq(2), 1)]),
        "its beginning came with it"
    );
    assert!(world.commits.is_empty());
}

#[test]
fn what_waits_for_a_slot_starts_without_a_commit_when_one_is_free() {
    let mut world = World::new(one_attempt(4));
    for _ in 0..40 {
        world.send(0, "first", None);
    }
    world.commit_all();
    let mut done = 0;
    while let Some(invocation) = world.starts.keys().next().copied() {
        let others = world.starts.len() - 1;
        world.finish(invocation, &Do::Succeed { emits: 0 });
        done += 1;
        assert!(
            world.starts.len() > others || done > 40 - 1 - others,
            "none starts in place of number {done}"
        );
        world.commit_all();
    }
    assert_eq!(done, 40);
    assert_eq!(world.engine.counts().done, 40);
}

#[test]
fn a_run_starts_after_the_commit_in_which_its_beginning_is_under_way() {
    let mut world = World::new(one_attempt(4));
    for _ in 0..200 {
        world.send(0, "first", None);
    }
    world.commit_all();
    // Nothing is committed any more, until nothing runs: what begins now waits for what is under way.
    while let Some(invocation) = world.starts.keys().next().copied() {
        world.finish(invocation, &Do::Succeed { emits: 0 });
    }
    assert!(world.engine.counts().running > 0, "some have begun and not started");
    // The store makes what it is given in any order: what is written of an event later waits for the earlier.
    while let Some(batch) = world.commits.keys().next_back().copied() {
        world.commit(batch);
        while let Some(invocation) = world.starts.keys().next().copied() {
            world.finish(invocation, &Do::Succeed { emits: 0 });
        }
    }
    world.run_out();
    assert_eq!(world.engine.counts().done, 200);
}

#[test]
fn a_crash_charges_what_ran_and_few_of_those_that_waited() {
    let mut world = World::new(one_attempt(4));
    for tenant in [0, 2, 3, 5] {
        for _ in 0..100 {
            world.send(tenant, "first", None);
        }
    }
    world.commit_all();
    let ran = world.starts.len();
    world.crash();
    world.commit_all();
    let charged = world.store.waiting.values().filter(|waiting| waiting.crashes > 0).count();
    assert!(charged > ran && charged <= ran + 64, "{charged} are charged, {ran} ran");
    world.crash();
    world.commit_all();
    let twice = world.store.waiting.values().filter(|waiting| waiting.crashes > 1).count();
    assert!(twice <= ran, "who was charged once is charged again only if it runs: {twice}");
    world.run_out();
    assert!(world.store.dead.is_empty());
    assert_eq!(world.engine.counts().done, 400);
}

#[test]
fn what_arrives_while_nothing_starts_any_more_is_not_left_as_begun() {
    let mut world = World::new(one_attempt(5));
    world.send(0, "first", None);
    world.step(Input::Drain);
    world.commit_all();
    assert!(world.starts.is_empty() && world.engine.is_idle());
    assert!(world.store.waiting.values().all(|waiting| waiting.running.is_none() && waiting.attempt == 0));
    world.crash();
    world.run_out();
    assert!(world.store.history.is_empty(), "the crash was after it had been given back");
    assert_eq!(world.engine.counts().done, 1);
}

#[test]
fn a_failed_commit_and_an_orderly_end_cost_nothing() {
    let mut world = World::new(one_attempt(5));
    world.send(0, "first", None);
    for turn in 0..12 {
        world.commit_all();
        assert!(matches!(running(&world)[..], [ref run] if run[..] == [(Seq(2), 1)]), "turn {turn}");
        if turn % 2 == 0 {
            world.reopen()
        } else {
            world.close()
        }
        let waiting = world.store.waiting.values().next().unwrap();
        assert_eq!(waiting.crashes, 0);
    }
    world.run_out();
    assert_eq!(world.engine.counts().done, 1);
    assert!(world.store.history.is_empty());
}

#[test]
fn what_waits_again_after_a_stale_read_is_given_back_by_an_orderly_end() {
    let mut world = World::new(application(5));
    for _ in 0..4 {
        world.send(0, "first", None);
    }
    world.commit_all();
    let runs: Vec<_> = world.starts.keys().copied().collect();
    assert_eq!(runs.len(), 2, "the other two wait");
    let outcomes: Vec<_> = runs.iter().map(|run| world.outcome(*run, &Do::Count)).collect();
    for (run, outcome) in runs.iter().zip(outcomes) {
        world.report(*run, outcome);
    }
    // In the order in which they were asked for: the second had read what the first wrote.
    let batches: Vec<_> = world.commits.keys().copied().collect();
    let results: Vec<_> = batches.into_iter().map(|batch| world.commit(batch)).collect();
    assert!(results.contains(&CommitResult::Conflict), "{results:?}");
    assert_eq!(world.starts.len(), 2, "the slots are those of the two that had waited");
    assert_eq!(world.engine.counts().waiting, 1);
    world.step(Input::Close);
    world.commit_all();
    let waiting: Vec<_> = world.store.waiting.values().collect();
    assert_eq!(waiting.len(), 3);
    assert!(waiting.iter().all(|waiting| waiting.running.is_none() && waiting.attempt == 0), "{waiting:?}");
}

#[test]
fn what_returns_after_a_failed_commit_is_not_charged_with_a_crash_that_comes_before_it_runs() {
    // One slot is left beside the guarantees.
    let mut world = World::new(one_attempt(4));
    world.send(0, "first", None);
    world.send(2, "first", None);
    world.commit_all();
    world.reopen();
    // What ran is durably in its queue again, while the other has the one slot.
    world.commit_all();
    let run = running(&world)[0][0].0;
    world.crash();
    world.commit_all();
    for (seq, waiting) in &world.store.waiting {
        assert_eq!(waiting.crashes, u8::from(*seq == run), "{seq:?}");
    }
}

#[test]
fn a_crash_does_not_serialise_those_who_ran_and_a_second_does() {
    let mut world = World::new(one_attempt(12));
    for tenant in [0, 2, 3] {
        for _ in 0..2 {
            world.send(tenant, "first", None);
        }
    }
    for _ in 0..5 {
        world.send(4, "second", None);
    }
    world.commit_all();
    let before = world.starts.len();
    assert_eq!(before, 8, "6 of `first`, 2 of `second`");
    world.crash();
    world.commit_all();
    assert_eq!(world.starts.len(), before, "all run again at once");
    world.crash();
    world.commit_all();
    let suspects: Vec<Seq> =
        world.store.waiting.iter().filter(|(_, w)| w.crashes == 2).map(|(seq, _)| *seq).collect();
    assert!(suspects.len() >= 6, "{suspects:?}");
    let mut turns = Vec::new();
    while turns.len() < suspects.len() {
        let runs = running(&world);
        let now: Vec<_> =
            runs.iter().filter(|run| run.iter().any(|(seq, _)| suspects.contains(seq))).collect();
        assert!(now.len() <= 1 && now.iter().all(|run| run.len() == 1), "one at a time, and alone: {now:?}");
        // Where none runs its flow is at a limit.
        let first = now.first().map_or(runs[0][0].0, |run| run[0].0);
        turns.extend(now.first().map(|run| run[0].0));
        let is =
            |s: &flyball_core::Start| matches!(&s.work, flyball_core::Work::Events(e) if e[0].seq == first);
        let invocation = *world.starts.iter().find(|(_, s)| is(s)).unwrap().0;
        world.finish(invocation, &Do::Succeed { emits: 0 });
        assert!(
            running(&world).iter().flatten().all(|(seq, _)| !suspects.contains(seq)),
            "not before it is durable"
        );
        world.commit_all();
    }
    world.run_out();
    assert_eq!(world.engine.counts().done, 11);
    assert!(world.store.dead.is_empty());
}

#[test]
fn a_suspect_that_is_at_a_limit_does_not_hold_up_another() {
    let mut app = one_attempt(12);
    app.functions.get_mut("first").unwrap().limits.rate = Some(Rate { per_second: 1, burst: 2 });
    let mut world = World::new(app);
    world.send(0, "first", None);
    world.send(2, "third", None);
    world.call(3, "third", None);
    world.commit_all();
    let _ = world.send(2, "news", None);
    world.commit_all();
    for _ in 0..2 {
        world.crash();
        world.commit_all();
    }
    // `first` has no token for its suspect; the copies of the news run one after the other.
    let mut done = 0;
    while let Some(invocation) = world.starts.keys().next().copied() {
        assert_eq!(world.starts.len(), 1);
        world.finish(invocation, &Do::Succeed { emits: 0 });
        world.commit_all();
        done += 1;
    }
    assert!(done >= 2, "{done}");
    world.run_out();
}

#[test]
fn a_run_that_ends_clears_its_event() {
    let mut world = World::new(application(5));
    world.send(0, "first", None);
    for _ in 0..2 {
        world.commit_all();
        world.crash();
    }
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Fail(FailureKind::Trap));
    world.commit_all();
    assert_eq!(world.store.waiting.values().next().unwrap().crashes, 0);
    world.crash();
    world.run_out();
    assert_eq!(world.engine.counts().done, 1);
}
