//! Limits of AWS's services beside those of Lambda's pool, which the engine counts.

use flyball_app::profile::{Limit, Profile};
use flyball_core::Span;

use super::{NodeKind, NodePlan, Plan};
use crate::{
    result::{Basis, LimitRef, Scope},
    used::PartLimit,
};

/// How well a limit is known, and from where.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Known {
    pub basis: Basis,
    pub source: String,
    pub date: String,
}

impl Known {
    /// A row of the profile.
    pub(crate) fn row(profile: &Profile, limit: Limit) -> Known {
        let Some(row) = profile.row(limit) else { return Known::assumed("") };
        let basis = match (row.stated, row.unverified) {
            (true, _) => Basis::Stated,
            (false, true) => Basis::Unverified,
            (false, false) => Basis::Sourced,
        };
        Known { basis, source: row.source.clone(), date: row.date.clone() }
    }

    /// A file states it.
    pub(crate) fn stated(source: &str) -> Known {
        Known { basis: Basis::Stated, source: source.into(), date: String::new() }
    }

    /// Nobody does.
    pub(crate) fn assumed(source: &str) -> Known {
        Known { basis: Basis::Assumed, source: source.into(), date: String::new() }
    }
}

/// A limit of a node that is counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NodeLimit {
    pub of: PartLimit,
    pub limit: LimitRef,
    pub known: Known,
    /// The setting or quota. Empty: it can't be raised.
    pub raised_by: String,
    /// Its value then: twice as much, or what the setting brings. `None`: it can't be raised.
    pub raised_to: Option<f64>,
}

impl NodeLimit {
    /// The same, known like this and raised by that.
    pub(crate) fn known(self, known: Known, raised_by: &str) -> NodeLimit {
        let raised_to = self.raised_to.filter(|_| !raised_by.is_empty());
        NodeLimit { known, raised_by: raised_by.into(), raised_to, ..self }
    }
}

/// What stands before a function and gives up by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gateway {
    /// As the design calls it.
    pub name: String,
    pub timeout: Span,
    pub known: Known,
    /// The setting or quota. Empty: it can't be raised.
    pub raised_by: String,
}

impl Gateway {
    /// Its timeout as a result names it.
    pub(crate) fn limit(&self) -> LimitRef {
        LimitRef {
            name: "integration timeout".into(),
            scope: Scope::Entrance,
            of: self.name.clone(),
            value: self.timeout.0 as f64 / 1e6,
            unit: "s".into(),
        }
    }
}

/// What was raised.
pub(crate) struct Raised {
    pub plan: Plan,
    /// What was raised, with its value before.
    pub limit: LimitRef,
    /// Its value then.
    pub to: f64,
    /// By which setting or quota. Empty: the limit itself says so.
    pub by: String,
}

impl Plan {
    /// The same plan with more of a node's limit. `None`: it can't be raised.
    pub(crate) fn with_node_raised(&self, limit: &LimitRef) -> Option<Raised> {
        let mut plan = self.clone();
        let node = plan.nodes.iter_mut().find(|node| node.label == limit.of)?;
        let at = node.limits.iter().position(|own| own.limit.name == limit.name)?;
        let own = node.limits.get(at)?.clone();
        let to = own.raised_to?;
        let shards = node.raise(&own, to)?;
        let limit = match shards {
            // Each shard takes as much as before.
            Some(shards) => {
                LimitRef { name: "shards".into(), value: shards, unit: String::new(), ..own.limit }
            }
            None => {
                let raised = node.limits.get_mut(at)?;
                (raised.limit.value, raised.raised_to) = (to, None);
                own.limit
            }
        };
        let to = shards.map_or(to, |shards| shards * 2.0);
        Some(Raised { plan, limit, to, by: own.raised_by })
    }

    /// The same plan with gateways that wait for twice as long. `None`: they can't.
    pub(crate) fn with_gateway_raised(&self, limit: &LimitRef) -> Option<Raised> {
        let mut plan = self.clone();
        let mut by = None;
        for source in &mut plan.sources {
            let super::Entrance::Call { gateway: Some(gateway), .. } = &mut source.entrance else { continue };
            if gateway.limit() == *limit && !gateway.raised_by.is_empty() {
                gateway.timeout = Span(gateway.timeout.0.saturating_mul(2));
                by = Some(gateway.raised_by.clone());
            }
        }
        Some(Raised { plan, limit: limit.clone(), to: limit.value * 2.0, by: by? })
    }
}

impl NodePlan {
    /// Sets a limit to another value. The number of shards before, where twice as many are what raises it. `None`: it
    /// has no such limit.
    fn raise(&mut self, own: &NodeLimit, to: f64) -> Option<Option<f64>> {
        // Limits are whole numbers of at most 32 bits.
        let more = to.min(f64::from(u32::MAX)) as u32;
        match (&mut self.kind, own.of) {
            (NodeKind::Queue { mappings, .. }, PartLimit::Batches(place)) => {
                mappings.get_mut(place)?.max = more
            }
            (NodeKind::Queue { policy, .. }, PartLimit::Intake | PartLimit::Output) => {
                // One setting is of both.
                let fifo = policy.fifo.as_mut()?;
                (fifo.sends_per_s, fifo.receives_per_s) = (more, more);
                let rates = |one: &&mut NodeLimit| !matches!(one.of, PartLimit::Batches(_));
                self.limits
                    .iter_mut()
                    .filter(rates)
                    .for_each(|one| (one.limit.value, one.raised_to) = (to, None));
            }
            (NodeKind::Stream(policy), PartLimit::Batches(place)) if own.raised_by != SHARDS => {
                let mapping = policy.mappings.get_mut(place)?;
                mapping.parallelization = mapping.parallelization.saturating_mul(2);
            }
            (NodeKind::Stream(policy), _) => {
                let shards = f64::from(policy.shards);
                policy.shards = policy.shards.saturating_mul(2);
                let batches = |one: &&mut NodeLimit| matches!(one.of, PartLimit::Batches(_));
                self.limits.iter_mut().filter(batches).for_each(|one| one.limit.value *= 2.0);
                return Some(Some(shards));
            }
            (NodeKind::Machine(policy), PartLimit::Intake) => {
                // The bucket is a quota of its own, and is raised with it.
                policy.starts_burst = policy.starts_burst.saturating_mul(2);
                policy.starts_per_s = more;
            }
            (NodeKind::Bus(policy), PartLimit::Intake) => policy.puts_per_s = more,
            (NodeKind::Bus(policy), PartLimit::Output) => policy.invocations_per_s = more,
            _ => return None,
        }
        Some(None)
    }
}

/// What raises the limits of a stream by more shards.
const SHARDS: &str = "ShardCount";
