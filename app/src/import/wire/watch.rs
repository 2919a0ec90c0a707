//! Who looks at a queue: alarms, and what a stack exports.

use super::{Row, Wire, index::At};
use crate::{design::Kind, document::Tree};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[Row::of("AWS::CloudWatch::Alarm").edges(alarm)];

fn alarm(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let own = properties.get("Dimensions").map(Tree::one_or_many).unwrap_or_default();
    let metrics = properties.get("Metrics").map(Tree::one_or_many).unwrap_or_default();
    let of_metrics = metrics.iter().filter_map(|metric| metric.at(&["MetricStat", "Metric", "Dimensions"]));
    for dimension in own.iter().chain(of_metrics.flat_map(Tree::one_or_many)) {
        if dimension.get("Name").and_then(Tree::as_str) == Some("QueueName")
            && let Some(value) = dimension.get("Value")
        {
            watch(wire, at.stack(), value);
        }
    }
}

/// Marks the queues that stacks export.
pub(super) fn exports(wire: &mut Wire<'_>) {
    let stacks = wire.stacks;
    for (index, stack) in stacks.iter().enumerate() {
        for (_, value) in &stack.exports {
            watch(wire, index, value);
        }
    }
}

fn watch(wire: &mut Wire<'_>, stack: usize, value: &Tree) {
    let at: Vec<At> = wire.leads(stack, value, "sqs").iter().filter_map(super::Lead::resource).collect();
    for at in at {
        if let Some(node) = wire.node(at, None)
            && let Kind::Queue(queue) = &mut wire.design.node_mut(node).kind
        {
            queue.watched = true;
        }
    }
}
