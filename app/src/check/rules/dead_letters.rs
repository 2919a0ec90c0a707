//! Where work goes that can't be done.

use crate::{
    check::{About, Draft, Fix, Found, Look, Quantity, Rule, Severity, fix, paths, words},
    design::{Destination, Edge, EdgeId, Function, Kind, Mode, Node, NodeId, Queue, Setting, Via},
    profile::Limit,
};

/// FB0009: nothing keeps what fails on an asynchronous path.
pub(super) struct Missing;

/// FB0010: dead letters are set where nothing puts any.
pub(super) struct Ignored;

/// FB0011: dead letters expire before their source's messages would.
pub(super) struct Expiring;

/// FB0012: nobody reads the dead letters.
pub(super) struct Unread;

/// Under what keys a function has dead letters: of the plain resource, of SAM, of both, of the Serverless Framework.
const SETTINGS: [&str; 5] = ["DeadLetterConfig", "DeadLetterQueue", "OnFailure", "onError", "onFailure"];

/// How a function is given work: by queues, asynchronously, or otherwise.
#[derive(Default)]
struct Givers<'a> {
    queues: Vec<(EdgeId, &'a Edge)>,
    asynchronous: Vec<(EdgeId, &'a Edge)>,
    others: usize,
}

fn givers<'a>(look: &Look<'a>, function: NodeId) -> Givers<'a> {
    let mut givers = Givers::default();
    for (id, edge) in look.design.incoming(function) {
        let from_queue = matches!(look.design.node(edge.from).kind, Kind::Queue(_));
        match edge.via {
            Via::EventSource(_) if from_queue => givers.queues.push((id, edge)),
            _ if edge.mode == Mode::Async && edge.evidence > crate::design::Evidence::Granted => {
                givers.asynchronous.push((id, edge));
            }
            _ => givers.others += 1,
        }
    }
    givers
}

/// Whether an asynchronous edge brings something that nobody sends a second time. What a schedule brings comes
/// again by itself; what other services send is mostly their own notice of something that is still there.
fn is_an_event(look: &Look<'_>, edge: &Edge) -> bool {
    match &edge.via {
        Via::Target(_) => !matches!(look.design.node(edge.from).kind, Kind::Schedule(_)),
        Via::Subscription(_) | Via::Notification(_) | Via::Access(_) => true,
        _ => false,
    }
}

/// The setting or the edge that gives a function dead letters.
fn kept(look: &Look<'_>, id: NodeId, function: &Function) -> Setting<bool> {
    let failure = look.design.outgoing(id).find(|(_, edge)| match edge.via {
        Via::Destination(of) => of == Destination::Failure,
        _ => false,
    });
    match (&function.dead_letters, failure) {
        (Setting::Default, Some((_, edge))) => Setting::Stated(true, edge.span),
        (stated, _) => stated.clone(),
    }
}

/// Whether a function's dead letters are set where nothing puts any, and a queue that it reads keeps none itself.
fn ignores(look: &Look<'_>, id: NodeId, function: &Function) -> bool {
    let givers = givers(look, id);
    let open = |edge: &Edge| match &look.design.node(edge.from).kind {
        Kind::Queue(queue) => queue.redrive.is_default() && queue.attempts_max.is_default(),
        _ => false,
    };
    kept(look, id, function).stated() == Some(&true)
        && givers.asynchronous.is_empty()
        && givers.others == 0
        && givers.queues.iter().any(|(_, edge)| open(edge))
}

impl Rule for Missing {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0009",
            title: "nothing keeps what fails",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0009.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, function) in look.design.functions() {
            if let Some(draft) = lost_events(look, (id, node), function) {
                found.add(draft);
            }
        }
        for (id, node, queue) in look.design.queues() {
            if let Some(draft) = poison(look, (id, node), queue) {
                found.add(draft);
            }
        }
    }
}

/// An asynchronous function without dead letters.
fn lost_events(look: &Look<'_>, (id, node): (NodeId, &Node), function: &Function) -> Option<Draft> {
    if !kept(look, id, function).is_default() {
        return None;
    }
    let events: Vec<_> =
        givers(look, id).asynchronous.into_iter().filter(|(_, edge)| is_an_event(look, edge)).collect();
    let (edge_id, edge) = events.iter().max_by_key(|(_, edge)| edge.evidence).copied()?;
    let retries = look.or(&function.async_retries_max, Limit::LambdaAsyncRetriesDefault)?;
    let mut froms: Vec<_> =
        events.iter().map(|(_, edge)| look.design.node(edge.from).name.as_str()).collect();
    froms.sort_unstable();
    froms.dedup();
    let (name, froms) = (&node.name, words::list(&froms));
    let tries = match retries {
        0 => "once".to_string(),
        1 => "twice".to_string(),
        more => format!("{} times", words::decimal(words::whole(more.saturating_add(1)))),
    };
    let message = format!("an event from {froms} with which {name} fails {tries} is gone: nothing keeps it");
    let help = format!("give {name} an OnFailure destination or a dead-letter queue, and watch that");
    let limit = match function.async_retries_max.stated() {
        Some(stated) => {
            Some(Quantity::stated(format!("retries of {name}"), words::whole(*stated), "attempts"))
        }
        None => look.limit(Limit::LambdaAsyncRetriesDefault, format!("retries of {name}")),
    };
    let draft = Draft::new(id, node.span, message, help)
        .rests_on([edge_id])
        .path(look.hop_pair(edge, "", format!("{tries}, then gone")))
        .related(edge.span, "what invokes it asynchronously");
    match limit {
        Some(limit) => {
            let attempts = Quantity::stated("attempts", words::whole(retries.saturating_add(1)), "attempts");
            Some(draft.meets(limit, attempts))
        }
        None => Some(draft),
    }
}

/// A queue that feeds a function and has no redrive policy.
fn poison(look: &Look<'_>, (id, node): (NodeId, &Node), queue: &Queue) -> Option<Draft> {
    if !queue.redrive.is_default() || !queue.attempts_max.is_default() || keeps_failures(look, id) {
        return None;
    }
    let (edge_id, edge) = look.design.outgoing(id).find(|(_, edge)| {
        let reads = matches!(edge.via, Via::EventSource(_) | Via::PipeSource(_));
        reads && paths::carries(edge)
    })?;
    let reader = look.design.node(edge.to);
    if let Kind::Function(function) = &reader.kind
        && ignores(look, edge.to, function)
    {
        // FB0010 says it, with what was meant.
        return None;
    }
    let (name, reader) = (&node.name, &reader.name);
    let (kept_s, hidden_s) = (look.retention_s(queue)?, look.visibility_s(queue)?);
    let [kept, hidden] = [kept_s, hidden_s].map(|time| words::seconds(words::whole(time)));
    let behind = if queue.fifo { ", and its whole group waits behind it" } else { "" };
    let message = format!(
        "a message of {name} that {reader} can't handle comes back every {hidden}, until it is deleted after \
         {kept}{behind}"
    );
    let help = format!("give {name} a RedrivePolicy with a dead-letter queue and maxReceiveCount 5");
    let limit = match queue.retention_s.stated() {
        Some(stated) => {
            Some(Quantity::stated(format!("the retention of {name}"), words::whole(*stated), "s"))
        }
        None => look.limit(Limit::QueueRetentionDefault, format!("the retention of {name}")),
    };
    let draft = Draft::new(id, node.span, message, help)
        .rests_on([edge_id])
        .path(look.hop_pair(edge, "no dead letters", ""))
        .related(edge.span, "what reads it");
    let times = words::whole(kept_s.checked_div(hidden_s).unwrap_or(kept_s));
    let times = Quantity::stated("deliveries of one message at most", times, "attempts");
    match limit {
        Some(limit) => Some(draft.meets(limit, times)),
        None => Some(draft),
    }
}

/// Whether failed work of others ends in a queue: its own failures end there too.
pub(super) fn keeps_failures(look: &Look<'_>, queue: NodeId) -> bool {
    look.design
        .incoming(queue)
        .any(|(_, edge)| matches!(edge.via, Via::DeadLetters { .. } | Via::Destination(Destination::Failure)))
}

impl Rule for Ignored {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0010",
            title: "dead letters are set where nothing puts any",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0010.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, function) in look.design.functions() {
            if !ignores(look, id, function) {
                continue;
            }
            let queues = givers(look, id).queues;
            let Some((edge_id, edge)) = queues.first().copied() else { continue };
            let names: Vec<_> =
                queues.iter().map(|(_, edge)| look.design.node(edge.from).name.as_str()).collect();
            let (name, queues) = (&node.name, words::list(&names));
            let message = format!(
                "{name} gets its work from {queues} only, and its own dead letters are for asynchronous \
                 invocations: nothing ever arrives there, and {queues} keeps no failed messages"
            );
            let help =
                format!("set the RedrivePolicy of {queues} to the dead-letter queue, and take it off {name}");
            let span = kept(look, id, function).span().unwrap_or(node.span);
            let mut draft = Draft::new(id, span, message, help)
                .rests_on([edge_id])
                .path(look.hop_pair(edge, "no dead letters", "its dead letters stay empty"))
                .related(edge.span, "the event source");
            // What never has an effect can go without one.
            if let Some(edit) = fix::without(&look.design.files, span, &SETTINGS) {
                let title = format!("take the dead letters off {name}");
                draft = draft.fix(Fix { title, safe: true, edits: vec![edit] });
            }
            found.add(draft);
        }
    }
}

/// Each queue with the queue that its dead letters go to.
fn redrives<'a>(look: &Look<'a>) -> impl Iterator<Item = (EdgeId, &'a Edge, &'a Queue, &'a Queue)> {
    let design = look.design;
    design.edges().filter_map(move |(id, edge)| {
        match (&edge.via, &design.node(edge.from).kind, &design.node(edge.to).kind) {
            (Via::DeadLetters { .. }, Kind::Queue(from), Kind::Queue(to)) => Some((id, edge, from, to)),
            _ => None,
        }
    })
}

impl Rule for Expiring {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0011",
            title: "dead letters expire before their source",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0011.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        for (id, edge, from, to) in redrives(look) {
            let (Some(source_s), Some(dead_s)) = (look.retention_s(from), look.retention_s(to)) else {
                continue;
            };
            // A FIFO queue's dead letters begin a new age.
            if from.fifo || dead_s >= source_s {
                continue;
            }
            let (source, dead) = (look.design.node(edge.from), look.design.node(edge.to));
            let [keeps, dead_keeps] = [source_s, dead_s].map(|time| words::seconds(words::whole(time)));
            let default = if to.retention_s.is_default() { " (the default)" } else { "" };
            let message = format!(
                "a message keeps its age when it goes to {}, which deletes at {dead_keeps}{default}; {} keeps for \
                 {keeps}, so that what waited there too long is gone as soon as it is put aside",
                dead.name, source.name
            );
            let longest = look.profile.whole(Limit::QueueRetentionMax).unwrap_or(source_s);
            let help = format!("set MessageRetentionPeriod of {} to {longest}", dead.name);
            let span = to.retention_s.span().unwrap_or(dead.span);
            let of = |node: &Node| format!("the retention of {}", node.name);
            let draft = Draft::new(edge.to, span, message, help)
                .rests_on([id])
                .path(look.hop_pair(edge, format!("keeps {keeps}"), format!("keeps {dead_keeps}")))
                .meets(
                    Quantity::stated(of(dead), words::whole(dead_s), "s"),
                    Quantity::stated(of(source), words::whole(source_s), "s"),
                );
            found.add(draft);
        }
    }
}

impl Rule for Unread {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0012",
            title: "nobody reads the dead letters",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0012.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, queue) in look.design.queues() {
            let read = look.design.outgoing(id).any(|(_, edge)| !matches!(edge.via, Via::DeadLetters { .. }));
            if queue.watched || read || !keeps_failures(look, id) {
                continue;
            }
            let Some(kept_s) = look.retention_s(queue) else { continue };
            let (name, kept) = (&node.name, words::seconds(words::whole(kept_s)));
            let message = format!(
                "nothing in these files reads {name} or raises an alarm about it: what is put aside there is \
                 deleted after {kept}, and nobody knows"
            );
            let help = format!("raise an alarm on ApproximateNumberOfMessagesVisible of {name}");
            let mut draft = Draft::new(id, node.span, message, help);
            // Who looks at it may stand in files that are not here.
            if !look.given.account_complete {
                draft = draft.at_most(Severity::Advice);
            }
            found.add(draft);
        }
    }
}
