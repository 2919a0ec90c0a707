//! What is counted of parts and of queues.

use flyball_core::{Name, Time, record::Dead};

use super::{CHUNK_BYTES, NodeTally, Tally};
use crate::{
    message::{Message, NodeNo, TenantNo},
    world::failure_name,
};

impl Tally {
    fn node(&mut self, node: NodeNo) -> Option<&mut NodeTally> {
        self.nodes.get_mut(node.0 as usize)
    }

    fn queue(&mut self, name: &Name) -> Option<&mut NodeTally> {
        let at = *self.queues.get(name)?;
        self.nodes.get_mut(at)
    }

    pub(in crate::world) fn node_in(&mut self, now: Time, node: NodeNo, bytes: u32) {
        if let Some(books) = self.node(node) {
            books.entered += 1;
            books.entered_chunks += u64::from(bytes.div_ceil(CHUNK_BYTES).max(1));
            books.entered_bytes = books.entered_bytes.saturating_add(u64::from(bytes));
            books.entered_over.update(now, |slot| *slot += 1);
        }
    }

    pub(in crate::world) fn node_done(&mut self, now: Time, node: NodeNo, message: &Message) {
        if let Some(books) = self.node(node) {
            books.left += 1;
            books.left_over.update(now, |slot| *slot += 1);
            books.to_end.record(now.since(message.born));
            books.delivered(message.receives);
        }
    }

    pub(in crate::world) fn dead(&mut self, now: Time, node: NodeNo, message: &Message, why: &'static str) {
        if let Some(books) = self.node(node) {
            *books.dead.entry(why.into()).or_insert(0) += 1;
            books.dead_over.update(now, |slot| *slot += 1);
            books.first_dead.get_or_insert(now);
            books.delivered(message.receives);
        }
        if let Some(books) = self.tenant(message.tenant) {
            books.dead += 1;
        }
    }

    pub(in crate::world) fn dropped(
        &mut self,
        now: Time,
        node: NodeNo,
        message: &Message,
        why: &'static str,
    ) {
        if let Some(books) = self.node(node) {
            *books.dropped.entry(why.into()).or_insert(0) += 1;
            books.first_dropped.get_or_insert(now);
        }
        if let Some(books) = self.tenant(message.tenant) {
            books.dead += 1;
        }
    }

    pub(in crate::world) fn backlog(&mut self, now: Time, node: NodeNo, waiting: u64, in_flight: u64) {
        if let Some(books) = self.node(node) {
            books.backlog_over.set(now, (waiting + in_flight) as f64);
        }
    }

    pub(in crate::world) fn queue_in(&mut self, now: Time, queue: &Name) {
        if let Some(books) = self.queue(queue) {
            books.entered += 1;
            books.backlog += 1;
            let backlog = books.backlog as f64;
            books.backlog_over.set(now, backlog);
            books.entered_over.update(now, |slot| *slot += 1);
        }
    }

    /// An event is over, after so many attempts. `born`: when the event that it came of came in.
    pub(in crate::world) fn queue_done(&mut self, now: Time, queue: &Name, born: Time, attempts: u16) {
        if let Some(books) = self.queue(queue) {
            books.left += 1;
            books.backlog = books.backlog.saturating_sub(1);
            let backlog = books.backlog as f64;
            books.backlog_over.set(now, backlog);
            books.left_over.update(now, |slot| *slot += 1);
            books.to_end.record(now.since(born));
            books.delivered(attempts);
        }
    }

    pub(in crate::world) fn queue_dead(&mut self, now: Time, tenant: TenantNo, dead: &Dead) {
        if let Some(books) = self.queue(&dead.event.queue) {
            books.delivered(dead.event.attempt);
            books.backlog = books.backlog.saturating_sub(1);
            let backlog = books.backlog as f64;
            books.backlog_over.set(now, backlog);
            *books.dead.entry(failure_name(dead.failure.kind).into()).or_insert(0) += 1;
            books.dead_over.update(now, |slot| *slot += 1);
            books.first_dead.get_or_insert(now);
        }
        if let Some(books) = self.tenant(tenant) {
            books.dead += 1;
        }
    }
}
