//! Events that a function's pollers fetch: event source mappings.

use super::{
    Lowering,
    function::{Event, Target},
    made::{At, Fields, given},
    role::Grants,
};
use crate::document::Tree;

/// What does not go into the mapping as it stands.
const OF_SAM: [&str; 13] = [
    "Queue",
    "Stream",
    "Broker",
    "Cluster",
    "KafkaBootstrapServers",
    "ConsumerGroupId",
    "SchemaRegistryConfig",
    "DestinationConfig",
    "SecretsManagerKmsKeyId",
    "DynamicPolicyName",
    "DatabaseName",
    "CollectionName",
    "FullDocument",
];

/// Makes the event source mapping of an event.
pub(super) fn mapping(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>, grants: &mut Grants) {
    let properties = event.properties;
    let (source, managed) = match event.kind {
        "SQS" => ("Queue", Some("service-role/AWSLambdaSQSQueueExecutionRole")),
        "Kinesis" => ("Stream", Some("service-role/AWSLambdaKinesisExecutionRole")),
        "DynamoDB" => ("Stream", Some("service-role/AWSLambdaDynamoDBExecutionRole")),
        "MSK" => ("Stream", Some("service-role/AWSLambdaMSKExecutionRole")),
        "MQ" => ("Broker", None),
        "DocumentDB" => ("Cluster", None),
        _ => ("KafkaBootstrapServers", None),
    };
    if event.needed(sam, source).is_none() {
        return;
    }
    if let Some(managed) = managed {
        grants.managed(event.at, managed);
    }
    secrets(properties, grants);
    let mut fields = Fields::new(event.at).put("FunctionName", target.name(event.at));
    fields = match event.kind {
        "SelfManagedKafka" => {
            let servers = Fields::new(event.at).take(properties, source, source).done();
            fields.put("SelfManagedEventSource", event.at.map([("Endpoints", servers)]))
        }
        _ => fields.take(properties, source, "EventSourceArn"),
    };
    fields = fields.rest(properties, &OF_SAM);
    if let Some(destination) = given(properties, "DestinationConfig") {
        fields = fields.put("DestinationConfig", destinations(destination, grants));
    }
    fields = configured(event, fields);
    sam.make(&target.origin, event.at, &event.id, "AWS::Lambda::EventSourceMapping", fields.done());
}

/// What is set of a broker or database, where the mapping has a map for it.
fn configured(event: &Event<'_>, fields: Fields) -> Fields {
    let (config, keys): (&str, &[&str]) = match event.kind {
        "MSK" => ("AmazonManagedKafkaEventSourceConfig", &["ConsumerGroupId", "SchemaRegistryConfig"]),
        "SelfManagedKafka" => {
            ("SelfManagedKafkaEventSourceConfig", &["ConsumerGroupId", "SchemaRegistryConfig"])
        }
        "DocumentDB" => ("DocumentDBEventSourceConfig", &["DatabaseName", "CollectionName", "FullDocument"]),
        _ => return fields,
    };
    if keys.iter().all(|key| given(event.properties, key).is_none()) {
        return fields;
    }
    let mut inner = Fields::new(event.at);
    for key in keys {
        inner = inner.take(event.properties, key, key);
    }
    fields.put(config, inner.done())
}

/// Where records go that failed: the target without SAM's `Type`, which becomes a grant.
fn destinations(config: &Tree, grants: &mut Grants) -> Tree {
    let at = At(config.span);
    let Some(failure) = given(config, "OnFailure") else { return config.clone() };
    if let Some(target) = given(failure, "Destination") {
        let action = match failure.get("Type").and_then(Tree::as_str) {
            Some("SQS") => Some("sqs:SendMessage"),
            Some("SNS") => Some("sns:Publish"),
            Some("S3") => Some("s3:PutObject"),
            _ => None,
        };
        if let Some(action) = action {
            grants.allow(At(target.span), action, target.clone());
        }
    }
    let plain = Fields::new(At(failure.span)).rest(failure, &["Type"]).done();
    Fields::new(at).rest(config, &["OnFailure"]).put("OnFailure", plain).done()
}

/// Secrets that pollers log in with.
fn secrets(properties: &Tree, grants: &mut Grants) {
    for access in given(properties, "SourceAccessConfigurations").map(Tree::items).unwrap_or_default() {
        let kind = access.get("Type").and_then(Tree::as_str).unwrap_or_default();
        let secret = kind.ends_with("_AUTH") || kind == "SERVER_ROOT_CA_CERTIFICATE";
        if let Some(uri) = given(access, "URI").filter(|_| secret) {
            grants.allow(At(access.span), "secretsmanager:GetSecretValue", uri.clone());
        }
    }
}
