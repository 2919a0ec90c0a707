//! One level's concurrency and rate, as counters.

use crate::{
    Span, Time,
    model::{Limits, Rate},
};

/// What runs at one level, against its cap and rate.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Gate {
    pub(crate) cap: u32,
    pub(crate) guarantee: u32,
    pub(crate) running: u32,
    pub(crate) peak: u32,
    /// Few have one: the rest pays a pointer.
    rate: Option<Box<Bucket>>,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Gate {
        Gate {
            cap: limits.concurrency.cap,
            guarantee: limits.concurrency.guarantee,
            running: 0,
            peak: 0,
            rate: limits.rate.map(|rate| Box::new(Bucket::new(rate))),
        }
    }

    /// New limits; what runs goes on.
    pub(crate) fn set(&mut self, limits: Limits) {
        self.cap = limits.concurrency.cap;
        self.guarantee = limits.concurrency.guarantee;
        if self.rate.as_ref().map(|bucket| bucket.rate) != limits.rate {
            self.rate = limits.rate.map(|rate| Box::new(Bucket::new(rate)));
        }
    }

    pub(crate) fn room(&self) -> u32 {
        self.cap.saturating_sub(self.running)
    }

    pub(crate) fn full(&self) -> bool {
        self.room() == 0
    }

    /// When the next start is allowed by the rate; now or earlier where it is allowed now.
    pub(crate) fn rate_ready(&self) -> Time {
        self.rate.as_ref().map_or(Time(0), |bucket| bucket.ready())
    }

    pub(crate) fn rate(&self) -> Option<Rate> {
        self.rate.as_ref().map(|bucket| bucket.rate)
    }

    pub(crate) fn enter(&mut self, now: Time) {
        self.running += 1;
        self.peak = self.peak.max(self.running);
        if let Some(bucket) = &mut self.rate {
            bucket.take(now);
        }
    }

    pub(crate) fn leave(&mut self) {
        debug_assert!(self.running > 0, "more left than entered");
        self.running = self.running.saturating_sub(1);
    }
}

/// A token bucket as one number (GCRA): the time at which it would be full again.
#[derive(Debug, Clone, Hash)]
struct Bucket {
    rate: Rate,
    /// Nanoseconds since the epoch; below 2^64 until the year 2554.
    full_at_ns: u64,
}

impl Bucket {
    fn new(rate: Rate) -> Bucket {
        Bucket { rate, full_at_ns: 0 }
    }

    fn interval_ns(&self) -> u64 {
        1_000_000_000 / u64::from(self.rate.per_second.max(1))
    }

    fn ready(&self) -> Time {
        let saved = self.interval_ns().saturating_mul(u64::from(self.rate.burst.saturating_sub(1)));
        Time(self.full_at_ns.saturating_sub(saved).div_ceil(1_000))
    }

    fn take(&mut self, now: Time) {
        let now_ns = now.0.saturating_mul(1_000);
        self.full_at_ns = self.full_at_ns.max(now_ns).saturating_add(self.interval_ns());
    }
}

/// How long until `at`, rounded up to what a `Retry-After` can say: a second at least.
pub(crate) fn retry_after(now: Time, at: Time) -> Span {
    Span::from_secs(at.since(now).as_secs_ceil().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Concurrency;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_its_rate_after() {
        let rate = Some(Rate { per_second: 10, burst: 3 });
        let mut gate = Gate::new(Limits { concurrency: Concurrency::default(), rate });
        let mut now = Time(1_000_000_000);
        let mut starts = Vec::new();
        for _ in 0..6 {
            now = Time(now.0.max(gate.rate_ready().0));
            gate.enter(now);
            starts.push((now.0 - 1_000_000_000) / 1_000);
        }
        assert_eq!(starts, [0, 0, 0, 100, 200, 300]);
    }
}
