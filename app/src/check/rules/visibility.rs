//! How long a message stays hidden, against how long its function may run.

use crate::{
    check::{
        About, Draft, Fix, Found, Look, Quantity, Rule, Severity, fix,
        rules::{
            consumers::{above_reservation, receives},
            pool::above_shared,
        },
        words,
    },
    design::{Edge, EventSource, Function, Kind, Node, NodeId, Queue, Setting, Via},
    profile::Limit,
};

/// FB0007: the visibility timeout is below the function's timeout.
pub(super) struct BelowTimeout;

/// FB0008: the visibility timeout is below six times the function's, where the function can be throttled.
pub(super) struct BelowSixTimes;

/// A queue that feeds a function.
struct Feed<'a> {
    edge: &'a Edge,
    source: &'a EventSource,
    queue: &'a Queue,
    function: &'a Function,
    queue_node: &'a Node,
    function_node: &'a Node,
    queue_id: NodeId,
    visibility_s: i64,
    timeout_s: i64,
}

/// All feeds of a design whose two times are known.
fn feeds<'a>(look: &Look<'a>) -> impl Iterator<Item = (crate::design::EdgeId, Feed<'a>)> {
    let (look, design) = (*look, look.design);
    design.edges().filter_map(move |(id, edge)| {
        let Via::EventSource(source) = &edge.via else { return None };
        let (queue_node, function_node) = (design.node(edge.from), design.node(edge.to));
        let (Kind::Queue(queue), Kind::Function(function)) = (&queue_node.kind, &function_node.kind) else {
            return None;
        };
        let visibility_s = look.visibility_s(queue)?;
        let timeout_s = look.timeout_s(function)?;
        let queue_id = edge.from;
        let on = source.enabled.or(true)?;
        let feed = Feed {
            edge,
            source,
            queue,
            function,
            queue_node,
            function_node,
            queue_id,
            visibility_s,
            timeout_s,
        };
        on.then_some((id, feed))
    })
}

/// A higher visibility timeout where a file states one as a number: failed messages then come back later.
fn raised(look: &Look<'_>, queue: &Queue, to_s: i64) -> Option<Fix> {
    let Setting::Stated(stated_s, span) = queue.visibility_s else { return None };
    let edit = fix::number(&look.design.files, span, stated_s, to_s)?;
    Some(Fix { title: format!("VisibilityTimeout: {to_s}"), safe: false, edits: vec![edit] })
}

impl Rule for BelowTimeout {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0007",
            title: "visibility timeout below the function's timeout",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0007.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, feed) in feeds(look).filter(|(_, feed)| feed.visibility_s < feed.timeout_s) {
            let (queue, function) = (&feed.queue_node.name, &feed.function_node.name);
            let [visible, runs] =
                [feed.visibility_s, feed.timeout_s].map(|time| words::seconds(words::whole(time)));
            let default = if feed.queue.visibility_s.is_default() { " (the default)" } else { "" };
            let message = format!(
                "AWS rejects the event source: messages of {queue} are visible again after {visible}{default}, \
                 and {function} may run {runs}"
            );
            let needed = 6 * feed.timeout_s;
            let help =
                format!("set VisibilityTimeout of {queue} to {needed}: six times the function's timeout");
            let span = feed.queue.visibility_s.span().unwrap_or(feed.queue_node.span);
            let mut draft = Draft::new(feed.queue_id, span, message, help)
                .rests_on([id])
                .path(look.hop_pair(
                    feed.edge,
                    format!("visible again after {visible}"),
                    format!("runs {runs}"),
                ))
                .meets(
                    Quantity::stated(format!("the timeout of {function}"), words::whole(feed.timeout_s), "s"),
                    Quantity::stated(
                        format!("the visibility timeout of {queue}"),
                        words::whole(feed.visibility_s),
                        "s",
                    ),
                )
                .related(feed.edge.span, "the event source");
            if let Some(span) = feed.function.timeout_s.span() {
                draft = draft.related(span, format!("the timeout of {function}"));
            }
            if let Some(fix) = raised(look, feed.queue, needed) {
                draft = draft.fix(fix);
            }
            found.add(draft);
        }
    }
}

impl Rule for BelowSixTimes {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0008",
            title: "visibility timeout below six times the function's, where it can be throttled",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0008.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let peak = above_shared(look);
        for (id, feed) in feeds(look) {
            let Some(advised) = look.visibility_advised_s(feed.source, feed.function) else { continue };
            // Without a redrive policy a message that comes back too often is only late.
            let counts = feed.queue.redrive.stated() == Some(&true);
            if feed.visibility_s < feed.timeout_s || feed.visibility_s >= advised || !counts {
                continue;
            }
            let Some((why, by_pool)) = throttled(look, &feed, peak) else { continue };
            let (queue, function) = (&feed.queue_node.name, &feed.function_node.name);
            let visible = words::seconds(words::whole(feed.visibility_s));
            let message = format!(
                "{why}; a batch of {queue} that waits for its turn comes back after {visible}, and each time \
                 counts as a delivery: messages reach the dead letters without having failed"
            );
            let help =
                format!("set VisibilityTimeout of {queue} to {advised}: six times the function's timeout");
            let span = feed.queue.visibility_s.span().unwrap_or(feed.queue_node.span);
            let limit = look.limit(
                Limit::EventSourceVisibilityFactor,
                "how many times the function's timeout it should be",
            );
            let value = Quantity::stated(
                format!("the visibility timeout of {queue}"),
                words::whole(feed.visibility_s),
                "s",
            );
            let runs = format!("runs {}", words::seconds(words::whole(feed.timeout_s)));
            let mut draft = Draft::new(feed.queue_id, span, message, help)
                .rests_on([id])
                .path(look.hop_pair(feed.edge, format!("visible again after {visible}"), runs))
                .related(feed.edge.span, "the event source");
            if let Some(limit) = limit {
                draft = draft.meets(limit, value);
            }
            if let Some(span) = feed.function.reserved.span() {
                draft = draft.related(span, format!("the reservation of {function}"));
            }
            if by_pool {
                draft = draft.by(look, Limit::LambdaConcurrency);
            }
            if let Some(fix) = raised(look, feed.queue, advised) {
                draft = draft.fix(fix);
            }
            found.add(draft);
        }
    }
}

/// Why the function is throttled, and whether it is by the pool: the stated peak needs more than there is, or its
/// reservation is below what its event source comes to and FB0017, whose fix mends both, can't say so.
fn throttled(look: &Look<'_>, feed: &Feed<'_>, peak: Option<(f64, f64)>) -> Option<(String, bool)> {
    let function = &feed.function_node.name;
    if feed.function.reserved.is_default() {
        let [needs, shared] = <[f64; 2]>::from(peak?).map(words::decimal);
        let why =
            format!("the stated peak needs {needs} environments at once, and {function} shares {shared}");
        return Some((why, true));
    }
    let (at_once, reserved) = above_reservation(look, feed.source, feed.queue, feed.function)?;
    let [at_once, reserved] = [at_once, reserved].map(|count| words::decimal(words::whole(count)));
    let why = format!(
        "{function} has {reserved} environments at most, and its event source comes to {at_once} batches at once"
    );
    receives(look, feed.queue_id).is_none().then_some((why, false))
}
