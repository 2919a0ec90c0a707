//! How an invocation ended: what commits once, or why nothing does.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Body, Envelope, Name, Span};

/// How one invocation ended, event by event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Outcome {
    /// One for each event (or the one call), in the order in which they were started.
    pub results: Vec<EventResult>,
    /// The versions that were read; the commit holds only if they are still current.
    pub reads: Vec<Read>,
    /// Key-value writes of the events that succeeded.
    pub writes: Vec<KvWrite>,
    /// What it took.
    pub usage: Usage,
}

/// How the handling of one event ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventResult {
    /// What it answered, or why it failed.
    pub verdict: Result<Body, Failure>,
    /// What it emitted; empty where it failed.
    pub emits: Vec<Emit>,
}

/// An event that leaves with the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Emit {
    /// The event, complete but for the time, which is the commit's.
    pub envelope: Envelope,
    /// Its bytes.
    pub body: Body,
    /// How long it waits before its first run, beyond the queue's own delay.
    pub delay: Span,
}

/// A key-value key as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KvKey {
    /// The namespace.
    pub namespace: Name,
    /// The key within it.
    pub key: String,
}

/// A version that was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Read {
    /// Of which key.
    pub key: KvKey,
    /// The version; 0 where there was no value.
    pub version: u64,
}

/// A key-value write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KvWrite {
    /// Of which key.
    pub key: KvKey,
    /// The value; `None` deletes.
    pub value: Option<Body>,
}

/// What an invocation used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time.
    pub busy: Span,
    /// Time waiting for the host (never in our own queues).
    pub waiting: Span,
    /// The most memory it had, bytes.
    pub memory_bytes_peak: u64,
}

/// Why the handling of an event failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, which has a stable code.
    pub kind: FailureKind,
    /// What happened, for people: at most [`MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
}

/// The longest failure message, bytes.
pub const MESSAGE_BYTES_MAX: usize = 1_024;

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The function asked for another attempt.
    Retry,
    /// The function said that trying again can't help.
    Permanent,
    /// The guest trapped.
    Trap,
    /// It ran past its deadline and was stopped.
    Timeout,
    /// It wanted more memory than its limit.
    OutOfMemory,
    /// It answered something that is not an HTTP response, or none, or too much.
    InvalidResponse,
    /// It could not be started: its component is missing or broken.
    NotStarted,
    /// Its run did not end in time and its worker said nothing: taken as lost.
    Lost,
    /// The batch ended before its turn came. Spends no attempt.
    NotRun,
    /// It emitted, wrote or answered beyond a limit.
    LimitExceeded,
    /// Other writers changed what it had read, too many times in a row.
    Conflict,
    /// It had passed as many functions as its hop budget allows.
    HopLimit,
    /// Its queue is no longer declared.
    NoQueue,
    /// The platform's process ended while it ran.
    Crashed,
}

impl FailureKind {
    /// Every kind, in the order of the codes.
    pub const ALL: [FailureKind; 14] = [
        FailureKind::Retry,
        FailureKind::Permanent,
        FailureKind::Trap,
        FailureKind::Timeout,
        FailureKind::OutOfMemory,
        FailureKind::InvalidResponse,
        FailureKind::NotStarted,
        FailureKind::Lost,
        FailureKind::NotRun,
        FailureKind::LimitExceeded,
        FailureKind::Conflict,
        FailureKind::HopLimit,
        FailureKind::NoQueue,
        FailureKind::Crashed,
    ];

    /// The stable code, e.g. `FE2003`; `docs/errors/` has a page for each.
    pub const fn code(self) -> &'static str {
        match self {
            FailureKind::Retry => "FE2001",
            FailureKind::Permanent => "FE2002",
            FailureKind::Trap => "FE2003",
            FailureKind::Timeout => "FE2004",
            FailureKind::OutOfMemory => "FE2005",
            FailureKind::InvalidResponse => "FE2006",
            FailureKind::NotStarted => "FE2007",
            FailureKind::Lost => "FE2008",
            FailureKind::NotRun => "FE2009",
            FailureKind::LimitExceeded => "FE2010",
            FailureKind::Conflict => "FE2011",
            FailureKind::HopLimit => "FE2012",
            FailureKind::NoQueue => "FE2013",
            FailureKind::Crashed => "FE2014",
        }
    }

    /// Whether another attempt may help.
    pub const fn retryable(self) -> bool {
        !matches!(self, FailureKind::Permanent | FailureKind::HopLimit | FailureKind::NoQueue)
    }
}

impl Failure {
    /// A failure; a message that is too long is cut at a character.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Failure { kind, message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.code(), self.message)
    }
}

impl Usage {
    /// What a tenant is charged: processor time and host waiting, times memory, in units of
    /// microsecond × 64 KiB page (memory counted as one MiB at least).
    pub fn cost(&self) -> u64 {
        let pages = (self.memory_bytes_peak >> 16).max(16);
        self.busy.0.saturating_add(self.waiting.0).saturating_mul(pages)
    }
}
