//! The incidents under `examples/incidents`: each shows its shape, and holds with its fix.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{fs, path::PathBuf, sync::Arc};

use flyball_app::{
    import::{Input, Options, import},
    profile::Profile,
    workload::{self, Workload},
};
use flyball_sim::{plan::Plan, result::RunResult};

/// A file of an incident.
fn text(incident: &str, name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/incidents").join(incident);
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{incident}/{name}: {error}"))
}

fn workload(text: &str) -> Workload {
    workload::read("traffic.toml", text).unwrap_or_else(|wrong| panic!("{wrong}")).workload
}

/// What is simulated of a template under a traffic.
fn plan(incident: &str, template: &str, workload: &Workload) -> Plan {
    let plan = if template.ends_with(".toml") {
        let read =
            flyball_app::read(template, &text(incident, template)).unwrap_or_else(|wrong| panic!("{wrong}"));
        Plan::flyball(&Arc::new(read.application), workload)
    } else {
        let inputs = vec![Input { name: template.into(), text: text(incident, template) }];
        let imported = import(inputs, &Options::default(), &|_| None);
        Plan::aws(incident, &imported.design, &Profile::built_in("aws").unwrap(), workload)
    };
    plan.unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// One run of a template under a traffic.
fn run_with(incident: &str, template: &str, workload: &Workload, seed: u64) -> RunResult {
    flyball_sim::run(&plan(incident, template, workload), seed, 1.0, &mut |_| false).unwrap()
}

fn run(incident: &str, template: &str, traffic: &str) -> RunResult {
    run_with(incident, template, &workload(&text(incident, traffic)), 1)
}

fn measured(run: &RunResult, measure: &str) -> f64 {
    run.promises.iter().find(|promise| promise.measure == measure).map(|promise| promise.value).unwrap()
}

/// The traffic with one number of it made so many times as large.
fn turned(traffic: &str, key: &str, from: f64, unit: &str, factor: f64) -> String {
    let stated = format!("{key} = \"{from}{unit}\"");
    assert!(traffic.contains(&stated), "{stated} is not in the file");
    traffic.replace(&stated, &format!("{key} = \"{}{unit}\"", (from * factor).round()))
}

#[test]
fn a_database_that_a_dependency_stands_for_is_modelled() {
    let incident = "2-connection-storm";
    let stated = text(incident, "traffic.toml");
    let plan = plan(incident, "template.yaml", &workload(&stated));
    assert!(plan.unmodelled.is_empty(), "{:?}", plan.unmodelled);
}

#[test]
fn a_batch_that_is_started_again_starts_each_document_some_three_times() {
    let incident = "1-batch-started-again";
    let traffic = text(incident, "traffic.toml").replace("40s", "40000ms").replace("\"8s\"", "\"8000ms\"");
    let traffic = traffic.replace("\"1s\"", "\"1000ms\"");
    for factor in [0.7, 1.0, 1.3] {
        let free = [("mean", 40_000.0), ("retry_base", 1_000.0), ("retry_max", 8_000.0), ("compute", 50.0)];
        for (key, from) in free {
            let run =
                run_with(incident, "template.yaml", &workload(&turned(&traffic, key, from, "ms", factor)), 1);
            let executions = measured(&run, "runs_per_event");
            assert!((2.5..=4.5).contains(&executions), "{key} × {factor}: {executions} for each document");
        }
    }
}

#[test]
fn a_name_that_follows_from_the_message_starts_each_document_once() {
    for seed in 1..=3 {
        let workload = workload(&text("1-batch-started-again", "fixed-traffic.toml"));
        let run = run_with("1-batch-started-again", "template.yaml", &workload, seed);
        assert_eq!(measured(&run, "runs_per_event"), 1.0);
        assert_eq!(run.broken().count(), 0, "{:?}", run.promises);
        // It is drained well after the last document came, and with more receives than documents.
        let documents = run.nodes.iter().find(|node| node.name == "Documents").unwrap();
        assert_eq!((documents.left, documents.backlog_end), (documents.entered, 0));
        assert!(run.functions[0].runs > 439, "{} runs", run.functions[0].runs);
        assert!((780.0..4_000.0).contains(&run.about.simulated_s), "{} s", run.about.simulated_s);
    }
}

#[test]
fn reported_failures_help_and_only_names_that_follow_from_the_message_start_each_document_once() {
    let half = run("1-batch-started-again", "fixed.yaml", "traffic.toml");
    assert!((1.05..1.5).contains(&measured(&half, "runs_per_event")), "{:?}", half.promises);
    let whole = run("1-batch-started-again", "fixed.yaml", "fixed-traffic.toml");
    assert_eq!(measured(&whole, "runs_per_event"), 1.0);
    assert_eq!(whole.broken().count(), 0, "{:?}", whole.promises);
}

/// Good answers of the last tenth of the time, percent of all that came then.
fn good_at_the_end(run: &RunResult, source: &str) -> f64 {
    let source = run.sources.iter().find(|s| s.name == source).unwrap();
    let lately = |series: &[f64]| series.iter().skip(series.len() * 9 / 10).sum::<f64>();
    lately(&source.times.answered_per_s) * 100.0 / lately(&source.times.arrivals_per_s)
}

#[test]
fn a_connection_storm_does_not_end_while_requests_keep_coming() {
    let run = run("2-connection-storm", "template.yaml", "traffic.toml");
    let database = &run.dependencies[0];
    assert!(database.connections_peak >= 845.0, "{} connections", database.connections_peak);
    assert!(database.orphans > 1_000, "{} orphans", database.orphans);
    // The map was opened after five minutes; half an hour later hardly a tile is answered.
    assert!(good_at_the_end(&run, "tiles") < 50.0, "{} %", good_at_the_end(&run, "tiles"));
    let broken: Vec<_> =
        run.broken().map(|promise| (promise.of.as_str(), promise.measure.as_str())).collect();
    assert_eq!(broken, [("tiles", "errors_percent")]);
}

#[test]
fn a_cap_on_concurrency_lets_the_database_come_back() {
    let run = run("2-connection-storm", "fixed.yaml", "traffic.toml");
    assert!(run.dependencies[0].connections_peak <= 100.0);
    assert_eq!(run.dependencies[0].orphans, 0);
    assert!(good_at_the_end(&run, "tiles") > 99.0, "{} %", good_at_the_end(&run, "tiles"));
    assert_eq!(run.broken().count(), 0, "{:?}", run.promises);
    // Nobody is turned away later than half a minute after the map was opened, after five minutes.
    for source in &run.sources {
        let errors = source.times.errors_per_s.iter().zip(0_u32..).filter(|(errors, _)| **errors > 0.0);
        let at_s: Vec<f64> = errors.map(|(_, slot)| f64::from(slot) * run.slot_s).collect();
        assert!(
            !at_s.is_empty() && at_s.iter().all(|at| (290.0..330.0).contains(at)),
            "{}: {at_s:?}",
            source.name
        );
    }
}

#[test]
fn a_trail_that_logs_its_own_files_writes_them_for_ever() {
    let files = |run: &RunResult| run.nodes.iter().find(|node| node.name == "Log").unwrap().entered;
    let looping = run("4-log-loop", "template.yaml", "traffic.toml");
    let uploads = looping.sources[0].arrivals;
    assert!((80..160).contains(&uploads), "{uploads} within ten minutes");
    assert!((280..=290).contains(&files(&looping)), "a file each five minutes of a day: {}", files(&looping));
    let broken = looping.broken().next().unwrap();
    assert_eq!((broken.of.as_str(), broken.measure.as_str()), ("Audit", "backlog_events"));
    let fixed = run("4-log-loop", "fixed.yaml", "traffic.toml");
    assert_eq!(fixed.sources[0].arrivals, uploads);
    assert!((1..=3).contains(&files(&fixed)), "{} files", files(&fixed));
    assert_eq!(fixed.broken().count(), 0, "{:?}", fixed.promises);
}

#[test]
fn a_job_that_goes_back_on_its_own_queue_runs_for_ever() {
    let looping = run("3-requeue-loop", "template.yaml", "traffic.toml");
    let runs_per_minute = looping.functions[0].runs as f64 / (looping.about.simulated_s / 60.0);
    assert!((1_500.0..2_500.0).contains(&runs_per_minute), "{runs_per_minute} a minute");
    assert!(measured(&looping, "runs_per_event") > 1_000.0);
    let parked = run("3-requeue-loop", "fixed.yaml", "traffic.toml");
    assert_eq!(measured(&parked, "runs_per_event"), 1.0);
}

#[test]
fn a_lease_shorter_than_the_work_does_it_twice() {
    let short = run("5-lease-shorter-than-work", "template.yaml", "traffic.toml");
    assert!((1.5..=3.0).contains(&measured(&short, "runs_per_event")), "{:?}", short.promises);
    let long = run("5-lease-shorter-than-work", "fixed.yaml", "traffic.toml");
    assert_eq!(measured(&long, "runs_per_event"), 1.0);
    assert_eq!(long.broken().count(), 0);
}

/// How long the loud user's tasks wait, and those of the worst off of the others: 99 of 100 of each, milliseconds.
fn waits_ms(run: &RunResult) -> (f64, f64) {
    let of = |tenant: &&flyball_sim::result::TenantResult| tenant.name == "loud";
    let loud = run.tenants.shown.iter().find(of).unwrap().dwell.p99_ms;
    let others = run.tenants.shown.iter().filter(|tenant| tenant.name != "loud");
    (loud, others.map(|tenant| tenant.dwell.p99_ms).fold(0.0, f64::max))
}

#[test]
fn first_come_first_served_one_loud_user_starves_the_other_99() {
    let run = run("6-tenant-starvation", "template.yaml", "traffic.toml");
    assert!(run.functions[0].concurrency_peak <= 10.0);
    let (loud, others) = waits_ms(&run);
    assert!(loud > 60_000.0 && others > 60_000.0, "{loud} ms, {others} ms");
    let broken = run.broken().next().unwrap();
    assert_eq!((broken.of.as_str(), broken.measure.as_str()), ("others", "dwell_p99_ms"));
    assert!(broken.value > 60_000.0, "{} ms", broken.value);
    let because = broken.broken.as_ref().unwrap().because.as_ref().unwrap();
    assert_eq!((because.of.as_str(), because.value), ("Tasks", 10.0), "its mapping has ten batches at once");
}

#[test]
fn one_loud_user_does_not_starve_the_other_99() {
    let run = run("6-tenant-starvation", "fixed.toml", "traffic.toml");
    assert_eq!(run.tenants.dwell_p99_worst.as_ref().unwrap().name, "loud");
    let (loud, others) = waits_ms(&run);
    assert!(loud > 60_000.0, "1,000 tasks wait for one another: {loud} ms");
    assert!(others < 10_000.0, "{others} ms");
    assert_eq!(run.broken().count(), 0, "{:?}", run.promises);
}

#[test]
fn a_burst_that_takes_the_pool_throttles_who_has_nothing_to_do_with_it() {
    let burst = run("7-burst-takes-the-pool", "template.yaml", "traffic.toml");
    let answer = burst.functions.iter().find(|function| function.name == "Answer").unwrap();
    assert!(answer.throttled.contains_key("platform concurrency"), "{:?}", answer.throttled);
    assert!(answer.concurrency_peak < 50.0);
    let capped = run("7-burst-takes-the-pool", "fixed.yaml", "traffic.toml");
    assert_eq!(capped.platform.throttled, 0);
    assert_eq!(capped.broken().count(), 0, "{:?}", capped.promises);
}

#[test]
fn one_failure_repeats_its_whole_batch_unless_single_failures_are_reported() {
    let whole = run("8-parts-done-many-times", "template.yaml", "traffic.toml");
    assert!(measured(&whole, "runs_per_event") > 2.0, "{:?}", whole.promises);
    let single = run("8-parts-done-many-times", "fixed.yaml", "traffic.toml");
    assert!(measured(&single, "runs_per_event") < 1.2, "{:?}", single.promises);
    assert_eq!(single.broken().count(), 0);
}
