//! Starting what the scheduler picks, and ending it when its time is over.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    Effect, Effects, Ends, Engine, Event, Item, Items, LOST_AFTER, Level, LimitName, Limited, Note, Phase,
    QueueIx, Running, Start, StartedEvent, State, Then, Timer, Work,
    ahead::Begun,
    fair::{self, Blocker, Flow, FunctionIx, TenantIx},
    slab::Ix,
    table::Entry,
    turns::OVERTAKEN_MAX,
};
use crate::{
    BatchNo, EventResult, Failure, FailureKind, InvocationId, Outcome, Span, Time, Usage, record::Write,
};

/// How what begins becomes durable.
#[derive(Debug, Default)]
struct Written {
    /// Now.
    writes: Vec<Write>,
    /// By these commits, that are under way.
    under_way: BTreeSet<BatchNo>,
}

impl Engine {
    /// The flow of a tenant's work for a function.
    pub(super) fn flow(&mut self, function: FunctionIx, tenant: TenantIx) -> Ix<Flow> {
        if let Some(flow) = self.scheduler.flow(function, tenant) {
            return flow;
        }
        let terms = &self.terms[function];
        let mut limits = terms.per_tenant;
        if terms.some_differ
            && let Some(declared) = self.application.functions.get(&self.functions[function])
        {
            limits = declared.limits_for(&self.tenant_names[tenant]);
        }
        self.scheduler.add_flow(function, tenant, limits)
    }

    pub(super) fn enqueue(&mut self, flow: Ix<Flow>, item: Item, first: bool) {
        let mut hold = self.hold(flow, Some(item).filter(|_| first), 1);
        if self.scheduler.flows[flow].ready.is_empty() {
            hold = self.hold(flow, Some(item), 1);
        }
        self.scheduler.enqueue(flow, item, hold, first);
    }

    pub(super) fn flow_changed(&mut self, flow: Ix<Flow>) {
        let hold = self.hold(flow, None, 0);
        self.scheduler.changed(flow, hold);
    }

    /// Until when a flow's batch may still fill, given a new head and `more` items.
    fn hold(&self, flow: Ix<Flow>, head: Option<Item>, more: usize) -> Time {
        let ready = &self.scheduler.flows[flow].ready;
        let Some(Item::Event(event)) = head.or_else(|| ready.front().copied()) else { return Time(0) };
        let event = &self.events[event];
        let delivery = &self.queues[event.queue].delivery;
        if delivery.batch_window == Span::ZERO || ready.len() + more >= delivery.batch_max as usize {
            return Time(0);
        }
        fair::hold(event.ready, delivery.batch_window)
    }

    /// An event that is durable waits for its time, or is ready.
    pub(super) fn release(&mut self, event: Ix<Event>) {
        let ready = self.events[event].ready;
        if ready > self.now {
            self.events[event].state = State::Delayed;
            self.delays.push(Reverse((ready, event)));
        } else {
            self.make_ready(event);
        }
    }

    pub(super) fn make_ready(&mut self, event: Ix<Event>) {
        self.make_ready_at(event, false);
    }

    /// Into its flow, at the end or, where its turn had come already, at the head.
    pub(super) fn make_ready_at(&mut self, event: Ix<Event>, first: bool) {
        if self.contends(Item::Event(event)) {
            // It did before the engine was made.
            return self.contend(Item::Event(event), None, None);
        }
        let now = self.now;
        let entry = &mut self.events[event];
        entry.state = State::Ready;
        entry.ready = now;
        let (queue, tenant) = (entry.queue, entry.tenant);
        let flow = self.flow(self.queues[queue].function, tenant);
        self.enqueue(flow, Item::Event(event), first);
    }

    /// Starts all that may start now. What stays records what it waits for.
    pub(super) fn start_ready(&mut self, effects: &mut Effects) {
        if self.phase != Phase::Running {
            return;
        }
        let mut last = None;
        loop {
            while let Some(flow) = self.scheduler.next() {
                if !self.hold_suspect(flow) && !self.hold_contender(flow) {
                    last = Some(self.scheduler.flows[flow].function);
                    self.start(flow, effects);
                }
            }
            if !self.offer_turns() {
                break;
            }
        }
        if let Some(function) = last {
            self.write_ahead(function, effects);
        }
    }

    fn start(&mut self, flow: Ix<Flow>, effects: &mut Effects) {
        let (function, tenant) = (self.scheduler.flows[flow].function, self.scheduler.flows[flow].tenant);
        let blocker = self.scheduler.flows[flow].waited_for;
        let items = self.take_batch(flow);
        let hold = self.hold(flow, None, 0);
        let count = items.len() as u32; // bounded by `batch_max`
        let waited_for = blocker.filter(|b| *b != Blocker::Batch).map(|b| self.limit_name(flow, Some(b)));
        self.scheduler.hold(flow, hold);
        let (charge, estimate) = self.scheduler.enter(flow, count);
        let invocation = InvocationId(self.next_invocation);
        self.next_invocation += 1;
        let running = Running {
            function,
            tenant,
            flow,
            charge,
            estimate,
            items: Items::new(),
            awaits: 0,
            ends: Ends::NotStarted,
        };
        let place = self.invocations.insert(invocation, running);
        let mut written = Written::default();
        for item in &items {
            self.begin(*item, (invocation, place), waited_for.clone(), &mut written, effects);
        }
        let Written { writes, mut under_way } = written;
        if items.first().is_some_and(|item| self.contends(*item)) {
            under_way.extend(self.take_turn(tenant, invocation, &items));
        }
        let awaits = self.ahead.wait(invocation, under_way) + u32::from(!writes.is_empty());
        if let Some(running) = self.invocations.at_mut(place) {
            running.awaits = awaits;
            running.items = items;
        }
        if !writes.is_empty() {
            self.commit(writes, Then::Start(invocation), effects);
        } else if awaits == 0 {
            // All was written ahead; calls are not written at all.
            self.started_at(invocation, place, effects);
        }
    }

    /// The head of a flow, and what may run with it: events of the same queue. A suspect runs alone, and who contends
    /// with others that do.
    fn take_batch(&mut self, flow: Ix<Flow>) -> Items {
        let ready = &mut self.scheduler.flows[flow].ready;
        let mut items = Items::new();
        let Some(head) = ready.pop_front() else { return items };
        items.push(head);
        if let Item::Event(event) = head {
            let queue: QueueIx = self.events[event].queue;
            let crashes_max = self.application.limits.crashes_max;
            if self.events[event].suspect(crashes_max) {
                self.suspects.begin(event);
                return items;
            }
            let max = self.queues[queue].delivery.batch_max as usize;
            let contends = self.events[event].conflicts >= OVERTAKEN_MAX;
            while items.len() < max
                && let Some(&Item::Event(next)) = ready.front()
                && self.events[next].queue == queue
                && !self.events[next].suspect(crashes_max)
                && (self.events[next].conflicts >= OVERTAKEN_MAX) == contends
            {
                ready.pop_front();
                items.push(Item::Event(next));
            }
        }
        items
    }

    /// One item of an invocation begins.
    fn begin(
        &mut self,
        item: Item,
        (invocation, place): (InvocationId, Ix<Entry<InvocationId, Running>>),
        waited_for: Option<LimitName>,
        written: &mut Written,
        effects: &mut Effects,
    ) {
        let (id, tenant, function, attempt, since) = match item {
            Item::Event(event) => {
                let begun = self.ahead.take(event);
                let e = &mut self.events[event];
                e.state = State::Running(place);
                e.attempt = e.attempt.saturating_add(1);
                let (id, tenant, attempt, ready, seq) = (e.id, e.tenant, e.attempt, e.ready, e.seq);
                let function = self.queues[e.queue].function;
                match begun {
                    Begun::No => {
                        let waiting = self.waiting_record(event);
                        written.writes.push(Write::Update { seq, waiting });
                    }
                    Begun::Writing(batch) => drop(written.under_way.insert(batch)),
                    Begun::Durable => {}
                }
                (id, tenant, function, attempt, ready)
            }
            Item::Call(call) => {
                self.call_leaves(call);
                let c = &self.calls[call];
                (c.id, c.tenant, c.function, 1, c.accepted)
            }
        };
        effects.push(Effect::Note(Note::Started {
            id,
            tenant: self.tenant_ids[tenant],
            function: self.functions[function].clone(),
            invocation,
            attempt,
            dwell: self.now.since(since),
            waited_for,
        }));
    }

    /// The attempt is durable, or nothing had to be: the invocation starts.
    pub(super) fn started(&mut self, invocation: InvocationId, effects: &mut Effects) {
        if let Some(place) = self.invocations.place(&invocation) {
            self.started_at(invocation, place, effects);
        }
    }

    fn started_at(
        &mut self,
        invocation: InvocationId,
        place: Ix<Entry<InvocationId, Running>>,
        effects: &mut Effects,
    ) {
        let Some(running) = self.invocations.at_mut(place) else { return };
        running.ends = Ends::Deadline;
        let function = self.functions[running.function].clone();
        let deadline = self.now.after(self.terms[running.function].timeout);
        let events = running.items.iter().filter_map(|item| match item {
            Item::Event(event) => {
                let e = &self.events[*event];
                Some(StartedEvent { seq: e.seq, id: e.id, attempt: e.attempt })
            }
            Item::Call(_) => None,
        });
        let work = match running.items.first() {
            Some(Item::Call(call)) => {
                let c = &self.calls[*call];
                Work::Call { caller: c.caller, id: c.id, accepted: c.accepted }
            }
            _ => Work::Events(events.collect()),
        };
        let tenant = self.tenant_ids[running.tenant];
        self.timers.began(running.function, invocation, deadline);
        effects.push(Effect::Start(Start { invocation, function, tenant, work, deadline }));
    }

    /// A run is over, and out of the table: nothing ends it any more.
    pub(super) fn ends_no_more(&mut self, invocation: InvocationId, running: &Running) {
        let invocations = &self.invocations;
        match running.ends {
            Ends::NotStarted => {}
            Ends::Deadline => {
                let runs = |other| invocations.get(&other).is_some();
                self.timers.over(running.function, invocation, runs);
            }
            Ends::Lost(at) => self.timers.remove(at, Timer::Lost(invocation)),
        }
    }

    /// The time is over: the worker is told to stop it, and gets a little time to say what it did.
    pub(super) fn deadline(&mut self, invocation: InvocationId, effects: &mut Effects) {
        let Some(running) = self.invocations.get_mut(&invocation) else { return };
        let mut lost_at = self.now.after(LOST_AFTER);
        if let Some(Item::Event(event)) = running.items.first() {
            let delivery = &self.queues[self.events[*event].queue].delivery;
            let timeout = self.terms[running.function].timeout;
            let hidden = Span(delivery.visibility.0.saturating_sub(timeout.0));
            lost_at = self.now.after(hidden.max(Span::from_millis(100)));
        }
        running.ends = Ends::Lost(lost_at);
        self.timers.insert(lost_at, Timer::Lost(invocation));
        effects.push(Effect::Stop(invocation));
    }

    /// Its worker said nothing: it is taken as lost, and whatever it says later is stale.
    pub(super) fn lost(&mut self, invocation: InvocationId, effects: &mut Effects) {
        let Some(running) = self.invocations.get(&invocation) else { return };
        let failure =
            Failure::new(FailureKind::Lost, "its run did not end in time and its worker said nothing");
        let result = EventResult { verdict: Err(failure), emits: Vec::new() };
        let results = vec![result; running.items.len()];
        let usage = Usage::default();
        self.finished(invocation, Outcome { results, reads: Vec::new(), writes: Vec::new(), usage }, effects);
    }

    /// A blocker by the name of its limit.
    pub(super) fn limit_name(&self, flow: Ix<Flow>, blocker: Option<Blocker>) -> LimitName {
        let flow = self.scheduler.flows.get(flow);
        let names = flow.map(|f| (self.functions[f.function].clone(), self.tenant_names[f.tenant].clone()));
        let Some((function, tenant)) = names else {
            return LimitName { level: Level::Platform, of: Limited::Concurrency };
        };
        let (level, of) = match blocker {
            Some(Blocker::LongFunctions) => (Level::LongFunctions, Limited::Concurrency),
            Some(Blocker::TenantConcurrency) => (Level::Tenant(tenant), Limited::Concurrency),
            Some(Blocker::TenantRate) => (Level::Tenant(tenant), Limited::Rate),
            Some(Blocker::FunctionConcurrency) => (Level::Function(function), Limited::Concurrency),
            Some(Blocker::FunctionRate) => (Level::Function(function), Limited::Rate),
            Some(Blocker::Downstream) => (Level::Function(function), Limited::WaitingEvents),
            Some(Blocker::FlowConcurrency) => (Level::FunctionTenant(function, tenant), Limited::Concurrency),
            Some(Blocker::FlowRate) => (Level::FunctionTenant(function, tenant), Limited::Rate),
            Some(Blocker::PlatformRate) => (Level::Platform, Limited::Rate),
            Some(Blocker::PlatformConcurrency | Blocker::Batch) | None => {
                (Level::Platform, Limited::Concurrency)
            }
        };
        LimitName { level, of }
    }
}
