//! A restart with a million events waiting: how long it takes until the platform is ready, and what the
//! waiting events take in memory. The platform that is opened is a process of its own, killed after each
//! round; beside it another of the same application and tenants with nothing waiting.
//!
//! The events wait because the function takes all its slots for longer than the benchmark lasts.
//!
//! `--events 1000000`, `--tenants 1000`, `--rounds 3`, `--senders 512`.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use flyball_benches::{
    Arguments, Promise, Report, platform,
    process::{Server, end_with_starter, mib, root},
    quantile,
};
use flyball_core::{Attributes, Body, Name, Span, TenantId};
use flyball_server::platform::{NewEvent, Platform, SendAnswer};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPLICATION: &str = r#"
[application]
name = "waiting"

[limits]
concurrency = { cap = 2 }

[function.slow]
component = "script.wasm"
memory = "16MiB"
timeout = "14m"

[queue.work]
function = "slow"
batch_max = 1
"#;

const BODY_BYTES: usize = 1_024;
const SCRIPT: &str = "sleep 800000\n";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    if let (Some(address), Some(directory)) = (arguments.get("serve"), arguments.get("directory")) {
        end_with_starter();
        return platform::serve(address.parse()?, Path::new(directory));
    }
    let events = arguments.number("events", 1_000_000);
    let tenants = arguments.number("tenants", 1_000) as u32;
    let rounds = arguments.number("rounds", 3) as usize;
    let senders = arguments.number("senders", 512) as u32;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(directory) = arguments.get("fill") {
        end(runtime.block_on(fill(Path::new(directory), events, tenants, senders)));
    }
    if let Some(directory) = arguments.get("count") {
        end(runtime.block_on(async { count(Path::new(directory)) }));
    }
    let directory = tempfile::tempdir()?;
    let idle = application(&directory.path().join("idle"))?;
    let full = application(&directory.path().join("full"))?;
    let filled = Instant::now();
    for (directory, events) in [(&idle, 0), (&full, events)] {
        let numbers = [("events", events), ("tenants", tenants.into()), ("senders", senders.into())];
        again("fill", directory, &numbers)?;
    }
    let filled = filled.elapsed().as_secs_f64();

    let mut opened = [Opened::default(), Opened::default()];
    for round in 0..rounds {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            if let (Some(opened), Some(place)) = (opened.get_mut(which), [&idle, &full].get(which)) {
                opened.open(place)?;
            }
        }
    }
    let mut cold = Opened::default();
    for _ in 0..rounds {
        forget(&full.join("data/tables/data.mdb"))?;
        cold.open(&full)?;
    }
    let [idle_opened, full_opened] = &mut opened;
    let conditions = format!(
        "{events} events of {BODY_BYTES} bytes of {tenants} tenants, {rounds} restarts in turns with one of \
         the same application and tenants with nothing waiting, medians; the page cache is warm but where it says so"
    );
    let mut report = Report::new("waiting", conditions, &arguments);
    report.figure("to fill both, the tenants too", filled, "s");
    report.figure("from exec to ready, nothing waiting", idle_opened.seconds(), "s");
    report.promised("from exec to ready", full_opened.seconds(), "s", Promise::AtMost(10.0));
    let what = "from exec to ready, the data not in the page cache";
    report.promised(what, cold.seconds(), "s", Promise::AtMost(10.0));
    let above = full_opened.anonymous() - idle_opened.anonymous();
    report.figure("anonymous memory, nothing waiting", idle_opened.anonymous(), "MiB");
    let bound = Promise::AtMost(256.0 * events as f64 / 1e6);
    report.promised("anonymous memory above it", above, "MiB", bound);
    report.figure("a waiting event", above * f64::from(1 << 20) / events.max(1) as f64, "bytes");
    report.figure("mapped from files, nothing waiting", idle_opened.file(), "MiB");
    report.figure("mapped from files", full_opened.file(), "MiB");
    // Whether they were there: all but those that run, or were put aside as they ran at each kill.
    let counted = again("count", &full, &[])?;
    let (held, dead) = counted.trim().split_once(' ').ok_or("the process that counts said nothing")?;
    report.promised("wait, run or are dead at the end", held.parse()?, "", Promise::AtLeast(events as f64));
    report.figure("dead at the end", dead.parse()?, "");
    report.finish();
    Ok(())
}

/// Drops a file's pages from the page cache.
fn forget(file: &Path) -> Result<(), Box<dyn Error>> {
    let of = format!("if={}", file.display());
    let output = Command::new("dd").args([&of, "iflag=nocache", "count=0"]).output()?;
    if !output.status.success() {
        return Err(format!("dd: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

/// Runs this benchmark again, in another role, to its end. What it said.
fn again(role: &str, directory: &Path, numbers: &[(&str, u64)]) -> Result<String, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(format!("--{role}")).arg(directory);
    for (name, number) in numbers {
        command.arg(format!("--{name}")).arg(number.to_string());
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{role}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The runs there are would go on for minutes: the process ends without them.
fn end(result: Result<(), Box<dyn Error>>) -> ! {
    if let Err(error) = &result {
        eprintln!("{error}");
    }
    std::process::exit(i32::from(result.is_err()));
}

/// Prints how many events there are, and how many of them are dead.
fn count(directory: &Path) -> Result<(), Box<dyn Error>> {
    let counts = platform::open(directory)?.counts();
    println!("{} {}", counts.waiting + counts.running + counts.settling + counts.dead, counts.dead);
    Ok(())
}

fn application(directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir(directory)?;
    fs::write(directory.join("flyball.toml"), APPLICATION)?;
    fs::copy(root().join("tests/guests/dist/script.wasm"), directory.join("script.wasm"))?;
    Ok(directory.to_path_buf())
}

/// Creates the tenants, and sends events until so many are durable.
async fn fill(directory: &Path, events: u64, tenants: u32, senders: u32) -> Result<(), Box<dyn Error>> {
    let platform = platform::open(directory)?;
    for tenant in 0..tenants {
        platform.create_tenant(Name::new(&format!("t{tenant}"))?)?;
    }
    let sent = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..senders)
        .map(|sender| tokio::spawn(send(platform.clone(), sent.clone(), events, tenants, sender)))
        .collect();
    for task in tasks {
        task.await??;
    }
    tokio::task::spawn_blocking(move || platform.close()).await?;
    Ok(())
}

async fn send(
    platform: Arc<Platform>,
    sent: Arc<AtomicU64>,
    events: u64,
    tenants: u32,
    sender: u32,
) -> Result<(), String> {
    let mut text = SCRIPT.as_bytes().to_vec();
    text.resize(BODY_BYTES, b'\n');
    let mut tenant = sender;
    while sent.fetch_add(1, Relaxed) < events {
        tenant = tenant.wrapping_add(7) % tenants;
        let attributes = Attributes {
            kind: "work".into(),
            source: "/bench".into(),
            subject: None,
            content_type: "text/plain".into(),
        };
        let body = Body::from(&text[..]);
        let event = NewEvent { target: "work".into(), attributes, body, delay: Span::ZERO };
        if let SendAnswer::Refused(refusal) = platform.send(TenantId(tenant + 1), event, None).await {
            return Err(format!("an event was refused: {refusal}"));
        }
    }
    Ok(())
}

/// What was seen of one directory's platforms.
#[derive(Default)]
struct Opened {
    seconds: Vec<f64>,
    anonymous: Vec<f64>,
    file: Vec<f64>,
}

impl Opened {
    fn open(&mut self, directory: &Path) -> std::io::Result<()> {
        let begun = Instant::now();
        let server = Server::role("serve", &[("directory", directory)])?;
        self.seconds.push(begun.elapsed().as_secs_f64());
        let memory = server.settled_memory()?;
        self.anonymous.push(mib(memory.anonymous));
        self.file.push(mib(memory.file));
        Ok(())
    }

    fn seconds(&mut self) -> f64 {
        quantile(&mut self.seconds, 0.5)
    }

    fn anonymous(&mut self) -> f64 {
        quantile(&mut self.anonymous, 0.5)
    }

    fn file(&mut self) -> f64 {
        quantile(&mut self.file, 0.5)
    }
}
