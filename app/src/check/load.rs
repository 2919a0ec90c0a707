//! What the stated traffic comes to: how often each function runs, and how many at once.
//!
//! Only from what is stated, and only along edges where each event that goes in comes out once for certain: a rate
//! that a filter, a choice or a pattern may change ends there. So what is computed is never more than what comes.

use std::collections::{BTreeMap, VecDeque};

use super::Look;
use crate::{
    design::{EdgeId, EventSource, Function, Kind, Mode, NodeId, Setting, Via},
    profile::{Limit, Traffic},
};

/// Nodes and edges that are looked at for all stated traffic together.
const STEPS_MAX: usize = 1_000_000;

/// Work that comes to a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// The node whose traffic is stated.
    pub origin: NodeId,
    /// Invocations per second at the peak: at least so many.
    pub per_s: f64,
    /// The way from the origin; empty where the function's own traffic is stated.
    pub way: Vec<EdgeId>,
}

/// A whole number, to be computed with.
#[expect(clippy::cast_precision_loss, reason = "settings are far below 2^52")]
pub fn number(value: i64) -> f64 {
    value as f64
}

/// How many of something.
#[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 of anything")]
pub fn count(value: usize) -> f64 {
    value as f64
}

impl Look<'_> {
    /// The stated traffic of a node.
    pub fn traffic(&self, node: NodeId) -> Option<&Traffic> {
        self.given.traffic.get(&self.design.node(node).name)
    }

    /// What comes to each function whose traffic is stated, its own or that of what leads to it.
    pub fn flows(&self) -> BTreeMap<NodeId, Vec<Flow>> {
        let mut flows: BTreeMap<NodeId, Vec<Flow>> = BTreeMap::new();
        if self.given.traffic.is_empty() {
            return flows;
        }
        let mut steps = 0;
        for (origin, node) in self.design.nodes() {
            let Some(per_s) = self.traffic(origin).and_then(|traffic| traffic.peak_per_s) else { continue };
            if matches!(node.kind, Kind::Function(_)) {
                flows.entry(origin).or_default().push(Flow { origin, per_s, way: Vec::new() });
                continue;
            }
            for flow in self.spread(origin, per_s, &mut steps) {
                let Some(to) = flow.way.last().map(|edge| self.design.edge(*edge).to) else { continue };
                // What is stated of a function itself goes before what follows from elsewhere.
                if self.traffic(to).is_none_or(|traffic| traffic.peak_per_s.is_none()) {
                    flows.entry(to).or_default().push(flow);
                }
            }
        }
        flows
    }

    fn spread(&self, origin: NodeId, per_s: f64, steps: &mut usize) -> Vec<Flow> {
        let mut found = Vec::new();
        let mut open = VecDeque::from([(origin, per_s, Vec::new())]);
        while let Some((node, per_s, way)) = open.pop_front() {
            for (id, edge) in self.design.outgoing(node) {
                *steps += 1 + way.len();
                let again = way.iter().any(|edge| self.design.edge(*edge).to == edge_to(self, id));
                if *steps > STEPS_MAX || again || edge.conditional.is_some() {
                    continue;
                }
                let Some(share) = self.share(node, id) else { continue };
                let mut way: Vec<EdgeId> = way.clone();
                way.push(id);
                match self.design.node(edge.to).kind {
                    Kind::Function(_) => found.push(Flow { origin, per_s: per_s * share, way }),
                    _ => open.push_back((edge.to, per_s * share, way)),
                }
            }
        }
        found
    }

    /// What of a node's events goes along an edge, at least, in deliveries per event. `None`: not certain.
    fn share(&self, from: NodeId, edge: EdgeId) -> Option<f64> {
        let design = self.design;
        match &design.edge(edge).via {
            Via::Subscription(subscription) => subscription.filter.is_none().then_some(1.0),
            Via::EventSource(source) | Via::PipeSource(source) => {
                let alone = design.outgoing(from).filter(|(_, edge)| takes(&edge.via)).count() == 1;
                let on = source.filters.is_empty() && source.enabled.or(true) == Some(true);
                let batch = self.batch(from, source)?;
                (alone && on && batch > 0).then(|| 1.0 / number(batch))
            }
            Via::Target(_) => Some(1.0),
            Via::Integration(_) => {
                let mut routes =
                    design.outgoing(from).filter(|(_, edge)| matches!(edge.via, Via::Integration(_)));
                let to = design.edge(edge).to;
                // Requests to several places: how many go where is not known. Several routes to one: all go there,
                // and are counted once.
                let first = routes.next().is_some_and(|(id, _)| id == edge);
                (first && routes.all(|(_, edge)| edge.to == to)).then_some(1.0)
            }
            Via::Notification(notification) => {
                let known = notification.prefix.is_default() && notification.suffix.is_default();
                let alone = design.outgoing(from).filter(|(_, edge)| edge.mode == Mode::Async).count() == 1;
                (known && alone).then_some(1.0)
            }
            _ => None,
        }
    }

    /// How many messages or records one invocation gets at most.
    pub fn batch(&self, from: NodeId, source: &EventSource) -> Option<i64> {
        match &self.design.node(from).kind {
            Kind::Queue(_) => self.queue_batch(source),
            Kind::Stream(_) => self.or(&source.batch_max, Limit::EventSourceStreamBatchDefault),
            _ => None,
        }
    }

    /// What one run of a function takes, seconds, where it is stated: the median, or else the 99th of 100. Where
    /// nothing is stated of it: that of what alone leads to it.
    pub fn duration_s(&self, function: NodeId, flow: &Flow) -> Option<f64> {
        let of = |node| {
            let traffic = self.traffic(node)?;
            traffic.p50_ms.or(traffic.p99_ms).map(|ms| ms / 1_000.0)
        };
        of(function).or_else(|| (flow.way.len() == 1).then(|| of(flow.origin)).flatten())
    }

    /// The environments that no function has to itself: the pool without all reservations.
    pub fn shared_pool(&self) -> Option<f64> {
        let pool = self.profile.value(Limit::LambdaConcurrency)?;
        Some(
            (pool - self.design.functions().map(|(_, _, function)| reserved(function)).sum::<f64>()).max(0.0),
        )
    }
}

/// What a function has reserved, where it is known; otherwise nothing.
pub fn reserved(function: &Function) -> f64 {
    match function.reserved {
        Setting::Stated(reserved, _) => number(reserved.max(0)),
        _ => 0.0,
    }
}

fn edge_to(look: &Look<'_>, edge: EdgeId) -> NodeId {
    look.design.edge(edge).to
}

fn takes(via: &Via) -> bool {
    matches!(via, Via::EventSource(_) | Via::PipeSource(_))
}
