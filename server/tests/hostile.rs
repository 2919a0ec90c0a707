//! What no client of good will sends, byte by byte over a socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

#[expect(dead_code, reason = "shared with the other tests")]
mod site;

use site::{Answer, Site};

/// How many answers are in what came back.
fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_could_read_otherwise_is_refused_or_ends_the_connection() {
    let site = Site::open().await;
    let key = format!("x-api-key: {}\r\n", site.key);
    // One that is hidden in what another reader takes for the body of the first.
    let hidden = format!("GET /web/hidden HTTP/1.1\r\nhost: h\r\n{key}\r\n");
    let post = format!("POST /web/x HTTP/1.1\r\nhost: h\r\n{key}");
    let both = |first: &str, second: &str| format!("{post}{first}\r\n{second}\r\n\r\n0\r\n\r\n{hidden}");
    let (length, chunked) = ("content-length: 5", "transfer-encoding: chunked");
    for (request, status) in [
        (both(length, chunked), 200),
        (both(chunked, length), 200),
        (format!("{post}{length}\r\ncontent-length: 6\r\n\r\nhello{hidden}"), 400),
        (format!("{post}content-length: +5\r\n\r\nhello{hidden}"), 400),
        (format!("{post}content-length: 5, 6\r\n\r\nhello{hidden}"), 400),
        (format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"), 400),
        (format!("{post}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"), 400),
        (format!("{post}x-a: 1\r\n folded: 2\r\n\r\n{hidden}"), 400),
        (format!("{post}content-length : 5\r\n\r\nhello{hidden}"), 400),
        (format!("{post}x-a: a\rb\r\n\r\n{hidden}"), 400),
        (format!("{post}x-a: a\0b\r\n\r\n{hidden}"), 400),
        (format!("{post}host: h\r\n\r\n{hidden}"), 400),
        (format!("GET http://other/web/x HTTP/1.1\r\nhost: h\r\n{key}connection: close\r\n\r\n"), 400),
    ] {
        let text = site.raw(format!("{request}{hidden}").as_bytes()).await;
        let first = Answer::of(&text);
        assert_eq!(first.status, status, "{request:?}\n{text}");
        assert!(answers(&text) == 1, "a hidden request was answered: {request:?}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_makes_a_request_another_tenants() {
    let site = Site::open().await;
    let name = flyball_core::Name::new("other").unwrap();
    let (foreign, _) = site.platform.add_key(&name, None).unwrap();
    let spoofs = [
        ("x-flyball-tenant", "other"),
        ("x_flyball_tenant", "other"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("connection", "x-flyball-tenant, x-forwarded-for"),
    ];
    let seen = site.ask("GET", "/web/x", &spoofs, "").await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(seen.body.contains("x-flyball-tenant: acme\n"), "{}", seen.body);
    assert!(seen.body.contains("x-forwarded-for: 127.0.0.1\n"), "{}", seen.body);
    assert!(!seen.body.contains("6.6.6.6") && !seen.body.contains(&site.key), "{}", seen.body);
    assert_eq!(seen.body.matches("tenant: ").count(), 1, "{}", seen.body);
    let bearer = format!("Bearer {foreign}");
    for second in [("x-api-key", foreign.as_str()), ("authorization", bearer.as_str())] {
        let two = site.ask("GET", "/web/x", &[second], "").await;
        assert_eq!((two.status, two.code().as_str()), (400, "FE4011"), "{two:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_named_once_exactly_and_not_against_a_key() {
    let site = Site::open().await;
    let name = flyball_core::Name::new("other").unwrap();
    let (foreign, _) = site.platform.add_key(&name, None).unwrap();
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let table: [Row<'_>; 11] = [
        ("/by-header", &[("x-tenant", "acme")], 200, ""),
        ("/by-header", &[], 403, "FE4005"),
        ("/by-header", &[("x-tenant", "")], 403, "FE4005"),
        ("/by-header", &[("x-tenant", "acme, other")], 403, "FE4005"),
        ("/by-header", &[("x-tenant", "ACME")], 403, "FE4005"),
        ("/by-header", &[("x_tenant", "acme")], 403, "FE4005"),
        ("/by-header", &[("x-tenant", "acme"), ("x-tenant", "other")], 400, "FE4011"),
        ("/by-header", &[("x-tenant", "acme"), ("x-tenant", "acme")], 400, "FE4011"),
        ("/by-header", &[("x-tenant", "acme"), ("x-api-key", &foreign)], 403, "FE4006"),
        ("/by-header", &[("x-tenant", "acme"), ("x-api-key", "fb_acme_wrong")], 401, "FE4004"),
        ("/by-header?x-tenant=other", &[("x-tenant", "acme")], 200, ""),
    ];
    for (path, headers, status, code) in table {
        let answer = site.ask_without_key("GET", path, headers, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers:?} {answer:?}");
        assert!(status != 200 || answer.body.contains("x-flyball-tenant: acme\n"), "{answer:?}");
    }
    for (target, host, status) in [
        ("/by-host", "acme.example.com", 200),
        ("/by-host", "acme.example.com:80", 200),
        ("http://acme.example.com/by-host", "acme.example.com", 200),
        ("http://other.example.com/by-host", "acme.example.com", 400),
        ("/by-host", "acme", 403),
        ("/by-host", ".acme.example.com", 403),
        ("/by-host", "nobody.acme.example.com", 403),
        ("/by-host", "acme.example.com@other.example.com", 400),
        ("/by-host", "acme.example.com, other.example.com", 400),
        ("/by-host", "[acme].example.com", 403),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = Answer::of(&site.raw(request.as_bytes()).await);
        assert_eq!(answer.status, status, "{target} {host} {answer:?}");
        assert!(status != 200 || answer.body.contains("x-flyball-tenant: acme\n"), "{answer:?}");
    }
    // One that is disabled is nobody, by key or by name.
    site.platform.set_tenant_enabled(&name, false).unwrap();
    let by_key = site.ask_without_key("GET", "/web/x", &[("x-api-key", &foreign)], "").await;
    let by_name = site.ask_without_key("GET", "/t/other/hello", &[], "").await;
    for answer in [by_key, by_name] {
        assert_eq!((answer.status, answer.code().as_str()), (403, "FE4005"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_id_of_a_result_leads_anywhere_but_to_a_result() {
    let site = Site::open().await;
    let long = "0".repeat(4_000);
    for id in ["", "..", "../results", "%2e%2e", "%00", "0", "00000000000000000000000000000000/x", &long] {
        let answer = site.ask("GET", &format!("/_flyball/results/{id}"), &[], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "FE4013"), "{id} {answer:?}");
        assert!(answer.body.len() < 1_000, "an answer does not grow with the request");
    }
    let posted = site.ask("POST", "/_flyball/results/x", &[], "").await;
    assert_eq!((posted.status, posted.code().as_str()), (405, "FE4002"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tricks_with_paths_lead_nowhere_else() {
    let site = Site::open().await;
    for (path, status) in [
        ("/t/%2e%2e/hello", 403),
        ("/t/acme%2fhello", 404),
        ("/t/acme%00/hello", 403),
        ("/t/acme/../other/hello", 404),
        ("/t/%ff/hello", 404),
        ("/t/acme/hello/", 404),
        ("//t/acme/hello", 404),
        ("/t//hello", 404),
        ("/t/acme/h%65llo", 200),
    ] {
        let answer = site.ask_without_key("GET", path, &[], "").await;
        assert_eq!(answer.status, status, "{path} {answer:?}");
        assert!(status == 200 || answer.code().starts_with("FE400"), "{answer:?}");
    }
    let long = format!("/t/{}/hello", "x".repeat(4_000));
    let answer = site.ask_without_key("GET", &long, &[], "").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.len() < 1_000, "an answer does not grow with the request");
    let tunnel =
        format!("CONNECT h:1 HTTP/1.1\r\nhost: h\r\nx-api-key: {}\r\nconnection: close\r\n\r\n", site.key);
    let tunnel = Answer::of(&site.raw(tunnel.as_bytes()).await);
    assert_eq!((tunnel.status, tunnel.code().as_str()), (405, "FE4002"), "{tunnel:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_of_any_wrong_shape_is_refused() {
    let site = Site::open().await;
    let long = "k".repeat(256);
    for key in ["", " ", "a b", "\u{e9}", long.as_str()] {
        let answer = site.ask("POST", "/web/x", &[("idempotency-key", key)], "").await;
        assert_eq!(answer.status, 400, "{key:?} {answer:?}");
    }
    let twice = site.ask("POST", "/web/x", &[("idempotency-key", "a"), ("idempotency-key", "a")], "").await;
    assert_eq!((twice.status, twice.code().as_str()), (400, "FE4011"));
}
