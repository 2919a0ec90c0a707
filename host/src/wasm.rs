//! The host: loads functions, starts runs, ends in order.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use flyball_core::{Usage, invocation::Invocation};

use crate::{
    Allocation, Backend, Finished, HostLimits, Input, LoadError, LoadedFunction,
    artifact::Cache,
    control::Control,
    engine::{self, Ticker},
    executor::Executor,
    function::Loader,
    run::{lost, run},
};

/// How a host is set up.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where compiled components are kept. It must be writable by this process's user alone: what is
    /// there is run as native code.
    pub cache_directory: PathBuf,
    /// Bytes that the compiled components may take there.
    pub cache_bytes_max: u64,
    /// Threads that guests run on; `None` for as many as there are processors.
    pub threads: Option<usize>,
    /// How much is set aside for guests.
    pub limits: HostLimits,
}

impl HostConfig {
    /// The defaults: a cache of 4 GiB at most in this directory, a thread for each processor.
    pub fn new(cache_directory: impl Into<PathBuf>) -> HostConfig {
        HostConfig {
            cache_directory: cache_directory.into(),
            cache_bytes_max: 4 << 30,
            threads: None,
            limits: HostLimits::default(),
        }
    }
}

/// Why a host can't be started.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The directory of compiled components can't be used.
    #[error("can't use the directory {} for compiled components: {error}", path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Wasmtime can't be set up.
    #[error("can't set up WebAssembly: {0}")]
    Engine(String),
    /// No thread can be had.
    #[error("can't start a thread for guests: {0}")]
    Thread(std::io::Error),
}

/// Executes functions that are WebAssembly components. See the crate's text.
pub struct WasmHost {
    // Dropped in this order: no guest may outlive its ticker, which would let it run on.
    executor: Arc<Executor>,
    ticker: Ticker,
    loader: Loader,
    allocation: Allocation,
}

/// Hears how a run ended. It is called once, on whatever thread the run ended, and must not block.
pub type Done = Box<dyn FnOnce(Finished) + Send>;

/// Where a run's first slice is polled: 1 to 2 ms of it, or less where it waits or ends before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSlice {
    /// On the host's threads, in the tenants' order.
    Queued,
    /// On the thread that starts it, within [`WasmHost::start`], if one of the host's threads is idle and
    /// no run waits; else queued. For a caller that would only wait: a short run ends without a switch
    /// between threads.
    Here,
}

/// One run of a function, for one tenant.
pub struct Run {
    /// What runs.
    pub function: Arc<LoadedFunction>,
    /// Its grants, limits and tenant.
    pub invocation: Invocation,
    /// The tenant's name, as the function sees it.
    pub tenant: Arc<str>,
    /// What it is given.
    pub input: Input,
    /// When it is stopped, whatever it does; waiting in the host's queue counts.
    pub deadline: Instant,
    /// The longest body of an HTTP response, bytes.
    pub response_bytes_max: u64,
    /// What answers its calls.
    pub backend: Arc<dyn Backend>,
    /// Where it begins.
    pub first_slice: FirstSlice,
    /// What hears how it ended.
    pub done: Done,
}

impl WasmHost {
    /// Starts a host. I/O of guests and timers go through `io`.
    pub fn new(config: HostConfig, io: &tokio::runtime::Handle) -> Result<WasmHost, HostError> {
        let HostConfig { cache_directory, cache_bytes_max, threads, limits } = config;
        let cache = Cache::open(&cache_directory, cache_bytes_max)
            .map_err(|error| HostError::Cache { path: cache_directory, error })?;
        let (engine, allocation) = engine::build(&limits, engine::Clock::Epochs)?;
        if let Allocation::OnDemand { reason } = &allocation {
            tracing::warn!(reason, "instances get their memory on demand, which is slower");
        }
        let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        let executor = Arc::new(Executor::start(threads, io).map_err(HostError::Thread)?);
        let watched = Arc::downgrade(&executor);
        let busy = move || watched.upgrade().is_some_and(|executor| executor.alive() > 0);
        let ticker = Ticker::start(&engine, busy).map_err(HostError::Thread)?;
        let loader =
            Loader::new(engine, cache, limits).map_err(|error| HostError::Engine(format!("{error:#}")))?;
        Ok(WasmHost { executor, ticker, loader, allocation })
    }

    /// Where instances' memory comes from.
    pub fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// Loads a component from its bytes. It blocks: for under a millisecond from the cache, for as long as
    /// compiling takes (seconds for JavaScript and Python) otherwise.
    pub fn load(&self, component: &[u8], memory_bytes_max: u64) -> Result<LoadedFunction, LoadError> {
        self.loader.load(component, memory_bytes_max)
    }

    /// Loads a component from a file; see [`WasmHost::load`].
    pub fn load_file(&self, path: &Path, memory_bytes_max: u64) -> Result<LoadedFunction, LoadError> {
        self.loader.load_file(path, memory_bytes_max)
    }

    /// Starts a run. What it gives can stop it; dropping that does nothing.
    pub fn start(&self, request: Run) -> Stopper {
        let Run { function, invocation, tenant, input, deadline, response_bytes_max, backend, .. } = request;
        let key = invocation.tenant().0;
        let events = input.len();
        let control = Arc::new(Control::new(invocation, tenant, deadline, backend));
        let ending = Ending { done: Some(request.done), control: control.clone(), events };
        let (woken, running) = (control.clone(), control.clone());
        self.ticker.wake();
        let ready = move || woken.ready();
        let task = self.executor.spawn(key, request.first_slice, ready, async move {
            ending.tell(run(&function, &running, input, response_bytes_max).await);
        });
        if let Some(task) = task {
            task.detach();
        }
        Stopper(control)
    }

    /// Runs that have not ended.
    pub fn running(&self) -> usize {
        self.executor.alive()
    }

    /// Takes no new run. Those that run may end, by themselves or at their deadlines; a run that is
    /// started after this ends at once as not run.
    pub fn close(&self) {
        self.executor.close();
    }

    /// Closes it, and lets nothing go on that runs: each run is dropped at its next turn, and tells that nothing is
    /// known of it. Waits, blocking, until no guest is on a thread any more, so that the runtime of their I/O may end;
    /// answers whether that was so within this time.
    pub fn abandon(&self, within: Duration) -> bool {
        self.executor.abandon(within)
    }

    /// Waits, blocking, until all runs have ended and the threads with them; after [`WasmHost::close`].
    pub fn join(&self) {
        self.executor.join();
    }
}

impl Drop for WasmHost {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for WasmHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmHost")
            .field("allocation", &self.allocation)
            .field("running", &self.running())
            .finish()
    }
}

/// Tells how a run ended, and that it did not where it vanished: dropped before its end, or never taken.
struct Ending {
    done: Option<Done>,
    control: Arc<Control>,
    events: usize,
}

impl Ending {
    fn tell(mut self, finished: Finished) {
        if let Some(done) = self.done.take() {
            done(finished);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(done) = self.done.take() else { return };
        // The events were not run, or nothing is known of them.
        let outcome = self.control.finish(self.events, Usage::default());
        let outcome = outcome.unwrap_or_else(|| lost(self.events, Usage::default()));
        done(Finished { outcome, response: None });
    }
}

/// Stops a run.
#[derive(Clone)]
pub struct Stopper(Arc<Control>);

impl Stopper {
    /// Stops the run within 2 ms of it being polled: its present event and those after it are reported
    /// as not run. Does nothing after its end.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stopper").field(&self.0.tenant).finish()
    }
}
