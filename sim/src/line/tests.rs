//! The search alone: brackets on the ladder of loads.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use flyball_app::{
    import::{Input, Options, import},
    profile::Profile,
    workload,
};
use flyball_core::Span;

use super::*;
use crate::result::{LimitRef, Scope};

/// The bracket of a line at `line`, and the loads that were tried.
fn searched(line: f64, start: Start, width: i32) -> (Bracket, Vec<f64>) {
    let mut tried = Vec::new();
    let found = bracket(start, width, &mut |load| {
        tried.push(load);
        Ok(Some(load < line))
    });
    (found.unwrap().unwrap(), tried)
}

#[test]
fn every_search_tries_rungs_of_one_ladder() {
    let mut all = Vec::new();
    for line in [0.003, 0.5, 0.999, 1.01, 4.1, 9.3, 900.0] {
        let (found, tried) = searched(line, Start::at(0, DOUBLE), WIDTH);
        let Bracket::Between { holds, breaks } = found else { panic!("{line}: {found:?}") };
        assert!(holds < line && line <= breaks && breaks / holds < 1.05, "{line}: {found:?}");
        // The next seed begins at the line of the one before.
        let (again, more) = searched(line * 1.03, Start::at(rung_of(holds), WIDTH), WIDTH);
        assert!(matches!(again, Bracket::Between { .. }), "{line}: {again:?}");
        all.extend(tried.into_iter().chain(more));
    }
    for load in all {
        assert_eq!(load, load_at(rung_of(load)), "{load} is on no rung");
    }
}

#[test]
fn a_sweep_begins_with_the_step_of_its_way() {
    let start = Start { rung: 13, up: 3, down: 13 };
    for (line, expected) in
        [(15, vec![13, 16]), (22, vec![13, 16, 22, 19]), (2, vec![13, 0, 6, 3]), (-1, vec![13, 0, -16])]
    {
        let (_, tried) = searched(load_at(line) * 0.99, start, WIDTH_COARSE);
        let rungs: Vec<i32> = tried.into_iter().map(rung_of).collect();
        assert_eq!(&rungs[..expected.len()], expected, "{line}");
    }
}

#[test]
fn a_line_that_is_nowhere_ends_the_search() {
    let (never, tried) = searched(f64::INFINITY, Start::at(0, DOUBLE), WIDTH);
    assert_eq!((never, tried.len()), (Bracket::Never { tried: LOAD_MAX }, 11));
    let (zero, tried) = searched(0.0, Start::at(0, DOUBLE), WIDTH);
    assert_eq!((zero, tried.len()), (Bracket::Zero { tried: LOAD_MIN }, 11));
    assert_eq!(searched(LOAD_MIN * 1.01, Start::at(0, DOUBLE), WIDTH).1.last(), Some(&load_at(1 - RUNG_MAX)));
}

#[test]
fn a_sweep_ends_with_a_load_whose_run_is_long() {
    let (application, traffic) = (
        "[application]\nname = \"a\"\n[function.f]\ncomponent = \"f.wasm\"\n[queue.q]\nfunction = \"f\"\n",
        "duration = \"10s\"\n[traffic.a]\nto = \"q\"\npeak_per_s = 1\n[function.f]\nduration = \"1ms\"\n",
    );
    let application =
        std::sync::Arc::new(flyball_app::read("flyball.toml", application).unwrap().application);
    let workload = workload::read("traffic.toml", traffic).unwrap().workload;
    let plan = Plan::flyball(&application, &workload).unwrap();
    let mut trial = Trial::new(&plan, &|_| false);
    trial.swept = Swept { load: 4.0, happenings: 1 };
    let found = trial.of_seed(1, Start::at(0, DOUBLE)).unwrap();
    assert_eq!((found.found, found.runs.len()), (Some(Bracket::Never { tried: 4.0 }), 3));
}

#[test]
fn a_timeout_of_lambda_is_raised_to_900_seconds_at_most() {
    for (stated, raised) in [(10, Some(20)), (450, Some(900)), (451, None), (900, None)] {
        let template = format!(
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  Web:\n    Type: AWS::Serverless::Function\n    \
             Properties:\n      Handler: a.b\n      Runtime: python3.13\n      InlineCode: pass\n      \
             Timeout: {stated}\n"
        );
        let input = Input { name: "template.yaml".into(), text: template };
        let design = import(vec![input], &Options::default(), &|_| None).design;
        let stated_traffic = "[traffic.web]\nto = \"Web\"\npeak_per_s = 1\n";
        let workload = workload::read("traffic.toml", stated_traffic).unwrap().workload;
        let plan = Plan::aws("one", &design, &Profile::built_in("aws").unwrap(), &workload).unwrap();
        let limit = LimitRef {
            name: "timeout".into(),
            scope: Scope::Function,
            of: "Web".into(),
            value: f64::from(stated),
            unit: "s".into(),
        };
        let found = plan.with_limit_raised(&limit).map(|raised| raised.plan.functions[0].timeout);
        assert_eq!(found, raised.map(Span::from_secs), "{stated}");
    }
}

/// The line of a function that one run at a time may have, found by parts of the traffic: where it is by all of it.
#[test]
fn the_busiest_part_of_the_traffic_shows_the_line_of_all_of_it() {
    let application = "[application]\nname = \"a\"\n[function.f]\ncomponent = \"f.wasm\"\n\
                       concurrency = { cap = 1 }\n[queue.q]\nfunction = \"f\"\n";
    let application =
        std::sync::Arc::new(flyball_app::read("flyball.toml", application).unwrap().application);
    let traffic = "duration = \"24h\"\n[traffic.a]\nto = \"q\"\npeak_per_s = 0.05\npeak_to_mean = 4\n\
                   [function.f]\nduration = \"5s\"\n\
                   [[expect]]\nof = \"f\"\nmeasure = \"dwell_p99_ms\"\nmax = 300000\n";
    let workload = workload::read("traffic.toml", traffic).unwrap().workload;
    let plan = Plan::flyball(&application, &workload).unwrap();
    let line = |most: f64| {
        let mut trial = Trial::new(&plan, &|_| false);
        trial.horizon = Horizon::of(&plan, most);
        let found = trial.of_seed(1, Start::at(0, DOUBLE)).unwrap();
        let longest = found.runs.iter().map(|(_, run)| run.about.duration_s).fold(0.0, f64::max);
        let shortest = found.runs.iter().map(|(_, run)| run.about.duration_s).fold(f64::INFINITY, f64::min);
        (found.found, longest, shortest)
    };
    let (Some(Bracket::Between { holds: by_all, .. }), _, 86_400.0) = line(f64::INFINITY) else {
        panic!("by all")
    };
    let (Some(Bracket::Between { holds, .. }), longest, shortest) = line(6_000.0) else {
        panic!("by a part")
    };
    assert!(longest == 86_400.0 && (600.0..43_200.0).contains(&shortest), "{longest} {shortest}");
    assert!((holds / by_all - 1.0).abs() < 0.1, "{holds} by a part, {by_all} by all");
}

/// What is stated by the day and simulated for less is the day's peak; and where nothing comes nothing is known.
#[test]
fn less_than_a_day_is_its_peak_and_nothing_is_no_pass() {
    let application = "[application]\nname = \"a\"\n[function.f]\ncomponent = \"f.wasm\"\n\
                       [queue.q]\nfunction = \"f\"\n";
    let application =
        std::sync::Arc::new(flyball_app::read("flyball.toml", application).unwrap().application);
    let run = |traffic: &str| {
        let workload = workload::read("traffic.toml", traffic).unwrap().workload;
        let plan = Plan::flyball(&application, &workload).unwrap();
        let named = plan.assumptions.iter().any(|one| one.what == "which part of the day is simulated");
        (crate::run(&plan, 1, 1.0, &mut |_| false).unwrap(), named)
    };
    let stated =
        "[traffic.a]\nto = \"q\"\npeak_per_s = 10\npeak_to_mean = 2.5\n[function.f]\nduration = \"1ms\"\n";
    let (peak, named) = run(&format!("duration = \"10m\"\n{stated}"));
    // The first minute rises.
    assert!((5_400..6_000).contains(&peak.about.arrivals) && named, "{}", peak.about.arrivals);
    let (day, named) = run(&format!("duration = \"24h\"\n{}", stated.replace("10\n", "0.1\n")));
    assert!((3_200..3_700).contains(&day.about.arrivals) && !named, "{}", day.about.arrivals);
    let (nothing, _) = run(
        "duration = \"1s\"\n[traffic.a]\nto = \"q\"\npeak_per_s = 0.00001\n[function.f]\nduration = \"1ms\"\n",
    );
    assert!(nothing.saw_nothing());
    let simulation = crate::result::Simulation { run: Some(nothing), ..Default::default() };
    assert!(crate::report::fails(&simulation));
}
