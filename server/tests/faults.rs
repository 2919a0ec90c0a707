//! Faults of the store, seen through the real gateway and admin API: new work is refused with a code that
//! says why, `/readyz` says so too, nothing accepted is lost, and service resumes by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod rig;

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use flyball_core::{EventId, Failure, FailureKind, Refusal, Seq, record};
use flyball_server::{
    admin,
    gateway::{Gateway, GatewayLimits},
};
use flyball_store::{Room, Scan, Store, Table, embedded, faulty::Faulty, memory::Memory};
use rig::{Rig, end, texts, until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const APPLICATION: &str = r#"
[application]
name = "faults"

[limits]
commit_wait_max = "300ms"

[tenant.acme]

[function.work]
component = "none.wasm"
timeout = "30s"

[queue.one]
function = "work"
batch_max = 1
attempts_max = 1

[queue.many]
function = "work"
batch_max = 10
batch_window = "100ms"
attempts_max = 1

[[route]]
path = "/later"
methods = ["POST"]
function = "work"
mode = "async"
tenant = { header = "x-tenant" }

[[route]]
path = "/now"
function = "work"
tenant = { header = "x-tenant" }
"#;

/// A platform behind its gateway and its admin API.
struct Site {
    rig: Rig,
    gateway: SocketAddr,
    admin: SocketAddr,
}

/// An answer: its status, its code or reason, and all of it.
#[derive(Debug)]
struct Said {
    status: u16,
    code: String,
    head: String,
    body: Value,
}

impl Site {
    async fn open(store: Arc<dyn Store>) -> Site {
        let rig = Rig::open(APPLICATION, store);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = listener.local_addr().unwrap();
        let forever = std::future::pending();
        tokio::spawn(Gateway::serve(listener, rig.platform.clone(), GatewayLimits::default(), forever));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = listener.local_addr().unwrap();
        let auth = admin::Auth::open(None, admin, Path::new("unused")).unwrap();
        let router = admin::router(rig.platform.clone(), auth);
        tokio::spawn(admin::serve(listener, router, admin::AdminLimits::default(), std::future::pending()));
        Site { rig, gateway, admin }
    }

    /// Sends a request to an async route.
    async fn later(&self, key: &str) -> Said {
        let headers = format!("x-tenant: acme\r\nidempotency-key: {key}\r\n");
        ask(self.gateway, "POST /later", &headers, "x").await
    }

    async fn ready(&self) -> Said {
        ask(self.admin, "GET /readyz", "", "").await
    }

    async fn until_ready(&self) -> Value {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let said = self.ready().await;
            if said.status == 200 {
                return said.body;
            }
            assert!(Instant::now() < end, "not ready in time: {said:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs end well, and again where they were thrown away, until so many events are done.
    async fn work_off(&mut self, done: u64) {
        while self.rig.platform.counts().done < done || self.rig.platform.not_ready().is_some() {
            let job = tokio::time::timeout(Duration::from_millis(20), self.rig.jobs.recv()).await;
            if let Ok(job) = job {
                end(job.unwrap(), &[], Ok("done")).await;
            }
        }
    }
}

async fn ask(to: SocketAddr, what: &str, headers: &str, body: &str) -> Said {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let length = body.len();
    let head = format!("{what} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}");
    let request = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("nobody waits for ever").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let code = body["error"]["code"].as_str().or(body["reason"].as_str()).unwrap_or_default().to_string();
    Said { status, code, head: head.to_ascii_lowercase(), body }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_answered_503_and_what_ran_is_run_again() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut site = Site::open(store.clone()).await;
    assert_eq!(site.later("before").await.status, 202);
    let before = site.rig.job().await;
    store.fail_next_commit();
    let said = site.later("during").await;
    assert_eq!((said.status, &said.code[..]), (503, "FE1010"), "{said:?}");
    assert!(said.head.contains("retry-after: 1"), "{said:?}");
    site.until_ready().await;
    assert_eq!(site.later("after").await.status, 202);
    // The engine that this run belonged to is no more.
    end(before, &[], Ok("unheard")).await;
    site.work_off(2).await;
    let counts = site.rig.platform.counts();
    assert_eq!((counts.done, counts.dead, counts.waiting), (2, 0, 0), "no attempt was spent: one is all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_507_until_there_is_room() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut site = Site::open(store.clone()).await;
    assert_eq!(site.later("before").await.status, 202);
    store.set_disk_full(true);
    for key in ["one", "two"] {
        let said = site.later(key).await;
        assert_eq!((said.status, &said.code[..]), (507, "FE1011"), "{said:?}");
        assert!(said.head.contains("retry-after: 5"), "{said:?}");
    }
    let said = ask(site.gateway, "GET /now", "x-tenant: acme\r\n", "").await;
    assert_eq!((said.status, &said.code[..]), (507, "FE1011"), "{said:?}");
    let ready = site.ready().await;
    assert!(ready.status == 503 && ready.code.contains("no room"), "{ready:?}");
    let new = json!({ "name": "new" }).to_string();
    let said = ask(site.admin, "POST /api/v1/tenants", "", &new).await;
    assert_eq!((said.status, &said.code[..]), (507, "FE5009"), "{said:?}");
    assert_eq!(ask(site.admin, "GET /healthz", "", "").await.status, 200);
    store.set_disk_full(false);
    site.until_ready().await;
    assert_eq!(ask(site.admin, "POST /api/v1/tenants", "", &new).await.status, 201);
    assert_eq!(site.later("one").await.status, 202);
    site.work_off(2).await;
    assert_eq!(site.rig.platform.counts().dead, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_kept_for_what_was_accepted_and_operators_can_make_more() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut site = Site::open(store.clone()).await;
    let failed = Failure::new(FailureKind::Permanent, "told to");
    let (dead, _) = site.rig.send("one", "dead", None).await.unwrap();
    end(site.rig.job().await, &[], Err(failed)).await;
    assert_eq!(site.later("before").await.status, 202);
    let job = site.rig.job().await;
    let room = |free_bytes| Some(Room { of: "the test".into(), free_bytes, total_bytes: 1 << 40 });
    store.set_room(room((64 << 20) - 1));
    let end_at = Instant::now() + Duration::from_secs(20);
    while site.ready().await.status == 200 {
        assert!(Instant::now() < end_at, "it is noticed");
    }
    let said = site.later("during").await;
    assert_eq!((said.status, &said.code[..]), (507, "FE1011"), "{said:?}");
    let ready = site.ready().await;
    assert!(ready.code.contains("the test: 67108863 bytes are free, and 67108864 are kept"), "{ready:?}");
    end(job, &[], Ok("done")).await;
    until("it is done", || (site.rig.platform.counts().done == 1).then_some(())).await;
    let selection = json!({ "id": dead.to_string() }).to_string();
    let said = ask(site.admin, "POST /api/v1/dead/discard", "", &selection).await;
    assert_eq!((said.status, said.body["moved"].as_array().map(Vec::len)), (200, Some(1)), "{said:?}");
    // A little more is not enough, so that it does not go to and fro.
    store.set_room(room((128 << 20) - 1));
    tokio::time::timeout(Duration::from_millis(2_500), async { while site.ready().await.status == 503 {} })
        .await
        .expect_err("not yet");
    store.set_room(room(128 << 20));
    site.until_ready().await;
    assert_eq!(site.later("during").await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_stalls_holds_nobody_and_is_gone_on_with() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut site = Site::open(store.clone()).await;
    let stall = store.stall_next_commit();
    let begun = Instant::now();
    let said = site.later("key").await;
    assert_eq!((said.status, &said.code[..]), (503, "FE1010"), "{said:?}");
    assert!(begun.elapsed() >= Duration::from_millis(300), "it is given its time");
    let ready = site.ready().await;
    assert!(ready.status == 503 && ready.code.contains("commit_wait_max"), "{ready:?}");
    let begun = Instant::now();
    let said = site.later("other").await;
    assert_eq!((said.status, &said.code[..]), (503, "FE1010"), "{said:?}");
    assert!(begun.elapsed() < Duration::from_millis(300), "who comes now does not wait at all");
    stall.release();
    site.until_ready().await;
    // The commit was made: the event is there, once, under its key.
    let job = site.rig.job().await;
    assert_eq!(texts(&job), ["POST /later"]);
    assert_eq!(site.later("key").await.status, 202);
    end(job, &[], Ok("done")).await;
    site.work_off(1).await;
    let counts = site.rig.platform.counts();
    assert_eq!((counts.accepted, counts.duplicates), (1, 1), "what was refused at once left no trace");
    assert!(site.rig.jobs.try_recv().is_err());
}

/// The places of all events, in order.
fn places(store: &dyn Store) -> Vec<Seq> {
    let scan = Scan { table: Table::State, prefix: &[], after: None, rows_max: 100, bytes_max: 1 << 20 };
    store.scan(&scan).unwrap().rows.iter().filter_map(|row| record::seq_of(&row.key)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_entry_stays_where_it_is_and_the_rest_is_served() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut site = Site::open(store.clone()).await;
    for n in 0..3 {
        site.rig.send("one", &n.to_string(), None).await.unwrap();
        site.rig.job().await;
    }
    let all = places(&*store);
    assert_eq!(all.len(), 3);
    store.shorten(Table::State, &record::key_of(all[0]));
    store.damage(Table::State, &record::key_of(all[2]));
    // Opened again from the store.
    store.fail_next_commit();
    assert_eq!(site.rig.send("one", "lost", None).await, Err(Refusal::Unavailable));
    let ready = site.until_ready().await;
    assert_eq!(ready["damaged_records"], json!(2));
    assert!(site.rig.platform.metrics().contains("flyball_damaged_records 2"));
    let job = site.rig.job().await;
    assert_eq!(texts(&job), ["1"]);
    end(job, &[], Ok("")).await;
    // What comes now is written elsewhere.
    site.rig.send("one", "new", None).await.unwrap();
    let job = site.rig.job().await;
    assert_eq!(texts(&job), ["new"]);
    end(job, &[], Ok("")).await;
    site.work_off(2).await;
    assert_eq!(places(&*store), [all[0], all[2]], "they are as they were");
    for place in [all[0], all[2]] {
        assert!(store.inner().get(Table::Events, &record::key_of(place)).unwrap().is_some());
        store.repair(Table::State, &record::key_of(place));
    }
    // Whoever repairs them gets them back.
    store.fail_next_commit();
    assert_eq!(site.rig.send("one", "lost", None).await, Err(Refusal::Unavailable));
    assert_eq!(site.until_ready().await["damaged_records"], json!(0));
    site.work_off(2).await;
    until("both are done", || (site.rig.platform.counts().waiting == 0).then_some(())).await;
    assert!(places(&*store).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_or_body_that_cannot_be_read_fails_its_event_alone() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut rig = Rig::open(APPLICATION, store.clone());
    // Two numbers are drawn for each event: its id's, and its place.
    let place = |n: u64| record::key_of(Seq(2 * n + 2));
    store.shorten(Table::Events, &place(0));
    store.make_unreadable(Table::Bodies, &place(2));
    store.damage(Table::Events, &place(4));
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(rig.send("many", &n.to_string(), None).await.unwrap().0);
    }
    assert_eq!(places(&*store), [2, 4, 6, 8, 10, 12].map(Seq));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let job = rig.job().await;
        seen.extend(texts(&job));
        end(job, &[], Ok("")).await;
    }
    seen.sort();
    assert_eq!(seen, ["1", "3", "5"]);
    until("all are over", || (rig.platform.counts().done == 3).then_some(())).await;
    until("all are over", || (rig.platform.counts().dead == 3).then_some(())).await;
    let letters = rig.platform.dead_list(&Default::default(), None, 10).unwrap().letters;
    let dead: Vec<_> = letters.iter().map(|letter| letter.dead.event.id).collect();
    assert_eq!(dead, [ids[0], ids[2], ids[4]]);
    for letter in &letters {
        assert_eq!(letter.dead.failure.kind, FailureKind::NotStarted);
        assert!(letter.dead.failure.message.contains("can't be read"), "{}", letter.dead.failure);
    }
    assert_eq!(rig.platform.not_ready(), None);
}

/// A file system of its own; `None`, with the reason printed, where it can't be had.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(bytes: u64) -> Option<Mounted> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path());
        match mount.output() {
            Ok(done) if done.status.success() => Some(Mounted(directory)),
            Ok(done) => {
                println!("skipped: mounting is refused: {}", String::from_utf8_lossy(&done.stderr));
                None
            }
            Err(error) => {
                println!("skipped: there is no mount: {error}");
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Detached at once, gone when the store in it is.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Sends keyed events until there is no room; answers those that were accepted.
async fn fill(site: &Site, round: &str) -> Vec<EventId> {
    let body = "x".repeat(100 << 10);
    let mut accepted = Vec::new();
    for n in 0..1_000 {
        match site.rig.send("one", &body, Some(&format!("{round}-{n}"))).await {
            Ok((id, _)) => accepted.push(id),
            Err(Refusal::StoreFull) => return accepted,
            Err(other) => panic!("{other:?}: {:?}", site.rig.platform.not_ready()),
        }
    }
    panic!("it never was full");
}

/// Ends every run well until all these events are done.
async fn until_done(site: &mut Site, events: &[EventId]) {
    let end_at = Instant::now() + Duration::from_secs(60);
    while !events.iter().all(|id| site.rig.result(*id) == Some(Ok("done".into()))) {
        assert!(Instant::now() < end_at, "not in time: {:?}", site.rig.platform.counts());
        let job = tokio::time::timeout(Duration::from_millis(20), site.rig.jobs.recv()).await;
        if let Ok(job) = job {
            end(job.unwrap(), &[], Ok("done")).await;
        }
    }
}

/// What a full store of either kind must live through. `free` makes room.
async fn live_through(mut site: Site, free: impl FnOnce()) {
    let mut accepted = fill(&site, "first").await;
    assert!(accepted.len() > 10, "{} were accepted", accepted.len());
    let said = site.later("while-full").await;
    let ready = site.ready().await;
    assert_eq!((said.status, &said.code[..]), (507, "FE1011"), "{said:?}");
    assert!(ready.status == 503 && ready.code.contains("no room"), "{ready:?}");
    // What was accepted runs on meanwhile.
    let (first, rest) = accepted.split_at(3);
    until_done(&mut site, first).await;
    assert!(rest.len() > 3);
    free();
    site.until_ready().await;
    accepted.push(site.rig.send("one", "after", Some("after")).await.unwrap().0);
    until_done(&mut site, &accepted).await;
    until("nothing waits", || {
        let counts = site.rig.platform.counts();
        (counts.waiting + counts.running + counts.settling == 0).then_some(())
    })
    .await;
    assert_eq!(site.rig.platform.counts().dead, 0);
    tokio::task::block_in_place(|| site.rig.platform.close());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_disk_that_is_full_is_waited_out() {
    let Some(disk) = Mounted::new(24 << 20) else { return };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    let store = embedded::Embedded::open(&disk.0.path().join("data"), embedded::Options::default());
    let site = Site::open(Arc::new(store.unwrap())).await;
    live_through(site, || std::fs::remove_file(&ballast).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_map_is_worked_empty_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = embedded::Options { map_bytes_max: 4 << 20, ..embedded::Options::default() };
    let store = embedded::Embedded::open(&directory.path().join("data"), options).unwrap();
    let mut site = Site::open(Arc::new(store)).await;
    let accepted = fill(&site, "first").await;
    assert!(accepted.len() > 10, "{} were accepted", accepted.len());
    // Nobody makes room but the events that end.
    until_done(&mut site, &accepted).await;
    // What was freed last is not used at once: it may take more than one commit.
    let mut more = Vec::new();
    for round in 0..20 {
        site.until_ready().await;
        more.extend(fill(&site, &format!("again-{round}")).await);
        if more.len() > accepted.len() / 2 {
            break;
        }
    }
    assert!(more.len() > accepted.len() / 2, "{} were accepted again", more.len());
    until_done(&mut site, &more).await;
}
