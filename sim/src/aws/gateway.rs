//! API Gateway's front: how many requests of all APIs together are let in.
//!
//! How long a gateway waits for an answer is the entrance's (`crate::plan`).

use flyball_app::profile::{Limit, Profile};
use flyball_core::Time;

use super::{rate::Bucket, rows};

/// The numbers of an account's REST, HTTP and WebSocket APIs together. Those of single stages, methods, keys and
/// usage plans are not modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayPolicy {
    /// Requests a second that come into the bucket. Row `api.requests_per_s`.
    pub requests_per_s: u32,
    /// Requests that the bucket holds: so many may come at once. Row `api.burst`.
    pub burst: u32,
}

impl GatewayPolicy {
    /// What the profile says.
    pub fn of(profile: &Profile) -> GatewayPolicy {
        GatewayPolicy {
            requests_per_s: rows::count(profile, Limit::ApiRequestsPerS, 10_000),
            burst: rows::count(profile, Limit::ApiBurst, 5_000),
        }
    }

    /// The same with twice as much of both.
    #[must_use]
    pub(crate) fn doubled(self) -> GatewayPolicy {
        GatewayPolicy {
            requests_per_s: self.requests_per_s.saturating_mul(2),
            burst: self.burst.saturating_mul(2),
        }
    }
}

/// How many requests may still come.
#[derive(Debug)]
pub(crate) struct Gateway {
    bucket: Bucket,
}

impl Gateway {
    pub(crate) fn new(policy: GatewayPolicy) -> Gateway {
        Gateway { bucket: Bucket::new(u64::from(policy.requests_per_s), u64::from(policy.burst)) }
    }

    /// Whether a request is let in.
    pub(crate) fn takes(&mut self, now: Time) -> bool {
        self.bucket.take(now, 1)
    }
}
