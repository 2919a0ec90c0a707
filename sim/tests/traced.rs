//! A trace as the application: each series is a function that is called when it was, and takes what it took.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};

use flyball_app::{
    import::{Input, Options, import},
    profile::Profile,
    workload::{self, Recorded, Source, trace},
};
use flyball_sim::{plan::Plan, result::RunResult};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn read(arrivals: &str, more: Option<(&str, &str)>) -> Recorded {
    let (arrivals, more) = (text(arrivals), more.map(|(durations, memory)| (text(durations), text(memory))));
    let mut arrivals = arrivals.as_bytes();
    let mut durations = more.as_ref().map(|more| more.0.as_bytes());
    let mut memory = more.as_ref().map(|more| more.1.as_bytes());
    let inputs = trace::Inputs {
        arrivals: trace::Input { name: "arrivals", text: &mut arrivals },
        durations: durations.as_mut().map(|text| trace::Input { name: "durations", text }),
        memory: memory.as_mut().map(|text| trace::Input { name: "memory", text }),
    };
    trace::read(None, inputs).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn like() -> Source {
    let text = text("examples/traces/traffic.toml");
    let read = workload::read("traffic.toml", &text).unwrap_or_else(|wrong| panic!("{wrong}"));
    read.workload.traffic.into_values().next().unwrap()
}

fn run(recorded: Recorded, seed: u64) -> RunResult {
    let made = trace::application(&like(), recorded, 0);
    let inputs = vec![Input { name: "trace".into(), text: made.template }];
    let imported = import(inputs, &Options::default(), &|_| None);
    assert!(imported.problems.is_empty(), "{:?}", imported.problems);
    let text = text("examples/traces/traffic.toml");
    let mut workload = workload::read("traffic.toml", &text).unwrap().workload;
    (workload.traffic, workload.functions) = (made.traffic, made.functions);
    let profile = Profile::built_in("aws").unwrap();
    let plan = Plan::aws("trace", &imported.design, &profile, &workload).unwrap_or_else(|p| panic!("{p:?}"));
    flyball_sim::run(&plan, seed, 1.0, &mut |_| false).unwrap()
}

fn hour() -> Recorded {
    let more = ("examples/traces/durations.csv", "examples/traces/memory.csv");
    read("examples/traces/invocations.csv", Some(more))
}

#[test]
fn an_hour_of_azure_2019_is_an_application_of_its_functions() {
    let recorded = hour();
    let series: Vec<(u64, Option<f64>)> = recorded
        .series
        .iter()
        .map(|series| (series.counts.iter().map(|count| u64::from(*count)).sum(), series.memory_mb))
        .filter(|(events, _)| *events > 0)
        .collect();
    let result = run(recorded, 1);
    assert_eq!(result.functions.len(), series.len(), "those without an event in this hour are left out");
    for (function, (events, memory_mb)) in result.functions.iter().zip(&series) {
        assert_eq!(function.runs, *events, "{}: each event is one run", function.name);
        let memory = memory_mb.unwrap_or(128.0).max(128.0).ceil();
        assert!((function.memory_mb - memory).abs() < 0.5, "{}: {} MB", function.name, function.memory_mb);
    }
    let busiest = result.functions.iter().max_by_key(|function| function.runs).unwrap();
    assert_eq!(busiest.runs, 845);
    assert!(busiest.cold_starts >= 1 && busiest.cold_starts < 845, "{}", busiest.cold_starts);
    assert!(result.cost.usd_per_month > 0.0);
    assert_eq!(run(hour(), 1), run(hour(), 1), "the same seed gives the same");
    assert_ne!(run(hour(), 1), run(hour(), 2));
}

#[test]
fn traces_of_single_invocations_are_applications_too() {
    for file in ["azure2021.csv", "pacslab.csv"] {
        let recorded = read(&format!("app/tests/workload/traces/{file}"), None);
        let events: u64 = recorded.series.iter().flat_map(|s| &s.counts).map(|count| u64::from(*count)).sum();
        let functions = recorded.series.len();
        let result = run(recorded, 1);
        assert_eq!(result.functions.len(), functions, "{file}");
        assert_eq!(result.functions.iter().map(|function| function.runs).sum::<u64>(), events, "{file}");
    }
}

#[test]
fn a_trace_without_events_makes_no_application() {
    let mut recorded = hour();
    recorded.series.iter_mut().for_each(|series| series.counts.fill(0));
    assert_eq!(trace::application(&like(), recorded, 0), trace::Application::default());
}
