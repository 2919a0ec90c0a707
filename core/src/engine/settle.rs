//! How invocations end: outcomes commit once, failures are tried again or go to the dead letters.

use super::{
    Effect, Effects, Emitted, Engine, Event, Fate, Fates, Item, Note, Phase, QueueIx, RECENT_MAX, Running,
    Settling, State, Then,
    fair::{FunctionIx, TenantIx},
    slab::Ix,
    turns::{self, OVERTAKEN_MAX},
};
use crate::{
    Body, Emit, Envelope, EventId, EventResult, Failure, FailureKind, InvocationId, Outcome, Span, TenantId,
    Usage,
    model::Delivery,
    record::{Bucket, Dead, FailedAttempt, OUTCOME_BYTES_MAX, Write},
};

/// What an envelope is counted as, bytes: the attributes and a few hops.
const ENVELOPE_BYTES: u64 = 2_048;

impl Settling {
    /// What becomes of these, and nothing else yet.
    pub(super) fn of(function: FunctionIx, tenant: TenantIx, fates: Fates) -> Settling {
        let (emitted, stopped) = (Vec::new(), Vec::new());
        Settling { function, tenant, fates, emitted, stopped, turn: None, read: None, since: None }
    }
}

impl Engine {
    pub(super) fn finished(&mut self, invocation: InvocationId, outcome: Outcome, effects: &mut Effects) {
        // Stale: it was taken as lost, or belongs to an engine before this one.
        let Some(running) = self.invocations.remove(&invocation) else { return };
        self.ends_no_more(invocation, &running);
        let Outcome { results, reads, writes: kv, usage } = self.bounded(outcome);
        self.give_back(invocation, &running, usage, effects);
        let Running { function, tenant, items, .. } = running;
        let tenant_id = self.tenant_ids[tenant];
        let late = self.turns.run_over(invocation) || self.phase != Phase::Running;
        let void = !late && self.turns.forbids(tenant, invocation, &kv);
        let mut settling = Settling::of(function, tenant, Fates::with_capacity(items.len()));
        settling.since = self.turns.since(tenant, invocation);
        settling.turn = settling.since.map(|_| invocation);
        if void || items.iter().any(|item| self.overtaken(*item) >= OVERTAKEN_MAX - 1) {
            settling.read = Some(turns::keys(&reads));
        }
        let mut writes = Vec::new();
        let mut results = results.into_iter();
        let nothing_ran = |r: &EventResult| matches!(&r.verdict, Err(f) if f.kind == FailureKind::NotRun);
        let none_ran = results.as_slice().iter().all(nothing_ran);
        for item in items {
            let EventResult { verdict, emits } = results.next().unwrap_or_else(|| EventResult {
                verdict: Err(Failure::new(FailureKind::NotStarted, "its worker reported no result for it")),
                emits: Vec::new(),
            });
            let verdict = match verdict {
                // Nothing of the batch ran: that is a failure to start, and spends an attempt.
                Err(f) if none_ran => Err(Failure::new(FailureKind::NotStarted, f.message)),
                other => other,
            };
            let fate = self.fate(item, verdict, emits.len());
            if matches!(fate, Fate::Done { .. }) {
                for emit in emits {
                    self.emit(tenant, emit, &mut settling, &mut writes);
                }
            }
            settling.fates.push((item, fate));
        }
        let changes = !(writes.is_empty() && kv.is_empty());
        let checks = reads.into_iter().map(|r| (tenant_id, r.key, r.version));
        // A run that changed nothing has nothing that a stale read could spoil.
        let checks = if changes { checks.collect() } else { Vec::new() };
        let kv = kv.into_iter().map(|w| Write::Kv { tenant: tenant_id, key: w.key, value: w.value });
        writes.extend(kv);
        self.write_fates(&settling, &mut writes);
        if void {
            self.conflicted(settling, OVERTAKEN_MAX, effects);
        } else if writes.is_empty() {
            self.settled(settling, effects);
        } else {
            self.commit_if(checks, writes, Then::Settle(Box::new(settling)), effects);
        }
    }

    /// An outcome that is more than a commit may be fails as a whole: to hand it to the store would fail
    /// the lane instead. Copies for subscribers count each.
    fn bounded(&self, mut outcome: Outcome) -> Outcome {
        let copies = |emit: &Emit| {
            let routes = self.application.route_event(&emit.envelope.target, &emit.envelope.attributes);
            routes.map_or(0, |routes| routes.len() as u64)
        };
        let emits = outcome.results.iter().flat_map(|result| &result.emits);
        let emitted = emits.map(|emit| copies(emit) * (emit.body.len() as u64 + ENVELOPE_BYTES));
        let results = outcome.results.iter().filter_map(|result| result.verdict.as_ref().ok());
        let written = outcome.writes.iter().filter_map(|write| write.value.as_ref());
        let bodies = results.chain(written).map(|body| body.len() as u64);
        let bytes = emitted.chain(bodies).fold(0, u64::saturating_add);
        if bytes <= OUTCOME_BYTES_MAX {
            return outcome;
        }
        let message = format!(
            "its outcome writes {bytes} bytes, copies for subscribers included; {OUTCOME_BYTES_MAX} at most"
        );
        for result in &mut outcome.results {
            result.emits.clear();
            if result.verdict.is_ok() {
                result.verdict = Err(Failure::new(FailureKind::LimitExceeded, message.clone()));
            }
        }
        outcome.writes.clear();
        outcome.reads.clear();
        outcome
    }

    /// The slots come free with the end of the run, not with its commit: concurrency is what runs.
    pub(super) fn give_back(
        &mut self,
        invocation: InvocationId,
        running: &Running,
        usage: Usage,
        effects: &mut Effects,
    ) {
        let events = running.items.len() as u32; // bounded by `batch_max`
        self.scheduler.leave(running.flow, running.charge, running.estimate, usage.cost(), events);
        effects.push(Effect::Note(Note::Ended {
            invocation,
            tenant: self.tenant_ids[running.tenant],
            function: self.functions[running.function].clone(),
            usage,
        }));
    }

    fn fate(&mut self, item: Item, verdict: Result<Body, Failure>, emits: usize) -> Fate {
        let failure = match verdict {
            Ok(body) => return Fate::Done { body, emitted: u32::try_from(emits).unwrap_or(u32::MAX) },
            Err(failure) => failure,
        };
        match item {
            Item::Call(_) => Fate::Dead { failure },
            Item::Event(event) if failure.kind == FailureKind::NotRun => {
                let e = &mut self.events[event];
                e.attempt = e.attempt.saturating_sub(1);
                Fate::Again
            }
            Item::Event(event) => self.failed_fate(event, failure),
        }
    }

    fn failed_fate(&self, event: Ix<Event>, failure: Failure) -> Fate {
        let e = &self.events[event];
        let heard = || self.remembering.get(&e.id).is_some_and(|r| r.caller.is_some());
        let delivery = &self.queues[e.queue].delivery;
        if e.remember && heard() {
            Fate::Told { failure }
        } else if e.attempt >= delivery.attempts_max || !failure.kind.retryable() {
            Fate::Dead { failure }
        } else {
            let at = self.now.after(backoff(delivery, e.id, e.attempt, self.settings.seed));
            Fate::Retry { at, failure }
        }
    }

    /// The durable side of fates. Marks the events as being settled by the commit that comes next.
    pub(super) fn write_fates(&mut self, settling: &Settling, writes: &mut Vec<Write>) {
        for (item, fate) in &settling.fates {
            let Item::Event(event) = *item else { continue };
            self.events[event].state = State::Settling;
            let (seq, tenant, id, noted) = {
                let e = &self.events[event];
                (e.seq, e.tenant, e.id, e.notes > 0)
            };
            match fate {
                Fate::Done { body, .. } => {
                    writes.push(Write::Remove { seq, noted });
                    self.write_verdict(event, tenant, id, Ok(body.clone()), writes);
                }
                Fate::Told { .. } => writes.push(Write::Remove { seq, noted }),
                Fate::Again => writes.push(Write::Update { seq, waiting: self.waiting_record(event) }),
                Fate::Crashed { failure } => {
                    let run = self.events[event].attempt.saturating_add(1);
                    self.write_failure(event, run, failure, writes);
                    writes.push(Write::Update { seq, waiting: self.waiting_record(event) });
                }
                Fate::Retry { at, failure } => {
                    self.events[event].crashes = 0;
                    self.write_failure(event, self.events[event].attempt, failure, writes);
                    let mut waiting = self.waiting_record(event);
                    waiting.not_before = *at;
                    writes.push(Write::Update { seq, waiting });
                }
                Fate::Dead { failure } => {
                    let e = &mut self.events[event];
                    let mut run = e.attempt;
                    match failure.kind {
                        FailureKind::Crashed => run = run.saturating_add(1),
                        _ => e.crashes = 0,
                    }
                    self.write_failure(event, run, failure, writes);
                    let waiting = self.waiting_record(event);
                    self.write_verdict(event, tenant, id, Err(failure.clone()), writes);
                    let dead = Dead { event: waiting, at: self.now, failure: failure.clone() };
                    writes.push(Write::Bury { seq, dead });
                }
            }
        }
    }

    /// A line of its history. A run that was cut off is no attempt: the next has the same number.
    fn write_failure(&mut self, event: Ix<Event>, run: u16, failure: &Failure, writes: &mut Vec<Write>) {
        let at = self.now;
        let e = &mut self.events[event];
        e.notes = e.notes.saturating_add(1);
        let failed = FailedAttempt { attempt: run, at, failure: failure.clone() };
        writes.push(Write::Note { seq: e.seq, number: e.notes, failed });
    }

    fn write_verdict(
        &mut self,
        event: Ix<Event>,
        tenant: TenantIx,
        id: EventId,
        verdict: Result<Body, Failure>,
        writes: &mut Vec<Write>,
    ) {
        if !self.events[event].remember {
            return;
        }
        let remembering = self.remembering.get(&id);
        if let Some(fingerprint) = remembering.map(|r| r.fingerprint) {
            let write = self.remember(tenant, id, fingerprint, verdict);
            writes.push(write);
        }
    }

    /// An emitted event goes to every queue that its target leads to, in the same commit.
    fn emit(&mut self, tenant: TenantIx, emit: Emit, settling: &mut Settling, writes: &mut Vec<Write>) {
        let Emit { envelope, body, delay } = emit;
        let routes = self.application.route_event(&envelope.target, &envelope.attributes).unwrap_or_default();
        let hops_max = u32::from(self.application.limits.hops_max);
        let too_far = envelope.lineage.hop_count() > hops_max;
        for route in routes {
            let id = route.subscriber.as_ref().map_or(envelope.id, |s| envelope.id.copy_for(s));
            let copy = Envelope { id, time: self.now, ..envelope.clone() };
            if too_far {
                let message =
                    format!("it has passed {} functions; hops_max is {hops_max}", copy.lineage.hop_count());
                let failure = Failure::new(FailureKind::HopLimit, message);
                self.stop_emitted(tenant, &route.queue, copy, body.clone(), &failure, writes);
                settling.stopped.push((id, failure));
                continue;
            }
            let (cause, root) = (copy.lineage.cause(), copy.lineage.root);
            let (event, write) = self.new_event(&route.queue, copy, body.clone(), delay, tenant, false);
            settling.emitted.push(Emitted { event, cause, root });
            writes.push(write);
        }
    }

    /// An emitted event at the end of its hop budget: accepted and dead in one commit, lineage and all.
    fn stop_emitted(
        &mut self,
        tenant: TenantIx,
        queue: &crate::Name,
        envelope: Envelope,
        body: Body,
        failure: &Failure,
        writes: &mut Vec<Write>,
    ) {
        let (event, write) = self.new_event(queue, envelope, body, Span::ZERO, tenant, false);
        let waiting = self.waiting_record(event);
        let seq = self.events[event].seq;
        self.totals.accepting -= 1;
        self.remove_event(event);
        writes.push(write);
        writes
            .push(Write::Bury { seq, dead: Dead { event: waiting, at: self.now, failure: failure.clone() } });
    }

    /// The outcome is durable, or nothing had to be.
    pub(super) fn settled(&mut self, settling: Settling, effects: &mut Effects) {
        let Settling { function, tenant, fates, emitted, stopped, turn, read, since } = settling;
        if let Some(run) = turn {
            self.turn_over(tenant, run);
        }
        let tenant = self.tenant_ids[tenant];
        for (item, fate) in fates {
            match item {
                Item::Call(call) => self.settled_call(call, fate, effects),
                Item::Event(event) => {
                    match fate {
                        Fate::Again if self.contends(item) => self.contend(item, read.clone(), since),
                        fate => self.settled_event(event, fate, self.functions[function].clone(), effects),
                    }
                    if self.suspects.end(event) {
                        self.release_held();
                    }
                }
            }
        }
        for (id, failure) in stopped {
            self.totals.accepted += 1;
            self.totals.dead += 1;
            self.totals.stopped += 1;
            effects.push(Effect::Note(Note::Dead { id, tenant, failure }));
        }
        for emitted in emitted {
            self.emitted(emitted, tenant, effects);
        }
    }

    fn emitted(&mut self, emitted: Emitted, tenant: TenantId, effects: &mut Effects) {
        let Emitted { event, cause, root } = emitted;
        self.totals.accepting -= 1;
        self.totals.accepted += 1;
        let e = &self.events[event];
        let queue = self.queues[e.queue].name.clone();
        effects.push(Effect::Note(Note::Accepted { id: e.id, tenant, queue, cause, root }));
        self.arrived(event, effects);
    }

    fn settled_call(&mut self, call: Ix<super::PendingCall>, fate: Fate, effects: &mut Effects) {
        let Some(entry) = self.calls.remove(call) else { return };
        self.call_of.remove(&entry.caller);
        let (id, tenant) = (entry.id, self.tenant_ids[entry.tenant]);
        let function = self.functions[entry.function].clone();
        let answer = match fate {
            Fate::Done { body, emitted } => {
                effects.push(Effect::Note(Note::Done { id, tenant, function, emitted }));
                super::Answer::Done { id, body, replayed: false }
            }
            Fate::Dead { failure } | Fate::Told { failure } | Fate::Retry { failure, .. } => {
                effects.push(Effect::Note(Note::Dead { id, tenant, failure: failure.clone() }));
                super::Answer::Failed { id, failure, replayed: false }
            }
            Fate::Again | Fate::Crashed { .. } => super::Answer::Refused(crate::Refusal::Unavailable),
        };
        if !entry.gone {
            effects.push(Effect::Answer(entry.caller, answer));
        }
    }

    fn settled_event(&mut self, event: Ix<Event>, fate: Fate, function: crate::Name, effects: &mut Effects) {
        let e = &self.events[event];
        let (id, tenant) = (e.id, self.tenant_ids[e.tenant]);
        match fate {
            Fate::Done { body, emitted } => {
                let caller = self.over(event);
                self.totals.done += 1;
                effects.push(Effect::Note(Note::Done { id, tenant, function, emitted }));
                if let Some(caller) = caller {
                    effects.push(Effect::Answer(caller, super::Answer::Done { id, body, replayed: false }));
                }
            }
            Fate::Told { failure } => {
                let entry = self.events[event].tenant;
                self.tenants[entry].remembered = self.tenants[entry].remembered.saturating_sub(1);
                let caller = self.remembering.remove(&id).and_then(|r| r.caller);
                self.remove_event(event);
                self.totals.done += 1;
                effects.push(Effect::Note(Note::Dead { id, tenant, failure: failure.clone() }));
                if let Some(caller) = caller {
                    effects
                        .push(Effect::Answer(caller, super::Answer::Failed { id, failure, replayed: false }));
                }
            }
            Fate::Dead { failure } => {
                let caller = self.over(event);
                self.totals.dead += 1;
                effects.push(Effect::Note(Note::Dead { id, tenant, failure: failure.clone() }));
                if let Some(caller) = caller {
                    effects
                        .push(Effect::Answer(caller, super::Answer::Failed { id, failure, replayed: false }));
                }
            }
            Fate::Retry { at, failure } => {
                let e = &mut self.events[event];
                (e.ready, e.conflicts) = (at, 0);
                self.totals.retried += 1;
                effects.push(Effect::Note(Note::Retrying { id, tenant, failure, at }));
                self.release(event);
            }
            Fate::Crashed { failure } => {
                self.totals.retried += 1;
                let at = self.now;
                effects.push(Effect::Note(Note::Retrying { id, tenant, failure, at }));
                self.make_ready_at(event, true);
            }
            Fate::Again => self.make_ready_at(event, true),
        }
    }

    /// An event is over: out of the index, and its key is found in the store from now on.
    fn over(&mut self, event: Ix<Event>) -> Option<crate::CallerId> {
        let (id, remember) = (self.events[event].id, self.events[event].remember);
        self.remove_event(event);
        if !remember {
            return None;
        }
        self.mark_settled(id);
        self.remembering.remove(&id).and_then(|r| r.caller)
    }

    /// What it had read was stale, or it is void for another's turn, and nothing was written. What failed has failed
    /// all the same; what succeeded runs again, without spending an attempt, a bounded number of times. It counts as
    /// overtaken `least` times at least.
    pub(super) fn conflicted(&mut self, settling: Settling, least: u8, effects: &mut Effects) {
        let Settling { function, tenant, fates, emitted, stopped: _, turn, read, since } = settling;
        self.totals.conflicts += 1;
        effects.push(Effect::Note(Note::Conflict {
            tenant: self.tenant_ids[tenant],
            function: self.functions[function].clone(),
        }));
        for emitted in emitted {
            self.totals.accepting -= 1;
            self.remove_event(emitted.event);
        }
        // Who takes longer than a turn has contended since now.
        let since = since.filter(|_| turn.is_some_and(|run| self.turns.since(tenant, run).is_some()));
        let mut rest = Settling { read, since, ..Settling::of(function, tenant, Fates::new()) };
        // In reverse, because each goes to the head of its flow.
        for (item, fate) in fates.into_iter().rev() {
            self.forget_verdict(item, &fate);
            match (item, fate) {
                (Item::Event(event), Fate::Done { .. }) => self.run_again(event, least, &mut rest),
                (Item::Call(call), Fate::Done { .. }) => self.call_again(call, least, &mut rest),
                (item, fate) => rest.fates.insert(0, (item, fate)),
            }
        }
        if let Some(run) = turn {
            self.turn_over(tenant, run);
        }
        let mut writes = Vec::new();
        self.write_fates(&rest, &mut writes);
        if writes.is_empty() {
            self.settled(rest, effects);
        } else {
            self.commit(writes, Then::Settle(Box::new(rest)), effects);
        }
    }

    fn run_again(&mut self, event: Ix<Event>, least: u8, rest: &mut Settling) {
        let max = self.application.limits.conflicts_max;
        let e = &mut self.events[event];
        if e.conflicts < max {
            e.conflicts = (e.conflicts + 1).max(least.min(max));
            e.attempt = e.attempt.saturating_sub(1);
            let charged = std::mem::take(&mut e.crashes) > 0;
            let soon = self.phase == Phase::Running && !self.contends(Item::Event(event));
            if charged || !soon || !self.ahead.keep(event) {
                // What is durable must not say that it runs, should the process end before it does.
                rest.fates.insert(0, (Item::Event(event), Fate::Again));
            } else {
                self.make_ready_at(event, true);
            }
        } else {
            let fate = self.failed_fate(event, too_contended(max));
            rest.fates.insert(0, (Item::Event(event), fate));
        }
    }

    fn call_again(&mut self, call: Ix<super::PendingCall>, least: u8, rest: &mut Settling) {
        let max = self.application.limits.conflicts_max;
        let until = self.now.after(self.application.limits.call_wait_max);
        let c = &mut self.calls[call];
        let fate = if c.conflicts >= max || c.gone {
            Fate::Dead { failure: too_contended(max) }
        } else if self.phase != Phase::Running {
            // Nothing starts any more.
            Fate::Again
        } else {
            c.conflicts = (c.conflicts + 1).max(least.min(max));
            c.wait_until = until;
            self.call_waits(call);
            match self.contends(Item::Call(call)) {
                true => self.contend(Item::Call(call), rest.read.clone(), rest.since),
                false => self.enqueue_call(call, true),
            }
            return;
        };
        rest.fates.insert(0, (Item::Call(call), fate));
    }

    /// The settled record that a refused commit did not write is not counted.
    fn forget_verdict(&mut self, item: Item, fate: &Fate) {
        let Item::Event(event) = item else { return };
        let e = &self.events[event];
        if !e.remember || !matches!(fate, Fate::Done { .. } | Fate::Dead { .. }) {
            return;
        }
        let tenant = e.tenant;
        // It was counted in the bucket of the moment of the outcome, which may have passed since.
        let newest = self.remembered.iter_mut().rev().find_map(|(_, counts)| counts.get_mut(&tenant));
        if let Some(count) = newest {
            *count = count.saturating_sub(1);
        }
    }

    /// A key's settled record is durable: whoever looked before now must look again.
    pub(super) fn mark_settled(&mut self, id: EventId) {
        self.settled_mark += 1;
        self.recent.push_back((self.settled_mark, id));
        self.recent_of.insert(id, self.settled_mark);
        if self.recent.len() > RECENT_MAX
            && let Some((mark, id)) = self.recent.pop_front()
            && self.recent_of.get(&id) == Some(&mark)
        {
            self.recent_of.remove(&id);
        }
    }

    pub(super) fn insert_event(&mut self, event: Event) -> Ix<Event> {
        let (id, queue, tenant) = (event.id, event.queue, event.tenant);
        let ix = self.events.insert(event);
        self.event_of.insert(id, ix, |ix| self.events[ix].id);
        let entry = &mut self.tenants[tenant];
        entry.waiting += 1;
        entry.peak_waiting = entry.peak_waiting.max(entry.waiting);
        self.totals.peak_waiting = self.totals.peak_waiting.max(self.events.len() as u64);
        let entry = &mut self.queues[queue];
        entry.waiting += 1;
        entry.peak = entry.peak.max(entry.waiting);
        if entry.waiting == entry.delivery.waiting_max {
            self.queue_filled(queue, true);
        }
        ix
    }

    pub(super) fn remove_event(&mut self, event: Ix<Event>) {
        let Some(entry) = self.events.remove(event) else { return };
        self.ahead.take(event);
        self.event_of.remove(entry.id, event);
        self.tenants[entry.tenant].waiting -= 1;
        let queue = &mut self.queues[entry.queue];
        let was_full = queue.waiting >= queue.delivery.waiting_max;
        queue.waiting -= 1;
        if was_full && queue.waiting < queue.delivery.waiting_max {
            self.queue_filled(entry.queue, false);
        }
    }

    /// Functions that may emit to a full queue are not started; what runs may still emit.
    fn queue_filled(&mut self, queue: QueueIx, full: bool) {
        for function in self.queues[queue].producers.clone() {
            let others = self
                .queues
                .iter()
                .any(|q| q.producers.contains(&function) && q.waiting >= q.delivery.waiting_max);
            self.scheduler.block_downstream(function, full || others);
        }
    }

    /// Settled records that were there when the lane was opened.
    pub(super) fn restore_count(&mut self, bucket: Bucket, tenant: TenantId, count: u64) {
        let tenant = self.tenant_ix(tenant);
        self.count_remembered(bucket, tenant, count);
        let remembered = &mut self.tenants[tenant].remembered;
        *remembered = remembered.saturating_add(count);
    }
}

fn too_contended(max: u8) -> Failure {
    let message = format!("others changed what it had read, again and again; conflicts_max is {max}");
    Failure::new(FailureKind::Conflict, message)
}

/// The wait before the next run: doubled each time up to the longest, and of that between half and all,
/// by a number that is the event's own.
pub(super) fn backoff(delivery: &Delivery, id: EventId, attempt: u16, seed: u64) -> Span {
    let doublings = u32::from(attempt.saturating_sub(1)).min(63);
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let full = delivery.retry_base.0.saturating_mul(factor).min(delivery.retry_max.0);
    let half = full / 2;
    Span(half + id.spread(seed ^ u64::from(attempt)) % (full - half + 1))
}
