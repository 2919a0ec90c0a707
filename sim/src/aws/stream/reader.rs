//! One event source mapping of a stream: a line for each shard, or several by partition key, each in order.

use std::collections::VecDeque;

use flyball_core::{Span, Time};

use super::ReaderPolicy;
use crate::aws::{
    pipe::{self, Leg},
    target::passes,
};
use crate::{
    message::{Ask, Message, Verdict},
    used::{Meter, PartLimit, Used},
};

#[derive(Debug, Clone, Copy)]
struct Record {
    message: Message,
    came: Time,
}

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// It waits for its window to end, or to try again.
    Waits,
    Runs,
}

/// Records in order. The batch under way is its first `batch` records.
#[derive(Debug)]
struct Line {
    records: VecDeque<Record>,
    state: State,
    /// The leg that the batch under way is at.
    leg: usize,
    /// Records of the batch under way, or of the part of it that is tried alone.
    batch: usize,
    /// Records that belong to a batch that was split: they are tried before others join.
    split: Vec<usize>,
    failed: u32,
    throttled: u32,
    /// Makes wakes stale.
    turn: u32,
    bytes: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Reader {
    policy: ReaderPolicy,
    retention: Span,
    index: usize,
    /// `parallelization` for each shard.
    lines: Vec<Line>,
    waiting: u64,
    in_flight: u64,
    /// Lines whose batch runs.
    running: u64,
    batches: Meter,
}

/// Which reader a token is of.
pub(super) fn of(token: u64) -> usize {
    (token >> 56) as usize
}

/// The token of a line: 8 bits for the reader, 20 for the line, 28 for its turn.
fn token(reader: usize, line: usize, turn: u32) -> u64 {
    ((reader as u64) << 56) | ((line as u64 & 0xF_FFFF) << 32) | u64::from(turn)
}

impl Reader {
    pub(super) fn new(policy: ReaderPolicy, retention: Span, shards: u32, index: usize) -> Reader {
        let parallel = policy.parallelization.clamp(1, 10);
        let line = || Line {
            records: VecDeque::new(),
            state: State::Idle,
            leg: 0,
            batch: 0,
            split: Vec::new(),
            failed: 0,
            throttled: 0,
            turn: 0,
            bytes: 0,
        };
        let lines = (0..u64::from(shards) * u64::from(parallel)).map(|_| line()).collect();
        let policy = ReaderPolicy { parallelization: parallel, ..policy };
        let batches = Meter::level();
        Reader { policy, retention, index, lines, waiting: 0, in_flight: 0, running: 0, batches }
    }

    pub(super) fn legs(&self) -> &[Leg] {
        &self.policy.legs
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Batches at once: the mean over ten seconds, as one line has its next batch at once.
    pub(super) fn used(&self, of: PartLimit) -> Used {
        self.batches.used(of)
    }

    pub(super) fn oldest(&self) -> Option<Time> {
        self.lines.iter().filter_map(|line| line.records.front()).map(|record| record.came).min()
    }

    pub(super) fn arrive(&mut self, now: Time, shard: u32, hash: u64, message: Message, asks: &mut Vec<Ask>) {
        if !passes(self.policy.share, &self.policy.legs, &message) {
            asks.push(Ask::Done { message });
            return;
        }
        let parallel = u64::from(self.policy.parallelization);
        // Other bits of the hash than those that chose the shard.
        let at = u64::from(shard) * parallel + (hash >> 32) % parallel;
        let Ok(at) = usize::try_from(at) else { return };
        let Some(line) = self.lines.get_mut(at) else { return };
        // What counts a chain's invocations does not travel through a stream.
        line.records.push_back(Record { message: Message { receives: 0, hops: 0, ..message }, came: now });
        line.bytes += u64::from(message.bytes);
        self.waiting += 1;
        let full =
            line.records.len() >= self.policy.batch_max as usize || line.bytes >= self.policy.batch_bytes_max;
        // It waits for its line alone: for another batch than the one that runs and the one after it, and for none that
        // is tried again.
        let behind = line.records.len() > line.batch + self.policy.batch_max as usize;
        if line.state == State::Runs && line.failed == 0 && line.throttled == 0 && behind {
            self.batches.delay(now);
        }
        let gathers = self.policy.window.max(self.policy.poll);
        match line.state {
            State::Idle if gathers > Span::ZERO && !full => {
                line.state = State::Waits;
                let at_end = now.after(gathers);
                asks.push(Ask::Wake { at: at_end, token: token(self.index, at, line.turn) });
            }
            State::Idle => self.launch(at, now, asks),
            State::Waits if full && line.batch == 0 => self.launch(at, now, asks),
            State::Waits | State::Runs => {}
        }
    }

    /// Hands over the next batch of a line, if there is one.
    fn launch(&mut self, at: usize, now: Time, asks: &mut Vec<Ask>) {
        self.expire(at, now, asks);
        let (policy, index) = (&self.policy, self.index);
        let Some(line) = self.lines.get_mut(at) else { return };
        line.turn = line.turn.wrapping_add(1) & 0x0FFF_FFFF;
        if line.records.is_empty() {
            line.state = State::Idle;
            return;
        }
        if line.batch == 0 {
            line.batch = match line.split.pop() {
                Some(rest) => rest.min(line.records.len()),
                None => size(policy, &line.records),
            };
        }
        line.state = State::Runs;
        self.running += 1;
        self.batches.busy(now, self.running);
        let records = line.records.iter_mut().take(line.batch);
        let batch: Vec<Message> = records
            .map(|record| {
                record.message.receives = record.message.receives.saturating_add(1);
                record.message
            })
            .collect();
        self.waiting -= batch.len() as u64;
        self.in_flight += batch.len() as u64;
        while let Some(Leg::Deliver { to, together }) = policy.legs.get(line.leg).copied() {
            pipe::deliver(&batch, to, together, asks);
            line.leg += 1;
        }
        let token = token(index, at, line.turn);
        match policy.legs.get(line.leg).copied() {
            Some(Leg::Invoke(function)) => asks.push(Ask::Invoke { function, batch, token }),
            // Nobody is awaited. Not at once: one batch after the other would go down a call for each.
            _ => asks.push(Ask::Wake { at: now, token }),
        }
    }

    /// The first record leaves its line.
    fn leave(&mut self, at: usize) -> Option<Message> {
        let line = self.lines.get_mut(at)?;
        let record = line.records.pop_front()?;
        line.bytes = line.bytes.saturating_sub(u64::from(record.message.bytes));
        if line.batch > 0 {
            line.batch -= 1;
        } else if let Some(rest) = line.split.last_mut() {
            *rest = rest.saturating_sub(1);
            if *rest == 0 {
                line.split.pop();
            }
        }
        self.waiting = self.waiting.saturating_sub(1);
        Some(record.message)
    }

    /// Records that are too old are given up: by the mapping's own age to its destination, by the stream's
    /// retention for good.
    fn expire(&mut self, at: usize, now: Time, asks: &mut Vec<Ask>) {
        while let Some(first) = self.lines.get(at).and_then(|line| line.records.front().copied()) {
            let age = now.since(first.came);
            if age < self.retention && self.policy.age_max.is_none_or(|most| age <= most) {
                return;
            }
            let gone = age >= self.retention;
            if self.lines.get(at).is_some_and(|line| line.batch <= 1)
                && let Some(line) = self.lines.get_mut(at)
            {
                (line.failed, line.throttled) = (0, 0);
            }
            let Some(message) = self.leave(at) else { return };
            match self.policy.dead.filter(|_| !gone) {
                Some(to) => asks.push(Ask::Dead { message, to, why: "age" }),
                None => asks.push(Ask::Dropped { message, why: if gone { "retention" } else { "age" } }),
            }
        }
    }

    pub(super) fn wake(&mut self, now: Time, woken: u64, asks: &mut Vec<Ask>) {
        let at = ((woken >> 32) & 0xF_FFFF) as usize;
        let Some(line) = self.lines.get(at) else { return };
        if woken != token(self.index, at, line.turn) {
            return;
        }
        match line.state {
            State::Waits => self.launch(at, now, asks),
            State::Runs if line.leg >= self.policy.legs.len() => {
                self.answered(now, woken, Verdict::Done, asks);
            }
            State::Runs | State::Idle => {}
        }
    }

    pub(super) fn answered(&mut self, now: Time, woken: u64, verdict: Verdict, asks: &mut Vec<Ask>) {
        let at = ((woken >> 32) & 0xF_FFFF) as usize;
        let Some(line) = self.lines.get(at) else { return };
        if line.state != State::Runs || woken != token(self.index, at, line.turn) {
            return;
        }
        self.running = self.running.saturating_sub(1);
        self.batches.busy(now, self.running);
        let batch = line.batch as u64;
        self.in_flight -= batch;
        self.waiting += batch;
        match verdict {
            Verdict::Throttled(_) | Verdict::Refused(_) => {
                if let Some(line) = self.lines.get_mut(at) {
                    line.throttled = line.throttled.saturating_add(1);
                    for record in line.records.iter_mut().take(line.batch) {
                        record.message.receives = record.message.receives.saturating_sub(1);
                    }
                }
                self.wait(at, now, asks);
            }
            Verdict::Failed(_) => self.failed(at, 0, now, asks),
            Verdict::Partly(places) if self.policy.partial_failures => match places.into_iter().min() {
                Some(first) => self.failed(at, first, now, asks),
                None => self.passed(at, now, asks),
            },
            Verdict::Partly(_) | Verdict::Done => self.passed(at, now, asks),
        }
    }

    fn done(&mut self, at: usize, records: usize, asks: &mut Vec<Ask>) {
        for _ in 0..records {
            let Some(message) = self.leave(at) else { return };
            asks.push(Ask::Done { message });
        }
    }

    fn passed(&mut self, at: usize, now: Time, asks: &mut Vec<Ask>) {
        if let Some(line) = self.lines.get_mut(at) {
            line.leg += 1;
            if line.leg < self.policy.legs.len() {
                self.launch(at, now, asks);
                return;
            }
        }
        let batch = self.lines.get(at).map_or(0, |line| line.batch);
        self.done(at, batch, asks);
        self.next(at, now, asks);
    }

    /// The next batch, or rest.
    fn next(&mut self, at: usize, now: Time, asks: &mut Vec<Ask>) {
        self.expire(at, now, asks);
        let Some(line) = self.lines.get_mut(at) else { return };
        (line.leg, line.batch, line.failed, line.throttled) = (0, 0, 0, 0);
        let full =
            line.records.len() >= self.policy.batch_max as usize || line.bytes >= self.policy.batch_bytes_max;
        let gathers = self.policy.window.max(self.policy.poll);
        if line.records.is_empty() || gathers == Span::ZERO || full || !line.split.is_empty() {
            self.launch(at, now, asks);
        } else {
            line.turn = line.turn.wrapping_add(1) & 0x0FFF_FFFF;
            line.state = State::Waits;
            asks.push(Ask::Wake { at: now.after(gathers), token: token(self.index, at, line.turn) });
        }
    }

    /// The batch failed from its `first` record on; what is before it is done.
    fn failed(&mut self, at: usize, first: usize, now: Time, asks: &mut Vec<Ask>) {
        let batch = self.lines.get(at).map_or(0, |line| line.batch);
        let passed = first.min(batch.saturating_sub(1));
        self.done(at, passed, asks);
        let Some(line) = self.lines.get_mut(at) else { return };
        (line.leg, line.throttled) = (0, 0);
        if passed > 0 {
            // Another batch than before: it begins at the record that failed.
            line.failed = 0;
        }
        // Where the answer says where it failed, that is the split.
        if self.policy.bisect && line.batch > 1 && passed == 0 {
            let half = line.batch / 2;
            line.split.push(line.batch - half);
            line.batch = half;
            line.failed = 0;
            self.wait(at, now, asks);
            return;
        }
        line.failed = line.failed.saturating_add(1);
        let (failed, batch) = (line.failed, line.batch);
        if self.policy.attempts_max.is_none_or(|most| failed < most) {
            self.wait(at, now, asks);
            return;
        }
        for _ in 0..batch {
            let Some(message) = self.leave(at) else { break };
            match self.policy.dead {
                Some(to) => asks.push(Ask::Dead { message, to, why: "attempts" }),
                None => asks.push(Ask::Dropped { message, why: "attempts" }),
            }
        }
        self.next(at, now, asks);
    }

    /// The line is blocked until it tries again.
    fn wait(&mut self, at: usize, now: Time, asks: &mut Vec<Ask>) {
        let (first, most, index) = (self.policy.retry_wait.0, self.policy.retry_wait_max.0, self.index);
        let Some(line) = self.lines.get_mut(at) else { return };
        let tries = line.failed.max(line.throttled).saturating_sub(1).min(32);
        let wait = Span(first.saturating_mul(1 << tries).min(most).max(1));
        line.turn = line.turn.wrapping_add(1) & 0x0FFF_FFFF;
        line.state = State::Waits;
        asks.push(Ask::Wake { at: now.after(wait), token: token(index, at, line.turn) });
    }
}

/// How many records the next batch has.
fn size(policy: &ReaderPolicy, records: &VecDeque<Record>) -> usize {
    let mut bytes = 0_u64;
    let fits = |record: &&Record| {
        bytes += u64::from(record.message.bytes);
        bytes <= policy.batch_bytes_max
    };
    // A record that is alone too large goes alone.
    records.iter().take(policy.batch_max as usize).take_while(fits).count().max(1)
}
