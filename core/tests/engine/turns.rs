//! Who is overtaken again and again gets its turn.

use std::collections::BTreeMap;

use flyball_core::{
    Answer, CallerId, FailureKind, Input, InvocationId, Outcome, Refusal, Span, Time, model::Application,
};
use proptest::prelude::*;

use crate::world::{Do, World, application};

/// A world whose runs read when they start.
struct Readers {
    world: World,
    outcomes: BTreeMap<InvocationId, Outcome>,
}

impl Readers {
    fn new(conflicts_max: u8) -> Readers {
        let mut app = application(8);
        app.limits.conflicts_max = conflicts_max;
        Readers::of(app)
    }

    fn of(app: Application) -> Readers {
        Readers { world: World::new(app), outcomes: BTreeMap::new() }
    }

    /// A run of the first tenant that has the turn: an event's, which calls have overtaken three times.
    fn contender(&mut self, function: &str) -> InvocationId {
        self.world.send(0, function, None);
        self.commit_all();
        for _ in 0..3 {
            let slow = self.runs(function)[0];
            let before = self.runs("third").len();
            self.world.call(0, "third", None);
            self.read();
            self.finish(self.runs("third")[before]);
            self.commit_all();
            self.finish(slow);
            self.commit_all();
        }
        self.runs(function)[0]
    }

    /// What started has read by now.
    fn read(&mut self) {
        let Readers { world, outcomes } = self;
        outcomes.retain(|run, _| world.starts.contains_key(run));
        for run in world.starts.keys() {
            outcomes.entry(*run).or_insert_with(|| world.outcome(*run, &Do::Count));
        }
    }

    fn commit_next(&mut self) {
        if let Some(batch) = self.world.commits.keys().next().copied() {
            self.world.commit(batch);
            self.read();
        }
    }

    fn commit_all(&mut self) {
        while !self.world.commits.is_empty() {
            self.commit_next();
        }
    }

    fn finish(&mut self, run: InvocationId) {
        let outcome = self.outcomes.remove(&run).expect("it has started");
        self.world.report(run, outcome);
        self.read();
    }

    /// Ends all that there is, one run after the other.
    fn run_out(&mut self) {
        while !(self.world.starts.is_empty() && self.world.commits.is_empty()) {
            self.commit_all();
            if let Some(run) = self.world.starts.keys().next().copied() {
                self.finish(run);
            }
        }
    }

    fn runs(&self, function: &str) -> Vec<InvocationId> {
        let of = self.world.starts.iter().filter(|(_, start)| start.function.as_str() == function);
        of.map(|(run, _)| *run).collect()
    }

    fn failed(&self, callers: impl IntoIterator<Item = CallerId>) -> usize {
        let failed = |caller| matches!(self.world.answers.get(&caller), Some(Answer::Failed { .. }));
        callers.into_iter().filter(|caller| failed(*caller)).count()
    }
}

/// A batch takes as long as ten short runs, and all write one key.
#[test]
fn a_batch_is_done_though_short_runs_overtake_it_each_time() {
    let mut readers = Readers::new(16);
    for _ in 0..5 {
        readers.world.send(0, "second", None);
    }
    readers.commit_all();
    let mut rounds = 0;
    while !readers.world.store.waiting.values().all(|w| w.queue.as_str() == "first") {
        rounds += 1;
        assert!(rounds < 20, "{:?}", readers.world.store.waiting);
        for _ in 0..10 {
            readers.world.send(0, "first", None);
            readers.commit_all();
            for run in readers.runs("first") {
                readers.finish(run);
            }
            readers.commit_all();
        }
        for run in readers.runs("second") {
            readers.finish(run);
        }
        readers.commit_all();
    }
    readers.run_out();
    assert_eq!((readers.world.store.dead.len(), readers.world.store.history.len()), (0, 0));
}

/// Reads once, and is long; the short ones that write meanwhile go first again when its time is over.
#[test]
fn a_turn_that_takes_long_holds_up_the_others_for_ten_seconds() {
    let mut readers = Readers::new(16);
    let slow = readers.contender("first");
    let caller = readers.world.call(0, "third", None);
    readers.read();
    // In vain, and then it is held.
    readers.finish(readers.runs("third")[0]);
    readers.commit_all();
    assert!(readers.runs("third").is_empty() && !readers.world.answers.contains_key(&caller));
    let other = readers.world.call(1, "third", None);
    readers.read();
    readers.finish(readers.runs("third")[0]);
    readers.commit_all();
    assert!(matches!(readers.world.answers[&other], Answer::Done { .. }), "another tenant's data is its own");
    readers.world.advance(Span::from_millis(4_999));
    assert!(!readers.world.answers.contains_key(&caller));
    readers.world.advance(Span::from_millis(1));
    let Answer::Failed { failure, .. } = &readers.world.answers[&caller] else {
        panic!("it waits no longer")
    };
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert_eq!(
        failure.message,
        "others change what it reads; it has waited for its turn for 5000 ms, call_wait_max"
    );
    readers.world.advance(Span::from_millis(1));
    let caller = readers.world.call(0, "third", None);
    readers.read();
    readers.finish(readers.runs("third")[0]);
    readers.commit_all();
    assert!(readers.runs("third").is_empty());
    readers.world.advance(Span::from_millis(4_999));
    readers.read();
    // Ten seconds: it goes first.
    readers.finish(readers.runs("third")[0]);
    readers.commit_all();
    assert!(matches!(readers.world.answers[&caller], Answer::Done { .. }));
    readers.finish(slow);
    readers.commit_all();
    readers.run_out();
    assert_eq!(readers.world.store.dead.len(), 0);
}

/// Runs that all take so long, and write one key: how many are done, and in how many runs.
fn long_runs(count: u32, takes: Span) -> (usize, usize) {
    let mut app = application(64);
    for function in app.functions.values_mut() {
        (function.timeout, function.inbox.visibility) = (Span::from_secs(100), Span::from_secs(200));
    }
    app.queues.values_mut().for_each(|q| q.delivery.visibility = Span::from_secs(200));
    app.tenant_defaults.limits.concurrency.cap = 64;
    let mut readers = Readers::of(app);
    for _ in 0..count {
        readers.world.send(0, "first", None);
    }
    readers.commit_all();
    let mut ends: BTreeMap<InvocationId, Time> = BTreeMap::new();
    let mut runs = 0;
    loop {
        readers.commit_all();
        if readers.world.store.waiting.is_empty() {
            return (readers.world.books.done.len(), runs);
        }
        for run in readers.world.starts.keys() {
            ends.entry(*run).or_insert_with(|| {
                runs += 1;
                readers.world.now.after(takes)
            });
        }
        assert!(runs < 400, "{:?}", readers.world.engine.counts());
        let first = ends.iter().min_by_key(|(run, at)| (**at, **run)).map(|(run, at)| (*run, *at));
        let timer = readers.world.engine.next_deadline();
        match first {
            Some((run, at)) if timer.is_none_or(|timer| at <= timer) => {
                ends.remove(&run);
                readers.world.now = readers.world.now.max(at);
                readers.finish(run);
            }
            _ => {
                readers.world.now = readers.world.now.max(timer.expect("something is to happen"));
                readers.world.step(Input::Tick);
                readers.read();
            }
        }
    }
}

/// Whoever ends first commits: no run is void for a turn that is as long.
#[test]
fn runs_that_take_longer_than_a_turn_do_not_keep_one_another_from_their_end() {
    for (count, seconds) in [(6, 11), (10, 11), (10, 30), (14, 30)] {
        let (done, runs) = long_runs(count, Span::from_secs(seconds));
        assert_eq!(done, count as usize);
        assert!(runs <= (count * (count + 1)) as usize, "{runs} runs of {count}");
    }
}

/// In each turn another call of a younger function comes, is void and contends.
#[test]
fn who_has_contended_longest_is_next_whatever_its_function() {
    for (old, young) in [("first", "third"), ("third", "first")] {
        let mut readers = Readers::new(16);
        let slow = readers.contender("second");
        let caller = readers.world.call(0, old, None);
        readers.read();
        readers.finish(readers.runs(old)[0]);
        readers.commit_all();
        let mut has_turn = slow;
        for _ in 0..3 {
            readers.world.call(0, young, None);
            readers.read();
            readers.finish(readers.runs(young)[0]);
            readers.commit_all();
            readers.finish(has_turn);
            readers.commit_all();
            has_turn = *readers.world.starts.keys().next().expect("the next has the turn");
            if has_turn != slow && readers.world.starts[&has_turn].function.as_str() == old {
                break;
            }
        }
        assert_eq!(readers.world.starts[&has_turn].function.as_str(), old, "it came first");
        readers.run_out();
        assert!(matches!(readers.world.answers[&caller], Answer::Done { .. }));
    }
}

/// What they had read is not known: each is overtaken once more, at most, and then its turn holds.
#[test]
fn those_who_contended_before_a_restart_are_done() {
    let mut app = application(8);
    app.limits.conflicts_max = 5;
    let mut readers = Readers::of(app);
    let count = 200;
    for _ in 0..count {
        readers.world.send(0, "first", None);
    }
    readers.commit_all();
    readers.world.store.waiting.values_mut().for_each(|waiting| waiting.conflicts = 3);
    readers.outcomes.clear();
    readers.world.crash();
    readers.world.store.waiting.values_mut().for_each(|waiting| waiting.crashes = 0);
    readers.commit_all();
    readers.read();
    let mut rounds = 0;
    while !readers.world.store.waiting.is_empty() {
        rounds += 1;
        assert!(rounds <= 3 * count, "{:?}", readers.world.engine.counts());
        // Overtakes, where the turn does not know what it reads.
        readers.world.call(0, "third", None);
        readers.read();
        if let Some(run) = readers.runs("third").first() {
            readers.finish(*run);
        }
        readers.commit_all();
        if let Some(run) = readers.runs("first").first() {
            readers.finish(*run);
        }
        readers.commit_all();
    }
    assert_eq!(readers.world.store.dead.len(), 0);
    readers.run_out();
}

#[test]
fn a_count_that_is_as_high_as_it_can_be_is_no_error() {
    let mut app = application(8);
    app.limits.conflicts_max = 255;
    let mut readers = Readers::of(app);
    readers.world.send(0, "first", None);
    readers.commit_all();
    readers.world.store.waiting.values_mut().for_each(|waiting| waiting.conflicts = 255);
    readers.outcomes.clear();
    readers.world.crash();
    readers.commit_all();
    readers.read();
    readers.run_out();
    assert!(readers.world.store.waiting.is_empty() && readers.world.store.dead.is_empty());
}

/// Those that wait for a turn are not written as begun: a crash charges what ran, and what is next.
#[test]
fn a_crash_does_not_charge_those_who_wait_for_a_turn() {
    let mut readers = Readers::new(16);
    for _ in 0..60 {
        readers.world.send(0, "first", None);
    }
    readers.commit_all();
    for _ in 0..12 {
        for run in readers.runs("first") {
            readers.finish(run);
        }
        readers.commit_all();
    }
    let begun = readers.world.store.waiting.values().filter(|waiting| waiting.running.is_some()).count();
    let waiting = readers.world.store.waiting.values().filter(|waiting| waiting.conflicts >= 3).count();
    let left = readers.world.store.waiting.len();
    assert!(waiting > 3, "{waiting} of {left} contend");
    readers.world.crash();
    let charged = readers.world.store.waiting.values().filter(|w| w.conflicts >= 3 && w.running.is_some());
    assert!(charged.count() <= 6, "{begun} of {left} were written as begun");
}

/// What has run while nothing starts any more commits, or its caller is told.
#[test]
fn no_outcome_is_void_for_a_turn_while_draining() {
    let mut readers = Readers::new(16);
    let slow = readers.contender("first");
    let caller = readers.world.call(0, "third", None);
    readers.read();
    readers.world.step(Input::Drain);
    readers.finish(readers.runs("third")[0]);
    readers.commit_all();
    assert!(matches!(readers.world.answers[&caller], Answer::Done { .. }));
    readers.finish(slow);
    readers.commit_all();
    assert!(readers.world.engine.is_idle());
    // A call that was overtaken can't run again.
    let mut readers = Readers::new(16);
    let callers = [readers.world.call(0, "third", None), readers.world.call(0, "third", None)];
    readers.read();
    readers.world.step(Input::Drain);
    for run in readers.runs("third") {
        readers.finish(run);
    }
    readers.commit_all();
    assert!(matches!(readers.world.answers[&callers[0]], Answer::Done { .. }));
    assert!(matches!(&readers.world.answers[&callers[1]], Answer::Refused(Refusal::Unavailable)));
}

#[derive(Debug, Clone)]
enum Act {
    Send { tenant: u32, target: usize, key: Option<u8> },
    Call { tenant: u32, function: usize, key: Option<u8> },
    Commit,
    Finish { which: usize },
    Abandon { which: u64 },
    Advance { millis: u64 },
    Fail { which: usize },
    Crash,
    Reopen,
    Close,
    Drain,
}

/// Anything at all.
fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        60 => act(),
        3 => any::<usize>().prop_map(|which| Act::Fail { which }),
        2 => (0..12_000_u64).prop_map(|millis| Act::Advance { millis }),
        1 => Just(Act::Crash),
        1 => Just(Act::Reopen),
        1 => Just(Act::Close),
        1 => Just(Act::Drain),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let tenant = || prop_oneof![5 => Just(0_u32), 1 => Just(1_u32)];
    prop_oneof![
        6 => (tenant(), 0..2_usize, prop::option::weighted(0.1, 0..4_u8))
            .prop_map(|(tenant, target, key)| Act::Send { tenant, target, key }),
        4 => (tenant(), 0..3_usize, prop::option::weighted(0.2, 0..3_u8))
            .prop_map(|(tenant, function, key)| Act::Call { tenant, function, key }),
        9 => Just(Act::Commit),
        9 => any::<usize>().prop_map(|which| Act::Finish { which }),
        1 => (0..200_u64).prop_map(|which| Act::Abandon { which }),
        1 => (0..10_u64).prop_map(|millis| Act::Advance { millis }),
    ]
}

fn perform(readers: &mut Readers, act: Act) {
    let world = &mut readers.world;
    match act {
        Act::Send { tenant, target, key } => {
            let key = key.map(|k| format!("k{k}"));
            world.send(tenant, ["first", "second"][target], key.as_deref());
        }
        Act::Call { tenant, function, key } => {
            let key = key.map(|k| format!("k{k}"));
            let function = ["first", "second", "third"][function];
            world.call(tenant, function, key.as_deref().map(|k| (k, "request")));
        }
        Act::Commit => readers.commit_next(),
        Act::Finish { which } if !world.starts.is_empty() => {
            let run = *world.starts.keys().nth(which % world.starts.len()).unwrap();
            readers.finish(run);
        }
        Act::Fail { which } if !world.starts.is_empty() => {
            let run = *world.starts.keys().nth(which % world.starts.len()).unwrap();
            world.finish(run, &Do::Fail(FailureKind::Trap));
        }
        Act::Finish { .. } | Act::Fail { .. } => {}
        Act::Crash | Act::Reopen | Act::Close | Act::Drain => {
            match act {
                Act::Drain => {
                    world.step(Input::Drain);
                    world.commit_all();
                    world.close();
                }
                Act::Crash => world.crash(),
                Act::Reopen => world.reopen(),
                _ => world.close(),
            }
            readers.outcomes.clear();
        }
        Act::Abandon { which } => world.step(Input::Abandon(CallerId(which))),
        Act::Advance { millis } => world.advance(Span::from_millis(millis)),
    }
    readers.read();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// All write one key, and runs end in any order: each is done, overtaken four times at most.
    #[test]
    fn nobody_fails_for_being_overtaken(acts in prop::collection::vec(act(), 1..300)) {
        let mut readers = Readers::new(4);
        for act in acts {
            perform(&mut readers, act);
        }
        readers.run_out();
        let world = &readers.world;
        prop_assert!(world.store.dead.is_empty() && world.store.history.is_empty(), "{:?}", world.store.dead);
        prop_assert!(world.store.waiting.is_empty() && world.engine.is_idle(), "{:?}", world.engine.counts());
        prop_assert_eq!(readers.failed(world.answers.keys().copied()), 0);
        add_up(world);
    }

    /// The same with runs that fail or take long, and with crashes: whoever waits for a turn gets it, and the
    /// invariants hold after each step.
    #[test]
    fn whoever_waits_for_a_turn_gets_it(acts in prop::collection::vec(any_act(), 1..300)) {
        let mut readers = Readers::new(16);
        for act in acts {
            perform(&mut readers, act);
        }
        for _ in 0..1_000 {
            readers.run_out();
            let Some(next) = readers.world.engine.next_deadline().filter(|_| !readers.world.store.waiting.is_empty())
            else { break };
            readers.world.now = readers.world.now.max(next);
            readers.world.step(Input::Tick);
            readers.read();
        }
        let world = &readers.world;
        prop_assert!(world.store.waiting.is_empty() && world.engine.is_idle(), "{:?}", world.engine.counts());
        add_up(world);
    }
}

/// What was committed is what the counters say, once each; and the same inputs do the same.
fn add_up(world: &World) {
    for (tenant, counted) in &world.books.counted {
        let kv = world.store.kv.iter().find(|((t, _), _)| t == tenant).unwrap();
        assert_eq!(u64::from_be_bytes(kv.1.0.to_vec().try_into().unwrap()), *counted);
    }
    world.replay();
    world.log.replays_exactly(world);
}
