//! What travels between the parts of a simulated system, and how they ask one another.
//!
//! A part is a state machine: it is told what happens (`now` first) and says what it wants by [`Ask`]s. None knows
//! another; the world hands on.

use flyball_core::{FailureKind, LimitName, Time};

/// A function's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionNo(pub u32);

/// A node's place in the plan: queue, topic, bus, stream, a function's asynchronous queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeNo(pub u32);

/// A tenant's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantNo(pub u32);

/// A message on its way: one copy of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Unlike that of any other copy; the same at each delivery.
    pub id: u64,
    /// The event of a source that it descends from.
    pub root: u64,
    /// Whose it is. Also its group in FIFO queues and its partition in streams.
    pub tenant: TenantNo,
    /// When its root came in.
    pub born: Time,
    /// Its size, bytes.
    pub bytes: u32,
    /// Items in it.
    pub items: u32,
    /// Invocations of functions in its chain.
    pub hops: u16,
    /// Deliveries so far.
    pub receives: u16,
}

/// What a part wants of the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// To be woken at that time, with this token. There is no taking back: a part ignores what is stale.
    Wake {
        /// When.
        at: Time,
        /// Its own.
        token: u64,
    },
    /// To invoke a function and be told the [`Verdict`], with this token.
    Invoke {
        /// Which.
        function: FunctionNo,
        /// On what: one message, or a batch.
        batch: Vec<Message>,
        /// Its own.
        token: u64,
    },
    /// To hand a message to another node.
    Deliver {
        /// Which.
        to: NodeNo,
        /// What.
        message: Message,
        /// How long until it is there.
        delay: flyball_core::Span,
    },
    /// A message goes to dead letters.
    Dead {
        /// Which.
        message: Message,
        /// Where they are kept. `None`: nowhere that is simulated.
        to: Option<NodeNo>,
        /// Why, in a word or two: `receives`, `age`, `attempts`.
        why: &'static str,
    },
    /// A message is lost: nobody keeps it.
    Dropped {
        /// Which.
        message: Message,
        /// Why, in a word or two: `retention`, `age`, `attempts`.
        why: &'static str,
    },
    /// A message is over at this node, in good order: handled, or copied on.
    Done {
        /// Which.
        message: Message,
    },
}

/// A part of the simulated system that messages come to.
pub trait Part: std::fmt::Debug {
    /// A message has come.
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>);
    /// A time that it asked for has come.
    fn wake(&mut self, now: Time, token: u64, asks: &mut Vec<Ask>);
    /// An invocation that it asked for has ended.
    fn answered(&mut self, now: Time, token: u64, verdict: Verdict, asks: &mut Vec<Ask>);
    /// Messages that wait here.
    fn waiting(&self) -> u64;
    /// Messages that are being worked on.
    fn in_flight(&self) -> u64;
}

/// How an invocation that a part asked for ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// All went well.
    Done,
    /// These places of the batch failed and the function said so.
    Partly(Vec<usize>),
    /// It failed as a whole.
    Failed(FailureKind),
    /// It was not taken on: this limit.
    Throttled(Throttle),
}

/// Which limit refused an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Throttle {
    /// One of the engine's.
    Limit(LimitName),
    /// The rate at which a function may add environments.
    Scaling(FunctionNo),
}
