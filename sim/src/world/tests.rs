//! The world against what theory says.

use std::sync::Arc;

use flyball_app::workload::{
    Arrivals, Behaviour, Client, Lasting, Retry, Shape, Source, Tenants, Volume, Workload,
};
use flyball_core::{Name, Span};

use super::{Setting, Tally, World};
use crate::plan::Plan;

fn source(to: &str, per_s: f64) -> Source {
    Source {
        to: Some(to.into()),
        volume: Volume::PerSecond(per_s),
        shape: Shape::Flat,
        arrivals: Arrivals::Poisson,
        from: Span::ZERO,
        until: None,
        events_max: None,
        tenants: Tenants::Many { count: 1, zipf: 0.0 },
        event_bytes: 1_024,
        items: 1,
        client: Client { timeout: None, retry: Retry::default(), retry_budget_percent: None, keyed: false },
        scaled: true,
        as_functions: false,
    }
}

fn workload(per_s: f64, mean: Span, duration: Span) -> Workload {
    let behaviour = Behaviour { duration: Some(Lasting::Exponential { mean }), ..Behaviour::default() };
    Workload {
        duration: Some(duration),
        traffic: [(Name::new("calls").unwrap(), source("answer", per_s))].into(),
        functions: [("answer".to_string(), behaviour)].into(),
        ..Workload::default()
    }
}

fn application(cap: u32, wait: &str) -> Arc<flyball_core::model::Checked> {
    let text = format!(
        r#"
[application]
name = "queueing"
[limits]
concurrency = {{ cap = {cap} }}
call_wait_max = "{wait}"
waiting_calls_max = 1_000_000
[tenant_defaults]
waiting_calls_max = 1_000_000
[function.answer]
component = "answer.wasm"
timeout = "15m"
[[route]]
path = "/answer"
function = "answer"
[limits.invocation]
"#
    );
    let text = text.replace("[limits.invocation]\n", "");
    let text = text.replace("call_wait_max", "long_timeout = \"15m\"\ncall_wait_max");
    Arc::new(flyball_app::read("flyball.toml", &text).unwrap().application)
}

fn run(application: &Arc<flyball_core::model::Checked>, workload: &Workload, seed: u64) -> Tally {
    let plan = Plan::flyball(application, workload).unwrap();
    World::new(&plan, Setting { seed, load: 1.0, happenings_max: u64::MAX }).unwrap().run(&mut |_| false)
}

/// The probability that a call waits, and that one is lost.
fn erlang(servers: u32, load: f64) -> (f64, f64) {
    let mut lost = 1.0;
    for n in 1..=servers {
        lost = load * lost / (f64::from(n) + load * lost);
    }
    let busy = load / f64::from(servers);
    (lost / (1.0 - busy * (1.0 - lost)), lost)
}

#[test]
fn calls_that_wait_wait_as_long_as_erlang_says() {
    let (servers, per_s, mean) = (4_u32, 26.0, 0.1);
    let (waits, _) = erlang(servers, per_s * mean);
    let expected = waits * mean / (f64::from(servers) - per_s * mean);
    let workload = workload(per_s, Span::from_millis(100), Span::from_secs(10_000));
    let application = application(servers, "15m");
    let of_seed = |seed| run(&application, &workload, seed).dwell.mean().unwrap().0 as f64 / 1e6;
    let measured = (1..=4).map(of_seed).sum::<f64>() / 4.0;
    assert!((measured / expected - 1.0).abs() < 0.02, "{measured} s, not {expected} s");
}

#[test]
fn calls_that_may_not_wait_are_lost_as_often_as_erlang_says() {
    let (servers, per_s, mean) = (10_u32, 80.0, 0.1);
    let tally = run(
        &application(servers, "0s"),
        &workload(per_s, Span::from_millis(100), Span::from_secs(20_000)),
        2,
    );
    let (_, expected) = erlang(servers, per_s * mean);
    let source = &tally.sources[0];
    let measured = source.failed as f64 / source.arrivals as f64;
    assert!((measured / expected - 1.0).abs() < 0.02, "{measured}, not {expected}");
}

#[test]
fn the_line_of_a_function_is_where_its_slots_are_full() {
    let workload = workload(10.0, Span::from_millis(100), Span::from_secs(300));
    let plan = Plan::flyball(&application(10, "1s"), &workload).unwrap();
    let search = crate::line::Search { thorough: true, ..crate::line::Search::from_seed(7) };
    let line = crate::line::load_line(&plan, &search, &crate::line::InTurn, &|_| false).unwrap();
    let crate::result::LineVerdict::Found { holds_at, breaks_at, .. } = line.verdict else {
        panic!("{line:?}")
    };
    assert!(holds_at > 8.0 && breaks_at < 10.5, "{holds_at} {breaks_at}");
    assert_eq!(line.wall.unwrap().because.unwrap().name, "concurrency");
}

/// The example of SimFaaS's own documentation (pacslab/simfaas 0.1, 0.9 requests/s, warm 1.991 s, cold 2.244 s,
/// environments kept for 600 s), which its simulator answers, over six seeds of 200,000 s, with these means and
/// standard deviations. It takes the newest idle environment where we take the one used last.
#[test]
fn environments_are_as_many_and_as_cold_as_simfaas_has_them() {
    let template =
        "Resources:\n  Answer:\n    Type: AWS::Lambda::Function\n    Properties:\n      Timeout: 900\n";
    let input = flyball_app::import::Input { name: "template.yaml".into(), text: template.into() };
    let imported = flyball_app::import::import(vec![input], &Default::default(), &|_| None);
    let traffic = r#"
duration = "200000s"
[traffic.requests]
to = "Answer"
peak_per_s = 0.9
[function.Answer]
duration = { mean = "1991ms" }
init = { mean = "253ms" }
[environments]
idle_max = "600s"
age_max = "365d"
"#;
    let workload = flyball_app::workload::read("traffic.toml", traffic).unwrap().workload;
    let profile = flyball_app::profile::Profile::built_in("aws").unwrap();
    let plan = Plan::aws("simfaas", &imported.design, &profile, &workload).unwrap();
    let setting = Setting { seed: 1, load: 1.0, happenings_max: u64::MAX };
    let tally = World::new(&plan, setting).unwrap().run(&mut |_| false);
    let function = &tally.functions[0];
    let mean = |gauge: &crate::measure::GaugeSeries| {
        gauge.iter().map(|(_, slot)| slot.mean()).sum::<f64>() / gauge.iter().count() as f64
    };
    let cold = function.cold_starts as f64 / function.runs as f64;
    let within = |measured: f64, theirs: f64, sd: f64| (measured - theirs).abs() <= 3.0 * sd;
    assert!(within(cold, 0.001_364, 0.000_122), "cold starts {cold}");
    assert!(
        within(mean(&function.environments), 7.701, 0.048),
        "{} environments",
        mean(&function.environments)
    );
    assert!(within(mean(&function.concurrency), 1.793, 0.005_7), "{} running", mean(&function.concurrency));
}
