//! `init`, `serve` and the verbs of the admin API, on the real binary.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod flyball;

use std::{fs, path::Path};

use flyball::{Served, run, text};

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/dist");

fn new_application() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let made = run(directory.path(), &["init"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    directory
}

fn refused(directory: &Path, expected: &[&str]) {
    let output = run(directory, &["serve", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn a_new_application_is_served_at_once_and_drains() {
    let directory = new_application();
    let served = Served::start(directory.path());
    let answer = served.request("GET /hello HTTP/1.1\r\nx-tenant: demo");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = served.request("GET /hello HTTP/1.1\r\nx-tenant: nobody");
    assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn an_end_that_does_not_wait_for_a_sleeping_guest_says_so_and_nothing_worse() {
    let directory = tempfile::tempdir().unwrap();
    let file = "[application]\nname = \"a\"\n[function.f]\ncomponent = \"script-http.wasm\"\ntimeout = \"600s\"\n\
                [tenant.demo]\n[[route]]\npath = \"/\"\nfunction = \"f\"\ntenant = { header = \"x-tenant\" }\n";
    fs::write(directory.path().join("flyball.toml"), file).unwrap();
    fs::copy(Path::new(GUESTS).join("script-http.wasm"), directory.path().join("script-http.wasm")).unwrap();
    let said = directory.path().join("said.txt");
    let served = Served::start_with(directory.path(), &["--grace", "0s"], fs::File::create(&said).unwrap());
    let ask = "GET / HTTP/1.1\r\nx-tenant: demo\r\nx-do: sleep 600000";
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| served.request(ask));
        while !served.metrics().contains("\nflyball_invocations_running 1") {
            std::thread::yield_now();
        }
        served.signal();
        asked.join().unwrap()
    });
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(served.wait(), Some(0));
    let said = fs::read_to_string(said).unwrap();
    assert!(said.contains("not all work ended in time") && !said.contains("panicked"), "{said}");
}

#[test]
fn init_touches_nothing_that_is_there() {
    let directory = new_application();
    let file = directory.path().join("flyball.toml");
    fs::write(&file, "mine").unwrap();
    fs::remove_file(directory.path().join("hello.wasm")).unwrap();
    let again = run(directory.path(), &["init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(!directory.path().join("hello.wasm").exists());
}

#[test]
fn everything_that_is_wrong_with_a_file_is_said_at_once() {
    let directory = tempfile::tempdir().unwrap();
    refused(directory.path(), &["flyball.toml can't be read", "flyball init"]);
    let file = "[application]\nname = \"a\"\ncolour = 1\n[function.f]\ncomponent = \"gone.wasm\"\n";
    fs::write(directory.path().join("flyball.toml"), file).unwrap();
    refused(
        directory.path(),
        &["error[FE3002]", "flyball.toml:3:", "error[FE3009]", "flyball.toml:5:", "2 errors"],
    );
}

/// One mistake of each kind, a component of another world among them.
const WRONG: &str = r#"
[application]
name = "a"
colour = 1

[tenant.acme]

[function.f]
component = "hello.wasm"
timout = "5s"
memory = 7.5
grants.emit = ["wrok"]

[function.gone]
component = "gone.wasm"
timeout = "soon"

[function.add]
component = "wrong-world.wasm"

[queue.work]
function = "g"
batch_max = 0

[topic.work]
subscribers = [{ queue = "work" }]

[[route]]
path = "/hello"
function = "f"

[[route]]
path = "/hello"
function = "f"
"#;

#[test]
fn mistakes_of_every_kind_are_said_at_once_with_line_and_suggestion() {
    let directory = new_application();
    fs::copy(format!("{GUESTS}/wrong-world.wasm"), directory.path().join("wrong-world.wasm")).unwrap();
    fs::write(directory.path().join("flyball.toml"), WRONG).unwrap();
    let line = |text: &str| {
        let number = WRONG.lines().position(|line| line == text).unwrap() + 1;
        format!("flyball.toml:{number}:")
    };
    refused(
        directory.path(),
        &[
            "error[FE3002]: there is no key \"colour\" here",
            &line("colour = 1"),
            "error[FE3002]: there is no key \"timout\" here",
            &line("timout = \"5s\""),
            "did you mean timeout?",
            "error[FE3003]",
            &line("memory = 7.5"),
            "error[FE3007]: function f is granted to emit to wrok",
            &line("grants.emit = [\"wrok\"]"),
            "did you mean work?",
            "error[FE3009]",
            &line("component = \"gone.wasm\""),
            "error[FE3004]: \"soon\" is no duration",
            &line("timeout = \"soon\""),
            "error[FE3007]: there is no function g",
            &line("function = \"g\""),
            &line("batch_max = 0"),
            "error[FE3006]",
            &line("[topic.work]"),
        ],
    );
    // Nothing was begun: no data directory is there.
    assert!(!directory.path().join(".flyball").exists());
    // When the file is right but for its components, all of those are said at once too.
    let components = "[application]\nname = \"a\"\n[function.f]\ncomponent = \"wrong-world.wasm\"\n\
                      [function.g]\ncomponent = \"none.wasm\"\n";
    fs::write(directory.path().join("flyball.toml"), components).unwrap();
    fs::write(directory.path().join("none.wasm"), "no component").unwrap();
    refused(directory.path(), &["error[FE3010]", "flyball.toml:4:", "flyball.toml:6:", "2 errors"]);
}

#[test]
fn a_component_of_another_world_is_refused_where_it_is_named() {
    let directory = new_application();
    fs::copy(format!("{GUESTS}/wrong-world.wasm"), directory.path().join("hello.wasm")).unwrap();
    refused(directory.path(), &["error[FE3010]", "hello.wasm", "flyball.toml:"]);
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let directory = new_application();
    let served = Served::start(directory.path());
    refused(directory.path(), &[".flyball"]);
    let answer = served.request("GET /hello HTTP/1.1\r\nx-tenant: demo");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn the_verbs_ask_a_running_server() {
    let directory = new_application();
    let served = Served::start(directory.path());
    let ask = |arguments: &[&str]| {
        let admin = ["--admin", served.admin.as_str()];
        let output = run(directory.path(), &[arguments, &admin].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, error) = ask(&["tenants", "create", "acme", "--format", "json"]);
    assert_eq!(code, Some(0), "{error}");
    let made: serde_json::Value = serde_json::from_str(&out).unwrap();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("fb_"), "{key}");

    let (code, _, error) = ask(&["tenants", "create", "acme"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("error[FE") && error.contains("acme"), "{error}");

    let (code, out, error) = ask(&["invoke", "hello", "--tenant", "acme", "--path", "/hello"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(!out.is_empty() && error.starts_with("200"), "{out}{error}");

    assert_eq!(ask(&["tenants", "secret", "set", "acme", "token", "s3cret"]).0, Some(0));
    let (code, out, _) = ask(&["tenants", "show", "acme"]);
    assert!(code == Some(0) && out.contains("secret token") && !out.contains("s3cret"), "{out}");
    for verb in [&["limits"][..], &["status"], &["tenants", "list"], &["dead", "list"]] {
        let (code, out, error) = ask(verb);
        assert!(code == Some(0) && !out.is_empty(), "{verb:?}: {error}");
        assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    }
    let (code, _, error) = ask(&["dead", "redrive"]);
    assert!(code == Some(2) && error.contains("--all"), "{error}");
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn a_server_that_does_not_run_is_said_with_how_to_start_one() {
    let directory = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(directory.path(), &["status", "--admin", &format!("http://127.0.0.1:{port}")]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("can't be reached") && said.contains("flyball serve"), "{said}");
}
