//! What a state machine's definition says: its states, and what each of them calls.
//!
//! - [`text`]: a definition that is a text, or a text in pieces, becomes a tree; so do its substitutions.
//! - [`read`]: walks the states, those of maps and parallels too.
//! - `resource`: which service and which target a task's `Resource` and arguments name.
//!
//! Whose node a target is decides `wire`: here it is only what the definition writes.

mod resource;
mod states;
pub(super) mod text;

#[cfg(test)]
mod tests;

use crate::{
    design::{Machine, Mode, Task},
    document::{Span, Tree},
};

pub(super) use states::read;

/// What a definition says.
#[derive(Debug, Default)]
pub(super) struct Definition {
    /// What there is to know of it without its resource.
    pub machine: Machine,
    /// What its states call, in the order of the file.
    pub calls: Vec<Call>,
    /// What it leaves open: where, and the sentence.
    pub open: Vec<(Span, String)>,
}

/// What one state calls.
#[derive(Debug)]
pub(super) struct Call {
    /// The settings of the state.
    pub task: Task,
    /// Where the state stands.
    pub span: Span,
    /// Whether the machine waits for what is called.
    pub mode: Mode,
    /// The alias or version of the function that is called, where it is not in its name.
    pub qualifier: Option<String>,
    /// What is called.
    pub callee: Callee,
}

/// What is called.
#[derive(Debug, PartialEq)]
pub(super) enum Callee {
    /// A resource, by what names it.
    Named {
        /// What it has to be: the service, as in ARNs.
        service: &'static str,
        /// Its ARN, URL or name.
        name: Tree,
    },
    /// A URL, that may be an API's.
    Endpoint(Tree),
    /// The account's default bus.
    DefaultBus,
    /// A service that is no node of ours, in words.
    Service(String),
    /// The definition leaves it open: why, as the end of a sentence.
    Open(String),
}
