//! Durations, counted in buckets.

use flyball_core::Span;

use super::Slot;
use crate::result::Percentiles;

/// Buckets per doubling: 2⁴. The middle of a bucket is within 1/32 of everything in it.
const BITS: u32 = 4;
const PER_DOUBLING: u64 = 1 << BITS;
/// Below this each microsecond has its own bucket.
const EXACT: u64 = PER_DOUBLING * 2;

/// Counts of durations. A duration that is read from it is within 1/32 (3.2 %) of one that was recorded; below 32 µs
/// it is exact, and so are the mean and the longest.
///
/// An empty one takes 64 bytes and nothing more; one takes 64 bytes for each doubling between the shortest and the
/// longest that it holds, 4 KiB at most.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// The bucket of `counts[0]`, a multiple of [`PER_DOUBLING`].
    first: usize,
    /// As many doublings as hold everything. A count stays at the most that it can say.
    counts: Vec<u32>,
    count: u64,
    /// Microseconds.
    sum: u128,
    max: Span,
}

impl Histogram {
    /// With nothing in it.
    pub const fn new() -> Histogram {
        Histogram { first: 0, counts: Vec::new(), count: 0, sum: 0, max: Span::ZERO }
    }

    /// Counts one.
    pub fn record(&mut self, span: Span) {
        self.count_in(bucket_of(span.0), 1);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(span.0));
        self.max = self.max.max(span);
    }

    /// Adds all that another holds.
    pub fn merge(&mut self, other: &Histogram) {
        for (place, &count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.count_in(other.first + place, count);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    fn count_in(&mut self, bucket: usize, n: u32) {
        if let Some(count) = self.counts.get_mut(bucket.wrapping_sub(self.first)) {
            *count = count.saturating_add(n);
            return;
        }
        let aligned = bucket - bucket % PER_DOUBLING as usize;
        if self.counts.is_empty() {
            self.first = aligned;
        } else if aligned < self.first {
            let more = self.first - aligned;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = aligned;
        }
        let place = bucket - self.first;
        if place >= self.counts.len() {
            let length = aligned - self.first + PER_DOUBLING as usize;
            self.counts.reserve_exact(length - self.counts.len());
            self.counts.resize(length, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(n);
        }
    }

    /// How many were recorded.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The duration that this share (0 to 1) of all do not pass. `None`: nothing was recorded.
    pub fn quantile(&self, share: f64) -> Option<Span> {
        if self.count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "saturates, and is clamped"
        )]
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count);
        let mut seen = 0u64;
        for (place, &count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(u64::from(count));
            if seen >= rank {
                return Some(middle_of(self.first + place).min(self.max));
            }
        }
        Some(self.max)
    }

    /// The mean, rounded down to microseconds. `None`: nothing was recorded.
    pub fn mean(&self) -> Option<Span> {
        let mean = self.sum.checked_div(u128::from(self.count))?;
        Some(Span(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// All together, microseconds.
    pub const fn sum_micros(&self) -> u128 {
        self.sum
    }

    /// The longest. Zero where nothing was recorded.
    pub const fn max(&self) -> Span {
        self.max
    }

    /// What a result says of it.
    pub fn percentiles(&self) -> Percentiles {
        let at = |share| self.quantile(share).map_or(0.0, millis);
        Percentiles {
            count: self.count,
            mean_ms: self.mean().map_or(0.0, millis),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: millis(self.max),
        }
    }
}

impl Slot for Histogram {
    fn join(&mut self, later: &Histogram) {
        self.merge(later);
    }
}

#[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
fn millis(span: Span) -> f64 {
    span.0 as f64 / 1_000.0
}

#[expect(clippy::cast_possible_truncation, reason = "below 1,000")]
fn bucket_of(micros: u64) -> usize {
    if micros < EXACT {
        return micros as usize;
    }
    let doubling = micros.ilog2() - BITS;
    (u64::from(doubling) * PER_DOUBLING + (micros >> doubling)) as usize
}

fn middle_of(bucket: usize) -> Span {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return Span(bucket);
    }
    let doubling = bucket / PER_DOUBLING - 1;
    let from = (bucket - doubling * PER_DOUBLING) << doubling;
    Span(from + (1 << doubling) / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(Span(*value)));
        histogram
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        let mut last = bucket_of(0);
        for exponent in 0..63 {
            for value in [(1u64 << exponent) - 1, 1 << exponent, (1 << exponent) + 1, 3 << exponent >> 1] {
                let middle = middle_of(bucket_of(value)).0;
                assert!(middle.abs_diff(value) <= value / 32, "{value} is read as {middle}");
            }
            let at = bucket_of(1 << exponent);
            assert!(at >= last && at - last <= 16, "{exponent}");
            last = at;
        }
        assert!(bucket_of(u64::MAX) < 1_024);
        assert!(middle_of(bucket_of(u64::MAX)).0 >= u64::MAX / 32 * 31);
    }

    #[test]
    fn of_nothing_there_is_no_quantile() {
        let empty = Histogram::new();
        assert_eq!((empty.quantile(0.5), empty.mean(), empty.max(), empty.count()), (None, None, Span(0), 0));
        assert_eq!(empty.percentiles(), Percentiles::default());
    }

    #[test]
    fn ten_thousand_of_them_take_a_few_megabytes() {
        let mut bytes = 0;
        for tenant in 0..10_000u64 {
            let histogram = of(&[1_000 + tenant, 30_000, 9_000]);
            bytes += size_of::<Histogram>() + histogram.counts.capacity() * size_of::<u32>();
        }
        assert!(size_of::<Histogram>() <= 64, "{}", size_of::<Histogram>());
        assert!(bytes < 5 << 20, "{bytes} bytes");
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_a_thirty_second_of_the_exact_one(
            values in prop::collection::vec(prop_oneof![0u64..100, 0u64..10_000_000, any::<u64>()], 1..60),
            share in -0.1f64..1.1,
        ) {
            let histogram = of(&values);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len());
            let (exact, got) = (sorted[rank - 1], histogram.quantile(share).unwrap().0);
            prop_assert!(exact.abs_diff(got) <= exact / 32, "{} is read as {}", exact, got);
            let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
            prop_assert_eq!(u128::from(histogram.mean().unwrap().0), sum / values.len() as u128);
            prop_assert_eq!(histogram.max().0, sorted[sorted.len() - 1]);
        }

        #[test]
        fn merging_is_the_same_as_recording_all_in_one(
            left in prop::collection::vec(any::<u32>(), 0..40),
            right in prop::collection::vec(any::<u64>(), 0..40),
        ) {
            let left: Vec<u64> = left.into_iter().map(u64::from).collect();
            let mut merged = of(&left);
            merged.merge(&of(&right));
            let all = of(&[left, right].concat());
            prop_assert_eq!(merged.count(), all.count());
            for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
                prop_assert_eq!(merged.quantile(share), all.quantile(share));
            }
            prop_assert_eq!((merged.sum_micros(), merged.max()), (all.sum_micros(), all.max()));
        }
    }
}
