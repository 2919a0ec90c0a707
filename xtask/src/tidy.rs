//! The repository's rules that no compiler checks: which crate may use which, sizes, names, error pages, links.
//!
//! A rule is a function from the tracked files to findings, so that a test can plant violations. A finding says
//! where, which rule, and what to do.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// A source file is no longer than this, lines.
const LINES_MAX: usize = 800;
/// A line of a source file is no longer than this, characters.
const LINE_CHARS_MAX: usize = 120;
/// A file that is not text is no larger than this, bytes.
const BINARY_BYTES_MAX: usize = 3 << 20;

/// Crates and those they may use: dependencies point downwards.
const CRATES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("store", &[]),
    ("app", &["flyball-core"]),
    ("aws", &["flyball-core"]),
    ("host", &["flyball-core"]),
    ("sim", &["flyball-app", "flyball-core"]),
    ("server", &["flyball-aws", "flyball-core", "flyball-host", "flyball-store"]),
    (
        "cli",
        &[
            "flyball-app",
            "flyball-aws",
            "flyball-core",
            "flyball-host",
            "flyball-server",
            "flyball-sim",
            "flyball-store",
        ],
    ),
    (
        "benches",
        &["flyball-app", "flyball-core", "flyball-host", "flyball-server", "flyball-sim", "flyball-store"],
    ),
    ("xtask", &[]),
    ("fuzz", &["flyball-app", "flyball-core", "flyball-store"]),
];

/// Crates in which the same input gives the same output.
const PURE: [&str; 4] = ["core", "app", "aws", "sim"];

/// Dependencies with a clock, I/O, randomness or threads.
const IMPURE_DEPENDENCIES: [&str; 19] = [
    "async-std",
    "chrono",
    "crossbeam",
    "fastrand",
    "futures",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "mio",
    "nix",
    "rand",
    "rayon",
    "reqwest",
    "rustix",
    "smol",
    "time",
    "tokio",
    "uuid",
];

/// Modules of the standard library that pure code has no use for.
const IMPURE_MODULES: [&str; 7] =
    ["std::env::", "std::fs", "std::net", "std::os::", "std::process", "std::thread", "std::time"];

/// What `core/clippy.toml` must ban, so that the compiler's own eyes look too.
const BANS: [&str; 6] = [
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::hash::RandomState",
    "std::thread::spawn",
];

/// Templates that others wrote, with their sources and licences.
const OTHERS_TEMPLATES: &str = "app/tests/labelled/";

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["common", "helper", "helpers", "misc", "types", "util", "utilities", "utils"];
/// The tables of a wire format are types and nothing else.
const NAMED_ALL_THE_SAME: [&str; 1] = ["server/src/admin/types.rs"];

/// Documents that name the tests which hold what they say.
const NAMING_TESTS: [&str; 3] = ["SPECIFICATION.md", "docs/fuzzing.md", "docs/security.md"];
/// What has fewer words is a key or a limit.
const TEST_NAME_WORDS_MIN: usize = 5;

// In two parts, or this file would break its own rules.
const UNFINISHED_WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
const UNFINISHED_MACROS: [&str; 3] =
    [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!")];
const MACHINE: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("index.crates", ".io-"),
];
/// A public CI's folder in what npm packages carry: says nothing about our machines.
const MACHINE_OF_OTHERS: &str = concat!("/ho", "me/runner/");
/// Looks for such paths itself.
const MAY_NAME_MACHINES: [&str; 1] = ["xtask/src/guests.rs"];

/// A tracked file: its path from the root, with slashes, and what is in it.
#[derive(Clone)]
struct File {
    path: String,
    bytes: Vec<u8>,
}

impl File {
    /// Its text, where it is text.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok().filter(|text| !text.contains('\0'))
    }

    fn is(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text().unwrap_or("").split('\n').enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    /// `line` 0: the file as a whole.
    fn add(&mut self, path: &str, line: usize, rule: &str, message: &str) {
        let mut text = path.to_string();
        if line > 0 {
            // Writing to a String can't fail.
            let _ = write!(text, ":{line}");
        }
        let _ = write!(text, ": [{rule}] {message}");
        self.0.push(text);
    }
}

/// Checks the repository.
///
/// # Errors
///
/// All that is wrong, one a line.
pub fn check() -> Result<(), String> {
    let files = tracked()?;
    let mut findings = all(&files);
    if let Err(problems) = crate::guests::check() {
        findings.0.extend(problems.lines().map(|line| format!("[guests] {line}")));
    }
    match findings.0.len() {
        0 => {
            println!("tidy: {} files, nothing found", files.len());
            Ok(())
        }
        count => Err(format!("tidy: {count} found\n{}", findings.0.join("\n"))),
    }
}

fn all(files: &[File]) -> Findings {
    let mut findings = Findings::default();
    directions(files, &mut findings);
    purity(files, &mut findings);
    sizes(files, &mut findings);
    unfinished(files, &mut findings);
    names(files, &mut findings);
    machines(files, &mut findings);
    error_pages(files, &mut findings);
    links(files, &mut findings);
    map(files, &mut findings);
    tests_named(files, &mut findings);
    white_space(files, &mut findings);
    findings
}

/// The files that git tracks, as they are in the work tree.
fn tracked() -> Result<Vec<File>, String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.parent().unwrap_or(own);
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z"])
        .output()
        .map_err(|error| format!("git can't be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let names = String::from_utf8(output.stdout).map_err(|_| "a tracked file's name is not UTF-8")?;
    let mut files = Vec::new();
    for path in names.split_terminator('\0') {
        match std::fs::read(root.join(path)) {
            Ok(bytes) => files.push(File { path: path.to_string(), bytes }),
            // Removed, and not committed yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
    }
    Ok(files)
}

/// The names in a manifest's tables of dependencies, with their lines; `[dev-dependencies]` aside: a test
/// may look further.
fn dependencies(manifest: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (number, line) in manifest.lines() {
        let line = line.trim();
        if let Some(table) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let parts: Vec<&str> = table.split('.').collect();
            let is_list = |part: &&str| ["dependencies", "build-dependencies"].contains(part);
            inside = parts.last().is_some_and(is_list);
            if let [.., list, name] = parts.as_slice()
                && is_list(list)
            {
                found.push((number, (*name).to_string()));
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or("").trim_matches('"');
            if !name.is_empty() {
                found.push((number, name.to_string()));
            }
        }
    }
    found
}

fn directions(files: &[File], findings: &mut Findings) {
    let manifests = files.iter().filter_map(|file| Some((file, file.path.strip_suffix("/Cargo.toml")?)));
    for (manifest, folder) in manifests.filter(|(_, folder)| !folder.contains('/')) {
        let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == folder) else {
            let message = "a crate that xtask/src/tidy.rs does not know: say in CRATES what it may use";
            findings.add(&manifest.path, 0, "direction", message);
            continue;
        };
        for (line, name) in dependencies(manifest) {
            if name.starts_with("flyball") && !allowed.contains(&name.as_str()) {
                let allowed = if allowed.is_empty() { "no crate of ours".into() } else { allowed.join(", ") };
                let message = format!("{folder} may use {allowed}, not {name}: dependencies point downwards");
                findings.add(&manifest.path, line, "direction", &message);
            }
        }
    }
}

fn purity(files: &[File], findings: &mut Findings) {
    for name in PURE {
        let manifest = format!("{name}/Cargo.toml");
        let sources = format!("{name}/src/");
        for file in files {
            if file.path == manifest {
                for (line, name) in dependencies(file) {
                    if IMPURE_DEPENDENCIES.contains(&name.as_str()) {
                        let message =
                            format!("{name} in a pure crate: let the driver have it, take its result");
                        findings.add(&file.path, line, "purity", &message);
                    }
                }
            } else if file.path.starts_with(&sources) && file.is(".rs") {
                for (number, line) in file.lines().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                    for module in IMPURE_MODULES.iter().filter(|module| line.contains(**module)) {
                        let message = format!("{module} in a pure crate: take what it gives as an input");
                        findings.add(&file.path, number, "purity", &message);
                    }
                }
            }
        }
    }
    if !files.iter().any(|file| file.path == "core/Cargo.toml") {
        return;
    }
    let path = "core/clippy.toml";
    let bans = files.iter().find(|file| file.path == path).and_then(File::text).unwrap_or("");
    for ban in BANS.iter().filter(|ban| !bans.contains(&format!("path = \"{ban}\""))) {
        findings.add(path, 0, "purity", &format!("does not ban {ban}: add it, with what to use instead"));
    }
}

fn sizes(files: &[File], findings: &mut Findings) {
    for file in files {
        if file.text().is_none() && file.bytes.len() > BINARY_BYTES_MAX {
            let message = format!(
                "{} bytes, at most {BINARY_BYTES_MAX}: make it smaller, or fetch it where it is used",
                file.bytes.len()
            );
            findings.add(&file.path, 0, "size", &message);
        }
        if !file.is(".rs") {
            continue;
        }
        let lines = file.text().unwrap_or("").lines().count();
        if lines > LINES_MAX {
            let message = format!("{lines} lines, at most {LINES_MAX}: give a part its own module");
            findings.add(&file.path, 0, "size", &message);
        }
        for (number, line) in file.lines() {
            let chars = line.chars().count();
            // A raw string can't be broken.
            let raw = line.trim_start().starts_with("r\"") || line.trim_start().starts_with("r#\"");
            if chars > LINE_CHARS_MAX && !raw {
                let message = format!("{chars} characters, at most {LINE_CHARS_MAX}: break the line");
                findings.add(&file.path, number, "size", &message);
            }
        }
    }
}

/// Lock files hold hashes, in which any word may stand.
fn is_lock(file: &File) -> bool {
    file.is(".lock") || file.is("package-lock.json")
}

fn unfinished(files: &[File], findings: &mut Findings) {
    for file in files.iter().filter(|file| !is_lock(file)) {
        for (number, line) in file.lines() {
            let macros = UNFINISHED_MACROS.iter().filter(|_| file.is(".rs"));
            for what in UNFINISHED_WORDS.iter().chain(macros).filter(|what| has_word(line, what)) {
                let message = format!("{what}: finish it, or write down what is missing where users look");
                findings.add(&file.path, number, "unfinished", &message);
            }
        }
    }
}

/// Whether `word` stands in `line` by itself, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

fn names(files: &[File], findings: &mut Findings) {
    for file in files.iter().filter(|file| !NAMED_ALL_THE_SAME.contains(&file.path.as_str())) {
        for part in file.path.split('/') {
            let name = part.split('.').next().unwrap_or(part);
            if EMPTY_NAMES.contains(&name) {
                let message = format!("{name} says nothing: name it after what is inside");
                findings.add(&file.path, 0, "name", &message);
            }
        }
    }
}

fn machines(files: &[File], findings: &mut Findings) {
    for file in files.iter().filter(|file| !MAY_NAME_MACHINES.contains(&file.path.as_str())) {
        if file.text().is_some() {
            for (number, line) in file.lines() {
                for path in MACHINE.iter().filter(|path| names_machine(line.as_bytes(), path)) {
                    let message = format!("{path}… is a place on one machine: say it by a relative path");
                    findings.add(&file.path, number, "machine", &message);
                }
            }
        } else {
            // The registry's folder below a remapped home is the same on every machine.
            let folders = MACHINE.iter().filter(|path| path.starts_with('/'));
            for path in folders.filter(|path| names_machine(&file.bytes, path)) {
                let message =
                    format!("{path}… is in it, a place on one machine: build it with paths remapped");
                findings.add(&file.path, 0, "machine", &message);
            }
        }
    }
}

fn names_machine(bytes: &[u8], path: &str) -> bool {
    bytes.windows(path.len()).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let starts = !before.is_some_and(u8::is_ascii_alphanumeric) || !path.starts_with('/');
        let others = bytes.get(at..).is_some_and(|rest| rest.starts_with(MACHINE_OF_OTHERS.as_bytes()));
        window == path.as_bytes() && starts && !others
    })
}

/// Error codes in a text between `before` and `after`: FE and four digits.
fn codes<'a>(text: &'a str, before: &str, after: &str) -> impl Iterator<Item = &'a str> {
    text.match_indices(before).filter_map(move |(at, _)| {
        let code = text.get(at + before.len()..at + before.len() + 6)?;
        let digits = code.strip_prefix("FE")?;
        let rest = text.get(at + before.len() + 6..)?;
        (digits.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with(after)).then_some(code)
    })
}

fn error_pages(files: &[File], findings: &mut Findings) {
    let index = files.iter().find(|file| file.path == "docs/errors/README.md").and_then(File::text);
    let mut pages = BTreeSet::new();
    for page in files.iter().filter(|file| file.path.starts_with("docs/errors/FE")) {
        let name = page.path.trim_start_matches("docs/errors/").trim_end_matches(".md");
        pages.insert(name);
        if !page.text().unwrap_or("").starts_with(&format!("# {name}: ")) {
            findings.add(&page.path, 1, "errors", &format!("its first line must be `# {name}: what it is`"));
        }
        if !index.unwrap_or("").contains(&format!("[{name}]({name}.md)")) {
            findings.add("docs/errors/README.md", 0, "errors", &format!("{name} is missing: add its line"));
        }
    }
    let mut known = BTreeSet::new();
    let sources = files.iter().filter(|file| file.is(".rs") && !file.path.starts_with("xtask/"));
    for file in sources.filter(|file| file.path.contains("/src/")) {
        for (number, line) in file.lines() {
            for code in codes(line, "\"", "\"") {
                if known.insert(code) && !pages.contains(code) {
                    let message = format!("{code} has no page: write docs/errors/{code}.md");
                    findings.add(&file.path, number, "errors", &message);
                }
            }
        }
    }
    for page in pages.difference(&known) {
        let message =
            format!("no source has the code \"{page}\": remove the page, or the code came back wrong");
        findings.add(&format!("docs/errors/{page}.md"), 0, "errors", &message);
    }
}

/// Tracked files and their folders.
fn places(files: &[File]) -> BTreeSet<&str> {
    let mut places = BTreeSet::from([""]);
    for file in files {
        let slashes = file.path.match_indices('/');
        places.extend(slashes.filter_map(|(at, _)| file.path.get(..at)));
        places.insert(&file.path);
    }
    places
}

/// A path from the root, for one that is relative to a folder; `None` where it leaves the repository.
fn resolved(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Lines of a Markdown file outside of its code blocks.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

fn links(files: &[File], findings: &mut Findings) {
    let places = places(files);
    for file in files.iter().filter(|file| file.is(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, line) in prose(file) {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '#']).next()) {
                let elsewhere = target.contains("://") || target.starts_with("mailto:");
                let there = resolved(folder, target).is_some_and(|path| places.contains(path.as_str()));
                if !target.is_empty() && !elsewhere && !there {
                    let message = format!("nothing is tracked at {target}: correct the link");
                    findings.add(&file.path, number, "link", &message);
                }
            }
        }
    }
}

/// What ARCHITECTURE.md names in backticks, with a slash, is there.
fn map(files: &[File], findings: &mut Findings) {
    let places = places(files);
    let Some(file) = files.iter().find(|file| file.path == "ARCHITECTURE.md") else { return };
    for (number, line) in prose(file) {
        for word in line.split('`').skip(1).step_by(2).filter(|word| word.contains('/')) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            let top = word.split('/').next().unwrap_or("");
            let ours = places.contains(top) || [".rs", ".md", ".toml", "/"].iter().any(|e| word.ends_with(e));
            let is_path = !top.is_empty() && word.chars().all(plain) && ours;
            if is_path && !places.contains(word.trim_end_matches('/')) {
                let message = format!("nothing is tracked at {word}: correct the path");
                findings.add(&file.path, number, "map", &message);
            }
        }
    }
}

/// A document that says which test holds a promise names one that is there.
fn tests_named(files: &[File], findings: &mut Findings) {
    let sources: Vec<&str> = files.iter().filter(|file| file.is(".rs")).filter_map(File::text).collect();
    for file in files.iter().filter(|file| NAMING_TESTS.contains(&file.path.as_str())) {
        for (line, text) in file.lines() {
            // Every second part lies between two marks.
            for name in text.split('`').skip(1).step_by(2) {
                let words = name.split('_').count();
                let of_a_test = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                if words < TEST_NAME_WORDS_MIN || !name.chars().all(of_a_test) {
                    continue;
                }
                let definition = format!("fn {name}(");
                if !sources.iter().any(|source| source.contains(&definition)) {
                    let message = format!("there is no test {name}: name the one that holds it now");
                    findings.add(&file.path, line, "tests", &message);
                }
            }
        }
    }
}

fn white_space(files: &[File], findings: &mut Findings) {
    // Recorded requests and answers, and others' templates, are kept byte for byte.
    let recorded = |file: &&File| {
        file.path.contains("/samples/") || file.path.starts_with(OTHERS_TEMPLATES) || file.is(".snap")
    };
    for file in files.iter().filter(|file| !recorded(file)) {
        let Some(text) = file.text().filter(|text| !text.is_empty()) else { continue };
        if !text.ends_with('\n') {
            findings.add(&file.path, 0, "white space", "the last line has no end: add one");
        }
        for (number, line) in file.lines() {
            if line.ends_with('\r') {
                findings.add(&file.path, number, "white space", "CRLF: save it with LF");
            } else if line.ends_with([' ', '\t']) {
                findings.add(&file.path, number, "white space", "spaces at the line's end: remove them");
            }
        }
    }
}

#[cfg(test)]
mod tests;
