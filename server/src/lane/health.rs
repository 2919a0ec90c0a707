//! Whether the lane takes work, and why not.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use flyball_core::Refusal;
use flyball_store::{Room, StoreError};

use super::locked;

/// Room that is kept for work that was accepted, where there is much: a group of commits, whatever it is.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// The part of all there is that is kept where there is less.
const KEPT_PART: u64 = 16;

/// Why no work is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Down {
    /// What the store holds is being read.
    Opening,
    /// The store has failed.
    Failed(String),
    /// The store has no room.
    Full(String),
    /// The store has not answered a commit in time, and may yet.
    Stalled(Duration),
    /// It was closed, for good.
    Closed,
}

impl Down {
    /// A commit failed so.
    pub(super) fn of(error: &StoreError) -> Down {
        match error {
            StoreError::Full { .. } => Down::Full(error.to_string()),
            other => Down::Failed(other.to_string()),
        }
    }

    fn reason(&self) -> String {
        match self {
            Down::Opening => "opening".into(),
            Down::Failed(why) | Down::Full(why) => why.clone(),
            Down::Stalled(max) => format!(
                "the store has not answered a commit for {} ms, which is commit_wait_max; \
                 work is taken again when it does",
                max.as_millis()
            ),
            Down::Closed => "closed".into(),
        }
    }

    /// What callers are told meanwhile.
    fn refusal(&self) -> Refusal {
        match self {
            Down::Full(_) => Refusal::StoreFull,
            _ => Refusal::Unavailable,
        }
    }
}

#[derive(Debug)]
struct State {
    down: Option<Down>,
    /// When the commit that the store has in hand was given to it.
    committing: Option<Instant>,
    /// Bytes that may be written before the store's room is looked at again.
    unlooked_bytes: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Health {
    state: Mutex<State>,
    damaged: AtomicU64,
}

impl Health {
    pub(super) fn new() -> Health {
        let state = State { down: Some(Down::Opening), committing: None, unlooked_bytes: 0 };
        Health { state: Mutex::new(state), damaged: AtomicU64::new(0) }
    }

    /// Why no work is taken, if so.
    pub(super) fn reason(&self) -> Option<String> {
        locked(&self.state).down.as_ref().map(Down::reason)
    }

    /// What callers are told, if no work is taken.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        locked(&self.state).down.as_ref().map(Down::refusal)
    }

    /// No work is taken from here on.
    pub(super) fn down(&self, down: Down) {
        let mut state = locked(&self.state);
        if state.down != Some(Down::Closed) {
            state.down = Some(down);
        }
    }

    /// There is an engine. Work is taken, unless the lane was closed meanwhile, or had no room: then what was
    /// accepted runs, and [`Health::room`] says when more is taken.
    pub(super) fn open(&self) {
        let mut state = locked(&self.state);
        state.down.take_if(|down| !matches!(down, Down::Closed | Down::Full(_)));
    }

    /// Looks at the store's room. Where little is left no work is taken, so that what was accepted can still
    /// be finished; and again when there is twice as much.
    pub(super) fn room(&self, room: &Room) {
        let kept = KEPT_BYTES_MAX.min(room.total_bytes / KEPT_PART);
        let mut state = locked(&self.state);
        state.unlooked_bytes = kept / 4;
        match &state.down {
            None if room.free_bytes < kept => {
                let Room { of, free_bytes, .. } = room;
                let why = format!(
                    "no room for new work in {of}: {free_bytes} bytes are free, and {kept} are kept for what \
                     was accepted; free some space"
                );
                tracing::error!("{why}");
                state.down = Some(Down::Full(why));
            }
            Some(Down::Full(_)) if room.free_bytes >= 2 * kept => {
                tracing::info!("the store has room again");
                state.down = None;
            }
            _ => {}
        }
    }

    /// So many bytes were written. Whether it is time to look at the store's room.
    pub(super) fn wrote(&self, bytes: u64) -> bool {
        let mut state = locked(&self.state);
        state.unlooked_bytes = state.unlooked_bytes.saturating_sub(bytes);
        state.unlooked_bytes == 0
    }

    /// The store is given something to make durable. The answer ends it.
    pub(super) fn committing<T>(&self, commit: impl FnOnce() -> T) -> T {
        locked(&self.state).committing = Some(Instant::now());
        let result = commit();
        let mut state = locked(&self.state);
        state.committing = None;
        state.down.take_if(|down| matches!(down, Down::Stalled(_)));
        result
    }

    /// Whether the store has had a commit in hand for longer than this, and nobody had noticed. From then
    /// on no work is taken until it answers.
    pub(super) fn stalls(&self, max: Duration) -> bool {
        let mut state = locked(&self.state);
        let late = state.committing.is_some_and(|since| since.elapsed() > max);
        if !late || state.down.is_some() {
            return false;
        }
        state.down = Some(Down::Stalled(max));
        true
    }

    /// How many records could not be read when the lane was opened.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn set_damaged(&self, records: u64) {
        self.damaged.store(records, Ordering::Relaxed);
    }
}
