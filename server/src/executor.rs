//! What runs functions, as the lane sees it: WebAssembly in production, anything at all in tests.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Instant};

use flyball_core::{Name, invocation::Invocation};
use flyball_host::{Backend, Finished, Input, LoadedFunction, Run, WasmHost};

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
    /// Called once, with how it ended.
    pub done: Box<dyn FnOnce(Finished) + Send>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("function", &self.function).field("tenant", &self.tenant).finish()
    }
}

/// Runs functions. It keeps their deadlines by itself.
pub trait Executor: Send + Sync {
    /// Starts a run. It must not block, nor call `done` before it returns.
    fn start(&self, job: Job);

    /// Takes no new run; those that run may end.
    fn close(&self) {}
}

/// Functions that are WebAssembly components.
pub struct Wasm {
    host: WasmHost,
    functions: BTreeMap<Name, Arc<LoadedFunction>>,
    io: tokio::runtime::Handle,
}

impl fmt::Debug for Wasm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasm").field("host", &self.host).field("functions", &self.functions).finish()
    }
}

impl Wasm {
    /// An executor of these functions; `io` polls what their ends wait for.
    pub fn new(
        host: WasmHost,
        functions: BTreeMap<Name, Arc<LoadedFunction>>,
        io: tokio::runtime::Handle,
    ) -> Wasm {
        Wasm { host, functions, io }
    }
}

impl Executor for Wasm {
    fn start(&self, job: Job) {
        let Job { function, tenant, invocation, input, deadline, response_bytes_max, backend, done } = job;
        let Some(function) = self.functions.get(&function).cloned() else {
            // `Platform::open` loads every function of the application.
            tracing::error!(%function, "a function was to run that was never loaded");
            return;
        };
        let run = Run { function, invocation, tenant, input, deadline, response_bytes_max, backend };
        let running = self.host.start(run);
        self.io.spawn(async move { done(running.await) });
    }

    fn close(&self) {
        self.host.close();
    }
}
