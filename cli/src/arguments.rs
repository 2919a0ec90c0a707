//! What can be written on the command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs event-driven, multi-tenant applications within limits that are part of the program.
#[derive(Debug, Parser)]
#[command(name = "flyball", version, max_term_width = 80, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to print: text for people, JSON for programs, SARIF (check only)
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Whom the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// People.
    Text,
    /// Programs.
    Json,
    /// Code scanning; of `check` only.
    Sarif,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a new application that can be served at once
    Init(Init),
    /// Say where a design hits a wall, before it is deployed
    Check(Box<Check>),
    /// Print the page of a rule or an error, such as FB0001
    Explain {
        /// Its code
        code: String,
    },
    /// Run an application
    Serve(Serve),
    /// Say at which load what breaks first, why, and what it costs
    Simulate(Box<Simulate>),
    /// Make a traffic file and a profile of what a running system's exports say
    Import(Box<Import>),
    /// Run the codewatch example under recorded traffic of many tenants
    Demo(Demo),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[command(flatten)]
    Ask(Question),
}

#[derive(Debug, Args)]
pub struct Init {
    /// The application's directory; created where it is not there
    #[arg(default_value = ".")]
    pub directory: PathBuf,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Templates and directories of them; - is standard input [default: what the
    /// working directory has: flyball.toml, template.yaml, serverless.yml, cdk.out]
    #[arg(value_name = "FILE|DIR")]
    pub paths: Vec<String>,
    /// The limits: aws, flyball, or a file of your own [default: the file's platform]
    #[arg(long, value_name = "aws|flyball|PATH")]
    pub profile: Option<String>,
    /// From which level on findings make exit code 1
    #[arg(long, value_enum, default_value_t = Deny::Error)]
    pub deny: Deny,
    /// Good practice too: log retention, tracing, alarms and the like
    #[arg(long)]
    pub advice: bool,
    /// Draw the design with its walls: a file by its ending, .svg, .dot or .mmd; or
    /// dot or mermaid on standard output, in the report's place
    #[arg(long, value_name = "FILE|dot|mermaid")]
    pub graph: Option<String>,
    /// Only findings that this git revision or baseline file does not have
    #[arg(long, value_name = "BASE")]
    pub against: Option<String>,
    /// Write what is found to a baseline file for --against; exit code 0
    #[arg(long, value_name = "FILE", conflicts_with_all = ["against", "fix", "fix_unsafe"])]
    pub write_baseline: Option<PathBuf>,
    /// aws xray get-service-graph: what functions were seen to call are edges too; may
    /// be repeated
    #[arg(long, value_name = "FILE")]
    pub xray: Vec<PathBuf>,
    /// aws cloudformation list-stack-resources: which deployed name of --xray is which
    /// logical id; may be repeated
    #[arg(long, value_name = "FILE", requires = "xray")]
    pub names: Vec<PathBuf>,
    /// The rules as of this version, so that an upgrade finds nothing new
    #[arg(long, value_name = "N")]
    pub rules_version: Option<u32>,
    /// Make the changes that can't change what the application does
    #[arg(long)]
    pub fix: bool,
    /// Make the others too, and show them all as a diff
    #[arg(long, conflicts_with = "fix")]
    pub fix_unsafe: bool,
    /// With --fix or --fix-unsafe: only show the diff
    #[arg(long)]
    pub dry_run: bool,
    /// How the template would be deployed
    #[command(flatten)]
    pub deployed: Deployed,
}

/// A level of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    /// The deployment is rejected, or it is broken at any traffic
    Error,
    /// A wall under the stated traffic, or under one fault, too
    Warning,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The application file
    #[arg(default_value = "flyball.toml")]
    pub file: PathBuf,
    /// Where data is kept [default: .flyball next to the file]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the application's routes listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub gateway: SocketAddr,
    /// Where the admin API listens; beyond loopback it needs a token
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9440")]
    pub admin: SocketAddr,
    /// What clients of the admin API must show
    #[arg(long, value_name = "TOKEN", env = "FLYBALL_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// How long running work may take to end at SIGTERM
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub grace: Duration,
    /// Record what the engine is told, for simulate --replay. The log holds what users
    /// send: bodies, headers, results
    #[arg(long, value_name = "LOG")]
    pub record: Option<PathBuf>,
    /// How long the log may become, MiB; then the recording ends and the service goes on
    #[arg(long, value_name = "MIB", default_value_t = 8_192, requires = "record",
        value_parser = clap::value_parser!(u64).range(1..=16_777_216))]
    pub record_mib_max: u64,
    /// Write over a log that is there already
    #[arg(long, requires = "record")]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Simulate {
    /// The application or template, or its directory [default: as check]
    #[arg(value_name = "FILE|DIR")]
    pub paths: Vec<String>,
    /// What comes in, what functions take and what they depend on
    /// [default: traffic.toml beside the application]
    #[arg(long, value_name = "FILE")]
    pub traffic: Option<PathBuf>,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many tenants there are, where traffic is of many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub tenants: Option<u32>,
    /// How much time is simulated, such as 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// The traffic as a multiple of what is stated
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor,
        conflicts_with_all = ["faults", "seeds", "nightly", "replay"])]
    pub load: f64,
    /// The limits: aws, flyball, or a file of your own [default: the file's platform]
    #[arg(long, value_name = "aws|flyball|PATH")]
    pub profile: Option<String>,
    /// Search for the load at which the first promise breaks
    #[arg(long)]
    pub load_line: bool,
    /// Run the application's own components instead of modelling them: [real] in the traffic
    /// file says what they get to see
    #[arg(long, conflicts_with = "load_line")]
    pub real: bool,
    /// Write the report as one page for a browser
    #[arg(long, value_name = "OUT.html")]
    pub report: Option<PathBuf>,
    /// Write each promise as a test case, for CI
    #[arg(long, value_name = "OUT.xml")]
    pub junit: Option<PathBuf>,
    /// Compare with what --format json printed before
    #[arg(long, value_name = "BASE.json")]
    pub against: Option<PathBuf>,
    /// What goes wrong, and when; the application must hold all the same
    #[arg(long, value_name = "FILE", conflicts_with_all = ["load_line", "replay"])]
    pub faults: Option<PathBuf>,
    /// Under faults: so many seeds, from --seed on; without --faults, faults are drawn
    /// for each seed [default with --faults: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000),
        conflicts_with_all = ["load_line", "replay"])]
    pub seeds: Option<u64>,
    /// Under faults: as many seeds as there is time for
    #[arg(long, value_name = "TIME", value_parser = some_time,
        conflicts_with_all = ["seeds", "load_line", "replay"])]
    pub nightly: Option<Duration>,
    /// Under faults: seeds that failed before, which run first; with --nightly, those that
    /// fail now are added [default with --nightly: regressions.txt]
    #[arg(long, value_name = "FILE")]
    pub regressions: Option<PathBuf>,
    /// A log that serve --record wrote: replayed, with all effects compared. Exit code
    /// 0: the same; 1: different; 2: it can't be read
    #[arg(long, value_name = "LOG", conflicts_with_all = ["paths", "traffic", "tenants", "duration", "profile",
        "load_line", "report", "junit", "against"])]
    pub replay: Option<PathBuf>,
    /// With --replay: another application for the log; what would have been accepted,
    /// refused, throttled and dead under its limits. An estimate, which compares nothing
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub application: Option<PathBuf>,
    /// How the template would be deployed
    #[command(flatten)]
    pub deployed: Deployed,
}

#[derive(Debug, Args)]
pub struct Import {
    /// aws cloudformation list-stack-resources: deployed names become logical ids.
    /// All of these may be repeated; - is standard input
    #[arg(long, value_name = "FILE")]
    pub names: Vec<PathBuf>,
    /// aws cloudwatch get-metric-data: how much, how long, how often it failed
    #[arg(long, value_name = "FILE")]
    pub metrics: Vec<PathBuf>,
    /// aws logs get-query-results, filter-log-events, or a log's lines: single runs,
    /// cold starts, memory
    #[arg(long, value_name = "[FUNCTION=]FILE")]
    pub logs: Vec<String>,
    /// aws xray get-service-graph: who calls whom, and what that takes
    #[arg(long, value_name = "FILE")]
    pub xray: Vec<PathBuf>,
    /// aws service-quotas list-service-quotas: the account's limits
    #[arg(long, value_name = "FILE")]
    pub quotas: Vec<PathBuf>,
    /// Where the traffic file is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the profile is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub profile_out: Option<PathBuf>,
    /// Write over files that are there already
    #[arg(long)]
    pub force: bool,
    /// Print the read-only commands that make the exports, for the functions and
    /// queues of a template, or for all
    #[arg(long, value_name = "TEMPLATE", num_args = 0..=1,
        conflicts_with_all = ["names", "metrics", "logs", "xray", "quotas", "out", "profile_out"])]
    pub print_commands: Option<Option<String>>,
    /// How the template would be deployed
    #[command(flatten)]
    pub deployed: Deployed,
}

/// What stands in for what a deployment would be told.
#[derive(Debug, Args)]
pub struct Deployed {
    /// The stage of serverless.yml and of samconfig.toml
    #[arg(long)]
    pub stage: Option<String>,
    /// The value of a template's parameter; may be repeated
    #[arg(long = "parameter", value_name = "KEY=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,
    /// AWS::Region
    #[arg(long)]
    pub region: Option<String>,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Tenants; one of them is a hundred times louder than each other
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub tenants: u32,
    /// How long traffic is played; 1s to 10m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// Leave it running afterwards, to look around
    #[arg(long)]
    pub keep: bool,
}

/// Verbs that ask a running server.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Call a function and print its response
    Invoke(Invoke),
    /// Send an event to a queue, topic or bus
    Send(Send),
    /// Show an event with all that came of it, and why each hop waited
    Trace {
        /// The id of any event of the flow
        event: String,
        #[command(flatten)]
        server: Server,
    },
    /// Print what functions logged
    Logs(Logs),
    /// Create, show and change tenants
    Tenants {
        #[command(subcommand)]
        act: TenantAct,
    },
    /// Show each limit: its value, what stands against it now and at most, the headroom
    Limits {
        /// Show only those with this in their name
        #[arg(long)]
        only: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Show how many events wait, run, are done and dead
    Status {
        #[command(flatten)]
        server: Server,
    },
    /// Look at dead letters, put them back, throw them away
    Dead {
        #[command(subcommand)]
        act: DeadAct,
    },
    /// Fetch the result of a request that was answered 202
    Result {
        /// The id that the answer had
        event: String,
        /// Whose it is
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        server: Server,
    },
}

/// Where the server is.
#[derive(Debug, Clone, Args)]
pub struct Server {
    /// The admin API
    #[arg(long, value_name = "URL", env = "FLYBALL_ADMIN", default_value = "http://127.0.0.1:9440")]
    pub admin: String,
    /// What it wants to be shown, where it listens beyond loopback
    #[arg(long, value_name = "TOKEN", env = "FLYBALL_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
}

#[derive(Debug, Args)]
pub struct Invoke {
    /// The function
    pub function: String,
    /// For whom
    #[arg(long)]
    pub tenant: String,
    /// The request's method [default: GET, or POST with data]
    #[arg(long)]
    pub method: Option<String>,
    /// The request's path and query
    #[arg(long, default_value = "/")]
    pub path: String,
    /// A header, "name: value"; may be repeated
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// The body; @FILE reads a file, @- standard input
    #[arg(long)]
    pub data: Option<String>,
    /// An idempotency key: a second call under it gets the first one's response
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub struct Send {
    /// The queue, topic or bus
    pub target: String,
    /// For whom
    #[arg(long)]
    pub tenant: String,
    /// The event's type
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: String,
    /// Where it comes from
    #[arg(long, default_value = "flyball-cli")]
    pub source: String,
    /// What it is about
    #[arg(long)]
    pub subject: Option<String>,
    /// The type of its data
    #[arg(long, default_value = "application/json")]
    pub content_type: String,
    /// Its data; @FILE reads a file, @- standard input
    #[arg(long)]
    pub data: Option<String>,
    /// How long it waits before its first run
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub delay: Duration,
    /// An idempotency key: a second event under it is not accepted again
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub struct Logs {
    /// Whose
    #[arg(long)]
    pub tenant: String,
    /// Only of this function
    #[arg(long)]
    pub function: Option<String>,
    /// Lines, at most; the newest
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub lines: u32,
    /// Go on printing what is logged
    #[arg(long, short)]
    pub follow: bool,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub enum TenantAct {
    /// List all tenants
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Create a tenant and print its API key, this once
    Create {
        #[command(flatten)]
        tenant: TenantOf,
    },
    /// Show a tenant: its keys' ids, the names of its secrets
    Show {
        #[command(flatten)]
        tenant: TenantOf,
    },
    /// Let a disabled tenant send and call again
    Enable {
        #[command(flatten)]
        tenant: TenantOf,
    },
    /// Refuse what a tenant sends and calls; what was accepted goes on
    Disable {
        #[command(flatten)]
        tenant: TenantOf,
    },
    /// Print a new API key; those there were stay valid for a while
    Rotate {
        #[command(flatten)]
        tenant: TenantOf,
        /// For how long
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
        overlap: Duration,
    },
    /// End an API key's validity at once
    Revoke {
        #[command(flatten)]
        tenant: TenantOf,
        /// The key's id, as `show` prints it
        key: String,
    },
    /// Set or delete a tenant's secrets
    Secret {
        #[command(subcommand)]
        act: SecretAct,
    },
}

#[derive(Debug, Clone, Args)]
pub struct TenantOf {
    /// The tenant's name
    pub name: String,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub enum SecretAct {
    /// Set a secret that the tenant's functions can read where they are granted it
    Set {
        #[command(flatten)]
        tenant: TenantOf,
        /// The secret's name
        secret: String,
        /// Its value; @FILE reads a file, @- standard input
        value: String,
    },
    /// Delete a secret
    Delete {
        #[command(flatten)]
        tenant: TenantOf,
        /// The secret's name
        secret: String,
    },
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
pub struct Letters {
    /// Of this tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// From this queue; a function's inbox is @FUNCTION
    #[arg(long)]
    pub queue: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub enum DeadAct {
    /// List dead letters
    List {
        /// How many, at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        lines: u32,
        #[command(flatten)]
        letters: Letters,
    },
    /// Show one with its data, its attempts and the chain that led there
    Show {
        /// The event's id
        event: String,
        #[command(flatten)]
        server: Server,
    },
    /// Put dead letters back where they came from
    Redrive {
        #[command(flatten)]
        which: Which,
    },
    /// Throw dead letters away
    Discard {
        #[command(flatten)]
        which: Which,
    },
}

/// What a redrive or discard is about.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// One event's id; without it all that the options choose
    pub event: Option<String>,
    /// All dead letters there are
    #[arg(long)]
    pub all: bool,
    /// Only say which
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub letters: Letters,
}

/// Reads `KEY=VALUE`.
fn parameter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() { Err("write KEY=VALUE".into()) } else { Ok((key.into(), value.into())) }
}

/// Reads `250ms`, `10s`, `5m` or `24h`.
fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok().filter(|factor| (1e-6..=1e6).contains(factor));
    factor.ok_or_else(|| "write a number from 0.000001 to 1000000, such as 2.5".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis_each: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("write 250ms, 10s, 5m, 24h or 7d".into()),
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis_each));
    let number = number.filter(|millis| *millis <= 3_650 * 86_400_000);
    number.map(Duration::from_millis).ok_or_else(|| "write a number of at most ten years, such as 10s".into())
}

/// A duration in which something can happen.
fn some_time(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("no seed runs in no time: write 10m or 6h".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_are_read_or_refused() {
        for (text, millis) in [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("24h", 86_400_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "10", "s", "-1s", "1.5s", "99999999999999999999s", "99999d", "10 s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!((duration("0s"), some_time("1ms")), (Ok(Duration::ZERO), Ok(Duration::from_millis(1))));
        assert!(some_time("0s").is_err());
        let night = Arguments::command().try_get_matches_from(["flyball", "simulate", "--nightly", "0s"]);
        assert!(night.unwrap_err().to_string().contains("no seed runs in no time"));
    }
}
