//! A histogram of microseconds with a relative error of at most an eighth, in 1 KiB.

/// Sub-buckets of each power of two.
const SUB: u64 = 4;
/// Powers of two: up to 2^36 µs, 19 hours.
const POWERS: usize = 35;

/// Counts values in log-linear buckets.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: [u64; POWERS * SUB as usize],
    count: u64,
    sum: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: [0; POWERS * SUB as usize], count: 0, sum: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts a value, µs.
    pub fn add(&mut self, value: u64) {
        let index = index_of(value).min(self.buckets.len() - 1);
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (to, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *to += from;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, µs.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The greatest, µs.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value below which this many thousandths lie, µs: the upper end of its bucket, and never more
    /// than the greatest. 0 where nothing was counted.
    pub fn quantile(&self, thousandths: u64) -> u64 {
        let rank = (self.count * thousandths).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= rank {
                return upper(index).min(self.max);
            }
        }
        self.max
    }

    /// How many values are at most `value`, µs; exact where `value` is a power of two.
    pub fn at_most(&self, value: u64) -> u64 {
        self.buckets.iter().enumerate().filter(|(index, _)| upper(*index) <= value).map(|(_, n)| n).sum()
    }
}

/// Values 0..4 have a bucket each; above, four for each power of two.
fn index_of(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let power = u64::from(63 - value.leading_zeros());
    let sub = (value >> (power - 2)) & (SUB - 1);
    ((power - 1) * SUB + sub) as usize
}

/// The greatest value of a bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index;
    }
    let (power, sub) = (index / SUB + 1, index % SUB);
    (1 << power) + ((sub + 1) << (power - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bucket_and_close_to_its_end() {
        for value in (0..5_000).chain([1 << 20, (1 << 30) + 12_345]) {
            let index = index_of(value);
            assert!(value <= upper(index), "{value}");
            assert!(index == 0 || value > upper(index - 1), "{value}");
            assert!(upper(index) - value <= value / 4, "{value}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(990), 0);
        for value in 1..=1_000 {
            histogram.add(value);
        }
        assert_eq!((histogram.count(), histogram.max(), histogram.sum()), (1_000, 1_000, 500_500));
        assert!((500..=575).contains(&histogram.quantile(500)));
        assert!((990..=1_000).contains(&histogram.quantile(990)));
        assert!(histogram.at_most(511) >= 500 && histogram.at_most(511) <= 511);
    }
}
