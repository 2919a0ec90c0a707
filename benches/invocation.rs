//! A warm invocation within the process: a fresh instance, a call, and its end, by the host with its
//! executor, deadline, limits and outcome; beside Wasmtime alone on an engine of the same configuration.
//! And a cold start: from the compiled artifact on disk to the first answer.
//!
//! Latency is what passes between two ends on one executor thread that always has the next run queued: all
//! that a run costs, from its request to its outcome, without what it waits. The bare loop is timed in the
//! same way.
//!
//! `--runs 20000`, `--rounds 7`.

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::{Duration, Instant},
};

use flyball_benches::{Arguments, Contestant, Promise, Report, bare, interleaved, process::root, quantile};
use flyball_core::{
    Attributes, Body, Envelope, EventId, Lineage, Name, Seq, TenantId, Time,
    invocation::{HostCall, HostReply, Invocation},
    model::Shared,
};
use flyball_host::{
    Backend, BoxFuture, Delivery, Done, Finished, FirstSlice, HostConfig, Input, LoadedFunction, Run, Source,
    WasmHost,
};

/// As in the binary, and for all that this process runs: the bare loop too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPLICATION: &str = r#"
[application]
name = "invocation"

[function.hello]
component = "event-hello.wasm"
memory = "64MiB"
timeout = "60s"

[queue.work]
function = "hello"
"#;

/// Runs that are queued or run.
const QUEUED: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let runs = arguments.number("runs", 20_000) as usize;
    let rounds = arguments.number("rounds", 7) as usize;
    let bytes = std::fs::read(root().join("tests/guests/dist/event-hello.wasm"))?;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let cache = tempfile::tempdir()?;
    let config = HostConfig { threads: Some(1), limits: bare::limits(), ..HostConfig::new(cache.path()) };
    let host = WasmHost::new(config, io.handle())?;
    let function = Arc::new(host.load(&bytes, bare::MEMORY_BYTES_MAX as u64)?);
    let application = flyball_app::read("flyball.toml", APPLICATION)?.application;
    let scene = Arc::new(Scene { application: Arc::new(application), host });
    let (engine, allocation) = flyball_host::bare_engine(&bare::limits())?;
    let alone = bare::Events::new(engine, &bytes, &DATA)?;
    let here = tokio::runtime::Builder::new_current_thread().build()?;
    let medians = interleaved(
        rounds,
        &mut [
            Box::new(|| scene.gaps(&function, runs)) as Contestant<'_>,
            Box::new(|| here.block_on(bare_gaps(&alone, runs))),
        ],
    );
    let conditions = format!(
        "a trivial Rust component, 1 KiB of data, {rounds} rounds of {runs} runs in turns; {allocation:?}"
    );
    let mut report = Report::new("invocation", conditions, &arguments);
    if let [ours, bare] = medians[..] {
        report.promised("by the host, p50", ours, "µs", Promise::AtMost(15.0));
        report.figure("Wasmtime alone, p50", bare, "µs");
        report.promised("by the host / Wasmtime alone", ours / bare, "×", Promise::AtMost(1.3));
    }
    let cold: Result<Vec<f64>, _> = (0..COLD_STARTS).map(|_| scene.cold_start(&bytes)).collect();
    let mut cold = cold?;
    report.promised("cold start, p50", quantile(&mut cold, 0.5), "µs", Promise::AtMost(1_000.0));
    report.figure("cold start, p99", quantile(&mut cold, 0.99), "µs");
    report.finish();
    Ok(())
}

/// Cold starts that are measured.
const COLD_STARTS: usize = 300;
const DATA: [u8; 1_024] = [b'x'; 1_024];

struct Scene {
    application: Shared,
    host: WasmHost,
}

impl Scene {
    fn start(&self, function: &Arc<LoadedFunction>, number: u64, done: Done) {
        let invocation = Invocation::new(self.application.clone(), "hello", TenantId(1));
        let id = EventId::at_edge(1, 1, Seq(number));
        let attributes = Attributes {
            kind: "work".into(),
            source: "/bench".into(),
            subject: None,
            content_type: "application/octet-stream".into(),
        };
        let envelope = Envelope {
            id,
            tenant: TenantId(1),
            target: Name::inbox_of(&self.application.name),
            attributes,
            time: Time(1),
            lineage: Lineage::edge(id),
        };
        self.host.start(Run {
            function: function.clone(),
            invocation: invocation.unwrap_or_else(|| unreachable!("the application has the function")),
            tenant: "acme".into(),
            input: Input::Events(vec![Delivery { envelope, body: Body::from(&DATA[..]), attempt: 1 }]),
            deadline: Instant::now() + Duration::from_secs(60),
            response_bytes_max: 1 << 20,
            backend: Arc::new(Nothing),
            first_slice: FirstSlice::Queued,
            done,
        });
    }

    /// The median time between two ends, µs. Each end starts another run, so that the executor's thread
    /// does all the work and never waits.
    fn gaps(self: &Arc<Self>, function: &Arc<LoadedFunction>, runs: usize) -> f64 {
        let (tell, ended) = mpsc::channel();
        let line = Arc::new(Line {
            scene: self.clone(),
            function: function.clone(),
            left: AtomicUsize::new(runs),
            ends: Mutex::new(Vec::with_capacity(runs)),
            tell,
        });
        (0..QUEUED).for_each(|_| line.next());
        ended.iter().take(QUEUED).for_each(drop);
        let ends = line.ends.lock().map(|ends| ends.clone()).unwrap_or_default();
        gaps(&ends)
    }

    /// From the artifact on disk to the first answer, µs: its file is mapped, linked, instantiated, called.
    fn cold_start(&self, bytes: &[u8]) -> Result<f64, Box<dyn Error>> {
        let (tell, ended) = mpsc::channel();
        let begun = Instant::now();
        let function = Arc::new(self.host.load(bytes, bare::MEMORY_BYTES_MAX as u64)?);
        if function.source() != Source::Cached {
            return Err("the component was compiled, not found in the cache".into());
        }
        self.start(&function, 1, Box::new(move |finished| drop(tell.send(finished))));
        check(&ended.recv()?);
        Ok(begun.elapsed().as_nanos() as f64 / 1_000.0)
    }
}

/// Runs that follow one another.
struct Line {
    scene: Arc<Scene>,
    function: Arc<LoadedFunction>,
    left: AtomicUsize,
    ends: Mutex<Vec<Instant>>,
    tell: mpsc::Sender<()>,
}

impl Line {
    fn next(self: &Arc<Self>) {
        let left = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        let Ok(number) = left else {
            // Whoever measures waits for it, or has failed.
            let _ = self.tell.send(());
            return;
        };
        let line = self.clone();
        let done = move |finished: Finished| {
            check(&finished);
            if let Ok(mut ends) = line.ends.lock() {
                ends.push(Instant::now());
            }
            line.next();
        };
        self.scene.start(&self.function, number as u64, Box::new(done));
    }
}

/// A run that failed is no figure.
fn check(finished: &Finished) {
    if let Some(Err(failure)) = finished.outcome.results.first().map(|result| &result.verdict) {
        eprintln!("a run failed: {failure:?}");
    }
}

/// A backend that is not asked anything.
struct Nothing;

impl Backend for Nothing {
    fn call(&self, _: HostCall) -> BoxFuture<HostReply> {
        Box::pin(std::future::ready(HostReply::Unavailable("there is no backend here".into())))
    }

    fn log(&self, _: HostCall) {}
}

fn gaps(ends: &[Instant]) -> f64 {
    let micros = |pair: &[Instant]| match pair {
        [before, after] => after.duration_since(*before).as_nanos() as f64 / 1_000.0,
        _ => 0.0,
    };
    quantile(&mut ends.windows(2).map(micros).collect::<Vec<_>>(), 0.5)
}

async fn bare_gaps(alone: &bare::Events, runs: usize) -> f64 {
    let mut ends = Vec::with_capacity(runs);
    for _ in 0..runs {
        if let Err(error) = alone.run().await {
            eprintln!("Wasmtime alone: {error:?}");
        }
        ends.push(Instant::now());
    }
    gaps(&ends)
}
