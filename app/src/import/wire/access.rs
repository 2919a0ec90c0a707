//! What functions give work to by themselves: where a variable names a resource and a role allows writing to it.
//!
//! A grant alone is only a note, and one that several functions share is not even that: which of them uses it,
//! nothing says. A grant of everything on everything is no edge, it is kept in [`Function::wide_grants`].

mod action;
mod grant;

use std::collections::BTreeMap;

use super::{
    Reached, Row, Wire, function,
    index::At,
    lead::{Lead, To},
};
use crate::{
    design::{Access, Edge, Evidence, Kind, Mode, NodeId, Via},
    document::{Span, Tree},
};
use action::mode_of;
use grant::{Grant, Grants};

/// What this module reads in the second pass: connectors, of which SAM's reader keeps what their author declares.
pub(super) const ROWS: &[Row] = &[Row::of("Flyball::Connector").edges(connector)];

/// A connector lets a function write. Others than functions are wired to what they give work to anyhow.
fn connector(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let permissions = properties.get("Permissions").map(Tree::one_or_many).unwrap_or_default();
    let writes = permissions.iter().any(|permission| permission.as_str() == Some("Write"));
    let (Some(source), Some(destination)) = (properties.get("Source"), properties.get("Destination")) else {
        return;
    };
    let ends =
        [source, destination].map(|tree| tree.reference().and_then(|to| wire.referenced(at.stack(), to)));
    let is_function = |at| wire.resource(at).resource_type == "AWS::Lambda::Function";
    let [Some(from), Some(to)] = ends else { return };
    let Some(node) = wire.node(from, None).filter(|_| writes && is_function(from)) else { return };
    wire.declared.insert((from, to));
    for to in wire.reach(at, destination, "") {
        let mode = match wire.design.node(to.node).kind {
            Kind::Function(_) | Kind::Machine(_) => Mode::Unknown,
            _ => Mode::Async,
        };
        wire.design.connect(Edge {
            from: node,
            to: to.node,
            mode,
            evidence: Evidence::Declared,
            qualifier: to.qualifier,
            via: Via::Access(Access::default()),
            span: destination.span,
            resource: Some(wire.origin(at).to_string()),
            conditional: wire.resource(at).conditional.clone().or(to.conditional),
        });
    }
}

/// Services of which a variable can hold the bare name.
const NAMED: [&str; 9] =
    ["lambda", "sqs", "sns", "events", "states", "kinesis", "firehose", "dynamodb", "s3"];

/// How many wide grants are kept for one function.
const WIDE_MAX: usize = 64;

/// Draws the edges of all functions.
pub(super) fn draw(wire: &mut Wire<'_>) {
    let mut functions_of: BTreeMap<At, Vec<(At, NodeId)>> = BTreeMap::new();
    for at in wire.index.all() {
        let Some(node) = wire.node(at, None) else { continue };
        if let (Kind::Function(_), Some(role)) = (&wire.design.node(node).kind, wire.property(at, "Role")) {
            let leads = wire.leads(at.stack(), role, "iam/role");
            if let Some(role) = leads.iter().find_map(Lead::resource) {
                functions_of.entry(role).or_default().push((at, node));
            }
        }
    }
    let grants = grant::of_roles(wire);
    for (role, functions) in functions_of {
        let Some(all) = grants.get(&role) else { continue };
        for (at, node) in &functions {
            wide(wire, *node, all);
            let named = named(wire, *at, *node);
            for (to, grants) in all.by_target(&named) {
                edge(wire, (*at, *node), to, (all, grants), named.get(to));
            }
            if functions.len() == 1 {
                for (to, grants) in all.others(&named) {
                    edge(wire, (*at, *node), to, (all, grants), None);
                }
            }
        }
    }
}

fn wide(wire: &mut Wire<'_>, node: NodeId, grants: &Grants) {
    let wide: Vec<String> = grants.wide.iter().take(WIDE_MAX).cloned().collect();
    function::change(wire, node, |function| function.wide_grants = wide);
}

/// A variable that names something.
struct Variable {
    name: String,
    span: Span,
    qualifier: Option<String>,
    conditional: Option<String>,
}

/// What a function's variables name.
fn named(wire: &Wire<'_>, at: At, node: NodeId) -> BTreeMap<To, Variable> {
    let mut named = BTreeMap::new();
    let Kind::Function(function) = &wire.design.node(node).kind else { return named };
    for (name, value) in &function.environment {
        let mut leads = wire.leads(at.stack(), value, "");
        if let Some(text) = value.as_str() {
            let alike = NAMED.iter().flat_map(|service| wire.index.by_name(at.stack(), service, text));
            leads.extend(alike.map(|at| Lead::to(To::Resource(at, None))));
            if text == "default" {
                leads.push(Lead::to(grant::default_bus()));
            }
        }
        for Lead { to, qualifier, conditional } in leads {
            let variable = Variable { name: name.clone(), span: value.span, qualifier, conditional };
            if let Some(to) = grant::whole(to) {
                named.entry(to).or_insert(variable);
            }
        }
    }
    named
}

fn edge(
    wire: &mut Wire<'_>,
    (at, from): (At, NodeId),
    to: &To,
    (all, grants): (&Grants, &[Grant]),
    by: Option<&Variable>,
) {
    let reads = all.reads(to);
    let specific: Vec<&Grant> = grants.iter().filter(|grant| !grant.both_ways).collect();
    let by = by.filter(|_| !specific.is_empty());
    let grants = if by.is_some() { specific } else { grants.iter().collect() };
    let Some(first) = grants.first() else { return };
    if let To::Resource(to, _) = to
        && wire.declared.contains(&(at, *to))
    {
        return;
    }
    // What is outside of the files and only granted is of no use to anybody.
    let is_outside = matches!(to, To::Outside { .. }) && *to != grant::default_bus();
    if by.is_none() && is_outside {
        return;
    }
    let span = by.map_or(first.span, |variable| variable.span);
    let lead = Lead {
        to: to.clone(),
        qualifier: by.and_then(|variable| variable.qualifier.clone()),
        conditional: by
            .and_then(|variable| variable.conditional.clone())
            .or_else(|| first.conditional.clone()),
    };
    let Some(Reached { node: to, qualifier, conditional }) = wire.reach_one(at, lead, span) else { return };
    let mut actions: Vec<String> = grants.iter().flat_map(|grant| grant.actions.iter().cloned()).collect();
    actions.sort_unstable();
    actions.dedup();
    let access = Access {
        variable: by.map(|variable| variable.name.clone()),
        sources: stated(&grants, |grant| &grant.sources),
        detail_types: stated(&grants, |grant| &grant.detail_types),
        actions,
        reads,
    };
    wire.design.connect(Edge {
        from,
        to,
        mode: mode(&access.actions),
        evidence: if by.is_some() { Evidence::Named } else { Evidence::Granted },
        qualifier,
        via: Via::Access(access),
        span,
        resource: None,
        conditional,
    });
}

/// What all grants together allow to send: nothing is known where one of them allows anything.
fn stated(grants: &[&Grant], of: impl Fn(&Grant) -> &[String]) -> Vec<String> {
    if grants.iter().any(|grant| of(grant).is_empty()) {
        return Vec::new();
    }
    let mut all: Vec<String> = grants.iter().flat_map(|grant| of(grant).iter().cloned()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether the function waits: known where all that it may do agree.
fn mode(actions: &[String]) -> Mode {
    let mut modes = actions.iter().filter_map(|action| mode_of(action));
    let first = modes.next().unwrap_or(Mode::Unknown);
    if modes.all(|mode| mode == first) { first } else { Mode::Unknown }
}
