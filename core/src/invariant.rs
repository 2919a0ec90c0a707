//! What must always hold, numbered. Pure functions over the engine, checked by simulation, by tests, and
//! in debug builds after every step (those that look at everything, while there is little to look at).
//!
//! | | invariant |
//! |---|---|
//! | I1 | Running never exceeds a cap, at any of the four levels. |
//! | I2 | Counters are what they count, and what is guaranteed to one is never lent to another. |
//! | I3 | Nothing that could start waits. |
//! | I4 | An accepted event is pending, running, being settled, done or dead: exactly one. |
//! | I5 | Nothing is lost: accepted = waiting + running + settling + done + dead + discarded. |
//! | I6 | An invocation works on one tenant's events. |
//! | I7 | What waits is counted at each level, and within the limits at the edge. |
//! | I10 | Events that may have ended the process run one at a time, and alone. |
//! | I11 | What is written as begun before it runs is little, waits, and was charged with no crash. |
//! | I12 | Who is overtaken again and again waits only while a run of its tenant has the turn, or its line is next. |
//!
//! Two more need a history and are checked where there is one, by the tests' model: an outcome commits
//! once (I8), and a newcomer below its caps waits at most ⌈active tenants / slots⌉ × the longest
//! timeout (I9).

use crate::Engine;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {found}")]
pub struct Violation {
    /// Its number, e.g. `I1`.
    pub invariant: &'static str,
    /// What was found.
    pub found: String,
}

/// Events up to which a debug build checks everything after every step.
const SMALL: u64 = 64;

/// Checks every invariant. Takes time in proportion to the state.
///
/// # Errors
/// The first that is broken.
pub fn check(engine: &Engine) -> Result<(), Violation> {
    let found = |invariant, found: Option<String>| match found {
        Some(found) => Err(Violation { invariant, found }),
        None => Ok(()),
    };
    found("I1", engine.over_cap())?;
    found("I2", engine.miscounted())?;
    found("I3", engine.idle_work())?;
    found("I4", engine.misplaced())?;
    found("I5", engine.unaccounted())?;
    found("I6", engine.mixed())?;
    found("I7", engine.miscounted_waiting())?;
    found("I10", engine.suspects_together())?;
    found("I11", engine.ahead_wrongly())?;
    found("I12", engine.waits_for_no_turn())
}

/// After every step, in debug builds.
pub(crate) fn check_step(engine: &Engine) {
    if cfg!(debug_assertions) {
        let found = match engine.counts() {
            counts if counts.waiting + counts.running <= SMALL => check(engine).err(),
            _ => engine.over_cap().map(|found| Violation { invariant: "I1", found }),
        };
        debug_assert!(found.is_none(), "{found:?}");
    }
}
