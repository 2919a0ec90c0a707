//! Feeds a log to engines of this build: what they want done must be what the recorded ones wanted.

use std::{
    fmt::{self, Write as _},
    hash::Hasher as _,
    sync::Arc,
};

use super::{EffectsHash, End, Entry, FORMAT, Head, LEARNED_BYTES_MAX, Step};
use crate::{
    Counts, Effect, Engine, Input, Name, Note, Refusal, Span, Time,
    engine::lookup::Mixer,
    model::Shared,
    record::{BUCKET_MAX, SEQ_MAX},
};

/// What is shown of an input or an effect, bytes.
const SHOWN_BYTES_MAX: usize = 2_000;
/// Effects that a difference shows.
const EFFECTS_SHOWN_MAX: usize = 16;
/// Beyond any number of things that a store can hold.
const COUNT_MAX: u64 = 1 << 48;

/// Why a replay can't go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is something else.
    #[error("it is no log of flyball serve --record: it does not begin as one")]
    NotALog,
    /// Another version wrote it.
    #[error(
        "the log has format {found}, this version reads {FORMAT}; replay it with the version that wrote it"
    )]
    Format {
        /// Its format.
        found: u8,
    },
    /// It is not what was written.
    #[error("the log is damaged at byte {offset}: {why}")]
    Damaged {
        /// Where the entry begins that can't be read, bytes from the log's start.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// A what-if would have to remember more than it may.
    #[error(
        "up to byte {offset} the ends of runs take {LEARNED_BYTES_MAX} bytes in memory, which is the limit of \
         a what-if; record for a shorter time"
    )]
    TooMuch {
        /// Where it is reached, bytes from the log's start.
        offset: u64,
    },
    /// The engines did not want the same.
    #[error(transparent)]
    Different(Box<Difference>),
}

impl ReplayError {
    /// The stable code; `docs/errors/` has a page for each.
    pub const fn code(&self) -> &'static str {
        match self {
            ReplayError::NotALog => "FE6001",
            ReplayError::Format { .. } => "FE6002",
            ReplayError::Damaged { .. } => "FE6003",
            ReplayError::Different(_) => "FE6004",
            ReplayError::TooMuch { .. } => "FE6005",
        }
    }
}

/// The first step whose effects were other than the recorded ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step} is different: {} effects were recorded, {} came", .recorded.count, .came.count)]
pub struct Difference {
    /// Which step, from 1.
    pub step: u64,
    /// Of which engine of the log, from 1.
    pub engine: u64,
    /// When.
    pub at: Time,
    /// What the engine was told, cut.
    pub input: String,
    /// What it had led to.
    pub recorded: EffectsHash,
    /// What it led to now.
    pub came: EffectsHash,
    /// The effects that came, each cut; the first sixteen.
    pub effects: Vec<String>,
}

/// What a log has shown so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The build that wrote the log.
    pub build: String,
    /// The application's name.
    pub application: Option<Name>,
    /// Steps fed.
    pub steps: u64,
    /// Engines: one, and one more for each commit that failed.
    pub engines: u64,
    /// When the first step was.
    pub first: Time,
    /// When the last one was.
    pub last: Time,
    /// Effects.
    pub effects: u64,
    /// A hash over the hashes of all steps' effects.
    pub hash: u64,
    /// What the engines counted. Dead letters are those that there are at the end, what waits and runs too.
    pub counts: Counts,
    /// Of what was refused: throttled.
    pub throttled: u64,
    /// How the recording ended; `None` where the log was cut off.
    pub end: Option<End>,
}

impl Tally {
    /// The time covered.
    pub fn covered(&self) -> Span {
        self.last.since(self.first)
    }

    pub(super) fn see(&mut self, now: Time, effects: &[Effect], hash: EffectsHash) {
        self.first = if self.steps == 0 { now } else { self.first };
        self.last = now;
        self.steps += 1;
        self.effects += u64::from(hash.count);
        self.hash = chained(self.hash, hash.hash());
        let throttled =
            |e: &&Effect| matches!(e, Effect::Note(Note::Refused { refusal: Refusal::Throttled { .. }, .. }));
        self.throttled += effects.iter().filter(throttled).count() as u64;
    }

    /// Adds what an engine counted since it was opened.
    pub(super) fn add(&mut self, engine: &Engine, at_opening: &Counts) {
        let (now, sum) = (engine.counts(), &mut self.counts);
        *sum = Counts {
            accepted: sum.accepted + now.accepted.saturating_sub(at_opening.accepted),
            done: sum.done + now.done,
            discarded: sum.discarded + now.discarded,
            calls: sum.calls + now.calls,
            retried: sum.retried + now.retried,
            duplicates: sum.duplicates + now.duplicates,
            conflicts: sum.conflicts + now.conflicts,
            refused: sum.refused + now.refused,
            stopped: sum.stopped + now.stopped,
            ..now
        };
    }
}

fn chained(before: u64, next: u64) -> u64 {
    let mut hasher = Mixer::default();
    hasher.write_u64(before);
    hasher.write_u64(next);
    hasher.finish()
}

/// One engine of a log, while it is fed.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) engine: Engine,
    /// What it counted when it was opened: none before that.
    pub(super) at_opening: Option<Counts>,
}

impl Fed {
    pub(super) fn step(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        let opens = matches!(input, Input::Opened);
        // What opening finds is none of what happened while it was recorded.
        let before = opens.then(|| self.engine.counts());
        self.engine.step(now, input, effects);
        self.at_opening = before.or(self.at_opening);
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Replay {
    application: Option<Shared>,
    fed: Option<Fed>,
    effects: Vec<Effect>,
    tally: Tally,
    compares: bool,
}

impl Replay {
    /// Nothing was fed yet.
    pub fn new() -> Replay {
        Replay::default()
    }

    /// Takes the next entry, which begins at this offset of the log.
    ///
    /// # Errors
    /// Where it is none that a recording writes there, or where its effects are different.
    pub fn take(&mut self, entry: Entry, offset: u64) -> Result<(), ReplayError> {
        self.compares = true;
        self.take_any(entry, offset)
    }

    /// The same, and compares nothing.
    pub(super) fn take_as_it_is(&mut self, entry: Entry, offset: u64) -> Result<(), ReplayError> {
        self.compares = false;
        self.take_any(entry, offset)
    }

    /// What the last step led to.
    pub(super) fn last_effects(&self) -> &[Effect] {
        &self.effects
    }

    fn take_any(&mut self, entry: Entry, offset: u64) -> Result<(), ReplayError> {
        let damaged = |why: &str| ReplayError::Damaged { offset, why: why.into() };
        match entry {
            Entry::Head(head) => self.application = Some(self.head(*head).map_err(|why| damaged(&why))?),
            Entry::Engine(settings) => {
                let application = self.application.clone().ok_or_else(|| damaged("it has no head"))?;
                self.end_engine();
                self.tally.engines += 1;
                self.fed = Some(Fed { engine: Engine::new(application, settings), at_opening: None });
            }
            Entry::Step(step) => {
                let fed = self.fed.as_mut().ok_or_else(|| damaged("a step comes before its engine"))?;
                possible(&step.input, fed.at_opening.is_some()).map_err(damaged)?;
                self.step(step)?;
            }
            Entry::End(end) => self.tally.end = Some(end),
        }
        Ok(())
    }

    fn head(&mut self, head: Head) -> Result<Shared, String> {
        if self.application.is_some() {
            return Err("it has two heads".into());
        }
        let Head { build, application } = head;
        self.tally.application = Some(application.name.clone());
        self.tally.build = build;
        let checked = application.check().map_err(|problems| {
            let first = problems.first().map_or("", |problem| &problem.message);
            format!("its application does not hold together: {first}")
        })?;
        Ok(Arc::new(checked))
    }

    fn step(&mut self, step: Step) -> Result<(), ReplayError> {
        let Some(fed) = &mut self.fed else { return Ok(()) };
        let Step { now, input, effects: recorded } = step;
        self.effects.clear();
        // An input is large and a difference is rare, but then it is the input that matters.
        let shown = input.clone();
        fed.step(now, input, &mut self.effects);
        let came = EffectsHash::of(&self.effects);
        if came != recorded && self.compares {
            return Err(ReplayError::Different(Box::new(Difference {
                step: self.tally.steps + 1,
                engine: self.tally.engines,
                at: now,
                input: cut(&shown),
                recorded,
                came,
                effects: self.effects.iter().take(EFFECTS_SHOWN_MAX).map(|effect| cut(effect)).collect(),
            })));
        }
        self.tally.see(now, &self.effects, came);
        Ok(())
    }

    fn end_engine(&mut self) {
        if let Some(fed) = self.fed.take() {
            self.tally.add(&fed.engine, &fed.at_opening.unwrap_or_default());
        }
    }

    /// What the steps fed so far have shown; of the engine that is fed now too.
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        if let Some(fed) = &self.fed {
            tally.add(&fed.engine, &fed.at_opening.unwrap_or_default());
        }
        tally
    }

    /// The application of the log, once its head was taken.
    pub fn application(&self) -> Option<&Shared> {
        self.application.as_ref()
    }
}

/// Whether a driver can have given this input then. What is damaged was noticed before: this stands against
/// logs that were made up.
pub(super) fn possible(input: &Input, opened: bool) -> Result<(), &'static str> {
    let restores = match input {
        Input::SetTenant(_) | Input::Drain => return Ok(()),
        Input::Restore(seq, _) if seq.0 > SEQ_MAX => return Err("a sequence is beyond all there can be"),
        Input::RestoreCount(bucket, _, count) if bucket.0 > BUCKET_MAX || *count > COUNT_MAX => {
            return Err("a count is beyond all there can be");
        }
        Input::RestoreDead(count, seq) if seq.0 > SEQ_MAX || *count > COUNT_MAX => {
            return Err("a count is beyond all there can be");
        }
        Input::Restore(..) | Input::RestoreCount(..) | Input::RestoreDead(..) | Input::Opened => true,
        _ => false,
    };
    match (restores, opened) {
        (true, true) => Err("what is restored comes after the engine was opened"),
        (false, false) => Err("something happens before the engine was opened"),
        _ => Ok(()),
    }
}

/// How something looks, cut.
fn cut(shown: &dyn fmt::Debug) -> String {
    let mut cut = Cut(String::new());
    if write!(cut, "{shown:?}").is_err() {
        cut.0.push('…');
    }
    cut.0
}

/// Takes text until there is enough of it.
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = SHOWN_BYTES_MAX - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}
