//! What travels between the parts of a simulated system, and how they ask one another.
//!
//! A part is a state machine: it is told what happens (`now` first) and says what it wants by [`Ask`]s. None
//! knows another; the world hands on.

use flyball_core::{FailureKind, LimitName, Time};

use crate::used::{CameBack, Used};

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

impl Message {
    /// No message at all.
    pub(crate) const NONE: Message = Message {
        id: 0,
        root: 0,
        tenant: TenantNo(0),
        born: Time(0),
        bytes: 0,
        items: 0,
        hops: 0,
        receives: 0,
    };

    /// A further copy of it, on its way to another part: with an id of its own that follows from this one's
    /// and from `place`, which differs between the copies that one part makes.
    #[must_use]
    pub fn copy(self, place: u64) -> Message {
        Message { id: self.spread(place), receives: 0, ..self }
    }

    /// A number that follows from its id and from `salt`, spread evenly over all 64 bits.
    pub fn spread(self, salt: u64) -> u64 {
        spread(self.id ^ spread(salt))
    }
}

/// A number that follows from another, spread evenly over all 64 bits; no two give the same.
pub fn spread(of: u64) -> u64 {
    // The steps of SplitMix64: each can be undone, so that nothing falls together.
    let mut mixed = of.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
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
    /// A message that has just arrived is not taken in: whoever sent it is told so ([`Part::refused`]), and
    /// has it still.
    Refused {
        /// Which.
        message: Message,
        /// Why, in a word or two: `rate`, `bytes`.
        why: &'static str,
    },
}

/// A part of the simulated system that messages come to.
pub trait Part: std::fmt::Debug {
    /// The simulation begins: for what does something by itself.
    fn begin(&mut self, _now: Time, _asks: &mut Vec<Ask>) {}
    /// A message has come.
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>);
    /// A time that it asked for has come.
    fn wake(&mut self, now: Time, token: u64, asks: &mut Vec<Ask>);
    /// An invocation that it asked for has ended.
    fn answered(&mut self, now: Time, token: u64, verdict: Verdict, asks: &mut Vec<Ask>);
    /// A message that it asked to deliver was not taken in there ([`Ask::Refused`]). A part that has no way
    /// to try again loses it.
    fn refused(&mut self, _now: Time, _by: NodeNo, message: Message, asks: &mut Vec<Ask>) {
        asks.push(Ask::Dropped { message, why: "refused" });
    }
    /// Messages that wait here.
    fn waiting(&self) -> u64;
    /// Messages that are being worked on.
    fn in_flight(&self) -> u64;
    /// When the oldest of its messages came to it. `None`: it has none, or keeps none.
    fn oldest(&self) -> Option<Time> {
        None
    }
    /// Whether all that an invocation of this token was asked for has been handed out again since, or is gone.
    fn is_stale(&self, _token: u64) -> bool {
        false
    }
    /// What it has used of its limits.
    fn used(&self) -> Vec<Used> {
        Vec::new()
    }
    /// What came back to it.
    fn came_back(&self) -> CameBack {
        CameBack::default()
    }
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
    /// It was not taken on for another reason: the stable code.
    Refused(&'static str),
}

/// Which limit refused an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Throttle {
    /// One of the engine's.
    Limit(LimitName),
    /// The rate at which a function may add environments.
    Scaling(FunctionNo),
    /// The rate of requests that an account's APIs take together.
    Gateway,
}

impl std::fmt::Display for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Throttle::Limit(limit) => limit.fmt(f),
            Throttle::Gateway => f.write_str("API Gateway rate"),
            Throttle::Scaling(_) => f.write_str("environments added per 10 s"),
        }
    }
}
