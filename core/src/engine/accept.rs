//! What arrives: events and calls, with or without idempotency keys.

use super::{
    Answer, BUCKET, Call, Effect, Effects, Engine, Event, Item, Keyed, KeyedCall, Level, LimitName, Limited,
    Note, PendingCall, Phase, QueueIx, Remembering, Send, State, Then, Timer,
    fair::{FunctionIx, TenantIx},
    gate,
    slab::Ix,
    turns::OVERTAKEN_MAX,
};
use crate::{
    Attributes, Body, CallerId, Envelope, EventId, Lineage, Name, Refusal, Span, TenantId, Time,
    model::Delivered,
    record::{Bucket, Settled, Write},
};

/// What is known of an idempotency key.
enum Known {
    /// Nothing: go on.
    New,
    /// This is the answer, whatever is asked.
    Answer(Answer),
    /// It is being handled.
    InFlight,
    /// It is over.
    Settled(Box<Settled>),
}

/// What is accepted, and for whom.
pub(super) struct Arrival<'a> {
    pub(super) tenant: TenantIx,
    pub(super) target: &'a str,
    pub(super) attributes: Attributes,
    pub(super) body: Body,
    pub(super) delay: Span,
}

impl Engine {
    pub(super) fn send(&mut self, send: Send, effects: &mut Effects) {
        let (caller, tenant) = (send.caller, send.tenant);
        if let Err(refusal) = self.try_send(send, effects) {
            self.refuse(caller, tenant, refusal, effects);
        }
    }

    pub(super) fn call(&mut self, call: Call, effects: &mut Effects) {
        let (caller, tenant) = (call.caller, call.tenant);
        if let Err(refusal) = self.try_call(call, effects) {
            self.refuse(caller, tenant, refusal, effects);
        }
    }

    pub(super) fn refuse(
        &mut self,
        caller: CallerId,
        tenant: TenantId,
        refusal: Refusal,
        effects: &mut Effects,
    ) {
        self.totals.refused += 1;
        effects.push(Effect::Note(Note::Refused { tenant, refusal: refusal.clone() }));
        effects.push(Effect::Answer(caller, Answer::Refused(refusal)));
    }

    fn try_send(&mut self, send: Send, effects: &mut Effects) -> Result<(), Refusal> {
        let tenant = self.admitted(send.tenant)?;
        let Some(routes) = self.application.route_event(&send.target, &send.attributes) else {
            return Err(Refusal::NoTarget { target: send.target });
        };
        let arrival = Arrival {
            tenant,
            target: &send.target,
            attributes: send.attributes,
            body: send.body,
            delay: send.delay,
        };
        self.check_arrival(&arrival)?;
        if let Some(keyed) = &send.key {
            let duplicate = Answer::Accepted { id: keyed.id, duplicate: true };
            let answer = match self.known(keyed) {
                Known::New => None,
                Known::Answer(answer) => Some(answer),
                // It may not be durable yet, and an answer says that it is.
                Known::InFlight if self.accepting(keyed.id) => return Err(Refusal::KeyInFlight),
                Known::InFlight | Known::Settled(_) => Some(duplicate),
            };
            if let Some(answer) = answer {
                self.answer_known(send.caller, send.tenant, keyed.id, answer, effects);
                return Ok(());
            }
        }
        self.room_for(tenant, &routes)?;
        let remember = send.key.is_some() || send.want_result;
        if remember {
            self.room_to_remember(tenant)?;
        }
        let seq = self.take_seq();
        let id = match &send.key {
            Some(keyed) => keyed.id,
            None => self.edge_ids.id(seq),
        };
        let fingerprint = match &send.key {
            Some(keyed) => Some(keyed.fingerprint),
            None => send.want_result.then_some(Engine::NO_KEY),
        };
        let mut writes = Vec::with_capacity(routes.len());
        let mut events = Vec::with_capacity(routes.len());
        let single = routes.len() == 1;
        if let Some(fingerprint) = fingerprint {
            self.tenants[tenant].remembered += 1;
            self.remembering.insert(id, Remembering { fingerprint, caller: None });
            if !single {
                // There is no one outcome to wait for: what is remembered is that it was accepted.
                let verdict = Ok(Body::default());
                writes.push(self.remember(tenant, id, fingerprint, verdict));
            }
        }
        for route in &routes {
            let (event, write) = self.accept_copy(&arrival, id, route, remember && single);
            events.push(event);
            writes.push(write);
        }
        if events.is_empty() {
            let target = Name::stored(&send.target).unwrap_or_else(|_| self.application.name.clone());
            effects.push(Effect::Note(Note::Unrouted { id, tenant: send.tenant, target }));
        }
        self.commit(writes, Then::Accept { caller: send.caller, id, events }, effects);
        Ok(())
    }

    /// One copy of an arriving event, for one queue.
    fn accept_copy(
        &mut self,
        arrival: &Arrival<'_>,
        id: EventId,
        route: &Delivered,
        remember: bool,
    ) -> (Ix<Event>, Write) {
        let own = match &route.subscriber {
            Some(subscriber) => id.copy_for(subscriber),
            None => id,
        };
        let target = Name::stored(arrival.target).unwrap_or_else(|_| route.queue.clone());
        let envelope = Envelope {
            id: own,
            tenant: self.tenant_ids[arrival.tenant],
            target,
            attributes: arrival.attributes.clone(),
            time: self.now,
            lineage: Lineage::edge(id),
        };
        self.new_event(&route.queue, envelope, arrival.body.clone(), arrival.delay, arrival.tenant, remember)
    }

    /// An index entry for an event whose acceptance is about to be committed.
    pub(super) fn new_event(
        &mut self,
        queue: &Name,
        envelope: Envelope,
        body: Body,
        delay: Span,
        tenant: TenantIx,
        remember: bool,
    ) -> (Ix<Event>, Write) {
        let seq = self.take_seq();
        // A checked application's routes lead to declared queues.
        let queue = self.queue_of.get(queue).copied().unwrap_or(QueueIx(0));
        let delay = Span(delay.0.saturating_add(self.queues[queue].delivery.delay.0));
        let event = self.insert_event(Event {
            id: envelope.id,
            seq,
            tenant,
            queue,
            body_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
            attempt: 0,
            notes: 0,
            conflicts: 0,
            crashes: 0,
            remember,
            state: State::Accepting,
            accepted: self.now,
            ready: self.now.after(delay),
        });
        self.totals.accepting += 1;
        let waiting = self.arriving_record(event);
        (event, Write::Accept { seq, waiting, envelope: Box::new(envelope), body })
    }

    fn try_call(&mut self, call: Call, effects: &mut Effects) -> Result<(), Refusal> {
        let tenant = self.admitted(call.tenant)?;
        let Some(&function) = self.function_of.get(&call.function) else {
            return Err(Refusal::NoTarget { target: call.function.to_string() });
        };
        match call.key {
            Some(key) => self.keyed_call(call.caller, call.tenant, tenant, &call.function, *key, effects),
            None => self.plain_call(call.caller, tenant, function),
        }
    }

    fn plain_call(
        &mut self,
        caller: CallerId,
        tenant: TenantIx,
        function: FunctionIx,
    ) -> Result<(), Refusal> {
        let entry = &self.tenants[tenant];
        let max = entry.waiting_calls_max;
        if entry.waiting_calls >= max {
            let level = Level::Tenant(self.tenant_names[tenant].clone());
            return Err(waiting(level, Limited::WaitingCalls, u64::from(max)));
        }
        let max = self.application.limits.waiting_calls_max;
        if self.totals.waiting_calls >= max {
            return Err(waiting(Level::Platform, Limited::WaitingCalls, u64::from(max)));
        }
        let seq = self.take_seq();
        let wait_until = self.now.after(self.application.limits.call_wait_max);
        let call = self.calls.insert(PendingCall {
            caller,
            id: self.edge_ids.id(seq),
            tenant,
            function,
            accepted: self.now,
            conflicts: 0,
            wait_until,
            gone: false,
            waits: false,
            timed: false,
        });
        self.call_of.insert(caller, call);
        self.totals.calls += 1;
        self.call_waits(call);
        self.enqueue_call(call, false);
        Ok(())
    }

    /// A call waits, in its flow or for a turn.
    pub(super) fn call_waits(&mut self, call: Ix<PendingCall>) {
        let entry = &mut self.calls[call];
        entry.waits = true;
        self.tenants[entry.tenant].waiting_calls += 1;
        self.totals.waiting_calls += 1;
        self.totals.peak_waiting_calls = self.totals.peak_waiting_calls.max(self.totals.waiting_calls);
        self.fresh.push(call);
    }

    pub(super) fn enqueue_call(&mut self, call: Ix<PendingCall>, first: bool) {
        let (tenant, function) = (self.calls[call].tenant, self.calls[call].function);
        let flow = self.flow(function, tenant);
        self.enqueue(flow, Item::Call(call), first);
    }

    /// A call leaves the line, to run or to be refused.
    pub(super) fn call_leaves(&mut self, call: Ix<PendingCall>) {
        let entry = &mut self.calls[call];
        entry.waits = false;
        let (tenant, until) = (entry.tenant, entry.wait_until);
        if std::mem::take(&mut entry.timed) {
            self.timers.remove(until, Timer::CallWait(call));
        }
        self.tenants[tenant].waiting_calls -= 1;
        self.totals.waiting_calls -= 1;
    }

    fn keyed_call(
        &mut self,
        caller: CallerId,
        tenant_id: TenantId,
        tenant: TenantIx,
        function: &Name,
        call: KeyedCall,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let KeyedCall { keyed, attributes, body } = call;
        let inbox = Name::inbox_of(function);
        let arrival = Arrival { tenant, target: &inbox, attributes, body, delay: Span::ZERO };
        self.check_arrival(&arrival)?;
        let id = keyed.id;
        let known = match self.known(&keyed) {
            Known::New => None,
            Known::Answer(answer) => Some(answer),
            Known::InFlight => return Err(Refusal::KeyInFlight),
            Known::Settled(settled) => Some(match settled.verdict {
                Ok(body) => Answer::Done { id, body, replayed: true },
                Err(failure) => Answer::Failed { id, failure, replayed: true },
            }),
        };
        if let Some(answer) = known {
            self.answer_known(caller, tenant_id, id, answer, effects);
            return Ok(());
        }
        let route = Delivered { queue: inbox.clone(), subscriber: None };
        self.room_for(tenant, std::slice::from_ref(&route))?;
        self.room_to_remember(tenant)?;
        self.tenants[tenant].remembered += 1;
        let remembering = Remembering { fingerprint: keyed.fingerprint, caller: Some(caller) };
        self.remembering.insert(id, remembering);
        let (event, write) = self.accept_copy(&arrival, id, &route, true);
        // A caller does not wait for the function's retry delays or its inbox's delay.
        self.events[event].ready = self.now;
        let until = self.now.after(self.application.limits.call_wait_max);
        self.timers.insert(until, Timer::KeyedWait(id));
        self.commit(vec![write], Then::AcceptCall { event }, effects);
        Ok(())
    }

    /// A keyed call has waited its time for a slot. It is durable, so it will run: the caller is told
    /// that, and can fetch the result.
    pub(super) fn keyed_waited(&mut self, id: EventId, effects: &mut Effects) {
        let Some(event) = self.event_of(id) else { return };
        if !matches!(self.events[event].state, State::Ready | State::Delayed | State::Held) {
            return;
        }
        if let Some(caller) = self.remembering.get_mut(&id).and_then(|r| r.caller.take()) {
            effects.push(Effect::Answer(caller, Answer::Accepted { id, duplicate: false }));
        }
    }

    /// The step is over: calls that came in it and did not start wait from now on. Those that wait for nothing are
    /// refused.
    pub(super) fn leave_waiting(&mut self, effects: &mut Effects) {
        while let Some(call) = self.fresh.pop() {
            let Some(entry) = self.calls.get_mut(call).filter(|entry| entry.waits && !entry.timed) else {
                continue;
            };
            if entry.wait_until > self.now {
                entry.timed = true;
                self.timers.insert(entry.wait_until, Timer::CallWait(call));
            } else {
                self.call_waited(call, effects);
            }
        }
    }

    /// A call has waited its time for a slot or a token.
    pub(super) fn call_waited(&mut self, call: Ix<PendingCall>, effects: &mut Effects) {
        let Some(entry) = self.calls.get(call) else { return };
        if !entry.waits || entry.wait_until > self.now {
            return;
        }
        let (caller, tenant, function) = (entry.caller, entry.tenant, entry.function);
        if entry.conflicts >= OVERTAKEN_MAX && self.turns.holds(tenant, (function, None), Item::Call(call)) {
            return self.waited_for_turn(call, effects);
        }
        let flow = self.flow(function, tenant);
        let blocker = self.scheduler.blocker(flow);
        let retry_after = gate::retry_after(self.now, self.scheduler.ready_at(flow));
        let limit = self.limit_name(flow, blocker);
        self.drop_waiting_call(call);
        let tenant = self.tenant_ids[tenant];
        self.refuse(caller, tenant, Refusal::Throttled { limit, retry_after }, effects);
    }

    /// A call has waited its time for the turn of its tenant.
    fn waited_for_turn(&mut self, call: Ix<PendingCall>, effects: &mut Effects) {
        let entry = &self.calls[call];
        let (caller, id, tenant) = (entry.caller, entry.id, self.tenant_ids[entry.tenant]);
        let waited = self.application.limits.call_wait_max.as_millis();
        let message =
            format!("others change what it reads; it has waited for its turn for {waited} ms, call_wait_max");
        let failure = crate::Failure::new(crate::FailureKind::Conflict, message);
        self.drop_waiting_call(call);
        effects.push(Effect::Note(Note::Dead { id, tenant, failure: failure.clone() }));
        effects.push(Effect::Answer(caller, Answer::Failed { id, failure, replayed: false }));
    }

    pub(super) fn abandon(&mut self, caller: CallerId) {
        let Some(&call) = self.call_of.get(&caller) else { return };
        if self.calls[call].waits {
            self.drop_waiting_call(call);
        } else {
            self.calls[call].gone = true;
        }
    }

    /// Takes a waiting call out of its flow and forgets it.
    pub(super) fn drop_waiting_call(&mut self, call: Ix<PendingCall>) {
        self.call_leaves(call);
        let Some(entry) = self.calls.remove(call) else { return };
        self.call_of.remove(&entry.caller);
        let flow = self.flow(entry.function, entry.tenant);
        self.scheduler.flows[flow].ready.retain(|item| *item != Item::Call(call));
        self.flow_changed(flow);
        if entry.conflicts >= OVERTAKEN_MAX {
            self.contender_gone(entry.tenant, entry.function, Item::Call(call));
        }
    }

    /// The acceptance of an event is durable: its copies may run, and its sender is told.
    pub(super) fn accepted(
        &mut self,
        caller: CallerId,
        id: EventId,
        events: Vec<Ix<Event>>,
        effects: &mut Effects,
    ) {
        if events.len() != 1 && self.remembering.remove(&id).is_some() {
            self.mark_settled(id);
        }
        for event in events {
            self.enter(event, id, effects);
        }
        effects.push(Effect::Answer(caller, Answer::Accepted { id, duplicate: false }));
    }

    /// The acceptance of a keyed call is durable.
    pub(super) fn entered(&mut self, event: Ix<Event>, effects: &mut Effects) {
        let id = self.events[event].id;
        self.enter(event, id, effects);
    }

    fn enter(&mut self, event: Ix<Event>, root: EventId, effects: &mut Effects) {
        self.totals.accepting -= 1;
        self.totals.accepted += 1;
        let e = &self.events[event];
        effects.push(Effect::Note(Note::Accepted {
            id: e.id,
            tenant: self.tenant_ids[e.tenant],
            queue: self.queues[e.queue].name.clone(),
            cause: None,
            root,
        }));
        self.arrived(event, effects);
    }

    fn admitted(&self, tenant: TenantId) -> Result<TenantIx, Refusal> {
        if self.phase != Phase::Running {
            return Err(Refusal::Unavailable);
        }
        let tenant = self.tenant_of.get(&tenant).copied().ok_or(Refusal::NoTenant)?;
        if self.tenants[tenant].enabled { Ok(tenant) } else { Err(Refusal::NoTenant) }
    }

    fn check_arrival(&self, arrival: &Arrival<'_>) -> Result<(), Refusal> {
        let limits = &self.application.limits;
        // A stored HTTP request is a body with its headers; the gateway has checked the body.
        let inbox = arrival.target.starts_with('@');
        let max = if inbox { limits.request_bytes_max + (64 << 10) } else { limits.event_bytes_max };
        let bytes = arrival.body.len() as u64;
        if bytes > max {
            return Err(Refusal::TooLarge { max, bytes });
        }
        if let Some((what, bytes)) = arrival.attributes.too_long() {
            let max = crate::ATTRIBUTE_BYTES_MAX;
            let message = format!("the attribute {what} has {bytes} bytes, {max} at most");
            return Err(Refusal::Invalid { message });
        }
        let max = limits.invocation.delay_max;
        if arrival.delay > max {
            let message =
                format!("a delay of {} ms; delay_max is {} ms", arrival.delay.as_millis(), max.as_millis());
            return Err(Refusal::Invalid { message });
        }
        Ok(())
    }

    fn room_for(&self, tenant: TenantIx, routes: &[Delivered]) -> Result<(), Refusal> {
        let more = routes.len() as u64;
        let max = self.application.limits.waiting_events_max;
        if self.events.len() as u64 + more > max {
            return Err(waiting(Level::Platform, Limited::WaitingEvents, max));
        }
        let entry = &self.tenants[tenant];
        if entry.waiting + more > entry.waiting_max {
            let level = Level::Tenant(self.tenant_names[tenant].clone());
            return Err(waiting(level, Limited::WaitingEvents, entry.waiting_max));
        }
        for route in routes {
            let queue = self.queue_of.get(&route.queue).map(|ix| &self.queues[*ix]);
            if let Some(queue) = queue.filter(|q| q.waiting >= q.delivery.waiting_max) {
                let level = Level::Queue(queue.name.clone());
                return Err(waiting(level, Limited::WaitingEvents, queue.delivery.waiting_max));
            }
        }
        Ok(())
    }

    fn room_to_remember(&self, tenant: TenantIx) -> Result<(), Refusal> {
        let entry = &self.tenants[tenant];
        if entry.remembered >= entry.remembered_max {
            return Err(Refusal::Remembered { max: entry.remembered_max });
        }
        Ok(())
    }

    fn known(&self, keyed: &Keyed) -> Known {
        // Newer settled records than the look-up could see: look again.
        let forgotten = self.recent.front().map_or(0, |(mark, _)| mark - 1);
        let unseen = self.recent_of.get(&keyed.id).is_some_and(|mark| *mark > keyed.as_of);
        if keyed.as_of < forgotten || unseen {
            return Known::Answer(Answer::LookAgain);
        }
        if let Some(remembering) = self.remembering.get(&keyed.id) {
            if remembering.fingerprint != keyed.fingerprint {
                return Known::Answer(Answer::Refused(Refusal::KeyReused));
            }
            return Known::InFlight;
        }
        let retention = self.application.limits.result_retention;
        match &keyed.found {
            Some(settled) if settled.at.after(retention) > self.now => {
                if settled.fingerprint == keyed.fingerprint {
                    Known::Settled(settled.clone())
                } else {
                    Known::Answer(Answer::Refused(Refusal::KeyReused))
                }
            }
            _ => Known::New,
        }
    }

    fn accepting(&self, id: EventId) -> bool {
        let event = self.event_of(id).map(|event| &self.events[event]);
        // No event of that id: several copies, and their acceptance is what is being committed.
        event.is_none_or(|e| e.state == State::Accepting)
    }

    fn answer_known(
        &mut self,
        caller: CallerId,
        tenant: TenantId,
        id: EventId,
        answer: Answer,
        effects: &mut Effects,
    ) {
        match &answer {
            Answer::LookAgain => {}
            Answer::Refused(refusal) => {
                self.totals.refused += 1;
                effects.push(Effect::Note(Note::Refused { tenant, refusal: refusal.clone() }));
            }
            _ => {
                self.totals.duplicates += 1;
                effects.push(Effect::Note(Note::Duplicate { id, tenant }));
            }
        }
        effects.push(Effect::Answer(caller, answer));
    }

    /// A settled record to write, counted. The first of its bucket sets the bucket's expiry.
    pub(super) fn remember(
        &mut self,
        tenant: TenantIx,
        id: EventId,
        fingerprint: crate::Fingerprint,
        verdict: Result<Body, crate::Failure>,
    ) -> Write {
        let bucket = Bucket(self.now.0 / BUCKET.0);
        let count = self.count_remembered(bucket, tenant, 1);
        let settled = Settled { tenant: self.tenant_ids[tenant], fingerprint, at: self.now, verdict };
        Write::Remember { bucket, id, settled, count }
    }

    /// Counts a settled record in its bucket; the bucket's expiry is set with its first.
    pub(super) fn count_remembered(&mut self, bucket: Bucket, tenant: TenantIx, more: u64) -> u64 {
        let retention = self.application.limits.result_retention;
        let expires = Time((bucket.0 + 1).saturating_mul(BUCKET.0)).after(retention);
        self.timers.insert(expires, Timer::Forget(bucket));
        let count = self.remembered.entry(bucket).or_default().entry(tenant).or_default();
        // A damaged record can say any number.
        *count = count.saturating_add(more);
        *count
    }
}

fn waiting(level: Level, of: Limited, max: u64) -> Refusal {
    Refusal::Waiting { limit: LimitName { level, of }, max }
}
