//! Axes: from a value to a place, and where the ticks stand.

use super::super::numbers::{factor, finite, millis, percent, plain, seconds, usd};

/// What an axis measures: how its ticks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Time,
    PerSecond,
    Count,
    Millis,
    Usd,
    Percent,
    Load,
}

impl Of {
    /// A value as people read it.
    pub(super) fn words(self, value: f64) -> String {
        match self {
            Of::Time => super::super::numbers::moment(value),
            Of::PerSecond => super::super::numbers::rate(value),
            Of::Count => plain(value),
            Of::Millis => millis(value),
            Of::Usd => usd(value),
            Of::Percent => percent(value),
            Of::Load => factor(value),
        }
    }

    /// A tick's words; `least` is the distance to the next.
    fn tick(self, value: f64, least: f64) -> String {
        match self {
            Of::Time if value == 0.0 => "0".into(),
            Of::Time => seconds(value),
            Of::Load => {
                let text = factor(value);
                text.replace(".0×", "×")
            }
            Of::PerSecond | Of::Count => plain(value),
            Of::Millis => millis(value),
            Of::Usd if value > 0.0 && value < 100.0 && least >= 0.01 => format!("${value:.2}"),
            Of::Usd => usd(value),
            Of::Percent => percent(value),
        }
    }
}

/// An axis from 0 to `max`, or by decades from `min` to `max`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    of: Of,
    min: f64,
    max: f64,
    /// Between two ticks.
    step: f64,
    log: bool,
}

/// Decades of a logarithmic axis at most: below that everything is next to nothing.
const DECADES_MAX: f64 = 6.0;

impl Axis {
    /// From zero to a round number above the greatest.
    pub(super) fn linear(of: Of, greatest: f64) -> Axis {
        let greatest = finite(greatest).max(0.0);
        let max = if greatest == 0.0 { 1.0 } else { greatest };
        let step = step(max / 3.5, of);
        Axis { of, min: 0.0, max: (max / step * 0.999).ceil() * step, step, log: false }
    }

    /// From zero to just there.
    pub(super) fn until(of: Of, end: f64) -> Axis {
        let end = finite(end);
        let max = if end > 0.0 { end } else { 1.0 };
        Axis { of, min: 0.0, max, step: step(max / 4.5, of), log: false }
    }

    /// By decades that hold all positive values.
    pub(super) fn decades(of: Of, values: impl Iterator<Item = f64>) -> Axis {
        let (mut least, mut greatest) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            least = least.min(value);
            greatest = greatest.max(value);
        }
        if greatest == 0.0 {
            (least, greatest) = (1.0, 10.0);
        }
        let top = libm::ceil(libm::log10(greatest) - 1e-9);
        let bottom = libm::floor(libm::log10(least) + 1e-9).max(top - DECADES_MAX).min(top - 1.0);
        Axis { of, min: libm::pow(10.0, bottom), max: libm::pow(10.0, top), step: 0.0, log: true }
    }

    /// Where a value stands: 0 at the beginning, 1 at the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = finite(value);
        let place = if self.log {
            let value = value.max(self.min);
            libm::log10(value / self.min) / libm::log10(self.max / self.min)
        } else {
            (value - self.min) / (self.max - self.min)
        };
        finite(place).clamp(0.0, 1.0)
    }

    /// Whether the axis has a place for it.
    pub(super) fn holds(&self, value: f64) -> bool {
        value.is_finite() && value <= self.max * 1.000_001
    }

    /// A value in words.
    pub(super) fn words(&self, value: f64) -> String {
        self.of.words(value)
    }

    /// Ticks: places and words.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let mut ticks = Vec::new();
        if self.log {
            let decades = libm::round(libm::log10(self.max / self.min));
            let each = if decades > 4.0 { 100.0 } else { 10.0 };
            let mut value = self.min;
            while value <= self.max * 1.001 && ticks.len() < 10 {
                ticks.push((self.place(value), self.of.tick(value, 0.0)));
                value *= each;
            }
            return ticks;
        }
        let step = self.step;
        let mut number = 0.0;
        while number * step <= self.max * 1.001 && ticks.len() < 12 {
            ticks.push((self.place(number * step), self.of.tick(number * step, step)));
            number += 1.0;
        }
        ticks
    }
}

/// The least round number that is not below: 1, 2 or 5 times a power of ten; of time, what clocks have.
fn step(least: f64, of: Of) -> f64 {
    const CLOCK: [f64; 20] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
        10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0, 604_800.0,
    ];
    if of == Of::Time
        && let Some(step) = CLOCK.iter().find(|step| **step >= least && least >= 0.5)
    {
        return *step;
    }
    let power = libm::pow(10.0, libm::floor(libm::log10(least.max(1e-12))));
    let of_power = least / power;
    // What is counted has no halves, but below one a rate has.
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| *times >= of_power * 0.999).unwrap_or(10.0);
    times * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let words = |axis: Axis| axis.ticks().into_iter().map(|(_, words)| words).collect::<Vec<_>>();
        assert_eq!(words(Axis::linear(Of::PerSecond, 156.0)), ["0", "50", "100", "150", "200"]);
        assert_eq!(words(Axis::linear(Of::Count, 0.0)), ["0", "0.5", "1"]);
        assert_eq!(words(Axis::until(Of::Time, 3_600.0)), ["0", "15 min", "30 min", "45 min", "60 min"]);
        assert_eq!(words(Axis::until(Of::Time, 86_400.0)), ["0", "6 h", "12 h", "18 h", "24 h"]);
        assert_eq!(
            words(Axis::decades(Of::Millis, [0.0, 3.0, 14_000.0].into_iter())),
            ["1 ms", "100 ms", "10 s"]
        );
        assert_eq!(words(Axis::decades(Of::Millis, [0.0].into_iter())), ["1 ms", "10 ms"]);
        for bad in [f64::NAN, f64::INFINITY, -3.0, 1e300, 1e-300] {
            assert!(Axis::linear(Of::Usd, bad).ticks().len() <= 12, "{bad}");
            assert!(Axis::until(Of::Time, bad).ticks().len() <= 12, "{bad}");
            assert!(Axis::decades(Of::Millis, [bad].into_iter()).ticks().len() <= 12, "{bad}");
        }
    }

    #[test]
    fn a_place_is_always_on_the_axis() {
        for axis in [Axis::linear(Of::Usd, 7.0), Axis::decades(Of::Millis, [2.0, 900.0].into_iter())] {
            for value in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, 1.0, 1e12] {
                let place = axis.place(value);
                assert!((0.0..=1.0).contains(&place), "{axis:?} {value} {place}");
            }
        }
    }
}
