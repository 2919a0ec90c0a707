//! How long something takes, drawn quickly: a [`Lasting`] with everything computed beforehand.

use flyball_app::workload::Lasting;
use flyball_core::Span;

use crate::random::{DRAWN_MAX, Random, span_of};

/// The standard normal distribution's 99th percentile.
const Z99: f64 = 2.326_347_874_040_840_8;

/// Draws from a [`Lasting`]. Draws are rounded to microseconds and never above [`DRAWN_MAX`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    kind: Kind,
    mean: Span,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Constant(Span),
    /// Mean, microseconds.
    Exponential(f64),
    /// Of the logarithm of microseconds.
    LogNormal {
        mean: f64,
        deviation: f64,
    },
    /// Share (0 to 1, ascending) and microseconds; at least one.
    Quantiles(Box<[(f64, f64)]>),
    /// At least one.
    Measured(Box<[Span]>),
}

impl Sampler {
    /// Of what a workload states. What it may not state all the same has a meaning: a `p99` below its `p50` counts as
    /// equal to it, a `p50` of nothing as a microsecond, an empty table as no time at all.
    pub fn new(lasting: &Lasting) -> Sampler {
        match lasting {
            Lasting::Constant(span) => Sampler::constant(*span),
            Lasting::Exponential { mean } => {
                Sampler { kind: Kind::Exponential(micros(*mean)), mean: (*mean).min(DRAWN_MAX) }
            }
            Lasting::Percentiles { p50, p99 } if p99 <= p50 => Sampler::constant(*p50),
            Lasting::Percentiles { p50, p99 } => {
                let (p50, p99) = (micros(*p50).max(1.0), micros(*p99).max(1.0));
                let (mean, deviation) = (libm::log(p50), libm::log(p99 / p50) / Z99);
                let average = span_of(libm::exp(mean + deviation * deviation / 2.0));
                Sampler { kind: Kind::LogNormal { mean, deviation }, mean: average }
            }
            Lasting::Quantiles(points) => Sampler::quantiles(points),
            Lasting::Measured(values) if values.is_empty() => Sampler::constant(Span::ZERO),
            Lasting::Measured(values) => {
                let values: Box<[Span]> = values.iter().map(|value| (*value).min(DRAWN_MAX)).collect();
                let sum: u128 = values.iter().map(|value| u128::from(value.0)).sum();
                let mean = u64::try_from(sum / (values.len() as u128)).unwrap_or(u64::MAX);
                Sampler { kind: Kind::Measured(values), mean: Span(mean) }
            }
        }
    }

    /// Always this long.
    pub fn constant(span: Span) -> Sampler {
        let span = span.min(DRAWN_MAX);
        Sampler { kind: Kind::Constant(span), mean: span }
    }

    fn quantiles(points: &[(f64, Span)]) -> Sampler {
        let mut table: Vec<(f64, f64)> = points
            .iter()
            .filter(|(percent, _)| percent.is_finite())
            .map(|(percent, span)| ((percent / 100.0).clamp(0.0, 1.0), micros(*span)))
            .collect();
        table.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (Some(first), Some(last)) = (table.first().copied(), table.last().copied()) else {
            return Sampler::constant(Span::ZERO);
        };
        let between: f64 =
            table.iter().zip(table.iter().skip(1)).map(|(a, b)| (b.0 - a.0) * (a.1 + b.1) / 2.0).sum();
        let mean = span_of(first.0 * first.1 + between + (1.0 - last.0) * last.1);
        Sampler { kind: Kind::Quantiles(table.into()), mean }
    }

    /// How long it takes this time.
    pub fn draw(&self, random: &mut Random) -> Span {
        match &self.kind {
            Kind::Constant(span) => *span,
            Kind::Exponential(mean) => span_of(mean * random.exponential_unit()),
            Kind::LogNormal { mean, deviation } => span_of(libm::exp(mean + deviation * random.normal())),
            Kind::Quantiles(table) => span_of(interpolated(table, random.unit())),
            Kind::Measured(values) => {
                #[expect(clippy::cast_possible_truncation, reason = "below the length")]
                let place = random.below(values.len() as u64) as usize;
                values.get(place).copied().unwrap_or_default()
            }
        }
    }

    /// The mean of what is drawn: exact up to a microsecond (of a log-normal distribution `exp(μ + σ²/2)`), and not
    /// above [`DRAWN_MAX`].
    pub fn mean(&self) -> Span {
        self.mean
    }
}

/// The value at a share: on a straight line between two points, and beyond the first and the last one as they are.
fn interpolated(table: &[(f64, f64)], share: f64) -> f64 {
    let after = table.partition_point(|(at, _)| *at <= share);
    match (after.checked_sub(1).and_then(|before| table.get(before)), table.get(after)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (share - a.0) / (b.0 - a.0),
        (Some(only), None) | (None, Some(only)) => only.1,
        (None, None) => 0.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
fn micros(span: Span) -> f64 {
    span.0 as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lasting: &Lasting, n: usize) -> Vec<u64> {
        let (sampler, mut random) = (Sampler::new(lasting), Random::of(3, "lasting"));
        let mut values: Vec<u64> = (0..n).map(|_| sampler.draw(&mut random).0).collect();
        values.sort_unstable();
        values
    }

    fn cases() -> [(&'static str, Lasting); 6] {
        let ms = Span::from_millis;
        [
            ("constant", Lasting::Constant(ms(20))),
            ("exponential", Lasting::Exponential { mean: ms(20) }),
            ("percentiles", Lasting::Percentiles { p50: ms(20), p99: ms(100) }),
            ("percentiles of nothing", Lasting::Percentiles { p50: ms(0), p99: Span(10) }),
            ("quantiles", Lasting::Quantiles(vec![(0.0, ms(1)), (50.0, ms(20)), (99.0, ms(100))])),
            ("measured", Lasting::Measured(vec![ms(1), ms(2), ms(9)])),
        ]
    }

    #[test]
    fn the_mean_that_is_stated_is_that_of_the_draws() {
        for (name, lasting) in cases() {
            let values = drawn(&lasting, 400_000);
            let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
            let stated = Sampler::new(&lasting).mean().0 as f64;
            assert!(
                (mean / stated - 1.0).abs() < 0.01 || (mean - stated).abs() < 0.5,
                "{name}: {mean}, {stated}"
            );
        }
    }

    #[test]
    fn percentiles_that_are_stated_are_those_of_the_draws() {
        for (name, lasting) in cases() {
            let values = drawn(&lasting, 400_000);
            let at = |share: f64| values[(values.len() as f64 * share) as usize] as f64 / 1_000.0;
            let (p50, p99) = match name {
                "percentiles" | "quantiles" => (20.0, 100.0),
                "exponential" => (20.0 * libm::log(2.0), 20.0 * libm::log(100.0)),
                "constant" => (20.0, 20.0),
                "measured" => (2.0, 9.0),
                _ => (0.001, 0.010),
            };
            assert!((at(0.5) / p50 - 1.0).abs() < 0.02, "{name}: p50 is {}, not {p50}", at(0.5));
            assert!((at(0.989) / p99 - 1.0).abs() < 0.04, "{name}: p99 is {}, not {p99}", at(0.989));
        }
    }

    #[test]
    fn what_may_not_be_stated_has_a_meaning_all_the_same() {
        let ms = Span::from_millis;
        let cases = [
            (Lasting::Percentiles { p50: ms(5), p99: ms(1) }, ms(5)),
            (Lasting::Quantiles(vec![]), ms(0)),
            (Lasting::Quantiles(vec![(f64::NAN, ms(5))]), ms(0)),
            (Lasting::Quantiles(vec![(50.0, ms(5)), (50.0, ms(5))]), ms(5)),
            (Lasting::Measured(vec![]), ms(0)),
            (Lasting::Constant(Span(u64::MAX)), DRAWN_MAX),
            (Lasting::Quantiles(vec![(0.0, Span(u64::MAX))]), DRAWN_MAX),
        ];
        for (lasting, span) in cases {
            assert_eq!(Sampler::new(&lasting).draw(&mut Random::of(1, "odd")), span, "{lasting:?}");
            assert_eq!(Sampler::new(&lasting).mean(), span, "{lasting:?}");
        }
    }

    #[test]
    fn draws_of_one_seed_are_fixed() {
        let first: Vec<String> = cases()
            .iter()
            .map(|(name, lasting)| {
                let (sampler, mut random) = (Sampler::new(lasting), Random::of(1, "fixed"));
                let values: Vec<u64> = (0..4).map(|_| sampler.draw(&mut random).0).collect();
                format!("{name}: {values:?}")
            })
            .collect();
        insta::assert_snapshot!(first.join("\n"));
    }
}
