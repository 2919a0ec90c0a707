//! Audit trails: what they write to a bucket, and which buckets' writes they log.

use super::{Row, Wire, index::At};
use crate::{
    design::{Kind, Mode, Notification, Via},
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

/// The edge from a bucket whose writes are logged. Of a choice of all buckets only the trail's own is drawn: the
/// others' lead nowhere new.
fn logged(wire: &mut Wire<'_>, at: At, chosen: &Tree, log: &Tree) {
    let all = matches!(chosen.as_str(), Some("arn:aws:s3" | "arn:aws:s3:::"));
    let trail = wire.node_or_external(at);
    for bucket in wire.reach(at, if all { log } else { chosen }, "s3") {
        if !matches!(wire.design.node(bucket.node).kind, Kind::Bucket(_)) {
            continue;
        }
        let events = vec!["s3:ObjectCreated:*".to_string()];
        let via = Via::Notification(Notification { events, ..Notification::default() });
        wire.wired(at, chosen.span, &bucket, &trail.into(), (Mode::Async, via));
    }
}
