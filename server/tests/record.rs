//! What a lane records is what its engines were told: it replays to the bit, also over a commit that failed.
//! And whatever becomes of the log, the service goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod rig;

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use flyball_core::{
    EventId, Failure, FailureKind,
    journal::{Decoder, End, Replay, ReplayError, Tally},
};
use flyball_server::platform::Record;
use flyball_store::{faulty::Faulty, memory::Memory};
use rig::{Rig, end, set, until};

const APPLICATION: &str = r#"
[application]
name = "recorded"

[tenant.acme]

[function.work]
component = "none.wasm"
timeout = "30s"
grants.kv = { data = "read-write" }

[queue.one]
attempts_max = 3
function = "work"
batch_max = 5
retry = { base = "1ms", max = "2ms" }
"#;

/// A log in memory, on a disk that can be stopped or broken.
#[derive(Clone, Default)]
struct Disk(Arc<(Mutex<DiskState>, Condvar)>);

#[derive(Default)]
struct DiskState {
    bytes: Vec<u8>,
    stopped: bool,
    broken: bool,
}

impl Disk {
    fn set(&self, change: impl FnOnce(&mut DiskState)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().bytes.clone()
    }

    fn record(&self) -> Record {
        Record {
            to: Box::new(self.clone()),
            build: "test".into(),
            log_bytes_max: Record::LOG_BYTES_MAX,
            unwritten_bytes_max: Record::UNWRITTEN_BYTES_MAX,
        }
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (state, changed) = &*self.0;
        let mut state = changed.wait_while(state.lock().unwrap(), |state| state.stopped).unwrap();
        if state.broken {
            return Err(io::Error::other("the disk is broken"));
        }
        state.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn replay(log: &[u8]) -> Result<Tally, ReplayError> {
    let (mut decoder, mut replay) = (Decoder::default(), Replay::new());
    decoder.feed(log);
    loop {
        let offset = decoder.offset();
        let Some(entry) = decoder.next_entry()? else { break };
        replay.take(entry, offset)?;
    }
    Ok(replay.tally())
}

/// Sends events from several tasks at once while their runs end, some with a write, some with a failure.
async fn load(rig: &mut Rig, events: usize) -> Vec<EventId> {
    let platform = rig.platform.clone();
    let acme = rig.acme();
    let senders = (0..4).map(|sender| {
        let platform = platform.clone();
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for n in 0..events / 4 {
                let key = format!("{sender}-{n}");
                let event = rig::event("one", "text/plain", &key);
                let answer = platform.send(acme, event, n.is_multiple_of(2).then_some(&key)).await;
                let flyball_server::platform::SendAnswer::Accepted { id, .. } = answer else {
                    panic!("{answer:?}")
                };
                ids.push(id);
            }
            ids
        })
    });
    let senders: Vec<_> = senders.collect();
    let (mut over, mut runs) = (0, 0);
    let limit = Instant::now() + Duration::from_secs(20);
    while over < events as u64 {
        assert!(Instant::now() < limit, "only {over} of {events} are over");
        if let Ok(job) = rig.jobs.try_recv() {
            runs += 1;
            match runs % 5 {
                // Its attempts are three: some die.
                0 => end(job, &[], Err(Failure::new(FailureKind::Retry, "again"))).await,
                1 => end(job, &[set("1")], Ok("written")).await,
                _ => end(job, &[], Ok("done")).await,
            }
        } else {
            tokio::task::yield_now().await;
        }
        let counts = rig.platform.counts();
        over = counts.done + counts.dead;
    }
    let mut ids = Vec::new();
    for sender in senders {
        ids.extend(sender.await.unwrap());
    }
    ids
}

/// The state that the metrics tell of the recording.
fn state(rig: &Rig) -> String {
    let metrics = rig.platform.metrics();
    let is = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("flyball_recording{state=\"")?.strip_suffix("\"} 1"));
    let states: Vec<&str> = is.collect();
    assert_eq!(states.len(), 1, "{metrics}");
    states[0].to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_recorded_replays_exactly() {
    let disk = Disk::default();
    let store = Arc::new(Memory::new());
    let mut rig = Rig::recorded(APPLICATION, store.clone(), Some(disk.record()));
    load(&mut rig, 400).await;
    assert_eq!(state(&rig), "on");
    until("the log's length is told", || {
        let metrics = rig.platform.metrics();
        let bytes = metrics.lines().find_map(|line| line.strip_prefix("flyball_recording_log_bytes "))?;
        (bytes.parse::<u64>().unwrap() > 5_000).then_some(())
    })
    .await;
    let counts = rig.platform.counts();
    tokio::task::spawn_blocking(move || rig.platform.close()).await.unwrap();
    let tally = replay(&disk.bytes()).unwrap();
    assert_eq!((tally.engines, tally.end, tally.build.as_str()), (1, Some(End::Closed), "test"));
    assert_eq!(tally.counts.accepted, 400);
    assert_eq!((tally.counts.done, tally.counts.dead), (counts.done, counts.dead));
    assert_eq!(tally.counts.retried, counts.retried);
    assert!(tally.steps > 1_200, "{}", tally.steps);

    // Another process on the same data: what it restores is in its log.
    let disk = Disk::default();
    let mut rig = Rig::recorded(APPLICATION, store, Some(disk.record()));
    let again = rig.send("one", "0-0", Some("0-0")).await.unwrap();
    assert!(again.1, "its key is remembered");
    load_with(&mut rig).await;
    tokio::task::spawn_blocking(move || rig.platform.close()).await.unwrap();
    let tally = replay(&disk.bytes()).unwrap();
    assert_eq!((tally.counts.accepted, tally.counts.duplicates, tally.end), (1, 1, Some(End::Closed)));
}

/// One event, start to end.
async fn load_with(rig: &mut Rig) {
    let before = rig.platform.counts().done;
    rig.send("one", "new", None).await.unwrap();
    end(rig.job().await, &[], Ok("done")).await;
    until("it is done", || (rig.platform.counts().done > before).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_that_fails_begins_another_engine_in_the_same_log() {
    let disk = Disk::default();
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut rig = Rig::recorded(APPLICATION, store.clone(), Some(disk.record()));
    load(&mut rig, 40).await;
    store.fail_after_next_commit();
    let answer = rig.send("one", "unknown", None).await;
    assert!(answer.is_err(), "{answer:?}");
    until("it is open again", || rig.platform.not_ready().is_none().then_some(())).await;
    end(rig.job().await, &[], Ok("it was written")).await;
    until("it is done", || (rig.platform.counts().done == 1).then_some(())).await;
    tokio::task::spawn_blocking(move || rig.platform.close()).await.unwrap();
    let tally = replay(&disk.bytes()).unwrap();
    assert_eq!((tally.engines, tally.end), (2, Some(End::Closed)));
    assert_eq!(tally.counts.done + tally.counts.dead, 41);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_does_not_keep_up_ends_the_recording_and_not_the_service() {
    let disk = Disk::default();
    let record = Record { unwritten_bytes_max: 20_000, ..disk.record() };
    let mut rig = Rig::recorded(APPLICATION, Arc::new(Memory::new()), Some(record));
    until("the head is written", || (disk.bytes().len() > 16).then_some(())).await;
    disk.set(|disk| disk.stopped = true);
    load(&mut rig, 200).await;
    assert_eq!(state(&rig), "too-slow", "told while the disk stands still");
    disk.set(|disk| disk.stopped = false);
    tokio::task::spawn_blocking(move || rig.platform.close()).await.unwrap();
    let tally = replay(&disk.bytes()).unwrap();
    assert_eq!(tally.end, Some(End::TooSlow { unwritten_bytes_max: 20_000 }));
    assert!(tally.steps > 4 && tally.counts.done < 200, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_that_is_full_ends_with_a_note_and_keeps_its_bound() {
    let disk = Disk::default();
    let record = Record { log_bytes_max: 20_000, ..disk.record() };
    let mut rig = Rig::recorded(APPLICATION, Arc::new(Memory::new()), Some(record));
    load(&mut rig, 400).await;
    until("it is told", || (state(&rig) == "log-full").then_some(())).await;
    tokio::task::spawn_blocking(move || rig.platform.close()).await.unwrap();
    let log = disk.bytes();
    assert!(log.len() < 20_100, "{}", log.len());
    let tally = replay(&log).unwrap();
    assert_eq!(tally.end, Some(End::LogFull { log_bytes_max: 20_000 }));
    assert!(tally.steps > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_that_breaks_stops_nothing_and_replays_as_far_as_it_goes() {
    let disk = Disk::default();
    let mut rig = Rig::recorded(APPLICATION, Arc::new(Memory::new()), Some(disk.record()));
    load(&mut rig, 40).await;
    until("something is written", || (disk.bytes().len() > 5_000).then_some(())).await;
    disk.set(|disk| disk.broken = true);
    load_with(&mut rig).await;
    until("it is told", || (state(&rig) == "failed").then_some(())).await;
    tokio::task::spawn_blocking(move || rig.platform.close()).await.unwrap();
    let tally = replay(&disk.bytes()).unwrap();
    assert_eq!(tally.end, None);
    assert!(tally.steps > 10);
}
