//! What types of resources are called: in ARNs, in words, and by which property their names are set.

/// A type of resource that others name.
pub(in crate::import::wire) struct Service {
    /// The service in ARNs, with the kind of resource where it has several that are led to.
    pub key: &'static str,
    /// Its type.
    pub resource_type: &'static str,
    /// The property that sets its physical name.
    pub name: &'static str,
    /// In words.
    pub words: &'static str,
}

const fn row(
    key: &'static str,
    resource_type: &'static str,
    name: &'static str,
    words: &'static str,
) -> Service {
    Service { key, resource_type, name, words }
}

/// Every type that is looked up by its physical name. Of several with one key the first is what an ARN outside of
/// the files is taken for.
pub(in crate::import::wire) const SERVICES: &[Service] = &[
    row("lambda", "AWS::Lambda::Function", "FunctionName", "a function"),
    row("sqs", "AWS::SQS::Queue", "QueueName", "a queue"),
    row("sns", "AWS::SNS::Topic", "TopicName", "a topic"),
    row("events", "AWS::Events::EventBus", "Name", "an event bus"),
    row("events/rule", "AWS::Events::Rule", "Name", "a rule"),
    row("events/api-destination", "AWS::Events::ApiDestination", "Name", "an HTTPS endpoint"),
    row("events/connection", "AWS::Events::Connection", "Name", "a connection"),
    row("scheduler/schedule", "AWS::Scheduler::Schedule", "Name", "a schedule"),
    row("scheduler/schedule-group", "AWS::Scheduler::ScheduleGroup", "Name", "a group of schedules"),
    row("pipes/pipe", "AWS::Pipes::Pipe", "Name", "a pipe"),
    row("states", "AWS::StepFunctions::StateMachine", "StateMachineName", "a state machine"),
    row("states/activity", "AWS::StepFunctions::Activity", "Name", "an activity"),
    row("kinesis", "AWS::Kinesis::Stream", "Name", "a stream"),
    row("firehose", "AWS::KinesisFirehose::DeliveryStream", "DeliveryStreamName", "a delivery stream"),
    row("dynamodb", "AWS::DynamoDB::Table", "TableName", "a table"),
    row("dynamodb", "AWS::DynamoDB::GlobalTable", "TableName", "a table"),
    row("s3", "AWS::S3::Bucket", "BucketName", "a bucket"),
    row("logs", "AWS::Logs::LogGroup", "LogGroupName", "a log group"),
    row("ssm", "AWS::SSM::Parameter", "Name", "a parameter"),
    row("secretsmanager", "AWS::SecretsManager::Secret", "Name", "a secret"),
    row("iam/role", "AWS::IAM::Role", "RoleName", "a role"),
    row("iam/policy", "AWS::IAM::ManagedPolicy", "ManagedPolicyName", "a policy"),
    row("ecs/cluster", "AWS::ECS::Cluster", "ClusterName", "a cluster of containers"),
    row("ecs/task-definition", "AWS::ECS::TaskDefinition", "Family", "a container task"),
    row("batch/job-queue", "AWS::Batch::JobQueue", "JobQueueName", "a queue of batch jobs"),
    row("codebuild/project", "AWS::CodeBuild::Project", "Name", "a build"),
    row("codepipeline", "AWS::CodePipeline::Pipeline", "Name", "a pipeline"),
    row("kafka/cluster", "AWS::MSK::Cluster", "ClusterName", "a Kafka cluster"),
    row("mq/broker", "AWS::AmazonMQ::Broker", "BrokerName", "a message broker"),
    row("rds/cluster", "AWS::RDS::DBCluster", "DBClusterIdentifier", "a database cluster"),
    row("rds/cluster", "AWS::DocDB::DBCluster", "DBClusterIdentifier", "a document database"),
    row("cognito-idp/userpool", "AWS::Cognito::UserPool", "", "a user pool"),
    row("iot/rule", "AWS::IoT::TopicRule", "RuleName", "an IoT rule"),
    row("ses", "AWS::SES::ReceiptRule", "", "a rule for received mail"),
    row("config", "AWS::Config::ConfigRule", "ConfigRuleName", "a rule of AWS Config"),
    row("cloudfront/distribution", "AWS::CloudFront::Distribution", "", "a CloudFront distribution"),
    row("bedrock/agent", "AWS::Bedrock::Agent", "AgentName", "an agent"),
];

/// A type in words; a type that is none of [`SERVICES`] as it is.
pub(in crate::import::wire) fn in_words(resource_type: &str) -> String {
    let row = SERVICES.iter().find(|row| row.resource_type == resource_type);
    row.map_or(resource_type, |row| row.words).to_string()
}

/// The type that an ARN's service names.
pub(in crate::import::wire) fn type_of(key: &str) -> Option<&'static str> {
    SERVICES.iter().find(|row| row.key == key).map(|row| row.resource_type)
}
