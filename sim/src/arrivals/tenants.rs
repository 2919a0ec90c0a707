//! Whose an event is.

use flyball_app::workload::{TENANTS_MAX, Tenants};

use super::Wrong;
use crate::random::Random;

/// Draws tenants by Zipf's law, in the same short time however many there are: by Walker's aliases. 16 bytes for each
/// tenant, none where all are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantDraw {
    count: u32,
    /// For each place: how likely it stays, else who it is.
    places: Box<[(f64, u32)]>,
}

impl TenantDraw {
    pub(super) fn new(tenants: &Tenants) -> Result<TenantDraw, Wrong> {
        let (count, zipf) = match tenants {
            Tenants::One(_) => (1, 0.0),
            Tenants::Many { count, zipf } => (*count, *zipf),
        };
        if count == 0 || count > TENANTS_MAX {
            return Err(("the number of tenants", f64::from(count), "1 to 100,000"));
        }
        if !(zipf.is_finite() && zipf >= 0.0) {
            return Err(("the exponent of Zipf's law", zipf, "0 or more"));
        }
        let places = if zipf == 0.0 || count == 1 { Box::default() } else { aliases(&weights(count, zipf)) };
        Ok(TenantDraw { count, places })
    }

    /// A tenant's place: 0 is the most frequent one.
    pub fn draw(&self, random: &mut Random) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "below a u32")]
        let place = if self.count == 1 { 0 } else { random.below(u64::from(self.count)) as u32 };
        match self.places.get(place as usize) {
            Some((stays, alias)) if !random.chance(*stays) => *alias,
            _ => place,
        }
    }

    /// How many there are.
    pub const fn count(&self) -> u32 {
        self.count
    }
}

fn weights(count: u32, zipf: f64) -> Vec<f64> {
    (1..=count).map(|rank| libm::pow(f64::from(rank), -zipf)).collect()
}

/// Each place has the mean weight: its own share of it, and the rest from one that has too much.
fn aliases(weights: &[f64]) -> Box<[(f64, u32)]> {
    let sum: f64 = weights.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
    let mut places: Vec<(f64, u32)> =
        (0u32..).zip(weights).map(|(own, weight)| (weight * weights.len() as f64 / sum, own)).collect();
    let (mut small, mut large): (Vec<u32>, Vec<u32>) =
        places.iter().map(|(_, own)| *own).partition(|own| share(&places, *own) < 1.0);
    while let (Some(needs), Some(gives)) = (small.pop(), large.last().copied()) {
        let missing = 1.0 - share(&places, needs);
        if let Some(place) = places.get_mut(needs as usize) {
            place.1 = gives;
        }
        if let Some(place) = places.get_mut(gives as usize) {
            place.0 -= missing;
        }
        if share(&places, gives) < 1.0 {
            large.pop();
            small.push(gives);
        }
    }
    // What is left is full but for rounding.
    for left in small.into_iter().chain(large) {
        if let Some(place) = places.get_mut(left as usize) {
            place.0 = 1.0;
        }
    }
    places.into()
}

fn share(places: &[(f64, u32)], place: u32) -> f64 {
    places.get(place as usize).map_or(1.0, |place| place.0)
}
