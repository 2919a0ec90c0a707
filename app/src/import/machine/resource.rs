//! What a task's `Resource` and arguments name.

use super::Callee;
use crate::{
    design::{Mode, TaskPattern},
    document::{Piece, Tree, Value},
};

/// Stands for what is not literal where only the shape of a text is looked at.
const GAP: char = '\u{fffc}';

/// What a task calls, as it is written.
#[derive(Debug)]
pub(super) struct Written {
    pub pattern: TaskPattern,
    pub mode: Mode,
    pub action: String,
    pub qualifier: Option<String>,
    /// `Source` and `DetailType` of emitted events, where all are written.
    pub sources: Vec<String>,
    pub detail_types: Vec<String>,
    pub callee: Callee,
}

/// Looks at `Resource`, and at `Parameters` or `Arguments`.
pub(super) fn written(resource: &Tree, arguments: Option<&Tree>) -> Written {
    let shape = shape(resource);
    match shape.split_once(":states:::") {
        Some((_, service)) => integration(service, arguments),
        None => direct(resource, &shape),
    }
}

/// The text of a value, with [`GAP`] for what is not literal.
fn shape(tree: &Tree) -> String {
    match &tree.value {
        Value::Text(text) => text.clone(),
        Value::Pieces(pieces) => {
            let parts = pieces.iter().map(|piece| match piece {
                Piece::Literal(literal) => literal.clone(),
                Piece::Reference(_) | Piece::Unknown(_) => GAP.to_string(),
            });
            parts.collect()
        }
        _ => GAP.to_string(),
    }
}

/// The ARN of a function or of an activity.
fn direct(resource: &Tree, shape: &str) -> Written {
    let activity = shape.contains(":activity:");
    let callee = match &resource.value {
        Value::Unknown(unknown) => Callee::Open(format!("its Resource is not known: {}", unknown.why)),
        _ if activity => Callee::Service("a Step Functions activity".into()),
        // An activity's reference leads to the activity.
        _ => Callee::Named { service: "lambda", name: resource.clone() },
    };
    Written {
        pattern: if activity { TaskPattern::WaitForToken } else { TaskPattern::RequestResponse },
        mode: Mode::Sync,
        action: if activity { "states:activity".into() } else { "lambda:invoke".into() },
        qualifier: None,
        sources: Vec::new(),
        detail_types: Vec::new(),
        callee,
    }
}

/// `lambda:invoke.waitForTaskToken`, `aws-sdk:sqs:sendMessage`, `states:startExecution.sync:2`.
fn integration(service: &str, arguments: Option<&Tree>) -> Written {
    let (call, suffix) = service.split_once('.').unwrap_or((service, ""));
    let call = call.strip_prefix("aws-sdk:").unwrap_or(call);
    let (service, action) = call.split_once(':').unwrap_or((call, ""));
    let service = match service {
        "sfn" => "states",
        "eventbridge" => "events",
        other => other,
    };
    let pattern = match suffix {
        "waitForTaskToken" => TaskPattern::WaitForToken,
        _ if suffix.starts_with("sync") => TaskPattern::RunAJob,
        _ => TaskPattern::RequestResponse,
    };
    let called = Called { service, action, arguments };
    Written {
        pattern,
        mode: if pattern == TaskPattern::RequestResponse { called.mode() } else { Mode::Sync },
        action: format!("{service}:{action}"),
        qualifier: called.text("Qualifier"),
        sources: called.of_entries("Source"),
        detail_types: called.of_entries("DetailType"),
        callee: called.callee(),
    }
}

struct Called<'t> {
    service: &'t str,
    action: &'t str,
    arguments: Option<&'t Tree>,
}

/// What a key of the arguments says.
enum Argument<'t> {
    Missing,
    /// Taken from the state's input when it runs.
    Dynamic,
    Written(&'t Tree),
}

impl<'t> Called<'t> {
    fn argument(&self, key: &str) -> Argument<'t> {
        let Some(arguments) = self.arguments else { return Argument::Missing };
        // The whole of the arguments can be one expression.
        if is_expression(arguments) {
            return Argument::Dynamic;
        }
        match arguments.get(key) {
            Some(tree) if is_expression(tree) => Argument::Dynamic,
            Some(tree) => Argument::Written(tree),
            None => {
                let dynamic =
                    arguments.entries().iter().any(|entry| entry.key.strip_suffix(".$") == Some(key));
                if dynamic { Argument::Dynamic } else { Argument::Missing }
            }
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.argument(key) {
            Argument::Written(tree) => tree.as_str().map(str::to_string),
            Argument::Missing | Argument::Dynamic => None,
        }
    }

    /// Whether the machine waits for what is called, where the pattern says nothing: a message is handed over,
    /// a call is answered.
    fn mode(&self) -> Mode {
        match (self.service, self.action) {
            ("lambda", "invokeAsync") => Mode::Async,
            ("lambda", "invoke") => match self.argument("InvocationType") {
                Argument::Written(tree) if tree.as_str() == Some("Event") => Mode::Async,
                Argument::Dynamic => Mode::Unknown,
                Argument::Written(_) | Argument::Missing => Mode::Sync,
            },
            ("states", "startSyncExecution") => Mode::Sync,
            ("sqs" | "sns" | "events" | "states" | "kinesis" | "firehose", _)
            | ("ecs", "runTask")
            | ("batch", "submitJob")
            | ("glue", "startJobRun")
            | ("codebuild", "startBuild") => Mode::Async,
            _ => Mode::Sync,
        }
    }

    fn callee(&self) -> Callee {
        let (service, keys): (&'static str, &[&str]) = match (self.service, self.action) {
            ("lambda", "invoke" | "invokeAsync") => ("lambda", &["FunctionName"]),
            ("sqs", "sendMessage" | "sendMessageBatch") => ("sqs", &["QueueUrl"]),
            ("sns", "publish" | "publishBatch") => ("sns", &["TopicArn", "TargetArn"]),
            ("events", "putEvents") => return self.bus(),
            ("states", "startExecution" | "startSyncExecution") => ("states", &["StateMachineArn"]),
            ("dynamodb", _) => ("dynamodb", &["TableName"]),
            ("s3", _) => ("s3", &["Bucket"]),
            ("kinesis", _) => ("kinesis", &["StreamName", "StreamARN"]),
            ("ecs", "runTask") => ("ecs/task-definition", &["TaskDefinition"]),
            ("http" | "apigateway", _) => ("execute-api", &["ApiEndpoint"]),
            _ => return Callee::Service(self.words()),
        };
        for key in keys {
            match self.argument(key) {
                Argument::Missing => {}
                Argument::Dynamic => return Callee::Open(format!("its {key} is decided when it runs")),
                Argument::Written(tree) => {
                    return match &tree.value {
                        Value::Unknown(unknown) => {
                            Callee::Open(format!("its {key} is not known: {}", unknown.why))
                        }
                        _ if service == "execute-api" => Callee::Endpoint(tree.clone()),
                        _ => Callee::Named { service, name: tree.clone() },
                    };
                }
            }
        }
        // A batch over tables, a listing of buckets, a message to a telephone: no one resource is meant.
        match (self.service, self.arguments) {
            ("dynamodb" | "s3" | "sns" | "kinesis" | "ecs", _) => Callee::Service(self.words()),
            _ => Callee::Open(format!("it has no {}", keys.first().copied().unwrap_or("target"))),
        }
    }

    /// Where events go: every entry has a bus of its own, or means the default one.
    fn bus(&self) -> Callee {
        let Argument::Written(entries) = self.argument("Entries") else {
            return Callee::Open("its Entries are decided when it runs".into());
        };
        let mut buses = entries.one_or_many().iter().map(|entry| {
            let own = Called { arguments: Some(entry), ..*self };
            match own.argument("EventBusName") {
                Argument::Missing => Callee::DefaultBus,
                Argument::Dynamic => Callee::Open("its EventBusName is decided when it runs".into()),
                Argument::Written(name) => Callee::Named { service: "events", name: name.clone() },
            }
        });
        let first = buses.next().unwrap_or_else(|| Callee::Open("it has no Entries".into()));
        let alike = buses.all(|bus| match (&bus, &first) {
            (Callee::Named { name: a, .. }, Callee::Named { name: b, .. }) => a.value == b.value,
            _ => bus == first,
        });
        if alike { first } else { Callee::Open("its Entries go to several buses".into()) }
    }

    /// A key of all `Entries`; empty where one of them does not say it.
    fn of_entries(&self, key: &str) -> Vec<String> {
        let Argument::Written(entries) = self.argument("Entries") else { return Vec::new() };
        let texts = entries.one_or_many().iter().map(|entry| {
            let own = Called { arguments: Some(entry), ..*self };
            own.text(key)
        });
        let mut texts = texts.collect::<Option<Vec<String>>>().unwrap_or_default();
        texts.dedup();
        texts
    }

    /// What is called, in words, where it is no node of ours.
    fn words(&self) -> String {
        let known = match self.service {
            "lambda" => "Lambda",
            "sns" => "SNS",
            "s3" => "S3",
            "dynamodb" => "DynamoDB",
            "kinesis" => "Kinesis",
            "ecs" => "an ECS task",
            "batch" => "an AWS Batch job",
            "glue" => "a Glue job",
            "codebuild" => "a CodeBuild build",
            "sagemaker" => "SageMaker",
            "emr" | "elasticmapreduce" | "emr-containers" | "emr-serverless" => "an EMR step",
            "athena" => "an Athena query",
            "bedrock" | "bedrockruntime" => "Bedrock",
            "mediaconvert" => "a MediaConvert job",
            "firehose" => "Firehose",
            "eks" => "an EKS job",
            other => other,
        };
        known.to_string()
    }
}

/// JSONata: `{% ... %}`.
fn is_expression(tree: &Tree) -> bool {
    tree.as_str().is_some_and(|text| text.trim_start().starts_with("{%"))
}
