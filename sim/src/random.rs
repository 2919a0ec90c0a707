//! Randomness that is the same everywhere: xoshiro256++ from a seed, and only `libm` for logarithms and the like.

use flyball_core::Span;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A stream of random numbers. Each part of a simulation has its own, so that what one part draws changes nothing
/// for another.
#[derive(Debug, Clone, PartialEq)]
pub struct Random {
    source: Xoshiro256PlusPlus,
    /// The polar method gives two at a time.
    spare_normal: Option<f64>,
}

impl Random {
    /// The stream of a part, such as `arrivals.orders`. Streams of other seeds or parts are independent of it.
    pub fn of(seed: u64, part: &str) -> Random {
        let mut hasher = blake3::Hasher::new_derive_key("flyball sim random 1");
        hasher.update(&seed.to_le_bytes());
        hasher.update(part.as_bytes());
        let source = Xoshiro256PlusPlus::from_seed(*hasher.finalize().as_bytes());
        Random { source, spare_normal: None }
    }

    /// 64 bits, each as likely 0 as 1.
    pub fn bits(&mut self) -> u64 {
        self.source.next_u64()
    }

    /// From 0 to below 1, in steps of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.bits() >> 11) as f64;
        bits * (1.0 / 9_007_199_254_740_992.0)
    }

    /// A whole number from 0 to below `n`, each exactly as likely. 0 where `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
            let low = product as u64;
            // Of 2⁶⁴ values the first 2⁶⁴ mod n are too many.
            if low >= n || low >= n.wrapping_neg().checked_rem(n).unwrap_or(0) {
                return (product >> 64) as u64;
            }
        }
    }

    /// Whether something of this likelihood happens: never at 0 or less, always at 1 or more. Draws nothing where
    /// that is certain.
    pub fn chance(&mut self, p: f64) -> bool {
        p >= 1.0 || (p > 0.0 && self.unit() < p)
    }

    /// Exponentially distributed, of mean 1.
    pub fn exponential_unit(&mut self) -> f64 {
        -libm::log(1.0 - self.unit())
    }

    /// Exponentially distributed, rounded to microseconds.
    pub fn exponential(&mut self, mean: Span) -> Span {
        #[expect(clippy::cast_precision_loss, reason = "beyond 285 years of microseconds")]
        let mean = mean.0 as f64;
        span_of(mean * self.exponential_unit())
    }

    /// Normally distributed, of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                let factor = (-2.0 * libm::log(square) / square).sqrt();
                self.spare_normal = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// A value with its fraction as the likelihood of one more, so that its mean is exact: 2.3 gives 2 or 3. 0 where
    /// it is negative or not a number.
    pub fn rounded(&mut self, value: f64) -> u64 {
        let whole = value.floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; what is below 0 becomes 0"
        )]
        let least = whole as u64;
        least.saturating_add(u64::from(self.chance(value - whole)))
    }
}

/// The longest that anything drawn lasts: a year of 366 days. What would be longer is this.
pub const DRAWN_MAX: Span = Span::from_secs(366 * 24 * 3_600);

/// Microseconds, rounded to whole ones, between nothing and [`DRAWN_MAX`]. What is not a number is nothing.
pub(crate) fn span_of(micros: f64) -> Span {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates; what is below 0 or not a number becomes 0"
    )]
    let whole = (micros + 0.5) as u64;
    Span(whole.min(DRAWN_MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_part_give_the_same_stream_and_others_another() {
        let first = |seed, part| {
            let mut random = Random::of(seed, part);
            [random.bits(), random.bits()]
        };
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
        // Fixed for ever: what is recorded with a seed must replay.
        insta::assert_debug_snapshot!(first(1, "a"));
    }

    #[test]
    fn draws_have_their_mean_and_their_deviation() {
        const N: u32 = 400_000;
        let mut random = Random::of(7, "moments");
        let mut moments = |draw: &mut dyn FnMut(&mut Random) -> f64| {
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..N {
                let value = draw(&mut random);
                sum += value;
                squares += value * value;
            }
            let mean = sum / f64::from(N);
            (mean, squares / f64::from(N) - mean * mean)
        };
        // Name, draw, mean, variance.
        type Draw<'a> = &'a mut dyn FnMut(&mut Random) -> f64;
        let cases: [(&str, Draw, f64, f64); 6] = [
            ("unit", &mut |r| r.unit(), 0.5, 1.0 / 12.0),
            ("below", &mut |r| r.below(10) as f64, 4.5, 8.25),
            ("chance", &mut |r| f64::from(u8::from(r.chance(0.3))), 0.3, 0.21),
            ("exponential", &mut |r| r.exponential(Span(1_000_000)).0 as f64 / 1e6, 1.0, 1.0),
            ("normal", &mut |r| r.normal(), 0.0, 1.0),
            ("rounded", &mut |r| r.rounded(2.3) as f64, 2.3, 0.21),
        ];
        for (name, draw, mean, variance) in cases {
            let (got_mean, got_variance) = moments(draw);
            let sigma = (variance / f64::from(N)).sqrt();
            assert!((got_mean - mean).abs() < 4.0 * sigma, "{name}: mean {got_mean}, not {mean}");
            assert!((got_variance / variance - 1.0).abs() < 0.02, "{name}: variance {got_variance}");
        }
    }

    #[test]
    fn at_the_edges_nothing_is_drawn_beyond_them() {
        let mut random = Random::of(1, "edges");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
        assert!((0..1_000).all(|_| random.below(u64::MAX) < u64::MAX));
        assert!(
            !random.chance(0.0) && !random.chance(-1.0) && !random.chance(f64::NAN) && random.chance(1.0)
        );
        assert_eq!(random.rounded(-0.5), 0);
        assert_eq!(random.rounded(f64::NAN), 0);
        assert_eq!(span_of(f64::NAN), Span(0));
        assert_eq!(span_of(f64::INFINITY), DRAWN_MAX);
        assert_eq!(span_of(1.5), Span(2));
    }
}
