//! The incidents under `examples/incidents`: each shows its shape, and holds with its fix.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{fs, path::PathBuf};

use flyball_app::{
    import::{Input, Options, import},
    profile::Profile,
    workload,
};
use flyball_sim::{plan::Plan, result::RunResult};

/// One run of an incident's template under its traffic, with a seed.
fn run(incident: &str, template: &str, traffic: &str, seed: u64) -> RunResult {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/incidents").join(incident);
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let inputs = vec![Input { name: template.into(), text: text(template) }];
    let imported = import(inputs, &Options::default(), &|_| None);
    let workload = workload::read(traffic, &text(traffic)).unwrap_or_else(|wrong| panic!("{wrong}")).workload;
    let profile = Profile::built_in("aws").unwrap();
    let plan = Plan::aws(incident, &imported.design, &profile, &workload).unwrap_or_else(|p| panic!("{p:?}"));
    flyball_sim::run(&plan, seed, 1.0, &mut |_| false).unwrap()
}

#[test]
fn a_connection_storm_does_not_end_while_requests_keep_coming() {
    let broken = run("2-connection-storm", "template.yaml", "traffic.toml", 1);
    println!("{}", serde_json::to_string_pretty(&broken).unwrap());
    let fixed = run("2-connection-storm", "fixed.yaml", "traffic.toml", 1);
    println!("{}", serde_json::to_string_pretty(&fixed).unwrap());
}
