//! Runs of guests: fresh instances, failures, limits, deadlines, grants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

use flyball_core::{FailureKind, invocation::LogLevel};
use flyball_host::Allocation;

use world::{LONG, World, events, failure, may_use, verdicts};

#[expect(dead_code, reason = "shared with the other tests")]
mod world;

const SHORT: Duration = Duration::from_millis(60);

#[test]
fn every_run_has_a_fresh_instance_and_a_batch_has_one() {
    let world = World::new(1);
    assert!(matches!(world.host.allocation(), Allocation::Pool { .. }));
    let script = world.load("script");
    for _ in 0..3 {
        let finished = world.events(&script, &["handled", "handled"], LONG);
        assert_eq!(verdicts(&finished), [Ok("1".into()), Ok("2".into())]);
        assert!(finished.outcome.usage.memory_bytes_peak >= 64 << 10);
        assert!(finished.outcome.usage.busy.0 > 0);
    }
}

#[test]
fn a_trap_fails_its_event_and_the_rest_go_on_in_a_fresh_instance() {
    let world = World::new(1);
    let script = world.load("script");
    let finished =
        world.events(&script, &["handled", "trap", "handled", "retry later", "permanent no"], LONG);
    let verdicts = verdicts(&finished);
    assert_eq!(verdicts[0], Ok("1".into()));
    let (kind, message) = verdicts[1].clone().unwrap_err();
    assert_eq!(kind, FailureKind::Trap);
    assert!(message.contains("unreachable"), "{message}");
    assert_eq!(verdicts[2], Ok("1".into()));
    assert_eq!(verdicts[3], Err((FailureKind::Retry, "later".into())));
    assert_eq!(verdicts[4], Err((FailureKind::Permanent, "no".into())));
}

#[test]
fn a_run_that_waited_leaves_nothing_behind() {
    let world = World::new(1);
    let script = world.load("script");
    for _ in 0..20 {
        assert!(world.events(&script, &["sleep 1"], LONG).outcome.results[0].verdict.is_ok());
        drop(world.start(&script, 1, events(1, &["sleep 1000"]), LONG));
    }
    world.host.close();
    world.host.join();
    assert_eq!(std::sync::Arc::strong_count(&world.backend), 1, "runs that are over hold the backend");
}

#[test]
fn running_out_of_stack_is_a_trap() {
    let world = World::new(1);
    let script = world.load("script");
    assert_eq!(failure(&world.events(&script, &["recurse"], LONG)).0, FailureKind::Trap);
    assert_eq!(verdicts(&world.events(&script, &["print on"], LONG)), [Ok("on".into())]);
}

#[test]
fn a_busy_loop_is_stopped_while_a_neighbour_on_the_same_thread_goes_on() {
    let world = World::new(1);
    let script = world.load("script");
    let spinning = world.start(&script, 1, events(1, &["spin", "print never"]), LONG);
    let stopper = spinning.stopper.clone();
    // One thread: the neighbour can only end because the loop gives way.
    let neighbour = world.io.block_on(world.start(&script, 2, events(2, &["print through"]), LONG));
    assert_eq!(verdicts(&neighbour), [Ok("through".into())]);
    stopper.stop();
    let kinds: Vec<_> =
        verdicts(&world.io.block_on(spinning)).into_iter().map(|verdict| verdict.unwrap_err().0).collect();
    assert_eq!(kinds, [FailureKind::NotRun, FailureKind::NotRun]);

    let late = verdicts(&world.events(&script, &["print done", "spin", "print never"], SHORT));
    assert_eq!(late[0], Ok("done".into()));
    let (kind, message) = late[1].clone().unwrap_err();
    assert_eq!(kind, FailureKind::Timeout);
    assert!(message.contains("deadline"), "{message}");
    assert_eq!(late[2].clone().unwrap_err().0, FailureKind::NotRun);
}

#[test]
fn the_deadline_holds_in_a_host_call_too() {
    let world = World::new(1);
    let script = world.load("script");
    let finished = world.events(&script, &["sleep 3600000"], SHORT);
    assert_eq!(failure(&finished).0, FailureKind::Timeout);
    let usage = finished.outcome.usage;
    assert!(usage.waiting > usage.busy, "{usage:?}");
}

#[test]
fn more_memory_than_the_limit_is_out_of_memory_with_both_numbers() {
    let world = World::new(1);
    let script = world.load("script");
    let finished = world.events(&script, &["allocate", "print on"], LONG);
    let (kind, message) = failure(&finished);
    assert_eq!(kind, FailureKind::OutOfMemory);
    assert!(message.contains("memory_bytes_max is 16777216"), "{message}");
    assert_eq!(verdicts(&finished)[1], Ok("on".into()));
    let peak = finished.outcome.usage.memory_bytes_peak;
    assert!(peak > 8 << 20 && peak <= world::MEMORY_BYTES_MAX, "{peak}");
}

#[test]
fn nothing_is_granted_by_default_and_the_refusal_names_the_grant() {
    let world = World::new(1);
    let script = world.load("script");
    let calls = "get things a\nset things a b\nemit jobs 1 0 x\nput x\nsecret token\nconfig colour\ntenant";
    let answer = verdicts(&world.events(&script, &[calls], LONG)).remove(0).unwrap();
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(lines.len(), 7, "{answer}");
    assert!(lines[..5].iter().all(|line| line.starts_with("! denied:")), "{answer}");
    assert!(lines[0].contains("things") && lines[2].contains("emit = [\"jobs\"]"), "{answer}");
    assert_eq!(lines[5..], ["green", "acme"]);
}

#[test]
fn granted_data_is_read_from_the_backend_and_written_with_the_outcome() {
    let mut world = World::new(1);
    world.grants = may_use("things");
    world.backend.values.lock().unwrap().insert((1, "count".into()), b"41".to_vec());
    let script = world.load("script");
    let finished = world.events(&script, &["increment things count", "increment things count\ntrap"], LONG);
    assert_eq!(verdicts(&finished)[0], Ok("42".into()));
    // The second one's write went with its failure.
    let writes = finished.outcome.writes;
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].value.as_deref(), Some(b"42".as_slice()));
}

#[test]
fn output_becomes_log_lines() {
    let world = World::new(1);
    let script = world.load("script");
    world.events(&script, &["stdout one\nlog error two\nstdout three"], LONG);
    let lines = world.backend.lines.lock().unwrap().clone();
    let expected = [(LogLevel::Info, "one"), (LogLevel::Error, "two"), (LogLevel::Info, "three")];
    assert_eq!(lines, expected.map(|(level, line)| (level, line.to_string())));
}

#[test]
fn a_closed_host_ends_what_runs_and_takes_no_more() {
    let world = World::new(2);
    let script = world.load("script");
    let running = world.start(&script, 1, events(1, &["work 1000000\nprint end"]), LONG);
    world.host.close();
    let refused = world.events(&script, &["print never"], LONG);
    assert_eq!(failure(&refused).0, FailureKind::NotRun);
    world.host.join();
    assert!(verdicts(&world.io.block_on(running))[0].is_ok());
}

#[test]
fn http_is_answered_and_bad_answers_are_named() {
    let world = World::new(1);
    let http = world.load("script-http");
    let answered = world.request(&http, "status 418", LONG);
    let response = answered.response.unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(response.body().as_ref(), b"status\n");
    assert!(answered.outcome.results[0].verdict.is_ok());

    let echo = world.request(&http, "echo", LONG).response.unwrap();
    let echoed = String::from_utf8_lossy(echo.body()).into_owned();
    assert!(echoed.contains("/a/b?c=d") && echoed.contains("hello"), "{echoed}");

    for (x_do, kind, text) in [
        ("big 1000000", FailureKind::InvalidResponse, "response_bytes_max is 65536"),
        ("no-response", FailureKind::InvalidResponse, "without setting a response"),
        ("unfinished", FailureKind::InvalidResponse, "broken off"),
        ("trap", FailureKind::Trap, "unreachable"),
        ("allocate", FailureKind::OutOfMemory, "memory_bytes_max"),
    ] {
        let finished = world.request(&http, x_do, LONG);
        let (found, message) = failure(&finished);
        assert_eq!(found, kind, "{x_do}: {message}");
        assert!(message.contains(text), "{x_do}: {message}");
        assert!(finished.response.is_none());
    }
    assert_eq!(failure(&world.request(&http, "spin", SHORT)).0, FailureKind::Timeout);
}

#[test]
fn a_plain_wasi_http_component_runs_unmodified() {
    let world = World::new(1);
    let hello = world.load("http-hello");
    assert!(hello.answers_http() && !hello.handles_events());
    assert_eq!(world.request(&hello, "", LONG).response.unwrap().status(), 200);
}

#[test]
fn requests_go_out_where_granted_with_a_derived_key() {
    let mut world = World::new(1);
    let fetch = world.load("fetch");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = format!("GET http://{address}/x");

    let (kind, message) = failure(&world.events(&fetch, &[&script], LONG));
    assert_eq!(kind, FailureKind::Permanent, "{message}");
    let (level, line) = world.backend.lines.lock().unwrap().pop().unwrap();
    assert_eq!(level, LogLevel::Error);
    assert!(line.contains("the grant is missing") && line.contains("127.0.0.1"), "{line}");

    world.grants.http = BTreeSet::from([address.to_string().parse().unwrap()]);
    let server = std::thread::spawn(move || {
        let mut head = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi").unwrap();
        String::from_utf8(head).unwrap()
    });
    let answered = verdicts(&world.events(&fetch, &[&script], LONG));
    let head = server.join().unwrap();
    assert_eq!(answered, [Ok("200\nhi".into())]);
    let key = head.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap();
    assert_eq!(key.len(), 32, "{head}");
}
