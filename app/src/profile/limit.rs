//! The limits that rules may ask for, and a row for each.

/// A limit's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Mebibytes, of memory and storage.
    Megabytes,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Things: environments, messages, attempts.
    Count,
    /// Things per second.
    PerSecond,
}

impl Unit {
    /// The word for it in a profile's file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Bytes => "bytes",
            Unit::Megabytes => "MB",
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Count => "count",
            Unit::PerSecond => "per_s",
        }
    }
}

/// A value with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The value, in the limit's unit.
    pub value: f64,
    /// Where it is from.
    pub source: String,
    /// When it was so.
    pub date: String,
    /// It could not be verified: what rests on it says so.
    pub unverified: bool,
    /// It can be raised on request: what rests on it is assumed unless the user states it.
    pub raisable: bool,
    /// The user's file states it.
    pub stated: bool,
}

/// Declares each limit once: its variant, its key in a profile's file, its unit and what it is.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $variant:ident = $key:literal, $unit:ident;)+) => {
        /// Every limit that a rule may ask for: the profile files have a row for each, by [`Limit::key`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Limit {
            /// All limits, in the order of the profile files.
            pub const ALL: &'static [Limit] = &[$(Limit::$variant,)+];

            /// Its key in a profile's file.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Limit::$variant => $key,)+
                }
            }

            /// Its unit.
            pub const fn unit(self) -> Unit {
                match self {
                    $(Limit::$variant => Unit::$unit,)+
                }
            }

            /// What it is, in a sentence.
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Limit::$variant => concat!($($doc),+),)+
                }
            }

            /// The limit with a key.
            pub fn of_key(key: &str) -> Option<Limit> {
                match key {
                    $($key => Some(Limit::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

limits! {
    /// Environments at once in one account and region.
    LambdaConcurrency = "lambda.concurrency", Count;
    /// Environments that reservations must leave to functions without one.
    LambdaUnreservedMin = "lambda.unreserved_min", Count;
    /// Environments that one function may add in ten seconds.
    LambdaScalingPer10s = "lambda.scaling_per_10s", Count;
    /// Requests that one environment may take a second.
    LambdaRequestsPerEnvironment = "lambda.requests_per_environment", PerSecond;
    /// The longest timeout of a function.
    LambdaTimeoutMax = "lambda.timeout_max", Seconds;
    /// A function's timeout where none is stated.
    LambdaTimeoutDefault = "lambda.timeout_default", Seconds;
    /// The longest timeout of a function on managed instances, asynchronous or by an event source.
    LambdaManagedTimeoutMax = "lambda.managed_timeout_max", Seconds;
    /// The least memory of a function.
    LambdaMemoryMin = "lambda.memory_min", Megabytes;
    /// The most memory of a function.
    LambdaMemoryMax = "lambda.memory_max", Megabytes;
    /// The most memory of a function on managed instances.
    LambdaManagedMemoryMax = "lambda.managed_memory_max", Megabytes;
    /// A function's memory where none is stated.
    LambdaMemoryDefault = "lambda.memory_default", Megabytes;
    /// The memory that comes with one whole processor.
    LambdaMemoryPerProcessor = "lambda.memory_per_processor", Megabytes;
    /// The least temporary storage of a function, and what it has where none is stated.
    LambdaStorageMin = "lambda.storage_min", Megabytes;
    /// The most temporary storage of a function.
    LambdaStorageMax = "lambda.storage_max", Megabytes;
    /// The largest request of a synchronous invocation; also what one batch of an event source may have.
    LambdaRequestBytesMax = "lambda.request_bytes_max", Bytes;
    /// The largest answer of a synchronous invocation that is not streamed.
    LambdaResponseBytesMax = "lambda.response_bytes_max", Bytes;
    /// The largest answer that is streamed.
    LambdaStreamedBytesMax = "lambda.streamed_bytes_max", Bytes;
    /// The largest event of an asynchronous invocation.
    LambdaAsyncBytesMax = "lambda.async_bytes_max", Bytes;
    /// A function's environment variables together.
    LambdaEnvironmentBytesMax = "lambda.environment_bytes_max", Bytes;
    /// A function's resource policy.
    LambdaPolicyBytesMax = "lambda.policy_bytes_max", Bytes;
    /// A function's layers.
    LambdaLayersMax = "lambda.layers_max", Count;
    /// An archive of code that is uploaded directly.
    LambdaZipBytesMax = "lambda.zip_bytes_max", Bytes;
    /// Code with its layers, unpacked.
    LambdaUnzippedBytesMax = "lambda.unzipped_bytes_max", Bytes;
    /// A function's image.
    LambdaImageBytesMax = "lambda.image_bytes_max", Bytes;
    /// Files that one environment may have open.
    LambdaFilesMax = "lambda.files_max", Count;
    /// Network interfaces of all functions in one private network.
    LambdaInterfacesMax = "lambda.interfaces_max", Count;
    /// How long an environment may take to begin.
    LambdaInitMax = "lambda.init_max", Seconds;
    /// Retries of a failed asynchronous invocation at most.
    LambdaAsyncRetriesMax = "lambda.async_retries_max", Count;
    /// Retries of a failed asynchronous invocation where none is stated.
    LambdaAsyncRetriesDefault = "lambda.async_retries_default", Count;
    /// The wait before the first retry of a failed asynchronous invocation; the second waits twice as long.
    LambdaAsyncRetryWait = "lambda.async_retry_wait", Seconds;
    /// The shortest that an asynchronous event may be kept.
    LambdaAsyncAgeMin = "lambda.async_age_min", Seconds;
    /// The longest that an asynchronous event may be kept.
    LambdaAsyncAgeMax = "lambda.async_age_max", Seconds;
    /// How long an asynchronous event is kept where nothing is stated.
    LambdaAsyncAgeDefault = "lambda.async_age_default", Seconds;
    /// Invocations in one chain after which recursion is stopped, where it is seen.
    LambdaRecursionHopsMax = "lambda.recursion_hops_max", Count;
    /// Environments of all tenants of a function in isolation mode, for each thousand of concurrency.
    LambdaTenantEnvironmentsPer1000 = "lambda.tenant_environments_per_1000", Count;
    /// Operations of one durable execution.
    LambdaDurableOperationsMax = "lambda.durable_operations_max", Count;
    /// What one durable execution may write.
    LambdaDurableBytesMax = "lambda.durable_bytes_max", Bytes;
    /// The longest durable execution.
    LambdaDurableTimeoutMax = "lambda.durable_timeout_max", Seconds;

    /// Messages in a batch of a queue where nothing is stated.
    EventSourceQueueBatchDefault = "event_source.queue_batch_default", Count;
    /// Messages in a batch of a standard queue.
    EventSourceQueueBatchMax = "event_source.queue_batch_max", Count;
    /// Messages in a batch of a queue without a batching window.
    EventSourceUnwindowedBatchMax = "event_source.unwindowed_batch_max", Count;
    /// Messages in a batch of a FIFO queue.
    EventSourceFifoBatchMax = "event_source.fifo_batch_max", Count;
    /// Records in a batch of a stream where nothing is stated.
    EventSourceStreamBatchDefault = "event_source.stream_batch_default", Count;
    /// Records in a batch of a stream.
    EventSourceStreamBatchMax = "event_source.stream_batch_max", Count;
    /// The longest batching window.
    EventSourceWindowMax = "event_source.window_max", Seconds;
    /// Batches of a queue at once when messages begin to arrive.
    EventSourcePollersStart = "event_source.pollers_start", Count;
    /// Batches of a queue at once that are added in a minute.
    EventSourcePollersPerMinute = "event_source.pollers_per_minute", Count;
    /// Batches of a queue at once.
    EventSourcePollersMax = "event_source.pollers_max", Count;
    /// Pollers of a queue in provisioned mode.
    EventSourceProvisionedPollersMax = "event_source.provisioned_pollers_max", Count;
    /// The least `MaximumConcurrency`.
    EventSourceConcurrencyMin = "event_source.concurrency_min", Count;
    /// The greatest `MaximumConcurrency`.
    EventSourceConcurrencyMax = "event_source.concurrency_max", Count;
    /// How many times the function's timeout a queue's visibility timeout is advised to be.
    EventSourceVisibilityFactor = "event_source.visibility_factor", Count;
    /// Batches of one shard at once where nothing is stated.
    EventSourceParallelizationDefault = "event_source.parallelization_default", Count;
    /// Batches of one shard at once.
    EventSourceParallelizationMax = "event_source.parallelization_max", Count;
    /// Retries of a stream's batch at most.
    EventSourceStreamRetriesMax = "event_source.stream_retries_max", Count;
    /// Retries of a stream's batch where nothing is stated; -1: until the record expires.
    EventSourceStreamRetriesDefault = "event_source.stream_retries_default", Count;
    /// The greatest age of a stream's record that can be stated.
    EventSourceStreamAgeMax = "event_source.stream_age_max", Seconds;
    /// The longest tumbling window.
    EventSourceTumblingMax = "event_source.tumbling_max", Seconds;

    /// Functions that read one shard of a table's stream, or of a Kinesis stream without own throughput.
    StreamShardReadersMax = "stream.shard_readers_max", Count;
    /// Records that one Kinesis shard takes a second.
    StreamShardRecordsPerS = "stream.shard_records_per_s", PerSecond;
    /// Bytes that one Kinesis shard takes a second.
    StreamShardInBytesPerS = "stream.shard_in_bytes_per_s", Bytes;
    /// Bytes that one Kinesis shard gives a second, to all readers without own throughput together.
    StreamShardOutBytesPerS = "stream.shard_out_bytes_per_s", Bytes;
    /// The largest record of a Kinesis stream where nothing is stated.
    StreamRecordBytesDefault = "stream.record_bytes_default", Bytes;
    /// The largest record that a Kinesis stream can be set to take.
    StreamRecordBytesMax = "stream.record_bytes_max", Bytes;
    /// How long a Kinesis stream keeps records where nothing is stated.
    StreamRetentionDefault = "stream.retention_default", Seconds;
    /// How long a table's stream keeps changes.
    StreamTableRetention = "stream.table_retention", Seconds;

    /// Requests a second over all APIs of an account and region.
    ApiRequestsPerS = "api.requests_per_s", PerSecond;
    /// Requests that may come at once over all APIs of an account and region.
    ApiBurst = "api.burst", Count;
    /// The longest integration of a REST API, and its default.
    ApiRestTimeoutMax = "api.rest_timeout_max", Milliseconds;
    /// The longest integration of an HTTP API, and its default.
    ApiHttpTimeoutMax = "api.http_timeout_max", Milliseconds;
    /// The longest integration of a WebSocket API, and its default.
    ApiWebSocketTimeoutMax = "api.websocket_timeout_max", Milliseconds;
    /// The longest resolver of AppSync.
    ApiGraphQlTimeoutMax = "api.graphql_timeout_max", Milliseconds;
    /// The longest run of a Lambda authorizer of an HTTP API.
    ApiAuthorizerTimeoutMax = "api.authorizer_timeout_max", Milliseconds;
    /// The largest body of a REST API.
    ApiRestBytesMax = "api.rest_bytes_max", Bytes;
    /// The largest body of an HTTP API.
    ApiHttpBytesMax = "api.http_bytes_max", Bytes;
    /// The largest message of a WebSocket API.
    ApiWebSocketBytesMax = "api.websocket_bytes_max", Bytes;
    /// The largest body that a load balancer hands to a function.
    ApiLoadBalancerBytesMax = "api.load_balancer_bytes_max", Bytes;
    /// The largest body of Flyball's gateway.
    ApiFlyballBytesMax = "api.flyball_bytes_max", Bytes;

    /// The largest message of a queue where nothing is stated.
    QueueMessageBytesDefault = "queue.message_bytes_default", Bytes;
    /// The largest message that a queue can be set to take.
    QueueMessageBytesMax = "queue.message_bytes_max", Bytes;
    /// All messages of one request to a queue together.
    QueueBatchBytesMax = "queue.batch_bytes_max", Bytes;
    /// The shortest retention of a queue.
    QueueRetentionMin = "queue.retention_min", Seconds;
    /// The longest retention of a queue.
    QueueRetentionMax = "queue.retention_max", Seconds;
    /// The retention of a queue where nothing is stated.
    QueueRetentionDefault = "queue.retention_default", Seconds;
    /// The longest visibility timeout.
    QueueVisibilityMax = "queue.visibility_max", Seconds;
    /// The visibility timeout where nothing is stated.
    QueueVisibilityDefault = "queue.visibility_default", Seconds;
    /// The longest delay of a queue.
    QueueDelayMax = "queue.delay_max", Seconds;
    /// Messages of a standard queue that are received and not deleted.
    QueueInFlightMax = "queue.in_flight_max", Count;
    /// Messages of a FIFO queue that are received and not deleted.
    QueueFifoInFlightMax = "queue.fifo_in_flight_max", Count;
    /// Calls of one action a second on a FIFO queue.
    QueueFifoPerS = "queue.fifo_per_s", PerSecond;
    /// Messages a second on a FIFO queue, ten to a call.
    QueueFifoBatchedPerS = "queue.fifo_batched_per_s", PerSecond;
    /// Calls of one action a second on a high-throughput FIFO queue in the largest regions.
    QueueFifoHighPerS = "queue.fifo_high_per_s", PerSecond;
    /// How long a FIFO queue knows the deduplication ids that were sent to it.
    QueueFifoDedupWindow = "queue.fifo_dedup_window", Seconds;
    /// Deliveries before the dead letters where a redrive policy states none.
    QueueReceivesDefault = "queue.receives_default", Count;

    /// The largest message of a topic where nothing is stated.
    TopicMessageBytesDefault = "topic.message_bytes_default", Bytes;
    /// The largest message that a topic can be set to take.
    TopicMessageBytesMax = "topic.message_bytes_max", Bytes;
    /// Subscriptions of a topic that takes larger messages than the default.
    TopicLargeSubscriptionsMax = "topic.large_subscriptions_max", Count;
    /// Attempts to deliver to a queue, a function or Firehose.
    TopicAttemptsMax = "topic.attempts_max", Count;
    /// How long these attempts take.
    TopicRetryMax = "topic.retry_max", Seconds;
    /// Attempts to deliver by mail, message or push.
    TopicCustomerAttemptsMax = "topic.customer_attempts_max", Count;
    /// Retries to an HTTP endpoint where nothing is stated.
    TopicHttpRetriesDefault = "topic.http_retries_default", Count;
    /// Filter policies of one topic.
    TopicFiltersMax = "topic.filters_max", Count;
    /// Subscriptions of a FIFO topic.
    TopicFifoSubscriptionsMax = "topic.fifo_subscriptions_max", Count;
    /// Messages a second of one group of a FIFO topic.
    TopicFifoGroupPerS = "topic.fifo_group_per_s", PerSecond;

    /// The largest entry of a bus.
    BusEventBytesMax = "bus.event_bytes_max", Bytes;
    /// Targets of one rule.
    BusTargetsMax = "bus.targets_max", Count;
    /// Rules of one bus.
    BusRulesMax = "bus.rules_max", Count;
    /// Retries of a target where nothing is stated, and at most.
    BusRetriesDefault = "bus.retries_default", Count;
    /// How long a target is retried where nothing is stated, and at most.
    BusAgeDefault = "bus.age_default", Seconds;
    /// The shortest that a target may be retried.
    BusAgeMin = "bus.age_min", Seconds;
    /// Entries a second that an account may put.
    BusPutPerS = "bus.put_per_s", PerSecond;
    /// Targets a second that an account's rules invoke.
    BusInvocationsPerS = "bus.invocations_per_s", PerSecond;
    /// Calls a second of one API destination.
    BusDestinationPerS = "bus.destination_per_s", PerSecond;

    /// The input or output of a state, and of an execution.
    MachinePayloadBytesMax = "machine.payload_bytes_max", Bytes;
    /// Events in the history of a standard execution.
    MachineHistoryMax = "machine.history_max", Count;
    /// The longest standard execution.
    MachineTimeoutMax = "machine.timeout_max", Seconds;
    /// The longest express execution.
    MachineExpressTimeoutMax = "machine.express_timeout_max", Seconds;
    /// A task's timeout where nothing is stated.
    MachineTaskTimeoutDefault = "machine.task_timeout_default", Seconds;
    /// A definition's text.
    MachineDefinitionBytesMax = "machine.definition_bytes_max", Bytes;
    /// Standard executions started a second.
    MachineStartsPerS = "machine.starts_per_s", PerSecond;
    /// Express executions started a second.
    MachineExpressStartsPerS = "machine.express_starts_per_s", PerSecond;
    /// State transitions a second in the largest regions.
    MachineTransitionsPerS = "machine.transitions_per_s", PerSecond;
    /// Items of an inline map at once.
    MachineInlineMapMax = "machine.inline_map_max", Count;
    /// Children of a distributed map at once.
    MachineDistributedMapMax = "machine.distributed_map_max", Count;
    /// Retries of a state's retrier where nothing is stated.
    MachineRetriesDefault = "machine.retries_default", Count;
    /// The wait before a retrier's first retry where nothing is stated.
    MachineRetryWaitDefault = "machine.retry_wait_default", Seconds;
    /// By what the wait of a retrier grows where nothing is stated.
    MachineRetryBackoffDefault = "machine.retry_backoff_default", Count;

    /// Writes a second of one partitioned prefix of a bucket.
    BucketWritesPerS = "bucket.writes_per_s", PerSecond;
    /// Reads a second of one partitioned prefix of a bucket.
    BucketReadsPerS = "bucket.reads_per_s", PerSecond;
    /// Secrets that an account may read a second.
    SecretReadsPerS = "secret.reads_per_s", PerSecond;
    /// Parameters that an account may read a second.
    ParameterReadsPerS = "parameter.reads_per_s", PerSecond;

    /// Memory by which PostgreSQL's default of connections is computed.
    DatabasePostgresBytesPerConnection = "database.postgres_bytes_per_connection", Bytes;
    /// Memory by which the default of connections of MySQL and MariaDB is computed.
    DatabaseMysqlBytesPerConnection = "database.mysql_bytes_per_connection", Bytes;
    /// PostgreSQL's default of connections at most.
    DatabasePostgresConnectionsMax = "database.postgres_connections_max", Count;
    /// Connections with work that one processor serves before everything slows down.
    DatabaseConnectionsPerProcessor = "database.connections_per_processor", Count;
}
