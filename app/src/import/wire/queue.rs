//! SQS: queues, their dead letters and who may send to them.

use super::{Row, Wire, index::At, pattern::Pattern, read};
use crate::{
    design::{Encryption, Kind, Mode, NodeId, Queue, Setting, Via},
    document::{Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::SQS::Queue").node(queue).edges(redrive),
    Row::of("AWS::SQS::QueuePolicy").edges(policy),
    Row::of("AWS::SQS::QueueInlinePolicy").edges(policy),
];

/// Statements of policies that are kept for all queues together: one policy can be for many queues.
const STATEMENTS_MAX: usize = 100_000;

fn queue(wire: &mut Wire<'_>, at: At) {
    let get = |key| wire.property(at, key);
    let queue = Queue {
        fifo: is_fifo(get("FifoQueue"), get("QueueName")),
        visibility_s: read::integer(get("VisibilityTimeout")),
        retention_s: read::integer(get("MessageRetentionPeriod")),
        delay_s: read::integer(get("DelaySeconds")),
        message_bytes_max: read::integer(get("MaximumMessageSize")),
        redrive: read::there(get("RedrivePolicy")),
        encryption: encryption(get("KmsMasterKeyId"), get("SqsManagedSseEnabled"), "alias/aws/sqs"),
        high_throughput: read::is(get("FifoThroughputLimit"), "perMessageGroupId"),
        policies: Vec::new(),
        policies_unknown: false,
        watched: false,
        inbox: false,
        attempts_max: Setting::Default,
    };
    wire.add(at, Kind::Queue(queue));
}

/// Whether a queue or topic is first in, first out: names of such end in `.fifo`, and only theirs.
pub(super) fn is_fifo(stated: Option<&Tree>, name: Option<&Tree>) -> bool {
    let named = name.and_then(Pattern::of).is_some_and(|name| name.text.ends_with(".fifo"));
    stated.and_then(Tree::as_bool).unwrap_or(named)
}

/// The key of a queue or topic. The key that AWS manages is named by an alias; any other is the user's.
pub(super) fn encryption(key: Option<&Tree>, own: Option<&Tree>, managed: &str) -> Setting<Encryption> {
    let Some(key) = key.filter(|key| key.value != Value::Null) else {
        return match own.filter(|own| own.as_bool() == Some(true)) {
            Some(own) => Setting::Stated(Encryption::Service, own.span),
            None => Setting::Default,
        };
    };
    match &key.value {
        Value::Reference(_) => Setting::Stated(Encryption::CustomerKey, key.span),
        Value::Unknown(unknown) => Setting::Unknown { why: unknown.why.clone(), span: key.span },
        _ => {
            let text = Pattern::of(key).map(|pattern| pattern.text).unwrap_or_default();
            let is_managed = text == managed || text.ends_with(&format!(":{managed}"));
            let of = if is_managed { Encryption::AwsManagedKey } else { Encryption::CustomerKey };
            Setting::Stated(of, key.span)
        }
    }
}

fn redrive(wire: &mut Wire<'_>, at: At) {
    let (Some(node), Some(policy)) = (wire.node(at, None), wire.property(at, "RedrivePolicy")) else {
        return;
    };
    dead_letters(wire, at, node, policy);
}

/// Draws the edge of a `RedrivePolicy`, which is a map or a text of JSON.
pub(super) fn dead_letters(wire: &mut Wire<'_>, at: At, from: NodeId, policy: &Tree) {
    match &policy.value {
        Value::Map(_) => {
            let attempts_max = read::integer(policy.get("maxReceiveCount"));
            if let Some(target) = policy.get("deadLetterTargetArn") {
                let how = (Mode::Async, Via::DeadLetters { attempts_max });
                wire.wired_to(at, from, target, "sqs", &how);
            }
        }
        Value::Unknown(unknown) if !unknown.one_of.is_empty() => {
            let before = wire.condition.clone();
            for read::Item { tree, condition } in read::items(Some(policy)) {
                wire.condition = condition;
                dead_letters(wire, at, from, tree);
            }
            wire.condition = before;
        }
        Value::Unknown(unknown) => {
            wire.unresolved(at, policy.span, format!("the redrive policy is not known: {}", unknown.why));
        }
        Value::Null => {}
        _ => dead_letters_of_text(wire, at, from, policy),
    }
}

fn dead_letters_of_text(wire: &mut Wire<'_>, at: At, from: NodeId, policy: &Tree) {
    let pattern = Pattern::of(policy);
    let json = pattern.as_ref().and_then(|text| serde_json::from_str::<serde_json::Value>(&text.text).ok());
    let (Some(pattern), Some(json)) = (pattern, json) else {
        wire.unresolved(at, policy.span, "the redrive policy is no JSON".into());
        return;
    };
    let Some(target) = json.get("deadLetterTargetArn").and_then(serde_json::Value::as_str) else { return };
    let attempts = json.get("maxReceiveCount");
    let attempts = attempts.and_then(|count| count.as_i64().or_else(|| count.as_str()?.parse().ok()));
    let attempts_max = attempts.map_or(Setting::Default, |count| Setting::Stated(count, policy.span));
    let how = (Mode::Async, Via::DeadLetters { attempts_max });
    for to in wire.reach_pattern(at, policy.span, &pattern.with(target), "sqs") {
        wire.wired(at, policy.span, &from.into(), &to, how.clone());
    }
}

fn policy(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let document = properties.get("PolicyDocument");
    let is_open =
        document.is_some_and(|tree| matches!(&tree.value, Value::Unknown(of) if of.one_of.is_empty()));
    let statements = properties.at(&["PolicyDocument", "Statement"]).map(Tree::one_or_many);
    let statements = statements.unwrap_or_default();
    let queues = properties.get("Queues").or_else(|| properties.get("Queue"));
    for queue in queues.map(Tree::one_or_many).unwrap_or_default() {
        let reached = wire.reach(at, queue, "sqs");
        if reached.is_empty() {
            wire.open_policies.insert(at.stack());
        }
        for to in reached {
            if wire.statements + statements.len() > STATEMENTS_MAX {
                wire.unresolved(at, queue.span, "too many policies: who may send is not looked at".into());
                return;
            }
            wire.statements += statements.len();
            if let Kind::Queue(queue) = &mut wire.design.node_mut(to.node).kind {
                queue.policies.extend(statements.iter().cloned());
                queue.policies_unknown |= is_open;
            }
        }
    }
}

/// Marks the queues of stacks that have a policy of which the queue is not known: it can be for any of them.
pub(super) fn mark_open_policies(wire: &mut Wire<'_>) {
    let stacks = std::mem::take(&mut wire.open_policies);
    for at in wire.index.all().into_iter().filter(|at| stacks.contains(&at.stack())) {
        let Some(node) = wire.node(at, None) else { continue };
        if let Kind::Queue(queue) = &mut wire.design.node_mut(node).kind {
            queue.policies_unknown = true;
        }
    }
}
