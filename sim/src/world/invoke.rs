//! What goes into the engine, and what it wants done.

use std::{collections::VecDeque, mem::take};

use flyball_core::{
    Answer, Call, CallerId, Commit, Effect, Failure, FailureKind, Input, InvocationId, KeyedCall, Note,
    Outcome, Refusal, Span, Start, TenantId, Work,
};
use slotmap::{Key, KeyData};

use super::{CallerKey, Happening, RequestKey, RunKey, World, run::Wait};
use crate::{
    message::{FunctionNo, Message, NodeNo, TenantNo, Throttle, Verdict},
    plan::Platform,
};

/// Who waits for an answer of the engine, with what was asked.
#[derive(Debug)]
pub(crate) struct Caller {
    pub who: Who,
    /// `None`: an event that was sent.
    pub function: Option<FunctionNo>,
    pub message: Message,
    /// More than one message: `message` is the first.
    pub batch: Vec<Message>,
    /// Copies that a sent event is accepted as.
    pub copies: u32,
    /// How the run ended, where more is to be told than the engine's answer can.
    pub verdict: Option<Verdict>,
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A client, with its try's number.
    Request(RequestKey, u32),
    /// A step of a run.
    Step(RunKey, Wait),
    /// A part, with its token.
    Part(NodeNo, u64),
    /// Nobody who listens.
    Nobody,
}

/// Which run an invocation is. Invocations are numbered in their order.
#[derive(Debug, Default)]
pub(crate) struct Running {
    first: u64,
    runs: VecDeque<Option<RunKey>>,
}

impl Running {
    pub(crate) fn insert(&mut self, invocation: InvocationId, run: RunKey) {
        if self.runs.is_empty() {
            self.first = invocation.0;
        }
        // A commit may be late: invocations can begin out of their order.
        while invocation.0 < self.first {
            self.runs.push_front(None);
            self.first -= 1;
        }
        let at = (invocation.0 - self.first) as usize;
        while self.runs.len() <= at {
            self.runs.push_back(None);
        }
        if let Some(place) = self.runs.get_mut(at) {
            *place = Some(run);
        }
    }

    pub(crate) fn get(&self, invocation: InvocationId) -> Option<RunKey> {
        let at = usize::try_from(invocation.0.checked_sub(self.first)?).ok()?;
        self.runs.get(at).copied().flatten()
    }

    pub(crate) fn remove(&mut self, invocation: InvocationId) {
        let Some(at) = invocation.0.checked_sub(self.first) else { return };
        if let Some(place) = self.runs.get_mut(at as usize) {
            *place = None;
        }
        while let Some(None) = self.runs.front() {
            self.runs.pop_front();
            self.first += 1;
        }
    }
}

/// The engine hands back what it was given.
pub(super) fn caller_id(key: CallerKey) -> CallerId {
    CallerId(key.data().as_ffi())
}

pub(super) fn caller_key(id: CallerId) -> CallerKey {
    CallerKey::from(KeyData::from_ffi(id.0))
}

impl World<'_> {
    /// Tells the engine. What it wants done is done in its order, each before what comes of it.
    pub(super) fn step(&mut self, input: Input) {
        let before = self.effects.len();
        self.tally.steps += 1;
        let now = match &mut self.faults {
            None => self.now,
            Some(faults) if faults.down => return,
            Some(faults) => faults.clock(self.now),
        };
        self.engine.step(now, input, &mut self.effects);
        if self.faults.is_some() {
            self.check_step();
        }
        if before > 0 || self.draining {
            return;
        }
        self.do_effects();
    }

    /// Does what the engine wants done.
    pub(super) fn do_effects(&mut self) {
        self.draining = true;
        while !self.effects.is_empty() {
            let mut effects = std::mem::replace(&mut self.effects, take(&mut self.spare));
            // Where they lie: to move each costs more than most of them do.
            for effect in &mut effects {
                self.effect(effect);
            }
            effects.clear();
            self.spare = effects;
        }
        self.draining = false;
    }

    fn effect(&mut self, effect: &mut Effect) {
        match effect {
            Effect::Commit(commit) => {
                let (checks, writes) = (take(&mut commit.checks), take(&mut commit.writes));
                self.commit(Commit { batch: commit.batch, checks, writes });
            }
            Effect::Start(start) => self.start(start),
            Effect::Stop(invocation) => self.stop(*invocation),
            Effect::Answer(caller, answer) => self.answered(*caller, answer),
            Effect::Note(note) => self.note(note),
        }
    }

    fn note(&mut self, note: &Note) {
        self.book_note(note);
        if let Note::Started { function, tenant, dwell, waited_for, attempt, .. } = note {
            let Some(function) = self.function_named(function) else { return };
            // Lambda knows no tenants: see `first_runs`.
            let tenant = match self.plan.platform {
                Platform::Aws => TenantNo(u32::MAX),
                Platform::Flyball => self.tenant_of(*tenant),
            };
            let of = (function, tenant);
            self.tally.started_item(self.now, of, *dwell, *attempt, waited_for.as_ref());
        }
    }

    /// The engine's tenant of a message.
    pub(super) fn engine_tenant(&self, tenant: TenantNo) -> TenantId {
        match self.plan.platform {
            Platform::Aws => TenantId(1),
            Platform::Flyball => TenantId(tenant.0 + 1),
        }
    }

    fn tenant_of(&self, tenant: TenantId) -> TenantNo {
        TenantNo(tenant.0.saturating_sub(1))
    }

    /// Calls a function. The answer comes to `who`.
    pub(super) fn call(
        &mut self,
        function: FunctionNo,
        who: Who,
        message: Message,
        batch: Vec<Message>,
        keyed: Option<KeyedCall>,
    ) -> Option<CallerKey> {
        let plan = self.plan.functions.get(function.0 as usize)?;
        // A keyed call is durable before it runs: the books look for it.
        let copies = u32::from(keyed.is_some());
        let caller = Caller { who, function: Some(function), message, batch, copies, verdict: None };
        if self.is_down() {
            self.tell(caller, Verdict::Refused("FE1010"));
            return None;
        }
        if let Some(limit) = self.environments.refuses(function, self.now) {
            self.tally.throttled(self.now, function, message.tenant, &limit);
            self.tell(caller, Verdict::Throttled(limit));
            return None;
        }
        let key = self.callers.insert(caller);
        let tenant = self.engine_tenant(message.tenant);
        self.step(Input::Call(Call {
            caller: caller_id(key),
            tenant,
            function: plan.name.clone(),
            key: keyed.map(Box::new),
        }));
        Some(key)
    }

    /// A part asks for an invocation.
    pub(super) fn invoke_for(
        &mut self,
        part: NodeNo,
        function: FunctionNo,
        mut batch: Vec<Message>,
        token: u64,
    ) {
        let Some(&first) = batch.first() else { return };
        let lambda = self.plan.functions.get(function.0 as usize).and_then(|plan| plan.lambda);
        if lambda.is_some_and(|lambda| batch.iter().any(|message| lambda.stops(message.hops))) {
            // Not at once: a queue full of them would go down a call for each.
            self.agenda.put(self.now, Happening::Stopped(part, token));
            return;
        }
        if batch.len() == 1 {
            batch = Vec::new();
        }
        self.call(function, Who::Part(part, token), first, batch, None);
    }

    /// On AWS: the first run on an event or request begins. What its tenant waited for it is the time since it came in.
    fn first_runs(&mut self, who: Who, messages: &[Message]) {
        if self.plan.platform != Platform::Aws || matches!(who, Who::Step(..)) {
            return;
        }
        for message in messages.iter().filter(|message| message.hops == 0 && message.receives <= 1) {
            let since = match who {
                Who::Part(..) => self.now.since(message.born),
                // A call runs at once or is refused.
                _ => Span::ZERO,
            };
            self.tally.tenant_waited(self.now, message.tenant, since);
        }
    }

    fn start(&mut self, start: &Start) {
        let (function, tenant, messages, caller) = match &start.work {
            Work::Call { caller, .. } => {
                let Some(entry) = self.callers.get_mut(caller_key(*caller)) else { return };
                let batch = take(&mut entry.batch);
                let messages =
                    if batch.is_empty() { Messages::One(entry.message) } else { Messages::Many(batch) };
                let Some(function) = entry.function else { return };
                let (who, tenant) = (entry.who, entry.message.tenant);
                self.first_runs(who, messages.as_slice());
                (function, tenant, messages, Some(caller_key(*caller)))
            }
            Work::Events(events) => {
                let Some(function) = self.function_named(&start.function) else { return };
                let messages = events.iter().map(|event| self.store.message(*event)).collect();
                (function, self.tenant_of(start.tenant), Messages::Many(messages), None)
            }
        };
        if self.faults.is_some() {
            let first = messages.as_slice().first().copied();
            self.book_start(start, function, first.as_ref().filter(|_| caller.is_some()));
        }
        self.begin_run(start, function, tenant, messages, caller);
    }

    /// The engine is gone for now.
    pub(super) fn is_down(&self) -> bool {
        self.faults.as_ref().is_some_and(|faults| faults.down)
    }

    fn function_named(&self, name: &flyball_core::Name) -> Option<FunctionNo> {
        // The plan's functions are in the order of their names.
        let at = self.plan.functions.binary_search_by(|function| function.name.cmp(name)).ok()?;
        u32::try_from(at).ok().map(FunctionNo)
    }

    fn answered(&mut self, id: CallerId, answer: &Answer) {
        if self.faults.is_some() {
            self.book_answer(id, answer);
        }
        let Some(mut caller) = self.callers.remove(caller_key(id)) else { return };
        let verdict = match answer {
            Answer::Accepted { .. } | Answer::Done { .. } => caller.verdict.take().unwrap_or(Verdict::Done),
            Answer::Failed { failure, .. } => caller.verdict.take().unwrap_or(Verdict::Failed(failure.kind)),
            Answer::Refused(Refusal::Throttled { limit, .. }) => {
                let limit = Throttle::Limit(limit.clone());
                if let Some(function) = caller.function {
                    self.tally.throttled(self.now, function, caller.message.tenant, &limit);
                }
                Verdict::Throttled(limit)
            }
            Answer::Refused(refusal) => Verdict::Refused(refusal.code()),
            // Between the look-up and the step nothing happens.
            Answer::LookAgain => Verdict::Refused("FE1010"),
        };
        self.tell(caller, verdict);
    }

    pub(super) fn tell(&mut self, caller: Caller, verdict: Verdict) {
        match caller.who {
            Who::Nobody => {}
            Who::Request(request, attempt) => self.request_answered(request, attempt, verdict),
            // Not at once: a step that tries again without a pause would never come back from here.
            Who::Step(run, wait) => {
                let ok = verdict == Verdict::Done;
                self.agenda.put(self.now, Happening::Answer(run, wait, ok));
            }
            Who::Part(part, token) => self.tell_part(part, token, verdict),
        }
    }

    pub(super) fn tell_part(&mut self, part: NodeNo, token: u64, verdict: Verdict) {
        let now = self.now;
        let mut asks = take(&mut self.asks);
        if let Some(part) = self.parts.get_mut(part.0 as usize) {
            part.answered(now, token, verdict, &mut asks);
        }
        self.asks = asks;
        self.answer_asks(part);
    }

    /// A run is over: the engine is told.
    pub(super) fn finished(&mut self, invocation: InvocationId, outcome: Outcome) {
        self.running.remove(invocation);
        if self.faults.as_mut().is_some_and(|faults| faults.twice()) {
            self.step(Input::Finished(invocation, outcome.clone()));
        }
        self.step(Input::Finished(invocation, outcome));
    }

    fn stop(&mut self, invocation: InvocationId) {
        if let Some(run) = self.running.get(invocation) {
            self.end_run(run, Some(Failure::new(FailureKind::Timeout, "")));
        }
    }
}

/// What a run works on.
#[derive(Debug)]
pub(crate) enum Messages {
    One(Message),
    Many(Vec<Message>),
}

impl Messages {
    pub(crate) fn as_slice(&self) -> &[Message] {
        match self {
            Messages::One(message) => std::slice::from_ref(message),
            Messages::Many(messages) => messages,
        }
    }
}
