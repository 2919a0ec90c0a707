//! What is simulated: design, profile and workload with every name resolved and every gap filled by an
//! assumption that is listed.

mod aws;
mod gather;
mod limits;
mod names;
mod own;
pub(crate) mod program;
pub(crate) mod promised;
mod stated;
pub(crate) mod ways;

use std::collections::BTreeMap;

use flyball_app::{
    profile::Price,
    workload::{self, Assert, Expect, Lasting, Source},
};
use flyball_core::{Name, Span, model::Shared};

use crate::{
    arrivals::Window,
    aws::{
        asynchronous::{Asynchronous, AsynchronousPolicy},
        bus::{Bus, BusPolicy, Schedule, SchedulePolicy},
        gateway::GatewayPolicy,
        lambda::LambdaPolicy,
        machine::{Act, Machine, MachinePolicy, StepPolicy},
        pollers::PollersPolicy,
        queue::{Queue, QueuePolicy},
        stream::{Stream, StreamPolicy},
        topic::{Topic, TopicPolicy},
        trail::{Trail, TrailPolicy},
    },
    cost::Architecture,
    message::{FunctionNo, NodeNo, TenantNo},
};
pub(crate) use gather::rises;
pub(crate) use limits::{Gateway, Known, NodeLimit, Raised};
pub(crate) use names::{Names, unknown};
pub(crate) use own::request_attributes;
use program::Program;
use ways::Ways;

/// How much time is simulated where nothing says.
pub const DURATION: Span = Span::from_secs(3_600);
/// How much time is simulated at most: a year.
pub const DURATION_MAX: Span = Span::from_secs(366 * 86_400);

/// A dependency's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DependencyNo(pub u32);

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {help}")]
pub struct Problem {
    /// What, and where.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// A value that nobody stated.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumption {
    /// Of what.
    pub what: String,
    /// The value, with its unit.
    pub value: String,
    /// Why this one.
    pub why: String,
    /// The key of the traffic file that states it.
    pub key: Option<String>,
    /// What in the plan it is, so that it can be made larger or smaller.
    pub(crate) knob: Option<Knob>,
}

/// Something in a plan that an assumption made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knob {
    /// What runs of a function take.
    Duration(FunctionNo),
    /// What environments of a function take to begin.
    Init(FunctionNo),
    /// How long environments stay when idle.
    IdleMax,
    /// What a commit takes.
    Commit,
}

/// Whose semantics are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Amazon's, as a model.
    Aws,
    /// Flyball's own.
    Flyball,
}

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The application's name.
    pub name: String,
    /// Whose semantics.
    pub platform: Platform,
    /// The profile of limits.
    pub profile: String,
    /// The profile's date.
    pub profile_date: String,
    /// The traffic file, as the user wrote it.
    pub traffic: String,
    /// How much time: that of the window.
    pub duration: Span,
    /// Which part of the stated traffic.
    pub window: Window,
    /// Values that nobody stated.
    pub assumptions: Vec<Assumption>,
    /// Parts of the design that are not simulated, and why.
    pub unmodelled: Vec<crate::result::Unmodelled>,
    /// The promises.
    pub expects: Vec<Expect>,
    /// What must hold whatever fails.
    pub asserts: Vec<Assert>,
    /// What the traffic file states, by its keys.
    pub stated: BTreeMap<String, String>,
    /// What the engine is given.
    pub(crate) application: Shared,
    pub(crate) functions: Vec<FunctionPlan>,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) sources: Vec<SourcePlan>,
    pub(crate) dependencies: Vec<(Name, workload::Dependency)>,
    pub(crate) tenants: Vec<Name>,
    pub(crate) ways: Ways,
    pub(crate) commit: Lasting,
    pub(crate) idle_max: Span,
    pub(crate) age_max: Span,
    /// What stands before all APIs. `None`: they are Flyball's.
    pub(crate) gateway: Option<GatewayPolicy>,
    pub(crate) real: RealPlan,
}

impl Plan {
    /// The same plan with another part of its traffic.
    pub(crate) fn within(&self, window: Window) -> Plan {
        Plan { window, duration: window.lasts, ..self.clone() }
    }
}

/// What real functions reach.
#[derive(Debug, Clone, Default)]
pub(crate) struct RealPlan {
    /// Dependencies by `HOST` or `HOST:PORT`.
    pub hosts: BTreeMap<String, DependencyNo>,
    /// Every tenant's secrets.
    pub secrets: BTreeMap<String, String>,
    /// Dependencies that heed idempotency keys.
    pub keyed: Vec<DependencyNo>,
}

impl RealPlan {
    /// Who answers there.
    pub(crate) fn host(&self, host: &str, port: u16) -> Option<DependencyNo> {
        self.hosts.get(&format!("{host}:{port}")).or_else(|| self.hosts.get(host)).copied()
    }
}

/// A function.
#[derive(Debug, Clone)]
pub(crate) struct FunctionPlan {
    /// As people call it.
    pub label: String,
    /// As the engine calls it.
    pub name: Name,
    pub timeout: Span,
    pub memory_mb: f64,
    pub architecture: Architecture,
    /// What runs use.
    pub used_mb: f64,
    pub leak_mb: f64,
    pub init: Lasting,
    pub error_rate: f64,
    /// Says which items of a batch failed; else one failure is the whole batch's.
    pub partial_failures: bool,
    pub program: Program,
    /// Its environments are kept and used again. Otherwise each run has a fresh one.
    pub reuse: bool,
    /// Environments that are provisioned.
    pub provisioned: u32,
    /// What stands before Lambda's pool. `None`: it is Flyball's.
    pub lambda: Option<LambdaPolicy>,
    /// Dependencies whose connections an environment holds, each with how many.
    pub connections: Vec<(DependencyNo, u32)>,
    /// It is run, not modelled.
    pub real: bool,
}

/// A part that messages come to.
#[derive(Debug, Clone)]
pub(crate) struct NodePlan {
    pub label: String,
    pub kind: NodeKind,
    /// Limits of it that are counted.
    pub limits: Vec<NodeLimit>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    /// Nobody takes anything from it: dead letters, queues of other systems.
    Parking,
    /// SQS, with those who read from it.
    Queue { policy: QueuePolicy, mappings: Vec<PollersPolicy>, fifo: bool },
    /// A function's own queue.
    Asynchronous(AsynchronousPolicy),
    /// SNS, or what tells of its changes: S3, a table. `what`: in a word.
    Topic { policy: TopicPolicy, what: &'static str },
    /// EventBridge.
    Bus(BusPolicy),
    /// EventBridge's schedules.
    Schedule(SchedulePolicy),
    /// Step Functions.
    Machine(MachinePolicy),
    /// Kinesis, or the stream of a table's changes.
    Stream(StreamPolicy),
    /// CloudTrail.
    Trail(TrailPolicy),
}

/// A source, and where its traffic goes.
#[derive(Debug, Clone)]
pub(crate) struct SourcePlan {
    pub label: String,
    pub source: Source,
    pub entrance: Entrance,
    /// The first of its tenants; they are next to one another.
    pub first_tenant: TenantNo,
}

/// Where traffic comes in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entrance {
    /// A function is called and its answer awaited, by a gateway with a limit of its own or directly.
    Call {
        function: FunctionNo,
        /// The gateway, where it has a timeout of its own.
        gateway: Option<Gateway>,
        /// What one request of it costs. `None`: nothing.
        request: Option<Price>,
        /// It counts against the rate of all APIs.
        metered: bool,
    },
    /// A message is handed to a part.
    Node(NodeNo),
    /// An event is sent to Flyball's engine.
    Send {
        /// A queue, topic, bus or inbox.
        target: String,
        attributes: flyball_core::Attributes,
    },
}

impl Plan {
    /// The functions that take from a node, by their names.
    pub(crate) fn readers(&self, node: &str) -> Vec<String> {
        let label = |function: FunctionNo| self.functions.get(function.0 as usize).map(|f| f.label.clone());
        if let Some(plan) = self.nodes.iter().find(|plan| plan.label == node) {
            return plan.kind.readers().into_iter().filter_map(label).collect();
        }
        let queue = self.application.all_queues().into_values().find(|queue| queue.name.as_str() == node);
        queue.map(|queue| queue.function.to_string()).into_iter().collect()
    }

    /// The function that a source calls, by its name.
    pub(crate) fn called_by(&self, source: &str) -> Vec<String> {
        let entrance = self.sources.iter().find(|plan| plan.label == source).map(|plan| &plan.entrance);
        match entrance {
            Some(Entrance::Call { function, .. }) => {
                self.functions.get(function.0 as usize).map(|f| f.label.clone()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Where dead letters of a node go, by its place among the nodes of a run: those of the plan, then the engine's
    /// queues. Empty: it has none.
    pub(crate) fn dead_letters_of(&self, node: usize) -> String {
        match self.nodes.get(node) {
            Some(plan) => plan
                .kind
                .dead()
                .and_then(|to| self.nodes.get(to.0 as usize))
                .map_or_else(String::new, |to| to.label.clone()),
            None => "the platform's dead letters".into(),
        }
    }

    /// The same plan, that says where its traffic is from.
    #[must_use]
    pub fn with_traffic(self, traffic: &str) -> Plan {
        Plan { traffic: traffic.into(), ..self }
    }

    /// How many connections an environment of a function holds to a dependency.
    pub(crate) fn connections_of(&self, function: FunctionNo, dependency: DependencyNo) -> u32 {
        let function = self.functions.get(function.0 as usize);
        function
            .filter(|function| function.reuse)
            .and_then(|function| function.connections.iter().find(|(to, _)| *to == dependency))
            .map_or(0, |(_, pool)| *pool)
    }
}

impl NodeKind {
    /// Where what it gives up is kept.
    fn dead(&self) -> Option<NodeNo> {
        match self {
            NodeKind::Queue { policy, .. } => policy.redrive.and_then(|redrive| redrive.to),
            NodeKind::Asynchronous(policy) => policy.on_failure.first().copied(),
            NodeKind::Topic { policy, .. } => policy.subscribers.iter().find_map(|one| one.dead.flatten()),
            NodeKind::Bus(policy) => {
                policy.rules.iter().flat_map(|rule| &rule.targets).find_map(|one| one.dead.flatten())
            }
            NodeKind::Schedule(policy) => policy.targets.iter().find_map(|one| one.dead.flatten()),
            NodeKind::Stream(policy) => policy.mappings.iter().find_map(|mapping| mapping.dead.flatten()),
            NodeKind::Parking | NodeKind::Machine(_) | NodeKind::Trail(_) => None,
        }
    }

    /// The pipes that take from it: the share that passes the filter of each.
    pub(crate) fn pipes(&self) -> impl Iterator<Item = f64> {
        let queue = match self {
            NodeKind::Queue { mappings, .. } => mappings.as_slice(),
            _ => &[],
        };
        let stream = match self {
            NodeKind::Stream(policy) => policy.mappings.as_slice(),
            _ => &[],
        };
        let queue = queue.iter().filter(|mapping| mapping.pipe).map(|mapping| mapping.share);
        queue.chain(stream.iter().filter(|mapping| mapping.pipe).map(|mapping| mapping.share))
    }

    /// The functions that take from it.
    fn readers(&self) -> Vec<FunctionNo> {
        match self {
            NodeKind::Parking
            | NodeKind::Topic { .. }
            | NodeKind::Bus(_)
            | NodeKind::Schedule(_)
            | NodeKind::Trail(_) => Vec::new(),
            NodeKind::Queue { mappings, .. } => {
                mappings.iter().flat_map(|mapping| &mapping.legs).filter_map(|leg| leg.function()).collect()
            }
            NodeKind::Asynchronous(policy) => vec![policy.function],
            NodeKind::Stream(policy) => {
                let legs = policy.mappings.iter().flat_map(|mapping| &mapping.legs);
                legs.filter_map(|leg| leg.function()).collect()
            }
            NodeKind::Machine(policy) => {
                let function = |step: &StepPolicy| match step.act {
                    Act::Invoke(function) => Some(function),
                    Act::Deliver(_) | Act::Wait(_) => None,
                };
                policy.steps.iter().filter_map(function).collect()
            }
        }
    }
}

impl NodePlan {
    /// What it is, in words.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            NodeKind::Parking | NodeKind::Queue { fifo: false, .. } => "queue",
            NodeKind::Queue { fifo: true, .. } => "FIFO queue",
            NodeKind::Asynchronous(_) => "asynchronous queue",
            NodeKind::Topic { what, .. } => what,
            NodeKind::Bus(_) => "bus",
            NodeKind::Schedule(_) => "schedule",
            NodeKind::Stream(_) => "stream",
            NodeKind::Machine(_) => "state machine",
            NodeKind::Trail(_) => "trail",
        }
    }

    /// Nobody takes anything from it.
    pub(crate) fn is_parking(&self) -> bool {
        matches!(self.kind, NodeKind::Parking)
    }

    /// The part as it is at the beginning.
    pub(crate) fn part(&self) -> Box<dyn crate::message::Part> {
        match &self.kind {
            NodeKind::Parking => Box::new(crate::parking::Parking::default()),
            NodeKind::Queue { policy, mappings, .. } => Box::new(Queue::new(*policy, mappings.clone())),
            NodeKind::Asynchronous(policy) => Box::new(Asynchronous::new(policy.clone())),
            NodeKind::Topic { policy, .. } => Box::new(Topic::new(policy.clone())),
            NodeKind::Bus(policy) => Box::new(Bus::new(policy.clone())),
            NodeKind::Schedule(policy) => Box::new(Schedule::new(policy.clone())),
            NodeKind::Stream(policy) => Box::new(Stream::new(policy.clone())),
            NodeKind::Machine(policy) => Box::new(Machine::new(policy.clone())),
            NodeKind::Trail(policy) => Box::new(Trail::new(policy.clone())),
        }
    }
}

impl Plan {
    /// The same plan with an assumption made so many times as large, and its value in words. `None`: it can't
    /// be.
    pub(crate) fn with_assumption_scaled(&self, number: usize, factor: f64) -> Option<(Plan, String)> {
        let knob = self.assumptions.get(number)?.knob?;
        let mut plan = self.clone();
        let value = match knob {
            Knob::Duration(function) => {
                let function = plan.functions.get_mut(function.0 as usize)?;
                function.program.scale_first(factor)?
            }
            Knob::Init(function) => {
                let function = plan.functions.get_mut(function.0 as usize)?;
                function.init = scaled(&function.init, factor);
                gather::words(&function.init)
            }
            Knob::IdleMax => {
                plan.idle_max = Span((plan.idle_max.0 as f64 * factor) as u64);
                gather::words(&Lasting::Constant(plan.idle_max))
            }
            Knob::Commit => {
                plan.commit = scaled(&plan.commit, factor);
                gather::words(&plan.commit)
            }
        };
        Some((plan, value))
    }
}

/// So many times as long.
pub(crate) fn scaled(lasting: &Lasting, factor: f64) -> Lasting {
    let times = |span: &Span| Span((span.0 as f64 * factor) as u64);
    match lasting {
        Lasting::Constant(span) => Lasting::Constant(times(span)),
        Lasting::Exponential { mean } => Lasting::Exponential { mean: times(mean) },
        Lasting::Percentiles { p50, p99 } => Lasting::Percentiles { p50: times(p50), p99: times(p99) },
        Lasting::Quantiles(points) => {
            Lasting::Quantiles(points.iter().map(|(q, v)| (*q, times(v))).collect())
        }
        Lasting::Measured(values) => Lasting::Measured(values.iter().map(times).collect()),
    }
}
