//! `simulate --real` under faults with the real binary: the same seed gives the same bytes, and what breaks is told
//! with the seed, the shortest schedule, the way of the request and the command that shows it again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/codewatch")
}

/// The example in a directory of its own: no test writes into the example.
fn own(change: impl FnOnce(String) -> String) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for folder in ["functions", "samples"] {
        std::os::unix::fs::symlink(example().join(folder), directory.path().join(folder)).unwrap();
    }
    for file in ["flyball.toml", "faults.toml"] {
        std::fs::copy(example().join(file), directory.path().join(file)).unwrap();
    }
    let traffic = std::fs::read_to_string(example().join("traffic-faults.toml")).unwrap();
    std::fs::write(directory.path().join("traffic.toml"), change(traffic)).unwrap();
    directory
}

fn simulate(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flyball"));
    command.current_dir(directory).args(["simulate", ".", "--real", "--faults", "faults.toml"]);
    command.args(arguments).output().unwrap()
}

#[test]
fn what_codewatch_asserts_holds_and_the_same_seeds_give_the_same_bytes() {
    let directory = own(|traffic| traffic);
    let run = || simulate(directory.path(), &["--seeds", "3", "--format", "json"]);
    let first = run();
    let text = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.status.success(), "{text}{}", String::from_utf8_lossy(&first.stderr));
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    let faults = &result["faults"];
    assert_eq!((faults["seeds_run"].as_u64(), faults["seeds_failed"].as_u64()), (Some(3), Some(0)));
    let checks: Vec<&str> =
        faults["checks"].as_array().unwrap().iter().map(|check| check["what"].as_str().unwrap()).collect();
    assert!(checks.contains(&"nobody is told of a finding twice"), "{checks:?}");
    assert!(faults["injected"]["crash"].as_u64().unwrap() > 3, "{}", faults["injected"]);
    assert!(first.stdout == run().stdout, "the same seeds give the same bytes");
}

#[test]
fn a_receiver_that_heeds_no_keys_is_told_twice_and_the_seed_is_kept() {
    let directory = own(|traffic| traffic.replace("keyed = [\"Receiver\"]\n", ""));
    let found = simulate(directory.path(), &["--seeds", "5", "--format", "json"]);
    assert_eq!(found.status.code(), Some(1));
    let result: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let failure = &result["faults"]["failures"][0];
    assert_eq!(failure["broken"], "nobody is told of a finding twice");
    let before = failure["schedule_before"].as_u64().unwrap();
    assert!((failure["schedule"].as_array().unwrap().len() as u64) < before, "{failure}");
    let trace: Vec<&str> =
        failure["trace"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert!(trace.iter().filter(|what| what.contains("has done the work")).count() >= 2, "{trace:?}");
    assert!(trace.last().unwrap().contains("BROKEN"), "{trace:?}");
    let seed = failure["seed"].as_u64().unwrap();
    let again = failure["again"].as_str().unwrap();
    assert_eq!(
        again,
        format!("flyball simulate . --faults faults.toml --real --seed {seed} --seeds 1"),
        "as it is shown"
    );
    // It is kept, and runs first.
    std::fs::write(directory.path().join("known.txt"), format!("{seed}  {}\n", failure["detail"])).unwrap();
    let known = ["--regressions", "known.txt", "--seed", "900", "--seeds", "1", "--format", "json"];
    let known = simulate(directory.path(), &known);
    let result: serde_json::Value = serde_json::from_slice(&known.stdout).unwrap();
    assert_eq!(result["faults"]["regressions_run"], 1);
    assert_eq!(result["faults"]["failures"][0]["detail"], failure["detail"]);
}

#[test]
fn a_night_keeps_what_fails_and_says_how_many_ran() {
    let directory = own(|traffic| traffic.replace("keyed = [\"Receiver\"]\n", ""));
    let night = simulate(directory.path(), &["--nightly", "3s", "--format", "json"]);
    let result: serde_json::Value = serde_json::from_slice(&night.stdout).unwrap();
    let ran = result["faults"]["seeds_run"].as_u64().unwrap();
    assert_eq!(result["faults"]["seeds_asked"].as_u64(), Some(ran));
    let kept = std::fs::read_to_string(directory.path().join("regressions.txt")).unwrap_or_default();
    assert_eq!(kept.lines().count() as u64, result["faults"]["seeds_failed"].as_u64().unwrap());
}
