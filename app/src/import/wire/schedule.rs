//! Schedules: those of EventBridge Scheduler, and how often an expression runs.

mod cron;

use super::{Reached, Row, Wire, bus::draw_target, index::At, pattern::Pattern, read};
use crate::{
    design::{Kind, Schedule, Setting},
    document::{Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[Row::of("AWS::Scheduler::Schedule").node(schedule).edges(target)];

fn schedule(wire: &mut Wire<'_>, at: At) {
    let get = |key| wire.property(at, key);
    let enabled = read::setting(get("State"), |tree| tree.as_str().map(|state| state != "DISABLED"), "state");
    let Some(expression) = get("ScheduleExpression") else { return };
    wire.add(at, Kind::Schedule(of(expression, enabled)));
}

fn target(wire: &mut Wire<'_>, at: At) {
    if let (Some(node), Some(target)) = (wire.node(at, None), wire.property(at, "Target")) {
        draw_target(wire, at, node, target);
    }
}

/// A schedule with an expression.
pub(super) fn of(expression: &Tree, enabled: Setting<bool>) -> Schedule {
    let text = read::text(Some(expression));
    let interval_s = match &text {
        Setting::Default => Setting::Default,
        Setting::Unknown { why, span } => Setting::Unknown { why: why.clone(), span: *span },
        Setting::Stated(text, span) => match interval_s(text) {
            Ok(seconds) => Setting::Stated(seconds, *span),
            Err(why) => Setting::Unknown { why: why.into(), span: *span },
        },
    };
    Schedule { expression: text, interval_s, enabled }
}

/// The shortest time between two runs, in seconds.
fn interval_s(expression: &str) -> Result<i64, &'static str> {
    let (kind, rest) = expression.trim().split_once('(').ok_or("it is no expression of a schedule")?;
    let inside = rest.strip_suffix(')').ok_or("it is no expression of a schedule")?.trim();
    match kind.trim() {
        "rate" => rate_s(inside).ok_or("it is no rate"),
        "cron" => cron::shortest_s(inside),
        "at" => Err("it runs once"),
        _ => Err("it is no expression of a schedule"),
    }
}

fn rate_s(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let (count, unit) = (words.next()?.parse::<i64>().ok()?, words.next()?);
    let seconds = match unit {
        "second" | "seconds" => 1,
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    (count > 0 && words.next().is_none()).then(|| count.checked_mul(seconds)).flatten()
}

/// Where a target leads that is a call of any of AWS's APIs: `arn:aws:scheduler:::aws-sdk:sqs:sendMessage`, with
/// what is called in its `Input`. `None`: it is another target.
pub(super) fn external_call(
    wire: &mut Wire<'_>,
    at: At,
    arn: &Tree,
    input: Option<&Tree>,
) -> Option<Vec<Reached>> {
    let text = Pattern::of(arn)?.text;
    let (_, action) = text.split_once(":scheduler:::aws-sdk:")?;
    let service = match action.split(':').next()? {
        "lambda" => "lambda",
        "sqs" => "sqs",
        "sns" => "sns",
        "sfn" => "states",
        "kinesis" => "kinesis",
        "dynamodb" => "dynamodb",
        _ => "",
    };
    if let Some((input, name)) = input.and_then(|input| Some((input, named_in(input)?))) {
        return Some(wire.reach_pattern(at, input.span, &name, service));
    }
    let service_name = wire.stack_name(at).to_string();
    let name = format!("{} ({action})", wire.resource(at).id);
    let node = wire.outside(&format!("call/{service_name}"), &name, format!("a call of {action}"), arn.span);
    Some(vec![node.into()])
}

/// The resource that the input of a call names.
fn named_in(input: &Tree) -> Option<Pattern<'_>> {
    const NAMES: [&str; 6] =
        ["FunctionName", "QueueUrl", "TopicArn", "StateMachineArn", "StreamName", "TableName"];
    if let Value::Map(_) = input.value {
        return NAMES.iter().find_map(|name| input.get(name)).and_then(Pattern::of);
    }
    let pattern = Pattern::of(input)?;
    let json: serde_json::Value = serde_json::from_str(&pattern.text).ok()?;
    let name = NAMES.iter().find_map(|name| json.get(name)?.as_str())?;
    Some(pattern.with(name))
}
