//! Limits: at each of platform, tenant, function and function×tenant three numbers, and the bounds on
//! everything that is stored, sent or waits.

use serde::{Deserialize, Serialize};

use crate::Span;

/// The highest rate that can be stated, invocations a second: one a microsecond.
pub const RATE_PER_SECOND_MAX: u32 = 1_000_000;

/// Cap, guarantee and rate of one level. The lowest cap on the way wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Invocations running at once.
    pub concurrency: Concurrency,
    /// Invocations started per second; `None` for no limit.
    pub rate: Option<Rate>,
}

/// How many invocations may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Concurrency {
    /// Never above. `u32::MAX` for no cap of its own.
    pub cap: u32,
    /// Never lent to others. What lies between guarantee and cap is the burst: lent while free.
    pub guarantee: u32,
}

impl Default for Concurrency {
    fn default() -> Self {
        Concurrency { cap: u32::MAX, guarantee: 0 }
    }
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// Tokens a second; 1 to [`RATE_PER_SECOND_MAX`].
    pub per_second: u32,
    /// Tokens that can be saved up; 1 or more.
    pub burst: u32,
}

/// Limits of the platform as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlatformLimits {
    /// Concurrency and rate over everything. The cap is a real number here: slots bound memory.
    pub limits: Limits,
    /// The longest timeout that a function may have.
    pub timeout_max: Span,
    /// Functions whose timeout is longer than this share the slots of `long_concurrency_max`.
    pub long_timeout: Span,
    /// Slots that long functions share; the rest is always left to short ones.
    pub long_concurrency_max: u32,
    /// Functions that an event may pass before it is stopped.
    pub hops_max: u16,
    /// An event's body, bytes; at the edge and when emitted.
    pub event_bytes_max: u64,
    /// A request's or an answer's body at the gateway, bytes.
    pub request_bytes_max: u64,
    /// Events waiting over all queues and tenants.
    pub waiting_events_max: u64,
    /// Synchronous calls waiting for a slot.
    pub waiting_calls_max: u32,
    /// How long a synchronous call waits for a slot before it is refused. Zero: it starts at once or is refused.
    pub call_wait_max: Span,
    /// How long the store may take over a commit. Past it those who wait are told so, and no work is taken
    /// until it answers.
    pub commit_wait_max: Span,
    /// How long a result, and an idempotency key, is remembered.
    pub result_retention: Span,
    /// Runs that a stale read may cost before it counts as a failure.
    pub conflicts_max: u8,
    /// Ends of the process, in a row, during an event's runs, after which it is put aside: 2 or more, since
    /// the first says nothing of which of those that ran was to blame.
    pub crashes_max: u8,
    /// Events that traces are kept of, in memory; the oldest are forgotten first.
    pub traced_events_max: u32,
    /// Bounds on what one invocation may do.
    pub invocation: InvocationLimits,
}

/// Bounds on what one invocation may do, each per event handled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InvocationLimits {
    /// Events emitted.
    pub emits_max: u32,
    /// All bodies emitted together, bytes.
    pub emitted_bytes_max: u64,
    /// The longest delay of an emitted event.
    pub delay_max: Span,
    /// A key-value key, bytes.
    pub key_bytes_max: u32,
    /// A key-value value, bytes.
    pub value_bytes_max: u64,
    /// Key-value keys read and written.
    pub keys_max: u32,
    /// Keys that one listing answers. One invocation may list sixteen times as many.
    pub listed_keys_max: u32,
    /// A blob, bytes.
    pub blob_bytes_max: u64,
    /// Calls to the outside.
    pub http_calls_max: u32,
    /// Lines logged; more are dropped and counted.
    pub log_lines_max: u32,
    /// A line; longer ones are cut. Bytes.
    pub log_line_bytes_max: u32,
    /// The result kept for a caller, bytes.
    pub result_bytes_max: u64,
}

/// Limits of one tenant over all functions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TenantLimits {
    /// Concurrency and rate.
    pub limits: Limits,
    /// Its share when there is not enough for all: a tenant of weight 200 gets twice one of 100. 1 to 10,000.
    pub weight: u32,
    /// Its events that may wait, over all queues.
    pub waiting_events_max: u64,
    /// Its calls that may wait for a slot.
    pub waiting_calls_max: u32,
    /// Results and idempotency keys remembered for it; at the limit keyed requests are refused, none is
    /// forgotten early.
    pub remembered_max: u64,
}

impl Default for PlatformLimits {
    fn default() -> Self {
        PlatformLimits {
            limits: Limits { concurrency: Concurrency { cap: 1_000, guarantee: 0 }, rate: None },
            // As on AWS Lambda. Longer work is split.
            timeout_max: Span::from_secs(15 * 60),
            long_timeout: Span::from_secs(60),
            long_concurrency_max: 500,
            hops_max: 16,
            event_bytes_max: 1 << 20,
            request_bytes_max: 6 << 20,
            waiting_events_max: 2_000_000,
            waiting_calls_max: 10_000,
            call_wait_max: Span::from_secs(5),
            commit_wait_max: Span::from_secs(10),
            result_retention: Span::from_secs(24 * 3_600),
            conflicts_max: 16,
            crashes_max: 3,
            traced_events_max: 100_000,
            invocation: InvocationLimits::default(),
        }
    }
}

impl Default for InvocationLimits {
    fn default() -> Self {
        InvocationLimits {
            emits_max: 1_000,
            emitted_bytes_max: 16 << 20,
            delay_max: Span::from_secs(15 * 60),
            key_bytes_max: 256,
            value_bytes_max: 1 << 20,
            keys_max: 1_000,
            listed_keys_max: 1_000,
            blob_bytes_max: 64 << 20,
            http_calls_max: 50,
            log_lines_max: 1_000,
            log_line_bytes_max: 8_192,
            result_bytes_max: 6 << 20,
        }
    }
}

impl Default for TenantLimits {
    fn default() -> Self {
        TenantLimits {
            limits: Limits::default(),
            weight: 100,
            waiting_events_max: 1_000_000,
            waiting_calls_max: 1_000,
            remembered_max: 1_000_000,
        }
    }
}
