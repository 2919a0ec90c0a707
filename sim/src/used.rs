//! How much of its limits a part has used.

use flyball_core::{Span, Time};

/// Which limit of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartLimit {
    /// Batches at once of a mapping, by its place among those that read there.
    Batches(usize),
    /// What is taken in, a second: messages, records, starts. More is refused.
    Intake,
    /// Bytes that are taken in, a second. More is refused.
    IntakeBytes,
    /// What is received or handed on, a second. More waits.
    Output,
}

/// How much of one limit was used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// Of which.
    pub of: PartLimit,
    /// The most, in the limit's unit.
    pub peak: f64,
    /// When.
    pub peak_at: Time,
    /// How often it refused something.
    pub refused: u64,
    /// How often it made something wait.
    pub delayed: u64,
    /// When it first did.
    pub first: Option<Time>,
}

/// Messages that came back to a queue whose mappings had received them, by why: each is a delivery nearer to the dead
/// letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CameBack {
    /// The function failed.
    pub failed: u64,
    /// The function was throttled until their visibility timeout ended.
    pub throttled: u64,
    /// Their visibility timeout ended while the function worked on them.
    pub late: u64,
}

impl std::ops::AddAssign for CameBack {
    fn add_assign(&mut self, other: CameBack) {
        self.failed += other.failed;
        self.throttled += other.throttled;
        self.late += other.late;
    }
}

/// How long what is busy at once is averaged over: one batch after the other must not read as all of the time.
const BUSY_WINDOW: Span = Span::from_secs(10);
/// A rate is looked at over so many seconds at most, however much may come at once.
const RATE_WINDOW_MAX_S: u64 = 60;

/// Counts what is used of one limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    window: Span,
    /// When the window under way began.
    began: Time,
    /// What was used in it: things, or for what is busy their microseconds.
    so_far: u128,
    /// What is busy now, and since when.
    busy: (u64, Time),
    peak: f64,
    peak_at: Time,
    refused: u64,
    delayed: u64,
    first: Option<Time>,
}

impl Meter {
    fn new(window: Span) -> Meter {
        Meter {
            window,
            began: Time(0),
            so_far: 0,
            busy: (0, Time(0)),
            peak: 0.0,
            peak_at: Time(0),
            refused: 0,
            delayed: 0,
            first: None,
        }
    }

    /// Of so many a second, `size` of which may come at once: over the time in which that many come anew.
    pub(crate) fn rate(per_s: u32, size: u32) -> Meter {
        let seconds = u64::from(size).div_ceil(u64::from(per_s.max(1)));
        Meter::new(Span::from_secs(seconds.clamp(1, RATE_WINDOW_MAX_S)))
    }

    /// Of what is used at once.
    pub(crate) fn level() -> Meter {
        Meter::new(BUSY_WINDOW)
    }

    /// So much is used now.
    pub(crate) fn stands(&mut self, now: Time, level: u64) {
        self.more(now, level as f64);
    }

    fn more(&mut self, at: Time, used: f64) {
        if used > self.peak {
            (self.peak, self.peak_at) = (used, at);
        }
    }

    /// So much was taken.
    pub(crate) fn took(&mut self, now: Time, count: u64) {
        self.turn(now);
        self.so_far += u128::from(count);
        let per_s = self.so_far as f64 * 1e6 / self.window.0 as f64;
        self.more(self.began, per_s);
    }

    /// Another window, where this one is over.
    fn turn(&mut self, now: Time) {
        if now.since(self.began) >= self.window {
            let began = now.0 - now.0 % self.window.0.max(1);
            (self.began, self.so_far) = (Time(began), 0);
        }
    }

    /// So many are busy from now on; the peak is that of the mean over a window.
    pub(crate) fn busy(&mut self, now: Time, count: u64) {
        let (busy, mut since) = self.busy;
        // What lasts for long is looked at window by window; where nothing is busy there is nothing to add up.
        while busy > 0 && since < now {
            self.turn(since);
            let until = self.began.after(self.window).min(now);
            self.so_far += u128::from(busy) * u128::from(until.since(since).0);
            let mean = self.so_far as f64 / self.window.0 as f64;
            self.more(self.began, mean);
            since = until;
        }
        self.busy = (count, now);
    }

    /// It refused something.
    pub(crate) fn refuse(&mut self, now: Time) {
        self.refused += 1;
        self.first.get_or_insert(now);
    }

    /// It made something wait.
    pub(crate) fn delay(&mut self, now: Time) {
        self.delayed += 1;
        self.first.get_or_insert(now);
    }

    /// What was used so far.
    pub(crate) fn used(&self, of: PartLimit) -> Used {
        Used {
            of,
            peak: self.peak,
            peak_at: self.peak_at,
            refused: self.refused,
            delayed: self.delayed,
            first: self.first,
        }
    }
}

impl Used {
    /// Two of the same limit, such as those of two shards: the most of one, all refusals.
    pub(crate) fn with(self, other: Used) -> Used {
        let first = [self.first, other.first].into_iter().flatten().min();
        let most = if other.peak > self.peak { other } else { self };
        Used { refused: self.refused + other.refused, delayed: self.delayed + other.delayed, first, ..most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_its_busiest_window() {
        let mut second = Meter::rate(300, 300);
        let mut bucket = Meter::rate(300, 1_300);
        for at in 0..1_000 {
            let now = Time(3_000_000 + at * 500);
            second.took(now, 1);
            bucket.took(now, 1);
        }
        let used = [second, bucket].map(|meter| meter.used(PartLimit::Intake).peak);
        assert_eq!(used, [1_000.0, 200.0], "a thousand in half a second, and over five");
        second.refuse(Time(4_000_000));
        second.refuse(Time(5_000_000));
        let used = second.used(PartLimit::Intake);
        assert_eq!((used.refused, used.first, used.peak_at), (2, Some(Time(4_000_000)), Time(3_000_000)));
    }

    #[test]
    fn what_is_busy_is_averaged_over_ten_seconds() {
        let mut half = Meter::level();
        for second in 0..60 {
            half.busy(Time(second * 1_000_000), 1);
            half.busy(Time(second * 1_000_000 + 500_000), 0);
        }
        assert_eq!(half.used(PartLimit::Batches(0)).peak, 0.5);
        let mut long = Meter::level();
        long.busy(Time(5_000_000), 3);
        long.busy(Time(95_000_000), 0);
        long.busy(Time(1_000_000_000_000), 1);
        let used = long.used(PartLimit::Batches(0));
        assert_eq!((used.peak, used.peak_at), (3.0, Time(10_000_000)));
    }
}
