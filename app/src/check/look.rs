//! What rules look at.

use crate::{
    design::{Api, ApiKind, Design, EventSource, Function, Integration, Platform, Queue, Setting, Topic},
    profile::{Given, Limit, Profile},
};

/// What rules look at.
///
/// Its methods say what holds: what a file states, or else the profile's default. `None` where neither is known:
/// then there is nothing to find.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The design.
    pub design: &'a Design,
    /// The limits.
    pub profile: &'a Profile,
    /// What the user says of the account and the traffic.
    pub given: &'a Given,
}

impl Look<'_> {
    /// Whether the design has Amazon's semantics, and not Flyball's own.
    pub fn is_aws(&self) -> bool {
        self.design.platform == Platform::Aws
    }

    /// What a setting states, or a limit of the profile where nothing is stated.
    pub fn or(&self, setting: &Setting<i64>, default: Limit) -> Option<i64> {
        match setting {
            Setting::Default => self.profile.whole(default),
            stated => stated.stated().copied(),
        }
    }

    /// A function's timeout, seconds.
    pub fn timeout_s(&self, function: &Function) -> Option<i64> {
        self.or(&function.timeout_s, Limit::LambdaTimeoutDefault)
    }

    /// A queue's visibility timeout, seconds.
    pub fn visibility_s(&self, queue: &Queue) -> Option<i64> {
        self.or(&queue.visibility_s, Limit::QueueVisibilityDefault)
    }

    /// How long a queue keeps a message, seconds.
    pub fn retention_s(&self, queue: &Queue) -> Option<i64> {
        self.or(&queue.retention_s, Limit::QueueRetentionDefault)
    }

    /// The largest message of a queue, bytes.
    pub fn queue_bytes(&self, queue: &Queue) -> Option<i64> {
        self.or(&queue.message_bytes_max, Limit::QueueMessageBytesDefault)
    }

    /// The largest message of a topic, bytes.
    pub fn topic_bytes(&self, topic: &Topic) -> Option<i64> {
        self.or(&topic.message_bytes_max, Limit::TopicMessageBytesDefault)
    }

    /// How many messages of a queue one invocation gets at most.
    pub fn queue_batch(&self, source: &EventSource) -> Option<i64> {
        self.or(&source.batch_max, Limit::EventSourceQueueBatchDefault)
    }

    /// The visibility timeout that AWS advises for a queue, seconds: six times its function's timeout, and the
    /// batching window.
    pub fn visibility_advised_s(&self, source: &EventSource, function: &Function) -> Option<i64> {
        let factor = self.profile.whole(Limit::EventSourceVisibilityFactor)?;
        let window_s = source.window_s.or(0)?;
        Some(self.timeout_s(function)?.saturating_mul(factor).saturating_add(window_s))
    }

    /// How many invocations at once the event source of a queue can come to. `None` too in provisioned mode,
    /// where it is bounded elsewhere.
    pub fn queue_concurrency(&self, source: &EventSource) -> Option<i64> {
        if source.provisioned_pollers {
            return None;
        }
        let pollers = self.profile.whole(Limit::EventSourcePollersMax)?;
        source.concurrency_max.or(pollers).map(|stated| stated.min(pollers))
    }

    /// The longest that a kind of entrance waits for what it leads to, which is also its default. `None` where
    /// it waits as long as that takes.
    pub fn entrance_limit(kind: ApiKind) -> Option<Limit> {
        match kind {
            ApiKind::Rest => Some(Limit::ApiRestTimeoutMax),
            ApiKind::Http => Some(Limit::ApiHttpTimeoutMax),
            ApiKind::WebSocket => Some(Limit::ApiWebSocketTimeoutMax),
            ApiKind::GraphQl => Some(Limit::ApiGraphQlTimeoutMax),
            ApiKind::FunctionUrl | ApiKind::LoadBalancer | ApiKind::Flyball => None,
        }
    }

    /// How long an entrance waits for what a route leads to, milliseconds.
    pub fn integration_ms(&self, api: &Api, integration: &Integration) -> Option<i64> {
        self.or(&integration.timeout_ms, Look::entrance_limit(api.kind)?)
    }
}
