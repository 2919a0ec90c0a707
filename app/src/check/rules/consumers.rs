//! Who reads a queue or a stream beside whom, and what of it.

use std::collections::BTreeMap;

use crate::check::load::number;
use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::count, words},
    design::{Edge, EdgeId, EventSource, Function, Kind, NodeId, Queue, Setting, Via},
    document::{Tree, Value},
    profile::Limit,
};

/// FB0017: an event source starts more than its function may run.
pub(super) struct Scaling;

/// FB0019: two consumers on one queue.
pub(super) struct Consumers;

/// FB0020: filters that delete what another consumer is for.
pub(super) struct Filters;

/// FB0030: more readers on a shard than it has reads.
pub(super) struct Readers;

/// What fetches from a queue or stream, for certain: it is enabled, and no condition may take it away.
fn fetchers<'a>(look: &Look<'a>, from: NodeId) -> impl Iterator<Item = (EdgeId, &'a Edge, &'a EventSource)> {
    look.design.outgoing(from).filter_map(|(id, edge)| match &edge.via {
        Via::EventSource(source) | Via::PipeSource(source) => {
            let certain = source.enabled.or(true) == Some(true) && edge.conditional.is_none();
            certain.then_some((id, edge, source.as_ref()))
        }
        _ => None,
    })
}

impl Rule for Scaling {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0017",
            title: "event source above its function's reservation",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0017.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, edge) in look.design.edges() {
            let Via::EventSource(source) = &edge.via else { continue };
            let Kind::Queue(queue) = &look.design.node(edge.from).kind else { continue };
            let Kind::Function(function) = &look.design.node(edge.to).kind else { continue };
            if source.enabled.or(true) == Some(true) {
                scaling(look, (id, edge), (source, queue, function), found);
            }
        }
    }
}

fn scaling(
    look: &Look<'_>,
    (id, edge): (EdgeId, &Edge),
    (source, queue, function): (&EventSource, &Queue, &Function),
    found: &mut Found<'_>,
) {
    let Setting::Stated(_, reserved_at) = function.reserved else { return };
    let Some(visibility) = look.visibility_s(queue) else { return };
    let Some((at_once, reserved)) = above_reservation(look, source, queue, function) else { return };
    // Without dead letters what is refused only comes later.
    let Some(receives) = receives(look, edge.from) else { return };
    let (from, to) = (&look.design.node(edge.from).name, &look.design.node(edge.to).name);
    let [at_once_said, reserved_said] = [at_once, reserved].map(|value| words::decimal(number(value)));
    let dies = words::seconds(number(receives.saturating_mul(visibility)));
    let deliveries = if receives == 1 { "delivery" } else { "deliveries" };
    let message = format!(
        "the event source of {from} starts up to {at_once_said} batches at once and {to} may run \
         {reserved_said}: \
         each refusal counts as a delivery, so what waits longer than {dies} ({receives} {deliveries} × {}) \
         reaches the dead letters without having failed",
        words::seconds(number(visibility))
    );
    let mut help = match reserved {
        1 => format!("reserve 2 for {to} and set ScalingConfig.MaximumConcurrency of the event source to 2"),
        _ => format!("set ScalingConfig.MaximumConcurrency of the event source to {reserved} or less"),
    };
    if let Some(advised) = look.visibility_advised_s(source, function).filter(|s| visibility < *s) {
        help.push_str(&format!(", and VisibilityTimeout of {from} to {advised}"));
    }
    let span = source.concurrency_max.span().unwrap_or(edge.span);
    let hops =
        look.hop_pair(edge, format!("up to {at_once_said} at once"), format!("{reserved_said} reserved"));
    found.add(
        Draft::new(edge.to, span, message, help)
            .rests_on([id])
            .path(hops)
            .meets(
                Quantity::stated(format!("the reservation of {to}"), number(reserved), ""),
                Quantity::stated("batches that the event source starts at once", number(at_once), ""),
            )
            .related(reserved_at, format!("the reservation of {to}")),
    );
}

/// What the event source of a queue comes to at once, and the reservation of its function, where that is less.
pub(super) fn above_reservation(
    look: &Look<'_>,
    source: &EventSource,
    queue: &Queue,
    function: &Function,
) -> Option<(i64, i64)> {
    let reserved = *function.reserved.stated()?;
    let at_once = look.queue_concurrency(source)?;
    // Zero switches the function off. A FIFO queue starts as many as it has groups, which nobody knows here.
    let known = !queue.fifo || source.concurrency_max.stated().is_some();
    (reserved >= 1 && at_once > reserved && known).then_some((at_once, reserved))
}

/// Deliveries of a queue before its dead letters. `None`: it has none, or they are not known.
pub(super) fn receives(look: &Look<'_>, queue: NodeId) -> Option<i64> {
    look.design.outgoing(queue).find_map(|(_, edge)| match &edge.via {
        Via::DeadLetters { attempts_max } => look.or(attempts_max, Limit::QueueReceivesDefault),
        _ => None,
    })
}

impl Rule for Consumers {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0019",
            title: "two consumers on one queue",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0019.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        for (queue, node, _) in look.design.queues() {
            let all: Vec<_> = fetchers(look, queue).collect();
            let [(_, first, _), (_, second, _), ..] = all.as_slice() else { continue };
            let filtered = all.iter().any(|(_, _, source)| !source.filters.is_empty());
            let same = all.iter().all(|(_, edge, _)| edge.to == first.to);
            // Differing filters are FB0020's.
            if filtered && !all_same(&all) || same {
                continue;
            }
            let mut names: Vec<&str> =
                all.iter().map(|(_, edge, _)| look.design.node(edge.to).name.as_str()).collect();
            names.dedup();
            let queue_name = &node.name;
            let message = format!(
                "{} read {queue_name}: each message goes to one of them, never to all",
                words::list(&names)
            );
            let help = format!(
                "give each its own queue, and have a topic or a rule send to both instead of {queue_name}"
            );
            let mut draft = Draft::new(queue, second.span, message, help)
                .rests_on(all.iter().map(|(id, _, _)| *id))
                .path(look.hop_pair(second, "", ""));
            for (_, edge, _) in all.iter().filter(|(_, edge, _)| edge.span != second.span) {
                draft = draft.related(edge.span, format!("{} reads it", look.design.node(edge.to).name));
            }
            found.add(draft);
        }
    }
}

fn all_same(all: &[(EdgeId, &Edge, &EventSource)]) -> bool {
    let Some((_, _, first)) = all.first() else { return true };
    all.iter().all(|(_, _, source)| {
        source.filters.len() == first.filters.len()
            && source.filters.iter().zip(&first.filters).all(|(a, b)| same(a, b))
    })
}

/// Whether two values say the same, wherever they stand.
fn same(a: &Tree, b: &Tree) -> bool {
    match (&a.value, &b.value) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(_), Value::Map(_)) => {
            let keys = |tree: &Tree| tree.entries().len();
            let found =
                |entry: &crate::document::Entry| b.get(&entry.key).is_some_and(|b| same(&entry.value, b));
            keys(a) == keys(b) && a.entries().iter().all(found)
        }
        (a, b) => a == b,
    }
}

/// Whether all of a value is known.
fn known(tree: &Tree) -> bool {
    let mut known = true;
    tree.visit(&mut |tree| {
        known &= !matches!(tree.value, Value::Unknown(_) | Value::Pieces(_) | Value::Reference(_));
    });
    known
}

impl Rule for Filters {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0020",
            title: "filters that delete what they do not match",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0020.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (queue, node, _) in look.design.queues() {
            let all: Vec<_> = fetchers(look, queue).collect();
            let certain = all.iter().all(|(_, _, source)| source.filters.iter().all(known));
            if all.len() < 2 || !certain || all_same(&all) {
                continue;
            }
            let Some((_, filtered, source)) = all.iter().find(|(_, _, source)| !source.filters.is_empty())
            else {
                continue;
            };
            let Some((_, other, _)) = all.iter().find(|(_, edge, _)| edge.span != filtered.span) else {
                continue;
            };
            let [to, other_to] = [filtered, other].map(|edge| &look.design.node(edge.to).name);
            let queue_name = &node.name;
            let message = format!(
                "the filter of {to} deletes each message of {queue_name} that it fetches and does not \
                 match, so {other_to} never sees it"
            );
            let help = format!(
                "give {to} and {other_to} a queue each, and filter at the topic or the rule before them"
            );
            let span = source.filters.first().map_or(filtered.span, |filter| filter.span);
            found.add(
                Draft::new(queue, span, message, help)
                    .rests_on(all.iter().map(|(id, _, _)| *id))
                    .path(look.hop_pair(filtered, "", "deletes what it does not match"))
                    .related(other.span, format!("{other_to} reads it too")),
            );
        }
    }
}

impl Rule for Readers {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0030",
            title: "too many readers on a stream's shards",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0030.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let Some(most) = look.profile.value(Limit::StreamShardReadersMax) else { return };
        for (id, node) in look.design.nodes() {
            let Kind::Stream(stream) = &node.kind else { continue };
            let mut readers: BTreeMap<NodeId, (EdgeId, &Edge)> = BTreeMap::new();
            for (edge_id, edge, source) in fetchers(look, id) {
                if !source.own_throughput {
                    readers.entry(edge.to).or_insert((edge_id, edge));
                }
            }
            if count(readers.len()) <= most {
                continue;
            }
            let names: Vec<&str> = readers.keys().map(|id| look.design.node(*id).name.as_str()).collect();
            let Some((_, last)) = readers.values().last() else { continue };
            let (what, help) = if stream.of_table {
                (
                    "a table's stream takes two readers on a shard: all of them are throttled and fall \
                     behind",
                    "let one function read the table's stream and send on to a topic or a bus, or use a \
                     Kinesis stream",
                )
            } else {
                (
                    "they share the 2 MiB/s that a shard gives, twice what it takes: at its full rate they \
                     fall behind",
                    "register consumers of their own (enhanced fan-out) for all but two, or send on from \
                     one reader",
                )
            };
            let message =
                format!("{} functions read {} ({}): {what}", names.len(), node.name, words::list(&names));
            let mut draft = Draft::new(id, last.span, message, help.to_string())
                .rests_on(readers.values().map(|(id, _)| *id))
                .path(look.hop_pair(last, "", ""));
            if let Some(limit) = look.limit(Limit::StreamShardReadersMax, "readers of one shard") {
                draft = draft.meets(limit, Quantity::stated("readers", count(readers.len()), ""));
            }
            if !stream.of_table {
                draft = draft.assuming("a shard is used near the 1 MiB/s that it takes");
            }
            found.add(draft);
        }
    }
}
