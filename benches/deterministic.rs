//! Deterministic runs, as the simulator makes them: what fuel costs beside the epochs of `serve`, how many runs a
//! second there are, and how many units of fuel one microsecond of this machine is.
//!
//! `--rounds 7`, `--steps 2000000` (of the busy loop), `--runs 2000` (of the short ones).

use std::{
    cell::Cell,
    error::Error,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use flyball_benches::{Arguments, Contestant, Promise, Report, bare, interleaved, process::root};
use flyball_core::{
    Attributes, Body, Envelope, EventId, Lineage, Name, Seq, Span, TenantId, Time,
    invocation::{HostCall, HostReply, Invocation},
    model::Shared,
};
use flyball_host::{
    Backend, BoxFuture, Delivery, FirstSlice, HostConfig, Input, LoadedFunction, Run, WasmHost,
    deterministic::{Begin, Function, Pause, Runner, RunnerConfig},
};

/// As in the binary, and for all that this process runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPLICATION: &str = r#"
[application]
name = "deterministic"

[function.f]
component = "f.wasm"
memory = "64MiB"
timeout = "60s"
grants.kv = { reports = "read-write" }
grants.emit = ["announcements"]

[topic.announcements]
subscribers = []
"#;

/// What `report` of codewatch folds.
const FOUND: &str = r#"{"repository":"a/b","commit":"c0ffee","path":"p.rs",
    "findings":[{"fingerprint":"f1","rule":"r","line":1},{"fingerprint":"f2","rule":"r","line":2}]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let rounds = arguments.number("rounds", 7) as usize;
    let runs = arguments.number("runs", 2_000) as usize;
    let work = format!("work {}", arguments.number("steps", 2_000_000));
    let cache = tempfile::tempdir()?;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let config = HostConfig { threads: Some(1), limits: bare::limits(), ..HostConfig::new(cache.path()) };
    let host = WasmHost::new(config, io.handle())?;
    let runner = Runner::new(RunnerConfig {
        cache_directory: cache.path().into(),
        cache_bytes_max: 1 << 30,
        limits: bare::limits(),
        fuel_per_us: 1_000,
    })?;
    let memory = bare::MEMORY_BYTES_MAX as u64;
    let read = |path: &str| std::fs::read(root().join(path));
    let script = read("tests/guests/dist/script.wasm")?;
    let served = Arc::new(host.load(&script, memory)?);
    let scene = Scene { application: Arc::new(flyball_app::read("flyball.toml", APPLICATION)?.application) };
    let script = runner.load(&script, memory)?;
    let hello = runner.load(&read("tests/guests/dist/event-hello.wasm")?, memory)?;
    let report_js = runner.load(&read("examples/codewatch/functions/dist/report.wasm")?, memory)?;
    let (fuel, report_fuel) = (Cell::new(0), Cell::new(0));
    let medians = interleaved(
        rounds,
        &mut [
            Box::new(|| scene.serves(&host, &served, &work)) as Contestant<'_>,
            Box::new(|| {
                let begun = Instant::now();
                fuel.set(scene.simulates(&runner, &script, &work));
                micros(begun.elapsed())
            }),
            Box::new(|| scene.each(&runner, &hello, "hello", runs)),
            Box::new(|| {
                report_fuel.set(scene.simulates(&runner, &report_js, FOUND));
                scene.each(&runner, &report_js, FOUND, runs)
            }),
        ],
    );
    let mut report = Report::new("deterministic", format!("{rounds} rounds in turns, `{work}`"), &arguments);
    if let [epochs, fueled, hello, report_js] = medians[..] {
        report.figure("a busy loop under serve's host", epochs / 1_000.0, "ms");
        report.figure("the same, deterministic", fueled / 1_000.0, "ms");
        report.promised("deterministic / serve's host", fueled / epochs, "×", Promise::AtMost(2.5));
        report.figure("fuel of one microsecond, the busy loop", fuel.get() as f64 / fueled, "units");
        report.figure("the same, codewatch's report", report_fuel.get() as f64 / report_js, "units");
        report.promised("short runs in Rust", 1e6 / hello, "runs/s", Promise::AtLeast(10_000.0));
        report.figure("runs of codewatch's report, JavaScript", 1e6 / report_js, "runs/s");
    }
    report.finish();
    Ok(())
}

fn micros(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1_000.0
}

struct Scene {
    application: Shared,
}

impl Scene {
    fn invocation(&self) -> Invocation {
        let invocation = Invocation::new(self.application.clone(), "f", TenantId(1));
        invocation.unwrap_or_else(|| unreachable!("the application has the function"))
    }

    fn input(&self, number: u64, body: &str) -> Input {
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
        Input::Events(vec![Delivery { envelope, body: Body::from(body.as_bytes()), attempt: 1 }])
    }

    /// One run by the host of `serve`, µs.
    fn serves(&self, host: &WasmHost, function: &Arc<LoadedFunction>, body: &str) -> f64 {
        let (tell, ended) = mpsc::channel();
        let begun = Instant::now();
        host.start(Run {
            function: function.clone(),
            invocation: self.invocation(),
            tenant: "acme".into(),
            input: self.input(1, body),
            deadline: begun + Duration::from_secs(60),
            response_bytes_max: 1 << 20,
            backend: Arc::new(Nothing),
            first_slice: FirstSlice::Queued,
            done: Box::new(move |finished| drop(tell.send(finished))),
        });
        check(ended.recv().ok().map(|finished| finished.outcome));
        micros(begun.elapsed())
    }

    /// One deterministic run: its fuel.
    fn simulates(&self, runner: &Runner, function: &Function, body: &str) -> u64 {
        let mut running = runner.begin(Begin {
            function: function.clone(),
            invocation: self.invocation(),
            tenant: "acme".into(),
            input: self.input(1, body),
            now: Time(1),
            lasts_max: Span::from_secs(60),
            seed: 1,
            response_bytes_max: 1 << 20,
        });
        let mut answers = |call: HostCall| match call {
            HostCall::KvRead(..) => HostReply::Value(None, 0),
            _ => HostReply::Done,
        };
        match running.go_on(runner, Time(1), &mut answers) {
            Pause::Ended { finished, .. } => check(Some(finished.outcome)),
            Pause::Asks { .. } => eprintln!("a run asks for what nobody has"),
        }
        running.fuel()
    }

    /// What one of many takes, µs.
    fn each(&self, runner: &Runner, function: &Function, body: &str, runs: usize) -> f64 {
        let begun = Instant::now();
        for _ in 0..runs {
            self.simulates(runner, function, body);
        }
        micros(begun.elapsed()) / runs.max(1) as f64
    }
}

/// A run that failed is no figure.
fn check(outcome: Option<flyball_core::Outcome>) {
    let verdict = outcome.as_ref().and_then(|outcome| outcome.results.first()).map(|result| &result.verdict);
    if !matches!(verdict, Some(Ok(_))) {
        eprintln!("a run failed: {verdict:?}");
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
