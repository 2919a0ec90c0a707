//! The platform as its users meet it: real sockets, real components, a real store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod site;

use std::time::Duration;

use flyball_core::{Attributes, Body, EventId, Name, Span, TenantId};
use flyball_server::{
    gateway::GatewayLimits,
    platform::{DeadFilter, EventResult, NewEvent, Platform, SendAnswer},
};
use site::{Answer, Site, platform, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn script(text: &str) -> NewEvent {
    NewEvent {
        target: "work".into(),
        attributes: Attributes {
            kind: "test".into(),
            source: "/test".into(),
            subject: None,
            content_type: "text/plain".into(),
        },
        body: Body::from(text.as_bytes()),
        delay: Span::ZERO,
    }
}

fn acme(platform: &Platform) -> TenantId {
    platform.tenant_by_name("acme").unwrap().id
}

async fn send(platform: &Platform, text: &str, key: Option<&str>) -> (EventId, bool) {
    match platform.send(acme(platform), script(text), key).await {
        SendAnswer::Accepted { id, duplicate } => (id, duplicate),
        SendAnswer::Refused(refusal) => panic!("refused: {refusal}"),
    }
}

/// What an event with a key ended with, as text.
async fn result(platform: &Platform, id: EventId) -> String {
    until("a result", || match platform.result(acme(platform), id).unwrap() {
        EventResult::Done { response, .. } => Some(String::from_utf8_lossy(response.body()).into_owned()),
        EventResult::Failed { failure, .. } => Some(failure.to_string()),
        EventResult::Pending { .. } | EventResult::Unknown => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_needs_a_route_a_tenant_and_a_key() {
    let site = Site::open().await;
    let hello = site.ask("GET", "/hello", &[], "").await;
    assert_eq!((hello.status, hello.body.to_lowercase().contains("hello")), (200, true), "{hello:?}");
    assert!(hello.header("x-request-id").is_some());
    let bearer = format!("Bearer {}", site.key);
    assert_eq!(site.ask_without_key("GET", "/hello", &[("authorization", &bearer)], "").await.status, 200);
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let table: [Row<'_>; 8] = [
        ("GET", "/hello", &[], 401, "FE4003"),
        ("GET", "/hello", &[("x-api-key", "fb_acme_wrong")], 401, "FE4004"),
        ("GET", "/nowhere", &[], 404, "FE4001"),
        ("DELETE", "/t/acme/hello", &[], 405, "FE4002"),
        ("GET", "/t/nobody/hello", &[], 403, "FE4005"),
        ("GET", "/t/other/hello", &[("x-api-key", &site.key)], 403, "FE4006"),
        ("GET", "/_flyball/results/x", &[], 401, "FE4003"),
        ("GET", "/_flyball/results/x", &[("x-api-key", &site.key)], 404, "FE4013"),
    ];
    for (method, path, headers, status, code) in table {
        let answer = site.ask_without_key(method, path, headers, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path} {answer:?}");
    }
    assert_eq!(site.ask_without_key("GET", "/t/other/hello", &[], "").await.status, 200);
    assert_eq!(site.ask_without_key("HEAD", "/t/other/hello", &[], "").await.body, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_one_http_2_connection() {
    let site = Site::open().await;
    let stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let asks = (0..20).map(|n| {
        let request = http::Request::builder()
            .method("POST")
            .uri(format!("http://localhost/web/{n}"))
            .header("x-api-key", &site.key)
            .body(http_body_util::Full::new(bytes::Bytes::from(format!("body {n}"))))
            .unwrap();
        let mut sender = sender.clone();
        async move {
            let response = sender.send_request(request).await.unwrap();
            assert_eq!((response.version(), response.status().as_u16()), (http::Version::HTTP_2, 200));
            let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(body.contains(&format!("/web/{n}")) && body.ends_with(&format!("body {n}")), "{body}");
        }
    });
    let asks: Vec<_> = asks.map(tokio::spawn).collect();
    for ask in asks {
        ask.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_and_not_read() {
    let site = Site::open().await;
    let head = format!("POST /web/x HTTP/1.1\r\nhost: h\r\nx-api-key: {}\r\n", site.key);
    let announced = site.raw(format!("{head}content-length: 9999999999\r\n\r\n").as_bytes()).await;
    let announced = Answer::of(&announced);
    assert_eq!((announced.status, announced.code().as_str()), (413, "FE4007"), "{announced:?}");
    let error = &announced.json()["error"];
    assert_eq!((error["limit"].as_u64(), error["value"].as_u64()), (Some(65_536), Some(9_999_999_999)));
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}");
    let chunked = Answer::of(&site.raw(chunked.as_bytes()).await);
    assert_eq!((chunked.status, chunked.header("connection")), (413, Some("close")), "{chunked:?}");
    let fits = site.ask("POST", "/web/x", &[], &"x".repeat(60_000)).await;
    assert_eq!(fits.status, 200);
    let long = site.ask("GET", &format!("/web/{}", "x".repeat(9_000)), &[], "").await;
    assert_eq!((long.status, long.code().as_str()), (414, "FE4010"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_heads_and_slow_clients_end() {
    let limits = GatewayLimits {
        header_timeout: Duration::from_millis(150),
        body_timeout: Duration::from_millis(150),
        ..GatewayLimits::default()
    };
    let site = Site::with(limits, None).await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let bomb = site.raw(format!("GET /hello HTTP/1.1\r\nhost: h\r\n{many}\r\n").as_bytes()).await;
    assert!(bomb.starts_with("HTTP/1.1 431"), "{bomb}");
    let large = format!("GET /hello HTTP/1.1\r\nhost: h\r\nx-a: {}\r\n\r\n", "x".repeat(200_000));
    assert!(site.raw(large.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let slow = site.raw(b"GET /hello HTTP/1.1\r\nhost: h\r\nx-a:").await;
    assert!(slow.is_empty() || slow.starts_with("HTTP/1.1 408"), "{slow}");
    assert_eq!(site.raw(b"").await, "", "a client that says nothing is closed");
    assert_eq!(site.raw(b"PRI * HTTP/2").await, "", "and one that begins to speak HTTP/2 and stops");
    let head = format!("POST /web/x HTTP/1.1\r\nhost: h\r\nx-api-key: {}\r\n", site.key);
    let body = site.raw(format!("{head}content-length: 10\r\n\r\nfive.").as_bytes()).await;
    assert_eq!(Answer::of(&body).code(), "FE4008", "{body}");
    assert!(site.raw(b"\x16\x03\x01 not http").await.starts_with("HTTP/1.1 400"));
    assert_eq!(site.ask("GET", "/hello", &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_share_of_connections_and_bodies_their_share_of_memory() {
    let limits =
        GatewayLimits { connections_per_peer_max: 1, bodies_bytes_max: 8 << 10, ..GatewayLimits::default() };
    let site = Site::with(limits, None).await;
    let mut first = tokio::net::TcpStream::connect(site.address).await.unwrap();
    let head =
        format!("POST /web/x HTTP/1.1\r\nhost: h\r\nx-api-key: {}\r\ncontent-length: 9000\r\n\r\n", site.key);
    first.write_all(head.as_bytes()).await.unwrap();
    // The first is being served as soon as the second is one too many.
    let end = std::time::Instant::now() + Duration::from_secs(20);
    let second = loop {
        let answer = Answer::of(&site.raw(b"").await);
        if answer.status == 503 || std::time::Instant::now() > end {
            break answer;
        }
    };
    assert_eq!((second.status, second.code().as_str()), (503, "FE4012"), "{second:?}");
    first.write_all(&[b'x'; 9_000]).await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    let answer = Answer::of(&answer);
    assert_eq!((answer.status, answer.code().as_str()), (503, "FE4014"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_misbehaves_fails_alone_with_its_code() {
    let site = Site::open().await;
    let table = [
        ("trap", 502, "FE2003"),
        ("spin", 504, "FE2004"),
        ("allocate", 502, "FE2005"),
        ("no-response", 502, "FE2006"),
        ("big 1000000", 502, "FE2006"),
    ];
    let asks = table.map(|(command, status, code)| {
        let site = &site;
        async move {
            let answer = site.ask("GET", "/web/x", &[("x-do", command)], "").await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{command}: {answer:?}");
        }
    });
    let neighbour = async {
        // While others spin and allocate.
        for _ in 0..20 {
            assert_eq!(site.ask("GET", "/hello", &[], "").await.status, 200);
        }
    };
    let [trap, spin, allocate, none, big] = asks;
    tokio::join!(trap, spin, allocate, none, big, neighbour);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_replays_the_recorded_response() {
    let site = Site::open().await;
    let key = [("idempotency-key", "k1"), ("x-do", "increment counters n")];
    let first = site.ask("POST", "/web/count", &key, "a").await;
    let again = site.ask("POST", "/web/count", &key, "a").await;
    assert_eq!((first.status, again.status), (200, 200), "{first:?} {again:?}");
    assert_eq!(first.body, again.body);
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        (None, Some("true"))
    );
    let other = site.ask("POST", "/web/count", &key, "b").await;
    assert_eq!((other.status, other.code().as_str()), (422, "FE1004"));
    let fresh = site
        .ask("POST", "/web/count", &[("idempotency-key", "k2"), ("x-do", "increment counters n")], "a")
        .await;
    assert_ne!(fresh.body, first.body);
    let bad = site.ask("POST", "/web/count", &[("idempotency-key", "has space")], "").await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "FE1009"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asynchronous_request_is_accepted_and_its_response_fetched() {
    let site = Site::open().await;
    let accepted = site.ask("POST", "/later", &[("x-do", "status 418")], "x").await;
    assert_eq!(accepted.status, 202);
    let path = accepted.header("location").unwrap().to_string();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    let result = loop {
        let result = site.ask("GET", &path, &[], "").await;
        if result.status != 202 || std::time::Instant::now() > end {
            break result;
        }
    };
    assert_eq!((result.status, result.body.as_str()), (418, "status\n"));
    assert_eq!(result.header("flyball-result-retention-seconds"), Some("86400"));
    let (foreign, _) = site.platform.add_key(&Name::new("other").unwrap(), None).unwrap();
    let foreign = site.ask_without_key("GET", &path, &[("x-api-key", &foreign)], "").await;
    assert_eq!((foreign.status, foreign.code().as_str()), (404, "FE4013"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_runs_once_emits_and_is_traced() {
    let platform = platform(None).await;
    let text = "increment counters n\nemit work 2 0 increment counters n\nemit news 1 0 increment counters n";
    let (id, duplicate) = send(&platform, text, Some("once")).await;
    let (same, again) = send(&platform, text, Some("once")).await;
    assert_eq!((id, duplicate, again), (same, false, true));
    until("all done", || (platform.counts().done == 4).then_some(())).await;
    let (read, _) = send(&platform, "get counters n", Some("read")).await;
    assert_eq!(result(&platform, read).await, "4\n");
    let trace = platform.trace(id);
    assert_eq!(trace.len(), 4);
    assert!(trace.iter().all(|event| event.root == id && event.end.is_some()));
    assert_eq!(trace.iter().filter(|event| event.cause == Some(id)).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_denied_and_what_is_the_tenants_is_its_own() {
    let platform = platform(None).await;
    let text = "emit elsewhere 1 0 x\nget private k\nsecret other\nsecret token\nconfig COLOUR\ntenant";
    platform.tenants().set_secret(&Name::new("acme").unwrap(), "token", Some("s3cret".into())).unwrap();
    let (id, _) = send(&platform, text, Some("grants")).await;
    let said = result(&platform, id).await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("! denied: function script may not emit elsewhere"), "{said}");
    assert!(lines[1].contains("add `kv = { private = \"read\" }` to [function.script.grants]"), "{said}");
    assert!(lines[2].starts_with("! denied"), "{said}");
    assert_eq!(lines[3..], ["s3cret", "green", "acme"]);
    let (put, _) = send(&platform, "put large body", Some("put")).await;
    let reference = result(&platform, put).await;
    let (get, _) = send(&platform, &format!("blob {reference}"), Some("get")).await;
    assert_eq!(result(&platform, get).await, "large body\n");
    let other = platform.tenant_by_name("other").unwrap().id;
    let foreign = script(&format!("blob {reference}\nsecret token\nget counters n"));
    let SendAnswer::Accepted { id, .. } = platform.send(other, foreign, Some("get")).await else { panic!() };
    let said = until("its result", || match platform.result(other, id).unwrap() {
        EventResult::Done { response, .. } => Some(String::from_utf8_lossy(response.body()).into_owned()),
        _ => None,
    })
    .await;
    assert_eq!(said, "none\nnone\nnone\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_event_is_retried_buried_shown_and_redriven() {
    let platform = platform(None).await;
    send(&platform, "fail-until 3\nlog info made it", None).await;
    until("the third attempt", || (platform.counts().done == 1).then_some(())).await;
    assert_eq!(platform.counts().retried, 2);
    assert_eq!(platform.logs(acme(&platform), None, 0, 10).len(), 1);
    let (id, _) = send(&platform, "trap", None).await;
    until("it is dead", || (platform.counts().dead == 1).then_some(())).await;
    let shown = platform.dead_show(id).unwrap().unwrap();
    assert_eq!((shown.history.len(), &shown.body[..], shown.dead.event.attempt), (3, &b"trap"[..], 3));
    let dry = platform.redrive(&DeadFilter::default(), None, 10, true).await.unwrap();
    assert_eq!((dry.moved.as_slice(), platform.counts().dead), (&[id][..], 1));
    platform.redrive(&DeadFilter::default(), None, 10, false).await.unwrap();
    until("dead again", || (platform.counts().dead == 1 && platform.counts().retried == 6).then_some(()))
        .await;
    assert_eq!(platform.dead_show(id).unwrap().unwrap().history.len(), 6);
    let gone = platform.discard(&DeadFilter { id: Some(id), ..DeadFilter::default() }, None, 10, false).await;
    assert_eq!(gone.unwrap().moved, [id]);
    assert!(platform.dead_show(id).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let one = platform(Some(path.clone())).await;
    let mut promised = Vec::new();
    for n in 0..40 {
        promised.push(send(&one, "sleep 2\nincrement counters n", Some(&format!("k{n}"))).await.0);
    }
    // Some have run, some run now, some wait. No drain: this is a crash as far as the store can tell.
    one.close();
    drop(one);
    let two = until_open(site::APPLICATION, path).await;
    for id in &promised {
        result(&two, *id).await;
    }
    let (read, _) = send(&two, "get counters n", Some("read")).await;
    assert_eq!(result(&two, read).await, "40\n");
    for (n, id) in promised.into_iter().enumerate() {
        let again = send(&two, "sleep 2\nincrement counters n", Some(&format!("k{n}"))).await;
        assert_eq!(again, (id, true));
    }
}

/// The store's lock is free as soon as the last run of the old platform has let go of it.
async fn until_open(application: &str, path: std::path::PathBuf) -> std::sync::Arc<Platform> {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while std::fs::File::open(path.join("lock")).is_ok_and(|file| file.try_lock().is_err()) {
        assert!(std::time::Instant::now() < end, "the store is still open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    site::platform_of(application, Some(path)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_a_queue_that_is_no_longer_declared_is_dead_until_it_is_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let one = platform(Some(path.clone())).await;
    let mut waiting = Vec::new();
    for target in ["spare", "work"] {
        let later = NewEvent {
            target: target.into(),
            delay: Span::from_secs(600),
            ..script("increment counters spare")
        };
        let SendAnswer::Accepted { id, .. } = one.send(acme(&one), later, None).await else { panic!() };
        waiting.push(id);
    }
    one.close();
    drop(one);
    let without = site::APPLICATION.replace("[queue.spare]\nfunction = \"script\"\n", "");
    let two = until_open(&without, path.clone()).await;
    until("it is dead", || (two.counts().dead == 1).then_some(())).await;
    assert!(two.dead_show(waiting[1]).unwrap().is_none(), "the other one waits on");
    let shown = two.dead_show(waiting[0]).unwrap().unwrap();
    assert_eq!(shown.dead.failure.kind.code(), "FE2013");
    let message = &shown.dead.failure.message;
    assert_eq!(message, "its queue spare is no longer declared; declare it and redrive");
    let chosen = DeadFilter { id: Some(waiting[0]), ..DeadFilter::default() };
    let refused = two.redrive(&chosen, None, 10, false).await.unwrap();
    assert_eq!(refused.refused[0].1.code(), "FE1007", "to no other queue: {refused:?}");
    assert!(refused.moved.is_empty() && two.dead_show(waiting[0]).unwrap().is_some());
    two.close();
    drop(two);
    // So with an application that has no queue at all.
    let bare = "[application]\nname = \"site\"\n[function.hello]\ncomponent = \"http-hello.wasm\"\n";
    let bare = until_open(bare, path.clone()).await;
    until("both are dead", || (bare.counts().dead == 2).then_some(())).await;
    bare.close();
    drop(bare);
    let three = until_open(site::APPLICATION, path).await;
    let moved = three.redrive(&chosen, None, 10, false).await.unwrap();
    assert_eq!(moved.moved, [waiting[0]]);
    until("it is done", || (three.counts().done == 1).then_some(())).await;
    let (read, _) = send(&three, "get counters spare", Some("read")).await;
    assert_eq!(result(&three, read).await, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_what_runs_end() {
    let mut site = Site::open().await;
    let slow = async { site.ask("GET", "/web/x", &[("x-do", "sleep 300")], "").await };
    let platform = site.platform.clone();
    let running = until("it runs", || (platform.counts().invocations == 1).then_some(()));
    let ask = {
        let (answer, ()) = tokio::join!(slow, async {
            running.await;
            platform.drain(Duration::from_secs(10)).await;
        });
        answer
    };
    assert_eq!((ask.status, ask.body.as_str()), (200, "slept\n"));
    let refused = site.ask("GET", "/hello", &[], "").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "FE1010"));
    site.stopping();
    site.stop().await;
}
