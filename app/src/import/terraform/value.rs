//! Values of a planned resource, known or as the configuration says them.

use std::collections::BTreeSet;

use super::plan::{Found, Plan, Planned, Statements};
use crate::document::{Entry, Format, Reference, Span, Tree, Value, parse_inside};

/// Principals and conditions of one statement that are looked at.
const BLOCKS_MAX: usize = 50;

/// A place in a resource's values, with what the configuration says there.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    plan: &'p Plan<'p>,
    of: &'p Planned<'p>,
    value: Option<&'p Tree>,
    expression: Option<&'p Tree>,
}

impl<'p> Place<'p> {
    /// The whole of a resource.
    pub(super) fn of(plan: &'p Plan<'p>, of: &'p Planned<'p>) -> Place<'p> {
        Place { plan, of, value: Some(of.values), expression: of.expressions }
    }

    /// What is at keys, one inside the other with dots between. Of blocks the first is entered.
    pub(super) fn at(self, path: &str) -> Place<'p> {
        path.split('.').fold(self, |place, key| {
            let place = place.first();
            Place {
                value: place.value.and_then(|tree| tree.get(key)),
                expression: place.expression.and_then(|tree| tree.get(key)),
                ..place
            }
        })
    }

    /// The blocks at a key, each with what the configuration says of it where it says of each.
    pub(super) fn blocks(self, key: &str) -> Vec<Place<'p>> {
        let place = self.at(key);
        let values = place.value.map(Tree::items).unwrap_or_default();
        let expressions = place.expression.map(Tree::items).unwrap_or_default();
        let expression = |at: usize| expressions.get(at).filter(|_| expressions.len() == values.len());
        values
            .iter()
            .enumerate()
            .map(|(at, value)| Place { value: Some(value), expression: expression(at), ..place })
            .collect()
    }

    fn first(self) -> Place<'p> {
        let first = |tree: Option<&'p Tree>| match tree {
            Some(Tree { value: Value::List(items), .. }) => items.first(),
            tree => tree,
        };
        Place { value: first(self.value), expression: first(self.expression), ..self }
    }

    /// Where it stands.
    fn span(self) -> Span {
        self.value.map_or(self.of.span, |tree| tree.span)
    }

    /// The value, or what the configuration says of one that is not known yet.
    pub(super) fn tree(self) -> Option<Tree> {
        match self.value {
            Some(Tree { value: Value::Null, .. }) => None,
            Some(known) => Some(known.clone()),
            None => self.said(),
        }
    }

    /// What it names: the resource of the plan where the configuration says which, else the value.
    pub(super) fn link(self) -> Option<Tree> {
        let said = self.expression.map(|expression| self.plan.follow(self.of, expression));
        let one = said.and_then(|found| self.one(&found));
        one.map(|reference| Tree { value: Value::Reference(reference), span: self.span() })
            .or_else(|| self.tree())
    }

    /// A value that is written as a text of JSON.
    pub(super) fn json(self) -> Option<Tree> {
        let tree = self.tree()?;
        let parsed = tree.as_str().and_then(|text| parse_inside(text, tree.span, Format::Json).ok());
        Some(parsed.unwrap_or(tree))
    }

    /// A policy: a text of JSON, or the statements of a data source where it is not known yet.
    pub(super) fn policy(self) -> Option<Tree> {
        if self.value.is_some() {
            return self.json();
        }
        let found = self.plan.follow(self.of, self.expression?);
        match found.policies.as_slice() {
            [one] if found.to.is_empty() => Some(self.document(*one)),
            _ => self.said(),
        }
    }

    /// A redrive policy, whose text is not known while its queue is to be made.
    pub(super) fn redrive(self) -> Option<Tree> {
        if self.value.is_some() {
            return self.json();
        }
        let found = self.plan.follow(self.of, self.expression?);
        let span = self.span();
        let target = match self.one(&found) {
            Some(reference) => Tree { value: Value::Reference(reference), span },
            None => return self.said(),
        };
        let count = Tree::unknown(span, "it is in a text that is not known until its queue is made");
        let entry = |key: &str, value| Entry { key: key.into(), key_span: span, value };
        Some(Tree::map(span, vec![entry("deadLetterTargetArn", target), entry("maxReceiveCount", count)]))
    }

    /// All resources that the configuration names here.
    pub(super) fn named(self) -> Vec<Reference> {
        let found =
            self.expression.map(|expression| self.plan.follow(self.of, expression)).unwrap_or_default();
        found.to.iter().filter_map(|(at, attribute)| self.plan.resource(*at, attribute)).collect()
    }

    /// The resource that is named and nothing else, by its place among the planned.
    pub(super) fn planned(self) -> Option<usize> {
        let found = self.plan.follow(self.of, self.expression?);
        let all: BTreeSet<usize> = found.to.iter().map(|(at, _)| *at).collect();
        all.first().copied().filter(|_| all.len() == 1)
    }

    /// The single resource that is found.
    fn one(self, found: &Found<'p>) -> Option<Reference> {
        let resources: BTreeSet<usize> = found.to.iter().map(|(at, _)| *at).collect();
        let (at, attribute) = found.to.first().filter(|_| resources.len() == 1)?;
        self.plan.resource(*at, attribute)
    }

    /// What the configuration says of a value that is not known yet. `None`: nothing, so that it is left out.
    fn said(self) -> Option<Tree> {
        let expression = self.expression?;
        let found = self.plan.follow(self.of, expression);
        let span = self.span();
        if let Some(reference) = self.one(&found) {
            return Some(Tree { value: Value::Reference(reference), span });
        }
        if let Some(constant) = found.constant.filter(|_| found.to.is_empty()) {
            return Some(constant.clone());
        }
        let names: Vec<&str> =
            found.to.iter().filter_map(|(at, _)| Some(self.plan.planned.get(*at)?.address)).collect();
        let why = match (found.open, names.as_slice()) {
            (Some(why), _) => why,
            (None, [one]) => format!("it is of {one}, which is not read"),
            (None, []) if expression.get("references").is_none() => return None,
            _ => "it is put together from what is not known until it is made".to_string(),
        };
        Some(Tree::unknown(span, why))
    }

    /// A policy document of the blocks that a data source has.
    fn document(self, statements: Statements<'p>) -> Tree {
        let span = self.span();
        if !self.plan.spend(statements.blocks.items().len()) {
            return Tree::unknown(span, "the plan has too many policies");
        }
        let list = |items: Vec<Tree>| Tree { value: Value::List(items), span };
        let entry = |key: &str, value| Entry { key: key.into(), key_span: span, value };
        let all = statements.blocks.items().iter().map(|block| {
            let said = |key: &str| block.get(key).map(|expression| self.values(statements, expression));
            let effect = block.at(&["effect", "constant_value"]).cloned();
            let mut entries = vec![entry("Effect", effect.unwrap_or_else(|| Tree::text(span, "Allow")))];
            for (key, written) in [
                ("Action", "actions"),
                ("NotAction", "not_actions"),
                ("Resource", "resources"),
                ("NotResource", "not_resources"),
            ] {
                entries.extend(said(written).map(|values| entry(key, values)));
            }
            let mut principals: Vec<Entry> = Vec::new();
            for one in block.get("principals").map(Tree::items).unwrap_or_default().iter().take(BLOCKS_MAX) {
                let of = one.at(&["type", "constant_value"]).and_then(Tree::as_str).unwrap_or("AWS");
                let of = if of == "*" { "AWS" } else { of };
                let values = one.get("identifiers").map(|expression| self.values(statements, expression));
                if !principals.iter().any(|entry| entry.key == of) {
                    principals.extend(values.map(|values| entry(of, values)));
                }
            }
            if !principals.is_empty() {
                entries.push(entry("Principal", Tree::map(span, principals)));
            }
            let conditions = block.get("condition").map(Tree::items).unwrap_or_default();
            if !conditions.is_empty() {
                entries.push(entry("Condition", self.conditions(statements, conditions)));
            }
            Tree::map(span, entries)
        });
        Tree::map(span, vec![entry("Statement", list(all.collect()))])
    }

    fn conditions(self, statements: Statements<'p>, conditions: &'p [Tree]) -> Tree {
        let span = self.span();
        let entry = |key: &str, value| Entry { key: key.into(), key_span: span, value };
        let mut tests: Vec<Entry> = Vec::new();
        for one in conditions.iter().take(BLOCKS_MAX) {
            let text = |key: &str| one.at(&[key, "constant_value"]).and_then(Tree::as_str);
            let (Some(test), Some(variable), Some(values)) =
                (text("test"), text("variable"), one.get("values"))
            else {
                continue;
            };
            let new = entry(variable, self.values(statements, values));
            match tests.iter_mut().find(|entry| entry.key == test).map(|entry| &mut entry.value.value) {
                Some(Value::Map(entries)) if entries.iter().all(|entry| entry.key != variable) => {
                    entries.push(new)
                }
                Some(_) => {}
                None => tests.push(entry(test, Tree::map(span, vec![new]))),
            }
        }
        Tree::map(span, tests)
    }

    /// The values of an expression within a policy: those that are written, and the resources that are named.
    fn values(self, statements: Statements<'p>, expression: &'p Tree) -> Tree {
        let found = self.plan.follow_in(statements, expression);
        let span = self.span();
        let mut values: Vec<Tree> = found.constant.map(Tree::one_or_many).unwrap_or_default().to_vec();
        let named = found.to.iter().filter_map(|(at, attribute)| self.plan.resource(*at, attribute));
        values.extend(named.map(|reference| Tree { value: Value::Reference(reference), span }));
        if let Some(why) = found.open {
            values.push(Tree::unknown(span, why));
        }
        if values.is_empty() {
            return Tree::unknown(span, "it is put together from what is not known until it is made");
        }
        Tree { value: Value::List(values), span }
    }
}
