//! The messages of one queue and their states.

use flyball_core::{Span, Time};

use super::{QueuePolicy, groups::Groups};
use crate::{
    aws::shelf::{Line, Place, Receipt, Shelf},
    message::{Ask, Message},
};

const VISIBLE: u8 = 0;
const DELAYED: u8 = 1;
const IN_FLIGHT: u8 = 2;

/// Messages that can be received, and in which order.
#[derive(Debug)]
enum Visible {
    /// As they became visible.
    Standard(Line<0>),
    /// By group.
    Fifo(Groups),
}

/// See the module's text. Each message is visible, delayed or in flight, exactly one.
#[derive(Debug)]
pub(in crate::aws) struct Stock {
    policy: QueuePolicy,
    shelf: Shelf,
    visible: Visible,
    /// By when it ends: a queue has one delay.
    delayed: Line<0>,
    /// By when it ends: a queue has one visibility timeout.
    in_flight: Line<0>,
    /// By when they came, but those that were in flight when they had become too old.
    ages: Line<1>,
}

impl Stock {
    pub(in crate::aws) fn new(policy: QueuePolicy) -> Stock {
        let visible = if policy.fifo.is_some() {
            Visible::Fifo(Groups::default())
        } else {
            Visible::Standard(Line::new())
        };
        let (delayed, in_flight) = (Line::new(), Line::new());
        Stock { policy, shelf: Shelf::default(), visible, delayed, in_flight, ages: Line::new() }
    }

    pub(in crate::aws) fn waiting(&self) -> u64 {
        self.shelf.len() - self.in_flight.len()
    }

    pub(in crate::aws) fn in_flight(&self) -> u64 {
        self.in_flight.len()
    }

    pub(in crate::aws) fn oldest(&self) -> Option<Time> {
        self.ages.first().map(|place| self.shelf.get(place).came)
    }

    /// Whether a receive would bring anything.
    pub(in crate::aws) fn is_receivable(&self) -> bool {
        self.in_flight.len() < self.policy.in_flight_max && self.next().is_some()
    }

    /// The size of the message that would be received next, bytes.
    pub(in crate::aws) fn next_bytes(&self) -> Option<u32> {
        self.next().map(|place| self.shelf.get(place).message.bytes)
    }

    fn next(&self) -> Option<Place> {
        match &self.visible {
            Visible::Standard(line) => line.first(),
            Visible::Fifo(groups) => groups.next(),
        }
    }

    /// A message comes in, with the queue's delay.
    pub(in crate::aws) fn add(&mut self, now: Time, message: Message) {
        let place = self.shelf.put(Message { receives: 0, ..message }, now, VISIBLE);
        self.shelf.get_mut(place).aging = true;
        self.ages.join(&mut self.shelf, place);
        if self.policy.delay == Span::ZERO {
            self.show(place, false);
        } else {
            let entry = self.shelf.get_mut(place);
            (entry.state, entry.due) = (DELAYED, now.after(self.policy.delay));
            self.delayed.join(&mut self.shelf, place);
        }
    }

    /// Makes a message that stands in no line of states visible.
    fn show(&mut self, place: Place, again: bool) {
        self.shelf.get_mut(place).state = VISIBLE;
        match &mut self.visible {
            Visible::Standard(line) => line.join(&mut self.shelf, place),
            Visible::Fifo(groups) if again => groups.put_back(&mut self.shelf, place),
            Visible::Fifo(groups) => groups.join(&mut self.shelf, place),
        }
    }

    /// Takes a message out of the line of its state.
    fn hide(&mut self, place: Place) {
        match (self.shelf.get(place).state, &mut self.visible) {
            (DELAYED, _) => self.delayed.leave(&mut self.shelf, place),
            (IN_FLIGHT, visible) => {
                self.in_flight.leave(&mut self.shelf, place);
                if let Visible::Fifo(groups) = visible {
                    groups.release(self.shelf.get(place).message.tenant);
                }
            }
            (_, Visible::Standard(line)) => line.leave(&mut self.shelf, place),
            (_, Visible::Fifo(groups)) => groups.leave(&mut self.shelf, place),
        }
    }

    fn remove(&mut self, place: Place) -> Message {
        self.hide(place);
        if self.shelf.get(place).aging {
            self.ages.leave(&mut self.shelf, place);
        }
        self.shelf.take(place)
    }

    /// Receives the next message. One that was delivered as often as it may goes to the dead letters instead,
    /// and the one after it is received.
    pub(in crate::aws) fn receive(&mut self, now: Time, asks: &mut Vec<Ask>) -> Option<(Receipt, Message)> {
        while self.in_flight.len() < self.policy.in_flight_max {
            let place = self.next()?;
            let receives = self.shelf.get(place).message.receives;
            if let Some(redrive) = self.policy.redrive
                && u32::from(receives) >= redrive.receives_max
            {
                asks.push(Ask::Dead { message: self.remove(place), to: redrive.to, why: "receives" });
                continue;
            }
            self.hide(place);
            let entry = self.shelf.get_mut(place);
            entry.message.receives = receives.saturating_add(1);
            (entry.state, entry.due) = (IN_FLIGHT, now.after(self.policy.visibility));
            let message = entry.message;
            self.in_flight.join(&mut self.shelf, place);
            if let Visible::Fifo(groups) = &mut self.visible {
                groups.lock(message.tenant);
            }
            return Some((self.shelf.receipt(place), message));
        }
        None
    }

    pub(in crate::aws) fn is_fifo(&self) -> bool {
        matches!(self.visible, Visible::Fifo(_))
    }

    /// A batch is complete.
    pub(in crate::aws) fn close(&mut self) {
        if let Visible::Fifo(groups) = &mut self.visible {
            groups.close();
        }
    }

    /// A message as it was received; `None` where the receipt is not its newest.
    pub(in crate::aws) fn received(&self, receipt: Receipt) -> Option<Message> {
        self.shelf.is_newest(receipt).then(|| self.shelf.get(receipt.place).message)
    }

    /// Whether a message is still in flight by this receipt.
    pub(in crate::aws) fn holds(&self, receipt: Receipt) -> bool {
        self.shelf.is_newest(receipt) && self.shelf.get(receipt.place).state == IN_FLIGHT
    }

    /// When a received message comes back.
    pub(in crate::aws) fn due(&self, receipt: Receipt) -> Option<Time> {
        self.shelf.is_newest(receipt).then(|| self.shelf.get(receipt.place).due)
    }

    /// Deletes a message. An old receipt deletes nothing; nor does one of a FIFO queue whose time is over.
    pub(in crate::aws) fn delete(&mut self, receipt: Receipt, asks: &mut Vec<Ask>) {
        let over = self.is_fifo() && self.shelf.get(receipt.place).state != IN_FLIGHT;
        if self.shelf.is_newest(receipt) && !over {
            asks.push(Ask::Done { message: self.remove(receipt.place) });
        }
    }

    /// The next time at which something happens by itself.
    pub(in crate::aws) fn next_deadline(&self) -> Option<Time> {
        let due = |line: &Line<0>| line.first().map(|place| self.shelf.get(place).due);
        let old = self.oldest().map(|came| came.after(self.policy.retention));
        [due(&self.delayed), due(&self.in_flight), old].into_iter().flatten().min()
    }

    /// What happens by itself until now.
    pub(in crate::aws) fn pass(&mut self, now: Time, asks: &mut Vec<Ask>) {
        while let Some(place) = self.ages.first()
            && self.is_old(place, now)
        {
            if self.shelf.get(place).state == IN_FLIGHT {
                // Whoever works on it may still delete it; else it is dropped when it would come back.
                self.ages.leave(&mut self.shelf, place);
                self.shelf.get_mut(place).aging = false;
            } else {
                asks.push(Ask::Dropped { message: self.remove(place), why: "retention" });
            }
        }
        while let Some(place) = self.delayed.first()
            && self.shelf.get(place).due <= now
        {
            self.hide(place);
            self.show(place, false);
        }
        self.return_received(now, asks);
    }

    fn is_old(&self, place: Place, now: Time) -> bool {
        now >= self.shelf.get(place).came.after(self.policy.retention)
    }

    fn return_received(&mut self, now: Time, asks: &mut Vec<Ask>) {
        let mut returned = Vec::new();
        while let Some(place) = self.in_flight.first()
            && self.shelf.get(place).due <= now
        {
            self.hide(place);
            returned.push(place);
        }
        // The last first: in a FIFO queue each goes to the front of its group.
        if self.is_fifo() {
            returned.reverse();
        }
        for place in returned {
            self.show(place, true);
            if self.is_old(place, now) {
                asks.push(Ask::Dropped { message: self.remove(place), why: "retention" });
            }
        }
    }
}
