//! How fast `simulate` is: modelled runs a second of wall time on one core; a day of 10,000 tenants; a load line.
//!
//! Nothing stands beside it: what counts is how long somebody waits. Each part is a process of its own, so that its
//! peak of memory is its own. Invariants are checked after each step only with debug assertions: not here.
//!
//! `--rounds 5` of the runs a second; `--part NAME` is what the processes of parts are started with.

use std::{
    error::Error,
    fs,
    num::NonZeroUsize,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use flyball_app::workload;
use flyball_benches::{Arguments, Promise, Report, process::mib, quantile};
use flyball_sim::{
    line::{self, Hands, InTurn, Piece, Search},
    plan::Plan,
    result::{LineVerdict, RunResult},
};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One function that is called: a start and an end, two steps of the engine for each run.
const CALLS: &str = r#"
[application]
name = "calls"

[limits]
concurrency = { cap = 2_000 }
call_wait_max = "0s"

[function.answer]
component = "answer.wasm"
timeout = "50s"
"#;

/// Five functions in the shape of examples/codewatch: a webhook, a queue of batches, a queue, a topic; and readers.
/// Caps as small as make the load line lie near the stated traffic, so that the search is about runs of that size.
const FIVE: &str = r#"
[application]
name = "five"

[limits]
concurrency = { cap = 16 }
waiting_events_max = 500_000
call_wait_max = "5s"

[tenant_defaults]
concurrency = { cap = 8 }

[function.webhook]
component = "webhook.wasm"
timeout = "10s"
concurrency = { cap = 8, guarantee = 2 }
grants = { emit = ["files"] }

[function.scan]
component = "scan.wasm"
timeout = "30s"
concurrency = { cap = 4 }
grants = { emit = ["findings"] }

[function.report]
component = "report.wasm"
timeout = "30s"
concurrency = { cap = 8 }
grants = { kv = { reports = "read-write" }, emit = ["announcements"] }

[function.reports]
component = "reports.wasm"
concurrency = { cap = 4 }
grants = { kv = { reports = "read" } }

[function.notify]
component = "notify.wasm"
timeout = "15s"
concurrency = { cap = 8 }
inbox = { attempts_max = 5, retry = { base = "1s", max = "1m" } }

[[route]]
path = "/webhook"
methods = ["POST"]
function = "webhook"

[[route]]
path = "/reports"
methods = ["GET"]
function = "reports"

[queue.files]
function = "scan"
batch_max = 10
batch_window = "20ms"

[queue.findings]
function = "report"

[topic.announcements]
subscribers = [{ function = "notify" }]
"#;

/// An hour of 100,000 events.
const FIVE_TRAFFIC: &str = r#"
duration = "1h"

[traffic.pushes]
to = "POST /webhook"
peak_per_s = 26.8
tenants = 40
zipf = 1.0
event_bytes = "8KiB"
client = { timeout = "10s", retries = 3, retry_base = "2s" }

[traffic.readers]
to = "GET /reports"
peak_per_s = 1
tenants = 40
event_bytes = 0
client = { timeout = "10s" }

[function.webhook]
duration = { p50 = "1ms", p99 = "6ms" }
steps = [{ emit = "files", count = 1 }]

[function.scan]
per_item = { p50 = "80ms", p99 = "400ms" }
steps = [{ emit = "findings", per = "item", chance = 0.7, event_bytes = 512 }]

[function.report]
duration = { p50 = "3ms", p99 = "12ms" }
steps = [{ emit = "announcements", event_bytes = 512 }]

[function.reports]
duration = { p50 = "1ms", p99 = "4ms" }

[function.notify]
duration = "1ms"
steps = [{ call = "Receiver", timeout = "10s" }]

[dependency.Receiver]
servers = 8
service = { p50 = "40ms", p99 = "400ms" }

[store]
commit = { p50 = "2ms", p99 = "10ms" }
"#;

const RUNS: u64 = 3_000_000;
const DAY_EVENTS: u64 = 10_000_000;
const TENANTS: u32 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    if let Some(part) = arguments.get("part") {
        for figure in self::part(part)? {
            println!("{figure}");
        }
        return Ok(());
    }
    let rounds = arguments.number("rounds", 5);
    let conditions = format!(
        "one core, {} invariants; plain calls of a mean of 100 ms, {RUNS} runs in each of {rounds} rounds in turns, \
         medians; a day of {DAY_EVENTS} events; the load line of five functions, an hour of 100,000 events, thorough",
        if cfg!(debug_assertions) { "WITH" } else { "without" }
    );
    let mut report = Report::new("simulate", conditions, &arguments);
    speed(&mut report, rounds)?;
    let [seconds, memory, events, ..] = process("day")?;
    report.promised("a day of 10,000 tenants", seconds, "s", Promise::AtMost(60.0));
    report.promised("the same: the most memory", memory, "MiB", Promise::AtMost(1_024.0));
    report.figure("the same: events", events, "");
    let [seconds, memory, runs, holds] = process("line")?;
    report.promised("the load line of five functions", seconds, "s", Promise::AtMost(30.0));
    report.figure("the same: the most memory", memory, "MiB");
    report.figure("the same: runs of the search", runs, "");
    report.figure("the same: it holds at", holds, "×");
    let [seconds, ..] = process("line in turn")?;
    report.figure("the same, on one core", seconds, "s");
    report.finish();
    Ok(())
}

fn speed(report: &mut Report, rounds: u64) -> Result<(), Box<dyn Error>> {
    let (mut one, mut many, mut steps) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..rounds.max(1) {
        let [per_second, _, each, _] = process("one")?;
        one.push(per_second);
        steps = each;
        many.push(process("many")?[0]);
    }
    let promise = Promise::AtLeast(1_000_000.0);
    report.promised("one tenant", quantile(&mut one, 0.5), "runs/s", promise);
    report.promised("10,000 tenants", quantile(&mut many, 0.5), "runs/s", promise);
    report.figure("steps of the engine for a run", steps, "");
    Ok(())
}

/// A part in a process of its own; four figures.
fn process(part: &str) -> Result<[f64; 4], Box<dyn Error>> {
    let said = Command::new(std::env::current_exe()?).args(["--part", part]).output()?;
    if !said.status.success() {
        return Err(format!("{part}: {}", String::from_utf8_lossy(&said.stderr)).into());
    }
    let mut figures = [0.0; 4];
    for (figure, line) in figures.iter_mut().zip(String::from_utf8(said.stdout)?.lines()) {
        *figure = line.parse()?;
    }
    Ok(figures)
}

fn part(name: &str) -> Result<[f64; 4], Box<dyn Error>> {
    match name {
        "one" => runs_per_second(1),
        "many" => runs_per_second(TENANTS),
        "day" => {
            let (run, seconds) = timed(TENANTS, DAY_EVENTS, 86_400)?;
            Ok([seconds, peak_mib()?, run.about.arrivals as f64, 0.0])
        }
        "line" => load_line(&Cores),
        "line in turn" => load_line(&InTurn),
        other => Err(format!("no part {other}").into()),
    }
}

fn runs_per_second(tenants: u32) -> Result<[f64; 4], Box<dyn Error>> {
    let (run, seconds) = timed(tenants, RUNS, 600)?;
    let runs = run.platform.invocations as f64;
    Ok([runs / seconds, peak_mib()?, run.about.engine_steps as f64 / runs, 0.0])
}

/// So many plain calls in so much time, and the seconds that it took.
fn timed(tenants: u32, events: u64, seconds: u64) -> Result<(RunResult, f64), Box<dyn Error>> {
    let traffic = format!(
        "duration = \"{seconds}s\"\n[traffic.calls]\nto = \"answer\"\npeak_per_s = {}\ntenants = {tenants}\n\
         zipf = 1.0\n[function.answer]\nduration = {{ mean = \"100ms\" }}\n",
        events as f64 / seconds as f64
    );
    let plan = plan(CALLS, &traffic)?;
    let begun = Instant::now();
    let run = flyball_sim::run(&plan, 1, 1.0, &mut |_| false)?;
    Ok((run, begun.elapsed().as_secs_f64()))
}

/// As many threads as there are cores, as in the binary.
struct Cores;

impl Hands for Cores {
    fn do_all(&self, pieces: Vec<Piece<'_>>) {
        let pieces = Mutex::new(pieces.into_iter());
        let next = || pieces.lock().ok().and_then(|mut pieces| pieces.next());
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
                scope.spawn(|| {
                    while let Some(piece) = next() {
                        piece();
                    }
                });
            }
        });
    }
}

fn load_line(hands: &dyn Hands) -> Result<[f64; 4], Box<dyn Error>> {
    let plan = plan(FIVE, FIVE_TRAFFIC)?;
    let begun = Instant::now();
    let found = line::load_line(&plan, &Search::from_seed(1), hands, &|_| false)?;
    let seconds = begun.elapsed().as_secs_f64();
    let LineVerdict::Found { holds_at, .. } = found.verdict else {
        return Err(format!("{:?}", found.verdict).into());
    };
    Ok([seconds, peak_mib()?, found.runs as f64, holds_at])
}

fn plan(application: &str, traffic: &str) -> Result<Plan, Box<dyn Error>> {
    let application = Arc::new(flyball_app::read("flyball.toml", application)?.application);
    let traffic = workload::read("traffic.toml", traffic)?;
    Plan::flyball(&application, &traffic.workload)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into())
}

/// The most that was resident since the process began.
fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: u64 = line.map_or("", |rest| rest.trim().trim_end_matches(" kB")).parse()?;
    Ok(mib(kibibytes << 10))
}
