//! Who gives work to whom.

use schemars::JsonSchema;
use serde::Serialize;

use super::{NodeId, Setting};
use crate::document::{Span, Tree};

/// An edge of one design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub(crate) u32);

impl EdgeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// How an edge is known. Ordered from the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A grant allows it: alone that is a note, and it carries no path.
    Granted,
    /// Traces show it.
    Observed,
    /// An environment variable names the resource, and a specific grant allows writing to that same resource.
    Named,
    /// The author says so: `flyball.toml`, a connector.
    Declared,
    /// The platform does it: event source mapping, target, pipe, subscription, integration, task.
    Wired,
}

/// Whether the giver waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It waits for the answer.
    Sync,
    /// It hands over and goes on.
    Async,
    /// The receiver's pollers fetch.
    Poll,
    /// The files do not say.
    Unknown,
}

/// Work, or what failed of it, goes from one node to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Who gives. Data flows from here, whoever polls.
    pub from: NodeId,
    /// Who is given.
    pub to: NodeId,
    /// Whether `from` waits for `to`.
    pub mode: Mode,
    /// How it is known.
    pub evidence: Evidence,
    /// The alias or version of the function `to` that is invoked: an alias by its name, a version by its logical
    /// id or number. `None`: `$LATEST`, or `to` is no function.
    pub qualifier: Option<String>,
    /// What makes it, with its settings.
    pub via: Via,
    /// Where it is stated.
    pub span: Span,
    /// The logical id of the resource that makes it, where that is neither of its ends.
    pub resource: Option<String>,
    /// The condition under which it exists, where that is not known.
    pub conditional: Option<String>,
}

/// What makes an edge.
#[derive(Debug, Clone, PartialEq)]
pub enum Via {
    /// Queue or stream → function.
    EventSource(Box<EventSource>),
    /// Topic → its subscriber.
    Subscription(Box<Subscription>),
    /// Rule, schedule or pipe → its target.
    Target(Box<Target>),
    /// Bus → rule.
    Matches,
    /// Bucket or table → function, queue, topic or bus.
    Notification(Notification),
    /// API → function, queue, machine or another service.
    Integration(Box<Integration>),
    /// API → the function that decides who may call.
    Authorizer,
    /// Machine → what a state does.
    Task(Box<Task>),
    /// Function → what it is to send to or call.
    Access(Access),
    /// Function → where a finished asynchronous invocation is reported.
    Destination(Destination),
    /// Queue, function, subscription's topic, rule, stream's function → its dead letters.
    DeadLetters {
        /// Deliveries before it (`maxReceiveCount`), of queues.
        attempts_max: Setting<i64>,
    },
    /// Pipe's source → pipe.
    PipeSource(Box<EventSource>),
    /// Pipe → its enrichment, waits.
    Enrichment,
    /// Log group → function or stream.
    LogSubscription,
    /// Another service that calls the function: Cognito, AppSync, Config, IoT and the like.
    Trigger(String),
}

/// An event source mapping. Sources: quotas §1.1 "ESM".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventSource {
    /// `BatchSize`.
    pub batch_max: Setting<i64>,
    /// `MaximumBatchingWindowInSeconds`.
    pub window_s: Setting<i64>,
    /// `ScalingConfig.MaximumConcurrency`.
    pub concurrency_max: Setting<i64>,
    /// `FunctionResponseTypes` has `ReportBatchItemFailures`.
    pub partial_failures: Setting<bool>,
    /// `FilterCriteria.Filters[].Pattern`; empty: none.
    pub filters: Vec<Tree>,
    /// `Enabled`.
    pub enabled: Setting<bool>,
    /// `ParallelizationFactor`, of streams.
    pub parallelization: Setting<i64>,
    /// `MaximumRetryAttempts`, of streams; -1: until the record expires.
    pub retries_max: Setting<i64>,
    /// `MaximumRecordAgeInSeconds`, of streams; -1: the stream's retention.
    pub age_max_s: Setting<i64>,
    /// `BisectBatchOnFunctionError`, of streams.
    pub bisect: Setting<bool>,
    /// `TumblingWindowInSeconds`, of streams.
    pub tumbling_window_s: Setting<i64>,
    /// It has an `OnFailure` destination, whether that is among the files or not; of streams.
    pub on_failure: Setting<bool>,
    /// `ProvisionedPollerConfig` is there.
    pub provisioned_pollers: bool,
    /// Reads through a registered consumer with its own throughput (Kinesis enhanced fan-out).
    pub own_throughput: bool,
}

/// A subscription of a topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Subscription {
    /// `sqs`, `lambda`, `firehose`, `http`, `https`, `email`, `sms`, `application`.
    pub protocol: String,
    /// `RawMessageDelivery`.
    pub raw: Setting<bool>,
    /// `FilterPolicy`.
    pub filter: Option<Tree>,
    /// `FilterPolicyScope` is `MessageBody`.
    pub filters_body: bool,
    /// It has a redrive policy, whether its queue is among the files or not.
    pub redrive: Setting<bool>,
}

/// A target of a rule, a schedule or a pipe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// `RetryPolicy.MaximumRetryAttempts`.
    pub retries_max: Setting<i64>,
    /// `RetryPolicy.MaximumEventAgeInSeconds`.
    pub age_max_s: Setting<i64>,
    /// It has a dead-letter queue, whether that is among the files or not.
    pub dead_letters: Setting<bool>,
    /// `SqsParameters.MessageGroupId` is there.
    pub message_group: bool,
    /// `Input`, `InputPath`, `InputTransformer` or `InputTemplate`: what is sent is not the event as it came.
    pub reshaped: bool,
    /// `RoleArn` is there: it sends by a role, and the receiver's policy need not let it.
    pub role: bool,
}

/// A notification of a bucket or the like.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notification {
    /// Such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// Keys that begin with this.
    pub prefix: Setting<String>,
    /// Keys that end with this.
    pub suffix: Setting<String>,
}

/// What a route of an API leads to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Integration {
    /// `GET`, `ANY`, or a WebSocket route key.
    pub method: String,
    /// `/orders/{id}`; empty for WebSockets.
    pub path: String,
    /// `TimeoutInMillis`.
    pub timeout_ms: Setting<i64>,
    /// Not through Lambda: the service's action, such as `sqs:SendMessage`.
    pub action: Option<String>,
    /// The answer is streamed: the gateway waits as long as the function may run.
    pub streamed: bool,
}

/// How a machine's task waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskPattern {
    /// Goes on when the call was answered.
    #[default]
    RequestResponse,
    /// `.sync`, `.sync:2`: waits until the job is over.
    RunAJob,
    /// `.waitForTaskToken`.
    WaitForToken,
}

/// A state of a machine that gives work.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Task {
    /// The state's name, with those of the maps and parallels around it before it: `Each/Charge`.
    pub state: String,
    /// How it waits.
    pub pattern: TaskPattern,
    /// `TimeoutSeconds`; [`Setting::Unknown`] for `TimeoutSecondsPath`.
    pub timeout_s: Setting<i64>,
    /// `HeartbeatSeconds`.
    pub heartbeat_s: Setting<i64>,
    /// `Retry`.
    pub retries: Vec<Retry>,
    /// It has a `Catch`.
    pub catches: bool,
    /// It runs for each item of a map around it: items at once at most; `Some(Default)`: no bound is set.
    pub map_concurrency: Option<Setting<i64>>,
    /// The map around it is distributed.
    pub distributed: bool,
    /// The service's action, such as `lambda:invoke` or `dynamodb:putItem`.
    pub action: String,
    /// `Source`s of the events that it puts on a bus, where the definition says them. Empty: not known.
    pub sources: Vec<String>,
    /// `DetailType`s of the events that it puts on a bus, where the definition says them. Empty: not known.
    pub detail_types: Vec<String>,
}

/// A retrier of a state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retry {
    /// `ErrorEquals`.
    pub errors: Vec<String>,
    /// `IntervalSeconds`; default 1.
    pub interval_s: Setting<i64>,
    /// `MaxAttempts`; default 3.
    pub attempts_max: Setting<i64>,
    /// `BackoffRate`; default 2.
    pub backoff: Setting<f64>,
    /// `MaxDelaySeconds`.
    pub delay_max_s: Setting<i64>,
}

/// What a function may do with what it names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Access {
    /// Granted actions on this very resource, such as `sqs:SendMessage`.
    pub actions: Vec<String>,
    /// Reading what is kept in it is granted too: the variable may be there for that.
    pub reads: bool,
    /// The environment variable that names it.
    pub variable: Option<String>,
    /// Emitted `Source`s, where a file says so. Empty: not known.
    pub sources: Vec<String>,
    /// Emitted `DetailType`s, where a file says so. Empty: not known.
    pub detail_types: Vec<String>,
}

/// What is reported of an asynchronous invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// `OnSuccess`.
    Success,
    /// `OnFailure`.
    Failure,
}
