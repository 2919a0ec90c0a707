//! How many events there should have been by when, and the reverse: exactly, for rates that go in straight lines.

use flyball_app::workload::Shape;

use super::{Wrong, seconds};

/// Pieces of half a day's curve. Between them the rate is off by less than a thousandth of the peak; the day's sum
/// and its peak are exact.
const HALF_DAY_PIECES: u32 = 720;

/// A rate that changes in straight lines, cumulated.
#[derive(Debug, Clone)]
pub(super) struct Cumulated {
    /// In the order of time, without gaps, beginning at zero; the last one's end rate stays. At least one.
    pieces: Vec<Piece>,
    /// After so many seconds all begins again.
    period: f64,
    /// Events in one period.
    per_period: f64,
    /// Events a second.
    peak: f64,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Seconds.
    from: f64,
    /// Events a second at its beginning.
    rate: f64,
    /// What is added to the rate each second.
    slope: f64,
    /// Events before it.
    before: f64,
}

/// Where the last answer was found: the next is mostly there or close by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor(usize);

impl Cumulated {
    /// Of a shape whose peak is `rate` events a second. `from` and `until` (seconds): the source's time, over which a
    /// ramp goes; days and points go by the simulation's.
    pub(super) fn new(shape: &Shape, rate: f64, from: f64, until: f64) -> Result<Cumulated, Wrong> {
        let mut period = f64::INFINITY;
        let points = match shape {
            Shape::Flat => vec![(0.0, 1.0)],
            Shape::Ramp { from: first, to } => vec![(from, *first), (until, *to)],
            Shape::Points(points) if points.is_empty() => {
                return Err(("the number of points", 0.0, "1 or more"));
            }
            Shape::Points(points) => points.iter().map(|(at, factor)| (seconds(*at), *factor)).collect(),
            Shape::Diurnal { peak_to_mean, period: day } => {
                period = seconds(*day);
                if period <= 0.0 {
                    return Err(("the length of the day", period, "more than 0"));
                }
                if !(*peak_to_mean >= 1.0 && *peak_to_mean <= 1_000.0) {
                    return Err(("`peak_to_mean`", *peak_to_mean, "1 to 1,000"));
                }
                day_curve(*peak_to_mean).into_iter().map(|(at, factor)| (at * period, factor)).collect()
            }
        };
        if let Some((_, factor)) = points.iter().find(|(_, factor)| !(factor.is_finite() && *factor >= 0.0)) {
            return Err(("a factor of the rate", *factor, "0 or more"));
        }
        if let Some((_, late)) = points.iter().zip(points.iter().skip(1)).find(|(a, b)| a.0 > b.0) {
            return Err(("the time of a point, seconds,", late.0, "that of the one before it, or later"));
        }
        let mut cumulated = Cumulated { pieces: Vec::new(), period, per_period: 0.0, peak: 0.0 };
        cumulated.fill(points.into_iter().map(|(at, factor)| (at, factor * rate)));
        if cumulated.period.is_finite() {
            cumulated.per_period = cumulated.within(cumulated.period);
        }
        Ok(cumulated)
    }

    fn fill(&mut self, points: impl Iterator<Item = (f64, f64)>) {
        let mut last: Option<(f64, f64)> = None;
        let mut before = 0.0;
        for (at, rate) in points {
            self.peak = self.peak.max(rate);
            // Before the first point its rate is that of the first.
            let (from, first) = last.unwrap_or((0.0, rate));
            if at > from {
                self.pieces.push(Piece { from, rate: first, slope: (rate - first) / (at - from), before });
                before += (at - from) * (first + rate) / 2.0;
            }
            last = Some((at, rate));
        }
        if let Some((from, rate)) = last {
            self.pieces.push(Piece { from, rate, slope: 0.0, before });
        }
    }

    /// The highest rate of all points, events a second.
    pub(super) const fn peak(&self) -> f64 {
        self.peak
    }

    /// Events from zero to that moment, seconds.
    pub(super) fn at(&self, at: f64) -> f64 {
        if self.period.is_finite() {
            let periods = (at / self.period).floor();
            return periods * self.per_period + self.within(at - periods * self.period);
        }
        self.within(at)
    }

    fn within(&self, at: f64) -> f64 {
        let after = self.pieces.partition_point(|piece| piece.from <= at);
        self.pieces.get(after.saturating_sub(1)).map_or(0.0, |piece| {
            let passed = (at - piece.from).max(0.0);
            piece.before + passed * (piece.rate + piece.slope * passed / 2.0)
        })
    }

    /// The moment, seconds, by which there should have been so many events since zero. For ever where there will
    /// never be.
    pub(super) fn time_of(&self, events: f64, cursor: &mut Cursor) -> f64 {
        let (mut begin, mut events) = (0.0, events);
        if self.period.is_finite() {
            if self.per_period <= 0.0 {
                return f64::INFINITY;
            }
            let periods = (events / self.per_period).floor();
            begin = periods * self.period;
            events = (events - periods * self.per_period).max(0.0);
        }
        let holds = |place: usize| {
            self.pieces.get(place).is_some_and(|piece| piece.before <= events)
                && self.pieces.get(place + 1).is_none_or(|next| events < next.before)
        };
        if !holds(cursor.0) {
            cursor.0 += 1;
            if !holds(cursor.0) {
                let after = self.pieces.partition_point(|piece| piece.before <= events);
                cursor.0 = after.saturating_sub(1);
            }
        }
        let Some(piece) = self.pieces.get(cursor.0) else {
            return f64::INFINITY;
        };
        let missing = (events - piece.before).max(0.0);
        // rate·s + slope·s²/2 = missing, in the form that loses no digits.
        let root = (piece.rate * piece.rate + 2.0 * piece.slope * missing).max(0.0).sqrt();
        let passed = if missing == 0.0 { 0.0 } else { 2.0 * missing / (piece.rate + root) };
        begin + piece.from + passed
    }
}

/// A day, from 0 to 1, with its factors of the peak: `floor + (1 - floor)·((1 + cos)/2)^k`, the peak at its middle.
/// Up to a `peak_to_mean` of about two it is a cosine (k = 1) that stands on a floor; beyond, the floor is nothing and
/// the peak gets narrower. Points are closer together near the peak.
fn day_curve(peak_to_mean: f64) -> Vec<(f64, f64)> {
    let mean = 1.0 / peak_to_mean;
    // Distance from the peak (1: half a day), and height of the cosine there.
    let half: Vec<(f64, f64)> = (0..=HALF_DAY_PIECES)
        .map(|place| {
            let place = f64::from(place) / f64::from(HALF_DAY_PIECES);
            let away = place * place * place;
            (away, (1.0 + libm::cos(away * std::f64::consts::PI)) / 2.0)
        })
        .collect();
    let mean_of = |k: f64| -> f64 {
        let powers = half.iter().map(|(away, height)| (*away, libm::pow(*height, k)));
        let next = powers.clone().skip(1);
        powers.zip(next).map(|(a, b)| (b.0 - a.0) * (a.1 + b.1) / 2.0).sum()
    };
    let (mut k, mut floor) = (1.0, 0.0);
    let plain = mean_of(1.0);
    if mean >= plain {
        floor = (mean - plain) / (1.0 - plain);
    } else {
        // The mean falls with k; 1e7 is beyond a `peak_to_mean` of 1,000.
        let (mut low, mut high) = (1.0, 1e7);
        for _ in 0..60 {
            k = (low + high) / 2.0;
            if mean_of(k) > mean { low = k } else { high = k }
        }
    }
    let height = |(away, height): &(f64, f64)| (*away, floor + (1.0 - floor) * libm::pow(*height, k));
    let rise = half.iter().rev().map(height).map(|(away, factor)| ((1.0 - away) / 2.0, factor));
    let fall = half.iter().skip(1).map(height).map(|(away, factor)| (f64::midpoint(1.0, away), factor));
    rise.chain(fall).collect()
}

#[cfg(test)]
mod tests {
    use flyball_core::Span;

    use super::*;

    #[test]
    fn a_day_has_the_mean_and_the_peak_that_are_stated() {
        for ratio in [1.0, 1.2, 1.9, 2.0, 2.1, 6.5, 50.0, 1_000.0] {
            let shape = Shape::Diurnal { peak_to_mean: ratio, period: Span::from_secs(3_600) };
            let cumulated = Cumulated::new(&shape, 10.0, 0.0, 0.0).unwrap();
            let mean = cumulated.at(36_000.0) / 36_000.0;
            assert!((mean * ratio / 10.0 - 1.0).abs() < 1e-6, "{ratio}: mean {mean}");
            let around_the_peak = (cumulated.at(1_800.01) - cumulated.at(1_799.99)) / 0.02;
            assert!((around_the_peak / 10.0 - 1.0).abs() < 1e-3, "{ratio}: peak {around_the_peak}");
            let least = cumulated.at(0.1) / 0.1;
            assert!(least >= 0.0 && least <= mean * 1.000_1, "{ratio}: least {least}");
        }
    }

    #[test]
    fn the_time_of_so_many_events_has_so_many_events() {
        let secs = Span::from_secs;
        let shapes = [
            Shape::Flat,
            Shape::Ramp { from: 0.0, to: 1.0 },
            Shape::Ramp { from: 1.0, to: 0.0 },
            Shape::Points(vec![
                (secs(10), 0.5),
                (secs(20), 0.0),
                (secs(30), 0.0),
                (secs(30), 1.0),
                (secs(90), 0.2),
            ]),
            Shape::Diurnal { peak_to_mean: 3.0, period: secs(17) },
        ];
        for shape in shapes {
            let cumulated = Cumulated::new(&shape, 7.0, 0.0, 100.0).unwrap();
            let mut cursor = Cursor::default();
            let (mut last, end) = (0.0, cumulated.at(100.0));
            for step in 0..10_000 {
                let events = end * f64::from(step) / 10_000.0;
                let at = cumulated.time_of(events, &mut cursor);
                assert!(at >= last - 1e-9 && at <= 100.0 + 1e-6, "{shape:?}: {at} after {last}");
                assert!((cumulated.at(at) - events).abs() < 1e-6, "{shape:?}: {events} at {at}");
                last = at;
            }
        }
    }
}
