//! AWS's services as actors around the engine, which is Lambda's pool of concurrency here.
//!
//! Each actor is a [`crate::message::Part`]: a state machine that is told `arrive(now, message)`, `wake(now,
//! token)` and `answered(now, token, verdict)`, and pushes what it wants as [`crate::message::Ask`]s. Its
//! numbers are a policy, given as data: each is from the profile's row that its field names, or is marked as
//! an assumption there.
//!
//! - [`gateway`]: what stands before API Gateway's APIs.
//! - [`queue`]: SQS. - [`pollers`]: the event source mapping of a queue.
//! - [`stream`]: Kinesis and tables' streams, with those who read them.
//! - [`lambda`]: what stands before the pool.
//! - [`machine`]: Step Functions.
//! - [`pipe`]: EventBridge Pipes, as mappings with several legs.
//! - [`asynchronous`]: a function's own queue for asynchronous invocations.
//! - [`trail`]: the trails of CloudTrail.
//! - [`topic`]: SNS. - [`bus`]: EventBridge's buses and schedules. - [`target`]: what these two hand on, and
//!   retry.

pub mod asynchronous;
pub mod bus;
pub mod gateway;
pub mod lambda;
pub mod machine;
pub mod pipe;
pub mod pollers;
pub mod queue;
pub(crate) mod rate;
mod rows;
#[cfg(test)]
mod script;
mod shelf;
mod slots;
pub mod stream;
pub mod target;
pub mod topic;
pub mod trail;
