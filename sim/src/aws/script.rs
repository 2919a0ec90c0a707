//! A small world for tests of actors: parts, a heap of what is to happen, and functions that do as they are
//! told.

use std::collections::BTreeMap;

use flyball_app::{
    design::Setting,
    document::{self, Files},
};
use flyball_core::{FailureKind, Span, Time};

use crate::message::{Ask, FunctionNo, Message, NodeNo, Part, TenantNo, Throttle, Verdict};

/// What a scripted function does with a batch.
pub(crate) type Function = Box<dyn FnMut(Time, &[Message]) -> (Span, Verdict)>;

#[derive(Debug)]
enum Happening {
    Arrive(NodeNo, Message, Option<NodeNo>),
    Wake(NodeNo, u64),
    Answer(NodeNo, u64, Verdict),
}

/// One invocation that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub at: Time,
    pub batch: Vec<Message>,
}

/// How a message ended, where and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct End {
    pub at: Time,
    pub node: NodeNo,
    pub message: Message,
    pub how: &'static str,
}

/// See the module's text.
pub(crate) struct Script {
    pub parts: BTreeMap<NodeNo, Box<dyn Part>>,
    functions: BTreeMap<FunctionNo, Function>,
    /// Runs at once, of all functions; more are throttled.
    pub concurrency_max: usize,
    happenings: BTreeMap<(Time, u64), Happening>,
    sequence: u64,
    pub now: Time,
    pub running: usize,
    pub running_peak: usize,
    pub runs: Vec<Run>,
    pub throttles: u64,
    /// `done`, `dead: why`, `dropped: why`, `refused: why`.
    pub ends: Vec<End>,
    /// Messages that were delivered to nodes that are not there.
    pub delivered: Vec<(Time, NodeNo, Message)>,
    /// Happenings that came to pass.
    pub steps: u64,
}

/// The node that most tests are about.
pub(crate) const NODE: NodeNo = NodeNo(0);
/// The function that most tests have.
pub(crate) const FUNCTION: FunctionNo = FunctionNo(0);

/// A function that takes so long and succeeds.
pub(crate) fn succeeds(millis: u64) -> Function {
    Box::new(move |_, _| (Span::from_millis(millis), Verdict::Done))
}

/// A function that takes so long and fails.
pub(crate) fn fails(millis: u64) -> Function {
    Box::new(move |_, _| (Span::from_millis(millis), Verdict::Failed(FailureKind::Trap)))
}

/// A message of a tenant.
pub(crate) fn message(id: u64, tenant: u32) -> Message {
    let tenant = TenantNo(tenant);
    Message { id, root: id, tenant, born: Time(0), bytes: 1_000, items: 1, hops: 0, receives: 0 }
}

/// A setting as a file states it.
pub(crate) fn setting<T>(value: T) -> Setting<T> {
    let file = Files::default().add("template.yaml", String::new());
    Setting::Stated(value, document::Span { file, start: 0, end: 0 })
}

/// So many seconds after the beginning.
pub(crate) fn at_s(seconds: u64) -> Time {
    Time(0).after(Span::from_secs(seconds))
}

impl Script {
    pub(crate) fn new(part: impl Part + 'static, function: Function) -> Script {
        let mut parts: BTreeMap<NodeNo, Box<dyn Part>> = BTreeMap::new();
        parts.insert(NODE, Box::new(part));
        let mut functions = BTreeMap::new();
        functions.insert(FUNCTION, function);
        Script {
            parts,
            functions,
            concurrency_max: usize::MAX,
            happenings: BTreeMap::new(),
            sequence: 0,
            now: Time(0),
            running: 0,
            running_peak: 0,
            runs: Vec::new(),
            throttles: 0,
            ends: Vec::new(),
            delivered: Vec::new(),
            steps: 0,
        }
    }

    pub(crate) fn add_part(&mut self, node: NodeNo, part: impl Part + 'static) {
        self.parts.insert(node, Box::new(part));
    }

    fn plan(&mut self, at: Time, happening: Happening) {
        self.sequence += 1;
        self.happenings.insert((at.max(self.now), self.sequence), happening);
    }

    pub(crate) fn send(&mut self, at: Time, message: Message) {
        self.plan(at, Happening::Arrive(NODE, message, None));
    }

    /// So many messages at once, numbered from `first`.
    pub(crate) fn send_many(&mut self, at: Time, first: u64, count: u64) {
        for id in first..first + count {
            self.send(at, message(id, 0));
        }
    }

    pub(crate) fn begin(&mut self) {
        let mut asks = Vec::new();
        self.parts.get_mut(&NODE).unwrap().begin(self.now, &mut asks);
        self.do_all(NODE, asks);
    }

    /// Everything that happens until then.
    pub(crate) fn run_until(&mut self, end: Time) {
        while let Some(entry) = self.happenings.first_entry()
            && entry.key().0 <= end
        {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.steps += 1;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        let mut asks = Vec::new();
        let node = match happening {
            Happening::Arrive(node, message, from) => {
                let Some(part) = self.parts.get_mut(&node) else {
                    self.delivered.push((self.now, node, message));
                    return;
                };
                part.arrive(self.now, message, &mut asks);
                if let Some(from) = from {
                    self.tell_refusals(node, from, &mut asks);
                }
                node
            }
            Happening::Wake(node, token) => {
                self.parts.get_mut(&node).unwrap().wake(self.now, token, &mut asks);
                node
            }
            Happening::Answer(node, token, verdict) => {
                self.running -= 1;
                self.parts.get_mut(&node).unwrap().answered(self.now, token, verdict, &mut asks);
                node
            }
        };
        self.do_all(node, asks);
    }

    /// Refusals of what another part sent are told to that part.
    fn tell_refusals(&mut self, node: NodeNo, from: NodeNo, asks: &mut Vec<Ask>) {
        let mut told = Vec::new();
        for ask in std::mem::take(asks) {
            match (ask, self.parts.get_mut(&from)) {
                (Ask::Refused { message, .. }, Some(sender)) => {
                    sender.refused(self.now, node, message, &mut told);
                }
                (ask, _) => asks.push(ask),
            }
        }
        self.do_all(from, told);
    }

    fn do_all(&mut self, node: NodeNo, asks: Vec<Ask>) {
        let mut answers = Vec::new();
        for ask in asks {
            match ask {
                Ask::Wake { at, token } => {
                    assert!(at >= self.now, "a wake in the past");
                    self.plan(at, Happening::Wake(node, token));
                }
                Ask::Invoke { function, batch, token } => {
                    answers.extend(self.invoke(node, function, batch, token));
                }
                Ask::Deliver { to, message, delay } => {
                    self.plan(self.now.after(delay), Happening::Arrive(to, message, Some(node)));
                }
                Ask::Dead { message, to, why } => {
                    self.end(node, message, "dead", why);
                    if let Some(to) = to {
                        self.plan(self.now, Happening::Arrive(to, message, None));
                    }
                }
                Ask::Dropped { message, why } => self.end(node, message, "dropped", why),
                Ask::Done { message } => self.end(node, message, "done", ""),
                Ask::Refused { message, why } => self.end(node, message, "refused", why),
            }
        }
        for token in answers {
            let mut asks = Vec::new();
            let throttled = Verdict::Throttled(Throttle::Scaling(FUNCTION));
            self.parts.get_mut(&node).unwrap().answered(self.now, token, throttled, &mut asks);
            self.do_all(node, asks);
        }
    }

    fn end(&mut self, node: NodeNo, message: Message, kind: &str, why: &str) {
        let text = if why.is_empty() { kind.to_string() } else { format!("{kind}: {why}") };
        self.ends.push(End { at: self.now, node, message, how: Box::leak(text.into_boxed_str()) });
    }

    /// The token, where it is throttled.
    fn invoke(&mut self, node: NodeNo, function: FunctionNo, batch: Vec<Message>, token: u64) -> Option<u64> {
        assert!(!batch.is_empty(), "an empty batch");
        if self.running >= self.concurrency_max {
            self.throttles += 1;
            return Some(token);
        }
        self.running += 1;
        self.running_peak = self.running_peak.max(self.running);
        let (takes, verdict) = self.functions.get_mut(&function).unwrap()(self.now, &batch);
        let until = self.now.after(takes);
        self.runs.push(Run { at: self.now, batch });
        self.plan(until, Happening::Answer(node, token, verdict));
        None
    }

    /// How many messages ended so at the node that the test is about.
    pub(crate) fn ended(&self, how: &str) -> usize {
        self.ends.iter().filter(|end| end.node == NODE && end.how == how).count()
    }

    pub(crate) fn part(&self) -> &dyn Part {
        self.parts[&NODE].as_ref()
    }
}
