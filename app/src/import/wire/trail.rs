//! Audit trails: what they write to a bucket, and which buckets' writes they log.

use super::{Reached, Row, Wire, index::At};
use crate::{
    design::{Kind, Mode, NodeId, Notification, Via},
    document::Tree,
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[Row::of("AWS::CloudTrail::Trail").edges(trail)];

fn trail(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let Some(log) = properties.get("S3BucketName") else { return };
    if properties.get("IsLogging").and_then(Tree::as_bool) == Some(false) {
        return;
    }
    let trail = wire.node_or_external(at);
    let how = (Mode::Async, Via::Trigger("the trail's log".into()));
    wire.wired_to(at, trail, log, "s3", &how);
    for selector in properties.get("EventSelectors").map(Tree::one_or_many).unwrap_or_default() {
        if selector.get("ReadWriteType").and_then(Tree::as_str) == Some("ReadOnly") {
            continue;
        }
        for data in selector.get("DataResources").map(Tree::one_or_many).unwrap_or_default() {
            if data.get("Type").and_then(Tree::as_str) != Some("AWS::S3::Object") {
                continue;
            }
            for chosen in data.get("Values").map(Tree::one_or_many).unwrap_or_default() {
                logged(wire, at, chosen, log);
            }
        }
    }
}

/// The edge from a bucket whose writes are logged; of a choice of all buckets, from each that there is.
fn logged(wire: &mut Wire<'_>, at: At, chosen: &Tree, log: &Tree) {
    let all = matches!(chosen.as_str(), Some("arn:aws:s3" | "arn:aws:s3:::"));
    let trail = wire.node_or_external(at);
    let mut buckets = wire.reach(at, if all { log } else { chosen }, "s3");
    if all {
        let there = wire.design.nodes().filter(|(_, node)| matches!(node.kind, Kind::Bucket(_)));
        let others: Vec<NodeId> = there.map(|(id, _)| id).collect();
        let others = others.into_iter().filter(|id| buckets.iter().all(|bucket| bucket.node != *id));
        buckets.extend(others.map(Reached::from).collect::<Vec<_>>());
    }
    for bucket in buckets {
        if !matches!(wire.design.node(bucket.node).kind, Kind::Bucket(_)) {
            continue;
        }
        let events = vec!["s3:ObjectCreated:*".to_string()];
        let via = Via::Notification(Notification { events, ..Notification::default() });
        wire.wired(at, chosen.span, &bucket, &trail.into(), (Mode::Async, via));
    }
}
