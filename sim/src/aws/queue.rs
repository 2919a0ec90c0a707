//! SQS: a queue, standard or FIFO, with the event source mappings that read from it.
//!
//! A message is visible, delayed or in flight. It ends in one way: deleted by whoever handled it, in the dead
//! letters once it was delivered too often, or dropped when it has become too old.

mod groups;
mod sent;
mod stock;
#[cfg(test)]
mod tests;

use flyball_app::{
    design,
    design::Setting,
    profile::{Limit, Profile},
};
use flyball_core::{Span, Time};

use super::{
    pipe,
    pollers::{MAPPINGS_MAX, Pollers, PollersPolicy, Token},
    rate::Bucket,
    rows,
};
use crate::{
    message::{Ask, Message, NodeNo, Part, Verdict},
    used::{CameBack, Meter, PartLimit, Used},
};
use sent::Sent;
pub(super) use stock::Stock;

/// The numbers of a queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueuePolicy {
    /// How long a received message is hidden. `VisibilityTimeout`, else row `queue.visibility_default`.
    pub visibility: Span,
    /// How long a message is kept, from when it came here. `MessageRetentionPeriod`, else row
    /// `queue.retention_default`. One that is in flight then may still be deleted by whoever has it
    /// (assumption).
    pub retention: Span,
    /// How long a new message is hidden. `DelaySeconds`, else none.
    pub delay: Span,
    /// Messages that are received and not deleted. Row `queue.in_flight_max`, or `queue.fifo_in_flight_max`.
    pub in_flight_max: u64,
    /// `RedrivePolicy`. `None`: messages are delivered until they are too old.
    pub redrive: Option<Redrive>,
    /// First in, first out, by group. `None`: a standard queue.
    pub fifo: Option<FifoPolicy>,
}

/// Where messages go that were delivered too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redrive {
    /// Deliveries before that. `maxReceiveCount`, else row `queue.receives_default`.
    pub receives_max: u32,
    /// The dead letters. `None`: not simulated.
    pub to: Option<NodeNo>,
}

/// What FIFO queues have beside that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FifoPolicy {
    /// Messages that are taken in a second, one to a call; more are refused. Row `queue.fifo_per_s`, with
    /// high throughput `queue.fifo_high_per_s` (that of the largest regions).
    pub sends_per_s: u32,
    /// Receives a second, each of one batch; more wait. The same row.
    pub receives_per_s: u32,
    /// A message with an id that was sent in this time is taken and not delivered. Row `queue.fifo_dedup_window`.
    /// That copies of one message have the same id is an assumption.
    pub dedup_window: Span,
}

impl QueuePolicy {
    /// What the design states, and AWS's defaults. `dead`: the edge to the dead letters, with
    /// `maxReceiveCount` and where it leads.
    pub fn of(
        profile: &Profile,
        queue: &design::Queue,
        dead: Option<(&Setting<i64>, Option<NodeNo>)>,
    ) -> QueuePolicy {
        let receives = rows::count(profile, Limit::QueueReceivesDefault, 10);
        let redrive = dead.map(|(attempts, to)| Redrive {
            receives_max: rows::stated_count(attempts, receives).max(1),
            to,
        });
        let unsimulated = || Redrive { receives_max: receives, to: None };
        let redrive = redrive.or_else(|| (queue.redrive.stated() == Some(&true)).then(unsimulated));
        let visibility = rows::seconds(profile, Limit::QueueVisibilityDefault, 30);
        let retention = rows::seconds(profile, Limit::QueueRetentionDefault, 345_600);
        let in_flight = if queue.fifo { Limit::QueueFifoInFlightMax } else { Limit::QueueInFlightMax };
        let high = queue.high_throughput.stated() == Some(&true);
        let (row, or) = if high { (Limit::QueueFifoHighPerS, 70_000) } else { (Limit::QueueFifoPerS, 300) };
        let calls = rows::count(profile, row, or);
        QueuePolicy {
            visibility: rows::stated_seconds(&queue.visibility_s, visibility),
            retention: rows::stated_seconds(&queue.retention_s, retention),
            delay: rows::stated_seconds(&queue.delay_s, Span::ZERO),
            in_flight_max: rows::number(profile, in_flight, 120_000),
            redrive,
            fifo: queue.fifo.then_some(FifoPolicy {
                sends_per_s: calls,
                receives_per_s: calls,
                dedup_window: rows::seconds(profile, Limit::QueueFifoDedupWindow, 300),
            }),
        }
    }
}

/// The queue's own token; those of its mappings are above.
const TIMER: u64 = 0;
/// Its token for when it may be received from again.
const RECEIVES: u64 = 1;

/// See the module's text.
#[derive(Debug)]
pub struct Queue {
    stock: Stock,
    mappings: Vec<Pollers>,
    /// Whose turn it is: several mappings share a queue evenly.
    turn: usize,
    /// The earliest wake that is under way for the stock.
    armed: Option<Time>,
    /// A wake for the next receive is under way.
    waits_for_rate: bool,
    sends: Option<Rate>,
    receives: Option<Rate>,
    sent: Option<Sent>,
}

/// A bucket, with what was taken out of it.
#[derive(Debug)]
struct Rate {
    bucket: Bucket,
    used: Meter,
}

impl Rate {
    fn new(per_s: u32) -> Rate {
        let bucket = Bucket::new(u64::from(per_s), u64::from(per_s));
        Rate { bucket, used: Meter::rate(per_s, per_s) }
    }

    fn take(&mut self, now: Time) -> bool {
        let taken = self.bucket.take(now, 1);
        if taken {
            self.used.took(now, 1);
        }
        taken
    }
}

impl Queue {
    /// A queue and who reads from it: at most 256 event source mappings, more are left out.
    pub fn new(policy: QueuePolicy, mappings: impl IntoIterator<Item = PollersPolicy>) -> Queue {
        let policies = mappings.into_iter().take(MAPPINGS_MAX).enumerate();
        Queue {
            stock: Stock::new(policy),
            mappings: policies.map(|(index, policy)| Pollers::new(policy, index)).collect(),
            turn: 0,
            armed: None,
            waits_for_rate: false,
            sends: policy.fifo.map(|fifo| Rate::new(fifo.sends_per_s)),
            receives: policy.fifo.map(|fifo| Rate::new(fifo.receives_per_s)),
            sent: policy.fifo.map(|fifo| Sent::new(fifo.dedup_window)),
        }
    }

    /// Batches at once of all its mappings: those that are filled, run, or wait after a throttle.
    pub fn batches(&self) -> u64 {
        self.mappings.iter().map(|mapping| u64::from(mapping.busy())).sum()
    }

    /// Pollers take what can be received; the rest waits for its time.
    fn pull(&mut self, now: Time, asks: &mut Vec<Ask>) {
        let mut passed = 0;
        while passed < self.mappings.len() && self.stock.is_receivable() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.mappings.len();
            let Some(mapping) = self.mappings.get_mut(turn) else { break };
            passed += 1;
            if !mapping.has_room(now) {
                continue;
            }
            if let Some(receives) = &mut self.receives
                && !receives.take(now)
            {
                if !self.waits_for_rate {
                    receives.used.delay(now);
                    asks.push(Ask::Wake { at: receives.bucket.ready(now, 1), token: RECEIVES });
                }
                self.waits_for_rate = true;
                break;
            }
            mapping.fill(&mut self.stock, now, asks);
            passed = 0;
        }
        let waiting = self.stock.is_receivable();
        for mapping in &mut self.mappings {
            mapping.grow_later(waiting, now, asks);
        }
        let next = self.stock.next_deadline();
        if let Some(at) = next
            && self.armed.is_none_or(|armed| at < armed)
        {
            asks.push(Ask::Wake { at, token: TIMER });
            self.armed = next;
        }
    }
}

impl Part for Queue {
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>) {
        if let Some(sends) = &mut self.sends
            && !sends.take(now)
        {
            sends.used.refuse(now);
            asks.push(Ask::Refused { message, why: "rate" });
            return;
        }
        if self.sent.as_mut().is_some_and(|sent| !sent.is_new(now, message.id)) {
            // Its sender is told that it was sent.
            asks.push(Ask::Done { message });
            return;
        }
        self.stock.add(now, message);
        self.pull(now, asks);
        if self.stock.is_receivable() {
            self.mappings.iter_mut().for_each(|mapping| mapping.waits(now));
        }
    }

    fn wake(&mut self, now: Time, token: u64, asks: &mut Vec<Ask>) {
        if let Some(token) = Token::decode(token) {
            if let Some(mapping) = self.mappings.get_mut(token.mapping) {
                mapping.wake(token, &mut self.stock, now, asks);
            }
        } else if token == RECEIVES {
            self.waits_for_rate = false;
        } else {
            if self.armed.is_some_and(|armed| armed <= now) {
                self.armed = None;
            }
            self.stock.pass(now, asks);
        }
        self.pull(now, asks);
    }

    fn answered(&mut self, now: Time, token: u64, verdict: Verdict, asks: &mut Vec<Ask>) {
        // A throttled batch keeps its place: there is no room for another, and none may be asked for in its
        // stead.
        let throttled = matches!(verdict, Verdict::Throttled(_) | Verdict::Refused(_));
        if let Some(token) = Token::decode(token)
            && let Some(mapping) = self.mappings.get_mut(token.mapping)
        {
            mapping.answered(token, verdict, &mut self.stock, now, asks);
        }
        if !throttled {
            self.pull(now, asks);
        }
    }

    fn refused(&mut self, _now: Time, by: NodeNo, message: Message, asks: &mut Vec<Ask>) {
        pipe::refused(self.mappings.iter().flat_map(Pollers::legs), by, message, asks);
    }

    fn waiting(&self) -> u64 {
        self.stock.waiting()
    }

    fn in_flight(&self) -> u64 {
        self.stock.in_flight()
    }

    fn oldest(&self) -> Option<Time> {
        self.stock.oldest()
    }

    fn used(&self) -> Vec<Used> {
        let rate = |rate: &Option<Rate>, of| rate.as_ref().map(|rate| rate.used.used(of));
        let rates = [rate(&self.sends, PartLimit::Intake), rate(&self.receives, PartLimit::Output)];
        rates.into_iter().flatten().chain(self.mappings.iter().map(Pollers::used)).collect()
    }

    fn came_back(&self) -> CameBack {
        let mut all = CameBack::default();
        for mapping in &self.mappings {
            all += mapping.came_back();
        }
        all
    }

    fn is_stale(&self, token: u64) -> bool {
        let token = Token::decode(token);
        let mapping = |token: Token| Some((self.mappings.get(token.mapping)?, token));
        token.and_then(mapping).is_some_and(|(mapping, token)| mapping.is_stale(token, &self.stock))
    }
}
