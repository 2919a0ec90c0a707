//! Other services that call functions or send to queues: a table of types and where in them the target stands.

use super::{Row, Wire, index::At, pattern::Pattern};
use crate::{
    design::{Mode, Via},
    document::{Tree, Value},
};

/// What this module reads. A function's `Permission` is no trigger: it allows one, and does not make it.
pub(super) const ROWS: &[Row] = &[
    Row::of("Custom::*").edges(custom_resource),
    Row::of("AWS::Cognito::UserPool").edges(user_pool),
    Row::of("Custom::CognitoUserPool").edges(existing_user_pool),
    Row::of("AWS::Logs::SubscriptionFilter").edges(log_subscription),
    Row::of("AWS::IoT::TopicRule").edges(iot_rule),
    Row::of("AWS::SES::ReceiptRule").edges(received_mail),
    Row::of("AWS::CodePipeline::Pipeline").edges(pipeline),
    Row::of("AWS::SecretsManager::RotationSchedule").edges(rotation),
    Row::of("AWS::IoT::Authorizer").edges(plain),
    Row::of("AWS::Config::ConfigRule").edges(plain),
    Row::of("AWS::Config::OrganizationConfigRule").edges(plain),
    Row::of("AWS::CloudFront::Distribution").edges(plain),
    Row::of("AWS::Bedrock::Agent").edges(plain),
    Row::of("AWS::S3ObjectLambda::AccessPoint").edges(plain),
    Row::of("AWS::Transfer::Workflow").edges(plain),
    Row::of("AWS::Transfer::Server").edges(plain),
    Row::of("AWS::VpcLattice::TargetGroup").edges(plain),
    Row::of("AWS::CloudFormation::Macro").edges(plain),
    Row::of("AWS::Lex::BotAlias").edges(plain),
];

/// A type whose functions stand at fixed places. `*`: each element, or each value.
struct Plain {
    of: &'static str,
    path: &'static [&'static str],
    trigger: &'static str,
    mode: Mode,
}

const PLAIN: &[Plain] = &[
    Plain {
        of: "AWS::IoT::Authorizer",
        path: &["AuthorizerFunctionArn"],
        trigger: "IoT authorizer",
        mode: Mode::Sync,
    },
    Plain {
        of: "AWS::Config::ConfigRule",
        path: &["Source", "SourceIdentifier"],
        trigger: "rule of AWS Config",
        mode: Mode::Async,
    },
    Plain {
        of: "AWS::Config::OrganizationConfigRule",
        path: &["OrganizationCustomRuleMetadata", "LambdaFunctionArn"],
        trigger: "rule of AWS Config",
        mode: Mode::Async,
    },
    Plain {
        of: "AWS::CloudFront::Distribution",
        path: &[
            "DistributionConfig",
            "DefaultCacheBehavior",
            "LambdaFunctionAssociations",
            "*",
            "LambdaFunctionARN",
        ],
        trigger: "CloudFront",
        mode: Mode::Sync,
    },
    Plain {
        of: "AWS::CloudFront::Distribution",
        path: &[
            "DistributionConfig",
            "CacheBehaviors",
            "*",
            "LambdaFunctionAssociations",
            "*",
            "LambdaFunctionARN",
        ],
        trigger: "CloudFront",
        mode: Mode::Sync,
    },
    Plain {
        of: "AWS::Bedrock::Agent",
        path: &["ActionGroups", "*", "ActionGroupExecutor", "Lambda"],
        trigger: "agent",
        mode: Mode::Sync,
    },
    Plain {
        of: "AWS::S3ObjectLambda::AccessPoint",
        path: &[
            "ObjectLambdaConfiguration",
            "TransformationConfigurations",
            "*",
            "ContentTransformation",
            "AwsLambda",
            "FunctionArn",
        ],
        trigger: "object access point",
        mode: Mode::Sync,
    },
    Plain {
        of: "AWS::Transfer::Workflow",
        path: &["Steps", "*", "CustomStepDetails", "Target"],
        trigger: "transfer workflow",
        mode: Mode::Async,
    },
    Plain {
        of: "AWS::Transfer::Server",
        path: &["IdentityProviderDetails", "Function"],
        trigger: "transfer server's sign-in",
        mode: Mode::Sync,
    },
    Plain {
        of: "AWS::VpcLattice::TargetGroup",
        path: &["Targets", "*", "Id"],
        trigger: "VPC Lattice",
        mode: Mode::Sync,
    },
    Plain { of: "AWS::CloudFormation::Macro", path: &["FunctionName"], trigger: "macro", mode: Mode::Sync },
    Plain {
        of: "AWS::Lex::BotAlias",
        path: &[
            "BotAliasLocaleSettings",
            "*",
            "BotAliasLocaleSetting",
            "CodeHookSpecification",
            "LambdaCodeHook",
            "LambdaArn",
        ],
        trigger: "bot",
        mode: Mode::Sync,
    },
];

fn plain(wire: &mut Wire<'_>, at: At) {
    let resource = wire.resource(at);
    for row in PLAIN.iter().filter(|row| row.of == resource.resource_type) {
        for target in along(&resource.properties, row.path) {
            // The same property names AWS's own rules, other kinds of targets and plain addresses.
            if leads_to_function(wire, at, target) {
                let node = wire.node_or_external(at);
                wire.wired_to(at, node, target, "lambda", &(row.mode, Via::Trigger(row.trigger.into())));
            }
        }
    }
}

/// Whether a value is an ARN, or names a function of the files.
fn leads_to_function(wire: &Wire<'_>, at: At, value: &Tree) -> bool {
    let is_arn = Pattern::of(value).is_some_and(|text| text.text.contains(":lambda:"));
    let is_function = |at| wire.resource(at).resource_type == "AWS::Lambda::Function";
    let mut leads = wire.leads(at.stack(), value, "").into_iter();
    is_arn || leads.any(|lead| lead.resource().is_some_and(is_function))
}

/// The values at the end of a path.
fn along<'t>(tree: &'t Tree, path: &[&str]) -> Vec<&'t Tree> {
    let mut found = vec![tree];
    for key in path {
        found = match *key {
            "*" => found.iter().flat_map(|tree| tree.one_or_many()).collect(),
            key => found.iter().filter_map(|tree| tree.get(key)).collect(),
        };
    }
    found
}

/// A custom resource calls its provider when the stack is deployed, and the deployment waits.
pub(super) fn custom_resource(wire: &mut Wire<'_>, at: At) {
    let Some(token) = wire.property(at, "ServiceToken") else { return };
    let node = wire.node_or_external(at);
    let how = (Mode::Sync, Via::Trigger("custom resource, at deployment".into()));
    wire.wired_to(at, node, token, "lambda", &how);
}

fn user_pool(wire: &mut Wire<'_>, at: At) {
    let config = wire.property(at, "LambdaConfig").map(Tree::entries).unwrap_or_default();
    for entry in config {
        let target = match &entry.value.value {
            Value::Map(_) => entry.value.get("LambdaArn"),
            _ if entry.key == "KMSKeyID" => None,
            _ => Some(&entry.value),
        };
        if let Some(target) = target.filter(|target| target.value != Value::Null) {
            let node = wire.node_or_external(at);
            let how = (Mode::Sync, Via::Trigger(format!("Cognito {}", entry.key)));
            wire.wired_to(at, node, target, "lambda", &how);
        }
    }
}

/// A user pool that exists already, as the Serverless Framework has it: its name, the function's name, and the
/// triggers.
fn existing_user_pool(wire: &mut Wire<'_>, at: At) {
    custom_resource(wire, at);
    let properties = &wire.resource(at).properties;
    let (Some(name), Some(function)) = (properties.get("UserPoolName"), properties.get("FunctionName"))
    else {
        return;
    };
    let configs = properties.get("UserPoolConfigs").map(Tree::one_or_many).unwrap_or_default();
    for pool in wire.reach(at, name, "cognito-idp/userpool") {
        for config in configs {
            let Some(trigger) = config.get("Trigger").and_then(Tree::as_str) else { continue };
            for to in wire.reach(at, function, "lambda") {
                let via = Via::Trigger(format!("Cognito {trigger}"));
                wire.wired(at, config.span, &pool, &to, (Mode::Sync, via));
            }
        }
    }
}

fn log_subscription(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let (Some(group), Some(target)) = (properties.get("LogGroupName"), properties.get("DestinationArn"))
    else {
        return;
    };
    for from in wire.reach(at, group, "logs") {
        for to in wire.reach(at, target, "") {
            wire.wired(at, target.span, &from, &to, (Mode::Async, Via::LogSubscription));
        }
    }
}

/// An action of an IoT rule or a rule for mail, where its target stands, and what a bare name there names.
type Action = (&'static str, &'static [&'static str], &'static str);

const IOT: [Action; 9] = [
    ("Lambda", &["FunctionArn"], "lambda"),
    ("Sqs", &["QueueUrl"], "sqs"),
    ("Sns", &["TargetArn"], "sns"),
    ("Kinesis", &["StreamName"], "kinesis"),
    ("Firehose", &["DeliveryStreamName"], "firehose"),
    ("DynamoDB", &["TableName"], "dynamodb"),
    ("DynamoDBv2", &["PutItem", "TableName"], "dynamodb"),
    ("S3", &["BucketName"], "s3"),
    ("StepFunctions", &["StateMachineName"], "states"),
];

fn iot_rule(wire: &mut Wire<'_>, at: At) {
    let Some(payload) = wire.property(at, "TopicRulePayload") else { return };
    let actions = payload.get("Actions").map(Tree::one_or_many).unwrap_or_default();
    for (action, what) in actions
        .iter()
        .map(|action| (action, "IoT rule"))
        .chain(payload.get("ErrorAction").map(|action| (action, "IoT rule's errors")))
    {
        for (kind, path, service) in IOT {
            if let Some(target) = action.get(kind).and_then(|action| action.at(path)) {
                let node = wire.node_or_external(at);
                wire.wired_to(at, node, target, service, &(Mode::Async, Via::Trigger(what.into())));
            }
        }
    }
}

const MAIL: [Action; 4] = [
    ("LambdaAction", &["FunctionArn"], "lambda"),
    ("SNSAction", &["TopicArn"], "sns"),
    ("S3Action", &["BucketName"], "s3"),
    ("S3Action", &["TopicArn"], "sns"),
];

fn received_mail(wire: &mut Wire<'_>, at: At) {
    let actions = wire.resource(at).properties.at(&["Rule", "Actions"]).map(Tree::one_or_many);
    for action in actions.unwrap_or_default() {
        for (kind, path, service) in MAIL {
            let Some(of) = action.get(kind) else { continue };
            if let Some(target) = of.at(path) {
                let waits = of.get("InvocationType").and_then(Tree::as_str) == Some("RequestResponse");
                let mode = if waits { Mode::Sync } else { Mode::Async };
                let node = wire.node_or_external(at);
                wire.wired_to(at, node, target, service, &(mode, Via::Trigger("received mail".into())));
            }
        }
    }
}

fn pipeline(wire: &mut Wire<'_>, at: At) {
    for action in along(&wire.resource(at).properties, &["Stages", "*", "Actions", "*"]) {
        let provider = action.at(&["ActionTypeId", "Provider"]).and_then(Tree::as_str);
        let name = action.at(&["Configuration", "FunctionName"]);
        if let (Some("Lambda"), Some(name)) = (provider, name) {
            let node = wire.node_or_external(at);
            wire.wired_to(at, node, name, "lambda", &(Mode::Sync, Via::Trigger("step of a pipeline".into())));
        }
    }
}

fn rotation(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let (Some(secret), Some(target)) = (properties.get("SecretId"), properties.get("RotationLambdaARN"))
    else {
        return;
    };
    for from in wire.reach(at, secret, "secretsmanager") {
        for to in wire.reach(at, target, "lambda") {
            let how = (Mode::Unknown, Via::Trigger("rotation of a secret".into()));
            wire.wired(at, target.span, &from, &to, how);
        }
    }
}
