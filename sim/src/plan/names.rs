//! What names in a traffic file mean.

use std::collections::BTreeMap;

use flyball_core::model::nearest;

use super::{
    DependencyNo, Problem,
    program::{Callee, EmitTo},
};
use crate::message::FunctionNo;

/// Names of the design and of the traffic file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub functions: BTreeMap<String, FunctionNo>,
    pub dependencies: BTreeMap<String, DependencyNo>,
    /// What events can be sent to.
    pub targets: BTreeMap<String, EmitTo>,
}

impl Names {
    /// Whom a step of `function` calls.
    pub(crate) fn callee(&self, name: &str, function: &str, problems: &mut Vec<Problem>) -> Option<Callee> {
        if let Some(&dependency) = self.dependencies.get(name) {
            return Some(Callee::Dependency(dependency));
        }
        if let Some(&called) = self.functions.get(name) {
            return Some(Callee::Function(called));
        }
        let known = self.dependencies.keys().chain(self.functions.keys());
        problems.push(unknown(
            format!("{function} calls {name:?}, which is neither a dependency nor a function"),
            name,
            known,
            "state it as [dependency.NAME]",
        ));
        None
    }

    /// Where a step of `function` emits to.
    pub(crate) fn target(&self, name: &str, function: &str, problems: &mut Vec<Problem>) -> Option<EmitTo> {
        if let Some(target) = self.targets.get(name) {
            return Some(target.clone());
        }
        let what = format!("{function} emits to {name:?}, which the design does not have");
        problems.push(unknown(what, name, self.targets.keys(), "name a queue, topic, bus or function of it"));
        None
    }
}

/// A name that is not known, with the one that may be meant.
pub(crate) fn unknown<'a>(
    what: String,
    name: &str,
    known: impl IntoIterator<Item = &'a String>,
    otherwise: &str,
) -> Problem {
    let help = nearest(name, known.into_iter().map(String::as_str), otherwise);
    Problem { what, help }
}
