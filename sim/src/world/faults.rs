//! What goes wrong in the world: crashes, commits that fail, clocks that jump, what comes twice or late.
//!
//! A crash is what `server::lane::reopen` lives through: what was not durable is lost, callers hear nothing more, and
//! another engine is made from the store's records. A commit that fails throws the engine away too; what ran goes on
//! unheard.

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::{
    Answer, CallerId, Commit, Engine, EventId, Failure, FailureKind, Input, Note, Seq, Settings, Span, Start,
    Time, Work, invariant,
    record::{Dead, Write},
};

use super::{
    BEGINNING, CallerKey, Happening, RequestKey, RunKey, World,
    books::{Books, Broken},
    invoke::{Caller, Who},
};
use crate::{
    dependency::Disorder,
    faults::schedule::{Fault, What},
    message::{FunctionNo, Message, NodeNo, Verdict},
    plan::{Plan, Platform},
    random::Random,
    result::TraceStep,
};

/// Everything is checked after each step up to so many events and callers; beyond, as much less often as there are
/// more.
const CHECKED_AT_ONCE: u64 = 64;
/// After the traffic so much time is given, at most, for everything to end: retries, visibility, retention of fourteen
/// days.
const DRAIN_MAX: Span = Span::from_secs(15 * 86_400);
/// How long a lane takes to be opened again after a commit that failed.
const REOPEN: Span = Span::from_millis(50);

/// A planted error, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Planted {
    #[default]
    Nothing,
    /// The newest durable record is lost when the store is opened again.
    #[cfg(test)]
    LosesRecord,
    /// A group whose result was not known is made again when the store is opened.
    #[cfg(test)]
    AppliesTwice,
    /// A value is lost when the store is opened again.
    #[cfg(test)]
    LosesValue,
}

/// What is wrong in one run, and the books about it.
#[derive(Debug)]
pub(crate) struct Faulty {
    schedule: Vec<Fault>,
    pub(super) books: Books,
    random: Random,
    active: BTreeSet<u32>,
    duplicates: f64,
    late: (f64, Span),
    partial: Vec<(Option<FunctionNo>, f64)>,
    leaks: Vec<(FunctionNo, f64)>,
    pub(super) stalled_until: Time,
    /// The next group that is durable fails: whether it was written.
    pub(super) fails: Option<bool>,
    /// The platform's clock against the world's, microseconds.
    ahead: i64,
    /// What the platform's clock said last.
    clock: Time,
    pub(super) down: bool,
    incarnation: u64,
    process: u64,
    /// The next request of these sources is poisoned.
    poisons: Vec<u32>,
    poisoned: BTreeSet<u64>,
    late_tries: Vec<(RequestKey, u32, Message)>,
    injected: BTreeMap<&'static str, u64>,
    check_in: u64,
    pub(super) planted: Planted,
    /// A group that will be made again: only where that is planted.
    again: Vec<Commit>,
}

/// What came of a run under faults.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub broken: Option<Broken>,
    pub trace: Vec<TraceStep>,
    pub injected: BTreeMap<&'static str, u64>,
    /// It was ended from outside.
    pub interrupted: bool,
    /// When it ended.
    pub ended: Time,
}

impl Faulty {
    fn new(plan: &Plan, schedule: Vec<Fault>, seed: u64, watched: Option<u64>, planted: Planted) -> Faulty {
        Faulty {
            schedule,
            books: Books::new(plan, watched),
            random: Random::of(seed, "faults"),
            active: BTreeSet::new(),
            duplicates: 0.0,
            late: (0.0, Span::ZERO),
            partial: Vec::new(),
            leaks: Vec::new(),
            stalled_until: BEGINNING,
            fails: None,
            ahead: 0,
            clock: BEGINNING,
            down: false,
            incarnation: 1,
            process: 1,
            poisons: Vec::new(),
            poisoned: BTreeSet::new(),
            late_tries: Vec::new(),
            injected: BTreeMap::new(),
            check_in: 0,
            planted,
            again: Vec::new(),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.injected.entry(what).or_insert(0) += 1;
    }

    /// What the platform's clock says: it never goes back, and where it was put back it stands still.
    pub(super) fn clock(&mut self, now: Time) -> Time {
        self.clock = self.time(now);
        self.clock
    }

    /// What it would say.
    pub(super) fn time(&self, now: Time) -> Time {
        self.clock.max(Time(now.0.saturating_add_signed(self.ahead)))
    }

    /// When, in the world's time, the platform's clock will say this.
    fn world_time(&self, deadline: Time) -> Time {
        if deadline <= self.clock {
            return BEGINNING;
        }
        Time(deadline.0.saturating_add_signed(self.ahead.saturating_neg()))
    }

    /// What ends the process, or the environment, that runs it.
    pub(super) fn is_poisoned(&self, message: &Message) -> bool {
        !self.poisoned.is_empty()
            && message.hops == 0
            && self.poisoned.contains(&self.books.request_of(message))
    }

    /// The share of a function's items that fail now.
    pub(super) fn fails_partly(&self, function: FunctionNo) -> f64 {
        let of = self.partial.iter().filter(|(of, _)| of.is_none_or(|of| of == function));
        of.map(|(_, share)| *share).fold(0.0, f64::max)
    }

    /// Mebibytes that a function's runs leave behind now.
    pub(super) fn leaks(&self, function: FunctionNo) -> f64 {
        self.leaks.iter().filter(|(of, _)| *of == function).map(|(_, mb)| *mb).sum()
    }

    /// Whether this comes twice.
    pub(super) fn twice(&mut self) -> bool {
        let twice = self.duplicates > 0.0 && self.random.chance(self.duplicates);
        if twice {
            self.count("duplicate");
        }
        twice
    }

    /// How late this comes.
    pub(super) fn lateness(&mut self) -> Option<Span> {
        let (share, by) = self.late;
        let late = share > 0.0 && self.random.chance(share);
        late.then(|| {
            self.count("late");
            by
        })
    }

    /// Drawn: whether what was on its way to the disk had got there.
    fn got_there(&mut self) -> bool {
        self.random.chance(0.5)
    }
}

impl<'p> World<'p> {
    /// The same world, in which this goes wrong. `watched`: a request whose way is written down.
    pub(crate) fn under(
        mut self,
        schedule: Vec<Fault>,
        seed: u64,
        watched: Option<u64>,
        planted: Planted,
    ) -> World<'p> {
        for (fault, number) in schedule.iter().zip(0..) {
            self.agenda.put(BEGINNING.after(fault.at), Happening::Fault(number, true));
        }
        self.end = self.end.after(DRAIN_MAX);
        self.dependencies.iter_mut().for_each(crate::dependency::Dependency::report_work);
        self.faults = Some(Box::new(Faulty::new(self.plan, schedule, seed, watched, planted)));
        self
    }

    /// Runs until nothing is left to happen, or something broke.
    pub(crate) fn run_under_faults(mut self, halt: &mut dyn FnMut(Time) -> bool) -> Outcome {
        let mut interrupted = false;
        while self.advance() {
            self.tally.happenings += 1;
            if self.faults.as_ref().is_some_and(|faults| faults.books.broken().is_some()) {
                break;
            }
            let asked = self.tally.happenings.is_multiple_of(super::ASKED_EVERY);
            if self.tally.happenings >= self.happenings_max || asked && (halt(self.now) || self.crowded()) {
                interrupted = true;
                break;
            }
        }
        if !interrupted {
            self.close_books();
        }
        self.real_over();
        let ended = self.now;
        let (broken, trace, injected) = match self.faults {
            Some(faults) => {
                let injected = faults.injected;
                let (broken, trace) = faults.books.into_found();
                (broken, trace, injected)
            }
            None => (None, Vec::new(), BTreeMap::new()),
        };
        Outcome { broken, trace, injected, interrupted, ended }
    }

    fn close_books(&mut self) {
        let now = self.now;
        let Some(faults) = &mut self.faults else { return };
        faults.books.close(now, self.store.values(), super::store::decoded);
        for (node, part) in self.plan.nodes.iter().zip(&self.parts) {
            if !node.is_parking() {
                faults.books.left(now, &node.label, part.waiting() + part.in_flight());
            }
        }
    }

    /// When the engine wants to be told the time, as the world counts it.
    pub(super) fn deadline(&self) -> Option<Time> {
        match &self.faults {
            None => self.engine.next_deadline(),
            Some(faults) if faults.down => None,
            Some(faults) => self.engine.next_deadline().map(|at| faults.world_time(at)),
        }
    }

    /// A fault begins, or ends.
    pub(super) fn fault(&mut self, number: u32, begins: bool) {
        let now = self.now;
        let Some(faults) = &mut self.faults else { return };
        let Some(fault) = faults.schedule.get(number as usize).cloned() else { return };
        if begins {
            match fault.what {
                // Counted one by one, where they happen.
                What::Duplicates { .. } | What::Late { .. } => {}
                _ => faults.count(fault.what.kind()),
            }
            let told = fault.told(self.plan);
            faults.books.note(now, None, "FAULT", || match told.of.as_str() {
                "" => told.what.clone(),
                of => format!("{of}: {}", told.what),
            });
        }
        let end = now.after(fault.lasts);
        match &fault.what {
            What::Crash => self.crash(fault.lasts),
            What::Stall => faults.stalled_until = faults.stalled_until.max(end),
            What::CommitFails { written } => faults.fails = Some(*written),
            What::Clock { by, back } => {
                let by = i64::try_from(by.0).unwrap_or(i64::MAX);
                faults.ahead = faults.ahead.saturating_add(if *back { -by } else { by });
                self.step(Input::Tick);
            }
            What::Poison { source } => faults.poisons.push(*source),
            What::Redrive => self.operate(Input::Redrive),
            What::Discard => self.operate(Input::Discard),
            What::Flood { .. } if begins => {
                faults.active.insert(number);
                self.agenda.put(end, Happening::Fault(number, false));
                self.flood(number);
            }
            _ => {
                if begins {
                    faults.active.insert(number);
                    self.agenda.put(end, Happening::Fault(number, false));
                } else {
                    faults.active.remove(&number);
                }
                self.in_force();
            }
        }
    }

    /// Somebody does this with each dead letter, while the platform is there.
    fn operate(&mut self, what: fn(CallerId, Seq, Box<Dead>) -> Input) {
        if self.is_down() {
            return;
        }
        for (seq, dead) in self.store.dead_letters() {
            let who = Who::Nobody;
            let message = Message::NONE;
            let caller = Caller { who, function: None, message, batch: Vec::new(), copies: 0, verdict: None };
            let caller = super::invoke::caller_id(self.callers.insert(caller));
            self.step(what(caller, seq, Box::new(dead)));
        }
    }

    /// What is in force now, of all that has begun and not ended.
    fn in_force(&mut self) {
        let Some(faults) = &mut self.faults else { return };
        let mut of: BTreeMap<u32, Disorder> = BTreeMap::new();
        let mut disorder = |dependency: u32, change: &dyn Fn(&mut Disorder)| {
            change(of.entry(dependency).or_default());
        };
        (faults.duplicates, faults.late) = (0.0, (0.0, Span::ZERO));
        faults.partial.clear();
        faults.leaks.clear();
        for number in &faults.active {
            match faults.schedule.get(*number as usize).map(|fault| &fault.what) {
                Some(What::Slow { dependency, factor }) => {
                    disorder(dependency.0, &|d| d.factor = d.factor.max(*factor));
                }
                Some(What::Failing { dependency, share }) => {
                    disorder(dependency.0, &|d| d.failing = d.failing.max(*share));
                }
                Some(What::Refusing { dependency }) => disorder(dependency.0, &|d| d.refusing = true),
                Some(What::Duplicates { share }) => faults.duplicates = faults.duplicates.max(*share),
                Some(What::Late { share, by }) if *share > faults.late.0 => faults.late = (*share, *by),
                Some(What::Partial { function, share }) => faults.partial.push((*function, *share)),
                Some(What::Leak { function, mb }) => faults.leaks.push((*function, *mb)),
                _ => {}
            }
        }
        for (dependency, number) in self.dependencies.iter_mut().zip(0..) {
            dependency.set_disorder(of.get(&number).copied().unwrap_or_default());
        }
    }

    /// One more request of a tenant that sends too much, and the next.
    pub(super) fn flood(&mut self, number: u32) {
        let Some(faults) = &mut self.faults else { return };
        let Some(&Fault { at, lasts, what: What::Flood { source, tenant, per_s } }) =
            faults.schedule.get(number as usize)
        else {
            return;
        };
        let pause = faults.random.exponential(Span((1e6 / per_s.max(0.001)) as u64));
        if self.now >= BEGINNING.after(at).after(lasts) || self.now >= BEGINNING.after(self.plan.duration) {
            return;
        }
        self.send_of(source, tenant);
        self.after(Span(pause.0.max(1)), Happening::Flood(number));
    }

    /// The platform's process ends.
    pub(super) fn crash(&mut self, down: Span) {
        let Some(faults) = &mut self.faults else { return };
        let got_there = faults.got_there();
        self.lose_commits(got_there);
        self.generation += 1;
        self.end_all_runs();
        let Some(faults) = &mut self.faults else { return };
        faults.process = faults.incarnation + 1;
        self.engine_gone(down);
    }

    /// A commit failed: the engine is thrown away, and what runs goes on unheard.
    pub(super) fn poison_lane(&mut self, written: bool) {
        #[cfg(test)]
        if let Some(faults) = &mut self.faults
            && faults.planted == Planted::AppliesTwice
            && written
        {
            faults.again.extend(self.store.under_way().cloned());
        }
        self.lose_commits(written);
        self.generation += 1;
        if self.guests.is_some() {
            // They know runs by the engine's numbers, which begin anew.
            self.end_all_runs();
        }
        self.engine_gone(REOPEN);
    }

    /// Nothing runs any more, and nobody hears how it ended.
    fn end_all_runs(&mut self) {
        if let Some(guests) = &mut self.guests {
            guests.crashed();
        }
        let runs: Vec<RunKey> = self.runs.keys().collect();
        for key in runs {
            if let Some(run) = self.runs.get_mut(key) {
                run.real = None;
            }
            self.end_run(key, Some(Failure::new(FailureKind::Crashed, "")));
        }
    }

    /// What was not durable is lost; what was on its way may have got there.
    fn lose_commits(&mut self, written: bool) {
        let group = self.store.crash();
        if written {
            for commit in group {
                self.write_all(commit);
            }
        }
    }

    fn engine_gone(&mut self, down: Span) {
        let now = self.now;
        self.running = super::invoke::Running::default();
        if let Some(faults) = &mut self.faults {
            faults.down = true;
            faults.books.engine_gone();
        }
        let callers: Vec<CallerKey> = self.callers.keys().collect();
        for key in callers {
            let Some(caller) = self.callers.remove(key) else { continue };
            if let Some(faults) = &mut self.faults
                && let Who::Request(..) = caller.who
            {
                let request = caller.message.root;
                faults.books.note(now, Some(request), "client", || "is cut off without an answer".into());
            }
            self.tell(caller, Verdict::Refused("FE1010"));
        }
        let generation = self.generation;
        self.after(down, Happening::Reopen(generation));
    }

    /// Another engine is made from the store, as `server::lane::reopen` does it.
    pub(super) fn reopen(&mut self, generation: u32) {
        // It may have crashed again meanwhile.
        if generation != self.generation {
            return;
        }
        let Some(faults) = &mut self.faults else { return };
        faults.down = false;
        faults.incarnation += 1;
        let lane = Random::of(self.seed, "lane").bits();
        let (incarnation, process) = (faults.incarnation, faults.process);
        let again = std::mem::take(&mut faults.again);
        let planted = faults.planted;
        faults.books.note(self.now, None, "platform", || "is open again".into());
        for commit in again {
            self.write_all(commit);
        }
        self.store.plant(planted);
        let settings = Settings { lane, incarnation, process, seed: incarnation };
        self.engine = Engine::new(self.plan.application.clone(), settings);
        self.draining = true;
        for tenant in self.tenants() {
            self.step(Input::SetTenant(tenant));
        }
        for (seq, waiting) in self.store.waiting() {
            self.step(Input::Restore(seq, waiting));
        }
        for (bucket, tenant, count) in self.store.counters() {
            self.step(Input::RestoreCount(bucket, tenant, count));
        }
        let (dead, greatest) = self.store.dead();
        self.step(Input::RestoreDead(dead, greatest));
        self.step(Input::Opened);
        self.draining = false;
        self.do_effects();
    }

    /// A step is over: the invariants are looked at.
    pub(super) fn check_step(&mut self) {
        let Some(faults) = &mut self.faults else { return };
        if self.draining && faults.down {
            return;
        }
        if faults.check_in > 0 {
            faults.check_in -= 1;
            return;
        }
        let counts = self.engine.counts();
        faults.check_in = (counts.waiting + counts.running) / CHECKED_AT_ONCE;
        if let Err(violation) = invariant::check(&self.engine) {
            let what = super::INVARIANTS.iter().find(|what| {
                what.strip_prefix(violation.invariant).is_some_and(|rest| rest.starts_with(' '))
            });
            let what = what.copied().unwrap_or(violation.invariant);
            faults.books.breaks(self.now, what, violation.found, None);
        }
    }

    /// A request's try, as the books see it; and whether it is the one that is poisoned.
    pub(super) fn book_request(&mut self, message: &Message, source: u32, first: bool) {
        let tenant = self.engine_tenant(message.tenant);
        let now = self.now;
        let Some(faults) = &mut self.faults else { return };
        if first {
            faults.books.request(message, tenant);
        } else {
            faults.books.again(message);
        }
        faults.books.note(now, Some(message.root), "client", || {
            if first { "sends".into() } else { "tries again".into() }
        });
        if let Some(at) = faults.poisons.iter().position(|of| *of == source).filter(|_| first) {
            faults.poisons.remove(at);
            faults.poisoned.insert(message.root);
            faults.books.note(now, Some(message.root), "FAULT", || "this request is poisoned".into());
        }
    }

    /// Puts a try off. `true`: it comes later.
    pub(super) fn put_off(&mut self, key: RequestKey, tries: u32, message: Message) -> bool {
        let now = self.now;
        let Some(faults) = &mut self.faults else { return false };
        let Some(by) = faults.lateness() else { return false };
        faults.books.note(now, Some(message.root), "FAULT", || "the request is on its way for long".into());
        let number = faults.late_tries.len() as u32;
        faults.late_tries.push((key, tries, message));
        self.after(by, Happening::Late(number));
        true
    }

    pub(super) fn late(&mut self, number: u32) {
        let Some(faults) = &self.faults else { return };
        let Some(&(key, tries, message)) = faults.late_tries.get(number as usize) else { return };
        if let Some((source, function)) = self.source_of(key) {
            self.submit(Who::Request(key, tries), message, source, function);
        }
    }

    /// A message goes to a part: late, or twice, where that is wrong now.
    pub(super) fn dispatch(&mut self, from: Option<NodeNo>, to: NodeNo, message: Message, delay: Span) {
        let (mut later, mut twice) = (Span::ZERO, false);
        if let Some(faults) = &mut self.faults {
            later = faults.lateness().unwrap_or(Span::ZERO);
            twice = faults.twice();
        }
        let delay = Span(delay.0.saturating_add(later.0));
        for _ in 0..if twice { 2 } else { 1 } {
            let flight = self.flights.insert(super::Flight { to, message, from });
            self.after(delay, Happening::Deliver(flight));
        }
    }

    /// What the books want to know of a beginning.
    pub(super) fn book_start(&mut self, start: &Start, function: FunctionNo, caller: Option<&Message>) {
        let now = self.now;
        let Some(faults) = &mut self.faults else { return };
        match (&start.work, caller) {
            (Work::Call { id, .. }, Some(message)) => {
                faults.books.call_runs(*id, function, message);
                faults.books.run(now, function, message, "a call begins to run");
            }
            (Work::Events(events), _) => {
                for event in events {
                    let record = self.store.record(*event);
                    faults.books.given(now, *event, start.tenant, record);
                }
            }
            _ => {}
        }
    }

    /// A run has begun: where it is poisoned, it ends what it runs in before anything else happens.
    pub(super) fn poisonous(&mut self, key: RunKey, messages: &[Message]) {
        let Some(faults) = &self.faults else { return };
        if !messages.iter().any(|message| faults.is_poisoned(message)) {
            return;
        }
        let happening = match self.plan.platform {
            Platform::Flyball => Happening::Poisoned(key),
            Platform::Aws => Happening::Kill(key),
        };
        self.agenda.put(self.now, happening);
    }

    pub(super) fn poisoned(&mut self, key: RunKey) {
        let now = self.now;
        if self.runs.contains_key(key) {
            if let Some(faults) = &mut self.faults {
                faults.books.note(now, None, "platform", || "a poisoned event ends the process".into());
            }
            self.crash(Span::from_secs(1));
        }
    }

    pub(super) fn book_answer(&mut self, id: CallerId, answer: &Answer) {
        let now = self.now;
        let key = super::invoke::caller_key(id);
        let Some(caller) = self.callers.get(key) else { return };
        let message = caller.message;
        let Some(faults) = &mut self.faults else { return };
        if let Answer::Accepted { id, duplicate } = answer
            && (caller.function.is_none() || caller.copies > 0)
        {
            let copies = caller.copies;
            let copies = if *duplicate { copies.min(1) } else { copies };
            faults.books.promised(now, *id, copies, &message);
        }
    }

    pub(super) fn book_note(&mut self, note: &Note) {
        let now = self.now;
        if let (Some(faults), Note::Done { id, .. }) = (&mut self.faults, note) {
            faults.books.call_over(now, *id);
        }
    }

    /// The engine wants this made durable: where it is what a call wrote, it is kept whose.
    pub(super) fn book_wanted(&mut self, commit: &Commit) {
        let values = commit.writes.iter().any(|write| matches!(write, Write::Kv { .. }));
        let events = commit.writes.iter().any(|write| matches!(write, Write::Remove { .. }));
        if let (Some(faults), true, false) = (&mut self.faults, values, events) {
            faults.books.call_writes(commit.batch);
        }
    }

    /// A run has ended and its work is done, whoever hears of it.
    pub(super) fn book_end(
        &mut self,
        function: FunctionNo,
        messages: &[Message],
        (verdict, failed): (&Verdict, &[usize]),
    ) {
        let (now, platform) = (self.now, self.plan.platform);
        let Some(faults) = &mut self.faults else { return };
        for (place, message) in messages.iter().enumerate() {
            let well = matches!(verdict, Verdict::Done | Verdict::Partly(_)) && !failed.contains(&place);
            let how = match verdict {
                _ if well => "its run ended well",
                Verdict::Failed(kind) => super::tally::failure_name(*kind),
                _ => "failed",
            };
            faults.books.run(now, function, message, how);
            if well && platform == Platform::Aws {
                faults.books.worked(now, function, message);
            }
        }
    }

    pub(super) fn event_written(&mut self, id: EventId, keys: Vec<flyball_core::KvKey>) {
        if let Some(faults) = &mut self.faults {
            faults.books.wrote(id, keys);
        }
    }
}
