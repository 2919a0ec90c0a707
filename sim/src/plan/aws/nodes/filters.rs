//! Which share of what comes passes filters and patterns: nothing evaluates them.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Assumption, Problem, unknown};

/// What `[filter.FROM]` states.
#[derive(Debug)]
pub(in crate::plan::aws) struct Filters<'a> {
    stated: &'a BTreeMap<String, BTreeMap<String, f64>>,
    /// Filters that are there, stated or not.
    there: BTreeSet<(String, String)>,
}

impl<'a> Filters<'a> {
    pub(in crate::plan::aws) fn new(stated: &'a BTreeMap<String, BTreeMap<String, f64>>) -> Filters<'a> {
        Filters { stated, there: BTreeSet::new() }
    }

    /// The share that passes from one node to another, where there is a filter: as stated, or all, assumed.
    pub(super) fn share(
        &mut self,
        (from, to): (&str, &str),
        filtered: bool,
        assumptions: &mut Vec<Assumption>,
    ) -> f64 {
        if !filtered {
            return 1.0;
        }
        self.there.insert((from.to_string(), to.to_string()));
        if let Some(share) = self.stated.get(from).and_then(|of| of.get(to)) {
            return *share;
        }
        assumptions.push(Assumption {
            what: format!("what of {from} passes the filter before {to}"),
            value: "all".into(),
            why: "filters and patterns are not evaluated".into(),
            key: Some(format!("filter.{from}.{to}")),
            knob: None,
        });
        1.0
    }

    /// Shares of filters that are not there.
    pub(super) fn unused(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let stated = self.stated.iter().flat_map(|(from, of)| of.keys().map(move |to| (from, to)));
        for (from, to) in stated {
            if self.there.contains(&(from.clone(), to.clone())) {
                continue;
            }
            let known: Vec<String> = self.there.iter().map(|(from, to)| format!("{from}.{to}")).collect();
            let name = format!("{from}.{to}");
            let what = format!("[filter.{from}] {to}: there is no filter or pattern from {from} to {to}");
            problems.push(unknown(what, &name, &known, "remove it, or name both as the template does"));
        }
        problems
    }
}
