//! The walls of a design: rules over [`Design`](crate::design::Design) and [`Profile`](crate::profile::Profile).
//!
//! - [`check`]: the door: every rule over a design, findings in the order of the files.
//! - [`Rule`]: what a rule is. `rules` has ours, a module for each kind of wall; others can be handed in.
//! - [`paths`]: ways, reach and cycles, for rules. [`words`]: numbers and nodes as people read them.
//! - [`Finding`]: what a rule says. Its level is decided here, for all rules alike: [`Level`].

mod finding;
mod look;
pub mod paths;
mod rules;
#[cfg(test)]
mod tests;
pub mod words;

pub use finding::{Draft, Finding, Fix, Found, Hop, Level, Quantity, Severity};
pub use look::Look;
pub use rules::{About, RULES_VERSION, Rule, ours};

/// Runs `rules` over what is looked at. Findings are in the order of files, lines and codes.
pub fn check(look: &Look<'_>, rules: &[&dyn Rule]) -> Vec<Finding> {
    let mut found = Found::new(look);
    for rule in rules {
        found.of(rule.about());
        rule.check(look, &mut found);
    }
    found.finish()
}
