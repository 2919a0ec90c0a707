//! What a queue takes, and from whom.

use std::collections::BTreeMap;

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::number, words},
    design::{Edge, EdgeId, Encryption, Kind, NodeId, Queue, Via},
    document::{Span, Tree, Value},
    profile::Limit,
};

/// FB0021: a topic or rule into a queue that does not let it.
pub(super) struct Policy;

/// FB0022: a standard topic into a FIFO queue.
pub(super) struct Fifo;

/// FB0026: more than a FIFO queue or one of its groups takes.
pub(super) struct Groups;

/// An edge along which a service sends.
type Sending<'a> = (EdgeId, &'a Edge);

/// What one policy mends: a queue, whether it gets dead letters, and the service that sends.
type Mended<'a> = (NodeId, bool, &'a str);

/// Senders of a finding whose places are told.
const RELATED_MAX: usize = 20;

/// The service that sends by itself along an edge, where the queue's policy must let it.
fn sender(look: &Look<'_>, edge: &Edge) -> Option<&'static str> {
    let from = look.design.node(edge.from);
    match &edge.via {
        Via::Subscription(_) => Some("sns.amazonaws.com"),
        Via::Notification(_) if matches!(from.kind, Kind::Bucket(_)) => Some("s3.amazonaws.com"),
        // The scheduler and pipes have a role of their own.
        Via::Target(target) if !target.role && from.resource_type == "AWS::Events::Rule" => {
            Some("events.amazonaws.com")
        }
        Via::DeadLetters { .. } => match &from.kind {
            Kind::Topic(_) => Some("sns.amazonaws.com"),
            Kind::Rule(_) if from.resource_type == "AWS::Events::Rule" => Some("events.amazonaws.com"),
            _ => None,
        },
        _ => None,
    }
}

impl Rule for Policy {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0021",
            title: "queue that does not let its topic or rule send",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0021.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        // What one policy mends is one finding: all senders of a service, and those of dead letters apart.
        let mut senders: BTreeMap<Mended<'_>, Vec<Sending<'_>>> = BTreeMap::new();
        for (id, edge) in look.design.edges() {
            let kind = &look.design.node(edge.to).kind;
            let Some(service) = sender(look, edge) else { continue };
            let closed = match kind {
                Kind::Queue(queue) => key_of_aws(kind).is_some() || not_let(look, edge, queue, service),
                // Of other services nobody has shown it.
                Kind::Topic(_) => service == "events.amazonaws.com" && key_of_aws(kind).is_some(),
                _ => false,
            };
            if closed {
                senders.entry((edge.to, is_dead(edge), service)).or_default().push((id, edge));
            }
        }
        for ((_, _, service), edges) in senders {
            if let Some(draft) = draft(look, service, &edges) {
                found.add(draft);
            }
        }
    }
}

/// The alias of the key that AWS manages, and where it is stated, for a queue or topic that is encrypted with it.
fn key_of_aws(kind: &Kind) -> Option<(&'static str, Option<Span>)> {
    let (encryption, alias) = match kind {
        Kind::Queue(queue) => (&queue.encryption, "alias/aws/sqs"),
        Kind::Topic(topic) => (&topic.encryption, "alias/aws/sns"),
        _ => return None,
    };
    let managed = encryption.stated() == Some(&Encryption::AwsManagedKey);
    managed.then_some((alias, encryption.span()))
}

fn is_dead(edge: &Edge) -> bool {
    matches!(edge.via, Via::DeadLetters { .. })
}

fn lost(edge: &Edge, service: &str) -> &'static str {
    match (is_dead(edge), service) {
        (true, _) => "dead letters are dropped",
        (_, "s3.amazonaws.com") => "AWS rejects the notification",
        _ => "messages are dropped",
    }
}

fn draft(look: &Look<'_>, service: &str, edges: &[Sending<'_>]) -> Option<Draft> {
    let (_, first) = edges.first()?;
    let kind = &look.design.node(first.to).kind;
    let draft = match (key_of_aws(kind), kind) {
        (Some(key), _) => managed_key(look, edges, key, service)?,
        (None, Kind::Queue(queue)) => no_policy(look, edges, queue, service)?,
        _ => return None,
    };
    let draft = edges.iter().take(RELATED_MAX).fold(draft, |draft, (_, edge)| {
        draft.related(edge.span, format!("{} sends to it", look.design.node(edge.from).name))
    });
    // Dead letters are there for a fault: without one nothing is lost.
    Some(if is_dead(first) { draft.at_most(Severity::Warning) } else { draft })
}

/// Who sends: the one, or the first and how many more.
fn froms(look: &Look<'_>, edges: &[Sending<'_>]) -> String {
    let mut names: Vec<&str> =
        edges.iter().map(|(_, edge)| look.design.node(edge.from).name.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [one] => format!("{one} sends"),
        names => format!("{} send", words::list(names)),
    }
}

fn managed_key(
    look: &Look<'_>,
    edges: &[Sending<'_>],
    (alias, stated): (&'static str, Option<Span>),
    service: &str,
) -> Option<Draft> {
    let (id, edge) = edges.first()?;
    let to = look.design.node(edge.to);
    let message = format!(
        "{} is encrypted with the key that AWS manages ({alias}), which {service} may not use: {} that {} to it",
        to.name,
        lost(edge, service),
        froms(look, edges)
    );
    let instead = match to.kind {
        Kind::Queue(_) => "set SqsManagedSseEnabled: true instead of KmsMasterKeyId",
        _ => "leave KmsMasterKeyId out",
    };
    let help = format!(
        "{instead}, or use a key of your own whose policy lets {service} use kms:GenerateDataKey and kms:Decrypt"
    );
    let path = look.hop_pair(edge, "", alias);
    Some(Draft::new(edge.to, stated.unwrap_or(to.span), message, help).rests_on([*id]).path(path))
}

/// Whether no policy of a queue lets a service send. One of another stack, or for queues not known, could let it.
fn not_let(look: &Look<'_>, edge: &Edge, queue: &Queue, service: &str) -> bool {
    let [from, to] = [edge.from, edge.to].map(|id| look.design.node(id));
    let all_known = !queue.policies_unknown && from.stack == to.stack;
    all_known && !queue.policies.iter().any(|statement| may_let(statement, service))
}

fn no_policy(look: &Look<'_>, edges: &[Sending<'_>], queue: &Queue, service: &str) -> Option<Draft> {
    let (id, edge) = edges.first()?;
    let [from, to] = [edge.from, edge.to].map(|id| look.design.node(id));
    let why = if queue.policies.is_empty() { "has no policy" } else { "has a policy that does not name it" };
    let message = format!(
        "{} {why}, so {service} may not send to it: {} that {}",
        to.name,
        lost(edge, service),
        froms(look, edges)
    );
    let of_whom = if edges.len() == 1 { from.name.as_str() } else { "each of them" };
    let help = format!(
        "add an AWS::SQS::QueuePolicy for {} that allows sqs:SendMessage to {service} for the ARN of {of_whom}",
        to.name
    );
    let path = look.hop_pair(edge, "", "no policy");
    Some(Draft::new(edge.to, to.span, message, help).rests_on([*id]).path(path))
}

/// Whether a statement may allow a service to send; what is not known may.
fn may_let(statement: &Tree, service: &str) -> bool {
    if !matches!(statement.value, Value::Map(_)) {
        return true;
    }
    let allows = statement.get("Effect").and_then(Tree::as_str).is_none_or(|effect| effect != "Deny");
    let sends = match statement.get("Action") {
        Some(actions) => actions.one_or_many().iter().any(|action| match action.as_str() {
            Some(action) => {
                let action = action.to_ascii_lowercase();
                let stem = action.trim_end_matches('*');
                action == "sqs:sendmessage" || (action.ends_with('*') && "sqs:sendmessage".starts_with(stem))
            }
            None => true,
        }),
        None => true,
    };
    let named = match statement.get("Principal") {
        Some(principal) => match &principal.value {
            Value::Text(text) => text == "*",
            Value::Map(entries) => entries.iter().any(|entry| {
                entry.value.one_or_many().iter().any(|who| match who.as_str() {
                    Some("*") => true,
                    Some(who) => entry.key == "Service" && who == service,
                    None => entry.key == "Service" || !matches!(who.value, Value::Reference(_)),
                })
            }),
            _ => true,
        },
        None => true,
    };
    allows && sends && named
}

impl Rule for Fifo {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0022",
            title: "standard topic into a FIFO queue",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0022.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, edge) in look.design.edges() {
            let [from, to] = [edge.from, edge.to].map(|id| look.design.node(id));
            let Kind::Queue(Queue { fifo: true, .. }) = &to.kind else { continue };
            let (from_name, to_name) = (&from.name, &to.name);
            let (message, help) = match (&edge.via, &from.kind) {
                (Via::Subscription(_), Kind::Topic(topic)) if !topic.fifo => (
                    format!(
                        "AWS rejects the subscription: {to_name} is a FIFO queue and {from_name} is a \
                         standard topic, which keeps no order"
                    ),
                    format!("set FifoTopic: true on {from_name}, or make {to_name} a standard queue"),
                ),
                (Via::Notification(_), Kind::Bucket(_)) => (
                    format!(
                        "AWS rejects the notification: {from_name} can't send to {to_name}, a FIFO queue"
                    ),
                    format!(
                        "make {to_name} a standard queue, or send through EventBridge with a MessageGroupId"
                    ),
                ),
                (Via::Target(target), _)
                    if !target.message_group && from.resource_type == "AWS::Events::Rule" =>
                {
                    (
                        format!(
                            "AWS rejects the target: {to_name} is a FIFO queue, and {from_name} names no \
                             message group"
                        ),
                        "set SqsParameters.MessageGroupId of the target".to_string(),
                    )
                }
                _ => continue,
            };
            found.add(
                Draft::new(edge.to, edge.span, message, help)
                    .rests_on([id])
                    .path(look.hop_pair(edge, "standard", "FIFO"))
                    .related(to.span, format!("{to_name} is a FIFO queue")),
            );
        }
    }
}

impl Rule for Groups {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0026",
            title: "more than a FIFO queue or its one group takes",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0026.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, queue) in look.design.queues().filter(|(_, _, queue)| queue.fifo) {
            let stated = look.traffic(id).and_then(|traffic| traffic.peak_per_s);
            if let Some(rate) = stated
                && queue.high_throughput.or(false) == Some(false)
            {
                queue_rate(look, id, rate, found);
            }
            let groups = look.design.incoming(id).find(|(_, edge)| {
                matches!(&edge.via, Via::Target(target) if target.message_group)
                    && look.design.node(edge.from).resource_type == "AWS::Events::Rule"
            });
            let Some((edge_id, edge)) = groups else { continue };
            let rate = look.traffic(edge.from).and_then(|traffic| traffic.peak_per_s).or(stated);
            let reader = look.design.outgoing(id).find_map(|(reader_id, reader)| match &reader.via {
                Via::EventSource(source) => Some((reader_id, reader, source)),
                _ => None,
            });
            let (Some(rate), Some((reader_id, reader, source))) = (rate, reader) else { continue };
            let Some(run_s) = look.traffic(reader.to).and_then(|traffic| traffic.p50_ms) else { continue };
            let Some(batch) = look.queue_batch(source) else { continue };
            let takes = 1_000.0 * number(batch) / run_s.max(1.0);
            if rate <= takes {
                continue;
            }
            let to = &look.design.node(reader.to).name;
            let [rate_said, takes_said] = [rate, takes].map(words::decimal);
            let message = format!(
                "{} puts all events into one message group of {}, so that {to} runs one batch at a time: \
                 {rate_said}/s come and {takes_said}/s are taken ({batch} in {} s)",
                look.design.node(edge.from).name,
                node.name,
                words::decimal(run_s / 1_000.0)
            );
            let help =
                "use a standard queue, or send through a pipe, whose MessageGroupId can come from the event"
                    .into();
            found.add(
                Draft::new(id, edge.span, message, help)
                    .rests_on([edge_id, reader_id])
                    .path(look.hops(&[edge_id, reader_id], |_| String::new()))
                    .meets(
                        Quantity::stated(format!("what {to} takes of one group"), takes, "messages/s"),
                        Quantity::stated("what comes", rate, "messages/s"),
                    ),
            );
        }
    }
}

fn queue_rate(look: &Look<'_>, id: crate::design::NodeId, rate: f64, found: &mut Found<'_>) {
    let [single, batched] = [Limit::QueueFifoPerS, Limit::QueueFifoBatchedPerS];
    let (Some(singly), Some(in_batches)) = (look.profile.value(single), look.profile.value(batched)) else {
        return;
    };
    if rate <= singly {
        return;
    }
    let node = look.design.node(id);
    let limit = if rate > in_batches { batched } else { single };
    let [rate_said, singly, in_batches_said] = [rate, singly, in_batches].map(words::decimal);
    let message = format!(
        "{rate_said} messages/s are stated for {}, and a FIFO queue takes {singly} calls/s, or \
         {in_batches_said} messages/s ten at a time",
        node.name
    );
    let help = "set FifoThroughputLimit: perMessageGroupId and DeduplicationScope: messageGroup".into();
    let Some(quantity) = look.limit(limit, "what a FIFO queue takes") else { return };
    let mut draft = Draft::new(id, node.span, message, help)
        .meets(quantity, Quantity::stated("what comes", rate, "messages/s"));
    if rate <= in_batches {
        draft = draft.assuming("senders send one message at a time");
    }
    found.add(draft);
}
