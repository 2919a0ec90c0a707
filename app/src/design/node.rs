//! What there is, with the settings that rules look at.

use super::{Flow, Setting};
use crate::document::{Span, Tree};

/// A node of one design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A resource, or a part of one that gives or takes work.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What people call it: the logical id; with several stacks in one run, unique through [`Node::stack`].
    pub name: String,
    /// The file or stack that it is from, where there are several.
    pub stack: Option<String>,
    /// Its type in the file, such as `AWS::Lambda::Function`.
    pub resource_type: String,
    /// What it is.
    pub kind: Kind,
    /// Where its declaration stands: its key.
    pub span: Span,
    /// Its name when deployed, where a file gives one.
    pub physical_name: Option<String>,
    /// `aws:cdk:path`.
    pub construct_path: Option<String>,
    /// The condition under which it exists, where that is not known.
    pub conditional: Option<String>,
    /// Reasons of `flyball:` suppressions, by rule code. `*`: every rule.
    pub allowed: Vec<(String, String)>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Code.
    Function(Box<Function>),
    /// A queue.
    Queue(Queue),
    /// A topic.
    Topic(Topic),
    /// An event bus.
    Bus(Bus),
    /// A rule of a bus, with a pattern.
    Rule(Rule),
    /// A schedule: of a rule, or of the scheduler.
    Schedule(Schedule),
    /// A stream of records: Kinesis, or a table's changes.
    Stream(Stream),
    /// A table.
    Table(Table),
    /// A bucket.
    Bucket(Bucket),
    /// An HTTP or WebSocket entrance.
    Api(Api),
    /// A state machine.
    Machine(Machine),
    /// A pipe.
    Pipe(Pipe),
    /// A database with connections.
    Database(Database),
    /// Anything else that an edge leads to or comes from, among the files or not.
    External(External),
}

/// A function. Sources: quotas §1.1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Function {
    /// `Timeout`.
    pub timeout_s: Setting<i64>,
    /// `MemorySize`.
    pub memory_mb: Setting<i64>,
    /// `EphemeralStorage.Size`.
    pub storage_mb: Setting<i64>,
    /// `ReservedConcurrentExecutions`.
    pub reserved: Setting<i64>,
    /// Provisioned concurrency, by alias or version.
    pub provisioned: Vec<Provisioned>,
    /// `Runtime`; [`Setting::Default`]: an image.
    pub runtime: Setting<String>,
    /// `Architectures`.
    pub architecture: Setting<String>,
    /// `EventInvokeConfig.MaximumRetryAttempts`.
    pub async_retries_max: Setting<i64>,
    /// `EventInvokeConfig.MaximumEventAgeInSeconds`.
    pub async_age_max_s: Setting<i64>,
    /// It has a dead-letter target or an `OnFailure` destination, among the files or not.
    pub dead_letters: Setting<bool>,
    /// `VpcConfig`.
    pub network: Option<Network>,
    /// Environment variables.
    pub environment: Vec<(String, Tree)>,
    /// `TenancyConfig` is `PER_TENANT`.
    pub per_tenant: bool,
    /// `DurableConfig` is there.
    pub durable: bool,
    /// `SnapStart.ApplyOn` is `PublishedVersions`.
    pub snap_start: bool,
    /// `TracingConfig.Mode` is `Active`.
    pub traced: Setting<bool>,
    /// `LoggingConfig.ApplicationLogLevel`.
    pub log_level: Setting<String>,
    /// A log group with retention belongs to it.
    pub log_retention: Setting<i64>,
    /// `Layers`, how many.
    pub layers: usize,
    /// `FunctionUrlConfig`.
    pub url: bool,
    /// `RecursiveLoop` is `Allow`.
    pub recursion_allowed: bool,
    /// Aliases that are declared.
    pub aliases: Vec<String>,
    /// `CapacityProviderConfig` is there: it runs on instances of its own, with other limits.
    pub own_instances: bool,
    /// Actions granted with `*` as their resource, or granted as `*`; AWS's own policies of full access by name.
    pub wide_grants: Vec<String>,
}

/// Environments kept warm.
#[derive(Debug, Clone, PartialEq)]
pub struct Provisioned {
    /// The alias or version.
    pub qualifier: String,
    /// How many.
    pub count: Setting<i64>,
    /// Where it is stated.
    pub span: Span,
}

/// A private network that a function is in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    /// Where it is stated.
    pub span: Option<Span>,
    /// Whether its subnets' routes lead outside. `None`: not among the files.
    pub way_out: Option<WayOut>,
    /// Services that have an endpoint in the network, such as `s3`, `dynamodb`, `sqs`. Empty where not known.
    pub endpoints: Vec<String>,
}

/// How a private network reaches the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// Not at all.
    None,
    /// Through a NAT gateway, paid by the byte.
    NatGateway,
    /// Another way: an instance, a transit gateway.
    Other,
    /// Through an internet gateway: of no use to a function, whose interface has no public address.
    InternetGateway,
}

/// With which key a queue or topic is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// The service's own, that anyone may use through it.
    Service,
    /// The key that AWS manages (`alias/aws/sqs`): its policy can't be changed.
    AwsManagedKey,
    /// A key of the user's.
    CustomerKey,
}

/// A queue. Sources: quotas §1.3.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Queue {
    /// First in, first out.
    pub fifo: bool,
    /// `VisibilityTimeout`.
    pub visibility_s: Setting<i64>,
    /// `MessageRetentionPeriod`.
    pub retention_s: Setting<i64>,
    /// `DelaySeconds`.
    pub delay_s: Setting<i64>,
    /// `MaximumMessageSize`.
    pub message_bytes_max: Setting<i64>,
    /// `RedrivePolicy` is there, whether its queue is among the files or not.
    pub redrive: Setting<bool>,
    /// `KmsMasterKeyId`.
    pub encryption: Setting<Encryption>,
    /// `FifoThroughputLimit` is `perMessageGroupId`.
    pub high_throughput: Setting<bool>,
    /// Policies that apply to it: who may send. Statements as they stand.
    pub policies: Vec<Tree>,
    /// A policy that could be for it: which queues it is for is not known.
    pub policies_unknown: bool,
    /// An alarm or an exported output names it: somebody looks at it.
    pub watched: bool,
    /// Made by the platform for a function's asynchronous work: Flyball's inbox.
    pub inbox: bool,
    /// Deliveries before the dead letters, where the queue itself says so: Flyball.
    pub attempts_max: Setting<i64>,
}

/// A topic. Sources: quotas §1.4.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topic {
    /// First in, first out.
    pub fifo: bool,
    /// `MaximumMessageSize`.
    pub message_bytes_max: Setting<i64>,
    /// `KmsMasterKeyId`.
    pub encryption: Setting<Encryption>,
}

/// An event bus. Sources: quotas §1.5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bus {
    /// The account's default bus, that AWS's own services send to.
    pub is_default: bool,
}

/// A rule with a pattern.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rule {
    /// `EventPattern`.
    pub pattern: Option<Tree>,
    /// `State`.
    pub enabled: Setting<bool>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schedule {
    /// `rate(5 minutes)`, `cron(…)`, `at(…)`.
    pub expression: Setting<String>,
    /// The shortest time between two runs; [`Setting::Unknown`] where the expression is not understood.
    pub interval_s: Setting<i64>,
    /// `State`.
    pub enabled: Setting<bool>,
}

/// A stream of records. Sources: quotas §1.1 "ESM", §1.6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stream {
    /// A table's changes; otherwise Kinesis.
    pub of_table: bool,
    /// `ShardCount`; [`Setting::Unknown`] on demand.
    pub shards: Setting<i64>,
    /// `RetentionPeriodHours`.
    pub retention_h: Setting<i64>,
    /// `MaxRecordSizeInKiB`.
    pub record_kib_max: Setting<i64>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// `BillingMode` is `PAY_PER_REQUEST`.
    pub on_demand: Setting<bool>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bucket {
    /// It sends its events to the default bus.
    pub to_bus: bool,
}

/// Which kind of entrance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKind {
    /// API Gateway's REST API.
    Rest,
    /// API Gateway's HTTP API.
    Http,
    /// API Gateway's WebSocket API.
    WebSocket,
    /// A function's own URL.
    FunctionUrl,
    /// An application load balancer.
    LoadBalancer,
    /// AppSync.
    GraphQl,
    /// Flyball's gateway.
    Flyball,
}

/// An HTTP or WebSocket entrance. Sources: quotas §1.2.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// Which kind.
    pub kind: ApiKind,
    /// REST: `EDGE`, `REGIONAL`, `PRIVATE`.
    pub endpoint: Setting<String>,
    /// A throttle is set on a stage or usage plan.
    pub throttled: bool,
    /// `DataTraceEnabled`, or access logs with bodies.
    pub logs_bodies: Setting<bool>,
}

/// A state machine. Sources: quotas §1.6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Machine {
    /// `EXPRESS`; otherwise standard.
    pub express: Setting<bool>,
    /// `TimeoutSeconds` of the whole definition.
    pub timeout_s: Setting<i64>,
    /// `LoggingConfiguration.Level` with `IncludeExecutionData`: everything is logged.
    pub logs_data: Setting<bool>,
    /// Its definition could not be read: why.
    pub unread: Option<String>,
    /// States in all, maps' and parallels' included.
    pub states: usize,
    /// What can follow what.
    pub flow: Flow,
    /// States with their place, for findings: name and span.
    pub places: Vec<(String, Span)>,
    /// Maps: state name, distributed, its `MaxConcurrency`.
    pub maps: Vec<(String, bool, Setting<i64>)>,
}

/// A pipe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pipe {
    /// `DesiredState`.
    pub enabled: Setting<bool>,
}

/// Which kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// An instance of RDS.
    Instance,
    /// A cluster of Aurora.
    Cluster,
    /// RDS Proxy.
    Proxy,
    /// ElastiCache, MemoryDB.
    Cache,
    /// Another with connections: DocumentDB, Redshift, OpenSearch.
    Other,
}

/// A database with connections.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Which kind.
    pub kind: DatabaseKind,
    /// `DBInstanceClass`, of the instance or of the cluster's first.
    pub class: Setting<String>,
    /// `Engine`.
    pub engine: Setting<String>,
    /// Connections at most, where a parameter group or the author says so.
    pub connections_max: Setting<i64>,
    /// `ServerlessV2ScalingConfiguration.MaxCapacity`, capacity units of 2 GiB.
    pub capacity_max: Setting<f64>,
    /// `MaxConnectionsPercent`, of a proxy: of its database's connections.
    pub pool_percent: Setting<i64>,
    /// `ConnectionBorrowTimeout`, of a proxy, seconds.
    pub borrow_timeout_s: Setting<i64>,
}

/// What is not of a kind above.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct External {
    /// In words: "an HTTPS endpoint", "Firehose", "a queue of another stack".
    pub what: String,
}
