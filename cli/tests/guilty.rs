//! Events that run while the real binary is killed. One that is there each time is put aside across restarts,
//! with its history; its neighbours are done exactly once, though one attempt is all that anything has here.
//! An orderly end is no crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod process;

use std::{net::SocketAddr, path::Path};

use process::{FIRST_START_MAX, RESTART_MAX, Server, ask, get, until};
use serde_json::{Value, json};

/// `limits.crashes_max`, by default.
const CRASHES_MAX: usize = 3;

fn application() -> String {
    let guests = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/dist");
    format!(
        r#"
[application]
name = "guilty"

[tenant.a]
[tenant.b]

[function.script]
component = "{guests}/script.wasm"
timeout = "50s"
memory = "16MiB"
grants.kv = {{ counters = "read-write" }}

[queue.work]
function = "script"
attempts_max = 1
"#
    )
}

fn send(admin: SocketAddr, tenant: &str, key: &str, script: &str) -> String {
    let data = json!({ "text": script });
    let event = json!({ "tenant": tenant, "target": "work", "type": "t", "data": data, "key": key });
    let (status, sent) = ask(admin, "POST", "/api/v1/events", &event.to_string()).unwrap();
    assert_eq!(status, 200, "{sent}");
    sent["id"].as_str().unwrap().to_string()
}

fn state(admin: SocketAddr, tenant: &str, id: &str) -> Value {
    get(admin, &format!("/api/v1/results/{tenant}/{id}"))
}

/// Waits until the guest itself says so: what it does then is durable.
fn until_it_says(admin: SocketAddr, what: &str) {
    until(what, || {
        let lines = get(admin, "/api/v1/logs?tenant=a")["lines"].to_string();
        lines.contains(what).then_some(())
    });
}

fn letters(admin: SocketAddr) -> Vec<Value> {
    get(admin, "/api/v1/dead")["letters"].as_array().unwrap().clone()
}

/// The counter of a tenant.
fn counter(admin: SocketAddr, tenant: &str, key: &str) -> String {
    let id = send(admin, tenant, key, "get counters n");
    let done =
        until("it is read", || Some(state(admin, tenant, &id)).filter(|s| s["state"] == json!("done")));
    done["response"]["body"]["text"].as_str().unwrap().trim().to_string()
}

fn start(directory: &Path) -> (Server, SocketAddr) {
    std::fs::write(directory.join("flyball.toml"), application()).unwrap();
    Server::start(directory, FIRST_START_MAX)
}

#[test]
fn what_runs_at_each_kill_is_put_aside_and_its_neighbours_are_done_once() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    let (mut server, mut admin) = start(directory);
    let guilty = send(admin, "a", "guilty", "log info begun\nsleep 45000");
    // Some of these run at each kill too, others are over in between.
    let mut neighbours = Vec::new();
    for life in 0..CRASHES_MAX {
        for n in 0..6 {
            let slow = if n < 2 { "sleep 700\n" } else { "" };
            let key = format!("{life}-{n}");
            let tenant = ["a", "b"][n % 2];
            let script = format!("{slow}must increment counters n");
            neighbours.push((tenant, send(admin, tenant, &key, &script)));
        }
        until_it_says(admin, "begun");
        let now = state(admin, "a", &guilty);
        assert_eq!((&now["state"], &now["attempt"]), (&json!("running"), &json!(1)), "no attempt is spent");
        assert!(letters(admin).is_empty());
        server.kill();
        (server, admin) = Server::start(directory, RESTART_MAX);
    }
    let letter = until("it is put aside", || letters(admin).first().cloned());
    assert_eq!(letter["id"], json!(guilty));
    for (tenant, id) in &neighbours {
        until("the neighbour is done", || {
            let now = state(admin, tenant, id);
            assert_ne!(now["state"], json!("failed"), "{now}");
            (now["state"] == json!("done")).then_some(())
        });
    }
    // And it is so on disk.
    server.kill();
    (server, admin) = Server::start(directory, RESTART_MAX);
    assert_eq!(letters(admin).len(), 1, "{:?}", letters(admin));
    let shown = get(admin, &format!("/api/v1/dead/{guilty}"));
    assert_eq!(shown["letter"]["failure"]["code"], json!("FE2014"), "{shown}");
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.len(), CRASHES_MAX, "{shown}");
    assert!(history.iter().all(|run| run["failure"]["code"] == json!("FE2014")), "{shown}");
    let failed = state(admin, "a", &guilty);
    assert_eq!((&failed["state"], &failed["failure"]["code"]), (&json!("failed"), &json!("FE2014")));
    for tenant in ["a", "b"] {
        let sent = neighbours.iter().filter(|(of, _)| *of == tenant).count();
        assert_eq!(counter(admin, tenant, "read"), sent.to_string(), "{tenant}: once each");
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn an_orderly_end_is_no_crash_however_often() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    let (mut server, mut admin) = start(directory);
    let long = send(admin, "a", "long", "log info begun\nsleep 45000");
    for _ in 0..=CRASHES_MAX {
        until_it_says(admin, "begun");
        assert_eq!(state(admin, "a", &long)["attempt"], json!(1), "no attempt is spent");
        assert_eq!(server.terminate(), Some(0));
        (server, admin) = Server::start(directory, RESTART_MAX);
    }
    assert!(letters(admin).is_empty());
    // One crash now is the first: nothing of the ends before is held against it.
    until_it_says(admin, "begun");
    server.kill();
    let (mut server, admin) = Server::start(directory, RESTART_MAX);
    until_it_says(admin, "begun");
    assert!(letters(admin).is_empty());
    server.kill();
}
