//! The one thread that commits. It takes what has gathered, makes it durable in one transaction, and
//! tells the engine. Commits go in the order of their numbers, whoever handed them over first.

use std::{
    collections::BTreeMap,
    sync::{Weak, mpsc},
    time::{Duration, Instant},
};

use flyball_core::{BatchNo, Commit, CommitResult, record};
use flyball_store::{Batch, Bytes, Check, Table, Write};

use super::Lane;

/// How often the lane's time is made durable, whether or not anything happens.
const SAVE_NOW_EVERY: Duration = Duration::from_secs(30);
/// Batches in one transaction.
const GROUP_BATCHES_MAX: usize = 512;
/// Bytes of bodies in one transaction, after which no further batch is added.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Commits until the lane is closed.
pub(super) fn run(lane: &Weak<Lane>, commits: &mpsc::Receiver<(u64, Commit)>) {
    let mut waiting = Waiting { generation: 0, next: BatchNo(1), commits: BTreeMap::new() };
    let mut saved = Instant::now();
    loop {
        match commits.recv_timeout(SAVE_NOW_EVERY) {
            Ok(first) => waiting.add(first),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        while let Ok(more) = commits.try_recv() {
            waiting.add(more);
        }
        let Some(lane) = lane.upgrade() else { return };
        // The generation changes on this thread only: in `poison`, under `commit`.
        while let Some(group) = waiting.group(lane.generation()) {
            commit(&lane, waiting.generation, &group);
        }
        if saved.elapsed() >= SAVE_NOW_EVERY {
            saved = Instant::now();
            if let Err(error) = lane.save_now() {
                tracing::warn!(%error, "the time can't be saved");
            }
        }
    }
}

/// Commits that were handed over and are not made yet.
struct Waiting {
    generation: u64,
    next: BatchNo,
    commits: BTreeMap<BatchNo, Commit>,
}

impl Waiting {
    fn add(&mut self, (generation, commit): (u64, Commit)) {
        if generation > self.generation {
            *self = Waiting { generation, next: BatchNo(1), commits: BTreeMap::new() };
        }
        if generation == self.generation {
            self.commits.insert(commit.batch, commit);
        }
    }

    /// The next batches in order, as many as go in one transaction; none of an engine that is no more: the
    /// one that is was made from a store without them.
    fn group(&mut self, generation: u64) -> Option<Vec<(BatchNo, Batch)>> {
        if self.generation != generation {
            self.commits.clear();
            return None;
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_BATCHES_MAX
            && bytes < GROUP_BYTES_MAX
            && let Some(commit) = self.commits.remove(&self.next)
        {
            self.next = BatchNo(commit.batch.0 + 1);
            let batch = encode(&commit, &mut bytes);
            group.push((commit.batch, batch));
        }
        (!group.is_empty()).then_some(group)
    }
}

fn commit(lane: &std::sync::Arc<Lane>, generation: u64, group: &[(BatchNo, Batch)]) {
    let batches: Vec<Batch> = group.iter().map(|(_, batch)| batch.clone()).collect();
    match lane.health.committing(|| lane.store.commit(&batches)) {
        Ok(results) => {
            let results = group.iter().zip(results).map(|((batch, _), result)| {
                let result = match result {
                    flyball_store::CommitResult::Committed { .. } => CommitResult::Done,
                    flyball_store::CommitResult::Conflict => CommitResult::Conflict,
                };
                (*batch, result)
            });
            lane.telemetry.committed(group.len());
            if lane.health.wrote(bytes_of(&batches)) {
                lane.watch_room();
            }
            lane.committed(generation, results.collect());
        }
        Err(error) => lane.poison(generation, &error),
    }
}

fn bytes_of(batches: &[Batch]) -> u64 {
    let bytes = |write: &Write| match write {
        Write::Put { value, .. } | Write::PutVersioned { value, .. } => value.len() as u64,
        Write::Delete { .. } | Write::DeletePrefix { .. } => 0,
    };
    batches.iter().flat_map(|batch| &batch.writes).map(bytes).sum()
}

fn encode(commit: &Commit, bytes: &mut usize) -> Batch {
    let checks = commit.checks.iter().map(|(tenant, key, version)| Check {
        table: Table::KeyValue,
        key: record::kv_key(*tenant, key),
        version: *version,
    });
    let writes = commit.writes.iter().flat_map(record::Write::encode).map(|encoded| match encoded {
        record::Encoded::Put(table, key, body) => {
            *bytes += body.len();
            let value = Bytes::copy_from_slice(&body);
            match self::table(table) {
                Table::KeyValue => Write::PutVersioned { table: Table::KeyValue, key, value },
                table => Write::Put { table, key, value },
            }
        }
        record::Encoded::Delete(table, key) => Write::Delete { table: self::table(table), key },
        record::Encoded::DeletePrefix(table, prefix) => {
            Write::DeletePrefix { table: self::table(table), prefix }
        }
    });
    Batch { checks: checks.collect(), writes: writes.collect() }
}

fn table(table: record::Table) -> Table {
    match table {
        record::Table::State => Table::State,
        record::Table::Events => Table::Events,
        record::Table::Bodies => Table::Bodies,
        record::Table::History => Table::History,
        record::Table::Dead => Table::Dead,
        record::Table::KeyValue => Table::KeyValue,
        record::Table::Settled => Table::Settled,
        record::Table::Counters => Table::Counters,
        record::Table::Meta => Table::Meta,
    }
}
