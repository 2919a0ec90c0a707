#![allow(clippy::all, warnings)]
use flyball_app::workload::*;
use flyball_core::{Name, Span};
use flyball_sim::plan::Plan;
use std::{sync::Arc, time::Instant};
fn main() {
    let kind = std::env::args().nth(1).unwrap_or("calls".into());
    let text = match kind.as_str() {
        "calls" => {
            r#"
[application]
name = "q"
[limits]
concurrency = { cap = 2000 }
call_wait_max = "0s"
[function.answer]
component = "a.wasm"
timeout = "50s"
[[route]]
path = "/answer"
function = "answer"
"#
        }
        _ => {
            r#"
[application]
name = "q"
[limits]
concurrency = { cap = 2000 }
[function.answer]
component = "a.wasm"
timeout = "50s"
[queue.q]
function = "answer"
batch_max = 1
"#
        }
    };
    let app = Arc::new(flyball_app::read("f", text).unwrap().application);
    let tenants: u32 = std::env::args().nth(2).map_or(1, |n| n.parse().unwrap());
    let n: u64 = std::env::args().nth(3).map_or(3_000_000, |n| n.parse().unwrap());
    let secs: u64 = std::env::args().nth(4).map_or(600, |n| n.parse().unwrap());
    let to = if kind == "calls" { "answer" } else { "q" };
    let w = format!(
        "duration = \"{secs}s\"\n[traffic.x]\nto = \"{to}\"\npeak_per_s = {}\ntenants = {tenants}\nzipf = 1.0\n[function.answer]\nduration = {{ mean = \"100ms\" }}\n",
        n as f64 / secs as f64
    );
    let w = read("t", &w).unwrap().workload;
    let plan = Plan::flyball(&app, &w).unwrap();
    let t = Instant::now();
    let r = flyball_sim::run(&plan, 1, 1.0, &mut |_| false).unwrap();
    let e = t.elapsed().as_secs_f64();
    println!(
        "{kind} tenants {tenants}: {} runs {} steps {} happenings in {e:.2} s = {:.0} runs/s",
        r.platform.invocations,
        r.about.engine_steps,
        r.about.events_simulated,
        r.platform.invocations as f64 / e
    );
    let rss = std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .to_string();
    println!("{rss}");
}
