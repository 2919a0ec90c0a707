//! What functions do that say no steps: what the design shows of them.

use std::collections::{BTreeMap, BTreeSet};

use flyball_app::{
    design::{Design, Edge, Evidence, Kind, Mode, Node, NodeId, Via},
    workload::{Dependency, Step},
};
use flyball_core::Name;

use super::Places;
use crate::plan::{Assumption, gather};

/// See the module's text.
pub(in crate::plan::aws) struct Shown<'a> {
    pub design: &'a Design,
    pub places: &'a Places,
    pub dependencies: &'a BTreeMap<Name, Dependency>,
    pub assumptions: &'a mut Vec<Assumption>,
}

impl Shown<'_> {
    /// One event to each node that the function is known to send to, and one call of each stated dependency that an
    /// edge leads to.
    pub(in crate::plan::aws) fn steps(&mut self, id: NodeId, node: &Node) -> Vec<Step> {
        let design = self.design;
        let mut steps = Vec::new();
        let sends = |edge: &&Edge| {
            let asked = matches!(design.node(edge.to).kind, Kind::Function(_)) && edge.mode != Mode::Async;
            is_access(edge) && edge.evidence > Evidence::Granted && !is_store(design, edge.to) && !asked
        };
        let outgoing = design.outgoing(id).map(|(_, edge)| edge).filter(sends);
        for edge in outgoing.filter(|edge| self.places.node(edge.to).is_some()) {
            let to = &design.node(edge.to).name;
            let what = format!("messages that {} sends to {to}", node.name);
            let why = "the design shows that it does, and no steps are stated";
            self.assume(node, what, "1 for each that comes", why);
            steps.push(gather::emit_one(to));
        }
        let asked: BTreeSet<NodeId> = design
            .outgoing(id)
            .map(|(_, edge)| edge)
            .filter(|edge| asks(design, edge) && self.is_stated(edge.to))
            .map(|edge| edge.to)
            .collect();
        for to in asked {
            self.call(node, (id, to), &mut steps);
        }
        steps
    }

    fn is_stated(&self, id: NodeId) -> bool {
        self.dependencies.keys().any(|name| name.as_str() == self.design.node(id).name)
    }

    /// A call, and where somebody is told of what changes there, a change.
    fn call(&mut self, node: &Node, (from, to): (NodeId, NodeId), steps: &mut Vec<Step>) {
        let name = &self.design.node(to).name;
        let why = "the design shows that it asks it, and no steps are stated";
        self.assume(node, format!("calls of {name} by {}", node.name), "1 in each run", why);
        steps.push(gather::call_one(name));
        if self.places.node(to).is_none() {
            return;
        }
        let what = format!("changes that {} makes in {name}", node.name);
        if leads(self.design, to, from) {
            // It would be told of its own changes without an end.
            self.assume(node, what, "none that anybody is told of", "what is told of them leads back to it");
        } else {
            self.assume(node, what, "1 for each that comes", "it may write there, and no steps are stated");
            steps.push(gather::emit_one(name));
        }
    }

    fn assume(&mut self, node: &Node, what: String, value: &str, why: &str) {
        let key = Some(format!("function.{}.steps", node.name));
        self.assumptions.push(Assumption { what, value: value.into(), why: why.into(), key, knob: None });
    }
}

fn is_access(edge: &Edge) -> bool {
    matches!(&edge.via, Via::Access(_))
}

/// Something that is read and written. Which of the two a function does is not known.
fn is_store(design: &Design, id: NodeId) -> bool {
    matches!(design.node(id).kind, Kind::Bucket(_) | Kind::Table(_))
}

/// Whether an edge leads from a function to what it waits for. A grant alone shows it where nothing shows more.
fn asks(design: &Design, edge: &Edge) -> bool {
    let kind = &design.node(edge.to).kind;
    let answers = is_store(design, edge.to) || matches!(kind, Kind::Database(_) | Kind::External(_));
    let shown = |other: &Edge| is_access(other) && other.evidence > Evidence::Granted;
    is_access(edge) && answers && (shown(edge) || !design.incoming(edge.to).any(|(_, other)| shown(other)))
}

/// The functions with an edge to a node of this name, by their names.
pub(in crate::plan::aws) fn askers(design: &Design, name: &str) -> Vec<String> {
    let edges = design.edges().map(|(_, edge)| edge);
    let found = edges.filter(|edge| design.node(edge.to).name == name && asks(design, edge));
    let names: BTreeSet<String> = found.map(|edge| design.node(edge.from).name.clone()).collect();
    names.into_iter().collect()
}

/// The nodes that can be a dependency, by their names.
pub(in crate::plan::aws) fn stores(design: &Design) -> Vec<String> {
    let nodes =
        design.nodes().filter(|(id, node)| is_store(design, *id) || matches!(node.kind, Kind::Database(_)));
    nodes.map(|(_, node)| node.name.clone()).collect()
}

/// Whether work goes from one node to another.
fn leads(design: &Design, from: NodeId, to: NodeId) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut waiting = vec![from];
    while let Some(at) = waiting.pop() {
        for (_, edge) in design.outgoing(at) {
            if edge.to == to {
                return true;
            }
            if edge.evidence > Evidence::Granted && seen.insert(edge.to) {
                waiting.push(edge.to);
            }
        }
    }
    false
}
