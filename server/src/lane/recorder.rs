//! Records what the engine is told, for a replay: docs/record-and-replay.md.
//!
//! Under the lane's lock a step is given its number, and nothing more. Copies are made before it, effects
//! are hashed after it, by whoever stepped; a thread puts the steps in order, encodes and writes them. What
//! is not written yet is bounded: a disk that does not keep up ends the recording, never the service.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use flyball_core::{
    Effect, Input, Settings, Time,
    journal::{EffectsHash, Encoder, End, Entry, Head, Step},
    model::Shared,
};

use super::{locked, poll};

/// How often what was recorded is written: what a killed process leaves out of the log.
const WRITE_EVERY: Duration = Duration::from_millis(20);
/// Written at once, about.
const PIECE_BYTES: usize = 1 << 20;
/// How long the opening of a lane waits for the log's disk at most, each time.
const OPENING_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where a recording goes, and within which bounds.
pub struct Record {
    /// The log: written from its start, by one thread.
    pub to: Box<dyn Write + Send>,
    /// The build, for whoever replays it: version and a hash of the program.
    pub build: String,
    /// How long the log may become, bytes. Past it the recording ends.
    pub log_bytes_max: u64,
    /// What may be recorded and not written yet, in memory, bytes. Past it the recording ends.
    pub unwritten_bytes_max: u64,
}

impl Record {
    /// The longest log where nothing is said, bytes.
    pub const LOG_BYTES_MAX: u64 = 8 << 30;
    /// What may be unwritten, bytes.
    pub const UNWRITTEN_BYTES_MAX: u64 = 64 << 20;
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("build", &self.build).finish_non_exhaustive()
    }
}

/// An entry on its way to the log.
struct Item {
    entry: Entry,
    weight_bytes: u64,
}

/// What was recorded and is not with the thread yet.
#[derive(Default)]
struct Taken {
    items: Vec<(u64, Item)>,
    /// Of these, and of what the thread has not written.
    unwritten_bytes: u64,
    /// Nothing more is taken, for this reason.
    end: Option<End>,
}

/// See the module's text.
pub(super) struct Recorder {
    on: AtomicBool,
    next: AtomicU64,
    taken: Mutex<Taken>,
    changed: Condvar,
    unwritten_bytes_max: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The log could not be written.
    failed: AtomicBool,
    log_bytes: AtomicU64,
}

/// How a recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    /// `on`, or why there is no more: `closed`, `too-slow`, `log-full`, `entry-too-large`, `failed`.
    pub state: &'static str,
    /// What is written of the log, bytes.
    pub log_bytes: u64,
}

impl Recording {
    /// Every state.
    pub const STATES: [&'static str; 6] =
        ["on", "closed", "too-slow", "log-full", "entry-too-large", "failed"];
}

/// What is fed to the engine under one lock, with copies of it.
pub(super) struct Tape {
    inputs: Vec<Input>,
    /// The number of the first.
    first: u64,
    now: Time,
    /// How many effects there were after each.
    ends: Vec<usize>,
}

impl Tape {
    /// Copies what will be fed. Before the lock.
    pub(super) fn of(inputs: &[Input]) -> Tape {
        Tape { inputs: inputs.to_vec(), first: 0, now: Time(0), ends: Vec::with_capacity(inputs.len()) }
    }

    /// The lock is held: it begins at this time, with this number.
    pub(super) fn begin(&mut self, recorder: &Recorder, now: Time) {
        self.now = now;
        self.first = recorder.take_numbers(self.inputs.len() as u64);
    }

    /// One was fed; there are so many effects now.
    pub(super) fn fed(&mut self, effects: usize) {
        self.ends.push(effects);
    }
}

impl Recorder {
    /// Begins a log, and the thread that writes it.
    pub(super) fn start(record: Record, application: &Shared) -> io::Result<Arc<Recorder>> {
        let recorder = Arc::new(Recorder {
            on: AtomicBool::new(true),
            next: AtomicU64::new(1),
            taken: Mutex::default(),
            changed: Condvar::new(),
            unwritten_bytes_max: record.unwritten_bytes_max,
            thread: Mutex::new(None),
            failed: AtomicBool::new(false),
            log_bytes: AtomicU64::new(0),
        });
        let head = Head { build: record.build, application: (***application).clone() };
        let mut log = Log::begin(record.to, record.log_bytes_max);
        let writes = recorder.clone();
        let thread = thread::Builder::new().name("flyball-recorder".into());
        let thread = thread.spawn(move || match log.run(&writes, head) {
            Ok(end) => writes.ended(end, log.written_bytes),
            Err(error) => writes.failed(&error, log.written_bytes),
        })?;
        *locked(&recorder.thread) = Some(thread);
        Ok(recorder)
    }

    /// How it stands.
    pub(super) fn recording(&self) -> Recording {
        let state = match locked(&self.taken).end {
            _ if self.failed.load(Ordering::Relaxed) => "failed",
            None => "on",
            Some(End::Closed) => "closed",
            Some(End::TooSlow { .. }) => "too-slow",
            Some(End::LogFull { .. }) => "log-full",
            Some(End::EntryTooLarge { .. }) => "entry-too-large",
        };
        Recording { state, log_bytes: self.log_bytes.load(Ordering::Relaxed) }
    }

    /// Whether anything is recorded still. Once it is not it never is again.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The numbers of the next entries. Under the lane's lock, so that they are in the order of the steps.
    fn take_numbers(&self, count: u64) -> u64 {
        self.next.fetch_add(count, Ordering::Relaxed)
    }

    /// A new engine begins.
    pub(super) fn engine(&self, settings: Settings) {
        let number = self.take_numbers(1);
        self.add([(number, Item { entry: Entry::Engine(settings), weight_bytes: 64 })]);
    }

    /// What was fed under one lock, which is let go of, with what it led to.
    pub(super) fn fed(&self, tape: Tape, effects: &[Effect]) {
        let Tape { inputs, first, now, ends } = tape;
        let mut from = 0;
        let items = inputs.into_iter().zip(ends).enumerate().map(|(index, (input, end))| {
            let own = effects.get(from..end).unwrap_or_default();
            from = end;
            let weight_bytes = input.weight_bytes();
            let entry = Entry::Step(Step { now, input, effects: EffectsHash::of(own) });
            (first + index as u64, Item { entry, weight_bytes })
        });
        let items: Vec<_> = items.collect();
        self.add(items);
    }

    fn add(&self, items: impl IntoIterator<Item = (u64, Item)>) {
        let mut taken = locked(&self.taken);
        for (number, item) in items {
            if taken.end.is_some() {
                return;
            }
            taken.unwritten_bytes += item.weight_bytes;
            taken.items.push((number, item));
            if taken.unwritten_bytes > self.unwritten_bytes_max {
                taken.end = Some(End::TooSlow { unwritten_bytes_max: self.unwritten_bytes_max });
                self.on.store(false, Ordering::Relaxed);
            }
        }
    }

    /// While a lane is opened there is more to record than memory may hold: waits for the disk, for a while.
    pub(super) fn wait_for_room(&self) {
        let end = Instant::now() + OPENING_WAIT_MAX;
        let mut taken = locked(&self.taken);
        while taken.end.is_none()
            && taken.unwritten_bytes > self.unwritten_bytes_max / 2
            && Instant::now() < end
        {
            taken = self.wait(taken);
        }
    }

    fn wait<'a>(&self, taken: MutexGuard<'a, Taken>) -> MutexGuard<'a, Taken> {
        self.changed.wait_timeout(taken, WRITE_EVERY).unwrap_or_else(PoisonError::into_inner).0
    }

    /// What was recorded since, in no order, and why there will be no more. Waits a while for it.
    fn take(&self) -> (Vec<(u64, Item)>, Option<End>) {
        let mut taken = locked(&self.taken);
        if taken.end.is_none() {
            taken = self.wait(taken);
        }
        (std::mem::take(&mut taken.items), taken.end)
    }

    fn written(&self, weight_bytes: u64, log_bytes: u64) {
        self.log_bytes.store(log_bytes, Ordering::Relaxed);
        let mut taken = locked(&self.taken);
        taken.unwritten_bytes = taken.unwritten_bytes.saturating_sub(weight_bytes);
        drop(taken);
        self.changed.notify_all();
    }

    /// Nothing more is recorded. What was is written, without anybody waiting for it.
    pub(super) fn end(&self) {
        self.end_for(End::Closed);
    }

    /// The same; why, where nothing has ended it before.
    fn end_for(&self, why: End) {
        // In this order: whoever sees that it is off steps without a number, and nothing with a later one
        // may be taken then.
        locked(&self.taken).end.get_or_insert(why);
        self.on.store(false, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// The same, and waits for the log to be written, for so long at most.
    pub(super) fn close(&self, wait: Duration) {
        self.end();
        let Some(thread) = locked(&self.thread).take() else { return };
        if poll(wait, || thread.is_finished()) {
            drop(thread.join());
        } else {
            tracing::error!("the log's disk does not answer; the recording's last steps are not in the log");
        }
    }

    fn ended(&self, end: End, log_bytes: u64) {
        let why = match end {
            End::Closed => return tracing::info!(log_bytes, "the recording is complete"),
            End::TooSlow { unwritten_bytes_max } => format!(
                "the log's disk does not keep up: more than {unwritten_bytes_max} bytes were not written; \
                 record to a faster disk"
            ),
            End::LogFull { log_bytes_max } => format!(
                "the log has {log_bytes_max} bytes, which is --record-mib-max; raise it to record for longer"
            ),
            End::EntryTooLarge { bytes } => {
                format!("an input has {bytes} bytes, more than an entry of the log may have")
            }
        };
        tracing::error!(log_bytes, "the recording has ended: {why}. The service goes on");
    }

    fn failed(&self, error: &io::Error, log_bytes: u64) {
        self.failed.store(true, Ordering::Relaxed);
        self.end();
        locked(&self.taken).items.clear();
        tracing::error!(%error, log_bytes, "the recording has ended: its log can't be written. The service goes on");
    }
}

/// The log, as its thread has it.
struct Log {
    to: Box<dyn Write + Send>,
    encoder: Encoder,
    bytes: Vec<u8>,
    written_bytes: u64,
    log_bytes_max: u64,
    /// The number of the next entry.
    next: u64,
    /// What came before its turn.
    early: BTreeMap<u64, Item>,
}

impl Log {
    fn begin(to: Box<dyn Write + Send>, log_bytes_max: u64) -> Log {
        let mut bytes = Vec::new();
        let encoder = Encoder::begin(&mut bytes);
        Log { to, encoder, bytes, written_bytes: 0, log_bytes_max, next: 1, early: BTreeMap::new() }
    }

    /// Writes until there is no more. Answers why there is not.
    fn run(&mut self, recorder: &Recorder, head: Head) -> io::Result<End> {
        let mut end = self.encode(&Entry::Head(Box::new(head)));
        while end.is_none() {
            self.write()?;
            let (items, last) = recorder.take();
            self.early.extend(items);
            end = self.write_whole(recorder)?.or(last);
        }
        let end = end.unwrap_or(End::Closed);
        recorder.end_for(end);
        // It is short, and nothing is before it that it does not fit behind.
        let _ = self.encoder.encode(&Entry::End(end), &mut self.bytes);
        self.write()?;
        self.to.flush()?;
        locked(&recorder.taken).items.clear();
        Ok(end)
    }

    /// Writes what is there without a gap.
    fn write_whole(&mut self, recorder: &Recorder) -> io::Result<Option<End>> {
        let mut weight_bytes = 0;
        while let Some(item) = self.early.remove(&self.next) {
            self.next += 1;
            weight_bytes += item.weight_bytes;
            if let Some(end) = self.encode(&item.entry) {
                return Ok(Some(end));
            }
            if self.bytes.len() >= PIECE_BYTES {
                self.write()?;
                recorder.written(std::mem::take(&mut weight_bytes), self.written_bytes);
            }
        }
        self.write()?;
        recorder.written(weight_bytes, self.written_bytes);
        Ok(None)
    }

    /// The entry as bytes that are not written yet; why the log ends here if it does not fit.
    fn encode(&mut self, entry: &Entry) -> Option<End> {
        // What is encoded and does not fit is not written, and nothing is after it but the end.
        let (encoder, before) = (self.encoder.clone(), self.bytes.len());
        if let Err(too_large) = self.encoder.encode(entry, &mut self.bytes) {
            return Some(End::EntryTooLarge { bytes: too_large.bytes });
        }
        if self.written_bytes + self.bytes.len() as u64 > self.log_bytes_max {
            self.bytes.truncate(before);
            self.encoder = encoder;
            return Some(End::LogFull { log_bytes_max: self.log_bytes_max });
        }
        None
    }

    fn write(&mut self) -> io::Result<()> {
        self.to.write_all(&self.bytes)?;
        self.written_bytes += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}
