//! The real binary is killed with SIGKILL under load, again and again, and started again on the same data
//! directory. The clients keep books of what was accepted; at the end every accepted event was done exactly
//! once. 5 kills, or 50 where `FLYBALL_NIGHTLY` is set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod process;

use std::{
    collections::BTreeMap,
    io::Read,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use process::{Dice, FIRST_START_MAX, LOOK_EVERY, RESTART_MAX, STUCK, Server, ask, get, request, until};
use serde_json::{Value, json};

const SEED: u64 = 0x000f_1bba_11c0_ffee;
const TENANTS: [&str; 3] = ["a", "b", "c"];
const CLIENTS: u64 = 4;
/// Runs at once, over all tenants: less than what the clients send, so that work is waiting at each kill.
const CONCURRENCY: u32 = 4;
fn application() -> String {
    let guests = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/dist");
    let delivery = "retry = { base = \"10ms\", max = \"50ms\" }";
    format!(
        r#"
[application]
name = "crash"

[limits]
concurrency = {{ cap = {CONCURRENCY} }}
# The kills come faster than runs end, and no event here is to blame: see guilty.rs for one that is.
crashes_max = 255

[tenant.a]
[tenant.b]
[tenant.c]
[tenant.idle]

[function.script]
component = "{guests}/script.wasm"
timeout = "5s"
memory = "16MiB"
per_tenant.concurrency = {{ cap = 2 }}
grants.emit = ["work", "news"]
grants.kv = {{ counters = "read-write" }}

[function.web]
component = "{guests}/script-http.wasm"
timeout = "5s"
memory = "16MiB"
grants.kv = {{ counters = "read-write" }}

[queue.work]
function = "script"
{delivery}

[queue.more]
function = "script"
{delivery}

[topic.news]
subscribers = [{{ queue = "work" }}, {{ queue = "more" }}]
"#
    )
}

/// What a request adds to its tenant's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Effect {
    /// By the event itself.
    n: u64,
    /// By the events that it emits.
    m: u64,
    /// By a synchronous call.
    c: u64,
}

/// What is sent, each kind as often as the others. An escaped line feed is one in what is emitted.
const SCRIPTS: [(&str, u64); 7] = [
    ("must increment counters n", 0),
    ("must increment counters n\nmust emit work 1 0 must increment counters m", 1),
    ("must increment counters n\nmust emit work 2 5 must increment counters m", 2),
    ("must emit news 1 0 must increment counters m\nmust increment counters n", 2),
    (
        "must increment counters n\nmust emit work 1 0 must increment counters m\\n\
         must emit work 1 0 must increment counters m",
        2,
    ),
    ("must increment counters n\nfail-until 2", 0),
    ("sleep 20\nmust increment counters n", 0),
];

/// One keyed request. Sent again it is the same to the byte.
#[derive(Debug, Clone)]
struct Order {
    tenant: &'static str,
    key: String,
    path: &'static str,
    body: String,
    effect: Effect,
}

impl Order {
    /// Every key is used by all tenants, with different content.
    fn new(client: u64, number: usize, dice: &mut Dice) -> Order {
        let tenant = TENANTS[number % TENANTS.len()];
        let key = format!("{client}-{}", number / TENANTS.len());
        let kind = usize::try_from(dice.below(SCRIPTS.len() as u64 + 1)).unwrap();
        let Some((script, m)) = SCRIPTS.get(kind) else {
            let headers = json!({ "x-do": "increment counters c" });
            let body = json!({ "tenant": tenant, "headers": headers, "key": key }).to_string();
            let effect = Effect { c: 1, ..Effect::default() };
            return Order { tenant, key, path: "/api/v1/functions/web/invoke", body, effect };
        };
        let data = json!({ "text": script });
        let event = json!({ "tenant": tenant, "target": "work", "type": "t", "data": data, "key": key });
        let effect = Effect { n: 1, m: *m, c: 0 };
        Order { tenant, key, path: "/api/v1/events", body: event.to_string(), effect }
    }
}

/// What a client wrote down: all that was accepted, by tenant and key, with its id.
#[derive(Debug, Default)]
struct Books {
    accepted: BTreeMap<(&'static str, String), (String, Effect)>,
    /// Requests that a kill left without an answer.
    unanswered: u64,
    /// Requests sent again whose key the server knew.
    known: u64,
}

/// What the clients and the one who kills have in common.
#[derive(Default)]
struct World {
    place: Mutex<Place>,
    changed: Condvar,
    answers: AtomicU64,
}

#[derive(Default)]
struct Place {
    /// Where the server is, while there is one.
    admin: Option<SocketAddr>,
    /// Counts the starts.
    life: u32,
    stopped: bool,
    failure: Option<String>,
}

impl World {
    fn change(&self, change: impl FnOnce(&mut Place)) {
        change(&mut self.place.lock().unwrap());
        self.changed.notify_all();
    }

    fn up(&self, admin: SocketAddr) {
        self.change(|place| (place.admin, place.life) = (Some(admin), place.life + 1));
    }

    /// The server in its life `least` or a later one.
    fn server(&self, least: u32) -> Result<(SocketAddr, u32), String> {
        let place = self.place.lock().unwrap();
        let absent =
            |place: &mut Place| (place.admin.is_none() || place.life < least) && place.failure.is_none();
        let (place, _) = self.changed.wait_timeout_while(place, STUCK, absent).unwrap();
        match place.admin {
            Some(admin) if place.life >= least => Ok((admin, place.life)),
            _ => Err(format!("no answer in life {}, though nobody killed the server", place.life)),
        }
    }

    fn stopped(&self) -> bool {
        self.place.lock().unwrap().stopped
    }

    /// Waits until the clients have seen so many answers more.
    fn await_answers(&self, more: u64) {
        let enough = self.answers.load(SeqCst) + more;
        until("the clients are answered", || {
            let failure = self.place.lock().unwrap().failure.clone();
            assert_eq!(failure, None, "a client has failed");
            (self.answers.load(SeqCst) >= enough).then_some(())
        });
    }
}

/// Lets the clients end where the test fails, so that it can.
struct StopAtEnd<'a>(&'a World);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.change(|place| place.stopped = true);
    }
}

/// One that sends, writes down, and sends again what was not answered.
struct Client<'a> {
    world: &'a World,
    books: Books,
    life: u32,
    /// Sent without waiting for an answer: to be sent again in another life.
    owed: Vec<Order>,
    last: Option<Order>,
}

impl Client<'_> {
    fn run(mut self, number: u64) -> Result<Books, String> {
        let mut dice = Dice(SEED ^ (number + 1));
        for order in 0.. {
            if self.world.stopped() {
                break;
            }
            let order = Order::new(number, order, &mut dice);
            match dice.below(8) {
                0 => self.leave(order)?,
                _ => self.send(&order)?,
            }
        }
        self.repeat()?;
        Ok(self.books)
    }

    /// Sends and goes away before the answer.
    fn leave(&mut self, order: Order) -> Result<(), String> {
        let (admin, _) = self.world.server(0)?;
        // Whether it arrived is unknown, which is the point.
        let _ = request(admin, "POST", order.path, &order.body);
        self.owed.push(order);
        Ok(())
    }

    /// Sends until there is an answer, through all kills, and writes it down.
    fn send(&mut self, order: &Order) -> Result<(), String> {
        let (mut least, end) = (0, Instant::now() + STUCK);
        let (answer, life) = loop {
            let (admin, life) = self.world.server(least)?;
            match ask(admin, "POST", order.path, &order.body) {
                // The call runs again after a kill; its answer is there when it has ended.
                Some((409, body)) if body["error"]["code"] == json!("FE1005") && Instant::now() < end => {
                    thread::sleep(LOOK_EVERY);
                }
                Some(answer) => break (answer, life),
                None => {
                    self.books.unanswered += 1;
                    least = life + 1;
                }
            }
        };
        self.world.answers.fetch_add(1, SeqCst);
        self.write_down(order, &answer)?;
        self.last = Some(order.clone());
        if life > self.life {
            self.life = life;
            self.repeat()?;
        }
        Ok(())
    }

    fn write_down(&mut self, order: &Order, (status, body): &(u16, Value)) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {order:?} was answered {status} {body}"));
        let called = order.effect.c == 0 || body["status"] == json!(200);
        let (200, Some(id), true) = (*status, body["id"].as_str(), called) else {
            return wrong("not accepted");
        };
        let known = body["duplicate"] == json!(true) || body["replayed"] == json!(true);
        self.books.known += u64::from(known);
        let entry = ((order.tenant, order.key.clone()), (id.to_string(), order.effect));
        match self.books.accepted.insert(entry.0, entry.1) {
            Some(_) if !known => wrong("accepted twice"),
            Some((before, _)) if before != id => wrong(&format!("known under another id, {before}")),
            _ => Ok(()),
        }
    }

    /// Sends again what may not have arrived, and one that did and must be known.
    fn repeat(&mut self) -> Result<(), String> {
        let known = self.last.take();
        for order in std::mem::take(&mut self.owed).into_iter().chain(known) {
            self.send(&order)?;
        }
        Ok(())
    }
}

/// Kills and starts the server while clients send to it. Answers the last server and everyone's books.
fn kill_under_load(
    directory: &Path,
    server: (Server, SocketAddr),
    kills: u64,
) -> (Server, SocketAddr, Vec<Books>) {
    let world = World::default();
    let mut dice = Dice(SEED);
    let (mut server, mut admin) = server;
    let mut left = 0;
    let mut restarts = Vec::new();
    world.up(admin);
    let books = thread::scope(|scope| {
        let stop = StopAtEnd(&world);
        let world = &world;
        let client = |number| {
            let client = Client { world, books: Books::default(), life: 1, owed: Vec::new(), last: None };
            let ended = client.run(number);
            if let Err(why) = &ended {
                world.change(|place| place.failure = Some(why.clone()));
            }
            ended
        };
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        for kill in 0..kills {
            world.await_answers(10 + dice.below(120));
            server.kill();
            world.change(|place| place.admin = None);
            if kill % 2 == 1 {
                // Once more while it starts, at the latest when it takes work.
                let mut starting = Server::spawn(directory);
                let _ = starting.announced.recv_timeout(Duration::from_millis(dice.below(80)));
                starting.kill();
            }
            let before = Instant::now();
            (server, admin) = Server::start(directory, RESTART_MAX);
            restarts.push(before.elapsed());
            left += unfinished(admin) + count(admin, "done");
            world.up(admin);
        }
        world.await_answers(20);
        drop(stop);
        clients.into_iter().map(|client| client.join().unwrap().unwrap()).collect()
    });
    restarts.sort_unstable();
    println!(
        "restarts: median {:?}, longest {:?}",
        restarts[restarts.len() / 2],
        restarts[restarts.len() - 1]
    );
    println!("{left} events were accepted and not done at the kills");
    assert!(left > 0, "no kill met accepted work that was not done: that was no load");
    (server, admin, books)
}

fn count(admin: SocketAddr, name: &str) -> u64 {
    get(admin, "/api/v1/status")["counts"][name].as_u64().unwrap()
}

fn unfinished(admin: SocketAddr) -> u64 {
    let status = get(admin, "/api/v1/status");
    let names = ["waiting", "running", "settling", "calls", "waiting_calls"];
    names.iter().map(|name| status["counts"][name].as_u64().unwrap()).sum()
}

fn until_all_is_done(admin: SocketAddr) {
    until("all is done", || (unfinished(admin) == 0).then_some(()));
}

/// A tenant's counters, read by an event of its own.
fn counters(admin: SocketAddr, tenant: &str, key: &str) -> Vec<String> {
    let data = json!({ "text": "get counters n\nget counters m\nget counters c" });
    let event = json!({ "tenant": tenant, "target": "work", "type": "t", "data": data, "key": key });
    let (status, sent) = ask(admin, "POST", "/api/v1/events", &event.to_string()).unwrap();
    assert_eq!(status, 200, "{sent}");
    let path = format!("/api/v1/results/{tenant}/{}", sent["id"].as_str().unwrap());
    let text = until("the counters are read", || {
        let result = get(admin, &path);
        (result["state"] == json!("done")).then(|| result["response"]["body"]["text"].clone())
    });
    text.as_str().unwrap().lines().map(str::to_string).collect()
}

/// Holds the server to the books.
fn audit(admin: SocketAddr, books: &[Books], key: &str) {
    until_all_is_done(admin);
    assert_eq!(get(admin, "/api/v1/dead")["letters"], json!([]));
    for tenant in TENANTS {
        let mut whole = Effect::default();
        let entries = books.iter().flat_map(|books| &books.accepted);
        for ((_, key), (id, effect)) in entries.filter(|((of, _), _)| *of == tenant) {
            (whole.n, whole.m, whole.c) = (whole.n + effect.n, whole.m + effect.m, whole.c + effect.c);
            let result = get(admin, &format!("/api/v1/results/{tenant}/{id}"));
            assert_eq!(result["state"], json!("done"), "{tenant} {key}: {result}");
        }
        assert!(whole.n.min(whole.m).min(whole.c) > 0, "{tenant} sent some of every kind: {whole:?}");
        let expected = [whole.n, whole.m, whole.c].map(|n| n.to_string());
        assert_eq!(counters(admin, tenant, key), expected, "tenant {tenant}: n, m, c by the books");
    }
    assert_eq!(counters(admin, "idle", key), ["none"; 3], "a tenant that sent nothing has nothing");
}

#[test]
fn what_was_accepted_is_done_exactly_once_through_kills() {
    let kills = if std::env::var_os("FLYBALL_NIGHTLY").is_some() { 50 } else { 5 };
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    std::fs::write(directory.join("flyball.toml"), application()).unwrap();
    let server = Server::start(directory, FIRST_START_MAX);
    let (mut server, admin, books) = kill_under_load(directory, server, kills);
    let sum = |of: fn(&Books) -> u64| books.iter().map(of).sum::<u64>();
    let (unanswered, known) = (sum(|books| books.unanswered), sum(|books| books.known));
    let accepted = sum(|books| books.accepted.len() as u64);
    println!("{accepted} accepted; {unanswered} unanswered at {kills} kills; {known} known when sent again");
    assert!(unanswered > 0 && known > 0, "{unanswered} unanswered, {known} known");
    audit(admin, &books, "read");
    // And it is so on disk.
    server.kill();
    let (mut server, admin) = Server::start(directory, RESTART_MAX);
    audit(admin, &books, "read-again");
    assert_eq!(server.terminate(), Some(0), "SIGTERM is no failure");
}

#[test]
fn a_second_process_on_the_same_data_is_refused_and_told_which_has_it() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    std::fs::write(directory.join("flyball.toml"), application()).unwrap();
    let (mut first, admin) = Server::start(directory, FIRST_START_MAX);
    let mut second = Server::command(directory).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = second.stderr.take().unwrap();
    let mut second = Server::of(second);
    let status = until("the second has ended", || second.child.try_wait().unwrap());
    let mut said = String::new();
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("in use by process {}", first.child.id())), "{said}");
    assert_eq!(ask(admin, "GET", "/readyz", "").map(|(status, _)| status), Some(200), "the first goes on");
    // What a process that was killed left behind keeps nobody out.
    first.kill();
    Server::start(directory, RESTART_MAX).0.kill();
}
