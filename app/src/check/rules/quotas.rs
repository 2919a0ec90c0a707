//! Settings outside of what AWS takes.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::number, words},
    design::{
        Api, ApiKind, Edge, EdgeId, EventSource, Function, Integration, Kind, Node, NodeId, Queue, Setting,
        Stream, Target, Via,
    },
    document::{Tree, Value},
    profile::{Limit, Unit},
};

/// FB0039: timeouts, memory and sizes outside of their quota.
pub(super) struct Quotas;

/// One setting with its bounds.
struct Bound<'a> {
    property: &'static str,
    setting: &'a Setting<i64>,
    /// The least: a limit of the profile, or a number that the API's description has.
    least: Least,
    most: Limit,
}

enum Least {
    Of(Limit),
    Number(i64),
    /// -1 stands for no end, otherwise at least this.
    OrEndless(i64),
}

impl Rule for Quotas {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0039",
            title: "setting outside of its quota",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0039.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node) in look.design.nodes() {
            match &node.kind {
                Kind::Function(function) => {
                    bounds(look, id, &of_function(function), None, found);
                    environment(look, id, node, function, found);
                    layers(look, id, node, function, found);
                }
                Kind::Queue(queue) => bounds(look, id, &of_queue(queue), None, found),
                Kind::Topic(topic) => {
                    let size = Bound {
                        property: "MaximumMessageSize",
                        setting: &topic.message_bytes_max,
                        least: Least::Number(1_024),
                        most: Limit::TopicMessageBytesMax,
                    };
                    bounds(look, id, &[size], None, found);
                }
                Kind::Stream(stream) if !stream.of_table => bounds(look, id, &of_stream(stream), None, found),
                _ => {}
            }
        }
        for (id, edge) in look.design.edges() {
            of_edge(look, id, edge, found);
        }
    }
}

fn of_function(function: &Function) -> Vec<Bound<'_>> {
    let own = function.own_instances;
    let (timeout, memory) = match own {
        true => (Limit::LambdaManagedTimeoutMax, Limit::LambdaManagedMemoryMax),
        false => (Limit::LambdaTimeoutMax, Limit::LambdaMemoryMax),
    };
    let mut bounds = vec![
        Bound { property: "Timeout", setting: &function.timeout_s, least: Least::Number(1), most: timeout },
        Bound {
            property: "MemorySize",
            setting: &function.memory_mb,
            least: Least::Of(Limit::LambdaMemoryMin),
            most: memory,
        },
        Bound {
            property: "EventInvokeConfig.MaximumRetryAttempts",
            setting: &function.async_retries_max,
            least: Least::Number(0),
            most: Limit::LambdaAsyncRetriesMax,
        },
        Bound {
            property: "EventInvokeConfig.MaximumEventAgeInSeconds",
            setting: &function.async_age_max_s,
            least: Least::Of(Limit::LambdaAsyncAgeMin),
            most: Limit::LambdaAsyncAgeMax,
        },
    ];
    if !own {
        bounds.push(Bound {
            property: "EphemeralStorage.Size",
            setting: &function.storage_mb,
            least: Least::Of(Limit::LambdaStorageMin),
            most: Limit::LambdaStorageMax,
        });
    }
    bounds
}

fn of_queue(queue: &Queue) -> [Bound<'_>; 4] {
    [
        Bound {
            property: "VisibilityTimeout",
            setting: &queue.visibility_s,
            least: Least::Number(0),
            most: Limit::QueueVisibilityMax,
        },
        Bound {
            property: "MessageRetentionPeriod",
            setting: &queue.retention_s,
            least: Least::Of(Limit::QueueRetentionMin),
            most: Limit::QueueRetentionMax,
        },
        Bound {
            property: "DelaySeconds",
            setting: &queue.delay_s,
            least: Least::Number(0),
            most: Limit::QueueDelayMax,
        },
        Bound {
            property: "MaximumMessageSize",
            setting: &queue.message_bytes_max,
            least: Least::Number(1_024),
            most: Limit::QueueMessageBytesMax,
        },
    ]
}

fn of_stream(stream: &Stream) -> [Bound<'_>; 1] {
    [Bound {
        property: "MaxRecordSizeInKiB",
        setting: &stream.record_kib_max,
        least: Least::Number(1_024),
        most: Limit::StreamRecordBytesMax,
    }]
}

fn of_edge(look: &Look<'_>, id: EdgeId, edge: &Edge, found: &mut Found<'_>) {
    match &edge.via {
        Via::EventSource(source) => {
            let from = &look.design.node(edge.from).kind;
            let bounds_of = match from {
                // What a FIFO queue takes is a matter of batches.
                Kind::Queue(queue) => of_queue_source(source, queue.fifo),
                Kind::Stream(_) => of_stream_source(source),
                _ => return,
            };
            bounds(look, edge.to, &bounds_of, Some(id), found);
        }
        Via::Target(target) => bounds(look, edge.from, &of_target(target), Some(id), found),
        Via::Integration(integration) => {
            if let Kind::Api(api) = &look.design.node(edge.from).kind {
                of_integration(look, id, edge, (api, integration), found);
            }
        }
        _ => {}
    }
}

fn of_queue_source(source: &EventSource, fifo: bool) -> Vec<Bound<'_>> {
    let mut bounds = vec![Bound {
        property: "ScalingConfig.MaximumConcurrency",
        setting: &source.concurrency_max,
        least: Least::Of(Limit::EventSourceConcurrencyMin),
        most: Limit::EventSourceConcurrencyMax,
    }];
    if !fifo {
        bounds.push(batch(source, Limit::EventSourceQueueBatchMax));
        bounds.push(window(source));
    }
    bounds
}

fn batch(source: &EventSource, most: Limit) -> Bound<'_> {
    Bound { property: "BatchSize", setting: &source.batch_max, least: Least::Number(1), most }
}

fn window(source: &EventSource) -> Bound<'_> {
    Bound {
        property: "MaximumBatchingWindowInSeconds",
        setting: &source.window_s,
        least: Least::Number(0),
        most: Limit::EventSourceWindowMax,
    }
}

fn of_stream_source(source: &EventSource) -> Vec<Bound<'_>> {
    vec![
        batch(source, Limit::EventSourceStreamBatchMax),
        window(source),
        Bound {
            property: "ParallelizationFactor",
            setting: &source.parallelization,
            least: Least::Number(1),
            most: Limit::EventSourceParallelizationMax,
        },
        Bound {
            property: "MaximumRetryAttempts",
            setting: &source.retries_max,
            least: Least::Number(-1),
            most: Limit::EventSourceStreamRetriesMax,
        },
        Bound {
            property: "MaximumRecordAgeInSeconds",
            setting: &source.age_max_s,
            least: Least::OrEndless(60),
            most: Limit::EventSourceStreamAgeMax,
        },
        Bound {
            property: "TumblingWindowInSeconds",
            setting: &source.tumbling_window_s,
            least: Least::Number(0),
            most: Limit::EventSourceTumblingMax,
        },
    ]
}

fn of_target(target: &Target) -> [Bound<'_>; 2] {
    // The defaults of a bus are the most that it takes.
    [
        Bound {
            property: "RetryPolicy.MaximumRetryAttempts",
            setting: &target.retries_max,
            least: Least::Number(0),
            most: Limit::BusRetriesDefault,
        },
        Bound {
            property: "RetryPolicy.MaximumEventAgeInSeconds",
            setting: &target.age_max_s,
            least: Least::Of(Limit::BusAgeMin),
            most: Limit::BusAgeDefault,
        },
    ]
}

fn bounds(look: &Look<'_>, id: NodeId, bounds: &[Bound<'_>], edge: Option<EdgeId>, found: &mut Found<'_>) {
    for bound in bounds {
        let Setting::Stated(value, span) = *bound.setting else { continue };
        let Some(most) = most(look, bound) else { continue };
        let least = match bound.least {
            Least::Of(limit) => look.profile.whole(limit),
            Least::Number(least) => Some(least),
            Least::OrEndless(_) if value == -1 => None,
            Least::OrEndless(least) => Some(least),
        };
        let low = least.filter(|least| value < *least);
        if value <= most && low.is_none() {
            continue;
        }
        let property = bound.property;
        let name = &look.design.node(id).name;
        let [value_said, most_said] = [value, most].map(|value| said(bound.most.unit(), property, value));
        let message = match low {
            Some(least) => format!(
                "AWS rejects {property} {value_said} of {name}: at least {} is possible",
                said(bound.most.unit(), property, least)
            ),
            None => format!("AWS rejects {property} {value_said} of {name}: at most {most_said} is possible"),
        };
        let help = match low {
            Some(least) => format!("set {property} to {least} or more"),
            None => format!("set {property} to {most} or less"),
        };
        let Some(mut limit) = look.limit(bound.most, format!("{property} at most")) else { continue };
        if let Some(least) = low {
            limit = Quantity { of: format!("{property} at least"), number: number(least), ..limit };
        }
        let unit = limit.unit;
        let value = Quantity::stated(format!("{property} of {name}"), number(value), unit);
        // The model's own bounds are not in doubt where only a default is.
        let draft = Draft::new(id, span, message, help).rests_on(edge).meets(limit, value);
        found.add(draft);
    }
}

/// The most that a setting may be, in the unit of its property.
fn most(look: &Look<'_>, bound: &Bound<'_>) -> Option<i64> {
    let most = look.profile.whole(bound.most)?;
    Some(if bound.property == "MaxRecordSizeInKiB" { most / 1_024 } else { most })
}

fn said(unit: Unit, property: &str, value: i64) -> String {
    let value = number(value);
    match unit {
        _ if property == "MaxRecordSizeInKiB" => format!("{} KiB", words::decimal(value)),
        Unit::Seconds if value >= 0.0 => words::seconds(value),
        Unit::Bytes => format!("{} bytes", words::decimal(value)),
        Unit::Megabytes => format!("{} MB", words::decimal(value)),
        Unit::Milliseconds => format!("{} ms", words::decimal(value)),
        _ => words::decimal(value),
    }
}

fn of_integration(
    look: &Look<'_>,
    id: EdgeId,
    edge: &Edge,
    (api, integration): (&Api, &Integration),
    found: &mut Found<'_>,
) {
    let Setting::Stated(timeout, span) = integration.timeout_ms else { return };
    let Some(limit) = Look::entrance_limit(api.kind) else { return };
    let Some(most) = look.profile.whole(limit).filter(|most| timeout > *most) else { return };
    // A regional or private REST API can have more on request, and only who is told which kind it is knows.
    let edge_optimized = api.endpoint.or("EDGE".to_string()).as_deref() == Some("EDGE");
    if api.kind == ApiKind::Rest && !edge_optimized {
        return;
    }
    let name = &look.design.node(edge.from).name;
    let [timeout_said, most_said] = [timeout, most].map(|ms| words::decimal(number(ms)));
    let message =
        format!("AWS rejects TimeoutInMillis {timeout_said} of {name}: at most {most_said} ms is possible");
    let help = format!("set TimeoutInMillis to {most}, and answer later what takes longer");
    let Some(quantity) = look.limit(limit, "the longest integration") else { return };
    found.add(
        Draft::new(edge.from, span, message, help)
            .rests_on([id])
            .meets(quantity, Quantity::stated(format!("TimeoutInMillis of {name}"), number(timeout), "ms")),
    );
}

/// Environment variables: as much as is known of them is at least what they take.
fn environment(look: &Look<'_>, id: NodeId, node: &Node, function: &Function, found: &mut Found<'_>) {
    let Some(most) = look.profile.whole(Limit::LambdaEnvironmentBytesMax) else { return };
    let known = |tree: &Tree| match &tree.value {
        Value::Text(text) => text.len(),
        _ => 0,
    };
    let bytes: usize = function.environment.iter().map(|(name, value)| name.len() + known(value)).sum();
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let Some((_, first)) = function.environment.first().filter(|_| bytes > most) else { return };
    let name = &node.name;
    let [bytes_said, most_said] = [bytes, most].map(|bytes| words::decimal(number(bytes)));
    let message = format!(
        "AWS rejects {name}: its environment variables have {bytes_said} bytes, and {most_said} are possible"
    );
    let help = "keep large values in Parameter Store or AppConfig, and name them in the environment".into();
    let Some(limit) = look.limit(Limit::LambdaEnvironmentBytesMax, "environment variables together") else {
        return;
    };
    found.add(
        Draft::new(id, first.span, message, help).meets(
            limit,
            Quantity::stated(format!("environment variables of {name}"), number(bytes), "bytes"),
        ),
    );
}

fn layers(look: &Look<'_>, id: NodeId, node: &Node, function: &Function, found: &mut Found<'_>) {
    let Some(most) = look.profile.whole(Limit::LambdaLayersMax) else { return };
    let layers = i64::try_from(function.layers).unwrap_or(i64::MAX);
    if layers <= most {
        return;
    }
    let name = &node.name;
    let message = format!("AWS rejects {name}: it has {layers} layers, and {most} are possible");
    let help = "put layers together, or ship the function as an image".into();
    let Some(limit) = look.limit(Limit::LambdaLayersMax, "layers") else { return };
    found.add(
        Draft::new(id, node.span, message, help)
            .meets(limit, Quantity::stated(format!("layers of {name}"), number(layers), "")),
    );
}
