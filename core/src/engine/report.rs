//! What can be asked of the engine. Nothing here changes it.

use std::{
    hash::{Hash, Hasher},
    ops::RangeInclusive,
};

use serde::{Deserialize, Serialize};

use super::{
    BUCKET, Engine, Event, Item, Level, LimitName, LimitStatus, Limited, State, fair::FunctionIx, gate::Gate,
    slab::Ix,
};
use crate::{EventId, InvocationId, TenantId, Time, record::Bucket};

/// How much there is of what. `accepted = waiting + running + settling + done + dead + discarded`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events accepted since the engine was opened, and those that it found in the store.
    pub accepted: u64,
    /// Events that wait for a slot, a moment or a retry.
    pub waiting: u64,
    /// Events in an invocation.
    pub running: u64,
    /// Events whose outcome is being committed.
    pub settling: u64,
    /// Events that are over, successfully or with their failure told to the caller.
    pub done: u64,
    /// Dead letters there are.
    pub dead: u64,
    /// Dead letters thrown away.
    pub discarded: u64,
    /// Synchronous calls without a key.
    pub calls: u64,
    /// Calls waiting for a slot.
    pub waiting_calls: u64,
    /// Invocations running.
    pub invocations: u64,
    /// Runs that failed and were tried again.
    pub retried: u64,
    /// Requests that found their key known.
    pub duplicates: u64,
    /// Outcomes that met a stale read.
    pub conflicts: u64,
    /// Requests refused.
    pub refused: u64,
    /// Emitted events stopped by the hop budget.
    pub stopped: u64,
}

/// Where an event is that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventStatus {
    /// Whose it is.
    pub tenant: TenantId,
    /// The invocation it is in, if it runs.
    pub invocation: Option<InvocationId>,
    /// Runs begun.
    pub attempt: u16,
    /// When it may run, or since when it could.
    pub ready: Time,
}

impl Engine {
    /// How much there is of what.
    pub fn counts(&self) -> Counts {
        let in_runs = self.invocations.values().flat_map(|r| &r.items);
        let running = in_runs.filter(|item| matches!(item, Item::Event(_))).count() as u64;
        let settling = self.commits.iter().map(|(_, then)| match then {
            super::Then::Settle(s) => {
                s.fates.iter().filter(|(item, _)| matches!(item, Item::Event(_))).count() as u64
            }
            _ => 0,
        });
        let settling = settling.sum::<u64>();
        let live = self.events.len() as u64;
        let totals = &self.totals;
        Counts {
            accepted: totals.accepted,
            waiting: live.saturating_sub(running + settling + totals.accepting),
            running,
            settling,
            done: totals.done,
            dead: totals.dead,
            discarded: totals.discarded,
            calls: totals.calls,
            waiting_calls: u64::from(totals.waiting_calls),
            invocations: self.invocations.len() as u64,
            retried: totals.retried,
            duplicates: totals.duplicates,
            conflicts: totals.conflicts,
            refused: totals.refused,
            stopped: totals.stopped,
        }
    }

    /// Where an event is; `None` where it is over or unknown, or its acceptance is not durable yet.
    pub fn status(&self, id: EventId) -> Option<EventStatus> {
        let event = &self.events[self.event_of(id)?];
        let invocation = match event.state {
            State::Accepting => return None,
            State::Running(invocation) => self.invocations.key(invocation),
            State::Delayed | State::Ready | State::Held | State::Settling => None,
        };
        Some(EventStatus {
            tenant: self.tenant_ids[event.tenant],
            invocation,
            attempt: event.attempt,
            ready: event.ready,
        })
    }

    /// The event that is not over and has this id.
    pub(super) fn event_of(&self, id: EventId) -> Option<Ix<Event>> {
        self.event_of.get(id, |ix| self.events[ix].id)
    }

    /// How many keys were settled. Read it before looking one up: [`super::Keyed::as_of`].
    pub fn settled_mark(&self) -> u64 {
        self.settled_mark
    }

    /// The buckets in which a settled record that is still remembered at `now` can be, the newest last.
    pub fn buckets(&self, now: Time) -> RangeInclusive<u64> {
        let retention = self.application.limits.result_retention;
        let oldest = Bucket(now.0.saturating_sub(retention.0) / BUCKET.0);
        oldest.0..=now.0 / BUCKET.0
    }

    /// Whether anything runs, waits for a commit, or is called for: a drain is over when nothing is.
    pub fn is_idle(&self) -> bool {
        self.invocations.is_empty() && self.commits.is_empty()
    }

    /// Every limit with what stands against it: the platform's, then functions and queues by name, then
    /// tenants in the order of their creation, `tenants_max` at most.
    pub fn limits(&self, tenants_max: usize) -> Vec<LimitStatus> {
        let mut all = Vec::new();
        gate_status(&Level::Platform, &self.scheduler.platform, &mut all);
        let limits = &self.application.limits;
        let totals = &self.totals;
        let mut add = |level, of, max, now, peak| {
            all.push(LimitStatus { name: LimitName { level, of }, max, guarantee: 0, now, peak });
        };
        let live = self.events.len() as u64;
        add(Level::Platform, Limited::WaitingEvents, limits.waiting_events_max, live, totals.peak_waiting);
        let (now, peak) = (u64::from(totals.waiting_calls), u64::from(totals.peak_waiting_calls));
        add(Level::Platform, Limited::WaitingCalls, u64::from(limits.waiting_calls_max), now, peak);
        let long = &self.scheduler;
        let (now, peak) = (u64::from(long.long_running), u64::from(long.long_peak));
        add(Level::LongFunctions, Limited::Concurrency, u64::from(long.long_cap), now, peak);
        for (index, name) in self.functions.iter().enumerate() {
            let gate = &self.scheduler.functions[FunctionIx(index as u32)].gate;
            gate_status(&Level::Function(name.clone()), gate, &mut all);
        }
        for queue in &self.queues {
            let name = LimitName { level: Level::Queue(queue.name.clone()), of: Limited::WaitingEvents };
            let (max, now, peak) = (queue.delivery.waiting_max, queue.waiting, queue.peak);
            all.push(LimitStatus { name, max, guarantee: 0, now, peak });
        }
        let tenants = self.tenant_names.iter().zip(&self.tenants).zip(&self.scheduler.tenants);
        for ((name, entry), share) in tenants.take(tenants_max) {
            let level = Level::Tenant(name.clone());
            gate_status(&level, &share.gate, &mut all);
            let name = LimitName { level: level.clone(), of: Limited::WaitingEvents };
            let (max, now, peak) = (entry.waiting_max, entry.waiting, entry.peak_waiting);
            all.push(LimitStatus { name, max, guarantee: 0, now, peak });
            let name = LimitName { level, of: Limited::Remembered };
            let (max, now) = (entry.remembered_max, entry.remembered);
            all.push(LimitStatus { name, max, guarantee: 0, now, peak: now });
        }
        all
    }

    /// A hash over the whole state. Two engines with the same inputs have the same, in one build.
    pub fn digest(&self) -> u64 {
        let mut hasher = super::lookup::Mixer::default();
        (self.now, self.phase, self.next_seq, self.next_invocation).hash(&mut hasher);
        (&self.tenants, &self.tenant_ids, &self.tenant_names).hash(&mut hasher);
        (&self.scheduler, &self.queues, &self.events, &self.calls).hash(&mut hasher);
        (&self.remembering, &self.invocations, &self.commits, &self.timers).hash(&mut hasher);
        self.delays.iter().for_each(|delay| delay.hash(&mut hasher));
        (&self.remembered, self.settled_mark, &self.recent, &self.totals).hash(&mut hasher);
        (&self.cut_off, &self.suspects, &self.turns, &self.ahead, self.drain_at_open).hash(&mut hasher);
        hasher.finish()
    }
}

fn gate_status(level: &Level, gate: &Gate, all: &mut Vec<LimitStatus>) {
    if gate.cap < u32::MAX {
        all.push(LimitStatus {
            name: LimitName { level: level.clone(), of: Limited::Concurrency },
            max: u64::from(gate.cap),
            guarantee: u64::from(gate.guarantee),
            now: u64::from(gate.running),
            peak: u64::from(gate.peak),
        });
    }
    if let Some(rate) = gate.rate() {
        all.push(LimitStatus {
            name: LimitName { level: level.clone(), of: Limited::Rate },
            max: u64::from(rate.per_second),
            guarantee: 0,
            now: 0,
            peak: 0,
        });
    }
}
