//! The world around the engine: what is real in production, in virtual time.
//!
//! One loop takes what is due next, from the agenda or from the engine's own deadlines, and tells whom it
//! concerns. Every decision about limits, order and retries is the engine's; what only AWS does is in `aws`.
//!
//! - `agenda`: what will happen. - `client`: who sends, waits, gives up and tries again.
//! - `invoke`: what goes into the engine and what it wants done. - `run`: functions as steps.
//! - `gateway`: requests that are not let in.
//! - `calls`: what they ask dependencies. - `environment`: where they run. - `store`: commits and records. -
//!   `tally`: what is counted.
//! - `looks`: what is looked at once a slot. - `faults`: what goes wrong. - `books`: what is known of it without asking
//!   the engine.

mod agenda;
mod books;
mod calls;
mod client;
mod data;
mod environment;
mod faults;
mod gateway;
mod invoke;
mod looks;
mod real;
mod run;
mod store;
mod tally;

use flyball_core::{Effect, Engine, FailureKind, Input, Settings, Span, Tenant, TenantId, Time};
use slotmap::{SlotMap, new_key_type};

use crate::{
    aws::gateway::Gateway,
    dependency::{self, Dependency},
    guests::Guests,
    message::{Ask, Message, NodeNo, Part, Verdict},
    plan::{DependencyNo, Plan, Platform},
    random::Random,
    result::Ended,
};
use agenda::Agenda;
pub(crate) use books::{Broken, CHECKS};
use client::{Request, Senders};
use environment::Environments;
use faults::Faulty;
pub(crate) use faults::{Outcome, Planted};
use invoke::Caller;
pub(crate) use looks::{Group, Look};
use run::Run;
use store::Store;
pub(crate) use tally::{
    CHUNK_BYTES, DependencyTally, FunctionTally, NodeTally, SourceTally, Tally, TenantTally, Trouble,
    failure_name,
};

/// Virtual time begins here: a day, so that nothing is near zero.
pub(crate) const BEGINNING: Time = Time(86_400_000_000);

new_key_type! {
    /// A caller that waits for the engine's answer.
    pub(crate) struct CallerKey;
    /// A run.
    pub(crate) struct RunKey;
    /// A client's request.
    pub(crate) struct RequestKey;
    /// A message on its way.
    pub(crate) struct FlightKey;
    /// A call of a dependency.
    pub(crate) struct CallKey;
}

/// Something that will happen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening {
    /// The next arrival of a source.
    Arrival(u32),
    /// A user has thought.
    User(u32),
    /// The patience of a source's clients, or of its gateway, may end.
    Patience(u32, client::Patient),
    /// A client tries again.
    Retry(RequestKey),
    /// What a run waits for is over, if it still waits for that.
    Run(RunKey, run::Wait),
    /// A call's answer comes to a run.
    Answer(RunKey, run::Wait, bool),
    /// A run's time is up.
    Kill(RunKey),
    /// Environments of a function may have been idle for too long.
    Idle(u32),
    /// A dependency asked to be woken.
    Dependency(u32),
    /// A part asked to be woken.
    Part(u32, u64),
    /// A message comes to a part.
    Deliver(FlightKey),
    /// The recursion stop refused what a part wanted.
    Stopped(NodeNo, u64),
    /// The store's group is durable.
    Durable(u32),
    /// A fault begins (`true`) or ends.
    Fault(u32, bool),
    /// A flood's next request.
    Flood(u32),
    /// A request that was put off comes.
    Late(u32),
    /// The lane is opened again, unless it is another's turn by now.
    Reopen(u32),
    /// A run on a poisoned event ends the process.
    Poisoned(RunKey),
}

/// A message on its way to a part.
#[derive(Debug)]
struct Flight {
    to: NodeNo,
    message: Message,
    /// The part that sent it. `None`: a function, or it goes to dead letters.
    from: Option<NodeNo>,
}

/// Who is told what came of a dependency's call.
#[derive(Debug, Clone, Copy)]
struct Asker {
    run: RunKey,
    wait: run::Wait,
    since: Time,
}

/// The world. See the module's text.
#[derive(Debug)]
pub(crate) struct World<'p> {
    plan: &'p Plan,
    now: Time,
    end: Time,
    agenda: Agenda<Happening>,
    engine: Engine,
    effects: Vec<Effect>,
    /// An empty vector with room.
    spare: Vec<Effect>,
    /// Effects are being done further up.
    draining: bool,
    callers: SlotMap<CallerKey, Caller>,
    requests: SlotMap<RequestKey, Request>,
    runs: SlotMap<RunKey, Run>,
    running: invoke::Running,
    environments: Environments,
    gateway: Option<Gateway>,
    dependencies: Vec<Dependency>,
    calls: SlotMap<CallKey, Asker>,
    answers: dependency::Effects,
    parts: Vec<Box<dyn Part>>,
    asks: Vec<Ask>,
    flights: SlotMap<FlightKey, Flight>,
    /// What a part has just not taken, and why: until its sender hears of it.
    refused: Vec<(Message, &'static str)>,
    senders: Senders,
    store: Store,
    random: Random,
    next_message: u64,
    happenings_max: u64,
    seed: u64,
    /// Counts the engines that were made.
    generation: u32,
    faults: Option<Box<Faulty>>,
    tally: Tally,
    /// When the next look is due.
    look_at: Time,
    /// Who runs real functions.
    guests: Option<&'p mut (dyn Guests + 'p)>,
}

/// What a run of the world is told besides the plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setting {
    pub seed: u64,
    /// Factor of the stated traffic.
    pub load: f64,
    /// Happenings after which a run ends, so that it ends at all.
    pub happenings_max: u64,
}

/// Happenings of one run where nothing else is said: then it ends and says so.
pub(crate) const HAPPENINGS_MAX: u64 = 2_000_000_000;

/// The engine's invariants, in words: `flyball_core::invariant`.
pub(crate) const INVARIANTS: [&str; 10] = [
    "I1 running never exceeds a cap",
    "I2 counters are what they count",
    "I3 nothing that could start waits",
    "I4 an accepted event is in one place",
    "I5 nothing is lost",
    "I6 an invocation is of one tenant",
    "I7 what waits is counted, within its limits",
    "I10 suspects run one at a time",
    "I11 what is begun ahead is little",
    "I12 who is overtaken waits for a turn that is taken",
];

/// How often a run asks whether it is to go on, happenings.
const ASKED_EVERY: u64 = 16_384;

impl<'p> World<'p> {
    pub(crate) fn new(plan: &'p Plan, setting: Setting) -> Result<World<'p>, crate::plan::Problem> {
        let seed = setting.seed;
        let lane = Random::of(seed, "lane").bits();
        let settings = Settings { lane, incarnation: 1, process: 1, seed: lane };
        let dependencies = plan
            .dependencies
            .iter()
            .map(|(name, stated)| Dependency::new(stated, Random::of(seed, &format!("dependency {name}"))))
            .collect();
        let mut world = World {
            plan,
            now: BEGINNING,
            end: BEGINNING.after(plan.duration),
            agenda: Agenda::new(),
            engine: Engine::new(plan.application.clone(), settings),
            effects: Vec::new(),
            spare: Vec::new(),
            draining: false,
            callers: SlotMap::with_key(),
            requests: SlotMap::with_key(),
            runs: SlotMap::with_key(),
            running: invoke::Running::default(),
            environments: Environments::new(plan, seed),
            gateway: plan.gateway.map(Gateway::new),
            dependencies,
            calls: SlotMap::with_key(),
            answers: dependency::Effects::default(),
            parts: plan.nodes.iter().map(|node| node.part()).collect(),
            asks: Vec::new(),
            flights: SlotMap::with_key(),
            refused: Vec::new(),
            senders: Senders::new(plan, setting)?,
            store: Store::new(plan, seed),
            random: Random::of(seed, "runs"),
            next_message: 0,
            happenings_max: setting.happenings_max,
            seed,
            generation: 0,
            faults: None,
            tally: Tally::new(plan),
            look_at: BEGINNING.after(looks::apart(plan)),
            guests: None,
        };
        world.open();
        Ok(world)
    }

    /// With somebody who runs the functions that are not modelled.
    pub(crate) fn with_guests(self, guests: &'p mut (dyn Guests + 'p)) -> World<'p> {
        World { guests: Some(guests), ..self }
    }

    /// Tenants are made known, and everything that comes by itself is put down.
    fn open(&mut self) {
        for tenant in self.tenants() {
            self.step(Input::SetTenant(tenant));
        }
        self.step(Input::Opened);
        self.open_environments();
        for part in (0..).map(NodeNo).take(self.parts.len()) {
            let mut asks = std::mem::take(&mut self.asks);
            if let Some(begins) = self.parts.get_mut(part.0 as usize) {
                begins.begin(self.now, &mut asks);
            }
            self.asks = asks;
            self.answer_asks(part);
        }
        self.begin_sources();
    }

    fn tenants(&self) -> impl Iterator<Item = Tenant> + use<'p> {
        let plan = self.plan;
        plan.tenants.iter().zip(1..).map(move |(name, number)| {
            let limits = match plan.platform {
                Platform::Flyball => plan.application.limits_of(name).clone(),
                Platform::Aws => plan.application.tenant_defaults.clone(),
            };
            Tenant { id: TenantId(number), name: name.clone(), limits, enabled: true }
        })
    }

    /// Runs until the end, until `happenings_max`, or until `halt` says so (it is asked now and then).
    pub(crate) fn run(mut self, halt: &mut dyn FnMut(Time) -> bool) -> Tally {
        while self.advance() {
            self.tally.happenings += 1;
            if !self.tally.happenings.is_multiple_of(ASKED_EVERY) {
                continue;
            }
            if halt(self.now) {
                self.tally.ended = Ended::Interrupted;
                break;
            }
            if self.tally.happenings >= self.happenings_max {
                self.tally.ended = Ended::EventsMax;
                break;
            }
            if self.crowded() {
                self.tally.ended = Ended::WaitingMax;
                break;
            }
        }
        self.finish()
    }

    /// What is due next happens. `false`: nothing is, before the end.
    fn advance(&mut self) -> bool {
        let deadline = self.deadline();
        let next = match (self.agenda.next_at(), deadline) {
            (Some(a), Some(b)) => a.min(b),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => return false,
        };
        if next > self.end {
            self.now = self.end;
            return false;
        }
        if next >= self.look_at {
            self.look(next);
        }
        self.now = self.now.max(next);
        // What runs end with goes before what the engine does about them at the same time.
        match self.agenda.take(next) {
            Some((_, what)) => self.happen(what),
            None => self.step(Input::Tick),
        }
        true
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrival(source) => self.arrival(source),
            Happening::User(source) => self.user(source),
            Happening::Patience(source, whose) => self.patience(source, whose),
            Happening::Retry(request) => self.attempt(request),
            Happening::Run(run, wait) => self.run_woken(run, wait),
            Happening::Answer(run, wait, ok) => self.call_answered(run, wait, ok),
            Happening::Kill(run) => self.kill(run),
            Happening::Idle(function) => self.idle(function),
            Happening::Dependency(which) => self.dependency_woken(DependencyNo(which)),
            Happening::Part(which, token) => self.part_woken(NodeNo(which), token),
            Happening::Deliver(flight) => self.landed(flight),
            Happening::Stopped(part, token) => {
                self.tell_part(part, token, Verdict::Failed(FailureKind::HopLimit));
            }
            Happening::Durable(generation) => self.durable(generation),
            Happening::Fault(number, begins) => self.fault(number, begins),
            Happening::Flood(number) => self.flood(number),
            Happening::Late(number) => self.late(number),
            Happening::Reopen(generation) => self.reopen(generation),
            Happening::Poisoned(run) => self.poisoned(run),
        }
    }

    fn after(&mut self, span: Span, what: Happening) {
        self.agenda.put(self.now.after(span), what);
    }

    fn part_woken(&mut self, which: NodeNo, token: u64) {
        let now = self.now;
        let mut asks = std::mem::take(&mut self.asks);
        if let Some(part) = self.parts.get_mut(which.0 as usize) {
            part.wake(now, token, &mut asks);
        }
        self.asks = asks;
        self.answer_asks(which);
    }

    /// A message comes to a part.
    fn deliver(&mut self, to: NodeNo, message: Message) {
        let now = self.now;
        self.tally.node_in(now, to, message.bytes);
        let mut asks = std::mem::take(&mut self.asks);
        if let Some(part) = self.parts.get_mut(to.0 as usize) {
            part.arrive(now, message, &mut asks);
        }
        self.asks = asks;
        self.answer_asks(to);
    }

    fn landed(&mut self, flight: FlightKey) {
        if let Some(Flight { to, message, from }) = self.flights.remove(flight) {
            self.send_on(from, to, message);
        }
    }

    /// A message comes to a part from another, or from without.
    fn send_on(&mut self, from: Option<NodeNo>, to: NodeNo, message: Message) {
        let refused = self.refused.len();
        self.deliver(to, message);
        // A part hears what was not taken of it, and tries again by its own rules. What comes from without,
        // or from a function, is lost.
        for (message, why) in self.refused.split_off(refused) {
            match from {
                Some(from) => self.not_taken(from, to, message),
                None => self.tally.dropped(self.now, to, &message, why),
            }
        }
    }

    fn not_taken(&mut self, from: NodeNo, by: NodeNo, message: Message) {
        let now = self.now;
        let mut asks = std::mem::take(&mut self.asks);
        if let Some(part) = self.parts.get_mut(from.0 as usize) {
            part.refused(now, by, message, &mut asks);
        }
        self.asks = asks;
        self.answer_asks(from);
    }

    /// Does what a part asked for. What it asks meanwhile is done in its turn.
    fn answer_asks(&mut self, part: NodeNo) {
        let asks = std::mem::take(&mut self.asks);
        for ask in asks {
            match ask {
                Ask::Wake { at, token } => self.agenda.put(at.max(self.now), Happening::Part(part.0, token)),
                Ask::Invoke { function, batch, token } => self.invoke_for(part, function, batch, token),
                Ask::Deliver { to, message, delay } => self.dispatch(Some(part), to, message, delay),
                Ask::Dead { message, to, why } => {
                    self.tally.dead(self.now, part, &message, why);
                    if let Some(to) = to {
                        let flight = self.flights.insert(Flight { to, message, from: None });
                        self.after(Span::ZERO, Happening::Deliver(flight));
                    }
                }
                Ask::Dropped { message, why } => self.tally.dropped(self.now, part, &message, why),
                Ask::Refused { message, why } => self.refused.push((message, why)),
                Ask::Done { message } => self.tally.node_done(self.now, part, &message),
            }
        }
        let (waiting, in_flight) = match self.parts.get(part.0 as usize) {
            Some(part) => (part.waiting(), part.in_flight()),
            None => return,
        };
        self.tally.backlog(self.now, part, waiting, in_flight);
    }

    fn message_id(&mut self) -> u64 {
        self.next_message += 1;
        self.next_message
    }

    /// How much is on the agenda: for a limit on it.
    fn crowded(&self) -> bool {
        self.agenda.len() > AGENDA_MAX
    }

    fn finish(mut self) -> Tally {
        self.real_over();
        self.tally.finish(self.now, &self.engine, &self.parts, &self.dependencies, &self.store);
        self.count_open();
        self.tally
    }
}

/// Happenings that may be ahead at once; past it the simulation ends and says that it grew without bound.
pub(crate) const AGENDA_MAX: usize = 50_000_000;

#[cfg(test)]
mod tests;
