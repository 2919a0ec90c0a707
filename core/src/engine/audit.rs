//! The engine's books, added up again. For `invariant` only.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Engine, Item, Phase, State, Then, fair::audit::Runs};

impl Engine {
    pub(crate) fn over_cap(&self) -> Option<String> {
        self.scheduler.over_cap()
    }

    pub(crate) fn miscounted(&self) -> Option<String> {
        let runs: Runs =
            self.invocations.values().map(|r| (r.flow, r.function, r.tenant, r.charge)).collect();
        self.scheduler.miscounted(&runs)
    }

    pub(crate) fn idle_work(&self) -> Option<String> {
        if self.phase != Phase::Running {
            return None;
        }
        self.scheduler.idle_work()
    }

    /// Each event is in exactly the place that its state names.
    pub(crate) fn misplaced(&self) -> Option<String> {
        if let Some(found) = self.scheduler.misplaced() {
            return Some(found);
        }
        if self.phase == Phase::Opening {
            return None;
        }
        let mut places: BTreeMap<_, Vec<State>> = BTreeMap::new();
        for (_, flow) in self.scheduler.flows.iter() {
            for item in flow.ready.iter() {
                if let Item::Event(event) = item {
                    places.entry(*event).or_default().push(State::Ready);
                }
            }
        }
        for (place, running) in self.invocations.iter() {
            for item in &running.value.items {
                if let Item::Event(event) = item {
                    places.entry(*event).or_default().push(State::Running(place));
                }
            }
        }
        for (_, then) in self.commits.iter() {
            let (state, events) = match then {
                Then::Accept { events, .. } => (State::Accepting, events.clone()),
                Then::AcceptCall { event } | Then::Revive { event, .. } => (State::Accepting, vec![*event]),
                Then::Settle(settling) => {
                    for emitted in &settling.emitted {
                        places.entry(emitted.event).or_default().push(State::Accepting);
                    }
                    let events = settling.fates.iter().filter_map(|(item, _)| match item {
                        Item::Event(event) => Some(*event),
                        Item::Call(_) => None,
                    });
                    (State::Settling, events.collect())
                }
                Then::Start(_) | Then::Ahead(_) | Then::Discard { .. } | Then::Forget(_) => continue,
            };
            for event in events {
                places.entry(event).or_default().push(state);
            }
        }
        let contenders = self.turns.held().filter_map(|item| match item {
            Item::Event(event) => Some(event),
            Item::Call(_) => None,
        });
        for event in self.suspects.held().chain(contenders) {
            places.entry(event).or_default().push(State::Held);
        }
        for Reverse((at, event)) in &self.delays {
            if self.events.get(*event).is_some_and(|e| e.ready == *at) {
                places.entry(*event).or_default().push(State::Delayed);
            }
        }
        self.events.iter().find_map(|(ix, event)| {
            let found = places.remove(&ix).unwrap_or_default();
            (found != [event.state])
                .then(|| format!("{} is {:?} but found in {found:?}", event.id, event.state))
        })
    }

    pub(crate) fn unaccounted(&self) -> Option<String> {
        let c = self.counts();
        let kept = c.waiting + c.running + c.settling + c.done + c.dead + c.discarded;
        let opening = self.phase == Phase::Opening;
        (c.accepted != kept && !opening)
            .then(|| format!("{} accepted, {kept} accounted for: {c:?}", c.accepted))
    }

    pub(crate) fn mixed(&self) -> Option<String> {
        self.invocations.iter().find_map(|(_, entry)| {
            let (invocation, running) = (entry.key, &entry.value);
            let foreign = running.items.iter().any(|item| match item {
                Item::Event(event) => self.events[*event].tenant != running.tenant,
                Item::Call(call) => self.calls[*call].tenant != running.tenant,
            });
            foreign.then(|| format!("{invocation:?} has events of several tenants"))
        })
    }

    pub(crate) fn miscounted_waiting(&self) -> Option<String> {
        let mut tenants = BTreeMap::new();
        let mut queues = BTreeMap::new();
        for (_, event) in self.events.iter() {
            *tenants.entry(event.tenant.0).or_insert(0_u64) += 1;
            *queues.entry(event.queue.0).or_insert(0_u64) += 1;
        }
        let named = self.tenant_names.iter().zip(&self.tenants);
        let tenant = named.zip(0_u32..).find_map(|((name, entry), index)| {
            let real = tenants.get(&index).copied().unwrap_or(0);
            (entry.waiting != real).then(|| format!("tenant {name} counts {}, has {real}", entry.waiting))
        });
        tenant.or_else(|| {
            self.queues.iter().zip(0_u32..).find_map(|(entry, index)| {
                let real = queues.get(&index).copied().unwrap_or(0);
                let wrong = entry.waiting != real;
                wrong.then(|| format!("queue {} counts {}, has {real}", entry.name, entry.waiting))
            })
        })
    }
}
