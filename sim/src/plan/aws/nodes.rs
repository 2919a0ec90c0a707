//! Queues, topics and the rest of a design as parts that messages come to.

use std::collections::BTreeMap;

use flyball_app::{
    design::{Design, Edge, Evidence, Kind, Node, NodeId, Queue, Setting, Via},
    profile::Profile,
    workload::Step,
};

use crate::{
    aws::{pollers::PollersPolicy, queue::QueuePolicy},
    message::{FunctionNo, NodeNo},
    plan::{Assumption, Names, NodeKind, NodePlan, gather, program::EmitTo},
    result::Unmodelled,
};

/// Where each node of a design is in the plan.
#[derive(Debug, Default)]
pub(super) struct Places {
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
        let taken = design.nodes().filter(|(_, node)| takes_messages(&node.kind));
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

fn takes_messages(kind: &Kind) -> bool {
    matches!(kind, Kind::Queue(_))
}

/// The parts, in the order of their places; and what of the design takes no part.
pub(super) fn nodes(design: &Design, profile: &Profile, places: &Places) -> (Vec<NodePlan>, Vec<Unmodelled>) {
    let mut nodes = Vec::new();
    let mut unmodelled = Vec::new();
    for (id, node) in design.nodes() {
        let kind = match &node.kind {
            Kind::Queue(queue) => self::queue(design, profile, places, id, queue),
            Kind::Function(_) | Kind::Api(_) => continue,
            kind => {
                unmodelled.push(Unmodelled {
                    name: node.name.clone(),
                    kind: word(kind).into(),
                    what: "what comes there goes no further, and what it does is not counted".into(),
                });
                continue;
            }
        };
        nodes.push(NodePlan { label: node.name.clone(), kind });
    }
    (nodes, unmodelled)
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

fn queue(design: &Design, profile: &Profile, places: &Places, id: NodeId, queue: &Queue) -> NodeKind {
    let dead = design.outgoing(id).find_map(|(_, edge)| match &edge.via {
        Via::DeadLetters { attempts_max } => Some((attempts_max, places.node(edge.to))),
        _ => None,
    });
    let mappings: Vec<PollersPolicy> = design
        .outgoing(id)
        .filter_map(|(_, edge)| match &edge.via {
            Via::EventSource(source) if source.enabled.stated() != Some(&false) => {
                Some(PollersPolicy::of(profile, source, places.function(edge.to)?, queue.fifo))
            }
            _ => None,
        })
        .collect();
    if mappings.is_empty() {
        return NodeKind::Parking;
    }
    let dead: Option<(&Setting<i64>, Option<NodeNo>)> = dead;
    NodeKind::Queue { policy: QueuePolicy::of(profile, queue, dead), mappings, fifo: queue.fifo }
}

/// Steps that the design shows of a function: one event to each node that it is known to send to.
pub(super) fn steps(
    design: &Design,
    places: &Places,
    id: NodeId,
    node: &Node,
    assumptions: &mut Vec<Assumption>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let sends = |edge: &&Edge| matches!(&edge.via, Via::Access(_)) && edge.evidence > Evidence::Granted;
    let outgoing = design.outgoing(id).map(|(_, edge)| edge).filter(sends);
    for edge in outgoing.filter(|edge| places.node(edge.to).is_some()) {
        let to = &design.node(edge.to).name;
        assumptions.push(Assumption {
            what: format!("messages that {} sends to {to}", node.name),
            value: "1 for each that comes".into(),
            why: "the design shows that it does, and no steps are stated".into(),
            key: Some(format!("function.{}.steps", node.name)),
            knob: None,
        });
        steps.push(gather::emit_one(to));
    }
    steps
}
