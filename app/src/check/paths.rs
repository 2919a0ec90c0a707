//! Ways through a design.
//!
//! Everything here is bounded: a way has at most [`HOPS_MAX`] edges, a walk looks at most at so many edges as its
//! caller allows, and what is searched over the whole design is linear in its nodes and edges. What lies behind a
//! bound is left out: a rule then finds less, never something false.

use std::collections::VecDeque;

use crate::design::{Design, Edge, EdgeId, Evidence, Kind, Mode, NodeId, Via};

/// Edges of one way.
pub const HOPS_MAX: usize = 24;

/// How many edges one rule may look at while it enumerates ways: what keeps a rule near linear, whatever the
/// design looks like.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    /// So many that every edge can be looked at about thirty times.
    pub fn of(design: &Design) -> Budget {
        Budget(100_000 + 32 * design.edges().count())
    }

    fn take(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        left
    }
}

/// Whether an edge may carry ways, cycles and sums: a grant alone may not.
pub fn carries(edge: &Edge) -> bool {
    edge.evidence > Evidence::Granted
}

/// Whether work goes along an edge: not what failed, not a question whether a caller may call, and not what is
/// only read.
pub fn gives_work(edge: &Edge) -> bool {
    carries(edge) && !matches!(edge.via, Via::DeadLetters { .. } | Via::Authorizer) && !only_reads(edge)
}

/// What actions that only read begin with.
const READS: [&str; 8] = ["batchget", "describe", "get", "head", "list", "query", "scan", "select"];

/// Whether a state or a route calls a service for what it has, such as `dynamodb:getItem`: nothing new is there
/// afterwards that others are told of.
pub fn only_reads(edge: &Edge) -> bool {
    let action = match &edge.via {
        Via::Task(task) => Some(task.action.as_str()),
        Via::Integration(integration) => integration.action.as_deref(),
        _ => None,
    };
    let verb = action.and_then(|action| action.split_once(':')).map(|(_, verb)| verb.to_ascii_lowercase());
    verb.is_some_and(|verb| READS.iter().any(|reads| verb.starts_with(reads)))
}

/// Whether an edge invokes a function asynchronously: Lambda keeps the event and tries again by itself.
pub fn invokes_async(design: &Design, edge: &Edge) -> bool {
    let function = matches!(design.node(edge.to).kind, Kind::Function(_));
    function && gives_work(edge) && edge.mode == Mode::Async
}

/// Where work comes into the design: nodes that give work and that nobody in the files gives any.
pub fn entries(design: &Design) -> Vec<NodeId> {
    let works = |id: NodeId| design.outgoing(id).any(|(_, edge)| gives_work(edge));
    let given = |id: NodeId| design.incoming(id).any(|(_, edge)| gives_work(edge));
    design.nodes().map(|(id, _)| id).filter(|id| works(*id) && !given(*id)).collect()
}

/// The ways from a node along edges that `follow` allows, each as long as it can be: to a node from which none
/// leads on, or to one that is on the way already, or to the bound. In the order of the files.
pub fn simple_ways(
    design: &Design,
    from: NodeId,
    budget: &mut Budget,
    follow: &dyn Fn(&Edge) -> bool,
) -> Vec<Vec<EdgeId>> {
    let mut ways = Vec::new();
    // For each node on the way: its edges that are still to be followed, last first.
    let mut open = vec![next(design, from, budget, follow, &[], from)];
    let mut way: Vec<EdgeId> = Vec::new();
    let mut grown = false;
    while let Some(edges) = open.last_mut() {
        let Some(edge) = edges.pop() else {
            if grown {
                ways.push(way.clone());
            }
            grown = false;
            open.pop();
            way.pop();
            continue;
        };
        way.push(edge);
        grown = true;
        let to = design.edge(edge).to;
        let more = way.len() < HOPS_MAX;
        open.push(if more { next(design, to, budget, follow, &way, from) } else { Vec::new() });
    }
    ways
}

/// The edges from a node that lead to no node of the way, last first.
fn next(
    design: &Design,
    node: NodeId,
    budget: &mut Budget,
    follow: &dyn Fn(&Edge) -> bool,
    way: &[EdgeId],
    start: NodeId,
) -> Vec<EdgeId> {
    let visited = |id: NodeId| id == start || way.iter().any(|edge| design.edge(*edge).to == id);
    let looked_at = design.outgoing(node).take_while(|_| budget.take());
    let follows = looked_at.filter(|(_, edge)| follow(edge) && !visited(edge.to));
    let mut edges: Vec<EdgeId> = follows.map(|(id, _)| id).collect();
    edges.reverse();
    edges
}

/// Every node that work from a node can reach along edges that `follow` allows, itself included where a cycle
/// leads back. In the order in which they are reached. Linear in the edges.
pub fn reach(design: &Design, from: NodeId, follow: &dyn Fn(&Edge) -> bool) -> Vec<NodeId> {
    let mut seen = vec![false; design.nodes().count()];
    let mut found = Vec::new();
    let mut open = VecDeque::from([from]);
    while let Some(node) = open.pop_front() {
        for (_, edge) in design.outgoing(node).filter(|(_, edge)| follow(edge)) {
            if let Some(seen) = seen.get_mut(edge.to.index())
                && !*seen
            {
                *seen = true;
                found.push(edge.to);
                open.push_back(edge.to);
            }
        }
    }
    found
}

/// A step from a node: one edge, or two through a node between that passes on only what the first edge gives it
/// (a bus to the rule whose pattern is met).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The edges, in order; one or two.
    pub edges: Vec<EdgeId>,
    /// The node that they lead to.
    pub to: NodeId,
}

/// The steps from each node, by node: what a search for cycles goes along.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    of: Vec<Vec<Step>>,
}

impl Steps {
    /// No steps yet, for the nodes of a design.
    pub fn new(design: &Design) -> Steps {
        Steps { of: vec![Vec::new(); design.nodes().count()] }
    }

    /// Adds a step.
    pub fn add(&mut self, from: NodeId, step: Step) {
        if let Some(steps) = self.of.get_mut(from.index()) {
            steps.push(step);
        }
    }

    /// The steps from a node.
    pub fn from(&self, node: NodeId) -> &[Step] {
        self.of.get(node.index()).map_or(&[], Vec::as_slice)
    }
}

/// A group of nodes that lead to one another, and one way around in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// All nodes that lead to one another, sorted.
    pub group: Vec<NodeId>,
    /// The edges of a shortest way from one of them back to itself.
    pub way: Vec<EdgeId>,
}

/// Nodes of a group from which a way around is looked for.
const GROUP_TRIES_MAX: usize = 4;

/// One cycle for each group of nodes that lead to one another: the shortest through one of the group's first nodes
/// that has at most [`HOPS_MAX`] steps. Linear in the steps.
pub fn cycles(steps: &Steps) -> Vec<Cycle> {
    let cycle = |group: Vec<NodeId>| {
        let way = group.iter().take(GROUP_TRIES_MAX).find_map(|node| shortest(steps, *node, &group))?;
        Some(Cycle { group, way })
    };
    components(steps).into_iter().filter_map(cycle).collect()
}

/// The shortest way from a node back to itself inside a sorted group.
fn shortest(steps: &Steps, start: NodeId, group: &[NodeId]) -> Option<Vec<EdgeId>> {
    // By place in the group: the step that led there first, and from where.
    let mut by: Vec<Option<(NodeId, &Step)>> = vec![None; group.len()];
    let mut open = VecDeque::from([start]);
    while let Some(node) = open.pop_front() {
        for step in steps.from(node) {
            let Ok(place) = group.binary_search(&step.to) else { continue };
            let Some(slot @ None) = by.get_mut(place) else { continue };
            *slot = Some((node, step));
            if step.to == start {
                return back(&by, start, group);
            }
            open.push_back(step.to);
        }
    }
    None
}

/// The edges of the way that a search found, from the start around to it.
fn back(by: &[Option<(NodeId, &Step)>], start: NodeId, group: &[NodeId]) -> Option<Vec<EdgeId>> {
    let mut around: Vec<&Step> = Vec::new();
    let mut at = start;
    while around.len() < HOPS_MAX {
        let (from, step) = by.get(group.binary_search(&at).ok()?).copied().flatten()?;
        around.push(step);
        at = from;
        if at == start {
            return Some(around.iter().rev().flat_map(|step| step.edges.iter().copied()).collect());
        }
    }
    None
}

/// Strongly connected groups that have a cycle (Tarjan's algorithm, without recursion), each sorted.
fn components(steps: &Steps) -> Vec<Vec<NodeId>> {
    let count = steps.of.len();
    let mut search = Search {
        order: vec![u32::MAX; count],
        low: vec![u32::MAX; count],
        on_stack: vec![false; count],
        stack: Vec::new(),
        next: 0,
        groups: Vec::new(),
    };
    for root in (0..).take(count).map(NodeId) {
        if !search.is_new(root) {
            continue;
        }
        search.enter(root);
        let mut open = vec![(root, steps.from(root).iter())];
        while let Some((node, rest)) = open.last_mut() {
            let node = *node;
            match rest.next() {
                Some(step) if search.is_new(step.to) => {
                    search.enter(step.to);
                    open.push((step.to, steps.from(step.to).iter()));
                }
                Some(step) => search.saw(node, step.to),
                None => {
                    open.pop();
                    search.leave(node, open.last().map(|(parent, _)| *parent));
                }
            }
        }
    }
    let itself = |node: &NodeId| steps.from(*node).iter().any(|step| step.to == *node);
    search.groups.retain(|group| group.len() > 1 || group.iter().any(itself));
    search.groups.iter_mut().for_each(|group| group.sort());
    search.groups.sort();
    search.groups
}

/// The state of the search for groups: all by node.
struct Search {
    order: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    stack: Vec<NodeId>,
    next: u32,
    groups: Vec<Vec<NodeId>>,
}

impl Search {
    fn is_new(&self, node: NodeId) -> bool {
        self.order.get(node.index()) == Some(&u32::MAX)
    }

    fn enter(&mut self, node: NodeId) {
        let index = node.index();
        set(&mut self.order, index, self.next);
        set(&mut self.low, index, self.next);
        set(&mut self.on_stack, index, true);
        self.stack.push(node);
        self.next += 1;
    }

    /// An edge from `node` to a node that was entered before.
    fn saw(&mut self, node: NodeId, to: NodeId) {
        if self.on_stack.get(to.index()) == Some(&true) {
            let order = self.order.get(to.index()).copied().unwrap_or(u32::MAX);
            self.lower(node, order);
        }
    }

    fn lower(&mut self, node: NodeId, to: u32) {
        if let Some(low) = self.low.get_mut(node.index()) {
            *low = (*low).min(to);
        }
    }

    /// All edges of `node` are done.
    fn leave(&mut self, node: NodeId, parent: Option<NodeId>) {
        let low = self.low.get(node.index()).copied().unwrap_or(u32::MAX);
        if let Some(parent) = parent {
            self.lower(parent, low);
        }
        if self.order.get(node.index()) != Some(&low) {
            return;
        }
        let mut group = Vec::new();
        while let Some(member) = self.stack.pop() {
            set(&mut self.on_stack, member.index(), false);
            group.push(member);
            if member == node {
                break;
            }
        }
        self.groups.push(group);
    }
}

fn set<T>(all: &mut [T], index: usize, value: T) {
    if let Some(slot) = all.get_mut(index) {
        *slot = value;
    }
}
