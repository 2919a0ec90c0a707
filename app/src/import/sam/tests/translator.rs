//! AWS's translator as an oracle: its own inputs with the outputs that it makes of them.
//!
//! `FLYBALL_SAM_TRANSLATOR=…/serverless-application-model/tests/translator cargo test -p flyball-app translator
//! -- --ignored --nocapture`. The repository is not among our files; without it the test says that it did nothing.
//!
//! For each input that the translator takes, the types of resources that we make are counted against those of its
//! output, and the graphs that are drawn of both are compared: nodes and edges with their settings. What differs, and why:
//!
//! - `function_with_function_url_config_with_intrinsics`: `AuthType` is a parameter whose default is `NONE`. The
//!   translator does not look at it and makes no permissions; we do.
//! - `connector_dependson_replace`, `connector_esm_dependson`: roles that the template names and does not have. A
//!   policy for them is made there and not here.
//! - `function_with_event_dest_conditional`: the translator writes a condition that is none (`Condition` in
//!   `Condition`), for a queue of a function that does not exist.
//! - `function_with_deployment_preference_multiple_combinations_conditions_without_passthrough`: its groups have no
//!   condition there, though their functions have one, which does not hold.
//! - Eleven with events of `DocumentDB` or `SelfManagedKafka`: for these the translator grants what a network needs
//!   on everything. That nobody wrote; it is left out, so that no wide grant is found where none can be mended.
//! - `s3_with_condition`: the translator puts a condition around a notification whose function has one. Here the
//!   function itself has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::read;
use crate::{
    document::Files,
    import::{Stack, wire},
};

/// How many of each type; our own marker of connectors is none of AWS's.
fn types(stack: &Stack) -> BTreeMap<&str, usize> {
    let mut types = BTreeMap::new();
    for resource in stack.resources.iter().filter(|of| of.resource_type != "Flyball::Connector") {
        *types.entry(resource.resource_type.as_str()).or_insert(0) += 1;
    }
    types
}

/// An id without the hash that AWS puts behind those of versions, deployments, layers and domains.
fn plain(id: &str) -> &str {
    let hash = |id: &str| id.len() == 10 && id.chars().all(|letter| matches!(letter, '0'..='9' | 'a'..='f'));
    match id.len().checked_sub(10).and_then(|at| id.split_at_checked(at)) {
        Some((before, behind)) if hash(behind) => before,
        _ => id,
    }
}

/// Nodes and edges as texts with all their settings, but for the ids of what makes an edge: some have a hash.
fn graph(files: Files, mut stack: Stack) -> BTreeSet<String> {
    stack.resources.retain(|resource| resource.resource_type != "Flyball::Connector");
    let design = wire::draw(files, vec![stack], &mut Vec::new());
    let lines = design.to_string();
    let lines = lines.lines().filter(|line| !line.is_empty() && !line.starts_with("not known"));
    lines.map(without_ids).collect()
}

fn without_ids(line: &str) -> String {
    // A cluster that is not among the files is called after its mapping, or after what that was made for.
    let line = match (line.split_once(" ("), line.split_once(") --")) {
        (Some((before, _)), Some((_, behind))) => format!("{before} --{behind}"),
        (Some((before, _)), None) if line.starts_with("external") => before.to_string(),
        _ => line.to_string(),
    };
    let words: Vec<&str> = line.split(' ').map(plain).collect();
    let line = words.join(" ");
    let Some((head, settings)) = line.split_once(" [") else { return line };
    let settings = settings.trim_end_matches(']').split(", ").filter(|setting| !setting.starts_with("by "));
    // Keys of AWS's output are in the order of the alphabet.
    let sorted = |setting: &str| {
        let mut words: Vec<&str> = setting.split(' ').collect();
        words.sort_unstable();
        words.join(" ")
    };
    let settings: Vec<String> = settings.map(sorted).collect();
    if settings.is_empty() { head.to_string() } else { format!("{head} [{}]", settings.join(", ")) }
}

fn differences<T: Ord + std::fmt::Debug>(ours: &BTreeSet<T>, theirs: &BTreeSet<T>) -> String {
    let only =
        |a: &BTreeSet<T>, b: &BTreeSet<T>| a.difference(b).map(|it| format!("{it:?}")).collect::<Vec<_>>();
    format!("only ours {:?}, only AWS's {:?}", only(ours, theirs), only(theirs, ours))
}

#[test]
#[ignore = "needs a checkout of aws/serverless-application-model, named by FLYBALL_SAM_TRANSLATOR"]
fn translator() {
    let Ok(folder) = std::env::var("FLYBALL_SAM_TRANSLATOR") else {
        println!("NOTHING WAS COMPARED: FLYBALL_SAM_TRANSLATOR names no `tests/translator`");
        return;
    };
    let folder = Path::new(&folder);
    let mut inputs: Vec<_> =
        fs::read_dir(folder.join("input")).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    let (mut taken, mut same_types, mut same_graphs, mut refused) = (0, 0, 0, 0);
    for path in inputs {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // Whatever it is, nothing panics.
        let (files, ours, _) = read(&format!("{name}.yaml"), &fs::read_to_string(&path).unwrap());
        let output = fs::read_to_string(folder.join(format!("output/{name}.json"))).unwrap_or_default();
        if !output.contains("\"Resources\"") || output.contains("\"errorMessage\"") {
            refused += 1;
            continue;
        }
        taken += 1;
        let (their_files, theirs, _) = read(&format!("{name}.json"), &output);
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            println!("{name}: could not be read");
            continue;
        };
        let (a, b) = (types(&ours), types(&theirs));
        if a == b {
            same_types += 1;
        } else {
            println!("{name}: types: {}", differences(&a.into_iter().collect(), &b.into_iter().collect()));
        }
        let (a, b) = (graph(files, ours), graph(their_files, theirs));
        if a == b {
            same_graphs += 1;
        } else {
            println!("{name}: graphs: {}", differences(&a, &b));
        }
    }
    println!("{taken} inputs that AWS takes: types agree in {same_types}, graphs in {same_graphs}");
    println!("{refused} inputs that AWS refuses: read without a panic");
    assert!(same_types * 100 >= taken * 95 && same_graphs * 100 >= taken * 95);
}
