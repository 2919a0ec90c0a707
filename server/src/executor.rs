//! What runs functions, as the lane sees it: WebAssembly in production, anything at all in tests.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use flyball_core::{Name, invocation::Invocation};
use flyball_host::{Backend, Done, FirstSlice, Input, LoadedFunction, Run, WasmHost};

/// How long the end waits for guests to give way: they do every millisecond or two.
const GUESTS_STOP_MAX: Duration = Duration::from_secs(1);

/// One invocation to run.
pub struct Job {
    /// What runs.
    pub function: Name,
    /// The tenant's name.
    pub tenant: Arc<str>,
    /// Its grants, limits and tenant.
    pub invocation: Invocation,
    /// What it is given.
    pub input: Input,
    /// When it is stopped, whatever it does.
    pub deadline: Instant,
    /// The longest body of an HTTP response, bytes.
    pub response_bytes_max: u64,
    /// What answers its calls.
    pub backend: Arc<dyn Backend>,
    /// Where it begins.
    pub first_slice: FirstSlice,
    /// Called once, with how it ended.
    pub done: Done,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("function", &self.function).field("tenant", &self.tenant).finish()
    }
}

/// Runs functions. It keeps their deadlines by itself.
pub trait Executor: Send + Sync {
    /// Starts a run. It must not block for longer than [`FirstSlice::Here`] asks it to, and calls `done`
    /// before it returns only then.
    fn start(&self, job: Job);

    /// The lane is closed: no new run is taken, and what still runs has no effect any more. It need not go on.
    fn close(&self) {}
}

/// Functions that are WebAssembly components.
pub struct Wasm {
    host: WasmHost,
    functions: BTreeMap<Name, Arc<LoadedFunction>>,
}

impl fmt::Debug for Wasm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasm").field("host", &self.host).field("functions", &self.functions).finish()
    }
}

impl Wasm {
    /// An executor of these functions.
    pub fn new(host: WasmHost, functions: BTreeMap<Name, Arc<LoadedFunction>>) -> Wasm {
        Wasm { host, functions }
    }
}

impl Executor for Wasm {
    fn start(&self, job: Job) {
        let Job {
            tenant, invocation, input, deadline, response_bytes_max, backend, first_slice, done, ..
        } = job;
        let Some(function) = self.functions.get(&job.function).cloned() else {
            // `Platform::open` loads every function of the application.
            tracing::error!(function = %job.function, "a function was to run that was never loaded");
            return;
        };
        self.host.start(Run {
            function,
            invocation,
            tenant,
            input,
            deadline,
            response_bytes_max,
            backend,
            first_slice,
            done,
        });
    }

    fn close(&self) {
        if !self.host.abandon(GUESTS_STOP_MAX) {
            tracing::warn!("a guest did not give way at the end");
        }
    }
}
