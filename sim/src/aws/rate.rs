//! Rates as buckets: full at first, filled continuously, never above their size.

use flyball_core::{Span, Time};

/// A token's parts: what one token a second brings in a microsecond.
const PARTS: u64 = 1_000_000;

/// See the module's text. Exact: all in whole numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    per_s: u64,
    parts_max: u64,
    parts: u64,
    at: Time,
}

impl Bucket {
    /// A bucket that `per_s` tokens a second come into, and that holds `size` of them.
    pub(crate) fn new(per_s: u64, size: u64) -> Bucket {
        let parts_max = size.saturating_mul(PARTS);
        Bucket { per_s, parts_max, parts: parts_max, at: Time(0) }
    }

    fn fill(&mut self, now: Time) {
        let came = self.per_s.saturating_mul(now.since(self.at).0);
        self.parts = self.parts.saturating_add(came).min(self.parts_max);
        self.at = self.at.max(now);
    }

    /// Takes so many, if there are so many.
    pub(crate) fn take(&mut self, now: Time, tokens: u64) -> bool {
        self.fill(now);
        let parts = tokens.saturating_mul(PARTS);
        let enough = self.parts >= parts;
        if enough {
            self.parts -= parts;
        }
        enough
    }

    /// When there will be so many, if nobody takes any before. Without end where the bucket can't hold so
    /// many.
    pub(crate) fn ready(&mut self, now: Time, tokens: u64) -> Time {
        self.fill(now);
        let parts = tokens.saturating_mul(PARTS);
        if parts > self.parts_max || self.per_s == 0 {
            return Time(u64::MAX);
        }
        now.after(Span(parts.saturating_sub(self.parts).div_ceil(self.per_s)))
    }
}

/// A rate that makes what is above it wait, in the order in which it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    per_s: u64,
    /// When the next one may go: microseconds times `per_s`, so that nothing is rounded.
    free: u128,
}

impl Pace {
    pub(crate) fn new(per_s: u64) -> Pace {
        Pace { per_s: per_s.max(1), free: 0 }
    }

    /// How long what comes now waits.
    pub(crate) fn delay(&mut self, now: Time) -> Span {
        let at = u128::from(now.0) * u128::from(self.per_s);
        let goes = self.free.max(at);
        self.free = goes + u128::from(PARTS);
        Span(u64::try_from((goes - at).div_ceil(u128::from(self.per_s))).unwrap_or(u64::MAX))
    }
}
