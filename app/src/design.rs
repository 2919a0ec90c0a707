//! The design: what there is, what leads where, and on what evidence.
//!
//! One graph for every kind of file. Nothing in it is guessed: an edge that no file states is not there, and a
//! setting that no file states is [`Setting::Default`] or [`Setting::Unknown`].
//!
//! - [`Design`]: nodes, edges, and what could not be resolved.
//! - [`node`](Node): functions, queues, topics and the rest, with the settings that rules look at.
//! - [`Flow`]: what can follow what in a state machine.
//! - [`edge`](Edge): who gives work to whom, how, and how that is known.

mod edge;
mod flow;
mod node;
mod outline;
mod setting;

pub use edge::{
    Access, Destination, Edge, EdgeId, EventSource, Evidence, Integration, Mode, Notification, Retry,
    Subscription, Target, Task, TaskPattern, Via,
};
pub use flow::{Flow, FlowState, Longest, Round};
pub use node::{
    Api, ApiKind, Bucket, Bus, Database, DatabaseKind, Encryption, External, Function, Kind, Machine,
    Network, Node, NodeId, Pipe, Provisioned, Queue, Rule, Schedule, Stream, Table, Topic, WayOut,
};
pub use setting::Setting;

use std::collections::BTreeMap;

use crate::document::{FileId, Files, Span};

/// Whose semantics the design's parts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Platform {
    /// Amazon's services.
    #[default]
    Aws,
    /// Flyball itself: from `flyball.toml`.
    Flyball,
}

/// Something that a file leaves open, stated apart from findings.
#[derive(Debug, Clone, PartialEq)]
pub struct Unresolved {
    /// Where.
    pub span: Span,
    /// The resource, where it is in one.
    pub resource: Option<String>,
    /// What is not known and why, as a sentence.
    pub what: String,
}

/// An application or several that belong together.
#[derive(Debug, Clone, Default)]
pub struct Design {
    /// The texts that spans point into.
    pub files: Files,
    /// Whose semantics its parts have.
    pub platform: Platform,
    /// What could not be resolved.
    pub unresolved: Vec<Unresolved>,
    /// How many resources of each type each file has, nodes or not: alarms, budgets.
    pub resource_types: BTreeMap<FileId, BTreeMap<String, usize>>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    outgoing: Vec<Vec<EdgeId>>,
    incoming: Vec<Vec<EdgeId>>,
}

impl Design {
    /// An empty design over some files.
    pub fn new(files: Files, platform: Platform) -> Design {
        Design { files, platform, ..Design::default() }
    }

    /// Adds a node.
    pub fn add(&mut self, node: Node) -> NodeId {
        // More nodes than fit in an u32 do not fit in the documents that are read.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        self.outgoing.push(Vec::new());
        self.incoming.push(Vec::new());
        id
    }

    /// Adds an edge. Its ends are nodes of this design; an edge of another design's nodes is dropped.
    pub fn connect(&mut self, edge: Edge) {
        let id = EdgeId(u32::try_from(self.edges.len()).unwrap_or(u32::MAX));
        let (from, to) = (edge.from.index(), edge.to.index());
        if let (Some(outgoing), Some(incoming)) = (self.outgoing.get_mut(from), self.incoming.get_mut(to)) {
            outgoing.push(id);
            incoming.push(id);
            self.edges.push(edge);
        }
    }

    /// A node.
    #[expect(clippy::indexing_slicing, reason = "ids are made by `add` and nodes are never removed")]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// A node, to be changed.
    #[expect(clippy::indexing_slicing, reason = "ids are made by `add` and nodes are never removed")]
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    /// An edge.
    #[expect(clippy::indexing_slicing, reason = "ids are made by `connect` and edges are never removed")]
    pub fn edge(&self, id: EdgeId) -> &Edge {
        &self.edges[id.index()]
    }

    /// All nodes, in the order of the files.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().zip(0..).map(|(node, index)| (NodeId(index), node))
    }

    /// All edges, in the order in which they were added.
    pub fn edges(&self) -> impl Iterator<Item = (EdgeId, &Edge)> {
        self.edges.iter().zip(0..).map(|(edge, index)| (EdgeId(index), edge))
    }

    /// The edges that leave a node.
    pub fn outgoing(&self, id: NodeId) -> impl Iterator<Item = (EdgeId, &Edge)> {
        self.outgoing.get(id.index()).into_iter().flatten().map(|edge| (*edge, self.edge(*edge)))
    }

    /// The edges that lead to a node.
    pub fn incoming(&self, id: NodeId) -> impl Iterator<Item = (EdgeId, &Edge)> {
        self.incoming.get(id.index()).into_iter().flatten().map(|edge| (*edge, self.edge(*edge)))
    }

    /// The functions.
    pub fn functions(&self) -> impl Iterator<Item = (NodeId, &Node, &Function)> {
        self.nodes().filter_map(|(id, node)| match &node.kind {
            Kind::Function(function) => Some((id, node, function.as_ref())),
            _ => None,
        })
    }

    /// The queues.
    pub fn queues(&self) -> impl Iterator<Item = (NodeId, &Node, &Queue)> {
        self.nodes().filter_map(|(id, node)| match &node.kind {
            Kind::Queue(queue) => Some((id, node, queue)),
            _ => None,
        })
    }
}
