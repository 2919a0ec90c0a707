//! Making an engine from the store, at the start and after a commit that failed. Nothing in memory is
//! repaired: what is not in the store never happened.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flyball_core::{
    Effect, Engine, Input, Seq, Settings, Time,
    record::{self, Dead, RecordError, Waiting},
};
use flyball_store::{Scan, StoreError, Table};

use super::{
    Lane,
    health::Down,
    locked,
    recorder::{Recorder, Tape},
};

/// Rows read at once while opening.
const PAGE_ROWS: usize = 5_000;
/// Bytes read at once while opening.
const PAGE_BYTES: usize = 8 << 20;
/// Where the lane's time is kept in `Table::Meta`.
const NOW_KEY: &[u8] = b"now";
/// Where the lane's number is kept in `Table::Meta`.
const LANE_KEY: &[u8] = b"lane";
/// Damaged records of a table that the log names.
const DAMAGED_LOGGED_MAX: u64 = 100;
/// How long a lane that can't be opened again waits between tries, at most.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Why the lane can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record can't be read.
    #[error("a record in {table:?} at {key:?}: {error}")]
    Record {
        /// In which table.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
        /// What is wrong.
        error: RecordError,
    },
    /// A new lane needs a number, and there is no randomness.
    #[error("no randomness can be had: {0}")]
    Random(getrandom::Error),
    /// No thread can be had.
    #[error("can't start the writer's thread: {0}")]
    Thread(std::io::Error),
}

impl Lane {
    /// Throws the engine away and makes one from the store.
    pub(super) fn reopen(self: &Arc<Self>) -> Result<(), ReopenError> {
        let generation = {
            let mut state = locked(&self.state);
            state.engine = None;
            state.generation += 1;
            state.generation
        };
        // One process opens the store once; each engine in it needs an incarnation of its own.
        let process = self.store.incarnation() << 20;
        let incarnation = process + generation;
        let settings = Settings { lane: self.number()?, incarnation, process, seed: incarnation };
        let recorder = self.recorder.as_deref().filter(|recorder| recorder.is_on());
        if let Some(recorder) = recorder {
            recorder.engine(settings);
        }
        let engine = Engine::new(self.application.clone(), settings);
        let now = self.last_now()?.max(self.now());
        let mut opening = Opening { engine, now, effects: Vec::new(), recorder };
        let known = self.tenants.version();
        for tenant in self.tenants.all() {
            opening.step(Input::SetTenant(tenant));
        }
        // What can't be read stays where it is and keeps its place: the rest is served.
        let mut greatest = Seq(0);
        let mut damaged = self.scan(Table::State, |key, value| {
            let seq = seq(key)?;
            let waiting: Waiting = record::decode(value).inspect_err(|_| greatest = greatest.max(seq))?;
            opening.step(Input::Restore(seq, waiting));
            Ok(())
        })?;
        damaged += self.scan(Table::Counters, |key, value| {
            let damaged = || RecordError::Damaged("not a counter's key".into());
            let (bucket, tenant) = record::parse_counter_key(key).ok_or_else(damaged)?;
            let count = record::decode(value);
            // The bucket must expire all the same.
            let known = count.as_ref().copied().unwrap_or(0);
            opening.step(Input::RestoreCount(bucket, tenant, known));
            count.map(drop)
        })?;
        let mut dead = 0;
        damaged += self.scan(Table::Dead, |key, value| {
            greatest = greatest.max(seq(key)?);
            dead += 1;
            record::decode::<Dead>(value).map(drop)
        })?;
        self.health.set_damaged(damaged);
        opening.step(Input::RestoreDead(dead, greatest));
        if self.draining.load(Ordering::SeqCst) {
            opening.step(Input::Drain);
        }
        opening.step(Input::Opened);
        let Opening { engine, effects, .. } = opening;
        {
            let mut state = locked(&self.state);
            state.engine = Some(engine);
            state.clock.at_least(now);
        }
        self.health.open();
        self.watch_room();
        self.carry_out_all(generation, effects, |_| false);
        if self.tenants.version() != known {
            // One was changed while there was no engine to tell.
            self.step_all(None, self.tenants.all().into_iter().map(Input::SetTenant));
        }
        self.alarm.changed.notify_one();
        Ok(())
    }

    /// A commit failed or its result is unknown: the engine is thrown away, whoever waits is told 503, and
    /// another is made as soon as the store lets it. Called by the writer, which has nothing else to do.
    pub(super) fn poison(self: &Arc<Self>, generation: u64, error: &StoreError) {
        if locked(&self.state).generation != generation {
            return;
        }
        tracing::error!(%error, "a commit failed; the lane is opened again from the store");
        self.health.down(Down::of(error));
        locked(&self.state).engine = None;
        self.disappoint_all();
        let mut wait = Duration::from_millis(50);
        while locked(&self.commits).is_some() {
            // A store that can't write would only poison the next engine: try a write first.
            let tried = self.save_now().map_err(ReopenError::from).and_then(|()| self.reopen());
            match tried {
                Ok(()) => return tracing::info!("the lane is open again"),
                Err(error) => {
                    tracing::error!(%error, "the lane can't be opened again yet");
                    self.health.down(match &error {
                        ReopenError::Store(error) => Down::of(error),
                        other => Down::Failed(other.to_string()),
                    });
                }
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Makes the present moment durable: time never goes back, over a restart either.
    pub(crate) fn save_now(&self) -> Result<(), StoreError> {
        let value = record::encode(&self.now());
        let value = flyball_store::Bytes::copy_from_slice(&value);
        let put = flyball_store::Write::Put { table: Table::Meta, key: NOW_KEY.to_vec(), value };
        let batch = flyball_store::Batch { checks: Vec::new(), writes: vec![put] };
        self.health.committing(|| self.store.commit(&[batch])).map(drop)
    }

    /// The lane's number, which a new lane draws.
    fn number(&self) -> Result<u64, ReopenError> {
        if let Some(bytes) = self.store.get(Table::Meta, LANE_KEY)? {
            let wrong = |error| ReopenError::Record { table: Table::Meta, key: LANE_KEY.to_vec(), error };
            return record::decode(&bytes).map_err(wrong);
        }
        let mut drawn = [0; 8];
        getrandom::fill(&mut drawn).map_err(ReopenError::Random)?;
        let number = u64::from_be_bytes(drawn);
        let value = flyball_store::Bytes::copy_from_slice(&record::encode(&number));
        let put = flyball_store::Write::Put { table: Table::Meta, key: LANE_KEY.to_vec(), value };
        self.store.commit(&[flyball_store::Batch { checks: Vec::new(), writes: vec![put] }])?;
        Ok(number)
    }

    fn last_now(&self) -> Result<Time, ReopenError> {
        match self.store.get(Table::Meta, NOW_KEY)? {
            Some(bytes) => record::decode(&bytes).map_err(|error| ReopenError::Record {
                table: Table::Meta,
                key: NOW_KEY.to_vec(),
                error,
            }),
            None => Ok(Time(0)),
        }
    }

    /// Hands on every row; answers how many of them can't be read, which the log names.
    fn scan(
        &self,
        table: Table,
        mut row: impl FnMut(&[u8], &[u8]) -> Result<(), RecordError>,
    ) -> Result<u64, ReopenError> {
        let mut after: Option<Vec<u8>> = None;
        let mut damaged = 0;
        loop {
            let scan = Scan {
                table,
                prefix: &[],
                after: after.as_deref(),
                rows_max: PAGE_ROWS,
                bytes_max: PAGE_BYTES,
            };
            let page = self.store.scan(&scan)?;
            for found in &page.rows {
                if let Err(error) = row(&found.key, &found.value) {
                    damaged += 1;
                    if damaged <= DAMAGED_LOGGED_MAX {
                        let key = found.key.escape_ascii();
                        tracing::error!(%error, ?table, %key, "a record can't be read and is left where it is");
                    }
                }
            }
            after = page.rows.last().map(|row| row.key.clone());
            if !page.more || after.is_none() {
                return Ok(damaged);
            }
        }
    }
}

/// An engine that is being made, and that nobody else knows yet.
struct Opening<'a> {
    engine: Engine,
    now: Time,
    effects: Vec<Effect>,
    recorder: Option<&'a Recorder>,
}

impl Opening<'_> {
    fn step(&mut self, input: Input) {
        let Some(recorder) = self.recorder else {
            return self.engine.step(self.now, input, &mut self.effects);
        };
        let mut tape = Tape::of(std::slice::from_ref(&input));
        let before = self.effects.len();
        tape.begin(recorder, self.now);
        self.engine.step(self.now, input, &mut self.effects);
        tape.fed(self.effects.len() - before);
        recorder.fed(tape, self.effects.get(before..).unwrap_or_default());
        recorder.wait_for_room();
    }
}

fn seq(key: &[u8]) -> Result<Seq, RecordError> {
    record::seq_of(key).ok_or_else(|| RecordError::Damaged("not a sequence".into()))
}
