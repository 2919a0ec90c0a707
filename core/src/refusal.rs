//! Why something was not taken on. A refusal is answered at once and leaves no trace: what is refused
//! was never accepted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{LimitName, Span};

/// Why an arriving event or call was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// A call waited its time for a slot or a token and none came free.
    Throttled {
        /// The limit it waited for last.
        limit: LimitName,
        /// When to try again.
        retry_after: Span,
    },
    /// As many wait as may.
    Waiting {
        /// The limit.
        limit: LimitName,
        /// Its value: how many may wait.
        max: u64,
    },
    /// The body is too large.
    TooLarge {
        /// Bytes allowed.
        max: u64,
        /// Bytes that came.
        bytes: u64,
    },
    /// The same idempotency key was used for another request.
    KeyReused,
    /// A call with the same idempotency key is running now.
    KeyInFlight,
    /// The tenant has as many idempotency keys and results remembered as it may.
    Remembered {
        /// How many may be.
        max: u64,
    },
    /// There is no such queue, topic, bus or function.
    NoTarget {
        /// What was named.
        target: String,
    },
    /// There is no such tenant, or it is disabled.
    NoTenant,
    /// An argument is out of its bounds.
    Invalid {
        /// Which, with limit and value.
        message: String,
    },
    /// No new work is taken: the platform drains or recovers.
    Unavailable,
    /// No new work is taken: the store has no room.
    StoreFull,
}

impl Refusal {
    /// The stable code, e.g. `FE1001`; `docs/errors/` has a page for each.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::Throttled { .. } => "FE1001",
            Refusal::Waiting { .. } => "FE1002",
            Refusal::TooLarge { .. } => "FE1003",
            Refusal::KeyReused => "FE1004",
            Refusal::KeyInFlight => "FE1005",
            Refusal::Remembered { .. } => "FE1006",
            Refusal::NoTarget { .. } => "FE1007",
            Refusal::NoTenant => "FE1008",
            Refusal::Invalid { .. } => "FE1009",
            Refusal::Unavailable => "FE1010",
            Refusal::StoreFull => "FE1011",
        }
    }

    /// The HTTP status that says it best.
    pub const fn http_status(&self) -> u16 {
        match self {
            Refusal::Throttled { .. } | Refusal::Waiting { .. } | Refusal::Remembered { .. } => 429,
            Refusal::TooLarge { .. } => 413,
            Refusal::KeyReused => 422,
            Refusal::KeyInFlight => 409,
            Refusal::NoTarget { .. } => 404,
            Refusal::NoTenant => 403,
            Refusal::Invalid { .. } => 400,
            Refusal::Unavailable => 503,
            Refusal::StoreFull => 507,
        }
    }

    /// When trying again makes sense, where it does.
    pub const fn retry_after(&self) -> Option<Span> {
        match self {
            Refusal::Throttled { retry_after, .. } => Some(*retry_after),
            Refusal::Waiting { .. } | Refusal::Unavailable | Refusal::KeyInFlight => Some(Span::from_secs(1)),
            Refusal::StoreFull => Some(Span::from_secs(5)),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Throttled { limit, retry_after } => {
                write!(f, "throttled by {limit}; try again in {} s", retry_after.as_secs_ceil())
            }
            Refusal::Waiting { limit, max } => {
                write!(f, "as many wait as may: {limit} is {max}; try again when some are done")
            }
            Refusal::TooLarge { max, bytes } => {
                write!(f, "the body has {bytes} bytes, the limit is {max}; send a smaller one")
            }
            Refusal::KeyReused => {
                f.write_str("this idempotency key was used for another request; take a new key")
            }
            Refusal::KeyInFlight => {
                f.write_str("a request with this idempotency key is running; ask again for its result")
            }
            Refusal::Remembered { max } => {
                write!(
                    f,
                    "{max} idempotency keys and results are remembered, which is the tenant's \
                     remembered_max; none is forgotten early, so send without a key or wait"
                )
            }
            Refusal::NoTarget { target } => write!(f, "there is no queue, topic, bus or function {target:?}"),
            Refusal::NoTenant => f.write_str("there is no such tenant, or it is disabled"),
            Refusal::Invalid { message } => f.write_str(message),
            Refusal::Unavailable => f.write_str("no new work is taken now: the platform drains or recovers"),
            Refusal::StoreFull => {
                f.write_str("no new work is taken now: the store has no room; free some, and try again")
            }
        }
    }
}
