//! Events that a service hands to a function.

use std::collections::BTreeSet;

use super::{
    Lowering,
    function::{Event, Target, entry},
    made::{At, Fields, given, inner},
    polled,
    role::{Grants, statement},
};
use crate::{
    document::{Entry, Tree, Value},
    import::Resource,
};

/// Lets a service invoke the target.
pub(super) fn permission(
    sam: &mut Lowering<'_>,
    target: &Target,
    at: At,
    made: (&str, &str),
    source: Option<Tree>,
) {
    let (id, principal) = made;
    let fields = Fields::new(at)
        .put("Action", at.text("lambda:InvokeFunction"))
        .put("FunctionName", target.name(at))
        .put("Principal", at.text(principal))
        .put_some("SourceArn", source);
    sam.make(&target.origin, at, id, "AWS::Lambda::Permission", fields.done());
}

/// The id of a resource of this template that a property names, of one type.
fn named<'t>(sam: &mut Lowering<'_>, event: &Event<'t>, key: &str, wanted: &str) -> Option<&'t str> {
    let value = event.needed(sam, key)?;
    let id = value.reference().filter(|reference| reference.attribute.is_none());
    let id = id.map(|reference| reference.resource.as_str());
    let id = id.filter(|id| sam.own_type(id) == Some(wanted));
    if id.is_some() || matches!(value.value, Value::Unknown(_)) {
        return id;
    }
    let message =
        format!("`{key}` of an event of type `{}` must be a `{wanted}` of this template", event.kind);
    sam.wrong(value.span, &message);
    None
}

/// `S3`: the notification goes into the bucket.
pub(super) fn bucket(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    let Some(bucket) = named(sam, event, "Bucket", "AWS::S3::Bucket") else { return };
    let Some(kinds) = event.needed(sam, "Events") else { return };
    permission(sam, target, event.at, (&format!("{}Permission", event.id), "s3.amazonaws.com"), None);
    let added = kinds.one_or_many().iter().map(|kind| {
        Fields::new(event.at)
            .put("Event", kind.clone())
            .put("Function", target.arn(event.at))
            .take(event.properties, "Filter", "Filter")
            .done()
    });
    sam.notifications.entry(bucket.to_string()).or_default().extend(added);
}

/// Adds notifications to a bucket.
pub(super) fn notify(bucket: &mut Resource, added: Vec<Tree>) {
    let at = At(bucket.span);
    let Some(config) = inner(&mut bucket.properties, at, "NotificationConfiguration") else { return };
    let Some(list) = inner(config, at, "LambdaConfigurations") else { return };
    match &mut list.value {
        Value::List(items) => items.extend(added),
        Value::Map(entries) if entries.is_empty() => list.value = Value::List(added),
        _ => {}
    }
}

/// Adds triggers to a user pool.
pub(super) fn trigger(pool: &mut Resource, added: Vec<Entry>) {
    let at = At(pool.span);
    let Some(config) = inner(&mut pool.properties, at, "LambdaConfig") else { return };
    if let Value::Map(entries) = &mut config.value {
        let mut seen: BTreeSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        entries.extend(added.into_iter().filter(|entry| seen.insert(entry.key.clone())));
    }
}

/// `SNS`: a subscription of the function, or of a queue that it polls.
pub(super) fn topic(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>, grants: &mut Grants) {
    let Some(topic) = event.needed(sam, "Topic") else { return };
    let queue = given(event.properties, "SqsSubscription").filter(|queue| queue.as_bool() != Some(false));
    let Some(queue) = queue else {
        let id = format!("{}Permission", event.id);
        permission(sam, target, event.at, (&id, "sns.amazonaws.com"), Some(topic.clone()));
        subscription(sam, target, event, "lambda", target.arn(event.at));
        return;
    };
    let id = format!("{}Queue", event.id);
    let (arn, url) = match queue.value {
        Value::Map(_) => (given(queue, "QueueArn").cloned(), given(queue, "QueueUrl").cloned()),
        _ => (Some(event.at.attribute(&id, "Arn")), Some(event.at.reference(&id))),
    };
    let (Some(arn), Some(url)) = (arn, url) else {
        sam.wrong(queue.span, "`SqsSubscription` needs `QueueArn` and `QueueUrl`");
        return;
    };
    let at = At(queue.span);
    // AWS takes `BatchSize` and `Enabled` from here, and 10 where nothing is said.
    let properties = Fields::new(at)
        .put("Queue", arn.clone())
        .put("BatchSize", given(queue, "BatchSize").cloned().unwrap_or_else(|| at.integer(10)))
        .put("Enabled", given(queue, "Enabled").cloned().unwrap_or_else(|| at.boolean(true)))
        .done();
    let mapping = Event {
        id: format!("{}EventSourceMapping", event.id),
        at: event.at,
        kind: "SQS",
        properties: &properties,
    };
    polled::mapping(sam, target, &mapping, grants);
    if !matches!(queue.value, Value::Map(_)) {
        let fifo = topic.reference().is_some_and(|id| sam.own.get(&id.resource).is_some_and(|own| own.fifo));
        let properties = match fifo {
            true => event.at.map([("FifoQueue", event.at.boolean(true))]),
            false => event.at.map([]),
        };
        sam.make(&target.origin, event.at, &id, "AWS::SQS::Queue", properties);
    }
    let policy = given(queue, "QueuePolicyLogicalId").and_then(Tree::as_str).map(str::to_string);
    let policy = policy.unwrap_or_else(|| format!("{}QueuePolicy", event.id));
    may_send(sam, target, event.at, (&policy, None), (arn.clone(), url, topic.clone()));
    subscription(sam, target, event, "sqs", arn);
}

fn subscription(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>, protocol: &str, endpoint: Tree) {
    let mut fields = Fields::new(event.at)
        .put("Protocol", event.at.text(protocol))
        .put("Endpoint", endpoint)
        .take(event.properties, "Topic", "TopicArn");
    for key in ["Region", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy"] {
        fields = fields.take(event.properties, key, key);
    }
    sam.make(&target.origin, event.at, &event.id, "AWS::SNS::Subscription", fields.done());
}

/// Lets a topic or rule send to a queue: its policy's id with the service, then queue's ARN, its URL, the source.
pub(super) fn may_send(
    sam: &mut Lowering<'_>,
    target: &Target,
    at: At,
    made: (&str, Option<&str>),
    (arn, url, source): (Tree, Tree, Tree),
) {
    let principal = match made.1 {
        Some(service) => at.map([("Service", at.text(service))]),
        None => at.text("*"),
    };
    let condition = at.map([("ArnEquals", at.map([("aws:SourceArn", source)]))]);
    let mut allow = statement(at, &["sqs:SendMessage"], vec![arn]);
    if let Value::Map(entries) = &mut allow.value {
        entries.push(at.entry("Principal", principal));
        entries.push(at.entry("Condition", condition));
    }
    let document = at.map([("Statement", at.list(vec![allow]))]);
    let properties = at.map([("PolicyDocument", document), ("Queues", at.list(vec![url]))]);
    sam.make(&target.origin, at, made.0, "AWS::SQS::QueuePolicy", properties);
}

/// `CloudWatchLogs`.
pub(super) fn logs(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    if event.needed(sam, "LogGroupName").is_none() {
        return;
    }
    permission(sam, target, event.at, (&format!("{}Permission", event.id), "logs.amazonaws.com"), None);
    let fields =
        Fields::new(event.at).rest(event.properties, &[]).put("DestinationArn", target.arn(event.at));
    sam.make(&target.origin, event.at, &event.id, "AWS::Logs::SubscriptionFilter", fields.done());
}

/// `IoTRule`.
pub(super) fn iot(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    let at = event.at;
    permission(sam, target, at, (&format!("{}Permission", event.id), "iot.amazonaws.com"), None);
    let action = at.map([("Lambda", at.map([("FunctionArn", target.arn(at))]))]);
    let payload = Fields::new(at).rest(event.properties, &[]).put("Actions", at.list(vec![action])).done();
    let properties = at.map([("TopicRulePayload", payload)]);
    sam.make(&target.origin, at, &event.id, "AWS::IoT::TopicRule", properties);
}

/// `AlexaSkill`.
pub(super) fn alexa(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    permission(sam, target, event.at, (&format!("{}Permission", event.id), "alexa-appkit.amazon.com"), None);
}

/// `Cognito`: the trigger goes into the user pool.
pub(super) fn cognito(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    let Some(pool) = named(sam, event, "UserPool", "AWS::Cognito::UserPool") else { return };
    let Some(trigger) = entry(event.properties, "Trigger") else {
        sam.wrong(event.at.0, "an event of type `Cognito` needs `Trigger`");
        return;
    };
    // One for all of a function's pools.
    let owner = target.alias.as_ref().unwrap_or(&target.origin.id);
    let id = format!("{owner}CognitoPermission");
    if sam.shared.insert(id.clone(), 0).is_none() {
        let source = event.at.attribute(pool, "Arn");
        permission(sam, target, event.at, (&id, "cognito-idp.amazonaws.com"), Some(source));
    }
    let kinds = trigger.value.one_or_many().iter().filter_map(|kind| Some((kind.as_str()?, At(kind.span))));
    let added = kinds.map(|(kind, at)| at.entry(kind, target.arn(at)));
    sam.triggers.entry(pool.to_string()).or_default().extend(added);
}
