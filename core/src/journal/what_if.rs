//! What would have come of a recorded history under another application: an estimate. The other engine gets
//! what came from outside at its recorded time; its commits and runs take as long, and end as, the recorded
//! ones. Nothing is compared.
//!
//! It takes the log twice: [`WhatIf::learn`] gathers how runs ended and how long they took,
//! [`WhatIf::take`] drives the other engine. A run takes the end of the recorded run of the same function for
//! the same tenant that has its number; where there is none left, that of [`WhatIf::assumed_runs`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    EffectsHash, Entry, ReplayError, Tally,
    replay::{Fed, possible},
};
use crate::{
    Answer, BatchNo, Body, CallerId, Commit, CommitResult, Effect, Engine, EventId, EventResult, Failure,
    FailureKind, Input, InvocationId, Keyed, Name, Outcome, Seq, Span, Start, TenantId, Time, Usage, Work,
    model::Shared,
    record::{Dead, Settled, Write},
};

/// What the ends of runs may take in memory, bytes: about as many as were written of them. A log with more is
/// refused.
pub const LEARNED_BYTES_MAX: u64 = 1 << 30;

/// How long a run is taken to last whose function ran never before.
const LASTING: Span = Span::from_millis(10);

/// Which function, for whom.
type Runner = (Name, TenantId);

/// How a recorded run ended.
#[derive(Debug)]
struct Run {
    lasting: Span,
    outcome: Outcome,
}

/// What one recorded engine showed.
#[derive(Debug, Default)]
struct Shown {
    runs: BTreeMap<Runner, VecDeque<Run>>,
    commits: u64,
    /// How long all of them took together.
    committing: Span,
    /// Who was told to look again: they came again.
    again: BTreeSet<CallerId>,
    /// While it is learned. Runs that are left in the end had not ended when the recorded engine did.
    started: BTreeMap<InvocationId, (Time, Runner)>,
    asked: BTreeMap<BatchNo, Time>,
}

impl Shown {
    /// All of the engine was learned: what had not ended goes on until its deadline.
    fn complete(&mut self) {
        for (_, (_, runner)) in std::mem::take(&mut self.started) {
            let run = Run { lasting: Span(u64::MAX), outcome: ended(Vec::new()) };
            self.runs.entry(runner).or_default().push_back(run);
        }
    }

    fn see(&mut self, now: Time, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Start(start) => {
                    let runner = (start.function.clone(), start.tenant);
                    self.started.insert(start.invocation, (now, runner));
                }
                Effect::Commit(commit) => drop(self.asked.insert(commit.batch, now)),
                Effect::Answer(caller, Answer::LookAgain) => drop(self.again.insert(*caller)),
                _ => {}
            }
        }
    }

    /// Answers what it keeps, bytes.
    fn hear(&mut self, now: Time, input: &Input) -> u64 {
        match input {
            Input::Finished(invocation, outcome) => {
                let Some((began, runner)) = self.started.remove(invocation) else { return 0 };
                let run = Run { lasting: now.since(began), outcome: outcome.clone() };
                self.runs.entry(runner).or_default().push_back(run);
                input.weight_bytes()
            }
            Input::Committed(batch, _) => {
                let asked = self.asked.remove(batch).unwrap_or(now);
                self.commits += 1;
                self.committing = Span(self.committing.0.saturating_add(now.since(asked).0));
                0
            }
            _ => 0,
        }
    }
}

/// What the other engine waits for.
#[derive(Debug)]
enum Due {
    Committed(BatchNo, Vec<Write>),
    Finished(InvocationId, Outcome),
}

/// The other engine, with the little that a driver knows.
#[derive(Debug)]
struct Other {
    fed: Fed,
    now: Time,
    due: BTreeMap<(Time, u64), Due>,
    numbers: u64,
    /// When each run will end, and how many events it has.
    runs: BTreeMap<InvocationId, ((Time, u64), usize)>,
    settled: BTreeMap<EventId, Settled>,
    dead: BTreeMap<EventId, (Seq, Dead)>,
    /// Recorded dead letters that were asked for: what came of them here is known from then on.
    asked_for: BTreeSet<EventId>,
    /// When this engine began: what was settled before is what was recorded.
    began: Time,
    shown: Shown,
    last: BTreeMap<Name, Span>,
    /// Events emitted.
    emitted: u32,
    assumed_runs: u64,
}

/// See the module's text.
#[derive(Debug)]
pub struct WhatIf {
    application: Shared,
    recorded: super::Replay,
    learned: VecDeque<Shown>,
    learned_bytes: u64,
    other: Option<Other>,
    tally: Tally,
    assumed_runs: u64,
}

impl WhatIf {
    /// For this application.
    pub fn new(application: Shared) -> WhatIf {
        WhatIf {
            recorded: super::Replay::new(),
            learned: VecDeque::new(),
            learned_bytes: 0,
            other: None,
            tally: Tally { application: Some(application.name.clone()), ..Tally::default() },
            application,
            assumed_runs: 0,
        }
    }

    /// The first time: takes the next entry of the log, which begins at this offset.
    ///
    /// # Errors
    /// As [`super::Replay::take`], but for steps that are different: nothing is compared. Where there is more
    /// to learn than [`LEARNED_BYTES_MAX`].
    pub fn learn(&mut self, entry: Entry, offset: u64) -> Result<(), ReplayError> {
        let step = match &entry {
            Entry::Engine(_) => {
                self.learned.push_back(Shown::default());
                None
            }
            Entry::Step(step) => Some((step.now, step.input.clone())),
            _ => None,
        };
        self.recorded.take_as_it_is(entry, offset)?;
        if let (Some((now, input)), Some(shown)) = (step, self.learned.back_mut()) {
            self.learned_bytes += shown.hear(now, &input);
            shown.see(now, self.recorded.last_effects());
        }
        match self.learned_bytes > LEARNED_BYTES_MAX {
            true => Err(ReplayError::TooMuch { offset }),
            false => Ok(()),
        }
    }

    /// What the recorded engines did.
    pub fn recorded(&self) -> Tally {
        self.recorded.tally()
    }

    /// The second time: takes the next entry of the log, which begins at this offset.
    ///
    /// # Errors
    /// Where it is none that a recording writes there.
    pub fn take(&mut self, entry: Entry, offset: u64) -> Result<(), ReplayError> {
        match entry {
            Entry::Head(_) | Entry::End(_) => {}
            Entry::Engine(settings) => {
                self.end_engine();
                self.tally.engines += 1;
                let mut shown = self.learned.pop_front().unwrap_or_default();
                shown.complete();
                let engine = Engine::new(self.application.clone(), settings);
                self.other = Some(Other::new(Fed { engine, at_opening: None }, shown));
            }
            Entry::Step(step) => {
                let Some(other) = &mut self.other else { return Ok(()) };
                let opened = other.fed.at_opening.is_some();
                possible(&step.input, opened)
                    .map_err(|why| ReplayError::Damaged { offset, why: why.into() })?;
                other.advance(step.now, &mut self.tally);
                if let Some(input) = other.outside(step.input, &self.application) {
                    other.step(step.now, input, &mut self.tally);
                }
            }
        }
        Ok(())
    }

    fn end_engine(&mut self) {
        if let Some(other) = self.other.take() {
            self.tally.add(&other.fed.engine, &other.fed.at_opening.unwrap_or_default());
            self.assumed_runs += other.assumed_runs;
        }
    }

    /// What the other engines did: at the end.
    pub fn finish(mut self) -> Tally {
        self.end_engine();
        self.tally
    }

    /// Runs of the other engine that had no recorded one: taken as lasting as long as the last of their
    /// function, and as succeeding without emitting or writing.
    pub fn assumed_runs(&self) -> u64 {
        self.assumed_runs + self.other.as_ref().map_or(0, |other| other.assumed_runs)
    }
}

impl Other {
    fn new(fed: Fed, shown: Shown) -> Other {
        Other {
            fed,
            now: Time(0),
            due: BTreeMap::new(),
            numbers: 0,
            runs: BTreeMap::new(),
            settled: BTreeMap::new(),
            dead: BTreeMap::new(),
            asked_for: BTreeSet::new(),
            began: Time(0),
            shown,
            last: BTreeMap::new(),
            emitted: 0,
            assumed_runs: 0,
        }
    }

    /// Everything that is due until then.
    fn advance(&mut self, until: Time, tally: &mut Tally) {
        if self.fed.at_opening.is_none() {
            self.began = until;
            return;
        }
        let mut ticked = None;
        loop {
            let due = self.due.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.fed.engine.next_deadline();
            let next = match (due, deadline) {
                (Some(due), Some(deadline)) => due.min(deadline),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => return,
            };
            if next > until {
                return;
            }
            if due.is_none_or(|due| due > next) {
                // A deadline that stays though it was told is not told again.
                if ticked == Some(next) {
                    return;
                }
                ticked = Some(next);
                self.step(next, Input::Tick, tally);
                continue;
            }
            let input = match self.due.pop_first() {
                Some((_, Due::Committed(batch, writes))) => {
                    writes.into_iter().for_each(|write| self.keep(write));
                    Input::Committed(batch, CommitResult::Done)
                }
                Some((_, Due::Finished(invocation, outcome))) => {
                    self.runs.remove(&invocation);
                    Input::Finished(invocation, outcome)
                }
                None => return,
            };
            self.step(next, input, tally);
        }
    }

    /// What a driver would read again.
    fn keep(&mut self, write: Write) {
        match write {
            Write::Remember { id, settled, .. } => drop(self.settled.insert(id, settled)),
            Write::Bury { seq, dead } => drop(self.dead.insert(dead.event.id, (seq, dead))),
            _ => {}
        }
    }

    /// A recorded input as the other engine gets it; `None` for what it makes by itself.
    fn outside(&mut self, input: Input, application: &Shared) -> Option<Input> {
        match input {
            Input::SetTenant(mut tenant) => {
                tenant.limits = application.limits_of(&tenant.name).clone();
                Some(Input::SetTenant(tenant))
            }
            Input::Send(send) if self.shown.again.contains(&send.caller) => None,
            Input::Call(call) if self.shown.again.contains(&call.caller) => None,
            Input::Send(mut send) => {
                send.key = send.key.map(|key| self.look_up(key));
                Some(Input::Send(send))
            }
            Input::Call(mut call) => {
                if let Some(key) = &mut call.key {
                    key.keyed = self.look_up(key.keyed.clone());
                }
                Some(Input::Call(call))
            }
            Input::Redrive(caller, seq, dead) => {
                let (seq, dead) = self.letter(seq, *dead)?;
                Some(Input::Redrive(caller, seq, Box::new(dead)))
            }
            Input::Discard(caller, seq, dead) => {
                let (seq, dead) = self.letter(seq, *dead)?;
                Some(Input::Discard(caller, seq, Box::new(dead)))
            }
            Input::Committed(..) | Input::Finished(..) | Input::Tick => None,
            other => Some(other),
        }
    }

    fn look_up(&self, keyed: Keyed) -> Keyed {
        let own = self.settled.get(&keyed.id).cloned().map(Box::new);
        let before = keyed.found.filter(|settled| settled.at < self.began);
        Keyed { as_of: self.fed.engine.settled_mark(), found: own.or(before), ..keyed }
    }

    /// The same event's dead letter, if it is one here too.
    fn letter(&mut self, seq: Seq, recorded: Dead) -> Option<(Seq, Dead)> {
        let own = self.dead.remove(&recorded.event.id);
        let before = recorded.at < self.began && self.asked_for.insert(recorded.event.id);
        own.or_else(|| before.then_some((seq, recorded)))
    }

    fn step(&mut self, now: Time, input: Input, tally: &mut Tally) {
        self.now = self.now.max(now);
        let mut effects = Vec::new();
        self.fed.step(self.now, input, &mut effects);
        tally.see(self.now, &effects, EffectsHash::of(&effects));
        for effect in effects {
            match effect {
                Effect::Commit(commit) => self.commit(commit),
                Effect::Start(start) => self.start(start),
                Effect::Stop(invocation) => self.stop(invocation),
                Effect::Answer(..) | Effect::Note(_) => {}
            }
        }
    }

    fn commit(&mut self, commit: Commit) {
        let took = Span(self.shown.committing.0 / self.shown.commits.max(1));
        self.at(self.now.after(took), Due::Committed(commit.batch, commit.writes));
    }

    fn start(&mut self, start: Start) {
        let events = match &start.work {
            Work::Call { .. } => 1,
            Work::Events(events) => events.len(),
        };
        let last = *self.last.get(&start.function).unwrap_or(&LASTING);
        let runs = self.shown.runs.get_mut(&(start.function.clone(), start.tenant));
        let Run { lasting, mut outcome } = runs.and_then(VecDeque::pop_front).unwrap_or_else(|| {
            self.assumed_runs += 1;
            Run { lasting: last, outcome: ended(Vec::new()) }
        });
        self.last.insert(start.function, lasting);
        outcome.results.truncate(events);
        outcome
            .results
            .resize_with(events, || EventResult { verdict: Ok(Body::default()), emits: Vec::new() });
        // What it read has no version here.
        outcome.reads.clear();
        // Two recorded runs of one event emit under the same ids, and here both may commit.
        for emit in outcome.results.iter_mut().flat_map(|result| &mut result.emits) {
            self.emitted = self.emitted.wrapping_add(1);
            emit.envelope.id = emit.envelope.id.emitted(self.emitted);
        }
        let at = self.at(self.now.after(lasting), Due::Finished(start.invocation, outcome));
        self.runs.insert(start.invocation, (at, events));
    }

    /// Its deadline under these limits is before its recorded end.
    fn stop(&mut self, invocation: InvocationId) {
        let Some((at, events)) = self.runs.remove(&invocation) else { return };
        self.due.remove(&at);
        let failure = Failure::new(FailureKind::Timeout, "its recorded run took longer");
        let result = EventResult { verdict: Err(failure), emits: Vec::new() };
        self.at(self.now, Due::Finished(invocation, ended(vec![result; events])));
    }

    fn at(&mut self, at: Time, due: Due) -> (Time, u64) {
        self.numbers += 1;
        self.due.insert((at, self.numbers), due);
        (at, self.numbers)
    }
}

fn ended(results: Vec<EventResult>) -> Outcome {
    Outcome { results, reads: Vec::new(), writes: Vec::new(), usage: Usage::default() }
}
