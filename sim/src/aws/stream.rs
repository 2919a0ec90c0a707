//! Kinesis and the streams of DynamoDB's tables: shards in order, with the event source mappings that read
//! them.
//!
//! A record stays in its stream until it is too old, whoever reads it. Here each mapping has a line of its
//! own for each shard, and a record leaves it when the mapping is past it: handled, given up, or expired.

mod reader;
#[cfg(test)]
mod tests;

use flyball_app::{
    design,
    design::EventSource,
    profile::{Limit, Profile},
};
use flyball_core::{Span, Time};

use super::{
    pipe::{self, Leg},
    rate::Bucket,
    rows,
};
use crate::{
    message::{Ask, FunctionNo, Message, NodeNo, Part, Verdict, spread},
    used::{Meter, PartLimit, Used},
};
use reader::Reader;

/// The numbers of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamPolicy {
    /// Its shards. `ShardCount`; on demand and for tables, whose shards AWS decides on, an assumption of the
    /// plan.
    pub shards: u32,
    /// What a shard takes. `None`: no such limit, as for a table's stream.
    pub takes: Option<ShardPolicy>,
    /// How long a record is kept. `RetentionPeriodHours`, else row `stream.retention_default`; a table's: row
    /// `stream.table_retention`.
    pub retention: Span,
    /// Who reads it.
    pub mappings: Vec<ReaderPolicy>,
}

/// What a Kinesis shard takes; more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardPolicy {
    /// Records a second. Row `stream.shard_records_per_s`. That a second's worth may come at once is an
    /// assumption.
    pub records_per_s: u32,
    /// Bytes a second. Row `stream.shard_in_bytes_per_s`.
    pub bytes_per_s: u32,
}

/// How a stream's records come to a function.
#[derive(Debug, Clone, PartialEq)]
pub struct ReaderPolicy {
    /// What is done with a batch: a function is invoked. A pipe: its enrichment, and then its target.
    pub legs: Vec<Leg>,
    /// It is a pipe's.
    pub pipe: bool,
    /// How likely a record passes its filter, 0 to 1: filters are not evaluated, so that this is stated or an
    /// assumption. A mapping goes past what does not pass (AWS Lambda developer guide,
    /// invocation-eventfiltering).
    pub share: f64,
    /// Records in a batch. `BatchSize`, else row `event_source.stream_batch_default`.
    pub batch_max: u32,
    /// Bytes in a batch. Row `lambda.request_bytes_max`.
    pub batch_bytes_max: u64,
    /// How long a batch that is not full waits for more. `MaximumBatchingWindowInSeconds`, else none.
    pub window: Span,
    /// From one look at a shard to the next: records that come meanwhile go together. Kinesis 1 s, a
    /// table's stream 250 ms, none with throughput of its own: AWS Lambda developer guide, older text;
    /// assumption.
    pub poll: Span,
    /// Batches of one shard at once, each with other partition keys. `ParallelizationFactor`, else row
    /// `event_source.parallelization_default`.
    pub parallelization: u32,
    /// Runs of one batch that may fail. One more than `MaximumRetryAttempts`. `None`: no such end, AWS's
    /// default.
    pub attempts_max: Option<u32>,
    /// A record is given up when it is older. `MaximumRecordAgeInSeconds`. `None`: no such end, AWS's
    /// default.
    pub age_max: Option<Span>,
    /// A batch that fails is split in two. `BisectBatchOnFunctionError`. A split spends an attempt of neither
    /// half (assumption: it is documented that a split does not count).
    pub bisect: bool,
    /// Answers that name the first record that failed are heeded. `ReportBatchItemFailures`.
    pub partial_failures: bool,
    /// It has an on-failure destination: where, if that is simulated. `None`: what is given up is lost.
    pub dead: Option<Option<NodeNo>>,
    /// The wait before a batch that failed or was throttled is tried again; twice as long each time. That
    /// there is a growing wait is documented, how long is an assumption.
    pub retry_wait: Span,
    /// It never waits longer. Assumption.
    pub retry_wait_max: Span,
}

impl StreamPolicy {
    /// What the design states, and AWS's defaults. `shards`: where the design does not say.
    pub fn of(
        profile: &Profile,
        stream: &design::Stream,
        shards: u32,
        mappings: Vec<ReaderPolicy>,
    ) -> StreamPolicy {
        let takes = ShardPolicy {
            records_per_s: rows::count(profile, Limit::StreamShardRecordsPerS, 1_000),
            bytes_per_s: rows::count(profile, Limit::StreamShardInBytesPerS, 1_048_576),
        };
        let retention = if stream.of_table {
            rows::seconds(profile, Limit::StreamTableRetention, 86_400)
        } else {
            let default = rows::seconds(profile, Limit::StreamRetentionDefault, 86_400);
            let stated = stream.retention_h.stated().and_then(|hours| u64::try_from(*hours).ok());
            stated.map_or(default, |hours| Span::from_secs(hours.saturating_mul(3_600)))
        };
        StreamPolicy {
            shards: rows::stated_count(&stream.shards, shards).clamp(1, SHARDS_MAX),
            takes: (!stream.of_table).then_some(takes),
            retention,
            mappings,
        }
    }
}

impl ReaderPolicy {
    /// What the design states, and AWS's defaults. `dead`: its on-failure destination, where that is
    /// simulated.
    pub fn of(
        profile: &Profile,
        source: &EventSource,
        function: FunctionNo,
        of_table: bool,
        dead: Option<NodeNo>,
    ) -> ReaderPolicy {
        let batch = rows::count(profile, Limit::EventSourceStreamBatchDefault, 100);
        let batch_max = rows::count(profile, Limit::EventSourceStreamBatchMax, 10_000);
        let parallel = rows::count(profile, Limit::EventSourceParallelizationDefault, 1);
        let parallel_max = rows::count(profile, Limit::EventSourceParallelizationMax, 10);
        // -1 is no such end.
        let end =
            |setting: &design::Setting<i64>| setting.stated().and_then(|value| u64::try_from(*value).ok());
        let attempts = end(&source.retries_max);
        let kept = source.on_failure.stated() == Some(&true) || dead.is_some();
        ReaderPolicy {
            legs: vec![Leg::Invoke(function)],
            pipe: false,
            share: 1.0,
            batch_max: rows::stated_count(&source.batch_max, batch).clamp(1, batch_max),
            batch_bytes_max: rows::number(profile, Limit::LambdaRequestBytesMax, 6_291_456),
            window: rows::stated_seconds(&source.window_s, Span::ZERO),
            poll: match (source.own_throughput, of_table) {
                (true, _) => Span::ZERO,
                (false, true) => Span::from_millis(250),
                (false, false) => Span::from_secs(1),
            },
            parallelization: rows::stated_count(&source.parallelization, parallel).clamp(1, parallel_max),
            attempts_max: attempts.map(|n| u32::try_from(n.saturating_add(1)).unwrap_or(u32::MAX)),
            age_max: end(&source.age_max_s).map(Span::from_secs),
            bisect: source.bisect.stated() == Some(&true),
            partial_failures: source.partial_failures.stated() == Some(&true),
            dead: kept.then_some(dead),
            retry_wait: Span::from_millis(500),
            retry_wait_max: Span::from_secs(60),
        }
    }
}

/// Shards of one stream at most: what tokens can name.
const SHARDS_MAX: u32 = 1 << 16;
/// Mappings of one stream at most.
const MAPPINGS_MAX: usize = 256;

#[derive(Debug)]
struct Intake {
    records: Bucket,
    bytes: Bucket,
    records_taken: Meter,
    bytes_taken: Meter,
}

/// See the module's text.
#[derive(Debug)]
pub struct Stream {
    shards: u32,
    intakes: Vec<Intake>,
    readers: Vec<Reader>,
}

impl Stream {
    /// A stream and who reads it: at most 256 event source mappings, more are left out.
    pub fn new(policy: StreamPolicy) -> Stream {
        let shards = policy.shards.clamp(1, SHARDS_MAX);
        let bucket = |per_s: u32| Bucket::new(u64::from(per_s), u64::from(per_s));
        let intake = |takes: ShardPolicy| Intake {
            records: bucket(takes.records_per_s),
            bytes: bucket(takes.bytes_per_s),
            records_taken: Meter::rate(takes.records_per_s, takes.records_per_s),
            bytes_taken: Meter::rate(takes.bytes_per_s, takes.bytes_per_s),
        };
        let intakes = policy.takes.into_iter().flat_map(|takes| (0..shards).map(move |_| intake(takes)));
        let mappings = policy.mappings.into_iter().take(MAPPINGS_MAX).zip(0..);
        let readers = mappings.map(|(mapping, index)| Reader::new(mapping, policy.retention, shards, index));
        Stream { shards, intakes: intakes.collect(), readers: readers.collect() }
    }

    /// When the oldest record that no mapping is past came: the greatest iterator age.
    pub fn iterator(&self) -> Option<Time> {
        self.readers.iter().filter_map(Reader::oldest).min()
    }
}

impl Part for Stream {
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>) {
        let hash = spread(u64::from(message.tenant.0));
        let shard = u32::try_from(hash % u64::from(self.shards)).unwrap_or(0);
        if let Some(intake) = self.intakes.get_mut(shard as usize) {
            if !intake.records.take(now, 1) {
                intake.records_taken.refuse(now);
                asks.push(Ask::Refused { message, why: "rate" });
                return;
            }
            if !intake.bytes.take(now, u64::from(message.bytes)) {
                intake.bytes_taken.refuse(now);
                asks.push(Ask::Refused { message, why: "bytes" });
                return;
            }
            intake.records_taken.took(now, 1);
            intake.bytes_taken.took(now, u64::from(message.bytes));
        }
        // With one mapping the record goes as it is; with several each has a copy.
        if let [only] = self.readers.as_mut_slice() {
            only.arrive(now, shard, hash, message, asks);
            return;
        }
        for (reader, place) in self.readers.iter_mut().zip(1..) {
            reader.arrive(now, shard, hash, message.copy(place), asks);
        }
        asks.push(Ask::Done { message });
    }

    fn wake(&mut self, now: Time, token: u64, asks: &mut Vec<Ask>) {
        if let Some(reader) = self.readers.get_mut(reader::of(token)) {
            reader.wake(now, token, asks);
        }
    }

    fn answered(&mut self, now: Time, token: u64, verdict: Verdict, asks: &mut Vec<Ask>) {
        if let Some(reader) = self.readers.get_mut(reader::of(token)) {
            reader.answered(now, token, verdict, asks);
        }
    }

    fn refused(&mut self, _now: Time, by: NodeNo, message: Message, asks: &mut Vec<Ask>) {
        pipe::refused(self.readers.iter().flat_map(Reader::legs), by, message, asks);
    }

    fn waiting(&self) -> u64 {
        self.readers.iter().map(Reader::waiting).sum()
    }

    fn in_flight(&self) -> u64 {
        self.readers.iter().map(Reader::in_flight).sum()
    }

    fn oldest(&self) -> Option<Time> {
        self.iterator()
    }

    /// What shards take in is that of the busiest of them.
    fn used(&self) -> Vec<Used> {
        let records = self.intakes.iter().map(|intake| intake.records_taken.used(PartLimit::Intake));
        let bytes = self.intakes.iter().map(|intake| intake.bytes_taken.used(PartLimit::IntakeBytes));
        let intake = [records.reduce(Used::with), bytes.reduce(Used::with)];
        let batches = self.readers.iter().enumerate();
        let batches = batches.map(|(place, reader)| reader.used(PartLimit::Batches(place)));
        intake.into_iter().flatten().chain(batches).collect()
    }
}
