//! Groups of a FIFO queue: each in order, and none while one of its messages is in flight.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    aws::shelf::{Line, Place, Shelf},
    message::TenantNo,
};

#[derive(Debug)]
struct Group {
    line: Line<0>,
    /// Messages of it that are in flight.
    in_flight: u32,
    /// It stands among those that are ready.
    queued: bool,
}

impl Group {
    fn is_ready(&self) -> bool {
        self.in_flight == 0 && self.line.len() > 0
    }
}

/// See the module's text. A group is its tenant's.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<TenantNo, Group>,
    /// Groups that are ready, and some that no longer are; the first one is.
    ready: VecDeque<TenantNo>,
    /// The group that the batch under way has last taken from, and may go on with.
    open: Option<TenantNo>,
}

impl Groups {
    /// The next message: of the group that is received from, else of the next one that is ready.
    pub(super) fn next(&self) -> Option<Place> {
        let first = |tenant: &TenantNo| self.groups.get(tenant).and_then(|group| group.line.first());
        self.open.as_ref().and_then(first).or_else(|| self.ready.front().and_then(first))
    }

    pub(super) fn join(&mut self, shelf: &mut Shelf, place: Place) {
        let tenant = shelf.get(place).message.tenant;
        self.group(tenant).line.join(shelf, place);
        self.queue(tenant);
    }

    /// A message comes back: to the front.
    pub(super) fn put_back(&mut self, shelf: &mut Shelf, place: Place) {
        let tenant = shelf.get(place).message.tenant;
        self.group(tenant).line.join_at_front(shelf, place);
        self.queue(tenant);
    }

    /// A message stands here no longer.
    pub(super) fn leave(&mut self, shelf: &mut Shelf, place: Place) {
        let tenant = shelf.get(place).message.tenant;
        self.group(tenant).line.leave(shelf, place);
        self.tidy(tenant);
    }

    /// A message of the group was received: no other batch receives from it.
    pub(super) fn lock(&mut self, tenant: TenantNo) {
        self.group(tenant).in_flight += 1;
        self.open = Some(tenant);
        self.tidy(tenant);
    }

    /// A message of the group is no longer in flight.
    pub(super) fn release(&mut self, tenant: TenantNo) {
        let group = self.group(tenant);
        group.in_flight = group.in_flight.saturating_sub(1);
        self.queue(tenant);
        self.tidy(tenant);
    }

    /// A batch is complete: what is left of the group that it took from waits.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    fn group(&mut self, tenant: TenantNo) -> &mut Group {
        self.groups.entry(tenant).or_insert(Group { line: Line::new(), in_flight: 0, queued: false })
    }

    fn queue(&mut self, tenant: TenantNo) {
        let group = self.group(tenant);
        if group.is_ready() && !group.queued {
            group.queued = true;
            self.ready.push_back(tenant);
        }
    }

    /// Brings a group that is ready to the front, and forgets those of which nothing is left.
    fn tidy(&mut self, tenant: TenantNo) {
        while let Some(first) = self.ready.front().copied() {
            match self.groups.get_mut(&first) {
                Some(group) if group.is_ready() => break,
                Some(group) => group.queued = false,
                None => {}
            }
            self.ready.pop_front();
            self.forget(first);
        }
        self.forget(tenant);
    }

    fn forget(&mut self, tenant: TenantNo) {
        let gone = |group: &Group| group.in_flight == 0 && group.line.len() == 0 && !group.queued;
        if self.groups.get(&tenant).is_some_and(gone) {
            self.groups.remove(&tenant);
        }
    }
}
