//! Builds the WebAssembly guests that are committed, and tells when one is older than its sources.
//!
//! Each `dist` folder has a `SOURCES` file: a line for each component with the SHA-256 of its sources (its crate, the
//! crates beside it that it uses, the workspace's manifest and lock file, and `wit/`) and of the component itself.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

const TARGET: &str = "wasm32-wasip2";
const MANIFEST: &str = "SOURCES";
const HEADER: &str =
    "# component, SHA-256 of its sources, SHA-256 of itself; written by `cargo xtask guests`\n";
/// A guest is committed: no larger than this, in bytes.
const GUEST_BYTES_MAX: u64 = 2_500_000;

/// How a guest is built.
enum Build {
    /// A crate of the group's workspace, by its package name.
    Rust(&'static str),
    /// An ES module, by its path in the guest's folder.
    JavaScript(&'static str),
}

struct Guest {
    name: &'static str,
    /// Folders of the group that its sources lie in; the first one is its own.
    folders: &'static [&'static str],
    build: Build,
}

/// A workspace of guests.
struct Group {
    path: &'static str,
    guests: &'static [Guest],
}

const fn rust(name: &'static str, package: &'static str, folders: &'static [&'static str]) -> Guest {
    Guest { name, folders, build: Build::Rust(package) }
}

const GROUPS: &[Group] = &[
    Group {
        path: "examples/codewatch/functions",
        guests: &[
            rust("webhook", "codewatch-webhook", &["webhook", "http"]),
            rust("scan", "codewatch-scan", &["scan", "rules"]),
            Guest { name: "report", folders: &["report"], build: Build::JavaScript("report.js") },
            rust("notify", "codewatch-notify", &["notify"]),
            rust("reports", "codewatch-reports", &["reports", "http"]),
        ],
    },
    Group {
        path: "tests/guests",
        guests: &[
            rust("script", "guest-script", &["script"]),
            rust("script-http", "guest-script-http", &["script-http"]),
            rust("event-hello", "guest-event-hello", &["event-hello"]),
            rust("http-hello", "guest-http-hello", &["http-hello"]),
            rust("fetch", "guest-fetch", &["fetch"]),
            rust("wrong-world", "guest-wrong-world", &["wrong-world"]),
        ],
    },
];

/// Rebuilds the guests whose sources changed, or with `all` every one.
///
/// # Errors
///
/// What could not be built, and what to install where a tool is missing.
pub fn build(all: bool) -> Result<(), String> {
    let root = root();
    for group in GROUPS {
        let folder = root.join(group.path);
        let mut lines = read_manifest(&folder)?;
        for guest in group.guests {
            let sources = hash_of_sources(&root, &folder, guest)?;
            let wasm = folder.join("dist").join(format!("{}.wasm", guest.name));
            if !all && problem(&lines, guest.name, &sources, &wasm)?.is_none() {
                println!("{}/{}: current", group.path, guest.name);
                continue;
            }
            make(&root, &folder, guest, &wasm)?;
            let bytes = read(&wasm)?;
            if bytes.len() as u64 > GUEST_BYTES_MAX {
                return Err(format!("{}: {} bytes, at most {GUEST_BYTES_MAX}", wasm.display(), bytes.len()));
            }
            lines.retain(|line| line.name != guest.name);
            lines.push(Line { name: guest.name.into(), sources, wasm: hex_hash(&bytes) });
            // After each guest: what is done stays done when a later one fails.
            write_manifest(&folder, group, &mut lines)?;
            println!("{}/{}: built, {} bytes", group.path, guest.name, bytes.len());
        }
    }
    Ok(())
}

/// Says which committed guests are older than their sources.
///
/// # Errors
///
/// All that are, one a line.
pub fn check() -> Result<(), String> {
    let root = root();
    let mut problems = Vec::new();
    for group in GROUPS {
        let folder = root.join(group.path);
        let lines = read_manifest(&folder)?;
        for guest in group.guests {
            let sources = hash_of_sources(&root, &folder, guest)?;
            let wasm = folder.join("dist").join(format!("{}.wasm", guest.name));
            if let Some(problem) = problem(&lines, guest.name, &sources, &wasm)? {
                problems.push(format!("{}/dist/{}.wasm {problem}", group.path, guest.name));
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nrun `cargo xtask guests` and commit what it builds", problems.join("\n")))
}

fn problem(lines: &[Line], name: &str, sources: &str, wasm: &Path) -> Result<Option<&'static str>, String> {
    let Some(line) = lines.iter().find(|line| line.name == name) else {
        return Ok(Some("is not in SOURCES"));
    };
    if line.sources != sources {
        return Ok(Some("is older than its sources"));
    }
    if !wasm.exists() {
        return Ok(Some("is missing"));
    }
    Ok((hex_hash(&read(wasm)?) != line.wasm).then_some("is not what SOURCES says"))
}

struct Line {
    name: String,
    sources: String,
    wasm: String,
}

fn read_manifest(folder: &Path) -> Result<Vec<Line>, String> {
    let path = folder.join("dist").join(MANIFEST);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, sources, wasm] = words.as_slice() else {
            return Err(format!("{}:{}: three words expected", path.display(), at + 1));
        };
        lines.push(Line { name: (*name).into(), sources: (*sources).into(), wasm: (*wasm).into() });
    }
    Ok(lines)
}

fn write_manifest(folder: &Path, group: &Group, lines: &mut Vec<Line>) -> Result<(), String> {
    lines.retain(|line| group.guests.iter().any(|guest| guest.name == line.name));
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    let mut text = String::from(HEADER);
    for line in lines {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{} {} {}", line.name, line.sources, line.wasm);
    }
    write(&folder.join("dist").join(MANIFEST), text.as_bytes())
}

/// Names and contents of all files a guest is made of, in the order of their names.
fn hash_of_sources(root: &Path, folder: &Path, guest: &Guest) -> Result<String, String> {
    let mut files = Vec::new();
    collect(&root.join("wit"), &mut files)?;
    for source in guest.folders {
        collect(&folder.join(source), &mut files)?;
    }
    if matches!(guest.build, Build::Rust(_)) {
        files.extend([folder.join("Cargo.toml"), folder.join("Cargo.lock")]);
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in &files {
        let name = file.strip_prefix(root).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let bytes = read(file)?;
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    Ok(hex(&hash.finalize()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What is built, tests and explanations are not in the component.
        let aside = ["target", "node_modules", "tests", "cases.txt"].contains(&name.as_str())
            || name.starts_with('.')
            || [".md", ".test.js", "_test.rs"].iter().any(|ending| name.ends_with(ending));
        if aside {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn make(root: &Path, folder: &Path, guest: &Guest, wasm: &Path) -> Result<(), String> {
    fs::create_dir_all(folder.join("dist")).map_err(|error| format!("{}: {error}", folder.display()))?;
    match guest.build {
        Build::Rust(package) => make_rust(root, folder, package, wasm),
        Build::JavaScript(module) => {
            let own = guest.folders.first().copied().unwrap_or(guest.name);
            make_javascript(root, &folder.join(own), module, wasm)
        }
    }
}

fn make_rust(root: &Path, folder: &Path, package: &str, wasm: &Path) -> Result<(), String> {
    let toolchain = toolchain()?;
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder).join("guests"),
        None => root.join("target").join("guests"),
    };
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut flags = vec![remap(root, "/flyball"), remap(&toolchain.sysroot, "/rust")];
    flags.extend(home.as_deref().map(|home| remap(home, "/cargo")));
    let mut cargo = toolchain.command("cargo");
    cargo
        .current_dir(folder)
        .args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "--package", package])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    run(&mut cargo, package)?;
    let built = target.join(TARGET).join("release").join(format!("{}.wasm", package.replace('-', "_")));
    let mut bytes = read(&built)?;
    // The standard library was compiled elsewhere: its own paths are past remapping.
    scrub(&mut bytes, &toolchain.sysroot.to_string_lossy(), "/rust");
    if let Some(home) = &home {
        scrub(&mut bytes, &home.to_string_lossy(), "/cargo");
    }
    write(wasm, &bytes)
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// Overwrites a path of this machine with one of the same length; one shorter than the replacement stays.
fn scrub(bytes: &mut [u8], path: &str, replacement: &str) {
    let mut replacement = String::from(replacement);
    if path.len() <= replacement.len() {
        return;
    }
    replacement.extend(std::iter::repeat_n('/', path.len() - replacement.len()));
    let mut at = 0;
    while let Some(window) = bytes.get_mut(at..at + path.len()) {
        if window == path.as_bytes() {
            window.copy_from_slice(replacement.as_bytes());
        }
        at += 1;
    }
}

fn make_javascript(root: &Path, folder: &Path, module: &str, wasm: &Path) -> Result<(), String> {
    let help = "install Node.js 20 or later with npm (https://nodejs.org)";
    let installed = folder.join("node_modules/.package-lock.json");
    if !installed.exists() {
        let mut npm = Command::new("npm");
        // Not `npm ci`: it refuses the lock file for bindings of other platforms that do not exist. What
        // is installed is what the lock file names, by hash.
        npm.current_dir(folder).args(["install", "--no-save", "--silent", "--no-audit", "--no-fund"]);
        run(&mut npm, "npm install").map_err(|error| format!("{error}; {help}"))?;
    }
    let mut build = Command::new("node");
    build
        .current_dir(folder)
        .arg("node_modules/componentize-qjs/bin/componentize-qjs")
        .args(["--sync", "--stub-wasi", "--opt-size", "--world", "event-function", "--js", module, "--wit"])
        .arg(root.join("wit"))
        .arg("--output")
        .arg(wasm)
        .stdout(std::process::Stdio::null());
    run(&mut build, "componentize-qjs").map_err(|error| format!("{error}; {help}"))
}

/// A rustup toolchain that can compile for the target.
struct Toolchain {
    /// None: the one that runs this.
    name: Option<&'static str>,
    sysroot: PathBuf,
}

impl Toolchain {
    fn command(&self, program: &str) -> Command {
        let mut command = match self.name {
            None => Command::new(program),
            Some(name) => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", name, program]);
                rustup
            }
        };
        // Cargo tells these of the outer build to what it runs.
        for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        {
            command.env_remove(variable);
        }
        command
    }
}

fn toolchain() -> Result<Toolchain, String> {
    for name in [None, Some("guests")] {
        let mut toolchain = Toolchain { name, sysroot: PathBuf::new() };
        let Ok(output) = toolchain.command("rustc").args(["--print", "sysroot"]).output() else { continue };
        toolchain.sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let library = toolchain.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let std_is_there = fs::read_dir(library).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
        });
        if output.status.success() && std_is_there {
            return Ok(toolchain);
        }
    }
    Err(format!(
        "no Rust toolchain here can compile for {TARGET}: run `rustup target add {TARGET}`, or link one that can as \
         `guests` (`rustup toolchain link guests DIR`)"
    ))
}

fn run(command: &mut Command, what: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what} failed: {status}")),
        Err(error) => Err(format!("{what}: {} can't be run: {error}", name(command.get_program()))),
    }
}

fn name(program: &OsStr) -> String {
    program.to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn hex_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_committed_guest_is_older_than_its_sources() {
        if let Err(problems) = check() {
            panic!("{problems}");
        }
    }

    #[test]
    fn no_committed_guest_names_a_folder_of_the_machine_it_was_built_on() {
        for group in GROUPS {
            for guest in group.guests.iter().filter(|guest| matches!(guest.build, Build::Rust(_))) {
                let wasm =
                    read(&root().join(group.path).join("dist").join(format!("{}.wasm", guest.name))).unwrap();
                for path in ["/root/", "/home/", "/Users/"] {
                    let found = wasm.windows(path.len()).any(|window| window == path.as_bytes());
                    assert!(!found, "{} has {path} in it", guest.name);
                }
            }
        }
    }

    #[test]
    fn a_path_is_overwritten_in_place() {
        let mut bytes = b"a/home/me/rust/lib.rs/home/me/rus".to_vec();
        scrub(&mut bytes, "/home/me/rust", "/rust");
        assert_eq!(String::from_utf8(bytes).unwrap(), "a/rust/////////lib.rs/home/me/rus");
    }
}
