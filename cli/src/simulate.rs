//! `flyball simulate`: the engine without a server around it.
//!
//! - `replay`: a log that `flyball serve --record` wrote, fed to the engine again.

mod replay;

use crate::{
    arguments::{Format, Simulate},
    stop::Stop,
};

/// Runs what the arguments ask for.
///
/// # Errors
/// Where it can't be read: exit 2; where it does not hold: exit 1.
pub fn run(wanted: &Simulate, format: Format) -> Result<(), Stop> {
    replay::run(&wanted.replay, format)
}
