//! The framework itself as an oracle: what `serverless package` writes, beside what its services become here.
//!
//! `FLYBALL_SERVERLESS_ORACLE` names a folder with a folder for each service, in which `serverless.yml` stands and
//! `serverless package` was run. Its tests are ignored elsewhere: the framework is no part of this repository.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

use std::{collections::BTreeMap, fs, path::Path};

use flyball_app::{
    document::Tree,
    import::{Input, Options, stacks},
};

/// What is made with a hash in its id, is of no use to a graph, or only serves the framework's own deployment.
const ASIDE: [&str; 8] = [
    "AWS::Lambda::Version",
    "AWS::Lambda::Permission",
    "AWS::ApiGateway::Deployment",
    "AWS::S3::BucketPolicy",
    "AWS::IAM::Role",
    "AWS::ApiGatewayV2::Deployment",
    // What is logged of a stage of a REST API the framework sets by calls of its own, after the deployment.
    "AWS::ApiGateway::Stage",
    "Custom::ApiGatewayAccountRole",
];

fn of_ours(folder: &Path, stage: &str) -> BTreeMap<String, (String, Tree)> {
    let options = Options { stage: Some(stage.into()), ..Options::default() };
    let local = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let text = fs::read_to_string(folder.join("serverless.yml")).unwrap();
    let read = stacks(vec![Input { name: "serverless.yml".into(), text }], &options, &local);
    let resources = read.stacks.into_iter().flat_map(|stack| stack.resources);
    resources.map(|resource| (resource.id, (resource.resource_type, resource.properties))).collect()
}

/// What differs between a service's resources and the framework's.
fn differences(folder: &Path) -> Vec<String> {
    let read = |name: &str| fs::read_to_string(folder.join(".serverless").join(name)).unwrap();
    let theirs: serde_json::Value =
        serde_json::from_str(&read("cloudformation-template-update-stack.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&read("serverless-state.json")).unwrap();
    let stage = state["service"]["provider"]["stage"].as_str().unwrap_or("dev");
    let mut ours = of_ours(folder, stage);
    let mut found = Vec::new();
    for (id, resource) in theirs["Resources"].as_object().unwrap() {
        let of = resource["Type"].as_str().unwrap();
        let helps = id.contains("CustomDashresource")
            || id.starts_with("ServerlessDeployment")
            || id == "ApiGatewayLogGroup";
        let (Some((kind, properties)), false) = (ours.remove(id), helps) else {
            if !ASIDE.contains(&of) && !helps {
                found.push(format!("missing {id} {of}"));
            }
            continue;
        };
        if kind != of {
            found.push(format!("{id} is {kind}, not {of}"));
        }
        for (key, value) in resource["Properties"].as_object().into_iter().flatten() {
            let own = properties.get(key);
            let same = match value {
                serde_json::Value::Number(number) => own.and_then(Tree::as_i64) == number.as_i64(),
                serde_json::Value::Bool(is) => own.and_then(Tree::as_bool) == Some(*is),
                serde_json::Value::String(text) if kind == "AWS::Lambda::EventSourceMapping" => {
                    own.and_then(Tree::as_str) == Some(text)
                }
                _ => true,
            };
            if !same {
                found.push(format!("{id}.{key} is {:?}, not {value}", own.map(|tree| &tree.value)));
            }
        }
    }
    let more = ours.into_iter().filter(|(_, (of, _))| !ASIDE.contains(&of.as_str()));
    found.extend(more.map(|(id, (of, _))| format!("more: {id} {of}")));
    found
}

#[test]
#[ignore = "needs what the framework writes"]
fn services_become_what_the_framework_makes_of_them() {
    let folder = std::env::var("FLYBALL_SERVERLESS_ORACLE").unwrap();
    let mut agree = 0;
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join(".serverless/serverless-state.json").is_file() {
            continue;
        }
        let found = differences(&folder);
        agree += usize::from(found.is_empty());
        all.extend(found.iter().map(|one| format!("{}: {one}\n", folder.display())));
    }
    assert!(all.is_empty() && agree > 0, "{agree} agree\n{}", all.concat());
}
