//! Edges that traces show: what functions were seen to give work to, where no file says so.

use std::collections::BTreeMap;

use super::Observed;
use crate::design::{Access, Design, Edge, Evidence, Kind, Mode, NodeId, Via};

/// How many calls the traces have, and of how many both ends are in a design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connected {
    /// Calls of functions, by caller and callee.
    pub calls: usize,
    /// Of these, both ends were found.
    pub found: usize,
    /// Of these, edges that the design lacked.
    pub added: usize,
}

impl Observed {
    /// Adds to a design the work that functions were seen to give and that no file shows, as
    /// [`Evidence::Observed`].
    ///
    /// Traces tell who called whom, not what for. So only a call that gives work by what it calls counts: of a
    /// function, a topic, a bus, a state machine; and of a queue where a grant lets the function send to it. Of tables
    /// and buckets nobody knows whether they were read.
    pub fn connect(&self, design: &mut Design) -> Connected {
        let nodes = Names::of(design);
        let mut connected = Connected::default();
        for seen in &self.services {
            for (callee, calls) in &seen.calls {
                connected.calls += 1;
                let from =
                    nodes.find(self.logical(&seen.name), &seen.name, design, |kind| kind == "AWS::Lambda");
                let is = |kind: &str| calls.kind.starts_with(kind);
                let to = nodes.find(self.logical(callee), callee, design, is);
                let (Some(from), Some(to)) = (from, to) else { continue };
                connected.found += 1;
                if let Some(mode) = gives_work(design, from, to) {
                    connected.added += 1;
                    let span = design.node(from).span;
                    design.connect(Edge {
                        from,
                        to,
                        mode,
                        evidence: Evidence::Observed,
                        qualifier: None,
                        via: Via::Access(Access::default()),
                        span,
                        resource: None,
                        conditional: None,
                    });
                }
            }
        }
        connected
    }
}

/// Whether a call gives work, how, and no edge says so yet.
fn gives_work(design: &Design, from: NodeId, to: NodeId) -> Option<Mode> {
    let between = || design.outgoing(from).filter(|(_, edge)| edge.to == to).map(|(_, edge)| edge);
    if between().any(|edge| edge.evidence > Evidence::Granted) {
        return None;
    }
    let may_send = || {
        between().any(|edge| match &edge.via {
            Via::Access(access) => access.actions.iter().any(|action| action.starts_with("sqs:SendMessage")),
            _ => false,
        })
    };
    match &design.node(to).kind {
        Kind::Function(_) | Kind::Machine(_) => Some(Mode::Unknown),
        Kind::Topic(_) | Kind::Bus(_) => Some(Mode::Async),
        Kind::Queue(_) => may_send().then_some(Mode::Async),
        _ => None,
    }
}

/// Nodes by their logical ids and by their names when deployed. `None`: several have it.
struct Names(BTreeMap<String, Option<NodeId>>);

impl Names {
    fn of(design: &Design) -> Names {
        let mut names: BTreeMap<String, Option<NodeId>> = BTreeMap::new();
        for (id, node) in design.nodes() {
            let deployed = node.physical_name.iter().filter(|name| **name != node.name);
            for name in std::iter::once(&node.name).chain(deployed) {
                names.entry(name.clone()).and_modify(|other| *other = None).or_insert(Some(id));
            }
        }
        Names(names)
    }

    /// The node of a name, where it is of a service that `is` it.
    fn find(
        &self,
        logical: &str,
        deployed: &str,
        design: &Design,
        is: impl Fn(&str) -> bool,
    ) -> Option<NodeId> {
        let last = deployed.rsplit(['/', ':']).next().unwrap_or(deployed);
        let id = [logical, deployed, last].iter().find_map(|name| self.0.get(*name).copied().flatten())?;
        let services: &[&str] = match &design.node(id).kind {
            Kind::Function(_) => &["AWS::Lambda"],
            Kind::Queue(_) => &["AWS::SQS"],
            Kind::Topic(_) => &["AWS::SNS"],
            Kind::Bus(_) => &["AWS::Events"],
            Kind::Machine(_) => &["AWS::StepFunctions", "AWS::States", "AWS::STEPFUNCTIONS"],
            Kind::Table(_) => &["AWS::DynamoDB"],
            Kind::Bucket(_) => &["AWS::S3"],
            _ => &[],
        };
        services.iter().any(|service| is(service)).then_some(id)
    }
}
