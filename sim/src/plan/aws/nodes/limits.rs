//! Limits that a part has, with where each is from and how it is raised.

use flyball_app::{
    design::{Design, Kind, NodeId},
    profile::{Limit, Profile},
};

use super::Places;
use crate::{
    aws::{
        pipe::Leg,
        pollers::{Bound, PollersPolicy},
        stream::StreamPolicy,
    },
    plan::{Known, NodeKind, NodeLimit},
    result::{LimitRef, Scope},
    used::PartLimit,
};

/// What is asked of a profile and a design about the limits of one part.
pub(super) struct Limits<'a> {
    pub profile: &'a Profile,
    pub design: &'a Design,
    pub places: &'a Places,
    pub id: NodeId,
    pub label: &'a str,
}

impl Limits<'_> {
    /// All that are counted.
    pub(super) fn of(&self, kind: &NodeKind) -> Vec<NodeLimit> {
        match kind {
            NodeKind::Queue { policy, mappings, .. } => {
                let alone = mappings.len() == 1;
                let mapping = |(place, mapping)| self.mapping(place, mapping, alone);
                let mut limits: Vec<NodeLimit> = mappings.iter().enumerate().map(mapping).collect();
                if let Some(fifo) = policy.fifo {
                    let high = self.high_throughput();
                    let row = if high { Limit::QueueFifoHighPerS } else { Limit::QueueFifoPerS };
                    let more = self.profile.value(Limit::QueueFifoHighPerS).filter(|_| !high);
                    let by = "FifoThroughputLimit: perMessageGroupId, DeduplicationScope: messageGroup";
                    let by = if more.is_some() { by } else { "" };
                    let rate = |of, name, per_s: u32| {
                        let limit = self.limit(of, name, f64::from(per_s), "messages/s");
                        NodeLimit { raised_to: more, ..limit.known(Known::row(self.profile, row), by) }
                    };
                    limits.push(rate(PartLimit::Intake, "sends", fifo.sends_per_s));
                    limits.push(rate(PartLimit::Output, "receives", fifo.receives_per_s));
                }
                limits
            }
            NodeKind::Stream(policy) => self.stream(policy),
            NodeKind::Machine(policy) => {
                let (row, by) = if policy.express {
                    (Limit::MachineExpressStartsPerS, "Service Quotas: StartExecution, express, per second")
                } else {
                    (Limit::MachineStartsPerS, "Service Quotas: StartExecution, standard, per second")
                };
                let starts = f64::from(policy.starts_per_s);
                let limit = self.limit(PartLimit::Intake, "starts", starts, "executions/s");
                vec![limit.known(Known::row(self.profile, row), by)]
            }
            NodeKind::Bus(policy) => {
                let puts = self.limit(PartLimit::Intake, "puts", f64::from(policy.puts_per_s), "events/s");
                let per_s = f64::from(policy.invocations_per_s);
                let invocations = self.limit(PartLimit::Output, "invocations", per_s, "events/s");
                let row = |limit| Known::row(self.profile, limit);
                vec![
                    puts.known(row(Limit::BusPutPerS), "Service Quotas: PutEvents per second"),
                    invocations
                        .known(row(Limit::BusInvocationsPerS), "Service Quotas: Invocations per second"),
                ]
            }
            NodeKind::Parking
            | NodeKind::Asynchronous(_)
            | NodeKind::Trail(_)
            | NodeKind::Topic { .. }
            | NodeKind::Schedule(_) => Vec::new(),
        }
    }

    /// A limit of which nothing more is known; twice as much of it is what raising it means.
    fn limit(&self, of: PartLimit, name: &str, value: f64, unit: &str) -> NodeLimit {
        let limit = LimitRef {
            name: name.into(),
            scope: Scope::Node,
            of: self.label.into(),
            value,
            unit: unit.into(),
        };
        NodeLimit {
            of,
            limit,
            known: Known::default(),
            raised_by: String::new(),
            raised_to: Some(value * 2.0),
        }
    }

    fn high_throughput(&self) -> bool {
        let queue = &self.design.node(self.id).kind;
        matches!(queue, Kind::Queue(queue) if queue.high_throughput.stated() == Some(&true))
    }

    /// What the first leg of a mapping leads to, by its name.
    fn reader(&self, legs: &[Leg]) -> &str {
        let places = self.places;
        let id = match legs.first() {
            Some(Leg::Invoke(function)) => places.functions.iter().find(|(_, number)| *number == function),
            _ => None,
        };
        id.map_or("others", |(id, _)| self.design.node(*id).name.as_str())
    }

    /// What batches at once are called: with the reader's name where there are several.
    fn batches(&self, legs: &[Leg], alone: bool) -> String {
        if alone { "batches at once".into() } else { format!("batches at once for {}", self.reader(legs)) }
    }

    fn mapping(&self, place: usize, mapping: &PollersPolicy, alone: bool) -> NodeLimit {
        let name = self.batches(&mapping.legs, alone);
        let limit = self.limit(PartLimit::Batches(place), &name, f64::from(mapping.max), "batches");
        let within = |row: Limit, more: f64, factor: f64| {
            self.profile.value(row).filter(|most| more <= most * factor).map(|_| more)
        };
        let twice = f64::from(mapping.max) * 2.0;
        match mapping.bound {
            Bound::Stated => {
                let raised_to = within(Limit::EventSourceConcurrencyMax, twice, 1.0);
                let by = "ScalingConfig.MaximumConcurrency";
                NodeLimit { raised_to, ..limit.known(Known::stated("the template"), by) }
            }
            Bound::Provisioned => {
                let raised_to = within(Limit::EventSourceProvisionedPollersMax, twice, BATCHES_OF_A_POLLER);
                let known = Known::assumed("200 provisioned pollers of ten batches each");
                NodeLimit { raised_to, ..limit.known(known, "ProvisionedPollerConfig.MaximumPollers") }
            }
            Bound::Ceiling => {
                let known = Known::row(self.profile, Limit::EventSourcePollersMax);
                NodeLimit { raised_to: None, ..limit.known(known, "") }
            }
        }
    }

    fn stream(&self, policy: &StreamPolicy) -> Vec<NodeLimit> {
        let stated =
            matches!(&self.design.node(self.id).kind, Kind::Stream(s) if s.shards.stated().is_some());
        let shards = if stated { "ShardCount" } else { "" };
        let mut limits = Vec::new();
        if let Some(takes) = policy.takes {
            let intake = |of, name, value: u32, unit, row| {
                let limit = self.limit(of, name, f64::from(value), unit);
                // More shards, each with the same limit.
                NodeLimit {
                    raised_to: Some(f64::from(value)),
                    ..limit.known(Known::row(self.profile, row), "ShardCount")
                }
            };
            let (records, bytes) = (takes.records_per_s, takes.bytes_per_s);
            let row = Limit::StreamShardRecordsPerS;
            limits.push(intake(PartLimit::Intake, "records into a shard", records, "records/s", row));
            let row = Limit::StreamShardInBytesPerS;
            limits.push(intake(PartLimit::IntakeBytes, "bytes into a shard", bytes, "bytes/s", row));
        }
        let alone = policy.mappings.len() == 1;
        let most = self.profile.value(Limit::EventSourceParallelizationMax).unwrap_or(10.0);
        for (place, mapping) in policy.mappings.iter().enumerate() {
            let at_once = f64::from(policy.shards) * f64::from(mapping.parallelization);
            let name = self.batches(&mapping.legs, alone);
            let limit = self.limit(PartLimit::Batches(place), &name, at_once, "batches");
            let by_keys = f64::from(mapping.parallelization) * 2.0 <= most;
            let by = if by_keys { "ParallelizationFactor" } else { shards };
            let known = if stated {
                Known::stated("the template: shards × ParallelizationFactor")
            } else {
                Known::assumed("shards × ParallelizationFactor, with one shard")
            };
            limits.push(limit.known(known, by));
        }
        limits
    }
}

/// Batches at once of a provisioned poller: the row "Provisioned mode" of AWS's facts.
const BATCHES_OF_A_POLLER: f64 = 10.0;
