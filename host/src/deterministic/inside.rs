//! What a deterministic run has instead of a world: a clock that goes by fuel, and a box for what it asks.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use bytes::Bytes;
use flyball_core::{
    EventId, Span, Time,
    invocation::{HostCall, HostReply},
};

use crate::{Backend, BoxFuture};

/// A request to the outside, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The host, without port.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Its method.
    pub method: String,
    /// Its URI.
    pub uri: String,
    /// The idempotency key under which it goes out: the function's own, else the derived one.
    pub key: String,
    /// The event, or the call, that the function was handling.
    pub event: Option<EventId>,
    /// Its body.
    pub body: Bytes,
    /// The function waits so long. `None`: as long as it runs.
    pub patience: Option<Span>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A response.
    Response {
        /// Its status; one that is none counts as 500.
        status: u16,
        /// Its body.
        body: Bytes,
    },
    /// No connection could be had.
    Refused,
    /// No answer came in time.
    Late,
}

/// Shared by a run's guest and whoever drives it; both are on one thread.
#[derive(Debug)]
pub(crate) struct Inside {
    began_ns: u64,
    fuel_per_us: u64,
    fuel_max: u64,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// As the guest's store had it last.
    fuel_left: u64,
    /// Time that has passed and is not yet taken from the store's fuel.
    owed_ns: u64,
    waited_ns: u64,
    instances: u64,
    timers: BTreeMap<u64, (u64, Option<Waker>)>,
    next_timer: u64,
    lines: VecDeque<HostCall>,
    call: Option<HostCall>,
    reply: Option<HostReply>,
    /// Requests that nobody was told of.
    requests: VecDeque<(u64, Outgoing)>,
    /// The one that somebody was told of.
    told: Option<u64>,
    next_request: u64,
    answers: BTreeMap<u64, Answer>,
    wakers: BTreeMap<u64, Waker>,
}

impl Inside {
    pub(crate) fn new(now: Time, lasts_max: Span, fuel_per_us: u64, seed: u64) -> Inside {
        let fuel_max = lasts_max.0.saturating_mul(fuel_per_us);
        let state = State { fuel_left: fuel_max, ..State::default() };
        Inside {
            began_ns: now.0.saturating_mul(1_000),
            fuel_per_us,
            fuel_max,
            seed,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new instance may use, and the seed of its randomness.
    pub(crate) fn instance(&self) -> [u8; 32] {
        let mut state = self.state();
        state.instances += 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"flyball guest");
        hasher.update(&self.seed.to_be_bytes());
        hasher.update(&state.instances.to_be_bytes());
        *hasher.finalize().as_bytes()
    }

    /// What the store has left: what it has used is time that has passed. Gives what it may go on with.
    pub(crate) fn fuel_is(&self, left: u64) -> u64 {
        let mut state = self.state();
        let owed = self.fuel_of(state.owed_ns);
        state.owed_ns = 0;
        state.fuel_left = left.saturating_sub(owed);
        state.fuel_left
    }

    /// What an instance gets.
    pub(crate) fn fuel_left(&self) -> u64 {
        let left = self.state().fuel_left;
        self.fuel_is(left)
    }

    fn fuel_of(&self, ns: u64) -> u64 {
        let fuel = u128::from(ns) * u128::from(self.fuel_per_us) / 1_000;
        u64::try_from(fuel).unwrap_or(u64::MAX)
    }

    fn passed_ns(&self, state: &State) -> u64 {
        let used = self.fuel_max.saturating_sub(state.fuel_left);
        let ns = u128::from(used) * 1_000 / u128::from(self.fuel_per_us);
        u64::try_from(ns).unwrap_or(u64::MAX).saturating_add(state.owed_ns)
    }

    /// Its clock, nanoseconds since the Unix epoch.
    pub(crate) fn now_ns(&self) -> u64 {
        self.began_ns.saturating_add(self.passed_ns(&self.state()))
    }

    /// Its clock, rounded up, and never past its deadline.
    pub(crate) fn now(&self) -> Time {
        let end = self.fuel_max / self.fuel_per_us;
        let passed = self.passed_ns(&self.state()).div_ceil(1_000).min(end);
        Time((self.began_ns / 1_000).saturating_add(passed))
    }

    /// Its deadline has passed.
    pub(crate) fn late(&self) -> bool {
        self.now_ns() >= self.end_ns()
    }

    fn end_ns(&self) -> u64 {
        self.began_ns.saturating_add((self.fuel_max / self.fuel_per_us).saturating_mul(1_000))
    }

    pub(crate) fn fuel_used(&self) -> u64 {
        let state = self.state();
        let waited = self.fuel_of(state.waited_ns.saturating_sub(state.owed_ns));
        self.fuel_max.saturating_sub(state.fuel_left).saturating_sub(waited)
    }

    /// Processor time and waiting so far.
    pub(crate) fn took(&self) -> (Span, Span) {
        let waited = self.state().waited_ns;
        (Span(self.fuel_used().div_ceil(self.fuel_per_us)), Span(waited.div_ceil(1_000)))
    }

    fn pass_until(&self, ns: u64) {
        let now = self.now_ns();
        let mut state = self.state();
        let more = ns.saturating_sub(now);
        state.owed_ns = state.owed_ns.saturating_add(more);
        state.waited_ns = state.waited_ns.saturating_add(more);
    }

    /// It is at least that late.
    pub(crate) fn not_before(&self, now: Time) {
        self.pass_until(now.0.saturating_mul(1_000));
        self.ring();
    }

    /// It waits until it is stopped.
    pub(crate) fn until_deadline(&self) {
        self.pass_until(self.end_ns());
    }

    /// Lets time pass until the first timer that is waited for, if there is one.
    pub(crate) fn next_timer(&self) -> bool {
        let waiting = |(at, waker): &(u64, Option<Waker>)| waker.as_ref().map(|_| *at);
        let first = self.state().timers.values().filter_map(waiting).min();
        let Some(at) = first else { return false };
        self.pass_until(at.min(self.end_ns()));
        self.ring();
        true
    }

    /// Wakes those whose time has come.
    fn ring(&self) {
        let now = self.now_ns();
        let due = |(at, waker): &mut (u64, Option<Waker>)| if *at <= now { waker.take() } else { None };
        let woken: Vec<Waker> = self.state().timers.values_mut().filter_map(due).collect();
        woken.into_iter().for_each(Waker::wake);
    }

    /// A timer's number.
    pub(crate) fn timer(&self, at_ns: u64) -> u64 {
        let mut state = self.state();
        state.next_timer += 1;
        let number = state.next_timer;
        state.timers.insert(number, (at_ns, None));
        number
    }

    pub(crate) fn timer_gone(&self, number: u64) {
        self.state().timers.remove(&number);
    }

    /// Waits until a timer's time has come.
    pub(crate) async fn rings(&self, number: u64) {
        poll_fn(|context| {
            let now = self.now_ns();
            match self.state().timers.get_mut(&number) {
                Some((at, waker)) if *at > now => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Log lines that nobody has heard yet.
    pub(crate) fn logged(&self) -> impl Iterator<Item = HostCall> + use<> {
        std::mem::take(&mut self.state().lines).into_iter()
    }

    /// What it asks of the platform.
    pub(crate) fn asked(&self) -> Option<HostCall> {
        self.state().call.take()
    }

    pub(crate) fn replied(&self, reply: HostReply) {
        self.state().reply = Some(reply);
    }

    /// A request that nobody was told of, while no other is under way.
    pub(crate) fn outgoing(&self) -> Option<Outgoing> {
        let mut state = self.state();
        if state.told.is_some() {
            return None;
        }
        let (number, outgoing) = state.requests.pop_front()?;
        state.told = Some(number);
        Some(outgoing)
    }

    pub(crate) fn answered(&self, answer: Answer) {
        let mut state = self.state();
        let Some(number) = state.told.take() else { return };
        state.answers.insert(number, answer);
        let waker = state.wakers.remove(&number);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sends a request and waits for what comes of it.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Answer {
        let number = {
            let mut state = self.state();
            state.next_request += 1;
            let number = state.next_request;
            state.requests.push_back((number, outgoing));
            number
        };
        poll_fn(|context| {
            let mut state = self.state();
            match state.answers.remove(&number) {
                Some(answer) => Poll::Ready(answer),
                None => {
                    state.wakers.insert(number, context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Backend for Inside {
    fn call(&self, _: HostCall) -> BoxFuture<HostReply> {
        // `Control` asks by `ask`, which needs no copy of this.
        Box::pin(async { HostReply::Unavailable("a deterministic run asks whoever drives it".into()) })
    }

    fn log(&self, call: HostCall) {
        self.state().lines.push_back(call);
    }
}

impl Inside {
    /// Asks the platform, and waits.
    pub(crate) async fn ask(&self, call: HostCall) -> HostReply {
        self.state().call = Some(call);
        poll_fn(|_| match self.state().reply.take() {
            Some(reply) => Poll::Ready(reply),
            None => Poll::Pending,
        })
        .await
    }
}
