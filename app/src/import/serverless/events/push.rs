//! What other services send: topics, buckets, schedules, rules and the rest.

use super::{Event, is_intrinsic};
use crate::{
    document::{Tree, Value},
    import::serverless::{
        function::upper,
        naming::{capital, letters, normal},
        service::{Service, concat, given},
        template::{At, merge, push},
    },
};

/// A topic: an existing one by its ARN, else one that the framework makes.
pub(super) fn topic(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let given_arn = match event.own.as_str() {
        Some(text) if text.starts_with("arn:") => Some(event.own),
        _ => event.get("arn").or_else(|| {
            let intrinsic = event.own.entries().first().is_some_and(|entry| is_intrinsic(&entry.key));
            (intrinsic || matches!(event.own.value, Value::Pieces(_))).then_some(event.own)
        }),
    };
    let own_name = event.get("topicName").or(event.own.as_str().map(|_| event.own));
    let name = match (own_name.and_then(Tree::as_str), given_arn) {
        (Some(name), _) => name.rsplit(':').next().unwrap_or(name).to_string(),
        (None, Some(arn)) => super::super::naming::of_arn(arn, ':'),
        (None, None) => String::new(),
    };
    let subscription_id = format!("{}SnsSubscription{}", normal(event.function), letters(&name));
    let topic = match given_arn {
        Some(arn) => arn.clone(),
        None => {
            let id = format!("SNSTopic{}", letters(&name));
            if !service.template.has(&id) {
                let properties =
                    at.map([("TopicName", own_name.cloned()), ("DisplayName", event.copy("displayName"))]);
                event.add(service, &id, "AWS::SNS::Topic", properties);
            }
            at.reference(&id)
        }
    };
    if given_arn.is_none() && event.get("filterPolicy").is_none() && event.get("redrivePolicy").is_none() {
        let subscription =
            at.map([("Endpoint", Some(event.target(service))), ("Protocol", Some(at.text("lambda")))]);
        if let Some(resource) = service.template.resource_mut(&format!("SNSTopic{}", letters(&name))) {
            push(resource, &["Properties", "Subscription"], subscription);
        }
        return;
    }
    if let Some(redrive) = redrive(event) {
        dead_letter_policy(service, event, &name, &redrive, &topic);
    }
    let properties = at.map([
        ("TopicArn", Some(topic)),
        ("Protocol", Some(at.text("lambda"))),
        ("Endpoint", Some(event.target(service))),
        ("FilterPolicy", event.copy("filterPolicy")),
        ("FilterPolicyScope", event.copy("filterPolicyScope")),
        ("RedrivePolicy", redrive(event)),
    ]);
    event.add(service, &subscription_id, "AWS::SNS::Subscription", properties);
}

fn redrive(event: &Event<'_>) -> Option<Tree> {
    let policy = event.get("redrivePolicy")?;
    let at = At(policy.span);
    let target = match (policy.get("deadLetterTargetRef"), policy.get("deadLetterTargetImport")) {
        (Some(id), _) => at.attribute(id.as_str()?, "Arn"),
        (None, Some(import)) => at.map([("Fn::ImportValue", import.get("arn").cloned())]),
        (None, None) => policy.get("deadLetterTargetArn")?.clone(),
    };
    Some(at.map([("deadLetterTargetArn", Some(target))]))
}

/// The policy by which the framework lets a topic send to the queue of a subscription's dead letters.
fn dead_letter_policy(service: &mut Service, event: &Event<'_>, name: &str, redrive: &Tree, topic: &Tree) {
    let Some(arn) = redrive.get("deadLetterTargetArn") else { return };
    let own = event.own.at(&["redrivePolicy", "deadLetterTargetRef"]).and_then(Tree::as_str);
    let at = At(redrive.span);
    let queue = match own {
        Some(id) => at.reference(id),
        None => arn.clone(),
    };
    let source = Tree::map(at.0, vec![at.entry("aws:SourceArn", topic.clone())]);
    let statement = at.map([
        ("Effect", Some(at.text("Allow"))),
        ("Principal", Some(at.map([("Service", Some(at.text("sns.amazonaws.com")))]))),
        ("Action", Some(at.text("sqs:SendMessage"))),
        ("Resource", Some(arn.clone())),
        ("Condition", Some(at.map([("ArnEquals", Some(source))]))),
    ]);
    let document = at.map([("Statement", Some(at.list(vec![statement])))]);
    let properties = at.map([("PolicyDocument", Some(document)), ("Queues", Some(at.list(vec![queue])))]);
    let id = format!("{}To{}DLQPolicy", letters(name), normal(event.function));
    event.add(service, &id, "AWS::SQS::QueuePolicy", properties);
}

/// A bucket: one that the framework makes, or one that is there.
pub(super) fn bucket(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let Some(name) = event.get_or_self("bucket").cloned() else { return };
    let kind = event.copy("event").unwrap_or(at.text("s3:ObjectCreated:*"));
    if event.get("existing").and_then(Tree::as_bool) == Some(true) {
        // The framework sets it on the bucket after the deployment, by a custom resource.
        let id = format!("{}CustomS31", normal(event.function));
        let rules = event.get("rules").map(|rules| {
            let capitals = rules.items().iter().map(upper).collect();
            At(rules.span).list(capitals)
        });
        if !service.template.has(&id) {
            let target = Some(event.target(service));
            let properties = at.map([("FunctionName", target), ("BucketName", Some(name))]);
            event.add(service, &id, "Custom::S3", properties);
        }
        let config = at.map([("Event", Some(kind)), ("Rules", rules)]);
        if let Some(resource) = service.template.resource_mut(&id) {
            push(resource, &["Properties", "BucketConfigs"], config);
        }
        return;
    }
    let filter = event.get("rules").map(|rules| {
        let at = At(rules.span);
        let rules = at.list(rules.items().iter().filter_map(key_rule).collect());
        at.map([("S3Key", Some(at.map([("Rules", Some(rules))])))])
    });
    let notification =
        at.map([("Event", Some(kind)), ("Function", Some(event.target(service))), ("Filter", filter)]);
    let key = name.as_str().unwrap_or("").to_string();
    let id = format!("S3Bucket{}", letters(&key));
    if !service.template.has(&id) {
        let own = given(service.provider.at(&["s3", &key])).map(upper);
        let named = own.as_ref().and_then(|own| own.get("Name")).cloned();
        let mut properties = at.map([("BucketName", Some(named.unwrap_or(name)))]);
        if let Some(mut own) = own {
            if let Value::Map(entries) = &mut own.value {
                entries.retain(|entry| entry.key != "Name");
            }
            merge(&mut properties, own);
        }
        event.add(service, &id, "AWS::S3::Bucket", properties);
    }
    if let Some(resource) = service.template.resource_mut(&id) {
        let keys = ["Properties", "NotificationConfiguration", "LambdaConfigurations"];
        push(resource, &keys, notification);
    }
}

/// A rule of a bucket's keys: `prefix: uploads/` in CloudFormation's words.
fn key_rule(rule: &Tree) -> Option<Tree> {
    let entry = rule.entries().first()?;
    let at = At(entry.key_span);
    Some(at.map([("Name", Some(at.text(&entry.key))), ("Value", Some(entry.value.clone()))]))
}

/// The expressions of a schedule: one, or a list.
pub(in crate::import::serverless) fn schedule_expressions(own: &Tree) -> Vec<Tree> {
    let all = match &own.value {
        Value::Map(_) => own.get("rate").cloned(),
        _ => Some(own.clone()),
    };
    all.map(|all| all.one_or_many().to_vec()).unwrap_or_default()
}

fn state(event: &Event<'_>, enabled: &str, disabled: &str) -> Tree {
    match event.get("enabled") {
        Some(is) if is.as_bool() == Some(false) => At(is.span).text(disabled),
        Some(Tree { value: Value::Unknown(unknown), span }) => Tree::unknown(*span, unknown.why.clone()),
        Some(is) => At(is.span).text(enabled),
        None => event.at.text(enabled),
    }
}

/// A schedule; how many rules it makes.
pub(super) fn schedule(service: &mut Service, event: &Event<'_>) -> usize {
    let expressions = schedule_expressions(event.own);
    let by_scheduler = event.get("method").and_then(Tree::as_str) == Some("scheduler");
    let role = service.template.resource(&event.lambda()).and_then(|it| it.at(&["Properties", "Role"]));
    let role = role.cloned();
    for (more, expression) in expressions.iter().enumerate() {
        let at = At(expression.span);
        let number = event.number + more;
        let target = at.map([
            ("Arn", Some(event.target(service))),
            ("Id", (!by_scheduler).then(|| at.text(format!("{}Schedule", event.function)))),
            ("RoleArn", role.clone().filter(|_| by_scheduler)),
        ]);
        let (id, of, target) = if by_scheduler {
            let id = format!("{}SchedulerSchedule{number}", normal(event.function));
            (id, "AWS::Scheduler::Schedule", ("Target", Some(target)))
        } else {
            let id = format!("{}EventsRuleSchedule{number}", normal(event.function));
            (id, "AWS::Events::Rule", ("Targets", Some(at.list(vec![target]))))
        };
        let properties = at.map([
            ("ScheduleExpression", Some(expression.clone())),
            ("State", Some(state(event, "ENABLED", "DISABLED"))),
            ("Name", event.copy("name")),
            target,
        ]);
        event.add(service, &id, of, properties);
    }
    expressions.len()
}

/// A rule of a bus, with a pattern or a schedule.
pub(super) fn event_bridge(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let bus = event.get("eventBus");
    let bus_name = match bus.and_then(Tree::as_str) {
        Some(text) if text.starts_with("arn") => None,
        text => text.filter(|name| *name != "default"),
    };
    let bus = match (bus_name, bus) {
        (Some(name), Some(tree)) => {
            let id = format!("{}EventBridgeEventBus", normal(name));
            if !service.template.has(&id) {
                let at = At(tree.span);
                let properties = at.map([("Name", Some(tree.clone()))]);
                event.add(service, &id, "AWS::Events::EventBus", properties);
            }
            Some(At(tree.span).reference(&id))
        }
        (_, bus) => bus.cloned(),
    };
    // The logical id is made of this name, whatever name the event states.
    let prefix = service.prefix(at);
    let usual = concat(at, &[&prefix, &at.text(format!("-{}-rule-{}", event.function, event.place))]);
    let usual_text = usual.as_str().map(str::to_string);
    let id_name = usual_text.unwrap_or_else(|| format!("{}rule{}", event.function, event.place));
    let name = event.copy("name").unwrap_or(usual);
    let dead_letters = event.get("deadLetterQueueArn");
    let retry = event.get("retryPolicy").map(|policy| {
        At(policy.span).map([
            ("MaximumEventAgeInSeconds", policy.get("maximumEventAge").cloned()),
            ("MaximumRetryAttempts", policy.get("maximumRetryAttempts").cloned()),
        ])
    });
    let target = at.map([
        ("Arn", Some(event.target(service))),
        ("Id", Some(at.text(format!("{}-target", event.function)))),
        ("RetryPolicy", retry),
        ("DeadLetterConfig", dead_letters.map(|arn| At(arn.span).map([("Arn", Some(arn.clone()))]))),
    ]);
    let id = format!("{}EventBridgeRule", letters(&id_name));
    let properties = at.map([
        ("EventBusName", bus),
        ("EventPattern", event.copy("pattern")),
        ("Name", Some(name)),
        ("ScheduleExpression", event.copy("schedule")),
        ("State", Some(state(event, "ENABLED", "DISABLED"))),
        ("Targets", Some(at.list(vec![target]))),
    ]);
    event.add(service, &id, "AWS::Events::Rule", properties);
}

/// A rule of the default bus, in the older words.
pub(super) fn cloudwatch_event(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let target = at.map([
        ("Arn", Some(event.target(service))),
        ("Id", Some(at.text(format!("{}CloudWatchEvent", event.function)))),
    ]);
    let id = format!("{}EventsRuleCloudWatchEvent{}", normal(event.function), event.number);
    let properties = at.map([
        ("EventPattern", event.copy("event")),
        ("Name", event.copy("name")),
        ("State", Some(state(event, "ENABLED", "DISABLED"))),
        ("Targets", Some(at.list(vec![target]))),
    ]);
    event.add(service, &id, "AWS::Events::Rule", properties);
}

/// What is written to a log group.
pub(super) fn log(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let number = event.number;
    let id = format!("{}LogsSubscriptionFilterCloudWatchLog{number}", normal(event.function));
    let properties = at.map([
        ("LogGroupName", event.get_or_self("logGroup").cloned()),
        ("FilterPattern", Some(event.copy("filter").unwrap_or(at.text("")))),
        ("DestinationArn", Some(event.target(service))),
    ]);
    event.add(service, &id, "AWS::Logs::SubscriptionFilter", properties);
}

/// A rule over messages of things.
pub(super) fn iot(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let lambda = at.map([("FunctionArn", Some(event.target(service)))]);
    let action = at.map([("Lambda", Some(lambda))]);
    let disabled = event.get("enabled").and_then(Tree::as_bool) == Some(false);
    let payload = at.map([
        ("RuleDisabled", Some(at.bool(disabled))),
        ("Sql", event.copy("sql")),
        ("Actions", Some(at.list(vec![action]))),
    ]);
    let id = format!("{}IotTopicRule{}", normal(event.function), event.number);
    let properties = at.map([("RuleName", event.copy("name")), ("TopicRulePayload", Some(payload))]);
    event.add(service, &id, "AWS::IoT::TopicRule", properties);
}

/// A trigger of a user pool: one that the framework makes, or one that is there.
pub(super) fn user_pool(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let Some(pool) = event.get("pool").cloned() else { return };
    let Some(trigger) = event.get("trigger").and_then(Tree::as_str).map(capital) else { return };
    if event.get("existing").and_then(Tree::as_bool) == Some(true) {
        // The framework sets it on the pool after the deployment, by one custom resource for each function.
        let id = format!("{}CustomCognitoUserPool1", normal(event.function));
        if !service.template.has(&id) {
            let target = Some(event.target(service));
            let properties = at.map([("FunctionName", target), ("UserPoolName", Some(pool))]);
            event.add(service, &id, "Custom::CognitoUserPool", properties);
        }
        let config = at.map([("Trigger", Some(at.text(&trigger)))]);
        if let Some(resource) = service.template.resource_mut(&id) {
            push(resource, &["Properties", "UserPoolConfigs"], config);
        }
        return;
    }
    let config = at.map([(trigger.as_str(), Some(event.target(service)))]);
    let id = format!("CognitoUserPool{}", pool.as_str().map_or_else(String::new, letters));
    let properties = at.map([("UserPoolName", Some(pool)), ("LambdaConfig", Some(config))]);
    event.add(service, &id, "AWS::Cognito::UserPool", properties);
}

/// A listener's rule of a load balancer.
pub(super) fn load_balancer(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let listener =
        event.copy("listenerArn").or_else(|| service.provider.at(&["alb", "listenerArn"]).cloned());
    let balancer = listener.as_ref().and_then(Tree::as_str).and_then(|arn| arn.split('/').nth(3));
    let balancer = balancer.unwrap_or("");
    let group = format!("{}AlbTargetGroup{balancer}", normal(event.function));
    let target = at.map([("Id", Some(event.target(service)))]);
    let properties =
        at.map([("TargetType", Some(at.text("lambda"))), ("Targets", Some(at.list(vec![target])))]);
    event.add(service, &group, "AWS::ElasticLoadBalancingV2::TargetGroup", properties);
    let action = at.map([("Type", Some(at.text("forward"))), ("TargetGroupArn", Some(at.reference(&group)))]);
    let path = event.own.at(&["conditions", "path"]).map(|paths| {
        let at = At(paths.span);
        let all = at.list(paths.one_or_many().to_vec());
        at.list(vec![at.map([("Field", Some(at.text("path-pattern"))), ("Values", Some(all))])])
    });
    let priority = event.get("priority").and_then(Tree::as_i64);
    let number = priority.map_or_else(|| event.number.to_string(), |number| number.to_string());
    let id = format!("{}AlbListenerRule{number}", normal(event.function));
    let properties = at.map([
        ("Actions", Some(at.list(vec![action]))),
        ("Conditions", path),
        ("ListenerArn", listener),
        ("Priority", event.copy("priority")),
    ]);
    event.add(service, &id, "AWS::ElasticLoadBalancingV2::ListenerRule", properties);
}

/// A service that is only allowed to invoke the function: which events it sends, no file says.
pub(super) fn permission(service: &mut Service, event: &Event<'_>, kind: &str, principal: &str) {
    let at = event.at;
    let number = event.number;
    let id = format!("{}LambdaPermission{kind}{number}", normal(event.function));
    let properties = at.map([
        ("FunctionName", Some(event.target(service))),
        ("Action", Some(at.text("lambda:InvokeFunction"))),
        ("Principal", Some(at.text(principal))),
    ]);
    event.add(service, &id, "AWS::Lambda::Permission", properties);
}

/// At a distribution's edge. All such functions share one distribution.
pub(super) fn cloud_front(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let version = format!("{}LambdaVersion", normal(event.function));
    let association =
        at.map([("EventType", event.copy("eventType")), ("LambdaFunctionARN", Some(at.reference(&version)))]);
    const ID: &str = "CloudFrontDistribution";
    let behaviour = at.map([
        ("PathPattern", event.copy("pathPattern")),
        ("LambdaFunctionAssociations", Some(at.list(vec![association]))),
    ]);
    if !service.template.has(ID) {
        let config = at.map([("Enabled", Some(at.bool(true)))]);
        service.template.add(
            at,
            ID,
            "AWS::CloudFront::Distribution",
            at.map([("DistributionConfig", Some(config))]),
        );
    }
    if let Some(resource) = service.template.resource_mut(ID) {
        push(resource, &["Properties", "DistributionConfig", "CacheBehaviors"], behaviour);
    }
}
