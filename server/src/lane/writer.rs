//! The one thread that commits. It takes what has gathered and makes it durable in one transaction. Commits
//! go in the order of their numbers, whoever handed them over first. Another thread tells the engine, and
//! carries out what that leads to, while the next commit is made.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Weak, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use flyball_core::{BatchNo, Commit, CommitResult, Input, record};
use flyball_store::{Batch, Bytes, Check, Table, Write};

use super::Lane;

/// How often the lane's time is made durable, whether or not anything happens.
const SAVE_NOW_EVERY: Duration = Duration::from_secs(30);
/// Batches in one transaction.
const GROUP_BATCHES_MAX: usize = 512;
/// Bytes of bodies in one transaction, after which no further batch is added.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// What an engine is told of its commits, with the engine's generation.
type Told = (u64, Vec<Input>);

/// Starts both threads. The writer ends when no commit can come any more, the other after it.
pub(super) fn start(
    lane: &Arc<Lane>,
    commits: mpsc::Receiver<(u64, Commit)>,
) -> io::Result<[JoinHandle<()>; 2]> {
    let (tell, told) = mpsc::channel::<Told>();
    let weak = Arc::downgrade(lane);
    let writer = thread::Builder::new().name("flyball-writer".into());
    let writer = writer.spawn(move || run(&weak, &commits, &tell))?;
    let weak = Arc::downgrade(lane);
    let teller = thread::Builder::new().name("flyball-teller".into());
    let teller = teller.spawn(move || {
        for (generation, inputs) in told {
            let Some(lane) = weak.upgrade() else { return };
            lane.step_all(Some(generation), inputs);
        }
    })?;
    Ok([writer, teller])
}

/// Commits until the lane is closed.
fn run(lane: &Weak<Lane>, commits: &mpsc::Receiver<(u64, Commit)>, tell: &mpsc::Sender<Told>) {
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
            commit(&lane, waiting.generation, group, tell);
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
    fn group(&mut self, generation: u64) -> Option<Group> {
        if self.generation != generation {
            self.commits.clear();
            return None;
        }
        let mut group = Group::default();
        while group.batches.len() < GROUP_BATCHES_MAX
            && group.bytes < GROUP_BYTES_MAX
            && let Some(commit) = self.commits.remove(&self.next)
        {
            self.next = BatchNo(commit.batch.0 + 1);
            group.numbers.push(commit.batch);
            group.batches.push(encode(&commit, &mut group.bytes));
        }
        (!group.batches.is_empty()).then_some(group)
    }
}

/// What goes into one transaction.
#[derive(Default)]
struct Group {
    /// The engine's numbers of the batches.
    numbers: Vec<BatchNo>,
    batches: Vec<Batch>,
    /// Bytes of values.
    bytes: usize,
}

fn commit(lane: &Arc<Lane>, generation: u64, group: Group, tell: &mpsc::Sender<Told>) {
    match lane.health.committing(|| lane.store.commit(&group.batches)) {
        Ok(results) => {
            let results = group.numbers.iter().zip(results).map(|(batch, result)| {
                let result = match result {
                    flyball_store::CommitResult::Committed { .. } => CommitResult::Done,
                    flyball_store::CommitResult::Conflict => CommitResult::Conflict,
                };
                Input::Committed(*batch, result)
            });
            // It is there as long as this thread is.
            let _ = tell.send((generation, results.collect()));
            lane.telemetry.committed(group.numbers.len());
            if lane.health.wrote(group.bytes as u64) {
                lane.watch_room();
            }
        }
        Err(error) => lane.poison(generation, &error),
    }
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
