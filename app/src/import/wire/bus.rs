//! EventBridge: buses, rules with their targets, endpoints outside of AWS.

use super::{
    Reached, Row, Wire,
    index::At,
    read,
    schedule::{self, external_call},
};
use crate::{
    design::{Bus, Kind, Mode, NodeId, Rule, Setting, Target, Via},
    document::{Tree, Value},
};

/// What this module reads. Archives, connections and policies give no work to anybody.
pub(super) const ROWS: &[Row] =
    &[Row::of("AWS::Events::EventBus").node(bus), Row::of("AWS::Events::Rule").node(rule).edges(rule_edges)];

/// The part of a rule that is a schedule, where it has a pattern too.
const SCHEDULE: &str = "ScheduleExpression";

fn bus(wire: &mut Wire<'_>, at: At) {
    wire.add(at, Kind::Bus(Bus { is_default: false }));
}

fn enabled(state: Option<&Tree>) -> Setting<bool> {
    read::setting(state, |tree| tree.as_str().map(|state| state != "DISABLED"), "state")
}

fn rule(wire: &mut Wire<'_>, at: At) {
    let get = |key| wire.property(at, key).filter(|tree| tree.value != Value::Null);
    let (pattern, state) = (get("EventPattern").map(read::json), enabled(get("State")));
    let expression = get("ScheduleExpression");
    let has_pattern = pattern.is_some();
    if has_pattern || expression.is_none() {
        wire.add(at, Kind::Rule(Rule { pattern, enabled: state.clone() }));
    }
    if let Some(expression) = expression {
        let part = has_pattern.then_some(SCHEDULE);
        let name = wire.resource(at).id.clone();
        wire.add_part(at, part, name, Kind::Schedule(schedule::of(expression, state)));
    }
}

fn rule_edges(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let nodes: Vec<NodeId> =
        [None, Some(SCHEDULE)].into_iter().filter_map(|part| wire.node(at, part)).collect();
    for node in &nodes {
        if matches!(wire.design.node(*node).kind, Kind::Rule(_)) {
            let named = properties.get("EventBusName").filter(|tree| tree.value != Value::Null);
            let span = named.map_or(wire.resource(at).span, |tree| tree.span);
            let buses = match named {
                Some(named) => wire.reach(at, named, "events"),
                None => vec![wire.default_bus(span).into()],
            };
            for bus in buses {
                wire.wired(at, span, &bus, &(*node).into(), (Mode::Async, Via::Matches));
            }
        }
    }
    for target in read::items(properties.get("Targets")) {
        if let Value::Unknown(unknown) = &target.tree.value {
            let why = format!("a target is not known: {}", unknown.why);
            wire.unresolved(at, target.tree.span, why);
        }
        wire.condition = target.condition;
        for node in &nodes {
            draw_target(wire, at, *node, target.tree);
        }
    }
    wire.condition = None;
}

/// Draws the edges of a target of a rule or a schedule: to what is invoked, and to its dead letters.
pub(super) fn draw_target(wire: &mut Wire<'_>, at: At, from: NodeId, target: &Tree) {
    let Some(arn) = target.get("Arn") else { return };
    let dead = read::at(target, &["DeadLetterConfig", "Arn"]);
    let settings = Target {
        retries_max: read::integer(read::at(target, &["RetryPolicy", "MaximumRetryAttempts"]).as_deref()),
        age_max_s: read::integer(read::at(target, &["RetryPolicy", "MaximumEventAgeInSeconds"]).as_deref()),
        dead_letters: read::there(dead.as_deref()),
        message_group: target.at(&["SqsParameters", "MessageGroupId"]).is_some(),
        reshaped: ["Input", "InputPath", "InputTransformer"].iter().any(|key| target.get(key).is_some()),
        role: target.get("RoleArn").is_some(),
    };
    let ends: Vec<Reached> = match external_call(wire, at, arn, target.get("Input")) {
        Some(ends) => ends,
        None => wire.reach(at, arn, ""),
    };
    for to in ends {
        let via = Via::Target(Box::new(settings.clone()));
        wire.wired(at, arn.span, &from.into(), &to, (Mode::Async, via));
    }
    if let Some(dead) = dead {
        let via = Via::DeadLetters { attempts_max: Setting::Default };
        wire.wired_to(at, from, &dead, "sqs", &(Mode::Async, via));
    }
}
