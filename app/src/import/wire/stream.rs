//! Streams of records: Kinesis, delivery streams, and tables with the streams of their changes.

use super::{
    Row, Wire,
    index::At,
    lead::{Lead, To},
    read,
};
use crate::{
    design::{Kind, Mode, Notification, Setting, Stream, Table, Via},
    document::{Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::Kinesis::Stream").node(stream),
    Row::of("AWS::Kinesis::StreamConsumer").stands_for(consumed),
    Row::of("AWS::KinesisFirehose::DeliveryStream").edges(delivery),
    Row::of("AWS::DynamoDB::Table").node(table).edges(changes),
    Row::of("AWS::DynamoDB::GlobalTable").node(table).edges(changes),
];

/// The attribute of a table that is the ARN of its stream.
const CHANGES: &str = "StreamArn";

fn stream(wire: &mut Wire<'_>, at: At) {
    let get = |keys: &[&str]| wire.resource(at).properties.at(keys);
    let mode = get(&["StreamModeDetails", "StreamMode"]);
    let on_demand = mode.filter(|mode| mode.as_str() == Some("ON_DEMAND"));
    let shards = match (get(&["ShardCount"]), on_demand) {
        (None, Some(mode)) => Setting::Unknown {
            why: "the stream has as many shards as its load needs".into(),
            span: mode.span,
        },
        (count, _) => read::integer(count),
    };
    let stream = Stream {
        of_table: false,
        shards,
        retention_h: read::integer(get(&["RetentionPeriodHours"])),
        record_kib_max: read::integer(get(&["MaxRecordSizeInKiB"])),
    };
    wire.add(at, Kind::Stream(stream));
}

fn consumed(wire: &Wire<'_>, at: At, depth: usize) -> Vec<Lead> {
    match wire.property(at, "StreamARN") {
        Some(arn) => wire.leads_from(at.stack(), arn, "kinesis", depth),
        None => vec![Lead::to(To::Nothing("it names no stream".into()))],
    }
}

fn table(wire: &mut Wire<'_>, at: At) {
    let on_demand = read::is(wire.property(at, "BillingMode"), "PAY_PER_REQUEST");
    wire.add(at, Kind::Table(Table { on_demand }));
    let of = wire.property(at, "StreamSpecification");
    if of.is_some_and(|of| of.value != Value::Null) {
        let name = format!("{}.Stream", wire.resource(at).id);
        let stream = Stream { of_table: true, ..Stream::default() };
        wire.add_part(at, Some(CHANGES), name, Kind::Stream(stream));
    }
}

fn changes(wire: &mut Wire<'_>, at: At) {
    let Some(table) = wire.node(at, None) else { return };
    if let (Some(stream), Some(of)) = (wire.node(at, Some(CHANGES)), wire.property(at, "StreamSpecification"))
    {
        let how = (Mode::Async, Via::Notification(Notification::default()));
        wire.wired(at, of.span, &table.into(), &stream.into(), how);
    }
    if let Some(arn) = wire.resource(at).properties.at(&["KinesisStreamSpecification", "StreamArn"]) {
        let how = (Mode::Async, Via::Notification(Notification::default()));
        wire.wired_to(at, table, arn, "kinesis", &how);
    }
}

/// A delivery stream reads a stream, has records changed by functions, and writes to a bucket.
fn delivery(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let node = wire.node_or_external(at);
    if let Some(arn) = properties.at(&["KinesisStreamSourceConfiguration", "KinesisStreamARN"]) {
        for from in wire.reach(at, arn, "kinesis") {
            let via = Via::Trigger("source of a delivery stream".into());
            wire.wired(at, arn.span, &from, &node.into(), (Mode::Poll, via));
        }
    }
    for destination in properties.entries().iter().filter(|entry| entry.key.contains("DestinationConf")) {
        let processors = destination.value.at(&["ProcessingConfiguration", "Processors"]);
        for processor in processors.map(Tree::one_or_many).unwrap_or_default() {
            let parameters = processor.get("Parameters").map(Tree::one_or_many).unwrap_or_default();
            let names = |tree: &&Tree| tree.get("ParameterName").and_then(Tree::as_str) == Some("LambdaArn");
            let function = parameters.iter().find(names).and_then(|tree| tree.get("ParameterValue"));
            if let Some(function) = function {
                let how = (Mode::Sync, Via::Trigger("transformation of a delivery stream".into()));
                wire.wired_to(at, node, function, "lambda", &how);
            }
        }
        let bucket = destination.value.get("BucketARN");
        let bucket = bucket.or_else(|| destination.value.at(&["S3Configuration", "BucketARN"]));
        if let Some(bucket) = bucket {
            let how = (Mode::Async, Via::Trigger("delivery".into()));
            wire.wired_to(at, node, bucket, "s3", &how);
        }
    }
}
