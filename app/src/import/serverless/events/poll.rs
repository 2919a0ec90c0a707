//! What Lambda's pollers read: queues, streams, brokers.

use super::Event;
use crate::{
    document::Tree,
    import::serverless::{
        naming::{letters, normal, of_arn},
        service::Service,
        template::At,
    },
};

const MAPPING: &str = "AWS::Lambda::EventSourceMapping";

/// `filterPatterns` as `FilterCriteria`.
fn filters(event: &Event<'_>) -> Option<Tree> {
    let patterns = event.get("filterPatterns")?;
    let at = At(patterns.span);
    let filter = |pattern: &Tree| At(pattern.span).map([("Pattern", Some(pattern.clone()))]);
    let filters = patterns.items().iter().map(filter).collect();
    Some(at.map([("Filters", Some(at.list(filters)))]))
}

fn responses(event: &Event<'_>) -> Option<Tree> {
    event.get("functionResponseType").map(|one| At(one.span).list(vec![one.clone()]))
}

/// A queue; ten messages at once, where nothing states how many.
pub(super) fn queue(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let Some(arn) = event.get_or_self("arn").cloned() else { return };
    let concurrency = event.get("maximumConcurrency");
    let scaling = concurrency.map(|most| At(most.span).map([("MaximumConcurrency", Some(most.clone()))]));
    let id = format!("{}EventSourceMappingSQS{}", normal(event.function), letters(&of_arn(&arn, ':')));
    let properties = at.map([
        ("BatchSize", Some(event.copy("batchSize").unwrap_or(at.integer(10)))),
        ("MaximumBatchingWindowInSeconds", event.copy("maximumBatchingWindow")),
        ("EventSourceArn", Some(arn)),
        ("FunctionName", Some(event.target(service))),
        ("Enabled", Some(event.copy("enabled").unwrap_or(at.bool(true)))),
        ("FunctionResponseTypes", responses(event)),
        ("FilterCriteria", filters(event)),
        ("ScalingConfig", scaling),
    ]);
    event.add(service, &id, MAPPING, properties);
}

/// A stream; ten records at once, where nothing states how many.
pub(super) fn stream(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let Some(arn) = event.get_or_self("arn").cloned() else { return };
    let name = stream_name(&arn);
    let kind = match event.get("type").and_then(Tree::as_str) {
        Some(kind) => kind.to_string(),
        None => arn.as_str().and_then(|arn| arn.split(':').nth(2)).unwrap_or("").to_string(),
    };
    let source = consumer(service, event, &arn, &name, &kind).unwrap_or_else(|| arn.clone());
    let failure = event.own.at(&["destinations", "onFailure"]).map(|to| to.get("arn").unwrap_or(to));
    let destination = failure.map(|to| {
        let at = At(to.span);
        at.map([("OnFailure", Some(at.map([("Destination", Some(service.named(at, to)))])))])
    });
    let kind = super::super::naming::capital(&kind);
    let id = format!("{}EventSourceMapping{kind}{}", normal(event.function), letters(&name));
    let properties = at.map([
        ("BatchSize", Some(event.copy("batchSize").unwrap_or(at.integer(10)))),
        ("Enabled", Some(event.copy("enabled").unwrap_or(at.bool(true)))),
        ("EventSourceArn", Some(source)),
        ("FunctionName", Some(event.target(service))),
        ("ParallelizationFactor", event.copy("parallelizationFactor")),
        ("StartingPosition", Some(event.copy("startingPosition").unwrap_or(at.text("TRIM_HORIZON")))),
        ("MaximumBatchingWindowInSeconds", event.copy("batchWindow")),
        ("MaximumRetryAttempts", event.copy("maximumRetryAttempts")),
        ("BisectBatchOnFunctionError", event.copy("bisectBatchOnFunctionError")),
        ("FunctionResponseTypes", responses(event)),
        ("MaximumRecordAgeInSeconds", event.copy("maximumRecordAgeInSeconds")),
        ("TumblingWindowInSeconds", event.copy("tumblingWindowInSeconds")),
        ("DestinationConfig", destination),
        ("FilterCriteria", filters(event)),
    ]);
    event.add(service, &id, MAPPING, properties);
}

/// What a stream is called in logical ids: of a text, what stands behind the first slash.
fn stream_name(arn: &Tree) -> String {
    match arn.as_str() {
        Some(text) => text.split('/').nth(1).unwrap_or(text).to_string(),
        None => of_arn(arn, '/'),
    }
}

/// The registered consumer through which a stream is read, where the event asks for one.
fn consumer(service: &mut Service, event: &Event<'_>, arn: &Tree, name: &str, kind: &str) -> Option<Tree> {
    let consumer = event.get("consumer").filter(|is| is.as_bool() != Some(false) && kind == "kinesis")?;
    if consumer.as_bool() != Some(true) {
        return Some(consumer.clone());
    }
    let at = At(consumer.span);
    let consumer_name = format!("{}{name}Consumer", event.function);
    let id = format!("{}StreamConsumer", normal(&consumer_name));
    let properties =
        at.map([("StreamARN", Some(arn.clone())), ("ConsumerName", Some(at.text(&consumer_name)))]);
    event.add(service, &id, "AWS::Kinesis::StreamConsumer", properties);
    Some(at.reference(&id))
}

/// Kafka and message brokers.
pub(super) fn broker(service: &mut Service, kind: &str, event: &Event<'_>) {
    let at = event.at;
    let name = |key: &str, most: usize| {
        let text = event.get(key).and_then(Tree::as_str).unwrap_or("");
        letters(text).chars().take(most).collect::<String>()
    };
    let id = match kind {
        "msk" => {
            let cluster = event.get("arn").map(|arn| match arn.as_str() {
                Some(text) => text.split('/').nth(1).unwrap_or("").to_string(),
                None => of_arn(arn, '/'),
            });
            let cluster: String = letters(&cluster.unwrap_or_default()).chars().take(79).collect();
            format!("MSK{cluster}{}", name("topic", 79))
        }
        "kafka" => format!("Kafka{}", name("topic", 158)),
        "activemq" => format!("ActiveMQ{}", name("queue", 150)),
        _ => format!("RabbitMQ{}", name("queue", 150)),
    };
    let id = format!("{}EventSourceMapping{id}", normal(event.function));
    let list = |key: &str| event.get(key).map(|one| At(one.span).list(vec![one.clone()]));
    let servers = event.get("bootstrapServers").map(|servers| {
        let at = At(servers.span);
        let endpoints = at.map([("KafkaBootstrapServers", Some(servers.clone()))]);
        at.map([("Endpoints", Some(endpoints))])
    });
    let starts = matches!(kind, "msk" | "kafka").then(|| at.text("TRIM_HORIZON"));
    let properties = at.map([
        ("BatchSize", event.copy("batchSize")),
        ("MaximumBatchingWindowInSeconds", event.copy("maximumBatchingWindow")),
        ("EventSourceArn", event.copy("arn")),
        ("SelfManagedEventSource", servers),
        ("FunctionName", Some(event.target(service))),
        ("Enabled", event.copy("enabled")),
        ("StartingPosition", event.copy("startingPosition").or(starts)),
        ("Topics", list("topic")),
        ("Queues", list("queue")),
        ("FilterCriteria", filters(event)),
    ]);
    event.add(service, &id, MAPPING, properties);
}
