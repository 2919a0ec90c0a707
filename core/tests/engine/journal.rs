//! The log of a history, and its replay: exact where it is whole, told where it is not.

use crate::world::{Do, World, application};
use flyball_core::{
    Body, CallerId, Effect, Engine, FailureKind, Input, InvocationId, Seq, Settings, Span, Time,
    journal::{Decoder, EffectsHash, Encoder, End, Entry, Head, Replay, ReplayError, Step, Tally, WhatIf},
    model::Shared,
};
use proptest::prelude::*;

/// A log that is being written.
#[derive(Debug, Clone)]
pub struct Log {
    encoder: Encoder,
    pub bytes: Vec<u8>,
    pub steps: u64,
}

impl Log {
    pub fn of(application: &Shared) -> Log {
        let mut bytes = Vec::new();
        let encoder = Encoder::begin(&mut bytes);
        let mut log = Log { encoder, bytes, steps: 0 };
        let application = (***application).clone();
        log.add(&Entry::Head(Box::new(Head { build: "test".into(), application })));
        log
    }

    pub fn add(&mut self, entry: &Entry) {
        self.encoder.encode(entry, &mut self.bytes).unwrap();
    }

    pub fn engine(&mut self, settings: Settings) {
        self.add(&Entry::Engine(settings));
    }

    pub fn step(&mut self, now: Time, input: Input, effects: &[Effect]) {
        self.steps += 1;
        self.add(&Entry::Step(Step { now, input, effects: EffectsHash::of(effects) }));
    }

    /// The whole history, over all crashes.
    pub fn replays_exactly(&self, world: &World) {
        let (tally, end) = replay(&self.bytes);
        assert_eq!(end, Ok(0));
        assert_eq!(tally.steps, self.steps);
        assert_eq!(tally.counts.waiting, 0);
        assert_eq!(tally.counts.dead, world.engine.counts().dead);
    }
}

/// Replays as much as there is: what it showed, and the bytes of a last entry that is not whole.
fn replay(log: &[u8]) -> (Tally, Result<usize, ReplayError>) {
    let (mut decoder, mut replay) = (Decoder::default(), Replay::new());
    for piece in log.chunks(1_000) {
        decoder.feed(piece);
        loop {
            let offset = decoder.offset();
            let taken = match decoder.next_entry() {
                Ok(Some(entry)) => replay.take(entry, offset),
                Ok(None) => break,
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                return (replay.tally(), Err(error));
            }
        }
    }
    (replay.tally(), Ok(decoder.left_bytes()))
}

/// A short history with all that a log can hold.
fn history() -> World {
    let mut world = World::new(application(5));
    world.send(0, "first", Some("key"));
    world.call(1, "first", None);
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Succeed { emits: 2 });
    world.commit_all();
    world.reopen();
    world.run_out();
    world.send(0, "first", Some("key"));
    world.run_out();
    world
}

#[test]
fn a_log_tells_what_happened() {
    let mut world = history();
    world.log.add(&Entry::End(End::Closed));
    let (tally, end) = replay(&world.log.bytes);
    assert_eq!(end, Ok(0));
    assert_eq!((tally.engines, tally.end), (2, Some(End::Closed)));
    assert_eq!((tally.counts.accepted, tally.counts.duplicates, tally.counts.calls), (4, 1, 1));
    assert_eq!(tally.counts.done, 4);
    assert_eq!(tally.application.unwrap().as_str(), "test");
    assert_eq!(replay(&world.log.bytes).0.hash, tally.hash);
}

#[test]
fn a_log_that_is_cut_anywhere_replays_what_is_whole() {
    let world = history();
    let bytes = &world.log.bytes;
    let (whole, _) = replay(bytes);
    let mut steps = 0;
    for length in 0..bytes.len() {
        let (tally, end) = replay(&bytes[..length]);
        assert!(end.is_ok(), "cut at {length}: {end:?}");
        assert!(tally.steps >= steps && tally.steps < whole.steps, "cut at {length}");
        steps = tally.steps;
    }
    assert_eq!(steps, whole.steps - 1);
}

#[test]
fn each_changed_byte_is_told_with_its_place() {
    let world = history();
    for at in 0..world.log.bytes.len() {
        for changed in [1, 0x80, 0xff] {
            let mut bytes = world.log.bytes.clone();
            bytes[at] ^= changed;
            match replay(&bytes).1 {
                Err(ReplayError::NotALog) => assert!(at < 15),
                Err(ReplayError::Format { .. }) => assert_eq!(at, 15),
                Err(ReplayError::Damaged { offset, .. }) => assert!(offset <= at as u64, "{offset} {at}"),
                other => panic!("byte {at} changed by {changed}: {other:?}"),
            }
        }
    }
}

#[test]
fn entries_that_are_left_out_or_change_places_are_told() {
    let world = history();
    let mut places = vec![0];
    let mut decoder = Decoder::default();
    decoder.feed(&world.log.bytes);
    while decoder.next_entry().unwrap().is_some() {
        places.push(decoder.offset() as usize);
    }
    for pair in places.windows(3) {
        let [start, middle, end] = [pair[0], pair[1], pair[2]];
        if start == 0 {
            continue;
        }
        let bytes = &world.log.bytes;
        let without = [&bytes[..start], &bytes[middle..]].concat();
        let swapped = [&bytes[..start], &bytes[middle..end], &bytes[start..middle], &bytes[end..]].concat();
        for wrong in [without, swapped] {
            let offset = start as u64;
            assert!(matches!(replay(&wrong).1, Err(ReplayError::Damaged { offset: at, .. }) if at == offset));
        }
    }
}

#[test]
fn the_first_difference_is_named_with_what_was_recorded_and_what_came() {
    let mut world = World::new(application(5));
    let before = world.log.steps;
    let send = Input::Abandon(CallerId(1));
    // The recorded engine is said to have wanted something that this one does not.
    let effects = [Effect::Stop(InvocationId(1))];
    world.log.step(world.now, send, &effects);
    let (tally, end) = replay(&world.log.bytes);
    let Err(ReplayError::Different(difference)) = end else { panic!("{end:?}") };
    assert_eq!((tally.steps, difference.step, difference.engine), (before, before + 1, 1));
    assert_eq!((difference.recorded.count, difference.came.count), (1, 0));
    assert_eq!(difference.input, "Abandon(CallerId(1))");
    insta::assert_snapshot!(difference, @"step 9 is different: 1 effects were recorded, 0 came");
}

#[test]
fn what_no_driver_feeds_is_refused() {
    let early = |log: &mut Log| log.step(Time(1), Input::Tick, &[]);
    let late = |log: &mut Log| log.step(Time(1), Input::Opened, &[]);
    let beyond = |log: &mut Log| log.step(Time(1), Input::RestoreDead(1, Seq(u64::MAX)), &[]);
    let twice = |log: &mut Log| {
        let application = application(5);
        log.add(&Entry::Head(Box::new(Head { build: String::new(), application })));
    };
    let after = |log: &mut Log| {
        log.add(&Entry::End(End::Closed));
        log.add(&Entry::End(End::Closed));
    };
    let opened = World::new(application(5)).log;
    let mut unopened = Log::of(&World::new(application(5)).application);
    let headless = unopened.clone();
    unopened.engine(Settings { lane: 0, incarnation: 1, process: 1, seed: 1 });
    type Add<'a> = &'a dyn Fn(&mut Log);
    let wrong: [(&Log, Add<'_>, &str); 6] = [
        (&unopened, &early, "something happens before the engine was opened"),
        (&opened, &late, "what is restored comes after the engine was opened"),
        (&unopened, &beyond, "a count is beyond all there can be"),
        (&opened, &twice, "it has two heads"),
        (&opened, &after, "it goes on after its end"),
        (&headless, &early, "a step comes before its engine"),
    ];
    for (log, add, expected) in wrong {
        let mut log = log.clone();
        add(&mut log);
        let Err(ReplayError::Damaged { why, .. }) = replay(&log.bytes).1 else { panic!("{expected}") };
        assert_eq!(why, expected);
    }
}

#[test]
fn an_entry_beyond_the_limit_is_refused_and_the_log_goes_on() {
    let mut world = World::new(application(5));
    let before = world.log.bytes.clone();
    let body = Body::from(vec![0; (64 << 20) + 1]);
    let key = flyball_core::KeyedCall {
        keyed: world.keyed(flyball_core::TenantId(0), "first", "key", "same"),
        attributes: crate::world::attributes(),
        body,
    };
    let call = flyball_core::Call {
        caller: CallerId(1),
        tenant: flyball_core::TenantId(0),
        function: crate::world::name("first"),
        key: Some(Box::new(key)),
    };
    let input = Input::Call(call);
    assert!(input.weight_bytes() > 64 << 20);
    let step = Step { now: world.now, input, effects: EffectsHash::of(&[]) };
    let refused = world.log.encoder.encode(&Entry::Step(step), &mut world.log.bytes);
    assert!(refused.unwrap_err().bytes > 64 << 20);
    assert_eq!(world.log.bytes, before);
    world.send(0, "first", None);
    assert_eq!(replay(&world.log.bytes).1, Ok(0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes there are: no panic, and the pieces they come in are of no account.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), begins: bool) {
        let mut log = Vec::new();
        if begins {
            Encoder::begin(&mut log);
        }
        log.extend(bytes);
        let mut decoder = Decoder::default();
        log.iter().for_each(|byte| decoder.feed(&[*byte]));
        let entry = decoder.next_entry();
        let mut other = Decoder::default();
        other.feed(&log);
        prop_assert_eq!(entry, other.next_entry());
    }
}

#[test]
fn an_engine_with_another_seed_is_different() {
    let mut world = World::new(application(5));
    world.send(0, "first", None);
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Fail(flyball_core::FailureKind::Trap));
    world.commit_all();
    world.advance(Span::from_secs(3));
    let mut log = Log::of(&world.application);
    let settings = Settings { lane: 0, incarnation: 1, process: 1, seed: 8 };
    log.engine(settings);
    let mut engine = Engine::new(world.application.clone(), Settings { seed: 7, ..settings });
    for (now, input) in &world.inputs {
        let mut effects = Vec::new();
        engine.step(*now, input.clone(), &mut effects);
        log.step(*now, input.clone(), &effects);
    }
    let (_, end) = replay(&log.bytes);
    let Err(ReplayError::Different(difference)) = end else { panic!("the jitter of retries is the seed's") };
    assert!(difference.input.starts_with("Finished(") && !difference.effects.is_empty());
}

/// What would have come of a log under another application, and what came.
fn what_if(log: &[u8], application: flyball_core::model::Application) -> (Tally, Tally, u64) {
    let mut what_if = WhatIf::new(std::sync::Arc::new(application.check().unwrap()));
    for pass in 0..2 {
        let mut decoder = Decoder::default();
        decoder.feed(log);
        while let Some(entry) = decoder.next_entry().unwrap() {
            match pass {
                0 => what_if.learn(entry, decoder.offset()).unwrap(),
                _ => what_if.take(entry, decoder.offset()).unwrap(),
            }
        }
    }
    let (recorded, assumed) = (what_if.recorded(), what_if.assumed_runs());
    (recorded, what_if.finish(), assumed)
}

/// One event after the other; each run takes 200 ms.
fn in_turns(application: flyball_core::model::Application, events: u32) -> World {
    let mut world = World::new(application);
    for event in 0..events {
        world.send(event % 3, "first", (event == 1).then_some("key"));
        world.commit_all();
        world.advance(Span::from_millis(200));
        let invocation = *world.starts.keys().next().unwrap();
        world.finish(invocation, &Do::Succeed { emits: 0 });
        world.commit_all();
        world.advance(Span::from_millis(1));
    }
    world
}

#[test]
fn a_what_if_of_the_same_application_does_the_same() {
    let mut world = in_turns(application(5), 12);
    world.send(1, "first", Some("key"));
    let (recorded, estimate, assumed) = what_if(&world.log.bytes, application(5));
    assert_eq!((recorded.counts.accepted, recorded.counts.duplicates), (12, 1));
    assert_eq!((estimate.counts, assumed), (recorded.counts, 0));
}

#[test]
fn a_what_if_with_less_room_refuses_what_was_accepted() {
    let mut world = World::new(application(5));
    for _ in 0..20 {
        world.send(0, "first", None);
    }
    world.commit_all();
    world.advance(Span::from_millis(1));
    let mut narrow = application(5);
    narrow.tenant_defaults.waiting_events_max = 2;
    let (recorded, estimate, _) = what_if(&world.log.bytes, narrow);
    assert_eq!((recorded.counts.accepted, recorded.counts.refused), (20, 0));
    assert!(estimate.counts.refused > 0, "{estimate:?}");
    assert_eq!(estimate.counts.accepted + estimate.counts.refused, 20);
}

#[test]
fn a_what_if_with_a_shorter_timeout_ends_runs_that_took_longer() {
    let mut world = in_turns(application(5), 1);
    world.advance(Span::from_secs(60));
    let mut impatient = application(5);
    impatient.functions.values_mut().for_each(|function| function.timeout = Span::from_millis(100));
    let (recorded, estimate, assumed) = what_if(&world.log.bytes, impatient);
    assert_eq!((recorded.counts.done, recorded.counts.dead), (1, 0));
    assert_eq!((estimate.counts.done, estimate.counts.dead), (0, 1));
    assert_eq!(assumed, 2, "its second and third run");
}

/// Found by the property below: a dead letter from before the engine began was discarded and then redriven as well.
#[test]
fn a_what_if_has_a_dead_letter_from_before_once() {
    let mut world = World::new(application(4));
    world.send(0, "first", None);
    world.commit_all();
    let invocation = *world.starts.keys().next().unwrap();
    world.finish(invocation, &Do::Fail(FailureKind::Permanent));
    world.commit_all();
    world.advance(Span::from_millis(1));
    world.crash();
    crate::perform(&mut world, crate::Act::Discard);
    crate::perform(&mut world, crate::Act::Redrive);
    world.advance(Span::ZERO);
    let (recorded, estimate, _) = what_if(&world.log.bytes, application(4));
    assert_eq!((recorded.counts.refused, estimate.counts.refused), (1, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Under any cap a what-if of any history keeps the invariants, which debug builds check at each step.
    #[test]
    fn a_what_if_of_any_history_ends(
        cap in 4..12_u32,
        other in 4..12_u32,
        acts in prop::collection::vec(crate::any_act(), 1..80),
    ) {
        let mut world = World::new(application(cap));
        acts.into_iter().for_each(|act| crate::perform(&mut world, act));
        let (recorded, tally, _) = what_if(&world.log.bytes, application(other));
        prop_assert_eq!(recorded.steps, world.log.steps);
        prop_assert_eq!(recorded.engines, tally.engines);
    }
}
