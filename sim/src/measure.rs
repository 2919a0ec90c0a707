//! What is counted, in bounded memory.
//!
//! - [`Histogram`]: durations, within 1/32 of their value. - [`Series`]: values over virtual time, in so many slots.
//! - [`GaugeSeries`]: a series of something that has a value at every moment. - [`TimeWeighted`]: its mean and
//!   its most, without the series.

mod histogram;
mod series;

pub use histogram::Histogram;
pub use series::{GaugeSeries, GaugeSlot, SLOTS_MAX_DEFAULT, Series, Slot, TimeWeighted};
