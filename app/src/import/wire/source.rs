//! Event source mappings: queues, streams and brokers into functions.

use super::{Reached, Row, Wire, index::At, read};
use crate::{
    design::{EventSource, Mode, Setting, Via},
    document::{Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[Row::of("AWS::Lambda::EventSourceMapping").edges(mapping)];

fn mapping(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let Some(function) = properties.get("FunctionName") else { return };
    let functions = wire.reach(at, function, "lambda");
    let sources = sources(wire, at);
    let source = EventSource {
        own_throughput: properties.get("EventSourceArn").is_some_and(|arn| is_consumer(wire, at, arn)),
        ..event_source(properties)
    };
    let span = properties.get("EventSourceArn").map_or(properties.span, |arn| arn.span);
    let failure = read::at(properties, &["DestinationConfig", "OnFailure", "Destination"]);
    for to in &functions {
        for from in &sources {
            let via = Via::EventSource(Box::new(source.clone()));
            wire.wired(at, span, from, to, (Mode::Poll, via));
        }
        if let Some(failure) = &failure {
            let via = Via::DeadLetters { attempts_max: Setting::Default };
            wire.wired_to(at, to.node, failure, "", &(Mode::Async, via));
        }
    }
}

fn sources(wire: &mut Wire<'_>, at: At) -> Vec<Reached> {
    let properties = &wire.resource(at).properties;
    if let Some(arn) = properties.get("EventSourceArn") {
        return wire.reach(at, arn, "");
    }
    let Some(own) = properties.get("SelfManagedEventSource") else { return Vec::new() };
    let topics = properties.get("Topics").map(Tree::one_or_many).unwrap_or_default();
    let name = topics.iter().find_map(Tree::as_str).unwrap_or("Kafka");
    // Topics of the same name can be on different clusters: one node for each mapping.
    let name = format!("{name} ({})", wire.origin(at));
    vec![wire.outside("kafka", &name, "a Kafka cluster outside of these files".into(), own.span).into()]
}

/// Whether an ARN is that of a consumer with its own throughput.
fn is_consumer(wire: &Wire<'_>, at: At, arn: &Tree) -> bool {
    let referenced = arn.reference().and_then(|reference| wire.referenced(at.stack(), reference));
    match referenced {
        Some(to) => wire.resource(to).resource_type == "AWS::Kinesis::StreamConsumer",
        None => super::pattern::Pattern::of(arn).is_some_and(|arn| arn.text.contains("/consumer/")),
    }
}

/// The settings of a mapping, which SAM's events and the Serverless Framework's have under the same names.
fn event_source(properties: &Tree) -> EventSource {
    let get = |keys: &[&str]| read::at(properties, keys);
    EventSource {
        batch_max: read::integer(get(&["BatchSize"]).as_deref()),
        window_s: read::integer(get(&["MaximumBatchingWindowInSeconds"]).as_deref()),
        concurrency_max: read::integer(get(&["ScalingConfig", "MaximumConcurrency"]).as_deref()),
        partial_failures: has(get(&["FunctionResponseTypes"]).as_deref(), "ReportBatchItemFailures"),
        filters: filters(get(&["FilterCriteria"]).as_deref()),
        enabled: read::boolean(get(&["Enabled"]).as_deref()),
        parallelization: read::integer(get(&["ParallelizationFactor"]).as_deref()),
        retries_max: read::integer(get(&["MaximumRetryAttempts"]).as_deref()),
        age_max_s: read::integer(get(&["MaximumRecordAgeInSeconds"]).as_deref()),
        bisect: read::boolean(get(&["BisectBatchOnFunctionError"]).as_deref()),
        tumbling_window_s: read::integer(get(&["TumblingWindowInSeconds"]).as_deref()),
        on_failure: read::there(get(&["DestinationConfig", "OnFailure", "Destination"]).as_deref()),
        provisioned_pollers: properties
            .get("ProvisionedPollerConfig")
            .is_some_and(|tree| tree.value != Value::Null),
        own_throughput: false,
    }
}

/// Whether a list has a word.
fn has(list: Option<&Tree>, word: &str) -> Setting<bool> {
    let known = |tree: &Tree| {
        let items = tree.one_or_many();
        let found = items.iter().any(|item| item.as_str() == Some(word));
        (found || items.iter().all(|item| item.as_str().is_some())).then_some(found)
    };
    read::setting(list, known, "list of texts")
}

/// The patterns of a `FilterCriteria`, as they stand.
pub(super) fn filters(criteria: Option<&Tree>) -> Vec<Tree> {
    let Some(criteria) = criteria else { return Vec::new() };
    if let Value::Unknown(_) = criteria.value {
        return vec![criteria.clone()];
    }
    let filters = criteria.get("Filters").map(Tree::one_or_many).unwrap_or_default();
    filters.iter().map(|filter| filter.get("Pattern").unwrap_or(filter).clone()).collect()
}

/// The settings of a pipe's source: `SqsQueueParameters` and the like.
pub(super) fn of_pipe(parameters: Option<&Tree>) -> EventSource {
    let kinds = parameters.map(Tree::entries).unwrap_or_default().iter();
    let own = kinds.filter(|entry| entry.key != "FilterCriteria").map(|entry| &entry.value).next();
    let get = |key: &str| own.and_then(|own| own.get(key));
    EventSource {
        batch_max: read::integer(get("BatchSize")),
        window_s: read::integer(get("MaximumBatchingWindowInSeconds")),
        partial_failures: read::is(get("OnPartialBatchItemFailure"), "AUTOMATIC_BISECT"),
        filters: filters(parameters.and_then(|tree| tree.get("FilterCriteria"))),
        parallelization: read::integer(get("ParallelizationFactor")),
        retries_max: read::integer(get("MaximumRetryAttempts")),
        age_max_s: read::integer(get("MaximumRecordAgeInSeconds")),
        bisect: read::is(get("OnPartialBatchItemFailure"), "AUTOMATIC_BISECT"),
        on_failure: read::there(own.and_then(|own| own.at(&["DeadLetterConfig", "Arn"]))),
        ..EventSource::default()
    }
}

/// The dead letters of a pipe's source.
pub(super) fn dead_letters_of_pipe(parameters: Option<&Tree>) -> Option<&Tree> {
    let kinds = parameters.map(Tree::entries).unwrap_or_default();
    kinds.iter().find_map(|entry| entry.value.at(&["DeadLetterConfig", "Arn"]))
}
