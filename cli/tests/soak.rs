//! The real binary under a steady, mixed load: calls with and without keys, events through a queue and a
//! topic, guests that fail, tenants that are created, dead letters that are redriven and thrown away. What
//! it holds on to, memory, descriptors, mappings, threads and files, is flat: the last quarter of the
//! samples is held against the second.
//!
//! A bounded number of requests; or, where `FLYBALL_NIGHTLY` is set, 30 minutes at a moderate rate
//! (`FLYBALL_SOAK_MINUTES` says otherwise).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod process;

use std::{
    fmt,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use process::{Dice, FIRST_START_MAX, LOOK_EVERY, Server, ask, get, request, until};
use serde_json::{Value, json};

const SEED: u64 = 0x50a4;
/// Requests of the short form.
const REQUESTS: u64 = 640;
/// Requests a second of the long form: a third of a core at most.
const RATE: u64 = 30;
/// Samples of either form.
const SAMPLES: u64 = 80;
/// Tenants that each client creates. They stay, so that there is an end to it in the first quarter.
const NEW_TENANTS: u64 = 2;
/// Who send at the same time.
const CLIENTS: u64 = 4;
const TENANTS: [&str; 3] = ["a", "b", "c"];

/// Everything that is kept for a time is bounded here by a number that the first quarter reaches.
fn application() -> String {
    let guests = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/dist");
    let delivery = "attempts_max = 2\nretry = { base = \"10ms\", max = \"50ms\" }";
    format!(
        r#"
[application]
name = "soak"

[limits]
concurrency = {{ cap = 8 }}
traced_events_max = 150

[tenant_defaults]
remembered_max = 15

[tenant.a]
[tenant.b]
[tenant.c]

[function.script]
component = "{guests}/script.wasm"
timeout = "500ms"
memory = "16MiB"
grants.emit = ["work", "news"]
grants.kv = {{ counters = "read-write" }}
grants.blobs = "read-write"
inbox = {{ attempts_max = 2, retry = {{ base = "10ms", max = "50ms" }} }}

[function.web]
component = "{guests}/script-http.wasm"
timeout = "2s"
memory = "16MiB"
grants.kv = {{ counters = "read-write" }}

[queue.work]
function = "script"
{delivery}

[queue.more]
function = "script"
batch_max = 5
batch_window = "20ms"
{delivery}

[topic.news]
subscribers = [{{ queue = "work" }}, {{ queue = "more" }}, {{ function = "script" }}]

[[route]]
path = "/web"
function = "web"
tenant = {{ header = "x-tenant" }}
"#
    )
}

/// What the process holds on to.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    anonymous_kib: u64,
    descriptors: u64,
    mappings: u64,
    threads: u64,
    files: u64,
}

impl Sample {
    fn take(server: &Server, data: &Path) -> Sample {
        let process = Path::new("/proc").join(server.child.id().to_string());
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse().unwrap()
        };
        Sample {
            anonymous_kib: field("RssAnon"),
            descriptors: std::fs::read_dir(process.join("fd")).unwrap().count() as u64,
            mappings: std::fs::read_to_string(process.join("maps")).unwrap().lines().count() as u64,
            threads: field("Threads"),
            files: files(data),
        }
    }

    fn values(&self) -> [u64; 5] {
        [self.anonymous_kib, self.descriptors, self.mappings, self.threads, self.files]
    }
}

/// What each value may be above what it was: a share, and a number that a moment's work takes. The allocator gives
/// memory back late, so that in the short form a few MiB come and go; in the long one they are far less than the share
/// of a leak.
const ROOM: [(&str, u64, u64); 5] = [
    ("anonymous memory, KiB", 5, 16_384),
    ("file descriptors", 0, 12),
    ("memory mappings", 5, 24),
    ("threads", 0, 4),
    ("files in the data directory", 0, 4),
];

fn files(directory: &Path) -> u64 {
    // A file may go while it is counted.
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let count = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { 1 };
    entries.flatten().map(|entry| count(entry.path())).sum()
}

fn median(samples: &[Sample], value: usize) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(|sample| sample.values()[value]).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// How often what was done.
#[derive(Debug, Default)]
struct Done {
    requests: u64,
    accepted: u64,
    replayed: u64,
    refused: u64,
    failed: u64,
    moved: u64,
    tenants: u64,
}

impl Done {
    fn add(&mut self, other: &Done) {
        let Done { requests, accepted, replayed, refused, failed, moved, tenants } = other;
        self.requests += requests;
        self.accepted += accepted;
        self.replayed += replayed;
        self.refused += refused;
        self.failed += failed;
        self.moved += moved;
        self.tenants += tenants;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { requests, accepted, replayed, refused, failed, moved, tenants } = self;
        write!(
            f,
            "{requests} requests: {accepted} events accepted, {replayed} answers from a key, {refused} refused \
             at a limit, {failed} failed calls, {moved} dead letters moved, {tenants} tenants created"
        )
    }
}

/// One that does a bit of everything.
struct Load {
    client: u64,
    admin: SocketAddr,
    gateway: SocketAddr,
    dice: Dice,
    done: Done,
}

impl Load {
    /// The next request, whatever it is.
    fn next(&mut self) {
        // Each begins elsewhere, so that they do different things at a time.
        let n = self.done.requests + 5 * self.client;
        self.done.requests += 1;
        let tenant = TENANTS[self.dice.below(3) as usize];
        match n % 20 {
            0 | 10 => self.call(tenant, "echo", 200),
            1 => self.call(tenant, "increment counters web", 200),
            2 => self.call(tenant, "trap", 502),
            3 | 13 => self.keyed_call(tenant, n),
            4 => self.event(tenant, "news", "increment counters n", Some(format!("{}-n-{n}", self.client))),
            5 => self.event(tenant, "news", "log info of the news", None),
            6 => self.event(tenant, "work", "trap", None),
            7 => self.event(tenant, "more", "permanent told to", None),
            8 => self.event(tenant, "work", "emit work 3 0 increment counters m", None),
            9 => self.event(
                tenant,
                "work",
                &format!("put blob {}\nset counters k{} v", n / 20 % 2, n % 50),
                None,
            ),
            // Until its deadline, which is not for every turn.
            11 if n % 400 == 11 => self.event(tenant, "work", "spin", None),
            11 => self.event(tenant, "work", "log info a line", None),
            12 => self.administer(n),
            14 => self.leave(tenant),
            15 => self.wrong(),
            16 => self.event(tenant, "work", "allocate", None),
            17 => self.look(),
            18 => self.event(tenant, "work", "fail-until 2\nincrement counters n", None),
            _ => self.event(tenant, "more", "sleep 10\nincrement counters n", None),
        }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        ask(self.admin, "POST", path, &body.to_string()).expect("an answer")
    }

    fn call(&mut self, tenant: &str, script: &str, status: u16) {
        let head =
            format!("host: localhost\r\nconnection: close\r\nx-tenant: {tenant}\r\nx-do: {script}\r\n");
        let answer = process::exchange(self.gateway, &format!("GET /web HTTP/1.1\r\n{head}\r\n"));
        let found = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        assert_eq!(found, Some(status), "{script}: {answer}");
        self.done.failed += u64::from(status != 200);
    }

    /// Every other key was used before.
    fn keyed_call(&mut self, tenant: &str, n: u64) {
        let number = if n.is_multiple_of(2) { n } else { n % 7 };
        let headers = json!({ "x-do": "increment counters c" });
        let body =
            json!({ "tenant": tenant, "headers": headers, "key": format!("{}-c-{number}", self.client) });
        match self.post("/api/v1/functions/web/invoke", &body) {
            (200, answer) => self.done.replayed += u64::from(answer["replayed"] == json!(true)),
            (429, answer) if answer["error"]["code"] == json!("FE1006") => self.done.refused += 1,
            other => panic!("{other:?}"),
        }
    }

    fn event(&mut self, tenant: &str, target: &str, script: &str, key: Option<String>) {
        let data = json!({ "text": script });
        let event = json!({ "tenant": tenant, "target": target, "type": "t", "data": data, "key": key });
        match self.post("/api/v1/events", &event) {
            (200, _) => self.done.accepted += 1,
            (429, answer) if answer["error"]["code"] == json!("FE1006") => self.done.refused += 1,
            other => panic!("{other:?}"),
        }
    }

    /// Tenants as long as there are to be more, and dead letters.
    fn administer(&mut self, n: u64) {
        if self.done.tenants < NEW_TENANTS {
            let name = format!("new-{}-{}", self.client, self.done.tenants);
            let (status, created) = self.post("/api/v1/tenants", &json!({ "name": name }));
            assert_eq!(status, 201, "{created}");
            self.done.tenants += 1;
        }
        let verb = if n.is_multiple_of(40) { "redrive" } else { "discard" };
        let (status, moved) = self.post(&format!("/api/v1/dead/{verb}"), &json!({ "max": 50 }));
        assert_eq!(status, 200, "{moved}");
        self.done.moved += moved["moved"].as_array().map_or(0, |moved| moved.len() as u64);
    }

    /// A request whose sender does not wait.
    fn leave(&self, tenant: &str) {
        let headers = json!({ "x-do": "sleep 5" });
        let body = json!({ "tenant": tenant, "headers": headers }).to_string();
        drop(request(self.admin, "POST", "/api/v1/functions/web/invoke", &body));
    }

    fn wrong(&self) {
        let answer =
            process::exchange(self.gateway, "GET /nowhere HTTP/1.1\r\nhost: l\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        let answer = process::exchange(self.gateway, "no HTTP at all\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }

    /// What an operator looks at.
    fn look(&self) {
        for path in ["/api/v1/status", "/api/v1/limits", "/api/v1/dead", "/api/v1/logs?tenant=a", "/readyz"] {
            get(self.admin, path);
        }
        assert_eq!(ask(self.admin, "GET", "/metrics", "").map(|(status, _)| status), Some(200));
    }
}

/// How long the long form takes; `None` for the short one.
fn length() -> Option<Duration> {
    std::env::var_os("FLYBALL_NIGHTLY")?;
    let minutes = std::env::var("FLYBALL_SOAK_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    Some(Duration::from_secs(60 * minutes))
}

/// Processor time of the server, in hundredths of a second.
fn processor_ticks(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn what_is_held_on_to_is_flat() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    std::fs::write(directory.join("flyball.toml"), application()).unwrap();
    let (mut server, admin) = Server::start(directory, FIRST_START_MAX);
    let gateway = server.gateway();
    let length = length();
    let requests = length.map_or(REQUESTS, |length| length.as_secs() * RATE);
    let (begun, ticks) = (Instant::now(), processor_ticks(&server));
    let sent = AtomicU64::new(0);
    let mut samples = Vec::new();
    let mut done = Done::default();
    thread::scope(|scope| {
        let sent = &sent;
        let client = |client| {
            let done = Done::default();
            let mut load = Load { client, admin, gateway, dice: Dice(SEED ^ client), done };
            for n in 0..requests / CLIENTS {
                if length.is_some() {
                    // Its time has come: the rate is steady, however long a request takes.
                    let due = Duration::from_millis(n * CLIENTS * 1_000 / RATE);
                    thread::sleep(due.saturating_sub(begun.elapsed()));
                }
                load.next();
                sent.fetch_add(1, SeqCst);
            }
            load.done
        };
        let clients: Vec<_> = (0..CLIENTS).map(|n| scope.spawn(move || client(n))).collect();
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            if sent.load(SeqCst) >= (samples.len() as u64 + 1) * requests / SAMPLES {
                samples.push(Sample::take(&server, &directory.join("data")));
            }
            thread::sleep(LOOK_EVERY);
        }
        clients.into_iter().for_each(|client| done.add(&client.join().unwrap()));
    });
    let took = begun.elapsed();
    let share = (processor_ticks(&server) - ticks) as f64 / took.as_secs_f64();
    println!("{done} in {:.0} s, {share:.0} % of a core", took.as_secs_f64());
    let quarter = samples.len() / 4;
    let mut grown = Vec::new();
    for (value, (what, percent, slack)) in ROOM.into_iter().enumerate() {
        let quarters = [0, 1, 2, 3].map(|n| median(&samples[n * quarter..(n + 1) * quarter], value));
        println!("{what}, medians of the quarters: {quarters:?}");
        let (before, after) = (quarters[1], quarters[3]);
        if after > before + before * percent / 100 + slack {
            grown.push(format!("{what}: {before} in the second quarter, {after} in the last"));
        }
    }
    assert!(grown.is_empty(), "{grown:?}\n{samples:#?}");
    let Done { accepted, replayed, refused, failed, moved, tenants, .. } = done;
    assert!([accepted, replayed, refused, failed, moved].iter().all(|n| *n > 0));
    assert_eq!(tenants, NEW_TENANTS * CLIENTS);
    until("all is done", || {
        let counts = &get(admin, "/api/v1/status")["counts"];
        let names = ["waiting", "running", "settling", "invocations"];
        names.iter().all(|name| counts[name] == json!(0)).then_some(())
    });
    assert_eq!(server.terminate(), Some(0));
}
