//! Actions of IAM that give work to a resource.

use crate::design::Mode;

/// Actions that give work to the resource that they are granted on, and whether the caller waits.
const ACTIONS: &[(&str, Mode)] = &[
    ("sqs:SendMessage", Mode::Async),
    ("sqs:SendMessageBatch", Mode::Async),
    ("sns:Publish", Mode::Async),
    ("sns:PublishBatch", Mode::Async),
    ("events:PutEvents", Mode::Async),
    ("lambda:InvokeFunction", Mode::Unknown),
    ("lambda:InvokeAsync", Mode::Async),
    ("lambda:InvokeFunctionUrl", Mode::Sync),
    ("states:StartExecution", Mode::Async),
    ("states:StartSyncExecution", Mode::Sync),
    ("kinesis:PutRecord", Mode::Async),
    ("kinesis:PutRecords", Mode::Async),
    ("firehose:PutRecord", Mode::Async),
    ("firehose:PutRecordBatch", Mode::Async),
    ("dynamodb:PutItem", Mode::Async),
    ("dynamodb:UpdateItem", Mode::Async),
    ("dynamodb:DeleteItem", Mode::Async),
    ("dynamodb:BatchWriteItem", Mode::Async),
    ("dynamodb:PartiQLInsert", Mode::Async),
    ("dynamodb:PartiQLUpdate", Mode::Async),
    ("dynamodb:PartiQLDelete", Mode::Async),
    ("s3:PutObject", Mode::Async),
    ("scheduler:CreateSchedule", Mode::Async),
    ("scheduler:UpdateSchedule", Mode::Async),
    ("ecs:RunTask", Mode::Async),
    ("batch:SubmitJob", Mode::Async),
    ("codebuild:StartBuild", Mode::Async),
    ("glue:StartJobRun", Mode::Async),
    ("execute-api:Invoke", Mode::Sync),
    ("appsync:GraphQL", Mode::Sync),
    ("rds-db:connect", Mode::Sync),
    ("neptune-db:connect", Mode::Sync),
    ("elasticache:Connect", Mode::Sync),
    ("memorydb:Connect", Mode::Sync),
    ("es:ESHttpDelete", Mode::Sync),
    ("es:ESHttpGet", Mode::Sync),
    ("es:ESHttpPatch", Mode::Sync),
    ("es:ESHttpPost", Mode::Sync),
    ("es:ESHttpPut", Mode::Sync),
    ("rds-data:ExecuteStatement", Mode::Sync),
    ("rds-data:BatchExecuteStatement", Mode::Sync),
    ("es:ESHttpPost", Mode::Sync),
    ("es:ESHttpPut", Mode::Sync),
    ("es:ESHttpPatch", Mode::Sync),
    ("es:ESHttpDelete", Mode::Sync),
    // These read, and yet they are calls that are made, and have a rate.
    ("secretsmanager:GetSecretValue", Mode::Sync),
    ("ssm:GetParameter", Mode::Sync),
    ("ssm:GetParameters", Mode::Sync),
];

/// An action as AWS writes it: IAM takes any case, and SAM's policies have `sqs:SendMessage*`. `None`: it gives no
/// work.
pub(super) fn known(action: &str) -> Option<&'static str> {
    let action = action.strip_suffix('*').unwrap_or(action);
    let named = |(name, _): &&(&'static str, Mode)| name.eq_ignore_ascii_case(action);
    ACTIONS.iter().find(named).map(|(name, _)| *name)
}

/// Whether the caller of an action waits.
pub(super) fn mode_of(action: &str) -> Option<Mode> {
    ACTIONS.iter().find(|(name, _)| *name == action).map(|(_, mode)| *mode)
}

/// Sets of actions of which each has one that the statement grants: such a statement allows every kind of use, and
/// says nothing about which is made. So are SAM's CRUD policies and CDK's grants of reading and writing.
const BOTH_WAYS: &[&[&[&str]]] = &[
    &[
        &["dynamodb:PutItem", "dynamodb:UpdateItem"],
        &["dynamodb:DeleteItem"],
        &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"],
    ],
    &[&["s3:PutObject"], &["s3:DeleteObject", "s3:DeleteObject*"], &["s3:GetObject", "s3:GetObject*"]],
    &[&["sqs:SendMessage"], &["sqs:ReceiveMessage"]],
    &[&["sns:Publish"], &["sns:Subscribe", "sns:CreateTopic", "sns:SetTopicAttributes"]],
    &[&["kinesis:PutRecord", "kinesis:PutRecords"], &["kinesis:GetRecords"]],
    &[&["firehose:PutRecord"], &["firehose:CreateDeliveryStream", "firehose:UpdateDestination"]],
];

/// Whether an action reads what a resource keeps, where a variable that names the resource may be there for reading
/// alone. A queue's consumer is handed its messages, and needs no name for that.
pub(super) fn reads(action: &str) -> bool {
    let action = action.strip_suffix('*').unwrap_or(action);
    action.eq_ignore_ascii_case("s3:GetObject") || action.eq_ignore_ascii_case("s3:Get")
}

/// Whether a statement with these actions allows every kind of use.
pub(super) fn both_ways(actions: &[&str]) -> bool {
    let granted = |names: &[&str]| {
        names.iter().any(|name| actions.iter().any(|action| action.eq_ignore_ascii_case(name)))
    };
    BOTH_WAYS.iter().any(|set| set.iter().all(|names| granted(names)))
}
