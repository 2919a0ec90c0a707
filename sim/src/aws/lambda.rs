//! What stands before Lambda's pool: how fast a function may add environments, INIT's limit, the recursion
//! stop.
//!
//! The pool itself (concurrency of the account, reservations, requests a second) is the engine.

#[cfg(test)]
mod tests;

use flyball_app::{
    design,
    profile::{Limit, Profile},
};
use flyball_core::{Span, Time};

use super::{rate::Bucket, rows};

/// The numbers of a function's front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LambdaPolicy {
    /// Environments that the function may add in ten seconds: so many at once, then evenly; not accrued
    /// beyond that. Row `lambda.scaling_per_10s`.
    pub environments_per_10s: u32,
    /// Requests a second that each provisioned environment takes. Row `lambda.requests_per_environment`.
    pub requests_per_environment: u32,
    /// INIT that takes longer is broken off and done again within the first run. Row `lambda.init_max`.
    pub init_max: Span,
    /// The longest timeout that a function can be given. Row `lambda.timeout_max`.
    pub timeout_max: Span,
    /// Invocations in one chain over queues, topics, buckets and functions, after which it is stopped. Row
    /// `lambda.recursion_hops_max`. `None`: `RecursiveLoop` is `Allow`. Here a chain of as many different
    /// functions is stopped too (assumption: AWS says only that a function's own loop is).
    pub hops_max: Option<u16>,
}

impl LambdaPolicy {
    /// What the design states, and AWS's defaults.
    pub fn of(profile: &Profile, function: &design::Function) -> LambdaPolicy {
        let hops = rows::count(profile, Limit::LambdaRecursionHopsMax, 16);
        let hops_max = u16::try_from(hops).unwrap_or(u16::MAX);
        LambdaPolicy {
            environments_per_10s: rows::count(profile, Limit::LambdaScalingPer10s, 1_000),
            requests_per_environment: rows::count(profile, Limit::LambdaRequestsPerEnvironment, 10),
            init_max: rows::seconds(profile, Limit::LambdaInitMax, 10),
            timeout_max: rows::seconds(profile, Limit::LambdaTimeoutMax, 900),
            hops_max: (!function.recursion_allowed).then_some(hops_max),
        }
    }

    /// How long INIT takes before the first run, and how much of that run it takes again, within the function's
    /// timeout, where it takes so long by itself.
    pub fn init(&self, takes: Span) -> (Span, Span) {
        if takes > self.init_max { (self.init_max, takes) } else { (takes, Span::ZERO) }
    }

    /// Whether an event that went through so many invocations may cause another.
    pub fn stops(&self, hops: u16) -> bool {
        self.hops_max.is_some_and(|most| hops >= most)
    }
}

/// How many environments one function may still add.
#[derive(Debug)]
pub struct Scaling {
    bucket: Bucket,
}

impl Scaling {
    /// Nothing added yet.
    pub fn new(policy: &LambdaPolicy) -> Scaling {
        let size = u64::from(policy.environments_per_10s);
        Scaling { bucket: Bucket::new(size.div_ceil(10), size) }
    }

    /// Whether the function may add an environment now.
    pub fn may_add(&mut self, now: Time) -> bool {
        self.bucket.ready(now, 1) <= now
    }

    /// It adds one.
    pub fn add(&mut self, now: Time) {
        self.bucket.take(now, 1);
    }
}
