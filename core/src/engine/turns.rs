//! Turns, for those that others overtake.
//!
//! An outcome commits only if what its run had read is still so, and runs again otherwise. Where many write one key,
//! a run that takes a little longer than theirs is overtaken each time. So who was overtaken [`OVERTAKEN_MAX`] times
//! in a row **contends**: it runs with the turn of its tenant, of which there is one. Such a run starts when what its
//! tenant has under way is durable; and from then on an outcome of that tenant which would write what the contender
//! had read the last time is not committed: it was overtaken, and contends itself. Who contends while the turn is
//! taken is held outside of its flow. So what many write is written in turn, with one run in vain for each at most,
//! and all else commits as ever.
//!
//! A turn is over with its run's commit, and after [`TURN_MAX`]: then others may overtake it, rather than wait for a
//! run that takes long.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{
    Engine, Item, PendingCall, QueueIx, State, Then, Timer,
    fair::{Flow, TenantIx},
    lookup::Mixer,
    slab::Ix,
};
use crate::{BatchNo, EventId, InvocationId, KvKey, KvWrite, Read, Span, Time};

/// Who was overtaken so often in a row contends.
pub(super) const OVERTAKEN_MAX: u8 = 3;

/// How long a turn lasts at most.
const TURN_MAX: Span = Span::from_secs(10);

/// Of one run, keys that are kept. What more it reads is not kept for it.
const KEYS_MAX: usize = 256;

/// Contenders of which it is kept what they had read, the last ones.
const KEPT_MAX: usize = 1_024;

/// Keys, each by its hash: where two have the same, one more outcome is overtaken.
pub(super) type Keys = Arc<[u64]>;

/// See the module's text.
#[derive(Debug, Default, Hash)]
pub(super) struct Turns {
    taken: BTreeMap<TenantIx, Turn>,
    /// Contenders whose turn it is not, in the order in which they came.
    held: BTreeMap<TenantIx, VecDeque<Item>>,
    /// What contenders had read the last time.
    kept: VecDeque<(EventId, Keys)>,
}

#[derive(Debug, Hash)]
struct Turn {
    run: InvocationId,
    until: Time,
    keys: BTreeSet<u64>,
}

/// What of a run is kept, should it be overtaken.
pub(super) fn keys(reads: &[Read]) -> Keys {
    reads.iter().take(KEYS_MAX).map(|read| hash(&read.key)).collect()
}

fn hash(key: &KvKey) -> u64 {
    let mut mixer = Mixer::default();
    key.hash(&mut mixer);
    mixer.finish()
}

impl Turns {
    /// This run, if it has its tenant's turn.
    pub(super) fn of(&self, tenant: TenantIx, run: InvocationId) -> Option<InvocationId> {
        self.taken.get(&tenant).map(|turn| turn.run).filter(|has| *has == run)
    }

    /// Whether another run has the turn, and has read what this one would write.
    pub(super) fn forbids(&self, tenant: TenantIx, run: InvocationId, writes: &[KvWrite]) -> bool {
        let turn = self.taken.get(&tenant).filter(|turn| turn.run != run);
        turn.is_some_and(|turn| writes.iter().any(|write| turn.keys.contains(&hash(&write.key))))
    }

    /// It contends from now on: what it had read is kept until it has the turn.
    pub(super) fn keep(&mut self, id: EventId, keys: Keys) {
        self.kept.retain(|(of, _)| *of != id);
        self.kept.push_back((id, keys));
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    fn kept_of(&mut self, id: EventId) -> Option<Keys> {
        let place = self.kept.iter().position(|(of, _)| *of == id)?;
        self.kept.remove(place).map(|(_, keys)| keys)
    }

    pub(super) fn holds(&self, tenant: TenantIx, item: Item) -> bool {
        self.held.get(&tenant).is_some_and(|held| held.contains(&item))
    }

    pub(super) fn held(&self) -> impl Iterator<Item = Item> {
        self.held.values().flatten().copied()
    }

    /// It is over, or leaves.
    pub(super) fn drop_held(&mut self, tenant: TenantIx, item: Item) {
        let Some(held) = self.held.get_mut(&tenant) else { return };
        held.retain(|other| *other != item);
        if held.is_empty() {
            self.held.remove(&tenant);
        }
    }
}

impl Engine {
    /// How often it was overtaken in a row.
    pub(super) fn overtaken(&self, item: Item) -> u8 {
        match item {
            Item::Call(call) => self.calls[call].conflicts,
            Item::Event(event) => self.events[event].conflicts,
        }
    }

    /// A suspect does not: it waits for others of its own kind.
    pub(super) fn contends(&self, item: Item) -> bool {
        let suspect = |event| self.events[event].suspect(self.application.limits.crashes_max);
        self.overtaken(item) >= OVERTAKEN_MAX && !matches!(item, Item::Event(event) if suspect(event))
    }

    /// Takes a contender out of its flow where the turn is taken, so that what is behind it may go first.
    pub(super) fn hold_contender(&mut self, flow: Ix<Flow>) -> bool {
        let Flow { tenant, ready, .. } = &self.scheduler.flows[flow];
        let (tenant, head) = (*tenant, ready.front().copied());
        if !self.turns.taken.contains_key(&tenant) {
            return false;
        }
        let Some(head) = head.filter(|head| self.contends(*head)) else { return false };
        self.scheduler.flows[flow].ready.pop_front();
        if let Item::Event(event) = head {
            self.events[event].state = State::Held;
        }
        self.turns.held.entry(tenant).or_default().push_back(head);
        self.flow_changed(flow);
        true
    }

    /// A contender's run begins: it has the turn. The commit after which it may start.
    pub(super) fn take_turn(
        &mut self,
        tenant: TenantIx,
        run: InvocationId,
        items: &[Item],
    ) -> Option<BatchNo> {
        let mut keys = BTreeSet::new();
        for item in items {
            let kept = self.turns.kept_of(self.id_of(*item));
            keys.extend(kept.iter().flat_map(|keys| keys.iter()));
        }
        let until = self.now.after(TURN_MAX);
        self.timers.insert(until, Timer::Turn(tenant));
        self.turns.taken.insert(tenant, Turn { run, until, keys });
        let of_tenant = |then: &Then| matches!(then, Then::Settle(settling) if settling.tenant == tenant);
        let under_way = self.commits.iter().filter(|(_, then)| of_tenant(then));
        under_way.map(|(batch, _)| BatchNo(batch)).last()
    }

    pub(super) fn id_of(&self, item: Item) -> EventId {
        match item {
            Item::Event(event) => self.events[event].id,
            Item::Call(call) => self.calls[call].id,
        }
    }

    /// The time of a turn is over, though its run is not.
    pub(super) fn turn_ends(&mut self, tenant: TenantIx) {
        let late = self.turns.taken.get(&tenant).filter(|turn| turn.until <= self.now);
        if let Some(run) = late.map(|turn| turn.run) {
            self.turn_over(tenant, run);
        }
    }

    /// A run is over, or its time: the turn is free, unless another has it by now.
    pub(super) fn turn_over(&mut self, tenant: TenantIx, run: InvocationId) {
        let Some(turn) = self.turns.taken.get(&tenant).filter(|turn| turn.run == run) else { return };
        self.timers.remove(turn.until, Timer::Turn(tenant));
        self.turns.taken.remove(&tenant);
        self.release_contenders(tenant);
    }

    /// A call that waited is gone. Another of its flow may have waited for it to take the turn.
    pub(super) fn contender_gone(&mut self, tenant: TenantIx, call: Ix<PendingCall>) {
        self.turns.drop_held(tenant, Item::Call(call));
        if !self.turns.taken.contains_key(&tenant) {
            self.release_contenders(tenant);
        }
    }

    /// Of each flow those that may run together: not of the first flow only, for that may be at a limit. One of them
    /// takes the turn, and the others are held again.
    fn release_contenders(&mut self, tenant: TenantIx) {
        let Some(held) = self.turns.held.remove(&tenant) else { return };
        let mut batches: BTreeMap<(Ix<Flow>, Option<QueueIx>), usize> = BTreeMap::new();
        let (mut released, mut rest) = (Vec::new(), VecDeque::new());
        for item in held {
            let (function, queue, most) = match item {
                Item::Call(call) => (self.calls[call].function, None, 1),
                Item::Event(event) => {
                    let queue = self.events[event].queue;
                    let entry = &self.queues[queue];
                    (entry.function, Some(queue), entry.delivery.batch_max as usize)
                }
            };
            let flow = self.flow(function, tenant);
            let count = batches.entry((flow, queue)).or_default();
            if *count < most {
                *count += 1;
                released.push((flow, item));
            } else {
                rest.push_back(item);
            }
        }
        if !rest.is_empty() {
            self.turns.held.insert(tenant, rest);
        }
        for (flow, item) in released.into_iter().rev() {
            if let Item::Event(event) = item {
                self.events[event].state = State::Ready;
            }
            self.enqueue(flow, item, true);
        }
    }

    /// For `invariant`: who is held though none has the turn, and none of its flow is about to take it.
    pub(crate) fn held_for_no_turn(&self) -> Option<String> {
        let (running, held) = (&self.turns.taken, &self.turns.held);
        let gone = running.iter().find(|(_, turn)| {
            let settles = |then: &Then| matches!(then, Then::Settle(s) if s.turn == Some(turn.run));
            self.invocations.get(&turn.run).is_none() && !self.commits.iter().any(|(_, then)| settles(then))
        });
        if let Some((tenant, turn)) = gone {
            return Some(format!("the turn of {tenant:?} is {:?}'s, which is over", turn.run));
        }
        let free = held.iter().filter(|(tenant, _)| !running.contains_key(tenant));
        free.flat_map(|(tenant, held)| held.iter().map(move |item| (*tenant, *item))).find_map(
            |(tenant, item)| {
                let function = match item {
                    Item::Call(call) => self.calls[call].function,
                    Item::Event(event) => self.queues[self.events[event].queue].function,
                };
                let flow = self.scheduler.flow(function, tenant)?;
                let before = self.scheduler.flows[flow].ready.iter().any(|item| self.contends(*item));
                (!before).then(|| format!("{item:?} of {tenant:?} is held for no turn"))
            },
        )
    }
}
