//! The log of what was fed to a lane's engines, and its replay. `flyball serve --record` writes one,
//! `flyball simulate --replay` reads it: docs/record-and-replay.md.
//!
//! ```text
//! magic, format ─ Head ─ Engine ─ Step ─ Step ─ … ─ Engine ─ Step ─ … ─ End
//!                        └ settings   └ time, input, hash of the effects
//! ```
//!
//! An engine begins with an [`Entry::Engine`] and with what opening the lane scanned, as inputs. A commit
//! that failed begins another in the same log. Guests are not run again: how each run ended is an input.
//!
//! - `frame`: entries as bytes and back, each guarded, each bounded.
//! - `replay`: feeds a log to engines of this build and compares the effects.
//! - `what_if`: another application in the place of the recorded one: an estimate.

mod frame;
mod replay;
mod what_if;

use std::hash::{Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

pub use frame::{Decoder, Encoder, EntryTooLarge};
pub use replay::{Difference, Replay, ReplayError, Tally};
pub use what_if::{LEARNED_BYTES_MAX, WhatIf};

use crate::{Effect, Input, Settings, Time, engine::lookup::Mixer, model::Application};

/// What a log begins with, before its format.
pub const MAGIC: [u8; 15] = *b"flyball record\n";

/// The format of a log. Readers accept this one only: a log is replayed by the build that wrote it.
pub const FORMAT: u8 = 1;

/// The largest entry, bytes: twice what one outcome may write.
pub const ENTRY_BYTES_MAX: u32 = 64 << 20;

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// What was recorded. The first entry, and only that.
    Head(Box<Head>),
    /// A new engine begins; what there was of another is thrown away.
    Engine(Settings),
    /// The engine was told something.
    Step(Step),
    /// The recording ended here. A log without it was cut off: its process was killed.
    End(End),
}

/// What was recorded, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The build that wrote it: version and a hash of the program.
    pub build: String,
    /// The application.
    pub application: Application,
}

/// What an engine was told, and what it wanted done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub now: Time,
    /// What.
    pub input: Input,
    /// What it led to.
    pub effects: EffectsHash,
}

/// A hash over effects, in their order. Comparable within one build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectsHash {
    /// How many effects.
    pub count: u32,
    /// The hash, in the order of its bytes from the least.
    hash: [u8; 8],
}

impl EffectsHash {
    /// Over these.
    pub fn of(effects: &[Effect]) -> EffectsHash {
        let mut hasher = Mixer::default();
        effects.iter().for_each(|effect| effect.hash(&mut hasher));
        let count = u32::try_from(effects.len()).unwrap_or(u32::MAX);
        EffectsHash { count, hash: hasher.finish().to_le_bytes() }
    }

    /// The hash.
    pub fn hash(self) -> u64 {
        u64::from_le_bytes(self.hash)
    }
}

/// How a recording ended, where it was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The lane was closed in good order.
    Closed,
    /// What was not written yet had become more than this: the disk did not keep up.
    TooSlow {
        /// The bound, bytes.
        unwritten_bytes_max: u64,
    },
    /// The log had become as long as it may.
    LogFull {
        /// The bound, bytes.
        log_bytes_max: u64,
    },
    /// An input was larger than [`ENTRY_BYTES_MAX`].
    EntryTooLarge {
        /// It, bytes.
        bytes: u64,
    },
}

impl Input {
    /// About how much memory a copy of it keeps, bytes: what bounds a log that is not written yet.
    pub fn weight_bytes(&self) -> u64 {
        let settled = |settled: &Option<Box<crate::record::Settled>>| {
            let body = settled.as_ref().and_then(|settled| settled.verdict.as_ref().ok());
            settled.as_ref().map_or(0, |_| 128) + body.map_or(0, |body| body.len())
        };
        let inner = match self {
            Input::Send(send) => {
                let found = send.key.as_ref().map_or(0, |key| settled(&key.found));
                send.target.len() + send.body.len() + found + crate::ATTRIBUTE_BYTES_MAX
            }
            Input::Call(call) => call
                .key
                .as_ref()
                .map_or(0, |key| key.body.len() + settled(&key.keyed.found) + crate::ATTRIBUTE_BYTES_MAX),
            Input::Finished(_, outcome) => outcome.weight_bytes(),
            Input::Redrive(..) | Input::Discard(..) => {
                size_of::<crate::record::Dead>() + crate::MESSAGE_BYTES_MAX
            }
            _ => 0,
        };
        (size_of::<Input>() + inner) as u64
    }
}

impl crate::Outcome {
    fn weight_bytes(&self) -> usize {
        let emit = |emit: &crate::Emit| {
            let hops = emit.envelope.lineage.hops.len() * size_of::<crate::Hop>();
            size_of::<crate::Emit>() + emit.body.len() + hops + crate::ATTRIBUTE_BYTES_MAX
        };
        let result = |result: &crate::EventResult| {
            let verdict = result.verdict.as_ref().map_or(crate::MESSAGE_BYTES_MAX, |body| body.len());
            size_of::<crate::EventResult>() + verdict + result.emits.iter().map(emit).sum::<usize>()
        };
        let write = |write: &crate::KvWrite| {
            size_of::<crate::KvWrite>()
                + write.key.key.len()
                + write.value.as_ref().map_or(0, |value| value.len())
        };
        let reads = self.reads.iter().map(|read| size_of::<crate::Read>() + read.key.key.len());
        self.results.iter().map(result).sum::<usize>()
            + self.writes.iter().map(write).sum::<usize>()
            + reads.sum::<usize>()
    }
}
