//! Books that the world keeps by itself while something goes wrong: what was accepted, what became of it, what took
//! effect. Nothing in here is asked of the engine.
//!
//! What belongs together has one **thread**: a number that follows from the client's request and from the way the
//! event came. All tries of one request have the same, so that "at most once" is about orders, not about envelopes.

use std::collections::BTreeMap;

use flyball_app::workload::{Assert, Holds};
use flyball_core::{
    BatchNo, Body, EventId, FailureKind, KvKey, KvWrite, Name, Outcome, Seq, StartedEvent, TenantId, Time,
    record::{Waiting, Write},
};

use super::BEGINNING;
use crate::{
    message::{FunctionNo, Message, spread},
    plan::{DependencyNo, Plan},
    result::{ENTRIES_MAX, TraceStep, figure},
};

/// What broke.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken {
    /// One of [`CHECKS`], or an assertion's words.
    pub what: String,
    pub detail: String,
    pub at: Time,
    /// The client's request that it is about.
    pub request: Option<u64>,
}

/// What is checked of every run, besides `core::invariant` and what the traffic file asserts.
pub(crate) const CHECKS: [&str; 6] = [
    "I8 an outcome commits once",
    "what is answered as accepted is durable",
    "an accepted event ends: done or dead, exactly one",
    "no tenant sees another's events or data",
    "key-value data is what committed outcomes wrote",
    "a run is given what was accepted",
];
const ONCE: &str = CHECKS[0];
const DURABLE: &str = CHECKS[1];
const ENDS: &str = CHECKS[2];
const TENANTS: &str = CHECKS[3];
const VALUES: &str = CHECKS[4];
const GIVEN: &str = CHECKS[5];

/// The books.
#[derive(Debug)]
pub(crate) struct Books {
    asserts: Vec<Assert>,
    functions: Vec<(String, Name)>,
    dependencies: Vec<String>,
    queues: BTreeMap<Name, FunctionNo>,
    events: BTreeMap<EventId, Entry>,
    of_seq: BTreeMap<Seq, EventId>,
    /// Whose a request is, as its client knows it.
    requests: BTreeMap<u64, TenantId>,
    /// By the number of a message: its thread and its request.
    threads: BTreeMap<u64, (u64, u64)>,
    /// Events that came of one, in one queue.
    children: BTreeMap<(EventId, Name), u64>,
    roots: BTreeMap<EventId, u32>,
    /// How often what took effect.
    effects: BTreeMap<(Place, u64), u32>,
    /// Calls in work at dependencies.
    calls: BTreeMap<u64, (DependencyNo, u64, u64)>,
    /// What the last run of an event wrote.
    adds: BTreeMap<EventId, Vec<KvKey>>,
    expected: BTreeMap<(TenantId, KvKey), u64>,
    /// What the last outcome of real functions wants written, by the first of its events that succeeded.
    outcomes: BTreeMap<EventId, Vec<KvWrite>>,
    /// What committed outcomes of real functions wrote.
    written: BTreeMap<(TenantId, KvKey), Option<Body>>,
    /// The call whose outcome was reported last.
    finishing: Option<EventId>,
    /// Batches that are calls' outcomes.
    call_batches: BTreeMap<BatchNo, EventId>,
    /// Calls of functions: what runs for them.
    runs: BTreeMap<EventId, (FunctionNo, u64)>,
    broken: Option<Broken>,
    watched: Option<u64>,
    trace: Vec<TraceStep>,
}

/// A number of a name that is unlike that of any other.
fn number(name: &Name) -> u64 {
    name.as_bytes().iter().fold(0, |number, byte| spread(number ^ u64::from(*byte)))
}

/// Where something took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Function(FunctionNo),
    Dependency(DependencyNo),
}

#[derive(Debug)]
struct Entry {
    request: u64,
    tenant: TenantId,
    queue: Name,
    body_bytes: u32,
    done: u32,
    dead: u32,
}

impl Books {
    /// Empty. `watched`: the request whose way is written down.
    pub(crate) fn new(plan: &Plan, watched: Option<u64>) -> Books {
        let numbers = |(function, number): (&crate::plan::FunctionPlan, u32)| {
            (Name::inbox_of(&function.name), FunctionNo(number))
        };
        let mut queues: BTreeMap<Name, FunctionNo> = plan.functions.iter().zip(0..).map(numbers).collect();
        for queue in plan.application.queues.values() {
            let of = plan.functions.iter().position(|function| function.name == queue.function);
            queues.extend(of.map(|of| (queue.name.clone(), FunctionNo(of as u32))));
        }
        Books {
            asserts: plan.asserts.clone(),
            functions: plan.functions.iter().map(|f| (f.label.clone(), f.name.clone())).collect(),
            dependencies: plan.dependencies.iter().map(|(name, _)| name.to_string()).collect(),
            queues,
            events: BTreeMap::new(),
            of_seq: BTreeMap::new(),
            requests: BTreeMap::new(),
            threads: BTreeMap::new(),
            children: BTreeMap::new(),
            roots: BTreeMap::new(),
            effects: BTreeMap::new(),
            calls: BTreeMap::new(),
            adds: BTreeMap::new(),
            expected: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            written: BTreeMap::new(),
            finishing: None,
            call_batches: BTreeMap::new(),
            runs: BTreeMap::new(),
            broken: None,
            watched,
            trace: Vec::new(),
        }
    }

    pub(crate) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    pub(crate) fn into_found(self) -> (Option<Broken>, Vec<TraceStep>) {
        (self.broken, self.trace)
    }

    /// The first that breaks is kept.
    pub(super) fn breaks(&mut self, now: Time, what: &str, detail: String, request: Option<u64>) {
        if self.broken.is_none() {
            self.note(now, request, "books", || format!("BROKEN {what}: {detail}"));
            self.broken = Some(Broken { what: what.into(), detail, at: now, request });
        }
    }

    /// A step of the watched request's way. `None`: of everybody.
    pub(super) fn note(
        &mut self,
        now: Time,
        request: Option<u64>,
        place: &str,
        what: impl FnOnce() -> String,
    ) {
        if self.watched.is_none() || (request.is_some() && request != self.watched) {
            return;
        }
        if self.trace.len() == ENTRIES_MAX {
            self.trace.remove(0);
        }
        let at_s = figure(now.since(BEGINNING).0 as f64 / 1e6);
        self.trace.push(TraceStep { at_s, place: place.into(), what: what() });
    }

    /// A client's request comes in.
    pub(super) fn request(&mut self, message: &Message, tenant: TenantId) {
        self.requests.insert(message.root, tenant);
        self.threads.insert(message.id, (spread(message.root), message.root));
    }

    /// A further try of a request, or a duplicate of it.
    pub(super) fn again(&mut self, message: &Message) {
        self.threads.insert(message.id, (spread(message.root), message.root));
    }

    /// A message came of another at a place of its program.
    pub(super) fn came_of(&mut self, parent: &Message, child: u64, place: u64) {
        let (thread, request) = self.thread_of(parent);
        self.threads.insert(child, (spread(thread ^ spread(place)), request));
    }

    /// The request that a message came of.
    pub(super) fn request_of(&self, message: &Message) -> u64 {
        self.thread_of(message).1
    }

    fn thread_of(&self, message: &Message) -> (u64, u64) {
        let fallback = (spread(message.root ^ spread(u64::from(message.hops))), message.root);
        self.threads.get(&message.id).copied().unwrap_or(fallback)
    }

    /// A change became durable.
    pub(super) fn durable(&mut self, now: Time, write: &Write, over_well: impl Fn(EventId) -> bool) {
        match write {
            Write::Accept { seq, waiting, envelope, .. } => {
                let subject = envelope.attributes.subject.as_deref();
                self.accepted(now, *seq, waiting, envelope.lineage.cause(), subject);
                *self.roots.entry(envelope.lineage.root).or_insert(0) += 1;
            }
            Write::Remove { seq, .. } => {
                let Some(id) = self.of_seq.get(seq).copied() else {
                    self.breaks(now, GIVEN, format!("{seq:?} is removed and was never accepted"), None);
                    return;
                };
                let well = over_well(id);
                self.over(now, id, well, None);
            }
            Write::Bury { dead, .. } => self.over(now, dead.event.id, false, Some(dead.failure.kind)),
            Write::Revive { seq, .. } => self.revived(now, *seq),
            Write::Update { .. }
            | Write::Note { .. }
            | Write::Discard { .. }
            | Write::Remember { .. }
            | Write::Forget { .. }
            | Write::Kv { .. } => {}
        }
    }

    fn accepted(
        &mut self,
        now: Time,
        seq: Seq,
        waiting: &Waiting,
        cause: Option<EventId>,
        subject: Option<&str>,
    ) {
        let (thread, request) = match cause {
            None => {
                let request = subject.and_then(|text| text.parse().ok()).unwrap_or(0);
                (spread(spread(request) ^ number(&waiting.queue)), request)
            }
            Some(cause) => {
                let nth = self.children.entry((cause, waiting.queue.clone())).or_insert(0);
                *nth += 1;
                let place = spread(*nth) ^ number(&waiting.queue);
                let parent = self.threads.get(&cause.spread(0)).copied().unwrap_or((0, 0));
                (spread(parent.0 ^ spread(place)), parent.1)
            }
        };
        self.threads.insert(waiting.id.spread(0), (thread, request));
        self.of_seq.insert(seq, waiting.id);
        if let Some(owner) = self.requests.get(&request).filter(|owner| **owner != waiting.tenant) {
            let detail = format!("an event of tenant {} is accepted for {}", owner.0, waiting.tenant.0);
            self.breaks(now, TENANTS, detail, Some(request));
        }
        let entry = Entry {
            request,
            tenant: waiting.tenant,
            queue: waiting.queue.clone(),
            body_bytes: waiting.body_bytes,
            done: 0,
            dead: 0,
        };
        let twice = self.events.insert(waiting.id, entry);
        self.note(now, Some(request), &waiting.queue, || "accepted: durable".into());
        if let Some(before) = twice {
            let detail = format!("the event is accepted twice, the second time in {}", waiting.queue);
            // A key may be free again after a failure that was told.
            if before.done == 0 && before.dead == 0 || before.queue != waiting.queue {
                self.breaks(now, ONCE, detail, Some(request));
            }
        }
    }

    /// A dead letter is put back: it is to end once more.
    fn revived(&mut self, now: Time, seq: Seq) {
        let Some(entry) = self.of_seq.get(&seq).and_then(|id| self.events.get_mut(id)) else {
            self.breaks(now, GIVEN, format!("{seq:?} is put back and was never accepted"), None);
            return;
        };
        let (request, queue, dead) = (entry.request, entry.queue.clone(), entry.dead);
        entry.dead = dead.saturating_sub(1);
        self.note(now, Some(request), &queue, || "put back from the dead letters".into());
        if dead == 0 {
            self.breaks(
                now,
                ONCE,
                format!("an event of {queue} is put back that is not dead"),
                Some(request),
            );
        }
    }

    fn over(&mut self, now: Time, id: EventId, well: bool, died: Option<FailureKind>) {
        let Some(entry) = self.events.get_mut(&id) else { return };
        match died {
            None => entry.done += 1,
            Some(_) => entry.dead += 1,
        }
        let (request, queue, times) = (entry.request, entry.queue.clone(), entry.done + entry.dead);
        let how = match died {
            None if well => "outcome committed: done".to_string(),
            None => "its failure committed: over".to_string(),
            Some(kind) => format!("put aside: {}", super::tally::failure_name(kind)),
        };
        self.note(now, Some(request), &queue, || how);
        if times > 1 {
            let detail = format!("an event of {queue} ended {times} times");
            self.breaks(now, ONCE, detail, Some(request));
        }
        if !well {
            self.adds.remove(&id);
            self.outcomes.remove(&id);
            return;
        }
        let tenant = self.events.get(&id).map_or(TenantId(0), |entry| entry.tenant);
        self.committed(id, tenant);
        if let Some(&function) = self.queues.get(&queue) {
            let (thread, _) = self.threads.get(&id.spread(0)).copied().unwrap_or((id.spread(0), request));
            self.effect(now, Place::Function(function), thread, request);
        }
    }

    /// A client hears that its event is accepted.
    pub(super) fn promised(&mut self, now: Time, id: EventId, copies: u32, message: &Message) {
        let found = self.roots.get(&id).copied().unwrap_or(0);
        let request = message.root;
        self.note(now, Some(request), "client", || "hears that it is accepted".into());
        if found < copies {
            let detail = format!("{found} of {copies} copies are durable, and the client is told so");
            self.breaks(now, DURABLE, detail, Some(request));
        }
    }

    /// A run begins on an event: it must be the event, and the tenant's.
    pub(super) fn given(&mut self, now: Time, event: StartedEvent, tenant: TenantId, record: Option<u32>) {
        let Some(entry) = self.events.get(&event.id) else {
            self.breaks(now, GIVEN, "a run begins on an event that was never accepted".into(), None);
            return;
        };
        let (request, queue) = (entry.request, entry.queue.clone());
        self.adds.remove(&event.id);
        self.outcomes.remove(&event.id);
        let wrong = match record {
            None => Some((GIVEN, "a run begins on an event that is not in the store".to_string())),
            Some(bytes) if bytes != entry.body_bytes => {
                Some((GIVEN, format!("a run is given {bytes} bytes, and {} were accepted", entry.body_bytes)))
            }
            _ if entry.tenant != tenant => Some((
                TENANTS,
                format!("a run of tenant {} is given an event of {}", tenant.0, entry.tenant.0),
            )),
            _ if entry.done + entry.dead > 0 => Some((ONCE, "a run begins on an event that is over".into())),
            _ => None,
        };
        self.note(now, Some(request), &queue, || format!("attempt {} begins", event.attempt));
        if let Some((what, detail)) = wrong {
            self.breaks(now, what, detail, Some(request));
        }
    }

    /// A call of a function begins to run.
    pub(super) fn call_runs(&mut self, id: EventId, function: FunctionNo, message: &Message) {
        let (thread, request) = self.thread_of(message);
        self.threads.insert(id.spread(0), (thread, request));
        self.runs.insert(id, (function, message.id));
    }

    /// The engine says that a call is over and its outcome durable; of events the books know it themselves.
    pub(super) fn call_over(&mut self, now: Time, id: EventId) {
        let Some((function, _)) = self.runs.remove(&id) else { return };
        let (thread, request) = self.threads.get(&id.spread(0)).copied().unwrap_or((id.spread(0), 0));
        let label = self.label(function);
        self.note(now, Some(request), &label, || "outcome: done".into());
        self.effect(now, Place::Function(function), thread, request);
    }

    /// A function did its work for a message, on a platform where that is final.
    pub(super) fn worked(&mut self, now: Time, function: FunctionNo, message: &Message) {
        let (thread, request) = self.thread_of(message);
        self.effect(now, Place::Function(function), thread, request);
    }

    /// What an outcome wants written for an event or a call.
    pub(super) fn wrote(&mut self, id: EventId, keys: Vec<KvKey>) {
        if self.runs.contains_key(&id) {
            self.finishing = Some(id);
        }
        self.adds.insert(id, keys);
    }

    /// A batch is the outcome of the call that was reported last.
    pub(super) fn call_writes(&mut self, batch: BatchNo) {
        if let Some(id) = self.finishing.take() {
            self.call_batches.insert(batch, id);
        }
    }

    /// A batch is durable. Batches are numbered anew by each engine: what was lost with one is forgotten.
    pub(super) fn batch_durable(&mut self, batch: BatchNo, tenant: Option<TenantId>) {
        let Some(id) = self.call_batches.remove(&batch) else { return };
        self.committed(id, tenant.unwrap_or(TenantId(0)));
    }

    /// An outcome is durable: what it wanted written must be there.
    fn committed(&mut self, id: EventId, tenant: TenantId) {
        for key in self.adds.remove(&id).unwrap_or_default() {
            *self.expected.entry((tenant, key)).or_insert(0) += 1;
        }
        for KvWrite { key, value } in self.outcomes.remove(&id).unwrap_or_default() {
            self.written.insert((tenant, key), value);
        }
    }

    /// A real function's outcome, of these events or this call.
    pub(super) fn outcome(&mut self, of: &[EventId], outcome: &Outcome) {
        for id in of {
            self.outcomes.remove(id);
        }
        let mut results = of.iter().zip(&outcome.results);
        let Some((&id, _)) = results.find(|(_, result)| result.verdict.is_ok()) else { return };
        if !outcome.writes.is_empty() {
            if self.runs.contains_key(&id) {
                self.finishing = Some(id);
            }
            self.outcomes.insert(id, outcome.writes.clone());
        }
    }

    /// How a real function's run ended, for each of its messages.
    pub(super) fn real_run(
        &mut self,
        now: Time,
        function: FunctionNo,
        messages: &[Message],
        outcome: &Outcome,
    ) {
        if self.watched.is_none() {
            return;
        }
        for (message, result) in messages.iter().zip(&outcome.results) {
            let how = match &result.verdict {
                Ok(_) => "its run ended well".to_string(),
                Err(failure) => {
                    format!("failed: {}: {}", super::tally::failure_name(failure.kind), failure.message)
                }
            };
            self.run(now, function, message, &how);
        }
    }

    /// The engine is gone, with what it wanted written.
    pub(super) fn engine_gone(&mut self) {
        self.call_batches.clear();
        self.finishing = None;
    }

    /// A run says something of its message.
    pub(super) fn run(&mut self, now: Time, function: FunctionNo, message: &Message, what: &str) {
        if self.watched.is_some() {
            let (request, label) = (self.request_of(message), self.label(function));
            self.note(now, Some(request), &label, || what.into());
        }
    }

    /// A dependency is asked, by a step of a run.
    pub(super) fn asked(&mut self, now: Time, call: u64, to: DependencyNo, message: &Message, step: u64) {
        let (thread, request) = self.thread_of(message);
        self.calls.insert(call, (to, spread(thread ^ spread(step)), request));
        let label = self.dependency(to);
        self.note(now, Some(request), &label, || "is called".into());
    }

    /// A dependency has done the work of a call, whoever still waits for it.
    pub(super) fn call_worked(&mut self, now: Time, call: u64) {
        let Some((to, thread, request)) = self.calls.remove(&call) else { return };
        let label = self.dependency(to);
        self.note(now, Some(request), &label, || "has done the work of a call".into());
        self.effect(now, Place::Dependency(to), thread, request);
    }

    fn label(&self, function: FunctionNo) -> String {
        self.functions.get(function.0 as usize).map_or(String::new(), |(label, _)| label.clone())
    }

    fn dependency(&self, dependency: DependencyNo) -> String {
        self.dependencies.get(dependency.0 as usize).cloned().unwrap_or_default()
    }

    fn effect(&mut self, now: Time, place: Place, thread: u64, request: u64) {
        let times = self.effects.entry((place, thread)).or_insert(0);
        *times += 1;
        let times = *times;
        if times < 2 {
            return;
        }
        let label = match place {
            Place::Function(function) => self.label(function),
            Place::Dependency(dependency) => self.dependency(dependency),
        };
        let asserted = self.asserts.iter().find(|a| a.holds == Holds::AtMostOnce && a.of == label);
        if let Some(what) = asserted.map(|assert| assert.what.clone()) {
            let detail = format!("{label} took effect {times} times for one request");
            self.breaks(now, &what, detail, Some(request));
        }
    }

    /// A value became durable.
    pub(super) fn value(&mut self, now: Time, tenant: TenantId, key: &KvKey, value: u64) {
        let request = key.key.parse().ok();
        let over = self.asserts.iter().find_map(|assert| match assert.holds {
            Holds::ValueMax(most) if assert.of == key.namespace.as_str() && value as f64 > most => {
                Some((assert.what.clone(), most))
            }
            _ => None,
        });
        self.note(now, request.or(Some(u64::MAX)), &key.namespace, || format!("the value is {value}"));
        if let Some((what, most)) = over {
            let detail = format!(
                "tenant {}: {} {:?} is {value}, at most {} may be",
                tenant.0,
                key.namespace,
                key.key,
                figure(most)
            );
            self.breaks(now, &what, detail, request);
        }
    }

    /// A value was written at once, where that is how it is done: what is durable is what it is.
    pub(super) fn value_now(&mut self, now: Time, tenant: TenantId, key: &KvKey, value: u64) {
        self.expected.insert((tenant, key.clone()), value);
        self.value(now, tenant, key, value);
    }

    /// At the end, after everything was given time: all is over, and the data is what outcomes wrote.
    pub(super) fn close<'v>(
        &mut self,
        now: Time,
        values: impl Iterator<Item = (&'v (TenantId, KvKey), &'v Body)>,
        number: impl Fn(&Body) -> u64,
    ) {
        let open = self.events.values().find(|entry| entry.done + entry.dead == 0);
        if let Some(entry) = open {
            let (request, queue) = (entry.request, entry.queue.clone());
            let open = self.events.values().filter(|entry| entry.done + entry.dead == 0).count();
            let detail = format!("{open} accepted events are neither done nor dead, the first in {queue}");
            let of = |assert: &&Assert| assert.holds == Holds::Settled && self.is_of(&queue, &assert.of);
            let what = self.asserts.iter().find(of).map_or(ENDS.to_string(), |assert| assert.what.clone());
            self.breaks(now, &what, detail, Some(request));
        }
        let values: BTreeMap<&(TenantId, KvKey), &Body> = values.collect();
        self.close_written(now, &values);
        let keys = self.expected.keys().chain(values.keys().copied());
        let expected = |key: &(TenantId, KvKey)| self.expected.get(key).copied().unwrap_or(0);
        let has = |key: &(TenantId, KvKey)| values.get(key).map_or(0, |value| number(value));
        // What real functions wrote is no count.
        let wrong = |key: &&(TenantId, KvKey)| !self.written.contains_key(key) && expected(key) != has(key);
        if let Some(key) = keys.into_iter().find(wrong).cloned() {
            let detail = format!(
                "tenant {}: {} {:?} is {}, and {} outcomes added to it",
                key.0.0,
                key.1.namespace,
                key.1.key,
                has(&key),
                expected(&key)
            );
            self.breaks(now, VALUES, detail, key.1.key.parse().ok());
        }
    }

    /// What is in the store is what committed outcomes of real functions wrote last, where steps wrote nothing.
    fn close_written(&mut self, now: Time, values: &BTreeMap<&(TenantId, KvKey), &Body>) {
        let keys = self.written.keys().chain(values.keys().copied());
        let mut theirs = keys.filter(|key| !self.expected.contains_key(key));
        let wanted = |key: &(TenantId, KvKey)| self.written.get(key).and_then(Option::as_ref);
        let Some(key) = theirs.find(|key| wanted(key) != values.get(key).copied()).cloned() else { return };
        let size =
            |value: Option<&Body>| value.map_or("nothing".into(), |body| format!("{} bytes", body.len()));
        let detail = format!(
            "tenant {}: {} {:?} has {} that are not the {} of the last outcome that wrote it",
            key.0.0,
            key.1.namespace,
            key.1.key,
            size(values.get(&key).copied()),
            size(wanted(&key)),
        );
        self.breaks(now, VALUES, detail, None);
    }

    /// Whether a queue is the one, or the function's, that a name means.
    fn is_of(&self, queue: &Name, name: &str) -> bool {
        let function = self.queues.get(queue).map(|function| self.label(*function));
        queue.as_str() == name || function.is_some_and(|label| label == name)
    }

    /// At the end of a run on AWS: messages that are still somewhere.
    pub(super) fn left(&mut self, now: Time, node: &str, messages: u64) {
        if messages > 0 {
            let detail = format!("{messages} messages are still in {node}");
            self.breaks(now, ENDS, detail, None);
        }
    }
}
