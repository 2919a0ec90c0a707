//! The one binary: verbs, terminal output, exit codes.
//!
//! - `arguments`: what can be written on the command line.
//! - `check`: reads templates, finds walls. `explain`: the page of a rule or an error.
//! - `serve`: a platform with its gateway and admin API. `init`: a new application.
//! - `simulate`: the engine in virtual time: what breaks first; and recorded logs again. `build`: which build this is.
//! - `import`: a traffic file and a profile of what a running system's exports say.
//! - `client`: the verbs that ask a running server by its admin API.
//! - `demo`: codewatch under recorded traffic, and whether every promise held.
//! - `http`: the HTTP client. `table`: tables for a terminal. `stop`: exit codes.
//!
//! Exit codes: 0 all is well; 1 what was asked for failed, or a promise broke; 2 the command line, the
//! application or its surroundings are wrong.

mod arguments;
mod build;
mod check;
mod client;
mod demo;
mod explain;
mod http;
mod import;
mod init;
mod serve;
mod simulate;
mod stop;
mod table;

use std::process::ExitCode;

use arguments::{Arguments, Format, Verb};
use clap::{CommandFactory as _, Parser as _};
use stop::Stop;

/// A server's many small and short allocations lie between the few that stay: with glibc's allocator they
/// took nearly a fifth of the time that the gateway spends, growing as it ran.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => stop.report(),
    }
}

fn run(arguments: Arguments) -> Result<(), Stop> {
    let format = arguments.format;
    if format == Format::Sarif && !matches!(arguments.verb, Verb::Check(_)) {
        return Err(Stop::wrong("only check prints SARIF: use --format text or json"));
    }
    match arguments.verb {
        Verb::Check(wanted) => check::run(&wanted, format),
        Verb::Explain { code } => explain::run(&code, format),
        Verb::Init(wanted) => init::run(&wanted),
        Verb::Import(wanted) => import::run(&wanted, format),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "flyball", &mut text);
            stop::print(&String::from_utf8_lossy(&text))
        }
        Verb::Serve(wanted) => {
            log("info");
            runtime()?.block_on(serve::run(wanted, format))
        }
        Verb::Simulate(wanted) => simulate::run(&wanted, format),
        Verb::Demo(wanted) => {
            log("error");
            runtime()?.block_on(demo::run(wanted, format))
        }
        Verb::Ask(question) => runtime()?.block_on(client::run(question, format)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Stop> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Stop::wrong(format!("the runtime can't be started: {error}")))
}

/// Sets up logs on standard error, by `FLYBALL_LOG` and `FLYBALL_LOG_FORMAT`.
fn log(default: &str) {
    // What a function can't reach is its failure, which is told in its trace: not one of the server.
    let default = format!("{default},wasmtime_wasi_http=error");
    let wanted = std::env::var("FLYBALL_LOG").unwrap_or(default);
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(wanted);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var("FLYBALL_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
}
