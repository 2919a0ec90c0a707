//! Work that comes back to where it came from.

use crate::{
    check::{
        About, Draft, Found, Look, Quantity, Rule as CheckRule, Severity,
        paths::{self, Cycle, Step, Steps},
        words,
    },
    design::{Access, Design, Edge, EdgeId, Evidence, Kind, NodeId, Notification, Rule, Via},
    document::{Tree, Value},
    profile::Limit,
};

/// FB0014: events go round in a circle.
pub(super) struct Cycles;

/// Steps through buses and buckets: what keeps a design with many of them near linear.
const PAIRS_MAX: usize = 200_000;

impl CheckRule for Cycles {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0014",
            title: "events go round in a circle",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0014.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let steps = steps(look.design);
        for cycle in paths::cycles(&steps) {
            if let Some(draft) = draft(look, &steps, &cycle) {
                found.add(draft);
            }
        }
    }
}

/// What work can go along. Where a node passes on only some of what it gets, the way through it is one step, and is
/// there only where what is sent is known to be what is passed on.
fn steps(design: &Design) -> Steps {
    let mut steps = Steps::new(design);
    let mut pairs = PAIRS_MAX;
    for (id, edge) in design.edges().filter(|(_, edge)| paths::gives_work(edge)) {
        let sure = matches!(edge.evidence, Evidence::Declared | Evidence::Observed);
        // Which of its routes is called, nothing says; what is sent to a WebSocket goes to who is connected.
        if matches!(design.node(edge.to).kind, Kind::Api(_)) && !sure {
            continue;
        }
        let Via::Access(access) = &edge.via else {
            // What a rule hands on to a bus, or a state machine puts there, has a source that no file states.
            if matches!(design.node(edge.to).kind, Kind::Bus(_)) && !sure {
                continue;
            }
            steps.add(edge.from, Step { edges: vec![id], to: edge.to });
            continue;
        };
        match &design.node(edge.to).kind {
            // A grant to write says nothing about which items are written, nor whether the stream's reader
            // writes again.
            Kind::Table(_) | Kind::Stream(_) if !sure => {}
            Kind::Bus(_) | Kind::Bucket(_) => {
                for (next_id, next) in design.outgoing(edge.to) {
                    pairs = pairs.saturating_sub(1);
                    if pairs > 0 && paths::gives_work(next) && passes(design, access, next) {
                        steps.add(edge.from, Step { edges: vec![id, next_id], to: next.to });
                    }
                }
            }
            _ => steps.add(edge.from, Step { edges: vec![id], to: edge.to }),
        }
    }
    steps
}

/// Whether what a function sends to a bus or writes to a bucket goes on along `next`.
fn passes(design: &Design, access: &Access, next: &Edge) -> bool {
    match (&next.via, &design.node(next.to).kind) {
        (Via::Matches, Kind::Rule(rule)) => meets(access, rule),
        (Via::Notification(notification), Kind::Bus(_)) => {
            // What the bus passes on of a bucket's events is up to its rules.
            let _ = notification;
            false
        }
        (Via::Notification(notification), _) => tells_of_writes(access, notification),
        _ => false,
    }
}

fn tells_of_writes(access: &Access, notification: &Notification) -> bool {
    let has = |prefix: &str| access.actions.iter().any(|action| action.starts_with(prefix));
    notification.events.iter().any(|event| {
        let event = event.trim_start_matches("s3:");
        event.starts_with("ObjectCreated") && has("s3:Put")
            || event.starts_with("ObjectRemoved") && has("s3:Delete")
    })
}

/// Whether a source and a detail-type that a function is known to emit meet a rule's pattern, and nothing else in
/// the pattern could keep the event out.
fn meets(access: &Access, rule: &Rule) -> bool {
    let Some(pattern) = &rule.pattern else { return false };
    let known = !access.sources.is_empty();
    known
        && pattern.entries().iter().all(|entry| match entry.key.as_str() {
            "source" => has_one(&entry.value, &access.sources),
            "detail-type" => has_one(&entry.value, &access.detail_types),
            // What else stands in the event, no file says.
            "account" | "region" | "version" => true,
            _ => false,
        })
}

fn has_one(allowed: &Tree, emitted: &[String]) -> bool {
    allowed.items().iter().any(|one| match &one.value {
        Value::Text(text) => emitted.iter().any(|emitted| emitted == text),
        _ => one
            .get("prefix")
            .and_then(Tree::as_str)
            .is_some_and(|prefix| emitted.iter().any(|emitted| emitted.starts_with(prefix))),
    })
}

/// What can end the circle that no file decides.
fn doubts(design: &Design, way: &[EdgeId]) -> Vec<String> {
    let mut doubts = Vec::new();
    for edge in way.iter().map(|edge| design.edge(*edge)) {
        let to = &design.node(edge.to).name;
        match &edge.via {
            Via::Subscription(subscription) if subscription.filter.is_some() => {
                doubts.push(format!("what comes round passes the filter of the subscription of {to}"));
            }
            Via::EventSource(source) | Via::PipeSource(source) if !source.filters.is_empty() => {
                doubts.push(format!("what comes round passes the filter of the event source of {to}"));
            }
            Via::Access(access) if access.reads && access.variable.is_some() => {
                doubts
                    .push(format!("the variable that names {to} is there for writing, not only for reading"));
            }
            Via::Notification(of) if !of.prefix.is_default() || !of.suffix.is_default() => {
                doubts.push(format!("what is written has a name of which {to} is notified"));
            }
            _ => {}
        }
        if let Some(condition) = edge.conditional.as_ref() {
            doubts.push(format!("the condition {condition} holds"));
        }
    }
    doubts
}

/// Whether AWS's recursion stop sees every hop: it follows functions, queues, topics and buckets.
fn is_seen(design: &Design, way: &[EdgeId]) -> Result<(), String> {
    let mut functions = 0;
    for edge in way.iter().map(|edge| design.edge(*edge)) {
        let node = design.node(edge.to);
        match &node.kind {
            Kind::Function(function) if function.recursion_allowed => {
                return Err(format!("{} has RecursiveLoop: Allow", node.name));
            }
            Kind::Function(_) => functions += 1,
            Kind::Queue(_) | Kind::Topic(_) | Kind::Bucket(_) => {}
            other => return Err(format!("{} is a {}", node.name, words::kind(other))),
        }
    }
    if functions > 0 { Ok(()) } else { Err("no function is on the way".to_string()) }
}

/// How many come back for one that goes out, when each node sends one for one: what fans out inside the group
/// multiplies.
fn gain(look: &Look<'_>, steps: &Steps, cycle: &Cycle) -> f64 {
    let fans_out =
        |node: NodeId| matches!(look.design.node(node).kind, Kind::Topic(_) | Kind::Bus(_) | Kind::Bucket(_));
    let froms = cycle.way.iter().map(|edge| look.design.edge(*edge).from);
    let ways = froms.filter(|from| fans_out(*from)).map(|from| {
        let inside = |step: &&Step| cycle.group.binary_search(&step.to).is_ok();
        words::whole(i64::try_from(steps.from(from).iter().filter(inside).count()).unwrap_or(1).max(1))
    });
    ways.product()
}

fn draft(look: &Look<'_>, steps: &Steps, cycle: &Cycle) -> Option<Draft> {
    let design = look.design;
    let first = design.edge(*cycle.way.first()?);
    // The place to change is where code sends, if it does.
    let sends =
        cycle.way.iter().map(|edge| design.edge(*edge)).find(|edge| matches!(edge.via, Via::Access(_)));
    let at = sends.unwrap_or(first);
    let names: Vec<&str> = std::iter::once(first.from)
        .chain(cycle.way.iter().map(|edge| design.edge(*edge).to))
        .map(|id| design.node(id).name.as_str())
        .collect();
    let gain = gain(look, steps, cycle);
    let grows = match gain {
        gain if gain > 1.0 => format!("each becomes {} with every round", words::decimal(gain)),
        _ => "with one sent for each received it never ends, and with two it doubles every round".to_string(),
    };
    let stop = match (look.is_aws(), is_seen(design, &cycle.way)) {
        (false, _) => {
            let hops = look.profile.whole(Limit::LambdaRecursionHopsMax)?;
            format!("the hop budget stops it after {hops} functions")
        }
        (true, Ok(())) => {
            let hops = look.profile.whole(Limit::LambdaRecursionHopsMax)?;
            format!(
                "AWS stops it after about {hops} rounds, and what was on its way is lost or dead-lettered"
            )
        }
        (true, Err(why)) => format!("AWS's recursion stop does not see it: {why}"),
    };
    let way = match names.as_slice() {
        [one, other] if one == other => format!("{one} gives work to itself"),
        _ => format!("events go round {}", names.join(" → ")),
    };
    let message = format!("{way}; {grows}; {stop}");
    let sender = &design.node(at.from).name;
    let help = format!(
        "let {sender} send somewhere else, or have it count rounds in the message and give up; if it is meant, say \
         so with a suppression"
    );
    let limit =
        look.limit(Limit::LambdaRecursionHopsMax, "rounds until recursion is stopped, where it is seen");
    let path = look.hops(&cycle.way, |_| String::new());
    let mut draft =
        Draft::new(at.from, at.span, message, help).rests_on(cycle.way.iter().copied()).path(path);
    if let Some(limit) = limit {
        draft = draft.meets(limit, Quantity::stated("events out for one in", gain, ""));
    }
    for doubt in doubts(design, &cycle.way) {
        draft = draft.assuming(doubt);
    }
    Some(draft)
}
