//! What is asked of a simulation, from the files to the answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flyball_app::workload;
use flyball_core::model::Checked;
use flyball_sim::{
    Question, Watch,
    line::{Hands, InTurn, Piece, Search, load_line},
    plan::{Plan, Problem},
    report,
    result::LineVerdict,
    simulate_with,
};

const SHOP: &str = r#"
[application]
name = "shop"
[limits]
concurrency = { cap = 20 }
call_wait_max = "500ms"
[function.order]
component = "order.wasm"
timeout = "5s"
[function.order.grants]
emit = ["paid"]
[function.ship]
component = "ship.wasm"
concurrency = { cap = 4 }
[[route]]
path = "/orders"
methods = ["POST"]
function = "order"
[queue.paid]
function = "ship"
batch_max = 5
"#;

const TRAFFIC: &str = r#"
duration = "20s"
[traffic.orders]
to = "POST /orders"
peak_per_s = 20
tenants = 50
zipf = 1.0
[traffic.orders.client]
timeout = "2s"
retries = 1
[function.order]
duration = { p50 = "20ms", p99 = "80ms" }
steps = [{ call = "db" }, { emit = "paid" }]
[function.ship]
per_item = "30ms"
[dependency.db]
servers = 4
service = { mean = "8ms" }
"#;

fn application() -> Arc<Checked> {
    Arc::new(flyball_app::read("flyball.toml", SHOP).unwrap().application)
}

fn plan(traffic: &str) -> Result<Plan, Vec<Problem>> {
    let read = workload::read("traffic.toml", traffic).unwrap_or_else(|wrong| panic!("{wrong}"));
    Plan::flyball(&application(), &read.workload)
}

/// Breaks off after so many looks.
struct Patience(AtomicU64);

impl Watch for Patience {
    fn run(&mut self, _now_s: f64, _of_s: f64) -> bool {
        self.search(0)
    }

    fn search(&self, _runs: u64) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// The last piece first, on threads of their own.
struct Backwards;

impl Hands for Backwards {
    fn do_all(&self, pieces: Vec<Piece<'_>>) {
        let mut pieces = pieces.into_iter().rev().peekable();
        while pieces.peek().is_some() {
            std::thread::scope(|scope| {
                for piece in pieces.by_ref().take(3) {
                    scope.spawn(piece);
                }
            });
        }
    }
}

fn json(question: &Question, patience: u64) -> String {
    let plan = plan(TRAFFIC).unwrap();
    let simulation = flyball_sim::simulate(&plan, question, &mut Patience(AtomicU64::new(patience))).unwrap();
    report::json(&simulation).to_string()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let question = |seed| Question { seed, load: 1.0, line: None };
    assert_eq!(json(&question(1), u64::MAX), json(&question(1), u64::MAX));
    assert_ne!(json(&question(1), u64::MAX), json(&question(2), u64::MAX));
}

#[test]
fn the_same_search_gives_the_same_line() {
    let question = Question { seed: 3, load: 1.0, line: Some(Search { seeds: vec![3, 4], thorough: true }) };
    let first = json(&question, u64::MAX);
    assert_eq!(first, json(&question, u64::MAX));
    assert!(first.contains("\"line\":\"found\""), "{first}");
    let (plan, mut patience) = (plan(TRAFFIC).unwrap(), Patience(AtomicU64::new(u64::MAX)));
    let backwards = simulate_with(&plan, &question, None, &Backwards, &mut patience).unwrap();
    assert_eq!(first, report::json(&backwards).to_string(), "it depends on who does its pieces, and when");
}

#[test]
fn a_search_that_is_broken_off_says_what_it_knows() {
    let plan = plan(TRAFFIC).unwrap();
    let runs_seen = AtomicU64::new(0);
    let line = load_line(&plan, &Search::from_seed(1), &InTurn, &|runs| {
        runs_seen.store(runs, Ordering::Relaxed);
        runs >= 3
    });
    let line = line.unwrap();
    assert!(
        matches!(line.verdict, LineVerdict::Between { holds_at, .. } if holds_at >= 1.0),
        "{:?}",
        line.verdict
    );
    assert_eq!(runs_seen.into_inner(), 3);
}

#[test]
fn a_line_that_does_not_exist_is_said_so() {
    let never = "duration = \"10s\"\n[traffic.orders]\nto = \"POST /orders\"\npeak_per_s = 0.01\n\
                 [function.order]\nduration = \"1ms\"\nsteps = []\n";
    let search = Search { thorough: false, ..Search::from_seed(1) };
    let line = load_line(&plan(never).unwrap(), &search, &InTurn, &|_| false).unwrap();
    assert_eq!(line.verdict, LineVerdict::NeverBreaks { tried_up_to: 1_024.0 });
    let always = format!("{TRAFFIC}\n[[expect]]\nof = \"orders\"\nmeasure = \"latency_p50_ms\"\nmax = 1\n");
    let line = load_line(&plan(&always).unwrap(), &search, &InTurn, &|_| false).unwrap();
    assert!(matches!(line.verdict, LineVerdict::BreaksAtZero { .. }), "{:?}", line.verdict);
    // Where next to nothing is sent, far less of it is nothing: that this holds says nothing.
    let few = "duration = \"10s\"\n[traffic.orders]\nto = \"POST /orders\"\npeak_per_s = 2\n\
               [function.order]\nduration = \"5ms\"\nsteps = []\n\
               [[expect]]\nof = \"orders\"\nmeasure = \"latency_p50_ms\"\nmax = 1\n";
    let line = load_line(&plan(few).unwrap(), &search, &InTurn, &|_| false).unwrap();
    let LineVerdict::BreaksAtZero { tried_down_to } = line.verdict else { panic!("{:?}", line.verdict) };
    assert!((0.01..1.0).contains(&tried_down_to), "{tried_down_to}");
    assert!(line.wall.is_some() && line.curve.iter().all(|point| !point.holds));
}

#[test]
fn what_does_not_fit_the_application_is_said_at_once_and_what_is_meant() {
    let wrong = [
        "[traffic.a]\nto = \"POST /order\"\npeak_per_s = 1\n[function.shop]\nduration = \"1ms\"\n",
        "[traffic.a]\nto = \"paid\"\npeak_per_s = 1\n[function.ship]\n\
         steps = [{ call = \"ordr\" }, { emit = \"payd\" }]\n",
        "duration = \"1h\"\n[traffic.a]\nto = \"paid\"\npeak_per_s = 1_000_000\n",
        "duration = \"366d\"\n[traffic.a]\nto = \"paid\"\npeak_per_s = 10000\n",
    ];
    let mut told = String::new();
    for traffic in wrong {
        let _ = writeln!(told, "--- {}", traffic.replace('\n', "; "));
        let problems = match plan(traffic) {
            Err(problems) => problems,
            Ok(plan) => vec![flyball_sim::run(&plan, 1, 1.0, &mut |_| false).unwrap_err()],
        };
        for problem in problems {
            let _ = writeln!(told, "{problem}");
        }
    }
    insta::assert_snapshot!(told);
}
