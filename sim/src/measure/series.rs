//! Values over virtual time.

use flyball_core::{Span, Time};

/// Slots of a series at most, where nobody says otherwise.
pub const SLOTS_MAX_DEFAULT: usize = 720;

/// What a slot of a [`Series`] holds.
pub trait Slot: Default {
    /// Two slots become one: `later` followed.
    fn join(&mut self, later: &Self);
}

impl Slot for u64 {
    fn join(&mut self, later: &u64) {
        *self = self.saturating_add(*later);
    }
}

impl Slot for f64 {
    fn join(&mut self, later: &f64) {
        *self += later;
    }
}

/// One value for each slot of time: of counters (`u64`, `f64`: sums), histograms, or [`GaugeSlot`]s.
///
/// There are never more slots than it was made for: where time goes on beyond them, two and two become one and a
/// slot lasts twice as long. A slot begins with its first microsecond and ends before the next one's; the very end
/// of the last slot still belongs to it, so that what happens when a run ends needs no slot of its own.
#[derive(Debug, Clone)]
pub struct Series<T> {
    start: Time,
    slot: Span,
    slots_max: usize,
    slots: Vec<T>,
    /// The slot that was changed last, from its first microsecond to before this one: most changes are of it.
    at: usize,
    from: Time,
    until: Time,
}

impl<T: Slot> Series<T> {
    /// From `start`, in slots of at first that length (at least 1 µs), at most so many (at least 1).
    pub fn new(start: Time, slot: Span, slots_max: usize) -> Series<T> {
        Series {
            start,
            slot: slot.max(Span(1)),
            slots_max: slots_max.max(1),
            slots: Vec::new(),
            at: 0,
            from: start,
            until: start,
        }
    }

    /// For a run of that duration: all series of a run get the same slots, and no slot grows while it lasts.
    pub fn for_run(start: Time, duration: Span, slots_max: usize) -> Series<T> {
        Series::new(start, Span(duration.0.div_ceil(slots_max.max(1) as u64)), slots_max)
    }

    /// Changes the slot of this moment. What is before the beginning belongs to the first one.
    pub fn update(&mut self, now: Time, change: impl FnOnce(&mut T)) {
        if !self.is_at(now) {
            self.turn_to(now);
        }
        if let Some(slot) = self.slots.get_mut(self.at) {
            change(slot);
        }
    }

    /// Whether a moment is in the slot that was changed last.
    fn is_at(&self, now: Time) -> bool {
        self.from <= now && now < self.until
    }

    fn turn_to(&mut self, now: Time) {
        self.fit(now);
        self.at = self.place_of(now);
        if self.at >= self.slots.len() {
            self.slots.resize_with(self.at + 1, T::default);
        }
        (self.from, self.until) = (self.begin_of(self.at), self.begin_of(self.at + 1));
    }

    /// The run ends: from now on there is a slot for each moment up to `until`, and none after.
    pub fn close(&mut self, until: Time) {
        self.fit(until);
        self.until = self.from;
        let offset = until.0.saturating_sub(self.start.0);
        let length = usize::try_from(offset.div_ceil(self.slot.0)).unwrap_or(usize::MAX);
        let length = length.clamp(1, self.slots_max);
        // What happened at the very end is in a slot of its own.
        let beyond = self.slots.split_off(length.min(self.slots.len()));
        self.slots.resize_with(length, T::default);
        if let Some(last) = self.slots.last_mut() {
            beyond.iter().for_each(|slot| last.join(slot));
        }
    }

    /// All slots as one.
    pub fn total(&self) -> T {
        let mut total = T::default();
        self.slots.iter().for_each(|slot| total.join(slot));
        total
    }

    /// Adds what another counted of the same run, slot by slot. Both are closed.
    pub fn add(&mut self, other: &Series<T>) {
        debug_assert_eq!(
            (self.start, self.slot, self.slots.len()),
            (other.start, other.slot, other.slots.len())
        );
        for (mine, theirs) in self.slots.iter_mut().zip(&other.slots) {
            mine.join(theirs);
        }
    }

    /// The slots with the times at which they begin.
    pub fn iter(&self) -> impl Iterator<Item = (Time, &T)> {
        self.slots.iter().enumerate().map(|(place, slot)| (self.begin_of(place), slot))
    }

    /// How long a slot lasts.
    pub const fn slot(&self) -> Span {
        self.slot
    }

    fn begin_of(&self, place: usize) -> Time {
        Time(self.start.0.saturating_add(self.slot.0.saturating_mul(place as u64)))
    }

    /// The very end belongs to the last slot.
    fn place_of(&self, now: Time) -> usize {
        let place = now.0.saturating_sub(self.start.0) / self.slot.0;
        usize::try_from(place).unwrap_or(usize::MAX).min(self.slots_max - 1)
    }

    fn fit(&mut self, now: Time) {
        let offset = now.0.saturating_sub(self.start.0);
        while u128::from(offset) > u128::from(self.slot.0) * self.slots_max as u128 {
            self.slot = Span(self.slot.0.saturating_mul(2));
            self.until = self.from;
            let mut joined: Vec<T> = Vec::with_capacity(self.slots.len().div_ceil(2));
            for (place, slot) in std::mem::take(&mut self.slots).into_iter().enumerate() {
                match joined.last_mut() {
                    Some(before) if place % 2 == 1 => before.join(&slot),
                    _ => joined.push(slot),
                }
            }
            self.slots = joined;
        }
    }
}

/// What was true of a gauge during a slot.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GaugeSlot {
    /// The highest value that it had, if only for a moment.
    pub max: f64,
    /// The value at the end.
    pub last: f64,
    /// Value times microseconds.
    integral: f64,
    /// Microseconds.
    covered: f64,
}

impl GaugeSlot {
    /// It had a value for so many microseconds.
    fn add(&mut self, value: f64, micros: f64) {
        if micros > 0.0 {
            self.turn_to(value);
            self.integral += value * micros;
            self.covered += micros;
        }
    }

    /// It has a value, which is never NaN.
    fn turn_to(&mut self, value: f64) {
        if value > self.max {
            self.max = value;
        }
        self.last = value;
    }

    /// The mean over the slot's time.
    pub fn mean(&self) -> f64 {
        if self.covered > 0.0 { self.integral / self.covered } else { self.last }
    }
}

impl Slot for GaugeSlot {
    fn join(&mut self, later: &GaugeSlot) {
        self.max = self.max.max(later.max);
        self.last = later.last;
        self.integral += later.integral;
        self.covered += later.covered;
    }
}

#[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
fn micros(from: Time, until: Time) -> f64 {
    until.0.saturating_sub(from.0) as f64
}

/// Something that has a value at every moment (concurrency, backlog), over time. Values are 0 or more.
#[derive(Debug, Clone)]
pub struct GaugeSeries {
    series: Series<GaugeSlot>,
    value: f64,
    since: Time,
}

impl GaugeSeries {
    /// 0 at first. The same slots as [`Series::for_run`].
    pub fn for_run(start: Time, duration: Span, slots_max: usize) -> GaugeSeries {
        GaugeSeries { series: Series::for_run(start, duration, slots_max), value: 0.0, since: start }
    }

    /// It has that value from now on. A moment before the last one counts as the last one.
    pub fn set(&mut self, now: Time, value: f64) {
        // Most changes are within one slot.
        let series = &mut self.series;
        if series.from <= self.since
            && self.since <= now
            && now < series.until
            && let Some(slot) = series.slots.get_mut(series.at)
        {
            slot.add(self.value, micros(self.since, now));
            slot.turn_to(value);
            (self.since, self.value) = (now, value);
            return;
        }
        self.advance(now);
        self.value = value;
        self.series.update(self.since, |slot| slot.turn_to(value));
    }

    /// The run ends; see [`Series::close`].
    pub fn close(&mut self, until: Time) {
        self.advance(until);
        self.series.close(until);
    }

    /// The value now.
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// The slots with the times at which they begin.
    pub fn iter(&self) -> impl Iterator<Item = (Time, &GaugeSlot)> {
        self.series.iter()
    }

    fn advance(&mut self, now: Time) {
        self.series.fit(now);
        let value = self.value;
        while self.since < now {
            let place = self.series.place_of(self.since);
            let end = self.series.begin_of(place + 1);
            // The very end belongs to the last slot.
            let end = if end > self.since { end.min(now) } else { now };
            let lasted = micros(self.since, end);
            self.series.update(self.since, |slot| slot.add(value, lasted));
            self.since = end;
        }
    }
}

/// The mean over time and the most of something that has a value at every moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeWeighted {
    start: Time,
    since: Time,
    value: f64,
    max: f64,
    max_at: Time,
    /// Value times microseconds.
    integral: f64,
}

impl TimeWeighted {
    /// With its first value.
    pub const fn new(start: Time, value: f64) -> TimeWeighted {
        TimeWeighted { start, since: start, value, max: value, max_at: start, integral: 0.0 }
    }

    /// It has that value from now on. A moment before the last one counts as the last one.
    pub fn set(&mut self, now: Time, value: f64) {
        self.integral = self.integral_until(now);
        self.since = self.since.max(now);
        self.value = value;
        if value > self.max {
            self.max = value;
            self.max_at = self.since;
        }
    }

    /// It changes by that much.
    pub fn add(&mut self, now: Time, change: f64) {
        self.set(now, self.value + change);
    }

    /// The value now.
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// The highest value.
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// When it first had its highest value.
    pub const fn max_at(&self) -> Time {
        self.max_at
    }

    /// The mean from the start until now: the value where no time has passed.
    #[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
    pub fn mean(&self, now: Time) -> f64 {
        let passed = self.since.max(now).0.saturating_sub(self.start.0);
        if passed == 0 { self.value } else { self.integral_until(now) / passed as f64 }
    }

    /// Value times seconds until now.
    pub fn value_seconds(&self, now: Time) -> f64 {
        self.integral_until(now) / 1e6
    }

    #[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
    fn integral_until(&self, now: Time) -> f64 {
        self.integral + self.value * now.0.saturating_sub(self.since.0) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Time = Time(1_000);

    #[test]
    fn a_series_never_has_more_slots_than_it_may_and_loses_nothing() {
        let mut series: Series<u64> = Series::new(START, Span(10), 4);
        for micros in 0..1_000 {
            series.update(Time(1_000 + micros), |count| *count += 1);
            assert!(series.iter().count() <= 4);
        }
        series.close(Time(2_000));
        let slots: Vec<(u64, u64)> = series.iter().map(|(at, count)| (at.0, *count)).collect();
        // Twice the very end of what was the last slot is counted in it.
        assert_eq!(slots, [(1_000, 321), (1_320, 320), (1_640, 319), (1_960, 40)]);
    }

    #[test]
    fn all_series_of_a_run_have_the_same_slots() {
        let (duration, end) = (Span(3_600_000_000), Time(3_600_001_000));
        let mut never: Series<u64> = Series::for_run(START, duration, 240);
        let mut at_the_end: Series<u64> = Series::for_run(START, duration, 240);
        let mut gauge = GaugeSeries::for_run(START, duration, 240);
        at_the_end.update(end, |count| *count += 1);
        gauge.set(end, 2.0);
        never.close(end);
        at_the_end.close(end);
        gauge.close(end);
        assert_eq!(never.slot(), Span::from_secs(15));
        assert_eq!(never.iter().count(), 240);
        assert_eq!(at_the_end.iter().map(|(_, count)| *count).sum::<u64>(), 1);
        assert!(never.iter().map(|(at, _)| at).eq(gauge.iter().map(|(at, _)| at)));
        assert!(never.iter().map(|(at, _)| at).eq(at_the_end.iter().map(|(at, _)| at)));
    }

    #[test]
    fn a_gauge_has_its_most_its_mean_and_its_last_value_in_each_slot() {
        let mut gauge = GaugeSeries::for_run(START, Span(40), 4);
        gauge.set(Time(1_005), 4.0);
        gauge.set(Time(1_012), 9.0);
        gauge.set(Time(1_012), 1.0);
        gauge.close(Time(1_040));
        let slots: Vec<(f64, f64, f64)> =
            gauge.iter().map(|(_, slot)| (slot.max, slot.mean(), slot.last)).collect();
        assert_eq!(slots, [(4.0, 2.0, 4.0), (9.0, 1.6, 1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)]);
    }

    #[test]
    fn the_mean_is_weighted_by_time() {
        let mut gauge = TimeWeighted::new(START, 0.0);
        assert_eq!(gauge.mean(START), 0.0);
        gauge.add(Time(1_010), 3.0);
        gauge.add(Time(1_020), -1.0);
        assert_eq!(gauge.mean(Time(1_040)), (10.0 * 3.0 + 20.0 * 2.0) / 40.0);
        assert_eq!((gauge.max(), gauge.max_at(), gauge.value()), (3.0, Time(1_010), 2.0));
        // Time that goes back stands still.
        gauge.set(Time(5), 7.0);
        assert_eq!(gauge.mean(Time(1_020)), 1.5);
    }

    #[test]
    fn the_end_of_time_is_a_moment_like_another() {
        let mut series: Series<u64> = Series::new(Time(0), Span(0), 0);
        series.update(Time(u64::MAX), |count| *count += 1);
        series.close(Time(u64::MAX));
        assert_eq!(series.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1]);
        let mut gauge = GaugeSeries::for_run(Time(0), Span(u64::MAX), 3);
        gauge.set(Time(u64::MAX), 1.0);
        gauge.close(Time(u64::MAX));
        assert_eq!(gauge.iter().count(), 3);
    }

    proptest! {
        #[test]
        fn a_gauge_series_and_a_time_weighted_gauge_agree(
            steps in prop::collection::vec((0u64..500, 0u32..9), 1..60),
        ) {
            let (mut series, mut weighted) = (GaugeSeries::for_run(START, Span(100), 7), TimeWeighted::new(START, 0.0));
            let mut now = START;
            for (wait, value) in steps {
                now = Time(now.0 + wait);
                series.set(now, f64::from(value));
                weighted.set(now, f64::from(value));
            }
            let end = Time(now.0 + 10);
            series.close(end);
            let integral: f64 = series.iter().map(|(_, slot)| slot.integral).sum();
            prop_assert!((integral / 1e6 - weighted.value_seconds(end)).abs() < 1e-9);
            prop_assert!(series.iter().count() <= 7);
            let most = series.iter().map(|(_, slot)| slot.max).fold(0.0, f64::max);
            prop_assert_eq!(most, weighted.max());
        }
    }
}
