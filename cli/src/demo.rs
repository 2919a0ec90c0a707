//! `flyball demo`: the codewatch example on a temporary data directory, under recorded traffic of many
//! tenants over real HTTP, and at the end whether every promise held.
//!
//! - `traffic`: what is played, and what must come of it. - `player`: delivers it.
//! - `sink`: where announcements arrive. - `books`: what we know by ourselves.
//! - `view`: what is shown meanwhile. - `promises`: what is checked at the end.

mod books;
mod player;
mod promises;
mod sink;
mod traffic;
mod view;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use flyball_core::{Name, TenantId};
use flyball_server::{platform::Platform, tenants::TenantError};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    arguments::{Demo, Format},
    serve::{Running, Signals, Wanted},
    stop::{Stop, print, print_json},
    table::{Table, micros, number},
};
use books::{Books, Tenant};
use player::Player;
use promises::{Evidence, Promise};

const APPLICATION: &str = include_str!("../../examples/codewatch/flyball.toml");
/// The address in the application's file that stands for the tenants' side.
const SINK: &str = "127.0.0.1:9999";
/// How long work may go on after the last delivery.
const QUIESCENCE_MAX: Duration = Duration::from_secs(300);

macro_rules! component {
    ($name:literal) => {
        (
            concat!("functions/dist/", $name, ".wasm"),
            include_bytes!(concat!("../../examples/codewatch/functions/dist/", $name, ".wasm")),
        )
    };
}

const COMPONENTS: [(&str, &[u8]); 5] = [
    component!("webhook"),
    component!("scan"),
    component!("report"),
    component!("reports"),
    component!("notify"),
];

/// Plays the demo.
///
/// # Errors
/// Where it can't be started (exit 2), or a promise broke (exit 1).
pub async fn run(wanted: Demo, format: Format) -> Result<(), Stop> {
    if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&wanted.duration) {
        return Err(Stop::wrong("--duration: from 1s to 10m"));
    }
    let mut signals = Signals::new()?;
    let directory = tempfile::Builder::new().prefix("flyball-demo-").tempdir();
    let directory = directory.map_err(|error| Stop::wrong(format!("no temporary directory: {error}")))?;
    let books = Arc::new(Books::default());
    let sink = sink::listen(books.clone()).await;
    let sink = sink.map_err(|error| Stop::wrong(format!("no port on loopback: {error}")))?;
    let running = start(directory.path(), sink).await?;
    let played = tokio::select! {
        played = play(&running, &wanted, &books, sink) => played,
        () = signals.next() => Err(Stop::failed("stopped")),
    };
    let verdict = match played {
        Ok((summary, tenants)) => {
            let held = summary.held();
            summary.print(format)?;
            if wanted.keep {
                keep(&running, &tenants)?;
                signals.next().await;
            }
            if held { Ok(()) } else { Err(Stop::failed("a promise broke")) }
        }
        Err(stop) => Err(stop),
    };
    running.drain().await;
    verdict
}

/// Writes the example into the directory and starts it.
async fn start(directory: &Path, sink: SocketAddr) -> Result<Running, Stop> {
    let unwritable =
        |error: std::io::Error| Stop::wrong(format!("{} can't be written: {error}", directory.display()));
    std::fs::create_dir_all(directory.join("functions/dist")).map_err(unwritable)?;
    for (path, bytes) in COMPONENTS {
        std::fs::write(directory.join(path), bytes).map_err(unwritable)?;
    }
    let file = directory.join("flyball.toml");
    std::fs::write(&file, APPLICATION.replace(SINK, &sink.to_string())).map_err(unwritable)?;
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    Running::start(Wanted {
        file: &file,
        data: directory.join("data"),
        gateway: free,
        admin: free,
        admin_token: None,
        grace: Duration::from_secs(10),
        record: None,
    })
    .await
}

/// Everything that is printed at the end.
#[derive(Debug)]
struct Summary {
    promises: Vec<Promise>,
    figures: view::Figures,
    pushes: u64,
    throttled: u64,
    took: Duration,
}

async fn play(
    running: &Running,
    wanted: &Demo,
    books: &Arc<Books>,
    sink: SocketAddr,
) -> Result<(Summary, Arc<Vec<Tenant>>), Stop> {
    let deliveries = traffic::plan(wanted.tenants as usize, wanted.duration).map_err(Stop::failed)?;
    let (tenants, loud) = tenants(running.platform.clone(), wanted.tenants as usize, sink).await?;
    let tenants = Arc::new(tenants);
    let gateway = format!("http://{}", running.gateway);
    let player = Player::new(books.clone(), tenants.clone(), gateway.clone());
    let planned = deliveries.len() as u64;
    let started = Instant::now();
    let shown = player.clone();
    let view = tokio::spawn(view::show(running.platform.clone(), books.clone(), loud, planned, move || {
        shown.played.load(Ordering::Relaxed)
    }));
    player.play(deliveries).await;
    let quiescent = quiescence(&running.platform).await;
    view.abort();
    // Its lines are gone before ours are printed.
    let _ = view.await;
    let took = started.elapsed();
    let figures = view::figures(&running.platform, loud);
    let done = running.platform.telemetry().figures(|figures| {
        let of = |(name, figures): (&Name, &flyball_server::telemetry::FunctionFigures)| {
            (name.to_string(), figures.done)
        };
        figures.functions.iter().map(of).collect::<BTreeMap<String, u64>>()
    });
    let limits = running.platform.limits(tenants.len());
    let reports = promises::reports(&gateway, &tenants).await.map_err(Stop::failed)?;
    let books = books.entries();
    let bound = promises::bound(&running.platform, &books, tenants.len() as u64);
    let promises = promises::check(&Evidence {
        books: &books,
        reports: &reports,
        figures: &figures,
        limits: &limits,
        done: &done,
        quiescent,
        bound,
    });
    let summary = Summary { promises, figures, pushes: books.pushes, throttled: books.throttled, took };
    Ok((summary, tenants.clone()))
}

/// Creates the tenants with their keys and secrets.
async fn tenants(
    platform: Arc<Platform>,
    count: usize,
    sink: SocketAddr,
) -> Result<(Vec<Tenant>, TenantId), Stop> {
    let work = move || -> Result<(Vec<Tenant>, TenantId), String> {
        let bar = view::bar(count as u64, "tenants");
        let mut all = Vec::new();
        let mut loud = TenantId(0);
        for tenant in 0..count {
            let name = Name::new(&traffic::name_of(tenant)).map_err(|error| error.to_string())?;
            let (id, key) = created(&platform, &name).map_err(|error| error.to_string())?;
            let secrets = [
                ("github-webhook", traffic::secret_of(tenant)),
                ("notify-url", format!("http://{sink}/{name}")),
            ];
            for (secret, value) in secrets {
                let set = platform.tenants().set_secret(&name, secret, Some(Bytes::from(value)));
                set.map_err(|error| error.to_string())?;
            }
            if tenant == 0 {
                loud = id;
            }
            all.push(Tenant { name: name.to_string(), key });
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok((all, loud))
    };
    let created = tokio::task::spawn_blocking(work).await.map_err(|error| Stop::failed(error.to_string()))?;
    created.map_err(|error| Stop::failed(format!("the tenants can't be created: {error}")))
}

/// A tenant with a key. Those that the application's file names are there from the start, without one.
fn created(platform: &Arc<Platform>, name: &Name) -> Result<(TenantId, String), TenantError> {
    match platform.tenant_by_name(name) {
        Some(known) => Ok((known.id, platform.add_key(name, None)?.0)),
        None => platform.create_tenant(name.clone()).map(|(view, key)| (view.id, key)),
    }
}

/// Waits until nothing waits or runs; answers whether that was so in time.
async fn quiescence(platform: &Platform) -> bool {
    let deadline = Instant::now() + QUIESCENCE_MAX;
    while Instant::now() < deadline {
        let counts = platform.counts();
        let open =
            counts.waiting + counts.running + counts.settling + counts.waiting_calls + counts.invocations;
        if open == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

impl Summary {
    fn held(&self) -> bool {
        self.promises.iter().all(|promise| promise.held)
    }

    fn print(&self, format: Format) -> Result<(), Stop> {
        let (quiet, loud, counts) = (&self.figures.quiet, &self.figures.loud, &self.figures.counts);
        if format == Format::Json {
            let promise = |p: &Promise| json!({ "name": p.name, "held": p.held, "detail": p.detail });
            let dwell = |h: &flyball_server::telemetry::Histogram| {
                let (p50, p99) = (h.quantile(500), h.quantile(990));
                json!({ "p50_us": p50, "p99_us": p99, "max_us": h.max() })
            };
            let throttled: BTreeMap<_, _> = self.figures.throttled.iter().cloned().collect();
            return print_json(&json!({
                "held": self.held(),
                "promises": self.promises.iter().map(promise).collect::<Vec<_>>(),
                "pushes": self.pushes,
                "events": flyball_server::admin::types::counts(counts),
                "dwell": { "quiet": dwell(quiet), "loud": dwell(loud) },
                "throttled": throttled,
                "answered_429": self.throttled,
                "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            }));
        }
        let mut text = format!(
            "\n{} pushes, {} events in {}.{} s; {} duplicates; 429: {}\nthrottles: {}\n\n",
            number(self.pushes),
            number(counts.accepted),
            self.took.as_secs(),
            self.took.subsec_millis() / 100,
            number(counts.duplicates),
            number(self.throttled),
            self.figures.throttles(),
        );
        let mut dwell = Table::new(&["DWELL", ">P50", ">P99", ">MAX"]);
        for (who, h) in [("quiet tenants", quiet), ("the loud tenant", loud)] {
            dwell.row([who.into(), micros(h.quantile(500)), micros(h.quantile(990)), micros(h.max())]);
        }
        text.push_str(&dwell.render());
        text.push('\n');
        let mut table = Table::new(&["PROMISE", "HELD", "NUMBERS"]);
        for promise in &self.promises {
            let held = if promise.held { "yes" } else { "NO" };
            table.row([promise.name.into(), held.into(), promise.detail.clone()]);
        }
        text.push_str(&table.render());
        text.push_str(
            "\nThe bound on a quiet tenant's wait: tenants over the slots of the function\n\
             that has the fewest, rounded up, times the longest run seen, plus the batch\n\
             window: before a newcomer each other tenant is served once at most.\n",
        );
        print(&text)
    }
}

/// Says what can be tried while it goes on running.
fn keep(running: &Running, tenants: &[Tenant]) -> Result<(), Stop> {
    let (gateway, admin) = (running.gateway, running.admin);
    let key = tenants.get(1).map_or("", |tenant| tenant.key.as_str());
    print(&format!(
        "\nIt goes on running; Ctrl-C ends it.\n\
         \x20 gateway  http://{gateway}\n\
         \x20 admin    http://{admin}\n\n\
         Try:\n\
         \x20 export FLYBALL_ADMIN=http://{admin}\n\
         \x20 curl -H 'x-api-key: {key}' http://{gateway}/reports\n\
         \x20 flyball status\n\
         \x20 flyball limits --only megacorp\n\
         \x20 flyball logs --tenant megacorp --lines 5\n"
    ))
}
