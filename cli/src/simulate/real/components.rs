//! Which functions of an application are run, and their components.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use flyball_app::workload::Workload;
use flyball_core::model::Application;
use flyball_host::deterministic::{Function, Runner};

use crate::stop::Stop;

/// Where compiled components are kept: beside those of `serve`, or for this process alone where that can't be.
pub(super) fn cache(directory: &Path) -> Result<(PathBuf, Option<tempfile::TempDir>), Stop> {
    let beside = directory.join(".flyball").join("simulated");
    if std::fs::create_dir_all(&beside).is_ok() {
        return Ok((beside, None));
    }
    let unmade = |error| Stop::wrong(format!("a directory for compiled components can't be made: {error}"));
    let own = tempfile::Builder::new().prefix("flyball-simulated-").tempdir().map_err(unmade)?;
    Ok((own.path().to_owned(), Some(own)))
}

/// The functions that are to be run: those that `[real]` names, or all.
pub(super) fn load(
    runner: &Runner,
    application: &Application,
    directory: &Path,
    workload: &Workload,
) -> Result<BTreeMap<String, Function>, Stop> {
    let wanted = &workload.real.functions;
    let mut problems: Vec<String> = wanted
        .iter()
        .filter(|name| !application.functions.contains_key(name.as_str()))
        .map(|name| format!("[real] functions: there is no function {name:?}"))
        .collect();
    let mut loaded = BTreeMap::new();
    let runs = |name: &str| wanted.is_empty() || wanted.contains(name);
    for function in application.functions.values().filter(|function| runs(&function.name)) {
        let path = directory.join(&function.component);
        if !path.is_file() {
            problems.push(missing(&function.name, &path));
            continue;
        }
        match runner.load_file(&path, function.memory_bytes_max) {
            Ok(component) => drop(loaded.insert(function.name.to_string(), component)),
            Err(error) => problems.push(format!("function {}: {error}", function.name)),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(Stop::wrong(problems.join("\n"))) }
}

fn missing(function: &str, path: &Path) -> String {
    format!(
        "function {function}: its component {} is not there\n  build it (`cargo xtask guests` builds those of this \
         project's examples), or name in [real] functions those that are to be run",
        path.display()
    )
}
