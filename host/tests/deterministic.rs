//! Deterministic runs: the same inputs give the same bytes, fuel and log lines; time is fuel; nothing gets out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use flyball_core::{
    Body, FailureKind, Name, Span, TenantId, Time,
    invocation::{HostCall, HostReply, Invocation},
    model::{Grants, HostPattern},
};
use flyball_host::{
    Delivery, Finished, HostLimits, HttpCall, Input,
    deterministic::{Answer, Begin, Function, Outgoing, Pause, Runner, RunnerConfig},
};

use world::{MEMORY_BYTES_MAX, application, envelope, guest_bytes, verdicts};

#[expect(dead_code, reason = "shared with the other tests")]
mod world;

const FUEL_PER_US: u64 = 100;
const NOW: Time = Time(1_000_000_000_000);
const LONG: Span = Span::from_secs(60);

struct Bench {
    runner: Runner,
    grants: Grants,
    values: BTreeMap<String, Vec<u8>>,
    _cache: tempfile::TempDir,
}

/// All that can be seen of a run.
#[derive(Debug)]
struct Ran {
    finished: Finished,
    at: Time,
    fuel: u64,
    lines: Vec<String>,
    asked: Vec<(Time, Outgoing)>,
}

impl Ran {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

fn bench() -> Bench {
    let cache = tempfile::tempdir().unwrap();
    let limits = HostLimits { instances_max: 16, memory_bytes_max: 256 << 20, ..HostLimits::default() };
    let config = RunnerConfig {
        cache_directory: cache.path().into(),
        cache_bytes_max: 1 << 30,
        limits,
        fuel_per_us: FUEL_PER_US,
    };
    let runner = Runner::new(config).unwrap();
    Bench { runner, grants: Grants::default(), values: BTreeMap::new(), _cache: cache }
}

impl Bench {
    fn load(&self, guest: &str) -> Function {
        self.runner.load(&guest_bytes(guest), MEMORY_BYTES_MAX).unwrap()
    }

    fn codewatch(&self, guest: &str) -> Function {
        let path =
            format!("{}/../examples/codewatch/functions/dist/{guest}.wasm", env!("CARGO_MANIFEST_DIR"));
        self.runner.load_file(path.as_ref(), 128 << 20).unwrap()
    }

    fn run(&self, function: &Function, input: Input, lasts_max: Span, seed: u64) -> Ran {
        self.run_with(function, input, lasts_max, seed, Span::from_millis(5))
    }

    /// Requests are answered with 200 and `hi`, so much later.
    fn run_with(&self, function: &Function, input: Input, lasts_max: Span, seed: u64, later: Span) -> Ran {
        let invocation = Invocation::new(application(&self.grants), "f", TenantId(1)).unwrap();
        let begin = Begin {
            function: function.clone(),
            invocation,
            tenant: "acme".into(),
            input,
            now: NOW,
            lasts_max,
            seed,
            response_bytes_max: 64 << 10,
        };
        let mut running = self.runner.begin(begin);
        let (mut lines, mut asked, mut now) = (Vec::new(), Vec::new(), NOW);
        loop {
            let mut answers = |call: HostCall| match call {
                HostCall::KvRead(_, key) => {
                    let value = self.values.get(&key.key).map(|value| Body::from(value.clone()));
                    HostReply::Value(value, 7)
                }
                HostCall::Log { level, message, .. } => {
                    lines.push(format!("{level:?} {message}"));
                    HostReply::Done
                }
                _ => HostReply::Found(None),
            };
            match running.go_on(&self.runner, now, &mut answers) {
                Pause::Asks { at, outgoing } => {
                    now = at.after(later);
                    asked.push((at, outgoing));
                    running.answer(Answer::Response { status: 200, body: Bytes::from_static(b"hi") });
                }
                Pause::Ended { at, finished } => {
                    return Ran { finished, at, fuel: running.fuel(), lines, asked };
                }
            }
        }
    }

    fn events(&self, function: &Function, scripts: &[&str], lasts_max: Span) -> Ran {
        self.run(function, events(scripts), lasts_max, 1)
    }
}

fn events(scripts: &[&str]) -> Input {
    let delivery = |(number, script): (usize, &&str)| Delivery {
        envelope: envelope(1, number as u64),
        body: Body::from(script.as_bytes()),
        attempt: 1,
    };
    Input::Events(scripts.iter().enumerate().map(delivery).collect())
}

/// Twice the same, in one process and in two runners.
fn same(run: impl Fn(&Bench) -> Ran, setup: impl Fn(&mut Bench)) -> Ran {
    let (mut one, mut two) = (bench(), bench());
    setup(&mut one);
    setup(&mut two);
    let first = run(&one);
    assert_eq!(first.shown(), run(&one).shown(), "in the same runner");
    assert_eq!(first.shown(), run(&two).shown(), "in another runner");
    first
}

#[test]
fn a_run_in_rust_is_the_same_each_time_to_its_fuel_and_log_lines() {
    let script = ["get things a\nset things a b\nstdout one\nlog warn two\nwork 1000", "trap", "handled"];
    let ran = same(
        |bench| bench.events(&bench.load("script"), &script, LONG),
        |bench| {
            bench.grants.kv = world::may_use("things").kv;
            bench.values.insert("a".into(), b"old".to_vec());
        },
    );
    assert_eq!(ran.lines, ["Info one", "Warn two"]);
    assert_eq!(verdicts(&ran.finished)[2], Ok("1".into()), "a fresh instance after the trap");
    assert!(ran.fuel > 1_000, "{}", ran.fuel);
    assert_eq!(ran.at, NOW.after(Span(ran.fuel.div_ceil(FUEL_PER_US))));
    assert_eq!(ran.finished.outcome.usage.busy, Span(ran.fuel.div_ceil(FUEL_PER_US)));
}

/// What `report` of codewatch folds: JavaScript.
const FOUND: &str = r#"{"repository":"a/b","commit":"c0ffee","path":"p.rs",
    "findings":[{"fingerprint":"f1","rule":"r","line":1},{"fingerprint":"f2","rule":"r","line":2}]}"#;

#[test]
fn a_run_in_javascript_is_the_same_each_time() {
    let ran = same(
        |bench| bench.events(&bench.codewatch("report"), &[FOUND], LONG),
        |bench| {
            bench.grants.kv = world::may_use("reports").kv;
            bench.grants.emit = [Name::new("announcements").unwrap()].into();
        },
    );
    let report = ran.finished.outcome.writes.first().expect("the report is written").value.clone().unwrap();
    let report = String::from_utf8_lossy(&report).into_owned();
    assert!(report.contains("\"f1\"") && report.contains("\"f2\""), "{report}");
    assert_eq!(ran.finished.outcome.results[0].emits.len(), 1);
    assert!(ran.lines[0].contains("2 new findings"), "{:?}", ran.lines);
}

#[test]
fn a_loop_ends_at_its_deadline_and_what_came_before_holds() {
    let bench = bench();
    let late = Span::from_millis(50);
    let ran = bench.events(&bench.load("script"), &["print done", "spin", "print never"], late);
    let found = verdicts(&ran.finished);
    assert_eq!(found[0], Ok("done".into()));
    let (kind, message) = found[1].clone().unwrap_err();
    assert_eq!(kind, FailureKind::Timeout, "{message}");
    assert!(message.contains("deadline"), "{message}");
    assert_eq!(found[2].clone().unwrap_err().0, FailureKind::NotRun);
    assert_eq!(ran.at, NOW.after(late));
}

#[test]
fn a_sleep_takes_no_real_time_and_counts_as_waiting() {
    let bench = bench();
    let script = bench.load("script");
    let began = std::time::Instant::now();
    let ran = bench.events(&script, &["sleep 20000"], LONG);
    assert!(began.elapsed().as_secs() < 10, "it slept in earnest");
    let usage = ran.finished.outcome.usage;
    assert!(usage.waiting >= Span::from_secs(20) && usage.waiting < Span::from_secs(21), "{usage:?}");
    assert!(ran.at >= NOW.after(Span::from_secs(20)), "{ran:?}");
    let late = bench.events(&script, &["sleep 61000"], LONG);
    assert_eq!(verdicts(&late.finished)[0].clone().unwrap_err().0, FailureKind::Timeout);
    assert_eq!(late.at, NOW.after(LONG));
    // Waiting is taken from the fuel that is left: the loop after it ends at the deadline too.
    let both = bench.events(&script, &["sleep 59000\nspin"], LONG);
    assert_eq!(both.at, NOW.after(LONG));
}

#[test]
fn a_request_to_the_outside_is_its_drivers_to_answer() {
    let mut bench = bench();
    let pattern: HostPattern = "db.example:80".parse().unwrap();
    bench.grants.http.insert(pattern);
    let fetch = bench.load("fetch");
    let body = "x".repeat(100_000);
    let input = || events(&[&format!("POST http://db.example/q\n{body}")]);
    let ran = bench.run(&fetch, input(), LONG, 1);
    assert_eq!(verdicts(&ran.finished), [Ok("200\nhi".into())]);
    let (at, outgoing) = &ran.asked[0];
    assert_eq!((outgoing.host.as_str(), outgoing.port, outgoing.method.as_str()), ("db.example", 80, "POST"));
    assert_eq!(outgoing.body.len(), 100_000);
    assert_eq!(outgoing.key.len(), 32);
    assert!(ran.at >= at.after(Span::from_millis(5)), "{ran:?}");
    // It is told of at the next microsecond.
    let waited = ran.finished.outcome.usage.waiting;
    assert!((5_000..=5_001).contains(&waited.0), "{waited:?}");
    assert_eq!(ran.shown(), bench.run(&fetch, input(), LONG, 1).shown());
    let late = bench.run_with(&fetch, input(), LONG, 1, Span::from_secs(61));
    assert_eq!(verdicts(&late.finished)[0].clone().unwrap_err().0, FailureKind::Timeout);
    assert_eq!(late.at, NOW.after(LONG));
}

#[test]
fn http_is_answered() {
    let bench = bench();
    let http = bench.load("script-http");
    let request = http::Request::post("/a/b?c=d").header("x-do", "echo").body(Bytes::from_static(b"hello"));
    let call = HttpCall { envelope: envelope(1, 1), request: request.unwrap(), https: false };
    let ran = bench.run(&http, Input::Http(Box::new(call)), LONG, 1);
    let response = ran.finished.response.unwrap();
    let echoed = String::from_utf8_lossy(response.body()).into_owned();
    assert!(echoed.contains("/a/b?c=d") && echoed.contains("hello"), "{echoed}");
}

#[test]
fn clocks_show_the_runs_time_and_randomness_follows_from_the_seed() {
    let bench = bench();
    let script = bench.load("script");
    let run = |seed| {
        bench.run(&script, events(&["clocks\nsleep 5000\nclocks\nrandom", "trap", "random"]), LONG, seed)
    };
    let shown = |ran: &Ran| verdicts(&ran.finished);
    let first = run(1);
    let printed = shown(&first)[0].clone().unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    let now = NOW.as_millis();
    assert_eq!(lines[0], format!("{now} true"));
    assert_eq!(lines[1], format!("{} true", now + 5_000));
    assert_eq!(shown(&run(1)), shown(&first));
    assert_ne!(shown(&run(2))[0], shown(&first)[0], "another seed");
    assert_ne!(shown(&first)[2], Ok(lines[2].into()), "another instance");
}
