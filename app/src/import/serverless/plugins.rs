//! Plugins that make resources: step functions, Lift's constructs, AppSync; and those that we don't read.

use super::{
    events::{http_event, schedule_expressions},
    naming::{capital, letters, normal},
    service::{Service, entries_of_all, given, lambda},
    template::At,
};
use crate::document::{Entry, Tree, Value};

/// Plugins that draw edges or change functions in ways that are not read.
const UNREAD: [&str; 10] = [
    "serverless-plugin-warmup",
    "serverless-external-s3-event",
    "serverless-plugin-existing-s3",
    "serverless-plugin-lambda-dead-letter",
    "serverless-plugin-ifelse",
    "serverless-plugin-conditional-functions",
    "serverless-plugin-canary-deployments",
    "serverless-nested-stack",
    "serverless-sns-filter",
    "serverless-plugin-common-excludes-events",
];

/// States once what plugins do that is not read.
pub(super) fn unread(service: &mut Service) {
    let plugins = match service.root.get("plugins") {
        Some(plugins @ Tree { value: Value::Map(_), .. }) => plugins.get("modules").cloned(),
        plugins => plugins.cloned(),
    };
    for plugin in plugins.as_ref().map(Tree::items).unwrap_or_default() {
        let Some(name) = plugin.as_str() else { continue };
        if UNREAD.contains(&name) {
            let what = format!("the plugin {name} changes resources or events, and is not read");
            service.unknown(plugin.span, None, what);
        } else if name.starts_with('.') {
            let what = format!("the service's own plugin {name} is a program: what it changes is not known");
            service.unknown(plugin.span, None, what);
        }
    }
}

/// Lift's constructs.
pub(super) fn constructs(service: &mut Service) {
    for entry in entries_of_all(service.root.get("constructs").cloned().as_ref()) {
        match entry.value.get("type").and_then(Tree::as_str).unwrap_or("") {
            "queue" => queue(service, &entry),
            "webhook" => webhook(service, &entry),
            "storage" => {
                let id = format!("{}Bucket", entry.key);
                let at = At(entry.key_span);
                service.template.add(at, &id, "AWS::S3::Bucket", at.map::<0>([]));
            }
            "database/dynamodb-single-table" => table(service, &entry),
            "static-website" | "single-page-app" | "server-side-website" | "vpc" => {}
            kind => {
                let what = format!("the construct {} is of the kind `{kind}`, which is not read", entry.key);
                service.unknown(entry.key_span, None, what);
            }
        }
    }
}

/// A queue with its dead letters and its worker: the construct's own numbers.
fn queue(service: &mut Service, entry: &Entry) {
    let (at, own) = (At(entry.key_span), &entry.value);
    let fifo = own.get("fifo").and_then(Tree::as_bool) == Some(true);
    let worker = own.get("worker").cloned().unwrap_or(at.map::<0>([]));
    let (name, function) = match worker.as_str() {
        Some(name) => {
            let function = service.functions.iter().find(|entry| entry.key == name);
            (name.to_string(), function.map(|entry| entry.value.clone()))
        }
        None => (format!("{}Worker", entry.key), Some(worker.clone())),
    };
    let stated = function.as_ref().and_then(|function| given(function.get("timeout"))).cloned();
    let window = own.get("maxBatchingWindow");
    let seconds = match &stated {
        // The construct looks at the function alone, not at the provider's timeout.
        None => Some(6),
        Some(timeout) => timeout.as_i64(),
    };
    let visibility = seconds.zip(window.map_or(Some(0), Tree::as_i64));
    let visibility = match visibility {
        Some((timeout, window)) => at.integer(timeout.saturating_mul(6).saturating_add(window)),
        None => Tree::unknown(at.0, "six times a timeout that is not known"),
    };
    let (dead, queue) = (format!("{}Dlq", entry.key), format!("{}Queue", entry.key));
    let is_fifo = fifo.then(|| at.bool(true));
    let key = own.get("encryption").and_then(Tree::as_str).filter(|kind| *kind == "kmsManaged");
    let key = key.map(|_| at.text("alias/aws/sqs"));
    let properties = at.map([
        ("MessageRetentionPeriod", Some(at.integer(14 * 24 * 3_600))),
        ("FifoQueue", is_fifo.clone()),
        ("KmsMasterKeyId", key.clone()),
    ]);
    service.template.add(at, &dead, "AWS::SQS::Queue", properties);
    let attempts = given(own.get("maxRetries")).cloned().unwrap_or(at.integer(3));
    let redrive = at.map([
        ("deadLetterTargetArn", Some(at.attribute(&dead, "Arn"))),
        ("maxReceiveCount", Some(attempts)),
    ]);
    let properties = at.map([
        ("VisibilityTimeout", Some(visibility)),
        ("DelaySeconds", given(own.get("delay")).cloned()),
        ("RedrivePolicy", Some(redrive)),
        ("FifoQueue", is_fifo),
        ("KmsMasterKeyId", key),
    ]);
    service.template.add(at, &queue, "AWS::SQS::Queue", properties);
    let source = at.map([
        ("arn", Some(at.attribute(&queue, "Arn"))),
        ("batchSize", Some(given(own.get("batchSize")).cloned().unwrap_or(at.integer(1)))),
        ("maximumBatchingWindow", window.cloned()),
        ("maximumConcurrency", given(own.get("maxConcurrency")).cloned()),
        ("functionResponseType", Some(at.text("ReportBatchItemFailures"))),
    ]);
    let event = at.map([("sqs", Some(source))]);
    if worker.as_str().is_none() {
        service.names.insert(name.clone());
        service.functions.push(Entry { key: name.clone(), key_span: worker.span, value: worker });
    }
    if let Some(function) = service.functions.iter_mut().find(|entry| entry.key == name) {
        super::template::push(&mut function.value, &["events"], event);
    }
}

/// An HTTP API whose one route puts what comes in on a bus.
fn webhook(service: &mut Service, entry: &Entry) {
    let (at, own) = (At(entry.key_span), &entry.value);
    let id = |part: &str| format!("{}{part}", entry.key);
    let method = own.get("method").and_then(Tree::as_str).unwrap_or("POST").to_string();
    let path = own.get("path").and_then(Tree::as_str).unwrap_or("/").to_string();
    let api = at.map([("Name", Some(at.text(&entry.key))), ("ProtocolType", Some(at.text("HTTP")))]);
    service.template.add(at, &id("HttpApi"), "AWS::ApiGatewayV2::Api", api);
    let bus = at.map([("Name", Some(at.text(&entry.key)))]);
    service.template.add(at, &id("Bus"), "AWS::Events::EventBus", bus);
    let parameters =
        at.map([("EventBusName", Some(at.reference(&id("Bus")))), ("Source", Some(at.text(&entry.key)))]);
    let integration = at.map([
        ("ApiId", Some(at.reference(&id("HttpApi")))),
        ("IntegrationType", Some(at.text("AWS_PROXY"))),
        ("IntegrationSubtype", Some(at.text("EventBridge-PutEvents"))),
        ("RequestParameters", Some(parameters)),
    ]);
    service.template.add(at, &id("Integration"), "AWS::ApiGatewayV2::Integration", integration);
    let target = at.join("/", vec![at.text("integrations"), at.reference(&id("Integration"))]);
    let route = at.map([
        ("ApiId", Some(at.reference(&id("HttpApi")))),
        ("RouteKey", Some(at.text(format!("{method} {path}")))),
        ("Target", Some(target)),
    ]);
    service.template.add(at, &id("Route"), "AWS::ApiGatewayV2::Route", route);
    if let Some(authorizer) = own.get("authorizer").filter(|it| matches!(it.value, Value::Map(_))).cloned() {
        let name = id("Authorizer");
        service.names.insert(name.clone());
        service.functions.push(Entry { key: name, key_span: authorizer.span, value: authorizer });
    }
}

fn table(service: &mut Service, entry: &Entry) {
    let at = At(entry.key_span);
    let stream = at.map([("StreamViewType", Some(at.text("NEW_AND_OLD_IMAGES")))]);
    let properties =
        at.map([("BillingMode", Some(at.text("PAY_PER_REQUEST"))), ("StreamSpecification", Some(stream))]);
    service.template.add(at, &format!("{}Table", entry.key), "AWS::DynamoDB::Table", properties);
}

/// A variable of a construct: `${construct:jobs.queueUrl}`. `None`: none that is known.
pub(super) fn construct_variable(constructs: Option<&Tree>, address: &str, at: At) -> Option<Tree> {
    let (name, variable) = address.split_once('.')?;
    let kind = constructs?.at(&[name, "type"])?.as_str()?;
    Some(match (kind, variable) {
        ("queue", "queueUrl") => at.reference(&format!("{name}Queue")),
        ("queue", "queueArn") => at.attribute(&format!("{name}Queue"), "Arn"),
        ("queue", "dlqUrl") => at.reference(&format!("{name}Dlq")),
        ("queue", "dlqArn") => at.attribute(&format!("{name}Dlq"), "Arn"),
        ("webhook", "busName") => at.reference(&format!("{name}Bus")),
        ("storage", "bucketName") => at.reference(&format!("{name}Bucket")),
        ("storage", "bucketArn") => at.attribute(&format!("{name}Bucket"), "Arn"),
        ("database/dynamodb-single-table", "tableName") => at.reference(&format!("{name}Table")),
        ("database/dynamodb-single-table", "tableArn") => at.attribute(&format!("{name}Table"), "Arn"),
        ("database/dynamodb-single-table", "tableStreamArn") => {
            at.attribute(&format!("{name}Table"), "StreamArn")
        }
        _ => return None,
    })
}

/// State machines of `serverless-step-functions`.
pub(super) fn machines(service: &mut Service) {
    let all = service.root.at(&["stepFunctions", "stateMachines"]).cloned();
    for entry in entries_of_all(all.as_ref()) {
        let (at, own) = (At(entry.key_span), &entry.value);
        let id = match (own.get("id"), own.get("name").and_then(Tree::as_str)) {
            (Some(id), _) => id.as_str().unwrap_or(&entry.key).to_string(),
            (None, Some(name)) => normal(name),
            (None, None) => format!("{}StepFunctionsStateMachine", normal(&entry.key)),
        };
        let definition = own.get("definition").map(|it| localized(service, it));
        let logging = given(own.get("loggingConfig")).map(|config| {
            At(config.span).map([
                ("Level", config.get("level").map(uppercase)),
                ("IncludeExecutionData", config.get("includeExecutionData").cloned()),
                ("Destinations", config.get("destinations").cloned()),
            ])
        });
        let properties = at.map([
            ("StateMachineName", own.get("name").cloned()),
            ("StateMachineType", own.get("type").map(uppercase)),
            ("Definition", definition),
            ("LoggingConfiguration", logging),
        ]);
        service.template.add(at, &id, "AWS::StepFunctions::StateMachine", properties);
        machine_events(service, &entry, &id);
    }
}

fn uppercase(tree: &Tree) -> Tree {
    match tree.as_str() {
        Some(text) => Tree::text(tree.span, text.to_ascii_uppercase()),
        None => tree.clone(),
    }
}

/// A definition names functions as the service does; the plugin puts logical ids in their place.
fn localized(service: &Service, tree: &Tree) -> Tree {
    let value = match &tree.value {
        Value::List(items) => Value::List(items.iter().map(|item| localized(service, item)).collect()),
        Value::Map(entries) => {
            let local = |entry: &Entry| {
                let value = match (entry.key.as_str(), &entry.value.value) {
                    ("Fn::GetAtt", Value::List(items)) => {
                        let mut items = items.clone();
                        if let Some(first) = items.first_mut() {
                            *first = local_name(service, first);
                        }
                        Tree { value: Value::List(items), span: entry.value.span }
                    }
                    ("Ref", _) => local_name(service, &entry.value),
                    ("Fn::GetAtt", Value::Text(text)) => match text.split_once('.') {
                        Some((name, rest)) if service.names.contains(name) => {
                            Tree::text(entry.value.span, format!("{}.{rest}", lambda(name)))
                        }
                        _ => entry.value.clone(),
                    },
                    _ => localized(service, &entry.value),
                };
                Entry { key: entry.key.clone(), key_span: entry.key_span, value }
            };
            Value::Map(entries.iter().map(local).collect())
        }
        other => other.clone(),
    };
    Tree { value, span: tree.span }
}

fn local_name(service: &Service, tree: &Tree) -> Tree {
    match tree.as_str() {
        Some(name) if service.names.contains(name) => Tree::text(tree.span, lambda(name)),
        _ => tree.clone(),
    }
}

fn machine_events(service: &mut Service, machine: &Entry, id: &str) {
    let events = machine.value.get("events").map(Tree::items).unwrap_or_default().to_vec();
    let mut schedules = 0;
    for (index, entry) in events
        .iter()
        .enumerate()
        .flat_map(|(index, event)| event.entries().iter().map(move |entry| (index, entry)))
    {
        let (at, own) = (At(entry.key_span), &entry.value);
        let target = at.list(vec![at.map([
            ("Arn", Some(at.reference(id))),
            ("Id", Some(at.text(format!("{}-{index}", machine.key)))),
        ])]);
        let number = index + 1;
        match entry.key.as_str() {
            "http" => machine_http(service, at, own, id),
            "schedule" => {
                for expression in schedule_expressions(own) {
                    schedules += 1;
                    let rule = format!("{id}EventsRuleSchedule{schedules}");
                    let properties = at.map([
                        ("ScheduleExpression", Some(expression)),
                        ("State", Some(at.text(state(own)))),
                        ("Targets", Some(target.clone())),
                    ]);
                    service.template.add(at, &rule, "AWS::Events::Rule", properties);
                }
            }
            "eventBridge" | "cloudwatchEvent" => {
                let pattern = own.get("event").or_else(|| own.get("pattern")).cloned();
                let bus = own.get("eventBusName").or_else(|| own.get("eventBus")).cloned();
                let properties = at.map([
                    ("EventPattern", pattern),
                    ("EventBusName", bus),
                    ("State", Some(at.text(state(own)))),
                    ("Targets", Some(target)),
                ]);
                let rule = format!("{id}EventsRuleCloudWatchEvent{number}");
                service.template.add(at, &rule, "AWS::Events::Rule", properties);
            }
            kind => {
                let what = format!("an event of {} is of the kind `{kind}`, which is not read", machine.key);
                service.unknown(at.0, Some(id), what);
            }
        }
    }
}

fn state(own: &Tree) -> &'static str {
    if own.get("enabled").and_then(Tree::as_bool) == Some(false) { "DISABLED" } else { "ENABLED" }
}

fn machine_http(service: &mut Service, at: At, own: &Tree, id: &str) {
    let (method, path) = match own.as_str().and_then(|text| text.split_once(' ')) {
        Some((method, path)) => (method.to_string(), path.to_string()),
        None => {
            let of = |key: &str| own.get(key).and_then(Tree::as_str).unwrap_or("").to_string();
            (of("method"), of("path"))
        }
    };
    let action = own.get("action").and_then(Tree::as_str).unwrap_or("StartExecution");
    let parts = vec![
        at.text("arn:"),
        at.reference("AWS::Partition"),
        at.text(":apigateway:"),
        at.reference("AWS::Region"),
        at.text(format!(":states:action/{action}")),
    ];
    let template = at.join("", vec![at.text("{\"stateMachineArn\":\""), at.reference(id), at.text("\"}")]);
    let templates = at.map([("application/json", Some(template))]);
    let integration = at.map([
        ("IntegrationHttpMethod", Some(at.text("POST"))),
        ("Type", Some(at.text("AWS"))),
        ("Uri", Some(at.join("", parts))),
        ("RequestTemplates", Some(templates)),
    ]);
    http_event(service, at, (&method, &path), integration, None);
}

/// AppSync in its basics: the API and the functions behind its data sources.
pub(super) fn app_sync(service: &mut Service) {
    let Some(api) = given(service.root.get("appSync")).cloned() else { return };
    for api in api.one_or_many() {
        let at = At(api.span);
        let id = "GraphQlApi";
        let properties = at.map([
            ("Name", api.get("name").cloned()),
            ("AuthenticationType", api.at(&["authentication", "type"]).cloned()),
        ]);
        service.template.add(at, id, "AWS::AppSync::GraphQLApi", properties);
        for source in entries_of_all(api.get("dataSources")) {
            let at = At(source.key_span);
            let name = source.value.get("name").and_then(Tree::as_str).unwrap_or(&source.key).to_string();
            let config = source.value.get("config");
            let function = config.and_then(|it| it.get("functionName").or_else(|| it.get("functionArn")));
            let function = function.map(|it| service.named(at, it));
            let lambda_config = function.map(|arn| at.map([("LambdaFunctionArn", Some(arn))]));
            let table = config.and_then(|it| it.get("tableName")).cloned();
            let properties = at.map([
                ("ApiId", Some(at.attribute(id, "ApiId"))),
                ("Name", Some(at.text(&name))),
                ("Type", source.value.get("type").cloned()),
                ("LambdaConfig", lambda_config),
                ("DynamoDBConfig", table.map(|table| at.map([("TableName", Some(table))]))),
            ]);
            let source_id = format!("GraphQlDs{}", letters(&capital(&name)));
            service.template.add(at, &source_id, "AWS::AppSync::DataSource", properties);
        }
    }
}
