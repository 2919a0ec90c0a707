//! Each kind of node as a part, with its edges as policies.

use flyball_app::{
    design::{self, Design, Destination, EventSource, Kind, Mode, Node, NodeId, Queue, Setting, Via},
    profile::Profile,
    workload::Lasting,
};
use flyball_core::Span;

use super::{Filters, Places, limits::Limits};
use crate::{
    aws::{
        asynchronous::AsynchronousPolicy,
        bus::{self, BusPolicy, RulePolicy, SchedulePolicy},
        machine::{Act, MachinePolicy, StepPolicy},
        pipe::Leg,
        pollers::PollersPolicy,
        queue::QueuePolicy,
        stream::{ReaderPolicy, StreamPolicy},
        target::TargetPolicy,
        topic::TopicPolicy,
        trail::TrailPolicy,
    },
    message::{FunctionNo, NodeNo, TenantNo},
    plan::{Assumption, NodeKind, NodePlan, gather, ways::ASYNCHRONOUS},
};

/// The size of a schedule's event, bytes.
const SCHEDULE_EVENT_BYTES: u32 = 512;

/// See the module's text.
pub(super) struct Maker<'a> {
    pub design: &'a Design,
    pub profile: &'a Profile,
    pub places: &'a Places,
    pub filters: Filters<'a>,
    pub assumptions: &'a mut Vec<Assumption>,
}

impl<'a> Maker<'a> {
    /// The part of a node that has a place.
    pub(super) fn part(&mut self, id: NodeId, node: &Node) -> NodePlan {
        let mut label = node.name.clone();
        let kind = match &node.kind {
            Kind::Queue(queue) => self.queue(id, node, queue),
            Kind::Topic(_) => self.topic(id, node, "topic"),
            Kind::Bucket(_) => self.topic(id, node, "bucket"),
            Kind::Table(_) => self.topic(id, node, "table"),
            Kind::Bus(_) => self.bus(id, node),
            Kind::Schedule(schedule) => self.schedule(id, node, schedule),
            Kind::Stream(stream) => self.stream(id, node, stream),
            Kind::Machine(machine) => self.machine(id, node, machine),
            Kind::Function(function) => match self.places.function(id) {
                Some(number) => {
                    label = format!("{label}{ASYNCHRONOUS}");
                    self.asynchronous(id, function, number)
                }
                None => NodeKind::Parking,
            },
            Kind::External(_) => self.trail(id, node),
            _ => NodeKind::Parking,
        };
        let (design, places) = (self.design, self.places);
        let limits = Limits { profile: self.profile, design, places, id, label: &label }.of(&kind);
        NodePlan { label, kind, limits }
    }

    fn assume(&mut self, what: String, value: &str, why: &str) {
        let (value, why) = (value.into(), why.into());
        self.assumptions.push(Assumption { what, value, why, key: None, knob: None });
    }

    /// The share of what comes from a node that passes the filter before another.
    fn share(&mut self, from: &Node, to: NodeId, filtered: bool) -> f64 {
        let to = &self.design.node(to).name;
        self.filters.share((&from.name, to), filtered, self.assumptions)
    }

    /// Who reads from a node: by which settings, which function or pipe, and what is done with a batch.
    fn reading(&mut self, id: NodeId) -> Vec<(&'a EventSource, NodeId, Vec<Leg>)> {
        let design = self.design;
        let mut readers = Vec::new();
        for (_, edge) in design.outgoing(id) {
            let (source, legs) = match &edge.via {
                Via::EventSource(source) => {
                    (source, self.places.function(edge.to).map(Leg::Invoke).into_iter().collect())
                }
                Via::PipeSource(source) => (source, self.pipe(edge.to)),
                _ => continue,
            };
            if source.enabled.stated() != Some(&false) && !legs.is_empty() {
                readers.push((source.as_ref(), edge.to, legs));
            }
        }
        readers
    }

    /// The way of a pipe. Empty: it is off, or leads nowhere that is simulated.
    fn pipe(&mut self, id: NodeId) -> Vec<Leg> {
        let design = self.design;
        let node = design.node(id);
        if matches!(&node.kind, Kind::Pipe(pipe) if pipe.enabled.stated() == Some(&false)) {
            return Vec::new();
        }
        let mut legs = Vec::new();
        for (_, edge) in design.outgoing(id).filter(|(_, edge)| matches!(edge.via, Via::Enrichment)) {
            match self.places.function(edge.to) {
                Some(function) => legs.push(Leg::Invoke(function)),
                None => {
                    let what = format!("the enrichment of {}", node.name);
                    self.assume(what, "takes no time", "only functions are simulated there");
                }
            }
        }
        for (_, edge) in design.outgoing(id).filter(|(_, edge)| matches!(edge.via, Via::Target(_))) {
            let waits = edge.mode == Mode::Sync;
            let together = matches!(design.node(edge.to).kind, Kind::Function(_) | Kind::Machine(_));
            match (self.places.function(edge.to).filter(|_| waits), self.places.node(edge.to)) {
                (Some(function), _) => legs.push(Leg::Invoke(function)),
                (None, Some(to)) => legs.push(Leg::Deliver { to, together }),
                (None, None) => {}
            }
        }
        if !legs.is_empty() {
            let what = format!("batches at once of the pipe {}", node.name);
            self.assume(
                what,
                "as of a function's event source mapping",
                "AWS's documentation was not read for it",
            );
        }
        legs
    }

    fn queue(&mut self, id: NodeId, node: &Node, queue: &Queue) -> NodeKind {
        let dead: Option<(&Setting<i64>, Option<NodeNo>)> =
            self.design.outgoing(id).find_map(|(_, edge)| match &edge.via {
                Via::DeadLetters { attempts_max } => Some((attempts_max, self.places.node(edge.to))),
                _ => None,
            });
        let mut mappings: Vec<PollersPolicy> = Vec::new();
        for (source, to, legs) in self.reading(id) {
            let share = self.share(node, to, !source.filters.is_empty());
            let pipe = matches!(self.design.node(to).kind, Kind::Pipe(_));
            mappings.push(PollersPolicy {
                legs,
                share,
                pipe,
                ..PollersPolicy::of(self.profile, source, FunctionNo(0), queue.fifo)
            });
        }
        if mappings.is_empty() {
            return NodeKind::Parking;
        }
        NodeKind::Queue { policy: QueuePolicy::of(self.profile, queue, dead), mappings, fifo: queue.fifo }
    }

    /// Where dead letters of a node go. `None`: nowhere that is simulated.
    fn dead(&self, id: NodeId) -> Option<NodeNo> {
        self.design.outgoing(id).find_map(|(_, edge)| match &edge.via {
            Via::DeadLetters { .. } => self.places.node(edge.to),
            _ => None,
        })
    }

    fn asynchronous(&self, id: NodeId, function: &design::Function, number: FunctionNo) -> NodeKind {
        let mut policy = AsynchronousPolicy::of(self.profile, function, number);
        for (_, edge) in self.design.outgoing(id) {
            let to = self.places.node(edge.to);
            match &edge.via {
                Via::Destination(Destination::Success) => policy.on_success = to,
                Via::Destination(Destination::Failure) | Via::DeadLetters { .. } => {
                    policy.kept = true;
                    policy.on_failure.extend(to);
                }
                _ => {}
            }
        }
        NodeKind::Asynchronous(policy)
    }

    fn topic(&mut self, id: NodeId, node: &Node, what: &'static str) -> NodeKind {
        let dead = self.dead(id);
        let mut subscribers: Vec<TargetPolicy> = Vec::new();
        for (_, edge) in self.design.outgoing(id) {
            let Some(to) = self.places.node(edge.to) else { continue };
            let told = design::Subscription::default();
            let (subscription, filtered) = match &edge.via {
                Via::Subscription(subscription) => (subscription.as_ref(), subscription.filter.is_some()),
                Via::Notification(of) => {
                    (&told, of.prefix.stated().is_some() || of.suffix.stated().is_some())
                }
                _ => continue,
            };
            let share = self.share(node, edge.to, filtered);
            let kept = subscription.redrive.stated() == Some(&true);
            let dead = dead.filter(|_| kept);
            subscribers.push(TopicPolicy::subscriber(self.profile, subscription, to, share, dead));
        }
        NodeKind::Topic { policy: TopicPolicy { subscribers }, what }
    }

    fn trail(&mut self, id: NodeId, node: &Node) -> NodeKind {
        let outgoing = self.design.outgoing(id).filter(|(_, edge)| super::is_trail(edge));
        let policy = TrailPolicy::of(outgoing.filter_map(|(_, edge)| self.places.node(edge.to)).collect());
        let (what, value) =
            (format!("files of {}", node.name), gather::words(&Lasting::Constant(policy.gathers)));
        self.assume(what, &format!("one of all that was logged within {value}"), "AWS says about so long");
        NodeKind::Trail(policy)
    }

    fn targets(&self, id: NodeId) -> Vec<TargetPolicy> {
        let dead = self.dead(id);
        let outgoing = self.design.outgoing(id);
        let target = outgoing.filter_map(|(_, edge)| match &edge.via {
            Via::Target(target) => Some(bus::target(self.profile, target, self.places.node(edge.to)?, dead)),
            _ => None,
        });
        target.collect()
    }

    fn bus(&mut self, id: NodeId, node: &Node) -> NodeKind {
        let mut rules = Vec::new();
        for (_, edge) in self.design.outgoing(id).filter(|(_, edge)| matches!(edge.via, Via::Matches)) {
            let rule = self.design.node(edge.to);
            if matches!(&rule.kind, Kind::Rule(rule) if rule.enabled.stated() == Some(&false)) {
                continue;
            }
            let share = self.share(node, edge.to, true);
            rules.push(RulePolicy { share, targets: self.targets(edge.to) });
        }
        NodeKind::Bus(BusPolicy::of(self.profile, rules))
    }

    fn schedule(&mut self, id: NodeId, node: &Node, schedule: &design::Schedule) -> NodeKind {
        let interval = schedule.interval_s.stated().and_then(|seconds| u64::try_from(*seconds).ok());
        let what = format!("events of {}", node.name);
        self.assume(
            what,
            "evenly apart, by the shortest interval of its expression",
            "no calendar is modelled",
        );
        NodeKind::Schedule(SchedulePolicy {
            interval: Span::from_secs(interval.unwrap_or(86_400)),
            targets: self.targets(id),
            tenant: TenantNo(0),
            event_bytes: SCHEDULE_EVENT_BYTES,
            salt: u64::from(self.places.node(id).map_or(0, |node| node.0)),
        })
    }

    fn machine(&mut self, id: NodeId, node: &Node, machine: &design::Machine) -> NodeKind {
        let mut steps = Vec::new();
        for (_, edge) in self.design.outgoing(id) {
            let Via::Task(task) = &edge.via else { continue };
            let act = match (self.places.function(edge.to), self.places.node(edge.to)) {
                (Some(function), _) => Act::Invoke(function),
                (None, Some(to)) => Act::Deliver(to),
                (None, None) => continue,
            };
            steps.push(StepPolicy::of(self.profile, task, act));
        }
        let what = format!("the way of executions of {}", node.name);
        self.assume(what, "all its tasks, one after the other, without waits", "choices are not evaluated");
        NodeKind::Machine(MachinePolicy::of(self.profile, machine, steps))
    }

    fn stream(&mut self, id: NodeId, node: &Node, stream: &design::Stream) -> NodeKind {
        if stream.shards.stated().is_none() {
            let what = format!("shards of {}", node.name);
            self.assume(what, "1", "the design does not say how many there are");
        }
        let mut mappings = Vec::new();
        for (source, to, legs) in self.reading(id) {
            let pipe = matches!(self.design.node(to).kind, Kind::Pipe(_));
            // Its on-failure destination is an edge of the function, or of the pipe.
            let dead = self.dead(to).filter(|_| pipe || source.on_failure.stated() == Some(&true));
            let share = self.share(node, to, !source.filters.is_empty());
            mappings.push(ReaderPolicy {
                legs,
                share,
                pipe,
                ..ReaderPolicy::of(self.profile, source, FunctionNo(0), stream.of_table, dead)
            });
        }
        NodeKind::Stream(StreamPolicy::of(self.profile, stream, 1, mappings))
    }
}
