//! How concurrency slows what is in work.

use std::collections::BTreeSet;

use flyball_app::workload::Growth;
use flyball_core::Time;

use super::CallNo;

/// Microseconds of work that count as none: what rounding leaves.
const NONE: f64 = 1e-6;
/// No factor of growth is below this.
const FACTOR_MIN: f64 = 1e-3;

/// Calls in work. All go at one speed, so that a clock that goes at this speed says when each ends: it ends when the
/// clock has gone on by its work. A change of the speed changes no mark.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// Servers that are shared. `None`: each has its own.
    shared: Option<u32>,
    growth: Growth,
    /// Work that a call has got that was there from the beginning, microseconds.
    clock: f64,
    at: Time,
    /// Of the calls in work; below 1 as a rule.
    speed: f64,
    /// Calls by their marks, then by their numbers.
    marks: BTreeSet<(Mark, CallNo)>,
    count: u32,
}

/// What the clock says when a call ends: the bits of a number of 0 or more, which have its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

impl Mark {
    fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Work {
    pub(super) fn new(shared: Option<u32>, growth: &Growth) -> Work {
        Work {
            shared,
            growth: growth.clone(),
            clock: 0.0,
            at: Time(0),
            speed: 1.0,
            marks: BTreeSet::new(),
            count: 0,
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// The clock goes on to now.
    pub(super) fn advance(&mut self, now: Time) {
        if self.count == 0 {
            // Small numbers keep their digits.
            self.clock = 0.0;
        } else {
            #[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
            let passed = now.since(self.at).0 as f64;
            self.clock += passed * self.speed;
        }
        self.at = self.at.max(now);
    }

    pub(super) fn begin(&mut self, call: CallNo, work: f64) -> Mark {
        let mark = Mark((self.clock + work.max(0.0)).to_bits());
        if self.marks.insert((mark, call)) {
            self.count += 1;
            self.speed = self.speed_of(self.count);
        }
        mark
    }

    pub(super) fn end(&mut self, call: CallNo, mark: Mark) {
        if self.marks.remove(&(mark, call)) {
            self.count -= 1;
            self.speed = self.speed_of(self.count);
        }
    }

    /// A call whose work is over.
    pub(super) fn ended(&self) -> Option<CallNo> {
        self.marks.first().filter(|(mark, _)| mark.value() <= self.clock + NONE).map(|(_, call)| *call)
    }

    /// When the next call ends if nothing changes until then: rounded up to microseconds.
    pub(super) fn next_end(&self, now: Time) -> Option<Time> {
        let (mark, _) = self.marks.first()?;
        let left = mark.value() - self.clock;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let micros = if left <= NONE { 0 } else { (left / self.speed).ceil() as u64 };
        Some(Time(now.0.saturating_add(micros)))
    }

    fn speed_of(&self, count: u32) -> f64 {
        let n = f64::from(count.max(1));
        let share = self.shared.map_or(1.0, |servers| (f64::from(servers) / n).min(1.0));
        share / factor(&self.growth, n)
    }
}

/// The factor of the time alone, with `n` calls in work.
fn factor(growth: &Growth, n: f64) -> f64 {
    let factor = match growth {
        Growth::None => 1.0,
        Growth::Scalability { contention, coherency } => {
            1.0 + contention.max(0.0) * (n - 1.0) + coherency.max(0.0) * n * (n - 1.0)
        }
        Growth::Points(points) => {
            let after = points.partition_point(|(at, _)| f64::from(*at) <= n);
            // Before the first point the line comes from a call alone.
            let before =
                after.checked_sub(1).and_then(|place| points.get(place)).copied().unwrap_or((1, 1.0));
            match points.get(after) {
                Some(next) if next.0 > before.0 => {
                    let along = (n - f64::from(before.0)) / f64::from(next.0 - before.0);
                    before.1 + (next.1 - before.1) * along
                }
                _ => before.1,
            }
        }
    };
    // Not a number: as if nothing were stated.
    if factor.is_nan() { 1.0 } else { factor.max(FACTOR_MIN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_is_the_laws_or_on_the_lines_between_points() {
        let law = Growth::Scalability { contention: 0.1, coherency: 0.01 };
        let points = Growth::Points(vec![(10, 2.0), (100, 11.0)]);
        let cases = [
            (&Growth::None, 50.0, 1.0),
            (&law, 1.0, 1.0),
            (&law, 11.0, 1.0 + 1.0 + 1.1),
            (&points, 1.0, 1.0),
            (&points, 5.5, 1.5),
            (&points, 10.0, 2.0),
            (&points, 55.0, 6.5),
            (&points, 1_000.0, 11.0),
            (&Growth::Points(vec![]), 7.0, 1.0),
            (&Growth::Points(vec![(1, f64::NAN)]), 7.0, 1.0),
            (&Growth::Points(vec![(1, -5.0)]), 7.0, FACTOR_MIN),
        ];
        for (growth, n, expected) in cases {
            let got = factor(growth, n);
            assert!((got - expected).abs() < 1e-12, "{growth:?} at {n}: {got}, not {expected}");
        }
    }
}
