//! S3: buckets and what they notify, as CloudFormation, CDK and the Serverless Framework say it.

use super::{Reached, Row, Wire, index::At, read, trigger};
use crate::{
    design::{Bucket, Kind, Mode, Notification, Setting, Via},
    document::{Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::S3::Bucket").node(bucket).edges(own),
    Row::of("Custom::S3BucketNotifications").edges(of_cdk),
    Row::of("Custom::S3").edges(of_serverless),
];

fn bucket(wire: &mut Wire<'_>, at: At) {
    wire.add(at, Kind::Bucket(Bucket { to_bus: false }));
}

fn own(wire: &mut Wire<'_>, at: At) {
    let (Some(node), Some(of)) = (wire.node(at, None), wire.property(at, "NotificationConfiguration")) else {
        return;
    };
    notifications(wire, at, &node.into(), of);
}

fn of_cdk(wire: &mut Wire<'_>, at: At) {
    trigger::custom_resource(wire, at);
    let properties = &wire.resource(at).properties;
    let (Some(name), Some(of)) = (properties.get("BucketName"), properties.get("NotificationConfiguration"))
    else {
        return;
    };
    for bucket in wire.reach(at, name, "s3") {
        notifications(wire, at, &bucket, of);
    }
}

/// A bucket that exists already: its name, the function's name, and the events.
fn of_serverless(wire: &mut Wire<'_>, at: At) {
    trigger::custom_resource(wire, at);
    let properties = &wire.resource(at).properties;
    let (Some(name), Some(function)) = (properties.get("BucketName"), properties.get("FunctionName")) else {
        return;
    };
    let configs = properties.get("BucketConfigs").map(Tree::one_or_many).unwrap_or_default();
    for bucket in wire.reach(at, name, "s3") {
        for config in configs {
            let rules = config.get("Rules").map(Tree::one_or_many).unwrap_or_default();
            let rule = |key: &str| read::text(rules.iter().find_map(|rule| rule.get(key)));
            let notification = Notification {
                events: read::texts(config.get("Event")),
                prefix: rule("Prefix"),
                suffix: rule("Suffix"),
            };
            for to in wire.reach(at, function, "lambda") {
                let via = Via::Notification(notification.clone());
                wire.wired(at, config.span, &bucket, &to, (Mode::Async, via));
            }
        }
    }
}

/// The lists of a configuration, with the keys under which an element names its target: CloudFormation's, then
/// those of the API, which CDK's custom resource has.
const LISTS: [(&str, [&str; 2], &str); 4] = [
    ("LambdaConfigurations", ["Function", "LambdaFunctionArn"], "lambda"),
    ("LambdaFunctionConfigurations", ["LambdaFunctionArn", "Function"], "lambda"),
    ("QueueConfigurations", ["Queue", "QueueArn"], "sqs"),
    ("TopicConfigurations", ["Topic", "TopicArn"], "sns"),
];

fn notifications(wire: &mut Wire<'_>, at: At, bucket: &Reached, of: &Tree) {
    if let Value::Unknown(unknown) = &of.value {
        for one in &unknown.one_of {
            notifications(wire, at, bucket, one);
        }
        if unknown.one_of.is_empty() {
            wire.unresolved(at, of.span, format!("its notifications are not known: {}", unknown.why));
        }
        return;
    }
    for (list, keys, service) in LISTS {
        for read::Item { tree: config, condition } in read::items(of.get(list)) {
            let Some(target) = keys.iter().find_map(|key| config.get(key)) else { continue };
            wire.condition = condition;
            let (prefix, suffix) = filter(config);
            let events = read::texts(config.get("Event").or_else(|| config.get("Events")));
            let notification = Notification { events, prefix, suffix };
            for to in wire.reach(at, target, service) {
                let via = Via::Notification(notification.clone());
                wire.wired(at, target.span, bucket, &to, (Mode::Async, via));
            }
        }
    }
    wire.condition = None;
    let Some(to_bus) = of.get("EventBridgeConfiguration") else { return };
    let off = to_bus.get("EventBridgeEnabled").and_then(Tree::as_bool) == Some(false);
    if off || to_bus.value == Value::Null {
        return;
    }
    if let Kind::Bucket(bucket) = &mut wire.design.node_mut(bucket.node).kind {
        bucket.to_bus = true;
    }
    let bus = wire.default_bus(to_bus.span);
    let via = Via::Notification(Notification { events: vec!["s3:*".into()], ..Notification::default() });
    wire.wired(at, to_bus.span, bucket, &bus.into(), (Mode::Async, via));
}

/// The prefix and the suffix of a notification's filter.
fn filter(config: &Tree) -> (Setting<String>, Setting<String>) {
    let rules = config.at(&["Filter", "S3Key", "Rules"]);
    let rules = rules.or_else(|| config.at(&["Filter", "Key", "FilterRules"]));
    let rules = rules.map(Tree::one_or_many).unwrap_or_default();
    let value = |name: &str| {
        let names = |rule: &&Tree| {
            rule.get("Name").and_then(Tree::as_str).is_some_and(|text| text.eq_ignore_ascii_case(name))
        };
        read::text(rules.iter().find(names).and_then(|rule| rule.get("Value")))
    };
    (value("prefix"), value("suffix"))
}
