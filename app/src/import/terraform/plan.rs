//! A plan as Terraform shows it: what there will be, and what its configuration says of what is not known yet.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use super::address::{Part, parts};
use crate::document::{Span, Tree};

/// How many references one plan follows, and parts of policies that are copied: outputs and variables can name one
/// another in circles.
const STEPS_MAX: usize = 1_000_000;

/// How many outputs and variables lie between an expression and a resource, at most.
const DEPTH_MAX: usize = 32;

/// References that begin like another which are looked at, to see whether it is only their beginning.
const LONGER_MAX: usize = 64;

/// A resource that will be there.
#[derive(Debug)]
pub(super) struct Planned<'p> {
    /// Its address: no two are alike.
    pub address: &'p str,
    /// Where the address stands.
    pub span: Span,
    /// `aws_sqs_queue`.
    pub of: &'p str,
    /// Its values as far as they are known.
    pub values: &'p Tree,
    /// What the configuration says of its values.
    pub expressions: Option<&'p Tree>,
    /// Which of its values are not known until it is made: `true`, or a map or list of such.
    pub unknown: Option<&'p Tree>,
    /// The index behind its name.
    index: Option<&'p str>,
    /// The module that it is in, an index into [`Plan::scopes`].
    scope: usize,
}

/// A module, or an instance of one.
#[derive(Debug)]
struct Scope<'p> {
    /// Its address; empty: the root.
    address: String,
    /// Its configuration.
    configuration: Option<&'p Tree>,
    /// The module that calls it, and what it is given.
    call: Option<(usize, &'p Tree)>,
}

/// A plan.
#[derive(Debug)]
pub(super) struct Plan<'p> {
    /// The resources, in the order of the file.
    pub planned: Vec<Planned<'p>>,
    by_name: BTreeMap<(usize, &'p str, &'p str), Vec<usize>>,
    scopes: Vec<Scope<'p>>,
    by_address: BTreeMap<String, usize>,
    policies: BTreeMap<(usize, &'p str), &'p Tree>,
    rules: BTreeMap<&'p str, usize>,
    steps: Cell<usize>,
}

/// What an expression leads to.
#[derive(Debug, Default)]
pub(super) struct Found<'p> {
    /// Resources, each with the attribute that is named, empty for the whole.
    pub to: BTreeSet<(usize, &'p str)>,
    /// A value that is written there.
    pub constant: Option<&'p Tree>,
    /// Statements of data sources that make a policy.
    pub policies: Vec<Statements<'p>>,
    /// What else is in it that a plan does not tell.
    pub open: Option<String>,
}

/// The statements of a policy that a data source makes, and the module in which it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statements<'p> {
    /// `statement` of its configuration: a list of blocks.
    pub blocks: &'p Tree,
    scope: usize,
}

impl<'p> Plan<'p> {
    /// Reads a plan.
    pub(super) fn new(tree: &'p Tree) -> Plan<'p> {
        let mut plan = Plan {
            planned: Vec::new(),
            by_name: BTreeMap::new(),
            scopes: Vec::new(),
            by_address: BTreeMap::new(),
            policies: BTreeMap::new(),
            rules: BTreeMap::new(),
            steps: Cell::new(STEPS_MAX),
        };
        let changes = tree.get("resource_changes").map(Tree::items).unwrap_or_default();
        let changes = changes.iter().filter_map(|change| {
            let unknown = change.at(&["change", "after_unknown"])?;
            Some((change.get("address")?.as_str()?, unknown))
        });
        let unknown: BTreeMap<&str, &Tree> = changes.collect();
        let root = Scope {
            address: String::new(),
            configuration: tree.at(&["configuration", "root_module"]),
            call: None,
        };
        if let Some(module) = tree.at(&["planned_values", "root_module"]) {
            plan.module(module, root, &unknown);
        }
        for (at, planned) in plan.planned.iter().enumerate() {
            let named = parts(planned.address);
            if let [.., of, name] = named.as_slice() {
                plan.by_name.entry((planned.scope, of.name, name.name)).or_default().push(at);
            }
            if let (Some(name), true) =
                (planned.values.get("name").and_then(Tree::as_str), planned.of == "aws_cloudwatch_event_rule")
            {
                plan.rules.insert(name, at);
            }
        }
        plan
    }

    /// As deep as the file is nested, which is little.
    fn module(&mut self, module: &'p Tree, scope: Scope<'p>, unknown: &BTreeMap<&str, &'p Tree>) {
        let at = self.scopes.len();
        let (address, configuration) = (scope.address.clone(), scope.configuration);
        self.by_address.insert(address.clone(), at);
        self.scopes.push(scope);
        let mut configured: BTreeMap<&str, &Tree> = BTreeMap::new();
        let resources = configuration.and_then(|tree| tree.get("resources"));
        for one in resources.map(Tree::items).unwrap_or_default() {
            let text = |key: &str| one.get(key).and_then(Tree::as_str);
            let Some(expressions) = one.get("expressions") else { continue };
            match (text("mode"), text("type"), text("name"), text("address")) {
                (Some("data"), Some("aws_iam_policy_document"), Some(name), _) => {
                    self.policies.insert((at, name), expressions);
                }
                (mode, _, _, Some(address)) if mode != Some("data") => {
                    configured.insert(address, expressions);
                }
                _ => {}
            }
        }
        for resource in module.get("resources").map(Tree::items).unwrap_or_default() {
            let text = |key: &str| resource.get(key).and_then(Tree::as_str);
            let (Some(address), Some(of), Some(name)) = (text("address"), text("type"), text("name")) else {
                continue;
            };
            let Some(values) = resource.get("values").filter(|_| text("mode") != Some("data")) else {
                continue;
            };
            self.planned.push(Planned {
                address,
                span: resource.get("address").map_or(resource.span, |tree| tree.span),
                of,
                values,
                expressions: configured.get(format!("{of}.{name}").as_str()).copied(),
                unknown: unknown.get(address).copied(),
                index: parts(address).last().and_then(|part| part.index),
                scope: at,
            });
        }
        for child in module.get("child_modules").map(Tree::items).unwrap_or_default() {
            let Some(child_address) = child.get("address").and_then(Tree::as_str) else { continue };
            let named = parts(child_address);
            let call = named.last().and_then(|part| configuration?.at(&["module_calls", part.name]));
            let scope = Scope {
                address: child_address.to_string(),
                configuration: call.and_then(|call| call.get("module")),
                call: call.and_then(|call| call.get("expressions")).map(|expressions| (at, expressions)),
            };
            self.module(child, scope, unknown);
        }
    }

    /// The rule with a name.
    pub(super) fn rule(&self, name: &str) -> Option<&Planned<'p>> {
        self.rules.get(name).and_then(|at| self.planned.get(*at))
    }

    /// Takes steps off those that are left. `false`: there are not so many.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let left = self.steps.get().checked_sub(steps);
        self.steps.set(left.unwrap_or(0));
        left.is_some()
    }

    /// What an expression of a resource's configuration leads to.
    pub(super) fn follow(&self, from: &Planned<'p>, expression: &'p Tree) -> Found<'p> {
        let mut found = Found::default();
        self.expression(from.scope, from.index, expression, DEPTH_MAX, &mut found);
        found
    }

    /// What an expression of a policy's statement leads to.
    pub(super) fn follow_in(&self, statements: Statements<'p>, expression: &'p Tree) -> Found<'p> {
        let mut found = Found::default();
        self.expression(statements.scope, None, expression, DEPTH_MAX, &mut found);
        found
    }

    fn expression(
        &self,
        scope: usize,
        index: Option<&str>,
        expression: &'p Tree,
        depth: usize,
        found: &mut Found<'p>,
    ) {
        if let Some(constant) = expression.get("constant_value") {
            found.constant = Some(constant);
        }
        let references = expression.get("references").map(Tree::items).unwrap_or_default();
        let mut references: Vec<&str> = references.iter().filter_map(Tree::as_str).collect();
        references.sort_unstable();
        references.dedup();
        if depth == 0 || !self.spend(references.len()) {
            found.open = Some("its expressions name one another without an end".into());
            return;
        }
        for (at, reference) in references.iter().enumerate() {
            // Terraform lists `aws_sqs_queue.q.arn`, and `aws_sqs_queue.q` for it.
            let is_part = |other: &&str| {
                let rest = other.strip_prefix(reference);
                rest.is_some_and(|rest| rest.starts_with(['.', '[']))
            };
            let longer = references.iter().skip(at + 1).take_while(|other| other.starts_with(reference));
            if longer.take(LONGER_MAX).any(is_part) {
                continue;
            }
            self.reference(scope, index, &parts(reference), depth, found);
        }
    }

    fn reference(
        &self,
        scope: usize,
        index: Option<&str>,
        named: &[Part<'p>],
        depth: usize,
        found: &mut Found<'p>,
    ) {
        match named {
            [first, variable, ..] if first.name == "var" => {
                let call = self.scopes.get(scope).and_then(|scope| scope.call);
                let given = call.and_then(|(caller, given)| Some((caller, given.get(variable.name)?)));
                match given {
                    Some((caller, given)) => self.expression(caller, None, given, depth - 1, found),
                    None => found.open = Some(format!("it is the variable {}", variable.name)),
                }
            }
            [first, module, output, ..] if first.name == "module" => {
                match self.output(scope, index, *module, output.name) {
                    Some((scope, output)) => self.expression(scope, None, output, depth - 1, found),
                    None => found.open = Some(format!("it is from the module {}", module.name)),
                }
            }
            [first, of, name, ..] if first.name == "data" => match self.policy(scope, *of, name.name) {
                Some(statements) => found.policies.push(statements),
                None => found.open = Some(format!("it is from the data source {}.{}", of.name, name.name)),
            },
            [first, ..] if ["each", "count", "path", "terraform", "self"].contains(&first.name) => {}
            [first, name, ..] if first.name == "local" => {
                found.open =
                    Some(format!("it is the local value {}, of which a plan says nothing", name.name));
            }
            [of, name, rest @ ..] => match self.instance(scope, index, of.name, *name) {
                Some(at) => {
                    found.to.insert((at, rest.first().map_or("", |part| part.name)));
                }
                None => found.open = Some(format!("it is of {}.{}", of.name, name.name)),
            },
            _ => {}
        }
    }

    /// The instance of a resource that is named: by its index, the only one, or the one with the same index as who
    /// names it.
    fn instance(&self, scope: usize, index: Option<&str>, of: &str, name: Part<'_>) -> Option<usize> {
        let all = self.by_name.get(&(scope, of, name.name))?;
        let with = |index: Option<&str>| {
            let same = |at: &&usize| self.planned.get(**at).is_some_and(|planned| planned.index == index);
            all.iter().find(same).copied()
        };
        match (name.index, all.as_slice()) {
            (_, [one]) => Some(*one),
            (Some(stated), _) => with(Some(stated)).or_else(|| with(index)),
            (None, _) => index.and_then(|index| with(Some(index))),
        }
    }

    /// An output of a module that is called.
    fn output(
        &self,
        scope: usize,
        index: Option<&str>,
        module: Part<'_>,
        output: &str,
    ) -> Option<(usize, &'p Tree)> {
        let caller = &self.scopes.get(scope)?.address;
        let dot = if caller.is_empty() { "" } else { "." };
        let plain = format!("{caller}{dot}module.{}", module.name);
        let with = |index: &str| self.by_address.get(&format!("{plain}[{index}]"));
        let at = match module.index {
            Some(stated) => with(stated).or_else(|| with(index?)),
            None => index.and_then(with),
        };
        let at = *at.or_else(|| self.by_address.get(&plain))?;
        let configuration = self.scopes.get(at)?.configuration?;
        Some((at, configuration.at(&["outputs", output, "expression"])?))
    }

    /// The statements of a policy that a data source makes of nothing but them.
    fn policy(&self, scope: usize, of: Part<'_>, name: &str) -> Option<Statements<'p>> {
        if of.name != "aws_iam_policy_document" {
            return None;
        }
        let expressions = self.policies.get(&(scope, name))?;
        let others = ["source_policy_documents", "override_policy_documents", "source_json", "override_json"];
        if others.iter().any(|other| expressions.get(other).is_some()) {
            return None;
        }
        let blocks = expressions.get("statement").filter(|tree| !tree.items().is_empty())?;
        Some(Statements { blocks, scope })
    }
}
