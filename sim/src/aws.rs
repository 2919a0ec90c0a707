//! AWS's services as actors around the engine, which is Lambda's pool of concurrency here.
//!
//! Each actor is a [`crate::message::Part`]: a state machine that is told `arrive(now, message)`, `wake(now, token)`
//! and `answered(now, token, verdict)`, and pushes what it wants as [`crate::message::Ask`]s. Its numbers are a
//! policy, given as data: each is from the profile's row that its field names, or is marked as an assumption there.
//!
//! - [`queue`]: SQS. - [`pollers`]: the event source mapping of a queue.

pub mod pollers;
pub mod queue;
mod rate;
mod rows;
#[cfg(test)]
mod script;
mod shelf;
