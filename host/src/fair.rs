//! The order in which tenants' ready tasks get a thread: least processor time first.
//!
//! Each tenant has an integer virtual time, in nanoseconds of processor time it was charged. The tenant
//! with the least goes first. A newcomer starts at the queue's present virtual time, so that it neither
//! owes anything nor has saved anything up; a tenant that used more than the others keeps its lead
//! through a pause, until the others have caught up.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// Idle tenants that are remembered because they used more than others. Past it the least ones are
/// forgotten, which only forgives them what they were ahead.
const IDLE_MAX: usize = 65_536;

/// A queue of ready items by tenant.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    tenants: HashMap<u32, Tenant<T>>,
    ready: BTreeSet<(u64, u32)>,
    idle: BTreeSet<(u64, u32)>,
    now: u64,
    running: usize,
}

#[derive(Debug)]
struct Tenant<T> {
    time: u64,
    items: VecDeque<T>,
    running: usize,
}

impl<T> FairQueue<T> {
    pub(crate) fn new() -> Self {
        FairQueue {
            tenants: HashMap::new(),
            ready: BTreeSet::new(),
            idle: BTreeSet::new(),
            now: 0,
            running: 0,
        }
    }

    /// Whether nothing is ready.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// An item of `tenant` is ready.
    pub(crate) fn push(&mut self, tenant: u32, item: T) {
        let now = self.now;
        let entry = self.tenants.entry(tenant).or_insert_with(|| Tenant {
            time: now,
            items: VecDeque::new(),
            running: 0,
        });
        if entry.items.is_empty() {
            self.idle.remove(&(entry.time, tenant));
            entry.time = entry.time.max(now);
            self.ready.insert((entry.time, tenant));
        }
        entry.items.push_back(item);
    }

    /// An item of `tenant` runs at once, while nothing is ready; [`FairQueue::charge`] must follow once it ran.
    pub(crate) fn begin(&mut self, tenant: u32) {
        debug_assert!(self.is_empty(), "what is ready has its turn first");
        let now = self.now;
        let entry = self.tenants.entry(tenant).or_insert_with(|| Tenant {
            time: now,
            items: VecDeque::new(),
            running: 0,
        });
        self.idle.remove(&(entry.time, tenant));
        entry.time = entry.time.max(now);
        entry.running += 1;
        self.running += 1;
        self.now = entry.time;
    }

    /// The next item; [`FairQueue::charge`] must follow once it ran.
    pub(crate) fn pop(&mut self) -> Option<(u32, T)> {
        let (time, tenant) = *self.ready.first()?;
        let entry = self.tenants.get_mut(&tenant)?;
        let item = entry.items.pop_front()?;
        if entry.items.is_empty() {
            self.ready.remove(&(time, tenant));
        }
        entry.running += 1;
        self.running += 1;
        self.now = self.now.max(time);
        Some((tenant, item))
    }

    /// An item of `tenant` ran for `busy_ns`.
    pub(crate) fn charge(&mut self, tenant: u32, busy_ns: u64) {
        self.running = self.running.saturating_sub(1);
        let Some(entry) = self.tenants.get_mut(&tenant) else { return };
        entry.running = entry.running.saturating_sub(1);
        let before = entry.time;
        // One at least, so that a tenant of many tiny polls gives way too.
        entry.time = before.saturating_add(busy_ns.max(1));
        if self.ready.is_empty() && self.running == 0 {
            // Nobody is there to be ahead of.
            let last = self.idle.last().map_or(0, |(time, _)| *time);
            self.now = self.now.max(entry.time).max(last);
            self.idle.clear();
            self.tenants.clear();
            return;
        }
        if !entry.items.is_empty() {
            self.ready.remove(&(before, tenant));
            self.ready.insert((entry.time, tenant));
        } else if entry.running == 0 {
            self.idle.insert((entry.time, tenant));
        }
        self.forget();
    }

    /// Drops idle tenants that owe nothing any more.
    fn forget(&mut self) {
        while let Some((time, tenant)) = self.idle.first().copied() {
            if time > self.now && self.idle.len() <= IDLE_MAX {
                break;
            }
            self.idle.remove(&(time, tenant));
            self.tenants.remove(&tenant);
        }
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.tenants.len()
    }
}

#[cfg(test)]
mod tests {
    use super::FairQueue;

    #[test]
    fn the_tenant_that_used_least_goes_first() {
        let mut queue = FairQueue::new();
        for item in 0..3 {
            queue.push(1, item);
        }
        assert_eq!(queue.pop(), Some((1, 0)));
        queue.charge(1, 1_000);
        queue.push(2, 10);
        queue.push(2, 11);
        // Tenant 2 is new and starts at the virtual time of the last start, where 1 is ahead by 1,000.
        assert_eq!(queue.pop(), Some((2, 10)));
        queue.charge(2, 400);
        assert_eq!(queue.pop(), Some((2, 11)));
        queue.charge(2, 700);
        assert_eq!(queue.pop(), Some((1, 1)));
    }

    #[test]
    fn a_pause_does_not_wipe_out_a_lead() {
        let mut queue = FairQueue::new();
        queue.push(1, "long");
        queue.push(2, "a");
        queue.push(2, "b");
        assert_eq!(queue.pop(), Some((1, "long")));
        queue.charge(1, 5_000);
        queue.push(1, "back at once");
        assert_eq!(queue.pop(), Some((2, "a")));
        queue.charge(2, 10);
        assert_eq!(queue.pop(), Some((2, "b")));
        queue.charge(2, 10);
        assert_eq!(queue.pop(), Some((1, "back at once")));
    }

    #[test]
    fn what_runs_at_once_counts_like_what_waited() {
        let mut queue = FairQueue::new();
        queue.begin(1);
        queue.push(1, "more");
        queue.push(2, "first");
        queue.charge(1, 1_000);
        assert_eq!(queue.pop(), Some((2, "first")));
        queue.charge(2, 400);
        assert_eq!(queue.pop(), Some((1, "more")));
        queue.charge(1, 1);
        assert_eq!(queue.remembered(), 0);
    }

    #[test]
    fn idle_tenants_are_forgotten() {
        let mut queue = FairQueue::new();
        for tenant in 0..1_000 {
            queue.push(tenant, ());
        }
        for _ in 0..1_000 {
            let (tenant, ()) = queue.pop().unwrap();
            queue.charge(tenant, 7);
        }
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.remembered(), 0);
    }
}
