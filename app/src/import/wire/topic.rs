//! SNS: topics and who has subscribed.

use super::{
    Reached, Row, Wire,
    index::At,
    queue::{dead_letters, encryption, is_fifo},
    read,
};
use crate::{
    design::{Kind, Mode, NodeId, Subscription, Topic, Via},
    document::Tree,
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::SNS::Topic").node(topic).edges(own_subscriptions),
    Row::of("AWS::SNS::Subscription").edges(subscription),
];

fn topic(wire: &mut Wire<'_>, at: At) {
    let get = |key| wire.property(at, key);
    let topic = Topic {
        fifo: is_fifo(get("FifoTopic"), get("TopicName")),
        message_bytes_max: read::integer(get("MaximumMessageSize")),
        encryption: encryption(get("KmsMasterKeyId"), None, "alias/aws/sns"),
    };
    wire.add(at, Kind::Topic(topic));
}

fn own_subscriptions(wire: &mut Wire<'_>, at: At) {
    let Some(topic) = wire.node(at, None) else { return };
    for (number, subscription) in read::items(wire.property(at, "Subscription")).into_iter().enumerate() {
        wire.condition = subscription.condition;
        subscribe(wire, at, &topic.into(), subscription.tree, number);
    }
    wire.condition = None;
}

fn subscription(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let Some(arn) = properties.get("TopicArn") else { return };
    for topic in wire.reach(at, arn, "sns") {
        subscribe(wire, at, &topic, properties, 0);
        if let Some(policy) = properties.get("RedrivePolicy") {
            dead_letters(wire, at, topic.node, policy);
        }
    }
}

fn subscribe(wire: &mut Wire<'_>, at: At, topic: &Reached, of: &Tree, number: usize) {
    let protocol = of.get("Protocol").and_then(Tree::as_str).unwrap_or("").to_ascii_lowercase();
    let subscription = Subscription {
        protocol: protocol.clone(),
        raw: read::boolean(of.get("RawMessageDelivery")),
        filter: of.get("FilterPolicy").map(read::json),
        filters_body: of.get("FilterPolicyScope").and_then(Tree::as_str) == Some("MessageBody"),
        redrive: read::there(of.get("RedrivePolicy")),
    };
    let Some(endpoint) = of.get("Endpoint") else { return };
    let ends = match protocol.as_str() {
        "sqs" | "lambda" | "firehose" => wire.reach(at, endpoint, &protocol),
        _ => vec![outside(wire, at, (&protocol, number), endpoint).into()],
    };
    for to in ends {
        let via = Via::Subscription(Box::new(subscription.clone()));
        wire.wired(at, endpoint.span, topic, &to, (Mode::Async, via));
    }
}

/// Who is told outside of AWS: a node for each subscription.
fn outside(wire: &mut Wire<'_>, at: At, (protocol, number): (&str, usize), endpoint: &Tree) -> NodeId {
    let what = match protocol {
        "http" | "https" => "an HTTPS endpoint",
        "email" | "email-json" => "a mail address",
        "sms" => "a telephone number",
        "application" => "a mobile application",
        _ => "a subscriber of a kind that is not known",
    };
    let word = if protocol.is_empty() { "subscriber" } else { protocol };
    let of = wire.resource(at).id.clone();
    let name = if number == 0 { format!("{of} ({word})") } else { format!("{of} ({word} {})", number + 1) };
    let service = wire.stack_name(at);
    wire.outside(&format!("sns/{service}"), &name, what.into(), endpoint.span)
}
