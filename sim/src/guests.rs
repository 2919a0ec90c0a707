//! The user's own functions in a simulation. Who runs them is handed in: nothing here knows WebAssembly.
//!
//! A run happens at its virtual start, and its outcome comes when the time that it took has passed. Where it asks
//! somebody outside it is suspended, and goes on when the answer has come. What it may do is decided by
//! `core::invocation`, as under `serve`; what it reads is the simulated store's.

use std::fmt;

use flyball_core::{
    Attributes, Body, Envelope, EventId, KvKey, Outcome, Span, Time,
    invocation::{HostCall, HostReply, Invocation},
};

/// Runs functions.
pub trait Guests: fmt::Debug {
    /// What an event of a source is. `None`: nothing is said of that source.
    fn arrives(&mut self, arrival: &Arrival<'_>) -> Option<Arrived>;
    /// A run begins. `platform` answers what it asks of the store, and hears its log lines.
    fn begin(&mut self, run: GuestRun<'_>, platform: Platform<'_>) -> GuestPause;
    /// The answer that a run waits for has come.
    fn go_on(&mut self, run: RunNo, now: Time, answer: GuestAnswer, platform: Platform<'_>) -> GuestPause;
    /// A run's time is up while it waits.
    fn stop(&mut self, run: RunNo) -> GuestEnd;
    /// The process has crashed: nothing is left of its runs.
    fn crashed(&mut self);
    /// The simulation has ended, with these values in the store: whose, which, what.
    fn ended(&mut self, values: &mut dyn Iterator<Item = (&str, &KvKey, &Body)>);
}

/// A run's number: unlike that of any other run of a simulation, over crashes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunNo(pub u64);

/// Answers what a run asks of the platform.
pub type Platform<'a> = &'a mut dyn FnMut(HostCall) -> HostReply;

/// An event of a source, at the edge.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The source's name.
    pub source: &'a str,
    /// Whose it is.
    pub tenant: &'a str,
    /// Unlike that of any other event of the simulation; the same when its sender tries again.
    pub number: u64,
    /// The simulation's seed.
    pub seed: u64,
}

/// What comes in at the edge: of a route, the whole request as the gateway would store it.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// What the sender says it is.
    pub attributes: Attributes,
    /// Its bytes.
    pub body: Body,
}

/// A run that begins.
#[derive(Debug)]
pub struct GuestRun<'a> {
    /// Its number.
    pub number: RunNo,
    /// Which function.
    pub function: &'a str,
    /// Whose.
    pub tenant: &'a str,
    /// Its grants and limits; every call goes through it.
    pub invocation: Invocation,
    /// What it is to handle: one call, or a batch.
    pub events: Vec<GuestEvent>,
    /// It is a call: somebody waits for the answer.
    pub call: bool,
    /// Now.
    pub now: Time,
    /// It may take so long, waiting included.
    pub lasts_max: Span,
    /// What all its randomness follows from.
    pub seed: u64,
}

/// An event, or a call, that a function is to handle.
#[derive(Debug, Clone)]
pub struct GuestEvent {
    /// What is known of it.
    pub envelope: Envelope,
    /// Its bytes.
    pub body: Body,
    /// 1 for the first run.
    pub attempt: u32,
}

/// How far a run has come.
#[derive(Debug)]
pub enum GuestPause {
    /// It waits for somebody outside.
    Asks(GuestAsks),
    /// It is over.
    Ended(GuestEnd),
}

/// A request to somebody outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestAsks {
    /// When it asked.
    pub at: Time,
    /// The host, without port.
    pub host: String,
    /// The port.
    pub port: u16,
    /// It waits so long. `None`: as long as it runs.
    pub patience: Option<Span>,
    /// The event that it was handling. `None`: none.
    pub of: Option<EventId>,
    /// A number of the request among those for that event: the same when the event's next run sends it again.
    pub step: u64,
    /// A number that follows from the idempotency key under which it goes out.
    pub key: u64,
}

/// How a run ended.
#[derive(Debug)]
pub struct GuestEnd {
    /// When.
    pub at: Time,
    /// How.
    pub outcome: Outcome,
    /// The status that it answered, of an HTTP request.
    pub status: Option<u16>,
}

/// What came of a request to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestAnswer {
    /// It was served.
    Served,
    /// It was answered with an error.
    Failed,
    /// Nobody is there.
    Refused,
    /// No answer came in time.
    Late,
}
