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

/// Whether work goes along an edge: not what failed, and not a question whether a caller may call.
pub fn gives_work(edge: &Edge) -> bool {
    carries(edge) && !matches!(edge.via, Via::DeadLetters { .. } | Via::Authorizer)
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

/// One cycle for each group of nodes that lead to one another along edges that `follow` allows: the shortest
/// through the group's first node that is on one of at most [`HOPS_MAX`] edges. Linear in the edges, for groups of a
/// bounded size.
pub fn cycles(design: &Design, follow: &dyn Fn(EdgeId, &Edge) -> bool) -> Vec<Vec<EdgeId>> {
    let mut found = Vec::new();
    for group in components(design, follow) {
        let first = group.iter().take(GROUP_TRIES_MAX);
        if let Some(cycle) = first.filter_map(|node| shortest(design, *node, &group, follow)).next() {
            found.push(cycle);
        }
    }
    found
}

/// Nodes of a group from which a cycle is looked for.
const GROUP_TRIES_MAX: usize = 4;

/// The shortest way from a node back to itself inside a sorted group.
fn shortest(
    design: &Design,
    start: NodeId,
    group: &[NodeId],
    follow: &dyn Fn(EdgeId, &Edge) -> bool,
) -> Option<Vec<EdgeId>> {
    // By place in the group: the edge that led there.
    let mut by: Vec<Option<EdgeId>> = vec![None; group.len()];
    let mut open = VecDeque::from([start]);
    while let Some(node) = open.pop_front() {
        for (id, edge) in design.outgoing(node).filter(|(id, edge)| follow(*id, edge)) {
            let Ok(place) = group.binary_search(&edge.to) else { continue };
            let Some(slot @ None) = by.get_mut(place) else { continue };
            *slot = Some(id);
            if edge.to != start {
                open.push_back(edge.to);
                continue;
            }
            let mut way = Vec::new();
            let mut at = start;
            while way.len() < HOPS_MAX {
                let edge = by.get(group.binary_search(&at).ok()?).copied().flatten()?;
                way.push(edge);
                at = design.edge(edge).from;
                if at == start {
                    way.reverse();
                    return Some(way);
                }
            }
            return None;
        }
    }
    None
}

/// Strongly connected groups that have a cycle (Tarjan's algorithm, without recursion), each sorted.
fn components(design: &Design, follow: &dyn Fn(EdgeId, &Edge) -> bool) -> Vec<Vec<NodeId>> {
    let count = design.nodes().count();
    let mut search = Search {
        order: vec![u32::MAX; count],
        low: vec![u32::MAX; count],
        on_stack: vec![false; count],
        stack: Vec::new(),
        next: 0,
        groups: Vec::new(),
    };
    let edges = |node: NodeId| -> Vec<NodeId> {
        design.outgoing(node).filter(|(id, edge)| follow(*id, edge)).map(|(_, edge)| edge.to).collect()
    };
    for (root, _) in design.nodes() {
        if search.is_new(root) {
            search.enter(root);
            let mut open = vec![(root, edges(root))];
            while let Some((node, rest)) = open.last_mut() {
                let node = *node;
                match rest.pop() {
                    Some(to) if search.is_new(to) => {
                        search.enter(to);
                        open.push((to, edges(to)));
                    }
                    Some(to) => search.saw(node, to),
                    None => {
                        open.pop();
                        search.leave(node, open.last().map(|(parent, _)| *parent));
                    }
                }
            }
        }
    }
    let itself = |node: &NodeId| design.outgoing(*node).any(|(id, e)| e.to == *node && follow(id, e));
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
