//! The event source mapping of a queue: pollers that take messages, then ask for the function.
//!
//! Messages are in flight from the moment a poller has them, before it is known whether the function can run:
//! while it is throttled they stay in flight, until their visibility timeout ends and brings them a delivery
//! nearer to the dead letters.
//!
//! Polling itself costs nothing here: an arrival wakes an idle poller, as long polling does.

use flyball_app::{
    design::EventSource,
    profile::{Limit, Profile},
};
use flyball_core::{Span, Time};

use super::{
    pipe::{self, Leg},
    queue::Stock,
    rows,
    shelf::Receipt,
    target::passes,
};
use crate::{
    message::{Ask, FunctionNo, Message, Verdict},
    used::{CameBack, Meter, PartLimit, Used},
};

const MINUTE: Span = Span::from_secs(60);

/// How a queue's messages come to a function.
#[derive(Debug, Clone, PartialEq)]
pub struct PollersPolicy {
    /// What is done with a batch: a function is invoked. A pipe: its enrichment, and then its target.
    pub legs: Vec<Leg>,
    /// It is a pipe's.
    pub pipe: bool,
    /// How likely a message passes its filter, 0 to 1: filters are not evaluated, so that this is stated or an
    /// assumption. What does not pass is deleted and reaches no function (AWS Lambda developer guide,
    /// invocation-eventfiltering).
    pub share: f64,
    /// Messages in a batch. `BatchSize`, else row `event_source.queue_batch_default`.
    pub batch_max: u32,
    /// Bytes in a batch. Row `lambda.request_bytes_max`; what surrounds the messages is not counted.
    pub batch_bytes_max: u64,
    /// How long a batch that is not full waits for more. `MaximumBatchingWindowInSeconds`, else none.
    pub window: Span,
    /// Batches at once when messages begin to arrive. Row `event_source.pollers_start`.
    pub start: u32,
    /// Batches at once that are added in a minute while messages wait. Row `event_source.pollers_per_minute`;
    /// that they are added evenly is an assumption.
    pub per_minute: u32,
    /// Batches at once. `MaximumConcurrency`, else row `event_source.pollers_max`.
    pub max: u32,
    /// Where that is from.
    pub bound: Bound,
    /// Answers that name the failed messages are heeded. `ReportBatchItemFailures`.
    pub partial_failures: bool,
    /// Batches at once to which errors can bring it down. Assumption: 2, the documented least of an idle
    /// mapping.
    pub least: u32,
    /// Of the batches at once, what one step of backing off leaves, percent. That it backs off is documented
    /// (AWS Lambda developer guide, services-sqs-errorhandling); how fast is an assumption.
    pub backoff_leaves_percent: u32,
    /// From one step of backing off to the next, and to growing again. Assumption.
    pub backoff_wait: Span,
    /// How long a throttled batch waits before it is tried again; twice as long each time. That it is tried
    /// again until its visibility timeout ends is documented (there); how often is an assumption.
    pub throttle_wait: Span,
    /// It never waits longer. Assumption.
    pub throttle_wait_max: Span,
}

/// Where the most batches at once are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// `MaximumConcurrency`.
    Stated,
    /// Row `event_source.pollers_max`.
    Ceiling,
    /// The provisioned pollers there may be.
    Provisioned,
}

impl PollersPolicy {
    /// What the design states, and AWS's defaults.
    pub fn of(profile: &Profile, source: &EventSource, function: FunctionNo, fifo: bool) -> PollersPolicy {
        let ceiling = rows::count(profile, Limit::EventSourcePollersMax, 1_250);
        let mut policy = PollersPolicy {
            legs: vec![Leg::Invoke(function)],
            pipe: false,
            share: 1.0,
            batch_max: batch_max(profile, source, fifo),
            batch_bytes_max: rows::number(profile, Limit::LambdaRequestBytesMax, 6_291_456),
            window: if fifo { Span::ZERO } else { rows::stated_seconds(&source.window_s, Span::ZERO) },
            start: rows::count(profile, Limit::EventSourcePollersStart, 5),
            per_minute: rows::count(profile, Limit::EventSourcePollersPerMinute, 300),
            max: ceiling,
            bound: Bound::Ceiling,
            partial_failures: source.partial_failures.stated() == Some(&true),
            least: 2,
            backoff_leaves_percent: 75,
            backoff_wait: Span::from_secs(10),
            throttle_wait: Span::from_secs(1),
            throttle_wait_max: Span::from_secs(60),
        };
        if fifo {
            // As many as there are groups: no ramp is documented.
            policy.start = ceiling;
        }
        if source.provisioned_pollers {
            // Two pollers at least and 200 at most where nothing is stated, of ten batches each; 1,000
            // batches a minute: the row "Provisioned mode" of AWS's facts.
            (policy.start, policy.max, policy.per_minute) = (20, 2_000, 1_000);
            policy.bound = Bound::Provisioned;
        }
        if source.concurrency_max.stated().is_some() {
            policy.max = rows::stated_count(&source.concurrency_max, ceiling).max(1);
            policy.bound = Bound::Stated;
        }
        policy
    }

    /// From one batch at once more to the next.
    fn step(&self) -> Span {
        Span(MINUTE.0 / u64::from(self.per_minute.max(1)))
    }
}

/// `BatchSize`, within what AWS takes: above 10 only with a window.
fn batch_max(profile: &Profile, source: &EventSource, fifo: bool) -> u32 {
    let windowed = source.window_s.stated().is_some_and(|window| *window > 0);
    let most = if fifo {
        rows::count(profile, Limit::EventSourceFifoBatchMax, 10)
    } else if windowed {
        rows::count(profile, Limit::EventSourceQueueBatchMax, 10_000)
    } else {
        rows::count(profile, Limit::EventSourceUnwindowedBatchMax, 10)
    };
    let default = rows::count(profile, Limit::EventSourceQueueBatchDefault, 10);
    rows::stated_count(&source.batch_max, default).clamp(1, most)
}

/// What a token of a mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// One batch at once more.
    Grow,
    /// The window of a batch ends.
    Window,
    /// A throttled batch is tried again.
    Again,
    /// The function has ended.
    Run,
}

/// A token of a mapping: which mapping, what for, and which batch. Those of the queue itself are below all of
/// them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// Which mapping of the queue.
    pub mapping: usize,
    /// What for.
    pub purpose: Purpose,
    place: u32,
    generation: u32,
}

impl Token {
    fn encode(self) -> u64 {
        let purpose = match self.purpose {
            Purpose::Grow => 0,
            Purpose::Window => 1,
            Purpose::Again => 2,
            Purpose::Run => 3,
        };
        let mapping = (self.mapping as u64 & 0xFF) + 1;
        let place = u64::from(self.place) & 0xF_FFFF;
        (mapping << 54) | (purpose << 52) | (place << 32) | u64::from(self.generation)
    }

    /// `None`: not a mapping's.
    pub(super) fn decode(token: u64) -> Option<Token> {
        let purpose = match (token >> 52) & 3 {
            0 => Purpose::Grow,
            1 => Purpose::Window,
            2 => Purpose::Again,
            _ => Purpose::Run,
        };
        let mapping = usize::try_from(token >> 54).ok()?.checked_sub(1)?;
        let place = u32::try_from((token >> 32) & 0xF_FFFF).ok()?;
        let generation = u32::try_from(token & u64::from(u32::MAX)).ok()?;
        Some(Token { mapping, purpose, place, generation })
    }
}

/// Mappings of one queue at most: what its tokens can name.
pub(super) const MAPPINGS_MAX: usize = 256;
/// Batches at once of one mapping at most: what its tokens can name.
const BATCHES_MAX: u32 = 1 << 20;

#[derive(Debug, Default)]
struct Batch {
    /// The leg that it is at.
    leg: usize,
    receipts: Vec<Receipt>,
    /// What is to be handed over; empty while the function has it.
    messages: Vec<Message>,
    bytes: u64,
    throttled: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    batch: Option<Batch>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Pollers {
    policy: PollersPolicy,
    /// Which of its queue's.
    index: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    gathering: Option<u32>,
    scale: Scale,
    batches: Meter,
    /// Batches that keep their place and wait after a throttle.
    throttled: u32,
    came_back: CameBack,
}

/// How many batches there may be at once.
#[derive(Debug)]
struct Scale {
    allowed: u32,
    /// Since when the peak is counted.
    since: Time,
    /// Batches at once since then.
    peak: u32,
    /// A wake to grow is under way.
    growing: bool,
    /// Neither growing nor backing off before this.
    quiet_until: Time,
}

impl Pollers {
    pub(super) fn new(policy: PollersPolicy, index: usize) -> Pollers {
        let max = policy.max.min(BATCHES_MAX);
        let policy = PollersPolicy { max, start: policy.start.min(max), ..policy };
        let (since, quiet_until) = (Time(0), Time(0));
        let scale = Scale { allowed: policy.start, since, peak: 0, growing: false, quiet_until };
        let (batches, came_back) = (Meter::level(), CameBack::default());
        let (slots, free) = (Vec::new(), Vec::new());
        Pollers { policy, index, slots, free, gathering: None, scale, batches, throttled: 0, came_back }
    }

    /// Batches at once, those that are being filled and those that wait after a throttle included.
    pub(super) fn busy(&self) -> u32 {
        u32::try_from(self.slots.len() - self.free.len()).unwrap_or(u32::MAX)
    }

    /// A message has come and waits: it counts where that is because of the most batches that there may be, none of
    /// which is kept by a throttle.
    pub(super) fn waits(&mut self, now: Time) {
        if self.gathering.is_none() && self.throttled == 0 && self.busy() >= self.policy.max {
            self.batches.delay(now);
        }
    }

    /// Batches at once.
    pub(super) fn used(&self) -> Used {
        self.batches.used(PartLimit::Batches(self.index))
    }

    /// Messages that came back.
    pub(super) fn came_back(&self) -> CameBack {
        self.came_back
    }

    /// What it does with a batch.
    pub(super) fn legs(&self) -> &[Leg] {
        &self.policy.legs
    }

    /// Whether it would take a message now.
    pub(super) fn has_room(&mut self, now: Time) -> bool {
        self.shrink(now);
        self.gathering.is_some() || self.busy() < self.scale.allowed
    }

    /// Back to what was used in the last minute, to the start where nothing was: how fast is an assumption.
    fn shrink(&mut self, now: Time) {
        let passed = now.since(self.scale.since);
        if passed < MINUTE {
            return;
        }
        let used = if passed < Span(MINUTE.0 * 2) { self.scale.peak } else { self.busy() };
        self.scale.allowed = self.scale.allowed.min(used.max(self.policy.start));
        (self.scale.since, self.scale.peak) = (now, self.busy());
    }

    /// Takes messages for one batch, and hands it over when it is full or need not wait.
    pub(super) fn fill(&mut self, stock: &mut Stock, now: Time, asks: &mut Vec<Ask>) {
        let (place, fresh) = match self.gathering {
            Some(place) => (place, false),
            None => (self.open(now), true),
        };
        let Some(mut batch) = self.batch_mut(place).map(std::mem::take) else { return };
        let full = fill(&self.policy, &mut batch, stock, now, asks);
        stock.close();
        let empty = batch.receipts.is_empty();
        if let Some(kept) = self.batch_mut(place) {
            *kept = batch;
        }
        if empty {
            self.close(place);
        } else if full || self.policy.window == Span::ZERO {
            self.launch(place, stock, asks);
        } else if fresh {
            self.gathering = Some(place);
            asks.push(Ask::Wake {
                at: now.after(self.policy.window),
                token: self.token(Purpose::Window, place),
            });
        }
    }

    fn token(&self, purpose: Purpose, place: u32) -> u64 {
        let generation = self.slots.get(place as usize).map_or(0, |slot| slot.generation);
        Token { mapping: self.index, purpose, place, generation }.encode()
    }

    fn open(&mut self, now: Time) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, batch: None });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(slot) = self.slots.get_mut(place as usize) {
            slot.batch = Some(Batch::default());
        }
        self.scale.peak = self.scale.peak.max(self.busy());
        self.batches.stands(now, u64::from(self.busy()));
        place
    }

    fn batch_mut(&mut self, place: u32) -> Option<&mut Batch> {
        self.slots.get_mut(place as usize)?.batch.as_mut()
    }

    fn close(&mut self, place: u32) -> Option<Batch> {
        if self.gathering == Some(place) {
            self.gathering = None;
        }
        let slot = self.slots.get_mut(place as usize)?;
        let batch = slot.batch.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(place);
        Some(batch)
    }

    /// A batch goes its way, as far as nothing has to be awaited.
    fn launch(&mut self, place: u32, stock: &mut Stock, asks: &mut Vec<Ask>) {
        if self.gathering == Some(place) {
            self.gathering = None;
        }
        let token = self.token(Purpose::Run, place);
        loop {
            let Some(at) = self.batch_mut(place).map(|batch| batch.leg) else { return };
            let leg = self.policy.legs.get(at).copied();
            let Some(batch) = self.batch_mut(place) else { return };
            match leg {
                Some(Leg::Invoke(function)) => {
                    asks.push(Ask::Invoke { function, batch: std::mem::take(&mut batch.messages), token });
                    return;
                }
                Some(Leg::Deliver { to, together }) => {
                    pipe::deliver(&batch.messages, to, together, asks);
                    batch.leg += 1;
                }
                None => {
                    self.settle(place, Vec::new(), stock, asks);
                    return;
                }
            }
        }
    }

    /// A leg is over: the next one, or the end.
    fn leg_over(&mut self, place: u32, failed: Vec<usize>, stock: &mut Stock, asks: &mut Vec<Ask>) {
        let legs = self.policy.legs.len();
        match self.batch_mut(place) {
            Some(batch) if batch.leg + 1 < legs => {
                batch.leg += 1;
                batch.messages =
                    batch.receipts.iter().filter_map(|receipt| stock.received(*receipt)).collect();
                self.launch(place, stock, asks);
            }
            _ => self.settle(place, failed, stock, asks),
        }
    }

    /// Asks to be woken for one batch at once more, where messages wait and all that are allowed are in use.
    pub(super) fn grow_later(&mut self, waiting: bool, now: Time, asks: &mut Vec<Ask>) {
        let scale = &self.scale;
        let short = waiting && self.busy() >= scale.allowed && scale.allowed < self.policy.max;
        if short && !scale.growing {
            let at = scale.quiet_until.max(now).after(self.policy.step());
            asks.push(Ask::Wake { at, token: self.token(Purpose::Grow, u32::MAX) });
            self.scale.growing = true;
        }
    }

    /// A time that it asked for has come. `waiting`: whether messages wait.
    pub(super) fn wake(&mut self, token: Token, stock: &mut Stock, now: Time, asks: &mut Vec<Ask>) {
        if token.purpose == Purpose::Grow {
            self.scale.growing = false;
            self.shrink(now);
            let short = stock.is_receivable() && self.busy() >= self.scale.allowed;
            if short && now >= self.scale.quiet_until {
                self.scale.allowed = self.scale.allowed.saturating_add(1).min(self.policy.max);
            }
        } else if self.is_current(token) {
            match token.purpose {
                // It may have gone before, full.
                Purpose::Window if self.gathering != Some(token.place) => {}
                Purpose::Window => self.launch(token.place, stock, asks),
                _ => self.again(token.place, stock, now, asks),
            }
        }
    }

    fn is_current(&self, token: Token) -> bool {
        let slot = self.slots.get(token.place as usize);
        slot.is_some_and(|slot| slot.generation == token.generation && slot.batch.is_some())
    }

    /// Whether none of a batch's messages is its any more.
    pub(super) fn is_stale(&self, token: Token, stock: &Stock) -> bool {
        let batch = self.slots.get(token.place as usize).and_then(|slot| slot.batch.as_ref());
        self.is_current(token)
            && batch
                .is_some_and(|batch| batch.receipts.iter().all(|receipt| stock.received(*receipt).is_none()))
    }

    /// A throttled batch is tried again, unless its first message is about to come back.
    fn again(&mut self, place: u32, stock: &mut Stock, now: Time, asks: &mut Vec<Ask>) {
        self.throttled = self.throttled.saturating_sub(1);
        let Some(batch) = self.batch_mut(place) else { return };
        let due = batch.receipts.first().and_then(|receipt| stock.due(*receipt));
        if due.is_none_or(|due| now >= due) {
            self.give_back(place);
            return;
        }
        batch.messages = batch.receipts.iter().filter_map(|receipt| stock.received(*receipt)).collect();
        self.launch(place, stock, asks);
    }

    /// The function has ended, or was not begun.
    pub(super) fn answered(
        &mut self,
        token: Token,
        verdict: Verdict,
        stock: &mut Stock,
        now: Time,
        asks: &mut Vec<Ask>,
    ) {
        if !self.is_current(token) {
            return;
        }
        match verdict {
            Verdict::Throttled(_) | Verdict::Refused(_) => {
                self.back_off(now);
                self.wait(token.place, stock, now, asks);
            }
            Verdict::Failed(_) => {
                self.count(token.place, None, stock);
                if !self.policy.partial_failures {
                    self.back_off(now);
                }
                self.close(token.place);
            }
            Verdict::Partly(failed) if self.policy.partial_failures => {
                self.count(token.place, Some(failed.len()), stock);
                self.leg_over(token.place, failed, stock, asks);
            }
            // Without `ReportBatchItemFailures` nobody reads which of them failed.
            Verdict::Partly(_) | Verdict::Done => {
                self.count(token.place, Some(0), stock);
                self.leg_over(token.place, Vec::new(), stock, asks);
            }
        }
    }

    /// Counts what comes back of a batch that has run. `failed`: how many failed, if not all.
    fn count(&mut self, place: u32, failed: Option<usize>, stock: &Stock) {
        let Some(batch) = self.slots.get(place as usize).and_then(|slot| slot.batch.as_ref()) else { return };
        let late = batch.receipts.iter().filter(|receipt| !stock.holds(**receipt)).count();
        let held = batch.receipts.len() - late;
        self.came_back += CameBack {
            failed: failed.map_or(held, |failed| failed.min(held)) as u64,
            throttled: 0,
            late: late as u64,
        };
    }

    /// A throttled batch comes back.
    fn give_back(&mut self, place: u32) {
        if let Some(batch) = self.close(place) {
            self.came_back.throttled += batch.receipts.len() as u64;
        }
    }

    fn settle(&mut self, place: u32, mut failed: Vec<usize>, stock: &mut Stock, asks: &mut Vec<Ask>) {
        let Some(batch) = self.close(place) else { return };
        failed.sort_unstable();
        // Functions that read from FIFO queues are to stop at the first failure and report all that follow.
        let end = if stock.is_fifo() { failed.first().copied() } else { None };
        for (at, receipt) in batch.receipts.into_iter().enumerate().take(end.unwrap_or(usize::MAX)) {
            if failed.binary_search(&at).is_err() {
                stock.delete(receipt, asks);
            }
        }
    }

    /// A throttled batch keeps its place and waits.
    fn wait(&mut self, place: u32, stock: &Stock, now: Time, asks: &mut Vec<Ask>) {
        let (first, most) = (self.policy.throttle_wait.0, self.policy.throttle_wait_max.0);
        let Some(batch) = self.batch_mut(place) else { return };
        let wait = Span(first.saturating_mul(1 << batch.throttled.min(32)).min(most).max(1));
        batch.throttled += 1;
        let due = batch.receipts.first().and_then(|receipt| stock.due(*receipt));
        match due {
            Some(due) if due > now => {
                let at = now.after(wait).min(due);
                self.throttled += 1;
                asks.push(Ask::Wake { at, token: self.token(Purpose::Again, place) });
            }
            _ => self.give_back(place),
        }
    }

    fn back_off(&mut self, now: Time) {
        let policy = &self.policy;
        if now < self.scale.quiet_until {
            return;
        }
        let left = u64::from(self.scale.allowed) * u64::from(policy.backoff_leaves_percent.min(100)) / 100;
        let least = policy.least.min(self.scale.allowed);
        self.scale.allowed = u32::try_from(left).unwrap_or(u32::MAX).max(least);
        self.scale.quiet_until = now.after(policy.backoff_wait);
    }
}

/// Takes messages into a batch. Whether it is full.
fn fill(
    policy: &PollersPolicy,
    batch: &mut Batch,
    stock: &mut Stock,
    now: Time,
    asks: &mut Vec<Ask>,
) -> bool {
    while batch.receipts.len() < policy.batch_max as usize {
        let Some(bytes) = stock.next_bytes() else { return false };
        if !batch.receipts.is_empty() && batch.bytes + u64::from(bytes) > policy.batch_bytes_max {
            return true;
        }
        let Some((receipt, message)) = stock.receive(now, asks) else { return false };
        if !passes(policy.share, &policy.legs, &message) {
            stock.delete(receipt, asks);
            continue;
        }
        batch.receipts.push(receipt);
        batch.messages.push(message);
        batch.bytes += u64::from(message.bytes);
    }
    true
}
