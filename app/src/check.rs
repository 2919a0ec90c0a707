//! The walls of a design: rules over [`Design`](crate::design::Design) and [`Profile`](crate::profile::Profile).
//!
//! - [`check`]: the door: every rule over a design, findings in the order of the files.
//! - [`Rule`]: what a rule is. `rules` has ours, a module for each kind of wall; others can be handed in.
//! - [`paths`]: ways, reach and cycles, for rules. [`words`]: numbers and nodes as people read them.
//! - [`Baseline`]: what was known before. [`fix`]: changes that mend findings.
//! - [`Finding`]: what a rule says. Its level is decided here, for all rules alike: [`Level`].
//!
//! # A rule of your own
//!
//! A rule looks at the design and adds drafts; level, place and fingerprint are made of them. What is not known is
//! no finding.
//!
//! ```
//! use flyball_app::{
//!     check::{About, Draft, Found, Level, Look, Rule, Severity, check},
//!     import::{Input, Options, import},
//!     profile::{Given, Profile},
//! };
//!
//! /// In our company an error of a queue without dead letters woke somebody up.
//! struct KeepsDeadLetters;
//!
//! static ABOUT: About = About {
//!     code: "SHOP01",
//!     title: "every queue keeps its dead letters",
//!     severity: Severity::Warning,
//!     since: 1,
//!     page: "# SHOP01: every queue keeps its dead letters\n\nSee our runbook.\n",
//! };
//!
//! impl Rule for KeepsDeadLetters {
//!     fn about(&self) -> &'static About {
//!         &ABOUT
//!     }
//!
//!     fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
//!         for (id, node, queue) in look.design.queues() {
//!             // Read by a function, and the file says of no redrive policy: `is_default`, not "not known".
//!             let feeds = look.design.outgoing(id).next();
//!             if let (Some((edge, _)), true) = (feeds, queue.redrive.is_default()) {
//!                 let message = format!("what {} can't deliver is lost after its retention", node.name);
//!                 let help = format!("give {} a RedrivePolicy", node.name);
//!                 found.add(Draft::new(id, node.span, message, help).rests_on([edge]));
//!             }
//!         }
//!     }
//! }
//!
//! let text = r#"
//! Resources:
//!   Orders:
//!     Type: AWS::SQS::Queue
//!   Charge:
//!     Type: AWS::Lambda::Function
//!   Mapping:
//!     Type: AWS::Lambda::EventSourceMapping
//!     Properties: {FunctionName: !Ref Charge, EventSourceArn: !GetAtt Orders.Arn}
//! "#;
//! let input = Input { name: "template.yaml".into(), text: text.into() };
//! let imported = import(vec![input], &Options::default(), &|_| None);
//! let (profile, given) = (Profile::built_in("aws").unwrap(), Given::default());
//! let look = Look { design: &imported.design, profile: &profile, given: &given };
//! let findings = check(&look, &[&KeepsDeadLetters]);
//! assert_eq!(findings.len(), 1);
//! assert_eq!((findings[0].resource.as_str(), findings[0].level), ("Orders", Level::Warning));
//! assert_eq!(findings[0].place.line, 3);
//! ```

mod baseline;
mod finding;
pub mod fix;
pub mod load;
mod look;
pub mod paths;
mod rules;
#[cfg(test)]
mod tests;
pub mod words;

pub use baseline::{Baseline, Compared, baseline_file};
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
