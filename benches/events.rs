//! Durable events through their whole cycle: accepted (fsync), attempt recorded (fsync), a Rust component
//! run on a batch of ten, outcome and acknowledgement committed (fsync). Beside the store's own bare cycle,
//! which writes the same records with nobody to decide or run anything; and, where it is named, beside
//! Redis streams with `appendfsync always` and a consumer that does nothing.
//!
//! `--events 100000`, `--rounds 5`, `--senders 512`; `--redis PATH` (redis-server) adds the peer.

use std::{
    error::Error,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use flyball_benches::{
    Arguments, Contestant, Promise, Report, interleaved, platform, process::root, redis::Redis,
};
use flyball_core::{
    Attributes, Body, Envelope, EventId, Lineage, Name, Seq, Span, TenantId, Time,
    record::{self, Encoded, Waiting},
};
use flyball_server::platform::{NewEvent, Platform, SendAnswer};
use flyball_store::{Batch, Bytes, Store as _, Table, Write, embedded::Embedded, embedded::Options};

/// As in the binary, and for all that this process runs: the bare loop too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPLICATION: &str = r#"
[application]
name = "events"

[limits]
concurrency = { cap = 32 }

[function.hello]
component = "event-hello.wasm"
memory = "64MiB"
timeout = "10s"

[queue.work]
function = "hello"
batch_max = 10
"#;

const TENANTS: usize = 10;
const BODY: [u8; 1_024] = [b'x'; 1_024];
/// Operations in one transaction of the bare cycle, a third of each kind.
const GROUP: usize = 510;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let events = arguments.number("events", 100_000);
    let rounds = arguments.number("rounds", 5) as usize;
    let senders = arguments.number("senders", 512) as usize;
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("flyball.toml"), APPLICATION)?;
    fs::copy(root().join("tests/guests/dist/event-hello.wasm"), directory.path().join("event-hello.wasm"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let platform = runtime.block_on(async { platform::open(directory.path()) })?;
    for tenant in 0..TENANTS {
        platform.create_tenant(Name::new(&format!("t{tenant}"))?)?;
    }
    let bare = Bare::open(&directory.path().join("bare"))?;
    let redis = arguments.get("redis").map(|path| Redis::start(path, directory.path())).transpose()?;
    let conditions = format!(
        "1 KiB, batches of 10, {senders} senders that each wait for durable, {rounds} rounds of {events} events \
         in turns"
    );
    let mut report = Report::new("events", conditions, &arguments);
    let mut contestants: Vec<Contestant<'_>> = vec![
        Box::new(|| runtime.block_on(cycle(&platform, events, senders))),
        Box::new(|| bare.cycle(events)),
    ];
    if let Some(redis) = &redis {
        contestants.push(Box::new(|| rate(redis.cycle(events, senders, &BODY))));
    }
    let rates = interleaved(rounds, &mut contestants);
    drop(contestants);
    if let [ours, bare, ..] = rates[..] {
        report.figure("flyball, whole cycle", ours, "events/s");
        report.figure("the store's bare cycle", bare, "events/s");
        report.promised("flyball / bare cycle", ours / bare, "×", Promise::AtLeast(0.25));
        if let Some(redis) = rates.get(2) {
            report.figure("Redis streams, appendfsync always", *redis, "events/s");
            report.promised("flyball / Redis", ours / redis, "×", Promise::AtLeast(1.0));
        }
    }
    report.finish();
    platform.close();
    Ok(())
}

fn rate(measured: std::io::Result<f64>) -> f64 {
    measured.unwrap_or_else(|error| {
        eprintln!("Redis: {error}");
        0.0
    })
}

/// Events a second, from the first send to the last outcome.
async fn cycle(platform: &Arc<Platform>, events: u64, senders: usize) -> f64 {
    let done = platform.counts().done;
    let begun = Instant::now();
    let each = events / senders as u64;
    let tasks: Vec<_> = (0..senders)
        .map(|sender| {
            let platform = platform.clone();
            tokio::spawn(async move {
                let tenant = TenantId((sender % TENANTS) as u32 + 1);
                for _ in 0..each {
                    if let SendAnswer::Refused(refusal) = platform.send(tenant, event(), None).await {
                        eprintln!("refused: {refusal:?}");
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        drop(task.await);
    }
    let wanted = done + each * senders as u64;
    while platform.counts().done < wanted {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (each * senders as u64) as f64 / begun.elapsed().as_secs_f64()
}

fn attributes() -> Attributes {
    Attributes {
        kind: "work".into(),
        source: "/bench".into(),
        subject: None,
        content_type: "application/octet-stream".into(),
    }
}

fn event() -> NewEvent {
    NewEvent {
        target: "work".into(),
        attributes: attributes(),
        body: Body::from(&BODY[..]),
        delay: Span::ZERO,
    }
}

/// The store alone, with the records that an event leaves on its way.
struct Bare {
    store: Embedded,
    queue: Name,
}

impl Bare {
    fn open(directory: &Path) -> Result<Bare, Box<dyn Error>> {
        Ok(Bare { store: Embedded::open(directory, Options::default())?, queue: Name::new("work")? })
    }

    /// Events a second: each transaction accepts a third, records an attempt of the third before, and
    /// removes the third before that.
    fn cycle(&self, events: u64) -> f64 {
        let each = (GROUP / 3) as u64;
        let begun = Instant::now();
        let groups = events.div_ceil(each);
        for group in 0..groups + 2 {
            let mut batches = Vec::with_capacity(GROUP);
            let of = |back: u64| {
                let group = group.checked_sub(back).filter(|group| *group < groups);
                group.into_iter().flat_map(move |group| group * each..(group + 1) * each)
            };
            batches.extend(of(0).map(|seq| self.batch(self.accept(Seq(seq)))));
            batches.extend(of(1).map(|seq| {
                let waiting = self.waiting(Seq(seq), 1);
                self.batch(record::Write::Update { seq: Seq(seq), waiting })
            }));
            batches
                .extend(of(2).map(|seq| self.batch(record::Write::Remove { seq: Seq(seq), noted: false })));
            if let Err(error) = self.store.commit(&batches) {
                eprintln!("the bare cycle: {error}");
            }
        }
        (groups * each) as f64 / begun.elapsed().as_secs_f64()
    }

    fn accept(&self, seq: Seq) -> record::Write {
        let waiting = self.waiting(seq, 0);
        let envelope = Envelope {
            id: waiting.id,
            tenant: waiting.tenant,
            target: self.queue.clone(),
            attributes: attributes(),
            time: Time(1),
            lineage: Lineage::edge(waiting.id),
        };
        record::Write::Accept { seq, waiting, envelope: Box::new(envelope), body: Body::from(&BODY[..]) }
    }

    fn waiting(&self, seq: Seq, attempt: u16) -> Waiting {
        Waiting {
            id: EventId::at_edge(1, 1, seq),
            tenant: TenantId(1),
            queue: self.queue.clone(),
            body_bytes: BODY.len() as u32,
            attempt,
            running: (attempt > 0).then_some(1),
            crashes: 0,
            conflicts: 0,
            notes: 0,
            accepted: Time(1),
            not_before: Time(1),
            remember: None,
        }
    }

    fn batch(&self, write: record::Write) -> Batch {
        let table = |table| match table {
            record::Table::State => Table::State,
            record::Table::Events => Table::Events,
            record::Table::Bodies => Table::Bodies,
            _ => Table::History,
        };
        let writes = write.encode().into_iter().map(|encoded| match encoded {
            Encoded::Put(into, key, value) => {
                Write::Put { table: table(into), key, value: Bytes::copy_from_slice(&value) }
            }
            Encoded::Delete(from, key) => Write::Delete { table: table(from), key },
            Encoded::DeletePrefix(from, prefix) => Write::DeletePrefix { table: table(from), prefix },
        });
        Batch { checks: Vec::new(), writes: writes.collect() }
    }
}
