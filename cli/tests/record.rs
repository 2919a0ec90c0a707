//! `serve --record` and `simulate --replay` with the real binary under load: what was recorded replays
//! exactly, after SIGTERM and after SIGKILL; what is no log, cut off or changed is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod process;

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
};

use process::{Dice, FIRST_START_MAX, RESTART_MAX, Server, ask, get, until};
use serde_json::{Value, json};

fn application(attempts_max: u32) -> String {
    let guests = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/dist");
    format!(
        r#"
[application]
name = "recorded"

[limits]
concurrency = {{ cap = 4 }}

[tenant.a]
[tenant.b]

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
attempts_max = {attempts_max}
retry = {{ base = "5ms", max = "10ms" }}

[topic.news]
subscribers = [{{ queue = "work" }}]
"#
    )
}

const SCRIPTS: [&str; 5] = [
    "must increment counters n",
    "must increment counters n\nmust emit work 1 0 must increment counters m",
    "must emit news 1 0 must increment counters m",
    "must increment counters n\nfail-until 9",
    "sleep 5\nmust increment counters n",
];

/// Sends events and calls from four clients until it is told to stop; answers how many were accepted.
fn load(admin: SocketAddr, enough: &AtomicBool, accepted: &AtomicU64) {
    thread::scope(|scope| {
        for client in 0..4_u64 {
            scope.spawn(move || {
                let mut dice = Dice(client);
                while !enough.load(SeqCst) {
                    let tenant = ["a", "b"][usize::try_from(dice.below(2)).unwrap()];
                    let answer = if dice.below(4) == 0 {
                        let call = json!({ "tenant": tenant, "headers": { "x-do": "increment counters c" } });
                        ask(admin, "POST", "/api/v1/functions/web/invoke", &call.to_string())
                    } else {
                        let script = SCRIPTS[usize::try_from(dice.below(SCRIPTS.len() as u64)).unwrap()];
                        let mut event = json!({ "tenant": tenant, "target": "work", "type": "t" });
                        event["data"] = json!({ "text": script });
                        if dice.below(2) == 0 {
                            // Some keys come twice.
                            event["key"] = json!(format!("{client}-{}", dice.below(50)));
                        }
                        ask(admin, "POST", "/api/v1/events", &event.to_string())
                    };
                    if answer.is_some_and(|(status, _)| status < 300) {
                        accepted.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
}

/// Puts load on a server until this many requests were accepted, then does something to it.
fn under_load(admin: SocketAddr, requests: u64, then: impl FnOnce()) {
    let (enough, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| load(admin, &enough, &accepted));
        let more = || (accepted.load(SeqCst) >= requests).then_some(());
        until("there was enough load", more);
        then();
        enough.store(true, SeqCst);
    });
}

fn replay(directory: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flyball"));
    command.current_dir(directory).args(["simulate", "--replay"]).args(more).output().unwrap()
}

fn said(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn what_serve_recorded_replays_exactly_after_its_end_and_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("flyball.toml"), application(3)).unwrap();

    // Ended in good order, with work still waiting.
    let first = path.join("first.log").display().to_string();
    let (mut server, admin) = Server::start_with(path, &["--record", &first], FIRST_START_MAX);
    let mut status = Value::Null;
    under_load(admin, 300, || {
        status = get(admin, "/api/v1/status");
        assert_eq!(server.terminate(), Some(0));
    });
    assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
    let output = replay(path, &[&first, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let exact = said(&output);
    assert_eq!(
        (&exact["result"], &exact["complete"], &exact["engines"]),
        (&json!("exact"), &json!(true), &json!(1))
    );
    assert_eq!(exact["build"], exact["this_build"]);
    let at_least = |what: &str| {
        let (seen, then) =
            (exact["counts"][what].as_u64().unwrap(), status["counts"][what].as_u64().unwrap());
        assert!(seen >= then && seen > 0, "{what}: {seen}, {then}");
    };
    ["accepted", "done", "calls", "retried"].into_iter().for_each(at_least);
    // The same bytes twice.
    assert_eq!(replay(path, &[&first, "--format", "json"]).stdout, output.stdout);

    // Killed under load, on the data that is there.
    let second = path.join("second.log").display().to_string();
    let (mut server, admin) = Server::start_with(path, &["--record", &second], RESTART_MAX);
    under_load(admin, 300, || server.kill());
    let output = replay(path, &[&second, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let cut = said(&output);
    assert_eq!((&cut["result"], &cut["complete"]), (&json!("exact"), &json!(false)));
    assert!(cut["steps"].as_u64().unwrap() > 1_000, "{cut}");
    assert!(cut["note"].as_str().unwrap().starts_with("was cut off"), "{cut}");

    // And once more: what the crash left behind is restored, and replayed.
    let third = path.join("third.log").display().to_string();
    let (mut server, _) = Server::start_with(path, &["--record", &third], RESTART_MAX);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(replay(path, &[&third]).status.code(), Some(0));

    // A log is not written over by chance.
    let taken = Server::command(path).args(["--record", &third]).output().unwrap();
    assert_eq!(taken.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&taken.stderr).contains("--force"), "{taken:?}");
    let before = std::fs::read(&third).unwrap();
    let (mut server, _) = Server::start_with(path, &["--record", &third, "--force"], RESTART_MAX);
    assert_eq!(server.terminate(), Some(0));
    assert_ne!(std::fs::read(&third).unwrap(), before);

    changed(path, &first, &exact);
    under_another_application(path, &first, &exact);
}

/// Dead letters after one attempt in the place of three: more of them, and the recorded counts beside.
fn under_another_application(path: &Path, log: &str, exact: &Value) {
    std::fs::write(path.join("other.toml"), application(1)).unwrap();
    let output = replay(path, &[log, "--application", "other.toml", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = said(&output);
    assert_eq!((&told["result"], &told["recorded"]["counts"]), (&json!("what-if"), &exact["counts"]));
    let (recorded, estimate) = (&told["recorded"]["counts"], &told["estimate"]["counts"]);
    assert!(estimate["dead"].as_u64() > recorded["dead"].as_u64(), "{told}");
    assert_eq!(estimate["retried"], json!(0));
    let output = replay(path, &[log, "--application", "other.toml"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("a what-if, an estimate and no replay") && text.contains("Assumed:"), "{text}");
    let output = replay(path, &[log, "--application", "missing.toml"]);
    assert_eq!(output.status.code(), Some(2));
}

/// Changed and cut logs, and what is none.
fn changed(path: &Path, log: &str, exact: &Value) {
    let bytes = std::fs::read(log).unwrap();
    let wrong = path.join("wrong.log");
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    std::fs::write(&wrong, damaged).unwrap();
    let output = replay(path, &["wrong.log", "--format", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let told = said(&output);
    assert_eq!((&told["result"], &told["error"]["code"]), (&json!("unreadable"), &json!("FE6003")));
    assert!(told["steps"].as_u64().unwrap() > 0 && told["steps"].as_u64() < exact["steps"].as_u64());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("error[FE6003]: wrong.log: the log is damaged at byte "), "{error}");
    assert!(error.contains("steps before it were replayed"), "{error}");

    std::fs::write(&wrong, &bytes[..bytes.len() - 30]).unwrap();
    let output = replay(path, &["wrong.log"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("replayed wrong.log: exact\n") && text.contains("was cut off"), "{text}");

    for (name, code) in [("flyball.toml", "FE6001"), ("nothing", "FE6001")] {
        std::fs::write(path.join("nothing"), "").unwrap();
        let output = replay(path, &[name]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with(&format!("error[{code}]")), "{output:?}");
    }
    assert_eq!(replay(path, &["missing"]).status.code(), Some(2));
}
