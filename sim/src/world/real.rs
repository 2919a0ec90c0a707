//! Runs of the user's own functions, in virtual time.

use flyball_core::{
    Envelope, EventId, Failure, FailureKind, Lineage, Name, Outcome, Start, Usage, Work,
    invocation::{HostCall, HostReply, Invocation},
};

use slotmap::Key as _;

use super::{
    CallerKey, Happening, RunKey, World,
    client::Request,
    data::{self, Blobs, Values},
    run::Waiting,
};
use crate::{
    guests::{Arrival, Arrived, GuestAnswer, GuestAsks, GuestEnd, GuestEvent, GuestPause, GuestRun, RunNo},
    message::{FunctionNo, Message, Verdict},
    plan::DependencyNo,
};

/// What only a run of a real function has.
#[derive(Debug)]
pub(crate) struct Real {
    next: Next,
    /// Whom it waits for.
    pub asked: Option<DependencyNo>,
    /// What it is to handle.
    events: Vec<EventId>,
}

#[derive(Debug)]
enum Next {
    Begins(Box<Start>),
    Asks(Box<GuestAsks>),
    Ends(Box<GuestEnd>),
    Waits,
}

impl Real {
    pub(crate) fn new(start: &Start) -> Box<Real> {
        let events = match &start.work {
            Work::Call { id, .. } => vec![*id],
            Work::Events(events) => events.iter().map(|event| event.id).collect(),
        };
        Box::new(Real { next: Next::Begins(Box::new(start.clone())), asked: None, events })
    }
}

/// A status from which on a client takes its request for failed.
const FAILED_STATUS: u16 = 400;

impl World<'_> {
    /// Whether a function is run, not modelled.
    pub(super) fn is_real(&self, function: FunctionNo) -> bool {
        self.guests.is_some() && self.plan.functions.get(function.0 as usize).is_some_and(|f| f.real)
    }

    /// What an event at the edge is, where somebody says so.
    pub(super) fn arrived(&mut self, source: u32, message: Message) -> Option<Arrived> {
        let plan = self.plan;
        let label = &plan.sources.get(source as usize)?.label;
        let tenant = plan.tenants.get(message.tenant.0 as usize)?;
        let arrival = Arrival { source: label, tenant, number: message.root, seed: self.seed };
        self.guests.as_mut()?.arrives(&arrival)
    }

    /// What a real run waited for has come.
    pub(super) fn real_woken(&mut self, key: RunKey, what: Waiting) {
        if what == Waiting::Patience {
            self.give_up(key, 0);
            return self.real_answered(key, GuestAnswer::Late);
        }
        let Some(real) = self.runs.get_mut(key).and_then(|run| run.real.as_mut()) else { return };
        match std::mem::replace(&mut real.next, Next::Waits) {
            Next::Begins(start) => self.real_begins(key, &start),
            Next::Asks(asks) => match self.plan.real.host(&asks.host, asks.port) {
                None => self.real_answered(key, GuestAnswer::Refused),
                Some(to) => self.real_asks(key, to, &asks),
            },
            Next::Ends(end) => self.real_ends(key, *end),
            Next::Waits => {}
        }
    }

    fn real_begins(&mut self, key: RunKey, start: &Start) {
        let now = self.now;
        let Some(run) = self.runs.get(key) else { return };
        let (function, tenant, caller) = (run.function, run.tenant, run.caller);
        let events = self.real_events(start, caller);
        let plan = self.plan;
        let state = Invocation::new(plan.application.clone(), &start.function, start.tenant);
        let names = plan.functions.get(function.0 as usize).zip(plan.tenants.get(tenant.0 as usize));
        let (Some(invocation), Some((function, tenant)), Some(first)) = (state, names, events.first()) else {
            let outcome = not_started(start, "what it is to handle is not there");
            return self.real_ends(key, GuestEnd { at: now, outcome, status: None });
        };
        let seed = first.envelope.id.spread(self.seed ^ u64::from(first.attempt));
        let run = GuestRun {
            number: number(key),
            function: &function.label,
            tenant,
            invocation,
            now,
            lasts_max: start.deadline.since(now),
            seed,
            call: matches!(start.work, Work::Call { .. }),
            events,
        };
        let (values, blobs) = (&self.store.values, &mut self.store.blobs);
        let mut platform = |call: HostCall| answer(plan, (values, blobs), call);
        let Some(guests) = self.guests.as_mut() else { return };
        let pause = guests.begin(run, &mut platform);
        self.real_pauses(key, pause);
    }

    /// What a run is given, whole.
    fn real_events(&mut self, start: &Start, caller: Option<CallerKey>) -> Vec<GuestEvent> {
        match &start.work {
            Work::Events(events) => {
                let event = |event: &flyball_core::StartedEvent| {
                    let (envelope, body) = self.store.event(event.seq)?;
                    let attempt = u32::from(event.attempt);
                    Some(GuestEvent { envelope: envelope.clone(), body: body.clone(), attempt })
                };
                events.iter().filter_map(event).collect()
            }
            Work::Call { id, accepted, .. } => {
                let Some((source, message)) = self.asked_by(caller) else { return Vec::new() };
                let Some(Arrived { attributes, body }) = self.arrived(source, message) else {
                    return Vec::new();
                };
                let envelope = Envelope {
                    id: *id,
                    tenant: start.tenant,
                    target: Name::inbox_of(&start.function),
                    attributes,
                    time: *accepted,
                    lineage: Lineage::edge(*id),
                };
                vec![GuestEvent { envelope, body, attempt: 1 }]
            }
        }
    }

    /// The source and the message of a call, if a client made it.
    fn asked_by(&self, caller: Option<CallerKey>) -> Option<(u32, Message)> {
        let caller = self.callers.get(caller?)?;
        match caller.who {
            super::invoke::Who::Request(request, _) => {
                let request: &Request = self.requests.get(request)?;
                Some((request.source(), caller.message))
            }
            _ => None,
        }
    }

    fn real_pauses(&mut self, key: RunKey, pause: GuestPause) {
        let (at, next) = match pause {
            GuestPause::Asks(asks) => (asks.at, Next::Asks(Box::new(asks))),
            GuestPause::Ended(end) => (end.at, Next::Ends(Box::new(end))),
        };
        let at = at.max(self.now);
        let Some(run) = self.runs.get_mut(key) else { return };
        if let Some(real) = &mut run.real {
            real.next = next;
        }
        let wait = run.wait(0, Waiting::Time);
        self.agenda.put(at, Happening::Run(key, wait));
    }

    fn real_asks(&mut self, key: RunKey, to: DependencyNo, asks: &GuestAsks) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(key) else { return };
        let mut place = None;
        if let Some(real) = &mut run.real {
            real.asked = Some(to);
            place = asks.of.and_then(|of| real.events.iter().position(|event| *event == of));
        }
        run.asks(now, place);
        let mut wait = run.wait(0, Waiting::Patience);
        if let Some(patience) = asks.patience {
            self.agenda.put(now.after(patience), Happening::Run(key, wait));
        }
        wait.answer();
        let key_heeded = self.plan.real.keyed.contains(&to).then_some(asks.key);
        self.ask(key, wait, to, (None, key_heeded), asks.step);
    }

    /// The answer to a request has come.
    pub(super) fn real_answered(&mut self, key: RunKey, answered: GuestAnswer) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(key) else { return };
        if let Some(real) = &mut run.real {
            real.asked = None;
        }
        run.has_answer();
        let (plan, values, blobs) = (self.plan, &self.store.values, &mut self.store.blobs);
        let mut platform = |call: HostCall| answer(plan, (values, blobs), call);
        let Some(guests) = self.guests.as_mut() else { return };
        let pause = guests.go_on(number(key), now, answered, &mut platform);
        self.real_pauses(key, pause);
    }

    /// The engine has stopped a run: what it had ended before counts.
    pub(super) fn real_stopped(&mut self, key: RunKey) {
        let Some(run) = self.runs.get_mut(key) else { return };
        let next = run.real.as_mut().map(|real| std::mem::replace(&mut real.next, Next::Waits));
        let end = match next {
            Some(Next::Ends(end)) => *end,
            Some(Next::Begins(start)) => GuestEnd {
                at: self.now,
                outcome: not_started(&start, "stopped before it began"),
                status: None,
            },
            _ => match self.guests.as_mut() {
                Some(guests) => guests.stop(number(key)),
                None => return,
            },
        };
        self.real_ends(key, end);
    }

    fn real_ends(&mut self, key: RunKey, end: GuestEnd) {
        self.leave_all(key);
        let Some(run) = self.runs.remove(key) else { return };
        let GuestEnd { outcome, status, .. } = end;
        let failed: Vec<usize> = failed(&outcome);
        let verdict = match (failed.first().and_then(|at| kind(&outcome, *at)), failed.len()) {
            (Some(kind), all) if all == outcome.results.len() => Verdict::Failed(kind),
            (Some(_), _) => Verdict::Partly(failed),
            (None, _) if status.is_some_and(|status| status >= FAILED_STATUS) => {
                Verdict::Failed(FailureKind::Retry)
            }
            (None, _) => Verdict::Done,
        };
        self.release(run.function, run.environment);
        let lasted = self.now.since(run.began);
        if let (Some(faults), Some(real)) = (&mut self.faults, &run.real) {
            faults.books.real_run(self.now, run.function, run.messages.as_slice(), &outcome);
            faults.books.outcome(&real.events, &outcome);
        }
        self.tally.run_ended(self.now, run.function, run.tenant, lasted, run.init, &verdict);
        if let Some(caller) = run.caller.and_then(|caller| self.callers.get_mut(caller)) {
            caller.verdict = Some(verdict);
        }
        if run.generation == self.generation {
            self.finished(run.invocation, outcome);
        }
    }

    /// Whoever runs functions hears how it ended.
    pub(super) fn real_over(&mut self) {
        let Some(guests) = self.guests.as_mut() else { return };
        let tenants = &self.plan.tenants;
        let name = |tenant: flyball_core::TenantId| {
            tenants.get(tenant.0.saturating_sub(1) as usize).map_or("", Name::as_str)
        };
        let values = self.store.values.iter();
        guests.ended(&mut values.map(|((tenant, key), (value, _))| (name(*tenant), key, value)));
    }
}

/// A run's number: invocations are numbered anew by each engine.
fn number(run: RunKey) -> RunNo {
    RunNo(run.data().as_ffi())
}

/// What the platform answers: the store, and the secrets that the traffic file states.
fn answer(plan: &crate::plan::Plan, (values, blobs): (&Values, &mut Blobs), call: HostCall) -> HostReply {
    match call {
        HostCall::SecretRead(_, name) => {
            let secret = plan.real.secrets.get(&name);
            HostReply::Found(secret.map(|secret| flyball_core::Body::from(secret.as_bytes())))
        }
        call => data::answer(values, blobs, call),
    }
}

fn failed(outcome: &Outcome) -> Vec<usize> {
    let results = outcome.results.iter().enumerate();
    results.filter(|(_, result)| result.verdict.is_err()).map(|(place, _)| place).collect()
}

fn kind(outcome: &Outcome, at: usize) -> Option<FailureKind> {
    outcome.results.get(at)?.verdict.as_ref().err().map(|failure| failure.kind)
}

/// The outcome of a run that had nothing to run on.
fn not_started(start: &Start, why: &str) -> Outcome {
    let events = match &start.work {
        Work::Call { .. } => 1,
        Work::Events(events) => events.len(),
    };
    let failure = Failure::new(FailureKind::NotStarted, why);
    let result = flyball_core::EventResult { verdict: Err(failure), emits: Vec::new() };
    Outcome { results: vec![result; events], reads: Vec::new(), writes: Vec::new(), usage: Usage::default() }
}
