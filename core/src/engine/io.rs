//! What goes into the engine and what comes out: the contract between it and its two drivers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Attributes, BatchNo, Body, CallerId, EventId, Failure, Fingerprint, InvocationId, KvKey, Name, Outcome,
    Refusal, Seq, Span, TenantId, Time, Usage,
    model::TenantLimits,
    record::{Bucket, Dead, Settled, Waiting, Write},
};

/// What happens to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A tenant is created or changed. Unknown tenants are refused.
    SetTenant(Tenant),
    /// At opening: a record of [`crate::record::Table::State`], in the order of the scan.
    Restore(Seq, Waiting),
    /// At opening: a record of [`crate::record::Table::Counters`].
    RestoreCount(Bucket, TenantId, u64),
    /// At opening: how many dead letters there are, and the greatest sequence among them.
    RestoreDead(u64, Seq),
    /// Everything was restored: work may start.
    Opened,
    /// An event arrives from outside.
    Send(Box<Send>),
    /// A caller wants a function's answer.
    Call(Call),
    /// A caller has gone. A call that waits is dropped, one that runs ends unheard.
    Abandon(CallerId),
    /// A commit is durable, or was refused because what it had read was stale.
    Committed(BatchNo, CommitResult),
    /// An invocation has ended.
    Finished(InvocationId, Outcome),
    /// An operator puts a dead letter back. The driver has read its record.
    Redrive(CallerId, Seq, Box<Dead>),
    /// An operator throws a dead letter away.
    Discard(CallerId, Seq, Box<Dead>),
    /// No new work from outside from here on.
    Drain,
    /// The process ends in good order: no new work, and what still runs goes back to its queue.
    Close,
    /// Time has passed: [`super::Engine::next_deadline`] was reached.
    Tick,
}

/// What came of a commit that did not fail. One that failed poisons the lane and never gets here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommitResult {
    /// It is durable.
    Done,
    /// A version it had read is stale; nothing was written.
    Conflict,
}

/// A tenant as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tenant {
    /// Its number.
    pub id: TenantId,
    /// Its name; limits of single functions are stated by it.
    pub name: Name,
    /// Its limits.
    pub limits: TenantLimits,
    /// Whether it may send and call. What it has waiting runs on.
    pub enabled: bool,
}

/// An event that arrives from outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Send {
    /// Who waits for `Accepted`.
    pub caller: CallerId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The queue, topic, bus, or inbox (`@function`).
    pub target: String,
    /// What it is.
    pub attributes: Attributes,
    /// Its bytes.
    pub body: Body,
    /// How long it waits before its first run, beyond the queue's own delay.
    pub delay: Span,
    /// The idempotency key, if it came with one.
    pub key: Option<Keyed>,
    /// Whether its result is to be kept for the caller. Only for a single destination.
    pub want_result: bool,
}

/// A synchronous call of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Who waits for the answer.
    pub caller: CallerId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The function.
    pub function: Name,
    /// The idempotency key, with what is stored to make the call durable; `None` writes nothing.
    pub key: Option<Box<KeyedCall>>,
}

/// What makes a call durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyedCall {
    /// The key.
    pub keyed: Keyed,
    /// What it is.
    pub attributes: Attributes,
    /// The request's bytes.
    pub body: Body,
}

/// An idempotency key and what the driver found under it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Keyed {
    /// The id derived from it: [`EventId::keyed`].
    pub id: EventId,
    /// A hash of the request.
    pub fingerprint: Fingerprint,
    /// [`super::Engine::settled_mark`] as it was before the look-up.
    pub as_of: u64,
    /// The settled record under the id, if there is one.
    pub found: Option<Box<Settled>>,
}

/// What the driver must do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Make this durable, all or nothing, and feed [`Input::Committed`]. Commits that are asked for while
    /// another is on its way do not depend on it, so that many go in one group.
    Commit(Commit),
    /// Start this invocation and feed [`Input::Finished`].
    Start(Start),
    /// Stop this invocation and feed [`Input::Finished`] with what it did: its deadline has passed.
    Stop(InvocationId),
    /// Answer this caller.
    Answer(CallerId, Answer),
    /// For telemetry; nothing depends on it.
    Note(Note),
}

/// A batch of durable changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit {
    /// Its number.
    pub batch: BatchNo,
    /// Versions that must still be current, of this tenant's keys.
    pub checks: Vec<(TenantId, KvKey, u64)>,
    /// The changes.
    pub writes: Vec<Write>,
}

/// An invocation to start.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Start {
    /// Its number.
    pub invocation: InvocationId,
    /// What runs.
    pub function: Name,
    /// For whom: everything in the batch is this tenant's.
    pub tenant: TenantId,
    /// On what.
    pub work: Work,
    /// It is stopped then.
    pub deadline: Time,
}

impl Start {
    /// Whether it is the call of this caller.
    pub fn is_call_of(&self, whom: CallerId) -> bool {
        matches!(self.work, Work::Call { caller, .. } if caller == whom)
    }
}

/// What an invocation works on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    /// A call that nothing was written for; the driver holds the request.
    Call {
        /// Who called.
        caller: CallerId,
        /// The id it has in lineages.
        id: EventId,
        /// When it came.
        accepted: Time,
    },
    /// Accepted events; envelopes and bodies are in the store.
    Events(Vec<StartedEvent>),
}

/// One event of a started batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StartedEvent {
    /// Its place in the store.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
    /// Which run this is, from 1.
    pub attempt: u16,
}

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The event is durable.
    Accepted {
        /// Its id.
        id: EventId,
        /// It had been accepted before, under the same key.
        duplicate: bool,
    },
    /// The function's answer.
    Done {
        /// The call's id.
        id: EventId,
        /// The answer.
        body: Body,
        /// It is the recorded one of an earlier call under the same key.
        replayed: bool,
    },
    /// The function failed.
    Failed {
        /// The call's id.
        id: EventId,
        /// Why.
        failure: Failure,
        /// It is the recorded one of an earlier call under the same key.
        replayed: bool,
    },
    /// Not taken on.
    Refused(Refusal),
    /// What was looked up has changed meanwhile: look up again and send the input again.
    LookAgain,
}

/// The limits there are, by what they belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LimitName {
    /// Where it applies.
    pub level: Level,
    /// What it limits.
    pub of: Limited,
}

/// Where a limit applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Everything.
    Platform,
    /// The functions with a long timeout together.
    LongFunctions,
    /// One tenant.
    Tenant(Name),
    /// One function.
    Function(Name),
    /// One function for one tenant.
    FunctionTenant(Name, Name),
    /// One queue.
    Queue(Name),
}

/// What a limit limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// Invocations running.
    Concurrency,
    /// Invocations started per second.
    Rate,
    /// Events waiting.
    WaitingEvents,
    /// Calls waiting.
    WaitingCalls,
    /// Idempotency keys and results remembered.
    Remembered,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Limited::Concurrency => "concurrency",
            Limited::Rate => "rate",
            Limited::WaitingEvents => "waiting events",
            Limited::WaitingCalls => "waiting calls",
            Limited::Remembered => "remembered results",
        };
        match &self.level {
            Level::Platform => write!(f, "platform {of}"),
            Level::LongFunctions => write!(f, "long functions {of}"),
            Level::Tenant(tenant) => write!(f, "tenant {tenant} {of}"),
            Level::Function(function) => write!(f, "function {function} {of}"),
            Level::FunctionTenant(function, tenant) => {
                write!(f, "function {function} for tenant {tenant} {of}")
            }
            Level::Queue(queue) => write!(f, "queue {queue} {of}"),
        }
    }
}

/// What telemetry hears. One for each thing that happens to an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Note {
    /// An event is durable.
    Accepted {
        /// Which.
        id: EventId,
        /// Whose.
        tenant: TenantId,
        /// Where it waits.
        queue: Name,
        /// What emitted it.
        cause: Option<EventId>,
        /// Where it began.
        root: EventId,
    },
    /// Work for a function starts: an event, or a call.
    Started {
        /// Which.
        id: EventId,
        /// Whose.
        tenant: TenantId,
        /// By which function.
        function: Name,
        /// In which invocation.
        invocation: InvocationId,
        /// Which run, from 1.
        attempt: u16,
        /// How long it had been ready to run.
        dwell: Span,
        /// The limit it waited for last, if it waited for one.
        waited_for: Option<LimitName>,
    },
    /// An event or call is over and its outcome durable.
    Done {
        /// Which.
        id: EventId,
        /// Whose.
        tenant: TenantId,
        /// By which function.
        function: Name,
        /// Events emitted.
        emitted: u32,
    },
    /// A run failed; there will be another.
    Retrying {
        /// Which.
        id: EventId,
        /// Whose.
        tenant: TenantId,
        /// Why.
        failure: Failure,
        /// When.
        at: Time,
    },
    /// An event went to the dead letters, or a call failed.
    Dead {
        /// Which.
        id: EventId,
        /// Whose.
        tenant: TenantId,
        /// Of what.
        failure: Failure,
    },
    /// A request under a known key found what was there.
    Duplicate {
        /// Which.
        id: EventId,
        /// Whose.
        tenant: TenantId,
    },
    /// A commit met a stale read and the event runs again.
    Conflict {
        /// Whose.
        tenant: TenantId,
        /// By which function.
        function: Name,
    },
    /// Something was refused.
    Refused {
        /// Whose.
        tenant: TenantId,
        /// Why.
        refusal: Refusal,
    },
    /// An event found no rule or subscriber and ends here.
    Unrouted {
        /// Which.
        id: EventId,
        /// Whose.
        tenant: TenantId,
        /// Where it was sent.
        target: Name,
    },
    /// An invocation has ended.
    Ended {
        /// Which.
        invocation: InvocationId,
        /// Whose.
        tenant: TenantId,
        /// Of which function.
        function: Name,
        /// What it used.
        usage: Usage,
    },
}

/// A limit with what stands against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStatus {
    /// Which.
    pub name: LimitName,
    /// Its value.
    pub max: u64,
    /// What is never lent; 0 where that means nothing.
    pub guarantee: u64,
    /// What there is now.
    pub now: u64,
    /// The most there was since the engine was opened.
    pub peak: u64,
}
