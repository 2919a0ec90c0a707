//! `simulate` beside `serve` on this machine: at 0.5, 0.9 and 1.2 of the load line that `simulate` finds, the very
//! arrivals of the simulation are played at the real platform in real time, and both are asked the same.
//!
//! Two functions that sleep: one takes events from a queue, one is called and its callers wait a fifth of a second for
//! a slot at most. What a run and a commit take is measured at low load first, and is all that the simulation is told
//! of this machine. It says nothing about AWS, and nothing of functions that fight for processors.
//!
//! `--seconds 20`, `--rounds 5`; `--line-seconds 600`: how long a load line is searched over.

use std::{
    error::Error,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flyball_app::workload;
use flyball_benches::{Arguments, Promise, Report, number, platform, process::root, quantile};
use flyball_core::{Attributes, Body, EventId, Name, Span, TenantId};
use flyball_server::platform::{CallAnswer, NewEvent, Platform, SendAnswer};
use flyball_sim::{
    arrivals::{Arrivals, Window},
    line::{self, InTurn, Search},
    plan::Plan,
    result::LineVerdict,
};
use tokio::runtime::Runtime;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPLICATION: &str = r#"
[application]
name = "calibrate"

[limits]
concurrency = { cap = 8 }
call_wait_max = "200ms"
# All of a run.
traced_events_max = 100000

[function.work]
component = "script.wasm"
memory = "16MiB"
timeout = "10s"
concurrency = { cap = 4 }

[function.answer]
component = "script-http.wasm"
memory = "16MiB"
timeout = "10s"
concurrency = { cap = 4 }

[queue.jobs]
function = "work"
batch_max = 1
"#;

const SLEEP: &str = "sleep 40";
const TENANT: TenantId = TenantId(1);
/// Runs of each function at low load.
const ALONE: u64 = 120;
/// Of the load line.
const LOADS: [f64; 3] = [0.5, 0.9, 1.2];
/// How long what is left of a run may take.
const REST_MAX: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let seconds = arguments.number("seconds", 20);
    let rounds = arguments.number("rounds", 5);
    let line_seconds = arguments.number("line-seconds", 600);
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("flyball.toml"), APPLICATION)?;
    for component in ["script.wasm", "script-http.wasm"] {
        fs::copy(root().join("tests/guests/dist").join(component), directory.path().join(component))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let platform = runtime.block_on(async { platform::open(directory.path()) })?;
    platform.create_tenant(Name::new("t1")?)?;
    let served = Served { platform, runtime };
    let alone = served.alone()?;
    let (line, found) = alone.line(line_seconds)?;
    let conditions = format!(
        "this machine, nothing about AWS: 4 slots of a queue and 4 of calls, runs that sleep 40 ms, {rounds} runs of \
         {seconds} s at each load, the same arrivals in both; means of the runs; the line by {line_seconds} s"
    );
    let mut report = Report::new("calibrate", conditions, &arguments);
    for (what, values) in
        [("a run of events", &alone.work), ("a run of calls", &alone.answer), ("a commit", &alone.commit)]
    {
        report.figure(format!("alone: {what}, p50"), middle(values, 0.5), "µs");
        report.figure(format!("alone: {what}, p99"), middle(values, 0.99), "µs");
    }
    report.figure("the load line, simulated", line, "×");
    report.figure("runs of its search", found, "");
    for load in LOADS {
        let plan = alone.plan(seconds)?;
        let mut pairs = Vec::new();
        for seed in 1..=rounds {
            let simulated = simulated(&plan.0, seed, load * line)?;
            let real = served.play(&arrivals(&plan.1, seed, load * line, seconds)?, seconds)?;
            eprintln!("{load} of the line, seed {seed}: simulated {simulated:?}, served {real:?}");
            pairs.push((simulated, real));
        }
        figures(&mut report, load, &pairs);
    }
    report.finish();
    served.platform.close();
    Ok(())
}

fn middle(values: &[f64], share: f64) -> f64 {
    quantile(&mut values.to_vec(), share)
}

/// What a run at one load showed, the same of both.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Events and calls that were done by the end, a second.
    done_per_s: f64,
    /// Seconds of runs that had ended by then.
    run_s: f64,
    /// Of events that had started by then, ms.
    events_dwell_p99_ms: f64,
    /// Of calls that were answered, ms.
    calls_dwell_p99_ms: f64,
    /// Calls that got no slot in time, percent.
    refused_percent: f64,
}

/// What is compared: its name, its value, its unit and how far apart it may be.
type Measure = (&'static str, fn(&Seen) -> f64, &'static str, f64);
const POINTS: &str = "points";
const MEASURES: [Measure; 5] = [
    ("throughput", |seen| seen.done_per_s, "/s", 2.0),
    ("cost, seconds of runs", |seen| seen.run_s, "s", 2.0),
    ("p99 dwell of events", |seen| seen.events_dwell_p99_ms, "ms", 10.0),
    ("p99 dwell of calls", |seen| seen.calls_dwell_p99_ms, "ms", 10.0),
    ("calls refused", |seen| seen.refused_percent, POINTS, 2.0),
];

fn figures(report: &mut Report, load: f64, pairs: &[(Seen, Seen)]) {
    for (name, value, unit, apart_max) in MEASURES {
        let apart = |simulated: f64, real: f64| match unit {
            POINTS => (real - simulated).abs(),
            _ => 100.0 * (real / simulated - 1.0).abs(),
        };
        let mean = |of: fn(&(Seen, Seen)) -> &Seen| {
            pairs.iter().map(|pair| value(of(pair))).sum::<f64>() / pairs.len().max(1) as f64
        };
        let (simulated, real) = (mean(|pair| &pair.0), mean(|pair| &pair.1));
        let worst = pairs.iter().map(|pair| apart(value(&pair.0), value(&pair.1))).fold(0.0, f64::max);
        let shown = if unit == POINTS { "%" } else { unit };
        let what = format!(
            "{load} of the line: {name}: simulated {} {shown}, served {} {shown} (worst run {} apart)",
            number(simulated),
            number(real),
            number(worst)
        );
        let apart_unit = if unit == POINTS { POINTS } else { "%" };
        report.promised(what, apart(simulated, real), apart_unit, Promise::AtMost(apart_max));
    }
}

/// What one run and one commit take while nothing else happens, µs.
struct Alone {
    work: Vec<f64>,
    answer: Vec<f64>,
    commit: Vec<f64>,
}

impl Alone {
    /// The plan of so many seconds, and its traffic.
    fn plan(&self, seconds: u64) -> Result<(Plan, workload::Workload), Box<dyn Error>> {
        let measured = |values: &[f64]| {
            let values: Vec<String> = values.iter().map(|value| format!("\"{value:.0}us\"")).collect();
            format!("{{ measured = [{}] }}", values.join(", "))
        };
        let traffic = format!(
            "duration = \"{seconds}s\"\n[traffic.jobs]\nto = \"jobs\"\npeak_per_s = 95\n[traffic.calls]\n\
             to = \"answer\"\npeak_per_s = 80\n[function.work]\nduration = {}\n[function.answer]\nduration = {}\n\
             [store]\ncommit = {}\n",
            measured(&self.work),
            measured(&self.answer),
            measured(&self.commit)
        );
        let application = Arc::new(flyball_app::read("flyball.toml", APPLICATION)?.application);
        let workload = workload::read("traffic.toml", &traffic)?.workload;
        let plan = Plan::flyball(&application, &workload)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        Ok((plan, workload))
    }

    /// The load that holds, and how many runs the search took.
    fn line(&self, seconds: u64) -> Result<(f64, f64), Box<dyn Error>> {
        let search = Search { thorough: false, ..Search::from_seed(1) };
        let found = line::load_line(&self.plan(seconds)?.0, &search, &InTurn, &|_| false)?;
        match found.verdict {
            LineVerdict::Found { holds_at, .. } => Ok((holds_at, found.runs as f64)),
            other => Err(format!("no load line: {other:?}").into()),
        }
    }
}

fn simulated(plan: &Plan, seed: u64, load: f64) -> Result<Seen, Box<dyn Error>> {
    let run = flyball_sim::run(plan, seed, load, &mut |_| false)?;
    let (mut seen, simulated_s) = (Seen::default(), run.about.simulated_s);
    for function in &run.functions {
        seen.done_per_s += function.succeeded as f64 / simulated_s;
        seen.run_s += function.duration.mean_ms * function.duration.count as f64 / 1e3;
        match function.name.as_str() {
            "work" => seen.events_dwell_p99_ms = function.dwell.p99_ms,
            _ => seen.calls_dwell_p99_ms = function.dwell.p99_ms,
        }
    }
    let calls = run.sources.iter().find(|source| source.name == "calls").ok_or("no calls")?;
    seen.refused_percent = 100.0 * calls.failed as f64 / calls.arrivals as f64;
    Ok(seen)
}

/// One that comes in.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: Duration,
    is_call: bool,
}

/// Those of the simulation with this seed.
fn arrivals(
    workload: &workload::Workload,
    seed: u64,
    load: f64,
    seconds: u64,
) -> Result<Vec<Arrival>, Box<dyn Error>> {
    let mut all = Vec::new();
    for (name, source) in &workload.traffic {
        let is_call = name.as_str() == "calls";
        for arrival in Arrivals::new(name.as_str(), source, Window::of(Span::from_secs(seconds)), load, seed)?
        {
            all.push(Arrival { at: Duration::from_micros(arrival.at.0), is_call });
        }
    }
    all.sort_by_key(|arrival| arrival.at);
    Ok(all)
}

struct Served {
    platform: Arc<Platform>,
    runtime: Runtime,
}

impl Served {
    /// One event and one call after the other, with pauses that meet no beat of a timer.
    fn alone(&self) -> Result<Alone, Box<dyn Error>> {
        let mut alone = Alone { work: Vec::new(), answer: Vec::new(), commit: Vec::new() };
        for number in 0..ALONE {
            std::thread::sleep(Duration::from_micros(2_000 + number * 7_919 % 5_000));
            let (before, begun) = (self.run_micros("work"), Instant::now());
            self.runtime.block_on(send(&self.platform))?;
            alone.commit.push(begun.elapsed().as_micros() as f64);
            self.until_idle()?;
            alone.work.push((self.run_micros("work") - before) as f64);
            std::thread::sleep(Duration::from_micros(2_000 + number * 104_729 % 5_000));
            let before = self.run_micros("answer");
            self.runtime.block_on(call(&self.platform))?;
            self.until_idle()?;
            alone.answer.push((self.run_micros("answer") - before) as f64);
        }
        Ok(alone)
    }

    /// Plays them at their moments; what was seen by the end of the time.
    fn play(&self, arrivals: &[Arrival], seconds: u64) -> Result<Seen, Box<dyn Error>> {
        let (done, run_micros) = (self.done(), self.run_micros("work") + self.run_micros("answer"));
        let begun = Instant::now();
        let (mut jobs, mut calls) = (Vec::new(), Vec::new());
        for arrival in arrivals {
            std::thread::sleep(arrival.at.saturating_sub(begun.elapsed()));
            let platform = self.platform.clone();
            if arrival.is_call {
                calls.push(self.runtime.spawn(async move { call(&platform).await }));
            } else {
                jobs.push((arrival.at, self.runtime.spawn(async move { send(&platform).await })));
            }
        }
        std::thread::sleep(Duration::from_secs(seconds).saturating_sub(begun.elapsed()));
        let mut seen = Seen {
            done_per_s: (self.done() - done) as f64 / begun.elapsed().as_secs_f64(),
            run_s: (self.run_micros("work") + self.run_micros("answer") - run_micros) as f64 / 1e6,
            ..Seen::default()
        };
        let count = calls.len() as f64;
        let (mut events, mut answered) = (Vec::new(), Vec::new());
        for (at, job) in jobs {
            let dwell = self.dwell(self.runtime.block_on(job)??)?;
            // What starts later the simulation does not see.
            if at + dwell <= Duration::from_secs(seconds) {
                events.push(dwell.as_secs_f64() * 1e3);
            }
        }
        for call in calls {
            if let Some(id) = self.runtime.block_on(call)?? {
                answered.push(self.dwell(id)?.as_secs_f64() * 1e3);
            }
        }
        seen.refused_percent = 100.0 * (count - answered.len() as f64) / count;
        seen.events_dwell_p99_ms = quantile(&mut events, 0.99);
        seen.calls_dwell_p99_ms = quantile(&mut answered, 0.99);
        self.until_idle()?;
        Ok(seen)
    }

    /// How long an event or a call waited for its first run, which may yet have to come.
    fn dwell(&self, id: EventId) -> Result<Duration, String> {
        let end = Instant::now() + REST_MAX;
        loop {
            if let [event] = &self.platform.trace(id)[..]
                && let Some(run) = event.runs.first()
            {
                return Ok(Duration::from_micros(run.dwell.0));
            }
            if Instant::now() > end {
                return Err(format!("{id} has not started after {REST_MAX:?}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn until_idle(&self) -> Result<(), String> {
        let end = Instant::now() + REST_MAX;
        loop {
            let counts = self.platform.counts();
            if counts.waiting + counts.running + counts.settling == 0 {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("it is not over after {REST_MAX:?}: {counts:?}"));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// What all runs of a function took so far, µs.
    fn run_micros(&self, function: &str) -> u64 {
        self.platform.telemetry().figures(|figures| {
            let found = figures.functions.iter().find(|(name, _)| name.as_str() == function);
            found.map_or(0, |(_, figures)| figures.run.sum())
        })
    }

    /// Events and calls that are done.
    fn done(&self) -> u64 {
        self.platform
            .telemetry()
            .figures(|figures| figures.functions.values().map(|function| function.done).sum())
    }
}

async fn send(platform: &Platform) -> Result<EventId, String> {
    let attributes = Attributes {
        kind: "work".into(),
        source: "/bench".into(),
        subject: None,
        content_type: "text/plain".into(),
    };
    let body = Body::from(SLEEP.as_bytes());
    let event = NewEvent { target: "jobs".into(), attributes, body, delay: Span::ZERO };
    match platform.send(TENANT, event, None).await {
        SendAnswer::Accepted { id, .. } => Ok(id),
        SendAnswer::Refused(refusal) => Err(format!("an event was refused: {refusal}")),
    }
}

/// The call's id, or nothing where no slot came free in time.
async fn call(platform: &Platform) -> Result<Option<EventId>, String> {
    let request = http::Request::builder().header("x-do", SLEEP).body(Bytes::new());
    let request = request.map_err(|error| error.to_string())?;
    let function = Name::new("answer").map_err(|error| error.to_string())?;
    match platform.call(TENANT, &function, request, None).await {
        CallAnswer::Done { id, .. } => Ok(Some(id)),
        CallAnswer::Refused(_) => Ok(None),
        other => Err(format!("a call failed: {other:?}")),
    }
}
