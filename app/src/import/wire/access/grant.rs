//! What roles grant: their own policies, and those that are attached to them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Variable, action};
use crate::{
    document::{Span, Tree, Value},
    import::wire::{
        Wire,
        index::At,
        lead::{Lead, To},
        read::{self, Item},
    },
};

/// Statements that are looked at, for all roles together: one policy can be attached to many.
const STATEMENTS_MAX: usize = 200_000;

/// Some actions on one resource.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// Those that give work, as AWS writes them.
    pub actions: Vec<String>,
    /// The same statement allows reading too, and all the rest.
    pub both_ways: bool,
    /// What a condition says of events' sources; empty: nothing.
    pub sources: Vec<String>,
    /// What a condition says of events' detail types; empty: nothing.
    pub detail_types: Vec<String>,
    /// The resource in the statement.
    pub span: Span,
    /// The condition under which it is this resource.
    pub conditional: Option<String>,
}

/// What one role grants.
#[derive(Debug, Default)]
pub(super) struct Grants {
    by_target: BTreeMap<To, Vec<Grant>>,
    read: BTreeSet<To>,
    denied: BTreeSet<(To, String)>,
    denied_everywhere: BTreeSet<String>,
    /// Actions on everything, or everything of a service.
    pub wide: BTreeSet<String>,
}

impl Grants {
    /// What is granted on what variables name.
    pub(super) fn by_target<'g>(
        &'g self,
        named: &'g BTreeMap<To, Variable>,
    ) -> impl Iterator<Item = (&'g To, &'g [Grant])> {
        named.keys().filter_map(|to| Some((to, self.by_target.get(to)?.as_slice())))
    }

    /// Whether reading what is kept in it is granted.
    pub(super) fn reads(&self, to: &To) -> bool {
        self.read.contains(to)
    }

    /// What is granted on anything else.
    pub(super) fn others<'g>(
        &'g self,
        named: &'g BTreeMap<To, Variable>,
    ) -> impl Iterator<Item = (&'g To, &'g [Grant])> {
        let others = self.by_target.iter().filter(|(to, _)| !named.contains_key(to));
        others.map(|(to, grants)| (to, grants.as_slice()))
    }

    fn add(&mut self, wire: &Wire<'_>, stack: usize, item: &Item<'_>) {
        let statement = item.tree;
        let denies = statement.get("Effect").and_then(Tree::as_str) == Some("Deny");
        let conditional = statement.get("Condition").is_some();
        let actions = statement.get("Action").map(Tree::one_or_many).unwrap_or_default();
        let actions: Vec<&str> = actions.iter().filter_map(Tree::as_str).collect();
        let resources = statement.get("Resource").map(Tree::one_or_many).unwrap_or_default();
        let known: Vec<&'static str> = actions.iter().filter_map(|action| action::known(action)).collect();
        let reads = !denies && actions.iter().any(|action| action::reads(action));
        if !denies {
            let every = actions.iter().filter(|action| **action == "*" || action.ends_with(":*"));
            self.wide.extend(every.map(|action| (*action).to_string()));
        }
        for resource in resources {
            for mut lead in wire.leads(stack, resource, "") {
                lead.conditional = lead.conditional.or_else(|| item.condition.clone());
                if reads {
                    self.read.extend(whole(lead.to.clone()));
                }
                match (denies, is_everything(resource, &lead.to)) {
                    // A condition may let it through.
                    (true, _) if conditional => {}
                    (true, true) => self.denied_everywhere.extend(known.iter().map(|of| (*of).to_string())),
                    (true, false) => {
                        let to = whole(lead.to);
                        let denied = known.iter().filter_map(|of| Some((to.clone()?, (*of).to_string())));
                        self.denied.extend(denied);
                    }
                    (false, true) => self.wide.extend(actions.iter().map(|action| (*action).to_string())),
                    (false, false) if known.is_empty() => {}
                    (false, false) => self.grant(lead, resource.span, statement, (&known, &actions)),
                }
            }
        }
    }

    fn grant(&mut self, lead: Lead, span: Span, statement: &Tree, (known, all): (&[&str], &[&str])) {
        let Some(to) = whole(lead.to) else { return };
        self.by_target.entry(to).or_default().push(Grant {
            actions: known.iter().map(|action| (*action).to_string()).collect(),
            both_ways: action::both_ways(all),
            sources: condition(statement, "events:source"),
            detail_types: condition(statement, "events:detail-type"),
            span,
            conditional: lead.conditional,
        });
    }

    /// Takes away what is denied.
    fn finish(&mut self) {
        let (denied, everywhere) = (&self.denied, &self.denied_everywhere);
        if denied.is_empty() && everywhere.is_empty() {
            return;
        }
        for (to, grants) in &mut self.by_target {
            for grant in grants.iter_mut() {
                grant.actions.retain(|action| {
                    !everywhere.contains(action) && !denied.contains(&(to.clone(), action.clone()))
                });
            }
            grants.retain(|grant| !grant.actions.is_empty());
        }
        self.by_target.retain(|_, grants| !grants.is_empty());
    }
}

/// The default bus.
pub(super) fn default_bus() -> To {
    To::Outside { service: "events".into(), name: "default".into(), what: String::new() }
}

/// What a lead is to as a whole, whichever of its attributes is named. `None`: it is to several things, or to none
/// that is known.
pub(super) fn whole(to: To) -> Option<To> {
    match to {
        To::Resource(at, _) => Some(To::Resource(at, None)),
        To::Outside { name, .. } if name.contains(['*', '?']) => None,
        To::Outside { service, name, .. } if service == "events" && name == "default" => Some(default_bus()),
        To::Outside { .. } => Some(to),
        To::Nothing(_) => None,
    }
}

/// Whether a statement's resource is every one, or every one of a service.
fn is_everything(resource: &Tree, to: &To) -> bool {
    resource.as_str() == Some("*") || matches!(to, To::Outside { name, .. } if name == "*")
}

/// What a condition says that a key equals.
fn condition(statement: &Tree, key: &str) -> Vec<String> {
    let of = statement.get("Condition").map(Tree::entries).unwrap_or_default();
    let equals = of.iter().filter(|entry| entry.key.ends_with("StringEquals"));
    let stated = equals.flat_map(|entry| entry.value.entries());
    let stated = stated.filter(|entry| entry.key.eq_ignore_ascii_case(key));
    stated.flat_map(|entry| entry.value.one_or_many()).filter_map(Tree::as_str).map(str::to_string).collect()
}

/// What each role grants.
pub(super) fn of_roles(wire: &Wire<'_>) -> BTreeMap<At, Grants> {
    let mut roles: BTreeMap<At, Grants> = BTreeMap::new();
    let mut left = STATEMENTS_MAX;
    for at in wire.index.all() {
        let properties = &wire.resource(at).properties;
        match wire.resource(at).resource_type.as_str() {
            "AWS::IAM::Role" => {
                for policy in read::items(properties.get("Policies")) {
                    add(wire, &mut roles, at, (at, policy.tree), &mut left);
                }
                let arns = properties.get("ManagedPolicyArns").map(Tree::one_or_many).unwrap_or_default();
                for arn in arns {
                    managed(wire, &mut roles, at, arn, &mut left);
                }
            }
            "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" | "AWS::IAM::RolePolicy" => {
                let names = properties.get("Roles").or_else(|| properties.get("RoleName"));
                for name in names.map(Tree::one_or_many).unwrap_or_default() {
                    for role in wire.leads(at.stack(), name, "iam/role") {
                        if let Some(role) = role.resource() {
                            add(wire, &mut roles, role, (at, properties), &mut left);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    roles.values_mut().for_each(Grants::finish);
    roles
}

/// Adds the statements of a policy that stands in resource `of`.
fn add(
    wire: &Wire<'_>,
    roles: &mut BTreeMap<At, Grants>,
    role: At,
    (of, policy): (At, &Tree),
    left: &mut usize,
) {
    let statements = policy.at(&["PolicyDocument", "Statement"]);
    let grants = roles.entry(role).or_default();
    for statement in read::items(statements) {
        let Some(less) = left.checked_sub(1) else { return };
        *left = less;
        grants.add(wire, of.stack(), &statement);
    }
}

/// A policy that a role names: of the files, or one of AWS's, of which those are wide that give full access.
fn managed(wire: &Wire<'_>, roles: &mut BTreeMap<At, Grants>, role: At, arn: &Tree, left: &mut usize) {
    if let Value::Null = arn.value {
        return;
    }
    for lead in wire.leads(role.stack(), arn, "iam/policy") {
        match lead.to {
            To::Resource(at, _) => {
                add(wire, roles, role, (at, &wire.resource(at).properties), left);
            }
            To::Outside { name, .. } => {
                let last = name.rsplit('/').next().unwrap_or(&name);
                if last == "AdministratorAccess" || last.ends_with("FullAccess") {
                    roles.entry(role).or_default().wide.insert(last.to_string());
                }
            }
            To::Nothing(_) => {}
        }
    }
}
