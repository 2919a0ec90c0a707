//! The engine of Flyball. Pure: no clock, no randomness, no I/O, no tasks, no hash-order iteration.
//!
//! The one door is [`Engine::step`]: what happens goes in as an [`Input`] with the time at which it
//! happened, what must be done comes out as [`Effect`]s. `server` drives it with real sockets, disks and
//! functions, `sim` in virtual time; both get the same effects for the same inputs, bit for bit.
//!
//! Where to look:
//! - [`model`]: the application as data, and whether it holds together.
//! - [`Engine`]: limits, fairness, order, retries, ids, outcomes.
//! - [`invocation`]: one run as seen from inside: grants, buffered writes, emitted events.
//! - [`record`]: what is durable, and its bytes.
//! - [`journal`]: what was fed to an engine, written down, and fed again.
//! - [`invariant`]: what must always hold, numbered, checked everywhere by the same functions.

#[expect(clippy::indexing_slicing, reason = "typed indices, made only by what they index: engine/slab.rs")]
mod engine;
mod event;
mod id;
pub mod invariant;
pub mod invocation;
pub mod journal;
pub mod model;
mod name;
mod outcome;
pub mod record;
mod refusal;
mod time;

pub use engine::{
    Answer, Call, Commit, CommitResult, Counts, Effect, Engine, EventStatus, Input, Keyed, KeyedCall, Level,
    LimitName, LimitStatus, Limited, Note, Send, Settings, Start, StartedEvent, Tenant, Work,
};
pub use event::{ATTRIBUTE_BYTES_MAX, Attributes, Body, Envelope, Hop, Lineage};
pub use id::{BatchNo, CallerId, EdgeIds, EventId, Fingerprint, InvocationId, Seq, TenantId};
pub use name::{NAME_BYTES_MAX, Name, NameError};
pub use outcome::{
    Emit, EventResult, Failure, FailureKind, KvKey, KvWrite, MESSAGE_BYTES_MAX, Outcome, Read, Usage,
};
pub use refusal::Refusal;
pub use time::{Span, Time};
