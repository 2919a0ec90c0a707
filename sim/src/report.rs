//! What a simulation says, for people and programs.
//!
//! - [`text`]: for a terminal: the answer first. - [`page`]: one page for a browser, complete in itself.
//! - [`json`], described by [`json_schema`], read by [`read`]; [`junit`]: for programs.
//! - [`compare`]: against another simulation: what became better and worse, and because of what.
//!
//! All are functions of a [`Report`]: the same report gives the same bytes.

mod against;
mod answer;
mod json;
mod junit;
mod markup;
mod numbers;
mod page;
mod text;

pub use against::{Comparison, Verdict, compare};
pub use json::{DOCUMENT_BYTES_MAX, Unreadable, json, json_schema, read};
pub use junit::junit;
pub use page::page;
pub use text::text;

use flyball_app::design::Design;

use crate::result::Simulation;

/// All that is said of one simulation.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was found.
    pub simulation: &'a Simulation,
    /// The design, for its drawing.
    pub design: Option<&'a Design>,
    /// Another simulation to compare with, and what it is called.
    pub against: Option<(&'a str, &'a Simulation)>,
}

/// Whether a promise broke at the stated load, or nothing came in that could have kept one, or something broke under
/// faults: the command fails then.
pub fn fails(simulation: &Simulation) -> bool {
    let run = simulation.run.as_ref();
    run.is_some_and(|run| run.broken().next().is_some() || run.saw_nothing())
        || simulation.faults.as_ref().is_some_and(|faults| faults.seeds_failed > 0)
}
