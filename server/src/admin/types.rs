//! What the admin API takes and gives, as JSON. The command line uses the same types. Times are
//! milliseconds since the Unix epoch, spans are named by their unit, ids are 32 hexadecimal digits.

use std::collections::BTreeMap;

use flyball_core::{Counts, EventId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares types that both sides write and read, each with a schema.
macro_rules! types {
    ($($(#[$attribute:meta])* pub struct $name:ident {
        $($(#[$field_attribute:meta])* pub $field:ident: $type:ty,)*
    })*) => {
        $(
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
            $(#[$attribute])*
            pub struct $name { $($(#[$field_attribute])* pub $field: $type,)* }
        )*
    };
}

types! {
    /// Every error.
    pub struct ErrorBody {
        /// What went wrong.
        pub error: ErrorDetail,
    }

    /// What went wrong.
    pub struct ErrorDetail {
        /// Stable; `docs/errors/` has a page for each.
        pub code: String,
        /// What, where, the limit and the value, and what to do.
        pub message: String,
    }

    /// Whether new work is taken.
    pub struct Ready {
        /// It is.
        pub ready: bool,
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// Records that could not be read when the store was opened: they are left where they are, and the
        /// log names them.
        #[serde(default)]
        pub damaged_records: u64,
    }

    /// A tenant, without what is secret.
    pub struct Tenant {
        /// Its name.
        pub name: String,
        /// Its number.
        pub id: u32,
        /// Whether it may send and call.
        pub enabled: bool,
        /// When it was created.
        pub created_ms: u64,
        /// Its keys.
        pub keys: Vec<Key>,
        /// The names of its secrets.
        pub secrets: Vec<String>,
    }

    /// An API key, without what is secret.
    pub struct Key {
        /// What it is called when it is revoked.
        pub id: String,
        /// When it was made.
        pub created_ms: u64,
        /// From when on it is no longer valid.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub expires_ms: Option<u64>,
    }

    /// Tenants in the order of their names.
    pub struct TenantPage {
        /// These.
        pub tenants: Vec<Tenant>,
        /// Where to go on: the next page's `after`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub next: Option<String>,
    }

    /// A tenant to create.
    #[serde(deny_unknown_fields)]
    pub struct NewTenant {
        /// Its name: 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'.
        pub name: String,
    }

    /// A tenant that was created.
    pub struct CreatedTenant {
        /// It.
        pub tenant: Tenant,
        /// Its first API key, shown this once.
        pub key: String,
    }

    /// A key to make.
    #[serde(deny_unknown_fields)]
    pub struct NewKey {
        /// The other keys stay valid for this long; left out, for as long as they were.
        #[serde(default)]
        pub rotate_ms: Option<u64>,
    }

    /// A key that was made.
    pub struct CreatedKey {
        /// What it is called when it is revoked.
        pub id: String,
        /// Its text, shown this once.
        pub key: String,
    }

    /// What is counted of a tenant since the server started.
    pub struct TenantFigures {
        /// Events accepted.
        pub accepted: u64,
        /// Events and calls started.
        pub started: u64,
        /// Events and calls that succeeded.
        pub done: u64,
        /// Runs that failed and were tried again.
        pub retried: u64,
        /// Events that died, and calls that failed.
        pub dead: u64,
        /// Requests refused.
        pub refused: u64,
        /// Requests that found their key known.
        pub duplicates: u64,
        /// Starts that had waited for a limit.
        pub throttled: u64,
        /// Half of the starts had waited less, µs.
        pub dwell_p50_us: u64,
        /// 99 of 100 starts had waited less, µs.
        pub dwell_p99_us: u64,
        /// Microsecond × 64 KiB of memory, over all invocations.
        pub cost: u64,
    }

    /// A limit with what stands against it.
    pub struct Limit {
        /// Its name, e.g. `tenant acme concurrency`.
        pub name: String,
        /// Its value.
        pub max: u64,
        /// What is never lent to others.
        pub guarantee: u64,
        /// What stands against it now.
        pub now: u64,
        /// The most that stood against it since the server started.
        pub peak: u64,
        /// What is left now.
        pub headroom: u64,
    }

    /// Every limit.
    pub struct Limits {
        /// The platform's, then functions' and queues', then tenants'.
        pub limits: Vec<Limit>,
    }

    /// How much there is of what.
    pub struct Status {
        /// The application's name.
        pub application: String,
        /// Whether new work is taken.
        pub ready: bool,
        /// Events accepted, waiting, running, settling, done, dead and discarded; calls; runs retried;
        /// duplicates, conflicts and requests refused.
        pub counts: BTreeMap<String, u64>,
        /// Functions by name.
        pub functions: BTreeMap<String, Function>,
        /// How many tenants there are.
        pub tenants: u64,
    }

    /// What is counted of a function since the server started.
    pub struct Function {
        /// Invocations ended.
        pub invocations: u64,
        /// Events and calls that succeeded.
        pub done: u64,
        /// Outcomes that met a stale read.
        pub conflicts: u64,
        /// Half of the starts had waited less, µs.
        pub dwell_p50_us: u64,
        /// 99 of 100 starts had waited less, µs.
        pub dwell_p99_us: u64,
        /// Half of the runs were shorter, µs.
        pub run_p50_us: u64,
        /// 99 of 100 runs were shorter, µs.
        pub run_p99_us: u64,
        /// The most memory of any run, bytes.
        pub memory_bytes_peak: u64,
    }

    /// An event to send.
    #[serde(deny_unknown_fields)]
    pub struct NewEvent {
        /// Whose it is.
        pub tenant: String,
        /// The queue, topic or bus.
        pub target: String,
        /// CloudEvents `type`.
        #[serde(rename = "type")]
        pub kind: String,
        /// CloudEvents `source`; `/admin` where it is left out.
        #[serde(default)]
        pub source: Option<String>,
        /// CloudEvents `subject`.
        #[serde(default)]
        pub subject: Option<String>,
        /// CloudEvents `datacontenttype`; `application/json` where it is left out.
        #[serde(default)]
        pub content_type: Option<String>,
        /// Its bytes.
        #[serde(default)]
        pub data: Data,
        /// How long it waits before its first run.
        #[serde(default)]
        pub delay_ms: u64,
        /// An idempotency key.
        #[serde(default)]
        pub key: Option<String>,
    }

    /// An event that is durable.
    pub struct SentEvent {
        /// Its id.
        pub id: EventIdText,
        /// It had been accepted before, under the same key.
        pub duplicate: bool,
    }

    /// A request for a function.
    #[serde(deny_unknown_fields)]
    pub struct NewCall {
        /// Whose it is.
        pub tenant: String,
        /// Default `POST`.
        #[serde(default)]
        pub method: Option<String>,
        /// Path and query; default `/`.
        #[serde(default)]
        pub path: Option<String>,
        /// Headers.
        #[serde(default)]
        pub headers: BTreeMap<String, String>,
        /// Its body.
        #[serde(default)]
        pub body: Data,
        /// An idempotency key.
        #[serde(default)]
        pub key: Option<String>,
    }

    /// A function's response.
    pub struct CallResponse {
        /// The call's id; left out where it is that of the recorded one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub id: Option<EventIdText>,
        /// The HTTP status.
        pub status: u16,
        /// Headers, each with its values in their order; values that are no text are left out.
        pub headers: BTreeMap<String, Vec<String>>,
        /// Its body.
        pub body: Data,
        /// It is the recorded one of an earlier call under the same key.
        pub replayed: bool,
    }

    /// What there is of a result.
    pub struct ResultState {
        /// `waiting`, `running`, `done` or `failed`.
        pub state: String,
        /// Runs begun, while it is not over.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attempt: Option<u16>,
        /// When it was over.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub at_ms: Option<u64>,
        /// The response, or an event's result as the body of one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub response: Option<CallResponse>,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub failure: Option<ErrorDetail>,
    }

    /// An event and all that came of it.
    pub struct Trace {
        /// Every event of the flow that is remembered, oldest first.
        pub events: Vec<TracedEvent>,
    }

    /// One event of a flow.
    pub struct TracedEvent {
        /// Its id.
        pub id: EventIdText,
        /// The event at the edge.
        pub root: EventIdText,
        /// The event whose handling emitted it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cause: Option<EventIdText>,
        /// Whose.
        pub tenant: String,
        /// Where it waited; left out for a call.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub queue: Option<String>,
        /// When it was accepted.
        pub accepted_ms: u64,
        /// Its runs, in order.
        pub runs: Vec<TracedRun>,
        /// `done` or `dead`; left out while it is neither.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub end: Option<String>,
        /// When it was over.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub end_ms: Option<u64>,
        /// Events that it emitted.
        pub emitted: u32,
        /// What it died of.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub failure: Option<ErrorDetail>,
    }

    /// One run of an event.
    pub struct TracedRun {
        /// The function.
        pub function: String,
        /// Which run, from 1.
        pub attempt: u16,
        /// When it started.
        pub started_ms: u64,
        /// How long it had been ready to run, µs.
        pub dwell_us: u64,
        /// The limit it waited for last.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub waited_for: Option<String>,
        /// Why it failed, where it was tried again.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub failure: Option<ErrorDetail>,
        /// When it is tried again.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub retry_ms: Option<u64>,
    }

    /// Log lines, oldest first.
    pub struct LogPage {
        /// These.
        pub lines: Vec<LogLine>,
        /// The next page's `after`.
        pub next: u64,
    }

    /// A log line.
    pub struct LogLine {
        /// Grows with each line.
        pub cursor: u64,
        /// When.
        pub at_ms: u64,
        /// By which function.
        pub function: String,
        /// While handling which event.
        pub event: EventIdText,
        /// `debug`, `info`, `warn` or `error`.
        pub level: String,
        /// The line.
        pub message: String,
    }

    /// Some dead letters, in the order of acceptance.
    pub struct DeadPage {
        /// These.
        pub letters: Vec<DeadLetter>,
        /// The next page's `after`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub next: Option<u64>,
    }

    /// A dead letter.
    pub struct DeadLetter {
        /// Its id.
        pub id: EventIdText,
        /// Its place.
        pub seq: u64,
        /// Whose.
        pub tenant: String,
        /// Where it came from, and goes back to.
        pub queue: String,
        /// Runs begun.
        pub attempts: u16,
        /// When it was accepted.
        pub accepted_ms: u64,
        /// When it died.
        pub died_ms: u64,
        /// Of what.
        pub failure: ErrorDetail,
    }

    /// All of a dead letter.
    pub struct DeadShown {
        /// What the list says of it.
        pub letter: DeadLetter,
        /// What it was sent to.
        pub target: String,
        /// CloudEvents `type`.
        #[serde(rename = "type")]
        pub kind: String,
        /// CloudEvents `source`.
        pub source: String,
        /// CloudEvents `subject`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub subject: Option<String>,
        /// CloudEvents `datacontenttype`.
        pub content_type: String,
        /// The event at the edge.
        pub root: EventIdText,
        /// The functions on the way here, oldest first.
        pub chain: Vec<ChainLink>,
        /// Its failed runs.
        pub history: Vec<FailedRun>,
        /// Its bytes, the first 64 KiB.
        pub data: Data,
        /// How many there are.
        pub data_bytes: u64,
    }

    /// One function on the way to a dead letter.
    pub struct ChainLink {
        /// The event that was handled.
        pub event: EventIdText,
        /// The function that handled it and emitted the next.
        pub function: String,
        /// When that event was accepted.
        pub at_ms: u64,
    }

    /// A run that failed.
    pub struct FailedRun {
        /// Which run, from 1.
        pub attempt: u16,
        /// When it ended.
        pub at_ms: u64,
        /// Why.
        pub failure: ErrorDetail,
    }

    /// Which dead letters to put back or throw away.
    #[serde(deny_unknown_fields)]
    pub struct DeadSelection {
        /// Of this tenant.
        #[serde(default)]
        pub tenant: Option<String>,
        /// From this queue; an inbox is `@function`.
        #[serde(default)]
        pub queue: Option<String>,
        /// This one.
        #[serde(default)]
        pub id: Option<EventIdText>,
        /// After this place.
        #[serde(default)]
        pub after: Option<u64>,
        /// At most so many, 1 to 1,000; default 100.
        #[serde(default)]
        pub max: Option<u32>,
        /// Only say which.
        #[serde(default)]
        pub dry_run: bool,
    }

    /// What was put back or thrown away.
    pub struct DeadMoved {
        /// These.
        pub moved: Vec<EventIdText>,
        /// These could not be.
        pub refused: Vec<DeadRefused>,
        /// Where to go on.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub next: Option<u64>,
    }

    /// A dead letter that could not be moved.
    pub struct DeadRefused {
        /// Which.
        pub id: EventIdText,
        /// Why.
        pub error: ErrorDetail,
    }
}

/// An event's id: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventIdText(pub EventId);

impl JsonSchema for EventIdText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
    }
}

/// Bytes: as a text where they are one, else as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// UTF-8.
    Text(String),
    /// Two digits for each byte.
    Hex(String),
}

impl Default for Data {
    fn default() -> Self {
        Data::Text(String::new())
    }
}

impl Data {
    /// Bytes, in the form that shows them best.
    pub fn of(bytes: &[u8]) -> Data {
        match std::str::from_utf8(bytes) {
            Ok(text) => Data::Text(text.to_string()),
            Err(_) => Data::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }

    /// The bytes; `None` where hexadecimal digits are none.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Data::Text(text) => Some(text.clone().into_bytes()),
            Data::Hex(digits) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let pair = |pair: &[u8]| match pair {
                    [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
                    _ => None,
                };
                digits.as_bytes().chunks(2).map(pair).collect()
            }
        }
    }
}

/// The engine's counts by name.
pub fn counts(counts: &Counts) -> BTreeMap<String, u64> {
    let all = [
        ("accepted", counts.accepted),
        ("waiting", counts.waiting),
        ("running", counts.running),
        ("settling", counts.settling),
        ("done", counts.done),
        ("dead", counts.dead),
        ("discarded", counts.discarded),
        ("calls", counts.calls),
        ("waiting_calls", counts.waiting_calls),
        ("invocations", counts.invocations),
        ("retried", counts.retried),
        ("duplicates", counts.duplicates),
        ("conflicts", counts.conflicts),
        ("refused", counts.refused),
        ("stopped", counts.stopped),
    ];
    all.into_iter().map(|(name, n)| (name.to_string(), n)).collect()
}
