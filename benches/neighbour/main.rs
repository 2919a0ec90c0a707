//! The noisy neighbour on the real platform: 200 tenants share two slots of a function that works for a
//! millisecond of processor time. The quiet 199 together offer half of what the platform can do, at moments
//! without memory from a seed; the last sends as much as each of them, or 100 times as much, or 1,000 times,
//! in rounds in turns. What counts is how long the quiet ones' events wait.
//!
//! A slot is taken while the attempt becomes durable, so that the disk is in every figure; with `TMPDIR` on
//! a file system in memory (`/dev/shm`) what is left is the order and the processors.
//!
//! Beside it: the same arrivals in virtual time, with an order that no scheduler can better.
//!
//! `--seconds 10`, `--rounds 5`, `--share 50` (percent of the capacity that the quiet ones offer).

mod ideal;

use std::{
    error::Error,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use flyball_benches::{Arguments, Promise, Report, platform, process::root, quantile};
use flyball_core::{Attributes, Body, EventId, Name, Span, TenantId};
use flyball_server::{
    platform::{NewEvent, Platform, SendAnswer},
    telemetry::Verdict,
};
use tokio::{runtime::Runtime, task::JoinHandle};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPLICATION: &str = r#"
[application]
name = "neighbour"

[limits]
concurrency = { cap = 2 }
# All of a round.
traced_events_max = 400000

[function.work]
component = "script.wasm"
memory = "16MiB"
timeout = "10s"

[queue.work]
function = "work"
batch_max = 1
"#;

const SLOTS: usize = 2;
const TENANTS: u32 = 200;
const NOISY: TenantId = TenantId(TENANTS);
/// Processor time of a run that its rounds are set for, µs.
const RUN_US: f64 = 1_000.0;
/// How many times as much as each other the noisy one sends.
const FLOODS: [u32; 3] = [1, 100, 1_000];
/// Events outstanding while the capacity is measured.
const OUTSTANDING: u32 = 64;
const CAPACITY_TIME: Duration = Duration::from_secs(3);
/// How long a round's events may take to be over.
const ROUND_MAX: Duration = Duration::from_secs(300);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let seconds = arguments.number("seconds", 10) as f64;
    let rounds = arguments.number("rounds", 5);
    let share = arguments.number("share", 50) as f64 / 100.0;
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("flyball.toml"), APPLICATION)?;
    fs::copy(root().join("tests/guests/dist/script.wasm"), directory.path().join("script.wasm"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let platform = runtime.block_on(async { platform::open(directory.path()) })?;
    for tenant in 1..=TENANTS {
        platform.create_tenant(Name::new(&format!("t{tenant}"))?)?;
    }
    let mut world = World { platform: platform.clone(), runtime, script: String::new() };
    let run_us = world.calibrate()?;
    let mut capacities = Vec::new();
    let mut found: [Vec<Quiet>; FLOODS.len()] = Default::default();
    // The first round warms up and does not count.
    for round in 0..=rounds {
        // Anew each time: on a machine that others use too it drifts.
        let capacity = world.capacity()?;
        capacities.push(capacity);
        for turn in 0..FLOODS.len() {
            let which = (turn + round as usize) % FLOODS.len();
            let (Some(flood), Some(kept)) = (FLOODS.get(which), found.get_mut(which)) else { continue };
            let arrivals = arrivals(round, capacity * share, *flood, seconds);
            let quiet = world.round(&arrivals, SLOTS as f64 / capacity)?;
            if round > 0 {
                kept.push(quiet);
            }
        }
    }
    let conditions = format!(
        "{TENANTS} tenants, {SLOTS} slots, the quiet {} offer {:.0} % of capacity, {rounds} rounds of \
         {seconds} s each in turns, medians; sender and platform share the processors",
        TENANTS - 1,
        share * 100.0
    );
    let mut report = Report::new("neighbour", conditions, &arguments);
    report.figure("a run's processor time", run_us, "µs");
    let capacity = quantile(&mut capacities, 0.5);
    report.figure("capacity, all slots taken", capacity, "events/s");
    report.figure("a slot is taken by an event for", 1e6 * SLOTS as f64 / capacity, "µs");
    figures(&mut report, &found);
    report.finish();
    platform.close();
    Ok(())
}

fn figures(report: &mut Report, found: &[Vec<Quiet>]) {
    let median = |of: usize, value: fn(&Quiet) -> f64| {
        let mut values: Vec<f64> = found.get(of).into_iter().flatten().map(value).collect();
        quantile(&mut values, 0.5)
    };
    for (of, flood) in FLOODS.iter().enumerate() {
        let who = format!("{flood}×");
        report.figure(format!("{who}: p50 dwell"), median(of, |q| q.dwell_p50) / 1e3, "ms");
        report.figure(format!("{who}: p99 dwell"), median(of, |q| q.dwell_p99) / 1e3, "ms");
        report.figure(format!("{who}: p99 accepted to done"), median(of, |q| q.response_p99) / 1e3, "ms");
        report.figure(format!("{who}: p99 dwell at best"), median(of, |q| q.ideal_p99) / 1e3, "ms");
        report.figure(format!("{who}: a run's processor time"), median(of, |q| q.run_us), "µs");
        report.figure(
            format!("{who}: a quiet event, started to done, mean"),
            median(of, |q| q.held_us),
            "µs",
        );
        report.figure(format!("{who}: quiet events"), median(of, |q| q.events), "");
    }
    for (of, flood) in FLOODS.iter().enumerate().skip(1) {
        let ratio = |value: fn(&Quiet) -> f64| median(of, value) / median(0, value);
        let what = format!("{flood}×: p99 dwell to that at 1×");
        report.promised(what, ratio(|q| q.dwell_p99), "×", Promise::AtMost(1.5));
        report.figure(
            format!("{flood}×: p99 accepted to done to that at 1×"),
            ratio(|q| q.response_p99),
            "×",
        );
        report.figure(format!("{flood}×: the same of the best order"), ratio(|q| q.ideal_p99), "×");
    }
}

/// One event that is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Seconds after the round's begin.
    pub at: f64,
    tenant: TenantId,
    /// Whether it is the noisy tenant's.
    pub noisy: bool,
}

/// What the quiet tenants saw in a round, µs.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    dwell_p50: f64,
    dwell_p99: f64,
    response_p99: f64,
    /// In the best order.
    ideal_p99: f64,
    /// Of all runs, mean.
    run_us: f64,
    /// From started to done, mean.
    held_us: f64,
    events: f64,
}

/// A round's events by time: the quiet tenants' are the same whatever the noisy one sends.
fn arrivals(round: u64, quiet_per_second: f64, flood: u32, seconds: f64) -> Vec<Arrival> {
    let each = quiet_per_second / f64::from(TENANTS - 1);
    let mut all = Vec::new();
    for tenant in (1..=TENANTS).map(TenantId) {
        let noisy = tenant == NOISY;
        let rate = if noisy { each * f64::from(flood) } else { each };
        let mut dice = Dice(round << 32 | u64::from(tenant.0));
        let mut at = dice.gap(rate);
        while at < seconds {
            all.push(Arrival { at, tenant, noisy });
            at += dice.gap(rate);
        }
    }
    all.sort_by(|a, b| a.at.total_cmp(&b.at));
    all
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    /// The time until the next of so many a second.
    fn gap(&mut self, rate: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let uniform = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        -(1.0 - uniform).ln() / rate
    }
}

type Sent = JoinHandle<Result<EventId, String>>;

struct World {
    platform: Arc<Platform>,
    runtime: Runtime,
    script: String,
}

impl World {
    /// Sets the rounds of a run's work so that it takes [`RUN_US`]; what it takes, µs.
    fn calibrate(&mut self) -> Result<f64, String> {
        let (mut rounds, mut took) = (400_000.0, 0.0);
        for _ in 0..4 {
            self.script = format!("work {rounds:.0}");
            let before = self.runs();
            for _ in 0..200 {
                let sent = self.send(TenantId(1));
                self.id_of(sent)?;
                self.until_idle()?;
            }
            took = mean_since(before, self.runs());
            rounds *= RUN_US / took;
        }
        Ok(took)
    }

    /// Events a second, with so many outstanding that no slot is ever free.
    fn capacity(&self) -> Result<f64, String> {
        let (done, begun) = (self.platform.counts().done, Instant::now());
        let senders: Vec<_> = (0..OUTSTANDING)
            .map(|sender| {
                let (platform, script) = (self.platform.clone(), self.script.clone());
                self.runtime.spawn(async move {
                    let mut tenant = sender;
                    while begun.elapsed() < CAPACITY_TIME {
                        tenant = (tenant + OUTSTANDING) % (TENANTS - 1);
                        send(&platform, TenantId(tenant + 1), &script).await?;
                        while platform.counts().waiting > u64::from(OUTSTANDING) {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        for sender in senders {
            self.runtime.block_on(sender).map_err(|error| error.to_string())??;
        }
        let per_second = (self.platform.counts().done - done) as f64 / begun.elapsed().as_secs_f64();
        self.until_idle()?;
        Ok(per_second)
    }

    /// Sends all at their moments, waits until all are over, and looks at the quiet ones.
    fn round(&self, arrivals: &[Arrival], slot_taken: f64) -> Result<Quiet, String> {
        let (runs, begun) = (self.runs(), Instant::now());
        let mut sent = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let due = Duration::from_secs_f64(arrival.at);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            sent.push((arrival.noisy, self.send(arrival.tenant)));
        }
        let mut quiet = Vec::new();
        for (noisy, sent) in sent {
            let id = self.id_of(sent)?;
            if !noisy {
                quiet.push(id);
            }
        }
        self.until_idle()?;
        let (mut dwells, mut responses, mut held) = (Vec::new(), Vec::new(), 0.0);
        for id in &quiet {
            let found = self.platform.trace(*id);
            let [event] = &found[..] else { return Err(format!("{id} is not traced")) };
            let (Some(run), Some((at, Verdict::Done(_)))) = (event.runs.first(), &event.end) else {
                return Err(format!("{id} was not done: {event:?}"));
            };
            dwells.push(run.dwell.0 as f64);
            responses.push(at.since(event.accepted).0 as f64);
            held += at.since(run.started).0 as f64;
        }
        let events = quiet.len() as f64;
        Ok(Quiet {
            dwell_p50: quantile(&mut dwells, 0.5),
            dwell_p99: quantile(&mut dwells, 0.99),
            response_p99: quantile(&mut responses, 0.99),
            ideal_p99: 1e6 * ideal::dwell_p99(arrivals, SLOTS, slot_taken),
            run_us: mean_since(runs, self.runs()),
            held_us: held / events,
            events,
        })
    }

    fn send(&self, tenant: TenantId) -> Sent {
        let (platform, script) = (self.platform.clone(), self.script.clone());
        self.runtime.spawn(async move { send(&platform, tenant, &script).await })
    }

    fn id_of(&self, sent: Sent) -> Result<EventId, String> {
        self.runtime.block_on(sent).map_err(|error| error.to_string())?
    }

    fn until_idle(&self) -> Result<(), String> {
        let end = Instant::now() + ROUND_MAX;
        loop {
            let counts = self.platform.counts();
            if counts.waiting + counts.running + counts.settling == 0 {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("the events are not over after {ROUND_MAX:?}: {counts:?}"));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Runs so far and their processor time, µs.
    fn runs(&self) -> (u64, u64) {
        self.platform.telemetry().figures(|figures| {
            let work = figures.functions.iter().find(|(name, _)| name.as_str() == "work");
            work.map_or((0, 0), |(_, figures)| (figures.run.count(), figures.run.sum()))
        })
    }
}

fn mean_since(before: (u64, u64), after: (u64, u64)) -> f64 {
    (after.1 - before.1) as f64 / (after.0 - before.0).max(1) as f64
}

async fn send(platform: &Platform, tenant: TenantId, script: &str) -> Result<EventId, String> {
    let attributes = Attributes {
        kind: "work".into(),
        source: "/bench".into(),
        subject: None,
        content_type: "text/plain".into(),
    };
    let body = Body::from(script.as_bytes());
    let event = NewEvent { target: "work".into(), attributes, body, delay: Span::ZERO };
    match platform.send(tenant, event, None).await {
        SendAnswer::Accepted { id, .. } => Ok(id),
        SendAnswer::Refused(refusal) => Err(format!("an event was refused: {refusal}")),
    }
}
