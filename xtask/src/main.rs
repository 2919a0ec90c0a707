//! The project's chores: `cargo xtask CHORE`.

mod compare;
mod guests;
mod release;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask CHORE

  guests [--force]   build the WebAssembly guests whose sources changed
                     (--force: all of them)
  guests --check     fail when a committed guest is older than its sources
  compare [NAME..]   run the benchmarks beside their peers, which are installed
                     where they are missing, and write docs/performance.md;
                     built as the last release was, if there was one
  release            the binary as it is released: built, trained by the
                     benchmarks, and built again by what they went through
  tidy               check the repository's rules: which crate may use which,
                     sizes, names, error pages, links, white space, guests
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["guests"] => guests::build(false),
        ["guests", "--force"] => guests::build(true),
        ["guests", "--check"] => guests::check(),
        ["compare", benchmarks @ ..] => compare::run(benchmarks),
        ["release"] => release::build(),
        ["tidy"] => tidy::check(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        unknown => {
            eprint!("xtask: no chore `{}`\n\n{USAGE}", unknown.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
