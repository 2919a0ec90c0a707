//! Who runs next: start-time fair queueing between tenants, under caps, guarantees and rates at four
//! levels. It knows flows (one tenant's work for one function) and slots, not events.
//!
//! - Each flow with ready work has a start tag `max(V, F)`: `V` is the virtual time, the tag of what was
//!   dispatched last; `F` is the tenant's, raised at each dispatch by cost / weight. The least tag runs
//!   first, ties in order of arrival. So a newcomer waits for at most one dispatch of each active tenant.
//! - What is guaranteed is never lent. Every run is charged to the first of these that has room: the
//!   flow's guarantee, the tenant's, the function's, and else what all share. The shares are exact
//!   because a run gives back what it was charged to, whatever else has changed meanwhile.
//! - A flow that can't run is out of the heaps (`Place::Parked`), and comes back when what it waits for
//!   changes: its own counters, its tenant's, or a moment. A function that can't run keeps its flows but
//!   its turn does not come (`tops`). Nothing is scanned to find the next one.

use std::collections::BTreeSet;

use flows::Flows;
use tops::{Top, Tops};

use super::{
    gate::Gate,
    heap::Heap,
    line::Line,
    slab::{Ix, Slab},
};
use crate::{Span, Time, model::Limits};

/// A tenant's place in the scheduler's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TenantIx(pub(crate) u32);

/// A function's place in the scheduler's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FunctionIx(pub(crate) u32);

/// Virtual time: cost / weight, scaled. 128 bits never wrap.
type Tag = u128;

/// So that a cost of 1 still counts at the greatest weight.
const TAG_SCALE: u64 = 10_000;

/// Which heap of its function a flow is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Class {
    /// Below its own guarantee: may use what the tenant and the function hold back.
    FlowOwed,
    /// Its tenant is below its guarantee.
    TenantOwed,
    /// Neither.
    Rest,
}

const CLASSES: [Class; 3] = [Class::FlowOwed, Class::TenantOwed, Class::Rest];

/// A flow's place in a heap of its function, in the same order. The tenant stands beside it, so that
/// whether the tag still holds is seen without a look at the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Stand {
    tag: Tag,
    tie: u64,
    flow: Ix<Flow>,
    tenant: TenantIx,
}

/// What a run was charged to, and gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Charge {
    /// The flow's guarantee, which lies within the tenant's.
    Flow,
    /// The tenant's guarantee.
    Tenant,
    /// The function's guarantee.
    Function,
    /// What all share.
    Shared,
}

/// What a flow waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Blocker {
    PlatformConcurrency,
    PlatformRate,
    LongFunctions,
    TenantConcurrency,
    TenantRate,
    FunctionConcurrency,
    FunctionRate,
    /// A queue that the function may emit to is full.
    Downstream,
    FlowConcurrency,
    FlowRate,
    /// Its batch may still fill.
    Batch,
}

/// Two lines of the processor's cache, side by side.
#[derive(Debug, Hash)]
#[repr(align(64))]
pub(crate) struct TenantShare {
    pub(crate) gate: Gate,
    weight: u32,
    /// What was charged too much; later charges are lower by it.
    refund: Tag,
    /// Runs charged to the tenant's guarantee.
    charged: u32,
    /// What its flows' guarantees still hold back of it.
    held: u32,
    flows: Flows,
}

#[derive(Debug, Hash)]
pub(crate) struct FunctionShare {
    pub(crate) gate: Gate,
    pub(crate) long: bool,
    /// A queue it may emit to is full.
    pub(crate) blocked_downstream: bool,
    /// Runs charged to the function's guarantee.
    charged: u32,
    /// What its flows' guarantees still hold back of it.
    held: u32,
    heaps: [Heap<Stand>; 3],
    /// What one event is thought to cost: a moving average.
    pub(crate) cost_estimate: u64,
}

/// One tenant's work for one function. Two lines of the processor's cache, side by side.
#[derive(Debug, Hash)]
#[repr(align(64))]
pub(crate) struct Flow {
    pub(crate) function: FunctionIx,
    pub(crate) tenant: TenantIx,
    pub(crate) gate: Gate,
    pub(super) ready: Line<super::Item>,
    /// Runs charged to the flow's guarantee.
    charged: u32,
    tag: Tag,
    tie: u64,
    place: Place,
    /// Its batch may fill until then.
    hold_until: Time,
    /// What it waited for last, since its head became ready.
    pub(crate) waited_for: Option<Blocker>,
}

impl Flow {
    /// It waits for something else than its turn.
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.place, Place::Parked(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// No ready work.
    Idle,
    /// In its function's heap.
    Heap(Class),
    /// Out of the heaps until what it waits for changes.
    Parked(Blocker),
}

/// Whom a moment concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Wake {
    Platform,
    Function(FunctionIx),
    Flow(Ix<Flow>),
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) platform: Gate,
    /// Runs charged to no guarantee.
    shared_running: u32,
    /// The sum of all guarantees of tenants and functions.
    guaranteed: u32,
    pub(crate) long_cap: u32,
    pub(crate) long_running: u32,
    pub(crate) long_peak: u32,
    virtual_time: Tag,
    ties: u64,
    pub(crate) tenants: Vec<TenantShare>,
    /// `F` of each tenant, close together: most of the time nothing else of a tenant is looked at.
    finishes: Vec<Tag>,
    pub(crate) functions: Vec<FunctionShare>,
    pub(crate) flows: Slab<Flow>,
    tops: Tops,
    wakes: BTreeSet<(Time, Wake)>,
    now: Time,
}

impl Scheduler {
    pub(crate) fn new(platform: Limits, long_cap: u32) -> Scheduler {
        Scheduler {
            platform: Gate::new(platform),
            shared_running: 0,
            guaranteed: 0,
            long_cap,
            long_running: 0,
            long_peak: 0,
            virtual_time: 0,
            ties: 0,
            tenants: Vec::new(),
            finishes: Vec::new(),
            functions: Vec::new(),
            flows: Slab::new(),
            tops: Tops::default(),
            wakes: BTreeSet::new(),
            now: Time(0),
        }
    }

    pub(crate) fn add_function(&mut self, limits: Limits, long: bool) -> FunctionIx {
        let gate = Gate::new(limits);
        self.guaranteed = self.guaranteed.saturating_add(gate.guarantee);
        self.functions.push(FunctionShare {
            gate,
            long,
            blocked_downstream: false,
            charged: 0,
            held: 0,
            heaps: [const { Heap::new() }; 3],
            cost_estimate: 1_000,
        });
        self.tops.add_function(self.functions.len());
        FunctionIx(self.functions.len() as u32 - 1)
    }

    pub(crate) fn add_tenant(&mut self, limits: Limits, weight: u32) -> TenantIx {
        let gate = Gate::new(limits);
        self.guaranteed = self.guaranteed.saturating_add(gate.guarantee);
        self.tenants.push(TenantShare {
            gate,
            weight: weight.max(1),
            refund: 0,
            charged: 0,
            held: 0,
            flows: Flows::new(),
        });
        self.finishes.push(0);
        TenantIx(self.tenants.len() as u32 - 1)
    }

    /// New limits of a tenant. Guarantees stay as they were at the start: what was promised to others
    /// was counted with them.
    pub(crate) fn set_tenant(&mut self, tenant: TenantIx, mut limits: Limits, weight: u32) {
        let share = &mut self.tenants[tenant];
        limits.concurrency.guarantee = share.gate.guarantee;
        limits.concurrency.cap = limits.concurrency.cap.max(limits.concurrency.guarantee);
        share.gate.set(limits);
        share.weight = weight.max(1);
        self.replace_tenant(tenant);
    }

    /// The flow of a tenant's work for a function, if it has one.
    pub(crate) fn flow(&self, function: FunctionIx, tenant: TenantIx) -> Option<Ix<Flow>> {
        self.tenants[tenant].flows.get(function)
    }

    /// A flow that there was not. What its guarantee holds back counts from here on.
    pub(crate) fn add_flow(&mut self, function: FunctionIx, tenant: TenantIx, limits: Limits) -> Ix<Flow> {
        let gate = Gate::new(limits);
        self.tenants[tenant].held += gate.guarantee;
        self.functions[function].held += gate.guarantee;
        let flow = self.flows.insert(Flow {
            function,
            tenant,
            gate,
            ready: Line::new(),
            charged: 0,
            tag: 0,
            tie: 0,
            place: Place::Idle,
            hold_until: Time(0),
            waited_for: None,
        });
        self.tenants[tenant].flows.insert(function, flow);
        flow
    }

    /// Work is ready. `hold_until`: a batch that may still fill.
    pub(super) fn enqueue(&mut self, flow: Ix<Flow>, item: super::Item, hold_until: Time, first: bool) {
        let f = &mut self.flows[flow];
        if first {
            f.ready.push_front(item);
        } else {
            f.ready.push_back(item);
        }
        // Wherever it waits, only its batch can have changed.
        if f.place == Place::Idle || f.hold_until != hold_until {
            f.hold_until = hold_until;
            self.settle(flow);
        }
    }

    /// The ready work of a flow changed otherwise.
    pub(crate) fn changed(&mut self, flow: Ix<Flow>, hold_until: Time) {
        self.flows[flow].hold_until = hold_until;
        self.settle(flow);
    }

    /// Before [`Scheduler::enter`]: until when what is left of the flow may wait for its batch.
    pub(crate) fn hold(&mut self, flow: Ix<Flow>, hold_until: Time) {
        self.flows[flow].hold_until = hold_until;
    }

    /// What should start next, if anything can.
    pub(crate) fn next(&mut self) -> Option<Ix<Flow>> {
        loop {
            if self.platform.full() {
                return None;
            }
            if self.platform.rate_ready() > self.now {
                self.wakes.insert((self.platform.rate_ready(), Wake::Platform));
                return None;
            }
            let (function, class, top) = self.tops.first()?;
            if top.rest && self.shared_running >= self.shared_cap() {
                return None;
            }
            let heap = self.functions[function].heap(class);
            let Some(&Stand { tag, flow, tenant, .. }) = heap.first() else {
                debug_assert!(false, "it is nobody's turn who has no flows");
                return None;
            };
            let finish = self.finishes[tenant];
            if finish <= tag {
                return Some(flow);
            }
            // The tenant has run elsewhere meanwhile: the tag it waits with is too low.
            self.put_back(function, class, finish.max(self.virtual_time));
        }
    }

    /// The flow of a function that is likely to be next when one of its runs ends.
    pub(crate) fn next_of(&self, function: FunctionIx) -> Option<Ix<Flow>> {
        let function = &self.functions[function];
        CLASSES.into_iter().find_map(|class| function.heap(class).first()).map(|stand| stand.flow)
    }

    /// The first of a heap gets another tag. Where it stands else is as it was: whatever changes that
    /// settles the flow.
    fn put_back(&mut self, function: FunctionIx, class: Class, tag: Tag) {
        let heap = self.functions[function].heap_mut(class);
        let Some(first) = heap.pop_first() else { return };
        self.ties += 1;
        heap.insert(Stand { tag, tie: self.ties, ..first });
        let f = &mut self.flows[first.flow];
        (f.tag, f.tie) = (tag, self.ties);
        debug_assert_eq!(self.place_for(first.flow), Place::Heap(class), "a flow in a heap may run");
        self.refresh(function);
    }

    /// A run of `events` of this flow starts.
    pub(crate) fn enter(&mut self, flow: Ix<Flow>, events: u32) -> (Charge, u64) {
        let (function, tenant) = (self.flows[flow].function, self.flows[flow].tenant);
        let before = self.summary(tenant);
        let estimate = self.functions[function].cost_estimate.saturating_mul(u64::from(events)).max(1);
        self.charge_tag(flow, estimate);
        let charge = self.charge_of(flow);
        let now = self.now;
        self.platform.enter(now);
        self.flows[flow].gate.enter(now);
        let share = &mut self.tenants[tenant];
        share.gate.enter(now);
        share.charged += u32::from(matches!(charge, Charge::Flow | Charge::Tenant));
        share.held -= u32::from(charge == Charge::Flow);
        let share = &mut self.functions[function];
        share.gate.enter(now);
        share.charged += u32::from(charge == Charge::Function);
        share.held -= u32::from(charge == Charge::Flow);
        self.flows[flow].charged += u32::from(charge == Charge::Flow);
        self.shared_running += u32::from(charge == Charge::Shared);
        if self.functions[function].long {
            self.move_long(true);
        }
        let tag = self.finishes[tenant].max(self.virtual_time);
        self.flows[flow].waited_for = None;
        self.put(flow, Some(tag));
        self.refresh(function);
        self.after(tenant, before);
        (charge, estimate)
    }

    /// A run ended that was charged so, and really cost `actual` for `events`.
    pub(crate) fn leave(&mut self, flow: Ix<Flow>, charge: Charge, estimate: u64, actual: u64, events: u32) {
        let (function, tenant) = (self.flows[flow].function, self.flows[flow].tenant);
        let before = self.summary(tenant);
        self.platform.leave();
        self.shared_running -= u32::from(charge == Charge::Shared);
        let f = &mut self.flows[flow];
        f.gate.leave();
        f.charged -= u32::from(charge == Charge::Flow);
        let share = &mut self.functions[function];
        share.gate.leave();
        share.charged -= u32::from(charge == Charge::Function);
        share.held += u32::from(charge == Charge::Flow);
        let each = actual / u64::from(events.max(1));
        share.cost_estimate = (share.cost_estimate / 8 * 7).saturating_add(each / 8).max(1);
        let share = &mut self.tenants[tenant];
        share.gate.leave();
        share.charged -= u32::from(matches!(charge, Charge::Flow | Charge::Tenant));
        share.held += u32::from(charge == Charge::Flow);
        let differs = scaled(actual.abs_diff(estimate), share.weight);
        if actual > estimate {
            self.finishes[tenant] += differs;
        } else {
            share.refund += differs;
        }
        if self.functions[function].long {
            self.move_long(false);
        }
        self.put(flow, None);
        self.refresh(function);
        self.after(tenant, before);
        self.forget_if_idle(flow);
    }

    /// Whether a queue that the function may emit to is full.
    pub(crate) fn block_downstream(&mut self, function: FunctionIx, blocked: bool) {
        if self.functions[function].blocked_downstream != blocked {
            self.functions[function].blocked_downstream = blocked;
            self.refresh(function);
        }
    }

    /// Time moves on: whoever waited for a moment up to it looks again.
    pub(crate) fn advance(&mut self, now: Time) {
        self.now = now;
        while let Some(&(at, wake)) = self.wakes.first() {
            if at > now {
                break;
            }
            self.wakes.pop_first();
            match wake {
                Wake::Platform => {}
                Wake::Function(function) => self.refresh(function),
                Wake::Flow(flow) => {
                    if self.flows.get(flow).is_some() {
                        self.settle(flow);
                    }
                }
            }
        }
    }

    /// When to look again though nothing happens.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// What keeps a flow with ready work from running.
    pub(crate) fn blocker(&self, flow: Ix<Flow>) -> Option<Blocker> {
        let f = self.flows.get(flow)?;
        match f.place {
            Place::Idle => None,
            Place::Parked(why) => Some(why),
            Place::Heap(class) => {
                let closed = self.closed(f.function, class);
                let rate = self.platform.rate_ready() > self.now;
                closed.or(Some(if rate { Blocker::PlatformRate } else { Blocker::PlatformConcurrency }))
            }
        }
    }

    /// The moment at which what a flow waits for lets it through, as far as that is known.
    pub(crate) fn ready_at(&self, flow: Ix<Flow>) -> Time {
        let Some(f) = self.flows.get(flow) else { return self.now };
        let rates = [
            self.platform.rate_ready(),
            self.tenants[f.tenant].gate.rate_ready(),
            self.functions[f.function].gate.rate_ready(),
            f.gate.rate_ready(),
        ];
        rates.into_iter().fold(self.now, Time::max)
    }

    fn shared_cap(&self) -> u32 {
        self.platform.cap.saturating_sub(self.guaranteed)
    }

    /// What a run of this flow would be charged to.
    fn charge_of(&self, flow: Ix<Flow>) -> Charge {
        let f = &self.flows[flow];
        let function = &self.functions[f.function];
        if f.charged < f.gate.guarantee {
            Charge::Flow
        } else if self.tenants[f.tenant].owed() {
            Charge::Tenant
        } else if function.charged < function.gate.guarantee {
            Charge::Function
        } else {
            Charge::Shared
        }
    }

    /// Dispatch: virtual time moves to the flow's tag, and its tenant pays.
    fn charge_tag(&mut self, flow: Ix<Flow>, estimate: u64) {
        let f = &self.flows[flow];
        let (tag, tenant) = (f.tag, f.tenant);
        self.virtual_time = self.virtual_time.max(tag);
        let share = &mut self.tenants[tenant];
        let full = scaled(estimate, share.weight).max(1);
        let refund = share.refund.min(full - 1);
        share.refund -= refund;
        let finish = &mut self.finishes[tenant];
        *finish = tag.max(*finish) + full - refund;
    }

    fn move_long(&mut self, start: bool) {
        let was_full = self.long_running >= self.long_cap;
        if start {
            self.long_running += 1;
            self.long_peak = self.long_peak.max(self.long_running);
        } else {
            self.long_running -= 1;
        }
        if was_full != (self.long_running >= self.long_cap) {
            for index in 0..self.functions.len() as u32 {
                if self.functions[FunctionIx(index)].long {
                    self.refresh(FunctionIx(index));
                }
            }
        }
    }

    /// What of a tenant decides where its flows stand.
    fn summary(&self, tenant: TenantIx) -> (bool, bool, bool, Time) {
        let share = &self.tenants[tenant];
        (share.gate.full(), share.gate.room() <= share.held, share.owed(), share.gate.rate_ready())
    }

    fn after(&mut self, tenant: TenantIx, before: (bool, bool, bool, Time)) {
        if self.summary(tenant) != before {
            self.replace_tenant(tenant);
        }
    }

    /// A tenant is in no more flows than there are functions.
    fn replace_tenant(&mut self, tenant: TenantIx) {
        let mut index = 0;
        while let Some(flow) = self.tenants[tenant].flows.at(index) {
            self.settle(flow);
            index += 1;
        }
    }

    /// Puts a flow where it belongs now, and its function too.
    fn settle(&mut self, flow: Ix<Flow>) {
        let Some((was, is)) = self.put(flow, None) else { return };
        let function = self.flows[flow].function;
        // Only where it was and where it is now can another be first.
        if let Place::Heap(class) = was {
            self.refresh_class(function, class);
        }
        if let Place::Heap(class) = is
            && was != is
        {
            self.refresh_class(function, class);
        }
    }

    /// Puts a flow where it belongs now, where given with a new start tag. From where to where, if something changed.
    fn put(&mut self, flow: Ix<Flow>, mut tag: Option<Tag>) -> Option<(Place, Place)> {
        let place = self.place_for(flow);
        let f = &mut self.flows[flow];
        let (was, function, tenant) = (f.place, f.function, f.tenant);
        if let Place::Parked(why) = place {
            f.waited_for = Some(why);
        }
        if was == place && tag.is_none() {
            return None;
        }
        if was == Place::Idle {
            // It becomes active: its start tag is taken now and kept while it waits.
            tag = Some(self.finishes[tenant].max(self.virtual_time));
        }
        let heaps = &mut self.functions[function];
        if let Place::Heap(class) = was {
            heaps.heap_mut(class).remove(&f.stand(flow));
        }
        if let Some(tag) = tag {
            // Ties go to whoever had theirs first.
            self.ties += 1;
            (f.tag, f.tie) = (tag, self.ties);
        }
        f.place = place;
        if let Place::Heap(class) = place {
            heaps.heap_mut(class).insert(f.stand(flow));
        }
        Some((was, place))
    }

    fn place_for(&mut self, flow: Ix<Flow>) -> Place {
        let f = &self.flows[flow];
        let tenant = &self.tenants[f.tenant];
        if f.ready.is_empty() {
            return Place::Idle;
        }
        let owed = f.charged < f.gate.guarantee;
        let waits = [
            (f.hold_until, Blocker::Batch),
            (f.gate.rate_ready(), Blocker::FlowRate),
            (tenant.gate.rate_ready(), Blocker::TenantRate),
        ];
        if f.gate.full() {
            return Place::Parked(Blocker::FlowConcurrency);
        }
        if tenant.gate.full() || (!owed && tenant.gate.room() <= tenant.held) {
            return Place::Parked(Blocker::TenantConcurrency);
        }
        let class = match (owed, tenant.owed()) {
            (true, _) => Class::FlowOwed,
            (false, true) => Class::TenantOwed,
            (false, false) => Class::Rest,
        };
        match waits.into_iter().find(|(at, _)| *at > self.now) {
            Some((at, why)) => {
                self.wakes.insert((at, Wake::Flow(flow)));
                Place::Parked(why)
            }
            None => Place::Heap(class),
        }
    }

    /// Why no flow of this class of the function may start, if so.
    fn closed(&self, function: FunctionIx, class: Class) -> Option<Blocker> {
        let share = &self.functions[function];
        if share.gate.full() || (class != Class::FlowOwed && share.gate.room() <= share.held) {
            Some(Blocker::FunctionConcurrency)
        } else if share.long && self.long_running >= self.long_cap {
            Some(Blocker::LongFunctions)
        } else if share.gate.rate_ready() > self.now {
            Some(Blocker::FunctionRate)
        } else if share.blocked_downstream {
            Some(Blocker::Downstream)
        } else {
            None
        }
    }

    /// Looks anew which flows of a function are its best.
    fn refresh(&mut self, function: FunctionIx) {
        for class in CLASSES {
            self.refresh_class(function, class);
        }
    }

    fn refresh_class(&mut self, function: FunctionIx, class: Class) {
        let had = self.tops.get(function, class);
        let share = &self.functions[function];
        let mut wanted = None;
        if let Some(&Stand { tag, tie, .. }) = share.heap(class).first() {
            let rest = class == Class::Rest && share.charged >= share.gate.guarantee;
            match self.closed(function, class) {
                None => wanted = Some(Top { rest, tag, tie }),
                Some(Blocker::FunctionRate) => {
                    self.wakes.insert((share.gate.rate_ready(), Wake::Function(function)));
                }
                Some(_) => {}
            }
        }
        if had != wanted {
            self.tops.set(function, class, wanted);
        }
    }

    /// A flow with nothing to remember needs no entry: tenants times functions may be many.
    fn forget_if_idle(&mut self, flow: Ix<Flow>) {
        let f = &self.flows[flow];
        let idle = f.place == Place::Idle && f.gate.running == 0;
        if idle && f.gate.guarantee == 0 && f.gate.rate().is_none() {
            self.tenants[f.tenant].flows.remove(f.function);
            self.flows.remove(flow);
        }
    }
}

/// How far a cost moves a tag.
fn scaled(cost: u64, weight: u32) -> Tag {
    match cost.checked_mul(TAG_SCALE) {
        // Nearly always, and many times as quick.
        Some(product) => Tag::from(product / u64::from(weight)),
        None => Tag::from(cost) * Tag::from(TAG_SCALE) / Tag::from(weight),
    }
}

impl Flow {
    fn stand(&self, flow: Ix<Flow>) -> Stand {
        Stand { tag: self.tag, tie: self.tie, flow, tenant: self.tenant }
    }
}

impl TenantShare {
    /// Whether a run that is below no flow's guarantee can be charged to the tenant's.
    fn owed(&self) -> bool {
        self.gate.guarantee.saturating_sub(self.charged) > self.held
    }
}

impl FunctionShare {
    fn heap(&self, class: Class) -> &Heap<Stand> {
        let [flow, tenant, rest] = &self.heaps;
        match class {
            Class::FlowOwed => flow,
            Class::TenantOwed => tenant,
            Class::Rest => rest,
        }
    }

    fn heap_mut(&mut self, class: Class) -> &mut Heap<Stand> {
        let [flow, tenant, rest] = &mut self.heaps;
        match class {
            Class::FlowOwed => flow,
            Class::TenantOwed => tenant,
            Class::Rest => rest,
        }
    }
}

// Tenants and functions are added and never removed; their indices are made by `add_*` only.
macro_rules! index {
    ($ix:ty, $entry:ty) => {
        impl std::ops::Index<$ix> for Vec<$entry> {
            type Output = $entry;
            fn index(&self, ix: $ix) -> &$entry {
                &self.as_slice()[ix.0 as usize]
            }
        }
        impl std::ops::IndexMut<$ix> for Vec<$entry> {
            fn index_mut(&mut self, ix: $ix) -> &mut $entry {
                &mut self.as_mut_slice()[ix.0 as usize]
            }
        }
    };
}
index!(TenantIx, TenantShare);
index!(TenantIx, Tag);
index!(FunctionIx, FunctionShare);

/// For a hash of the engine's state.
impl std::hash::Hash for Scheduler {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.platform, self.shared_running, self.long_running, self.virtual_time, self.ties).hash(state);
        (&self.tenants, &self.finishes, &self.functions, &self.flows, &self.tops, &self.wakes).hash(state);
    }
}

pub(crate) mod audit;
mod flows;
mod tops;

/// The moment until which a batch that is not full may wait.
pub(crate) fn hold(ready_since: Time, window: Span) -> Time {
    ready_since.after(window)
}
