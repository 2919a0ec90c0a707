//! What runs ask dependencies, and what comes of it.

use flyball_core::Span;
use slotmap::{Key, KeyData};

use super::{
    Asker, CallKey, Happening, RunKey, World,
    run::{Wait, call_op},
};
use crate::{
    dependency::{Answer, Asked, Asking, CallNo, EnvironmentNo},
    message::FunctionNo,
    plan::{DependencyNo, program::Callee},
};

/// A dependency hands back what it was given.
fn number(call: CallKey) -> CallNo {
    CallNo(call.data().as_ffi())
}

fn key_of(call: CallNo) -> CallKey {
    CallKey::from(KeyData::from_ffi(call.0))
}

impl World<'_> {
    pub(super) fn ask(
        &mut self,
        run: RunKey,
        wait: Wait,
        to: DependencyNo,
        (environment, key): (Option<EnvironmentNo>, Option<u64>),
        step: u64,
    ) {
        let now = self.now;
        let Some(dependency) = self.dependencies.get_mut(to.0 as usize) else { return };
        let call = self.calls.insert(Asker { run, wait, since: now });
        if let (Some(faults), Some(asker)) = (&mut self.faults, self.runs.get(run)) {
            let message = asker.message(wait.strand);
            faults.books.asked(now, call.data().as_ffi(), to, &message, step);
        }
        let asking = Asking { call: number(call), environment, key };
        let asked = dependency.call(now, asking, &mut self.answers);
        if let Some(run) = self.runs.get_mut(run) {
            run.set_call(wait.strand, Some(call));
        }
        match asked {
            Asked::Begun => {}
            Asked::Waiting => self.tally.dependency_waits(to),
            // Not at once: a step that tries again without a pause would never come back from here.
            Asked::Answered(answer) => {
                self.calls.remove(call);
                self.tally.dependency_answered(now, to, Span::ZERO, answer);
                let ok = matches!(answer, Answer::Done | Answer::Duplicate);
                self.agenda.put(now, Happening::Answer(run, wait, ok));
            }
            Asked::Refused(_) => {
                self.calls.remove(call);
                self.tally.dependency_refused(now, to);
                self.agenda.put(now, Happening::Answer(run, wait, false));
            }
        }
        self.after_dependency(to);
    }

    pub(super) fn dependency_woken(&mut self, which: DependencyNo) {
        let now = self.now;
        if let Some(dependency) = self.dependencies.get_mut(which.0 as usize) {
            dependency.wake(now, &mut self.answers);
        }
        self.after_dependency(which);
    }

    /// Does what a dependency wants, and notes how it stands.
    fn after_dependency(&mut self, which: DependencyNo) {
        let now = self.now;
        let Some(dependency) = self.dependencies.get(which.0 as usize) else { return };
        let stands = (dependency.connections(), dependency.in_work(), dependency.waiting());
        self.tally.dependency(now, which, stands);
        if let Some(at) = self.answers.wake.take() {
            self.agenda.put(at, Happening::Dependency(which.0));
        }
        if let Some(faults) = &mut self.faults {
            for call in self.answers.worked.drain(..) {
                faults.books.call_worked(now, call.0);
            }
        }
        let told = std::mem::take(&mut self.answers.told);
        for (call, answer) in &told {
            let Some(Asker { run, wait, since }) = self.calls.remove(key_of(*call)) else { continue };
            self.tally.dependency_answered(now, which, now.since(since), *answer);
            let ok = matches!(answer, Answer::Done | Answer::Duplicate);
            self.agenda.put(now, Happening::Answer(run, wait, ok));
        }
        if self.answers.told.is_empty() {
            self.answers.told = told;
            self.answers.told.clear();
        }
    }

    /// An answer has come, if the strand still waits for it.
    pub(super) fn call_answered(&mut self, key: RunKey, wait: Wait, ok: bool) {
        if self.runs.get(key).is_some_and(|run| run.waits_for(wait)) {
            self.call_ended(key, wait.strand, ok);
        }
    }

    /// A function's patience with a call is over.
    pub(super) fn give_up(&mut self, key: RunKey, strand: u16) {
        if let Some(call) = self.runs.get_mut(key).and_then(|run| run.set_call(strand, None)) {
            self.leave(key, call, strand);
        }
    }

    /// Nobody waits for this call any more.
    pub(super) fn leave(&mut self, key: RunKey, call: CallKey, strand: u16) {
        self.calls.remove(call);
        let Some(run) = self.runs.get(key) else { return };
        let to = match (&run.real, call_op(self.plan, run, strand).map(|op| op.to)) {
            (Some(real), _) => real.asked,
            (None, Some(Callee::Dependency(to))) => Some(to),
            (None, _) => None,
        };
        let Some(to) = to else { return };
        let now = self.now;
        if let Some(dependency) = self.dependencies.get_mut(to.0 as usize) {
            dependency.gone(now, number(call), &mut self.answers);
        }
        self.after_dependency(to);
    }

    /// A new environment takes its connections.
    pub(super) fn connect(&mut self, function: FunctionNo, environment: u64) {
        let Some(plan) = self.plan.functions.get(function.0 as usize) else { return };
        for (to, _) in &plan.connections {
            if let Some(dependency) = self.dependencies.get_mut(to.0 as usize)
                && dependency.connect(EnvironmentNo(environment)).is_err()
            {
                self.tally.no_connection(self.now, *to);
            }
            self.after_dependency(*to);
        }
    }

    /// An environment is gone, with its connections.
    pub(super) fn disconnect(&mut self, function: FunctionNo, environment: u64) {
        let Some(plan) = self.plan.functions.get(function.0 as usize) else { return };
        for (to, _) in &plan.connections {
            if let Some(dependency) = self.dependencies.get_mut(to.0 as usize) {
                dependency.disconnect(EnvironmentNo(environment));
            }
            self.after_dependency(*to);
        }
    }
}
