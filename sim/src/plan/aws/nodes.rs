//! Queues, topics and the rest of a design as parts that messages come to.

mod filters;
mod limits;
mod made;
mod shown;

use std::collections::BTreeMap;

use flyball_app::{
    design::{Design, Edge, Evidence, Kind, Mode, Node, NodeId, Via},
    profile::Profile,
};

use crate::{
    message::{FunctionNo, NodeNo},
    plan::{Assumption, Names, NodePlan, Problem, program::EmitTo},
    result::Unmodelled,
};
pub(super) use filters::Filters;
use made::Maker;
pub(super) use shown::{Shown, askers, stores};

/// Where each node of a design is in the plan.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// A function's place is that of its asynchronous queue.
    of: BTreeMap<NodeId, NodeNo>,
    functions: BTreeMap<NodeId, FunctionNo>,
}

impl Places {
    /// Every node that messages can come to gets its place.
    pub(super) fn new(
        design: &Design,
        names: &mut Names,
        functions: &[(flyball_core::Name, NodeId)],
    ) -> Places {
        let functions = functions.iter().map(|(_, id)| *id).zip((0..).map(FunctionNo)).collect();
        let mut places = Places { functions, ..Places::default() };
        let taken = design.nodes().filter(|(id, node)| takes_messages(design, *id, node));
        for ((id, node), number) in taken.zip(0..) {
            places.of.insert(id, NodeNo(number));
            names.targets.insert(node.name.clone(), EmitTo::Node(NodeNo(number)));
        }
        places
    }

    fn node(&self, id: NodeId) -> Option<NodeNo> {
        self.of.get(&id).copied()
    }

    fn function(&self, id: NodeId) -> Option<FunctionNo> {
        self.functions.get(&id).copied()
    }
}

fn takes_messages(design: &Design, id: NodeId, node: &Node) -> bool {
    match &node.kind {
        Kind::Queue(_) | Kind::Topic(_) | Kind::Bus(_) | Kind::Stream(_) | Kind::Machine(_) => true,
        Kind::Schedule(schedule) => {
            schedule.enabled.stated() != Some(&false) && schedule.interval_s.stated().is_some()
        }
        Kind::Bucket(_) | Kind::Table(_) => notifies(design, id) || is_written_by_a_trail(design, id),
        Kind::External(_) => design.outgoing(id).any(|(_, edge)| is_trail(edge)),
        Kind::Function(_) => design.incoming(id).any(|(_, edge)| is_asynchronous(edge)),
        _ => false,
    }
}

/// Whether something is told of the node's changes.
fn notifies(design: &Design, id: NodeId) -> bool {
    design.outgoing(id).any(|(_, edge)| matches!(edge.via, Via::Notification(_)))
}

/// Whether an edge leads from a trail to the bucket of its files.
fn is_trail(edge: &Edge) -> bool {
    matches!(&edge.via, Via::Trigger(what) if what == "the trail's log")
}

fn is_written_by_a_trail(design: &Design, id: NodeId) -> bool {
    design.incoming(id).any(|(_, edge)| is_trail(edge))
}

/// Whether an edge to a function leads into its asynchronous queue.
fn is_asynchronous(edge: &Edge) -> bool {
    match &edge.via {
        // A pipe may wait for its target.
        Via::Target(_) => edge.mode != Mode::Sync,
        Via::Subscription(_) | Via::Notification(_) | Via::Destination(_) | Via::LogSubscription => true,
        Via::Access(_) => edge.evidence > Evidence::Granted && edge.mode == Mode::Async,
        _ => false,
    }
}

/// The parts, in the order of their places; and what of the design takes no part.
pub(super) fn nodes(
    design: &Design,
    profile: &Profile,
    places: &Places,
    filters: Filters<'_>,
    (assumptions, problems): (&mut Vec<Assumption>, &mut Vec<Problem>),
) -> (Vec<NodePlan>, Vec<Unmodelled>) {
    let mut nodes = Vec::new();
    let mut unmodelled = Vec::new();
    let mut maker = Maker { design, profile, places, filters, assumptions };
    for (id, node) in design.nodes() {
        if places.node(id).is_some() {
            nodes.push(maker.part(id, node));
        } else if !is_elsewhere(design, places, id, &node.kind) {
            unmodelled.push(Unmodelled {
                name: node.name.clone(),
                kind: word(&node.kind).into(),
                what: "what comes there goes no further, and what it does is not counted".into(),
            });
        }
    }
    problems.extend(maker.filters.unused());
    (nodes, unmodelled)
}

/// Whether a node that has no place is modelled by another: functions by the engine, rules by their bus, pipes by
/// their source.
fn is_elsewhere(design: &Design, places: &Places, id: NodeId, kind: &Kind) -> bool {
    match kind {
        Kind::Pipe(_) => design
            .incoming(id)
            .any(|(_, edge)| matches!(edge.via, Via::PipeSource(_)) && places.node(edge.from).is_some()),
        Kind::Function(_) | Kind::Api(_) => true,
        Kind::Rule(_) => design.incoming(id).any(|(_, edge)| matches!(edge.via, Via::Matches)),
        _ => false,
    }
}

fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Function(_) => "function",
        Kind::Queue(_) => "queue",
        Kind::Topic(_) => "topic",
        Kind::Bus(_) => "bus",
        Kind::Rule(_) => "rule",
        Kind::Schedule(_) => "schedule",
        Kind::Stream(_) => "stream",
        Kind::Table(_) => "table",
        Kind::Bucket(_) => "bucket",
        Kind::Api(_) => "API",
        Kind::Machine(_) => "state machine",
        Kind::Pipe(_) => "pipe",
        Kind::Database(_) => "database",
        Kind::External(_) => "service",
    }
}
