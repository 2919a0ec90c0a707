//! codewatch's own components under many seeds: each push's findings are reported once and announced once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use flyball_app::workload::{self, Volume};
use flyball_core::{Span, model::Checked};
use flyball_sim::{
    faults::{Seeds, Watch, run_with},
    plan::Plan,
    result::RunResult,
};

use super::*;

/// Seeds where nothing else is said, and those of a night.
const SEEDS: u64 = 200;
const SEEDS_NIGHTLY: u64 = 10_000;

/// The rule of `scan` that finds what is planted.
const RULE: &str = "digitalocean-token";

struct Bench {
    real: Real,
    plan: Plan,
    _directory: tempfile::TempDir,
}

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/codewatch")
}

/// Its traffic file, with a short burst of pushes instead of the recorded day, and time to end all of it.
fn bench(per_second: f64) -> Bench {
    let example = example();
    let read = |file: &str| std::fs::read_to_string(example.join(file)).unwrap();
    let application = flyball_app::read("flyball.toml", &read("flyball.toml")).unwrap().application;
    let mut workload = workload::read("traffic.toml", &read("traffic.toml")).unwrap().workload;
    workload.duration = Some(Span::from_secs(120));
    for source in workload.traffic.values_mut() {
        source.volume = Volume::PerSecond(per_second);
        source.until = Some(Span::from_secs(10));
        source.tenants = workload::Tenants::Many { count: 4, zipf: 1.0 };
        source.client.retry.times = 8;
    }
    bench_of(application, workload)
}

fn bench_of(application: Checked, mut workload: Workload) -> Bench {
    let example = example();
    // Compiled code is kept among the target's files: no test writes into the example.
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(example.join("functions"), directory.path().join("functions")).unwrap();
    let mut real = Real::new(&application, directory.path(), &mut workload, &example).unwrap();
    real.seen = Some(Seen::default());
    let plan = Plan::flyball(&Arc::new(application), &workload).unwrap();
    Bench { real, plan, _directory: directory }
}

impl Bench {
    fn run(&mut self, seed: u64) -> (RunResult, Seen) {
        self.real.seen = Some(Seen::default());
        let result = flyball_sim::run_with(&self.plan, seed, 1.0, &mut self.real, &mut |_| false).unwrap();
        (result, self.real.seen.take().unwrap())
    }
}

/// The fingerprints that a push must bring, by the tenant that pushed.
fn planted(seen: &Seen) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for (source, tenant, body) in seen.arrived.values() {
        if source != "pushes" {
            continue;
        }
        let push: serde_json::Value = serde_json::from_slice(body).unwrap();
        for (path, content) in push["flyball_contents"].as_object().unwrap() {
            let Some((_, secret)) = content.as_str().unwrap().split_once("dop_v1_") else { continue };
            let secret = format!("dop_v1_{}", secret.trim());
            all.insert((tenant.clone(), fingerprint(path, &secret)));
        }
    }
    all
}

fn fingerprint(path: &str, secret: &str) -> String {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for part in [RULE, path, secret] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What the tenants' reports have.
fn reported(seen: &Seen) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (tenant, key, value) in &seen.values {
        assert_eq!(key.namespace.as_str(), "reports");
        assert!(key.key.starts_with(&format!("{tenant}/")), "{key:?} is another tenant's");
        let report: serde_json::Value = serde_json::from_slice(value).unwrap();
        let findings = report["findings"].as_object().unwrap();
        all.extend(findings.keys().map(|fingerprint| (tenant.clone(), fingerprint.clone())));
    }
    all
}

/// The events that told of each finding: a request that is sent again has the same key.
fn announced(seen: &Seen) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for outgoing in &seen.outgoing {
        let told: serde_json::Value = serde_json::from_slice(&outgoing.body).unwrap();
        for finding in told["new_findings"].as_array().unwrap() {
            let fingerprint = finding["fingerprint"].as_str().unwrap().to_string();
            all.entry(fingerprint).or_default().insert(outgoing.key.clone());
        }
    }
    all
}

fn check(seed: u64, seen: &Seen) {
    let planted = planted(seen);
    let reported = reported(seen);
    let once: BTreeSet<_> = reported.iter().cloned().collect();
    assert_eq!(reported.len(), once.len(), "seed {seed}: a finding is reported twice");
    assert_eq!(
        once, planted,
        "seed {seed}: what is reported is not what was pushed; logged: {:?}",
        seen.lines
    );
    let announced = announced(seen);
    assert_eq!(announced.len(), planted.len(), "seed {seed}: not every finding is announced");
    for (fingerprint, events) in announced {
        assert_eq!(events.len(), 1, "seed {seed}: {fingerprint} is announced by {events:?}");
    }
}

#[test]
fn each_finding_of_each_push_is_reported_once_and_announced_once_under_every_seed() {
    let nightly = std::env::var_os("FLYBALL_NIGHTLY").is_some();
    let mut bench = bench(3.0);
    let (mut found, mut runs) = (0, 0);
    for seed in 1..=if nightly { SEEDS_NIGHTLY } else { SEEDS / 4 } {
        let (_, seen) = bench.run(seed);
        check(seed, &seen);
        found += planted(&seen).len();
        runs += seen.runs;
    }
    assert!(found > 500 && runs > 2_500, "{found} findings in {runs} runs show little");
}

/// Its own traffic for faults, with what it asserts.
fn bench_for_faults() -> Bench {
    let example = example();
    let read = |file: &str| std::fs::read_to_string(example.join(file)).unwrap();
    let application = flyball_app::read("flyball.toml", &read("flyball.toml")).unwrap().application;
    let workload = workload::read("traffic-faults.toml", &read("traffic-faults.toml")).unwrap().workload;
    bench_of(application, workload)
}

/// Whoever does not wait.
struct Quiet;

impl Watch for Quiet {
    fn seed(&mut self, _: u64, _: u64) -> bool {
        false
    }
}

/// Pushes whose client was told that they were taken must be reported; of others, some may be.
fn check_under_faults(seed: u64, seen: &Seen) {
    let planted = planted(seen);
    let reported = reported(seen);
    let once: BTreeSet<_> = reported.iter().cloned().collect();
    assert_eq!(reported.len(), once.len(), "seed {seed}: a finding is reported twice");
    assert!(once.is_subset(&planted), "seed {seed}: something is reported that nobody pushed");
    let missing: Vec<_> = planted.difference(&once).collect();
    assert!(missing.is_empty(), "seed {seed}: {missing:?} are not reported; logged: {:?}", seen.lines);
    for (fingerprint, events) in announced(seen) {
        assert_eq!(events.len(), 1, "seed {seed}: {fingerprint} is announced by {events:?}");
    }
}

#[test]
fn what_codewatch_promises_holds_through_crashes_failed_commits_and_duplicates_under_every_seed() {
    let nightly = std::env::var_os("FLYBALL_NIGHTLY").is_some();
    let text = std::fs::read_to_string(example().join("faults.toml")).unwrap();
    let faults = workload::faults::read("faults.toml", &text).unwrap();
    let mut bench = bench_for_faults();
    let mut injected: BTreeMap<String, u64> = BTreeMap::new();
    let (mut found, mut again) = (0, 0);
    for seed in 1..=if nightly { SEEDS_NIGHTLY } else { SEEDS } {
        bench.real.seen = Some(Seen::default());
        let one = Seeds { first: seed, count: 1, regressions: Vec::new() };
        let run = run_with(&bench.plan, Some(&faults), &one, &mut bench.real, &mut Quiet).unwrap();
        assert_eq!(run.seeds_failed, 0, "seed {seed}: {:#?}", run.failures);
        let seen = bench.real.seen.take().unwrap();
        check_under_faults(seed, &seen);
        found += planted(&seen).len();
        let keys: BTreeSet<_> = seen.outgoing.iter().map(|outgoing| &outgoing.key).collect();
        again += seen.outgoing.len() - keys.len();
        for (kind, count) in run.injected {
            *injected.entry(kind).or_default() += count;
        }
    }
    assert!(found > 1_000, "{found} findings show little");
    assert!(again > 100, "{again} requests went out again: there was little to withstand");
    for kind in ["crash", "failed commit", "duplicate", "late", "failing dependency"] {
        assert!(injected.get(kind).is_some_and(|count| *count > 50), "{injected:?} has few of {kind}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let mut one = bench(2.0);
    let shown = |(result, seen): (RunResult, Seen)| format!("{result:?} {seen:?}");
    let first = shown(one.run(7));
    assert_eq!(first, shown(one.run(7)), "in the same process's components");
    assert_eq!(first, shown(bench(2.0).run(7)), "compiled again");
    assert_ne!(first, shown(one.run(8)));
}

#[test]
fn a_component_that_is_not_there_is_named_with_how_it_is_built() {
    let example = example();
    let text = std::fs::read_to_string(example.join("flyball.toml")).unwrap();
    let application = flyball_app::read("flyball.toml", &text).unwrap().application;
    let traffic = "[traffic.findings]\npeak_per_s = 1\n[real]\nfunctions = [\"report\", \"repot\"]\n";
    let mut workload = workload::read("traffic.toml", traffic).unwrap().workload;
    let empty = tempfile::tempdir().unwrap();
    let wrong = Real::new(&application, empty.path(), &mut workload, empty.path()).unwrap_err();
    let text = format!("{wrong:?}");
    assert!(text.contains("report.wasm is not there") && text.contains("cargo xtask guests"), "{text}");
    assert!(text.contains("there is no function \\\"repot\\\""), "{text}");
}
