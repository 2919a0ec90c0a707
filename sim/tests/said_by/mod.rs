//! What a run of a template says.

#![allow(dead_code, reason = "each test file uses some of it")]

use flyball_app::{
    import::{Input, Options, import},
    profile::Profile,
    workload,
};
use flyball_sim::{
    Watch,
    plan::Plan,
    result::{FunctionResult, RunResult},
};

/// Nobody breaks it off.
pub struct Patient;

impl Watch for Patient {
    fn run(&mut self, _now_s: f64, _of_s: f64) -> bool {
        false
    }

    fn search(&self, _runs: u64) -> bool {
        false
    }
}

/// The plan of a template under these limits.
pub fn plan_with(template: &str, traffic: &str, profile: &Profile) -> Plan {
    let inputs = vec![Input { name: "template.yaml".into(), text: template.into() }];
    let imported = import(inputs, &Options::default(), &|_| None);
    let workload = workload::read("traffic.toml", traffic).unwrap_or_else(|wrong| panic!("{wrong}")).workload;
    Plan::aws("shop", &imported.design, profile, &workload).unwrap_or_else(|p| panic!("{p:?}"))
}

/// The same under AWS's limits.
pub fn plan(template: &str, traffic: &str) -> Plan {
    plan_with(template, traffic, &Profile::built_in("aws").unwrap())
}

/// One run under AWS's limits.
pub fn run(template: &str, traffic: &str) -> RunResult {
    run_with(template, traffic, &Profile::built_in("aws").unwrap())
}

/// One run under these limits.
pub fn run_with(template: &str, traffic: &str, profile: &Profile) -> RunResult {
    flyball_sim::run(&plan_with(template, traffic, profile), 1, 1.0, &mut |_| false).unwrap()
}

/// AWS's limits, with what is stated in their place.
pub fn profile(stated: &str) -> Profile {
    Profile::with("profile.toml", stated).unwrap_or_else(|wrong| panic!("{wrong}")).0
}

/// What is said of a function.
pub fn function<'a>(result: &'a RunResult, name: &str) -> &'a FunctionResult {
    result.functions.iter().find(|function| function.name == name).unwrap()
}
