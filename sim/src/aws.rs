//! AWS's services as actors around the engine, which is Lambda's pool of concurrency here.
//!
//! Each actor is a state machine of one kind: `arrive(now, message)`, `wake(now, token)`, `answered(now, token,
//! verdict)`; what it wants it pushes as [`crate::message::Ask`]s. Its numbers are policies, given as data by the plan, each from the
//! profile's row or marked as an assumption there.
