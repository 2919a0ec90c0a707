//! Which of Terraform's resources and attributes are which of CloudFormation's.

use super::value::Place;
use crate::document::Tree;

/// How an attribute becomes a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// As it is.
    Value,
    /// It names a resource.
    Link,
    /// A text of JSON.
    Json,
    /// A policy document.
    Policy,
    /// A redrive policy.
    Redrive,
}

use How::{Json, Link, Policy, Redrive};

/// A property with dots between what lies in one another, the attribute likewise, and how the one becomes the other.
type Property = (&'static str, &'static str, How);

/// A type of resources.
#[derive(Debug)]
pub(super) struct Row {
    /// `aws_sqs_queue`.
    pub from: &'static str,
    /// `AWS::SQS::Queue`.
    pub to: &'static str,
    /// Its properties.
    pub properties: &'static [Property],
}

impl Row {
    const fn new(from: &'static str, to: &'static str, properties: &'static [Property]) -> Row {
        Row { from, to, properties }
    }
}

const fn value(property: &'static str, attribute: &'static str) -> Property {
    (property, attribute, How::Value)
}

/// The row of a type.
pub(super) fn row(of: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.from == of)
}

/// A property of a resource.
pub(super) fn property(place: Place<'_>, attribute: &str, how: How) -> Option<Tree> {
    let place = place.at(attribute);
    match how {
        How::Value => place.tree(),
        Link => place.link(),
        Json => place.json(),
        Policy => place.policy(),
        Redrive => place.redrive(),
    }
}

/// The attribute of CloudFormation's resource that one of Terraform's is; `None`: its `Ref`.
pub(super) fn attribute(of: &str, attribute: &str) -> Option<&'static str> {
    // The `Ref` of these is their ARN.
    let by_arn = [
        "aws_sns_topic",
        "aws_sfn_state_machine",
        "aws_lambda_alias",
        "aws_secretsmanager_secret",
        "aws_iam_policy",
    ];
    match attribute {
        "stream_arn" => Some("StreamArn"),
        "root_resource_id" => Some("RootResourceId"),
        "name" if of == "aws_sqs_queue" => Some("QueueName"),
        "arn" | "invoke_arn" | "qualified_arn" if !by_arn.contains(&of) => Some("Arn"),
        _ => None,
    }
}

const ROWS: &[Row] = &[
    Row::new("aws_lambda_function", "AWS::Lambda::Function", FUNCTION),
    Row::new(
        "aws_lambda_alias",
        "AWS::Lambda::Alias",
        &[
            value("Name", "name"),
            ("FunctionName", "function_name", Link),
            value("FunctionVersion", "function_version"),
        ],
    ),
    Row::new("aws_lambda_event_source_mapping", "AWS::Lambda::EventSourceMapping", EVENT_SOURCE),
    Row::new(
        "aws_lambda_function_event_invoke_config",
        "AWS::Lambda::EventInvokeConfig",
        &[
            ("FunctionName", "function_name", Link),
            value("Qualifier", "qualifier"),
            value("MaximumRetryAttempts", "maximum_retry_attempts"),
            value("MaximumEventAgeInSeconds", "maximum_event_age_in_seconds"),
            ("DestinationConfig.OnFailure.Destination", "destination_config.on_failure.destination", Link),
            ("DestinationConfig.OnSuccess.Destination", "destination_config.on_success.destination", Link),
        ],
    ),
    Row::new(
        "aws_lambda_function_url",
        "AWS::Lambda::Url",
        &[
            ("TargetFunctionArn", "function_name", Link),
            value("AuthType", "authorization_type"),
            value("InvokeMode", "invoke_mode"),
            value("Qualifier", "qualifier"),
        ],
    ),
    Row::new("aws_sqs_queue", "AWS::SQS::Queue", QUEUE),
    Row::new(
        "aws_sqs_queue_policy",
        "AWS::SQS::QueuePolicy",
        &[("Queue", "queue_url", Link), ("PolicyDocument", "policy", Policy)],
    ),
    Row::new(
        "aws_sns_topic",
        "AWS::SNS::Topic",
        &[
            value("TopicName", "name"),
            value("FifoTopic", "fifo_topic"),
            ("KmsMasterKeyId", "kms_master_key_id", Link),
        ],
    ),
    Row::new(
        "aws_sns_topic_subscription",
        "AWS::SNS::Subscription",
        &[
            ("TopicArn", "topic_arn", Link),
            value("Protocol", "protocol"),
            ("Endpoint", "endpoint", Link),
            ("FilterPolicy", "filter_policy", Json),
            value("FilterPolicyScope", "filter_policy_scope"),
            value("RawMessageDelivery", "raw_message_delivery"),
            ("RedrivePolicy", "redrive_policy", Redrive),
        ],
    ),
    Row::new("aws_cloudwatch_event_bus", "AWS::Events::EventBus", &[value("Name", "name")]),
    Row::new(
        "aws_cloudwatch_event_rule",
        "AWS::Events::Rule",
        &[
            value("Name", "name"),
            ("EventBusName", "event_bus_name", Link),
            ("EventPattern", "event_pattern", Json),
            value("ScheduleExpression", "schedule_expression"),
            value("State", "state"),
        ],
    ),
    Row::new("aws_scheduler_schedule", "AWS::Scheduler::Schedule", SCHEDULE),
    Row::new(
        "aws_dynamodb_table",
        "AWS::DynamoDB::Table",
        &[value("TableName", "name"), value("BillingMode", "billing_mode")],
    ),
    Row::new(
        "aws_kinesis_stream",
        "AWS::Kinesis::Stream",
        &[
            value("Name", "name"),
            value("ShardCount", "shard_count"),
            value("RetentionPeriodHours", "retention_period"),
            value("StreamModeDetails.StreamMode", "stream_mode_details.stream_mode"),
        ],
    ),
    Row::new("aws_s3_bucket", "AWS::S3::Bucket", &[value("BucketName", "bucket")]),
    Row::new("aws_sfn_state_machine", "AWS::StepFunctions::StateMachine", MACHINE),
    Row::new(
        "aws_apigatewayv2_api",
        "AWS::ApiGatewayV2::Api",
        &[value("Name", "name"), value("ProtocolType", "protocol_type"), ("Target", "target", Link)],
    ),
    Row::new("aws_apigatewayv2_integration", "AWS::ApiGatewayV2::Integration", HTTP_INTEGRATION),
    Row::new(
        "aws_apigatewayv2_route",
        "AWS::ApiGatewayV2::Route",
        &[("ApiId", "api_id", Link), value("RouteKey", "route_key")],
    ),
    Row::new(
        "aws_apigatewayv2_authorizer",
        "AWS::ApiGatewayV2::Authorizer",
        &[
            ("ApiId", "api_id", Link),
            value("AuthorizerType", "authorizer_type"),
            ("AuthorizerUri", "authorizer_uri", Link),
        ],
    ),
    Row::new(
        "aws_api_gateway_rest_api",
        "AWS::ApiGateway::RestApi",
        &[
            value("Name", "name"),
            ("Body", "body", Json),
            value("EndpointConfiguration.Types", "endpoint_configuration.types"),
        ],
    ),
    Row::new(
        "aws_api_gateway_resource",
        "AWS::ApiGateway::Resource",
        &[
            ("RestApiId", "rest_api_id", Link),
            ("ParentId", "parent_id", Link),
            value("PathPart", "path_part"),
        ],
    ),
    // CloudFormation has the integration within the method.
    Row::new("aws_api_gateway_integration", "AWS::ApiGateway::Method", REST_INTEGRATION),
    Row::new(
        "aws_api_gateway_authorizer",
        "AWS::ApiGateway::Authorizer",
        &[
            ("RestApiId", "rest_api_id", Link),
            value("Type", "type"),
            ("AuthorizerUri", "authorizer_uri", Link),
        ],
    ),
    Row::new("aws_iam_role", "AWS::IAM::Role", &[value("RoleName", "name")]),
    Row::new(
        "aws_iam_role_policy",
        "AWS::IAM::RolePolicy",
        &[("RoleName", "role", Link), ("PolicyDocument", "policy", Policy)],
    ),
    Row::new("aws_iam_policy", "AWS::IAM::ManagedPolicy", &[("PolicyDocument", "policy", Policy)]),
    Row::new("aws_secretsmanager_secret", "AWS::SecretsManager::Secret", &[value("Name", "name")]),
    Row::new(
        "aws_cloudwatch_log_group",
        "AWS::Logs::LogGroup",
        &[value("LogGroupName", "name"), value("RetentionInDays", "retention_in_days")],
    ),
    Row::new("aws_cloudwatch_metric_alarm", "AWS::CloudWatch::Alarm", &[]),
    Row::new("aws_budgets_budget", "AWS::Budgets::Budget", &[]),
];

const FUNCTION: &[Property] = &[
    value("FunctionName", "function_name"),
    value("Handler", "handler"),
    value("Runtime", "runtime"),
    value("PackageType", "package_type"),
    value("MemorySize", "memory_size"),
    value("Timeout", "timeout"),
    ("Role", "role", Link),
    value("Layers", "layers"),
    value("EphemeralStorage.Size", "ephemeral_storage.size"),
    ("DeadLetterConfig.TargetArn", "dead_letter_config.target_arn", Link),
    value("VpcConfig.SubnetIds", "vpc_config.subnet_ids"),
    value("VpcConfig.SecurityGroupIds", "vpc_config.security_group_ids"),
    value("TracingConfig.Mode", "tracing_config.mode"),
    value("SnapStart.ApplyOn", "snap_start.apply_on"),
    value("TenancyConfig.TenantIsolationMode", "tenancy_config.tenant_isolation_mode"),
    value("LoggingConfig.LogGroup", "logging_config.log_group"),
];

const EVENT_SOURCE: &[Property] = &[
    ("EventSourceArn", "event_source_arn", Link),
    ("FunctionName", "function_name", Link),
    value("BatchSize", "batch_size"),
    value("MaximumBatchingWindowInSeconds", "maximum_batching_window_in_seconds"),
    value("Enabled", "enabled"),
    value("FunctionResponseTypes", "function_response_types"),
    value("ScalingConfig.MaximumConcurrency", "scaling_config.maximum_concurrency"),
    value("MaximumRetryAttempts", "maximum_retry_attempts"),
    value("MaximumRecordAgeInSeconds", "maximum_record_age_in_seconds"),
    value("BisectBatchOnFunctionError", "bisect_batch_on_function_error"),
    value("ParallelizationFactor", "parallelization_factor"),
    value("TumblingWindowInSeconds", "tumbling_window_in_seconds"),
    ("DestinationConfig.OnFailure.Destination", "destination_config.on_failure.destination_arn", Link),
    value("ProvisionedPollerConfig.MaximumPollers", "provisioned_poller_config.maximum_pollers"),
    value("Topics", "topics"),
    value("Queues", "queues"),
];

const QUEUE: &[Property] = &[
    value("QueueName", "name"),
    value("FifoQueue", "fifo_queue"),
    value("FifoThroughputLimit", "fifo_throughput_limit"),
    value("DeduplicationScope", "deduplication_scope"),
    value("VisibilityTimeout", "visibility_timeout_seconds"),
    value("MessageRetentionPeriod", "message_retention_seconds"),
    value("MaximumMessageSize", "max_message_size"),
    value("DelaySeconds", "delay_seconds"),
    ("KmsMasterKeyId", "kms_master_key_id", Link),
    value("SqsManagedSseEnabled", "sqs_managed_sse_enabled"),
    ("RedrivePolicy", "redrive_policy", Redrive),
];

const SCHEDULE: &[Property] = &[
    value("Name", "name"),
    value("ScheduleExpression", "schedule_expression"),
    value("State", "state"),
    value("FlexibleTimeWindow.Mode", "flexible_time_window.mode"),
    ("Target.Arn", "target.arn", Link),
    ("Target.RoleArn", "target.role_arn", Link),
    ("Target.DeadLetterConfig.Arn", "target.dead_letter_config.arn", Link),
    value("Target.RetryPolicy.MaximumRetryAttempts", "target.retry_policy.maximum_retry_attempts"),
    value("Target.RetryPolicy.MaximumEventAgeInSeconds", "target.retry_policy.maximum_event_age_in_seconds"),
    value("Target.SqsParameters.MessageGroupId", "target.sqs_parameters.message_group_id"),
];

const MACHINE: &[Property] = &[
    value("StateMachineName", "name"),
    value("DefinitionString", "definition"),
    value("StateMachineType", "type"),
    value("LoggingConfiguration.Level", "logging_configuration.level"),
    value("LoggingConfiguration.IncludeExecutionData", "logging_configuration.include_execution_data"),
];

const HTTP_INTEGRATION: &[Property] = &[
    ("ApiId", "api_id", Link),
    value("IntegrationType", "integration_type"),
    value("IntegrationSubtype", "integration_subtype"),
    ("IntegrationUri", "integration_uri", Link),
    value("TimeoutInMillis", "timeout_milliseconds"),
    value("PayloadFormatVersion", "payload_format_version"),
    value("RequestParameters", "request_parameters"),
];

const REST_INTEGRATION: &[Property] = &[
    ("RestApiId", "rest_api_id", Link),
    ("ResourceId", "resource_id", Link),
    value("HttpMethod", "http_method"),
    value("Integration.Type", "type"),
    ("Integration.Uri", "uri", Link),
    value("Integration.TimeoutInMillis", "timeout_milliseconds"),
    value("Integration.IntegrationHttpMethod", "integration_http_method"),
];
