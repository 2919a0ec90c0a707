//! The states of a definition.

use std::collections::BTreeMap;

use super::{
    Call, Callee, Definition,
    resource::{self, Written},
};
use crate::{
    design::{Flow, FlowState, Retry, Setting, Task, TaskPattern},
    document::{Entry, Span, Tree, Value},
};

/// Reads a definition.
pub(crate) fn read(definition: &Tree) -> Definition {
    let mut read = Definition::default();
    read.machine.timeout_s = seconds(definition, "TimeoutSeconds");
    if definition.get("States").is_none_or(|states| states.entries().is_empty()) {
        read.machine.unread = Some("its definition has no states".into());
        return read;
    }
    read.machine.flow = States { read: &mut read, around: Around::default() }.scope(definition);
    read
}

/// Events of history of every state. What is counted here is the least: retries and what happens inside of maps and
/// parallels come on top.
const ENTERED_AND_LEFT: i64 = 2;

/// Events of history of a map or a parallel.
const BEGUN_AND_DONE: i64 = 2;

/// Events of history of a task that is answered; one that is waited for has one more, when it was submitted.
const SCHEDULED_BEGUN_AND_DONE: i64 = 3;

/// The longest name of a state that is kept, in bytes. AWS takes 80 characters.
const NAME_BYTES_MAX: usize = 80;

/// The longest names of what is around a state, in bytes: deeper, only the innermost is named.
const PREFIX_BYTES_MAX: usize = 240;

/// What is around a scope.
#[derive(Debug, Clone, Default)]
struct Around {
    /// Names of the maps and parallels, each with a slash behind it.
    prefix: String,
    map_concurrency: Option<Setting<i64>>,
    distributed: bool,
}

impl Around {
    /// A state's name with those of what is around it.
    fn named(&self, state: &str) -> String {
        let end = state.floor_char_boundary(NAME_BYTES_MAX);
        format!("{}{}", self.prefix, state.get(..end).unwrap_or(state))
    }

    /// What is around the states inside of `name`.
    fn inside(&self, name: &str) -> Around {
        let end = name.len().saturating_sub(NAME_BYTES_MAX);
        let name = if name.len() <= PREFIX_BYTES_MAX {
            name
        } else {
            name.get(name.ceil_char_boundary(end)..).unwrap_or("")
        };
        Around { prefix: format!("{name}/"), ..self.clone() }
    }
}

struct States<'d> {
    read: &'d mut Definition,
    around: Around,
}

impl States<'_> {
    /// Reads `States` with `StartAt`.
    fn scope(&mut self, scope: &Tree) -> Flow {
        let states = scope.get("States").map(Tree::entries).unwrap_or_default();
        let index: BTreeMap<&str, usize> =
            states.iter().enumerate().map(|(index, state)| (state.key.as_str(), index)).collect();
        let start = scope.get("StartAt").and_then(Tree::as_str).and_then(|name| index.get(name).copied());
        let states = states.iter().map(|state| {
            let next = followers(&state.value).filter_map(|name| index.get(name).copied()).collect();
            self.state(state, next)
        });
        Flow { states: states.collect(), start }
    }

    /// Reads a state that `next` can follow.
    fn state(&mut self, state: &Entry, next: Vec<usize>) -> FlowState {
        let name = self.around.named(&state.key);
        let span = state.key_span;
        self.read.machine.states += 1;
        self.read.machine.places.push((name.clone(), span));
        let mut read =
            FlowState { name, span, next, waits_s: 0, events_min: ENTERED_AND_LEFT, inside: vec![] };
        match state.value.get("Type").and_then(Tree::as_str) {
            Some("Task") => read.events_min += self.task(read.name.clone(), state),
            Some("Wait") => read.waits_s = wait_s(&state.value),
            Some("Parallel") => {
                read.events_min += BEGUN_AND_DONE;
                let inner = self.around.inside(&read.name);
                let branches = state.value.get("Branches").map(Tree::items).unwrap_or_default();
                read.inside = branches.iter().map(|branch| self.inside(branch, inner.clone())).collect();
            }
            Some("Map") => {
                read.events_min += BEGUN_AND_DONE;
                read.inside = self.map(&read.name, state).into_iter().collect();
            }
            _ => {}
        }
        read
    }

    fn inside(&mut self, scope: &Tree, around: Around) -> Flow {
        States { read: self.read, around }.scope(scope)
    }

    fn map(&mut self, name: &str, state: &Entry) -> Option<Flow> {
        let processor = state.value.get("ItemProcessor").or_else(|| state.value.get("Iterator"));
        let mode = processor.and_then(|inner| inner.at(&["ProcessorConfig", "Mode"]));
        let distributed = mode.and_then(Tree::as_str) == Some("DISTRIBUTED");
        let own = match whole(&state.value, "MaxConcurrency") {
            // Zero is how a definition says that there is no bound.
            Setting::Stated(0, _) => Setting::Default,
            setting => setting,
        };
        self.read.machine.maps.push((name.to_string(), distributed, own.clone()));
        if let Some(writer) = state.value.get("ResultWriter") {
            self.result_writer(name, writer);
        }
        let around = Around {
            map_concurrency: Some(match self.around.map_concurrency.clone() {
                Some(outer) => times(outer, own),
                None => own,
            }),
            distributed: distributed || self.around.distributed,
            ..self.around.inside(name)
        };
        processor.map(|inner| self.inside(inner, around))
    }

    /// Where a distributed map writes what its children answered.
    fn result_writer(&mut self, name: &str, writer: &Tree) {
        let Some(resource) = writer.get("Resource") else { return };
        let arguments = writer.get("Parameters").or_else(|| writer.get("Arguments"));
        let written = resource::written(resource, arguments);
        if let Callee::Named { .. } = written.callee {
            let task = Task { state: name.to_string(), action: written.action.clone(), ..Task::default() };
            self.call(task, writer.span, written);
        }
    }

    /// Reads a task. How many events of history its call adds.
    fn task(&mut self, name: String, entry: &Entry) -> i64 {
        let state = &entry.value;
        let Some(resource) = state.get("Resource") else {
            let what = format!("state {name} has no Resource");
            self.read.open.push((entry.key_span, what));
            return 0;
        };
        let arguments = state.get("Arguments").or_else(|| state.get("Parameters"));
        let written = resource::written(resource, arguments);
        let task = Task {
            state: name,
            pattern: written.pattern,
            timeout_s: seconds(state, "TimeoutSeconds"),
            heartbeat_s: seconds(state, "HeartbeatSeconds"),
            retries: retries(state),
            catches: state.get("Catch").is_some_and(|catch| !catch.items().is_empty()),
            map_concurrency: self.around.map_concurrency.clone(),
            distributed: self.around.distributed,
            action: written.action.clone(),
            sources: written.sources.clone(),
            detail_types: written.detail_types.clone(),
        };
        let submitted = i64::from(task.pattern != TaskPattern::RequestResponse);
        self.call(task, entry.key_span, written);
        SCHEDULED_BEGUN_AND_DONE + submitted
    }

    fn call(&mut self, task: Task, span: Span, written: Written) {
        let Written { mode, qualifier, callee, .. } = written;
        self.read.calls.push(Call { task, span, mode, qualifier, callee });
    }
}

/// The states that can follow a state.
fn followers(state: &Tree) -> impl Iterator<Item = &str> {
    let lists = ["Choices", "Catch"].into_iter().filter_map(|key| state.get(key));
    let nested = lists.flat_map(Tree::items).filter_map(|rule| rule.get("Next"));
    ["Next", "Default"].into_iter().filter_map(|key| state.get(key)).chain(nested).filter_map(Tree::as_str)
}

/// What a `Wait` waits, where that is a number.
fn wait_s(state: &Tree) -> i64 {
    state.get("Seconds").and_then(Tree::as_i64).unwrap_or(0).max(0)
}

/// A number of seconds, that can also be a path or an expression.
fn seconds(tree: &Tree, key: &str) -> Setting<i64> {
    whole(tree, key)
}

/// A whole number, or its `...Path`.
fn whole(tree: &Tree, key: &str) -> Setting<i64> {
    if let Some(written) = tree.get(key) {
        if let Some(number) = written.as_i64() {
            return Setting::Stated(number, written.span);
        }
        let why = match &written.value {
            Value::Unknown(unknown) => unknown.why.clone(),
            Value::Text(_) => "an expression that is evaluated when it runs".into(),
            Value::Reference(_) | Value::Pieces(_) => "it comes from a resource".into(),
            _ => "no number".into(),
        };
        return Setting::Unknown { why, span: written.span };
    }
    let path = tree.entries().iter().find(|entry| entry.key.strip_suffix("Path") == Some(key));
    path.map_or(Setting::Default, |entry| Setting::Unknown {
        why: "it is taken from the input".into(),
        span: entry.key_span,
    })
}

/// How many at once where maps lie in each other.
fn times(outer: Setting<i64>, inner: Setting<i64>) -> Setting<i64> {
    match (outer, inner) {
        (Setting::Stated(outer, _), Setting::Stated(inner, span)) => {
            Setting::Stated(outer.saturating_mul(inner), span)
        }
        (unknown @ Setting::Unknown { .. }, _) | (_, unknown @ Setting::Unknown { .. }) => unknown,
        (Setting::Default, _) | (_, Setting::Default) => Setting::Default,
    }
}

fn retries(state: &Tree) -> Vec<Retry> {
    let retriers = state.get("Retry").map(Tree::items).unwrap_or_default();
    let read = retriers.iter().map(|retrier| {
        let errors = retrier.get("ErrorEquals").map(Tree::items).unwrap_or_default();
        Retry {
            errors: errors.iter().filter_map(Tree::as_str).map(str::to_string).collect(),
            interval_s: whole(retrier, "IntervalSeconds"),
            attempts_max: whole(retrier, "MaxAttempts"),
            backoff: rate(retrier.get("BackoffRate")),
            delay_max_s: whole(retrier, "MaxDelaySeconds"),
        }
    });
    read.collect()
}

fn rate(written: Option<&Tree>) -> Setting<f64> {
    let Some(tree) = written else { return Setting::Default };
    let number = match &tree.value {
        Value::Float(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        // Rates are small; a float holds every one of them.
        #[expect(clippy::cast_precision_loss, reason = "a rate past 2^53 is no rate")]
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    };
    match number.filter(|number: &f64| number.is_finite()) {
        Some(number) => Setting::Stated(number, tree.span),
        None => Setting::Unknown { why: "no number".into(), span: tree.span },
    }
}
