//! Step Functions: executions of a state machine, as steps one after the other.
//!
//! What is modelled of a definition is its tasks in their order: a choice runs all its ways (with the chance
//! that is stated), a `Catch` goes on with the next step.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use flyball_app::{
    design,
    design::Task,
    profile::{Limit, Profile},
};
use flyball_core::{Span, Time};

use super::{
    rate::Bucket,
    rows,
    slots::{Key, Slots},
};
use crate::{
    message::{Ask, FunctionNo, Message, NodeNo, Part, Verdict},
    used::{CameBack, Meter, PartLimit, Used},
};

/// The numbers of a state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MachinePolicy {
    /// Its steps.
    pub steps: Vec<StepPolicy>,
    /// Executions that may be started in a second; more are refused. Row `machine.starts_per_s`, of express
    /// machines `machine.express_starts_per_s`: of the account; with several machines each has all of it.
    pub starts_per_s: u32,
    /// Executions that may be started at once. AWS Step Functions developer guide, service-quotas: 1,300, of
    /// express machines 6,000.
    pub starts_burst: u32,
    /// Its type is `EXPRESS`.
    pub express: bool,
    /// How long an execution may take. `TimeoutSeconds`, else for express machines row
    /// `machine.express_timeout_max`. `None`: the year of a standard machine, that no simulation reaches.
    pub timeout: Option<Span>,
    /// Executions have a name that follows from their event: a second start for it is answered and starts
    /// nothing. No design says so; assumption: they have none.
    pub named: bool,
    /// Entries in an execution's history; one that needs more fails. Row `machine.history_max`. `None`: express
    /// machines have none.
    pub history_max: Option<u32>,
    /// Bytes that an execution is started with; more is refused. Row `machine.payload_bytes_max`. What its states
    /// hand on to one another is not modelled.
    pub payload_bytes_max: u64,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPolicy {
    /// What it does.
    pub act: Act,
    /// How likely it is done at all, 0 to 1: 1 where no choice is around it, or nothing is stated.
    pub chance: f64,
    /// Done once for each item, so many at once. `None`: once.
    pub map: Option<u32>,
    /// Its items are executions of their own, each with a history of its own.
    pub distributed: bool,
    /// The task's own timeout. `TimeoutSeconds`. `None`: row `machine.task_timeout_default`, three years.
    pub timeout: Option<Span>,
    /// What is tried again.
    pub retriers: Vec<Retrier>,
    /// A failure is caught.
    pub catches: bool,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Invokes a function and waits for its answer.
    Invoke(FunctionNo),
    /// Hands a copy to a queue, topic, bus or another machine, and goes on.
    Deliver(NodeNo),
    /// Waits.
    Wait(Span),
}

/// A retrier: errors that it matches are tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retrier {
    /// It matches throttles of Lambda.
    pub throttles: bool,
    /// It matches errors of the function. Names of a function's own errors are not modelled: they match.
    pub failures: bool,
    /// It matches timeouts.
    pub timeouts: bool,
    /// Retries. `MaxAttempts`, else row `machine.retries_default`.
    pub retries_max: u32,
    /// The wait before the first. `IntervalSeconds`, else row `machine.retry_wait_default`.
    pub interval: Span,
    /// The wait's growth. `BackoffRate`, else row `machine.retry_backoff_default`.
    pub backoff: f64,
    /// The longest wait. `MaxDelaySeconds`; `None`: no such end.
    pub delay_max: Option<Span>,
}

impl MachinePolicy {
    /// What the design states, and AWS's defaults.
    pub fn of(profile: &Profile, machine: &design::Machine, steps: Vec<StepPolicy>) -> MachinePolicy {
        let express = machine.express.stated() == Some(&true);
        let (starts, or, starts_burst) = if express {
            (Limit::MachineExpressStartsPerS, 6_000, 6_000)
        } else {
            (Limit::MachineStartsPerS, 300, 1_300)
        };
        let longest = rows::seconds(profile, Limit::MachineExpressTimeoutMax, 300);
        let stated = machine.timeout_s.stated().and_then(|s| u64::try_from(*s).ok()).map(Span::from_secs);
        MachinePolicy {
            steps,
            starts_per_s: rows::count(profile, starts, or),
            starts_burst,
            express,
            timeout: if express { Some(stated.unwrap_or(longest).min(longest)) } else { stated },
            named: false,
            history_max: (!express).then(|| rows::count(profile, Limit::MachineHistoryMax, 25_000)),
            payload_bytes_max: rows::number(profile, Limit::MachinePayloadBytesMax, 262_144),
        }
    }
}

impl StepPolicy {
    /// A task as the design states it.
    pub fn of(profile: &Profile, task: &Task, act: Act) -> StepPolicy {
        let most = if task.distributed {
            rows::count(profile, Limit::MachineDistributedMapMax, 10_000)
        } else {
            rows::count(profile, Limit::MachineInlineMapMax, 40)
        };
        // A bound of 0 is none.
        let at_once = |stated: &design::Setting<i64>| match rows::stated_count(stated, most) {
            0 => most,
            stated => stated.min(most),
        };
        StepPolicy {
            act,
            chance: 1.0,
            map: task.map_concurrency.as_ref().map(at_once),
            distributed: task.distributed,
            timeout: task.timeout_s.stated().and_then(|s| u64::try_from(*s).ok()).map(Span::from_secs),
            retriers: task.retries.iter().map(|retry| Retrier::of(profile, retry)).collect(),
            catches: task.catches,
        }
    }
}

impl StepPolicy {
    /// Each item is an execution of its own.
    fn items_are_executions(&self) -> bool {
        self.distributed && self.map.is_some()
    }

    /// Entries in the history when it begins, with all of what is done at once then. `done`: it is done at all.
    fn entries(&self, done: bool, items: u32) -> u32 {
        let alone = self.items_are_executions();
        match (self.map, self.act) {
            _ if !done => 0,
            (None, Act::Deliver(_)) => entries::STATE + entries::TRY,
            (None, Act::Wait(_)) => entries::STATE,
            (None, Act::Invoke(_)) => 0,
            (Some(_), Act::Deliver(_)) if !alone => {
                let each = entries::ITEM + entries::STATE + entries::TRY;
                entries::MAP.saturating_add(each.saturating_mul(items))
            }
            (Some(_), _) => entries::MAP,
        }
    }

    /// Entries of one task or item, with its first try.
    fn entries_of_item(&self) -> u32 {
        match self.map {
            Some(_) if self.distributed => 0,
            Some(_) => entries::ITEM + entries::STATE + entries::TRY,
            None => entries::STATE + entries::TRY,
        }
    }
}

impl Retrier {
    fn of(profile: &Profile, retry: &design::Retry) -> Retrier {
        let names = |some: &[&str]| {
            let all = ["States.ALL"];
            retry.errors.iter().any(|error| some.iter().chain(&all).any(|name| error.contains(name)))
        };
        let own = |error: &String| !error.starts_with("States.") && !error.starts_with("Lambda.");
        let retries = rows::count(profile, Limit::MachineRetriesDefault, 3);
        let interval = rows::seconds(profile, Limit::MachineRetryWaitDefault, 1);
        let backoff = profile.value(Limit::MachineRetryBackoffDefault).unwrap_or(2.0);
        Retrier {
            throttles: names(&["States.TaskFailed", "TooManyRequests"]),
            failures: names(&["States.TaskFailed"]) || retry.errors.iter().any(own),
            timeouts: names(&["States.Timeout", "States.TaskFailed"]),
            retries_max: rows::stated_count(&retry.attempts_max, retries),
            interval: rows::stated_seconds(&retry.interval_s, interval),
            backoff: retry.backoff.stated().copied().unwrap_or(backoff).max(1.0),
            delay_max: retry.delay_max_s.stated().and_then(|s| u64::try_from(*s).ok()).map(Span::from_secs),
        }
    }

    fn matches(&self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Throttled => self.throttles,
            Trouble::Failed => self.failures,
            Trouble::TimedOut => self.timeouts,
        }
    }

    fn wait(&self, retries: u32) -> Span {
        let mut wait = self.interval.0 as f64;
        for _ in 0..retries.min(64) {
            wait *= self.backoff;
        }
        // A number that is too large becomes the largest.
        let wait = Span(wait as u64);
        self.delay_max.map_or(wait, |most| wait.min(most))
    }
}

/// Why a task is not over in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Throttled,
    Failed,
    TimedOut,
}

#[derive(Debug)]
struct Execution {
    message: Message,
    /// The step that it is at.
    at: usize,
    /// Items of the step that were not begun.
    left: u32,
    /// Items of the step that were, and are not over.
    running: u32,
    /// Entries in its history.
    history: u32,
}

/// One item of a step. A further try is another task.
#[derive(Debug, Clone)]
struct Doing {
    execution: Key,
    item: u32,
    tries: u16,
    /// Retries so far, by retrier.
    retries: Vec<u32>,
}

/// Entries in the history. Assumption: what executions are seen to have, of types that the API names
/// (GetExecutionHistory, HistoryEventType).
mod entries {
    /// The execution is started.
    pub(super) const START: u32 = 1;
    /// A state is entered and left.
    pub(super) const STATE: u32 = 2;
    /// A task is scheduled, is started, and ends, at each of its tries.
    pub(super) const TRY: u32 = 3;
    /// A map is entered, begins, ends and is left.
    pub(super) const MAP: u32 = 4;
    /// An item of it begins and ends.
    pub(super) const ITEM: u32 = 2;
}

/// What a token is for: its two highest bits.
const EXECUTION_ENDS: u64 = 0;
const TASK_ENDS: u64 = 1 << 62;
const TASK_BEGINS: u64 = 2 << 62;
const WAIT_ENDS: u64 = 3 << 62;

/// See the module's text.
#[derive(Debug)]
pub struct Machine {
    policy: MachinePolicy,
    starts: Bucket,
    started: Meter,
    /// Tasks that ended badly.
    troubles: CameBack,
    executions: Slots<Execution>,
    tasks: Slots<Doing>,
    /// Events that an execution was started for, where executions are named.
    names: BTreeSet<u64>,
}

impl Machine {
    /// A machine without executions.
    pub fn new(policy: MachinePolicy) -> Machine {
        let starts = Bucket::new(u64::from(policy.starts_per_s), u64::from(policy.starts_burst));
        let (executions, tasks) = (Slots::new(), Slots::new());
        let started = Meter::rate(policy.starts_per_s, policy.starts_burst);
        let (troubles, names) = (CameBack::default(), BTreeSet::new());
        Machine { policy, starts, started, troubles, executions, tasks, names }
    }

    /// Executions that are under way.
    pub fn executions(&self) -> u64 {
        self.executions.len()
    }

    /// So many entries more in its history. `false`: it had no room for them, and has failed. The last entry that
    /// there may be is that of its success: AWS Step Functions developer guide, bp-history-limit.
    fn record(&mut self, key: Key, entries: u32, asks: &mut Vec<Ask>) -> bool {
        let Some(execution) = self.executions.get_mut(key) else { return false };
        execution.history = execution.history.saturating_add(entries);
        if self.policy.history_max.is_none_or(|most| execution.history < most) {
            return true;
        }
        if let Some(Execution { message, .. }) = self.executions.take(key) {
            asks.push(Ask::Dropped { message, why: "history" });
        }
        false
    }

    /// The execution goes on with the step that it is at, or ends.
    fn go_on(&mut self, key: Key, now: Time, asks: &mut Vec<Ask>) {
        loop {
            let Some(execution) = self.executions.get_mut(key) else { return };
            let Some(step) = self.policy.steps.get(execution.at) else {
                if let Some(Execution { message, .. }) = self.executions.take(key) {
                    asks.push(Ask::Done { message });
                }
                return;
            };
            let place = execution.at as u64 + 1;
            // The upper 53 bits as a number from 0 to below 1.
            let draw = (execution.message.spread(place << 48) >> 11) as f64 / (1_u64 << 53) as f64;
            let items = if step.map.is_some() { execution.message.items } else { 1 };
            let (act, done) = (step.act, draw < step.chance && items > 0);
            let entries = step.entries(done, items);
            if !self.record(key, entries, asks) {
                return;
            }
            let Some(execution) = self.executions.get_mut(key) else { return };
            match act {
                _ if !done => {}
                Act::Wait(span) => {
                    asks.push(Ask::Wake { at: now.after(span), token: WAIT_ENDS | key });
                    return;
                }
                Act::Deliver(to) => {
                    for item in 0..u64::from(items) {
                        let copy = Message { hops: 0, ..execution.message.copy((place << 32) | item) };
                        asks.push(Ask::Deliver { to, message: copy, delay: Span::ZERO });
                    }
                }
                Act::Invoke(_) => {
                    (execution.left, execution.running) = (items, 0);
                    self.begin_items(key, now, asks);
                    return;
                }
            }
            execution.at += 1;
        }
    }

    fn begin_items(&mut self, key: Key, now: Time, asks: &mut Vec<Ask>) {
        loop {
            let Some(execution) = self.executions.get_mut(key) else { return };
            let Some(step) = self.policy.steps.get(execution.at) else { return };
            if execution.left == 0 || execution.running >= step.map.unwrap_or(1).max(1) {
                return;
            }
            execution.left -= 1;
            execution.running += 1;
            let (item, retries) = (execution.left, vec![0; step.retriers.len()]);
            let entries = step.entries_of_item();
            let task = self.tasks.put(Doing { execution: key, item, tries: 0, retries });
            if self.record(key, entries, asks) {
                self.invoke(task, now, asks);
            } else {
                self.tasks.take(task);
            }
        }
    }

    fn invoke(&mut self, task: Key, now: Time, asks: &mut Vec<Ask>) {
        let Some(doing) = self.tasks.get_mut(task) else { return };
        doing.tries = doing.tries.saturating_add(1);
        let (key, tries) = (doing.execution, doing.tries);
        let at = self.executions.get_mut(key).map_or(usize::MAX, |execution| execution.at);
        let alone = self.policy.steps.get(at).is_some_and(StepPolicy::items_are_executions);
        if tries > 1 && !alone && !self.record(key, entries::TRY, asks) {
            self.tasks.take(task);
            return;
        }
        let Some(doing) = self.tasks.get_mut(task) else { return };
        let Some(execution) = self.executions.get_mut(doing.execution) else {
            // It ended while this waited.
            self.tasks.take(task);
            return;
        };
        let Some(step) = self.policy.steps.get(execution.at) else { return };
        let Act::Invoke(function) = step.act else { return };
        let mut message = execution.message;
        if step.map.is_some() {
            message = message.copy((execution.at as u64 + 1) << 32 | u64::from(doing.item));
            message.items = 1;
        }
        // What counts a chain's invocations does not travel through a machine.
        let message = Message { hops: 0, receives: doing.tries, ..message };
        if let Some(timeout) = step.timeout {
            asks.push(Ask::Wake { at: now.after(timeout), token: TASK_ENDS | task });
        }
        asks.push(Ask::Invoke { function, batch: vec![message], token: task });
    }

    fn item_over(&mut self, key: Key, now: Time, asks: &mut Vec<Ask>) {
        let Some(execution) = self.executions.get_mut(key) else { return };
        execution.running = execution.running.saturating_sub(1);
        if execution.left == 0 && execution.running == 0 {
            execution.at += 1;
            self.go_on(key, now, asks);
        } else {
            self.begin_items(key, now, asks);
        }
    }

    /// A task ended badly: it is tried again, or caught, or ends the execution.
    fn trouble(&mut self, task: Key, trouble: Trouble, now: Time, asks: &mut Vec<Ask>) {
        let Some(mut doing) = self.tasks.take(task) else { return };
        let key = doing.execution;
        let Some(execution) = self.executions.get_mut(key) else { return };
        let Some(step) = self.policy.steps.get(execution.at) else { return };
        match trouble {
            Trouble::Throttled => self.troubles.throttled += 1,
            Trouble::Failed => self.troubles.failed += 1,
            Trouble::TimedOut => self.troubles.late += 1,
        }
        let matching =
            step.retriers.iter().zip(&mut doing.retries).find(|(retrier, _)| retrier.matches(trouble));
        if let Some((retrier, retries)) = matching
            && *retries < retrier.retries_max
        {
            let wait = retrier.wait(*retries);
            *retries += 1;
            let again = self.tasks.put(doing);
            asks.push(Ask::Wake { at: now.after(wait), token: TASK_BEGINS | again });
        } else if step.catches {
            self.item_over(key, now, asks);
        } else if let Some(Execution { message, .. }) = self.executions.take(key) {
            asks.push(Ask::Dropped { message, why: "attempts" });
        }
    }
}

impl Part for Machine {
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>) {
        if self.policy.named && self.names.contains(&message.root) {
            // It is answered with the execution that there is.
            asks.push(Ask::Done { message });
            return;
        }
        if u64::from(message.bytes) > self.policy.payload_bytes_max {
            asks.push(Ask::Refused { message, why: "bytes" });
            return;
        }
        if !self.starts.take(now, 1) {
            self.started.refuse(now);
            asks.push(Ask::Refused { message, why: "rate" });
            return;
        }
        self.started.took(now, 1);
        if self.policy.named {
            self.names.insert(message.root);
        }
        let key =
            self.executions.put(Execution { message, at: 0, left: 0, running: 0, history: entries::START });
        if let Some(timeout) = self.policy.timeout {
            asks.push(Ask::Wake { at: now.after(timeout), token: EXECUTION_ENDS | key });
        }
        self.go_on(key, now, asks);
    }

    fn wake(&mut self, now: Time, token: u64, asks: &mut Vec<Ask>) {
        let key = token & !WAIT_ENDS;
        match token & WAIT_ENDS {
            TASK_ENDS => self.trouble(key, Trouble::TimedOut, now, asks),
            TASK_BEGINS => self.invoke(key, now, asks),
            WAIT_ENDS => {
                if let Some(execution) = self.executions.get_mut(key) {
                    execution.at += 1;
                    self.go_on(key, now, asks);
                }
            }
            _ => {
                if let Some(Execution { message, .. }) = self.executions.take(key) {
                    asks.push(Ask::Dropped { message, why: "timeout" });
                }
            }
        }
    }

    fn answered(&mut self, now: Time, token: u64, verdict: Verdict, asks: &mut Vec<Ask>) {
        match verdict {
            Verdict::Done | Verdict::Partly(_) => {
                if let Some(doing) = self.tasks.take(token) {
                    self.item_over(doing.execution, now, asks);
                }
            }
            Verdict::Throttled(_) | Verdict::Refused(_) => self.trouble(token, Trouble::Throttled, now, asks),
            // A function's own timeout is an error of the function to the machine.
            Verdict::Failed(_) => self.trouble(token, Trouble::Failed, now, asks),
        }
    }

    fn waiting(&self) -> u64 {
        0
    }

    fn in_flight(&self) -> u64 {
        self.executions.len()
    }

    fn used(&self) -> Vec<Used> {
        vec![self.started.used(PartLimit::Intake)]
    }

    fn came_back(&self) -> CameBack {
        self.troubles
    }
}
