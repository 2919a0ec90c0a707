//! Schedules and rules of a bus, of functions and of machines.

use super::{
    Lowering,
    function::{Event, Target},
    made::{Fields, given},
    pushed::{may_send, permission},
    role::{Grants, role_for},
};
use crate::document::{Tree, Value};

/// `Schedule`: a rule that runs by the clock.
pub(super) fn schedule(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    if event.needed(sam, "Schedule").is_none() {
        return;
    }
    let fields = Fields::new(event.at)
        .take(event.properties, "Schedule", "ScheduleExpression")
        .take(event.properties, "Name", "Name")
        .take(event.properties, "Description", "Description");
    rule_of(sam, target, event, fields);
}

/// `EventBridgeRule`, `CloudWatchEvent`: a rule with a pattern.
pub(super) fn rule(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    let fields = Fields::new(event.at)
        .take(event.properties, "EventBusName", "EventBusName")
        .take(event.properties, "Pattern", "EventPattern")
        .take(event.properties, "RuleName", "Name");
    rule_of(sam, target, event, fields);
}

/// Whether it runs: `State`, or the older `Enabled`.
fn state(event: &Event<'_>) -> Option<Tree> {
    if let Some(state) = given(event.properties, "State") {
        return Some(state.clone());
    }
    let enabled = given(event.properties, "Enabled")?;
    let value = match enabled.as_bool() {
        Some(true) => Value::Text("ENABLED".to_string()),
        Some(false) => Value::Text("DISABLED".to_string()),
        None => enabled.value.clone(),
    };
    Some(Tree { value, span: enabled.span })
}

fn rule_of(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>, fields: Fields) {
    let at = event.at;
    let source = at.attribute(&event.id, "Arn");
    let letters = dead_letters(sam, target, event, Some(&source));
    let mut to = Fields::new(at).put("Arn", target.arn(at)).put_some("DeadLetterConfig", letters);
    let id = given(event.properties, "Target").and_then(|target| given(target, "Id")).cloned();
    to = to.put("Id", id.unwrap_or_else(|| at.text(format!("{}Target", event.id))));
    for key in ["Input", "InputPath", "InputTransformer", "RetryPolicy"] {
        to = to.take(event.properties, key, key);
    }
    if target.machine {
        let role = given(event.properties, "RoleArn").filter(|_| event.kind == "Schedule").cloned();
        let role = role.unwrap_or_else(|| starting_role(sam, target, event, None));
        to = to.put("RoleArn", role);
    } else {
        permission(
            sam,
            target,
            at,
            (&format!("{}Permission", event.id), "events.amazonaws.com"),
            Some(source),
        );
    }
    let fields = fields.put_some("State", state(event)).put("Targets", at.list(vec![to.done()]));
    sam.make(&target.origin, at, &event.id, "AWS::Events::Rule", fields.done());
}

/// A role that may start the target; its ARN. `letters`: it may send there too.
pub(super) fn starting_role(
    sam: &mut Lowering<'_>,
    target: &Target,
    event: &Event<'_>,
    letters: Option<Tree>,
) -> Tree {
    let at = event.at;
    let service = match event.kind {
        "ScheduleV2" => "scheduler.amazonaws.com",
        "Api" => "apigateway.amazonaws.com",
        _ => "events.amazonaws.com",
    };
    let mut grants = Grants::default();
    let action = if target.machine { "states:StartExecution" } else { "lambda:InvokeFunction" };
    grants.allow(at, action, target.arn(at));
    if let Some(letters) = letters {
        grants.allow(at, "sqs:SendMessage", letters);
    }
    let id = format!("{}Role", event.id);
    role_for(sam, &target.origin, at, (&id, service), grants);
    at.attribute(&id, "Arn")
}

/// The target's `DeadLetterConfig`: a queue of the template, or one that is made, with a policy for the rule.
fn dead_letters(
    sam: &mut Lowering<'_>,
    target: &Target,
    event: &Event<'_>,
    source: Option<&Tree>,
) -> Option<Tree> {
    let config = given(event.properties, "DeadLetterConfig")?;
    let at = super::made::At(config.span);
    if let Some(arn) = given(config, "Arn") {
        return Some(at.map([("Arn", arn.clone())]));
    }
    if matches!(config.value, Value::Unknown(_)) {
        return Some(config.clone());
    }
    let named = given(config, "QueueLogicalId").and_then(Tree::as_str);
    let id = named.map_or_else(|| format!("{}Queue", event.id), str::to_string);
    sam.make(&target.origin, at, &id, "AWS::SQS::Queue", at.map([]));
    let arn = at.attribute(&id, "Arn");
    if let Some(source) = source {
        let policy = format!("{}QueuePolicy", event.id);
        let made = (policy.as_str(), Some("events.amazonaws.com"));
        may_send(sam, target, at, made, (arn.clone(), at.reference(&id), source.clone()));
    }
    Some(at.map([("Arn", arn)]))
}

/// `ScheduleV2`: EventBridge Scheduler.
pub(super) fn scheduler(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    if event.needed(sam, "ScheduleExpression").is_none() {
        return;
    }
    let at = event.at;
    let of_target =
        ["Input", "RoleArn", "DeadLetterConfig", "RetryPolicy", "PermissionsBoundary", "OmitName"];
    let letters = dead_letters(sam, target, event, None);
    let role = given(event.properties, "RoleArn").cloned().unwrap_or_else(|| {
        let arn = letters.as_ref().and_then(|config| config.get("Arn")).cloned();
        starting_role(sam, target, event, arn)
    });
    let to = Fields::new(at)
        .put("Arn", target.arn(at))
        .put("RoleArn", role)
        .put_some("DeadLetterConfig", letters)
        .take(event.properties, "Input", "Input")
        .take(event.properties, "RetryPolicy", "RetryPolicy");
    let fields = Fields::new(at).rest(event.properties, &of_target).put("Target", to.done());
    sam.make(&target.origin, at, &event.id, "AWS::Scheduler::Schedule", fields.done());
}
