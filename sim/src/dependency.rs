//! A database or service under load: a state machine that is told the time.
//!
//! - [`Dependency`]: what is asked, in work, waiting and answered. - `work`: how concurrency slows what is in work.
//! - `connections`: who holds how many. - `keys`: which calls were made before.
//!
//! How work goes: each call has its work, drawn when it is asked, in microseconds of a server that has nothing else
//! to do. All calls in work go at one speed, which follows from how many they are:
//! - `servers`, not shared: so many are in work, each at full speed, and the others wait in their order.
//! - `servers`, shared: all are in work; `n` calls on `c` servers go at `c / n` of full speed where `n` is more.
//! - `growth` divides the speed by its factor for `n`, in both cases.
//!
//! So M/M/c, M/M/c/c and M/G/1 with processor sharing are exact, and an arrival or a departure takes the time of a
//! look-up among the calls in work.

mod connections;
mod keys;
#[cfg(test)]
mod queueing;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, VecDeque};

use flyball_app::workload;
use flyball_core::{Span, Time};

pub use self::{connections::EnvironmentNo, keys::KEYS_MAX};
use self::{
    connections::{Connection, Connections},
    keys::Keys,
    work::Work,
};
use crate::{lasting::Sampler, random::Random};

/// A call's number: the asker's own, unlike that of any other call of the same dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNo(pub u64);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// Its number.
    pub call: CallNo,
    /// On whose connections. `None`: the call opens one for its own time.
    pub environment: Option<EnvironmentNo>,
    /// A later call with the same key is answered without work.
    pub key: Option<u64>,
}

/// What a call gets at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is in work; its answer comes later.
    Begun,
    /// It waits for a server; its answer comes later.
    Waiting,
    /// It is over.
    Answered(Answer),
    /// It is over: it was not taken on.
    Refused(Refused),
}

/// Why something was not taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// All servers are busy, and as many wait as may.
    Full,
    /// There are as many connections as may be.
    NoConnection,
    /// It is out of order.
    OutOfOrder,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// In good order.
    Done,
    /// In good order, and without work: its key was known.
    Duplicate,
    /// By an error.
    Failed,
    /// The dependency broke it off: its statement timeout.
    BrokenOff,
}

/// What a dependency wants of the world: empty it after each call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Calls that are over, in the order in which they ended.
    pub told: Vec<(CallNo, Answer)>,
    /// Calls whose work is over in good order, whoever waits for them; only where [`Dependency::report_work`] asks.
    pub worked: Vec<CallNo>,
    /// To be woken then. There is no taking back; being woken for nothing does no harm.
    pub wake: Option<Time>,
}

/// How often what happened. Of each call that was asked exactly one of `refused_full`, `refused_connection`,
/// `refused_out_of_order`, `duplicates`, `done`, `failed`, `broken_off` and `cancelled` is counted once it is over,
/// orphans included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls.
    pub asked: u64,
    /// Calls refused because of `waiting_max`.
    pub refused_full: u64,
    /// Calls refused because it was out of order.
    pub refused_out_of_order: u64,
    /// Calls refused because of `connections_max`.
    pub refused_connection: u64,
    /// Environments that got no connections.
    pub refused_environments: u64,
    /// Calls answered without work.
    pub duplicates: u64,
    /// Calls whose work is over in good order.
    pub done: u64,
    /// Calls whose work ended by an error.
    pub failed: u64,
    /// Calls that met the statement timeout.
    pub broken_off: u64,
    /// Calls whose work ended with their caller.
    pub cancelled: u64,
    /// Calls whose work went on though their caller was gone.
    pub orphans: u64,
    /// Work that was done for nobody, in microseconds of a server that has nothing else to do.
    pub orphaned_micros: u64,
}

/// What is wrong with a dependency beyond what was stated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disorder {
    /// Calls that begin now take so many times as long.
    pub factor: f64,
    /// This share of calls fails, 0 to 1.
    pub failing: f64,
    /// All calls are refused.
    pub refusing: bool,
}

impl Default for Disorder {
    /// Nothing is wrong.
    fn default() -> Disorder {
        Disorder { factor: 1.0, failing: 0.0, refusing: false }
    }
}

/// A database or service.
#[derive(Debug, Clone)]
pub struct Dependency {
    service: Sampler,
    servers: Option<u32>,
    sharing: bool,
    waiting_max: Option<u32>,
    statement_timeout: Option<Span>,
    cancels: bool,
    answers_at_start: bool,
    error_rate: f64,
    random: Random,
    calls: BTreeMap<CallNo, Job>,
    work: Work,
    /// In their order; some may be over.
    queue: VecDeque<CallNo>,
    waiting: u32,
    /// When calls are broken off, in the order of time; some may be over.
    deadlines: VecDeque<(Time, CallNo)>,
    orphans: u32,
    connections: Connections,
    keys: Keys,
    counts: Counts,
    /// The earliest moment at which it will be woken.
    armed: Option<Time>,
    disorder: Disorder,
    reports_work: bool,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    stage: Stage,
    /// Microseconds.
    work: f64,
    caller: Caller,
    connection: Connection,
    key: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Waiting,
    /// Until the clock of work says so.
    InWork(work::Mark),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Caller {
    Waits,
    Answered,
    Gone,
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Over,
    BrokenOff,
    Cancelled,
}

impl Dependency {
    /// As stated, with nothing to do.
    pub fn new(stated: &workload::Dependency, random: Random) -> Dependency {
        let servers = stated.servers.map(|servers| servers.max(1));
        Dependency {
            service: Sampler::new(&stated.service),
            servers,
            sharing: stated.sharing,
            waiting_max: stated.waiting_max,
            statement_timeout: stated.statement_timeout,
            cancels: stated.cancels,
            answers_at_start: stated.answers_at_start,
            error_rate: stated.error_rate,
            random,
            calls: BTreeMap::new(),
            work: Work::new(if stated.sharing { servers } else { None }, &stated.growth),
            queue: VecDeque::new(),
            waiting: 0,
            deadlines: VecDeque::new(),
            orphans: 0,
            connections: Connections::new(stated.connections_max, stated.pool),
            keys: Keys::new(KEYS_MAX),
            counts: Counts::default(),
            armed: None,
            disorder: Disorder::default(),
            reports_work: false,
        }
    }

    /// Something is wrong with it from now on, or right again.
    pub fn set_disorder(&mut self, disorder: Disorder) {
        self.disorder = disorder;
    }

    /// From now on [`Effects::worked`] says which calls' work is over.
    pub fn report_work(&mut self) {
        self.reports_work = true;
    }

    /// An environment comes to life and takes its connections. Its number is never used again.
    ///
    /// # Errors
    /// Where there are not as many left: it then has none, and each of its calls tries again to get one.
    pub fn connect(&mut self, environment: EnvironmentNo) -> Result<(), Refused> {
        let taken = self.connections.connect(environment);
        self.counts.refused_environments += u64::from(taken.is_err());
        taken
    }

    /// An environment is gone. A connection on which work goes on stays until that is over.
    pub fn disconnect(&mut self, environment: EnvironmentNo) {
        self.connections.disconnect(environment);
    }

    /// A call comes. What it is told later comes by [`Effects::told`], unless its caller is [gone](Self::gone) before.
    pub fn call(&mut self, now: Time, asking: Asking, effects: &mut Effects) -> Asked {
        self.work.advance(now);
        self.counts.asked += 1;
        if asking.key.is_some_and(|key| self.keys.knows(key)) {
            self.counts.duplicates += 1;
            return Asked::Answered(Answer::Duplicate);
        }
        if self.disorder.refusing {
            self.counts.refused_out_of_order += 1;
            return Asked::Refused(Refused::OutOfOrder);
        }
        if self.is_full() {
            self.counts.refused_full += 1;
            return Asked::Refused(Refused::Full);
        }
        let Ok(connection) = self.connections.take(asking.environment) else {
            self.counts.refused_connection += 1;
            return Asked::Refused(Refused::NoConnection);
        };
        #[expect(clippy::cast_precision_loss, reason = "a year of microseconds at most")]
        let work = self.service.draw(&mut self.random).0 as f64 * self.disorder.factor;
        let job = Job { stage: Stage::Waiting, work, caller: Caller::Waits, connection, key: asking.key };
        self.calls.insert(asking.call, job);
        if let Some(key) = asking.key {
            self.keys.remember(key);
        }
        if let Some(timeout) = self.statement_timeout {
            self.deadlines.push_back((now.after(timeout), asking.call));
        }
        let asked = if self.has_server() {
            match self.begin(asking.call) {
                Some(answer) => Asked::Answered(answer),
                None => Asked::Begun,
            }
        } else {
            self.waiting += 1;
            self.queue.push_back(asking.call);
            Asked::Waiting
        };
        self.arm(now, effects);
        asked
    }

    /// Time has come as asked for.
    pub fn wake(&mut self, now: Time, effects: &mut Effects) {
        if self.armed.is_some_and(|at| at <= now) {
            self.armed = None;
        }
        self.work.advance(now);
        while let Some(call) = self.work.ended() {
            self.end(call, End::Over, effects);
        }
        while let Some(&(at, call)) = self.deadlines.front() {
            let is_over = !self.calls.contains_key(&call);
            if !is_over && at > now {
                break;
            }
            self.deadlines.pop_front();
            if !is_over {
                self.end(call, End::BrokenOff, effects);
            }
        }
        self.begin_waiting(effects);
        self.arm(now, effects);
    }

    /// The caller does not wait any more: it has timed out, or died. It is told nothing. The work ends with it where
    /// the dependency notices; else it goes on, and a call that waits is worked on in its turn.
    pub fn gone(&mut self, now: Time, call: CallNo, effects: &mut Effects) {
        self.work.advance(now);
        let Some(job) = self.calls.get_mut(&call) else {
            return;
        };
        if job.caller != Caller::Waits {
            return;
        }
        job.caller = Caller::Gone;
        self.orphans += 1;
        if self.cancels {
            self.end(call, End::Cancelled, effects);
            self.begin_waiting(effects);
        } else {
            self.counts.orphans += 1;
            job.connection = self.connections.orphan(job.connection);
        }
        self.arm(now, effects);
    }

    /// Calls in work.
    pub const fn in_work(&self) -> u32 {
        self.work.count()
    }

    /// Calls that wait for a server.
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Calls, in work or waiting, whose caller is gone.
    pub const fn orphans(&self) -> u32 {
        self.orphans
    }

    /// Connections that are held: by living environments, idle ones included, and by work that goes on.
    pub const fn connections(&self) -> u32 {
        self.connections.held()
    }

    /// How often what happened.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn has_server(&self) -> bool {
        self.sharing || self.servers.is_none_or(|servers| self.work.count() < servers)
    }

    /// As many as may be are in work beyond the servers, or waiting.
    fn is_full(&self) -> bool {
        let (Some(servers), Some(most)) = (self.servers, self.waiting_max) else {
            return false;
        };
        u64::from(self.work.count()) + u64::from(self.waiting) >= u64::from(servers) + u64::from(most)
    }

    fn begin(&mut self, call: CallNo) -> Option<Answer> {
        let job = self.calls.get_mut(&call)?;
        job.stage = Stage::InWork(self.work.begin(call, job.work));
        if !self.answers_at_start || job.caller != Caller::Waits {
            return None;
        }
        job.caller = Caller::Answered;
        if self.random.chance(self.error_rate.max(self.disorder.failing)) {
            // What fails at its start has no work.
            self.finish(call, End::Over, true);
            return Some(Answer::Failed);
        }
        Some(Answer::Done)
    }

    fn begin_waiting(&mut self, effects: &mut Effects) {
        while self.has_server() {
            let Some(call) = self.queue.pop_front() else {
                break;
            };
            if self.calls.contains_key(&call) {
                self.waiting -= 1;
                if let Some(answer) = self.begin(call) {
                    effects.told.push((call, answer));
                }
            }
        }
    }

    /// A job is over: counts it, and tells its caller where that waits.
    fn end(&mut self, call: CallNo, how: End, effects: &mut Effects) {
        let Some(job) = self.calls.get(&call) else {
            return;
        };
        let waits = job.caller == Caller::Waits;
        // What was answered at its start has failed then or never.
        let fails = self.error_rate.max(self.disorder.failing);
        let errs = how == End::Over && job.caller != Caller::Answered && self.random.chance(fails);
        self.finish(call, how, errs);
        if self.reports_work && how == End::Over && !errs {
            effects.worked.push(call);
        }
        if waits {
            let answer = match how {
                End::Over if errs => Answer::Failed,
                End::Over => Answer::Done,
                End::BrokenOff | End::Cancelled => Answer::BrokenOff,
            };
            effects.told.push((call, answer));
        }
    }

    fn finish(&mut self, call: CallNo, how: End, errs: bool) {
        let Some(job) = self.calls.remove(&call) else {
            return;
        };
        match job.stage {
            Stage::Waiting => self.waiting -= 1,
            Stage::InWork(mark) => self.work.end(call, mark),
        }
        self.connections.give_back(job.connection);
        if job.caller == Caller::Gone {
            self.orphans -= 1;
            if how != End::Cancelled {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a year at most")]
                let micros = job.work as u64;
                self.counts.orphaned_micros = self.counts.orphaned_micros.saturating_add(micros);
            }
        }
        let count = match how {
            End::Over if errs => &mut self.counts.failed,
            End::Over => &mut self.counts.done,
            End::BrokenOff => &mut self.counts.broken_off,
            End::Cancelled => &mut self.counts.cancelled,
        };
        *count += 1;
        // Without an effect a key is free again.
        if let Some(key) = job.key.filter(|_| errs || how != End::Over) {
            self.keys.forget(key);
        }
    }

    /// Asks to be woken when the next thing is due, unless it will be woken before.
    fn arm(&mut self, now: Time, effects: &mut Effects) {
        self.tidy();
        let deadline = self.deadlines.front().map(|(at, _)| *at);
        let due = self.work.next_end(now).into_iter().chain(deadline).min().map(|at| at.max(now));
        if let Some(at) = due.filter(|at| self.armed.is_none_or(|armed| *at < armed)) {
            self.armed = Some(at);
            effects.wake = Some(effects.wake.map_or(at, |other| other.min(at)));
        }
    }

    /// Forgets what is over in the lists, so that they stay as long as what is not over.
    fn tidy(&mut self) {
        let most = 64 + 2 * self.calls.len();
        if self.deadlines.len() > most {
            self.deadlines.retain(|(_, call)| self.calls.contains_key(call));
        }
        if self.queue.len() > 64 + 2 * self.waiting as usize {
            self.queue.retain(|call| self.calls.contains_key(call));
        }
    }
}
