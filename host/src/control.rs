//! What the parts of one run share: the state machine that decides its calls, and how it is stopped.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use flyball_core::{
    Body, Envelope, Failure, Outcome, Usage,
    invocation::{CallError, GuestCall, HostCall, HostReply, Invocation, LogLevel, Reply, Step},
};

use crate::{Backend, deterministic::Inside};

/// One run's shared state.
pub(crate) struct Control {
    pub(crate) tenant: Arc<str>,
    pub(crate) deadline: Instant,
    backend: Arc<dyn Backend>,
    /// A deterministic run has this instead of a machine.
    inside: Option<Arc<Inside>>,
    /// `None` once the run is over.
    invocation: Mutex<Option<Invocation>>,
    memory_bytes_peak: AtomicU64,
    stopped: AtomicBool,
    waker: Mutex<Option<Waker>>,
    started: Instant,
    /// When the task last became ready, in nanoseconds since `started`.
    ready_ns: AtomicU64,
}

impl Control {
    pub(crate) fn new(
        invocation: Invocation,
        tenant: Arc<str>,
        deadline: Instant,
        backend: Arc<dyn Backend>,
    ) -> Control {
        Control {
            tenant,
            deadline,
            backend,
            inside: None,
            invocation: Mutex::new(Some(invocation)),
            memory_bytes_peak: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            waker: Mutex::new(None),
            started: Instant::now(),
            ready_ns: AtomicU64::new(0),
        }
    }

    /// Of a run that has neither clock nor deadline but its fuel.
    pub(crate) fn deterministic(invocation: Invocation, tenant: Arc<str>, inside: Arc<Inside>) -> Control {
        // Nobody looks at this deadline.
        let control = Control::new(invocation, tenant, Instant::now(), inside.clone());
        Control { inside: Some(inside), ..control }
    }

    /// What a deterministic run has instead of a machine.
    pub(crate) fn inside(&self) -> Option<&Arc<Inside>> {
        self.inside.as_ref()
    }

    /// Nanoseconds since the run was asked for.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The task is ready to be polled.
    pub(crate) fn ready(&self) {
        self.ready_ns.store(self.now_ns(), Ordering::Relaxed);
    }

    pub(crate) fn ready_ns(&self) -> u64 {
        self.ready_ns.load(Ordering::Relaxed)
    }

    /// Ends the run at its next chance, 2 ms at most.
    pub(crate) fn stop(&self) {
        // The flag first: a task that is about to wait looks at it after it left its waker.
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Leaves a waker for [`Control::stop`].
    pub(crate) fn stop_wakes(&self, waker: &Waker) {
        *lock(&self.waker) = Some(waker.clone());
        if self.stopped() {
            waker.wake_by_ref();
        }
    }

    /// After the run: there is nothing left to wake.
    pub(crate) fn forget_waker(&self) {
        lock(&self.waker).take();
    }

    pub(crate) fn memory_is(&self, bytes: u64) {
        self.memory_bytes_peak.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn memory_bytes_peak(&self) -> u64 {
        self.memory_bytes_peak.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self, envelope: Envelope) {
        self.with(|invocation| invocation.begin(envelope));
    }

    pub(crate) fn end(&self, verdict: Result<Body, Failure>) {
        self.with(|invocation| invocation.end(verdict));
    }

    /// Ends the event being handled with a failure, if one is.
    pub(crate) fn broken_off(&self, failure: Failure) {
        self.end(Err(failure));
    }

    /// The outcome of all `events`; `None` if it was taken before.
    pub(crate) fn finish(&self, events: usize, usage: Usage) -> Option<Outcome> {
        let invocation = lock(&self.invocation).take()?;
        Some(invocation.finish(events, usage))
    }

    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut Invocation) -> T) -> Option<T> {
        lock(&self.invocation).as_mut().map(what)
    }

    /// A call that may wait for the backend.
    pub(crate) async fn call(&self, call: GuestCall) -> Reply {
        match self.step(call) {
            Step::Reply(reply) => reply,
            Step::Host(host) => {
                let reply = match &self.inside {
                    Some(inside) => inside.ask(host).await,
                    None => self.backend.call(host).await,
                };
                self.resume(reply)
            }
        }
    }

    /// A call that the invocation answers by itself.
    pub(crate) fn call_now(&self, call: GuestCall) -> Reply {
        match self.step(call) {
            Step::Reply(reply) => reply,
            Step::Host(host @ HostCall::Log { .. }) => {
                self.backend.log(host);
                self.resume(HostReply::Done)
            }
            Step::Host(_) => self.resume(HostReply::Unavailable("this call can't wait".into())),
        }
    }

    /// A line in the tenant's log; dropped past the invocation's limit.
    pub(crate) fn log(&self, level: LogLevel, message: String) {
        self.call_now(GuestCall::Log { level, message });
    }

    fn step(&self, call: GuestCall) -> Step {
        self.with(|invocation| invocation.call(call)).unwrap_or_else(over)
    }

    fn resume(&self, reply: HostReply) -> Reply {
        self.with(|invocation| invocation.resume(reply))
            .unwrap_or(Reply::Refused(CallError::Unavailable(OVER.into())))
    }
}

const OVER: &str = "the run is over";

fn over() -> Step {
    Step::Reply(Reply::Refused(CallError::Unavailable(OVER.into())))
}

/// The state machine is used for one call at a time and each leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
