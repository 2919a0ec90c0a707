//! Runs functions so that the same inputs give the same bytes: for the simulator.
//!
//! The door is [`Runner`]. A run has no threads of its own and no clock: it is driven by [`Running::go_on`] until
//! it waits for somebody outside ([`Pause::Asks`]) or is over. Fuel is its time: so many instructions are a
//! microsecond, its clocks show no other time, and its deadline is the fuel that it gets. Randomness follows from
//! a seed. Floats are canonical, relaxed SIMD is not relaxed, and nothing reaches a network or a file.
//!
//! What differs from a run under `serve`: outgoing requests are answered one after the other, and a wait within
//! one run (a guest's `sleep`) takes no longer than it says.

mod inside;
mod wasi;

use std::{
    fmt,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use flyball_core::{
    Failure, FailureKind, Span, Time, Usage,
    invocation::{HostCall, HostReply, Invocation},
};
use http::Response;

pub(crate) use inside::Inside;
pub use inside::{Answer, Outgoing};

use crate::{
    Finished, HostError, HostLimits, Input, LoadError, LoadedFunction,
    artifact::Cache,
    control::Control,
    engine,
    function::Loader,
    run::{Cut, answer, cut_failure, guarded, handle_all, lost},
};

/// How a [`Runner`] is set up.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// Where compiled components are kept: another directory than `serve`'s, or the same, since the settings are
    /// part of each name. It must be writable by this process's user alone.
    pub cache_directory: PathBuf,
    /// Bytes that the compiled components may take there.
    pub cache_bytes_max: u64,
    /// How much is set aside for guests.
    pub limits: HostLimits,
    /// Units of fuel (about one WebAssembly instruction each) that are one microsecond; 0 counts as 1.
    pub fuel_per_us: u64,
}

/// Runs functions deterministically. See the module's text.
pub struct Runner {
    loader: Loader,
    io: tokio::runtime::Runtime,
    fuel_per_us: u64,
}

/// A component that is ready to run in a [`Runner`].
#[derive(Debug, Clone)]
pub struct Function(Arc<LoadedFunction>);

impl Function {
    /// Whether it answers HTTP requests.
    pub fn answers_http(&self) -> bool {
        self.0.answers_http()
    }

    /// Whether it handles events.
    pub fn handles_events(&self) -> bool {
        self.0.handles_events()
    }
}

/// A run that is to begin.
#[derive(Debug)]
pub struct Begin {
    /// What runs.
    pub function: Function,
    /// Its grants, limits and tenant.
    pub invocation: Invocation,
    /// The tenant's name, as the function sees it.
    pub tenant: Arc<str>,
    /// What it is given.
    pub input: Input,
    /// When it begins.
    pub now: Time,
    /// How long it may take, waiting included.
    pub lasts_max: Span,
    /// What all its randomness follows from.
    pub seed: u64,
    /// The longest body of an HTTP response, bytes.
    pub response_bytes_max: u64,
}

/// How far a run has come.
#[derive(Debug)]
pub enum Pause {
    /// It waits for the answer to a request, since `at`: tell [`Running::answer`] and let it go on.
    Asks {
        /// When it asked.
        at: Time,
        /// What.
        outgoing: Outgoing,
    },
    /// It is over, since `at`: never later than its deadline.
    Ended {
        /// When it ended.
        at: Time,
        /// How.
        finished: Finished,
    },
}

impl Runner {
    /// Sets up WebAssembly for deterministic runs.
    ///
    /// # Errors
    /// Where the directory can't be used or Wasmtime can't be set up.
    pub fn new(config: RunnerConfig) -> Result<Runner, HostError> {
        let RunnerConfig { cache_directory, cache_bytes_max, limits, fuel_per_us } = config;
        let cache = Cache::open(&cache_directory, cache_bytes_max)
            .map_err(|error| HostError::Cache { path: cache_directory, error })?;
        let (engine, _) = engine::build(&limits, engine::Clock::Fuel)?;
        let wrong = |error: wasmtime::Error| HostError::Engine(format!("{error:#}"));
        let mut loader = Loader::new(engine, cache, limits).map_err(wrong)?;
        wasi::shadow(loader.linker()).map_err(wrong)?;
        // One thread, this one: tasks that a guest's requests spawn run between its own polls, in their order.
        let io = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Ok(Runner { loader, io: io.map_err(HostError::Thread)?, fuel_per_us: fuel_per_us.max(1) })
    }

    /// Loads a component from its bytes; see [`crate::WasmHost::load`].
    ///
    /// # Errors
    /// Why it can't be loaded.
    pub fn load(&self, component: &[u8], memory_bytes_max: u64) -> Result<Function, LoadError> {
        self.loader.load(component, memory_bytes_max).map(|loaded| Function(Arc::new(loaded)))
    }

    /// Loads a component from a file; see [`crate::WasmHost::load`].
    ///
    /// # Errors
    /// Why it can't be loaded.
    pub fn load_file(&self, path: &std::path::Path, memory_bytes_max: u64) -> Result<Function, LoadError> {
        self.loader.load_file(path, memory_bytes_max).map(|loaded| Function(Arc::new(loaded)))
    }

    /// A run; nothing of it happens before [`Running::go_on`].
    pub fn begin(&self, begin: Begin) -> Running {
        let Begin { function, invocation, tenant, input, now, lasts_max, seed, response_bytes_max } = begin;
        let events = input.len();
        let inside = Arc::new(Inside::new(now, lasts_max, self.fuel_per_us, seed));
        let control = Arc::new(Control::deterministic(invocation, tenant, inside.clone()));
        let (loaded, held) = (function.0, control.clone());
        let work: Work = match input {
            Input::Events(deliveries) => {
                Box::pin(async move { handle_all(&loaded, &held, deliveries).await })
            }
            Input::Http(call) => {
                Box::pin(async move { answer(&loaded, &held, call, response_bytes_max).await })
            }
        };
        Running { work: Some(work), control, inside, events }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("fuel_per_us", &self.fuel_per_us).finish_non_exhaustive()
    }
}

type Work = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;

/// A run under way. Dropping it leaves no trace.
pub struct Running {
    /// `None` once it is over.
    work: Option<Work>,
    control: Arc<Control>,
    inside: Arc<Inside>,
    events: usize,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("now", &self.inside.now()).finish_non_exhaustive()
    }
}

/// Polls without progress after which nothing more comes by itself: a request passes through two tasks.
const IDLE_POLLS: u32 = 16;

/// Why the driving ends.
enum Came {
    Asks(Outgoing),
    Over(Result<Option<Response<Bytes>>, Cut>),
}

impl Running {
    /// Goes on, from `now` at the earliest, until it asks for something or is over. `answers` is asked what only
    /// the platform knows; log lines come there too, in their order.
    pub fn go_on(
        &mut self,
        runner: &Runner,
        now: Time,
        answers: &mut dyn FnMut(HostCall) -> HostReply,
    ) -> Pause {
        self.inside.not_before(now);
        let Some(work) = &mut self.work else { return self.ended(Err(Cut::Stopped)) };
        let inside = self.inside.clone();
        let came = runner.io.block_on(drive(work, &inside, answers));
        self.inside.logged().for_each(|line| drop(answers(line)));
        match came {
            Came::Asks(outgoing) => Pause::Asks { at: self.inside.now(), outgoing },
            Came::Over(ended) => self.ended(ended),
        }
    }

    /// The answer to the request that it waits for; it goes on with [`Running::go_on`].
    pub fn answer(&mut self, answer: Answer) {
        self.inside.answered(answer);
    }

    /// Its deadline has come while it waited: what it was at has failed, what came before holds.
    pub fn stop(&mut self) -> Finished {
        self.finish(Err(Cut::Deadline))
    }

    /// How far its clock is.
    pub fn now(&self) -> Time {
        self.inside.now()
    }

    /// Units of fuel that it has used.
    pub fn fuel(&self) -> u64 {
        self.inside.fuel_used()
    }

    fn ended(&mut self, ended: Result<Option<Response<Bytes>>, Cut>) -> Pause {
        let finished = self.finish(ended);
        Pause::Ended { at: self.inside.now(), finished }
    }

    fn finish(&mut self, ended: Result<Option<Response<Bytes>>, Cut>) -> Finished {
        self.work = None;
        let response = ended.unwrap_or_else(|cut| {
            self.control.broken_off(cut_failure(&cut, &self.control));
            None
        });
        let (busy, waiting) = self.inside.took();
        let usage = Usage { busy, waiting, memory_bytes_peak: self.control.memory_bytes_peak() };
        let outcome = self.control.finish(self.events, usage).unwrap_or_else(|| lost(self.events, usage));
        let answered = outcome.results.first().is_some_and(|result| result.verdict.is_ok());
        Finished { outcome, response: response.filter(|_| answered) }
    }
}

/// Polls the work; between polls does what it waits for, and lets its clock go on where that is time.
async fn drive(work: &mut Work, inside: &Inside, answers: &mut dyn FnMut(HostCall) -> HostReply) -> Came {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut idle = 0;
    loop {
        if let Poll::Ready(ended) = guarded(work, &mut Context::from_waker(&waker)) {
            return Came::Over(ended);
        }
        inside.logged().for_each(|line| drop(answers(line)));
        if let Some(call) = inside.asked() {
            inside.replied(answers(call));
            idle = 0;
        } else if inside.late() {
            return Came::Over(Err(Cut::Deadline));
        } else if let Some(outgoing) = inside.outgoing() {
            return Came::Asks(outgoing);
        } else if woken.0.swap(false, Ordering::Relaxed) || idle < IDLE_POLLS {
            idle += 1;
            tokio::task::yield_now().await;
        } else if inside.next_timer() {
            idle = 0;
        } else {
            // It waits for what can't come, as it would until its deadline.
            inside.until_deadline();
            return Came::Over(Err(Cut::Deadline));
        }
    }
}

/// Whether the work was woken since it was asked last.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a run that has used up its fuel failed with.
pub(crate) fn out_of_fuel(control: &Control) -> Failure {
    let Failure { message, .. } = cut_failure(&Cut::Deadline, control);
    Failure::new(FailureKind::Timeout, message)
}
