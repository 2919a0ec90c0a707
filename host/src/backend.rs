//! What the host needs from whoever embeds it.

use std::{future::Future, pin::Pin};

use flyball_core::invocation::{HostCall, HostReply};

/// A future that may be handed to another thread.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Executes what an invocation can't decide by itself: reads of committed key-value data, blobs and
/// secrets, and log lines. Grants and limits were checked before; the tenant is in each call.
pub trait Backend: Send + Sync {
    /// Executes a call other than [`HostCall::Log`]. The future is polled on a guest thread, within a
    /// tokio runtime; it must not block, and is dropped when the run is stopped.
    fn call(&self, call: HostCall) -> BoxFuture<HostReply>;

    /// Passes on a log line ([`HostCall::Log`]). It is called while the guest waits and must not block.
    fn log(&self, call: HostCall);
}
