//! Real functions in a simulation: the application's own components, run by `host` without a clock.
//!
//! - `requests`: what the events of a source are. - `components`: which functions are run.

mod components;
mod requests;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use flyball_app::workload::{FUEL_PER_US, Workload};
use flyball_core::{
    Body, EventId, EventResult, Failure, FailureKind, KvKey, Name, Outcome, Time, Usage,
    invocation::{HostCall, LogLevel},
    model::Application,
};
use flyball_host::{
    Delivery, Finished, HostLimits, HttpCall, Input,
    deterministic::{Answer, Begin, Function, Outgoing, Pause, Runner, RunnerConfig, Running},
    wire,
};
use flyball_sim::{
    guests::{
        Arrival, Arrived, GuestAnswer, GuestAsks, GuestEnd, GuestPause, GuestRun, Guests, Platform, RunNo,
    },
    message::spread,
};

use crate::stop::Stop;
use requests::Requests;

/// Instances at once: as many as the application's limits may allow, within the machine's memory maps.
const INSTANCES_MAX: u32 = 2_000;
/// Compiled components that are kept, bytes.
const CACHE_BYTES_MAX: u64 = 4 << 30;
/// Log lines of one simulation that are passed on.
const LINES_MAX: u32 = 20;

/// Runs the application's components.
#[derive(Debug)]
pub struct Real {
    runner: Runner,
    functions: BTreeMap<String, Function>,
    running: BTreeMap<RunNo, Guest>,
    requests: Requests,
    response_bytes_max: u64,
    lines_left: u32,
    /// What is kept for whoever looks at it afterwards. `None`: nothing.
    pub seen: Option<Seen>,
    /// Removed with this.
    _cache: Option<tempfile::TempDir>,
}

/// A run under way.
#[derive(Debug)]
struct Guest {
    running: Running,
    /// An HTTP request that came as an event: its response is the event's result.
    stored: bool,
    /// How often it has asked what, for which event.
    asked: BTreeMap<(Option<EventId>, u64), u64>,
}

/// What a simulation has shown.
#[derive(Debug, Default)]
pub struct Seen {
    /// Events at the edge, each once: source, tenant, body.
    pub arrived: BTreeMap<u64, (String, String, Bytes)>,
    /// Requests to the outside, in their order.
    pub outgoing: Vec<Outgoing>,
    /// Values in the store at the end: tenant, key, value.
    pub values: Vec<(String, KvKey, Body)>,
    /// What was logged at the levels `warn` and `error`.
    pub lines: Vec<String>,
    /// Units of fuel that all runs have used.
    pub fuel: u64,
    /// Runs that have ended.
    pub runs: u64,
}

impl Real {
    /// Loads the components, and says in the workload which functions are run.
    ///
    /// # Errors
    /// A component that is missing or does not fit; a file that a source names and that can't be read.
    pub fn new(
        application: &Application,
        directory: &Path,
        workload: &mut Workload,
        beside: &Path,
    ) -> Result<Real, Stop> {
        let limits = HostLimits { instances_max: INSTANCES_MAX, ..HostLimits::default() };
        let (cache_directory, cache) = components::cache(directory)?;
        let runner = Runner::new(RunnerConfig {
            cache_directory,
            cache_bytes_max: CACHE_BYTES_MAX,
            limits,
            fuel_per_us: workload.real.fuel_per_us.unwrap_or(FUEL_PER_US),
        });
        let runner = runner.map_err(|error| Stop::wrong(error.to_string()))?;
        let functions = components::load(&runner, application, directory, workload)?;
        workload.real.functions = functions.keys().cloned().collect();
        let answers = |name: &str| functions.get(name).is_some_and(Function::answers_http);
        let requests = Requests::new(application, workload, beside, answers)?;
        Ok(Real {
            runner,
            functions,
            running: BTreeMap::new(),
            requests,
            response_bytes_max: application.limits.request_bytes_max,
            lines_left: LINES_MAX,
            seen: None,
            _cache: cache,
        })
    }

    /// A run goes on, until it waits or is over.
    fn drive(&mut self, number: RunNo, now: Time, platform: Platform<'_>) -> GuestPause {
        let Some(mut guest) = self.running.remove(&number) else {
            return GuestPause::Ended(lost(now));
        };
        let (lines_left, seen) = (&mut self.lines_left, &mut self.seen);
        let mut answers = |call: HostCall| {
            if let HostCall::Log { level: LogLevel::Warn | LogLevel::Error, message, function, .. } = &call {
                if let Some(seen) = seen.as_mut() {
                    seen.lines.push(format!("{function}: {message}"));
                }
                if let Some(left) = lines_left.checked_sub(1) {
                    *lines_left = left;
                    tracing::info!(%function, message, "a simulated function logs");
                }
            }
            platform(call)
        };
        match guest.running.go_on(&self.runner, now, &mut answers) {
            Pause::Asks { at, outgoing } => {
                let what = hashed(&[&outgoing.method, &outgoing.uri]);
                let nth = guest.asked.entry((outgoing.event, what)).or_default();
                *nth += 1;
                let pause = GuestPause::Asks(GuestAsks {
                    at,
                    host: outgoing.host.clone(),
                    port: outgoing.port,
                    patience: outgoing.patience,
                    of: outgoing.event,
                    step: spread(what ^ spread(*nth)),
                    key: hashed(&[&outgoing.key]),
                });
                if let Some(seen) = &mut self.seen {
                    seen.outgoing.push(outgoing);
                }
                self.running.insert(number, guest);
                pause
            }
            Pause::Ended { at, finished } => GuestPause::Ended(self.end(&guest, at, finished)),
        }
    }

    fn end(&mut self, guest: &Guest, at: Time, finished: Finished) -> GuestEnd {
        if let Some(seen) = &mut self.seen {
            seen.fuel = seen.fuel.saturating_add(guest.running.fuel());
            seen.runs += 1;
        }
        let Finished { mut outcome, response } = finished;
        let status = response.as_ref().map(|response| response.status().as_u16());
        if let (true, Some(response), Some(result)) = (guest.stored, response, outcome.results.first_mut())
            && result.verdict.is_ok()
        {
            result.verdict = Ok(wire::encode_response(&response));
        }
        GuestEnd { at, outcome, status }
    }

    /// What a run is given. `true`: a request that came as an event.
    fn input(run: &mut GuestRun<'_>) -> Result<(Input, bool), Failure> {
        let events = std::mem::take(&mut run.events);
        if let [event] = events.as_slice()
            && event.envelope.target == Name::inbox_of(&run.invocation.function().name)
            && let Some(request) = wire::request(&event.envelope.attributes, &event.body)
        {
            let request = request.map_err(|why| Failure::new(FailureKind::NotStarted, why))?;
            let call = HttpCall { envelope: event.envelope.clone(), request, https: false };
            return Ok((Input::Http(Box::new(call)), !run.call));
        }
        let deliveries = events.into_iter().map(|event| Delivery {
            envelope: event.envelope,
            body: event.body,
            attempt: event.attempt,
        });
        Ok((Input::Events(deliveries.collect()), false))
    }
}

impl Guests for Real {
    fn arrives(&mut self, arrival: &Arrival<'_>) -> Option<Arrived> {
        let (arrived, body) = self.requests.arrives(arrival)?;
        if let Some(seen) = &mut self.seen {
            let whose = (arrival.source.to_string(), arrival.tenant.to_string(), body);
            seen.arrived.entry(arrival.number).or_insert(whose);
        }
        Some(arrived)
    }

    fn begin(&mut self, mut run: GuestRun<'_>, platform: Platform<'_>) -> GuestPause {
        let (number, now) = (run.number, run.now);
        let (events, function) = (run.events.len(), self.functions.get(run.function).cloned());
        let input = Real::input(&mut run);
        let (function, (input, stored)) = match (function, input) {
            (Some(function), Ok(input)) => (function, input),
            (_, Err(failure)) => return GuestPause::Ended(not_started(now, events, &failure)),
            (None, _) => {
                let failure = Failure::new(FailureKind::NotStarted, "there is no component for it");
                return GuestPause::Ended(not_started(now, events, &failure));
            }
        };
        let running = self.runner.begin(Begin {
            function,
            invocation: run.invocation,
            tenant: Arc::from(run.tenant),
            input,
            now,
            lasts_max: run.lasts_max,
            seed: run.seed,
            response_bytes_max: self.response_bytes_max,
        });
        self.running.insert(number, Guest { running, stored, asked: BTreeMap::new() });
        self.drive(number, now, platform)
    }

    fn go_on(&mut self, run: RunNo, now: Time, answer: GuestAnswer, platform: Platform<'_>) -> GuestPause {
        let respond = |status| Answer::Response { status, body: Bytes::new() };
        if let Some(guest) = self.running.get_mut(&run) {
            guest.running.answer(match answer {
                GuestAnswer::Served => respond(200),
                GuestAnswer::Failed => respond(503),
                GuestAnswer::Refused => Answer::Refused,
                GuestAnswer::Late => Answer::Late,
            });
        }
        self.drive(run, now, platform)
    }

    fn stop(&mut self, run: RunNo) -> GuestEnd {
        let Some(mut guest) = self.running.remove(&run) else { return lost(Time::default()) };
        let finished = guest.running.stop();
        self.end(&guest, guest.running.now(), finished)
    }

    fn crashed(&mut self) {
        self.running.clear();
    }

    fn ended(&mut self, values: &mut dyn Iterator<Item = (&str, &KvKey, &Body)>) {
        self.running.clear();
        if let Some(seen) = &mut self.seen {
            seen.values = values.map(|(of, key, value)| (of.into(), key.clone(), value.clone())).collect();
        }
    }
}

/// A number that follows from texts.
fn hashed(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0, |number, byte| spread(number ^ u64::from(byte)))
}

/// Of a run that nobody knows: the engine has forgotten it as well.
fn lost(at: Time) -> GuestEnd {
    not_started(at, 1, &Failure::new(FailureKind::Lost, "nothing is known of this run"))
}

fn not_started(at: Time, events: usize, failure: &Failure) -> GuestEnd {
    let result = EventResult { verdict: Err(failure.clone()), emits: Vec::new() };
    let results = vec![result; events];
    let outcome = Outcome { results, reads: Vec::new(), writes: Vec::new(), usage: Usage::default() };
    GuestEnd { at, outcome, status: None }
}

#[cfg(test)]
mod tests;
