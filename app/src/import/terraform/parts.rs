//! What is a resource of its own in Terraform, and a part of another in CloudFormation; and the other way round.

use std::collections::BTreeMap;

use super::{
    Made,
    plan::{Plan, Planned},
    rows::{self, How},
    value::Place,
};
use crate::{
    document::{Entry, Piece, Tree, Value},
    import::Resource,
};

/// Adds to a resource what is no plain copy of an attribute.
pub(super) fn complete(place: Place<'_>, planned: &Planned<'_>, made: &mut Made) {
    match planned.of {
        "aws_lambda_function" => {
            let reserved = place.at("reserved_concurrent_executions").tree();
            // -1 is how Terraform says that nothing is reserved.
            made.put("ReservedConcurrentExecutions", reserved.filter(|tree| tree.as_i64() != Some(-1)));
            made.put("Environment.Variables", variables(place, planned));
        }
        "aws_lambda_event_source_mapping" => {
            let filters = place.at("filter_criteria").blocks("filter").into_iter().filter_map(|filter| {
                let mut one = Made::new(planned.span);
                one.put("Pattern", Some(filter.at("pattern").tree()?));
                Some(one.tree())
            });
            let filters: Vec<Tree> = filters.collect();
            let list = Tree { value: Value::List(filters), span: planned.span };
            made.put("FilterCriteria.Filters", Some(list).filter(|list| !list.items().is_empty()));
        }
        "aws_dynamodb_table" => {
            let on = place.at("stream_enabled").tree().is_some_and(|tree| tree.as_bool() == Some(true));
            let view = place.at("stream_view_type").tree();
            made.put("StreamSpecification.StreamViewType", view.filter(|_| on));
        }
        "aws_apigatewayv2_route" => made.put("Target", target(place, planned)),
        "aws_cloudwatch_event_rule" => {
            let off = place.at("is_enabled").tree().is_some_and(|tree| tree.as_bool() == Some(false));
            made.put("State", Some(Tree::text(planned.span, "DISABLED")).filter(|_| off));
        }
        _ => {}
    }
}

/// Resources of which a function's variables are made that are looked at. AWS takes 4 KB of variables.
const NAMED_MAX: usize = 100;

/// Variables that are known, and one for each resource that the others are made of.
fn variables(place: Place<'_>, planned: &Planned<'_>) -> Option<Tree> {
    let place = place.at("environment.variables");
    let known = place.tree().filter(|tree| matches!(tree.value, Value::Map(_)));
    let mut entries: Vec<Entry> = known.map(|tree| tree.entries().to_vec()).unwrap_or_default();
    let block =
        planned.unknown.and_then(|tree| tree.get("environment")).and_then(|tree| tree.items().first());
    let unknown = block.and_then(|block| block.get("variables")).map(Tree::entries).unwrap_or_default();
    let unknown: Vec<&Entry> = unknown.iter().filter(|entry| entry.value.as_bool() == Some(true)).collect();
    let mut named = place.named();
    named.truncate(NAMED_MAX);
    for (at, reference) in named.iter().enumerate() {
        // Which of several is in which variable, a plan does not tell.
        let key = match (unknown.as_slice(), named.len()) {
            ([one], 1) => one.key.clone(),
            _ => format!("one of {}", at + 1),
        };
        if entries.iter().all(|entry| entry.key != key) {
            let value = Tree { value: Value::Reference(reference.clone()), span: planned.span };
            entries.push(Entry { key, key_span: planned.span, value });
        }
    }
    (!entries.is_empty()).then(|| Tree::map(planned.span, entries))
}

/// `integrations/ID` of a route.
fn target(place: Place<'_>, planned: &Planned<'_>) -> Option<Tree> {
    let link = place.at("target").link()?;
    let Some(reference) = link.reference() else { return Some(link) };
    let pieces = vec![Piece::Literal("integrations/".into()), Piece::Reference(reference.clone())];
    Some(Tree { value: Value::Pieces(pieces), span: planned.span })
}

/// What a plan leaves open: the resource, and the sentence.
type Open<'a, 'p> = Vec<(&'a Planned<'p>, String)>;

/// Adds resources that are more than one in CloudFormation, and to resources what is a part of them there.
pub(super) fn own<'a, 'p>(plan: &'a Plan<'p>, resources: &mut Vec<Resource>, open: &mut Open<'a, 'p>) {
    let by_id: BTreeMap<String, usize> =
        resources.iter().enumerate().map(|(at, resource)| (resource.id.clone(), at)).collect();
    let mut targets: BTreeMap<usize, Vec<Tree>> = BTreeMap::new();
    for planned in &plan.planned {
        let place = Place::of(plan, planned);
        let named = |attribute: &str| {
            let at = place.at(attribute).planned()?;
            by_id.get(plan.planned.get(at)?.address).copied()
        };
        match planned.of {
            "aws_s3_bucket_notification" => resources.push(notification(place, planned)),
            "aws_sqs_queue" => resources.extend(queue_policy(place, planned)),
            "aws_iam_role" => resources.extend(inline_policies(place, planned)),
            "aws_iam_role_policy_attachment" => resources.extend(attached(plan, place, planned)),
            "aws_cloudwatch_event_target" => match named("rule").or_else(|| by_name(plan, place, &by_id)) {
                Some(rule) => targets.entry(rule).or_default().push(event_target(place, planned)),
                None => open.push((planned, "the rule of this target is not in the plan".into())),
            },
            "aws_sqs_queue_redrive_policy" => {
                let queue = named("queue_url").and_then(|at| resources.get_mut(at));
                match (queue, place.at("redrive_policy").redrive()) {
                    (Some(queue), Some(policy)) => add(&mut queue.properties, "RedrivePolicy", policy),
                    (None, _) => open.push((planned, "the queue of this policy is not in the plan".into())),
                    (Some(_), None) => {}
                }
            }
            _ => {}
        }
    }
    for (rule, targets) in targets {
        if let Some(rule) = resources.get_mut(rule) {
            let list = Tree { value: Value::List(targets), span: rule.span };
            add(&mut rule.properties, "Targets", list);
        }
    }
}

/// The rule of the plan that has the name which a target writes.
fn by_name(plan: &Plan<'_>, place: Place<'_>, by_id: &BTreeMap<String, usize>) -> Option<usize> {
    let written = place.at("rule").tree()?;
    let rule = plan.rule(written.as_str()?)?;
    by_id.get(rule.address).copied()
}

fn event_target(place: Place<'_>, planned: &Planned<'_>) -> Tree {
    let mut made = Made::new(planned.span);
    for (property, attribute, how) in TARGET {
        made.put(property, rows::property(place, attribute, *how));
    }
    made.tree()
}

/// Sets a property; one that is there already gives way.
fn add(properties: &mut Tree, key: &str, value: Tree) {
    let Value::Map(entries) = &mut properties.value else { return };
    match entries.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => entry.value = value,
        None => entries.push(Entry { key: key.into(), key_span: value.span, value }),
    }
}

/// The policy that stands within a queue.
fn queue_policy(place: Place<'_>, planned: &Planned<'_>) -> Option<Resource> {
    let policy = place.at("policy").policy()?;
    let mut made = Made::new(planned.span);
    made.put("Queue", Some(itself(planned)));
    made.put("PolicyDocument", Some(policy));
    Some(made.resource(&format!("{}.policy", planned.address), "AWS::SQS::QueuePolicy"))
}

/// The policies that stand within a role.
fn inline_policies(place: Place<'_>, planned: &Planned<'_>) -> Vec<Resource> {
    let policies = place.blocks("inline_policy").into_iter().enumerate().filter_map(|(at, block)| {
        let mut made = Made::new(planned.span);
        made.put("RoleName", Some(itself(planned)));
        made.put("PolicyDocument", Some(block.at("policy").policy()?));
        Some(made.resource(&format!("{}.inline_policy[{at}]", planned.address), "AWS::IAM::RolePolicy"))
    });
    policies.collect()
}

/// How much of a policy's text is read for one of the plan's steps.
const POLICY_BYTES_A_STEP: usize = 100;

/// A policy of the plan that a role is given.
fn attached(plan: &Plan<'_>, place: Place<'_>, planned: &Planned<'_>) -> Option<Resource> {
    let policy = plan.planned.get(place.at("policy_arn").planned()?)?;
    // One large policy can be given to many roles.
    let bytes = policy.values.get("policy").and_then(Tree::as_str).map_or(0, str::len);
    if !plan.spend(1 + bytes / POLICY_BYTES_A_STEP) {
        return None;
    }
    let document = rows::property(Place::of(plan, policy), "policy", How::Policy)?;
    let mut made = Made::new(planned.span);
    made.put("RoleName", place.at("role").link());
    made.put("PolicyDocument", Some(document));
    Some(made.resource(planned.address, "AWS::IAM::RolePolicy"))
}

fn itself(planned: &Planned<'_>) -> Tree {
    let reference = crate::document::Reference::to(planned.address, None);
    Tree { value: Value::Reference(reference), span: planned.span }
}

/// A bucket's notifications, in the form of CDK's custom resource: for whichever bucket they are.
fn notification(place: Place<'_>, planned: &Planned<'_>) -> Resource {
    let mut made = Made::new(planned.span);
    made.put("BucketName", place.at("bucket").link());
    for (list, block, target, arn) in [
        ("LambdaConfigurations", "lambda_function", "Function", "lambda_function_arn"),
        ("QueueConfigurations", "queue", "Queue", "queue_arn"),
        ("TopicConfigurations", "topic", "Topic", "topic_arn"),
    ] {
        let all = place.blocks(block).into_iter().map(|block| {
            let mut one = Made::new(planned.span);
            one.put(target, block.at(arn).link());
            one.put("Events", block.at("events").tree());
            let rules = [("prefix", "filter_prefix"), ("suffix", "filter_suffix")];
            let rules = rules.into_iter().filter_map(|(name, attribute)| {
                let written = block.at(attribute).tree().filter(|tree| tree.as_str() != Some(""))?;
                let mut rule = Made::new(planned.span);
                rule.put("Name", Some(Tree::text(planned.span, name)));
                rule.put("Value", Some(written));
                Some(rule.tree())
            });
            let rules = Tree { value: Value::List(rules.collect()), span: planned.span };
            one.put("Filter.S3Key.Rules", Some(rules).filter(|rules| !rules.items().is_empty()));
            one.tree()
        });
        let all = Tree { value: Value::List(all.collect()), span: planned.span };
        made.put(
            &format!("NotificationConfiguration.{list}"),
            Some(all).filter(|all| !all.items().is_empty()),
        );
    }
    let to_bus = place.at("eventbridge").tree().filter(|tree| tree.as_bool() == Some(true));
    made.put("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", to_bus);
    made.resource(planned.address, "Custom::S3BucketNotifications")
}

/// What a target of a rule has.
const TARGET: &[(&str, &str, How)] = &[
    ("Id", "target_id", How::Value),
    ("Arn", "arn", How::Link),
    ("RoleArn", "role_arn", How::Link),
    ("Input", "input", How::Value),
    ("InputPath", "input_path", How::Value),
    ("InputTransformer.InputTemplate", "input_transformer.input_template", How::Value),
    ("DeadLetterConfig.Arn", "dead_letter_config.arn", How::Link),
    ("RetryPolicy.MaximumRetryAttempts", "retry_policy.maximum_retry_attempts", How::Value),
    ("RetryPolicy.MaximumEventAgeInSeconds", "retry_policy.maximum_event_age_in_seconds", How::Value),
    ("SqsParameters.MessageGroupId", "sqs_target.message_group_id", How::Value),
];
