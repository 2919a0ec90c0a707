//! Functions as steps: what a run does, and when.

use flyball_app::workload::AddOf;
use flyball_core::{
    Body, EventResult, Failure, FailureKind, InvocationId, KvKey, Name, Outcome, Span, Start, TenantId, Time,
    Usage,
};

use super::{
    CallKey, CallerKey, Happening, RunKey, World,
    environment::Environment,
    invoke::{Messages, Who},
    real::Real,
    store::Did,
};
use crate::{
    dependency::EnvironmentNo,
    guests::GuestAnswer,
    message::{FunctionNo, Message, TenantNo, Verdict},
    plan::{
        Platform,
        program::{BlockNo, CallOp, Callee, EmitOp, EmitTo, OpAct},
    },
};

/// What a strand of a run waits for. What comes with another number comes too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub strand: u16,
    number: u32,
    what: Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Computing, or INIT.
    Time,
    /// A call's answer.
    Answer,
    /// The function's own patience with a call.
    Patience,
    /// The next try of a call.
    Retry,
}

/// A run of a function.
#[derive(Debug)]
pub(crate) struct Run {
    pub invocation: InvocationId,
    pub function: FunctionNo,
    pub tenant: TenantNo,
    pub messages: Messages,
    pub caller: Option<CallerKey>,
    start: Option<Box<Start>>,
    pub environment: Environment,
    pub init: Option<Span>,
    pub began: Time,
    /// It is killed then. The engine's own deadline does it on Flyball.
    kill_at: Time,
    kill_armed: bool,
    busy: Span,
    waited: Span,
    /// Items that failed, in their order.
    failed: Vec<usize>,
    strands: Vec<Strand>,
    emits: Vec<(usize, Emission)>,
    /// It is run, not modelled.
    pub real: Option<Box<Real>>,
    adds: Vec<(usize, Added)>,
    /// The engine that it was started by.
    pub generation: u32,
}

/// One more in a value, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Added {
    pub namespace: Name,
    pub key: String,
    pub value: u64,
    pub version: u64,
}

/// An event that leaves with the outcome, on Flyball.
#[derive(Debug, Clone)]
pub(crate) struct Emission {
    pub target: String,
    pub count: u32,
    pub bytes: u64,
    pub delay: Span,
}

/// One of the things that a run does side by side.
#[derive(Debug)]
struct Strand {
    frames: Vec<Frame>,
    /// Counts its waits.
    number: u32,
    parent: Option<u16>,
    /// Strands that it waits for.
    children: u16,
    call: Option<Calling>,
    over: bool,
}

/// Where in which block.
#[derive(Debug, Clone, Copy)]
struct Frame {
    block: BlockNo,
    at: u32,
    /// The item that it is about.
    item: Option<u32>,
    /// It is done again for each item after that.
    each: bool,
}

/// A call under way.
#[derive(Debug, Clone, Copy)]
struct Calling {
    block: BlockNo,
    at: u32,
    /// Calls that have ended, of `times`.
    done: u32,
    /// Tries of the one under way, after the first.
    retries: u32,
    asked: Time,
    call: Option<CallKey>,
}

/// What a strand does next.
enum Next {
    Go,
    Waits,
    Over,
}

impl World<'_> {
    pub(super) fn begin_run(
        &mut self,
        start: &Start,
        function: FunctionNo,
        tenant: TenantNo,
        messages: Messages,
        caller: Option<CallerKey>,
    ) {
        let Some(placed) = self.place(function) else { return };
        let Some(plan) = self.plan.functions.get(function.0 as usize) else { return };
        let began = self.now.after(placed.init.unwrap_or(Span::ZERO));
        let kill_at = match self.plan.platform {
            Platform::Aws => began.after(plan.timeout),
            Platform::Flyball => Time(u64::MAX),
        };
        let leaves = plan.program.leaves && self.plan.platform == Platform::Flyball;
        let run = Run {
            invocation: start.invocation,
            function,
            tenant,
            messages,
            caller,
            start: leaves.then(|| Box::new(start.clone())),
            environment: placed.environment,
            init: placed.init,
            began,
            kill_at,
            kill_armed: false,
            busy: Span::ZERO,
            waited: Span::ZERO,
            failed: Vec::new(),
            strands: Vec::new(),
            emits: Vec::new(),
            real: self.is_real(function).then(|| Real::new(start)),
            adds: Vec::new(),
            generation: self.generation,
        };
        let cold = placed.init.filter(|_| plan.reuse);
        self.tally.run_began(self.now, function, run.messages.as_slice().len(), cold);
        let key = self.runs.insert(run);
        self.running.insert(start.invocation, key);
        if self.faults.is_some()
            && let Some(run) = self.runs.get(key)
        {
            let messages = run.messages.as_slice().to_vec();
            self.poisonous(key, &messages);
        }
        let goes = began.after(placed.again);
        if goes > kill_at {
            self.agenda.put(kill_at, Happening::Kill(key));
        } else if self.is_real(function) {
            self.run_real(key, goes);
        } else if plan.program.plain {
            self.run_plain(key, goes);
        } else {
            self.run_steps(key, goes);
        }
    }

    /// There is nothing but computing: the end is known.
    fn run_plain(&mut self, key: RunKey, began: Time) {
        let Some(run) = self.runs.get_mut(key) else { return };
        let Some(plan) = self.plan.functions.get(run.function.0 as usize) else { return };
        let mut busy = 0_u64;
        for op in plan.program.first() {
            if let OpAct::Compute(sampler) = &op.act
                && (op.chance >= 1.0 || self.random.chance(op.chance))
            {
                busy = busy.saturating_add(sampler.draw(&mut self.random).0);
            }
        }
        run.busy = Span(busy);
        let ends = began.after(run.busy);
        if ends > run.kill_at {
            let at = run.kill_at;
            self.agenda.put(at, Happening::Kill(key));
        } else {
            let wait = Wait { strand: 0, number: 0, what: Waiting::Time };
            self.agenda.put(ends, Happening::Run(key, wait));
        }
    }

    /// It begins when its environment has.
    fn run_real(&mut self, key: RunKey, began: Time) {
        let Some(run) = self.runs.get_mut(key) else { return };
        run.strands.push(Strand::new(BlockNo(0), None));
        let wait = run.wait(0, Waiting::Time);
        self.agenda.put(began, Happening::Run(key, wait));
    }

    fn run_steps(&mut self, key: RunKey, began: Time) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(key) else { return };
        run.strands.push(Strand::new(BlockNo(0), None));
        if began > now {
            let wait = run.wait(0, Waiting::Time);
            self.agenda.put(began, Happening::Run(key, wait));
        } else {
            self.go_on(key, 0);
        }
    }

    pub(super) fn run_woken(&mut self, key: RunKey, wait: Wait) {
        let Some(run) = self.runs.get_mut(key) else { return };
        if run.strands.is_empty() {
            self.end_run(key, None);
            return;
        }
        if !run.waits_for(wait) {
            return;
        }
        if run.real.is_some() {
            self.real_woken(key, wait.what);
            return;
        }
        match wait.what {
            Waiting::Time => self.go_on(key, wait.strand),
            Waiting::Retry => self.call_again(key, wait.strand),
            Waiting::Patience => {
                self.give_up(key, wait.strand);
                self.call_ended(key, wait.strand, false);
            }
            Waiting::Answer => {}
        }
    }

    /// A run's time is up: its environment dies.
    pub(super) fn kill(&mut self, key: RunKey) {
        if self.runs.contains_key(key) {
            self.end_run(key, Some(Failure::new(FailureKind::Timeout, "")));
        }
    }

    /// A strand goes on until it waits or is over.
    fn go_on(&mut self, key: RunKey, strand: u16) {
        loop {
            match self.next(key, strand) {
                Next::Go => {}
                Next::Waits => return,
                Next::Over => {
                    let Some(run) = self.runs.get_mut(key) else { return };
                    let Some(parent) = run.over(strand) else {
                        self.end_run(key, None);
                        return;
                    };
                    match parent {
                        Some(parent) => return self.go_on(key, parent),
                        None => return,
                    }
                }
            }
        }
    }

    fn next(&mut self, key: RunKey, strand: u16) -> Next {
        let plans = &self.plan.functions;
        let Some(run) = self.runs.get_mut(key) else { return Next::Waits };
        let Some(plan) = plans.get(run.function.0 as usize) else { return Next::Waits };
        let items = run.messages.as_slice().iter().map(|message| message.items).sum::<u32>();
        let Some(state) = run.strands.get_mut(strand as usize) else { return Next::Waits };
        let Some(frame) = state.frames.last_mut() else { return Next::Over };
        let Some(op) = plan.program.op(frame.block, frame.at) else {
            match &mut frame.item {
                Some(item) if frame.each && *item + 1 < items => {
                    *item += 1;
                    frame.at = 0;
                }
                _ => {
                    state.frames.pop();
                }
            }
            return Next::Go;
        };
        let (block, at) = (frame.block, frame.at);
        frame.at += 1;
        if op.chance < 1.0 && !self.random.chance(op.chance) {
            return Next::Go;
        }
        match &op.act {
            OpAct::Compute(sampler) => {
                let lasts = sampler.draw(&mut self.random);
                run.busy = Span(run.busy.0.saturating_add(lasts.0));
                let (until, kill_at) = (self.now.after(lasts), run.kill_at);
                if until > kill_at {
                    self.arm_kill(key);
                } else {
                    let wait = run.wait(strand, Waiting::Time);
                    self.agenda.put(until, Happening::Run(key, wait));
                }
                Next::Waits
            }
            OpAct::Each(block) => {
                if items > 0 {
                    state.frames.push(Frame { block: *block, at: 0, item: Some(0), each: true });
                }
                Next::Go
            }
            OpAct::Parallel(blocks) => self.spread(key, strand, blocks),
            OpAct::Add(namespace, of) => {
                self.add(key, strand, namespace, *of);
                Next::Go
            }
            OpAct::Emit(emit) => {
                self.emit(key, strand, emit);
                Next::Go
            }
            OpAct::Call(call) => {
                if call.times > 0 {
                    let asked = self.now;
                    state.call = Some(Calling { block, at, done: 0, retries: 0, asked, call: None });
                    self.call_again(key, strand);
                    return Next::Waits;
                }
                Next::Go
            }
        }
    }

    fn spread(&mut self, key: RunKey, strand: u16, blocks: &[BlockNo]) -> Next {
        let Some(run) = self.runs.get_mut(key) else { return Next::Waits };
        let first = run.strands.len();
        let room = usize::from(u16::MAX).saturating_sub(first);
        let blocks = blocks.get(..blocks.len().min(room)).unwrap_or_default();
        let item = run.strands.get(strand as usize).and_then(Strand::item);
        for block in blocks {
            let mut child = Strand::new(*block, Some(strand));
            child.frames.iter_mut().for_each(|frame| frame.item = item);
            run.strands.push(child);
        }
        if let Some(state) = run.strands.get_mut(strand as usize) {
            // Bounded by the room above.
            state.children = blocks.len() as u16;
        }
        if blocks.is_empty() {
            return Next::Go;
        }
        for child in first..first + blocks.len() {
            self.go_on(key, child as u16);
        }
        Next::Waits
    }

    fn arm_kill(&mut self, key: RunKey) {
        let Some(run) = self.runs.get_mut(key) else { return };
        if !run.kill_armed && run.kill_at.0 < u64::MAX {
            run.kill_armed = true;
            let at = run.kill_at;
            self.agenda.put(at, Happening::Kill(key));
        }
    }

    /// Asks, for the first time or again.
    fn call_again(&mut self, key: RunKey, strand: u16) {
        self.arm_kill(key);
        let now = self.now;
        let Some(run) = self.runs.get_mut(key) else { return };
        let function = run.function;
        let message = run.message(strand);
        let environment = run.environment.number;
        let Some(op) = call_op(self.plan, run, strand) else { return };
        if let Some(patience) = op.timeout {
            let mut wait = run.wait(strand, Waiting::Patience);
            // The answer and the patience are of the same wait: whichever comes first counts.
            wait.what = Waiting::Patience;
            self.agenda.put(now.after(patience), Happening::Run(key, wait));
        } else {
            run.wait(strand, Waiting::Answer);
        }
        let wait = run.current(strand);
        let step = run.step(strand);
        if let Some(calling) = run.strands.get_mut(strand as usize).and_then(|s| s.call.as_mut()) {
            calling.asked = now;
        }
        match op.to {
            Callee::Function(called) => {
                let parent = message;
                let message =
                    Message { id: self.message_id(), hops: message.hops + 1, receives: 0, ..message };
                if let Some(faults) = &mut self.faults {
                    faults.books.came_of(&parent, message.id, step);
                }
                self.call(called, Who::Step(key, wait), message, Vec::new(), None);
            }
            Callee::Dependency(dependency) => {
                let keyed =
                    op.keyed.then(|| self.runs.get(key).map_or(message.id, |run| run.item_id(strand)));
                let holds = self.plan.connections_of(function, dependency) > 0;
                let environment = holds.then_some(EnvironmentNo(environment));
                self.ask(key, wait, dependency, (environment, keyed), step);
            }
        }
    }

    pub(super) fn call_ended(&mut self, key: RunKey, strand: u16, ok: bool) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(key) else { return };
        if run.real.is_some() {
            self.real_answered(key, if ok { GuestAnswer::Served } else { GuestAnswer::Failed });
            return;
        }
        let Some(op) = call_op(self.plan, run, strand) else { return };
        let Some(state) = run.strands.get_mut(strand as usize) else { return };
        let Some(calling) = &mut state.call else { return };
        calling.call = None;
        let took = now.since(calling.asked);
        run.waited = Span(run.waited.0.saturating_add(took.0));
        if ok || (op.optional && calling.retries >= op.retry.times) {
            calling.done += 1;
            calling.retries = 0;
            let over = calling.done >= op.times;
            if over {
                state.call = None;
                self.go_on(key, strand);
            } else {
                self.call_again(key, strand);
            }
        } else if calling.retries < op.retry.times {
            let pause = super::client::pause(&op.retry, calling.retries, &mut self.random);
            calling.retries += 1;
            let wait = run.wait(strand, Waiting::Retry);
            self.agenda.put(now.after(pause), Happening::Run(key, wait));
        } else {
            state.call = None;
            self.item_failed(key, strand);
        }
    }

    /// What a strand was at can't be done: the item fails, or the run.
    fn item_failed(&mut self, key: RunKey, strand: u16) {
        let Some(run) = self.runs.get_mut(key) else { return };
        let singly = self.plan.functions.get(run.function.0 as usize).is_some_and(|f| f.partial_failures);
        let place = run.place(strand);
        match place {
            Some(place) if singly => {
                if !run.failed.contains(&place) {
                    run.failed.push(place);
                }
                run.skip_item(strand);
                self.go_on(key, strand);
            }
            _ => self.end_run(key, Some(Failure::new(FailureKind::Retry, ""))),
        }
    }

    /// One more in a value: with the outcome; where the platform has no such thing, at once.
    fn add(&mut self, key: RunKey, strand: u16, namespace: &Name, of: AddOf) {
        let (now, platform) = (self.now, self.plan.platform);
        let Some(run) = self.runs.get_mut(key) else { return };
        let message = run.message(strand);
        let request = self.faults.as_ref().map_or(message.root, |faults| faults.books.request_of(&message));
        let text = match of {
            AddOf::Tenant => "all".to_string(),
            AddOf::Request => request.to_string(),
        };
        let tenant = TenantId(message.tenant.0 + 1);
        let id = KvKey { namespace: namespace.clone(), key: text };
        let (value, version) = self.store.value(tenant, &id);
        if platform == Platform::Aws {
            let value = value + 1;
            self.store.set_value(tenant, id.clone(), value);
            if let Some(faults) = &mut self.faults {
                faults.books.value_now(now, tenant, &id, value);
            }
            return;
        }
        let place = run.place(strand).unwrap_or(0);
        run.adds.push((place, Added { namespace: id.namespace, key: id.key, value, version }));
    }

    fn emit(&mut self, key: RunKey, strand: u16, op: &EmitOp) {
        let Some(run) = self.runs.get_mut(key) else { return };
        let message = run.message(strand);
        let step = run.step(strand);
        let bytes = op.event_bytes.unwrap_or(u64::from(message.bytes));
        match &op.to {
            EmitTo::Target(target) => {
                let place = run.place(strand).unwrap_or(0);
                let emission = Emission { target: target.clone(), count: op.count, bytes, delay: op.delay };
                run.emits.push((place, emission));
            }
            EmitTo::Node(to) => {
                let parent = message;
                for nth in 0..op.count {
                    let message = Message {
                        id: self.message_id(),
                        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
                        items: 1,
                        hops: message.hops + 1,
                        receives: 0,
                        ..message
                    };
                    if let Some(faults) = &mut self.faults {
                        let place = step ^ crate::message::spread(u64::from(nth) << 32 | u64::from(to.0));
                        faults.books.came_of(&parent, message.id, place);
                    }
                    self.dispatch(None, *to, message, op.delay);
                }
            }
        }
    }

    /// A run is over: well, or with a failure of the whole.
    pub(super) fn end_run(&mut self, key: RunKey, failure: Option<Failure>) {
        if self.runs.get(key).is_some_and(|run| run.real.is_some()) {
            self.real_stopped(key);
            return;
        }
        self.leave_all(key);
        let Some(mut run) = self.runs.remove(key) else { return };
        let failure = failure.or_else(|| self.by_chance(&mut run));
        let killed = failure.as_ref().is_some_and(|f| {
            matches!(f.kind, FailureKind::Timeout | FailureKind::OutOfMemory | FailureKind::Trap)
        });
        if killed || failure.as_ref().is_some_and(|f| f.kind == FailureKind::Crashed) {
            self.discard(run.function, run.environment);
        } else {
            self.release(run.function, run.environment);
        }
        let verdict = match (&failure, run.failed.is_empty()) {
            (Some(failure), _) => Verdict::Failed(failure.kind),
            (None, true) => Verdict::Done,
            (None, false) => Verdict::Partly(run.failed.clone()),
        };
        let lasted = self.now.since(run.began);
        if self.faults.is_some() {
            self.book_end(run.function, run.messages.as_slice(), (&verdict, &run.failed));
        }
        if run.environment.provisioned {
            self.tally.ran_provisioned(run.function, lasted);
        }
        self.tally.run_ended(self.now, run.function, run.tenant, lasted, run.init, &verdict);
        if !matches!(verdict, Verdict::Failed(_)) && self.is_for_nobody(run.caller) {
            self.tally.run_wasted(run.function, lasted, run.init);
        }
        if let Some(caller) = run.caller.and_then(|caller| self.callers.get_mut(caller)) {
            caller.verdict = Some(verdict);
        }
        if run.generation != self.generation {
            // The engine that wanted it is gone.
            return;
        }
        let (invocation, outcome) = (run.invocation, self.outcome(&run, failure));
        self.finished(invocation, outcome);
    }

    /// Nobody waits any more for what a run asked.
    pub(super) fn leave_all(&mut self, key: RunKey) {
        let Some(run) = self.runs.get(key) else { return };
        let calls: Vec<(CallKey, u16)> = (0_u16..)
            .zip(&run.strands)
            .filter_map(|(number, strand)| Some((strand.call?.call?, number)))
            .collect();
        for (call, strand) in calls {
            self.leave(key, call, strand);
        }
    }

    /// Failures that the workload states as a rate, and memory that has leaked.
    fn by_chance(&mut self, run: &mut Run) -> Option<Failure> {
        let plan = self.plan.functions.get(run.function.0 as usize)?;
        let (mut leak_mb, mut error_rate) = (plan.leak_mb, plan.error_rate);
        let mut partial = plan.partial_failures;
        if let Some(faults) = &self.faults {
            leak_mb += faults.leaks(run.function);
            let partly = faults.fails_partly(run.function);
            error_rate = error_rate.max(partly);
            partial |= partly > 0.0 && plan.partial_failures;
        }
        let leaked = leak_mb * f64::from(run.environment.runs);
        if leaked > 0.0 && plan.used_mb + leaked > plan.memory_mb {
            return Some(Failure::new(FailureKind::OutOfMemory, ""));
        }
        if error_rate <= 0.0 {
            return None;
        }
        let items = run.messages.as_slice().len();
        if !partial || items == 1 {
            return self.random.chance(error_rate).then(|| Failure::new(FailureKind::Retry, ""));
        }
        for place in 0..items {
            if self.random.chance(error_rate) && !run.failed.contains(&place) {
                run.failed.push(place);
            }
        }
        run.failed.sort_unstable();
        None
    }

    fn outcome(&mut self, run: &Run, failure: Option<Failure>) -> Outcome {
        let plan = self.plan.functions.get(run.function.0 as usize);
        let usage = Usage {
            busy: run.busy,
            waiting: run.waited,
            memory_bytes_peak: plan.map_or(0, |plan| (plan.used_mb * 1_048_576.0) as u64),
        };
        if let (Some(start), false) = (&run.start, run.emits.is_empty() && run.adds.is_empty()) {
            let did = Did { emits: &run.emits, adds: &run.adds, failed: &run.failed, failure, usage };
            let (outcome, wrote) = self.store.outcome(self.plan, start, did);
            for (id, keys) in wrote {
                self.event_written(id, keys);
            }
            return outcome;
        }
        let one = |place: usize| {
            let verdict = match &failure {
                Some(failure) => Err(failure.clone()),
                None if run.failed.contains(&place) => Err(Failure::new(FailureKind::Retry, "")),
                None => Ok(self.store.nothing()),
            };
            EventResult { verdict, emits: Vec::new() }
        };
        // A call has one result, whatever its caller put into it.
        let results = if run.caller.is_some() { 1 } else { run.messages.as_slice().len() };
        let results = (0..results).map(one).collect();
        Outcome { results, reads: Vec::new(), writes: Vec::new(), usage }
    }
}

/// The call that a strand is at.
pub(super) fn call_op<'p>(plan: &'p crate::plan::Plan, run: &Run, strand: u16) -> Option<&'p CallOp> {
    let calling = run.strands.get(strand as usize)?.call.as_ref()?;
    let program = &plan.functions.get(run.function.0 as usize)?.program;
    match &program.op(calling.block, calling.at)?.act {
        OpAct::Call(call) => Some(call),
        _ => None,
    }
}

impl Run {
    /// The call that a strand is at gets its number, or loses it.
    pub(super) fn set_call(&mut self, strand: u16, call: Option<CallKey>) -> Option<CallKey> {
        let calling = self.strands.get_mut(strand as usize)?.call.as_mut()?;
        std::mem::replace(&mut calling.call, call)
    }

    /// A real run asks, for the message at this place.
    pub(super) fn asks(&mut self, asked: Time, place: Option<usize>) {
        if let Some(strand) = self.strands.first_mut() {
            if let Some(frame) = strand.frames.first_mut() {
                frame.item = place.and_then(|place| u32::try_from(place).ok());
            }
            let calling = Calling { block: BlockNo(0), at: 0, done: 0, retries: 0, asked, call: None };
            strand.call = Some(calling);
        }
    }

    /// A real run has its answer.
    pub(super) fn has_answer(&mut self) {
        if let Some(strand) = self.strands.first_mut() {
            strand.call = None;
        }
    }

    /// A new wait of a strand: what it waited for before is stale.
    pub(super) fn wait(&mut self, strand: u16, what: Waiting) -> Wait {
        let number = self.strands.get_mut(strand as usize).map_or(0, |state| {
            state.number += 1;
            state.number
        });
        Wait { strand, number, what }
    }

    /// What a strand's answer has to carry.
    fn current(&self, strand: u16) -> Wait {
        let number = self.strands.get(strand as usize).map_or(0, |state| state.number);
        Wait { strand, number, what: Waiting::Answer }
    }

    pub(super) fn waits_for(&self, wait: Wait) -> bool {
        self.strands.get(wait.strand as usize).is_some_and(|s| s.number == wait.number && !s.over)
    }

    /// The strand is over. `None`: the run's own. Otherwise its parent, where that can go on.
    fn over(&mut self, strand: u16) -> Option<Option<u16>> {
        let state = self.strands.get_mut(strand as usize)?;
        state.over = true;
        let parent = state.parent?;
        let state = self.strands.get_mut(parent as usize)?;
        state.children = state.children.saturating_sub(1);
        Some((state.children == 0).then_some(parent))
    }

    /// The item that a strand is at, counted within its own message.
    fn within(&self, state: &Strand) -> Option<u32> {
        let mut left = state.item()?;
        for message in self.messages.as_slice() {
            match left.checked_sub(message.items) {
                Some(rest) => left = rest,
                None => return Some(left),
            }
        }
        None
    }

    /// A number of the step that a strand is at, unlike that of any other step of the program.
    pub(super) fn step(&self, strand: u16) -> u64 {
        let Some(state) = self.strands.get(strand as usize) else { return 0 };
        let frame = state.frames.last().map_or((0, 0), |frame| (frame.block.0, frame.at));
        let item = self.within(state).map_or(0, |item| u64::from(item) + 1);
        let done = state.call.map_or(0, |call| u64::from(call.done));
        let at = u64::from(frame.0) << 32 | u64::from(frame.1);
        crate::message::spread(at ^ crate::message::spread(item << 32 | done))
    }

    /// The message that a strand is at: its place in the batch.
    fn place(&self, strand: u16) -> Option<usize> {
        let mut left = self.strands.get(strand as usize)?.item()?;
        for (place, message) in self.messages.as_slice().iter().enumerate() {
            match left.checked_sub(message.items) {
                Some(rest) => left = rest,
                None => return Some(place),
            }
        }
        None
    }

    /// The message that a strand is at, or the first.
    pub(super) fn message(&self, strand: u16) -> Message {
        let place = self.place(strand).unwrap_or(0);
        let messages = self.messages.as_slice();
        messages.get(place).or(messages.first()).copied().unwrap_or(Message::NONE)
    }

    /// A number of the item that a strand is at: that of its message, where it is the message's first or none.
    fn item_id(&self, strand: u16) -> u64 {
        let message = self.message(strand);
        let within = self.strands.get(strand as usize).and_then(|state| self.within(state)).unwrap_or(0);
        if within == 0 { message.id } else { message.spread(1 << 40 | u64::from(within)) }
    }

    /// Nothing more is done for the item that a strand is at.
    fn skip_item(&mut self, strand: u16) {
        let Some(state) = self.strands.get_mut(strand as usize) else { return };
        if let Some(at) = state.frames.iter().rposition(|frame| frame.each) {
            state.frames.truncate(at + 1);
            if let Some(frame) = state.frames.last_mut() {
                frame.at = u32::MAX;
            }
        }
    }
}

impl Wait {
    /// The same wait's answer.
    pub(super) fn answer(&mut self) {
        self.what = Waiting::Answer;
    }
}

impl Strand {
    fn new(block: BlockNo, parent: Option<u16>) -> Strand {
        let frames = vec![Frame { block, at: 0, item: None, each: false }];
        Strand { frames, number: 0, parent, children: 0, call: None, over: false }
    }

    fn item(&self) -> Option<u32> {
        self.frames.iter().rev().find_map(|frame| frame.item)
    }
}

/// What a run gives when it has nothing to say.
pub(super) fn nothing() -> Body {
    Body::default()
}
