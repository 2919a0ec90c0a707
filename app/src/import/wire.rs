//! Resources become nodes and edges, whatever file they are from.
//!
//! Two passes over all resources, in the order of the files: first each becomes its nodes, with their settings;
//! then each completes the nodes of others and draws its edges. Grants come last: they need both. Which function
//! does it for a type stands in one place: its [`Row`] in the module that knows the service.
//!
//! - `index`: resources by logical id and by physical name.
//! - `lead`: what a value (a reference, an ARN, a URL, a name) leads to.
//! - `read`: properties as settings.
//! - The others: a module for each service, with its rows.

mod access;
mod api;
mod bucket;
mod bus;
mod database;
mod function;
mod index;
mod lead;
mod machine;
mod network;
mod pattern;
mod pipe;
mod queue;
mod read;
mod schedule;
mod source;
mod stream;
mod topic;
mod trail;
mod trigger;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use super::{Problem, Resource, Stack, machine::Call};
use crate::{
    design::{Bus, Design, Edge, Evidence, External, Kind, Mode, Node, NodeId, Platform, Unresolved, Via},
    document::{Files, Span, Tree},
};
use index::{At, Index};
use lead::{Lead, To};
use network::Networks;
use pattern::Pattern;

/// Draws the graph of stacks that belong together.
pub(crate) fn draw(files: Files, stacks: Vec<Stack>, problems: &mut Vec<Problem>) -> Design {
    let _ = problems;
    let mut wire = Wire::new(files, &stacks);
    for at in wire.index.all() {
        if let Some(node) = wire.row(at).and_then(|row| row.node) {
            node(&mut wire, at);
        }
    }
    for at in wire.index.all() {
        if let Some(edges) = wire.row(at).and_then(|row| row.edges) {
            edges(&mut wire, at);
        }
    }
    queue::mark_open_policies(&mut wire);
    watch::exports(&mut wire);
    access::draw(&mut wire);
    database::finish(&mut wire);
    network::finish(&mut wire);
    for stack in &stacks {
        let types = wire.design.resource_types.entry(stack.file).or_default();
        for resource in &stack.resources {
            *types.entry(resource.resource_type.clone()).or_default() += 1;
        }
    }
    wire.design
}

/// How one type of resource is read.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// `AWS::SQS::Queue`; `Custom::*`: every custom resource that has no row of its own.
    of: &'static str,
    /// First pass: adds its nodes. A type without one becomes an [`External`] when an edge leads to it.
    node: Option<fn(&mut Wire<'_>, At)>,
    /// Second pass: completes nodes and draws edges.
    edges: Option<fn(&mut Wire<'_>, At)>,
    /// What it is only another name for: an alias of a function is that function, with a qualifier. `usize`: how
    /// deep the search is, to be handed on.
    stands_for: Option<StandsFor>,
}

type StandsFor = fn(&Wire<'_>, At, usize) -> Vec<Lead>;

impl Row {
    /// A row that does nothing yet.
    const fn of(of: &'static str) -> Row {
        Row { of, node: None, edges: None, stands_for: None }
    }

    const fn node(self, node: fn(&mut Wire<'_>, At)) -> Row {
        Row { node: Some(node), ..self }
    }

    const fn edges(self, edges: fn(&mut Wire<'_>, At)) -> Row {
        Row { edges: Some(edges), ..self }
    }

    const fn stands_for(self, leads: StandsFor) -> Row {
        Row { stands_for: Some(leads), ..self }
    }
}

/// The rows of all modules. A type stands in one of them only.
const ROWS: &[&[Row]] = &[
    access::ROWS,
    api::OTHER_ROWS,
    api::ROWS,
    bucket::ROWS,
    bus::ROWS,
    database::ROWS,
    function::ROWS,
    machine::ROWS,
    network::ROWS,
    pipe::ROWS,
    queue::ROWS,
    schedule::ROWS,
    source::ROWS,
    stream::ROWS,
    topic::ROWS,
    trail::ROWS,
    trigger::ROWS,
    watch::ROWS,
];

/// An end of an edge, found by [`Wire::reach`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reached {
    /// The node.
    node: NodeId,
    /// The alias or version of the function that it is.
    qualifier: Option<String>,
    /// The condition under which the value leads there, where that is not known.
    conditional: Option<String>,
}

impl From<NodeId> for Reached {
    fn from(node: NodeId) -> Reached {
        Reached { node, qualifier: None, conditional: None }
    }
}

/// The design in the making.
struct Wire<'s> {
    design: Design,
    stacks: &'s [Stack],
    index: Index<'s>,
    rows: BTreeMap<&'static str, &'static Row>,
    /// The nodes of a resource: its own under `None`, and one for each attribute that means a part of it, such as
    /// a table's `StreamArn`.
    nodes: BTreeMap<(At, Option<&'static str>), NodeId>,
    /// What is outside of the files, by service and name.
    outside: BTreeMap<(String, String), NodeId>,
    /// What the states of machines call, until it is drawn.
    calls: BTreeMap<At, Vec<Call>>,
    networks: Networks,
    /// Variables of stages, by API, as a map of `stageVariables.NAME`.
    stage_variables: BTreeMap<At, Tree>,
    /// How many statements of policies were handed to queues.
    statements: usize,
    /// Stacks with a queue's policy of which the queue is not known.
    open_policies: BTreeSet<usize>,
    /// The condition of the element that is looked at, where that is not known.
    condition: Option<String>,
    /// Versions of functions that an alias leads to.
    aliased: BTreeSet<At>,
    /// A function and what its author declares that it writes to.
    declared: BTreeSet<(At, At)>,
}

impl<'s> Wire<'s> {
    fn new(files: Files, stacks: &'s [Stack]) -> Wire<'s> {
        Wire {
            design: Design::new(files, Platform::Aws),
            stacks,
            index: Index::new(stacks),
            rows: ROWS.iter().copied().flatten().map(|row| (row.of, row)).collect(),
            nodes: BTreeMap::new(),
            outside: BTreeMap::new(),
            calls: BTreeMap::new(),
            networks: Networks::default(),
            stage_variables: BTreeMap::new(),
            statements: 0,
            open_policies: BTreeSet::new(),
            condition: None,
            aliased: BTreeSet::new(),
            declared: BTreeSet::new(),
        }
    }

    fn row(&self, at: At) -> Option<&'static Row> {
        let resource_type = self.resource(at).resource_type.as_str();
        let custom =
            resource_type.starts_with("Custom::") || resource_type == "AWS::CloudFormation::CustomResource";
        let or_custom = || self.rows.get("Custom::*").filter(|_| custom);
        self.rows.get(resource_type).or_else(or_custom).copied()
    }

    /// A resource.
    fn resource(&self, at: At) -> &'s Resource {
        self.index.resource(at)
    }

    /// A property of a resource.
    fn property(&self, at: At, key: &str) -> Option<&'s Tree> {
        self.resource(at).properties.get(key)
    }

    /// The logical id that people know a resource by: of what a transform made, that of what it was made for.
    fn origin(&self, at: At) -> &'s str {
        let resource = self.resource(at);
        resource.made_for.as_deref().unwrap_or(&resource.id)
    }

    /// The name of a resource's stack.
    fn stack_name(&self, at: At) -> &'s str {
        self.stacks.get(at.stack()).map_or("", |stack| &stack.name)
    }

    /// Adds the node of a resource.
    fn add(&mut self, at: At, kind: Kind) -> NodeId {
        let name = self.resource(at).id.clone();
        self.add_part(at, None, name, kind)
    }

    /// Adds a node for a part of a resource. A reference to the attribute `part` leads to it; `None`: any
    /// reference to the resource that leads to no other part.
    fn add_part(&mut self, at: At, part: Option<&'static str>, name: String, kind: Kind) -> NodeId {
        let resource = self.resource(at);
        let path = resource.metadata.as_ref().and_then(|tree| tree.get("aws:cdk:path"));
        let stack = Some(self.stack_name(at)).filter(|_| self.stacks.len() > 1);
        let id = self.design.add(Node {
            name,
            stack: stack.map(str::to_string),
            resource_type: resource.resource_type.clone(),
            kind,
            span: resource.span,
            physical_name: self.index.name_of(at),
            construct_path: path.and_then(Tree::as_str).map(str::to_string),
            conditional: resource.conditional.clone(),
            allowed: resource.allowed.clone(),
        });
        self.nodes.entry((at, part)).or_insert(id);
        id
    }

    /// The node that was added for a resource, or for a part of it.
    fn node(&self, at: At, part: Option<&'static str>) -> Option<NodeId> {
        self.nodes.get(&(at, part)).copied()
    }

    /// The node of a resource, which is made where it has none.
    fn node_or_external(&mut self, at: At) -> NodeId {
        if let Some(node) = self.node(at, None) {
            return node;
        }
        let what = lead::in_words(&self.resource(at).resource_type);
        self.add(at, Kind::External(External { what }))
    }

    /// The node of something outside of the files, made once for each `service` and `name`.
    fn outside(&mut self, service: &str, name: &str, what: String, span: Span) -> NodeId {
        let key = (service.to_string(), name.to_string());
        if let Some(node) = self.outside.get(&key) {
            return *node;
        }
        let is_bus = service == "events" && name == "default";
        let kind =
            if is_bus { Kind::Bus(Bus { is_default: true }) } else { Kind::External(External { what }) };
        let node = self.design.add(Node {
            name: name.to_string(),
            stack: None,
            resource_type: lead::type_of(service).unwrap_or_default().to_string(),
            kind,
            span,
            physical_name: None,
            construct_path: None,
            conditional: None,
            allowed: Vec::new(),
        });
        self.outside.insert(key, node);
        node
    }

    /// The account's default bus.
    fn default_bus(&mut self, span: Span) -> NodeId {
        self.outside("events", "default", String::new(), span)
    }

    /// Where a value leads: to nodes of this design, which are made for what is outside of the files. Where nothing
    /// is known, that is stated. `service` says what a bare name names: a key of [`lead::SERVICES`], or empty.
    fn reach(&mut self, at: At, value: &Tree, service: &str) -> Vec<Reached> {
        let leads = self.leads(at.stack(), value, service);
        leads.into_iter().filter_map(|lead| self.reach_one(at, lead, value.span)).collect()
    }

    /// As [`Wire::reach`], of a text that was taken from a value.
    fn reach_pattern(&mut self, at: At, span: Span, text: &Pattern<'_>, service: &str) -> Vec<Reached> {
        let leads = self.pattern_leads(at.stack(), text, service, 0);
        leads.into_iter().filter_map(|lead| self.reach_one(at, lead, span)).collect()
    }

    fn reach_one(&mut self, at: At, lead: Lead, span: Span) -> Option<Reached> {
        let node = match lead.to {
            To::Resource(to, attribute) => {
                let part = self.nodes.range((to, None)..).take_while(|((of, _), _)| *of == to);
                let mut part = part.filter(|((_, part), _)| part.is_some() && *part == attribute.as_deref());
                match part.next() {
                    Some((_, node)) => *node,
                    None => self.node_or_external(to),
                }
            }
            To::Outside { service, name, what } => self.outside(&service, &name, what, span),
            To::Nothing(why) => {
                self.unresolved(at, span, format!("where this leads is not known: {why}"));
                return None;
            }
        };
        Some(Reached { node, qualifier: lead.qualifier, conditional: lead.conditional })
    }

    /// States that something is not known.
    fn unresolved(&mut self, at: At, span: Span, what: String) {
        let resource = Some(self.origin(at).to_string());
        self.design.unresolved.push(Unresolved { span, resource, what });
    }

    /// Draws an edge that the platform makes, because resource `at` says so at `span`.
    fn wired(&mut self, at: At, span: Span, from: &Reached, to: &Reached, (mode, via): (Mode, Via)) {
        let resource = self.resource(at);
        let origin = self.origin(at);
        let ends = [from.node, to.node].map(|node| self.design.node(node).name.as_str());
        let conditions = [&resource.conditional, &self.condition, &from.conditional, &to.conditional];
        let mut conditions: Vec<&str> = conditions.into_iter().flatten().map(String::as_str).collect();
        conditions.dedup();
        self.design.connect(Edge {
            from: from.node,
            to: to.node,
            mode,
            evidence: Evidence::Wired,
            qualifier: to.qualifier.clone(),
            via,
            span,
            resource: (!ends.contains(&origin)).then(|| origin.to_string()),
            conditional: (!conditions.is_empty()).then(|| conditions.join(", ")),
        });
    }

    /// Draws an edge from a node to wherever a value leads.
    fn wired_to(&mut self, at: At, from: NodeId, value: &Tree, service: &str, how: &(Mode, Via)) {
        for to in self.reach(at, value, service) {
            self.wired(at, value.span, &from.into(), &to, how.clone());
        }
    }
}
