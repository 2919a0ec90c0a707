//! Turns, for those that others overtake.
//!
//! An outcome commits only if what its run had read is still so, and runs again otherwise. Where many write one key,
//! a run that takes a little longer than theirs is overtaken each time. So who was overtaken [`OVERTAKEN_MAX`] times
//! in a row **contends**: it runs with the turn of its tenant, of which there is one. Such a run starts when what its
//! tenant has under way is durable; and from then on an outcome of that tenant which would write what the contender
//! had read the last time is void. It counts as overtaken as often, and contends itself. So what many write is written
//! in turn, by whoever has contended longest of those that may start, and all else commits as ever.
//!
//! Contenders wait outside of their flows. While the turn is free the first of each line of them are in their flow,
//! until one starts. What a contender had read is not always known: after a restart, or where too much of others is
//! known. It may be overtaken in its turn then, comes first again, and is known.
//!
//! A turn is over with its run's commit, and after [`TURN_MAX`]: others go on rather than wait for a run that takes
//! long. Such a run is void for no one's turn any more, though it may be overtaken.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{
    Engine, Item, Phase, QueueIx, State, Then, Timer,
    fair::{Flow, FunctionIx, TenantIx},
    lookup::Mixer,
    slab::Ix,
};
use crate::{BatchNo, InvocationId, KvKey, KvWrite, Read, Span, Time};

/// Who was overtaken so often in a row contends. Where `conflicts_max` is less, nobody does.
pub(super) const OVERTAKEN_MAX: u8 = 3;

/// How long a turn lasts at most.
const TURN_MAX: Span = Span::from_secs(10);

/// Keys that are known of all who wait for a turn: 8 MiB.
const KEYS_MAX: usize = 1 << 20;

/// Keys, each by its hash: where two have the same, one more outcome is void.
pub(super) type Keys = Arc<[u64]>;

/// See the module's text.
#[derive(Debug, Default, Hash)]
pub(super) struct Turns {
    tenants: BTreeMap<TenantIx, Contention>,
    /// Runs whose turn was over before they were.
    late: BTreeSet<InvocationId>,
    /// Tenants in which somebody may take the turn in this step.
    open: BTreeSet<TenantIx>,
    /// How many have come so far.
    come: u64,
    /// Keys that are known.
    keys: usize,
}

/// Those of one tenant.
#[derive(Debug, Default, Hash)]
struct Contention {
    turn: Option<Turn>,
    lines: BTreeMap<LineOf, Line>,
}

#[derive(Debug, Hash)]
struct Turn {
    run: InvocationId,
    until: Time,
    /// Since when it contends.
    since: u64,
    keys: BTreeSet<u64>,
}

/// Which contenders stand in one line: those that may run together, or one after the other.
type LineOf = (FunctionIx, Option<QueueIx>);

/// Since when one contends, and a number of its own.
type Place = (u64, u64);

#[derive(Debug, Default, Hash)]
struct Line {
    held: BTreeMap<Place, Contender>,
    /// At the head of their flow.
    released: Vec<(Place, Contender)>,
}

#[derive(Debug, Hash)]
struct Contender {
    item: Item,
    keys: Option<Keys>,
}

impl Contender {
    fn keys_known(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.len())
    }
}

/// What of a run is kept, should it be overtaken.
pub(super) fn keys(reads: &[Read]) -> Keys {
    reads.iter().map(|read| hash(&read.key)).collect()
}

fn hash(key: &KvKey) -> u64 {
    let mut mixer = Mixer::default();
    key.hash(&mut mixer);
    mixer.finish()
}

impl Line {
    fn take_released(&mut self, item: Item) -> Option<(Place, Contender)> {
        let at = self.released.iter().position(|(_, contender)| contender.item == item)?;
        Some(self.released.remove(at))
    }

    fn take_held(&mut self, item: Item) -> Option<(Place, Contender)> {
        let place = self.held.iter().find_map(|(place, held)| (held.item == item).then_some(*place))?;
        Some((place, self.held.remove(&place)?))
    }
}

impl Turns {
    fn turn_of(&self, tenant: TenantIx) -> Option<&Turn> {
        self.tenants.get(&tenant)?.turn.as_ref()
    }

    /// Since when this run contended, if it has its tenant's turn.
    pub(super) fn since(&self, tenant: TenantIx, run: InvocationId) -> Option<u64> {
        self.turn_of(tenant).filter(|turn| turn.run == run).map(|turn| turn.since)
    }

    /// A run is over: whether its turn was over before.
    pub(super) fn run_over(&mut self, run: InvocationId) -> bool {
        self.late.remove(&run)
    }

    /// Whether what this run would write is void, because another has the turn and has read it.
    pub(super) fn forbids(&self, tenant: TenantIx, run: InvocationId, writes: &[KvWrite]) -> bool {
        let turn = self.turn_of(tenant).filter(|turn| turn.run != run);
        turn.is_some_and(|turn| writes.iter().any(|write| turn.keys.contains(&hash(&write.key))))
    }

    fn line(&mut self, tenant: TenantIx, of: LineOf) -> Option<&mut Line> {
        self.tenants.get_mut(&tenant)?.lines.get_mut(&of)
    }

    fn hold(&mut self, tenant: TenantIx, of: LineOf, place: Place, contender: Contender) {
        let contention = self.tenants.entry(tenant).or_default();
        contention.lines.entry(of).or_default().held.insert(place, contender);
    }

    /// Lines and tenants in which nobody is any more.
    fn tidy(&mut self, tenant: TenantIx) {
        let Some(contention) = self.tenants.get_mut(&tenant) else { return };
        contention.lines.retain(|_, line| !(line.held.is_empty() && line.released.is_empty()));
        if contention.turn.is_none() && contention.lines.is_empty() {
            self.tenants.remove(&tenant);
        }
    }

    /// Whether it is outside of its flow.
    pub(super) fn holds(&self, tenant: TenantIx, of: LineOf, item: Item) -> bool {
        let line = self.tenants.get(&tenant).and_then(|contention| contention.lines.get(&of));
        line.is_some_and(|line| line.held.values().any(|held| held.item == item))
    }

    fn lines(&self) -> impl Iterator<Item = (&Contention, &Line)> {
        self.tenants
            .values()
            .flat_map(|contention| contention.lines.values().map(move |line| (contention, line)))
    }

    /// All that are outside of their flows.
    pub(super) fn held(&self) -> impl Iterator<Item = Item> {
        self.lines().flat_map(|(_, line)| line.held.values().map(|held| held.item))
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

    fn line_of(&self, item: Item) -> (TenantIx, LineOf) {
        match item {
            Item::Call(call) => (self.calls[call].tenant, (self.calls[call].function, None)),
            Item::Event(event) => {
                let e = &self.events[event];
                (e.tenant, (self.queues[e.queue].function, Some(e.queue)))
            }
        }
    }

    /// It waits for the turn, and not in its flow. `since`: it was overtaken in its turn, and has contended so long.
    pub(super) fn contend(&mut self, item: Item, keys: Option<Keys>, since: Option<u64>) {
        let (tenant, of) = self.line_of(item);
        let turns = &mut self.turns;
        let room = KEYS_MAX.saturating_sub(turns.keys);
        let contender = Contender { item, keys: keys.filter(|keys| since.is_some() || keys.len() <= room) };
        turns.come += 1;
        turns.keys += contender.keys_known();
        turns.hold(tenant, of, (since.unwrap_or(turns.come), turns.come), contender);
        turns.open.insert(tenant);
        if let Item::Event(event) = item {
            let e = &mut self.events[event];
            (e.state, e.ready) = (State::Held, self.now);
        }
    }

    /// Whoever may take a free turn is let into its flow: first the line whose first has contended longest, and the
    /// next if none of that could start. Whether there was one.
    pub(super) fn offer_turns(&mut self) -> bool {
        let mut offered = false;
        for tenant in std::mem::take(&mut self.turns.open) {
            let Some(contention) = self.turns.tenants.get(&tenant) else { continue };
            if contention.turn.is_some() {
                continue;
            }
            let waiting = contention.lines.iter().filter(|(_, line)| line.released.is_empty());
            let first = waiting.filter_map(|(of, line)| Some((*line.held.first_key_value()?.0, *of))).min();
            if let Some((_, of)) = first {
                self.let_in(tenant, of);
                self.turns.open.insert(tenant);
                offered = true;
            }
        }
        offered
    }

    /// The first of a line, and who may run with it.
    fn let_in(&mut self, tenant: TenantIx, of: LineOf) {
        let (function, queue) = of;
        let most = queue.map_or(1, |queue| self.queues[queue].delivery.batch_max.max(1));
        let Some(line) = self.turns.line(tenant, of) else { return };
        for _ in 0..most {
            line.released.extend(line.held.pop_first());
        }
        let items: Vec<Item> = line.released.iter().map(|(_, contender)| contender.item).collect();
        let flow = self.flow(function, tenant);
        for item in items.into_iter().rev() {
            if let Item::Event(event) = item {
                self.events[event].state = State::Ready;
            }
            self.enqueue(flow, item, true);
        }
    }

    /// Takes a contender out of its flow where the turn is taken, so that what is behind it may go first.
    pub(super) fn hold_contender(&mut self, flow: Ix<Flow>) -> bool {
        let Flow { tenant, ready, .. } = &self.scheduler.flows[flow];
        let (tenant, head) = (*tenant, ready.front().copied());
        if self.turns.turn_of(tenant).is_none() {
            return false;
        }
        let Some(head) = head.filter(|head| self.contends(*head)) else { return false };
        let (_, of) = self.line_of(head);
        let Some((place, contender)) = self.turns.line(tenant, of).and_then(|line| line.take_released(head))
        else {
            return false;
        };
        self.turns.hold(tenant, of, place, contender);
        self.scheduler.flows[flow].ready.pop_front();
        if let Item::Event(event) = head {
            self.events[event].state = State::Held;
        }
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
        let (mut keys, mut since) = (BTreeSet::new(), u64::MAX);
        let mut last: Option<Keys> = None;
        for item in items {
            let (_, of) = self.line_of(*item);
            let taken = self.turns.line(tenant, of).and_then(|line| line.take_released(*item));
            let Some((place, contender)) = taken else { continue };
            self.turns.keys -= contender.keys_known();
            since = since.min(place.0);
            // Those that ran together have read the same.
            let same = |known: &Keys| last.as_ref().is_some_and(|last| Arc::ptr_eq(last, known));
            if let Some(known) = contender.keys.filter(|known| !same(known)) {
                keys.extend(known.iter().copied());
                last = Some(known);
            }
        }
        let until = self.now.after(TURN_MAX);
        self.timers.insert(until, Timer::Turn(tenant));
        let contention = self.turns.tenants.entry(tenant).or_default();
        contention.turn = Some(Turn { run, until, since, keys });
        self.turns.tidy(tenant);
        let of_tenant = |then: &Then| matches!(then, Then::Settle(settling) if settling.tenant == tenant);
        let under_way = self.commits.iter().rev().find(|(_, then)| of_tenant(then));
        under_way.map(|(batch, _)| BatchNo(batch))
    }

    /// The time of a turn is over, though its run is not.
    pub(super) fn turn_ends(&mut self, tenant: TenantIx) {
        let Some(turn) = self.turns.turn_of(tenant).filter(|turn| turn.until <= self.now) else { return };
        let run = turn.run;
        if self.invocations.get(&run).is_some() {
            self.turns.late.insert(run);
        }
        self.turn_over(tenant, run);
    }

    /// A run is over, or its time: the turn is free, unless another has it by now.
    pub(super) fn turn_over(&mut self, tenant: TenantIx, run: InvocationId) {
        let Some(contention) = self.turns.tenants.get_mut(&tenant) else { return };
        let Some(turn) = contention.turn.take_if(|turn| turn.run == run) else { return };
        self.timers.remove(turn.until, Timer::Turn(tenant));
        self.turns.open.insert(tenant);
        self.turns.tidy(tenant);
    }

    /// A call that contends does not wait any more. Others of its line may have waited for it to take the turn.
    pub(super) fn contender_gone(&mut self, tenant: TenantIx, function: FunctionIx, call: Item) {
        let turns = &mut self.turns;
        let Some(line) = turns.line(tenant, (function, None)) else { return };
        if let Some((_, gone)) = line.take_released(call).or_else(|| line.take_held(call)) {
            turns.keys -= gone.keys_known();
        }
        turns.open.insert(tenant);
        turns.tidy(tenant);
    }

    /// For `invariant`: a turn whose run is over, or contenders that wait while none of their line may take a free
    /// turn.
    pub(crate) fn waits_for_no_turn(&self) -> Option<String> {
        let turns = &self.turns;
        let settles = |run| {
            let of = |then: &Then| matches!(then, Then::Settle(settling) if settling.turn == Some(run));
            self.commits.iter().any(|(_, then)| of(then))
        };
        let taken = turns.tenants.values().filter_map(|contention| contention.turn.as_ref());
        let gone =
            taken.map(|turn| turn.run).find(|run| self.invocations.get(run).is_none() && !settles(*run));
        if let Some(run) = gone {
            return Some(format!("the turn of {run:?} is not over, and the run is"));
        }
        let known: usize = turns
            .lines()
            .flat_map(|(_, line)| line.held.values().chain(line.released.iter().map(|(_, one)| one)))
            .map(Contender::keys_known)
            .sum();
        if known != turns.keys || turns.late.iter().any(|run| self.invocations.get(run).is_none()) {
            return Some(format!(
                "{known} keys are known, {} are counted; late are {:?}",
                turns.keys, turns.late
            ));
        }
        let ready = |item: Item| match item {
            Item::Event(event) => self.events[event].state == State::Ready,
            Item::Call(call) => self.calls.get(call).is_some_and(|call| call.waits),
        };
        let stuck = turns.lines().find(|(contention, line)| {
            let next = line.released.iter().any(|(_, one)| ready(one.item));
            contention.turn.is_none() && !next && !line.held.is_empty()
        });
        stuck.filter(|_| self.phase == Phase::Running).map(|(_, line)| format!("{line:?} waits for no turn"))
    }
}
