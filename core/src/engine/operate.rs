//! What operators and the driver do: tenants, opening, draining, dead letters.

use super::{
    Answer, Effect, Effects, Engine, Event, Fate, Item, Phase, Remembering, Settling, State, Tenant,
    TenantEntry, Then, fair::TenantIx, slab::Ix,
};
use crate::{
    CallerId, Failure, FailureKind, Fingerprint, Name, Refusal, Seq, TenantId,
    model::TenantLimits,
    record::{Dead, Waiting, Write},
};

impl Engine {
    pub(super) fn set_tenant(&mut self, tenant: Tenant) {
        let Tenant { id, name, limits, enabled } = tenant;
        let Some(&ix) = self.tenant_of.get(&id) else {
            self.add_tenant(id, name, &limits, enabled);
            return;
        };
        self.scheduler.set_tenant(ix, limits.limits, limits.weight);
        let entry = &mut self.tenants[ix];
        entry.enabled = enabled;
        entry.waiting_max = limits.waiting_events_max;
        entry.waiting_calls_max = limits.waiting_calls_max;
        entry.remembered_max = limits.remembered_max;
    }

    fn add_tenant(&mut self, id: TenantId, name: Name, limits: &TenantLimits, enabled: bool) -> TenantIx {
        // A guarantee is a promise of the application file, whose sums were checked. One that comes
        // otherwise was not, so it promises nothing.
        let mut own = limits.limits;
        if !self.application.tenants.contains_key(&name) {
            own.concurrency.guarantee = 0;
        }
        let ix = self.scheduler.add_tenant(own, limits.weight);
        self.tenant_of.insert(id, ix);
        self.tenant_ids.push(id);
        self.tenant_names.push(name);
        self.tenants.push(TenantEntry {
            enabled,
            waiting: 0,
            waiting_max: limits.waiting_events_max,
            waiting_calls: 0,
            waiting_calls_max: limits.waiting_calls_max,
            remembered: 0,
            remembered_max: limits.remembered_max,
            peak_waiting: 0,
        });
        self.declare_guarantees(ix);
        ix
    }

    /// What is guaranteed at single functions is held back from the start, not from the first event on.
    fn declare_guarantees(&mut self, tenant: TenantIx) {
        let application = self.application.clone();
        for function in application.functions.values() {
            let limits = function.for_tenants.get(&self.tenant_names[tenant]);
            if limits.is_some_and(|l| l.concurrency.guarantee > 0)
                && let Some(&ix) = self.function_of.get(&function.name)
            {
                self.flow(ix, tenant);
            }
        }
    }

    /// The tenant of a record. One that is unknown owns its records all the same, and may do nothing.
    pub(super) fn tenant_ix(&mut self, id: TenantId) -> TenantIx {
        if let Some(&ix) = self.tenant_of.get(&id) {
            return ix;
        }
        let name = Name::new(&format!("tenant-{}", id.0)).unwrap_or_else(|_| self.application.name.clone());
        let limits = self.application.tenant_defaults.clone();
        self.add_tenant(id, name, &limits, false)
    }

    pub(super) fn restore(&mut self, seq: Seq, waiting: &Waiting) {
        let tenant = self.tenant_ix(waiting.tenant);
        self.next_seq = self.next_seq.max(Seq(seq.0 + 1));
        self.totals.accepted += 1;
        if let Some(fingerprint) = waiting.remember {
            self.tenants[tenant].remembered += 1;
            self.remembering.insert(waiting.id, Remembering { fingerprint, caller: None });
        }
        let queue = self.queue_of.get(&waiting.queue).copied();
        let event = self.insert_event(Event {
            id: waiting.id,
            seq,
            tenant,
            // Where the queue is gone the event waits in none; `opened` buries it.
            queue: queue.unwrap_or(super::QueueIx(0)),
            body_bytes: waiting.body_bytes,
            attempt: waiting.attempt,
            notes: waiting.notes,
            conflicts: waiting.conflicts,
            crashes: waiting.crashes,
            remember: waiting.remember.is_some(),
            state: State::Accepting,
            accepted: waiting.accepted,
            ready: waiting.not_before,
        });
        if queue.is_none() {
            self.orphans.insert(event, waiting.queue.clone());
        }
        if let Some(incarnation) = waiting.running {
            self.cut_off.insert(event, incarnation < self.settings.process);
        }
    }

    /// All records are back: what waited goes on waiting, what was cut off returns to its queue.
    pub(super) fn opened(&mut self, effects: &mut Effects) {
        self.phase = if self.drain_at_open { Phase::Draining } else { Phase::Running };
        let orphans = std::mem::take(&mut self.orphans);
        let mut cut_off = std::mem::take(&mut self.cut_off);
        let all: Vec<_> = self.events.iter().map(|(ix, _)| ix).collect();
        for event in all {
            if orphans.contains_key(&event) {
                cut_off.remove(&event);
            } else if !cut_off.contains_key(&event) {
                self.release(event);
            }
        }
        for (event, queue) in orphans {
            let message = format!("its queue {queue} is no longer declared; declare it and redrive");
            let failure = Failure::new(FailureKind::NoQueue, message);
            self.bury_orphan(event, &queue, failure, effects);
        }
        self.return_cut_off(cut_off, effects);
    }

    /// Its letter names the queue that it waited in, not the one that stands in for it here: it goes back to
    /// no other.
    fn bury_orphan(&mut self, event: Ix<Event>, queue: &Name, failure: Failure, effects: &mut Effects) {
        let (settling, mut writes) = self.alone(event, Fate::Dead { failure });
        for write in &mut writes {
            if let Write::Bury { dead, .. } = write {
                dead.event.queue = queue.clone();
            }
        }
        self.commit(writes, Then::Settle(Box::new(settling)), effects);
    }

    /// Commits this fate of an event that no invocation has.
    pub(super) fn settle_alone(&mut self, event: Ix<Event>, fate: Fate, effects: &mut Effects) {
        let (settling, writes) = self.alone(event, fate);
        self.commit(writes, Then::Settle(Box::new(settling)), effects);
    }

    fn alone(&mut self, event: Ix<Event>, fate: Fate) -> (Settling, Vec<Write>) {
        let e = &self.events[event];
        let (tenant, function) = (e.tenant, self.queues[e.queue].function);
        let fates = smallvec::smallvec![(Item::Event(event), fate)];
        let settling = Settling::of(function, tenant, fates);
        let mut writes = Vec::new();
        self.write_fates(&settling, &mut writes);
        (settling, writes)
    }

    pub(super) fn drain(&mut self, effects: &mut Effects) {
        if self.phase == Phase::Opening {
            self.drain_at_open = true;
            return;
        }
        self.phase = Phase::Draining;
        self.take_back_ahead(effects);
        let waiting: Vec<_> =
            self.calls.iter().filter(|(_, c)| c.waits).map(|(ix, c)| (ix, c.caller)).collect();
        for (call, caller) in waiting {
            self.drop_waiting_call(call);
            effects.push(Effect::Answer(caller, Answer::Refused(Refusal::Unavailable)));
        }
        // Keyed calls that wait are durable: they run after the next start, and their callers are told so.
        let keyed: Vec<_> =
            self.remembering.iter().filter(|(_, r)| r.caller.is_some()).map(|(id, _)| *id).collect();
        for id in keyed {
            self.keyed_waited(id, effects);
        }
    }

    pub(super) fn redrive(&mut self, caller: CallerId, seq: Seq, dead: Dead, effects: &mut Effects) {
        let tenant_id = dead.event.tenant;
        let refusal = match self.queue_of.get(&dead.event.queue) {
            None => Some(Refusal::NoTarget { target: dead.event.queue.to_string() }),
            Some(_) if self.phase != Phase::Running => Some(Refusal::Unavailable),
            Some(_) if self.event_of(dead.event.id).is_some() || self.discarding.contains(&seq) => {
                let message = "it is being put back or thrown away, or an event of its id waits".to_string();
                Some(Refusal::Invalid { message })
            }
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            return self.refuse(caller, tenant_id, refusal, effects);
        }
        let tenant = self.tenant_ix(tenant_id);
        let queue = self.queue_of.get(&dead.event.queue).copied().unwrap_or(super::QueueIx(0));
        if let Some(fingerprint) = dead.event.remember {
            self.tenants[tenant].remembered += 1;
            self.remembering.insert(dead.event.id, Remembering { fingerprint, caller: None });
        }
        let event = self.insert_event(Event {
            id: dead.event.id,
            seq,
            tenant,
            queue,
            body_bytes: dead.event.body_bytes,
            attempt: 0,
            notes: dead.event.notes,
            conflicts: 0,
            crashes: self.crashes_of_redriven(&dead),
            remember: dead.event.remember.is_some(),
            state: State::Accepting,
            accepted: dead.event.accepted,
            ready: self.now,
        });
        self.totals.accepting += 1;
        let waiting = self.waiting_record(event);
        self.commit(vec![Write::Revive { seq, waiting }], Then::Revive { caller, event }, effects);
    }

    pub(super) fn discard(&mut self, caller: CallerId, seq: Seq, dead: &Dead, effects: &mut Effects) {
        let id = dead.event.id;
        if self.event_of(id).is_some() {
            let message = "it is being put back, or an event of the same id waits".to_string();
            return self.refuse(caller, dead.event.tenant, Refusal::Invalid { message }, effects);
        }
        if !self.discarding.insert(seq) {
            let message = "it is being thrown away already".to_string();
            return self.refuse(caller, dead.event.tenant, Refusal::Invalid { message }, effects);
        }
        self.commit(vec![Write::Discard { seq }], Then::Discard { caller, id, seq }, effects);
    }

    /// The fingerprint of a result that is kept though no key asked for it.
    pub(super) const NO_KEY: Fingerprint = Fingerprint(0);
}
