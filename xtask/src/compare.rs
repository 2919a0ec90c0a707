//! Measures Flyball beside its peers, interleaved in one run, and writes what came into docs/performance.md.
//!
//! The benchmarks measure and make tables of it; this finds or installs the peers, starts the benchmarks, and
//! puts their tables on the page, with the machine and the date.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::release::{self, finish};

/// The benchmarks, in the order of the page.
const BENCHMARKS: [&str; 9] =
    ["engine", "invocation", "gateway", "events", "neighbour", "waiting", "tenants", "simulate", "calibrate"];
/// As Flyball's own, so that both have the same compiler.
const WASMTIME: &str = "48.0.8";
const WORKERD: &str = "1.20261117";
const PAGE: &str = "docs/performance.md";
/// What stands between these is written by this chore.
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// Runs the benchmarks that are named, or all of them, and writes their part of the page.
///
/// # Errors
///
/// What could not be installed, built, run or written.
pub fn run(wanted: &[&str]) -> Result<(), String> {
    if let Some(unknown) = wanted.iter().find(|name| !BENCHMARKS.contains(name)) {
        return Err(format!("no benchmark `{unknown}`; there are {}", BENCHMARKS.join(", ")));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let reports = root.join("target/compare");
    fs::create_dir_all(&reports).map_err(|error| format!("{}: {error}", reports.display()))?;
    let all = wanted.is_empty();
    for name in BENCHMARKS.into_iter().filter(|name| all || wanted.contains(name)) {
        let mut arguments = vec!["--table".to_string(), text_of(&reports.join(format!("{name}.md")))];
        match name {
            "gateway" => {
                arguments.extend(["--wasmtime".into(), text_of(&wasmtime(&root)?)]);
                arguments.extend(["--workerd".into(), text_of(&workerd(&root)?)]);
            }
            "events" => arguments.extend(["--redis".into(), text_of(&redis()?)]),
            _ => {}
        }
        let (mut bench, target) = release::cargo(&root)?;
        // The whole workspace, so that its dependencies are built with the same features for each.
        bench
            .args(["bench", "--workspace", "--locked", "--bench", name])
            .args(target)
            .arg("--")
            .args(arguments);
        finish(bench.current_dir(&root))?;
    }
    write_page(&root, &reports)
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

/// `wasmtime` of the version that Flyball is built with.
fn wasmtime(root: &Path) -> Result<PathBuf, String> {
    let peers = root.join("target/peers");
    let path = peers.join("bin/wasmtime");
    if !path.is_file() {
        eprintln!("xtask: building wasmtime-cli {WASMTIME}, which takes a while");
        let mut install = Command::new("cargo");
        install.args(["install", "wasmtime-cli", "--version", WASMTIME, "--locked", "--root"]).arg(&peers);
        finish(&mut install)?;
    }
    Ok(path)
}

/// `workerd`, from npm.
fn workerd(root: &Path) -> Result<PathBuf, String> {
    let peers = root.join("target/peers");
    let path = peers.join("node_modules/.bin/workerd");
    if !path.is_file() {
        let mut install = Command::new("npm");
        install.args(["install", "--no-save", "--prefix"]).arg(&peers).arg(format!("workerd@{WORKERD}"));
        finish(&mut install)?;
    }
    Ok(path)
}

/// `redis-server`, from the system's packages.
fn redis() -> Result<PathBuf, String> {
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>())
        .map(|folder| folder.join("redis-server"))
        .find(|path| path.is_file());
    found.ok_or_else(|| "redis-server is not there; install it (Debian: apt-get install redis-server)".into())
}

/// Puts the reports that there are between the page's marks, each with its date. What was not measured stays as it was.
fn write_page(root: &Path, reports: &Path) -> Result<(), String> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let marks = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (measured, after) = rest.split_once(END)?;
        Some((before, measured, after))
    });
    let (before, measured, after) = marks.ok_or_else(|| format!("{PAGE} has lost its marks"))?;
    let (_, target) = release::cargo(root)?;
    let built = if target.is_empty() { "" } else { ", built as released" };
    let mut tables = Vec::new();
    for name in BENCHMARKS {
        let report = reports.join(format!("{name}.md"));
        let Ok(table) = fs::read_to_string(&report) else { continue };
        tables.push((name, table));
        // The next run must not take it for its own.
        fs::remove_file(&report).map_err(|error| format!("{}: {error}", report.display()))?;
    }
    let parts = joined(measured, &tables, &format!("{}{built}", date()));
    let measured = format!("Measured on {}.\n\n{parts}\n", machine());
    let page = format!("{before}{BEGIN}{measured}{END}{after}");
    fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))
}

/// The parts of the page, those that were measured now in place of those of before.
fn joined(page: &str, tables: &[(&str, String)], when: &str) -> String {
    // What comes before the first part is about the machine.
    let mut parts: Vec<String> =
        page.split("\n### ").skip(1).map(|part| format!("### {}", part.trim_end())).collect();
    for (name, table) in tables {
        let title = format!("### `{name}`");
        let rest = table.trim().strip_prefix(&title).unwrap_or(table).trim();
        let part = format!("{title}\n\n{when}: {rest}");
        match parts.iter_mut().find(|part| part.starts_with(&title)) {
            Some(old) => *old = part,
            None => parts.push(part),
        }
    }
    parts.join("\n\n")
}

fn date() -> String {
    let said = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    said.ok().and_then(|said| String::from_utf8(said.stdout).ok()).unwrap_or_default().trim().into()
}

/// What it was measured on, without names.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let information = read("/proc/cpuinfo");
    let model = information.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model);
    let memory = read("/proc/meminfo");
    let kibibytes: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    // The part that says what it is; what follows is the builder's.
    let kernel: String = kernel.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    format!(
        "{processors} processors ({model}), {} GiB, Linux {kernel}, a virtual machine shared with others",
        kibibytes.div_ceil(1 << 20)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_takes_the_place_of_what_was_before_and_the_rest_stays() {
        let page = "Measured on a machine.\n\n### `engine`\n\nold: 1\n\n### `gateway`\n\nold: 2\n";
        let tables = [
            ("gateway", "### `gateway`\n\n16 connections.\n".to_string()),
            ("events", "### `events`\n\n1 KiB.".to_string()),
        ];
        let expected = "### `engine`\n\nold: 1\n\n### `gateway`\n\nnow: 16 connections.\n\n\
                        ### `events`\n\nnow: 1 KiB.";
        assert_eq!(joined(page, &tables, "now"), expected);
    }
}
