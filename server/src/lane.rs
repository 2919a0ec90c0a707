//! Drives one engine with a real clock, a store and an executor.
//!
//! The engine is behind one lock. Whoever has an input takes the lock, steps, and carries the effects out
//! after letting go: a connection's task, an invocation's end, the writer, the timer. Under the lock
//! there is nothing but `step`, and its number where steps are recorded.
//!
//! - `writer`: the one thread that commits, in groups, in the order of the engine's batch numbers.
//! - `start`: what an invocation is given, and where its end goes.
//! - `reopen`: makes an engine from the store: at the start, and after a commit that failed.
//! - `recorder`: what the engine was told, written down.
//! - `health`: whether work is taken, and why not. `clock`: the lane's time.
//! - `bounds`: what is refused because no store could take it.

mod bounds;
mod clock;
mod health;
mod recorder;
mod reopen;
mod start;
mod writer;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use flyball_core::{
    Answer, CallerId, Commit, Effect, Engine, EventId, Input, InvocationId, Keyed, Name, Outcome, Refusal,
    Send as SendEvent, Start, TenantId, Time,
    model::Shared,
    record::{self, Bucket, Settled},
};
use flyball_host::{Backend, FirstSlice};
use flyball_store::{Store, Table};
use http::{Request, Response};
use tokio::sync::{Notify, oneshot};

use clock::Clock;
use health::{Down, Health};
pub use recorder::{Record, Recording};
use recorder::{Recorder, Tape};

use crate::{executor::Executor, telemetry::Telemetry, tenants::Tenants};

/// The timer looks again after this time at most: the steady clock stands still while a machine sleeps.
const ALARM_MAX: Duration = Duration::from_secs(1);
/// How often a keyed request is looked up again because an outcome was committed meanwhile.
const LOOK_AGAIN_MAX: u32 = 8;

/// An answer, with the response of a call that nothing was written for.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) response: Option<Response<Bytes>>,
}

/// What is kept for a caller until it is answered.
struct Caller {
    answer: oneshot::Sender<Answered>,
    /// The request of a call, until it starts; longer where it may start more than once.
    request: Option<Request<Bytes>>,
    response: Option<Response<Bytes>>,
}

/// The engine, or why there is none.
pub(crate) struct State {
    engine: Option<Engine>,
    /// Counts the engines. What was asked by one before is of no account.
    generation: u64,
    clock: Clock,
}

/// One lane. See the module's text.
pub(crate) struct Lane {
    pub(crate) application: Shared,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) telemetry: Arc<Telemetry>,
    executor: Arc<dyn Executor>,
    backend: Arc<dyn Backend>,
    state: Mutex<State>,
    callers: Mutex<HashMap<CallerId, Caller>>,
    next_caller: AtomicU64,
    commits: Mutex<Option<mpsc::Sender<(u64, Commit)>>>,
    /// The writer, and the thread that tells the engine of what it wrote.
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    alarm: Arc<Alarm>,
    health: Health,
    recorder: Option<Arc<Recorder>>,
    /// No new work is taken from outside, by whatever engine there is.
    draining: AtomicBool,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

/// What the timer waits for. It holds this and not the lane, which may go while it waits.
#[derive(Debug)]
struct Alarm {
    /// When it goes off; the end of time while it is being set.
    at: AtomicU64,
    /// Told when it must go off earlier, and when the lane goes.
    changed: Notify,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.alarm.changed.notify_one();
        if let Some(recorder) = &self.recorder {
            recorder.end();
        }
    }
}

/// What a lane is made of.
pub(crate) struct Parts {
    pub(crate) application: Shared,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) record: Option<Record>,
}

impl Lane {
    /// Opens the lane: what the store holds is restored, the writer and the timer start.
    pub(crate) fn open(parts: Parts, io: &tokio::runtime::Handle) -> Result<Arc<Lane>, reopen::ReopenError> {
        let Parts { application, store, tenants, telemetry, executor, backend, record } = parts;
        let (send, receive) = mpsc::channel();
        let recorder = record.map(|record| Recorder::start(record, &application)).transpose();
        let recorder = recorder.map_err(reopen::ReopenError::Thread)?;
        let lane = Arc::new(Lane {
            application,
            store,
            tenants,
            telemetry,
            executor,
            backend,
            state: Mutex::new(State { engine: None, generation: 0, clock: Clock::starting_at(Time(0)) }),
            callers: Mutex::new(HashMap::new()),
            next_caller: AtomicU64::new(1),
            commits: Mutex::new(Some(send)),
            threads: Mutex::new(Vec::new()),
            alarm: Arc::new(Alarm { at: AtomicU64::new(u64::MAX), changed: Notify::new() }),
            health: Health::new(),
            recorder,
            draining: AtomicBool::new(false),
        });
        lane.reopen()?;
        let threads = writer::start(&lane, receive).map_err(reopen::ReopenError::Thread)?;
        locked(&lane.threads).extend(threads);
        io.spawn(timer(Arc::downgrade(&lane), lane.alarm.clone()));
        Ok(lane)
    }

    /// Why no work is taken, if so.
    pub(crate) fn down(&self) -> Option<String> {
        self.health.reason()
    }

    /// How many records could not be read when the lane was opened.
    pub(crate) fn damaged(&self) -> u64 {
        self.health.damaged()
    }

    /// How the recording stands. `None`: there is none.
    pub(crate) fn recording(&self) -> Option<Recording> {
        self.recorder.as_ref().map(|recorder| recorder.recording())
    }

    /// Asks the engine something. `None` while there is none.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Engine) -> T) -> Option<T> {
        locked(&self.state).engine.as_ref().map(question)
    }

    /// The engine's time, now.
    pub(crate) fn now(&self) -> Time {
        locked(&self.state).clock.now()
    }

    /// Which engine it is, counted from 1.
    fn generation(&self) -> u64 {
        locked(&self.state).generation
    }

    /// Tells the engine what happened, and carries out what it wants done.
    pub(crate) fn step(self: &Arc<Self>, input: Input) {
        self.step_all(None, [input]);
    }

    /// The same for several inputs under one lock, if `generation` is still the engine's.
    fn step_all(self: &Arc<Self>, generation: Option<u64>, inputs: impl IntoIterator<Item = Input>) {
        let (generation, effects) = self.effects_of(generation, inputs);
        self.carry_out_all(generation, effects, |_| false);
    }

    /// The same for a call. If it may start at once its first slice runs here: the caller would only wait.
    fn step_call(self: &Arc<Self>, call: flyball_core::Call) {
        let caller = call.caller;
        let (generation, effects) = self.effects_of(None, [Input::Call(call)]);
        self.carry_out_all(generation, effects, |start| start.is_call_of(caller));
    }

    /// Carries effects out in their order, but for two kinds: notes come first, so that whoever is answered
    /// finds them, and what is to start here comes last, so that nobody else waits for it. An invocation that
    /// can't be started has ended, which leads to further effects.
    pub(super) fn carry_out_all(
        self: &Arc<Self>,
        mut generation: u64,
        mut effects: Vec<Effect>,
        here: impl Fn(&Start) -> bool,
    ) {
        while !effects.is_empty() {
            let notes = effects.iter().filter_map(|effect| match effect {
                Effect::Note(note) => Some(note),
                _ => None,
            });
            self.telemetry.note(notes, wall_clock());
            let (mut own, mut ended) = (None, Vec::new());
            for effect in effects {
                match effect {
                    Effect::Start(start) if here(&start) => own = Some(start),
                    Effect::Start(start) => ended.extend(self.start(generation, start, FirstSlice::Queued)),
                    other => self.carry_out(generation, other),
                }
            }
            if let Some(start) = own {
                ended.extend(self.start(generation, start, FirstSlice::Here));
            }
            (generation, effects) = match ended.is_empty() {
                true => return,
                false => self.effects_of(Some(generation), ended),
            };
        }
    }

    /// Steps, and records it where that is wanted. Which engine it was, and what it wants done.
    fn effects_of(
        &self,
        generation: Option<u64>,
        inputs: impl IntoIterator<Item = Input>,
    ) -> (u64, Vec<Effect>) {
        let Some(recorder) = self.recorder.as_ref().filter(|recorder| recorder.is_on()) else {
            return self.feed(generation, inputs, None);
        };
        let inputs: Vec<Input> = inputs.into_iter().collect();
        let mut tape = Tape::of(&inputs);
        let fed = self.feed(generation, inputs, Some((recorder, &mut tape)));
        recorder.fed(tape, &fed.1);
        fed
    }

    /// Steps, and wakes the timer where it must go off earlier.
    fn feed(
        &self,
        generation: Option<u64>,
        inputs: impl IntoIterator<Item = Input>,
        mut tape: Option<(&Recorder, &mut Tape)>,
    ) -> (u64, Vec<Effect>) {
        let mut effects = Vec::with_capacity(8);
        let (generation, deadline) = {
            let mut state = locked(&self.state);
            if generation.is_some_and(|generation| generation != state.generation) {
                return (state.generation, effects);
            }
            let now = state.clock.now();
            let Some(engine) = &mut state.engine else {
                let generation = state.generation;
                drop(state);
                self.refuse_all(inputs);
                return (generation, effects);
            };
            if let Some((recorder, tape)) = &mut tape {
                tape.begin(recorder, now);
            }
            for input in inputs {
                engine.step(now, input, &mut effects);
                if let Some((_, tape)) = &mut tape {
                    tape.fed(effects.len());
                }
            }
            let deadline = engine.next_deadline();
            (state.generation, deadline)
        };
        if deadline.is_some_and(|at| at.0 < self.alarm.at.load(Ordering::SeqCst)) {
            self.alarm.changed.notify_one();
        }
        (generation, effects)
    }

    /// There is no engine to answer. Callers who came before it went were told when it went.
    fn refuse_all(&self, inputs: impl IntoIterator<Item = Input>) {
        for input in inputs {
            let caller = match input {
                Input::Send(send) => send.caller,
                Input::Call(flyball_core::Call { caller, .. })
                | Input::Redrive(caller, ..)
                | Input::Discard(caller, ..) => caller,
                _ => continue,
            };
            self.answer(caller, self.refused().answer);
        }
    }

    /// Tells everyone who waits that there will be no answer.
    fn disappoint_all(&self) {
        let callers = std::mem::take(&mut *locked(&self.callers));
        for caller in callers.into_values() {
            // Whoever has gone is not told.
            drop(caller.answer.send(self.refused()));
        }
    }

    fn carry_out(&self, generation: u64, effect: Effect) {
        match effect {
            Effect::Commit(commit) => {
                let commits = locked(&self.commits);
                let sent = commits.as_ref().is_some_and(|to| to.send((generation, commit)).is_ok());
                drop(commits);
                if !sent {
                    // Closed: what is not committed did not happen.
                    self.disappoint_all();
                }
            }
            // The executor keeps deadlines itself, and gives what the run did; the engine's own patience
            // ends with `Lost`.
            Effect::Stop(invocation) => tracing::debug!(?invocation, "a run has reached its deadline"),
            Effect::Answer(caller, answer) => self.answer(caller, answer),
            // Both are `carry_out_all`'s own.
            Effect::Note(_) | Effect::Start(_) => {}
        }
    }

    fn answer(&self, caller: CallerId, answer: Answer) {
        let caller = locked(&self.callers).remove(&caller);
        if let Some(Caller { answer: waiting, response, .. }) = caller {
            let response = response.filter(|_| matches!(answer, Answer::Done { .. }));
            // Whoever has gone is not told.
            drop(waiting.send(Answered { answer, response }));
        }
    }

    /// Calls a function without a key: nothing is written.
    pub(crate) async fn call(
        self: &Arc<Self>,
        tenant: TenantId,
        function: Name,
        request: Request<Bytes>,
    ) -> Answered {
        let Some((caller, answer)) = self.caller(Some(request)) else { return self.refused() };
        let mut gone = Gone { lane: self, caller, heard: false };
        self.step_call(flyball_core::Call { caller, tenant, function, key: None });
        let answered = self.hear(answer).await;
        gone.heard = true;
        answered
    }

    /// Calls a function under an idempotency key.
    pub(crate) async fn call_keyed(
        self: &Arc<Self>,
        tenant: TenantId,
        function: Name,
        key: &KeyOf<'_>,
        stored: StoredRequest,
    ) -> Answered {
        let inbox = Name::inbox_of(&function);
        if let Some(refused) = self.too_large(&inbox, &stored.attributes, stored.body.len()) {
            return refused;
        }
        for _ in 0..LOOK_AGAIN_MAX {
            let Some(keyed) = self.look_up(tenant, &inbox, key) else { return self.refused() };
            let StoredRequest { attributes, body } = stored.clone();
            let call = flyball_core::KeyedCall { keyed, attributes, body };
            let Some((caller, answer)) = self.caller(None) else { return self.refused() };
            let key = Some(Box::new(call));
            self.step(Input::Call(flyball_core::Call { caller, tenant, function: function.clone(), key }));
            let answered = self.hear(answer).await;
            if answered.answer != Answer::LookAgain {
                return answered;
            }
        }
        unavailable()
    }

    /// Sends an event. `caller` and `key` of `event` are put in here.
    pub(crate) async fn send(self: &Arc<Self>, mut event: SendEvent, key: Option<&KeyOf<'_>>) -> Answered {
        if let Some(refused) = self.too_large(&event.target, &event.attributes, event.body.len()) {
            return refused;
        }
        for _ in 0..LOOK_AGAIN_MAX {
            if let Some(key) = key {
                let target = Name::stored(&event.target);
                let Ok(target) = target else {
                    let refusal = Refusal::NoTarget { target: event.target };
                    return Answered { answer: Answer::Refused(refusal), response: None };
                };
                event.key = self.look_up(event.tenant, &target, key);
                if event.key.is_none() {
                    return self.refused();
                }
            }
            let Some((caller, answer)) = self.caller(None) else { return self.refused() };
            event.caller = caller;
            // Only what has a key is ever looked up again.
            let again = key.is_some().then(|| event.clone());
            self.step(Input::Send(Box::new(event)));
            let answered = self.hear(answer).await;
            match again {
                Some(again) if answered.answer == Answer::LookAgain => event = again,
                _ => return answered,
            }
        }
        unavailable()
    }

    fn too_large(
        &self,
        target: &str,
        attributes: &flyball_core::Attributes,
        bytes: usize,
    ) -> Option<Answered> {
        let refusal = bounds::refuse_event(&self.application, target, attributes, bytes)?;
        Some(Answered { answer: Answer::Refused(refusal), response: None })
    }

    /// An input that a caller waits for.
    pub(crate) async fn operate(self: &Arc<Self>, input: impl FnOnce(CallerId) -> Input) -> Answer {
        let Some((caller, answer)) = self.operator() else { return self.refused().answer };
        self.step(input(caller));
        self.hear(answer).await.answer
    }

    /// A new caller; `None` while no work is taken.
    fn caller(&self, request: Option<Request<Bytes>>) -> Option<(CallerId, oneshot::Receiver<Answered>)> {
        if self.health.refusal().is_some() {
            return None;
        }
        Some(self.admit(request))
    }

    /// An operator is let in where there is no room too: what is thrown away makes some.
    fn operator(&self) -> Option<(CallerId, oneshot::Receiver<Answered>)> {
        let refusal = self.health.refusal();
        refusal.is_none_or(|refusal| refusal == Refusal::StoreFull).then(|| self.admit(None))
    }

    fn admit(&self, request: Option<Request<Bytes>>) -> (CallerId, oneshot::Receiver<Answered>) {
        let caller = CallerId(self.next_caller.fetch_add(1, Ordering::Relaxed));
        let (answer, receive) = oneshot::channel();
        locked(&self.callers).insert(caller, Caller { answer, request, response: None });
        (caller, receive)
    }

    /// What callers are told while no work is taken.
    fn refused(&self) -> Answered {
        let refusal = self.health.refusal().unwrap_or(Refusal::Unavailable);
        Answered { answer: Answer::Refused(refusal), response: None }
    }

    /// Looks whether the store has room.
    fn watch_room(&self) {
        match self.store.room() {
            Ok(room) => self.health.room(&room),
            Err(error) => tracing::warn!(%error, "the store does not say how much room it has"),
        }
    }

    /// Notices a commit that takes too long: nobody waits for its end.
    fn watch_commit(&self) {
        let max = Duration::from_micros(self.application.limits.commit_wait_max.0);
        if self.health.stalls(max) {
            tracing::error!(?max, "the store does not answer a commit; no work is taken until it does");
            self.disappoint_all();
        }
    }

    async fn hear(&self, answer: oneshot::Receiver<Answered>) -> Answered {
        answer.await.unwrap_or_else(|_| unavailable())
    }

    /// What is recorded under a key; `None` while that can't be known. The mark is read first: an outcome
    /// that is committed between the two is noticed by the engine.
    fn look_up(&self, tenant: TenantId, target: &Name, key: &KeyOf<'_>) -> Option<Keyed> {
        let id = EventId::keyed(tenant, target, key.key);
        let as_of = self.ask(Engine::settled_mark)?;
        let found = self.settled(id).inspect_err(|error| {
            tracing::error!(%error, "can't read what is recorded under a key");
        });
        Some(Keyed { id, fingerprint: key.fingerprint, as_of, found: found.ok()?.map(Box::new) })
    }

    /// The settled record of an event, if it is remembered.
    pub(crate) fn settled(&self, id: EventId) -> Result<Option<Settled>, LookUpError> {
        let now = self.now();
        let buckets = self.ask(|engine| engine.buckets(now)).ok_or(LookUpError::Down)?;
        for bucket in buckets.rev() {
            if let Some(bytes) = self.store.get(Table::Settled, &record::settled_key(Bucket(bucket), id))? {
                return Ok(Some(record::decode(&bytes)?));
            }
        }
        Ok(None)
    }

    fn finished(self: &Arc<Self>, generation: u64, invocation: InvocationId, outcome: Outcome) {
        self.step_all(Some(generation), [Input::Finished(invocation, outcome)]);
    }

    /// No new work; resolves when nothing runs any more, or after `grace`. Answers whether all had ended.
    pub(crate) async fn drain(self: &Arc<Self>, grace: Duration) -> bool {
        self.draining.store(true, Ordering::SeqCst);
        self.step(Input::Drain);
        let idle = || self.ask(Engine::is_idle).unwrap_or(true);
        let end = Instant::now() + grace;
        while !idle() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        idle()
    }

    /// What still runs returns to its queue; then the writer ends, after what it was given is durable. Waits
    /// for a store that does not answer as long as `commit_wait_max`, twice.
    pub(crate) fn close(self: &Arc<Self>) {
        self.draining.store(true, Ordering::SeqCst);
        self.health.down(Down::Closed);
        self.step(Input::Close);
        let wait = Duration::from_micros(self.application.limits.commit_wait_max.0);
        poll(wait, || self.ask(Engine::is_idle).unwrap_or(true));
        locked(&self.commits).take();
        self.executor.close();
        for thread in std::mem::take(&mut *locked(&self.threads)) {
            if thread.thread().id() == std::thread::current().id() {
                continue;
            }
            if poll(wait, || thread.is_finished()) {
                drop(thread.join());
            } else {
                tracing::error!("the store does not answer; what it was given last may not be durable");
            }
        }
        self.disappoint_all();
        self.alarm.changed.notify_one();
        if let Some(recorder) = &self.recorder {
            recorder.close(wait);
        }
    }
}

/// A request as it is stored: what it is, and its bytes.
#[derive(Debug, Clone)]
pub(crate) struct StoredRequest {
    pub(crate) attributes: flyball_core::Attributes,
    pub(crate) body: flyball_core::Body,
}

/// An idempotency key and the hash of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyOf<'a> {
    pub(crate) key: &'a str,
    pub(crate) fingerprint: flyball_core::Fingerprint,
}

/// Why a record can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// The lane recovers or is closed: nothing is known now.
    #[error("the lane is not open now; try again")]
    Down,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] flyball_store::StoreError),
    /// The record is damaged.
    #[error(transparent)]
    Record(#[from] record::RecordError),
}

/// Tells the engine that a caller has gone, when its future is dropped before the answer came.
struct Gone<'a> {
    lane: &'a Arc<Lane>,
    caller: CallerId,
    heard: bool,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if !self.heard && locked(&self.lane.callers).remove(&self.caller).is_some() {
            self.lane.step(Input::Abandon(self.caller));
        }
    }
}

fn unavailable() -> Answered {
    Answered { answer: Answer::Refused(Refusal::Unavailable), response: None }
}

/// Looks again and again until it is so, for this time at most. Answers whether it is. Blocks.
fn poll(wait: Duration, so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + wait;
    while !so() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// The wall clock as the engine's time.
pub(crate) fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// What a panicked holder left behind is still whole: every change under these locks is one assignment
/// or one call.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Steps with [`Input::Tick`] when the engine's next deadline is reached.
async fn timer(lane: std::sync::Weak<Lane>, alarm: Arc<Alarm>) {
    let mut looked = Instant::now();
    loop {
        // Before the engine is asked, so that whoever makes the deadline nearer from here on says so.
        alarm.at.store(u64::MAX, Ordering::SeqCst);
        let left = {
            let Some(lane) = lane.upgrade() else { return };
            lane.watch_commit();
            if looked.elapsed() >= ALARM_MAX {
                looked = Instant::now();
                let lane = lane.clone();
                drop(tokio::task::spawn_blocking(move || lane.watch_room()));
            }
            let deadline = lane.ask(Engine::next_deadline).flatten();
            let left = deadline.map_or(ALARM_MAX, |at| Duration::from_micros(at.since(lane.now()).0));
            if left.is_zero() {
                lane.step(Input::Tick);
            } else {
                // It looks again after a while whatever happens, so what is due later need not wake it.
                let looks = lane.now().after(clock::span(ALARM_MAX));
                alarm.at.store(deadline.map_or(looks, |at| at.min(looks)).0, Ordering::SeqCst);
            }
            left
        };
        if left.is_zero() {
            tokio::task::yield_now().await;
        } else {
            // Time out or be told: both mean to look.
            drop(tokio::time::timeout(left.min(ALARM_MAX), alarm.changed.notified()).await);
        }
    }
}
