//! The binary as it is released: optimised by what it does under load.
//!
//! An instrumented build is trained by the benchmarks, in short; what they went through decides how the release is
//! laid out and inlined. Flyball's time is spread over more code than a processor's cache of instructions holds, which
//! is where that helps most.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

// Where it all lies, below the root.
const INSTRUMENTED: &str = "target/pgo/instrumented";
const RAW: &str = "target/pgo/raw";
const PROFILE: &str = "target/pgo/flyball.profdata";
const RELEASE: &str = "target/pgo/release";
/// What trains it, each with its arguments: whatever is served, and what is simulated. The profile knows code by its
/// place: built with other settings than the release, most of it would pass for code that never runs.
const TRAINING: [Training; 4] = [
    Training { bench: "engine", arguments: &["--rounds", "1"], weight: 10 },
    Training { bench: "simulate", arguments: &["--rounds", "1"], weight: 1 },
    Training { bench: "events", arguments: &["--rounds", "1", "--events", "50000"], weight: 150 },
    Training { bench: "gateway", arguments: &["--rounds", "1"], weight: 100 },
];

/// What goes through the code.
struct Training {
    bench: &'static str,
    arguments: &'static [&'static str],
    /// What it counts for. A simulation goes through its code a hundred times as often as a server in the same time:
    /// beside it all that serves would pass for code that hardly ever runs. With these, what makes up nine tenths of
    /// each is gone through about as often.
    weight: u32,
}

/// Builds it: twice, with the training in between.
///
/// # Errors
///
/// What could not be installed, built, run or written.
pub fn build() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    let compiler = Compiler::find()?;
    let raw = root.join(RAW);
    let profile = root.join(PROFILE);
    if profile.exists() {
        fs::remove_file(&profile).map_err(|error| format!("{}: {error}", profile.display()))?;
    }
    // Cargo does not see that a profile is another: what was built by the last one goes too.
    for folder in [&raw, &root.join(RELEASE)] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    eprintln!("xtask: 1 of 3: an instrumented build, and its training");
    for training in &TRAINING {
        let mut bench = compiler.cargo(&root, INSTRUMENTED, &format!("-Cprofile-generate={}", raw.display()));
        bench.args(["bench", "--workspace", "--locked", "--bench", training.bench]).args(compiler.target());
        // All its processes into one file, which is named after the program.
        bench.env("LLVM_PROFILE_FILE", training.folder(&raw).join("%m.profraw"));
        finish(bench.arg("--").args(training.arguments))?;
    }
    eprintln!("xtask: 2 of 3: the profile");
    let mut merge = Command::new(compiler.profdata()?);
    merge.arg("merge").arg("-o").arg(&profile);
    for training in &TRAINING {
        merge.arg(format!("-weighted-input={},{}", training.weight, training.folder(&raw).display()));
    }
    finish(&mut merge)?;
    eprintln!("xtask: 3 of 3: the release");
    let mut release = compiler.cargo(&root, RELEASE, &use_of(&profile));
    finish(release.args(["build", "--workspace", "--release", "--locked"]).args(compiler.target()))?;
    println!("{}", root.join(RELEASE).join(&compiler.host).join("release/flyball").display());
    Ok(())
}

impl Training {
    /// Where it writes what it went through.
    fn folder(&self, raw: &Path) -> PathBuf {
        raw.join(self.bench)
    }
}

/// Cargo, and what it is told besides, to build as the last release was built, if there was one: then benchmarks say
/// what users get.
///
/// # Errors
///
/// Where the compiler does not say who it is.
pub fn cargo(root: &Path) -> Result<(Command, Vec<String>), String> {
    let Ok(profile) = root.join(PROFILE).canonicalize() else {
        return Ok((Command::new("cargo"), Vec::new()));
    };
    let compiler = Compiler::find()?;
    let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    Ok((compiler.cargo(&root, RELEASE, &use_of(&profile)), compiler.target().into()))
}

fn use_of(profile: &Path) -> String {
    format!("-Cprofile-use={}", profile.display())
}

/// The compiler that cargo uses.
struct Compiler {
    sysroot: PathBuf,
    host: String,
}

impl Compiler {
    fn find() -> Result<Compiler, String> {
        let said = |arguments: &[&str]| {
            let said = Command::new("rustc").args(arguments).output();
            let said = said.map_err(|error| format!("rustc can't be started: {error}"))?;
            String::from_utf8(said.stdout).map_err(|error| format!("rustc: {error}"))
        };
        let about = said(&["--version", "--verbose"])?;
        let host = about.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or("rustc does not say its host")?.to_string();
        Ok(Compiler { sysroot: PathBuf::from(said(&["--print", "sysroot"])?.trim()), host })
    }

    /// The flags go to what is built for a target that is named, and not to build scripts.
    fn target(&self) -> [String; 2] {
        ["--target".into(), self.host.clone()]
    }

    /// What is built with these flags goes into a folder of its own.
    fn cargo(&self, root: &Path, folder: &str, flags: &str) -> Command {
        let mut cargo = Command::new("cargo");
        // One flag: encoded, the folder's name may have spaces.
        cargo
            .current_dir(root)
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            .env("CARGO_TARGET_DIR", root.join(folder));
        cargo
    }

    /// `llvm-profdata` of the compiler's own version, which is installed if it is missing.
    fn profdata(&self) -> Result<PathBuf, String> {
        let path = self.sysroot.join("lib/rustlib").join(&self.host).join("bin/llvm-profdata");
        if !path.is_file() {
            finish(Command::new("rustup").args(["component", "add", "llvm-tools"]))?;
        }
        Ok(path)
    }
}

/// Waits for a command.
///
/// # Errors
///
/// Where it can't be started, or fails.
pub fn finish(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(error) => Err(format!("{command:?} can't be started: {error}")),
    }
}
