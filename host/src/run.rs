//! One invocation on an executor thread: fresh instances, a deadline, an outcome.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use flyball_core::{Body, Envelope, Failure, FailureKind, Outcome, Span, Usage};
use http::{HeaderValue, Request, Response, header::HOST};
use http_body_util::Full;
use tokio::{sync::oneshot, time::Sleep};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::{WasiHttpView, p2::bindings::http::types::Scheme};

use crate::{
    bindings::{self, EventFunction, flyball::function::types},
    control::Control,
    deterministic::out_of_fuel,
    function::LoadedFunction,
    guest::Guest,
    response::collect,
};

/// An event to handle.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What is known of it.
    pub envelope: Envelope,
    /// Its bytes.
    pub body: Body,
    /// 1 for the first run.
    pub attempt: u32,
}

/// An HTTP request to answer.
#[derive(Debug)]
pub struct HttpCall {
    /// The call as an event: its id is what derived keys descend from.
    pub envelope: Envelope,
    /// The request. Its authority is the URI's, else the `Host` header's, else `localhost`.
    pub request: Request<Bytes>,
    /// Whether it came by TLS.
    pub https: bool,
}

/// What a run is given.
#[derive(Debug)]
pub enum Input {
    /// Events of one tenant, handled one after the other.
    Events(Vec<Delivery>),
    /// One HTTP request.
    Http(Box<HttpCall>),
}

impl Input {
    pub(crate) fn len(&self) -> usize {
        match self {
            Input::Events(deliveries) => deliveries.len(),
            Input::Http(_) => 1,
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// One result for each event, or for the one call; and the usage.
    pub outcome: Outcome,
    /// The response of an HTTP call that succeeded.
    pub response: Option<Response<Bytes>>,
}

/// Why a run ended before the guest did.
#[derive(Debug)]
pub(crate) enum Cut {
    Deadline,
    Stopped,
    Panicked,
}

/// The work of a run, on the heap: what contains it is moved about, and it is large.
type Work<'a> = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send + 'a>>;

/// Runs it all. The instance is made, used and dropped within the task's polls.
pub(crate) async fn run(
    function: &LoadedFunction,
    control: &Arc<Control>,
    input: Input,
    response_bytes_max: u64,
) -> Finished {
    let events = input.len();
    let _forgotten = Forgotten(control);
    let (ended, mut usage) = {
        let work: Work<'_> = match input {
            Input::Events(deliveries) => Box::pin(handle_all(function, control, deliveries)),
            Input::Http(call) => Box::pin(answer(function, control, call, response_bytes_max)),
        };
        watch(control, work).await
    };
    let response = match ended {
        Ok(response) => response,
        Err(cut) => {
            control.broken_off(cut_failure(&cut, control));
            None
        }
    };
    usage.memory_bytes_peak = control.memory_bytes_peak();
    let outcome = control.finish(events, usage).unwrap_or_else(|| lost(events, usage));
    // What the state machine refused (a result beyond its limit) must not leave as an answer.
    let answered = outcome.results.first().is_some_and(|result| result.verdict.is_ok());
    Finished { outcome, response: response.filter(|_| answered) }
}

/// Forgets the run's waker when the run is over or dropped. The waker is the task's, and the task has a
/// hold on the control: kept, each would keep the other for ever.
struct Forgotten<'a>(&'a Control);

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.0.forget_waker();
    }
}

/// The outcome of a run of which nothing is known.
pub(crate) fn lost(events: usize, usage: Usage) -> Outcome {
    let failure = Failure::new(FailureKind::Lost, "the host stopped while it ran");
    let result = flyball_core::EventResult { verdict: Err(failure), emits: Vec::new() };
    Outcome { results: vec![result; events], reads: Vec::new(), writes: Vec::new(), usage }
}

pub(crate) fn cut_failure(cut: &Cut, control: &Control) -> Failure {
    match cut {
        Cut::Deadline => {
            let timeout = control.with(|invocation| invocation.function().timeout.as_millis());
            let timeout = timeout.unwrap_or_default();
            let message = format!("stopped at the deadline; the function's timeout is {timeout} ms");
            Failure::new(FailureKind::Timeout, message)
        }
        Cut::Stopped => Failure::new(FailureKind::NotRun, "stopped by the host before it ended"),
        Cut::Panicked => Failure::new(FailureKind::Lost, "the host failed while it ran; see the host's log"),
    }
}

/// Polls the work until it ends, the deadline passes or it is stopped, and counts what that takes.
async fn watch(control: &Control, mut work: Work<'_>) -> (Result<Option<Response<Bytes>>, Cut>, Usage) {
    let mut usage = Clock::default();
    // Made at the first wait: most runs never wait.
    let mut alarm: Option<Pin<Box<Sleep>>> = None;
    let ended = poll_fn(|context| {
        usage.resumed(control);
        let polled = check(control).map_or_else(|| guarded(&mut work, context), |cut| Poll::Ready(Err(cut)));
        usage.paused(control);
        if polled.is_pending() {
            if alarm.is_none() {
                control.stop_wakes(context.waker());
            }
            let alarm =
                alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(control.deadline.into())));
            if alarm.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(Cut::Deadline));
            }
        }
        polled
    })
    .await;
    (ended, usage.into_usage())
}

fn check(control: &Control) -> Option<Cut> {
    // The deadline first: whoever stops a run at its deadline means a timeout.
    if Instant::now() >= control.deadline {
        return Some(Cut::Deadline);
    }
    control.stopped().then_some(Cut::Stopped)
}

/// A panic in the host is this run's failure and nobody else's.
pub(crate) fn guarded<F>(work: &mut F, context: &mut Context<'_>) -> Poll<Result<F::Output, Cut>>
where
    F: Future + Unpin,
{
    match catch_unwind(AssertUnwindSafe(|| Pin::new(work).poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Poll::Ready(Err(Cut::Panicked)),
    }
}

/// Where a run's time goes.
#[derive(Default)]
struct Clock {
    resumed_ns: u64,
    paused_ns: Option<u64>,
    busy_ns: u64,
    waiting_ns: u64,
}

impl Clock {
    fn resumed(&mut self, control: &Control) {
        let now_ns = control.now_ns();
        if let Some(paused_ns) = self.paused_ns {
            // From the pause until it was ready again; the rest was spent in our own queue.
            self.waiting_ns += control.ready_ns().min(now_ns).saturating_sub(paused_ns);
        }
        self.resumed_ns = now_ns;
    }

    fn paused(&mut self, control: &Control) {
        let now_ns = control.now_ns();
        self.busy_ns += now_ns.saturating_sub(self.resumed_ns);
        self.paused_ns = Some(now_ns);
    }

    fn into_usage(self) -> Usage {
        let micros = |ns: u64| Span(ns.div_ceil(1_000));
        Usage { busy: micros(self.busy_ns), waiting: micros(self.waiting_ns), memory_bytes_peak: 0 }
    }
}

fn store(function: &LoadedFunction, control: &Arc<Control>, engine: &wasmtime::Engine) -> Store<Guest> {
    let mut store = Store::new(engine, Guest::new(control.clone(), function.memory_bytes_max));
    store.limiter(|guest| &mut guest.memory);
    match control.inside() {
        // It can't fail: a deterministic run's engine counts fuel.
        Some(inside) => drop(store.set_fuel(inside.fuel_left())),
        None => {
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
        }
    }
    store
}

/// What a guest has used is time that has passed, where fuel is its clock. `false`: it has used all.
fn counted(store: &Store<Guest>) -> bool {
    let (Some(inside), Ok(left)) = (store.data().inside(), store.get_fuel()) else { return true };
    inside.fuel_is(left);
    !inside.late()
}

/// Handles events on one instance; after a trap the rest get another.
pub(crate) async fn handle_all(
    function: &LoadedFunction,
    control: &Arc<Control>,
    deliveries: Vec<Delivery>,
) -> Option<Response<Bytes>> {
    let mut live: Option<(Store<Guest>, EventFunction)> = None;
    for delivery in deliveries {
        control.begin(delivery.envelope.clone());
        let (mut instance, bindings) = match live.take() {
            Some(instance) => instance,
            None => match instantiate(function, control).await {
                Ok(instance) => instance,
                Err(failure) => {
                    control.end(Err(failure));
                    continue;
                }
            },
        };
        let event = event(control, delivery);
        let handled = bindings.flyball_function_handler().call_handle(&mut instance, &event).await;
        instance.data().flush();
        let in_time = counted(&instance);
        let verdict = match handled {
            Ok(Ok(result)) => Ok(result.map_or_else(Body::default, Body::from)),
            Ok(Err(types::Failure::Retry(why))) => Err(Failure::new(FailureKind::Retry, why)),
            Ok(Err(types::Failure::Permanent(why))) => Err(Failure::new(FailureKind::Permanent, why)),
            Err(error) => {
                control.end(Err(failed(&error, Some(instance.data()))));
                if in_time {
                    continue;
                }
                break;
            }
        };
        control.end(verdict);
        live = Some((instance, bindings));
    }
    None
}

async fn instantiate(
    function: &LoadedFunction,
    control: &Arc<Control>,
) -> Result<(Store<Guest>, EventFunction), Failure> {
    let Some(pre) = &function.events else {
        let message = format!("the component does not export {}", "flyball:function/handler@0.1.0");
        return Err(Failure::new(FailureKind::NotStarted, message));
    };
    let mut store = store(function, control, pre.engine());
    match pre.instantiate_async(&mut store).await {
        Ok(bindings) => Ok((store, bindings)),
        Err(error) => {
            store.data().flush();
            counted(&store);
            Err(failed(&error, Some(store.data())))
        }
    }
}

fn event(control: &Control, delivery: Delivery) -> bindings::exports::flyball::function::handler::Event {
    let Delivery { envelope, body, attempt } = delivery;
    let Envelope { id, target, attributes, time, lineage, .. } = envelope;
    types::Event {
        id: id.to_string(),
        tenant: control.tenant.to_string(),
        target: target.to_string(),
        kind: attributes.kind,
        source: attributes.source,
        subject: attributes.subject,
        content_type: attributes.content_type,
        time_ms: time.as_millis(),
        attempt,
        hop: lineage.hop_count(),
        root: lineage.root.to_string(),
        cause: lineage.cause().map(|cause| cause.to_string()),
        data: body.to_vec(),
    }
}

/// Lets the guest answer a request.
pub(crate) async fn answer(
    function: &LoadedFunction,
    control: &Arc<Control>,
    call: Box<HttpCall>,
    response_bytes_max: u64,
) -> Option<Response<Bytes>> {
    let HttpCall { envelope, request, https } = *call;
    control.begin(envelope);
    match respond(function, control, request, https, response_bytes_max).await {
        Ok(response) => {
            control.end(Ok(Body::default()));
            Some(response)
        }
        Err(failure) => {
            control.end(Err(failure));
            None
        }
    }
}

/// Reads the guest's response while it writes it.
async fn respond(
    function: &LoadedFunction,
    control: &Arc<Control>,
    request: Request<Bytes>,
    https: bool,
    response_bytes_max: u64,
) -> Result<Response<Bytes>, Failure> {
    let Some(pre) = &function.http else {
        let message = "the component does not export wasi:http/incoming-handler@0.2";
        return Err(Failure::new(FailureKind::NotStarted, message));
    };
    let mut store = store(function, control, pre.engine());
    let (set, given) = oneshot::channel();
    // The store goes when the guest has returned: a response that was never set, or a body that was
    // never finished, ends with it.
    let guest = async move {
        let handled = async {
            let scheme = if https { Scheme::Https } else { Scheme::Http };
            let request = store.data_mut().http().new_incoming_request(scheme, with_host(request))?;
            let outparam = store.data_mut().http().new_response_outparam(set)?;
            let proxy = pre.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, outparam).await
        };
        let handled = handled.await;
        store.data().flush();
        counted(&store);
        handled.map_err(|error| failed(&error, Some(store.data())))
    };
    both(guest, collect(given, response_bytes_max)).await
}

/// Drives a guest and the collection of its response in one task. A guest that failed has no response,
/// and one whose response is refused need not go on.
async fn both<T>(
    guest: impl Future<Output = Result<(), Failure>>,
    collected: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let (mut guest, mut collected) = (pin!(guest), pin!(collected));
    let (mut returned, mut response) = (false, None);
    poll_fn(|context| {
        // The collection's progress lets the guest go on writing; it wakes this same task.
        if !returned && let Poll::Ready(handled) = guest.as_mut().poll(context) {
            if let Err(failure) = handled {
                return Poll::Ready(Err(failure));
            }
            returned = true;
        }
        if response.is_none()
            && let Poll::Ready(read) = collected.as_mut().poll(context)
        {
            match read {
                Ok(read) => response = Some(read),
                // A dropped sender means that the guest just failed or returned: its own word counts.
                Err(failure) => return Poll::Ready(Err(failure)),
            }
        }
        match response.take_if(|_| returned) {
            Some(response) => Poll::Ready(Ok(response)),
            None => Poll::Pending,
        }
    })
    .await
}

fn with_host(request: Request<Bytes>) -> Request<Full<Bytes>> {
    let mut request = request.map(Full::new);
    if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    }
    request
}

/// What a guest's failure to run to its end means.
fn failed(error: &wasmtime::Error, guest: Option<&Guest>) -> Failure {
    if error.is::<PoolConcurrencyLimitError>() {
        let message = "the host has no free instance; lower concurrency or raise instances_max";
        return Failure::new(FailureKind::NotRun, message);
    }
    if let Some((refused, most)) =
        guest.and_then(|guest| Some((guest.memory.refused_bytes?, guest.memory.bytes_max())))
    {
        let message = format!("out of memory: it asked for {refused} bytes and memory_bytes_max is {most}");
        return Failure::new(FailureKind::OutOfMemory, message);
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Failure::new(FailureKind::Trap, format!("it exited with status {}", exit.0));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => guest.map_or_else(
            || Failure::new(FailureKind::Timeout, "stopped at the deadline"),
            |guest| out_of_fuel(guest.control()),
        ),
        // The backtrace is the error's context and comes before the trap itself.
        Some(trap) => Failure::new(FailureKind::Trap, format!("{trap}; {error}")),
        None => Failure::new(FailureKind::Trap, format!("{error:#}")),
    }
}
