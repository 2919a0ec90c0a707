//! `flyball simulate`: the engine without a server around it.
//!
//! - `predict`: the application under stated traffic: its load line, its cost. `hands`: who does the search's pieces.
//! - `faults`: the application under faults, from seeds.
//! - `replay`: a log that `flyball serve --record` wrote, fed to the engine again. `log`: reading one.
//! - `what_if`: the same under another application, an estimate.
//! - `traced`: a trace as the application.
//! - `real`: its own functions, run instead of modelled.

mod faults;
mod hands;
mod log;
mod predict;
mod real;
mod replay;
mod traced;
mod what_if;

use crate::{
    arguments::{Format, Simulate},
    stop::Stop,
};

/// Runs what the arguments ask for.
///
/// # Errors
/// Where it can't be read: exit 2; where a promise breaks or a replay is different: exit 1.
pub fn run(wanted: &Simulate, format: Format) -> Result<(), Stop> {
    match (&wanted.replay, &wanted.application) {
        (Some(log), Some(application)) => what_if::run(log, application, format),
        (Some(log), None) => replay::run(log, format),
        (None, _) => predict::run(wanted, format),
    }
}
